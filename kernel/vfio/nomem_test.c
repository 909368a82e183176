/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nomem_test.c - each allocation of a whole session fails in turn.
 *
 * A session opens, maps, asks and closes; the n-th allocation in it fails, for n = 1, 2, ... until a session needs
 * fewer.  A call that fails says ENOMEM, or what it says for want of what an earlier call did not bring,
 * and gives a reason; afterwards nothing is left: the next session begins from the start, and a leak
 * checker finds nothing.
 */
#include "kernel/lib/nomem_test.h"
#include "kernel/vfio/vfio_test.h"

/* A call may fail with ENOMEM; never without a reason. */
static bool went(long ret)
{
	if (ret >= 0)
		return true;
	assert_non_null(explain_take());
	if (ret != -ENOMEM)
		fprintf(stderr, "%ld: %s\n", ret, explain_take());
	assert_int_equal(ret, -ENOMEM);
	return false;
}

static void use_device(int g)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int d = (int)t_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "fake0");

	if (!went(d))
		return;
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_close(d);
}

static void use_container(int c, char *mem)
{
	struct {
		struct vfio_iommu_type1_info info;
		char chain[512];
	} info = { .info.argsz = sizeof(info) };

	went(t_ioctl(c, VFIO_IOMMU_GET_INFO, &info));
	if (went(t_map(c, 3, mem, 0x100000, 4 * PAGE_SIZE)))
		t_works(t_unmap(c, 0, 0x100000, 4 * PAGE_SIZE));
	went(t_map(c, 3, mem, 1ull << 40, PAGE_SIZE)); /* beyond the first table's reach; closing takes it away */
}

static void join(int c, int g, int g2, char *mem)
{
	if (!went(t_set_container(g, c)))
		return;
	if (went(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))) {
		use_container(c, mem);
		went(t_set_container(g2, c));
		use_device(g);
	}
}

static void session(char *mem)
{
	int c = t_open("vfio/vfio"), g, g2;

	if (!went(c))
		return;
	g = t_open("vfio/2");
	if (went(g)) {
		g2 = t_open("vfio/5");
		if (went(g2)) {
			join(c, g, g2, mem);
			t_close(g2);
		}
		t_close(g);
	}
	t_close(c);
}

/* By the device's own node. */
static void bound_session(char *mem)
{
	int i = t_open("iommu"), d;
	long as;

	(void)mem;
	if (!went(i))
		return;
	d = t_open(t_dev[FAKE0].vdev.node);
	if (went(d)) {
		as = t_ioas(i);
		if (went(as) && went(t_bind(d, i)) && went(t_attach(d, (u32)as)))
			t_works(t_detach(d));
		t_close(d);
	}
	t_close(i);
}

/* By its group, with an iommufd in the place of the container. */
static void compat_session(char *mem)
{
	int i = t_open("iommu"), g;

	(void)mem;
	if (!went(i))
		return;
	g = t_open("vfio/2");
	if (went(g)) {
		if (went(t_set_container(g, i)))
			use_device(g);
		t_close(g);
	}
	t_close(i);
}

static void each_allocation(void (*session)(char *mem))
{
	char *mem = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long n = 0;
	bool failed;

	do {
		nomem_begin((u32)++n);
		session(mem);
		failed = nomem_end();
		assert_int_equal(t_dev[FAKE0].opened, t_dev[FAKE0].closed);
		assert_false(vfio_device_in_use(&t_dev[FAKE0].vdev));
	} while (failed);
	print_message("%ld allocations in a session\n", n - 1);
	assert_true(n > 10);
	session(mem);
	munmap(mem, 4 * PAGE_SIZE);
}

static void each_allocation_of_a_session(void **state)
{
	(void)state;
	each_allocation(session);
	each_allocation(bound_session);
	each_allocation(compat_session);
}

static void each_allocation_of_a_bind(void **state)
{
	struct fake_device *fake = &t_dev[FAKE2];
	long n = 0, ret;
	bool failed;

	(void)state;
	kernfs_lock();
	device_driver_detach(&fake->dev);
	do {
		nomem_begin((u32)++n);
		explain_begin();
		ret = device_driver_attach(&fake_driver, &fake->dev);
		failed = nomem_end();
		went(ret);
		assert_true(failed || !ret);
		if (!ret && failed) /* it could do without */
			device_driver_detach(&fake->dev);
		else if (ret)
			assert_false(kernfs_exists("dev/vfio/5"));
	} while (failed);
	kernfs_unlock();
	t_close((int)t_works(t_open("vfio/5")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_allocation_of_a_session, t_close_all),
		cmocka_unit_test_teardown(each_allocation_of_a_bind, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
