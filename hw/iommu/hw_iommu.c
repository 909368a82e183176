/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_iommu.c - the unit: its registers and its fault records.
 *
 * The registers are three calls that a kernel makes (hw_iommu.h): where the device or root table is,
 * forget a device, forget translations.  All act before they return, so there is no command queue to model.
 *
 * Faults go into a ring, so that a device gone mad costs 256 records and no more, and to one handler,
 * which is called without any lock: it may print, or look at the ring.
 */
#include "hw/iommu/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hw_iommu *hw_iommu_create(const struct hw_bus_ops *bus, const struct hw_iommu_format *format)
{
	struct hw_iommu *iommu = aligned_alloc(64, ALIGN_UP(sizeof(*iommu), 64ul));

	if (!iommu)
		return NULL;
	memset(iommu, 0, sizeof(*iommu));
	iommu->bus = bus;
	iommu->format = format;
	TAILQ_INIT(&iommu->page_waiters);
	mutex_init(&iommu->lock, LOCK_HW_IOMMU);
	return iommu;
}

void hw_iommu_destroy(struct hw_iommu *iommu)
{
	if (!iommu)
		return;
	iotlbs_free(iommu);
	mutex_destroy(&iommu->lock);
	free(iommu);
}

/* ---- registers ---- */

void hw_iommu_set_device_table(void *hw, u64 base, u32 entries)
{
	struct hw_iommu *iommu = hw;

	/* Never the new length with the old base. */
	atomic_store(&iommu->table_entries, 0);
	atomic_store(&iommu->table, base);
	atomic_store(&iommu->table_entries, entries);
	iotlbs_invalidate_all(iommu);
}

void hw_iommu_set_root_table(void *hw, u64 base)
{
	struct hw_iommu *iommu = hw;

	atomic_store(&iommu->table, base);
	iotlbs_invalidate_all(iommu);
}

void hw_iommu_invalidate_device(void *hw, u16 devid)
{
	iotlbs_invalidate_device(hw, devid);
}

void hw_iommu_invalidate_pasid(void *hw, u16 devid, u32 pasid)
{
	iotlbs_invalidate_pasid(hw, devid, pasid);
}

void hw_iommu_invalidate_pages(void *hw, u16 domid, u64 iova, u64 last)
{
	iotlbs_invalidate_pages(hw, domid, iova, last);
}

void hw_iommu_invalidate_first_stage(void *hw, u16 domid, u32 pasid, u64 iova, u64 last)
{
	iotlbs_invalidate_first_stage(hw, domid, pasid, iova, last);
}

/* ---- faults ---- */

void hw_iommu_set_fault_handler(struct hw_iommu *iommu, void (*fn)(void *arg, const struct hw_iommu_fault *),
				void *arg)
{
	mutex_lock(&iommu->lock);
	iommu->fault_fn = fn;
	iommu->fault_arg = arg;
	mutex_unlock(&iommu->lock);
}

void hw_fault_record(struct hw_iommu *iommu, const struct hw_iommu_fault *fault)
{
	void (*fn)(void *arg, const struct hw_iommu_fault *);
	void *arg;

	mutex_lock(&iommu->lock);
	iommu->faults[iommu->fault_count++ % HW_FAULTS] = *fault;
	fn = iommu->fault_fn;
	arg = iommu->fault_arg;
	mutex_unlock(&iommu->lock);
	if (fn)
		fn(arg, fault);
}

size_t hw_iommu_faults(struct hw_iommu *iommu, struct hw_iommu_fault *ret, size_t max)
{
	u64 n = min(max, (size_t)HW_FAULTS);

	mutex_lock(&iommu->lock);
	n = min(n, iommu->fault_count);
	for (u64 i = 0; i < n; i++)
		ret[i] = iommu->faults[(iommu->fault_count - n + i) % HW_FAULTS];
	mutex_unlock(&iommu->lock);
	return n;
}

u64 hw_iommu_fault_count(struct hw_iommu *iommu)
{
	u64 n;

	mutex_lock(&iommu->lock);
	n = iommu->fault_count;
	mutex_unlock(&iommu->lock);
	return n;
}

const char *hw_iommu_fault_describe(const struct hw_iommu_fault *fault, char *buf, size_t size)
{
	static const char *const why[] = {
		[HW_IOMMU_FAULT_DTE_INVALID] = "the IOMMU knows no such device",
		[HW_IOMMU_FAULT_BLOCKED] = "the device's DMA is blocked: its group is attached to nothing",
		[HW_IOMMU_FAULT_NOT_PRESENT] = "nothing is mapped there",
		[HW_IOMMU_FAULT_PERMISSION] = "the mapping does not allow it",
		[HW_IOMMU_FAULT_RESERVED_BIT] = "the page table is nonsense there",
		[HW_IOMMU_FAULT_BUS] = "it is mapped, but no memory answers (did the program unmap it?)",
		[HW_IOMMU_FAULT_PASID] = "nothing is attached to that PASID",
		[HW_IOMMU_FAULT_PRIVILEGED] = "privileged requests are not allowed there",
	};
	const char *text = fault->reason < ARRAY_SIZE(why) && why[fault->reason] ? why[fault->reason] : "?";
	char pasid[32] = "";

	if (fault->pasid != HW_NO_PASID)
		snprintf(pasid, sizeof(pasid), " with PASID %u", fault->pasid);
	snprintf(buf, size, "DMA fault: device %02x:%02x.%x %s iova 0x%llx%s: %s (domain %u, %slevel %u)",
		 fault->devid >> 8, (fault->devid >> 3) & 0x1f, fault->devid & 7,
		 fault->write ? "writes" : "reads", (unsigned long long)fault->iova, pasid, text, fault->domid,
		 fault->stage == 1 ? "first stage, " : "", fault->level);
	return buf;
}
