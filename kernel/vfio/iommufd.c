/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd.c - what a VFIO device is to an iommufd.
 *
 * A bound device is an object of the iommufd's context.  The device, and each of its PASIDs, is attached to
 * one page table or to none: attaching what is attached already means to replace.  VFIO notes what is
 * attached, so that detaching nothing is no error, and unbinding leaves nothing behind.  PASID 0 given as a
 * PASID and the device itself are noted apart, though they are the same to the iommufd.
 *
 * All under the lock of the device set.
 */
#include <assert.h>
#include <limits.h>

#include "kernel/base/device.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/vfio_priv.h"

#define PASIDS (1u << 20) /* PCI Express: 20 bits */
#define WORD_BITS 64

/* ---- bound ---- */

int vfio_iommufd_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *ret_id)
{
	struct iommufd_device *idev;

	lockdep_assert_held(&vdev->dev_set->lock);
	idev = iommufd_device_bind(ictx, vdev->dev, ret_id);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	vdev->iommufd_device = idev;
	vdev->iommufd_attached = false;
	return 0;
}

static void detach_pasids(struct vfio_device *vdev)
{
	for (u32 word = 0; vdev->pasids && word < PASIDS / WORD_BITS; word++) {
		while (vdev->pasids[word]) {
			const u32 bit = (u32)__builtin_ctzll(vdev->pasids[word]);

			iommufd_device_detach(vdev->iommufd_device, word * WORD_BITS + bit);
			vdev->pasids[word] &= vdev->pasids[word] - 1;
		}
	}
	kvfree(vdev->pasids);
	vdev->pasids = NULL;
}

void vfio_iommufd_unbind(struct vfio_device *vdev)
{
	lockdep_assert_held(&vdev->dev_set->lock);
	if (!vdev->iommufd_device)
		return;
	detach_pasids(vdev);
	vfio_iommufd_detach(vdev, false, IOMMU_NO_PASID);
	iommufd_device_unbind(vdev->iommufd_device);
	vdev->iommufd_device = NULL;
}

struct iommufd_ctx *vfio_iommufd_device_ictx(struct vfio_device *vdev)
{
	return vdev->iommufd_device ? iommufd_device_to_ictx(vdev->iommufd_device) : NULL;
}

int vfio_iommufd_get_dev_id(struct vfio_device *vdev, struct iommufd_ctx *ictx)
{
	if (vfio_iommufd_device_ictx(vdev) == ictx)
		return (int)iommufd_device_to_id(vdev->iommufd_device);
	if (iommufd_ctx_has_group(ictx, vdev->dev->iommu_group))
		return VFIO_PCI_DEVID_OWNED;
	return VFIO_PCI_DEVID_NOT_OWNED;
}

/* ---- attached ---- */

static bool is_noted(const struct vfio_device *vdev, u32 pasid)
{
	return vdev->pasids && pasid < PASIDS && (vdev->pasids[pasid / WORD_BITS] & BIT_ULL(pasid % WORD_BITS));
}

/* There is none for those of more than 20 bits, which no device has: attaching says what is wrong with them. */
static int make_room(struct vfio_device *vdev, u32 pasid)
{
	if (pasid > INT_MAX)
		return fail(-ENOSPC, "PASID %u is above %d, the last that can be noted", pasid, INT_MAX);
	if (pasid >= PASIDS)
		return 0;
	if (!vdev->pasids)
		vdev->pasids = kvcalloc(PASIDS / WORD_BITS, sizeof(u64));
	return vdev->pasids ? 0 : fail(-ENOMEM, "no memory to note PASIDs of %s", vdev->dev->name);
}

static int attach_pasid(struct vfio_device *vdev, u32 pasid, u32 *pt_id)
{
	int ret = make_room(vdev, pasid);

	if (ret)
		return ret;
	if (is_noted(vdev, pasid))
		return iommufd_device_replace(vdev->iommufd_device, pasid, pt_id);
	ret = iommufd_device_attach(vdev->iommufd_device, pasid, pt_id);
	assert(ret || pasid < PASIDS);
	if (!ret)
		vdev->pasids[pasid / WORD_BITS] |= BIT_ULL(pasid % WORD_BITS);
	return ret;
}

int vfio_iommufd_attach(struct vfio_device *vdev, bool with_pasid, u32 pasid, u32 *pt_id)
{
	int ret;

	lockdep_assert_held(&vdev->dev_set->lock);
	if (with_pasid)
		return attach_pasid(vdev, pasid, pt_id);
	if (vdev->iommufd_attached)
		return iommufd_device_replace(vdev->iommufd_device, IOMMU_NO_PASID, pt_id);
	ret = iommufd_device_attach(vdev->iommufd_device, IOMMU_NO_PASID, pt_id);
	vdev->iommufd_attached = !ret;
	return ret;
}

int vfio_iommufd_compat_attach(struct vfio_device *vdev, struct iommufd_ctx *ictx)
{
	u32 id;
	int ret = iommufd_vfio_compat_ioas_get_id(ictx, &id);

	return ret ? ret : vfio_iommufd_attach(vdev, false, IOMMU_NO_PASID, &id);
}

void vfio_iommufd_detach(struct vfio_device *vdev, bool with_pasid, u32 pasid)
{
	lockdep_assert_held(&vdev->dev_set->lock);
	if (with_pasid ? !is_noted(vdev, pasid) : !vdev->iommufd_attached)
		return;
	iommufd_device_detach(vdev->iommufd_device, with_pasid ? pasid : IOMMU_NO_PASID);
	if (with_pasid)
		vdev->pasids[pasid / WORD_BITS] &= ~BIT_ULL(pasid % WORD_BITS);
	else
		vdev->iommufd_attached = false;
}
