/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * translate_test.c - what the kernel writes against what the hardware reads.
 *
 * kernel/iommu maps and unmaps, hw/iommu moves bytes, and a flat model, which knows nothing of tables,
 * says for each page where it goes and what is allowed.  A seed is printed; SEED=... in the environment
 * replays it.
 *
 * Each test is run for each kind of page table: AMD's host and guest tables, VT-d's second stage with addresses
 * of each width, in both modes, and its first stage; and once more for those that can note which pages were
 * written, with a model that does so too.
 *
 * Then the same two with threads: what was unmapped is not touched any more once iommu_unmap() returned.
 * Memory is moved by memcpy() here, so that ThreadSanitizer sees both sides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/iommu/hw_iommu.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/mm.h"
#include "machine/iommu_ops.h"

#define ARENA_PAGES 4096u
#define ARENA_BYTES (ARENA_PAGES * PAGE_SIZE)
#define MODEL_PAGES 4096u
#define DEVID 0x100
#define OTHER_DEVID 0x208

static unsigned char *arena; /* a program's memory, aligned to its size */
static unsigned char *shadow; /* what must be in it */

/* What differs between the kinds. */
struct kind {
	const char *name;
	const struct hw_iommu_format *format;
	unsigned aw_bits;	/* of the unit; 64: AMD */
	unsigned top_bits;	/* of addresses that a domain translates */
	u64 pgsizes;
	u64 bases[5];		/* where the windows of the flat model begin */
	unsigned steps;		/* of the random test: the widths of VT-d differ little */
	enum iommu_features features;
	u32 flags;		/* IOMMU_ALLOC_* */
	bool no_access;		/* it has mappings that permit nothing */
	bool paravirtual;	/* virtio's face of it */
	bool write_reads;	/* what may be written may be read */
};
#define VTD_PGSIZES 0x40201000ull
/*
 * Windows: at 0, across where 3, 4 and 5 levels end (AMD's root grows in the middle), across a gibibyte,
 * at the very top.
 */
#define AMD_BASES { 0, (1ull << 39) - 1234 * PAGE_SIZE, (1ull << 48) - 2048 * PAGE_SIZE, \
		    (1ull << 57) - PAGE_SIZE, 0ull - MODEL_PAGES * PAGE_SIZE }
#define BASES(bits) { 0, (1ull << 30) - 1234 * PAGE_SIZE, \
		      ((bits) > 39 ? 1ull << 39 : 7ull << 30) - 2048 * PAGE_SIZE, \
		      (1ull << ((bits) - 1)) - PAGE_SIZE, (1ull << (bits)) - MODEL_PAGES * PAGE_SIZE }
static const struct kind kinds[] = {
	{ "amd", &hw_iommu_amdv1, 64, 64, 0xfff7ffffff000ull, AMD_BASES, 300000, .no_access = true },
	{ "virtio", &hw_iommu_amdv1, 39, 39, ~(PAGE_SIZE - 1), BASES(39), 60000, .no_access = true, .paravirtual = true },
	{ "amd dirty", &hw_iommu_amdv1, 64, 64, 0xfff7ffffff000ull, AMD_BASES, 100000, IOMMU_FULL,
	  IOMMU_ALLOC_DIRTY_TRACKING, .no_access = true },
	{ "amd v2", &hw_iommu_amdv1, 64, 47, VTD_PGSIZES, BASES(47), 60000, IOMMU_FULL, IOMMU_ALLOC_PASID,
	  .write_reads = true },
	{ "intel 39", &hw_iommu_vtd, 39, 39, VTD_PGSIZES, BASES(39), 60000 },
	{ "intel 48", &hw_iommu_vtd, 48, 48, VTD_PGSIZES, BASES(48), 100000 },
	{ "intel 57", &hw_iommu_vtd, 57, 57, VTD_PGSIZES,
	  { 0, (1ull << 39) - 1234 * PAGE_SIZE, (1ull << 48) - 2048 * PAGE_SIZE, (1ull << 56) - PAGE_SIZE,
	    (1ull << 57) - MODEL_PAGES * PAGE_SIZE }, 60000 },
	{ "intel dirty", &hw_iommu_vtd, 48, 48, VTD_PGSIZES, BASES(48), 100000, IOMMU_FULL,
	  IOMMU_ALLOC_DIRTY_TRACKING },
	{ "intel first stage", &hw_iommu_vtd, 48, 47, VTD_PGSIZES, BASES(47), 60000, IOMMU_FULL, 0,
	  .write_reads = true },
	{ "intel first stage 57", &hw_iommu_vtd, 57, 56, VTD_PGSIZES, BASES(56), 60000, IOMMU_FULL, 0,
	  .write_reads = true },
};
static const struct kind *kind;

