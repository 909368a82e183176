/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirty.c - which pages may a device have written?
 *
 * The IOMMU keeps no dirty bits, so the honest answer is "every page that is pinned", as often as one
 * asks.  A program that migrates then copies everything in its last round, and is right.
 *
 * A bitmap is the caller's memory: bit n is page n from the first IOVA asked about.  Pages of a
 * mapping are set; a word is written as a whole, keeping only what stands before the mapping's first
 * bit.  (The caller gives zeroed memory, the uAPI says.)
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/type1/type1.h"

#define HEX(x) (unsigned long long)(x)
#define WORD_BITS 64
#define CHUNK_WORDS 64
#define MAX_PAGES (DIRTY_BITMAP_SIZE_MAX * 8 - 1)

static u64 bitmap_bytes(u64 pages)
{
	return ALIGN_UP(pages, WORD_BITS) / 8;
}

int vfio_dirty_check_bitmap(const struct vfio_bitmap *bitmap, u64 size)
{
	u64 pages;

	if (!bitmap->pgsize || (bitmap->pgsize & (bitmap->pgsize - 1)))
		return fail(-EINVAL, "bitmap.pgsize %#llx is no power of two", HEX(bitmap->pgsize));
	pages = size / bitmap->pgsize;
	if (!pages || pages > MAX_PAGES)
		return fail(-EINVAL, "size %#llx is %llu pages of bitmap.pgsize, which must be 1 to %llu",
			    HEX(size), HEX(pages), HEX(MAX_PAGES));
	if (bitmap->size > DIRTY_BITMAP_SIZE_MAX)
		return fail(-EINVAL, "bitmap.size %#llx is above the limit of %#llx", HEX(bitmap->size),
			    DIRTY_BITMAP_SIZE_MAX);
	if (bitmap->size < bitmap_bytes(pages))
		return fail(-EINVAL, "bitmap.size is %llu bytes, %llu pages need %llu (whole 64-bit words)",
			    HEX(bitmap->size), HEX(pages), HEX(bitmap_bytes(pages)));
	return 0;
}

int vfio_dirty_check_active(const struct vfio_iommu *iommu, const struct vfio_bitmap *bitmap)
{
	if (!iommu->dirty_tracking)
		return fail(-EINVAL,
			    "dirty tracking is off: it begins with FLAG_START of VFIO_IOMMU_DIRTY_PAGES");
	if (bitmap->pgsize != iommu->pgmask + 1)
		return fail(-EINVAL, "bitmap.pgsize %#llx: pages are tracked in units of %#llx",
			    HEX(bitmap->pgsize), HEX(iommu->pgmask + 1));
	return 0;
}

/* Ones from bit @from of the first word on, @bits of them. */
static size_t fill_chunk(u64 *words, unsigned from, u64 bits)
{
	size_t count = 0;
	u64 last;

	memset(words, 0, CHUNK_WORDS * sizeof(*words));
	while (bits && count < CHUNK_WORDS) {
		last = min((u64)WORD_BITS - 1, from + bits - 1);
		words[count++] = GENMASK_ULL(last, from);
		bits -= last - from + 1;
		from = 0;
	}
	return count;
}

int vfio_dirty_report(const struct vfio_dma *dma, u64 base, const struct vfio_bitmap *bitmap)
{
	const u64 first = (dma->iova - base) / bitmap->pgsize;
	char __user *to = (char *)bitmap->data + first / WORD_BITS * sizeof(u64);
	u64 bits = dma->size / bitmap->pgsize, words[CHUNK_WORDS], kept = 0;
	unsigned from = first % WORD_BITS;
	size_t count;

	if (from && copy_from_user(&kept, to, sizeof(kept)))
		return fail(-EFAULT, "bitmap.data at %p cannot be read", (void *)to);
	kept &= (1ull << from) - 1;
	while (bits) {
		count = fill_chunk(words, from, bits);
		words[0] |= kept;
		if (copy_to_user(to, words, count * sizeof(u64)))
			return fail(-EFAULT, "bitmap.data at %p cannot be written", (void *)to);
		bits -= min(bits, (u64)count * WORD_BITS - from);
		to += count * sizeof(u64);
		from = 0;
		kept = 0;
	}
	return 0;
}

