/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path_test.c - names of the machine and of the host, against a small machine's directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/preload/path.h"

#define DEVICE "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"

static char dir[64] = "/tmp/path-test-XXXXXX";

static void make_dir(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(path, 0755);
	}
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void make_link(const char *name, const char *target)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(dir));
	make_dir(DEVICE);
	make_dir("/sys/bus/pci/devices");
	make_dir("/sys/bus/pci/drivers/vfio-pci");
	make_dir("/sys/kernel/iommu_groups/0");
	make_dir("/sys/made/here");
	make_dir("/dev/vfio");
	make_link("/sys/bus/pci/devices/0000:01:00.0", "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	make_link(DEVICE "/driver", "../../../../bus/pci/drivers/vfio-pci");
	return path_init(dir);
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return chdir("/") || system(command);
}

static void is_ours(int dir_fd, const char *path, const char *inside)
{
	char want[PATH_MAX];
	struct path p;

	if (!path_resolve(dir_fd, path, &p))
		fail_msg("%s should be the machine's %s, but is the host's", path, inside);
	assert_string_equal(p.inside, inside);
	snprintf(want, sizeof(want), "%s%s", dir, inside);
	assert_string_equal(p.name, want);
	assert_int_equal(p.dir_fd, AT_FDCWD);
}

/* Passed on as it is. */
static void is_host(int dir_fd, const char *path)
{
	struct path p;

	if (path_resolve(dir_fd, path, &p))
		fail_msg("%s should be the host's, but is %s", path, p.inside);
	assert_ptr_equal(p.name, path);
	assert_int_equal(p.dir_fd, dir_fd);
}

static void test_absolute(void **state)
{
	is_ours(AT_FDCWD, "/dev/vfio/vfio", "/dev/vfio/vfio");
	is_ours(AT_FDCWD, "/dev/vfio", "/dev/vfio");
	is_ours(AT_FDCWD, "/dev/iommu", "/dev/iommu");
	is_ours(AT_FDCWD, "/sys/bus/pci", "/sys/bus/pci");
	is_ours(AT_FDCWD, "/sys/bus/pci/", "/sys/bus/pci/");
	is_ours(AT_FDCWD, "/sys//bus/./pci/drivers/", "/sys/bus/pci/drivers/");
	is_ours(AT_FDCWD, "//sys/bus/pci", "/sys/bus/pci");
	is_ours(AT_FDCWD, "/./sys/bus/pci", "/sys/bus/pci");
	is_ours(AT_FDCWD, "/dev/../sys/bus/pci", "/sys/bus/pci");
	is_ours(AT_FDCWD, "/sys/bus/pci_express/devices", "/sys/bus/pci_express/devices");
	is_ours(AT_FDCWD, "/sys/devices/pci0000:17/x", "/sys/devices/pci0000:17/x");
	is_ours(AT_FDCWD, "/sys/kernel/iommu_groups", "/sys/kernel/iommu_groups");
	is_ours(AT_FDCWD, "/sys/module/vfio_pci", "/sys/module/vfio_pci");
	is_ours(AT_FDCWD, "/sys/class/vfio-dev", "/sys/class/vfio-dev");
	is_ours(AT_FDCWD, "/sys/dev/char/511:3", "/sys/dev/char/511:3");
	is_ours(AT_FDCWD, "/sys/made/here", "/sys/made/here");
	is_ours(AT_FDCWD, "/proc/bus/pci/devices", "/proc/bus/pci/devices");
}

static void test_host(void **state)
{
	static const char *const host[] = {
		"/", "/sys", "/sys/", "/sys/bus", "/sys/bus/usb", "/sys/class", "/sys/class/net", "/sys/kernel",
		"/sys/kernel/mm/hugepages", "/sys/kernel/iommu_groupsx", "/sys/devices", "/sys/devices/system/node",
		"/sys/devices/virtual", "/sys/module", "/sys/module/kvm", "/sys/class/iommux", "/dev", "/dev/null",
		"/dev/vfiox", "/dev/iommux", "/dev/input/event0", "/etc/passwd", "", "x", "../sys/bus/pci",
		"/system/bus/pci", "/sys/dev", "/sys/dev/char", "/sys/dev/char/1:3", "/sys/dev/char/51:3",
		"/sy", "/de", "/s", "/d", "/p", "/proc/bus",
	};

	assert_int_equal(chdir("/usr"), 0);
	path_entered();
	for (size_t i = 0; i < ARRAY_SIZE(host); i++)
		is_host(AT_FDCWD, host[i]);
	is_host(AT_FDCWD, NULL);
	is_host(AT_FDCWD, (const char *)8);
}