static struct hw_iommu *hw;
static struct iommu_device *iommu;
static struct iommu_domain *domain;
static struct iommu_domain *const blocked = &iommu_blocked_domain, *const identity = &iommu_identity_domain;
static struct iotlb *iotlb, *other;

/* ---- bus ---- */

static phys_addr_t arena_phys(u64 off)
{
	return (1ull << PHYS_SLOT_SHIFT) | (u64)(uintptr_t)(arena + off);
}

/* With threads: now and then another one runs in the middle of a walk, or of a copy. */
static atomic_bool interrupted;

static void maybe_interrupt(void)
{
	static _Thread_local unsigned n;

	if (atomic_load_explicit(&interrupted, memory_order_relaxed) && ++n % 5 == 0)
		sched_yield();
}

static void *bus_host_ptr(u64 pa)
{
	if (pa >> PHYS_SLOT_SHIFT == PHYS_SLOT_KERNEL)
		maybe_interrupt();
	return pa >> PHYS_SLOT_SHIFT <= 1 ? (void *)(uintptr_t)(pa & PHYS_OFFSET_MASK) : NULL;
}

static int bus_read(u64 pa, void *buf, size_t len) { return -EFAULT; }
static int bus_write(u64 pa, const void *buf, size_t len) { return -EFAULT; }

static int bus_copy(void *dst, const void *src, size_t len)
{
	size_t half = len / 2;

	memcpy(dst, src, half);
	maybe_interrupt();
	memcpy((char *)dst + half, (const char *)src + half, len - half);
	return 0;
}

static const struct hw_bus_ops bus = {
	.read = bus_read, .write = bus_write, .host_ptr = bus_host_ptr, .copy = bus_copy,
};

static void attach(struct iommu_domain *to, u16 devid)
{
	assert_int_equal(iommu->ops->attach_dev(iommu, to, devid), 0);
}

static bool is_amd(void)
{
	return kind->format == &hw_iommu_amdv1;
}

static struct iommu_device *unit_init(const char *name, struct hw_iommu *unit, u32 devids)
{
	if (is_amd())
		return kind->paravirtual ? virtio_iommu_init(name, &machine_iommu_hw_ops, unit, devids) :
					   amd_iommu_init(name, &machine_iommu_hw_ops, unit, devids, kind->features);
	return intel_iommu_init(name, &machine_iommu_hw_ops, unit, kind->aw_bits, kind->features);
}

static void unit_exit(struct iommu_device *unit)
{
	if (is_amd())
		amd_iommu_exit(unit);
	else
		intel_iommu_exit(unit);
}

static struct iommu_domain *new_domain(void)
{
	struct iommu_domain *fresh = kind->flags ?
		iommu->ops->domain_alloc_paging_flags(iommu, NULL, kind->flags, NULL) :
		iommu->ops->domain_alloc_paging(iommu, NULL);

	assert_false(IS_ERR(fresh));
	return fresh;
}

static int setup(void **state)
{
	kind = *state;
	arena = aligned_alloc(ARENA_BYTES, ARENA_BYTES);
	shadow = malloc(ARENA_BYTES);
	assert_true(arena && shadow);
	memset(arena, 0, ARENA_BYTES);
	memset(shadow, 0, ARENA_BYTES);
	hw = hw_iommu_create(&bus, kind->format);
	assert_non_null(hw);
	iommu = unit_init("unit0", hw, 0x10000);
	assert_false(IS_ERR(iommu));
	domain = new_domain();
	iotlb = iotlb_create(hw, DEVID);
	other = iotlb_create(hw, OTHER_DEVID);
	assert_true(iotlb && other);
	attach(domain, DEVID);
	attach(domain, OTHER_DEVID);
	return 0;
}

