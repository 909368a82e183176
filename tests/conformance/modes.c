/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * modes.c - the same questions about mappings in five modes: a container with type1 or type1v2, an iommufd that
 * stands in for that container, and an iommufd with an IOAS and a device of its own.
 *
 * usage: modes EDU [MSIX]    as legacy.c, which tells the rest
 *
 * What a mapping is worth is asked of the device: edu copies a page into its buffer and from there to a window
 * that is always mapped, or the other way.  A transfer that the IOMMU refuses leaves the bytes as they were.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <time.h>

#include "tests/conformance/calls.h"

enum { R = VFIO_DMA_MAP_FLAG_READ, W = VFIO_DMA_MAP_FLAG_WRITE, RW = R | W };
enum { EDU_SRC = 0x80, EDU_DST = 0x88, EDU_COUNT = 0x90, EDU_CMD = 0x98, EDU_BUFFER = 0x40000, EDU_FROM_DEVICE = 2 };

#define AT 0x100000ull		/* where the cases map */
#define WINDOW 0xf000000ull	/* edu has 28 address bits */

static const struct mode {
	const char *name, *node;
	int type;		/* 0: IOAS and cdev */
} modes[] = {
	{ "type1", "/dev/vfio/vfio", VFIO_TYPE1_IOMMU },
	{ "type1v2", "/dev/vfio/vfio", VFIO_TYPE1v2_IOMMU },
	{ "iommufd as type1", "/dev/iommu", VFIO_TYPE1_IOMMU },
	{ "iommufd as type1v2", "/dev/iommu", VFIO_TYPE1v2_IOMMU },
	{ "iommufd", "/dev/iommu", 0 },
};
static const struct mode *mode;
static int c, g, d;		/* container or iommufd; group or -1; device */
static uint32_t as;
static unsigned char *window, *regs;
static uint64_t regs_size;

/* ---------------------------------------------------------------- one call for all modes */
static int map(uint32_t flags, void *va, uint64_t iova, uint64_t size)
{
	if (mode->type)
		return dma_map(c, flags, va, iova, size);
	return imap(c, as, FIXED | (flags & R ? RD : 0) | (flags & W ? WR : 0), va, size, iova);
}

static int unmap(uint64_t iova, uint64_t size)
{
	unmapped = 0;
	return mode->type ? dma_unmap(c, 0, iova, size) : iunmap(c, as, iova, size);
}

static int unmap_all(void)
{
	unmapped = 0;
	return mode->type ? dma_unmap(c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0) : iunmap(c, as, 0, UINT64_MAX);
}

#define M(what, flags, va, iova, size) T("map " what, map(flags, va, iova, size))
#define U(what, iova, size) do { T("unmap " what, unmap(iova, size)); \
	note("size out 0x%llx", (unsigned long long)unmapped); } while (0)
#define ALL(what) do { T("unmap " what, unmap_all()); note("size out 0x%llx", (unsigned long long)unmapped); } while (0)

/* Nothing mapped, and known bytes in memory. */
static void about(const char *topic)
{
	static char name[80];

	snprintf(name, sizeof(name), "%s: %s", mode->name, topic);
	begin(name);
	unmap_all();
	for (size_t i = 0; i < 4 * MB; i++)
		mem[i] = (unsigned char)(i * 7 + (i >> 12) * 31 + 1);
}

