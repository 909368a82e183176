/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * viommu.c - virtual IOMMUs, virtual devices, hardware queues; see viommu.h.
 *
 * A vDEVICE is the program's and the device is the driver's: either may go first.  ictx->groups_lock guards
 * who knows whom.  The program's DESTROY separates them before the object goes (pre_destroy); a device that is
 * unbound separates itself and leaves a tombstone: the number stays taken, so that a program which
 * destroys its vDEVICE afterwards gets ENOENT and never destroys something else.
 */
#include <limits.h>
#include <stdlib.h>

#include "kernel/base/device.h"
#include "kernel/iommufd/eventq.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

typedef unsigned long long ull;

struct iommufd_viommu *iommufd_get_viommu(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_VIOMMU);

	return IS_ERR(obj) ? ERR_PTR(PTR_ERR(obj)) : to_viommu(obj);
}

/* ---- vIOMMU ---- */

void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	if (viommu->inited && viommu->core.ops->viommu_destroy)
		viommu->core.ops->viommu_destroy(&viommu->core);
	if (viommu->hwpt)
		iommufd_object_drop(&viommu->hwpt->common.obj);
	mutex_destroy(&viommu->lock);
}

static int viommu_check(const struct iommu_viommu_alloc *cmd)
{
	if (cmd->flags)
		return fail(-EOPNOTSUPP, "flags 0x%x: none are known", cmd->flags);
	if (cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return fail(-EOPNOTSUPP, "type 0 is reserved");
	return 0;
}

/* Does the device's unit have such a thing?  Its ops; ERR_PTR. */
static const struct iommu_viommu_ops *viommu_ops_for(struct iommufd_device *idev, u32 type,
						     struct iommu_device **ret_iommu)
{
	u16 devid;
	struct iommu_device *iommu = iommu_device_of(idev->dev, &devid);
	const struct iommu_viommu_ops *ops = iommu ? iommu->ops->viommu_ops : NULL;
	int err;

	if (!ops || !ops->viommu_supported)
		return ERR_PTR(fail(-EOPNOTSUPP, "the IOMMU of %s offers no virtual IOMMUs", idev->dev->name));
	err = ops->viommu_supported(iommu, devid, type);
	if (err)
		return ERR_PTR(err);
	*ret_iommu = iommu;
	return ops;
}

static int viommu_make(struct iommufd_ucmd *ucmd, struct iommufd_device *idev, struct iommufd_hwpt_paging *hwpt,
		       const struct iommu_viommu_ops *ops, struct iommu_device *iommu)
{
	const struct iommu_viommu_alloc *cmd = ucmd->cmd;
	const struct iommu_user_data data = {
		.type = cmd->type,
		.uptr = (const void *)(uintptr_t)cmd->data_uptr,
		.len = cmd->data_len,
	};
	struct iommufd_viommu *viommu;
	int err;

	if (!hwpt->nest_parent)
		return fail(-EINVAL, "page table %u was not allocated with IOMMU_HWPT_ALLOC_NEST_PARENT", cmd->hwpt_id);
	if (hwpt->common.domain->iommu != iommu)
		return fail(-EINVAL, "page table %u is of another IOMMU than that of %s", cmd->hwpt_id, idev->dev->name);
	viommu = iommufd_object_alloc_ucmd(ucmd, viommu, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	mutex_init(&viommu->lock, LOCK_IOMMUFD_VIOMMU);
	TAILQ_INIT(&viommu->vdevs);
	TAILQ_INIT(&viommu->veventqs);
	viommu->ictx = ucmd->ictx;
	viommu->hwpt = hwpt;
	iommufd_object_hold(&hwpt->common.obj);
	viommu->core.ops = ops;
	viommu->core.iommu = iommu;
	viommu->core.parent = hwpt->common.domain;
	viommu->core.type = cmd->type;
	err = ops->viommu_init(&viommu->core, cmd->data_len ? &data : NULL);
	viommu->inited = !err;
	return err;
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	const struct iommu_viommu_ops *ops;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_device *idev;
	struct iommu_device *iommu = NULL;
	int err = viommu_check(cmd);

	if (err)
		return err;
	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	ops = viommu_ops_for(idev, cmd->type, &iommu);
	err = IS_ERR(ops) ? (int)PTR_ERR(ops) : 0;
	if (!err) {
		hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
		err = IS_ERR(hwpt) ? (int)PTR_ERR(hwpt) : viommu_make(ucmd, idev, hwpt, ops, iommu);
		if (!IS_ERR(hwpt))
			iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	}
	iommufd_put_object(ucmd->ictx, &idev->obj);
	if (err)
		return err;
	cmd->out_viommu_id = ucmd->new_obj->id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- vDEVICE ---- */

static struct iommufd_vdevice *find_vdev_locked(struct iommufd_viommu *viommu, u64 virt_id)
{
	struct iommufd_vdevice *vdev;

	lockdep_assert_held(&viommu->lock);
	TAILQ_FOREACH(vdev, &viommu->vdevs, node)
		if (vdev->core.virt_id == virt_id)
			return vdev;
	return NULL;
}

int iommufd_viommu_with_dev(struct iommufd_viommu *viommu, u64 virt_id, void *arg,
			    int (*fn)(struct device *dev, void *arg))
{
	struct iommufd_vdevice *vdev;
	int ret;

	mutex_lock(&viommu->lock);
	vdev = find_vdev_locked(viommu, virt_id);
	ret = vdev ? fn(vdev->core.dev, arg) : fail(-ENOENT, "the vIOMMU has no vDEVICE 0x%llx", (ull)virt_id);
	mutex_unlock(&viommu->lock);
	return ret;
}

int iommufd_viommu_virt_id(struct iommufd_viommu *viommu, const struct device *dev, u64 *ret_id)
{
	struct iommufd_vdevice *vdev;
	int ret = -ENOENT;

	mutex_lock(&viommu->lock);
	TAILQ_FOREACH(vdev, &viommu->vdevs, node) {
		if (vdev->core.dev == dev) {
			*ret_id = vdev->core.virt_id;
			ret = 0;
		}
	}
	mutex_unlock(&viommu->lock);
	return ret ? fail(ret, "%s has no vDEVICE in the vIOMMU", dev->name) : 0;
}

/* Device and vDEVICE forget each other; groups_lock held. */
static void separate_locked(struct iommufd_vdevice *vdev)
{
	struct iommufd_viommu *viommu = vdev->viommu;

	if (!vdev->idev)
		return;
	if (viommu->core.ops->vdevice_destroy)
		viommu->core.ops->vdevice_destroy(&vdev->core);
	mutex_lock(&viommu->lock);
	TAILQ_REMOVE(&viommu->vdevs, vdev, node);
	mutex_unlock(&viommu->lock);
	vdev->idev->vdev = NULL;
	vdev->idev = NULL;
}

void iommufd_vdevice_pre_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = to_vdevice(obj);

	if (!vdev->viommu)
		return;
	mutex_lock(&vdev->viommu->ictx->groups_lock);
	separate_locked(vdev);
	mutex_unlock(&vdev->viommu->ictx->groups_lock);
}

void iommufd_vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = to_vdevice(obj);

	iommufd_vdevice_pre_destroy(obj); /* one that was aborted had none */
	if (vdev->viommu)
		iommufd_object_drop(&vdev->viommu->obj);
}

void iommufd_vdevice_abandon(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_object *obj = NULL;

	mutex_lock(&ictx->groups_lock);
	if (idev->vdev) {
		/* Not separated yet: so it is in the table, and stays until we have given this back. */
		obj = iommufd_get_object(ictx, idev->vdev->obj.id, IOMMUFD_OBJ_VDEVICE);
		separate_locked(idev->vdev);
	}
	mutex_unlock(&ictx->groups_lock);
	if (obj && !IS_ERR(obj))
		iommufd_object_tombstone_user(ictx, obj);
}

static int vdevice_check_locked(struct iommufd_viommu *viommu, struct iommufd_device *idev, u64 virt_id)
{
	int err = 0;

	if (iommu_device_of(idev->dev, NULL) != viommu->core.iommu)
		return fail(-EINVAL, "%s is behind another IOMMU than the vIOMMU is a slice of", idev->dev->name);
	if (idev->vdev)
		return fail(-EEXIST, "%s has vDEVICE %u already", idev->dev->name, idev->vdev->obj.id);
	mutex_lock(&viommu->lock);
	if (find_vdev_locked(viommu, virt_id))
		err = fail(-EEXIST, "virt_id 0x%llx is taken in the vIOMMU", (ull)virt_id);
	mutex_unlock(&viommu->lock);
	return err;
}

static int vdevice_make_locked(struct iommufd_vdevice *vdev, struct iommufd_viommu *viommu,
			       struct iommufd_device *idev, u64 virt_id)
{
	int err = vdevice_check_locked(viommu, idev, virt_id);

	if (err)
		return err;
	vdev->core.viommu = &viommu->core;
	vdev->core.dev = idev->dev;
	vdev->core.virt_id = virt_id;
	(void)iommu_device_of(idev->dev, &vdev->core.devid);
	if (viommu->core.ops->vdevice_init)
		err = viommu->core.ops->vdevice_init(&vdev->core);
	if (err)
		return err;
	mutex_lock(&viommu->lock);
	TAILQ_INSERT_TAIL(&viommu->vdevs, vdev, node);
	mutex_unlock(&viommu->lock);
	vdev->idev = idev;
	idev->vdev = vdev;
	return 0;
}

static int vdevice_make(struct iommufd_ucmd *ucmd, struct iommufd_viommu *viommu, struct iommufd_device *idev)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev = iommufd_object_alloc_size(ucmd->ictx, sizeof(*vdev), IOMMUFD_OBJ_VDEVICE);
	int err;

	if (IS_ERR(vdev))
		return (int)PTR_ERR(vdev);
	vdev->viommu = viommu;
	iommufd_object_hold(&viommu->obj);
	cmd->out_vdevice_id = vdev->obj.id;
	mutex_lock(&ucmd->ictx->groups_lock);
	err = vdevice_check_locked(viommu, idev, cmd->virt_id);
	mutex_unlock(&ucmd->ictx->groups_lock);
	/* The answer first: once it is known to the device, it has to be in the table. */
	if (!err)
		err = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	mutex_lock(&ucmd->ictx->groups_lock);
	if (!err)
		err = vdevice_make_locked(vdev, viommu, idev, cmd->virt_id);
	if (!err)
		iommufd_object_finalize(ucmd->ictx, &vdev->obj);
	mutex_unlock(&ucmd->ictx->groups_lock);
	if (err)
		iommufd_object_abort_and_destroy(ucmd->ictx, &vdev->obj);
	return err;
}

