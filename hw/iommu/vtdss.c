/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtdss.c - the walker of VT-d: root entry, context entry, in scalable mode PASID directory and table;
 * second-stage tables of three, four or five levels.
 *
 * Whoever wrote the tables may have written nonsense, by mistake or because a test wants to see what
 * happens.  So each entry is read once, and judged before it is followed: a walk takes at most five
 * steps, and ends in a translation or in a reason.
 *
 * The unit has no device-TLBs and no snoop control, so what belongs to them is reserved.  It records all
 * faults: the context entry's FPD bit, by which a kernel says which it does not want to see, is ignored.
 *
 * What a PASID's entry says of its second stage is kept as a context entry of legacy mode would say it.
 *
 * Source: Intel VT-d specification, "Legacy Mode Address Translation", "Scalable Mode Address Translation",
 * "Second-Stage Paging Entries".
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

/* ---- legacy mode ---- */

static int legacy_entry_read(struct hw_iommu *iommu, u64 table, u16 devid, struct hw_device_entry *ret)
{
	unsigned at = (devid & 0xff) * VTD_ENTRY_QWORDS;
	u64 lo, hi;
	int err;

	if (!hw_read_quadword(iommu->bus, table, at, &lo) || !hw_read_quadword(iommu->bus, table, at + 1, &hi))
		return HW_IOMMU_FAULT_BUS;
	err = check_context(lo, hi);
	if (err)
		return err;
	*ret = (struct hw_device_entry){ .q0 = lo, .q1 = hi, .domid = (hi >> VTD_CTX_DID_SHIFT) & VTD_CTX_DID_MASK };
	return 0;
}

/* ---- scalable mode ---- */

/* An entry of the table of PASIDs: what of it stands for the second stage, and the first. */
static int pasid_entry_judge(u64 q0, u64 q1, u64 q2, struct hw_device_entry *ret)
{
	unsigned pgtt = (q0 >> VTD_PTE_PGTT_SHIFT) & VTD_PTE_PGTT_MASK;
	unsigned fspm = (q2 >> VTD_PTE_FSPM_SHIFT) & VTD_PTE_FSPM_MASK;
	bool first = pgtt == VTD_PGTT_FIRST || pgtt == VTD_PGTT_NESTED;
	bool second = pgtt == VTD_PGTT_SECOND || pgtt == VTD_PGTT_NESTED;

	if (!(q0 & VTD_PTE_P))
		return HW_IOMMU_FAULT_PASID;
	if ((!first && !second && pgtt != VTD_PGTT_PASS_THROUGH) || (first && fspm > 1))
		return HW_IOMMU_FAULT_RESERVED_BIT;
	*ret = (struct hw_device_entry){
		.q0 = VTD_CTX_P | (u64)VTD_CTX_TT_PASS_THROUGH << VTD_CTX_TT_SHIFT,
		.q1 = second ? (q0 >> VTD_PTE_AW_SHIFT) & VTD_CTX_AW_MASK : VTD_SS_LEVELS_MIN - 2,
		.nested = pgtt == VTD_PGTT_NESTED,
		.dirty = q0 & VTD_PTE_SSADE,
		.domid = q1 & VTD_PTE_DID_MASK,
	};
	if (second)
		ret->q0 = VTD_CTX_P | (u64)VTD_CTX_TT_SECOND_STAGE << VTD_CTX_TT_SHIFT |
			  (q0 & VTD_PTE_SSPTPTR_MASK);
	if (first) {
		ret->first = q2 & VTD_PTE_FSPTPTR_MASK;
		ret->first_levels = fspm + 4;
		ret->sre = q2 & VTD_PTE_SRE;
		ret->wpe = q2 & VTD_PTE_WPE;
		ret->eafe = q2 & VTD_PTE_EAFE;
	}
	return second ? check_context(ret->q0, ret->q1) : 0;
}

static int pasid_entry_read(struct hw_iommu *iommu, u64 ctx, u32 pasid, struct hw_device_entry *ret)
{
	u64 dir = ctx & VTD_SM_CTX_DIR_MASK, entries = 1ull << (((ctx >> VTD_SM_CTX_PDTS_SHIFT) & VTD_SM_CTX_PDTS_MASK) + 7);
	u64 index = pasid >> VTD_PASID_TABLE_SHIFT, at, pde, q[3];

	if (index >= entries)
		return HW_IOMMU_FAULT_PASID;
	if (!hw_read_quadword(iommu->bus, dir, index, &pde))
		return HW_IOMMU_FAULT_BUS;
	if (!(pde & VTD_PDE_P))
		return HW_IOMMU_FAULT_PASID;
	at = (pasid & (BIT_ULL(VTD_PASID_TABLE_SHIFT) - 1)) * VTD_PASID_QWORDS;
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
		if (!hw_read_quadword(iommu->bus, pde & VTD_PDE_TABLE_MASK, at + i, &q[i]))
			return HW_IOMMU_FAULT_BUS;
	return pasid_entry_judge(q[0], q[1], q[2], ret);
}

static int scalable_entry_read(struct hw_iommu *iommu, u64 table, u16 devid, u32 pasid,
			       struct hw_device_entry *ret)
{
	unsigned at = (devid & (VTD_SM_CTX_ENTRIES - 1)) * VTD_SM_CTX_QWORDS;
	u64 lo, hi;
	int err;

