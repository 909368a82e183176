/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_test.c - wire, proxy and serve together: a child has stand-ins, and this process does what they are told.
 *
 * A test forks children whose whole life is a function; what that expects in vain is said and makes it end with 1.  The
 * device's state is in the parent: the child asks for it by ioctl.  Others speak for themselves on one end of a wire.
 */
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/fs/chrdev.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/nomem_test.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/task.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/mm/pins.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/wire.h"
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
static void __attribute__((noreturn)) end_life(int status)
{
	for (;;)
		sys_call(SYS_exit_group, status, 0, 0, 0);
}

static void __attribute__((noreturn)) in_vain(int line, const char *what)
{
	dprintf(2, "serve_test.c:%d: the child expected %s\n", line, what);
	end_life(1);
}

#define EXPECT(cond) do { if (!(cond)) in_vain(__LINE__, #cond); } while (0)
#define EXPECT_OK(call) expect_ok(__LINE__, (long)(call), #call)

static long expect_ok(int line, long ret, const char *what)
{
	if (ret < 0)
		in_vain(line, what);
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
static void as_child(int sock, pid_t server)
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
static pid_t fork_with(void (*life)(void), int pair[2])
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

static pid_t served(void (*life)(void))
{
	int pair[2];
	pid_t pid = fork_with(life, pair);

	assert_int_equal(serve_process(pair[0], NR_FDS), 0);
	return pid;
}

static void went_well(pid_t pid)
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

static int threads(void)
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
static void all_quiet(void)
{
	int n = threads();

	for (int i = 0; i < 2000 && n != own_threads; i++, n = threads())
		usleep(5000);
	assert_int_equal(n, own_threads);
	(void)atomic_load(&dev.done);
}

static void lives(void (*life)(void))
{
	went_well(served(life));
	all_quiet();
}

static struct file *opened(const char *path)
{
	struct file *file;

	EXPECT_OK(do_open(path, O_RDWR, &file));
	return file;
}

static long ioctl_at(int fd, unsigned cmd, unsigned long arg)
{
	struct file *file = fget(fd);
	long ret;

	EXPECT(file);
	ret = do_ioctl(fd, file, cmd, arg);
	fput(file);
	return ret;
}

static long call(unsigned cmd, unsigned long arg)
{
	return ioctl_at(inherited, cmd, arg);
}

/* As the front end does it. */
static void close_number(int fd)
{
	struct file *file = fget(fd);

	fd_uninstall(fd);
	close(fd);
	do_close(fd, file);
}

static bool says(const char *text)
{
	const char *why = explain_last();

	return why && strstr(why, text);
}

static int open_here(const char *path, bool share)
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

static void close_here(int fd)
{
	close_number(fd);
}

/* ---- open ---- */

static void opens(void)
{
	struct file *file, *again;
	struct stat st;
	u32 mode = 0;
	u64 rdev = 0;
	int fd, own;

	EXPECT(proxy_active());
	file = opened("/dev/far/dev");
	EXPECT(!strcmp(file->path, "/dev/far/dev") && file->mode == (S_IFCHR | 0640) && file->rdev == makedev(10, 3));
	EXPECT((file->f_flags & O_ACCMODE) == O_RDWR && file->f_op->kind == FILE_OTHER && !file->f_op->stream);
	EXPECT(do_fstat(file, &st) == 0);
	fd = (int)EXPECT_OK(fd_publish(file, true));
	EXPECT(ioctl_at(fd, T_ID, 0) > ioctl_at(inherited, T_ID, 0));
	EXPECT(ioctl_at(fd, T_IS_OWN, 0) == 0);

	again = opened("/dev/far/dev");
	EXPECT(do_ioctl(-1, again, T_ID, 0) > ioctl_at(fd, T_ID, 0));
	do_close(-1, again);
	EXPECT(call(T_RELEASED, 0) == 1);
	own = dup(fd);
	close_number(fd);
	EXPECT(call(T_RELEASED, 0) == 1); /* not the last */
	close(own);
	EXPECT(call(T_RELEASED, 0) == 2);

	file = opened("/dev/far/bare");
	EXPECT(file->f_op->stream && !file->f_op->ioctl && !file->f_op->mmap);
	do_close(-1, file);
	file = opened("/dev/far/plain");
	EXPECT(call(T_RELEASED, 0) == 2);
	do_close(-1, file);
	EXPECT(call(T_RELEASED, 0) == 3);

	EXPECT(do_open("/dev/far/dev", O_RDWR | O_EXCL, &file) == -EBUSY && says("somebody else has it"));
	EXPECT(do_open("/dev/far/none", O_RDWR, &file) == -ENOSYS);
	EXPECT(proxy_node("far/dev", &mode, &rdev) == 0 && mode == 0640 && rdev == makedev(10, 3));
	EXPECT(proxy_node("far/none", &mode, &rdev) == -ENOENT);
	opened("/dev/far/plain"); /* which the end closes */
	opened("/dev/far/dev");
}

static void a_child_opens(void **state)
{
	lives(opens);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 5);
}

static atomic_int looks_left = -1;

static int look_first(void)
{
	if (atomic_load(&looks_left) < 0 || atomic_fetch_sub(&looks_left, 1))
		return 0;
	return fail(-EBUSY, "the machine went away");
}

static void opens_once(void)
{
	struct file *file;
	u32 mode;
	u64 rdev;

	do_close(-1, opened("/dev/far/dev"));
	EXPECT(do_open("/dev/far/dev", O_RDWR, &file) == -EBUSY && says("the machine went away"));
	EXPECT(proxy_node("far/dev", &mode, &rdev) == 0); /* it is back */
}

static void the_node_is_looked_for(void)
{
	u32 mode;
	u64 rdev;

	EXPECT(proxy_node("far/dev", &mode, &rdev) == -ENOENT);
	EXPECT(proxy_node("far/dev", &mode, &rdev) == 0);
}

static void the_server_looks_first(void **state)
{
	atomic_store(&looks_left, 1);
	lives(opens_once);
	assert_int_equal(atomic_load(&looks_left), -1);
	atomic_store(&looks_left, 0);
	lives(the_node_is_looked_for);
	assert_int_equal(atomic_load(&looks_left), -1);
}

/* ---- calls ---- */

