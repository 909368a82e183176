/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forks.c - a child after fork: it exits, execs and closes, and its parent loses nothing; it uses what it inherited, and
 * is refused with EBADF and a reason.  Run on a machine with two edu, with --explain.
 *
 * usage: forks [open]    "open": what the program does that a child executes
 */
#include <linux/iommufd.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "preload_test.h"

#define IOVA 0x100000ull
#define SECOND "0000:02:00.0"

/* What the parent has: a container with one edu, an iommufd with the other, whose registers are mapped. */
static struct edu legacy;
static int iommufd, cdev, faults, irq;
static uint32_t ioas;
static volatile uint32_t *regs;
static unsigned char *mem;

static const char *self;

/* ---- the parent ------------------------------------------------------------------------------ */

static void open_cdev(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_map map = { .size = sizeof(map), .flags = 7, .length = 4096, .iova = IOVA };
	struct { struct vfio_irq_set set; int fd; } event = {
		.set = { .argsz = sizeof(event), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1 },
	};

	mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	iommufd = open("/dev/iommu", O_RDWR);
	cdev = open("/dev/vfio/devices/vfio1", O_RDWR);
	irq = event.fd = eventfd(0, EFD_NONBLOCK);
	ok(mem != MAP_FAILED && iommufd >= 0 && cdev >= 0 && irq >= 0);
	bind.iommufd = iommufd;
	ok(!ioctl(cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind) && !ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	ok(!ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	faults = (int)queue.out_fault_fd;
	attach.pt_id = ioas = map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)mem;
	ok(!ioctl(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) && !ioctl(iommufd, IOMMU_IOAS_MAP, &map));
	ok(pwrite(cdev, &(uint16_t){ 6 }, 2, CONFIG_OFFSET + 4) == 2);
	ok(!ioctl(cdev, VFIO_DEVICE_SET_IRQS, &event));
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, cdev, 0);
	ok(regs != MAP_FAILED);
}

static void dma(uint64_t from, uint64_t to, uint32_t cmd)
{
	*(volatile uint64_t *)(regs + 0x80 / 4) = from;
	*(volatile uint64_t *)(regs + 0x88 / 4) = to;
	*(volatile uint64_t *)(regs + 0x90 / 4) = 64;
	*(volatile uint64_t *)(regs + 0x98 / 4) = cmd;
	for (int i = 0; i < 10000 && regs[0x98 / 4] & 1; i++)
		usleep(100);
}

/* All of it works: DMA from and to this process's memory, interrupts, both descriptors and the mapping. */
static void works(void)
{
	static unsigned char next = 1;
	uint64_t count;

	memset(mem, ++next, 64);
	dma(IOVA, 0x40000, 1);
	dma(0x40000, IOVA + 2048, 3);
	ok(!memcmp(mem, mem + 2048, 64));
	regs[0x60 / 4] = 1;
	ok(read(irq, &count, 8) == 8 && count == 1);
	regs[0x64 / 4] = 1;
	ok(ioctl(legacy.container, VFIO_GET_API_VERSION) == 0 && legacy.bar[0] == EDU_ID && regs[0] == EDU_ID);
}

/* ---- children -------------------------------------------------------------------------------- */

static void exits_at_once(void *arg) { _exit(0); }
static void exits(void *arg) { exit(0); } /* with all that atexit() and the library's own ending do */

static void closes_and_exits(void *arg)
{
	ok(!close(legacy.device) && !close(legacy.group) && !close(legacy.container));
	ok(!close(cdev) && !close(iommufd) && !close(faults) && !close(irq));
	ok(!munmap((void *)regs, 4096) && !munmap((void *)legacy.bar, 4096) && !munmap(mem, 4096));
	exit(0);
}

static void closes_all(void *arg)
{
	closefrom(3);
	exit(0);
}

static void execs(void *arg)
{
	execl("/bin/true", "true", (char *)NULL);
	_exit(127);
}

/* Memory that a device reaches is the parent's; what the child writes there is its own. */
static void writes_memory(void *arg)
{
	memset(mem, 0xee, 4096);
	_exit(0);
}

static void kills_itself(void *arg)
{
	raise(SIGKILL);
}

/* The machine from the beginning. */
static void execs_user(void *arg)
{
	execl(self, self, "open", (char *)NULL);
	_exit(127);
}

/* Each call on what was inherited. */
static void uses(void *arg)
{
	const int fds[] = { legacy.container, legacy.group, legacy.device, iommufd, cdev, faults };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iovec iov = { &alloc, 4 };
	struct stat st;
	int copy;

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		gives(ioctl(fds[i], VFIO_GET_API_VERSION), EBADF);
		gives(ioctl(fds[i], IOMMU_IOAS_ALLOC, &alloc), EBADF);
		gives(read(fds[i], &alloc, 4), EBADF);
		gives(write(fds[i], &alloc, 4), EBADF);
		gives(pread(fds[i], &alloc, 4, 0), EBADF);
		gives(pwrite(fds[i], &alloc, 4, 0), EBADF);
		gives(readv(fds[i], &iov, 1), EBADF);
		gives(writev(fds[i], &iov, 1), EBADF);
		gives((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0), EBADF);
		ok(!fstat(fds[i], &st) || errno == EBADF);
		copy = dup(fds[i]);
		ok(copy >= 0);
		gives(ioctl(copy, IOMMU_IOAS_ALLOC, &alloc), EBADF);
		ok(!close(copy) && !close(fds[i]));
		gives(close(fds[i]), EBADF);
	}
	_exit(0);
}

