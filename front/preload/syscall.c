/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscall.c - syscall(): programs and language runtimes that name system calls by number.
 *
 * Those that concern us go to the wrapper of that name, which answers as syscall() does, by -1 and
 * errno.  All others go on untouched.  Numbers that change signal masks or make processes are among the
 * others: who uses them bypasses libc's own idea of both, too.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "front/preload/front.h"

int pidfd_getfd(int pidfd, int fd, unsigned flags); /* newer than the oldest libc that this is built with */

struct args {
	long a, b, c, d, e, f;
};

/* By number it returns the length, by name the buffer. */
static long current_dir(char *buf, size_t size)
{
	return getcwd(buf, size) ? (long)strlen(buf) + 1 : -1;
}

static bool names(long nr, const struct args *x, long *ret)
{
	switch (nr) {
	case SYS_open: *ret = open((const char *)x->a, (int)x->b, (mode_t)x->c); return true;
	case SYS_openat: *ret = openat((int)x->a, (const char *)x->b, (int)x->c, (mode_t)x->d); return true;
	case SYS_creat: *ret = creat((const char *)x->a, (mode_t)x->b); return true;
	case SYS_stat: *ret = stat((const char *)x->a, (struct stat *)x->b); return true;
	case SYS_lstat: *ret = lstat((const char *)x->a, (struct stat *)x->b); return true;
	case SYS_newfstatat:
		*ret = fstatat((int)x->a, (const char *)x->b, (struct stat *)x->c, (int)x->d);
		return true;
	case SYS_statx:
		*ret = statx((int)x->a, (const char *)x->b, (int)x->c, (unsigned)x->d, (struct statx *)x->e);
		return true;
	case SYS_statfs: *ret = statfs((const char *)x->a, (struct statfs *)x->b); return true;
	case SYS_access: *ret = access((const char *)x->a, (int)x->b); return true;
	case SYS_faccessat: *ret = faccessat((int)x->a, (const char *)x->b, (int)x->c, 0); return true;
	case SYS_faccessat2: *ret = faccessat((int)x->a, (const char *)x->b, (int)x->c, (int)x->d); return true;
	case SYS_readlink: *ret = readlink((const char *)x->a, (char *)x->b, (size_t)x->c); return true;
	case SYS_readlinkat:
		*ret = readlinkat((int)x->a, (const char *)x->b, (char *)x->c, (size_t)x->d);
		return true;
	case SYS_getcwd: *ret = current_dir((char *)x->a, (size_t)x->b); return true;
	case SYS_execve: *ret = execve((const char *)x->a, (char *const *)x->b, (char *const *)x->c); return true;
	case SYS_chdir: *ret = chdir((const char *)x->a); return true;
	case SYS_fchdir: *ret = fchdir((int)x->a); return true;
	default: return false;
	}
}

