/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * container.c - /dev/vfio/vfio: groups that share one I/O address space.
 *
 * An open container is empty until a group joins it (group.c).  SET_IOMMU then asks the registered
 * backends in turn which of them is meant, and gives the chosen one all groups.  The backend lives
 * until the last group leaves; a program that then maps gets EINVAL as if it had never called
 * SET_IOMMU, which surprises many, so the reason says so.
 *
 * The container lock guards the list of groups and the backend, and is held while the backend works:
 * mapping in one container is one thing at a time, as in Linux.
 *
 * Always: iommu_data is there if and only if driver is; driver only with at least one group.
 */
#include <stdatomic.h>
#include <sys/sysmacros.h>

#include "kernel/base/device.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/show.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/vfio_priv.h"

struct vfio_container {
	struct mutex lock; /* LOCK_VFIO_CONTAINER: all below but refs */
	TAILQ_HEAD(, vfio_group) groups;
	const struct vfio_iommu_driver_ops *driver; /* NULL before SET_IOMMU */
	void *iommu_data;
	bool noiommu;	 /* its groups have no IOMMU; meaningful with groups only */
	bool had_iommu;	 /* for reasons: the last group took it away */
	atomic_int refs; /* one for the file, one for each group */
};

#define MAX_DRIVERS 4
static _Atomic(const struct vfio_iommu_driver_ops *) drivers[MAX_DRIVERS];

int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops)
{
	for (unsigned i = 0; i < MAX_DRIVERS; i++) {
		const struct vfio_iommu_driver_ops *none = NULL;

		if (atomic_compare_exchange_strong(&drivers[i], &none, ops))
			return 0;
		if (none == ops)
			return fail(-EBUSY, "the IOMMU backend %s is registered already", ops->name);
	}
	return fail(-ENOSPC, "there are %d IOMMU backends already", MAX_DRIVERS);
}

void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops)
{
	for (unsigned i = 0; i < MAX_DRIVERS; i++) {
		const struct vfio_iommu_driver_ops *old = ops;

		atomic_compare_exchange_strong(&drivers[i], &old, NULL);
	}
}

static void container_put(struct vfio_container *container)
{
	if (atomic_fetch_sub(&container->refs, 1) != 1)
		return;
	mutex_destroy(&container->lock);
	kfree(container);
}

/* ---- groups come and go ---- */

/* iommu.c says that a host driver is in the way; which one, and of which device, is what helps. */
static int name_host_driver(struct device *dev, void *arg)
{
	const int *err = arg;

	if (dev->driver && !dev->driver->driver_managed_dma)
		return fail(*err, "%s is bound to %s: unbind it, then bind vfio-pci", dev->name,
			    dev->driver->name);
	return 0;
}

static int claim_group(struct vfio_group *group)
{
	int ret;

	if (group->type == VFIO_NO_IOMMU)
		return 0;
	ret = iommu_group_claim_dma_owner(group->iommu_group, group);
	if (ret)
		iommu_group_for_each_dev(group->iommu_group, &ret, name_host_driver);
	return ret;
}

static void release_group(struct vfio_group *group)
{
	if (group->type == VFIO_IOMMU)
		iommu_group_release_dma_owner(group->iommu_group);
}

int vfio_container_attach_group(struct vfio_container *container, struct vfio_group *group)
{
	const bool noiommu = group->type == VFIO_NO_IOMMU;
	int ret;

	lockdep_assert_held(&group->group_lock);
	mutex_lock(&container->lock);
	if (!TAILQ_EMPTY(&container->groups) && container->noiommu != noiommu)
		ret = fail(-EPERM, "the container's groups have %s IOMMU and group %u has %s: they do not mix",
			   noiommu ? "an" : "no", group->id, noiommu ? "none" : "one");
	else
		ret = claim_group(group);
	if (ret)
		goto out;
	if (container->driver) {
		ret = container->driver->attach_group(container->iommu_data, group->iommu_group);
		if (ret) {
			release_group(group);
			goto out;
		}
	}
	container->noiommu = noiommu;
	TAILQ_INSERT_TAIL(&container->groups, group, container_next);
	atomic_fetch_add(&container->refs, 1);
	group->container = container;
out:
	mutex_unlock(&container->lock);
	return ret;
}