/* ---------------------------------------------------------------- the device */
static void transfer(uint64_t src, uint64_t dst, uint32_t cmd)
{
	*(volatile uint32_t *)(regs + EDU_SRC) = (uint32_t)src;
	*(volatile uint32_t *)(regs + EDU_DST) = (uint32_t)dst;
	*(volatile uint32_t *)(regs + EDU_COUNT) = PG;
	*(volatile uint32_t *)(regs + EDU_CMD) = 1 | cmd;
	while (*(volatile uint32_t *)(regs + EDU_CMD) & 1)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* The window's bytes into the device's buffer. */
static void fill(unsigned char byte)
{
	memset(window, byte, PG);
	map(RW, window, WINDOW, PG);
	transfer(WINDOW, EDU_BUFFER, 0);
}

static int device_reads(uint64_t iova, const void *bytes)
{
	fill(0xa5);
	transfer(iova, EDU_BUFFER, 0);
	transfer(EDU_BUFFER, WINDOW, EDU_FROM_DEVICE);
	return !memcmp(window, bytes, PG);
}

/* 1: @bytes are what it wrote; 0: what they were; 2: something else. */
static int device_writes(uint64_t iova, const unsigned char *bytes)
{
	static unsigned char before[PG];

	memcpy(before, bytes, PG);
	fill(0x5a);
	transfer(EDU_BUFFER, iova, EDU_FROM_DEVICE);
	if (!memcmp(window, bytes, PG))
		return 1;
	return memcmp(before, bytes, PG) ? 2 : 0;
}

#define READS(what, iova, bytes) T("the device reads " what, device_reads(iova, bytes))
#define WRITES(what, iova, bytes) T("the device writes " what, device_writes(iova, bytes))

/* ---------------------------------------------------------------- questions */
static void overlap(void)
{
	about("overlap");
	M("4 pages", RW, mem, AT, 4 * PG);
	READS("the first page", AT, mem);
	READS("the last page", AT + 3 * PG, mem + 3 * PG);
	READS("the page behind", AT + 4 * PG, mem + 4 * PG);
	WRITES("the second page", AT + PG, mem + PG);
	M("the same again", RW, mem, AT, 4 * PG);
	M("the first page", RW, mem, AT, PG);
	M("other memory in the middle", RW, mem + 8 * PG, AT + PG, PG);
	M("from a page before", RW, mem, AT - PG, 2 * PG);
	M("across the end", RW, mem, AT + 3 * PG, 2 * PG);
	M("all around", RW, mem, AT - PG, 6 * PG);
	M("the same, read only", R, mem, AT, 4 * PG);
	READS("the middle as before", AT + PG, mem + PG);
	M("right behind", RW, mem + 4 * PG, AT + 4 * PG, 4 * PG);
	M("right before", RW, mem + 16 * PG, AT - PG, PG);
	READS("across the two", AT + 3 * PG + PG / 2, mem + 3 * PG + PG / 2);
	M("the same memory elsewhere", RW, mem, AT + 16 * PG, 4 * PG);
	WRITES("by the second address", AT + 16 * PG, mem);
	READS("by the first", AT, mem);
	U("one of them", AT, 4 * PG);
	READS("by the first, unmapped", AT, mem);
	READS("by the second, still there", AT + 16 * PG, mem);
	READS("its neighbour", AT + 4 * PG, mem + 4 * PG);
	ALL("all");
	READS("the neighbour, unmapped", AT + 4 * PG, mem + 4 * PG);
}

static void unmap_parts(void)
{
	about("unmap parts");
	map(RW, mem, AT, 4 * PG);
	U("the first page of four", AT, PG);
	map(RW, mem, AT, 4 * PG);
	U("the middle of four", AT + PG, PG);
	map(RW, mem, AT, 4 * PG);
	U("the last page of four", AT + 3 * PG, PG);
	map(RW, mem, AT, 4 * PG);
	READS("the last page of four", AT + 3 * PG, mem + 3 * PG);
	U("from a page before into it", AT - PG, 2 * PG);
	U("from its middle beyond its end", AT + 2 * PG, 8 * PG);
	READS("the middle then", AT + 2 * PG, mem + 2 * PG);
	map(RW, mem, AT, 4 * PG);
	map(RW, mem + 4 * PG, AT + 4 * PG, 4 * PG);
	U("one and half the next", AT, 6 * PG);
	READS("the half", AT + 4 * PG, mem + 4 * PG);
	READS("the other half", AT + 6 * PG, mem + 6 * PG);
	map(RW, mem, AT, 4 * PG);
	map(RW, mem + 4 * PG, AT + 4 * PG, 4 * PG);
	U("half of one and the next", AT + 2 * PG, 6 * PG);
	unmap_all();
	map(RW, mem, AT, PG);
	map(RW, mem, AT + 4 * PG, PG);
	map(RW, mem, AT + 8 * PG, PG);
	U("two and what is between", AT, 5 * PG);
	U("the third, from a page before to a page behind", AT + 7 * PG, 3 * PG);
	U("nothing there", AT, 16 * PG);
}

static void unmap_ranges(void)
{
	about("unmap ranges");
	map(RW, mem, AT, 4 * PG);
	U("size 0", AT, 0);
	U("size 1", AT, 1);
	U("size 4097", AT, PG + 1);
	U("from an unaligned address", AT + 1, PG);
	U("an unaligned page and more", AT - 1, 4 * PG + 2);
	U("the wrap", -PG, 2 * PG);
	U("from the mapping to beyond 64 bits", AT, -AT + PG);
	U("the last page of 64 bits", -PG, PG);
	U("from the mapping to the end of 64 bits", AT, -AT);
	map(RW, mem, AT, 4 * PG);
	U("all of 64 bits but a page", 0, -PG);
	map(RW, mem, AT, 4 * PG);
	map(RW, mem, AT + 1 * MB, PG);
	ALL("all of it");
	ALL("all again");
	map(RW, mem, AT, 4 * PG);
	U("0 to ~0", 0, UINT64_MAX);
}

static void map_ranges(void)
{
	about("map ranges");
	M("no access", 0, mem, AT, PG);
	unmap_all();
	M("size 0", RW, mem, AT, 0);
	M("size 1", RW, mem, AT, 1);
	unmap_all();
	M("size 4097", RW, mem, AT, PG + 1);
	unmap_all();
	M("to an unaligned address", RW, mem, AT + 1, PG);
	M("from unaligned memory", RW, mem + 1, AT, PG);
	M("both by the same", RW, mem + 1, AT + 1, PG);
	unmap_all();
	M("the wrap", RW, mem, -PG, 2 * PG);
	M("memory that wraps", RW, (void *)-PG, AT, 2 * PG);
	M("size ~0", RW, mem, AT, UINT64_MAX);
	M("size of 64 bits but a page", RW, mem, 0, -PG);
	M("at 0", RW, mem, 0, PG);
	READS("at 0", 0, mem);
	M("a mebibyte", RW, mem, AT, 1 * MB);
	READS("its last page", AT + 1 * MB - PG, mem + 1 * MB - PG);
	M("2 MiB, aligned", RW, mem, 2 * MB, 2 * MB);
	U("a page in the middle of 2 MiB", 3 * MB, PG);
	READS("the page behind that", 3 * MB + PG, mem + 1 * MB + PG);
	U("the 2 MiB", 2 * MB, 2 * MB);
}

static void limits(void)
{
	about("limits");
	M("before the MSI window", RW, mem, 0xfedff000, PG);
	M("into the MSI window", RW, mem, 0xfedfe000, 3 * PG);
	M("the MSI window's first page", RW, mem, 0xfee00000, PG);
	M("the MSI window's last page", RW, mem, 0xfeeff000, PG);
	M("behind the MSI window", RW, mem, 0xfef00000, PG);
	M("the last page of 32 bits", RW, mem, (1ull << 32) - PG, PG);
	M("the first page beyond", RW, mem, 1ull << 32, PG);
	M("across 39 bits", RW, mem, (1ull << 39) - PG, 2 * PG);
	unmap((1ull << 39) - PG, 2 * PG);
	M("the last page of 39 bits", RW, mem, (1ull << 39) - PG, PG);
	M("the first page beyond 39 bits", RW, mem, 1ull << 39, PG);
	M("the last page of 48 bits", RW, mem, (1ull << 48) - PG, PG);
	M("the first page beyond 48 bits", RW, mem, 1ull << 48, PG);
	M("the last page of 57 bits", RW, mem, (1ull << 57) - PG, PG);
	M("the last page of 64 bits", RW, mem, -PG, PG);
	ALL("all of them");
}

static void access_rights(void)
{
	about("rights");
	M("to be read", R, mem, AT, PG);
	READS("it", AT, mem);
	WRITES("it", AT, mem);
	M("to be written", W, mem + PG, AT + PG, PG);
	READS("what may be written", AT + PG, mem + PG);
	WRITES("what may be written", AT + PG, mem + PG);
	unsigned char *ro = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(ro, 0x33, 2 * PG);
	mprotect(ro, 2 * PG, PROT_READ);
	M("read-only memory to be written", RW, ro, AT + 4 * PG, PG);
	M("read-only memory to be read", R, ro, AT + 4 * PG, PG);
	READS("read-only memory", AT + 4 * PG, ro);
	WRITES("read-only memory", AT + 4 * PG, ro);
	munmap(ro, 2 * PG);
}

static void holes(void)
{
	about("holes");
	unsigned char *p = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 0x44, 4 * PG);
	munmap(p + 2 * PG, PG);
	M("4 pages of which the third is none", RW, p, AT, 4 * PG);
	READS("the first page of them", AT, p);
	M("the first two there", RW, p, AT, 2 * PG);
	READS("the first of the two", AT, p);
	M("the hole", RW, p + 2 * PG, AT + 2 * PG, PG);
	M("the page behind it", RW, p + 3 * PG, AT + 3 * PG, PG);
	U("all three, with the hole", AT, 4 * PG);
	mprotect(p, PG, PROT_NONE);
	M("memory of no access", RW, p, AT, PG);
	M("memory of no access, to be read", R, p, AT, PG);
	munmap(p, 4 * PG);
	M("an address that nobody uses", RW, (void *)PG, AT, PG);
	M("an address of the kernel", RW, (void *)0xffff888000000000ull, AT, PG);
	M("an address that is not canonical", RW, (void *)0x0100000000000000ull, AT, PG);
	int fd = memfd_create("shared", MFD_CLOEXEC);
	ftruncate(fd, PG);
	p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(p, 0x55, PG);
	M("a shared file and a page beyond its end", RW, p, AT, 2 * PG);
	M("a shared file", RW, p, AT, PG);
	WRITES("a shared file", AT, p);
	munmap(p, 2 * PG);
	close(fd);
	U("a shared file that is gone", AT, PG);
}

