/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu.h - groups, domains and who owns a group's DMA.
 *
 * A group is the smallest set of devices that the IOMMU can tell apart.  A domain is one I/O address
 * space.  All devices of a group are in one domain, by their requester id (RID); what a device sends with a
 * PASID may be in another one for each PASID:
 *
 *	default		kernel drivers' DMA.  Our stand-in host drivers move no data, so nothing is
 *			mapped in it: type "DMA" is blocked like the next, type "identity" passes addresses
 *			untranslated, and there is no memory at them (hw/iommu/hw_iommu.h)
 *	blocking	nothing passes; what a group has when user space owns it but attached nothing
 *	paging		page tables of ours that the hardware walks; made by VFIO or iommufd
 *	nested		page tables in a guest's memory; what they translate to goes through a paging domain, the
 *			parent
 *
 * Attaching.  Who attaches a domain may leave a handle with it, a struct of its own around struct
 * iommu_attach_handle; page requests of the device bring the handle along.  The core keeps the pointer
 * until the domain is detached or replaced, and the handle has to live as long.
 *
 * Page requests.  A device that can wait asks for pages (PCI Express PRI) instead of faulting.  Requests
 * with one group number belong together; when the last one is there, the whole group goes to the fault
 * handler of the domain (struct iopf_group), and somebody answers it, once.  What nobody answered when the
 * domain is detached or replaced is answered by the core as invalid.
 *
 * Source of words: Linux Documentation/driver-api/vfio.rst, the AMD I/O Virtualization Technology
 * specification (48882) rev 3.08 for device table and page tables, the Intel Virtualization Technology for
 * Directed I/O specification for root, context and second-stage tables.
 */
#ifndef KERNEL_IOMMU_IOMMU_H
#define KERNEL_IOMMU_IOMMU_H

#include <bsd/sys/queue.h>
#include <sys/types.h>

#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct device;
struct group_device;
struct iommu_attach_handle;
struct iommu_device;
struct iommu_dirty_ops;
struct iommu_dirty_sink;
struct iommu_domain;
struct iommu_group;
struct iommu_viommu_ops;
struct iopf_group;

#define IOMMU_READ BIT(0)  /* the device may read */
#define IOMMU_WRITE BIT(1)
#define IOMMU_CACHE BIT(2) /* coherent; always so here */
#define IOMMU_MMIO BIT(4)

enum iommu_resv_type { IOMMU_RESV_DIRECT, IOMMU_RESV_RESERVED, IOMMU_RESV_MSI, IOMMU_RESV_SW_MSI };

struct iommu_resv_region {
	u64 start, last;
	enum iommu_resv_type type;
};

/* ---- what user space hands to a driver, untouched by iommufd ---- */

/* One structure: its kind (enum iommu_hwpt_data_type and the like), where it is, how long user space has it. */
struct iommu_user_data {
	u32 type;
	const void __user *uptr;
	size_t len;
};

/* Several of a kind, one behind the other. */
struct iommu_user_data_array {
	u32 type;
	const void __user *uptr;
	size_t entry_len;
	u32 entry_num; /* in: how many there are; out: how many were done, also on failure */
};

/**
 * iommu_copy_user_data - take over a structure of user space
 * @dst: @dst_len bytes; what user space does not have is 0
 * @min_len: bytes that the first version of the structure had
 *
 * Return: 0; -EINVAL it is of another type than @type, shorter than @min_len or longer than @dst_len;
 * -EFAULT.  A driver that knows several types answers -EOPNOTSUPP for one it does not know itself.
 */
int iommu_copy_user_data(void *dst, const struct iommu_user_data *src, u32 type, size_t dst_len, size_t min_len);
/**
 * iommu_copy_user_data_entry - the same of entry @index
 * Return: 0; -EINVAL wrong type, index beyond the array, shorter than @min_len; -E2BIG longer than @dst_len,
 * and not all zeros behind it; -EFAULT.
 */
int iommu_copy_user_data_entry(void *dst, const struct iommu_user_data_array *src, u32 type, u32 index,
			       size_t dst_len, size_t min_len);

/* ---- domains: what an IOMMU driver implements ---- */

