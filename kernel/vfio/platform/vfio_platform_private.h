/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_platform_private.h - a platform device in the hands of a program: what vfio-platform and
 * vfio-amba share.
 *
 * There is less to it than to PCI: no config space, no memory decoding to switch off, no low power.  Region
 * i is the device's i-th resource and begins at i << 40; interrupt i is its i-th wire.
 *
 * Locks, outermost first: device set, igate, (virqfd.c's), locks of hardware, an interrupt's own.
 */
#ifndef KERNEL_VFIO_PLATFORM_VFIO_PLATFORM_PRIVATE_H
#define KERNEL_VFIO_PLATFORM_VFIO_PLATFORM_PRIVATE_H

#include <linux/vfio.h>

#include "kernel/fs/eventfd.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"
#include "kernel/platform/platform.h"
#include "kernel/vfio/vfio.h"

#define VFIO_PLATFORM_OFFSET_SHIFT 40
#define VFIO_PLATFORM_OFFSET_TO_INDEX(off) ((off) >> VFIO_PLATFORM_OFFSET_SHIFT)
#define VFIO_PLATFORM_INDEX_TO_OFFSET(index) ((u64)(index) << VFIO_PLATFORM_OFFSET_SHIFT)
#define VFIO_PLATFORM_OFFSET_MASK ((1ull << VFIO_PLATFORM_OFFSET_SHIFT) - 1)

struct vfio_platform_device;

struct vfio_platform_irq {
	struct vfio_platform_device *vdev; /* immutable */
	unsigned index;			   /* immutable */
	u32 flags;			   /* VFIO_IRQ_INFO_; immutable */
	struct mutex lock;		   /* LOCK_VFIO_PCI_TRIGGER: the next three */
	struct eventfd_ctx *trigger;	   /* NULL: none */
	bool masked;			   /* a level: by the program, or since it fired */
	bool latched;			   /* an edge came while there was no trigger */
	struct virqfd *mask, *unmask;	   /* virqfd.c's */
};

struct vfio_platform_device {
	struct vfio_device vdev; /* first: the core's */
	struct platform_device *pdev; /* immutable, as the next */
	u32 flags;		 /* VFIO_DEVICE_FLAGS_PLATFORM or _AMBA */
	struct mutex igate;	 /* LOCK_VFIO_PCI_IGATE: SET_IRQS one at a time */
	struct vfio_platform_irq irqs[PLATFORM_MAX_IRQS];
};

static inline struct vfio_platform_device *to_vfio_platform(struct vfio_device *vdev)
{
	return (struct vfio_platform_device *)vdev; /* vdev is the first member */
}

static inline const char *vfio_platform_name(const struct vfio_platform_device *vdev)
{
	return vdev->pdev->dev.name;
}

/* ---- vfio_platform_common.c ------------------------------------------------------------------ */

/**
 * vfio_platform_probe_common, vfio_platform_remove_common - a driver takes @pdev and gives it back
 * @flags: VFIO_DEVICE_FLAGS_PLATFORM or _AMBA.  Tree lock held.
 * Return: 0; -ENOENT a reset is required and there is none; what the VFIO core says.
 */
int vfio_platform_probe_common(struct platform_device *pdev, u32 flags, bool reset_required);
void vfio_platform_remove_common(struct platform_device *pdev);
/** vfio_platform_user_gone - for device_driver.user_gone. */
void vfio_platform_user_gone(struct device *dev);
/** vfio_platform_in_use - for device_driver.in_use. */
bool vfio_platform_in_use(struct device *dev);

/* ---- vfio_platform_irq.c --------------------------------------------------------------------- */

/** vfio_platform_irq_prepare, vfio_platform_irq_forget - around the registration; memory zeroed. */
void vfio_platform_irq_prepare(struct vfio_platform_device *vdev);
void vfio_platform_irq_forget(struct vfio_platform_device *vdev);
/** vfio_platform_irq_init - at open: listen to all wires.  0; -errno with none listened to. */
int vfio_platform_irq_init(struct vfio_platform_device *vdev);
/** vfio_platform_irq_cleanup - at close: let go of wires and eventfds.  Waits for handlers. */
void vfio_platform_irq_cleanup(struct vfio_platform_device *vdev);
/**
 * vfio_platform_set_irqs - VFIO_DEVICE_SET_IRQS once its header is known to be sound
 * @data: @count bytes or descriptors, as @flags say; NULL with DATA_NONE
 * igate held.  Return: 0; -errno as Linux.
 */
int vfio_platform_set_irqs(struct vfio_platform_device *vdev, u32 flags, unsigned index, unsigned start,
			   unsigned count, const void *data);

#endif
