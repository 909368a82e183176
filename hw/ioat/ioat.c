/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioat.c - a channel of Intel's QuickData DMA engine, which server CPUs have for copying memory (regs.h).
 *
 * A driver links descriptors into a chain, says where it begins (CHAINADDR, which arms the channel) and how many
 * there are (DMACOUNT): each write of a larger count is work.  A descriptor that is done shows in CHANSTS and,
 * if it asks for that, in memory at CHANCMP, and interrupts.  An error halts the channel until CHANERR is
 * cleared, the channel reset, and armed again.
 *
 * Work begins inside the write of DMACOUNT; what is more than INLINE_BYTES goes on in a thread.  Whoever does it
 * has set running, and drops the lock while bytes move: an address may be a register of this very device.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/ioat/regs.h"
#include "include/softvfio/hw.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/sys.h"

extern const struct hw_model ioat_model;

#define BOUNCE_BYTES (64u << 10)
#define INLINE_BYTES (256u << 10)

struct ioat {
	struct hw_device *hw; /* immutable */
	struct hw_dma *dma;   /* immutable */
	u8 xfercap;	      /* immutable */
	u8 *bounce;	      /* immutable; what is in it is the runner's */

	struct mutex lock; /* LOCK_HW_MODEL: what follows */
	u8 regs[IOAT_REGS_BYTES];
	u64 last;   /* the descriptor that was done last; its link leads on */
	bool begun; /* there is one */
	u16 done;   /* how many were */
	bool running, stop;
	struct hw_thread *thread;

	sem_t wake; /* work is left for the thread, or stop was set */
};

/* ---- the register file ----------------------------------------------------------------------- */

static const struct ioat_reg {
	u16 off;
	u8 bytes;
	u64 writable, clearable; /* write ones to clear */
} ioat_regs[] = {
	{ IOAT_INTRCTRL, 1, IOAT_INTR_MASTER | IOAT_INTR_MSIX, 0 },
	{ IOAT_INTRDELAY, 2, 0x3fff, 0 },
	{ IOAT_CHANCTRL, 2, 0x33c, IOAT_CTRL_INT_DISABLE },
	{ IOAT_CHANCMD, 1, IOAT_CMD_SUSPEND | IOAT_CMD_RESET, 0 },
	{ IOAT_DMACOUNT, 2, 0xffff, 0 },
	{ IOAT_CHAINADDR, 8, ~0ull, 0 },
	{ IOAT_CHANCMP, 8, ~7ull, 0 },
	{ IOAT_CHANERR, 4, 0, 0x7ffff },
	{ IOAT_CHANERRMSK, 4, 0x7ffff, 0 },
};

static u64 get(const struct ioat *d, unsigned off, unsigned bytes)
{
	u64 val = 0;

	memcpy(&val, d->regs + off, bytes);
	return val;
}

static void put(struct ioat *d, unsigned off, unsigned bytes, u64 val)
{
	memcpy(d->regs + off, &val, bytes);
}

static enum ioat_state state_of(const struct ioat *d)
{
	return (enum ioat_state)(get(d, IOAT_CHANSTS, 8) & IOAT_STS_STATE);
}

