/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk.c - the page-table walker: reads a device table entry and up to six levels of tables.
 *
 * Whoever wrote the tables may have written nonsense, by mistake or because a test wants to see what
 * happens.  So each entry is read once, and judged before it is followed: a walk takes at most six
 * steps, each strictly down, and ends in a translation or in a reason.
 *
 * Source: AMD specification 48882, "I/O Page Tables for Host Translations" (levels, level skipping,
 * page sizes by next level 7h, permissions).
 */
#include "hw/iommu/internal.h"

#include "kernel/lib/amd_iommu_bits.h"

#define MAX_LG2 46 /* a larger page is cut: half a slot */

static unsigned level_lg2(unsigned level)
{
	return PAGE_SHIFT + (level - 1) * AMD_PT_INDEX_BITS;
}

/* Quadword @index of a structure at @pa, which must be the kernel's memory.  False: nothing is there. */
static bool read_quadword(const struct hw_bus_ops *bus, u64 pa, u64 index, u64 *ret)
{
	const _Atomic(u64) *base;

	if (pa >> HW_SLOT_SHIFT)
		return false;
	base = bus->host_ptr(pa);
	if (!base)
		return false;
	*ret = atomic_load(&base[index]);
	return true;
}

bool hw_dte_read(struct hw_iommu *iommu, u16 devid, u64 *ret_q0, u64 *ret_q1)
{
	u64 base, at = (u64)devid * AMD_DTE_QWORDS;

	if (devid >= atomic_load(&iommu->devtab_entries))
		return false;
	base = atomic_load(&iommu->devtab);
	return read_quadword(iommu->bus, base, at, ret_q0) && read_quadword(iommu->bus, base, at + 1, ret_q1);
}

/* Size of the page that a leaf at @level maps; 0 if that makes no sense. */
static unsigned page_lg2(unsigned level, u64 pte)
{
	u64 addr = pte & AMD_PTE_ADDR_MASK;
	unsigned lg2 = level_lg2(level);

	if (((pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK) == AMD_PTE_NEXT_SIZED) {
		unsigned zero = PAGE_SHIFT;

		while (zero < AMD_PT_ADDR_BITS && (addr & BIT_ULL(zero)))
			zero++;
		if (zero + 1 <= lg2 || zero + 1 >= lg2 + AMD_PT_INDEX_BITS)
			return 0;
		lg2 = zero + 1;
	} else if (lg2 < 64 && (addr & (BIT_ULL(lg2) - 1))) {
		return 0;
	}
	return lg2 < AMD_PT_ADDR_BITS ? lg2 : 0;
}

static int leaf_found(unsigned level, u64 pte, u64 iova, struct hw_translation *ret)
{
	unsigned lg2 = page_lg2(level, pte);
	u64 pa;

	if (!lg2)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	pa = (pte & AMD_PTE_ADDR_MASK & ~(BIT_ULL(lg2) - 1)) | (iova & (BIT_ULL(lg2) - 1));
	if (pa >> HW_SLOT_SHIFT == 0)
		return HW_IOMMU_FAULT_BUS;
	ret->lg2 = min(lg2, (unsigned)MAX_LG2);
	ret->iova = iova & ~(BIT_ULL(ret->lg2) - 1);
	ret->pa = pa & ~(BIT_ULL(ret->lg2) - 1);
	return 0;
}

static int walk_identity(const struct hw_bus_ops *bus, u64 iova, struct hw_translation *ret)
{
	if (!ret->read && !ret->write)
		return HW_IOMMU_FAULT_BLOCKED;
	if (iova >> AMD_PT_ADDR_BITS || iova >> HW_SLOT_SHIFT == 0 || bus->host_ptr(iova))
		return HW_IOMMU_FAULT_BUS;
	ret->lg2 = PAGE_SHIFT;
	ret->iova = ret->pa = iova & PAGE_MASK;
	return 0;
}

/* A link from @level to @next: is it down, and are the address bits of skipped levels clear? */
static int check_link(unsigned level, unsigned next, u64 iova)
{
	u64 skipped;

	if (next >= level)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	skipped = GENMASK_ULL(level_lg2(level) - 1, 0) & ~GENMASK_ULL(level_lg2(next + 1) - 1, 0);
	return iova & skipped ? HW_IOMMU_FAULT_NOT_PRESENT : 0;
}

int hw_walk(const struct hw_bus_ops *bus, u64 dte, u64 iova, struct hw_translation *ret, unsigned *ret_level)
{
	unsigned level = (dte >> AMD_DTE_MODE_SHIFT) & AMD_DTE_MODE_MASK;
	u64 table = dte & AMD_DTE_ROOT_MASK;

	*ret_level = 0;
	if (!(dte & AMD_DTE_V))
		return HW_IOMMU_FAULT_DTE_INVALID;
	if (!(dte & AMD_DTE_TV))
		return HW_IOMMU_FAULT_BLOCKED;
	if (level > AMD_PT_LEVELS)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	ret->read = dte & AMD_DTE_IR;
	ret->write = dte & AMD_DTE_IW;
	if (level == 0)
		return walk_identity(bus, iova, ret);
	*ret_level = level;
	if (level < AMD_PT_LEVELS && iova >> level_lg2(level + 1))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	for (;;) {
		unsigned next;
		u64 pte;
		int err;

		*ret_level = level;
		if (!read_quadword(bus, table, (iova >> level_lg2(level)) & (AMD_PT_ENTRIES - 1), &pte))
			return HW_IOMMU_FAULT_BUS;
		if (!(pte & AMD_PTE_PR))
			return HW_IOMMU_FAULT_NOT_PRESENT;
		if (pte & AMD_PTE_RESERVED)
			return HW_IOMMU_FAULT_RESERVED_BIT;
		ret->read &= !!(pte & AMD_PTE_IR);
		ret->write &= !!(pte & AMD_PTE_IW);
		next = (pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK;
		if (next == AMD_PTE_NEXT_PAGE || next == AMD_PTE_NEXT_SIZED)
			return leaf_found(level, pte, iova, ret);
		err = check_link(level, next, iova);
		if (err)
			return err;
		table = pte & AMD_PTE_ADDR_MASK;
		level = next;
	}
}
