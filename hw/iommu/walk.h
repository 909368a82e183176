/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk.h - what the walkers of all formats do alike: read an entry, mark it, and judge the address they end
 * with; and the first stage, which they share.
 */
#ifndef HW_IOMMU_WALK_H
#define HW_IOMMU_WALK_H

#include "hw/iommu/internal.h"

#define HW_LEVEL_BITS 9
#define HW_TABLE_ENTRIES 512
#define HW_ADDR_BITS 52 /* of a physical address */

/* log2 of what one entry at @level spans. */
static inline unsigned hw_level_lg2(unsigned level)
{
	return PAGE_SHIFT + (level - 1) * HW_LEVEL_BITS;
}

static inline unsigned hw_level_index(unsigned level, u64 iova)
{
	return (iova >> hw_level_lg2(level)) & (HW_TABLE_ENTRIES - 1);
}

/* A structure at @pa, which must be the kernel's memory.  NULL: nothing is there. */
static inline _Atomic(u64) *hw_table_at(const struct hw_bus_ops *bus, u64 pa)
{
	return pa >> HW_SLOT_SHIFT ? NULL : bus->host_ptr(pa);
}

/* Quadword @index of a structure at @pa, which must be the kernel's memory.  False: nothing is there. */
static inline bool hw_read_quadword(const struct hw_bus_ops *bus, u64 pa, u64 index, u64 *ret)
{
	const _Atomic(u64) *base = hw_table_at(bus, pa);

	if (!base)
		return false;
	*ret = atomic_load(&base[index]);
	return true;
}

/* What one table of level 1 spans. */
#define HW_REGION_SHIFT (PAGE_SHIFT + HW_LEVEL_BITS)

/* The lowest table for @iova, if that is known; the walk goes on from there.  NULL: begin at the root. */
static inline _Atomic(u64) *hw_table_find(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	const u64 region = (iova >> HW_REGION_SHIFT) + 1;

	if (!walk->tables || walk->tables->at[region % HW_TABLE_CACHE].region != region)
		return NULL;
	walk->level = 1;
	ret->read = walk->tables->at[region % HW_TABLE_CACHE].read;
	ret->write = walk->tables->at[region % HW_TABLE_CACHE].write;
	return walk->tables->at[region % HW_TABLE_CACHE].table;
}

/* A page was found in a table of level 1.  @above: what the entries on the way to it allow. */
static inline void hw_table_note(struct hw_walk *walk, u64 iova, _Atomic(u64) *table, const struct hw_translation *above)
{
	const u64 region = (iova >> HW_REGION_SHIFT) + 1;

	if (!walk->tables)
		return;
	walk->tables->at[region % HW_TABLE_CACHE].region = region;
	walk->tables->at[region % HW_TABLE_CACHE].table = table;
	walk->tables->at[region % HW_TABLE_CACHE].read = above->read;
	walk->tables->at[region % HW_TABLE_CACHE].write = above->write;
}

/**
 * hw_mark - set accessed and dirty bits in an entry that was read as @pte
 * Return: false: it has changed since, look again.
 */
static inline bool hw_mark(_Atomic(u64) *entry, u64 pte, u64 bits)
{
	return (pte & bits) == bits || atomic_compare_exchange_strong(entry, &pte, pte | bits);
}

/** hw_page_found - a walk ended at a page of 2^@lg2 at @pa.  @ret: place and size.  0; HW_IOMMU_FAULT_BUS. */
int hw_page_found(u64 pa, unsigned lg2, u64 iova, struct hw_translation *ret);
/**
 * hw_pass_through - @iova is physical.  Only what is not memory answers there; hw_iommu.h says why.
 * Return: 0; HW_IOMMU_FAULT_BUS.
 */
int hw_pass_through(const struct hw_bus_ops *bus, u64 iova, struct hw_translation *ret);

/* ---- nested.c ---- */

/**
 * hw_first_stage - translate @iova by walk->entry's first stage, and what comes out by the second if nested
 * Return: as walk of struct hw_iommu_format.
 */
int hw_first_stage(struct hw_walk *walk, u64 iova, struct hw_translation *ret);
/** hw_guest_load - a quadword at the guest's address @gpa, 8-byte aligned.  0; enum hw_iommu_fault_reason. */
int hw_guest_load(struct hw_walk *walk, u64 gpa, u64 *ret);

#endif
