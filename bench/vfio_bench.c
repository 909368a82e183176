/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_bench.c - what calls, mappings, trapped accesses and interrupts cost a program.
 *
 * usage: vfio_bench [EDU]    a PCI address; uAPI only: it would run on a real /dev/vfio too
 *	  vfio_bench --segv   print the yardstick alone, in nanoseconds
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "bench/bench.h"
#include "examples/vfio_user.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MIB (1ul << 20)
#define GIB (1ul << 30)

static double getppid_ns, eventfd_ns, segv_ns;

/* The bare round trip: a load faults, the handler steps over it. */
static void step_over(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

/* In a program under the front end this handler would come second: ask the kernel for it directly. */
struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};
extern void bare_restorer(void);
__asm__(".text\n.globl bare_restorer\nbare_restorer:\n\tmov $15, %eax\n\tsyscall\n");

static double measure_segv(void)
{
	struct kernel_sigaction bare = { .handler = step_over, .flags = SA_SIGINFO | SA_NODEFER | 0x04000000,
					 .restorer = bare_restorer }, old;
	double ns;

	if (syscall(SYS_rt_sigaction, SIGSEGV, &bare, &old, 8))
		die("rt_sigaction");
	ns = BENCH(2000, __asm__ volatile("movl (%%rax), %%ecx" : : "a"(8) : "rcx", "memory"));
	syscall(SYS_rt_sigaction, SIGSEGV, &old, NULL, 8);
	return ns;
}

static void yardsticks(void)
{
	const int efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	const uint64_t one = 1;

	getppid_ns = BENCH(20000, bench_syscall(SYS_getppid, 0, 0, 0));
	eventfd_ns = BENCH(20000, if (bench_syscall(SYS_write, efd, (long)&one, 8) != 8) die("eventfd"));
	segv_ns = measure_segv();
	bench_yardstick("yardstick: getppid", getppid_ns);
	bench_yardstick("yardstick: eventfd write", eventfd_ns);
	bench_yardstick("yardstick: bare SIGSEGV round trip", segv_ns);
	close(efd);
}

static void bench_info(struct vfio_dev *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	union {
		struct vfio_iommu_type1_info info;
		char room[4096]; /* the call writes as much as argsz says */
	} iommu = { .info.argsz = sizeof(iommu) };

	bench_ratio("DEVICE_GET_INFO", BENCH(20000, ioctl(dev->device, VFIO_DEVICE_GET_INFO, &info)), getppid_ns,
		    "getppid", 0.3);
	bench_ratio("IOMMU_GET_INFO", BENCH(20000, ioctl(dev->container, VFIO_IOMMU_GET_INFO, &iommu)), getppid_ns,
		    "getppid", 0.3);
}

static void map_unmap(struct vfio_dev *dev, void *mem, uint64_t iova, size_t size)
{
	vfio_map(dev, mem, iova, size);
	vfio_unmap(dev, iova, size);
}

static size_t heap_bytes(void)
{
	long pages = 0, dummy = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%ld %ld", &dummy, &pages) != 2)
		die("/proc/self/statm");
	fclose(f);
	return (size_t)pages * 4096;
}

/* @count mappings of a page from iova 2^41 on are there; they are mapped again for each round. */
static void bench_unmap_all(struct vfio_dev *dev, char *mem, uint64_t count)
{
	struct vfio_iommu_type1_dma_unmap all = { .argsz = sizeof(all), .flags = VFIO_DMA_UNMAP_FLAG_ALL };
	double rounds[5];

	for (int r = 0; r < 5; r++) {
		double start;

		for (uint64_t i = 0; r && i < count; i++)
			vfio_map(dev, mem + i * 4096, (1ul << 41) + i * 4096, 4096);
		all.size = 0; /* it came back as what was unmapped */
		start = bench_cpu_ns();
		if (ioctl(dev->container, VFIO_IOMMU_UNMAP_DMA, &all))
			die("UNMAP_DMA of all");
		rounds[r] = bench_cpu_ns() - start;
	}
	qsort(rounds, 5, sizeof(double), bench_compare);
	bench_yardstick("yardstick: 60,000 getppid", getppid_ns * (double)count);
	bench_ratio("UNMAP ALL of 60,000 mappings", rounds[2], 1e7, "of 10 ms", 1);
}

