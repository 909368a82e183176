/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forks.c - a child after fork: it exits, execs and closes, and its parent loses nothing; it uses what it inherited, as its
 * parent does, and so do programs that it executes or that are spawned, and who gets a descriptor by a socket; when the
 * process with the kernel has ended, or gave the child no way to it, it is refused, with a reason.  What is kept in the
 * parent for a child, descriptors, threads and memory of devices, goes with the child, however that ends.
 * Run on a machine with two edu, with --explain.
 *
 * usage: forks [open | use CONTAINER IOMMUFD CDEV CLOSED]    what the program does that a child executes
 */
#include <linux/iommufd.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "census.h"
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

/* A device's register that it gives back inverted: what one process writes, the other sees. */
#define LIVENESS (4 / 4)

static int map_page(void *page, uint64_t iova)
{
	struct iommu_ioas_map map = { .size = sizeof(map), .flags = 7, .ioas_id = ioas, .user_va = (uintptr_t)page, .length = 4096,
				      .iova = iova };

	return ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

static int unmap_page(uint64_t iova)
{
	return ioctl(iommufd, IOMMU_IOAS_UNMAP, &(struct iommu_ioas_unmap){ .size = sizeof(struct iommu_ioas_unmap),
		.ioas_id = ioas, .iova = iova, .length = 4096 });
}

static int destroy(uint32_t id)
{
	return ioctl(iommufd, IOMMU_DESTROY, &(struct iommu_destroy){ .size = sizeof(struct iommu_destroy), .id = id });
}

/* An interrupt of the child's, by an eventfd of its own; then by the one that it shares with its parent. */
static void has_interrupts(void)
{
	int own = eventfd(0, EFD_NONBLOCK);
	struct { struct vfio_irq_set set; int fd; } event = {
		.set = { .argsz = sizeof(event), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1 },
		.fd = own,
	};
	uint64_t count;

	ok(own >= 0 && !ioctl(cdev, VFIO_DEVICE_SET_IRQS, &event));
	regs[0x60 / 4] = 1;
	ok(read(own, &count, 8) == 8 && count == 1);
	regs[0x64 / 4] = 1;
	event.fd = 999;
	gives(ioctl(cdev, VFIO_DEVICE_SET_IRQS, &event), EBADF);
	event.fd = iommufd;
	gives(ioctl(cdev, VFIO_DEVICE_SET_IRQS, &event), EINVAL);
	event.fd = irq;
	ok(!ioctl(cdev, VFIO_DEVICE_SET_IRQS, &event));
	gives(read(own, &count, 8), EAGAIN);
}

/* The device moves this process's bytes. */
static void moves_own_memory(void)
{
	unsigned char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const unsigned char theirs = mem[0];

	memset(mem, ~theirs, 64); /* not what the device has there: that is the parent's */
	memset(own, 0xc3, 64);
	ok(own != MAP_FAILED && !map_page(own, IOVA + 0x10000));
	dma(IOVA + 0x10000, 0x40000, 1);
	dma(0x40000, IOVA + 0x10000 + 1024, 3);
	ok(!memcmp(own, own + 1024, 64) && own[1024] == 0xc3);
	dma(IOVA, 0x40000, 1);
	dma(0x40000, IOVA + 0x10000 + 2048, 3);
	ok(own[2048] == theirs);
	ok(!unmap_page(IOVA + 0x10000) && !munmap(own, 4096));
	gives(unmap_page(IOVA + 0x10000), ENOENT);
	gives(map_page(own, IOVA + 0x10000), EFAULT);
}

/* Each kind of call on what was inherited. */
static void uses(void *arg)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_group_status status = { .argsz = sizeof(status) };
	void *volatile nowhere = (void *)8;
	uint16_t id;
	int copy;

	ok(ioctl(legacy.container, VFIO_GET_API_VERSION) == 0 && legacy.bar[0] == EDU_ID && regs[0] == EDU_ID);
	ok(!ioctl(legacy.group, VFIO_GROUP_GET_STATUS, &status) && status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET);
	ok(pread(legacy.device, &id, 2, CONFIG_OFFSET) == 2 && id == 0x1234);
	regs[LIVENESS] = 0x600d600d;
	legacy.bar[LIVENESS] = 0x12345678;
	ok(legacy.bar[LIVENESS] == ~0x12345678u);
	ok(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc) && alloc.out_ioas_id != ioas && !destroy(alloc.out_ioas_id));
	gives(destroy(alloc.out_ioas_id), ENOENT);
	gives(destroy(ioas), EBUSY);
	gives(ioctl(iommufd, IOMMU_IOAS_ALLOC, 8), EFAULT);
	gives(ioctl(legacy.container, VFIO_DEVICE_GET_INFO), ENOTTY);
	gives(ioctl(legacy.group, VFIO_GROUP_UNSET_CONTAINER), EBUSY);
	gives(pread(cdev, nowhere, 2, CONFIG_OFFSET), EFAULT);
	gives(read(iommufd, &id, 2), EINVAL);
	gives((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, iommufd, 0), ENXIO);
	has_interrupts();
	moves_own_memory();
	copy = dup(iommufd);
	ok(copy >= 0 && !close(iommufd));
	gives(ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc), EBADF);
	ok(!ioctl(copy, IOMMU_IOAS_ALLOC, &alloc));
	ok(dup2(copy, iommufd) == iommufd && !destroy(alloc.out_ioas_id) && !close(copy));
	ok(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	_exit((int)alloc.out_ioas_id); /* which the parent destroys */
}

