/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu_ops.h - how a driver in kernel/iommu reaches the unit in hw/iommu.
 *
 * Here, because neither may know the other; a table of its own for each that includes it, so that tests and
 * benches of the two need not link the machine.
 */
#ifndef MACHINE_IOMMU_OPS_H
#define MACHINE_IOMMU_OPS_H

#include "hw/iommu/hw_iommu.h"
#include "kernel/iommu/iommu.h"

static const struct iommu_hw_ops machine_iommu_hw_ops = {
	.set_device_table = hw_iommu_set_device_table,
	.set_root_table = hw_iommu_set_root_table,
	.invalidate_device = hw_iommu_invalidate_device,
	.invalidate_pages = hw_iommu_invalidate_pages,
	.invalidate_pasid = hw_iommu_invalidate_pasid,
	.invalidate_first_stage = hw_iommu_invalidate_first_stage,
	.page_response = hw_iommu_page_response,
};

#endif