static void calls_ioctls(void)
{
	char *map = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *read_only = map + 3 * PAGE_SIZE;
	struct twice t = { .in = 21 };
	struct file *bare = opened("/dev/far/bare");
	u8 big[BIG];

	munmap(map + 2 * PAGE_SIZE, PAGE_SIZE);
	memset(map, 'x', 2 * PAGE_SIZE);
	mprotect(read_only, PAGE_SIZE, PROT_READ);
	EXPECT(call(T_DOUBLE, (unsigned long)&t) == 0 && t.out == 42);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (u8)(i * 7);
	EXPECT(call(T_INVERT, (unsigned long)big) == 0);
	for (size_t i = 0; i < BIG; i++)
		EXPECT(big[i] == (u8)~(u8)(i * 7));
	EXPECT(call(T_CLEAR, (unsigned long)big) == 0 && !big[0] && !big[WIRE_DATA] && !big[BIG - 1]);

	/* Across two pages, at any address; at the end of what is mapped; what the call itself wrote is seen. */
	memcpy(map + PAGE_SIZE - 4, &t, sizeof(t));
	EXPECT(call(T_DOUBLE, (unsigned long)(map + PAGE_SIZE - 4)) == 0 && !memcmp(map + PAGE_SIZE, &(u32){ 42 }, 4));
	memcpy(map + 2 * PAGE_SIZE - 8, &t, sizeof(t));
	EXPECT(call(T_DOUBLE, (unsigned long)(map + 2 * PAGE_SIZE - 8)) == 0);
	for (int i = 1; i < 9; i++) {
		memcpy(map + PAGE_SIZE - 8 - i, &t, sizeof(t));
		EXPECT(call(T_DOUBLE, (unsigned long)(map + PAGE_SIZE - 8 - i)) == 0);
		EXPECT(!memcmp(map + PAGE_SIZE - 4 - i, &(u32){ 42 }, 4));
	}
	EXPECT(call(T_COUNT, (unsigned long)&t) == 22 && t.in == 22);
	memset(map, 'x', 2 * PAGE_SIZE);

	EXPECT(call(T_DOUBLE, 0) == -EFAULT);
	EXPECT(call(T_DOUBLE, 1ul << 47) == -EFAULT);
	EXPECT(call(T_DOUBLE, (unsigned long)(map + 2 * PAGE_SIZE - 4)) == -EFAULT);
	EXPECT(call(T_DOUBLE, (unsigned long)read_only) == -EFAULT);
	EXPECT(call(T_INVERT, (unsigned long)(map + 1)) == -EFAULT); /* in its second piece */
	EXPECT(map[1] == 'x');
	EXPECT(call(T_CLEAR, (unsigned long)read_only) == -EFAULT);

	EXPECT(call(T_STRLEN, (unsigned long)"twelve bytes") == 12);
	EXPECT(call(T_STRLEN, (unsigned long)"") == 0);
	strcpy(map + 2 * PAGE_SIZE - 4, "end"); /* at the end of what is mapped */
	EXPECT(call(T_STRLEN, (unsigned long)(map + 2 * PAGE_SIZE - 4)) == 3);
	map[2 * PAGE_SIZE - 1] = 'x';
	EXPECT(call(T_STRLEN, (unsigned long)(map + 2 * PAGE_SIZE - 4)) == -EFAULT);
	EXPECT(call(T_STRLEN, 0) == -EFAULT);
	EXPECT(call(T_STRLEN, (unsigned long)map) == -ENAMETOOLONG);

	EXPECT(call(T_FAIL, 17) == -EXDEV && says("the fake cannot do 17"));
	EXPECT(call(T_NOTE, 0) == 7 && says("this looks strange"));
	EXPECT(call(T_RELEASED, 0) == 0 && !explain_last());
	EXPECT(call(9999, 0) == -ENOTTY);
	EXPECT(do_ioctl(-1, bare, T_DOUBLE, 0) == -ENOTTY);
}

static void a_child_calls_ioctls(void **state)
{
	lives(calls_ioctls);
}

static void reads_and_writes(void)
{
	struct file *file = fget(inherited), *bare = opened("/dev/far/bare"), *reader;
	char buf[300];
	u64 pos = 250;

	EXPECT(do_write(-1, file, "0123456789", 10, NULL) == 10 && do_write(-1, file, "ab", 2, NULL) == 2);
	EXPECT(do_read(-1, file, buf, 4, &(u64){ 8 }) == 4 && !memcmp(buf, "89ab", 4));
	EXPECT(do_read(-1, file, buf, 300, NULL) == 256 - 12); /* the position did not move */
	EXPECT(do_read(-1, file, buf, 1, NULL) == 0);
	EXPECT(do_write(-1, file, "end of it", 9, &pos) == 6 && pos == 250);
	EXPECT(do_read(-1, file, buf, 300, &pos) == 6 && !memcmp(buf, "end of", 6));
	EXPECT(do_read(-1, file, buf, 1, &(u64){ 257 }) == -EINVAL);
	EXPECT(do_read(-1, file, NULL, 4, &pos) == -EFAULT && do_write(-1, file, NULL, 4, &pos) == -EFAULT);
	EXPECT(do_read(-1, file, NULL, 4, NULL) == 0); /* the position is at the end */

	EXPECT(do_read(-1, bare, buf, 4, NULL) == -EINVAL && do_write(-1, bare, buf, 4, NULL) == -EINVAL);
	EXPECT(do_read(-1, bare, buf, 4, &pos) == -ESPIPE);
	EXPECT_OK(do_open("/dev/far/dev", O_RDONLY, &reader));
	EXPECT(do_write(-1, reader, buf, 4, NULL) == -EBADF && do_read(-1, reader, buf, 4, NULL) == 4);
}

static void a_child_reads_and_writes(void **state)
{
	memset(dev.bytes, 0, sizeof(dev.bytes));
	lives(reads_and_writes);
	assert_memory_equal(dev.bytes, "0123456789ab", 12);
	assert_memory_equal(dev.bytes + 250, "end of", 6);
}

static void other_operations(void)
{
	struct file *file = fget(inherited), *bare = opened("/dev/far/bare");
	char buf[64];

	EXPECT(do_lseek(-1, file, 5, SEEK_SET) == 5 && do_lseek(-1, file, 5, SEEK_CUR) == 1005);
	EXPECT(do_lseek(-1, file, 0, SEEK_END) == -EINVAL && says("no end"));
	EXPECT(do_lseek(-1, bare, 0, SEEK_SET) == -ESPIPE);
	EXPECT(file_flush(bare) == 0 && call(T_FLUSHED, 0) == 0);
	EXPECT(file_flush(file) == 0 && call(T_FLUSHED, 0) == 1 && file_flush(file) == -EIO);

	EXPECT(file->f_op->link(file, buf, sizeof(buf)) == 19 && !strcmp(buf, "/dev/far/dev (gone)"));
	EXPECT(file->f_op->link(file, buf, 5) == 19 && !strcmp(buf, "/dev"));
	EXPECT(!bare->f_op->link && !bare->f_op->fdinfo);
	EXPECT(file->f_op->fdinfo(file, buf, sizeof(buf)) > 0 && !strcmp(buf, "far:\t1\nflags:\t2\n"));

	EXPECT(file_flags(file) == O_RDWR);
	file_set_flags(file, O_NONBLOCK | O_WRONLY);
	EXPECT(file_flags(file) == (O_RDWR | O_NONBLOCK) && file->f_flags == (O_RDWR | O_NONBLOCK));
	EXPECT(file->f_op->fdinfo(file, buf, sizeof(buf)) > 0 && !strcmp(buf, "far:\t1\nflags:\t4002\n"));
}

static void a_child_does_the_rest(void **state)
{
	struct file *file = fget(inherited);

	lives(other_operations);
	assert_int_equal(file->f_flags, O_RDWR | O_NONBLOCK); /* it is one open file */
	fput(file);
}

