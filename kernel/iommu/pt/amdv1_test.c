/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amdv1_test.c - the writer of AMD v1 page tables, judged by entries spelled out by hand and by a flat
 * model.  What the walker makes of the tables is tested in tests/iommu.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/amdv1.h"
#include "kernel/lib/err.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define MEM (1ull << 47) /* physical addresses of a program begin there */
#define LEAF_RW 0x7000000000000001ull
#define ALL_BUT_LAST (~0ull & PAGE_MASK)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static struct pt_tree pt;

static int setup(void **state)
{
	return amdv1_init(&pt, 3);
}

static int teardown(void **state)
{
	amdv1_destroy(&pt);
	return 0;
}

static void map_ok(u64 iova, u64 phys, u64 len)
{
	assert_int_equal(amdv1_map(&pt, iova, phys, len, RW), 0);
}

static void map_fails(u64 iova, u64 phys, u64 len, int err)
{
	assert_int_equal(amdv1_map(&pt, iova, phys, len, RW), err);
}

static u64 unmap(u64 iova, u64 len)
{
	struct pt_gather gather = { .iova = ~0ull };
	u64 bytes = amdv1_unmap(&pt, iova, len, &gather);

	amdv1_release(&pt);
	return bytes;
}

/* The entry for @iova in the table of @level, by what the specification says of links: bits 51:12, 11:9. */
static u64 entry_of(u64 iova, unsigned level)
{
	const u64 *table = pt_tree_root(&pt);
	unsigned at = pt_tree_levels(&pt);

	for (; at > level; at--) {
		u64 link = table[(iova >> (12 + 9 * (at - 1))) % 512];

		assert_int_equal(link & 1, 1);
		assert_int_equal((link >> 9) & 7, at - 1);
		assert_int_equal(link >> 61 & 3, 3);
		table = (const u64 *)(uintptr_t)(link & 0x000ffffffffff000ull);
	}
	return table[(iova >> (12 + 9 * (at - 1))) % 512];
}

static void test_small_leaf(void **state)
{
	map_ok(0x5000, MEM + 0x1000, 0x1000);
	assert_int_equal(entry_of(0x5000, 1), LEAF_RW | (MEM + 0x1000));
	assert_int_equal(entry_of(0x6000, 1), 0);
	assert_int_equal(amdv1_map(&pt, 0x6000, MEM, 0x1000, IOMMU_READ), 0);
	assert_int_equal(entry_of(0x6000, 1), 0x3000000000000001ull | MEM);
	assert_int_equal(amdv1_map(&pt, 0x7000, MEM, 0x1000, IOMMU_WRITE), 0);
	assert_int_equal(entry_of(0x7000, 1), 0x5000000000000001ull | MEM);
	assert_int_equal(amdv1_map(&pt, 0x8000, MEM, 0x1000, 0), 0);
	assert_int_equal(entry_of(0x8000, 1), 0x1000000000000001ull | MEM);
	assert_int_equal(unmap(0x5000, 0x4000), 0x4000);
	assert_int_equal(entry_of(0x5000, 1), 0);
}

