/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe.c - a device in a slot becomes a pci_dev in the tree, and leaves it again.
 *
 * What firmware and kernel do at boot happens here in one step: read the header, size the BARs, give
 * addresses, write them down.  Then the device gets its directory, its IOMMU group and its driver.
 *
 * Removal by a program (`echo 1 > remove`) takes a device out of the tree but not out of the slot: it
 * stays in pci_devices, absent, and a rescan brings it back.  The names of the absent ones are in
 * state.d/pci/removed, so that processes that attach later know.
 *
 * What always holds: pci_devices has parents before children; a present device's bridge is present.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/pci/pci_internal.h"

#define REMOVED_FILE "state.d/pci/removed"
#define LEAVING_DIR "state.d/pci/leaving"

struct pci_dev_list pci_devices = TAILQ_HEAD_INITIALIZER(pci_devices);
int (*pci_iommu_probe)(struct pci_dev *pdev);

/* ---- looking at the header ----------------------------------------------------------------- */

/* What a register keeps of all ones; its value is put back. */
static u32 probe_mask(struct pci_dev *pdev, unsigned off, u32 ones)
{
	u32 saved, mask;

	pci_read_config_dword(pdev, off, &saved);
	pci_write_config_dword(pdev, off, ones);
	pci_read_config_dword(pdev, off, &mask);
	pci_write_config_dword(pdev, off, saved);
	return mask;
}

/* The lowest bit that can be set is the size. */
static u64 size_of_mask(u64 mask)
{
	return mask & -mask;
}

unsigned pci_size_bar(struct pci_dev *pdev, struct resource *res, unsigned off, unsigned left)
{
	u64 mask = probe_mask(pdev, off, ~0u);
	u32 low = (u32)mask;

	if (!low || low == ~0u)
		return 1;
	if (low & PCI_BASE_ADDRESS_SPACE_IO) {
		res->flags = IORESOURCE_IO | IORESOURCE_SIZEALIGN | (low & 3);
		res->size_bytes = size_of_mask(low & PCI_BASE_ADDRESS_IO_MASK & 0xffff);
		return 1;
	}
	res->flags = IORESOURCE_MEM | IORESOURCE_SIZEALIGN | (low & 0xf);
	if (low & PCI_BASE_ADDRESS_MEM_PREFETCH)
		res->flags |= IORESOURCE_PREFETCH;
	mask = low & ~0xfull;
	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && left > 1) {
		res->flags |= IORESOURCE_MEM_64;
		mask |= (u64)probe_mask(pdev, off + 4, ~0u) << 32;
	}
	res->size_bytes = size_of_mask(mask);
	return res->flags & IORESOURCE_MEM_64 ? 2 : 1;
}

static void size_rom(struct pci_dev *pdev)
{
	struct resource *res = &pdev->resource[PCI_ROM_RESOURCE];
	u32 mask = probe_mask(pdev, pci_is_bridge(pdev) ? PCI_ROM_ADDRESS1 : PCI_ROM_ADDRESS,
			      PCI_ROM_ADDRESS_MASK);

	mask &= PCI_ROM_ADDRESS_MASK;
	if (!mask || mask == PCI_ROM_ADDRESS_MASK)
		return;
	res->size_bytes = size_of_mask(mask);
	res->flags = IORESOURCE_MEM | IORESOURCE_PREFETCH | IORESOURCE_READONLY | IORESOURCE_SIZEALIGN;
}

static void size_resources(struct pci_dev *pdev)
{
	unsigned count = pci_is_bridge(pdev) ? 2 : PCI_STD_NUM_BARS;

	memset(pdev->resource, 0, sizeof(pdev->resource));
	if (pdev->physfn) {
		pci_iov_vf_resources(pdev);
		return;
	}
	for (unsigned i = 0; i < count;)
		i += pci_size_bar(pdev, &pdev->resource[i], PCI_BASE_ADDRESS_0 + 4 * i, count - i);
	size_rom(pdev);
	for (unsigned i = 0; i < PCI_NUM_RESOURCES; i++)
		if (!pdev->resource[i].size_bytes)
			pdev->resource[i].flags = 0;
}

