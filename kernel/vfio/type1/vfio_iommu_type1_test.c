/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_iommu_type1_test.c - each ioctl of a type1 container, with what a real Linux 7.2 with an AMD
 * IOMMU answered to the same calls.
 */
#include "kernel/mm/locked_vm.h"
#include "kernel/vfio/vfio_test.h"

#define PG PAGE_SIZE
#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define ALL VFIO_DMA_UNMAP_FLAG_ALL
#define VADDR VFIO_DMA_UNMAP_FLAG_VADDR
#define DIRTY VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP

static char *mem; /* 64 pages */
static const u64 minus_page = -PG;

static int setup(void **state)
{
	mem = mmap(NULL, 64 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mem == MAP_FAILED ? -1 : t_machine(state);
}

#define unmaps(size_out, call)                                                                               \
	do {                                                                                                 \
		t_works(call);                                                                               \
		assert_int_equal(t_unmapped, (size_out));                                                    \
	} while (0)
/* Says 0 bytes, and why. */
#define unmaps_nothing(call)                                                                                 \
	do {                                                                                                 \
		t_suspicious(call);                                                                          \
		assert_int_equal(t_unmapped, 0);                                                             \
	} while (0)
#define unmap_fails(errno_, size_out, call)                                                                  \
	do {                                                                                                 \
		t_fails(call, errno_);                                                                       \
		assert_int_equal(t_unmapped, (size_out));                                                    \
	} while (0)

/* ---- GET_INFO ---- */

struct info {
	struct vfio_iommu_type1_info info;
	u8 chain[4096 - sizeof(struct vfio_iommu_type1_info)];
};

static int last_changed(const struct info *info)
{
	const u8 *bytes = (const u8 *)info;
	int i = sizeof(*info) - 1;

	while (i >= 0 && bytes[i] == 0xaa)
		i--;
	return i;
}

static struct info *get_info(int c, u32 argsz)
{
	static struct info info;

	memset(&info, 0xaa, sizeof(info));
	info.info.argsz = argsz;
	t_works(t_ioctl(c, VFIO_IOMMU_GET_INFO, &info));
	return &info;
}

static void info_answers(void **state)
{
	static const struct {
		u32 argsz, out, last;
	} cases[] = {
		{ 16, 136, 15 },  { 20, 136, 19 },   { 23, 136, 22 },	{ 24, 136, 23 },     { 25, 136, 23 },
		{ 135, 136, 23 }, { 136, 136, 135 }, { 137, 137, 135 }, { 4096, 4096, 135 },
	};
	/* Byte for byte what Linux gave behind the structure. */
	static const u32 chain[] = {
		0x10002,    0x38, 0,	      0,    0x1000, 0,	   0x10000000, 0,	   0x10003,    0x48,
		65535,	    0,	  0x10001,    0,    3,	    0,	   0,	       0,	   0xfedfffff, 0,
		0xfef00000, 0,	  0xffffffff, 0xfc, 0,	    0x100, 0xffffffff, 0xffffffff,
	};
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	struct info *info;

	(void)state;
	guard_install();
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		info = get_info(x.c, cases[i].argsz);
		assert_int_equal(info->info.argsz, cases[i].out);
		assert_int_equal(info->info.flags, 3);
		assert_int_equal(info->info.iova_pgsizes, 0xfff7ffffff000);
		if (cases[i].argsz >= 24)
			assert_int_equal(info->info.cap_offset, cases[i].argsz >= 136 ? 24 : 0);
		assert_int_equal(last_changed(info), cases[i].last);
	}
	assert_memory_equal(get_info(x.c, 4096)->chain, chain, sizeof(chain));
	t_fails(t_ioctl(x.c, VFIO_IOMMU_GET_INFO, &(struct vfio_iommu_type1_info){ .argsz = 8 }), EINVAL);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_GET_INFO, T_BAD), EFAULT);
	t_teardown(x);
}

static u32 available(int c)
{
	u32 value;

	memcpy(&value, (char *)get_info(c, 4096) + 56 + 8, sizeof(value));
	return value;
}

