/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt_tree.h - one I/O page table: a tree of 4 KiB tables with 512 entries, in whatever format.
 *
 * Everything here is serialised by the caller (the domain's lock), but hardware walks the table all
 * the while: each entry changes in one atomic store, and a table that was taken out stays readable
 * until it is released.
 *
 * Memory.  A table that became empty stays linked, as the next mapping is likely to want it, but
 * never more than PT_KEEP_EMPTY of them.
 *
 * What the formats share is in pt_tree_ops.h; amdv1.h and vtdss.h are what others call.
 */
#ifndef KERNEL_IOMMU_PT_PT_TREE_H
#define KERNEL_IOMMU_PT_PT_TREE_H

#include "kernel/iommu/pt/pt_pages.h"

#define PT_KEEP_EMPTY 8
#define PT_INDEX_BITS 9
#define PT_ENTRIES 512

struct pt_tree {
	struct pt_pool pool;
	struct pt_page *root;	      /* its level is how many levels there are */
	struct pt_page_list empty;    /* linked tables without a live entry, longest empty first */
	unsigned nr_empty;
	struct pt_page_list unlinked; /* taken out; hardware may still be in them */
};

/* What hardware must forget after an unmap: more than was asked if a large page reached further. */
struct pt_gather {
	u64 iova, last;
};

/** pt_entry_lg2 - log2 of what one entry of a table of @level spans. */
static inline unsigned pt_entry_lg2(unsigned level)
{
	return PAGE_SHIFT + PT_INDEX_BITS * (level - 1);
}

static inline const void *pt_tree_root(const struct pt_tree *pt) { return (const void *)pt->root->entries; }
static inline unsigned pt_tree_levels(const struct pt_tree *pt) { return pt->root->level; }

#endif
