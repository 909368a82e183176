/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amd/iommu.c - the driver of an AMD IOMMU unit: its device table, its domains, its invalidations.
 *
 * The device table is an array of 256-bit entries in memory, one for each device id; the unit reads
 * it when it meets a device.  A domain is a v1 page table (pt/amdv1.c) with a 16-bit id that the unit
 * tags what it caches with.
 *
 * What always holds: for each device, what its entry says is what amd_dev.domain is; and after an
 * entry changed the unit has been told before the lock is dropped.
 *
 * Order of locks: a domain's lock is taken before calls into the unit.  amd_dev is guarded by the lock
 * of its group, which the caller of attach_dev holds; membership in a domain's list by the domain's.
 *
 * Source: AMD specification 48882, "Device Table Entry Format" (which parts may change together) and
 * "Invalidating"; reserved ranges as Linux 7.2 prints them in reserved_regions on such a machine.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernel/iommu/domids.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/amdv1.h"
#include "kernel/lib/amd_iommu_bits.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/mm.h"

#define START_LEVELS 3 /* 512 GiB; grows when something is mapped beyond */
#define DTE_BLOCKED (AMD_DTE_V | AMD_DTE_TV)

struct amd_domain;

struct amd_dev {
	u16 devid;
	struct amd_domain *domain; /* NULL: blocked or identity */
	TAILQ_ENTRY(amd_dev) node; /* domain's list, under the domain's lock */
};

struct amd_iommu {
	struct iommu_device iommu;
	_Atomic(u64) *devtab; /* AMD_DTE_QWORDS each, page aligned */
	void *devtab_memory;  /* what it lies in */
	u32 entries;
	struct amd_dev **devs; /* by device id; made at the first attach, under the group's lock */
	struct domids domids;
};

struct amd_domain {
	struct iommu_domain domain;
	u16 id;
	struct pt_tree pt;	    /* this and what follows: domain.lock */
	struct pt_gather gather; /* what was unmapped and is not invalidated yet */
	TAILQ_HEAD(, amd_dev) devs;
};

static const struct iommu_device_ops amd_iommu_ops;
static const struct iommu_domain_ops amd_domain_ops;

static struct amd_iommu *to_amd_iommu(struct iommu_device *iommu)
{
	return container_of(iommu, struct amd_iommu, iommu);
}

static struct amd_domain *to_amd_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct amd_domain, domain);
}

/* ---- device table ---- */

static u64 dte_of(const struct iommu_domain *domain)
{
	u64 dte = DTE_BLOCKED | AMD_DTE_IR | AMD_DTE_IW;

	if (domain->type == IOMMU_DOMAIN_BLOCKED)
		return DTE_BLOCKED;
	if (domain->type == IOMMU_DOMAIN_PAGING) {
		const struct pt_tree *pt = &container_of(domain, struct amd_domain, domain)->pt;

		dte |= (u64)pt_tree_levels(pt) << AMD_DTE_MODE_SHIFT | virt_to_phys(pt_tree_root(pt));
	}
	return dte;
}

static void dte_store(struct amd_iommu *amd, u16 devid, u64 dte)
{
	atomic_store(&amd->devtab[devid * AMD_DTE_QWORDS], dte);
	amd->iommu.hw_ops->invalidate_device(amd->iommu.hw, devid);
}

/*
 * Another domain: the id stands in another quadword than the rest, so between the two changes the
 * device is blocked.
 */
static void dte_switch(struct amd_iommu *amd, u16 devid, const struct iommu_domain *domain, u16 domid)
{
	dte_store(amd, devid, DTE_BLOCKED);
	atomic_store(&amd->devtab[devid * AMD_DTE_QWORDS + 1], domid);
	if (domain->type != IOMMU_DOMAIN_BLOCKED)
		dte_store(amd, devid, dte_of(domain));
}

