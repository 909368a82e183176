/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - /dev/iommu: a table of objects, and one table of what can be asked.
 *
 * Each open of the node is a context of its own.  All ioctls come the same way: the program's struct begins
 * with its size, which may be that of an older or newer header than ours.  What it lacks is taken as 0,
 * what it has too much must be 0.  The table says what each call needs at least and what we know of it.
 *
 * Numbers below 0x80 are those of a VFIO container; see vfio_compat.c.
 *
 * Always: a slot of the table is NULL (free), OBJECT_RESERVED (a number taken, nothing to be found there:
 * an object under construction or a tombstone), or an object.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "kernel/base/device.h"
#include "kernel/fs/chrdev.h"
#include "kernel/fs/fault_files.h"
#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/iommufd/eventq.h"
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/iommufd/iommufd_test.h"
#include "kernel/iommufd/selftest.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"

#define IOMMUFD_MAJOR 10 /* misc */
#define IOMMUFD_MINOR 258
#define FIRST_SLOTS 16u
#define OBJECT_RESERVED ((struct iommufd_object *)1)

typedef unsigned long long ull;

/* What there is to do about an object, by type. */
static const struct iommufd_object_ops object_ops[IOMMUFD_OBJ_MAX] = {
	[IOMMUFD_OBJ_DEVICE] = { .destroy = iommufd_device_destroy },
	[IOMMUFD_OBJ_HWPT_PAGING] = { .destroy = iommufd_hwpt_paging_destroy },
	[IOMMUFD_OBJ_HWPT_NESTED] = { .destroy = iommufd_hwpt_nested_destroy },
	[IOMMUFD_OBJ_IOAS] = { .destroy = iommufd_ioas_destroy },
	[IOMMUFD_OBJ_ACCESS] = { .destroy = iommufd_access_object_destroy },
	[IOMMUFD_OBJ_FAULT] = { .destroy = iommufd_fault_destroy },
	[IOMMUFD_OBJ_VIOMMU] = { .destroy = iommufd_viommu_destroy },
	[IOMMUFD_OBJ_VDEVICE] = { .pre_destroy = iommufd_vdevice_pre_destroy, .destroy = iommufd_vdevice_destroy },
	[IOMMUFD_OBJ_VEVENTQ] = { .destroy = iommufd_veventq_destroy },
	[IOMMUFD_OBJ_HW_QUEUE] = { .destroy = iommufd_hw_queue_destroy },
	[IOMMUFD_OBJ_SELFTEST] = { .destroy = iommufd_selftest_destroy },
};

const char *iommufd_object_name(enum iommufd_object_type type)
{
	static const char *const names[IOMMUFD_OBJ_MAX] = {
		[IOMMUFD_OBJ_NONE] = "an object", [IOMMUFD_OBJ_DEVICE] = "a device",
		[IOMMUFD_OBJ_HWPT_PAGING] = "a paging HWPT", [IOMMUFD_OBJ_HWPT_NESTED] = "a nested HWPT",
		[IOMMUFD_OBJ_IOAS] = "an IOAS", [IOMMUFD_OBJ_ACCESS] = "an access",
		[IOMMUFD_OBJ_FAULT] = "a fault queue", [IOMMUFD_OBJ_VIOMMU] = "a vIOMMU",
		[IOMMUFD_OBJ_VDEVICE] = "a vDEVICE", [IOMMUFD_OBJ_VEVENTQ] = "a vEVENTQ",
		[IOMMUFD_OBJ_HW_QUEUE] = "a hardware queue", [IOMMUFD_OBJ_SELFTEST] = "a mock device",
	};

	return names[type];
}

/* ---- the table of objects ---- */

static struct iommufd_object *slot_locked(const struct iommufd_ctx *ictx, u32 id)
{
	return id && id <= ictx->nr_slots ? ictx->slots[id - 1] : NULL;
}