/* @len bytes of the device from @off, at addresses that trap; NULL: -errno is at @ret_err. */
static u8 *map_device(struct file *file, u64 off, u64 len, int prot, int *ret_err)
{
	u8 *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm_area *vma;

	*ret_err = do_mmap(-1, file, (uintptr_t)at, len, prot, MAP_SHARED, off, &vma);
	if (*ret_err)
		return NULL;
	vma_insert(mm_self(), vma);
	return at;
}

static void maps(void)
{
	struct file *file = fget(inherited), *bare = opened("/dev/far/bare");
	struct pinned pinned = { .len = PAGE_SIZE };
	struct twice *far;
	u8 *at, *read_only;
	u64 value = 0x1122334455667788;
	u32 low = 0;
	int err;

	at = map_device(file, 0x40000, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, &err);
	EXPECT(at && !err);
	EXPECT(mmio_access((uintptr_t)at + 0x20, &value, 8, true) == 0);
	EXPECT(mmio_access((uintptr_t)at + 0x20, &low, 4, false) == 0 && low == 0x55667788);
	value = 0;
	EXPECT(copy_from_user(&value, at + 0x20, 8) == 0 && value == 0x1122334455667788);
	EXPECT(mmio_access((uintptr_t)at + PAGE_SIZE, &value, 8, false) == -EFAULT); /* nothing is behind it */
	EXPECT(mmio_access((uintptr_t)at + PAGE_SIZE, &value, 8, true) == -EFAULT);
	EXPECT(mmio_access((uintptr_t)at - 8, &value, 8, true) == -ENOENT);

	/* What a call names may be in a mapping of the device: it is answered in the middle of that. */
	far = (struct twice *)(at + 0x40);
	EXPECT(copy_to_user(&far->in, &(u32){ 8 }, 4) == 0);
	EXPECT(call(T_DOUBLE, (unsigned long)far) == 0);
	EXPECT(copy_from_user(&low, &far->out, 4) == 0 && low == 16);
	EXPECT(call(T_DOUBLE, (unsigned long)at + PAGE_SIZE) == -EFAULT);

	/* Devices reach it where the bus has it. */
	pinned.uva = (uintptr_t)at;
	EXPECT(call(T_PHYS_IS_BAR, (unsigned long)&pinned) == 1);
	pinned.uva = (uintptr_t)at - PAGE_SIZE;
	pinned.len = 2 * PAGE_SIZE;
	EXPECT(call(T_PHYS_IS_BAR, (unsigned long)&pinned) == -EFAULT);

	read_only = map_device(file, 0x40000, PAGE_SIZE, PROT_READ, &err);
	EXPECT(read_only && copy_to_user(read_only, &value, 8) == -EFAULT);
	EXPECT(copy_from_user(&value, read_only + 0x20, 8) == 0);
	EXPECT(!map_device(file, 0x80000, PAGE_SIZE, PROT_READ, &err) && err == -EINVAL);
	EXPECT(says("no region at 0x80000"));
	EXPECT(!map_device(file, 0x41000, 2 * PAGE_SIZE, PROT_READ, &err) && err == -EINVAL);
	EXPECT(!map_device(bare, 0x40000, PAGE_SIZE, PROT_READ, &err) && err == -ENODEV);

	/* The mapping holds its file. */
	do_close(-1, bare);
	bare = opened("/dev/far/dev");
	at = map_device(bare, 0x40000, PAGE_SIZE, PROT_READ | PROT_WRITE, &err);
	do_close(-1, bare);
	EXPECT(at && call(T_RELEASED, 0) == 0);
	EXPECT(mmio_access((uintptr_t)at + 0x20, &value, 8, false) == 0 && value == 0x1122334455667788);
	EXPECT(vma_remove(mm_self(), (uintptr_t)at, PAGE_SIZE) == 0);
	EXPECT(call(T_RELEASED, 0) == 1);
}

static void a_child_maps(void **state)
{
	lives(maps);
	assert_int_equal(dev.bar[0x20], 0x88);
}

/* ---- descriptors ---- */

static void names_descriptors(void)
{
	int plain = memfd_create("plain", MFD_CLOEXEC), path = open("/", O_PATH | O_CLOEXEC), fd;
	char buf[4] = "";

	fd = (int)EXPECT_OK(fd_publish(opened("/dev/far/dev"), true));
	EXPECT(call(T_FGET, (unsigned)fd) == ioctl_at(fd, T_ID, 0));
	EXPECT(call(T_FGET, (unsigned)inherited) == call(T_ID, 0));
	EXPECT(call(T_FGET, (unsigned)plain) == -EINVAL);
	EXPECT(call(T_FGET, (unsigned)path) == -EBADF);
	EXPECT(call(T_FGET, 1000) == -EBADF && call(T_FGET, (unsigned)-1) == -EBADF);
	EXPECT(call(T_DUP, (unsigned)plain) == 3 && pread(plain, buf, 4, 0) == 3 && !strcmp(buf, "dup"));
	EXPECT(call(T_DUP, 1000) == -EBADF && says("descriptor 1000 is not open"));
	EXPECT(call(T_DUP, (unsigned)path) == -EBADF);
	close_number(fd);
	EXPECT(call(T_FGET, (unsigned)fd) == -EBADF);
}

static void a_child_names_descriptors(void **state)
{
	lives(names_descriptors);
}

static void gets_descriptors(void)
{
	struct rlimit limit, small;
	struct file *file;
	int fd = -1, plain = -1, next, *bad = (int *)8;

	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == 0 && fd_is_ours(fd) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(call(T_PUBLISH_PLAIN, (unsigned long)&plain) == 0 && fd_is_ours(plain) && plain != fd);
	EXPECT(ioctl_at(fd, T_ID, 0) == call(T_FGET, (unsigned)fd));
	EXPECT(ioctl_at(plain, T_ID, 0) == call(T_FGET, (unsigned)plain));
	file = fget(fd);
	EXPECT(file && !strcmp(file->path, "anon_inode:[test]") && file->mode == 0600);
	fput(file);
	EXPECT(call(T_RELEASED, 0) == 0);
	close_number(fd);
	EXPECT(call(T_RELEASED, 0) == 1);
	close_number(plain);
	EXPECT(call(T_RELEASED, 0) == 2);

	/* Who is not told of it does not have it. */
	next = dup(0);
	close(next);
	EXPECT(call(T_PUBLISH, (unsigned long)bad) == -EFAULT);
	EXPECT(!fd_is_ours(next) && fcntl(next, F_GETFD) == -1);
	EXPECT(call(T_RELEASED, 0) == 3);
	EXPECT(call(T_PUBLISH_PLAIN, (unsigned long)bad) == -EFAULT && call(T_RELEASED, 0) == 4);

	getrlimit(RLIMIT_NOFILE, &limit);
	small = limit;
	small.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &small);
	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == -EMFILE);
	EXPECT(call(T_PUBLISH_PLAIN, (unsigned long)&fd) == -EMFILE);
	setrlimit(RLIMIT_NOFILE, &limit);
	EXPECT(call(T_RELEASED, 0) == 6);

	/* With the process it is closed. */
	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == 0 && call(T_PUBLISH_PLAIN, (unsigned long)&plain) == 0);
}

static void a_child_gets_descriptors(void **state)
{
	lives(gets_descriptors);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 8);
}

