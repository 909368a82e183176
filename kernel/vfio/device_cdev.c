/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_cdev.c - /dev/vfio/devices/vfioN: a device as a program holds it without its group.
 *
 * Anybody may open the node, several times; the descriptor does nothing until it is bound to an iommufd,
 * which one descriptor of a device can be.  Binding is what claims the device: it keeps the group's node
 * from being opened and the other way round, here and in other processes.  Then it is attached to an
 * address space of the iommufd, or to another in its place.  All else is as of a device got from a group.
 *
 * Closing is the only way to unbind, and also detaches.
 *
 * Locks of files (busy.c) tell other processes: the node itself, exclusively, that the device is bound; the
 * group's node, shared, that the group must not be opened; and as for any open device, that unbinding waits.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "kernel/base/device.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio_priv.h"

/* ---- structs that may grow ---- */

/* Bytes that a newer program has and we do not know must be 0: [@from, @to) of the struct at @arg. */
static int check_tail(const char __user *arg, u32 from, u32 to)
{
	char buf[256];

	for (u32 done = from, n; done < to; done += n) {
		n = min(to - done, (u32)sizeof(buf));
		if (copy_from_user(buf, arg + done, n))
			return fail(-EFAULT, "argsz is %u, but byte %u at %p cannot be read", to, done, (void *)arg);
		for (u32 i = 0; i < n; i++)
			if (buf[i])
				return fail(-E2BIG, "argsz is %u: byte %u belongs to nothing that is known, and is not 0",
					    to, done + i);
	}
	return 0;
}

/* ---- BIND_IOMMUFD ---- */

