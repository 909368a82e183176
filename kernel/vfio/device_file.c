/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_file.c - an open VFIO device: the descriptor that GROUP_GET_DEVICE_FD gave.
 *
 * Several descriptors may be open for one device.  The first enables it (ops->open_device), the last
 * disables it, under the lock of the device set, so that a reset of the bus sees a stable answer to
 * "who is open".  Each open file holds three things until it is released, in this order: the opening,
 * the group's file (and so the container), and a reference that vfio_unregister_group_dev() waits for.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "kernel/base/device.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/show.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio_priv.h"

struct vfio_device_file {
	struct vfio_device *vdev;
	struct file *group_file;
}; /* immutable */

/* ---- open and close ---- */

/*
 * Other processes see in the tree that the device is open here: their unbind waits.  -EWOULDBLOCK or
 * a file that is gone mean that one of them is unbinding it now.
 */
static int mark_busy(struct vfio_device *vdev)
{
	char path[512], who[64];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/vfio-dev/%s/dev", vdev->dev->path, vdev->name);
	fd = vfio_busy_lock(path, O_RDONLY, false);
	if (fd == -EWOULDBLOCK)
		return fail(-ENODEV, "%s is being unbound by %s", vdev->dev->name,
			    vfio_busy_holder(path, who, sizeof(who)));
	if (fd == -ENOENT)
		return fail(-ENODEV, "%s was unbound by another process", vdev->dev->name);
	if (fd < 0)
		return fail(fd, "%s in the machine's directory cannot be opened", path);
	ret = fd_private(fd);
	if (ret < 0) {
		sys_close(fd);
		return fail(ret, "no descriptor left to mark %s as open", vdev->dev->name);
	}
	vdev->busy_fd = ret;
	return 0;
}

static void unmark_busy(struct vfio_device *vdev)
{
	fd_private_close(vdev->busy_fd);
	vdev->busy_fd = -1;
}

static int first_open(struct vfio_device *vdev)
{
	int ret = mark_busy(vdev);

	atomic_store(&vdev->precopy_info_v2, false);
	if (ret || !vdev->ops->open_device)
		return ret;
	ret = vdev->ops->open_device(vdev);
	if (!ret)
		return 0;
	unmark_busy(vdev);
	return fail(ret, "%s could not be enabled", vdev->dev->name);
}

static int device_open(struct vfio_device *vdev)
{
	int ret = 0;

	mutex_lock(&vdev->dev_set->lock);
	if (!vdev->open_count)
		ret = first_open(vdev);
	if (!ret)
		vdev->open_count++;
	mutex_unlock(&vdev->dev_set->lock);
	return ret;
}

static void device_close(struct vfio_device *vdev)
{
	mutex_lock(&vdev->dev_set->lock);
	if (--vdev->open_count == 0) {
		if (vdev->ops->close_device)
			vdev->ops->close_device(vdev);
		unmark_busy(vdev);
	}
	mutex_unlock(&vdev->dev_set->lock);
}

void vfio_device_put(struct vfio_device *vdev)
{
	u32 *word = (u32 *)&vdev->refs;

	/* After the decrement the device may be freed: the wake-up then hits an address without waiters. */
	if (atomic_fetch_sub(&vdev->refs, 1) == 1)
		sys_futex(word, FUTEX_WAKE_PRIVATE, ~0u >> 1, NULL);
}

static void drop_what_is_held(struct vfio_device *vdev, struct file *group_file)
{
	vfio_group_unuse_container(vdev->group);
	fput(group_file);
	vfio_device_put(vdev);
}

static void vfio_device_release(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	device_close(df->vdev);
	drop_what_is_held(df->vdev, df->group_file);
	free(df);
}

/* ---- VFIO_DEVICE_FEATURE ---- */

#define FEATURE_METHODS (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET)

int vfio_check_feature(u32 flags, size_t argsz, u32 supported_ops, size_t minsz)
{
	const u32 asked = flags & FEATURE_METHODS;
	const unsigned number = flags & VFIO_DEVICE_FEATURE_MASK;

	if (asked & ~supported_ops)
		return fail(-EINVAL, "feature %u cannot be %s", number,
			    asked & ~supported_ops & VFIO_DEVICE_FEATURE_GET ? "read (GET)"
									     : "written (SET)");
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!asked)
		return fail(-EINVAL, "feature %u: none of GET, SET and PROBE is set in flags", number);
	if (argsz < minsz)
		return fail(-EINVAL, "feature %u needs %zu bytes of data, argsz leaves %zu", number, minsz,
			    argsz);
	return 1;
}

static int dispatch_feature(struct vfio_device *vdev, u32 flags, void __user *data, size_t data_size)
{
	int ret;

	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
	case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		return vfio_migration_feature(vdev, flags, data, data_size);
	}
	ret = vdev->ops->device_feature ? vdev->ops->device_feature(vdev, flags, data, data_size) : -ENOTTY;
	if (ret == -ENOTTY)
		return fail(ret, "%s has no feature %u", vdev->ops->name, flags & VFIO_DEVICE_FEATURE_MASK);
	return ret;
}

