/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtdss.c - the walker of VT-d's legacy mode: root entry, context entry, second-stage tables of three, four
 * or five levels.
 *
 * Whoever wrote the tables may have written nonsense, by mistake or because a test wants to see what
 * happens.  So each entry is read once, and judged before it is followed: a walk takes at most five
 * steps, and ends in a translation or in a reason.
 *
 * The unit has no device-TLBs and no snoop control, so what belongs to them is reserved.  It records all
 * faults: the context entry's FPD bit, by which a kernel says which it does not want to see, is ignored.
 *
 * Source: Intel VT-d specification, "Legacy Mode Address Translation", "Second-Stage Paging Entries".
 */
#include "hw/iommu/walk.h"

#include "kernel/lib/intel_iommu_bits.h"

/* A context entry, and whether it makes sense.  0; enum hw_iommu_fault_reason. */
static int check_context(u64 lo, u64 hi)
{
	unsigned tt = (lo >> VTD_CTX_TT_SHIFT) & VTD_CTX_TT_MASK, aw = hi & VTD_CTX_AW_MASK;

	if (!(lo & VTD_CTX_P))
		return HW_IOMMU_FAULT_BLOCKED;
	if ((lo & VTD_CTX_RESERVED) || (hi & VTD_CTX_HI_RESERVED))
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (tt != VTD_CTX_TT_SECOND_STAGE && tt != VTD_CTX_TT_PASS_THROUGH)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (aw + 2 < VTD_SS_LEVELS_MIN || aw + 2 > VTD_SS_LEVELS)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	return 0;
}

static int vtd_entry_read(struct hw_iommu *iommu, u16 devid, struct hw_device_entry *ret)
{
	u64 table = atomic_load(&iommu->table), root, lo, hi;
	unsigned at = (devid & 0xff) * VTD_ENTRY_QWORDS;
	int err;

	if (!table)
		return HW_IOMMU_FAULT_DTE_INVALID;
	if (!hw_read_quadword(iommu->bus, table, (devid >> 8) * VTD_ENTRY_QWORDS, &root))
		return HW_IOMMU_FAULT_BUS;
	if (!(root & VTD_ROOT_P))
		return HW_IOMMU_FAULT_DTE_INVALID;
	if (root & VTD_ROOT_RESERVED)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	table = root & VTD_ROOT_CTP_MASK;
	if (!hw_read_quadword(iommu->bus, table, at, &lo) || !hw_read_quadword(iommu->bus, table, at + 1, &hi))
		return HW_IOMMU_FAULT_BUS;
	err = check_context(lo, hi);
	if (err)
		return err;
	*ret = (struct hw_device_entry){ lo, hi, (hi >> VTD_CTX_DID_SHIFT) & VTD_CTX_DID_MASK };
	return 0;
}

/* At level 1 every entry is a page; higher up only where pages of that size exist. */
static int check_entry(unsigned level, u64 pte)
{
	if (!(pte & (VTD_SS_R | VTD_SS_W)))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	if (pte & (VTD_SS_TM | VTD_SS_SNP))
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (level > VTD_SS_PAGE_LEVELS && (pte & VTD_SS_PS))
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (level > 1 && (pte & VTD_SS_PS) && (pte & VTD_SS_ADDR_MASK & (BIT_ULL(hw_level_lg2(level)) - 1)))
		return HW_IOMMU_FAULT_RESERVED_BIT;
	return 0;
}

static int walk_tables(const struct hw_bus_ops *bus, u64 table, u64 iova, struct hw_translation *ret,
		       unsigned *level)
{
	for (;; --*level) {
		u64 pte;
		int err;

		if (!hw_read_quadword(bus, table, hw_level_index(*level, iova), &pte))
			return HW_IOMMU_FAULT_BUS;
		err = check_entry(*level, pte);
		if (err)
			return err;
		ret->read &= !!(pte & VTD_SS_R);
		ret->write &= !!(pte & VTD_SS_W);
		table = pte & VTD_SS_ADDR_MASK;
		if (*level == 1 || (pte & VTD_SS_PS))
			return hw_page_found(table, hw_level_lg2(*level), iova, ret);
	}
}

static int vtd_walk(const struct hw_bus_ops *bus, const struct hw_device_entry *entry, u64 iova,
		    struct hw_translation *ret, unsigned *ret_level)
{
	unsigned tt = (entry->q0 >> VTD_CTX_TT_SHIFT) & VTD_CTX_TT_MASK;
	unsigned levels = (entry->q1 & VTD_CTX_AW_MASK) + 2;
	int err = check_context(entry->q0, entry->q1);

	*ret_level = 0;
	if (err)
		return err;
	ret->read = ret->write = true;
	if (tt == VTD_CTX_TT_PASS_THROUGH)
		return hw_pass_through(bus, iova, ret);
	*ret_level = levels;
	if (iova >> hw_level_lg2(levels + 1))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	return walk_tables(bus, entry->q0 & VTD_CTX_SSPTPTR_MASK, iova, ret, ret_level);
}

const struct hw_iommu_format hw_iommu_vtd = {
	.name = "VT-d second stage", .entry_read = vtd_entry_read, .walk = vtd_walk,
};