/* What one IOMMU model can do, and how its page tables are written.  Optional: NULL is "cannot". */
struct iommu_domain_ops {
	/**
	 * map - map [iova, iova+len) to [phys, ...), all multiples of the smallest page of pgsize_bitmap,
	 * with the largest page sizes that alignment allows.  The domain's lock is held.
	 * Return: 0; -ENOMEM, -EEXIST, and then nothing of it is mapped.
	 */
	int (*map)(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
	/**
	 * unmap - take out what is there; a page larger than asked goes whole.  No invalidation: iotlb_sync of
	 * the unit follows.  The domain's lock is held.
	 * Return: bytes that were mapped.
	 */
	u64 (*unmap)(struct iommu_domain *domain, u64 iova, u64 len_bytes);
	/** iova_to_phys - with the offset in the page; 0: not mapped.  The domain's lock is held. */
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain, u64 iova);
	/**
	 * cache_invalidate_user - of a nested domain: the guest changed its tables.  Entries of @array are
	 * done in order, up to the first that is wrong; the driver stores in entry_num how many.  On return
	 * no DMA uses what was invalidated.
	 * Return: 0; -EINVAL, -EOPNOTSUPP, -EFAULT, -E2BIG of the first wrong entry.
	 */
	int (*cache_invalidate_user)(struct iommu_domain *domain, struct iommu_user_data_array *array);
	/** free - nothing is attached to it any more. */
	void (*free)(struct iommu_domain *domain);
};

enum iommu_domain_type { IOMMU_DOMAIN_BLOCKED, IOMMU_DOMAIN_IDENTITY, IOMMU_DOMAIN_PAGING, IOMMU_DOMAIN_NESTED };

struct iommu_domain {
	enum iommu_domain_type type;
	const struct iommu_domain_ops *ops;
	const struct iommu_dirty_ops *dirty_ops; /* NULL: its tables have no dirty bits */
	struct iommu_device *iommu;	/* the unit whose format the tables have; NULL: of all units */
	struct iommu_domain *parent;	/* of a nested one; who made it keeps the parent alive */
	bool no_access;			/* it has mappings that permit nothing */
	u64 pgsize_bitmap;
	u64 aperture_start, aperture_last;
	struct mutex lock;		/* LOCK_IOMMU_DOMAIN: writers of the tables */
	/*
	 * Set before the domain is attached, by who made it; then immutable.  Called when a group of page
	 * requests is complete, under the mutex of the device's group: it may take locks that rank between
	 * LOCK_IOMMU_GROUP and LOCK_IOPF, and must not attach or detach.
	 * Return: 0, and the group is the handler's until iopf_group_free(); -errno: the core answers it as
	 * invalid and frees it.
	 */
	int (*iopf_handler)(struct iopf_group *group);
	void *owner_data;		/* of who made it */
};

/* ---- dirty tracking ---- */

/* Where the dirty ranges of a domain are reported to; embed it. */
struct iommu_dirty_sink {
	/** record - the device wrote somewhere in [iova, iova+len).  The domain's lock is held. */
	void (*record)(struct iommu_dirty_sink *sink, u64 iova, u64 len_bytes);
};

#define IOMMU_DIRTY_NO_CLEAR BIT(0)

/* Of domains that were allocated with IOMMU_ALLOC_DIRTY_TRACKING.  The domain's lock is held. */
struct iommu_dirty_ops {
	/** set_dirty_tracking - on return the hardware notes each page that it writes; or none.  0; -errno. */
	int (*set_dirty_tracking)(struct iommu_domain *domain, bool on);
	/**
	 * read_and_clear_dirty - report what is noted in [iova, iova+len), and unless @flags has
	 * IOMMU_DIRTY_NO_CLEAR forget it, so that the next write after this call is noted anew (the driver
	 * invalidates before it returns).  A page is reported whole, also where it reaches beyond the range.
	 * Return: 0; -EINVAL tracking is off, unless NO_CLEAR or @sink is NULL.
	 */
	int (*read_and_clear_dirty)(struct iommu_domain *domain, u64 iova, u64 len_bytes, unsigned flags,
				    struct iommu_dirty_sink *sink);
};

/* ---- page requests ---- */

#define IOMMU_FAULT_PASID_VALID BIT(0)
#define IOMMU_FAULT_LAST_PAGE BIT(1)	/* its group is complete */
#define IOMMU_FAULT_PERM_READ BIT(0)
#define IOMMU_FAULT_PERM_WRITE BIT(1)
#define IOMMU_FAULT_PERM_EXEC BIT(2)
#define IOMMU_FAULT_PERM_PRIV BIT(3)

