/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * microcode.c - what a channel of a PL330 does: it fetches instructions from memory and carries them out.
 *
 * Loads put bytes into the channel's FIFO, stores take them out; how many and where is said by CCR, SAR
 * and DAR.  A burst is `len` beats of `size` bytes.  With an incrementing address it is one run of bytes,
 * which begins inside a beat if the address does; with a fixed one every beat goes to the same place.
 *
 * There are no peripherals: instructions for one fault as having a wrong operand, and a conditional
 * instruction takes the request to have been for a burst.  Bytes are not swapped: a CCR that asks for it
 * faults likewise.  Each channel has the whole FIFO for itself.
 */
#include <errno.h>
#include <string.h>

#include "hw/pl330/pl330.h"

enum op {
	OP_UNDEF, OP_END, OP_KILL, OP_LD, OP_ST, OP_STZ, OP_NOP, OP_LP, OP_LPEND, OP_LPFE, OP_SEV, OP_WFE,
	OP_ADDH, OP_ADNH, OP_MOV, OP_PERIPH,
};

static const struct {
	u8 mask, value, len, op;
} ops[] = {
	{ 0xff, PL330_DMAEND, 1, OP_END },	{ 0xff, PL330_DMAKILL, 1, OP_KILL },
	{ 0xff, PL330_DMALD | 2, 1, OP_UNDEF },	{ 0xfc, PL330_DMALD, 1, OP_LD },
	{ 0xff, PL330_DMAST | 2, 1, OP_UNDEF },	{ 0xfc, PL330_DMAST, 1, OP_ST },
	{ 0xff, PL330_DMASTZ, 1, OP_STZ },	{ 0xfe, PL330_DMARMB, 1, OP_NOP },
	{ 0xff, PL330_DMANOP, 1, OP_NOP },	{ 0xfd, PL330_DMALP, 2, OP_LP },
	{ 0xfd, PL330_DMALDP, 2, OP_PERIPH },	{ 0xfd, PL330_DMASTP, 2, OP_PERIPH },
	{ 0xfb, PL330_DMALPFE, 2, OP_LPFE },	{ 0xf8, PL330_DMALPEND, 2, OP_LPEND },
	{ 0xfc, PL330_DMAWFP, 2, OP_PERIPH },	{ 0xff, PL330_DMASEV, 2, OP_SEV },
	{ 0xff, PL330_DMAFLUSHP, 2, OP_PERIPH }, { 0xff, PL330_DMAWFE, 2, OP_WFE },
	{ 0xfd, PL330_DMAADDH, 3, OP_ADDH },	{ 0xfd, PL330_DMAADNH, 3, OP_ADNH },
	{ 0xff, PL330_DMAMOV, 6, OP_MOV },
};

static enum op decode(u8 byte, unsigned *ret_len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		if ((byte & ops[i].mask) == ops[i].value) {
			*ret_len = ops[i].len;
			return ops[i].op;
		}
	*ret_len = 1;
	return OP_UNDEF;
}

/* ---- memory: these drop the lock ------------------------------------------------------------- */

/* Return: 0; -errno of the transfer; -ECANCELED the channel has been stopped meanwhile. */
static int move(struct pl330 *p, struct pl330_channel *ch, u32 addr, void *buf, u32 len, bool write)
{
	const unsigned epoch = ch->epoch;
	int err;

	p->moving = ch;
	mutex_unlock(&p->lock);
	err = write ? hw_dma_write(p->dma, addr, buf, len) : hw_dma_read(p->dma, addr, buf, len);
	mutex_lock(&p->lock);
	p->moving = NULL;
	if (ch->state == PL330_KILLING)
		pl330_stop_locked(p, ch);
	return ch->epoch == epoch ? err : -ECANCELED;
}

static int fetch_byte(struct pl330 *p, struct pl330_channel *ch, u32 addr, u8 *ret)
{
	const u32 line = ALIGN_DOWN(addr, PL330_LINE_BYTES);
	int err;

	if (!ch->line_valid || ch->line_addr != line) {
		err = move(p, ch, line, p->bounce, PL330_LINE_BYTES, false);
		if (err)
			return err;
		memcpy(ch->line, p->bounce, PL330_LINE_BYTES);
		ch->line_addr = line;
		ch->line_valid = true;
	}
	*ret = ch->line[addr - line];
	return 0;
}

