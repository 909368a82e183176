/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_pagetable.c - page tables as objects: made, filled, asked what is dirty, told what to forget.
 *
 * HWPT_ALLOC makes three kinds, by what pt_id is: an IOAS (paging), a paging HWPT that is a NEST_PARENT, or a
 * vIOMMU (both nested).  What the IOMMU driver can do it says when the domain is allocated; here is checked
 * what holds for every driver.
 */
#include <stdlib.h>

#include "kernel/base/device.h"
#include "kernel/iommufd/eventq.h"
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/iova_bitmap.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

typedef unsigned long long ull;

/* ---- lookups ---- */

struct iommufd_hwpt_paging *hwpt_paging_of(struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_hwpt_nested *nested;

	if (hwpt_is_paging(hwpt))
		return to_hwpt_paging(hwpt);
	nested = to_hwpt_nested(hwpt);
	return nested->viommu ? nested->viommu->hwpt : nested->parent;
}

struct iommufd_hwpt_paging *iommufd_get_hwpt_paging(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_HWPT_PAGING);

	return IS_ERR(obj) ? ERR_PTR(PTR_ERR(obj)) : to_hwpt_paging(to_hwpt(obj));
}

struct iommufd_hwpt_nested *iommufd_get_hwpt_nested(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_HWPT_NESTED);

	return IS_ERR(obj) ? ERR_PTR(PTR_ERR(obj)) : to_hwpt_nested(to_hwpt(obj));
}

/* ---- their end ---- */

static void hwpt_release(struct iommufd_hw_pagetable *hwpt)
{
	iommu_domain_free(hwpt->domain);
	if (hwpt->fault)
		iommufd_object_drop(&hwpt->fault->q.obj);
}

int iommufd_hwpt_paging_fill(struct iommufd_hwpt_paging *hwpt)
{
	int err;

	lockdep_assert_held(&hwpt->ioas->mutex);
	err = iopt_table_add_domain(&hwpt->ioas->iopt, hwpt->common.domain);
	if (err)
		return err;
	TAILQ_INSERT_TAIL(&hwpt->ioas->hwpt_list, hwpt, hwpt_item);
	hwpt->filled = true;
	return 0;
}

void iommufd_hwpt_paging_unfill(struct iommufd_hwpt_paging *hwpt)
{
	lockdep_assert_held(&hwpt->ioas->mutex);
	if (!hwpt->filled)
		return;
	hwpt->filled = false;
	TAILQ_REMOVE(&hwpt->ioas->hwpt_list, hwpt, hwpt_item);
	iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->common.domain);
}

void iommufd_hwpt_paging_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = to_hwpt_paging(to_hwpt(obj));

	if (!hwpt->ioas)
		return;
	/* Only who is making it, or takes it away, changes @filled: looking needs no lock. */
	if (hwpt->filled) {
		mutex_lock(&hwpt->ioas->mutex);
		iommufd_hwpt_paging_unfill(hwpt);
		mutex_unlock(&hwpt->ioas->mutex);
	}
	hwpt_release(&hwpt->common);
	iommufd_object_drop(&hwpt->ioas->obj);
}

void iommufd_hwpt_nested_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_nested *nested = to_hwpt_nested(to_hwpt(obj));

	hwpt_release(&nested->common);
	if (nested->viommu)
		iommufd_object_drop(&nested->viommu->obj);
	if (nested->parent)
		iommufd_object_drop(&nested->parent->common.obj);
}

void iommufd_hw_pagetable_put(struct iommufd_ctx *ictx, struct iommufd_hw_pagetable *hwpt)
{
	if (hwpt_is_paging(hwpt) && to_hwpt_paging(hwpt)->auto_domain)
		iommufd_object_drop_and_try_destroy(ictx, &hwpt->obj);
	else
		iommufd_object_drop(&hwpt->obj);
}

/* ---- allocation ---- */

#define PAGING_FLAGS (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID | \
		      IOMMU_HWPT_ALLOC_PASID)
#define NESTED_FLAGS (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

