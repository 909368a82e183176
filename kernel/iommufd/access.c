/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access.c - drivers that move bytes themselves: they pin, read and write what is mapped in an IOAS.
 *
 * While an access is taken from one IOAS to another, or to none, it must not pin any more but has to be able
 * to unpin: so it knows two, the one it is attached to and the one that its pins are in.  They differ only
 * while its unmap callback is called to have everything unpinned.
 */
#include <stdlib.h>

#include "kernel/iommufd/iommufd_private.h"
#include "kernel/iommufd/selftest.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

typedef unsigned long long ull;

struct iommufd_access {
	struct iommufd_object obj;
	struct iopt_access access;		/* as the IOAS knows it */
	struct iommufd_ctx *ictx;		/* immutable; one reference */
	const struct iommufd_access_ops *ops;	/* immutable */
	void *data;				/* immutable */
	struct mutex change_lock;		/* LOCK_IOMMUFD_ACCESS_CHANGE: one attach, replace, detach at a time */
	bool internal;				/* iommufd's own, without a reference to the context; immutable */
	struct mutex lock;			/* LOCK_IOMMUFD_ACCESS: what follows */
	struct iommufd_ioas *ioas;		/* we are one of its users; NULL none */
	struct iommufd_ioas *ioas_unpin;	/* what pins are in */
};

static void access_unmap(struct iopt_access *iopt_access, u64 iova, u64 len_bytes)
{
	struct iommufd_access *access = container_of(iopt_access, struct iommufd_access, access);

	access->ops->unmap(access->data, iova, len_bytes);
}

/* Somebody in the kernel uses it: a program cannot destroy it. */
static void finalize(struct iommufd_access *access)
{
	mutex_init(&access->change_lock, LOCK_IOMMUFD_ACCESS_CHANGE);
	mutex_init(&access->lock, LOCK_IOMMUFD_ACCESS);
	iommufd_object_hold(&access->obj);
	iommufd_object_finalize(access->ictx, &access->obj);
}

struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ictx, const struct iommufd_access_ops *ops,
					     void *data, u32 *ret_id)
{
	struct iommufd_access *access = iommufd_object_alloc(ictx, access, IOMMUFD_OBJ_ACCESS);

	if (IS_ERR(access))
		return access;
	access->ictx = iommufd_ctx_get(ictx);
	access->ops = ops;
	access->data = data;
	access->access.iova_alignment = ops->needs_pin_pages ? PAGE_SIZE : 1;
	access->access.unmap = ops->needs_pin_pages ? access_unmap : NULL;
	finalize(access);
	*ret_id = access->obj.id;
	return access;
}

void iommufd_access_object_destroy(struct iommufd_object *obj)
{
	struct iommufd_access *access = container_of(obj, struct iommufd_access, obj);

	mutex_destroy(&access->lock);
	mutex_destroy(&access->change_lock);
	if (!access->internal)
		iommufd_ctx_put(access->ictx);
}

void iommufd_access_destroy(struct iommufd_access *access)
{
	iommufd_access_detach(access);
	iommufd_object_drop(&access->obj);
	iommufd_object_destroy_user(access->ictx, &access->obj);
}

/* ---- to an IOAS and away from it; change_lock held ---- */

static struct iommufd_ioas *current_ioas(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas;

	mutex_lock(&access->lock);
	ioas = access->ioas;
	mutex_unlock(&access->lock);
	return ioas;
}

static void set_ioas(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	mutex_lock(&access->lock);
	access->ioas = ioas;
	access->ioas_unpin = ioas;
	mutex_unlock(&access->lock);
}

/* No new pins; those that are there go by way of the driver. */
static void leave(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	mutex_lock(&access->lock);
	access->ioas = NULL;
	mutex_unlock(&access->lock);
	if (access->access.unmap)
		access->access.unmap(&access->access, 0, ~0ull);
	set_ioas(access, NULL);
	iopt_remove_access(&ioas->iopt, &access->access);
	iommufd_object_drop(&ioas->obj);
}

static int enter(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	int err = iopt_add_access(&ioas->iopt, &access->access);

	if (err)
		return err;
	iommufd_object_hold(&ioas->obj);
	set_ioas(access, ioas);
	return 0;
}

struct iommufd_access *iommufd_access_create_internal(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas)
{
	struct iommufd_access *access = iommufd_object_alloc(ictx, access, IOMMUFD_OBJ_ACCESS);
	int err;

	if (IS_ERR(access))
		return access;
	access->ictx = ictx;
	access->internal = true;
	access->access.iova_alignment = PAGE_SIZE;
	finalize(access);
	mutex_lock(&access->change_lock);
	err = enter(access, ioas);
	mutex_unlock(&access->change_lock);
	if (!err)
		return access;
	iommufd_access_destroy(access);
	return ERR_PTR(err);
}

