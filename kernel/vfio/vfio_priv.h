/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_priv.h - between the files of the VFIO core: what a group, a container and an open device are.
 *
 *	device file --> group file --> group --> container --> iommu_data of a backend
 *	device file of a node's own --> iommufd
 *
 * An arrow is a reference.  An open device holds its group's file, so that "the group is open" and "a
 * device of it is open" are one question, and a group that is attached holds its container, so that
 * closing the container's descriptor changes nothing while a group is in it.
 *
 * Groups are never freed before vfio_exit(): a group whose last device left is dead (no iommu_group),
 * its open file goes on answering ENODEV, and once that is closed the object serves the next
 * registration of the same group number.  So a pointer to a group is good for ever.
 *
 * Locks nest: tree lock, group_lock, container lock, device set lock.
 */
#ifndef KERNEL_VFIO_VFIO_PRIV_H
#define KERNEL_VFIO_VFIO_PRIV_H

#include "kernel/fs/chrdev.h"
#include "kernel/vfio/vfio.h"

#define VFIO_GROUP_MAJOR 511
#define VFIO_DEVICE_MAJOR 510
#define VFIO_CONTAINER_MAJOR 10 /* misc */
#define VFIO_CONTAINER_MINOR 196

TAILQ_HEAD(vfio_device_list, vfio_device);

enum vfio_group_type {
	VFIO_IOMMU,
	VFIO_NO_IOMMU, /* its one device reaches all memory: "unsafe no-IOMMU mode" */
};

struct vfio_group {
	unsigned id;			 /* immutable */
	enum vfio_group_type type;	 /* immutable */
	char node[24];			 /* "vfio/3", "vfio/noiommu-3"; immutable */
	struct cdev cdev;		 /* chrdev.c's while registered */
	struct mutex group_lock;	 /* LOCK_VFIO_GROUP */
	struct iommu_group *iommu_group; /* group_lock; NULL: dead; one reference */
	struct vfio_device_list devices; /* group_lock */
	struct vfio_container *container; /* group_lock; one reference */
	struct iommufd_ctx *iommufd;	 /* group_lock; one reference: an iommufd stands in for the container */
	unsigned container_users;	 /* group_lock: open device files, while it is in a container */
	struct file *opened_file;	 /* group_lock; no reference: its release clears this */
	unsigned bound_devices;		 /* group_lock: in use through their own nodes; the group cannot be opened */
	TAILQ_ENTRY(vfio_group) container_next; /* container's lock */
	TAILQ_ENTRY(vfio_group) vfio_next;	/* tree lock */
};

struct vfio_device_set {
	void *id;			 /* what the bus driver gave; immutable */
	struct mutex lock;		 /* LOCK_VFIO_DEVICE_SET */
	struct vfio_device_list devices; /* lock */
	TAILQ_ENTRY(vfio_device_set) next; /* tree lock */
};

/* ---- group.c ---- */

/**
 * vfio_group_get_for - the group that a device about to be registered belongs to, its node made
 * Tree lock held.  The device is not yet in it.  Return: the group; ERR_PTR(-errno).
 */
struct vfio_group *vfio_group_get_for(struct device *dev);
/** vfio_group_add_device, vfio_group_del_device - tree lock held; the last one out makes the group dead. */
void vfio_group_add_device(struct vfio_group *group, struct vfio_device *vdev);
void vfio_group_del_device(struct vfio_group *group, struct vfio_device *vdev);
/** vfio_group_put_for - undo vfio_group_get_for() when the device could not be registered, or left. */
void vfio_group_put_for(struct vfio_group *group, struct device *dev);
/** vfio_group_name - "3", "noiommu-3" */
const char *vfio_group_name(const struct vfio_group *group);
/** vfio_group_unuse_container - an open device file goes. */
void vfio_group_unuse_container(struct vfio_group *group);
/** vfio_groups_free - at vfio_exit(). */
void vfio_groups_free(void);

/* ---- container.c ---- */

