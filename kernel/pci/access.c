/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access.c - config space: reading, writing, finding capabilities.
 *
 * Hardware answers naturally aligned accesses inside cfg_size; anything else never reaches it.  The
 * lists of capabilities are data of the device, so walking them has a limit: a list that bites its
 * own tail ends as if it were over.
 *
 * Sources: PCI Local Bus 3.0, chapter 6; PCI Express Base 5.0, 7.9 (extended capabilities).
 */
#include "kernel/lib/err.h"
#include "kernel/pci/pci_internal.h"

#define CAPS_MAX ((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / 4)
#define EXT_CAPS_MAX ((PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 8)

static bool reachable(const struct pci_dev *pdev, unsigned off, unsigned len)
{
	return IS_ALIGNED(off, len) && off < pdev->cfg_size;
}

static int config_read(struct pci_dev *pdev, unsigned off, unsigned len, u32 *ret)
{
	if (!reachable(pdev, off, len)) {
		*ret = ~0u;
		return -EFAULT;
	}
	*ret = pdev->hw_ops->config_read(pdev->hw, off, len);
	return 0;
}

static int config_write(struct pci_dev *pdev, unsigned off, unsigned len, u32 val)
{
	if (!reachable(pdev, off, len))
		return -EFAULT;
	pdev->hw_ops->config_write(pdev->hw, off, len, val);
	return 0;
}

int pci_read_config_byte(struct pci_dev *pdev, unsigned off, u8 *val)
{
	u32 v;
	int err = config_read(pdev, off, 1, &v);

	*val = (u8)v;
	return err;
}

int pci_read_config_word(struct pci_dev *pdev, unsigned off, u16 *val)
{
	u32 v;
	int err = config_read(pdev, off, 2, &v);

	*val = (u16)v;
	return err;
}

int pci_read_config_dword(struct pci_dev *pdev, unsigned off, u32 *val)
{
	return config_read(pdev, off, 4, val);
}

int pci_write_config_byte(struct pci_dev *pdev, unsigned off, u8 val)
{
	return config_write(pdev, off, 1, val);
}

int pci_write_config_word(struct pci_dev *pdev, unsigned off, u16 val)
{
	return config_write(pdev, off, 2, val);
}

int pci_write_config_dword(struct pci_dev *pdev, unsigned off, u32 val)
{
	return config_write(pdev, off, 4, val);
}

unsigned pci_find_capability(struct pci_dev *pdev, u8 id)
{
	u16 status, head;
	u8 at;

	pci_read_config_word(pdev, PCI_STATUS, &status);
	if (!(status & PCI_STATUS_CAP_LIST))
		return 0;
	pci_read_config_byte(pdev, PCI_CAPABILITY_LIST, &at);
	for (unsigned left = CAPS_MAX; left && at >= PCI_STD_HEADER_SIZEOF; left--) {
		at &= (u8)~3;
		pci_read_config_word(pdev, at, &head);
		if ((head & 0xff) == id)
			return at;
		at = (u8)(head >> 8);
	}
	return 0;
}

unsigned pci_find_ext_capability(struct pci_dev *pdev, u16 id)
{
	unsigned at = PCI_CFG_SPACE_SIZE;
	u32 head;

	for (unsigned left = EXT_CAPS_MAX; left && at >= PCI_CFG_SPACE_SIZE; left--) {
		if (pci_read_config_dword(pdev, at, &head) || head == 0 || head == ~0u)
			return 0;
		if (PCI_EXT_CAP_ID(head) == id)
			return at;
		at = PCI_EXT_CAP_NEXT(head);
	}
	return 0;
}