static int fetch(struct pl330 *p, struct pl330_channel *ch, u8 insn[PL330_INSN_MAX], enum op *ret_op, unsigned *ret_len)
{
	int err = fetch_byte(p, ch, ch->pc, &insn[0]);

	if (err)
		return err;
	*ret_op = decode(insn[0], ret_len);
	for (unsigned i = 1; i < *ret_len && !err; i++)
		err = fetch_byte(p, ch, ch->pc + i, &insn[i]);
	return err;
}

/* ---- bursts ---------------------------------------------------------------------------------- */

struct burst {
	u32 addr, beat, bytes; /* bytes: of all beats together */
	bool inc;
};

static struct burst burst_of(u32 addr, u32 ccr)
{
	const u32 beat = 1u << (ccr >> 1 & 7), beats = 1 + (ccr >> 4 & 15);
	struct burst b = { .addr = addr, .beat = beat, .bytes = beat * beats, .inc = ccr & 1 };

	if (b.inc)
		b.bytes -= addr & (beat - 1); /* the first beat begins in its middle */
	return b;
}

static struct burst src_burst(const struct pl330_channel *ch) { return burst_of(ch->sar, ch->ccr); }
static struct burst dst_burst(const struct pl330_channel *ch) { return burst_of(ch->dar, ch->ccr >> 14); }

/* All of a burst through the bounce buffer. */
static int move_burst(struct pl330 *p, struct pl330_channel *ch, const struct burst *b, bool write)
{
	int err = 0;

	if (b->inc)
		return move(p, ch, b->addr, p->bounce, b->bytes, write);
	for (u32 done = 0; done < b->bytes && !err; done += b->beat)
		err = move(p, ch, b->addr, p->bounce + done, b->beat, write);
	return err;
}

static void load(struct pl330 *p, struct pl330_channel *ch)
{
	const struct burst b = src_burst(ch);
	int err;

	if (b.bytes > PL330_MFIFO_BYTES - ch->fifo_bytes)
		return pl330_fault_locked(p, ch, PL330_FAULT_MFIFO, "DMALD: the FIFO has no room for the burst");
	err = move_burst(p, ch, &b, false);
	if (err == -ECANCELED)
		return;
	if (err)
		return pl330_fault_locked(p, ch, PL330_FAULT_READ, "DMALD: the source cannot be read");
	memcpy(ch->fifo + ch->fifo_bytes, p->bounce, b.bytes);
	ch->fifo_bytes += b.bytes;
	if (b.inc)
		ch->sar += b.bytes;
	ch->pc++;
}

static void store(struct pl330 *p, struct pl330_channel *ch, bool zeros)
{
	const struct burst b = dst_burst(ch);
	int err;

	if (!zeros && b.bytes > ch->fifo_bytes)
		return pl330_fault_locked(p, ch, PL330_FAULT_ST_DATA, "DMAST: the FIFO has less than the burst");
	if (zeros)
		memset(p->bounce, 0, b.bytes);
	else
		memcpy(p->bounce, ch->fifo, b.bytes);
	err = move_burst(p, ch, &b, true);
	if (err == -ECANCELED)
		return;
	if (err)
		return pl330_fault_locked(p, ch, PL330_FAULT_WRITE, "DMAST: the destination cannot be written");
	if (!zeros) {
		ch->fifo_bytes -= b.bytes;
		memmove(ch->fifo, ch->fifo + b.bytes, ch->fifo_bytes);
	}
	if (b.inc)
		ch->dar += b.bytes;
	ch->pc++;
}

/* ---- instructions ---------------------------------------------------------------------------- */

static u32 get32(const u8 *bytes)
{
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (u32)bytes[3] << 24;
}

