/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amdv1.c - the walker of AMD's format: reads a device table entry, the table of guest tables if there is
 * one, and up to six levels of host tables.
 *
 * Whoever wrote the tables may have written nonsense, by mistake or because a test wants to see what
 * happens.  So each entry is read once, and judged before it is followed: a walk takes at most six
 * steps, each strictly down, and ends in a translation or in a reason.
 *
 * Source: AMD specification 48882, "I/O Page Tables for Host Translations" (levels, level skipping,
 * page sizes by next level 7h, permissions, accessed and dirty bits), "Guest CR3 Table".
 */
#include "hw/iommu/walk.h"

#include "kernel/lib/amd_iommu_bits.h"

/* Size of the page that a leaf at @level maps; 0 if that makes no sense. */
static unsigned page_lg2(unsigned level, u64 pte)
{
	u64 addr = pte & AMD_PTE_ADDR_MASK;
	unsigned lg2 = hw_level_lg2(level);

	if (((pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK) == AMD_PTE_NEXT_SIZED) {
		unsigned zero = PAGE_SHIFT;

		while (zero < HW_ADDR_BITS && (addr & BIT_ULL(zero)))
			zero++;
		if (zero + 1 <= lg2 || zero + 1 >= lg2 + HW_LEVEL_BITS)
			return 0;
		lg2 = zero + 1;
	} else if (lg2 < 64 && (addr & (BIT_ULL(lg2) - 1))) {
		return 0;
	}
	return lg2 < HW_ADDR_BITS ? lg2 : 0;
}

static int leaf_found(unsigned level, u64 pte, u64 iova, struct hw_translation *ret)
{
	unsigned lg2 = page_lg2(level, pte);

	return lg2 ? hw_page_found(pte & AMD_PTE_ADDR_MASK, lg2, iova, ret) : HW_IOMMU_FAULT_RESERVED_BIT;
}

/* A link from @level to @next: is it down, and are the address bits of skipped levels clear? */
static int check_link(unsigned level, unsigned next, u64 iova)
{
	u64 skipped;

	if (next >= level)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	skipped = GENMASK_ULL(hw_level_lg2(level) - 1, 0) & ~GENMASK_ULL(hw_level_lg2(next + 1) - 1, 0);
	return iova & skipped ? HW_IOMMU_FAULT_NOT_PRESENT : 0;
}

/* With HAD: mark the page, as written too if that is what is done and allowed.  False: look again. */
static bool mark_page(const struct hw_walk *walk, _Atomic(u64) *entry, u64 pte, struct hw_translation *ret)
{
	const u64 dte = walk->entry->q0;
	bool dirty = walk->write && ret->write && (dte & AMD_DTE_HAD_DIRTY);

	if (!hw_mark(entry, pte, AMD_PTE_A | (dirty ? AMD_PTE_D : 0)))
		return false;
	if (dte & AMD_DTE_HAD_DIRTY)
		ret->write &= dirty || (pte & AMD_PTE_D);
	return true;
}

/* From @table on, of walk->level; NULL: nothing is there. */
static int walk_tables(struct hw_walk *walk, _Atomic(u64) *table, u64 iova, struct hw_translation *ret)
{
	for (;;) {
		unsigned level = walk->level, next;
		_Atomic(u64) *entry;
		u64 pte;
		int err;

		if (!table)
			return HW_IOMMU_FAULT_BUS;
		entry = table + hw_level_index(level, iova);
again:
		pte = atomic_load(entry);
		if (!(pte & AMD_PTE_PR))
			return HW_IOMMU_FAULT_NOT_PRESENT;
		if (pte & AMD_PTE_RESERVED)
			return HW_IOMMU_FAULT_RESERVED_BIT;
		next = (pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK;
		if (next == AMD_PTE_NEXT_PAGE || next == AMD_PTE_NEXT_SIZED) {
			struct hw_translation found = *ret;

			found.read &= !!(pte & AMD_PTE_IR);
			found.write &= !!(pte & AMD_PTE_IW);
			err = leaf_found(level, pte, iova, &found);
			if (err)
				return err;
			if ((walk->entry->q0 & AMD_DTE_HAD) && !mark_page(walk, entry, pte, &found))
				goto again;
			if (level == 1)
				hw_table_note(walk, iova, table, ret);
			*ret = found;
			return 0;
		}
		ret->read &= !!(pte & AMD_PTE_IR);
		ret->write &= !!(pte & AMD_PTE_IW);
		err = check_link(level, next, iova);
		if (err)
			return err;
		table = hw_table_at(walk->bus, pte & AMD_PTE_ADDR_MASK);
		walk->level = next;
	}
}

static unsigned dte_mode(u64 dte)
{
	return (dte >> AMD_DTE_MODE_SHIFT) & AMD_DTE_MODE_MASK;
}

static int amd_second(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	const u64 dte = walk->entry->q0;
	unsigned level = dte_mode(dte);
	_Atomic(u64) *table = hw_table_find(walk, iova, ret);

	walk->stage = 2;
	if (table)
		return walk_tables(walk, table, iova, ret);
	walk->level = level;
	if (level > AMD_PT_LEVELS)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	ret->read = dte & AMD_DTE_IR;
	ret->write = dte & AMD_DTE_IW;
	if (level < AMD_PT_LEVELS && iova >> hw_level_lg2(level + 1))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	return walk_tables(walk, hw_table_at(walk->bus, dte & AMD_DTE_ROOT_MASK), iova, ret);
}

static int amd_walk(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	const u64 dte = walk->entry->q0;
	unsigned level = dte_mode(dte);

	walk->stage = walk->level = 0;
	if (!(dte & AMD_DTE_V))
		return HW_IOMMU_FAULT_DTE_INVALID;
	if (!(dte & AMD_DTE_TV))
		return HW_IOMMU_FAULT_BLOCKED;
	if (level > AMD_PT_LEVELS)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (walk->entry->first_levels)
		return hw_first_stage(walk, iova, ret);
	if (level)
		return amd_second(walk, iova, ret);
	ret->read = dte & AMD_DTE_IR;
	ret->write = dte & AMD_DTE_IW;
	return ret->read || ret->write ? hw_pass_through(walk->bus, iova, ret) : HW_IOMMU_FAULT_BLOCKED;
}

/* ---- the tables of devices and PASIDs ---- */

static u64 gcr3_root(u64 q0, u64 q1)
{
	u64 lo = (q0 >> AMD_DTE_GCR3_LO_SHIFT) & 7, mid = (q1 >> AMD_DTE_GCR3_MID_SHIFT) & 0xffff;

	return lo << 12 | mid << 15 | (q1 >> AMD_DTE_GCR3_HI_SHIFT) << 31;
}

/* The guest table of a PASID.  Nested, the tables on the way are the guest's too. */
static int gcr3_lookup(struct hw_walk *walk, u32 pasid, u64 table, u64 *ret)
{
	unsigned levels = ((walk->entry->q0 >> AMD_DTE_GLX_SHIFT) & AMD_DTE_GLX_MASK) + 1;
	u64 gcr3;

	if (levels > 3)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (pasid >> levels * AMD_GCR3_INDEX_BITS)
		return HW_IOMMU_FAULT_PASID;
	while (levels--) {
		u64 index = (pasid >> levels * AMD_GCR3_INDEX_BITS) & (BIT_ULL(AMD_GCR3_INDEX_BITS) - 1);
		int err = hw_guest_load(walk, table + index * sizeof(u64), &gcr3);

		if (err)
			return err;
		if (!(gcr3 & AMD_GCR3_V))
			return HW_IOMMU_FAULT_PASID;
		table = gcr3 & AMD_GCR3_ADDR_MASK;
	}
	*ret = table;
	return 0;
}

static int first_stage_read(struct hw_iommu *iommu, u32 pasid, u64 q2, struct hw_device_entry *ret)
{
	struct hw_walk walk = { .bus = iommu->bus, .format = &hw_iommu_amdv1, .entry = ret };
	unsigned levels = ((q2 >> AMD_DTE_GUEST_LEVELS_SHIFT) & AMD_DTE_GUEST_LEVELS_MASK) + 4;
	int err;

	if (pasid != HW_NO_PASID && !(ret->q0 & AMD_DTE_GV))
		return HW_IOMMU_FAULT_PASID;
	if (pasid == HW_NO_PASID && !(ret->q0 & AMD_DTE_GIOV))
		return 0;
	if (!(ret->q0 & AMD_DTE_GV) || !(ret->q0 & AMD_DTE_TV))
		return 0;
	if (levels > 5)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	ret->nested = dte_mode(ret->q0);
	err = gcr3_lookup(&walk, pasid, gcr3_root(ret->q0, ret->q1), &ret->first);
	ret->first_levels = levels;
	return err;
}

static int amd_entry_read(struct hw_iommu *iommu, u16 devid, u32 pasid, struct hw_device_entry *ret)
{
	u64 base, q2, at = (u64)devid * AMD_DTE_QWORDS;

	*ret = (struct hw_device_entry){ .q0 = 0 };
	if (devid >= atomic_load(&iommu->table_entries))
		return HW_IOMMU_FAULT_DTE_INVALID;
	base = atomic_load(&iommu->table);
	if (!hw_read_quadword(iommu->bus, base, at, &ret->q0) ||
	    !hw_read_quadword(iommu->bus, base, at + 1, &ret->q1) || !hw_read_quadword(iommu->bus, base, at + 2, &q2))
		return HW_IOMMU_FAULT_DTE_INVALID;
	ret->domid = ret->q1 & AMD_DTE_DOMID_MASK;
	if (!(ret->q0 & AMD_DTE_V))
		return HW_IOMMU_FAULT_DTE_INVALID;
	return first_stage_read(iommu, pasid, q2, ret);
}

const struct hw_iommu_format hw_iommu_amdv1 = {
	.name = "AMD", .entry_read = amd_entry_read, .walk = amd_walk, .second = amd_second,
};
