/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stat.c - what a name is: stat, access, statfs, and calls that only need the right name.
 *
 * A device node in the machine's directory is an empty file; the kernel's part knows that it is a
 * character device and with which number, and programs check both.  An attribute has the size of a page,
 * whatever it says.  Everything else there is what it looks like.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/fs/chrdev.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/sys.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/syscall.h"

/* ---- stat ---------------------------------------------------------------------------------- */

/* Is @inside, a regular file below the machine's dev/, a device node? */
static bool node_info(const char *inside, u32 *ret_mode, u64 *ret_rdev)
{
	struct cdev *cdev;

	if (strncmp(inside, "/dev/", 5) || front_attach())
		return false;
	if (front_kernel_elsewhere()) {
		*ret_mode = 0;
		if (proxy_node(inside + 5, ret_mode, ret_rdev))
			return false;
		*ret_mode = S_IFCHR | (*ret_mode & 07777);
		return true;
	}
	cdev = cdev_lookup(inside + 5);
	if (!cdev)
		return false;
	*ret_mode = S_IFCHR | (cdev->mode & 07777);
	*ret_rdev = cdev->rdev;
	return true;
}

static bool is_attribute(const char *inside, u32 mode)
{
	return S_ISREG(mode) && !strncmp(inside, "/sys/", 5);
}

static void show_node(const struct path *p, struct stat *st)
{
	u32 mode;
	u64 rdev;

	if (is_attribute(p->inside, st->st_mode)) {
		st->st_size = kernfs_attr_size(p->inside, st->st_size);
		st->st_blocks = 0;
	}
	if (!S_ISREG(st->st_mode) || !node_info(p->inside, &mode, &rdev))
		return;
	st->st_mode = S_IFCHR | (st->st_mode & 07777); /* the file's own bits: somebody may have changed them */
	st->st_rdev = rdev;
	st->st_size = 0;
	st->st_blocks = 0;
}

/* A descriptor of ours.  Return: false if it is not. */
static bool stat_file(int fd, struct stat *st, int *ret)
{
	struct file *file = front_fget(fd);

	if (!file)
		return false;
	*ret = do_fstat(file, st);
	fput(file);
	return true;
}

/* A plain descriptor of an attribute: what its real file is called tells. */
static void show_attribute(int fd, struct stat *st)
{
	char name[PATH_MAX];

	if (!*path_machine() || !S_ISREG(st->st_mode) || st->st_dev != path_machine_dev() || path_of_fd(fd, name, sizeof(name)) <= 0)
		return;
	if (is_attribute(name, st->st_mode)) {
		st->st_size = kernfs_attr_size(name, st->st_size);
		st->st_blocks = 0;
	}
}

static int stat_fd(int fd, struct stat *st)
{
	int ret;

	if (stat_file(fd, st, &ret))
		return ret;
	ret = sys_fstat(fd, st);
	if (!ret)
		show_attribute(fd, st);
	return ret;
}

/* /proc/self/fd/N of a file of ours, followed: what N is. */
static int fd_of_name(const char *path)
{
	int fd;

	if ((uintptr_t)path < PAGE_SIZE || path[0] != '/' || (path[1] != 'p' && path[1] != 'd'))
		return -1;
	fd = front_fd_count() ? path_self_fd(path, "fd") : -1;
	return fd_is_ours(fd) ? fd : -1;
}

/* Is the descriptor itself meant? */
static bool no_name(const char *path, int flags)
{
	return (flags & AT_EMPTY_PATH) && (!path || ((uintptr_t)path >= PAGE_SIZE && !*path));
}

static int stat_name(int dir_fd, const char *path, struct stat *st, int flags)
{
	int saved = errno, ret, fd;
	struct path p;

	if (no_name(path, flags) && dir_fd >= 0)
		return (int)front_return(stat_fd(dir_fd, st), saved);
	if (front_resolve(dir_fd, path, &p)) {
		ret = sys_fstatat(p.dir_fd, p.name, st, flags);
		if (!ret)
			show_node(&p, st);
		return (int)front_return(ret, saved);
	}
	fd = flags & AT_SYMLINK_NOFOLLOW ? -1 : fd_of_name(path);
	ret = fd >= 0 ? stat_fd(fd, st) : sys_fstatat(p.dir_fd, p.name, st, flags);
	return (int)front_return(ret, saved);
}