extern const struct file_operations vfio_container_fops;
int vfio_container_init(void);
void vfio_container_exit(void);
/**
 * vfio_container_attach_group, vfio_container_detach_group - group_lock held
 * Return: 0; -EPERM not viable; what the backend says.
 */
int vfio_container_attach_group(struct vfio_container *container, struct vfio_group *group);
void vfio_container_detach_group(struct vfio_group *group);
/** vfio_container_has_iommu - has SET_IOMMU chosen a backend?  group_lock of an attached group held. */
bool vfio_container_has_iommu(struct vfio_container *container);

/**
 * vfio_group_block - a device of the group is to be used through its own node: nobody may open the group
 * @ret_fd: the lock that tells other processes; vfio_group_unblock() closes it
 * Return: 0; -EBUSY the group is open, here or in another process.
 */
int vfio_group_block(struct vfio_group *group, int *ret_fd);
void vfio_group_unblock(struct vfio_group *group, int fd);

/* ---- device_file.c ---- */

/* An open file of a device. */
struct vfio_device_file {
	struct vfio_device *vdev;	/* immutable */
	bool by_group;			/* it was got from its group, and is no node's own; immutable */
	struct file *group_file;	/* a reference: the group stays open in its container; NULL: in none.  Immutable */
	atomic_bool access_granted;	/* the device may be used: from the start, or after BIND_IOMMUFD */
	/* dev_set lock, then immutable: a reference; NULL: not bound, or its group is in a container. */
	struct iommufd_ctx *iommufd;
	int group_fd;			/* likewise: of vfio_group_block() */
};

extern const struct file_operations vfio_device_fops;

/**
 * vfio_device_open_file - a descriptor for @vdev, got from its group
 * @group_file: if the group is in a container: takes over one reference and one of container_users, also on failure
 * @ictx: else what stands in for it, likewise
 * The reference on @vdev->refs is taken over too.  Return: the descriptor; -errno.
 */
int vfio_device_open_file(struct vfio_device *vdev, struct file *group_file, struct iommufd_ctx *ictx);
/**
 * vfio_df_open, vfio_df_close - the device comes into use through @df, or goes out of it
 * The dev_set lock is held.  Return: 0; -EINVAL it is in use, and @df is no group's; of iommufd; of the driver.
 */
int vfio_df_open(struct vfio_device_file *df);
void vfio_df_close(struct vfio_device_file *df);
/**
 * vfio_device_busy_get, vfio_device_busy_put - a file of the device is open: other processes' unbind waits
 * The dev_set lock is held.  Return: 0; -ENODEV it is being unbound elsewhere; -errno.
 */
int vfio_device_busy_get(struct vfio_device *vdev);
void vfio_device_busy_put(struct vfio_device *vdev);
/** vfio_device_put - drop one of @vdev->refs; wakes vfio_unregister_group_dev(). */
void vfio_device_put(struct vfio_device *vdev);

/* ---- migration.c ---- */

/** vfio_migration_feature - one of VFIO_DEVICE_FEATURE's numbers that belong to migration */
int vfio_migration_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz);

/* ---- debugfs.c; tree lock held ---- */

/** vfio_debugfs_add_device - the files of a device that can migrate; of others none.  0; -errno. */
int vfio_debugfs_add_device(struct vfio_device *vdev);
void vfio_debugfs_del_device(struct vfio_device *vdev);

/* ---- device_cdev.c: /dev/vfio/devices/vfioN ---- */

/** vfio_device_cdev_add, vfio_device_cdev_del - the node.  Tree lock held.  0; -errno. */
int vfio_device_cdev_add(struct vfio_device *vdev);
void vfio_device_cdev_del(struct vfio_device *vdev);
/** vfio_df_cdev_release - a file of such a node goes: all that vfio_device_release() has to do for it. */
void vfio_df_cdev_release(struct vfio_device_file *df, struct file *file);
long vfio_df_bind_iommufd(struct vfio_device_file *df, struct file *file, void __user *arg);
long vfio_df_attach_pt(struct vfio_device_file *df, void __user *arg);
long vfio_df_detach_pt(struct vfio_device_file *df, void __user *arg);

