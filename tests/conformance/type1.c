/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * type1.c - random calls on a container, of both types, whose groups come and go: which errno comes first, what is
 * mapped and unmapped, how many mappings are left, what a bitmap says.  The sequence is the same each time, so that
 * its answers can be recorded.
 *
 * usage: type1 EDU MSIX [ROUNDS [SEED]]   (PCI addresses)
 *
 * Other seeds ask other questions: run with them here and on a real Linux, and compare.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/conformance/calls.h"
#include "tests/conformance/random.h"

#define STEPS 200
#define GROUPS 2
#define LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define FILE_PAGES 12 /* of the file; 16 are mapped of it */
#define KIND_PAGES 16
#define PLACE ((unsigned char *)(3ull << 44)) /* where nobody maps anything who is not told to, nor a sanitizer */

static int container, group[GROUPS], device, joined[GROUPS];
static unsigned long type;
static unsigned char *edge; /* a page, behind which there is nothing */

/* ---- memory, addresses and sizes ---- */

static struct {
	const char *name;
	unsigned char *at;
} kinds[] = {
	{ "memory", NULL }, { "memory and a hole", NULL }, { "read-only memory", NULL },
	{ "memory without rights", NULL }, { "a file", NULL }, { "a read-only file", NULL },
	{ "a copy of a file", NULL }, { "nothing", NULL }, { "null", NULL },
	{ "the kernel", (unsigned char *)0xffff888000000000 }, { "the end", (unsigned char *)-(KIND_PAGES * PG) },
};

static void make_kinds(void)
{
	const int both = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	const int file = memfd_create("x", MFD_CLOEXEC);
	const struct {
		int prot, flags;
	} how[] = { { both, anonymous }, { both, anonymous }, { PROT_READ, anonymous }, { PROT_NONE, anonymous },
		    { both, MAP_SHARED }, { PROT_READ, MAP_SHARED }, { both, MAP_PRIVATE } };

	ftruncate(file, FILE_PAGES * PG);
	for (unsigned k = 0; k < COUNT(how); k++) {
		kinds[k].at = PLACE + k * MB;
		mmap(kinds[k].at, KIND_PAGES * PG, how[k].prot, how[k].flags | MAP_FIXED,
		     how[k].flags & MAP_ANONYMOUS ? -1 : file, 0);
	}
	munmap(kinds[1].at + 7 * PG, PG);
	kinds[COUNT(how)].at = PLACE + COUNT(how) * MB;
	edge = mmap(PLACE - MB, PG, both, anonymous | MAP_FIXED, -1, 0);
}

/* Most often such that mappings meet, now and then at an edge of something. */
static uint64_t some_iova(void)
{
	static const uint64_t edges[] = {
		0, 1, 0x800, 0x1800, 0x200000, 0x201000, 0x400000, 0xfedff000, 0xfee00000, 0xfef00000,
		(1ull << 39) - PG, 1ull << 39, (1ull << 47) - PG, (1ull << 48) - PG, 1ull << 48, -2 * PG, -PG, -1ull,
	};

	return below(4) ? PG * below(16) : edges[below(COUNT(edges))];
}

static uint64_t some_size(void)
{
	static const uint64_t edges[] = {
		0, 1, 0x800, PG + 1, 8 * PG, 16 * PG, 2 * MB, 1ull << 39, 1ull << 62, -PG, -1ull,
	};

	return below(4) ? PG * (1 + below(4)) : edges[below(COUNT(edges))];
}

/* What a struct that has @size bytes says of itself. */
static uint32_t some_argsz(uint32_t size)
{
	if (below(10))
		return size;
	return below(2) ? size - 1 - below(size) : below(2) ? size + 1 + below(64) : -1u;
}

/* Where the struct at @s, of @size bytes, is put: seldom so that its last @ret_lacks bytes are not there. */
static void *somewhere(const void *s, uint32_t size, uint32_t *ret_lacks)
{
	*ret_lacks = below(24) ? 0 : 1 + below(size);
	memset(edge, 0, PG);
	return memcpy(edge + PG - (size - *ret_lacks), s, size - *ret_lacks);
}

/* Take it back, as the call left it. */
static void take_back(void *s, const void *from, uint32_t size, uint32_t lacks)
{
	memcpy(s, from, size - lacks);
}

static void say_lacks(uint32_t lacks)
{
	if (lacks)
		say(", %u bytes of it not there", lacks);
}

/* ---- one call each ---- */

static void map(unsigned step)
{
	const unsigned kind = below(3) ? 0 : below(COUNT(kinds));
	const uint64_t off = below(10) ? PG * below(16) : below(2 * PG);
	struct vfio_iommu_type1_dma_map m = { .argsz = some_argsz(sizeof(m)), .flags = below(6) ? 3 : below(16),
					      .vaddr = (uintptr_t)kinds[kind].at + off, .iova = some_iova(),
					      .size = some_size() };
	uint32_t lacks;
	void *at = somewhere(&m, sizeof(m), &lacks);

	call("%u MAP argsz %u flags %u %s+0x%llx 0x%llx bytes at 0x%llx", step, m.argsz, m.flags,
		 kinds[kind].name, HEX(off), HEX(m.size), HEX(m.iova));
	say_lacks(lacks);
	T(what, ioctl(container, VFIO_IOMMU_MAP_DMA, at));
}

