/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * type1.h - the type1 IOMMU backend, between its files.
 *
 * A vfio_iommu is the I/O address space of one container: a set of mappings (vfio_dma) and the
 * domains that carry them out.  Every mapping is in every domain; all devices of a domain are behind
 * the same IOMMU unit.
 *
 *	vfio_iommu_type1.c  the backend's ops: groups come and go, ioctls are taken apart
 *	dma.c		    mappings: map, unmap, move the vaddr
 *	iova.c		    which IOVAs and page sizes may be used
 *	dirty.c		    dirty bitmaps
 *	iommu_info.c	    IOMMU_GET_INFO
 *
 * The container calls one function at a time, so nothing here has a lock of its own.
 */
#ifndef KERNEL_VFIO_TYPE1_TYPE1_H
#define KERNEL_VFIO_TYPE1_TYPE1_H

#include <assert.h>
#include <bsd/sys/queue.h>
#include <linux/vfio.h>

#include "kernel/iommu/iommu.h"
#include "kernel/lib/range_tree.h"
#include "kernel/lib/types.h"

struct mm;

/*
 * One MAP_DMA.  The device reaches [phys, phys+size) at [iova, iova+size); the pages stay pinned there
 * when the program moves vaddr to another address of the same memory.
 * There may be 65535 in a container: keep it small.
 */
struct vfio_dma {
	u64 iova;
	u64 size;
	u64 vaddr;
	phys_addr_t phys;
	struct mm *mm;	/* on whose account it is */
	u8 prot;	/* IOMMU_READ, IOMMU_WRITE */
	bool vaddr_invalid;
};
static_assert(sizeof(struct vfio_dma) <= 56, "a mapping costs at most 56 bytes here, and some 26 in the tree");

struct vfio_iommu_group {
	struct iommu_group *iommu_group;
	TAILQ_ENTRY(vfio_iommu_group) next;
};

struct vfio_domain {
	struct iommu_domain *domain;
	TAILQ_HEAD(, vfio_iommu_group) groups; /* never empty while in the list of domains */
	TAILQ_ENTRY(vfio_domain) next;
};

/* What GET_INFO copies out: the structure and, right behind it, the chain. */
struct vfio_info_blob;

struct vfio_iommu {
	bool v2;
	bool small_pages;	/* module parameter disable_hugepages */
	bool dirty_tracking;
	struct range_tree dmas; /* by iova */
	TAILQ_HEAD(, vfio_domain) domains;
	struct vfio_iova_range *ranges; /* usable IOVAs, ascending */
	unsigned nr_ranges;
	u64 pgsize_bitmap;
	u64 pgmask;		/* smallest page size - 1 */
	unsigned dma_avail;	/* mappings that may still be made */
	unsigned dma_limit;
	unsigned vaddr_invalid_count;
	struct vfio_info_blob *info; /* NULL: stale */
};

static inline u64 vfio_dma_last(const struct vfio_dma *dma) { return dma->iova + dma->size - 1; }

/* ---- dma.c ---- */

/** vfio_dma_first - the lowest mapping that ends at @iova or behind it; NULL. */
static inline struct vfio_dma *vfio_dma_first(struct vfio_iommu *iommu, u64 iova)
{
	return range_tree_find(&iommu->dmas, iova);
}
/** vfio_dma_next - the mapping above; NULL. */
static inline struct vfio_dma *vfio_dma_next(struct vfio_iommu *iommu, const struct vfio_dma *dma)
{
	return range_tree_after(&iommu->dmas, vfio_dma_last(dma));
}
/* All mappings, ascending. */
#define vfio_for_each_dma(dma, iommu) \
	for ((dma) = vfio_dma_first(iommu, 0); (dma); (dma) = vfio_dma_next(iommu, dma))
/** vfio_dma_do_map - the core of MAP_DMA; flags and argsz are checked.  0; -errno with reason. */
int vfio_dma_do_map(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_map *map);
/**
 * vfio_dma_do_unmap - the core of UNMAP_DMA; flags and argsz are checked
 * @bitmap: NULL without GET_DIRTY_BITMAP
 * Return: 0 and *@ret_bytes; -errno with reason.
 */
int vfio_dma_do_unmap(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_unmap *unmap,
		      const struct vfio_bitmap *bitmap, u64 *ret_bytes);
void vfio_dma_remove_all(struct vfio_iommu *iommu);
/** vfio_dma_replay - put all mappings into a domain that just came.  0; -errno and none is in it. */
int vfio_dma_replay(struct vfio_iommu *iommu, struct iommu_domain *domain);
/**
 * vfio_dma_check_edges - type1v2: no mapping may cross an edge of [@iova, @last]
 * @first: what vfio_dma_first(@iova) says.  Return: 0; -EINVAL.
 */
int vfio_dma_check_edges(struct vfio_iommu *iommu, const struct vfio_dma *first, u64 iova, u64 last);

/* ---- iova.c ---- */

/**
 * vfio_iova_refresh - recompute ranges and page sizes after domains or groups changed
 * Return: 0; -ENOMEM, or -EINVAL if a mapping would lie outside, and then nothing changed.
 */
int vfio_iova_refresh(struct vfio_iommu *iommu);
bool vfio_iova_valid(const struct vfio_iommu *iommu, u64 iova, u64 last);
/** vfio_iova_fail - Return: -EINVAL, with the reason why [@iova, @last] cannot be used. */
int vfio_iova_fail(const struct vfio_iommu *iommu, u64 iova, u64 last);

/* ---- dirty.c ---- */

#define DIRTY_BITMAP_SIZE_MAX (1ull << 28) /* bytes; for 2^31 pages */

/** vfio_dirty_check_bitmap - does the caller's bitmap fit @size bytes of IOVA?  0; -EINVAL. */
int vfio_dirty_check_bitmap(const struct vfio_bitmap *bitmap, u64 size);
/** vfio_dirty_check_active - is tracking on, and with that page size?  0; -EINVAL. */
int vfio_dirty_check_active(const struct vfio_iommu *iommu, const struct vfio_bitmap *bitmap);
/** vfio_dirty_report - set the bits of @dma in the caller's bitmap, whose first bit is @base.  0; -EFAULT. */
int vfio_dirty_report(const struct vfio_dma *dma, u64 base, const struct vfio_bitmap *bitmap);
long vfio_dirty_pages(struct vfio_iommu *iommu, void __user *arg);

/* ---- iommu_info.c ---- */

long vfio_iommu_get_info(struct vfio_iommu *iommu, void __user *arg);
/** vfio_iommu_info_stale - ranges or page sizes changed. */
void vfio_iommu_info_stale(struct vfio_iommu *iommu);

#endif
