/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio.c - the device of KVM that is told which VFIO files a virtual machine uses (KVM_DEV_TYPE_VFIO).
 *
 * A VMM makes one on its virtual machine and adds groups and devices to it by attributes.  What Linux does with
 * them (are they coherent with caches, which machine may a device be opened for) has no effect on devices of ours.
 * What can be seen is that each file is held: a group or device that was added stays open when the program closes
 * it, until it is taken out or the device of KVM is closed.
 *
 * A virtual machine has one such device at most.  The host's KVM sees to that where it has this kind of device itself.
 */
#include "kernel/kvm/vfio.h"

#include <bsd/sys/queue.h>
#include <fcntl.h>
#include <linux/kvm.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

struct kvm_vfio_file {
	TAILQ_ENTRY(kvm_vfio_file) next; /* kvm_vfio.lock */
	struct file *file;		 /* a reference; immutable */
};

struct kvm_vfio {
	struct mutex lock;
	TAILQ_HEAD(, kvm_vfio_file) files; /* lock */
	const struct mm *mm;		   /* of the process whose virtual machine it is; immutable */
	int vm;				   /* private descriptor of the virtual machine that we watch over; -1; immutable */
	TAILQ_ENTRY(kvm_vfio) watched;	   /* watch_lock, if vm >= 0 */
};

static struct mutex watch_lock = MUTEX_INITIALIZER(LOCK_KVM_VFIO_WATCH);
static TAILQ_HEAD(, kvm_vfio) all_watched = TAILQ_HEAD_INITIALIZER(all_watched); /* watch_lock */

typedef unsigned long long ull;

/* ---- the files ---- */

static struct kvm_vfio_file *find_locked(struct kvm_vfio *kv, const struct file *file)
{
	struct kvm_vfio_file *kvf;

	lockdep_assert_held(&kv->lock);
	TAILQ_FOREACH(kvf, &kv->files, next)
		if (kvf->file == file)
			return kvf;
	return NULL;
}

static void kvm_vfio_file_free(struct kvm_vfio_file *kvf)
{
	if (kvf)
		fput(kvf->file);
	kfree(kvf);
}

/* The VFIO file behind a descriptor, with a reference; ERR_PTR. */
static struct file *vfio_fget(int fd)
{
	struct file *file = fget(fd);

	if (!file && fd_check_open(fd))
		return ERR_PTR(-EBADF);
	if (file && (file->f_op->kind == FILE_VFIO_GROUP || file->f_op->kind == FILE_VFIO_DEVICE))
		return file;
	fput(file);
	return ERR_PTR(fail(-EINVAL, "descriptor %d is neither a VFIO group nor a VFIO device", fd));
}

static int file_add(struct kvm_vfio *kv, int fd)
{
	struct file *file = vfio_fget(fd);
	struct kvm_vfio_file *kvf;
	bool there;

	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	kvf = kzalloc(sizeof(*kvf));
	if (!kvf) {
		fput(file);
		return fail(-ENOMEM, "no memory for one more file of a virtual machine");
	}
	kvf->file = file;
	mutex_lock(&kv->lock);
	there = find_locked(kv, file);
	if (!there)
		TAILQ_INSERT_TAIL(&kv->files, kvf, next);
	mutex_unlock(&kv->lock);
	if (!there)
		return 0;
	kvm_vfio_file_free(kvf);
	return fail(-EEXIST, "descriptor %d was added to this device of KVM already", fd);
}

static int file_del(struct kvm_vfio *kv, int fd)
{
	struct kvm_vfio_file *kvf;
	struct file *file = fget(fd);

	if (!file && fd_check_open(fd))
		return -EBADF;
	mutex_lock(&kv->lock);
	kvf = find_locked(kv, file);
	if (kvf)
		TAILQ_REMOVE(&kv->files, kvf, next);
	mutex_unlock(&kv->lock);
	fput(file);
	if (!kvf)
		return fail(-ENOENT, "descriptor %d was not added to this device of KVM", fd);
	kvm_vfio_file_free(kvf);
	return 0;
}

/* ---- attributes ---- */

