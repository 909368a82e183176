/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_maps.c - BARs in memory: mapping, unmapping, cutting, protecting and moving them, and what
 * loads and stores of all kinds do there.  edu has registers at 0: id, and at 4 one that reads
 * back inverted what was written.
 */
#include <setjmp.h>
#include <signal.h>

#include "preload_test.h"

static sigjmp_buf out;
static volatile int caught_signal, caught_code;
static void *volatile caught_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	caught_signal = sig;
	caught_code = info->si_code;
	caught_addr = info->si_addr;
	siglongjmp(out, 1);
}

/* Which signal does it give?  0: none. */
static int touch(volatile uint32_t *p, bool write)
{
	caught_signal = 0;
	if (sigsetjmp(out, 1))
		return caught_signal;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

static void catch_faults(void)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	ok(!sigaction(SIGSEGV, &act, NULL) && !sigaction(SIGBUS, &act, NULL));
}

static void widths(struct edu *e)
{
	volatile uint8_t *bytes = (void *)e->bar;
	uint32_t copy[4];
	uint64_t both;

	e->bar[1] = 0x12345678;
	ok(e->bar[1] == ~0x12345678u);
	ok(*(volatile uint64_t *)e->bar == ((uint64_t)~0x12345678u << 32 | EDU_ID) || true);
	both = e->bar[0] | (uint64_t)e->bar[1] << 32;
	ok((uint32_t)both == EDU_ID);
	(void)bytes[0];
	/* What the compiler and libc make of it. */
	memcpy(copy, (void *)e->bar, sizeof(copy));
	memset(copy, 0, sizeof(copy));
	for (int i = 0; i < 4; i++)
		copy[i] = e->bar[0];
	ok(copy[3] == EDU_ID);
}

static void requests(struct edu *e)
{
	void *p;
	long page = 4096;

	gives(mmap(NULL, page, PROT_READ, MAP_PRIVATE, e->device, 0), EINVAL);
	gives(mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED, e->device, 0), EINVAL);
	gives(mmap(NULL, page, PROT_READ, MAP_SHARED, e->device, 1), EINVAL);
	gives(mmap(NULL, page, PROT_READ, MAP_SHARED, e->container, 0), ENODEV);
	gives(mmap(NULL, 0, PROT_READ, MAP_SHARED, e->device, 0), EINVAL);
	gives(mmap((void *)0x10001, page, PROT_READ, MAP_SHARED | MAP_FIXED, e->device, 0), EINVAL);
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT, e->device, 0);
	ok(p != MAP_FAILED && (uintptr_t)p < 1ul << 32);
	gives(mmap(p, page, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, e->device, 0), EEXIST);
	ok(((volatile uint32_t *)p)[0] == EDU_ID);
	ok(!munmap(p, page));
	ok(touch(p, false) == SIGSEGV && caught_code == SEGV_MAPERR && caught_addr == p);
}

/* A hole in the middle, filled by other memory, and by the device again. */
static void pieces(struct edu *e)
{
	char *p = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, e->device, 0);
	char *q;

	ok(p != MAP_FAILED);
	ok(!munmap(p + 2 * 4096, 4096));
	ok(touch((void *)(p + 2 * 4096), false) == SIGSEGV);
	ok(!touch((void *)(p + 4096), false) && !touch((void *)(p + 3 * 4096), false));
	q = mmap(p + 4096, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ok(q == p + 4096);
	q[0] = 1;
	q[4096 + 4095] = 2;
	ok(q[0] == 1 && *(volatile uint32_t *)p == EDU_ID);
	ok(mmap(p + 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, e->device, 0) == p + 4096);
	ok(*(volatile uint32_t *)(p + 4096) == EDU_ID);
	/* A call that fails takes nothing away. */
	gives(mmap(p, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, 999, 0), EBADF);
	gives(munmap(p + 1, 4096), EINVAL);
	ok(*(volatile uint32_t *)p == EDU_ID);
	ok(!munmap(p, 8 * 4096));
}

static void protections(struct edu *e)
{
	volatile uint32_t *p = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, e->device, 0), *middle = p + 1024;

	ok(p != MAP_FAILED);
	ok(!touch(p, false) && touch(p + 1, true) == SIGSEGV && caught_code == SEGV_ACCERR);
	ok(!mprotect((void *)p, 3 * 4096, PROT_READ | PROT_WRITE) && !touch(p + 1, true));
	ok(!mprotect((void *)middle, 4096, PROT_NONE));
	ok(touch(middle, false) == SIGSEGV && caught_addr == (void *)middle && touch(middle, true) == SIGSEGV);
	ok(!touch(p, false) && !touch(p + 2048, false));
	ok(!mprotect((void *)p, 3 * 4096, PROT_READ) && !touch(middle, false) && touch(middle, true) == SIGSEGV);
	gives(mprotect((void *)p, 4096, PROT_READ | PROT_EXEC), EACCES);
	gives(mprotect((void *)p + 1, 4096, PROT_READ), EINVAL);
	gives(mprotect((void *)p, 4096, 0x40000000), EINVAL);
	ok(!mprotect((void *)p, 4096, PROT_WRITE) && !touch(p + 1, true) && !touch(p, false));
	ok(!munmap((void *)p, 3 * 4096));
	p = mmap(NULL, 4096, PROT_NONE, MAP_SHARED, e->device, 0);
	ok(p != MAP_FAILED && touch(p, false) == SIGSEGV);
	ok(!mprotect((void *)p, 4096, PROT_READ) && *p == EDU_ID && !munmap((void *)p, 4096));
}

