/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sriov.c - a physical function and its virtual ones.
 *
 * All virtual functions exist as devices from the beginning; which of them software sees is for the
 * PCI bus, and whether they answer is said by two bits of the physical function's SR-IOV control.
 *
 * Source: Single Root I/O Virtualization and Sharing 1.1, chapter 3.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define PAGE_SIZES 0x00000553u /* 4 KiB, 8 KiB, 64 KiB, 256 KiB, 1 MiB, 4 MiB: those that all must have */

static int check(const struct hw_device *hw, const struct hw_sriov *sriov)
{
	const u64 last = (u64)(hw->devid & 0xff) + sriov->offset +
			 (u64)(sriov->total_vfs - 1) * sriov->stride;

	if (!sriov->total_vfs || sriov->total_vfs > HW_VFS_MAX)
		return fail(-EINVAL, "SR-IOV with %u virtual functions: there are 1 to %u", sriov->total_vfs,
			    HW_VFS_MAX);
	if (!sriov->offset || (sriov->total_vfs > 1 && !sriov->stride) || last > 0xff)
		return fail(-EINVAL, "SR-IOV: %u virtual functions from +%u on in steps of %u leave the bus",
			    sriov->total_vfs, sriov->offset, sriov->stride);
	for (unsigned i = 0; i < HW_BARS; i++)
		if (sriov->bar_bytes[i] &&
		    (sriov->bar_bytes[i] < HW_PAGE_BYTES || sriov->bar_flags[i] & HW_BAR_IO))
			return fail(-EINVAL, "SR-IOV: BAR %u of virtual functions must be memory, a page or more", i);
	return 0;
}

static void put_bars(const struct hw_sriov *sriov, u8 *body, u8 *writable)
{
	for (unsigned i = 0; i < HW_BARS; i++) {
		const unsigned at = PCI_SRIOV_BAR - 4 + 4 * i, flags = sriov->bar_flags[i];
		const u64 mask = ~(sriov->bar_bytes[i] - 1);

		if (!sriov->bar_bytes[i])
			continue;
		hw_cfg_put32(body + at, (flags & HW_BAR_MEM64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
						(flags & HW_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
		hw_cfg_put32(writable + at, (u32)mask);
		if (flags & HW_BAR_MEM64)
			hw_cfg_put32(writable + at + 4, (u32)(mask >> 32));
	}
}

int hw_ext_cap_add_sriov(struct hw_device *hw, const struct hw_sriov *sriov)
{
	u8 body[PCI_EXT_CAP_SRIOV_SIZEOF - 4] = { 0 }, writable[PCI_EXT_CAP_SRIOV_SIZEOF - 4] = { 0 };
	int off = check(hw, sriov);

	if (off)
		return off;
	if (hw->vfs)
		return fail(-EBUSY, "SR-IOV was added before");
	hw->vfs = calloc(sriov->total_vfs, sizeof(struct hw_device *));
	if (!hw->vfs)
		return -ENOMEM;
	hw->sriov = *sriov;
	hw_cfg_put16(body + PCI_SRIOV_INITIAL_VF - 4, (u16)sriov->total_vfs);
	hw_cfg_put16(body + PCI_SRIOV_TOTAL_VF - 4, (u16)sriov->total_vfs);
	hw_cfg_put16(body + PCI_SRIOV_VF_OFFSET - 4, (u16)sriov->offset);
	hw_cfg_put16(body + PCI_SRIOV_VF_STRIDE - 4, (u16)sriov->stride);
	hw_cfg_put16(body + PCI_SRIOV_VF_DID - 4, sriov->vf_device);
	hw_cfg_put32(body + PCI_SRIOV_SUP_PGSIZE - 4, PAGE_SIZES);
	hw_cfg_put32(body + PCI_SRIOV_SYS_PGSIZE - 4, 1);
	hw_cfg_put16(writable + PCI_SRIOV_CTRL - 4, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE | PCI_SRIOV_CTRL_ARI);
	hw_cfg_put16(writable + PCI_SRIOV_NUM_VF - 4, 0xffff);
	hw_cfg_put32(writable + PCI_SRIOV_SYS_PGSIZE - 4, PAGE_SIZES);
	put_bars(sriov, body, writable);
	off = hw_ext_cap_add(hw, PCI_EXT_CAP_ID_SRIOV, 1, body, writable, sizeof(body));
	if (off > 0)
		hw->sriov_cap = (u16)off;
	return off;
}

void hw_sriov_sync_locked(struct hw_device *hw)
{
	const u16 both = PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE;

	lockdep_assert_held(&hw->cfg_lock);
	if (hw->sriov_cap)
		atomic_store(&hw->vf_memory,
			     (hw_cfg_get16(hw->cfg + hw->sriov_cap + PCI_SRIOV_CTRL) & both) == both);
}

void hw_sriov_free(struct hw_device *hw)
{
	free(hw->vfs);
}

unsigned hw_sriov_total_vfs(const struct hw_device *hw, unsigned *ret_offset, unsigned *ret_stride)
{
	*ret_offset = hw->sriov.offset;
	*ret_stride = hw->sriov.stride;
	return hw->sriov.total_vfs;
}

struct hw_device *hw_physfn(const struct hw_device *hw) { return hw->physfn; }
unsigned hw_vf_index(const struct hw_device *hw) { return hw->vf_index; }
