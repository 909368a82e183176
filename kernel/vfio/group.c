/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * group.c - /dev/vfio/N: an IOMMU group as a program holds it.
 *
 * The node is there while at least one device of the group has a VFIO driver.  It opens once at a
 * time, in all processes together: the file in the machine's tree is locked for as long as it is open
 * (busy.c), and that locked descriptor is the one that the program gets dups of.
 *
 * What is dangerous: the group's file outlives the group (its devices may be unbound meanwhile), so
 * every operation looks at iommu_group first; and an open device holds the group's file, so closing a
 * device may run this file's release.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "kernel/base/device.h"
#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio_priv.h"

/* All groups there ever were; tree lock. */
static TAILQ_HEAD(, vfio_group) groups = TAILQ_HEAD_INITIALIZER(groups);

static const struct file_operations vfio_group_fops;

/* ---- ioctls ---- */

const char *vfio_group_name(const struct vfio_group *group)
{
	return group->node + strlen("vfio/");
}

static int dead(const struct vfio_group *group)
{
	return fail(-ENODEV, "group %u has no device with a VFIO driver any more: close it and open it anew",
		    group->id);
}

/* Which device makes the group unfit: the answer that everybody looks for. */
static int note_host_driver(struct device *dev, void *arg)
{
	const struct vfio_group *group = arg;

	if (!dev->driver || dev->driver->driver_managed_dma)
		return 0;
	explain_note("group %u is not viable: %s is bound to %s; unbind it, then bind vfio-pci", group->id,
		     dev->name, dev->driver->name);
	return 1;
}

static void note_not_viable(struct vfio_group *group)
{
	if (!iommu_group_for_each_dev(group->iommu_group, group, note_host_driver))
		explain_note("group %u is not viable: its DMA belongs to somebody else", group->id);
}

static long get_status(struct vfio_group *group, void __user *arg)
{
	struct vfio_group_status status;

	if (copy_from_user(&status, arg, sizeof(status)))
		return fail(-EFAULT, "struct vfio_group_status at %p cannot be read", arg);
	if (status.argsz < sizeof(status))
		return fail(-EINVAL, "argsz is %u, struct vfio_group_status has %zu bytes", status.argsz,
			    sizeof(status));
	status.flags = 0;
	mutex_lock(&group->group_lock);
	if (!group->iommu_group) {
		mutex_unlock(&group->group_lock);
		return dead(group);
	}
	if (group->container || group->iommufd)
		status.flags = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (group->type == VFIO_NO_IOMMU || !iommu_group_dma_owner_claimed(group->iommu_group))
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
	if (!status.flags && explain_enabled)
		note_not_viable(group);
	mutex_unlock(&group->group_lock);
	if (copy_to_user(arg, &status, sizeof(status)))
		return fail(-EFAULT, "struct vfio_group_status at %p cannot be written", arg);
	return 0;
}

/* An iommufd in the place of a container: devices are bound to it when they are opened. */
static int attach_iommufd(struct vfio_group *group, struct iommufd_ctx *ictx)
{
	int ret = group->type == VFIO_NO_IOMMU ? iommufd_vfio_compat_set_no_iommu(ictx)
					       : iommufd_vfio_compat_ioas_create(ictx);

	if (ret)
		iommufd_ctx_put(ictx);
	else
		group->iommufd = ictx;
	return ret;
}

static int attach_file(struct vfio_group *group, int fd, struct file *file)
{
	struct iommufd_ctx *ictx;

	if (group->container || group->iommufd)
		return fail(-EINVAL, "group %u is in a container already", group->id);
	if (!group->iommu_group)
		return dead(group);
	if (file && file->f_op == &vfio_container_fops)
		return vfio_container_attach_group(file->private_data, group);
	if (!file || file->f_op->kind != FILE_IOMMUFD)
		return fail(-EBADFD, "descriptor %d is not an open /dev/vfio/vfio, nor /dev/iommu", fd);
	ictx = iommufd_ctx_from_file(file);
	return IS_ERR(ictx) ? (int)PTR_ERR(ictx) : attach_iommufd(group, ictx);
}