EXPORT int stat(const char *path, struct stat *st) { return stat_name(AT_FDCWD, path, st, 0); }
EXPORT int lstat(const char *path, struct stat *st)
{
	return stat_name(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
EXPORT int fstatat(int dir_fd, const char *path, struct stat *st, int flags)
{
	return stat_name(dir_fd, path, st, flags);
}
EXPORT int fstat(int fd, struct stat *st)
{
	int saved = errno;

	return (int)front_return(stat_fd(fd, st), saved);
}
ALIAS(stat64, stat);
ALIAS(lstat64, lstat);
ALIAS(fstatat64, fstatat);
ALIAS(fstat64, fstat);

/* Their names before glibc 2.33; the first argument is the version of struct stat, of which there is one. */
int __xstat(int ver, const char *path, struct stat *st);
int __lxstat(int ver, const char *path, struct stat *st);
int __fxstat(int ver, int fd, struct stat *st);
int __fxstatat(int ver, int dir_fd, const char *path, struct stat *st, int flags);

EXPORT int __xstat(int ver, const char *path, struct stat *st) { return stat_name(AT_FDCWD, path, st, 0); }
EXPORT int __lxstat(int ver, const char *path, struct stat *st)
{
	return stat_name(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
EXPORT int __fxstat(int ver, int fd, struct stat *st) { return fstat(fd, st); }
EXPORT int __fxstatat(int ver, int dir_fd, const char *path, struct stat *st, int flags)
{
	return stat_name(dir_fd, path, st, flags);
}
ALIAS(__xstat64, __xstat);
ALIAS(__lxstat64, __lxstat);
ALIAS(__fxstat64, __fxstat);
ALIAS(__fxstatat64, __fxstatat);

static int real_statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	return (int)sys_call6(SYS_statx, dir_fd, (long)path, flags, mask, (long)stx, 0);
}

static void statx_device(struct statx *stx, u32 type, u64 rdev)
{
	stx->stx_mode = (u16)((type & S_IFMT) | (stx->stx_mode & 07777));
	stx->stx_rdev_major = major(rdev);
	stx->stx_rdev_minor = minor(rdev);
	stx->stx_size = 0;
	stx->stx_blocks = 0;
}

/* A descriptor of ours: the real one's answer, with what the kernel's part knows put in. */
static bool statx_file(int fd, int flags, unsigned mask, struct statx *stx, int *ret)
{
	struct stat st;
	int err;

	if (!stat_file(fd, &st, &err))
		return false;
	*ret = err ? err : real_statx(fd, "", flags | AT_EMPTY_PATH, mask, stx);
	if (*ret)
		return true;
	stx->stx_mode = (u16)st.st_mode;
	if (!S_ISREG(st.st_mode))
		statx_device(stx, st.st_mode, st.st_rdev);
	else
		stx->stx_size = (u64)st.st_size, stx->stx_blocks = (u64)st.st_blocks;
	return true;
}

static void statx_attribute(int fd, struct statx *stx)
{
	struct stat st = {.st_mode = stx->stx_mode, .st_size = (off_t)stx->stx_size, .st_blocks = (blkcnt_t)stx->stx_blocks,
			  .st_dev = makedev(stx->stx_dev_major, stx->stx_dev_minor)};

	show_attribute(fd, &st);
	stx->stx_size = (u64)st.st_size;
	stx->stx_blocks = (u64)st.st_blocks;
}

EXPORT int statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	int saved = errno, ret, fd;
	struct path p;
	u32 mode;
	u64 rdev;

	if (no_name(path, flags) && statx_file(dir_fd, flags, mask, stx, &ret))
		return (int)front_return(ret, saved);
	if (no_name(path, flags) && dir_fd >= 0) {
		ret = real_statx(dir_fd, path, flags, mask, stx);
		if (!ret)
			statx_attribute(dir_fd, stx);
		return (int)front_return(ret, saved);
	}
	if (!front_resolve(dir_fd, path, &p)) {
		fd = flags & AT_SYMLINK_NOFOLLOW ? -1 : fd_of_name(path);
		if (fd < 0 || !statx_file(fd, flags, mask, stx, &ret))
			ret = real_statx(p.dir_fd, p.name, flags, mask, stx);
		return (int)front_return(ret, saved);
	}
	ret = real_statx(p.dir_fd, p.name, flags, mask, stx);
	if (!ret && is_attribute(p.inside, stx->stx_mode)) {
		stx->stx_size = (u64)kernfs_attr_size(p.inside, (s64)stx->stx_size);
		stx->stx_blocks = 0;
	}
	if (!ret && S_ISREG(stx->stx_mode) && node_info(p.inside, &mode, &rdev))
		statx_device(stx, mode, rdev);
	return (int)front_return(ret, saved);
}

/* ---- statfs -------------------------------------------------------------------------------- */

/* What libudev and others look at to know that they read the real /sys. */
static void show_fs(const char *inside, struct statfs *fs)
{
	if (!strncmp(inside, "/sys", 4))
		fs->f_type = SYSFS_MAGIC;
	else if (!strncmp(inside, "/dev", 4))
		fs->f_type = TMPFS_MAGIC;
}

EXPORT int statfs(const char *path, struct statfs *fs)
{
	struct path p;
	int ret;

	front_resolve(AT_FDCWD, path, &p);
	ret = REAL(statfs)(p.name, fs);
	if (!ret && p.inside)
		show_fs(p.inside, fs);
	return ret;
}
ALIAS(statfs64, statfs);
ALIAS(__statfs, statfs);

/* A descriptor that came out of an ioctl: a file system that is mounted nowhere. */
static bool show_anonymous_fs(int fd, struct statfs *fs)
{
	struct file *file = front_fget(fd);
	bool anonymous;

	if (!file)
		return false;
	anonymous = file_is_anonymous(file);
	if (anonymous)
		*fs = (struct statfs){ .f_type = file->path[0] == '/' ? DMA_BUF_MAGIC : ANON_INODE_FS_MAGIC,
				       .f_bsize = PAGE_SIZE, .f_namelen = NAME_MAX, .f_frsize = PAGE_SIZE };
	fput(file);
	return anonymous;
}

EXPORT int fstatfs(int fd, struct statfs *fs)
{
	char name[PATH_MAX];
	int ret = REAL(fstatfs)(fd, fs);

	if (!ret && show_anonymous_fs(fd, fs))
		return 0;
	if (!ret && *path_machine() && path_of_fd(fd, name, sizeof(name)) > 0)
		show_fs(name, fs);
	return ret;
}
ALIAS(fstatfs64, fstatfs);

/* ---- calls that need the right name only ---------------------------------------------------- */

EXPORT int access(const char *path, int mode)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(access)(p.name, mode);
}

EXPORT int faccessat(int dir_fd, const char *path, int mode, int flags)
{
	struct path p;

	front_resolve(dir_fd, path, &p);
	return REAL(faccessat)(p.dir_fd, p.name, mode, flags);
}

EXPORT int euidaccess(const char *path, int mode)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(euidaccess)(p.name, mode);
}
ALIAS(eaccess, euidaccess);

EXPORT int chmod(const char *path, mode_t mode)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(chmod)(p.name, mode);
}

EXPORT int fchmodat(int dir_fd, const char *path, mode_t mode, int flags)
{
	struct path p;

	front_resolve(dir_fd, path, &p);
	return REAL(fchmodat)(p.dir_fd, p.name, mode, flags);
}

EXPORT int chown(const char *path, uid_t owner, gid_t group)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(chown)(p.name, owner, group);
}

EXPORT int lchown(const char *path, uid_t owner, gid_t group)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(lchown)(p.name, owner, group);
}

EXPORT int fchownat(int dir_fd, const char *path, uid_t owner, gid_t group, int flags)
{
	struct path p;

	front_resolve(dir_fd, path, &p);
	return REAL(fchownat)(p.dir_fd, p.name, owner, group, flags);
}

EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(getxattr)(p.name, name, value, size);
}

EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(lgetxattr)(p.name, name, value, size);
}

EXPORT ssize_t listxattr(const char *path, char *list, size_t size)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(listxattr)(p.name, list, size);
}

EXPORT ssize_t llistxattr(const char *path, char *list, size_t size)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(llistxattr)(p.name, list, size);
}

EXPORT int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(inotify_add_watch)(fd, p.name, mask);
}
