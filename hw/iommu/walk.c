/* SPDX-License-Identifier: BSD-3-Clause */
/* walk.c - see walk.h. */
#include "hw/iommu/walk.h"

#define MAX_LG2 46 /* a larger page is cut: half a slot */

int hw_page_found(u64 page_pa, unsigned lg2, u64 iova, struct hw_translation *ret)
{
	u64 in_page = BIT_ULL(lg2) - 1, pa = (page_pa & ~in_page) | (iova & in_page);

	if (pa >> HW_SLOT_SHIFT == 0)
		return HW_IOMMU_FAULT_BUS;
	ret->lg2 = min(lg2, (unsigned)MAX_LG2);
	ret->iova = iova & ~(BIT_ULL(ret->lg2) - 1);
	ret->pa = pa & ~(BIT_ULL(ret->lg2) - 1);
	return 0;
}

int hw_pass_through(const struct hw_bus_ops *bus, u64 iova, struct hw_translation *ret)
{
	if (iova >> HW_ADDR_BITS || iova >> HW_SLOT_SHIFT == 0 || bus->host_ptr(iova))
		return HW_IOMMU_FAULT_BUS;
	ret->lg2 = PAGE_SHIFT;
	ret->iova = ret->pa = iova & PAGE_MASK;
	return 0;
}
