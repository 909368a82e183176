/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fd.c - descriptors: close, dup, fcntl and their kin.
 *
 * A descriptor of ours is a real one, a memory file that holds nothing, so that poll(), limits,
 * close-on-exec and inheritance behave without our help; kernel/fs/fdtable.c knows what it means.
 * This file keeps that table true whenever a number appears or goes.
 *
 * What always holds: the table forgets a number before the number is free for others, and the file's
 * release runs after that, before close() returns.
 *
 * Private descriptors (eventfds we hold, the machine's directory) do not exist for the program.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/sys.h"
#include "kernel/syscall/syscall.h"

static int fd_count; /* atomic */

static void note_fd(int fd)
{
	int count = __atomic_load_n(&fd_count, __ATOMIC_RELAXED);

	while (fd >= count &&
	       !__atomic_compare_exchange_n(&fd_count, &count, fd + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

int front_fd_count(void)
{
	return __atomic_load_n(&fd_count, __ATOMIC_RELAXED);
}

static void adopt_fd(int fd)
{
	front_fork_own(fd);
	note_fd(fd);
}

/* Sealed: a program that writes to it in ways we do not see is told so. */
static int memory_file(const char *name, bool cloexec)
{
	char cut[240];
	int fd;

	snprintf(cut, sizeof(cut), "%s", name);
	fd = sys_memfd_create(cut, MFD_ALLOW_SEALING | (cloexec ? MFD_CLOEXEC : 0));
	if (fd < 0)
		return fd;
	sys_fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	adopt_fd(fd);
	return fd;
}

static void free_fd(int fd)
{
	sys_close(fd);
}

void front_fd_init(void)
{
	static const struct fd_host_ops ops = { .alloc = memory_file, .adopt = adopt_fd, .free = free_fd };

	fd_host_register(&ops);
}

/* ---- from numbers to files ----------------------------------------------------------------- */

struct file *front_fget_slow(int fd)
{
	return front_in_child && front_is_stale(fd) ? NULL : fget(fd);
}

int front_fd_install(int fd, struct file *file)
{
	int err;

	front_fork_own(fd);
	err = fd_install(fd, file);
	if (err)
		fput(file);
	else
		note_fd(fd);
	return err;
}

int front_fd_open(struct file *file, bool cloexec)
{
	int fd = fd_publish(file, cloexec);

	if (fd >= 0) {
		front_fork_own(fd);
		note_fd(fd);
	}
	return fd;
}

struct file *front_fd_forget(int fd, int *ret_err)
{
	FRONT_IN_KERNEL;
	struct file *file;
	int err = 0;

	if (ret_err)
		*ret_err = 0;
	file = front_fget_slow(fd);
	if (!file)
		return NULL;
	err = file_flush(file);
	if (ret_err)
		*ret_err = err;
	fd_uninstall(fd);
	return file;
}

void front_fd_gone(int fd, struct file *file)
{
	FRONT_IN_KERNEL;

	if (file)
		do_close(fd, file);
}

/*
 * A shell opened an attribute, and then called exec(): `/bin/echo 0000:01:00.0 > unbind`.  What is left of
 * it is the memory file, whose name says what it was for.  Output only: to be read, it has the content.
 */
void front_fd_adopt(void)
{
	char name[PATH_MAX];
	struct file *file;

	for (int fd = 1; fd <= 2; fd++) {
		ssize_t len = path_of_memory(fd, name, sizeof(name));

		if (len <= 0 || strncmp(name, "/sys/", 5) || front_attach() || do_open(name, O_WRONLY, &file))
			continue;
		if (file->backing_fd < 0 || sys_dup3(file->backing_fd, fd, 0) < 0)
			fput(file);
		else
			front_fd_install(fd, file);
	}
}

int front_flush_attributes(void)
{
	int err = 0;

	for (int fd = 0; fd < front_fd_count(); fd++) {
		struct file *file = fd_is_ours(fd) ? front_fget(fd) : NULL;

		if (!file)
			continue;
		FRONT_IN_KERNEL;
		if (!err)
			err = file_flush(file);
		fput(file);
	}
	return err;
}

/* ---- close --------------------------------------------------------------------------------- */

EXPORT int close(int fd)
{
	int saved = errno, err, ret;
	struct file *file;

	if (likely(!fd_is_ours(fd) && !front_in_child)) {
		if (unlikely(fd_is_private(fd)))
			return (int)front_return(-EBADF, saved);
		return REAL(close)(fd);
	}
	file = front_fd_forget(fd, &err);
	ret = REAL(close)(fd);
	if (!file)
		return ret;
	front_fd_gone(fd, file);
	return (int)front_return(err, saved);
}
ALIAS(softvfio_close, close);
ALIAS(__close, close);

/* The real call, around the descriptors that the program does not know of. */
static int close_segments(unsigned first, unsigned last, int flags)
{
	int ret, private_fd;

	while (first <= INT_MAX && (private_fd = fd_private_next((int)first)) >= 0 && (unsigned)private_fd <= last) {
		if ((unsigned)private_fd > first) {
			ret = REAL(close_range)(first, (unsigned)private_fd - 1, flags);
			if (ret)
				return ret;
		}
		if ((unsigned)private_fd == last)
			return 0;
		first = (unsigned)private_fd + 1;
	}
	return REAL(close_range)(first, last, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	unsigned count = (unsigned)front_fd_count();
	struct file *file;

	if (first > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || (flags & CLOSE_RANGE_CLOEXEC))
		return REAL(close_range)(first, last, flags);
	for (unsigned fd = first; fd <= last && fd < count; fd++) {
		if (!fd_is_ours((int)fd) && !front_in_child)
			continue;
		file = front_fd_forget((int)fd, NULL);
		if (file) {
			sys_close((int)fd);
			front_fd_gone((int)fd, file);
		}
	}
	return close_segments(first, last, flags);
}

EXPORT void closefrom(int low)
{
	close_range(low < 0 ? 0 : (unsigned)low, ~0u, 0);
}

/* ---- dup ----------------------------------------------------------------------------------- */

/* @to is a new descriptor for @file, whose reference is taken over; NULL: it is not ours. */
static int duplicated(int to, struct file *file)
{
	int err = 0;

	if (!file)
		return to;
	if (to < 0) {
		fput(file);
		return to;
	}
	err = front_fd_install(to, file);
	if (!err)
		return to;
	sys_close(to);
	errno = -err;
	return -1;
}

EXPORT int dup(int fd)
{
	struct file *file;

	if (unlikely(fd_is_private(fd)))
		return (int)front_return(-EBADF, errno);
	file = front_fget(fd);
	FORK_CHANGE;
	return duplicated(REAL(dup)(fd), file);
}

static int dup_onto(int from, int to, int flags, bool is_dup3)
{
	struct file *file, *replaced;
	int ret;

	if (fd_is_private(from))
		return (int)front_return(-EBADF, errno);
	if (fd_is_private(to)) {
		explain_event("dup2(%d, %d): softvfio keeps a descriptor of its own at %d", from, to, to);
		return (int)front_return(-EBUSY, errno);
	}
	if (from == to || (is_dup3 && (flags & ~O_CLOEXEC)) || fcntl(from, F_GETFD) < 0)
		return is_dup3 ? REAL(dup3)(from, to, flags) : REAL(dup2)(from, to);
	file = front_fget(from);
	replaced = front_fd_forget(to, NULL);
	{
		FORK_CHANGE;
		ret = is_dup3 ? REAL(dup3)(from, to, flags) : REAL(dup2)(from, to);
		ret = duplicated(ret, file);
	}
	front_fd_gone(to, replaced);
	return ret;
}

static bool is_strange(int fd)
{
	return !fd_is_ours(fd) && !fd_is_private(fd);
}

EXPORT int dup2(int from, int to)
{
	if (likely(is_strange(from) && is_strange(to) && !front_in_child))
		return REAL(dup2)(from, to);
	return dup_onto(from, to, 0, false);
}
ALIAS(__dup2, dup2);

EXPORT int dup3(int from, int to, int flags)
{
	if (likely(is_strange(from) && is_strange(to) && !front_in_child))
		return REAL(dup3)(from, to, flags);
	return dup_onto(from, to, flags, true);
}

/* ---- fcntl --------------------------------------------------------------------------------- */

#define KERNEL_O_LARGEFILE 0100000 /* glibc hides it on 64 bits; open() sets it, anonymous files lack it */
#define FLAGS_OF_OPEN (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

long front_file_flags(struct file *file)
{
	return (file_flags(file) & ~(unsigned)FLAGS_OF_OPEN) | (file_is_anonymous(file) ? 0 : KERNEL_O_LARGEFILE);
}

static long file_fcntl(int fd, struct file *file, int cmd, long arg)
{
	switch (cmd) {
	case F_GETFL:
		return front_file_flags(file);
	case F_SETFL:
		if (arg & O_DIRECT)
			return -EINVAL;
		file_set_flags(file, (unsigned)arg);
		return 0;
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return -EINVAL; /* what stands behind the number is not the program's business */
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return -EBADF;
	default:
		return sys_fcntl(fd, cmd, arg);
	}
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	int saved = errno;
	struct file *file;
	long ret, arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (unlikely(fd_is_private(fd)))
		return (int)front_return(-EBADF, saved);
	if (likely(!fd_is_ours(fd) && !front_in_child))
		return REAL(fcntl)(fd, cmd, arg);
	file = front_fget(fd);
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) {
		FORK_CHANGE;
		return duplicated(REAL(fcntl)(fd, cmd, arg), file);
	}
	if (!file || file->f_op->kind == FILE_SYSFS)
		ret = REAL(fcntl)(fd, cmd, arg);
	else
		ret = front_return(file_fcntl(fd, file, cmd, arg), saved);
	fput(file);
	return (int)ret;
}
ALIAS(fcntl64, fcntl);
ALIAS(__fcntl, fcntl);
