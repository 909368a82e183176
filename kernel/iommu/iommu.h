/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu.h - groups, domains and who owns a group's DMA.
 *
 * A group is the smallest set of devices that the IOMMU can tell apart.  A domain is one I/O address
 * space: page tables that the IOMMU hardware walks.  All devices of a group are in one domain:
 *
 *	default		kernel drivers' DMA.  Our stand-in host drivers move no data, so nothing is
 *			mapped in it: type "DMA" is blocked like the next, type "identity" passes addresses
 *			untranslated, and there is no memory at them (hw/iommu/hw_iommu.h)
 *	blocking	nothing passes; what a group has when user space owns it but attached nothing
 *	paging		made by VFIO or iommufd, attached to the group
 *
 * Source of words: Linux Documentation/driver-api/vfio.rst, the AMD I/O Virtualization Technology
 * specification (48882) rev 3.08 for device table and page tables, the Intel Virtualization Technology for
 * Directed I/O specification for root, context and second-stage tables.
 */
#ifndef KERNEL_IOMMU_IOMMU_H
#define KERNEL_IOMMU_IOMMU_H

#include <bsd/sys/queue.h>

#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct device;
struct iommu_device;
struct iommu_domain;
struct iommu_group;

#define IOMMU_READ BIT(0)  /* the device may read */
#define IOMMU_WRITE BIT(1)
#define IOMMU_CACHE BIT(2) /* coherent; always so here */
#define IOMMU_MMIO BIT(4)

enum iommu_resv_type { IOMMU_RESV_DIRECT, IOMMU_RESV_RESERVED, IOMMU_RESV_MSI, IOMMU_RESV_SW_MSI };

struct iommu_resv_region {
	u64 start, last;
	enum iommu_resv_type type;
};

/* What one IOMMU model can do, and how its page tables are written. */
struct iommu_domain_ops {
	/**
	 * map_pages - map [iova, iova+len) to [phys, ...), all multiples of 4 KiB, with the largest page
	 * sizes that alignment allows.  Serialised by the caller per domain.
	 * Return: 0; -ENOMEM, -EEXIST, and then nothing of it is mapped.
	 */
	int (*map)(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
	/**
	 * unmap - take out what is there; a page larger than asked goes whole.  No invalidation.
	 * Return: bytes that were mapped.
	 */
	u64 (*unmap)(struct iommu_domain *domain, u64 iova, u64 len_bytes);
	/** iova_to_phys - with the offset in the page; 0: not mapped */
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain, u64 iova);
	void (*free)(struct iommu_domain *domain);
};

enum iommu_domain_type { IOMMU_DOMAIN_BLOCKED, IOMMU_DOMAIN_IDENTITY, IOMMU_DOMAIN_PAGING };

struct iommu_domain {
	enum iommu_domain_type type;
	const struct iommu_domain_ops *ops;
	struct iommu_device *iommu;	/* the unit whose format the tables have */
	u64 pgsize_bitmap;
	u64 aperture_start, aperture_last;
	struct mutex lock;		/* LOCK_IOMMU_DOMAIN: writers of the tables */
};

/*
 * The register interface of an IOMMU unit, which hardware (hw/iommu) implements and machine/ wires:
 * the kernel writes tables into memory, tells the unit where they are, and invalidates.
 */
struct iommu_hw_ops {
	/** set_device_table - AMD: base of the device table: 256-bit entries indexed by devid (16 bits). */
	void (*set_device_table)(void *hw, phys_addr_t base, u32 entries);
	/** set_root_table - VT-d: base of the root table, one page: an entry for each bus.  0: none. */
	void (*set_root_table)(void *hw, phys_addr_t base);
	/** invalidate_device - the unit forgets what it cached of a device's (context) entry.  Synchronous. */
	void (*invalidate_device)(void *hw, u16 devid);
	/**
	 * invalidate_pages - forget translations of that domain id in [iova, last].  On return no DMA
	 * that used them is under way.
	 */
	void (*invalidate_pages)(void *hw, u16 domid, u64 iova, u64 last);
};