static void set_state(struct ioat *d, enum ioat_state state)
{
	put(d, IOAT_CHANSTS, 8, (get(d, IOAT_CHANSTS, 8) & ~IOAT_STS_STATE) | state);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static void update_pin_locked(struct ioat *d)
{
	const bool wanted = d->regs[IOAT_INTRCTRL] & IOAT_INTR_MASTER && get(d, IOAT_ATTNSTATUS, 4);

	d->regs[IOAT_INTRCTRL] = (u8)((d->regs[IOAT_INTRCTRL] & ~IOAT_INTR_STATUS) | (wanted ? IOAT_INTR_STATUS : 0));
	hw_intx(d->hw, wanted);
}

static void interrupt_locked(struct ioat *d)
{
	const u64 ctrl = get(d, IOAT_CHANCTRL, 2);

	if (ctrl & IOAT_CTRL_INT_DISABLE) {
		hw_explain(d->hw, "ioat: no interrupt: CHANCTRL says that there was one since bit 0 was last cleared");
		return;
	}
	put(d, IOAT_CHANCTRL, 2, ctrl | IOAT_CTRL_INT_DISABLE);
	if (hw_msi(d->hw, 0))
		return;
	put(d, IOAT_ATTNSTATUS, 4, 1);
	update_pin_locked(d);
}

/* ---- descriptors: without the lock ----------------------------------------------------------- */

/* Each returns 0 or the bit of CHANERR. */
static u32 copy(struct ioat *d, const struct ioat_desc *desc)
{
	for (u32 at = 0, len; at < desc->size_bytes; at += len) {
		len = min(desc->size_bytes - at, BOUNCE_BYTES);
		if (hw_dma_read(d->dma, desc->src + at, d->bounce, len))
			return IOAT_ERR_SOURCE;
		if (hw_dma_write(d->dma, desc->dst + at, d->bounce, len))
			return IOAT_ERR_DESTINATION;
	}
	return 0;
}

static u32 fill(struct ioat *d, const struct ioat_desc *desc)
{
	for (u32 at = 0; at < BOUNCE_BYTES; at += sizeof(desc->src))
		memcpy(d->bounce + at, &desc->src, sizeof(desc->src));
	for (u32 at = 0, len; at < desc->size_bytes; at += len) {
		len = min(desc->size_bytes - at, BOUNCE_BYTES);
		if (hw_dma_write(d->dma, desc->dst + at, d->bounce, len))
			return IOAT_ERR_DESTINATION;
	}
	return 0;
}

static u32 carry_out(struct ioat *d, const struct ioat_desc *desc)
{
	if (!desc->size_bytes || desc->size_bytes > 1u << d->xfercap)
		return IOAT_ERR_LENGTH;
	if (desc->control & IOAT_DESC_NULL)
		return 0;
	switch (desc->control >> IOAT_DESC_OP_SHIFT) {
	case IOAT_OP_COPY: return copy(d, desc);
	case IOAT_OP_FILL: return fill(d, desc);
	default: return IOAT_ERR_CONTROL;
	}
}

/* Follow the link of @last, or begin at @chain if that is 0.  *@addr and *@desc are set. */
static u32 fetch(struct ioat *d, const u64 *last, u64 chain, u64 *addr, struct ioat_desc *desc)
{
	const u32 bad = last ? IOAT_ERR_NEXT : IOAT_ERR_CHAIN;

	*addr = chain;
	memset(desc, 0, sizeof(*desc));
	if (last && hw_dma_read(d->dma, *last + offsetof(struct ioat_desc, next), addr, sizeof(*addr)))
		return bad;
	if (*addr % IOAT_DESC_BYTES || hw_dma_read(d->dma, *addr, desc, sizeof(*desc)))
		return bad;
	return 0;
}

/* ---- the channel ----------------------------------------------------------------------------- */

/* What CHANSTS says goes to memory.  Drops the lock.  Return: 0 or the bit of CHANERR. */
static u32 write_status_locked(struct ioat *d)
{
	const u64 where = get(d, IOAT_CHANCMP, 8), status = get(d, IOAT_CHANSTS, 8);
	int err;

	mutex_unlock(&d->lock);
	err = hw_dma_write(d->dma, where, &status, sizeof(status));
	mutex_lock(&d->lock);
	return err ? IOAT_ERR_COMPLETION : 0;
}

static void halt_locked(struct ioat *d, u64 addr, const struct ioat_desc *desc, u32 error)
{
	const u64 ctrl = get(d, IOAT_CHANCTRL, 2);

	hw_explain(d->hw, "ioat: the channel halts, CHANERR 0x%x: descriptor 0x%llx: size %u, control 0x%x, source 0x%llx, "
		   "destination 0x%llx", error, (unsigned long long)addr, desc->size_bytes, desc->control,
		   (unsigned long long)desc->src, (unsigned long long)desc->dst);
	put(d, IOAT_CHANERR, 4, get(d, IOAT_CHANERR, 4) | error);
	set_state(d, IOAT_HALTED);
	if (ctrl & IOAT_CTRL_ERR_COMPLETION && error != IOAT_ERR_COMPLETION)
		write_status_locked(d);
	if (ctrl & IOAT_CTRL_ERR_INT && error & ~get(d, IOAT_CHANERRMSK, 4))
		interrupt_locked(d);
}

static bool has_work_locked(const struct ioat *d)
{
	return state_of(d) == IOAT_ACTIVE && d->done != get(d, IOAT_DMACOUNT, 2) &&
	       !(d->regs[IOAT_CHANCMD] & IOAT_CMD_RESET);
}

static void complete_locked(struct ioat *d, u64 addr, const struct ioat_desc *desc)
{
	u32 error = 0;

	d->last = addr;
	d->begun = true;
	d->done++;
	put(d, IOAT_CHANSTS, 8, addr | (u64)state_of(d));
	if (state_of(d) == IOAT_ACTIVE && !has_work_locked(d))
		set_state(d, IOAT_IDLE);
	if (desc->control & IOAT_DESC_COMPLETION)
		error = write_status_locked(d);
	if (error)
		halt_locked(d, addr, desc, error);
	else if (desc->control & IOAT_DESC_INT)
		interrupt_locked(d);
}

/* Carry out the next descriptor, dropping the lock meanwhile.  Return: its bytes. */
static u32 step_locked(struct ioat *d)
{
	const u64 last = d->last, chain = get(d, IOAT_CHAINADDR, 8);
	const bool begun = d->begun;
	struct ioat_desc desc;
	u32 error;
	u64 addr;

	mutex_unlock(&d->lock);
	error = fetch(d, begun ? &last : NULL, chain, &addr, &desc);
	if (!error)
		error = carry_out(d, &desc);
	mutex_lock(&d->lock);
	if (d->regs[IOAT_CHANCMD] & IOAT_CMD_RESET)
		return 0; /* it never was */
	if (error)
		halt_locked(d, addr, &desc, error);
	else
		complete_locked(d, addr, &desc);
	return max(desc.size_bytes, IOAT_DESC_BYTES);
}

/* The next count is one of descriptors from CHAINADDR on. */
static void new_chain_locked(struct ioat *d)
{
	put(d, IOAT_DMACOUNT, 2, 0);
	d->begun = false;
	d->done = 0;
}

static void reset_channel_locked(struct ioat *d)
{
	d->regs[IOAT_CHANCMD] = 0;
	put(d, IOAT_CHANSTS, 8, IOAT_HALTED);
	new_chain_locked(d);
}

/* Work until there is none, or @budget bytes were moved.  Return: there is more. */
static bool run_locked(struct ioat *d, u64 budget)
{
	u64 moved = 0;

	while (!d->stop && has_work_locked(d) && moved < budget)
		moved += step_locked(d);
	if (d->regs[IOAT_CHANCMD] & IOAT_CMD_RESET)
		reset_channel_locked(d);
	return !d->stop && has_work_locked(d);
}

static void ioat_thread(void *arg)
{
	struct ioat *d = arg;
	bool stop = false;

	while (!stop) {
		sem_wait(&d->wake);
		mutex_lock(&d->lock);
		if (d->running) {
			run_locked(d, ~0ull);
			d->running = false;
		}
		stop = d->stop;
		mutex_unlock(&d->lock);
	}
}

/* Somebody else may be at it already: whoever runs sees each new count. */
static void start_locked(struct ioat *d)
{
	if (d->running || !has_work_locked(d))
		return;
	d->running = true;
	if (!run_locked(d, INLINE_BYTES)) {
		d->running = false;
		return;
	}
	if (d->thread || !hw_thread_start(d->hw, "ioat", ioat_thread, d, &d->thread)) {
		sem_post(&d->wake);
		return;
	}
	run_locked(d, ~0ull);
	d->running = false;
}

/* ---- registers ------------------------------------------------------------------------------- */

static bool overlaps(u64 off, unsigned len, unsigned reg, unsigned bytes)
{
	return off < reg + bytes && reg < off + len;
}

static uint64_t ioat_bar_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len)
{
	struct ioat *d = hw_private(hw);
	u64 val;

	if (off >= IOAT_REGS_BYTES)
		return 0;
	mutex_lock(&d->lock);
	val = get(d, (unsigned)off, len);
	if (overlaps(off, len, IOAT_INTRCTRL, 1))
		d->regs[IOAT_INTRCTRL] &= (u8)~IOAT_INTR_MASTER;
	if (overlaps(off, len, IOAT_ATTNSTATUS, 4))
		put(d, IOAT_ATTNSTATUS, 4, 0);
	if (overlaps(off, len, IOAT_INTRCTRL, 1) || overlaps(off, len, IOAT_ATTNSTATUS, 4))
		update_pin_locked(d);
	if (overlaps(off, len, IOAT_CHANCTRL, 2))
		put(d, IOAT_CHANCTRL, 2, get(d, IOAT_CHANCTRL, 2) | IOAT_CTRL_IN_USE);
	mutex_unlock(&d->lock);
	return val;
}

