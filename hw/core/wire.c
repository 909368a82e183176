/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.c - platform devices: regions of registers, and wires to an interrupt controller.
 *
 * A region is kept as a BAR is, so that bar.c serves both.  A wire is one bit.  The host is told when it
 * rises, and asks for a level's state when somebody unmasks it; so nothing is remembered twice.
 */
#include <errno.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define REGION_MAX_BYTES (1ull << 30)

static int check_platform(struct hw_device *hw, const char *what)
{
	if (!hw->model->platform)
		return fail(-EINVAL, "%s is no platform device: it has no %ss", hw->model->name, what);
	if (!hw->creating)
		return fail(-EINVAL, "a %s can be added in create() only", what);
	return 0;
}

int hw_region_add(struct hw_device *hw, uint64_t size_bytes, unsigned flags)
{
	int err = check_platform(hw, "region");

	if (err)
		return err;
	if (!size_bytes || size_bytes % 4 || size_bytes > REGION_MAX_BYTES || flags & ~(unsigned)HW_REGION_READONLY)
		return fail(-EINVAL, "region %u: size 0x%llx is no multiple of 4 up to 1 GiB, or flags 0x%x are unknown",
			    hw->nr_regions, (unsigned long long)size_bytes, flags);
	if (hw->nr_regions == HW_REGIONS)
		return fail(-ENOSPC, "a platform device has at most %u regions", HW_REGIONS);
	hw->bars[hw->nr_regions].size_bytes = size_bytes;
	hw->bars[hw->nr_regions].flags = flags;
	return (int)hw->nr_regions++;
}

int hw_wire_add(struct hw_device *hw, bool level)
{
	int err = check_platform(hw, "interrupt wire");

	if (err)
		return err;
	if (hw->nr_wires == HW_WIRES)
		return fail(-ENOSPC, "a platform device has at most %u interrupt wires", HW_WIRES);
	if (level)
		hw->level_wires |= (u16)BIT(hw->nr_wires);
	return (int)hw->nr_wires++;
}

void hw_resettable(struct hw_device *hw)
{
	if (!check_platform(hw, "host's reset"))
		hw->resettable = true;
}

void hw_platform_layout(const struct hw_device *hw, struct hw_platform_layout *ret)
{
	*ret = (struct hw_platform_layout){
		.nr_regions = hw->nr_regions, .nr_wires = hw->nr_wires, .resettable = hw->resettable,
	};
	for (unsigned i = 0; i < hw->nr_regions; i++) {
		ret->region[i].size_bytes = hw->bars[i].size_bytes;
		ret->region[i].readonly = hw->bars[i].flags & HW_REGION_READONLY;
	}
	for (unsigned i = 0; i < hw->nr_wires; i++)
		ret->level[i] = hw->level_wires & BIT(i);
}

void hw_wire(struct hw_device *hw, unsigned wire, bool asserted)
{
	const u16 bit = (u16)BIT(wire & (HW_WIRES - 1));
	bool rose;

	if (wire >= hw->nr_wires)
		return;
	mutex_lock(&hw->irq_lock);
	rose = asserted && !(hw->irq.wires & bit);
	hw->irq.wires = (u16)(asserted ? hw->irq.wires | bit : hw->irq.wires & ~bit);
	mutex_unlock(&hw->irq_lock);
	if (!rose || hw_irq_is_lost(hw, wire))
		return;
	atomic_fetch_add_explicit(&hw->intx_raised, 1, memory_order_relaxed);
	if (hw->host_ops->wire)
		hw->host_ops->wire(hw->host, wire);
}

void hw_wire_pulse(struct hw_device *hw, unsigned wire)
{
	hw_wire(hw, wire, true);
	hw_wire(hw, wire, false);
}

bool hw_wire_level(void *opaque, unsigned wire)
{
	struct hw_device *hw = opaque;
	bool level;

	mutex_lock(&hw->irq_lock);
	level = wire < hw->nr_wires && hw->irq.wires & BIT(wire);
	mutex_unlock(&hw->irq_lock);
	return level;
}

void hw_wires_reset(struct hw_device *hw)
{
	mutex_lock(&hw->irq_lock);
	hw->irq.wires = 0;
	mutex_unlock(&hw->irq_lock);
}

void hw_platform_reset(void *hw)
{
	hw_reset(hw, false);
}
