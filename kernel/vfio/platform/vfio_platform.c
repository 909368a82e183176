/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_platform.c - the driver "vfio-platform" of the platform bus.
 *
 * No device is named as it is, so a device gets it by driver_override alone.  It insists on a way to reset
 * the device unless the module parameter reset_required says no; as on Linux that is said when the
 * module is loaded, so /sys shows it and does not take it (machine.h: how a machine says it).
 */
#include "kernel/fs/kernfs.h"
#include "kernel/vfio/platform/vfio_platform_private.h"

/* The tree has it, so that all processes of a machine agree. */
static bool reset_required(void)
{
	char answer = 'Y';

	kernfs_read("sys/module/vfio_platform/parameters/reset_required", &answer, 1);
	return answer != 'N';
}

static int vfio_platform_probe(struct platform_device *pdev)
{
	return vfio_platform_probe_common(pdev, VFIO_DEVICE_FLAGS_PLATFORM, reset_required());
}

static struct platform_driver vfio_platform_driver = {
	.driver = {
		.name = "vfio-platform",
		.driver_managed_dma = true,
		.in_use = vfio_platform_in_use,
		.used = vfio_device_used,
		.user_gone = vfio_platform_user_gone,
		.mod_name = "vfio_platform",
	},
	.probe = vfio_platform_probe,
	.remove = vfio_platform_remove_common,
};

int vfio_platform_init(void)
{
	return platform_driver_register(&vfio_platform_driver);
}

void vfio_platform_exit(void)
{
	platform_driver_unregister(&vfio_platform_driver);
}
