/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dd.c - devices and drivers come together and part.
 *
 * The idea: the link <device>/driver in the tree is the binding.  A process that binds makes the link
 * and tells the others by moving the machine's generation; a process whose memory is behind the
 * generation compares each link with what it knows, and probes and removes until both agree.
 *
 * What always holds, with the tree lock held and device_sync_locked() done: dev->driver is the driver
 * that the link names, unless that driver is unknown here, refused the device here, or is still used by
 * a program of this process.
 *
 * Dangerous: remove() may wait for programs to let go.  Where another process unbound a device that a
 * program here still uses, waiting would be for ourselves: see in_use.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

#define NEVER_SYNCED (~0ull)

/* The generation that memory agrees with; written under the tree lock. */
static _Atomic u64 synced = NEVER_SYNCED;

/* ---- links --------------------------------------------------------------------------------- */

static void driver_path(const struct device_driver *drv, char *path)
{
	snprintf(path, BASE_PATH_MAX, "sys/bus/%s/drivers/%s", drv->bus->name, drv->name);
}

static void device_link_path(const struct device *dev, char *path)
{
	snprintf(path, BASE_PATH_MAX, "%s/driver", dev->path);
}

static void driver_link_path(const struct device_driver *drv, const struct device *dev, char *path)
{
	snprintf(path, BASE_PATH_MAX, "sys/bus/%s/drivers/%s/%s", drv->bus->name, drv->name, dev->name);
}

static int make_links(struct device_driver *drv, struct device *dev)
{
	char from[BASE_PATH_MAX], to[BASE_PATH_MAX];
	int err;

	driver_link_path(drv, dev, from);
	err = kernfs_link_to(from, dev->path);
	if (err)
		return err;
	device_link_path(dev, from);
	driver_path(drv, to);
	return kernfs_link_to(from, to);
}

static void remove_driver_links(struct device_driver *drv, struct device *dev)
{
	char path[BASE_PATH_MAX];

	driver_link_path(drv, dev, path);
	kernfs_remove(path);
	device_link_path(dev, path);
	kernfs_remove(path);
}

/* ---- one device, one driver; device lock held ---------------------------------------------- */

static int take(struct device_driver *drv, struct device *dev)
{
	struct bus_type *bus = dev->bus;
	int err = 0;

	dev->driver = drv;
	if (bus->dma_configure)
		err = bus->dma_configure(dev, drv);
	if (err)
		goto err_forget;
	err = drv->probe ? drv->probe(dev) : 0;
	if (!err)
		return 0;
	if (bus->dma_cleanup)
		bus->dma_cleanup(dev, drv);
err_forget:
	dev->driver = NULL;
	dev->driver_data = NULL;
	return err;
}

static void give_back(struct device_driver *drv, struct device *dev)
{
	if (drv->remove)
		drv->remove(dev);
	if (dev->bus->dma_cleanup)
		dev->bus->dma_cleanup(dev, drv);
	dev->driver = NULL;
	dev->driver_data = NULL;
}

int driver_bind(struct device_driver *drv, struct device *dev)
{
	int err;

	kernfs_assert_locked();
	mutex_lock(&dev->lock);
	err = take(drv, dev);
	if (!err) {
		err = make_links(drv, dev);
		if (err) {
			remove_driver_links(drv, dev);
			give_back(drv, dev);
		}
	}
	mutex_unlock(&dev->lock);
	if (!err)
		device_write_uevent(dev);
	if (!err && !kernfs_creating())
		device_detaching(dev, NULL); /* whoever did that is gone */
	return err;
}

void device_driver_detach(struct device *dev)
{
	struct device_driver *drv;

	kernfs_assert_locked();
	if (dev->driver && dev->bus->detaching)
		dev->bus->detaching(dev);
	mutex_lock(&dev->lock);
	drv = dev->driver;
	if (drv) {
		device_detaching(dev, drv->name);
		remove_driver_links(drv, dev);
		give_back(drv, dev);
	}
	mutex_unlock(&dev->lock);
	if (!drv)
		return;
	device_write_uevent(dev);
	device_detaching(dev, NULL);
}

/* It is taken once more, in memory only, so that what its driver made can be given back. */
void driver_finish_detach(struct device_driver *drv, struct device *dev)
{
	int err;

	if (dev->driver) {
		device_driver_detach(dev);
		return;
	}
	mutex_lock(&dev->lock);
	kernfs_follow(true);
	err = take(drv, dev);
	kernfs_follow(false);
	if (!err)
		give_back(drv, dev);
	mutex_unlock(&dev->lock);
	device_write_uevent(dev);
}

bool device_driver_in_use(struct device *dev)
{
	return dev->driver && dev->driver->in_use && dev->driver->in_use(dev);
}

/* ---- looking for a partner ----------------------------------------------------------------- */

