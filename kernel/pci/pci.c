/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.c - switching a device on and off, and carrying its settings across a reset.
 *
 * Enabling counts, because several users (a driver, a program that wrote to `enable`) may want the
 * device decoding.  Disabling switches bus mastering off and leaves decoding on, as Linux does.
 */

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/vma.h"
#include "kernel/pci/pci_internal.h"

/* Change bits of the command register; no write if nothing changes. */
static void command_update(struct pci_dev *pdev, u16 clear, u16 set)
{
	u16 old, new;

	pci_read_config_word(pdev, PCI_COMMAND, &old);
	new = (u16)((old & ~clear) | set);
	if (new != old)
		pci_write_config_word(pdev, PCI_COMMAND, new);
}

static u16 decode_bits(const struct pci_dev *pdev)
{
	u16 bits = 0;

	if (pci_is_bridge(pdev))
		return PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	for (unsigned i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (pdev->resource[i].flags & IORESOURCE_IO)
			bits |= PCI_COMMAND_IO;
		if (pdev->resource[i].flags & IORESOURCE_MEM)
			bits |= PCI_COMMAND_MEMORY;
	}
	return bits;
}

static void power_up(struct pci_dev *pdev)
{
	u16 csr;

	if (!pdev->pm_cap || pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &csr))
		return;
	if (csr & PCI_PM_CTRL_STATE_MASK)
		pci_write_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, csr & (u16)~PCI_PM_CTRL_STATE_MASK);
}

/*
 * A PC's firmware leaves I/O and memory decoding on alike, and programs on Linux find both bits set
 * (0x0103 with SERR) even on a device without I/O BARs.  We have no firmware, so this is the place.
 */
