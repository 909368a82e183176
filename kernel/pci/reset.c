/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reset.c - the ways to reset a function, and which of them a device has.
 *
 *	flr	the PCI Express function level reset bit (if the device says it has one)
 *	af_flr	the same bit of the Advanced Features capability of conventional PCI
 *	pm	D3hot and back to D0 (if that does reset it: No_Soft_Reset is 0)
 *	bus	the secondary bus reset of the bridge above (if nobody else is on that bus)
 *	cxl_bus	the same below a port that speaks CXL, which does it only while it is told so (Unmask SBR)
 *
 * They are tried in that order, until the device answers again.  It does so at once or never: what
 * Linux waits for, up to a minute, here has happened when the reset returns.
 *
 * What works when a device is found is in its file reset_method, and a device for which nothing does has no such
 * file.  A user may choose by writing to it; the file is where the choice lives, so that all
 * processes of the machine follow it.  What is in it may have stopped working: then the next is tried.
 *
 * Sources: PCI Express Base 5.0, 6.6 (reset), 5.3 (power states), 7.5.1.3.13 (bridge control); CXL 2.0, 8.1.5.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/pci/pci_internal.h"

#define EXT_START PCI_CFG_SPACE_SIZE
#define EXT_CAPS_MAX 480 /* all that there is room for: lists may loop */
#define CXL_VENDOR 0x1e98u
#define CXL_PORT 3u	    /* DVSEC: CXL extensions of a port */
#define CXL_PORT_CTL 0x0cu
#define CXL_UNMASK_SBR 0x0001u

static bool flr_works(struct pci_dev *pdev)
{
	return pdev->has_flr;
}

static void flr(struct pci_dev *pdev)
{
	u16 ctl;

	pci_read_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVCTL, &ctl);
	pci_write_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_BCR_FLR);
}

static bool af_works(struct pci_dev *pdev)
{
	return pdev->has_af_flr;
}

static void af_flr(struct pci_dev *pdev)
{
	pci_write_config_byte(pdev, pdev->af_cap + PCI_AF_CTRL, PCI_AF_CTRL_FLR);
}

static bool pm_works(struct pci_dev *pdev)
{
	u16 csr;

	return pdev->pm_cap && !pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &csr) &&
	       !(csr & PCI_PM_CTRL_NO_SOFT_RESET);
}

static void pm_reset(struct pci_dev *pdev)
{
	unsigned at = pdev->pm_cap + PCI_PM_CTRL;
	u16 csr;

	pci_read_config_word(pdev, at, &csr);
	csr &= (u16)~(PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_STATUS);
	pci_write_config_word(pdev, at, csr | 3); /* D3hot */
	pci_write_config_word(pdev, at, csr);
}

/* The register of a CXL port that says which resets it carries out; 0: it is no such port. */
static unsigned cxl_port_ctl(struct pci_dev *bridge)
{
	unsigned pos = EXT_START;
	u32 head, vendor, id;

	for (unsigned n = 0; n < EXT_CAPS_MAX && pos >= EXT_START && pos + CXL_PORT_CTL + 2 <= bridge->cfg_size; n++) {
		pci_read_config_dword(bridge, pos, &head);
		pci_read_config_dword(bridge, pos + PCI_DVSEC_HEADER1, &vendor);
		pci_read_config_dword(bridge, pos + PCI_DVSEC_HEADER2, &id);
		if (PCI_EXT_CAP_ID(head) == PCI_EXT_CAP_ID_DVSEC && (vendor & 0xffff) == CXL_VENDOR &&
		    (id & 0xffff) == CXL_PORT)
			return pos + CXL_PORT_CTL;
		pos = PCI_EXT_CAP_NEXT(head);
	}
	return 0;
}

static bool cxl_masks_reset(struct pci_dev *bridge)
{
	const unsigned at = cxl_port_ctl(bridge);
	u16 ctl = CXL_UNMASK_SBR;

	if (at)
		pci_read_config_word(bridge, at, &ctl);
	return !(ctl & CXL_UNMASK_SBR);
}

