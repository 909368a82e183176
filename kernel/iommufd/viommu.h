/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * viommu.h - a slice of an IOMMU that belongs to a guest.
 *
 *	vIOMMU	 on a NEST_PARENT page table; nested page tables can be made from it
 *	vDEVICE	 a device's number in the guest, as the vIOMMU's commands and events name it
 *	vEVENTQ	 eventq.h
 *	HW queue a queue in guest memory that the unit reads by itself; its memory stays pinned
 *
 * What a unit offers is behind struct iommu_viommu_ops; the structs there are embedded here.
 */
#ifndef KERNEL_IOMMUFD_VIOMMU_H
#define KERNEL_IOMMUFD_VIOMMU_H

#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/hw_pagetable.h"

struct iommufd_veventq;

struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommu_viommu core;
	struct iommufd_ctx *ictx;		/* immutable */
	struct iommufd_hwpt_paging *hwpt;	/* immutable; we are one of its users */
	bool inited;				/* core's viommu_init() has succeeded */
	struct mutex lock;			/* LOCK_IOMMUFD_VIOMMU: what follows */
	TAILQ_HEAD(, iommufd_vdevice) vdevs;
	TAILQ_HEAD(, iommufd_veventq) veventqs;
};

struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommu_vdevice core;
	struct iommufd_viommu *viommu;		/* immutable; we are one of its users; NULL half-built */
	struct iommufd_device *idev;		/* ictx->groups_lock; NULL: separated */
	TAILQ_ENTRY(iommufd_vdevice) node;	/* viommu->lock */
};

struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommu_hw_queue core;
	struct iommufd_viommu *viommu;		/* immutable; we are one of its users; NULL half-built */
	struct iommufd_access *access;		/* an object of its own, for its pins; NULL half-built */
	bool pinned, inited;			/* its memory; by the driver */
};

static inline struct iommufd_viommu *to_viommu(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_viommu, obj);
}
static inline struct iommufd_vdevice *to_vdevice(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_vdevice, obj);
}
static inline struct iommufd_hw_queue *to_hw_queue(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hw_queue, obj);
}
/** iommufd_get_viommu - by number, shortterm.  ERR_PTR(-ENOENT). */
struct iommufd_viommu *iommufd_get_viommu(struct iommufd_ctx *ictx, u32 id);

/* ---- for the drivers behind iommu_viommu_ops ---- */

/**
 * iommufd_viommu_with_dev - call @fn with the device that the guest knows as @virt_id
 * viommu->lock is held meanwhile, so that the device stays.  Return: what @fn says; -ENOENT no such vDEVICE.
 */
int iommufd_viommu_with_dev(struct iommufd_viommu *viommu, u64 virt_id, void *arg,
			    int (*fn)(struct device *dev, void *arg));
/** iommufd_viommu_virt_id - what the guest calls @dev.  0 and *@ret_id; -ENOENT it has no vDEVICE there. */
int iommufd_viommu_virt_id(struct iommufd_viommu *viommu, const struct device *dev, u64 *ret_id);
/** iommufd_viommu_report_event - into the vEVENTQ of @type.  0; -EOPNOTSUPP there is none. */
int iommufd_viommu_report_event(struct iommufd_viommu *viommu, u32 type, const void *data, u32 data_len);

/* ---- vEVENTQs: one of each type ---- */

/** iommufd_viommu_add_veventq - 0, and the vIOMMU is in use by it; -EEXIST. */
int iommufd_viommu_add_veventq(struct iommufd_viommu *viommu, struct iommufd_veventq *veventq);
/** iommufd_viommu_drop_veventq - undo it, if it was done. */
void iommufd_viommu_drop_veventq(struct iommufd_veventq *veventq);

void iommufd_viommu_destroy(struct iommufd_object *obj);
/** iommufd_vdevice_abandon - the device is unbound: its vDEVICE goes, and leaves a tombstone. */
void iommufd_vdevice_abandon(struct iommufd_device *idev);
void iommufd_vdevice_pre_destroy(struct iommufd_object *obj);
void iommufd_vdevice_destroy(struct iommufd_object *obj);
void iommufd_hw_queue_destroy(struct iommufd_object *obj);
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
