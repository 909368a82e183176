/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msi.c - interrupts: messages out of the table, handlers behind them, and the pin.
 *
 * The idea: a message is an address in the interrupt window and a number.  The number indexes a table
 * of handlers; whoever enables MSI or MSI-X takes a run of entries and programs the device with their
 * numbers.  For plain MSI the run is a power of two and aligned, since the device puts the vector into
 * the low bits itself.
 *
 * Signalling is the hot path: a load, a count up, a call, a count down; no lock.  Entries are never
 * freed, so a stray message from a device that kept an old number finds an entry without handler.
 *
 * What always holds: an entry's arg changes only while it has no handler and no call of one is under
 * way.  pci_free_irq() takes the handler away, then waits for the count; a message counts up, then
 * looks for the handler.  With both sequentially consistent, one of them sees the other.
 *
 * Sources: PCI Local Bus 3.0, 6.8 (MSI, MSI-X); Intel SDM volume 3, 11.11 (message format).
 */

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/pci/pci_internal.h"

#define MSI_WINDOW 0xfee00000ull
#define MSI_WINDOW_MASK 0xfff00000ull
#define CHUNK_BITS 8
#define CHUNK_IRQS (1u << CHUNK_BITS)
#define CHUNKS 256 /* MSI has 16 bits for the number */
#define MSI_MAX_VECTORS 32

typedef void irq_fn(void *arg);

struct irq_desc {
	_Atomic(irq_fn *) handler;
	void *arg;
	atomic_int running;
	bool used; /* under msi_lock */
};

/* What an enabled device has. */
struct pci_msi {
	bool msix;
	unsigned nvec;	/* that the driver asked for */
	unsigned taken; /* entries: a power of two for MSI */
	unsigned base;	/* number of the first */
	u64 table_off;	/* MSI-X: table in its BAR */
	unsigned bar;
};

/* pdev->msi of all devices: its user enables and frees it, and a reset of the link restores it. */
static struct mutex state_lock = MUTEX_INITIALIZER(LOCK_PCI_MSI_STATE);
static struct mutex msi_lock = MUTEX_INITIALIZER(LOCK_PCI_MSI);
static struct irq_desc *_Atomic chunks[CHUNKS]; /* entries appear under msi_lock and stay */

/* ---- the table ----------------------------------------------------------------------------- */

static struct irq_desc *irq_desc(u32 number)
{
	struct irq_desc *chunk;

	if (number >= CHUNKS * CHUNK_IRQS)
		return NULL;
	chunk = atomic_load_explicit(&chunks[number >> CHUNK_BITS], memory_order_acquire);
	return chunk ? &chunk[number & (CHUNK_IRQS - 1)] : NULL;
}

static bool chunk_there(unsigned n)
{
	struct irq_desc *chunk;

	if (atomic_load_explicit(&chunks[n], memory_order_relaxed))
		return true;
	chunk = kcalloc(CHUNK_IRQS, sizeof(*chunk));
	atomic_store_explicit(&chunks[n], chunk, memory_order_release);
	return chunk;
}

static bool run_is_free(unsigned base, unsigned count)
{
	for (unsigned i = base; i < base + count; i++) {
		if (!chunk_there(i >> CHUNK_BITS))
			return false;
		if (irq_desc(i)->used)
			return false;
	}
	return true;
}

static void run_mark(unsigned base, unsigned count, bool used)
{
	for (unsigned i = base; i < base + count; i++)
		irq_desc(i)->used = used;
}

/* First fit, at a multiple of @align.  Return: the first number; -ENOSPC. */
static int run_take(unsigned count, unsigned align)
{
	int ret = -ENOSPC;

	mutex_lock(&msi_lock);
	for (unsigned base = 0; base + count <= CHUNKS * CHUNK_IRQS; base += align) {
		if (!run_is_free(base, count))
			continue;
		run_mark(base, count, true);
		ret = (int)base;
		break;
	}
	mutex_unlock(&msi_lock);
	return ret;
}

static void run_give(unsigned base, unsigned count)
{
	mutex_lock(&msi_lock);
	run_mark(base, count, false);
	mutex_unlock(&msi_lock);
}

