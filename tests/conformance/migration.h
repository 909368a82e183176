/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migration.h - what the programs of this folder that migrate share: the device, opened through its group.
 */
#ifndef TESTS_CONFORMANCE_MIGRATION_H
#define TESTS_CONFORMANCE_MIGRATION_H

#include "tests/conformance/calls.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

static int container, group, dev;
static char name[64]; /* of the device */
static const char *const states[] = { "ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING", "RUNNING_P2P", "PRE_COPY",
				      "PRE_COPY_P2P", "8", "9" };

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void make_mtty(void)
{
	int fd = open("/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create", O_WRONLY);

	need(fd >= 0 && write(fd, name, strlen(name)) > 0, "mtty");
	close(fd);
}

/* @what: a PCI address, or "mtty": make one of those and call it @uuid */
static void open_device(const char *what, const char *uuid)
{
	const int mtty = !strcmp(what, "mtty");
	char link[PATH_MAX], path[PATH_MAX + 16];
	ssize_t n;

	snprintf(name, sizeof(name), "%s", mtty ? uuid : what);
	if (mtty)
		make_mtty();
	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/iommu_group", mtty ? "mdev" : "pci", name);
	n = readlink(path, link, sizeof(link) - 1);
	need(n > 0, path);
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = open(path, O_RDWR | O_CLOEXEC);
	need(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "SET_CONTAINER");
	need(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	dev = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
	need(dev >= 0, "GET_DEVICE_FD");
}

/* @data goes there and comes back, also on failure. */
static int feature(unsigned flags, void *data, unsigned size)
{
	char buf[128] __attribute__((aligned(8))) = { 0 };
	struct vfio_device_feature *f = (void *)buf;
	int ret, err;

	f->argsz = 8 + size;
	f->flags = flags;
	if (data)
		memcpy(f->data, data, size);
	ret = ioctl(dev, VFIO_DEVICE_FEATURE, f);
	err = errno;
	if (data)
		memcpy(data, f->data, size);
	errno = err;
	return ret;
}

#endif
