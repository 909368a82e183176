/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio.h - between the VFIO core, its IOMMU backends and its bus drivers.
 *
 * container (/dev/vfio/vfio)  one I/O address space, kept by a backend (type1)
 * group     (/dev/vfio/N)     an IOMMU group; joins a container; one open file at a time;
 *	      /dev/vfio/noiommu-N if no IOMMU isolates its device
 * device    (anonymous)	      got from its group once the container has a backend
 * device    (/dev/vfio/devices/vfioN)  the same device without container and group: it is bound to an
 *	      iommufd, and attached to an address space there (device_cdev.c)
 *
 * A device is used by one of the two ways at a time.
 *
 * Lifetimes: an open device file keeps the group file's container attachment alive; the container's
 * backend goes when its last group leaves.  A bound device keeps the iommufd.
 */
#ifndef KERNEL_VFIO_VFIO_H
#define KERNEL_VFIO_VFIO_H

#include <bsd/sys/queue.h>
#include <linux/vfio.h>
#include <stdatomic.h>

#include "kernel/fs/chrdev.h"
#include "kernel/fs/eventfd.h"
#include "kernel/fs/file.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct device;
struct iommu_group;
struct iommufd_ctx;
struct iommufd_device;
struct vfio_container;
struct vfio_device;
struct vfio_group;
struct vm_area;

/* ---- bus drivers below ---- */

struct vfio_device_ops {
	const char *name;
	bool numbered; /* regions and interrupts have numbers, not PCI's names */
	/** open_device - first open: enable the device.  close_device - last close.  Under the device set's lock. */
	int (*open_device)(struct vfio_device *vdev);
	void (*close_device)(struct vfio_device *vdev);
	ssize_t (*read)(struct vfio_device *vdev, char __user *buf, size_t count, u64 *pos);
	ssize_t (*write)(struct vfio_device *vdev, const char __user *buf, size_t count, u64 *pos);
	long (*ioctl)(struct vfio_device *vdev, unsigned int cmd, unsigned long arg);
	int (*mmap)(struct vfio_device *vdev, struct vm_area *vma, int map_flags);
	/** match - does the string of GROUP_GET_DEVICE_FD mean this device?  1, 0 or -errno. */
	int (*match)(struct vfio_device *vdev, const char *buf);
	/** match_token - optional: may a program that shows this UUID (NULL: none) have the device?  0; -errno. */
	int (*match_token)(struct vfio_device *vdev, const u8 *uuid);
	/** request - the kernel wants the device back; @count is how often it asked.  Dev_set lock or LOCK_VFIO_ASKED may be held. */
	void (*request)(struct vfio_device *vdev, unsigned count);
	/** device_feature - one of VFIO_DEVICE_FEATURE's numbers; -ENOTTY unknown */
	int (*device_feature)(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz);
};

/* A driver whose device can migrate; see migration.c for the states. */
struct vfio_migration_ops {
	/**
	 * set_state - go to @new over the arcs that vfio_mig_get_next_state() names
	 * Return: the file of a stream that began on the way, its reference the caller's; NULL if none did;
	 * ERR_PTR, and then the state is one on the way, or ERROR.
	 */
	struct file *(*set_state)(struct vfio_device *vdev, u32 new);
	u32 (*get_state)(struct vfio_device *vdev);
	/** get_data_size - about how many bytes STOP_COPY will stream */
	u64 (*get_data_size)(struct vfio_device *vdev);
};

/* A driver whose device logs which pages it wrote to. */
struct vfio_log_ops {
	/**
	 * log_start - @ranges do not overlap; @page_size: wanted, becomes what is done
	 * Return: 0; -EINVAL it logs already; -errno.
	 */
	int (*log_start)(struct vfio_device *vdev, const struct vfio_device_feature_dma_logging_range *ranges,
			 u32 count, u64 *page_size);
	int (*log_stop)(struct vfio_device *vdev);
	/** log_read_and_clear - call @dirty for what was written in [@iova, @last], in ascending order. */
	int (*log_read_and_clear)(struct vfio_device *vdev, u64 iova, u64 last,
				  void (*dirty)(void *arg, u64 iova, u64 last), void *arg);
};

struct vfio_device_set; /* devices that a bus reset hits together; vfio_main.c */

