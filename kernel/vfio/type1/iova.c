/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iova.c - which I/O virtual addresses a container may use.
 *
 * What every domain can translate (its aperture), less what any group's devices reserve: the MSI
 * window, where a write is an interrupt and not memory, and whatever else the IOMMU names.  The result
 * is a short list of ranges, recomputed whenever a domain or a group comes or goes, and shown to the
 * program by IOMMU_GET_INFO.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/type1/type1.h"

#define HEX(x) (unsigned long long)(x)

/* Ranges under construction; there is room for one more than there are cuts. */
struct range_list {
	struct vfio_iova_range *ranges;
	unsigned count, room;
};

/* A group's reserved regions, on the heap; a list that fills the array may have been cut.  Count; -ENOMEM. */
static ssize_t get_regions(struct iommu_group *group, struct iommu_resv_region **ret_regions)
{
	struct iommu_resv_region *regions = NULL, *more;
	size_t room = 8, count;

	do {
		room *= 2;
		more = krealloc_array(regions, room, sizeof(*more));
		if (!more) {
			kfree(regions);
			return fail(-ENOMEM, "no memory for the list of reserved regions");
		}
		regions = more;
		count = iommu_get_group_resv_regions(group, regions, room);
	} while (count >= room);
	*ret_regions = regions;
	return (ssize_t)count;
}

static void remove_range(struct range_list *list, unsigned i)
{
	memmove(&list->ranges[i], &list->ranges[i + 1], (list->count - i - 1) * sizeof(*list->ranges));
	list->count--;
}

/* Cut [start, last] out: each cut splits at most one range in two. */
static int exclude(struct range_list *list, u64 start, u64 last)
{
	struct vfio_iova_range *range, *more;
	unsigned i = 0;

	if (list->count + 1 > list->room) {
		more = krealloc_array(list->ranges, list->room + 8, sizeof(*more));
		if (!more)
			return fail(-ENOMEM, "no memory for the list of usable IOVAs");
		list->ranges = more;
		list->room += 8;
	}
	while (i < list->count) {
		range = &list->ranges[i];
		if (range->end < start || range->start > last) {
			i++;
		} else if (range->start >= start && range->end <= last) {
			remove_range(list, i);
		} else if (range->start < start && range->end > last) {
			memmove(range + 1, range, (list->count - i) * sizeof(*range));
			list->count++;
			range[0].end = start - 1;
			range[1].start = last + 1;
			return 0;
		} else {
			if (range->start < start)
				range->end = start - 1;
			else
				range->start = last + 1;
			i++;
		}
	}
	return 0;
}

static int exclude_group(struct range_list *list, struct iommu_group *group)
{
	struct iommu_resv_region *regions;
	ssize_t count = get_regions(group, &regions), i;
	int ret = 0;

	if (count < 0)
		return (int)count;
	for (i = 0; i < count && !ret; i++)
		ret = exclude(list, regions[i].start, regions[i].last);
	kfree(regions);
	return ret;
}

static int exclude_domain(struct range_list *list, const struct vfio_domain *d)
{
	const struct iommu_domain *domain = d->domain;
	struct vfio_iommu_group *g;
	int ret = 0;

	if (domain->aperture_start)
		ret = exclude(list, 0, domain->aperture_start - 1);
	if (!ret && domain->aperture_last != UINT64_MAX)
		ret = exclude(list, domain->aperture_last + 1, UINT64_MAX);
	TAILQ_FOREACH(g, &d->groups, next) {
		if (!ret)
			ret = exclude_group(list, g->iommu_group);
	}
	return ret;
}

static int build_ranges(const struct vfio_iommu *iommu, struct range_list *list)
{
	struct vfio_domain *d;
	int ret;

	*list = (struct range_list){ .ranges = kmalloc(8 * sizeof(*list->ranges)), .count = 1, .room = 8 };
	if (!list->ranges)
		return fail(-ENOMEM, "no memory for the list of usable IOVAs");
	list->ranges[0] = (struct vfio_iova_range){ .start = 0, .end = UINT64_MAX };
	TAILQ_FOREACH(d, &iommu->domains, next) {
		ret = exclude_domain(list, d);
		if (ret) {
			kfree(list->ranges);
			return ret;
		}
	}
	return 0;
}

static bool in_ranges(const struct vfio_iova_range *ranges, unsigned count, u64 iova, u64 last)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		if (iova >= ranges[i].start && last <= ranges[i].end)
			return true;
	}
	return false;
}

bool vfio_iova_valid(const struct vfio_iommu *iommu, u64 iova, u64 last)
{
	return in_ranges(iommu->ranges, iommu->nr_ranges, iova, last);
}

