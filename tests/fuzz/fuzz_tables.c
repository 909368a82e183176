/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_tables.c - a guest that hands its own I/O page tables to the IOMMU (nested HWPTs), made of fuzz bytes; devices do
 * DMA through them.
 *
 * The unit and its driver stand alone here, VT-d or AMD by the first byte.  The guest has GUEST_PAGES pages; the
 * parent domain maps some of them for reading and writing, some for reading, some not at all, and the bytes change
 * that.  Tables, also AMD's tables of PASIDs, lie anywhere in them, entries point anywhere.
 *
 * What must hold:
 *
 *	the unit asks for no memory but what the parent maps (bus_host_ptr)
 *	after each access all memory, marks in the tables included, is what a second walker, simple and slow, makes of a
 *	copy of it; and so are what was read, and whether there was a fault
 *
 * Built without libFuzzer (TABLES_RANDOM) it is a test that makes its bytes itself: SEED, SECONDS.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/iommu/hw_iommu.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/mm.h"
#include "machine/iommu_ops.h"

#define GUEST_PAGES 24u
#define GUARD_PAGES 4u /* on either side: nothing may reach them */
#define ARENA_PAGES (GUEST_PAGES + 2 * GUARD_PAGES)
#define ARENA_BYTES (ARENA_PAGES * PAGE_SIZE)
#define GPA 0x10000000ull /* the guest's first page */
#define PASID 5u
#define DEVID 0x108
#define STEPS 200
/* Each byte of what the parent never mapped, and of nothing else: neither the guest nor a mark makes such a byte. */
#define SECRET 0x9a

#define bug(...) do { fprintf(stderr, "%s:%d: BUG: ", __FILE__, __LINE__); fprintf(stderr, __VA_ARGS__); \
	fputc('\n', stderr); abort(); } while (0)
#define must(cond) do { if (!(cond)) bug("%s", #cond); } while (0)

/* ---- the input: bytes, then zeros ---- */

struct input { const u8 *at, *end; };
static u8 in_u8(struct input *in) { return in->at < in->end ? *in->at++ : 0; }
static u16 in_u16(struct input *in)
{
	u16 low = in_u8(in);

	return (u16)(low | in_u8(in) << 8);
}
static u64 in_u64(struct input *in)
{
	u64 val = 0;

	for (unsigned i = 0; i < 8; i++)
		val |= (u64)in_u8(in) << 8 * i;
	return val;
}

/* ---- the machine ---- */

enum access { NONE, READ, WRITE }; /* WRITE: and READ */
static u8 *arena, *shadow;
static enum access mapped[GUEST_PAGES]; /* by the parent */
static struct hw_iommu *hw;
static struct iommu_device *iommu;
static struct iommu_domain *parent, *domains[2]; /* of the device, and (VT-d) of the PASID; NULL: blocked */
enum { RID, WITH_PASID, WITH_PRIVILEGE, NR_ENGINES };
static struct iotlb *engines[NR_ENGINES];
static bool amd;

static u8 *page_at(u8 *memory, unsigned page)
{
	return memory + (GUARD_PAGES + page) * PAGE_SIZE;
}

static phys_addr_t phys_of(unsigned page)
{
	return 1ull << PHYS_SLOT_SHIFT | (u64)(uintptr_t)page_at(arena, page);
}

/* Slot 0 is the kernel's own memory, where its tables are. */
static void *bus_host_ptr(u64 pa)
{
	const u64 at = pa & PHYS_OFFSET_MASK, from = (u64)(uintptr_t)page_at(arena, 0);

	if (pa >> PHYS_SLOT_SHIFT == 0)
		return (void *)(uintptr_t)at;
	if (pa >> PHYS_SLOT_SHIFT != 1 || at < from || at >= from + GUEST_PAGES * PAGE_SIZE)
		bug("the unit asks for memory at 0x%llx", (unsigned long long)pa);
	if (mapped[(at - from) / PAGE_SIZE] == NONE)
		bug("the unit asks for page %u, which the parent does not map", (unsigned)((at - from) / PAGE_SIZE));
	return (void *)(uintptr_t)at;
}

