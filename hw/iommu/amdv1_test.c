/* SPDX-License-Identifier: BSD-3-Clause */
/* amdv1_test.c - the walker of AMD tables on tables made by hand, and on garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "hw/iommu/iommu_fake.h"

static int setup(void **state)
{
	fake_reset();
	return 0;
}

static int walk(u64 dte, u64 iova, struct hw_translation *ret, unsigned *ret_level)
{
	struct hw_device_entry entry = { .q0 = dte };
	struct hw_walk w = { .bus = &fake_bus_ops, .format = &hw_iommu_amdv1, .entry = &entry };
	int reason = hw_iommu_amdv1.walk(&w, iova, ret);

	*ret_level = w.level;
	return reason;
}

static struct hw_translation walk_ok(u64 dte, u64 iova)
{
	struct hw_translation tr = { .lg2 = 0 };
	unsigned level;

	assert_int_equal(walk(dte, iova, &tr, &level), 0);
	return tr;
}

static void walk_fails(u64 dte, u64 iova, int reason, unsigned at_level)
{
	struct hw_translation tr;
	unsigned level = 99;

	assert_int_equal(walk(dte, iova, &tr, &level), reason);
	assert_int_equal(level, at_level);
}

static void link_to(unsigned from, unsigned index, unsigned to, unsigned level, u64 perms)
{
	tables[from][index] = T_PRESENT | T_NEXT(level) | perms | table_pa(to);
}

static void test_device_entry(void **state)
{
	walk_fails(0, 0x1000, HW_IOMMU_FAULT_DTE_INVALID, 0);
	walk_fails(2, 0x1000, HW_IOMMU_FAULT_DTE_INVALID, 0);
	walk_fails(1 | T_RW, 0x1000, HW_IOMMU_FAULT_BLOCKED, 0);
	walk_fails(T_DTE(0), 0x1000, HW_IOMMU_FAULT_BLOCKED, 0);
	walk_fails(T_DTE(7) | T_RW | table_pa(0), 0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	walk_fails(T_DTE(3) | T_RW | 0x5000, 0x1000, HW_IOMMU_FAULT_BUS, 3);   /* root where nothing is */
	walk_fails(T_DTE(3) | T_RW | FAKE_MEM, 0x1000, HW_IOMMU_FAULT_BUS, 3); /* root in a program */
	walk_fails(T_DTE(3) | T_RW | table_pa(0), 0x1000, HW_IOMMU_FAULT_NOT_PRESENT, 3);
}

static void test_identity(void **state)
{
	struct hw_translation tr = walk_ok(T_DTE(0) | T_READ, FAKE_BAR + 0x1234);

	assert_int_equal(tr.pa, FAKE_BAR + 0x1000);
	assert_int_equal(tr.iova, FAKE_BAR + 0x1000);
	assert_true(tr.read);
	assert_false(tr.write);
	walk_fails(T_DTE(0) | T_RW, 0x1000, HW_IOMMU_FAULT_BUS, 0);
	walk_fails(T_DTE(0) | T_RW, table_pa(0), HW_IOMMU_FAULT_BUS, 0);
	walk_fails(T_DTE(0) | T_RW, FAKE_MEM, HW_IOMMU_FAULT_BUS, 0);
	walk_fails(T_DTE(0) | T_RW, 1ull << 52, HW_IOMMU_FAULT_BUS, 0);
}

static void test_three_levels(void **state)
{
	u64 dte = T_DTE(3) | T_RW | table_pa(0), iova = (5ull << 30) | (6ull << 21) | (7ull << 12);
	struct hw_translation tr;

	link_to(0, 5, 1, 2, T_RW);
	link_to(1, 6, 2, 1, T_RW);
	tables[2][7] = T_PRESENT | T_RW | (FAKE_MEM + 0x9000);
	tr = walk_ok(dte, iova + 0x123);
	assert_int_equal(tr.pa, FAKE_MEM + 0x9000);
	assert_int_equal(tr.iova, iova);
	assert_int_equal(tr.lg2, 12);
	assert_true(tr.read && tr.write);
	walk_fails(dte, iova + 0x1000, HW_IOMMU_FAULT_NOT_PRESENT, 1);
	walk_fails(dte, iova + (1ull << 21), HW_IOMMU_FAULT_NOT_PRESENT, 2);
	walk_fails(dte, iova + (1ull << 30), HW_IOMMU_FAULT_NOT_PRESENT, 3);
	walk_fails(dte, iova | 1ull << 39, HW_IOMMU_FAULT_NOT_PRESENT, 3); /* beyond the reach of 3 levels */
	walk_fails(dte, iova | 1ull << 63, HW_IOMMU_FAULT_NOT_PRESENT, 3);
}