struct vfio_device {
	struct device *dev;
	const struct vfio_device_ops *ops;
	/* Set before registration; NULL: the device can not. */
	const struct vfio_migration_ops *mig_ops;
	const struct vfio_log_ops *log_ops;
	u64 migration_flags;	/* VFIO_MIGRATION_ bits, with mig_ops */
	atomic_bool precopy_info_v2; /* the program asked for flags in VFIO_MIG_GET_PRECOPY_INFO */
	struct vfio_group *group;
	struct vfio_device_set *dev_set;
	unsigned open_count;	/* under dev_set lock */
	int busy_fd;		/* dev_set lock: tells other processes that the device is open here; -1 */
	unsigned busy_users;	/* dev_set lock: open files that need it */
	unsigned asked;		/* asked.c: how often another process wanted it back */
	atomic_bool listens;	/* asked.c */
	TAILQ_ENTRY(vfio_device) asked_next; /* asked.c */
	_Atomic u32 refs;	/* 1 while registered, 1 for each open file; a futex for unregister */
	bool unregistering;	/* group_lock: no new opens */
	unsigned index;		/* of vfioN; immutable while registered */
	char name[24];		/* "vfio3", "noiommu-vfio3"; likewise */
	struct cdev cdev;	/* chrdev.c's while registered */
	char node[48];		/* "vfio/devices/vfio3"; immutable while registered */
	bool cdev_opened;	/* dev_set lock, fixed while in use: through its own node, not its group's */
	struct iommufd_device *iommufd_device; /* dev_set lock: bound to an iommufd; NULL */
	bool iommufd_attached;	/* dev_set lock */
	u64 *pasids;		/* dev_set lock: bitmap of attached PASIDs, NULL before the first */
	TAILQ_ENTRY(vfio_device) group_next;	/* group_lock */
	TAILQ_ENTRY(vfio_device) dev_set_next;	/* dev_set lock */
};

/**
 * vfio_register_group_dev - a bus driver's probe announces a device; makes /dev/vfio/<group> with the
 * first of its group, and /sys/.../vfio-dev/vfioN.  A device without a group gets one of its own if unsafe
 * no-IOMMU mode is on.  Tree lock held.  0; -EINVAL no group; -EBUSY; -ENOMEM.
 * @dev_set_id: devices with the same pointer share a device set (the bus).
 */
int vfio_register_group_dev(struct vfio_device *vdev, struct device *dev, const struct vfio_device_ops *ops,
			    void *dev_set_id);
/**
 * vfio_unregister_group_dev - waits until no program has it open, asking with ops.request every second
 * Tree lock held, also while it waits: closing a device needs no tree lock.
 */
void vfio_unregister_group_dev(struct vfio_device *vdev);
/** vfio_device_in_use - has a program of this process a descriptor of it?  For device_driver.in_use. */
bool vfio_device_in_use(struct vfio_device *vdev);
/** vfio_device_used - has a program of another process?  For device_driver.used.  Tree lock held. */
bool vfio_device_used(struct device *dev);
/**
 * vfio_asked_listen - a program wants to be told by ops.request() also if another process unbinds its device
 * Any lock of a bus driver.  Without memory for a thread it is not told.
 */
void vfio_asked_listen(struct vfio_device *vdev);
struct mutex *vfio_device_set_lock(struct vfio_device *vdev);
/** vfio_device_set_for_each - over @vdev's set, its lock held, until @fn is not 0, which is returned. */
int vfio_device_set_for_each(struct vfio_device *vdev, void *arg,
			     int (*fn)(struct vfio_device *vdev, void *arg));
/** vfio_file_is_group - an open /dev/vfio/N?  vfio_file_has_dev - and is @vdev of that group?  Any lock. */
bool vfio_file_is_group(struct file *file);
bool vfio_file_has_dev(struct file *file, struct vfio_device *vdev);

/* ---- devices of an iommufd (iommufd.c); the device set's lock held ---- */

/** vfio_iommufd_device_ictx - the context that the device is bound to; NULL. */
struct iommufd_ctx *vfio_iommufd_device_ictx(struct vfio_device *vdev);
/**
 * vfio_iommufd_get_dev_id - what @ictx calls the device
 * Return: its number; VFIO_PCI_DEVID_OWNED it is not bound, but its group's DMA is the context's;
 * VFIO_PCI_DEVID_NOT_OWNED.
 */
int vfio_iommufd_get_dev_id(struct vfio_device *vdev, struct iommufd_ctx *ictx);

/* ---- helpers for info calls (vfio_main.c) ---- */

struct vfio_info_cap { void *buf; size_t size; };
/** vfio_info_add_capability - append a capability (header first) to the chain.  0; -ENOMEM (chain freed). */
int vfio_info_add_capability(struct vfio_info_cap *caps, const struct vfio_info_cap_header *cap, size_t size);
/** vfio_info_cap_shift - make chain offsets relative to the start of the ioctl's struct. */
void vfio_info_cap_shift(struct vfio_info_cap *caps, size_t offset);
/**
 * vfio_info_cap_finish - what every info ioctl does last: copy @info and, if argsz has room, the chain
 * @info_len: the struct's size, of which at most argsz bytes are copied;  @argsz_field, @cap_offset_field:
 * in @info;  the caller has set the flag that says there are capabilities;  frees the chain.
 * Return: 0; -EFAULT.
 */
