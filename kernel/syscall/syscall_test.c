/* SPDX-License-Identifier: BSD-3-Clause */
/* syscall_test.c - what the door checks itself, in Linux's order, and what it says about a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/fs/chrdev.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/syscall/syscall.h"

#define GUARDED_TEST(test) { #test, guarded_test, NULL, NULL, (void *)(test) }

static void guarded_test(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	test(state);
}

/* ---- a file that can everything, and one that can nothing ---- */

static int released;
static size_t last_len;
static u64 last_pos;

static void full_release(struct file *file)
{
	released++;
}

static long full_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd == VFIO_DEVICE_RESET)
		return fail(-EINVAL, "the fake cannot reset, arg %lu", arg);
	if (cmd == VFIO_DEVICE_GET_INFO)
		explain_note("this looks strange");
	if (cmd == VFIO_DEVICE_GET_IRQ_INFO)
		(void)fail(-EBUSY, "a detour that did not work");
	return 0;
}

static ssize_t full_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	last_len = len;
	last_pos = *pos;
	*pos += len;
	return (ssize_t)len;
}

static ssize_t full_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	last_len = len;
	last_pos = *pos;
	*pos += len;
	return (ssize_t)len;
}

static u8 bar[0x1000];

static int bar_access(struct vm_area *vma, u64 off, void *buf, unsigned len, bool write)
{
	if (off >= sizeof(bar))
		return -EFAULT;
	if (write)
		memcpy(bar + off, buf, len);
	else
		memcpy(buf, bar + off, len);
	return 0;
}

static const struct vm_operations bar_vm_ops = { .access = bar_access };

static int full_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	if (vma->pgoff_bytes == 0x5000)
		return fail(-EINVAL, "no region there");
	vma->ops = &bar_vm_ops;
	return 0;
}

static const struct file_operations full_fops = {
	.kind = FILE_VFIO_DEVICE, .release = full_release, .ioctl = full_ioctl, .read = full_read,
	.write = full_write, .mmap = full_mmap,
};
static const struct file_operations bare_fops = { .kind = FILE_VFIO_CONTAINER };
static const struct file_operations attr_fops = { .kind = FILE_SYSFS, .read = full_read };

static struct file *new_file(const struct file_operations *ops, unsigned flags)
{
	struct file *file =
	    file_alloc(ops, NULL, ops == &full_fops ? "anon_inode:[vfio-device]" : "/dev/vfio/vfio", flags);

	assert_non_null(file);
	return file;
}

/* ---- explain, caught ---- */

static char said[2048];