static bool bus_works(struct pci_dev *pdev)
{
	return pdev->bridge && pci_alone_on_bus(pdev) && !cxl_masks_reset(pdev->bridge);
}

static void bus_reset(struct pci_dev *pdev)
{
	pci_bridge_secondary_bus_reset(pdev->bridge);
}

static bool cxl_bus_works(struct pci_dev *pdev)
{
	return pdev->bridge && pci_alone_on_bus(pdev) && cxl_port_ctl(pdev->bridge);
}

static void cxl_bus_reset(struct pci_dev *pdev)
{
	const unsigned at = cxl_port_ctl(pdev->bridge);
	u16 ctl;

	pci_read_config_word(pdev->bridge, at, &ctl);
	pci_write_config_word(pdev->bridge, at, ctl | CXL_UNMASK_SBR);
	bus_reset(pdev);
	pci_write_config_word(pdev->bridge, at, ctl);
}

static const struct {
	const char *name;
	bool (*works)(struct pci_dev *pdev);
	void (*reset)(struct pci_dev *pdev);
} methods[PCI_RESET_METHODS] = {
	[PCI_RESET_FLR] = {"flr", flr_works, flr},
	[PCI_RESET_AF] = {"af_flr", af_works, af_flr},
	[PCI_RESET_PM] = {"pm", pm_works, pm_reset},
	[PCI_RESET_BUS] = {"bus", bus_works, bus_reset},
	[PCI_RESET_CXL_BUS] = {"cxl_bus", cxl_bus_works, cxl_bus_reset},
};

const char *pci_reset_method_name(enum pci_reset_method method)
{
	return methods[method].name;
}

bool pci_reset_method_works(struct pci_dev *pdev, enum pci_reset_method method)
{
	return methods[method].works(pdev);
}

int pci_default_reset_methods(struct pci_dev *pdev, char *buf, size_t size)
{
	int len = 0;

	buf[0] = '\0';
	for (enum pci_reset_method m = 0; m < PCI_RESET_METHODS; m++)
		if (methods[m].works(pdev))
			len += snprintf(buf + len, size - (size_t)len, "%s%s", len ? " " : "",
					methods[m].name);
	if (len)
		len += snprintf(buf + len, size - (size_t)len, "\n");
	return len;
}

/* What reset_method says. */
static void chosen_methods(struct pci_dev *pdev, char *buf, size_t size)
{
	char path[PCI_PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "%s/reset_method", pdev->dev.path);
	len = kernfs_read(path, buf, size - 1);
	buf[len < 0 ? 0 : len] = '\0';
}

static int next_method(char **at)
{
	char *name = strsep(at, " \n");

	for (int m = 0; name && m < PCI_RESET_METHODS; m++)
		if (!strcmp(name, methods[m].name))
			return m;
	return -1;
}

/* The methods to try, in order, ended by -1; those that do not work now are left out. */
static void choose(struct pci_dev *pdev, int ret[static PCI_RESET_METHODS + 1])
{
	char buf[128], *at = buf;
	unsigned n = 0;

	chosen_methods(pdev, buf, sizeof(buf));
	while (at && n < PCI_RESET_METHODS) {
		int m = next_method(&at);

		if (m >= 0 && methods[m].works(pdev))
			ret[n++] = m;
	}
	ret[n] = -1;
}

bool pci_reset_supported(struct pci_dev *pdev)
{
	int chosen[PCI_RESET_METHODS + 1];

	choose(pdev, chosen);
	return chosen[0] >= 0;
}

bool pci_is_behind(const struct pci_dev *pdev, const struct pci_dev *bridge)
{
	do
		pdev = pdev->bridge;
	while (pdev && pdev != bridge);
	return pdev;
}

/* Children hear of it from us: a bridge's model does not know who sits behind it. */
static int reset_child(struct pci_dev *pdev, void *bridge)
{
	if (pci_is_behind(pdev, bridge) && pdev->hw_ops->reset)
		pdev->hw_ops->reset(pdev->hw, true);
	return 0;
}

