/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvm.c - ioctls on the host's KVM: which of them are ours?
 *
 * Virtual machines are the host's, and so is all that a program asks of them but one thing: the device that is told
 * of VFIO files (kernel/kvm/vfio.c), as the host's would refuse ours.  Where the host has that kind of device too, it
 * makes one, whose descriptor the program gets and ours stands behind: so it is the host that knows whose virtual
 * machine it is and whether that has such a device, and that keeps it as long as the device is open.
 *
 * A guest's loads and stores do not fault in this process but leave KVM as a failed KVM_RUN.  So as soon as there is a
 * virtual machine, regions with trapped pages are no longer offered for mmap (vma_no_trap).
 */
#include <linux/kvm.h>

#include "front/preload/front.h"
#include "kernel/kvm/vfio.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/syscall.h"

static const char *why(long err)
{
	switch (err) {
	case -EBUSY:
		return "the virtual machine has a device for VFIO already";
	case -EIO:
		return "another process made the virtual machine";
	case -ENOTTY:
		return "it is no virtual machine";
	default:
		return strerrordesc_np((int)-err);
	}
}

/* The host's device became descriptor @fd: from now on it means @file. */
static long stand_behind(int fd, struct file *file)
{
	int err;

	file->on_host = true;
	err = front_fd_install(fd, file);
	if (!err)
		return fd;
	sys_close(fd);
	return fail(err, "descriptor %d is too high", fd);
}

/* Also when that was only a test; and a descriptor that the program cannot be told of stays, as on Linux. */
static long give_back(unsigned long arg, const struct kvm_create_device *create)
{
	return copy_to_user((void __user *)arg, create, sizeof(*create)) ?
	       fail(-EFAULT, "struct kvm_create_device at %#lx cannot be written", arg) : 0;
}

static long create_device(int vm, unsigned long arg)
{
	struct kvm_create_device create;
	bool on_host = true;
	struct file *file;
	long ret;

	if (copy_from_user(&create, (const void __user *)arg, sizeof(create)))
		return fail(-EFAULT, "struct kvm_create_device at %#lx cannot be read", arg);
	ret = sys_ioctl(vm, KVM_CREATE_DEVICE, (unsigned long)&create);
	if (ret == -ENODEV)
		on_host = false;
	else if (ret)
		return fail(ret, "the host's KVM says of descriptor %d: %s", vm, why(ret));
	if (create.flags & KVM_CREATE_DEVICE_TEST)
		return give_back(arg, &create);
	file = kvm_vfio_create(on_host ? -1 : vm);
	if (IS_ERR(file)) {
		if (on_host)
			sys_close((int)create.fd);
		return PTR_ERR(file);
	}
	ret = on_host ? stand_behind((int)create.fd, file) : front_fd_open(file, true);
	if (ret < 0) {
		if (!on_host)
			fput(file);
		return ret;
	}
	create.fd = (u32)ret;
	return give_back(arg, &create);
}

/* To --trace and --explain a virtual machine is a file of ours too: its private data is the descriptor. */
static long vm_ioctl(struct file *vm, unsigned int cmd, unsigned long arg)
{
	return create_device((int)(intptr_t)vm->private_data, arg);
}

static const struct file_operations vm_fops = { .kind = FILE_KVM_VM, .ioctl = vm_ioctl };

bool front_kvm_ioctl(int fd, unsigned long request, unsigned long arg, long *ret)
{
	struct file vm = { .f_op = &vm_fops, .private_data = (void *)(intptr_t)fd, .path = "anon_inode:kvm-vm",
			   .backing_fd = -1 };
	u32 type;

	if (likely((request & 0xff00) != KVMIO << 8) || !*path_machine())
		return false;
	if (request == KVM_CREATE_VM) {
		*ret = sys_ioctl(fd, request, arg);
		if (*ret >= 0)
			vma_no_trap = true;
		return true;
	}
	if (request != KVM_CREATE_DEVICE || copy_from_user(&type, (const void __user *)arg, sizeof(type)) ||
	    type != KVM_DEV_TYPE_VFIO)
		return false;
	if (front_attach())
		return false;
	FRONT_IN_KERNEL;
	*ret = do_ioctl(fd, &vm, (unsigned)request, arg);
	return true;
}
