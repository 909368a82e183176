/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * change.c - making, removing and renaming names: refused in the machine's trees.
 *
 * sysfs lets nobody do that, and the nodes under /dev/vfio are the kernel's.  What matters as much: a
 * name in those places must never reach the host's file of that name, where `rm /dev/vfio/0` by root
 * would take a real group's node.  Sources: mkdir(2), unlink(2), rename(2): EPERM where the file system
 * does not support it, EXDEV between two of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/preload/front.h"

/* Is the name the machine's?  Then errno is what the program gets. */
static bool refused(int dir_fd, const char *path)
{
	struct path p;

	if (likely(!front_resolve(dir_fd, path, &p)))
		return false;
	errno = EPERM;
	return true;
}

/* Two names: both the machine's, or a move across the border. */
static bool refused_both(int from_fd, const char *from, int to_fd, const char *to)
{
	const bool from_ours = refused(from_fd, from), to_ours = refused(to_fd, to);

	if (!from_ours && !to_ours)
		return false;
	errno = from_ours == to_ours ? EPERM : EXDEV;
	return true;
}

EXPORT int unlink(const char *path)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(unlink)(path);
}

EXPORT int unlinkat(int dir_fd, const char *path, int flags)
{
	return refused(dir_fd, path) ? -1 : REAL(unlinkat)(dir_fd, path, flags);
}

EXPORT int rmdir(const char *path)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(rmdir)(path);
}

EXPORT int remove(const char *path)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(remove)(path);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(mkdir)(path, mode);
}

EXPORT int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	return refused(dir_fd, path) ? -1 : REAL(mkdirat)(dir_fd, path, mode);
}

EXPORT int mknod(const char *path, mode_t mode, dev_t dev)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(mknod)(path, mode, dev);
}

EXPORT int mknodat(int dir_fd, const char *path, mode_t mode, dev_t dev)
{
	return refused(dir_fd, path) ? -1 : REAL(mknodat)(dir_fd, path, mode, dev);
}

EXPORT int mkfifo(const char *path, mode_t mode)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(mkfifo)(path, mode);
}

EXPORT int symlink(const char *target, const char *path)
{
	return refused(AT_FDCWD, path) ? -1 : REAL(symlink)(target, path);
}

EXPORT int symlinkat(const char *target, int dir_fd, const char *path)
{
	return refused(dir_fd, path) ? -1 : REAL(symlinkat)(target, dir_fd, path);
}

EXPORT int link(const char *from, const char *to)
{
	return refused_both(AT_FDCWD, from, AT_FDCWD, to) ? -1 : REAL(link)(from, to);
}

EXPORT int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return refused_both(from_fd, from, to_fd, to) ? -1 : REAL(linkat)(from_fd, from, to_fd, to, flags);
}

EXPORT int rename(const char *from, const char *to)
{
	return refused_both(AT_FDCWD, from, AT_FDCWD, to) ? -1 : REAL(rename)(from, to);
}

EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return refused_both(from_fd, from, to_fd, to) ? -1 : REAL(renameat)(from_fd, from, to_fd, to);
}

EXPORT int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	return refused_both(from_fd, from, to_fd, to) ? -1 : REAL(renameat2)(from_fd, from, to_fd, to, flags);
}

/* An attribute has no length of its own: to cut it changes nothing.  A node cannot be cut. */
EXPORT int truncate(const char *path, off_t len)
{
	struct path p;

	if (likely(!front_resolve(AT_FDCWD, path, &p)))
		return REAL(truncate)(path, len);
	if (!strncmp(p.inside, "/sys/", 5))
		return 0;
	errno = EINVAL;
	return -1;
}
ALIAS(truncate64, truncate);
