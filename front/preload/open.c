/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open.c - open() and fopen() under all their names.
 *
 * Three things can stand behind a name of the machine.  A device node or an attribute that a program
 * wants to write belongs to the kernel: building the machine is worth it.  Anything that is only
 * read is a real file in the machine's directory, always true, and opened as such: a program
 * that looks around in /sys costs nothing.  Config space is in between: the file is what it was at the
 * last change, the kernel, once there, knows better.
 *
 * stdio writes with libc's own write(), which no wrapper sees: what it wrote to an attribute is
 * carried out after fflush() and fclose(), whose result then tells the program.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/fs/kernfs.h"
#include "kernel/fs/pagemap.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/sys.h"
#include "kernel/syscall/syscall.h"
#include "machine/machine.h"

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && !strcmp(name + n - e, end);
}

/* The file in the machine's directory itself.  Programs make no files there, and cut none short. */
static int open_plain(const struct path *p, int flags)
{
	int fd = sys_open(p->name, flags & ~(O_CREAT | O_EXCL | O_TRUNC), 0);

	if (fd >= 0 && (flags & (O_DIRECTORY | O_PATH)))
		path_dir_opened(p, p->inside);
	return fd;
}

/* Return: a descriptor; -ENOSYS the real file answers; -errno. */
static int attach_and_open(const char *inside, int flags)
{
	FRONT_IN_KERNEL;
	struct file *file;
	int err = front_attach(), fd;

	if (!err)
		err = do_open(inside, (unsigned)flags, &file);
	if (err)
		return err;
	fd = front_fd_open(file, flags & O_CLOEXEC);
	if (fd < 0)
		fput(file);
	return fd;
}

static int open_with_kernel(const struct path *p, int flags)
{
	bool node = !strncmp(p->inside, "/dev/", 5);
	int fd = attach_and_open(p->inside, flags);

	/* Another process made the node after we looked what is bound: look again.  It may be gone as well. */
	if (fd == -ENOSYS && node)
		fd = attach_and_open(p->inside, flags);
	if (fd == -ENOSYS)
		return node ? fail(-ENXIO, "%s comes or goes at this moment", p->inside) : open_plain(p, flags);
	return fd;
}

/* What the device says now, where this process has it; all other files are as true as they are on disk. */
static bool is_live(const char *inside)
{
	static const char *const names[] = { "/config", "/vpd", "/power_state", "/enable", "/aer_dev_correctable",
					     "/aer_dev_nonfatal", "/aer_dev_fatal" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (ends_with(inside, names[i]))
			return true;
	return false;
}

/* What is to fail: any process changes it, by failing; it is in memory that all share. */
static bool is_everybodys(const char *inside)
{
	return !strncmp(inside, "/sys/kernel/debug/fail", 22);
}

/* No plain file can refuse to be read. */
static bool is_unreadable(const char *inside)
{
	return ends_with(inside, "/power/autosuspend_delay_ms");
}

static __attribute__((cold)) void say_no_node(const char *name, int flags)
{
	const char *of = strncmp(name, "/dev/vfio/devices/", 18) ? "group of which a device is" : "device that is";

	explain_begin();
	(void)fail(-ENOENT, "/dev/vfio has a node for each %s bound to vfio-pci", of);
	do_open_refused(name, (unsigned)flags, -ENOENT);
}

static int open_inside(const struct path *p, int flags)
{
	bool follow = !(flags & O_NOFOLLOW), reads_only = (flags & O_ACCMODE) == O_RDONLY;
	struct stat st;
	int err = sys_fstatat(AT_FDCWD, p->name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW);

	if (err == -ENOENT && !strncmp(p->inside, "/dev/vfio/", 10) && (explain_enabled || trace_enabled))
		say_no_node(p->inside, flags);
	if (err) /* not to be opened any more: a node that appears now is none of a plain file's */
		return err == -ENOENT && (flags & O_CREAT) ? -EACCES : err;
	if (!S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode))
			path_dir_opened(p, p->inside);
		return open_plain(p, flags);
	}
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (flags & (O_PATH | O_DIRECTORY))
		return open_plain(p, flags);
	if (strncmp(p->inside, "/sys/", 5))
		return open_with_kernel(p, flags);
	/* A file that nobody may read says so to root too: the kernel's part knows how. */
	if (reads_only && (st.st_mode & 0444) && !(front_attached() && is_live(p->inside)) && !is_everybodys(p->inside) &&
	    !is_unreadable(p->inside))
		return open_plain(p, flags);
	return open_with_kernel(p, flags);
}

