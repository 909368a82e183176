/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_fds.c - descriptors of VFIO files are descriptors: dup, close, flags, /proc, fork, exec, poll.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "preload_test.h"

static int version(int fd)
{
	return ioctl(fd, VFIO_GET_API_VERSION);
}

static void duplicates(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR), two, three, null = open("/dev/null", O_RDWR);

	ok(fd >= 0 && null >= 0 && version(fd) == 0);
	errno = 4711;
	ok(version(fd) == 0 && errno == 4711);
	two = dup(fd);
	ok(two >= 0 && version(two) == 0);
	ok(dup2(fd, 50) == 50 && version(50) == 0 && dup2(50, 50) == 50 && version(50) == 0);
	ok(dup3(fd, 51, O_CLOEXEC) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC && version(51) == 0);
	gives(dup3(fd, fd, 0), EINVAL);
	three = fcntl(fd, F_DUPFD_CLOEXEC, 60);
	ok(three >= 60 && version(three) == 0 && fcntl(three, F_GETFD) == FD_CLOEXEC);
	ok(!close(fd) && version(two) == 0);
	gives(version(fd), EBADF);
	gives(close(fd), EBADF);
	gives(dup(fd), EBADF);
	gives(dup2(fd, two), EBADF);
	ok(version(two) == 0); /* a failed dup2 leaves its target alone */
	/* Replaced by something else, it is that. */
	ok(dup2(null, two) == two && version(two) == -1 && errno == ENOTTY);
	ok(dup2(50, null) == null && version(null) == 0);
	ok(!close_range(50, 51, 0));
	gives(version(50), EBADF);
	gives(version(51), EBADF);
	ok(version(three) == 0);
	closefrom(three);
	gives(version(three), EBADF);
	ok(!close(two) && !close(null));
}

static void numbers(void)
{
	int a = open("/dev/null", O_RDONLY), fd;

	ok(a >= 0 && !close(a));
	fd = open("/dev/vfio/vfio", O_RDWR);
	ok(fd == a); /* the lowest that is free */
	ok(!close(fd));
	ok(open("/dev/null", O_RDONLY) == a && !close(a));
}

static void flags(struct edu *e)
{
	int on = 1;

	ok(fcntl(e->container, F_GETFL) == (O_RDWR | 0100000));
	ok(fcntl(e->device, F_GETFL) == O_RDWR);
	ok(!fcntl(e->container, F_SETFL, O_RDWR | O_NONBLOCK));
	ok(fcntl(e->container, F_GETFL) == (O_RDWR | O_NONBLOCK | 0100000));
	ok(fcntl(e->container, F_GETFD) == 0 && fcntl(e->device, F_GETFD) == FD_CLOEXEC);
	ok(!fcntl(e->device, F_SETFD, 0) && fcntl(e->device, F_GETFD) == 0);
	ok(!ioctl(e->device, FIOCLEX) && fcntl(e->device, F_GETFD) == FD_CLOEXEC);
	ok(!ioctl(e->device, FIONBIO, &on) && (fcntl(e->device, F_GETFL) & O_NONBLOCK));
	gives(lseek(e->container, 0, SEEK_SET), ESPIPE);
	gives(lseek(e->device, 0, SEEK_CUR), ESPIPE);
}

static void has_link(int fd, const char *want)
{
	char name[64], buf[256];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, buf, sizeof(buf));
	ok(n == (ssize_t)strlen(want) && !memcmp(buf, want, (size_t)n));
	snprintf(name, sizeof(name), "/proc/%d/fd/%d", getpid(), fd);
	ok(readlink(name, buf, 4) == 4 && !memcmp(buf, want, 4));
}

