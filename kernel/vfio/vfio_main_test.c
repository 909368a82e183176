/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_main_test.c - devices register and leave, what /sys shows, features, helpers for info calls. */
#include "kernel/vfio/vfio_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- /sys ---- */

static void assert_text(const char *path, const char *want)
{
	char buf[256];
	ssize_t len = kernfs_read(path, buf, sizeof(buf) - 1);

	if (len < 0)
		fprintf(stderr, "%s: %zd\n", path, len);
	assert_true(len >= 0);
	buf[len] = 0;
	assert_string_equal(buf, want);
}

static void assert_link(const char *path, const char *want)
{
	char full[256], buf[256];
	ssize_t len;

	snprintf(full, sizeof(full), "%s/%s", t_dir, path);
	len = readlink(full, buf, sizeof(buf) - 1);
	assert_true(len > 0);
	buf[len] = 0;
	assert_string_equal(buf, want);
}

static void sysfs_of_a_machine(void **state)
{
	(void)state;
	assert_text("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	assert_text("sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "65535\n");
	assert_text("sys/module/vfio_pci/parameters/disable_idle_d3", "N\n");
	assert_link("sys/class/misc/vfio", "../../devices/virtual/misc/vfio");
	assert_text("sys/class/misc/vfio/dev", "10:196\n");
	assert_link("sys/class/vfio/2", "../../devices/virtual/vfio/2");
	assert_text("sys/class/vfio/2/uevent", "MAJOR=511\nMINOR=2\nDEVNAME=vfio/2\n");
	assert_text("sys/class/vfio/5/dev", "511:5\n");
	assert_link("sys/devices/virtual/vfio/2/subsystem", "../../../../class/vfio");
	assert_link("sys/class/vfio-dev/vfio0", "../../devices/fake/fake0/vfio-dev/vfio0");
	assert_text("sys/devices/fake/fake0/vfio-dev/vfio0/dev", "510:0\n");
	assert_text("sys/devices/fake/fake0/vfio-dev/vfio0/uevent",
		    "MAJOR=510\nMINOR=0\nDEVNAME=vfio/devices/vfio0\n");
	assert_link("sys/devices/fake/fake0/vfio-dev/vfio0/device", "../../../fake0");
	assert_link("sys/devices/fake/fake0/vfio-dev/vfio0/subsystem", "../../../../../class/vfio-dev");
	assert_true(kernfs_exists("dev/vfio/vfio"));
	assert_true(kernfs_exists("dev/vfio/2"));
	assert_false(kernfs_exists("dev/vfio/7"));
	assert_false(kernfs_exists("sys/devices/fake/host0/vfio-dev"));
}

