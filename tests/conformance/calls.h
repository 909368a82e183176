/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.h - calls that the programs of this folder make: one short function for each, with the arguments
 * that vary; and setting up and tearing down what most cases begin with.
 */
#ifndef TESTS_CONFORMANCE_CALLS_H
#define TESTS_CONFORMANCE_CALLS_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/rows.h"

#define CALL __attribute__((unused))
#define KB 1024ull
#define MB (1024 * KB)
#define PG 4096ull

static const char *edu, *msix;
static unsigned char *mem;		/* 4 MiB of ordinary memory */

static const char *group_path(const char *bdf)
{
	static char out[PATH_MAX + 16];
	char path[128], link[PATH_MAX];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return "/nonexistent";
	link[n] = 0;
	snprintf(out, sizeof(out), "/dev/vfio/%s", strrchr(link, '/') + 1);
	return out;
}

static CALL const char *pci_attr(const char *bdf, const char *attr)
{
	static char path[256];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, attr);
	return path;
}

/* The first line of a file, or in brackets why it cannot be read. */
static CALL const char *first_line(const char *path)
{
	static char text[256];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		snprintf(text, sizeof(text), "(%s)", strerrorname_np(errno));
	else
		text[n] = 0, text[strcspn(text, "\n")] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

/* Of /proc/self/status: VmLck, VmPin. */
static CALL long status_kb(const char *name)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			kb = atol(line + strlen(name) + 1);
	if (f)
		fclose(f);
	return kb;
}

/* May this process lock and pin as much as it likes?  Root may, until it says no; and again. */
static CALL void ipc_lock(bool may)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	syscall(SYS_capget, &header, data);
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	if (may)
		data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective |= CAP_TO_MASK(CAP_IPC_LOCK);
	syscall(SYS_capset, &header, data);
}

/*
 * The program once more, as another process that is told @with: says on its standard output, by three bytes, when it is
 * ready, and waits to be killed.
 */
static CALL pid_t once_more(const char *with, int *ret_said)
{
	int said[2];
	flush_row();
	fflush(stdout);
	if (pipe(said))
		exit(1);
	pid_t pid = fork();
	if (!pid) {
		dup2(said[1], 1);
		close(said[0]);
		execl("/proc/self/exe", "once more", edu, msix, with, NULL);
		_exit(127);
	}
	close(said[1]);
	*ret_said = said[0];
	return pid;
}

/* ---------------------------------------------------------------- groups and devices */
static CALL int device_there(int d)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	return ioctl(d, VFIO_DEVICE_GET_INFO, &info);
}

static CALL int group_flags(int g)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	return ioctl(g, VFIO_GROUP_GET_STATUS, &st) ? -1 : (int)st.flags;
}

static CALL int set_irq(int d, uint32_t index, int efd)
{
	char buf[sizeof(struct vfio_irq_set) + 4] = { 0 };
	struct vfio_irq_set *s = (void *)buf;
	*s = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = index, .count = 1 };
	memcpy(s->data, &efd, 4);
	return ioctl(d, VFIO_DEVICE_SET_IRQS, s);
}

/* Can somebody have the group?  Whoever has a device of it keeps it. */
static CALL int group_free(const char *bdf)
{
	int g = open(group_path(bdf), O_RDWR | O_CLOEXEC);
	if (g < 0)
		return -1;
	close(g);
	return 0;
}

/* ---------------------------------------------------------------- descriptors through a socket */
union one_fd { struct cmsghdr hdr; char buf[CMSG_SPACE(sizeof(int))]; };

static CALL int send_fd(int socket, int fd)
{
	union one_fd control = { 0 };
	struct msghdr msg = { .msg_iov = &(struct iovec){ (char[]){ "x" }, 1 }, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	control.hdr = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -1;
}

static CALL int receive_fd(int socket)
{
	union one_fd control = { 0 };
	struct msghdr msg = { .msg_iov = &(struct iovec){ (char[1]){ 0 }, 1 }, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd = -1;
	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(&control.hdr), sizeof(fd));
	return fd;
}

/* ---------------------------------------------------------------- a BAR as dma-buf */
static CALL int export_bar(int d)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_dma_buf b;
		struct vfio_region_dma_range range;
	} q = { .f = { .argsz = sizeof(q), .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.b = { .open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 1 }, .range = { .length = 4 * PG } };
	return ioctl(d, VFIO_DEVICE_FEATURE, &q);
}

/* ---------------------------------------------------------------- taking a device away */
static CALL int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return n < 0 ? -1 : 0;
}

/* A shell takes edu away from vfio-pci: whoever has it open is asked to give it back first. */
static CALL pid_t unbind_by_shell(void)
{
	char cmd[256];
	pid_t pid = fork();
	if (pid)
		return pid;
	snprintf(cmd, sizeof(cmd), "echo %s > /sys/bus/pci/drivers/vfio-pci/unbind", edu);
	execl("/bin/sh", "sh", "-c", cmd, NULL);
	_exit(127);
}

/* Until the eventfd is signalled, 20 seconds at most: was it? */
static CALL int asked_back(int e)
{
	return poll(&(struct pollfd){ .fd = e, .events = POLLIN }, 1, 20000);
}