struct iommu_page_request {
	u32 flags;	/* IOMMU_FAULT_* */
	u32 pasid;	/* if flags say so */
	u32 grpid;	/* given by the device; 9 bits on PCI Express */
	u32 perm;	/* IOMMU_FAULT_PERM_* */
	u64 addr;
};

/* Values as in struct iommu_hwpt_page_response; failure is the device's error, and no program's. */
enum iommu_page_response_code { IOMMU_PAGE_RESP_SUCCESS, IOMMU_PAGE_RESP_INVALID, IOMMU_PAGE_RESP_FAILURE };

struct iopf_fault {
	struct iommu_page_request request;
	TAILQ_ENTRY(iopf_fault) node;
};

/* Page requests that belong together.  The handler's from the call until iopf_group_free(). */
struct iopf_group {
	TAILQ_HEAD(iopf_fault_list, iopf_fault) faults; /* in the order of arrival; the last one has IOMMU_FAULT_LAST_PAGE */
	size_t nr_faults;
	struct iommu_attach_handle *handle; /* of the attachment; valid in the handler, and until it is detached */
	TAILQ_ENTRY(iopf_group) node;	/* the handler's */
	u32 cookie;			/* the handler's */
	/* The core's, under LOCK_IOPF. */
	struct group_device *gdev;	/* NULL: answered */
	TAILQ_ENTRY(iopf_group) pending;
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
	 * invalidate_pages - forget translations of that domain id in [iova, last], and all nested ones that
	 * go through it.  On return no DMA that used them is under way.
	 */
	void (*invalidate_pages)(void *hw, u16 domid, u64 iova, u64 last);
	/** invalidate_pasid - as invalidate_device, of what is cached for that PASID of it. */
	void (*invalidate_pasid)(void *hw, u16 devid, u32 pasid);
	/**
	 * invalidate_first_stage - as invalidate_pages, for translations by a first stage, alone or nested.
	 * Those of all addresses: the table of guest tables (AMD) is read again too.
	 */
	void (*invalidate_first_stage)(void *hw, u16 domid, u32 pasid, u64 iova, u64 last);
	/** page_response - the answer to a group of page requests: to the device that waits for it. */
	void (*page_response)(void *hw, u16 devid, u32 pasid, u32 grpid, bool success);
};

/* An IOMMU unit as the kernel knows it. */
struct iommu_device {
	const char *name;		/* "ivhd0", "dmar0" */
	const struct iommu_device_ops *ops;
	const struct iommu_hw_ops *hw_ops;
	void *hw;
	void *priv;			/* of the IOMMU driver */
	unsigned devices;		/* tree lock: how many are probed; its sysfs nodes live as long */
	bool hidden;			/* immutable: not in the tree, nor are its groups (a mock) */
};

#define IOMMU_NO_PASID 0u /* the RID's place where PASIDs are numbered */

/* What a paging domain must be good for.  Values as in struct iommu_hwpt_alloc. */
#define IOMMU_ALLOC_NEST_PARENT BIT(0)	  /* the second stage of nested domains */
#define IOMMU_ALLOC_DIRTY_TRACKING BIT(1) /* only devices whose unit can note what they write may attach */
#define IOMMU_ALLOC_FAULT_QUEUE BIT(2)	  /* iommufd's own: a driver need not know it, but one without flags refuses it */
#define IOMMU_ALLOC_PASID BIT(3)	  /* may be attached to a PASID, and to the RID of a device that uses PASIDs */

enum iommu_cap {
	IOMMU_CAP_CACHE_COHERENCY,	   /* devices' DMA is coherent with caches; VFIO asks for it */
	IOMMU_CAP_ENFORCE_CACHE_COHERENCY, /* ... even if a device asks for no snoop: VFIO_DMA_CC_IOMMU */
	IOMMU_CAP_DIRTY_TRACKING,
	/* Of the unit and the device together. */
	IOMMU_CAP_PCI_ATS,		   /* the device may keep translations itself */
	IOMMU_CAP_PCI_PASID_EXEC,	   /* requests with a PASID may be for execution */
	IOMMU_CAP_PCI_PASID_PRIV,	   /* ... and privileged */
};

/*
 * What a kind of unit can do.  Optional ops may be NULL; the core then answers -EOPNOTSUPP.  @devid is the
 * number that the device was probed with.  Who calls attach_dev and set_dev_pasid holds the group's mutex.
 */
