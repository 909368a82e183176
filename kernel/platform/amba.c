/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amba.c - the AMBA bus: devices of ARM's PrimeCell family.
 *
 * Their last registers, at the end of the 4 KiB block, hold a peripheral id of 32 bits: part number,
 * designer, revision and configuration.  A driver has a table of ids with masks; a driver_override that
 * is set counts more, as on the platform bus.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/platform/platform_internal.h"

#define IORESOURCE_MEM 0x200u /* as sysfs prints it */

static bool ids_match(const struct amba_id *ids, u32 id)
{
	for (; ids && ids->mask; ids++)
		if ((id & ids->mask) == ids->id)
			return true;
	return false;
}

static int amba_match(struct device *dev, struct device_driver *drv)
{
	if (dev->driver_override)
		return !strcmp(dev->driver_override, drv->name);
	return ids_match(drv->id_table, to_platform_device(dev)->amba_id);
}

static int amba_uevent(struct device *dev, char *buf, size_t size)
{
	const u32 id = to_platform_device(dev)->amba_id;

	return snprintf(buf, size, "AMBA_ID=%08x\nMODALIAS=amba:d%08X\n", id, id);
}

static int amba_add_attrs(struct device *dev)
{
	const struct platform_device *pdev = to_platform_device(dev);
	const struct platform_resource *res = &pdev->resource[0];
	char text[96];
	int err;

	snprintf(text, sizeof(text), "%08x\n", pdev->amba_id);
	err = platform_add_text(dev, "id", text);
	if (err)
		return err;
	snprintf(text, sizeof(text), "\t0x%016llx\t0x%016llx\t0x%016x\n", (unsigned long long)res->start,
		 (unsigned long long)(res->start + res->size_bytes - 1), IORESOURCE_MEM);
	return platform_add_text(dev, "resource", text);
}

struct bus_type amba_bustype = {
	.name = "amba",
	.no_runtime_pm = true,
	.match = amba_match,
	.add_device_attrs = amba_add_attrs,
	.dma_configure = platform_dma_configure,
	.dma_cleanup = platform_dma_cleanup,
	.uevent = amba_uevent,
};

int amba_driver_register(struct platform_driver *drv)
{
	return platform_register(drv, &amba_bustype);
}
