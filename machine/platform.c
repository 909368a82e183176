/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform.c - platform devices of a machine: names, addresses, stream ids, and how each is built.
 *
 *	name	"platdev.0": the bus name of the model and the lowest number that is free; on the AMBA bus the
 *		address and the bus name, "2c000000.dma"
 *	address	a window of 16 MiB for each device, in the order of the configuration, below the windows of
 *		PCI; in it regions lie one behind the other, each in pages of its own
 *	stream	the id by which the IOMMU knows the device.  It comes from the first bus number that no PCI
 *		device has, so that neither a PCI device nor a function that appears later has it too
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "machine/machine_priv.h"

#define WINDOW_BYTES 0x1000000ull
#define FIRST_WINDOW 0x2c000000ull
#define WINDOWS_END 0xc0000000ull /* PCI's memory begins there */
#define NAME_MAX_BYTES 47

_Static_assert((int)HW_PAGE_TRAPPED == (int)PLATFORM_PAGE_TRAPPED && (int)HW_PAGE_DIRECT == (int)PLATFORM_PAGE_DIRECT &&
	       (int)HW_PAGE_READ_DIRECT == (int)PLATFORM_PAGE_READ_DIRECT,
	       "kinds of pages are the same on both sides");
_Static_assert(HW_REGIONS <= PLATFORM_MAX_RESOURCES && HW_WIRES <= PLATFORM_MAX_IRQS, "all of a model has a place");

/* ---- configuration --------------------------------------------------------------------------- */

static struct device_config *find_name(const struct machine_config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].name && !strcmp(cfg->devices[i].name, name))
			return &cfg->devices[i];
	return NULL;
}

int platform_config_set_name(struct machine_config *cfg, struct device_config *dev, const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:";

	if (!*name || strlen(name) > NAME_MAX_BYTES || name[0] == '.' || name[strspn(name, allowed)])
		return fail(-EINVAL, "name=%s: a platform device's name is 1 to %u letters, digits, '-', '_', ':' and '.'",
			    name, NAME_MAX_BYTES);
	if (dev->name)
		return fail(-EINVAL, "name=%s: the device is named %s already", name, dev->name);
	if (find_name(cfg, name))
		return fail(-EINVAL, "name=%s is given to two devices", name);
	dev->name = strdup(name);
	return dev->name ? 0 : -ENOMEM;
}

/* Which window: the number of platform devices before it. */
static u64 window_of(const struct machine_config *cfg, const struct device_config *dev)
{
	u64 base = FIRST_WINDOW;

	for (const struct device_config *d = cfg->devices; d < dev; d++)
		if (d->model->platform)
			base += WINDOW_BYTES;
	return base;
}

static int give_name(struct machine_config *cfg, struct device_config *dev)
{
	const struct hw_platform *platform = dev->model->platform;
	char name[NAME_MAX_BYTES + 1];
	unsigned n = 0;

	do {
		if (platform->amba_id && !n)
			snprintf(name, sizeof(name), "%llx.%s", (unsigned long long)window_of(cfg, dev),
				 platform->bus_name);
		else
			snprintf(name, sizeof(name), "%s.%u", platform->bus_name, n - !!platform->amba_id);
		n++;
	} while (find_name(cfg, name));
	return platform_config_set_name(cfg, dev, name);
}

static unsigned free_bus(const struct machine_config *cfg)
{
	int bus = 0;

	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		const struct device_config *dev = &cfg->devices[i];

		if (!dev->model->platform)
			bus = max(bus, DEVID_BUS(dev->devid));
		bus = max(bus, dev->bus); /* behind a root port */
	}
	return (unsigned)bus + 1;
}

static int give_stream(struct machine_config *cfg, struct device_config *dev)
{
	const unsigned first = free_bus(cfg) << 8;

	/* Behind PCI's buses; if there is nothing, whatever no device has. */
	for (unsigned i = 0; i < 0x10000; i++) {
		const int stream = (int)((first + i) & 0xffff);

		if (!machine_config_find(cfg, stream)) {
			dev->devid = stream;
			return 0;
		}
	}
	return fail(-EINVAL, "no stream id is left for %s", dev->name);
}