static void keep_line(const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

static void listen(void)
{
	said[0] = '\0';
	explain_set_sink(keep_line);
	explain_enabled = true;
}

static void deaf(void)
{
	explain_enabled = false;
	explain_set_sink(NULL);
}

/* ---- tests ---- */

static void missing_operations(void **state)
{
	struct file *file = new_file(&bare_fops, O_RDWR);
	struct vm_area *vma;
	char buf[8];
	u64 pos = 0;

	assert_int_equal(do_ioctl(3, file, VFIO_GET_API_VERSION, 0), -ENOTTY);
	assert_int_equal(do_read(3, file, buf, 8, NULL), -EINVAL);
	assert_int_equal(do_read(3, file, buf, 8, &pos), -EINVAL);
	assert_int_equal(do_write(3, file, buf, 8, NULL), -EINVAL);
	assert_int_equal(do_mmap(3, file, 0, 4096, PROT_READ, MAP_SHARED, 0, &vma), -ENODEV);
	assert_int_equal(do_lseek(3, file, 0, SEEK_SET), -ESPIPE);
	do_close(3, file);
}

static void positions(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	char buf[8];
	u64 pos = 100;

	assert_int_equal(do_read(3, file, buf, 8, NULL), 8);
	assert_int_equal(last_pos, 0);
	assert_int_equal(do_write(3, file, buf, 4, NULL), 4);
	assert_int_equal(last_pos, 8);
	assert_int_equal(do_read(3, file, buf, 8, &pos), 8);
	assert_int_equal(last_pos, 100);
	assert_int_equal(pos, 100);
	assert_int_equal(do_read(3, file, buf, 1, NULL), 1);
	assert_int_equal(last_pos, 12);
	pos = (u64)-1;
	assert_int_equal(do_read(3, file, buf, 8, &pos), -EINVAL);
	assert_int_equal(do_write(3, file, buf, 8, &pos), -EINVAL);
	fput(file);
}

static void transfer_limits(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	char *low = (char *)0x10000;

	assert_int_equal(do_read(3, file, low, 1ul << 40, NULL), INT_MAX & ~4095);
	assert_int_equal(last_len, INT_MAX & ~4095);
	assert_int_equal(do_write(3, file, low, 1ul << 40, NULL), INT_MAX & ~4095);
	assert_int_equal(do_read(3, file, low, ~0ul, NULL), -EFAULT);
	assert_int_equal(do_read(3, file, (char *)(1ul << 47), 1, NULL), -EFAULT);
	assert_int_equal(do_read(3, file, NULL, 0, NULL), 0);
	fput(file);
}

static void access_modes(void **state)
{
	struct file *reader = new_file(&full_fops, O_RDONLY);
	struct file *writer = new_file(&full_fops, O_WRONLY);
	struct vm_area *vma;
	char buf[8];

	assert_int_equal(do_read(3, reader, buf, 8, NULL), 8);
	assert_int_equal(do_write(3, reader, buf, 8, NULL), -EBADF);
	assert_int_equal(do_read(3, writer, buf, 8, NULL), -EBADF);
	assert_int_equal(do_write(3, writer, buf, 8, NULL), 8);
	assert_int_equal(do_mmap(3, reader, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &vma), -EACCES);
	assert_int_equal(do_mmap(3, writer, 0, 4096, PROT_READ, MAP_SHARED, 0, &vma), -EACCES);
	assert_int_equal(do_mmap(3, writer, 0, 4096, PROT_WRITE, MAP_SHARED, 0, &vma), -EACCES);
	assert_int_equal(do_mmap(3, reader, 0, 4096, PROT_READ, MAP_SHARED, 0, &vma), 0);
	vma_put(vma);
	/* A private mapping may be written whatever the file was opened for. */
	assert_int_equal(do_mmap(3, reader, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, &vma), 0);
	vma_put(vma);
	fput(reader);
	fput(writer);
}

static void mmap_checks(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	struct vm_area *vma = NULL;
	const int rw = PROT_READ | PROT_WRITE;

	assert_int_equal(do_mmap(3, file, 0, 4096, rw, MAP_SHARED, 1, &vma), -EINVAL);
	assert_int_equal(do_mmap(3, file, 0, 0, rw, MAP_SHARED, 0, &vma), -EINVAL);
	assert_int_equal(do_mmap(3, file, 0, 1ul << 47, rw, MAP_SHARED, 0, &vma), -ENOMEM);
	assert_int_equal(do_mmap(3, file, 0, ~0ul, rw, MAP_SHARED, 0, &vma), -ENOMEM);
	assert_int_equal(do_mmap(3, file, 0, 0x2000, rw, MAP_SHARED, (u64)-0x1000, &vma), -EOVERFLOW);
	assert_int_equal(do_mmap(3, file, 0x10001, 4096, rw, MAP_SHARED | MAP_FIXED, 0, &vma), -EINVAL);
	assert_int_equal(do_mmap(3, file, 0, 4096, rw, 0, 0, &vma), -EINVAL);
	assert_int_equal(do_mmap(3, file, 0, 4096, rw, MAP_SHARED_VALIDATE | MAP_SYNC, 0, &vma), -EOPNOTSUPP);
	assert_int_equal(do_mmap(3, file, 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, 0, &vma), -EPERM);
	assert_int_equal(do_mmap(3, file, 0, 4096, rw, MAP_SHARED, 0x5000, &vma), -EINVAL);
	assert_null(vma);
	/* None of these kept the file. */
	assert_int_equal(atomic_load(&file->refs), 1);

	assert_int_equal(do_mmap(3, file, 0x10000, 100, rw, MAP_SHARED, 0x1000, &vma), 0);
	assert_int_equal(vma->start, 0x10000);
	assert_int_equal(vma->last, 0x10fff);
	assert_int_equal(vma->pgoff_bytes, 0x1000);
	assert_int_equal(vma->prot, rw);
	assert_ptr_equal(vma->file, file);
	assert_int_equal(atomic_load(&file->refs), 2);
	vma_put(vma);
	fput(file);
}

static void mmio(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	struct syscall_stats before, after;
	struct vm_area *vma;
	u32 value = 0x11223344;
	u32 back = 0;

	assert_int_equal(mmio_access(0x20000, &value, 4, true), -ENOENT);
	assert_int_equal(do_mmap(3, file, 0x20000, 0x2000, PROT_READ, MAP_SHARED, 0, &vma), 0);
	vma_insert(mm_self(), vma);
	syscall_stats_get(&before);
	/* Not writable, as far as the program said: its own fault. */
	assert_int_equal(mmio_access(0x20010, &value, 4, true), -ENOENT);
	assert_int_equal(vma_protect(mm_self(), 0x20000, 0x2000, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(mmio_access(0x20010, &value, 4, true), 0);
	assert_int_equal(mmio_access(0x20010, &back, 4, false), 0);
	assert_int_equal(back, value);
	assert_int_equal(mmio_access(0x21000, &back, 4, false), -EFAULT);
	assert_int_equal(mmio_access(0x21ffe, &back, 4, false), -ENOENT);
	syscall_stats_get(&after);
	assert_int_equal(after.mmio_writes - before.mmio_writes, 1);
	assert_int_equal(after.mmio_reads - before.mmio_reads, 2);
	released = 0;
	fput(file);
	assert_int_equal(released, 0);
	assert_int_equal(vma_remove(mm_self(), 0x20000, 0x2000), 0);
	assert_int_equal(released, 1);
}

static void attributes_can_be_sought(void **state)
{
	struct file *file = new_file(&attr_fops, O_RDONLY);

	file->backing_fd = memfd_create("attr", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file->backing_fd, 64), 0);
	assert_int_equal(do_lseek(3, file, 10, SEEK_SET), 10);
	assert_int_equal(do_lseek(3, file, -3, SEEK_CUR), 7);
	assert_int_equal(do_lseek(3, file, -4, SEEK_END), 60);
	assert_int_equal(do_lseek(3, file, -100, SEEK_CUR), -EINVAL);
	assert_int_equal(do_lseek(3, file, INT64_MAX, SEEK_CUR), -EINVAL);
	assert_int_equal(do_lseek(3, file, 0, SEEK_HOLE), -EINVAL);
	assert_int_equal(do_lseek(3, file, 0, 99), -EINVAL);
	assert_int_equal(do_lseek(3, file, 0, SEEK_CUR), 60);
	close(file->backing_fd);
	file->backing_fd = -1;
	assert_int_equal(do_lseek(3, file, 0, SEEK_END), -EINVAL);
	fput(file);
}

static void reasons_are_printed(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	struct file *bare = new_file(&bare_fops, O_RDWR);
	struct vm_area *vma;
	char buf[8];
	u64 pos = 1ull << 63;

	listen();
	assert_int_equal(do_ioctl(7, file, VFIO_DEVICE_RESET, 3), -EINVAL);
	assert_string_equal(
	    said, "softvfio: ioctl(7, VFIO_DEVICE_RESET) = -1 EINVAL: the fake cannot reset, arg 3");
	assert_int_equal(do_ioctl(7, file, VFIO_DEVICE_GET_INFO, 0), 0);
	assert_string_equal(said, "softvfio: ioctl(7, VFIO_DEVICE_GET_INFO) = 0: note: this looks strange");
	said[0] = '\0';
	/* A success is silent, also after a detour. */
	assert_int_equal(do_ioctl(7, file, VFIO_DEVICE_GET_IRQ_INFO, 0), 0);
	assert_string_equal(said, "");
	assert_int_equal(do_ioctl(7, bare, 0x1234, 0), -ENOTTY);
	assert_string_equal(said, "softvfio: ioctl(7, 0x1234) = -1 ENOTTY: /dev/vfio/vfio has no ioctls");
	assert_int_equal(do_read(7, file, buf, 8, &pos), -EINVAL);
	assert_string_equal(said, "softvfio: pread(7, 8 bytes at 0x8000000000000000) = -1 EINVAL: offset "
			    "-9223372036854775808 is negative");
	assert_int_equal(do_write(7, bare, buf, 8, NULL), -EINVAL);
	assert_string_equal(said, "softvfio: write(7, 8 bytes) = -1 EINVAL: /dev/vfio/vfio cannot be written");
	assert_int_equal(do_mmap(7, file, 0, 0, PROT_READ, MAP_SHARED, 0, &vma), -EINVAL);
	assert_string_equal(said, "softvfio: mmap(7, 0x0 bytes at 0x0) = -1 EINVAL: length is 0");
	assert_int_equal(do_lseek(7, file, 0, SEEK_SET), -ESPIPE);
	assert_string_equal(
	    said, "softvfio: lseek(7, 0, 0) = -1 ESPIPE: anon_inode:[vfio-device] has no position that "
		  "could be moved");
	deaf();
	fput(file);
	fput(bare);
}

static void calls_are_counted(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	struct syscall_stats before, after;

	syscall_stats_get(&before);
	do_ioctl(3, file, VFIO_DEVICE_GET_INFO, 0);
	do_ioctl(3, file, VFIO_DEVICE_RESET, 0);
	do_lseek(3, file, 0, SEEK_SET);
	do_close(3, file);
	syscall_stats_get(&after);
	assert_int_equal(after.calls - before.calls, 4);
	assert_int_equal(after.failed - before.failed, 2);
}

/* ---- names: a machine in a temporary directory with one node and one attribute ---- */

static struct file *opened;
static int open_error;

static struct file *node_open(struct cdev *cdev, unsigned f_flags)
{
	if (open_error)
		return ERR_PTR(fail(open_error, "the fake node says no"));
	opened = file_alloc(&bare_fops, NULL, "node", f_flags);
	opened->backing_fd = memfd_create("node", MFD_CLOEXEC);
	return opened;
}

static struct cdev node = { .path = "vfio/vfio", .mode = 0666, .rdev = 0xac4, .open = node_open };

static ssize_t attr_show(void *priv, char *buf)
{
	strcpy(buf, "0x8086\n");
	return 7;
}

static const struct kernfs_ops attr_ops = { .show = attr_show };

static void names(void **state)
{
	char dir[] = "/tmp/softvfio-syscall-test-XXXXXX";
	char command[64];
	struct file *file = NULL;
	struct stat st, by_name;
	char path[128];

	assert_non_null(mkdtemp(dir));
	assert_int_equal(kernfs_open(dir, true), 0);
	assert_int_equal(cdev_add(&node, true), 0);
	assert_int_equal(kernfs_create_file("sys/bus/vendor", 0444, NULL, 0, &attr_ops, NULL), 0);

	assert_int_equal(do_open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC, &file), 0);
	assert_ptr_equal(file, opened);
	assert_int_equal(file->f_flags & O_ACCMODE, O_RDWR);
	assert_true(fd_is_private(file->backing_fd));
	assert_int_equal(do_fstat(file, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_int_equal(st.st_rdev, 0xac4);
	snprintf(path, sizeof(path), "%s/dev/vfio/vfio", dir);
	assert_int_equal(stat(path, &by_name), 0);
	assert_int_equal(st.st_ino, by_name.st_ino);
	do_close(3, file);

	/* What is not ours, or what the real node can answer. */
	file = NULL;
	assert_int_equal(do_open("/dev/null", O_RDWR, &file), -ENOSYS);
	assert_int_equal(do_open("/dev/vfio/99", O_RDWR, &file), -ENOSYS);
	assert_int_equal(do_open("/sys/bus/none", O_RDONLY, &file), -ENOSYS);
	assert_int_equal(do_open("/etc/passwd", O_RDONLY, &file), -ENOSYS);
	assert_int_equal(do_open("", O_RDONLY, &file), -ENOSYS);
	assert_int_equal(do_open("/dev/vfio/vfio", O_PATH, &file), -ENOSYS);
	assert_int_equal(do_open("/dev/vfio/vfio", O_RDWR | O_CREAT | O_EXCL, &file), -ENOSYS);
	assert_int_equal(do_open("/dev/vfio/vfio", O_RDONLY | O_DIRECTORY, &file), -ENOSYS);
	assert_null(file);

	listen();
	open_error = -EBUSY;
	assert_int_equal(do_open("/dev/vfio/vfio", O_RDWR, &file), -EBUSY);
	assert_string_equal(said, "softvfio: open(\"/dev/vfio/vfio\") = -1 EBUSY: the fake node says no");
	deaf();

	assert_int_equal(do_open("/sys/bus/vendor", O_RDONLY, &file), 0);
	assert_int_equal(do_fstat(file, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_rdev, 0);
	do_close(3, file);

	cdev_del(&node, true);
	kernfs_close();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void fstat_of_an_anonymous_inode(void **state)
{
	struct file *file = new_file(&full_fops, O_RDWR);
	struct stat st;

	file->mode = 0600;
	assert_int_equal(do_fstat(file, &st), 0);
	assert_int_equal(st.st_mode, 0600);
	assert_int_equal(st.st_rdev, 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 0);
	fput(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(missing_operations),
		GUARDED_TEST(positions),
		GUARDED_TEST(transfer_limits),
		GUARDED_TEST(access_modes),
		GUARDED_TEST(mmap_checks),
		GUARDED_TEST(mmio),
		GUARDED_TEST(attributes_can_be_sought),
		GUARDED_TEST(reasons_are_printed),
		GUARDED_TEST(calls_are_counted),
		GUARDED_TEST(names),
		GUARDED_TEST(fstat_of_an_anonymous_inode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
