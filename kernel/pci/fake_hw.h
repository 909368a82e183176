/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_hw.h - for the tests of this folder: silicon in a slot, as little as pci_hw_ops needs.
 *
 * Config space is an array and a mask of the bits that a driver can change.  Capabilities are put in
 * by hand.  FLR and power states are acted on as hardware would: reset counts, config is wiped.
 */
#ifndef KERNEL_PCI_FAKE_HW_H
#define KERNEL_PCI_FAKE_HW_H

#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/pci/pci.h"

struct fake_hw {
	u8 config[4096], reset_config[4096], writable[4096];
	u8 bar[PCI_NUM_RESOURCES][8192]; /* the first bytes of each */
	unsigned resets, bus_resets;
	unsigned pm_cap, exp_cap;
	bool locked_power; /* No_Soft_Reset */
	u16 command_at_reset;
	struct pci_dev pdev;
};

static inline void fake_put(u8 *at, u32 val, unsigned len)
{
	memcpy(at, &val, len);
}

static inline u32 fake_config_read(void *p, unsigned off, unsigned len)
{
	struct fake_hw *hw = p;
	u32 val = 0;

	memcpy(&val, hw->config + off, len);
	return val;
}

static inline void fake_wipe(struct fake_hw *hw)
{
	memcpy(&hw->command_at_reset, hw->config + PCI_COMMAND, 2);
	memcpy(hw->config, hw->reset_config, sizeof(hw->config));
}

static inline void fake_reset(void *p, bool bus)
{
	struct fake_hw *hw = p;

	if (bus)
		hw->bus_resets++;
	else
		hw->resets++;
	fake_wipe(hw);
}

static inline void fake_config_write(void *p, unsigned off, unsigned len, u32 val)
{
	struct fake_hw *hw = p;
	u8 was = hw->pm_cap ? hw->config[hw->pm_cap + PCI_PM_CTRL] & 3 : 0;

	for (unsigned i = 0; i < len; i++) {
		u8 mask = hw->writable[off + i];

		hw->config[off + i] = (u8)((hw->config[off + i] & ~mask) | ((val >> (8 * i)) & mask));
	}
	if (hw->exp_cap && (hw->config[hw->exp_cap + PCI_EXP_DEVCTL + 1] & 0x80))
		fake_reset(hw, false);
	if (hw->pm_cap && was == 3 && !(hw->config[hw->pm_cap + PCI_PM_CTRL] & 3) && !hw->locked_power)
		fake_reset(hw, false);
}

static inline u64 fake_bar_read(void *p, unsigned bar, u64 off, unsigned len)
{
	struct fake_hw *hw = p;
	u64 val = 0;

	if (off + len <= sizeof(hw->bar[bar]))
		memcpy(&val, hw->bar[bar] + off, len);
	return val;
}

static inline void fake_bar_write(void *p, unsigned bar, u64 off, unsigned len, u64 val)
{
	struct fake_hw *hw = p;

	if (off + len <= sizeof(hw->bar[bar]))
		memcpy(hw->bar[bar] + off, &val, len);
}

static const struct pci_hw_ops fake_ops = {
	.config_read = fake_config_read, .config_write = fake_config_write, .bar_read = fake_bar_read,
	.bar_write = fake_bar_write, .reset = fake_reset,
};

static inline void fake_writable(struct fake_hw *hw, unsigned off, u32 mask, unsigned len)
{
	fake_put(hw->writable + off, mask, len);
}

/* @flags: the low bits of the register. */
static inline void fake_bar(struct fake_hw *hw, unsigned bar, u64 size, u32 flags)
{
	unsigned off = bar == PCI_ROM_RESOURCE ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;

	fake_put(hw->config + off, flags, 4);
	fake_writable(hw, off, (u32)~(size - 1) | (bar == PCI_ROM_RESOURCE), 4);
	if (flags & PCI_BASE_ADDRESS_MEM_TYPE_64)
		fake_writable(hw, off + 4, (u32)(~(size - 1) >> 32), 4);
}

/* Link a capability in front of the list. */
static inline void fake_cap(struct fake_hw *hw, unsigned off, u8 id)
{
	hw->config[off] = id;
	hw->config[off + 1] = hw->config[PCI_CAPABILITY_LIST];
	hw->config[PCI_CAPABILITY_LIST] = (u8)off;
	hw->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
}

