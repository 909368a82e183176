/* SPDX-License-Identifier: BSD-3-Clause */
/* edu_test.c - config bytes and registers of the edu device, and its DMA through a fake IOMMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "hw/core/hw_fake.h"
#include "hw/edu/regs.h"

extern const struct hw_model edu_model;

static int setup_with(void **state, const struct hw_option_kv *options)
{
	explain_enable();
	memset(fake_ram, 0, sizeof(fake_ram));
	*state = fake_create_ok(&edu_model, options);
	hw_config_write(*state, 4, 2, 6);
	return 0;
}

static int setup(void **state) { return setup_with(state, NULL); }

static int setup_slow(void **state)
{
	static const struct hw_option_kv options[] = { { "delay_us", "20000" }, { 0 } };

	return setup_with(state, options);
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static u32 rd(void *hw, u64 reg) { return (u32)hw_bar_read(hw, 0, reg, 4); }
static void wr(void *hw, u64 reg, u32 val) { hw_bar_write(hw, 0, reg, 4, val); }

static void dma(void *hw, u64 src, u64 dst, u64 count, u64 cmd)
{
	hw_bar_write(hw, 0, EDU_DMA_SRC, 8, src);
	hw_bar_write(hw, 0, EDU_DMA_DST, 8, dst);
	hw_bar_write(hw, 0, EDU_DMA_COUNT, 8, count);
	hw_bar_write(hw, 0, EDU_DMA_CMD, 8, cmd);
}

static void wait_clear(void *hw, u64 reg, u32 bit)
{
	for (int i = 0; i < 5000 && rd(hw, reg) & bit; i++)
		usleep(1000);
	assert_int_equal(rd(hw, reg) & bit, 0);
}

/* What a real machine's QEMU shows, but for command, BAR address and interrupt line, which firmware sets. */
static void test_config_bytes(void **state)
{
	static const u8 want[0x50] = {
		0x34, 0x12, 0xe8, 0x11, 0x06, 0x00, 0x10, 0x00, 0x10, 0x00, 0xff, 0x00,
		[0x2c] = 0xf4, 0x1a, 0x00, 0x11,
		[0x34] = 0x40,
		[0x3d] = 1,
		[0x40] = 0x05, 0x00, 0x80, 0x00,
	};
	void *hw = *state;

	assert_int_equal(hw_config_size(hw), 256);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(hw_config_read(hw, i, 1), i < sizeof(want) ? want[i] : 0);
	hw_config_write(hw, 0x10, 4, ~0u);
	assert_int_equal(hw_config_read(hw, 0x10, 4), 0xfff00000);
}

static void test_registers(void **state)
{
	void *hw = *state;

	assert_int_equal(rd(hw, EDU_ID), 0x010000ed);
	wr(hw, EDU_ID, 0);
	assert_int_equal(rd(hw, EDU_ID), 0x010000ed);
	wr(hw, EDU_LIVENESS, 0x12345678);
	assert_int_equal(rd(hw, EDU_LIVENESS), 0xedcba987);
	assert_int_equal(rd(hw, 0x0c), ~0u);
	assert_int_equal(rd(hw, EDU_BUF), ~0u);
	assert_int_equal(hw_bar_read(hw, 0, EDU_ID, 8), ~0ull);
	assert_int_equal(hw_bar_read(hw, 0, EDU_ID, 1), 0);
	hw_bar_write(hw, 0, EDU_LIVENESS, 2, 1); /* too narrow: ignored */
	assert_int_equal(rd(hw, EDU_LIVENESS), 0xedcba987);
	hw_bar_write(hw, 0, EDU_DMA_SRC, 8, 0x123456789abcull);
	assert_int_equal(hw_bar_read(hw, 0, EDU_DMA_SRC, 8), 0x123456789abcull);
	assert_int_equal(rd(hw, EDU_DMA_SRC), 0x56789abc);
}

