/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_private.h - between the files of iommufd: contexts, objects, and how an ioctl comes in.
 *
 * Objects.  Everything that a program makes is an object with a number in its context's table.  Two
 * counts say who uses one:
 *
 *	users		lasting: other objects, devices, mappings.  IOMMU_DESTROY says EBUSY while there are any
 *	shortterm	an ioctl that looks at it just now.  IOMMU_DESTROY waits for these
 *
 * An object is made in two steps, so that nobody sees a half-built one: alloc reserves a number, then
 * finalize shows it, or abort gives the number back.
 *
 *	main.c		/dev/iommu, the table of objects, the table of ioctls
 *	ioas.c		ioctls of an I/O address space
 *	io_pagetable.c	what is mapped where in one
 *	pages.c		the memory behind it
 *	show.c		what there is, as text
 *
 * Locks, outermost first: ioas->mutex, iopt->lock, pages->lock, ictx->objects_lock.
 */
#ifndef KERNEL_IOMMUFD_IOMMUFD_PRIVATE_H
#define KERNEL_IOMMUFD_IOMMUFD_PRIVATE_H

#include <assert.h>
#include <bsd/sys/queue.h>
#include <linux/iommufd.h>
#include <stdatomic.h>

#include "kernel/iommufd/io_pagetable.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct show;
struct vm_area;

/* ---- objects (main.c) ---- */

enum iommufd_object_type {
	IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_ANY = IOMMUFD_OBJ_NONE, /* to iommufd_get_object() only */
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
	IOMMUFD_OBJ_SELFTEST,
	IOMMUFD_OBJ_MAX,
};

/* The first member of each object. */
struct iommufd_object {
	enum iommufd_object_type type;	/* immutable */
	u32 id;				/* immutable */
	atomic_uint users;	/* from 0 only by who has a shortterm reference */
	unsigned shortterm;	/* objects_lock */
};

struct iommufd_object_ops {
	const char *name; /* for reasons: "an IOAS" */
	/** pre_destroy - optional: first step, the object can still be found.  No lock held. */
	void (*pre_destroy)(struct iommufd_object *obj);
	/** destroy - nobody uses it any more; give back what it holds, but not its own memory.  No lock held. */
	void (*destroy)(struct iommufd_object *obj);
	/** abort - optional: instead of destroy for one that was never finalized. */
	void (*abort)(struct iommufd_object *obj);
};

/* What one program may make in a context.  Linux knows no limit but 31 bits of numbers, and memory. */
#define IOMMUFD_MAX_OBJECTS (1u << 20)

struct iommufd_group;
struct iommufd_ioas;
struct iommufd_mmap;

struct iommufd_ctx {
	struct file *file;		/* it is one: no reference; immutable */
	struct mutex objects_lock;	/* LOCK_IOMMUFD_OBJECTS: down to the next lock */
	struct iommufd_object **slots;	/* [id - 1]; NULL free, OBJECT_RESERVED taken but not to be found */
	u32 nr_slots;
	u32 lowest_free;		/* no free slot below it */
	u32 nr_objects;			/* slots that are not NULL */
	u32 waiters;			/* for shortterm references to go */
	struct mutex groups_lock;	/* LOCK_IOMMUFD_GROUPS: the next, and who has which vDEVICE */
	TAILQ_HEAD(, iommufd_group) groups; /* those that devices of this context are in */
	TAILQ_HEAD(, iommufd_mmap) mmaps; /* by offset */
	struct iommufd_ioas *vfio_ioas; /* the compatibility IOAS; NULL; forgotten when it is destroyed */
	bool no_iommu_mode;		/* groups without an IOMMU have joined: there is no compatibility IOAS */
	atomic_bool process_accounting;	/* IOMMU_OPTION_RLIMIT_MODE; fixed with the first object */
	_Atomic u32 shortterm_seq;	/* futex of the waiters */
};

/**
 * iommufd_object_alloc - memory for an object of @type, zeroed, and a number that nobody can find yet
 * Numbers begin at 1, the lowest free one is taken.  Return: the object; ERR_PTR(-ENOMEM).
 */
void *iommufd_object_alloc_size(struct iommufd_ctx *ictx, size_t size, enum iommufd_object_type type);
#define iommufd_object_alloc(ictx_, ptr_, type_) \
	((__typeof__(ptr_))iommufd_object_alloc_size(ictx_, sizeof(*(ptr_)) + \
		0 * sizeof(char[offsetof(__typeof__(*(ptr_)), obj) == 0 ? 1 : -1]), type_))
