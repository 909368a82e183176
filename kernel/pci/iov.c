/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iov.c - virtual functions: how many of a physical function's are there, and where.
 *
 * Every virtual function that a device could have is a pci_dev from the beginning, enlisted or not like
 * one that a program removed (probe.c).  What decides is a number, and the place of that number is the
 * file sriov_numvfs, which all processes of a machine see.
 *
 * A program writes it; the driver of the physical function is asked (sriov_configure) and calls back
 * here.  A virtual function has neither ids nor BARs in its own config space: both are worked out from
 * the physical function's SR-IOV capability.
 *
 * Sources: Single Root I/O Virtualization and Sharing 1.1; Documentation/PCI/pci-iov-howto and
 * Documentation/ABI/testing/sysfs-bus-pci; errnos as Linux 7.3 gives them.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/pci/pci_internal.h"

static void attr_path(const struct pci_dev *pdev, const char *name, char *path)
{
	snprintf(path, PCI_PATH_MAX, "%s/%s", pdev->dev.path, name);
}

/* ---- the capability -------------------------------------------------------------------------- */

static void size_bars(struct pci_dev *pdev, struct pci_sriov *iov)
{
	for (unsigned i = 0; i < PCI_SRIOV_NUM_BARS;)
		i += pci_size_bar(pdev, &iov->res[i], iov->pos + PCI_SRIOV_BAR + 4 * i, PCI_SRIOV_NUM_BARS - i);
}

bool pci_ari_enabled(struct pci_dev *pdev)
{
	return pdev->bridge && pdev->pcie_cap && pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ARI);
}

int pci_iov_init(struct pci_dev *pdev)
{
	const unsigned pos = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_SRIOV);
	struct pci_sriov *iov = pdev->sriov;
	u16 ctrl;

	if (!pos)
		return 0;
	if (!iov)
		iov = pdev->sriov = kzalloc(sizeof(*iov));
	if (!iov)
		return fail(-ENOMEM, "no memory for the virtual functions of %s", pdev->dev.name);
	memset(iov, 0, sizeof(*iov));
	iov->pos = pos;
	iov->drivers_autoprobe = true;
	pci_read_config_word(pdev, pos + PCI_SRIOV_TOTAL_VF, &iov->total_vfs);
	pci_read_config_word(pdev, pos + PCI_SRIOV_VF_OFFSET, &iov->offset);
	pci_read_config_word(pdev, pos + PCI_SRIOV_VF_STRIDE, &iov->stride);
	pci_read_config_word(pdev, pos + PCI_SRIOV_VF_DID, &iov->vf_device);
	size_bars(pdev, iov);
	if (pci_ari_enabled(pdev)) { /* numbers of virtual functions may go by it (3.3.3.5) */
		pci_read_config_word(pdev, pos + PCI_SRIOV_CTRL, &ctrl);
		pci_write_config_word(pdev, pos + PCI_SRIOV_CTRL, ctrl | PCI_SRIOV_CTRL_ARI);
	}
	return 0;
}

void pci_iov_exit(struct pci_dev *pdev)
{
	kfree(pdev->sriov);
	pdev->sriov = NULL;
}

/* The lines of `resource` tell of all of them together. */
struct resource pci_iov_resource(const struct pci_dev *pdev, unsigned bar)
{
	struct resource res = {0};

	if (pdev->sriov)
		res = pdev->sriov->res[bar];
	res.size_bytes *= pdev->sriov ? pdev->sriov->total_vfs : 0;
	return res;
}

void pci_iov_program(struct pci_dev *pdev)
{
	const struct pci_sriov *iov = pdev->sriov;

	for (unsigned i = 0; iov && i < PCI_SRIOV_NUM_BARS; i++) {
		const struct resource *res = &iov->res[i];
		const unsigned off = iov->pos + PCI_SRIOV_BAR + 4 * i;

		if (!res->size_bytes)
			continue;
		pci_write_config_dword(pdev, off, (u32)res->start);
		if (res->flags & IORESOURCE_MEM_64)
			pci_write_config_dword(pdev, off + 4, (u32)(res->start >> 32));
	}
}

u32 pci_iov_vf_ids(const struct pci_dev *vf)
{
	return vf->physfn->vendor | (u32)vf->physfn->sriov->vf_device << 16;
}

