/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_compat.c - an iommufd that answers as a VFIO container does.
 *
 * VFIO's type1 calls name no address space: they mean the compatibility IOAS.  It is made when a group
 * joins (VFIO_GROUP_SET_CONTAINER given an iommufd), or chosen with IOMMU_VFIO_IOAS; without one most
 * calls say ENODEV.  It is an ordinary IOAS, which the program may destroy too.
 *
 * Not all is as with a real container, nor is it in Linux: there is no dirty logging, no VADDR, nothing of a
 * BAR can be mapped, and SET_IOMMU may be called as often as one likes.
 *
 * The first version of type1 lets a program unmap parts of mappings.  So that this can be done, it has large
 * pages turned off; and mappings are cut where such a range begins and ends.
 */
#include <linux/vfio.h>

#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

#define HEX(x) (unsigned long long)(x)

/* ---- which IOAS ---- */

/* With a shortterm reference, as iommufd_get_ioas(). */
static struct iommufd_ioas *get_compat_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	mutex_lock(&ictx->objects_lock);
	ioas = ictx->vfio_ioas;
	if (ioas)
		ioas->obj.shortterm++;
	mutex_unlock(&ictx->objects_lock);
	return ioas ? ioas : ERR_PTR(fail(-ENODEV, "the iommufd has no compatibility IOAS: no VFIO group has joined, "
					  "and IOMMU_VFIO_IOAS has set none"));
}

int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *ret_id)
{
	struct iommufd_ioas *ioas = get_compat_ioas(ictx);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*ret_id = ioas->obj.id;
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}

int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_ioas_alloc(ictx);
	bool no_iommu, there;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	mutex_lock(&ictx->objects_lock);
	no_iommu = ictx->no_iommu_mode;
	there = ictx->vfio_ioas;
	if (!no_iommu && !there) {
		iommufd_object_finalize_locked(ictx, &ioas->obj);
		ictx->vfio_ioas = ioas;
	}
	mutex_unlock(&ictx->objects_lock);
	if (no_iommu || there)
		iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	return no_iommu ? fail(-EINVAL, "groups without an IOMMU have joined the iommufd: others cannot") : 0;
}

int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	bool there;

	mutex_lock(&ictx->objects_lock);
	there = ictx->vfio_ioas;
	if (!there)
		ictx->no_iommu_mode = true;
	mutex_unlock(&ictx->objects_lock);
	return there ? fail(-EINVAL, "the iommufd has a compatibility IOAS: groups without an IOMMU cannot join") : 0;
}

static int set_vfio_ioas(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, id);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	mutex_lock(&ictx->objects_lock);
	ictx->vfio_ioas = ioas;
	mutex_unlock(&ictx->objects_lock);
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}

int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	int ret;

	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is %#x, not 0", cmd->__reserved);
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		ret = iommufd_vfio_compat_ioas_get_id(ictx, &cmd->ioas_id);
		return ret ? ret : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	case IOMMU_VFIO_IOAS_SET:
		return set_vfio_ioas(ictx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		mutex_lock(&ictx->objects_lock);
		ictx->vfio_ioas = NULL;
		mutex_unlock(&ictx->objects_lock);
		return 0;
	default:
		return fail(-EOPNOTSUPP, "op %u is none of GET (0), SET (1) and CLEAR (2)", cmd->op);
	}
}

/* ---- map and unmap ---- */

static int map_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	const u32 known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	struct iommufd_ioas *ioas;
	struct iopt_pages *pages;
	u8 prot = IOMMU_CACHE;
	u64 iova;
	int ret;

	if (copy_from_user(&map, arg, sizeof(map)))
		return fail(-EFAULT, "struct vfio_iommu_type1_dma_map at %p cannot be read", arg);
	if (map.argsz < sizeof(map))
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_dma_map has %zu bytes", map.argsz,
			    sizeof(map));
	if (map.flags & ~known)
		return fail(-EINVAL, "flags %#x: an iommufd knows READ (1) and WRITE (2) only", map.flags);
	ioas = get_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	iova = map.iova;
	pages = iopt_alloc_user_pages(map.vaddr, map.size, prot & IOMMU_WRITE, iommufd_account_mode(ictx));
	if (IS_ERR(pages))
		ret = PTR_ERR(pages);
	else
		ret = iopt_map_one(&ioas->iopt, pages, map.vaddr & ~PAGE_MASK, map.size, &iova, prot, 0);
	iommufd_put_object(ictx, &ioas->obj);
	return ret;
}

