/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus.c - a bus in the tree: /sys/bus/<name>, and who is on it.
 *
 * A bus is little more than two lists and a match(); what makes it visible are its links in devices/
 * and its drivers/.  drivers_autoprobe lives in its file only, so that all processes agree on it.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

struct bus_list bus_list = TAILQ_HEAD_INITIALIZER(bus_list);

struct device *bus_find_device(struct bus_type *bus, const char *name)
{
	struct device *dev;

	TAILQ_FOREACH(dev, &bus->devices, bus_node)
		if (!strcmp(dev->name, name))
			return dev;
	return NULL;
}

struct device_driver *bus_find_driver(struct bus_type *bus, const char *name)
{
	struct device_driver *drv;

	TAILQ_FOREACH(drv, &bus->drivers, bus_node)
		if (!strcmp(drv->name, name))
			return drv;
	return NULL;
}

/* ---- attributes ---------------------------------------------------------------------------- */

static int probe_by_name(struct bus_type *bus, const char *text)
{
	char name[64];
	struct device *dev;
	int err = name_of(text, name, sizeof(name));

	if (err)
		return err;
	dev = bus_find_device(bus, name);
	if (!dev)
		return fail(-ENODEV, "there is no device %s on bus %s", name, bus->name);
	if (dev->driver)
		explain_note("%s has the driver %s already: nothing to probe", name, dev->driver->name);
	else if (!device_attach(dev))
		explain_note("no driver took %s: it stays without one", name);
	return 0;
}

/* A device that no driver wants is no error here, on Linux either. */
static ssize_t drivers_probe_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_begin();

	if (err)
		return err;
	err = probe_by_name(priv, buf);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

static ssize_t drivers_autoprobe_store(void *priv, const char *buf, size_t len)
{
	struct bus_type *bus = priv;
	char path[BASE_PATH_MAX];
	int err = device_store_begin();

	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/bus/%s/drivers_autoprobe", bus->name);
	err = kernfs_write(path, buf[0] == '0' ? "0\n" : "1\n", 2);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

static ssize_t rescan_store(void *priv, const char *buf, size_t len)
{
	struct bus_type *bus = priv;
	int err = device_store_trigger(buf);

	if (err <= 0)
		return err ? err : (ssize_t)len;
	err = bus->rescan(bus);
	device_store_end(true);
	return err ? err : (ssize_t)len;
}

static const struct kernfs_ops probe_ops = {.store = drivers_probe_store};
static const struct kernfs_ops autoprobe_ops = {.store = drivers_autoprobe_store};
static const struct kernfs_ops rescan_ops = {.store = rescan_store};

static int add_file(struct bus_type *bus, const char *name, u32 mode, const char *content,
		    const struct kernfs_ops *ops)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "sys/bus/%s/%s", bus->name, name);
	return kernfs_create_same(path, mode, content, ops, bus);
}

static int add_dir(struct bus_type *bus, const char *name)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "sys/bus/%s/%s", bus->name, name);
	return kernfs_create_dir(path);
}

static int add_files(struct bus_type *bus)
{
	int err = add_dir(bus, "devices");

	if (!err)
		err = add_dir(bus, "drivers");
	if (!err)
		err = add_file(bus, "drivers_probe", 0200, "", &probe_ops);
	if (!err)
		err = add_file(bus, "drivers_autoprobe", 0644, "1\n", &autoprobe_ops);
	if (!err)
		err = add_file(bus, "uevent", 0200, "", NULL);
	if (!err && bus->rescan)
		err = add_file(bus, "rescan", 0200, "", &rescan_ops);
	return err;
}

int bus_register(struct bus_type *bus)
{
	int err;

	kernfs_assert_locked();
	TAILQ_INIT(&bus->devices);
	TAILQ_INIT(&bus->drivers);
	device_sync_reset();
	power_init();
	class_init();
	err = add_files(bus);
	if (!err)
		TAILQ_INSERT_TAIL(&bus_list, bus, node);
	return err;
}

void bus_unregister(struct bus_type *bus)
{
	char path[BASE_PATH_MAX];

	kernfs_assert_locked();
	TAILQ_REMOVE(&bus_list, bus, node);
	snprintf(path, sizeof(path), "sys/bus/%s", bus->name);
	if (kernfs_creating()) {
		kernfs_remove(path);
	} else {
		kernfs_follow(true);
		kernfs_remove(path);
		kernfs_follow(false);
	}
}
