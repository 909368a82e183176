/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - the driver core: buses, devices, drivers, and which driver has which device.
 *
 * What is bound to what is the machine's tree (kernfs.h): the link <device>/driver.  In memory each
 * process has a struct device per device and a struct device_driver per driver; device_sync() makes
 * memory follow the tree when another process changed it.  All binding happens with the tree lock
 * held, so two shells that write to bind at once end as on Linux: one wins, one gets an errno.
 *
 * Order of locks: tree lock, then device lock.  Probe and remove run under both.
 */
#ifndef KERNEL_BASE_DEVICE_H
#define KERNEL_BASE_DEVICE_H

#include <bsd/sys/queue.h>

#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct device;
struct device_driver;
struct bus_type;
struct iommu_group;

struct device {
	const char *name;	/* "0000:01:00.0"; immutable */
	const char *path;	/* in the tree: "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"; immutable, owned */
	struct bus_type *bus;
	struct device_driver *driver; /* under the device lock; NULL unbound */
	void *driver_data;	/* the driver's, under its rules */
	char *driver_override;	/* under the tree lock; NULL none */
	struct iommu_group *iommu_group; /* immutable after registration */
	void *iommu_priv;	/* kernel/iommu's own */
	struct mutex lock;
	TAILQ_ENTRY(device) bus_node;
};

struct device_driver {
	const char *name;
	struct bus_type *bus;
	/** probe - take the device.  Return: 0; -errno, and the device stays without driver. */
	int (*probe)(struct device *dev);
	/** remove - give it back; may wait for programs to let go. */
	void (*remove)(struct device *dev);
	/** shutdown flag: the driver may be used by programs (iommu_group ownership is for user space). */
	bool driver_managed_dma;
	const void *id_table;	/* the bus's own format; NULL: no static ids */
	TAILQ_ENTRY(device_driver) bus_node;
};

struct bus_type {
	const char *name;	/* "pci" */
	/** match - 1 the driver fits, 0 not; device's driver_override is looked at by the bus. */
	int (*match)(struct device *dev, struct device_driver *drv);
	/** add_driver_attrs, add_device_attrs - bus-specific files: new_id, remove_id; vendor, config... */
	int (*add_driver_attrs)(struct device_driver *drv);
	int (*add_device_attrs)(struct device *dev);
	/** dma_configure, dma_cleanup - around probe: group ownership (iommu_device_use_default_domain). */
	int (*dma_configure)(struct device *dev, struct device_driver *drv);
	void (*dma_cleanup)(struct device *dev, struct device_driver *drv);
	TAILQ_HEAD(, device) devices;	/* under the tree lock */
	TAILQ_HEAD(, device_driver) drivers;
};

/** bus_register - make /sys/bus/<name> with devices/, drivers/, drivers_probe, drivers_autoprobe, rescan. */
int bus_register(struct bus_type *bus);
/**
 * device_register - make the device's directory, bus links and attributes, and enlist it
 * In create mode drivers that match are probed unless @no_probe.  In attach mode a driver link in the
 * tree binds it in memory.  Tree lock held.
 */
int device_register(struct device *dev, bool no_probe);
void device_unregister(struct device *dev);
/** driver_register - make /sys/bus/<bus>/drivers/<name> with bind, unbind, uevent, and try all devices. */
int driver_register(struct device_driver *drv);
void driver_unregister(struct device_driver *drv);

/** device_bind_driver - bind by force of name, as writing to bind.  Tree lock held.
 * Return: 0; -ENODEV no match or no such device; -EBUSY has a driver; what probe() says. */
int device_driver_attach(struct device_driver *drv, struct device *dev);
void device_driver_detach(struct device *dev);
/** device_sync - follow bindings that other processes changed since the last look.  Tree lock not held. */
void device_sync(void);

/** bus_find_device - by name; NULL.  Tree lock held or devices known to stay. */
struct device *bus_find_device(struct bus_type *bus, const char *name);
struct device_driver *bus_find_driver(struct bus_type *bus, const char *name);

#endif