static void test_permissions_are_anded(void **state)
{
	u64 dte = T_DTE(2) | table_pa(0);
	struct hw_translation tr;

	for (unsigned mask = 0; mask < 64; mask++) {
		link_to(0, 0, 1, 1, (u64)(mask & 3) << 61);
		tables[1][0] = T_PRESENT | (u64)(mask >> 2 & 3) << 61 | FAKE_MEM;
		tr = walk_ok(dte | (u64)(mask >> 4) << 61, 0);
		assert_int_equal(tr.read, (mask & mask >> 2 & mask >> 4) & 1);
		assert_int_equal(tr.write, (mask & mask >> 2 & mask >> 4) >> 1 & 1);
	}
}

static void test_page_sizes(void **state)
{
	u64 dte = T_DTE(3) | T_RW | table_pa(0);
	struct hw_translation tr;

	link_to(0, 0, 1, 2, T_RW);
	link_to(1, 0, 2, 1, T_RW);
	tables[2][0] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM | 0x4000; /* 8 KiB: bit 12 clear */
	tr = walk_ok(dte, 0);
	assert_int_equal(tr.lg2, 13);
	assert_int_equal(tr.pa, FAKE_MEM + 0x4000);
	tables[2][4] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM | 0xb000; /* 32 KiB: 13:12 set, 14 clear */
	tr = walk_ok(dte, 0x4000);
	assert_int_equal(tr.lg2, 15);
	assert_int_equal(tr.pa, FAKE_MEM + 0x8000);
	tables[2][8] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM | 0x7f000; /* 1 MiB */
	tr = walk_ok(dte, 0x8000);
	assert_int_equal(tr.lg2, 20);
	assert_int_equal(tr.iova, 0);
	tables[1][1] = T_PRESENT | T_RW | FAKE_MEM | 0x200000; /* 2 MiB */
	tr = walk_ok(dte, 0x2abcde);
	assert_int_equal(tr.lg2, 21);
	assert_int_equal(tr.pa, FAKE_MEM + 0x200000);
	tables[0][1] = T_PRESENT | T_RW | FAKE_MEM; /* 1 GiB */
	tr = walk_ok(dte, 0x40000000);
	assert_int_equal(tr.lg2, 30);
	tables[0][2] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM | 0x1ffffff000; /* 256 GiB: bits 36:12 set */
	tr = walk_ok(dte, 0x80000000);
	assert_int_equal(tr.lg2, 38);
	assert_int_equal(tr.iova, 0);
}

static void test_skipped_levels(void **state)
{
	u64 dte = T_DTE(6) | T_RW | table_pa(0);

	link_to(0, 3, 1, 1, T_RW); /* level 6 straight to level 1 */
	tables[1][9] = T_PRESENT | T_RW | FAKE_MEM;
	assert_int_equal(walk_ok(dte, (3ull << 57) | 0x9000).pa, FAKE_MEM);
	walk_fails(dte, (3ull << 57) | (1ull << 21) | 0x9000, HW_IOMMU_FAULT_NOT_PRESENT, 6);
	walk_fails(dte, (3ull << 57) | (1ull << 56) | 0x9000, HW_IOMMU_FAULT_NOT_PRESENT, 6);
	walk_fails(dte, (3ull << 57) | 0xa000, HW_IOMMU_FAULT_NOT_PRESENT, 1);
}

