/* SPDX-License-Identifier: BSD-3-Clause */
/* base.h - between the files of this folder; the rest of the kernel sees device.h. */
#ifndef KERNEL_BASE_BASE_H
#define KERNEL_BASE_BASE_H

#include "kernel/base/device.h"

#define BASE_PATH_MAX 320

TAILQ_HEAD(bus_list, bus_type);
extern struct bus_list bus_list; /* bus.c; under the tree lock */

/**
 * name_of - what a program wrote to bind: a name, perhaps a newline.  @ret: of @size.  0; -ENODEV cannot be
 * a name.
 */
int name_of(const char *text, char *ret, size_t size);

/* ---- power.c and class.c: tell the tree who answers for what all devices have ---- */
void power_init(void);
void class_init(void);
/** power_add - make <dir>/power; @pm: does the bus know of runtime power management?  0; -errno. */
int power_add(const char *dir, bool pm);

/* ---- core.c ---- */
/** device_write_uevent - make <device>/uevent say the driver of now. */
void device_write_uevent(struct device *dev);
/** device_follow_override - read driver_override again from the tree. */
void device_follow_override(struct device *dev);

/* ---- tidy.c ---- */
/** device_detaching - @dev is being taken from @driver; NULL: it was, or has a driver again.  Tree lock held. */
void device_detaching(struct device *dev, const char *driver);

/* ---- dd.c: all with the tree lock held ---- */
/** driver_bind - give @dev, which has none, to @drv.  0; what dma_configure() or probe() say. */
int driver_bind(struct device_driver *drv, struct device *dev);
/** driver_finish_detach - what a process that is gone began: @dev was being taken from @drv. */
void driver_finish_detach(struct device_driver *drv, struct device *dev);
/** driver_follow_link - bind in memory to what the tree's driver link says, if that driver is known here. */
void driver_follow_link(struct device *dev);
/** device_sync_locked - follow other processes. */
void device_sync_locked(void);
/** device_sync_reset - a bus is new to this process: the next look must be a thorough one. */
void device_sync_reset(void);

#endif
