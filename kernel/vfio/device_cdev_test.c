/* SPDX-License-Identifier: BSD-3-Clause */
/* device_cdev_test.c - devices by their own nodes: bound, attached, and never together with their group. */
#include "kernel/vfio/vfio_test.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static const char *node(unsigned i)
{
	return t_dev[i].vdev.node;
}

static long destroy(int iommufd, u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return t_ioctl(iommufd, IOMMU_DESTROY, &cmd);
}

/* ---- the node ---- */

static void node_and_files(void **state)
{
	int d = (int)t_works(t_open(node(FAKE2)));
	struct file *file = fget(d);
	char path[96], text[128];

	(void)state;
	snprintf(path, sizeof(path), "dev/%s", node(FAKE2));
	assert_true(kernfs_exists(path));
	snprintf(path, sizeof(path), "sys/devices/fake/fake2/vfio-dev/%s/dev", t_dev[FAKE2].vdev.name);
	assert_true(kernfs_exists(path));
	assert_int_equal(file->mode, S_IFCHR | 0600);
	assert_int_equal(minor(file->rdev), t_dev[FAKE2].vdev.index);
	assert_true(file->f_op->fdinfo(file, text, sizeof(text)) > 0);
	assert_string_equal(text, "vfio-device-syspath: /sys/devices/fake/fake2\n");
	fput(file);
	t_close((int)t_works(t_open_flags(node(FAKE2), O_RDONLY)));
	t_close(d);
	t_fails(t_open("vfio/devices/vfio77"), ENOENT);
}

static void useless_before_bind(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int d = (int)t_works(t_open(node(FAKE0)));
	struct file *file = fget(d);
	u64 pos = 0;

	(void)state;
	t_fails(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	t_fails(t_ioctl(d, VFIO_DEVICE_FEATURE, T_BAD), EINVAL);
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, T_BAD), EINVAL);
	t_fails(t_ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, T_BAD), EINVAL);
	t_fails(t_ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), EINVAL);
	t_fails(file->f_op->read(file, (char *)&info, 4, &pos), EINVAL);
	t_fails(file->f_op->write(file, (char *)&info, 4, &pos), EINVAL);
	t_fails(file->f_op->mmap(file, NULL, 0), EINVAL);
	fput(file);
	assert_int_equal(t_dev[FAKE0].opened, t_dev[FAKE0].closed);
	t_close(d);
}

/* ---- BIND_IOMMUFD ---- */

static void bind_checks(void **state)
{
	struct { struct vfio_device_bind_iommufd b; u64 tail[40]; } x = { .b = { .argsz = 15 } };
	int d = (int)t_works(t_open(node(FAKE0))), i = (int)t_works(t_open("iommu"));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), c = (int)t_works(t_open("vfio/vfio"));
	u8 uuid[16] = { 1 };

	(void)state;
	guard_install();
	x.b.iommufd = i;
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, T_BAD), EFAULT);
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &x), EINVAL);
	x.b.argsz = sizeof(x);
	x.tail[39] = 1ull << 63;
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &x), E2BIG);
	x.tail[39] = 0;
	x.b.argsz = sizeof(x.b);
	x.b.flags = 2;
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &x), EINVAL);
	x.b.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &x), EFAULT); /* at 0 */
	x.b.token_uuid_ptr = (uintptr_t)uuid;
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &x), EINVAL); /* it takes none */
	t_fails(t_bind(d, -1), EINVAL);
	t_fails(t_bind(d, 999), EBADF);
	t_fails(t_bind(d, null), EBADFD);
	t_fails(t_bind(d, c), EBADFD);
	t_fails(t_bind(d, d), EBADFD);
	assert_int_equal(t_dev[FAKE0].opened, t_dev[FAKE0].closed);
	t_close((int)t_works(t_open("vfio/2"))); /* nothing of that keeps the group closed */
	x.b = (struct vfio_device_bind_iommufd){ .argsz = sizeof(x), .iommufd = i };
	t_works(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &x));
	assert_int_equal(x.b.out_devid, 1);
	t_fails(t_bind(d, i), EINVAL);
	t_close(d);
	close(null);
	t_close(c);
	t_close(i);
}

