/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refuse.c - calls that are for files with content: a device has none, and Linux says so.
 *
 * Attributes and files of /proc are real memory files behind their descriptor: for them the call goes on.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/syscall/syscall.h"

/* @err if @fd is a device's; 0: not our business. */
static int refused(int fd, const char *call, int err)
{
	struct file *file = front_fget(fd);
	int ret;

	if (likely(!file))
		return 0;
	ret = do_content(fd, file, call, err);
	fput(file);
	return ret;
}

EXPORT int ftruncate(int fd, off_t len)
{
	int saved = errno, err = refused(fd, "ftruncate", -EINVAL);

	return err ? (int)front_return(err, saved) : REAL(ftruncate)(fd, len);
}
ALIAS(ftruncate64, ftruncate);

EXPORT int fsync(int fd)
{
	int saved = errno, err = refused(fd, "fsync", -EINVAL);

	return err ? (int)front_return(err, saved) : REAL(fsync)(fd);
}

EXPORT int fdatasync(int fd)
{
	int saved = errno, err = refused(fd, "fdatasync", -EINVAL);

	return err ? (int)front_return(err, saved) : REAL(fdatasync)(fd);
}

/* It looks at its arguments before the file. */
static int fallocate_errno(int mode, off_t off, off_t len)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |
			  FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;

	if (off < 0 || len <= 0)
		return -EINVAL;
	return mode & ~known ? -EOPNOTSUPP : -ENODEV;
}

EXPORT int fallocate(int fd, int mode, off_t off, off_t len)
{
	int saved = errno, err = refused(fd, "fallocate", fallocate_errno(mode, off, len));

	return err ? (int)front_return(err, saved) : REAL(fallocate)(fd, mode, off, len);
}
ALIAS(fallocate64, fallocate);

/* Returns the error, and leaves errno alone. */
EXPORT int posix_fallocate(int fd, off_t off, off_t len)
{
	int err = refused(fd, "posix_fallocate", fallocate_errno(0, off, len));

	return err ? -err : REAL(posix_fallocate)(fd, off, len);
}
ALIAS(posix_fallocate64, posix_fallocate);

EXPORT ssize_t readahead(int fd, off_t off, size_t len)
{
	int saved = errno, err = refused(fd, "readahead", -EINVAL);

	return err ? front_return(err, saved) : REAL(readahead)(fd, off, len);
}

EXPORT int sync_file_range(int fd, off_t off, off_t len, unsigned flags)
{
	int saved = errno, err = refused(fd, "sync_file_range", -ESPIPE);

	return err ? (int)front_return(err, saved) : REAL(sync_file_range)(fd, off, len, flags);
}

/* Advice is good for files of any kind; what stands behind our numbers is not asked.  Returns the error. */
EXPORT int posix_fadvise(int fd, off_t off, off_t len, int advice)
{
	struct file *file = front_fget(fd);
	bool ours;

	ours = file && file->f_op->kind != FILE_SYSFS && file->f_op->kind != FILE_PROC;
	fput(file);
	if (!ours)
		return REAL(posix_fadvise)(fd, off, len, advice);
	return len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE ? EINVAL : 0;
}
ALIAS(posix_fadvise64, posix_fadvise);

static bool is_stream(int fd)
{
	struct file *file = front_fget(fd);
	bool stream;

	if (!file)
		return false;
	stream = file->f_op->stream;
	fput(file);
	return stream;
}

EXPORT ssize_t sendfile(int to, int from, off_t *off, size_t len)
{
	int saved = errno, err = refused(from, "sendfile", off && is_stream(from) ? -ESPIPE : -EINVAL);

	if (!err)
		err = refused(to, "sendfile", -EINVAL);
	return err ? front_return(err, saved) : REAL(sendfile)(to, from, off, len);
}
ALIAS(sendfile64, sendfile);

EXPORT ssize_t splice(int from, off_t *from_off, int to, off_t *to_off, size_t len, unsigned flags)
{
	int saved = errno, err = refused(from, "splice", -EINVAL);

	if (!err)
		err = refused(to, "splice", -EINVAL);
	return err ? front_return(err, saved) : REAL(splice)(from, from_off, to, to_off, len, flags);
}

EXPORT ssize_t tee(int from, int to, size_t len, unsigned flags)
{
	int saved = errno, err = refused(from, "tee", -EINVAL);

	if (!err)
		err = refused(to, "tee", -EINVAL);
	return err ? front_return(err, saved) : REAL(tee)(from, to, len, flags);
}

EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t count, unsigned flags)
{
	int saved = errno, err = refused(fd, "vmsplice", -EBADF);

	return err ? front_return(err, saved) : REAL(vmsplice)(fd, iov, count, flags);
}

EXPORT ssize_t copy_file_range(int from, off_t *from_off, int to, off_t *to_off, size_t len, unsigned flags)
{
	int saved = errno, err = refused(from, "copy_file_range", -EINVAL);

	if (!err)
		err = refused(to, "copy_file_range", -EINVAL);
	return err ? front_return(err, saved) : REAL(copy_file_range)(from, from_off, to, to_off, len, flags);
}