int platform_config_complete(struct machine_config *cfg)
{
	int err = 0;

	for (unsigned i = 0; i < cfg->nr_devices && !err; i++) {
		struct device_config *dev = &cfg->devices[i];

		if (!dev->model->platform)
			continue;
		if (window_of(cfg, dev) >= WINDOWS_END)
			return fail(-EINVAL, "no address is left for %s: a machine has at most %llu platform devices",
				    dev->model->name, (WINDOWS_END - FIRST_WINDOW) / WINDOW_BYTES);
		if (!dev->name)
			err = give_name(cfg, dev);
		if (!err && dev->devid < 0)
			err = give_stream(cfg, dev);
	}
	return err;
}

/* ---- silicon to kernel ----------------------------------------------------------------------- */

static enum platform_page_kind region_page(void *hw, unsigned region, u64 off, int *ret_fd, u64 *ret_fd_off,
					   u64 *ret_len)
{
	return (enum platform_page_kind)hw_bar_page(hw, region, off, ret_fd, ret_fd_off, ret_len);
}

static const struct platform_hw_ops platform_hw_ops = {
	.read = hw_bar_read,
	.write = hw_bar_write,
	.page = region_page,
	.irq_level = hw_wire_level,
	.reset = hw_platform_reset,
};

static int lay_out(struct machine_device *md, u64 base)
{
	struct platform_device *plat = &md->plat;
	struct hw_platform_layout layout;
	u64 at = base;

	hw_platform_layout(md->hw, &layout);
	plat->num_resources = layout.nr_regions;
	plat->num_irqs = layout.nr_wires;
	plat->has_reset = layout.resettable;
	for (unsigned i = 0; i < layout.nr_regions; i++) {
		plat->resource[i].start = at;
		plat->resource[i].size_bytes = layout.region[i].size_bytes;
		plat->resource[i].readonly = layout.region[i].readonly;
		at += ALIGN_UP(layout.region[i].size_bytes, PAGE_SIZE);
	}
	for (unsigned i = 0; i < layout.nr_wires; i++)
		plat->irq[i].level = layout.level[i];
	if (at - base > WINDOW_BYTES)
		return fail(-EINVAL, "%s: its regions take 0x%llx bytes, more than the 0x%llx of a platform device",
			    md->config->name, (unsigned long long)(at - base), WINDOW_BYTES);
	return 0;
}

/* As for PCI: driver_override says where a new device goes. */
static int set_override(struct machine_device *md)
{
	const char *driver = device_config_driver(md->config);

	if (!kernfs_creating() || strcmp(driver, vfio_driver_of(md->config->model)))
		return 0;
	md->plat.dev.driver_override = strdup(driver);
	return md->plat.dev.driver_override ? 0 : -ENOMEM;
}

int platform_device_build(struct machine_device *md, const struct machine_config *cfg, struct hw_iommu *hw_iommu)
{
	const char *driver = device_config_driver(md->config);
	bool no_driver = kernfs_creating() && !strcmp(driver, "none");
	struct hw_device *hw;
	int err;

	hw = hw_device_create(md->config->model, md->config->name, md->config->options, &machine_host_ops, md,
			      hw_iommu, (u16)md->config->devid);
	if (IS_ERR(hw))
		return (int)PTR_ERR(hw);
	md->hw = hw;
	md->plat.dev.name = md->config->name;
	md->plat.compatible = md->config->model->platform->bus_name;
	md->plat.amba_id = md->config->model->platform->amba_id;
	md->plat.hw_ops = &platform_hw_ops;
	md->plat.hw = hw;
	err = lay_out(md, window_of(cfg, md->config));
	if (!err)
		err = set_override(md);
	if (!err)
		err = machine_device_inject(md);
	if (!err)
		err = platform_device_add(&md->plat, no_driver);
	if (err)
		return err;
	md->added = true;
	if (kernfs_creating() && !no_driver && !md->plat.dev.driver)
		return fail(-EINVAL, "%s: driver %s did not take the device", md->config->name, driver);
	return 0;
}

void platform_device_unbuild(struct machine_device *md)
{
	if (md->added)
		platform_device_del(&md->plat);
	else
		free(md->plat.dev.driver_override);
	md->plat.dev.driver_override = NULL;
}

/* ---- bus addresses --------------------------------------------------------------------------- */

bool platform_device_answers(const struct machine_device *md, u64 addr, unsigned *ret_region, u64 *ret_off)
{
	for (unsigned i = 0; i < md->plat.num_resources; i++) {
		const struct platform_resource *res = &md->plat.resource[i];

		if (addr < res->start || addr - res->start >= res->size_bytes)
			continue;
		*ret_region = i;
		*ret_off = addr - res->start;
		return true;
	}
	return false;
}
