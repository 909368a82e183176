/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_kvm.c - the KVM device that tells KVM of VFIO files.  Needs /dev/kvm; what it answers for the
 * rest is the host's business.
 */
#include <linux/kvm.h>

#include "preload_test.h"

#ifndef KVM_DEV_VFIO_FILE
#define KVM_DEV_VFIO_FILE 1
#define KVM_DEV_VFIO_FILE_ADD 1
#define KVM_DEV_VFIO_FILE_DEL 2
#endif

static int set(int fd, uint32_t group, uint64_t attr, const int *file)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uint64_t)(uintptr_t)file };

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &a);
}

static int has(int fd, uint32_t group, uint64_t attr)
{
	struct kvm_device_attr a = { .group = group, .attr = attr };

	return ioctl(fd, KVM_HAS_DEVICE_ATTR, &a);
}

int main(void)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO, .flags = KVM_CREATE_DEVICE_TEST };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, null = open("/dev/null", O_RDONLY), closed = 999;
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	uint32_t id;
	struct edu e;

	if (kvm < 0 || (vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0) {
		printf("SKIP: no KVM here: %s\n", strerror(errno));
		return SKIPPED;
	}
	edu_open(&e);
	/* A guest's loads cannot be trapped: what would need it is not offered, and is reached by pread. */
	ok(!ioctl(e.device, VFIO_DEVICE_GET_REGION_INFO, &bar) && !(bar.flags & VFIO_REGION_INFO_FLAG_MMAP));
	edu_decode(&e, true);
	ok(pread(e.device, &id, 4, (off_t)bar.offset) == 4 && id == EDU_ID);
	ok(!ioctl(vm, KVM_CREATE_DEVICE, &create));
	gives(ioctl(null, KVM_CREATE_DEVICE, &create), ENOTTY);
	gives(ioctl(vm, KVM_CREATE_DEVICE, 8), EFAULT);
	create.flags = 0;
	ok(!ioctl(vm, KVM_CREATE_DEVICE, &create));
	ok(fcntl((int)create.fd, F_GETFD) == FD_CLOEXEC);
	ok(!has((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD));
	gives(has((int)create.fd, KVM_DEV_VFIO_FILE, 77), ENXIO);
	gives(has((int)create.fd, 5, KVM_DEV_VFIO_FILE_ADD), ENXIO);
	ok(!set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &e.group));
	gives(set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &e.group), EEXIST);
	ok(!set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &e.device));
	gives(set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &null), EINVAL);
	gives(set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &e.container), EINVAL);
	gives(set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &closed), EBADF);
	gives(set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL), EFAULT);
	ok(!set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, &e.group));
	gives(set((int)create.fd, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, &e.group), ENOENT);
	gives(ioctl((int)create.fd, KVM_RUN, 0), ENOTTY);
	edu_close(&e);		      /* it holds the device still */
	ok(!close((int)create.fd));
	edu_open(&e);
	edu_close(&e);
	return 0;
}