static void command_locked(struct ioat *d)
{
	if (d->regs[IOAT_CHANCMD] & IOAT_CMD_SUSPEND && state_of(d) != IOAT_HALTED)
		set_state(d, IOAT_SUSPENDED);
	d->regs[IOAT_CHANCMD] &= (u8)~IOAT_CMD_SUSPEND;
	if (d->regs[IOAT_CHANCMD] & IOAT_CMD_RESET && !d->running)
		reset_channel_locked(d);
}

static void count_locked(struct ioat *d)
{
	if (get(d, IOAT_CHANERR, 4)) {
		hw_explain(d->hw, "ioat: DMACOUNT does not start the channel: CHANERR is 0x%x; clear it, and reset the channel",
			   (unsigned)get(d, IOAT_CHANERR, 4));
		return;
	}
	if (state_of(d) == IOAT_HALTED) {
		hw_explain(d->hw, "ioat: DMACOUNT does not start the channel: it is halted; write CHAINADDR first");
		return;
	}
	if (d->done == get(d, IOAT_DMACOUNT, 2))
		return;
	set_state(d, IOAT_ACTIVE);
	start_locked(d);
}

static void chain_locked(struct ioat *d)
{
	if (d->running) {
		hw_explain(d->hw, "ioat: CHAINADDR does not lead the channel elsewhere: it is active; suspend or reset it first");
		return;
	}
	new_chain_locked(d);
	put(d, IOAT_CHANSTS, 8, IOAT_ARMED);
}