/** iommufd_object_finalize - from now on programs find it.  Cannot fail. */
void iommufd_object_finalize(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/** iommufd_object_finalize_locked - the same, objects_lock held. */
void iommufd_object_finalize_locked(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/** iommufd_object_abort - free the memory and the number of one that has nothing to give back. */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/** iommufd_object_abort_and_destroy - ops->abort, or else ops->destroy, then as above. */
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/**
 * iommufd_get_object - find by number, with a shortterm reference
 * Return: the object; ERR_PTR(-ENOENT) there is none, or it is not of @type (IOMMUFD_OBJ_ANY: any will do).
 */
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id, enum iommufd_object_type type);
/** iommufd_next_object - the first of @type with a number above @id, with a shortterm reference; NULL. */
struct iommufd_object *iommufd_next_object(struct iommufd_ctx *ictx, u32 id, enum iommufd_object_type type);
/** iommufd_put_object - give the shortterm reference back. */
void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/** iommufd_object_hold, iommufd_object_drop - a lasting use begins (the caller has a reference), ends. */
static inline void iommufd_object_hold(struct iommufd_object *obj)
{
	atomic_fetch_add_explicit(&obj->users, 1, memory_order_relaxed);
}
static inline void iommufd_object_drop(struct iommufd_object *obj)
{
	unsigned users = atomic_fetch_sub_explicit(&obj->users, 1, memory_order_acq_rel);

	assert(users > 0);
	(void)users;
}
/**
 * iommufd_object_drop_and_try_destroy - end a use; if it was the last, destroy it (automatic HWPTs)
 * If an ioctl looks at it just now it stays until the program destroys it.
 */
void iommufd_object_drop_and_try_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/**
 * iommufd_object_destroy_user - the driver that made it takes it away: nobody else uses it
 * Waits for shortterm references.  Hold no lock that an ioctl takes while it has one.
 */
void iommufd_object_destroy_user(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/**
 * iommufd_object_tombstone_user - likewise, but the number stays taken: a program that destroys it later gets
 * ENOENT, and nobody else's object.  The caller has a shortterm reference, which goes too.
 */
void iommufd_object_tombstone_user(struct iommufd_ctx *ictx, struct iommufd_object *obj);
/** iommufd_object_name - "an IOAS", for reasons. */
const char *iommufd_object_name(enum iommufd_object_type type);

/**
 * iommufd_access_create_internal - the object that is beside a hardware queue, for the pins of its memory in @ioas
 * A program cannot destroy it (EBUSY).  While it is there, what is mapped in the IOAS is aligned to whole pages.
 * Return: for iommufd_access_destroy(); ERR_PTR(-ENOMEM), as iopt_add_access().
 */
struct iommufd_access *iommufd_access_create_internal(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas);

/** iommufd_account_mode - on whose account what is mapped goes. */
static inline enum locked_vm_mode iommufd_account_mode(const struct iommufd_ctx *ictx)
{
	return locked_vm_iommufd(ictx->process_accounting);
}

/* ---- how an ioctl comes in (main.c) ---- */

struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void __user *ubuffer;
	u32 user_size;			/* bytes that the program's struct has */
	void *cmd;			/* our copy, of this kernel's size; what the program left out is 0 */
	struct iommufd_object *new_obj;	/* of iommufd_object_alloc_ucmd() */
};

/** iommufd_ucmd_respond - write @len_bytes of the copy back, as far as the program's struct goes.  0; -EFAULT. */
int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t len_bytes);
/**
 * iommufd_object_alloc_ucmd - iommufd_object_alloc() for an ioctl that makes one object
 * If the ioctl returns 0 it is finalized, else aborted and destroyed: nothing to undo in the ioctl.
 */
void *iommufd_object_alloc_ucmd_size(struct iommufd_ucmd *ucmd, size_t size, enum iommufd_object_type type);
#define iommufd_object_alloc_ucmd(ucmd_, ptr_, type_) \
	((__typeof__(ptr_))iommufd_object_alloc_ucmd_size(ucmd_, sizeof(*(ptr_)) + \
		0 * sizeof(char[offsetof(__typeof__(*(ptr_)), obj) == 0 ? 1 : -1]), type_))

/** iommufd_show - file_operations.show (show.c) */
void iommufd_show(struct file *file, struct show *out);

/* ---- memory that an object offers for mmap() of the iommufd (main.c) ---- */

/**
 * iommufd_mmap_register - offer @len_bytes of @fd from @fd_off; while they are mapped, @owner is in use
 * @fd stays the caller's and open until iommufd_mmap_unregister().
 * Return: 0 and the offset for mmap(); -EINVAL not pages; -ENOMEM.
 */
int iommufd_mmap_register(struct iommufd_ctx *ictx, struct iommufd_object *owner, int fd, u64 fd_off,
			  u64 len_bytes, u64 *ret_offset);
/** iommufd_mmap_unregister - @owner is no longer in use, so nothing is mapped. */
void iommufd_mmap_unregister(struct iommufd_ctx *ictx, u64 offset);

/* ---- accesses (access.c) ---- */

void iommufd_access_object_destroy(struct iommufd_object *obj);

/* ---- I/O address spaces (ioas.c) ---- */

TAILQ_HEAD(iommufd_hwpt_list, iommufd_hwpt_paging);

struct iommufd_ioas {
	struct iommufd_object obj;
	struct io_pagetable iopt;
	struct mutex mutex;			/* LOCK_IOMMUFD_IOAS */
	struct iommufd_hwpt_list hwpt_list;	/* mutex; each is one of our users */
};

static inline struct iommufd_ioas *to_ioas(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_ioas, obj);
}
/** iommufd_ioas_alloc - an empty one, to be finalized or aborted.  ERR_PTR(-ENOMEM). */
struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx);
/** iommufd_get_ioas - find by number, shortterm.  ERR_PTR(-ENOENT). */
struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx, u32 id);
void iommufd_ioas_destroy(struct iommufd_object *obj);
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd);	/* noiommu.c */
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd);
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd);
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd);
int iommufd_option(struct iommufd_ucmd *ucmd);

/* ---- the calls of a VFIO container (vfio_compat.c) ---- */

int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd);
/** iommufd_vfio_ioctl - those that begin at VFIO_BASE.  -ENOTTY others. */
int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd, unsigned long arg);

#endif
