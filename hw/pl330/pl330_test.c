/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pl330_test.c - programs for a PL330: what they move, what they signal, how they go wrong.
 *
 * Programs stand in the fake RAM at CODE; moved bytes at SRC and DST.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "hw/core/hw_fake.h"
#include "hw/pl330/regs.h"

extern const struct hw_model pl330_model;

#define CODE (FAKE_IOVA + 0xf000)
#define SRC FAKE_IOVA
#define DST (FAKE_IOVA + 0x8000)
#define EVENTS 8u
#define ABORT EVENTS
#define ROUND_TRIP (PL330_CCR_SRC_INC | PL330_CCR_DST_INC | PL330_CCR_SRC_NS | PL330_CCR_DST_NS)

static atomic_uint rises[HW_WIRES];

static void on_wire(void *host, unsigned wire)
{
	assert_in_range(wire, 0, ABORT);
	rises[wire]++;
}

static const struct hw_host_ops wire_ops = { .wire = on_wire, .explain = fake_explain };

static int setup(void **state)
{
	explain_enable();
	for (unsigned i = 0; i < FAKE_BYTES; i++)
		fake_ram[i] = (u8)(i * 7 + (i >> 8));
	memset(fake_ram + (DST - FAKE_IOVA), 0, 0x4000);
	memset(rises, 0, sizeof(rises));
	*state = hw_device_create(&pl330_model, "2c000000.dma", NULL, &wire_ops, NULL, (struct hw_iommu *)fake_ram, 0x300);
	assert_false(IS_ERR(*state));
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static u32 rd(void *hw, u64 reg) { return (u32)hw_bar_read(hw, 0, reg, 4); }
static void wr(void *hw, u64 reg, u32 val) { hw_bar_write(hw, 0, reg, 4, val); }

/* ---- an assembler ---------------------------------------------------------------------------- */

static u8 *at; /* the next instruction */
static void begin(u32 off) { at = fake_ram + (CODE - FAKE_IOVA) + off; }
static void b1(u8 a) { *at++ = a; }
static void b2(u8 a, u8 b) { b1(a); b1(b); }
static void mov(u8 reg, u32 val) { b2(PL330_DMAMOV, reg); memcpy(at, &val, 4); at += 4; }
static void sev(u8 n) { b2(PL330_DMASEV, (u8)(n << 3)); }
static void wfe(u8 n) { b2(PL330_DMAWFE, (u8)(n << 3)); }
static void end(void) { b1(PL330_DMAEND); }
static void lpend(u8 lc, const u8 *start) { b2((u8)(PL330_DMALPEND | lc << 2), (u8)(at - start)); }

/* Where a program begins: all that it says is from the manual's example of a memory to memory copy. */
static void copy_program(u32 src, u32 dst, u32 ccr, u8 times)
{
	u8 *start;

	mov(PL330_MOV_CCR, ccr);
	mov(PL330_MOV_SAR, src);
	mov(PL330_MOV_DAR, dst);
	b2(PL330_DMALP, (u8)(times - 1));
	start = at;
	b1(PL330_DMALD);
	b1(PL330_DMARMB);
	b1(PL330_DMAST);
	b1(PL330_DMAWMB);
	lpend(0, start);
}

/* ---- driving --------------------------------------------------------------------------------- */

static void debug(void *hw, bool channel_thread, unsigned channel, u8 first, u8 second, u32 imm)
{
	assert_int_equal(rd(hw, PL330_DBGSTATUS), 0);
	wr(hw, PL330_DBGINST0, (u32)second << 24 | (u32)first << 16 | channel << 8 | channel_thread);
	wr(hw, PL330_DBGINST1, imm);
	wr(hw, PL330_DBGCMD, 0);
}

static void go(void *hw, unsigned channel, u32 off)
{
	debug(hw, false, 0, PL330_DMAGO | 2, (u8)channel, (u32)CODE + off);
}

static void kill_channel(void *hw, unsigned channel) { debug(hw, true, channel, PL330_DMAKILL, 0, 0); }

static void wait_state(void *hw, unsigned channel, u32 state)
{
	for (int i = 0; i < 5000 && (rd(hw, PL330_CSR(channel)) & 15) != state; i++)
		usleep(1000);
	assert_int_equal(rd(hw, PL330_CSR(channel)) & 15, state);
}

static void run(void *hw, unsigned channel)
{
	go(hw, channel, 0);
	wait_state(hw, channel, PL330_STOPPED);
}

/* The program ends in a fault of that kind; a kill makes the channel whole again. */
static void run_faults(void *hw, u32 bits, const char *why)
{
	fake.explain[0] = 0;
	go(hw, 2, 0);
	wait_state(hw, 2, PL330_FAULTING);
	assert_int_equal(rd(hw, PL330_FTR(2)), bits);
	assert_int_equal(rd(hw, PL330_FSRC), BIT(2));
	assert_non_null(strstr(fake.explain, why));
	assert_true(hw_wire_level(hw, ABORT));
	go(hw, 2, 0); /* ignored: it is not stopped */
	assert_int_equal(rd(hw, PL330_CSR(2)) & 15, PL330_FAULTING);
	kill_channel(hw, 2);
	wait_state(hw, 2, PL330_STOPPED);
	assert_int_equal(rd(hw, PL330_FSRC), 0);
	assert_int_equal(rd(hw, PL330_FTR(2)), 0);
	assert_false(hw_wire_level(hw, ABORT));
}

/* ---- what it is ------------------------------------------------------------------------------ */

static void test_identity(void **state)
{
	static const u32 id[] = { 0x30, 0x13, 0x34, 0x00 }, cell[] = { 0x0d, 0xf0, 0x05, 0xb1 };
	struct hw_platform_layout layout;
	void *hw = *state;

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(rd(hw, PL330_PERIPH_ID(i)), id[i]);
		assert_int_equal(rd(hw, PL330_PCELL_ID(i)), cell[i]);
	}
	assert_int_equal(rd(hw, PL330_CR0), 7 << 17 | 7 << 4); /* 8 events, 8 channels, no peripherals */
	assert_int_equal(rd(hw, PL330_CR1), 0x35);
	assert_int_equal(rd(hw, PL330_CRD), 63 << 20 | 0x77773); /* 64 lines of 8 bytes */
	assert_int_equal(rd(hw, PL330_CR3), 0xff);
	wr(hw, PL330_CR0, 0);
	assert_non_null(strstr(fake.explain, "read-only"));
	assert_int_equal(hw_bar_read(hw, 0, PL330_CR0, 8), ~0ull);
	hw_bar_write(hw, 0, PL330_INTEN, 2, 3);
	assert_int_equal(rd(hw, PL330_INTEN), 0);
	hw_platform_layout(hw, &layout);
	assert_int_equal(layout.nr_wires, EVENTS + 1);
	assert_true(layout.level[0]);
	assert_false(layout.resettable);
}