/* What is mapped must stay usable, or else the newcomer cannot come in. */
static int check_mappings(struct vfio_iommu *iommu, const struct range_list *list)
{
	struct vfio_dma *dma;

	vfio_for_each_dma(dma, iommu) {
		if (!in_ranges(list->ranges, list->count, dma->iova, vfio_dma_last(dma)))
			return fail(-EINVAL,
				    "the mapping [%#llx-%#llx] lies where the new group's devices cannot reach it",
				    HEX(dma->iova), HEX(vfio_dma_last(dma)));
	}
	return 0;
}

/* Pages smaller than the CPU's are of no use: an IOMMU that can split finer can do whole pages too. */
static u64 common_pgsizes(const struct vfio_iommu *iommu)
{
	u64 bitmap = UINT64_MAX;
	struct vfio_domain *d;

	TAILQ_FOREACH(d, &iommu->domains, next)
		bitmap &= d->domain->pgsize_bitmap;
	if (bitmap & ~PAGE_MASK)
		bitmap = (bitmap & PAGE_MASK) | PAGE_SIZE;
	return bitmap;
}

int vfio_iova_refresh(struct vfio_iommu *iommu)
{
	const u64 pgsizes = common_pgsizes(iommu);
	struct range_list list;
	int ret;

	if (!pgsizes)
		return fail(-EINVAL, "the IOMMUs of the container's groups have no page size in common");
	ret = build_ranges(iommu, &list);
	if (ret)
		return ret;
	ret = check_mappings(iommu, &list);
	if (!ret && !list.count)
		ret = fail(-EINVAL, "no IOVA is left that all groups of the container could use");
	if (ret) {
		kfree(list.ranges);
		return ret;
	}
	kfree(iommu->ranges);
	iommu->ranges = list.ranges;
	iommu->nr_ranges = list.count;
	iommu->pgsize_bitmap = pgsizes;
	iommu->pgmask = (pgsizes & -pgsizes) - 1;
	vfio_iommu_info_stale(iommu);
	return 0;
}

/* ---- reasons ---- */

static const char *region_name(enum iommu_resv_type type)
{
	switch (type) {
	case IOMMU_RESV_MSI:
	case IOMMU_RESV_SW_MSI:
		return "MSI window";
	case IOMMU_RESV_DIRECT:
		return "direct-mapped region";
	default:
		return "reserved region";
	}
}

/* Is it a region of this group that is in the way?  -EINVAL with the reason if so. */
static int blame_group(struct iommu_group *group, u64 iova, u64 last)
{
	struct iommu_resv_region *regions;
	ssize_t count = get_regions(group, &regions), i;
	int ret = 0;

	for (i = 0; i < count; i++) {
		if (regions[i].start > last || regions[i].last < iova)
			continue;
		ret = fail(-EINVAL, "iova [%#llx-%#llx] touches the %s [%#llx-%#llx] of group %u", HEX(iova),
			   HEX(last), region_name(regions[i].type), HEX(regions[i].start),
			   HEX(regions[i].last), iommu_group_id(group));
		break;
	}
	if (count >= 0)
		kfree(regions);
	return ret;
}

/* Is it beyond the width of some IOMMU's addresses?  -EINVAL with the reason if so. */
static int blame_width(const struct iommu_domain *domain, u64 iova, u64 last)
{
	unsigned bits = 64 - __builtin_clzll(domain->aperture_last);

	if (last <= domain->aperture_last)
		return 0;
	return fail(-EINVAL, "iova [%#llx-%#llx] is beyond the %u bits of address that the IOMMU translates, "
		    "which end at %#llx", HEX(iova), HEX(last), bits, HEX(domain->aperture_last));
}

int vfio_iova_fail(const struct vfio_iommu *iommu, u64 iova, u64 last)
{
	struct vfio_iommu_group *g;
	char usable[256] = "";
	struct vfio_domain *d;
	size_t used = 0;
	unsigned i;

	TAILQ_FOREACH(d, &iommu->domains, next) {
		if (blame_width(d->domain, iova, last))
			return -EINVAL;
		TAILQ_FOREACH(g, &d->groups, next) {
			if (blame_group(g->iommu_group, iova, last))
				return -EINVAL;
		}
	}
	for (i = 0; i < iommu->nr_ranges && used < sizeof(usable); i++)
		used += snprintf(usable + used, sizeof(usable) - used, " [%#llx-%#llx]",
				 HEX(iommu->ranges[i].start), HEX(iommu->ranges[i].end));
	return fail(-EINVAL, "iova [%#llx-%#llx] is not one that the IOMMU translates; usable are%s",
		    HEX(iova), HEX(last), usable);
}
