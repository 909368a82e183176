/* SPDX-License-Identifier: BSD-3-Clause */
/* group_test.c - containers and groups: every call that works and those that fail, and who outlives whom. */
#include "kernel/vfio/vfio_test.h"

#include <sys/stat.h>
#include <sys/file.h>
#include <sys/wait.h>

/* ---- container ---- */

static void container_alone(void **state)
{
	int c = (int)t_works(t_open("vfio/vfio"));
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct file *file = fget(c);

	(void)state;
	guard_install();
	assert_string_equal(file->path, "/dev/vfio/vfio");
	assert_int_equal(file->mode, S_IFCHR | 0666);
	assert_null(file->f_op->read);
	assert_null(file->f_op->write);
	assert_null(file->f_op->mmap);
	fput(file);
	assert_int_equal(t_ioctl(c, VFIO_GET_API_VERSION, NULL), 0);
	for (unsigned long e = 0; e <= 12; e++)
		assert_int_equal(t_ioctl_n(c, VFIO_CHECK_EXTENSION, e), e == 1 || e == 3 || e == 9);
	assert_int_equal(t_ioctl_n(c, VFIO_CHECK_EXTENSION, 1000), 0);
	assert_int_equal(t_ioctl_n(c, VFIO_CHECK_EXTENSION, -1ul), 0);
	assert_int_equal(t_ioctl_n(c, VFIO_CHECK_EXTENSION, 3 | 1ul << 32), 0);
	t_fails(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	t_fails(t_ioctl_n(c, VFIO_SET_IOMMU, 99), EINVAL);
	t_fails(t_ioctl(c, VFIO_IOMMU_GET_INFO, &info), EINVAL);
	t_fails(t_map(c, 3, &info, 0, PAGE_SIZE), EINVAL);
	t_fails(t_unmap(c, 0, 0, PAGE_SIZE), EINVAL);
	t_fails(t_ioctl(c, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), EINVAL);
	t_fails(t_ioctl(c, _IO('T', 1), T_BAD), EINVAL);
	t_fails(t_ioctl(c, VFIO_GROUP_GET_STATUS, &info), EINVAL);
	t_close(c);
}

static void containers_are_separate(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	int c2 = (int)t_works(t_open("vfio/vfio")), g2 = (int)t_works(t_open("vfio/5"));

	(void)state;
	t_works(t_set_container(g2, c2));
	t_fails(t_map(c2, 3, T_BAD, 0, PAGE_SIZE), EINVAL);
	t_works(t_ioctl_n(c2, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	t_close(g2);
	t_fails(t_ioctl_n(c2, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), EINVAL);
	t_close(c2);
	t_teardown(x);
}

/* ---- group ---- */

static u32 status_flags(int g)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	t_works(t_ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	return status.flags;
}

static void group_opens_once(void **state)
{
	int g;

	(void)state;
	t_fails(t_open("vfio/99999"), ENOENT);
	g = (int)t_works(t_open("vfio/2"));
	t_fails(t_open("vfio/2"), EBUSY);
	t_close(g);
	g = (int)t_works(t_open_flags("vfio/2", O_RDONLY));
	t_close(g);
}

static void group_status(void **state)
{
	struct vfio_group_status status = { .argsz = 4 };
	int g = (int)t_works(t_open("vfio/2"));

	(void)state;
	guard_install();
	assert_int_equal(status_flags(g), VFIO_GROUP_FLAGS_VIABLE);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_STATUS, &status), EINVAL);
	status.argsz = 100;
	t_works(t_ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(status.argsz, 100);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_STATUS, T_BAD), EFAULT);
	t_fails(t_ioctl(g, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), ENOTTY);
	t_close(g);
}

static void set_and_unset_container(void **state)
{
	int g = (int)t_works(t_open("vfio/2")), c = (int)t_works(t_open("vfio/vfio"));
	int c2 = (int)t_works(t_open("vfio/vfio")), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int path = open("/dev/null", O_PATH | O_CLOEXEC);

	(void)state;
	guard_install();
	t_fails(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL), EINVAL);
	t_fails(t_set_container(g, -1), EBADF);
	t_fails(t_set_container(g, -5), EBADF);
	t_fails(t_set_container(g, 999), EBADF);
	t_fails(t_set_container(g, path), EBADF);
	t_fails(t_set_container(g, null), EBADFD);
	t_fails(t_set_container(g, g), EBADFD);
	t_fails(t_ioctl(g, VFIO_GROUP_SET_CONTAINER, T_BAD), EFAULT);
	t_works(t_set_container(g, c));
	assert_int_equal(status_flags(g), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	t_fails(t_set_container(g, c), EINVAL);
	t_fails(t_set_container(g, c2), EINVAL);
	t_fails(t_set_container(g, null), EINVAL);
	t_fails(t_set_container(g, -1), EBADF);
	t_works(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_fails(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL), EINVAL);
	close(null);
	close(path);
	t_close(c2);
	t_close(c);
	t_close(g);
}