static void opens(void *arg)
{
	gives(open("/dev/iommu", O_RDWR), EBUSY);
	gives(open("/dev/vfio/vfio", O_RDWR), EBUSY);
	gives(open("/dev/vfio/devices/vfio1", O_RDWR), EBUSY);
	ok(!access("/sys/bus/pci/devices/" SECOND, F_OK));
	_exit(0);
}

/* Group and device are closed here, and a child has them: who unbinds the device waits until the child is gone. */
static void holds_a_device(void)
{
	const char unbind[] = "echo 0000:01:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind";
	int status, ready[2];
	pid_t holder, shell;
	char c;

	edu_close(&legacy);
	edu_open(&legacy);
	ok(!pipe(ready));
	holder = fork();
	if (!holder) {
		close(legacy.container);
		ok(write(ready[1], "x", 1) == 1);
		pause();
	}
	ok(holder > 0 && read(ready[0], &c, 1) == 1);
	ok(!close(legacy.device));
	gives(ioctl(legacy.group, VFIO_GROUP_UNSET_CONTAINER), EBUSY);
	ok(!close(legacy.group) && !close(legacy.container) && !close(ready[0]) && !close(ready[1]));
	shell = fork();
	if (!shell) {
		execl("/bin/sh", "sh", "-c", unbind, (char *)NULL);
		_exit(127);
	}
	usleep(300000);
	ok(waitpid(shell, &status, WNOHANG) == 0);
	ok(!kill(holder, SIGKILL) && waitpid(holder, &status, 0) == holder);
	/* This process makes no call of ours until the other is through. */
	ok(waitpid(shell, &status, 0) == shell && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	gives(open("/dev/vfio/0", O_RDWR), ENOENT);
}

/* @fn in a child, whose words @ret_text gets.  Return: as in_child(). */
static int heard(void (*fn)(void *), char *ret_text, size_t size)
{
	int ends[2], saved = dup(2), status;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	ok(saved >= 0 && !pipe(ends));
	fflush(NULL);
	pid = fork();
	ok(pid >= 0);
	if (!pid) {
		dup2(ends[1], 2);
		fn(NULL);
		_exit(0);
	}
	close(ends[1]);
	while (have < size - 1 && (n = read(ends[0], ret_text + have, size - 1 - have)) > 0)
		have += (size_t)n;
	ret_text[have] = '\0';
	close(ends[0]);
	close(saved);
	ok(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void says(const char *text, const char *want)
{
	if (strstr(text, want))
		return;
	fprintf(stderr, "\"%s\" is not in:\n%s", want, text);
	exit(1);
}

/* ---- all together ---------------------------------------------------------------------------- */

static void *forks_too(void *arg)
{
	for (int i = 0; i < 5; i++)
		ok(in_child(exits, NULL) == 0);
	return arg;
}

/* A program of its own: the machine's devices, and a container and an iommufd that nobody else has. */
static int user(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int fd = open("/dev/iommu", O_RDWR), other = open("/dev/vfio/vfio", O_RDWR);

	ok(fd >= 0 && !ioctl(fd, IOMMU_IOAS_ALLOC, &alloc) && alloc.out_ioas_id == 1);
	ok(other >= 0 && ioctl(other, VFIO_GET_API_VERSION) == 0 && !close(other) && !close(fd));
	return 0;
}

static void user_in_child(void *arg)
{
	_exit(user());
}

int main(int argc, char **argv)
{
	static void (*const harmless[])(void *) = { exits_at_once, exits, closes_and_exits, closes_all, execs, writes_memory };
	static char text[65536];
	pthread_t thread;

	self = argv[0];
	if (argc > 1)
		return user();
	ok(in_child(user_in_child, NULL) == 0); /* a parent that has not touched the machine: the child may */
	edu_open(&legacy);
	edu_map(&legacy);
	open_cdev();
	works();
	for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		ok(in_child(harmless[i], NULL) == 0);
		works();
	}
	ok(in_child(kills_itself, NULL) == 128 + SIGKILL);
	works();
	ok(in_child(execs_user, NULL) == 0);
	works();
	if (heard(uses, text, sizeof(text))) {
		fputs(text, stderr);
		return 1;
	}
	says(text, "the descriptor was opened by its parent");
	says(text, "ioctl(");
	says(text, "mmap(");
	ok(heard(opens, text, sizeof(text)) == 0);
	says(text, "/dev/iommu in process");
	says(text, "a child can use it after exec()");
	ok(!pthread_create(&thread, NULL, forks_too, NULL)); /* while this thread has the device work */
	for (int i = 0; i < 50; i++)
		works();
	ok(!pthread_join(thread, NULL));
	works();
	holds_a_device();
	puts("children");
	return 0;
}
