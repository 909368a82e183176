/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu-priv.h - a group from the inside, for the files of kernel/iommu. */
#ifndef KERNEL_IOMMU_IOMMU_PRIV_H
#define KERNEL_IOMMU_IOMMU_PRIV_H

#include <stdatomic.h>

#include "kernel/base/device.h"
#include "kernel/iommu/iommu.h"

/* A device's place in its group; device.iommu_priv. */
struct group_device {
	struct device *dev;
	struct iommu_device *iommu;
	u16 devid;
	struct iommu_device_caps caps; /* of the device alone; set before it is used */
	TAILQ_ENTRY(group_device) node;
	/* LOCK_IOPF */
	TAILQ_HEAD(, iopf_fault) partial; /* page requests whose group is not complete */
	TAILQ_HEAD(, iopf_group) pending; /* groups that a handler has and nobody answered */
};

/* What is attached to a PASID of a group's devices; what has nothing attached is not listed. */
struct group_pasid {
	u32 pasid;
	struct iommu_domain *domain;
	struct iommu_attach_handle *handle; /* NULL: none */
	TAILQ_ENTRY(group_pasid) node;
};

/* What the file "type" of a group says, without the newline. */
enum iommu_default_type {
	IOMMU_DEFAULT_DMA,
	IOMMU_DEFAULT_DMA_FQ,
	IOMMU_DEFAULT_IDENTITY,
	IOMMU_DEFAULT_TYPES,
};

struct iommu_group {
	unsigned id;		/* immutable */
	bool hidden;		/* immutable: not in the tree */
	atomic_uint refs;	/* one for each device, and the callers' */
	TAILQ_ENTRY(iommu_group) node; /* tree lock: list of groups with devices */

	struct mutex mutex;	/* LOCK_IOMMU_GROUP: what follows */
	TAILQ_HEAD(, group_device) devices;
	struct iommu_domain *domain; /* what all its devices are in */
	bool attached;		/* by a caller; else domain follows from owner and default_type */
	struct iommu_attach_handle *handle; /* of who attached; NULL: none */
	TAILQ_HEAD(, group_pasid) pasids;
	enum iommu_default_type default_type;
	void *owner;		/* of its DMA: user space; NULL kernel drivers or nobody */
	unsigned owner_cnt;	/* 1 with an owner, else kernel drivers bound */
};

static inline struct group_device *to_group_device(const struct device *dev)
{
	return dev->iommu_priv;
}

/* The unit of devices that are behind none (noiommu.c): attaching succeeds and does nothing. */
extern struct iommu_device iommu_none;

/**
 * iommu_group_set_default_type - as writing to "type"
 * 0; -EPERM somebody uses it, unless it goes from DMA to DMA-FQ; or of attaching.
 */
int iommu_group_set_default_type(struct iommu_group *group, enum iommu_default_type type);

/* ---- io-pgfault.c ---- */
void iopf_device_init(struct group_device *gdev);
/** iopf_device_exit - answer all; after it the device is not found any more.  Group's mutex held. */
void iopf_device_exit(struct group_device *gdev);
/** iopf_detached - @handle is no longer attached: its groups that nobody answered are invalid. */
void iopf_detached(struct iommu_group *group, const struct iommu_attach_handle *handle);
/** iommu_group_handle_for - whose a page request is: of the PASID, else of the RID.  Group's mutex held. */
struct iommu_attach_handle *iommu_group_handle_for(struct iommu_group *group, const struct iommu_device *iommu,
						   const struct iommu_page_request *request);

/* ---- iommu-sysfs.c; tree lock held ---- */
int iommu_sysfs_add_unit(struct iommu_device *iommu);
void iommu_sysfs_remove_unit(struct iommu_device *iommu);
int iommu_sysfs_add_group(struct iommu_group *group, struct iommu_device *iommu, struct device *dev);
void iommu_sysfs_remove_group(struct iommu_group *group);
int iommu_sysfs_add_device(struct iommu_group *group, struct group_device *gdev);
void iommu_sysfs_remove_device(struct iommu_group *group, struct group_device *gdev);
/** iommu_sysfs_default_type - what the tree says: another process of the machine may have changed it. */
enum iommu_default_type iommu_sysfs_default_type(const struct iommu_group *group);

/** iommu_device_resv_regions - of one device: sorted by start, merged per type.  Return: count. */
size_t iommu_device_resv_regions(struct iommu_device *iommu, struct device *dev,
				 struct iommu_resv_region *ret, size_t max);

#endif
