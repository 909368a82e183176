/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_test.c - binding through attributes, with Linux's errnos, in one process and across two.
 *
 * The bus of this test matches a device and a driver whose names begin with the same letter.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/base/device.h"
#include "kernel/fs/attr_test.h"

static char dir[64];
static int probes, removes, probe_result, dma_result, dma_balance;
static bool busy;
static const char *removed_name;

static int match(struct device *dev, struct device_driver *drv)
{
	if (dev->driver_override)
		return !strcmp(dev->driver_override, drv->name);
	return dev->name[0] == drv->name[0];
}

static int dma_configure(struct device *dev, struct device_driver *drv)
{
	if (!dma_result)
		dma_balance++;
	return dma_result;
}

static void dma_cleanup(struct device *dev, struct device_driver *drv)
{
	dma_balance--;
}

static int uevent(struct device *dev, char *buf, size_t size)
{
	return snprintf(buf, size, "NAME=%s\n", dev->name);
}

static int probe(struct device *dev)
{
	assert_non_null(dev->driver);
	probes++;
	if (!probe_result)
		kernfs_create_file("dev/made-by-probe", 0666, NULL, 0, NULL, NULL);
	return probe_result;
}

static void remove_dev(struct device *dev)
{
	removes++;
	removed_name = dev->driver->name;
	kernfs_remove("dev/made-by-probe");
}

static bool in_use(struct device *dev)
{
	return busy;
}

static struct bus_type bus = {
	.name = "test",
	.match = match,
	.dma_configure = dma_configure,
	.dma_cleanup = dma_cleanup,
	.uevent = uevent,
};
static struct device_driver a_drv = {
	.name = "apple", .bus = &bus, .probe = probe, .remove = remove_dev, .in_use = in_use};
static struct device_driver b_drv = {
	.name = "banana", .bus = &bus, .probe = probe, .remove = remove_dev, .mod_name = "fruit"};
static struct device a0 = {.name = "a0", .path = "sys/devices/x/a0", .bus = &bus};
static struct device a1 = {.name = "a1", .path = "sys/devices/x/a1", .bus = &bus};
static struct device b0 = {.name = "b0", .path = "sys/devices/x/b0", .bus = &bus};

static void build(void)
{
	kernfs_lock();
	assert_int_equal(bus_register(&bus), 0);
	assert_int_equal(device_register(&a0, false), 0);
	assert_int_equal(device_register(&a1, false), 0);
	assert_int_equal(driver_register(&a_drv), 0);
	assert_int_equal(driver_register(&b_drv), 0);
	assert_int_equal(device_register(&b0, true), 0);
	kernfs_unlock();
}

