/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - devices of a context: bound, attached, replaced, detached; and what their IOMMU says of itself.
 *
 * Binding takes the device's group for this context: struct iommufd_group stands for one iommu_group in one
 * context, from its first device to its last, and owns the group's DMA as long.
 *
 * Attaching comes in two sizes.  To a HWPT: that one.  To an IOAS: the first automatic HWPT of it that the
 * IOMMU accepts for the device (it says -EINVAL to those that it does not), else a new one.
 *
 * What a group's devices reserve (MSI windows and the like) is kept free of mappings in the IOAS behind what
 * its RID is attached to, once for each device that is attached: the device is the reservation's owner.
 *
 * PASIDs share the device with the RID: tables that are not made for PASIDs may exclude them, so that
 * either all of a group's attachments are made with IOMMU_HWPT_ALLOC_PASID or only the RID is attached.
 */

#include "kernel/base/device.h"
#include "kernel/iommufd/eventq.h"
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/selftest.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

/* ---- groups of a context ---- */

static struct iommufd_group *find_group_locked(struct iommufd_ctx *ictx, const struct iommu_group *group)
{
	struct iommufd_group *igroup;

	lockdep_assert_held(&ictx->groups_lock);
	TAILQ_FOREACH(igroup, &ictx->groups, node)
		if (igroup->group == group)
			return igroup;
	return NULL;
}

/* Takes over the reference to @group on success. */
static struct iommufd_group *new_group_locked(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	struct iommufd_group *igroup = kzalloc(sizeof(*igroup));
	int err;

	if (!igroup)
		return ERR_PTR(fail(-ENOMEM, "no memory for group %u of an iommufd", iommu_group_id(group)));
	err = iommu_group_claim_dma_owner(group, ictx);
	if (err) {
		kfree(igroup);
		return ERR_PTR(err);
	}
	igroup->ictx = ictx;
	igroup->group = group;
	atomic_init(&igroup->refs, 1);
	mutex_init(&igroup->lock, LOCK_IOMMUFD_GROUP);
	TAILQ_INIT(&igroup->attached);
	TAILQ_INSERT_TAIL(&ictx->groups, igroup, node);
	return igroup;
}

static struct iommufd_group *get_group(struct iommufd_ctx *ictx, struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommufd_group *igroup;

	if (!group)
		return ERR_PTR(fail(-ENODEV, "%s is behind no IOMMU", dev->name));
	mutex_lock(&ictx->groups_lock);
	igroup = find_group_locked(ictx, group);
	if (igroup) {
		atomic_fetch_add_explicit(&igroup->refs, 1, memory_order_relaxed);
		iommu_group_put(group);
	} else {
		igroup = new_group_locked(ictx, group);
		if (IS_ERR(igroup))
			iommu_group_put(group);
	}
	mutex_unlock(&ictx->groups_lock);
	return igroup;
}

static void put_group(struct iommufd_group *igroup)
{
	struct iommufd_ctx *ictx = igroup->ictx;
	bool last;

	mutex_lock(&ictx->groups_lock);
	last = atomic_fetch_sub_explicit(&igroup->refs, 1, memory_order_acq_rel) == 1;
	if (last) {
		TAILQ_REMOVE(&ictx->groups, igroup, node);
		iommu_group_release_dma_owner(igroup->group);
	}
	mutex_unlock(&ictx->groups_lock);
	if (!last)
		return;
	assert(TAILQ_EMPTY(&igroup->attached));
	iommu_group_put(igroup->group);
	mutex_destroy(&igroup->lock);
	kfree(igroup);
}

bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	bool has;

	mutex_lock(&ictx->groups_lock);
	has = find_group_locked(ictx, group);
	mutex_unlock(&ictx->groups_lock);
	return has;
}

/* ---- bind ---- */

struct iommufd_device *iommufd_get_device(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_DEVICE);

	return IS_ERR(obj) ? ERR_PTR(PTR_ERR(obj)) : to_idev(obj);
}

