/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amd_iommu_bits.h - where the bits are in an AMD device table entry and an I/O page table entry.
 *
 * The one thing that the writer (kernel/iommu/pt, kernel/iommu/amd) and the walker (hw/iommu) share.
 * Only positions are here, no way to compose or take apart an entry: each side has its own, so that a
 * mistake in one does not hide in the other.
 *
 * Source: AMD I/O Virtualization Technology specification (48882), "Device Table Entry Format" and
 * "I/O Page Tables for Host Translations".
 */
#ifndef KERNEL_LIB_AMD_IOMMU_BITS_H
#define KERNEL_LIB_AMD_IOMMU_BITS_H

#include "kernel/lib/types.h"

/* Device table entry: four quadwords, indexed by the 16-bit device id. */
#define AMD_DTE_QWORDS 4
#define AMD_DTE_BYTES (AMD_DTE_QWORDS * 8)
/* quadword 0 */
#define AMD_DTE_V BIT_ULL(0)	/* the entry is valid */
#define AMD_DTE_TV BIT_ULL(1)	/* ... and so are mode, root pointer, IR and IW */
#define AMD_DTE_HAD BIT_ULL(7)	/* the unit keeps accessed bits in host tables */
#define AMD_DTE_HAD_DIRTY BIT_ULL(8) /* ... and dirty bits; only with HAD */
#define AMD_DTE_MODE_SHIFT 9	/* bits 11:9: levels of the tables, 0 translation off, 7 reserved */
#define AMD_DTE_MODE_MASK 7ull
#define AMD_DTE_ROOT_MASK GENMASK_ULL(51, 12)
#define AMD_DTE_PPR BIT_ULL(52)	/* page requests are taken */
#define AMD_DTE_GIOV BIT_ULL(54)	/* what has no PASID goes through the guest tables of PASID 0 */
#define AMD_DTE_GV BIT_ULL(55)	/* there is a table of guest tables, by PASID */
#define AMD_DTE_GLX_SHIFT 56	/* bits 57:56: its levels, less one; 3 reserved */
#define AMD_DTE_GLX_MASK 3ull
#define AMD_DTE_GCR3_LO_SHIFT 58 /* bits 60:58: bits 14:12 of its address */
#define AMD_DTE_IR BIT_ULL(61)	/* the device may read */
#define AMD_DTE_IW BIT_ULL(62)	/* ... and write */
/* quadword 1 */
#define AMD_DTE_DOMID_MASK 0xffffull
#define AMD_DTE_GCR3_MID_SHIFT 16 /* bits 31:16: bits 30:15 of the address */
#define AMD_DTE_GCR3_HI_SHIFT 43  /* bits 63:43: bits 51:31 */
/* quadword 2 */
#define AMD_DTE_GUEST_LEVELS_SHIFT 54 /* bits 55:54: guest tables have 4 levels, or (1) 5 */
#define AMD_DTE_GUEST_LEVELS_MASK 3ull

/* Table of guest tables: up to three levels of 4 KiB, indexed by 9 bits of the PASID each. */
#define AMD_GCR3_V BIT_ULL(0)
#define AMD_GCR3_ADDR_MASK GENMASK_ULL(51, 12)
#define AMD_GCR3_INDEX_BITS 9

/* Page table entry; 512 of them in a 4 KiB table at each of up to 6 levels. */
#define AMD_PTE_PR BIT_ULL(0)	/* present */
#define AMD_PTE_A BIT_ULL(5)	/* of a page, if the device's entry has HAD: accessed */
#define AMD_PTE_D BIT_ULL(6)	/* ... written */
#define AMD_PTE_NEXT_SHIFT 9	/* bits 11:9: level of the table it points to; 0 and 7 say page */
#define AMD_PTE_NEXT_MASK 7ull
#define AMD_PTE_NEXT_PAGE 0u	/* a page of the size this level's entries span */
#define AMD_PTE_NEXT_SIZED 7u	/* a page whose size the lowest clear address bit encodes */
#define AMD_PTE_ADDR_MASK GENMASK_ULL(51, 12)
#define AMD_PTE_RESERVED GENMASK_ULL(58, 52)
#define AMD_PTE_FC BIT_ULL(60)	/* coherent with caches */
#define AMD_PTE_IR BIT_ULL(61)
#define AMD_PTE_IW BIT_ULL(62)

#define AMD_PT_LEVELS 6		/* most */
#define AMD_PT_INDEX_BITS 9
#define AMD_PT_ENTRIES 512
#define AMD_PT_ADDR_BITS 52	/* of a physical address */

#endif
