/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_test.h - what the tests of proxy and serve share: a device that is made up, and children with a wire to this process.
 *
 * A test forks children whose whole life is a function; what that expects in vain is said and makes it end with 1.  The
 * device's state is in the parent: the child asks for it by ioctl.
 *
 *	/dev/far/dev	has all operations
 *	/dev/far/bare	has none
 *	/dev/far/plain	has ioctl alone, and its files are not shared
 */
#ifndef KERNEL_SYSCALL_SERVE_TEST_H
#define KERNEL_SYSCALL_SERVE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/chrdev.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/mm/pins.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/wire_test.h"

#define NR_FDS 64 /* of which a child has stand-ins */
#define BIG (2 * WIRE_DATA + 5)
#define BAR_BYTES 0x1000u
#define BAR_PHYS ((u64)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT | 0xe0000000)

/* ---- the device ---- */

enum {
	T_DOUBLE = 1,	/* struct twice */
	T_INVERT,	/* BIG bytes */
	T_COUNT,	/* a u32, which is one more after that, and what it is then */
	T_STRLEN,	/* of a string of less than 32 */
	T_CLEAR,	/* BIG bytes */
	T_FAIL,
	T_NOTE,
	T_FGET,		/* the id of a descriptor's file */
	T_DUP,		/* write to a descriptor */
	T_PUBLISH,	/* store a new descriptor: of a shared file; */
	T_PUBLISH_PLAIN,/* of one that is not */
	T_RELEASED,	/* how many files were */
	T_FLUSHED,
	T_PIN,		/* struct pinned */
	T_UNPIN,	/* the one */
	T_BYTE,		/* of the one, by its number */
	T_PHYS_IS_BAR,	/* struct pinned */
	T_ID,		/* of this file */
	T_IS_OWN,	/* is the caller this process? */
	T_TURN,		/* wait until it is turn number arg, and end it */
};

struct twice {
	u32 in, out;
};

struct pinned {
	u64 uva, len;
	phys_addr_t phys; /* private to the device */
	struct mm *mm;
};

static struct {
	atomic_int released, flushed, turn;
	atomic_int waiting; /* for their turn */
	atomic_int done; /* who reads it after the last operation sees what all of them did */
	u8 bytes[256], bar[BAR_BYTES];
	struct pinned pinned;
} dev;

static void dev_release(struct file *file)
{
	atomic_fetch_add(&dev.released, 1);
}

static long dev_double(unsigned long arg)
{
	struct twice t;

	if (copy_from_user(&t, (void *)arg, sizeof(t)))
		return -EFAULT;
	t.out = 2 * t.in;
	return copy_to_user((void *)arg, &t, sizeof(t));
}

static long dev_invert(unsigned long arg)
{
	u8 buf[BIG];

	if (copy_from_user(buf, (void *)arg, BIG))
		return -EFAULT;
	for (size_t i = 0; i < BIG; i++)
		buf[i] = ~buf[i];
	return copy_to_user((void *)arg, buf, BIG);
}

static long dev_count(unsigned long arg)
{
	u32 value, again = 0;

	if (copy_from_user(&value, (void *)arg, 4))
		return -EFAULT;
	value++;
	if (copy_to_user((void *)arg, &value, 4) || copy_from_user(&again, (void *)arg, 4))
		return -EFAULT;
	return again;
}

static long dev_strlen(unsigned long arg)
{
	struct {
		char text[32], guard[32];
	} buf;
	long len;

	memset(&buf, 0x5a, sizeof(buf));
	len = strncpy_from_user(buf.text, (char *)arg, sizeof(buf.text));
	for (size_t i = 0; i < sizeof(buf.guard); i++)
		if (buf.guard[i] != 0x5a)
			return -EIO;
	return len < 0 || (len < 32 && strlen(buf.text) == (size_t)len) ? len : -EIO;
}

static long dev_fget(int fd)
{
	struct file *file = fget(fd);
	long ret = file ? (long)file->id : fd_check_open(fd);

	fput(file);
	return ret ? ret : -EINVAL;
}

static long dev_dup(int fd)
{
	int own = fd_dup_private(fd);
	long ret = own < 0 ? own : sys_pwrite(own, "dup", 3, 0);

	if (own >= 0)
		fd_private_close(own);
	return ret;
}

static const struct file_operations shared_fops, plain_fops;