void iommufd_device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = to_idev(obj);

	put_group(idev->igroup);
	if (!iommufd_selftest_is_mock_dev(idev->dev))
		iommufd_ctx_put(idev->ictx);
}

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *ret_id)
{
	struct iommufd_group *igroup;
	struct iommufd_device *idev;

	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ERR_PTR(fail(-EINVAL, "DMA of %s is not coherent with caches", dev->name));
	igroup = get_group(ictx, dev);
	if (IS_ERR(igroup))
		return ERR_PTR(PTR_ERR(igroup));
	idev = iommufd_object_alloc(ictx, idev, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(idev)) {
		put_group(igroup);
		return idev;
	}
	/* A mock device is an object of the context itself, and must not keep it open. */
	idev->ictx = iommufd_selftest_is_mock_dev(dev) ? ictx : iommufd_ctx_get(ictx);
	idev->igroup = igroup;
	idev->dev = dev;
	/* The driver uses it: a program cannot destroy it. */
	iommufd_object_hold(&idev->obj);
	iommufd_object_finalize(ictx, &idev->obj);
	*ret_id = idev->obj.id;
	return idev;
}

void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_vdevice_abandon(idev);
	iommufd_object_drop(&idev->obj);
	iommufd_object_destroy_user(idev->ictx, &idev->obj);
}

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}

u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}

/* ---- what devices reserve ---- */

static void unreserve(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev)
{
	iopt_remove_reserved_iova(&hwpt_paging_of(hwpt)->ioas->iopt, idev->dev);
}

/* Keep what the device's group reserves free of mappings.  0; -EADDRINUSE, -ENOMEM: nothing is reserved. */
static int reserve(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev)
{
	return iopt_table_enforce_dev_resv_regions(&hwpt_paging_of(hwpt)->ioas->iopt, idev->dev, NULL);
}

/* ---- the table of what is attached ---- */

static struct iommufd_attach *find_attach_locked(struct iommufd_group *igroup, u32 pasid)
{
	struct iommufd_attach *attach;

	lockdep_assert_held(&igroup->lock);
	TAILQ_FOREACH(attach, &igroup->attached, node)
		if (attach->pasid == pasid)
			return attach;
	return NULL;
}

static struct iommufd_attached *find_attached(const struct iommufd_attach *attach, const struct iommufd_device *idev)
{
	struct iommufd_attached *at;

	TAILQ_FOREACH(at, &attach->devices, node)
		if (at->idev == idev)
			return at;
	return NULL;
}

static bool any_pasid_locked(struct iommufd_group *igroup)
{
	struct iommufd_attach *attach;

	TAILQ_FOREACH(attach, &igroup->attached, node)
		if (attach->pasid != IOMMU_NO_PASID)
			return true;
	return false;
}

struct iommufd_hw_pagetable *iommufd_device_hwpt_locked(struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_attach *attach = find_attach_locked(idev->igroup, pasid);

	return attach && find_attached(attach, idev) ? attach->hwpt : NULL;
}

static int check_pasid_locked(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_attach *rid = find_attach_locked(idev->igroup, IOMMU_NO_PASID);

	if (pasid == IOMMU_NO_PASID) {
		if (!hwpt->pasid_compat && any_pasid_locked(idev->igroup))
			return fail(-EINVAL, "PASIDs of the device are attached, and page table %u was not allocated with "
				    "IOMMU_HWPT_ALLOC_PASID", hwpt->obj.id);
		return 0;
	}
	if (!hwpt->pasid_compat)
		return fail(-EINVAL, "page table %u for PASID %u was not allocated with IOMMU_HWPT_ALLOC_PASID",
			    hwpt->obj.id, pasid);
	if (rid && !rid->hwpt->pasid_compat)
		return fail(-EINVAL, "page table %u, which the device itself is attached to, was not allocated with "
			    "IOMMU_HWPT_ALLOC_PASID", rid->hwpt->obj.id);
	return 0;
}

/* ---- attach ---- */

static struct iommufd_attach_handle *new_handle(struct iommufd_device *idev)
{
	struct iommufd_attach_handle *handle = kzalloc(sizeof(*handle));

	if (!handle)
		return ERR_PTR(fail(-ENOMEM, "no memory to attach %s", idev->dev->name));
	atomic_init(&handle->dev_id, idev->obj.id);
	return handle;
}