/* group_lock held.  Devices that are bound to the iommufd stay so until they are closed. */
static void leave_container_locked(struct vfio_group *group)
{
	if (group->container)
		vfio_container_detach_group(group);
	iommufd_ctx_put(group->iommufd);
	group->iommufd = NULL;
}

static long set_container(struct vfio_group *group, void __user *arg)
{
	struct file *file;
	long ret;
	int fd;

	if (copy_from_user(&fd, arg, sizeof(fd)))
		return fail(-EFAULT, "the container's descriptor at %p cannot be read", arg);
	if (fd < 0)
		return fail(-EBADF, "descriptor %d is negative", fd);
	file = fget(fd);
	if (!file && fd_check_open(fd))
		return -EBADF;
	mutex_lock(&group->group_lock);
	ret = attach_file(group, fd, file);
	mutex_unlock(&group->group_lock);
	fput(file);
	return ret;
}

static long unset_container(struct vfio_group *group)
{
	long ret = 0;

	mutex_lock(&group->group_lock);
	if (!group->container && !group->iommufd)
		ret = fail(-EINVAL, "group %u is in no container", group->id);
	else if (group->container_users)
		ret = fail(-EBUSY, "%u device descriptors of group %u are open: close them first",
			   group->container_users, group->id);
	else
		leave_container_locked(group);
	mutex_unlock(&group->group_lock);
	return ret;
}

/* Which device of the group does @name mean?  The bus driver reads the string. */
static struct vfio_device *find_device(struct vfio_group *group, const char *name)
{
	struct vfio_device *vdev;
	int ret;

	TAILQ_FOREACH(vdev, &group->devices, group_next) {
		if (vdev->unregistering)
			continue;
		ret = vdev->ops->match ? vdev->ops->match(vdev, name) : !strcmp(vdev->dev->name, name);
		if (ret < 0)
			return ERR_PTR(fail(ret, "%s refuses \"%.80s\"", vdev->ops->name, name));
		if (ret)
			return vdev;
	}
	vdev = TAILQ_FIRST(&group->devices);
	if (vdev && vdev->unregistering)
		return ERR_PTR(fail(-ENODEV, "%s is being taken from its driver: it cannot be opened any more", vdev->dev->name));
	return ERR_PTR(fail(-ENODEV, "group %u has no device \"%.80s\"%s%s", group->id, name,
			    vdev ? "; one that it has is " : "; it has none", vdev ? vdev->dev->name : ""));
}

/*
 * Find the device and hold what an open device needs: itself, and the container by way of the group's file, or the
 * iommufd, which does without the group: that may be closed and opened again.
 * The caller is in an ioctl of the group's file, so opened_file cannot go away meanwhile.
 */
static struct vfio_device *get_device_locked(struct vfio_group *group, const char *name, struct file **ret_file,
					     struct iommufd_ctx **ret_ictx)
{
	struct vfio_device *vdev;

	if (!group->iommu_group)
		return ERR_PTR(dead(group));
	vdev = find_device(group, name);
	if (IS_ERR(vdev))
		return vdev;
	if (!group->container && !group->iommufd)
		return ERR_PTR(fail(-EINVAL,
				    "group %u is in no container: VFIO_GROUP_SET_CONTAINER comes first",
				    group->id));
	if (group->container && !vfio_container_has_iommu(group->container))
		return ERR_PTR(fail(-EINVAL,
				    "group %u's container has no IOMMU backend: VFIO_SET_IOMMU comes first",
				    group->id));
	if (group->container) {
		group->container_users++;
		fget_file(group->opened_file);
		*ret_file = group->opened_file;
	} else {
		*ret_ictx = iommufd_ctx_get(group->iommufd);
	}
	atomic_fetch_add(&vdev->refs, 1);
	return vdev;
}