static int check_paging_flags(u32 flags)
{
	if (flags & ~PAGING_FLAGS)
		return fail(-EOPNOTSUPP, "flags 0x%x: 0x%x is all that is known", flags, PAGING_FLAGS);
	if ((flags & IOMMU_HWPT_FAULT_ID_VALID) && (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return fail(-EOPNOTSUPP, "a parent of nested page tables has no fault queue: they have");
	return 0;
}

/* Domain and owner of a fresh object; a domain that is an error is returned as one. */
static int take_domain(struct iommufd_hw_pagetable *hwpt, struct iommu_domain *domain, u32 flags)
{
	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	hwpt->domain = domain;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	domain->owner_data = hwpt;
	return 0;
}

static struct iommufd_hwpt_paging *paging_alloc(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
						struct iommufd_device *idev, u32 flags,
						const struct iommu_user_data *data)
{
	struct iommufd_hwpt_paging *hwpt;
	struct iommu_domain *domain;
	int err = check_paging_flags(flags);

	if (err)
		return ERR_PTR(err);
	hwpt = iommufd_object_alloc_size(ictx, sizeof(*hwpt), IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt))
		return hwpt;
	hwpt->ioas = ioas;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	iommufd_object_hold(&ioas->obj);
	domain = iommu_paging_domain_alloc_flags(idev->dev, flags, data);
	err = take_domain(&hwpt->common, domain, flags);
	if (!err)
		return hwpt;
	iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
	return ERR_PTR(err);
}

struct iommufd_hwpt_paging *iommufd_hwpt_paging_alloc_auto(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
							   struct iommufd_device *idev)
{
	struct iommufd_hwpt_paging *hwpt = paging_alloc(ictx, ioas, idev, 0, NULL);

	if (!IS_ERR(hwpt))
		hwpt->auto_domain = true;
	return hwpt;
}

static struct iommufd_hw_pagetable *alloc_on_ioas(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
						  struct iommufd_device *idev, u32 flags,
						  const struct iommu_user_data *data)
{
	struct iommufd_hwpt_paging *hwpt;
	int err;

	mutex_lock(&ioas->mutex);
	hwpt = paging_alloc(ictx, ioas, idev, flags, data->len ? data : NULL);
	err = IS_ERR(hwpt) ? 0 : iommufd_hwpt_paging_fill(hwpt);
	mutex_unlock(&ioas->mutex);
	if (IS_ERR(hwpt))
		return ERR_PTR(PTR_ERR(hwpt));
	if (!err)
		return &hwpt->common;
	iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
	return ERR_PTR(err);
}

static int check_nested(u32 flags, const struct iommu_user_data *data)
{
	if (flags & ~NESTED_FLAGS)
		return fail(-EOPNOTSUPP, "flags 0x%x: a nested page table knows 0x%x", flags, NESTED_FLAGS);
	if (!data->len)
		return fail(-EOPNOTSUPP, "a nested page table needs data that says where the guest has it");
	return 0;
}

static struct iommufd_hwpt_nested *nested_alloc(struct iommufd_ctx *ictx, u32 flags,
						const struct iommu_user_data *data)
{
	int err = check_nested(flags, data);

	if (err)
		return ERR_PTR(err);
	return iommufd_object_alloc_size(ictx, sizeof(struct iommufd_hwpt_nested), IOMMUFD_OBJ_HWPT_NESTED);
}

static struct iommufd_hw_pagetable *nested_finish(struct iommufd_ctx *ictx, struct iommufd_hwpt_nested *nested,
						  struct iommu_domain *domain, u32 flags)
{
	int err = take_domain(&nested->common, domain, flags);

	if (!err)
		return &nested->common;
	iommufd_object_abort_and_destroy(ictx, &nested->common.obj);
	return ERR_PTR(err);
}

static struct iommufd_hw_pagetable *alloc_on_parent(struct iommufd_ctx *ictx, struct iommufd_hwpt_paging *parent,
						    struct iommufd_device *idev, u32 flags,
						    const struct iommu_user_data *data)
{
	struct iommufd_hwpt_nested *nested;
	struct iommu_domain *domain;
	int err = check_nested(flags, data) ?: iommu_nested_check(idev->dev);

	if (err)
		return ERR_PTR(err);
	if (parent->auto_domain || !parent->nest_parent)
		return ERR_PTR(fail(-EINVAL, "page table %u was not allocated with IOMMU_HWPT_ALLOC_NEST_PARENT",
				    parent->common.obj.id));
	nested = nested_alloc(ictx, flags, data);
	if (IS_ERR(nested))
		return ERR_PTR(PTR_ERR(nested));
	iommufd_object_hold(&parent->common.obj);
	nested->parent = parent;
	domain = iommu_nested_domain_alloc(idev->dev, parent->common.domain, flags & ~IOMMU_HWPT_FAULT_ID_VALID, data);
	return nested_finish(ictx, nested, domain, flags);
}

static struct iommufd_hw_pagetable *alloc_on_viommu(struct iommufd_ctx *ictx, struct iommufd_viommu *viommu,
						    u32 flags, const struct iommu_user_data *data)
{
	const struct iommu_viommu_ops *ops = viommu->core.ops;
	struct iommufd_hwpt_nested *nested = nested_alloc(ictx, flags, data);
	struct iommu_domain *domain;

	if (IS_ERR(nested))
		return ERR_PTR(PTR_ERR(nested));
	iommufd_object_hold(&viommu->obj);
	nested->viommu = viommu;
	if (ops->alloc_domain_nested)
		domain = ops->alloc_domain_nested(&viommu->core, flags & ~IOMMU_HWPT_FAULT_ID_VALID, data);
	else
		domain = ERR_PTR(fail(-EOPNOTSUPP, "this type of vIOMMU has no nested page tables"));
	return nested_finish(ictx, nested, domain, flags);
}

static struct iommufd_hw_pagetable *alloc_on(struct iommufd_ctx *ictx, struct iommufd_object *pt,
					     struct iommufd_device *idev, const struct iommu_hwpt_alloc *cmd)
{
	const struct iommu_user_data data = {
		.type = cmd->data_type,
		.uptr = (const void *)(uintptr_t)cmd->data_uptr,
		.len = cmd->data_len,
	};

	switch (pt->type) {
	case IOMMUFD_OBJ_IOAS:
		return alloc_on_ioas(ictx, to_ioas(pt), idev, cmd->flags, &data);
	case IOMMUFD_OBJ_HWPT_PAGING:
		return alloc_on_parent(ictx, to_hwpt_paging(to_hwpt(pt)), idev, cmd->flags, &data);
	case IOMMUFD_OBJ_VIOMMU:
		return alloc_on_viommu(ictx, to_viommu(pt), cmd->flags, &data);
	default:
		return ERR_PTR(fail(-EINVAL, "object %u is %s: a page table is made from an IOAS, a parent page table or "
				    "a vIOMMU", pt->id, iommufd_object_name(pt->type)));
	}
}

static int take_fault_queue(struct iommufd_ctx *ictx, struct iommufd_hw_pagetable *hwpt, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_FAULT);

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	iommufd_object_hold(obj);
	hwpt->fault = to_fault(obj);
	hwpt->domain->iopf_handler = iommufd_fault_handler;
	iommufd_put_object(ictx, obj);
	return 0;
}