/* The usual four lines; position and flags are not those of the real descriptor.  Return: length; -errno. */
static ssize_t fdinfo_head(const char *path, int flags, int of, struct file *file, char *text, size_t size)
{
	int real = sys_open(path, flags, 0), len;
	char usual[256] = "", *rest, *end;

	if (real < 0)
		return real;
	if (sys_read(real, usual, sizeof(usual) - 1) < 0)
		usual[0] = '\0';
	sys_close(real);
	rest = strstr(usual, "mnt_id:");
	end = strstr(usual, "ino:");
	end = end ? strchr(end, '\n') : NULL;
	if (end)
		end[1] = '\0'; /* behind it are locks, and what an eventfd of ours tells */
	len = snprintf(text, size, "pos:\t%llu\nflags:\t0%lo\n%s", (unsigned long long)atomic_load(&file->f_pos),
		       front_file_flags(file) | (sys_fcntl(of, F_GETFD, 0) == FD_CLOEXEC ? O_CLOEXEC : 0), rest ? rest : "");
	return min((ssize_t)len, (ssize_t)size);
}

/* /proc/self/fdinfo/N of a file of ours.  -ENOENT: it is not that. */
static int open_fdinfo(const char *path, int flags)
{
	int of = path_self_fd(path, "fdinfo"), fd;
	struct file *file;
	char text[4096];
	ssize_t len;

	if (of < 0)
		return -ENOENT;
	file = front_fget(of);
	if (!file)
		return -ENOENT;
	if (file->f_op->kind == FILE_SYSFS || file->f_op->kind == FILE_PROC) {
		fput(file);
		return -ENOENT;
	}
	len = fdinfo_head(path, flags, of, file, text, sizeof(text) / 2);
	if (len < 0) {
		fput(file);
		return (int)len;
	}
	fd = file->f_op->fdinfo ? file->f_op->fdinfo(file, text + len, sizeof(text) - (size_t)len) : 0;
	len += fd > 0 ? min((ssize_t)fd, (ssize_t)sizeof(text) - len) : 0;
	fput(file);
	fd = sys_memfd_create("fdinfo", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	sys_write(fd, text, (size_t)len);
	sys_lseek(fd, 0, SEEK_SET);
	return fd;
}

/* /proc/self/fd/N and /dev/fd/N of a device node: open it anew.  -ENOENT: it is not that. */
static int open_again(const char *path, int flags)
{
	int of = path_self_fd(path, "fd");
	struct file *file = of < 0 ? NULL : front_fget(of);
	char name[PATH_MAX];

	if (!file)
		return -ENOENT;
	snprintf(name, sizeof(name), "%s", file->path);
	fput(file);
	if (name[0] != '/')
		return -ENXIO; /* an anonymous file cannot be opened by name */
	of = front_open(AT_FDCWD, name, flags, 0);
	return of < 0 ? -errno : of;
}

/*
 * /proc/self/pagemap: without an IOMMU a program's physical addresses are what our devices use.
 * -ENOENT: it is not that, or the machine has an IOMMU and they are nobody's business.
 */
static int open_pagemap(const char *path, int flags)
{
	if (!path_is_pagemap(path) || front_attach() || front_kernel_elsewhere() || machine_has_iommu())
		return -ENOENT;
	return attach_and_open(PAGEMAP_PATH, flags);
}

/* A task's fail-nth or make-it-fail.  -ENOENT: it is not that, or there is no such task. */
static int open_fault_file(int dir_fd, const char *path, int flags)
{
	char name[64];
	int fd;

	if (!path_is_fault_file(dir_fd, path, name, sizeof(name)))
		return -ENOENT;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	fd = front_kernel_elsewhere() ? fail(-EBUSY, "a forked child whose parent has the machine orders no faults") :
	     attach_and_open(name, flags);
	return fd == -ENOSYS ? -EINVAL : fd; /* O_PATH: there is nothing that it could name */
}

/* Names that are the host's and stand for something of ours.  Return: a descriptor; -errno; -ENOENT: no such. */
static int open_proc(int dir_fd, const char *path, int flags)
{
	pid_t pid;
	int fd;

	if ((uintptr_t)path < PAGE_SIZE || !*path_machine())
		return -ENOENT;
	if (path[0] != '/')
		return path_may_be_near(dir_fd) ? open_fault_file(dir_fd, path, flags) : -ENOENT;
	if (path[1] != 'p' && path[1] != 'd')
		return -ENOENT;
	pid = path_status_of(path);
	fd = pid ? front_open_status(path, pid, flags) : open_pagemap(path, flags);
	if (fd == -ENOENT)
		fd = open_fault_file(dir_fd, path, flags);
	if (fd != -ENOENT || !front_fd_count())
		return fd;
	fd = open_fdinfo(path, flags);
	return fd == -ENOENT && !(flags & (O_PATH | O_NOFOLLOW)) ? open_again(path, flags) : fd;
}

int front_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	int saved = errno, fd;
	struct path p;

	if (front_resolve(dir_fd, path, &p))
		return (int)front_return(open_inside(&p, flags), saved);
	fd = open_proc(dir_fd, path, flags);
	if (fd != -ENOENT)
		return (int)front_return(fd, saved);
	fd = p.dir_fd == AT_FDCWD ? REAL(open)(p.name, flags, mode) : REAL(openat)(p.dir_fd, p.name, flags, mode);
	if (fd >= 0 && (flags & (O_DIRECTORY | O_PATH)))
		path_dir_opened(&p, path);
	return fd;
}