/* New files are made where the others are. */
static void opens(void *arg)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	int fd = open("/dev/iommu", O_RDWR), c = open("/dev/vfio/vfio", O_RDWR), d = open("/dev/vfio/devices/vfio1", O_RDWR);

	ok(fd >= 0 && c >= 0 && d >= 0);
	ok(!ioctl(fd, IOMMU_IOAS_ALLOC, &alloc) && alloc.out_ioas_id == 1);
	ok(ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
	bind.iommufd = fd;
	gives(ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bind), EINVAL); /* to its parent's */
	gives(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	gives(open("/dev/vfio/0", O_RDWR), EBUSY); /* a group opens once */
	gives(open("/dev/vfio/77", O_RDWR), ENOENT);
	ok(!access("/sys/bus/pci/devices/" SECOND, F_OK));
	_exit(0);
}

/* ---- programs that inherit, or are sent, descriptors ------------------------------------------ */

static char numbers[4][12]; /* as arguments of a program */

static char **program(int closed)
{
	static char use[] = "use", *argv[7];
	const int fds[4] = { legacy.container, iommufd, cdev, closed };

	argv[0] = (char *)self;
	argv[1] = use;
	for (int i = 0; i < 4; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", fds[i]);
		argv[2 + i] = numbers[i];
	}
	return argv;
}

/* A program with the descriptors open; the last was close-on-exec. */
static int user_of(char **argv)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	uint16_t id;

	legacy.container = atoi(argv[0]);
	iommufd = atoi(argv[1]);
	cdev = atoi(argv[2]);
	ok(!getenv("SOFTVFIO_KERNEL"));
	ok(ioctl(legacy.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
	gives(ioctl(legacy.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL); /* it is set: its parent's container */
	ok(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc) && !destroy(alloc.out_ioas_id));
	ok(pread(cdev, &id, 2, CONFIG_OFFSET) == 2 && id == 0x1234);
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, cdev, 0);
	ok(regs != MAP_FAILED && regs[0] == EDU_ID);
	regs[LIVENESS] = 0xe3ec;
	gives(pread(atoi(argv[3]), &id, 2, CONFIG_OFFSET), EBADF);
	gives(open("/dev/vfio/0", O_RDWR), EBUSY);
	return 0;
}

static void execs_with_descriptors(void *arg)
{
	int closed = fcntl(cdev, F_DUPFD_CLOEXEC, 100);

	ok(closed >= 100);
	execv(self, program(closed));
	_exit(127);
}

static void spawns_with_descriptors(void *arg)
{
	int closed = fcntl(cdev, F_DUPFD_CLOEXEC, 100), status;
	pid_t pid;

	ok(closed >= 100 && !posix_spawn(&pid, self, NULL, NULL, program(closed), environ));
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status) && !close(closed));
}