static int unmap_all(struct io_pagetable *iopt, const struct vfio_iommu_type1_dma_unmap *unmap, u64 *ret_bytes)
{
	if (unmap->iova || unmap->size)
		return fail(-EINVAL, "with the flag ALL iova and size must be 0, they are %#llx and %#llx",
			    HEX(unmap->iova), HEX(unmap->size));
	return iopt_unmap_all(iopt, ret_bytes);
}

/* Without large pages ranges may cut mappings: type1's first version. */
static int cut_edges(struct io_pagetable *iopt, const struct vfio_iommu_type1_dma_unmap *unmap)
{
	const u64 lasts[] = { unmap->iova + unmap->size - 1, unmap->iova - 1 };
	bool small_pages;

	mutex_lock(&iopt->lock);
	small_pages = iopt->disable_large_pages;
	mutex_unlock(&iopt->lock);
	return small_pages ? iopt_cut_iova(iopt, lasts, unmap->iova ? 2 : 1) : 0;
}

/* What was unmapped is told also if something was in the way. */
static int unmap_range(struct io_pagetable *iopt, struct vfio_iommu_type1_dma_unmap *unmap, void __user *arg)
{
	u64 bytes;
	int ret;

	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		ret = unmap_all(iopt, unmap, &bytes);
		if (ret == -EINVAL)
			return ret;
	} else {
		ret = cut_edges(iopt, unmap);
		if (ret)
			return ret;
		ret = iopt_unmap_iova(iopt, unmap->iova, unmap->size, &bytes);
		if (!ret && !bytes)
			explain_note("nothing is mapped at iova %#llx: size is now 0", HEX(unmap->iova));
	}
	unmap->size = bytes;
	if (copy_to_user(arg, unmap, sizeof(*unmap)))
		return fail(-EFAULT, "size cannot be written back to %p, but %#llx bytes were unmapped", arg,
			    HEX(bytes));
	return ret;
}

static int unmap_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct iommufd_ioas *ioas;
	int ret;

	if (copy_from_user(&unmap, arg, sizeof(unmap)))
		return fail(-EFAULT, "struct vfio_iommu_type1_dma_unmap at %p cannot be read", arg);
	if (unmap.argsz < sizeof(unmap))
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_dma_unmap has %zu bytes", unmap.argsz,
			    sizeof(unmap));
	if (unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return fail(-EINVAL, "flags %#x: an iommufd knows ALL (2) only", unmap.flags);
	ioas = get_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = unmap_range(&ioas->iopt, &unmap, arg);
	iommufd_put_object(ictx, &ioas->obj);
	return ret;
}

/* ---- what the container can do ---- */

/* Are all page tables of the IOAS such that devices cannot ask for DMA past the caches? */
static int cc_iommu(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = get_compat_ioas(ictx);
	int ret = 1;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	mutex_lock(&ioas->iopt.lock);
	for (unsigned i = 0; i < ioas->iopt.nr_domains; i++) {
		const struct iommu_device *unit = ioas->iopt.domains[i]->iommu;

		if (!unit || !unit->ops->enforce_cache_coherency)
			ret = 0;
	}
	mutex_unlock(&ioas->iopt.lock);
	iommufd_put_object(ictx, &ioas->obj);
	return ret;
}

static int check_extension(struct iommufd_ctx *ictx, unsigned long type)
{
	switch (type) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_NOIOMMU_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return cc_iommu(ictx);
	default:
		return 0;
	}
}

static int set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	struct iommufd_ioas *ioas;
	bool no_iommu;
	int ret = 0;

	mutex_lock(&ictx->objects_lock);
	no_iommu = ictx->no_iommu_mode;
	mutex_unlock(&ictx->objects_lock);
	if (no_iommu)
		return type == VFIO_NOIOMMU_IOMMU ? 0 :
		       fail(-EINVAL, "the groups that have joined have no IOMMU: use 8 (VFIO_NOIOMMU_IOMMU)");
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return fail(-EINVAL, "an iommufd is of type 3 (VFIO_TYPE1v2_IOMMU) or 1 (VFIO_TYPE1_IOMMU), not %lu",
			    type);
	ioas = get_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (type == VFIO_TYPE1_IOMMU)
		ret = iopt_disable_large_pages(&ioas->iopt);
	iommufd_put_object(ictx, &ioas->obj);
	return ret;
}

/* ---- GET_INFO ---- */

