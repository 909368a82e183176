/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_iommu_type1.c - the IOMMU backend of x86 and most others: the program chooses the IOVA.
 *
 * This file owns the backend's life: a vfio_iommu is made by SET_IOMMU, groups attach and detach, and
 * ioctls are copied in, checked and handed to the files that carry them out (see type1.h).
 *
 * Groups behind the same IOMMU unit share a domain: a mapping is then written once for all of them.
 * The mappings die with the last domain, that is when the last group leaves.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/show.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/type1/type1.h"
#include "kernel/vfio/vfio.h"

#define PARAM(name) "sys/module/vfio_iommu_type1/parameters/" name
#define DMA_ENTRY_LIMIT 65535

/* ---- module parameters: the files in the tree are the truth ---- */

static unsigned param_uint(const char *path, unsigned otherwise)
{
	char text[32];
	ssize_t len = kernfs_read(path, text, sizeof(text) - 1);
	unsigned long value;
	char *end;

	if (len <= 0)
		return otherwise;
	text[len] = 0;
	value = strtoul(text, &end, 0);
	return end == text || value > UINT32_MAX ? otherwise : (unsigned)value;
}

static bool param_bool(const char *path)
{
	char first;

	return kernfs_read(path, &first, 1) == 1 && (first == 'Y' || first == 'y' || first == '1');
}

/* ---- a container's I/O address space ---- */

static void *type1_open(unsigned long type)
{
	struct vfio_iommu *iommu;

	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return ERR_PTR(fail(-EINVAL,
				    "%lu is an extension that can be checked, but no IOMMU type: use 3 (VFIO_TYPE1v2_IOMMU)",
				    type));
	iommu = kzalloc(sizeof(*iommu));
	if (!iommu)
		return ERR_PTR(fail(-ENOMEM, "no memory for an I/O address space"));
	iommu->v2 = type == VFIO_TYPE1v2_IOMMU;
	iommu->small_pages = param_bool(PARAM("disable_hugepages"));
	iommu->dma_limit = param_uint(PARAM("dma_entry_limit"), DMA_ENTRY_LIMIT);
	iommu->dma_avail = iommu->dma_limit;
	TAILQ_INIT(&iommu->domains);
	return iommu;
}

/* The container has detached all groups by now, and the last one took the mappings along. */
static void type1_release(void *iommu_data)
{
	struct vfio_iommu *iommu = iommu_data;

	assert(TAILQ_EMPTY(&iommu->domains) && range_tree_empty(&iommu->dmas));
	range_tree_destroy(&iommu->dmas);
	vfio_iommu_info_stale(iommu);
	kfree(iommu->ranges);
	kfree(iommu);
}

/* ---- groups ---- */

static int take_first(struct device *dev, void *arg)
{
	*(struct device **)arg = dev;
	return 1;
}

static struct vfio_domain *new_domain(struct iommu_group *group)
{
	struct device *dev = NULL;
	struct vfio_domain *d;
	int ret;

	iommu_group_for_each_dev(group, &dev, take_first);
	if (!dev)
		return ERR_PTR(fail(-ENODEV, "group %u has no device", iommu_group_id(group)));
	d = kzalloc(sizeof(*d));
	if (!d)
		return ERR_PTR(fail(-ENOMEM, "no memory for a domain"));
	TAILQ_INIT(&d->groups);
	d->domain = iommu_paging_domain_alloc(dev);
	if (IS_ERR(d->domain)) {
		ret = fail((int)PTR_ERR(d->domain), "no page table can be made for group %u",
			   iommu_group_id(group));
		kfree(d);
		return ERR_PTR(ret);
	}
	ret = iommu_attach_group(d->domain, group);
	if (ret) {
		iommu_domain_free(d->domain);
		kfree(d);
		return ERR_PTR(fail(ret, "group %u cannot be attached to a page table",
				    iommu_group_id(group)));
	}
	return d;
}

static void free_domain(struct vfio_domain *d)
{
	iommu_domain_free(d->domain);
	kfree(d);
}

/* A domain of the container that fits: -EINVAL from attaching means another IOMMU unit. */
static struct vfio_domain *join_domain(struct vfio_iommu *iommu, struct iommu_group *group)
{
	struct vfio_domain *d;
	int ret;