static int has_attr(const struct kvm_device_attr *attr)
{
	if (attr->group != KVM_DEV_VFIO_FILE)
		return fail(-ENXIO, "the device of KVM for VFIO has attributes in group %d only, not %u",
			    KVM_DEV_VFIO_FILE, attr->group);
	if (attr->attr == KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE)
		return fail(-ENXIO, "only POWER has the attribute KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE");
	if (attr->attr != KVM_DEV_VFIO_FILE_ADD && attr->attr != KVM_DEV_VFIO_FILE_DEL)
		return fail(-ENXIO, "the device of KVM for VFIO has no attribute %llu", (ull)attr->attr);
	return 0;
}

static int set_attr(struct kvm_vfio *kv, const struct kvm_device_attr *attr)
{
	int err = has_attr(attr);
	int32_t fd;

	if (err)
		return err;
	if (copy_from_user(&fd, (const void __user *)(uintptr_t)attr->addr, sizeof(fd)))
		return fail(-EFAULT, "no descriptor can be read at address %#llx", (ull)attr->addr);
	return attr->attr == KVM_DEV_VFIO_FILE_ADD ? file_add(kv, fd) : file_del(kv, fd);
}

static long kvm_vfio_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct kvm_vfio *kv = file->private_data;
	struct kvm_device_attr attr;

	if (current_mm() != kv->mm)
		return fail(-EIO, "the virtual machine is another process's");
	switch (cmd) {
	case KVM_GET_DEVICE_ATTR:
		return fail(-EPERM, "the device of KVM for VFIO has no attributes to read");
	case KVM_SET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		break;
	default:
		return fail(-ENOTTY, "a device of KVM knows no ioctl %#x", cmd);
	}
	if (copy_from_user(&attr, (const void __user *)arg, sizeof(attr)))
		return fail(-EFAULT, "struct kvm_device_attr at %#lx cannot be read", arg);
	return cmd == KVM_HAS_DEVICE_ATTR ? has_attr(&attr) : set_attr(file->private_data, &attr);
}

/* ---- the device ---- */

static void kvm_vfio_free(struct kvm_vfio *kv)
{
	struct kvm_vfio_file *kvf;

	if (kv->vm >= 0) {
		mutex_lock(&watch_lock);
		TAILQ_REMOVE(&all_watched, kv, watched);
		mutex_unlock(&watch_lock);
		fd_private_close(kv->vm);
	}
	while ((kvf = TAILQ_FIRST(&kv->files))) {
		TAILQ_REMOVE(&kv->files, kvf, next);
		kvm_vfio_file_free(kvf);
	}
	mutex_destroy(&kv->lock);
	kfree(kv);
}

static void kvm_vfio_release(struct file *file)
{
	kvm_vfio_free(file->private_data);
}

static const struct file_operations kvm_vfio_fops = {
	.kind = FILE_KVM_DEVICE,
	.shared = true,
	.stream = true,
	.release = kvm_vfio_release,
	.ioctl = kvm_vfio_ioctl,
};

/* Has the virtual machine no other device?  Without kcmp() nobody can say that it has. */
static int watch(struct kvm_vfio *kv, int vm)
{
	struct kvm_vfio *other;
	int err = 0;

	kv->vm = fd_private_dup(vm);
	if (kv->vm < 0)
		return fail(kv->vm, "the virtual machine's descriptor cannot be kept");
	mutex_lock(&watch_lock);
	TAILQ_FOREACH(other, &all_watched, watched)
		if (!sys_kcmp_file(kv->vm, other->vm))
			err = -EBUSY;
	TAILQ_INSERT_TAIL(&all_watched, kv, watched);
	mutex_unlock(&watch_lock);
	return err ? fail(err, "the virtual machine has a device for VFIO already") : 0;
}

struct file *kvm_vfio_create(int vm)
{
	struct kvm_vfio *kv = kzalloc(sizeof(*kv));
	struct file *file;
	int err;

	if (!kv)
		return ERR_PTR(fail(-ENOMEM, "no memory for a device of KVM"));
	kv->vm = -1;
	kv->mm = current_mm();
	mutex_init(&kv->lock, LOCK_KVM_VFIO);
	TAILQ_INIT(&kv->files);
	err = vm < 0 ? 0 : watch(kv, vm);
	file = err ? ERR_PTR(err) : file_alloc(&kvm_vfio_fops, kv, "anon_inode:kvm-vfio", O_RDWR | O_CLOEXEC);
	if (!file)
		file = ERR_PTR(fail(-ENOMEM, "no memory for the file of a device of KVM"));
	if (IS_ERR(file))
		kvm_vfio_free(kv);
	return file;
}