static void test_factorial(void **state)
{
	static const struct {
		u32 n, want;
	} cases[] = {
		{ 0, 1 },	    { 1, 1 },  { 10, 3628800 }, { 12, 479001600 },
		{ 13, 1932053504 }, { 34, 0 }, { ~0u, 0 },
	};
	void *hw = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		wr(hw, EDU_FACTORIAL, cases[i].n);
		wait_clear(hw, EDU_STATUS, EDU_STATUS_BUSY);
		assert_int_equal(rd(hw, EDU_FACTORIAL), cases[i].want);
	}
	assert_int_equal(rd(hw, EDU_IRQ_STATUS), 0);
	wr(hw, EDU_STATUS, ~0u);
	assert_int_equal(rd(hw, EDU_STATUS), EDU_STATUS_IRQ);
	wr(hw, EDU_FACTORIAL, 5);
	assert_int_equal(rd(hw, EDU_IRQ_STATUS), EDU_IRQ_FACTORIAL);
	assert_true(fake.intx);
}

static void test_pin(void **state)
{
	void *hw = *state;

	wr(hw, EDU_IRQ_RAISE, 6);
	assert_true(fake.intx);
	wr(hw, EDU_IRQ_ACK, 2);
	assert_true(fake.intx);
	assert_int_equal(rd(hw, EDU_IRQ_STATUS), 4);
	wr(hw, EDU_IRQ_ACK, 4);
	assert_false(fake.intx);
}

static void test_msi(void **state)
{
	void *hw = *state;

	hw_config_write(hw, 0x44, 4, 0xfee00000);
	hw_config_write(hw, 0x4c, 2, 0x30);
	hw_config_write(hw, 0x42, 2, 1);
	wr(hw, EDU_IRQ_RAISE, 1);
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.data[0], 0x30);
	assert_int_equal(fake.nr_intx, 0);
}

static void test_dma_round_trip(void **state)
{
	void *hw = *state;

	for (unsigned i = 0; i < 4096; i++)
		fake_ram[i] = (u8)(i * 7 + 3);
	dma(hw, FAKE_IOVA, EDU_BUF, 4096, EDU_CMD_RUN);
	wait_clear(hw, EDU_DMA_CMD, EDU_CMD_RUN);
	assert_int_equal(rd(hw, EDU_IRQ_STATUS), 0);
	dma(hw, EDU_BUF + 16, FAKE_IOVA + 8192, 4080, EDU_CMD_RUN | EDU_CMD_TO_RAM | EDU_CMD_IRQ);
	wait_clear(hw, EDU_DMA_CMD, EDU_CMD_RUN);
	assert_memory_equal(fake_ram + 16, fake_ram + 8192, 4080);
	assert_int_equal(rd(hw, EDU_IRQ_STATUS), EDU_IRQ_DMA);
}

static void test_dma_unmapped_reads_zeros(void **state)
{
	static const u8 zeros[32];
	void *hw = *state;

	memset(fake_ram, 0xaa, sizeof(fake_ram));
	dma(hw, FAKE_IOVA, EDU_BUF, 64, EDU_CMD_RUN);
	dma(hw, FAKE_IOVA + FAKE_BYTES - 16, EDU_BUF, 32, EDU_CMD_RUN); /* the second half is unmapped */
	dma(hw, EDU_BUF, FAKE_IOVA, 48, EDU_CMD_RUN | EDU_CMD_TO_RAM);
	assert_int_equal(fake_ram[15], 0xaa);
	assert_memory_equal(fake_ram + 16, zeros, 16);
	assert_int_equal(fake_ram[32], 0xaa);
	dma(hw, 0x8000000, EDU_BUF, 32, EDU_CMD_RUN);
	dma(hw, EDU_BUF, FAKE_IOVA, 32, EDU_CMD_RUN | EDU_CMD_TO_RAM);
	assert_memory_equal(fake_ram, zeros, 32);
}

static void test_dma_refused(void **state)
{
	static const struct {
		u64 dst, count;
	} bad[] = {
		{ EDU_BUF - 1, 1 }, { EDU_BUF, 4097 }, { EDU_BUF + 4096, 1 },
		{ EDU_BUF + 1, ~0ull }, { ~0ull, 2 }, { 0, 16 },
	};
	void *hw = *state;
	struct hw_stats stats;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		fake.explain[0] = 0;
		dma(hw, FAKE_IOVA, bad[i].dst, bad[i].count, EDU_CMD_RUN);
		assert_non_null(strstr(fake.explain, "nothing moved"));
		assert_int_equal(rd(hw, EDU_DMA_CMD) & EDU_CMD_RUN, 0);
	}
	hw_stats_get(hw, &stats);
	assert_int_equal(stats.dma_read_bytes, 0);
	hw_config_write(hw, 4, 2, 2);
	dma(hw, FAKE_IOVA, EDU_BUF, 16, EDU_CMD_RUN);
	assert_non_null(strstr(fake.explain, "bus mastering is off"));
	hw_stats_get(hw, &stats);
	assert_int_equal(stats.dma_faults, 1);
}