static void find_capabilities(struct pci_dev *pdev)
{
	u32 devcap = 0;
	u8 af = 0;

	pdev->msi_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_MSI);
	pdev->msix_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_MSIX);
	pdev->pcie_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_EXP);
	pdev->pm_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_PM);
	if (pdev->pcie_cap)
		pci_read_config_dword(pdev, pdev->pcie_cap + PCI_EXP_DEVCAP, &devcap);
	pdev->has_flr = devcap & PCI_EXP_DEVCAP_FLR;
	pdev->af_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_AF);
	if (pdev->af_cap)
		pci_read_config_byte(pdev, pdev->af_cap + PCI_AF_CAP, &af);
	pdev->has_af_flr = (af & (PCI_AF_CAP_FLR | PCI_AF_CAP_TP)) == (PCI_AF_CAP_FLR | PCI_AF_CAP_TP);
}

static int setup_device(struct pci_dev *pdev)
{
	u32 ids, class_rev, sub = 0;
	u8 subsys;
	int err;

	pci_read_config_dword(pdev, PCI_VENDOR_ID, &ids);
	if (pdev->physfn)
		ids = pci_iov_vf_ids(pdev);
	if (ids == ~0u || ids == 0)
		return fail(-ENODEV, "nothing answers at %s: its vendor id reads 0x%04x", pdev->dev.name,
			    ids & 0xffff);
	/* As firmware leaves it, but nothing decodes yet. */
	pci_write_config_word(pdev, PCI_COMMAND, PCI_COMMAND_SERR);
	pci_read_config_dword(pdev, PCI_CLASS_REVISION, &class_rev);
	pci_read_config_byte(pdev, PCI_HEADER_TYPE, &pdev->hdr_type);
	pci_read_config_byte(pdev, PCI_INTERRUPT_PIN, &pdev->pin);
	pdev->vendor = (u16)ids;
	pdev->device = (u16)(ids >> 16);
	pdev->class = class_rev >> 8;
	pdev->revision = (u8)class_rev;
	subsys = pci_is_bridge(pdev) ? (u8)pci_find_capability(pdev, PCI_CAP_ID_SSVID) : 0;
	if (!pci_is_bridge(pdev))
		pci_read_config_dword(pdev, PCI_SUBSYSTEM_VENDOR_ID, &sub);
	else if (subsys)
		pci_read_config_dword(pdev, subsys + PCI_SSVID_VENDOR_ID, &sub);
	pdev->subsystem_vendor = (u16)sub;
	pdev->subsystem_device = (u16)(sub >> 16);
	find_capabilities(pdev);
	err = pci_aer_init(pdev);
	if (!err)
		err = pci_iov_init(pdev);
	if (err)
		return err;
	pci_aer_enable(pdev);
	pci_vpd_init(pdev);
	size_resources(pdev);
	pdev->irq_line = pci_irq_line(pdev);
	if (pdev->pin)
		pci_write_config_byte(pdev, PCI_INTERRUPT_LINE, pdev->irq_line);
	return 0;
}

/* The bridges above learn that this bus is behind them. */
static void number_buses(struct pci_dev *pdev)
{
	struct pci_dev *bridge = pdev->bridge;
	u8 last;

	if (!bridge)
		return;
	pci_write_config_byte(bridge, PCI_PRIMARY_BUS, bridge->bus);
	pci_write_config_byte(bridge, PCI_SECONDARY_BUS, pdev->bus);
	for (; bridge; bridge = bridge->bridge) {
		pci_read_config_byte(bridge, PCI_SUBORDINATE_BUS, &last);
		if (last < pdev->bus)
			pci_write_config_byte(bridge, PCI_SUBORDINATE_BUS, pdev->bus);
		pci_update_bridge_files(bridge);
	}
}

/* ---- into the tree and out of it ----------------------------------------------------------- */

/* vfio-pci wants those of a device that it has, too. */
static void tell_physfn_driver(struct pci_dev *vf)
{
	struct device_driver *drv = vf->physfn->dev.driver;

	if (drv && to_pci_driver(drv)->virtfn_added)
		to_pci_driver(drv)->virtfn_added(vf->physfn, vf);
}

static int enlist(struct pci_dev *pdev, bool no_probe)
{
	int err = setup_device(pdev);

	if (!err && !pdev->physfn)
		err = pci_assign_resources(pdev);
	if (err)
		return err;
	if (pdev->physfn)
		tell_physfn_driver(pdev);
	atomic_store(&pdev->enable_cnt, 0);
	pdev->present = true;
	pdev->dev.bus = &pci_bus_type;
	err = device_register(&pdev->dev, true);
	if (err)
		goto err_absent;
	number_buses(pdev);
	err = pci_bus_add(pdev);
	if (err)
		goto err_unregister;
	if (pdev->physfn)
		err = pci_iov_add_links(pdev);
	else if (pdev->dev.found)
		pci_iov_follow(pdev);
	if (!err && pci_iommu_probe)
		err = pci_iommu_probe(pdev);
	if (err)
		goto err_unregister;
	if (!no_probe && (!pdev->physfn || pdev->dev.found || pci_iov_autoprobe(pdev)))
		device_initial_probe(&pdev->dev);
	return 0;

err_unregister:
	device_unregister(&pdev->dev);
err_absent:
	pdev->present = false;
	return err;
}