static int check_alloc(const struct iommu_hwpt_alloc *cmd)
{
	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is 0x%x, not 0", cmd->__reserved);
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != (cmd->data_len == 0))
		return fail(-EINVAL, "data_type is %u and data_len %u: there is data with a type, or neither",
			    cmd->data_type, cmd->data_len);
	return 0;
}

int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hw_pagetable *hwpt = NULL;
	struct iommufd_object *pt;
	struct iommufd_device *idev;
	int err = check_alloc(cmd);

	if (err)
		return err;
	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	pt = iommufd_get_object(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt)) {
		err = fail(-EINVAL, "pt_id %u is no object", cmd->pt_id);
	} else {
		hwpt = alloc_on(ucmd->ictx, pt, idev, cmd);
		err = IS_ERR(hwpt) ? (int)PTR_ERR(hwpt) : 0;
		iommufd_put_object(ucmd->ictx, pt);
	}
	iommufd_put_object(ucmd->ictx, &idev->obj);
	if (err)
		return err;
	ucmd->new_obj = &hwpt->obj;
	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		err = take_fault_queue(ucmd->ictx, hwpt, cmd->fault_id);
	cmd->out_hwpt_id = hwpt->obj.id;
	return err ? err : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- dirty tracking ---- */

/* All of what the domain translates, in halves: its length may be 2^64. */
static int forget_dirty(struct iommu_domain *domain)
{
	u64 half = (domain->aperture_last - domain->aperture_start) / 2 + 1;
	u64 second = domain->aperture_start + half;
	int err = iommu_domain_read_and_clear_dirty(domain, domain->aperture_start, half, 0, NULL);

	if (!err && second > domain->aperture_start && second <= domain->aperture_last)
		err = iommu_domain_read_and_clear_dirty(domain, second, domain->aperture_last - second + 1, 0, NULL);
	return err;
}