/* A device's place at @attach; NULL: no memory. */
static struct iommufd_attached *new_attached(struct iommufd_device *idev)
{
	struct iommufd_attached *at = kzalloc(sizeof(*at));

	if (at)
		at->idev = idev;
	return at;
}

static int attach_domain(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev, u32 pasid,
			 struct iommufd_attach_handle *handle)
{
	if (pasid == IOMMU_NO_PASID)
		return iommu_attach_group_handle(hwpt->domain, idev->igroup->group, &handle->handle);
	return iommu_attach_device_pasid(hwpt->domain, idev->dev, pasid, &handle->handle);
}

static void detach_domain(struct iommufd_device *idev, u32 pasid)
{
	if (pasid == IOMMU_NO_PASID)
		iommu_detach_group_handle(idev->igroup->group);
	else
		iommu_detach_device_pasid(idev->dev, pasid);
}

/* The core has let go of it, and answered what came with it. */
static void free_handle(struct iommufd_hw_pagetable *hwpt, struct iommufd_attach_handle *handle)
{
	if (hwpt->fault)
		iommufd_fault_forget(hwpt->fault, &handle->handle);
	kfree(handle);
}

/* The first device of the group: the group comes to the domain. */
static int attach_first_locked(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev, u32 pasid,
			       struct iommufd_attach **ret_attach)
{
	struct iommufd_attach *attach = kzalloc(sizeof(*attach));
	struct iommufd_attach_handle *handle;
	int err;

	if (!attach)
		return fail(-ENOMEM, "no memory to attach %s", idev->dev->name);
	handle = new_handle(idev);
	err = IS_ERR(handle) ? (int)PTR_ERR(handle) : attach_domain(hwpt, idev, pasid, handle);
	if (err) {
		if (!IS_ERR(handle))
			kfree(handle);
		kfree(attach);
		return err;
	}
	attach->pasid = pasid;
	attach->hwpt = hwpt;
	attach->handle = handle;
	TAILQ_INIT(&attach->devices);
	TAILQ_INSERT_TAIL(&idev->igroup->attached, attach, node);
	*ret_attach = attach;
	return 0;
}

/* May the device come to what its group has attached already, or is there nothing yet? */
static int check_attach_locked(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev, u32 pasid,
			       const struct iommufd_attach *attach)
{
	if (attach && find_attached(attach, idev))
		return fail(-EBUSY, "%s is attached to page table %u already", idev->dev->name, attach->hwpt->obj.id);
	if (attach && attach->hwpt != hwpt)
		return fail(-EINVAL, "another device of the group of %s is attached to page table %u, not to %u",
			    idev->dev->name, attach->hwpt->obj.id, hwpt->obj.id);
	return check_pasid_locked(hwpt, idev, pasid);
}

static int attach_locked(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_attach *attach = find_attach_locked(idev->igroup, pasid);
	int err = check_attach_locked(hwpt, idev, pasid, attach);
	struct iommufd_attached *at;

	if (err)
		return err;
	at = new_attached(idev);
	if (!at)
		return fail(-ENOMEM, "no memory to attach %s", idev->dev->name);
	if (pasid == IOMMU_NO_PASID) {
		err = reserve(hwpt, idev);
		if (err)
			goto err_free;
	}
	if (!attach) {
		err = attach_first_locked(hwpt, idev, pasid, &attach);
		if (err)
			goto err_unreserve;
	}
	TAILQ_INSERT_TAIL(&attach->devices, at, node);
	iommufd_object_hold(&hwpt->obj);
	return 0;

err_unreserve:
	if (pasid == IOMMU_NO_PASID)
		unreserve(hwpt, idev);
err_free:
	kfree(at);
	return err;
}

