/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - config space: the bytes, which of them a driver may change, and what a change causes.
 *
 * Each byte has a mask of writable bits and a mask of bits that are cleared by writing one (hw_core.h).
 * BAR sizing needs no code of its own: the low bits of a BAR register are simply not writable, so all
 * ones read back as the size's mask.
 *
 * A write changes bytes under cfg_lock, and notes what that causes in a struct effects; the effects are
 * carried out after the lock is dropped, because they call the model and the host.
 *
 * Two fields are not stored but asked for: the interrupt bit of the status register and MSI's pending
 * bits.  Some writes act instead of being stored: function level reset (of PCI Express and of advanced
 * features), the address register of VPD (vpd.c), and a power state of D1 or D2, which no device here has.
 *
 * Sources: PCI Local Bus 3.0 chapter 6, PCI Express Base 5.0 chapter 7, PCI Power Management 1.2.
 */
#include "hw/core/hw_core.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "kernel/lib/explain.h"

#define BAR_ROM_TYPE0 0x30
#define BAR_ROM_TYPE1 0x38
#define HEADER_MULTIFUNCTION 0x80
#define EXPRESS_CAP_BYTES 0x3c /* version 2 has all registers, those of a slot too */

u16 hw_cfg_get16(const u8 *p) { return (u16)(p[0] | p[1] << 8); }
u32 hw_cfg_get32(const u8 *p) { return hw_cfg_get16(p) | (u32)hw_cfg_get16(p + 2) << 16; }

void hw_cfg_put16(u8 *p, u16 val)
{
	p[0] = (u8)val;
	p[1] = (u8)(val >> 8);
}

void hw_cfg_put32(u8 *p, u32 val)
{
	hw_cfg_put16(p, (u16)val);
	hw_cfg_put16(p + 2, (u16)(val >> 16));
}

/* ---- layout: only while create() runs -------------------------------------------------------- */

/* Bus numbers, windows and control of a bridge (PCI-to-PCI Bridge 1.2, 3.2). */
static void layout_bridge(struct hw_device *hw)
{
	memset(hw->wmask + PCI_PRIMARY_BUS, 0xff, 4);
	hw->wmask[PCI_IO_BASE] = hw->wmask[PCI_IO_LIMIT] = 0xf0;
	hw_cfg_put16(hw->w1c + PCI_SEC_STATUS, 0xf900);
	hw_cfg_put32(hw->wmask + PCI_MEMORY_BASE, 0xfff0fff0);
	hw_cfg_put32(hw->cfg + PCI_PREF_MEMORY_BASE, 0x00010001); /* both ends are 64 bits wide */
	hw_cfg_put32(hw->wmask + PCI_PREF_MEMORY_BASE, 0xfff0fff0);
	memset(hw->wmask + PCI_PREF_BASE_UPPER32, 0xff, 8);
	hw_cfg_put16(hw->wmask + PCI_BRIDGE_CONTROL, 0x007f);
}