static struct amd_dev *amd_dev_get(struct amd_iommu *amd, u16 devid)
{
	if (!amd->devs[devid]) {
		amd->devs[devid] = calloc(1, sizeof(struct amd_dev));
		if (amd->devs[devid])
			amd->devs[devid]->devid = devid;
	}
	return amd->devs[devid];
}

/*
 * Off the domain's list and cut off in one step: an unmap that does not see the device any more must be
 * right in not invalidating it, and a root that grows must not write the entry of a device that left.
 */
static void amd_dev_leave(struct amd_iommu *amd, struct amd_dev *dev)
{
	struct amd_domain *domain = dev->domain;

	if (!domain)
		return;
	mutex_lock(&domain->domain.lock);
	TAILQ_REMOVE(&domain->devs, dev, node);
	dte_store(amd, dev->devid, DTE_BLOCKED);
	mutex_unlock(&domain->domain.lock);
	dev->domain = NULL;
}

static int amd_attach_dev(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	struct amd_iommu *amd = to_amd_iommu(iommu);
	struct amd_dev *dev;

	if (devid >= amd->entries)
		return fail(-EINVAL, "device id 0x%x is beyond the device table of %s", devid, iommu->name);
	if (domain->type == IOMMU_DOMAIN_PAGING && domain->iommu != iommu)
		return fail(-EINVAL, "the domain's page tables are of another IOMMU than %s", iommu->name);
	dev = amd_dev_get(amd, devid);
	if (!dev)
		return fail(-ENOMEM, "no memory to attach device id 0x%x", devid);
	amd_dev_leave(amd, dev);
	if (domain->type != IOMMU_DOMAIN_PAGING) {
		dte_switch(amd, devid, domain, DOMID_NONE);
		return 0;
	}
	dev->domain = to_amd_domain(domain);
	mutex_lock(&domain->lock);
	TAILQ_INSERT_TAIL(&dev->domain->devs, dev, node);
	dte_switch(amd, devid, domain, dev->domain->id);
	mutex_unlock(&domain->lock);
	return 0;
}

/* ---- domains ---- */

static struct iommu_domain *amd_domain_alloc_paging(struct iommu_device *iommu, struct device *dev)
{
	struct amd_iommu *amd = to_amd_iommu(iommu);
	struct amd_domain *domain = calloc(1, sizeof(*domain));
	int id = domid_alloc(&amd->domids);

	if (!domain || id < 0 || amdv1_init(&domain->pt, START_LEVELS)) {
		if (id >= 0)
			domid_free(&amd->domids, id);
		free(domain);
		if (id < 0)
			return ERR_PTR(fail(-ENOMEM, "all domain ids of %s are in use", iommu->name));
		return ERR_PTR(fail(-ENOMEM, "no memory for an I/O page table"));
	}
	domain->id = id;
	domain->gather = (struct pt_gather){ .iova = ~0ull };
	TAILQ_INIT(&domain->devs);
	domain->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING,
		.ops = &amd_domain_ops,
		.iommu = iommu,
		.pgsize_bitmap = AMDV1_PGSIZES,
		.aperture_last = ~0ull,
	};
	mutex_init(&domain->domain.lock, LOCK_IOMMU_DOMAIN);
	return &domain->domain;
}

static void amd_domain_free(struct iommu_domain *domain)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);

	assert(TAILQ_EMPTY(&amd_domain->devs));
	amdv1_destroy(&amd_domain->pt);
	domid_free(&to_amd_iommu(domain->iommu)->domids, amd_domain->id);
	mutex_destroy(&domain->lock);
	free(amd_domain);
}

static void amd_iotlb_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);
	struct pt_gather *gather = &amd_domain->gather;
	struct iommu_device *iommu = domain->iommu;

	lockdep_assert_held(&domain->lock);
	iova = min(iova, gather->iova);
	last = max(last, gather->last);
	if (!TAILQ_EMPTY(&amd_domain->devs))
		iommu->hw_ops->invalidate_pages(iommu->hw, amd_domain->id, iova, last);
	*gather = (struct pt_gather){ .iova = ~0ull };
	amdv1_release(&amd_domain->pt);
}

