/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma.c - the mappings of a container.
 *
 * They are kept in a tree by IOVA and never overlap.  Mapping pins the program's memory (which is
 * contiguous on our bus, see mm.h) and writes one range into the page table of each domain; unmapping
 * takes it out of the tables first, and only when no device can reach it any more is the memory let go.
 *
 * The two versions differ in what an unmap may touch.  v2: the edges of the range must not cut a
 * mapping.  v1: a mapping that begins before the range stops everything (success, nothing unmapped); one
 * that begins inside goes as a whole, even if it ends outside.
 *
 * A vaddr can be taken away and given anew (a program that replaces itself keeps its devices running):
 * pins and page tables stay, only the note of the program's address changes.
 */

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/type1/type1.h"
#include "kernel/vfio/vfio.h"

#define RANGE "[%#llx-%#llx]"
#define RANGE_ARGS(first, last) (unsigned long long)(first), (unsigned long long)(last)
#define HEX(x) (unsigned long long)(x)

/* The lowest mapping that has a byte in [iova, last]. */
static struct vfio_dma *find_overlap(struct vfio_iommu *iommu, u64 iova, u64 last)
{
	struct vfio_dma *dma = vfio_dma_first(iommu, iova);

	return dma && dma->iova <= last ? dma : NULL;
}

/* ---- into the domains and out of them ---- */

/* With disable_hugepages each page is written alone, so that no larger entry comes to be. */
static int map_in_domain(const struct vfio_iommu *iommu, struct iommu_domain *domain,
			 const struct vfio_dma *dma)
{
	const int prot = dma->prot | IOMMU_CACHE;
	u64 done;
	int ret;

	if (likely(!iommu->small_pages))
		return iommu_map(domain, dma->iova, dma->phys, dma->size, prot);
	for (done = 0; done < dma->size; done += PAGE_SIZE) {
		ret = iommu_map(domain, dma->iova + done, dma->phys + done, PAGE_SIZE, prot);
		if (ret) {
			if (done)
				iommu_unmap(domain, dma->iova, done);
			return ret;
		}
	}
	return 0;
}

static int map_in_all(struct vfio_iommu *iommu, const struct vfio_dma *dma)
{
	struct vfio_domain *d, *undo;
	int ret;

	TAILQ_FOREACH(d, &iommu->domains, next) {
		ret = map_in_domain(iommu, d->domain, dma);
		if (ret)
			goto err_unmap;
	}
	return 0;

err_unmap:
	TAILQ_FOREACH(undo, &iommu->domains, next) {
		if (undo == d)
			break;
		iommu_unmap(undo->domain, dma->iova, dma->size);
	}
	return fail(ret, "the page table cannot take iova " RANGE, RANGE_ARGS(dma->iova, vfio_dma_last(dma)));
}

static void unmap_from_all(struct vfio_iommu *iommu, u64 iova, u64 size)
{
	struct vfio_domain *d;
	u64 bytes;

	TAILQ_FOREACH(d, &iommu->domains, next) {
		bytes = iommu_unmap(d->domain, iova, size);
		assert(bytes == size);
		(void)bytes;
	}
}

int vfio_dma_replay(struct vfio_iommu *iommu, struct iommu_domain *domain)
{
	struct vfio_dma *dma, *undo;
	int ret;

	vfio_for_each_dma(dma, iommu) {
		ret = map_in_domain(iommu, domain, dma);
		if (ret)
			goto err_unmap;
	}
	return 0;

err_unmap:
	vfio_for_each_dma(undo, iommu) {
		if (undo == dma)
			break;
		iommu_unmap(domain, undo->iova, undo->size);
	}
	return fail(ret, "the new group's page table cannot take the mapping " RANGE,
		    RANGE_ARGS(dma->iova, vfio_dma_last(dma)));
}

/* ---- map ---- */

static int check_page_multiple(const struct vfio_iommu *iommu, u64 value, const char *what)
{
	if (value & iommu->pgmask)
		return fail(-EINVAL, "%s %#llx is not a multiple of the page size %#llx", what, HEX(value),
			    HEX(iommu->pgmask + 1));
	return 0;
}