static void programs_use(void)
{
	ok(in_child(execs_with_descriptors, NULL) == 0 && regs[LIVENESS] == ~0xe3ecu);
	regs[LIVENESS] = 0;
	spawns_with_descriptors(NULL);
	ok(regs[LIVENESS] == ~0xe3ecu);
	regs[LIVENESS] = 0;
	ok(in_child(spawns_with_descriptors, NULL) == 0 && regs[LIVENESS] == ~0xe3ecu);
	works();
}

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	ok(sendmsg(sock, &msg, 0) == 1);
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 }, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd;

	ok(recvmsg(sock, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int alloc_ioas(int fd)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	return ioctl(fd, IOMMU_IOAS_ALLOC, &alloc) ? -1 : (int)alloc.out_ioas_id;
}

/* What the child opened comes to the parent, and from there back; each closes what it sends. */
static void there_and_back(void)
{
	int sock[2], fd, status;
	pid_t pid;

	ok(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	pid = fork();
	ok(pid >= 0);
	if (!pid) {
		fd = open("/dev/iommu", O_RDWR);
		ok(fd >= 0 && alloc_ioas(fd) == 1);
		send_fd(sock[1], fd);
		ok(!close(fd));
		gives(alloc_ioas(fd), EBADF);
		fd = receive_fd(sock[1]);
		ok(alloc_ioas(fd) == 3);
		_exit(0);
	}
	fd = receive_fd(sock[0]);
	ok(alloc_ioas(fd) == 2);
	send_fd(sock[0], fd);
	ok(!close(fd));
	gives(alloc_ioas(fd), EBADF);
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status));
	ok(!close(sock[0]) && !close(sock[1]));
}

/* ---- what a child leaves ---------------------------------------------------------------------- */

static int ready[2];

static void maps_a_page(void)
{
	memset(mem, 0x77, 4096);
	ok(!map_page(mem, IOVA + 0x20000));
}

static void maps_and_exits(void *arg)
{
	maps_a_page();
	exit(0);
}

/* All that a child can have: files, threads in calls, memory of devices; until it is killed. */
static void *asks_again(void *arg)
{
	for (;;)
		ok(ioctl(legacy.container, VFIO_GET_API_VERSION) == 0);
	return arg;
}

static void has_all(void *arg)
{
	pthread_t thread;

	ok(open("/dev/iommu", O_RDWR) >= 0 && open("/dev/vfio/vfio", O_RDWR) >= 0 && open("/dev/vfio/devices/vfio1", O_RDWR) >= 0);
	ok(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, cdev, 0) != MAP_FAILED);
	maps_a_page();
	for (int i = 0; i < 3; i++)
		ok(!pthread_create(&thread, NULL, asks_again, NULL));
	ok(write(ready[1], "x", 1) == 1);
	asks_again(NULL);
}

static void leave_memory(void)
{
	ok(in_child(maps_and_exits, NULL) == 0);
	dma(IOVA + 0x20000, 0x40000, 1);
	dma(0x40000, IOVA + 1024, 3);
	ok(mem[1024] == 0x77); /* the page outlived the child, as one that is pinned does */
	ok(!unmap_page(IOVA + 0x20000));
	gives(unmap_page(IOVA + 0x20000), ENOENT);
}

