/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma.c - a device as bus master.
 *
 * An engine is an IOTLB of its own plus counters.  What is unmapped is the IOMMU's to find and to
 * record; here is decided only whether the device may be master at all.
 */
#include <errno.h>
#include <stdlib.h>

#include "hw/core/hw_core.h"
#include "hw/iommu/hw_iommu.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"

struct hw_dma {
	struct hw_device *hw;	/* immutable */
	struct iotlb *iotlb;	/* immutable; NULL without IOMMU */
	u32 pasid;		/* immutable; HW_NO_PASID none */
	bool privileged;	/* immutable */
	atomic_uint_least64_t bytes_read, bytes_written, faults;
	LIST_ENTRY(hw_dma) node; /* hw->cfg_lock */
};

static struct hw_dma *open_engine(struct hw_device *hw, u32 pasid, bool privileged)
{
	struct hw_dma *dma = calloc(1, sizeof(*dma));

	if (!dma)
		return NULL;
	dma->hw = hw;
	dma->pasid = pasid;
	dma->privileged = privileged;
	if (hw->iommu) {
		dma->iotlb = privileged ? iotlb_create_privileged(hw->iommu, hw->devid, pasid) :
					  iotlb_create_pasid(hw->iommu, hw->devid, pasid);
		if (!dma->iotlb) {
			free(dma);
			return NULL;
		}
	}
	mutex_lock(&hw->cfg_lock);
	LIST_INSERT_HEAD(&hw->engines, dma, node);
	mutex_unlock(&hw->cfg_lock);
	return dma;
}

struct hw_dma *hw_dma_open(struct hw_device *hw)
{
	return open_engine(hw, HW_NO_PASID, false);
}

static struct hw_dma *open_pasid(struct hw_device *hw, u32 pasid, bool privileged)
{
	if (pasid == HW_NO_PASID || pasid >> 20) {
		(void)fail(-EINVAL, "PASID %u: there are 1 to %u", pasid, (1u << 20) - 1);
		return NULL;
	}
	return open_engine(hw, pasid, privileged);
}

struct hw_dma *hw_dma_open_pasid(struct hw_device *hw, uint32_t pasid)
{
	return open_pasid(hw, pasid, false);
}

struct hw_dma *hw_dma_open_privileged(struct hw_device *hw, uint32_t pasid)
{
	return open_pasid(hw, pasid, true);
}

static void add_counts(struct hw_stats *stats, struct hw_dma *dma)
{
	stats->dma_read_bytes += atomic_load(&dma->bytes_read);
	stats->dma_written_bytes += atomic_load(&dma->bytes_written);
	stats->dma_faults += atomic_load(&dma->faults);
}

void hw_dma_close(struct hw_dma *dma)
{
	if (!dma)
		return;
	mutex_lock(&dma->hw->cfg_lock);
	LIST_REMOVE(dma, node);
	add_counts(&dma->hw->closed, dma);
	mutex_unlock(&dma->hw->cfg_lock);
	if (dma->iotlb)
		iotlb_destroy(dma->iotlb);
	free(dma);
}

void hw_dma_stats(struct hw_device *hw, struct hw_stats *stats)
{
	struct hw_dma *dma;

	mutex_lock(&hw->cfg_lock);
	stats->dma_read_bytes = hw->closed.dma_read_bytes;
	stats->dma_written_bytes = hw->closed.dma_written_bytes;
	stats->dma_faults = hw->closed.dma_faults;
	LIST_FOREACH(dma, &hw->engines, node)
		add_counts(stats, dma);
	mutex_unlock(&hw->cfg_lock);
}

static int refuse(struct hw_dma *dma, u64 iova, size_t len, bool write, int err, const char *why)
{
	atomic_fetch_add_explicit(&dma->faults, 1, memory_order_relaxed);
	if (explain_enabled)
		hw_explain(dma->hw, "DMA %s of %zu bytes at iova 0x%llx refused: %s",
			   write ? "write" : "read", len, (unsigned long long)iova, why);
	return err;
}

static int dma_access(struct hw_dma *dma, u64 iova, void *buf, size_t len, bool write)
{
	int err;

	if (len == 0)
		return 0;
	if (len > HW_DMA_MAX)
		return refuse(dma, iova, len, write, -EFAULT,
			      "longer than the 1 GiB that one transfer may have");
	if (!atomic_load_explicit(&dma->hw->mastering, memory_order_relaxed))
		return refuse(dma, iova, len, write, -EPERM,
			      "bus mastering is off: set bit 2 of the command register, in power state D0");
	if (unlikely(hw_orders(dma->hw)) && hw_inject_dma(dma->hw, hw_orders(dma->hw)))
		return refuse(dma, iova, len, write, -EFAULT, "an injected fault");
	if (hw_down(dma->hw))
		return refuse(dma, iova, len, write, -EFAULT, "the link is down");
	if (!dma->iotlb)
		return refuse(dma, iova, len, write, -EFAULT, "the device is behind no IOMMU");
	err = iotlb_access(dma->iotlb, iova, buf, len, write);
	if (unlikely(write && atomic_load_explicit(&dma->hw->log, memory_order_relaxed)))
		hw_log_mark(dma->hw, iova, len); /* on an error too: a part may have been moved */
	if (err)
		atomic_fetch_add_explicit(&dma->faults, 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(write ? &dma->bytes_written : &dma->bytes_read, len,
					  memory_order_relaxed);
	return err;
}

int hw_dma_read(struct hw_dma *dma, uint64_t iova, void *buf, size_t len_bytes)
{
	return dma_access(dma, iova, buf, len_bytes, false);
}

int hw_dma_write(struct hw_dma *dma, uint64_t iova, const void *buf, size_t len_bytes)
{
	return dma_access(dma, iova, (void *)(uintptr_t)buf, len_bytes, true);
}

int hw_dma_request_access(struct hw_dma *dma, uint64_t iova, size_t len_bytes, unsigned access)
{
	struct hw_device *hw = dma->hw;
	const struct hw_page_request what = {
		.iova = iova, .devid = hw->devid, .pasid = dma->pasid, .privileged = dma->privileged,
		.access = access & HW_PAGE_EXEC ? access | HW_PAGE_READ : access,
	};

	if (!access || (access & ~HW_PAGE_ALL) || (access & HW_PAGE_EXEC && dma->pasid == HW_NO_PASID))
		return fail(-EINVAL, "page requests are for reading (1), writing (2) and, with a PASID, execution (4), "
			    "not 0x%x", access);
	if (!hw->iommu)
		return -EFAULT;
	return hw_iommu_request_pages(hw->iommu, &what, len_bytes, &hw->mastering);
}

int hw_dma_request_pages(struct hw_dma *dma, uint64_t iova, size_t len_bytes, bool write)
{
	return hw_dma_request_access(dma, iova, len_bytes, write ? HW_PAGE_WRITE : HW_PAGE_READ);
}

void hw_dma_stop_waiting(struct hw_device *hw)
{
	if (hw->iommu)
		hw_iommu_cancel_page_requests(hw->iommu, hw->devid);
}

int hw_copy(void *dst, const void *src, size_t len_bytes)
{
	return guard_copy(dst, src, len_bytes) ? -EIO : 0;
}