void pci_bridge_secondary_bus_reset(struct pci_dev *bridge)
{
	u16 ctl;

	pci_read_config_word(bridge, PCI_BRIDGE_CONTROL, &ctl);
	pci_write_config_word(bridge, PCI_BRIDGE_CONTROL, ctl | PCI_BRIDGE_CTL_BUS_RESET);
	pci_for_each_dev(reset_child, bridge);
	pci_write_config_word(bridge, PCI_BRIDGE_CONTROL, ctl & (u16)~PCI_BRIDGE_CTL_BUS_RESET);
}

struct link_state {
	struct pci_dev *bridge;
	unsigned count, room;
	struct pci_dev **devs;
	struct pci_saved_state *states;
};

static int save_child(struct pci_dev *pdev, void *arg)
{
	struct link_state *link = arg;

	if (!pci_is_behind(pdev, link->bridge))
		return 0;
	if (link->count < link->room) {
		link->devs[link->count] = pdev;
		if (pci_save_state(pdev, &link->states[link->count]))
			return -ENOMEM;
	}
	link->count++;
	return 0;
}

void pci_reset_link(struct pci_dev *bridge)
{
	struct link_state link = {.bridge = bridge};

	kernfs_assert_locked();
	link.room = 256; /* functions of one bus; what is further down may lose its state */
	link.devs = kcalloc(link.room, sizeof(*link.devs));
	link.states = kcalloc(link.room, sizeof(*link.states));
	if (link.devs && link.states) {
		pci_for_each_dev(save_child, &link);
		pci_bridge_secondary_bus_reset(bridge);
		for (unsigned i = 0; i < min(link.count, link.room); i++)
			pci_restore_state(link.devs[i], &link.states[i]);
	}
	kfree(link.devs);
	kfree(link.states);
}

static int no_way(const struct pci_dev *pdev)
{
	return fail(-ENOTTY, "%s cannot be reset: no FLR, no AF reset, no reset by power state, %s", pdev->dev.name,
		    pdev->bridge ? "and not alone on its bus (or reset_method forbids it)"
				 : "and no bridge above it");
}

int pci_wait_ready(struct pci_dev *pdev, const char *after)
{
	u32 command; /* and status; the vendor of a virtual function is 0xffff anyway */

	pci_read_config_dword(pdev, PCI_COMMAND, &command);
	return command != ~0u ? 0 : fail(-ENOTTY, "%s does not answer after %s: reads of config space are all ones",
					   pdev->dev.name, after);
}

/* A method after which the device does not answer gives way to the next one. */
static int reset_by(struct pci_dev *pdev, const int *chosen)
{
	int err = -ENOTTY;

	for (; *chosen >= 0 && err; chosen++) {
		methods[*chosen].reset(pdev);
		err = pci_wait_ready(pdev, methods[*chosen].name);
	}
	return err;
}

void pci_reset_notify_done(struct pci_dev *pdev)
{
	if (pdev->dev.driver && to_pci_driver(pdev->dev.driver)->reset_done)
		to_pci_driver(pdev->dev.driver)->reset_done(pdev);
}

/* To D0, if it is not there: registers of power management do not all survive a reset, and Linux wakes it first. */
static void wake(struct pci_dev *pdev)
{
	u16 csr;

	if (pdev->pm_cap && !pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &csr) && csr & PCI_PM_CTRL_STATE_MASK)
		pci_write_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, 0);
}

int pci_reset_function(struct pci_dev *pdev)
{
	int chosen[PCI_RESET_METHODS + 1], err;
	struct pci_saved_state state;

	choose(pdev, chosen);
	if (chosen[0] < 0)
		return no_way(pdev);
	err = pci_save_state(pdev, &state);
	if (err)
		return err;
	/* Quiet first: no DMA and no interrupt may cross the reset. */
	pci_write_config_word(pdev, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	wake(pdev);
	err = reset_by(pdev, chosen);
	pci_restore_state(pdev, &state);
	pci_reset_notify_done(pdev);
	return err;
}
