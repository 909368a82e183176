/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amdv1.c - the walker of AMD's format: reads a device table entry and up to six levels of tables.
 *
 * Whoever wrote the tables may have written nonsense, by mistake or because a test wants to see what
 * happens.  So each entry is read once, and judged before it is followed: a walk takes at most six
 * steps, each strictly down, and ends in a translation or in a reason.
 *
 * Source: AMD specification 48882, "I/O Page Tables for Host Translations" (levels, level skipping,
 * page sizes by next level 7h, permissions).
 */
#include "hw/iommu/walk.h"

#include "kernel/lib/amd_iommu_bits.h"

static int amd_entry_read(struct hw_iommu *iommu, u16 devid, struct hw_device_entry *ret)
{
	u64 base, at = (u64)devid * AMD_DTE_QWORDS;

	if (devid >= atomic_load(&iommu->table_entries))
		return HW_IOMMU_FAULT_DTE_INVALID;
	base = atomic_load(&iommu->table);
	if (!hw_read_quadword(iommu->bus, base, at, &ret->q0) ||
	    !hw_read_quadword(iommu->bus, base, at + 1, &ret->q1))
		return HW_IOMMU_FAULT_DTE_INVALID;
	ret->domid = ret->q1 & AMD_DTE_DOMID_MASK;
	return ret->q0 & AMD_DTE_V ? 0 : HW_IOMMU_FAULT_DTE_INVALID;
}

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

static int amd_walk(const struct hw_bus_ops *bus, const struct hw_device_entry *entry, u64 iova,
		    struct hw_translation *ret, unsigned *ret_level)
{
	const u64 dte = entry->q0;
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
		return ret->read || ret->write ? hw_pass_through(bus, iova, ret) : HW_IOMMU_FAULT_BLOCKED;
	*ret_level = level;
	if (level < AMD_PT_LEVELS && iova >> hw_level_lg2(level + 1))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	for (;;) {
		unsigned next;
		u64 pte;
		int err;

		*ret_level = level;
		if (!hw_read_quadword(bus, table, hw_level_index(level, iova), &pte))
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

const struct hw_iommu_format hw_iommu_amdv1 = {
	.name = "AMD v1", .entry_read = amd_entry_read, .walk = amd_walk,
};
