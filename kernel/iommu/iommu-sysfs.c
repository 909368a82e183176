/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu-sysfs.c - what programs see of groups and units.
 *
 *	/sys/kernel/iommu_groups/N/devices/<bdf>	link to the device
 *	/sys/kernel/iommu_groups/N/reserved_regions	"0x00000000fee00000 0x00000000feefffff msi" lines
 *	/sys/kernel/iommu_groups/N/type			"DMA", "DMA-FQ" or "identity"; may be written
 *	/sys/kernel/iommu_groups/N/name			"vfio-noiommu", of groups without an IOMMU only
 *	<device>/iommu_group, <device>/iommu		links; without an IOMMU there is only the first
 *	/sys/class/iommu/ivhd0				link to /sys/devices/virtual/iommu/ivhd0
 *	.../virtual/iommu/ivhd0/devices/<bdf>		link to the device
 *	.../virtual/iommu/dmar0/intel-iommu/...		what the unit's driver adds
 *
 * The text of "type" in the tree is what counts between the processes of a machine; each reads it when
 * it first meets the group.
 *
 * Answers and modes as seen on Linux 7.2 with an AMD and an Intel IOMMU.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

#define GROUPS_DIR "sys/kernel/iommu_groups"
#define UNITS_DIR "sys/devices/virtual/iommu"
#define PATH_SIZE 256
#define RESV_MAX 16

static const char *const type_names[IOMMU_DEFAULT_TYPES] = {
	[IOMMU_DEFAULT_DMA] = "DMA",
	[IOMMU_DEFAULT_DMA_FQ] = "DMA-FQ",
	[IOMMU_DEFAULT_IDENTITY] = "identity",
};

/* ---- a unit ---- */

int iommu_sysfs_add_unit(struct iommu_device *iommu)
{
	char unit[PATH_SIZE], path[PATH_SIZE + 32];
	int err;

	if (iommu == &iommu_none)
		return kernfs_create_dir("sys/class/iommu"); /* of which there is none */
	snprintf(unit, sizeof(unit), UNITS_DIR "/%s", iommu->name);
	err = class_device_add(unit, "iommu", NULL);
	snprintf(path, sizeof(path), "%s/devices", unit);
	if (!err)
		err = kernfs_create_dir(path);
	if (!err && iommu->ops->sysfs_add)
		err = iommu->ops->sysfs_add(iommu, unit);
	return err;
}

void iommu_sysfs_remove_unit(struct iommu_device *iommu)
{
	char path[PATH_SIZE];

	if (iommu == &iommu_none)
		return;
	snprintf(path, sizeof(path), UNITS_DIR "/%s", iommu->name);
	class_device_del(path, "iommu");
}

/* ---- a group ---- */

static void group_path(const struct iommu_group *group, const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, GROUPS_DIR "/%u%s%s", group->id, *name ? "/" : "", name);
}

static int type_parse(const char *text, size_t len)
{
	if (len && text[len - 1] == '\n')
		len--;
	for (int i = 0; i < IOMMU_DEFAULT_TYPES; i++)
		if (len == strlen(type_names[i]) && memcmp(text, type_names[i], len) == 0)
			return i;
	return -EINVAL;
}

static enum iommu_default_type first_type(const struct iommu_device *iommu)
{
	return iommu->ops->lazy_flush ? IOMMU_DEFAULT_DMA_FQ : IOMMU_DEFAULT_DMA;
}

enum iommu_default_type iommu_sysfs_default_type(const struct iommu_group *group)
{
	char path[PATH_SIZE], text[32];
	ssize_t len;
	int type;

	group_path(group, "type", path);
	len = kernfs_read(path, text, sizeof(text));
	type = len > 0 ? type_parse(text, len) : -EINVAL;
	return type < 0 ? IOMMU_DEFAULT_DMA : (enum iommu_default_type)type;
}

