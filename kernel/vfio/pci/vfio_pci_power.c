/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_power.c - D0, D3hot, and the low power state that a program may allow.
 *
 * Low power.  Once a program allowed it, its mappings are closed (SIGBUS) until it calls LOW_POWER_EXIT.
 * Calls still work: each wakes the device first.  If the program asked to be told of that, the first
 * call signals its eventfd and ends low power, mappings included.  We put the device to sleep at once,
 * where Linux may take a moment, so the eventfd is signalled in every case.
 *
 * D3hot.  BARs do not answer.  A device that forgets its registers on the way back to D0 (No_Soft_Reset
 * is 0) has them saved before and restored after.
 */
#include <linux/pci_regs.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

/* ---- power states of the device -------------------------------------------------------------- */

static bool state_exists(struct vfio_pci_core_device *vdev, unsigned state)
{
	const u16 need = state == 1 ? PCI_PM_CAP_D1 : PCI_PM_CAP_D2;
	u16 caps = 0;

	if (state == 0 || state == 3)
		return true;
	pci_read_config_word(vdev->pdev, vdev->config.pm_pos + PCI_PM_PMC, &caps);
	return caps & need;
}

static void forget_saved(struct vfio_pci_core_device *vdev, bool restore)
{
	if (!vdev->pm_saved)
		return;
	vdev->pm_saved = false;
	if (restore)
		pci_restore_state(vdev->pdev, &vdev->pm_save);
	else
		kfree(vdev->pm_save.bytes);
	vdev->pm_save = (struct pci_saved_state){ 0 };
}

void vfio_pci_set_power_state(struct vfio_pci_core_device *vdev, unsigned state)
{
	const unsigned pos = vdev->config.pm_pos + PCI_PM_CTRL;
	u16 pmcsr;

	lockdep_assert_held(&vdev->memory_lock);
	if (!vdev->config.pm_pos || pci_read_config_word(vdev->pdev, pos, &pmcsr))
		return;
	if ((pmcsr & PCI_PM_CTRL_STATE_MASK) == state || !state_exists(vdev, state))
		return;
	if (state == 3 && !(pmcsr & PCI_PM_CTRL_NO_SOFT_RESET) && !vdev->pm_saved)
		vdev->pm_saved = !pci_save_state(vdev->pdev, &vdev->pm_save);
	if (state)
		vfio_pci_gate_without_decode(vdev);
	pmcsr &= (u16) ~(PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_STATUS); /* status is cleared by a one */
	if (!state)
		pmcsr = 0; /* as Linux wakes a device: nothing else of the register stays set */
	pci_write_config_word(vdev->pdev, pos, (u16)(pmcsr | state));
	if (!state)
		forget_saved(vdev, true);
	vfio_pci_gate_update(vdev);
	pci_show_power(vdev->pdev);
}

/* Its registers are there again, so those kept when it went to sleep are not needed. */
void vfio_pci_woken(struct vfio_pci_core_device *vdev)
{
	vfio_pci_memory_lock(vdev);
	forget_saved(vdev, false);
	if (!(atomic_load(&vdev->gate) & GATE_CLOSED)) /* which it is while nobody has it open */
		vfio_pci_gate_update(vdev);
	vfio_pci_memory_unlock(vdev);
}

/* ---- low power ------------------------------------------------------------------------------- */

static void show_sleep(struct vfio_pci_core_device *vdev, bool asleep)
{
	pci_set_asleep(vdev->pdev, asleep);
	pci_show_power(vdev->pdev);
}

static int enter(struct vfio_pci_core_device *vdev, struct eventfd_ctx *wake)
{
	int ret = 0;

	vfio_pci_memory_lock(vdev);
	if (vdev->pm_engaged) {
		ret = fail(-EINVAL,
			   "%s is in low power already: VFIO_DEVICE_FEATURE_LOW_POWER_EXIT comes first",
			   vfio_pci_name(vdev));
	} else {
		vdev->pm_engaged = true;
		atomic_store(&vdev->pm_wake, wake);
		vfio_pci_gate_update(vdev);
		show_sleep(vdev, true);
	}
	vfio_pci_memory_unlock(vdev);
	return ret;
}

/* Return: whom to tell, with its reference; NULL. */
static struct eventfd_ctx *leave_locked(struct vfio_pci_core_device *vdev)
{
	if (vdev->pm_engaged)
		show_sleep(vdev, false);
	vdev->pm_engaged = false;
	vfio_pci_gate_update(vdev);
	return atomic_exchange(&vdev->pm_wake, NULL);
}

void vfio_pci_pm_resume(struct vfio_pci_core_device *vdev)
{
	struct eventfd_ctx *wake = NULL;

	if (likely(!atomic_load_explicit(&vdev->pm_wake, memory_order_relaxed)))
		return;
	vfio_pci_memory_lock(vdev);
	if (atomic_load(&vdev->pm_wake))
		wake = leave_locked(vdev);
	vfio_pci_memory_unlock(vdev);
	if (!wake)
		return;
	eventfd_signal(wake);
	eventfd_ctx_put(wake);
}

static int leave(struct vfio_pci_core_device *vdev)
{
	struct eventfd_ctx *wake;

	vfio_pci_memory_lock(vdev);
	wake = leave_locked(vdev);
	vfio_pci_memory_unlock(vdev);
	if (wake)
		eventfd_ctx_put(wake);
	return 0;
}

void vfio_pci_pm_release(struct vfio_pci_core_device *vdev)
{
	leave(vdev);
	vfio_pci_memory_lock(vdev);
	vfio_pci_set_power_state(vdev, 0);
	forget_saved(vdev, false);
	vfio_pci_memory_unlock(vdev);
}

static int enter_with_wakeup(struct vfio_pci_core_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	struct eventfd_ctx *wake;
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, sizeof(entry));

	if (ret != 1)
		return ret;
	if (copy_from_user(&entry, arg, sizeof(entry)))
		return fail(-EFAULT, "struct vfio_device_low_power_entry_with_wakeup at %p cannot be read",
			    arg);
	if (entry.wakeup_eventfd < 0)
		return fail(-EINVAL, "wakeup_eventfd is %d", entry.wakeup_eventfd);
	wake = eventfd_ctx_fdget(entry.wakeup_eventfd);
	if (IS_ERR(wake))
		return fail((int)PTR_ERR(wake), "wakeup_eventfd %d is not an open eventfd",
			    entry.wakeup_eventfd);
	ret = enter(vdev, wake);
	if (ret)
		eventfd_ctx_put(wake);
	return ret;
}

int vfio_pci_feature_low_power(struct vfio_pci_core_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	const u32 number = flags & VFIO_DEVICE_FEATURE_MASK;
	int ret;

	if (number == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)
		return enter_with_wakeup(vdev, flags, arg, argsz);
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);
	if (ret != 1)
		return ret;
	return number == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY ? enter(vdev, NULL) : leave(vdev);
}