static int read_bind(struct vfio_device_bind_iommufd *ret, const void __user *arg)
{
	const u32 minsz = offsetofend(struct vfio_device_bind_iommufd, out_devid);
	u32 argsz;
	int err;

	if (copy_from_user(&argsz, arg, sizeof(argsz)))
		return fail(-EFAULT, "struct vfio_device_bind_iommufd at %p cannot be read", arg);
	if (argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_device_bind_iommufd has %u bytes at least", argsz, minsz);
	err = check_tail(arg, sizeof(*ret), argsz);
	if (err)
		return err;
	*ret = (struct vfio_device_bind_iommufd){ 0 };
	if (copy_from_user(ret, arg, min((size_t)argsz, sizeof(*ret))))
		return fail(-EFAULT, "struct vfio_device_bind_iommufd at %p cannot be read", arg);
	return 0;
}

static int check_bind(const struct vfio_device_file *df, const struct vfio_device_bind_iommufd *bind)
{
	if (bind->flags & ~(u32)VFIO_DEVICE_BIND_FLAG_TOKEN)
		return fail(-EINVAL, "flags %#x: only %#x (TOKEN) is known", bind->flags, VFIO_DEVICE_BIND_FLAG_TOKEN);
	if (bind->iommufd < 0)
		return fail(-EINVAL, "iommufd is %d: an open /dev/iommu is needed", bind->iommufd);
	if (df->by_group)
		return fail(-EINVAL,
			    "BIND_IOMMUFD is for /dev/vfio/devices/%s, this descriptor was got from its group",
			    df->vdev->name);
	return 0;
}

static int check_token(struct vfio_device *vdev, const struct vfio_device_bind_iommufd *bind)
{
	const void __user *at = (const void __user *)(uintptr_t)bind->token_uuid_ptr;
	u8 uuid[16];

	if (!(bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN))
		return vdev->ops->match_token ? vdev->ops->match_token(vdev, NULL) : 0;
	if (copy_from_user(uuid, at, sizeof(uuid)))
		return fail(-EFAULT, "the token (16 bytes) at %p cannot be read", at);
	if (!vdev->ops->match_token)
		return fail(-EINVAL, "%s takes no token", vdev->ops->name);
	return vdev->ops->match_token(vdev, uuid);
}

/* One process at a time: the node's own file is locked while the device is bound. */
static int lock_node(struct vfio_device *vdev, struct file *file)
{
	char path[64], who[64];
	int ret = sys_flock(file_node_fd(file), LOCK_EX | LOCK_NB);

	if (ret != -EWOULDBLOCK)
		return ret;
	snprintf(path, sizeof(path), "dev/%s", vdev->node);
	return fail(-EINVAL, "%s is bound to an iommufd in %s", vdev->dev->name,
		    vfio_busy_holder(path, who, sizeof(who)));
}

static int open_bound(struct vfio_device_file *df, struct file *file, struct iommufd_ctx *ictx, u32 __user *ret_id)
{
	struct vfio_device *vdev = df->vdev;
	u32 id;
	int ret;

	df->iommufd = ictx;
	ret = vfio_df_open(df);
	if (ret)
		goto err_ictx;
	id = iommufd_device_to_id(vdev->iommufd_device);
	ret = lock_node(vdev, file);
	if (!ret && copy_to_user(ret_id, &id, sizeof(id)))
		ret = fail(-EFAULT, "out_devid cannot be written to %p: the device stays unbound", (void *)ret_id);
	if (!ret)
		return 0;
	sys_flock(file_node_fd(file), LOCK_UN);
	vfio_df_close(df);
err_ictx:
	df->iommufd = NULL;
	return ret;
}

static int bind_locked(struct vfio_device_file *df, struct file *file, const struct vfio_device_bind_iommufd *bind,
		       u32 __user *ret_id, struct iommufd_ctx **ret_ictx)
{
	int ret;

	if (atomic_load(&df->access_granted))
		return fail(-EINVAL, "this descriptor of %s is bound already: only closing it unbinds",
			    df->vdev->dev->name);
	ret = check_token(df->vdev, bind);
	if (ret)
		return ret;
	*ret_ictx = iommufd_ctx_from_fd(bind->iommufd);
	if (IS_ERR(*ret_ictx))
		return (int)PTR_ERR(*ret_ictx);
	return open_bound(df, file, *ret_ictx, ret_id);
}

long vfio_df_bind_iommufd(struct vfio_device_file *df, struct file *file, void __user *arg)
{
	const size_t id_at = offsetof(struct vfio_device_bind_iommufd, out_devid);
	struct vfio_device *vdev = df->vdev;
	struct vfio_device_bind_iommufd bind;
	struct iommufd_ctx *ictx = NULL;
	int ret = read_bind(&bind, arg), fd;

	if (!ret)
		ret = check_bind(df, &bind);
	if (!ret)
		ret = vfio_group_block(vdev->group, &fd);
	if (ret)
		return ret;
	mutex_lock(&vdev->dev_set->lock);
	ret = bind_locked(df, file, &bind, (u32 __user *)((char *)arg + id_at), &ictx);
	if (!ret) {
		df->group_fd = fd;
		vdev->cdev_opened = true;
		atomic_store_explicit(&df->access_granted, true, memory_order_release);
	}
	mutex_unlock(&vdev->dev_set->lock);
	if (!ret)
		return 0;
	if (!IS_ERR(ictx))
		iommufd_ctx_put(ictx);
	vfio_group_unblock(vdev->group, fd);
	return ret;
}

/* ---- ATTACH_IOMMUFD_PT, DETACH_IOMMUFD_PT ---- */

/*
 * Both begin with argsz and flags; with the flag PASID they are @full bytes long, else @minsz.
 * @ret: zeroed beyond what was read.
 */
static int read_growing(void *ret, const void __user *arg, u32 minsz, u32 full, u32 pasid_flag)
{
	const struct { u32 argsz, flags; } *head = ret;

	if (copy_from_user(ret, arg, minsz))
		return fail(-EFAULT, "%u bytes of the struct at %p cannot be read", minsz, arg);
	if (head->argsz < minsz)
		return fail(-EINVAL, "argsz is %u, the struct has %u bytes", head->argsz, minsz);
	if (head->flags & ~pasid_flag)
		return fail(-EINVAL, "flags %#x: only %#x (PASID) is known", head->flags, pasid_flag);
	if (!(head->flags & pasid_flag))
		return 0;
	if (head->argsz < full)
		return fail(-EINVAL, "argsz is %u, with a PASID the struct has %u bytes", head->argsz, full);
	if (copy_from_user((char *)ret + minsz, (const char *)arg + minsz, full - minsz))
		return fail(-EFAULT, "the PASID behind %p cannot be read", arg);
	return 0;
}

long vfio_df_attach_pt(struct vfio_device_file *df, void __user *arg)
{
	struct vfio_device_attach_iommufd_pt attach = { 0 };
	struct vfio_device *vdev = df->vdev;
	char __user *id_at = (char __user *)arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id);
	bool pasid;
	int ret = read_growing(&attach, arg, offsetofend(struct vfio_device_attach_iommufd_pt, pt_id),
			       offsetofend(struct vfio_device_attach_iommufd_pt, pasid), VFIO_DEVICE_ATTACH_PASID);

	if (ret)
		return ret;
	pasid = attach.flags & VFIO_DEVICE_ATTACH_PASID;
	mutex_lock(&vdev->dev_set->lock);
	ret = vfio_iommufd_attach(vdev, pasid, attach.pasid, &attach.pt_id);
	if (!ret && copy_to_user(id_at, &attach.pt_id, sizeof(attach.pt_id))) {
		ret = fail(-EFAULT, "pt_id cannot be written to %p: detached again", (void *)id_at);
		vfio_iommufd_detach(vdev, pasid, attach.pasid);
	}
	mutex_unlock(&vdev->dev_set->lock);
	return ret;
}

