/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_intrs.c - VFIO_DEVICE_SET_IRQS: which interrupt signals which eventfd.
 *
 * One of INTx, MSI and MSI-X is in use at a time.  MSI is allocated as one set, of as many vectors as
 * the first call reaches; MSI-X vectors come one by one, so all that the device has are set up at the
 * first call.  Besides, two interrupts are not the device's: an error was reported (ERR) and the
 * machine wants the device back (REQ).
 *
 * A message takes no lock of ours and one system call.  A vector without eventfd has no handler in
 * msi.c and so is masked in the device, where its message waits; a device that cannot mask loses it, and
 * the user is told.
 *
 * igate is held throughout, so the functions below are alone.
 */
#include <linux/pci_regs.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

static const char *const index_names[VFIO_PCI_NUM_IRQS] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

#define DATA_TYPE(flags) ((flags)&VFIO_IRQ_SET_DATA_TYPE_MASK)

static const char *in_use_name(struct vfio_pci_core_device *vdev)
{
	const int type = atomic_load(&vdev->irq_type);

	return type == VFIO_PCI_IRQ_NONE ? "none" : index_names[type];
}

static bool irq_is(struct vfio_pci_core_device *vdev, unsigned index)
{
	return atomic_load(&vdev->irq_type) == (int)index;
}

static bool irq_is_other(struct vfio_pci_core_device *vdev, unsigned index)
{
	return !irq_is(vdev, index) && !irq_is(vdev, (unsigned)VFIO_PCI_IRQ_NONE);
}

/* -1 and, as on Linux, everything else below 0 means no eventfd.  ERR_PTR. */
static struct eventfd_ctx *get_eventfd(int fd)
{
	struct eventfd_ctx *ctx;

	if (fd < 0)
		return NULL;
	ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		fail((int)PTR_ERR(ctx), "descriptor %d is not an open eventfd", fd);
	return ctx;
}

/* Does the data say "do it" for vector @i of the call? */
static bool wanted(u32 flags, const void *data, unsigned i)
{
	return DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE ||
	       (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_BOOL && ((const u8 *)data)[i]);
}

/* ---- MSI and MSI-X --------------------------------------------------------------------------- */

/* A message arrived.  Runs on a device's thread or inside a BAR access. */
static void msi_handler(void *arg)
{
	const struct vfio_pci_irq_ctx *ctx = arg;

	eventfd_signal(ctx->trigger);
}

static void lost_handler(void *arg)
{
	const struct vfio_pci_irq_ctx *ctx = arg;

	explain_event("%s: interrupt vector %u lost: it has no eventfd", vfio_pci_name(ctx->vdev),
		      ctx->vector);
}

/* @trigger: taken over, also on failure; NULL for none. */
static int install(struct vfio_pci_irq_ctx *ctx, struct eventfd_ctx *trigger)
{
	struct vfio_pci_core_device *vdev = ctx->vdev;
	const bool maskable = vdev->msi_maskable;
	int ret = 0;

	pci_free_irq(vdev->pdev, ctx->vector);
	if (ctx->trigger)
		eventfd_ctx_put(ctx->trigger);
	ctx->trigger = trigger;
	if (trigger || !maskable)
		ret = pci_request_irq(vdev->pdev, ctx->vector, trigger ? msi_handler : lost_handler, ctx);
	if (!ret)
		return 0;
	if (trigger)
		eventfd_ctx_put(trigger);
	ctx->trigger = NULL;
	return fail(ret, "vector %u of %s cannot be used", ctx->vector, vfio_pci_name(vdev));
}

static int make_contexts(struct vfio_pci_core_device *vdev, unsigned num)
{
	vdev->ctx = kcalloc(num, sizeof(*vdev->ctx));
	if (!vdev->ctx)
		return fail(-ENOMEM, "no memory for %u interrupt vectors", num);
	vdev->num_ctx = num;
	for (unsigned i = 0; i < num; i++)
		vdev->ctx[i] = (struct vfio_pci_irq_ctx){ .vdev = vdev, .vector = i };
	return 0;
}

static void free_contexts(struct vfio_pci_core_device *vdev)
{
	for (unsigned i = 0; i < vdev->num_ctx; i++) {
		pci_free_irq(vdev->pdev, i);
		if (vdev->ctx[i].trigger)
			eventfd_ctx_put(vdev->ctx[i].trigger);
	}
	kfree(vdev->ctx);
	vdev->ctx = NULL;
	vdev->num_ctx = 0;
}

