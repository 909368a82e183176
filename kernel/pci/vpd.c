/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vpd.c - vital product data, read and written through the device's two registers.
 *
 * How much there is only the data says: it is a list of tagged pieces that ends with an end tag.  What
 * lies behind that is not reached.  Data without an end tag, or with a piece that no list begins with,
 * is no VPD, and every access then fails.
 *
 * One access at a time: it takes several to the registers.  A program that has the device reaches it
 * through the same functions, so `vpd` in sysfs and the program do not disturb each other.
 *
 * Source: PCI Local Bus 3.0, 6.4 and appendix I.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/pci/pci_internal.h"

#define VPD_MAX (PCI_VPD_ADDR_MASK + 1u)
#define TAG_LARGE 0x80
#define TAG_NAME 0x82
#define TAG_RO_DATA 0x90
#define TAG_RW_DATA 0x91
#define TAG_END 0x0f /* of a small piece: bits 3 to 6 */

static struct mutex vpd_lock = MUTEX_INITIALIZER(LOCK_PCI_VPD);

/* ---- the registers; vpd_lock held ------------------------------------------------------------- */

/* Our devices are done when the write returns. */
static int read_word(struct pci_dev *pdev, unsigned addr, u32 *ret)
{
	u16 done = 0;

	pci_write_config_word(pdev, pdev->vpd_cap + PCI_VPD_ADDR, (u16)addr);
	pci_read_config_word(pdev, pdev->vpd_cap + PCI_VPD_ADDR, &done);
	if (!(done & PCI_VPD_ADDR_F))
		return fail(-ETIMEDOUT, "%s does not give its VPD at 0x%x", pdev->dev.name, addr);
	pci_read_config_dword(pdev, pdev->vpd_cap + PCI_VPD_DATA, ret);
	return 0;
}

static int write_word(struct pci_dev *pdev, unsigned addr, u32 val)
{
	u16 done = PCI_VPD_ADDR_F;

	pci_write_config_dword(pdev, pdev->vpd_cap + PCI_VPD_DATA, val);
	pci_write_config_word(pdev, pdev->vpd_cap + PCI_VPD_ADDR, (u16)(addr | PCI_VPD_ADDR_F));
	pci_read_config_word(pdev, pdev->vpd_cap + PCI_VPD_ADDR, &done);
	return done & PCI_VPD_ADDR_F ? fail(-ETIMEDOUT, "%s does not take its VPD at 0x%x", pdev->dev.name, addr) : 0;
}

static int read_bytes(struct pci_dev *pdev, unsigned pos, u8 *buf, unsigned len)
{
	u32 word = 0;
	int err = 0;

	for (unsigned i = 0; i < len && !err; i++) {
		if (!i || !((pos + i) & 3))
			err = read_word(pdev, (pos + i) & ~3u, &word);
		buf[i] = (u8)(word >> 8 * ((pos + i) & 3));
	}
	return err;
}

/* ---- how much there is ----------------------------------------------------------------------- */

/* Return: bytes up to and with the end tag; 0: this is no VPD. */
static unsigned measure(struct pci_dev *pdev)
{
	u8 head[3];
	unsigned at = 0;

	while (at < VPD_MAX) {
		if (read_bytes(pdev, at, head, 1))
			return 0;
		if (!(head[0] & TAG_LARGE))
			return (head[0] >> 3 & 0xf) == TAG_END ? at + 1 + (head[0] & 7) : 0;
		if (head[0] != TAG_NAME && head[0] != TAG_RO_DATA && head[0] != TAG_RW_DATA)
			return 0;
		if (read_bytes(pdev, at, head, 3))
			return 0;
		at += 3 + (head[1] | (unsigned)head[2] << 8);
	}
	return 0;
}

void pci_vpd_init(struct pci_dev *pdev)
{
	pdev->vpd_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_VPD);
	mutex_lock(&vpd_lock);
	pdev->vpd_bytes = pdev->vpd_cap ? measure(pdev) : 0;
	mutex_unlock(&vpd_lock);
}

/* ---- reading and writing --------------------------------------------------------------------- */

static int check(struct pci_dev *pdev)
{
	if (!pdev->vpd_cap)
		return fail(-ENODEV, "%s has no VPD", pdev->dev.name);
	return pdev->vpd_bytes ? 0 : fail(-EIO, "the VPD of %s has no end tag", pdev->dev.name);
}

ssize_t pci_read_vpd(struct pci_dev *pdev, u64 pos, size_t len, void *buf)
{
	int err = check(pdev);

	if (err || pos >= pdev->vpd_bytes)
		return err;
	len = min((u64)len, pdev->vpd_bytes - pos);
	mutex_lock(&vpd_lock);
	err = read_bytes(pdev, (unsigned)pos, buf, (unsigned)len);
	mutex_unlock(&vpd_lock);
	return err ? err : (ssize_t)len;
}

ssize_t pci_write_vpd(struct pci_dev *pdev, u64 pos, size_t len, const void *buf)
{
	const u8 *p = buf;
	int err = check(pdev);
	u32 word;

	if (err)
		return err;
	if (pos & 3 || len & 3 || pos + len > ALIGN_UP(pdev->vpd_bytes, 4u))
		return fail(-EINVAL, "%zu bytes of VPD at 0x%llx: %s has 0x%x, to be written four at a time", len,
			    (unsigned long long)pos, pdev->dev.name, pdev->vpd_bytes);
	mutex_lock(&vpd_lock);
	for (size_t done = 0; done < len && !err; done += 4) {
		memcpy(&word, p + done, 4);
		err = write_word(pdev, (unsigned)(pos + done), word);
	}
	mutex_unlock(&vpd_lock);
	return err ? err : (ssize_t)len;
}

/* ---- sysfs ----------------------------------------------------------------------------------- */

static ssize_t vpd_read(void *priv, void *buf, size_t len, u64 off)
{
	return pci_read_vpd(priv, off, len, buf);
}

static ssize_t vpd_write(void *priv, const void *buf, size_t len, u64 off)
{
	return pci_write_vpd(priv, off, len, buf);
}

static const struct kernfs_ops vpd_ops = {.bin_read = vpd_read, .bin_write = vpd_write};

int pci_vpd_add_attr(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];
	u8 all[VPD_MAX];

	if (!pdev->vpd_cap)
		return 0;
	snprintf(path, sizeof(path), "%s/vpd", pdev->dev.path);
	if (pci_read_vpd(pdev, 0, pdev->vpd_bytes, all) < 0)
		return kernfs_create_file(path, 0600, NULL, 0, &vpd_ops, pdev);
	return kernfs_create_file(path, 0600, all, pdev->vpd_bytes, &vpd_ops, pdev);
}