static int grow_locked(struct iommufd_ctx *ictx)
{
	u32 nr = ictx->nr_slots ? 2 * ictx->nr_slots : FIRST_SLOTS;
	struct iommufd_object **more = krealloc_array(ictx->slots, nr, sizeof(*more));

	if (!more)
		return fail(-ENOMEM, "no memory for a table of %u objects", nr);
	memset(more + ictx->nr_slots, 0, (nr - ictx->nr_slots) * sizeof(*more));
	ictx->slots = more;
	ictx->nr_slots = nr;
	return 0;
}

/* Take the lowest free number. */
static int reserve_locked(struct iommufd_ctx *ictx, u32 *ret_id)
{
	u32 at = ictx->lowest_free;
	int ret;

	if (ictx->nr_objects >= IOMMUFD_MAX_OBJECTS)
		return fail(-ENOMEM, "the iommufd has %u objects: that is the most there may be",
			    ictx->nr_objects);
	while (at < ictx->nr_slots && ictx->slots[at])
		at++;
	ret = at == ictx->nr_slots ? grow_locked(ictx) : 0;
	if (ret)
		return ret;
	ictx->slots[at] = OBJECT_RESERVED;
	ictx->lowest_free = at + 1;
	ictx->nr_objects++;
	*ret_id = at + 1;
	return 0;
}

static void set_slot_locked(struct iommufd_ctx *ictx, u32 id, struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects_lock);
	if (ictx->vfio_ioas && ictx->slots[id - 1] == &ictx->vfio_ioas->obj)
		ictx->vfio_ioas = NULL;
	ictx->slots[id - 1] = obj;
	if (obj)
		return;
	ictx->lowest_free = min(ictx->lowest_free, id - 1);
	ictx->nr_objects--;
}

void *iommufd_object_alloc_size(struct iommufd_ctx *ictx, size_t size, enum iommufd_object_type type)
{
	struct iommufd_object *obj = kzalloc(size);
	int ret;

	if (!obj)
		return ERR_PTR(fail(-ENOMEM, "no memory for %s", iommufd_object_name(type)));
	obj->type = type;
	mutex_lock(&ictx->objects_lock);
	ret = reserve_locked(ictx, &obj->id);
	mutex_unlock(&ictx->objects_lock);
	if (!ret)
		return obj;
	kfree(obj);
	return ERR_PTR(ret);
}

void iommufd_object_finalize_locked(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	assert(ictx->slots[obj->id - 1] == OBJECT_RESERVED);
	set_slot_locked(ictx, obj->id, obj);
}

void iommufd_object_finalize(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	mutex_lock(&ictx->objects_lock);
	iommufd_object_finalize_locked(ictx, obj);
	mutex_unlock(&ictx->objects_lock);
}

void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	mutex_lock(&ictx->objects_lock);
	assert(ictx->slots[obj->id - 1] == OBJECT_RESERVED);
	set_slot_locked(ictx, obj->id, NULL);
	mutex_unlock(&ictx->objects_lock);
	kfree(obj);
}

void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	const struct iommufd_object_ops *ops = &object_ops[obj->type];

	if (ops->abort)
		ops->abort(obj);
	else
		ops->destroy(obj);
	iommufd_object_abort(ictx, obj);
}

struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id, enum iommufd_object_type type)
{
	enum iommufd_object_type is = IOMMUFD_OBJ_NONE;
	struct iommufd_object *obj;
	bool found;

	if (iommufd_should_fail())
		return ERR_PTR(-ENOENT);
	mutex_lock(&ictx->objects_lock);
	obj = slot_locked(ictx, id);
	found = obj && obj != OBJECT_RESERVED;
	if (found)
		is = obj->type;
	found = found && (type == IOMMUFD_OBJ_ANY || type == is);
	if (found)
		obj->shortterm++;
	mutex_unlock(&ictx->objects_lock);
	if (likely(found))
		return obj;
	if (is != IOMMUFD_OBJ_NONE)
		return ERR_PTR(fail(-ENOENT, "object %u is %s, not %s", id, iommufd_object_name(is),
				    iommufd_object_name(type)));
	return ERR_PTR(fail(-ENOENT, "there is no object %u", id));
}

