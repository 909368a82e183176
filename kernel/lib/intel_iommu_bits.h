/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel_iommu_bits.h - where the bits are in VT-d's root, context, PASID and second-stage paging entries.
 *
 * The one thing that the writer (kernel/iommu/pt, kernel/iommu/intel) and the walker (hw/iommu) share.
 * Only positions are here, no way to compose or take apart an entry: each side has its own, so that a
 * mistake in one does not hide in the other.
 *
 * Source: Intel Virtualization Technology for Directed I/O, Architecture Specification, "Root Entry",
 * "Context Entry" (legacy mode), "Scalable-Mode Root Entry", "Scalable-Mode Context Entry", "Scalable-Mode
 * PASID Directory Entry", "Scalable-Mode PASID Table Entry" and "Second-Stage Paging Entries".
 */
#ifndef KERNEL_LIB_INTEL_IOMMU_BITS_H
#define KERNEL_LIB_INTEL_IOMMU_BITS_H

#include "kernel/lib/types.h"

/* Both tables are one 4 KiB page of 256 entries of two quadwords: a bus each, then a devfn each. */
#define VTD_TABLE_ENTRIES 256
#define VTD_ENTRY_QWORDS 2

/* Root entry, quadword 0; quadword 1 is reserved. */
#define VTD_ROOT_P BIT_ULL(0)
#define VTD_ROOT_CTP_MASK GENMASK_ULL(51, 12)	/* context table */
#define VTD_ROOT_RESERVED (GENMASK_ULL(63, 52) | GENMASK_ULL(11, 1))

/* Context entry, quadword 0 */
#define VTD_CTX_P BIT_ULL(0)
#define VTD_CTX_FPD BIT_ULL(1)		/* faults of this device are not recorded */
#define VTD_CTX_TT_SHIFT 2		/* bits 3:2: what happens to a request */
#define VTD_CTX_TT_MASK 3ull
#define VTD_CTX_TT_SECOND_STAGE 0u	/* translated */
#define VTD_CTX_TT_PASS_THROUGH 2u	/* the address is physical already */
#define VTD_CTX_SSPTPTR_MASK GENMASK_ULL(51, 12) /* root of the second-stage tables */
#define VTD_CTX_RESERVED (GENMASK_ULL(63, 52) | GENMASK_ULL(11, 4))
/* quadword 1 */
#define VTD_CTX_AW_MASK 7ull		/* bits 2:0: 1, 2, 3 are 3, 4, 5 levels; the rest is reserved */
#define VTD_CTX_DID_SHIFT 8		/* bits 23:8: domain id */
#define VTD_CTX_DID_MASK 0xffffull
#define VTD_CTX_HI_RESERVED (GENMASK_ULL(63, 24) | BIT_ULL(7))

/* Root table address register: bits 11:10 say what the tables look like. */
#define VTD_RTADDR_TTM_SHIFT 10
#define VTD_RTADDR_TTM_MASK 3ull
#define VTD_TTM_LEGACY 0u
#define VTD_TTM_SCALABLE 1u
#define VTD_RTADDR_MASK GENMASK_ULL(51, 12)

/*
 * Scalable mode.  A root entry's two quadwords have a context table each, of 128 entries of four quadwords:
 * for devfn 0 to 127 and for the others.  Both quadwords look like the first one in legacy mode.
 */
#define VTD_SM_CTX_ENTRIES 128
#define VTD_SM_CTX_QWORDS 4
/* Context entry, quadword 0 */
#define VTD_SM_CTX_P BIT_ULL(0)
#define VTD_SM_CTX_PASIDE BIT_ULL(3)	/* requests with PASID are allowed */
#define VTD_SM_CTX_PRE BIT_ULL(4)	/* page requests are taken */
#define VTD_SM_CTX_PDTS_SHIFT 9		/* bits 11:9: the directory has 2^(PDTS+7) entries */
#define VTD_SM_CTX_PDTS_MASK 7ull
#define VTD_SM_CTX_DIR_MASK GENMASK_ULL(51, 12) /* PASID directory */
#define VTD_SM_CTX_RESERVED (GENMASK_ULL(63, 52) | GENMASK_ULL(8, 5))
/* quadword 1 */
#define VTD_SM_CTX_RID_PASID_MASK GENMASK_ULL(19, 0) /* PASID of what has none */

/* PASID directory: entries of a quadword, one for each 64 PASIDs. */
#define VTD_PASID_TABLE_SHIFT 6
#define VTD_PASID_BITS 20
#define VTD_PDE_P BIT_ULL(0)
#define VTD_PDE_TABLE_MASK GENMASK_ULL(51, 12)

/* PASID table entry: eight quadwords, 64 in a page.  Quadword 0 */
#define VTD_PASID_QWORDS 8
#define VTD_PTE_P BIT_ULL(0)
#define VTD_PTE_AW_SHIFT 2		/* bits 4:2: width of the second stage, as in a context entry */
#define VTD_PTE_PGTT_SHIFT 6		/* bits 8:6: what translates */
#define VTD_PTE_PGTT_MASK 7ull
#define VTD_PGTT_FIRST 1u
#define VTD_PGTT_SECOND 2u
#define VTD_PGTT_NESTED 3u
#define VTD_PGTT_PASS_THROUGH 4u
#define VTD_PTE_SSADE BIT_ULL(9)	/* second-stage tables have accessed and dirty bits */
#define VTD_PTE_SSPTPTR_MASK GENMASK_ULL(51, 12)
/* quadword 1 */
#define VTD_PTE_DID_MASK 0xffffull
/* quadword 2 */
#define VTD_PTE_SRE BIT_ULL(0)		/* supervisor requests are allowed */
#define VTD_PTE_FSPM_SHIFT 2		/* bits 3:2: first-stage tables have 4 levels, or (1) 5 */
#define VTD_PTE_FSPM_MASK 3ull
#define VTD_PTE_WPE BIT_ULL(4)		/* read-only holds for supervisor requests too */
#define VTD_PTE_EAFE BIT_ULL(7)		/* extended accessed bits */
#define VTD_PTE_FSPTPTR_MASK GENMASK_ULL(51, 12)

/* Second-stage paging entry; 512 of them in a 4 KiB table at each level.  Present: R or W is set. */
#define VTD_SS_R BIT_ULL(0)
#define VTD_SS_W BIT_ULL(1)
#define VTD_SS_PS BIT_ULL(7)		/* at level 2 and 3: a page; at level 1 ignored */
#define VTD_SS_A BIT_ULL(8)		/* accessed; these two only with SSADE */
#define VTD_SS_D BIT_ULL(9)		/* of a page: written */
#define VTD_SS_SNP BIT_ULL(11)		/* snooped; reserved without snoop control */
#define VTD_SS_ADDR_MASK GENMASK_ULL(51, 12)
#define VTD_SS_TM BIT_ULL(62)		/* reserved without device-TLBs */

#define VTD_SS_LEVELS_MIN 3		/* 39 bits */
#define VTD_SS_LEVELS 5			/* 57 bits */
#define VTD_SS_PAGE_LEVELS 3		/* pages of 4 KiB, 2 MiB and 1 GiB */

#endif
