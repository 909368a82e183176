/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noiommu.c - groups for devices that no IOMMU isolates.
 *
 * Such a device has no group until somebody (VFIO's no-IOMMU mode) makes one for it alone.  It stands
 * under a unit that is none: attaching changes nothing, for the device reaches all memory whatever the
 * kernel thinks, and there are no tables, no reserved regions and no nodes of a unit.
 *
 * The group's number is the lowest that is free, or the one that another process gave the device.
 */
#include <stdio.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

#define MAX_GROUPS 65536u

static struct iommu_domain *no_domain(struct iommu_device *iommu, struct device *dev)
{
	return ERR_PTR(fail(-ENODEV, "%s is behind no IOMMU: there are no tables to fill", dev->name));
}

static int attach_nothing(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	return 0;
}

static void no_resv_regions(struct iommu_device *iommu, struct device *dev,
			    void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
}

static const struct iommu_device_ops none_ops = {
	.domain_alloc_paging = no_domain,
	.attach_dev = attach_nothing,
	.get_resv_regions = no_resv_regions,
};

struct iommu_device iommu_none = { .name = "none", .ops = &none_ops };

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