struct iommu_device_ops {
	/** domain_alloc_paging - a fresh paging domain fit for @dev.  ERR_PTR(-ENOMEM). */
	struct iommu_domain *(*domain_alloc_paging)(struct iommu_device *iommu, struct device *dev);
	/**
	 * domain_alloc_paging_flags - optional: one that can more
	 * @flags: IOMMU_ALLOC_*, not 0 unless there is @data; @data: NULL, or of the driver's own type
	 * Return: ERR_PTR(-ENOMEM); ERR_PTR(-EOPNOTSUPP) a flag, a combination or a type that it does not know.
	 */
	struct iommu_domain *(*domain_alloc_paging_flags)(struct iommu_device *iommu, struct device *dev,
							  u32 flags, const struct iommu_user_data *data);
	/**
	 * domain_alloc_nested - optional: page tables in guest memory, as @data describes, on top of @parent
	 * @parent: a paging domain allocated with IOMMU_ALLOC_NEST_PARENT (the caller has checked that)
	 * Return: ERR_PTR(-ENOMEM); ERR_PTR(-EOPNOTSUPP) flags or type; ERR_PTR(-EINVAL) what @data says, or
	 * @parent is another unit's; ERR_PTR(-EFAULT), ERR_PTR(-E2BIG) of copying @data.
	 */
	struct iommu_domain *(*domain_alloc_nested)(struct iommu_device *iommu, struct device *dev,
						    struct iommu_domain *parent, u32 flags,
						    const struct iommu_user_data *data);
	/**
	 * attach_dev - what the device sends without PASID goes through @domain from now on.  On the way from
	 * one domain to the other it may be blocked for a moment, but nothing passes by a mixture of the two.
	 * Blocked and identity domains have no unit of their own.
	 * Return: 0; -ENOMEM, only at a device's first; -EINVAL incompatible; and then all is as it was.
	 */
	int (*attach_dev)(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid);
	/**
	 * set_dev_pasid - optional: the same for what it sends with @pasid (not 0)
	 * @domain: the blocked domain is what a PASID has that nothing is attached to; that cannot fail
	 * @old: what was attached, NULL: nothing
	 * Return: 0; -ENOMEM; -EINVAL incompatible; and then @old is still attached.
	 */
	int (*set_dev_pasid)(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid, u32 pasid,
			     struct iommu_domain *old);
	/** flush - make unmapped ranges unreachable: invalidate and wait.  The domain's lock is held. */
	void (*iotlb_sync)(struct iommu_domain *domain, u64 iova, u64 last);
	void (*get_resv_regions)(struct iommu_device *iommu, struct device *dev,
				 void (*add)(void *arg, const struct iommu_resv_region *), void *arg);
	/** capable - optional: beyond the two bools below. */
	bool (*capable)(struct iommu_device *iommu, u16 devid, enum iommu_cap cap);
	/**
	 * hw_info - optional: the registers that a VMM wants to see
	 * @type: in: enum iommu_hw_info_type that is asked for, 0 the unit's own; out: what @buf has
	 * @buf: IOMMU_HW_INFO_MAX bytes.  Return: bytes; -EOPNOTSUPP another type.
	 */
	ssize_t (*hw_info)(struct iommu_device *iommu, u16 devid, u32 *type, void *buf);
	/** pasid_bits - optional: width of PASIDs that the unit takes from this device; 0: none. */
	unsigned (*pasid_bits)(struct iommu_device *iommu, u16 devid);
	/**
	 * page_response - optional: tell the device the answer to a group of page requests
	 * @last: the group's last request.  LOCK_IOPF is held.
	 */
	void (*page_response)(struct iommu_device *iommu, u16 devid, const struct iommu_page_request *last,
			      enum iommu_page_response_code code);
	/** viommu_ops - optional: what the unit offers to a guest as its own. */
	const struct iommu_viommu_ops *viommu_ops;
	/** sysfs_add - optional: the vendor's attributes, into the unit's directory @dir.  0; -errno. */
	int (*sysfs_add)(struct iommu_device *iommu, const char *dir);
	bool cache_coherency;		/* IOMMU_CAP_CACHE_COHERENCY */
	bool enforce_cache_coherency;	/* IOMMU_CAP_ENFORCE_CACHE_COHERENCY */
	bool lazy_flush;		/* a group's type is DMA-FQ at first, not DMA */
	bool no_flags;			/* there are plain domains only, none with a fault queue either */
	/* A nested domain has a table of PASIDs: page requests of a PASID that has nothing attached are its. */
	bool user_pasid_table;
};

