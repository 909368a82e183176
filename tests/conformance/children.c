/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.c - what a forked child can do with files that it inherited, and what it and its parent see of each other.
 *
 * usage: children EDU MSIX    as legacy.c, which tells the rest
 *
 * After a fork both processes run the same lines, in lock-step: C() is the child's call and P() the parent's; the one whose
 * turn it is makes the call and prints the row, the others wait for it, and all of them know what it returned.  LET() and
 * DO() are turns without a row.  Variables are each process's own, as all of its memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/conformance/calls.h"

#define CFG (7ull << 40)
#define NO_FD 999
#define SIZE (4 * PG)
#define TYPE VFIO_TYPE1v2_IOMMU

/* ---------------------------------------------------------------- whose turn it is */
enum who { PARENT, CHILD, OTHER, ABOVE };
static const char *names[] = { "parent", "child", "grandchild", "grandparent" };

static struct { uint32_t steps; long ret[8192]; } *turns; /* in memory that all of them have */
static uint32_t step;
static enum who me;
static pid_t pids[4];

static const char *says(enum who who, const char *what)
{
	static char text[160];
	snprintf(text, sizeof(text), "%s: %s", names[who], what);
	return text;
}

static void passed(long ret)
{
	flush_row();
	fflush(stdout);
	turns->ret[step] = ret;
	__atomic_store_n(&turns->steps, ++step, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turns->steps, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static long waited(void)
{
	const struct timespec limit = { .tv_sec = 60 };
	for (uint32_t now; (now = __atomic_load_n(&turns->steps, __ATOMIC_ACQUIRE)) <= step;)
		if (syscall(SYS_futex, &turns->steps, FUTEX_WAIT, now, &limit, NULL, 0) && errno == ETIMEDOUT) {
			fprintf(stderr, "%s: the %s waits in vain\n", area, names[me]);
			_exit(1);
		}
	return turns->ret[step++];
}

/* What comes behind the call is what note() takes. */
#define BY(who, what, x, ...) ({ long v_; if (me == (who)) { errno = 0; v_ = (x); row(says(who, what), v_, errno); \
	__VA_OPT__(note(__VA_ARGS__);) passed(v_); } else v_ = waited(), count++; v_; })
/* A call that returns a descriptor: its number says nothing. */
#define FD(who, what, x) ({ long f_; if (me == (who)) { errno = 0; f_ = (x); row(says(who, what), f_ < 0 ? -1 : 0, errno); \
	note("%s", f_ < 0 ? "" : "a descriptor"); passed(f_); } else f_ = waited(), count++; (int)f_; })
#define C(...) BY(CHILD, __VA_ARGS__)
#define P(...) BY(PARENT, __VA_ARGS__)
#define O(...) BY(OTHER, __VA_ARGS__)
#define CFD(...) FD(CHILD, __VA_ARGS__)
#define PFD(...) FD(PARENT, __VA_ARGS__)
#define LET(who, x) ({ long l_; if (me == (who)) passed(l_ = (long)(x)); else l_ = waited(); l_; })
#define DO(who, ...) ({ if (me == (who)) { __VA_ARGS__; passed(0); } else waited(); })

static void forks(enum who from, enum who to)
{
	if (me != from)
		return;
	flush_row();
	fflush(stdout);
	pids[to] = fork();
	if (pids[to])
		return;
	me = to;
	alarm(300);
}

static int reap(pid_t pid)
{
	int status;
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* @who ends here, and its parent waits for that. */
static void ends(enum who from, enum who who)
{
	char what[64];
	snprintf(what, sizeof(what), "the %s ends", names[who]);
	if (me == who)
		_exit(0);
	BY(from, what, reap(pids[who]));
}

/* ---------------------------------------------------------------- calls */
static uint16_t config16(int d, unsigned at)
{
	uint16_t val = 0;
	pread(d, &val, 2, (off_t)CFG + at);
	return val;
}

static int set_config16(int d, unsigned at, uint16_t val)
{
	return pwrite(d, &val, 2, (off_t)CFG + at) == 2 ? 0 : -1;
}

/* Registers of BAR0, by pread and pwrite. */
static long reg(int d, unsigned at)
{
	uint32_t val = 0;
	return pread(d, &val, 4, at) == 4 ? (long)val : -1;
}

static int set_reg(int d, unsigned at, uint32_t val)
{
	return pwrite(d, &val, 4, at) == 4 ? 0 : -1;
}

static uint32_t value;
static int get_reg(int d, unsigned at)
{
	value = 0;
	return pread(d, &value, 4, at) == 4 ? 0 : -1;
}
#define REG(who, what, d, at) BY(who, what, get_reg(d, at), "0x%x", value)

/* edu answers with the complement of what was written to this one. */
#define LIVENESS 4
#define EDU_IDENTITY 0x10000edu

static int decoding(int d, bool on)
{
	return set_config16(d, 4, (uint16_t)((config16(d, 4) & ~2) | (on ? 6 : 4)));
}

/* Container, group and device, which decodes its BARs and may master the bus. */
static struct ctx ready(void)
{
	struct ctx x = setup(edu, TYPE, 1);
	decoding(x.d, true);
	return x;
}

static uint64_t readable(int e)
{
	uint64_t n = 0;
	return read(e, &n, 8) == 8 ? n : 0;
}

/* How often an eventfd was signalled, after a while if that must come from afar. */
static long arrives(int e)
{
	poll(&(struct pollfd){ .fd = e, .events = POLLIN }, 1, 2000);
	return (long)readable(e);
}

static int signals(int e)
{
	return write(e, &(uint64_t){ 1 }, 8) == 8 ? 0 : -1;
}

static int set_irqs(int d, uint32_t flags, uint32_t index, uint32_t num)
{
	struct vfio_irq_set s = { .argsz = sizeof(s), .flags = flags, .index = index, .count = num };
	return ioctl(d, VFIO_DEVICE_SET_IRQS, &s);
}

static int trigger(int d, uint32_t index)
{
	return set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 1);
}

static int disable(int d, uint32_t index)
{
	return set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0);
}

/* The same file by a number that no other process has. */
static int high(int fd, int from)
{
	int ret = fcntl(fd, F_DUPFD_CLOEXEC, from);
	if (fd >= 0)
		close(fd);
	return ret;
}