static int check_map_args(const struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_map *map)
{
	const u32 prot = map->flags & (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	u64 last;

	if (map->size && range_overflows(map->iova, map->size, &last))
		return fail(-EOVERFLOW, "iova %#llx plus size %#llx goes beyond 64 bits", HEX(map->iova),
			    HEX(map->size));
	if (map->size && range_overflows(map->vaddr, map->size, &last))
		return fail(-EOVERFLOW, "vaddr %#llx plus size %#llx goes beyond 64 bits", HEX(map->vaddr),
			    HEX(map->size));
	if ((map->flags & VFIO_DMA_MAP_FLAG_VADDR) && prot)
		return fail(-EINVAL,
			    "flags %#x: VADDR goes without READ and WRITE, access rights do not change",
			    map->flags);
	if (!(map->flags & VFIO_DMA_MAP_FLAG_VADDR) && !prot)
		return fail(-EINVAL, "flags %#x: neither READ nor WRITE is set", map->flags);
	if (!map->size)
		return fail(-EINVAL, "size is 0: there is nothing to map");
	if (check_page_multiple(iommu, map->size, "size") || check_page_multiple(iommu, map->iova, "iova") ||
	    check_page_multiple(iommu, map->vaddr, "vaddr"))
		return -EINVAL;
	return 0;
}

/* The process that gives an address anew has the mapping from then on; what is pinned stays that. */
static int change_account(struct vfio_dma *dma, struct mm *mm)
{
	int ret = mm == dma->mm ? 0 : locked_vm_charge(mm, LOCKED_VM_VFIO, dma->size >> PAGE_SHIFT);

	if (ret || mm == dma->mm)
		return ret;
	locked_vm_uncharge(dma->mm, LOCKED_VM_VFIO, dma->size >> PAGE_SHIFT);
	mmdrop(dma->mm);
	dma->mm = mmgrab(mm);
	return 0;
}

static int set_vaddr(struct vfio_iommu *iommu, struct vfio_dma *dma,
		     const struct vfio_iommu_type1_dma_map *map)
{
	int ret;

	if (!dma)
		return fail(-ENOENT, "nothing is mapped at iova %#llx: VADDR moves an existing mapping",
			    HEX(map->iova));
	if (dma->iova != map->iova || dma->size != map->size)
		return fail(-EINVAL, "VADDR must name the whole mapping " RANGE ", not " RANGE,
			    RANGE_ARGS(dma->iova, vfio_dma_last(dma)),
			    RANGE_ARGS(map->iova, map->iova + map->size - 1));
	if (!dma->vaddr_invalid)
		return fail(-EINVAL,
			    "the vaddr %#llx of iova %#llx is valid: take it away first (UNMAP_DMA with VADDR)",
			    HEX(dma->vaddr), HEX(dma->iova));
	ret = change_account(dma, current_mm());
	if (ret)
		return ret;
	dma->vaddr = map->vaddr;
	dma->vaddr_invalid = false;
	iommu->vaddr_invalid_count--;
	return 0;
}

static int pin(struct vfio_dma *dma)
{
	const bool write = dma->prot & IOMMU_WRITE;
	int ret = mm_pin(dma->mm, dma->vaddr, dma->size, write, &dma->phys);

	if (ret)
		return fail(ret, "vaddr " RANGE " cannot be pinned for a device that may %s",
			    RANGE_ARGS(dma->vaddr, dma->vaddr + dma->size - 1), write ? "write" : "read");
	return 0;
}

static struct vfio_dma *new_dma(const struct vfio_iommu_type1_dma_map *map)
{
	struct vfio_dma *dma = kmalloc(sizeof(*dma));

	if (!dma)
		return NULL;
	*dma = (struct vfio_dma){
		.iova = map->iova,
		.size = map->size,
		.vaddr = map->vaddr,
		.mm = mmgrab(current_mm()),
		.prot = (map->flags & VFIO_DMA_MAP_FLAG_READ ? IOMMU_READ : 0) |
			(map->flags & VFIO_DMA_MAP_FLAG_WRITE ? IOMMU_WRITE : 0),
	};
	return dma;
}

/* Pin and map what is in the tree already. */
static int pin_map(struct vfio_iommu *iommu, struct vfio_dma *dma)
{
	int ret = locked_vm_charge(dma->mm, LOCKED_VM_VFIO, dma->size >> PAGE_SHIFT);

	if (ret)
		return ret;
	ret = pin(dma);
	if (ret)
		goto err_unaccount;
	ret = map_in_all(iommu, dma);
	if (ret)
		goto err_unpin;
	return 0;

err_unpin:
	mm_unpin(dma->phys, dma->size);
err_unaccount:
	locked_vm_uncharge(dma->mm, LOCKED_VM_VFIO, dma->size >> PAGE_SHIFT);
	return ret;
}

static int check_room(const struct vfio_iommu *iommu, u64 iova, u64 last)
{
	if (!iommu->dma_avail)
		return fail(-ENOSPC,
			    "the container has %u mappings, which is dma_entry_limit of vfio_iommu_type1",
			    iommu->dma_limit);
	if (!vfio_iova_valid(iommu, iova, last))
		return vfio_iova_fail(iommu, iova, last);
	return 0;
}

static int add_dma(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_map *map, u64 last)
{
	struct vfio_dma *other = find_overlap(iommu, map->iova, last), *dma;
	int ret;

	if (other)
		return fail(-EEXIST, "iova " RANGE " collides with the mapping " RANGE " of vaddr %#llx",
			    RANGE_ARGS(map->iova, last), RANGE_ARGS(other->iova, vfio_dma_last(other)),
			    HEX(other->vaddr));
	ret = check_room(iommu, map->iova, last);
	if (ret)
		return ret;
	dma = new_dma(map);
	if (!dma)
		return fail(-ENOMEM, "no memory to note a mapping");
	ret = range_tree_insert(&iommu->dmas, dma->iova, last, dma);
	if (ret)
		goto err_free;
	ret = pin_map(iommu, dma);
	if (ret)
		goto err_remove;
	iommu->dma_avail--;
	return 0;

err_remove:
	range_tree_remove(&iommu->dmas, dma->iova);
err_free:
	mmdrop(dma->mm);
	kfree(dma);
	return ret;
}

int vfio_dma_do_map(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_map *map)
{
	const u64 last = map->iova + map->size - 1;
	int ret = check_map_args(iommu, map);

	if (ret)
		return ret;
	if (map->flags & VFIO_DMA_MAP_FLAG_VADDR)
		return set_vaddr(iommu, find_overlap(iommu, map->iova, last), map);
	return add_dma(iommu, map, last);
}

/* ---- unmap ---- */

/* It is in no domain and not in the tree any more. */
static void free_dma(struct vfio_iommu *iommu, struct vfio_dma *dma)
{
	mm_unpin(dma->phys, dma->size);
	iommu->dma_avail++;
	locked_vm_uncharge(dma->mm, LOCKED_VM_VFIO, dma->size >> PAGE_SHIFT);
	if (dma->vaddr_invalid)
		iommu->vaddr_invalid_count--;
	mmdrop(dma->mm);
	kfree(dma);
}

/* @first and what follows it without a gap, up to @last.  Return: where they end. */
static u64 run_of(struct vfio_iommu *iommu, const struct vfio_dma *first, u64 last)
{
	const struct vfio_dma *dma = first, *next;

	while (vfio_dma_last(dma) < last && (next = vfio_dma_next(iommu, dma)) &&
	       next->iova == vfio_dma_last(dma) + 1 && vfio_dma_last(next) <= last)
		dma = next;
	return vfio_dma_last(dma);
}

/*
 * Mappings side by side, from @dma to @last, leave the page tables together: one walk, one invalidation.
 * *@ret_bytes grows by their sizes.
 */
static void remove_run(struct vfio_iommu *iommu, const struct vfio_dma *dma, u64 last, u64 *ret_bytes)
{
	const u64 iova = dma->iova, bytes = last - iova + 1;
	void *dmas[RANGE_TREE_SOME];
	unsigned count;
	u64 left;

	unmap_from_all(iommu, iova, bytes);
	*ret_bytes += bytes;
	for (left = bytes; left;) {
		count = range_tree_remove_some(&iommu->dmas, iova, last, dmas);
		for (unsigned i = 0; i < count; i++) {
			left -= ((struct vfio_dma *)dmas[i])->size;
			free_dma(iommu, dmas[i]);
		}
	}
}

void vfio_dma_remove_all(struct vfio_iommu *iommu)
{
	struct vfio_dma *dma;
	u64 bytes = 0;

	while ((dma = vfio_dma_first(iommu, 0)))
		remove_run(iommu, dma, run_of(iommu, dma, UINT64_MAX), &bytes);
}

int vfio_dma_check_edges(struct vfio_iommu *iommu, const struct vfio_dma *dma, u64 iova, u64 last)
{
	if (dma && dma->iova < iova)
		return fail(-EINVAL,
			    "the range " RANGE " begins inside the mapping " RANGE
			    ": type1v2 takes whole ones only",
			    RANGE_ARGS(iova, last), RANGE_ARGS(dma->iova, vfio_dma_last(dma)));
	if (dma && vfio_dma_last(dma) < last) /* most often it is the same mapping: no need to look again */
		dma = vfio_dma_first(iommu, last);
	if (dma && dma->iova <= last && vfio_dma_last(dma) != last)
		return fail(-EINVAL,
			    "the range " RANGE " ends inside the mapping " RANGE
			    ": type1v2 takes whole ones only",
			    RANGE_ARGS(iova, last), RANGE_ARGS(dma->iova, vfio_dma_last(dma)));
	return 0;
}

static int check_unmap_args(const struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_unmap *unmap,
			    u64 *ret_last)
{
	if (check_page_multiple(iommu, unmap->iova, "iova"))
		return -EINVAL;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (unmap->iova || unmap->size)
			return fail(-EINVAL,
				    "with the flag ALL iova and size must be 0, they are %#llx and %#llx",
				    HEX(unmap->iova), HEX(unmap->size));
		*ret_last = UINT64_MAX;
		return 0;
	}
	if (!unmap->size)
		return fail(-EINVAL, "size is 0: there is nothing to unmap (the flag ALL unmaps everything)");
	if (check_page_multiple(iommu, unmap->size, "size"))
		return -EINVAL;
	if (range_overflows(unmap->iova, unmap->size, ret_last))
		return fail(-EOVERFLOW, "iova %#llx plus size %#llx goes beyond 64 bits", HEX(unmap->iova),
			    HEX(unmap->size));
	return 0;
}