/* What the access would need of the new IOAS is asked before the old one is left. */
static int move(struct iommufd_access *access, struct iommufd_ioas *old, struct iommufd_ioas *ioas)
{
	struct iopt_access probe = { .iova_alignment = access->access.iova_alignment, .unmap = access->access.unmap };
	int err;

	if (old == ioas)
		return 0;
	err = iopt_add_access(&ioas->iopt, &probe);
	if (err)
		return err;
	leave(access, old);
	err = enter(access, ioas);
	iopt_remove_access(&ioas->iopt, &probe);
	return err;
}

static int attach_or_replace(struct iommufd_access *access, u32 ioas_id, bool replace)
{
	struct iommufd_ioas *ioas, *old;
	int err;

	mutex_lock(&access->change_lock);
	old = current_ioas(access);
	if (replace && !old)
		err = fail(-ENOENT, "the access is attached to no IOAS: there is nothing to replace");
	else if (!replace && old)
		err = fail(-EINVAL, "the access is attached to IOAS %u already", old->obj.id);
	else
		err = 0;
	ioas = err ? NULL : iommufd_get_ioas(access->ictx, ioas_id);
	if (!err && IS_ERR(ioas))
		err = (int)PTR_ERR(ioas);
	if (!err) {
		err = replace ? move(access, old, ioas) : enter(access, ioas);
		iommufd_put_object(access->ictx, &ioas->obj);
	}
	mutex_unlock(&access->change_lock);
	return err;
}

int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	return attach_or_replace(access, ioas_id, false);
}

int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	return attach_or_replace(access, ioas_id, true);
}

void iommufd_access_detach(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas;

	mutex_lock(&access->change_lock);
	ioas = current_ioas(access);
	if (ioas)
		leave(access, ioas);
	mutex_unlock(&access->change_lock);
}

/* ---- bytes ---- */

static int check_access(const struct iommufd_access *access)
{
	return access->ioas ? 0 : fail(-ENOENT, "the access is attached to no IOAS");
}

int iommufd_access_pin_pages(struct iommufd_access *access, u64 iova, u64 len_bytes, phys_addr_t *ret_phys,
			     unsigned flags)
{
	int err;

	if (!access->ops->needs_pin_pages)
		return fail(-EINVAL, "the access was created without the right to pin");
	if (!len_bytes)
		return fail(-EINVAL, "length is 0: there is nothing to pin");
	if (iommufd_should_fail())
		return -EINVAL;
	mutex_lock(&access->lock);
	err = check_access(access);
	if (!err)
		err = iopt_pin_pages(&access->ioas->iopt, iova, len_bytes, ret_phys, flags & IOMMUFD_ACCESS_RW_WRITE,
				     false);
	mutex_unlock(&access->lock);
	return err;
}

void iommufd_access_unpin_pages(struct iommufd_access *access, u64 iova, u64 len_bytes)
{
	mutex_lock(&access->lock);
	assert(access->ioas_unpin);
	iopt_unpin_pages(&access->ioas_unpin->iopt, iova, len_bytes, false);
	mutex_unlock(&access->lock);
}

/* Slowly: page by page. */
static int rw_pages(struct iommufd_access *access, u64 iova, u8 *data, size_t len_bytes, bool write)
{
	struct io_pagetable *iopt = &access->ioas->iopt;
	int err = 0;

	for (size_t done = 0, n; done < len_bytes && !err; done += n) {
		u64 at = iova + done;

		n = min(len_bytes - done, (size_t)(PAGE_SIZE - (at & ~PAGE_MASK)));
		err = iopt_rw(iopt, at, data + done, n, write);
	}
	return err;
}

int iommufd_access_rw(struct iommufd_access *access, u64 iova, void *data, size_t len_bytes, unsigned flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	u64 last;
	int err;

	if (!len_bytes)
		return fail(-EINVAL, "length is 0: there is nothing to copy");
	if (range_overflows(iova, len_bytes, &last))
		return fail(-EOVERFLOW, "iova 0x%llx plus length 0x%llx wraps around", (ull)iova, (ull)len_bytes);
	mutex_lock(&access->lock);
	err = check_access(access);
	if (!err)
		err = flags & IOMMUFD_ACCESS_RW_SLOW_PATH ? rw_pages(access, iova, data, len_bytes, write) :
							    iopt_rw(&access->ioas->iopt, iova, data, len_bytes, write);
	mutex_unlock(&access->lock);
	return err;
}
