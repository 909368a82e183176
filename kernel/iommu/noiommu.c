/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noiommu.c - groups for devices that no IOMMU isolates.
 *
 * Such a device has no group until somebody (VFIO's no-IOMMU mode) makes one for it alone.  It stands
 * under a unit that is none: attaching changes nothing, for the device reaches all memory whatever the
 * kernel thinks, and there are no reserved regions and no nodes of a unit.  Its domains are kept in software
 * for those who ask what a page's physical address is; nobody walks their tables.
 *
 * The group's number is the lowest that is free, or the one that another process gave the device.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu-priv.h"
#include "kernel/iommu/pt/amdv1.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

#define MAX_GROUPS 65536u

/* ---- domains ---- */

#define START_LEVELS 3

struct none_domain {
	struct iommu_domain domain;
	struct pt_tree pt;		/* domain.lock */
	struct pt_gather gather;	/* domain.lock: of no use but to the writer */
};

static struct none_domain *to_none_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct none_domain, domain);
}

static int none_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	return amdv1_map(&to_none_domain(domain)->pt, iova, phys, len_bytes, prot);
}

static u64 none_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	struct none_domain *none = to_none_domain(domain);

	return amdv1_unmap(&none->pt, iova, len_bytes, &none->gather);
}

static void none_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	struct none_domain *none = to_none_domain(domain);

	amdv1_release(&none->pt);
	none->gather = (struct pt_gather){ .iova = ~0ull };
}

static phys_addr_t none_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	return amdv1_iova_to_phys(&to_none_domain(domain)->pt, iova);
}

static void none_free(struct iommu_domain *domain)
{
	amdv1_destroy(&to_none_domain(domain)->pt);
	mutex_destroy(&domain->lock);
	kfree(to_none_domain(domain));
}

static const struct iommu_domain_ops none_domain_ops = {
	.map = none_map, .unmap = none_unmap, .iova_to_phys = none_iova_to_phys, .free = none_free,
};

static struct iommu_domain *none_domain_alloc(struct iommu_device *iommu, struct device *dev)
{
	struct none_domain *none = kzalloc(sizeof(*none));

	if (!none || amdv1_init(&none->pt, START_LEVELS)) {
		kfree(none);
		return ERR_PTR(fail(-ENOMEM, "no memory for the addresses of %s", dev->name));
	}
	none->gather = (struct pt_gather){ .iova = ~0ull };
	none->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING,
		.ops = &none_domain_ops,
		.iommu = iommu,
		.pgsize_bitmap = AMDV1_PGSIZES,
		.aperture_last = ~0ull,
	};
	mutex_init(&none->domain.lock, LOCK_IOMMU_DOMAIN);
	return &none->domain;
}

bool iommu_domain_is_noiommu(const struct iommu_domain *domain)
{
	return domain->ops == &none_domain_ops;
}

/* ---- the unit that is none ---- */

static int attach_nothing(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	return 0;
}

static void no_resv_regions(struct iommu_device *iommu, struct device *dev,
			    void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
}

static ssize_t no_hw_info(struct iommu_device *iommu, u16 devid, u32 *type, void *buf)
{
	return fail(-EOPNOTSUPP, "the device is behind no IOMMU: there are no registers to show");
}

static const struct iommu_device_ops none_ops = {
	.domain_alloc_paging = none_domain_alloc,
	.attach_dev = attach_nothing,
	.iotlb_sync = none_sync,
	.get_resv_regions = no_resv_regions,
	.hw_info = no_hw_info,
	.cache_coherency = true, /* there is nothing in between */
};

struct iommu_device iommu_none = { .name = "none", .ops = &none_ops };

/* ---- groups ---- */

/* The number another process gave, or the lowest that is free. */
static int choose_number(const struct device *dev, unsigned *ret_id)
{
	char path[256], name[16];
	ssize_t len;

	snprintf(path, sizeof(path), "%s/iommu_group", dev->path);
	len = kernfs_readlink_name(path, name, sizeof(name));
	if (len > 0 && sscanf(name, "%u", ret_id) == 1)
		return 0;
	for (*ret_id = 0; *ret_id < MAX_GROUPS; ++*ret_id) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u", *ret_id);
		if (!kernfs_exists(path))
			return 0;
	}
	return fail(-ENOSPC, "there are %u IOMMU groups already", MAX_GROUPS);
}

int iommu_probe_noiommu(struct device *dev)
{
	unsigned id;
	int err = choose_number(dev, &id);

	return err ? err : iommu_probe_device(&iommu_none, dev, 0, id);
}

bool iommu_dev_is_noiommu(struct device *dev)
{
	const struct group_device *gdev = dev->iommu_priv;

	return gdev && gdev->iommu == &iommu_none;
}