static long store(const char *path, const char *text)
{
	struct file *file;
	u64 pos = 0;
	long ret;

	explain_begin();
	file = kernfs_open_attr(path, O_WRONLY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	assert_non_null(file);
	ret = file->f_op->write(file, text, strlen(text), &pos);
	fput(file);
	return ret;
}

static void parameters_are_checked(void **state)
{
	static const char limit[] = "sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
	static const char unsafe[] = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";

	(void)state;
	assert_int_equal(store(limit, "10\n"), 3);
	assert_text(limit, "10\n");
	t_fails(store(limit, "ten\n"), EINVAL);
	t_fails(store(limit, "4294967296\n"), EINVAL);
	assert_text(limit, "10\n");
	assert_int_equal(store(limit, "65535\n"), 6);
	assert_int_equal(store(unsafe, "1\n"), 2);
	assert_text(unsafe, "Y\n");
	t_fails(store(unsafe, "perhaps\n"), EINVAL);
	assert_int_equal(store(unsafe, "n\n"), 2);
	assert_text(unsafe, "N\n");
	t_fails(store("sys/module/vfio_pci/parameters/disable_vga", "Y\n"), EACCES);
}

/* ---- registration ---- */

static void unbind(struct fake_device *fake)
{
	kernfs_lock();
	device_driver_detach(&fake->dev);
	kernfs_unlock();
}

static int bind_fake(struct fake_device *fake)
{
	int ret;

	explain_begin();
	kernfs_lock();
	ret = device_driver_attach(&fake_driver, &fake->dev);
	kernfs_unlock();
	return ret;
}

static void no_group_no_vfio(void **state)
{
	struct vfio_device vdev = { 0 };

	(void)state;
	assert_false(t_dev[BARE0].bound);
	explain_begin();
	kernfs_lock();
	t_fails(vfio_register_group_dev(&vdev, &t_dev[BARE0].dev, &fake_vfio_ops, NULL), EINVAL);
	t_fails(vfio_register_group_dev(&vdev, &t_dev[FAKE0].dev, &fake_vfio_ops, NULL), EBUSY);
	kernfs_unlock();
}

static void nodes_come_and_go(void **state)
{
	(void)state;
	unbind(&t_dev[FAKE0]);
	assert_true(kernfs_exists("dev/vfio/2")); /* fake1 is still there */
	assert_false(kernfs_exists("sys/devices/fake/fake0/vfio-dev"));
	assert_false(kernfs_exists("sys/class/vfio-dev/vfio0"));
	unbind(&t_dev[FAKE1]);
	assert_false(kernfs_exists("dev/vfio/2"));
	assert_false(kernfs_exists("sys/class/vfio/2"));
	assert_false(kernfs_exists("sys/devices/virtual/vfio/2"));
	t_fails(t_open("vfio/2"), ENOENT);
	t_works(bind_fake(&t_dev[FAKE0]));
	t_works(bind_fake(&t_dev[FAKE1]));
	assert_true(kernfs_exists("sys/class/vfio-dev/vfio0"));
	t_close((int)t_works(t_open("vfio/2")));
}

static void sets_and_locks(void **state)
{
	struct vfio_device *vdev = &t_dev[FAKE0].vdev;

	(void)state;
	assert_ptr_equal(vfio_device_set_lock(vdev), vfio_device_set_lock(&t_dev[FAKE2].vdev));
}

/* ---- unbinding while programs use the group ---- */

static void zombie_group(void **state)
{
	struct t_ctx x = t_setup("vfio/5", VFIO_TYPE1v2_IOMMU);
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int again;

	(void)state;
	unbind(&t_dev[FAKE2]); /* no device is open: at once */
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_STATUS, &status), ENODEV);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake2"), ENODEV);
	t_fails(t_ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER, NULL), EINVAL);
	t_fails(t_set_container(x.g, x.c), ENODEV);
	t_fails(t_map(x.c, 3, NULL, 0, PAGE_SIZE), EINVAL);
	t_fails(t_ioctl_n(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	t_works(bind_fake(&t_dev[FAKE2]));
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_STATUS, &status), ENODEV);
	again = (int)t_works(t_open("vfio/5")); /* the zombie does not stand in its way */
	t_works(t_ioctl(again, VFIO_GROUP_GET_STATUS, &status));
	t_close(x.g);
	t_works(t_ioctl(again, VFIO_GROUP_GET_STATUS, &status));
	t_close(again);
	t_close(x.c);
}

static atomic_bool unbound;

static void *unbind_thread(void *arg)
{
	unbind(arg);
	atomic_store(&unbound, true);
	return NULL;
}

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void wait_until_asked(struct fake_device *fake)
{
	for (unsigned i = 0; i < 5000 && !atomic_load(&fake->requested); i++)
		sleep_ms(1);
	assert_true(atomic_load(&fake->requested) > 0);
}