static void written_locked(struct ioat *d, unsigned off)
{
	switch (off) {
	case IOAT_INTRCTRL: update_pin_locked(d); break;
	case IOAT_CHANCMD: command_locked(d); break;
	case IOAT_DMACOUNT: count_locked(d); break;
	case IOAT_CHAINADDR: chain_locked(d); break;
	}
}

static void ioat_bar_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	struct ioat *d = hw_private(hw);
	bool known = false;

	mutex_lock(&d->lock);
	for (const struct ioat_reg *r = ioat_regs; r < ioat_regs + ARRAY_SIZE(ioat_regs); r++) {
		u64 old, bits = 0, touched = 0;

		if (!overlaps(off, len, r->off, r->bytes))
			continue;
		known = true;
		old = get(d, r->off, r->bytes);
		for (unsigned i = 0; i < r->bytes; i++)
			if (overlaps(off, len, r->off + i, 1)) {
				touched |= 0xffull << 8 * i;
				bits |= (val >> 8 * (r->off + i - off) & 0xff) << 8 * i;
			}
		put(d, r->off, r->bytes, ((old & ~(r->writable & touched)) | (bits & r->writable)) & ~(bits & r->clearable));
		written_locked(d, r->off);
	}
	mutex_unlock(&d->lock);
	if (!known)
		hw_explain(hw, "ioat: write of 0x%llx to 0x%llx ignored: no such register, or read-only",
			   (unsigned long long)val, (unsigned long long)off);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void power_on_locked(struct ioat *d)
{
	memset(d->regs, 0, sizeof(d->regs));
	d->regs[IOAT_CHANCNT] = 1;
	d->regs[IOAT_XFERCAP] = d->xfercap;
	d->regs[IOAT_CBVER] = 0x33;
	put(d, IOAT_DMACAP, 4, IOAT_CAP_FILL);
	reset_channel_locked(d);
}

