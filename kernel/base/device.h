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
	/* In the tree: "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"; immutable, owned. */
	const char *path;
	struct bus_type *bus;
	struct device_driver *driver; /* under the device lock; NULL unbound */
	void *driver_data;	/* the driver's, under its rules */
	char *driver_override;	/* under the tree lock; NULL none */
	struct iommu_group *iommu_group; /* immutable after registration */
	void *iommu_priv;	/* kernel/iommu's own */
	struct mutex lock;
	bool found;		/* its directory was there before: this process attaches; immutable */
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
	/**
	 * in_use - optional: would remove() wait for a program of this process?  Then device_sync(), which
	 * runs inside that program's calls, leaves the device bound until a later look.
	 */
	bool (*in_use)(struct device *dev);
	/**
	 * used - optional: has a program of any process the device open?  user_gone: one had, was killed, and the files that
	 * say so are to be put right.  Tree lock held; no program of this process has.
	 */
	bool (*used)(struct device *dev);
	void (*user_gone)(struct device *dev);
	const char *mod_name;	/* for the link drivers/<name>/module; NULL: none */
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
	/** detaching - optional: a device is about to lose its driver; its lock is not held yet.  Tree lock held. */
	void (*detaching)(struct device *dev);
	/** uevent - optional: lines of <device>/uevent behind DRIVER=.  Return: length; at most @size - 1. */
	int (*uevent)(struct device *dev, char *buf, size_t size);
	/**
	 * sync - optional: another process changed something; read again what the bus keeps in files.
	 * Return: false if it has to be called again later (a device that is gone is still in_use here).
	 */
	bool (*sync)(struct bus_type *bus);
	/** rescan - optional: a program wrote 1 to /sys/bus/<name>/rescan.  Tree lock held.  0; -errno. */
	int (*rescan)(struct bus_type *bus);
	/** control_changed - optional: a program wrote a device's power/control.  Tree lock held. */
	void (*control_changed)(struct device *dev);
	/** tidy - optional: as device_tidy(), for what the bus itself began.  Return: did the tree change? */
	bool (*tidy)(struct bus_type *bus);
	bool no_runtime_pm; /* its devices' drivers do no runtime power management: power/ says so */
	TAILQ_HEAD(, device) devices;	/* under the tree lock */
	TAILQ_HEAD(, device_driver) drivers;
	TAILQ_ENTRY(bus_type) node;	/* bus.c */
};

/**
 * bus_register - make /sys/bus/<name> with devices/, drivers/, drivers_probe, drivers_autoprobe, uevent,
 * and rescan if the bus can.  Tree lock held.
 */
int bus_register(struct bus_type *bus);
/**
 * bus_unregister - forget it; it has neither devices nor drivers any more.  Tree lock held.
 * A machine has its buses and drivers for good: once it is made, a process that unregisters one leaves
 * the tree as it is.
 */
void bus_unregister(struct bus_type *bus);
/**
 * device_register - make the device's directory, bus links and attributes, and enlist it
 * A device whose directory is new gets the first driver that matches, unless @no_probe or
 * drivers_autoprobe is 0.  One whose directory was there (attach mode) is bound in memory to what its
 * driver link says.  With @no_probe that is left to device_initial_probe().  A driver_override set by the
 * caller is taken over (strdup'ed memory).  Tree lock held.  Return: 0; -errno and nothing is enlisted.
 */
int device_register(struct device *dev, bool no_probe);
/** device_initial_probe - what device_register() does last unless @no_probe. */
void device_initial_probe(struct device *dev);
/** device_unregister - unbind it and remove its directory.  Tree lock held. */
void device_unregister(struct device *dev);
/**
 * driver_register - make /sys/bus/<bus>/drivers/<name> with bind, unbind, uevent, and try all devices:
 * those that match in create mode, else those whose driver link says so.  Tree lock held.
 */
int driver_register(struct device_driver *drv);
/** driver_unregister - as bus_unregister(), after taking its devices from it. */
void driver_unregister(struct device_driver *drv);