static void set_iommu(void **state)
{
	struct t_ctx x = t_setup("vfio/2", 0);

	(void)state;
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, 0), ENODEV);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_IOMMU), ENODEV);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), ENODEV);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_UNMAP_ALL), EINVAL);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, 99), ENODEV);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, 3 | 1ul << 32), ENODEV);
	t_works(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, 99), EINVAL);
	t_fails(t_ioctl(x.c, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), ENOTTY);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_ENABLE, NULL), ENOTTY);
	for (unsigned long e = 0; e <= 12; e++)
		assert_int_equal(t_ioctl_n(x.c, VFIO_CHECK_EXTENSION, e),
				 e == 1 || e == 3 || e == 4 || e == 9 || e == 10);
	t_teardown(x);
}

static void group_not_viable(void **state)
{
	int c = (int)t_works(t_open("vfio/vfio")), g = (int)t_works(t_open("vfio/2")), ret;
	struct vfio_group_status status = { .argsz = sizeof(status) };

	(void)state;
	/* A host driver in the same group: as if fake1 were given back while fake0 stays. */
	ret = iommu_device_use_default_domain(&t_dev[FAKE1].dev);
	assert_int_equal(ret, 0);
	t_suspicious(t_ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(status.flags, 0);
	t_fails(t_set_container(g, c), EPERM);
	iommu_device_unuse_default_domain(&t_dev[FAKE1].dev);
	t_works(t_set_container(g, c));
	assert_int_equal(iommu_device_use_default_domain(&t_dev[FAKE1].dev), -EBUSY);
	t_close(g);
	t_close(c);
}

/* ---- several backends ---- */

#define TYPE_X 42
struct t_backend {
	unsigned opened, released, attached, detached, fail_at; /* fail_at: which attach_group fails; 0 none */
	bool refuses;
} t_backends[2];

static void *backend_open(struct t_backend *b)
{
	b->opened++;
	return b->refuses ? ERR_PTR(fail(-EINVAL, "the test wants it")) : b;
}

static void *open_first(unsigned long type)
{
	return backend_open(&t_backends[0]);
}

static void *open_second(unsigned long type)
{
	return backend_open(&t_backends[1]);
}

static void backend_release(void *data)
{
	((struct t_backend *)data)->released++;
}

static long backend_ioctl(void *data, unsigned int cmd, unsigned long arg)
{
	return fail(-ENOTTY, "request %#x is unknown", cmd);
}

static long backend_has(void *data, unsigned long arg)
{
	return arg == TYPE_X;
}

static int backend_attach(void *data, struct iommu_group *group)
{
	struct t_backend *b = data;

	if (++b->attached == b->fail_at)
		return fail(-EIO, "the test wants it");
	return 0;
}

static void backend_detach(void *data, struct iommu_group *group)
{
	((struct t_backend *)data)->detached++;
}

#define BACKEND(name_, open_)                                                                                \
	{                                                                                                    \
		.name = name_, .open = open_, .release = backend_release, .ioctl = backend_ioctl,            \
		.check_extension = backend_has, .attach_group = backend_attach, .detach_group = backend_detach, \
	}
static const struct vfio_iommu_driver_ops first_backend = BACKEND("first", open_first);
static const struct vfio_iommu_driver_ops second_backend = BACKEND("second", open_second);
static const struct vfio_iommu_driver_ops third_backend = BACKEND("one too many", open_second);

/* Two groups in the container; the first backend takes one of them and fails at the other. */
static void backends_are_tried_in_turn(void **state)
{
	struct t_ctx x = t_setup("vfio/2", 0);
	int g2 = (int)t_works(t_open("vfio/5"));

	(void)state;
	memset(t_backends, 0, sizeof(t_backends));
	assert_int_equal(vfio_register_iommu_driver(&first_backend), 0);
	assert_int_equal(vfio_register_iommu_driver(&first_backend), -EBUSY);
	assert_int_equal(vfio_register_iommu_driver(&second_backend), 0);
	assert_int_equal(vfio_register_iommu_driver(&third_backend), -ENOSPC);
	t_works(t_set_container(g2, x.c));
	t_backends[0].fail_at = 2;
	t_backends[1].refuses = true;
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, TYPE_X), EINVAL); /* what the last said */
	assert_int_equal(t_backends[0].detached, 1);
	assert_int_equal(t_backends[0].released, 1);
	assert_int_equal(t_backends[1].opened, 1);
	assert_int_equal(t_backends[1].released, 0);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_ENABLE, NULL), EINVAL); /* there is none yet */
	t_backends[0].attached = 0;
	t_backends[1].refuses = false;
	t_works(t_ioctl_n(x.c, VFIO_SET_IOMMU, TYPE_X));
	assert_int_equal(t_backends[0].detached, 2);
	assert_int_equal(t_backends[0].released, 2);
	assert_int_equal(t_backends[1].attached, 2);
	t_fails(t_ioctl(x.c, VFIO_IOMMU_ENABLE, NULL), ENOTTY);
	t_close(g2);
	assert_int_equal(t_backends[1].detached, 1);
	assert_int_equal(t_backends[1].released, 0);
	t_teardown(x);
	assert_int_equal(t_backends[1].detached, 2);
	assert_int_equal(t_backends[1].released, 1);
	vfio_unregister_iommu_driver(&second_backend);
	vfio_unregister_iommu_driver(&first_backend);
	x = t_setup("vfio/2", 0);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, TYPE_X), ENODEV);
	t_teardown(x);
}