static long device_feature(struct vfio_device *vdev, void __user *arg)
{
	const u32 known = VFIO_DEVICE_FEATURE_MASK | FEATURE_METHODS | VFIO_DEVICE_FEATURE_PROBE;
	struct vfio_device_feature feature;

	if (copy_from_user(&feature, arg, sizeof(feature)))
		return fail(-EFAULT, "struct vfio_device_feature at %p cannot be read", arg);
	if (feature.argsz < sizeof(feature))
		return fail(-EINVAL, "argsz is %u, struct vfio_device_feature has %zu bytes", feature.argsz,
			    sizeof(feature));
	if (feature.flags & ~known)
		return fail(-EINVAL, "flags %#x: bits %#x are unknown", feature.flags,
			    feature.flags & ~known);
	if (!(feature.flags & VFIO_DEVICE_FEATURE_PROBE) &&
	    (feature.flags & FEATURE_METHODS) == FEATURE_METHODS)
		return fail(-EINVAL, "flags %#x: GET and SET together are only for PROBE", feature.flags);
	return dispatch_feature(vdev, feature.flags, (char *)arg + sizeof(feature),
				feature.argsz - sizeof(feature));
}

/* ---- file operations ---- */

static struct vfio_device *file_vdev(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	return df->vdev;
}

static long vfio_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_device *vdev = file_vdev(file);

	switch (cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		return fail(-EINVAL,
			    "VFIO_DEVICE_BIND_IOMMUFD is for /dev/vfio/devices/vfioN, not for a group's device");
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return fail(-ENOTTY, "request %#x is for a device bound to an iommufd, not for a group's",
			    cmd);
	case VFIO_DEVICE_FEATURE:
		return device_feature(vdev, (void __user *)arg);
	}
	if (!vdev->ops->ioctl)
		return fail(-EINVAL, "%s takes no requests", vdev->ops->name);
	return vdev->ops->ioctl(vdev, cmd, arg);
}

static ssize_t vfio_device_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	struct vfio_device *vdev = file_vdev(file);

	if (!vdev->ops->read)
		return fail(-EINVAL, "%s cannot be read", vdev->ops->name);
	return vdev->ops->read(vdev, buf, len, pos);
}

static ssize_t vfio_device_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	struct vfio_device *vdev = file_vdev(file);

	if (!vdev->ops->write)
		return fail(-EINVAL, "%s cannot be written", vdev->ops->name);
	return vdev->ops->write(vdev, buf, len, pos);
}

static int vfio_device_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	struct vfio_device *vdev = file_vdev(file);

	if (!vdev->ops->mmap)
		return fail(-EINVAL, "%s cannot be mapped", vdev->ops->name);
	return vdev->ops->mmap(vdev, vma, map_flags);
}

static void vfio_device_show(struct file *file, struct show *out)
{
	show(out, "device %s\n", file_vdev(file)->dev->name);
}

static int vfio_device_fdinfo(struct file *file, char *buf, size_t size)
{
	return snprintf(buf, size, "vfio-device-syspath: /%s\n", file_vdev(file)->dev->path);
}

static const struct file_operations vfio_device_fops = {
	.kind = FILE_VFIO_DEVICE,
	.release = vfio_device_release,
	.ioctl = vfio_device_ioctl,
	.read = vfio_device_read,
	.write = vfio_device_write,
	.mmap = vfio_device_mmap,
	.fdinfo = vfio_device_fdinfo,
	.show = vfio_device_show,
};

/* On success the file owns what the caller held. */
static struct file *make_file(struct vfio_device *vdev, struct file *group_file)
{
	struct vfio_device_file *df = malloc(sizeof(*df));
	struct file *file;

	if (!df)
		return NULL;
	*df = (struct vfio_device_file){ .vdev = vdev, .group_file = group_file };
	file = file_alloc(&vfio_device_fops, df, "anon_inode:[vfio-device]", O_RDWR);
	if (!file) {
		free(df);
		return NULL;
	}
	file->mode = S_IRUSR | S_IWUSR; /* an anonymous inode has no type */
	file->numbered = vdev->ops->numbered;
	return file;
}

int vfio_device_open_file(struct vfio_device *vdev, struct file *group_file)
{
	struct file *file;
	int ret = device_open(vdev);

	if (ret)
		goto err_drop;
	file = make_file(vdev, group_file);
	if (!file) {
		ret = fail(-ENOMEM, "no memory for a descriptor of %s", vdev->dev->name);
		goto err_close;
	}
	ret = fd_publish(file, true);
	if (ret < 0) {
		fail(ret, "no descriptor for %s", vdev->dev->name);
		fput(file); /* releases all */
	}
	return ret;

err_close:
	device_close(vdev);
err_drop:
	drop_what_is_held(vdev, group_file);
	return ret;
}