static void forget(void)
{
	kernfs_close();
	kernfs_lock();
	driver_unregister(&a_drv);
	driver_unregister(&b_drv);
	device_unregister(&a0);
	device_unregister(&a1);
	device_unregister(&b0);
	bus_unregister(&bus);
	kernfs_unlock();
}

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/device_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	probes = removes = probe_result = dma_result = dma_balance = 0;
	busy = false;
	assert_int_equal(kernfs_open(dir, true), 0);
	build();
	kernfs_created();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	forget();
	assert_int_equal(dma_balance, 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

#define BIND_A "sys/bus/test/drivers/apple/bind"
#define UNBIND_A "sys/bus/test/drivers/apple/unbind"
#define BIND_B "sys/bus/test/drivers/banana/bind"
#define UNBIND_B "sys/bus/test/drivers/banana/unbind"
#define PROBE "sys/bus/test/drivers_probe"

static void test_tree(void **state)
{
	must_link("sys/bus/test/devices/a0", "../../../devices/x/a0");
	must_link("sys/devices/x/a0/subsystem", "../../../bus/test");
	must_link("sys/devices/x/a0/driver", "../../../bus/test/drivers/apple");
	must_link("sys/bus/test/drivers/apple/a0", "../../../../devices/x/a0");
	must_link("sys/bus/test/drivers/banana/module", "../../../../module/fruit");
	must_contain("sys/devices/x/a0/uevent", "DRIVER=apple\nNAME=a0\n");
	must_contain("sys/devices/x/b0/uevent", "NAME=b0\n");
	must_contain("sys/devices/x/a0/driver_override", "(null)\n");
	must_contain("sys/devices/x/a0/power/control", "on\n");
	must_contain("sys/bus/test/drivers_autoprobe", "1\n");
	assert_false(kernfs_exists("sys/bus/test/rescan")); /* this bus cannot */
	assert_ptr_equal(a0.driver, &a_drv);
	assert_null(b0.driver); /* no_probe */
	assert_int_equal(probes, 2);
	assert_ptr_equal(bus_find_device(&bus, "a1"), &a1);
	assert_null(bus_find_device(&bus, "a2"));
	assert_ptr_equal(bus_find_driver(&bus, "banana"), &b_drv);
	assert_null(bus_find_driver(&bus, "cherry"));
}

static void test_bind_errnos(void **state)
{
	must_fail("none", BIND_A, -ENODEV);
	must_fail("garbage\nmore", BIND_A, -ENODEV);
	must_fail("\n", BIND_A, -ENODEV);
	must_fail("a0", BIND_A, -EBUSY);
	must_fail("a0", BIND_B, -ENODEV); /* no match comes before busy */
	must_echo("b0\n", BIND_B);
	assert_ptr_equal(b0.driver, &b_drv);
	must_fail("b0\n", BIND_B, -EBUSY);
	assert_int_equal(PTR_ERR(kernfs_open_attr(BIND_A, O_RDONLY)), -EACCES);
}

static void test_unbind(void **state)
{
	u64 before = kernfs_generation();

	must_fail("none", UNBIND_A, -ENODEV);
	must_fail("b0", UNBIND_B, -ENODEV); /* has none */
	must_fail("a0", UNBIND_B, -ENODEV); /* is another's */
	assert_int_equal(kernfs_generation(), before);
	must_echo("a0\n", UNBIND_A);
	assert_true(kernfs_generation() > before);
	assert_null(a0.driver);
	assert_int_equal(removes, 1);
	assert_string_equal(removed_name, "apple");
	assert_false(kernfs_exists("sys/devices/x/a0/driver"));
	assert_false(kernfs_exists("sys/bus/test/drivers/apple/a0"));
	must_contain("sys/devices/x/a0/uevent", "NAME=a0\n");
	must_fail("a0\n", UNBIND_A, -ENODEV);
	must_echo("a0", BIND_A);
	must_contain("sys/devices/x/a0/uevent", "DRIVER=apple\nNAME=a0\n");
}

static void test_probe_fails(void **state)
{
	must_echo("a0", UNBIND_A);
	probe_result = -EINVAL;
	must_fail("a0", BIND_A, -EINVAL);
	assert_null(a0.driver);
	assert_false(kernfs_exists("sys/devices/x/a0/driver"));
	must_echo("a0", PROBE); /* a probe that fails is no error of drivers_probe */
	assert_null(a0.driver);
	probe_result = 0;
	dma_result = -EBUSY;
	must_fail("a0", BIND_A, -EBUSY);
	assert_null(a0.driver);
	dma_result = 0;
	must_echo("a0", BIND_A);
}

static void test_drivers_probe(void **state)
{
	must_fail("none", PROBE, -ENODEV);
	must_echo("a0", PROBE); /* bound already */
	must_echo("b0\n", PROBE);
	assert_ptr_equal(b0.driver, &b_drv);
	must_echo("b0", UNBIND_B);
	must_echo("x", "sys/devices/x/b0/driver_override");
	must_echo("b0", PROBE); /* nobody wants it: not an error */
	assert_null(b0.driver);
}

static void test_override(void **state)
{
	static char big[4999];

	must_echo("apple\n", "sys/devices/x/b0/driver_override");
	must_contain("sys/devices/x/b0/driver_override", "apple\n");
	must_fail("b0", BIND_B, -ENODEV);
	must_echo("b0", BIND_A);
	must_echo("\n", "sys/devices/x/b0/driver_override");
	must_contain("sys/devices/x/b0/driver_override", "(null)\n");
	assert_ptr_equal(b0.driver, &a_drv); /* stays */
	memset(big, 'a', 4095);
	must_fail(big, "sys/devices/x/b0/driver_override", -EINVAL);
	big[4094] = '\0';
	must_echo(big, "sys/devices/x/b0/driver_override");
	big[4094] = 'a';
	memset(big, 'a', 4998);
	must_fail(big, "sys/devices/x/b0/driver_override", -EINVAL);
	must_echo("\n", "sys/devices/x/b0/driver_override");
}

static void test_small_attrs(void **state)
{
	must_echo("0", "sys/bus/test/drivers_autoprobe");
	must_contain("sys/bus/test/drivers_autoprobe", "0\n");
	must_echo("x", "sys/bus/test/drivers_autoprobe");
	must_contain("sys/bus/test/drivers_autoprobe", "1\n");
	must_echo("add", "sys/devices/x/a0/uevent");
	must_fail("zonk", "sys/devices/x/a0/uevent", -EINVAL);
	must_fail("x", "sys/bus/test/drivers/apple/uevent", -EINVAL);
	must_echo("change\n", "sys/bus/test/uevent");
	must_echo("auto\n", "sys/devices/x/a0/power/control");
	must_contain("sys/devices/x/a0/power/control", "auto\n");
	must_fail("x", "sys/devices/x/a0/power/control", -EINVAL);
}

static void test_autoprobe_off(void **state)
{
	struct device a2 = {.name = "a2", .path = "sys/devices/x/a2", .bus = &bus};

	must_echo("0", "sys/bus/test/drivers_autoprobe");
	kernfs_lock();
	assert_int_equal(device_register(&a2, false), 0);
	assert_null(a2.driver);
	device_unregister(&a2);
	must_contain("sys/bus/test/drivers_autoprobe", "0\n");
	assert_int_equal(kernfs_write("sys/bus/test/drivers_autoprobe", "1\n", 2), 0);
	assert_int_equal(device_register(&a2, false), 0);
	assert_ptr_equal(a2.driver, &a_drv);
	device_unregister(&a2);
	kernfs_unlock();
	assert_false(kernfs_exists("sys/devices/x/a2"));
	assert_false(kernfs_exists("sys/bus/test/devices/a2"));
	assert_false(kernfs_exists("sys/bus/test/drivers/apple/a2"));
}

static void test_driver_twice(void **state)
{
	struct device_driver twin = {.name = "apple", .bus = &bus};

	kernfs_lock();
	assert_int_equal(driver_register(&twin), -EBUSY);
	assert_int_equal(device_driver_attach(&a_drv, &b0), -ENODEV);
	assert_int_equal(device_driver_attach(&a_drv, &a0), -EBUSY);
	kernfs_unlock();
	assert_true(kernfs_exists(BIND_A));
}

static void test_parse(void **state)
{
	unsigned long u;
	long l;
	bool b;

	assert_int_equal(parse_ulong("12\n", &u), 0);
	assert_int_equal(u, 12);
	assert_int_equal(parse_ulong("0x1f", &u), 0);
	assert_int_equal(u, 31);
	assert_int_equal(parse_ulong("", &u), -EINVAL);
	assert_int_equal(parse_ulong("-1", &u), -EINVAL);
	assert_int_equal(parse_ulong(" 1", &u), -EINVAL);
	assert_int_equal(parse_ulong("1 ", &u), -EINVAL);
	assert_int_equal(parse_ulong("1\n\n", &u), -EINVAL);
	assert_int_equal(parse_ulong("99999999999999999999", &u), -ERANGE);
	assert_int_equal(parse_long("-1\n", &l), 0);
	assert_int_equal(l, -1);
	assert_int_equal(parse_long("--1", &l), -EINVAL);
	assert_int_equal(parse_long("9223372036854775808", &l), -ERANGE);
	assert_int_equal(parse_bool("Y\n", &b), 0);
	assert_true(b);
	assert_int_equal(parse_bool("off", &b), 0);
	assert_false(b);
	assert_int_equal(parse_bool("ox", &b), -EINVAL);
	assert_int_equal(parse_bool("", &b), -EINVAL);
}

/* ---- two processes ------------------------------------------------------------------------- */

/* What another process does to the tree: it inherits our memory, as a shell that attached would have. */
static void elsewhere(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void unbind_a0(void)
{
	if (echo("a0", UNBIND_A) != 2)
		_exit(1);
}

static void rebind_a0_to_banana(void)
{
	if (echo("a0", UNBIND_A) != 2 || echo("banana", "sys/devices/x/a0/driver_override") != 6 ||
	    echo("a0", BIND_B) != 2)
		_exit(1);
}

static void test_follow_unbind(void **state)
{
	device_sync();
	elsewhere(unbind_a0);
	assert_ptr_equal(a0.driver, &a_drv); /* not looked yet */
	device_sync();
	assert_null(a0.driver);
	assert_int_equal(removes, 1);
	device_sync();
	assert_int_equal(removes, 1);
	must_fail("a0", UNBIND_A, -ENODEV);
}

static void test_follow_rebind(void **state)
{
	device_sync();
	probes = 0;
	elsewhere(rebind_a0_to_banana);
	/* a store looks first, by itself */
	must_fail("a0", BIND_B, -EBUSY);
	assert_ptr_equal(a0.driver, &b_drv);
	assert_string_equal(a0.driver_override, "banana");
	assert_int_equal(probes, 1);
	assert_int_equal(removes, 1);
	/* our remove() ran while following: the other process made that node, and it stays */
	assert_true(kernfs_exists("dev/made-by-probe"));
	assert_true(kernfs_exists("sys/devices/x/a0/driver"));
}

static void test_follow_later_if_in_use(void **state)
{
	device_sync();
	busy = true;
	elsewhere(unbind_a0);
	device_sync();
	assert_ptr_equal(a0.driver, &a_drv);
	assert_int_equal(removes, 0);
	busy = false;
	device_sync();
	assert_null(a0.driver);
	assert_int_equal(removes, 1);
}

/* The program that starts after the shell has ended. */
static void test_attach_later(void **state)
{
	elsewhere(rebind_a0_to_banana);
	forget();
	probes = removes = 0;
	assert_int_equal(kernfs_open(dir, false), 0);
	build();
	assert_ptr_equal(a0.driver, &b_drv);
	assert_ptr_equal(a1.driver, &a_drv);
	assert_null(b0.driver);
	assert_string_equal(a0.driver_override, "banana");
	assert_int_equal(probes, 2);
	must_fail("a0", BIND_B, -EBUSY);
	must_echo("a0", UNBIND_B);
	assert_null(a0.driver);
}

/* Two that bind the same device at once: one wins. */
static void *binder(void *arg)
{
	return (void *)echo("b0", BIND_B);
}

static void test_two_binders(void **state)
{
	for (int round = 0; round < 50; round++) {
		pthread_t threads[2];
		void *ret[2];

		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, binder, NULL), 0);
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_join(threads[i], &ret[i]), 0);
		assert_int_equal((long)ret[0] + (long)ret[1], 2 - EBUSY);
		must_echo("b0", UNBIND_B);
	}
}