/* ---- no IOMMU ---- */

static long bind_bare(void)
{
	long ret;

	explain_begin();
	kernfs_lock();
	ret = device_driver_attach(&fake_driver, &t_dev[BARE0].dev);
	kernfs_unlock();
	return ret;
}

static void set_noiommu_mode(bool on)
{
	kernfs_lock();
	assert_int_equal(vfio_set_unsafe_noiommu_mode(on), 0);
	kernfs_unlock();
}

static void group_without_iommu(void **state)
{
	int c = (int)t_works(t_open("vfio/vfio")), g, g2, d;

	(void)state;
	t_fails(bind_bare(), EINVAL);
	assert_int_equal(t_ioctl_n(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU), 0);
	set_noiommu_mode(true);
	assert_int_equal(t_ioctl_n(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU), 1);
	t_works(bind_bare());
	assert_true(kernfs_exists("sys/kernel/iommu_groups/0/name"));
	assert_true(kernfs_exists("sys/class/vfio/noiommu-0/dev"));
	assert_true(kernfs_exists("sys/devices/fake/bare0/iommu_group"));
	assert_false(kernfs_exists("sys/devices/fake/bare0/iommu"));
	g = (int)t_works(t_open("vfio/noiommu-0"));
	t_fails(t_open("vfio/noiommu-0"), EBUSY);
	assert_int_equal(status_flags(g), VFIO_GROUP_FLAGS_VIABLE);
	t_works(t_set_container(g, c));
	t_fails(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), ENODEV);
	g2 = (int)t_works(t_open("vfio/2"));
	t_fails(t_set_container(g2, c), EPERM);
	set_noiommu_mode(false);
	t_fails(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), ENODEV);
	set_noiommu_mode(true);
	t_works(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	t_fails(t_set_container(g2, c), EPERM);
	t_fails(t_map(c, 3, T_BAD, 0, PAGE_SIZE), ENOTTY);
	d = (int)t_works(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "bare0"));
	assert_int_equal(t_dev[BARE0].opened - t_dev[BARE0].closed, 1);
	t_close(d);
	t_works(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_works(t_set_container(g2, c)); /* empty again: either kind may come */
	t_fails(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), ENODEV);
	t_fails(t_set_container(g, c), EPERM);
	t_close(g2);
	t_close(g);
	t_close(c);
	kernfs_lock();
	device_driver_detach(&t_dev[BARE0].dev);
	kernfs_unlock();
	set_noiommu_mode(false);
	assert_null(t_dev[BARE0].dev.iommu_group);
	assert_false(kernfs_exists("sys/kernel/iommu_groups/0"));
	assert_false(kernfs_exists("dev/vfio/noiommu-0"));
	t_fails(t_open("vfio/noiommu-0"), ENOENT);
}

