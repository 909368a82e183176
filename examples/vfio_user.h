/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user.h - the classic way to a device, as the kernel's documentation tells it: container, group,
 * IOMMU type, mapping, device.  Shared by the examples; nothing here knows of softvfio.
 *
 * Every function ends the program with one line if a call fails: examples have no better idea.
 */
#ifndef EXAMPLES_VFIO_USER_H
#define EXAMPLES_VFIO_USER_H

#include <linux/vfio.h>
#include <stddef.h>
#include <stdint.h>

struct vfio_dev {
	int container, group, device;
	struct vfio_region_info regions[VFIO_PCI_NUM_REGIONS];
};

/** vfio_open - open @bdf ("0000:01:00.0") through its group, with a type1v2 IOMMU. */
void vfio_open(struct vfio_dev *dev, const char *bdf);
void vfio_close(struct vfio_dev *dev);
/** vfio_map - let the device read and write [mem, mem+size) at @iova. */
void vfio_map(struct vfio_dev *dev, void *mem, uint64_t iova, size_t size);
void vfio_unmap(struct vfio_dev *dev, uint64_t iova, size_t size);
/** vfio_bar - map a BAR. */
volatile void *vfio_bar(struct vfio_dev *dev, unsigned index);
/** vfio_enable_master - switch on memory decoding and bus mastering. */
void vfio_enable_master(struct vfio_dev *dev);
/** vfio_irq_eventfd - @index (VFIO_PCI_MSI_IRQ_INDEX...) vector 0 signals @efd; -1 takes it off. */
void vfio_irq_eventfd(struct vfio_dev *dev, unsigned index, int efd);
/** die - print "what: why" and exit with 1. */
void die(const char *what) __attribute__((noreturn));

#endif
