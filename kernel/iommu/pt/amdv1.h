/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amdv1.h - one I/O page table in AMD's v1 format: the writer.  pt_tree.h says what holds for all formats.
 *
 * Sizes.  A mapping is written with the largest pages that alignment of iova and phys and the length
 * left allow, any power of two of AMDV1_PGSIZES.  Between the sizes that an entry of some level spans
 * (4 KiB, 2 MiB, 1 GiB...) a page fills several entries of one table, all with the same value.
 */
#ifndef KERNEL_IOMMU_PT_AMDV1_H
#define KERNEL_IOMMU_PT_AMDV1_H

#include "kernel/iommu/pt/pt_tree.h"

struct iommu_dirty_sink;

#define AMDV1_PGSIZES 0x000fff7ffffff000ull /* 2^12 .. 2^51 without 2^39 */

/** amdv1_init - an empty table of @levels (1 to 6) levels.  Return: 0; -ENOMEM. */
int amdv1_init(struct pt_tree *pt, unsigned levels);
/** amdv1_destroy - no hardware knows the table any more.  Accepts one whose init failed. */
void amdv1_destroy(struct pt_tree *pt);

/**
 * amdv1_map - map [iova, iova+len) to [phys, ...), multiples of 4 KiB that do not overflow
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * The root may grow: compare pt_tree_root() before and after, also on failure.
 * Return: 0; -EEXIST part of it is mapped; -ENOMEM.  After a failure nothing of it is mapped, but for
 * a moment some was: invalidate.
 */
int amdv1_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
/** amdv1_unmap - take out every page that touches the range.  Return: bytes mapped there; widens @gather. */
u64 amdv1_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather);
/**
 * amdv1_read_dirty - tell @sink (NULL: nobody) of each page that touches [@iova, @last] and that hardware marked
 * as written; @clear: take the marks away, and @gather is what must be invalidated before the next look
 */
void amdv1_read_dirty(struct pt_tree *pt, u64 iova, u64 last, bool clear, struct iommu_dirty_sink *sink,
		      struct pt_gather *gather);
/** amdv1_release - hardware was invalidated: free tables that were taken out before that. */
void amdv1_release(struct pt_tree *pt);
/** amdv1_iova_to_phys - Return: 0 if not mapped. */
phys_addr_t amdv1_iova_to_phys(const struct pt_tree *pt, u64 iova);

#endif