/* The chain as it is written: each capability whole if there is room for it, or not at all. */
struct info_chain {
	char __user *arg;
	u32 argsz;
	u32 size;		/* of structure and chain so far, all of it */
	char __user *last;	/* header of the capability before */
	int err;
};

static void begin_cap(struct info_chain *chain)
{
	const u32 next = chain->size;

	if (!chain->last || chain->argsz < chain->size)
		return;
	if (copy_to_user(chain->last + offsetof(struct vfio_info_cap_header, next), &next, sizeof(next)))
		chain->err = fail(-EFAULT, "the chain of capabilities cannot be written");
}

static void add_cap(struct info_chain *chain, const void *cap, u32 size)
{
	begin_cap(chain);
	if (chain->argsz >= chain->size + size && copy_to_user(chain->arg + chain->size, cap, size))
		chain->err = fail(-EFAULT, "the chain of capabilities cannot be written");
	chain->last = chain->arg + chain->size;
	chain->size += ALIGN_UP(size, 8u);
}

static void add_dma_avail(struct info_chain *chain)
{
	const struct vfio_iommu_type1_info_dma_avail cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = UINT16_MAX,
	};

	add_cap(chain, &cap, sizeof(cap));
}

struct range_cap {
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	u32 count, room;
};

static int collect_range(void *arg, u64 start, u64 last)
{
	struct range_cap *list = arg;
	void *more;

	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 8;
		more = krealloc(list->cap, sizeof(*list->cap) + list->room * sizeof(struct vfio_iova_range));
		if (!more)
			return fail(-ENOMEM, "no memory for a list of usable IOVAs");
		list->cap = more;
	}
	list->cap->iova_ranges[list->count++] = (struct vfio_iova_range){ .start = start, .end = last };
	return 0;
}

static int add_iova_ranges_locked(struct info_chain *chain, struct io_pagetable *iopt)
{
	struct range_cap list = { 0 };
	int ret = iopt_for_each_usable_locked(iopt, &list, collect_range);

	if (!ret) {
		list.cap->header = (struct vfio_info_cap_header){ .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
								  .version = 1 };
		list.cap->nr_iovas = list.count;
		list.cap->reserved = 0;
		add_cap(chain, list.cap, sizeof(*list.cap) + list.count * sizeof(struct vfio_iova_range));
	}
	kfree(list.cap);
	return ret;
}

/* Pages smaller than the CPU's are of no use to a program. */
static u64 pgsizes_locked(const struct io_pagetable *iopt)
{
	u64 bitmap = UINT64_MAX;

	for (unsigned i = 0; i < iopt->nr_domains; i++)
		bitmap &= iopt->domains[i]->pgsize_bitmap;
	if (bitmap & ~PAGE_MASK)
		bitmap = (bitmap & PAGE_MASK) | PAGE_SIZE;
	return bitmap;
}

static int get_info(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetof(struct vfio_iommu_type1_info, cap_offset);
	struct vfio_iommu_type1_info info = { 0 };
	struct info_chain chain = { .arg = arg, .size = sizeof(info) };
	struct iommufd_ioas *ioas;
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return fail(-EFAULT, "struct vfio_iommu_type1_info at %p cannot be read", arg);
	if (info.argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_info begins with %zu bytes", info.argsz,
			    minsz);
	ioas = get_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	chain.argsz = info.argsz;
	mutex_lock(&ioas->iopt.lock);
	info.iova_pgsizes = pgsizes_locked(&ioas->iopt);
	add_dma_avail(&chain);
	ret = add_iova_ranges_locked(&chain, &ioas->iopt);
	mutex_unlock(&ioas->iopt.lock);
	iommufd_put_object(ictx, &ioas->obj);
	if (ret || chain.err)
		return ret ? ret : chain.err;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.cap_offset = info.argsz >= chain.size ? sizeof(info) : 0;
	info.argsz = chain.size;
	if (copy_to_user(arg, &info, min((size_t)chain.argsz, sizeof(info))))
		return fail(-EFAULT, "struct vfio_iommu_type1_info at %p cannot be written", arg);
	return 0;
}

int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_SET_IOMMU:
		return set_iommu(ictx, arg);
	case VFIO_CHECK_EXTENSION:
		return check_extension(ictx, arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(ictx, (void __user *)arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ictx, (void __user *)arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ictx, (void __user *)arg);
	default:
		return fail(-ENOTTY, "request %#x is none of an iommufd's", cmd);
	}
}