long vfio_df_detach_pt(struct vfio_device_file *df, void __user *arg)
{
	struct vfio_device_detach_iommufd_pt detach = { 0 };
	struct vfio_device *vdev = df->vdev;
	int ret = read_growing(&detach, arg, offsetofend(struct vfio_device_detach_iommufd_pt, flags),
			       offsetofend(struct vfio_device_detach_iommufd_pt, pasid), VFIO_DEVICE_DETACH_PASID);

	if (ret)
		return ret;
	mutex_lock(&vdev->dev_set->lock);
	vfio_iommufd_detach(vdev, detach.flags & VFIO_DEVICE_DETACH_PASID, detach.pasid);
	mutex_unlock(&vdev->dev_set->lock);
	return 0;
}

/* ---- the node ---- */

/* Give the device a file, which keeps unbinding waiting.  0; -ENODEV. */
static int hold(struct vfio_device *vdev)
{
	bool gone;
	int ret;

	mutex_lock(&vdev->group->group_lock);
	gone = vdev->unregistering;
	if (!gone)
		atomic_fetch_add(&vdev->refs, 1);
	mutex_unlock(&vdev->group->group_lock);
	if (gone)
		return fail(-ENODEV, "%s is being unbound", vdev->dev->name);
	mutex_lock(&vdev->dev_set->lock);
	ret = vfio_device_busy_get(vdev);
	mutex_unlock(&vdev->dev_set->lock);
	if (ret)
		vfio_device_put(vdev);
	return ret;
}

static void let_go(struct vfio_device *vdev)
{
	mutex_lock(&vdev->dev_set->lock);
	vfio_device_busy_put(vdev);
	mutex_unlock(&vdev->dev_set->lock);
	vfio_device_put(vdev);
}

void vfio_df_cdev_release(struct vfio_device_file *df, struct file *file)
{
	struct vfio_device *vdev = df->vdev;
	bool bound = atomic_load(&df->access_granted);

	if (bound) {
		mutex_lock(&vdev->dev_set->lock);
		vfio_df_close(df);
		vdev->cdev_opened = false;
		mutex_unlock(&vdev->dev_set->lock);
		iommufd_ctx_put(df->iommufd);
		vfio_group_unblock(vdev->group, df->group_fd);
		sys_flock(file_node_fd(file), LOCK_UN); /* a thread may close that a moment later (fs/share.c) */
	}
	let_go(vdev);
}

static struct file *make_file(struct vfio_device *vdev, unsigned int f_flags)
{
	struct vfio_device_file *df = kzalloc(sizeof(*df));
	struct file *file = df ? file_alloc(&vfio_device_fops, df, vdev->node, f_flags) : NULL;

	if (!file) {
		kfree(df);
		return NULL;
	}
	df->vdev = vdev;
	file->numbered = vdev->ops->numbered;
	return file;
}

static struct file *vfio_device_cdev_open(struct cdev *cdev, unsigned int f_flags)
{
	struct vfio_device *vdev = cdev->private_data;
	struct file *file;
	int ret = hold(vdev), fd;

	if (ret)
		return ERR_PTR(ret);
	fd = vfio_busy_open_node(vdev->node, f_flags);
	if (fd < 0) {
		ret = fd;
		goto err_let_go;
	}
	file = make_file(vdev, f_flags);
	if (!file) {
		ret = fail(-ENOMEM, "no memory for a descriptor of %s", vdev->dev->name);
		goto err_close;
	}
	file->backing_fd = fd;
	return file;

err_close:
	fd_private_close(fd);
err_let_go:
	let_go(vdev);
	return ERR_PTR(ret);
}

int vfio_device_cdev_add(struct vfio_device *vdev)
{
	snprintf(vdev->node, sizeof(vdev->node), "vfio/devices/%s", vdev->name);
	vdev->cdev = (struct cdev){
		.path = vdev->node,
		.mode = 0600,
		.rdev = makedev(VFIO_DEVICE_MAJOR, vdev->index),
		.open = vfio_device_cdev_open,
		.private_data = vdev,
	};
	return cdev_add(&vdev->cdev, true);
}

void vfio_device_cdev_del(struct vfio_device *vdev)
{
	cdev_del(&vdev->cdev, true);
}