struct iommufd_object *iommufd_next_object(struct iommufd_ctx *ictx, u32 id, enum iommufd_object_type type)
{
	struct iommufd_object *obj = NULL;

	mutex_lock(&ictx->objects_lock);
	for (; id < ictx->nr_slots && !obj; id++) {
		obj = ictx->slots[id];
		if (obj == OBJECT_RESERVED || (obj && obj->type != type))
			obj = NULL;
	}
	if (obj)
		obj->shortterm++;
	mutex_unlock(&ictx->objects_lock);
	return obj;
}

void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	bool wake;

	mutex_lock(&ictx->objects_lock);
	assert(obj->shortterm > 0);
	wake = --obj->shortterm == 0 && ictx->waiters;
	if (unlikely(wake))
		atomic_fetch_add(&ictx->shortterm_seq, 1);
	mutex_unlock(&ictx->objects_lock);
	if (unlikely(wake))
		sys_futex((u32 *)&ictx->shortterm_seq, FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
}

/* ---- objects go ---- */

/* Something changed; the lock is given up meanwhile. */
static void wait_shortterm_locked(struct iommufd_ctx *ictx)
{
	u32 seen = atomic_load(&ictx->shortterm_seq);

	ictx->waiters++;
	mutex_unlock(&ictx->objects_lock);
	sys_futex((u32 *)&ictx->shortterm_seq, FUTEX_WAIT_PRIVATE, seen, NULL);
	mutex_lock(&ictx->objects_lock);
	ictx->waiters--;
}

static void destroy_object(struct iommufd_object *obj)
{
	object_ops[obj->type].destroy(obj);
	kfree(obj);
}

/* The object at @id, once no ioctl looks at it; NULL it went meanwhile. */
static struct iommufd_object *idle_object_locked(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;

	for (;;) {
		obj = slot_locked(ictx, id);
		if (!obj || obj == OBJECT_RESERVED)
			return NULL;
		/* In use for longer: the caller will refuse, there is nothing to wait for. */
		if (!obj->shortterm || atomic_load_explicit(&obj->users, memory_order_acquire))
			return obj;
		wait_shortterm_locked(ictx);
	}
}

static void pre_destroy(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_ANY);

	if (IS_ERR(obj))
		return;
	if (object_ops[obj->type].pre_destroy)
		object_ops[obj->type].pre_destroy(obj);
	iommufd_put_object(ictx, obj);
}

static int destroy_by_id(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;
	unsigned users = 0;

	pre_destroy(ictx, id);
	mutex_lock(&ictx->objects_lock);
	obj = idle_object_locked(ictx, id);
	if (obj)
		users = atomic_load_explicit(&obj->users, memory_order_acquire);
	if (obj && !users)
		set_slot_locked(ictx, id, NULL);
	mutex_unlock(&ictx->objects_lock);
	if (!obj)
		return fail(-ENOENT, "there is no object %u to destroy", id);
	if (users)
		return fail(-EBUSY, "object %u has %u users: what is attached to it or made from it goes first", id,
			    users);
	destroy_object(obj);
	return 0;
}

void iommufd_object_destroy_user(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	if (object_ops[obj->type].pre_destroy)
		object_ops[obj->type].pre_destroy(obj);
	mutex_lock(&ictx->objects_lock);
	while (obj->shortterm)
		wait_shortterm_locked(ictx);
	assert(!atomic_load_explicit(&obj->users, memory_order_acquire));
	set_slot_locked(ictx, obj->id, NULL);
	mutex_unlock(&ictx->objects_lock);
	destroy_object(obj);
}