#define IOMMU_HW_INFO_MAX 256u

/* ---- virtual IOMMUs: a slice of a unit that a guest drives ---- */

/* Whoever makes one embeds these, fills in what is said so, and frees the memory after destroy. */
struct iommu_viommu {
	const struct iommu_viommu_ops *ops; /* the caller's, like all but priv */
	struct iommu_device *iommu;
	struct iommu_domain *parent;	/* allocated with IOMMU_ALLOC_NEST_PARENT */
	u32 type;
	void *priv;			/* the driver's */
};
struct iommu_vdevice {
	struct iommu_viommu *viommu;
	struct device *dev;
	u16 devid;			/* as the unit knows the device */
	u64 virt_id;			/* as the guest does */
	void *priv;
};
struct iommu_hw_queue {
	struct iommu_viommu *viommu;
	u32 type, index;
	u64 iova, len_bytes;		/* of the guest's memory, pinned by the caller */
	phys_addr_t phys;
	void *priv;
};

/* All optional but viommu_init. */
struct iommu_viommu_ops {
	/**
	 * viommu_supported - is there a virtual IOMMU of that type for this device?
	 * Return: 0; -EOPNOTSUPP.  NULL: as if it said -EOPNOTSUPP.
	 */
	int (*viommu_supported)(struct iommu_device *iommu, u16 devid, u32 type);
	/**
	 * viommu_init - @data: NULL, or the driver's, which it may write back to (copy_to_user)
	 * Return: 0; -EINVAL, -EOPNOTSUPP, -ENOMEM, -EFAULT.
	 */
	int (*viommu_init)(struct iommu_viommu *viommu, const struct iommu_user_data *data);
	void (*viommu_destroy)(struct iommu_viommu *viommu);
	/** alloc_domain_nested - as domain_alloc_nested, for a nested domain that belongs to it */
	struct iommu_domain *(*alloc_domain_nested)(struct iommu_viommu *viommu, u32 flags,
						    const struct iommu_user_data *data);
	/** cache_invalidate - as cache_invalidate_user of a domain, for what only a virtual IOMMU can tell */
	int (*cache_invalidate)(struct iommu_viommu *viommu, struct iommu_user_data_array *array);
	int (*vdevice_init)(struct iommu_vdevice *vdev); /* 0; -errno */
	void (*vdevice_destroy)(struct iommu_vdevice *vdev);
	/** hw_queue_supported - 0; -EOPNOTSUPP the type, -EINVAL the index.  NULL: -EOPNOTSUPP. */
	int (*hw_queue_supported)(struct iommu_viommu *viommu, u32 type, u32 index);
	int (*hw_queue_init)(struct iommu_hw_queue *queue); /* 0; -errno */
	void (*hw_queue_destroy)(struct iommu_hw_queue *queue);
};

/* What a unit of either kind can. */
enum iommu_features {
	IOMMU_BASIC, /* translate by one stage: what emulators have */
	IOMMU_FULL,  /* also: dirty bits, PASIDs, page requests, two stages, as units of server CPUs have */
};

/** amd_iommu_init - make a unit of AMD's kind.  @devids: size of its device table.  ERR_PTR. */
struct iommu_device *amd_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw,
				    u32 devids, enum iommu_features features);
void amd_iommu_exit(struct iommu_device *iommu);
/**
 * intel_iommu_init - make a VT-d unit: a basic one is in legacy mode, a full one in scalable mode
 * @aw_bits: width of its addresses, 39, 48 or 57; -EINVAL others.  ERR_PTR.
 */
struct iommu_device *intel_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw,
				      unsigned aw_bits, enum iommu_features features);
void intel_iommu_exit(struct iommu_device *iommu);
/** virtio_iommu_init - make a paravirtual unit.  @devids: how many device ids there may be.  ERR_PTR(-ENOMEM). */
struct iommu_device *virtio_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw, u32 devids);
void virtio_iommu_exit(struct iommu_device *iommu);

/* ---- groups ---- */

