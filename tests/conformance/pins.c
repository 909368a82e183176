/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins.c - memory that a device has mapped outlives what the program does to its address space.
 *
 * usage: pins [PCI address of an edu device [seed]]
 *
 * Each case writes a pattern, maps the page for DMA, does something to the address (munmap, a mapping
 * over it, mremap, madvise, mprotect), and lets the device read and write by the same IOVA.  The device must
 * meet the old page, and what is at the address now must not change.  edu moves bytes between memory and
 * a buffer of its own; what it wrote to memory that no program address leads to is read back by it and
 * written to a window that stays mapped.  A random sequence against a plain model comes last.
 *
 * uAPI only: it must pass on Linux.  The first failure ends the program with status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define PAGE 4096ul
#define WINDOW_IOVA 0x100000ul	/* one page of memory that stays where it is */
#define TEST_IOVA 0x200000ul
#define EDU_BUFFER 0x40000ul
enum { EDU_ID = 0, EDU_DMA_SRC = 0x80, EDU_DMA_DST = 0x88, EDU_DMA_COUNT = 0x90, EDU_DMA_CMD = 0x98 };
#define EDU_DMA_START 1u
#define EDU_DMA_FROM_DEVICE 2u

#define ok(what) do {									\
	if (!(what)) {									\
		fprintf(stderr, "%s:%d: %s: not so (errno %d)\n", __FILE__, __LINE__, #what, errno); \
		exit(1);								\
	}										\
} while (0)

static const char *bdf = "0000:01:00.0";
static int container, group, device;
static volatile uint8_t *regs;
static uint8_t *window;

/* ---- the device ---- */

static void attach(void)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	char link[300], path[64];
	uint16_t command;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	ok(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(path, O_RDWR);
	ok(container >= 0 && group >= 0);
	ok(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	ok(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	ok(device >= 0);
	ok(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar));
	ok(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config));
	ok(pread(device, &command, 2, (off_t)config.offset + 4) == 2);
	command |= 6;
	ok(pwrite(device, &command, 2, (off_t)config.offset + 4) == 2);
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	ok(regs != MAP_FAILED);
	ok(*(volatile uint32_t *)(regs + EDU_ID) == 0x010000edu);
}

static void dma(uint64_t src, uint64_t dst, uint32_t flags)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	*(volatile uint64_t *)(regs + EDU_DMA_SRC) = src;
	*(volatile uint64_t *)(regs + EDU_DMA_DST) = dst;
	*(volatile uint64_t *)(regs + EDU_DMA_COUNT) = PAGE;
	*(volatile uint64_t *)(regs + EDU_DMA_CMD) = EDU_DMA_START | flags;
	for (int i = 0; *(volatile uint32_t *)(regs + EDU_DMA_CMD) & EDU_DMA_START; i++) {
		ok(i < 100000);
		nanosleep(&pause, NULL);
	}
}

static void map_dma(void *mem, uint64_t iova, size_t len, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = flags,
						.vaddr = (uintptr_t)mem, .iova = iova, .size = len };

	ok(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
}

static void unmap_dma(uint64_t iova, size_t len)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = len };

	ok(!ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) && unmap.size == len);
}

#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* ---- pages of one byte ---- */

static bool all(const uint8_t *p, uint8_t byte)
{
	return p[0] == byte && !memcmp(p, p + 1, PAGE - 1);
}

/* The device reads the page at @iova: what is in it? */
static bool device_sees(uint64_t iova, uint8_t byte)
{
	memset(window, (uint8_t)~byte, PAGE);
	dma(iova, EDU_BUFFER, 0);
	dma(EDU_BUFFER, WINDOW_IOVA, EDU_DMA_FROM_DEVICE);
	return all(window, byte);
}

static void device_writes(uint64_t iova, uint8_t byte)
{
	memset(window, byte, PAGE);
	dma(WINDOW_IOVA, EDU_BUFFER, 0);
	dma(EDU_BUFFER, iova, EDU_DMA_FROM_DEVICE);
}

