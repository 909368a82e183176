/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tidy.c - what processes left undone that were killed.
 *
 *	state.d/used/<pid>.<device>	that process has the device open
 *	state.d/detaching/<device>	it is taken from the driver whose name is in the file, perhaps waiting for its users
 *
 * On Linux a process that ends closes its files, and what it was waiting for in the kernel comes to its end.  Here its
 * part of the kernel ends with it.  So whoever begins something that the tree shows leaves a file until that is over, and
 * the next process that comes to the machine looks for files that nobody stands behind.
 *
 * Who takes a device from its driver holds the tree lock all the time: whoever finds such a file with the lock in his hands
 * knows that.  Of a device that is open the driver knows (used).
 */
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define USED_DIR "state.d/used"
#define DETACHING_DIR "state.d/detaching"
#define LEFT_MAX 64 /* of one kind, at a time */

static void file_of(const char *dir, const char *name, char path[BASE_PATH_MAX])
{
	snprintf(path, BASE_PATH_MAX, "%s/%s", dir, name);
}

void device_used(struct device *dev, bool used)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), USED_DIR "/%d.%s", sys_getpid(), dev->name);
	if (used)
		kernfs_create_file(path, 0644, NULL, 0, NULL, NULL);
	else
		kernfs_remove(path);
}

void device_detaching(struct device *dev, const char *driver)
{
	char path[BASE_PATH_MAX];

	file_of(DETACHING_DIR, dev->name, path);
	if (driver)
		kernfs_create_file(path, 0644, driver, strlen(driver), NULL, NULL);
	else
		kernfs_remove(path);
}

/* ---- looking ------------------------------------------------------------------------------- */

static struct device *find(const char *name)
{
	struct bus_type *bus;
	struct device *dev = NULL;

	TAILQ_FOREACH(bus, &bus_list, node) {
		dev = bus_find_device(bus, name);
		if (dev)
			break;
	}
	return dev;
}

/* Return: did the tree change? */
static bool finish_use(const char *name)
{
	const char *dot = strchr(name, '.');
	struct device *dev = dot ? find(dot + 1) : NULL;
	char path[BASE_PATH_MAX];

	if (dev && dev->driver && dev->driver->used && dev->driver->used(dev))
		return false;
	file_of(USED_DIR, name, path);
	kernfs_remove(path);
	if (!dev || !dev->driver || !dev->driver->user_gone)
		return false;
	explain_event("process %.*s had %s open and ended without closing it", (int)(dot - name), name, dev->name);
	dev->driver->user_gone(dev);
	return true;
}

static bool finish_detaching(const char *name)
{
	char path[BASE_PATH_MAX], driver[64];
	struct device *dev = find(name);
	struct device_driver *drv;
	ssize_t len;

	file_of(DETACHING_DIR, name, path);
	len = kernfs_read(path, driver, sizeof(driver) - 1);
	driver[len > 0 ? len : 0] = '\0';
	drv = dev ? bus_find_driver(dev->bus, driver) : NULL;
	if (drv && drv->used && drv->used(dev))
		return false;
	if (drv) {
		explain_event("%s was being taken from %s by a process that is gone: finishing that", name, driver);
		driver_finish_detach(drv, dev);
	}
	kernfs_remove(path);
	return drv;
}

/* Names are taken first, since what is done with one changes the directory. */
struct names {
	char name[LEFT_MAX][64];
	unsigned nr;
};

static int take_name(void *arg, const char *name)
{
	struct names *names = arg;

	if (names->nr < LEFT_MAX && strlen(name) < sizeof(names->name[0]))
		strcpy(names->name[names->nr++], name);
	return 0;
}

bool device_for_each_left(const char *dir, bool (*finish)(const char *name))
{
	struct names names = {.nr = 0};
	bool changed = false;

	kernfs_for_each(dir, take_name, &names);
	for (unsigned i = 0; i < names.nr; i++)
		changed |= finish(names.name[i]);
	return changed;
}

void device_tidy(void)
{
	struct bus_type *bus;
	bool changed;

	kernfs_assert_locked();
	changed = device_for_each_left(DETACHING_DIR, finish_detaching);
	changed |= device_for_each_left(USED_DIR, finish_use);
	TAILQ_FOREACH(bus, &bus_list, node)
		if (bus->tidy)
			changed |= bus->tidy(bus);
	if (changed)
		device_changed();
}