static int set_dirty_tracking(struct iommufd_hwpt_paging *hwpt, bool on)
{
	struct iommu_domain *domain = hwpt->common.domain;
	int err = 0;

	if (!domain->dirty_ops)
		return fail(-EOPNOTSUPP, "page table %u was not allocated with IOMMU_HWPT_ALLOC_DIRTY_TRACKING",
			    hwpt->common.obj.id);
	/* What was noted before begins to count now: it would be reported as of this run. */
	if (on)
		err = forget_dirty(domain);
	return err ? err : iommu_domain_set_dirty_tracking(domain, on);
}

int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	const struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int err;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return fail(-EOPNOTSUPP, "flags 0x%x: only IOMMU_HWPT_DIRTY_TRACKING_ENABLE is known", cmd->flags);
	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	err = set_dirty_tracking(hwpt, cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	return err;
}

/* A window of the program's bitmap is filled by the domain's walk. */
struct dirty_walk {
	struct iommu_dirty_sink sink;
	struct iova_bitmap bitmap;
};

static void record_dirty(struct iommu_dirty_sink *sink, u64 iova, u64 len_bytes)
{
	struct dirty_walk *walk = container_of(sink, struct dirty_walk, sink);

	iova_bitmap_set(&walk->bitmap, iova, iova + len_bytes - 1);
}

/* Where the mappings end that follow one another from @at on, or @last.  False: nothing is mapped there. */
static bool mapped_to(struct iommufd_ioas *ioas, u64 at, u64 last, u64 *ret_last)
{
	struct iopt_area *area;
	bool mapped = false;

	mutex_lock(&ioas->iopt.lock);
	area = iopt_area_first(&ioas->iopt, at, last);
	while (area && area->iova <= at) {
		mapped = true;
		*ret_last = min(area->last, last);
		if (area->last >= last)
			break;
		at = area->last + 1;
		area = iopt_next_area(area);
	}
	mutex_unlock(&ioas->iopt.lock);
	return mapped;
}

/* Of what is mapped from the bitmap's first bit on without a gap; Linux looks no further (7.3 was asked). */
static int walk_dirty(struct iommufd_hwpt_paging *hwpt, struct dirty_walk *walk, unsigned flags)
{
	u64 at = walk->bitmap.iova, last = walk->bitmap.last, part_last;
	int err = 0;

	while (!err) {
		if (!mapped_to(hwpt->ioas, at, iova_bitmap_seek(&walk->bitmap, at), &part_last)) {
			explain_note("nothing is mapped at iova 0x%llx: from there on the bitmap is left as it is", (ull)at);
			break;
		}
		err = iommu_domain_read_and_clear_dirty(hwpt->common.domain, at, part_last - at + 1, flags, &walk->sink);
		iova_bitmap_flush(&walk->bitmap);
		if (part_last == last)
			break;
		at = part_last + 1;
	}
	return err;
}

static int check_dirty_range(const struct iommu_hwpt_get_dirty_bitmap *cmd, u64 alignment)
{
	u64 end = cmd->iova + cmd->length /* may be 0 */, last;

	if (!cmd->length)
		return fail(-EINVAL, "length is 0");
	if (range_overflows((u64)cmd->iova, (u64)cmd->length, &last))
		return fail(-EOVERFLOW, "iova 0x%llx plus length 0x%llx wraps around", (ull)cmd->iova, (ull)cmd->length);
	if ((cmd->iova | end) & (alignment - 1))
		return fail(-EINVAL, "iova 0x%llx or its end 0x%llx is no multiple of the IOAS's alignment, 0x%llx",
			    (ull)cmd->iova, (ull)end, (ull)alignment);
	if ((cmd->iova | end) & (cmd->page_size - 1))
		return fail(-EINVAL, "iova 0x%llx or its end 0x%llx is no multiple of page_size 0x%llx", (ull)cmd->iova,
			    (ull)end, (ull)cmd->page_size);
	return 0;
}