static void info_counts_mappings(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	assert_int_equal(available(x.c), 65535);
	t_works(t_map(x.c, RW, mem, 0, PG));
	assert_int_equal(available(x.c), 65534);
	t_fails(t_map(x.c, RW, (void *)PG, PG, PG), EFAULT);
	assert_int_equal(available(x.c), 65534);
	unmaps(PG, t_unmap(x.c, VADDR, 0, PG));
	assert_int_equal(available(x.c), 65534);
	unmaps(PG, t_unmap(x.c, 0, 0, PG));
	assert_int_equal(available(x.c), 65535);
	t_teardown(x);
}

/* ---- MAP and UNMAP, version 2 ---- */

static void map_arguments(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map) - 1, .flags = RW, .vaddr = (uintptr_t)mem, .size = PG
	};

	(void)state;
	guard_install();
	t_fails(t_ioctl(x.c, VFIO_IOMMU_MAP_DMA, &map), EINVAL);
	map.argsz = 0;
	t_fails(t_ioctl(x.c, VFIO_IOMMU_MAP_DMA, &map), EINVAL);
	map.argsz = 100;
	t_works(t_ioctl(x.c, VFIO_IOMMU_MAP_DMA, &map));
	t_unmap(x.c, ALL, 0, 0);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_MAP_DMA, T_BAD), EFAULT);
	t_fails(t_map(x.c, 0, mem, 0, PG), EINVAL);
	t_fails(t_map(x.c, 8, mem, 0, PG), EINVAL);
	t_fails(t_map(x.c, 9, mem, 0, PG), EINVAL);
	t_fails(t_map(x.c, 7, mem, 0, PG), EINVAL);
	t_fails(t_map(x.c, 12, mem, 0, PG), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0, 0), EINVAL);
	t_fails(t_map(x.c, RW, mem, PG, 0), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0, 1), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0, PG + 1), EINVAL);
	t_fails(t_map(x.c, RW, mem, 1, PG), EINVAL);
	t_fails(t_map(x.c, 0, mem, 1, PG), EINVAL);
	t_fails(t_map(x.c, RW, mem + 1, 0, PG), EINVAL);
	t_fails(t_map(x.c, RW, mem, minus_page, 2 * PG), EOVERFLOW);
	t_fails(t_map(x.c, RW, mem, minus_page + 1, 2 * PG), EOVERFLOW);
	t_fails(t_map(x.c, 0, mem, minus_page, 2 * PG), EOVERFLOW);
	t_fails(t_map(x.c, 5, mem, minus_page, 2 * PG), EOVERFLOW);
	t_fails(t_map(x.c, 8, mem, minus_page, 2 * PG), EINVAL);
	t_fails(t_map(x.c, RW, (void *)minus_page, 0, 2 * PG), EOVERFLOW);
	t_fails(t_map(x.c, RW, mem, 2 * PG, minus_page), EOVERFLOW);
	t_fails(t_map(x.c, RW, mem, ~0ull, 1), EINVAL);
	t_teardown(x);
}

static void map_where(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	t_works(t_map(x.c, RW, mem, minus_page, PG));
	unmaps(PG, t_unmap(x.c, 0, minus_page, PG));
	t_works(t_map(x.c, RW, mem, 1ull << 57, PG));
	unmaps(PG, t_unmap(x.c, ALL, 0, 0));
	t_fails(t_map(x.c, RW, mem, 0xfee00000, PG), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0xfee00000 - PG, 2 * PG), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0xfeeff000, 2 * PG), EINVAL);
	t_fails(t_map(x.c, RW, NULL, 0, minus_page), EINVAL);
	t_fails(t_map(x.c, RW, NULL, PG, minus_page), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0xfd00000000, PG), EINVAL);
	t_fails(t_map(x.c, RW, mem, 0xfffffff000, 2 * PG), EINVAL);
	t_works(t_map(x.c, RW, mem, 0x10000000000, PG));
	t_works(t_map(x.c, RW, mem, 0xfcfffff000, PG));
	t_works(t_map(x.c, RW, mem, 0xfedff000, PG));
	t_works(t_map(x.c, RW, mem, 0xfef00000, PG));
	t_fails(t_map(x.c, RW, mem, 0xfedff000, 2 * PG), EEXIST); /* before the MSI window */
	unmaps(4 * PG, t_unmap(x.c, 0, 0, minus_page));
	unmaps_nothing(t_unmap(x.c, 0, 0xfee00000, PG));
	t_works(t_map(x.c, RW, mem, 0, PG));
	t_works(t_map(x.c, RW, mem, minus_page, PG));
	unmaps(PG, t_unmap(x.c, 0, 0, minus_page));
	unmaps(PG, t_unmap(x.c, 0, PG, minus_page));
	t_teardown(x);
}