/**
 * iommu_probe_device - put a device under a unit and into group @group_id (made if new)
 * Creates /sys/kernel/iommu_groups/<n>/{devices/,reserved_regions,type}, <device>/iommu_group and
 * <device>/iommu; nothing of a unit that is hidden.  Tree lock held.  Return: 0; -errno.
 */
int iommu_probe_device(struct iommu_device *iommu, struct device *dev, u16 devid, unsigned group_id);
#define IOMMU_GROUP_NEW (~0u) /* a group of its own, with the lowest number that is free from 65536 on */
void iommu_release_device(struct device *dev);

/**
 * iommu_probe_noiommu - a group of its own for a device that no IOMMU isolates, named "vfio-noiommu"
 * Its number is chosen here.  iommu_release_device() undoes it.  Tree lock held.  0; -ENOSPC; -ENOMEM; -errno.
 */
int iommu_probe_noiommu(struct device *dev);
bool iommu_dev_is_noiommu(struct device *dev);
/** iommu_domain_is_noiommu - it is of such a device: kept in software, walked by nobody. */
bool iommu_domain_is_noiommu(const struct iommu_domain *domain);

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

/* ---- domains: what VFIO and iommufd call ---- */

struct iommu_domain *iommu_paging_domain_alloc(struct device *dev); /* ERR_PTR */
/**
 * iommu_paging_domain_alloc_flags - one that is good for what @flags (IOMMU_ALLOC_*) say
 * @data: of the driver's own type, NULL none
 * Return: ERR_PTR(-EOPNOTSUPP) the device's unit cannot; ERR_PTR(-ENODEV), ERR_PTR(-ENOMEM).
 */
struct iommu_domain *iommu_paging_domain_alloc_flags(struct device *dev, u32 flags,
						     const struct iommu_user_data *data);
/** iommu_nested_check - 0; -EOPNOTSUPP the driver of the device's unit knows no nested domains; -ENODEV. */
int iommu_nested_check(struct device *dev);
/**
 * iommu_nested_domain_alloc - see domain_alloc_nested; @parent has to outlive the domain
 * Return: ERR_PTR(-EOPNOTSUPP) the device's unit cannot; else as the op.
 */
struct iommu_domain *iommu_nested_domain_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
					       const struct iommu_user_data *data);
/** iommu_domain_free - nothing is attached to it; NULL is nothing, as are blocked and identity domains. */
void iommu_domain_free(struct iommu_domain *domain);

/* Domains without tables.  There is one of each for all units; they may be attached and are never freed. */
extern struct iommu_domain iommu_blocked_domain, iommu_identity_domain;
/** iommu_group_default_domain - what the file "type" of the group says: one of these two. */
struct iommu_domain *iommu_group_default_domain(struct iommu_group *group);

/* ---- attaching ---- */

struct iommu_attach_handle {
	struct iommu_domain *domain; /* set by attaching */
};

/** iommu_attach_group - all its devices or none.  0; -EBUSY has one; -EINVAL other unit's domain; -ENOMEM. */
int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group);
/** iommu_detach_group - from @domain, if attached to it, to blocked; to the default domain if unowned. */
void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group);
/** iommu_attach_group_handle - as iommu_attach_group; @handle may be NULL */
int iommu_attach_group_handle(struct iommu_domain *domain, struct iommu_group *group,
			      struct iommu_attach_handle *handle);
/** iommu_detach_group_handle - from whatever it is attached to.  Cannot fail. */
void iommu_detach_group_handle(struct iommu_group *group);
/**
 * iommu_replace_group_handle - attached to @domain instead of what it is attached to, never to the default
 * Return: 0; -EINVAL not attached, or other unit's domain; -errno: and the old one is still attached.
 */
int iommu_replace_group_handle(struct iommu_group *group, struct iommu_domain *domain,
			       struct iommu_attach_handle *handle);
/** iommu_group_attached_domain - what is attached to the RID; NULL nothing (blocked, or the default domain). */
struct iommu_domain *iommu_group_attached_domain(struct iommu_group *group);