/* Return: what it was attached to, one of whose users the caller now is; NULL nothing. */
static struct iommufd_hw_pagetable *detach(struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hw_pagetable *hwpt = NULL;
	struct iommufd_attached *at = NULL;
	struct iommufd_attach *attach;

	mutex_lock(&igroup->lock);
	attach = find_attach_locked(igroup, pasid);
	if (attach)
		at = find_attached(attach, idev);
	if (at) {
		hwpt = attach->hwpt;
		TAILQ_REMOVE(&attach->devices, at, node);
		if (TAILQ_EMPTY(&attach->devices)) {
			TAILQ_REMOVE(&igroup->attached, attach, node);
			detach_domain(idev, pasid);
			free_handle(hwpt, attach->handle);
			kfree(attach);
		} else {
			atomic_store_explicit(&attach->handle->dev_id, TAILQ_FIRST(&attach->devices)->idev->obj.id,
					      memory_order_relaxed);
		}
		if (pasid == IOMMU_NO_PASID)
			unreserve(hwpt, idev);
		kfree(at);
	}
	mutex_unlock(&igroup->lock);
	return hwpt;
}

/* ---- replace ---- */

/* The reservations of all attached devices, in another IOAS too. */
static int reserve_all(struct iommufd_attach *attach, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attached *at, *undo;
	int err = 0;

	TAILQ_FOREACH(at, &attach->devices, node) {
		err = reserve(hwpt, at->idev);
		if (err)
			break;
	}
	if (err)
		for (undo = TAILQ_FIRST(&attach->devices); undo != at; undo = TAILQ_NEXT(undo, node))
			unreserve(hwpt, undo->idev);
	return err;
}

static void unreserve_all(struct iommufd_attach *attach, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attached *at;

	TAILQ_FOREACH(at, &attach->devices, node)
		unreserve(hwpt, at->idev);
}

static int replace_domain(struct iommufd_attach *attach, struct iommufd_hw_pagetable *hwpt,
			  struct iommufd_device *idev)
{
	struct iommufd_attach_handle *handle = new_handle(idev), *old = attach->handle;
	int err;

	if (IS_ERR(handle))
		return PTR_ERR(handle);
	if (attach->pasid == IOMMU_NO_PASID)
		err = iommu_replace_group_handle(idev->igroup->group, hwpt->domain, &handle->handle);
	else
		err = iommu_replace_device_pasid(hwpt->domain, idev->dev, attach->pasid, &handle->handle);
	if (err) {
		kfree(handle);
		return err;
	}
	attach->handle = handle;
	free_handle(attach->hwpt, old);
	return 0;
}

static int replace_pt_locked(struct iommufd_attach *attach, struct iommufd_hw_pagetable *hwpt,
			     struct iommufd_device *idev)
{
	bool moves = attach->pasid == IOMMU_NO_PASID && hwpt_paging_of(hwpt)->ioas != hwpt_paging_of(attach->hwpt)->ioas;
	int err = moves ? reserve_all(attach, hwpt) : 0;

	if (err)
		return err;
	err = replace_domain(attach, hwpt, idev);
	if (moves)
		unreserve_all(attach, err ? hwpt : attach->hwpt);
	return err;
}

/* All attached devices of the group move.  *@ret_old: what they leave, of which the caller is one user. */
static int replace_locked(struct iommufd_hw_pagetable *hwpt, struct iommufd_device *idev, u32 pasid,
			  struct iommufd_hw_pagetable **ret_old)
{
	struct iommufd_attach *attach = find_attach_locked(idev->igroup, pasid);
	struct iommufd_hw_pagetable *old;
	struct iommufd_attached *at;
	int err;

	if (!attach || !find_attached(attach, idev))
		return fail(-EINVAL, "%s is attached to nothing%s: there is nothing to replace", idev->dev->name,
			    pasid == IOMMU_NO_PASID ? "" : " with that PASID");
	old = attach->hwpt;
	if (old == hwpt)
		return 0;
	err = check_pasid_locked(hwpt, idev, pasid);
	if (!err)
		err = replace_pt_locked(attach, hwpt, idev);
	if (err)
		return err;
	attach->hwpt = hwpt;
	TAILQ_FOREACH(at, &attach->devices, node) {
		iommufd_object_hold(&hwpt->obj);
		if (at->idev != idev)
			iommufd_object_drop(&old->obj);
	}
	*ret_old = old;
	return 0;
}

/* ---- to what a number says ---- */

static int connect(struct iommufd_device *idev, u32 pasid, struct iommufd_hw_pagetable *hwpt, bool replace,
		   struct iommufd_hw_pagetable **ret_old)
{
	int err;