static int teardown(void **state)
{
	iotlb_destroy(iotlb);
	iotlb_destroy(other);
	attach(blocked, DEVID);
	attach(blocked, OTHER_DEVID);
	iommu_domain_free(domain);
	unit_exit(iommu);
	hw_iommu_destroy(hw);
	free(arena);
	free(shadow);
	return 0;
}

/* ---- the flat model ---- */

struct model_page {
	bool mapped;
	int prot;
	unsigned arena_page;
	unsigned first, n; /* the page, as large as it was written, that this one is part of */
	bool dirty; /* of the first of these */
};
static struct model_page model[MODEL_PAGES];
static u64 base; /* iova of the first page of the model */
static u64 rng;
static unsigned nr_ok, nr_fault, nr_dirty;
static bool tracking; /* dirty pages are noted */

static u64 rnd(u64 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

static unsigned largest_page(unsigned page, unsigned arena_page, unsigned left)
{
	for (unsigned n = MODEL_PAGES;; n /= 2)
		if ((kind->pgsizes & n * PAGE_SIZE) && n <= left &&
		    (base / PAGE_SIZE + page) % n == 0 && arena_page % n == 0)
			return n;
}

static bool model_map(unsigned first, unsigned arena_page, unsigned n, int prot)
{
	for (unsigned i = first; i < first + n; i++)
		if (model[i].mapped)
			return false;
	for (unsigned at = first; at < first + n;) {
		unsigned to = arena_page + (at - first), size = largest_page(at, to, first + n - at);

		for (unsigned i = 0; i < size; i++)
			model[at + i] = (struct model_page){ true, prot, to + i, at, size, false };
		at += size;
	}
	return true;
}

static unsigned model_unmap(unsigned first, unsigned n)
{
	unsigned gone = 0;

	for (unsigned i = first; i < first + n; i++) {
		struct model_page page = model[i];

		if (!page.mapped)
			continue;
		memset(&model[page.first], 0, page.n * sizeof(page));
		gone += page.n;
	}
	return gone;
}

/* Whether an access of one byte may happen; where it goes. */
static bool model_access(u64 at, bool write, u64 *ret_arena)
{
	const struct model_page *page = &model[at / PAGE_SIZE];

	if (at >= MODEL_PAGES * PAGE_SIZE || !page->mapped)
		return false;
	if (!(page->prot & (write ? IOMMU_WRITE : IOMMU_READ)) && (write || !kind->write_reads || !page->prot))
		return false;
	if (write && tracking)
		model[page->first].dirty = true;
	*ret_arena = page->arena_page * PAGE_SIZE + at % PAGE_SIZE;
	return true;
}

/* ---- random steps ---- */

static unsigned random_len(unsigned room)
{
	unsigned n = rnd(4) ? 1 + rnd(16) : 1u << rnd(13);

	return min(n, room);
}

static void step_map(void)
{
	unsigned align = 1u << rnd(12), first = rnd(MODEL_PAGES) & ~(align - 1);
	unsigned to = rnd(ARENA_PAGES) & ~(align - 1), n = random_len(MODEL_PAGES - max(first, to));
	int prot = rnd(4) ? IOMMU_READ | IOMMU_WRITE : (int)rnd(4);
	u64 iova = base + first * PAGE_SIZE;
	int want = -EINVAL;

	if (prot || kind->no_access)
		want = model_map(first, to, n, prot) ? 0 : -EEXIST;
	assert_int_equal(iommu_map(domain, iova, arena_phys(to * PAGE_SIZE), n * PAGE_SIZE, prot), want);
}

static void step_unmap(void)
{
	unsigned first = rnd(MODEL_PAGES), n = random_len(MODEL_PAGES - first);

	u64 bytes = iommu_unmap(domain, base + first * PAGE_SIZE, n * PAGE_SIZE);

	assert_int_equal(bytes, model_unmap(first, n) * PAGE_SIZE);
}

/* Mostly where something is mapped. */
static u64 random_place(u64 room)
{
	u64 at = rnd(room);

	for (unsigned tries = rnd(8); tries && !model[at / PAGE_SIZE].mapped; tries--)
		at = rnd(room);
	return at;
}

static void step_translate(struct iotlb *t)
{
	u64 at = random_place(MODEL_PAGES * PAGE_SIZE), to, pa;
	bool write = rnd(2), ok = model_access(at, write, &to);

	assert_int_equal(iotlb_translate(t, base + at, write, false, &pa), ok ? 0 : -EFAULT);
	if (ok)
		assert_int_equal(pa, arena_phys(to));
}

static void step_dma(struct iotlb *t)
{
	static unsigned char buf[40000], before[40000];
	size_t len = 1 + rnd(rnd(8) ? 3000 : sizeof(buf)), good = 0;
	u64 at = random_place(MODEL_PAGES * PAGE_SIZE - sizeof(buf)), to = 0;
	bool write = rnd(2);
	struct hw_iommu_fault fault;
	u64 faults = hw_iommu_fault_count(hw);
	int ret;

	for (size_t i = 0; i < len; i += 8)
		memcpy(&buf[i], &(u64){ rnd(~0ull) }, min(len - i, (size_t)8));
	memcpy(before, buf, len);
	ret = iotlb_access(t, base + at, buf, len, write);
	while (good < len && model_access(at + good, write, &to)) {
		if (write)
			shadow[to] = before[good];
		else
			before[good] = shadow[to];
		good++;
	}
	assert_int_equal(ret, good == len ? 0 : -EFAULT);
	assert_memory_equal(buf, before, len);
	nr_ok += !ret;
	nr_fault += !!ret;
	assert_int_equal(hw_iommu_fault_count(hw), faults + !!ret);
	if (!ret)
		return;
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.iova, base + at + good);
	assert_int_equal(fault.write, write);
	assert_int_equal(fault.reason, model[(at + good) / PAGE_SIZE].mapped ? HW_IOMMU_FAULT_PERMISSION :
									       HW_IOMMU_FAULT_NOT_PRESENT);
}

