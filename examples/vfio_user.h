/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user.h - the ways to a device, as the kernel's documentation tells them.  Shared by the examples;
 * nothing here knows of softvfio.
 *
 *	group		container, group, IOMMU type, mapping, device: the classic way
 *	no IOMMU	the same where the group is a noiommu-N: nothing is mapped, the device uses physical
 *			addresses, and finding memory with a fitting one is the program's business
 *	iommufd		the device's own node, bound to an iommufd and attached to an address space in it
 *
 * Every function ends the program with one line if a call fails: examples have no better idea.
 */
#ifndef EXAMPLES_VFIO_USER_H
#define EXAMPLES_VFIO_USER_H

#include <linux/vfio.h>
#include <stddef.h>
#include <stdint.h>

struct vfio_dev {
	int container, group, device;	/* container and group: -1 by iommufd */
	int iommufd;			/* -1 by group */
	uint32_t ioas, devid;		/* objects of the iommufd: the address space, the device */
	int noiommu;
	uint32_t flags;			/* VFIO_DEVICE_FLAGS_ */
	struct vfio_region_info regions[VFIO_PCI_NUM_REGIONS];
};

/** vfio_open - open @name ("0000:01:00.0", "platdev.0") through its group, with a type1v2 IOMMU or none. */
void vfio_open(struct vfio_dev *dev, const char *name);
/** vfio_open_iommufd - open it by its own node, in an address space of its own. */
void vfio_open_iommufd(struct vfio_dev *dev, const char *name);
void vfio_close(struct vfio_dev *dev);
/** vfio_map - let the device read and write [mem, mem+size) at @iova. */
void vfio_map(struct vfio_dev *dev, void *mem, uint64_t iova, size_t size);
void vfio_unmap(struct vfio_dev *dev, uint64_t iova, size_t size);
/**
 * vfio_dma_alloc - memory that the device can reach
 * @iova: where, if there is an IOMMU;  @max: the highest address that the device can use, for when there is none
 * @ret_addr: what the device calls it.  vfio_dma_free() gives it back.
 */
void *vfio_dma_alloc(struct vfio_dev *dev, size_t size, uint64_t iova, uint64_t max, uint64_t *ret_addr);
void vfio_dma_free(struct vfio_dev *dev, void *mem, size_t size, uint64_t addr);
/** vfio_bar - map a BAR, or a region of a platform device. */
volatile void *vfio_bar(struct vfio_dev *dev, unsigned index);
/** vfio_enable_master - switch on memory decoding and bus mastering. */
void vfio_enable_master(struct vfio_dev *dev);
/** vfio_irq_eventfd - @index (VFIO_PCI_MSI_IRQ_INDEX...) vector 0 signals @efd; -1 takes it off. */
void vfio_irq_eventfd(struct vfio_dev *dev, unsigned index, int efd);
/** vfio_irq_unmask - after a level interrupt was served. */
void vfio_irq_unmask(struct vfio_dev *dev, unsigned index);
/** die - print "what: why" and exit with 1. */
void die(const char *what) __attribute__((noreturn));

#endif