int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	struct iommufd_device *idev;
	int err;

	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	err = IS_ERR(idev) ? (int)PTR_ERR(idev) : vdevice_make(ucmd, viommu, idev);
	if (!IS_ERR(idev))
		iommufd_put_object(ucmd->ictx, &idev->obj);
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return err;
}

/* ---- vEVENTQs of a vIOMMU ---- */

static struct iommufd_veventq *find_veventq_locked(struct iommufd_viommu *viommu, u32 type)
{
	struct iommufd_veventq *veventq;

	lockdep_assert_held(&viommu->lock);
	TAILQ_FOREACH(veventq, &viommu->veventqs, node)
		if (veventq->type == type)
			return veventq;
	return NULL;
}

int iommufd_viommu_add_veventq(struct iommufd_viommu *viommu, struct iommufd_veventq *veventq)
{
	int err = 0;

	mutex_lock(&viommu->lock);
	if (find_veventq_locked(viommu, veventq->type)) {
		err = fail(-EEXIST, "vIOMMU %u has a vEVENTQ of type 0x%x already", viommu->obj.id, veventq->type);
	} else {
		veventq->viommu = viommu;
		iommufd_object_hold(&viommu->obj);
		TAILQ_INSERT_TAIL(&viommu->veventqs, veventq, node);
	}
	mutex_unlock(&viommu->lock);
	return err;
}

