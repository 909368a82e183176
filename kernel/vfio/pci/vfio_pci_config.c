/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_config.c - config space as a program sees it.
 *
 * Reads and writes are cut into naturally aligned pieces of 1, 2 or 4 bytes.  Of each piece the tables
 * of vfio_pci_caps.c say bit by bit what comes from vconfig and what from hardware, and what a write
 * may change.  Some registers do more when written: those are the effects below.
 *
 * Real registers are written in the widest aligned unit in which every byte has a writable bit, and no
 * wider: status bits that are cleared by writing ones stand right beside control bits.
 *
 * Locks: a read takes config_lock; a write takes memory_lock before it, because the command register,
 * the power state and function level reset decide whether BARs can be reached.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

/* ---- real config space ----------------------------------------------------------------------- */

static u32 raw_read(struct vfio_pci_core_device *vdev, unsigned pos, unsigned len)
{
	u32 val32 = ~0u;
	u16 val16 = 0xffff;
	u8 val8 = 0xff;

	switch (len) {
	case 4:
		pci_read_config_dword(vdev->pdev, pos, &val32);
		return val32;
	case 2:
		pci_read_config_word(vdev->pdev, pos, &val16);
		return val16;
	default:
		pci_read_config_byte(vdev->pdev, pos, &val8);
		return val8;
	}
}

static void raw_write(struct vfio_pci_core_device *vdev, unsigned pos, unsigned len, u32 val)
{
	switch (len) {
	case 4:
		pci_write_config_dword(vdev->pdev, pos, val);
		break;
	case 2:
		pci_write_config_word(vdev->pdev, pos, (u16)val);
		break;
	default:
		pci_write_config_byte(vdev->pdev, pos, (u8)val);
		break;
	}
}

static bool every_byte_set(u32 mask, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		if (!(mask >> 8 * i & 0xff))
			return false;
	}
	return true;
}

/* Change the bits of @mask to those of @val. */
static void raw_update(struct vfio_pci_core_device *vdev, unsigned pos, unsigned len, u32 val, u32 mask)
{
	const u32 all = len == 4 ? ~0u : (1u << 8 * len) - 1;
	const unsigned half = len / 2;

	mask &= all;
	if (!mask)
		return;
	if (!every_byte_set(mask, len)) {
		raw_update(vdev, pos, half, val, mask);
		raw_update(vdev, pos + half, half, val >> 8 * half, mask >> 8 * half);
		return;
	}
	if (mask != all)
		val = (val & mask) | (raw_read(vdev, pos, len) & ~mask);
	raw_write(vdev, pos, len, val);
}

/* ---- effects of writes ----------------------------------------------------------------------- */