static void reasons_name_what_is_in_the_way(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	assert_int_equal(t_map(x.c, RW, mem, 0xfee00000, PG), -EINVAL);
	assert_non_null(strstr(explain_take(), "MSI window [0xfee00000-0xfeefffff]"));
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	assert_int_equal(t_map(x.c, RW, mem, 0x103000, 4 * PG), -EEXIST);
	assert_non_null(strstr(explain_take(), "[0x100000-0x103fff]"));
	assert_int_equal(t_unmap(x.c, 0, 0x101000, PG), -EINVAL);
	assert_non_null(strstr(explain_take(), "[0x100000-0x103fff]"));
	assert_int_equal(t_map(x.c, RW, (void *)PG, 0, PG), -EFAULT);
	assert_non_null(strstr(explain_take(), "0x1000"));
	t_works(t_unmap(x.c, 0, 0x900000, PG));
	assert_non_null(strstr(explain_take_notes(), "nothing is mapped in [0x900000-0x900fff]"));
	t_teardown(x);
}

static void map_what(void **state)
{
	char *page = mmap(NULL, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *holed = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	munmap(holed + 2 * PG, PG);
	t_fails(t_map(x.c, RW, (void *)PG, 0, PG), EFAULT);
	t_fails(t_map(x.c, RW, page, 0, PG), EFAULT);
	t_works(t_map(x.c, VFIO_DMA_MAP_FLAG_READ, page, 0, PG));
	unmaps(PG, t_unmap(x.c, 0, 0, PG));
	mprotect(page, PG, PROT_NONE);
	t_fails(t_map(x.c, VFIO_DMA_MAP_FLAG_READ, page, 0, PG), EFAULT);
	t_fails(t_map(x.c, RW, holed, 0, 4 * PG), EFAULT);
	unmaps_nothing(t_unmap(x.c, 0, 0, 4 * PG));
	t_works(t_map(x.c, RW, holed, 0, 2 * PG));
	t_teardown(x);
	munmap(page, PG);
	munmap(holed, 4 * PG);
}

static void overlaps(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	t_works(t_map(x.c, VFIO_DMA_MAP_FLAG_WRITE, mem, 0x100000, 4 * PG));
	t_fails(t_map(x.c, RW, mem, 0x100000, 4 * PG), EEXIST);
	t_fails(t_map(x.c, RW, mem, 0x103000, 4 * PG), EEXIST);
	t_fails(t_map(x.c, RW, mem, 0xff000, 2 * PG), EEXIST);
	t_fails(t_map(x.c, RW, mem, 0xff000, 8 * PG), EEXIST);
	t_works(t_map(x.c, RW, mem, 0x104000, 4 * PG));
	t_works(t_map(x.c, RW, mem, 0xff000, PG));
	t_teardown(x);
}

static void unmap_v2(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap) - 1,
						    .iova = 0x100000,
						    .size = PG };

	(void)state;
	guard_install();
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_works(t_map(x.c, RW, mem, 0x104000, 4 * PG));
	t_fails(t_ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, &unmap), EINVAL);
	assert_int_equal(unmap.size, PG);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, T_BAD), EFAULT);
	unmap_fails(EINVAL, PG, t_unmap(x.c, 8, 0x100000, PG));
	unmap_fails(EINVAL, 0, t_unmap(x.c, 0, 0x100000, 0));
	unmap_fails(EINVAL, 0, t_unmap(x.c, 0, ~0ull, 0));
	unmap_fails(EINVAL, 1, t_unmap(x.c, 0, 0x100000, 1));
	unmap_fails(EINVAL, PG, t_unmap(x.c, 0, 0x100001, PG));
	unmap_fails(EOVERFLOW, 2 * PG, t_unmap(x.c, 0, minus_page, 2 * PG));
	unmap_fails(EINVAL, 2 * PG, t_unmap(x.c, 0, minus_page + 1, 2 * PG));
	unmap_fails(EINVAL, ~0ull, t_unmap(x.c, 0, PG, ~0ull));
	unmaps_nothing(t_unmap(x.c, 0, 0x900000, PG));
	unmap_fails(EINVAL, PG, t_unmap(x.c, 0, 0x100000, PG));
	unmap_fails(EINVAL, PG, t_unmap(x.c, 0, 0x103000, PG));
	unmap_fails(EINVAL, 2 * PG, t_unmap(x.c, 0, 0x101000, 2 * PG));
	unmap_fails(EINVAL, 6 * PG, t_unmap(x.c, 0, 0x100000, 6 * PG));
	unmaps(8 * PG, t_unmap(x.c, 0, 0xf0000, 32 * PG));
	unmaps_nothing(t_unmap(x.c, 0, 0xf0000, 32 * PG));
	t_teardown(x);
}