/* ---- memory ---- */

static u8 *childs_page(u8 byte)
{
	u8 *at = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(at, byte, 2 * PAGE_SIZE);
	return at;
}

static int unmap(u8 *at)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	struct pins_change c;
	int err;

	pins_change_begin(&c, "munmap");
	err = pins_change_leave(&c, (uintptr_t)at, 2 * PAGE_SIZE);
	if (!err)
		EXPECT(mmap(at, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) == at);
	pins_change_end(&c, !err);
	return err;
}

static void pins_memory(void)
{
	u8 *at = childs_page(0x31);
	struct pinned pinned = { .uva = (uintptr_t)at, .len = 2 * PAGE_SIZE };
	u64 locked = 99, vm_pinned = 99;

	EXPECT(!mm_pins_near((uintptr_t)at, PAGE_SIZE));
	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0);
	EXPECT(call(T_BYTE, PAGE_SIZE) == 0x31);
	at[PAGE_SIZE] = 0x32;
	EXPECT(call(T_BYTE, PAGE_SIZE) == 0x32);
	EXPECT(mm_pins_near((uintptr_t)at, PAGE_SIZE) && !mm_pins_near((uintptr_t)at + 2 * PAGE_SIZE, PAGE_SIZE));
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 2 && vm_pinned == 2);
	proxy_accounts(getppid(), &locked, &vm_pinned);
	EXPECT(locked == 0 && vm_pinned == 0);
	EXPECT(locked_vm_pages(mm_self()) == 0);

	/* The device keeps what it had. */
	EXPECT(unmap(at) == 0);
	memset(at, 0x33, 2 * PAGE_SIZE);
	EXPECT(call(T_BYTE, 0) == 0x31 && call(T_BYTE, PAGE_SIZE) == 0x32);
	EXPECT(call(T_UNPIN, 0) == 0);
	EXPECT(!mm_pins_near((uintptr_t)at, PAGE_SIZE));
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 0 && vm_pinned == 0);
	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0 && call(T_BYTE, 0) == 0x33 && call(T_UNPIN, 0) == 0);

	pinned.uva = PAGE_SIZE;
	EXPECT(call(T_PIN, (unsigned long)&pinned) == -EFAULT);
	proxy_accounts(1 << 30, &locked, &vm_pinned); /* nobody's */
	EXPECT(locked == 0 && vm_pinned == 0);
}

static void a_child_pins_memory(void **state)
{
	lives(pins_memory);
}

static bool says_that_it_ends;

static void ends_with_pinned_memory(void)
{
	u8 *at = childs_page(0x41);
	struct pinned pinned = { .uva = (uintptr_t)at, .len = 2 * PAGE_SIZE };

	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0 && call(T_BYTE, 0) == 0x41);
	if (says_that_it_ends)
		proxy_end();
}

static void memory_outlives_a_child(void **state)
{
	u64 locked, vm_pinned;
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		says_that_it_ends = i;
		pid = served(ends_with_pinned_memory);
		went_well(pid);
		all_quiet();
		assert_int_equal(dev_byte(PAGE_SIZE), i ? 0x41 : -EFAULT);
		assert_int_equal(locked_vm_pages(dev.pinned.mm), 2);
		serve_accounts(pid, &locked, &vm_pinned); /* who has that number now? */
		assert_int_equal(locked, 0);
		dev_unpin();
	}
	serve_accounts(getpid(), &locked, &vm_pinned);
	assert_int_equal(locked, locked_vm_pages(mm_self()));
	assert_int_equal(vm_pinned, 0);
}

/* ---- more processes ---- */

static void takes_its_turn(void)
{
	EXPECT(call(T_TURN, 0) == 0 && call(T_TURN, 2) == 0);
}

static void takes_its_turn_too(void)
{
	EXPECT(call(T_TURN, 1) == 0 && call(T_TURN, 3) == 0);
}

static void children_call_at_once(void **state)
{
	pid_t a = served(takes_its_turn_too), b = served(takes_its_turn);

	went_well(a);
	went_well(b);
	all_quiet();
	assert_int_equal(atomic_load(&dev.turn), 4);
}

/* ---- who is killed in a call ---- */

static pid_t killed;

static void calls_until_it_is_killed(void)
{
	call(T_TURN, 5);
	EXPECT(false);
}

static void *comes_to_turn_5(void *arg)
{
	usleep(50000);
	atomic_store(&dev.turn, 5);
	return arg;
}

static void kill_one_in_a_call(void)
{
	int status;

	killed = served(calls_until_it_is_killed);
	while (!atomic_load(&dev.waiting))
		usleep(100);
	assert_int_equal(kill(killed, SIGKILL), 0);
	assert_int_equal(waitpid(killed, &status, 0), killed);
	assert_int_equal(status, SIGKILL);
}

static void waits_for_the_killed(void)
{
	proxy_wait_for(killed);
	EXPECT(call(T_TURN, 6) == 0);
}

static void a_call_ends_after_its_caller(void **state)
{
	pthread_t thread;

	kill_one_in_a_call();
	assert_int_equal(pthread_create(&thread, NULL, comes_to_turn_5, NULL), 0);
	serve_wait_for(killed);
	assert_int_equal(atomic_load(&dev.turn), 6);
	pthread_join(thread, NULL);
	all_quiet();
}

static void a_child_waits_for_its_sibling(void **state)
{
	pthread_t thread;

	kill_one_in_a_call();
	assert_int_equal(pthread_create(&thread, NULL, comes_to_turn_5, NULL), 0);
	went_well(served(waits_for_the_killed));
	assert_int_equal(atomic_load(&dev.turn), 7);
	pthread_join(thread, NULL);
	all_quiet();
}

/* Nobody waits for ever; nor for who calls nothing, or is none of ours. */
static void a_call_never_ends(void **state)
{
	struct timespec since, now;

	clock_gettime(CLOCK_MONOTONIC, &since);
	serve_wait_for(getpid());
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec - since.tv_sec <= 1);
	kill_one_in_a_call();
	clock_gettime(CLOCK_MONOTONIC, &since);
	serve_wait_for(killed);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_in_range(now.tv_sec - since.tv_sec, 1, 30);
	assert_int_equal(atomic_load(&dev.waiting), 1);
	atomic_store(&dev.turn, 5);
	all_quiet();
}

static void grandchild(void)
{
	struct pinned pinned = { .uva = (uintptr_t)childs_page(0x51), .len = PAGE_SIZE };
	struct twice t = { .in = 4 };
	u64 locked = 0, vm_pinned = 0;
	int fd;

	EXPECT(call(T_DOUBLE, (unsigned long)&t) == 0 && t.out == 8);
	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0 && call(T_BYTE, 0) == 0x51);
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 1);
	proxy_accounts(getppid(), &locked, &vm_pinned);
	EXPECT(locked == 0);
	EXPECT(call(T_UNPIN, 0) == 0);
	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == 0 && call(T_FGET, (unsigned)fd) == ioctl_at(fd, T_ID, 0));
	EXPECT(call(T_TURN, 1) == 0); /* the child, its parent, has ended */
}

