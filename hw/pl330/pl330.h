/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pl330.h - the inside of a PL330, for the files of this folder.
 *
 *	pl330.c		registers, debug instructions, life
 *	microcode.c	what a channel does: fetch, decode, carry out
 *
 * One thread carries out the programs of all channels in turns; it starts with the first DMAGO.  The
 * lock guards all and is dropped while bytes move, for an address may be our own registers.  `moving`
 * says for which channel: a reset waits until there is none.  What a channel was doing is void if its
 * `epoch` has changed meanwhile.
 */
#ifndef HW_PL330_PL330_H
#define HW_PL330_PL330_H

#include <semaphore.h>
#include <softvfio/hw.h>

#include "hw/pl330/regs.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct pl330_channel { /* all under pl330.lock */
	enum pl330_state state;
	u32 pc, sar, dar, ccr, ftr;
	u8 lc[2], wakeup;
	bool ns;
	unsigned epoch;
	unsigned fifo_bytes;
	u8 fifo[PL330_MFIFO_BYTES];
	bool line_valid;
	u32 line_addr;
	u8 line[PL330_LINE_BYTES];
};

struct pl330 {
	struct hw_device *hw; /* immutable, as the next three */
	struct hw_dma *dma;
	unsigned nr_channels, nr_events;

	struct mutex lock; /* LOCK_HW_MODEL: what follows */
	struct pl330_channel ch[PL330_MAX_CHANNELS];
	enum pl330_state manager;
	u32 ftrd, inten, dbginst[2], wd;
	u32 irq, events; /* high interrupts; events that nobody waited for */
	struct pl330_channel *moving; /* NULL: no bytes are on their way */
	bool stop, resetting;
	u8 bounce[PL330_MFIFO_BYTES]; /* while moving the transfer's, without lock */
	struct hw_thread *thread;

	sem_t wake; /* a channel became runnable, or stop was set */
};

/* ---- microcode.c ---- */
/** pl330_step_locked - one instruction of a channel that executes; drops the lock on the way. */
void pl330_step_locked(struct pl330 *p, struct pl330_channel *ch);

/* ---- pl330.c ---- */
/** pl330_sev_locked - event @n happens: an interrupt, a channel goes on, or it is remembered. */
void pl330_sev_locked(struct pl330 *p, unsigned n);
/** pl330_fault_locked - @ch stops with these bits of FTR, and irq_abort goes high; says why. */
void pl330_fault_locked(struct pl330 *p, struct pl330_channel *ch, u32 bits, const char *why);
/** pl330_stop_locked - @ch has ended or was killed: its data are gone. */
void pl330_stop_locked(struct pl330 *p, struct pl330_channel *ch);
static inline unsigned pl330_index(const struct pl330 *p, const struct pl330_channel *ch)
{
	return (unsigned)(ch - p->ch);
}

#endif