static bool descriptors(long nr, const struct args *x, long *ret)
{
	switch (nr) {
	case SYS_fstat: *ret = fstat((int)x->a, (struct stat *)x->b); return true;
	case SYS_fstatfs: *ret = fstatfs((int)x->a, (struct statfs *)x->b); return true;
	case SYS_close: *ret = close((int)x->a); return true;
	case SYS_close_range: *ret = close_range((unsigned)x->a, (unsigned)x->b, (int)x->c); return true;
	case SYS_dup: *ret = dup((int)x->a); return true;
	case SYS_dup2: *ret = dup2((int)x->a, (int)x->b); return true;
	case SYS_dup3: *ret = dup3((int)x->a, (int)x->b, (int)x->c); return true;
	case SYS_fcntl: *ret = fcntl((int)x->a, (int)x->b, x->c); return true;
	case SYS_ioctl: *ret = ioctl((int)x->a, (unsigned long)x->b, x->c); return true;
	case SYS_lseek: *ret = lseek((int)x->a, x->b, (int)x->c); return true;
	case SYS_read: *ret = read((int)x->a, (void *)x->b, (size_t)x->c); return true;
	case SYS_write: *ret = write((int)x->a, (const void *)x->b, (size_t)x->c); return true;
	case SYS_pread64: *ret = pread((int)x->a, (void *)x->b, (size_t)x->c, x->d); return true;
	case SYS_pwrite64: *ret = pwrite((int)x->a, (const void *)x->b, (size_t)x->c, x->d); return true;
	case SYS_readv: *ret = readv((int)x->a, (const struct iovec *)x->b, (int)x->c); return true;
	case SYS_writev: *ret = writev((int)x->a, (const struct iovec *)x->b, (int)x->c); return true;
	case SYS_preadv: *ret = preadv((int)x->a, (const struct iovec *)x->b, (int)x->c, x->d); return true;
	case SYS_pwritev: *ret = pwritev((int)x->a, (const struct iovec *)x->b, (int)x->c, x->d); return true;
	case SYS_preadv2: /* the upper half of the offset comes by itself */
		*ret = preadv2((int)x->a, (const struct iovec *)x->b, (int)x->c, x->d, (int)x->f);
		return true;
	case SYS_pwritev2:
		*ret = pwritev2((int)x->a, (const struct iovec *)x->b, (int)x->c, x->d, (int)x->f);
		return true;
	case SYS_sendmsg: *ret = sendmsg((int)x->a, (const struct msghdr *)x->b, (int)x->c); return true;
	case SYS_recvmsg: *ret = recvmsg((int)x->a, (struct msghdr *)x->b, (int)x->c); return true;
	case SYS_wait4: *ret = wait4((pid_t)x->a, (int *)x->b, (int)x->c, (struct rusage *)x->d); return true;
	case SYS_waitid:
		*ret = x->e ? 0 : waitid((idtype_t)x->a, (id_t)x->b, (siginfo_t *)x->c, (int)x->d);
		return !x->e; /* libc has none that tells of resources */
	case SYS_pidfd_getfd: *ret = pidfd_getfd((int)x->a, (int)x->b, (unsigned)x->c); return true;
	case SYS_ftruncate: *ret = ftruncate((int)x->a, x->b); return true;
	case SYS_fsync: *ret = fsync((int)x->a); return true;
	case SYS_fdatasync: *ret = fdatasync((int)x->a); return true;
	case SYS_fallocate: *ret = fallocate((int)x->a, (int)x->b, x->c, x->d); return true;
	default: return false;
	}
}

static bool memory(long nr, const struct args *x, long *ret)
{
	switch (nr) {
	case SYS_mmap:
		*ret = (long)mmap((void *)x->a, (size_t)x->b, (int)x->c, (int)x->d, (int)x->e, x->f);
		return true;
	case SYS_munmap: *ret = munmap((void *)x->a, (size_t)x->b); return true;
	case SYS_mprotect: *ret = mprotect((void *)x->a, (size_t)x->b, (int)x->c); return true;
	case SYS_mremap:
		*ret = (long)mremap((void *)x->a, (size_t)x->b, (size_t)x->c, (int)x->d, (void *)x->e);
		return true;
	case SYS_madvise: *ret = madvise((void *)x->a, (size_t)x->b, (int)x->c); return true;
	case SYS_msync: *ret = msync((void *)x->a, (size_t)x->b, (int)x->c); return true;
	case SYS_mlock: /* not by libc's name: sanitizers make that do nothing */
	case SYS_munlock:
	case SYS_mlock2: *ret = 0; return front_range_is_ours((void *)x->a, (size_t)x->b);
	default: return false;
	}
}

/* What restricts where a path may lead has no effect in the machine: nothing there leads out. */
static bool open_how(const struct args *x, long *ret)
{
	const struct open_how *how = (const struct open_how *)x->c;
	struct path p;

	if (!how || (size_t)x->d < sizeof(*how) || !front_resolve((int)x->a, (const char *)x->b, &p))
		return false;
	*ret = openat((int)x->a, (const char *)x->b, (int)how->flags, (mode_t)how->mode);
	return true;
}

EXPORT long syscall(long nr, ...)
{
	struct args x;
	va_list ap;
	long ret;

	va_start(ap, nr);
	x.a = va_arg(ap, long);
	x.b = va_arg(ap, long);
	x.c = va_arg(ap, long);
	x.d = va_arg(ap, long);
	x.e = va_arg(ap, long);
	x.f = va_arg(ap, long);
	va_end(ap);
	if (likely(!*path_machine()))
		return REAL(syscall)(nr, x.a, x.b, x.c, x.d, x.e, x.f);
	if (descriptors(nr, &x, &ret) || names(nr, &x, &ret) || memory(nr, &x, &ret) ||
	    (nr == SYS_openat2 && open_how(&x, &ret)))
		return ret;
	return REAL(syscall)(nr, x.a, x.b, x.c, x.d, x.e, x.f);
}
