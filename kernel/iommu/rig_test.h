/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig_test.h - what tests of the layers above share: calls as a program makes them, on a machine in a
 * directory of its own whose IOMMU hardware nobody asks anything.
 *
 * t_fails() asserts the errno and that there is a reason for it; t_works() that it works.
 */
#ifndef KERNEL_IOMMU_RIG_TEST_H
#define KERNEL_IOMMU_RIG_TEST_H

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
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/mm.h"

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
			fprintf(stderr, "%s: %ld, expected %s; reason: %s\n", #call, r_, #errno_, why_ ? why_ : "none"); \
		assert_int_equal(r_, -(errno_));                                                             \
		assert_non_null(why_);                                                                       \
		assert_true(why_[0] != 0);                                                                   \
	} while (0)
/* A success that looks like a mistake, and says so. */
#define t_suspicious(call)                                                                                   \
	do {                                                                                                 \
		t_works(call);                                                                               \
		assert_non_null(explain_take_notes());                                                       \
	} while (0)

static T_UNUSED int t_open_flags(const char *node, int flags)
{
	struct file *file;
	int fd;

	explain_begin();
	file = cdev_open(node, flags);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	fd = file->backing_fd >= 0 ? fcntl(file->backing_fd, F_DUPFD_CLOEXEC, 0) : memfd_create("test", MFD_CLOEXEC);
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

static T_UNUSED long t_ioctl_n(int fd, unsigned int cmd, unsigned long arg)
{
	return t_ioctl(fd, cmd, (void *)arg);
}

/* ---- IOMMU hardware ---- */

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

static T_UNUSED u64 t_invalidations; /* of pages */

static void t_hw_invalidate_pages(void *hw, u16 domid, u64 iova, u64 last)
{
	(void)hw;
	(void)domid;
	(void)iova;
	(void)last;
	t_invalidations++;
}

static T_UNUSED const struct iommu_hw_ops t_hw_ops = {
	.set_device_table = t_hw_set_device_table,
	.invalidate_device = t_hw_invalidate_device,
	.invalidate_pages = t_hw_invalidate_pages,
};

/* ---- the machine ---- */

static char t_dir[64];

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

static T_UNUSED void t_new_dir(void)
{
	strcpy(t_dir, "/tmp/rig-test.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
}

/* Make the tree in t_dir, or open the one that is there as a second process would.  Locked: kernfs_unlock() follows. */
static T_UNUSED void t_tree(bool create)
{
	explain_enable();
	explain_set_sink(t_quiet);
	fd_host_register(&t_fd_host);
	assert_int_equal(kernfs_open(t_dir, create), 0);
	kernfs_lock();
}

static T_UNUSED void t_remove_tree(void)
{
	char cmd[96];

	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", t_dir);
	if (system(cmd))
		fprintf(stderr, "%s is left behind\n", t_dir);
}

/* After each test: a test that failed halfway must not make the next ones fail. */
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
	(void)state;
	t_remove_tree();
	return 0;
}

#endif
