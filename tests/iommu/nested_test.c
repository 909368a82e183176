/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nested_test.c - two stages, and PASIDs: what the kernel and a guest write against what the hardware reads.
 *
 * The guest's memory is a part of the program's.  The guest has two I/O address spaces, one for what the
 * device sends without PASID and one for PASID 5, each with page tables of its own, written here by hand; the
 * kernel maps the guest's memory in the parent domain.  Two flat models say where each page goes: one of the
 * guest, one of the kernel.  A seed is printed; SEED=... replays it, STEPS=... makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/iommufd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/iommu/hw_iommu.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/mm.h"
#include "machine/iommu_ops.h"

#define ARENA_PAGES 4096u
#define ARENA_BYTES (ARENA_PAGES * PAGE_SIZE)
#define LARGE 512u /* pages in 2 MiB */
#define DEVID 0x108
#define PASID 5u
#define SPACES 2u

/* Guest addresses.  The tables of space s are 16 pages from TABLES_GPA + 64 KiB * s on. */
#define TABLES_GPA 0x10000000ull
#define DATA_GPA 0x40000000ull
#define DATA_PAGES 1024u
#define IOVA 0x123440000000ull /* 2 MiB aligned; all that is mapped has the same tables above the lowest */
#define IOVA_PAGES 1024u

/* Bits as the specification has them, spelled out once more on purpose. */
#define P 1ull
#define RW 2ull
#define US 4ull
#define ACCESSED 0x20ull
#define DIRTY 0x40ull
#define PS 0x80ull

struct kind {
	const char *name;
	const struct hw_iommu_format *format;
	u32 parent_flags;
};
static const struct kind kinds[] = {
	{ "amd", &hw_iommu_amdv1, IOMMU_ALLOC_NEST_PARENT },
	{ "intel", &hw_iommu_vtd, IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING },
};
static const struct kind *kind;

static unsigned char *arena, *shadow;
static struct hw_iommu *hw;
static struct iommu_device *iommu;
static struct iommu_domain *parent, *nested[SPACES];
static struct iotlb *iotlb[SPACES];

static bool is_amd(void) { return kind->format == &hw_iommu_amdv1; }

/* ---- bus ---- */

static phys_addr_t arena_phys(u64 page)
{
	return (1ull << PHYS_SLOT_SHIFT) | (u64)(uintptr_t)(arena + page * PAGE_SIZE);
}

static void *bus_host_ptr(u64 pa)
{
	return pa >> PHYS_SLOT_SHIFT <= 1 ? (void *)(uintptr_t)(pa & PHYS_OFFSET_MASK) : NULL;
}

static int bus_read(u64 pa, void *buf, size_t len) { return -EFAULT; }
static int bus_write(u64 pa, const void *buf, size_t len) { return -EFAULT; }

static int bus_copy(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

/* Not guard_load64() and guard_cmpxchg64(), into which ThreadSanitizer cannot look. */
static int bus_load64(const u64 *p, u64 *ret)
{
	*ret = __atomic_load_n(p, __ATOMIC_ACQUIRE);
	return 0;
}

static int bus_cmpxchg64(u64 *p, u64 *expected, u64 desired)
{
	return !__atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static const struct hw_bus_ops bus = {
	.read = bus_read, .write = bus_write, .host_ptr = bus_host_ptr, .copy = bus_copy,
	.load64 = bus_load64, .cmpxchg64 = bus_cmpxchg64,
};

/* ---- the guest's tables: page 0 the root, 1 and 2 below, 3 the directory, 4 and 5 the lowest ---- */

static u64 table_gpa(unsigned space, unsigned table)
{
	return TABLES_GPA + space * 0x10000 + table * PAGE_SIZE;
}

static _Atomic(u64) *table_of(unsigned space, unsigned table)
{
	return (_Atomic(u64) *)(arena + (space * 16 + table) * PAGE_SIZE);
}

static void guest_tables_init(unsigned space)
{
	const u64 link = P | RW | US;

	memset((void *)table_of(space, 0), 0, 16 * PAGE_SIZE);
	atomic_store(&table_of(space, 0)[IOVA >> 39 & 511], link | table_gpa(space, 1));
	atomic_store(&table_of(space, 1)[IOVA >> 30 & 511], link | table_gpa(space, 3));
}

/* ---- set-up ---- */

static void attach(unsigned space, struct iommu_domain *domain)
{
	if (space == 0)
		assert_int_equal(iommu->ops->attach_dev(iommu, domain, DEVID), 0);
	else if (!is_amd()) /* AMD: the guest's own table of PASIDs says it */
		assert_int_equal(iommu->ops->set_dev_pasid(iommu, domain, DEVID, PASID, NULL), 0);
}

static struct iommu_domain *intel_nested(unsigned space)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = table_gpa(space, 0), .addr_width = 48 };
	struct iommu_user_data data = { IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1) };

	return iommu->ops->domain_alloc_nested(iommu, NULL, parent, 0, &data);
}

