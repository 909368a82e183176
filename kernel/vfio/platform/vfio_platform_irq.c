/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_platform_irq.c - VFIO_DEVICE_SET_IRQS for wires: which of them signals which eventfd.
 *
 * Each interrupt is an index of its own with one vector.  We listen to every wire for as long as the
 * device is open; whether a signal leads on is decided here:
 *
 *	edge	signals the eventfd.  One that comes while there is none is latched, as an interrupt
 *		controller does, and signals the eventfd that is set next.  It cannot be masked.
 *	level	signals the eventfd and masks itself ("automasked"), for a level would do so for ever.  The
 *		program serves the device and unmasks; if the level is still or again high, that signals
 *		anew.  The mask is the program's too, by call or by eventfd, and outlives a change of
 *		eventfd.
 *
 * A handler runs deep below hardware's locks, so it takes the interrupt's own lock and no other.
 */
#include <errno.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/vfio/platform/vfio_platform_private.h"

#define DATA_TYPE(flags) ((flags)&VFIO_IRQ_SET_DATA_TYPE_MASK)

static bool is_level(const struct vfio_platform_irq *irq)
{
	return irq->flags & VFIO_IRQ_INFO_AUTOMASKED;
}

/* ---- the wire -------------------------------------------------------------------------------- */

static void level_is_high(struct vfio_platform_irq *irq)
{
	mutex_lock(&irq->lock);
	if (irq->trigger && !irq->masked) {
		irq->masked = true;
		eventfd_signal(irq->trigger);
	}
	mutex_unlock(&irq->lock);
}

static void edge(struct vfio_platform_irq *irq)
{
	bool first = false;

	mutex_lock(&irq->lock);
	if (irq->trigger) {
		eventfd_signal(irq->trigger);
	} else {
		first = !irq->latched;
		irq->latched = true;
	}
	mutex_unlock(&irq->lock);
	if (first)
		explain_event("%s: interrupt %u waits: it has no eventfd", vfio_platform_name(irq->vdev),
			      irq->index);
}

static void handler(void *arg)
{
	struct vfio_platform_irq *irq = arg;

	if (is_level(irq))
		level_is_high(irq);
	else
		edge(irq);
}

/* What came while nobody could be told. */
static void look_again(struct vfio_platform_irq *irq)
{
	struct platform_device *pdev = irq->vdev->pdev;
	bool latched;

	if (is_level(irq)) {
		if (platform_irq_pending(pdev, irq->index))
			level_is_high(irq);
		return;
	}
	mutex_lock(&irq->lock);
	latched = irq->latched && irq->trigger;
	if (latched) {
		irq->latched = false;
		eventfd_signal(irq->trigger);
	}
	mutex_unlock(&irq->lock);
}

/* ---- mask and unmask ------------------------------------------------------------------------- */

static void set_masked(struct vfio_platform_irq *irq, bool masked)
{
	bool was;

	mutex_lock(&irq->lock);
	was = irq->masked;
	irq->masked = masked;
	mutex_unlock(&irq->lock);
	if (was && !masked)
		look_again(irq);
}

/* The eventfds' side of it, on the thread of virqfd.c. */
static void mask_handler(void *opaque, void *data)
{
	set_masked(opaque, true);
}

static void unmask_handler(void *opaque, void *data)
{
	set_masked(opaque, false);
}

/* Does the data say "do it"? */
static bool wanted(u32 flags, const void *data)
{
	return DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE || *(const u8 *)data;
}

static int one_vector(unsigned index, unsigned start, unsigned count)
{
	if (start || count != 1)
		return fail(-EINVAL, "start %u, count %u: interrupt %u has one vector, number 0", start, count, index);
	return 0;
}

static int mask_or_unmask(struct vfio_platform_irq *irq, u32 flags, unsigned start, unsigned count,
			  const void *data, bool masked)
{
	struct virqfd **virqfd = masked ? &irq->mask : &irq->unmask;
	int ret = one_vector(irq->index, start, count), fd;

	if (ret)
		return ret;
	if (!(irq->flags & VFIO_IRQ_INFO_MASKABLE))
		return fail(-EINVAL, "interrupt %u is an edge: only a level can be masked and unmasked", irq->index);
	if (DATA_TYPE(flags) != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (wanted(flags, data))
			set_masked(irq, masked);
		return 0;
	}
	fd = *(const int *)data;
	if (fd >= 0)
		return vfio_virqfd_enable(irq, masked ? mask_handler : unmask_handler, NULL, virqfd, fd);
	vfio_virqfd_disable(virqfd);
	return 0;
}