/* As a program that replaces itself does. */
static void map_vaddr(unsigned step)
{
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_VADDR,
					      .vaddr = (uintptr_t)kinds[0].at + PG * below(16), .iova = some_iova(),
					      .size = some_size() };

	call("%u MAP the address of 0x%llx bytes at 0x%llx", step, HEX(m.size), HEX(m.iova));
	T(what, ioctl(container, VFIO_IOMMU_MAP_DMA, &m));
}

/* A bitmap for @size bytes, most often right. */
static struct vfio_bitmap some_bitmap(uint64_t size)
{
	static const uint64_t pgsizes[] = { 0, 1, 0x800, 0x1001, 2 * PG, 2 * MB, 1ull << 63 };
	static const uint64_t sizes[] = { 0, 1, 7, 9, 16, 256 * MB, 256 * MB + 8, -1ull };
	struct vfio_bitmap b = { .pgsize = below(8) ? PG : pgsizes[below(COUNT(pgsizes))],
				 .size = below(8) ? (size / PG + 63) / 64 * 8 : sizes[below(COUNT(sizes))] };

	b.data = (void *)(below(10) ? mem : below(2) ? BAD : kinds[2].at);
	memset(mem, 0, 1024);
	return b;
}

static void say_bitmap(const struct vfio_bitmap *b)
{
	say(", bitmap of 0x%llx bytes, pages 0x%llx, %s",
		 HEX(b->size), HEX(b->pgsize),
		 b->data == (void *)mem ? "memory" : b->data == (void *)BAD ? "bad" : "read-only");
}

/* Words that are not zero, by their number. */
static void note_bitmap(void)
{
	for (unsigned w = 0; w < 128; w++)
		if (((uint64_t *)mem)[w])
			note("%u: 0x%llx ", w, HEX(((uint64_t *)mem)[w]));
}

/*
 * Half of the questions for a bitmap are about the pages where most mappings are, and begin with new bitmaps: Linux
 * tells of pages that are not mapped when it is asked for one of its bitmaps again.
 */
static void ask_for_most(unsigned step, __u64 *iova, __u64 *size)
{
	struct vfio_iommu_type1_dirty_bitmap d = { .argsz = sizeof(d), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP };

	if (below(2))
		return;
	*iova = 0;
	*size = PG * (below(2) ? 16 + below(8) : 64 * (1 + below(3)));
	call("%u DIRTY_PAGES stop", step);
	T(what, ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &d));
	d.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	call("%u DIRTY_PAGES start", step);
	T(what, ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &d));
}

static uint32_t unmap_flags(void)
{
	if (below(3))
		return 0;
	return below(4) ? 1u << below(3) : below(16);
}

static void unmap(unsigned step)
{
	struct {
		struct vfio_iommu_type1_dma_unmap u;
		struct vfio_bitmap b;
	} a = { .u = { .flags = unmap_flags(), .iova = some_iova(), .size = some_size() } };
	const int bitmap = a.u.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, all = a.u.flags & VFIO_DMA_UNMAP_FLAG_ALL;
	const uint32_t size = bitmap ? sizeof(a) : sizeof(a.u);
	uint32_t lacks;
	void *at;

	if (below(4) && all)
		a.u.iova = a.u.size = 0;
	if (bitmap)
		ask_for_most(step, &a.u.iova, &a.u.size);
	a.u.argsz = some_argsz(size);
	a.b = some_bitmap(a.u.size);
	call("%u UNMAP argsz %u flags %u 0x%llx bytes at 0x%llx", step, a.u.argsz, a.u.flags,
		 HEX(a.u.size), HEX(a.u.iova));
	if (bitmap)
		say_bitmap(&a.b);
	at = somewhere(&a, size, &lacks);
	say_lacks(lacks);
	T(what, ioctl(container, VFIO_IOMMU_UNMAP_DMA, at));
	take_back(&a, at, size, lacks);
	note("size out 0x%llx ", HEX(a.u.size));
	if (bitmap)
		note_bitmap();
}

static uint32_t dirty_flags(void)
{
	static const uint32_t often[] = { 1, 1, 2, 4, 4, 4, 4, 4 };

	return below(10) ? often[below(COUNT(often))] : below(16);
}

static void dirty_pages(unsigned step)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap d;
		struct vfio_iommu_type1_dirty_bitmap_get g;
	} a = { .d = { .flags = dirty_flags() }, .g = { .iova = some_iova(), .size = some_size() } };
	const int get = a.d.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	const uint32_t size = get ? sizeof(a) : sizeof(a.d);
	uint32_t lacks;
	void *at;

	if (get)
		ask_for_most(step, &a.g.iova, &a.g.size);
	a.d.argsz = some_argsz(size);
	a.g.bitmap = some_bitmap(a.g.size);
	call("%u DIRTY_PAGES argsz %u flags %u", step, a.d.argsz, a.d.flags);
	if (get) {
		say(" 0x%llx bytes at 0x%llx", HEX(a.g.size),
			 HEX(a.g.iova));
		say_bitmap(&a.g.bitmap);
	}
	at = somewhere(&a, size, &lacks);
	say_lacks(lacks);
	T(what, ioctl(container, VFIO_IOMMU_DIRTY_PAGES, at));
	if (get)
		note_bitmap();
}