static void unmap_all(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	t_works(t_map(x.c, RW, mem, 0x100000, PG));
	t_works(t_map(x.c, RW, mem, 0x200000, PG));
	unmap_fails(EINVAL, 0, t_unmap(x.c, ALL, 0x100000, 0));
	unmap_fails(EINVAL, PG, t_unmap(x.c, ALL, 0, PG));
	unmap_fails(EINVAL, 0, t_unmap(x.c, ALL | DIRTY, 0, 0));
	unmap_fails(EINVAL, 0, t_unmap(x.c, ALL | DIRTY | VADDR, 0, 0));
	unmap_fails(EINVAL, 2 * PG, t_unmap(x.c, ALL, minus_page, 2 * PG));
	unmaps(2 * PG, t_unmap(x.c, ALL, 0, 0));
	unmaps(0, t_unmap(x.c, ALL, 0, 0));
	t_teardown(x);
}

static void set_limit(const char *text)
{
	assert_int_equal(kernfs_write("sys/module/vfio_iommu_type1/parameters/dma_entry_limit", text,
				      strlen(text)),
			 0);
}

static void entry_limit(void **state)
{
	struct t_ctx x;

	(void)state;
	set_limit("3\n");
	x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	set_limit("65535\n"); /* the next container's */
	for (unsigned i = 0; i < 3; i++)
		t_works(t_map(x.c, RW, mem, i * PG, PG));
	t_fails(t_map(x.c, RW, mem, 3 * PG, PG), ENOSPC);
	t_fails(t_map(x.c, RW, mem, 0, PG), EEXIST);
	t_fails(t_map(x.c, RW, mem, 0xfee00000, PG), ENOSPC);
	t_fails(t_map(x.c, RW, (void *)PG, 3 * PG, PG), ENOSPC);
	unmaps(PG, t_unmap(x.c, 0, PG, PG));
	t_works(t_map(x.c, RW, mem, 3 * PG, PG));
	t_teardown(x);
	x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	assert_int_equal(available(x.c), 65535);
	t_teardown(x);
}

static void lock_limit(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	locked_vm_set_limit(64 << 10);
	t_fails(t_map(x.c, RW, mem, 0x100000, 128 << 10), ENOMEM);
	t_works(t_map(x.c, RW, mem, 0x100000, 32 << 10));
	t_works(t_map(x.c, RW, mem, 0x200000, 32 << 10)); /* the same memory counts again */
	t_fails(t_map(x.c, RW, mem, 0x300000, PG), ENOMEM);
	unmaps(64 << 10, t_unmap(x.c, ALL, 0, 0));
	t_works(t_map(x.c, RW, mem, 0x300000, PG));
	locked_vm_set_limit(UINT64_MAX);
	t_works(t_map(x.c, RW, mem, 0x400000, 128 << 10));
	t_teardown(x);
}

/* ---- vaddr ---- */

