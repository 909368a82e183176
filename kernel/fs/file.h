/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.h - an open file of ours, and what can be done with it.
 *
 * A struct file is what open() makes; descriptors point to it (dup makes a second descriptor of the
 * same file, mappings hold it too).  When the last reference goes, release() runs before fput()
 * returns, on the thread that dropped it.
 */
#ifndef KERNEL_FS_FILE_H
#define KERNEL_FS_FILE_H

#include <stdatomic.h>
#include <string.h>

#include "kernel/lib/types.h"

struct file;
struct show;
struct vm_area;

/* What a file is: a request code means different things on different kinds (trace.c needs it too). */
enum file_kind {
	FILE_VFIO_CONTAINER,
	FILE_VFIO_GROUP,
	FILE_VFIO_DEVICE,
	FILE_IOMMUFD,
	FILE_SYSFS,	/* an attribute: /sys/bus/pci/drivers/vfio-pci/bind */
	FILE_PROC,	/* something below /proc/self */
	FILE_KVM_VM,	/* the host's: only --trace and --explain know it as a file */
	FILE_KVM_DEVICE,
	FILE_OTHER,
};

/*
 * All optional; what Linux answers where one is missing: ioctl ENOTTY, read and write EINVAL, mmap
 * ENODEV.  Each runs on the calling program's thread, no lock held, current_mm() set.  Return values
 * are 0, a count or -errno.
 */
