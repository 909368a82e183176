/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_rig_test.h - what the tests of this folder share: /dev/iommu on a machine in a directory of its own.
 *
 * Real are the tree, the IOMMU groups and page tables, and iommufd; there are two devices, each in a group
 * of its own behind an AMD unit that nobody asks anything.  A call goes through t_open(), t_ioctl() and
 * t_close() as a program's would.  t_fails() asserts the errno and that there is a reason; t_works() that
 * it works.
 */
#ifndef KERNEL_IOMMUFD_IOMMUFD_RIG_TEST_H
#define KERNEL_IOMMUFD_IOMMUFD_RIG_TEST_H

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
#include <unistd.h>

#include "kernel/base/device.h"
#include "kernel/fs/chrdev.h"
#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"

#define T_UNUSED __attribute__((unused))
#define T_BAD ((void *)8)

#ifdef __SANITIZE_THREAD__
/* guard.c leaves a signal handler by a jump, after which ThreadSanitizer believes to be in it for ever. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"), used)) const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}
#endif

/* ---- calls ---- */

static T_UNUSED void t_show(const char *what, long ret, int want)
{
	const char *why = explain_take();

	if (ret != want)
		fprintf(stderr, "%s: %ld, expected %d; reason: %s\n", what, ret, want, why ? why : "none");
	assert_int_equal(ret, want);
}

#define t_works(call)                                                                                        \
	({                                                                                                   \
		long r_ = (call);                                                                            \
		if (r_ < 0)                                                                                  \
			t_show(#call, r_, 0);                                                                \
		r_;                                                                                          \
	})
#define t_fails(call, errno_)                                                                                \
	do {                                                                                                 \
		long r_ = (call);                                                                            \
		const char *why_ = explain_take();                                                           \
		if (r_ != -(errno_))                                                                         \
			fprintf(stderr, "%s: %ld, expected %s; reason: %s\n", #call, r_, #errno_,            \
				why_ ? why_ : "none");                                                       \
		assert_int_equal(r_, -(errno_));                                                             \
		assert_non_null(why_);                                                                       \
		assert_true(why_[0] != 0);                                                                   \
	} while (0)

static T_UNUSED int t_open(void)
{
	struct file *file;
	int fd;

	explain_begin();
	file = cdev_open("iommu", O_RDWR);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_install(fd, file), 0);
	return fd;
}

static T_UNUSED void t_close(int fd)
{
	explain_begin();
	fd_uninstall(fd);
	close(fd);
}

static T_UNUSED long t_ioctl(int fd, unsigned int cmd, const void *arg)
{
	struct file *file = fget(fd);
	long ret;

	assert_non_null(file);
	explain_begin();
	ret = file->f_op->ioctl(file, cmd, (unsigned long)arg);
	fput(file);
	return ret;
}

/* The context behind a descriptor; it lives as long as the descriptor is open. */
static T_UNUSED struct iommufd_ctx *t_ctx(int fd)
{
	struct file *file = fget(fd);
	struct iommufd_ctx *ictx = file->private_data;

	fput(file);
	return ictx;
}

/* ---- one helper for each call; ids and addresses that come back are the result or a pointer's target ---- */

static T_UNUSED long t_ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	long ret = t_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);

	return ret ? ret : cmd.out_ioas_id;
}

static T_UNUSED long t_destroy(int fd, u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return t_ioctl(fd, IOMMU_DESTROY, &cmd);
}

/* ---- the machine ---- */

#define T_DEVICES 2
static struct device t_dev[T_DEVICES];

static void t_hw_set_device_table(void *hw, phys_addr_t base, u32 entries)
{
	(void)hw;
	(void)base;
	(void)entries;
}

static void t_hw_invalidate_device(void *hw, u16 devid)
{
	(void)hw;
	(void)devid;
}

static void t_hw_invalidate_pages(void *hw, u16 domid, u64 iova, u64 last)
{
	(void)hw;
	(void)domid;
	(void)iova;
	(void)last;
}

static const struct iommu_hw_ops t_hw_ops = {
	.set_device_table = t_hw_set_device_table,
	.invalidate_device = t_hw_invalidate_device,
	.invalidate_pages = t_hw_invalidate_pages,
};

static int t_fd_alloc(const char *name, bool cloexec)
{
	int fd = memfd_create(name, cloexec ? MFD_CLOEXEC : 0);

	return fd < 0 ? -errno : fd;
}

static void t_fd_free(int fd)
{
	close(fd);
}

static const struct fd_host_ops t_fd_host = { .alloc = t_fd_alloc, .free = t_fd_free };

static void t_quiet(const char *line)
{
	(void)line;
}

static int t_match(struct device *dev, struct device_driver *drv)
{
	(void)dev;
	(void)drv;
	return 0;
}

static struct bus_type t_bus = { .name = "fake", .match = t_match };
static char t_dir[64];

static void t_add_device(struct iommu_device *unit, unsigned i)
{
	static const char *const names[T_DEVICES] = { "fake0", "fake1" };
	char path[64];

	snprintf(path, sizeof(path), "sys/devices/fake/%s", names[i]);
	t_dev[i].name = names[i];
	t_dev[i].path = strdup(path);
	t_dev[i].bus = &t_bus;
	assert_int_equal(device_register(&t_dev[i], true), 0);
	assert_int_equal(iommu_probe_device(unit, &t_dev[i], (u16)(8 * (i + 1)), i), 0);
}

/* Once per program: the tests share the machine and leave it as they found it. */
static T_UNUSED int t_machine(void **state)
{
	struct iommu_device *unit;

	(void)state;
	strcpy(t_dir, "/tmp/iommufd-test.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	explain_enable();
	explain_set_sink(t_quiet);
	fd_host_register(&t_fd_host);
	assert_int_equal(kernfs_open(t_dir, true), 0);
	kernfs_lock();
	unit = amd_iommu_init("ivhd0", &t_hw_ops, NULL, 256);
	assert_false(IS_ERR(unit));
	assert_int_equal(iommufd_init(), 0);
	assert_int_equal(bus_register(&t_bus), 0);
	for (unsigned i = 0; i < T_DEVICES; i++)
		t_add_device(unit, i);
	kernfs_created();
	kernfs_unlock();
	return 0;
}

/* After each test: one that failed halfway must not make the next ones fail. */
static T_UNUSED int t_close_all(void **state)
{
	(void)state;
	for (int fd = 0; fd < 64; fd++) {
		if (fd_is_ours(fd))
			t_close(fd);
	}
	return 0;
}

static T_UNUSED int t_machine_end(void **state)
{
	char cmd[96];

	(void)state;
	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", t_dir);
	if (system(cmd))
		fprintf(stderr, "%s is left behind\n", t_dir);
	return 0;
}

/* cmocka takes SIGSEGV before each test: take it back inside. */
#define T_TEST(test) { #test, t_guarded, NULL, t_close_all, (void *)(test) }

static T_UNUSED void t_guarded(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	test(state);
}

#endif