/* The parent of where a link leads, not of the link. */
static void test_parents(void **state)
{
	is_ours(AT_FDCWD, "/sys/bus/pci/devices/0000:01:00.0/../x", "/sys/devices/pci0000:00/0000:00:01.0/x");
	is_ours(AT_FDCWD, "/sys/bus/pci/devices/../drivers", "/sys/bus/pci/drivers");
	is_ours(AT_FDCWD, DEVICE "/driver/../../devices", "/sys/bus/pci/devices");
	is_ours(AT_FDCWD, "/sys/bus/pci/none/../drivers", "/sys/bus/pci/none/../drivers"); /* ENOENT */
}

static void test_relative(void **state)
{
	char path[PATH_MAX];
	struct path p;

	assert_int_equal(chdir("/"), 0);
	path_entered();
	is_ours(AT_FDCWD, "sys/bus/pci/devices", "/sys/bus/pci/devices");
	is_host(AT_FDCWD, "sys/bus");
	is_host(AT_FDCWD, "etc/passwd");
	snprintf(path, sizeof(path), "%s/sys/bus/pci", dir);
	assert_int_equal(chdir(path), 0);
	path_entered();
	is_ours(AT_FDCWD, "devices", "/sys/bus/pci/devices");
	is_ours(AT_FDCWD, ".", "/sys/bus/pci");
	is_ours(AT_FDCWD, "../../devices/pci0000:00", "/sys/devices/pci0000:00");
	/* Out of the machine is where the host has its own. */
	assert_false(path_resolve(AT_FDCWD, "../usb/devices", &p));
	assert_string_equal(p.name, "/sys/bus/usb/devices");
	assert_false(path_resolve(AT_FDCWD, "../../..", &p));
	assert_string_equal(p.name, "/");
	assert_false(path_resolve(AT_FDCWD, "/sys/bus/pci/../usb", &p));
	assert_string_equal(p.name, "/sys/bus/usb");
	assert_false(path_resolve(AT_FDCWD, "/dev/vfio/..", &p));
	assert_string_equal(p.name, "/dev");
	assert_int_equal(chdir("/"), 0);
	path_entered();
}

static void test_relative_to_descriptor(void **state)
{
	int host = open("/", O_PATH | O_DIRECTORY), ours, sys = open("/sys", O_RDONLY | O_DIRECTORY);
	char path[PATH_MAX];
	struct path p;

	snprintf(path, sizeof(path), "%s/sys/bus/pci", dir);
	ours = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(host >= 0 && ours >= 0 && sys >= 0);
	is_host(host, "sys/bus/pci"); /* nobody said that such descriptors exist */
	path_resolve(AT_FDCWD, "/", &p);
	path_dir_opened(&p, "/");
	is_ours(host, "sys/bus/pci", "/sys/bus/pci");
	is_ours(sys, "bus/pci", "/sys/bus/pci");
	is_host(sys, "bus");
	is_ours(ours, "drivers/vfio-pci", "/sys/bus/pci/drivers/vfio-pci");
	is_host(-1, "drivers");
	is_host(ours, "");
	close(host);
	close(ours);
	close(sys);
}

static void strips_to(const char *real, const char *seen)
{
	char name[PATH_MAX];
	size_t len;

	snprintf(name, sizeof(name), "%s", real);
	len = path_strip(name, strlen(name));
	name[len] = '\0';
	assert_string_equal(name, seen);
}

static void test_strip(void **state)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s/sys/bus", dir);
	strips_to(name, "/sys/bus");
	snprintf(name, sizeof(name), "%sx/sys/bus", dir);
	strips_to(name, name);
	strips_to(dir, "/");
	strips_to("/etc", "/etc");
	strips_to("/memfd:/dev/vfio/vfio (deleted)", "/dev/vfio/vfio");
	strips_to("/memfd:anon_inode:[vfio-device] (deleted)", "anon_inode:[vfio-device]");
	strips_to("/memfd:other (deleted)", "/memfd:other (deleted)");
}