void iommufd_object_tombstone_user(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	mutex_lock(&ictx->objects_lock);
	/* The tombstone first: a program that is about to destroy it too finds nothing any more. */
	set_slot_locked(ictx, obj->id, OBJECT_RESERVED);
	obj->shortterm--;
	if (ictx->waiters) { /* such a program waits for that number to become idle: there is nothing to wait for */
		atomic_fetch_add(&ictx->shortterm_seq, 1);
		sys_futex((u32 *)&ictx->shortterm_seq, FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
	}
	while (obj->shortterm)
		wait_shortterm_locked(ictx);
	assert(!atomic_load_explicit(&obj->users, memory_order_acquire));
	mutex_unlock(&ictx->objects_lock);
	destroy_object(obj);
}

void iommufd_object_drop_and_try_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	bool last;

	mutex_lock(&ictx->objects_lock);
	last = atomic_fetch_sub_explicit(&obj->users, 1, memory_order_acq_rel) == 1 && !obj->shortterm;
	if (last)
		set_slot_locked(ictx, obj->id, NULL);
	mutex_unlock(&ictx->objects_lock);
	if (last)
		destroy_object(obj);
}

static int destroy_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_destroy *cmd = ucmd->cmd;

	return destroy_by_id(ucmd->ictx, cmd->id);
}

/* One that nobody uses, out of the table; NULL if there is none in [*at, end). */
static struct iommufd_object *take_unused(struct iommufd_ctx *ictx, u32 *at)
{
	struct iommufd_object *obj = NULL;

	mutex_lock(&ictx->objects_lock);
	for (; *at < ictx->nr_slots && !obj; ++*at) {
		obj = ictx->slots[*at];
		if (obj == OBJECT_RESERVED) /* a tombstone: nothing is under construction any more */
			set_slot_locked(ictx, *at + 1, NULL);
		if (obj == OBJECT_RESERVED || (obj && atomic_load(&obj->users)))
			obj = NULL;
		if (obj)
			set_slot_locked(ictx, *at + 1, NULL);
	}
	mutex_unlock(&ictx->objects_lock);
	return obj;
}

/* The context is closed.  Objects hold others, so the first ones to go are those that nobody holds. */
static void destroy_all(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	bool progress;
	u32 at;

	do {
		progress = false;
		at = 0;
		while ((obj = take_unused(ictx, &at))) {
			if (object_ops[obj->type].pre_destroy)
				object_ops[obj->type].pre_destroy(obj);
			destroy_object(obj);
			progress = true;
		}
	} while (progress);
	assert(!ictx->nr_objects);
}

/* ---- memory for mmap() ---- */

struct iommufd_mmap {
	TAILQ_ENTRY(iommufd_mmap) next;	/* objects_lock */
	struct iommufd_ctx *ictx;	/* all immutable */
	struct iommufd_object *owner;
	u64 offset, length;
	int fd;
	u64 fd_off;
};

int iommufd_mmap_register(struct iommufd_ctx *ictx, struct iommufd_object *owner, int fd, u64 fd_off,
			  u64 len_bytes, u64 *ret_offset)
{
	struct iommufd_mmap *m, *next;
	u64 offset = PAGE_SIZE; /* 0 is nobody's: so numbers Linux too */

	if (!len_bytes || !IS_ALIGNED(fd_off | len_bytes, PAGE_SIZE))
		return fail(-EINVAL, "%#llx bytes at %#llx are not whole pages", (ull)len_bytes, (ull)fd_off);
	m = kzalloc(sizeof(*m));
	if (!m)
		return fail(-ENOMEM, "no memory to offer pages for mmap()");
	mutex_lock(&ictx->objects_lock);
	TAILQ_FOREACH(next, &ictx->mmaps, next) {
		if (next->offset - offset >= len_bytes)
			break;
		offset = next->offset + next->length;
	}
	*m = (struct iommufd_mmap){ .ictx = ictx, .owner = owner, .offset = offset, .length = len_bytes,
				    .fd = fd, .fd_off = fd_off };
	if (next)
		TAILQ_INSERT_BEFORE(next, m, next);
	else
		TAILQ_INSERT_TAIL(&ictx->mmaps, m, next);
	mutex_unlock(&ictx->objects_lock);
	*ret_offset = offset;
	return 0;
}