static void vaddr_taken_and_given(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_fails(t_map(x.c, 5, mem, 0x100000, 4 * PG), EINVAL);
	t_fails(t_map(x.c, 4, mem, 0x100000, 4 * PG), EINVAL);
	t_fails(t_map(x.c, 4, mem, 0x800000, PG), ENOENT);
	t_fails(t_map(x.c, 4, mem, 0, PG + 1), EINVAL);
	t_fails(t_map(x.c, 4, mem, minus_page, 2 * PG), EOVERFLOW);
	unmap_fails(EINVAL, 4 * PG, t_unmap(x.c, VADDR | DIRTY, 0x100000, 4 * PG));
	unmap_fails(EINVAL, 2 * PG, t_unmap(x.c, VADDR, 0x100000, 2 * PG));
	unmaps(4 * PG, t_unmap(x.c, VADDR, 0x100000, 4 * PG));
	unmap_fails(EINVAL, 4 * PG, t_unmap(x.c, VADDR, 0x100000, 4 * PG));
	t_fails(t_map(x.c, RW, mem, 0x100000, 4 * PG), EEXIST);
	t_fails(t_map(x.c, 4, mem, 0x100000, 2 * PG), EINVAL);
	t_fails(t_map(x.c, 4, mem, 0x101000, 3 * PG), EINVAL);
	t_fails(t_map(x.c, 4, mem + 1, 0x100000, 4 * PG), EINVAL);
	t_works(t_map(x.c, 4, mem + 8 * PG, 0x100000, 4 * PG));
	unmaps(4 * PG, t_unmap(x.c, VADDR | ALL, 0, 0));
	t_works(t_map(x.c, 4, (void *)PG, 0x100000, 4 * PG)); /* it is only noted */
	unmaps(4 * PG, t_unmap(x.c, VADDR, 0xf0000, 32 * PG));
	unmaps_nothing(t_unmap(x.c, VADDR, 0x900000, PG));
	unmap_fails(EINVAL, PG, t_unmap(x.c, VADDR | ALL, 0, PG));
	unmaps(4 * PG, t_unmap(x.c, 0, 0x100000, 4 * PG));
	t_teardown(x);
}

static void vaddr_all_or_none(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		t_works(t_map(x.c, RW, mem, i * PG, PG));
	unmaps(PG, t_unmap(x.c, VADDR, 2 * PG, PG));
	unmap_fails(EINVAL, 0, t_unmap(x.c, VADDR | ALL, 0, 0));
	t_fails(t_map(x.c, 4, mem, 0, PG), EINVAL); /* still valid */
	unmap_fails(EINVAL, 3 * PG, t_unmap(x.c, VADDR, 0, 3 * PG));
	unmaps(2 * PG, t_unmap(x.c, VADDR, 0, 2 * PG));
	for (unsigned i = 0; i < 3; i++)
		t_works(t_map(x.c, 4, mem, i * PG, PG));
	unmaps(3 * PG, t_unmap(x.c, ALL, 0, 0));
	t_teardown(x);
}

static void no_group_joins_without_vaddr(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	int g2 = (int)t_works(t_open("vfio/5"));

	(void)state;
	t_works(t_map(x.c, RW, mem, 0, PG));
	unmaps(PG, t_unmap(x.c, VADDR, 0, PG));
	t_fails(t_set_container(g2, x.c), EBUSY);
	t_works(t_map(x.c, 4, mem, 0, PG));
	t_works(t_set_container(g2, x.c));
	t_close(g2);
	t_teardown(x);
}

/* ---- dirty pages ---- */

static u64 bits[8];

static long dirty(int c, u32 argsz, u32 flags)
{
	return t_ioctl(c, VFIO_IOMMU_DIRTY_PAGES,
		       &(struct vfio_iommu_type1_dirty_bitmap){ .argsz = argsz, .flags = flags });
}

static long get_bitmap_of(int c, u64 iova, u64 size, u64 pgsize, u64 bitmap_size, void *data, u32 argsz)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap header;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} q = {
		.header = { .argsz = argsz, .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP },
		.get = { .iova = iova,
			 .size = size,
			 .bitmap = { .pgsize = pgsize, .size = bitmap_size, .data = data } },
	};

	memset(bits, 0, sizeof(bits));
	return t_ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q);
}

static long get_bitmap(int c, u64 iova, u64 size, u64 bitmap_size)
{
	return get_bitmap_of(c, iova, size, PG, bitmap_size, bits, 48);
}

