/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_intx.c - the interrupt pin.
 *
 * The pin is a level, an eventfd an edge.  So the first high level signals the eventfd and masks the
 * interrupt; the program serves the device and unmasks; if the pin is still (or again) high then, that
 * signals anew.  The mask is a flag of ours that the handler looks at under the context's own lock: a
 * handler runs deep below hardware's locks and may not write config space.  Only a mask that the
 * program asked for is also put into the INTx disable bit of the real command register; who reads that
 * in /sys sees it in either case (pci_mask_intx()).
 *
 * The program has two switches: MASK and UNMASK of SET_IRQS, and INTx disable in its view of the
 * command register.  Opening the second opens the first too.
 */
#include "kernel/lib/explain.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

/* ---- the eventfd ----------------------------------------------------------------------------- */

void vfio_pci_intx_set_trigger(struct vfio_pci_core_device *vdev, struct eventfd_ctx *trigger)
{
	struct vfio_pci_intx *intx = &vdev->intx;
	struct eventfd_ctx *old;

	mutex_lock(&intx->lock);
	old = intx->trigger;
	intx->trigger = trigger;
	mutex_unlock(&intx->lock);
	if (old)
		eventfd_ctx_put(old);
}

void vfio_pci_intx_signal(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_intx *intx = &vdev->intx;

	mutex_lock(&vdev->intx_lock);
	mutex_lock(&intx->lock);
	if (vdev->intx_disabled)
		explain_note("INTx is disabled in the command register: nothing is triggered");
	else if (intx->trigger)
		eventfd_signal(intx->trigger);
	else
		explain_note("INTx has no eventfd: there is nothing to trigger");
	mutex_unlock(&intx->lock);
	mutex_unlock(&vdev->intx_lock);
}

/* ---- the pin --------------------------------------------------------------------------------- */

/* The pin is high: signal and mask, if not masked yet.  Return: did it have an effect? */
static bool pin_is_high(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_intx *intx = &vdev->intx;
	bool fired = false;

	mutex_lock(&intx->lock);
	if (!intx->masked) {
		fired = intx->masked = true;
		intx->told = false;
		pci_mask_intx(vdev->pdev, true);
		if (intx->trigger)
			eventfd_signal(intx->trigger);
		else
			explain_event("%s: INTx lost: no eventfd is set for it", vfio_pci_name(vdev));
	}
	mutex_unlock(&intx->lock);
	return fired;
}

/* Called by msi.c when the level rises, on a device's thread or inside a BAR access. */
static void intx_handler(void *arg)
{
	struct vfio_pci_core_device *vdev = arg;
	bool tell;

	if (pin_is_high(vdev))
		return;
	mutex_lock(&vdev->intx.lock);
	tell = !vdev->intx.told;
	vdev->intx.told = true;
	mutex_unlock(&vdev->intx.lock);
	if (tell)
		explain_event("%s: INTx waits: vfio masks it from one signal to VFIO_IRQ_SET_ACTION_UNMASK",
			      vfio_pci_name(vdev));
}

static bool in_use(struct vfio_pci_core_device *vdev)
{
	return atomic_load(&vdev->irq_type) == VFIO_PCI_INTX_IRQ_INDEX;
}

/* Return: was it masked before? */
static bool set_masked(struct vfio_pci_core_device *vdev, bool masked)
{
	struct vfio_pci_intx *intx = &vdev->intx;
	bool was;

	mutex_lock(&intx->lock);
	was = intx->masked;
	intx->masked = masked;
	intx->told = false;
	pci_mask_intx(vdev->pdev, masked);
	mutex_unlock(&intx->lock);
	return was;
}

static void sync_locked(struct vfio_pci_core_device *vdev, bool masked)
{
	lockdep_assert_held(&vdev->intx_lock);
	pci_intx(vdev->pdev, !vdev->intx_disabled && !masked);
}

void vfio_pci_intx_sync(struct vfio_pci_core_device *vdev)
{
	mutex_lock(&vdev->intx_lock);
	sync_locked(vdev, false);
	mutex_unlock(&vdev->intx_lock);
}

void vfio_pci_intx_mask(struct vfio_pci_core_device *vdev)
{
	mutex_lock(&vdev->intx_lock);
	if (in_use(vdev)) {
		set_masked(vdev, true);
		sync_locked(vdev, true);
	}
	mutex_unlock(&vdev->intx_lock);
}

void vfio_pci_intx_unmask(struct vfio_pci_core_device *vdev)
{
	bool was = false;

	mutex_lock(&vdev->intx_lock);
	if (in_use(vdev) && !vdev->intx_disabled) {
		was = set_masked(vdev, false);
		sync_locked(vdev, false);
	}
	mutex_unlock(&vdev->intx_lock);
	if (was && pci_intx_pending(vdev->pdev))
		pin_is_high(vdev);
}

void vfio_pci_intx_set_disabled(struct vfio_pci_core_device *vdev, bool disabled)
{
	bool changed;

	mutex_lock(&vdev->intx_lock);
	changed = vdev->intx_disabled != disabled;
	vdev->intx_disabled = disabled;
	if (changed && disabled && in_use(vdev))
		set_masked(vdev, true);
	if (changed)
		sync_locked(vdev, false);
	mutex_unlock(&vdev->intx_lock);
	if (changed && !disabled)
		vfio_pci_intx_unmask(vdev);
}

int vfio_pci_intx_enable(struct vfio_pci_core_device *vdev, struct eventfd_ctx *trigger)
{
	int ret;

	mutex_lock(&vdev->intx_lock);
	vfio_pci_intx_set_trigger(vdev, trigger);
	set_masked(vdev, vdev->intx_disabled);
	ret = pci_request_intx(vdev->pdev, intx_handler, vdev);
	if (!ret) {
		atomic_store(&vdev->irq_type, VFIO_PCI_INTX_IRQ_INDEX);
		sync_locked(vdev, false);
	}
	mutex_unlock(&vdev->intx_lock);
	if (ret) {
		vfio_pci_intx_set_trigger(vdev, NULL);
		return fail(ret, "the interrupt pin of %s cannot be used", vfio_pci_name(vdev));
	}
	if (!vdev->intx_disabled && pci_intx_pending(vdev->pdev))
		pin_is_high(vdev);
	return 0;
}

void vfio_pci_intx_disable(struct vfio_pci_core_device *vdev)
{
	vfio_virqfd_disable(&vdev->unmask_virqfd);
	mutex_lock(&vdev->intx_lock);
	atomic_store(&vdev->irq_type, VFIO_PCI_IRQ_NONE);
	sync_locked(vdev, false);
	mutex_unlock(&vdev->intx_lock);
	pci_free_intx(vdev->pdev);
	vfio_pci_intx_set_trigger(vdev, NULL);
	set_masked(vdev, false);
}
