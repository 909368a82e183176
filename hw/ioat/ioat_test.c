/* SPDX-License-Identifier: BSD-3-Clause */
/* ioat_test.c - registers of the QuickData engine, and its chains through a fake IOMMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "hw/core/hw_fake.h"
#include "hw/ioat/regs.h"

extern const struct hw_model ioat_model;

#define RING FAKE_IOVA
#define STATUS (FAKE_IOVA + 0x800)
#define SRC (FAKE_IOVA + 0x1000)
#define DST (FAKE_IOVA + 0x2000)

static u64 rd(void *hw, unsigned reg, unsigned len) { return hw_bar_read(hw, 0, reg, len); }
static void wr(void *hw, unsigned reg, unsigned len, u64 val) { hw_bar_write(hw, 0, reg, len, val); }
static u64 state(void *hw) { return rd(hw, IOAT_CHANSTS, 8) & IOAT_STS_STATE; }

static struct ioat_desc *ring(unsigned n) { return (struct ioat_desc *)(fake_ram + RING - FAKE_IOVA) + n; }
static u64 ring_iova(unsigned n) { return RING + n * IOAT_DESC_BYTES; }
static u64 status(void) { return *(u64 *)(fake_ram + STATUS - FAKE_IOVA); }

/* Eight descriptors in a ring, each to copy 64 bytes. */
static void make_ring(void)
{
	for (unsigned i = 0; i < 8; i++)
		*ring(i) = (struct ioat_desc){.size_bytes = 64, .src = SRC + 64 * i, .dst = DST + 64 * i, .next = ring_iova((i + 1) % 8)};
	for (unsigned i = 0; i < 512; i++)
		fake_ram[SRC - FAKE_IOVA + i] = (u8)(i * 7 + 1);
}

static bool copied(unsigned from, unsigned to)
{
	return !memcmp(fake_ram + (SRC - FAKE_IOVA) + from, fake_ram + (DST - FAKE_IOVA) + from, to - from);
}

static void arm(void *hw)
{
	make_ring();
	wr(hw, IOAT_CHANCMP, 8, STATUS);
	wr(hw, IOAT_CHAINADDR, 8, RING);
}

static int setup_with(void **test, const struct hw_option_kv *options)
{
	explain_enable();
	memset(fake_ram, 0, sizeof(fake_ram));
	*test = fake_create_ok(&ioat_model, options);
	hw_config_write(*test, 4, 2, 6);
	return 0;
}

static int setup(void **test) { return setup_with(test, NULL); }

static int teardown(void **test)
{
	hw_device_destroy(*test);
	return 0;
}

static void test_identity(void **test)
{
	void *hw = *test;

	assert_int_equal(hw_config_read(hw, 0, 4), 0x20218086);
	assert_int_equal(hw_config_read(hw, 8, 4), 0x08800004);
	assert_int_equal(rd(hw, IOAT_CHANCNT, 1), 1);
	assert_int_equal(rd(hw, IOAT_XFERCAP, 1), 20);
	assert_int_equal(rd(hw, IOAT_CBVER, 1), 0x33);
	assert_int_equal(rd(hw, IOAT_CHANCNT, 2), 1 | 20 << 8); /* neighbours come together */
	wr(hw, IOAT_CBVER, 1, 0);
	assert_int_equal(rd(hw, IOAT_CBVER, 1), 0x33);
	assert_non_null(strstr(fake.explain, "read-only"));
	assert_int_equal(rd(hw, 0x1000, 4), 0);
	assert_int_equal(rd(hw, IOAT_CHANCTRL, 2) & IOAT_CTRL_IN_USE, 0); /* who reads it first has the channel */
	assert_int_equal(rd(hw, IOAT_CHANCTRL, 2) & IOAT_CTRL_IN_USE, IOAT_CTRL_IN_USE);
	wr(hw, IOAT_CHANCTRL, 2, 0);
	assert_int_equal(rd(hw, IOAT_CHANCTRL, 2) & IOAT_CTRL_IN_USE, 0);
}

static void test_halves(void **test)
{
	void *hw = *test;

	wr(hw, IOAT_CHAINADDR, 4, 0x55443300);
	wr(hw, IOAT_CHAINADDR + 4, 4, 0x8877);
	assert_int_equal(rd(hw, IOAT_CHAINADDR, 8), 0x887755443300ull);
	wr(hw, IOAT_CHAINADDR + 1, 1, 0xaa);
	assert_int_equal(rd(hw, IOAT_CHAINADDR, 4), 0x5544aa00);
	assert_int_equal(rd(hw, IOAT_CHAINADDR + 6, 2), 0);
}