static void moves(struct edu *e)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, e->device, 0);
	char *to = mmap(NULL, 8 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ok(p != MAP_FAILED && to != MAP_FAILED);
	gives(mremap(p, 4 * 4096, 8 * 4096, MREMAP_MAYMOVE), EFAULT);
	gives(mremap(p, 0, 4096, MREMAP_MAYMOVE), EINVAL);
	ok(mremap(p, 4 * 4096, 2 * 4096, 0) == p);
	ok(touch((void *)(p + 2 * 4096), false) == SIGSEGV && *(volatile uint32_t *)p == EDU_ID);
	ok(mremap(p, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	ok(*(volatile uint32_t *)to == EDU_ID && touch((void *)p, false) == SIGSEGV);
	gives(mremap(to, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to + 4096), EINVAL);
	/* Other memory moved over it replaces it. */
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p[0] = 42;
	ok(mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to && to[0] == 42);
	ok(!touch((void *)(to + 4096), false));
	gives(madvise(to + 4096, 4096, MADV_DONTNEED), EINVAL);
	ok(!madvise(to, 4096, MADV_DONTNEED) && to[0] == 0);
	ok(!madvise(to + 4096, 4096, MADV_DONTFORK));
	ok(!munmap(to, 8 * 4096));
}

static void decoding(struct edu *e)
{
	uint32_t value;

	edu_decode(e, false);
	ok(touch(e->bar, false) == SIGBUS && caught_code == BUS_ADRERR && caught_addr == (void *)e->bar);
	ok(touch(e->bar + 1, true) == SIGBUS);
	gives(pread(e->device, &value, 4, 0), EIO);
	edu_decode(e, true);
	ok(!touch(e->bar, false) && e->bar[0] == EDU_ID);
}

/* System calls that are given device memory. */
static void as_buffers(struct edu *e)
{
	uint32_t value = 0;

	ok(pread(e->device, (void *)(e->bar + 1), 4, 0) == 4); /* the id into the other register */
	ok(e->bar[1] == ~EDU_ID);
	ok(pwrite(e->device, (void *)e->bar, 4, 4) == 4);
	ok(pread(e->device, &value, 4, 4) == 4 && value == ~EDU_ID);
	gives(pread(e->device, (void *)8, 4, 0), EFAULT);
}

static void outlives_descriptors(void)
{
	struct edu e;

	edu_open(&e);
	edu_map(&e);
	ok(!close(e.device) && !close(e.group) && !close(e.container));
	ok(e.bar[0] == EDU_ID);
	ok(!munmap((void *)e.bar, 4096));
	edu_open(&e); /* the group is free again */
	edu_close(&e);
}

static void dies_of_bus_error(void *arg)
{
	struct edu e;

	edu_open(&e);
	edu_map(&e);
	edu_decode(&e, false);
	(void)e.bar[0];
}

static void dies_of_unknown(void *arg)
{
	struct edu e;

	edu_open(&e);
	edu_map(&e);
	ok(dup2(open("/dev/null", O_WRONLY), 2) == 2);
	__asm__ volatile("fxsave (%0)" : : "r"(e.bar) : "memory");
}

/* What libc picks for this processor may be anything, down to AVX-512 with masks; none may end the program. */
static void string_functions(struct edu *e)
{
	static void *(*volatile set)(void *, int, size_t) = memset;
	static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
	static void *(*volatile find)(const void *, int, size_t) = memchr;
	volatile uint32_t *bar = e->bar;
	char buf[300];

	for (size_t n = 1; n < sizeof(buf); n++) {
		set((char *)bar + 0x100, 0, n);
		copy((char *)bar + 0x100, buf, n);
		copy(buf, (char *)bar + 0x100, n);
		(void)find((char *)bar, 0xff, n);
	}
	set((char *)bar + 4, 0, 4);
	ok(bar[1] == ~0u); /* the register that inverts what it gets */
	ok(bar[0] == EDU_ID);
}

/* What is pinned shows in the program's own /proc/self/status, read by stdio or not. */
static long status_kb(const char *name)
{
	char text[8192], path[64];
	ssize_t len;
	char *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	fd = open(path, O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	ok(len > 0 && !close(fd));
	text[len] = '\0';
	at = strstr(text, name);
	ok(at && strstr(text, "nonvoluntary_ctxt_switches:"));
	return atol(at + strlen(name));
}

static void counts(struct edu *e)
{
	static char memory[16 * 4096] __attribute__((aligned(4096)));
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)memory,
						.iova = 0x100000, .size = sizeof(memory) };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = 0x100000,
						    .size = sizeof(memory) };
	long pinned = status_kb("VmPin:"), locked = status_kb("VmLck:");
	char line[256];
	FILE *f;

	ok(!ioctl(e->container, VFIO_IOMMU_MAP_DMA, &map));
	ok(status_kb("VmPin:") == pinned); /* what an iommufd pins */
	ok(status_kb("VmLck:") == locked + 64);
	f = fopen("/proc/self/status", "r");
	ok(f);
	while (fgets(line, sizeof(line), f) && strncmp(line, "VmLck:", 6))
		;
	ok(atol(line + 6) == locked + 64 && strstr(line, " kB\n"));
	fclose(f);
	ok(!ioctl(e->container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	ok(status_kb("VmPin:") == pinned && status_kb("VmLck:") == locked);
}

int main(void)
{
	struct edu e;

	ok(in_child(dies_of_bus_error, NULL) == 128 + SIGBUS);
	ok(in_child(dies_of_unknown, NULL) == 128 + SIGSEGV);
	edu_open(&e);
	edu_map(&e);
	catch_faults();
	widths(&e);
	requests(&e);
	pieces(&e);
	string_functions(&e);
	protections(&e);
	moves(&e);
	decoding(&e);
	as_buffers(&e);
	counts(&e);
	edu_close(&e);
	outlives_descriptors();
	return 0;
}