/* V, TV, GV, GIoV, one level of GCR3 table, which lies behind the tables of space 0. */
static struct iommu_domain *amd_nested(void)
{
	u64 gcr3 = table_gpa(0, 8);
	struct iommu_hwpt_amd_guest guest = { .dte = {
		3 | 1ull << 55 | 1ull << 54 | (gcr3 >> 12 & 7) << 58, (gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43,
	} };
	struct iommu_user_data data = { IOMMU_HWPT_DATA_AMD_GUEST, &guest, sizeof(guest) };

	atomic_store(&table_of(0, 8)[0], P | table_gpa(0, 0));
	atomic_store(&table_of(0, 8)[PASID], P | table_gpa(1, 0));
	return iommu->ops->domain_alloc_nested(iommu, NULL, parent, 0, &data);
}

static int setup(void **state)
{
	kind = *state;
	guard_install();
	arena = aligned_alloc(ARENA_BYTES, ARENA_BYTES);
	shadow = calloc(1, ARENA_BYTES);
	assert_true(arena && shadow);
	memset(arena, 0, ARENA_BYTES);
	hw = hw_iommu_create(&bus, kind->format);
	assert_non_null(hw);
	iommu = is_amd() ? amd_iommu_init("unit", &machine_iommu_hw_ops, hw, 0x1000, IOMMU_FULL) :
			   intel_iommu_init("unit", &machine_iommu_hw_ops, hw, 48, IOMMU_FULL);
	assert_false(IS_ERR(iommu));
	parent = iommu->ops->domain_alloc_paging_flags(iommu, NULL, kind->parent_flags, NULL);
	assert_false(IS_ERR(parent));
	assert_int_equal(iommu_map(parent, TABLES_GPA, arena_phys(0), 32 * PAGE_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	for (unsigned s = 0; s < SPACES; s++)
		guest_tables_init(s);
	for (unsigned s = 0; s < SPACES; s++) {
		nested[s] = is_amd() ? (s ? nested[0] : amd_nested()) : intel_nested(s);
		assert_false(IS_ERR(nested[s]));
		iotlb[s] = iotlb_create_pasid(hw, DEVID, s ? PASID : HW_NO_PASID);
		assert_non_null(iotlb[s]);
		attach(s, nested[s]);
	}
	return 0;
}

static int teardown(void **state)
{
	for (unsigned s = 0; s < SPACES; s++) {
		attach(s, &iommu_blocked_domain);
		iotlb_destroy(iotlb[s]);
	}
	iommu_domain_free(nested[0]);
	if (!is_amd())
		iommu_domain_free(nested[1]);
	iommu_domain_free(parent);
	if (is_amd())
		amd_iommu_exit(iommu);
	else
		intel_iommu_exit(iommu);
	hw_iommu_destroy(hw);
	free(arena);
	free(shadow);
	return 0;
}

/* The guest tells its unit.  AMD has no call for that yet: attaching anew makes it forget. */
static void guest_invalidates(unsigned space, unsigned page, unsigned n)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = { .addr = IOVA + page * PAGE_SIZE, .npages = n };
	struct iommu_user_data_array array = { IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv, sizeof(inv), 1 };

	if (is_amd()) {
		attach(0, nested[0]);
		return;
	}
	assert_int_equal(iommu_domain_cache_invalidate_user(nested[space], &array), 0);
	assert_int_equal(array.entry_num, 1);
}

/* ---- the models ---- */

struct guest_page {
	bool present, large; /* large: of the directory, and the model has it in each page */
	u64 flags;
	unsigned gpa_page;
	bool accessed, dirty;
};
struct host_page {
	bool mapped, large, dirty;
	int prot;
	unsigned arena_page;
};
static struct guest_page guest[SPACES][IOVA_PAGES];
static struct host_page host[DATA_PAGES];
static u64 rng;
static unsigned nr_ok, nr_fault[3], nr_dirty;

static u64 rnd(u64 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

/* The entry that maps an iova page. */
static _Atomic(u64) *leaf_of(unsigned space, unsigned page)
{
	if (guest[space][page].large)
		return &table_of(space, 3)[(IOVA >> 21 & 511) + page / LARGE];
	return &table_of(space, 4 + page / LARGE)[page % LARGE];
}

/* The first page that has the marks of @page. */
static struct guest_page *marks_of(unsigned space, unsigned page)
{
	return &guest[space][guest[space][page].large ? page & ~(LARGE - 1) : page];
}

static void check_marks(unsigned space, unsigned page)
{
	u64 pte = atomic_load(leaf_of(space, page));
	struct guest_page *marks = marks_of(space, page);

	if (!guest[space][page].present)
		return;
	assert_int_equal(!!(pte & ACCESSED), marks->accessed);
	assert_int_equal(!!(pte & DIRTY), marks->dirty);
}

/* ---- steps of the guest ---- */

/* Small pages hang from a directory entry that is a link. */
static void link_small(unsigned space, unsigned page)
{
	atomic_store(&table_of(space, 3)[(IOVA >> 21 & 511) + page / LARGE],
		     P | RW | US | table_gpa(space, 4 + page / LARGE));
}

static u64 random_flags(void)
{
	return P | (rnd(4) ? RW : 0) | (rnd(8) ? US : 0);
}

static void step_guest_small(void)
{
	unsigned s = rnd(SPACES), page = rnd(IOVA_PAGES);
	struct guest_page *g = &guest[s][page];
	bool was = g->present;

	if (g->large)
		return;
	link_small(s, page);
	*g = (struct guest_page){ .present = rnd(4), .flags = random_flags(), .gpa_page = rnd(DATA_PAGES) };
	atomic_store(leaf_of(s, page), g->present ? g->flags | (DATA_GPA + g->gpa_page * PAGE_SIZE) : 0);
	if (was) /* else nobody can know anything of it */
		guest_invalidates(s, page, 1);
}

static void step_guest_large(void)
{
	unsigned s = rnd(SPACES), first = rnd(IOVA_PAGES / LARGE) * LARGE, to = rnd(DATA_PAGES / LARGE) * LARGE;
	bool large = !guest[s][first].large;
	u64 flags = random_flags();

	memset((void *)table_of(s, 4 + first / LARGE), 0, PAGE_SIZE);
	for (unsigned i = 0; i < LARGE; i++)
		guest[s][first + i] = (struct guest_page){ large, large, flags, to + i, false, false };
	if (large)
		atomic_store(leaf_of(s, first), flags | PS | (DATA_GPA + to * PAGE_SIZE));
	else
		link_small(s, first);
	guest_invalidates(s, first, LARGE);
}

/* As an operating system that wants to know what is used. */
static void step_guest_clears_marks(void)
{
	unsigned s = rnd(SPACES), page = rnd(IOVA_PAGES);

	if (!guest[s][page].present)
		return;
	check_marks(s, page);
	atomic_fetch_and(leaf_of(s, page), ~(ACCESSED | DIRTY));
	marks_of(s, page)->accessed = marks_of(s, page)->dirty = false;
	guest_invalidates(s, page & (guest[s][page].large ? ~(LARGE - 1) : ~0u), guest[s][page].large ? LARGE : 1);
}

/* ---- steps of the kernel ---- */

static void host_set(unsigned first, unsigned n, struct host_page to)
{
	for (unsigned i = first; i < first + n; i++, to.arena_page++)
		host[i] = to;
}

static void step_host(void)
{
	unsigned large = rnd(100) == 0, n = large ? LARGE : 1, first = rnd(DATA_PAGES) & ~(n - 1);
	struct host_page to = { true, large, false, rnd(4) ? IOMMU_READ | IOMMU_WRITE : 1 + (int)rnd(2),
				large ? 512 + rnd(6) * 512 : 64 + rnd(4000) };
	u64 gpa;

	if (host[first].large && rnd(60))
		return; /* it has pages enough: few steps take them all */
	if (host[first].large) {
		first &= ~(LARGE - 1);
		n = LARGE;
	}
	gpa = DATA_GPA + first * PAGE_SIZE;
	for (unsigned i = first; i < first + n; i++)
		if (host[i].mapped)
			iommu_unmap(parent, DATA_GPA + i * PAGE_SIZE, PAGE_SIZE);
	host_set(first, n, (struct host_page){ false });
	if (n != (large ? LARGE : 1) || rnd(8) == 0)
		return;
	assert_int_equal(iommu_map(parent, gpa, arena_phys(to.arena_page), n * PAGE_SIZE, to.prot), 0);
	host_set(first, n, to);
}

struct sink {
	struct iommu_dirty_sink sink;
	bool seen[DATA_PAGES];
};

static void sink_record(struct iommu_dirty_sink *sink, u64 gpa, u64 len_bytes)
{
	struct sink *s = container_of(sink, struct sink, sink);

	for (u64 at = gpa; at < gpa + len_bytes; at += PAGE_SIZE)
		s->seen[(at - DATA_GPA) / PAGE_SIZE] = true;
	nr_dirty++;
}

static void step_host_dirty(void)
{
	static struct sink s;

	if (!parent->dirty_ops)
		return;
	memset(&s, 0, sizeof(s));
	s.sink.record = sink_record;
	assert_int_equal(iommu_domain_read_and_clear_dirty(parent, DATA_GPA, DATA_PAGES * PAGE_SIZE, 0, &s.sink), 0);
	for (unsigned i = 0; i < DATA_PAGES; i++) {
		assert_int_equal(s.seen[i], host[host[i].large ? i & ~(LARGE - 1) : i].dirty);
		if (!host[i].large || i % LARGE == LARGE - 1)
			host[host[i].large ? i & ~(LARGE - 1) : i].dirty = false;
	}
}

/* ---- accesses ---- */

/* Which stage says no, and why; 0, 0 none does. */
static unsigned model_access(unsigned space, unsigned page, bool write, u8 *ret_reason, unsigned *ret_arena)
{
	const struct guest_page *g = &guest[space][page];
	struct host_page *h = &host[g->gpa_page];

	*ret_reason = HW_IOMMU_FAULT_NOT_PRESENT;
	if (!g->present)
		return 1;
	marks_of(space, page)->accessed = true;
	*ret_reason = HW_IOMMU_FAULT_PERMISSION;
	if (!(g->flags & US) || (write && !(g->flags & RW)))
		return 1;
	marks_of(space, page)->dirty |= write;
	if (!h->mapped)
		*ret_reason = HW_IOMMU_FAULT_NOT_PRESENT;
	if (!h->mapped || !(h->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
		return 2;
	if (write && parent->dirty_ops)
		host[h->large ? g->gpa_page & ~(LARGE - 1) : g->gpa_page].dirty = true;
	*ret_arena = h->arena_page;
	*ret_reason = 0;
	return 0;
}

static void step_access(void)
{
	unsigned s = rnd(SPACES), page = rnd(IOVA_PAGES), to = 0, off = rnd(PAGE_SIZE - 16), stage;
	unsigned char buf[16], want[16];
	struct hw_iommu_fault fault;
	bool write = rnd(2);
	u8 reason;

	for (unsigned tries = rnd(6); tries && !guest[s][page].present; tries--)
		page = rnd(IOVA_PAGES);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = rnd(256);
	stage = model_access(s, page, write, &reason, &to);
	if (write && !stage)
		memcpy(shadow + to * PAGE_SIZE + off, buf, sizeof(buf));
	memcpy(want, stage || write ? buf : shadow + to * PAGE_SIZE + off, sizeof(buf));
	assert_int_equal(iotlb_access(iotlb[s], IOVA + page * PAGE_SIZE + off, buf, sizeof(buf), write),
			 stage ? -EFAULT : 0);
	assert_memory_equal(buf, want, sizeof(buf));
	nr_ok += !stage;
	nr_fault[stage]++;
	check_marks(s, page);
	if (!stage)
		return;
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.iova, IOVA + page * PAGE_SIZE + off);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.stage, stage);
	assert_int_equal(fault.pasid, s ? PASID : HW_NO_PASID);
}

static void test_random(void **state)
{
	const char *seed = getenv("SEED"), *count = getenv("STEPS");
	const unsigned steps = count ? (unsigned)strtoul(count, NULL, 0) : 100000;

	rng = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ull;
	print_message("SEED=0x%llx\n", (unsigned long long)rng);
	memset(guest, 0, sizeof(guest));
	memset(host, 0, sizeof(host));
	nr_ok = nr_dirty = 0;
	memset(nr_fault, 0, sizeof(nr_fault));
	if (parent->dirty_ops)
		assert_int_equal(iommu_domain_set_dirty_tracking(parent, true), 0);
	for (unsigned step = 0; step < steps; step++) {
		u64 what = rnd(1000);

		if (what < 200)
			step_guest_small();
		else if (what < 203)
			step_guest_large();
		else if (what < 230)
			step_guest_clears_marks();
		else if (what < 330)
			step_host();
		else if (what < 340)
			step_host_dirty();
		else
			step_access();
		if (step % 5000 == 0)
			assert_memory_equal(arena + 64 * PAGE_SIZE, shadow + 64 * PAGE_SIZE, ARENA_BYTES - 64 * PAGE_SIZE);
	}
	print_message("%u transfers, faults of stage 1: %u, of stage 2: %u, dirty pages: %u\n", nr_ok, nr_fault[1],
		      nr_fault[2], nr_dirty);
	if (steps < 50000)
		return; /* the first ones meet little but faults */
	assert_true(nr_ok > steps / 10 && nr_fault[1] > steps / 30 && nr_fault[2] > steps / 30);
	assert_true(!parent->dirty_ops || nr_dirty > steps / 100);
}

/* ---- single cases ---- */

static void access_ok(unsigned space, u64 iova, bool write)
{
	u64 word = 0;

	assert_int_equal(iotlb_access(iotlb[space], iova, &word, sizeof(word), write), 0);
}

static void access_fails(unsigned space, u64 iova, bool write, int reason, unsigned stage)
{
	struct hw_iommu_fault fault = { 0 };
	u64 word = 0;

	assert_int_equal(iotlb_access(iotlb[space], iova, &word, sizeof(word), write), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.stage, stage);
	assert_int_equal(fault.pasid, space ? PASID : HW_NO_PASID);
}

/* One page of space 0: IOVA to DATA_GPA to arena page 100. */
static void map_one(void)
{
	link_small(0, 0);
	atomic_store(&table_of(0, 4)[0], P | RW | US | DATA_GPA);
	assert_int_equal(iommu_map(parent, DATA_GPA, arena_phys(100), PAGE_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
}

/* The guest's tables are memory like any other: what the kernel takes away is gone, read-only cannot be marked. */
static void test_tables_are_guest_memory(void **state)
{
	map_one();
	access_ok(0, IOVA, true);
	assert_int_equal(iommu_unmap(parent, TABLES_GPA, 32 * PAGE_SIZE), 32 * PAGE_SIZE);
	access_fails(0, IOVA, true, HW_IOMMU_FAULT_NOT_PRESENT, 2);
	assert_int_equal(iommu_map(parent, TABLES_GPA, arena_phys(0), 32 * PAGE_SIZE, IOMMU_READ), 0);
	access_ok(0, IOVA, true); /* all is marked already */
	atomic_fetch_and(&table_of(0, 4)[0], ~(ACCESSED | DIRTY));
	guest_invalidates(0, 0, 1);
	access_fails(0, IOVA, false, HW_IOMMU_FAULT_PERMISSION, 2);
	assert_int_equal(atomic_load(&table_of(0, 4)[0]), P | RW | US | DATA_GPA);
	assert_int_equal(iommu_unmap(parent, TABLES_GPA, 32 * PAGE_SIZE), 32 * PAGE_SIZE);
	assert_int_equal(iommu_map(parent, TABLES_GPA, arena_phys(0), 32 * PAGE_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	access_ok(0, IOVA, false);
	assert_int_equal(atomic_load(&table_of(0, 4)[0]), P | RW | US | ACCESSED | DATA_GPA);
	access_ok(0, IOVA, true);
	assert_int_equal(atomic_load(&table_of(0, 4)[0]), P | RW | US | ACCESSED | DIRTY | DATA_GPA);
}

/* Marks in the guest's tables make the pages that they lie in dirty. */
static void test_marks_are_writes(void **state)
{
	static struct sink s;
	u64 pte;

	if (!parent->dirty_ops)
		return;
	map_one();
	assert_int_equal(iommu_domain_set_dirty_tracking(parent, true), 0);
	access_ok(0, IOVA, false);
	pte = iommu_domain_read_and_clear_dirty(parent, TABLES_GPA, 32 * PAGE_SIZE, 0, NULL);
	assert_int_equal(pte, 0);
	access_ok(0, IOVA, true); /* marks the guest's entry, and so its page */
	memset(&s, 0, sizeof(s));
	s.sink.record = sink_record;
	nr_dirty = 0;
	assert_int_equal(iommu_domain_read_and_clear_dirty(parent, DATA_GPA, PAGE_SIZE, 0, &s.sink), 0);
	assert_int_equal(nr_dirty, 1);
	assert_int_equal(iommu_domain_set_dirty_tracking(parent, false), 0);
}

static void test_nonsense_in_guest_tables(void **state)
{
	map_one();
	access_fails(0, 1ull << 47, false, HW_IOMMU_FAULT_NOT_PRESENT, 1); /* not canonical */
	access_fails(0, ~0ull << 47, false, HW_IOMMU_FAULT_NOT_PRESENT, 1);
	atomic_store(&table_of(0, 0)[0], P | RW | US | PS);	/* no pages of that size */
	access_fails(0, 0x1000, false, HW_IOMMU_FAULT_RESERVED_BIT, 1);
	atomic_store(&table_of(0, 0)[0], P | RW | US | 1ull << 51); /* a table where the guest has no memory */
	guest_invalidates(0, 0, 1);
	access_fails(0, 0x1000, false, HW_IOMMU_FAULT_NOT_PRESENT, 2);
	atomic_store(&table_of(0, 0)[0], P | RW | US | table_gpa(0, 0)); /* the root once more: a page of itself */
	access_fails(0, 0x1000, false, HW_IOMMU_FAULT_NOT_PRESENT, 1);
	atomic_store(&table_of(0, 3)[IOVA >> 21 & 511], P | RW | US | PS | (DATA_GPA + 0x4000)); /* not aligned */
	guest_invalidates(0, 0, LARGE);
	access_fails(0, IOVA, false, HW_IOMMU_FAULT_RESERVED_BIT, 1);
}

static void test_no_tables_for_pasid(void **state)
{
	struct iotlb *other = iotlb_create_pasid(hw, DEVID, 6), *far = iotlb_create_pasid(hw, DEVID, 0xfffff);
	struct hw_iommu_fault fault;
	char text[256];
	u64 word;

	assert_true(other && far);
	assert_int_equal(iotlb_access(other, IOVA, &word, 8, false), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, HW_IOMMU_FAULT_PASID);
	assert_int_equal(fault.pasid, 6);
	assert_non_null(strstr(hw_iommu_fault_describe(&fault, text, sizeof(text)), "with PASID 6"));
	assert_int_equal(iotlb_access(far, IOVA, &word, 8, false), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, HW_IOMMU_FAULT_PASID);
	iotlb_destroy(other);
	iotlb_destroy(far);
}

static void test_alloc_refuses(void **state)
{
	struct iommu_domain *plain = iommu->ops->domain_alloc_paging(iommu, NULL);
	u8 zeros[64] = { 0 };
	struct iommu_user_data data = { 99, zeros, sizeof(zeros) };
	u32 type = is_amd() ? IOMMU_HWPT_DATA_AMD_GUEST : IOMMU_HWPT_DATA_VTD_S1;
	size_t len = is_amd() ? sizeof(struct iommu_hwpt_amd_guest) : sizeof(struct iommu_hwpt_vtd_s1);
	struct iommu_domain *(*alloc)(struct iommu_device *, struct device *, struct iommu_domain *, u32,
				      const struct iommu_user_data *) = iommu->ops->domain_alloc_nested;

	guard_install();
	assert_int_equal(PTR_ERR(alloc(iommu, NULL, parent, 0, &data)), -EOPNOTSUPP);
	data = (struct iommu_user_data){ type, zeros, len };
	assert_int_equal(PTR_ERR(alloc(iommu, NULL, plain, 0, &data)), -EINVAL);
	assert_int_equal(PTR_ERR(alloc(iommu, NULL, parent, IOMMU_ALLOC_NEST_PARENT, &data)), -EOPNOTSUPP);
	data.len = len - 1;
	assert_int_equal(PTR_ERR(alloc(iommu, NULL, parent, 0, &data)), -EINVAL);
	data = (struct iommu_user_data){ type, NULL, len };
	assert_int_equal(PTR_ERR(alloc(iommu, NULL, parent, 0, &data)), -EFAULT);
	data.uptr = zeros;
	zeros[0] = 1 << 4; /* AMD: no guest tables; VT-d: a flag that nobody knows */
	assert_int_equal(PTR_ERR(alloc(iommu, NULL, parent, 0, &data)), is_amd() ? -EINVAL : -EOPNOTSUPP);
	iommu_domain_free(plain);
}

/* The address width is looked at when the domain is attached. */
static void test_attach_refuses(void **state)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = table_gpa(0, 0), .addr_width = 57 };
	struct iommu_user_data data = { IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1) };
	struct iommu_domain *wide;

	if (is_amd())
		return;
	guard_install();
	wide = iommu->ops->domain_alloc_nested(iommu, NULL, parent, 0, &data);
	assert_false(IS_ERR(wide));
	assert_int_equal(iommu->ops->attach_dev(iommu, wide, DEVID), -EINVAL);
	map_one();
	access_ok(0, IOVA, true); /* the other one is attached still */
	iommu_domain_free(wide);
}

static void test_invalidate_requests(void **state)
{
	struct iommu_hwpt_vtd_s1_invalidate inv[3] = {
		{ .addr = 0, .npages = ~0ull }, { .addr = IOVA, .npages = 1 }, { .addr = IOVA + 1, .npages = 1 },
	};
	struct iommu_user_data_array array = { IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, inv, sizeof(inv[0]), 3 };

	if (is_amd()) {
		assert_int_equal(iommu_domain_cache_invalidate_user(nested[0], &array), -EOPNOTSUPP);
		return;
	}
	guard_install();
	map_one();
	access_ok(0, IOVA, true);
	atomic_store(&table_of(0, 4)[0], 0);
	access_ok(0, IOVA, true); /* it was not told */
	assert_int_equal(iommu_domain_cache_invalidate_user(nested[0], &array), -EINVAL);
	assert_int_equal(array.entry_num, 2); /* what came before is done */
	access_fails(0, IOVA, true, HW_IOMMU_FAULT_NOT_PRESENT, 1);
	inv[0].flags = 2;
	array.entry_num = 1;
	assert_int_equal(iommu_domain_cache_invalidate_user(nested[0], &array), -EOPNOTSUPP);
	assert_int_equal(array.entry_num, 0);
	array = (struct iommu_user_data_array){ 7, inv, sizeof(inv[0]), 1 };
	assert_int_equal(iommu_domain_cache_invalidate_user(nested[0], &array), -EINVAL);
	assert_int_equal(array.entry_num, 0);
}

/* ---- PASIDs with tables of the kernel's ---- */

static struct iommu_domain *pasid_domain(u64 arena_page)
{
	struct iommu_domain *domain = iommu->ops->domain_alloc_paging_flags(iommu, NULL, IOMMU_ALLOC_PASID, NULL);

	assert_false(IS_ERR(domain));
	assert_int_equal(iommu_map(domain, 0x1000, arena_phys(arena_page), PAGE_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	return domain;
}

static void must_reach(struct iotlb *t, unsigned arena_page)
{
	u64 pa;

	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	assert_int_equal(pa, arena_phys(arena_page));
}

static void must_fault(struct iotlb *t, int reason)
{
	struct hw_iommu_fault fault;
	u64 pa;

	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, reason);
}

static int set_pasid(struct iommu_domain *domain, u32 pasid, struct iommu_domain *old)
{
	return iommu->ops->set_dev_pasid(iommu, domain, DEVID, pasid, old);
}

static void test_pasids(void **state)
{
	struct iommu_domain *a = pasid_domain(100), *b = pasid_domain(101), *rid = pasid_domain(102);
	struct iotlb *one = iotlb_create_pasid(hw, DEVID, 1), *two = iotlb_create_pasid(hw, DEVID, 0x8001);

	assert_true(one && two);
	attach(1, &iommu_blocked_domain);
	attach(0, &iommu_blocked_domain);
	assert_int_equal(set_pasid(a, 1, NULL), 0);
	must_reach(one, 100);
	must_fault(two, HW_IOMMU_FAULT_PASID);
	must_fault(iotlb[0], HW_IOMMU_FAULT_BLOCKED); /* without a PASID nothing passes */
	attach(0, rid);
	must_reach(iotlb[0], 102);
	must_reach(one, 100);
	assert_int_equal(set_pasid(b, 0x8001, NULL), 0);
	must_reach(two, 101);
	assert_int_equal(set_pasid(a, 0x8001, b), 0); /* replaced: two PASIDs in one domain */
	must_reach(two, 100);
	assert_int_equal(iommu_unmap(a, 0x1000, PAGE_SIZE), PAGE_SIZE); /* and both forget */
	must_fault(one, HW_IOMMU_FAULT_NOT_PRESENT);
	must_fault(two, HW_IOMMU_FAULT_NOT_PRESENT);
	must_reach(iotlb[0], 102);
	assert_int_equal(set_pasid(b, 1, a), 0);
	must_reach(one, 101);
	attach(0, &iommu_blocked_domain);
	must_fault(iotlb[0], HW_IOMMU_FAULT_BLOCKED);
	must_reach(one, 101);
	attach(0, &iommu_identity_domain);
	must_fault(iotlb[0], HW_IOMMU_FAULT_BUS);
	must_reach(one, 101);
	assert_int_equal(set_pasid(&iommu_blocked_domain, 1, b), 0);
	must_fault(one, HW_IOMMU_FAULT_PASID);
	assert_int_equal(set_pasid(&iommu_blocked_domain, 0x8001, a), 0);
	must_fault(two, HW_IOMMU_FAULT_PASID);
	iotlb_destroy(one);
	iotlb_destroy(two);
	iommu_domain_free(a);
	iommu_domain_free(b);
	iommu_domain_free(rid);
}

/* AMD has host tables for a whole device only: PASIDs and those exclude each other. */
static void test_pasids_need_guest_tables(void **state)
{
	struct iommu_domain *plain = iommu->ops->domain_alloc_paging(iommu, NULL), *v2 = pasid_domain(100);
	int want = is_amd() ? -EINVAL : 0;

	attach(1, &iommu_blocked_domain);
	attach(0, plain);
	assert_int_equal(set_pasid(v2, 1, NULL), want);
	if (is_amd()) {
		attach(0, v2);
		assert_int_equal(set_pasid(plain, 1, NULL), -EINVAL);
		assert_int_equal(set_pasid(v2, 1, NULL), 0);
		assert_int_equal(iommu->ops->attach_dev(iommu, plain, DEVID), -EINVAL);
		must_reach(iotlb[0], 100); /* as it was */
	}
	assert_int_equal(set_pasid(&iommu_blocked_domain, 1, v2), 0);
	attach(0, &iommu_blocked_domain);
	iommu_domain_free(plain);
	iommu_domain_free(v2);
}

/* ---- threads ---- */

static atomic_bool stop;
static atomic_uint moved[SPACES];

static void *worker(void *arg)
{
	unsigned s = (uintptr_t)arg;
	unsigned char buf[64];

	memset(buf, 0x11, sizeof(buf));
	while (!atomic_load(&stop)) {
		if (!iotlb_access(iotlb[s], IOVA + s * sizeof(buf), buf, sizeof(buf), true))
			atomic_fetch_add(&moved[s], 1);
		else
			sched_yield();
	}
	return NULL;
}

static void wait_for_workers(void)
{
	for (unsigned s = 0; s < SPACES; s++) {
		unsigned then = atomic_load(&moved[s]);

		while (atomic_load(&moved[s]) == then)
			sched_yield();
	}
}

static void check_untouched(void)
{
	memset(arena + 100 * PAGE_SIZE, 0xee, PAGE_SIZE);
	for (unsigned n = 0; n < 5; n++) {
		sched_yield();
		for (unsigned i = 0; i < SPACES * 64; i++)
			assert_int_equal(arena[100 * PAGE_SIZE + i], 0xee);
	}
}

/* What was unmapped, by the guest or below it, is not touched any more once that is over. */
static void test_unmap_while_devices_write(void **state)
{
	pthread_t threads[SPACES];

	for (unsigned s = 0; s < SPACES; s++) {
		link_small(s, 0);
		atomic_store(&table_of(s, 4)[0], P | RW | US | DATA_GPA);
	}
	assert_int_equal(iommu_map(parent, DATA_GPA, arena_phys(100), PAGE_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	atomic_store(&stop, false);
	for (uintptr_t s = 0; s < SPACES; s++)
		assert_int_equal(pthread_create(&threads[s], NULL, worker, (void *)s), 0);
	for (unsigned round = 0; round < 30; round++) {
		wait_for_workers();
		for (unsigned s = 0; s < SPACES; s++) {
			atomic_store(&table_of(s, 4)[0], 0);
			guest_invalidates(s, 0, 1);
		}
		check_untouched();
		for (unsigned s = 0; s < SPACES; s++)
			atomic_store(&table_of(s, 4)[0], P | RW | US | DATA_GPA);
		wait_for_workers();
		assert_int_equal(iommu_unmap(parent, DATA_GPA, PAGE_SIZE), PAGE_SIZE);
		check_untouched();
		assert_int_equal(iommu_map(parent, DATA_GPA, arena_phys(100), PAGE_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	}
	atomic_store(&stop, true);
	for (unsigned s = 0; s < SPACES; s++)
		assert_int_equal(pthread_join(threads[s], NULL), 0);
}

#define TEST(fn) { #fn, fn }

int main(void)
{
	static const struct { const char *name; void (*fn)(void **state); } cases[] = {
		TEST(test_random), TEST(test_tables_are_guest_memory), TEST(test_marks_are_writes),
		TEST(test_nonsense_in_guest_tables), TEST(test_no_tables_for_pasid), TEST(test_alloc_refuses),
		TEST(test_attach_refuses), TEST(test_invalidate_requests), TEST(test_pasids),
		TEST(test_pasids_need_guest_tables), TEST(test_unmap_while_devices_write),
	};
	static struct CMUnitTest tests[ARRAY_SIZE(kinds) * ARRAY_SIZE(cases)];
	static char names[ARRAY_SIZE(tests)][64];

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct kind *of = &kinds[i / ARRAY_SIZE(cases)];
		size_t n = i % ARRAY_SIZE(cases);

		snprintf(names[i], sizeof(names[i]), "%s: %s", of->name, cases[n].name);
		tests[i] = (struct CMUnitTest){ names[i], cases[n].fn, setup, teardown, (void *)(uintptr_t)of };
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