static void has_a_child(void)
{
	int fd = (int)EXPECT_OK(fd_publish(opened("/dev/far/dev"), true)), sock;
	long id = ioctl_at(fd, T_ID, 0);
	pid_t server = getppid(), pid;

	sock = (int)EXPECT_OK(proxy_connect_child());
	EXPECT(fd_is_private(sock));
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		as_child(sock, server);
		EXPECT(ioctl_at(fd, T_ID, 0) == id);
		grandchild();
		end_life(0);
	}
	fd_private_close(sock);
	EXPECT(ioctl_at(fd, T_ID, 0) == id);
	close_number(fd);
	EXPECT(call(T_RELEASED, 0) == 0); /* the grandchild has it, or was ended by a signal */
	EXPECT(call(T_TURN, 0) == 0);
}

static void a_child_has_a_child(void **state)
{
	lives(has_a_child);
	file_reap();
	assert_int_equal(atomic_load(&dev.turn), 2);
	assert_int_equal(atomic_load(&dev.released), 2);
}

/* ---- files that the parent closes ---- */

static int plain_fd;

static void goes_on_alone(void)
{
	struct twice t = { .in = 3 };

	EXPECT(call(T_TURN, 0) == 0); /* both are closed there */
	EXPECT(ioctl_at(plain_fd, T_DOUBLE, (unsigned long)&t) == 0 && t.out == 6);
	t.in = 5;
	EXPECT(call(T_DOUBLE, (unsigned long)&t) == 0 && t.out == 10);
	close_number(plain_fd);
	EXPECT(call(T_RELEASED, 0) == 1);
	EXPECT(call(T_TURN, 2) == 0);
}

static void the_parent_closes(void **state)
{
	pid_t pid;

	plain_fd = open_here("/dev/far/plain", false);
	atomic_store(&dev.turn, -1);
	pid = served(goes_on_alone);
	close_here(plain_fd);
	close_here(inherited);
	assert_int_equal(atomic_load(&dev.released), 0);
	dev_turn(-1);
	dev_turn(1);
	went_well(pid);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 2);
	all_quiet();
	inherited = open_here("/dev/far/dev", true);
}

static int unnoted_fd;

static void finds_no_file(void)
{
	struct file *file = fget(unnoted_fd);
	char buf[8];
	int err;

	EXPECT(call(T_TURN, 0) == 0);
	EXPECT(do_ioctl(unnoted_fd, file, T_ID, 0) == -EBADF && says("does not have the file any more"));
	EXPECT(do_read(unnoted_fd, file, buf, 8, NULL) == -EBADF && do_write(unnoted_fd, file, buf, 8, NULL) == -EBADF);
	EXPECT(do_lseek(unnoted_fd, file, 0, SEEK_SET) == -EBADF && file_flush(file) == -EBADF);
	EXPECT(file->f_op->fdinfo(file, buf, 8) == -EBADF && file->f_op->link(file, buf, 8) == -EBADF);
	EXPECT(!map_device(file, 0x40000, PAGE_SIZE, PROT_READ, &err) && err == -EBADF);
	EXPECT(file_flags(file) == O_RDWR); /* as it was */
	EXPECT(call(T_FGET, (unsigned)unnoted_fd) == -EINVAL);
}

/* Nothing told the server that the child has it, too. */
static void the_parent_closed_all(void **state)
{
	pid_t pid;

	unnoted_fd = open_here("/dev/far/dev", false);
	atomic_store(&dev.turn, -1);
	pid = served(finds_no_file);
	close_here(unnoted_fd);
	assert_int_equal(atomic_load(&dev.released), 1);
	dev_turn(-1);
	went_well(pid);
	all_quiet();
}

/* ---- nobody at the other end ---- */

static void is_alone(void)
{
	struct file *file = fget(inherited), *other;
	struct twice t = { .in = 1 };
	u64 locked = 7, vm_pinned = 7, value;
	char buf[64];
	u32 mode;
	int err;

	EXPECT(proxy_active());
	EXPECT(call(T_DOUBLE, (unsigned long)&t) == -EBADF && says("which has ended"));
	EXPECT(do_read(-1, file, buf, 4, NULL) == -EBADF && do_write(-1, file, buf, 4, NULL) == -EBADF);
	EXPECT(do_lseek(-1, file, 0, SEEK_SET) == -EBADF && file_flush(file) == -EBADF);
	EXPECT(file->f_op->link(file, buf, 64) == -EBADF && file->f_op->fdinfo(file, buf, 64) == -EBADF);
	EXPECT(!map_device(file, 0x40000, PAGE_SIZE, PROT_READ, &err) && err == -EBADF);
	EXPECT(file_flags(file) == O_RDWR);
	file_set_flags(file, O_NONBLOCK);
	EXPECT(file_flags(file) == (O_RDWR | O_NONBLOCK));
	EXPECT(do_open("/dev/far/dev", O_RDWR, &other) == -EBUSY && says("which has ended"));
	EXPECT(proxy_node("far/dev", &mode, &value) == -EBUSY);
	EXPECT(!proxy_find(inherited));
	EXPECT(proxy_connect_child() < 0);
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 7 && vm_pinned == 7);
	proxy_end();
	close_number(inherited);
}

/* The mapping was made before. */
static void maps_and_is_alone(void)
{
	struct file *file = fget(inherited);
	u64 value = 5;
	int err;
	u8 *at = map_device(file, 0x40000, PAGE_SIZE, PROT_READ | PROT_WRITE, &err);

	EXPECT(at && call(T_TURN, 0) == -EBADF);
	EXPECT(mmio_access((uintptr_t)at, &value, 8, false) == -EFAULT);
	EXPECT(mmio_access((uintptr_t)at, &value, 8, true) == -EFAULT);
	EXPECT(call(T_DOUBLE, (unsigned long)at) == -EBADF);
	is_alone();
}

static void the_parent_is_gone(void **state)
{
	int pair[2];
	pid_t pid = fork_with(is_alone, pair);

	fd_private_close(pair[0]);
	went_well(pid);
}

/* A server by hand: the next packet, answered with @ret and @nr of no data; for those of the first connection. */
static void answer(int sock, u32 op, s64 ret, int ret_fds[2])
{
	struct wire_packet packet;
	char data[WIRE_DATA];

	assert_int_equal(wire_receive(sock, &packet, data, sizeof(data), ret_fds), 0);
	assert_int_equal(packet.op, op);
	packet.op = WIRE_ANSWER;
	packet.ret = ret;
	packet.pins_first = ~0ull;
	packet.pins_last = 0;
	assert_int_equal(wire_send(sock, &packet, NULL, 0, (int[]){ -1, -1 }), 0);
}

