/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtdss_test.c - the walker of VT-d tables: root and context entries in all their states, second-stage tables
 * made by hand, and garbage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "hw/iommu/iommu_fake.h"

/* Bits as the specification has them, spelled out once more on purpose. */
#define S_R 1ull
#define S_W 2ull
#define S_RW 3ull
#define S_PS 0x80ull
#define AW_39 1ull
#define AW_48 2ull
#define AW_57 3ull
#define DID(id) ((u64)(id) << 8)

/* Tables that hold the unit's entries; those from 0 on are second-stage tables. */
#define ROOT_TABLE 62
#define CONTEXT_TABLE 63
#define BUS 5
#define DEVFN 0x21
#define DEVID (BUS << 8 | DEVFN)

static struct hw_iommu *iommu;
static struct iotlb *t;

static int setup(void **state)
{
	fake_reset();
	iommu = hw_iommu_create(&fake_bus_ops, &hw_iommu_vtd);
	assert_non_null(iommu);
	t = iotlb_create(iommu, DEVID);
	assert_non_null(t);
	hw_iommu_set_root_table(iommu, table_pa(ROOT_TABLE));
	tables[ROOT_TABLE][BUS * 2] = table_pa(CONTEXT_TABLE) | 1;
	return 0;
}

static int teardown(void **state)
{
	iotlb_destroy(t);
	hw_iommu_destroy(iommu);
	return 0;
}

/* ---- walks ---- */

static int walk_entry(const struct hw_device_entry *entry, u64 iova, struct hw_translation *ret,
		      unsigned *ret_level)
{
	struct hw_walk w = { .bus = &fake_bus_ops, .format = &hw_iommu_vtd, .entry = entry };
	int reason = hw_iommu_vtd.walk(&w, iova, ret);

	*ret_level = w.level;
	return reason;
}

static int walk(u64 aw, u64 iova, struct hw_translation *ret, unsigned *ret_level)
{
	struct hw_device_entry entry = { .q0 = table_pa(0) | 1, .q1 = aw };

	return walk_entry(&entry, iova, ret, ret_level);
}

static struct hw_translation walk_ok(u64 aw, u64 iova)
{
	struct hw_translation tr = { .lg2 = 0 };
	unsigned level;

	assert_int_equal(walk(aw, iova, &tr, &level), 0);
	return tr;
}

static void walk_fails(u64 aw, u64 iova, int reason, unsigned at_level)
{
	struct hw_translation tr;
	unsigned level = 99;

	assert_int_equal(walk(aw, iova, &tr, &level), reason);
	assert_int_equal(level, at_level);
}

static void link_to(unsigned from, unsigned index, unsigned to, u64 perms)
{
	tables[from][index] = table_pa(to) | perms;
}

static void test_widths(void **state)
{
	for (u64 aw = AW_39; aw <= AW_57; aw++) {
		unsigned levels = aw + 2, shift = 12 + 9 * (levels - 1);
		u64 iova = (5ull << shift) | (7ull << 12);
		struct hw_translation tr;

		fake_reset();
		link_to(0, 5, 1, S_RW);
		for (unsigned i = 1; i < levels - 1; i++)
			link_to(i, 0, i + 1, S_RW);
		tables[levels - 1][7] = S_RW | (FAKE_MEM + 0x9000);
		tr = walk_ok(aw, iova + 0x123);
		assert_int_equal(tr.pa, FAKE_MEM + 0x9000);
		assert_int_equal(tr.iova, iova);
		assert_int_equal(tr.lg2, 12);
		assert_true(tr.read && tr.write);
		walk_fails(aw, iova + 0x1000, HW_IOMMU_FAULT_NOT_PRESENT, 1);
		walk_fails(aw, 6ull << shift, HW_IOMMU_FAULT_NOT_PRESENT, levels);
		walk_fails(aw, iova | 1ull << (shift + 9), HW_IOMMU_FAULT_NOT_PRESENT, levels); /* too wide */
		walk_fails(aw, iova | 1ull << 63, HW_IOMMU_FAULT_NOT_PRESENT, levels);
	}
}

static void test_permissions_are_anded(void **state)
{
	for (unsigned mask = 0; mask < 64; mask++) {
		unsigned all = mask & mask >> 2 & mask >> 4;
		struct hw_translation tr;

		link_to(0, 0, 1, mask & 3);
		link_to(1, 0, 2, mask >> 2 & 3);
		tables[2][0] = FAKE_MEM | (mask >> 4 & 3);
		if (!(mask & 3)) {
			walk_fails(AW_39, 0, HW_IOMMU_FAULT_NOT_PRESENT, 3);
		} else if (!(mask >> 2 & 3)) {
			walk_fails(AW_39, 0, HW_IOMMU_FAULT_NOT_PRESENT, 2);
		} else if (!(mask >> 4)) {
			walk_fails(AW_39, 0, HW_IOMMU_FAULT_NOT_PRESENT, 1);
		} else {
			tr = walk_ok(AW_39, 0);
			assert_int_equal(tr.read, all & 1);
			assert_int_equal(tr.write, all >> 1 & 1);
		}
	}
}

