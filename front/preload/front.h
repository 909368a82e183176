/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front.h - what the files of the front end share.
 *
 * The front end is the library that LD_PRELOAD brings into a program.  Each wrapper asks one cheap
 * question, "is this path or descriptor ours?", and either passes the call on to libc untouched or
 * makes it a call of kernel/syscall/syscall.h.  Only here do -errno values become errno, and errno is
 * left alone when a call succeeds.
 *
 * Without SOFTVFIO_MACHINE in the environment nothing is ours and every call is passed on.
 */
#ifndef FRONT_PRELOAD_FRONT_H
#define FRONT_PRELOAD_FRONT_H

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kernel/fs/file.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "front/preload/path.h"
#include "front/preload/real.h"

/* ---- preload.c: is there a machine, and is it built? ---- */

/** front_start - read the environment: in our constructor, or at the first path that others' open. */
void front_start(void);
extern bool front_started;
/** front_enter - this process is a program on the machine in @dir from now on.  0; -errno. */
int front_enter(const char *dir);
/** front_leave - undo it; no file of it is open, none mapped, no other thread is in a call. */
void front_leave(void);
/** front_resolve - path_resolve(), at any time. */
static inline bool front_resolve(int dir_fd, const char *path, struct path *p)
{
	if (unlikely(!front_started))
		front_start();
	return path_resolve(dir_fd, path, p);
}
/** front_attached - the machine has been built in this process. */
bool front_attached(void);
/** front_elsewhere - the kernel is another process's from now on: proxy_begin() was called.  This one has none in use. */
void front_elsewhere(void);
/**
 * front_attach - build the machine if it is not; takes over SIGSEGV and SIGBUS first
 * Return: 0; -errno, and a line on stderr has said why.
 */
int front_attach(void);

/* Turn a kernel's answer into libc's: -errno or a result, errno as it was before the call. */
static inline long front_return(long ret, int saved_errno)
{
	if (ret < 0 && ret >= -MAX_ERRNO) {
		errno = (int)-ret;
		return -1;
	}
	errno = saved_errno;
	return ret;
}

/* ---- fd.c: descriptors ---- */

extern bool front_in_child; /* fork.c: this process was forked from one that had built its machine */

/** front_range_is_ours - does memory of a device of ours begin there? */
bool front_range_is_ours(const void *addr, size_t len);
/** front_file_flags - what F_GETFL says of a file of ours. */
long front_file_flags(struct file *file);
/** front_fget - the file behind a descriptor, with a reference; NULL: not ours, pass the call on */
struct file *front_fget_slow(int fd);
static inline struct file *front_fget(int fd)
{
	return likely(!fd_is_ours(fd) && !front_in_child) ? NULL : front_fget_slow(fd);
}
/**
 * front_fd_open - a new descriptor for @file, whose reference it takes over on success
 * Return: the descriptor; -errno.
 */
int front_fd_open(struct file *file, bool cloexec);
/**
 * front_fd_install - descriptor @fd, a dup of another, means @file from now on
 * Takes over the reference, always.  Return: 0; -errno.
 */
int front_fd_install(int fd, struct file *file);
/**
 * front_fd_forget - @fd is about to be closed or replaced
 * What was written to an attribute without our seeing it is carried out first.
 * @ret_err: 0 or the -errno of that; may be NULL
 * Return: the file if it was ours, with a reference for front_fd_gone(); NULL.
 */
struct file *front_fd_forget(int fd, int *ret_err);
/** front_fd_gone - the real descriptor is closed now: release the file if it was the last. */
void front_fd_gone(int fd, struct file *file);
/** front_fd_count - one more than the highest descriptor that ever was ours. */
int front_fd_count(void);
/** front_flush_attributes - carry out what stdio wrote to attributes unseen.  Return: 0; first -errno. */
int front_flush_attributes(void);
void front_fd_init(void);
/** front_fd_adopt - at the start of a program: take over attributes that it inherited for its output. */
void front_fd_adopt(void);

/* ---- fork.c ---- */

/**
 * front_share_files - (pass.c) another process may get all descriptors: files live until that one has closed them too
 * Return: an executed program inherits some.
 */
bool front_share_files(void);
/** front_share_all - and that program finds their kernel. */
void front_share_all(void);
/** front_is_stale - what the table says of @fd was true before the fork only. */
bool front_is_stale(int fd);
/** front_fork_own - @fd means something of this process's own from now on. */
void front_fork_own(int fd);
/** front_kernel_elsewhere - this is a forked child, and the kernel is another process's: proxies lead to it. */
bool front_kernel_elsewhere(void);
void front_fork_init(void);

/* ---- pass.c ---- */

/** front_pass_in_child - after fork: another thread may have been about to find somebody's kernel. */
void front_pass_in_child(void);
/** front_take_inherited - at the start of a program: has it descriptors of another process's files? */
void front_take_inherited(void);

/* ---- map.c ---- */

/** front_map_near - could @addr be in one of our mappings?  Async-signal-safe, no lock. */
bool front_map_near(u64 addr);
/** front_map_any - there is or was a mapping of ours. */
bool front_map_any(void);
/** front_map_restricted - some mapping was asked for without PROT_READ or PROT_WRITE. */
bool front_map_restricted(void);
void front_map_init(void);

/* ---- signal.c ---- */

/** front_signal_install - take SIGSEGV, SIGBUS and SIGILL.  Idempotent; keeps what the program had set. */
void front_signal_install(void);
/** front_signal_in_child - after fork: another thread may have been about to change what the program asked for. */
void front_signal_in_child(void);
/**
 * front_signal_raise - let the program have a fault signal that no processor raised
 * @uctx: the interrupted context, which the program's handler may change.
 * Without a handler of the program the process ends by @sig.
 */
void front_signal_raise(int sig, siginfo_t *info, void *uctx);

/**
 * FRONT_IN_KERNEL - to the end of this block the thread is in the kernel: no handler of the program runs
 * A real kernel returns before a handler starts.  Here a handler would find locks that the call it
 * interrupted holds, and wait for them forever if it used a device.  Signals wait, as there.  Free of charge
 * as long as the program has no handlers.  Nests.
 */
#define FRONT_IN_KERNEL __attribute__((cleanup(front_let_signals), unused)) u64 front_mask_ = front_hold_signals()
#define FRONT_NO_MASK (~0ull) /* a mask that cannot be: SIGKILL is never blocked */
u64 front_hold_signals(void);
void front_let_signals(const u64 *mask);

/* ---- mmio.c ---- */

/**
 * front_mmio_fault - a fault happened: carry it out as an access to a device if it is one
 * @sig: SIGSEGV; SIGILL for instructions that this processor lacks
 * Return: true: done, or the program got another signal; go back.  false: not ours.
 */
bool front_mmio_fault(int sig, siginfo_t *info, void *uctx);
void front_mmio_init(void);

/* ---- kvm.c ---- */

/**
 * front_kvm_ioctl - is this ioctl on a foreign descriptor one of KVM's that we answer?
 * Return: true and *@ret the answer (-errno); false: pass it on.
 */
bool front_kvm_ioctl(int fd, unsigned long request, unsigned long arg, long *ret);

/* ---- open.c ---- */

/** front_open - open() for all its names; @flags and @mode as there.  Return: descriptor; -1 and errno. */
int front_open(int dir_fd, const char *path, int flags, mode_t mode);

/* ---- status.c ---- */

/** front_open_status - @path, the /proc/PID/status of process @pid.  A descriptor; -errno; -ENOENT: the host's will do. */
int front_open_status(const char *path, pid_t pid, int flags);

#endif