static struct iommufd_mmap *find_mmap_locked(struct iommufd_ctx *ictx, u64 offset)
{
	struct iommufd_mmap *m;

	TAILQ_FOREACH(m, &ictx->mmaps, next) {
		if (m->offset == offset)
			return m;
	}
	return NULL;
}

void iommufd_mmap_unregister(struct iommufd_ctx *ictx, u64 offset)
{
	struct iommufd_mmap *m;

	mutex_lock(&ictx->objects_lock);
	m = find_mmap_locked(ictx, offset);
	if (m)
		TAILQ_REMOVE(&ictx->mmaps, m, next);
	mutex_unlock(&ictx->objects_lock);
	kfree(m);
}

static void mmap_direct(struct vm_area *vma, u64 off, int *ret_fd, u64 *ret_off, int *ret_prot, u64 *ret_len)
{
	const struct iommufd_mmap *m = vma->private_data;

	*ret_fd = m->fd;
	*ret_off = m->fd_off + (off - m->offset);
	*ret_prot = PROT_READ | PROT_WRITE;
	*ret_len = m->length - (off - m->offset);
}

/* A page of the file, for accesses that come as bytes: copy_from_user() from such a mapping. */
static int mmap_access(struct vm_area *vma, u64 off, void *buf, unsigned len_bytes, bool write)
{
	const struct iommufd_mmap *m = vma->private_data;
	u64 at = m->fd_off + (off - m->offset);
	ssize_t done = write ? sys_pwrite(m->fd, buf, len_bytes, at) : sys_pread(m->fd, buf, len_bytes, at);

	return done == (ssize_t)len_bytes ? 0 : fail(-EFAULT, "the pages behind the mapping are gone");
}

static void mmap_open(struct vm_area *vma)
{
	const struct iommufd_mmap *m = vma->private_data;

	iommufd_object_hold(m->owner);
}

static void mmap_close(struct vm_area *vma)
{
	const struct iommufd_mmap *m = vma->private_data;

	iommufd_object_drop(m->owner);
}

static const struct vm_operations iommufd_vm_ops = {
	.open = mmap_open,
	.close = mmap_close,
	.access = mmap_access,
	.direct = mmap_direct,
};

static int iommufd_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	struct iommufd_ctx *ictx = file->private_data;
	u64 length = vma->last - vma->start + 1;
	struct iommufd_mmap *m;

	if ((map_flags & MAP_TYPE) == MAP_PRIVATE)
		return fail(-EINVAL, "an iommufd is mapped MAP_SHARED only");
	if (vma->prot & PROT_EXEC)
		return fail(-EPERM, "an iommufd is not mapped with PROT_EXEC");
	mutex_lock(&ictx->objects_lock);
	m = find_mmap_locked(ictx, vma->pgoff_bytes);
	if (m && m->length == length) {
		iommufd_object_hold(m->owner); /* it has not been destroyed: the lock is ours */
		vma->ops = &iommufd_vm_ops;
		vma->private_data = m;
		mutex_unlock(&ictx->objects_lock);
		return 0;
	}
	mutex_unlock(&ictx->objects_lock);
	return fail(-ENXIO, "no object of this iommufd offers %#llx bytes at offset %#llx", (ull)length,
		    (ull)vma->pgoff_bytes);
}

/* ---- ioctls ---- */

#define UCMD_MAX 80 /* bytes of the longest struct */

struct iommufd_ioctl {
	unsigned cmd;
	u16 size;	/* what we know */
	u16 min_size;	/* what each version has had */
	int (*execute)(struct iommufd_ucmd *ucmd);
};