static inline void fake_express(struct fake_hw *hw, unsigned off, bool has_flr)
{
	fake_cap(hw, off, PCI_CAP_ID_EXP);
	hw->exp_cap = off;
	fake_put(hw->config + off + PCI_EXP_DEVCAP, has_flr ? PCI_EXP_DEVCAP_FLR : 0, 4);
	fake_put(hw->config + off + PCI_EXP_LNKCAP, 1 | 4 << 4, 4);
	fake_put(hw->config + off + PCI_EXP_LNKSTA, 1 | 4 << 4, 2);
	fake_writable(hw, off + PCI_EXP_DEVCTL, has_flr ? 0xffff : 0x7fff, 2);
	fake_writable(hw, off + PCI_EXP_LNKCTL, 0xffff, 2);
}

static inline void fake_pm(struct fake_hw *hw, unsigned off, bool no_soft_reset)
{
	fake_cap(hw, off, PCI_CAP_ID_PM);
	hw->pm_cap = off;
	hw->locked_power = no_soft_reset;
	if (no_soft_reset)
		hw->config[off + PCI_PM_CTRL] |= PCI_PM_CTRL_NO_SOFT_RESET;
	fake_writable(hw, off + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, 2);
}

static inline void fake_msi(struct fake_hw *hw, unsigned off, unsigned log2_vectors)
{
	fake_cap(hw, off, PCI_CAP_ID_MSI);
	fake_put(hw->config + off + PCI_MSI_FLAGS,
		 log2_vectors << 1 | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT, 2);
	fake_writable(hw, off + PCI_MSI_FLAGS, PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE, 2);
	fake_writable(hw, off + PCI_MSI_ADDRESS_LO, ~3u, 4);
	fake_writable(hw, off + PCI_MSI_ADDRESS_HI, ~0u, 4);
	fake_writable(hw, off + PCI_MSI_DATA_64, 0xffff, 2);
	fake_writable(hw, off + PCI_MSI_MASK_64, ~0u, 4);
}

static inline void fake_msix(struct fake_hw *hw, unsigned off, unsigned vectors, unsigned bar, u32 table)
{
	fake_cap(hw, off, PCI_CAP_ID_MSIX);
	fake_put(hw->config + off + PCI_MSIX_FLAGS, vectors - 1, 2);
	fake_put(hw->config + off + PCI_MSIX_TABLE, table | bar, 4);
	fake_writable(hw, off + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
}

/* A conventional endpoint like edu, or with @bridge a root port; not yet added to the bus. */
static inline struct fake_hw *fake_new(const char *name, u16 vendor, u16 device, u32 class, bool is_bridge)
{
	struct fake_hw *hw = calloc(1, sizeof(*hw));
	unsigned domain, bus, slot, func;

	fake_put(hw->config, vendor | (u32)device << 16, 4);
	fake_put(hw->config + PCI_CLASS_REVISION, class << 8 | 0x10, 4);
	fake_writable(hw, PCI_COMMAND, 0x547, 2);
	fake_writable(hw, PCI_INTERRUPT_LINE, 0xff, 1);
	hw->config[PCI_INTERRUPT_PIN] = 1;
	if (is_bridge) {
		hw->config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
		fake_writable(hw, PCI_PRIMARY_BUS, 0xffffff, 4);
		fake_writable(hw, PCI_IO_BASE, 0xf0f0, 2);
		fake_writable(hw, PCI_MEMORY_BASE, 0xfff0fff0, 4);
		fake_writable(hw, PCI_PREF_MEMORY_BASE, 0xfff0fff0, 4);
		fake_writable(hw, PCI_PREF_BASE_UPPER32, ~0u, 4);
		fake_writable(hw, PCI_PREF_LIMIT_UPPER32, ~0u, 4);
		fake_writable(hw, PCI_BRIDGE_CONTROL, 0xffff, 2);
	} else {
		fake_put(hw->config + PCI_SUBSYSTEM_VENDOR_ID, 0x11001af4, 4);
	}
	if (sscanf(name, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4)
		abort();
	hw->pdev.dev.name = name;
	hw->pdev.domain = (u16)domain;
	hw->pdev.bus = (u8)bus;
	hw->pdev.devfn = PCI_DEVFN_(slot, func);
	hw->pdev.cfg_size = 4096;
	hw->pdev.hw_ops = &fake_ops;
	hw->pdev.hw = hw;
	return hw;
}

/* What is in config space now is what a reset brings back. */
static inline void fake_ready(struct fake_hw *hw)
{
	memcpy(hw->reset_config, hw->config, sizeof(hw->config));
}

#endif
