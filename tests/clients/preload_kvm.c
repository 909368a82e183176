/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_kvm.c - what tests/conformance/kvm.c does not ask: registers that a guest cannot reach by loads and
 * stores, and a host whose KVM has no device for VFIO.  Needs /dev/kvm.
 */
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "preload_test.h"

static int created;

static int create(int vm, uint32_t flags)
{
	struct kvm_create_device c = { .type = KVM_DEV_TYPE_VFIO, .flags = flags };
	int ret = ioctl(vm, KVM_CREATE_DEVICE, &c);

	created = (int)c.fd;
	return ret;
}

static int set(int fd, uint64_t attr, int file)
{
	struct kvm_device_attr a = { .group = KVM_DEV_VFIO_FILE, .attr = attr, .addr = (uint64_t)(uintptr_t)&file };

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &a);
}

/* From now on KVM_CREATE_DEVICE is what it is on such a host. */
static void host_without_device(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_CREATE_DEVICE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENODEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	ok(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ok(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static int has(int fd)
{
	struct kvm_device_attr a = { .group = KVM_DEV_VFIO_FILE, .attr = KVM_DEV_VFIO_FILE_ADD };

	return ioctl(fd, KVM_HAS_DEVICE_ATTR, &a);
}

static void child_asks(void *device)
{
	gives(has(*(int *)device), EIO); /* the virtual machine is its parent's */
}

/* Until it is killed a child has the device of KVM, and with it the group. */
static void child_keeps(int device, const char *group)
{
	int status;
	pid_t pid = fork();

	ok(pid >= 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	ok(!close(device));
	gives(open(group, O_RDWR), EBUSY);
	ok(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, same, other, device;
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	char path[64], node[64];
	struct edu e;
	uint32_t id;
	ssize_t n;

	if (kvm < 0 || (vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0) {
		printf("SKIP: no KVM here: %s\n", strerror(errno));
		return SKIPPED;
	}
	edu_open(&e);
	/* A guest's loads cannot be trapped: what would need it is not offered, and is reached by pread. */
	ok(!ioctl(e.device, VFIO_DEVICE_GET_REGION_INFO, &bar) && !(bar.flags & VFIO_REGION_INFO_FLAG_MMAP));
	edu_decode(&e, true);
	ok(pread(e.device, &id, 4, (off_t)bar.offset) == 4 && id == EDU_ID);

	same = dup(vm);
	other = ioctl(kvm, KVM_CREATE_VM, 0);
	host_without_device();
	ok(!create(vm, KVM_CREATE_DEVICE_TEST));
	ok(!create(vm, 0));
	device = created;
	ok(fcntl(device, F_GETFD) == FD_CLOEXEC);
	ok(!has(device));
	ok(!in_child(child_asks, &device));
	gives(create(vm, 0), EBUSY);
	gives(create(same, 0), EBUSY);
	ok(!create(other, 0));
	ok(!close(created));
	ok(!set(device, KVM_DEV_VFIO_FILE_ADD, e.group));
	gives(set(device, KVM_DEV_VFIO_FILE_ADD, e.group), EEXIST);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", e.group);
	ok((n = readlink(path, node, sizeof(node) - 1)) > 0);
	node[n] = '\0';
	edu_close(&e); /* it holds the group still */
	gives(open(node, O_RDWR), EBUSY);
	child_keeps(device, node);
	edu_open(&e);
	edu_close(&e);
	ok(!create(same, 0));
	return 0;
}
