/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reset.c - back to the state of power on.
 *
 * The order matters: bus mastering goes off first, so that the model, while it stops its engines, can
 * start no transfer and waits for no pages; then the model; then config space and interrupts.  One reset at a time: a second
 * one that comes meanwhile (a driver's function level reset against the kernel's bus reset) waits, so
 * that a model never sees two.  The wait is a short sleep instead of a lock, because a lock held
 * around the model's own would have no place in the order of locks.
 */
#include "hw/core/hw_core.h"
#include "kernel/lib/sys.h"

static void reset_begin(struct hw_device *hw)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	while (atomic_flag_test_and_set(&hw->resetting))
		sys_ppoll(NULL, 0, &pause);
}

/* A bus reset and a function level reset differ in whom they hit, which the caller sees to. */
void hw_reset(void *opaque, bool bus)
{
	struct hw_device *hw = opaque;
	bool was_master;

	reset_begin(hw);
	hw_set_down(hw, HW_DOWN_HUNG, false);
	was_master = hw_config_master_off(hw);
	hw_dma_stop_waiting(hw);
	if (hw->model->reset)
		hw->model->reset(hw);
	hw_config_reset(hw, was_master);
	hw_irq_reset(hw);
	hw_wires_reset(hw);
	if (unlikely(hw_orders(hw)) && hw_inject_reset(hw, hw_orders(hw)))
		hw_set_down(hw, HW_DOWN_HUNG, true);
	atomic_flag_clear(&hw->resetting);
	for (unsigned i = 0; hw->vfs && i < hw->sriov.total_vfs; i++)
		if (hw->vfs[i])
			hw_reset(hw->vfs[i], bus);
}