void vfio_container_detach_group(struct vfio_group *group)
{
	struct vfio_container *container = group->container;

	lockdep_assert_held(&group->group_lock);
	mutex_lock(&container->lock);
	if (container->driver)
		container->driver->detach_group(container->iommu_data, group->iommu_group);
	release_group(group);
	TAILQ_REMOVE(&container->groups, group, container_next);
	group->container = NULL;
	if (TAILQ_EMPTY(&container->groups) && container->driver) {
		container->driver->release(container->iommu_data);
		container->driver = NULL;
		container->iommu_data = NULL;
	}
	mutex_unlock(&container->lock);
	container_put(container);
}

bool vfio_container_has_iommu(struct vfio_container *container)
{
	bool ret;

	mutex_lock(&container->lock);
	ret = container->driver != NULL;
	mutex_unlock(&container->lock);
	return ret;
}

/* ---- ioctls ---- */

/* Is it a backend that the container's groups could have?  Without groups: any.  Container lock held. */
static bool fits(const struct vfio_container *container, const struct vfio_iommu_driver_ops *ops)
{
	return TAILQ_EMPTY(&container->groups) || container->noiommu == (ops == &vfio_noiommu_ops);
}

static long check_extension(struct vfio_container *container, unsigned long arg)
{
	const struct vfio_iommu_driver_ops *ops;
	long ret = 0;

	mutex_lock(&container->lock);
	if (container->driver)
		ret = container->driver->check_extension(container->iommu_data, arg);
	for (unsigned i = 0; i < MAX_DRIVERS && !container->driver && ret <= 0; i++) {
		ops = atomic_load(&drivers[i]);
		if (ops && fits(container, ops))
			ret = ops->check_extension(NULL, arg);
	}
	mutex_unlock(&container->lock);
	return ret;
}

/* All groups or none. */
static int attach_all(struct vfio_container *container, const struct vfio_iommu_driver_ops *ops, void *data)
{
	struct vfio_group *group, *undo;
	int ret;

	TAILQ_FOREACH(group, &container->groups, container_next) {
		ret = ops->attach_group(data, group->iommu_group);
		if (ret)
			goto err_detach;
	}
	return 0;

err_detach:
	TAILQ_FOREACH(undo, &container->groups, container_next) {
		if (undo == group)
			break;
		ops->detach_group(data, undo->iommu_group);
	}
	return fail(ret, "group %u could not be given to the IOMMU backend %s", group->id, ops->name);
}

static int try_driver(struct vfio_container *container, const struct vfio_iommu_driver_ops *ops,
		      unsigned long type)
{
	void *data = ops->open(type);
	int ret;

	if (IS_ERR(data))
		return (int)PTR_ERR(data);
	ret = attach_all(container, ops, data);
	if (ret) {
		ops->release(data);
		return ret;
	}
	container->iommu_data = data;
	container->driver = ops;
	container->had_iommu = true;
	return 0;
}

static long set_iommu_locked(struct vfio_container *container, unsigned long type)
{
	const struct vfio_iommu_driver_ops *ops;
	int ret = -ENODEV;

	if (TAILQ_EMPTY(&container->groups))
		return fail(-EINVAL, "the container has no group yet: call VFIO_GROUP_SET_CONTAINER first");
	if (container->driver)
		return fail(-EINVAL, "the container has the IOMMU backend %s already",
			    container->driver->name);
	for (unsigned i = 0; i < MAX_DRIVERS; i++) {
		ops = atomic_load(&drivers[i]);
		if (!ops || !fits(container, ops) || ops->check_extension(NULL, type) <= 0)
			continue;
		ret = try_driver(container, ops, type);
		if (!ret)
			return 0;
	}
	if (ret == -ENODEV && container->noiommu)
		return fail(ret, "the container's groups have no IOMMU: type %lu is not for them; use 8 (VFIO_NOIOMMU_IOMMU)%s",
			    type, vfio_noiommu_enabled() ? "" : ", after enabling unsafe no-IOMMU mode");
	if (ret == -ENODEV)
		return fail(ret,
			    "no backend is of type %lu: use 3 (VFIO_TYPE1v2_IOMMU) or 1 (VFIO_TYPE1_IOMMU)",
			    type);
	return ret;
}

