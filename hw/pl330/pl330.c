/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pl330.c - ARM's PL330 (DMA-330) as a device: a DMA controller that runs small programs (regs.h).
 *
 * A driver writes a program into memory and an instruction into DBGINST that makes the manager start a
 * channel on it (DMAGO).  The channel moves bytes and signals events; an event that INTEN makes an
 * interrupt raises its wire until INTCLR.  A thread that meets something wrong stops with a fault, which
 * DMAKILL clears.
 *
 * The manager runs nothing but debug instructions, which are done when the write is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/pl330/pl330.h"
#include "kernel/lib/sys.h"

extern const struct hw_model pl330_model;

#define STEPS_IN_A_ROW 64
#define ROUNDS_TO_PAUSE 16

static unsigned abort_wire(const struct pl330 *p)
{
	return p->nr_events;
}

/* ---- events and faults ----------------------------------------------------------------------- */

static u32 faulty_channels(const struct pl330 *p)
{
	u32 bits = 0;

	for (unsigned i = 0; i < p->nr_channels; i++)
		if (p->ch[i].state == PL330_FAULTING)
			bits |= BIT(i);
	return bits;
}

static void update_abort_locked(struct pl330 *p)
{
	hw_wire(p->hw, abort_wire(p), p->manager == PL330_FAULTING || faulty_channels(p));
}

void pl330_sev_locked(struct pl330 *p, unsigned n)
{
	bool taken = false;

	if (p->inten & BIT(n)) {
		p->irq |= BIT(n);
		hw_wire(p->hw, n, true);
		return;
	}
	for (unsigned i = 0; i < p->nr_channels; i++)
		if (p->ch[i].state == PL330_WAITING_EVENT && p->ch[i].wakeup == n) {
			p->ch[i].state = PL330_EXECUTING;
			taken = true;
		}
	if (taken)
		sem_post(&p->wake);
	else
		p->events |= BIT(n);
}

void pl330_fault_locked(struct pl330 *p, struct pl330_channel *ch, u32 bits, const char *why)
{
	ch->state = PL330_FAULTING;
	ch->ftr = bits;
	hw_explain(p->hw, "pl330: channel %u at 0x%x faults: %s (SAR 0x%x, DAR 0x%x, CCR 0x%x)", pl330_index(p, ch),
		   ch->pc, why, ch->sar, ch->dar, ch->ccr);
	update_abort_locked(p);
}

void pl330_stop_locked(struct pl330 *p, struct pl330_channel *ch)
{
	ch->state = PL330_STOPPED;
	ch->ftr = 0;
	ch->fifo_bytes = 0;
	ch->line_valid = false;
	ch->epoch++;
	update_abort_locked(p);
}

/* ---- the thread that carries out programs ---------------------------------------------------- */

static void engine(void *arg)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct pl330 *p = arg;
	unsigned rounds = 0;

	mutex_lock(&p->lock);
	while (!p->stop) {
		bool worked = false;

		for (unsigned i = 0; i < p->nr_channels; i++)
			for (unsigned n = 0; n < STEPS_IN_A_ROW && p->ch[i].state == PL330_EXECUTING && !p->stop; n++) {
				pl330_step_locked(p, &p->ch[i]);
				worked = true;
			}
		if (worked && ++rounds % ROUNDS_TO_PAUSE)
			continue;
		mutex_unlock(&p->lock);
		if (worked)
			sys_ppoll(NULL, 0, &pause); /* a program may loop for ever */
		else
			sem_wait(&p->wake);
		mutex_lock(&p->lock);
	}
	mutex_unlock(&p->lock);
}

/* ---- debug instructions ---------------------------------------------------------------------- */

static void manager_fault_locked(struct pl330 *p, u32 bits, const char *why)
{
	p->manager = PL330_FAULTING;
	p->ftrd = bits | PL330_FAULT_DBG;
	hw_explain(p->hw, "pl330: the manager faults: %s (DBGINST 0x%08x 0x%08x)", why, p->dbginst[0], p->dbginst[1]);
	update_abort_locked(p);
}