static void close_both(const int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void the_parent_ends_in_a_call(void **state)
{
	int pair[2], fds[2], call_fds[2];
	struct wire_packet packet;
	char data[WIRE_DATA];
	pid_t pid = fork_with(maps_and_is_alone, pair);

	answer(pair[0], WIRE_HELLO, 0, fds);
	assert_true(fds[0] >= 0 && fds[1] >= 0); /* its memory */
	close_both(fds);
	answer(pair[0], WIRE_CONNECT, 0, fds);
	answer(fds[0], WIRE_MMAP, 0, call_fds);
	assert_int_equal(wire_receive(fds[0], &packet, data, sizeof(data), call_fds), 0);
	assert_int_equal(packet.op, WIRE_IOCTL);
	close_both(fds);
	fd_private_close(pair[0]);
	went_well(pid);
}

/* Answers of two threads' calls may be read in any order: the newest counts. */
static void hears_of_pins(void)
{
	static const bool near[] = { true, true, false, false };

	for (int i = 0; i < 4; i++) {
		EXPECT(call(T_TURN, 0) == 0);
		EXPECT(mm_pins_near(0x10000, PAGE_SIZE) == near[i] && !mm_pins_near(0x20000, PAGE_SIZE));
	}
}

static void the_newest_answer_counts(void **state)
{
	static const struct {
		u64 first, last, changes;
	} pins[] = { { 0x10000, 0x1ffff, 5 }, { ~0ull, 0, 4 }, { ~0ull, 0, 6 }, { 0x10000, 0x1ffff, 5 } };
	int pair[2], sock[2], fds[2];
	struct wire_packet packet;
	char data[WIRE_DATA];
	pid_t pid = fork_with(hears_of_pins, pair);

	answer(pair[0], WIRE_HELLO, 0, fds);
	close_both(fds);
	answer(pair[0], WIRE_CONNECT, 0, sock);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
		packet = (struct wire_packet){
			.op = WIRE_ANSWER,
			.pins_first = pins[i].first,
			.pins_last = pins[i].last,
			.pins_changes = pins[i].changes,
		};
		assert_int_equal(wire_send(sock[0], &packet, NULL, 0, (int[]){ -1, -1 }), 0);
	}
	went_well(pid);
	close_both(sock);
	fd_private_close(pair[0]);
}

static void is_asked_nonsense(void)
{
	int before = open_fds();

	EXPECT(call(T_TURN, (unsigned long)"some text") == 9);
	EXPECT(open_fds() == before + 1); /* the connection */
}

/* What the child is asked for, and what it answers. */
static void a_child_answers_all(void **state)
{
	static const struct {
		u32 op;
		const char *data;
		u64 arg[2];
		s64 ret;
	} asked[] = {
		{ 1000, "", { 0, 0 }, -EPROTO },	    { WIRE_IOCTL, "", { 0, 0 }, -EPROTO },
		{ WIRE_PUBLISH, "abc", { 0, 0 }, -ENOMEM }, { WIRE_COPY_FROM, "", { 8, 8 }, -EFAULT },
		{ WIRE_COPY_TO, "abc", { 8, 0 }, -EFAULT }, { WIRE_STRNCPY, "", { 8, 8 }, -EFAULT },
		{ WIRE_FGET, "", { 1000, 0 }, -EBADF },	    { WIRE_DUP, "", { 1000, 0 }, -EBADF },
		{ WIRE_FIND_AREA, "", { 0, ~0ull }, 0 },    { WIRE_UNPUBLISH, "", { 1000, 0 }, 0 },
	};
	int pair[2], sock[2], fds[2], extra = memfd_create("extra", MFD_CLOEXEC);
	struct wire_packet packet;
	char data[WIRE_DATA];
	pid_t pid = fork_with(is_asked_nonsense, pair);
	u64 text;

	answer(pair[0], WIRE_HELLO, 0, fds);
	close_both(fds);
	answer(pair[0], WIRE_CONNECT, 0, sock);
	assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
	text = packet.arg[1];
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		packet = (struct wire_packet){ .op = asked[i].op, .arg = { asked[i].arg[0], asked[i].arg[1] } };
		assert_int_equal(wire_send(sock[0], &packet, asked[i].data, strlen(asked[i].data),
					   (int[]){ asked[i].op == WIRE_PUBLISH ? extra : -1, -1 }), 0);
		assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
		assert_int_equal(packet.op, WIRE_ANSWER);
		assert_int_equal(packet.ret, asked[i].ret);
		assert_int_equal(packet.len, 0);
		close_both(fds);
	}
	/* No more than there is room for. */
	packet = (struct wire_packet){ .op = WIRE_COPY_FROM, .arg = { text & PAGE_MASK, 1 << 20 } }; /* a page */
	assert_int_equal(wire_send(sock[0], &packet, NULL, 0, (int[]){ -1, -1 }), 0);
	assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
	assert_true(!packet.ret && packet.len == WIRE_DATA);
	packet = (struct wire_packet){ .op = WIRE_ANSWER, .ret = 9, .pins_first = ~0ull };
	assert_int_equal(wire_send(sock[0], &packet, NULL, 0, (int[]){ extra, extra }), 0);
	went_well(pid);
	close_both(sock);
	close(extra);
	fd_private_close(pair[0]);
}

static void is_refused(void)
{
	EXPECT(call(T_TURN, 0) == -EBADF);
	EXPECT(proxy_connect_child() == -ENOMEM);
	EXPECT(call(T_TURN, 0) == -EBADF); /* a packet that is none of an answer */
}

static void the_server_has_no_thread(void **state)
{
	int pair[2], fds[2];
	struct wire_packet packet;
	pid_t pid = fork_with(is_refused, pair);

	for (int i = 0; i < 2; i++) {
		answer(pair[0], i ? WIRE_CONNECT : WIRE_HELLO, i ? -ENOMEM : 0, fds);
		close_both(fds);
	}
	answer(pair[0], WIRE_CONNECT, -ENOMEM, fds);
	close_both(fds);
	assert_int_equal(wire_receive(pair[0], &packet, NULL, 0, fds), 0);
	close_both(fds);
	assert_int_equal(send(pair[0], "nonsense", 8, 0), 8);
	went_well(pid);
	fd_private_close(pair[0]);
}

/* ---- packets that no child sends ---- */

static int first; /* connection of a process by hand */

static void begin_by_hand(void)
{
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(serve_process(pair[0], 0), 0);
	first = pair[1];
}

static s64 ask(int sock, struct wire_packet *packet, const void *data, size_t len, int fd0, int fd1)
{
	char buf[WIRE_DATA];
	int fds[2], err;

	assert_int_equal(wire_send(sock, packet, data, len, (int[]){ fd0, fd1 }), 0);
	err = wire_receive(sock, packet, buf, sizeof(buf), fds);
	if (err)
		return err;
	close_both(fds);
	return packet->ret;
}

/* Of no data; @fd comes with it, twice; -1: none. */
#define ASK(sock, fd, ...) ask(sock, &(struct wire_packet){ __VA_ARGS__ }, NULL, 0, fd, fd)

static void hello(void)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC), maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	struct wire_packet packet = { .op = WIRE_HELLO, .arg = { 12345 } };

	assert_int_equal(ask(first, &packet, NULL, 0, mem, maps), 0);
	close(mem);
	close(maps);
}

static int connect_by_hand(void)
{
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(ask(first, &(struct wire_packet){ .op = WIRE_CONNECT }, NULL, 0, pair[1], -1), 0);
	fd_private_close(pair[1]);
	return pair[0];
}

static bool is_closed(int sock)
{
	struct wire_packet packet;
	int fds[2];

	return wire_receive(sock, &packet, NULL, 0, fds) == -EPIPE;
}