#define IOCTL_OP(cmd_, fn_, struct_, last_)							\
	[_IOC_NR(cmd_) - IOMMUFD_CMD_BASE] = {							\
		.cmd = (cmd_),									\
		.size = sizeof(struct_) + 0 * sizeof(char[sizeof(struct_) <= UCMD_MAX ? 1 : -1]),	\
		.min_size = offsetof(struct_, last_) + sizeof(((struct_ *)0)->last_),		\
		.execute = (fn_),								\
	}

static const struct iommufd_ioctl ioctls[] = {
	IOCTL_OP(IOMMU_DESTROY, destroy_ioctl, struct iommu_destroy, id),
	IOCTL_OP(IOMMU_FAULT_QUEUE_ALLOC, iommufd_fault_alloc, struct iommu_fault_alloc, out_fault_fd),
	IOCTL_OP(IOMMU_GET_HW_INFO, iommufd_get_hw_info, struct iommu_hw_info, __reserved),
	IOCTL_OP(IOMMU_HWPT_ALLOC, iommufd_hwpt_alloc, struct iommu_hwpt_alloc, __reserved),
	IOCTL_OP(IOMMU_HWPT_GET_DIRTY_BITMAP, iommufd_hwpt_get_dirty_bitmap, struct iommu_hwpt_get_dirty_bitmap, data),
	IOCTL_OP(IOMMU_HWPT_INVALIDATE, iommufd_hwpt_invalidate, struct iommu_hwpt_invalidate, __reserved),
	IOCTL_OP(IOMMU_HWPT_SET_DIRTY_TRACKING, iommufd_hwpt_set_dirty_tracking,
		 struct iommu_hwpt_set_dirty_tracking, __reserved),
	IOCTL_OP(IOMMU_HW_QUEUE_ALLOC, iommufd_hw_queue_alloc_ioctl, struct iommu_hw_queue_alloc, length),
	IOCTL_OP(IOMMU_IOAS_ALLOC, iommufd_ioas_alloc_ioctl, struct iommu_ioas_alloc, out_ioas_id),
	IOCTL_OP(IOMMU_IOAS_ALLOW_IOVAS, iommufd_ioas_allow_iovas, struct iommu_ioas_allow_iovas, allowed_iovas),
	IOCTL_OP(IOMMU_IOAS_CHANGE_PROCESS, iommufd_ioas_change_process, struct iommu_ioas_change_process,
		 __reserved),
	IOCTL_OP(IOMMU_IOAS_COPY, iommufd_ioas_copy, struct iommu_ioas_copy, src_iova),
	IOCTL_OP(IOMMU_IOAS_IOVA_RANGES, iommufd_ioas_iova_ranges, struct iommu_ioas_iova_ranges,
		 out_iova_alignment),
	IOCTL_OP(IOMMU_IOAS_MAP, iommufd_ioas_map, struct iommu_ioas_map, iova),
	IOCTL_OP(IOMMU_IOAS_MAP_FILE, iommufd_ioas_map_file, struct iommu_ioas_map_file, iova),
	IOCTL_OP(IOMMU_IOAS_NOIOMMU_GET_PA, iommufd_ioas_noiommu_get_pa, struct iommu_ioas_noiommu_get_pa, out_phys),
	IOCTL_OP(IOMMU_IOAS_UNMAP, iommufd_ioas_unmap, struct iommu_ioas_unmap, length),
	IOCTL_OP(IOMMU_OPTION, iommufd_option, struct iommu_option, val64),
	IOCTL_OP(IOMMU_TEST_CMD, iommufd_test, struct iommu_test_cmd, last),
	IOCTL_OP(IOMMU_VDEVICE_ALLOC, iommufd_vdevice_alloc_ioctl, struct iommu_vdevice_alloc, virt_id),
	IOCTL_OP(IOMMU_VEVENTQ_ALLOC, iommufd_veventq_alloc, struct iommu_veventq_alloc, out_veventq_fd),
	IOCTL_OP(IOMMU_VIOMMU_ALLOC, iommufd_viommu_alloc_ioctl, struct iommu_viommu_alloc, out_viommu_id),
	IOCTL_OP(IOMMU_VFIO_IOAS, iommufd_vfio_ioas, struct iommu_vfio_ioas, __reserved),
};