/* An IOMMU unit as the kernel knows it. */
struct iommu_device {
	const char *name;		/* "ivhd0", "dmar0" */
	const struct iommu_device_ops *ops;
	const struct iommu_hw_ops *hw_ops;
	void *hw;
	void *priv;			/* of the IOMMU driver */
	unsigned devices;		/* tree lock: how many are probed; its sysfs nodes live as long */
};
struct iommu_device_ops {
	/** domain_alloc_paging - a fresh paging domain fit for @dev.  ERR_PTR(-ENOMEM). */
	struct iommu_domain *(*domain_alloc_paging)(struct iommu_device *iommu, struct device *dev);
	/**
	 * attach_dev - point the device at a domain (NULL ops domains blocked/identity too)
	 * Return: 0; -ENOMEM, only at a device's first; -EINVAL incompatible.
	 */
	int (*attach_dev)(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid);
	/** flush - make unmapped ranges unreachable: invalidate and wait. */
	void (*iotlb_sync)(struct iommu_domain *domain, u64 iova, u64 last);
	void (*get_resv_regions)(struct iommu_device *iommu, struct device *dev,
				 void (*add)(void *arg, const struct iommu_resv_region *), void *arg);
	/** sysfs_add - optional: the vendor's attributes, into the unit's directory @dir.  0; -errno. */
	int (*sysfs_add)(struct iommu_device *iommu, const char *dir);
	bool cache_coherency;		/* devices' DMA is coherent with caches; VFIO asks for it */
	bool enforce_cache_coherency;	/* ... even if a device asks for no snoop: VFIO_DMA_CC_IOMMU */
};

/** amd_iommu_init - make a unit with AMD v1 tables.  @devids: size of its device table.  ERR_PTR. */
struct iommu_device *amd_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw,
				    u32 devids);
void amd_iommu_exit(struct iommu_device *iommu);
/**
 * intel_iommu_init - make a VT-d unit with second-stage tables in legacy mode
 * @aw_bits: width of its addresses, 39, 48 or 57; -EINVAL others.  ERR_PTR.
 */
struct iommu_device *intel_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw,
				      unsigned aw_bits);
void intel_iommu_exit(struct iommu_device *iommu);

/* ---- groups ---- */

/**
 * iommu_probe_device - put a device under a unit and into group @group_id (made if new)
 * Creates /sys/kernel/iommu_groups/<n>/{devices/,reserved_regions,type}, <device>/iommu_group and
 * <device>/iommu.  Tree lock held.  Return: 0; -errno.
 */
int iommu_probe_device(struct iommu_device *iommu, struct device *dev, u16 devid, unsigned group_id);
void iommu_release_device(struct device *dev);

struct iommu_group *iommu_group_get(struct device *dev); /* one reference; NULL without a group */
struct iommu_group *iommu_group_ref_get(struct iommu_group *group);
void iommu_group_put(struct iommu_group *group);
unsigned iommu_group_id(const struct iommu_group *group);
/** iommu_group_for_each_dev - until @fn, run under LOCK_IOMMU_GROUP, returns non-zero, which is returned. */
int iommu_group_for_each_dev(struct iommu_group *group, void *arg, int (*fn)(struct device *dev, void *arg));

/**
 * iommu_group_claim_dma_owner - user space takes the group: refused while a kernel driver uses a device
 * Return: 0; -EPERM a kernel driver or another owner has it (so answered Linux 7.2: SET_CONTAINER of such
 * a group is EPERM), -EINVAL @owner NULL.  The group is blocked after success.
 */
int iommu_group_claim_dma_owner(struct iommu_group *group, void *owner);
void iommu_group_release_dma_owner(struct iommu_group *group);
/** iommu_group_dma_owner_claimed - by user space or a kernel driver: not viable for somebody new. */
bool iommu_group_dma_owner_claimed(struct iommu_group *group);
/** iommu_device_use_default_domain - a kernel driver binds.  -EBUSY if user space owns the group. */
int iommu_device_use_default_domain(struct device *dev);
void iommu_device_unuse_default_domain(struct device *dev);

/* ---- domains ---- */

struct iommu_domain *iommu_paging_domain_alloc(struct device *dev); /* ERR_PTR */
void iommu_domain_free(struct iommu_domain *domain);
/** iommu_attach_group - all its devices or none.  0; -EBUSY has one; -EINVAL other unit's domain; -ENOMEM. */
int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group);
/** iommu_detach_group - from @domain, if attached to it, to blocked; to the default domain if unowned. */
void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group);
/* Map and unmap lock the domain; unmap also invalidates before it returns. */
/**
 * iommu_map - 0; -EINVAL not multiples of 4 KiB, empty, overflow, outside the aperture; -EEXIST; -ENOMEM:
 * and then nothing of it is mapped
 */
int iommu_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
u64 iommu_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes);
phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, u64 iova);
/** iommu_get_group_resv_regions - sorted by start, merged per type.  Return: count (at most @max filled). */
size_t iommu_get_group_resv_regions(struct iommu_group *group, struct iommu_resv_region *ret, size_t max);
bool device_iommu_capable_cache_coherency(struct device *dev);

#endif
