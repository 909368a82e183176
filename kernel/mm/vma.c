/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vma.c - which of a program's addresses are mappings of our files.
 *
 * A tree by address.  munmap and mprotect may cut areas anywhere, so a change works in three steps:
 * make all the pieces that will be left (this may fail, nothing has changed yet), swap them for the
 * old areas under the lock (this cannot fail), and drop the old ones after the lock is gone, because
 * the last reference of a mapping may be the last of a device, whose release takes locks of its own.
 *
 * Words: an area is *touched* by a range if they share a byte.
 */
#include "kernel/mm/vma.h"

#include <assert.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm_internal.h"

static const struct vma_file_ops *file_ops;

static int vma_cmp(const struct vm_area *a, const struct vm_area *b)
{
	if (a->last < b->start)
		return -1;
	/* Overlapping areas compare equal: the tree refuses them, and a one-byte key finds its area. */
	return a->start > b->last;
}

/* libbsd's RB_GENERATE_STATIC wants a BSD's __unused. */
RB_GENERATE_INTERNAL(vma_tree, vm_area, node, vma_cmp, static __attribute__((unused)))

void vma_file_register(const struct vma_file_ops *ops)
{
	file_ops = ops;
}

struct vm_area *vma_alloc(struct file *file, u64 start, u64 len_bytes, u64 pgoff_bytes, int prot)
{
	struct vm_area *vma = kzalloc(sizeof(*vma));

	if (!vma)
		return NULL;
	vma->start = start;
	vma->last = start + len_bytes - 1;
	vma->pgoff_bytes = pgoff_bytes;
	vma->prot = prot;
	vma->file = file;
	atomic_init(&vma->refs, 1);
	if (file && file_ops)
		file_ops->get(file);
	return vma;
}

struct vm_area *vma_get(struct vm_area *vma)
{
	atomic_fetch_add_explicit(&vma->refs, 1, memory_order_relaxed);
	return vma;
}

void vma_inherit(struct vm_area *vma, const struct vm_area *from)
{
	vma->ops = from->ops;
	vma->private_data = from->private_data;
	if (vma->ops && vma->ops->open)
		vma->ops->open(vma);
}

