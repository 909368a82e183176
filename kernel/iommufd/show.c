/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show.c - what an iommufd has now, for `softvfio tree`: a line for each object, and for each attachment.
 *
 *	ioas ID				an I/O address space; then its mappings, "map IOVA BYTES rw"
 *	object ID PARENT WORDS		any other, what it is up to a comma; PARENT: the object that it hangs from, 0 none
 *	bound ID NAME			object ID is that device
 *	attach ID PASID HWPT		... and it is attached so (PASID 0: the device itself)
 *
 * A thread of ours runs this while the program goes on: each object is looked at with a shortterm reference, and
 * what changes under the lock that guards it.
 */
#include "kernel/base/device.h"
#include "kernel/fs/file.h"
#include "kernel/iommufd/eventq.h"
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/show.h"

typedef unsigned long long ull;

static void show_ioas(struct iommufd_ioas *ioas, struct show *out)
{
	struct iopt_area *area;

	show(out, "ioas %u\n", ioas->obj.id);
	mutex_lock(&ioas->iopt.lock);
	iopt_for_each_area(area, &ioas->iopt)
		show(out, "map 0x%llx 0x%llx %s%s\n", (ull)area->iova, (ull)iopt_area_length(area),
		     area->prot & IOMMU_READ ? "r" : "", area->prot & IOMMU_WRITE ? "w" : "");
	mutex_unlock(&ioas->iopt.lock);
}

/* ---- devices ---- */

static void show_device(struct iommufd_device *idev, struct show *out)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach *attach;
	struct iommufd_attached *at;

	show(out, "object %u 0 device\nbound %u %s\n", idev->obj.id, idev->obj.id, idev->dev->name);
	mutex_lock(&igroup->lock);
	TAILQ_FOREACH(attach, &igroup->attached, node)
		TAILQ_FOREACH(at, &attach->devices, node)
			if (at->idev == idev)
				show(out, "attach %u %u %u\n", idev->obj.id, attach->pasid, attach->hwpt->obj.id);
	mutex_unlock(&igroup->lock);
}

/* ---- page tables ---- */

static void show_hwpt_end(const struct iommufd_hw_pagetable *hwpt, struct show *out)
{
	if (hwpt->pasid_compat)
		show(out, ", for PASIDs");
	if (hwpt->fault)
		show(out, ", page requests to fault queue %u", hwpt->fault->q.obj.id);
	show(out, "\n");
}

static void show_paging(const struct iommufd_hwpt_paging *hwpt, struct show *out)
{
	show(out, "object %u %u HWPT, paging%s%s%s", hwpt->common.obj.id, hwpt->ioas->obj.id,
	     hwpt->auto_domain ? ", automatic" : "", hwpt->nest_parent ? ", nesting parent" : "",
	     hwpt->common.domain->dirty_ops ? ", dirty tracking" : "");
	show_hwpt_end(&hwpt->common, out);
}

static void show_nested(const struct iommufd_hwpt_nested *hwpt, struct show *out)
{
	u32 from = hwpt->viommu ? hwpt->viommu->obj.id : hwpt->parent->common.obj.id;

	show(out, "object %u %u HWPT, nested", hwpt->common.obj.id, from);
	show_hwpt_end(&hwpt->common, out);
}

/* ---- queues ---- */

static void show_fault(struct iommufd_fault *fault, struct show *out)
{
	unsigned deliver = 0, response = 0;
	struct iopf_group *group;

	mutex_lock(&fault->q.lock);
	TAILQ_FOREACH(group, &fault->deliver, node)
		deliver++;
	TAILQ_FOREACH(group, &fault->response, node)
		response++;
	mutex_unlock(&fault->q.lock);
	show(out, "object %u 0 fault queue, %u to be read, %u to be answered\n", fault->q.obj.id, deliver, response);
}

static void show_veventq(struct iommufd_veventq *veventq, struct show *out)
{
	u32 waiting;

	mutex_lock(&veventq->q.lock);
	waiting = veventq->nr_events;
	mutex_unlock(&veventq->q.lock);
	show(out, "object %u %u vEVENTQ, type 0x%x, %u of %u events\n", veventq->q.obj.id, veventq->viommu->obj.id,
	     veventq->type, waiting, veventq->depth);
}

/* ---- virtual IOMMUs ---- */

static void show_viommu(const struct iommufd_viommu *viommu, struct show *out)
{
	show(out, "object %u %u vIOMMU, type 0x%x\n", viommu->obj.id, viommu->hwpt->common.obj.id, viommu->core.type);
}

static void show_vdevice(struct iommufd_vdevice *vdev, struct show *out)
{
	struct mutex *lock = &vdev->viommu->ictx->groups_lock;

	mutex_lock(lock);
	show(out, "object %u %u vDEVICE, virt_id 0x%llx", vdev->obj.id, vdev->viommu->obj.id, (ull)vdev->core.virt_id);
	if (vdev->idev)
		show(out, ", of device %u", vdev->idev->obj.id);
	show(out, "\n");
	mutex_unlock(lock);
}

static void show_hw_queue(const struct iommufd_hw_queue *queue, struct show *out)
{
	show(out, "object %u %u hardware queue, type 0x%x, index %u\n", queue->obj.id, queue->viommu->obj.id, queue->core.type,
	     queue->core.index);
}

static void show_object(struct iommufd_object *obj, struct show *out)
{
	switch (obj->type) {
	case IOMMUFD_OBJ_IOAS: show_ioas(to_ioas(obj), out); break;
	case IOMMUFD_OBJ_DEVICE: show_device(to_idev(obj), out); break;
	case IOMMUFD_OBJ_HWPT_PAGING: show_paging(to_hwpt_paging(to_hwpt(obj)), out); break;
	case IOMMUFD_OBJ_HWPT_NESTED: show_nested(to_hwpt_nested(to_hwpt(obj)), out); break;
	case IOMMUFD_OBJ_FAULT: show_fault(to_fault(obj), out); break;
	case IOMMUFD_OBJ_VEVENTQ: show_veventq(to_veventq(obj), out); break;
	case IOMMUFD_OBJ_VIOMMU: show_viommu(to_viommu(obj), out); break;
	case IOMMUFD_OBJ_VDEVICE: show_vdevice(to_vdevice(obj), out); break;
	case IOMMUFD_OBJ_HW_QUEUE: show_hw_queue(to_hw_queue(obj), out); break;
	case IOMMUFD_OBJ_ACCESS: show(out, "object %u 0 access\n", obj->id); break;
	case IOMMUFD_OBJ_SELFTEST: show(out, "object %u 0 mock device\n", obj->id); break;
	default: break;
	}
}

void iommufd_show(struct file *file, struct show *out)
{
	struct iommufd_ctx *ictx = file->private_data;
	struct iommufd_object *obj;
	u32 nr_slots;

	mutex_lock(&ictx->objects_lock);
	nr_slots = ictx->nr_slots;
	mutex_unlock(&ictx->objects_lock);
	for (u32 id = 1; id <= nr_slots && !out->cut; id++) {
		obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_ANY);
		if (IS_ERR(obj))
			continue;
		show_object(obj, out);
		iommufd_put_object(ictx, obj);
	}
}