/* The answer cannot be written: all is undone. */
static void bind_into_read_only_memory(void **state)
{
	struct vfio_device_bind_iommufd *b = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int d = (int)t_works(t_open(node(FAKE0))), i = (int)t_works(t_open("iommu"));
	struct vfio_device_info info = { .argsz = sizeof(info) };

	(void)state;
	guard_install();
	*b = (struct vfio_device_bind_iommufd){ .argsz = sizeof(*b), .iommufd = i };
	mprotect(b, PAGE_SIZE, PROT_READ);
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, b), EFAULT);
	assert_int_equal(t_dev[FAKE0].opened, t_dev[FAKE0].closed);
	t_fails(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	assert_int_equal(t_works(t_bind(d, i)), 1);
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_close(d);
	t_close(i);
	munmap(b, PAGE_SIZE);
}

static void open_device_may_fail(void **state)
{
	int d = (int)t_works(t_open(node(FAKE0))), i = (int)t_works(t_open("iommu"));
	unsigned closed = t_dev[FAKE0].closed;

	(void)state;
	t_dev[FAKE0].open_ret = -EIO;
	t_fails(t_bind(d, i), EIO);
	t_dev[FAKE0].open_ret = 0;
	t_dev[FAKE0].opened--;
	assert_int_equal(t_dev[FAKE0].closed, closed);
	assert_int_equal(t_works(t_bind(d, i)), 1);
	t_close(d);
	t_close(i);
}