static void test_self_fd(void **state)
{
	char own[64];

	snprintf(own, sizeof(own), "/proc/%d/fd/12", getpid());
	assert_int_equal(path_self_fd("/proc/self/fd/7", "fd"), 7);
	assert_int_equal(path_self_fd("/dev/fd/7", "fd"), 7);
	assert_int_equal(path_self_fd(own, "fd"), 12);
	assert_int_equal(path_self_fd("/proc/self/fdinfo/3", "fdinfo"), 3);
	assert_int_equal(path_self_fd("/proc/self/fdinfo/3", "fd"), -1);
	assert_int_equal(path_self_fd("/proc/self/fd/", "fd"), -1);
	assert_int_equal(path_self_fd("/proc/self/fd/7x", "fd"), -1);
	assert_int_equal(path_self_fd("/proc/1/fd/7", "fd"), getpid() == 1 ? 7 : -1);
	assert_int_equal(path_self_fd("/dev/fdx/7", "fd"), -1);
	snprintf(own, sizeof(own), "/proc/%d/pagemap", getpid());
	assert_true(path_is_pagemap(own));
	assert_int_equal(path_status_of("/proc/self/status"), getpid());
	assert_int_equal(path_status_of("/proc/self/stat"), 0);
	assert_int_equal(path_status_of("/proc/1/status"), 1);
	assert_int_equal(path_status_of("/proc//status"), 0);
	assert_int_equal(path_status_of("/proc/99999999999/status"), 0);
	assert_true(path_is_pagemap("/proc/self/pagemap"));
	assert_true(path_is_pagemap("/proc/thread-self/pagemap"));
	assert_false(path_is_pagemap("/proc/self/pagemaps"));
	assert_false(path_is_pagemap("/proc/pagemap"));
	assert_false(path_is_pagemap("/proc/2147483647/pagemap"));
}

static void test_fault_files(void **state)
{
	char name[64], want[64];
	struct path p;
	int fd;

	assert_true(path_is_fault_file(AT_FDCWD, "/proc/12/fail-nth", name, sizeof(name)));
	assert_string_equal(name, "/proc/12/fail-nth");
	assert_true(path_is_fault_file(AT_FDCWD, "/proc/self/task/34/make-it-fail", name, sizeof(name)));
	snprintf(want, sizeof(want), "/proc/%d/task/34/make-it-fail", getpid());
	assert_string_equal(name, want);
	assert_true(path_is_fault_file(AT_FDCWD, "/proc/thread-self/fail-nth", name, sizeof(name)));
	snprintf(want, sizeof(want), "/proc/%d/task/%d/fail-nth", getpid(), gettid());
	assert_string_equal(name, want);
	assert_false(path_is_fault_file(AT_FDCWD, "/proc/thread-self/fail-nth", name, 20));
	assert_false(path_is_fault_file(AT_FDCWD, "/proc/self/fail-nths", name, sizeof(name)));
	assert_false(path_is_fault_file(AT_FDCWD, "/proc/self/xfail-nth", name, sizeof(name)));
	assert_false(path_is_fault_file(AT_FDCWD, "/sys/self/fail-nth", name, sizeof(name)));
	assert_false(path_is_fault_file(AT_FDCWD, "/fail-nth", name, sizeof(name)));
	/* Relative to /proc, by working directory and by descriptor. */
	assert_int_equal(chdir("/proc/self"), 0);
	path_entered();
	snprintf(want, sizeof(want), "/proc/%d/fail-nth", getpid());
	assert_true(path_is_fault_file(AT_FDCWD, "fail-nth", name, sizeof(name)));
	assert_string_equal(name, want);
	assert_false(path_resolve(AT_FDCWD, "fail-nth", &p));
	assert_string_equal(strrchr(p.name, '/'), "/comm");
	assert_int_equal(chdir("/"), 0);
	path_entered();
	fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(path_is_fault_file(fd, "self/fail-nth", name, sizeof(name)));
	assert_string_equal(name, want);
	close(fd);
	assert_false(path_is_fault_file(AT_FDCWD, "fail-nth", name, sizeof(name)));
	/* Who only looks finds comm in its place. */
	assert_false(path_resolve(AT_FDCWD, "/proc/12/fail-nth", &p));
	assert_null(p.inside);
	assert_string_equal(p.name, "/proc/12/comm");
	assert_false(path_resolve(AT_FDCWD, "/proc/12/status", &p));
	assert_string_equal(p.name, "/proc/12/status");
}

static void test_long(void **state)
{
	char name[PATH_MAX + 100] = "/sys/bus/pci";
	struct path p;

	for (size_t len = strlen(name); len + 2 < sizeof(name); len += 2)
		strcpy(name + len, "/x");
	assert_false(path_resolve(AT_FDCWD, name, &p)); /* the system says ENAMETOOLONG */
	assert_ptr_equal(p.name, name);
}

static void test_init(void **state)
{
	assert_int_equal(path_init("/nowhere/at/all"), -ENOENT);
	assert_int_equal(path_init(dir), 0);
	assert_string_equal(path_machine(), dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_parents),
		cmocka_unit_test(test_relative_to_descriptor),
		cmocka_unit_test(test_relative),
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_self_fd),
		cmocka_unit_test(test_fault_files),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_init),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
