/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscall.c - the door: what Linux does with a system call before and after the file's own operation.
 *
 * Each call comes in two layers.  The inner one (vfs_...) checks as Linux does, in its order, and runs
 * the operation.  The outer one (do_...) counts, and, only if somebody wants to hear about it, goes
 * the long way round: reasons are collected, the line for --trace is made, and a failure is explained.
 * When nobody asked, a call costs one counter and one branch on top of the operation.
 *
 * What always holds: no lock is held when an operation runs; nothing here knows what a file is, apart
 * from whether it is an attribute or an anonymous inode.
 */
#include "kernel/syscall/syscall.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/fs/chrdev.h"
#include "kernel/fs/fault_files.h"
#include "kernel/fs/kernfs.h"
#include "kernel/fs/pagemap.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/trace.h"

/* What one read or write moves at most, as read(2) says. */
#define MAX_RW_COUNT ((size_t)(INT_MAX & PAGE_MASK))

typedef unsigned long long ull;

/* The long way round of a call: never in the way of the short one. */
#define LOUD __attribute__((noinline, cold))

static _Atomic u64 nr_calls, nr_failed, nr_mmio_reads, nr_mmio_writes;

static inline void count(_Atomic u64 *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline s64 counted(s64 ret)
{
	count(&nr_calls);
	if (unlikely(ret < 0))
		count(&nr_failed);
	return ret;
}

static inline bool somebody_listens(void)
{
	return unlikely(trace_enabled || explain_enabled);
}

void syscall_stats_get(struct syscall_stats *ret)
{
	ret->calls = atomic_load(&nr_calls);
	ret->failed = atomic_load(&nr_failed);
	ret->mmio_reads = atomic_load(&nr_mmio_reads);
	ret->mmio_writes = atomic_load(&nr_mmio_writes);
}

/* ---- saying why ---- */

/* A call that failed, or succeeded strangely: @call is its name and arguments, "ioctl(7, VFIO_GET_INFO)". */
static __attribute__((format(printf, 2, 3), cold)) void explain_end(s64 ret, const char *fmt, ...)
{
	const char *why = ret < 0 ? explain_take() : explain_take_notes();
	const char *name;
	char call[320];
	char line[1600];
	va_list ap;

	explain_done(ret < 0);
	if (!explain_enabled || (ret >= 0 && !why))
		return;
#ifndef NDEBUG
	if (!why)
		why = "(no reason recorded)";
#endif
	va_start(ap, fmt);
	vsnprintf(call, sizeof(call), fmt, ap);
	va_end(ap);
	name = ret < 0 ? strerrorname_np((int)-ret) : NULL;
	if (ret < 0)
		snprintf(line, sizeof(line), "softvfio: %s = -1 %s%s%s", call, name ? name : "?",
			 why ? ": " : "", why ? why : "");
	else
		snprintf(line, sizeof(line), "softvfio: %s = %lld: note: %s", call, (long long)ret, why);
	explain_print(line);
}

/* ---- open ---- */

/* A backing descriptor is ours alone: out of the program's way before the program can meet it. */
static int shield_backing(struct file *file)
{
	int hidden;

	if (file->backing_fd < 0 || fd_is_private(file->backing_fd))
		return 0;
	hidden = fd_private(file->backing_fd);
	if (hidden < 0)
		return hidden;
	file->backing_fd = hidden;
	return 0;
}

int vfs_open(const char *path, unsigned flags, struct file **ret_file)
{
	struct file *file;
	int err;

	/* What the tree's real node answers just as well: descriptors that only name it, and refusals. */
	if ((flags & (O_PATH | O_DIRECTORY)) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -ENOSYS;
	if (unlikely(proxy_active()) && (!strncmp(path, "/dev/", 5) || !strncmp(path, "/sys/", 5)))
		return proxy_open(path, flags, ret_file);
	if (!strncmp(path, "/dev/", 5)) {
		file = cdev_open(path + 5, flags);
		if (IS_ERR(file) && PTR_ERR(file) == -ENOENT)
			return -ENOSYS;
	} else if (!strncmp(path, "/sys/", 5)) {
		file = kernfs_open_attr(path + 1, flags);
	} else if (!strcmp(path, PAGEMAP_PATH)) {
		file = pagemap_open(flags);
	} else {
		file = fault_proc_open(path, flags);
	}
	if (!file)
		return -ENOSYS;
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	err = shield_backing(file);
	if (err) {
		fput(file);
		return err;
	}
	*ret_file = file;
	return 0;
}

static void open_ended(const char *path, unsigned flags, struct file *file, int ret)
{
	struct trace_line line;

	if (trace_enabled) {
		line.len = 0;
		line_add(&line, "open(\"%s\", ", path);
		trace_open_flags(&line, flags);
		if (ret)
			trace_end(&line, ret);
		else
			trace_opened(&line, file);
	}
	explain_end(ret, "open(\"%s\")", path);
}

static LOUD int loud_open(const char *path, unsigned flags, struct file **ret_file)
{
	int ret;

	explain_begin();
	ret = vfs_open(path, flags, ret_file);
	if (ret != -ENOSYS)
		open_ended(path, flags, ret ? NULL : *ret_file, ret);
	return ret;
}

void do_open_refused(const char *path, unsigned int flags, int err)
{
	open_ended(path, flags, NULL, err);
}

int do_open(const char *path, unsigned int flags, struct file **ret_file)
{
	int ret;

	file_reap();
	ret = somebody_listens() ? loud_open(path, flags, ret_file) : vfs_open(path, flags, ret_file);
	return ret == -ENOSYS ? ret : (int)counted(ret);
}

/* ---- ioctl ---- */

static inline long vfs_ioctl(struct file *file, unsigned cmd, unsigned long arg)
{
	if (unlikely(!file->f_op->ioctl))
		return fail(-ENOTTY, "%s has no ioctls", file->path);
	return file->f_op->ioctl(file, cmd, arg);
}

static LOUD long loud_ioctl(int fd, struct file *file, unsigned cmd, unsigned long arg)
{
	struct trace_ioctl state;
	struct trace_line line;
	char name[64];
	long ret;

	if (trace_enabled) {
		trace_begin(&line, "ioctl", fd, file);
		trace_ioctl_before(&line, &state, file, cmd, arg);
	}
	explain_begin();
	ret = vfs_ioctl(file, cmd, arg);
	if (trace_enabled) {
		trace_ioctl_after(&line, &state, ret);
		trace_end(&line, ret);
	}
	explain_end(ret, "ioctl(%d, %s)", fd, trace_ioctl_name(file->f_op->kind, cmd, name, sizeof(name)));
	return ret;
}

long do_ioctl(int fd, struct file *file, unsigned int cmd, unsigned long arg)
{
	file_reap();
	return counted(somebody_listens() ? loud_ioctl(fd, file, cmd, arg) : vfs_ioctl(file, cmd, arg));
}

/* ---- read and write ---- */

static bool may_read(const struct file *file)
{
	return (file->f_flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct file *file)
{
	return (file->f_flags & O_ACCMODE) != O_RDONLY;
}

/* What Linux checks for read and write alike, once the file may be used that way at all. */
static int check_transfer(u64 uva, size_t *len)
{
	u64 last;

	if (*len && (range_overflows(uva, *len, &last) || last > PHYS_OFFSET_MASK))
		return fail(-EFAULT, "the buffer [0x%llx, +0x%zx) is not in a program's address space",
			    (ull)uva, *len);
	if ((ssize_t)*len < 0)
		return fail(-EINVAL, "length %zu is negative as a ssize_t", *len);
	*len = min(*len, MAX_RW_COUNT);
	return 0;
}

int do_rw_check(const struct file *file, const u64 *pos, bool write)
{
	if (pos && (s64)*pos < 0)
		return fail(-EINVAL, "offset %lld is negative", (long long)*pos);
	if (pos && file->f_op->stream)
		return fail(-ESPIPE, "%s has no positions", file->path);
	if (write ? !may_write(file) : !may_read(file))
		return fail(-EBADF, "%s was opened for %s only", file->path, write ? "reading" : "writing");
	if (write ? !file->f_op->write : !file->f_op->read)
		return fail(-EINVAL, "%s cannot be %s", file->path, write ? "written" : "read");
	return 0;
}

static ssize_t vfs_read(struct file *file, void __user *buf, size_t len, const u64 *pos)
{
	u64 at = pos ? *pos : atomic_load_explicit(&file->f_pos, memory_order_relaxed);
	int err = do_rw_check(file, pos, false);
	ssize_t ret;

	if (err)
		return err;
	err = check_transfer((uintptr_t)buf, &len);
	if (err)
		return err;
	ret = file->f_op->read(file, buf, len, &at);
	if (ret >= 0 && !pos)
		atomic_store_explicit(&file->f_pos, at, memory_order_relaxed);
	return ret;
}

static ssize_t vfs_write(struct file *file, const void __user *buf, size_t len, const u64 *pos)
{
	u64 at = pos ? *pos : atomic_load_explicit(&file->f_pos, memory_order_relaxed);
	int err = do_rw_check(file, pos, true);
	ssize_t ret;

	if (err)
		return err;
	err = check_transfer((uintptr_t)buf, &len);
	if (err)
		return err;
	ret = file->f_op->write(file, buf, len, &at);
	if (ret >= 0 && !pos)
		atomic_store_explicit(&file->f_pos, at, memory_order_relaxed);
	return ret;
}

static LOUD ssize_t loud_transfer(int fd, struct file *file, void __user *buf, size_t len, const u64 *pos,
				  bool write)
{
	const char *name = write ? (pos ? "pwrite" : "write") : (pos ? "pread" : "read");
	struct trace_line line;
	ssize_t ret;

	if (trace_enabled) {
		trace_begin(&line, name, fd, file);
		if (write)
			trace_data(&line, buf, len);
	}
	explain_begin();
	ret = write ? vfs_write(file, buf, len, pos) : vfs_read(file, buf, len, pos);
	if (trace_enabled) {
		if (!write)
			trace_data(&line, buf, ret > 0 ? (size_t)ret : 0);
		line_add(&line, ", %zu", len);
		if (pos)
			line_add(&line, ", 0x%llx", (ull)*pos);
		trace_end(&line, ret);
	}
	if (pos)
		explain_end(ret, "%s(%d, %zu bytes at 0x%llx)", name, fd, len, (ull)*pos);
	else
		explain_end(ret, "%s(%d, %zu bytes)", name, fd, len);
	return ret;
}

ssize_t do_read(int fd, struct file *file, void __user *buf, size_t len, const u64 *pos)
{
	return counted(somebody_listens() ? loud_transfer(fd, file, buf, len, pos, false)
					  : vfs_read(file, buf, len, pos));
}

ssize_t do_write(int fd, struct file *file, const void __user *buf, size_t len, const u64 *pos)
{
	void __user *from = (void __user *)(uintptr_t)buf;

	file_reap();
	return counted(somebody_listens() ? loud_transfer(fd, file, from, len, pos, true)
					  : vfs_write(file, buf, len, pos));
}

/* ---- lseek ---- */

static s64 attr_end(const struct file *file)
{
	struct stat st;

	if (file->f_op->kind != FILE_SYSFS || file->backing_fd < 0 || sys_fstat(file->backing_fd, &st))
		return -1;
	return st.st_size;
}

static s64 vfs_lseek(struct file *file, s64 off, int whence)
{
	s64 base = 0;

	if (whence < SEEK_SET || whence > SEEK_HOLE)
		return fail(-EINVAL, "whence %d is none of lseek's", whence);
	if (file->f_op->lseek)
		return file->f_op->lseek(file, off, whence);
	if (file->f_op->kind != FILE_SYSFS && file->f_op->kind != FILE_PROC)
		return fail(-ESPIPE, "%s has no position that could be moved", file->path);
	if (whence == SEEK_CUR)
		base = (s64)atomic_load_explicit(&file->f_pos, memory_order_relaxed);
	else if (whence == SEEK_END)
		base = attr_end(file);
	if (base < 0 || whence > SEEK_END)
		return fail(-EINVAL, "%s does not support whence %d", file->path, whence);
	if (__builtin_add_overflow(base, off, &base) || base < 0)
		return fail(-EINVAL, "the new position is not between 0 and 2^63-1");
	atomic_store_explicit(&file->f_pos, (u64)base, memory_order_relaxed);
	return base;
}

static LOUD s64 loud_lseek(int fd, struct file *file, s64 off, int whence)
{
	static const char *const names[] = { "SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE" };
	struct trace_line line;
	s64 ret;

	explain_begin();
	ret = vfs_lseek(file, off, whence);
	if (trace_enabled) {
		trace_begin(&line, "lseek", fd, file);
		line_add(&line, ", %lld, ", (long long)off);
		if ((unsigned)whence < ARRAY_SIZE(names))
			line_add(&line, "%s", names[whence]);
		else
			line_add(&line, "%d", whence);
		trace_end(&line, ret);
	}
	explain_end(ret, "lseek(%d, %lld, %d)", fd, (long long)off, whence);
	return ret;
}

s64 do_lseek(int fd, struct file *file, s64 off, int whence)
{
	return counted(somebody_listens() ? loud_lseek(fd, file, off, whence) : vfs_lseek(file, off, whence));
}

/* ---- mmap ---- */

/* Access mode and kind of mapping, in Linux's order. */
static int check_map_type(const struct file *file, int prot, int flags)
{
	int type = flags & MAP_TYPE;

	if (flags & MAP_HUGETLB)
		return fail(-EINVAL, "MAP_HUGETLB is for memory and files of hugetlbfs");
	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return fail(-EINVAL, "mapping type %d: one of MAP_SHARED and MAP_PRIVATE is needed", type);
	if (type == MAP_SHARED_VALIDATE && (flags & MAP_SYNC))
		return fail(-EOPNOTSUPP, "MAP_SYNC is for persistent memory only");
	if (type != MAP_PRIVATE && (prot & PROT_WRITE) && !may_write(file))
		return fail(-EACCES, "a shared writable mapping needs a file opened for writing: %s was not",
			    file->path);
	if (!may_read(file))
		return fail(-EACCES, "%s was opened for writing only, a mapping needs reading", file->path);
	/* Anonymous inodes have no /dev in between whose mount could allow it. */
	if ((prot & PROT_EXEC) && file_is_anonymous(file))
		return fail(-EPERM, "%s cannot be mapped with PROT_EXEC: its file system is mounted noexec",
			    file->path);
	if (!file->f_op->mmap)
		return fail(-ENODEV, "%s cannot be mapped", file->path);
	return 0;
}

static int vfs_mmap(struct file *file, u64 addr, u64 len, int prot, int flags, u64 off,
		    struct vm_area **ret_vma)
{
	struct vm_area *vma;
	u64 last;
	int err;

	if (!IS_ALIGNED(off, PAGE_SIZE))
		return fail(-EINVAL, "offset 0x%llx is not a multiple of the page size", (ull)off);
	if (!len)
		return fail(-EINVAL, "length is 0");
	if (len > PHYS_OFFSET_MASK)
		return fail(-ENOMEM, "length 0x%llx does not fit in an address space", (ull)len);
	len = ALIGN_UP(len, PAGE_SIZE);
	if (range_overflows(off, len, &last))
		return fail(-EOVERFLOW, "offset 0x%llx + length 0x%llx is more than 64 bits", (ull)off,
			    (ull)len);
	if ((flags & MAP_FIXED) && !IS_ALIGNED(addr, PAGE_SIZE))
		return fail(-EINVAL, "address 0x%llx is not a multiple of the page size", (ull)addr);
	err = check_map_type(file, prot, flags);
	if (err)
		return err;
	vma = vma_alloc(file, ALIGN_DOWN(addr, PAGE_SIZE), len, off, prot);
	if (!vma)
		return fail(-ENOMEM, "no memory for a mapping");
	err = file->f_op->mmap(file, vma, flags);
	if (err) {
		vma_put(vma);
		return err;
	}
	*ret_vma = vma;
	return 0;
}

static LOUD int loud_mmap(int fd, struct file *file, u64 addr, u64 len, int prot, int flags, u64 off,
			  struct vm_area **ret_vma)
{
	struct trace_line line;
	int ret;

	explain_begin();
	ret = vfs_mmap(file, addr, len, prot, flags, off, ret_vma);
	if (trace_enabled) {
		line.len = 0;
		line_add(&line, "mmap(");
		if (addr)
			line_add(&line, "0x%llx, 0x%llx, ", (ull)addr, (ull)len);
		else
			line_add(&line, "NULL, 0x%llx, ", (ull)len);
		trace_prot(&line, prot);
		line_add(&line, ", ");
		trace_map_flags(&line, flags);
		line_add(&line, ", %d<%s>, 0x%llx", fd, file->path, (ull)off);
		trace_end(&line, ret);
	}
	explain_end(ret, "mmap(%d, 0x%llx bytes at 0x%llx)", fd, (ull)len, (ull)off);
	return ret;
}

int do_mmap(int fd, struct file *file, u64 addr, u64 len_bytes, int prot, int flags, u64 off,
	    struct vm_area **ret_vma)
{
	return (int)counted(somebody_listens() ? loud_mmap(fd, file, addr, len_bytes, prot, flags, off, ret_vma)
					       : vfs_mmap(file, addr, len_bytes, prot, flags, off, ret_vma));
}

/* ---- calls for files with content ---- */

int do_content(int fd, struct file *file, const char *call, int err)
{
	if (file->f_op->kind == FILE_SYSFS || file->f_op->kind == FILE_PROC)
		return 0;
	explain_begin();
	fail(err, "%s is a device and has no content", file->path);
	explain_end(err, "%s(%d)", call, fd);
	return (int)counted(err);
}

/* ---- fstat ---- */

/* The node in the machine's directory, so that stat() by name and fstat() agree. */
static bool stat_node(const char *path, struct stat *st)
{
	const char *root = kernfs_root();
	char name[PATH_MAX];

	if (!root || path[0] != '/')
		return false;
	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name))
		return false;
	return !sys_lstat(name, st);
}

int do_fstat(struct file *file, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	if (!stat_node(file->path, st)) {
		/* An anonymous inode, or a node that was removed while open. */
		st->st_dev = makedev(0, 15);
		st->st_ino = 1;
		st->st_nlink = 1;
		st->st_blksize = PAGE_SIZE;
	}
	st->st_mode = file->mode;
	st->st_rdev = file->rdev;
	st->st_blocks = (blkcnt_t)(file->size / 512);
	st->st_size = file->f_op->kind == FILE_SYSFS ? kernfs_attr_size(file->path, st->st_size) : (off_t)file->size;
	return 0;
}

/* ---- close ---- */

static LOUD void loud_close(int fd, struct file *file)
{
	struct trace_line line;

	if (trace_enabled)
		trace_begin(&line, "close", fd, file);
	explain_begin();
	fput(file);
	if (trace_enabled)
		trace_end(&line, 0);
	explain_end(0, "close(%d)", fd);
}

void do_close(int fd, struct file *file)
{
	file_reap();
	if (somebody_listens())
		loud_close(fd, file);
	else
		fput(file);
	count(&nr_calls);
}

/* ---- trapped loads and stores ---- */

int mmio_access(u64 addr, void *buf, unsigned len_bytes, bool write)
{
	struct vm_area *vma = vma_find(current_mm(), addr);
	int err;

	if (!vma)
		return -ENOENT;
	/* What may be written may be read: so it is on the processors that we run on. */
	if (!(vma->prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE)) || len_bytes - 1 > vma->last - addr) {
		/* The program's own mapping does not allow it: its fault, its SIGSEGV. */
		vma_put(vma);
		return -ENOENT;
	}
	count(write ? &nr_mmio_writes : &nr_mmio_reads);
	err = vma->ops->access(vma, vma->pgoff_bytes + (addr - vma->start), buf, len_bytes, write);
	vma_put(vma);
	return err;
}
