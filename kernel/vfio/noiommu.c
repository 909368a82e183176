/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noiommu.c - the IOMMU backend that is none: VFIO_NOIOMMU_IOMMU.
 *
 * A container of no-IOMMU groups has it so that a program can go the usual way: container, group,
 * SET_IOMMU, device.  There is nothing to map: the device reaches all memory at its physical address,
 * which a program learns from /proc/self/pagemap.  That is why the mode is called unsafe, is off unless
 * the parameter enable_unsafe_noiommu_mode is on, and taints a kernel.
 *
 * Linux asks for CAP_SYS_RAWIO at open, SET_IOMMU and GET_DEVICE_FD; here whoever may open the machine's
 * nodes has all capabilities.
 */
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/vfio/vfio_priv.h"

static char there_is_nothing; /* what iommu_data points to */

static void *noiommu_open(unsigned long type)
{
	if (type != VFIO_NOIOMMU_IOMMU)
		return ERR_PTR(fail(-EINVAL, "type %lu is none of no-IOMMU's: it has 8 (VFIO_NOIOMMU_IOMMU) alone",
				    type));
	explain_event("the container's devices have no IOMMU: their DMA reaches all of this program's memory");
	return &there_is_nothing;
}

static void noiommu_release(void *iommu_data)
{
}

static long noiommu_ioctl(void *iommu_data, unsigned int cmd, unsigned long arg)
{
	return fail(-ENOTTY, "request %#x: a container without an IOMMU maps nothing; devices use physical addresses "
		    "(/proc/self/pagemap)", cmd);
}

static long noiommu_check_extension(void *iommu_data, unsigned long arg)
{
	return arg == VFIO_NOIOMMU_IOMMU && vfio_noiommu_enabled();
}

static int noiommu_attach_group(void *iommu_data, struct iommu_group *group)
{
	return 0;
}

static void noiommu_detach_group(void *iommu_data, struct iommu_group *group)
{
}

const struct vfio_iommu_driver_ops vfio_noiommu_ops = {
	.name = "no-IOMMU",
	.open = noiommu_open,
	.release = noiommu_release,
	.ioctl = noiommu_ioctl,
	.check_extension = noiommu_check_extension,
	.attach_group = noiommu_attach_group,
	.detach_group = noiommu_detach_group,
};
