/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel_iommu_bits.h - where the bits are in VT-d's root, context and second-stage paging entries.
 *
 * The one thing that the writer (kernel/iommu/pt, kernel/iommu/intel) and the walker (hw/iommu) share.
 * Only positions are here, no way to compose or take apart an entry: each side has its own, so that a
 * mistake in one does not hide in the other.
 *
 * Source: Intel Virtualization Technology for Directed I/O, Architecture Specification, "Root Entry",
 * "Context Entry" (legacy mode) and "Second-Stage Paging Entries".
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

/* Second-stage paging entry; 512 of them in a 4 KiB table at each level.  Present: R or W is set. */
#define VTD_SS_R BIT_ULL(0)
#define VTD_SS_W BIT_ULL(1)
#define VTD_SS_PS BIT_ULL(7)		/* at level 2 and 3: a page; at level 1 ignored */
#define VTD_SS_SNP BIT_ULL(11)		/* snooped; reserved without snoop control */
#define VTD_SS_ADDR_MASK GENMASK_ULL(51, 12)
#define VTD_SS_TM BIT_ULL(62)		/* reserved without device-TLBs */

#define VTD_SS_LEVELS_MIN 3		/* 39 bits */
#define VTD_SS_LEVELS 5			/* 57 bits */
#define VTD_SS_PAGE_LEVELS 3		/* pages of 4 KiB, 2 MiB and 1 GiB */

#endif