static void test_class(void **state)
{
	const struct class_node node = {200, 7, "fruit/7", "DEVMODE=0666\n"};

	kernfs_lock();
	assert_int_equal(class_device_add("sys/devices/virtual/fruit/f7", "fruit", &node), 0);
	assert_int_equal(class_device_add("sys/devices/virtual/fruit/f8", "fruit", NULL), 0);
	kernfs_unlock();
	must_contain("sys/class/fruit/f7/dev", "200:7\n");
	must_contain("sys/dev/char/200:7/uevent", "MAJOR=200\nMINOR=7\nDEVNAME=fruit/7\nDEVMODE=0666\n");
	must_contain("sys/class/fruit/f8/uevent", "");
	assert_false(kernfs_exists("sys/class/fruit/f8/dev"));
	must_contain("sys/class/fruit/f7/power/runtime_status", "unsupported\n");
	must_echo("on\n", "sys/class/fruit/f7/power/control");
	must_contain("sys/devices/virtual/fruit/f7/power/control", "on\n");
	must_contain("sys/devices/virtual/fruit/f8/power/control", "auto\n");
	must_fail("x", "sys/class/fruit/f8/power/control", -EINVAL);
	must_fail("5", "sys/class/fruit/f8/power/autosuspend_delay_ms", -EIO);
	must_echo("change", "sys/class/fruit/f8/uevent");
	must_fail("x", "sys/class/fruit/f8/uevent", -EINVAL);
	kernfs_lock();
	class_device_del("sys/devices/virtual/fruit/f7", "fruit");
	kernfs_unlock();
	assert_false(kernfs_exists("sys/dev/char/200:7"));
	assert_false(kernfs_exists("sys/class/fruit/f7"));
	assert_false(kernfs_exists("sys/devices/virtual/fruit/f7"));
	assert_true(kernfs_exists("sys/class/fruit/f8/power"));
}

