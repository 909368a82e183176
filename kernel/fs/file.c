/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.c - the life of a struct file: a reference count and a pool.
 *
 * The pool is type-stable: memory that was a struct file once is one for ever, in use or on the free
 * list.  So fget() may follow a pointer that it read a moment too late: it finds refs at 0 and lets
 * go, or takes a reference on the file that lives there now and sees, on a second look at the table,
 * that it is not the one it wanted.  No lock and no deferred freeing is needed for that.
 *
 * What always holds: refs > 0 exactly while somebody may use the file; release() runs once, with refs
 * at 0, before the memory goes back to the pool.
 */
#include "kernel/fs/file.h"

#include <fcntl.h>
#include <string.h>

#include "kernel/fs/file_internal.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/vma.h"

#define POOL_CHUNK 64

struct pool_chunk {
	struct pool_chunk *next;
	struct file files[POOL_CHUNK];
};

static struct mutex pool_lock = MUTEX_INITIALIZER(LOCK_FDTABLE);
static struct file *pool_free;		/* under pool_lock */
static struct pool_chunk *pool_chunks;	/* under pool_lock; never freed */

static void pool_grow_locked(void)
{
	struct pool_chunk *chunk = kzalloc(sizeof(*chunk));

	if (!chunk)
		return;
	chunk->next = pool_chunks;
	pool_chunks = chunk;
	for (size_t i = POOL_CHUNK; i-- > 0;) {
		chunk->files[i].next_free = pool_free;
		pool_free = &chunk->files[i];
	}
}

void file_forget_all(void)
{
	mutex_init(&pool_lock, LOCK_FDTABLE);
	pool_free = NULL;
	pool_chunks = NULL;
	share_forget_all();
}

struct file *fget_id(u64 id)
{
	struct file *found = NULL;

	mutex_lock(&pool_lock);
	for (struct pool_chunk *chunk = pool_chunks; chunk && !found; chunk = chunk->next)
		for (size_t i = 0; i < POOL_CHUNK && !found; i++)
			if (chunk->files[i].id == id && file_get_unless_free(&chunk->files[i]))
				found = &chunk->files[i];
	mutex_unlock(&pool_lock);
	if (found && found->id != id) { /* another began its life there just now */
		fput(found);
		found = NULL;
	}
	return found;
}

static struct file *pool_get(void)
{
	struct file *file;

	mutex_lock(&pool_lock);
	if (!pool_free)
		pool_grow_locked();
	file = pool_free;
	if (file)
		pool_free = file->next_free;
	mutex_unlock(&pool_lock);
	return file;
}

static void pool_put(struct file *file)
{
	mutex_lock(&pool_lock);
	file->next_free = pool_free;
	pool_free = file;
	mutex_unlock(&pool_lock);
}

struct file *file_alloc(const struct file_operations *ops, void *private_data, const char *path,
			unsigned int f_flags)
{
	static _Atomic u64 last_id;
	char *copy = kstrdup(path);
	struct file *file = copy ? pool_get() : NULL;

	if (!file) {
		kfree(copy);
		return NULL;
	}
	file->f_op = ops;
	file->private_data = private_data;
	file->path = copy;
	file->f_flags = f_flags;
	file->mode = S_IRUSR | S_IWUSR;
	file->rdev = 0;
	file->size = 0;
	file->on_host = false;
	file->numbered = false;
	file->id = 1 + atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed);
	atomic_store_explicit(&file->f_pos, 0, memory_order_relaxed);
	file->backing_fd = file->others_fd = -1;
	atomic_store_explicit(&file->share, NULL, memory_order_relaxed);
	/* Release: whoever takes a reference sees all of the above. */
	atomic_store_explicit(&file->refs, 1, memory_order_release);
	return file;
}

struct file *fget_file(struct file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

void file_set_flags(struct file *file, unsigned flags)
{
	const unsigned settable = O_APPEND | O_NONBLOCK | O_NOATIME; /* none of ours sends signals: O_ASYNC does not stick */

	if (file->f_op->flags)
		file->f_op->flags(file, true, flags);
	file->f_flags = (file->f_flags & ~settable) | (flags & settable);
}

void file_close_backing(struct file *file)
{
	if (fd_is_private(file->backing_fd))
		fd_private_close(file->backing_fd);
	else if (file->backing_fd >= 0)
		sys_close(file->backing_fd);
	file->backing_fd = -1;
}

void fput(struct file *file)
{
	if (!file || atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (unlikely(atomic_load_explicit(&file->share, memory_order_acquire)) && file_lives_on(file))
		return;
	if (file->f_op->release)
		file->f_op->release(file);
	file_close_backing(file);
	kfree(file->path);
	file->path = NULL;
	pool_put(file);
}

static void vma_get_file(struct file *file)
{
	fget_file(file);
}

static __attribute__((constructor)) void file_register(void)
{
	static const struct vma_file_ops ops = { .get = vma_get_file, .put = fput, .close_private = fd_private_close };

	vma_file_register(&ops);
}