/* v1 is lenient; say so, for the program goes on with less or more unmapped than it thinks. */
static bool v1_stops_at(const struct vfio_iommu *iommu, const struct vfio_dma *dma, u64 iova, u64 last)
{
	if (iommu->v2)
		return false;
	if (dma->iova < iova) {
		explain_note("nothing is unmapped: " RANGE " begins inside the mapping " RANGE
			     ", and type1 (v1) stops there",
			     RANGE_ARGS(iova, last), RANGE_ARGS(dma->iova, vfio_dma_last(dma)));
		return true;
	}
	if (vfio_dma_last(dma) > last)
		explain_note("more goes than was asked for: type1 (v1) unmaps all of " RANGE
			     ", though the range ends at %#llx",
			     RANGE_ARGS(dma->iova, vfio_dma_last(dma)), HEX(last));
	return false;
}

static int unmap_range(struct vfio_iommu *iommu, struct vfio_dma *dma, u64 iova, u64 last,
		       const struct vfio_bitmap *bitmap, u64 *ret_bytes)
{
	u64 run_last;
	int ret;

	while (dma && dma->iova <= last) {
		if (v1_stops_at(iommu, dma, iova, last))
			break;
		if (bitmap) {
			ret = vfio_dirty_report(dma, iova, bitmap);
			if (ret)
				return ret;
		}
		run_last = bitmap ? vfio_dma_last(dma) : run_of(iommu, dma, last);
		remove_run(iommu, dma, run_last, ret_bytes);
		dma = run_last < last ? vfio_dma_first(iommu, run_last + 1) : NULL;
	}
	return 0;
}

