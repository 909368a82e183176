/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_test.h - what the tests of this folder share: a small machine in a directory of its own.
 *
 * Real are the tree, the driver core, the IOMMU groups and page tables, and VFIO; made up are the bus,
 * its devices, the VFIO driver on it (whose ops count calls and answer what a test tells them to) and
 * the IOMMU hardware, which nobody asks anything.
 *
 *	fake0, fake1	group 2		fake2	group 5		host0	group 7, bound to a host driver
 *	bare0		no IOMMU group
 *
 * A call goes through t_open(), t_ioctl(), t_close() as a program's would (rig_test.h).
 */
#ifndef KERNEL_VFIO_VFIO_TEST_H
#define KERNEL_VFIO_VFIO_TEST_H

#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdatomic.h>

#include "kernel/iommu/rig_test.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/vfio/vfio.h"

static T_UNUSED int t_open(const char *node)
{
	return t_open_flags(node, O_RDWR);
}

static T_UNUSED long t_set_container(int group, int container)
{
	return t_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static T_UNUSED long t_map(int container, u32 flags, const void *vaddr, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .vaddr = (uintptr_t)vaddr, .iova = iova, .size = size,
	};

	return t_ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

static u64 t_unmapped T_UNUSED;

static T_UNUSED long t_unmap(int container, u32 flags, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size,
	};
	long ret = t_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	t_unmapped = unmap.size;
	return ret;
}

/* The number of an I/O address space. */
static T_UNUSED long t_ioas(int iommufd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	long ret = t_ioctl(iommufd, IOMMU_IOAS_ALLOC, &cmd);

	return ret ? ret : cmd.out_ioas_id;
}

/* The number of the device in the iommufd. */
static T_UNUSED long t_bind(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	long ret = t_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	return ret ? ret : bind.out_devid;
}

/* The number of the page table. */
static T_UNUSED long t_attach(int device, u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = pt_id };
	long ret = t_ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	return ret ? ret : attach.pt_id;
}

static T_UNUSED long t_detach(int device)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return t_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/* ---- the made-up bus and its devices ---- */

struct fake_device {
	struct vfio_device vdev; /* first: ops get it */
	struct device dev;
	unsigned opened, closed;
	atomic_uint requested;
	int open_ret;
	bool bound;
};

static int fake_match(struct device *dev, struct device_driver *drv)
{
	return !strcmp(drv->name, strncmp(dev->name, "host", 4) ? "fake-vfio" : "fake-host");
}

static int fake_dma_configure(struct device *dev, struct device_driver *drv)
{
	return drv->driver_managed_dma ? 0 : iommu_device_use_default_domain(dev);
}

static void fake_dma_cleanup(struct device *dev, struct device_driver *drv)
{
	if (!drv->driver_managed_dma)
		iommu_device_unuse_default_domain(dev);
}

static struct bus_type fake_bus = {
	.name = "fake", .match = fake_match, .dma_configure = fake_dma_configure, .dma_cleanup = fake_dma_cleanup,
};

static struct fake_device *to_fake(struct vfio_device *vdev)
{
	return (struct fake_device *)vdev;
}

static int fake_open(struct vfio_device *vdev)
{
	to_fake(vdev)->opened++;
	return to_fake(vdev)->open_ret ? fail(to_fake(vdev)->open_ret, "the test wants it") : 0;
}

static void fake_close(struct vfio_device *vdev)
{
	to_fake(vdev)->closed++;
}

static long fake_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct vfio_device_info info = { .argsz = sizeof(info), .num_regions = 9, .num_irqs = 5 };

	if (cmd != VFIO_DEVICE_GET_INFO)
		return fail(-ENOTTY, "request %#x is unknown", cmd);
	return copy_to_user((void *)arg, &info, sizeof(info)) ? fail(-EFAULT, "bad pointer") : 0;
}

/* As vfio-pci: the name, then perhaps a blank and something it refuses. */
static int fake_vfio_match(struct vfio_device *vdev, const char *buf)
{
	size_t len = strlen(vdev->dev->name);

	if (strncmp(buf, vdev->dev->name, len))
		return 0;
	if (buf[len] == ' ' && buf[len + 1])
		return fail(-EINVAL, "what stands behind the blank is unknown");
	return !buf[len] || buf[len] == ' ';
}