void vma_put(struct vm_area *vma)
{
	if (!vma || atomic_fetch_sub_explicit(&vma->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (vma->ops && vma->ops->close)
		vma->ops->close(vma);
	if (vma->file && file_ops)
		file_ops->put(vma->file);
	kfree(vma);
}

void vma_close_private(int fd)
{
	if (file_ops)
		file_ops->close_private(fd);
}

void vma_forget_all(struct mm *mm)
{
	mutex_init(&mm->vma_lock, LOCK_VMA);
	RB_INIT(&mm->vmas);
	atomic_store(&mm->vma_lowest, ~0ull);
	atomic_store(&mm->vma_highest, 0);
}

static void put_list(struct vm_area *list)
{
	while (list) {
		struct vm_area *next = list->next;

		vma_put(list);
		list = next;
	}
}

static void update_hint_locked(struct mm *mm)
{
	struct vm_area *first = RB_MIN(vma_tree, &mm->vmas);
	struct vm_area *last = RB_MAX(vma_tree, &mm->vmas);

	lockdep_assert_held(&mm->vma_lock);
	atomic_store_explicit(&mm->vma_lowest, first ? first->start : ~0ull, memory_order_relaxed);
	atomic_store_explicit(&mm->vma_highest, last ? last->last : 0, memory_order_relaxed);
}

void vma_insert(struct mm *mm, struct vm_area *vma)
{
	struct vm_area *old;

	mutex_lock(&mm->vma_lock);
	old = RB_INSERT(vma_tree, &mm->vmas, vma);
	assert(!old);
	(void)old;
	update_hint_locked(mm);
	mutex_unlock(&mm->vma_lock);
}

/* The first area whose last byte is at or above @start. */
static struct vm_area *first_from_locked(struct mm *mm, u64 start)
{
	struct vm_area key = { .start = start, .last = start };

	lockdep_assert_held(&mm->vma_lock);
	return RB_NFIND(vma_tree, &mm->vmas, &key);
}

struct vm_area *vma_find_first(struct mm *mm, u64 start, u64 last)
{
	struct vm_area *vma;

	if (!mm_may_touch_vma(mm, start, last))
		return NULL;
	mutex_lock(&mm->vma_lock);
	vma = first_from_locked(mm, start);
	if (vma && vma->start <= last)
		vma_get(vma);
	else
		vma = NULL;
	mutex_unlock(&mm->vma_lock);
	return vma;
}

struct vm_area *vma_find(struct mm *mm, u64 addr)
{
	return vma_find_first(mm, addr, addr);
}

/* A new area for the part [start, last] of @vma, pushed on *@list. */
static int make_piece(struct vm_area *vma, u64 start, u64 last, int prot, struct vm_area **list)
{
	struct vm_area *piece = vma_alloc(vma->file, start, last - start + 1,
					  vma->pgoff_bytes + (start - vma->start), prot);

	if (!piece)
		return -ENOMEM;
	vma_inherit(piece, vma);
	piece->next = *list;
	*list = piece;
	return 0;
}

/* What is left of @vma when [start, last] is cut out of it, or gets other protection if @prot >= 0. */
static int make_pieces(struct vm_area *vma, u64 start, u64 last, int prot, struct vm_area **list)
{
	int err = 0;

	if (vma->start < start)
		err = make_piece(vma, vma->start, start - 1, vma->prot, list);
	if (!err && prot >= 0)
		err = make_piece(vma, max(start, vma->start), min(last, vma->last), prot, list);
	if (!err && vma->last > last)
		err = make_piece(vma, last + 1, vma->last, vma->prot, list);
	return err;
}

static void swap_locked(struct mm *mm, u64 start, u64 last, struct vm_area *pieces, struct vm_area **ret_old)
{
	struct vm_area *vma = first_from_locked(mm, start);

	while (vma && vma->start <= last) {
		struct vm_area *next = RB_NEXT(vma_tree, &mm->vmas, vma);

		RB_REMOVE(vma_tree, &mm->vmas, vma);
		vma->next = *ret_old;
		*ret_old = vma;
		vma = next;
	}
	for (; pieces; pieces = pieces->next)
		RB_INSERT(vma_tree, &mm->vmas, pieces);
	update_hint_locked(mm);
}

static int vma_change(struct mm *mm, u64 start, u64 len_bytes, int prot)
{
	struct vm_area *pieces = NULL;
	struct vm_area *old = NULL;
	struct vm_area *vma;
	int err = 0;
	u64 last;

	if (!len_bytes)
		return 0;
	if (range_overflows(start, len_bytes, &last))
		last = ~0ull;
	if (!mm_may_touch_vma(mm, start, last))
		return 0;
	mutex_lock(&mm->vma_lock);
	for (vma = first_from_locked(mm, start); !err && vma && vma->start <= last;
	     vma = RB_NEXT(vma_tree, &mm->vmas, vma))
		err = make_pieces(vma, start, last, prot, &pieces);
	if (!err)
		swap_locked(mm, start, last, pieces, &old);
	mutex_unlock(&mm->vma_lock);
	put_list(err ? pieces : old);
	if (err)
		return fail(err, "no memory to split the mappings in [0x%llx-0x%llx]",
			    (unsigned long long)start, (unsigned long long)last);
	return 0;
}

int vma_remove(struct mm *mm, u64 start, u64 len_bytes)
{
	return vma_change(mm, start, len_bytes, -1);
}

int vma_protect(struct mm *mm, u64 start, u64 len_bytes, int prot)
{
	return vma_change(mm, start, len_bytes, prot);
}

int vma_access(struct vm_area *vma, u64 addr, void *buf, size_t len_bytes, bool write)
{
	u64 off = vma->pgoff_bytes + (addr - vma->start);
	u8 *p = buf;

	if (!vma->ops || !vma->ops->access)
		return fail(-EFAULT, "the mapping at 0x%llx has no access operation",
			    (unsigned long long)vma->start);
	while (len_bytes) {
		unsigned piece = 8;
		int err;

		/* The widest that is not too long and aligned in the file. */
		while (piece > len_bytes || (off & (piece - 1)))
			piece >>= 1;
		err = vma->ops->access(vma, off, p, piece, write);
		if (err)
			return err;
		off += piece;
		p += piece;
		len_bytes -= piece;
	}
	return 0;
}

void vma_for_each_private(struct mm *mm, const void *private_data, void (*fn)(struct vm_area *, void *),
			  void *arg)
{
	struct vm_area *vma;

	mutex_lock(&mm->vma_lock);
	RB_FOREACH(vma, vma_tree, &mm->vmas)
		if (vma->private_data == private_data)
			fn(vma, arg);
	mutex_unlock(&mm->vma_lock);
}

/* The front end's half. */
void (*vma_host_revoke)(struct vm_area *vma);
bool vma_no_trap;
