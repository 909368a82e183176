/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - what the files of hw/iommu share: the unit, its format, an iotlb's place in the unit.
 *
 * Locks: hw_iommu.lock (LOCK_HW_IOMMU), then an iotlb (LOCK_HW_IOTLB).  Faults are recorded with
 * neither held.
 */
#ifndef HW_IOMMU_INTERNAL_H
#define HW_IOMMU_INTERNAL_H

#include <bsd/sys/queue.h>
#include <stdatomic.h>

#include "hw/iommu/hw_iommu.h"
#include "kernel/lib/mutex.h"

#define HW_SLOT_SHIFT 47 /* PHYS_SLOT_SHIFT of the memory bus */
#define HW_FAULTS 256
#define HW_PAGE_GROUPS 512u /* 9 bits, as PCI Express has them */

struct hw_iommu {
	const struct hw_bus_ops *bus; /* immutable */
	const struct hw_iommu_format *format; /* immutable */
	_Atomic(u64) table;	      /* device or root table: physical address */
	_Atomic(u32) table_entries;   /* of a device table */
	_Atomic(struct iotlb *) iotlbs; /* grows only: invalidations walk it without a lock */
	_Alignas(64) _Atomic(u64) invalidations; /* counting is also the barrier between writer and walker */
	_Alignas(64) struct mutex lock; /* LOCK_HW_IOMMU: what follows, and which iotlbs are in use */
	void (*fault_fn)(void *arg, const struct hw_iommu_fault *);
	void *fault_arg;
	u64 fault_count;
	struct hw_iommu_fault faults[HW_FAULTS]; /* number n is at n % HW_FAULTS */
	int (*page_fn)(void *arg, const struct hw_page_request *);
	void *page_arg;
	TAILQ_HEAD(, hw_page_waiter) page_waiters;
	u64 grpids[HW_PAGE_GROUPS / 64]; /* bit set: not answered yet */
	unsigned next_grpid;
};

/*
 * What a walk found: [iova, iova + 2^lg2) is [pa, ...).  write: may be written from now on without another
 * walk; where dirty bits are kept that is so only once the page is marked.
 */
struct hw_translation {
	u64 iova, pa;
	unsigned lg2;
	bool read, write;
};

/*
 * What the tables of devices and PASIDs say of one of them, as an iotlb keeps it.  Bit 0 of q0 says that it is
 * valid; q0 and q1 are a device table or context entry, and say what the second stage is.
 */
struct hw_device_entry {
	u64 q0, q1;
	u64 first;		/* first-stage root; a guest's address if nested */
	u8 first_levels;	/* 0: no first stage */
	bool nested;		/* what the first stage gives goes through the second */
	bool dirty;		/* VT-d: second-stage pages are marked */
	/* VT-d's first stage: privileged requests are allowed, and heed RW; extended accessed bits are kept. */
	bool sre, wpe, eafe;
	u16 domid;
};

/* Where the pages of a guest's page tables are, so that a nested walk need not walk the second stage for each. */
#define HW_WALK_CACHE 16
struct hw_walk_cache {
	u64 invalidations; /* of the unit, when this was true */
	struct { u64 gpa, pa; bool write; } page[HW_WALK_CACHE]; /* gpa: bit 0 set if in use */
};

/*
 * The lowest tables that walks have ended in, so that the next page of the same 2 MiB is one step away.  What hardware
 * calls a paging-structure cache.  A table is noted when a page was found in it; that page has to be unmapped, and the
 * unit told, before the table can be taken out.
 */
#define HW_TABLE_CACHE 4
struct hw_table_cache {
	u64 invalidations; /* of the unit, when this was true */
	struct {
		u64 region;	/* address >> HW_REGION_SHIFT, plus 1; 0: nothing */
		_Atomic(u64) *table;
		bool read, write; /* of the entries on the way */
	} at[HW_TABLE_CACHE];
};

/* One walk.  The caller fills in the first seven. */
struct hw_walk {
	const struct hw_bus_ops *bus;
	const struct hw_iommu_format *format;
	const struct hw_device_entry *entry;
	struct hw_walk_cache *cache; /* NULL: none; the holder's of the iotlb */
	struct hw_table_cache *tables; /* likewise; not for two stages */
	bool write;		/* the access that it is for: pages are marked as written */
	bool privileged;
	u8 stage;		/* out, as in a fault record */
	unsigned level;
};

/* How a unit's tables look: one file each, amdv1.c and vtdss.c. */
struct hw_iommu_format {
	const char *name;
	bool pasid_modes; /* requests with a PASID may be privileged, and for execution */
	/**
	 * entry_read - what memory says of a device and a PASID (HW_NO_PASID: none)
	 * Return: 0, and *@ret is valid; enum hw_iommu_fault_reason.
	 */
	int (*entry_read)(struct hw_iommu *iommu, u16 devid, u32 pasid, struct hw_device_entry *ret);
	/**
	 * walk - translate by tables in memory
	 * @ret: filled on success; at most 2^46 bytes, so it never leaves a slot
	 * Return: 0; enum hw_iommu_fault_reason, and @walk says where it stopped.  Says nothing of the
	 * direction: the caller looks at read and write.
	 */
	int (*walk)(struct hw_walk *walk, u64 iova, struct hw_translation *ret);
	/** second - the same by the second stage alone: @gpa is what the first stage gave */
	int (*second)(struct hw_walk *walk, u64 gpa, struct hw_translation *ret);
};

/** hw_fault_record - keep it and tell the handler.  No lock held. */
void hw_fault_record(struct hw_iommu *iommu, const struct hw_iommu_fault *fault);

/* For the unit's registers (iotlb.c). */
void iotlbs_invalidate_device(struct hw_iommu *iommu, u16 devid);
void iotlbs_invalidate_pasid(struct hw_iommu *iommu, u16 devid, u32 pasid);
void iotlbs_invalidate_first_stage(struct hw_iommu *iommu, u16 domid, u32 pasid, u64 iova, u64 last);
void iotlbs_invalidate_all(struct hw_iommu *iommu);
void iotlbs_invalidate_pages(struct hw_iommu *iommu, u16 domid, u64 iova, u64 last);
void iotlbs_free(struct hw_iommu *iommu);

#endif