static void delist(struct pci_dev *pdev)
{
	device_driver_detach(&pdev->dev);
	if (pdev->physfn)
		pci_iov_remove_links(pdev);
	if (pdev->dev.iommu_group)
		iommu_release_device(&pdev->dev);
	pci_bus_remove_behind(pdev);
	device_unregister(&pdev->dev);
	pdev->present = false;
}

static char *device_path(const struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];

	if (pdev->bridge)
		snprintf(path, sizeof(path), "%s/%s", pdev->bridge->dev.path, pdev->dev.name);
	else
		snprintf(path, sizeof(path), "sys/devices/pci%04x:%02x/%s", pdev->domain, pdev->bus,
			 pdev->dev.name);
	return kstrdup(path);
}

static bool is_removed(const char *name);

/* Is it in its slot, but not on the bus? */
static bool is_absent(const struct pci_dev *pdev)
{
	return pdev->physfn ? !pci_iov_vf_exists(pdev) : is_removed(pdev->dev.name);
}

int pci_device_add(struct pci_dev *pdev, bool no_probe)
{
	int err;

	kernfs_assert_locked();
	pdev->dev.path = device_path(pdev);
	if (!pdev->dev.path)
		return fail(-ENOMEM, "no memory for %s", pdev->dev.name);
	TAILQ_INSERT_TAIL(&pci_devices, pdev, all_node);
	pci_irq_init(pdev);
	if (is_absent(pdev))
		return 0;
	err = enlist(pdev, no_probe);
	if (err) {
		pci_aer_exit(pdev);
		pci_iov_exit(pdev);
		TAILQ_REMOVE(&pci_devices, pdev, all_node);
		kfree(pdev->dev.path);
		pdev->dev.path = NULL;
	}
	return err;
}

void pci_device_remove(struct pci_dev *pdev)
{
	kernfs_assert_locked();
	if (pdev->present)
		delist(pdev);
	TAILQ_REMOVE(&pci_devices, pdev, all_node);
	pci_aer_exit(pdev);
	pci_iov_exit(pdev);
	kfree(pdev->space);
	pdev->space = NULL;
	kfree(pdev->dev.path);
	pdev->dev.path = NULL;
}

struct pci_dev *pci_get_device_by_name(const char *bdf)
{
	struct device *dev = bus_find_device(&pci_bus_type, bdf);

	return dev ? to_pci_dev(dev) : NULL;
}

int pci_for_each_dev(int (*fn)(struct pci_dev *pdev, void *arg), void *arg)
{
	struct pci_dev *pdev;
	int ret = 0;

	TAILQ_FOREACH(pdev, &pci_devices, all_node)
		if (pdev->present && (ret = fn(pdev, arg)))
			break;
	return ret;
}

static int is_sibling(struct pci_dev *pdev, void *of)
{
	const struct pci_dev *other = of;

	return pdev != other && pdev->domain == other->domain && pdev->bus == other->bus;
}

bool pci_alone_on_bus(const struct pci_dev *pdev)
{
	return !pci_for_each_dev(is_sibling, (void *)pdev);
}

/* ---- virtual functions ---------------------------------------------------------------------- */

int pci_enlist_vfs(struct pci_dev *pdev)
{
	struct pci_dev *vf;
	int err = 0;

	TAILQ_FOREACH(vf, &pci_devices, all_node)
		if (vf->physfn == pdev && !vf->present && pci_iov_vf_exists(vf) && !err)
			err = enlist(vf, false);
	return err;
}

void pci_delist_vfs(struct pci_dev *pdev)
{
	struct pci_dev *vf;

	TAILQ_FOREACH_REVERSE(vf, &pci_devices, pci_dev_list, all_node)
		if (vf->physfn == pdev && vf->present)
			delist(vf);
}

/* ---- removed by a program ------------------------------------------------------------------ */

static ssize_t read_removed(char *buf, size_t size)
{
	ssize_t len = kernfs_read(REMOVED_FILE, buf, size - 1);

	buf[len > 0 ? len : 0] = '\0';
	return len;
}

