/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_iommu.h - the IOMMU as silicon: it walks tables in memory that somebody wrote, remembers
 * translations, and records faults.
 *
 * A unit has one format for life.  kernel/iommu/pt writes the tables; writer and walker share only the
 * bit names of kernel/lib/{amd,intel}_iommu_bits.h.
 *
 * hw_iommu_amdv1: AMD I/O Virtualization Technology specification (48882): device table entries of 256 bits
 * indexed by device id, I/O page tables ("v1") with 512 8-byte entries a level, next-level field,
 * level-skipping, and pages of any power of two by the 7h encoding.  What a device table entry says, in
 * the order it is looked at:
 *
 *	V = 0			nothing passes (HW_IOMMU_FAULT_DTE_INVALID).  The specification lets
 *				such a device through untranslated; a kernel that has no business with
 *				a device must not find that it can reach everything
 *	TV = 0			blocked
 *	mode 0, IR = IW = 0	blocked
 *	mode 0 otherwise	identity: iova is the physical address
 *	mode 1 to 6		translated by as many levels; permissions of all entries on the way are
 *				and-ed.  Mode 7 is nonsense
 *	HAD			pages are marked when they are accessed, and with its second bit when they are
 *				written
 *	GV = 1			there is a table of guest tables ("v2", the first stage), indexed by PASID; with
 *				a mode above 0 all its addresses go through the host's tables.  What has no
 *				PASID goes there too if GIoV = 1, as PASID 0
 *
 * hw_iommu_vtd: Intel VT-d in legacy mode: a root table indexed by bus, context tables indexed by devfn,
 * second-stage tables of 3 to 5 levels with pages of 4 KiB, 2 MiB and 1 GiB:
 *
 *	root entry P = 0	nothing passes (HW_IOMMU_FAULT_DTE_INVALID)
 *	context entry P = 0	blocked
 *	TT = 2			identity
 *	TT = 0			translated by as many levels as AW says; permissions are and-ed
 *	anything else		nonsense
 *
 * and, if the address of the root table says so, in scalable mode: context entries lead to a table of PASIDs,
 * whose entries say what translates: first stage, second stage, both (nested), neither (identity).  What has no
 * PASID is looked up as the PASID of the context entry.
 *
 * First stage, of both: x86-64 page tables of 4 or 5 levels.  Accessed and dirty bits are always kept.  Nested,
 * the tables are in a guest's memory: whoever wrote them is no friend.
 *
 * hw_iommu_direct: none.  All devices reach all that hw_bus_ops.resolve() knows.
 *
 * Identity: there is no memory at such addresses that a device may have, only BARs of other devices; plain
 * memory answers with HW_IOMMU_FAULT_BUS.
 *
 * Physical addresses carry a slot in bits 51:47.  Slot 0 is the kernel's own memory: tables must lie
 * there, and no translation may lead there.  host_ptr() of a slot 0 address is trusted.
 *
 * An iotlb is one engine's cache, for one device.  It is held by one thread at a time, while that
 * thread translates and its bytes move; an invalidation waits until whoever held it before has let
 * go, and so knows that no transfer still uses what it invalidated.  Not waited for: a transfer to
 * something that is not plain memory (a BAR of another device), which runs without the iotlb held,
 * because that device may answer with a DMA of its own.
 */
#ifndef HW_IOMMU_HW_IOMMU_H
#define HW_IOMMU_HW_IOMMU_H

#include <stdatomic.h>

#include "kernel/lib/types.h"

struct hw_iommu;
struct iotlb;