static int amd_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);
	const void *root = pt_tree_root(&amd_domain->pt);
	struct amd_dev *dev;
	int err = amdv1_map(&amd_domain->pt, iova, phys, len_bytes, prot);

	lockdep_assert_held(&domain->lock);
	if (unlikely(root != pt_tree_root(&amd_domain->pt)))
		TAILQ_FOREACH(dev, &amd_domain->devs, node)
			dte_store(to_amd_iommu(domain->iommu), dev->devid, dte_of(domain));
	if (unlikely(err))
		amd_iotlb_sync(domain, iova, iova + len_bytes - 1);
	return err;
}

static u64 amd_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);

	lockdep_assert_held(&domain->lock);
	return amdv1_unmap(&amd_domain->pt, iova, len_bytes, &amd_domain->gather);
}

static phys_addr_t amd_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	lockdep_assert_held(&domain->lock);
	return amdv1_iova_to_phys(&to_amd_domain(domain)->pt, iova);
}

/* ---- the unit ---- */

static void amd_get_resv_regions(struct iommu_device *iommu, struct device *dev,
				 void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	static const struct iommu_resv_region regions[] = {
		{ 0xfee00000, 0xfeefffff, IOMMU_RESV_MSI },		/* writes there are interrupts */
		{ 0xfd00000000, 0xffffffffff, IOMMU_RESV_RESERVED },	/* HyperTransport */
	};

	for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
		add(arg, &regions[i]);
}

struct iommu_device *amd_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw, u32 devids)
{
	struct amd_iommu *amd = calloc(1, sizeof(*amd));

	if (!amd)
		return ERR_PTR(fail(-ENOMEM, "no memory for IOMMU %s", name));
	/* calloc and align by hand: a full table is 2 MiB, of which few pages are ever touched */
	amd->devtab_memory = calloc(1, (size_t)devids * AMD_DTE_BYTES + PAGE_SIZE);
	amd->devs = calloc(devids, sizeof(struct amd_dev *));
	if (!amd->devtab_memory || !amd->devs) {
		free(amd->devtab_memory);
		free(amd->devs);
		free(amd);
		return ERR_PTR(fail(-ENOMEM, "no memory for the device table of IOMMU %s", name));
	}
	amd->devtab = (void *)ALIGN_UP((uintptr_t)amd->devtab_memory, PAGE_SIZE);
	amd->entries = devids;
	domids_init(&amd->domids);
	amd->iommu = (struct iommu_device){
		.name = name, .ops = &amd_iommu_ops, .hw_ops = hw_ops, .hw = hw, .priv = amd,
	};
	hw_ops->set_device_table(hw, virt_to_phys((const void *)amd->devtab), devids);
	return &amd->iommu;
}

void amd_iommu_exit(struct iommu_device *iommu)
{
	struct amd_iommu *amd;

	if (!iommu)
		return;
	amd = to_amd_iommu(iommu);
	iommu->hw_ops->set_device_table(iommu->hw, 0, 0);
	for (u32 i = 0; i < amd->entries; i++)
		free(amd->devs[i]);
	free(amd->devs);
	free(amd->devtab_memory);
	free(amd);
}

static const struct iommu_domain_ops amd_domain_ops = {
	.map = amd_map,
	.unmap = amd_unmap,
	.iova_to_phys = amd_iova_to_phys,
	.free = amd_domain_free,
};

static const struct iommu_device_ops amd_iommu_ops = {
	.domain_alloc_paging = amd_domain_alloc_paging,
	.attach_dev = amd_attach_dev,
	.iotlb_sync = amd_iotlb_sync,
	.get_resv_regions = amd_get_resv_regions,
	.cache_coherency = true,
	.enforce_cache_coherency = true, /* every leaf has FC set */
};