/* The file is one name a line, each line ended. */
static bool is_removed(const char *name)
{
	char buf[PAGE_SIZE], *at = buf, *line;

	if (read_removed(buf, sizeof(buf)) <= 0)
		return false;
	while ((line = strsep(&at, "\n")))
		if (!strcmp(line, name))
			return true;
	return false;
}

void pci_write_removed(void)
{
	char buf[PAGE_SIZE];
	struct pci_dev *pdev;
	size_t len = 0;

	TAILQ_FOREACH(pdev, &pci_devices, all_node)
		if (!pdev->present && !pdev->physfn && len + strlen(pdev->dev.name) + 2 < sizeof(buf))
			len += (size_t)snprintf(buf + len, sizeof(buf) - len, "%s\n", pdev->dev.name);
	kernfs_write_state(REMOVED_FILE, buf, len);
}

/* Children first. */
static void delist_all_behind(struct pci_dev *top)
{
	struct pci_dev *pdev;

	TAILQ_FOREACH_REVERSE(pdev, &pci_devices, pci_dev_list, all_node)
		if (pdev->present && (pdev == top || pci_is_behind(pdev, top)))
			delist(pdev);
}

static void leaving_path(const char *name, char path[PCI_PATH_MAX])
{
	snprintf(path, PCI_PATH_MAX, LEAVING_DIR "/%s", name);
}

/* The file is there while it is under way, for the case that this process is killed meanwhile (base/tidy.c). */
void pci_stop_and_remove(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];

	kernfs_assert_locked();
	leaving_path(pdev->dev.name, path);
	kernfs_create_file(path, 0644, NULL, 0, NULL, NULL);
	delist_all_behind(pdev);
	pci_write_removed();
	kernfs_remove(path);
}

static int is_used_behind(struct pci_dev *pdev, void *top)
{
	const struct device_driver *drv = pdev->dev.driver;

	return (pdev == top || pci_is_behind(pdev, top)) && drv && drv->used && drv->used(&pdev->dev);
}

static bool finish_leaving(const char *name)
{
	struct pci_dev *pdev = pci_get_device_by_name(name);
	char path[PCI_PATH_MAX];

	if (pdev && pci_for_each_dev(is_used_behind, pdev))
		return false;
	if (pdev) {
		explain_event("%s was being removed by a process that is gone: finishing that", name);
		pci_stop_and_remove(pdev);
		return true;
	}
	leaving_path(name, path);
	kernfs_remove(path);
	return false;
}

bool pci_bus_tidy(struct bus_type *bus)
{
	return device_for_each_left(LEAVING_DIR, finish_leaving);
}

/* As a hotplug port does it: what other processes did meanwhile is looked at first. */
void pci_surprise_remove(struct pci_dev *pdev)
{
	device_sync();
	kernfs_lock();
	if (kernfs_root() && pdev->present) {
		pci_stop_and_remove(pdev);
		device_changed();
	}
	kernfs_unlock();
}

int pci_come_back(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];

	if (pdev->present || pdev->physfn || (pdev->bridge && !pdev->bridge->present))
		return 0;
	leaving_path(pdev->dev.name, path);
	kernfs_remove(path); /* if whoever removed it was killed in the end */
	return enlist(pdev, false);
}

int pci_rescan_bus(struct bus_type *bus)
{
	struct pci_dev *pdev;
	int err = 0, ret = 0;

	kernfs_assert_locked();
	TAILQ_FOREACH(pdev, &pci_devices, all_node) {
		err = pci_come_back(pdev);
		ret = ret ? ret : err;
	}
	pci_write_removed();
	return ret;
}

/*
 * In memory only: the process that removed or rescanned has done the rest.  A device that a program
 * here has open stays until it is closed: we run inside that program's calls and cannot wait for it.
 */
bool pci_follow_removed(void)
{
	struct pci_dev *pdev;
	bool done = true;

	TAILQ_FOREACH(pdev, &pci_devices, all_node)
		pci_iov_follow(pdev);
	TAILQ_FOREACH_REVERSE(pdev, &pci_devices, pci_dev_list, all_node) {
		if (!pdev->present || !is_absent(pdev))
			continue;
		if (device_driver_in_use(&pdev->dev))
			done = false;
		else
			delist(pdev);
	}
	TAILQ_FOREACH(pdev, &pci_devices, all_node)
		if (!pdev->present && !is_absent(pdev) && (!pdev->bridge || pdev->bridge->present))
			enlist(pdev, true);
	return done;
}