int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t len_bytes)
{
	if (copy_to_user(ucmd->ubuffer, ucmd->cmd, min((size_t)ucmd->user_size, len_bytes)))
		return fail(-EFAULT, "the answer cannot be written to %p", ucmd->ubuffer);
	return 0;
}

void *iommufd_object_alloc_ucmd_size(struct iommufd_ucmd *ucmd, size_t size, enum iommufd_object_type type)
{
	void *obj = iommufd_object_alloc_size(ucmd->ictx, size, type);

	assert(!ucmd->new_obj);
	if (!IS_ERR(obj))
		ucmd->new_obj = obj;
	return obj;
}

/* What the program's struct has beyond ours must be 0: else it asks for something that we do not know. */
static int check_tail(const char __user *tail, u32 known, u32 len)
{
	u8 piece[256];

	for (u32 at = 0; at < len; at += sizeof(piece)) {
		u32 n = min(len - at, (u32)sizeof(piece));

		if (copy_from_user(piece, tail + at, n))
			return fail(-EFAULT, "size is %u, but not all of it can be read", known + len);
		for (u32 i = 0; i < n; i++) {
			if (piece[i])
				return fail(-E2BIG, "size is %u, of which %u bytes are known: byte %u is not 0",
					    known + len, known, known + at + i);
		}
	}
	return 0;
}

static int copy_in(struct iommufd_ucmd *ucmd, const struct iommufd_ioctl *op)
{
	u32 size = op->size, user_size = ucmd->user_size;
	int ret = 0;

	if (user_size < op->min_size)
		return fail(-EINVAL, "size is %u, this request has at least %u bytes", user_size, op->min_size);
	if (unlikely(user_size > size))
		ret = check_tail((const char __user *)ucmd->ubuffer + size, size, user_size - size);
	if (ret)
		return ret;
	memset(ucmd->cmd, 0, size);
	if (copy_from_user(ucmd->cmd, ucmd->ubuffer, min(size, user_size)))
		return fail(-EFAULT, "the struct of %u bytes at %p cannot be read", user_size, ucmd->ubuffer);
	return 0;
}

static long run_ioctl(struct iommufd_ucmd *ucmd, const struct iommufd_ioctl *op)
{
	int ret = copy_in(ucmd, op);

	if (ret)
		return ret;
	ret = op->execute(ucmd);
	if (likely(!ucmd->new_obj))
		return ret;
	if (ret)
		iommufd_object_abort_and_destroy(ucmd->ictx, ucmd->new_obj);
	else
		iommufd_object_finalize(ucmd->ictx, ucmd->new_obj);
	return ret;
}

static long iommufd_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	unsigned nr = _IOC_NR(cmd) - IOMMUFD_CMD_BASE;
	u64 buf[UCMD_MAX / 8];
	struct iommufd_ucmd ucmd = { .ictx = file->private_data, .ubuffer = (void __user *)arg, .cmd = buf };

	if (nr >= ARRAY_SIZE(ioctls)) /* also below ours */
		return iommufd_vfio_ioctl(ucmd.ictx, cmd, arg);
	if (ioctls[nr].cmd != cmd)
		return fail(-ENOTTY, "request %#x is none of an iommufd's", cmd);
	if (copy_from_user(&ucmd.user_size, ucmd.ubuffer, sizeof(ucmd.user_size)))
		return fail(-EFAULT, "the size at %p, with which each struct begins, cannot be read", ucmd.ubuffer);
	return run_ioctl(&ucmd, &ioctls[nr]);
}

/* ---- the node ---- */