static void one_descriptor_is_bound(void **state)
{
	int d = (int)t_works(t_open(node(FAKE0))), d2 = (int)t_works(t_open(node(FAKE0)));
	int i = (int)t_works(t_open("iommu")), i2 = (int)t_works(t_open("iommu"));
	struct vfio_device_info info = { .argsz = sizeof(info) };

	(void)state;
	t_works(t_bind(d, i));
	t_fails(t_bind(d2, i), EINVAL);
	t_fails(t_bind(d2, 999), EBADF);
	t_fails(t_bind(d, i2), EINVAL);
	t_fails(t_ioctl(d2, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_close(i); /* the device keeps it */
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_fails(t_attach(d, 99), ENOENT);
	t_close(d);
	assert_int_equal(t_works(t_bind(d2, i2)), 1);
	t_close(d2);
	t_close(i2);
	assert_int_equal(t_dev[FAKE0].opened, t_dev[FAKE0].closed);
}

/* ---- group or node ---- */

static void group_and_node_exclude_each_other(void **state)
{
	int d = (int)t_works(t_open(node(FAKE0))), i = (int)t_works(t_open("iommu")), gd;
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);

	(void)state;
	guard_install();
	t_fails(t_bind(d, i), EBUSY);
	t_fails(t_bind(d, 999), EBUSY);
	gd = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0"));
	t_fails(t_bind(d, i), EBUSY);
	t_fails(t_bind(gd, i), EINVAL);
	t_fails(t_ioctl(gd, VFIO_DEVICE_BIND_IOMMUFD, T_BAD), EFAULT);
	t_fails(t_attach(gd, 1), ENOTTY);
	t_fails(t_detach(gd), ENOTTY);
	t_close(x.g);
	t_fails(t_bind(d, i), EBUSY);
	t_close(gd);
	t_works(t_bind(d, i));
	t_fails(t_open("vfio/2"), EBUSY);
	t_close((int)t_works(t_open("vfio/5"))); /* the other group is free */
	t_close(d);
	t_close((int)t_works(t_open("vfio/2")));
	t_close(x.c);
	t_close(i);
}

/* With an iommufd for its container the group may be closed and opened while its device is in use. */
static void group_closed_before_its_device(void **state)
{
	int i = (int)t_works(t_open("iommu")), i2 = (int)t_works(t_open("iommu")), c = (int)t_works(t_open("vfio/vfio"));
	int g = (int)t_works(t_open("vfio/2")), node_fd = (int)t_works(t_open(node(FAKE0))), d, d2;
	struct vfio_group_status status = { .argsz = sizeof(status) };

	(void)state;
	t_works(t_ioctl(g, VFIO_GROUP_SET_CONTAINER, &i));
	d = (int)t_works(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0"));
	t_fails(t_open("vfio/2"), EBUSY);
	t_close(g);
	t_fails(t_bind(node_fd, i), EINVAL); /* the device is in use */
	g = (int)t_works(t_open("vfio/2"));
	t_fails(t_bind(node_fd, i), EBUSY);
	t_works(t_ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(status.flags, 0); /* its DMA is the iommufd's */
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0"), EINVAL);
	t_fails(t_ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), EPERM);
	t_works(t_ioctl(g, VFIO_GROUP_SET_CONTAINER, &i2));
	d2 = (int)t_works(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0"));
	t_close(d);
	t_close(g);
	t_close(d2);
	t_works(t_bind(node_fd, i2));
	t_close(node_fd);
	t_close(c);
	t_close(i2);
	t_close(i);
}

/* Two devices of one group: the group opens when the last of them is closed. */
static void devices_of_one_group(void **state)
{
	int d0 = (int)t_works(t_open(node(FAKE0))), d1 = (int)t_works(t_open(node(FAKE1)));
	int i = (int)t_works(t_open("iommu")), i2 = (int)t_works(t_open("iommu"));

	(void)state;
	t_works(t_bind(d0, i));
	t_fails(t_bind(d1, i2), EPERM); /* the group's DMA is the first iommufd's */
	t_works(t_bind(d1, i));
	t_close(d0);
	t_fails(t_open("vfio/2"), EBUSY);
	t_close(d1);
	t_close((int)t_works(t_open("vfio/2")));
	t_close(i);
	t_close(i2);
}

/* ---- attaching ---- */

static void attach_and_detach(void **state)
{
	struct { struct vfio_device_attach_iommufd_pt a; } x = { .a = { .argsz = 8 } };
	struct vfio_device_detach_iommufd_pt de = { .argsz = 4 };
	int d = (int)t_works(t_open(node(FAKE2))), i = (int)t_works(t_open("iommu"));
	u32 as, as2;
	long pt;

	(void)state;
	guard_install();
	t_works(t_bind(d, i));
	as = (u32)t_works(t_ioas(i));
	as2 = (u32)t_works(t_ioas(i));
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, T_BAD), EFAULT);
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &x), EINVAL);
	x.a.argsz = 12;
	x.a.pt_id = as;
	x.a.flags = 2;
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &x), EINVAL);
	x.a.flags = VFIO_DEVICE_ATTACH_PASID;
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &x), EINVAL);
	x.a.argsz = sizeof(x.a);
	x.a.pasid = 1 << 20;
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &x), EINVAL);
	x.a.pt_id = 999;
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &x), ENOENT);
	x.a.pasid = 1u << 31;
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &x), ENOSPC);
	t_fails(t_ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, T_BAD), EFAULT);
	t_fails(t_ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de), EINVAL);
	de.argsz = 8;
	de.flags = VFIO_DEVICE_DETACH_PASID;
	t_fails(t_ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de), EINVAL);
	t_works(t_detach(d)); /* nothing to do */
	pt = t_works(t_attach(d, as));
	assert_int_not_equal(pt, as);
	assert_int_equal(t_works(t_attach(d, as)), pt);
	t_fails(destroy(i, as), EBUSY);
	t_works(t_attach(d, as2));
	t_works(destroy(i, as));
	t_fails(destroy(i, (u32)pt), ENOENT); /* it went with its last device */
	t_works(t_detach(d));
	t_works(t_detach(d));
	t_works(destroy(i, as2));
	t_fails(t_attach(d, as2), ENOENT);
	as = (u32)t_works(t_ioas(i));
	t_works(t_attach(d, as));
	t_close(d); /* detaches */
	t_works(destroy(i, as));
	t_close(i);
}

static void answer_of_attach_cannot_be_written(void **state)
{
	struct vfio_device_attach_iommufd_pt *a = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
						       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int d = (int)t_works(t_open(node(FAKE2))), i = (int)t_works(t_open("iommu"));

	(void)state;
	guard_install();
	t_works(t_bind(d, i));
	*a = (struct vfio_device_attach_iommufd_pt){ .argsz = sizeof(*a), .pt_id = (u32)t_works(t_ioas(i)) };
	mprotect(a, PAGE_SIZE, PROT_READ);
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, a), EFAULT);
	t_works(destroy(i, a->pt_id)); /* it is not attached */
	t_close(d);
	t_close(i);
	munmap(a, PAGE_SIZE);
}