static void unbind_waits_for_the_device(void **state)
{
	struct t_ctx x = t_setup("vfio/5", VFIO_TYPE1v2_IOMMU);
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int d = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake2"));
	pthread_t thread;

	(void)state;
	assert_true(vfio_device_in_use(&t_dev[FAKE2].vdev));
	atomic_store(&t_dev[FAKE2].requested, 0);
	atomic_store(&unbound, false);
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &t_dev[FAKE2]), 0);
	wait_until_asked(&t_dev[FAKE2]);
	t_works(t_ioctl(x.g, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(status.flags, 3);
	t_works(t_ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	t_close(x.g);
	t_fails(t_open("vfio/5"), EBUSY);
	assert_false(atomic_load(&unbound));
	sleep_ms(1100);
	assert_true(atomic_load(&t_dev[FAKE2].requested) >= 2); /* asked again after a second */
	t_close(d);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&unbound));
	assert_int_equal(t_dev[FAKE2].opened, t_dev[FAKE2].closed);
	t_fails(t_open("vfio/5"), ENOENT);
	t_close(x.c);
	t_works(bind_fake(&t_dev[FAKE2]));
}

static void no_new_opens_while_unbinding(void **state)
{
	struct t_ctx x = t_setup("vfio/5", VFIO_TYPE1v2_IOMMU);
	int d = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake2"));
	struct vfio_device *vdev = &t_dev[FAKE2].vdev;

	(void)state;
	/* The flag alone: during a real unbind the tree lock is held, for which GET_DEVICE_FD may wait. */
	vdev->unregistering = true;
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake2"), ENODEV);
	vdev->unregistering = false;
	t_close(d);
	t_teardown(x);
}

static void unbind_waits_for_other_processes(void **state)
{
	int pipe_fds[2], go[2], status;
	char path[128], c;
	pthread_t thread;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s/sys/devices/fake/fake2/vfio-dev/vfio%u/dev", t_dir,
		 t_dev[FAKE2].vdev.index);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDONLY);

		close(go[1]);
		if (fd < 0 || flock(fd, LOCK_SH) || write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		_exit(read(go[0], &c, 1) < 0);
	}
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	atomic_store(&unbound, false);
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &t_dev[FAKE2]), 0);
	sleep_ms(200);
	assert_false(atomic_load(&unbound));
	close(go[0]);
	close(go[1]);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&unbound));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	t_works(bind_fake(&t_dev[FAKE2]));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* ---- the device's descriptor ---- */

static void device_file(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	int d = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0"));
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct file *file = fget(d);
	char buf[128], byte;
	u64 pos = 0;

	(void)state;
	guard_install();
	assert_string_equal(file->path, "anon_inode:[vfio-device]");
	assert_int_equal(file->f_flags & O_ACCMODE, O_RDWR);
	assert_int_equal(file->mode, 0600);
	assert_int_equal(file->rdev, 0);
	assert_true(file->f_op->fdinfo(file, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "vfio-device-syspath: /sys/devices/fake/fake0\n");
	explain_begin();
	t_fails(file->f_op->read(file, &byte, 1, &pos), EINVAL);
	t_fails(file->f_op->write(file, &byte, 1, &pos), EINVAL);
	t_fails(file->f_op->mmap(file, NULL, 0), EINVAL);
	fput(file);
	t_fails(t_ioctl(d, VFIO_DEVICE_GET_INFO, T_BAD), EFAULT);
	t_fails(t_ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), ENOTTY);
	t_fails(t_ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bind), EINVAL);
	t_fails(t_ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), ENOTTY);
	t_close(d);
	t_teardown(x);
}

static long feature(int d, u32 argsz, u32 flags)
{
	struct vfio_device_feature feature = { .argsz = argsz, .flags = flags };

	return t_ioctl(d, VFIO_DEVICE_FEATURE, &feature);
}

