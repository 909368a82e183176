/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drivers.c - stand-ins for the drivers that a host has for these devices.
 *
 * They take a device and do nothing with it.  That is enough for what a user of VFIO meets: a group
 * that is not viable because a host driver still has a device of it, and unbind before bind.
 */
#include <string.h>

#include "kernel/lib/explain.h"
#include "machine/machine_priv.h"

static const struct pci_device_id edu_ids[] = {
	{.vendor = 0x1234, .device = 0x11e8, .subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID},
	{0},
};
static const struct pci_device_id ioat_ids[] = {
	{.vendor = 0x8086, .device = 0x2021, .subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID},
	{0},
};
static const struct pci_device_id nvme_ids[] = {
	{.vendor = PCI_ANY_ID, .device = PCI_ANY_ID, .subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID,
	 .class = 0x010802, .class_mask = 0xffffff},
	{0},
};
static const struct pci_device_id port_ids[] = {
	{.vendor = PCI_ANY_ID, .device = PCI_ANY_ID, .subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID,
	 .class = 0x060400, .class_mask = 0xffffff},
	{0},
};

static const struct amba_id pl330_ids[] = {
	{.id = 0x00041330, .mask = 0x000fffff}, /* any revision */
	{0},
};

static const struct {
	const char *name;
	const struct hw_model *model;
	const struct pci_device_id *ids; /* of a PCI driver */
	const struct amba_id *amba_ids;	 /* of one on the AMBA bus; neither: on the platform bus, by its name */
} host_drivers[] = {
	{"edu", &edu_model, edu_ids},
	{"ioatdma", &ioat_model, ioat_ids},
	{"nvme", &nvme_model, nvme_ids},
	{"pcieport", &root_port_model, port_ids},
	{"dma-pl330", &pl330_model, .amba_ids = pl330_ids},
	{"platdev", &platdev_model},
};

const char *vfio_driver_of(const struct hw_model *model)
{
	if (!model->platform)
		return "vfio-pci";
	return model->platform->amba_id ? "vfio-amba" : "vfio-platform";
}

const char *host_driver_of(const struct hw_model *model)
{
	for (unsigned i = 0; i < ARRAY_SIZE(host_drivers); i++)
		if (host_drivers[i].model == model)
			return host_drivers[i].name;
	return NULL;
}

bool host_driver_fits(const char *name, const struct hw_model *model)
{
	const char *driver = host_driver_of(model);

	return driver && !strcmp(driver, name);
}

int host_drivers_register(void)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(host_drivers) && !err; i++)
		err = host_drivers[i].ids
			      ? pci_host_driver_register(host_drivers[i].name, host_drivers[i].ids)
			      : platform_host_driver_register(host_drivers[i].name, host_drivers[i].amba_ids);
	return err;
}