static void fake_request(struct vfio_device *vdev, unsigned count)
{
	(void)count;
	atomic_fetch_add(&to_fake(vdev)->requested, 1);
}

static int fake_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	int ret;

	(void)vdev;
	(void)arg;
	if ((flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)
		return -ENOTTY;
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);
	return ret == 1 ? 0 : ret;
}

static const struct vfio_device_ops fake_vfio_ops = {
	.name = "fake-vfio",
	.open_device = fake_open,
	.close_device = fake_close,
	.ioctl = fake_ioctl,
	.match = fake_vfio_match,
	.request = fake_request,
	.device_feature = fake_feature,
};

static int fake_probe(struct device *dev)
{
	struct fake_device *fake = container_of(dev, struct fake_device, dev);
	int ret = vfio_register_group_dev(&fake->vdev, dev, &fake_vfio_ops, &fake_bus);

	fake->bound = !ret;
	return ret;
}

static void fake_remove(struct device *dev)
{
	struct fake_device *fake = container_of(dev, struct fake_device, dev);

	vfio_unregister_group_dev(&fake->vdev);
	fake->bound = false;
}

static int host_probe(struct device *dev)
{
	(void)dev;
	return 0;
}

static struct device_driver fake_driver = {
	.name = "fake-vfio",
	.bus = &fake_bus,
	.probe = fake_probe,
	.remove = fake_remove,
	.driver_managed_dma = true,
};
static struct device_driver host_driver = { .name = "fake-host", .bus = &fake_bus, .probe = host_probe };

#define T_DEVICES 5
static struct fake_device t_dev[T_DEVICES];
enum { FAKE0, FAKE1, FAKE2, HOST0, BARE0 };

/* ---- the machine ---- */

static T_UNUSED void t_add_device(struct iommu_device *unit, unsigned i, const char *name, int group)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/devices/fake/%s", name);
	t_dev[i].dev.name = name;
	t_dev[i].dev.path = strdup(path);
	t_dev[i].dev.bus = &fake_bus;
	assert_int_equal(device_register(&t_dev[i].dev, true), 0);
	if (group >= 0)
		assert_int_equal(iommu_probe_device(unit, &t_dev[i].dev, 8 * (i + 1), group), 0);
}

/* Make the machine in t_dir, or attach to the one that is there as a second process would. */
static T_UNUSED void t_open_machine(bool create)
{
	struct iommu_device *unit;

	t_tree(create);
	unit = amd_iommu_init("ivhd0", &t_hw_ops, NULL, 256, IOMMU_BASIC);
	assert_false(IS_ERR(unit));
	assert_int_equal(iommufd_init(), 0);
	assert_int_equal(vfio_init(), 0);
	assert_int_equal(vfio_iommu_type1_init(), 0);
	assert_int_equal(bus_register(&fake_bus), 0);
	t_add_device(unit, FAKE0, "fake0", 2);
	t_add_device(unit, FAKE1, "fake1", 2);
	t_add_device(unit, FAKE2, "fake2", 5);
	t_add_device(unit, HOST0, "host0", 7);
	t_add_device(unit, BARE0, "bare0", -1);
	assert_int_equal(driver_register(&host_driver), 0);
	assert_int_equal(driver_register(&fake_driver), 0);
	if (create)
		kernfs_created();
	kernfs_unlock();
}

/* Once per program: the tests share the machine and leave it as they found it. */
static T_UNUSED int t_machine(void **state)
{
	(void)state;
	t_new_dir();
	t_open_machine(true);
	return 0;
}

/* A container with a group and, unless type is 0, a backend. */
struct t_ctx {
	int c, g;
};

static T_UNUSED struct t_ctx t_setup(const char *group, int type)
{
	struct t_ctx x = { .c = (int)t_works(t_open("vfio/vfio")), .g = (int)t_works(t_open(group)) };

	t_works(t_set_container(x.g, x.c));
	if (type)
		t_works(t_ioctl_n(x.c, VFIO_SET_IOMMU, type));
	return x;
}

static T_UNUSED void t_teardown(struct t_ctx x)
{
	t_close(x.g);
	t_close(x.c);
}

#endif