static void test_options(void **state)
{
	static const struct hw_option_kv small[] = { { "channels", "2" }, { "events", "15" }, { 0 } },
					 bad[] = { { "events", "16" }, { 0 } };
	struct hw_device *hw = fake_create_ok(&pl330_model, small);

	assert_int_equal(rd(hw, PL330_CR0), 14 << 17 | 1 << 4);
	debug(hw, false, 0, PL330_DMAGO, 2, 0);
	assert_int_equal(rd(hw, PL330_FTRD), PL330_FAULT_OPERAND | PL330_FAULT_DBG);
	assert_int_equal(rd(hw, PL330_CSR(2)), 0);
	hw_device_destroy(hw);
	fake_create_fails(&pl330_model, bad, -EINVAL, "events=16 is not in [1, 15]");
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void test_copy(void **state)
{
	void *hw = *state;

	begin(0);
	copy_program(SRC, DST, ROUND_TRIP | PL330_CCR_SRC_SIZE(3) | PL330_CCR_SRC_LEN(16) | PL330_CCR_DST_SIZE(3) |
			       PL330_CCR_DST_LEN(16), 64); /* 64 * 128 bytes */
	end();
	run(hw, 0);
	assert_memory_equal(fake_ram, fake_ram + 0x8000, 8192);
	assert_int_equal(fake_ram[0x8000 + 8192], 0);
	assert_int_equal(rd(hw, PL330_SAR(0)), SRC + 8192);
	assert_int_equal(rd(hw, PL330_DAR(0)), DST + 8192);
	assert_int_equal(rd(hw, PL330_LC0(0)), 0);
	assert_int_equal(rd(hw, PL330_FSRC), 0);
	assert_int_equal(rd(hw, PL330_CSR(0)), PL330_CSR_NS);
}

/* Bursts of one shape in, of another out; the address begins inside a beat. */
static void test_other_shapes(void **state)
{
	void *hw = *state;
	u8 *start;

	begin(0);
	mov(PL330_MOV_CCR, ROUND_TRIP | PL330_CCR_SRC_SIZE(2) | PL330_CCR_SRC_LEN(4) | PL330_CCR_DST_SIZE(0) | PL330_CCR_DST_LEN(1));
	mov(PL330_MOV_SAR, SRC + 3);
	mov(PL330_MOV_DAR, DST + 1);
	b1(PL330_DMALD); /* 13 bytes up to SRC + 16 */
	b2(PL330_DMALP | 2, 13 - 1);
	start = at;
	b1(PL330_DMAST);
	lpend(1, start);
	end();
	run(hw, 7);
	assert_memory_equal(fake_ram + 3, fake_ram + 0x8001, 13);
	assert_int_equal(fake_ram[0x8000 + 14], 0);
	assert_int_equal(rd(hw, PL330_SAR(7)), SRC + 16);
}

static void test_nested_loops_and_add(void **state)
{
	void *hw = *state;
	u8 *outer, *inner;

	begin(0);
	mov(PL330_MOV_CCR, ROUND_TRIP);
	mov(PL330_MOV_SAR, SRC);
	mov(PL330_MOV_DAR, DST);
	b2(PL330_DMALP, 3 - 1);
	outer = at;
	b2(PL330_DMALP | 2, 4 - 1);
	inner = at;
	b1(PL330_DMALD);
	b1(PL330_DMAST);
	lpend(1, inner);
	b2(PL330_DMAADDH, 0x00), b1(0x01);	    /* source: on by 256 */
	b2(PL330_DMAADNH | 2, 0xfc), b1(0xff);	    /* destination: back by 4 */
	b2(PL330_DMAADDH | 2, 0x10), b1(0x00);	    /* and on by 16 */
	lpend(0, outer);
	end();
	run(hw, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_memory_equal(fake_ram + i * (256 + 4), fake_ram + 0x8000 + i * 16, 4);
}

static void test_fill(void **state)
{
	void *hw = *state;

	memset(fake_ram + 0x8000, 0xee, 64);
	begin(0);
	/* one source byte again and again, then zeros */
	mov(PL330_MOV_CCR, PL330_CCR_DST_INC | PL330_CCR_SRC_NS | PL330_CCR_DST_NS | PL330_CCR_SRC_LEN(16) | PL330_CCR_DST_LEN(16));
	mov(PL330_MOV_SAR, SRC + 5);
	mov(PL330_MOV_DAR, DST);
	b1(PL330_DMALD);
	b1(PL330_DMAST);
	b1(PL330_DMASTZ);
	b1(PL330_DMANOP);
	end();
	run(hw, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(fake_ram[0x8000 + i], fake_ram[5]);
	for (unsigned i = 16; i < 32; i++)
		assert_int_equal(fake_ram[0x8000 + i], 0);
	assert_int_equal(fake_ram[0x8000 + 32], 0xee);
	assert_int_equal(rd(hw, PL330_SAR(0)), SRC + 5);
}

/* The request counts as one for a burst: of conditional instructions those for bursts are done. */
static void test_conditional(void **state)
{
	void *hw = *state;

	begin(0);
	mov(PL330_MOV_CCR, ROUND_TRIP);
	mov(PL330_MOV_SAR, SRC + 9);
	mov(PL330_MOV_DAR, DST);
	b1(PL330_DMALD | 1); /* S: not done */
	b1(PL330_DMALD | 3); /* B */
	b1(PL330_DMAST | 1);
	b1(PL330_DMAST | 3);
	end();
	run(hw, 0);
	assert_int_equal(fake_ram[0x8000], fake_ram[9]);
	assert_int_equal(rd(hw, PL330_SAR(0)), SRC + 10);
	assert_int_equal(rd(hw, PL330_DAR(0)), DST + 1);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void test_interrupt(void **state)
{
	void *hw = *state;

	wr(hw, PL330_INTEN, BIT(3));
	begin(0);
	sev(3);
	end();
	run(hw, 0);
	assert_int_equal(rd(hw, PL330_INTMIS), BIT(3));
	assert_int_equal(rd(hw, PL330_INT_EVENT_RIS), BIT(3));
	assert_true(hw_wire_level(hw, 3));
	assert_int_equal(rises[3], 1);
	wr(hw, PL330_INTCLR, BIT(2));
	assert_true(hw_wire_level(hw, 3));
	wr(hw, PL330_INTCLR, BIT(3));
	assert_false(hw_wire_level(hw, 3));
	assert_int_equal(rd(hw, PL330_INTMIS), 0);
	debug(hw, false, 0, PL330_DMASEV, 3 << 3, 0); /* from outside */
	assert_true(hw_wire_level(hw, 3));
	wr(hw, PL330_INTEN, 0); /* no interrupt any more */
	assert_false(hw_wire_level(hw, 3));
}

static void test_channels_wait_for_each_other(void **state)
{
	void *hw = *state;

	begin(0x100);
	wfe(5);
	copy_program(SRC, DST, ROUND_TRIP | PL330_CCR_SRC_LEN(8) | PL330_CCR_DST_LEN(8), 2);
	sev(6);
	end();
	begin(0);
	wfe(6);
	end();
	go(hw, 0, 0);
	go(hw, 1, 0x100);
	wait_state(hw, 0, PL330_WAITING_EVENT);
	wait_state(hw, 1, PL330_WAITING_EVENT);
	assert_int_equal(rd(hw, PL330_CSR(1)) >> PL330_CSR_WAKEUP_SHIFT & 31, 5);
	assert_int_equal(fake_ram[0x8000 + 1], 0);
	debug(hw, true, 3, PL330_DMASEV, 5 << 3, 0);
	wait_state(hw, 0, PL330_STOPPED);
	wait_state(hw, 1, PL330_STOPPED);
	assert_memory_equal(fake_ram, fake_ram + 0x8000, 16);
	/* An event that nobody waits for is kept for the one that will. */
	debug(hw, false, 0, PL330_DMASEV, 6 << 3, 0);
	assert_int_equal(rd(hw, PL330_INT_EVENT_RIS), BIT(6));
	run(hw, 0);
	assert_int_equal(rd(hw, PL330_INT_EVENT_RIS), 0);
}

static void test_kill(void **state)
{
	void *hw = *state;

	begin(0);
	b1(PL330_DMANOP);
	b2(PL330_DMALPFE, 1); /* for ever */
	go(hw, 4, 0);
	wait_state(hw, 4, PL330_EXECUTING);
	usleep(5000);
	assert_int_equal(rd(hw, PL330_CSR(4)) & 15, PL330_EXECUTING);
	kill_channel(hw, 4);
	wait_state(hw, 4, PL330_STOPPED);
	begin(0);
	wfe(0);
	go(hw, 4, 0);
	wait_state(hw, 4, PL330_WAITING_EVENT);
	kill_channel(hw, 4);
	wait_state(hw, 4, PL330_STOPPED);
	begin(0);
	b1(PL330_DMAKILL); /* a program may end so, too */
	run(hw, 4);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void test_faults(void **state)
{
	void *hw = *state;

	begin(0), b1(0x02);
	run_faults(hw, PL330_FAULT_UNDEF, "no such instruction");
	begin(0), b1(PL330_DMALD | 2);
	run_faults(hw, PL330_FAULT_UNDEF, "no such instruction");
	begin(0), b1(PL330_DMAGO);
	run_faults(hw, PL330_FAULT_UNDEF, "no such instruction");
	begin(0), sev(EVENTS);
	run_faults(hw, PL330_FAULT_OPERAND, "no such event");
	begin(0), wfe(31);
	run_faults(hw, PL330_FAULT_OPERAND, "no such event");
	begin(0), mov(3, 0);
	run_faults(hw, PL330_FAULT_OPERAND, "no such register");
	begin(0), mov(PL330_MOV_CCR, PL330_CCR_SRC_SIZE(4) | PL330_CCR_SRC_NS | PL330_CCR_DST_NS);
	run_faults(hw, PL330_FAULT_OPERAND, "beats of more than 8 bytes");
	begin(0), mov(PL330_MOV_CCR, 1u << 28 | PL330_CCR_SRC_NS | PL330_CCR_DST_NS);
	run_faults(hw, PL330_FAULT_OPERAND, "bytes to be swapped");
	begin(0), mov(PL330_MOV_CCR, PL330_CCR_SRC_NS);
	run_faults(hw, PL330_FAULT_RDWR, "secure accesses");
	begin(0), b2(PL330_DMALDP, 0);
	run_faults(hw, PL330_FAULT_OPERAND, "no peripheral");
	begin(0), b2(PL330_DMASTP | 2, 0);
	run_faults(hw, PL330_FAULT_OPERAND, "no peripheral");
	begin(0), b2(PL330_DMAWFP | 1, 0);
	run_faults(hw, PL330_FAULT_OPERAND, "no peripheral");
	begin(0), b2(PL330_DMAFLUSHP, 0);
	run_faults(hw, PL330_FAULT_OPERAND, "no peripheral");
	begin(0), b1(PL330_DMAST);
	run_faults(hw, PL330_FAULT_ST_DATA, "less than the burst");
	begin(0), mov(PL330_MOV_SAR, 0x1000), b1(PL330_DMALD);
	run_faults(hw, PL330_FAULT_READ, "cannot be read");
	begin(0), mov(PL330_MOV_DAR, 0x1000), b1(PL330_DMASTZ);
	run_faults(hw, PL330_FAULT_WRITE, "cannot be written");
	assert_int_equal(rises[ABORT], 16);
}

static void test_fifo_is_finite(void **state)
{
	void *hw = *state;
	u8 *start;

	begin(0);
	mov(PL330_MOV_CCR, ROUND_TRIP | PL330_CCR_SRC_SIZE(3) | PL330_CCR_SRC_LEN(16));
	mov(PL330_MOV_SAR, SRC);
	b2(PL330_DMALP, 5 - 1);
	start = at;
	b1(PL330_DMALD); /* 4 * 128 bytes fit */
	lpend(0, start);
	end();
	run_faults(hw, PL330_FAULT_MFIFO, "no room");
}

static void test_code_that_cannot_be_read(void **state)
{
	void *hw = *state;

	debug(hw, false, 0, PL330_DMAGO, 5, 0x2000);
	wait_state(hw, 5, PL330_FAULTING);
	assert_int_equal(rd(hw, PL330_FTR(5)), PL330_FAULT_FETCH);
	assert_int_equal(rd(hw, PL330_CPC(5)), 0x2000);
	/* The program runs out of its memory. */
	fake_ram[FAKE_BYTES - 1] = PL330_DMANOP;
	debug(hw, false, 0, PL330_DMAGO, 6, (u32)FAKE_IOVA + FAKE_BYTES - 1);
	wait_state(hw, 6, PL330_FAULTING);
	assert_int_equal(rd(hw, PL330_CPC(6)), (u32)FAKE_IOVA + FAKE_BYTES);
	assert_int_equal(rd(hw, PL330_FSRC), BIT(5) | BIT(6));
	kill_channel(hw, 5);
	assert_true(hw_wire_level(hw, ABORT)); /* the other one still has its fault */
	kill_channel(hw, 6);
	assert_false(hw_wire_level(hw, ABORT));
}

static void test_debug_instructions(void **state)
{
	void *hw = *state;

	debug(hw, false, 0, PL330_DMALD, 0, 0);
	assert_int_equal(rd(hw, PL330_DSR), PL330_FAULTING);
	assert_int_equal(rd(hw, PL330_FSRD), 1);
	assert_int_equal(rd(hw, PL330_FTRD), PL330_FAULT_UNDEF | PL330_FAULT_DBG);
	assert_true(hw_wire_level(hw, ABORT));
	begin(0), end();
	go(hw, 0, 0); /* a manager with a fault does nothing */
	assert_non_null(strstr(fake.explain, "DMAKILL clears it"));
	debug(hw, false, 0, PL330_DMAKILL, 0, 0);
	assert_int_equal(rd(hw, PL330_DSR), PL330_STOPPED);
	assert_int_equal(rd(hw, PL330_FTRD), 0);
	assert_false(hw_wire_level(hw, ABORT));
	debug(hw, false, 0, PL330_DMASEV, EVENTS << 3, 0);
	assert_int_equal(rd(hw, PL330_FTRD), PL330_FAULT_OPERAND | PL330_FAULT_DBG);
	debug(hw, false, 0, PL330_DMAKILL, 0, 0);
	debug(hw, true, 1, PL330_DMANOP, 0, 0);
	assert_int_equal(rd(hw, PL330_FTR(1)), PL330_FAULT_UNDEF | PL330_FAULT_DBG);
	wr(hw, PL330_DBGCMD, 1); /* no command */
	assert_non_null(strstr(fake.explain, "only 0 is a command"));
	kill_channel(hw, 1);
	assert_int_equal(rd(hw, PL330_FSRC), 0);
}

static void test_reset(void **state)
{
	struct hw_device *hw = *state;

	begin(0);
	mov(PL330_MOV_CCR, ROUND_TRIP);
	mov(PL330_MOV_SAR, SRC);
	mov(PL330_MOV_DAR, DST);
	b1(PL330_DMALD);
	b2(PL330_DMALPFE, 1); /* moves until it meets the end of memory, or the reset */
	wr(hw, PL330_INTEN, 0xff);
	debug(hw, false, 0, PL330_DMASEV, 1 << 3, 0);
	go(hw, 0, 0);
	debug(hw, false, 0, PL330_DMALD, 0, 0);
	hw_platform_reset(hw);
	assert_int_equal(rd(hw, PL330_CSR(0)), 0);
	assert_int_equal(rd(hw, PL330_SAR(0)), 0);
	assert_int_equal(rd(hw, PL330_INTEN), 0);
	assert_int_equal(rd(hw, PL330_INTMIS), 0);
	assert_int_equal(rd(hw, PL330_DSR), 0);
	assert_false(hw_wire_level(hw, 1));
	assert_false(hw_wire_level(hw, ABORT));
	begin(0), end();
	run(hw, 0); /* and it works again */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_identity), cmocka_unit_test(test_options), T(test_copy), T(test_other_shapes),
		T(test_nested_loops_and_add), T(test_fill), T(test_conditional), T(test_interrupt),
		T(test_channels_wait_for_each_other), T(test_kill), T(test_faults), T(test_fifo_is_finite),
		T(test_code_that_cannot_be_read), T(test_debug_instructions), T(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