static ssize_t type_store(void *priv, const char *buf, size_t len)
{
	struct iommu_group *group = priv;
	char path[PATH_SIZE], text[32];
	bool is_auto = len >= 4 && memcmp(buf, "auto", 4) == 0 && (len == 4 || (len == 5 && buf[4] == '\n'));
	int type = is_auto ? IOMMU_DEFAULT_DMA : type_parse(buf, len), err;
	struct group_device *gdev;

	if (type < 0)
		return fail(-EINVAL, "a group's type is identity, DMA, DMA-FQ or auto");
	err = device_store_begin(); /* from here on the group is known to be there */
	if (err)
		return err;
	gdev = TAILQ_FIRST(&group->devices);
	if (is_auto && gdev)
		type = first_type(gdev->iommu);
	err = iommu_group_set_default_type(group, type);
	group_path(group, "type", path);
	snprintf(text, sizeof(text), "%s\n", type_names[type]);
	if (!err)
		err = kernfs_write(path, text, strlen(text));
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

static const struct kernfs_ops type_ops = { .store = type_store };

static ssize_t no_type_store(void *priv, const char *buf, size_t len)
{
	return fail(-EINVAL, "the group has no IOMMU behind it: it has no default domain to choose");
}

static const struct kernfs_ops no_type_ops = { .store = no_type_store };

static size_t resv_text(struct iommu_device *iommu, struct device *dev, char *text, size_t size)
{
	static const char *const names[] = {
		[IOMMU_RESV_DIRECT] = "direct",
		[IOMMU_RESV_RESERVED] = "reserved",
		[IOMMU_RESV_MSI] = "msi",
		[IOMMU_RESV_SW_MSI] = "msi",
	};
	struct iommu_resv_region regions[RESV_MAX];
	size_t n = iommu_device_resv_regions(iommu, dev, regions, RESV_MAX), used = 0;

	for (size_t i = 0; i < n && used < size; i++)
		used += snprintf(text + used, size - used, "0x%016llx 0x%016llx %s\n",
				 (unsigned long long)regions[i].start, (unsigned long long)regions[i].last,
				 names[regions[i].type]);
	return min(used, size);
}

/* What a group has that no IOMMU is behind. */
static int add_noiommu_files(struct iommu_group *group)
{
	char path[PATH_SIZE];
	int err;

	group_path(group, "name", path);
	err = kernfs_create_file(path, 0444, "vfio-noiommu\n", 13, NULL, NULL);
	group_path(group, "type", path);
	return err ? err : kernfs_create_file(path, 0644, "unknown\n", 8, &no_type_ops, NULL);
}

int iommu_sysfs_add_group(struct iommu_group *group, struct iommu_device *iommu, struct device *dev)
{
	char path[PATH_SIZE], text[RESV_MAX * 64];
	size_t len;
	int err;

	group_path(group, "devices", path);
	err = kernfs_create_dir(path);
	group_path(group, "reserved_regions", path);
	len = resv_text(iommu, dev, text, sizeof(text));
	if (!err)
		err = kernfs_create_file(path, 0444, text, len, NULL, NULL);
	if (err)
		return err;
	if (iommu == &iommu_none)
		return add_noiommu_files(group);
	group_path(group, "type", path);
	snprintf(text, sizeof(text), "%s\n", type_names[first_type(iommu)]);
	return kernfs_create_file(path, 0644, text, strlen(text), &type_ops, group);
}

void iommu_sysfs_remove_group(struct iommu_group *group)
{
	char path[PATH_SIZE];

	group_path(group, "", path);
	kernfs_remove(path);
}

/* ---- a device ---- */

int iommu_sysfs_add_device(struct iommu_group *group, struct group_device *gdev)
{
	char path[PATH_SIZE * 2], to[PATH_SIZE];
	int err;

	snprintf(path, sizeof(path), GROUPS_DIR "/%u/devices/%s", group->id, gdev->dev->name);
	err = kernfs_link_to(path, gdev->dev->path);
	snprintf(path, sizeof(path), "%s/iommu_group", gdev->dev->path);
	group_path(group, "", to);
	if (!err)
		err = kernfs_link_to(path, to);
	if (err || gdev->iommu == &iommu_none)
		return err;
	snprintf(path, sizeof(path), "%s/iommu", gdev->dev->path);
	snprintf(to, sizeof(to), UNITS_DIR "/%s", gdev->iommu->name);
	err = kernfs_link_to(path, to);
	snprintf(path, sizeof(path), UNITS_DIR "/%s/devices/%s", gdev->iommu->name, gdev->dev->name);
	if (!err)
		err = kernfs_link_to(path, gdev->dev->path);
	return err;
}

void iommu_sysfs_remove_device(struct iommu_group *group, struct group_device *gdev)
{
	char path[PATH_SIZE * 2];

	if (gdev->iommu != &iommu_none) {
		snprintf(path, sizeof(path), UNITS_DIR "/%s/devices/%s", gdev->iommu->name, gdev->dev->name);
		kernfs_remove(path);
		snprintf(path, sizeof(path), "%s/iommu", gdev->dev->path);
		kernfs_remove(path);
	}
	snprintf(path, sizeof(path), "%s/iommu_group", gdev->dev->path);
	kernfs_remove(path);
	snprintf(path, sizeof(path), GROUPS_DIR "/%u/devices/%s", group->id, gdev->dev->name);
	kernfs_remove(path);
}
