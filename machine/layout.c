/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout.c - addresses, root ports, groups and IOMMUs for what the user left open.
 *
 *	address	the first bus from 1 on that nothing is on: 0000:01:00.0, 0000:02:00.0, ...
 *	port	each bus but the root bus has one, on the root bus at the slot with the bus's number if
 *		that is free; two devices on one bus share it
 *	name	and stream id of platform devices: platform.c
 *	group	the lowest numbers that nobody asked for: first the user's devices, then ports
 *	iommu	unit 0; a port is behind the unit of the first device behind it
 *
 * A machine that was completed once has nothing open any more, so completing it again changes nothing.
 */
#include "machine/machine_priv.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

static struct device_config *port_of_bus(struct machine_config *cfg, int bus)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (device_config_is_port(&cfg->devices[i]) && cfg->devices[i].bus == bus)
			return &cfg->devices[i];
	return NULL;
}

static bool bus_is_used(struct machine_config *cfg, int bus)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].devid >= 0 && DEVID_BUS(cfg->devices[i].devid) == bus)
			return true;
	return port_of_bus(cfg, bus);
}

static int free_bus(struct machine_config *cfg)
{
	for (int bus = 1; bus < 256; bus++)
		if (!bus_is_used(cfg, bus))
			return bus;
	return fail(-EINVAL, "all 255 buses are taken");
}

/* A place on the root bus: the slot with that number, else any slot, else any function of any slot. */
static int free_port_devid(struct machine_config *cfg, int wish)
{
	if (wish >= 1 && wish <= 31 && !machine_config_find(cfg, DEVID(0, wish, 0)))
		return DEVID(0, wish, 0);
	for (unsigned func = 0; func < 8; func++)
		for (unsigned slot = 1; slot < 32; slot++)
			if (!machine_config_find(cfg, DEVID(0, slot, func)))
				return DEVID(0, slot, func);
	return fail(-EINVAL, "the root bus is full: no place for the root port of bus %02x", wish);
}

static int give_addresses(struct machine_config *cfg)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		struct device_config *dev = &cfg->devices[i];
		int bus;

		if (dev->devid >= 0 || device_config_is_port(dev) || dev->model->platform)
			continue;
		bus = free_bus(cfg);
		if (bus < 0)
			return bus;
		dev->devid = DEVID(bus, 0, 0);
	}
	return 0;
}

/* Ports that the user asked for: the bus behind, and a place. */
static int complete_ports(struct machine_config *cfg)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		struct device_config *dev = &cfg->devices[i];

		if (!device_config_is_port(dev))
			continue;
		if (dev->bus >= 0 && port_of_bus(cfg, dev->bus) != dev)
			return fail(-EINVAL, "bus=%d is given to two root ports", dev->bus);
		if (dev->bus < 0)
			dev->bus = free_bus(cfg);
		if (dev->bus < 0)
			return dev->bus;
		if (dev->devid < 0)
			dev->devid = free_port_devid(cfg, dev->bus);
		if (dev->devid < 0)
			return dev->devid;
	}
	return 0;
}

static int add_missing_ports(struct machine_config *cfg)
{
	unsigned n = cfg->nr_devices;

	for (unsigned i = 0; i < n; i++) {
		int bus = DEVID_BUS(cfg->devices[i].devid), devid;
		struct device_config *port;

		if (cfg->devices[i].model->platform || bus == 0 || port_of_bus(cfg, bus))
			continue;
		devid = free_port_devid(cfg, bus);
		if (devid < 0)
			return devid;
		port = machine_config_append(cfg, &root_port_model);
		if (!port)
			return -EINVAL;
		port->devid = devid;
		port->bus = bus;
	}
	return 0;
}

static bool group_is_used(const struct machine_config *cfg, int group)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].group == group)
			return true;
	return false;
}

static void give_groups(struct machine_config *cfg, bool ports)
{
	int next = 0;

	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		struct device_config *dev = &cfg->devices[i];

		if (dev->group >= 0 || device_config_is_port(dev) != ports)
			continue;
		while (group_is_used(cfg, next))
			next++;
		dev->group = next;
	}
}

/* ---- IOMMUs ---- */

static int iommu_behind(const struct machine_config *cfg, const struct device_config *port)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		const struct device_config *dev = &cfg->devices[i];

		if (!device_config_is_port(dev) && !dev->model->platform && DEVID_BUS(dev->devid) == port->bus)
			return dev->iommu;
	}
	return 0;
}

static int check_iommu(const struct machine_config *cfg, const struct device_config *dev)
{
	if ((unsigned)dev->iommu >= cfg->nr_iommus)
		return fail(-EINVAL, "iommu=%d: the machine has %u unit%s, from 0 on", dev->iommu, cfg->nr_iommus,
			    cfg->nr_iommus > 1 ? "s" : "");
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].group == dev->group && cfg->devices[i].iommu != dev->iommu)
			return fail(-EINVAL, "group %d has devices behind IOMMU %d and %d: a group is behind one",
				    dev->group, dev->iommu, cfg->devices[i].iommu);
	return 0;
}

static int give_iommus(struct machine_config *cfg)
{
	int err = 0;

	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].iommu < 0 && !device_config_is_port(&cfg->devices[i]))
			cfg->devices[i].iommu = 0;
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].iommu < 0)
			cfg->devices[i].iommu = iommu_behind(cfg, &cfg->devices[i]);
	for (unsigned i = 0; i < cfg->nr_devices && !err; i++)
		err = check_iommu(cfg, &cfg->devices[i]);
	for (unsigned i = 0; i < cfg->nr_iommus && !err && cfg->nr_iommus > 1; i++)
		if (cfg->iommus[i].kind == MACHINE_IOMMU_NONE)
			err = fail(-EINVAL, "iommu none is for a machine without any, not for unit %u of %u", i,
				   cfg->nr_iommus);
	return err;
}

int machine_config_complete(struct machine_config *cfg)
{
	int err = give_addresses(cfg);

	if (!err)
		err = complete_ports(cfg);
	if (!err)
		err = add_missing_ports(cfg);
	if (!err)
		err = platform_config_complete(cfg);
	if (err)
		return err;
	give_groups(cfg, false);
	give_groups(cfg, true);
	return give_iommus(cfg);
}