void pci_iov_vf_resources(struct pci_dev *vf)
{
	for (unsigned i = 0; i < PCI_SRIOV_NUM_BARS; i++) {
		vf->resource[i] = vf->physfn->sriov->res[i];
		if (vf->resource[i].size_bytes)
			vf->resource[i].start += vf->resource[i].size_bytes * vf->vf_index;
	}
}

static void control(struct pci_dev *pdev, unsigned num)
{
	const struct pci_sriov *iov = pdev->sriov;
	const u16 on = PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE;
	u16 ctrl = 0;

	pci_read_config_word(pdev, iov->pos + PCI_SRIOV_CTRL, &ctrl);
	if (!num)
		pci_write_config_word(pdev, iov->pos + PCI_SRIOV_CTRL, ctrl & (u16)~on);
	pci_write_config_word(pdev, iov->pos + PCI_SRIOV_NUM_VF, (u16)num);
	if (num)
		pci_write_config_word(pdev, iov->pos + PCI_SRIOV_CTRL, ctrl | on);
}

/* ---- how many there are ---------------------------------------------------------------------- */

static unsigned number_in_file(const struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], text[16] = "";
	unsigned long num = 0;

	attr_path(pdev, "sriov_numvfs", path);
	if (kernfs_read(path, text, sizeof(text) - 1) <= 0 || parse_ulong(text, &num))
		return 0;
	return (unsigned)min(num, (unsigned long)pdev->sriov->total_vfs);
}

static int set_number(struct pci_dev *pdev, unsigned num)
{
	char path[PCI_PATH_MAX], text[16];

	pdev->sriov->num_vfs = num;
	control(pdev, num);
	snprintf(text, sizeof(text), "%u\n", num);
	attr_path(pdev, "sriov_numvfs", path);
	return kernfs_write(path, text, strlen(text));
}

void pci_iov_follow(struct pci_dev *pdev)
{
	unsigned num;

	if (!pdev->sriov || !pdev->present)
		return;
	num = number_in_file(pdev);
	if (num == pdev->sriov->num_vfs)
		return;
	pdev->sriov->num_vfs = num;
	control(pdev, num);
}

bool pci_iov_vf_exists(const struct pci_dev *vf)
{
	return vf->physfn->present && vf->physfn->sriov && vf->vf_index < vf->physfn->sriov->num_vfs;
}

unsigned pci_num_vf(const struct pci_dev *pdev)
{
	return pdev->sriov ? pdev->sriov->num_vfs : 0;
}

int pci_iov_add_links(struct pci_dev *vf)
{
	char path[PCI_PATH_MAX], target[64];
	int err;

	attr_path(vf, "physfn", path);
	snprintf(target, sizeof(target), "../%s", vf->physfn->dev.name);
	err = kernfs_create_link(path, target);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/virtfn%u", vf->physfn->dev.path, vf->vf_index);
	snprintf(target, sizeof(target), "../%s", vf->dev.name);
	return kernfs_create_link(path, target);
}

void pci_iov_remove_links(struct pci_dev *vf)
{
	char path[PCI_PATH_MAX];

	snprintf(path, sizeof(path), "%s/virtfn%u", vf->physfn->dev.path, vf->vf_index);
	kernfs_remove(path);
}

int pci_enable_sriov(struct pci_dev *pdev, unsigned num)
{
	int err;

	kernfs_assert_locked();
	if (!pdev->sriov || num > pdev->sriov->total_vfs)
		return fail(-ERANGE, "%s has %u virtual functions, not %u", pdev->dev.name,
			    pdev->sriov ? pdev->sriov->total_vfs : 0, num);
	if (pdev->sriov->num_vfs)
		return fail(-EBUSY, "%s has %u virtual functions already", pdev->dev.name, pdev->sriov->num_vfs);
	err = set_number(pdev, num);
	if (!err)
		err = pci_enlist_vfs(pdev);
	if (err)
		pci_disable_sriov(pdev);
	return err;
}

void pci_disable_sriov(struct pci_dev *pdev)
{
	kernfs_assert_locked();
	if (!pci_num_vf(pdev))
		return;
	pci_delist_vfs(pdev);
	set_number(pdev, 0);
}

/* ---- sysfs ----------------------------------------------------------------------------------- */

static struct pci_driver *configurable(struct pci_dev *pdev, int *ret_err)
{
	struct pci_driver *drv = pdev->dev.driver ? to_pci_driver(pdev->dev.driver) : NULL;