static void wait_until_idle(atomic_int *running)
{
	while (atomic_load(running))
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
}

static void call_handler(_Atomic(irq_fn *) *handler, void **arg, atomic_int *running)
{
	irq_fn *fn;

	atomic_fetch_add(running, 1);
	fn = atomic_load(handler);
	if (fn)
		fn(*arg);
	atomic_fetch_sub_explicit(running, 1, memory_order_release);
}

void pci_msi_receive(u64 addr, u32 data)
{
	struct irq_desc *desc = (addr & ~0xfffffull) == MSI_WINDOW ? irq_desc(data) : NULL;

	if (unlikely(!desc)) {
		explain_event("interrupt message 0x%x to 0x%llx reaches nobody", data,
			      (unsigned long long)addr);
		return;
	}
	call_handler(&desc->handler, &desc->arg, &desc->running);
}

/* ---- what the device can do ---------------------------------------------------------------- */

unsigned pci_msi_vec_count(struct pci_dev *pdev)
{
	u16 flags;

	if (!pdev->msi_cap || pci_read_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, &flags))
		return 0;
	return min(1u << ((flags & PCI_MSI_FLAGS_QMASK) >> 1), (unsigned)MSI_MAX_VECTORS);
}

unsigned pci_msix_vec_count(struct pci_dev *pdev)
{
	u16 flags;

	if (!pdev->msix_cap || pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &flags))
		return 0;
	return (flags & PCI_MSIX_FLAGS_QSIZE) + 1u;
}

/* ---- programming the device ---------------------------------------------------------------- */

static u16 msi_flags(struct pci_dev *pdev)
{
	u16 flags = 0;

	pci_read_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, &flags);
	return flags;
}

