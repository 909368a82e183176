/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtdss_test.c - the writer of VT-d second-stage tables, judged by entries spelled out by hand.  Against a
 * flat model, and against the walker, it is tested in tests/iommu; what all formats share, in amdv1_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/vtdss.h"
#include "kernel/lib/err.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define MEM (1ull << 47) /* physical addresses of a program begin there */
#define TABLES_MASK 0x000ffffffffff000ull

static struct pt_tree pt;

static int setup(void **state)
{
	return vtdss_init(&pt, 4);
}

static int teardown(void **state)
{
	vtdss_destroy(&pt);
	return 0;
}

static void map_ok(u64 iova, u64 phys, u64 len)
{
	assert_int_equal(vtdss_map(&pt, iova, phys, len, RW), 0);
}

static void map_fails(u64 iova, u64 phys, u64 len, int prot, int err)
{
	assert_int_equal(vtdss_map(&pt, iova, phys, len, prot), err);
}

static u64 unmap(u64 iova, u64 len)
{
	struct pt_gather gather = { .iova = ~0ull };
	u64 bytes = vtdss_unmap(&pt, iova, len, &gather);

	vtdss_release(&pt);
	return bytes;
}

/* The entry for @iova in the table of @level.  A link has R and W and an address, and nothing else. */
static u64 entry_of(u64 iova, unsigned level)
{
	const u64 *table = pt_tree_root(&pt);
	unsigned at = pt_tree_levels(&pt);

	for (; at > level; at--) {
		u64 link = table[(iova >> (12 + 9 * (at - 1))) % 512];

		assert_int_equal(link & ~TABLES_MASK, 3);
		table = (const u64 *)(uintptr_t)(link & TABLES_MASK);
	}
	return table[(iova >> (12 + 9 * (at - 1))) % 512];
}

static void test_small_leaf(void **state)
{
	map_ok(0x5000, MEM + 0x1000, 0x1000);
	assert_int_equal(entry_of(0x5000, 1), MEM + 0x1003);
	assert_int_equal(entry_of(0x6000, 1), 0);
	assert_int_equal(vtdss_map(&pt, 0x6000, MEM, 0x1000, IOMMU_READ), 0);
	assert_int_equal(entry_of(0x6000, 1), MEM | 1);
	assert_int_equal(vtdss_map(&pt, 0x7000, MEM, 0x1000, IOMMU_WRITE), 0);
	assert_int_equal(entry_of(0x7000, 1), MEM | 2);
	map_fails(0x8000, MEM, 0x1000, 0, -EINVAL);
	map_fails(0x8000, MEM, 0x1000, IOMMU_CACHE, -EINVAL);
	assert_int_equal(entry_of(0x8000, 1), 0);
	assert_int_equal(unmap(0x5000, 0x4000), 0x3000);
	assert_int_equal(entry_of(0x5000, 1), 0);
}

static void test_page_sizes(void **state)
{
	map_ok(0x200000, MEM + 0x200000, 0x200000);
	assert_int_equal(entry_of(0x200000, 2), MEM + 0x200083);
	map_ok(0x40000000, MEM, 0x40000000);
	assert_int_equal(entry_of(0x40000000, 3), MEM | 0x83);
	/* what is between is made of the next smaller: 8 KiB to 1 MiB, 4 MiB to 512 MiB, 2 GiB and more */
	map_ok(0x100000, MEM, 0x2000);
	assert_int_equal(entry_of(0x101000, 1), MEM + 0x1003);
	map_ok(0x400000, MEM + 0x400000, 0x400000);
	assert_int_equal(entry_of(0x600000, 2), MEM + 0x600083);
	map_ok(0x80000000, MEM, 0x80000000);
	assert_int_equal(entry_of(0xc0000000, 3), MEM + 0x40000083);
	map_ok(1ull << 40, MEM, 1ull << 40); /* no page of 512 GiB */
	assert_int_equal(entry_of((1ull << 40) + (3ull << 30), 3), MEM + (3ull << 30) + 0x83);
	assert_int_equal(vtdss_iova_to_phys(&pt, (1ull << 41) - 1), MEM + (1ull << 40) - 1);
	assert_int_equal(vtdss_iova_to_phys(&pt, 0x40012345), MEM + 0x12345);
	assert_int_equal(vtdss_iova_to_phys(&pt, 0x202345), MEM + 0x202345);
	assert_int_equal(vtdss_iova_to_phys(&pt, 0x102000), 0);
	assert_int_equal(vtdss_iova_to_phys(&pt, 1ull << 48), 0);
}