	*ret_err = 0;
	if (!drv)
		*ret_err = fail(-ENOENT, "%s has no driver that could have virtual functions", pdev->dev.name);
	else if (!drv->sriov_configure)
		*ret_err = fail(-ENOENT, "the driver %s of %s knows nothing of virtual functions",
				drv->driver.name, pdev->dev.name);
	return drv;
}

static int change_number(struct pci_dev *pdev, unsigned num)
{
	struct pci_driver *drv;
	int err;

	if (num > pdev->sriov->total_vfs)
		return fail(-ERANGE, "%u virtual functions: %s has at most %u", num, pdev->dev.name,
			    pdev->sriov->total_vfs);
	if (num == pdev->sriov->num_vfs)
		return 0;
	drv = configurable(pdev, &err);
	if (err)
		return err;
	if (num && pdev->sriov->num_vfs)
		return fail(-EBUSY, "%s has %u virtual functions; write 0 before another number",
			    pdev->dev.name, pdev->sriov->num_vfs);
	return drv->sriov_configure(pdev, num);
}

static ssize_t numvfs_store(void *priv, const char *buf, size_t len)
{
	unsigned long num;
	int err = parse_ulong(buf, &num);

	if (err)
		return err;
	if (num > UINT16_MAX)
		return fail(-EINVAL, "%lu is no number of 16 bits", num);
	err = device_store_begin();
	if (err)
		return err;
	err = change_number(priv, (unsigned)num);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

static ssize_t autoprobe_store(void *priv, const char *buf, size_t len)
{
	struct pci_dev *pdev = priv;
	char path[PCI_PATH_MAX];
	bool on;
	int err = parse_bool(buf, &on);

	if (err)
		return err;
	err = device_store_begin();
	if (err)
		return err;
	pdev->sriov->drivers_autoprobe = on;
	attr_path(pdev, "sriov_drivers_autoprobe", path);
	err = kernfs_write(path, on ? "1\n" : "0\n", 2);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

bool pci_iov_autoprobe(const struct pci_dev *vf)
{
	char path[PCI_PATH_MAX], answer = '1';

	attr_path(vf->physfn, "sriov_drivers_autoprobe", path);
	kernfs_read(path, &answer, 1);
	return answer != '0' || vf->dev.driver_override;
}

static ssize_t msix_count_store(void *priv, const char *buf, size_t len)
{
	struct pci_dev *vf = priv;
	unsigned long num;
	int err = parse_ulong(buf, &num);

	return err ? err : fail(-EOPNOTSUPP, "nothing that drives %s can share out MSI-X vectors",
				vf->physfn->dev.name);
}

static const struct kernfs_ops numvfs_ops = {.store = numvfs_store};
static const struct kernfs_ops autoprobe_ops = {.store = autoprobe_store};
static const struct kernfs_ops msix_count_ops = {.store = msix_count_store};

static int add(struct pci_dev *pdev, const char *name, u32 mode, const struct kernfs_ops *ops,
	       const char *fmt, unsigned val)
{
	char path[PCI_PATH_MAX], text[16];
	const int len = fmt ? snprintf(text, sizeof(text), fmt, val) : 0;

	attr_path(pdev, name, path);
	return kernfs_create_file(path, mode, fmt ? text : NULL, (size_t)len, ops, pdev);
}

static int add_physfn_attrs(struct pci_dev *pdev)
{
	const struct pci_sriov *iov = pdev->sriov;
	int err = add(pdev, "sriov_totalvfs", 0444, NULL, "%u\n", iov->total_vfs);

	if (!err)
		err = add(pdev, "sriov_numvfs", 0644, &numvfs_ops, "%u\n", 0);
	if (!err)
		err = add(pdev, "sriov_offset", 0444, NULL, "%u\n", iov->offset);
	if (!err)
		err = add(pdev, "sriov_stride", 0444, NULL, "%u\n", iov->stride);
	if (!err)
		err = add(pdev, "sriov_vf_device", 0444, NULL, "%x\n", iov->vf_device);
	if (!err)
		err = add(pdev, "sriov_drivers_autoprobe", 0644, &autoprobe_ops, "%u\n", 1);
	if (!err)
		err = add(pdev, "sriov_vf_total_msix", 0444, NULL, "%u\n", 0);
	return err;
}

int pci_iov_add_attrs(struct pci_dev *pdev)
{
	if (pdev->physfn)
		return add(pdev, "sriov_vf_msix_count", 0200, &msix_count_ops, NULL, 0);
	return pdev->sriov ? add_physfn_attrs(pdev) : 0;
}
