/* SPDX-License-Identifier: BSD-3-Clause */
/* platform_internal.h - between the files of this folder; drivers and machine/ see platform.h. */
#ifndef KERNEL_PLATFORM_PLATFORM_INTERNAL_H
#define KERNEL_PLATFORM_PLATFORM_INTERNAL_H

#include "kernel/platform/platform.h"

#define PLATFORM_PATH_MAX 320

/* platform.c: around probe, for both buses. */
int platform_dma_configure(struct device *dev, struct device_driver *drv);
void platform_dma_cleanup(struct device *dev, struct device_driver *drv);
/** platform_add_text - a read-only attribute of a device.  0; -errno. */
int platform_add_text(struct device *dev, const char *name, const char *text);
/** platform_register - a driver for @bus.  0; -errno. */
int platform_register(struct platform_driver *drv, struct bus_type *bus);

#endif