/* Offset of the mask bits; 0 if the device cannot mask. */
static unsigned msi_mask_off(struct pci_dev *pdev, u16 flags)
{
	if (!(flags & PCI_MSI_FLAGS_MASKBIT))
		return 0;
	return pdev->msi_cap + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

static void msi_mask_vector(struct pci_dev *pdev, unsigned vector, bool masked)
{
	unsigned off = msi_mask_off(pdev, msi_flags(pdev));
	u32 bits;

	if (!off || pci_read_config_dword(pdev, off, &bits))
		return;
	bits = masked ? bits | BIT(vector) : bits & ~BIT(vector);
	pci_write_config_dword(pdev, off, bits);
}

static void msix_write(struct pci_dev *pdev, unsigned vector, unsigned reg, u32 val)
{
	const struct pci_msi *msi = pdev->msi;

	pdev->hw_ops->bar_write(pdev->hw, msi->bar, msi->table_off + vector * PCI_MSIX_ENTRY_SIZE + reg, 4,
				val);
}

static void msix_mask_vector(struct pci_dev *pdev, unsigned vector, bool masked)
{
	msix_write(pdev, vector, PCI_MSIX_ENTRY_VECTOR_CTRL, masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static void mask_vector(struct pci_dev *pdev, unsigned vector, bool masked)
{
	if (pdev->msi->msix)
		msix_mask_vector(pdev, vector, masked);
	else
		msi_mask_vector(pdev, vector, masked);
}

/* A vector without handler is masked, so what arrives meanwhile stays pending in the device. */
static void mask_all_as_handled(struct pci_dev *pdev)
{
	for (unsigned i = 0; i < pdev->msi->nvec; i++)
		mask_vector(pdev, i, !atomic_load(&irq_desc(pdev->msi->base + i)->handler));
}

static void program_msi(struct pci_dev *pdev)
{
	const struct pci_msi *msi = pdev->msi;
	u16 flags = msi_flags(pdev);
	unsigned at = pdev->msi_cap;
	u16 log = 0;

	while (1u << log < msi->taken)
		log++;
	pci_write_config_dword(pdev, at + PCI_MSI_ADDRESS_LO, (u32)MSI_WINDOW);
	if (flags & PCI_MSI_FLAGS_64BIT)
		pci_write_config_dword(pdev, at + PCI_MSI_ADDRESS_HI, 0);
	pci_write_config_word(pdev, at + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32),
			      (u16)msi->base);
	mask_all_as_handled(pdev);
	flags &= (u16)~PCI_MSI_FLAGS_QSIZE;
	pci_write_config_word(pdev, at + PCI_MSI_FLAGS, flags | (u16)(log << 4) | PCI_MSI_FLAGS_ENABLE);
}

static void program_msix(struct pci_dev *pdev)
{
	const struct pci_msi *msi = pdev->msi;
	unsigned at = pdev->msix_cap + PCI_MSIX_FLAGS, count = pci_msix_vec_count(pdev);
	u16 flags = 0;

	pci_read_config_word(pdev, at, &flags);
	flags = (u16)((flags | PCI_MSIX_FLAGS_MASKALL) & ~PCI_MSIX_FLAGS_ENABLE);
	pci_write_config_word(pdev, at, flags | PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < msi->nvec; i++) {
		msix_write(pdev, i, PCI_MSIX_ENTRY_LOWER_ADDR, (u32)MSI_WINDOW);
		msix_write(pdev, i, PCI_MSIX_ENTRY_UPPER_ADDR, 0);
		msix_write(pdev, i, PCI_MSIX_ENTRY_DATA, msi->base + i);
	}
	mask_all_as_handled(pdev);
	for (unsigned i = msi->nvec; i < count; i++)
		msix_mask_vector(pdev, i, true);
	pci_write_config_word(pdev, at, (flags & (u16)~PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE);
}

static void restore_locked(struct pci_dev *pdev)
{
	if (!pdev->msi)
		return;
	if (pdev->msi->msix)
		program_msix(pdev);
	else
		program_msi(pdev);
}

void pci_restore_msi(struct pci_dev *pdev)
{
	mutex_lock(&state_lock);
	if (pdev->msi)
		pci_intx(pdev, false);
	restore_locked(pdev);
	mutex_unlock(&state_lock);
}

/* ---- vectors ------------------------------------------------------------------------------- */

/* The table's place is data of the device: it must lie in a BAR that is there. */
static int find_table(struct pci_dev *pdev, struct pci_msi *msi)
{
	u32 reg = 0;
	u64 size;

	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &reg);
	msi->bar = reg & PCI_MSIX_TABLE_BIR;
	msi->table_off = reg & PCI_MSIX_TABLE_OFFSET;
	size = msi->bar < PCI_STD_NUM_BARS ? pdev->resource[msi->bar].size_bytes : 0;
	if (msi->table_off + (u64)pci_msix_vec_count(pdev) * PCI_MSIX_ENTRY_SIZE > size)
		return fail(-ENOMEM,
			    "%s: the MSI-X table at offset 0x%llx does not fit into BAR %u of %llu bytes",
			    pdev->dev.name, (unsigned long long)msi->table_off, msi->bar,
			    (unsigned long long)size);
	return 0;
}

static int none_asked_for(void)
{
	return fail(-ERANGE, "0 interrupt vectors asked for");
}

/* In Linux's order, which is not the same for both. */
static int check_request(struct pci_dev *pdev, bool msix, unsigned nvec)
{
	unsigned have = msix ? pci_msix_vec_count(pdev) : pci_msi_vec_count(pdev);
	u16 csr;

	if (pdev->msi)
		return fail(-EINVAL, "%s has %s enabled already", pdev->dev.name,
			    pdev->msi->msix ? "MSI-X" : "MSI");
	if (msix && !nvec)
		return none_asked_for();
	if (pdev->pm_cap && !pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &csr) && csr & PCI_PM_CTRL_STATE_MASK)
		return fail(-EINVAL, "%s is in D%u: messages can be set up in D0 only", pdev->dev.name,
			    csr & PCI_PM_CTRL_STATE_MASK);
	if (!nvec)
		return none_asked_for();
	if (nvec > have)
		return fail(-ENOSPC, "%u vectors asked for, but %s has %u for %s", nvec, pdev->dev.name, have,
			    msix ? "MSI-X" : "MSI");
	return 0;
}

int pci_alloc_irq_vectors(struct pci_dev *pdev, bool msix, unsigned nvec)
{
	int err = check_request(pdev, msix, nvec), base;
	struct pci_msi *msi;

	if (err)
		return err;
	msi = kzalloc(sizeof(*msi));
	if (!msi)
		return fail(-ENOMEM, "no memory for %u interrupt vectors", nvec);
	msi->msix = msix;
	msi->nvec = nvec;
	msi->taken = nvec;
	if (!msix)
		for (msi->taken = 1; msi->taken < nvec;)
			msi->taken <<= 1;
	err = msix ? find_table(pdev, msi) : 0;
	if (err)
		goto err_free;
	base = run_take(msi->taken, msix ? 1 : msi->taken);
	if (base < 0) {
		err = fail(base, "no %u interrupt numbers left", msi->taken);
		goto err_free;
	}
	msi->base = (unsigned)base;
	mutex_lock(&state_lock);
	pdev->msi = msi;
	pci_intx(pdev, false); /* the pin is silent while messages are on */
	restore_locked(pdev);
	mutex_unlock(&state_lock);
	return 0;

err_free:
	kfree(msi);
	return err;
}

static void switch_off(struct pci_dev *pdev, unsigned off, u16 enable)
{
	u16 flags = 0;

	pci_read_config_word(pdev, off, &flags);
	pci_write_config_word(pdev, off, flags & (u16)~enable);
}

void pci_free_irq_vectors(struct pci_dev *pdev)
{
	struct pci_msi *msi = pdev->msi;

	if (!msi)
		return;
	for (unsigned i = 0; i < msi->nvec; i++)
		pci_free_irq(pdev, i);
	mutex_lock(&state_lock);
	if (msi->msix)
		switch_off(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	else
		switch_off(pdev, pdev->msi_cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
	pdev->msi = NULL;
	pci_intx(pdev, true);
	mutex_unlock(&state_lock);
	run_give(msi->base, msi->taken);
	kfree(msi);
}

int pci_request_irq(struct pci_dev *pdev, unsigned vector, void (*handler)(void *arg), void *arg)
{
	struct irq_desc *desc;

	if (!pdev->msi || vector >= pdev->msi->nvec)
		return fail(-EINVAL, "%s has no interrupt vector %u enabled", pdev->dev.name, vector);
	desc = irq_desc(pdev->msi->base + vector);
	if (atomic_load(&desc->handler))
		return fail(-EBUSY, "vector %u of %s has a handler already", vector, pdev->dev.name);
	wait_until_idle(&desc->running); /* a stray message may be looking at arg */
	desc->arg = arg;
	atomic_store(&desc->handler, handler);
	mask_vector(pdev, vector, false);
	return 0;
}

void pci_free_irq(struct pci_dev *pdev, unsigned vector)
{
	struct irq_desc *desc;

	if (!pdev->msi || vector >= pdev->msi->nvec)
		return;
	desc = irq_desc(pdev->msi->base + vector);
	if (!atomic_load(&desc->handler))
		return;
	mask_vector(pdev, vector, true);
	atomic_store(&desc->handler, NULL);
	wait_until_idle(&desc->running);
}

/* ---- the pin ------------------------------------------------------------------------------- */

void pci_intx_receive(struct pci_dev *pdev)
{
	call_handler(&pdev->intx_handler, &pdev->intx_arg, &pdev->intx_running);
}

int pci_request_intx(struct pci_dev *pdev, void (*handler)(void *arg), void *arg)
{
	u16 command = 0;

	if (!pdev->pin)
		return fail(-EINVAL, "%s has no interrupt pin", pdev->dev.name);
	if (atomic_load(&pdev->intx_handler))
		return fail(-EBUSY, "the interrupt pin of %s has a handler already", pdev->dev.name);
	wait_until_idle(&pdev->intx_running);
	pdev->intx_arg = arg;
	atomic_store(&pdev->intx_handler, handler);
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (!(command & PCI_COMMAND_INTX_DISABLE) && pci_intx_pending(pdev))
		pci_intx_receive(pdev); /* a level that is high already is seen at once */
	return 0;
}

void pci_mask_intx(struct pci_dev *pdev, bool masked)
{
	atomic_store(&pdev->pin_masked, masked);
}

void pci_free_intx(struct pci_dev *pdev)
{
	atomic_store(&pdev->intx_handler, NULL);
	wait_until_idle(&pdev->intx_running);
}