static int read_dirty(struct iommufd_hwpt_paging *hwpt, const struct iommu_hwpt_get_dirty_bitmap *cmd)
{
	unsigned flags = cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR ? IOMMU_DIRTY_NO_CLEAR : 0;
	struct dirty_walk walk = { .sink = { .record = record_dirty } };
	int err;

	mutex_lock(&hwpt->ioas->iopt.lock);
	err = check_dirty_range(cmd, hwpt->ioas->iopt.iova_alignment);
	mutex_unlock(&hwpt->ioas->iopt.lock);
	if (err)
		return err;
	if (!hwpt->common.domain->dirty_ops)
		return fail(-EOPNOTSUPP, "page table %u was not allocated with IOMMU_HWPT_ALLOC_DIRTY_TRACKING",
			    hwpt->common.obj.id);
	if (kmalloc_fails(sizeof(walk)))
		return fail(-ENOMEM, "no memory for a window of the bitmap");
	err = iova_bitmap_init(&walk.bitmap, cmd->iova, cmd->length, cmd->page_size, cmd->data);
	return err ? err : walk_dirty(hwpt, &walk, flags);
}

int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	const struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int err;

	if ((cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) || cmd->__reserved)
		return fail(-EOPNOTSUPP, "flags 0x%x, __reserved 0x%x: only IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR is known",
			    cmd->flags, cmd->__reserved);
	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	err = read_dirty(hwpt, cmd);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	return err;
}

/* ---- invalidation ---- */

#define INVALIDATE_ENTRY_MAX 4096u
#define INVALIDATE_NUM_MAX (1u << 19)

static int check_invalidate(const struct iommu_hwpt_invalidate *cmd)
{
	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is 0x%x, not 0", cmd->__reserved);
	if (!cmd->entry_num)
		return 0;
	if (!cmd->data_uptr || !cmd->entry_len)
		return fail(-EINVAL, "%u entries of %u bytes at 0x%llx: there is nothing to read", cmd->entry_num,
			    cmd->entry_len, (ull)cmd->data_uptr);
	if (cmd->entry_len > INVALIDATE_ENTRY_MAX || cmd->entry_num > INVALIDATE_NUM_MAX)
		return fail(-EINVAL, "%u entries of %u bytes: at most %u of %u bytes are taken at once", cmd->entry_num,
			    cmd->entry_len, INVALIDATE_NUM_MAX, INVALIDATE_ENTRY_MAX);
	return 0;
}

static int invalidate(struct iommufd_object *obj, struct iommu_user_data_array *array)
{
	struct iommufd_viommu *viommu;

	if (obj->type == IOMMUFD_OBJ_HWPT_NESTED)
		return iommu_domain_cache_invalidate_user(to_hwpt(obj)->domain, array);
	if (obj->type != IOMMUFD_OBJ_VIOMMU)
		return fail(-EINVAL, "object %u is %s: a nested page table or a vIOMMU is invalidated by its user", obj->id,
			    iommufd_object_name(obj->type));
	viommu = to_viommu(obj);
	if (!viommu->core.ops->cache_invalidate)
		return fail(-EOPNOTSUPP, "this type of vIOMMU has nothing to invalidate");
	return viommu->core.ops->cache_invalidate(&viommu->core, array);
}

int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	struct iommu_user_data_array array = {
		.type = cmd->data_type,
		.uptr = (const void *)(uintptr_t)cmd->data_uptr,
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
	};
	int err = check_invalidate(cmd), wrote;
	u32 done = 0;

	if (!err) {
		struct iommufd_object *obj = iommufd_get_object(ucmd->ictx, cmd->hwpt_id, IOMMUFD_OBJ_ANY);

		err = IS_ERR(obj) ? (int)PTR_ERR(obj) : 0;
		if (!err) {
			bool can = obj->type == IOMMUFD_OBJ_HWPT_NESTED || obj->type == IOMMUFD_OBJ_VIOMMU;

			err = invalidate(obj, &array);
			done = can ? array.entry_num : 0;
			iommufd_put_object(ucmd->ictx, obj);
		}
	}
	/* How many were done is told also when one was wrong. */
	cmd->entry_num = done;
	wrote = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	return err ? err : wrote;
}