/* ---- trigger --------------------------------------------------------------------------------- */

static void replace_trigger(struct vfio_platform_irq *irq, struct eventfd_ctx *trigger)
{
	struct eventfd_ctx *old;

	mutex_lock(&irq->lock);
	old = irq->trigger;
	irq->trigger = trigger;
	mutex_unlock(&irq->lock);
	if (old)
		eventfd_ctx_put(old);
}

/* The old eventfd goes in any case: a bad descriptor leaves the interrupt without one. */
static int set_eventfd(struct vfio_platform_irq *irq, int fd)
{
	struct eventfd_ctx *trigger;

	replace_trigger(irq, NULL);
	if (fd < 0)
		return 0;
	trigger = eventfd_ctx_fdget(fd);
	if (IS_ERR(trigger))
		return fail((int)PTR_ERR(trigger), "descriptor %d is not an open eventfd", fd);
	replace_trigger(irq, trigger);
	look_again(irq);
	return 0;
}

/* Loopback: as if the wire had been asserted. */
static void loop_back(struct vfio_platform_irq *irq)
{
	bool told = true;

	mutex_lock(&irq->lock);
	if (!is_level(irq) || !irq->masked) {
		irq->masked = is_level(irq);
		told = irq->trigger;
		if (told)
			eventfd_signal(irq->trigger);
	}
	mutex_unlock(&irq->lock);
	if (!told)
		explain_note("interrupt %u has no eventfd: there is nothing to trigger", irq->index);
}

static int set_trigger(struct vfio_platform_irq *irq, u32 flags, unsigned start, unsigned count, const void *data)
{
	int ret;

	if (!count && DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE)
		return set_eventfd(irq, -1);
	ret = one_vector(irq->index, start, count);
	if (ret)
		return ret;
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_EVENTFD)
		return set_eventfd(irq, *(const int *)data);
	if (wanted(flags, data))
		loop_back(irq);
	return 0;
}

int vfio_platform_set_irqs(struct vfio_platform_device *vdev, u32 flags, unsigned index, unsigned start,
			   unsigned count, const void *data)
{
	struct vfio_platform_irq *irq = &vdev->irqs[index];

	lockdep_assert_held(&vdev->igate);
	switch (flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_MASK:
		return mask_or_unmask(irq, flags, start, count, data, true);
	case VFIO_IRQ_SET_ACTION_UNMASK:
		return mask_or_unmask(irq, flags, start, count, data, false);
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		return set_trigger(irq, flags, start, count, data);
	default:
		return fail(-ENOTTY, "flags %#x: exactly one of MASK, UNMASK and TRIGGER is needed", flags);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

void vfio_platform_irq_prepare(struct vfio_platform_device *vdev)
{
	for (unsigned i = 0; i < vdev->pdev->num_irqs; i++) {
		struct vfio_platform_irq *irq = &vdev->irqs[i];

		irq->vdev = vdev;
		irq->index = i;
		irq->flags = VFIO_IRQ_INFO_EVENTFD;
		if (vdev->pdev->irq[i].level)
			irq->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
		mutex_init(&irq->lock, LOCK_VFIO_PCI_TRIGGER);
	}
}

void vfio_platform_irq_forget(struct vfio_platform_device *vdev)
{
	for (unsigned i = 0; i < vdev->pdev->num_irqs; i++)
		mutex_destroy(&vdev->irqs[i].lock);
}

int vfio_platform_irq_init(struct vfio_platform_device *vdev)
{
	int ret = 0;
	unsigned i;

	for (i = 0; i < vdev->pdev->num_irqs && !ret; i++) {
		vdev->irqs[i].masked = vdev->irqs[i].latched = false;
		ret = platform_request_irq(vdev->pdev, i, handler, &vdev->irqs[i]);
	}
	while (ret && i-- > 1)
		platform_free_irq(vdev->pdev, i - 1);
	return ret;
}

void vfio_platform_irq_cleanup(struct vfio_platform_device *vdev)
{
	for (unsigned i = 0; i < vdev->pdev->num_irqs; i++) {
		struct vfio_platform_irq *irq = &vdev->irqs[i];

		vfio_virqfd_disable(&irq->mask);
		vfio_virqfd_disable(&irq->unmask);
		platform_free_irq(vdev->pdev, i);
		replace_trigger(irq, NULL);
	}
}