static void bar_memory(void)
{
	about("BAR memory");
	M("a BAR", RW, regs, AT, regs_size);
	U("the BAR", AT, regs_size);
	M("a page of a BAR, to be read", R, regs + 16 * PG, AT, PG);
	U("the page of a BAR", AT, PG);
}

static void remap(void)
{
	about("remap");
	M("a page", RW, mem, AT, PG);
	READS("the page", AT, mem);
	U("the page", AT, PG);
	READS("nothing", AT, mem);
	M("another page there", RW, mem + PG, AT, PG);
	READS("the other page", AT, mem + PG);
	WRITES("the other page", AT, mem + PG);
	U("the other page", AT, PG);
	WRITES("nothing", AT, mem + PG);
	M("the first page there, to be read", R, mem, AT, PG);
	READS("the first page again", AT, mem);
	WRITES("the first page, which is read only now", AT, mem);
	U("the first page again", AT, PG);
	U("twice", AT, PG);
}

/* ---------------------------------------------------------------- a mode */
static int up(void)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint32_t id;
	uint16_t command;

	c = open(mode->node, O_RDWR | O_CLOEXEC);
	g = -1;
	if (mode->type) {
		g = open(group_path(edu), O_RDWR | O_CLOEXEC);
		if (ioctl(g, VFIO_GROUP_SET_CONTAINER, &c) || ioctl(c, VFIO_SET_IOMMU, mode->type))
			return -1;
		d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu);
	} else {
		d = open_cdev(edu);
		as = ioas(c);
		id = as;
		if (bind_to(d, c, &(uint32_t){ 0 }) || attach(d, 0, &id))
			return -1;
	}
	if (ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &config))
		return -1;
	pread(d, &command, 2, config.offset + 4);
	command |= 6;
	pwrite(d, &command, 2, config.offset + 4);
	regs_size = bar.size;
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, d, bar.offset);
	return regs == MAP_FAILED ? -1 : 0;
}

static void down(void)
{
	munmap(regs, regs_size);
	close(d);
	if (g >= 0)
		close(g);
	close(c);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	window = aligned_alloc(PG, PG);
	for (mode = modes; mode < modes + sizeof(modes) / sizeof(*modes); mode++) {
		if (access(mode->node, F_OK))
			continue; /* a kernel without iommufd */
		if (up()) {
			fprintf(stderr, "%s: %m\n", mode->name);
			return 1;
		}
		overlap();
		unmap_parts();
		unmap_ranges();
		map_ranges();
		limits();
		access_rights();
		holes();
		bar_memory();
		remap();
		flush_row();
		down();
	}
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