static bool can_mask(struct vfio_pci_core_device *vdev, unsigned index)
{
	u16 flags = 0;

	if (index == VFIO_PCI_MSIX_IRQ_INDEX)
		return true;
	pci_read_config_word(vdev->pdev, vdev->pdev->msi_cap + PCI_MSI_FLAGS, &flags);
	return flags & PCI_MSI_FLAGS_MASKBIT;
}

/* As on Linux the command register, and in it INTx disable, is afterwards as it was before. */
static u16 command_save(struct vfio_pci_core_device *vdev)
{
	u16 command = 0;

	pci_read_config_word(vdev->pdev, PCI_COMMAND, &command);
	return command;
}

/* With memory_lock: not in the middle of a reset. */
static int alloc_vectors(struct vfio_pci_core_device *vdev, unsigned index, unsigned num)
{
	u16 command;
	int ret;

	vdev->msi_maskable = can_mask(vdev, index);
	vfio_pci_memory_lock(vdev);
	command = command_save(vdev);
	ret = pci_alloc_irq_vectors(vdev->pdev, index == VFIO_PCI_MSIX_IRQ_INDEX, num);
	pci_write_config_word(vdev->pdev, PCI_COMMAND, command);
	vfio_pci_memory_unlock(vdev);
	if (ret)
		return fail(ret, "%u vectors of %s cannot be set up on %s", num, index_names[index],
			    vfio_pci_name(vdev));
	for (unsigned i = 0; i < num; i++)
		install(&vdev->ctx[i], NULL);
	return 0;
}

/* Linux sets up those that a program names: at first up to the highest, later one by one. */
static void show_vectors(struct vfio_pci_core_device *vdev, unsigned first, unsigned count)
{
	pci_show_messages(vdev->pdev, irq_is(vdev, VFIO_PCI_MSIX_IRQ_INDEX), first, count);
	for (unsigned i = first; i < first + count; i++)
		vdev->ctx[i].shown = true;
}

static void free_vectors(struct vfio_pci_core_device *vdev)
{
	u16 command;

	pci_hide_messages(vdev->pdev, irq_is(vdev, VFIO_PCI_MSIX_IRQ_INDEX));
	vfio_pci_memory_lock(vdev);
	command = command_save(vdev);
	pci_free_irq_vectors(vdev->pdev);
	pci_write_config_word(vdev->pdev, PCI_COMMAND, command);
	vfio_pci_memory_unlock(vdev);
}

static unsigned log2_up(unsigned n)
{
	unsigned log2 = 0;

	while (1u << log2 < n)
		log2++;
	return log2;
}

/* @reach: one more than the highest vector that the call names. */
static int msi_enable(struct vfio_pci_core_device *vdev, unsigned index, unsigned reach)
{
	const unsigned num = index == VFIO_PCI_MSIX_IRQ_INDEX ? pci_msix_vec_count(vdev->pdev) : reach;
	int ret;

	if (!reach)
		return fail(pci_alloc_irq_vectors(vdev->pdev, index == VFIO_PCI_MSIX_IRQ_INDEX, 0),
			    "%s is not enabled, and enabling it needs at least one vector", index_names[index]);
	ret = make_contexts(vdev, num);
	if (ret)
		return ret;
	atomic_store(&vdev->irq_type, (int)index); /* before the first message */
	ret = alloc_vectors(vdev, index, num);
	if (ret) {
		atomic_store(&vdev->irq_type, VFIO_PCI_IRQ_NONE);
		free_contexts(vdev);
		return ret;
	}
	if (index == VFIO_PCI_MSI_IRQ_INDEX)
		atomic_store(&vdev->msi_qmax, log2_up(num));
	show_vectors(vdev, 0, reach);
	return 0;
}

static void msi_disable(struct vfio_pci_core_device *vdev)
{
	free_vectors(vdev); /* no message comes from here on, and no handler runs */
	atomic_store(&vdev->irq_type, VFIO_PCI_IRQ_NONE);
	free_contexts(vdev);
}

/* The old eventfd goes in any case: a bad descriptor leaves the vector without one. */
static int set_vector(struct vfio_pci_irq_ctx *ctx, int fd)
{
	struct eventfd_ctx *trigger = get_eventfd(fd);
	int ret = install(ctx, IS_ERR(trigger) ? NULL : trigger);

	if (!ctx->shown && fd >= 0 && !ret && !IS_ERR(trigger))
		show_vectors(ctx->vdev, ctx->vector, 1);
	return IS_ERR(trigger) ? (int)PTR_ERR(trigger) : ret;
}

