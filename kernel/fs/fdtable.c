/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fdtable.c - which of the process's descriptors are files of ours, and which are our own.
 *
 * Descriptors are real: the host's kernel hands out the numbers, dup and close-on-exec and limits
 * work by themselves.  We keep what the kernel cannot: for each number a pointer to the struct file
 * that it means, and one bit that says "private", a descriptor of ours that the program must not see.
 *
 * Both are plain arrays over all numbers we can hold.  They are zero-initialised memory of which the
 * host gives real pages only where something was written, so most of it never exists; in exchange
 * a look-up has no table to find, no bound that changes and no lock.
 *
 * fget() is a load, a counted reference and a second load.  The second says that the number still
 * means that file: then it did so while we already held the reference, and that is all a system call
 * can promise when another thread closes the number at the same time.
 */
#include <errno.h>
#include <sys/mman.h>

#include "kernel/fs/file.h"
#include "kernel/fs/file_internal.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/task.h"

#define FD_MAX (1 << 20)
/* A descriptor at the very top would make the host's kernel grow its own table that far. */
#define PRIVATE_TOP (1 << 16)
#define PRIVATE_ROOM 128
#define WORD_BITS 64

static struct file *_Atomic table[FD_MAX];
static atomic_int table_top = -1; /* the highest number ever installed */

static _Atomic u64 private_bits[FD_MAX / WORD_BITS];
static atomic_int private_top = -1;
static _Atomic u64 exclusive_bits[FD_MAX / WORD_BITS]; /* those of them that no child may have */

static const struct fd_host_ops *host;
void (*fd_installed)(int fd, struct file *file);

static inline bool in_table(int fd)
{
	return (unsigned)fd < FD_MAX;
}

static void raise_top(atomic_int *top, int fd)
{
	int old = atomic_load(top);

	while (old < fd && !atomic_compare_exchange_weak(top, &old, fd))
		;
}

struct file *fget(int fd)
{
	struct file *file;

	if (unlikely(current_task))
		return current_task->ops->fget(current_task, fd);
	if (!in_table(fd))
		return NULL;
	for (;;) {
		file = atomic_load_explicit(&table[fd], memory_order_acquire);
		if (!file)
			return NULL;
		/* Free: the entry was changed before the last put, so the next look finds another. */
		if (!file_get_unless_free(file))
			continue;
		if (likely(atomic_load_explicit(&table[fd], memory_order_acquire) == file))
			return file;
		fput(file);
	}
}

bool fd_is_ours(int fd)
{
	return in_table(fd) && atomic_load_explicit(&table[fd], memory_order_relaxed);
}

int fd_check_open(int fd)
{
	long flags;

	if (unlikely(current_task))
		return current_task->ops->check_open(current_task, fd);
	flags = fd < 0 || fd_is_private(fd) ? -EBADF : sys_fcntl(fd, F_GETFL, 0);
	if (flags < 0)
		return fail(-EBADF, "descriptor %d is not open", fd);
	return flags & O_PATH ? fail(-EBADF, "descriptor %d is open with O_PATH", fd) : 0;
}

int fd_install(int fd, struct file *file)
{
	if (!in_table(fd))
		return fail(-EMFILE, "descriptor %d is beyond the %d that the table holds", fd, FD_MAX);
	raise_top(&table_top, fd);
	if (unlikely(fd_installed))
		fd_installed(fd, file);
	fput(atomic_exchange_explicit(&table[fd], file, memory_order_acq_rel));
	return 0;
}

static struct file *take_out(int fd)
{
	FORK_CHANGE;
	return atomic_exchange_explicit(&table[fd], NULL, memory_order_acq_rel);
}

/* What a fork looks at stays in the table until it is through: it never has the last reference. */
void fd_uninstall(int fd)
{
	if (fd_is_ours(fd))
		fput(take_out(fd));
}

void fd_uninstall_range(unsigned first, unsigned last)
{
	int top = atomic_load(&table_top);

	if (top < 0)
		return;
	last = min(last, (unsigned)top);
	for (unsigned fd = first; fd <= last; fd++)
		fd_uninstall((int)fd);
}

void fd_host_register(const struct fd_host_ops *ops)
{
	host = ops;
}