static int add_parts(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = 0x8086, .device = 0x2021, .subsystem_vendor = 0x8086, .class_code = 0x088000, .revision = 4,
		.intx_pin = 1, .express = true,
	};
	int err;

	hw_pci_identify(hw, &id);
	err = hw_bar_add(hw, 0, IOAT_BAR_BYTES, HW_BAR_MEM64);
	if (!err)
		err = hw_cap_add_msix(hw, 1, 0, IOAT_MSIX_TABLE, IOAT_MSIX_PBA);
	if (err >= 0)
		err = hw_cap_add_express(hw, true);
	if (err >= 0)
		err = hw_cap_add_pm(hw, true);
	return err < 0 ? err : 0;
}

static int ioat_create(struct hw_device *hw)
{
	uint64_t xfercap;
	struct ioat *d;
	int err = hw_option_u64(hw, "xfercap", 20, 12, 20, &xfercap);

	if (!err)
		err = add_parts(hw);
	if (err)
		return err;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->hw = hw;
	d->xfercap = (u8)xfercap;
	d->bounce = malloc(BOUNCE_BYTES);
	d->dma = hw_dma_open(hw);
	if (!d->bounce || !d->dma) {
		hw_dma_close(d->dma);
		free(d->bounce);
		free(d);
		return -ENOMEM;
	}
	mutex_init(&d->lock, LOCK_HW_MODEL);
	sem_init(&d->wake, 0, 0);
	power_on_locked(d);
	hw_set_private(hw, d);
	return 0;
}

static void ioat_destroy(struct hw_device *hw)
{
	struct ioat *d = hw_private(hw);

	mutex_lock(&d->lock);
	d->stop = true;
	mutex_unlock(&d->lock);
	sem_post(&d->wake);
	hw_thread_join(d->thread);
	hw_dma_close(d->dma);
	sem_destroy(&d->wake);
	mutex_destroy(&d->lock);
	free(d->bounce);
	free(d);
}

static void ioat_reset(struct hw_device *hw)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct ioat *d = hw_private(hw);

	mutex_lock(&d->lock);
	d->regs[IOAT_CHANCMD] |= IOAT_CMD_RESET; /* whoever runs stops at the next descriptor */
	while (d->running) {
		mutex_unlock(&d->lock);
		sys_ppoll(NULL, 0, &pause);
		mutex_lock(&d->lock);
	}
	power_on_locked(d);
	hw_intx(hw, false);
	mutex_unlock(&d->lock);
}

static const struct hw_key ioat_keys[] = {
	{ "xfercap", "BITS", "a descriptor moves at most 1 << BITS bytes, 12 to 20 (20)" },
	{ 0 },
};

const struct hw_model ioat_model = {
	.name = "ioat",
	.summary = "Intel QuickData (I/OAT) engine: copies and fills memory by chains of descriptors",
	.keys = ioat_keys,
	.create = ioat_create,
	.destroy = ioat_destroy,
	.reset = ioat_reset,
	.bar_read = ioat_bar_read,
	.bar_write = ioat_bar_write,
};