	if (!hw_read_quadword(iommu->bus, table, at, &lo) || !hw_read_quadword(iommu->bus, table, at + 1, &hi))
		return HW_IOMMU_FAULT_BUS;
	if (!(lo & VTD_SM_CTX_P))
		return HW_IOMMU_FAULT_BLOCKED;
	if (lo & VTD_SM_CTX_RESERVED)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	if (pasid != HW_NO_PASID && !(lo & VTD_SM_CTX_PASIDE))
		return HW_IOMMU_FAULT_PASID;
	if (pasid != HW_NO_PASID)
		return pasid_entry_read(iommu, lo, pasid, ret);
	err = pasid_entry_read(iommu, lo, hi & VTD_SM_CTX_RID_PASID_MASK, ret);
	return err == HW_IOMMU_FAULT_PASID ? HW_IOMMU_FAULT_BLOCKED : err; /* it has sent none */
}

static int vtd_entry_read(struct hw_iommu *iommu, u16 devid, u32 pasid, struct hw_device_entry *ret)
{
	u64 reg = atomic_load(&iommu->table), table = reg & VTD_RTADDR_MASK, root;
	bool scalable = ((reg >> VTD_RTADDR_TTM_SHIFT) & VTD_RTADDR_TTM_MASK) == VTD_TTM_SCALABLE;
	unsigned upper = scalable && (devid & VTD_SM_CTX_ENTRIES);

	if (!table)
		return HW_IOMMU_FAULT_DTE_INVALID;
	if (!hw_read_quadword(iommu->bus, table, (devid >> 8) * VTD_ENTRY_QWORDS + upper, &root))
		return HW_IOMMU_FAULT_BUS;
	if (!(root & VTD_ROOT_P))
		return HW_IOMMU_FAULT_DTE_INVALID;
	if (root & VTD_ROOT_RESERVED)
		return HW_IOMMU_FAULT_RESERVED_BIT;
	table = root & VTD_ROOT_CTP_MASK;
	if (scalable)
		return scalable_entry_read(iommu, table, devid, pasid, ret);
	if (pasid != HW_NO_PASID)
		return HW_IOMMU_FAULT_PASID; /* legacy mode knows none */
	return legacy_entry_read(iommu, table, devid, ret);
}

/* ---- the second stage ---- */

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

/* With SSADE: mark the page, as written too if that is what is done and allowed.  False: look again. */
static bool mark_page(const struct hw_walk *walk, _Atomic(u64) *entry, u64 pte, struct hw_translation *ret)
{
	bool dirty = walk->write && ret->write;

	if (!hw_mark(entry, pte, VTD_SS_A | (dirty ? VTD_SS_D : 0)))
		return false;
	ret->write &= dirty || (pte & VTD_SS_D);
	return true;
}

/* From @table on, of walk->level; NULL: nothing is there. */
static int walk_tables(struct hw_walk *walk, _Atomic(u64) *table, u64 iova, struct hw_translation *ret)
{
	for (;; --walk->level) {
		unsigned level = walk->level;
		_Atomic(u64) *entry;
		u64 pte;
		int err;

		if (!table)
			return HW_IOMMU_FAULT_BUS;
		entry = table + hw_level_index(level, iova);
again:
		pte = atomic_load(entry);
		err = check_entry(level, pte);
		if (err)
			return err;
		if (level == 1 || (pte & VTD_SS_PS)) {
			struct hw_translation found = *ret;

			found.read &= !!(pte & VTD_SS_R);
			found.write &= !!(pte & VTD_SS_W);
			err = hw_page_found(pte & VTD_SS_ADDR_MASK, hw_level_lg2(level), iova, &found);
			if (err)
				return err;
			if (walk->entry->dirty && !mark_page(walk, entry, pte, &found))
				goto again;
			if (level == 1)
				hw_table_note(walk, iova, table, ret);
			*ret = found;
			return 0;
		}
		table = hw_table_at(walk->bus, pte & VTD_SS_ADDR_MASK);
		ret->read &= !!(pte & VTD_SS_R);
		ret->write &= !!(pte & VTD_SS_W);
	}
}

static int vtd_second(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	const struct hw_device_entry *entry = walk->entry;
	unsigned levels = (entry->q1 & VTD_CTX_AW_MASK) + 2;
	_Atomic(u64) *table = hw_table_find(walk, iova, ret);

	walk->stage = 2;
	if (table)
		return walk_tables(walk, table, iova, ret);
	walk->level = levels;
	ret->read = ret->write = true;
	if (iova >> hw_level_lg2(levels + 1))
		return HW_IOMMU_FAULT_NOT_PRESENT;
	return walk_tables(walk, hw_table_at(walk->bus, entry->q0 & VTD_CTX_SSPTPTR_MASK), iova, ret);
}

static int vtd_walk(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	const struct hw_device_entry *entry = walk->entry;
	unsigned tt = (entry->q0 >> VTD_CTX_TT_SHIFT) & VTD_CTX_TT_MASK;
	int err;

	walk->stage = walk->level = 0;
	if (entry->first_levels)
		return hw_first_stage(walk, iova, ret);
	err = check_context(entry->q0, entry->q1);
	if (err)
		return err;
	if (tt != VTD_CTX_TT_PASS_THROUGH)
		return vtd_second(walk, iova, ret);
	ret->read = ret->write = true;
	return hw_pass_through(walk->bus, iova, ret);
}

const struct hw_iommu_format hw_iommu_vtd = {
	.name = "VT-d", .pasid_modes = true, .entry_read = vtd_entry_read, .walk = vtd_walk, .second = vtd_second,
};