static long unmap_dirty(int c, u64 iova, u64 size, u64 pgsize, u64 bitmap_size)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} q = {
		.unmap = { .argsz = sizeof(q), .flags = DIRTY, .iova = iova, .size = size },
		.bitmap = { .pgsize = pgsize, .size = bitmap_size, .data = (void *)bits },
	};
	long ret;

	memset(bits, 0, sizeof(bits));
	ret = t_ioctl(c, VFIO_IOMMU_UNMAP_DMA, &q);
	t_unmapped = q.unmap.size;
	return ret;
}

static void dirty_switch(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_fails(get_bitmap(x.c, 0x100000, 4 * PG, 8), EINVAL);
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, PG, 8));
	t_works(dirty(x.c, 8, 2));
	t_fails(dirty(x.c, 8, 0), EINVAL);
	t_fails(dirty(x.c, 8, 3), EINVAL);
	t_fails(dirty(x.c, 8, 5), EINVAL);
	t_fails(dirty(x.c, 8, 8), EINVAL);
	t_fails(dirty(x.c, 4, 1), EINVAL);
	t_fails(dirty(x.c, 4, 2), EINVAL);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_DIRTY_PAGES, T_BAD), EFAULT);
	t_works(dirty(x.c, 8, 1));
	t_works(dirty(x.c, 8, 1));
	t_works(get_bitmap(x.c, 0x100000, 4 * PG, 8));
	t_works(dirty(x.c, 8, 2));
	t_works(dirty(x.c, 8, 2));
	t_fails(get_bitmap(x.c, 0x100000, 4 * PG, 8), EINVAL);
	t_teardown(x);
}

static void dirty_bitmap_arguments(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_fails(get_bitmap(x.c, minus_page, 2 * PG, 8), EOVERFLOW);
	t_works(dirty(x.c, 8, 1));
	t_fails(get_bitmap_of(x.c, 0x100000, 4 * PG, PG, 8, bits, 8), EINVAL);
	t_fails(get_bitmap_of(x.c, 0x100000, 4 * PG, PG, 8, bits, 16), EINVAL);
	t_fails(get_bitmap_of(x.c, 0x100000, 4 * PG, 2 << 20, 8, bits, 48), EINVAL);
	t_fails(get_bitmap_of(x.c, 0x100000, 4 * PG, 0, 8, bits, 48), EINVAL);
	t_fails(get_bitmap_of(x.c, 0x100000, 4 * PG, 3, 8, bits, 48), EINVAL);
	t_fails(get_bitmap(x.c, 0x100000, 4 * PG, 0), EINVAL);
	t_fails(get_bitmap(x.c, 0x100000, 4 * PG, 4), EINVAL);
	t_fails(get_bitmap_of(x.c, 0x100000, 4 * PG, PG, 8, T_BAD, 48), EFAULT);
	t_fails(get_bitmap(x.c, 0x100000, 2 * PG, 8), EINVAL);
	t_fails(get_bitmap(x.c, 0x100001, 4 * PG, 8), EINVAL);
	t_fails(get_bitmap(x.c, 0x100000, 4 * PG + 1, 8), EINVAL);
	t_fails(get_bitmap(x.c, 0x100000, 0, 8), EINVAL);
	t_fails(get_bitmap(x.c, minus_page + 1, 2 * PG, 8), EOVERFLOW);
	t_fails(get_bitmap(x.c, minus_page, 2 * PG, 0), EOVERFLOW);
	t_fails(get_bitmap(x.c, 0, 1ull << 44, 1 << 30), EINVAL);
	t_fails(get_bitmap(x.c, 0x100000, 65 * PG, 8), EINVAL);
	t_fails(get_bitmap(x.c, 0x100000, 4 * PG, (256 << 20) + 8), EINVAL);
	t_works(get_bitmap(x.c, 0x100000, 4 * PG, 256 << 20));
	t_suspicious(get_bitmap(x.c, minus_page, PG, 8));
	t_suspicious(get_bitmap(x.c, 0x900000, 8 * PG, 8));
	assert_int_equal(bits[0], 0);
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, 2 << 20, 8));
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, 0, 8));
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, 3, 8));
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, PG, 0));
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, PG, 4));
	unmap_fails(EINVAL, 2 * PG, unmap_dirty(x.c, 0x100000, 2 * PG, PG, 8));
	unmap_fails(EOVERFLOW, 2 * PG, unmap_dirty(x.c, minus_page, 2 * PG, PG, 8));
	unmap_fails(EINVAL, 2 * PG, unmap_dirty(x.c, minus_page, 2 * PG, PG, 0));
	unmap_fails(EINVAL, 4 * PG, t_unmap(x.c, DIRTY, 0x100000, 4 * PG)); /* argsz without the bitmap */
	unmaps_nothing(unmap_dirty(x.c, 0x900000, 2 * PG, PG, 8));
	t_teardown(x);
}