/* ---- VFIO_IOMMU_DIRTY_PAGES ---- */

static int check_range(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dirty_bitmap_get *get,
		       u64 *ret_last)
{
	int ret;

	if (get->size && range_overflows(get->iova, get->size, ret_last))
		return fail(-EOVERFLOW, "iova %#llx plus size %#llx goes beyond 64 bits", HEX(get->iova),
			    HEX(get->size));
	ret = vfio_dirty_check_bitmap(&get->bitmap, get->size);
	if (ret)
		return ret;
	ret = vfio_dirty_check_active(iommu, &get->bitmap);
	if (ret)
		return ret;
	if ((get->iova | get->size) & iommu->pgmask)
		return fail(-EINVAL, "iova %#llx and size %#llx are not multiples of the page size %#llx",
			    HEX(get->iova), HEX(get->size), HEX(iommu->pgmask + 1));
	return 0;
}

static long get_bitmap(struct vfio_iommu *iommu, const struct vfio_iommu_type1_dirty_bitmap_get *get)
{
	struct vfio_dma *dma;
	u64 last = 0;
	int ret = check_range(iommu, get, &last);

	if (ret)
		return ret;
	dma = vfio_dma_first(iommu, get->iova);
	ret = vfio_dma_check_edges(iommu, dma, get->iova, last);
	if (ret)
		return ret;
	if (!dma || dma->iova > last)
		explain_note("nothing is mapped in [%#llx-%#llx]: the bitmap is left as it is",
			     HEX(get->iova), HEX(last));
	for (; dma && dma->iova <= last && !ret; dma = vfio_dma_next(iommu, dma))
		ret = vfio_dirty_report(dma, get->iova, &get->bitmap);
	return ret;
}

static long get_bitmap_skin(struct vfio_iommu *iommu, u32 argsz, void __user *arg)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	const size_t need = sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(get);

	if (argsz < need)
		return fail(-EINVAL, "argsz is %u, with GET_BITMAP it must be %zu", argsz, need);
	if (copy_from_user(&get, (char *)arg + sizeof(struct vfio_iommu_type1_dirty_bitmap), sizeof(get)))
		return fail(-EFAULT, "the range at %p cannot be read", arg);
	return get_bitmap(iommu, &get);
}

/* Linux makes a bitmap for each mapping, of which there may be no memory. */
static int dirty_start(struct vfio_iommu *iommu)
{
	struct vfio_dma *dma;

	if (iommu->dirty_tracking)
		return 0;
	vfio_for_each_dma(dma, iommu) {
		if (kmalloc_fails(bitmap_bytes(dma->size / (iommu->pgmask + 1))))
			return fail(-ENOMEM, "no memory for a bitmap of [%#llx, +%#llx)", HEX(dma->iova), HEX(dma->size));
	}
	iommu->dirty_tracking = true;
	return 0;
}

long vfio_dirty_pages(struct vfio_iommu *iommu, void __user *arg)
{
	const u32 known = VFIO_IOMMU_DIRTY_PAGES_FLAG_START | VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP |
			  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	struct vfio_iommu_type1_dirty_bitmap dirty;

	if (!iommu->v2)
		return fail(-EACCES, "dirty tracking needs type1v2, the container is type1 (v1)");
	if (copy_from_user(&dirty, arg, sizeof(dirty)))
		return fail(-EFAULT, "struct vfio_iommu_type1_dirty_bitmap at %p cannot be read", arg);
	if (dirty.argsz < sizeof(dirty))
		return fail(-EINVAL, "argsz is %u, struct vfio_iommu_type1_dirty_bitmap has %zu bytes",
			    dirty.argsz, sizeof(dirty));
	if (dirty.flags & ~known)
		return fail(-EINVAL, "flags %#x: bits %#x are unknown", dirty.flags, dirty.flags & ~known);
	switch (dirty.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		return dirty_start(iommu);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		iommu->dirty_tracking = false;
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return get_bitmap_skin(iommu, dirty.argsz, arg);
	default:
		return fail(-EINVAL, "flags %#x: exactly one of START, STOP and GET_BITMAP is needed",
			    dirty.flags);
	}
}
