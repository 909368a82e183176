/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_pagetable.h - hardware page tables (HWPT), the devices attached to them, and their groups.
 *
 * A HWPT is an object around one iommu_domain:
 *
 *	paging	filled by us with what an IOAS holds.  Automatic ones are made when a device is attached to an
 *		IOAS, shared by all devices that fit, and go with the last of them
 *	nested	filled by a guest; what it translates to goes through a paging one, made as NEST_PARENT
 *
 * All devices of an iommu_group are attached to one HWPT for each PASID (0: the RID), so the group keeps
 * that, with the list of those devices of it that have been attached.  The first one attaches the group to
 * the domain, the last one detaches it.
 *
 * Locks, outermost first: ioas->mutex (its list of HWPTs), igroup->lock (what is attached), then those of
 * io_pagetable.h and iommu.h.
 */
#ifndef KERNEL_IOMMUFD_HW_PAGETABLE_H
#define KERNEL_IOMMUFD_HW_PAGETABLE_H

#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd_private.h"

struct iommufd_fault;
struct iommufd_vdevice;
struct iommufd_viommu;

/* ---- page tables (hw_pagetable.c) ---- */

struct iommufd_hw_pagetable {
	struct iommufd_object obj;
	struct iommu_domain *domain;	/* immutable once finalized */
	struct iommufd_fault *fault;	/* gets its page requests; one of the queue's users; NULL none */
	bool pasid_compat;		/* made with IOMMU_HWPT_ALLOC_PASID; immutable */
};

struct iommufd_hwpt_paging {
	struct iommufd_hw_pagetable common;
	struct iommufd_ioas *ioas;	/* immutable; we are one of its users */
	bool auto_domain, nest_parent;	/* immutable */
	bool filled;			/* listed in its ioas, which maps into it; ioas->mutex */
	TAILQ_ENTRY(iommufd_hwpt_paging) hwpt_item; /* ioas->mutex: in ioas->hwpt_list */
};

struct iommufd_hwpt_nested {
	struct iommufd_hw_pagetable common;
	struct iommufd_hwpt_paging *parent; /* NULL: by way of the vIOMMU; immutable */
	struct iommufd_viommu *viommu;	/* NULL: straight on the parent; immutable */
};

static inline struct iommufd_hw_pagetable *to_hwpt(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hw_pagetable, obj);
}
static inline struct iommufd_hwpt_paging *to_hwpt_paging(struct iommufd_hw_pagetable *hwpt)
{
	return container_of(hwpt, struct iommufd_hwpt_paging, common);
}
static inline struct iommufd_hwpt_nested *to_hwpt_nested(struct iommufd_hw_pagetable *hwpt)
{
	return container_of(hwpt, struct iommufd_hwpt_nested, common);
}
static inline bool hwpt_is_paging(const struct iommufd_hw_pagetable *hwpt)
{
	return hwpt->obj.type == IOMMUFD_OBJ_HWPT_PAGING;
}
/** hwpt_paging_of - itself, or the parent of a nested one. */
struct iommufd_hwpt_paging *hwpt_paging_of(struct iommufd_hw_pagetable *hwpt);
/** iommufd_get_hwpt_paging, iommufd_get_hwpt_nested - by number, shortterm.  ERR_PTR(-ENOENT). */
struct iommufd_hwpt_paging *iommufd_get_hwpt_paging(struct iommufd_ctx *ictx, u32 id);
struct iommufd_hwpt_nested *iommufd_get_hwpt_nested(struct iommufd_ctx *ictx, u32 id);

struct iommufd_device;
/**
 * iommufd_hwpt_paging_alloc_auto - an automatic HWPT for @ioas, not filled yet and not finalized
 * @fault, data: none.  Return: ERR_PTR.
 */
struct iommufd_hwpt_paging *iommufd_hwpt_paging_alloc_auto(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
							   struct iommufd_device *idev);
/**
 * iommufd_hwpt_paging_fill - map all that its IOAS holds, and from now on what is mapped there
 * ioas->mutex held.  Return: 0; -EADDRINUSE, -EFAULT, -ENOMEM and it is as before.
 */
int iommufd_hwpt_paging_fill(struct iommufd_hwpt_paging *hwpt);
/** iommufd_hwpt_paging_unfill - undo it, if it was done.  ioas->mutex held. */
void iommufd_hwpt_paging_unfill(struct iommufd_hwpt_paging *hwpt);
/** iommufd_hw_pagetable_put - the end of one attachment: an automatic one goes with the last. */
void iommufd_hw_pagetable_put(struct iommufd_ctx *ictx, struct iommufd_hw_pagetable *hwpt);

void iommufd_hwpt_paging_destroy(struct iommufd_object *obj);
void iommufd_hwpt_nested_destroy(struct iommufd_object *obj);
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd);

/* ---- devices and groups (device.c) ---- */

/* A device that has been attached, by one PASID. */
struct iommufd_attached {
	TAILQ_ENTRY(iommufd_attached) node;
	struct iommufd_device *idev;
};

/* What a PASID of a group's devices is attached to.  Exists as long as one of them is. */
struct iommufd_attach {
	TAILQ_ENTRY(iommufd_attach) node;
	u32 pasid;
	struct iommufd_hw_pagetable *hwpt; /* each of the devices is one of its users */
	struct iommufd_attach_handle *handle; /* known to the core */
	TAILQ_HEAD(, iommufd_attached) devices; /* never empty but while the first one comes */
};

struct iommufd_group {
	TAILQ_ENTRY(iommufd_group) node; /* ictx->groups */
	atomic_uint refs;		/* to 0 under ictx->groups_lock */
	struct mutex lock;		/* LOCK_IOMMUFD_GROUP: what follows */
	struct iommufd_ctx *ictx;	/* immutable; no reference: devices have that */
	struct iommu_group *group;	/* immutable; one reference */
	TAILQ_HEAD(, iommufd_attach) attached; /* by PASID */
};

struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;	/* immutable; one reference */
	struct iommufd_group *igroup;	/* immutable; one reference */
	struct device *dev;		/* immutable */
	struct iommufd_vdevice *vdev;	/* ictx->groups_lock; NULL none */
};

/* Page requests bring this along: the number of a device of the group that is attached. */
struct iommufd_attach_handle {
	struct iommu_attach_handle handle;
	_Atomic u32 dev_id;
};

static inline struct iommufd_device *to_idev(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_device, obj);
}
/** iommufd_get_device - by number, shortterm.  ERR_PTR(-ENOENT). */
struct iommufd_device *iommufd_get_device(struct iommufd_ctx *ictx, u32 id);
/** iommufd_device_hwpt_locked - what is attached to a PASID; NULL nothing.  igroup->lock held. */
struct iommufd_hw_pagetable *iommufd_device_hwpt_locked(struct iommufd_device *idev, u32 pasid);

/** iommufd_device_detach_pasids - from all that PASIDs of it are attached to. */
void iommufd_device_detach_pasids(struct iommufd_device *idev);

void iommufd_device_destroy(struct iommufd_object *obj);
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd);

#endif