static void features(void **state)
{
	const u32 probe = VFIO_DEVICE_FEATURE_PROBE, get = VFIO_DEVICE_FEATURE_GET,
		  set = VFIO_DEVICE_FEATURE_SET;
	static const u32 of_migration[] = { 1, 2, 6, 7, 8, 9 };
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	int d = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0"));

	(void)state;
	guard_install();
	t_fails(feature(d, 4, 3 | probe), EINVAL);
	t_fails(feature(d, 7, 3 | probe), EINVAL);
	t_fails(t_ioctl(d, VFIO_DEVICE_FEATURE, T_BAD), EFAULT);
	t_fails(feature(d, 8, 3), EINVAL);
	t_fails(feature(d, 8, 3 | get | set), EINVAL);
	t_fails(feature(d, 8, 3 | probe | 1 << 20), EINVAL);
	t_fails(feature(d, 8, 999 | probe), ENOTTY);
	t_fails(feature(d, 8, 0xffff), ENOTTY);
	for (unsigned i = 0; i < ARRAY_SIZE(of_migration); i++) {
		t_fails(feature(d, 8, of_migration[i]), ENOTTY);
		t_fails(feature(d, 8, of_migration[i] | probe), ENOTTY);
		t_fails(feature(d, 8, of_migration[i] | get), ENOTTY);
		t_fails(feature(d, 8, of_migration[i] | probe | get | set), ENOTTY);
	}
	t_fails(feature(d, 8, 12 | probe), EINVAL);
	t_fails(feature(d, 8, 12 | set), EINVAL);
	t_works(feature(d, 8, 3 | probe));
	t_works(feature(d, 8, 3 | probe | set));
	t_works(feature(d, 8, 3 | set));
	t_fails(feature(d, 8, 3 | probe | get), EINVAL);
	t_fails(feature(d, 8, 3 | probe | get | set), EINVAL);
	t_close(d);
	t_teardown(x);
}

static void check_feature_alone(void **state)
{
	const u32 probe = VFIO_DEVICE_FEATURE_PROBE, get = VFIO_DEVICE_FEATURE_GET;

	(void)state;
	explain_begin();
	assert_int_equal(vfio_check_feature(get | 5, 16, get, 16), 1);
	assert_int_equal(vfio_check_feature(probe | 5, 0, get, 16), 0);
	t_fails(vfio_check_feature(get | 5, 15, get, 16), EINVAL);
	t_fails(vfio_check_feature(5, 16, get, 16), EINVAL);
}

/* ---- helpers ---- */

static void set_irqs_header(void **state)
{
	const u32 none = VFIO_IRQ_SET_DATA_NONE, bools = VFIO_IRQ_SET_DATA_BOOL,
		  evfd = VFIO_IRQ_SET_DATA_EVENTFD;
	const u32 trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
	size_t size;

#define PREPARE(argsz_, flags_, index_, start_, count_, num)                                                 \
	vfio_set_irqs_validate_and_prepare(&(struct vfio_irq_set){ .argsz = (argsz_),                        \
								   .flags = (flags_),                        \
								   .index = (index_),                        \
								   .start = (start_),                        \
								   .count = (count_) },                      \
					   (num), 5, &size)
	(void)state;
	explain_begin();
	t_fails(PREPARE(16, none | trigger, 0, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, 0, 0, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, trigger, 0, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, none | bools | trigger, 0, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, none | trigger | 64, 0, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, none | trigger, 5, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, none | trigger, 2, 0, 0, 0), EINVAL);
	t_fails(PREPARE(20, none | trigger, 0, 1, 1, 1), EINVAL);
	t_fails(PREPARE(20, none | trigger, 0, ~0u, 1, 1), EINVAL);
	t_fails(PREPARE(20, none | trigger, 0, 0, 2, 1), EINVAL);
	t_fails(PREPARE(20, none | trigger, 0, 0, ~0u, 1), EINVAL);
	t_fails(PREPARE(23, evfd | trigger, 0, 0, 1, 1), EINVAL);
	t_fails(PREPARE(20, bools | trigger, 0, 0, 1, 1), EINVAL);
	assert_int_equal(PREPARE(20, none | trigger, 0, 0, 1, 1), 0);
	assert_int_equal(size, 0);
	assert_int_equal(PREPARE(20, evfd | trigger, 0, 0, 0, 1), 0);
	assert_int_equal(size, 0);
	assert_int_equal(PREPARE(24, evfd | trigger, 0, 0, 1, 1), 0);
	assert_int_equal(size, 4);
	assert_int_equal(PREPARE(26, bools | trigger, 2, 3, 6, 9), 0);
	assert_int_equal(size, 6);
#undef PREPARE
}

