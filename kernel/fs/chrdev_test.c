/* SPDX-License-Identifier: BSD-3-Clause */
/* chrdev_test.c - device nodes: known or not, opened, taken away while somebody opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/fs/chrdev.h"
#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"

static char dir[64];
static atomic_int opened;
static atomic_int slow; /* an open waits while it is 1; 2 says that it is waiting */

static const struct file_operations null_fops = {.kind = FILE_OTHER};

static struct file *node_open(struct cdev *cdev, unsigned int f_flags)
{
	if (f_flags & O_EXCL)
		return ERR_PTR(-EBUSY);
	if (slow) {
		slow = 2;
		while (slow)
			usleep(100);
	}
	opened++;
	return file_alloc(&null_fops, cdev, "/dev/whatever", f_flags);
}

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/chrdev_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	opened = 0;
	return kernfs_open(dir, true);
}

static int teardown(void **state)
{
	char cmd[128];

	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void test_add_open_del(void **state)
{
	struct cdev node = {.path = "vfio/3", .mode = 0600, .rdev = makedev(10, 3), .open = node_open};
	struct cdev twin = node;
	struct file *file;

	assert_int_equal(cdev_add(&node, true), 0);
	assert_int_equal(cdev_add(&twin, true), -EEXIST);
	assert_true(kernfs_exists("dev/vfio/3"));
	assert_ptr_equal(cdev_lookup("vfio/3"), &node);
	assert_null(cdev_lookup("vfio/4"));
	file = cdev_open("vfio/3", O_RDWR);
	assert_false(IS_ERR(file));
	assert_int_equal(file->mode, S_IFCHR | 0600);
	assert_int_equal(file->rdev, makedev(10, 3));
	assert_string_equal(file->path, "/dev/vfio/3");
	assert_int_equal(PTR_ERR(cdev_open("vfio/4", O_RDWR)), -ENOENT);
	assert_int_equal(PTR_ERR(cdev_open("vfio/3", O_RDWR | O_EXCL)), -EBUSY);
	assert_int_equal(opened, 1);
	cdev_del(&node, true);
	assert_false(kernfs_exists("dev/vfio/3"));
	assert_null(cdev_lookup("vfio/3"));
	assert_int_equal(PTR_ERR(cdev_open("vfio/3", O_RDWR)), -ENOENT);
	fput(file); /* an open file outlives its node */
}

static void test_node_file_stays(void **state)
{
	struct cdev node = {.path = "vfio/3", .mode = 0666, .open = node_open};

	assert_int_equal(cdev_add(&node, false), 0);
	assert_false(kernfs_exists("dev/vfio/3"));
	cdev_del(&node, false);
	assert_int_equal(cdev_add(&node, true), 0);
	cdev_del(&node, false);
	assert_true(kernfs_exists("dev/vfio/3"));
}

static void *opener(void *arg)
{
	return cdev_open("vfio/3", O_RDWR);
}

static void *deleter(void *arg)
{
	cdev_del(arg, false);
	return opened ? arg : NULL; /* the open was over when del returned */
}

static void test_del_waits_for_open(void **state)
{
	struct cdev node = {.path = "vfio/3", .mode = 0666, .open = node_open};
	pthread_t a, b;
	void *file, *order;

	assert_int_equal(cdev_add(&node, false), 0);
	slow = 1;
	assert_int_equal(pthread_create(&a, NULL, opener, NULL), 0);
	while (slow != 2)
		usleep(100);
	assert_int_equal(pthread_create(&b, NULL, deleter, &node), 0);
	usleep(10000);
	slow = 0;
	assert_int_equal(pthread_join(a, &file), 0);
	assert_int_equal(pthread_join(b, &order), 0);
	assert_non_null(order);
	assert_false(IS_ERR(file));
	fput(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_open_del, setup, teardown),
		cmocka_unit_test_setup_teardown(test_node_file_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_del_waits_for_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
