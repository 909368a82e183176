/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_gate.c - who may reach the BARs, and when.
 *
 * A trapped load or store costs about as much as the processor's fault, so what we add must be small:
 * whoever goes to a BAR adds itself to a count, looks at one word, and goes.  Whoever takes memory
 * decoding away changes that word first and then waits until the count is zero; both sides use
 * sequentially consistent operations, so one of them always sees the other.
 *
 * Pages that a program uses without a trap are taken away through vma_host_revoke, which makes the
 * front end ask vm_operations.direct again; so the word is changed before.  Other devices' way to the BARs,
 * dma-bufs, follows it likewise (vfio_pci_dmabuf.c).
 *
 * What is dangerous: waiting for the count while being part of it.  Nobody inside the gate takes
 * memory_lock, and user memory, which may be a BAR itself, is only touched outside.
 */
#include <linux/pci_regs.h>
#include <sched.h>

#include "kernel/lib/sys.h"
#include "kernel/mm/vma.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

void vfio_pci_gate_leave(struct vfio_pci_core_device *vdev)
{
	atomic_fetch_sub(&vdev->gate_users, 1);
}

bool vfio_pci_gate_enter(struct vfio_pci_core_device *vdev, u32 need)
{
	u32 gate;

	for (;;) {
		atomic_fetch_add(&vdev->gate_users, 1);
		gate = atomic_load(&vdev->gate);
		if (likely((gate & (need | GATE_CLOSED)) == need))
			return true;
		vfio_pci_gate_leave(vdev);
		if (!(gate & GATE_CLOSED))
			return false;
		vfio_pci_memory_lock(vdev); /* a reset is under way: its end decides */
		vfio_pci_memory_unlock(vdev);
	}
}

/*
 * A bus reset works on several devices, whose memory_locks cannot all be held at once (they have one
 * rank), so it leaves a mark instead.
 */
void vfio_pci_memory_lock(struct vfio_pci_core_device *vdev)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	for (;;) {
		mutex_lock(&vdev->memory_lock);
		if (!vdev->hot_reset)
			return;
		mutex_unlock(&vdev->memory_lock);
		sys_ppoll(NULL, 0, &pause);
	}
}

void vfio_pci_memory_unlock(struct vfio_pci_core_device *vdev)
{
	mutex_unlock(&vdev->memory_lock);
}

static void revoke_one(struct vm_area *vma, void *unused)
{
	(void)unused;
	if (vma_host_revoke)
		vma_host_revoke(vma);
}

static void gate_set(struct vfio_pci_core_device *vdev, u32 gate)
{
	u32 old;

	lockdep_assert_held(&vdev->memory_lock);
	old = atomic_exchange(&vdev->gate, gate);
	if (old == gate)
		return;
	if ((old & ~gate) | (gate & GATE_CLOSED)) {
		while (atomic_load(&vdev->gate_users))
			sched_yield();
	}
	vma_for_each_private(mm_self(), vdev, revoke_one, NULL);
	vfio_pci_dma_bufs_follow_gate(vdev);
}

void vfio_pci_gate_close(struct vfio_pci_core_device *vdev)
{
	gate_set(vdev, GATE_CLOSED);
}

void vfio_pci_gate_without_decode(struct vfio_pci_core_device *vdev)
{
	gate_set(vdev, atomic_load(&vdev->gate) & ~GATE_DECODE);
}

static bool decodes(struct vfio_pci_core_device *vdev)
{
	const unsigned pm = vdev->config.pm_pos;
	u16 command, pmcsr = 0;

	if (!vdev->pdev->physfn && (pci_read_config_word(vdev->pdev, PCI_COMMAND, &command) ||
				    !(command & PCI_COMMAND_MEMORY)))
		return false; /* of virtual functions the physical one decides */
	return !pm || (!pci_read_config_word(vdev->pdev, pm + PCI_PM_CTRL, &pmcsr) &&
		       !(pmcsr & PCI_PM_CTRL_STATE_MASK));
}

const char *vfio_pci_why_closed(struct vfio_pci_core_device *vdev)
{
	u16 command = 0;

	if (!(atomic_load(&vdev->gate) & GATE_MAPPED))
		return "the device is in low power until VFIO_DEVICE_FEATURE_LOW_POWER_EXIT";
	pci_read_config_word(vdev->pdev, PCI_COMMAND, &command);
	return command & PCI_COMMAND_MEMORY ? "the device is not in D0 (power management register)"
					    : "memory decoding is off (command register bit 1)";
}

void vfio_pci_gate_update(struct vfio_pci_core_device *vdev)
{
	gate_set(vdev, (decodes(vdev) ? GATE_DECODE : 0) | (vdev->pm_engaged ? 0 : GATE_MAPPED));
}