/* Far more often than there is room for the memory of processes at once. */
static void are_killed(struct census before)
{
	int status;
	pid_t pid;
	char c;

	ok(!pipe(ready));
	for (int i = 0; i < 40; i++) {
		pid = fork();
		ok(pid >= 0);
		if (!pid) {
			has_all(NULL);
			_exit(1);
		}
		ok(read(ready[0], &c, 1) == 1 && !kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		ok(!unmap_page(IOVA + 0x20000)); /* the mapping is the address space's still */
	}
	ok(!close(ready[0]) && !close(ready[1]) && settles(before));
	works();
}

/* ---- without the kernel ----------------------------------------------------------------------- */

static void on_bus_error(int sig)
{
	_exit(100 + sig);
}

static void loads(void *arg)
{
	signal(SIGBUS, on_bus_error);
	(void)regs[0];
}

static void asks_in_vain(void)
{
	const int fds[] = { legacy.container, legacy.group, legacy.device, iommufd, cdev, faults };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_info info = { .argsz = sizeof(info) };

	for (unsigned i = 0; fds[i] != faults; i++) { /* which has no ioctls */
		gives(ioctl(fds[i], VFIO_DEVICE_GET_INFO, &info), EBADF);
		gives(ioctl(dup(fds[i]), IOMMU_IOAS_ALLOC, &alloc), EBADF);
	}
	gives(pread(legacy.device, &alloc, 4, CONFIG_OFFSET), EBADF);
	gives(pwrite(cdev, &alloc, 4, CONFIG_OFFSET), EBADF);
	gives(read(faults, &alloc, 4), EBADF);
	gives((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, cdev, 0), EBADF);
	gives(open("/dev/iommu", O_RDWR), EBUSY);
	gives(open("/dev/vfio/vfio", O_RDWR), EBUSY);
	gives(open("/dev/vfio/0", O_RDWR), EBUSY);
	ok(in_child(loads, NULL) == 100 + SIGBUS); /* a child of its own has no kernel either */
	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		ok(!close(fds[i]) && close(fds[i]) == -1);
	ok(!munmap((void *)legacy.bar, 4096));
	loads(NULL);
}

/* A process that has devices, and a child of its, which goes on alone. */
static void orphan(void *how)
{
	int used[2];
	char c;

	ok(!pipe(ready) && !pipe(used));
	edu_open(&legacy);
	edu_map(&legacy);
	open_cdev();
	if (!fork()) {
		close(ready[1]);
		ok(regs[0] == EDU_ID && write(used[1], "x", 1) == 1);
		ok(read(ready[0], &c, 1) == 0); /* whoever had the other end is gone */
		asks_in_vain();
	}
	ok(read(used[0], &c, 1) == 1);
	if (!strcmp(how, "exits"))
		exit(0);
	if (!strcmp(how, "is killed"))
		raise(SIGKILL);
	close(ready[0]);
	fcntl(ready[1], F_SETFD, FD_CLOEXEC);
	execl("/bin/true", "true", (char *)NULL);
	_exit(127);
}

/* No number was free for a connection when it was forked. */
static void cut_off(void *arg)
{
	struct rlimit all, none;
	int status;
	pid_t pid;

	ok(!getrlimit(RLIMIT_NOFILE, &all));
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = all.rlim_max };
	ok(!setrlimit(RLIMIT_NOFILE, &none));
	pid = fork();
	ok(!setrlimit(RLIMIT_NOFILE, &all) && pid >= 0);
	if (!pid)
		asks_in_vain();
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 100 + SIGBUS);
	ok(regs[0] == EDU_ID && ioctl(legacy.container, VFIO_GET_API_VERSION) == 0);
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