/* The memory bus that the unit and its devices are masters on: machine/ plugs in kernel/mm's. */
struct hw_bus_ops {
	int (*read)(u64 pa, void *buf, size_t len);	/* 0; -EFAULT */
	int (*write)(u64 pa, const void *buf, size_t len);
	void *(*host_ptr)(u64 pa);	/* plain memory; NULL: use read and write */
	int (*copy)(void *dst, const void *src, size_t len); /* guarded: 0; -EFAULT */
	/*
	 * Optional, for a bus on which neighbours may lie apart.  host_range: as host_ptr, for as many of
	 * *len bytes as lie together; stores how many.
	 */
	void *(*host_range)(u64 pa, u64 *len);
	/*
	 * Optional: guarded words of a guest's page tables (kernel/lib/guard.h).  Without them nothing is
	 * translated by tables in plain memory.
	 */
	int (*load64)(const u64 *host, u64 *ret);
	int (*cmpxchg64)(u64 *host, u64 *expected, u64 desired);
	/* Optional: tried when copy failed.  write: @buf to @host, else back.  0; -EFAULT. */
	int (*copy_pinned)(void *host, void *buf, size_t len, bool write);
	/* For hw_iommu_direct: the physical address, slot and all, of a bus page.  Any lock may be held. */
	u64 (*resolve)(u64 page);
};

enum hw_iommu_fault_reason {
	HW_IOMMU_FAULT_DTE_INVALID = 1, /* device table entry, or root entry, not valid */
	HW_IOMMU_FAULT_BLOCKED,		/* entry without translation and permission; no context entry */
	HW_IOMMU_FAULT_NOT_PRESENT,
	HW_IOMMU_FAULT_PERMISSION,
	HW_IOMMU_FAULT_RESERVED_BIT,	/* table is nonsense */
	HW_IOMMU_FAULT_BUS,		/* translated, but memory did not answer */
	HW_IOMMU_FAULT_PASID,		/* the device has no tables for that PASID */
	HW_IOMMU_FAULT_PRIVILEGED,	/* a privileged request, which the PASID's entry does not allow */
};

#define HW_NO_PASID 0u /* what a device sends without one; PASID 0 is not for devices to use */

struct hw_iommu_fault {
	u64 iova;
	u16 devid, domid;
	u8 reason;
	u8 stage;		/* whose tables the walk stopped in: 1, 2; 0 neither */
	bool write;
	unsigned level;		/* where the walk stopped */
	u32 pasid;		/* HW_NO_PASID none */
};

struct hw_iommu_format;
extern const struct hw_iommu_format hw_iommu_amdv1, hw_iommu_vtd, hw_iommu_direct;

/** hw_iommu_create - a unit that reads tables of @format.  NULL if memory is short. */
struct hw_iommu *hw_iommu_create(const struct hw_bus_ops *bus, const struct hw_iommu_format *format);
void hw_iommu_destroy(struct hw_iommu *iommu);

/* registers: implement struct iommu_hw_ops of kernel/iommu/iommu.h (machine/ joins them) */
void hw_iommu_set_device_table(void *iommu, u64 base, u32 entries); /* AMD's */
void hw_iommu_set_root_table(void *iommu, u64 base);		     /* VT-d's, mode in bits 11:10 */
void hw_iommu_invalidate_device(void *iommu, u16 devid);
void hw_iommu_invalidate_pasid(void *iommu, u16 devid, u32 pasid);
void hw_iommu_invalidate_pages(void *iommu, u16 domid, u64 iova, u64 last);
void hw_iommu_invalidate_first_stage(void *iommu, u16 domid, u32 pasid, u64 iova, u64 last);

/**
 * hw_iommu_hold - stop all transfers to plain memory: on return none is under way, and none begins until
 * hw_iommu_let_go(), by the same thread.  What host_ptr() answers may change in between.
 * Takes LOCK_HW_IOMMU and keeps it: no other call of this unit in between.  Several units may be held, by one
 * thread at a time.
 */
void hw_iommu_hold(struct hw_iommu *iommu);
void hw_iommu_let_go(struct hw_iommu *iommu);

/* fault records: a ring of the last 256; @fn is called for each new one, no lock held */
void hw_iommu_set_fault_handler(struct hw_iommu *iommu, void (*fn)(void *arg, const struct hw_iommu_fault *),
				void *arg);
