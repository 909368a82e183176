/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - soft_vfio_pci: vfio-pci for devices that can migrate.
 *
 * On Linux the generic driver never answers the features of migration; a variant driver for the device
 * does (mlx5_vfio_pci and its kin), which for the rest is the generic one.  So it is here: bound to
 * vfio-pci a device answers ENOTTY; bound to this driver it logs its DMA, and migrates if its model can.
 *
 * It is chosen as variant drivers are: by driver_override, or driver=soft_vfio_pci in a machine.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/pci/soft/soft.h"

/* ---- the log of DMA writes ---- */

_Static_assert(sizeof(struct pci_log_range) == sizeof(struct vfio_device_feature_dma_logging_range) &&
	       offsetof(struct pci_log_range, length) == offsetof(struct vfio_device_feature_dma_logging_range, length),
	       "ranges have the same shape on both sides");

static int soft_log_start(struct vfio_device *vdev, const struct vfio_device_feature_dma_logging_range *ranges,
			  u32 count, u64 *page_size)
{
	struct soft_device *soft = to_soft(vdev);

	return soft_hw_ops(soft)->log_start(soft->core.pdev->hw, (const struct pci_log_range *)ranges, count,
					    page_size);
}

static int soft_log_stop(struct vfio_device *vdev)
{
	return soft_hw_ops(to_soft(vdev))->log_stop(to_soft(vdev)->core.pdev->hw);
}

static int soft_log_read_and_clear(struct vfio_device *vdev, u64 iova, u64 last,
				   void (*dirty)(void *arg, u64 iova, u64 last), void *arg)
{
	return soft_hw_ops(to_soft(vdev))->log_read_and_clear(to_soft(vdev)->core.pdev->hw, iova, last, dirty, arg);
}

static const struct vfio_log_ops soft_log_ops = {
	.log_start = soft_log_start,
	.log_stop = soft_log_stop,
	.log_read_and_clear = soft_log_read_and_clear,
};

/* ---- the driver ---- */

static void closed(struct vfio_pci_core_device *core)
{
	struct soft_device *soft = to_soft(&core->vdev);

	soft_hw_ops(soft)->log_end(core->pdev->hw);
	soft_closed(soft);
}

static void init(struct soft_device *soft, struct pci_dev *pdev)
{
	const struct pci_hw_migration_ops *hw_ops = pdev->hw_ops->migration;

	vfio_pci_core_init(&soft->core, pdev);
	mutex_init(&soft->state_lock, LOCK_VFIO_MIG);
	soft->state = VFIO_DEVICE_STATE_RUNNING;
	soft->core.closed = closed;
	soft->core.vdev.log_ops = &soft_log_ops;
	if (!hw_ops->can_migrate(pdev->hw))
		return;
	soft->core.vdev.mig_ops = &soft_migration_ops;
	soft->core.vdev.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
}

static void uninit(struct soft_device *soft)
{
	mutex_destroy(&soft->state_lock);
	vfio_pci_core_uninit(&soft->core);
	kfree(soft);
}

static int soft_probe(struct pci_dev *pdev)
{
	struct soft_device *soft;
	int ret;

	if (!pdev->hw_ops->migration)
		return fail(-ENODEV, "%s is not a device that logs its DMA", pdev->dev.name);
	if ((pdev->hdr_type & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return fail(-EINVAL, "%s is a bridge: soft_vfio_pci takes devices only", pdev->dev.name);
	soft = kzalloc(sizeof(*soft));
	if (!soft)
		return fail(-ENOMEM, "no memory for %s", pdev->dev.name);
	init(soft, pdev);
	ret = vfio_pci_core_register_device(&soft->core);
	if (ret)
		uninit(soft);
	return ret;
}

static void soft_remove(struct pci_dev *pdev)
{
	struct soft_device *soft = to_soft(pdev->dev.driver_data);

	vfio_pci_core_unregister_device(&soft->core);
	uninit(soft);
}

static void reset_done(struct pci_dev *pdev)
{
	if (pdev->dev.driver_data)
		soft_reset_done(to_soft(pdev->dev.driver_data));
}

static void reset_by_user(struct pci_dev *pdev)
{
	if (pdev->dev.driver_data)
		vfio_pci_woken(&to_soft(pdev->dev.driver_data)->core);
}

static bool in_use(struct device *dev)
{
	return dev->driver_data && vfio_device_in_use(dev->driver_data);
}

static const struct pci_device_id soft_ids[] = {
	{ PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, .override_only = true },
	{ 0 },
};

static struct pci_driver soft_vfio_pci_driver = {
	.driver = {
		.name = "soft_vfio_pci",
		.driver_managed_dma = true,
		.id_table = soft_ids,
		.in_use = in_use,
		.used = vfio_device_used,
		.user_gone = vfio_pci_core_user_gone,
		.mod_name = "soft_vfio_pci",
	},
	.probe = soft_probe,
	.remove = soft_remove,
	.reset_done = reset_done,
	.reset_by_user = reset_by_user,
};

int soft_vfio_pci_init(void)
{
	return pci_register_driver(&soft_vfio_pci_driver);
}

void soft_vfio_pci_exit(void)
{
	pci_unregister_driver(&soft_vfio_pci_driver);
}
