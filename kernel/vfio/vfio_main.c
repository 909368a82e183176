/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_main.c - devices come to VFIO and leave it.
 *
 * A bus driver's probe registers a device; its group then has a node, and a program can get at it.
 * remove() unregisters it, and that waits: a program that has the device open cannot be robbed of it.
 * The bus driver's request() op tells the program every second that we want it back; until it lets go,
 * the shell that wrote to "unbind" hangs, as on Linux.  Programs in other processes are seen by their
 * lock on the device's node (busy.c).
 *
 * A device set is what one reset hits: devices registered with the same id share a lock, under which
 * they are opened, closed and reset.
 *
 * refs of a device: one for the registration, one for each open file.  New opens are refused, under
 * group_lock, before the registration's is dropped, so the count only falls while we wait.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/file.h>

#include "kernel/base/device.h"
#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/vfio/vfio_priv.h"

/* ---- device sets ---- */

static TAILQ_HEAD(, vfio_device_set) dev_sets = TAILQ_HEAD_INITIALIZER(dev_sets); /* tree lock */

static int dev_set_join(struct vfio_device *vdev, void *id)
{
	struct vfio_device_set *set;

	TAILQ_FOREACH(set, &dev_sets, next) {
		if (set->id == id)
			break;
	}
	if (!set) {
		set = kzalloc(sizeof(*set));
		if (!set)
			return fail(-ENOMEM, "no memory for the device set of %s", vdev->dev->name);
		set->id = id;
		mutex_init(&set->lock, LOCK_VFIO_DEVICE_SET);
		TAILQ_INIT(&set->devices);
		TAILQ_INSERT_TAIL(&dev_sets, set, next);
	}
	vdev->dev_set = set;
	mutex_lock(&set->lock);
	TAILQ_INSERT_TAIL(&set->devices, vdev, dev_set_next);
	mutex_unlock(&set->lock);
	return 0;
}

static void dev_set_leave(struct vfio_device *vdev)
{
	struct vfio_device_set *set = vdev->dev_set;
	bool empty;

	mutex_lock(&set->lock);
	TAILQ_REMOVE(&set->devices, vdev, dev_set_next);
	empty = TAILQ_EMPTY(&set->devices);
	mutex_unlock(&set->lock);
	vdev->dev_set = NULL;
	if (!empty)
		return;
	TAILQ_REMOVE(&dev_sets, set, next);
	mutex_destroy(&set->lock);
	kfree(set);
}

struct mutex *vfio_device_set_lock(struct vfio_device *vdev)
{
	return &vdev->dev_set->lock;
}