/** hw_iommu_faults - the latest @max records that are kept, oldest first.  Return: how many. */
size_t hw_iommu_faults(struct hw_iommu *iommu, struct hw_iommu_fault *ret, size_t max);
u64 hw_iommu_fault_count(struct hw_iommu *iommu);
/** hw_iommu_fault_describe - in words, as --explain prints it.  Return: @buf. */
const char *hw_iommu_fault_describe(const struct hw_iommu_fault *fault, char *buf, size_t size);

/* ---- page requests ---- */

#define HW_PAGE_REQUESTS 512u /* most pages in one group */

struct hw_page_request {
	u64 iova;	/* of the page */
	u32 pasid;	/* HW_NO_PASID none */
	u32 grpid;	/* of the group, 9 bits */
	u16 devid;
	unsigned access; /* HW_PAGE_* of softvfio/hw.h */
	bool privileged;
	bool last;	/* the group is complete */
};

/**
 * hw_iommu_set_page_request_handler - @fn is called for each request, in order, no lock held
 * It returns 0, and then each group is answered exactly once by hw_iommu_page_response(), perhaps before it
 * returns; or -errno, and then it is not.
 */
void hw_iommu_set_page_request_handler(struct hw_iommu *iommu,
				       int (*fn)(void *arg, const struct hw_page_request *), void *arg);
/** hw_iommu_page_response - implements page_response of struct iommu_hw_ops; a group nobody waits for is fine. */
void hw_iommu_page_response(void *iommu, u16 devid, u32 pasid, u32 grpid, bool success);
/**
 * hw_iommu_request_pages - ask for all pages that [what->iova, +len) touches, and wait for the answer
 * @what: who asks, where and for what; the group's number and its end are filled in here
 * @enabled: may the device ask at all?  NULL: it may
 *
 * Any thread that holds no lock that the handler takes.
 * Return: 0 they were granted: try again; -EFAULT refused; -EINVAL no pages, or more than HW_PAGE_REQUESTS;
 * -EPERM @enabled is false; -EBUSY too many groups wait; -ECANCELED hw_iommu_cancel_page_requests().
 */
int hw_iommu_request_pages(struct hw_iommu *iommu, const struct hw_page_request *what, size_t len_bytes,
			   const _Atomic(bool) *enabled);
/** hw_iommu_cancel_page_requests - the device waits no longer.  Who asks after @enabled went false is refused. */
void hw_iommu_cancel_page_requests(struct hw_iommu *iommu, u16 devid);

/** iotlb_create - NULL if memory is short.  iotlb_destroy - nobody uses it any more; accepts NULL. */
struct iotlb *iotlb_create(struct hw_iommu *iommu, u16 devid);
/** iotlb_create_pasid - for what the device sends with @pasid (20 bits); HW_NO_PASID: without one */
struct iotlb *iotlb_create_pasid(struct hw_iommu *iommu, u16 devid, u32 pasid);
/**
 * iotlb_create_privileged - for what it sends with privilege and @pasid
 * An AMD unit's driver switches privileged requests off in devices: there they go without.
 */
struct iotlb *iotlb_create_privileged(struct hw_iommu *iommu, u16 devid, u32 pasid);
void iotlb_destroy(struct iotlb *iotlb);
/**
 * iotlb_access - move bytes between @buf and [iova, iova+len)
 * Any thread; holds nothing that ranks above LOCK_HW_IOMMU.  Bytes before the offending page may have moved.
 * Return: 0; -EFAULT with a fault record; -EIO if @buf failed.
 */
int iotlb_access(struct iotlb *iotlb, u64 iova, void *buf, size_t len_bytes, bool write);
/** iotlb_translate - for benches and tests: 0 and the physical address; -EFAULT (recorded if @record). */
int iotlb_translate(struct iotlb *iotlb, u64 iova, bool write, bool record, u64 *ret_pa);
/** iotlb_probe - is anything mapped at @iova?  Leaves no fault record, and no marks of a write. */
bool iotlb_probe(struct iotlb *iotlb, u64 iova);
struct iotlb_stats { u64 hits, misses, bytes_read, bytes_written, faults; };
void iotlb_stats_get(struct iotlb *iotlb, struct iotlb_stats *ret);

#endif
