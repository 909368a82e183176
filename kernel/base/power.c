/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * power.c - the directory power/ that all devices have, those of classes too.
 *
 *	control			"auto", or "on" if the device is to stay awake; a program may write either
 *	runtime_status		"unsupported", or "active" and "suspended" of a device whose driver does runtime power management
 *	autosuspend_delay_ms	EIO: no driver of ours puts a device to sleep by the clock
 *	runtime_active_time, runtime_suspended_time	0: nobody measures
 *
 * What a driver says of its device it writes here when it changes, so that programs in all processes find it.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

static struct device *device_of(const char *path)
{
	struct bus_type *bus;
	struct device *dev;
	size_t len;

	TAILQ_FOREACH(bus, &bus_list, node) {
		TAILQ_FOREACH(dev, &bus->devices, bus_node) {
			len = strlen(dev->path);
			if (!strncmp(path, dev->path, len) && !strcmp(path + len, "/power/control"))
				return dev;
		}
	}
	return NULL; /* a class's */
}

static ssize_t control_store(void *priv, const char *buf, size_t len)
{
	const char *path = priv;
	struct device *dev;
	size_t n = strcspn(buf, "\n");
	bool on = n == 2 && !strncmp(buf, "on", 2);
	int err;

	if (!on && !(n == 4 && !strncmp(buf, "auto", 4)))
		return fail(-EINVAL, "\"%.32s\" is neither on nor auto", buf);
	err = device_store_begin();
	if (err)
		return err;
	err = kernfs_write(path, on ? "on\n" : "auto\n", on ? 3 : 5);
	dev = err ? NULL : device_of(path);
	if (dev && dev->bus->control_changed)
		dev->bus->control_changed(dev);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

static int no_delay(const char *path)
{
	return fail(-EIO, "/%s: no driver here puts a device to sleep by the clock", path);
}

static ssize_t delay_show(void *priv, char *buf)
{
	return no_delay(priv);
}

static ssize_t delay_store(void *priv, const char *buf, size_t len)
{
	return no_delay(priv);
}

static const struct kernfs_ops control_ops = {.store = control_store};
static const struct kernfs_ops delay_ops = {.show = delay_show, .store = delay_store};

void power_init(void)
{
	kernfs_common("power/control", &control_ops);
	kernfs_common("power/autosuspend_delay_ms", &delay_ops);
}

int power_add(const char *dir, bool pm)
{
	const struct { const char *name; u32 mode; const char *text; } files[] = {
		{"autosuspend_delay_ms", 0644, ""},
		{"control", 0644, pm ? "on\n" : "auto\n"},
		{"runtime_active_time", 0444, "0\n"},
		{"runtime_status", 0444, pm ? "active\n" : "unsupported\n"},
		{"runtime_suspended_time", 0444, "0\n"},
	};
	char path[BASE_PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/power", dir);
	if (!kernfs_creating() && kernfs_exists(path))
		return 0;
	err = kernfs_create_dir(path);
	for (size_t i = 0; i < ARRAY_SIZE(files) && !err; i++) {
		snprintf(path, sizeof(path), "%s/power/%s", dir, files[i].name);
		err = kernfs_create_same(path, files[i].mode, files[i].text, NULL, NULL);
	}
	return err;
}

static void show(struct device *dev, const char *name, const char *text)
{
	char path[BASE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/power/%s", dev->path, name);
	kernfs_show(path, text);
}

bool pm_runtime_allowed(const struct device *dev)
{
	char path[BASE_PATH_MAX], word[4] = "";

	snprintf(path, sizeof(path), "%s/power/control", dev->path);
	return kernfs_read(path, word, sizeof(word)) == sizeof(word) && !memcmp(word, "auto", sizeof(word));
}

void pm_runtime_show(struct device *dev, const char *status)
{
	show(dev, "runtime_status", status);
}

void pm_runtime_allow(struct device *dev, bool allow)
{
	show(dev, "control", allow ? "auto\n" : "on\n");
}