	TAILQ_FOREACH(d, &iommu->domains, next) {
		ret = iommu_attach_group(d->domain, group);
		if (!ret)
			return d;
		if (ret != -EINVAL)
			return ERR_PTR(fail(ret, "group %u cannot be attached to the container's page table",
					    iommu_group_id(group)));
	}
	return NULL;
}

/* Take a group out of a domain; the last group takes the domain along, the last domain the mappings. */
static void leave_domain(struct vfio_iommu *iommu, struct vfio_domain *d, struct vfio_iommu_group *g)
{
	iommu_detach_group(d->domain, g->iommu_group);
	TAILQ_REMOVE(&d->groups, g, next);
	kfree(g);
	if (!TAILQ_EMPTY(&d->groups))
		return;
	if (TAILQ_FIRST(&iommu->domains) == d && !TAILQ_NEXT(d, next))
		vfio_dma_remove_all(iommu);
	TAILQ_REMOVE(&iommu->domains, d, next);
	free_domain(d);
}

static int type1_attach_group(void *iommu_data, struct iommu_group *group)
{
	struct vfio_iommu *iommu = iommu_data;
	struct vfio_iommu_group *g;
	struct vfio_domain *d;
	bool fresh;
	int ret;

	if (iommu->vaddr_invalid_count)
		return fail(-EBUSY,
			    "%u mappings have no valid vaddr: no group may join until they have one again",
			    iommu->vaddr_invalid_count);
	g = kzalloc(sizeof(*g));
	if (!g)
		return fail(-ENOMEM, "no memory for group %u", iommu_group_id(group));
	g->iommu_group = group;
	d = join_domain(iommu, group);
	fresh = !d;
	if (fresh)
		d = new_domain(group);
	if (IS_ERR(d)) {
		kfree(g);
		return (int)PTR_ERR(d);
	}
	TAILQ_INSERT_TAIL(&d->groups, g, next);
	if (fresh)
		TAILQ_INSERT_TAIL(&iommu->domains, d, next);
	ret = fresh ? vfio_dma_replay(iommu, d->domain) : 0;
	if (!ret)
		ret = vfio_iova_refresh(iommu);
	if (ret)
		leave_domain(iommu, d, g);
	return ret;
}

static void type1_detach_group(void *iommu_data, struct iommu_group *group)
{
	struct vfio_iommu *iommu = iommu_data;
	struct vfio_iommu_group *g;
	struct vfio_domain *d;

	TAILQ_FOREACH(d, &iommu->domains, next) {
		TAILQ_FOREACH(g, &d->groups, next) {
			if (g->iommu_group == group)
				goto found;
		}
	}
	return;

found:
	leave_domain(iommu, d, g);
	/* More may be usable now.  If there is no memory to say so, the narrower list stays, which is true too. */
	if (!TAILQ_EMPTY(&iommu->domains))
		vfio_iova_refresh(iommu);
}

/* ---- ioctls ---- */

static bool coherent(const struct vfio_iommu *iommu)
{
	const struct vfio_domain *d;

	TAILQ_FOREACH(d, &iommu->domains, next) {
		if (!d->domain->iommu->ops->enforce_cache_coherency)
			return false;
	}
	return !TAILQ_EMPTY(&iommu->domains);
}

static long type1_check_extension(void *iommu_data, unsigned long arg)
{
	switch (arg) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_UPDATE_VADDR:
		return iommu_data != NULL;
	case VFIO_DMA_CC_IOMMU:
		return iommu_data && coherent(iommu_data);
	default:
		return 0;
	}
}

static long map_dma(struct vfio_iommu *iommu, void __user *arg)
{
	const u32 known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE | VFIO_DMA_MAP_FLAG_VADDR;
	struct vfio_iommu_type1_dma_map map;

	if (copy_from_user(&map, arg, sizeof(map)))
		return fail(-EFAULT, "struct vfio_iommu_type1_dma_map at %p cannot be read", arg);
	if (map.argsz < sizeof(map))
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_dma_map has %zu bytes", map.argsz,
			    sizeof(map));
	if (map.flags & ~known)
		return fail(-EINVAL, "flags %#x: bits %#x are unknown", map.flags, map.flags & ~known);
	return vfio_dma_do_map(iommu, &map);
}