int vfio_device_set_for_each(struct vfio_device *vdev, void *arg,
			     int (*fn)(struct vfio_device *vdev, void *arg))
{
	struct vfio_device *other;
	int ret;

	lockdep_assert_held(&vdev->dev_set->lock);
	TAILQ_FOREACH(other, &vdev->dev_set->devices, dev_set_next) {
		ret = fn(other, arg);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- registration ---- */

static bool registered(struct vfio_group *group, struct device *dev)
{
	struct vfio_device *vdev;

	TAILQ_FOREACH(vdev, &group->devices, group_next) {
		if (vdev->dev == dev)
			return true;
	}
	return false;
}

static int register_in_group(struct vfio_device *vdev, struct vfio_group *group, void *dev_set_id)
{
	int ret;

	if (registered(group, vdev->dev))
		return fail(-EBUSY, "%s is registered with VFIO already", vdev->dev->name);
	ret = dev_set_join(vdev, dev_set_id);
	if (ret)
		return ret;
	ret = vfio_sysfs_add_device(vdev);
	if (ret)
		goto err_leave;
	ret = vfio_debugfs_add_device(vdev);
	if (ret)
		goto err_sysfs;
	ret = vfio_device_cdev_add(vdev);
	if (ret)
		goto err_debugfs;
	vfio_group_add_device(group, vdev);
	return 0;

err_debugfs:
	vfio_debugfs_del_device(vdev);
err_sysfs:
	vfio_sysfs_del_device(vdev);
err_leave:
	dev_set_leave(vdev);
	return ret;
}

int vfio_register_group_dev(struct vfio_device *vdev, struct device *dev, const struct vfio_device_ops *ops,
			    void *dev_set_id)
{
	struct vfio_group *group;
	int ret;

	group = vfio_group_get_for(dev);
	if (IS_ERR(group))
		return (int)PTR_ERR(group);
	if (group->type == VFIO_IOMMU && !device_iommu_capable_cache_coherency(dev)) {
		vfio_group_put_for(group, dev);
		return fail(-EINVAL, "the IOMMU of %s does not keep its DMA coherent", dev->name);
	}
	vdev->dev = dev;
	vdev->ops = ops;
	vdev->group = group;
	vdev->open_count = 0;
	vdev->busy_fd = -1;
	vdev->busy_users = 0;
	vdev->cdev_opened = false;
	vdev->iommufd_device = NULL;
	vdev->iommufd_attached = false;
	vdev->pasids = NULL;
	vdev->unregistering = false;
	atomic_init(&vdev->refs, 1);
	ret = register_in_group(vdev, group, dev_set_id);
	if (ret)
		vfio_group_put_for(group, dev);
	return ret;
}

bool vfio_device_in_use(struct vfio_device *vdev)
{
	return atomic_load(&vdev->refs) > 1;
}

/* ---- unregistration ---- */

static void wait_a_second(_Atomic u32 *refs, u32 seen)
{
	const struct timespec second = { .tv_sec = 1 };

	sys_futex((u32 *)refs, FUTEX_WAIT_PRIVATE, seen, &second);
}

static void wait_for_own_files(struct vfio_device *vdev)
{
	unsigned asked = 0;
	u32 refs;

	atomic_fetch_sub(&vdev->refs, 1);
	while ((refs = atomic_load(&vdev->refs)) != 0) {
		if (!asked)
			explain_event("%s is to be unbound, but %u descriptors of it are open in this process: "
				      "asking (request interrupt) and waiting",
				      vdev->dev->name, refs);
		if (vdev->ops->request)
			vdev->ops->request(vdev, asked);
		asked++;
		wait_a_second(&vdev->refs, refs);
	}
}

#define TICK_MS 50
#define TICKS_PER_ASK (1000 / TICK_MS)

/*
 * While the exclusive lock is held no other process can open the device.  Return: the lock; -errno if
 * the node is not there, which means that another process unbound the device and we only follow.
 */
static int wait_for_other_processes(struct vfio_device *vdev)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000 * 1000 };
	char path[512], who[64];
	u32 word = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/vfio-dev/%s/dev", vdev->dev->path, vdev->name);
	fd = vfio_busy_open(path, O_RDONLY);
	if (fd < 0)
		return fd;
	for (unsigned ticks = 0; sys_flock(fd, LOCK_EX | LOCK_NB) == -EWOULDBLOCK; ticks++) {
		if (!ticks)
			explain_event("%s is to be unbound, but %s has it open: asking (request interrupt), and waiting "
				      "until it is closed", vdev->dev->name, vfio_busy_holder(path, who, sizeof(who)));
		if (ticks % TICKS_PER_ASK == 0)
			vfio_ask_others(fd);
		sys_futex(&word, FUTEX_WAIT_PRIVATE, 0, &tick);
	}
	return fd;
}

void vfio_unregister_group_dev(struct vfio_device *vdev)
{
	struct vfio_group *group = vdev->group;
	int fd;

	mutex_lock(&group->group_lock);
	vdev->unregistering = true;
	mutex_unlock(&group->group_lock);
	vfio_device_cdev_del(vdev);
	kernfs_waiting(true);
	wait_for_own_files(vdev);
	fd = wait_for_other_processes(vdev);
	kernfs_waiting(false);
	vfio_group_del_device(group, vdev);
	vfio_debugfs_del_device(vdev);
	vfio_sysfs_del_device(vdev);
	dev_set_leave(vdev);
	if (fd >= 0)
		sys_close(fd);
}

/* ---- the module ---- */

int vfio_init(void)
{
	int ret = vfio_sysfs_init();

	if (!ret)
		ret = vfio_register_iommu_driver(&vfio_noiommu_ops);
	if (ret)
		return ret;
	ret = vfio_container_init();
	if (ret)
		vfio_unregister_iommu_driver(&vfio_noiommu_ops);
	return ret;
}

void vfio_exit(void)
{
	vfio_unregister_iommu_driver(&vfio_noiommu_ops);
	vfio_container_exit();
	vfio_groups_free();
}
