/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtdss.c - see vtdss.h.  Here is what an entry looks like; pt_tree_ops.h has all that is done with
 * entries.
 *
 * Source: Intel VT-d specification, "Second-Stage Paging Entries".  Links permit everything: what a
 * device may do is the and of all entries on the way, and the leaf decides.
 */
#include "kernel/iommu/pt/vtdss.h"

#include "kernel/iommu/iommu.h"
#include "kernel/lib/intel_iommu_bits.h"
#include "kernel/mm/mm.h"

#define PT_PGSIZES VTDSS_PGSIZES
#define PT_LEVELS VTD_SS_LEVELS
#define PT_ADDR_MASK VTD_SS_ADDR_MASK
#define PT_DIRTY VTD_SS_D
#define PT_SPREADS false

static bool is_leaf(unsigned level, u64 pte)
{
	return level == 1 || (pte & VTD_SS_PS);
}

static u64 make_leaf(unsigned level, phys_addr_t phys, unsigned lg2, int prot)
{
	u64 pte = phys;

	if (level > 1)
		pte |= VTD_SS_PS;
	if (prot & IOMMU_READ)
		pte |= VTD_SS_R;
	if (prot & IOMMU_WRITE)
		pte |= VTD_SS_W;
	return pte;
}

static unsigned leaf_lg2(unsigned level, u64 pte)
{
	return pt_entry_lg2(level);
}

static u64 make_link(const struct pt_page *child)
{
	return VTD_SS_R | VTD_SS_W | virt_to_phys((const void *)child->entries);
}

#include "kernel/iommu/pt/pt_tree_ops.h"

int vtdss_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return fail(-EINVAL, "iova 0x%llx: VT-d has no mapping that permits neither reading nor writing",
			    (unsigned long long)iova);
	return pt_tree_map(pt, iova, phys, len_bytes, prot);
}

u64 vtdss_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather)
{
	return pt_tree_unmap(pt, iova, len_bytes, gather);
}

void vtdss_read_dirty(struct pt_tree *pt, u64 iova, u64 last, bool clear, struct iommu_dirty_sink *sink,
		      struct pt_gather *gather)
{
	pt_tree_read_dirty(pt, iova, last, clear, sink, gather);
}

phys_addr_t vtdss_iova_to_phys(const struct pt_tree *pt, u64 iova)
{
	return pt_tree_iova_to_phys(pt, iova);
}

int vtdss_init(struct pt_tree *pt, unsigned levels)
{
	assert(levels >= VTD_SS_LEVELS_MIN);
	return pt_tree_init(pt, levels);
}

void vtdss_release(struct pt_tree *pt)
{
	pt_tree_release(pt);
}

void vtdss_destroy(struct pt_tree *pt)
{
	pt_tree_destroy(pt);
}