/* ---- open() ------------------------------------------------------------------------------- */

#define MODE_ARG(flags_, last_) ({						\
	mode_t mode_ = 0;							\
	if (((flags_) & O_CREAT) || ((flags_) & O_TMPFILE) == O_TMPFILE) {	\
		va_list ap_;							\
		va_start(ap_, last_);						\
		mode_ = va_arg(ap_, mode_t);					\
		va_end(ap_);							\
	}									\
	mode_;									\
})

EXPORT int open(const char *path, int flags, ...)
{
	return front_open(AT_FDCWD, path, flags, MODE_ARG(flags, flags));
}
ALIAS(softvfio_open, open);
ALIAS(open64, open);
ALIAS(__open, open);
ALIAS(__open64, open);

EXPORT int openat(int dir_fd, const char *path, int flags, ...)
{
	return front_open(dir_fd, path, flags, MODE_ARG(flags, flags));
}
ALIAS(openat64, openat);

EXPORT int creat(const char *path, mode_t mode)
{
	return front_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
ALIAS(creat64, creat);

/* What fortified programs call when they give no mode. */
int __open_2(const char *path, int flags);
int __openat_2(int dir_fd, const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
	return front_open(AT_FDCWD, path, flags, 0);
}
ALIAS(__open64_2, __open_2);

EXPORT int __openat_2(int dir_fd, const char *path, int flags)
{
	return front_open(dir_fd, path, flags, 0);
}
ALIAS(__openat64_2, __openat_2);

/* ---- stdio --------------------------------------------------------------------------------- */

static int flags_of_mode(const char *mode)
{
	int flags = mode[0] == 'r' ? O_RDONLY : mode[0] == 'w' ? O_WRONLY | O_CREAT | O_TRUNC :
		    mode[0] == 'a' ? O_WRONLY | O_CREAT | O_APPEND : -1;

	for (const char *m = mode; *m && *m != ',' && flags >= 0; m++) {
		if (*m == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (*m == 'e')
			flags |= O_CLOEXEC;
		else if (*m == 'x')
			flags |= O_EXCL;
	}
	return flags;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
	int saved = errno, flags, fd;
	struct path p;
	FILE *stream;

	if (front_resolve(AT_FDCWD, path, &p)) {
		flags = flags_of_mode(mode);
		fd = flags < 0 ? -EINVAL : open_inside(&p, flags);
	} else {
		flags = flags_of_mode(mode);
		fd = open_proc(AT_FDCWD, path, flags < 0 ? O_RDONLY : flags);
		if (fd == -ENOENT)
			return REAL(fopen)(p.name, mode);
	}
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	stream = fdopen(fd, mode);
	if (!stream) {
		saved = errno;
		close(fd);
	}
	errno = saved;
	return stream;
}
ALIAS(fopen64, fopen);

/* The descriptor behind a stream, if that is any of our business. */
static int stream_fd(FILE *stream)
{
	int saved = errno, fd = fileno(stream);

	errno = saved;
	return fd >= 0 && (fd_is_ours(fd) || front_in_child) ? fd : -1;
}

EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	int old = stream_fd(stream), fd = -1;
	struct file *replaced = NULL, *file;
	struct path p;
	FILE *ret;

	if (path && front_resolve(AT_FDCWD, path, &p)) {
		fd = flags_of_mode(mode) < 0 ? -EINVAL : open_inside(&p, flags_of_mode(mode) | O_CLOEXEC);
		if (fd < 0) {
			REAL(fclose)(stream);
			errno = -fd;
			return NULL;
		}
	}
	if (old >= 0) {
		REAL(fflush)(stream);
		replaced = front_fd_forget(old, NULL);
	}
	/* The stream gets a number of its own by opening something harmless; then that number is made ours. */
	ret = REAL(freopen)(fd >= 0 ? "/dev/null" : path, mode, stream);
	front_fd_gone(old, replaced);
	if (fd < 0)
		return ret;
	if (ret) {
		file = front_fget(fd);
		FORK_CHANGE;
		sys_dup3(fd, fileno(ret), strchr(mode, 'e') ? O_CLOEXEC : 0);
		if (file)
			front_fd_install(fileno(ret), file);
	}
	close(fd);
	return ret;
}
ALIAS(freopen64, freopen);

EXPORT int fclose(FILE *stream)
{
	int saved = errno, fd = stream_fd(stream), err, ret;
	struct file *file;

	if (likely(fd < 0))
		return REAL(fclose)(stream);
	REAL(fflush)(stream);
	file = front_fd_forget(fd, &err);
	ret = REAL(fclose)(stream);
	front_fd_gone(fd, file);
	if (!ret && err) {
		errno = -err;
		return EOF;
	}
	if (!ret)
		errno = saved;
	return ret;
}

static int flush(FILE *stream, int (*real)(FILE *))
{
	int ret = real(stream), fd, err = 0;
	struct file *file;

	if (!stream) {
		err = front_fd_count() ? front_flush_attributes() : 0;
	} else {
		fd = stream_fd(stream);
		file = fd >= 0 ? front_fget(fd) : NULL;
		if (file) {
			FRONT_IN_KERNEL;

			err = file_flush(file);
			fput(file);
		}
	}
	if (ret || !err)
		return ret;
	if (stream)
		stream->_flags |= _IO_ERR_SEEN; /* bash looks at ferror() only */
	errno = -err;
	return EOF;
}

EXPORT int fflush(FILE *stream)
{
	return flush(stream, REAL(fflush));
}

EXPORT int fflush_unlocked(FILE *stream)
{
	return flush(stream, REAL(fflush_unlocked));
}

/* An unbuffered stream has written when this returns, and its program (tee) looks for errors nowhere else. */
static size_t written(FILE *stream, size_t items)
{
	if (likely(!front_fd_count()) || stream_fd(stream) < 0 || __fpending(stream))
		return items;
	return flush(stream, REAL(fflush_unlocked)) ? 0 : items;
}

EXPORT size_t fwrite(const void *data, size_t size, size_t items, FILE *stream)
{
	return written(stream, REAL(fwrite)(data, size, items, stream));
}

#undef fwrite_unlocked /* a macro of optimised builds */
EXPORT size_t fwrite_unlocked(const void *data, size_t size, size_t items, FILE *stream)
{
	return written(stream, REAL(fwrite_unlocked)(data, size, items, stream));
}
