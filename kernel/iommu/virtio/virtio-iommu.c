/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio/virtio-iommu.c - the driver of a paravirtual unit, as a guest of a hypervisor has it.
 *
 * There is no format of page tables: the driver tells the device what to map by requests, and how the device keeps it
 * is the hypervisor's business.  Ours keeps it in AMD's first format, which has pages of every power of two, so below
 * it is a unit of that kind, and a request is a store in its tables.  What a program sees of it is virtio's: those
 * page sizes, addresses of 39 bits (what QEMU says on a PC), no registers, no promise about DMA that asks for no snoop,
 * and nothing but translation.
 *
 * Source: virtio specification 1.2, "IOMMU device" (page_size_mask, input_range, RESV_MEM of type MSI).
 */
#include "kernel/iommu/amd/amd_iommu.h"
#include "kernel/lib/err.h"

#define INPUT_LAST GENMASK_ULL(38, 0)

static struct iommu_domain *virtio_domain_alloc_paging(struct iommu_device *iommu, struct device *dev)
{
	struct iommu_domain *domain = amd_domain_alloc_paging(iommu, dev);

	if (IS_ERR(domain))
		return domain;
	domain->no_access = true;
	domain->pgsize_bitmap = ~(PAGE_SIZE - 1);
	domain->aperture_last = INPUT_LAST;
	return domain;
}

static void virtio_get_resv_regions(struct iommu_device *iommu, struct device *dev,
				    void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	static const struct iommu_resv_region msi = { 0xfee00000, 0xfeefffff, IOMMU_RESV_MSI };

	add(arg, &msi);
}

static const struct iommu_device_ops virtio_ops = {
	.domain_alloc_paging = virtio_domain_alloc_paging,
	.attach_dev = amd_attach_dev,
	.iotlb_sync = amd_iotlb_sync,
	.get_resv_regions = virtio_get_resv_regions,
	.cache_coherency = true,
	.lazy_flush = true,
	.no_flags = true,
};

struct iommu_device *virtio_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw, u32 devids)
{
	struct iommu_device *iommu = amd_iommu_init(name, hw_ops, hw, devids, IOMMU_BASIC);

	if (!IS_ERR(iommu))
		iommu->ops = &virtio_ops;
	return iommu;
}

void virtio_iommu_exit(struct iommu_device *iommu)
{
	amd_iommu_exit(iommu);
}
