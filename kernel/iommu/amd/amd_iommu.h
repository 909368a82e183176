/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amd_iommu.h - the driver of AMD units from the inside.
 *
 *	iommu.c		the unit, its device table, domains
 *	nested.c	domains whose first stage is a guest's; virtual IOMMUs
 */
#ifndef KERNEL_IOMMU_AMD_AMD_IOMMU_H
#define KERNEL_IOMMU_AMD_AMD_IOMMU_H

#include <stdatomic.h>

#include "kernel/iommu/attachment.h"
#include "kernel/iommu/domids.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/amdv1.h"
#include "kernel/iommu/pt/x86_64.h"
#include "kernel/lib/amd_iommu_bits.h"

#define V2_LEVELS 4
#define PASID_BITS 16
#define GCR3_LEVELS 2 /* 18 bits */
#define GCR3_ENTRIES 512u

struct amd_dev {
	struct attachment rid;
	struct attachment_list pasids;
	unsigned nr_pasids;	/* of them attached to something */
	u64 *gcr3;		/* table of guest tables, NULL: not needed so far; entries change atomically */
	u16 gcr3_domid;
};

struct amd_iommu {
	struct iommu_device iommu;
	_Atomic(u64) *devtab; /* AMD_DTE_QWORDS each, page aligned */
	void *devtab_memory;  /* what it lies in */
	u32 entries;
	struct amd_dev **devs; /* by device id; made at the first attach, under the group's lock */
	struct domids domids;
};

/* One with tables of ours. */
struct amd_domain {
	struct iommu_domain domain;
	u16 id;
	bool v2;		/* immutable: guest tables */
	bool nest_parent;	/* immutable */
	bool dirty_tracking;	/* this and what follows: domain.lock */
	struct pt_tree pt;
	struct pt_gather gather; /* what was unmapped and is not invalidated yet */
	struct attachment_list attached;
};

static inline struct amd_iommu *to_amd_iommu(struct iommu_device *iommu)
{
	return container_of(iommu, struct amd_iommu, iommu);
}

static inline struct amd_domain *to_amd_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct amd_domain, domain);
}

/* ---- iommu.c: ops, for a unit of another kind that keeps its mappings in these tables (virtio) ---- */
struct iommu_domain *amd_domain_alloc_paging(struct iommu_device *iommu, struct device *dev);
int amd_attach_dev(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid);
void amd_iotlb_sync(struct iommu_domain *domain, u64 iova, u64 last);

/* ---- nested.c ---- */
struct iommu_domain *amd_domain_alloc_nested(struct iommu_device *iommu, struct device *dev,
					     struct iommu_domain *parent, u32 flags,
					     const struct iommu_user_data *data);
/** amd_nested_bits - put what a nested domain says of its first stage into a device's entry. */
void amd_nested_bits(struct iommu_domain *domain, u64 q[3]);
extern const struct iommu_viommu_ops amd_viommu_ops;

#endif