static long dev_publish(const struct file_operations *ops, unsigned long arg)
{
	struct file *file = file_alloc(ops, NULL, "anon_inode:[test]", O_RDWR);
	int fd = file ? fd_publish(file, true) : -ENOMEM;

	if (fd < 0) {
		fput(file);
		return fd;
	}
	if (!copy_to_user((void *)arg, &fd, sizeof(fd)))
		return 0;
	fd_unpublish(fd);
	return -EFAULT;
}

static long dev_pin(unsigned long arg)
{
	struct pinned *pinned = &dev.pinned;
	int err;

	if (copy_from_user(pinned, (void *)arg, sizeof(*pinned)))
		return -EFAULT;
	err = mm_pin(current_mm(), pinned->uva, pinned->len, true, &pinned->phys);
	if (err)
		return err;
	pinned->mm = mmgrab(current_mm());
	return locked_vm_charge(pinned->mm, LOCKED_VM_PROCESS, pinned->len >> PAGE_SHIFT);
}

static long dev_unpin(void)
{
	mm_unpin(dev.pinned.phys, dev.pinned.len);
	locked_vm_uncharge(dev.pinned.mm, LOCKED_VM_PROCESS, dev.pinned.len >> PAGE_SHIFT);
	mmdrop(dev.pinned.mm);
	return 0;
}

static long dev_byte(u64 off)
{
	u8 byte;

	return phys_read(dev.pinned.phys + off, &byte, 1) ? -EFAULT : byte;
}

static long dev_phys_is_bar(unsigned long arg)
{
	struct pinned pinned;
	int err;

	if (copy_from_user(&pinned, (void *)arg, sizeof(pinned)))
		return -EFAULT;
	err = mm_pin(current_mm(), pinned.uva, pinned.len, false, &pinned.phys);
	if (err)
		return err;
	mm_unpin(pinned.phys, pinned.len);
	return pinned.phys == BAR_PHYS + 0x40000;
}

static long dev_turn(int turn)
{
	atomic_fetch_add(&dev.waiting, 1);
	while (atomic_load(&dev.turn) != turn)
		usleep(100);
	atomic_fetch_add(&dev.turn, 1);
	atomic_fetch_sub(&dev.waiting, 1);
	return 0;
}

static long do_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case T_DOUBLE: return dev_double(arg);
	case T_INVERT: return dev_invert(arg);
	case T_COUNT: return dev_count(arg);
	case T_STRLEN: return dev_strlen(arg);
	case T_CLEAR: return clear_user((void *)arg, BIG);
	case T_FAIL: return fail(-EXDEV, "the fake cannot do %lu", arg);
	case T_NOTE: explain_note("this looks strange"); return 7;
	case T_FGET: return dev_fget((int)arg);
	case T_DUP: return dev_dup((int)arg);
	case T_PUBLISH: return dev_publish(&shared_fops, arg);
	case T_PUBLISH_PLAIN: return dev_publish(&plain_fops, arg);
	case T_RELEASED: return atomic_load(&dev.released);
	case T_FLUSHED: return atomic_load(&dev.flushed);
	case T_PIN: return dev_pin(arg);
	case T_UNPIN: return dev_unpin();
	case T_BYTE: return dev_byte(arg);
	case T_PHYS_IS_BAR: return dev_phys_is_bar(arg);
	case T_ID: return (long)file->id;
	case T_IS_OWN: return current_mm() == mm_self();
	case T_TURN: return dev_turn((int)arg);
	default: return fail(-ENOTTY, "no such ioctl");
	}
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret = do_dev_ioctl(file, cmd, arg);

	atomic_fetch_add(&dev.done, 1);
	return ret;
}

static ssize_t dev_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	if (*pos > sizeof(dev.bytes))
		return -EINVAL;
	len = min(len, sizeof(dev.bytes) - (size_t)*pos);
	if (copy_to_user(buf, dev.bytes + *pos, len))
		return -EFAULT;
	*pos += len;
	return (ssize_t)len;
}

static ssize_t dev_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	if (*pos > sizeof(dev.bytes))
		return -EINVAL;
	len = min(len, sizeof(dev.bytes) - (size_t)*pos);
	if (copy_from_user(dev.bytes + *pos, buf, len))
		return -EFAULT;
	atomic_fetch_add(&dev.done, 1);
	*pos += len;
	return (ssize_t)len;
}

