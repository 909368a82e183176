/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci.c - the driver "vfio-pci": which devices it takes, and what it does to them.
 *
 * It has no ids of its own.  A device gets it by driver_override, by an id written to new_id, or by
 * bind.  Its users' DMA is for their container to confine, so it takes no part in the default domain of
 * a group (driver_managed_dma).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define ENABLE_SRIOV "sys/module/vfio_pci/parameters/enable_sriov"

static int vfio_pci_probe(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev;
	int ret;

	if ((pdev->hdr_type & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return fail(-EINVAL, "%s is a bridge: vfio-pci takes devices only", pdev->dev.name);
	vdev = kzalloc(sizeof(*vdev));
	if (!vdev)
		return fail(-ENOMEM, "no memory for %s", pdev->dev.name);
	vfio_pci_core_init(vdev, pdev);
	ret = vfio_pci_core_register_device(vdev);
	if (!ret)
		return 0;
	vfio_pci_core_uninit(vdev);
	kfree(vdev);
	return ret;
}

static void vfio_pci_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev = pdev->dev.driver_data;

	vfio_pci_core_unregister_device(vdev);
	vfio_pci_core_uninit(vdev);
	kfree(vdev);
}

static bool vfio_pci_in_use(struct device *dev)
{
	struct vfio_pci_core_device *vdev = dev->driver_data;

	return vdev && vfio_device_in_use(&vdev->vdev);
}

/* Whoever has the physical function can make virtual ones, so an administrator must allow it first. */
static int vfio_pci_sriov_configure(struct pci_dev *pdev, unsigned num)
{
	char allowed = 'N';

	kernfs_read(ENABLE_SRIOV, &allowed, 1);
	if (allowed != 'Y')
		return fail(-ENOENT, "vfio-pci has no virtual functions unless 1 is written to /" ENABLE_SRIOV);
	if (num)
		return pci_enable_sriov(pdev, num);
	pci_disable_sriov(pdev);
	return 0;
}

/* Or another driver would take what the user of the physical function can read and write. */
static void vfio_pci_virtfn_added(struct pci_dev *pdev, struct pci_dev *vf)
{
	kfree(vf->dev.driver_override);
	vf->dev.driver_override = kstrdup("vfio-pci");
}

static void vfio_pci_error_detected(struct pci_dev *pdev)
{
	vfio_pci_err_signal(pdev->dev.driver_data);
}

static void vfio_pci_reset_by_user(struct pci_dev *pdev)
{
	if (pdev->dev.driver_data)
		vfio_pci_woken(pdev->dev.driver_data);
}

static const struct pci_device_id vfio_pci_ids[] = {
	{ PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, .override_only = true },
	{ 0 },
};

static struct pci_driver vfio_pci_driver = {
	.driver = {
		.name = "vfio-pci",
		.driver_managed_dma = true,
		.id_table = vfio_pci_ids,
		.in_use = vfio_pci_in_use,
		.used = vfio_device_used,
		.user_gone = vfio_pci_core_user_gone,
		.mod_name = "vfio_pci",
	},
	.probe = vfio_pci_probe,
	.remove = vfio_pci_remove,
	.sriov_configure = vfio_pci_sriov_configure,
	.virtfn_added = vfio_pci_virtfn_added,
	.error_detected = vfio_pci_error_detected,
	.reset_by_user = vfio_pci_reset_by_user,
};

struct vfio_pci_core_device *vfio_pci_core_of(struct pci_dev *pdev)
{
	return pdev->dev.driver == &vfio_pci_driver.driver ? pdev->dev.driver_data : NULL;
}

int vfio_pci_init(void)
{
	return pci_register_driver(&vfio_pci_driver);
}

void vfio_pci_exit(void)
{
	pci_unregister_driver(&vfio_pci_driver);
}
