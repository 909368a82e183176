/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvm.c - KVM's pseudo device for VFIO (KVM_DEV_TYPE_VFIO).
 *
 * A VMM tells KVM which VFIO files its guest uses, by a device that it creates on the VM and attributes
 * that it sets there.  The host's KVM would refuse our descriptors, so this one device is answered here,
 * the rest of KVM by the host.  What Linux does with the files (cache coherency, references) has no
 * effect on a machine of ours; the checks and errnos are the same.
 *
 * A guest's loads and stores do not fault in this process but leave KVM as a failed KVM_RUN.  So as
 * soon as a VM exists, regions with trapped pages are no longer offered for mmap (vma_no_trap).
 */
#include <linux/kvm.h>
#include <stdlib.h>

#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/vma.h"

#ifndef KVM_DEV_VFIO_FILE
#define KVM_DEV_VFIO_FILE 1
#define KVM_DEV_VFIO_FILE_ADD 1
#define KVM_DEV_VFIO_FILE_DEL 2
#endif

#define FILES_MAX 1024

struct kvm_vfio {
	struct mutex lock;
	struct file *files[FILES_MAX]; /* under lock; each a reference; filled from the front */
	unsigned count;
};

/* ---- the files ----------------------------------------------------------------------------- */

static int find_file(const struct kvm_vfio *kv, const struct file *file)
{
	for (unsigned i = 0; i < kv->count; i++)
		if (kv->files[i] == file)
			return (int)i;
	return -1;
}

/* Takes over the reference if it succeeds. */
static int add_locked(struct kvm_vfio *kv, struct file *file)
{
	lockdep_assert_held(&kv->lock);
	if (find_file(kv, file) >= 0)
		return fail(-EEXIST, "this file was added to the KVM device already");
	if (kv->count == FILES_MAX)
		return fail(-ENOMEM, "a KVM device holds %d files at most", FILES_MAX);
	kv->files[kv->count++] = file;
	return 0;
}

static int file_add(struct kvm_vfio *kv, int fd)
{
	struct file *file = fget(fd);
	int err;

	if (!file)
		return sys_fcntl(fd, F_GETFD, 0) < 0 ? fail(-EBADF, "descriptor %d is not open", fd) :
						       fail(-EINVAL, "descriptor %d is no VFIO file", fd);
	if (file->f_op->kind != FILE_VFIO_GROUP && file->f_op->kind != FILE_VFIO_DEVICE) {
		fput(file);
		return fail(-EINVAL, "descriptor %d is neither a VFIO group nor a VFIO device", fd);
	}
	mutex_lock(&kv->lock);
	err = add_locked(kv, file);
	mutex_unlock(&kv->lock);
	if (err)
		fput(file);
	return err;
}

static int file_del(struct kvm_vfio *kv, int fd)
{
	struct file *file = fget(fd), *held = NULL;
	int at;

	if (!file)
		return sys_fcntl(fd, F_GETFD, 0) < 0 ? fail(-EBADF, "descriptor %d is not open", fd) :
						       fail(-ENOENT, "descriptor %d was not added", fd);
	mutex_lock(&kv->lock);
	at = find_file(kv, file);
	if (at >= 0) {
		held = kv->files[at];
		kv->files[at] = kv->files[--kv->count];
	}
	mutex_unlock(&kv->lock);
	fput(file);
	fput(held);
	return at < 0 ? fail(-ENOENT, "descriptor %d was not added", fd) : 0;
}

/* ---- the device ----------------------------------------------------------------------------- */

static int has_attr(const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_VFIO_FILE &&
	    (attr->attr == KVM_DEV_VFIO_FILE_ADD || attr->attr == KVM_DEV_VFIO_FILE_DEL))
		return 0;
	return fail(-ENXIO, "the KVM device for VFIO has no attribute %llu in group %u",
		    (unsigned long long)attr->attr, attr->group);
}

static int set_attr(struct kvm_vfio *kv, const struct kvm_device_attr *attr)
{
	int32_t fd;

	if (has_attr(attr))
		return -ENXIO;
	if (copy_from_user(&fd, (const void __user *)(uintptr_t)attr->addr, sizeof(fd)))
		return fail(-EFAULT, "no descriptor can be read at address %#llx", (unsigned long long)attr->addr);
	return attr->attr == KVM_DEV_VFIO_FILE_ADD ? file_add(kv, fd) : file_del(kv, fd);
}

static long kvm_vfio_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kvm_device_attr attr;

	switch (cmd) {
	case KVM_SET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		break;
	default:
		return fail(-ENOTTY, "a KVM device knows no ioctl %#x", cmd);
	}
	if (cmd == KVM_GET_DEVICE_ATTR)
		return fail(-EPERM, "the KVM device for VFIO has no attributes to read");
	if (copy_from_user(&attr, (const void __user *)arg, sizeof(attr)))
		return fail(-EFAULT, "no kvm_device_attr can be read at address %#lx", arg);
	return cmd == KVM_HAS_DEVICE_ATTR ? has_attr(&attr) : set_attr(file->private_data, &attr);
}

static void kvm_vfio_release(struct file *file)
{
	struct kvm_vfio *kv = file->private_data;

	while (kv->count)
		fput(kv->files[--kv->count]);
	mutex_destroy(&kv->lock);
	kfree(kv);
}

static const struct file_operations kvm_vfio_fops = {
	.kind = FILE_KVM_DEVICE,
	.release = kvm_vfio_release,
	.ioctl = kvm_vfio_ioctl,
};

static struct file *kvm_vfio_new(void)
{
	struct kvm_vfio *kv = kzalloc(sizeof(*kv));
	struct file *file;

	if (!kv)
		return NULL;
	mutex_init(&kv->lock, LOCK_LOG); /* innermost: nothing is taken under it */
	file = file_alloc(&kvm_vfio_fops, kv, "anon_inode:kvm-vfio", O_RDWR | O_CLOEXEC);
	if (!file) {
		mutex_destroy(&kv->lock);
		kfree(kv);
	}
	return file;
}

/* ---- ioctls on the host's KVM descriptors ---------------------------------------------------- */

static long create_device(int fd, unsigned long arg)
{
	struct kvm_create_device create, probe = { .type = KVM_DEV_TYPE_VFIO, .flags = KVM_CREATE_DEVICE_TEST };
	struct file *file;
	int new_fd;
	long err;

	if (copy_from_user(&create, (const void __user *)arg, sizeof(create)))
		return -EFAULT;
	/* A host without this device is fine, a descriptor that is no VM is not. */
	err = sys_ioctl(fd, KVM_CREATE_DEVICE, (unsigned long)&probe);
	if (err && err != -ENODEV)
		return err;
	if (create.flags & ~(u32)KVM_CREATE_DEVICE_TEST)
		return -EINVAL;
	if (create.flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	file = kvm_vfio_new();
	if (!file)
		return -ENOMEM;
	new_fd = fd_publish(file, true);
	if (new_fd < 0) {
		fput(file);
		return new_fd;
	}
	create.fd = (u32)new_fd;
	if (copy_to_user((void __user *)arg, &create, sizeof(create)))
		return -EFAULT;
	return 0;
}

bool front_kvm_ioctl(int fd, unsigned long request, unsigned long arg, long *ret)
{
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
	*ret = create_device(fd, arg);
	return true;
}
