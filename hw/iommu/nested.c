/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nested.c - the first stage: x86-64 page tables of four or five levels, and how they go together with the
 * second.
 *
 * Alone, the tables are the kernel's and their addresses physical.  Nested, they are in the memory of a
 * guest: each address in them, also those of the tables, goes through the second stage, and what is read
 * there may change at any time or be gone.  So each entry is read once, judged, and followed; what has to be
 * marked in it is put there by compare-and-swap, and if it was changed meanwhile it is judged again, a few
 * times: a guest that never stops changing it gets a fault.
 *
 * Marks.  Each entry on the way is marked as accessed, the page also as written, if the access is a write
 * and may be.  A mark is a write to the guest's memory: the second stage must permit it, and notes it.
 *
 * Speed.  A nested walk of 4 levels by 4 is 24 look-ups.  Where the pages of the guest's tables are is
 * kept from walk to walk (struct hw_walk_cache), until the unit's next invalidation of whatever.
 *
 * Privilege.  An entry without US is not for requests without it.  Those with it need SRE, use all entries, and
 * without WPE do not heed RW.
 *
 * Source: Intel VT-d specification, "First-Stage Translation", "Nested Translation", "Accessed and Dirty
 * Flags"; AMD specification 48882, "Guest Page Tables", "Two-Level Translation".
 */
#include "hw/iommu/walk.h"

#include "kernel/lib/x86_pt_bits.h"

#define MARK_TRIES 16

/* One quadword of a table. */
struct word {
	u64 *host;
	bool guest;	/* guarded: a guest's memory */
	bool writable;
};

/* ---- where a table is ---- */

static unsigned cache_slot(u64 gpa)
{
	return (gpa >> PAGE_SHIFT ^ gpa >> (PAGE_SHIFT + 4)) % HW_WALK_CACHE;
}

/* The page of @gpa by the second stage, for reading and if @write for writing too. */
static int guest_page(struct hw_walk *walk, u64 gpa, bool write, u64 *ret_pa, bool *ret_writable)
{
	unsigned slot = cache_slot(gpa);
	struct hw_walk_cache *cache = walk->cache;
	u64 page = gpa & PAGE_MASK;
	struct hw_walk second = { .bus = walk->bus, .format = walk->format, .entry = walk->entry, .write = write };
	struct hw_translation tr;
	int err;

	if (cache && cache->page[slot].gpa == (page | 1) && (cache->page[slot].write || !write)) {
		*ret_pa = cache->page[slot].pa;
		*ret_writable = cache->page[slot].write;
		return 0;
	}
	err = walk->format->second(&second, page, &tr);
	if (!err && (!tr.read || (write && !tr.write)))
		err = HW_IOMMU_FAULT_PERMISSION;
	if (err) {
		walk->stage = 2;
		walk->level = second.level;
		return err;
	}
	*ret_pa = tr.pa + (page - tr.iova);
	*ret_writable = tr.write;
	if (cache) {
		cache->page[slot].gpa = page | 1;
		cache->page[slot].pa = *ret_pa;
		cache->page[slot].write = tr.write;
	}
	return 0;
}

/* The quadword at @addr, an address as the first stage has them. */
static int word_find(struct hw_walk *walk, u64 addr, bool write, struct word *ret)
{
	u64 pa;
	int err;

	if (!walk->entry->nested) {
		u8 *table = (u8 *)hw_table_at(walk->bus, addr & PAGE_MASK);

		if (!table)
			return HW_IOMMU_FAULT_BUS;
		*ret = (struct word){ (u64 *)(table + (addr & ~PAGE_MASK)), false, true };
		return 0;
	}
	err = guest_page(walk, addr, write, &pa, &ret->writable);
	if (err)
		return err;
	ret->host = walk->bus->host_ptr(pa + (addr & ~PAGE_MASK));
	ret->guest = true;
	return ret->host && walk->bus->load64 ? 0 : HW_IOMMU_FAULT_BUS;
}

static int word_load(struct hw_walk *walk, const struct word *word, u64 *ret)
{
	if (word->guest)
		return walk->bus->load64(word->host, ret) ? HW_IOMMU_FAULT_BUS : 0;
	*ret = atomic_load((_Atomic(u64) *)word->host);
	return 0;
}

/* @pte becomes @want.  0; 1 it has changed, and @pte is what it is now; -EFAULT nothing is there. */
static int word_mark(struct hw_walk *walk, const struct word *word, u64 *pte, u64 want)
{
	if (word->guest)
		return walk->bus->cmpxchg64(word->host, pte, want);
	return !atomic_compare_exchange_strong((_Atomic(u64) *)word->host, pte, want);
}

int hw_guest_load(struct hw_walk *walk, u64 gpa, u64 *ret)
{
	struct word word;
	int err = word_find(walk, gpa, false, &word);

	return err ? err : word_load(walk, &word, ret);
}

/* ---- entries ---- */

static bool is_page(unsigned level, u64 pte)
{
	return level == 1 || (pte & X86_PTE_PS);
}