static long get_device_fd(struct vfio_group *group, void __user *arg)
{
	struct iommufd_ctx *ictx = NULL;
	struct file *file = NULL;
	struct vfio_device *vdev;
	char name[PAGE_SIZE];
	long len = strncpy_from_user(name, arg, sizeof(name));

	if (len == -ENAMETOOLONG)
		return fail(-EINVAL, "the device's name has no end within %zu bytes", sizeof(name));
	if (len < 0)
		return fail(-EFAULT, "the device's name at %p cannot be read", arg);
	mutex_lock(&group->group_lock);
	vdev = get_device_locked(group, name, &file, &ictx);
	mutex_unlock(&group->group_lock);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	if (group->type == VFIO_NO_IOMMU)
		explain_event("%s is opened without an IOMMU: nothing confines its DMA", vdev->dev->name);
	return vfio_device_open_file(vdev, file, ictx);
}

void vfio_group_unuse_container(struct vfio_group *group)
{
	mutex_lock(&group->group_lock);
	group->container_users--;
	mutex_unlock(&group->group_lock);
}

static long vfio_group_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_group *group = file->private_data;

	device_sync(); /* its devices may be another driver's by now */
	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return get_status(group, (void __user *)arg);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(group, (void __user *)arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(group);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(group, (void __user *)arg);
	default:
		return fail(-ENOTTY, "request %#x is not for a group (/dev/%s)", cmd, group->node);
	}
}

/* ---- open and release ---- */

static void vfio_group_release(struct file *file)
{
	struct vfio_group *group = file->private_data;

	mutex_lock(&group->group_lock);
	leave_container_locked(group);
	group->opened_file = NULL;
	mutex_unlock(&group->group_lock);
}

static const struct file_operations vfio_group_fops = {
	.kind = FILE_VFIO_GROUP,
	.shared = true,
	.release = vfio_group_release,
	.ioctl = vfio_group_ioctl,
};

static int lock_node(struct vfio_group *group, unsigned int f_flags)
{
	char path[32], who[64];
	int fd, ret;

	snprintf(path, sizeof(path), "dev/%s", group->node);
	fd = vfio_busy_lock(path, f_flags & (O_ACCMODE | O_NONBLOCK), true);
	if (fd == -EWOULDBLOCK)
		return fail(-EBUSY, "/dev/%s is open in %s: a group opens once at a time", group->node,
			    vfio_busy_holder(path, who, sizeof(who)));
	if (fd == -ENOENT)
		return fail(fd, "another process took the last device of group %u from its VFIO driver",
			    group->id);
	if (fd < 0)
		return fail(fd, "the node %s in the machine's directory cannot be opened", path);
	ret = fd_private_exclusive(fd); /* out of the way: the program's own descriptor is to be the lowest */
	if (ret < 0) {
		sys_close(fd);
		return fail(ret, "no descriptor left for group %u", group->id);
	}
	return ret;
}

static struct file *open_locked(struct vfio_group *group, unsigned int f_flags)
{
	struct file *file;
	int fd;

	if (!group->iommu_group)
		return ERR_PTR(dead(group));
	if (group->bound_devices)
		return ERR_PTR(fail(-EBUSY, "%u devices of group %u are bound to an iommufd: close them first",
				    group->bound_devices, group->id));
	if (group->opened_file)
		return ERR_PTR(fail(-EBUSY, "/dev/%s is open already%s: a group opens once", group->node,
				    group->container_users ? ", or a device of it is" : ""));
	fd = lock_node(group, f_flags);
	if (fd < 0)
		return ERR_PTR(fd);
	file = file_alloc(&vfio_group_fops, group, group->node, f_flags);
	if (!file) {
		fd_private_close(fd);
		return ERR_PTR(fail(-ENOMEM, "no memory for the file of group %u", group->id));
	}
	file->backing_fd = fd;
	group->opened_file = file;
	return file;
}

static struct file *vfio_group_open(struct cdev *cdev, unsigned int f_flags)
{
	struct vfio_group *group = cdev->private_data;
	struct file *file;