/* A vector that was not allocated has no eventfd to take away either, and cannot get one. */
static int set_absent(struct vfio_pci_core_device *vdev, unsigned vector, int fd)
{
	if (fd < 0)
		return 0;
	return fail(-EINVAL, "vector %u: MSI was enabled with %u vectors, which cannot grow: disable it first",
		    vector, vdev->num_ctx);
}

static int set_vectors(struct vfio_pci_core_device *vdev, unsigned start, unsigned count, const int *fds)
{
	int ret;

	for (unsigned i = 0; i < count; i++) {
		ret = start + i < vdev->num_ctx ? set_vector(&vdev->ctx[start + i], fds[i])
						: set_absent(vdev, start + i, fds[i]);
		if (!ret)
			continue;
		while (i--)
			if (start + i < vdev->num_ctx)
				install(&vdev->ctx[start + i], NULL);
		return ret;
	}
	return 0;
}

static int msi_set_eventfds(struct vfio_pci_core_device *vdev, unsigned index, unsigned start, unsigned count,
			    const int *fds)
{
	int ret;

	if (irq_is(vdev, index))
		return set_vectors(vdev, start, count, fds);
	ret = msi_enable(vdev, index, start + count);
	if (ret)
		return ret;
	ret = set_vectors(vdev, start, count, fds);
	if (ret)
		msi_disable(vdev);
	return ret;
}

static int msi_trigger(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		       unsigned count, const void *data)
{
	if (irq_is(vdev, index) && !count && DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE) {
		msi_disable(vdev);
		return 0;
	}
	if (irq_is_other(vdev, index))
		return fail(-EINVAL, "%s is in use: disable it before using %s", in_use_name(vdev),
			    index_names[index]);
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_EVENTFD)
		return msi_set_eventfds(vdev, index, start, count, data);
	if (!irq_is(vdev, index))
		return fail(-EINVAL, "%s is not enabled: set its eventfds first", index_names[index]);
	for (unsigned i = 0; i < count && start + i < vdev->num_ctx; i++) {
		if (!wanted(flags, data, i))
			continue;
		if (vdev->ctx[start + i].trigger)
			eventfd_signal(vdev->ctx[start + i].trigger);
		else
			explain_note("vector %u has no eventfd: there is nothing to trigger", start + i);
	}
	return 0;
}

/* ---- INTx ------------------------------------------------------------------------------------ */

static int intx_check(struct vfio_pci_core_device *vdev, unsigned start, unsigned count)
{
	if (!irq_is(vdev, VFIO_PCI_INTX_IRQ_INDEX))
		return fail(-EINVAL, "INTx is not enabled (in use: %s): set its eventfd first",
			    in_use_name(vdev));
	if (start || count != 1)
		return fail(-EINVAL, "start %u, count %u: INTx has one vector, number 0", start, count);
	return 0;
}

static void unmask_handler(void *opaque, void *data)
{
	(void)data;
	vfio_pci_intx_unmask(opaque);
}

static int intx_unmask(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		       unsigned count, const void *data)
{
	int ret = intx_check(vdev, start, count), fd;

	if (ret)
		return ret;
	if (DATA_TYPE(flags) != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (wanted(flags, data, 0))
			vfio_pci_intx_unmask(vdev);
		return 0;
	}
	fd = *(const int *)data;
	if (fd >= 0)
		return vfio_virqfd_enable(vdev, unmask_handler, NULL, &vdev->unmask_virqfd, fd);
	vfio_virqfd_disable(&vdev->unmask_virqfd);
	return 0;
}

static int intx_mask(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		     unsigned count, const void *data)
{
	int ret = intx_check(vdev, start, count);

	if (ret)
		return ret;
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_EVENTFD)
		return fail(-ENOTTY, "INTx can be unmasked by an eventfd, but not masked");
	if (wanted(flags, data, 0))
		vfio_pci_intx_mask(vdev);
	return 0;
}

static int intx_set_eventfd(struct vfio_pci_core_device *vdev, int fd)
{
	struct eventfd_ctx *trigger = get_eventfd(fd);

	if (IS_ERR(trigger))
		return (int)PTR_ERR(trigger); /* and the old one stays */
	if (!irq_is(vdev, VFIO_PCI_INTX_IRQ_INDEX))
		return vfio_pci_intx_enable(vdev, trigger);
	vfio_pci_intx_set_trigger(vdev, trigger);
	return 0;
}