/* @fn in a child, whose words, and those of its children, @ret_text gets.  Return: as in_child(). */
static int heard(void (*fn)(void *), void *arg, char *ret_text, size_t size)
{
	int ends[2], status;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	ok(!pipe(ends));
	fflush(NULL);
	pid = fork();
	ok(pid >= 0);
	if (!pid) {
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		fn(arg);
		_exit(0);
	}
	close(ends[1]);
	while (have < size - 1 && (n = read(ends[0], ret_text + have, size - 1 - have)) > 0)
		have += (size_t)n;
	ret_text[have] = '\0';
	close(ends[0]);
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

/* What a child that cannot be served is told. */
static void tells(const char *text, const char *why)
{
	static const char *const calls[] = { "ioctl(", "pread(", "pwrite(", "read(", "mmap(", "open(\"/dev/iommu\")" };

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		says(text, calls[i]);
	says(text, why);
}

/* This process has no device yet, so that it is not the one with the kernel. */
static void are_orphaned(char *text, size_t size)
{
	static const struct { const char *how; int status; } ways[] = { { "exits", 0 }, { "is killed", 128 + SIGKILL }, { "executes", 0 } };
	int status, got;

	ok(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		got = heard(orphan, (void *)ways[i].how, text, size);
		ok(wait(&status) > 0);
		if (got != ways[i].status || !WIFEXITED(status) || WEXITSTATUS(status) != 100 + SIGBUS) {
			fprintf(stderr, "a process that %s: %d, its child: %#x\n%s", ways[i].how, got, status, text);
			exit(1);
		}
		tells(text, "which has ended or executed another program");
	}
}

/* ---- all together ---------------------------------------------------------------------------- */

static void *forks_too(void *arg)
{
	for (int i = 0; i < 5; i++)
		ok(in_child(exits, NULL) == 0);
	return arg;
}

/* A program of its own: the machine's devices, and a container and an iommufd that nobody else has. */
/* ---- waiting --------------------------------------------------------------------------------- */

static pid_t child_ends(int status)
{
	pid_t pid = fork();

	ok(pid >= 0);
	if (!pid)
		_exit(status);
	return pid;
}

/* The library looks at all of them (front/preload/wait.c), and the answers are the system's. */
static void waited_for_in_all_ways(void)
{
	struct rusage usage = { 0 };
	siginfo_t info = { 0 };
	int status = 0;
	pid_t pid;

	pid = child_ends(1);
	ok(wait(&status) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 1);
	pid = child_ends(2);
	ok(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 2);
	pid = child_ends(3);
	ok(wait3(&status, 0, &usage) == pid && WEXITSTATUS(status) == 3 && usage.ru_maxrss > 0);
	pid = child_ends(0);
	ok(wait4(pid, NULL, 0, NULL) == pid);
	pid = child_ends(4);
	ok(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT) && info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 4);
	ok(!waitid(P_ALL, 0, NULL, WEXITED));
	pid = child_ends(5);
	ok(syscall(SYS_wait4, pid, &status, 0, NULL) == pid && WEXITSTATUS(status) == 5);
	pid = child_ends(6);
	ok(!syscall(SYS_waitid, P_PID, pid, &info, WEXITED, NULL) && info.si_status == 6);
	pid = child_ends(7);
	memset(&usage, 0, sizeof(usage));
	ok(!syscall(SYS_waitid, P_PID, pid, &info, WEXITED, &usage) && info.si_status == 7 && usage.ru_maxrss > 0);

	pid = fork();
	if (!pid)
		for (;;)
			pause();
	ok(!waitpid(pid, &status, WNOHANG) && !waitid(P_PID, pid, &info, WEXITED | WNOHANG) && !info.si_pid);
	kill(pid, SIGSTOP);
	ok(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	kill(pid, SIGKILL);
	ok(wait4(pid, (int *)8, 0, NULL) == -1 && errno == EFAULT);
	ok(wait(&status) == -1 && errno == ECHILD);
	ok(waitpid(pid, NULL, 0) == -1 && errno == ECHILD);
	ok(wait3(NULL, 0, NULL) == -1 && errno == ECHILD);
	ok(waitid(P_ALL, 0, &info, WEXITED) == -1 && errno == ECHILD);
	ok(waitid(P_ALL, 0, &info, 0) == -1 && errno == EINVAL);
	ok(waitpid(pid, NULL, 1 << 16) == -1 && errno == EINVAL);
	ok(syscall(SYS_wait4, pid, NULL, 0, NULL) == -1 && errno == ECHILD);
}

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
	struct census before;
	pthread_t thread;
	int id;

	self = argv[0];
	if (argc == 2)
		return user();
	if (argc > 2)
		return user_of(argv + 2);
	ok(in_child(user_in_child, NULL) == 0); /* a parent that has not touched the machine: the child may */
	are_orphaned(text, sizeof(text));
	edu_open(&legacy);
	edu_map(&legacy);
	open_cdev();
	works();
	ok(in_child(exits_at_once, NULL) == 0);
	before = census_at_rest(); /* at the first fork some more are made, one for each file */
	for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		ok(in_child(harmless[i], NULL) == 0);
		works();
	}
	ok(in_child(kills_itself, NULL) == 128 + SIGKILL);
	works();
	ok(in_child(execs_user, NULL) == 0);
	works();
	id = heard(uses, NULL, text, sizeof(text));
	if (regs[LIVENESS] != ~0x600d600du || destroy((uint32_t)id)) {
		fputs(text, stderr);
		return 1;
	}
	says(text, "ioctl(");
	works();
	ok(heard(opens, NULL, text, sizeof(text)) == 0);
	says(text, "a group opens once");
	waited_for_in_all_ways();
	works();
	programs_use();
	there_and_back();
	leave_memory();
	are_killed(before);
	if (heard(cut_off, NULL, text, sizeof(text))) {
		fputs(text, stderr);
		return 1;
	}
	tells(text, "there was no connection to it");
	cut_off(NULL);
	ok(settles(before));
	ok(!pthread_create(&thread, NULL, forks_too, NULL)); /* while this thread has the device work */
	for (int i = 0; i < 50; i++)
		works();
	ok(!pthread_join(thread, NULL));
	works();
	ok(settles(before));
	holds_a_device();
	puts("children");
	return 0;
}