static s64 dev_lseek(struct file *file, s64 off, int whence)
{
	return whence == SEEK_END ? fail(-EINVAL, "no end") : off + 1000 * whence;
}

/* Two pages at 0x40000, memory behind the first. */
static int bar_access(struct vm_area *vma, u64 off, void *buf, unsigned len, bool write)
{
	off -= 0x40000;
	if (off >= BAR_BYTES)
		return -EFAULT;
	memcpy(write ? (void *)(dev.bar + off) : buf, write ? buf : (void *)(dev.bar + off), len);
	atomic_fetch_add(&dev.done, 1);
	return 0;
}

static int bar_phys(struct vm_area *vma, u64 off, phys_addr_t *ret_phys)
{
	*ret_phys = BAR_PHYS + off;
	return 0;
}

static const struct vm_operations bar_vm_ops = { .access = bar_access, .phys = bar_phys };

static int dev_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	if (vma->pgoff_bytes < 0x40000 || vma->pgoff_bytes + (vma->last - vma->start) >= 0x42000)
		return fail(-EINVAL, "no region at 0x%llx", (unsigned long long)vma->pgoff_bytes);
	vma->ops = &bar_vm_ops;
	return 0;
}

static int dev_flush(struct file *file)
{
	return atomic_fetch_add(&dev.flushed, 1) ? -EIO : 0;
}

static int dev_link(struct file *file, char *buf, size_t size)
{
	return snprintf(buf, size, "%s (gone)", file->path);
}

static int dev_fdinfo(struct file *file, char *buf, size_t size)
{
	atomic_fetch_add(&dev.done, 1);
	return snprintf(buf, size, "far:\t1\nflags:\t%o\n", file->f_flags);
}

static const struct file_operations dev_fops = {
	.kind = FILE_OTHER, .shared = true, .release = dev_release, .ioctl = dev_ioctl, .read = dev_read,
	.write = dev_write, .lseek = dev_lseek, .mmap = dev_mmap, .flush = dev_flush, .link = dev_link,
	.fdinfo = dev_fdinfo,
};
static const struct file_operations shared_fops = {
	.kind = FILE_OTHER, .shared = true, .release = dev_release, .ioctl = dev_ioctl,
};
static const struct file_operations plain_fops = { .kind = FILE_OTHER, .release = dev_release, .ioctl = dev_ioctl };
static const struct file_operations bare_fops = { .kind = FILE_OTHER, .shared = true, .stream = true };

static struct file *node_open(struct cdev *cdev, unsigned int f_flags)
{
	if (f_flags & O_EXCL)
		return ERR_PTR(fail(-EBUSY, "somebody else has it"));
	return file_alloc(cdev->private_data, NULL, "", f_flags) ?: ERR_PTR(-ENOMEM);
}

static struct cdev nodes[] = {
	{ .path = "far/dev", .mode = 0640, .open = node_open, .private_data = (void *)&dev_fops },
	{ .path = "far/bare", .mode = 0600, .open = node_open, .private_data = (void *)&bare_fops },
	{ .path = "far/plain", .mode = 0600, .open = node_open, .private_data = (void *)&plain_fops },
};

/* ---- children ---- */

/* At once: what a sanitizer says at the end is of the parent's threads, of which this process has a copy. */
static inline void __attribute__((noreturn)) end_life(int status)
{
	for (;;)
		sys_call(SYS_exit_group, status, 0, 0, 0);
}

static inline void __attribute__((noreturn)) in_vain(const char *file, int line, const char *what)
{
	dprintf(2, "%s:%d: the child expected %s\n", file, line, what);
	end_life(1);
}

#define EXPECT(cond) do { if (!(cond)) in_vain(__FILE__, __LINE__, #cond); } while (0)
#define EXPECT_OK(call) expect_ok(__FILE__, __LINE__, (long)(call), #call)

static inline long expect_ok(const char *file, int line, long ret, const char *what)
{
	if (ret < 0)
		in_vain(file, line, what);
	return ret;
}

/* A child has one thread: what others did before the fork is over.  The sanitizer does not know that. */
#ifdef __SANITIZE_THREAD__
void __tsan_ignore_thread_begin(void);
#define ONE_THREAD() __tsan_ignore_thread_begin()
#else
#define ONE_THREAD() ((void)0)
#endif