void hw_pci_identify(struct hw_device *hw, const struct hw_pci_id *id)
{
	u8 *cfg = hw->cfg;

	if (!hw->creating || hw->model->platform) {
		hw_explain(hw, "a PCI device identifies itself, in create() only");
		return;
	}
	hw_cfg_put16(cfg + PCI_VENDOR_ID, id->vendor);
	hw_cfg_put16(cfg + PCI_DEVICE_ID, id->device);
	hw_cfg_put32(cfg + PCI_CLASS_REVISION, id->class_code << 8 | id->revision);
	cfg[PCI_HEADER_TYPE] = id->bridge ? PCI_HEADER_TYPE_BRIDGE : PCI_HEADER_TYPE_NORMAL;
	cfg[PCI_INTERRUPT_PIN] = id->intx_pin <= 4 && !hw->physfn ? id->intx_pin : 0;
	hw_cfg_put16(hw->wmask + PCI_COMMAND, HW_CMD_IO | HW_CMD_MEMORY | HW_CMD_MASTER | PCI_COMMAND_SERR |
						      HW_CMD_INTX_DISABLE);
	hw_cfg_put16(hw->w1c + PCI_STATUS, 0xf900);
	hw->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	hw->wmask[PCI_INTERRUPT_LINE] = 0xff;
	if (hw->physfn) { /* software takes ids and BARs from the physical function */
		hw_cfg_put32(cfg + PCI_VENDOR_ID, ~0u);
		hw_cfg_put16(hw->wmask + PCI_COMMAND, HW_CMD_MASTER);
	}
	hw->bridge = id->bridge;
	hw->express = id->express;
	hw->pin = cfg[PCI_INTERRUPT_PIN];
	hw->cfg_size = id->express ? HW_CONFIG_BYTES : HW_CONFIG_BYTES_PCI;
	if (id->bridge) {
		layout_bridge(hw);
	} else {
		hw_cfg_put16(cfg + PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
		hw_cfg_put16(cfg + PCI_SUBSYSTEM_ID, id->subsystem_device);
	}
}

void hw_pci_conventional(struct hw_device *hw, uint16_t status, uint8_t latency_timer, uint8_t min_gnt, uint8_t max_lat)
{
	if (!hw->creating || hw->model->platform) {
		hw_explain(hw, "a PCI device tells of its speed in create() only");
		return;
	}
	status &= PCI_STATUS_66MHZ | PCI_STATUS_FAST_BACK | PCI_STATUS_DEVSEL_MASK;
	hw_cfg_put16(hw->cfg + PCI_STATUS, (u16)(hw_cfg_get16(hw->cfg + PCI_STATUS) | status));
	hw->cfg[PCI_LATENCY_TIMER] = latency_timer;
	hw->cfg[PCI_MIN_GNT] = min_gnt;
	hw->cfg[PCI_MAX_LAT] = max_lat;
}

void hw_config_bar_layout(struct hw_device *hw, unsigned bar)
{
	const struct hw_bar *b = &hw->bars[bar];
	u64 mask = ~(b->size_bytes - 1);
	unsigned reg = HW_CFG_BAR0 + 4 * bar;
	u32 low = 0;

	if (hw->physfn)
		return;
	if (bar == HW_ROM_BAR) {
		reg = hw->bridge ? BAR_ROM_TYPE1 : BAR_ROM_TYPE0;
		hw_cfg_put32(hw->wmask + reg, (u32)(mask & PCI_ROM_ADDRESS_MASK) | PCI_ROM_ADDRESS_ENABLE);
		return;
	}
	if (b->flags & HW_BAR_IO)
		low = PCI_BASE_ADDRESS_SPACE_IO;
	else
		low = (b->flags & HW_BAR_MEM64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
		      (b->flags & HW_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
	hw_cfg_put32(hw->cfg + reg, low);
	hw_cfg_put32(hw->wmask + reg, (u32)mask);
	if (b->flags & HW_BAR_MEM64)
		hw_cfg_put32(hw->wmask + reg + 4, (u32)(mask >> 32));
}

/* A capability of @len bytes in all at the next free place, linked behind the last one. */
static int cap_place(struct hw_device *hw, u8 id, unsigned len)
{
	unsigned off = hw->next_cap;

	if (!hw->creating || hw->model->platform)
		return fail(-EINVAL, "a capability can be added in create() only, and not to a platform device");
	if (len < 2 || len > HW_CONFIG_BYTES_PCI || off + len > HW_CONFIG_BYTES_PCI) {
		hw_explain(hw, "capability 0x%02x of %u bytes does not fit at 0x%x of config space", id, len,
			   off);
		return -ENOSPC;
	}
	hw->cfg[hw->last_cap ? hw->last_cap + 1 : HW_CFG_CAP_PTR] = (u8)off;
	hw->cfg[HW_CFG_STATUS] |= HW_STATUS_CAPS;
	hw->cfg[off] = id;
	hw->last_cap = off;
	hw->next_cap = ALIGN_UP(off + len, 4u);
	return (int)off;
}

int hw_cap_add(struct hw_device *hw, uint8_t id, const void *body, const void *writable, unsigned body_len)
{
	int off = cap_place(hw, id, body_len > HW_CONFIG_BYTES_PCI ? body_len : body_len + 2);

	if (off < 0)
		return off;
	memcpy(hw->cfg + off + 2, body, body_len);
	if (writable)
		memcpy(hw->wmask + off + 2, writable, body_len);
	return off;
}

int hw_ext_cap_add(struct hw_device *hw, uint16_t id, uint8_t version, const void *body, const void *writable,
		   unsigned body_len)
{
	unsigned off = hw->next_ext_cap;

	if (!hw->creating)
		return fail(-EINVAL, "a capability can be added in create() only");
	if (hw->cfg_size < HW_CONFIG_BYTES || body_len > HW_CONFIG_BYTES ||
	    off + 4 + body_len > HW_CONFIG_BYTES) {
		hw_explain(hw, "extended capability 0x%04x of %u bytes does not fit at 0x%x", id,
			   body_len + 4, off);
		return -ENOSPC;
	}
	if (hw->last_ext_cap)
		hw_cfg_put16(hw->cfg + hw->last_ext_cap + 2,
			     (u16)((hw_cfg_get16(hw->cfg + hw->last_ext_cap + 2) & 0xf) | off << 4));
	hw_cfg_put16(hw->cfg + off, id);
	hw_cfg_put16(hw->cfg + off + 2, version & 0xf);
	memcpy(hw->cfg + off + 4, body, body_len);
	if (writable)
		memcpy(hw->wmask + off + 4, writable, body_len);
	hw->last_ext_cap = off;
	hw->next_ext_cap = ALIGN_UP(off + 4 + body_len, 4u);
	return (int)off;
}

int hw_cap_add_pm(struct hw_device *hw, bool no_soft_reset)
{
	int off = cap_place(hw, PCI_CAP_ID_PM, PCI_PM_SIZEOF);

	if (off < 0)
		return off;
	hw_cfg_put16(hw->cfg + off + PCI_PM_PMC, 3); /* version of 1.2; neither D1, D2 nor PME */
	hw_cfg_put16(hw->cfg + off + PCI_PM_CTRL, no_soft_reset ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
	hw_cfg_put16(hw->wmask + off + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
	hw->pm_cap = (u8)off;
	hw->no_soft_reset = no_soft_reset;
	return off;
}

int hw_cap_add_express(struct hw_device *hw, bool flr)
{
	const u16 link_status = 0x0011;		/* one lane at 2.5 GT/s */
	const u32 link = 0x00000411;		/* the same as most it can do, and L0s */
	u8 *cap;
	int off;

	if (hw->cfg_size < HW_CONFIG_BYTES) {
		hw_explain(hw, "a PCI Express capability on a conventional PCI device");
		return -EINVAL;
	}
	off = cap_place(hw, PCI_CAP_ID_EXP, EXPRESS_CAP_BYTES);
	if (off < 0)
		return off;
	cap = hw->cfg + off;
	hw_cfg_put16(cap + PCI_EXP_FLAGS,
		     (u16)(2 | (hw->bridge ? PCI_EXP_TYPE_ROOT_PORT : PCI_EXP_TYPE_ENDPOINT) << 4));
	hw_cfg_put32(cap + PCI_EXP_DEVCAP,
		     PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_EXT_TAG | (flr ? PCI_EXP_DEVCAP_FLR : 0));
	hw_cfg_put16(hw->wmask + off + PCI_EXP_DEVCTL, 0x79ff);
	hw_cfg_put16(hw->w1c + off + PCI_EXP_DEVSTA, 0x000f);
	hw_cfg_put32(cap + PCI_EXP_LNKCAP, link);
	hw_cfg_put16(hw->wmask + off + PCI_EXP_LNKCTL, 0x01c3);
	hw_cfg_put16(cap + PCI_EXP_LNKSTA, link_status);
	if (hw->bridge)
		hw_cfg_put16(hw->wmask + off + PCI_EXP_RTCTL, 0x001f);
	else
		hw_cfg_put32(cap + PCI_EXP_DEVCAP2,
			     PCI_EXP_DEVCAP2_EE_PREFIX | 0x00100000); /* and extended format */
	hw_cfg_put16(hw->wmask + off + PCI_EXP_DEVCTL2, hw->bridge ? 0 : PCI_EXP_DEVCTL2_ATOMIC_REQ);
	hw->pcie_cap = (u8)off;
	hw->flr = flr;
	return off;
}

void hw_cap_express_atomics(struct hw_device *hw)
{
	hw_cfg_put32(hw->cfg + hw->pcie_cap + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_ATOMIC_COMP32 |
		     PCI_EXP_DEVCAP2_ATOMIC_COMP64 | PCI_EXP_DEVCAP2_ATOMIC_COMP128);
}

void hw_config_created(struct hw_device *hw)
{
	memcpy(hw->reset, hw->cfg, sizeof(hw->reset));
	mutex_lock(&hw->cfg_lock);
	hw_config_sync_locked(hw);
	mutex_unlock(&hw->cfg_lock);
}

void hw_config_multifunction(struct hw_device *hw)
{
	hw->cfg[PCI_HEADER_TYPE] |= HEADER_MULTIFUNCTION;
	hw->reset[PCI_HEADER_TYPE] |= HEADER_MULTIFUNCTION;
}

unsigned hw_config_size(const struct hw_device *hw)
{
	return hw->cfg_size;
}

/* ---- reading and writing ------------------------------------------------------------------- */

static unsigned pm_state(const struct hw_device *hw)
{
	return hw->pm_cap ? hw->cfg[hw->pm_cap + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK : 0;
}

void hw_config_sync_locked(struct hw_device *hw)
{
	bool master = hw_cfg_get16(hw->cfg + HW_CFG_COMMAND) & HW_CMD_MASTER;

	lockdep_assert_held(&hw->cfg_lock);
	atomic_store(&hw->mastering, master && pm_state(hw) != HW_PM_D3HOT);
	hw_sriov_sync_locked(hw);
	hw_irq_config_locked(hw);
}

static bool config_place_ok(const struct hw_device *hw, unsigned off, unsigned len)
{
	return (len == 1 || len == 2 || len == 4) && off < hw->cfg_size && hw->cfg_size - off >= len;
}

/* A register of @size bytes that is asked for instead of stored, laid over what was read. */
static void overlay(u8 *bytes, unsigned off, unsigned len, unsigned reg, unsigned size, u32 val)
{
	for (unsigned i = 0; i < size; i++)
		if (reg + i >= off && reg + i < off + len)
			bytes[reg + i - off] |= (u8)(val >> 8 * i);
}

u32 hw_config_read(void *opaque, unsigned off, unsigned len)
{
	struct hw_device *hw = opaque;
	u8 bytes[4] = { 0 };

	if (!config_place_ok(hw, off, len) || hw_down(hw))
		return len < 4 ? (1u << 8 * len) - 1 : ~0u;
	mutex_lock(&hw->cfg_lock);
	memcpy(bytes, hw->cfg + off, len);
	mutex_unlock(&hw->cfg_lock);
	overlay(bytes, off, len, HW_CFG_STATUS, 2, hw_intx_level(hw) ? HW_STATUS_INTX : 0);
	if (hw->msi_cap && hw->msi_maskable)
		overlay(bytes, off, len, hw->msi_cap + (hw->msi_64 ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32),
			4, hw_msi_pending(hw));
	return hw_cfg_get32(bytes);
}

struct effects {
	bool flr, soft_reset, decode, master_changed, master;
};

/* Is the register [reg, reg+size) touched? */
static bool touches(unsigned off, unsigned len, unsigned reg, unsigned size)
{
	return reg && off < reg + size && reg < off + len;
}

static bool is_decode_register(const struct hw_device *hw, unsigned off, unsigned len)
{
	return touches(off, len, HW_CFG_COMMAND, 2) || touches(off, len, HW_CFG_BAR0, hw->bridge ? 8 : 24) ||
	       touches(off, len, hw->bridge ? BAR_ROM_TYPE1 : BAR_ROM_TYPE0, 4);
}

static void store_bytes_locked(struct hw_device *hw, unsigned off, unsigned len, u32 val)
{
	for (unsigned i = 0; i < len; i++) {
		u8 b = (u8)(val >> 8 * i), w = hw->wmask[off + i], c = hw->w1c[off + i];

		hw->cfg[off + i] = (u8)(((hw->cfg[off + i] & ~w) | (b & w)) & ~(b & c));
	}
}

static void write_locked(struct hw_device *hw, unsigned off, unsigned len, u32 val, struct effects *fx)
{
	unsigned pm_reg = hw->pm_cap ? hw->pm_cap + PCI_PM_CTRL : 0;
	unsigned flr_reg = hw->pcie_cap ? hw->pcie_cap + PCI_EXP_DEVCTL + 1 : 0;
	unsigned pm_before = pm_state(hw);
	bool master_before = atomic_load(&hw->mastering);

	store_bytes_locked(hw, off, len, val);
	if (touches(off, len, pm_reg, 1)) {
		u8 state = pm_state(hw);

		if (state == 1 || state == 2) /* not supported: the write is ignored */
			hw->cfg[pm_reg] = (u8)((hw->cfg[pm_reg] & ~PCI_PM_CTRL_STATE_MASK) | pm_before);
		fx->soft_reset = pm_before == HW_PM_D3HOT && pm_state(hw) == 0 && !hw->no_soft_reset;
	}
	if (hw->flr && touches(off, len, flr_reg, 1))
		fx->flr = val >> 8 * (flr_reg - off) & (PCI_EXP_DEVCTL_BCR_FLR >> 8);
	if (hw->af_cap && touches(off, len, hw->af_cap + PCI_AF_CTRL, 1))
		fx->flr |= val >> 8 * (hw->af_cap + PCI_AF_CTRL - off) & PCI_AF_CTRL_FLR;
	if (hw->vpd_cap && touches(off, len, hw->vpd_cap + PCI_VPD_ADDR + 1, 1))
		hw_vpd_written_locked(hw); /* its high byte starts the transfer */
	fx->decode = is_decode_register(hw, off, len);
	hw_config_sync_locked(hw);
	fx->master = atomic_load(&hw->mastering);
	fx->master_changed = fx->master != master_before;
}

static void carry_out(struct hw_device *hw, const struct effects *fx)
{
	if (fx->flr || fx->soft_reset) {
		hw_reset(hw, false); /* tells of all else that changed */
		return;
	}
	if (fx->master_changed && hw->model->bus_master)
		hw->model->bus_master(hw, fx->master);
	hw_irq_update(hw);
	if (fx->decode && hw->host_ops->decode_changed)
		hw->host_ops->decode_changed(hw->host);
}

void hw_config_write(void *opaque, unsigned off, unsigned len, u32 val)
{
	struct hw_device *hw = opaque;
	struct effects fx = { 0 };

	if (!config_place_ok(hw, off, len) || hw_down(hw))
		return;
	mutex_lock(&hw->cfg_lock);
	write_locked(hw, off, len, val, &fx);
	mutex_unlock(&hw->cfg_lock);
	carry_out(hw, &fx);
	if (hw->model->config_written)
		hw->model->config_written(hw, off, len);
}

bool hw_config_master_off(struct hw_device *hw)
{
	bool was_on;

	mutex_lock(&hw->cfg_lock);
	was_on = atomic_load(&hw->mastering);
	hw->cfg[HW_CFG_COMMAND] &= (u8)~HW_CMD_MASTER;
	hw_config_sync_locked(hw);
	mutex_unlock(&hw->cfg_lock);
	return was_on;
}

void hw_config_reset(struct hw_device *hw, bool master_before)
{
	u8 sticky[HW_AER_STICKY_BYTES];

	mutex_lock(&hw->cfg_lock);
	hw_aer_save_locked(hw, sticky);
	memcpy(hw->cfg, hw->reset, sizeof(hw->cfg));
	hw_aer_restore_locked(hw, sticky);
	hw_config_sync_locked(hw);
	mutex_unlock(&hw->cfg_lock);
	if (master_before && hw->model->bus_master)
		hw->model->bus_master(hw, false);
	if (hw->host_ops->decode_changed)
		hw->host_ops->decode_changed(hw->host);
}

/* Negotiated speed and width are there while the link is (PCI Express Base 5.0, 7.5.3.8). */
void hw_link_set(struct hw_device *port, bool up)
{
	unsigned at = port->pcie_cap + PCI_EXP_LNKSTA;

	if (!port->pcie_cap)
		return;
	mutex_lock(&port->cfg_lock);
	memcpy(port->cfg + at, port->reset + at, 2);
	if (!up)
		hw_cfg_put16(port->cfg + at, hw_cfg_get16(port->cfg + at) &
						     (u16)~(PCI_EXP_LNKSTA_CLS | PCI_EXP_LNKSTA_NLW | PCI_EXP_LNKSTA_DLLLA));
	mutex_unlock(&port->cfg_lock);
}

bool hw_is_down(const struct hw_device *hw) { return hw_down(hw); }
