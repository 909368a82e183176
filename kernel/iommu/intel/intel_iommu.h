/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel_iommu.h - the driver of VT-d units from the inside.
 *
 *	iommu.c		the unit, domains
 *	context.c	the tables that the unit reads of devices and PASIDs
 *	nested.c	domains whose first stage is a guest's
 */
#ifndef KERNEL_IOMMU_INTEL_INTEL_IOMMU_H
#define KERNEL_IOMMU_INTEL_INTEL_IOMMU_H

#include <stdatomic.h>

#include "kernel/iommu/attachment.h"
#include "kernel/iommu/domids.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/vtdss.h"
#include "kernel/iommu/pt/x86_64.h"
#include "kernel/lib/intel_iommu_bits.h"

#define TABLE_QWORDS (VTD_TABLE_ENTRIES * VTD_ENTRY_QWORDS)

typedef _Atomic(u64) vtd_table_t[TABLE_QWORDS];

/* A device; made when it is attached first. */
struct intel_dev {
	struct attachment rid;
	struct attachment_list pasids;
	_Atomic(u64) *dir;	/* scalable mode: PASID directory; NULL until needed */
	void *dir_memory;	/* what it lies in */
};

struct intel_iommu {
	struct iommu_device iommu;
	unsigned aw_bits;	/* immutable: 39, 48 or 57 */
	bool scalable;		/* immutable: scalable mode, a full unit */
	vtd_table_t *root;
	/* as the quadwords of the root table; NULL: no device was attached yet */
	_Atomic(vtd_table_t *) contexts[TABLE_QWORDS];
	struct intel_dev **devs; /* by device id */
	struct domids domids;
};

/* One with tables of ours. */
struct intel_domain {
	struct iommu_domain domain;
	u16 id;
	bool first_stage;	/* immutable: x86-64 tables, else second-stage ones */
	bool nest_parent;	/* immutable */
	bool dirty_tracking;	/* this and what follows: domain.lock */
	struct pt_tree pt;
	struct pt_gather gather; /* what was unmapped and is not invalidated yet */
	struct attachment_list attached;
};

/* One whose first stage is a guest's. */
struct intel_nested {
	struct iommu_domain domain;
	u64 root;		/* the guest's address of its tables; this and what follows: immutable */
	unsigned addr_width, flags; /* as struct iommu_hwpt_vtd_s1 has them */
};

static inline struct intel_iommu *to_intel_iommu(struct iommu_device *iommu)
{
	return container_of(iommu, struct intel_iommu, iommu);
}

static inline struct intel_domain *to_intel_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct intel_domain, domain);
}

static inline struct intel_nested *to_intel_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct intel_nested, domain);
}

/* 39, 48, 57 bits are 3, 4, 5 levels, and 1, 2, 3 in the AW field and as bits of SAGAW. */
static inline unsigned vtd_levels(unsigned aw_bits)
{
	return (aw_bits - PAGE_SHIFT) / PT_INDEX_BITS;
}

static inline u64 vtd_aw(unsigned aw_bits)
{
	return vtd_levels(aw_bits) - 2;
}

/* ---- context.c ---- */

vtd_table_t *vtd_table_alloc(void);
/** vtd_dev_get - all memory that pointing a device and a PASID to a domain takes.  NULL: none left. */
struct intel_dev *vtd_dev_get(struct intel_iommu *vtd, u16 devid, u32 pasid);
void vtd_devs_free(struct intel_iommu *vtd);
/**
 * vtd_entry_set - write what the unit reads for @at: its domain, or that it is blocked; and tell the unit
 * The lock of its tables is held, if it has any.
 */
void vtd_entry_set(struct intel_iommu *vtd, struct intel_dev *dev, const struct attachment *at);
/** vtd_entry_set_dirty - only that pages are marked, or not: nothing is blocked meanwhile. */
void vtd_entry_set_dirty(struct intel_iommu *vtd, struct intel_dev *dev, const struct attachment *at);

/* ---- nested.c ---- */

struct iommu_domain *intel_domain_alloc_nested(struct iommu_device *iommu, struct device *dev,
					       struct iommu_domain *parent, u32 flags,
					       const struct iommu_user_data *data);
/** intel_nested_check - may it be attached to this unit?  0; -EINVAL. */
int intel_nested_check(const struct intel_iommu *vtd, struct iommu_domain *domain);

#endif