static int read_unmap_bitmap(const struct vfio_iommu_type1_dma_unmap *unmap, const void __user *arg,
			     struct vfio_bitmap *ret_bitmap)
{
	const size_t need = sizeof(*unmap) + sizeof(*ret_bitmap);

	if (unmap->argsz < need)
		return fail(-EINVAL, "argsz is %u, with GET_DIRTY_BITMAP it must be %zu", unmap->argsz, need);
	if (copy_from_user(ret_bitmap, (const char *)arg + sizeof(*unmap), sizeof(*ret_bitmap)))
		return fail(-EFAULT, "struct vfio_bitmap behind %p cannot be read", arg);
	return vfio_dirty_check_bitmap(ret_bitmap, unmap->size);
}

static int check_unmap_flags(const struct vfio_iommu_type1_dma_unmap *unmap)
{
	const u32 others = VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR;
	const u32 known = others | VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;

	if (unmap->argsz < sizeof(*unmap))
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_dma_unmap has %zu bytes",
			    unmap->argsz, sizeof(*unmap));
	if (unmap->flags & ~known)
		return fail(-EINVAL, "flags %#x: bits %#x are unknown", unmap->flags, unmap->flags & ~known);
	if ((unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) && (unmap->flags & others))
		return fail(-EINVAL, "flags %#x: GET_DIRTY_BITMAP goes neither with ALL nor with VADDR",
			    unmap->flags);
	return 0;
}

static long unmap_dma(struct vfio_iommu *iommu, void __user *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap;
	bool want_bitmap;
	u64 bytes;
	int ret;

	if (copy_from_user(&unmap, arg, sizeof(unmap)))
		return fail(-EFAULT, "struct vfio_iommu_type1_dma_unmap at %p cannot be read", arg);
	ret = check_unmap_flags(&unmap);
	want_bitmap = unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	if (!ret && want_bitmap)
		ret = read_unmap_bitmap(&unmap, arg, &bitmap);
	if (!ret)
		ret = vfio_dma_do_unmap(iommu, &unmap, want_bitmap ? &bitmap : NULL, &bytes);
	if (ret)
		return ret;
	unmap.size = bytes;
	if (copy_to_user(arg, &unmap, sizeof(unmap)))
		return fail(-EFAULT, "size cannot be written back to %p, but %#llx bytes were unmapped", arg,
			    (unsigned long long)bytes);
	return 0;
}

static long type1_ioctl(void *iommu_data, unsigned int cmd, unsigned long arg)
{
	struct vfio_iommu *iommu = iommu_data;

	switch (cmd) {
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(iommu, (void __user *)arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(iommu, (void __user *)arg);
	case VFIO_IOMMU_GET_INFO:
		return vfio_iommu_get_info(iommu, (void __user *)arg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return vfio_dirty_pages(iommu, (void __user *)arg);
	default:
		return fail(-ENOTTY, "request %#x is none of a type1 container's", cmd);
	}
}

static void type1_show(void *iommu_data, struct show *out)
{
	struct vfio_iommu *iommu = iommu_data;
	struct vfio_dma *dma;

	show(out, "backend %s\n", iommu->v2 ? "type1v2" : "type1");
	vfio_for_each_dma(dma, iommu)
		show(out, "map 0x%llx 0x%llx %s%s 0x%llx\n", (unsigned long long)dma->iova, (unsigned long long)dma->size,
		     dma->prot & IOMMU_READ ? "r" : "", dma->prot & IOMMU_WRITE ? "w" : "",
		     (unsigned long long)dma->vaddr);
}

static const struct vfio_iommu_driver_ops type1_ops = {
	.name = "type1",
	.open = type1_open,
	.release = type1_release,
	.ioctl = type1_ioctl,
	.check_extension = type1_check_extension,
	.attach_group = type1_attach_group,
	.detach_group = type1_detach_group,
	.show = type1_show,
};

int vfio_iommu_type1_init(void)
{
	return vfio_register_iommu_driver(&type1_ops);
}

void vfio_iommu_type1_exit(void)
{
	vfio_unregister_iommu_driver(&type1_ops);
}
