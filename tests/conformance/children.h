/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.h - what the programs about children have in common: edu's registers, its interrupts and its DMA.
 */
#ifndef TESTS_CONFORMANCE_CHILDREN_H
#define TESTS_CONFORMANCE_CHILDREN_H

#include <setjmp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "tests/conformance/turns.h"

#define CFG (7ull << 40)
#define NO_FD 999
#define SIZE (4 * PG)
#define TYPE VFIO_TYPE1v2_IOMMU

#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

#define UNMAP(who, what, c, flags, iova, size) BY(who, what, dma_unmap(c, flags, iova, size), "size out 0x%llx", (unsigned long long)unmapped)
#define LOCKED(who, what) BY(who, what ", KiB locked", status_kb("VmLck"))
#define IUNMAP(who, what, i, as, iova, len) BY(who, what, iunmap(i, as, iova, len), "length out 0x%llx", (unsigned long long)unmapped)
#define LOAD(who, what, p) BY(who, what, load(p), "0x%x", value)

static CALL uint16_t config16(int d, unsigned at)
{
	uint16_t val = 0;
	pread(d, &val, 2, (off_t)CFG + at);
	return val;
}

static CALL int set_config16(int d, unsigned at, uint16_t val)
{
	return pwrite(d, &val, 2, (off_t)CFG + at) == 2 ? 0 : -1;
}

/* Registers of BAR0, by pread and pwrite. */
static CALL long reg(int d, unsigned at)
{
	uint32_t val = 0;
	return pread(d, &val, 4, at) == 4 ? (long)val : -1;
}

static CALL int set_reg(int d, unsigned at, uint32_t val)
{
	return pwrite(d, &val, 4, at) == 4 ? 0 : -1;
}

static uint32_t value;
static CALL int get_reg(int d, unsigned at)
{
	value = 0;
	return pread(d, &value, 4, at) == 4 ? 0 : -1;
}
#define REG(who, what, d, at) BY(who, what, get_reg(d, at), "0x%x", value)

/* edu answers with the complement of what was written to this one. */
#define LIVENESS 4
#define EDU_IDENTITY 0x10000edu

static CALL int decoding(int d, bool on)
{
	return set_config16(d, 4, (uint16_t)((config16(d, 4) & ~2) | (on ? 6 : 4)));
}

/* Container, group and device, which decodes its BARs and may master the bus. */
static CALL struct ctx ready(void)
{
	struct ctx x = setup(edu, TYPE, 1);
	decoding(x.d, true);
	return x;
}

static CALL uint64_t readable(int e)
{
	uint64_t n = 0;
	return read(e, &n, 8) == 8 ? n : 0;
}

/* How often an eventfd was signalled, after a while if that must come from afar. */
static CALL long arrives(int e)
{
	poll(&(struct pollfd){ .fd = e, .events = POLLIN }, 1, 2000);
	return (long)readable(e);
}

static CALL int signals(int e)
{
	return write(e, &(uint64_t){ 1 }, 8) == 8 ? 0 : -1;
}

static CALL int set_irqs(int d, uint32_t flags, uint32_t index, uint32_t num)
{
	struct vfio_irq_set s = { .argsz = sizeof(s), .flags = flags, .index = index, .count = num };
	return ioctl(d, VFIO_DEVICE_SET_IRQS, &s);
}

static CALL int trigger(int d, uint32_t index)
{
	return set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 1);
}

static CALL int disable(int d, uint32_t index)
{
	return set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0);
}