void iommufd_viommu_drop_veventq(struct iommufd_veventq *veventq)
{
	struct iommufd_viommu *viommu = veventq->viommu;

	if (!viommu)
		return;
	mutex_lock(&viommu->lock);
	TAILQ_REMOVE(&viommu->veventqs, veventq, node);
	mutex_unlock(&viommu->lock);
	iommufd_object_drop(&viommu->obj);
}

int iommufd_viommu_report_event(struct iommufd_viommu *viommu, u32 type, const void *data, u32 data_len)
{
	struct iommufd_veventq *veventq;

	mutex_lock(&viommu->lock);
	veventq = find_veventq_locked(viommu, type);
	if (veventq)
		iommufd_veventq_push(veventq, data, data_len);
	mutex_unlock(&viommu->lock);
	return veventq ? 0 : fail(-EOPNOTSUPP, "vIOMMU %u has no vEVENTQ of type 0x%x", viommu->obj.id, type);
}

/* ---- hardware queues ---- */

void iommufd_hw_queue_destroy(struct iommufd_object *obj)
{
	struct iommufd_hw_queue *queue = to_hw_queue(obj);
	struct iommufd_viommu *viommu = queue->viommu;

	if (!viommu)
		return;
	if (queue->inited && viommu->core.ops->hw_queue_destroy)
		viommu->core.ops->hw_queue_destroy(&queue->core);
	if (queue->pinned)
		iopt_unpin_pages(&viommu->hwpt->ioas->iopt, queue->core.iova, queue->core.len_bytes, true);
	if (queue->access)
		iommufd_access_destroy(queue->access);
	iommufd_object_drop(&viommu->obj);
}