/** iommu_max_pasids - PASIDs that may be attached are below it; 0: the device, or its unit, has none. */
u32 iommu_max_pasids(struct device *dev);
/* What a PCI Express device says of itself: its PASID and ATS capabilities. */
struct iommu_device_caps {
	u32 max_pasids; /* they are below it; 0: it has none.  A power of 2 */
	bool pasid_exec, pasid_priv, ats;
};
/** iommu_device_set_caps - copied; before use. */
void iommu_device_set_caps(struct device *dev, const struct iommu_device_caps *caps);
/**
 * iommu_attach_device_pasid - what the devices of @dev's group send with @pasid goes through @domain
 * Devices that have no PASIDs send none: they hinder nothing.
 * Return: 0; -EOPNOTSUPP the unit's driver knows no PASIDs; -EINVAL @pasid is 0 or not below iommu_max_pasids(),
 * or other unit's domain; -EBUSY the PASID has a domain; -ENOMEM.
 */
int iommu_attach_device_pasid(struct iommu_domain *domain, struct device *dev, u32 pasid,
			      struct iommu_attach_handle *handle);
/** iommu_replace_device_pasid - -EINVAL nothing is attached to the PASID; on failure the old one still is. */
int iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev, u32 pasid,
			       struct iommu_attach_handle *handle);
/** iommu_detach_device_pasid - from whatever it is attached to, if anything.  Cannot fail. */
void iommu_detach_device_pasid(struct device *dev, u32 pasid);
/** iommu_device_pasid_domain - what is attached to a PASID; NULL nothing. */
struct iommu_domain *iommu_device_pasid_domain(struct device *dev, u32 pasid);

/* ---- mapping ---- */

/* Map and unmap lock the domain; unmap also invalidates before it returns. */
/**
 * iommu_map - 0; -EINVAL not multiples of the domain's smallest page, empty, overflow, outside the aperture,
 * a domain without tables; -EEXIST; -ENOMEM: and then nothing of it is mapped
 */
int iommu_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
u64 iommu_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes);
phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, u64 iova);
/** iommu_domain_min_page - the smallest page, in bytes. */
static inline u64 iommu_domain_min_page(const struct iommu_domain *domain)
{
	return domain->pgsize_bitmap & -domain->pgsize_bitmap;
}

/**
 * iommu_domain_set_dirty_tracking - 0; -EOPNOTSUPP the domain was not allocated for it
 * iommu_domain_read_and_clear_dirty - see struct iommu_dirty_ops; @sink NULL: only forget
 */
int iommu_domain_set_dirty_tracking(struct iommu_domain *domain, bool on);
int iommu_domain_read_and_clear_dirty(struct iommu_domain *domain, u64 iova, u64 len_bytes, unsigned flags,
				      struct iommu_dirty_sink *sink);
/** iommu_domain_cache_invalidate_user - -EOPNOTSUPP the domain is not nested; else as the op. */
int iommu_domain_cache_invalidate_user(struct iommu_domain *domain, struct iommu_user_data_array *array);

/* ---- page requests ---- */

/**
 * iommu_report_page_request - a device asks; groups are put together here
 * Any thread that holds no lock above LOCK_IOMMU_GROUP and none of hardware.  What has no handler, and
 * what finds no memory, is answered at once as invalid.
 * Return: 0 taken or answered; with an error nobody will answer: -ENODEV @dev is behind no unit (any more); -EOPNOTSUPP the unit
 * takes no page requests.
 */
int iommu_report_page_request(struct device *dev, const struct iommu_page_request *request);
/**
 * iopf_group_response - answer a group.  Of no effect if it was answered before (detached, device gone)
 * Return: was it answered now?
 */
bool iopf_group_response(struct iopf_group *group, enum iommu_page_response_code code);
/** iopf_group_free - the handler has no more use for it; one that was not answered is answered as invalid. */
void iopf_group_free(struct iopf_group *group);

/* ---- what a device's unit says ---- */

/** iommu_get_group_resv_regions - sorted by start, merged per type.  Return: count (at most @max filled). */
size_t iommu_get_group_resv_regions(struct iommu_group *group, struct iommu_resv_region *ret, size_t max);
bool device_iommu_capable(struct device *dev, enum iommu_cap cap);
bool device_iommu_capable_cache_coherency(struct device *dev);
/** iommu_device_of - the unit that @dev is behind; NULL none.  @ret_devid: its number there; may be NULL. */
struct iommu_device *iommu_device_of(struct device *dev, u16 *ret_devid);
/** iommu_hw_info - see the op; a unit without it: type 0 and 0 bytes, whatever is asked for.  -ENODEV no unit. */
ssize_t iommu_hw_info(struct device *dev, u32 *type, void *buf);

#endif