static void test_power(void **state)
{
	must_contain("sys/devices/x/a0/power/runtime_status", "active\n");
	must_fail("1", "sys/devices/x/a0/power/autosuspend_delay_ms", -EIO);
	pm_runtime_show(&a0, "suspended\n");
	pm_runtime_allow(&a0, true);
	must_contain("sys/devices/x/a0/power/runtime_status", "suspended\n");
	must_contain("sys/devices/x/a0/power/control", "auto\n");
	must_contain("sys/devices/x/a1/power/runtime_status", "active\n");
	must_contain("sys/devices/x/a1/power/control", "on\n");
}

/* ---- what killed processes left ---- */

static bool used_by_other;
static int users_gone;

static bool used(struct device *dev)
{
	return used_by_other;
}

static void user_gone(struct device *dev)
{
	users_gone++;
}

static void tidy(void)
{
	kernfs_lock();
	device_tidy();
	kernfs_unlock();
}

/* As if a process had been killed while it waited for a0's user, and another came. */
static void left_detaching(const char *driver)
{
	forget();
	assert_int_equal(kernfs_open(dir, false), 0);
	kernfs_remove("sys/devices/x/a0/driver");
	kernfs_remove("sys/bus/test/drivers/apple/a0");
	assert_int_equal(kernfs_create_file("state.d/detaching/a0", 0644, driver, strlen(driver), NULL, NULL), 0);
	build();
	probes = removes = users_gone = 0;
	assert_null(a0.driver);
	assert_true(kernfs_exists("dev/made-by-probe"));
}