	mutex_lock(&idev->igroup->lock);
	if (replace)
		err = replace_locked(hwpt, idev, pasid, ret_old);
	else
		err = attach_locked(hwpt, idev, pasid);
	mutex_unlock(&idev->igroup->lock);
	return err;
}

/* The first automatic page table of @ioas that the device's IOMMU takes.  1 and *@ret_id; 0 none; -errno. */
static int connect_to_existing(struct iommufd_device *idev, u32 pasid, struct iommufd_ioas *ioas, bool replace,
			       struct iommufd_hw_pagetable **ret_old, u32 *ret_id)
{
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->mutex);
	TAILQ_FOREACH(hwpt, &ioas->hwpt_list, hwpt_item) {
		struct iommufd_object *obj;
		int err;

		if (!hwpt->auto_domain)
			continue;
		/* It may be on its way out. */
		obj = iommufd_get_object(idev->ictx, hwpt->common.obj.id, IOMMUFD_OBJ_HWPT_PAGING);
		if (IS_ERR(obj))
			continue;
		err = -EINVAL;
		if (obj == &hwpt->common.obj) /* else its number is another's already */
			err = connect(idev, pasid, &hwpt->common, replace, ret_old);
		*ret_id = hwpt->common.obj.id;
		iommufd_put_object(idev->ictx, obj);
		if (err != -EINVAL)
			return err ? err : 1;
	}
	return 0;
}

/* A device that moves must never see half of a page table; for another, what stands against it is said first. */
static int fill_and_connect(struct iommufd_device *idev, u32 pasid, struct iommufd_hwpt_paging *hwpt, bool replace,
			    struct iommufd_hw_pagetable **ret_old)
{
	int err;

	if (replace) {
		err = iommufd_hwpt_paging_fill(hwpt);
		return err ? err : connect(idev, pasid, &hwpt->common, true, ret_old);
	}
	err = connect(idev, pasid, &hwpt->common, false, ret_old);
	if (err)
		return err;
	err = iommufd_hwpt_paging_fill(hwpt);
	if (err)
		iommufd_object_drop(&detach(idev, pasid)->obj);
	return err;
}

static int connect_to_new(struct iommufd_device *idev, u32 pasid, struct iommufd_ioas *ioas, bool replace,
			  struct iommufd_hw_pagetable **ret_old, u32 *ret_id)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_hwpt_paging_alloc_auto(idev->ictx, ioas, idev);
	int err;

	lockdep_assert_held(&ioas->mutex);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	err = fill_and_connect(idev, pasid, hwpt, replace, ret_old);
	if (err) {
		iommufd_hwpt_paging_unfill(hwpt);
		iommufd_object_abort_and_destroy(idev->ictx, &hwpt->common.obj);
		return err;
	}
	*ret_id = hwpt->common.obj.id;
	iommufd_object_finalize(idev->ictx, &hwpt->common.obj);
	return 0;
}

static int connect_to_ioas(struct iommufd_device *idev, u32 pasid, struct iommufd_ioas *ioas, bool replace,
			   struct iommufd_hw_pagetable **ret_old, u32 *ret_id)
{
	int ret;

	mutex_lock(&ioas->mutex);
	ret = connect_to_existing(idev, pasid, ioas, replace, ret_old, ret_id);
	if (!ret)
		ret = connect_to_new(idev, pasid, ioas, replace, ret_old, ret_id);
	mutex_unlock(&ioas->mutex);
	return min(ret, 0);
}

static int change_pt(struct iommufd_device *idev, u32 pasid, u32 *pt_id, bool replace)
{
	struct iommufd_object *obj = iommufd_get_object(idev->ictx, *pt_id, IOMMUFD_OBJ_ANY);
	struct iommufd_hw_pagetable *old = NULL;
	u32 id = *pt_id;
	int err;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (obj->type == IOMMUFD_OBJ_HWPT_PAGING || obj->type == IOMMUFD_OBJ_HWPT_NESTED)
		err = connect(idev, pasid, to_hwpt(obj), replace, &old);
	else if (obj->type == IOMMUFD_OBJ_IOAS)
		err = connect_to_ioas(idev, pasid, to_ioas(obj), replace, &old, &id);
	else
		err = fail(-EINVAL, "object %u is %s: a device is attached to an IOAS or a page table", id,
			   iommufd_object_name(obj->type));
	iommufd_put_object(idev->ictx, obj);
	if (old)
		iommufd_hw_pagetable_put(idev->ictx, old);
	if (!err)
		*pt_id = id;
	return err;
}