int pci_enable_device(struct pci_dev *pdev)
{
	if (atomic_fetch_add(&pdev->enable_cnt, 1)) {
		pci_show_enabled(pdev);
		return 0;
	}
	power_up(pdev);
	if (pdev->physfn) /* no firmware was at it, and it has no I/O */
		command_update(pdev, 0, PCI_COMMAND_MEMORY);
	else if (decode_bits(pdev))
		command_update(pdev, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	pci_show_enabled(pdev);
	pci_show_pin(pdev);
	return 0;
}

void pci_disable_device(struct pci_dev *pdev)
{
	int count = atomic_load(&pdev->enable_cnt);

	while (count > 0 && !atomic_compare_exchange_weak(&pdev->enable_cnt, &count, count - 1))
		;
	if (count == 1)
		pci_clear_master(pdev);
	pci_show_enabled(pdev);
}

void pci_set_master(struct pci_dev *pdev)
{
	command_update(pdev, 0, PCI_COMMAND_MASTER);
}

void pci_clear_master(struct pci_dev *pdev)
{
	command_update(pdev, PCI_COMMAND_MASTER, 0);
}

void pci_intx(struct pci_dev *pdev, bool enable)
{
	command_update(pdev, enable ? PCI_COMMAND_INTX_DISABLE : 0, enable ? 0 : PCI_COMMAND_INTX_DISABLE);
}

bool pci_intx_pending(struct pci_dev *pdev)
{
	u16 status;

	return !pci_read_config_word(pdev, PCI_STATUS, &status) && (status & PCI_STATUS_INTERRUPT);
}

/* ---- state across a reset ------------------------------------------------------------------ */

/* A register that a driver sets and a reset forgets.  Left out: what hardware owns, what a write clears. */
struct saved_reg {
	u8 off, len;
};

static const struct saved_reg header_regs[] = {
	{PCI_CACHE_LINE_SIZE, 1}, {PCI_LATENCY_TIMER, 1}, {PCI_BASE_ADDRESS_0, 4}, {PCI_BASE_ADDRESS_1, 4},
	{PCI_BASE_ADDRESS_2, 4},  {PCI_BASE_ADDRESS_3, 4}, {PCI_BASE_ADDRESS_4, 4}, {PCI_BASE_ADDRESS_5, 4},
	{PCI_ROM_ADDRESS, 4},	  {PCI_INTERRUPT_LINE, 1}, {PCI_COMMAND, 2},
};

static const struct saved_reg bridge_regs[] = {
	{PCI_CACHE_LINE_SIZE, 1},   {PCI_BASE_ADDRESS_0, 4},	{PCI_BASE_ADDRESS_1, 4},
	{PCI_PRIMARY_BUS, 1},	    {PCI_SECONDARY_BUS, 1},	{PCI_SUBORDINATE_BUS, 1},
	{PCI_SEC_LATENCY_TIMER, 1}, {PCI_IO_BASE, 2},		{PCI_MEMORY_BASE, 4},
	{PCI_PREF_MEMORY_BASE, 4},  {PCI_PREF_BASE_UPPER32, 4}, {PCI_PREF_LIMIT_UPPER32, 4},
	{PCI_IO_BASE_UPPER16, 4},   {PCI_ROM_ADDRESS1, 4},	{PCI_INTERRUPT_LINE, 1},
	{PCI_BRIDGE_CONTROL, 2},    {PCI_COMMAND, 2},
};

/* Offsets from the PCI Express capability. */
static const struct saved_reg express_regs[] = {
	{PCI_EXP_DEVCTL, 2}, {PCI_EXP_LNKCTL, 2}, {PCI_EXP_DEVCTL2, 2}, {PCI_EXP_LNKCTL2, 2},
};

/* Offsets from the SR-IOV capability: what a reset of the physical function forgets; control is last. */
static const struct saved_reg sriov_regs[] = {
	{PCI_SRIOV_NUM_VF, 2},	 {PCI_SRIOV_SYS_PGSIZE, 4}, {PCI_SRIOV_BAR, 4},	     {PCI_SRIOV_BAR + 4, 4},
	{PCI_SRIOV_BAR + 8, 4}, {PCI_SRIOV_BAR + 12, 4},   {PCI_SRIOV_BAR + 16, 4}, {PCI_SRIOV_BAR + 20, 4},
	{PCI_SRIOV_CTRL, 2},
};
#define SAVED_BYTES_MAX (PCI_STD_HEADER_SIZEOF + 16 + 48)

typedef void reg_fn(struct pci_dev *pdev, unsigned off, unsigned len, u8 *bytes);

static void save_reg(struct pci_dev *pdev, unsigned off, unsigned len, u8 *bytes)
{
	for (unsigned i = 0; i < len; i++)
		pci_read_config_byte(pdev, off + i, &bytes[i]);
}

static void restore_reg(struct pci_dev *pdev, unsigned off, unsigned len, u8 *bytes)
{
	u32 val = 0;

	for (unsigned i = len; i > 0; i--)
		val = val << 8 | bytes[i - 1];
	pdev->hw_ops->config_write(pdev->hw, off, len, val);
}

/* Walk the registers in the order in which they must come back: the command register is last. */
static unsigned each_reg(struct pci_dev *pdev, u8 *bytes, reg_fn *fn)
{
	const struct saved_reg *regs = pci_is_bridge(pdev) ? bridge_regs : header_regs;
	size_t count = pci_is_bridge(pdev) ? ARRAY_SIZE(bridge_regs) : ARRAY_SIZE(header_regs);
	unsigned used = 0;

	for (size_t i = 0; pdev->pcie_cap && i < ARRAY_SIZE(express_regs); used += express_regs[i++].len)
		fn(pdev, pdev->pcie_cap + express_regs[i].off, express_regs[i].len, bytes + used);
	for (size_t i = 0; pdev->sriov && i < ARRAY_SIZE(sriov_regs); used += sriov_regs[i++].len)
		fn(pdev, pdev->sriov->pos + sriov_regs[i].off, sriov_regs[i].len, bytes + used);
	for (size_t i = 0; i < count; used += regs[i++].len)
		fn(pdev, regs[i].off, regs[i].len, bytes + used);
	return used;
}

int pci_save_state(struct pci_dev *pdev, struct pci_saved_state *ret)
{
	ret->bytes = kmalloc(SAVED_BYTES_MAX);
	if (!ret->bytes)
		return fail(-ENOMEM, "no memory to keep the state of %s", pdev->dev.name);
	ret->len = each_reg(pdev, ret->bytes, save_reg);
	return 0;
}

void pci_restore_state(struct pci_dev *pdev, struct pci_saved_state *state)
{
	if (!state->bytes)
		return;
	each_reg(pdev, state->bytes, restore_reg);
	pci_restore_msi(pdev);
	kfree(state->bytes);
	state->bytes = NULL;
	state->len = 0;
}

/* ---- mappings of BARs ------------------------------------------------------------------------ */

static void ask_again(struct vm_area *vma, void *unused)
{
	(void)unused;
	if (vma_host_revoke)
		vma_host_revoke(vma);
}

/* What a driver has in dev.driver_data is what its mappings belong to; a stand-in driver has none. */
void pci_bar_pages_changed(struct pci_dev *pdev)
{
	const void *owner = __atomic_load_n(&pdev->dev.driver_data, __ATOMIC_RELAXED);

	if (owner)
		vma_for_each_private(mm_self(), owner, ask_again, NULL);
}

static unsigned express_type(struct pci_dev *pdev)
{
	u16 flags = 0;

	pci_read_config_word(pdev, pdev->pcie_cap + PCI_EXP_FLAGS, &flags);
	return (flags & PCI_EXP_FLAGS_TYPE) >> 4;
}

int pci_enable_atomic_ops_to_root(struct pci_dev *pdev, u32 cap_mask)
{
	struct pci_dev *port = pdev->bridge;
	u32 completes = 0;
	u16 ctl2;

	if (!pdev->pcie_cap || express_type(pdev) != PCI_EXP_TYPE_ENDPOINT)
		return fail(-EINVAL, "%s is no PCI Express endpoint: it sends no AtomicOps", pdev->dev.name);
	if (!port || !port->pcie_cap || express_type(port) != PCI_EXP_TYPE_ROOT_PORT)
		return fail(-EINVAL, "there is no root port above %s", pdev->dev.name);
	pci_read_config_dword(port, port->pcie_cap + PCI_EXP_DEVCAP2, &completes);
	if ((completes & cap_mask) != cap_mask)
		return fail(-EINVAL, "%s completes AtomicOps %#x, not all of %#x (Device Capabilities 2)", port->dev.name,
			    completes, cap_mask);
	pci_read_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVCTL2, &ctl2);
	pci_write_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVCTL2, ctl2 | PCI_EXP_DEVCTL2_ATOMIC_REQ);
	return 0;
}