static void test_left_detaching(void **state)
{
	left_detaching("apple");
	a_drv.used = used;
	used_by_other = true;
	tidy();
	assert_int_equal(removes, 0); /* its user lives: whoever comes later */
	assert_true(kernfs_exists("state.d/detaching/a0"));
	used_by_other = false;
	tidy();
	a_drv.used = NULL;
	assert_int_equal(probes, 1);
	assert_int_equal(removes, 1);
	assert_null(a0.driver);
	assert_false(kernfs_exists("dev/made-by-probe"));
	assert_false(kernfs_exists("state.d/detaching/a0"));
	must_contain("sys/devices/x/a0/uevent", "NAME=a0\n");
	tidy();
	assert_int_equal(removes, 1);
	left_detaching("cherry"); /* a driver that is not here */
	tidy();
	assert_int_equal(probes + removes, 0);
	assert_false(kernfs_exists("state.d/detaching/a0"));
}

static void test_detaching_is_over(void **state)
{
	must_echo("a0", UNBIND_A);
	assert_false(kernfs_exists("state.d/detaching/a0"));
	left_detaching("apple");
	must_echo("a0", BIND_A); /* by one who did not tidy */
	assert_false(kernfs_exists("state.d/detaching/a0"));
	tidy();
	assert_ptr_equal(a0.driver, &a_drv);
}

static void test_left_used(void **state)
{
	a_drv.used = used;
	a_drv.user_gone = user_gone;
	users_gone = 0;
	device_used(&a0, true);
	used_by_other = true;
	tidy();
	assert_int_equal(users_gone, 0);
	used_by_other = false;
	tidy();
	assert_int_equal(users_gone, 1);
	tidy();
	assert_int_equal(users_gone, 1);
	device_used(&a0, true);
	device_used(&a0, false);
	device_used(&b0, true); /* which has no driver any more */
	tidy();
	assert_int_equal(users_gone, 1);
	a_drv.used = NULL;
	a_drv.user_gone = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bind_errnos, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unbind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drivers_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_override, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_attrs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_class, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power, setup, teardown),
		cmocka_unit_test_setup_teardown(test_autoprobe_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_driver_twice, setup, teardown),
		cmocka_unit_test(test_parse),
		cmocka_unit_test_setup_teardown(test_follow_unbind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow_rebind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow_later_if_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_binders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_detaching, setup, teardown),
		cmocka_unit_test_setup_teardown(test_detaching_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_used, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