/* 16 GiB of I/O addresses, which the same gibibyte of memory serves. */
static void bench_dirty_bitmap(struct vfio_dev *dev, char *mem)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} req = { .dirty.argsz = sizeof(req) };
	const size_t bytes = 16 * GIB / 4096 / 8;
	uint64_t *bits = calloc(1, bytes);
	double ns;

	for (uint64_t i = 0; i < 16; i++)
		vfio_map(dev, mem, (1ul << 41) + i * GIB, GIB);
	req.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	if (!bits || ioctl(dev->container, VFIO_IOMMU_DIRTY_PAGES, &req))
		die("DIRTY_PAGES_FLAG_START");
	req.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	req.get.iova = 1ul << 41;
	req.get.size = 16 * GIB;
	req.get.bitmap.pgsize = 4096;
	req.get.bitmap.size = bytes;
	req.get.bitmap.data = (void *)bits;
	bench_yardstick("yardstick: memset of its 512 KiB", BENCH(20, memset(bits, 1, bytes); __asm__ volatile("" : : "r"(bits) : "memory")));
	ns = BENCH(20, if (ioctl(dev->container, VFIO_IOMMU_DIRTY_PAGES, &req)) die("GET_BITMAP"));
	bench_ratio("dirty bitmap of 16 GiB", ns, 5e6, "of 5 ms", 1);
	req.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	ioctl(dev->container, VFIO_IOMMU_DIRTY_PAGES, &req);
	vfio_unmap(dev, 1ul << 41, 16 * GIB);
	free(bits);
}

static void bench_map(struct vfio_dev *dev)
{
	enum { MANY = 60000 };
	char *mem = mmap(NULL, 2 * GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before, after;
	double bare;

	if (mem == MAP_FAILED)
		die("memory");
	mem = (char *)(((uintptr_t)mem + GIB - 1) & ~(GIB - 1));
	madvise(mem, GIB, MADV_HUGEPAGE);
	memset(mem, 1, GIB);
	bench_ratio("MAP+UNMAP 4 KiB", BENCH(5000, map_unmap(dev, mem, 1ul << 40, 4096)), getppid_ns, "getppid", 4);

	bare = BENCH(200, madvise(mem, 2 * MIB, MADV_POPULATE_WRITE));
	bench_yardstick("yardstick: populate of 2 MiB", bare);
	double map = 0;
	for (int i = 0; i < 200; i++) {
		const double start = bench_now_ns();
		vfio_map(dev, mem, 1ul << 40, 2 * MIB);
		map += (bench_now_ns() - start) / 200;
		vfio_unmap(dev, 1ul << 40, 2 * MIB);
	}
	bench_ratio("MAP 2 MiB", map, bare, "populate", 1.5);
	bare = BENCH(3, madvise(mem, GIB, MADV_POPULATE_WRITE));
	bench_yardstick("yardstick: populate of 1 GiB", bare);
	map = 0;
	for (int i = 0; i < 20; i++) {
		const double start = bench_now_ns();
		vfio_map(dev, mem, 1ul << 40, GIB);
		map += (bench_now_ns() - start) / 20;
		vfio_unmap(dev, 1ul << 40, GIB);
	}
	bench_ratio("MAP 1 GiB", map, bare, "populate", 1.5);

	before = heap_bytes();
	for (uint64_t i = 0; i < MANY; i++)
		vfio_map(dev, mem + i * 4096, (1ul << 41) + i * 4096, 4096);
	after = heap_bytes();
	bench_limit("bookkeeping per mapping", (double)(after - before) / MANY, "bytes", 160);
	bench_ratio("MAP+UNMAP 4 KiB with 60,000 others",
		    BENCH(5000, map_unmap(dev, mem, 1ul << 40, 4096)), getppid_ns, "getppid", 4);
	bench_unmap_all(dev, mem, MANY);
	bench_dirty_bitmap(dev, mem);
	munmap(mem, GIB);
}

/*
 * The device is told to raise an interrupt by pwrite(), which costs no trap; what remains beside the
 * pwrite() of another register is the interrupt.  A system call costs more between other work than in
 * a loop of nothing else, so its yardstick is an eventfd write at the same place.  All three are
 * measured in each round, since the machine's speed drifts more than the differences, and in the thread's
 * own time, since nothing here waits.
 */
static double write_ns(struct vfio_dev *dev, uint64_t reg, int efd)
{
	const uint32_t value = 1;
	const uint64_t one = 1;
	const double start = bench_cpu_ns();

	for (int i = 0; i < 5000; i++) {
		if (pwrite(dev->device, &value, sizeof(value), (off_t)(dev->regions[0].offset + reg)) != sizeof(value))
			die("pwrite to a register");
		if (efd >= 0)
			bench_syscall(SYS_write, efd, (long)&one, sizeof(one));
	}
	return (bench_cpu_ns() - start) / 5000;
}

static void bench_interrupt(struct vfio_dev *dev, int efd)
{
	double interrupt[BENCH_ROUNDS], eventfd_write[BENCH_ROUNDS];

	for (int r = 0; r < BENCH_ROUNDS; r++) {
		const double bare = write_ns(dev, 0x04, -1);

		eventfd_write[r] = write_ns(dev, 0x04, efd) - bare;
		interrupt[r] = write_ns(dev, 0x60, -1) - bare;
	}
	qsort(interrupt, BENCH_ROUNDS, sizeof(double), bench_compare);
	qsort(eventfd_write, BENCH_ROUNDS, sizeof(double), bench_compare);
	bench_yardstick("yardstick: eventfd write between others", eventfd_write[BENCH_ROUNDS / 2]);
	bench_ratio("interrupt (MSI to eventfd)", interrupt[BENCH_ROUNDS / 2], eventfd_write[BENCH_ROUNDS / 2],
		    "eventfd", 1.3);
}

/*
 * From an eventfd by way of a register write to the interrupt's eventfd, and back.  The yardstick is a
 * thread that does nothing but read the one and write the other.
 */
struct echo { int in, out; };

static void *echo(void *arg)
{
	const struct echo *e = arg;
	uint64_t count;

	while (bench_syscall(SYS_read, e->in, (long)&count, 8) == 8 && count < 1000)
		bench_syscall(SYS_write, e->out, (long)&count, 8);
	return NULL;
}

static double round_trip(int out, int in)
{
	const uint64_t one = 1;
	uint64_t count;
	double start = bench_now_ns();

	for (int i = 0; i < 2000; i++)
		if (bench_syscall(SYS_write, out, (long)&one, 8) != 8 || bench_syscall(SYS_read, in, (long)&count, 8) != 8)
			die("round trip");
	return (bench_now_ns() - start) / 2000;
}

/* On one CPU: waking the other one costs many times what is measured, and not always both ways pay it. */
static void bench_ioeventfd(struct vfio_dev *dev)
{
	cpu_set_t all, one;
	struct echo e = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	const int doorbell = eventfd(0, EFD_CLOEXEC), irq = eventfd(0, EFD_CLOEXEC);
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = dev->regions[0].offset + 0x60, .data = 1,
		.fd = doorbell,
	};
	double bare[BENCH_ROUNDS], ours[BENCH_ROUNDS];
	const uint64_t end = 1000;
	pthread_t thread;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* threads made from here on stay there too */
	if (pthread_create(&thread, NULL, echo, &e))
		die("thread");
	vfio_irq_eventfd(dev, VFIO_PCI_MSI_IRQ_INDEX, irq);
	if (ioctl(dev->device, VFIO_DEVICE_IOEVENTFD, &io))
		die("DEVICE_IOEVENTFD");
	for (int r = 0; r < BENCH_ROUNDS; r++) {
		bare[r] = round_trip(e.in, e.out);
		ours[r] = round_trip(doorbell, irq);
	}
	qsort(bare, BENCH_ROUNDS, sizeof(double), bench_compare);
	qsort(ours, BENCH_ROUNDS, sizeof(double), bench_compare);
	bench_yardstick("yardstick: eventfd to a thread and back", bare[BENCH_ROUNDS / 2]);
	bench_ratio("IOEVENTFD to interrupt", ours[BENCH_ROUNDS / 2], bare[BENCH_ROUNDS / 2], "round trips", 1.2);
	io.fd = -1;
	ioctl(dev->device, VFIO_DEVICE_IOEVENTFD, &io);
	bench_syscall(SYS_write, e.in, (long)&end, 8);
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(all), &all);
	close(e.in);
	close(e.out);
	close(doorbell);
	close(irq);
}