/* ---- iommufd.c: what a device is to an iommufd; the dev_set lock held ---- */

/** vfio_iommufd_bind, vfio_iommufd_unbind - 0; as iommufd_device_bind().  unbind accepts one that is not bound. */
int vfio_iommufd_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *ret_id);
void vfio_iommufd_unbind(struct vfio_device *vdev);
/**
 * vfio_iommufd_attach - to @pt_id, or from what it is attached to there
 * @pasid: IOMMU_NO_PASID and @with_pasid false: the device itself
 * Return: 0 and *@pt_id the page table's number; as iommufd_device_attach() and _replace().
 */
int vfio_iommufd_attach(struct vfio_device *vdev, bool with_pasid, u32 pasid, u32 *pt_id);
/** vfio_iommufd_compat_attach - to the IOAS that stands in for a container in @ictx.  0; -ENODEV there is none. */
int vfio_iommufd_compat_attach(struct vfio_device *vdev, struct iommufd_ctx *ictx);
/** vfio_iommufd_detach - no error if it is not attached. */
void vfio_iommufd_detach(struct vfio_device *vdev, bool with_pasid, u32 pasid);

/* ---- vfio_sysfs.c: the nodes that udev and libraries look for ---- */

/**
 * vfio_sysfs_init - /sys/class/vfio, /sys/class/vfio-dev, /sys/module/...
 * Tree lock held.  They stay, for the tree is all processes'.  Return: 0; -errno.
 */
int vfio_sysfs_init(void);
int vfio_sysfs_add_group(const struct vfio_group *group);
void vfio_sysfs_del_group(const struct vfio_group *group);
/** vfio_sysfs_add_device - sets vdev->index and name, to what the tree has if it has.  0; -ENOSPC; -errno. */
int vfio_sysfs_add_device(struct vfio_device *vdev);
void vfio_sysfs_del_device(struct vfio_device *vdev);

/** vfio_noiommu_enabled - what the parameter enable_unsafe_noiommu_mode says now.  Any lock. */
bool vfio_noiommu_enabled(void);

/* ---- noiommu.c: the backend of containers whose groups have no IOMMU ---- */

extern const struct vfio_iommu_driver_ops vfio_noiommu_ops;

/* ---- asked.c: devices that other processes want back ---- */

/** vfio_asked_add, vfio_asked_del - @vdev is in use, its busy_fd open; or will be closed.  Dev_set lock held. */
void vfio_asked_add(struct vfio_device *vdev);
void vfio_asked_del(struct vfio_device *vdev);
/** vfio_asked_is_wanted - is another process unbinding @vdev, and waits?  It is in use here, and stays so. */
bool vfio_asked_is_wanted(const struct vfio_device *vdev);
/** vfio_ask_others - let the users of a device's busy file know that it is wanted, as long as @fd of it is open. */
void vfio_ask_others(int fd);

/* ---- busy.c: who else has it open ---- */

/**
 * vfio_busy_lock - take the lock of a file in the tree without waiting
 * @path: below the machine's directory;  @flags: O_RDONLY..., as the descriptor shall be open
 * Return: an open, close-on-exec descriptor of the file that holds the lock until it is closed;
 * -EWOULDBLOCK another open file has it; -errno of opening.
 */
int vfio_busy_lock(const char *path, int flags, bool exclusive);
/** vfio_busy_open - open a file in the tree as for vfio_busy_lock().  Return: the descriptor; -errno. */
int vfio_busy_open(const char *path, int flags);
/** vfio_busy_open_node - a private descriptor of the file behind a node ("vfio/devices/vfio3"); -errno. */
int vfio_busy_open_node(const char *node, unsigned int f_flags);
/** vfio_busy_holder - "process 123 (qemu)", or "another process" if that is all we know.  Return: @buf. */
const char *vfio_busy_holder(const char *path, char *buf, size_t size);

#endif