static void end_by_hand(int sock)
{
	if (sock >= 0)
		fd_private_close(sock);
	fd_private_close(first);
	all_quiet();
}

/* What is none of a first connection's, with descriptors that must not stay open. */
static void bad_first_packets(void **state)
{
	static const u32 ops[] = { WIRE_OPEN, WIRE_IOCTL, WIRE_ANSWER, WIRE_COPY_TO, 1000 };
	int before = open_fds(), plain = memfd_create("plain", MFD_CLOEXEC), sock;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		begin_by_hand();
		assert_int_equal(ASK(first, plain, .op = ops[i]), -EPIPE);
		end_by_hand(-1);
	}
	begin_by_hand();
	assert_int_equal(send(first, "short", 5, 0), 5);
	assert_true(is_closed(first));
	end_by_hand(-1);

	begin_by_hand();
	/* No calls of a process that has not said who it is. */
	assert_int_equal(ASK(first, plain, .op = WIRE_CONNECT), -EPROTO);
	assert_int_equal(ASK(first, plain, .op = WIRE_CONNECT, .id = 1), -EPROTO);
	hello();
	assert_int_equal(ASK(first, -1, .op = WIRE_CONNECT), -EBADF);
	assert_int_equal(ASK(first, plain, .op = WIRE_HELLO), -EPROTO);
	sock = connect_by_hand();
	assert_int_equal(ASK(sock, plain, .op = WIRE_ACCOUNTS), 0);
	end_by_hand(sock);
	close(plain);
	assert_int_equal(open_fds(), before);
}

static void bad_packets(void **state)
{
	struct wire_packet packet = { .op = WIRE_ACCOUNTS, .len = 7 };
	u64 id = (u64)ioctl_at(inherited, T_ID, 0);
	static char data[WIRE_DATA + 1];
	int sock;

	begin_by_hand();
	hello();
	sock = connect_by_hand();
	assert_int_equal(ASK(sock, -1, .op = WIRE_IOCTL, .id = id, .arg = { T_ID }), id);
	/* A file that is none, and an operation that is none. */
	assert_int_equal(ASK(sock, -1, .op = WIRE_IOCTL, .id = ~0ull), -EBADF);
	assert_int_equal(ASK(sock, -1, .op = 1000, .id = id), -EPROTO);
	assert_int_equal(ASK(sock, -1, .op = WIRE_ANSWER, .id = id), -EPROTO);
	assert_int_equal(ASK(sock, -1, .op = WIRE_IDENTIFY), -ENOENT);
	assert_int_equal(ASK(sock, -1, .op = WIRE_CLOSE, .id = id), 0);
	assert_int_equal(ASK(sock, -1, .op = WIRE_IOCTL, .id = id, .arg = { T_ID }), id);
	/* Accesses that no instruction makes. */
	for (int i = 0; i < 5; i++) {
		static const u64 args[][4] = { { 0x40000, 0, 3, 0 }, { 0x40000, 65, 3, 0 }, { 0x40ffc, 8, 3, 0 },
					       { 0x40000, 8, 3, 1 }, { 0x80000, 8, 3, 0 } };

		packet = (struct wire_packet){ .op = WIRE_ACCESS, .id = id };
		memcpy(packet.arg, args[i], sizeof(packet.arg));
		assert_int_equal(ask(sock, &packet, data, 4, -1, -1), i < 4 ? -EINVAL : -EFAULT);
	}
	packet = (struct wire_packet){ .op = WIRE_ACCESS, .id = id, .arg = { 0x40000, 4, 3, 1 } };
	assert_int_equal(ask(sock, &packet, "\1\2\3\4", 4, -1, -1), 0);
	assert_true(atomic_load(&dev.done) > 0);
	assert_int_equal(dev.bar[3], 4);

	/* More bytes than a packet has, and fewer than it says. */
	assert_int_equal(wire_send(sock, &packet, data, sizeof(data), (int[]){ -1, -1 }), 0);
	assert_true(is_closed(sock));
	fd_private_close(sock);
	sock = connect_by_hand();
	packet.len = 7;
	assert_int_equal(send(sock, &packet, sizeof(packet), 0), sizeof(packet));
	assert_true(is_closed(sock));
	end_by_hand(sock);
}

/* The server asks for @op in the middle of an ioctl, and gets @as with @data.  Return: what the ioctl says; -EPIPE. */
static s64 answered(unsigned cmd, u32 op, struct wire_packet as, const void *data, size_t len)
{
	u64 id = (u64)ioctl_at(inherited, T_ID, 0);
	struct wire_packet packet = { .op = WIRE_IOCTL, .id = id, .arg = { cmd, 0x10000 } };
	char buf[WIRE_DATA];
	int sock, fds[2], err;

	begin_by_hand();
	hello();
	sock = connect_by_hand();
	assert_int_equal(wire_send(sock, &packet, NULL, 0, (int[]){ -1, -1 }), 0);
	assert_int_equal(wire_receive(sock, &packet, buf, sizeof(buf), fds), 0);
	do {
		assert_int_equal(packet.op, op);
		close_both(fds);
		packet = as;
		assert_int_equal(wire_send(sock, &packet, data, len, (int[]){ -1, -1 }), 0);
		err = wire_receive(sock, &packet, buf, sizeof(buf), fds);
	} while (!err && packet.op != WIRE_ANSWER);
	close_both(fds);
	end_by_hand(sock);
	return err ? err : packet.ret;
}

#define PACKET(...) (struct wire_packet){ __VA_ARGS__ }

static void bad_answers(void **state)
{
	static char data[WIRE_DATA];
	const struct wire_packet good = { .op = WIRE_ANSWER };
	struct wire_packet packet = good;

	memset(data, 'x', sizeof(data));
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, PACKET(.op = WIRE_IOCTL), data, 8), -EFAULT);
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, good, data, 7), -EFAULT);
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, good, data, 9), -EFAULT);
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, PACKET(.op = WIRE_ANSWER, .ret = 1), data, 8), -EFAULT);
	assert_int_equal(answered(T_CLEAR, WIRE_COPY_TO, PACKET(.op = WIRE_ANSWER, .ret = -EIO), NULL, 0), -EFAULT);

	/* Strings: as long as they say, in the room there is, and with an end. */
	packet.ret = 3;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "abc", 4), 3);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "abcd", 4), -EFAULT);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "a\0b", 4), -EFAULT);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "ab", 3), -EFAULT);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, data, sizeof(data)), -EFAULT);
	packet.ret = 1000;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "abc", 4), -EFAULT);
	packet.ret = INT64_MAX;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, NULL, 0), -EFAULT);
	packet.ret = -ENAMETOOLONG;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, NULL, 0), -ENAMETOOLONG);
	packet.ret = -1234567;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, NULL, 0), -EFAULT);

	/* Descriptors. */
	assert_int_equal(answered(T_FGET, WIRE_FGET, PACKET(.op = WIRE_ANSWER, .id = ~0ull), NULL, 0), -EINVAL);
	assert_int_equal(answered(T_FGET, WIRE_FGET, PACKET(.op = WIRE_OPEN), NULL, 0), -EBADF);
	assert_int_equal(answered(T_DUP, WIRE_DUP, good, NULL, 0), -EBADF); /* and none comes with it */
	atomic_store(&dev.released, 0);
	packet.ret = -ENOMEM;
	assert_int_equal(answered(T_PUBLISH, WIRE_PUBLISH, packet, NULL, 0), -ENOMEM);
	assert_int_equal(answered(T_PUBLISH_PLAIN, WIRE_PUBLISH, PACKET(.op = WIRE_OPEN), NULL, 0), -EPROTO);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 2);
}

