/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - a machine inside a test.
 *
 * A test of a driver makes its machine itself, runs the driver on it, breaks the device on purpose, and
 * asks why a call failed:
 *
 *	struct softvfio *m = softvfio_new();
 *	softvfio_add(m, "edu,delay_us=50");
 *	softvfio_start(m, NULL);
 *	fd = open("/dev/vfio/0", O_RDWR);	// the machine's: libc's names lead to it
 *	...
 *	softvfio_inject(m, "0000:01:00.0", "lose-irq@3");
 *	...
 *	softvfio_free(m);
 *
 * Link with libsoftvfio (pkg-config softvfio): its open(), ioctl(), mmap() and so on come before libc's
 * then, as if it were preloaded, and leave alone what is not the machine's.  A program that opens the library
 * at run time (dlopen, another language) uses the softvfio_ doors below instead of libc's names; loads and
 * stores to a mapped BAR work there too, as long as the program keeps our handlers of SIGSEGV and SIGBUS.
 *
 * There is at most one machine in a process.  What VFIO calls it takes, from how many threads, and what
 * becomes of forked children is as under `softvfio run`; programs that the test starts do not see the machine.
 *
 * Functions return 0 or -errno unless they say otherwise, and softvfio_reason() tells more.  They may be
 * called from any thread, not several at once with one machine.
 *
 * What stays: functions are added, never changed; structures grow at their end, and callers say how much of
 * them they know.
 */
#ifndef SOFTVFIO_MACHINE_H
#define SOFTVFIO_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct softvfio;

/**
 * softvfio_new - a machine to be: no devices, an AMD IOMMU
 *
 * From the first one on reasons of failing calls are kept (softvfio_reason).
 * Return: the machine, for softvfio_free(); NULL if memory is short.
 */
struct softvfio *softvfio_new(void);
/**
 * softvfio_add - add a device, as `softvfio run -d` does: "edu", "nvme,size=64M,inject=lose-irq@3",
 *	"./my.so,key=value"
 * Before softvfio_start().  Return: 0; -EINVAL for a text that is wrong, -EBUSY if the machine runs, -ENOMEM.
 */
int softvfio_add(struct softvfio *m, const char *device);
/** softvfio_load - add what a machine file says, as -m does.  Return: as softvfio_add(), or what open() says. */
int softvfio_load(struct softvfio *m, const char *file);
/** softvfio_set_iommu - "amd", "intel,aw-bits=39" ..., as --iommu.  Return: as softvfio_add(). */
int softvfio_set_iommu(struct softvfio *m, const char *iommu);
/**
 * softvfio_start - make the machine, and be a program on it from now on
 * @dir: an empty or new directory that keeps the machine, or one that holds one (then nothing may have been
 *	added); NULL: a private one, which goes with softvfio_stop()
 *
 * Devices are bound to vfio-pci as configured; the first call that touches one builds them.
 * Return: 0; -EBUSY if this process has a machine already (also: runs under `softvfio run`), -EINVAL for a
 * configuration that does not fit together, -ENOTEMPTY, -EEXIST, the -errno of making files, -ENOMEM.
 */
int softvfio_start(struct softvfio *m, const char *dir);
/**
 * softvfio_stop - take the machine down
 *
 * Everything of it is closed and unmapped before; other threads are in none of its calls.
 * Return: 0, also if it does not run; -EBUSY with the first that is still open or mapped in the reason.
 */
int softvfio_stop(struct softvfio *m);
/** softvfio_free - stop it and free it; NULL is none.  Return: as softvfio_stop(), and then it is not freed. */
int softvfio_free(struct softvfio *m);
/** softvfio_dir - the directory of a running machine, with sys/ and dev/ in it; NULL. */
const char *softvfio_dir(const struct softvfio *m);

/**
 * softvfio_reason - why the last call of this thread failed, in words with the numbers that decided it
 *
 * After a call of this header or a VFIO call.  Text to be read by people and looked through with strstr(): its
 * wording may change.  Return: text valid until the next call on this thread; NULL if it did not fail, or is
 * not ours.  A call that succeeded but looks like a mistake may have a note here.
 */
const char *softvfio_reason(void);
/**
 * softvfio_on_line - call @fn with each line that --explain would print: failed calls and events (a DMA fault,
 *	a lost interrupt, an injected fault that struck)
 *
 * @fn runs on the thread where it happens, perhaps in a signal handler and with locks held: it may copy the
 * text, and call nothing that could touch the machine.  NULL: lines go nowhere, which is the default (under
 * SOFTVFIO_EXPLAIN=1: to standard error).
 */
void softvfio_on_line(void (*fn)(const char *line));

/**
 * softvfio_inject - order faults of a device: "lose-irq@3", "dma-fault@100x5+remove@2", "link-down"
 * @device: "0000:01:00.0"
 *
 * softvfio(1), FAULTS, has the grammar.  Counts begin now.  What needs no event (link-down, remove, an AER error,
 * spurious-irq without @N) strikes before this returns.
 * Return: 0; -EINVAL for a wrong order, -ENODEV no such device or no machine, -ENOSPC, -ENOMEM.
 */
int softvfio_inject(struct softvfio *m, const char *device, const char *orders);

struct softvfio_stats {
	uint64_t calls, failed_calls;	      /* of this process, from its start */
	uint64_t bar_accesses;		      /* that reached a device: trapped, or by pread and pwrite */
	uint64_t dma_read_bytes, dma_written_bytes, dma_faults;
	uint64_t interrupts;		      /* that left a device */
	uint64_t injected;		      /* faults on order that struck */
};
/**
 * softvfio_stats_get - totals over the devices of a running machine
 * @ret, @bytes: sizeof(struct softvfio_stats) of the caller; what it has more is set to 0
 */
void softvfio_stats_get(struct softvfio *m, struct softvfio_stats *ret, size_t bytes);

struct softvfio_fault {
	char device[16];	/* "0000:01:00.0" */
	uint64_t iova;
	int write;		/* 1: the device wanted to write */
	char text[256];		/* as --explain prints it */
};
/**
 * softvfio_faults_get - DMA faults as the IOMMU recorded them, oldest first, of one unit after the other
 * @ret: room for @max, each of @bytes = sizeof(struct softvfio_fault); each unit keeps the last 256
 * Return: how many.
 */
size_t softvfio_faults_get(struct softvfio *m, struct softvfio_fault *ret, size_t max, size_t bytes);

/* ---- doors: libc's functions, for programs in which libc's own names do not lead to the machine ---- */

int softvfio_open(const char *path, int flags, ...);
int softvfio_close(int fd);
int softvfio_ioctl(int fd, unsigned long request, ...);
ssize_t softvfio_read(int fd, void *buf, size_t len);
ssize_t softvfio_write(int fd, const void *buf, size_t len);
ssize_t softvfio_pread(int fd, void *buf, size_t len, off_t off);
ssize_t softvfio_pwrite(int fd, const void *buf, size_t len, off_t off);
void *softvfio_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int softvfio_munmap(void *addr, size_t len);

#ifdef __cplusplus
}
#endif

#endif