static void test_chain(void **test)
{
	void *hw = *test;

	assert_int_equal(state(hw), IOAT_HALTED);
	arm(hw);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), IOAT_ARMED);
	ring(2)->control = IOAT_DESC_COMPLETION;
	wr(hw, IOAT_DMACOUNT, 2, 3);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), ring_iova(2) | IOAT_IDLE);
	assert_int_equal(status(), ring_iova(2) | IOAT_IDLE);
	assert_true(copied(0, 192));
	assert_false(copied(192, 256));
	wr(hw, IOAT_DMACOUNT, 2, 3); /* nothing new */
	ring(2)->next = ring_iova(5); /* the link is followed when there is work */
	wr(hw, IOAT_DMACOUNT, 2, 4);
	assert_true(copied(320, 384));
	assert_false(copied(192, 256));
	assert_int_equal(status(), ring_iova(2) | IOAT_IDLE); /* nobody asked for another */
	wr(hw, IOAT_DMACOUNT, 2, 4 + 16);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), ring_iova(1) | IOAT_IDLE); /* 6 7 0 1 2, 5 6 7 0 1 2, 5 6 7 0 1 */
}

static void test_fill(void **test)
{
	void *hw = *test;

	arm(hw);
	*ring(0) = (struct ioat_desc){.size_bytes = 20, .control = IOAT_OP_FILL << IOAT_DESC_OP_SHIFT, .src = 0x8877665544332211ull, .dst = DST};
	wr(hw, IOAT_DMACOUNT, 2, 1);
	assert_memory_equal(fake_ram + DST - FAKE_IOVA, "\x11\x22\x33\x44\x55\x66\x77\x88\x11\x22\x33\x44\x55\x66\x77\x88\x11\x22\x33\x44\x00", 21);
}

static void test_errors(void **test)
{
	static const struct {
		struct ioat_desc desc;
		u32 error;
	} bad[] = {
		{{.size_bytes = 64, .src = 0x10, .dst = DST}, IOAT_ERR_SOURCE},
		{{.size_bytes = 64, .src = SRC, .dst = 0x10}, IOAT_ERR_DESTINATION},
		{{.size_bytes = 0, .src = SRC, .dst = DST}, IOAT_ERR_LENGTH},
		{{.size_bytes = (1u << 20) + 1, .src = SRC, .dst = DST}, IOAT_ERR_LENGTH},
		{{.size_bytes = 0, .control = IOAT_DESC_NULL}, IOAT_ERR_LENGTH},
		{{.size_bytes = 64, .control = 0x87u << IOAT_DESC_OP_SHIFT, .src = SRC, .dst = DST}, IOAT_ERR_CONTROL},
	};
	void *hw = *test;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		arm(hw);
		*ring(1) = bad[i].desc;
		wr(hw, IOAT_CHANCTRL, 2, IOAT_CTRL_ERR_COMPLETION | IOAT_CTRL_ERR_ABORT);
		wr(hw, IOAT_DMACOUNT, 2, 3);
		assert_int_equal(rd(hw, IOAT_CHANERR, 4), bad[i].error);
		assert_int_equal(rd(hw, IOAT_CHANSTS, 8), ring_iova(0) | IOAT_HALTED);
		assert_int_equal(status(), ring_iova(0) | IOAT_HALTED);
		assert_non_null(strstr(fake.explain, "the channel halts"));
		wr(hw, IOAT_DMACOUNT, 2, 4);
		assert_non_null(strstr(fake.explain, "clear it, and reset"));
		wr(hw, IOAT_CHANERR, 4, bad[i].error);
		assert_int_equal(rd(hw, IOAT_CHANERR, 4), 0);
		wr(hw, IOAT_DMACOUNT, 2, 4);
		assert_non_null(strstr(fake.explain, "write CHAINADDR first"));
		wr(hw, IOAT_CHANCMD, 1, IOAT_CMD_RESET);
		assert_int_equal(rd(hw, IOAT_CHANCMD, 1), 0);
		assert_int_equal(rd(hw, IOAT_CHANSTS, 8), IOAT_HALTED);
		assert_int_equal(rd(hw, IOAT_DMACOUNT, 2), 0);
	}
}