static long set_iommu(struct vfio_container *container, unsigned long type)
{
	long ret;

	mutex_lock(&container->lock);
	ret = set_iommu_locked(container, type);
	mutex_unlock(&container->lock);
	return ret;
}

static const char *no_iommu_clause(const struct vfio_container *container)
{
	if (container->had_iommu)
		return "the container lost its IOMMU backend with its last group: attach one, then SET_IOMMU again";
	if (TAILQ_EMPTY(&container->groups))
		return "the container has no IOMMU backend: VFIO_GROUP_SET_CONTAINER, then VFIO_SET_IOMMU";
	return "the container has a group but no IOMMU backend: call VFIO_SET_IOMMU first";
}

static long backend_ioctl(struct vfio_container *container, unsigned int cmd, unsigned long arg)
{
	long ret;

	mutex_lock(&container->lock);
	if (likely(container->driver != NULL))
		ret = container->driver->ioctl(container->iommu_data, cmd, arg);
	else
		ret = fail(-EINVAL, "request %#x: %s", cmd, no_iommu_clause(container));
	mutex_unlock(&container->lock);
	return ret;
}

static long container_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_container *container = file->private_data;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(container, arg);
	case VFIO_SET_IOMMU:
		return set_iommu(container, arg);
	default:
		return backend_ioctl(container, cmd, arg);
	}
}

static void container_show(struct file *file, struct show *out)
{
	struct vfio_container *container = file->private_data;
	struct vfio_group *group;

	mutex_lock(&container->lock);
	show(out, "container %s\n", container->driver ? container->driver->name : "none");
	TAILQ_FOREACH(group, &container->groups, container_next)
		show(out, "group %s\n", vfio_group_name(group));
	if (container->driver && container->driver->show)
		container->driver->show(container->iommu_data, out);
	mutex_unlock(&container->lock);
}

/* ---- the node ---- */

static void container_release(struct file *file)
{
	container_put(file->private_data);
}

const struct file_operations vfio_container_fops = {
	.kind = FILE_VFIO_CONTAINER,
	.shared = true,
	.release = container_release,
	.ioctl = container_ioctl,
	.show = container_show,
};

static struct file *container_open(struct cdev *cdev, unsigned int f_flags)
{
	struct vfio_container *container = kzalloc(sizeof(*container));
	struct file *file;

	if (!container)
		return ERR_PTR(fail(-ENOMEM, "no memory for a container"));
	mutex_init(&container->lock, LOCK_VFIO_CONTAINER);
	TAILQ_INIT(&container->groups);
	atomic_init(&container->refs, 1);
	file = file_alloc(&vfio_container_fops, container, cdev->path, f_flags);
	if (!file) {
		container_put(container);
		return ERR_PTR(fail(-ENOMEM, "no memory for a container's file"));
	}
	return file;
}

static struct cdev container_cdev = { .path = "vfio/vfio", .mode = 0666, .open = container_open };

void vfio_container_by_iommufd(void)
{
	container_cdev.open = iommufd_open_container;
}

int vfio_container_init(void)
{
	container_cdev.rdev = makedev(VFIO_CONTAINER_MAJOR, VFIO_CONTAINER_MINOR);
	return cdev_add(&container_cdev, true);
}

void vfio_container_exit(void)
{
	cdev_del(&container_cdev, false);
}