static void test_page_sizes(void **state)
{
	struct hw_translation tr;

	link_to(0, 0, 1, S_RW);
	link_to(1, 0, 2, S_RW);
	tables[2][3] = S_RW | S_PS | (FAKE_MEM + 0x3000); /* ignored at level 1 */
	tr = walk_ok(AW_39, 0x3000);
	assert_int_equal(tr.lg2, 12);
	assert_int_equal(tr.pa, FAKE_MEM + 0x3000);
	tables[1][1] = S_RW | S_PS | (FAKE_MEM + 0x200000);
	tr = walk_ok(AW_39, 0x2abcde);
	assert_int_equal(tr.lg2, 21);
	assert_int_equal(tr.pa, FAKE_MEM + 0x200000);
	assert_int_equal(tr.iova, 0x200000);
	tables[0][1] = S_R | S_PS | FAKE_MEM;
	tr = walk_ok(AW_39, 0x40000000);
	assert_int_equal(tr.lg2, 30);
	assert_true(tr.read && !tr.write);
	tables[2][4] = S_RW | FAKE_MEM | 0x3ffull << 52 | 0x77c; /* bits that are ignored */
	assert_int_equal(walk_ok(AW_39, 0x4000).pa, FAKE_MEM);
}

static void test_nonsense(void **state)
{
	tables[0][0] = S_RW | 0x123000; /* a table where nothing is */
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_BUS, 2);
	tables[0][0] = S_RW | FAKE_MEM; /* a table in a program */
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_BUS, 2);
	tables[0][0] = S_RW | S_PS; /* 1 GiB of the kernel's memory */
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_BUS, 3);
	tables[0][0] = S_RW | S_PS | FAKE_MEM | 0x1000; /* 1 GiB, not aligned */
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	tables[0][0] = S_RW | S_PS | FAKE_MEM; /* no pages of 512 GiB, nor larger */
	walk_fails(AW_48, 0, HW_IOMMU_FAULT_RESERVED_BIT, 4);
	walk_fails(AW_57, 0, HW_IOMMU_FAULT_RESERVED_BIT, 5);
	link_to(0, 0, 1, S_RW | 1ull << 62);
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	link_to(0, 0, 1, S_RW | 1ull << 11); /* without snoop control */
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_RESERVED_BIT, 3);
	link_to(0, 0, 0, S_RW); /* tables that point to themselves: the levels run out */
	walk_fails(AW_39, 0, HW_IOMMU_FAULT_BUS, 1);
}

/* ---- root and context entries ---- */

static void context(u64 lo, u64 hi)
{
	tables[CONTEXT_TABLE][DEVFN * 2 + 1] = hi;
	tables[CONTEXT_TABLE][DEVFN * 2] = lo;
	hw_iommu_invalidate_device(iommu, DEVID);
}

static void device_fails(u64 iova, int reason, unsigned level)
{
	struct hw_iommu_fault fault = { 0 };
	u64 pa;

	assert_int_equal(iotlb_translate(t, iova, false, true, &pa), -EFAULT);
	assert_int_equal(hw_iommu_faults(iommu, &fault, 1), 1);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.level, level);
	assert_int_equal(fault.devid, DEVID);
}

