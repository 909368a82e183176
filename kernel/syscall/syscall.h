/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscall.h - the only door that front ends know.
 *
 * Each function does what the system call of that name does for a file of ours and returns its value
 * or -errno.  A front end first decides that a path or descriptor is ours, calls, then turns -errno
 * into errno.  All of them may be called by any thread that holds no lock.  Around each call the door
 * starts and ends --explain and --trace for it.
 *
 * Paths are absolute as the program gave them ("/dev/vfio/vfio"), already cleaned of "." and "..".
 */
#ifndef KERNEL_SYSCALL_SYSCALL_H
#define KERNEL_SYSCALL_SYSCALL_H

#include <sys/stat.h>

#include "kernel/fs/file.h"
#include "kernel/lib/types.h"
#include "kernel/mm/vma.h"

/**
 * do_open - open a device node or an attribute
 * @ret_file: one reference, for fd_install()
 * Return: 0; -ENOSYS if the path has no file of ours behind it (the front end opens the real file in
 * the machine's directory, or finds that there is none); what Linux's open() would say.
 */
int do_open(const char *path, unsigned int flags, struct file **ret_file);
/** vfs_open - do_open() without counting, --explain and --trace. */
int vfs_open(const char *path, unsigned flags, struct file **ret_file);
/** do_open_refused - trace and explain an open() that the front end refuses itself: it has said why by fail(@err, ...) */
void do_open_refused(const char *path, unsigned int flags, int err);

/* @fd is for --trace and --explain only: the file is @file, on which the caller holds a reference. */
long do_ioctl(int fd, struct file *file, unsigned int cmd, unsigned long arg);
/** @pos: NULL: read() at the file position, which moves; else pread(). */
/** do_rw_check - may it be read or written at all?  What a vector of no segments is refused for.  0; -errno. */
int do_rw_check(const struct file *file, const u64 *pos, bool write);
ssize_t do_read(int fd, struct file *file, void __user *buf, size_t len, const u64 *pos);
ssize_t do_write(int fd, struct file *file, const void __user *buf, size_t len, const u64 *pos);
/** do_lseek - device files and nodes are streams (-ESPIPE); attributes can be sought. */
s64 do_lseek(int fd, struct file *file, s64 off, int whence);
/**
 * do_mmap - check a mapping: all that Linux checks, in its order
 * @ret_vma: one reference, not yet in the list: the front end makes the real mapping, then
 * vma_insert()s it (or vma_put()s it on failure).
 */
int do_mmap(int fd, struct file *file, u64 addr, u64 len_bytes, int prot, int flags, u64 off,
	    struct vm_area **ret_vma);
int do_fstat(struct file *file, struct stat *st);
/**
 * do_content - may a call that is for files with content (fsync, sendfile) go on?
 * Return: 0: attributes and files of /proc have some; @err for a device, with reason.
 */
int do_content(int fd, struct file *file, const char *call, int err);
/** do_close - a descriptor goes: put @file (the caller's reference) with the release inside the call. */
void do_close(int fd, struct file *file);

/** mmio_access - one trapped load or store at @addr.  Return: 0; -EFAULT: deliver SIGBUS; -ENOENT: not ours. */
int mmio_access(u64 addr, void *buf, unsigned len_bytes, bool write);

/** syscall_stats - totals since the start, for the summary that `softvfio run --stats` prints. */
struct syscall_stats {
	u64 calls, failed, mmio_reads, mmio_writes;
};
void syscall_stats_get(struct syscall_stats *ret);

/* ---- trace.c ---- */
/** trace_open - send --trace lines to @fd (private, already open).  Before threads. */
void trace_open(int fd);
extern bool trace_enabled;

#endif