static void proc(struct edu *e)
{
	int sys = open("/sys/bus/pci", O_RDONLY | O_DIRECTORY);
	char name[64], text[4096];
	struct stat st;
	ssize_t n;
	int fd;

	has_link(e->container, "/dev/vfio/vfio");
	has_link(e->device, "anon_inode:[vfio-device]");
	has_link(sys, "/sys/bus/pci");
	close(sys);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", e->container);
	ok(!stat(name, &st) && S_ISCHR(st.st_mode));
	ok(!lstat(name, &st) && S_ISLNK(st.st_mode));
	fd = open(name, O_RDWR); /* the node once more: another container */
	ok(fd >= 0 && ioctl(fd, VFIO_GET_API_VERSION) == 0);
	gives(ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	ok(!close(fd));
	snprintf(name, sizeof(name), "/dev/fd/%d", e->device);
	gives(open(name, O_RDWR), ENXIO);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", e->device);
	fd = open(name, O_RDONLY);
	ok(fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0);
	text[n] = '\0';
	ok(strstr(text, "pos:") && strstr(text, "flags:"));
	close(fd);
}

static void vectors(struct edu *e)
{
	uint16_t id[2] = { 0, 0 };
	struct iovec iov[3] = { { &id[0], 2 }, { NULL, 0 }, { &id[1], 2 } };

	ok(preadv(e->device, iov, 3, CONFIG_OFFSET) == 4 && id[0] == 0x1234 && id[1] == 0x11e8);
	id[0] = 6;
	ok(pwritev(e->device, iov, 1, CONFIG_OFFSET + 4) == 2);
	id[0] = 0;
	ok(pread(e->device, &id[0], 2, CONFIG_OFFSET + 4) == 2 && (id[0] & 6) == 6);
	gives(preadv(e->device, iov, -1, 0), EINVAL);
	gives(preadv(e->device, (void *)8, 1, 0), EFAULT);
	iov[0].iov_len = SIZE_MAX;
	gives(preadv(e->device, iov, 1, 0), EINVAL);
	gives(pread(e->device, id, 2, -1), EINVAL);
	gives(readv(e->container, &iov[2], 1), EINVAL);
	gives(write(e->container, id, 1), EINVAL);
}

static void polling(struct edu *e)
{
	struct pollfd p = { .fd = e->device, .events = POLLIN };
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	ok(poll(&p, 1, 0) == 1);
	gives(epoll_ctl(ep, EPOLL_CTL_ADD, e->device, &ev), EPERM);
	close(ep);
}

/* Descriptors that softvfio holds itself do not exist for the program. */
static void private_ones(struct edu *e)
{
	struct { struct vfio_irq_set set; int fd; } irq = {
		.set = { .argsz = sizeof(irq), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1 },
		.fd = eventfd(0, EFD_NONBLOCK),
	};
	uint64_t count = 0;
	struct rlimit limit;

	ok(irq.fd >= 0 && !ioctl(e->device, VFIO_DEVICE_SET_IRQS, &irq));
	/* What daemons do. */
	ok(!getrlimit(RLIMIT_NOFILE, &limit));
	for (int fd = 3; fd < (int)limit.rlim_cur; fd++)
		if (fd != irq.fd && fd != e->device && fd != e->group && fd != e->container)
			close(fd);
	ok(!close_range(1000, ~0u, 0));
	irq.set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	ok(!ioctl(e->device, VFIO_DEVICE_SET_IRQS, &irq));
	ok(read(irq.fd, &count, 8) == 8 && count == 1);
	irq.set.count = 0;
	ok(!ioctl(e->device, VFIO_DEVICE_SET_IRQS, &irq));
	close(irq.fd);
}

static void child_uses(void *arg)
{
	struct edu *e = arg;
	int other;

	ok(version(e->container) == 0);
	ok(pread(e->device, &other, 4, 0) == 4 && other == EDU_ID);
	gives(ioctl(e->device, VFIO_DEVICE_GET_INFO, NULL), EFAULT);
	gives(ioctl(e->group, VFIO_GROUP_SET_CONTAINER, &other), EBADF);
	other = dup(e->container);
	ok(other >= 0 && version(other) == 0 && !close(other));
	other = open("/dev/vfio/vfio", O_RDWR);
	ok(other >= 0 && version(other) == 0);
	ok(!close(e->device) && !close(e->group) && !close(e->container) && !close(other));
	other = open("/dev/null", O_WRONLY);
	ok(other >= 0 && write(other, "x", 1) == 1 && version(other) == -1 && errno == ENOTTY);
	ok(dup2(other, e->container) == e->container && write(e->container, "x", 1) == 1);
}

static void child_touches(void *arg)
{
	struct edu *e = arg;

	ok(e->bar[0] == EDU_ID);
}

static void forks(struct edu *e)
{
	int status;
	pid_t pid;

	ok(in_child(child_uses, e) == 0);
	edu_map(e);
	ok(in_child(child_touches, e) == 0);
	/* The parent has lost nothing, and its mapping and files work. */
	ok(e->bar[0] == EDU_ID && version(e->container) == 0);
	pid = vfork();
	if (!pid) {
		close(e->container);
		dup2(open("/dev/null", O_WRONLY), 1);
		execlp("ls", "ls", "/dev/vfio/vfio", NULL);
		_exit(127);
	}
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ok(version(e->container) == 0);
}

static void child_opens(void *arg)
{
	struct edu e;

	edu_open(&e);
	edu_map(&e);
	edu_close(&e);
}

int main(void)
{
	struct edu e;

	ok(in_child(child_opens, NULL) == 0); /* a parent that never touched the machine */
	child_opens(NULL);
	ok(in_child(child_opens, NULL) == 0); /* one that has let go of it: no file, no mapping */
	duplicates();
	numbers();
	edu_open(&e);
	flags(&e);
	proc(&e);
	vectors(&e);
	polling(&e);
	private_ones(&e);
	forks(&e);
	edu_close(&e);
	return 0;
}