static void command_written(struct vfio_pci_core_device *vdev)
{
	const bool disabled = vdev->config.vconfig[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8;

	vfio_pci_gate_update(vdev);
	vfio_pci_intx_set_disabled(vdev, disabled);
}

/*
 * A guest that enables MSI only says that it would like to: the interrupt is set up by SET_IRQS.  So
 * the enable bit stays only while that is done, and then also switches the device's own.
 */
static void msi_flags_written(struct vfio_pci_core_device *vdev)
{
	const unsigned pos = vdev->config.msi_pos + PCI_MSI_FLAGS;
	const bool in_use = atomic_load(&vdev->irq_type) == VFIO_PCI_MSI_IRQ_INDEX;
	const unsigned qmax = atomic_load(&vdev->msi_qmax);
	u8 *virt = vdev->config.vconfig + pos;
	const u8 passed = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;

	if (!in_use)
		*virt &= (u8)~PCI_MSI_FLAGS_ENABLE;
	if ((*virt & PCI_MSI_FLAGS_QSIZE) >> 4 > qmax)
		*virt = (u8)((*virt & ~PCI_MSI_FLAGS_QSIZE) | qmax << 4);
	if (in_use)
		raw_update(vdev, pos, 1, *virt, passed);
}

static void function_reset(struct vfio_pci_core_device *vdev, const char *how)
{
	int ret = vfio_pci_reset_function(vdev);

	if (ret)
		explain_event("%s: %s was started by a write to config space and failed: %s",
			      vfio_pci_name(vdev), how, strerrorname_np(-ret));
}

static void exp_devctl_written(struct vfio_pci_core_device *vdev, u8 high_byte)
{
	if (high_byte & PCI_EXP_DEVCTL_BCR_FLR >> 8 &&
	    raw_read(vdev, vdev->config.exp_pos + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		function_reset(vdev, "function level reset");
}

static void af_ctrl_written(struct vfio_pci_core_device *vdev, u8 val)
{
	const u8 need = PCI_AF_CAP_FLR | PCI_AF_CAP_TP;

	if (val & PCI_AF_CTRL_FLR && (raw_read(vdev, vdev->config.af_pos + PCI_AF_CAP, 1) & need) == need)
		function_reset(vdev, "advanced features reset");
}

/* The high byte of the address starts a transfer; the flag turns over when it is done. */
static void vpd_addr_written(struct vfio_pci_core_device *vdev)
{
	u8 *reg = vdev->config.vconfig + vdev->config.vpd_pos;
	const unsigned word = reg[PCI_VPD_ADDR] | (unsigned)reg[PCI_VPD_ADDR + 1] << 8;
	const unsigned addr = word & PCI_VPD_ADDR_MASK;
	u8 data[4] = { 0 };

	if (word & PCI_VPD_ADDR_F) {
		if (pci_write_vpd(vdev->pdev, addr, sizeof(data), reg + PCI_VPD_DATA) != sizeof(data))
			return;
	} else {
		if (pci_read_vpd(vdev->pdev, addr, sizeof(data), data) < 0)
			return;
		memcpy(reg + PCI_VPD_DATA, data, sizeof(data)); /* zeros behind the end */
	}
	reg[PCI_VPD_ADDR + 1] ^= PCI_VPD_ADDR_F >> 8;
}

/* What must be done before the bits change: nobody may be at a BAR that goes away. */
static void before_write(struct vfio_pci_core_device *vdev, unsigned pos, unsigned len, u32 val)
{
	if (!vdev->pdev->physfn && pos <= PCI_COMMAND && pos + len > PCI_COMMAND &&
	    !(val >> 8 * (PCI_COMMAND - pos) & PCI_COMMAND_MEMORY))
		vfio_pci_gate_without_decode(vdev);
}

static void effect(struct vfio_pci_core_device *vdev, enum config_kind kind, u8 val)
{
	switch (kind) {
	case CONFIG_PLAIN:
		break;
	case CONFIG_COMMAND:
		command_written(vdev);
		break;
	case CONFIG_MSI_FLAGS:
		msi_flags_written(vdev);
		break;
	case CONFIG_PM_CTRL:
		vfio_pci_set_power_state(vdev, val & PCI_PM_CTRL_STATE_MASK);
		break;
	case CONFIG_EXP_DEVCTL:
		exp_devctl_written(vdev, val);
		break;
	case CONFIG_AF_CTRL:
		af_ctrl_written(vdev, val);
		break;
	case CONFIG_VPD_ADDR:
		vpd_addr_written(vdev);
		break;
	}
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static u32 table_bits(const u8 *table, unsigned pos, unsigned len)
{
	u32 bits = 0;

	for (unsigned i = 0; i < len; i++)
		bits |= (u32)table[pos + i] << 8 * i;
	return bits;
}

static u32 read_piece(struct vfio_pci_core_device *vdev, unsigned pos, unsigned len)
{
	const struct vfio_pci_config *cfg = &vdev->config;
	const u32 all = len == 4 ? ~0u : (1u << 8 * len) - 1, virt = table_bits(cfg->virt, pos, len);
	u32 val = 0;

	if (virt)
		val = table_bits(cfg->vconfig, pos, len) & virt;
	if (virt != all)
		val |= raw_read(vdev, pos, len) & ~virt;
	return val;
}

static void write_piece(struct vfio_pci_core_device *vdev, unsigned pos, unsigned len, u32 val)
{
	struct vfio_pci_config *cfg = &vdev->config;

	before_write(vdev, pos, len, val);
	for (unsigned i = 0; i < len; i++) {
		const u8 mask = cfg->virt[pos + i] & cfg->writable[pos + i];

		cfg->vconfig[pos + i] = (u8)((cfg->vconfig[pos + i] & ~mask) | (val >> 8 * i & mask));
	}
	raw_update(vdev, pos, len, val,
		   table_bits(cfg->writable, pos, len) & ~table_bits(cfg->virt, pos, len));
	for (unsigned i = 0; i < len; i++) {
		const enum config_kind kind = cfg->kind[pos + i];

		if (kind != CONFIG_COMMAND || i + 1 == len || cfg->kind[pos + i + 1] != CONFIG_COMMAND)
			effect(vdev, kind, (u8)(val >> 8 * i)); /* once for both bytes of command */
	}
}

static unsigned piece_len(unsigned pos, size_t left)
{
	if (left >= 4 && IS_ALIGNED(pos, 4u))
		return 4;
	return left >= 2 && IS_ALIGNED(pos, 2u) ? 2 : 1;
}

static void read_bytes(struct vfio_pci_core_device *vdev, u8 *buf, size_t count, unsigned pos)
{
	u32 val;

	mutex_lock(&vdev->config_lock);
	for (unsigned len; count; count -= len, buf += len, pos += len) {
		len = piece_len(pos, count);
		val = read_piece(vdev, pos, len);
		memcpy(buf, &val, len);
	}
	mutex_unlock(&vdev->config_lock);
}

static void write_bytes(struct vfio_pci_core_device *vdev, const u8 *buf, size_t count, unsigned pos)
{
	u32 val;

	vfio_pci_memory_lock(vdev);
	mutex_lock(&vdev->config_lock);
	for (unsigned len; count; count -= len, buf += len, pos += len) {
		len = piece_len(pos, count);
		val = 0;
		memcpy(&val, buf, len);
		write_piece(vdev, pos, len, val);
	}
	mutex_unlock(&vdev->config_lock);
	vfio_pci_memory_unlock(vdev);
}

/* How many whole pieces of @buf can be read, as bytes. */
static size_t copy_in(u8 *bytes, const char __user *buf, size_t count, unsigned pos)
{
	size_t done = 0;

	if (!copy_from_user(bytes, buf, count))
		return count;
	for (unsigned len; done < count; done += len) {
		len = piece_len(pos + (unsigned)done, count - done);
		if (copy_from_user(bytes + done, user_at(buf, done), len))
			break;
	}
	return done;
}

/* What comes before a byte that cannot be copied is carried out all the same. */
ssize_t vfio_pci_config_rw(struct vfio_pci_core_device *vdev, char __user *buf, size_t count, u64 off,
			   bool write)
{
	const unsigned size = vdev->pdev->cfg_size;
	u8 bytes[PCI_CFG_SPACE_EXP_SIZE];
	size_t there;
	int ret;

	if (off >= size || count > size - off)
		return fail(-EFAULT, "%zu bytes at 0x%llx of config space: it has %u, and is not cut short",
			    count, (unsigned long long)off, size);
	if (!write) {
		read_bytes(vdev, bytes, count, (unsigned)off);
		ret = vfio_pci_copy_out(buf, bytes, count);
		return ret ? ret : (ssize_t)count;
	}
	there = copy_in(bytes, buf, count, (unsigned)off);
	write_bytes(vdev, bytes, there, (unsigned)off);
	if (there < count)
		return fail(-EFAULT, "%zu bytes at %p: %zu can be read, and are written", count, buf, there);
	return (ssize_t)count;
}

/* ---- open and close -------------------------------------------------------------------------- */

int vfio_pci_config_init(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_config *cfg = &vdev->config;
	const unsigned size = vdev->pdev->cfg_size;

	cfg->vconfig = kcalloc(4, size);
	if (!cfg->vconfig)
		return fail(-ENOMEM, "no memory for the config space of %s", vfio_pci_name(vdev));
	cfg->virt = cfg->vconfig + size;
	cfg->writable = cfg->virt + size;
	cfg->kind = cfg->writable + size;
	vfio_pci_caps_init(vdev);
	vdev->intx_disabled = false;
	return 0;
}

void vfio_pci_config_free(struct vfio_pci_core_device *vdev)
{
	kfree(vdev->config.vconfig);
	vdev->config = (struct vfio_pci_config){ 0 };
}
