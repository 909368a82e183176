/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * class.c - devices that are no bus's: of the classes misc, vfio, vfio-dev, iommu, pci_bus.
 *
 *	<dir>/{subsystem,uevent,power/}		what each has
 *	<dir>/dev, /sys/dev/char/MAJOR:MINOR	if it has a node
 *	/sys/class/<class>/<name>		-> <dir>
 *
 * They live in the tree alone: no process has more of them in memory.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"

static const struct kernfs_ops uevent_ops = {.store = device_uevent_store};

void class_init(void)
{
	kernfs_common("uevent", &uevent_ops);
}

static int add_text(const char *dir, const char *name, u32 mode, const char *text)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return kernfs_create_file(path, mode, text, strlen(text), NULL, NULL);
}

static int add_node(const char *dir, const struct class_node *node)
{
	char text[160];
	int err;

	snprintf(text, sizeof(text), "%u:%u\n", node->major, node->minor);
	err = add_text(dir, "dev", 0444, text);
	if (err)
		return err;
	snprintf(text, sizeof(text), "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n%s", node->major, node->minor, node->name,
		 node->more ? node->more : "");
	err = add_text(dir, "uevent", 0644, text);
	snprintf(text, sizeof(text), "sys/dev/char/%u:%u", node->major, node->minor);
	return err ? err : kernfs_link_to(text, dir);
}

static void class_link(const char *dir, const char *class, char path[BASE_PATH_MAX])
{
	snprintf(path, BASE_PATH_MAX, "sys/class/%s/%s", class, strrchr(dir, '/') + 1);
}

int device_add_dir(const char *dir)
{
	int err = kernfs_create_dir(dir);

	if (!err)
		err = add_text(dir, "uevent", 0644, "");
	return err ? err : power_add(dir, false);
}

int class_device_add(const char *dir, const char *class, const struct class_node *node)
{
	char path[BASE_PATH_MAX], of[64];
	int err = node ? add_node(dir, node) : 0;

	if (!err)
		err = device_add_dir(dir); /* which leaves the uevent of a node alone */
	snprintf(of, sizeof(of), "sys/class/%s", class);
	snprintf(path, sizeof(path), "%s/subsystem", dir);
	if (!err)
		err = kernfs_link_to(path, of);
	class_link(dir, class, path);
	return err ? err : kernfs_link_to(path, dir);
}

void class_device_del(const char *dir, const char *class)
{
	char path[BASE_PATH_MAX], number[24] = "";

	class_link(dir, class, path);
	kernfs_remove(path);
	snprintf(path, sizeof(path), "%s/dev", dir);
	if (kernfs_read(path, number, sizeof(number) - 1) > 0) {
		number[strcspn(number, "\n")] = '\0';
		snprintf(path, sizeof(path), "sys/dev/char/%s", number);
		kernfs_remove(path);
	}
	kernfs_remove(dir);
}