/* ---- unbinding from the driver ---- */

static atomic_bool unbound;

static void *unbind_thread(void *arg)
{
	struct fake_device *fake = arg;

	kernfs_lock();
	device_driver_detach(&fake->dev);
	kernfs_unlock();
	atomic_store(&unbound, true);
	return NULL;
}

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* An open node makes it wait, bound or not; meanwhile it can still be bound, but not opened. */
static void unbind_waits_for_open_nodes(void **state)
{
	int d = (int)t_works(t_open(node(FAKE2))), i = (int)t_works(t_open("iommu"));
	pthread_t thread;

	(void)state;
	atomic_store(&t_dev[FAKE2].requested, 0);
	atomic_store(&unbound, false);
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &t_dev[FAKE2]), 0);
	for (unsigned n = 0; n < 5000 && !atomic_load(&t_dev[FAKE2].requested); n++)
		sleep_ms(1);
	assert_true(atomic_load(&t_dev[FAKE2].requested) > 0);
	t_fails(t_open(node(FAKE2)), ENOENT);
	t_works(t_bind(d, i));
	sleep_ms(50);
	assert_false(atomic_load(&unbound));
	t_close(d);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&unbound));
	assert_int_equal(t_dev[FAKE2].opened, t_dev[FAKE2].closed);
	t_close(i);
	explain_begin();
	kernfs_lock();
	t_works(device_driver_attach(&fake_driver, &t_dev[FAKE2].dev));
	kernfs_unlock();
	t_close((int)t_works(t_open(node(FAKE2))));
}

/* ---- another process ---- */

/* Holds a file of the machine locked until the returned descriptor is closed. */
static pid_t holder(const char *name, int operation, int *ret_pipe)
{
	int ready[2], done[2];
	char path[128], c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (!pid) {
		int fd;

		snprintf(path, sizeof(path), "%s/dev/%s", t_dir, name);
		fd = open(path, O_RDWR);
		close(done[1]);
		if (fd < 0 || flock(fd, operation))
			_exit(1);
		_exit(write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) < 0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(done[0]);
	*ret_pipe = done[1];
	return pid;
}

static void in_use_in_another_process(void **state)
{
	static const struct { unsigned device; const char *group; int operation, err; } cases[] = {
		{ FAKE2, NULL, LOCK_EX, -EINVAL },	/* bound there */
		{ FAKE2, "vfio/5", LOCK_EX, -EBUSY },	/* its group is open there */
		{ FAKE2, "vfio/5", LOCK_SH, 0 },	/* another device of the group is bound there */
	};

	(void)state;
	for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
		int d = (int)t_works(t_open(node(cases[n].device))), i = (int)t_works(t_open("iommu")), pipe_fd, status;
		const char *name = cases[n].group ? cases[n].group : node(cases[n].device);
		pid_t pid = holder(name, cases[n].operation, &pipe_fd);
		long ret = t_bind(d, i);
		char who[32];

		assert_int_equal(min(ret, 0l), cases[n].err);
		snprintf(who, sizeof(who), "process %d (", pid);
		if (ret < 0)
			assert_non_null(strstr(explain_take(), who));
		close(pipe_fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		if (ret < 0)
			t_works(t_bind(d, i));
		t_close(d);
		t_close(i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(node_and_files, t_close_all),
		cmocka_unit_test_teardown(useless_before_bind, t_close_all),
		cmocka_unit_test_teardown(bind_checks, t_close_all),
		cmocka_unit_test_teardown(bind_into_read_only_memory, t_close_all),
		cmocka_unit_test_teardown(open_device_may_fail, t_close_all),
		cmocka_unit_test_teardown(one_descriptor_is_bound, t_close_all),
		cmocka_unit_test_teardown(group_and_node_exclude_each_other, t_close_all),
		cmocka_unit_test_teardown(group_closed_before_its_device, t_close_all),
		cmocka_unit_test_teardown(devices_of_one_group, t_close_all),
		cmocka_unit_test_teardown(attach_and_detach, t_close_all),
		cmocka_unit_test_teardown(answer_of_attach_cannot_be_written, t_close_all),
		cmocka_unit_test_teardown(unbind_waits_for_open_nodes, t_close_all),
		cmocka_unit_test_teardown(in_use_in_another_process, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
