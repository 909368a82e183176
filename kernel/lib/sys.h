/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sys.h - system calls, without libc in between.
 *
 * The kernel part lives in a program whose libc names (open, read, ioctl, mmap, even syscall) are
 * wrapped by our own front end.  Calling them from inside would come back in through the front door:
 * deadlock or endless recursion.  So all of kernel/ and hw/ make system calls through this header only.
 *
 * Each returns the value or -errno and never touches errno, so they may be used in signal handlers
 * and between a program's failed call and its look at errno.  sys_mmap() and sys_mremap() return a
 * pointer that may be ERR_PTR().  No cancellation points, no retry on EINTR.
 */
#ifndef KERNEL_LIB_SYS_H
#define KERNEL_LIB_SYS_H

#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#include "kernel/lib/err.h"

/* Six arguments always: unused ones cost a register move and save us six variants. */
static inline long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#else
#error "sys.h does not know how this processor makes system calls"
#endif
}

#define sys_call(nr, a, b, c, d) sys_call6((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* ---- descriptors ---- */
static inline int sys_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
	return (int)sys_call(SYS_openat, dir_fd, path, flags, mode);
}
static inline int sys_open(const char *path, int flags, mode_t mode)
{
	return sys_openat(AT_FDCWD, path, flags, mode);
}
static inline int sys_close(int fd) { return (int)sys_call(SYS_close, fd, 0, 0, 0); }
static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)sys_call(SYS_close_range, first, last, flags, 0);
}
static inline ssize_t sys_read(int fd, void *buf, size_t len) { return sys_call(SYS_read, fd, buf, len, 0); }
static inline ssize_t sys_write(int fd, const void *buf, size_t len)
{
	return sys_call(SYS_write, fd, buf, len, 0);
}
static inline ssize_t sys_pread(int fd, void *buf, size_t len, off_t off)
{
	return sys_call(SYS_pread64, fd, buf, len, off);
}
static inline ssize_t sys_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return sys_call(SYS_pwrite64, fd, buf, len, off);
}
static inline off_t sys_lseek(int fd, off_t off, int whence) { return sys_call(SYS_lseek, fd, off, whence, 0); }
static inline int sys_ftruncate(int fd, off_t len) { return (int)sys_call(SYS_ftruncate, fd, len, 0, 0); }
static inline long sys_fcntl(int fd, int cmd, long arg) { return sys_call(SYS_fcntl, fd, cmd, arg, 0); }
/* kcmp(KCMP_FILE): 0: descriptors of one open file */
static inline int sys_kcmp_file(int fd1, int fd2)
{
	long pid = sys_call(SYS_getpid, 0, 0, 0, 0);

	return (int)sys_call6(SYS_kcmp, pid, pid, KCMP_FILE, fd1, fd2, 0);
}
static inline int sys_dup(int fd) { return (int)sys_call(SYS_dup, fd, 0, 0, 0); }
static inline int sys_dup3(int from, int to, int flags) { return (int)sys_call(SYS_dup3, from, to, flags, 0); }
static inline long sys_ioctl(int fd, unsigned long cmd, unsigned long arg)
{
	return sys_call(SYS_ioctl, fd, cmd, arg, 0);
}
static inline int sys_flock(int fd, int op) { return (int)sys_call(SYS_flock, fd, op, 0, 0); }
static inline int sys_pipe2(int fds[2], int flags) { return (int)sys_call(SYS_pipe2, fds, flags, 0, 0); }
static inline int sys_memfd_create(const char *name, unsigned flags)
{
	return (int)sys_call(SYS_memfd_create, name, flags, 0, 0);
}
static inline int sys_eventfd2(unsigned initial, int flags)
{
	return (int)sys_call(SYS_eventfd2, initial, flags, 0, 0);
}
static inline ssize_t sys_getdents64(int fd, void *buf, size_t len)
{
	return sys_call(SYS_getdents64, fd, buf, len, 0);
}
struct pollfd;
static inline int sys_ppoll(struct pollfd *fds, unsigned long count, const struct timespec *timeout)
{
	return (int)sys_call6(SYS_ppoll, (long)fds, (long)count, (long)timeout, 0, 0, 0);
}