/* ---- dirty pages ---- */

struct sink {
	struct iommu_dirty_sink sink;
	u64 last;	/* end of what was reported, in order */
	bool seen[MODEL_PAGES]; /* by the first page */
};

static void sink_record(struct iommu_dirty_sink *sink, u64 iova, u64 len_bytes)
{
	struct sink *s = container_of(sink, struct sink, sink);
	unsigned page = (iova - base) / PAGE_SIZE;

	assert_true(iova >= base && page < MODEL_PAGES);
	assert_int_equal(model[page].first, page);
	assert_int_equal(model[page].n * PAGE_SIZE, len_bytes);
	assert_false(s->seen[page]);
	s->seen[page] = true;
	nr_dirty++;
}

static void step_dirty(void)
{
	static struct sink s;
	unsigned first = rnd(MODEL_PAGES), n = rnd(2) ? random_len(MODEL_PAGES - first) : MODEL_PAGES - first;
	unsigned flags = rnd(3) ? 0 : IOMMU_DIRTY_NO_CLEAR;
	bool blind = rnd(8) == 0;
	int want = tracking || flags || blind ? 0 : -EINVAL;

	memset(&s, 0, sizeof(s));
	s.sink.record = sink_record;
	assert_int_equal(iommu_domain_read_and_clear_dirty(domain, base + first * PAGE_SIZE, n * PAGE_SIZE, flags,
							   blind ? NULL : &s.sink), want);
	for (unsigned i = first; i < first + n && !want; i++) {
		struct model_page *page = &model[model[i].first];

		if (!model[i].mapped)
			continue;
		if (!blind)
			assert_int_equal(s.seen[page - model], page->dirty);
		s.seen[page - model] = false; /* a page that is reported once is looked at once */
		if (!flags)
			page->dirty = false;
		i = model[i].first + model[i].n - 1;
	}
	for (unsigned i = 0; i < MODEL_PAGES; i++)
		assert_false(s.seen[i]);
}

static void step_tracking(void)
{
	tracking = rnd(8);
	assert_int_equal(iommu_domain_set_dirty_tracking(domain, tracking), 0);
}