static void test_bad_addresses(void **test)
{
	void *hw = *test;

	wr(hw, IOAT_CHAINADDR, 8, RING + 32); /* no multiple of 64 */
	wr(hw, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(rd(hw, IOAT_CHANERR, 4), IOAT_ERR_CHAIN);
	wr(hw, IOAT_CHANERR, 4, ~0u);
	arm(hw);
	ring(0)->next = 0x40;
	wr(hw, IOAT_DMACOUNT, 2, 2);
	assert_int_equal(rd(hw, IOAT_CHANERR, 4), IOAT_ERR_NEXT);
	wr(hw, IOAT_CHANERR, 4, ~0u);
	arm(hw);
	ring(0)->control = IOAT_DESC_COMPLETION;
	wr(hw, IOAT_CHANCMP, 8, 0x40);
	wr(hw, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(rd(hw, IOAT_CHANERR, 4), IOAT_ERR_COMPLETION);
}

static void test_suspend(void **test)
{
	void *hw = *test;

	arm(hw);
	wr(hw, IOAT_DMACOUNT, 2, 2);
	wr(hw, IOAT_CHANCMD, 1, IOAT_CMD_SUSPEND);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), ring_iova(1) | IOAT_SUSPENDED);
	assert_int_equal(rd(hw, IOAT_CHANCMD, 1), 0);
	wr(hw, IOAT_CHAINADDR, 8, ring_iova(4)); /* a new chain counts from 0 */
	wr(hw, IOAT_DMACOUNT, 2, 2);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), ring_iova(5) | IOAT_IDLE);
	assert_false(copied(128, 192));
	assert_true(copied(256, 384));
}

/* Each interrupt is armed by the one before, by CHANCTRL. */
static void test_msix(void **test)
{
	void *hw = *test;
	unsigned cap = hw_config_read(hw, 0x34, 1);

	while (hw_config_read(hw, cap, 1) != 0x11)
		cap = hw_config_read(hw, cap + 1, 1);
	wr(hw, IOAT_MSIX_TABLE, 4, 0xfee00000);
	wr(hw, IOAT_MSIX_TABLE + 8, 4, 0x31);
	wr(hw, IOAT_MSIX_TABLE + 12, 4, 0);
	hw_config_write(hw, cap + 2, 2, 0x8000);
	arm(hw);
	for (unsigned i = 0; i < 8; i++)
		ring(i)->control = IOAT_DESC_INT;
	wr(hw, IOAT_DMACOUNT, 2, 2);
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.data[0], 0x31);
	assert_non_null(strstr(fake.explain, "no interrupt"));
	wr(hw, IOAT_CHANCTRL, 2, IOAT_CTRL_INT_DISABLE);
	wr(hw, IOAT_DMACOUNT, 2, 3);
	assert_int_equal(fake.nr_msi, 2);
	wr(hw, IOAT_CHANCTRL, 2, IOAT_CTRL_INT_DISABLE | IOAT_CTRL_ERR_INT);
	ring(3)->src = 0;
	wr(hw, IOAT_DMACOUNT, 2, 4);
	assert_int_equal(fake.nr_msi, 3);
}

static void test_pin(void **test)
{
	void *hw = *test;

	arm(hw);
	ring(0)->control = IOAT_DESC_INT;
	wr(hw, IOAT_DMACOUNT, 2, 1);
	assert_false(fake.intx); /* the function's master bit is off */
	wr(hw, IOAT_INTRCTRL, 1, IOAT_INTR_MASTER);
	assert_true(fake.intx);
	assert_int_equal(rd(hw, IOAT_INTRCTRL, 1), IOAT_INTR_MASTER | IOAT_INTR_STATUS);
	assert_false(fake.intx); /* reading took the master bit */
	assert_int_equal(rd(hw, IOAT_ATTNSTATUS, 4), 1);
	assert_int_equal(rd(hw, IOAT_ATTNSTATUS, 4), 0);
	wr(hw, IOAT_INTRCTRL, 1, IOAT_INTR_MASTER);
	assert_false(fake.intx);
}

