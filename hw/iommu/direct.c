/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * direct.c - a bus without an IOMMU: the address that a device uses is the physical one.
 *
 * It looks like a format whose tables say yes to everything, so that transfers, fault records and pinned
 * pages that move are the unit's business as ever.  Which memory answers is the bus's to say
 * (hw_bus_ops.resolve); where none does, that is a fault as with a real bus.
 */
#include "hw/iommu/walk.h"

static int direct_entry_read(struct hw_iommu *iommu, u16 devid, u32 pasid, struct hw_device_entry *ret)
{
	*ret = (struct hw_device_entry){ .q0 = 1 };
	return 0;
}

static int direct_walk(struct hw_walk *walk, u64 iova, struct hw_translation *ret)
{
	const struct hw_bus_ops *bus = walk->bus;
	u64 pa;

	walk->stage = walk->level = 0;
	if (iova >> HW_ADDR_BITS || !bus->resolve)
		return HW_IOMMU_FAULT_BUS;
	pa = bus->resolve(iova & PAGE_MASK);
	if (pa >> HW_SLOT_SHIFT == 0)
		return HW_IOMMU_FAULT_BUS;
	ret->read = ret->write = true;
	ret->lg2 = PAGE_SHIFT;
	ret->iova = iova & PAGE_MASK;
	ret->pa = pa;
	return 0;
}

const struct hw_iommu_format hw_iommu_direct = {
	.name = "no IOMMU", .entry_read = direct_entry_read, .walk = direct_walk,
};