static void test_nonsense(void **state)
{
	u64 dte = T_DTE(3) | T_RW | table_pa(0);

	link_to(0, 0, 0, 3, T_RW); /* to itself: not down */
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	link_to(0, 0, 1, 4, T_RW);
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	link_to(0, 0, 1, 2, T_RW | 1ull << 52);
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	link_to(0, 0, 1, 2, T_RW | 1ull << 58);
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	tables[0][0] = T_PRESENT | T_NEXT(2) | T_RW | 0x123000; /* nothing there */
	walk_fails(dte, 0, HW_IOMMU_FAULT_BUS, 2);
	tables[0][0] = T_PRESENT | T_NEXT(2) | T_RW | FAKE_MEM;
	walk_fails(dte, 0, HW_IOMMU_FAULT_BUS, 2);
	tables[0][0] = T_PRESENT | T_RW | FAKE_MEM | 0x1000; /* 1 GiB, not aligned */
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	tables[0][0] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM; /* 8 KiB at level 3 */
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	tables[0][0] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM | 0x3ffffff000; /* 512 GiB, all of the table */
	walk_fails(dte, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	tables[0][0] = T_PRESENT | T_RW; /* 1 GiB of the kernel's memory */
	walk_fails(dte, 0, HW_IOMMU_FAULT_BUS, 3);
	tables[0][0] = T_PRESENT | T_RW | FAKE_MEM;
	walk_fails(T_DTE(6) | T_RW | table_pa(0), 0, HW_IOMMU_FAULT_RESERVED_BIT, 6); /* a page of 2^57 */
}

static void test_huge_page_is_cut(void **state)
{
	struct hw_translation tr;

	/* 2^49 at level 5 covers four slots, the kernel's among them */
	tables[0][0] = tables[0][1] = T_PRESENT | T_NEXT(7) | T_RW | ((1ull << 48) - 0x1000);
	tr = walk_ok(T_DTE(5) | T_RW | table_pa(0), (3ull << 47) + 0x5000);
	assert_int_equal(tr.lg2, 46);
	assert_int_equal(tr.pa, 3ull << 47);
	walk_fails(T_DTE(5) | T_RW | table_pa(0), 0x5000, HW_IOMMU_FAULT_BUS, 5);
}

/* ---- garbage ---- */

static u64 rng;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Now and then right in all but one thing: pure noise would not get past the first entry. */
static u64 garbage_entry(void)
{
	u64 pte = rnd() & rnd();

	if (rnd() % 4)
		pte = (pte & ~0x000ffffffffff000ull) | table_pa(rnd() % TABLES);
	if (rnd() % 4 == 0)
		pte |= FAKE_MEM;
	if (rnd() % 8)
		pte = (pte & ~(0x7full << 52)) | 1;
	return pte;
}

static void test_garbage(void **state)
{
	const char *seed = getenv("SEED");
	unsigned found = 0, reasons[8] = { 0 };

	rng = seed ? strtoull(seed, NULL, 0) : 0xa0761d6478bd642full;
	print_message("SEED=0x%llx\n", (unsigned long long)rng);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < TABLES * 512; i++)
			tables[i / 512][i % 512] = garbage_entry();
		for (unsigned i = 0; i < 20000; i++) {
			u64 noise = (rnd() & ~0x000ffffffffff000ull) | (rnd() % 16 ? 3 : 0);
			u64 dte = noise | table_pa(rnd() % TABLES);
			u64 iova = rnd() >> rnd() % 64;
			struct hw_translation tr;
			unsigned level;
			int reason = walk(dte, iova, &tr, &level);

			assert_in_range(reason, 0, HW_IOMMU_FAULT_BUS);
			assert_in_range(level, 0, 6);
			reasons[reason]++;
			if (reason)
				continue;
			found++;
			assert_in_range(tr.lg2, 12, 46);
			assert_int_equal(iova >> tr.lg2, tr.iova >> tr.lg2);
			assert_int_equal(tr.pa & ((1ull << tr.lg2) - 1), 0);
			assert_true(tr.pa >> 47 != 0 && tr.pa >> 52 == 0);
		}
	}
	/* it went everywhere: a test that only meets one answer would say nothing */
	assert_true(found > 100);
	for (int reason = 1; reason <= HW_IOMMU_FAULT_BUS; reason++)
		assert_true(reason == HW_IOMMU_FAULT_PERMISSION || reasons[reason] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_device_entry, setup),
		cmocka_unit_test_setup(test_identity, setup),
		cmocka_unit_test_setup(test_three_levels, setup),
		cmocka_unit_test_setup(test_permissions_are_anded, setup),
		cmocka_unit_test_setup(test_page_sizes, setup),
		cmocka_unit_test_setup(test_skipped_levels, setup),
		cmocka_unit_test_setup(test_nonsense, setup),
		cmocka_unit_test_setup(test_huge_page_is_cut, setup),
		cmocka_unit_test_setup(test_garbage, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