	mutex_lock(&group->group_lock);
	file = open_locked(group, f_flags);
	mutex_unlock(&group->group_lock);
	return file;
}

/* ---- devices used without their group ---- */

/* Other processes see that the group must not be opened. */
static int share_node(struct vfio_group *group)
{
	char path[32], who[64];
	int fd, ret;

	snprintf(path, sizeof(path), "dev/%s", group->node);
	fd = vfio_busy_lock(path, O_RDONLY, false);
	if (fd == -EWOULDBLOCK)
		return fail(-EBUSY, "/dev/%s is open in %s: a device is used through its group or by itself",
			    group->node, vfio_busy_holder(path, who, sizeof(who)));
	if (fd < 0)
		return fail(fd, "the node %s in the machine's directory cannot be opened", path);
	ret = fd_private_exclusive(fd);
	if (ret >= 0)
		return ret;
	sys_close(fd);
	return fail(ret, "no descriptor left to keep group %u from being opened", group->id);
}

int vfio_group_block(struct vfio_group *group, int *ret_fd)
{
	int ret;

	mutex_lock(&group->group_lock);
	if (group->opened_file)
		ret = fail(-EBUSY, "/dev/%s is open%s: a device is used through its group or by itself", group->node,
			   group->container_users ? ", or a device got from it" : "");
	else
		ret = share_node(group);
	if (ret >= 0)
		group->bound_devices++;
	mutex_unlock(&group->group_lock);
	if (ret < 0)
		return ret;
	*ret_fd = ret;
	return 0;
}

void vfio_group_unblock(struct vfio_group *group, int fd)
{
	mutex_lock(&group->group_lock);
	group->bound_devices--;
	mutex_unlock(&group->group_lock);
	fd_private_close(fd);
}

/* ---- for vfio-pci's hot reset ---- */

bool vfio_file_is_group(struct file *file)
{
	return file->f_op == &vfio_group_fops;
}

bool vfio_file_has_dev(struct file *file, struct vfio_device *vdev)
{
	return vfio_file_is_group(file) && file->private_data == vdev->group;
}

/* ---- groups appear with their first device and die with their last ---- */

static bool reusable(struct vfio_group *group, unsigned id, enum vfio_group_type type)
{
	bool ret;

	mutex_lock(&group->group_lock);
	ret = group->id == id && group->type == type && !group->iommu_group && !group->opened_file;
	mutex_unlock(&group->group_lock);
	return ret;
}

static struct vfio_group *group_object(unsigned id, enum vfio_group_type type)
{
	struct vfio_group *group;

	TAILQ_FOREACH(group, &groups, vfio_next) {
		if (reusable(group, id, type))
			return group;
	}
	group = kzalloc(sizeof(*group));
	if (!group)
		return ERR_PTR(fail(-ENOMEM, "no memory for group %u", id));
	group->id = id;
	group->type = type;
	snprintf(group->node, sizeof(group->node), "vfio/%s%u", type == VFIO_NO_IOMMU ? "noiommu-" : "", id);
	mutex_init(&group->group_lock, LOCK_VFIO_GROUP);
	TAILQ_INIT(&group->devices);
	TAILQ_INSERT_TAIL(&groups, group, vfio_next);
	return group;
}

static int add_nodes(struct vfio_group *group)
{
	int ret = vfio_sysfs_add_group(group);

	if (ret)
		return ret;
	group->cdev = (struct cdev){
		.path = group->node,
		.mode = 0600,
		.rdev = makedev(VFIO_GROUP_MAJOR, group->id),
		.open = vfio_group_open,
		.private_data = group,
	};
	ret = cdev_add(&group->cdev, true);
	if (ret)
		vfio_sysfs_del_group(group);
	return ret;
}

static struct vfio_group *find_live(struct iommu_group *iommu_group)
{
	struct vfio_group *group;