static void go_locked(struct pl330 *p, u8 first, u8 channel)
{
	struct pl330_channel *ch = &p->ch[channel];

	if (channel >= p->nr_channels)
		return manager_fault_locked(p, PL330_FAULT_OPERAND, "DMAGO: no such channel");
	if (ch->state != PL330_STOPPED || p->resetting) {
		hw_explain(p->hw, "pl330: DMAGO ignored: channel %u is not stopped, or a reset is under way", channel);
		return;
	}
	if (!p->thread && hw_thread_start(p->hw, "pl330", engine, p, &p->thread))
		return manager_fault_locked(p, PL330_FAULT_DMAGO, "DMAGO: no thread to carry out the program");
	ch->epoch++;
	ch->pc = p->dbginst[1];
	ch->ccr = PL330_CCR_RESET;
	ch->sar = ch->dar = ch->ftr = 0;
	ch->lc[0] = ch->lc[1] = 0;
	ch->fifo_bytes = 0;
	ch->line_valid = false;
	ch->ns = first & 2;
	ch->state = PL330_EXECUTING;
	sem_post(&p->wake);
}

static void kill_channel_locked(struct pl330 *p, struct pl330_channel *ch)
{
	if (p->moving == ch)
		ch->state = PL330_KILLING; /* until the bytes on their way are there */
	else
		pl330_stop_locked(p, ch);
}

/* Return: false if @event is none. */
static bool sev_locked(struct pl330 *p, u8 arg)
{
	if (arg >> 3 >= (u8)p->nr_events)
		return false;
	pl330_sev_locked(p, arg >> 3);
	return true;
}

static void manager_insn_locked(struct pl330 *p, u8 first, u8 second)
{
	if (first == PL330_DMAKILL) {
		p->manager = PL330_STOPPED;
		p->ftrd = 0;
		update_abort_locked(p);
	} else if (p->manager == PL330_FAULTING) {
		hw_explain(p->hw, "pl330: instruction 0x%02x ignored: the manager has a fault, DMAKILL clears it", first);
	} else if ((first & 0xfd) == PL330_DMAGO) {
		go_locked(p, first, second & 7);
	} else if (first == PL330_DMASEV) {
		if (!sev_locked(p, second))
			manager_fault_locked(p, PL330_FAULT_OPERAND, "DMASEV: no such event");
	} else {
		manager_fault_locked(p, PL330_FAULT_UNDEF, "only DMAGO, DMASEV and DMAKILL can come from DBGINST");
	}
}

static void channel_insn_locked(struct pl330 *p, struct pl330_channel *ch, u8 first, u8 second)
{
	if (first == PL330_DMAKILL)
		return kill_channel_locked(p, ch);
	if (ch->state == PL330_FAULTING) {
		hw_explain(p->hw, "pl330: instruction 0x%02x ignored: channel %u has a fault, DMAKILL clears it", first,
			   pl330_index(p, ch));
		return;
	}
	if (first != PL330_DMASEV)
		return pl330_fault_locked(p, ch, PL330_FAULT_UNDEF | PL330_FAULT_DBG,
					  "only DMASEV and DMAKILL can come from DBGINST");
	if (!sev_locked(p, second))
		pl330_fault_locked(p, ch, PL330_FAULT_OPERAND | PL330_FAULT_DBG, "DMASEV: no such event");
}

static void debug_locked(struct pl330 *p, u32 cmd)
{
	const unsigned channel = p->dbginst[0] >> 8 & 7;
	const u8 first = (u8)(p->dbginst[0] >> 16), second = (u8)(p->dbginst[0] >> 24);

	if (cmd & 3)
		hw_explain(p->hw, "pl330: DBGCMD 0x%x ignored: only 0 is a command", cmd);
	else if (!(p->dbginst[0] & 1))
		manager_insn_locked(p, first, second);
	else if (channel < p->nr_channels)
		channel_insn_locked(p, &p->ch[channel], first, second);
	else
		hw_explain(p->hw, "pl330: there is no channel %u", channel);
}

/* ---- registers ------------------------------------------------------------------------------- */