static int not_matching(struct device_driver *drv, struct device *dev)
{
	if (dev->driver_override && strcmp(dev->driver_override, drv->name))
		return fail(-ENODEV, "driver_override of %s is %s, so %s may not have it", dev->name,
			    dev->driver_override, drv->name);
	return fail(-ENODEV,
		    "%s has no id that fits %s: write %s to its driver_override%s", drv->name, dev->name,
		    drv->name, dev->bus->add_driver_attrs ? ", or its ids to new_id" : "");
}

int device_driver_attach(struct device_driver *drv, struct device *dev)
{
	kernfs_assert_locked();
	if (!dev->bus->match(dev, drv))
		return not_matching(drv, dev);
	if (dev->driver)
		return fail(-EBUSY, "%s is bound to %s: unbind it first", dev->name, dev->driver->name);
	return driver_bind(drv, dev);
}

int device_attach(struct device *dev)
{
	struct device_driver *drv;

	kernfs_assert_locked();
	TAILQ_FOREACH(drv, &dev->bus->drivers, bus_node)
		if (!dev->driver && dev->bus->match(dev, drv) && !driver_bind(drv, dev))
			return 1;
	return 0;
}

void driver_attach(struct device_driver *drv)
{
	struct device *dev;

	kernfs_assert_locked();
	TAILQ_FOREACH(dev, &drv->bus->devices, bus_node)
		if (!dev->driver && drv->bus->match(dev, drv))
			driver_bind(drv, dev);
}

/* ---- following other processes ------------------------------------------------------------- */

static bool linked_to(struct device *dev, char *name, size_t size)
{
	char path[BASE_PATH_MAX];

	device_link_path(dev, path);
	return kernfs_readlink_name(path, name, size) > 0;
}

/* Return: false if it has to be tried again later. */
static bool follow_unbind(struct device *dev)
{
	char name[64];

	if (!dev->driver)
		return true;
	if (linked_to(dev, name, sizeof(name)) && !strcmp(name, dev->driver->name))
		return true;
	if (device_driver_in_use(dev))
		return false;
	mutex_lock(&dev->lock);
	give_back(dev->driver, dev);
	mutex_unlock(&dev->lock);
	return true;
}

/* Return: false if it has to be tried again later: memory was short, and the link is still there. */
static bool follow_bind(struct device *dev)
{
	struct device_driver *drv;
	char name[64];
	int err;

	if (dev->driver || !linked_to(dev, name, sizeof(name)))
		return true;
	drv = bus_find_driver(dev->bus, name);
	if (!drv)
		return true;
	mutex_lock(&dev->lock);
	err = take(drv, dev);
	mutex_unlock(&dev->lock);
	if (err)
		explain_event("%s is bound to %s in the machine's tree, but here its probe failed: %s",
			      dev->name, drv->name, strerror(-err));
	return err != -ENOMEM;
}

void driver_follow_link(struct device *dev)
{
	kernfs_assert_locked();
	kernfs_follow(true);
	follow_bind(dev);
	kernfs_follow(false);
}

/* Unbind everything before binding anything: a group may have moved as a whole. */
static bool follow_bus(struct bus_type *bus)
{
	struct device *dev;
	bool done = true;

	if (bus->sync)
		done = bus->sync(bus);
	TAILQ_FOREACH(dev, &bus->devices, bus_node) {
		device_follow_override(dev);
		done &= follow_unbind(dev);
	}
	TAILQ_FOREACH(dev, &bus->devices, bus_node)
		done &= follow_bind(dev);
	return done;
}

void device_sync_locked(void)
{
	u64 now = kernfs_generation();
	struct bus_type *bus;
	bool done = true;

	kernfs_assert_locked();
	if (!kernfs_root())
		return; /* no tree to follow: the machine is being torn down */
	if (now == atomic_load_explicit(&synced, memory_order_relaxed))
		return;
	kernfs_follow(true);
	TAILQ_FOREACH(bus, &bus_list, node)
		done &= follow_bus(bus);
	kernfs_follow(false);
	if (done)
		atomic_store_explicit(&synced, now, memory_order_release);
}

void device_sync_reset(void)
{
	atomic_store_explicit(&synced, NEVER_SYNCED, memory_order_release);
}

void device_sync(void)
{
	if (kernfs_generation() == atomic_load_explicit(&synced, memory_order_acquire))
		return;
	if (!kernfs_lock_unless_waiting())
		return; /* what is under way has not happened yet */
	device_sync_locked();
	kernfs_unlock();
}

/* If memory agreed with the tree before our change, it does after. */
void device_changed(void)
{
	bool agreed = kernfs_generation() == atomic_load_explicit(&synced, memory_order_relaxed);

	kernfs_assert_locked();
	kernfs_generation_bump();
	if (agreed)
		atomic_store_explicit(&synced, kernfs_generation(), memory_order_release);
}
