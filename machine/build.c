/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * build.c - one device: silicon, the PCI function that the kernel knows, its group, its driver.
 *
 * The same steps serve two cases.  When the machine is made, the device's nodes are made and it is
 * bound to the driver of the configuration.  When a process attaches, both are there already, perhaps
 * changed since, and the kernel's bus follows what it finds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "machine/machine_priv.h"

static int set_names(struct machine_device *md, struct pci_dev *bridge)
{
	struct pci_dev *pdev = &md->pdev;
	char addr[ADDR_BYTES];

	pdev->dev.name = strdup(devid_print(md->config->devid, addr));
	if (!pdev->dev.name)
		return -ENOMEM;
	pdev->domain = 0;
	pdev->bus = (u8)DEVID_BUS(md->config->devid);
	pdev->devfn = (u8)md->config->devid;
	pdev->bridge = bridge;
	return 0;
}

/* The driver that a new device goes to is said by driver_override, as driverctl does it on Linux. */
static int set_override(struct machine_device *md)
{
	const char *driver = device_config_driver(md->config);

	if (!kernfs_creating() || !pci_driver_is_vfio(driver))
		return 0;
	md->pdev.dev.driver_override = strdup(driver);
	return md->pdev.dev.driver_override ? 0 : -ENOMEM;
}

/* A device that is only built to be listed has no faults: its kernel would meet them. */
int machine_device_inject(struct machine_device *md)
{
	return md->config->inject && !kernfs_creating() ? hw_inject(md->hw, md->config->inject, false) : 0;
}

static void set_hw(struct machine_device *md, struct hw_device *hw)
{
	md->hw = hw;
	md->pdev.hw_ops = &machine_pci_hw_ops;
	md->pdev.hw = hw;
	md->pdev.cfg_size = hw_config_size(hw);
}

int machine_device_build(struct machine_device *md, struct pci_dev *bridge, struct hw_iommu *hw_iommu,
			 bool multifunction)
{
	bool no_driver = kernfs_creating() && !strcmp(device_config_driver(md->config), "none");
	struct hw_device *hw;
	int err = set_names(md, bridge);

	if (err)
		return err;
	hw = hw_device_create(md->config->model, md->pdev.dev.name, md->config->options, &machine_host_ops,
			      md, hw_iommu, (u16)md->config->devid);
	if (IS_ERR(hw))
		return (int)PTR_ERR(hw);
	set_hw(md, hw);
	if (multifunction)
		hw_config_multifunction(hw);
	md->pdev.packed = md->config->packed;
	err = set_override(md);
	if (!err)
		err = machine_device_inject(md);
	if (err)
		return err;
	err = pci_device_add(&md->pdev, no_driver);
	if (err)
		return err;
	md->added = true;
	if (kernfs_creating() && !no_driver && !md->pdev.dev.driver)
		return fail(-EINVAL, "%s: driver %s did not take the device", md->pdev.dev.name,
			    device_config_driver(md->config));
	return 0;
}

void machine_device_settle(struct machine_device *md)
{
	if (md->has_remover)
		pthread_join(md->remover, NULL);
	md->has_remover = false;
}

int machine_device_build_vf(struct machine_device *md, struct machine_device *pf, unsigned index, int devid,
			    int group, struct hw_iommu *hw_iommu)
{
	struct hw_device *hw;
	int err;

	md->vf_config = (struct device_config){.model = hw_device_model(pf->hw), .devid = devid, .group = group,
					       .bus = -1, .iommu = pf->config->iommu};
	md->config = &md->vf_config;
	err = set_names(md, pf->pdev.bridge);
	if (err)
		return err;
	md->pdev.physfn = &pf->pdev;
	md->pdev.vf_index = index;
	hw = hw_device_create_vf(pf->hw, index, md->pdev.dev.name, &machine_host_ops, md, hw_iommu, (u16)devid);
	if (IS_ERR(hw))
		return (int)PTR_ERR(hw);
	set_hw(md, hw);
	err = pci_device_add(&md->pdev, false);
	md->added = !err;
	return err;
}

void machine_device_destroy(struct machine_device *md)
{
	if (md->config->model->platform)
		platform_device_unbuild(md);
	else if (md->added)
		pci_device_remove(&md->pdev);
	else
		free(md->pdev.dev.driver_override);
	md->pdev.dev.driver_override = NULL;
	md->added = false;
	hw_device_destroy(md->hw);
	md->hw = NULL;
	free((char *)(uintptr_t)md->pdev.dev.name);
	md->pdev.dev.name = NULL;
}
