/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd.h - iommufd as the drivers of devices see it.
 *
 * An open /dev/iommu is a context: a table of objects that the program makes and names by number.  A
 * driver takes part in two ways:
 *
 *	device	a device whose own DMA goes through an IOMMU (vfio-pci).  It is bound to a context, then
 *		attached to a page table: an I/O address space (IOAS) or a hardware page table (HWPT)
 *	access	a driver that moves bytes itself (mediated devices, the mock): it is attached to an IOAS and
 *		reads, writes or pins what is mapped there
 *
 * The program's side of it is linux/iommufd.h.  device.c and access.c carry out what is declared here, but for the
 * context (main.c) and the compatibility IOAS (vfio_compat.c).
 */
#ifndef KERNEL_IOMMUFD_IOMMUFD_H
#define KERNEL_IOMMUFD_IOMMUFD_H

#include "kernel/lib/types.h"

struct device;
struct file;
struct iommu_group;
struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;

#define IOMMU_NO_PASID 0u	/* "the device itself", where a PASID is asked for */
#define IOMMU_PASID_INVALID (~0u)

/* ---- contexts (main.c) ---- */

/**
 * iommufd_ctx_from_file, iommufd_ctx_from_fd - the context behind an open /dev/iommu
 * Return: it, with a reference that keeps it open; ERR_PTR(-EBADFD) the file is no /dev/iommu; -EBADF no
 * open descriptor (from_fd only).
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);
struct iommufd_ctx *iommufd_ctx_from_fd(int fd);
struct iommufd_ctx *iommufd_ctx_get(struct iommufd_ctx *ictx);
/**
 * iommufd_ctx_put - drop a reference; the last takes all objects along
 * NULL is accepted.  Hold no lock that the driver's own callbacks take.
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx);

/* ---- devices (device.c) ---- */

/**
 * iommufd_device_bind - a device comes to a context; its group's DMA now belongs to that context
 * @ret_id: number of the object, set on success
 * The caller holds a reference to @ictx across the call; the device takes one of its own.
 * Return: the device; ERR_PTR(-EPERM) the IOMMU does not isolate its interrupts; -EINVAL, -ENODEV no IOMMU;
 * -EBUSY, -EPERM as iommu_device_claim_dma_owner(); -ENOMEM.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *ret_id);
/** iommufd_device_unbind - undo it.  Detached from everything.  Waits for ioctls that look at it. */
void iommufd_device_unbind(struct iommufd_device *idev);
/**
 * iommufd_device_attach - connect the device, or one PASID of it, to a page table
 * @pasid: IOMMU_NO_PASID for the device itself
 * @pt_id: an IOAS (a fitting HWPT is found or made) or a HWPT; on success the HWPT's id
 * Nothing is attached there yet, or it is what @pt_id says already.
 * Return: 0; -ENOENT no such object; -EINVAL incompatible, or other id attached; -EADDRINUSE a mapping or an
 * allowed range meets what the device reserves; -EFAULT memory of a mapping is not there; -ENOMEM; -EBUSY.
 */
int iommufd_device_attach(struct iommufd_device *idev, u32 pasid, u32 *pt_id);
/** iommufd_device_replace - the same where something is attached; without a moment of no translation. */
int iommufd_device_replace(struct iommufd_device *idev, u32 pasid, u32 *pt_id);
/** iommufd_device_detach - back to blocked.  An automatic HWPT goes with its last device. */
void iommufd_device_detach(struct iommufd_device *idev, u32 pasid);
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);
u32 iommufd_device_to_id(struct iommufd_device *idev);
/** iommufd_ctx_has_group - is a device of @group bound to @ictx? */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group);

/* ---- accesses (access.c) ---- */

struct iommufd_access_ops {
	bool needs_pin_pages; /* it pins: IOVAs of its IOAS are page aligned then, and unmap is there */
	/**
	 * unmap - the program unmaps [iova, iova+len): unpin what is pinned there before returning
	 * No lock held.  May be told of ranges that it has nothing in.
	 */
	void (*unmap)(void *data, u64 iova, u64 len_bytes);
};

#define IOMMUFD_ACCESS_RW_READ 0u
#define IOMMUFD_ACCESS_RW_WRITE BIT(0)
#define IOMMUFD_ACCESS_RW_SLOW_PATH BIT(2) /* for tests: byte by page, pinning each */

/**
 * iommufd_access_create - take part in a context
 * @data: handed to @ops->unmap;  @ret_id: number of the object
 * Return: the access, attached to nothing; ERR_PTR(-ENOMEM).
 */
struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ictx, const struct iommufd_access_ops *ops,
					     void *data, u32 *ret_id);
/** iommufd_access_destroy - detaches it first. */
void iommufd_access_destroy(struct iommufd_access *access);
/** iommufd_access_attach - 0; -EINVAL attached already; -ENOENT no such IOAS; -EADDRINUSE alignment. */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);
/** iommufd_access_replace - to another IOAS; what is pinned is first taken back by ops->unmap. */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);
void iommufd_access_detach(struct iommufd_access *access);
/**
 * iommufd_access_pin_pages - hold the pages of [iova, iova+len) until iommufd_access_unpin_pages()
 * @ret_phys: one entry for each page that the range touches
 * @flags: IOMMUFD_ACCESS_RW_WRITE if the bytes may be written
 * Return: 0; -EINVAL not an access that pins, or length 0; -ENOENT not attached, or not all mapped; -EPERM
 * mapped without that right; -EOVERFLOW; -EFAULT; -ENOMEM.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, u64 iova, u64 len_bytes, phys_addr_t *ret_phys,
			     unsigned flags);
/** iommufd_access_unpin_pages - with exactly what was pinned. */
void iommufd_access_unpin_pages(struct iommufd_access *access, u64 iova, u64 len_bytes);
/**
 * iommufd_access_rw - copy between @data and what is mapped at @iova
 * Return: 0; errors as pinning, and then some first bytes may have been copied.
 */
int iommufd_access_rw(struct iommufd_access *access, u64 iova, void *data, size_t len_bytes, unsigned flags);

/* ---- an iommufd in the place of a VFIO container (vfio_compat.c) ---- */

/**
 * iommufd_vfio_compat_ioas_create - a VFIO group joins: see that there is a compatibility IOAS
 * Return: 0; -EINVAL groups without an IOMMU have joined; -ENOMEM.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx);
/** iommufd_vfio_compat_ioas_get_id - 0; -ENODEV there is none (any more). */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *ret_id);
/** iommufd_vfio_compat_set_no_iommu - a group without an IOMMU joins.  0; -EINVAL there is a compatibility IOAS. */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx);

struct cdev;
/** iommufd_open_container - for a node /dev/vfio/vfio that iommufd answers for: cdev.open */
struct file *iommufd_open_container(struct cdev *cdev, unsigned int f_flags);

/* ---- module init, tree lock held ---- */
/** iommufd_test_enable - switch the test ioctl on, for contexts that are opened afterwards. */
void iommufd_test_enable(void);
int iommufd_init(void);	/* /dev/iommu, /sys/class/misc/iommu, /sys/module/iommufd */
void iommufd_exit(void);

#endif