/* In the middle of a call the caller ends. */
static void the_child_is_gone(void **state)
{
	static const unsigned cmds[] = { T_DOUBLE, T_CLEAR, T_STRLEN, T_FGET, T_DUP, T_PUBLISH, T_PUBLISH_PLAIN };
	u64 id = (u64)ioctl_at(inherited, T_ID, 0);

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		struct wire_packet packet = { .op = WIRE_IOCTL, .id = id, .arg = { cmds[i], 0x10000 } };
		char buf[WIRE_DATA];
		int sock, fds[2];

		begin_by_hand();
		hello();
		sock = connect_by_hand();
		assert_int_equal(wire_send(sock, &packet, NULL, 0, (int[]){ -1, -1 }), 0);
		assert_int_equal(wire_receive(sock, &packet, buf, sizeof(buf), fds), 0);
		close_both(fds);
		end_by_hand(sock);
	}
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 2);
}

/* ---- memory runs out ---- */

static void no_memory_to_serve(void **state)
{
	int pair[2], err;
	u32 n = 0;

	plain_fd = open_here("/dev/far/plain", false);
	do {
		assert_int_equal(wire_pair(pair), 0);
		nomem_begin(++n);
		err = serve_process(pair[0], NR_FDS);
		assert_int_equal(err, err ? -ENOMEM : 0);
		if (err)
			assert_true(is_closed(pair[1]));
		fd_private_close(pair[1]);
	} while (nomem_end());
	assert_int_equal(err, 0);
	assert_true(n > 3);
	all_quiet();
	close_here(plain_fd);
	assert_int_equal(atomic_load(&dev.released), 1);
}

static void has_no_memory(void)
{
	struct file *file;
	u32 n = 0, failed = 0;
	int err, fd = -1;

	do {
		nomem_begin(++n);
		err = do_open("/dev/far/dev", O_RDWR, &file);
		EXPECT(!err || err == -ENOMEM);
		failed += err != 0;
		if (!err)
			do_close(-1, file);
	} while (nomem_end());
	EXPECT(!err && failed >= 2);
	EXPECT(call(T_RELEASED, 0) == n);

	n = failed = 0;
	do {
		nomem_begin(++n);
		err = (int)call(T_PUBLISH, (unsigned long)&fd);
		EXPECT(!err || err == -ENOMEM);
		failed += err != 0;
	} while (nomem_end());
	EXPECT(!err && failed >= 2 && fd_is_ours(fd));
}

static void a_child_has_no_memory(void **state)
{
	lives(has_no_memory);
}

/* ---- processes that were not forked with a connection ---- */

static void finds_the_kernel(void)
{
	int strange = memfd_create("strange", MFD_CLOEXEC), again;
	struct file *file;

	/* A program that got descriptors: no kernel, and no connection. */
	fd_uninstall(inherited);
	EXPECT(!proxy_begin_with(strange) && !proxy_active());
	file = proxy_begin_with(inherited);
	EXPECT(file && proxy_active() && !strcmp(file->path, "/dev/far/dev"));
	EXPECT(!fd_install(inherited, file));
	EXPECT(call(T_ID, 0) > 0 && call(T_IS_OWN, 0) == 0);
	again = dup(inherited);
	file = proxy_find(again);
	EXPECT(file && do_ioctl(again, file, T_ID, 0) == call(T_ID, 0));
	do_close(again, file);
	EXPECT(!proxy_find(strange) && !proxy_find(-1));
}

static void asks_it_to_listen(void)
{
	proxy_listen();
	proxy_listen();
}

static pid_t unconnected(void (*life)(void))
{
	pid_t pid = fork();

	if (!pid) {
		ONE_THREAD();
		vma_forget_all(mm_self());
		file_forget_all();
		pins_forget();
		fd_private_forget_exclusive(-1);
		life();
		end_life(0);
	}
	return pid;
}

static void finds_nobody(void)
{
	int pid = 0;

	EXPECT(wire_next_listener(&pid) == -ENOENT);
	EXPECT(!proxy_begin_with(inherited) && !proxy_active());
}

static void found_by_a_descriptor(void **state)
{
	int pid = 0;

	went_well(unconnected(finds_nobody));
	own_threads++; /* the one that listens, once */
	lives(asks_it_to_listen);
	first = wire_next_listener(&pid);
	assert_true(first >= 0 && pid == getpid() && fd_is_private(first) && wire_trusts(first));
	assert_int_equal(wire_next_listener(&pid), -ENOENT);
	hello();
	end_by_hand(-1);
	went_well(unconnected(finds_the_kernel));
	all_quiet();
	serve_listen();
	all_quiet();
}

/* ---- */

static char dir[64];

static void nothing(const char *line)
{
}

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/serve_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir) || kernfs_open(dir, true))
		return -1;
	wire_machine(dir);
	nodes[0].rdev = makedev(10, 3);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		if (cdev_add(&nodes[i], true))
			return -1;
	serve_before_open = look_first;
	explain_enabled = true;
	explain_set_sink(nothing);
	inherited = open_here("/dev/far/dev", true);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	close_here(inherited);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		cdev_del(&nodes[i], true);
	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(a_child_opens),
		GUARDED_TEST(the_server_looks_first),
		GUARDED_TEST(a_child_calls_ioctls),
		GUARDED_TEST(a_child_reads_and_writes),
		GUARDED_TEST(a_child_maps),
		GUARDED_TEST(a_child_names_descriptors),
		GUARDED_TEST(a_child_gets_descriptors),
		GUARDED_TEST(a_child_pins_memory),
		GUARDED_TEST(memory_outlives_a_child),
		GUARDED_TEST(children_call_at_once),
		GUARDED_TEST(a_call_ends_after_its_caller),
		GUARDED_TEST(a_child_waits_for_its_sibling),
		GUARDED_TEST(a_call_never_ends),
		GUARDED_TEST(a_child_has_a_child),
		GUARDED_TEST(the_parent_closes),
		GUARDED_TEST(the_parent_closed_all),
		GUARDED_TEST(the_parent_is_gone),
		GUARDED_TEST(the_parent_ends_in_a_call),
		GUARDED_TEST(the_newest_answer_counts),
		GUARDED_TEST(a_child_answers_all),
		GUARDED_TEST(the_server_has_no_thread),
		GUARDED_TEST(bad_first_packets),
		GUARDED_TEST(bad_packets),
		GUARDED_TEST(bad_answers),
		GUARDED_TEST(the_child_is_gone),
		GUARDED_TEST(no_memory_to_serve),
		GUARDED_TEST(a_child_has_no_memory),
		GUARDED_TEST(a_child_does_the_rest),
		GUARDED_TEST(found_by_a_descriptor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
