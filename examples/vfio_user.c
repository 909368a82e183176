/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user.c - see vfio_user.h. */
#include "vfio_user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

void die(const char *what)
{
	if (errno)
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
	else
		fprintf(stderr, "%s\n", what);
	exit(1);
}

/* The group is the last name of the link that sysfs keeps beside the device. */
static int open_group(const char *bdf)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die(path);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%.100s", strrchr(link, '/') + 1);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

void vfio_open(struct vfio_dev *dev, const char *bdf)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	dev->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (dev->container < 0)
		die("/dev/vfio/vfio");
	if (ioctl(dev->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    !ioctl(dev->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))
		die("this kernel's VFIO has no type1v2 IOMMU");
	dev->group = open_group(bdf);
	if (ioctl(dev->group, VFIO_GROUP_GET_STATUS, &status))
		die("GROUP_GET_STATUS");
	errno = 0;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("the group is not viable: all of its devices must be bound to vfio-pci");
	if (ioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &dev->container))
		die("GROUP_SET_CONTAINER");
	if (ioctl(dev->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("SET_IOMMU");
	dev->device = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (dev->device < 0)
		die("GROUP_GET_DEVICE_FD");
	for (unsigned i = 0; i < VFIO_PCI_VGA_REGION_INDEX; i++) {
		dev->regions[i] = (struct vfio_region_info){ .argsz = sizeof(dev->regions[i]), .index = i };
		if (ioctl(dev->device, VFIO_DEVICE_GET_REGION_INFO, &dev->regions[i]))
			die("GET_REGION_INFO");
	}
}

void vfio_close(struct vfio_dev *dev)
{
	close(dev->device);
	close(dev->group);
	close(dev->container);
}

void vfio_map(struct vfio_dev *dev, void *mem, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)mem,
		.iova = iova,
		.size = size,
	};

	if (ioctl(dev->container, VFIO_IOMMU_MAP_DMA, &map))
		die("IOMMU_MAP_DMA");
}

void vfio_unmap(struct vfio_dev *dev, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };

	if (ioctl(dev->container, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != size)
		die("IOMMU_UNMAP_DMA");
}

volatile void *vfio_bar(struct vfio_dev *dev, unsigned index)
{
	const struct vfio_region_info *r = &dev->regions[index];
	void *p = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, dev->device, r->offset);

	if (p == MAP_FAILED)
		die("mmap of a BAR");
	return p;
}

void vfio_enable_master(struct vfio_dev *dev)
{
	const uint64_t command = dev->regions[VFIO_PCI_CONFIG_REGION_INDEX].offset + 4;
	uint16_t value;

	if (pread(dev->device, &value, 2, command) != 2)
		die("reading the command register");
	value |= 0x6; /* memory decoding, bus mastering */
	if (pwrite(dev->device, &value, 2, command) != 2)
		die("writing the command register");
}

void vfio_irq_eventfd(struct vfio_dev *dev, unsigned index, int efd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)] __attribute__((aligned(8))) = { 0 };
	struct vfio_irq_set *set = (void *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->count = 1;
	memcpy(set->data, &efd, sizeof(efd));
	if (ioctl(dev->device, VFIO_DEVICE_SET_IRQS, set))
		die("DEVICE_SET_IRQS");
}