static void dirty_bits(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_works(t_map(x.c, VFIO_DMA_MAP_FLAG_READ, mem, 0x106000, 4 * PG));
	t_works(dirty(x.c, 8, 1));
	for (unsigned i = 0; i < 2; i++) {
		t_works(get_bitmap(x.c, 0x100000, 4 * PG, 8));
		assert_int_equal(bits[0], 0xf);
	}
	t_works(get_bitmap(x.c, 0x100000, 10 * PG, 8));
	assert_int_equal(bits[0], 0x3cf);
	t_works(get_bitmap(x.c, 0xfe000, 16 * PG, 8));
	assert_int_equal(bits[0], 0xf3c);
	t_works(get_bitmap(x.c, 0x106000 - 62 * PG, 66 * PG, 16)); /* across two words */
	assert_int_equal(bits[0], 0xc000000000000000 | 0xfull << 56);
	assert_int_equal(bits[1], 3);
	unmaps(4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, PG, 8));
	assert_int_equal(bits[0], 0xf);
	unmaps(4 * PG, unmap_dirty(x.c, 0x100000, 12 * PG, PG, 8));
	assert_int_equal(bits[0], 0x3c0);
	unmaps_nothing(unmap_dirty(x.c, 0x100000, 12 * PG, PG, 8));
	t_teardown(x);
}

/* More words than one chunk, and a bitmap that is not there to its end. */
static void dirty_bits_of_much_memory(void **state)
{
	const u64 pages = 64 * 64 * 2 + 5;
	char *big = mmap(NULL, pages * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 *map = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), sum = 0;
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	t_works(t_map(x.c, VFIO_DMA_MAP_FLAG_READ, big, 3 * PG, pages * PG));
	t_works(dirty(x.c, 8, 1));
	t_works(get_bitmap_of(x.c, 0, (pages + 3) * PG, PG, 2 * PG, map, 48));
	for (unsigned i = 0; i < 2 * PG / 8; i++)
		sum += __builtin_popcountll(map[i]);
	assert_int_equal(sum, pages);
	assert_int_equal(map[0], ~0ull << 3);
	assert_int_equal(map[(pages + 3) / 64], (1ull << (pages + 3) % 64) - 1);
	munmap(map + 64, PG); /* fewer words than the chunk: still within the first page */
	munmap((char *)map, 2 * PG);
	t_fails(get_bitmap_of(x.c, 0, (pages + 3) * PG, PG, 2 * PG, map, 48), EFAULT);
	t_teardown(x);
	munmap(big, pages * PG);
}

/* ---- version 1 ---- */

