/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.c - the table of functions behind our names.  real.h tells the idea.
 *
 * Dangerous: a lookup must not be waited for, since a signal handler may need the same one.  So there
 * is no lock: two threads may look up the same name and store the same answer.
 */
#include "front/preload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>

#include "kernel/lib/sys.h"

/* ---- what an allocator may call while dlsym() runs ------------------------------------------ */

static long to_errno(long ret)
{
	if (ret >= 0 || ret < -MAX_ERRNO)
		return ret;
	errno = (int)-ret;
	return -1;
}

/* Variadic ones are called with their third argument in its register, whether or not it means anything. */
static int direct_open(const char *path, int flags, mode_t mode)
{
	return (int)to_errno(sys_open(path, flags, mode));
}
static int direct_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
	return (int)to_errno(sys_openat(dir_fd, path, flags, mode));
}
static int direct_close(int fd) { return (int)to_errno(sys_close(fd)); }
static ssize_t direct_read(int fd, void *buf, size_t len) { return to_errno(sys_read(fd, buf, len)); }
static ssize_t direct_write(int fd, const void *buf, size_t len) { return to_errno(sys_write(fd, buf, len)); }
static int direct_fcntl(int fd, int cmd, long arg) { return (int)to_errno(sys_fcntl(fd, cmd, arg)); }
static void *direct_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return (void *)to_errno((long)sys_mmap(addr, len, prot, flags, fd, off));
}
static int direct_munmap(void *addr, size_t len) { return (int)to_errno(sys_munmap(addr, len)); }
static int direct_mprotect(void *addr, size_t len, int prot)
{
	return (int)to_errno(sys_mprotect(addr, len, prot));
}
static int direct_madvise(void *addr, size_t len, int advice)
{
	return (int)to_errno(sys_madvise(addr, len, advice));
}
static void *direct_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *to)
{
	return (void *)to_errno((long)sys_mremap(addr, old_len, new_len, flags, to));
}
static long direct_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	return to_errno(sys_call6(nr, a, b, c, d, e, f));
}

#define FN(name_) struct real_fn real_##name_ = { .name = #name_ }
#define FN_DIRECT(name_) struct real_fn real_##name_ = { .name = #name_, .direct = direct_##name_ }

FN_DIRECT(open); FN_DIRECT(openat); FN_DIRECT(close); FN_DIRECT(read); FN_DIRECT(write); 
FN_DIRECT(fcntl); FN_DIRECT(mmap); FN_DIRECT(munmap); FN_DIRECT(mprotect); FN_DIRECT(madvise);
FN_DIRECT(mremap); FN_DIRECT(syscall);
/* open.c */
FN(fopen); FN(freopen); FN(fclose); FN(fflush); FN(fflush_unlocked); FN(fwrite); FN(fwrite_unlocked);
/* stat.c */
FN(statfs); FN(fstatfs); FN(access); FN(faccessat); FN(euidaccess);
FN(chmod); FN(fchmodat); FN(chown); FN(lchown); FN(fchownat);
FN(getxattr); FN(lgetxattr); FN(listxattr); FN(llistxattr); FN(inotify_add_watch);
/* dir.c */
FN(readlinkat); FN(realpath); FN(getcwd); FN(chdir); FN(fchdir); FN(opendir); FN(fdopendir);
FN(readdir); FN(rewinddir); FN(closedir); FN(scandir); FN(scandirat); FN(glob);
/* fd.c, io.c */
FN(dup); FN(dup2); FN(dup3); FN(close_range); FN(ioctl); FN(lseek);
FN(pread); FN(pwrite); FN(readv); FN(writev); FN(preadv); FN(pwritev); FN(preadv2); FN(pwritev2);
/* refuse.c, map.c */
FN(ftruncate); FN(fsync); FN(fdatasync); FN(fallocate); FN(posix_fallocate); FN(readahead); FN(sync_file_range); FN(sendfile);
FN(splice); FN(tee); FN(vmsplice); FN(posix_fadvise); FN(copy_file_range); FN(msync); FN(mlock); FN(mlock2); FN(munlock);
/* change.c */
FN(unlink); FN(unlinkat); FN(rmdir); FN(remove); FN(mkdir); FN(mkdirat); FN(mknod); FN(mknodat); FN(mkfifo);
FN(symlink); FN(symlinkat); FN(link); FN(linkat); FN(rename); FN(renameat); FN(renameat2); FN(truncate);
/* preload.c, signal.c, fork.c */
FN(sigaction); FN(pthread_sigmask); FN(pthread_attr_setsigmask_np); FN(sigaltstack); FN(fork); FN(_Fork); FN(_exit);
/* pass.c */
FN(sendmsg); FN(sendmmsg); FN(recvmsg); FN(recvmmsg); FN(posix_spawn); FN(posix_spawnp); FN(pidfd_spawn); FN(pidfd_spawnp);
FN(system); FN(popen);
/* exec.c, wait.c */
FN(execve); FN(execvpe); FN(fexecve); FN(execveat); FN(wait4); FN(waitid);

static long not_there(void)
{
	errno = ENOSYS;
	return -1;
}

void *real_resolve(struct real_fn *real)
{
	static __thread __attribute__((tls_model("initial-exec"))) bool resolving;
	void *fn = __atomic_load_n(&real->fn, __ATOMIC_RELAXED);

	if (fn)
		return fn;
	if (resolving)
		return real->direct ? real->direct : (void *)not_there;
	resolving = true;
	fn = dlsym(RTLD_NEXT, real->name);
	resolving = false;
	if (!fn)
		fn = (void *)not_there;
	__atomic_store_n(&real->fn, fn, __ATOMIC_RELAXED);
	return fn;
}