	TAILQ_FOREACH(group, &groups, vfio_next) {
		if (group->iommu_group == iommu_group)
			return group;
	}
	return NULL;
}

static struct vfio_group *make_group(struct iommu_group *iommu_group, enum vfio_group_type type)
{
	struct vfio_group *group = group_object(iommu_group_id(iommu_group), type);
	int ret;

	if (IS_ERR(group))
		return group;
	mutex_lock(&group->group_lock);
	group->iommu_group = iommu_group_ref_get(iommu_group);
	mutex_unlock(&group->group_lock);
	ret = add_nodes(group);
	if (!ret)
		return group;
	mutex_lock(&group->group_lock);
	group->iommu_group = NULL;
	mutex_unlock(&group->group_lock);
	iommu_group_put(iommu_group);
	return ERR_PTR(fail(ret, "the nodes of group %u could not be made", group->id));
}

/* A device that no IOMMU isolates gets a group of its own, if that is allowed or another process made it. */
static int noiommu_group_alloc(struct device *dev)
{
	char link[512];

	snprintf(link, sizeof(link), "%s/iommu_group", dev->path);
	if (kernfs_exists(link))
		return iommu_probe_noiommu(dev);
	if (!vfio_noiommu_enabled())
		return fail(-EINVAL, "%s is in no IOMMU group: no IOMMU isolates it, and "
			    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode is N", dev->name);
	if (!kernfs_creating())
		explain_event("%s gets a group without an IOMMU: a Linux kernel would be tainted by that", dev->name);
	return iommu_probe_noiommu(dev);
}

static void noiommu_group_free(struct device *dev)
{
	if (iommu_dev_is_noiommu(dev))
		iommu_release_device(dev);
}

struct vfio_group *vfio_group_get_for(struct device *dev)
{
	struct iommu_group *iommu_group;
	struct vfio_group *group;
	int ret;

	if (!dev->iommu_group) {
		ret = noiommu_group_alloc(dev);
		if (ret)
			return ERR_PTR(ret);
	}
	iommu_group = iommu_group_get(dev);
	group = find_live(iommu_group);
	if (!group)
		group = make_group(iommu_group, iommu_dev_is_noiommu(dev) ? VFIO_NO_IOMMU : VFIO_IOMMU);
	iommu_group_put(iommu_group);
	if (IS_ERR(group))
		noiommu_group_free(dev);
	return group;
}

void vfio_group_add_device(struct vfio_group *group, struct vfio_device *vdev)
{
	mutex_lock(&group->group_lock);
	TAILQ_INSERT_TAIL(&group->devices, vdev, group_next);
	mutex_unlock(&group->group_lock);
}

static void put_if_empty(struct vfio_group *group)
{
	struct iommu_group *iommu_group;

	if (!TAILQ_EMPTY(&group->devices))
		return;
	cdev_del(&group->cdev, true);
	vfio_sysfs_del_group(group);
	mutex_lock(&group->group_lock);
	leave_container_locked(group);
	iommu_group = group->iommu_group;
	group->iommu_group = NULL;
	mutex_unlock(&group->group_lock);
	iommu_group_put(iommu_group);
}

void vfio_group_put_for(struct vfio_group *group, struct device *dev)
{
	put_if_empty(group);
	noiommu_group_free(dev);
}

void vfio_group_del_device(struct vfio_group *group, struct vfio_device *vdev)
{
	mutex_lock(&group->group_lock);
	TAILQ_REMOVE(&group->devices, vdev, group_next);
	mutex_unlock(&group->group_lock);
	vfio_group_put_for(group, vdev->dev);
}

void vfio_groups_free(void)
{
	struct vfio_group *group, *next;

	for (group = TAILQ_FIRST(&groups); group; group = next) {
		next = TAILQ_NEXT(group, vfio_next);
		if (!reusable(group, group->id, group->type))
			continue; /* a program still has it open */
		TAILQ_REMOVE(&groups, group, vfio_next);
		mutex_destroy(&group->group_lock);
		kfree(group);
	}
}