/*
 * The unit reads a queue by physical addresses.  Here they are contiguous where the program's addresses are, as if
 * there were huge pages everywhere (mm.h).
 */
static int check_contiguous(struct iommu_domain *domain, u64 iova, u64 len_bytes, phys_addr_t *ret_phys)
{
	const phys_addr_t first = iommu_iova_to_phys(domain, iova);

	for (u64 off = PAGE_SIZE - (first & ~PAGE_MASK); off < len_bytes; off += PAGE_SIZE) {
		phys_addr_t phys = iommu_iova_to_phys(domain, iova + off);

		if (phys != first + off)
			return fail(-EFAULT, "the queue's memory is not contiguous: what is behind iova 0x%llx is at 0x%llx, "
				    "not at 0x%llx", (ull)(iova + off), (ull)phys, (ull)(first + off));
	}
	*ret_phys = first;
	return 0;
}

static int hw_queue_make(struct iommufd_ucmd *ucmd, struct iommufd_viommu *viommu)
{
	const struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	const struct iommu_viommu_ops *ops = viommu->core.ops;
	struct iommufd_ioas *ioas = viommu->hwpt->ioas;
	struct iommufd_hw_queue *queue;
	struct iommufd_access *access;
	int err;

	if (!ops->hw_queue_supported || !ops->hw_queue_init)
		return fail(-EOPNOTSUPP, "this type of vIOMMU has no hardware queues");
	err = ops->hw_queue_supported(&viommu->core, cmd->type, cmd->index);
	if (err)
		return err;
	queue = iommufd_object_alloc_ucmd(ucmd, queue, IOMMUFD_OBJ_HW_QUEUE);
	if (IS_ERR(queue))
		return (int)PTR_ERR(queue);
	queue->viommu = viommu;
	iommufd_object_hold(&viommu->obj);
	queue->core = (struct iommu_hw_queue){
		.viommu = &viommu->core,
		.type = cmd->type,
		.index = cmd->index,
		.iova = cmd->nesting_parent_iova,
		.len_bytes = cmd->length,
	};
	if ((cmd->length >> PAGE_SHIFT) >= INT_MAX / sizeof(u64))
		return fail(-ENOMEM, "length 0x%llx: no memory for a list of as many pages", (ull)cmd->length);
	access = iommufd_access_create_internal(ucmd->ictx, ioas);
	if (IS_ERR(access))
		return (int)PTR_ERR(access);
	queue->access = access;
	/* The unit reads it whenever it likes, so that an unmap has to fail instead of taking it back. */
	err = iopt_pin_pages(&ioas->iopt, cmd->nesting_parent_iova, cmd->length, NULL, true, true);
	if (err)
		return err;
	queue->pinned = true;
	err = check_contiguous(viommu->core.parent, cmd->nesting_parent_iova, cmd->length, &queue->core.phys);
	if (!err)
		err = ops->hw_queue_init(&queue->core);
	queue->inited = !err;
	return err;
}

int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	u64 last;
	int err;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return fail(-EOPNOTSUPP, "flags 0x%x, type %u: flags must be 0, and type 0 is reserved", cmd->flags,
			    cmd->type);
	if (!cmd->length)
		return fail(-EINVAL, "length is 0: a queue has some memory");
	if (range_overflows(cmd->nesting_parent_iova, cmd->length, &last))
		return fail(-EOVERFLOW, "nesting_parent_iova 0x%llx plus length 0x%llx wraps around",
			    (ull)cmd->nesting_parent_iova, (ull)cmd->length);
	viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	err = hw_queue_make(ucmd, viommu);
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	if (err)
		return err;
	cmd->out_hw_queue_id = ucmd->new_obj->id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
