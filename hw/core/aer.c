/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aer.c - advanced error reporting: a device that saw an error says so.
 *
 * Status bits stay until software clears them, also across resets (they are "sticky"), so that after
 * a crash one can look what happened.  The first uncorrectable error also leaves its number and the
 * packet's header.  A message goes up only if the error is not masked and Device Control (or, for the
 * uncorrectable, SERR# enable) allows it.
 *
 * Source: PCI Express Base 5.0, 6.2 and 7.8.4.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define AER_BYTES 0x48 /* with the TLP prefix log */
#define UNCOR_BITS 0x07fff030u
#define SEVERITY_RESET 0x00462030u
#define COR_BITS 0x0000f1c1u
#define COR_MASK_RESET 0x0000e000u /* advisory non-fatal, internal, log overflow */

int hw_ext_cap_add_aer(struct hw_device *hw)
{
	u8 body[AER_BYTES - 4] = { 0 }, writable[AER_BYTES - 4] = { 0 };
	int off;

	hw_cfg_put32(body + PCI_ERR_UNCOR_MASK - 4, 0x02400000); /* internal, TLP prefix blocked */
	hw_cfg_put32(body + PCI_ERR_UNCOR_SEVER - 4, SEVERITY_RESET);
	hw_cfg_put32(body + PCI_ERR_COR_MASK - 4, COR_MASK_RESET);
	hw_cfg_put32(body + PCI_ERR_CAP - 4, PCI_ERR_CAP_ECRC_GENC | PCI_ERR_CAP_ECRC_CHKC);
	hw_cfg_put32(writable + PCI_ERR_UNCOR_MASK - 4, UNCOR_BITS);
	hw_cfg_put32(writable + PCI_ERR_UNCOR_SEVER - 4, UNCOR_BITS);
	hw_cfg_put32(writable + PCI_ERR_COR_MASK - 4, COR_BITS);
	hw_cfg_put32(writable + PCI_ERR_CAP - 4, PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE);
	off = hw_ext_cap_add(hw, PCI_EXT_CAP_ID_ERR, 2, body, writable, sizeof(body));
	if (off < 0)
		return off;
	hw_cfg_put32(hw->w1c + off + PCI_ERR_UNCOR_STATUS, UNCOR_BITS);
	hw_cfg_put32(hw->w1c + off + PCI_ERR_COR_STATUS, COR_BITS);
	hw->aer_cap = (u16)off;
	return off;
}

void hw_aer_save_locked(const struct hw_device *hw, u8 *ret)
{
	if (hw->aer_cap)
		memcpy(ret, hw->cfg + hw->aer_cap + PCI_ERR_UNCOR_STATUS, HW_AER_STICKY_BYTES);
}

void hw_aer_restore_locked(struct hw_device *hw, const u8 *saved)
{
	if (hw->aer_cap)
		memcpy(hw->cfg + hw->aer_cap + PCI_ERR_UNCOR_STATUS, saved, HW_AER_STICKY_BYTES);
}

/* ---- an error -------------------------------------------------------------------------------- */

static u32 get(const struct hw_device *hw, unsigned reg)
{
	return hw_cfg_get32(hw->cfg + hw->aer_cap + reg);
}

static void set_bits(u8 *reg, u32 bits)
{
	hw_cfg_put32(reg, hw_cfg_get32(reg) | bits);
}

/* The first unmasked uncorrectable error since all were cleared is the one that is described. */
static void log_first_locked(struct hw_device *hw, u32 bit, const uint32_t *tlp)
{
	u8 *cap = hw->cfg + hw->aer_cap;
	const u32 pending = get(hw, PCI_ERR_UNCOR_STATUS) & ~get(hw, PCI_ERR_UNCOR_MASK);
	const u32 reg = get(hw, PCI_ERR_CAP);

	if (pending)
		return;
	hw_cfg_put32(cap + PCI_ERR_CAP, (reg & ~0x1fu) | (u32)__builtin_ctz(bit));
	for (unsigned i = 0; i < 4; i++)
		hw_cfg_put32(cap + PCI_ERR_HEADER_LOG + 4 * i, tlp ? tlp[i] : 0);
}

/* Bits of Device Control that let a message of each kind out, and of Device Status that record it. */
static const struct {
	u16 enable, status;
	const char *name;
} kinds[] = {
	[HW_AER_CORRECTABLE] = { PCI_EXP_DEVCTL_CERE, PCI_EXP_DEVSTA_CED, "correctable" },
	[HW_AER_NONFATAL] = { PCI_EXP_DEVCTL_NFERE, PCI_EXP_DEVSTA_NFED, "non-fatal" },
	[HW_AER_FATAL] = { PCI_EXP_DEVCTL_FERE, PCI_EXP_DEVSTA_FED, "fatal" },
};

static enum hw_aer_severity record_locked(struct hw_device *hw, bool uncorrectable, u32 bit,
					  const uint32_t *tlp, bool *ret_masked, bool *ret_enabled)
{
	enum hw_aer_severity severity = HW_AER_CORRECTABLE;
	u8 *status = hw->cfg + hw->aer_cap + (uncorrectable ? PCI_ERR_UNCOR_STATUS : PCI_ERR_COR_STATUS);
	u8 *dev = hw->cfg + hw->pcie_cap;

	if (uncorrectable)
		severity = get(hw, PCI_ERR_UNCOR_SEVER) & bit ? HW_AER_FATAL : HW_AER_NONFATAL;
	*ret_masked = get(hw, uncorrectable ? PCI_ERR_UNCOR_MASK : PCI_ERR_COR_MASK) & bit;
	if (uncorrectable && !*ret_masked)
		log_first_locked(hw, bit, tlp);
	set_bits(status, bit);
	hw_cfg_put16(dev + PCI_EXP_DEVSTA, hw_cfg_get16(dev + PCI_EXP_DEVSTA) | kinds[severity].status);
	*ret_enabled = hw_cfg_get16(dev + PCI_EXP_DEVCTL) & kinds[severity].enable ||
		       (uncorrectable && hw_cfg_get16(hw->cfg + HW_CFG_COMMAND) & PCI_COMMAND_SERR);
	return severity;
}

bool hw_aer_report(struct hw_device *hw, bool uncorrectable, uint32_t bit, const uint32_t tlp[4])
{
	const u32 defined = uncorrectable ? UNCOR_BITS : COR_BITS;
	enum hw_aer_severity severity;
	bool masked, enabled;

	if (!hw->aer_cap || !hw->pcie_cap || bit & (bit - 1) || !(bit & defined)) {
		hw_explain(hw, "error 0x%x is not reported: %s", bit,
			   hw->aer_cap ? "it is not one defined bit" : "the device has no AER capability");
		return false;
	}
	mutex_lock(&hw->cfg_lock);
	severity = record_locked(hw, uncorrectable, bit, tlp, &masked, &enabled);
	mutex_unlock(&hw->cfg_lock);
	if (masked || !enabled) {
		hw_explain(hw, "%s error 0x%x is recorded, but not reported: %s", kinds[severity].name, bit,
			   masked ? "its bit is set in the AER mask register"
				  : "reporting is off in Device Control");
		return false;
	}
	if (hw->host_ops->aer)
		hw->host_ops->aer(hw->host, severity, bit);
	return true;
}
