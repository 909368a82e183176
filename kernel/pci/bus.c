/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus.c - a bus in the tree: the host bridge, and the class pci_bus.
 *
 *	/sys/devices/pci0000:00				the host bridge
 *	<host bridge, or the bridge above>/pci_bus/0000:01	the bus, linked to by /sys/class/pci_bus/0000:01
 *		cpuaffinity, cpulistaffinity, device, rescan, power/, uevent
 *
 * A bus is there from the moment that a device on it is, until the bridge above it goes.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/pci/pci_internal.h"

#define BUS_NAME "%04x:%02x"
#define HOST_BRIDGE "sys/devices/pci0000:00"

static void bus_dir(const struct pci_dev *bridge, u16 domain, u8 bus, char dir[PCI_PATH_MAX])
{
	snprintf(dir, PCI_PATH_MAX, "%s/pci_bus/" BUS_NAME, bridge ? bridge->dev.path : HOST_BRIDGE, domain, bus);
}

static bool is_on(const struct pci_dev *pdev, u16 domain, u8 bus)
{
	for (; pdev; pdev = pdev->bridge)
		if (pdev->domain == domain && pdev->bus == bus)
			return true;
	return false;
}

/* Any bus's: the path, .../pci_bus/0000:01/rescan, tells which. */
static ssize_t bus_rescan_store(void *priv, const char *buf, size_t len)
{
	const char *path = priv, *at = strstr(path, "/pci_bus/");
	unsigned domain, bus;
	int err;

	if (!at || sscanf(at, "/pci_bus/%x:%x/", &domain, &bus) != 2)
		return fail(-EINVAL, "/%s is no bus's", path);
	err = device_store_trigger(buf);
	if (err <= 0)
		return err ? err : (ssize_t)len;
	err = pci_rescan((u16)domain, (u8)bus);
	device_store_end(true);
	return err ? err : (ssize_t)len;
}

static const struct kernfs_ops rescan_ops = {.store = bus_rescan_store};

static int add_bus(const struct pci_dev *bridge, u16 domain, u8 bus)
{
	char dir[PCI_PATH_MAX], path[PCI_PATH_MAX + 32], text[PAGE_SIZE];
	int err;

	bus_dir(bridge, domain, bus, dir);
	if (kernfs_exists(dir))
		return 0;
	err = class_device_add(dir, "pci_bus", NULL);
	snprintf(path, sizeof(path), "%s/device", dir);
	if (!err)
		err = kernfs_link_to(path, bridge ? bridge->dev.path : HOST_BRIDGE);
	snprintf(path, sizeof(path), "%s/rescan", dir);
	if (!err)
		err = kernfs_create_same(path, 0200, "", NULL, NULL);
	snprintf(path, sizeof(path), "%s/cpuaffinity", dir);
	pci_local_cpus_text(text, sizeof(text));
	if (!err)
		err = kernfs_create_file(path, 0444, text, strlen(text), NULL, NULL);
	snprintf(path, sizeof(path), "%s/cpulistaffinity", dir);
	pci_local_cpulist_text(text, sizeof(text));
	return err ? err : kernfs_create_file(path, 0444, text, strlen(text), NULL, NULL);
}

int pci_host_bridge_init(void)
{
	int err;

	kernfs_common("rescan", &rescan_ops);
	err = device_add_dir(HOST_BRIDGE);
	return err ? err : add_bus(NULL, 0, 0);
}

int pci_bus_add(struct pci_dev *pdev)
{
	return pdev->bridge ? add_bus(pdev->bridge, pdev->domain, pdev->bus) : 0;
}

static int remove_bus(void *bridge, const char *name)
{
	char dir[PCI_PATH_MAX + 80];

	snprintf(dir, sizeof(dir), "%s/pci_bus/%.32s", ((const struct pci_dev *)bridge)->dev.path, name);
	class_device_del(dir, "pci_bus");
	return 0;
}

void pci_bus_remove_behind(struct pci_dev *bridge)
{
	char dir[PCI_PATH_MAX];

	if (!pci_is_bridge(bridge))
		return;
	snprintf(dir, sizeof(dir), "%s/pci_bus", bridge->dev.path);
	kernfs_for_each(dir, remove_bus, bridge);
}

int pci_rescan(u16 domain, u8 bus)
{
	struct pci_dev *pdev;
	int err = 0, ret = 0;

	kernfs_assert_locked();
	TAILQ_FOREACH(pdev, &pci_devices, all_node) {
		if (is_on(pdev, domain, bus))
			err = pci_come_back(pdev);
		ret = ret ? ret : err;
	}
	pci_write_removed();
	return ret;
}
