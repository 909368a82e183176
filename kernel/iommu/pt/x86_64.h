/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86_64.h - one I/O page table in x86-64's format: the writer.  It is VT-d's first stage, and AMD's guest
 * tables ("v2").  pt_tree.h says what holds for all formats.
 *
 * The number of levels is fixed from the start, 4 or 5; only the lower half of the addresses is used, since the
 * other one begins with ones.  What may be written may be read: the format has no other way.
 */
#ifndef KERNEL_IOMMU_PT_X86_64_H
#define KERNEL_IOMMU_PT_X86_64_H

#include "kernel/iommu/pt/pt_tree.h"

#define X86_64_PGSIZES 0x40201000ull /* 4 KiB, 2 MiB, 1 GiB */

/** x86_64_init - an empty table of @levels (4 or 5) levels.  Return: 0; -ENOMEM. */
int x86_64_init(struct pt_tree *pt, unsigned levels);
/** x86_64_destroy - no hardware knows the table any more.  Accepts one whose init failed. */
void x86_64_destroy(struct pt_tree *pt);
/** x86_64_map - as vtdss_map */
int x86_64_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
/** x86_64_unmap - take out every page that touches the range.  Return: bytes mapped there; widens @gather. */
u64 x86_64_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather);
/** x86_64_release - hardware was invalidated: free tables that were taken out before that. */
void x86_64_release(struct pt_tree *pt);
/** x86_64_iova_to_phys - Return: 0 if not mapped. */
phys_addr_t x86_64_iova_to_phys(const struct pt_tree *pt, u64 iova);
/** x86_64_aperture_last - the last address of @levels levels that is used. */
static inline u64 x86_64_aperture_last(unsigned levels)
{
	return BIT_ULL(pt_entry_lg2(levels + 1) - 1) - 1;
}

#endif