struct test_cap {
	struct vfio_info_cap_header header;
	u32 value;
};

static void info_chain(void **state)
{
	struct test_cap one = { { .id = 7, .version = 1, .next = 99 }, 11 },
			two = { { .id = 8, .version = 2 }, 22 };
	struct {
		struct vfio_region_info info;
		char rest[64];
	} out, info = { .info.argsz = 0 };
	struct vfio_info_cap caps = { 0 };
	struct test_cap *first, *second;
	int ret;

	(void)state;
	guard_install();
	explain_begin();
	assert_int_equal(vfio_info_add_capability(&caps, &one.header, sizeof(one)), 0);
	assert_int_equal(vfio_info_add_capability(&caps, &two.header, sizeof(two)), 0);
	assert_int_equal(caps.size, 32); /* each rounded up to 8 */
	memset(&out, 0xee, sizeof(out));
	ret = vfio_info_cap_finish(&out, &info, 32, 64, &info.info.argsz, &info.info.cap_offset, &caps);
	assert_int_equal(ret, 0);
	assert_null(caps.buf);
	assert_int_equal(out.info.cap_offset, 32);
	first = (void *)((char *)&out + 32);
	assert_int_equal(first->header.id, 7);
	assert_int_equal(first->header.next, 48);
	second = (void *)((char *)&out + 48);
	assert_int_equal(second->header.id, 8);
	assert_int_equal(second->header.next, 0);
	assert_int_equal(second->value, 22);

	/* No room: what is needed, and nothing behind the structure. */
	assert_int_equal(vfio_info_add_capability(&caps, &one.header, sizeof(one)), 0);
	memset(&out, 0xee, sizeof(out));
	ret = vfio_info_cap_finish(&out, &info, 32, 47, &info.info.argsz, &info.info.cap_offset, &caps);
	assert_int_equal(ret, 0);
	assert_int_equal(out.info.argsz, 48);
	assert_int_equal(out.info.cap_offset, 0);
	assert_int_equal((u8)out.rest[0], 0xee);

	assert_int_equal(vfio_info_add_capability(&caps, &one.header, sizeof(one)), 0);
	t_fails(vfio_info_cap_finish(T_BAD, &info, 32, 64, &info.info.argsz, &info.info.cap_offset, &caps),
		EFAULT);
	assert_null(caps.buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sysfs_of_a_machine, t_close_all),
		cmocka_unit_test_teardown(parameters_are_checked, t_close_all),
		cmocka_unit_test_teardown(no_group_no_vfio, t_close_all),
		cmocka_unit_test_teardown(nodes_come_and_go, t_close_all),
		cmocka_unit_test_teardown(sets_and_locks, t_close_all),
		cmocka_unit_test_teardown(zombie_group, t_close_all),
		cmocka_unit_test_teardown(unbind_waits_for_the_device, t_close_all),
		cmocka_unit_test_teardown(no_new_opens_while_unbinding, t_close_all),
		cmocka_unit_test_teardown(unbind_waits_for_other_processes, t_close_all),
		cmocka_unit_test_teardown(device_file, t_close_all),
		cmocka_unit_test_teardown(features, t_close_all),
		cmocka_unit_test_teardown(check_feature_alone, t_close_all),
		cmocka_unit_test_teardown(set_irqs_header, t_close_all),
		cmocka_unit_test_teardown(info_chain, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
