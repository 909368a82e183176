/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amdv1.c - see amdv1.h.  Here is what an entry looks like, and how the root grows; pt_tree_ops.h has
 * all that is done with entries.
 *
 * Source: AMD specification 48882, "I/O Page Tables for Host Translations": level n indexes with
 * address bits 12+9(n-1) and up; next level 7h: the lowest clear bit z of the address field gives a
 * page of 2^(z+1) bytes.
 */
#include "kernel/iommu/pt/amdv1.h"

#include "kernel/iommu/iommu.h"
#include "kernel/lib/amd_iommu_bits.h"
#include "kernel/mm/mm.h"

#define PT_PGSIZES AMDV1_PGSIZES
#define PT_LEVELS AMD_PT_LEVELS
#define PT_ADDR_MASK AMD_PTE_ADDR_MASK
#define PT_DIRTY AMD_PTE_D
#define PT_SPREADS true
#define LINK_BITS (AMD_PTE_PR | AMD_PTE_IR | AMD_PTE_IW)

static bool is_leaf(unsigned level, u64 pte)
{
	unsigned next = (pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK;

	return next == AMD_PTE_NEXT_PAGE || next == AMD_PTE_NEXT_SIZED;
}

static u64 make_leaf(unsigned level, phys_addr_t phys, unsigned lg2, int prot)
{
	u64 pte = AMD_PTE_PR | AMD_PTE_FC | phys;

	if (lg2 != pt_entry_lg2(level)) {
		pte |= (u64)AMD_PTE_NEXT_SIZED << AMD_PTE_NEXT_SHIFT;
		pte |= ((1ull << (lg2 - 1)) - 1) & AMD_PTE_ADDR_MASK;
	}
	if (prot & IOMMU_READ)
		pte |= AMD_PTE_IR;
	if (prot & IOMMU_WRITE)
		pte |= AMD_PTE_IW;
	return pte;
}

static unsigned leaf_lg2(unsigned level, u64 pte)
{
	if (((pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK) == AMD_PTE_NEXT_PAGE)
		return pt_entry_lg2(level);
	return PAGE_SHIFT + 1 + __builtin_ctzll(~(pte >> PAGE_SHIFT));
}

static u64 make_link(const struct pt_page *child)
{
	u64 table = virt_to_phys((const void *)child->entries);

	return LINK_BITS | (u64)child->level << AMD_PTE_NEXT_SHIFT | table;
}

#include "kernel/iommu/pt/pt_tree_ops.h"

/* One level more on top; what was mapped keeps its place, as all of it has the new index bits clear. */
static int grow_root(struct pt_tree *pt)
{
	struct pt_page *old = pt->root, *top = pt_page_alloc(&pt->pool, old->level + 1);

	if (!top)
		return -ENOMEM;
	pt->root = top;
	link_table(pt, top, &top->entries[0], old);
	if (old->live == 0)
		empty_join(pt, old);
	return 0;
}

int amdv1_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	while (iova + len_bytes - 1 > table_span(pt->root->level))
		if (grow_root(pt))
			return fail(-ENOMEM, "no memory for another level of I/O page tables");
	return pt_tree_map(pt, iova, phys, len_bytes, prot);
}

u64 amdv1_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather)
{
	return pt_tree_unmap(pt, iova, len_bytes, gather);
}

void amdv1_read_dirty(struct pt_tree *pt, u64 iova, u64 last, bool clear, struct iommu_dirty_sink *sink,
		      struct pt_gather *gather)
{
	pt_tree_read_dirty(pt, iova, last, clear, sink, gather);
}

phys_addr_t amdv1_iova_to_phys(const struct pt_tree *pt, u64 iova)
{
	return pt_tree_iova_to_phys(pt, iova);
}

int amdv1_init(struct pt_tree *pt, unsigned levels)
{
	return pt_tree_init(pt, levels);
}

void amdv1_release(struct pt_tree *pt)
{
	pt_tree_release(pt);
}

void amdv1_destroy(struct pt_tree *pt)
{
	pt_tree_destroy(pt);
}