/* ---- devices ---- */

static void get_device_fd(void **state)
{
	int g = (int)t_works(t_open("vfio/2")), c = (int)t_works(t_open("vfio/vfio")), d, d2;
	char *longer = malloc(2 * PAGE_SIZE);

	(void)state;
	guard_install();
	memset(longer, 'a', 2 * PAGE_SIZE);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0"), EINVAL);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "nobody"), ENODEV);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, T_BAD), EFAULT);
	t_works(t_set_container(g, c));
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0"), EINVAL);
	t_works(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake2"), ENODEV);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, ""), ENODEV);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake"), ENODEV);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0 x=y"), EINVAL);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NULL), EFAULT);
	t_fails(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, longer), EINVAL);
	d = (int)t_works(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0 "));
	assert_int_equal(fcntl(d, F_GETFD), FD_CLOEXEC);
	assert_int_equal(t_dev[FAKE0].opened - t_dev[FAKE0].closed, 1);
	d2 = (int)t_works(t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0"));
	assert_int_equal(t_dev[FAKE0].opened - t_dev[FAKE0].closed, 1);
	t_fails(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL), EBUSY);
	t_close(d);
	t_fails(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL), EBUSY);
	t_close(d2);
	assert_int_equal(t_dev[FAKE0].opened, t_dev[FAKE0].closed);
	t_works(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_fails(t_map(c, 3, longer, 0, PAGE_SIZE), EINVAL);
	free(longer);
	t_close(g);
	t_close(c);
}

