/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_file.c - an open VFIO device: the descriptor that GROUP_GET_DEVICE_FD gave, or that of the
 * device's own node (device_cdev.c).
 *
 * Several descriptors of a group may be open for one device.  The first enables it (ops->open_device), the
 * last disables it, under the lock of the device set, so that a reset of the bus sees a stable answer to
 * "who is open".  Each open file holds three things until it is released, in this order: the opening,
 * the group's file (and so the container), and a reference that vfio_unregister_group_dev() waits for.
 *
 * A file of the device's own node is open and good for nothing until it is bound to an iommufd: then
 * access_granted is set, once, and never cleared.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kernel/base/device.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/show.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio_priv.h"

#define LOOKS 10

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
	for (int i = 0; fd == -EWOULDBLOCK && i < LOOKS; i++) {
		const struct timespec moment = { .tv_nsec = 1000 * 1000 };
		u32 word = 0;

		sys_futex(&word, FUTEX_WAIT_PRIVATE, 0, &moment); /* perhaps somebody only asks who has it (vfio_device_used()) */
		fd = vfio_busy_lock(path, O_RDONLY, false);
	}
	if (fd == -EWOULDBLOCK)
		return fail(-ENODEV, "%s is being unbound by %s", vdev->dev->name,
			    vfio_busy_holder(path, who, sizeof(who)));
	if (fd == -ENOENT)
		return fail(-ENODEV, "%s was unbound by another process", vdev->dev->name);
	if (fd < 0)
		return fail(fd, "%s in the machine's directory cannot be opened", path);
	ret = fd_private_exclusive(fd);
	if (ret < 0) {
		sys_close(fd);
		return fail(ret, "no descriptor left to mark %s as open", vdev->dev->name);
	}
	vdev->busy_fd = ret;
	return 0;
}

int vfio_device_busy_get(struct vfio_device *vdev)
{
	int ret = 0;

	lockdep_assert_held(&vdev->dev_set->lock);
	if (!vdev->busy_users)
		ret = mark_busy(vdev);
	if (ret || vdev->busy_users++)
		return ret;
	device_used(vdev->dev, true);
	vfio_asked_add(vdev);
	return 0;
}

void vfio_device_busy_put(struct vfio_device *vdev)
{
	lockdep_assert_held(&vdev->dev_set->lock);
	if (--vdev->busy_users)
		return;
	vfio_asked_del(vdev);
	device_used(vdev->dev, false);
	fd_private_close(vdev->busy_fd);
	vdev->busy_fd = -1;
}

static int enable(struct vfio_device *vdev)
{
	int ret = vdev->ops->open_device ? vdev->ops->open_device(vdev) : 0;

	return ret ? fail(ret, "%s could not be enabled", vdev->dev->name) : 0;
}

/* A group's device without an IOMMU has nothing to do with the iommufd in place of its container. */
static bool is_to_be_bound(const struct vfio_device_file *df)
{
	return df->iommufd && !(df->by_group && df->vdev->group->type == VFIO_NO_IOMMU);
}

static int bind_iommufd(struct vfio_device_file *df)
{
	u32 id;
	int ret = vfio_iommufd_bind(df->vdev, df->iommufd, &id);

	if (!ret && df->by_group)
		ret = vfio_iommufd_compat_attach(df->vdev, df->iommufd);
	return ret;
}

static int first_open(struct vfio_device_file *df)
{
	struct vfio_device *vdev = df->vdev;
	int ret = vfio_device_busy_get(vdev);

	if (ret)
		return ret;
	if (is_to_be_bound(df))
		ret = bind_iommufd(df);
	atomic_store(&vdev->precopy_info_v2, false);
	if (!ret)
		ret = enable(vdev);
	if (!ret)
		return 0;
	vfio_iommufd_unbind(vdev);
	vfio_device_busy_put(vdev);
	return ret;
}

int vfio_df_open(struct vfio_device_file *df)
{
	struct vfio_device *vdev = df->vdev;
	int ret = 0;

	lockdep_assert_held(&vdev->dev_set->lock);
	if (vdev->open_count && !df->by_group)
		return fail(-EINVAL, "%s is in use already, by another descriptor or one got from its group",
			    vdev->dev->name);
	if (!vdev->open_count)
		ret = first_open(df);
	if (!ret)
		vdev->open_count++;
	return ret;
}

void vfio_df_close(struct vfio_device_file *df)
{
	struct vfio_device *vdev = df->vdev;

	lockdep_assert_held(&vdev->dev_set->lock);
	if (--vdev->open_count)
		return;
	if (vdev->ops->close_device)
		vdev->ops->close_device(vdev);
	vfio_iommufd_unbind(vdev);
	vfio_device_busy_put(vdev);
}

static int group_device_open(struct vfio_device_file *df)
{
	int ret;

	mutex_lock(&df->vdev->dev_set->lock);
	if (df->vdev->open_count && vfio_asked_is_wanted(df->vdev))
		ret = fail(-ENODEV, "%s is being unbound by another process: it cannot be opened any more",
			   df->vdev->dev->name);
	else
		ret = vfio_df_open(df);
	mutex_unlock(&df->vdev->dev_set->lock);
	return ret;
}

