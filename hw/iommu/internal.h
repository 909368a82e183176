/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - what the files of hw/iommu share: the unit, the walk, an iotlb's place in the unit.
 *
 * Locks: hw_iommu.lock (LOCK_HW_IOMMU), then an iotlb (LOCK_HW_IOTLB).  Faults are recorded with
 * neither held.
 */
#ifndef HW_IOMMU_INTERNAL_H
#define HW_IOMMU_INTERNAL_H

#include <stdatomic.h>

#include "hw/iommu/hw_iommu.h"
#include "kernel/lib/mutex.h"

#define HW_SLOT_SHIFT 47 /* PHYS_SLOT_SHIFT of the memory bus */
#define HW_FAULTS 256

struct hw_iommu {
	const struct hw_bus_ops *bus; /* immutable */
	_Atomic(u64) devtab;	      /* physical address */
	_Atomic(u32) devtab_entries;
	_Atomic(struct iotlb *) iotlbs; /* grows only: invalidations walk it without a lock */
	_Alignas(64) _Atomic(u64) invalidations; /* counting is also the barrier between writer and walker */
	_Alignas(64) struct mutex lock; /* LOCK_HW_IOMMU: what follows, and which iotlbs are in use */
	void (*fault_fn)(void *arg, const struct hw_iommu_fault *);
	void *fault_arg;
	u64 fault_count;
	struct hw_iommu_fault faults[HW_FAULTS]; /* number n is at n % HW_FAULTS */
};

/* What a walk found: [iova, iova + 2^lg2) is [pa, ...). */
struct hw_translation {
	u64 iova, pa;
	unsigned lg2;
	bool read, write;
};

/** hw_dte_read - quadwords 0 and 1 of a device's entry.  False: the device table has none. */
bool hw_dte_read(struct hw_iommu *iommu, u16 devid, u64 *ret_q0, u64 *ret_q1);
/**
 * hw_walk - translate by tables in memory
 * @dte: quadword 0
 * @ret: filled on success; at most 2^46 bytes, so it never leaves a slot
 * @ret_level: where the walk stopped, on failure too; 0 is the device table entry
 * Return: 0; enum hw_iommu_fault_reason.  Says nothing of the direction: the caller looks at read and write.
 */
int hw_walk(const struct hw_bus_ops *bus, u64 dte, u64 iova, struct hw_translation *ret, unsigned *ret_level);
/** hw_fault_record - keep it and tell the handler.  No lock held. */
void hw_fault_record(struct hw_iommu *iommu, const struct hw_iommu_fault *fault);

/* For the unit's registers (iotlb.c). */
void iotlbs_invalidate_device(struct hw_iommu *iommu, u16 devid);
void iotlbs_invalidate_all(struct hw_iommu *iommu);
void iotlbs_invalidate_pages(struct hw_iommu *iommu, u16 domid, u64 iova, u64 last);
void iotlbs_free(struct hw_iommu *iommu);

#endif