static void open_device_may_fail(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	unsigned closed = t_dev[FAKE0].closed, opened = t_dev[FAKE0].opened;

	(void)state;
	t_dev[FAKE0].open_ret = -EIO;
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0"), EIO);
	t_dev[FAKE0].open_ret = 0;
	assert_int_equal(t_dev[FAKE0].closed, closed);
	assert_int_equal(t_dev[FAKE0].opened, ++opened);
	t_dev[FAKE0].opened = closed;
	t_works(t_ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_teardown(x);
}

/* ---- who outlives whom ---- */

static void lifetimes_of_linux(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	void *mem = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	int d = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0")), g2;

	(void)state;
	memset(mem, 0, PAGE_SIZE);
	t_works(t_map(x.c, 3, mem, 0, PAGE_SIZE));
	t_close(x.c);
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_close(x.g);
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_fails(t_open("vfio/2"), EBUSY);
	t_close(d);
	t_close((int)t_works(t_open("vfio/2")));

	x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	t_close(x.g);
	t_fails(t_map(x.c, 3, mem, 0, PAGE_SIZE), EINVAL);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	x.g = (int)t_works(t_open("vfio/2"));
	t_works(t_set_container(x.g, x.c));
	t_works(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	g2 = (int)t_works(t_open("vfio/5"));
	t_works(t_set_container(g2, x.c));
	t_works(t_map(x.c, 3, mem, 0, PAGE_SIZE));
	t_works(t_ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_works(t_unmap(x.c, 0, 0, PAGE_SIZE));
	assert_int_equal(t_unmapped, PAGE_SIZE);
	t_works(t_ioctl(g2, VFIO_GROUP_UNSET_CONTAINER, NULL));
	t_fails(t_unmap(x.c, 0, 0, PAGE_SIZE), EINVAL);
	assert_int_equal(t_unmapped, PAGE_SIZE);
	t_close(g2);
	t_teardown(x);
	free(mem);
}

/* Container, group and two devices are closed in every order, and all is free again afterwards. */
static void close_in_every_order(void **state)
{
	static const int orders[24][4] = {
		{ 0, 1, 2, 3 }, { 0, 1, 3, 2 }, { 0, 2, 1, 3 }, { 0, 2, 3, 1 }, { 0, 3, 1, 2 },
		{ 0, 3, 2, 1 }, { 1, 0, 2, 3 }, { 1, 0, 3, 2 }, { 1, 2, 0, 3 }, { 1, 2, 3, 0 },
		{ 1, 3, 0, 2 }, { 1, 3, 2, 0 }, { 2, 0, 1, 3 }, { 2, 0, 3, 1 }, { 2, 1, 0, 3 },
		{ 2, 1, 3, 0 }, { 2, 3, 0, 1 }, { 2, 3, 1, 0 }, { 3, 0, 1, 2 }, { 3, 0, 2, 1 },
		{ 3, 1, 0, 2 }, { 3, 1, 2, 0 }, { 3, 2, 0, 1 }, { 3, 2, 1, 0 },
	};
	void *mem = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	(void)state;
	memset(mem, 0, PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
		int fds[4] = { x.c, x.g, (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0")),
			       (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake1")) };

		t_works(t_map(x.c, 3, mem, 0x1000 * i, PAGE_SIZE));
		for (unsigned k = 0; k < 4; k++) {
			t_close(fds[orders[i][k]]);
			assert_int_equal(t_dev[FAKE0].opened - t_dev[FAKE0].closed,
					 fcntl(fds[2], F_GETFD) >= 0);
			assert_int_equal(t_dev[FAKE1].opened - t_dev[FAKE1].closed,
					 fcntl(fds[3], F_GETFD) >= 0);
		}
		assert_false(vfio_device_in_use(&t_dev[FAKE0].vdev));
		assert_false(vfio_device_in_use(&t_dev[FAKE1].vdev));
		t_close((int)t_works(t_open("vfio/2")));
	}
	free(mem);
}

/* ---- hot reset's question ---- */

static void files_know_their_group(void **state)
{
	int g = (int)t_works(t_open("vfio/2")), c = (int)t_works(t_open("vfio/vfio"));
	struct file *group = fget(g), *container = fget(c);

	(void)state;
	assert_true(vfio_file_is_group(group));
	assert_false(vfio_file_is_group(container));
	assert_true(vfio_file_has_dev(group, &t_dev[FAKE0].vdev));
	assert_true(vfio_file_has_dev(group, &t_dev[FAKE1].vdev));
	assert_false(vfio_file_has_dev(group, &t_dev[FAKE2].vdev));
	assert_false(vfio_file_has_dev(container, &t_dev[FAKE0].vdev));
	fput(group);
	fput(container);
	t_close(g);
	t_close(c);
}

/* ---- several processes ---- */

/* Another process with the group's file open, as it would be through its own kernel. */
static pid_t holder(const char *node, int operation, int *ret_pipe)
{
	int ready[2], done[2];
	char path[128], c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (!pid) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", t_dir, node);
		fd = open(path, operation == F_WRLCK ? O_RDWR : O_RDONLY);
		if (fd < 0 || flock(fd, operation == F_WRLCK ? LOCK_EX : LOCK_SH))
			_exit(1);
		close(done[1]);
		_exit(write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) < 0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(done[0]);
	*ret_pipe = done[1];
	return pid;
}

static void open_in_another_process(void **state)
{
	int pipe_fd, status;
	pid_t pid = holder("dev/vfio/2", F_WRLCK, &pipe_fd);
	char expected[32];
	int ret;

	(void)state;
	ret = t_open("vfio/2");
	assert_int_equal(ret, -EBUSY);
	snprintf(expected, sizeof(expected), "process %d (", pid);
	assert_non_null(strstr(explain_take(), expected));
	close(pipe_fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	t_close((int)t_works(t_open("vfio/2")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(container_alone, t_close_all),
		cmocka_unit_test_teardown(containers_are_separate, t_close_all),
		cmocka_unit_test_teardown(group_opens_once, t_close_all),
		cmocka_unit_test_teardown(group_status, t_close_all),
		cmocka_unit_test_teardown(set_and_unset_container, t_close_all),
		cmocka_unit_test_teardown(set_iommu, t_close_all),
		cmocka_unit_test_teardown(group_not_viable, t_close_all),
		cmocka_unit_test_teardown(backends_are_tried_in_turn, t_close_all),
		cmocka_unit_test_teardown(group_without_iommu, t_close_all),
		cmocka_unit_test_teardown(get_device_fd, t_close_all),
		cmocka_unit_test_teardown(open_device_may_fail, t_close_all),
		cmocka_unit_test_teardown(lifetimes_of_linux, t_close_all),
		cmocka_unit_test_teardown(close_in_every_order, t_close_all),
		cmocka_unit_test_teardown(files_know_their_group, t_close_all),
		cmocka_unit_test_teardown(open_in_another_process, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