static void group_device_close(struct vfio_device_file *df)
{
	mutex_lock(&df->vdev->dev_set->lock);
	vfio_df_close(df);
	mutex_unlock(&df->vdev->dev_set->lock);
}

void vfio_device_put(struct vfio_device *vdev)
{
	u32 *word = (u32 *)&vdev->refs;

	/* After the decrement the device may be freed: the wake-up then hits an address without waiters. */
	if (atomic_fetch_sub(&vdev->refs, 1) == 1)
		sys_futex(word, FUTEX_WAKE_PRIVATE, ~0u >> 1, NULL);
}

static void drop_what_is_held(struct vfio_device *vdev, struct file *group_file, struct iommufd_ctx *ictx)
{
	iommufd_ctx_put(ictx);
	if (group_file) {
		vfio_group_unuse_container(vdev->group);
		fput(group_file);
	}
	vfio_device_put(vdev);
}

static void vfio_device_release(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	if (df->by_group) {
		group_device_close(df);
		drop_what_is_held(df->vdev, df->group_file, df->iommufd);
	} else {
		vfio_df_cdev_release(df, file);
	}
	kfree(df);
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

static struct vfio_device_file *file_df(struct file *file)
{
	return file->private_data;
}

static struct vfio_device *file_vdev(struct file *file)
{
	return file_df(file)->vdev;
}

static int no_access(struct file *file)
{
	return fail(-EINVAL, "this descriptor of %s is not bound: VFIO_DEVICE_BIND_IOMMUFD comes first",
		    file_vdev(file)->dev->name);
}

static bool has_access(struct file *file)
{
	return likely(atomic_load_explicit(&file_df(file)->access_granted, memory_order_acquire));
}

static long not_a_groups(unsigned int cmd)
{
	return fail(-ENOTTY, "request %#x is for a device bound to an iommufd, not for a group's", cmd);
}

static long vfio_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_device_file *df = file_df(file);
	struct vfio_device *vdev = df->vdev;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfio_df_bind_iommufd(df, file, (void __user *)arg);
	if (!has_access(file))
		return no_access(file);
	switch (cmd) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return df->by_group ? not_a_groups(cmd) : vfio_df_attach_pt(df, (void __user *)arg);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return df->by_group ? not_a_groups(cmd) : vfio_df_detach_pt(df, (void __user *)arg);
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

	if (!has_access(file))
		return no_access(file);
	if (!vdev->ops->read)
		return fail(-EINVAL, "%s cannot be read", vdev->ops->name);
	return vdev->ops->read(vdev, buf, len, pos);
}

static ssize_t vfio_device_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	struct vfio_device *vdev = file_vdev(file);

	if (!has_access(file))
		return no_access(file);
	if (!vdev->ops->write)
		return fail(-EINVAL, "%s cannot be written", vdev->ops->name);
	return vdev->ops->write(vdev, buf, len, pos);
}

static int vfio_device_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	struct vfio_device *vdev = file_vdev(file);

	if (!has_access(file))
		return no_access(file);
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

const struct file_operations vfio_device_fops = {
	.kind = FILE_VFIO_DEVICE,
	.shared = true,
	.release = vfio_device_release,
	.ioctl = vfio_device_ioctl,
	.read = vfio_device_read,
	.write = vfio_device_write,
	.mmap = vfio_device_mmap,
	.fdinfo = vfio_device_fdinfo,
	.show = vfio_device_show,
};

/* The file is closed, or never was there: what the device file was made of is the caller's. */
static struct file *make_file(struct vfio_device_file *df)
{
	struct file *file = file_alloc(&vfio_device_fops, df, "anon_inode:[vfio-device]", O_RDWR);

	if (!file)
		return NULL;
	file->numbered = df->vdev->ops->numbered;
	return file;
}

int vfio_device_open_file(struct vfio_device *vdev, struct file *group_file, struct iommufd_ctx *ictx)
{
	struct vfio_device_file *df = kzalloc(sizeof(*df));
	struct file *file;
	int ret = -ENOMEM;

	if (!df)
		goto err_drop;
	*df = (struct vfio_device_file){
		.vdev = vdev, .by_group = true, .group_file = group_file, .iommufd = ictx, .access_granted = true,
	};
	ret = group_device_open(df);
	if (ret)
		goto err_free;
	file = make_file(df);
	if (!file) {
		ret = -ENOMEM;
		goto err_close;
	}
	ret = fd_publish(file, true);
	if (ret < 0) {
		fail(ret, "no descriptor for %s", vdev->dev->name);
		fput(file); /* releases all */
	}
	return ret;

err_close:
	group_device_close(df);
err_free:
	kfree(df);
err_drop:
	if (ret == -ENOMEM)
		fail(ret, "no memory for a descriptor of %s", vdev->dev->name);
	drop_what_is_held(vdev, group_file, ictx);
	return ret;
}
