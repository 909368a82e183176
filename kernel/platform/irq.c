/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.c - wired interrupts: from a device's wire to the handler of its driver.
 *
 * There is no interrupt controller with state of its own: hardware tells of an edge, or of a level that
 * went high, and the handler is called then and there.  What a controller would remember for a masked
 * level is the wire itself, which can be asked.
 */
#include <errno.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/platform/platform.h"

typedef void irq_fn(void *arg);

static void wait_until_idle(atomic_int *running)
{
	while (atomic_load(running))
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
}

void platform_irq_receive(struct platform_device *pdev, unsigned irq)
{
	struct platform_irq *desc;
	irq_fn *fn;

	if (irq >= pdev->num_irqs)
		return;
	desc = &pdev->irq[irq];
	atomic_fetch_add(&desc->running, 1);
	fn = atomic_load(&desc->handler);
	if (fn)
		fn(desc->arg);
	atomic_fetch_sub_explicit(&desc->running, 1, memory_order_release);
}

bool platform_irq_pending(struct platform_device *pdev, unsigned irq)
{
	return irq < pdev->num_irqs && pdev->irq[irq].level && pdev->hw_ops->irq_level(pdev->hw, irq);
}

int platform_request_irq(struct platform_device *pdev, unsigned irq, void (*handler)(void *arg), void *arg)
{
	struct platform_irq *desc;

	if (irq >= pdev->num_irqs)
		return fail(-EINVAL, "interrupt %u: %s has %u", irq, pdev->dev.name, pdev->num_irqs);
	desc = &pdev->irq[irq];
	if (atomic_load(&desc->handler))
		return fail(-EBUSY, "interrupt %u of %s has a handler already", irq, pdev->dev.name);
	wait_until_idle(&desc->running);
	desc->arg = arg;
	atomic_store(&desc->handler, handler);
	if (platform_irq_pending(pdev, irq))
		platform_irq_receive(pdev, irq);
	return 0;
}

void platform_free_irq(struct platform_device *pdev, unsigned irq)
{
	if (irq >= pdev->num_irqs)
		return;
	atomic_store(&pdev->irq[irq].handler, NULL);
	wait_until_idle(&pdev->irq[irq].running);
}