int fd_host_alloc(const struct file *file, bool cloexec)
{
	int fd;

	if (file->backing_fd >= 0) {
		fd = (int)sys_fcntl(file->backing_fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
		if (fd >= 0 && host && host->adopt)
			host->adopt(fd);
		return fd;
	}
	if (host)
		return host->alloc(file->path, cloexec);
	return sys_memfd_create(file->path, cloexec ? MFD_CLOEXEC : 0);
}

static int publish_elsewhere(struct file *file, bool cloexec)
{
	int ret;

	ret = fd_host_alloc(file, true);
	if (ret < 0)
		return fail(ret, "the host gives no descriptor for %s", file->path);
	return current_task->ops->publish(current_task, file, ret, cloexec);
}

int fd_publish(struct file *file, bool cloexec)
{
	int fd, err;

	if (unlikely(current_task))
		return publish_elsewhere(file, cloexec);
	FORK_CHANGE;
	fd = fd_host_alloc(file, cloexec);
	if (fd < 0)
		return fail(fd, "the host gives no descriptor for %s", file->path);
	err = fd_install(fd, file);
	if (!err)
		return fd;
	if (host && file->backing_fd < 0)
		host->free(fd);
	else
		sys_close(fd);
	return err;
}

void fd_unpublish(int fd)
{
	if (unlikely(current_task)) {
		current_task->ops->unpublish(current_task, fd);
		return;
	}
	fd_uninstall(fd);
	sys_close(fd);
}

/* ---- private descriptors ---- */

/* The bits of @fd (lowest) and the numbers above it in its word. */
static u64 private_word(int fd)
{
	return atomic_load_explicit(&private_bits[fd / WORD_BITS], memory_order_acquire) >> (fd % WORD_BITS);
}

bool fd_is_private(int fd)
{
	return in_table(fd) && (private_word(fd) & 1);
}

/* Where to put them: near the program's limit, but not so far up that the host's table must grow much. */
static int private_minimum(void)
{
	struct rlimit limit;
	u64 top = PRIVATE_TOP;

	if (!sys_getrlimit(RLIMIT_NOFILE, &limit))
		top = min(top, (u64)limit.rlim_cur);
	return top > 2 * PRIVATE_ROOM ? (int)top - PRIVATE_ROOM : (int)top / 2;
}

int fd_private_dup(int fd)
{
	int min_fd = private_minimum();
	int new_fd;

	for (;;) {
		new_fd = (int)sys_fcntl(fd, F_DUPFD_CLOEXEC, min_fd);
		if ((new_fd != -EMFILE && new_fd != -EINVAL) || min_fd == 0)
			break;
		min_fd /= 2;
	}
	if (new_fd < 0)
		return fail(new_fd, "descriptor %d cannot be kept: the process has no number left for a copy",
			    fd);
	if (!in_table(new_fd)) {
		sys_close(new_fd);
		return fail(-EMFILE, "descriptor %d is beyond the %d that the table holds", new_fd, FD_MAX);
	}
	atomic_fetch_or_explicit(&private_bits[new_fd / WORD_BITS], 1ull << (new_fd % WORD_BITS),
				 memory_order_release);
	raise_top(&private_top, new_fd);
	return new_fd;
}

int fd_dup_private(int fd)
{
	int own, hidden;

	if (likely(!current_task))
		return fd_private_dup(fd);
	own = current_task->ops->dup(current_task, fd);
	hidden = own < 0 ? own : fd_private(own);
	if (own >= 0 && hidden < 0)
		sys_close(own);
	return hidden;
}

int fd_private(int fd)
{
	int new_fd = fd_private_dup(fd);

	if (new_fd >= 0)
		sys_close(fd);
	return new_fd;
}

int fd_private_exclusive(int fd)
{
	int new_fd = fd_private(fd);

	if (new_fd >= 0)
		atomic_fetch_or(&exclusive_bits[new_fd / WORD_BITS], 1ull << (new_fd % WORD_BITS));
	return new_fd;
}

void fd_private_close(int fd)
{
	u64 bit;

	if (!in_table(fd))
		return;
	FORK_CHANGE;
	bit = 1ull << (fd % WORD_BITS);
	atomic_fetch_and_explicit(&exclusive_bits[fd / WORD_BITS], ~bit, memory_order_relaxed);
	/* The bit first: a number is never shielded when it is no longer ours. */
	if (atomic_fetch_and_explicit(&private_bits[fd / WORD_BITS], ~bit, memory_order_acq_rel) & bit)
		sys_close(fd);
}

int fd_private_next(int fd)
{
	int top = atomic_load(&private_top);
	u64 word;

	if (fd < 0)
		fd = 0;
	while (fd <= top) {
		word = private_word(fd);
		if (word)
			return fd + __builtin_ctzll(word);
		fd = (fd / WORD_BITS + 1) * WORD_BITS;
	}
	return -1;
}

void fd_private_forget_exclusive(int keep)
{
	for (int fd = fd_private_next(0); fd >= 0; fd = fd_private_next(fd + 1))
		if (fd != keep && atomic_load_explicit(&exclusive_bits[fd / WORD_BITS], memory_order_relaxed) >> (fd % WORD_BITS) & 1)
			fd_private_close(fd);
}
