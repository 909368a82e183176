/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_sysfs.c - what VFIO shows below /sys: classes, groups, devices and module parameters.
 *
 *	/sys/class/vfio/3		-> /sys/devices/virtual/vfio/3, as base/class.c makes it
 *	/sys/class/vfio-dev/vfio0	-> <device>/vfio-dev/vfio0, likewise; and in it `device`
 *	/sys/class/misc/vfio		-> /sys/devices/virtual/misc/vfio
 *	/sys/module/{vfio,vfio_iommu_type1,vfio_pci,vfio_platform,vfio_amba}
 *
 * Programs look there to learn whether VFIO is loaded, which group a device is in, and the number of
 * a device.  The nodes of a device are made by the process that binds it and found by all others, so
 * the number N of vfioN is read back from the tree where it exists.
 *
 * All with the tree lock held.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kernel/base/device.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/vfio/vfio_priv.h"

#define PATH_SIZE 512
#define MAX_DEVICES 4096

static int add_text(const char *path, u32 mode, const char *text, const struct kernfs_ops *ops, void *priv)
{
	return kernfs_create_same(path, mode, text, ops, priv);
}

/* ---- groups ---- */

static void group_dir(const struct vfio_group *group, char dir[PATH_SIZE])
{
	snprintf(dir, PATH_SIZE, "sys/devices/virtual/vfio/%s", vfio_group_name(group));
}

void vfio_sysfs_del_group(const struct vfio_group *group)
{
	char dir[PATH_SIZE];

	group_dir(group, dir);
	class_device_del(dir, "vfio");
	kernfs_remove_empty("sys/devices/virtual/vfio");
}

int vfio_sysfs_add_group(const struct vfio_group *group)
{
	const struct class_node node = { VFIO_GROUP_MAJOR, group->id, group->node, NULL };
	char dir[PATH_SIZE];
	int ret;

	group_dir(group, dir);
	ret = class_device_add(dir, "vfio", &node);
	if (ret) {
		vfio_sysfs_del_group(group);
		return fail(ret, "%s could not be made", dir);
	}
	return 0;
}

/* ---- devices ---- */

#define NOIOMMU_PREFIX "noiommu-"

/* Both kinds of devices share the minor numbers. */
static bool index_in_use(unsigned index)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "sys/class/vfio-dev/vfio%u", index);
	if (kernfs_exists(path))
		return true;
	snprintf(path, sizeof(path), "sys/class/vfio-dev/" NOIOMMU_PREFIX "vfio%u", index);
	return kernfs_exists(path);
}

static int parse_index(void *arg, const char *name)
{
	return sscanf(name, "vfio%u", (unsigned *)arg) == 1 ||
	       sscanf(name, NOIOMMU_PREFIX "vfio%u", (unsigned *)arg) == 1;
}

/* The number another process gave the device, or else the lowest that is free. */
static int choose_index(const struct vfio_device *vdev, unsigned *ret_index)
{
	char dir[PATH_SIZE];

	snprintf(dir, sizeof(dir), "%s/vfio-dev", vdev->dev->path);
	if (kernfs_for_each(dir, parse_index, ret_index) == 1)
		return 0;
	for (unsigned i = 0; i < MAX_DEVICES; i++) {
		if (!index_in_use(i)) {
			*ret_index = i;
			return 0;
		}
	}
	return fail(-ENOSPC, "there are %u VFIO devices already", MAX_DEVICES);
}

void vfio_sysfs_del_device(struct vfio_device *vdev)
{
	char dir[PATH_SIZE];

	snprintf(dir, sizeof(dir), "%s/vfio-dev/%s", vdev->dev->path, vdev->name);
	class_device_del(dir, "vfio-dev");
	snprintf(dir, sizeof(dir), "%s/vfio-dev", vdev->dev->path);
	kernfs_remove(dir);
}

static int add_device_nodes(struct vfio_device *vdev)
{
	char dir[PATH_SIZE - 16], path[PATH_SIZE], name[40], to[64];
	const struct class_node node = { VFIO_DEVICE_MAJOR, vdev->index, name, NULL };
	int ret;

	snprintf(dir, sizeof(dir), "%s/vfio-dev/%s", vdev->dev->path, vdev->name);
	snprintf(name, sizeof(name), "vfio/devices/%s", vdev->name);
	ret = class_device_add(dir, "vfio-dev", &node);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/device", dir);
	snprintf(to, sizeof(to), "../../../%s", vdev->dev->name);
	return kernfs_create_link(path, to);
}

