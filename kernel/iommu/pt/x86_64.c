/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86_64.c - see x86_64.h.  Here is what an entry looks like; pt_tree_ops.h has all that is done with
 * entries.
 *
 * Source: Intel VT-d specification, "First-Stage Paging Entries"; AMD specification 48882, "Guest Page
 * Tables".  Links permit everything, and all is for requests without privilege.
 */
#include "kernel/iommu/pt/x86_64.h"

#include "kernel/iommu/iommu.h"
#include "kernel/lib/x86_pt_bits.h"
#include "kernel/mm/mm.h"

#define PT_PGSIZES X86_64_PGSIZES
#define PT_LEVELS X86_PT_LEVELS
#define PT_ADDR_MASK X86_PTE_ADDR_MASK
#define PT_SPREADS false

static bool is_leaf(unsigned level, u64 pte)
{
	return level == 1 || (pte & X86_PTE_PS);
}

static u64 make_leaf(unsigned level, phys_addr_t phys, unsigned lg2, int prot)
{
	u64 pte = X86_PTE_P | X86_PTE_US | X86_PTE_XD | phys;

	if (level > 1)
		pte |= X86_PTE_PS;
	if (prot & IOMMU_WRITE)
		pte |= X86_PTE_RW;
	return pte;
}

static unsigned leaf_lg2(unsigned level, u64 pte)
{
	return pt_entry_lg2(level);
}

static u64 make_link(const struct pt_page *child)
{
	return X86_PTE_P | X86_PTE_US | X86_PTE_RW | virt_to_phys((const void *)child->entries);
}

#include "kernel/iommu/pt/pt_tree_ops.h"

int x86_64_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return fail(-EINVAL, "iova 0x%llx: there is no mapping that permits neither reading nor writing",
			    (unsigned long long)iova);
	return pt_tree_map(pt, iova, phys, len_bytes, prot);
}

u64 x86_64_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather)
{
	return pt_tree_unmap(pt, iova, len_bytes, gather);
}

phys_addr_t x86_64_iova_to_phys(const struct pt_tree *pt, u64 iova)
{
	return pt_tree_iova_to_phys(pt, iova);
}

int x86_64_init(struct pt_tree *pt, unsigned levels)
{
	assert(levels >= X86_PT_LEVELS_MIN);
	return pt_tree_init(pt, levels);
}

void x86_64_release(struct pt_tree *pt)
{
	pt_tree_release(pt);
}

void x86_64_destroy(struct pt_tree *pt)
{
	pt_tree_destroy(pt);
}
