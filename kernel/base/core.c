/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core.c - a device: its directory, its links, what all devices have in them.
 *
 * A device that is enlisted has a directory; the other way round it need not be so: a directory can
 * belong to a device that this process is only about to attach to.  That is how device_register()
 * knows whether a device is new to the machine or only to the process.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

/* ---- uevent -------------------------------------------------------------------------------- */

static size_t uevent_text(struct device *dev, char *buf, size_t size)
{
	int len = 0, more = 0;

	if (dev->driver)
		len = snprintf(buf, size, "DRIVER=%s\n", dev->driver->name);
	if (dev->bus->uevent)
		more = dev->bus->uevent(dev, buf + len, size - (size_t)len);
	return (size_t)len + (more > 0 ? (size_t)more : 0);
}

void device_write_uevent(struct device *dev)
{
	char path[BASE_PATH_MAX], text[1024];
	size_t len = uevent_text(dev, text, sizeof(text));

	snprintf(path, sizeof(path), "%s/uevent", dev->path);
	if (kernfs_exists(path))
		kernfs_write(path, text, len);
}

/* ---- driver_override ----------------------------------------------------------------------- */

static void override_path(const struct device *dev, char *path)
{
	snprintf(path, BASE_PATH_MAX, "%s/driver_override", dev->path);
}

/* The file says "(null)" when there is none, as on Linux. */
static size_t override_text(const struct device *dev, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "%s\n", dev->driver_override ? dev->driver_override : "(null)");
}

int device_set_override(struct device *dev, const char *text, size_t len)
{
	char path[BASE_PATH_MAX], content[PAGE_SIZE + 8], *name = NULL;
	size_t name_len = strcspn(text, "\n");

	if (len >= PAGE_SIZE - 1)
		return fail(-EINVAL, "a driver's name of %zu bytes is longer than the page that shows it",
			    len);
	if (name_len) {
		name = kstrndup(text, name_len);
		if (!name)
			return fail(-ENOMEM, "no memory for the name of a driver");
	}
	kfree(dev->driver_override);
	dev->driver_override = name;
	override_path(dev, path);
	return kernfs_write(path, content, override_text(dev, content, sizeof(content)));
}

void device_follow_override(struct device *dev)
{
	char path[BASE_PATH_MAX], buf[PAGE_SIZE + 1], *name = NULL;
	ssize_t len;

	override_path(dev, path);
	len = kernfs_read(path, buf, PAGE_SIZE);
	if (len < 0)
		return;
	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (buf[0] && strcmp(buf, "(null)")) {
		name = kstrdup(buf);
		if (!name)
			return; /* what we knew before is the better guess */
	}
	kfree(dev->driver_override);
	dev->driver_override = name;
}

static ssize_t override_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_begin();

	if (err)
		return err;
	err = device_set_override(priv, buf, len);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

/* ---- registration -------------------------------------------------------------------------- */

static const struct kernfs_ops override_ops = {.store = override_store};

static int add_file(struct device *dev, const char *name, u32 mode, const char *text,
		    const struct kernfs_ops *ops)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dev->path, name);
	return kernfs_create_file(path, mode, text, strlen(text), ops, dev);
}

static int add_links(struct device *dev)
{
	char path[BASE_PATH_MAX], bus[64];
	int err;

	snprintf(bus, sizeof(bus), "sys/bus/%s", dev->bus->name);
	snprintf(path, sizeof(path), "%s/subsystem", dev->path);
	err = kernfs_link_to(path, bus);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/devices/%s", bus, dev->name);
	return kernfs_link_to(path, dev->path);
}

static int add_files(struct device *dev)
{
	char text[PAGE_SIZE + 8];
	int err;

	text[uevent_text(dev, text, sizeof(text))] = '\0';
	err = add_file(dev, "uevent", 0644, text, NULL);
	if (err)
		return err;
	override_text(dev, text, sizeof(text));
	err = add_file(dev, "driver_override", 0644, text, &override_ops);
	return err ? err : power_add(dev->path, !dev->bus->no_runtime_pm);
}

static bool autoprobe(const struct bus_type *bus)
{
	char path[BASE_PATH_MAX], answer = '1';

	snprintf(path, sizeof(path), "sys/bus/%s/drivers_autoprobe", bus->name);
	kernfs_read(path, &answer, 1);
	return answer != '0';
}

static void remove_links(struct device *dev)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "sys/bus/%s/devices/%s", dev->bus->name, dev->name);
	kernfs_remove(path);
	kernfs_remove(dev->path);
}

int device_register(struct device *dev, bool no_probe)
{
	char path[BASE_PATH_MAX];
	int err;

	kernfs_assert_locked();
	snprintf(path, sizeof(path), "%s/uevent", dev->path);
	dev->found = kernfs_exists(path);
	mutex_init(&dev->lock, LOCK_DEVICE);
	dev->driver = NULL;
	err = kernfs_create_dir(dev->path);
	if (!err)
		err = add_links(dev);
	if (!err)
		err = add_files(dev);
	if (!err && dev->bus->add_device_attrs)
		err = dev->bus->add_device_attrs(dev);
	if (err) {
		if (!dev->found)
			remove_links(dev);
		return err;
	}
	TAILQ_INSERT_TAIL(&dev->bus->devices, dev, bus_node);
	if (dev->found)
		device_follow_override(dev);
	if (!no_probe)
		device_initial_probe(dev);
	return 0;
}

void device_initial_probe(struct device *dev)
{
	if (dev->found)
		driver_follow_link(dev);
	else if (autoprobe(dev->bus))
		device_attach(dev);
}

void device_unregister(struct device *dev)
{
	kernfs_assert_locked();
	device_driver_detach(dev);
	TAILQ_REMOVE(&dev->bus->devices, dev, bus_node);
	remove_links(dev);
	kfree(dev->driver_override);
	dev->driver_override = NULL;
	mutex_destroy(&dev->lock);
}
