/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io.c - read, write, lseek and ioctl, in all forms.
 *
 * For a descriptor that is not ours each costs one look into a table.  The vector forms go segment by
 * segment and stop at the first that comes back short, as Linux does for files without their own.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/syscall/syscall.h"

/* ---- one buffer ---------------------------------------------------------------------------- */

static ssize_t file_rw(int fd, struct file *file, void *buf, size_t len, const u64 *pos, bool write)
{
	FRONT_IN_KERNEL;
	int saved = errno;
	ssize_t ret;

	if (pos && (s64)*pos < 0)
		ret = -EINVAL;
	else
		ret = write ? do_write(fd, file, buf, len, pos) : do_read(fd, file, buf, len, pos);
	fput(file);
	return front_return(ret, saved);
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct file *file = front_fget(fd);

	return likely(!file) ? REAL(read)(fd, buf, len) : file_rw(fd, file, buf, len, NULL, false);
}
ALIAS(softvfio_read, read);

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct file *file = front_fget(fd);

	return likely(!file) ? REAL(write)(fd, buf, len) : file_rw(fd, file, (void *)buf, len, NULL, true);
}
ALIAS(softvfio_write, write);

EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	struct file *file = front_fget(fd);
	u64 pos = (u64)off;

	return likely(!file) ? REAL(pread)(fd, buf, len, off) : file_rw(fd, file, buf, len, &pos, false);
}
ALIAS(softvfio_pread, pread);

EXPORT ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	struct file *file = front_fget(fd);
	u64 pos = (u64)off;

	return likely(!file) ? REAL(pwrite)(fd, buf, len, off) : file_rw(fd, file, (void *)buf, len, &pos, true);
}
ALIAS(softvfio_pwrite, pwrite);

ALIAS(__read, read);
ALIAS(__write, write);
ALIAS(pread64, pread);
ALIAS(__pread64, pread);
ALIAS(pwrite64, pwrite);
ALIAS(__pwrite64, pwrite);

/* What fortified programs call: the size of the buffer is known to the compiler. */
void __chk_fail(void) __attribute__((noreturn));
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);

EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	if (len > size)
		__chk_fail();
	return read(fd, buf, len);
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size)
{
	if (len > size)
		__chk_fail();
	return pread(fd, buf, len, off);
}
ALIAS(__pread64_chk, __pread_chk);

/* ---- vectors ------------------------------------------------------------------------------- */

/* All segments are looked at before any is used: a bad one fails the call as a whole. */
static int check_vector(const struct iovec *iov, int count)
{
	struct iovec part;
	size_t total = 0;

	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		if (guard_copy(&part, &iov[i], sizeof(part)))
			return -EFAULT;
		if ((ssize_t)part.iov_len < 0 || __builtin_add_overflow(total, part.iov_len, &total) || (ssize_t)total < 0)
			return -EINVAL;
	}
	return 0;
}

static ssize_t vector_rw(int fd, struct file *file, const struct iovec *iov, int count, const u64 *pos,
			 bool write)
{
	ssize_t done = 0, n, err = check_vector(iov, count);
	u64 at = pos ? *pos : 0;
	struct iovec part;

	for (int i = 0; !err && i < count; i++) {
		if (guard_copy(&part, &iov[i], sizeof(part)))
			return done ? done : -EFAULT;
		if (!part.iov_len)
			continue;
		n = write ? do_write(fd, file, part.iov_base, part.iov_len, pos ? &at : NULL) :
			    do_read(fd, file, part.iov_base, part.iov_len, pos ? &at : NULL);
		if (n < 0)
			return done ? done : n;
		done += n;
		at += (u64)n;
		if ((size_t)n < part.iov_len)
			break;
	}
	return err ? err : done;
}

/* @file: what front_fget() found, not NULL.  @flags: RWF_ */
static ssize_t file_vector(int fd, struct file *file, const struct iovec *iov, int count, const u64 *pos,
			   bool write, int flags)
{
	FRONT_IN_KERNEL;
	int saved = errno;
	ssize_t ret;

	ret = do_rw_check(file, pos, write);
	if (!ret && (flags & ~RWF_HIPRI) && file->f_op->kind != FILE_SYSFS)
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = vector_rw(fd, file, iov, count, pos, write);
	fput(file);
	return front_return(ret, saved);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
	struct file *file = front_fget(fd);

	return likely(!file) ? REAL(readv)(fd, iov, count) : file_vector(fd, file, iov, count, NULL, false, 0);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	struct file *file = front_fget(fd);

	return likely(!file) ? REAL(writev)(fd, iov, count) : file_vector(fd, file, iov, count, NULL, true, 0);
}

EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count, off_t off)
{
	struct file *file = front_fget(fd);
	u64 pos = (u64)off;

	return likely(!file) ? REAL(preadv)(fd, iov, count, off) : file_vector(fd, file, iov, count, &pos, false, 0);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	struct file *file = front_fget(fd);
	u64 pos = (u64)off;

	return likely(!file) ? REAL(pwritev)(fd, iov, count, off) : file_vector(fd, file, iov, count, &pos, true, 0);
}

/* An offset of -1 is the file position here. */
EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t off, int flags)
{
	struct file *file = front_fget(fd);
	u64 pos = (u64)off;

	return likely(!file) ? REAL(preadv2)(fd, iov, count, off, flags) :
			       file_vector(fd, file, iov, count, off == -1 ? NULL : &pos, false, flags);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t off, int flags)
{
	struct file *file = front_fget(fd);
	u64 pos = (u64)off;

	return likely(!file) ? REAL(pwritev2)(fd, iov, count, off, flags) :
			       file_vector(fd, file, iov, count, off == -1 ? NULL : &pos, true, flags);
}

ALIAS(preadv64, preadv);
ALIAS(pwritev64, pwritev);
ALIAS(preadv64v2, preadv2);
ALIAS(pwritev64v2, pwritev2);

/* ---- position ------------------------------------------------------------------------------ */

EXPORT off_t lseek(int fd, off_t off, int whence)
{
	int saved = errno;
	struct file *file = front_fget(fd);
	s64 ret;

	if (likely(!file))
		return REAL(lseek)(fd, off, whence);
	ret = do_lseek(fd, file, off, whence);
	fput(file);
	return front_return(ret, saved);
}
ALIAS(lseek64, lseek);
ALIAS(__lseek, lseek);
ALIAS(llseek, lseek);

/* ---- ioctl --------------------------------------------------------------------------------- */

/* A few codes belong to the descriptor, whatever file is behind it. */
static bool descriptor_ioctl(int fd, struct file *file, unsigned request, unsigned long arg, long *ret)
{
	const int block_size = PAGE_SIZE; /* of devtmpfs and of anonymous inodes */
	int on;

	switch (request) {
	case FIOCLEX:
	case FIONCLEX:
		*ret = sys_ioctl(fd, request, arg);
		return true;
	case FIONBIO:
		*ret = guard_copy(&on, (void *)arg, sizeof(on));
		if (!*ret)
			file->f_flags = on ? file->f_flags | O_NONBLOCK : file->f_flags & ~(unsigned)O_NONBLOCK;
		return true;
	case FIOASYNC: /* no file of ours sends signals */
		*ret = guard_copy(&on, (void *)arg, sizeof(on));
		if (!*ret && on)
			*ret = -ENOTTY;
		return true;
	case FIGETBSZ:
		*ret = guard_copy((void *)arg, &block_size, sizeof(block_size));
		return true;
	case FIOQSIZE: /* of files in a file system */
		*ret = -ENOTTY;
		return true;
	default:
		return false;
	}
}

static long file_ioctl(int fd, struct file *file, unsigned request, unsigned long arg)
{
	FRONT_IN_KERNEL;
	long ret;

	if (!descriptor_ioctl(fd, file, request, arg, &ret))
		ret = do_ioctl(fd, file, request, arg);
	fput(file);
	return ret;
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	int saved = errno;
	unsigned long arg;
	struct file *file;
	va_list ap;
	long ret;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	file = front_fget(fd);
	if (likely(!file)) {
		if (front_kvm_ioctl(fd, request, arg, &ret))
			return (int)front_return(ret, saved);
		return REAL(ioctl)(fd, request, arg);
	}
	return (int)front_return(file_ioctl(fd, file, (unsigned)request, arg), saved);
}
ALIAS(softvfio_ioctl, ioctl);