int vfio_sysfs_add_device(struct vfio_device *vdev)
{
	int ret = choose_index(vdev, &vdev->index);

	if (ret)
		return ret;
	snprintf(vdev->name, sizeof(vdev->name), "%svfio%u",
		 vdev->group->type == VFIO_NO_IOMMU ? NOIOMMU_PREFIX : "", vdev->index);
	ret = add_device_nodes(vdev);
	if (ret) {
		vfio_sysfs_del_device(vdev);
		return fail(ret, "the nodes of %s (%s) could not be made", vdev->name, vdev->dev->name);
	}
	return 0;
}

/* ---- modules ---- */

#define PARAM_PATH(module, param) "sys/module/" module "/parameters/" param
#define NOIOMMU_PARAM PARAM_PATH("vfio", "enable_unsafe_noiommu_mode")

static const struct module_file {
	const char *path;
	u32 mode;
	const char *value;
} module_files[] = {
	{ "sys/module/vfio/version", 0444, "0.3\n" },
	{ NOIOMMU_PARAM, 0644, "N\n" },
	{ "sys/module/vfio_iommu_type1/version", 0444, "0.2\n" },
	{ PARAM_PATH("vfio_iommu_type1", "allow_unsafe_interrupts"), 0644, "N\n" },
	{ PARAM_PATH("vfio_iommu_type1", "disable_hugepages"), 0644, "N\n" },
	{ PARAM_PATH("vfio_iommu_type1", "dma_entry_limit"), 0644, "65535\n" },
	{ PARAM_PATH("vfio_pci", "nointxmask"), 0644, "N\n" },
	{ PARAM_PATH("vfio_pci", "disable_vga"), 0444, "N\n" },
	{ PARAM_PATH("vfio_pci", "disable_idle_d3"), 0644, "N\n" },
	{ PARAM_PATH("vfio_pci", "enable_sriov"), 0644, "N\n" },
	{ PARAM_PATH("vfio_pci", "disable_denylist"), 0444, "N\n" },
	{ "sys/module/vfio_platform/version", 0444, "0.10\n" },
	{ PARAM_PATH("vfio_platform", "reset_required"), 0444, "Y\n" },
	{ "sys/module/vfio_platform_base/version", 0444, "0.10\n" },
	{ "sys/module/vfio_amba/version", 0444, "0.10\n" },
};

/* Numbers are 32 bits wide in the one module that has any. */
static ssize_t param_store(void *priv, const char *buf, size_t len)
{
	const struct module_file *param = priv;
	unsigned long number;
	char text[32];
	bool yes;
	int ret;

	if (isdigit((unsigned char)param->value[0])) {
		ret = parse_ulong(buf, &number);
		if (!ret && number > UINT32_MAX)
			ret = fail(-EINVAL, "%lu does not fit 32 bits", number);
		snprintf(text, sizeof(text), "%lu\n", ret ? 0 : number);
	} else {
		ret = parse_bool(buf, &yes);
		snprintf(text, sizeof(text), "%c\n", !ret && yes ? 'Y' : 'N');
	}
	if (!ret)
		ret = kernfs_write(param->path, text, strlen(text));
	return ret ? fail(ret, "/%s keeps its value", param->path) : (ssize_t)len;
}

static const struct kernfs_ops param_ops = { .store = param_store };

static int add_modules(void)
{
	const struct module_file *file;
	int ret;

	for (file = module_files; file < module_files + ARRAY_SIZE(module_files); file++) {
		ret = add_text(file->path, file->mode, file->value, file->mode & 0200 ? &param_ops : NULL,
			       (void *)file);
		if (ret)
			return fail(ret, "/%s could not be made", file->path);
	}
	return 0;
}

/* The tree is the truth: any process of the machine may have changed it. */
bool vfio_noiommu_enabled(void)
{
	char text[2] = "N";

	return kernfs_read(NOIOMMU_PARAM, text, 1) == 1 && text[0] == 'Y';
}

int vfio_set_unsafe_noiommu_mode(bool on)
{
	return kernfs_write(NOIOMMU_PARAM, on ? "Y\n" : "N\n", 2);
}

int vfio_sysfs_init(void)
{
	const struct class_node node = { VFIO_CONTAINER_MAJOR, VFIO_CONTAINER_MINOR, "vfio/vfio", "DEVMODE=0666\n" };
	int ret = kernfs_create_dir("sys/class/vfio");

	if (!ret)
		ret = kernfs_create_dir("sys/class/vfio-dev");
	if (!ret)
		ret = class_device_add("sys/devices/virtual/misc/vfio", "misc", &node);
	if (!ret)
		ret = add_modules();
	return ret;
}