int iommufd_device_attach(struct iommufd_device *idev, u32 pasid, u32 *pt_id)
{
	return change_pt(idev, pasid, pt_id, false);
}

int iommufd_device_replace(struct iommufd_device *idev, u32 pasid, u32 *pt_id)
{
	return change_pt(idev, pasid, pt_id, true);
}

void iommufd_device_detach(struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_hw_pagetable *hwpt = detach(idev, pasid);

	if (hwpt)
		iommufd_hw_pagetable_put(idev->ictx, hwpt);
}

void iommufd_device_detach_pasids(struct iommufd_device *idev)
{
	struct iommufd_attach *attach;
	u32 pasid;

	for (;;) {
		pasid = IOMMU_NO_PASID;
		mutex_lock(&idev->igroup->lock);
		TAILQ_FOREACH(attach, &idev->igroup->attached, node)
			if (attach->pasid != IOMMU_NO_PASID && find_attached(attach, idev))
				pasid = attach->pasid;
		mutex_unlock(&idev->igroup->lock);
		if (pasid == IOMMU_NO_PASID)
			return;
		iommufd_device_detach(idev, pasid);
	}
}

/* ---- what the IOMMU says of itself ---- */

static u64 hw_capabilities(struct device *dev)
{
	u64 caps = 0;

	if (device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		caps |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (!device_iommu_capable(dev, IOMMU_CAP_PCI_ATS)) /* whether it is a PCI device or not */
		caps |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	if (device_iommu_capable(dev, IOMMU_CAP_PCI_PASID_EXEC))
		caps |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (device_iommu_capable(dev, IOMMU_CAP_PCI_PASID_PRIV))
		caps |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	return caps;
}

static unsigned pasid_log2(struct device *dev)
{
	u32 max = iommu_max_pasids(dev);

	return max ? 31u - (unsigned)__builtin_clz(max) : 0;
}

static int put_hw_info(const struct iommu_hw_info *cmd, const void *info, size_t len)
{
	char __user *data = (char __user *)(uintptr_t)cmd->data_uptr;
	size_t fits = min((size_t)cmd->data_len, len);

	if (fits && copy_to_user(data, info, fits))
		return fail(-EFAULT, "data_uptr 0x%llx: %zu bytes cannot be written", (ull)cmd->data_uptr, fits);
	if (cmd->data_len > fits && clear_user(data + fits, cmd->data_len - fits))
		return fail(-EFAULT, "data_uptr 0x%llx: %u bytes cannot be written", (ull)cmd->data_uptr, cmd->data_len);
	return 0;
}

int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	u8 info[IOMMU_HW_INFO_MAX];
	struct iommufd_device *idev;
	u32 type = IOMMU_HW_INFO_TYPE_DEFAULT;
	ssize_t len;
	int err;

	if (cmd->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		return fail(-EOPNOTSUPP, "flags 0x%x: only IOMMU_HW_INFO_FLAG_INPUT_TYPE is known", cmd->flags);
	if (cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return fail(-EOPNOTSUPP, "__reserved is not 0");
	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	if (cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		type = cmd->in_data_type;
	len = kmalloc_fails(sizeof(info)) ? fail(-ENOMEM, "no memory for what the IOMMU tells of itself")
					  : iommu_hw_info(idev->dev, &type, info);
	err = len < 0 ? (int)len : put_hw_info(cmd, info, (size_t)len);
	if (!err) {
		cmd->data_len = (u32)len;
		cmd->out_data_type = type;
		cmd->out_capabilities = hw_capabilities(idev->dev);
		cmd->out_max_pasid_log2 = (u8)pasid_log2(idev->dev);
		err = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	}
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return err;
}
