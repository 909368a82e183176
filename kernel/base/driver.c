/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver.c - a driver in the tree: /sys/bus/<bus>/drivers/<name> with bind, unbind and uevent.
 *
 * The errnos of bind and unbind are what shell scripts (and people) look at; they are Linux 7.2's:
 * ENODEV for a device that is not there, does not match, or is not this driver's; EBUSY for one that
 * matches and has a driver.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

static struct device *find_device(struct device_driver *drv, const char *text)
{
	char name[64];
	struct device *dev;
	int err = name_of(text, name, sizeof(name));

	if (err)
		return ERR_PTR(err);
	dev = bus_find_device(drv->bus, name);
	if (!dev)
		return ERR_PTR(fail(-ENODEV, "there is no device %s on bus %s", name, drv->bus->name));
	return dev;
}

static ssize_t bind_store(void *priv, const char *buf, size_t len)
{
	struct device_driver *drv = priv;
	struct device *dev;
	int err = device_store_begin();

	if (err)
		return err;
	dev = find_device(drv, buf);
	err = IS_ERR(dev) ? (int)PTR_ERR(dev) : device_driver_attach(drv, dev);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

static int unbind(struct device_driver *drv, struct device *dev)
{
	if (!dev->driver)
		return fail(-ENODEV, "%s has no driver", dev->name);
	if (dev->driver != drv)
		return fail(-ENODEV, "%s is bound to %s, not to %s", dev->name, dev->driver->name, drv->name);
	device_driver_detach(dev);
	return 0;
}

static ssize_t unbind_store(void *priv, const char *buf, size_t len)
{
	struct device_driver *drv = priv;
	struct device *dev;
	int err = device_store_begin();

	if (err)
		return err;
	dev = find_device(drv, buf);
	err = IS_ERR(dev) ? (int)PTR_ERR(dev) : unbind(drv, dev);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

static const struct kernfs_ops bind_ops = {.store = bind_store};
static const struct kernfs_ops unbind_ops = {.store = unbind_store};

static int add_file(struct device_driver *drv, const char *name, const struct kernfs_ops *ops)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "sys/bus/%s/drivers/%s/%s", drv->bus->name, drv->name, name);
	return kernfs_create_same(path, 0200, "", ops, drv);
}

static int add_module_link(struct device_driver *drv)
{
	char path[BASE_PATH_MAX], to[BASE_PATH_MAX];

	if (!drv->mod_name)
		return 0;
	snprintf(path, sizeof(path), "sys/bus/%s/drivers/%s/module", drv->bus->name, drv->name);
	snprintf(to, sizeof(to), "sys/module/%s", drv->mod_name);
	return kernfs_link_to(path, to);
}

static void remove_dir(struct device_driver *drv)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "sys/bus/%s/drivers/%s", drv->bus->name, drv->name);
	kernfs_remove(path);
}

int driver_register(struct device_driver *drv)
{
	struct device *dev;
	int err;

	kernfs_assert_locked();
	if (bus_find_driver(drv->bus, drv->name))
		return fail(-EBUSY, "bus %s has a driver %s already", drv->bus->name, drv->name);
	err = add_file(drv, "bind", &bind_ops);
	if (!err)
		err = add_file(drv, "unbind", &unbind_ops);
	if (!err)
		err = add_file(drv, "uevent", NULL);
	if (!err)
		err = add_module_link(drv);
	if (!err && drv->bus->add_driver_attrs)
		err = drv->bus->add_driver_attrs(drv);
	if (err) {
		if (kernfs_creating())
			remove_dir(drv);
		return err;
	}
	TAILQ_INSERT_TAIL(&drv->bus->drivers, drv, bus_node);
	if (kernfs_creating()) {
		driver_attach(drv);
		return 0;
	}
	TAILQ_FOREACH(dev, &drv->bus->devices, bus_node)
		driver_follow_link(dev);
	return 0;
}

void driver_unregister(struct device_driver *drv)
{
	const bool keep = !kernfs_creating();
	struct device *dev;

	kernfs_assert_locked();
	if (keep)
		kernfs_follow(true);
	TAILQ_FOREACH(dev, &drv->bus->devices, bus_node)
		if (dev->driver == drv)
			device_driver_detach(dev);
	TAILQ_REMOVE(&drv->bus->drivers, drv, bus_node);
	remove_dir(drv);
	if (keep)
		kernfs_follow(false);
}