/* ---------------------------------------------------------------- containers */
struct ctx { int c, g, d; };

static CALL int type_there(int c)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	return ioctl(c, VFIO_IOMMU_GET_INFO, &info);
}

/* container + group (+ IOMMU type if nonzero) (+ device if dev) */
static CALL struct ctx setup(const char *bdf, int type, int dev)
{
	struct ctx x = { open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), open(group_path(bdf), O_RDWR | O_CLOEXEC), -1 };
	if (x.c < 0 || x.g < 0 || ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c))
		fprintf(stderr, "setup of %s: %m\n", bdf);
	if (type && ioctl(x.c, VFIO_SET_IOMMU, type))
		fprintf(stderr, "SET_IOMMU %d: %m\n", type);
	if (dev && (x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, bdf)) < 0)
		fprintf(stderr, "GET_DEVICE_FD: %m\n");
	return x;
}

static CALL void teardown(struct ctx x)
{
	if (x.d >= 0)
		close(x.d);
	close(x.g);
	close(x.c);
}

static CALL int dma_map(int c, uint32_t flags, void *va, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m), .flags = flags, .vaddr = (uintptr_t)va, .iova = iova, .size = size };
	return ioctl(c, VFIO_IOMMU_MAP_DMA, &m);
}

static uint64_t unmapped;
static CALL int dma_unmap(int c, uint32_t flags, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .flags = flags, .iova = iova, .size = size };
	int r = ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u);
	unmapped = u.size;
	return r;
}
#define TU(what, c, flags, iova, size) ({ long r__ = T(what, dma_unmap(c, flags, iova, size)); \
	note("size out 0x%llx", (unsigned long long)unmapped); r__; })

static CALL int try_mmap(int fd, size_t len, int prot, int flags, uint64_t off)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);
	if (p == MAP_FAILED)
		return -1;
	munmap(p, len);
	return 0;
}

/* The program's main begins with this: addresses from the command line or the environment, and memory. */
static CALL void start(int argc, char **argv)
{
	edu = argc > 1 ? argv[1] : getenv("VFIO_EDU");
	msix = argc > 2 ? argv[2] : getenv("VFIO_NVME");
	if (!edu || !msix) {
		fprintf(stderr, "usage: %s EDU MSIX (PCI addresses)\n", argv[0]);
		exit(2);
	}
	/* With nothing behind it: a call that clears more than there is must not come to what this program is made of. */
	mem = mmap(NULL, 8 * MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	mem += -(uintptr_t)mem & (2 * MB - 1);
	mprotect(mem, 4 * MB, PROT_READ | PROT_WRITE);
	memset(mem, 0, 4 * MB);
}

/* ---------------------------------------------------------------- iommufd */
static CALL int open_cdev(const char *bdf)
{
	char path[320];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	DIR *d = opendir(path);
	if (!d)
		return -1;
	int fd = -1;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "/dev/vfio/devices/%.200s", e->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
	closedir(d);
	return fd;
}

static CALL uint32_t ioas(int i)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };
	return ioctl(i, IOMMU_IOAS_ALLOC, &a) ? 0 : a.out_ioas_id;
}

static CALL int destroy(int i, uint32_t id)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = id };
	return ioctl(i, IOMMU_DESTROY, &d);
}

static uint64_t iova_out;
static CALL int imap(int i, uint32_t as, uint32_t flags, void *va, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map m = { .size = sizeof(m), .flags = flags, .ioas_id = as, .user_va = (uintptr_t)va, .length = len, .iova = iova };
	int r = ioctl(i, IOMMU_IOAS_MAP, &m);
	iova_out = m.iova;
	return r;
}

static CALL int iunmap(int i, uint32_t as, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap u = { .size = sizeof(u), .ioas_id = as, .iova = iova, .length = len };
	int r = ioctl(i, IOMMU_IOAS_UNMAP, &u);
	unmapped = u.length;
	return r;
}
#define TI(what, i, as, iova, len) ({ long r__ = T(what, iunmap(i, as, iova, len)); \
	note("length out 0x%llx", (unsigned long long)unmapped); r__; })
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA
#define WR IOMMU_IOAS_MAP_WRITEABLE
#define RD IOMMU_IOAS_MAP_READABLE

static CALL int attach(int d, uint32_t flags, uint32_t *id)
{
	struct vfio_device_attach_iommufd_pt a = { .argsz = sizeof(a), .flags = flags, .pt_id = *id };
	int r = ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
	*id = a.pt_id;
	return r;
}

static CALL int detach(int d, uint32_t flags)
{
	struct vfio_device_detach_iommufd_pt a = { .argsz = sizeof(a), .flags = flags };
	return ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, &a);
}

static CALL int bind_to(int d, int i, uint32_t *id)
{
	struct vfio_device_bind_iommufd b = { .argsz = sizeof(b), .iommufd = i };
	int r = ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b);
	*id = b.out_devid;
	return r;
}

static CALL int iopt(int i, uint32_t opt, uint16_t op, uint32_t obj, uint64_t *val)
{
	struct iommu_option o = { .size = sizeof(o), .option_id = opt, .op = op, .object_id = obj, .val64 = *val };
	int r = ioctl(i, IOMMU_OPTION, &o);
	*val = o.val64;
	return r;
}

#endif