static unsigned char *page(int flags)
{
	unsigned char *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static sigjmp_buf jump;
static void on_bus(int s) { siglongjmp(jump, s); }

/* 0, or the number of the signal that reading or writing there brought */
static int load(volatile uint32_t *p)
{
	int s = sigsetjmp(jump, 1);
	value = 0;
	if (!s)
		value = *p;
	return s;
}

static int store(volatile uint32_t *p, uint32_t val)
{
	int s = sigsetjmp(jump, 1);
	if (!s)
		*p = val;
	return s;
}

static void *map_bar(int d)
{
	void *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	return p == MAP_FAILED ? NULL : p;
}

static int write_attr(const char *bdf, const char *attr, const char *text)
{
	return write_file(pci_attr(bdf, attr), text);
}

/* Of the file config. */
static int raw_config(const char *bdf, unsigned at, uint8_t *set)
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

static int transfer(int d, uint32_t src, uint32_t dst, bool to_memory)
{
	if (set_reg(d, 0x80, src) || set_reg(d, 0x88, dst) || set_reg(d, 0x90, 64) || set_reg(d, 0x98, to_memory ? 3 : 1))
		return -1;
	for (int i = 0; i < 1000; i++) {
		if (!(reg(d, 0x98) & 1))
			return 0;
		usleep(5000);
	}
	errno = ETIMEDOUT;
	return -1;
}

/* The byte that the device reads at @iova. */
static int device_reads(int d, uint32_t iova)
{
	memset(window, 99, 64);
	return transfer(d, iova, BUFFER, false) || transfer(d, BUFFER, WINDOW, true) ? -1 : window[0];
}

static int device_writes(int d, uint32_t iova, int byte)
{
	memset(window, byte, 64);
	return transfer(d, WINDOW, BUFFER, false) || transfer(d, BUFFER, iova, true) ? -1 : 0;
}

static struct ctx ready_for_dma(void)
{
	struct ctx x = ready();
	if (dma_map(x.c, 3, window, WINDOW, PG))
		fprintf(stderr, "the window: %m\n");
	return x;
}

/* ---------------------------------------------------------------- a container */
static void container(void)
{
	begin("container");
	struct ctx x = ready();
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	forks(PARENT, CHILD);
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("CHECK_EXTENSION type1v2", ioctl(x.c, VFIO_CHECK_EXTENSION, TYPE));
	C("CHECK_EXTENSION 1000", ioctl(x.c, VFIO_CHECK_EXTENSION, 1000));
	C("SET_IOMMU again", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	C("IOMMU_GET_INFO", ioctl(x.c, VFIO_IOMMU_GET_INFO, &info), "flags 0x%x pgsizes 0x%llx", info.flags, info.iova_pgsizes);
	DO(CHILD, info.argsz = 8);
	C("IOMMU_GET_INFO argsz 8", ioctl(x.c, VFIO_IOMMU_GET_INFO, &info));
	C("IOMMU_GET_INFO bad pointer", ioctl(x.c, VFIO_IOMMU_GET_INFO, BAD));
	C("IOMMU_GET_INFO NULL", ioctl(x.c, VFIO_IOMMU_GET_INFO, NULL));
	C("IOMMU_GET_INFO of a closed descriptor", ioctl(NO_FD, VFIO_IOMMU_GET_INFO, &info));
	C("unknown ioctl", ioctl(x.c, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	C("foreign ioctl", ioctl(x.c, _IO('T', 1), BAD));
	C("read", read(x.c, &info, 8));
	C("write", write(x.c, &info, 8));
	C("mmap", try_mmap(x.c, PG, PROT_READ, MAP_SHARED, 0));
	C("close it", close(x.c));
	C("GET_API_VERSION, closed", ioctl(x.c, VFIO_GET_API_VERSION));
	P("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	P("the type is there", type_there(x.c));
	ends(PARENT, CHILD);
	P("the type is there then", type_there(x.c));
	teardown(x);
}

#define UNMAP(who, what, c, flags, iova, size) BY(who, what, dma_unmap(c, flags, iova, size), "size out 0x%llx", (unsigned long long)unmapped)
#define LOCKED(who, what) BY(who, what ", KiB locked", status_kb("VmLck"))

static void mapping(void)
{
	unsigned char *alone = mem + 5 * MB; /* which only the child will have */
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m) - 1, .flags = 3, .vaddr = (uintptr_t)mem, .size = PG };
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u) - 1, .size = PG };
	begin("map and unmap");
	struct ctx x = ready();
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	forks(PARENT, CHILD);
	LOCKED(PARENT, "mapped before the fork");
	LOCKED(CHILD, "mapped before the fork");
	C("MAP bad pointer", ioctl(x.c, VFIO_IOMMU_MAP_DMA, BAD));
	C("MAP argsz one short", ioctl(x.c, VFIO_IOMMU_MAP_DMA, &m));
	C("MAP flags 0", dma_map(x.c, 0, mem, 0x200000, PG));
	C("MAP flags 8", dma_map(x.c, 8, mem, 0x200000, PG));
	C("MAP size 1", dma_map(x.c, 3, mem, 0x200000, 1));
	C("MAP vaddr unaligned", dma_map(x.c, 3, mem + 1, 0x200000, PG));
	C("MAP vaddr not mapped", dma_map(x.c, 3, (void *)PG, 0x200000, PG));
	C("MAP beyond the IOMMU's width", dma_map(x.c, 3, mem, 1ull << 57, PG));
	C("MAP by a closed descriptor", dma_map(NO_FD, 3, mem, 0x200000, PG));
	C("MAP what the parent mapped", dma_map(x.c, 3, mem, 0x100000, SIZE));
	C("MAP beside it", dma_map(x.c, 3, mem, 0x200000, SIZE));
	P("MAP what the child mapped", dma_map(x.c, 3, mem, 0x200000, SIZE));
	LOCKED(CHILD, "after MAP");
	LOCKED(PARENT, "after the child's MAP");
	C("UNMAP bad pointer", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, BAD));
	C("UNMAP argsz one short", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, &u));
	UNMAP(CHILD, "UNMAP flags 8", x.c, 8, 0x100000, SIZE);
	UNMAP(CHILD, "UNMAP size 1", x.c, 0, 0x100000, 1);
	UNMAP(CHILD, "UNMAP half of what the parent mapped", x.c, 0, 0x100000, SIZE / 2);
	UNMAP(CHILD, "UNMAP nothing there", x.c, 0, 0x900000, PG);
	UNMAP(CHILD, "UNMAP what the parent mapped", x.c, 0, 0x100000, SIZE);
	UNMAP(PARENT, "UNMAP it again", x.c, 0, 0x100000, SIZE);
	LOCKED(CHILD, "after that UNMAP");
	LOCKED(PARENT, "after that UNMAP");
	UNMAP(PARENT, "UNMAP what the child mapped", x.c, 0, 0x200000, SIZE);
	UNMAP(CHILD, "UNMAP it again", x.c, 0, 0x200000, SIZE);
	LOCKED(CHILD, "after both");
	LOCKED(PARENT, "after both");

	begin("memory that one process has");
	DO(CHILD, mprotect(alone, SIZE, PROT_READ | PROT_WRITE));
	P("MAP, before it has any", dma_map(x.c, 3, alone, 0x100000, SIZE));
	C("MAP, its own", dma_map(x.c, 3, alone, 0x100000, SIZE));
	P("MAP, at another IOVA", dma_map(x.c, 3, alone, 0x200000, SIZE));
	DO(PARENT, mprotect(alone + MB, SIZE, PROT_READ | PROT_WRITE));
	P("MAP, its own", dma_map(x.c, 3, alone + MB, 0x200000, SIZE));
	C("MAP, the parent's", dma_map(x.c, 3, alone + MB, 0x300000, SIZE));
	DO(CHILD, mprotect(mem, PG, PROT_READ));
	C("MAP WRITE, which only the parent may write", dma_map(x.c, 3, mem, 0x300000, PG));
	C("MAP READ, which only the parent may write", dma_map(x.c, 1, mem, 0x300000, PG));
	P("MAP WRITE, which only the parent may write", dma_map(x.c, 3, mem, 0x400000, PG));
	UNMAP(PARENT, "UNMAP_ALL", x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	UNMAP(CHILD, "UNMAP_ALL, nothing there", x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	LOCKED(CHILD, "all unmapped");
	LOCKED(PARENT, "all unmapped");

	begin("what a child mapped and left");
	P("MAP", dma_map(x.c, 3, mem, 0x100000, PG));
	C("MAP", dma_map(x.c, 3, alone, 0x200000, SIZE));
	ends(PARENT, CHILD);
	P("MAP there", dma_map(x.c, 3, mem, 0x200000, SIZE));
	LOCKED(PARENT, "the child gone");
	UNMAP(PARENT, "UNMAP half of it", x.c, 0, 0x200000, SIZE / 2);
	UNMAP(PARENT, "UNMAP it", x.c, 0, 0x200000, SIZE);
	P("MAP there then", dma_map(x.c, 3, mem, 0x200000, SIZE));
	LOCKED(PARENT, "mapped again");
	forks(PARENT, CHILD);
	UNMAP(CHILD, "UNMAP_ALL, another child", x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	LOCKED(PARENT, "unmapped by another child");
	ends(PARENT, CHILD);
	teardown(x);
}

/* A mapping whose memory is given up and given anew: who may do which? */
static void vaddr(void)
{
	begin("vaddr");
	struct ctx x = ready();
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	forks(PARENT, CHILD);
	C("CHECK_EXTENSION update of vaddr", ioctl(x.c, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR));
	C("MAP VADDR, still valid", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	UNMAP(CHILD, "UNMAP VADDR", x.c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, SIZE);
	UNMAP(PARENT, "UNMAP VADDR again", x.c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, SIZE);
	C("MAP VADDR of half of it", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE / 2));
	C("MAP VADDR", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	LOCKED(CHILD, "after MAP VADDR");
	LOCKED(PARENT, "after the child's MAP VADDR");
	P("MAP VADDR, still valid", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	UNMAP(PARENT, "UNMAP VADDR", x.c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, SIZE);
	ends(PARENT, CHILD);
	P("MAP VADDR, the child gone", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	LOCKED(PARENT, "after MAP VADDR");
	UNMAP(PARENT, "UNMAP", x.c, 0, 0x100000, SIZE);
	LOCKED(PARENT, "after UNMAP");
	teardown(x);
}

static struct { struct vfio_iommu_type1_dirty_bitmap h; struct vfio_iommu_type1_dirty_bitmap_get g; } dirty;
static uint64_t bits[1];
static int dirty_pages(int c, uint32_t flags, void *data)
{
	dirty.h = (struct vfio_iommu_type1_dirty_bitmap){ .argsz = sizeof(dirty), .flags = flags };
	dirty.g = (struct vfio_iommu_type1_dirty_bitmap_get){ .iova = 0x100000, .size = SIZE, .bitmap = { .pgsize = PG, .size = 8, .data = data } };
	bits[0] = 0;
	return ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

static void dirty_bitmap(void)
{
	struct { struct vfio_iommu_type1_dma_unmap u; struct vfio_bitmap b; } ub = {
		.u = { .argsz = sizeof(ub), .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, .iova = 0x100000, .size = SIZE },
		.b = { .pgsize = PG, .size = 8, .data = (void *)bits } };
	begin("dirty pages");
	struct ctx x = ready();
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	forks(PARENT, CHILD);
	C("STOP before START", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, bits));
	C("START bad pointer", ioctl(x.c, VFIO_IOMMU_DIRTY_PAGES, BAD));
	C("START", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, bits));
	P("GET_BITMAP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, bits), "bits 0x%llx", (unsigned long long)bits[0]);
	C("GET_BITMAP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, bits), "bits 0x%llx", (unsigned long long)bits[0]);
	C("GET_BITMAP bad data pointer", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, BAD));
	C("UNMAP GET_DIRTY_BITMAP", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, &ub), "size out 0x%llx bits 0x%llx", ub.u.size, (unsigned long long)bits[0]);
	P("STOP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, bits));
	C("GET_BITMAP after STOP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, bits));
	ends(PARENT, CHILD);
	teardown(x);
}

/* ---------------------------------------------------------------- a group */
static void group(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int fd = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC), d, own;
	begin("group");
	struct ctx x = setup(edu, TYPE, 0);
	forks(PARENT, CHILD);
	C("GET_STATUS", ioctl(x.g, VFIO_GROUP_GET_STATUS, &st), "flags 0x%x", st.flags);
	DO(CHILD, st.argsz = 4);
	C("GET_STATUS argsz 4", ioctl(x.g, VFIO_GROUP_GET_STATUS, &st));
	C("GET_STATUS bad pointer", ioctl(x.g, VFIO_GROUP_GET_STATUS, BAD));
	C("GET_STATUS of a closed descriptor", group_flags(NO_FD));
	C("GET_STATUS of the container", group_flags(x.c));
	C("SET_CONTAINER -1", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &fd));
	C("SET_CONTAINER a closed descriptor", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &(int){ NO_FD }));
	C("SET_CONTAINER /dev/null", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &null));
	C("SET_CONTAINER bad pointer", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, BAD));
	C("SET_CONTAINER once more", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("GET_DEVICE_FD bad pointer", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, BAD));
	C("GET_DEVICE_FD wrong name", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "0000:ff:1f.7"));
	C("GET_DEVICE_FD a device of another group", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	C("unknown ioctl", ioctl(x.g, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	C("read", read(x.g, &st, 8));

	begin("a device that the child opens");
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("FD_CLOEXEC", fcntl(d, F_GETFD));
	C("GET_INFO", device_there(d));
	P("has no such descriptor", fcntl(d, F_GETFD));
	P("GET_INFO by that number", device_there(d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("GET_STATUS", group_flags(x.g));
	C("close it", close(d));
	C("GET_INFO, closed", device_there(d));
	C("UNSET_CONTAINER then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("GET_STATUS then", group_flags(x.g));
	P("UNSET_CONTAINER again", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("the type is there", type_there(x.c));
	CFD("GET_DEVICE_FD without a container", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	P("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("GET_STATUS", group_flags(x.g));
	C("SET_IOMMU", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	P("SET_IOMMU", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));

	begin("a container that the child opens");
	own = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	P("SET_CONTAINER by that number", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &own));
	C("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &own));
	C("SET_IOMMU", ioctl(own, VFIO_SET_IOMMU, TYPE));
	C("MAP", dma_map(own, 3, mem, 0x100000, SIZE));
	d = PFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	P("GET_INFO", device_there(d));
	P("SET_CONTAINER another", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("close the container", close(own));
	P("GET_STATUS", group_flags(x.g));
	P("GET_INFO then", device_there(d));
	ends(PARENT, CHILD);
	P("GET_INFO, the child gone", device_there(d));
	P("close the device", close(d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(null);
	teardown(x);
}

/* A number that is one file in the parent and another one in the child. */
static void same_numbers(void)
{
	int n, other, d;
	begin("one number, two files");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	n = (int)LET(PARENT, open("/dev/null", O_RDWR | O_CLOEXEC));
	other = (int)LET(CHILD, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	C("the numbers are the same", n == other);
	C("SET_IRQS, an eventfd", set_irq(x.d, VFIO_PCI_MSI_IRQ_INDEX, n));
	P("SET_IRQS, /dev/null", set_irq(x.d, VFIO_PCI_REQ_IRQ_INDEX, n));
	P("trigger", trigger(x.d, VFIO_PCI_MSI_IRQ_INDEX));
	C("signalled", arrives(n));
	DO(CHILD, disable(x.d, VFIO_PCI_MSI_IRQ_INDEX));
	C("GET_INFO of the eventfd", device_there(n));
	P("GET_INFO of /dev/null", device_there(n));
	close(n);
	d = (int)LET(PARENT, dup(x.d));
	other = (int)LET(CHILD, dup(x.g));
	C("the numbers are the same again", d == other);
	P("GET_INFO of the device", device_there(d));
	C("GET_STATUS of the group", group_flags(d));
	C("GET_INFO of the group", device_there(d));
	P("GET_STATUS of the device", group_flags(d));
	C("closes its device's number", close(x.d));
	C("dup2 its group there", dup2(x.g, x.d) == x.d ? 0 : -1);
	C("GET_STATUS by the device's number", group_flags(x.d));
	P("GET_INFO by the device's number", device_there(x.d));
	ends(PARENT, CHILD);
	close(d);
	teardown(x);
}

/* ---------------------------------------------------------------- a device */
static void device_info(void)
{
	struct vfio_device_info di = { .argsz = sizeof(di) };
	struct vfio_region_info ri = { .argsz = sizeof(ri) };
	struct vfio_irq_info ii = { .argsz = sizeof(ii), .index = VFIO_PCI_MSI_IRQ_INDEX };
	struct { struct vfio_device_feature f; char data[64]; } ft = { .f = { .argsz = 4 } };
	begin("device");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("GET_INFO", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di), "flags 0x%x regions %u irqs %u", di.flags, di.num_regions, di.num_irqs);
	DO(CHILD, di.argsz = 15);
	C("GET_INFO argsz 15", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di));
	C("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	C("GET_INFO of a closed descriptor", device_there(NO_FD));
	C("GET_INFO of the group", device_there(x.g));
	C("GET_REGION_INFO", ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &ri), "size 0x%llx flags 0x%x", ri.size, ri.flags);
	DO(CHILD, ri.index = 99);
	C("GET_REGION_INFO index 99", ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &ri));
	C("GET_REGION_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, BAD));
	C("GET_IRQ_INFO", ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, &ii), "count %u flags 0x%x", ii.count, ii.flags);
	DO(CHILD, ii.index = 5);
	C("GET_IRQ_INFO index 5", ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, &ii));
	C("GET_IRQ_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, BAD));
	C("RESET, which edu has not", ioctl(x.d, VFIO_DEVICE_RESET));
	C("FEATURE argsz 4", ioctl(x.d, VFIO_DEVICE_FEATURE, &ft));
	DO(CHILD, ft.f = (struct vfio_device_feature){ .argsz = sizeof(ft), .flags = VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_PROBE |
		VFIO_DEVICE_FEATURE_GET });
	C("FEATURE probe for a dma-buf", ioctl(x.d, VFIO_DEVICE_FEATURE, &ft));
	DO(CHILD, ft.f.flags = VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET);
	C("FEATURE migration, which edu has not", ioctl(x.d, VFIO_DEVICE_FEATURE, &ft));
	C("FEATURE bad pointer", ioctl(x.d, VFIO_DEVICE_FEATURE, BAD));
	C("unknown ioctl", ioctl(x.d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	C("BIND_IOMMUFD on a group's device", bind_to(x.d, 0, &(uint32_t){ 0 }));
	ends(PARENT, CHILD);
	teardown(x);
}

static void device_io(void)
{
	char b[4096] = { 0 };
	begin("config space");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("pread the ids", pread(x.d, b, 4, (off_t)CFG), "%02x %02x %02x %02x", (uint8_t)b[0], (uint8_t)b[1], (uint8_t)b[2], (uint8_t)b[3]);
	C("pread 256 bytes", pread(x.d, b, 256, (off_t)CFG));
	C("pread behind its end", pread(x.d, b, 4, (off_t)CFG + 0x10000));
	C("pread bad pointer", pread(x.d, BAD, 4, (off_t)CFG));
	C("pwrite bad pointer", pwrite(x.d, BAD, 4, (off_t)CFG + 0x3c));
	C("pread 0 bytes", pread(x.d, b, 0, (off_t)CFG));
	C("pread of a closed descriptor", pread(NO_FD, b, 4, (off_t)CFG));
	C("pread of a region that is not there", pread(x.d, b, 4, 20ll << 40));
	C("the command register, as the parent set it", config16(x.d, 4));
	P("pwrite the command register", set_config16(x.d, 4, 2));
	C("the command register then", config16(x.d, 4));
	C("pwrite the command register", set_config16(x.d, 4, 6));
	P("the command register", config16(x.d, 4));
	C("pwrite the interrupt line", pwrite(x.d, "\x5a", 1, (off_t)CFG + 0x3c));
	P("the interrupt line", config16(x.d, 0x3c) & 0xff);

	begin("a BAR, by pread and pwrite");
	REG(CHILD, "the identity", x.d, 0);
	C("writes", set_reg(x.d, LIVENESS, 0x12345678));
	REG(PARENT, "reads", x.d, LIVENESS);
	P("writes", set_reg(x.d, LIVENESS, 0x01020304));
	REG(CHILD, "reads", x.d, LIVENESS);
	C("reads 4096 bytes", pread(x.d, b, PG, 0));
	C("reads behind its end", pread(x.d, b, 4, MB));
	C("reads to a bad pointer", pread(x.d, BAD, 4, 0));
	C("writes from a bad pointer", pwrite(x.d, BAD, 4, LIVENESS));
	C("preadv", preadv(x.d, (struct iovec[]){ { b, 4 }, { b + 4, 4 } }, 2, 0));
	C("lseek", lseek(x.d, 0, SEEK_SET));
	P("memory decoding off", decoding(x.d, false));
	REG(CHILD, "reads, decoding off", x.d, LIVENESS);
	C("memory decoding on", decoding(x.d, true));
	REG(PARENT, "reads, decoding on", x.d, LIVENESS);
	C("writes before it ends", set_reg(x.d, LIVENESS, 0x11111111));
	ends(PARENT, CHILD);
	REG(PARENT, "reads, the child gone", x.d, LIVENESS);
	teardown(x);
}

static int export(int d)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_dma_buf b;
		struct vfio_region_dma_range range;
	} q = { .f = { .argsz = sizeof(q), .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.b = { .open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 1 }, .range = { .length = 4 * PG } };
	return ioctl(d, VFIO_DEVICE_FEATURE, &q);
}

static void resets(void)
{
	struct { struct vfio_pci_hot_reset_info h; struct vfio_pci_dependent_device dev[8]; } info = { .h.argsz = sizeof(info) };
	struct { struct vfio_pci_hot_reset h; int fd[1]; } hr = { .h = { .argsz = sizeof(hr), .count = 1 } };
	const unsigned cc = 0x14; /* nvme's controller configuration */
	int buf;
	begin("resets");
	struct ctx x = setup(msix, TYPE, 1);
	decoding(x.d, true);
	forks(PARENT, CHILD);
	P("writes a register", set_reg(x.d, cc, 0x460000));
	REG(CHILD, "reads it", x.d, cc);
	C("RESET", ioctl(x.d, VFIO_DEVICE_RESET));
	REG(PARENT, "reads it", x.d, cc);
	C("writes it", set_reg(x.d, cc, 0x460000));
	P("RESET", ioctl(x.d, VFIO_DEVICE_RESET));
	REG(CHILD, "reads it, reset by the parent", x.d, cc);
	C("GET_PCI_HOT_RESET_INFO", ioctl(x.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), "count %u", info.h.count);
	DO(CHILD, hr.fd[0] = NO_FD);
	C("PCI_HOT_RESET a closed descriptor", ioctl(x.d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	DO(CHILD, hr.fd[0] = x.d);
	C("PCI_HOT_RESET no group", ioctl(x.d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	P("writes the register again", set_reg(x.d, cc, 0x460000));
	DO(CHILD, hr.fd[0] = x.g);
	C("PCI_HOT_RESET", ioctl(x.d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	REG(PARENT, "reads it, hot reset by the child", x.d, cc);
	buf = CFD("a dma-buf of its BAR", export(x.d));
	P("has no such descriptor", fcntl(buf, F_GETFD));
	ends(PARENT, CHILD);
	P("RESET, the child gone", ioctl(x.d, VFIO_DEVICE_RESET));
	teardown(x);
}

/* ---------------------------------------------------------------- interrupts */
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

static void interrupts(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), own, theirs;
	begin("interrupts");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("SET_IRQS bad pointer", ioctl(x.d, VFIO_DEVICE_SET_IRQS, BAD));
	C("SET_IRQS a closed descriptor", set_irq(x.d, MSI, NO_FD));
	C("SET_IRQS no eventfd", set_irq(x.d, MSI, x.g));
	C("SET_IRQS index 7", set_irq(x.d, 7, e));
	C("trigger, nothing set", trigger(x.d, MSI));
	theirs = (int)LET(PARENT, fcntl(e, F_DUPFD_CLOEXEC, 300));
	C("SET_IRQS a number of the parent's", set_irq(x.d, MSI, theirs));
	C("SET_IRQS, an eventfd that it inherited", set_irq(x.d, MSI, e));
	P("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	C("signalled, the same eventfd", (long)readable(e));
	C("trigger", trigger(x.d, MSI));
	P("signalled by the child", arrives(e));
	P("edu sends", set_reg(x.d, 0x60, 1));
	C("signalled by edu", arrives(e));
	C("acknowledges, and edu sends again", set_reg(x.d, 0x64, 1) ?: set_reg(x.d, 0x60, 1));
	P("signalled by edu", arrives(e));
	DO(PARENT, set_reg(x.d, 0x64, 1));
	own = (int)LET(CHILD, high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 310));
	C("SET_IRQS, an eventfd of its own", set_irq(x.d, MSI, own));
	P("trigger that", trigger(x.d, MSI));
	C("signalled, its own", arrives(own));
	P("signalled, the former", (long)readable(e));
	P("edu sends then", set_reg(x.d, 0x60, 1));
	C("signalled by edu, its own", arrives(own));
	DO(PARENT, set_reg(x.d, 0x64, 1));
	P("SET_IRQS by the child's number", set_irq(x.d, MSI, own));
	P("trigger after that", trigger(x.d, MSI));
	C("signalled after that", arrives(own));
	P("SET_IRQS, its own", set_irq(x.d, MSI, theirs));
	C("trigger the parent's", trigger(x.d, MSI));
	P("signalled, its own", arrives(e));
	C("SET_IRQS disable", disable(x.d, MSI));
	P("trigger, disabled", trigger(x.d, MSI));

	begin("INTx and REQ");
	P("SET_IRQS INTx", set_irq(x.d, INTX, e));
	C("mask", set_irqs(x.d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, INTX, 1));
	P("the device's own command register says so", raw_config(edu, 5, NULL) >> 2 & 1);
	P("unmask", set_irqs(x.d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, INTX, 1));
	C("SET_IRQS MSI meanwhile", set_irq(x.d, MSI, own));
	C("trigger INTx", trigger(x.d, INTX));
	P("signalled", arrives(e));
	C("disable INTx", disable(x.d, INTX));
	P("disable INTx again", disable(x.d, INTX));
	C("SET_IRQS REQ, its own", set_irq(x.d, REQ, own));
	P("trigger REQ", trigger(x.d, REQ));
	C("signalled, its own", arrives(own));
	P("SET_IRQS REQ, none", set_irq(x.d, REQ, -1));
	C("trigger REQ, none", trigger(x.d, REQ));

	begin("an eventfd that ends with the child");
	C("SET_IRQS", set_irq(x.d, MSI, own));
	ends(PARENT, CHILD);
	P("trigger", trigger(x.d, MSI));
	P("signalled, another", (long)readable(e));
	P("SET_IRQS its own", set_irq(x.d, MSI, e));
	P("trigger its own", trigger(x.d, MSI));
	P("signalled, its own", arrives(e));
	close(e);
	close(theirs);
	teardown(x);
}

static int ioeventfd(int d, uint64_t at, uint32_t data, int fd)
{
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = at, .data = data, .fd = fd };
	return ioctl(d, VFIO_DEVICE_IOEVENTFD, &io);
}

/* The register's value, when it is what an eventfd wrote, or after two seconds. */
static long becomes(int d, uint32_t wanted)
{
	for (int i = 0; i < 200 && reg(d, LIVENESS) != (long)wanted; i++)
		usleep(10000);
	return reg(d, LIVENESS);
}

static void ioeventfds(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), own;
	begin("ioeventfds");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	own = (int)LET(CHILD, high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 310));
	C("IOEVENTFD a closed descriptor", ioeventfd(x.d, LIVENESS, 1, NO_FD));
	C("IOEVENTFD -1, nothing there", ioeventfd(x.d, LIVENESS, 1, -1));
	C("IOEVENTFD, inherited", ioeventfd(x.d, LIVENESS, 0xfffffff0, e));
	P("IOEVENTFD the same", ioeventfd(x.d, LIVENESS, 0xfffffff0, e));
	P("signals it", signals(e));
	P("the register", becomes(x.d, 0xf));
	C("IOEVENTFD, its own", ioeventfd(x.d, LIVENESS, 0xffffff00, own));
	C("signals its own", signals(own));
	P("the register then", becomes(x.d, 0xff));
	P("IOEVENTFD -1, the child's", ioeventfd(x.d, LIVENESS, 0xffffff00, -1));
	C("IOEVENTFD -1, gone already", ioeventfd(x.d, LIVENESS, 0xffffff00, -1));
	ends(PARENT, CHILD);
	P("IOEVENTFD -1, the first", ioeventfd(x.d, LIVENESS, 0xfffffff0, -1));
	close(e);
	teardown(x);
}

/* ---------------------------------------------------------------- DMA */
static void dma_of_child(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a page that the child maps");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads", device_reads(x.d, THERE));
	C("the device reads", device_reads(x.d, THERE));
	P("the device writes 33", device_writes(x.d, THERE, 33));
	C("its byte", p[0]);
	P("its byte", p[0]);
	DO(CHILD, p[0] = 44);
	DO(PARENT, p[0] = 12);
	P("the device reads what the child wrote", device_reads(x.d, THERE));
	C("the device writes 55", device_writes(x.d, THERE, 55));
	C("its byte then", p[0]);
	P("its byte then", p[0]);
	C("munmap", munmap(p, PG));
	P("the device reads, unmapped in the child", device_reads(x.d, THERE));
	C("another page there", mmap(p, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : -1);
	DO(CHILD, memset(p, 66, PG));
	P("the device reads, another page there", device_reads(x.d, THERE));
	P("the device writes 77", device_writes(x.d, THERE, 77));
	C("its byte in the other page", p[0]);
	ends(PARENT, CHILD);
	P("the device reads, the child gone", device_reads(x.d, THERE));
	P("the device writes 88, the child gone", device_writes(x.d, THERE, 88));
	P("the device reads that", device_reads(x.d, THERE));
	P("its byte, the child gone", p[0]);
	UNMAP(PARENT, "UNMAP", x.c, 0, THERE, PG);
	P("MAP its own", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads its own", device_reads(x.d, THERE));
	munmap(p, PG);
	teardown(x);
}

static void dma_of_parent(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a page that was mapped before the fork");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	P("MAP", dma_map(x.c, 3, p, THERE, PG));
	forks(PARENT, CHILD);
	C("its byte", p[0]);
	DO(CHILD, p[0] = 22);
	P("the device reads, the child has written", device_reads(x.d, THERE));
	DO(PARENT, p[0] = 33);
	P("the device reads, both have written", device_reads(x.d, THERE));
	C("the device writes 44", device_writes(x.d, THERE, 44));
	C("its byte then", p[0]);
	P("its byte then", p[0]);
	C("MAP its own too", dma_map(x.c, 3, p, THERE + PG, PG));
	C("the device reads both", device_reads(x.d, THERE), "and %d", device_reads(x.d, THERE + PG));
	P("munmap", munmap(p, PG));
	C("the device reads both, unmapped in the parent", device_reads(x.d, THERE), "and %d", device_reads(x.d, THERE + PG));
	UNMAP(CHILD, "UNMAP both", x.c, 0, THERE, 2 * PG);
	C("MAP where the parent has nothing", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads the child's", device_reads(x.d, THERE));
	ends(PARENT, CHILD);
	teardown(x);
}

static void dma_copy_on_write(void)
{
	unsigned char *p = page(MAP_PRIVATE), *r = page(MAP_PRIVATE), *s = page(MAP_SHARED), *without = page(MAP_PRIVATE), *null = page(MAP_PRIVATE);
	begin("a page that both still share");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	memset(r, 11, PG);
	memset(s, 11, PG);
	memset(without, 11, PG);
	madvise(without, PG, MADV_DONTFORK);
	forks(PARENT, CHILD);
	C("MAP, to read and write", dma_map(x.c, 3, p, THERE, PG));
	DO(PARENT, p[0] = 12);
	P("the device reads", device_reads(x.d, THERE));
	P("the device writes 22", device_writes(x.d, THERE, 22));
	C("its byte", p[0]);
	P("its byte", p[0]);
	C("MAP, to read alone", dma_map(x.c, 1, r, THERE + PG, PG));
	DO(PARENT, r[0] = 12);
	P("the device reads, mapped to read", device_reads(x.d, THERE + PG));
	DO(CHILD, r[0] = 23);
	P("the device reads, the child has written", device_reads(x.d, THERE + PG));
	P("the device writes 24, mapped to read", device_writes(x.d, THERE + PG, 24));
	C("its byte, mapped to read", r[0]);
	C("MAP, never touched", dma_map(x.c, 3, null, THERE + 2 * PG, PG));
	P("the device writes 25", device_writes(x.d, THERE + 2 * PG, 25));
	C("its byte, never touched", null[0]);
	P("its byte, never touched", null[0]);

	begin("a page that is shared for good");
	C("MAP", dma_map(x.c, 3, s, THERE + 3 * PG, PG));
	DO(PARENT, s[0] = 12);
	P("the device reads", device_reads(x.d, THERE + 3 * PG));
	P("the device writes 33", device_writes(x.d, THERE + 3 * PG, 33));
	C("its byte", s[0]);
	P("its byte", s[0]);
	LOCKED(CHILD, "its pages");
	LOCKED(PARENT, "its window");

	begin("a page that children do not get");
	C("MAP", dma_map(x.c, 3, without, THERE + 4 * PG, PG));
	P("MAP", dma_map(x.c, 3, without, THERE + 4 * PG, PG));
	C("the device reads", device_reads(x.d, THERE + 4 * PG));
	UNMAP(CHILD, "UNMAP", x.c, 0, THERE + 4 * PG, PG);

	begin("a file that only the child has");
	int fd = (int)LET(CHILD, memfd_create("child", MFD_CLOEXEC));
	unsigned char *f = NULL;
	DO(CHILD, ftruncate(fd, PG); f = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); memset(f, 55, PG));
	C("MAP", dma_map(x.c, 3, f, THERE + 5 * PG, PG));
	P("the device reads", device_reads(x.d, THERE + 5 * PG));
	P("the device writes 56", device_writes(x.d, THERE + 5 * PG, 56));
	C("its byte", f[0]);
	DO(CHILD, munmap(f, PG); close(fd));
	P("the device reads, unmapped and closed", device_reads(x.d, THERE + 5 * PG));
	ends(PARENT, CHILD);
	munmap(p, PG);
	munmap(r, PG);
	munmap(s, PG);
	munmap(without, PG);
	munmap(null, PG);
	teardown(x);
}

/* The child maps a page and is then gone, in one way or another. */
static void dma_and_gone(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a page of a child that is gone");
	struct ctx x = ready_for_dma();
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP, then it is killed", dma_map(x.c, 3, p, THERE, PG));
	DO(PARENT, kill(pids[CHILD], SIGKILL));
	if (me == CHILD)
		pause();
	P("the child is gone", reap(pids[CHILD]));
	P("the device reads", device_reads(x.d, THERE));
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 33, PG));
	C("MAP, then it execs", dma_map(x.c, 3, p, THERE + PG, PG));
	if (me == CHILD) {
		execl("/bin/sh", "sh", "-c", "exit 3", NULL);
		_exit(127);
	}
	P("the child is gone, its program has ended", reap(pids[CHILD]));
	P("the device reads the page of before exec", device_reads(x.d, THERE + PG));
	P("the device reads the first one's", device_reads(x.d, THERE));
	UNMAP(PARENT, "UNMAP both", x.c, 0, THERE, 2 * PG);
	LOCKED(PARENT, "its window");
	munmap(p, PG);
	teardown(x);
}

/* ---------------------------------------------------------------- a BAR, by mmap */
#define LOAD(who, what, p) BY(who, what, load(p), "0x%x", value)

static void bar_before(void)
{
	begin("a BAR that was mapped before the fork");
	struct ctx x = ready();
	volatile uint32_t *regs = map_bar(x.d);
	forks(PARENT, CHILD);
	LOAD(CHILD, "loads", regs);
	C("stores", store(regs + 1, 0x12345678));
	LOAD(PARENT, "loads what the child stored", regs + 1);
	P("stores", store(regs + 1, 0x01020304));
	LOAD(CHILD, "loads what the parent stored", regs + 1);
	REG(CHILD, "pread of that", x.d, LIVENESS);
	C("pwrite", set_reg(x.d, LIVENESS, 0x22222222));
	LOAD(PARENT, "loads what the child wrote", regs + 1);
	P("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", regs);
	C("stores, decoding off", store(regs + 1, 0));
	LOAD(PARENT, "loads, decoding off", regs);
	C("memory decoding on", decoding(x.d, true));
	LOAD(PARENT, "loads, decoding on", regs);
	LOAD(CHILD, "loads, decoding on", regs);
	C("memory decoding off", decoding(x.d, false));
	LOAD(PARENT, "loads, switched off by the child", regs);
	P("memory decoding on", decoding(x.d, true));
	C("mprotect to read", mprotect((void *)regs, PG, PROT_READ));
	C("stores, may not", store(regs + 1, 0));
	LOAD(CHILD, "loads, may", regs);
	P("stores, may still", store(regs + 1, 0x33333333));
	C("MAP the BAR for DMA", dma_map(x.c, 1, (void *)regs, 0x100000, PG));
	P("MAP the BAR for DMA", dma_map(x.c, 3, (void *)regs, 0x200000, PG));
	C("munmap", munmap((void *)regs, PG));
	LOAD(CHILD, "loads, unmapped", regs);
	LOAD(PARENT, "loads, unmapped in the child", regs);
	ends(PARENT, CHILD);
	LOAD(PARENT, "loads, the child gone", regs);
	munmap((void *)regs, PG);
	teardown(x);
}

static void bar_after(void)
{
	volatile uint32_t *regs = NULL;
	begin("a BAR that the child maps");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("mmap", (regs = map_bar(x.d)) ? 0 : -1);
	LOAD(CHILD, "loads", regs);
	C("stores", store(regs + 1, 0x12345678));
	REG(PARENT, "pread of that", x.d, LIVENESS);
	P("pwrite", set_reg(x.d, LIVENESS, 0x01020304));
	LOAD(CHILD, "loads what the parent wrote", regs + 1);
	P("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", regs);
	C("another mmap, decoding off", try_mmap(x.d, PG, PROT_READ, MAP_SHARED, 0));
	P("memory decoding on", decoding(x.d, true));
	LOAD(CHILD, "loads, decoding on", regs);
	C("mmap MAP_PRIVATE", try_mmap(x.d, PG, PROT_READ, MAP_PRIVATE, 0));
	C("mmap behind its end", try_mmap(x.d, PG, PROT_READ, MAP_SHARED, MB));
	C("mmap longer than it", try_mmap(x.d, 2 * MB, PROT_READ, MAP_SHARED, 0));
	C("mmap of config space", try_mmap(x.d, PG, PROT_READ, MAP_SHARED, CFG));
	C("mmap of a closed descriptor", try_mmap(NO_FD, PG, PROT_READ, MAP_SHARED, 0));

	begin("a mapping of the child's alone");
	DO(CHILD, close(x.c); close(x.g); close(x.d));
	P("close the device", close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	LOAD(CHILD, "loads, all closed", regs);
	C("stores, all closed", store(regs + 1, 0x44444444));
	x.d = PFD("the device anew", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	REG(PARENT, "reads what the child stored", x.d, LIVENESS);
	P("close the device again", close(x.d));
	P("UNSET_CONTAINER again", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("munmap", munmap((void *)regs, PG));
	P("UNSET_CONTAINER, unmapped", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(PARENT, CHILD);
	teardown((struct ctx){ x.c, x.g, -1 });

	begin("a mapping that ends with the child");
	x = ready();
	forks(PARENT, CHILD);
	C("mmap", (regs = map_bar(x.d)) ? 0 : -1);
	P("close the device", close(x.d));
	DO(CHILD, close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("close the group", close(x.g));
	DO(CHILD, close(x.g));
	P("the group is free", group_free(edu));
	LOAD(CHILD, "loads", regs);
	ends(PARENT, CHILD);
	P("the group is free then", group_free(edu));
	close(x.c);
}

/* ---------------------------------------------------------------- opened anew */
static void opened_anew(void)
{
	struct ctx y = { -1, -1, -1 };
	int cdev, iommu;
	uint32_t id = 0;
	begin("opened by the child, the parent has the group");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	y.c = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	C("GET_API_VERSION", ioctl(y.c, VFIO_GET_API_VERSION));
	C("SET_IOMMU without a group", ioctl(y.c, VFIO_SET_IOMMU, TYPE));
	CFD("open the group", open(group_path(edu), O_RDWR | O_CLOEXEC));
	CFD("open a group that does not exist", open("/dev/vfio/99999", O_RDWR | O_CLOEXEC));
	y.g = CFD("open another group", open(group_path(msix), O_RDWR | O_CLOEXEC));
	P("the other group is free", group_free(msix));
	C("SET_CONTAINER", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	C("SET_IOMMU", ioctl(y.c, VFIO_SET_IOMMU, TYPE));
	y.d = CFD("GET_DEVICE_FD", ioctl(y.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	C("GET_INFO", device_there(y.d));
	C("RESET", ioctl(y.d, VFIO_DEVICE_RESET));
	C("MAP", dma_map(y.c, 3, mem, 0x100000, SIZE));
	P("MAP the same, in another container", dma_map(x.c, 3, mem, 0x100000, SIZE));
	LOCKED(CHILD, "mapped");
	DO(CHILD, teardown(y));
	LOCKED(CHILD, "closed");
	P("the other group is free, closed", group_free(msix));
	y.g = PFD("open the other group", open(group_path(msix), O_RDWR | O_CLOEXEC));
	C("the other group is free", group_free(msix));
	P("it joins the container", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	DO(PARENT, close(y.g));
	if (!access("/dev/iommu", F_OK)) {
		cdev = CFD("open the device's node", open_cdev(edu));
		iommu = CFD("open /dev/iommu", open("/dev/iommu", O_RDWR | O_CLOEXEC));
		C("BIND_IOMMUFD", bind_to(cdev, iommu, &id));
		C("IOAS_ALLOC", ioas(iommu) ? 0 : -1);
		DO(CHILD, close(cdev));
		cdev = CFD("open the other device's node", open_cdev(msix));
		C("BIND_IOMMUFD the other", bind_to(cdev, iommu, &id));
		P("the other group is free, bound", group_free(msix));
		DO(CHILD, close(cdev); close(iommu));
		P("the other group is free, not bound", group_free(msix));
	}

	begin("opened by the child, the parent has closed the group");
	DO(PARENT, teardown(x));
	CFD("open the group, open still", open(group_path(edu), O_RDWR | O_CLOEXEC));
	DO(CHILD, teardown(x));
	y.g = CFD("open the group", open(group_path(edu), O_RDWR | O_CLOEXEC));
	P("the group is free", group_free(edu));
	y.c = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	C("SET_CONTAINER", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	C("SET_IOMMU", ioctl(y.c, VFIO_SET_IOMMU, TYPE));
	y.d = CFD("GET_DEVICE_FD", ioctl(y.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("MAP", dma_map(y.c, 3, mem, 0x100000, SIZE));
	C("config space", config16(y.d, 0));
	P("GET_INFO by its old number", device_there(x.d));
	ends(PARENT, CHILD);
	P("the group is free, the child gone", group_free(edu));
}

/* ---------------------------------------------------------------- attributes */
static void attributes(void)
{
	int attr, e;
	begin("attributes");
	struct ctx x = setup(msix, TYPE, 1);
	decoding(x.d, true);
	attr = open(pci_attr(msix, "driver_override"), O_RDWR | O_CLOEXEC);
	forks(PARENT, CHILD);
	C("vendor", 0, "%s", first_line(pci_attr(msix, "vendor")));
	C("enable", 0, "%s", first_line(pci_attr(msix, "enable")));
	C("write driver_override", write_attr(msix, "driver_override", "child"));
	P("driver_override", 0, "%s", first_line(pci_attr(msix, "driver_override")));
	P("write driver_override", write_attr(msix, "driver_override", "vfio-pci"));
	C("driver_override", 0, "%s", first_line(pci_attr(msix, "driver_override")));
	C("write driver_override, opened before the fork", pwrite(attr, "again", 5, 0));
	P("driver_override then", 0, "%s", first_line(pci_attr(msix, "driver_override")));
	C("write vendor", write_attr(msix, "vendor", "1"));
	C("write what does not exist", write_attr(msix, "nothing", "1"));
	DO(PARENT, write_attr(msix, "driver_override", "vfio-pci"));
	C("reset_method", 0, "%s", first_line(pci_attr(msix, "reset_method")));
	P("writes a register", set_reg(x.d, 0x14, 0x460000));
	C("write reset", write_attr(msix, "reset", "1"));
	REG(PARENT, "reads it", x.d, 0x14);
	C("write reset, garbage", write_attr(msix, "reset", "x"));
	C("config: the vendor's first byte", raw_config(msix, 0, NULL));
	C("config: write the interrupt line", raw_config(msix, 0x3c, &(uint8_t){ 0x77 }));
	P("config: the interrupt line", raw_config(msix, 0x3c, NULL));
	P("config: write the interrupt line", raw_config(msix, 0x3c, &(uint8_t){ 0x33 }));
	C("config: the interrupt line", raw_config(msix, 0x3c, NULL));
	C("the group by sysfs is the parent's", strcmp(group_path(msix), "/nonexistent") ? 0 : -1);
	C("write bind, bound already", write_file("/sys/bus/pci/drivers/vfio-pci/bind", msix));
	close(attr);

	begin("the child takes the device away");
	e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	P("SET_IRQS REQ", set_irq(x.d, REQ, e));
	DO(CHILD, teardown(x)); /* else it would wait for itself */
	if (me == CHILD)
		write_file("/sys/bus/pci/drivers/vfio-pci/unbind", msix);
	P("asked back", asked_back(e));
	P("GET_INFO", device_there(x.d));
	P("close the device", close(x.d));
	C("unbound", access(pci_attr(msix, "driver"), F_OK));
	P("unbound", access(pci_attr(msix, "driver"), F_OK));
	PFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("close the group", close(x.g));
	C("write bind", write_file("/sys/bus/pci/drivers/vfio-pci/bind", msix));
	P("bound", access(pci_attr(msix, "driver"), F_OK));
	ends(PARENT, CHILD);
	close(x.c);
	close(e);
	x = setup(msix, TYPE, 1);
	P("GET_INFO, bound again", device_there(x.d));
	teardown(x);
}

/* ---------------------------------------------------------------- iommufd */
struct iox { int i, d; uint32_t as, dev; };

/* An iommufd with an IOAS, and a device that is bound to it, or attached too. */
static struct iox iommufd_ready(bool attached)
{
	struct iox y = { .i = open("/dev/iommu", O_RDWR | O_CLOEXEC), .d = open_cdev(edu) };
	uint32_t pt;
	if (bind_to(y.d, y.i, &y.dev))
		fprintf(stderr, "BIND: %m\n");
	pt = y.as = ioas(y.i);
	if (attached && attach(y.d, 0, &pt))
		fprintf(stderr, "ATTACH: %m\n");
	decoding(y.d, true);
	return y;
}

static int copy(int i, uint32_t dst, uint64_t dst_iova, uint32_t src, uint64_t src_iova, uint64_t len)
{
	struct iommu_ioas_copy c = { .size = sizeof(c), .flags = FIXED | RD | WR, .dst_ioas_id = dst, .src_ioas_id = src, .length = len,
				     .dst_iova = dst_iova, .src_iova = src_iova };
	return ioctl(i, IOMMU_IOAS_COPY, &c);
}

static int map_file(int i, uint32_t as, int fd, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map_file m = { .size = sizeof(m), .flags = FIXED | WR | RD, .ioas_id = as, .fd = fd, .length = len, .iova = iova };
	return ioctl(i, IOMMU_IOAS_MAP_FILE, &m);
}

static int change_process(int i)
{
	struct iommu_ioas_change_process c = { .size = sizeof(c) };
	return ioctl(i, IOMMU_IOAS_CHANGE_PROCESS, &c);
}

static struct iommu_iova_range ranges[8];
static int iova_ranges(int i, uint32_t as, uint32_t *num, void *to)
{
	struct iommu_ioas_iova_ranges r = { .size = sizeof(r), .ioas_id = as, .num_iovas = *num, .allowed_iovas = (uintptr_t)to };
	int ret = ioctl(i, IOMMU_IOAS_IOVA_RANGES, &r);
	*num = r.num_iovas;
	return ret;
}

static uint32_t hwpt_alloc(int i, uint32_t dev, uint32_t as)
{
	struct iommu_hwpt_alloc h = { .size = sizeof(h), .dev_id = dev, .pt_id = as };
	return ioctl(i, IOMMU_HWPT_ALLOC, &h) ? 0 : h.out_hwpt_id;
}

#define PINNED(who, what) BY(who, what ", KiB pinned", status_kb("VmPin"))
#define IUNMAP(who, what, i, as, iova, len) BY(who, what, iunmap(i, as, iova, len), "length out 0x%llx", (unsigned long long)unmapped)

static void iommufd_objects(void)
{
	struct { struct iommu_ioas_alloc a; } bad = { .a.size = 0 };
	struct iommu_hw_info hi = { .size = sizeof(hi) };
	uint32_t a, b, num = 8, hw;
	uint64_t v = 0;
	begin("iommufd objects");
	struct iox y = iommufd_ready(true);
	a = ioas(y.i);
	forks(PARENT, CHILD);
	C("IOAS_ALLOC size 0", ioctl(y.i, IOMMU_IOAS_ALLOC, &bad));
	C("IOAS_ALLOC bad pointer", ioctl(y.i, IOMMU_IOAS_ALLOC, BAD));
	C("IOAS_ALLOC of a closed descriptor", ioas(NO_FD) ? 0 : -1);
	C("unknown command", ioctl(y.i, _IO(IOMMUFD_TYPE, 0x7f), &bad));
	C("foreign ioctl", ioctl(y.i, _IO('T', 1), &bad));
	C("read", read(y.i, &bad, 8));
	b = (uint32_t)C("IOAS_ALLOC, its id", ioas(y.i));
	P("IOAS_ALLOC, its id", ioas(y.i));
	P("MAP in the child's", imap(y.i, b, FIXED | RD | WR, mem, PG, 0x100000));
	P("DESTROY the child's", destroy(y.i, b));
	C("DESTROY it again", destroy(y.i, b));
	C("MAP in it", imap(y.i, b, FIXED | RD | WR, mem, PG, 0x100000));
	C("DESTROY the parent's", destroy(y.i, a));
	P("DESTROY it again", destroy(y.i, a));
	C("DESTROY one that is attached", destroy(y.i, y.as));
	C("DESTROY id 9999", destroy(y.i, 9999));
	C("IOVA_RANGES", iova_ranges(y.i, y.as, &num, ranges), "num %u, the first 0x%llx-0x%llx", num, ranges[0].start, ranges[0].last);
	C("IOVA_RANGES bad pointer", iova_ranges(y.i, y.as, &(uint32_t){ 8 }, BAD));
	C("IOVA_RANGES room for none", iova_ranges(y.i, y.as, &(uint32_t){ 0 }, NULL));
	C("HWPT_ALLOC missing device", hwpt_alloc(y.i, 9999, y.as) ? 0 : -1);
	hw = (uint32_t)LET(CHILD, hwpt_alloc(y.i, y.dev, y.as));
	C("HWPT_ALLOC", hw ? 0 : -1);
	P("ATTACH to it", attach(y.d, 0, &(uint32_t){ hw }));
	C("DESTROY it, attached", destroy(y.i, hw));
	C("DETACH", detach(y.d, 0));
	P("DETACH again", detach(y.d, 0));
	P("DESTROY it, detached", destroy(y.i, hw));
	DO(CHILD, hi.dev_id = y.dev);
	C("GET_HW_INFO", ioctl(y.i, IOMMU_GET_HW_INFO, &hi), "type %u", hi.out_data_type);
	C("OPTION huge pages", iopt(y.i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, y.as, &v));
	P("OPTION huge pages, get", iopt(y.i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, y.as, &v), "value %llu", (unsigned long long)v);
	struct iommu_vfio_ioas vi = { .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = y.as };
	C("VFIO_IOAS SET", ioctl(y.i, IOMMU_VFIO_IOAS, &vi));
	DO(PARENT, vi = (struct iommu_vfio_ioas){ .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_GET });
	P("VFIO_IOAS GET", ioctl(y.i, IOMMU_VFIO_IOAS, &vi), "the same %d", vi.ioas_id == y.as);
	C("GET_API_VERSION", ioctl(y.i, VFIO_GET_API_VERSION));
	C("MAP_DMA", dma_map(y.i, 3, mem, 0x100000, SIZE));
	IUNMAP(PARENT, "UNMAP that", y.i, y.as, 0x100000, SIZE);
	ends(PARENT, CHILD);
	P("DESTROY the IOAS", destroy(y.i, y.as));
	DO(PARENT, vi.op = IOMMU_VFIO_IOAS_CLEAR, ioctl(y.i, IOMMU_VFIO_IOAS, &vi));
	P("DESTROY the IOAS, cleared", destroy(y.i, y.as));
	close(y.d);
	close(y.i);
}

static void iommufd_queue(void)
{
	struct iommu_fault_alloc q = { .size = sizeof(q) };
	char b[64];
	uint32_t id;
	int fd;
	begin("a fault queue of the child's");
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	forks(PARENT, CHILD);
	C("FAULT_QUEUE_ALLOC", ioctl(i, IOMMU_FAULT_QUEUE_ALLOC, &q));
	id = (uint32_t)LET(CHILD, q.out_fault_id);
	fd = (int)LET(CHILD, (int)q.out_fault_fd);
	P("has no such descriptor", fcntl(fd, F_GETFD));
	C("poll", poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0));
	C("read of 0 bytes", read(fd, b, 0));
	P("DESTROY, open in the child", destroy(i, id));
	C("close", close(fd));
	P("DESTROY, closed", destroy(i, id));
	ends(PARENT, CHILD);
	close(i);
}

static void iommufd_mapping(void)
{
	unsigned char *p = page(MAP_PRIVATE), *alone = mem + 5 * MB;
	int fd;
	uint32_t two;
	begin("iommufd map and unmap");
	struct iox y = iommufd_ready(true);
	two = ioas(y.i);
	memset(p, 11, PG);
	P("MAP the window", imap(y.i, y.as, FIXED | RD | WR, window, PG, WINDOW));
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP bad pointer", ioctl(y.i, IOMMU_IOAS_MAP, BAD));
	C("MAP flags 8", imap(y.i, y.as, 8 | RD, mem, PG, 0x300000));
	C("MAP user_va not mapped", imap(y.i, y.as, FIXED | RD | WR, (void *)PG, PG, 0x300000));
	C("MAP missing IOAS", imap(y.i, 9999, FIXED | RD | WR, mem, PG, 0x300000));
	C("MAP over the window", imap(y.i, y.as, FIXED | RD | WR, mem, PG, WINDOW));
	C("MAP", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE));
	P("MAP the same", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE));
	P("the device reads", device_reads(y.d, THERE));
	P("the device writes 33", device_writes(y.d, THERE, 33));
	C("its byte", p[0]);
	P("its byte", p[0]);
	P("COPY what the child mapped", copy(y.i, two, 0x100000, y.as, THERE, PG));
	P("COPY it beside", copy(y.i, y.as, THERE + PG, y.as, THERE, PG));
	IUNMAP(PARENT, "UNMAP it", y.i, y.as, THERE, PG);
	IUNMAP(CHILD, "UNMAP it again", y.i, y.as, THERE, PG);
	P("the device reads by the copy", device_reads(y.d, THERE + PG));
	C("munmap", munmap(p, PG));
	P("the device reads by the copy, unmapped in the child", device_reads(y.d, THERE + PG));
	P("COPY back from the other IOAS", copy(y.i, y.as, THERE, two, 0x100000, PG));
	P("the device reads then", device_reads(y.d, THERE));
	DO(CHILD, mprotect(alone, SIZE, PROT_READ | PROT_WRITE); memset(alone, 55, SIZE));
	C("MAP what it alone has", imap(y.i, y.as, FIXED | RD | WR, alone, SIZE, 0x300000));
	P("MAP what the child alone has", imap(y.i, y.as, FIXED | RD | WR, alone, SIZE, 0x400000));
	P("the device reads that", device_reads(y.d, 0x300000));
	fd = (int)LET(CHILD, high(memfd_create("child", MFD_CLOEXEC), 320));
	DO(CHILD, ftruncate(fd, SIZE); pwrite(fd, (char[]){ 66 }, 1, 0));
	P("MAP_FILE by the child's number", map_file(y.i, y.as, fd, SIZE, 0x500000));
	C("MAP_FILE", map_file(y.i, y.as, fd, SIZE, 0x500000));
	C("MAP_FILE no file", map_file(y.i, y.as, y.i, SIZE, 0x600000));
	P("the device reads the file", device_reads(y.d, 0x500000));
	ends(PARENT, CHILD);
	P("the device reads the file, the child gone", device_reads(y.d, 0x500000));
	P("the device reads the child's memory, the child gone", device_reads(y.d, 0x300000));
	P("COPY it, the child gone", copy(y.i, y.as, 0x700000, y.as, 0x300000, SIZE));
	P("the device reads that copy", device_reads(y.d, 0x700000));
	IUNMAP(PARENT, "UNMAP all", y.i, y.as, 0, -1ull);
	munmap(p, PG);
	close(y.d);
	close(y.i);
}

/* Memory is pinned when something is attached: whose, and what if that process has ended? */
static void iommufd_later(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	uint32_t pt;
	begin("pinned later");
	struct iox y = iommufd_ready(false);
	memset(p, 11, PG);
	P("MAP the window", imap(y.i, y.as, FIXED | RD | WR, window, PG, WINDOW));
	P("MAP before the fork", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE));
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE + PG));
	pt = y.as;
	C("ATTACH", attach(y.d, 0, &pt));
	P("the device reads the parent's", device_reads(y.d, THERE));
	P("the device reads the child's", device_reads(y.d, THERE + PG));
	PINNED(CHILD, "attached");
	PINNED(PARENT, "attached");
	P("DETACH", detach(y.d, 0));
	ends(PARENT, CHILD);
	pt = y.as;
	P("ATTACH, the child gone", attach(y.d, 0, &pt));
	P("COPY what the child mapped", copy(y.i, y.as, 0x300000, y.as, THERE + PG, PG));
	IUNMAP(PARENT, "UNMAP what the child mapped", y.i, y.as, THERE + PG, PG);
	IUNMAP(PARENT, "UNMAP its copy", y.i, y.as, 0x300000, PG);
	pt = y.as;
	P("ATTACH then", attach(y.d, 0, &pt));
	P("the device reads the parent's then", device_reads(y.d, THERE));
	munmap(p, PG);
	close(y.d);
	close(y.i);
}

static void iommufd_process(const char *topic, uint64_t mode, bool may_lock)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	uint32_t pt;
	begin(topic);
	ipc_lock(may_lock);
	ftruncate(fd, SIZE);
	struct iox y = { .i = open("/dev/iommu", O_RDWR | O_CLOEXEC), .d = open_cdev(edu) };
	P("OPTION", iopt(y.i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &mode));
	bind_to(y.d, y.i, &y.dev);
	pt = y.as = ioas(y.i);
	attach(y.d, 0, &pt);
	P("MAP_FILE", map_file(y.i, y.as, fd, SIZE, 0x100000));
	forks(PARENT, CHILD);
	PINNED(PARENT, "mapped");
	PINNED(CHILD, "mapped by the parent");
	C("CHANGE_PROCESS bad pointer", ioctl(y.i, IOMMU_IOAS_CHANGE_PROCESS, BAD));
	C("CHANGE_PROCESS", change_process(y.i));
	PINNED(PARENT, "given away");
	PINNED(CHILD, "taken");
	C("MAP memory", imap(y.i, y.as, FIXED | RD | WR, mem, SIZE, 0x200000));
	PINNED(CHILD, "memory mapped");
	PINNED(PARENT, "memory mapped by the child");
	P("CHANGE_PROCESS, memory is mapped too", change_process(y.i));
	C("CHANGE_PROCESS to the same, memory is mapped too", change_process(y.i));
	IUNMAP(PARENT, "UNMAP the memory", y.i, y.as, 0x200000, SIZE);
	PINNED(CHILD, "memory unmapped by the parent");
	PINNED(PARENT, "memory unmapped");
	P("CHANGE_PROCESS back", change_process(y.i));
	PINNED(PARENT, "taken back");
	PINNED(CHILD, "given back");
	ends(PARENT, CHILD);
	IUNMAP(PARENT, "UNMAP", y.i, y.as, 0x100000, SIZE);
	PINNED(PARENT, "unmapped");
	ipc_lock(true);
	close(y.d);
	close(y.i);
	close(fd);
}

static void iommufd_gone(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	begin("mapped by a process that is gone");
	ftruncate(fd, SIZE);
	struct iox y = iommufd_ready(true);
	forks(PARENT, CHILD);
	C("MAP_FILE", map_file(y.i, y.as, fd, SIZE, 0x100000));
	ends(PARENT, CHILD);
	P("CHANGE_PROCESS", change_process(y.i));
	IUNMAP(PARENT, "UNMAP", y.i, y.as, 0x100000, SIZE);
	P("CHANGE_PROCESS, nothing mapped", change_process(y.i));
	close(y.d);
	close(y.i);
	close(fd);
}

static void cdev(void)
{
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), d, own, second;
	uint32_t id = 0, as, pt;
	struct vfio_device_bind_iommufd bind = { .argsz = 8, .iommufd = i };
	char b[8];
	begin("a device's node");
	d = open_cdev(edu);
	forks(PARENT, CHILD);
	C("GET_INFO before BIND", device_there(d));
	C("pread before BIND", pread(d, b, 4, (off_t)CFG));
	C("mmap before BIND", try_mmap(d, PG, PROT_READ, MAP_SHARED, 0));
	C("ATTACH before BIND", attach(d, 0, &(uint32_t){ 1 }));
	C("BIND argsz 8", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	C("BIND bad pointer", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, BAD));
	C("BIND iommufd -1", bind_to(d, -1, &id));
	C("BIND a closed descriptor", bind_to(d, NO_FD, &id));
	C("BIND no iommufd", bind_to(d, 0, &id));
	own = CFD("an iommufd of its own", high(open("/dev/iommu", O_RDWR | O_CLOEXEC), 330));
	P("BIND by that number", bind_to(d, own, &id));
	C("BIND", bind_to(d, i, &id));
	P("GET_INFO", device_there(d));
	P("BIND again", bind_to(d, i, &id));
	C("BIND to another", bind_to(d, own, &id));
	second = CFD("the node once more", open_cdev(edu));
	C("BIND that", bind_to(second, i, &id));
	P("the group is free", group_free(edu));
	as = (uint32_t)LET(PARENT, ioas(i));
	pt = as;
	C("ATTACH", attach(d, 0, &pt));
	C("ATTACH missing id", attach(d, 0, &(uint32_t){ 9999 }));
	C("ATTACH bad pointer", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, BAD));
	P("DESTROY the IOAS", destroy(i, as));
	P("DETACH", detach(d, 0));
	C("DESTROY the IOAS, detached", destroy(i, as));
	C("GET_REGION_INFO of config space", config16(d, 0));
	C("unknown ioctl", ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	P("close the node", close(d));
	C("GET_INFO, closed in the parent", device_there(d));
	P("the group is free, closed", group_free(edu));
	C("close the node", close(d));
	P("the group is free, closed by both", group_free(edu));
	C("BIND the second, to its own", bind_to(second, own, &id));
	as = (uint32_t)C("IOAS_ALLOC in its own", ioas(own));
	pt = as;
	C("ATTACH the second", attach(second, 0, &pt));
	P("the group is free, bound by the child", group_free(edu));
	ends(PARENT, CHILD);
	P("the group is free, the child gone", group_free(edu));
	close(i);
}

/* ---------------------------------------------------------------- descriptors */
static void descriptors(void)
{
	int a, b, ep;
	struct stat st, st2;
	begin("descriptors");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	a = CFD("dup the device", dup(x.d));
	C("GET_INFO by it", device_there(a));
	b = CFD("F_DUPFD_CLOEXEC the container", fcntl(x.c, F_DUPFD_CLOEXEC, 200));
	C("the type by it", type_there(b));
	C("its F_GETFD", fcntl(b, F_GETFD));
	C("close the container", close(x.c));
	C("the type by the duplicate", type_there(b));
	C("MAP by the duplicate", dma_map(b, 3, mem, 0x100000, PG));
	C("dup2 the duplicate back", dup2(b, x.c) == x.c ? 0 : -1);
	C("the type by the old number", type_there(x.c));
	C("dup3 the device over its duplicate", dup3(x.d, a, O_CLOEXEC) == a ? 0 : -1);
	C("GET_INFO by that", device_there(a));
	C("close the duplicate", close(a));
	C("GET_INFO, closed", device_there(a));
	C("GET_INFO by the first", device_there(x.d));
	C("F_GETFL of the device", (fcntl(x.d, F_GETFL) & O_ACCMODE) == O_RDWR ? 0 : -1);
	C("F_SETFL O_NONBLOCK", fcntl(x.d, F_SETFL, fcntl(x.d, F_GETFL) | O_NONBLOCK));
	P("F_GETFL", fcntl(x.d, F_GETFL) & O_NONBLOCK ? 1 : 0);
	C("F_SETFD 0", fcntl(x.d, F_SETFD, 0));
	P("F_GETFD", fcntl(x.d, F_GETFD));
	C("poll the device", poll(&(struct pollfd){ .fd = x.d, .events = POLLIN }, 1, 0));
	C("poll the container", poll(&(struct pollfd){ .fd = x.c, .events = POLLIN }, 1, 0));
	ep = (int)LET(CHILD, epoll_create1(EPOLL_CLOEXEC));
	C("epoll of the device", epoll_ctl(ep, EPOLL_CTL_ADD, x.d, &(struct epoll_event){ .events = EPOLLIN }));
	C("fstat the group", fstat(x.g, &st), "a character device %d", S_ISCHR(st.st_mode));
	C("the same as its node", stat(group_path(edu), &st2), "%d", st.st_rdev == st2.st_rdev && st.st_ino == st2.st_ino);
	C("close_range over all", close_range(3, 400, 0));
	C("GET_INFO, all closed", device_there(x.d));
	P("GET_INFO", device_there(x.d));
	P("the type", type_there(x.c));
	ends(PARENT, CHILD);
	teardown(x);
}

/* Each opens something after the fork and gives it to the other. */
static void passed_on(void)
{
	int s[2], d = -1, c, got = -1;
	begin("passed on by a socket");
	struct ctx x = setup(edu, TYPE, 0);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s);
	forks(PARENT, CHILD);
	d = CFD("GET_DEVICE_FD", high(ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu), 340));
	C("sends it", send_fd(s[0], d));
	got = PFD("receives it", receive_fd(s[1]));
	P("GET_INFO", device_there(got));
	P("memory decoding on", decoding(got, true));
	C("memory decoding", config16(d, 4));
	REG(PARENT, "a register", got, 0);
	P("mmap", try_mmap(got, PG, PROT_READ, MAP_SHARED, 0));
	C("close", close(d));
	P("GET_INFO, closed in the child", device_there(got));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("close", close(got));
	P("UNSET_CONTAINER, closed", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	c = CFD("open /dev/vfio/vfio", high(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), 340));
	C("sends that", send_fd(s[0], c));
	got = PFD("receives that", receive_fd(s[1]));
	P("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &got));
	C("SET_IOMMU", ioctl(c, VFIO_SET_IOMMU, TYPE));
	P("MAP", dma_map(got, 3, mem, 0x100000, SIZE));
	C("MAP the same", dma_map(c, 3, mem, 0x100000, SIZE));
	d = PFD("GET_DEVICE_FD", high(ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu), 350));
	C("has no such descriptor", fcntl(d, F_GETFD));
	P("sends it", send_fd(s[1], d));
	DO(PARENT, close(d));
	d = CFD("receives it", receive_fd(s[0]));
	C("GET_INFO", device_there(d));
	C("config space", config16(d, 0));
	P("UNSET_CONTAINER, the child has the device", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(PARENT, CHILD);
	P("UNSET_CONTAINER, the child gone", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(got);
	close(s[0]);
	close(s[1]);
	teardown(x);
}

/* ---------------------------------------------------------------- more than one child */
static void grandchild(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), d;
	unsigned char *p = page(MAP_PRIVATE);
	begin("a grandchild");
	names[OTHER] = "grandchild";
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	struct ctx x = ready_for_dma();
	volatile uint32_t *regs = map_bar(x.d);
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	forks(CHILD, OTHER);
	pids[OTHER] = (pid_t)LET(CHILD, pids[OTHER]);
	DO(OTHER, memset(p, 33, PG));
	O("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	O("GET_STATUS", group_flags(x.g));
	O("GET_INFO", device_there(x.d));
	O("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	O("GET_INFO by what the child opened", device_there(d));
	O("MAP", dma_map(x.c, 3, p, THERE, PG));
	C("MAP the same", dma_map(x.c, 3, p, THERE, PG));
	C("MAP its own", dma_map(x.c, 3, p, THERE + PG, PG));
	P("MAP its own", dma_map(x.c, 3, p, THERE + 2 * PG, PG));
	O("the device reads all", device_reads(x.d, THERE), "%d %d", device_reads(x.d, THERE + PG), device_reads(x.d, THERE + 2 * PG));
	O("SET_IRQS", set_irq(x.d, MSI, e));
	C("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	LOAD(OTHER, "loads", regs);
	O("stores", store(regs + 1, 0x12345678));
	LOAD(PARENT, "loads that", regs + 1);
	ends(PARENT, CHILD);
	O("GET_INFO, the child gone", device_there(x.d));
	O("GET_INFO by what the child opened, the child gone", device_there(d));
	O("the device reads all, the child gone", device_reads(x.d, THERE), "%d %d", device_reads(x.d, THERE + PG), device_reads(x.d, THERE + 2 * PG));
	UNMAP(OTHER, "UNMAP what the child mapped", x.c, 0, THERE + PG, PG);
	P("close the device", close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(PARENT, OTHER);
	munmap((void *)regs, PG);
	P("UNSET_CONTAINER, the grandchild gone", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	munmap(p, PG);
	close(e);
	teardown((struct ctx){ x.c, x.g, -1 });
}

static void two_children(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), d, own, same;
	unsigned char *p = page(MAP_PRIVATE);
	begin("two children");
	names[OTHER] = "second child";
	struct ctx x = ready_for_dma();
	volatile uint32_t *regs = map_bar(x.d);
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	forks(PARENT, OTHER);
	DO(CHILD, memset(p, 22, PG));
	DO(OTHER, memset(p, 33, PG));
	C("MAP", dma_map(x.c, 3, p, THERE, PG));
	O("MAP the same", dma_map(x.c, 3, p, THERE, PG));
	O("MAP beside it", dma_map(x.c, 3, p, THERE + PG, PG));
	P("the device reads both", device_reads(x.d, THERE), "and %d", device_reads(x.d, THERE + PG));
	C("the device writes 44 to the second's", device_writes(x.d, THERE + PG, 44));
	O("its byte", p[0]);
	C("its byte", p[0]);
	P("its byte", p[0]);
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	O("has no such descriptor", device_there(d));
	same = FD(OTHER, "GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	O("the number is the same", d == same);
	C("close it", close(d));
	O("GET_INFO by its own", device_there(same));
	C("GET_INFO, closed", device_there(d));
	own = (int)LET(OTHER, high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 360));
	O("SET_IRQS, its own", set_irq(x.d, MSI, own));
	C("trigger", trigger(x.d, MSI));
	O("signalled, its own", arrives(own));
	C("SET_IRQS, inherited", set_irq(x.d, MSI, e));
	O("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	C("stores", store(regs + 1, 0x12345678));
	LOAD(OTHER, "loads that", regs + 1);
	O("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", regs);
	C("memory decoding on", decoding(x.d, true));
	LOAD(OTHER, "loads, decoding on", regs);
	UNMAP(OTHER, "UNMAP the first's", x.c, 0, THERE, PG);
	ends(PARENT, CHILD);
	O("GET_INFO, the first gone", device_there(x.d));
	P("the device reads the second's", device_reads(x.d, THERE + PG));
	ends(PARENT, OTHER);
	P("GET_INFO, both gone", device_there(x.d));
	munmap((void *)regs, PG);
	munmap(p, PG);
	close(e);
	teardown(x);
}

/* ---------------------------------------------------------------- the parent lets go */
static void keeps_what_parent_closed(void)
{
	int d, i = -1;
	uint32_t as = 0;
	unsigned char *p = page(MAP_PRIVATE);
	begin("the parent has closed all");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	P("MAP", dma_map(x.c, 3, p, THERE, PG));
	if (!access("/dev/iommu", F_OK)) {
		i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		as = ioas(i);
	}
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	DO(PARENT, teardown(x); close(i); munmap(p, PG));
	P("the group is free", group_free(edu));
	LOCKED(PARENT, "closed");
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("GET_STATUS", group_flags(x.g));
	C("GET_INFO", device_there(x.d));
	P("GET_INFO", device_there(x.d));
	REG(CHILD, "a register", x.d, 0);
	C("the device reads what the parent mapped", device_reads(x.d, THERE));
	C("MAP", dma_map(x.c, 3, p, THERE + PG, PG));
	C("the device reads its own", device_reads(x.d, THERE + PG));
	UNMAP(CHILD, "UNMAP what the parent mapped", x.c, 0, THERE, PG);
	LOCKED(PARENT, "unmapped by the child");
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("close the first", close(x.d));
	C("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("close the second", close(d));
	C("UNSET_CONTAINER, no device open", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("the type", type_there(x.c));
	P("the group is free, the child has it", group_free(edu));
	C("close the group", close(x.g));
	P("the group is free, closed by the child", group_free(edu));
	if (i >= 0) {
		C("MAP in the iommufd", imap(i, as, FIXED | RD | WR, mem, PG, 0x100000));
		C("DESTROY its IOAS", destroy(i, as));
	}
	ends(PARENT, CHILD);
	x = setup(edu, TYPE, 1);
	P("GET_INFO, opened anew", device_there(x.d));
	teardown(x);
}

/* ---------------------------------------------------------------- vfork and exec */
static void executes(void)
{
	pid_t pid;
	begin("vfork and exec");
	struct ctx x = ready();
	T("parent: MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	flush_row();
	fflush(stdout);
	pid = vfork();
	if (!pid) {
		close(x.d);
		close(x.g);
		close(x.c);
		execl("/bin/sh", "sh", "-c", "exit 5", NULL);
		_exit(127);
	}
	T("parent: the child ends, it closed all", reap(pid));
	T("parent: GET_INFO", device_there(x.d));
	T("parent: MAP the same", dma_map(x.c, 3, mem, 0x100000, SIZE));
	T("parent: UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	pid = vfork();
	if (!pid)
		_exit(device_there(x.d) ? 1 : 6);
	T("parent: the child ends, it asked the device", reap(pid));
	pid = vfork();
	if (!pid) {
		execl("/bin/does-not-exist", "x", NULL);
		_exit(7);
	}
	T("parent: the child ends, it has no program", reap(pid));
	T("parent: GET_INFO then", device_there(x.d));
	T("parent: close the device", close(x.d));
	T("parent: UNSET_CONTAINER then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	teardown((struct ctx){ x.c, x.g, -1 });
}

/* This program once more, executed by a child with what it inherited open: asks and says it. */
static int executed(const char *c, const char *g, const char *d)
{
	struct ctx x = { atoi(c), atoi(g), atoi(d) };
	begin("a program that a child executes");
	T("program: GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	T("program: GET_STATUS", group_flags(x.g));
	T("program: GET_INFO", device_there(x.d));
	T("program: GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	T("program: the identity", get_reg(x.d, 0));
	note("0x%x", value);
	T("program: MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	T("program: KiB locked", status_kb("VmLck"));
	volatile uint32_t *regs = map_bar(x.d);
	T("program: mmap", regs ? 0 : -1);
	if (regs)
		T("program: stores", store(regs + 1, 0x12345678));
	T("program: UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("program: open the group", group_free(edu));
	flush_row();
	return 0;
}

static void executes_with_them(void)
{
	char c[16], g[16], d[16];
	begin("a program that a child executes");
	struct ctx x = ready();
	snprintf(c, sizeof(c), "%d", x.c);
	snprintf(g, sizeof(g), "%d", x.g);
	snprintf(d, sizeof(d), "%d", x.d);
	forks(PARENT, CHILD);
	if (me == CHILD) {
		for (int i = 0; i < 3; i++)
			fcntl(i == 0 ? x.c : i == 1 ? x.g : x.d, F_SETFD, 0);
		execl("/proc/self/exe", "executed", edu, msix, "executed", c, g, d, NULL);
		_exit(127);
	}
	T("parent: it ends", reap(pids[CHILD]));
	T("parent: the register that it stored", get_reg(x.d, LIVENESS));
	note("0x%x", value);
	T("parent: MAP what it mapped", dma_map(x.c, 3, mem, 0x100000, SIZE));
	teardown(x);
}

/* ---------------------------------------------------------------- the parent ends */
static void outlives(void)
{
	unsigned char *p;
	int d, e;
	uint32_t as = 0, pt;
	struct iox y = { -1, -1, 0, 0 };
	me = ABOVE;
	forks(ABOVE, PARENT);
	begin("the parent has ended");
	if (me == ABOVE)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	struct ctx x = { -1, -1, -1 };
	p = page(MAP_PRIVATE);
	memset(p, 11, PG);
	if (me == PARENT) {
		x = ready_for_dma();
		if (!access("/dev/iommu", F_OK)) {
			y.i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
			y.d = open_cdev(msix);
			bind_to(y.d, y.i, &y.dev);
			as = ioas(y.i);
		}
	}
	P("MAP", dma_map(x.c, 3, p, THERE, PG));
	y.i = (int)LET(PARENT, y.i);
	if (y.i >= 0)
		P("MAP in the iommufd", imap(y.i, as, FIXED | RD | WR, p, PG, THERE));
	forks(PARENT, CHILD);
	pids[CHILD] = (pid_t)LET(PARENT, pids[CHILD]);
	DO(CHILD, memset(p, 22, PG));
	BY(ABOVE, "the group is free", group_free(edu));
	ends(ABOVE, PARENT);
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("the type", type_there(x.c));
	C("GET_STATUS", group_flags(x.g));
	C("GET_INFO", device_there(x.d));
	C("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	REG(CHILD, "a register", x.d, 0);
	C("the device reads what the parent mapped", device_reads(x.d, THERE));
	C("the device writes 33 there", device_writes(x.d, THERE, 33));
	C("its byte", p[0]);
	C("MAP the same", dma_map(x.c, 3, p, THERE, PG));
	C("MAP its own", dma_map(x.c, 3, p, THERE + PG, PG));
	C("the device reads its own", device_reads(x.d, THERE + PG));
	LOCKED(CHILD, "mapped");
	UNMAP(CHILD, "UNMAP both", x.c, 0, THERE, 2 * PG);
	LOCKED(CHILD, "unmapped");
	e = (int)LET(CHILD, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	C("SET_IRQS", set_irq(x.d, MSI, e));
	C("trigger", trigger(x.d, MSI));
	C("signalled", arrives(e));
	volatile uint32_t *regs = NULL;
	C("mmap the BAR", (regs = map_bar(x.d)) ? 0 : -1);
	LOAD(CHILD, "loads", regs);
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	BY(ABOVE, "the group is free, the parent gone", group_free(edu));
	DO(CHILD, if (regs) munmap((void *)regs, PG); close(d));
	if (y.i >= 0) {
		begin("the parent has ended, iommufd");
		C("GET_INFO", device_there(y.d));
		C("IOAS_ALLOC", ioas(y.i) ? 0 : -1);
		pt = as;
		C("ATTACH, memory of the parent's is mapped", attach(y.d, 0, &pt));
		IUNMAP(CHILD, "UNMAP it", y.i, as, THERE, PG);
		pt = as;
		C("ATTACH then", attach(y.d, 0, &pt));
		C("MAP its own", imap(y.i, as, FIXED | RD | WR, p, PG, THERE));
		C("CHANGE_PROCESS", change_process(y.i));
		C("DESTROY, attached", destroy(y.i, as));
		C("DETACH", detach(y.d, 0));
		C("DESTROY", destroy(y.i, as));
	}
	begin("the parent and then the child have ended");
	ends(ABOVE, CHILD);
	BY(ABOVE, "the group is free", group_free(edu));
	BY(ABOVE, "the other group is free", group_free(msix));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	me = PARENT;
	munmap(p, PG);
}

/* ---------------------------------------------------------------- a thread forks */
static void *thread(void *unused)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a child of a thread");
	struct ctx x = ready_for_dma();
	volatile uint32_t *regs = map_bar(x.d);
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("GET_STATUS", group_flags(x.g));
	C("GET_INFO", device_there(x.d));
	C("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	C("MAP", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads", device_reads(x.d, THERE));
	LOCKED(CHILD, "mapped");
	LOAD(CHILD, "loads", regs);
	C("stores", store(regs + 1, 0x12345678));
	LOAD(PARENT, "loads that", regs + 1);
	int d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("GET_INFO by that", device_there(d));
	C("write driver_override", write_attr(edu, "driver_override", "child"));
	P("driver_override", 0, "%s", first_line(pci_attr(edu, "driver_override")));
	DO(PARENT, write_attr(edu, "driver_override", "vfio-pci"));
	ends(PARENT, CHILD);
	munmap((void *)regs, PG);
	munmap(p, PG);
	teardown(x);
	return unused;
}

static void threads(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	const struct sigaction sa = { .sa_handler = on_bus };
	start(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	alarm(300);
	if (argc > 6)
		return executed(argv[4], argv[5], argv[6]);
	turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	window = page(MAP_SHARED);
	outlives(); /* before anything else, so that the grandparent has had no device yet */
	container();
	mapping();
	vaddr();
	dirty_bitmap();
	group();
	same_numbers();
	device_info();
	device_io();
	resets();
	interrupts();
	ioeventfds();
	dma_of_child();
	dma_of_parent();
	dma_copy_on_write();
	dma_and_gone();
	bar_before();
	bar_after();
	opened_anew();
	attributes();
	descriptors();
	passed_on();
	grandchild();
	two_children();
	keeps_what_parent_closed();
	executes();
	executes_with_them();
	if (!access("/dev/iommu", F_OK)) {
		iommufd_objects();
		iommufd_queue();
		iommufd_mapping();
		iommufd_later();
		iommufd_process("accounts of a process", 1, false);
		iommufd_process("accounts of a process that may lock all", 1, true);
		iommufd_process("accounts of a user", 0, false);
		iommufd_gone();
		cdev();
	}
	threads();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