/* ---- names ---- */
static inline int sys_fstatat(int dir_fd, const char *path, struct stat *st, int flags)
{
	return (int)sys_call(SYS_newfstatat, dir_fd, path, st, flags);
}
static inline int sys_stat(const char *path, struct stat *st) { return sys_fstatat(AT_FDCWD, path, st, 0); }
static inline int sys_lstat(const char *path, struct stat *st)
{
	return sys_fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
static inline int sys_fstat(int fd, struct stat *st) { return (int)sys_call(SYS_fstat, fd, st, 0, 0); }
static inline int sys_faccessat(int dir_fd, const char *path, int mode)
{
	return (int)sys_call(SYS_faccessat, dir_fd, path, mode, 0);
}
static inline int sys_access(const char *path, int mode) { return sys_faccessat(AT_FDCWD, path, mode); }
static inline ssize_t sys_readlinkat(int dir_fd, const char *path, char *buf, size_t size)
{
	return sys_call(SYS_readlinkat, dir_fd, path, buf, size);
}
/** sys_readlink - no NUL is written, as in readlink(2) */
static inline ssize_t sys_readlink(const char *path, char *buf, size_t size)
{
	return sys_readlinkat(AT_FDCWD, path, buf, size);
}
static inline int sys_mkdirat(int dir_fd, const char *path, mode_t mode)
{
	return (int)sys_call(SYS_mkdirat, dir_fd, path, mode, 0);
}
static inline int sys_mkdir(const char *path, mode_t mode) { return sys_mkdirat(AT_FDCWD, path, mode); }
static inline int sys_unlinkat(int dir_fd, const char *path, int flags)
{
	return (int)sys_call(SYS_unlinkat, dir_fd, path, flags, 0);
}
static inline int sys_unlink(const char *path) { return sys_unlinkat(AT_FDCWD, path, 0); }
static inline int sys_rmdir(const char *path) { return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
static inline int sys_symlinkat(const char *target, int dir_fd, const char *path)
{
	return (int)sys_call(SYS_symlinkat, target, dir_fd, path, 0);
}
static inline int sys_symlink(const char *target, const char *path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}
static inline int sys_renameat(int from_dir_fd, const char *from, int to_dir_fd, const char *to)
{
	return (int)sys_call(SYS_renameat2, from_dir_fd, from, to_dir_fd, to);
}
static inline int sys_rename(const char *from, const char *to)
{
	return sys_renameat(AT_FDCWD, from, AT_FDCWD, to);
}
static inline int sys_fchmodat(int dir_fd, const char *path, mode_t mode)
{
	return (int)sys_call(SYS_fchmodat, dir_fd, path, mode, 0);
}
static inline int sys_chmod(const char *path, mode_t mode) { return sys_fchmodat(AT_FDCWD, path, mode); }
static inline int sys_fchmod(int fd, mode_t mode) { return (int)sys_call(SYS_fchmod, fd, mode, 0, 0); }
/** sys_getcwd - Return: length with the NUL. */
static inline long sys_getcwd(char *buf, size_t size) { return sys_call(SYS_getcwd, buf, size, 0, 0); }

/* ---- memory ---- */
static inline void *sys_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return (void *)sys_call6(SYS_mmap, (long)addr, (long)len, prot, flags, fd, off);
}
static inline int sys_munmap(void *addr, size_t len) { return (int)sys_call(SYS_munmap, addr, len, 0, 0); }
static inline int sys_mprotect(void *addr, size_t len, int prot)
{
	return (int)sys_call(SYS_mprotect, addr, len, prot, 0);
}
static inline void *sys_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	return (void *)sys_call6(SYS_mremap, (long)addr, (long)old_len, (long)new_len, flags,
				 (long)new_addr, 0);
}
static inline int sys_madvise(void *addr, size_t len, int advice)
{
	return (int)sys_call(SYS_madvise, addr, len, advice, 0);
}
static inline int sys_mincore(void *addr, size_t len, unsigned char *vec)
{
	return (int)sys_call(SYS_mincore, addr, len, vec, 0);
}

/* ---- process, thread, time ---- */
static inline pid_t sys_getpid(void) { return (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0); }
static inline uid_t sys_geteuid(void) { return (uid_t)sys_call(SYS_geteuid, 0, 0, 0, 0); }
static inline pid_t sys_gettid(void) { return (pid_t)sys_call(SYS_gettid, 0, 0, 0, 0); }
static inline int sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c)
{
	return (int)sys_call6(SYS_prctl, option, (long)a, (long)b, (long)c, 0, 0);
}
static inline int sys_getrlimit(int resource, struct rlimit *ret)
{
	return (int)sys_call(SYS_prlimit64, 0, resource, NULL, ret);
}
/** sys_sigprocmask - @set, @ret_old: masks of the 64 signals, bit n-1 is signal n; either may be NULL */
static inline int sys_sigprocmask(int how, const uint64_t *set, uint64_t *ret_old)
{
	return (int)sys_call(SYS_rt_sigprocmask, how, set, ret_old, sizeof(*set));
}
static inline int sys_clock_gettime(clockid_t clock, struct timespec *ret)
{
	return (int)sys_call(SYS_clock_gettime, clock, ret, 0, 0);
}
static inline int sys_futex(uint32_t *word, int op, uint32_t val, const struct timespec *timeout)
{
	return (int)sys_call(SYS_futex, word, op, val, timeout);
}

/* ---- sockets ---- */
static inline int sys_socket(int family, int type) { return (int)sys_call(SYS_socket, family, type, 0, 0); }
static inline int sys_socketpair(int family, int type, int fds[2])
{
	return (int)sys_call(SYS_socketpair, family, type, 0, fds);
}
static inline ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return sys_call(SYS_sendmsg, fd, msg, flags, 0);
}
static inline ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return sys_call(SYS_recvmsg, fd, msg, flags, 0);
}
static inline int sys_bind(int fd, const struct sockaddr *addr, unsigned len)
{
	return (int)sys_call(SYS_bind, fd, addr, len, 0);
}
static inline int sys_connect(int fd, const struct sockaddr *addr, unsigned len)
{
	return (int)sys_call(SYS_connect, fd, addr, len, 0);
}
static inline int sys_listen(int fd, int backlog) { return (int)sys_call(SYS_listen, fd, backlog, 0, 0); }
static inline int sys_accept4(int fd, int flags) { return (int)sys_call(SYS_accept4, fd, NULL, NULL, flags); }
static inline int sys_shutdown(int fd, int how) { return (int)sys_call(SYS_shutdown, fd, how, 0, 0); }
static inline int sys_setsockopt(int fd, int level, int name, const void *val, unsigned len)
{
	return (int)sys_call6(SYS_setsockopt, fd, level, name, (long)val, (long)len, 0);
}
static inline int sys_getsockopt(int fd, int level, int name, void *val, unsigned *len)
{
	return (int)sys_call6(SYS_getsockopt, fd, level, name, (long)val, (long)len, 0);
}
/** sys_send - no SIGPIPE */
static inline ssize_t sys_send(int fd, const void *buf, size_t len)
{
	return sys_call6(SYS_sendto, fd, (long)buf, (long)len, MSG_NOSIGNAL, 0, 0);
}

#endif