static u32 channel_status(const struct pl330_channel *ch)
{
	return ch->state | (ch->state == PL330_WAITING_EVENT ? (u32)ch->wakeup << PL330_CSR_WAKEUP_SHIFT : 0) |
	       (ch->ns ? PL330_CSR_NS : 0);
}

static u32 read_channel_locked(const struct pl330 *p, unsigned off)
{
	static const struct pl330_channel none = { 0 };
	const unsigned block = off >= 0x400 ? (off - 0x400) / 0x20 : (off - 0x100) / 8;
	const struct pl330_channel *ch = block < p->nr_channels ? &p->ch[block] : &none;

	if (off < 0x400)
		return off & 4 ? ch->pc : channel_status(ch);
	switch (off & 0x1f) {
	case 0x00: return ch->sar;
	case 0x04: return ch->dar;
	case 0x08: return ch->ccr;
	case 0x0c: return ch->lc[0];
	case 0x10: return ch->lc[1];
	default: return 0;
	}
}

static u32 read_config(const struct pl330 *p, unsigned off)
{
	switch (off) {
	case PL330_CR0: return (p->nr_events - 1) << 17 | (p->nr_channels - 1) << 4;
	case PL330_CR1: return (4 - 1) << 4 | 5; /* four lines of 1 << 5 bytes */
	case PL330_CR3: return BIT(p->nr_events) - 1; /* all events are non-secure */
	case PL330_CRD: return PL330_BUS_LG2 | 7 << 4 | 7 << 8 | 7 << 12 | 7 << 16 |
			       ((PL330_MFIFO_BYTES >> PL330_BUS_LG2) - 1) << 20;
	case PL330_PERIPH_ID(0) ... PL330_PERIPH_ID(3): return PL330_ID >> 2 * (off - PL330_PERIPH_ID(0)) & 0xff;
	case PL330_PCELL_ID(0) ... PL330_PCELL_ID(3): return PL330_PCELL >> 2 * (off - PL330_PCELL_ID(0)) & 0xff;
	default: return 0;
	}
}

static u32 read_locked(const struct pl330 *p, unsigned off)
{
	switch (off) {
	case PL330_DSR: return p->manager;
	case PL330_INTEN: return p->inten;
	case PL330_INT_EVENT_RIS: return p->irq | p->events;
	case PL330_INTMIS: return p->irq;
	case PL330_FSRD: return p->manager == PL330_FAULTING;
	case PL330_FSRC: return faulty_channels(p);
	case PL330_FTRD: return p->ftrd;
	case PL330_FTR(0) ... PL330_FTR(PL330_MAX_CHANNELS - 1): return p->ch[(off - PL330_FTR(0)) / 4].ftr;
	case PL330_CSR(0) ... PL330_CPC(PL330_MAX_CHANNELS - 1):
	case PL330_SAR(0) ... PL330_LC1(PL330_MAX_CHANNELS - 1): return read_channel_locked(p, off);
	case PL330_WD: return p->wd;
	default: return read_config(p, off);
	}
}

static void lower_locked(struct pl330 *p, u32 bits)
{
	for (unsigned n = 0; n < p->nr_events; n++)
		if (p->irq & bits & BIT(n)) {
			p->irq &= ~BIT(n);
			hw_wire(p->hw, n, false);
		}
}

static void write_locked(struct pl330 *p, unsigned off, u32 val)
{
	switch (off) {
	case PL330_INTEN:
		p->inten = val & (BIT(p->nr_events) - 1);
		lower_locked(p, ~p->inten);
		break;
	case PL330_INTCLR: lower_locked(p, val & p->inten); break;
	case PL330_DBGCMD: debug_locked(p, val); break;
	case PL330_DBGINST0: p->dbginst[0] = val; break;
	case PL330_DBGINST1: p->dbginst[1] = val; break;
	case PL330_WD: p->wd = val & 1; break;
	default: hw_explain(p->hw, "pl330: write of 0x%x to 0x%x ignored: no such register, or read-only", val, off);
	}
}

