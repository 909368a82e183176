/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_amba.c - the driver "vfio-amba" of the AMBA bus: vfio-platform for PrimeCell devices.
 *
 * It has no ids, so a device gets it by driver_override alone; and it does not insist on a reset, which
 * few of these devices have.
 */
#include "kernel/vfio/platform/vfio_platform_private.h"

static int vfio_amba_probe(struct platform_device *pdev)
{
	return vfio_platform_probe_common(pdev, VFIO_DEVICE_FLAGS_AMBA, false);
}

static struct platform_driver vfio_amba_driver = {
	.driver = {
		.name = "vfio-amba",
		.driver_managed_dma = true,
		.in_use = vfio_platform_in_use,
		.used = vfio_device_used,
		.user_gone = vfio_platform_user_gone,
		.mod_name = "vfio_amba",
	},
	.probe = vfio_amba_probe,
	.remove = vfio_platform_remove_common,
};

int vfio_amba_init(void)
{
	return amba_driver_register(&vfio_amba_driver);
}

void vfio_amba_exit(void)
{
	platform_driver_unregister(&vfio_amba_driver);
}