/* More than is done inside the write: the thread goes on, and both a reset and the end stop it. */
static void test_long(void **test)
{
	void *hw = *test;

	arm(hw);
	for (unsigned i = 0; i < 8; i++)
		*ring(i) = (struct ioat_desc){.size_bytes = 4096, .src = SRC, .dst = DST, .next = ring_iova((i + 1) % 8)};
	wr(hw, IOAT_DMACOUNT, 2, 40000);
	for (unsigned i = 0; i < 60000 && state(hw) == IOAT_ACTIVE; i++)
		usleep(100);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), ring_iova(7) | IOAT_IDLE);
	wr(hw, IOAT_DMACOUNT, 2, 39999); /* 65535 more */
	wr(hw, IOAT_CHANCMD, 1, IOAT_CMD_RESET);
	for (unsigned i = 0; i < 60000 && rd(hw, IOAT_CHANCMD, 1); i++)
		usleep(100);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), IOAT_HALTED);
	arm(hw);
	ring(0)->next = RING;
	wr(hw, IOAT_DMACOUNT, 2, 65535);
	hw_reset(hw, false);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), IOAT_HALTED);
	assert_int_equal(rd(hw, IOAT_CHAINADDR, 8), 0);
	hw_config_write(hw, 4, 2, 6);
	arm(hw);
	for (unsigned i = 0; i < 8; i++)
		ring(i)->size_bytes = 4096;
	wr(hw, IOAT_DMACOUNT, 2, 65535); /* and teardown comes meanwhile */
}

static u64 seed = 0x1dea5eed;

static u64 any(u64 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 24) % below;
}

/* On return the channel touches no memory. */
static void settle(void *hw)
{
	wr(hw, IOAT_CHANCMD, 1, IOAT_CMD_RESET);
	for (unsigned i = 0; i < 60000 && rd(hw, IOAT_CHANCMD, 1); i++)
		usleep(10);
	assert_int_equal(rd(hw, IOAT_CHANSTS, 8), IOAT_HALTED);
}

/* Registers, descriptors and resets at random: what matters is what the sanitizers say, and that a reset ends it all. */
static void test_random(void **test)
{
	static const u8 regs[] = { IOAT_INTRCTRL, IOAT_ATTNSTATUS, IOAT_CHANCTRL, IOAT_CHANCMD, IOAT_DMACOUNT, IOAT_CHANSTS, IOAT_CHAINADDR,
				   IOAT_CHANCMP, IOAT_CHANERR, IOAT_CHANERRMSK };
	void *hw = *test;

	for (unsigned i = 0; i < 20000; i++) {
		const unsigned reg = regs[any(ARRAY_SIZE(regs))], len = 1u << any(4);

		switch (any(12)) {
		case 0:
			settle(hw);
			arm(hw);
			for (unsigned n = any(8); n--;)
				*ring((unsigned)any(8)) = (struct ioat_desc){
					.size_bytes = (u32)any(5000), .control = (u32)(any(64) | any(3) << IOAT_DESC_OP_SHIFT),
					.src = FAKE_IOVA + any(FAKE_BYTES), .dst = SRC + any(FAKE_BYTES), .next = RING + any(16) * 32,
				};
			break;
		case 1: wr(hw, IOAT_CHANERR, 4, ~0u); break;
		case 2: wr(hw, IOAT_CHANCMD, 1, any(2) ? IOAT_CMD_RESET : IOAT_CMD_SUSPEND); break;
		case 3:
		case 4: wr(hw, reg & ~(len - 1), len, any(2) ? any(512) : any(~0ull)); break;
		case 5:
		case 6: rd(hw, reg & ~(len - 1), len); break;
		default: wr(hw, IOAT_DMACOUNT, 2, any(64)); break;
		}
		if (!any(500)) {
			hw_reset(hw, any(2));
			assert_int_equal(rd(hw, IOAT_CHANSTS, 8), IOAT_HALTED);
			hw_config_write(hw, 4, 2, 6);
		}
	}
}

static void test_options(void **test)
{
	static const struct hw_option_kv small[] = {{"xfercap", "12"}, {0}}, bad[] = {{"xfercap", "21"}, {0}};
	void *hw;

	fake_create_fails(&ioat_model, bad, -EINVAL, "xfercap");
	hw = fake_create_ok(&ioat_model, small);
	assert_int_equal(rd(hw, IOAT_XFERCAP, 1), 12);
	hw_config_write(hw, 4, 2, 6);
	arm(hw);
	ring(0)->size_bytes = 4097;
	wr(hw, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(rd(hw, IOAT_CHANERR, 4), IOAT_ERR_LENGTH);
	hw_device_destroy(hw);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity), T(test_halves), T(test_chain), T(test_fill), T(test_errors), T(test_bad_addresses),
		T(test_suspend), T(test_msix), T(test_pin), T(test_long), T(test_random), cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