static void test_context_entry(void **state)
{
	u64 lo = table_pa(0) | 1, pa;

	link_to(0, 0, 1, S_RW);
	link_to(1, 0, 2, S_RW);
	tables[2][1] = S_RW | (FAKE_MEM + 0x5000);
	device_fails(0x1000, HW_IOMMU_FAULT_BLOCKED, 0);
	context(lo & ~1ull, AW_39 | DID(7));
	device_fails(0x1000, HW_IOMMU_FAULT_BLOCKED, 0);
	context(lo, AW_39 | DID(7));
	assert_int_equal(iotlb_translate(t, 0x1abc, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 0x5abc);
	context(lo | 2, AW_39 | DID(7) | 0x78); /* FPD, and high bits that are ignored */
	assert_int_equal(iotlb_translate(t, 0x1abc, true, true, &pa), 0);
	for (u64 aw = 0; aw < 8; aw++) {
		if (aw >= AW_39 && aw <= AW_57)
			continue;
		context(lo, aw);
		device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	}
	context(lo | 1ull << 2, AW_39); /* TT 1: needs device-TLBs */
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	context(lo | 3ull << 2, AW_39);
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	context(lo | 0x10, AW_39);
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	context(lo | 1ull << 52, AW_39);
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	context(lo, AW_39 | 1ull << 24);
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	context(0x5001, AW_39); /* second-stage tables where nothing is */
	device_fails(0x1000, HW_IOMMU_FAULT_BUS, 3);
}

static void test_pass_through(void **state)
{
	u64 pa;

	context(1 | 2ull << 2, AW_48);
	assert_int_equal(iotlb_translate(t, FAKE_BAR + 0x1234, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_BAR + 0x1234);
	device_fails(0x1000, HW_IOMMU_FAULT_BUS, 0);
	device_fails(table_pa(0), HW_IOMMU_FAULT_BUS, 0);
	device_fails(FAKE_MEM, HW_IOMMU_FAULT_BUS, 0);
	device_fails(1ull << 52, HW_IOMMU_FAULT_BUS, 0);
}

static void test_root_entry(void **state)
{
	context(table_pa(0) | 1, AW_39);
	device_fails(0x1000, HW_IOMMU_FAULT_NOT_PRESENT, 3);
	tables[ROOT_TABLE][BUS * 2] = table_pa(CONTEXT_TABLE);
	hw_iommu_invalidate_device(iommu, DEVID);
	device_fails(0x1000, HW_IOMMU_FAULT_DTE_INVALID, 0);
	tables[ROOT_TABLE][BUS * 2] = table_pa(CONTEXT_TABLE) | 3;
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	tables[ROOT_TABLE][BUS * 2] = table_pa(CONTEXT_TABLE) | 1ull << 60 | 1;
	device_fails(0x1000, HW_IOMMU_FAULT_RESERVED_BIT, 0);
	tables[ROOT_TABLE][BUS * 2] = 0x5001; /* a context table where nothing is */
	device_fails(0x1000, HW_IOMMU_FAULT_BUS, 0);
	hw_iommu_set_root_table(iommu, 0x5000);
	device_fails(0x1000, HW_IOMMU_FAULT_BUS, 0);
	hw_iommu_set_root_table(iommu, 0);
	device_fails(0x1000, HW_IOMMU_FAULT_DTE_INVALID, 0);
}

/* What is cached carries the domain id of the context entry, and goes by it. */
static void test_domain_id(void **state)
{
	u64 pa;

	link_to(0, 0, 1, S_RW);
	link_to(1, 0, 2, S_RW);
	tables[2][1] = S_RW | FAKE_MEM;
	context(table_pa(0) | 1, AW_39 | DID(0xabcd));
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	tables[2][1] = 0;
	hw_iommu_invalidate_pages(iommu, 0xabcc, 0, ~0ull);
	hw_iommu_invalidate_pages(iommu, 0xabcd, 0x2000, 0x2fff);
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0); /* still cached */
	hw_iommu_invalidate_pages(iommu, 0xabcd, 0x1000, 0x1fff);
	assert_int_equal(iotlb_translate(t, 0x1000, true, false, &pa), -EFAULT);
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
		pte = (pte & ~(1ull << 62 | 1ull << 11)) | (rnd() % 2 ? S_RW : S_R);
	if (rnd() % 3)
		pte &= ~S_PS;
	if (rnd() % 8 == 0)
		pte = (pte & ~0x000000003ffff000ull) | S_PS;
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
			u64 lo = (rnd() % 8 ? 0 : rnd() & rnd() & 0xfff) | table_pa(rnd() % TABLES) | !!(rnd() % 16);
			struct hw_device_entry entry = { .q0 = lo, .q1 = rnd() % 8 ? 1 + rnd() % 3 : rnd() };
			u64 iova = rnd() >> rnd() % 64;
			struct hw_translation tr;
			unsigned level;
			int reason = walk_entry(&entry, iova, &tr, &level);

			assert_in_range(reason, 0, HW_IOMMU_FAULT_BUS);
			assert_in_range(level, 0, 5);
			reasons[reason]++;
			if (reason)
				continue;
			found++;
			assert_in_range(tr.lg2, 12, 46);
			assert_int_equal(iova >> tr.lg2, tr.iova >> tr.lg2);
			assert_int_equal(tr.pa & ((1ull << tr.lg2) - 1), 0);
			assert_true(tr.pa >> 47 != 0 && tr.pa >> 52 == 0);
		}
		/* root and context tables of garbage: any answer, but an answer */
		for (unsigned devid = 0; devid < 0x10000; devid += 7) {
			struct hw_device_entry entry;
			int reason = hw_iommu_vtd.entry_read(iommu, (u16)devid, HW_NO_PASID, &entry);

			assert_in_range(reason, 0, HW_IOMMU_FAULT_BUS);
			assert_true(reason || (entry.q0 & 1));
		}
	}
	/* it went everywhere: a test that only meets one answer would say nothing */
	assert_true(found > 100);
	assert_true(reasons[HW_IOMMU_FAULT_BLOCKED] > 100 && reasons[HW_IOMMU_FAULT_NOT_PRESENT] > 100);
	assert_true(reasons[HW_IOMMU_FAULT_RESERVED_BIT] > 100 && reasons[HW_IOMMU_FAULT_BUS] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_permissions_are_anded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_context_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pass_through, setup, teardown),
		cmocka_unit_test_setup_teardown(test_root_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