struct file_operations {
	enum file_kind kind;
	/** stream - bytes come in their order only: pread and pwrite are refused (ESPIPE) */
	bool stream;
	/** shared - open as long as any process has a descriptor (share.c); nothing of ours but backing_fd is of its open file */
	bool shared;
	/** release - the last reference is gone; never fails; must not use the descriptor number. */
	void (*release)(struct file *file);
	long (*ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	/** read, write - @pos is the file position or the offset of pread; advance *@pos by the result. */
	ssize_t (*read)(struct file *file, char __user *buf, size_t len, u64 *pos);
	ssize_t (*write)(struct file *file, const char __user *buf, size_t len, u64 *pos);
	/** lseek - the new position; for files whose position means nothing */
	s64 (*lseek)(struct file *file, s64 off, int whence);
	/** mmap - check the request in @vma and set vma->ops and private_data; make no mapping. */
	int (*mmap)(struct file *file, struct vm_area *vma, int map_flags);
	/** flags - set f_flags if @set, and return them; where struct file does not know them */
	unsigned (*flags)(struct file *file, bool set, unsigned flags);
	/**
	 * flush - carry out what was written to backing_fd behind our back: stdio writes with libc's own write()
	 * Called by the front end after fflush() and before a close, outside of any call of kernel/syscall, so with
	 * --explain it prints the reason itself.  Return: 0; -errno of the write.
	 */
	int (*flush)(struct file *file);
	/** link - what readlink(/proc/self/fd/N) says, where that may change.  Return: length, as snprintf. */
	int (*link)(struct file *file, char *buf, size_t size);
	/** fdinfo - text that /proc/self/fdinfo shows behind the usual lines. */
	int (*fdinfo)(struct file *file, char *buf, size_t size);
	/** show - what is behind it now, for `softvfio tree`: "group 0", "map 0x1000 0x2000 rw".  A thread of ours. */
	void (*show)(struct file *file, struct show *out);
};

struct file {
	const struct file_operations *f_op;	/* immutable while referenced */
	void *private_data;			/* of the module that opened it; immutable or guarded by it */
	/* What readlink(/proc/self/fd/N) says: "/dev/vfio/vfio", "anon_inode:[vfio-device]"; strdup'ed. */
	const char *path;
	unsigned int f_flags;	/* O_ACCMODE, O_NONBLOCK..., as open() was given */
	u32 mode;		/* st_mode: S_IFCHR | 0666; 0600 | 0 type for an anonymous inode */
	u64 rdev;		/* st_rdev as makedev() makes it; 0 */
	u64 size;		/* st_size of an anonymous file; immutable */
	bool on_host;		/* descriptors are of that kind on the host too, which answers for it in a forked child */
	_Atomic u64 id;		/* no other file of the process has or had it: what other processes call it by */
	bool numbered;		/* a device whose regions and interrupts have numbers, not PCI's names (--trace) */
	_Atomic u64 f_pos;
	/*
	 * >= 0: a real descriptor to hand out dups of (group lock file, attribute); closed at the last put;
	 * do_open() makes it private.  -1: the front end makes one.
	 */
	int backing_fd;
	int others_fd; /* private; another open file of backing_fd's inode, once that is closed and only others have it; -1 */
	_Atomic(struct file_share *) share; /* set once descriptors may be in other processes too */
	atomic_int refs;	/* 0: free slot of the type-stable pool */
	struct file *next_free;	/* pool only */
};

/**
 * file_alloc - a file with one reference, kind and private data set
 * @path: copied.  The mode is that of an anonymous inode, 0600 without a type.
 * Return: the file; NULL if memory is short.  On failure @private_data is still the caller's.
 */
struct file *file_alloc(const struct file_operations *ops, void *private_data, const char *path,
			unsigned int f_flags);
/** file_is_anonymous - it has no name that could be opened: it came out of an ioctl. */
static inline bool file_is_anonymous(const struct file *file)
{
	return !strncmp(file->path, "anon_inode:", 11) || !strncmp(file->path, "/dmabuf:", 8);
}
struct file *fget_file(struct file *file);
/** file_set_flags - as F_SETFL: O_APPEND, O_NONBLOCK and O_NOATIME are as in @flags from now on. */
void file_set_flags(struct file *file, unsigned flags);
static inline unsigned file_flags(struct file *file)
{
	return file->f_op->flags ? file->f_op->flags(file, false, 0) : file->f_flags;
}
static inline int file_flush(struct file *file)
{
	return file->f_op->flush ? file->f_op->flush(file) : 0;
}
/** fput - drop one reference; runs release() if it was the last.  NULL is accepted. */
void fput(struct file *file);

/* ---- files that other processes have open as well (share.c) ---- */

/**
 * file_share - descriptor @fd, which means @file, may be in another process from now on: a fork, a message
 * Then the file is released when the last process has closed it, as on Linux.  Where the host does not let us know of
 * others, or memory is short, this process's descriptors alone count, as before.
 */
void file_share(int fd, struct file *file);
/** file_node_fd - a descriptor of the node, to lock it with */
static inline int file_node_fd(const struct file *file)
{
	return file->backing_fd >= 0 ? file->backing_fd : file->others_fd;
}
/**
 * file_find_shared - @fd came from another process: is it of a file that was shared with others?
 * Return: that file, with a reference; NULL.
 */
struct file *file_find_shared(int fd);
/**
 * file_hand_over - descriptor @fd, a copy of which another process has, is closed, and @file lives for as long as that has it
 * Only of files that are shared.  Takes over both; where the host does not let us know, nobody has @file from now on.
 */
void file_hand_over(int fd, struct file *file);
/** file_forget_all - in a child after fork: files there were are kept for ever, and new ones are made elsewhere. */
void file_forget_all(void);
/** fget_id - the file with that id, with a reference; NULL if it is closed.  Any thread. */
struct file *fget_id(u64 id);
extern atomic_int files_elsewhere;
void file_reap_slow(void);
/** file_reap - release what other processes had open and have closed; before each call, no lock held. */
static inline void file_reap(void)
{
	if (__builtin_expect(atomic_load_explicit(&files_elsewhere, memory_order_acquire), 0))
		file_reap_slow();
}

/* ---- descriptors (fdtable.c) --------------------------------------------------------------- */

/**
 * fget - the file behind a descriptor, with a reference; NULL if the descriptor is not one of ours
 * Any thread, any lock; no system call; wait-free in the common case.  For a thread that serves another process
 * (lib/task.h) fget(), fd_check_open(), fd_dup_private(), fd_publish() and fd_unpublish() mean that one's descriptors.
 */
struct file *fget(int fd);
/**
 * fd_check_open - does a descriptor that is none of ours have a file, as Linux's fget() sees it?
 * Return: 0; -EBADF, reason given: it is not open, or open with O_PATH, or private.
 */
int fd_check_open(int fd);
/** fd_is_ours - a hint without a reference, for wrappers that pass most descriptors on. */
bool fd_is_ours(int fd);
/**
 * fd_install - descriptor @fd (a real one, open) now means @file; takes over the caller's reference
 * If @fd meant another file of ours, that one is put.  Return: 0; -EMFILE beyond what the table holds.
 */
int fd_install(int fd, struct file *file);
/* Told of each installation, if set (before threads): --trace learns which number an open() became. */
extern void (*fd_installed)(int fd, struct file *file);
/** fd_uninstall - @fd means nothing of ours any more; puts the file.  No effect for other descriptors. */
void fd_uninstall(int fd);
/** fd_uninstall_range - the same for [first, last], as close_range. */
void fd_uninstall_range(unsigned first, unsigned last);

/*
 * Where real descriptors come from: the front end registers this once.  alloc returns a new real
 * descriptor (close-on-exec if @cloexec) named @name for /proc, or -errno; it does not install.
 */
struct fd_host_ops {
	int (*alloc)(const char *name, bool cloexec);
	/** adopt - a descriptor that alloc did not make is the program's too; optional */
	void (*adopt)(int fd);
	void (*free)(int fd);
};
void fd_host_register(const struct fd_host_ops *ops);	/* before that: memfds, which will do for tests */
/** fd_host_alloc - a real descriptor for @file that means nothing yet.  -errno. */
int fd_host_alloc(const struct file *file, bool cloexec);
/**
 * fd_publish - give the program a new descriptor for @file (GROUP_GET_DEVICE_FD)
 * Takes over the caller's reference on success.
 * Return: the descriptor; -EMFILE, -ENFILE, -ENOMEM and then the reference is still the caller's.
 */
int fd_publish(struct file *file, bool cloexec);
/** fd_unpublish - take it back, before the program was told of it; puts the file. */
void fd_unpublish(int fd);

/*
 * Descriptors of our own inside the program (dups of its eventfds, the machine's directory): moved
 * out of the way to high numbers, close-on-exec, and shielded: close(), close_range() and dup2() by
 * the program do not reach them.
 */
/**
 * fd_private - move @fd up and shield it
 * Return: the new number (the old is closed); -errno (the old is still open).
 */
int fd_private(int fd);
/** fd_private_exclusive - likewise, of what a forked child must not have open: see fd_private_forget_exclusive(). */
int fd_private_exclusive(int fd);
/** fd_private_forget_exclusive - close those but @keep in a child that does not carry the kernel on, and has one thread. */
void fd_private_forget_exclusive(int keep);
/** fd_private_dup - a private one of the same open file; @fd stays the caller's.  Return: number; -errno. */
int fd_private_dup(int fd);
/** fd_dup_private - likewise, where @fd is what the program named in a call. */
int fd_dup_private(int fd);
/** fd_private_close - close one of them. */
void fd_private_close(int fd);
bool fd_is_private(int fd);
/** fd_private_next - the lowest private descriptor >= @fd; -1 if none (for close_range). */
int fd_private_next(int fd);

#endif
