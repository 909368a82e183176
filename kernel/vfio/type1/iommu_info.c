/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu_info.c - VFIO_IOMMU_GET_INFO: page sizes, and a chain of what else there is to know.
 *
 * Programs ask once or twice, but some ask before each map; so the whole answer is kept ready in one
 * piece of memory, structure and chain, and a call is one copy.  It goes stale when a group comes or
 * goes; the number of mappings left, which changes all the time, is put in at each call.
 *
 *	struct	24	MIGRATION 24..56   DMA_AVAIL 56..72   IOVA_RANGE 72..
 */

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/type1/type1.h"

struct vfio_info_blob {
	size_t size; /* of what follows */
	struct vfio_iommu_type1_info info;
	struct vfio_iommu_type1_info_cap_migration migration;
	struct vfio_iommu_type1_info_dma_avail avail __attribute__((aligned(8)));
	struct vfio_iommu_type1_info_cap_iova_range iova __attribute__((aligned(8)));
};

#define BLOB_OFFSET(field) (offsetof(struct vfio_info_blob, field) - offsetof(struct vfio_info_blob, info))
static_assert(BLOB_OFFSET(migration) == sizeof(struct vfio_iommu_type1_info),
	      "the chain follows the structure");
static_assert(BLOB_OFFSET(avail) == 56 && BLOB_OFFSET(iova) == 72, "the chain is where Linux has it");

void vfio_iommu_info_stale(struct vfio_iommu *iommu)
{
	kfree(iommu->info);
	iommu->info = NULL;
}

static struct vfio_info_blob *build(const struct vfio_iommu *iommu)
{
	const size_t size = BLOB_OFFSET(iova) + sizeof(struct vfio_iommu_type1_info_cap_iova_range) +
			    iommu->nr_ranges * sizeof(struct vfio_iova_range);
	struct vfio_info_blob *blob = kzalloc(offsetof(struct vfio_info_blob, info) + size);
	unsigned i;

	if (!blob)
		return NULL;
	blob->size = size;
	blob->info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	blob->info.iova_pgsizes = iommu->pgsize_bitmap;
	blob->migration.header = (struct vfio_info_cap_header){ VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1,
								BLOB_OFFSET(avail) };
	blob->migration.pgsize_bitmap = iommu->pgmask + 1;
	blob->migration.max_dirty_bitmap_size = DIRTY_BITMAP_SIZE_MAX;
	blob->avail.header = (struct vfio_info_cap_header){ VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1,
							    BLOB_OFFSET(iova) };
	blob->iova.header = (struct vfio_info_cap_header){ VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 };
	blob->iova.nr_iovas = iommu->nr_ranges;
	for (i = 0; i < iommu->nr_ranges; i++)
		blob->iova.iova_ranges[i] = iommu->ranges[i];
	return blob;
}

long vfio_iommu_get_info(struct vfio_iommu *iommu, void __user *arg)
{
	const size_t minsz = offsetof(struct vfio_iommu_type1_info, cap_offset);
	struct vfio_iommu_type1_info asked;
	struct vfio_info_blob *blob;
	size_t len;

	if (copy_from_user(&asked, arg, minsz))
		return fail(-EFAULT, "struct vfio_iommu_type1_info at %p cannot be read", arg);
	if (asked.argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_info begins with %zu bytes",
			    asked.argsz, minsz);
	if (unlikely(!iommu->info)) {
		iommu->info = build(iommu);
		if (!iommu->info)
			return fail(-ENOMEM, "no memory for the answer");
	}
	blob = iommu->info;
	if (asked.argsz >= blob->size) {
		len = blob->size;
		blob->info.argsz = asked.argsz;
		blob->info.cap_offset = sizeof(blob->info);
	} else {
		len = min((size_t)asked.argsz, sizeof(blob->info));
		blob->info.argsz = (u32)blob->size;
		blob->info.cap_offset = 0;
	}
	blob->avail.avail = iommu->dma_avail;
	if (copy_to_user(arg, &blob->info, len))
		return fail(-EFAULT, "the answer of %zu bytes at %p cannot be written", len, arg);
	return 0;
}