static void bench_mmio(struct vfio_dev *dev)
{
	volatile uint32_t *regs = vfio_bar(dev, 0);
	const int efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	double load, store;

	load = BENCH(2000, (void)regs[1]);
	store = BENCH(2000, regs[1] = 5);
	bench_ratio("trapped load", load, segv_ns, "SIGSEGV", 1.15);
	bench_ratio("trapped store", store, segv_ns, "SIGSEGV", 1.15);
	vfio_enable_master(dev);
	vfio_irq_eventfd(dev, VFIO_PCI_MSI_IRQ_INDEX, efd);
	bench_interrupt(dev, efd);
	bench_ioeventfd(dev);
	vfio_irq_eventfd(dev, VFIO_PCI_MSI_IRQ_INDEX, -1);
	munmap((void *)regs, dev->regions[0].size);
	close(efd);
}

int main(int argc, char **argv)
{
	struct vfio_dev dev;

	if (argc > 1 && !strcmp(argv[1], "--segv")) {
		printf("%.1f\n", measure_segv());
		return 0;
	}
	vfio_open(&dev, argc > 1 ? argv[1] : "0000:01:00.0");
	yardsticks();
	bench_info(&dev);
	bench_map(&dev);
	bench_mmio(&dev);
	vfio_close(&dev);
	return 0;
}