int vfio_info_cap_finish(void __user *arg, void *info, size_t info_len, u32 argsz, u32 *argsz_field,
			 u32 *cap_offset_field, struct vfio_info_cap *caps);
/** vfio_set_irqs_validate_and_prepare - header checks of SET_IRQS.  0 and *@ret_data_size; -EINVAL. */
int vfio_set_irqs_validate_and_prepare(const struct vfio_irq_set *hdr, u32 num_irqs, u32 max_irq_type,
				       size_t *ret_data_size);
/** vfio_check_feature - flags and argsz of a feature.  1 go on; 0 it was a probe that succeeds; -EINVAL. */
int vfio_check_feature(u32 flags, size_t argsz, u32 supported_ops, size_t minsz);

/* ---- migration.c ---- */

/**
 * vfio_mig_get_next_state - one arc on the way from @cur to @new
 * @flags: VFIO_MIGRATION_ bits of the device.  Return: 0 and *@ret_next; -EINVAL, reason given.
 */
int vfio_mig_get_next_state(u64 flags, u32 cur, u32 new, u32 *ret_next);
/** vfio_mig_state_name - "STOP_COPY", for reasons */
const char *vfio_mig_state_name(u32 state);
/**
 * vfio_check_precopy_ioctl - what every stream's ioctl does first
 * @v2: vfio_device.precopy_info_v2, as far as there still is a device
 * Return: 0 and *@ret_info to be completed and copied back; -ENOTTY another request; -EFAULT; -EINVAL.
 */
int vfio_check_precopy_ioctl(bool v2, unsigned int cmd, unsigned long arg, struct vfio_precopy_info *ret_info);

/* ---- virqfd.c: an eventfd that calls us ---- */
struct virqfd;
/**
 * vfio_virqfd_enable - call @handler(@opaque, @data) on a thread of ours when the program signals @fd
 * @pvirqfd: where the caller keeps it, guarded by virqfd.c.  Return: 0; -EBUSY *@pvirqfd in use;
 * -EBADF, -EINVAL as eventfd_ctx_fdget(); -ENOMEM.
 */
int vfio_virqfd_enable(void *opaque, void (*handler)(void *opaque, void *data), void *data,
		       struct virqfd **pvirqfd, int fd);
/**
 * vfio_virqfd_disable - stop it; on return the handler is not running and will not run
 * NULL inside is accepted.  A handler may disable itself.  Hold no lock that the handler takes.
 */
void vfio_virqfd_disable(struct virqfd **pvirqfd);

/* ---- IOMMU backends (container.c) ---- */

/* Called one at a time per iommu_data, container lock held: a backend needs no lock of its own. */
struct vfio_iommu_driver_ops {
	const char *name;
	/** open - @type: what SET_IOMMU was given.  ERR_PTR(-EINVAL) if it is not one of this backend's. */
	void *(*open)(unsigned long type);
	void (*release)(void *iommu_data);
	long (*ioctl)(void *iommu_data, unsigned int cmd, unsigned long arg);
	/** check_extension - also called with NULL before SET_IOMMU. */
	long (*check_extension)(void *iommu_data, unsigned long arg);
	int (*attach_group)(void *iommu_data, struct iommu_group *group);
	void (*detach_group)(void *iommu_data, struct iommu_group *group);
	/** show - its mappings, "map IOVA SIZE PROT VADDR" each.  Optional. */
	void (*show)(void *iommu_data, struct show *out);
};
int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops);
void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops);

/** vfio_container_by_iommufd - before vfio_init(): /dev/vfio/vfio is an iommufd, as with CONFIG_IOMMUFD_VFIO_CONTAINER. */
void vfio_container_by_iommufd(void);

/* ---- module init, in this order, tree lock held; each is undone by its _exit ---- */
int vfio_init(void);		/* core, /dev/vfio/vfio, /sys/class/vfio*, /sys/module/vfio */
void vfio_exit(void);
/** vfio_set_unsafe_noiommu_mode - as a kernel's command line sets the module's parameter.  0; -errno. */
int vfio_set_unsafe_noiommu_mode(bool on);
int vfio_iommu_type1_init(void);
void vfio_iommu_type1_exit(void);
int vfio_pci_init(void);	/* registers the pci_driver "vfio-pci" */
void vfio_pci_exit(void);
int vfio_platform_init(void);	/* registers the platform_driver "vfio-platform" */
void vfio_platform_exit(void);
int vfio_amba_init(void);	/* and "vfio-amba" on the AMBA bus */
void vfio_amba_exit(void);
int soft_vfio_pci_init(void);	/* registers the variant driver "soft_vfio_pci"; pci/soft/ */
void soft_vfio_pci_exit(void);

#endif
