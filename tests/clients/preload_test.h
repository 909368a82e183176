/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_test.h - for small programs that are run on a machine with one edu device.
 *
 * They use libc and the uAPI headers only: what they ask for, a real machine would answer alike.
 * ok() must hold; gives(call, errno) must fail with that errno.  The first failure ends the program.
 */
#ifndef TESTS_CLIENTS_PRELOAD_TEST_H
#define TESTS_CLIENTS_PRELOAD_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BDF "0000:01:00.0"
#define SKIPPED 77

#define ok(what) do {									\
	if (!(what)) {									\
		fprintf(stderr, "%s:%d: %s: not so (errno %s)\n", __FILE__, __LINE__,	\
			#what, strerrorname_np(errno));					\
		exit(1);								\
	}										\
} while (0)

#define gives(call, err) do {								\
	errno = 0;									\
	long ret_ = (long)(call);							\
	if (ret_ != -1 || errno != (err)) {						\
		fprintf(stderr, "%s:%d: %s: is %ld %s, should be -1 %s\n", __FILE__,	\
			__LINE__, #call, ret_, strerrorname_np(errno), #err);		\
		exit(1);								\
	}										\
} while (0)

struct edu {
	int container, group, device;
	volatile uint32_t *bar; /* one page; NULL until mapped */
};

#define EDU_ID 0x010000ed
#define CONFIG_OFFSET (7ull << 40)

static inline void edu_open(struct edu *e)
{
	char link[256], path[64];
	ssize_t n = readlink("/sys/bus/pci/devices/" BDF "/iommu_group", link, sizeof(link) - 1);

	ok(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	e->container = open("/dev/vfio/vfio", O_RDWR);
	e->group = open(path, O_RDWR);
	ok(e->container >= 0 && e->group >= 0);
	ok(!ioctl(e->group, VFIO_GROUP_SET_CONTAINER, &e->container));
	ok(!ioctl(e->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	e->device = ioctl(e->group, VFIO_GROUP_GET_DEVICE_FD, BDF);
	ok(e->device >= 0);
	e->bar = NULL;
}

static inline void edu_decode(struct edu *e, bool on)
{
	uint16_t command = on ? 6 : 0;

	ok(pwrite(e->device, &command, 2, CONFIG_OFFSET + 4) == 2);
}

static inline void edu_map(struct edu *e)
{
	edu_decode(e, true);
	e->bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, e->device, 0);
	ok(e->bar != MAP_FAILED);
	ok(e->bar[0] == EDU_ID);
}

static inline void edu_close(struct edu *e)
{
	if (e->bar)
		ok(!munmap((void *)e->bar, 4096));
	ok(!close(e->device));
	ok(!close(e->group));
	ok(!close(e->container));
}

/* Run @fn in a child.  Return: its exit status, or 128 plus the signal that ended it. */
static inline int in_child(void (*fn)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	ok(pid >= 0);
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	ok(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