static int check_entry(unsigned level, u64 pte)
{
	if (!(pte & X86_PTE_P))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	if (level > X86_PT_PAGE_LEVELS && (pte & X86_PTE_PS))
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (level > 1 && is_page(level, pte) &&
	    (pte & X86_PTE_ADDR_MASK & (BIT_ULL(hw_level_lg2(level)) - 1) & ~BIT_ULL(PAGE_SHIFT))) /* bit 12: PAT */
		return HW_IOMMU_FAULT_RESERVED_BIT;
	return 0;
}

/* What entries permit a request: those on the way all together. */
struct rights {
	bool use, write;
};

static struct rights rights_after(const struct hw_walk *walk, struct rights above, u64 pte)
{
	return (struct rights){
		.use = above.use && (walk->privileged || (pte & X86_PTE_US)),
		.write = above.write && ((pte & X86_PTE_RW) || (walk->privileged && !walk->entry->wpe)),
	};
}

/* What must stand in an entry that is used. */
static u64 marks(const struct hw_walk *walk, unsigned level, u64 pte, struct rights above)
{
	struct rights rights = rights_after(walk, above, pte);
	bool dirty = is_page(level, pte) && walk->write && rights.use && rights.write;

	return pte | X86_PTE_A | (walk->entry->eafe ? X86_PTE_EA : 0) | (dirty ? X86_PTE_D : 0);
}

/* The entry at @addr, marked.  @above: what the entries above permit. */
static int entry_use(struct hw_walk *walk, unsigned level, u64 addr, struct rights above, u64 *ret)
{
	struct word word;
	u64 want;
	int err = word_find(walk, addr, false, &word);

	if (!err)
		err = word_load(walk, &word, ret);
	for (unsigned tries = 0; !err && tries < MARK_TRIES; tries++) {
		err = check_entry(level, *ret);
		if (err)
			return err;
		want = marks(walk, level, *ret, above);
		if (want == *ret)
			return 0;
		if (!word.writable)
			err = word_find(walk, addr, true, &word);
		if (err)
			return err;
		err = word_mark(walk, &word, ret, want);
		if (!err) {
			*ret = want;
			return 0;
		}
		if (err > 0)
			err = 0; /* look at what it is now */
		else
			err = HW_IOMMU_FAULT_BUS;
	}
	return err ? err : HW_IOMMU_FAULT_BUS;
}

/* ---- the walk ---- */

/* The upper half of addresses counts down from the top. */
static bool is_canonical(u64 iova, unsigned levels)
{
	unsigned unused = 64 - hw_level_lg2(levels + 1);

	return (u64)((s64)(iova << unused) >> unused) == iova;
}

/* A page of the first stage, by the second: the smaller of the two, with what both permit. */
static int through_second(struct hw_walk *walk, struct hw_translation *ret, u64 iova)
{
	u64 gpa = ret->pa + (iova - ret->iova);
	struct hw_walk second = { .bus = walk->bus, .format = walk->format, .entry = walk->entry, .write = walk->write };
	struct hw_translation tr;
	int err = walk->format->second(&second, gpa, &tr);

	if (err) {
		walk->stage = 2;
		walk->level = second.level;
		return err;
	}
	ret->lg2 = min(ret->lg2, tr.lg2);
	ret->iova = iova & ~(BIT_ULL(ret->lg2) - 1);
	ret->pa = (tr.pa + (gpa - tr.iova)) & ~(BIT_ULL(ret->lg2) - 1);
	if (!(walk->write ? tr.write : tr.read)) {
		walk->stage = 2;
		walk->level = second.level;
		return HW_IOMMU_FAULT_PERMISSION;
	}
	ret->read = tr.read;
	ret->write &= tr.write;
	return 0;
}

static int page_found(struct hw_walk *walk, u64 pte, u64 iova, struct hw_translation *ret)
{
	unsigned lg2 = hw_level_lg2(walk->level);
	u64 in_page = BIT_ULL(lg2) - 1;

	if (!walk->entry->nested)
		return hw_page_found(pte & X86_PTE_ADDR_MASK & ~in_page, lg2, iova, ret);
	ret->lg2 = lg2;
	ret->iova = iova & ~in_page;
	ret->pa = pte & X86_PTE_ADDR_MASK & ~in_page;
	return through_second(walk, ret, iova);
}

int hw_first_stage(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	u64 table = walk->entry->first, pte;
	struct rights rights = { true, true };

	walk->stage = 1;
	walk->level = walk->entry->first_levels;
	if (walk->privileged && !walk->entry->sre)
		return HW_IOMMU_FAULT_PRIVILEGED;
	if (!is_canonical(iova, walk->level))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	for (;; walk->level--) {
		u64 at = table + hw_level_index(walk->level, iova) * sizeof(u64);
		int err = entry_use(walk, walk->level, at, rights, &pte);

		if (err)
			return err;
		rights = rights_after(walk, rights, pte);
		if (is_page(walk->level, pte))
			break;
		table = pte & X86_PTE_ADDR_MASK;
	}
	if (!rights.use || (walk->write && !rights.write))
		return HW_IOMMU_FAULT_PERMISSION;
	ret->read = true;
	ret->write = rights.write && (pte & X86_PTE_D);
	return page_found(walk, pte, iova, ret);
}
