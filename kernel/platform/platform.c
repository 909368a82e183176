/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform.c - the platform bus, and what both buses have in common: how a device comes and goes.
 *
 * Who fits whom: a driver_override that is set admits only the driver of that name; without one a device
 * goes to the driver that is named as the device is, less its number, or as what it is compatible with.
 * There is no new_id on this bus.
 *
 * All devices, those of the AMBA bus too, stand in /sys/devices/platform.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/platform/platform_internal.h"

int (*platform_iommu_probe)(struct platform_device *pdev);

/* ---- names ----------------------------------------------------------------------------------- */

/* The number is what stands behind the last dot, if that is digits only. */
const char *platform_name_stem(const char *name, char buf[static PLATFORM_NAME_BYTES])
{
	const char *dot = strrchr(name, '.');
	size_t len = strlen(name);

	if (dot && dot > name && isdigit((unsigned char)dot[1]) && !dot[1 + strspn(dot + 1, "0123456789")])
		len = (size_t)(dot - name);
	len = min(len, (size_t)PLATFORM_NAME_BYTES - 1);
	memcpy(buf, name, len);
	buf[len] = '\0';
	return buf;
}

static int platform_match(struct device *dev, struct device_driver *drv)
{
	const char *compatible = to_platform_device(dev)->compatible;
	char stem[PLATFORM_NAME_BYTES];

	if (dev->driver_override)
		return !strcmp(dev->driver_override, drv->name);
	return !strcmp(platform_name_stem(dev->name, stem), drv->name) ||
	       (compatible && !strcmp(compatible, drv->name));
}

static int platform_uevent(struct device *dev, char *buf, size_t size)
{
	char stem[PLATFORM_NAME_BYTES];

	return snprintf(buf, size, "MODALIAS=platform:%s\n", platform_name_stem(dev->name, stem));
}

/* ---- attributes ------------------------------------------------------------------------------ */

int platform_add_text(struct device *dev, const char *name, const char *text)
{
	char path[PLATFORM_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dev->path, name);
	return kernfs_create_file(path, 0444, text, strlen(text), NULL, NULL);
}

static int platform_add_attrs(struct device *dev)
{
	char stem[PLATFORM_NAME_BYTES], text[PLATFORM_NAME_BYTES + 16];

	snprintf(text, sizeof(text), "platform:%s\n", platform_name_stem(dev->name, stem));
	return platform_add_text(dev, "modalias", text);
}

/* ---- around probe ---------------------------------------------------------------------------- */

int platform_dma_configure(struct device *dev, struct device_driver *drv)
{
	return drv->driver_managed_dma ? 0 : iommu_device_use_default_domain(dev);
}

void platform_dma_cleanup(struct device *dev, struct device_driver *drv)
{
	if (!drv->driver_managed_dma)
		iommu_device_unuse_default_domain(dev);
}

struct bus_type platform_bus_type = {
	.name = "platform",
	.no_runtime_pm = true,
	.match = platform_match,
	.add_device_attrs = platform_add_attrs,
	.dma_configure = platform_dma_configure,
	.dma_cleanup = platform_dma_cleanup,
	.uevent = platform_uevent,
};

/* ---- devices --------------------------------------------------------------------------------- */

static int enlist(struct platform_device *pdev)
{
	int err = device_register(&pdev->dev, true);

	if (err || !platform_iommu_probe)
		return err;
	err = platform_iommu_probe(pdev);
	if (err)
		device_unregister(&pdev->dev);
	return err;
}

int platform_device_add(struct platform_device *pdev, bool no_probe)
{
	struct bus_type *bus = pdev->amba_id ? &amba_bustype : &platform_bus_type;
	char path[PLATFORM_PATH_MAX];
	int err;

	kernfs_assert_locked();
	if (bus_find_device(&platform_bus_type, pdev->dev.name) ||
	    bus_find_device(&amba_bustype, pdev->dev.name))
		return fail(-EEXIST, "there is a platform device %s already", pdev->dev.name);
	snprintf(path, sizeof(path), "sys/devices/platform/%s", pdev->dev.name);
	pdev->dev.path = kstrdup(path);
	if (!pdev->dev.path)
		return fail(-ENOMEM, "no memory for %s", pdev->dev.name);
	pdev->dev.bus = bus;
	err = enlist(pdev);
	if (err) {
		kfree(pdev->dev.path);
		pdev->dev.path = NULL;
		return err;
	}
	if (!no_probe)
		device_initial_probe(&pdev->dev);
	return 0;
}

void platform_device_del(struct platform_device *pdev)
{
	kernfs_assert_locked();
	device_driver_detach(&pdev->dev);
	iommu_release_device(&pdev->dev);
	device_unregister(&pdev->dev);
	kfree(pdev->dev.path);
	pdev->dev.path = NULL;
}

/* ---- drivers --------------------------------------------------------------------------------- */

static int driver_probe(struct device *dev)
{
	struct platform_driver *drv = to_platform_driver(dev->driver);

	return drv->probe ? drv->probe(to_platform_device(dev)) : 0;
}

static void driver_remove(struct device *dev)
{
	struct platform_driver *drv = to_platform_driver(dev->driver);

	if (drv->remove)
		drv->remove(to_platform_device(dev));
}

int platform_register(struct platform_driver *drv, struct bus_type *bus)
{
	drv->driver.bus = bus;
	drv->driver.probe = driver_probe;
	drv->driver.remove = driver_remove;
	return driver_register(&drv->driver);
}

int platform_driver_register(struct platform_driver *drv)
{
	return platform_register(drv, &platform_bus_type);
}

void platform_driver_unregister(struct platform_driver *drv)
{
	driver_unregister(&drv->driver);
}

/* ---- stand-ins for kernel drivers ------------------------------------------------------------ */

/* Takes a device so that user space cannot, and moves no data. */
struct host_driver {
	struct platform_driver platform;
	TAILQ_ENTRY(host_driver) node;
};

/* Under the tree lock. */
static TAILQ_HEAD(, host_driver) host_drivers = TAILQ_HEAD_INITIALIZER(host_drivers);

int platform_host_driver_register(const char *name, const struct amba_id *ids)
{
	struct host_driver *host = kzalloc(sizeof(*host));
	int err;

	if (!host)
		return fail(-ENOMEM, "no memory for the driver %s", name);
	host->platform.driver.name = name;
	host->platform.driver.id_table = ids;
	err = ids ? amba_driver_register(&host->platform) : platform_driver_register(&host->platform);
	if (err) {
		kfree(host);
		return err;
	}
	TAILQ_INSERT_TAIL(&host_drivers, host, node);
	return 0;
}

/* ---- the buses ------------------------------------------------------------------------------- */

int platform_bus_init(void)
{
	int err = bus_register(&platform_bus_type);

	if (err)
		return err;
	err = kernfs_create_dir("sys/devices/platform");
	if (!err)
		err = bus_register(&amba_bustype);
	if (err)
		bus_unregister(&platform_bus_type);
	return err;
}

void platform_bus_exit(void)
{
	struct host_driver *host;

	kernfs_assert_locked();
	while ((host = TAILQ_FIRST(&host_drivers))) {
		TAILQ_REMOVE(&host_drivers, host, node);
		platform_driver_unregister(&host->platform);
		kfree(host);
	}
	bus_unregister(&amba_bustype);
	bus_unregister(&platform_bus_type);
}