static uint8_t *pages_at(void *where, size_t count, int prot, int flags, int fd)
{
	uint8_t *p = mmap(where, count * PAGE, prot, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	ok(p != MAP_FAILED && (!where || p == where));
	return p;
}

static uint8_t *pages(size_t count)
{
	return pages_at(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
}

static void fill(uint8_t *p, size_t count, uint8_t first)
{
	for (size_t i = 0; i < count; i++)
		memset(p + i * PAGE, (int)(first + i), PAGE);
}

static int shared_file(size_t count)
{
	int fd = memfd_create("pins", MFD_CLOEXEC);

	ok(fd >= 0 && !ftruncate(fd, (off_t)(count * PAGE)));
	return fd;
}

/* The device has @byte at @iova, keeps what it writes there, and @now, which the program sees, stays. */
static void device_keeps(uint64_t iova, uint8_t byte, const uint8_t *now, uint8_t now_byte)
{
	ok(device_sees(iova, byte));
	device_writes(iova, (uint8_t)(byte + 100));
	ok(device_sees(iova, (uint8_t)(byte + 100)));
	if (now)
		ok(all(now, now_byte));
}

/* Program and device see the same page. */
static void still_shared(uint64_t iova, uint8_t *p, uint8_t byte)
{
	ok(device_sees(iova, byte) && all(p, byte));
	device_writes(iova, 200);
	ok(all(p, 200));
	memset(p, 201, PAGE);
	ok(device_sees(iova, 201));
}

/* ---- cases ---- */

static void unmapped(int flags)
{
	int fd = flags & MAP_SHARED ? shared_file(3) : -1;
	uint8_t *p = pages_at(NULL, 3, PROT_READ | PROT_WRITE, flags, fd);

	fill(p, 3, 1);
	map_dma(p, TEST_IOVA, 3 * PAGE, RW);
	ok(!munmap(p, 3 * PAGE));
	for (unsigned i = 0; i < 3; i++)
		device_keeps(TEST_IOVA + i * PAGE, (uint8_t)(1 + i), NULL, 0);
	pages_at(p, 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, -1);
	memset(p, 50, 3 * PAGE);
	device_keeps(TEST_IOVA + PAGE, 102, p + PAGE, 50);
	unmap_dma(TEST_IOVA, 3 * PAGE);
	ok(!munmap(p, 3 * PAGE));
	if (fd >= 0)
		close(fd);
}

/* The same address, again and again, with all generations mapped. */
static void generations(void)
{
	uint8_t *p = pages(2);

	for (unsigned i = 0; i < 12; i++) {
		fill(p, 2, (uint8_t)(10 * i));
		map_dma(p, TEST_IOVA + i * 0x10000, 2 * PAGE, RW);
		pages_at(p, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, -1);
	}
	fill(p, 2, 250);
	for (unsigned i = 0; i < 12; i++)
		ok(device_sees(TEST_IOVA + i * 0x10000, (uint8_t)(10 * i)) &&
		   device_sees(TEST_IOVA + i * 0x10000 + PAGE, (uint8_t)(10 * i + 1)));
	for (unsigned i = 0; i < 12; i += 2)
		unmap_dma(TEST_IOVA + i * 0x10000, 2 * PAGE);
	for (unsigned i = 1; i < 12; i += 2)
		device_keeps(TEST_IOVA + i * 0x10000, (uint8_t)(10 * i), p, 250);
	for (unsigned i = 1; i < 12; i += 2)
		unmap_dma(TEST_IOVA + i * 0x10000, 2 * PAGE);
	ok(!munmap(p, 2 * PAGE));
}

/* Twice mapped, partly overlapping; a hole in the middle is unmapped. */
static void overlapping(void)
{
	uint8_t *p = pages(8);

	fill(p, 8, 1);
	map_dma(p, TEST_IOVA, 8 * PAGE, RW);
	map_dma(p + 2 * PAGE, TEST_IOVA + 0x100000, 4 * PAGE, RW);
	map_dma(p, TEST_IOVA + 0x200000, 8 * PAGE, RW);
	ok(!munmap(p + 3 * PAGE, 2 * PAGE));
	device_writes(TEST_IOVA + 3 * PAGE, 77);
	ok(device_sees(TEST_IOVA + 0x100000 + PAGE, 77) && device_sees(TEST_IOVA + 0x200000 + 3 * PAGE, 77));
	unmap_dma(TEST_IOVA, 8 * PAGE);
	ok(device_sees(TEST_IOVA + 0x100000 + PAGE, 77) && device_sees(TEST_IOVA + 0x100000 + 2 * PAGE, 5));
	unmap_dma(TEST_IOVA + 0x200000, 8 * PAGE);
	ok(device_sees(TEST_IOVA + 0x100000 + PAGE, 77) && device_sees(TEST_IOVA + 0x100000 + 2 * PAGE, 5));
	still_shared(TEST_IOVA + 0x100000, p + 2 * PAGE, 3);
	unmap_dma(TEST_IOVA + 0x100000, 4 * PAGE);
	ok(!munmap(p, 8 * PAGE));
}

/* A call that fails takes nothing away. */
static void failed_calls(void)
{
	uint8_t *p = pages(1);

	fill(p, 1, 9);
	map_dma(p, TEST_IOVA, PAGE, RW);
	ok(mmap(p, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, 999, 0) == MAP_FAILED && errno == EBADF);
	ok(munmap(p + 1, PAGE) && errno == EINVAL);
	ok(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED &&
	   errno == EEXIST);
	still_shared(TEST_IOVA, p, 9);
	ok(!syscall(SYS_mlock, p, PAGE)); /* sanitizers make libc's do nothing */
	ok(madvise(p, PAGE, MADV_DONTNEED) && errno == EINVAL);
	still_shared(TEST_IOVA, p, 201);
	ok(!syscall(SYS_munlock, p, PAGE));
	ok(madvise(p, PAGE, MADV_REMOVE) && errno == EINVAL); /* not a shared mapping */
	still_shared(TEST_IOVA, p, 201);
	unmap_dma(TEST_IOVA, PAGE);
	ok(!munmap(p, PAGE));
}

static void remapped(int flags)
{
	int fd = flags & MAP_SHARED ? shared_file(4) : -1;
	uint8_t *p = pages_at(NULL, 4, PROT_READ | PROT_WRITE, flags, fd), *q = pages(4), *r;

	fill(p, 4, 1);
	fill(q, 4, 60);
	map_dma(p, TEST_IOVA, 4 * PAGE, RW);
	map_dma(q, TEST_IOVA + 0x10000, 4 * PAGE, RW);
	/* Over other pinned memory, cut short: two pages follow, two stay with the device alone. */
	ok(mremap(p, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	still_shared(TEST_IOVA + PAGE, q + PAGE, 2);
	device_keeps(TEST_IOVA + 2 * PAGE, 3, NULL, 0);
	device_keeps(TEST_IOVA + 0x10000, 60, q, 1);
	ok(all(q + 2 * PAGE, 62));
	/* Other memory at the old address, mapped too. */
	pages_at(p, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, -1);
	fill(p, 2, 90);
	map_dma(p, TEST_IOVA + 0x20000, 2 * PAGE, RW);
	still_shared(TEST_IOVA + 0x20000, p, 90);
	ok(device_sees(TEST_IOVA, 1));
	/* And away from the new address. */
	r = mremap(q, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	ok(r != MAP_FAILED);
	still_shared(TEST_IOVA, r, 1);
	ok(!munmap(r, 64 * PAGE) && !munmap(q, 4 * PAGE));
	ok(device_sees(TEST_IOVA, 201));
	device_keeps(TEST_IOVA + PAGE, 201, p, 201);
	unmap_dma(TEST_IOVA, 4 * PAGE);
	unmap_dma(TEST_IOVA + 0x10000, 4 * PAGE);
	unmap_dma(TEST_IOVA + 0x20000, 2 * PAGE);
	ok(!munmap(p, 2 * PAGE));
	if (fd >= 0)
		close(fd);
}

/* Away and back. */
static void moved_back(void)
{
	uint8_t *p = pages(2), *q = pages(2);

	fill(p, 2, 1);
	map_dma(p, TEST_IOVA, 2 * PAGE, RW);
	ok(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	ok(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
	still_shared(TEST_IOVA, p, 1);
	map_dma(p, TEST_IOVA + 0x10000, 2 * PAGE, RW);
	ok(!munmap(p, 2 * PAGE));
	ok(device_sees(TEST_IOVA + 0x10000, 201) && device_sees(TEST_IOVA, 201));
	unmap_dma(TEST_IOVA, 2 * PAGE);
	device_keeps(TEST_IOVA + 0x10000 + PAGE, 2, NULL, 0);
	unmap_dma(TEST_IOVA + 0x10000, 2 * PAGE);
}

static void advised(void)
{
	int fd = shared_file(2);
	uint8_t *p = pages(2), *s = pages_at(NULL, 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	uint8_t *f = pages_at(NULL, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);

	fill(s, 2, 20);
	fill(p, 2, 1);
	map_dma(p, TEST_IOVA, 2 * PAGE, RW);
	ok(!madvise(p, 2 * PAGE, MADV_DONTNEED));
	ok(all(p, 0));
	device_keeps(TEST_IOVA, 1, p, 0);
	fill(p, 2, 5);
	device_keeps(TEST_IOVA + PAGE, 2, p + PAGE, 6);
	unmap_dma(TEST_IOVA, 2 * PAGE);
	/* Freeing has to wait for the device. */
	map_dma(p, TEST_IOVA, 2 * PAGE, RW);
	ok(!madvise(p, 2 * PAGE, MADV_FREE));
	still_shared(TEST_IOVA, p, 5);
	unmap_dma(TEST_IOVA, 2 * PAGE);
	/* A private copy of a file's page goes, and the file's page is back. */
	fill(f, 2, 30);
	map_dma(f, TEST_IOVA, 2 * PAGE, RW);
	ok(!madvise(f, 2 * PAGE, MADV_DONTNEED));
	device_keeps(TEST_IOVA, 30, f, 20);
	unmap_dma(TEST_IOVA, 2 * PAGE);
	/* Shared memory is still there, and the same. */
	map_dma(s, TEST_IOVA, 2 * PAGE, RW);
	ok(!madvise(s, 2 * PAGE, MADV_DONTNEED));
	still_shared(TEST_IOVA, s, 20);
	/* Unless it is taken out of the file. */
	ok(!madvise(s, 2 * PAGE, MADV_REMOVE));
	ok(all(s, 0));
	device_keeps(TEST_IOVA + PAGE, 21, s + PAGE, 0);
	unmap_dma(TEST_IOVA, 2 * PAGE);
	ok(!munmap(p, 2 * PAGE) && !munmap(s, 2 * PAGE) && !munmap(f, 2 * PAGE));
	close(fd);
}

static void protect(int flags, int prot)
{
	int fd = flags & MAP_SHARED ? shared_file(2) : -1;
	uint8_t *p = pages_at(NULL, 2, PROT_READ | PROT_WRITE, flags, fd);

	fill(p, 2, 1);
	map_dma(p, TEST_IOVA, 2 * PAGE, RW);
	ok(!mprotect(p, 2 * PAGE, prot));
	device_keeps(TEST_IOVA, 1, NULL, 0);
	device_keeps(TEST_IOVA + PAGE, 2, NULL, 0);
	if (prot & PROT_READ)
		ok(all(p, 101));
	ok(!mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE));
	still_shared(TEST_IOVA, p, 101);
	/* Without rights, then gone. */
	ok(!mprotect(p, 2 * PAGE, prot) && !munmap(p, 2 * PAGE));
	device_keeps(TEST_IOVA + PAGE, 102, NULL, 0);
	unmap_dma(TEST_IOVA, 2 * PAGE);
	if (fd >= 0)
		close(fd);
}

/* Several mappings of different kinds under one pin. */
static void patchwork(void)
{
	int fd = shared_file(2);
	uint8_t *p = pages(6);

	pages_at(p + 2 * PAGE, 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd);
	fill(p, 6, 1);
	ok(!mprotect(p + 5 * PAGE, PAGE, PROT_READ));
	map_dma(p, TEST_IOVA, 6 * PAGE, VFIO_DMA_MAP_FLAG_READ);
	ok(!munmap(p, 6 * PAGE));
	pages_at(p, 6, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, -1);
	for (unsigned i = 0; i < 6; i++)
		ok(device_sees(TEST_IOVA + i * PAGE, (uint8_t)(1 + i)));
	unmap_dma(TEST_IOVA, 6 * PAGE);
	ok(!munmap(p, 6 * PAGE));
	close(fd);
}

static void child(void)
{
	uint8_t *p = pages(2);
	int status;
	pid_t pid;

	fill(p, 2, 1);
	map_dma(p, TEST_IOVA, 2 * PAGE, RW);
	pid = fork();
	ok(pid >= 0);
	if (!pid) {
		p[0] = 5;
		munmap(p, 2 * PAGE);
		_exit(p == mmap(p, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ? 0 : 1);
	}
	still_shared(TEST_IOVA, p, 1);
	ok(waitpid(pid, &status, 0) == pid && status == 0);
	still_shared(TEST_IOVA + PAGE, p + PAGE, 2);
	unmap_dma(TEST_IOVA, 2 * PAGE);
	ok(!munmap(p, 2 * PAGE));
}

/* ---- threads: the device works while other threads map, unmap and move ---- */

static atomic_bool stop;

static void *churn(void *arg)
{
	uint64_t iova = 0x10000000ul + (uintptr_t)arg * 0x1000000;

	for (unsigned n = 0; !atomic_load(&stop); n++) {
		uint8_t *p = pages(4);

		memset(p, (int)n, 4 * PAGE);
		map_dma(p, iova, 4 * PAGE, RW);
		if (n % 2)
			ok(!madvise(p + PAGE, PAGE, MADV_DONTNEED));
		ok(!munmap(p, 4 * PAGE));
		unmap_dma(iova, 4 * PAGE);
	}
	return NULL;
}

static void threads(unsigned rounds)
{
	uint8_t *p = pages(2), *other = pages(2);
	pthread_t thread[2];

	atomic_store(&stop, false);
	fill(p, 2, 1);
	map_dma(p, TEST_IOVA, 2 * PAGE, RW);
	for (uintptr_t i = 0; i < 2; i++)
		ok(!pthread_create(&thread[i], NULL, churn, (void *)i));
	for (unsigned i = 0; i < rounds; i++) {
		uint8_t byte = (uint8_t)(i * 3);

		device_writes(TEST_IOVA, byte);
		/* The old address stays taken, or the other threads' memory might come to lie there. */
		ok(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, other) == other);
		ok(device_sees(TEST_IOVA, byte) && all(other, byte) && device_sees(TEST_IOVA + PAGE, 2));
		pages_at(p, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, -1);
		uint8_t *swap = p;
		p = other;
		other = swap;
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		ok(!pthread_join(thread[i], NULL));
	unmap_dma(TEST_IOVA, 2 * PAGE);
	ok(!munmap(p, 2 * PAGE) && !munmap(other, 2 * PAGE));
}

/* ---- a random sequence, and a model of pages: address to page, IOVA to page ---- */

#define SPACE 24	/* pages of addresses */
#define MAPS 12

static uint64_t seed;

static unsigned rnd(unsigned below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % below;
}

struct cell { /* a page, with its content and who leads to it */
	unsigned refs;
	uint8_t byte;
};

static struct cell cells[4096];
static struct cell *at[SPACE]; /* NULL: not mapped */
static struct { unsigned pages; struct cell *cell[SPACE]; } maps[MAPS];

static struct cell *cell_new(uint8_t byte)
{
	for (struct cell *c = cells; ; c++)
		if (!c->refs) {
			*c = (struct cell){ .refs = 1, .byte = byte };
			return c;
		}
}

static void set(unsigned page, struct cell *c)
{
	if (at[page])
		at[page]->refs--;
	at[page] = c;
}

static void model_map(uint8_t *base, unsigned slot)
{
	unsigned first = rnd(SPACE), n = 1 + rnd(SPACE - first);

	for (unsigned i = 0; i < n; i++)
		if (!at[first + i])
			n = i;
	if (!n)
		return;
	map_dma(base + first * PAGE, TEST_IOVA + slot * 0x100000, n * PAGE, RW);
	maps[slot].pages = n;
	for (unsigned i = 0; i < n; i++) {
		maps[slot].cell[i] = at[first + i];
		at[first + i]->refs++;
	}
}

static void model_unmap(unsigned slot)
{
	unmap_dma(TEST_IOVA + slot * 0x100000, maps[slot].pages * PAGE);
	for (unsigned i = 0; i < maps[slot].pages; i++)
		maps[slot].cell[i]->refs--;
	maps[slot].pages = 0;
}

static void model_move(uint8_t *base)
{
	unsigned from = rnd(SPACE), to = rnd(SPACE), n = 1 + rnd(4);

	if (from + n > SPACE || to + n > SPACE || (to < from + n && from < to + n))
		return;
	for (unsigned i = 0; i < n; i++) /* one page at a time: mremap() moves within one mapping */
		if (at[from + i]) {
			ok(mremap(base + (from + i) * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				  base + (to + i) * PAGE) == base + (to + i) * PAGE);
			set(to + i, at[from + i]);
			at[from + i] = NULL;
		}
}

static void model_change(uint8_t *base)
{
	unsigned first = rnd(SPACE), n = 1 + rnd(SPACE - first), what = rnd(3);

	switch (what) {
	case 0:
		ok(!munmap(base + first * PAGE, n * PAGE));
		break;
	case 1:
		pages_at(base + first * PAGE, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, -1);
		break;
	default:
		for (unsigned i = 0; i < n; i++)
			if (!at[first + i])
				n = i;
		if (n)
			ok(!madvise(base + first * PAGE, n * PAGE, MADV_DONTNEED));
	}
	for (unsigned i = 0; i < n; i++)
		set(first + i, what == 0 ? NULL : cell_new(0));
}

static void model_check(const uint8_t *base)
{
	unsigned slot = rnd(MAPS), page;

	for (page = 0; page < SPACE; page++)
		if (at[page])
			ok(all(base + page * PAGE, at[page]->byte));
	for (unsigned n = 0; n < MAPS; n++, slot = (slot + 1) % MAPS)
		if (maps[slot].pages) {
			page = rnd(maps[slot].pages);
			ok(device_sees(TEST_IOVA + slot * 0x100000 + page * PAGE, maps[slot].cell[page]->byte));
			maps[slot].cell[page]->byte = (uint8_t)rnd(256);
			device_writes(TEST_IOVA + slot * 0x100000 + page * PAGE, maps[slot].cell[page]->byte);
			return;
		}
}

static void random_sequence(unsigned steps)
{
	uint8_t *base = pages_at(NULL, SPACE, PROT_NONE, MAP_PRIVATE, -1);

	for (unsigned step = 0; step < steps; step++) {
		unsigned slot = rnd(MAPS), page = rnd(SPACE), what = rnd(8);

		if (what < 2 && !maps[slot].pages)
			model_map(base, slot);
		else if (what < 2)
			model_unmap(slot);
		else if (what < 4)
			model_change(base);
		else if (what < 5)
			model_move(base);
		else if (at[page])
			memset(base + page * PAGE, at[page]->byte = (uint8_t)rnd(256), PAGE);
		model_check(base);
	}
	for (unsigned slot = 0; slot < MAPS; slot++)
		if (maps[slot].pages)
			model_unmap(slot);
	ok(!munmap(base, SPACE * PAGE));
}

int main(int argc, char **argv)
{
	unsigned steps = 1000;

	if (argc > 1)
		bdf = argv[1];
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
	if (argc > 3)
		steps = (unsigned)strtoul(argv[3], NULL, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	attach();
	window = pages(1);
	memset(window, 0, PAGE);
	map_dma(window, WINDOW_IOVA, PAGE, RW);
	printf("munmap\n");
	unmapped(MAP_PRIVATE);
	unmapped(MAP_SHARED);
	printf("generations\n");
	generations();
	printf("overlapping\n");
	overlapping();
	printf("failed calls\n");
	failed_calls();
	printf("mremap\n");
	remapped(MAP_PRIVATE);
	remapped(MAP_SHARED);
	moved_back();
	printf("madvise\n");
	advised();
	printf("mprotect\n");
	protect(MAP_PRIVATE, PROT_READ);
	protect(MAP_PRIVATE, PROT_NONE);
	protect(MAP_SHARED, PROT_READ);
	protect(MAP_SHARED, PROT_NONE);
	printf("patchwork\n");
	patchwork();
	printf("fork\n");
	child();
	printf("threads\n");
	threads(steps / 10);
	printf("random sequence, seed %llu\n", (unsigned long long)seed);
	random_sequence(steps);
	unmap_dma(WINDOW_IOVA, PAGE);
	printf("all well\n");
	return 0;
}