static uint64_t pl330_read(struct hw_device *hw, unsigned region, uint64_t off, unsigned len)
{
	struct pl330 *p = hw_private(hw);
	u32 val;

	if (len != 4) {
		hw_explain(hw, "pl330: read of %u bytes at 0x%x: registers take 4", len, (unsigned)off);
		return ~0ull;
	}
	mutex_lock(&p->lock);
	val = read_locked(p, (unsigned)off);
	mutex_unlock(&p->lock);
	return val;
}

static void pl330_write(struct hw_device *hw, unsigned region, uint64_t off, unsigned len, uint64_t val)
{
	struct pl330 *p = hw_private(hw);

	if (len != 4) {
		hw_explain(hw, "pl330: write of %u bytes at 0x%x ignored: registers take 4", len, (unsigned)off);
		return;
	}
	mutex_lock(&p->lock);
	write_locked(p, (unsigned)off, (u32)val);
	mutex_unlock(&p->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int add_parts(struct hw_device *hw, unsigned events)
{
	int err = hw_region_add(hw, PL330_REGS_BYTES, 0);

	for (unsigned i = 0; i <= events && err >= 0; i++)
		err = hw_wire_add(hw, true);
	return err < 0 ? err : 0;
}

static int pl330_create(struct hw_device *hw)
{
	uint64_t channels, events;
	struct pl330 *p;
	int err = hw_option_u64(hw, "channels", 8, 1, PL330_MAX_CHANNELS, &channels);

	if (!err)
		err = hw_option_u64(hw, "events", 8, 1, PL330_MAX_EVENTS, &events);
	if (!err)
		err = add_parts(hw, (unsigned)events);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->hw = hw;
	p->nr_channels = (unsigned)channels;
	p->nr_events = (unsigned)events;
	p->dma = hw_dma_open(hw);
	if (!p->dma) {
		free(p);
		return -ENOMEM;
	}
	mutex_init(&p->lock, LOCK_HW_MODEL);
	sem_init(&p->wake, 0, 0);
	hw_set_private(hw, p);
	return 0;
}

static void pl330_destroy(struct hw_device *hw)
{
	struct pl330 *p = hw_private(hw);

	mutex_lock(&p->lock);
	p->stop = true;
	mutex_unlock(&p->lock);
	sem_post(&p->wake);
	hw_thread_join(p->thread);
	hw_dma_close(p->dma);
	sem_destroy(&p->wake);
	mutex_destroy(&p->lock);
	free(p);
}

static void pl330_reset(struct hw_device *hw)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct pl330 *p = hw_private(hw);

	mutex_lock(&p->lock);
	p->resetting = true;
	for (unsigned i = 0; i < p->nr_channels; i++) /* none begins another transfer */
		kill_channel_locked(p, &p->ch[i]);
	while (p->moving) {
		mutex_unlock(&p->lock);
		sys_ppoll(NULL, 0, &pause);
		mutex_lock(&p->lock);
	}
	for (unsigned i = 0; i < p->nr_channels; i++) {
		unsigned epoch = p->ch[i].epoch + 1;

		memset(&p->ch[i], 0, sizeof(p->ch[i]));
		p->ch[i].epoch = epoch;
	}
	lower_locked(p, ~0u);
	p->resetting = false;
	p->manager = PL330_STOPPED;
	p->ftrd = p->inten = p->events = p->wd = p->dbginst[0] = p->dbginst[1] = 0;
	update_abort_locked(p);
	mutex_unlock(&p->lock);
}

static const struct hw_key pl330_keys[] = {
	{ "channels", "N", "channels, 1 to 8 (8)" },
	{ "events", "N", "events and interrupts, 1 to 15 (8)" },
	{ 0 },
};
static const struct hw_platform on_amba = { .bus_name = "dma", .amba_id = PL330_ID };

const struct hw_model pl330_model = {
	.name = "pl330",
	.summary = "ARM PL330 (DMA-330) DMA controller on the AMBA bus, for memory to memory",
	.keys = pl330_keys,
	.create = pl330_create,
	.destroy = pl330_destroy,
	.reset = pl330_reset,
	.bar_read = pl330_read,
	.bar_write = pl330_write,
	.platform = &on_amba,
};