static int bus_read(u64 pa, void *buf, size_t len) { return -EFAULT; }
static int bus_write(u64 pa, const void *buf, size_t len) { return -EFAULT; }

static int bus_copy(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

static int bus_load64(const u64 *p, u64 *ret)
{
	must(!((uintptr_t)p & 7));
	*ret = *p;
	return 0;
}

static int bus_cmpxchg64(u64 *p, u64 *expected, u64 desired)
{
	if (*p != *expected) {
		*expected = *p;
		return 1;
	}
	*p = desired;
	return 0;
}

static const struct hw_bus_ops bus = {
	.read = bus_read, .write = bus_write, .host_ptr = bus_host_ptr, .copy = bus_copy,
	.load64 = bus_load64, .cmpxchg64 = bus_cmpxchg64,
};

static void parent_set(unsigned page, enum access access)
{
	u64 at = GPA + page * PAGE_SIZE;

	if (mapped[page] != NONE)
		must(iommu_unmap(parent, at, PAGE_SIZE) == PAGE_SIZE);
	mapped[page] = access;
	if (access != NONE)
		must(!iommu_map(parent, at, phys_of(page), PAGE_SIZE, IOMMU_READ | (access == WRITE ? IOMMU_WRITE : 0)));
}

static void attach(unsigned which, struct iommu_domain *domain)
{
	struct iommu_domain *to = domain ? domain : &iommu_blocked_domain;

	if (which == RID)
		must(!iommu->ops->attach_dev(iommu, to, DEVID));
	else
		must(!iommu->ops->set_dev_pasid(iommu, to, DEVID, PASID, NULL));
	if (domains[which])
		iommu_domain_free(domains[which]);
	domains[which] = domain;
}

static void up(bool is_amd)
{
	u32 flags = IOMMU_ALLOC_NEST_PARENT | (is_amd ? 0 : IOMMU_ALLOC_DIRTY_TRACKING);

	amd = is_amd;
	hw = hw_iommu_create(&bus, amd ? &hw_iommu_amdv1 : &hw_iommu_vtd);
	must(hw);
	iommu = amd ? amd_iommu_init("unit", &machine_iommu_hw_ops, hw, 0x1000, IOMMU_FULL) :
		      intel_iommu_init("unit", &machine_iommu_hw_ops, hw, 57, IOMMU_FULL);
	must(!IS_ERR(iommu));
	parent = iommu->ops->domain_alloc_paging_flags(iommu, NULL, flags, NULL);
	must(!IS_ERR(parent));
	for (unsigned page = 0; page < GUEST_PAGES; page++)
		parent_set(page, page < 18 ? WRITE : page < 21 ? READ : NONE);
	engines[RID] = iotlb_create(hw, DEVID);
	engines[WITH_PASID] = iotlb_create_pasid(hw, DEVID, PASID);
	engines[WITH_PRIVILEGE] = iotlb_create_privileged(hw, DEVID, PASID);
	must(engines[RID] && engines[WITH_PASID] && engines[WITH_PRIVILEGE]);
}

static void down(void)
{
	attach(RID, NULL);
	if (!amd)
		attach(WITH_PASID, NULL);
	for (unsigned i = 0; i < NR_ENGINES; i++)
		iotlb_destroy(engines[i]);
	memset(mapped, 0, sizeof(mapped));
	iommu_domain_free(parent);
	if (amd)
		amd_iommu_exit(iommu);
	else
		intel_iommu_exit(iommu);
	hw_iommu_destroy(hw);
}

/* ---- the second walker: on the shadow ------------------------------------------------------- */

/* What the guest said of its tables, as the second walker knows it. */
static struct said {
	bool there;
	u64 root; /* AMD: of the table of PASIDs */
	unsigned levels, gcr3_levels;
	u64 iova[2]; /* without and with PASID: an address that may lead somewhere */
	bool sre, wpe, eafe;
} said[2];

struct request { unsigned engine; u64 iova; bool write; };

/* The shadow at the guest's address; NULL: not mapped for that. */
static u8 *second_stage(u64 gpa, bool write)
{
	u64 page = gpa - GPA;

	if (gpa < GPA || page >= GUEST_PAGES * PAGE_SIZE)
		return NULL;
	if (mapped[page / PAGE_SIZE] < (write ? WRITE : READ))
		return NULL;
	return page_at(shadow, 0) + page;
}

/* The root of the page tables, for AMD by way of the table of PASIDs.  False: a fault. */
static bool root_of(const struct request *r, const struct said *s, u64 *ret)
{
	u32 pasid = r->engine == RID ? 0 : PASID;
	u64 at = s->root, entry;

	*ret = at;
	if (!amd)
		return true;
	for (unsigned level = s->gcr3_levels; level-- > 0;) {
		u8 *host = second_stage(at + (pasid >> 9 * level) % 512 * 8, false);

		if (!host)
			return false;
		memcpy(&entry, host, 8);
		if (!(entry & 1))
			return false;
		at = entry & 0xffffffffff000;
	}
	*ret = at;
	return true;
}

/* Where it ends, in the shadow; NULL: a fault.  Leaves the marks that the unit leaves. */
static u8 *reference(const struct request *r)
{
	const struct said *s = &said[amd || r->engine == RID ? 0 : 1];
	bool privileged = r->engine == WITH_PRIVILEGE && !amd, user = true, rights = true, rw, us, large;
	u64 entry, marked, at, base, mask;
	u8 *host;

	if (!s->there || !root_of(r, s, &at) || (privileged && !s->sre))
		return NULL;
	if ((u64)((s64)(r->iova << (64 - 12 - 9 * s->levels)) >> (64 - 12 - 9 * s->levels)) != r->iova)
		return NULL;
	for (unsigned level = s->levels;; level--) {
		u64 addr = at + (r->iova >> (12 + 9 * (level - 1))) % 512 * 8;

		host = second_stage(addr, false);
		if (!host)
			return NULL;
		memcpy(&entry, host, 8);
		mask = (1ull << (12 + 9 * (level - 1))) - 1;
		large = level > 1 && entry & 0x80;
		if (!(entry & 1) || (large && level > 3) || (large && entry & 0xffffffffff000 & mask & ~0x1000ull))
			return NULL;
		us = user && (privileged || entry & 4);
		rw = rights && (entry & 2 || (privileged && !s->wpe));
		marked = entry | 0x20 | (s->eafe && !amd ? 0x400 : 0);
		if ((level == 1 || large) && r->write && us && rw)
			marked |= 0x40;
		if (marked != entry) {
			host = second_stage(addr, true);
			if (!host)
				return NULL;
			memcpy(host, &marked, 8);
		}
		user = us;
		rights = rw;
		at = entry & 0xffffffffff000;
		if (level == 1 || large)
			break;
	}
	if (!user || (r->write && !rights))
		return NULL;
	base = at & ~mask;
	return second_stage(base + (r->iova & mask), r->write);
}

static void compare(const char *what)
{
	if (!memcmp(arena, shadow, ARENA_BYTES))
		return;
	for (size_t i = 0; i < ARENA_BYTES; i++)
		if (arena[i] != shadow[i])
			bug("%s: byte 0x%zx of page %d is 0x%02x, the second walker says 0x%02x", what, i % PAGE_SIZE,
			    (int)(i / PAGE_SIZE) - (int)GUARD_PAGES, arena[i], shadow[i]);
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Few indices, so that entries meet addresses. */
static unsigned pick_index(u8 b)
{
	static const u16 index[] = { 0, 1, 2, 255, 256, 511 };

	return index[b % 6];
}

static u64 pick_gpa(struct input *in)
{
	u8 b = in_u8(in);

	if (b > 250)
		return in_u64(in);
	return GPA + b % (GUEST_PAGES + 1) * PAGE_SIZE; /* one page too far at most */
}

static void guest_writes(unsigned page, unsigned index, u64 value)
{
	for (unsigned shift = 0; shift < 64; shift += 8)
		if ((value >> shift & 0xff) == SECRET)
			value ^= 1ull << shift;
	memcpy(page_at(arena, page) + index * 8, &value, 8);
	memcpy(page_at(shadow, page) + index * 8, &value, 8);
}

static void write_entry(struct input *in)
{
	static const u64 flags[] = { 7, 7, 7, 7, 5, 3, 1, 0x87, 0x67, 0x47, 0x27, 0, 0x8000000000000007, 0x107, 0x407, 0x85 };
	unsigned page = in_u8(in) % GUEST_PAGES, index = pick_index(in_u8(in));
	u8 how = in_u8(in);
	u64 value = pick_gpa(in) | flags[how % ARRAY_SIZE(flags)];

	guest_writes(page, index, how > 240 ? in_u64(in) : value);
}

/* Chains of tables that lead somewhere, as a guest writes them that means well. */
static struct chain { unsigned root, levels; u64 iova; } chains[4];
static unsigned nr_chains;

static void write_chain(struct input *in)
{
	static const u16 flags[] = { 7, 7, 7, 5, 3, 0x407 };
	struct chain *c = &chains[nr_chains++ % ARRAY_SIZE(chains)];
	unsigned page = in_u8(in) % GUEST_PAGES;
	u8 how = in_u8(in);

	*c = (struct chain){ .root = page, .levels = how & 1 ? 5 : 4 };
	for (unsigned level = c->levels; level > 0; level--) {
		unsigned next = in_u8(in) % GUEST_PAGES, index = pick_index(in_u8(in));

		guest_writes(page, index, (level == 1 ? flags[how / 2 % ARRAY_SIZE(flags)] : 7) | (GPA + next * PAGE_SIZE));
		c->iova |= (u64)index << (12 + 9 * (level - 1));
		page = next;
	}
	if (c->iova >> (11 + 9 * c->levels) & 1) /* the upper half */
		c->iova |= ~0ull << (12 + 9 * c->levels);
}

static const struct chain *pick_chain(u8 b)
{
	return &chains[b % ARRAY_SIZE(chains)];
}

static void scribble(struct input *in)
{
	guest_writes(in_u8(in) % GUEST_PAGES, in_u16(in) % 512, in_u64(in));
}

static struct iommu_domain *nested(const struct iommu_user_data *data)
{
	return iommu->ops->domain_alloc_nested(iommu, NULL, parent, 0, data);
}

static void tables_vtd(struct input *in)
{
	unsigned which = in_u8(in) % 2;
	u8 how = in_u8(in);
	const struct chain *c = pick_chain(how >> 4);
	bool well = how & 0xc0;
	struct iommu_hwpt_vtd_s1 s1 = {
		.flags = how & 7, .pgtbl_addr = well ? GPA + c->root * PAGE_SIZE : pick_gpa(in),
		.addr_width = (well ? c->levels == 5 : how & 8) ? 57 : 48,
	};
	const struct iommu_user_data data = { IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1) };
	struct iommu_domain *domain = nested(&data);

	if (IS_ERR(domain))
		return;
	attach(which, domain);
	said[which] = (struct said){
		.there = true, .root = s1.pgtbl_addr & 0xffffffffff000, .iova = { c->iova, c->iova }, .levels = s1.addr_width == 57 ? 5 : 4,
		.sre = how & IOMMU_VTD_S1_SRE, .eafe = how & IOMMU_VTD_S1_EAFE, .wpe = how & IOMMU_VTD_S1_WPE,
	};
}

static void tables_amd(struct input *in)
{
	u64 gcr3 = pick_gpa(in) & 0xffffffffff000, page = (gcr3 - GPA) / PAGE_SIZE;
	u8 how = in_u8(in);
	struct iommu_hwpt_amd_guest guest = { .dte = {
		3 | 3ull << 54 | (u64)(how % 4) << 56 | (gcr3 >> 12 & 7) << 58, (gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43,
	} };
	const struct iommu_user_data data = { IOMMU_HWPT_DATA_AMD_GUEST, &guest, sizeof(guest) };
	struct iommu_domain *domain = nested(&data);

	if (IS_ERR(domain))
		return;
	if (how & 0xc0 && page < GUEST_PAGES) { /* tables of PASIDs that have something */
		guest_writes(page, 0, 1 | (how % 4 ? gcr3 : GPA + pick_chain(how >> 4)->root * PAGE_SIZE));
		guest_writes(page, PASID, 1 | (GPA + pick_chain(how >> 2)->root * PAGE_SIZE));
	}
	attach(RID, domain);
	said[0] = (struct said){ .there = true, .root = gcr3, .levels = 4, .gcr3_levels = how % 4 + 1,
				.iova = { pick_chain(how >> 4)->iova, pick_chain(how >> 2)->iova } };
}

static u64 pick_iova(struct input *in, unsigned levels)
{
	u64 iova = 0;
	u8 high;

	for (unsigned level = 0; level < levels; level++)
		iova |= (u64)pick_index(in_u8(in)) << (12 + 9 * level);
	high = in_u8(in);
	if (high > 240)
		return in_u64(in);
	if (iova >> (11 + 9 * levels) & 1) /* the upper half */
		iova |= ~0ull << (12 + 9 * levels);
	return iova;
}

static u64 pick_target(struct input *in, u8 how)
{
	unsigned engine = how % NR_ENGINES;

	if (how & 0x60)
		return said[amd || engine == RID ? 0 : 1].iova[engine != RID];
	return pick_iova(in, said[0].levels == 5 ? 5 : 4);
}

static void access_once(struct input *in)
{
	static const char *const names[] = { "the device", "its PASID", "its PASID, privileged" };
	u8 how = in_u8(in);
	struct request r = { .engine = how % NR_ENGINES, .write = how & 0x80 };
	unsigned offset = in_u16(in) % PAGE_SIZE, len = 1 + in_u8(in) % min(PAGE_SIZE - offset, 64ul);
	u8 buf[64], want[64];
	u8 *host;
	int ret;

	r.iova = (pick_target(in, how) & PAGE_MASK) | offset;
	memset(buf, how & 0x7f, sizeof(buf));
	memcpy(want, buf, sizeof(want));
	hw_iommu_invalidate_device(hw, DEVID);
	host = reference(&r);
	if (host && r.write)
		memcpy(host, buf, len);
	else if (host)
		memcpy(want, host, len);
	ret = iotlb_access(engines[r.engine], r.iova, buf, len, r.write);
	if (ret != (host ? 0 : -EFAULT))
		bug("%s %s 0x%llx: %d, the second walker says %s", names[r.engine], r.write ? "writes" : "reads",
		    (unsigned long long)r.iova, ret, host ? "success" : "a fault");
	if (host)
		must(!memcmp(buf, want, sizeof(buf)));
	compare(names[r.engine]);
}

/* Without forgetting what is cached: the second walker knows nothing of that, only that nothing escapes. */
static void access_cached(struct input *in)
{
	u8 how = in_u8(in), buf[3000];
	u64 iova = pick_target(in, how) + in_u16(in);
	unsigned len = 1 + in_u16(in) % sizeof(buf);

	memset(buf, 0, sizeof(buf));
	(void)iotlb_access(engines[how % NR_ENGINES], iova, buf, len, false);
	for (unsigned i = 0; i < len; i++)
		must(buf[i] != SECRET); /* of a page that was never mapped */
	if (how & 0x80) /* what may be read may not be written for that */
		(void)iotlb_access(engines[how % NR_ENGINES], iova, memset(buf, how & 0x7f, len), len, true);
	for (unsigned page = 0; page < GUEST_PAGES; page++)
		if (mapped[page] != WRITE)
			must(!memcmp(page_at(arena, page), page_at(shadow, page), PAGE_SIZE));
	must(!memcmp(arena, shadow, GUARD_PAGES * PAGE_SIZE));
	must(!memcmp(page_at(arena, GUEST_PAGES), page_at(shadow, GUEST_PAGES), GUARD_PAGES * PAGE_SIZE));
	memcpy(shadow, arena, ARENA_BYTES);
}

static void change_parent(struct input *in)
{
	unsigned page = in_u8(in) % GUEST_PAGES;

	if (page < 22) /* the last two never are */
		parent_set(page, min(in_u8(in) % 8, (int)WRITE));
}

static void invalidate(struct input *in)
{
	u8 how = in_u8(in);
	struct iommu_hwpt_vtd_s1_invalidate inv = { .addr = how & 1 ? 0 : pick_iova(in, 4) & PAGE_MASK,
						    .npages = how & 1 ? ~0ull : how & 2 ? in_u64(in) : 1, .flags = how >> 2 & 1 };
	struct iommu_user_data_array array = { IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv, sizeof(inv), 1 };

	if (!amd && domains[how >> 7])
		(void)iommu_domain_cache_invalidate_user(domains[how >> 7], &array);
}

static void step(struct input *in)
{
	switch (in_u8(in) % 16) {
	case 0: case 1: case 2: write_entry(in); break;
	case 3: case 4: write_chain(in); break;
	case 5: scribble(in); break;
	case 6: case 7: amd ? tables_amd(in) : tables_vtd(in); break;
	case 8: change_parent(in); break;
	case 9: invalidate(in); break;
	case 10: access_cached(in); break;
	default: access_once(in);
	}
}

static unsigned long faults, good;

static void run(const u8 *data, size_t size)
{
	struct input in = { data, data + size };

	if (!arena) {
		arena = aligned_alloc(PAGE_SIZE, ARENA_BYTES);
		shadow = aligned_alloc(PAGE_SIZE, ARENA_BYTES);
		must(arena && shadow);
	}
	memset(arena, SECRET, ARENA_BYTES);
	memset(page_at(arena, 0), 0, 22 * PAGE_SIZE);
	memcpy(shadow, arena, ARENA_BYTES);
	memset(said, 0, sizeof(said));
	memset(chains, 0, sizeof(chains));
	nr_chains = 0;
	up(in_u8(&in) & 1);
	for (unsigned i = 0; in.at < in.end && i < STEPS; i++)
		step(&in);
	for (unsigned i = 0; i < NR_ENGINES; i++) {
		struct iotlb_stats stats;

		iotlb_stats_get(engines[i], &stats);
		faults += stats.faults;
		good += stats.hits + stats.misses;
	}
	down();
}

#ifdef TABLES_RANDOM
int main(void)
{
	const char *seed = getenv("SEED"), *seconds = getenv("SECONDS");
	u64 rng = seed ? strtoull(seed, NULL, 0) : (u64)time(NULL) * 0x9e3779b97f4a7c15 | 1;
	time_t end = time(NULL) + (seconds ? atoi(seconds) : 3);
	unsigned long inputs = 0;
	u8 bytes[2000];

	printf("SEED=%llu\n", (unsigned long long)rng);
	fflush(stdout);
	while (time(NULL) < end) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			rng ^= rng << 13;
			rng ^= rng >> 7;
			rng ^= rng << 17;
			bytes[i] = (u8)(rng >> 24);
		}
		run(bytes, sizeof(bytes));
		inputs++;
	}
	printf("%lu inputs, %lu look-ups, %lu faults\n", inputs, good, faults);
	fflush(stdout);
	must(inputs && faults && good - faults > inputs); /* one that succeeds in each, on average */
	return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size);
	return 0;
}
#endif