/* The same file by a number that no other process has. */
static CALL int high(int fd, int from)
{
	int ret = fcntl(fd, F_DUPFD_CLOEXEC, from);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* No more descriptors than there are, or as many as before. */
static CALL void limit_descriptors(bool on)
{
	static struct rlimit before;
	if (on)
		getrlimit(RLIMIT_NOFILE, &before);
	int next = dup(0);
	close(next);
	setrlimit(RLIMIT_NOFILE, on ? &(struct rlimit){ (rlim_t)next, before.rlim_max } : &before);
}

static CALL unsigned char *page(int flags)
{
	unsigned char *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static sigjmp_buf jump;
static CALL void on_bus(int s) { siglongjmp(jump, s); }

/* 0, or the number of the signal that it brought */
#define TRY(...) ({ int s_ = sigsetjmp(jump, 1); if (!s_) { __VA_ARGS__; } s_; })

static CALL int load(volatile uint32_t *p)
{
	value = 0;
	return TRY(value = *p);
}

static CALL int store(volatile uint32_t *p, uint32_t val)
{
	return TRY(*p = val);
}

/* The end of memory that this process has: behind it nothing can be read or written. */
static CALL unsigned char *memory_ends(void)
{
	unsigned char *p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(p + PG, PG, PROT_NONE);
	return p + PG;
}

static CALL void *map_bar(int d)
{
	void *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	return p == MAP_FAILED ? NULL : p;
}

static CALL int change_process(int i)
{
	struct iommu_ioas_change_process c = { .size = sizeof(c) };
	return ioctl(i, IOMMU_IOAS_CHANGE_PROCESS, &c);
}

static CALL int write_attr(const char *bdf, const char *attr, const char *text)
{
	return write_file(pci_attr(bdf, attr), text);
}

/* Of the file config. */
static CALL int raw_config(const char *bdf, unsigned at, uint8_t *set)
{
	uint8_t val = 0;
	int fd = open(pci_attr(bdf, "config"), O_RDWR | O_CLOEXEC);
	ssize_t n = set ? pwrite(fd, set, 1, at) : pread(fd, &val, 1, at);
	int err = errno;
	close(fd);
	errno = err;
	return n == 1 ? val : -1;
}

/* ---------------------------------------------------------------- edu's DMA */
#define BUFFER 0x40000
#define WINDOW 0x100000		/* where the device finds the window, memory that all processes share */
#define THERE 0x200000
static unsigned char *window;

static CALL int transfer(int d, uint32_t src, uint32_t dst, bool to_memory)
{
	if (set_reg(d, 0x80, src) || set_reg(d, 0x88, dst) || set_reg(d, 0x90, 64) || set_reg(d, 0x98, to_memory ? 3 : 1))
		return -1;
	for (int i = 0; i < 1000; i++) {
		long cmd = reg(d, 0x98);
		if (cmd < 0 || !(cmd & 1))
			return cmd < 0 ? -1 : 0;
		usleep(5000);
	}
	errno = ETIMEDOUT;
	return -1;
}

/* The byte that the device reads at @iova. */
static CALL int device_reads(int d, uint32_t iova)
{
	memset(window, 99, 64);
	return transfer(d, iova, BUFFER, false) || transfer(d, BUFFER, WINDOW, true) ? -1 : window[0];
}

static CALL int device_writes(int d, uint32_t iova, int byte)
{
	memset(window, byte, 64);
	return transfer(d, WINDOW, BUFFER, false) || transfer(d, BUFFER, iova, true) ? -1 : 0;
}

static CALL struct ctx ready_for_dma(void)
{
	struct ctx x = ready();
	if (dma_map(x.c, 3, window, WINDOW, PG))
		fprintf(stderr, "the window: %m\n");
	return x;
}

/* How many of five things work: three calls, memory mapped and unmapped at @iova, and a load from the BAR (if @regs). */
static CALL int asks(struct ctx x, volatile uint32_t *regs, uint64_t iova)
{
	return (ioctl(x.c, VFIO_GET_API_VERSION) == VFIO_API_VERSION) + (group_flags(x.g) == 3) + !device_there(x.d) +
	       (!dma_map(x.c, 3, mem, iova, PG) && !dma_unmap(x.c, 0, iova, PG) && unmapped == PG) + (regs && !load(regs) && value == EDU_IDENTITY);
}

static CALL void start_children(int argc, char **argv)
{
	const struct sigaction sa = { .sa_handler = on_bus };
	start(argc, argv);
	start_turns();
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	window = page(MAP_SHARED);
}

#endif