static void ctx_free(struct iommufd_ctx *ictx)
{
	assert(TAILQ_EMPTY(&ictx->mmaps));
	assert(TAILQ_EMPTY(&ictx->groups));
	mutex_destroy(&ictx->groups_lock);
	mutex_destroy(&ictx->objects_lock);
	kfree(ictx->slots);
	kfree(ictx);
}

static void iommufd_release(struct file *file)
{
	struct iommufd_ctx *ictx = file->private_data;

	destroy_all(ictx);
	ctx_free(ictx);
}

static const struct file_operations iommufd_fops = {
	.kind = FILE_IOMMUFD,
	.shared = true,
	.release = iommufd_release,
	.ioctl = iommufd_ioctl,
	.mmap = iommufd_mmap,
	.show = iommufd_show,
};

static struct file *open_ctx(const char *path, unsigned int f_flags, bool process_accounting)
{
	struct iommufd_ctx *ictx = kzalloc(sizeof(*ictx));

	if (!ictx)
		return ERR_PTR(fail(-ENOMEM, "no memory for an iommufd"));
	mutex_init(&ictx->objects_lock, LOCK_IOMMUFD_OBJECTS);
	mutex_init(&ictx->groups_lock, LOCK_IOMMUFD_GROUPS);
	TAILQ_INIT(&ictx->groups);
	TAILQ_INIT(&ictx->mmaps);
	ictx->process_accounting = process_accounting;
	ictx->file = file_alloc(&iommufd_fops, ictx, path, f_flags);
	if (!ictx->file) {
		ctx_free(ictx);
		return ERR_PTR(fail(-ENOMEM, "no memory for an iommufd's file"));
	}
	return ictx->file;
}

static struct file *iommufd_open(struct cdev *cdev, unsigned int f_flags)
{
	return open_ctx(cdev->path, f_flags, false);
}

/* What a container pins has always been on the account of the process. */
struct file *iommufd_open_container(struct cdev *cdev, unsigned int f_flags)
{
	return open_ctx(cdev->path, f_flags, true);
}

/* ---- for drivers ---- */

struct iommufd_ctx *iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	fget_file(ictx->file);
	return ictx;
}

void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	if (ictx)
		fput(ictx->file);
}

struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	if (file->f_op != &iommufd_fops)
		return ERR_PTR(fail(-EBADFD, "%s is no open /dev/iommu", file->path));
	return iommufd_ctx_get(file->private_data);
}

struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	struct file *file = fd < 0 ? NULL : fget(fd);
	struct iommufd_ctx *ictx;

	if (!file && fd_check_open(fd))
		return ERR_PTR(-EBADF);
	if (!file)
		return ERR_PTR(fail(-EBADFD, "descriptor %d is no open /dev/iommu", fd));
	ictx = iommufd_ctx_from_file(file);
	fput(file);
	return ictx;
}

/* ---- the module ---- */

static struct cdev iommufd_cdev = { .path = "iommu", .mode = 0660, .open = iommufd_open };

static int add_sysfs(void)
{
	const struct class_node node = { IOMMUFD_MAJOR, IOMMUFD_MINOR, "iommu", "DEVMODE=0660\n" };
	int ret = class_device_add("sys/devices/virtual/misc/iommu", "misc", &node);

	if (!ret)
		ret = kernfs_create_file("sys/module/iommufd/parameters/allow_unsafe_interrupts", 0644, "N\n", 2, NULL, NULL);
	return ret ? fail(ret, "the files of iommufd below /sys could not be made") : 0;
}

int iommufd_init(void)
{
	int ret = add_sysfs();

	if (!ret && iommufd_test_enabled())
		ret = fault_create_debugfs_attr(FAULT_IOMMUFD);
	iommufd_cdev.rdev = makedev(IOMMUFD_MAJOR, IOMMUFD_MINOR);
	return ret ? ret : cdev_add(&iommufd_cdev, true);
}

void iommufd_exit(void)
{
	cdev_del(&iommufd_cdev, false);
}