static void random_run(u64 at_base, unsigned steps)
{
	base = at_base;
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < steps; step++) {
		struct iotlb *t = rnd(4) ? iotlb : other;
		u64 what = rnd(100);

		if (what < 22)
			step_map();
		else if (what < 40)
			step_unmap();
		else if (what < 70)
			step_translate(t);
		else if (what < 90 || !domain->dirty_ops)
			step_dma(t);
		else if (what < 99)
			step_dirty();
		else
			step_tracking();
		if (step % 1000 == 0)
			assert_memory_equal(arena, shadow, ARENA_BYTES);
	}
	assert_memory_equal(arena, shadow, ARENA_BYTES);
	assert_int_equal(iommu_unmap(domain, base, MODEL_PAGES * PAGE_SIZE),
			 model_unmap(0, MODEL_PAGES) * PAGE_SIZE);
}

static void test_random(void **state)
{
	const char *seed = getenv("SEED"), *count = getenv("STEPS"); /* ten million take minutes */
	const unsigned steps = count ? (unsigned)strtoul(count, NULL, 0) : kind->steps;

	rng = seed ? strtoull(seed, NULL, 0) : 0x2545f4914f6cdd1dull;
	print_message("SEED=0x%llx\n", (unsigned long long)rng);
	nr_ok = nr_fault = nr_dirty = 0;
	tracking = false;
	for (size_t i = 0; i < ARRAY_SIZE(kind->bases); i++)
		random_run(kind->bases[i], steps / ARRAY_SIZE(kind->bases));
	print_message("%u transfers, %u more that met a fault, %u dirty pages\n", nr_ok, nr_fault, nr_dirty);
	assert_true(nr_ok > steps / 30 && nr_fault > steps / 30);
	assert_true(!domain->dirty_ops || nr_dirty > steps / 30);
}

/* ---- single cases ---- */

static void dma_ok(u64 iova, size_t len, bool write)
{
	static unsigned char buf[8192];

	assert_int_equal(iotlb_access(iotlb, iova, buf, len, write), 0);
}

static void dma_fails(u64 iova, bool write, int reason)
{
	struct hw_iommu_fault fault = { 0 };
	unsigned char byte = 0;

	assert_int_equal(iotlb_access(iotlb, iova, &byte, 1, write), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.iova, iova);
}

static void test_domains(void **state)
{
	struct iommu_domain *second = new_domain();

	assert_int_equal(iommu_map(domain, 0x1000, arena_phys(0), 0x1000, IOMMU_READ | IOMMU_WRITE), 0);
	assert_int_equal(iommu_map(second, 0x2000, arena_phys(0), 0x1000, IOMMU_READ), 0);
	dma_ok(0x1000, 4096, true);
	dma_fails(0x2000, false, HW_IOMMU_FAULT_NOT_PRESENT);
	attach(second, DEVID);
	dma_ok(0x2000, 1, false);
	dma_fails(0x2000, true, HW_IOMMU_FAULT_PERMISSION);
	dma_fails(0x1000, false, HW_IOMMU_FAULT_NOT_PRESENT);
	attach(blocked, DEVID);
	dma_fails(0x2000, false, HW_IOMMU_FAULT_BLOCKED);
	attach(identity, DEVID);
	dma_fails((uintptr_t)arena, false, HW_IOMMU_FAULT_BUS); /* not by its address in the program */
	dma_fails(arena_phys(0), false, HW_IOMMU_FAULT_BUS);
	dma_fails(31ull << PHYS_SLOT_SHIFT, true, HW_IOMMU_FAULT_BUS); /* no BAR there */
	attach(domain, DEVID);
	dma_ok(0x1000, 1, true);
	iommu_domain_free(second);
}

static void test_never_attached_device(void **state)
{
	struct iotlb *stranger = iotlb_create(hw, 0x300);
	struct hw_iommu_fault fault;
	char byte;

	assert_non_null(stranger);
	assert_int_equal(iotlb_access(stranger, 0x1000, &byte, 1, false), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, HW_IOMMU_FAULT_DTE_INVALID);
	assert_int_equal(fault.devid, 0x300);
	iotlb_destroy(stranger);
}

static void test_attach_refuses(void **state)
{
	struct hw_iommu *hw2 = hw_iommu_create(&bus, kind->format);
	struct iommu_device *small = unit_init("unit1", hw2, 16);

	assert_false(IS_ERR(small));
	assert_int_equal(small->ops->attach_dev(small, blocked, 15), 0);
	if (is_amd()) /* the length of a device table; VT-d's tables have all devices */
		assert_int_equal(small->ops->attach_dev(small, blocked, 16), -EINVAL);
	assert_int_equal(small->ops->attach_dev(small, domain, 1), -EINVAL); /* another unit's */
	unit_exit(small);
	hw_iommu_destroy(hw2);
}

