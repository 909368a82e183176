/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtdss.h - one I/O page table in VT-d's second-stage format: the writer.  pt_tree.h says what holds
 * for all formats.
 *
 * The number of levels is fixed from the start: 3, 4 or 5 for addresses of 39, 48 or 57 bits.  A mapping
 * is written with the largest pages that alignment of iova and phys and the length left allow.  An
 * entry that permits nothing is not present, so there is no mapping without permission.
 */
#ifndef KERNEL_IOMMU_PT_VTDSS_H
#define KERNEL_IOMMU_PT_VTDSS_H

#include "kernel/iommu/pt/pt_tree.h"

struct iommu_dirty_sink;

#define VTDSS_PGSIZES 0x40201000ull /* 4 KiB, 2 MiB, 1 GiB */

/** vtdss_init - an empty table of @levels (3 to 5) levels.  Return: 0; -ENOMEM. */
int vtdss_init(struct pt_tree *pt, unsigned levels);
/** vtdss_destroy - no hardware knows the table any more.  Accepts one whose init failed. */
void vtdss_destroy(struct pt_tree *pt);

/**
 * vtdss_map - map [iova, iova+len) to [phys, ...), multiples of 4 KiB that the levels reach
 * @prot: IOMMU_READ, IOMMU_WRITE or both
 *
 * Return: 0; -EINVAL no permission in @prot; -EEXIST part of it is mapped; -ENOMEM.  After a failure
 * nothing of it is mapped, but for a moment some was: invalidate.
 */
int vtdss_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
/** vtdss_unmap - take out every page that touches the range.  Return: bytes mapped there; widens @gather. */
u64 vtdss_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather);
/**
 * vtdss_read_dirty - tell @sink (NULL: nobody) of each page that touches [@iova, @last] and that hardware marked
 * as written; @clear: take the marks away, and @gather is what must be invalidated before the next look
 */
void vtdss_read_dirty(struct pt_tree *pt, u64 iova, u64 last, bool clear, struct iommu_dirty_sink *sink,
		      struct pt_gather *gather);
/** vtdss_release - hardware was invalidated: free tables that were taken out before that. */
void vtdss_release(struct pt_tree *pt);
/** vtdss_iova_to_phys - Return: 0 if not mapped. */
phys_addr_t vtdss_iova_to_phys(const struct pt_tree *pt, u64 iova);

#endif