/* Where iova and phys do not agree, small pages all the way; where they do, large ones in the middle. */
static void test_mixed_sizes(void **state)
{
	map_ok(0x1ff000, MEM + 0x1ff000, 0x202000);
	assert_int_equal(entry_of(0x1ff000, 1), MEM + 0x1ff003);
	assert_int_equal(entry_of(0x200000, 2), MEM + 0x200083);
	assert_int_equal(entry_of(0x400000, 1), MEM + 0x400003);
	assert_int_equal(entry_of(0x401000, 1), 0);
	map_ok(0x601000, MEM + 0x2000, 0x400000);
	for (u64 off = 0; off < 0x400000; off += 0x1000)
		assert_int_equal(entry_of(0x601000 + off, 1), MEM + 0x2003 + off);
	assert_int_equal(unmap(0, 1ull << 40), 0x602000);
}

static void test_gather_covers_whole_pages(void **state)
{
	struct pt_gather gather = { .iova = ~0ull };

	map_ok(0x200000, MEM + 0x200000, 0x200000);
	map_ok(0x400000, MEM, 0x1000);
	assert_int_equal(vtdss_unmap(&pt, 0x3ff000, 0x2000, &gather), 0x201000);
	assert_int_equal(gather.iova, 0x200000);
	assert_int_equal(gather.last, 0x400fff);
}

static void test_exists(void **state)
{
	map_ok(0x10000, MEM, 0x1000);
	map_fails(0x10000, MEM, 0x1000, RW, -EEXIST);
	map_fails(0x0, MEM, 0x200000, RW, -EEXIST);	   /* a large page over a table in use */
	map_fails(0xf000, MEM + 0x5000, 0x3000, RW, -EEXIST); /* the second page of three */
	assert_int_equal(vtdss_iova_to_phys(&pt, 0xf000), 0);
	assert_int_equal(vtdss_iova_to_phys(&pt, 0x11000), 0);
	map_ok(0x40000000, MEM, 0x40000000);
	map_fails(0x40001000, MEM, 0x1000, RW, -EEXIST);   /* below a 1 GiB page */
	map_fails(0x3ffff000, MEM, 0x2000, RW, -EEXIST);
	assert_int_equal(unmap(0, 1ull << 47), 0x40001000);
}

static void test_large_page_over_empty_tables(void **state)
{
	map_ok(0x40001000, MEM, 0x1000);
	assert_int_equal(unmap(0x40001000, 0x1000), 0x1000);
	map_ok(0x40000000, MEM, 0x40000000);
	assert_int_equal(entry_of(0x40000000, 3), MEM | 0x83);
	assert_int_equal(unmap(0x7ffff000, 0x1000), 0x40000000); /* it goes whole */
}

static void test_memory_comes_back(void **state)
{
	for (u64 i = 0; i < 1000; i++)
		map_ok(i << 30, MEM, 0x1000);
	assert_true(pt.pool.pages > 1000);
	for (u64 i = 0; i < 1000; i++)
		assert_int_equal(unmap(i << 30, 0x1000), 0x1000);
	assert_true(pt.pool.pages <= 4 + 2 * PT_KEEP_EMPTY);
	map_ok(0x1000, MEM + 0x4000, 1ull << 30);
	assert_true(pt.pool.pages >= 514);
	assert_int_equal(unmap(0x1000, 1ull << 30), 1ull << 30);
	assert_true(pt.pool.pages <= 4 + 2 * PT_KEEP_EMPTY);
}

static void test_levels(void **state)
{
	for (unsigned levels = 3; levels <= 5; levels++) {
		u64 top = 1ull << (12 + 9 * levels);

		vtdss_destroy(&pt);
		assert_int_equal(vtdss_init(&pt, levels), 0);
		assert_int_equal(pt_tree_levels(&pt), levels);
		map_ok(top - 0x1000, MEM + 0x7000, 0x1000);
		assert_int_equal(entry_of(top - 0x1000, 1), MEM + 0x7003);
		assert_int_equal(pt_tree_levels(&pt), levels); /* VT-d's roots do not grow */
		assert_int_equal(unmap(0, top), 0x1000);
		assert_int_equal(unmap(top, 0x1000), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_small_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mixed_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gather_covers_whole_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_page_over_empty_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