/* Next level 7h: one entry's span doubled is a clear lowest bit, each doubling more sets one bit below. */
static void test_sized_leaves(void **state)
{
	static const struct { u64 size, low; unsigned level, copies; } cases[] = {
		{ 0x2000, 0xe00, 1, 2 },	   { 0x4000, 0x1e00, 1, 4 },	   { 0x8000, 0x3e00, 1, 8 },
		{ 0x10000, 0x7e00, 1, 16 },	   { 0x100000, 0x7fe00, 1, 256 },  { 0x200000, 0, 2, 1 },
		{ 0x400000, 0x1ffe00, 2, 2 },	   { 0x20000000, 0xffffe00, 2, 256 }, { 0x40000000, 0, 3, 1 },
		{ 0x80000000, 0x3ffffe00, 3, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 iova = 0x1000000000, size = cases[i].size, span = size / cases[i].copies;

		map_ok(iova, MEM + size, size);
		for (u64 at = 0; at < size; at += span)
			assert_int_equal(entry_of(iova + at, cases[i].level),
					 LEAF_RW | (MEM + size) | cases[i].low);
		assert_int_equal(amdv1_iova_to_phys(&pt, iova + size - 1), MEM + 2 * size - 1);
		assert_int_equal(amdv1_iova_to_phys(&pt, iova + size), 0);
		assert_int_equal(amdv1_iova_to_phys(&pt, iova - 1), 0);
		assert_int_equal(unmap(iova, size), size);
		assert_int_equal(amdv1_iova_to_phys(&pt, iova), 0);
	}
}

static void test_every_size(void **state)
{
	for (unsigned lg2 = 12; lg2 <= 46; lg2++) {
		u64 size = 1ull << lg2, live_before = pt.root->live;

		map_ok(size, MEM, size);
		assert_int_equal(amdv1_iova_to_phys(&pt, size), MEM);
		assert_int_equal(amdv1_iova_to_phys(&pt, 2 * size - 1), MEM + size - 1);
		/* one byte of it takes all of it, but there is no page of 2^39 */
		assert_int_equal(unmap(size + size / 2, 1), lg2 == 39 ? size / 2 : size);
		if (lg2 == 39)
			assert_int_equal(unmap(size, size), size / 2);
		assert_int_equal(unmap(0, ALL_BUT_LAST), 0);
		assert_true(pt.root->live <= live_before + 2);
	}
}

static void test_gather_covers_whole_pages(void **state)
{
	struct pt_gather gather = { .iova = ~0ull };

	map_ok(0x200000, MEM, 0x200000);
	map_ok(0x400000, MEM, 0x10000);
	assert_int_equal(amdv1_unmap(&pt, 0x300000, 0x108000, &gather), 0x210000);
	assert_int_equal(gather.iova, 0x200000);
	assert_int_equal(gather.last, 0x40ffff);
}

static void test_exists(void **state)
{
	map_ok(0x10000, MEM, 0x1000);
	map_fails(0x10000, MEM, 0x1000, -EEXIST);
	map_fails(0x0, MEM, 0x200000, -EEXIST);	      /* a large page over a table in use */
	map_fails(0xf000, MEM + 0x5000, 0x3000, -EEXIST); /* the second page of three */
	assert_int_equal(amdv1_iova_to_phys(&pt, 0xf000), 0);
	assert_int_equal(amdv1_iova_to_phys(&pt, 0x11000), 0);
	map_fails(0x1000, MEM + 0x2000, 0x40000000, -EEXIST);
	map_ok(0x40000000, MEM, 0x40000000);
	map_fails(0x40001000, MEM, 0x1000, -EEXIST);	  /* below a 1 GiB page */
	map_fails(0x3ffff000, MEM, 0x2000, -EEXIST);
	map_fails(0x0, MEM, 1ull << 41, -EEXIST);
	assert_int_equal(unmap(0, ALL_BUT_LAST), 0x40001000);
}

static void test_large_page_over_empty_tables(void **state)
{
	map_ok(0x40001000, MEM, 0x1000);
	assert_int_equal(unmap(0x40001000, 0x1000), 0x1000);
	map_ok(0x40000000, MEM, 0x40000000);
	assert_int_equal(entry_of(0x40000000, 3), LEAF_RW | MEM);
	assert_int_equal(unmap(0x40000000, 0x40000000), 0x40000000);
}

static void test_root_grows(void **state)
{
	map_ok(0x1000, MEM, 0x1000);
	assert_int_equal(pt_tree_levels(&pt), 3);
	map_ok((1ull << 39) - 0x1000, MEM + 0x1000, 0x2000);
	assert_int_equal(pt_tree_levels(&pt), 4);
	map_ok(1ull << 57, MEM + 0x5000, 0x1000);
	assert_int_equal(pt_tree_levels(&pt), 6);
	map_ok(~0ull & PAGE_MASK, MEM + 0x6000, 0x1000);
	assert_int_equal(amdv1_iova_to_phys(&pt, 0x1fff), MEM + 0xfff);
	assert_int_equal(amdv1_iova_to_phys(&pt, 1ull << 39), MEM + 0x2000);
	assert_int_equal(amdv1_iova_to_phys(&pt, 1ull << 57), MEM + 0x5000);
	assert_int_equal(amdv1_iova_to_phys(&pt, ~0ull), MEM + 0x6fff);
	assert_int_equal(unmap(0, ALL_BUT_LAST), 0x4000);
	assert_int_equal(unmap(ALL_BUT_LAST, 0x1000), 0x1000);
	assert_int_equal(unmap(0, ALL_BUT_LAST), 0);
}

/* Tables that became empty are kept, but few; nothing is allocated by mapping one page again and again. */
static void test_memory_comes_back(void **state)
{
	size_t pages;

	for (u64 i = 0; i < 2000; i++)
		map_ok(i << 30, MEM, 0x1000);
	assert_true(pt.pool.pages > 2000);
	for (u64 i = 0; i < 2000; i++)
		assert_int_equal(unmap(i << 30, 0x1000), 0x1000);
	assert_true(pt.pool.pages <= 6 + 2 * PT_KEEP_EMPTY);
	assert_true(pt.pool.chunks <= 1 + 2 * PT_KEEP_EMPTY);
	pages = pt.pool.pages;
	for (u64 i = 0; i < 1000; i++) {
		map_ok(0x1234000, MEM, 0x1000);
		assert_int_equal(unmap(0x1234000, 0x1000), 0x1000);
		assert_in_range(pt.pool.pages, pages, pages + 2);
	}
}

static void test_large_unmap_drops_tables(void **state)
{
	map_ok(0x1000, MEM + 0x4000, 1ull << 30); /* 4 KiB pages all over */
	assert_int_equal(entry_of(0x1000, 1), LEAF_RW | (MEM + 0x4000));
	assert_int_equal(entry_of(0x2000, 1), LEAF_RW | (MEM + 0x5000));
	assert_true(pt.pool.pages >= 514);
	assert_int_equal(unmap(0x1000, 1ull << 30), 1ull << 30);
	assert_true(pt.pool.pages <= 6);
}

static void test_no_memory(void **state)
{
	struct rlimit old, tight;
	u64 mapped = 0;
	int err = 0;

	if (SANITIZED)
		skip(); /* needs an address space limit */
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	tight = old;
	tight.rlim_cur = 64u << 20;
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	for (u64 i = 0; i < 100000 && !err; i++) {
		err = amdv1_map(&pt, (i << 31) + 0x1ff000, MEM + 0x3000, 0x202000, RW);
		mapped += err ? 0 : 0x202000;
	}
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_int_equal(err, -ENOMEM);
	assert_true(mapped > 0);
	assert_int_equal(unmap(0, ALL_BUT_LAST), mapped);
	map_ok(0x1ff000, MEM + 0x3000, 0x202000);
}

/* ---- against a flat model ---- */

#define MODEL_PAGES 8192u
#define STEPS 200000

struct model_page {
	u64 phys;	   /* 0: not mapped */
	unsigned first, n; /* of the large page that it is part of */
};
static struct model_page model[MODEL_PAGES];
static u64 base; /* iova of model[0] */

static u64 rng;

static u64 rnd(u64 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

/* Which page is written at @page for @left pages, found by trying all sizes from the largest. */
static unsigned model_page_size(unsigned page, u64 phys, unsigned left)
{
	for (unsigned n = MODEL_PAGES;; n /= 2)
		if (n <= left && (base / PAGE_SIZE + page) % n == 0 && phys / PAGE_SIZE % n == 0)
			return n;
}

static bool model_map(unsigned first, u64 phys, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		if (model[i].phys)
			return false;
	for (unsigned at = first; at < first + n;) {
		u64 pa = phys + (u64)(at - first) * PAGE_SIZE;
		unsigned size = model_page_size(at, pa, first + n - at);

		for (unsigned i = 0; i < size; i++)
			model[at + i] = (struct model_page){ pa + i * PAGE_SIZE, at, size };
		at += size;
	}
	return true;
}

static unsigned model_unmap(unsigned first, unsigned n)
{
	unsigned gone = 0;

	for (unsigned i = first; i < first + n; i++) {
		struct model_page page = model[i];

		if (!page.phys)
			continue;
		memset(&model[page.first], 0, page.n * sizeof(page));
		gone += page.n;
	}
	return gone;
}

static unsigned random_len(unsigned first)
{
	unsigned n = rnd(4) ? 1 + rnd(20) : 1u << rnd(13);

	return min(n, MODEL_PAGES - first);
}

static void random_step(void)
{
	unsigned align = 1u << rnd(12), first = rnd(MODEL_PAGES) & ~(align - 1), n = random_len(first);
	u64 pfn = (rnd(1u << 20) & ~(u64)(align - 1)) + 1024;
	u64 iova = base + first * PAGE_SIZE, phys = MEM + pfn * PAGE_SIZE;

	if (rnd(2)) {
		bool ok = model_map(first, phys, n);

		assert_int_equal(amdv1_map(&pt, iova, phys, n * PAGE_SIZE, RW), ok ? 0 : -EEXIST);
	} else {
		assert_int_equal(unmap(iova, n * PAGE_SIZE), model_unmap(first, n) * PAGE_SIZE);
	}
	for (unsigned i = 0; i < 8; i++) {
		unsigned page = rnd(MODEL_PAGES);
		u64 off = rnd(PAGE_SIZE), want = model[page].phys ? model[page].phys + off : 0;

		assert_int_equal(amdv1_iova_to_phys(&pt, base + page * PAGE_SIZE + off), want);
	}
}

static void test_random(void **state)
{
	static const u64 bases[] = { 0, (1ull << 39) - 1234 * PAGE_SIZE, 0ull - MODEL_PAGES * PAGE_SIZE };
	const char *seed = getenv("SEED");

	for (size_t b = 0; b < ARRAY_SIZE(bases); b++) {
		u64 mapped = 0;

		base = bases[b];
		rng = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ull + b;
		print_message("SEED=0x%llx\n", (unsigned long long)rng);
		memset(model, 0, sizeof(model));
		for (unsigned step = 0; step < STEPS / ARRAY_SIZE(bases); step++)
			random_step();
		for (unsigned i = 0; i < MODEL_PAGES; i++)
			mapped += model[i].phys ? PAGE_SIZE : 0;
		assert_int_equal(unmap(0, ALL_BUT_LAST) + unmap(ALL_BUT_LAST, PAGE_SIZE), mapped);
	}
}

/* ---- what hardware marked ---- */

#define DIRTY_PAGES 64u
#define PTE_D (1ull << 6)

static struct {
	struct iommu_dirty_sink sink;
	unsigned char seen[DIRTY_PAGES];
} marks;

static void see(struct iommu_dirty_sink *sink, u64 iova, u64 len_bytes)
{
	(void)sink;
	for (u64 at = iova; at < iova + len_bytes; at += PAGE_SIZE)
		marks.seen[at >> PAGE_SHIFT]++;
}

/* Page numbers of the mapped page that has @page; those above 56 are holes. */
static unsigned first_of(unsigned page) { return page < 8 ? page : page < 32 ? page & ~3u : page & ~7u; }
static unsigned last_of(unsigned page) { return page < 8 ? page : page < 32 ? page | 3u : page | 7u; }

static void check_marked(unsigned from, unsigned to, const bool *marked)
{
	struct pt_gather gather = { .iova = ~0ull };

	memset(marks.seen, 0, sizeof(marks.seen));
	amdv1_read_dirty(&pt, (u64)from << PAGE_SHIFT, ((u64)to << PAGE_SHIFT) + 1, false, &marks.sink, &gather);
	for (unsigned i = 0; i < DIRTY_PAGES; i++) {
		bool want = false;

		for (unsigned k = first_of(i); i < 56 && k <= last_of(i); k++)
			want |= marked[k];
		assert_int_equal(marks.seen[i], want && last_of(i) >= from && first_of(i) <= to);
	}
}

/* Of a page that fills several entries any may be marked, also beyond the range that is asked about. */
static void test_dirty(void **state)
{
	_Atomic(u64) *entries;
	bool marked[DIRTY_PAGES];

	marks.sink.record = see;
	for (u64 i = 0; i < 8; i++)
		map_ok(i << PAGE_SHIFT, MEM + (i << PAGE_SHIFT), PAGE_SIZE);
	for (u64 i = 8; i < 32; i += 4)
		map_ok(i << PAGE_SHIFT, MEM + (i << PAGE_SHIFT), 4 * PAGE_SIZE);
	for (u64 i = 32; i < 56; i += 8)
		map_ok(i << PAGE_SHIFT, MEM + (i << PAGE_SHIFT), 8 * PAGE_SIZE);
	entries = (_Atomic(u64) *)(uintptr_t)(entry_of(0, 2) & 0x000ffffffffff000ull);
	rng = 12345;
	for (unsigned pattern = 0; pattern < 40; pattern++) {
		for (unsigned i = 0; i < 56; i++) {
			marked[i] = rnd(pattern < 20 ? 16 : 3) == 0;
			entries[i] = (entries[i] & ~PTE_D) | (marked[i] ? PTE_D : 0);
		}
		for (unsigned from = 0; from < DIRTY_PAGES - 1; from++)
			for (unsigned to = from; to < DIRTY_PAGES - 1; to++)
				check_marked(from, to, marked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_small_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sized_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gather_covers_whole_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_page_over_empty_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_root_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_unmap_drops_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