static int inherited; /* a descriptor that the parent had open, of the device */

/* As front/preload/fork.c does it; @sock -1: as in one whose connection could not be made. */
static inline void as_child(int sock, pid_t server)
{
	vma_forget_all(mm_self());
	file_forget_all();
	pins_forget();
	locked_vm_forget(mm_self());
	fd_private_forget_exclusive(sock);
	proxy_begin(sock, server);
	for (int fd = 0; fd < NR_FDS; fd++) {
		struct file *file = fd_is_ours(fd) ? fget(fd) : NULL, *proxy = file ? proxy_of(file, fd) : NULL;

		if (file)
			EXPECT(proxy && !fd_install(fd, proxy));
	}
}

/* What is published here is the parent's still, until it is closed. */
static inline pid_t fork_with(void (*life)(void), int pair[2])
{
	pid_t pid;

	assert_int_equal(wire_pair(pair), 0);
	pid = fork();
	if (!pid) {
		ONE_THREAD();
		as_child(pair[1], getppid());
		life();
		end_life(0);
	}
	assert_true(pid > 0);
	fd_private_close(pair[1]);
	return pid;
}

static inline void went_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#ifdef __SANITIZE_THREAD__
static int own_threads = 2;
#else
static int own_threads = 1;
#endif

static inline int threads(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, "Threads: %d", &n) != 1)
		;
	fclose(f);
	return n;
}

/* Nobody is served any more, and no file is waited for. */
static inline void all_quiet(void)
{
	int n = threads();

	for (int i = 0; i < 2000 && n != own_threads; i++, n = threads())
		usleep(5000);
	assert_int_equal(n, own_threads);
	(void)atomic_load(&dev.done);
}

/* ---- calls, as a front end makes them ---- */

static inline long ioctl_at(int fd, unsigned cmd, unsigned long arg)
{
	struct file *file = fget(fd);
	long ret;

	EXPECT(file);
	ret = do_ioctl(fd, file, cmd, arg);
	fput(file);
	return ret;
}

static inline long call(unsigned cmd, unsigned long arg)
{
	return ioctl_at(inherited, cmd, arg);
}

/* As the front end does it. */
static inline void close_number(int fd)
{
	struct file *file = fget(fd);

	fd_uninstall(fd);
	close(fd);
	do_close(fd, file);
}

static inline bool says(const char *text)
{
	const char *why = explain_last();

	return why && strstr(why, text);
}

/* @len bytes of the device from @off, at addresses that trap; NULL: -errno is at @ret_err. */
static inline u8 *map_device(struct file *file, u64 off, u64 len, int prot, int *ret_err)
{
	u8 *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm_area *vma;

	*ret_err = do_mmap(-1, file, (uintptr_t)at, len, prot, MAP_SHARED, off, &vma);
	if (*ret_err)
		return NULL;
	vma_insert(mm_self(), vma);
	return at;
}

/* ---- the parent and its machine ---- */

static inline int open_here(const char *path, bool share)
{
	struct file *file;
	int fd;

	assert_int_equal(do_open(path, O_RDWR, &file), 0);
	fd = fd_publish(file, true);
	assert_true(fd >= 0 && fd < NR_FDS);
	if (share)
		file_share(fd, file);
	return fd;
}

static inline void close_here(int fd)
{
	close_number(fd);
}

static char dir[64];

static void nothing(const char *line)
{
}

static inline int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/serve_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir) || kernfs_open(dir, true))
		return -1;
	wire_machine(dir);
	nodes[0].rdev = makedev(10, 3);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		if (cdev_add(&nodes[i], true))
			return -1;
	explain_enabled = true;
	explain_set_sink(nothing);
	inherited = open_here("/dev/far/dev", true);
	return 0;
}

static inline int teardown(void **state)
{
	char cmd[128];

	close_here(inherited);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		cdev_del(&nodes[i], true);
	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* cmocka takes SIGSEGV before each test: take it back inside. */
static void guarded_test(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	atomic_store(&dev.released, 0);
	atomic_store(&dev.flushed, 0);
	atomic_store(&dev.turn, 0);
	atomic_store(&dev.waiting, 0);
	test(state);
}

#define GUARDED_TEST(test) { #test, guarded_test, NULL, NULL, (void *)(test) }

#endif