/** device_bind_driver - bind by force of name, as writing to bind.  Tree lock held.
 * Return: 0; -ENODEV no match or no such device; -EBUSY has a driver; what probe() says. */
int device_driver_attach(struct device_driver *drv, struct device *dev);
/** device_driver_in_use - would detaching wait for a program of this process? */
bool device_driver_in_use(struct device *dev);
void device_driver_detach(struct device *dev);
/**
 * device_attach - find a driver for a device that has none.  Tree lock held.  1 found; 0 none or it has
 * one.
 */
int device_attach(struct device *dev);
/** driver_attach - offer the driver all devices without one.  Tree lock held. */
void driver_attach(struct device_driver *drv);
/** device_sync - follow bindings that other processes changed since the last look.  Tree lock not held. */
void device_sync(void);

/**
 * device_used - a program opened the device, the first in this process, or closed it, the last.  Any lock.
 * device_tidy - finish what processes began that were killed (tidy.c); before this one uses a device.  Tree lock held.
 * device_for_each_left - names in a directory of files that tell of such things.  Return: did one @finish change the tree?
 */
void device_used(struct device *dev, bool used);
void device_tidy(void);
bool device_for_each_left(const char *dir, bool (*finish)(const char *name));

/*
 * What store() operations of this layer and of buses do around their work: begin locks the tree,
 * follows other processes, and finds whether the attribute outlived that; end tells other processes
 * if something @changed.
 */
/** device_store_begin - Return: 0, tree lock held; -ENODEV, not held. */
int device_store_begin(void);
/**
 * device_store_trigger - begin for attributes that act on any number but 0 (rescan, remove)
 * Return: 1, tree lock held; 0 it was 0, nothing to do; -EINVAL no number; -ENODEV.
 */
int device_store_trigger(const char *buf);
void device_store_end(bool changed);
/** device_changed - tell other processes that bindings changed.  Tree lock held. */
void device_changed(void);

/**
 * device_set_override - what writing to driver_override does.  Tree lock held.  0; -EINVAL too long;
 * -ENOMEM.
 */
int device_set_override(struct device *dev, const char *text, size_t len);
/* The node of a device of a class: what is to be in its `dev` and `uevent`. */
struct class_node {
	unsigned major, minor;
	const char *name;	/* "vfio/3" */
	const char *more;	/* lines behind; NULL none */
};
/**
 * class_device_add - make a device of a class, its links and its power/; what is there already stays
 * @dir: "sys/devices/virtual/vfio/3"; its last name is the device's; @class: "vfio"; @node: NULL: it has none
 * Tree lock held.  Return: 0; -errno.
 */
int class_device_add(const char *dir, const char *class, const struct class_node *node);
/** device_add_dir - the directory of a device of no bus and class, such as a host bridge: uevent and power/.  0; -errno. */
int device_add_dir(const char *dir);
/** class_device_del - take away the links and the directory.  Tree lock held. */
void class_device_del(const char *dir, const char *class);
/** pm_runtime_show - what <device>/power/runtime_status says from now on, in all processes ("active\n").  Any lock. */
void pm_runtime_show(struct device *dev, const char *status);
/** pm_runtime_allow - its driver lets it sleep while nobody uses it, or no longer: power/control.  Any lock. */
void pm_runtime_allow(struct device *dev, bool allow);
/** pm_runtime_allowed - does power/control say auto?  Any lock. */
bool pm_runtime_allowed(const struct device *dev);
/** device_uevent_store - an op for attributes named uevent: accepts the known actions, else -EINVAL. */
ssize_t device_uevent_store(void *priv, const char *buf, size_t len);
/**
 * parse_ulong, parse_long, parse_bool - a number as sysfs takes it: 0x and 0 prefixes, one newline.  0;
 * -EINVAL with reason.
 */
int parse_ulong(const char *buf, unsigned long *ret);
int parse_long(const char *buf, long *ret);
int parse_bool(const char *buf, bool *ret);

/** bus_find_device - by name; NULL.  Tree lock held or devices known to stay. */
struct device *bus_find_device(struct bus_type *bus, const char *name);
struct device_driver *bus_find_driver(struct bus_type *bus, const char *name);

#endif
