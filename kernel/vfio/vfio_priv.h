/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_priv.h - between the files of the VFIO core: what a group, a container and an open device are.
 *
 *	device file --> group file --> group --> container --> iommu_data of a backend
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
	unsigned container_users;	 /* group_lock: open device files */
	struct file *opened_file;	 /* group_lock; no reference: its release clears this */
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

/* ---- device_file.c ---- */

/**
 * vfio_device_open_file - a descriptor for @vdev
 * @group_file: takes over one reference, the one on @vdev->refs, and one of container_users, also on failure
 * Return: the descriptor; -errno.
 */
int vfio_device_open_file(struct vfio_device *vdev, struct file *group_file);
/** vfio_device_put - drop one of @vdev->refs; wakes vfio_unregister_group_dev(). */
void vfio_device_put(struct vfio_device *vdev);

/* ---- migration.c ---- */

/** vfio_migration_feature - one of VFIO_DEVICE_FEATURE's numbers that belong to migration */
int vfio_migration_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz);

/* ---- debugfs.c; tree lock held ---- */

/** vfio_debugfs_add_device - the files of a device that can migrate; of others none.  0; -errno. */
int vfio_debugfs_add_device(struct vfio_device *vdev);
void vfio_debugfs_del_device(struct vfio_device *vdev);

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

/* ---- busy.c: who else has it open ---- */

/**
 * vfio_busy_lock - take the lock of a file in the tree without waiting
 * @path: below the machine's directory;  @flags: O_RDONLY..., as the descriptor shall be open
 * Return: an open, close-on-exec descriptor of the file that holds the lock until it is closed;
 * -EWOULDBLOCK another open file has it; -errno of opening.
 */
int vfio_busy_lock(const char *path, int flags, bool exclusive);
/** vfio_busy_holder - "process 123 (qemu)", or "another process" if that is all we know.  Return: @buf. */
const char *vfio_busy_holder(const char *path, char *buf, size_t size);

#endif