static void test_dma_mask(void **state)
{
	void *hw = *state;

	strcpy((char *)fake_ram, "hello");
	dma(hw, FAKE_IOVA | 0x10000000, EDU_BUF, 8, EDU_CMD_RUN); /* bit 28 is not in the mask */
	assert_non_null(strstr(fake.explain, "is cut to 0x100000"));
	dma(hw, EDU_BUF, FAKE_IOVA + 64, 8, EDU_CMD_RUN | EDU_CMD_TO_RAM);
	assert_string_equal((char *)fake_ram + 64, "hello");
}

static void test_busy(void **state)
{
	void *hw = *state;

	wr(hw, EDU_FACTORIAL, 5);
	assert_int_equal(rd(hw, EDU_STATUS), EDU_STATUS_BUSY);
	wr(hw, EDU_FACTORIAL, 6); /* ignored while busy */
	assert_int_equal(rd(hw, EDU_FACTORIAL), 5);
	fake_ram[0] = 0x5a;
	dma(hw, FAKE_IOVA, EDU_BUF, 1, EDU_CMD_RUN);
	assert_int_equal(rd(hw, EDU_DMA_CMD), EDU_CMD_RUN);
	hw_bar_write(hw, 0, EDU_DMA_COUNT, 8, 4096); /* ignored too */
	assert_int_equal(rd(hw, EDU_DMA_COUNT), 1);
	wait_clear(hw, EDU_STATUS, EDU_STATUS_BUSY);
	assert_int_equal(rd(hw, EDU_FACTORIAL), 120);
	wait_clear(hw, EDU_DMA_CMD, EDU_CMD_RUN);
	dma(hw, EDU_BUF, FAKE_IOVA + 1, 1, EDU_CMD_RUN | EDU_CMD_TO_RAM);
	wait_clear(hw, EDU_DMA_CMD, EDU_CMD_RUN);
	assert_int_equal(fake_ram[1], 0x5a);
}

static void test_reset_cancels(void **state)
{
	void *hw = *state;

	dma(hw, EDU_BUF, FAKE_IOVA, 16, EDU_CMD_RUN | EDU_CMD_TO_RAM | EDU_CMD_IRQ);
	wr(hw, EDU_FACTORIAL, 5);
	memset(fake_ram, 0x77, 16);
	hw_reset(hw, true);
	assert_int_equal(rd(hw, EDU_STATUS), 0);
	assert_int_equal(rd(hw, EDU_DMA_CMD), 0);
	usleep(40000);
	assert_int_equal(fake_ram[0], 0x77);
	assert_int_equal(rd(hw, EDU_IRQ_STATUS), 0);
	assert_int_equal(rd(hw, EDU_FACTORIAL), 0);
}

static void test_bad_options(void **state)
{
	static const struct hw_option_kv mask[] = { { "dma_mask", "wide" }, { 0 } };
	static const struct hw_option_kv key[] = { { "foo", "1" }, { 0 } };

	fake_create_fails(&edu_model, mask, -EINVAL, "edu: dma_mask=wide is no number");
	fake_create_fails(&edu_model, key, -EINVAL, "edu has no key foo; it knows dma_mask, delay_us");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_config_bytes),
		T(test_registers),
		T(test_factorial),
		T(test_pin),
		T(test_msi),
		T(test_dma_round_trip),
		T(test_dma_unmapped_reads_zeros),
		T(test_dma_refused),
		T(test_dma_mask),
		cmocka_unit_test_setup_teardown(test_busy, setup_slow, teardown),
		cmocka_unit_test_setup_teardown(test_reset_cancels, setup_slow, teardown),
		cmocka_unit_test(test_bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