static int intx_trigger(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
			unsigned count, const void *data)
{
	if (irq_is(vdev, index) && !count && DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_intx_disable(vdev);
		return 0;
	}
	if (irq_is_other(vdev, index))
		return fail(-EINVAL, "%s is in use: disable it before using INTx", in_use_name(vdev));
	if (start || count != 1)
		return fail(-EINVAL, "start %u, count %u: INTx has one vector, number 0", start, count);
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_EVENTFD)
		return intx_set_eventfd(vdev, *(const int *)data);
	if (!irq_is(vdev, index))
		return fail(-EINVAL, "INTx is not enabled: set its eventfd first");
	if (wanted(flags, data, 0))
		vfio_pci_intx_signal(vdev);
	return 0;
}

/* ---- ERR and REQ ----------------------------------------------------------------------------- */

static void replace(struct eventfd_ctx **slot, struct eventfd_ctx *trigger)
{
	if (*slot)
		eventfd_ctx_put(*slot);
	*slot = trigger;
}

static int single_set_eventfd(struct eventfd_ctx **slot, int fd)
{
	struct eventfd_ctx *trigger;

	if (fd < -1)
		return fail(-EINVAL,
			    "descriptor %d: -1 removes the eventfd, other negative numbers mean nothing", fd);
	trigger = get_eventfd(fd);
	if (IS_ERR(trigger))
		return (int)PTR_ERR(trigger);
	replace(slot, trigger);
	return 0;
}

static int single_trigger(struct eventfd_ctx **slot, u32 flags, unsigned index, unsigned start,
			  unsigned count, const void *data)
{
	if (start || count > 1)
		return fail(-EINVAL, "start %u, count %u: %s has one vector, number 0", start, count,
			    index_names[index]);
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE && !*slot)
		return fail(-EINVAL, "%s has no eventfd", index_names[index]);
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_NONE && !count) {
		replace(slot, NULL);
		return 0;
	}
	if (!count)
		return fail(-EINVAL, "count is 0: only DATA_NONE removes an eventfd that way");
	if (DATA_TYPE(flags) == VFIO_IRQ_SET_DATA_EVENTFD)
		return single_set_eventfd(slot, *(const int *)data);
	if (wanted(flags, data, 0) && *slot)
		eventfd_signal(*slot);
	return 0;
}

static int err_trigger(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		       unsigned count, const void *data)
{
	return single_trigger(&vdev->err_trigger, flags, index, start, count, data);
}

static int req_trigger(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		       unsigned count, const void *data)
{
	int ret = single_trigger(&vdev->req_trigger, flags, index, start, count, data);

	if (vdev->req_trigger)
		vfio_asked_listen(&vdev->vdev);
	return ret;
}

/* ---- which of them --------------------------------------------------------------------------- */

typedef int set_irqs_fn(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
			unsigned count, const void *data);

static const struct {
	set_irqs_fn *mask, *unmask, *trigger;
} actions[VFIO_PCI_NUM_IRQS] = {
	[VFIO_PCI_INTX_IRQ_INDEX] = { intx_mask, intx_unmask, intx_trigger },
	[VFIO_PCI_MSI_IRQ_INDEX] = { NULL, NULL, msi_trigger },
	[VFIO_PCI_MSIX_IRQ_INDEX] = { NULL, NULL, msi_trigger },
	[VFIO_PCI_ERR_IRQ_INDEX] = { NULL, NULL, err_trigger },
	[VFIO_PCI_REQ_IRQ_INDEX] = { NULL, NULL, req_trigger },
};

int vfio_pci_set_irqs(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		      unsigned count, const void *data)
{
	const u32 action = flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	set_irqs_fn *fn = NULL;

	lockdep_assert_held(&vdev->igate);
	if (action == VFIO_IRQ_SET_ACTION_MASK)
		fn = actions[index].mask;
	else if (action == VFIO_IRQ_SET_ACTION_UNMASK)
		fn = actions[index].unmask;
	else if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		fn = actions[index].trigger;
	else
		return fail(-ENOTTY, "flags %#x: exactly one of MASK, UNMASK and TRIGGER is needed", flags);
	if (!fn)
		return fail(-ENOTTY, "%s can be triggered, but not masked or unmasked", index_names[index]);
	return fn(vdev, flags, index, start, count, data);
}

void vfio_pci_intrs_disable(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held(&vdev->igate);
	if (irq_is(vdev, VFIO_PCI_INTX_IRQ_INDEX))
		vfio_pci_intx_disable(vdev);
	else if (!irq_is(vdev, (unsigned)VFIO_PCI_IRQ_NONE))
		msi_disable(vdev);
	replace(&vdev->err_trigger, NULL);
	replace(&vdev->req_trigger, NULL);
}