static void test_width(void **state)
{
	u64 top = domain->aperture_last, pa;

	assert_int_equal(top, ~0ull >> (64 - kind->top_bits));
	assert_int_equal(domain->pgsize_bitmap, kind->pgsizes);
	assert_int_equal(iommu_map(domain, top & PAGE_MASK, arena_phys(0), PAGE_SIZE, IOMMU_READ), 0);
	assert_int_equal(iotlb_translate(iotlb, top, false, true, &pa), 0);
	assert_int_equal(pa, arena_phys(PAGE_SIZE - 1));
	if (top != ~0ull) {
		assert_int_equal(iommu_map(domain, top + 1, arena_phys(0), PAGE_SIZE, IOMMU_READ), -EINVAL);
		assert_int_equal(iommu_map(domain, top & PAGE_MASK, arena_phys(0), 2 * PAGE_SIZE, IOMMU_READ),
				 -EINVAL);
		dma_fails(top + 1, false, HW_IOMMU_FAULT_NOT_PRESENT); /* and no alias of iova 0 */
	}
	assert_int_equal(iommu_unmap(domain, top & PAGE_MASK, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(iotlb_translate(iotlb, top, false, true, &pa), -EFAULT);
}

/* Largest pages: 1 GiB and 2 MiB come as one translation. */
static void test_large_pages(void **state)
{
	u64 phys = (1ull << PHYS_SLOT_SHIFT) | 1ull << 40, pa;
	struct iotlb_stats before, after;

	assert_int_equal(iommu_map(domain, 1ull << 31, phys, (1ull << 30) + (1ull << 21), IOMMU_READ), 0);
	iotlb_stats_get(iotlb, &before);
	for (u64 off = 0; off < 1ull << 30; off += 12345 * PAGE_SIZE) {
		assert_int_equal(iotlb_translate(iotlb, (1ull << 31) + off, false, true, &pa), 0);
		assert_int_equal(pa, phys + off);
	}
	assert_int_equal(iotlb_translate(iotlb, (3ull << 30) + 0x1234, false, true, &pa), 0);
	assert_int_equal(pa, phys + (1ull << 30) + 0x1234);
	iotlb_stats_get(iotlb, &after);
	assert_true(after.misses - before.misses <= 23);
	assert_int_equal(iommu_unmap(domain, (1ull << 31) + 0x5000, PAGE_SIZE), 1ull << 30); /* it goes whole */
	assert_int_equal(iotlb_translate(iotlb, 1ull << 31, false, true, &pa), -EFAULT);
	assert_int_equal(iommu_unmap(domain, 3ull << 30, 1ull << 21), 1ull << 21);
}

static void test_no_permission(void **state)
{
	int want = kind->no_access ? 0 : -EINVAL;

	assert_int_equal(iommu_map(domain, 0x1000, arena_phys(0), PAGE_SIZE, 0), want);
	dma_fails(0x1000, false, want ? HW_IOMMU_FAULT_NOT_PRESENT : HW_IOMMU_FAULT_PERMISSION);
	assert_int_equal(iommu_unmap(domain, 0x1000, PAGE_SIZE), want ? 0 : PAGE_SIZE);
}

/* Ids are used again; no two domains have the same one. */
static void test_many_domains(void **state)
{
	static struct iommu_domain *many[300];
	u64 pa;

	for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
		many[i] = new_domain();
		assert_int_equal(iommu_map(many[i], 0x1000, arena_phys(i << 12), PAGE_SIZE, IOMMU_READ), 0);
	}
	attach(many[7], OTHER_DEVID);
	assert_int_equal(iotlb_translate(other, 0x1000, false, true, &pa), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		if (i != 7)
			assert_int_equal(iommu_unmap(many[i], 0x1000, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(iotlb_translate(other, 0x1000, false, true, &pa), 0);
	assert_int_equal(pa, arena_phys(7 * PAGE_SIZE));
	assert_int_equal(iommu_unmap(many[7], 0x1000, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(iotlb_translate(other, 0x1000, false, true, &pa), -EFAULT);
	attach(domain, OTHER_DEVID);
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		iommu_domain_free(many[i]);
}

/* ---- threads ---- */

#define WORKERS 2
static atomic_bool stop;
static atomic_uint moved[WORKERS];
static _Atomic(u64) target; /* iova that the workers hit */

static void *worker(void *arg)
{
	unsigned me = (uintptr_t)arg;
	struct iotlb *t = iotlb_create(hw, me ? OTHER_DEVID : DEVID);
	unsigned char buf[5000];

	memset(buf, 0x11 * (me + 1), sizeof(buf));
	while (!atomic_load(&stop)) {
		u64 iova = atomic_load(&target) + me * 8192;

		if (!iotlb_access(t, iova, buf, sizeof(buf), true))
			atomic_fetch_add(&moved[me], 1);
		else
			sched_yield(); /* nothing to do: let the one who maps run */
	}
	iotlb_destroy(t);
	return NULL;
}

/* Each worker has moved something by translations of now. */
static void wait_for_workers(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		unsigned then = atomic_load(&moved[i]);

		while (atomic_load(&moved[i]) == then)
			sched_yield();
	}
}

static void check_untouched(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < 16384; i += 64)
			assert_int_equal(arena[i], 0xee);
}

/* The full units invalidate as the basic ones do, by and large: fewer rounds say as much. */
static unsigned rounds_of(unsigned rounds)
{
	return kind->features == IOMMU_FULL ? rounds / 4 : rounds;
}

static void unmap_under_fire(u64 iova, u64 len, unsigned rounds, unsigned misalign)
{
	rounds = rounds_of(rounds);
	for (unsigned round = 0; round < rounds; round++) {
		atomic_store(&target, iova);
		assert_int_equal(iommu_map(domain, iova - misalign, arena_phys(0), len, IOMMU_WRITE), 0);
		wait_for_workers();
		assert_int_equal(iommu_unmap(domain, iova - misalign, len), len);
		memset(arena, 0xee, 16384); /* it is the program's again */
		check_untouched(2);
	}
}

/*
 * The tables of what was unmapped are used again at once, for other memory at another iova.  A walk
 * that was in the middle of them must not come out there.
 */
static void reuse_tables_under_fire(unsigned rounds)
{
	const u64 len = 0x800000, here = 0x10000000, there = 0x30000000;

	for (unsigned round = 0; round < rounds; round++) {
		atomic_store(&target, here + 0x200000);
		assert_int_equal(iommu_map(domain, here, arena_phys(PAGE_SIZE), len, IOMMU_WRITE), 0);
		wait_for_workers();
		assert_int_equal(iommu_unmap(domain, here, len), len);
		memset(arena + 0x801000, 0xee, 0x400000);
		assert_int_equal(iommu_map(domain, there, arena_phys(0x801000), 0x400000, IOMMU_WRITE), 0);
		for (unsigned i = 0; i < 20; i++)
			sched_yield();
		for (unsigned i = 0; i < 0x400000; i += 64)
			assert_int_equal(arena[0x801000 + i], 0xee);
		assert_int_equal(iommu_unmap(domain, there, 0x400000), 0x400000);
	}
}

static void test_unmap_while_devices_write(void **state)
{
	pthread_t threads[WORKERS];

	atomic_store(&stop, false);
	atomic_store(&target, 0x200000);
	for (uintptr_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	atomic_store(&interrupted, true);
	reuse_tables_under_fire(rounds_of(60));
	unmap_under_fire(0x200000, 16 * PAGE_SIZE, 100, 0);
	unmap_under_fire(0x200000, 0x200000, 100, 0);		/* one large page */
	unmap_under_fire(0x801000, 0x800000, 100, PAGE_SIZE);	/* tables come and go */
	unmap_under_fire(1ull << 38, 0x10000, 50, 0);
	if (kind->top_bits == 64) { /* the root grows */
		unmap_under_fire(1ull << 39, 0x10000, 50, 0);
		unmap_under_fire(1ull << 57, 0x10000, 50, 0);
	}
	for (unsigned i = 0; i < rounds_of(60); i++) { /* devices change domains */
		assert_int_equal(iommu_map(domain, 0x200000, arena_phys(0), 0x10000, IOMMU_WRITE), 0);
		atomic_store(&target, 0x200000);
		wait_for_workers();
		attach(i & 1 ? blocked : identity, DEVID);
		attach(blocked, OTHER_DEVID);
		memset(arena, 0xee, 16384);
		check_untouched(2);
		attach(domain, DEVID);
		attach(domain, OTHER_DEVID);
		wait_for_workers();
		assert_int_equal(iommu_unmap(domain, 0x200000, 0x10000), 0x10000);
	}
	atomic_store(&stop, true);
	atomic_store(&interrupted, false);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

struct bytes_sink {
	struct iommu_dirty_sink sink;
	u64 bytes;
};

static void count_bytes(struct iommu_dirty_sink *sink, u64 iova, u64 len_bytes)
{
	container_of(sink, struct bytes_sink, sink)->bytes += len_bytes;
}

static u64 dirty_bytes(u64 iova, u64 len, unsigned flags)
{
	struct bytes_sink s = { { count_bytes }, 0 };

	assert_int_equal(iommu_domain_read_and_clear_dirty(domain, iova, len, flags, &s.sink), 0);
	return s.bytes;
}

/* What is written after it was cleared is noted again, however well the iotlb knows the page. */
static void dirty_under_fire(u64 iova, u64 len, u64 want)
{
	assert_int_equal(iommu_map(domain, iova, arena_phys(0), len, IOMMU_READ | IOMMU_WRITE), 0);
	atomic_store(&target, iova);
	for (unsigned round = 0; round < 30; round++) {
		wait_for_workers();
		dirty_bytes(iova, len, 0);
		wait_for_workers(); /* those that were under way */
		wait_for_workers();
		assert_int_equal(dirty_bytes(iova, len, IOMMU_DIRTY_NO_CLEAR), want);
	}
	assert_int_equal(iommu_unmap(domain, iova, len), len);
}

static void test_dirty_while_devices_write(void **state)
{
	pthread_t threads[WORKERS];

	if (!domain->dirty_ops)
		return;
	assert_int_equal(iommu_domain_set_dirty_tracking(domain, true), 0);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	atomic_store(&interrupted, true);
	/* each worker writes 5000 bytes, from 0 and from 8192 on; in a row pages are as large as they can be */
	dirty_under_fire(0x200000, 0x200000, 0x200000);
	dirty_under_fire(0x801000, 0x4000, 0x4000);
	atomic_store(&stop, true);
	atomic_store(&interrupted, false);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Devices come and go while the tables that their entries name change: the root grows, marks go on and off. */
static void *attacher(void *arg)
{
	while (!atomic_load(&stop)) {
		attach(blocked, OTHER_DEVID);
		attach(domain, OTHER_DEVID);
	}
	return NULL;
}

static void test_attach_while_tables_change(void **state)
{
	pthread_t thread;

	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, attacher, NULL), 0);
	for (unsigned i = 0; i < 300; i++) {
		if (domain->dirty_ops)
			assert_int_equal(iommu_domain_set_dirty_tracking(domain, i % 2), 0);
		if (i % 100 == 0 && kind->top_bits == 64) /* one level more each time */
			assert_int_equal(iommu_map(domain, 1ull << (39 + i / 100 * 9), arena_phys(0), PAGE_SIZE, 3), 0);
		assert_int_equal(iommu_map(domain, 0x1000, arena_phys(0), PAGE_SIZE, 3), 0);
		dma_ok(0x1000, 64, true);
		assert_int_equal(iommu_unmap(domain, 0x1000, PAGE_SIZE), PAGE_SIZE);
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

#define TEST(fn) { #fn, fn }

int main(void)
{
	static const struct { const char *name; void (*fn)(void **state); } cases[] = {
		TEST(test_domains), TEST(test_never_attached_device), TEST(test_attach_refuses), TEST(test_width),
		TEST(test_large_pages), TEST(test_no_permission), TEST(test_many_domains), TEST(test_random),
		TEST(test_unmap_while_devices_write), TEST(test_dirty_while_devices_write),
		TEST(test_attach_while_tables_change),
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
