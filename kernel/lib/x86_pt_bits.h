/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86_pt_bits.h - where the bits are in an x86-64 page table entry, which is what VT-d's first stage and AMD's
 * guest tables ("v2") are made of.
 *
 * Shared by the writer (kernel/iommu/pt) and the walker (hw/iommu); only positions are here.
 *
 * Source: Intel VT-d specification, "First-Stage Paging Entries"; AMD specification 48882, "Guest Page
 * Tables".
 */
#ifndef KERNEL_LIB_X86_PT_BITS_H
#define KERNEL_LIB_X86_PT_BITS_H

#include "kernel/lib/types.h"

#define X86_PTE_P BIT_ULL(0)
#define X86_PTE_RW BIT_ULL(1)	/* may be written */
#define X86_PTE_US BIT_ULL(2)	/* may be used by requests without privilege */
#define X86_PTE_A BIT_ULL(5)	/* accessed; in each entry on the way */
#define X86_PTE_D BIT_ULL(6)	/* of a page: written */
#define X86_PTE_PS BIT_ULL(7)	/* at level 2 and 3: a page */
#define X86_PTE_EA BIT_ULL(10)	/* VT-d: accessed by a device, where extended accessed bits are kept */
#define X86_PTE_ADDR_MASK GENMASK_ULL(51, 12)
#define X86_PTE_XD BIT_ULL(63)	/* no code may be fetched */

#define X86_PT_LEVELS_MIN 4
#define X86_PT_LEVELS 5
#define X86_PT_PAGE_LEVELS 3

#endif