static void mov(struct pl330 *p, struct pl330_channel *ch, unsigned reg, u32 val)
{
	const u32 ns = PL330_CCR_SRC_NS | PL330_CCR_DST_NS;

	switch (reg) {
	case PL330_MOV_SAR:
		ch->sar = val;
		break;
	case PL330_MOV_DAR:
		ch->dar = val;
		break;
	case PL330_MOV_CCR:
		if ((val >> 1 & 7) > PL330_BUS_LG2 || (val >> 15 & 7) > PL330_BUS_LG2 || val & PL330_CCR_SWAP)
			return pl330_fault_locked(p, ch, PL330_FAULT_OPERAND,
						  "DMAMOV CCR: beats of more than 8 bytes, or bytes to be swapped");
		if (ch->ns && (val & ns) != ns)
			return pl330_fault_locked(p, ch, PL330_FAULT_RDWR,
						  "DMAMOV CCR: a non-secure channel asks for secure accesses");
		ch->ccr = val;
		break;
	default:
		return pl330_fault_locked(p, ch, PL330_FAULT_OPERAND, "DMAMOV: no such register");
	}
	ch->pc += 6;
}

/* Conditional instructions: x says that there is a condition, bs which.  The request was for a burst. */
static bool condition_holds(u8 byte)
{
	return !(byte & 1) || byte & 2;
}

static void loop_end(struct pl330_channel *ch, const u8 *insn)
{
	u8 *lc = &ch->lc[insn[0] >> 2 & 1];

	if (!condition_holds(insn[0]) || !*lc) {
		ch->pc += 2;
		return;
	}
	--*lc;
	ch->pc -= insn[1];
}

static void event(struct pl330 *p, struct pl330_channel *ch, enum op op, u8 arg)
{
	const unsigned n = arg >> 3;

	if (n >= p->nr_events)
		return pl330_fault_locked(p, ch, PL330_FAULT_OPERAND, "DMASEV or DMAWFE: no such event");
	ch->pc += 2;
	if (op == OP_SEV) {
		pl330_sev_locked(p, n);
		return;
	}
	if (arg & 2)
		ch->line_valid = false;
	if (p->events & BIT(n)) {
		p->events &= ~BIT(n);
		return;
	}
	ch->state = PL330_WAITING_EVENT;
	ch->wakeup = (u8)n;
}

static void add(struct pl330_channel *ch, const u8 *insn, u32 high)
{
	*(insn[0] & 2 ? &ch->dar : &ch->sar) += high | insn[1] | (u32)insn[2] << 8;
	ch->pc += 3;
}

static void carry_out(struct pl330 *p, struct pl330_channel *ch, enum op op, const u8 *insn)
{
	switch (op) {
	case OP_END:
	case OP_KILL:
		return pl330_stop_locked(p, ch);
	case OP_LD:
	case OP_ST:
		if (!condition_holds(insn[0]))
			ch->pc++;
		else if (op == OP_LD)
			load(p, ch);
		else
			store(p, ch, false);
		return;
	case OP_STZ:
		return store(p, ch, true);
	case OP_NOP: /* and the barriers: every transfer is over before the next instruction */
		ch->pc++;
		return;
	case OP_LP:
		ch->lc[insn[0] >> 1 & 1] = insn[1];
		ch->pc += 2;
		return;
	case OP_LPEND:
		return loop_end(ch, insn);
	case OP_LPFE:
		ch->pc -= insn[1];
		return;
	case OP_SEV:
	case OP_WFE:
		return event(p, ch, op, insn[1]);
	case OP_ADDH:
		return add(ch, insn, 0);
	case OP_ADNH:
		return add(ch, insn, 0xffff0000u);
	case OP_MOV:
		return mov(p, ch, insn[1] & 7, get32(insn + 2));
	case OP_PERIPH:
		return pl330_fault_locked(p, ch, PL330_FAULT_OPERAND, "there is no peripheral");
	case OP_UNDEF:
		break;
	}
	pl330_fault_locked(p, ch, PL330_FAULT_UNDEF, "no such instruction");
}

void pl330_step_locked(struct pl330 *p, struct pl330_channel *ch)
{
	u8 insn[PL330_INSN_MAX] = { 0 };
	unsigned len = 1;
	enum op op = OP_UNDEF;
	int err;

	lockdep_assert_held(&p->lock);
	err = fetch(p, ch, insn, &op, &len);
	if (err == -ECANCELED)
		return;
	if (err)
		pl330_fault_locked(p, ch, PL330_FAULT_FETCH, "the instruction cannot be read");
	else
		carry_out(p, ch, op, insn);
}
