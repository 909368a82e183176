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
#include <stdlib.h>

#include "kernel/lib/explain.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

static int vfio_pci_probe(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev;
	int ret;

	if ((pdev->hdr_type & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return fail(-EINVAL, "%s is a bridge: vfio-pci takes devices only", pdev->dev.name);
	vdev = calloc(1, sizeof(*vdev));
	if (!vdev)
		return fail(-ENOMEM, "no memory for %s", pdev->dev.name);
	vfio_pci_core_init(vdev, pdev);
	ret = vfio_pci_core_register_device(vdev);
	if (!ret)
		return 0;
	vfio_pci_core_uninit(vdev);
	free(vdev);
	return ret;
}

static void vfio_pci_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev = pdev->dev.driver_data;

	vfio_pci_core_unregister_device(vdev);
	vfio_pci_core_uninit(vdev);
	free(vdev);
}

static bool vfio_pci_in_use(struct device *dev)
{
	struct vfio_pci_core_device *vdev = dev->driver_data;

	return vdev && vfio_device_in_use(&vdev->vdev);
}

static void vfio_pci_error_detected(struct pci_dev *pdev)
{
	vfio_pci_err_signal(pdev->dev.driver_data);
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
		.mod_name = "vfio_pci",
	},
	.probe = vfio_pci_probe,
	.remove = vfio_pci_remove,
	.error_detected = vfio_pci_error_detected,
};

int vfio_pci_init(void)
{
	return pci_register_driver(&vfio_pci_driver);
}

void vfio_pci_exit(void)
{
	pci_unregister_driver(&vfio_pci_driver);
}