static void version1(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1_IOMMU);

	(void)state;
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_fails(t_map(x.c, RW, mem, 0x100000, 4 * PG), EEXIST);
	unmaps_nothing(t_unmap(x.c, 0, 0x101000, PG));
	unmaps_nothing(t_unmap(x.c, 0, 0x103000, PG));
	t_suspicious(t_unmap(x.c, 0, 0x100000, PG));
	assert_int_equal(t_unmapped, 4 * PG);
	unmaps_nothing(t_unmap(x.c, 0, 0x100000, 4 * PG));
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_works(t_map(x.c, RW, mem, 0x104000, 4 * PG));
	unmaps(8 * PG, t_unmap(x.c, 0, 0x100000, 6 * PG));
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	unmaps(4 * PG, t_unmap(x.c, 0, 0xff000, 2 * PG));
	unmap_fails(EINVAL, 0, t_unmap(x.c, 0, 0x100000, 0));
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	unmaps(4 * PG, t_unmap(x.c, ALL, 0, 0));
	t_fails(dirty(x.c, 8, 1), EACCES);
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	t_works(t_map(x.c, RW, mem, 0x104000, 4 * PG));
	t_works(t_map(x.c, RW, mem, 0x110000, 4 * PG));
	unmaps_nothing(t_unmap(x.c, 0, 0x102000,
			       6 * PG)); /* stops at the first, though the second is inside */
	unmaps(8 * PG, t_unmap(x.c, 0, 0x100000, 5 * PG));
	unmaps(4 * PG, t_unmap(x.c, 0, 0x108000, 0x9000));
	t_works(t_map(x.c, RW, mem, 0x100000, 4 * PG));
	unmaps(4 * PG, t_unmap(x.c, VADDR, 0x100000, PG));
	unmaps_nothing(t_unmap(x.c, VADDR, 0x101000, PG));
	unmap_fails(EINVAL, 4 * PG, t_unmap(x.c, VADDR, 0x100000, 4 * PG));
	unmap_fails(EINVAL, 4 * PG, unmap_dirty(x.c, 0x100000, 4 * PG, PG, 8));
	t_teardown(x);
}

/* ---- several groups ---- */

static void groups_share_mappings(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	int g2 = (int)t_works(t_open("vfio/5"));

	(void)state;
	t_works(t_map(x.c, RW, mem, 0, PG));
	t_works(t_set_container(g2, x.c));
	assert_int_equal(get_info(x.c, 4096)->info.iova_pgsizes, 0xfff7ffffff000);
	t_works(t_map(x.c, RW, mem, PG, PG));
	t_works(t_ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_fails(t_map(x.c, RW, mem, 0, PG), EEXIST); /* still there for group 5 */
	unmaps(2 * PG, t_unmap(x.c, ALL, 0, 0));
	t_works(t_set_container(x.g, x.c));
	t_close(g2);
	t_works(t_map(x.c, RW, mem, 0, PG));
	t_teardown(x);
}

static void mappings_die_with_the_last_group(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	t_works(t_map(x.c, RW, mem, 0, PG));
	t_works(t_ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_works(t_set_container(x.g, x.c));
	t_works(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	assert_int_equal(available(x.c), 65535);
	unmaps_nothing(t_unmap(x.c, 0, 0, PG));
	t_works(t_map(x.c, RW, mem, 0, PG));
	t_teardown(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(info_answers, t_close_all),
		cmocka_unit_test_teardown(info_counts_mappings, t_close_all),
		cmocka_unit_test_teardown(map_arguments, t_close_all),
		cmocka_unit_test_teardown(map_where, t_close_all),
		cmocka_unit_test_teardown(reasons_name_what_is_in_the_way, t_close_all),
		cmocka_unit_test_teardown(map_what, t_close_all),
		cmocka_unit_test_teardown(overlaps, t_close_all),
		cmocka_unit_test_teardown(unmap_v2, t_close_all),
		cmocka_unit_test_teardown(unmap_all, t_close_all),
		cmocka_unit_test_teardown(entry_limit, t_close_all),
		cmocka_unit_test_teardown(lock_limit, t_close_all),
		cmocka_unit_test_teardown(vaddr_taken_and_given, t_close_all),
		cmocka_unit_test_teardown(vaddr_all_or_none, t_close_all),
		cmocka_unit_test_teardown(no_group_joins_without_vaddr, t_close_all),
		cmocka_unit_test_teardown(dirty_switch, t_close_all),
		cmocka_unit_test_teardown(dirty_bitmap_arguments, t_close_all),
		cmocka_unit_test_teardown(dirty_bits, t_close_all),
		cmocka_unit_test_teardown(dirty_bits_of_much_memory, t_close_all),
		cmocka_unit_test_teardown(version1, t_close_all),
		cmocka_unit_test_teardown(groups_share_mappings, t_close_all),
		cmocka_unit_test_teardown(mappings_die_with_the_last_group, t_close_all),
	};

	return cmocka_run_group_tests(tests, setup, t_machine_end);
}