/* All vaddrs in the range, or none if one was invalid before. */
static int invalidate_range(struct vfio_iommu *iommu, struct vfio_dma *const first, u64 iova, u64 last,
			    u64 *ret_bytes)
{
	struct vfio_dma *dma, *undo;

	for (dma = first; dma && dma->iova <= last; dma = vfio_dma_next(iommu, dma)) {
		if (v1_stops_at(iommu, dma, iova, last))
			break;
		if (dma->vaddr_invalid)
			goto err_undo;
		dma->vaddr_invalid = true;
		iommu->vaddr_invalid_count++;
		*ret_bytes += dma->size;
	}
	return 0;

err_undo:
	for (undo = first; undo != dma; undo = vfio_dma_next(iommu, undo)) {
		undo->vaddr_invalid = false;
		iommu->vaddr_invalid_count--;
	}
	return fail(-EINVAL, "the vaddr of the mapping " RANGE " is invalid already: no vaddr was changed",
		    RANGE_ARGS(dma->iova, vfio_dma_last(dma)));
}

int vfio_dma_do_unmap(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dma_unmap *unmap,
		      const struct vfio_bitmap *bitmap, u64 *ret_bytes)
{
	const bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	struct vfio_dma *first;
	u64 last = 0;
	int ret = check_unmap_args(iommu, unmap, &last);

	if (!ret && bitmap)
		ret = vfio_dirty_check_active(iommu, bitmap);
	if (ret)
		return ret;
	first = vfio_dma_first(iommu, unmap->iova);
	if (iommu->v2 && !all)
		ret = vfio_dma_check_edges(iommu, first, unmap->iova, last);
	if (ret)
		return ret;
	if (!all && (!first || first->iova > last))
		explain_note("nothing is mapped in " RANGE ": size is now 0", RANGE_ARGS(unmap->iova, last));
	*ret_bytes = 0;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return invalidate_range(iommu, first, unmap->iova, last, ret_bytes);
	return unmap_range(iommu, first, unmap->iova, last, bitmap, ret_bytes);
}