/* What is behind the struct: the ids of capabilities where they are, and of two of them what they say. */
static void note_chain(const unsigned char *info, uint32_t at)
{
	const struct vfio_info_cap_header *h;
	const struct vfio_iommu_type1_info_cap_iova_range *r;

	for (; at; at = h->next) {
		h = (const void *)(info + at);
		note("%u: id %u version %u ", at, h->id, h->version);
		if (h->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			note("%u left ", ((const struct vfio_iommu_type1_info_dma_avail *)h)->avail);
		r = (const void *)h;
		for (unsigned i = 0; h->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE && i < r->nr_iovas; i++)
			note("0x%llx-0x%llx ", HEX(r->iova_ranges[i].start), HEX(r->iova_ranges[i].end));
	}
}

static void info(unsigned step)
{
	static const uint32_t sizes[] = { 0, 8, 15, 16, 20, 23, 24, 56, 72, 103, 104, 120, -1u };
	static unsigned char room[512] __attribute__((aligned(8)));
	struct vfio_iommu_type1_info *i = (void *)room;
	unsigned end = sizeof(room);

	memset(room, 0xaa, sizeof(room));
	i->argsz = below(2) ? 256 : sizes[below(COUNT(sizes))];
	i->flags = below(4) ? 0 : -1u;
	call("%u GET_INFO argsz %u flags 0x%x", step, i->argsz, i->flags);
	if (T(what, ioctl(container, VFIO_IOMMU_GET_INFO, room)))
		return;
	while (end && room[end - 1] == 0xaa)
		end--;
	note("argsz %u flags %u pages 0x%llx chain at %u, %u bytes written ", i->argsz, i->flags,
	     HEX(i->iova_pgsizes), end < 20 ? 0 : i->cap_offset, end);
	if (end > 24)
		note_chain(room, i->cap_offset);
}

static void extension(unsigned step)
{
	const unsigned long n = below(16);

	call("%u CHECK_EXTENSION %lu", step, n);
	T(what, ioctl(container, VFIO_CHECK_EXTENSION, n));
}

static void set_iommu(unsigned step, unsigned long n)
{
	call("%u SET_IOMMU %lu", step, n);
	T(what, ioctl(container, VFIO_SET_IOMMU, n));
}

/* Groups come and go, and the last one takes all with it; then another has to begin anew. */
static void come_or_go(unsigned step, unsigned k)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	call("%u %s %u", step, joined[k] ? "UNSET_CONTAINER" : "SET_CONTAINER", k);
	if (joined[k])
		joined[k] = T(what, ioctl(group[k], VFIO_GROUP_UNSET_CONTAINER)) < 0;
	else
		joined[k] = T(what, ioctl(group[k], VFIO_GROUP_SET_CONTAINER, &container)) == 0;
	ioctl(group[k], VFIO_GROUP_GET_STATUS, &status);
	note("flags %u", status.flags);
	set_iommu(step, type);
}

static void step(unsigned n)
{
	const unsigned k = below(GROUPS), other = below(16), often = below(4);

	switch (below(20)) {
	case 0 ... 7: map(n); break;
	case 8: map_vaddr(n); break;
	case 9 ... 12: unmap(n); break;
	case 13 ... 15: dirty_pages(n); break;
	case 16: info(n); break;
	case 17: extension(n); break;
	case 18:
		if (!often)
			set_iommu(n, other);
		else
			info(n);
		break;
	default:
		if (often)
			come_or_go(n, k);
		else
			T("unknown request", ioctl(container, _IO(VFIO_TYPE, VFIO_BASE + 64 + other), mem));
	}
}

/* ---- a container each ---- */

static void limit(const char *text)
{
	const int fd = open(LIMIT, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, LIMIT ": %m\n");
	close(fd);
}

/* Every third has few mappings, every fourth a device that is open, so that its group stays. */
static void run(unsigned round)
{
	type = round % 2 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU;
	begin_seed(round % 2 ? "type 1, " : "type 3, ");
	if (round % 3 == 2)
		limit("5");
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group[0] = open(group_path(edu), O_RDWR | O_CLOEXEC);
	group[1] = open(group_path(msix), O_RDWR | O_CLOEXEC);
	joined[0] = joined[1] = 0;
	come_or_go(0, 0);
	device = -1;
	if (round % 4 == 3)
		TFD("GET_DEVICE_FD", device = ioctl(group[0], VFIO_GROUP_GET_DEVICE_FD, edu));
	for (unsigned n = 1; n <= STEPS; n++)
		step(n);
	if (device >= 0)
		close(device);
	close(group[0]);
	close(group[1]);
	close(container);
	limit("65535");
}

int main(int argc, char **argv)
{
	start(argc, argv);
	make_kinds();
	return random_rounds(argc, argv, 12, run);
}
