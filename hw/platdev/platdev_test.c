/* SPDX-License-Identifier: BSD-3-Clause */
/* platdev_test.c - registers, memory, wires and copies of platdev, its DMA through a fake IOMMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/core/hw_fake.h"
#include "hw/platdev/regs.h"

extern const struct hw_model platdev_model;

static unsigned rises[2];

static void on_wire(void *host, unsigned wire)
{
	assert_in_range(wire, 0, 1);
	rises[wire]++;
}

static const struct hw_host_ops wire_ops = { .wire = on_wire, .explain = fake_explain };

static int setup(void **state)
{
	explain_enable();
	memset(fake_ram, 0, sizeof(fake_ram));
	memset(rises, 0, sizeof(rises));
	*state = hw_device_create(&platdev_model, "platdev.0", NULL, &wire_ops, NULL, (struct hw_iommu *)fake_ram, 0x300);
	assert_false(IS_ERR(*state));
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static u32 rd(void *hw, u64 reg) { return (u32)hw_bar_read(hw, PLATDEV_REGS_REGION, reg, 4); }
static void wr(void *hw, u64 reg, u32 val) { hw_bar_write(hw, PLATDEV_REGS_REGION, reg, 4, val); }

static u32 copy(void *hw, u64 src, u64 dst, u32 len, u32 cmd)
{
	hw_bar_write(hw, 0, PLATDEV_DMA_SRC, 8, src);
	wr(hw, PLATDEV_DMA_DST, (u32)dst);
	wr(hw, PLATDEV_DMA_DST + 4, (u32)(dst >> 32));
	wr(hw, PLATDEV_DMA_LEN, len);
	wr(hw, PLATDEV_DMA_CMD, cmd);
	return rd(hw, PLATDEV_DMA_STATUS);
}

static void test_registers(void **state)
{
	void *hw = *state;

	assert_int_equal(rd(hw, PLATDEV_ID), PLATDEV_ID_VALUE);
	assert_int_equal(rd(hw, PLATDEV_VERSION), 1);
	wr(hw, PLATDEV_ID, 0);
	assert_int_equal(rd(hw, PLATDEV_ID), PLATDEV_ID_VALUE);
	wr(hw, PLATDEV_SCRATCH, 0x12345678);
	assert_int_equal(rd(hw, PLATDEV_SCRATCH), 0x12345678);
	hw_bar_write(hw, 0, PLATDEV_SCRATCH, 2, 0xffff); /* too narrow */
	assert_int_equal(rd(hw, PLATDEV_SCRATCH), 0x12345678);
	assert_non_null(strstr(fake.explain, "registers take 4"));
	assert_int_equal(hw_bar_read(hw, 0, PLATDEV_SCRATCH, 1), 0xff);
	hw_bar_write(hw, 0, PLATDEV_DMA_SRC, 8, 0x1122334455667788ull);
	assert_int_equal(rd(hw, PLATDEV_DMA_SRC + 4), 0x11223344);
	assert_int_equal(hw_bar_read(hw, 0, PLATDEV_DMA_SRC, 8), 0x1122334455667788ull);
	assert_int_equal(rd(hw, 0x40), 0);
}

static void test_memory(void **state)
{
	void *hw = *state;

	hw_bar_write(hw, 0, PLATDEV_MEMORY + 8, 8, 0xfeedfacecafebeefull);
	assert_int_equal(hw_bar_read(hw, 0, PLATDEV_MEMORY + 8, 4), 0xcafebeef);
	hw_bar_write(hw, PLATDEV_SMALL_REGION, 0xff, 1, 0x5a);
	hw_bar_write(hw, PLATDEV_SMALL_REGION, 0xf0, 2, 0x1234);
	assert_int_equal(hw_bar_read(hw, PLATDEV_SMALL_REGION, 0xf8, 8), 0x5a00000000000000ull);
	assert_int_equal(hw_bar_read(hw, PLATDEV_SMALL_REGION, 0xf1, 1), 0x12);
	hw_bar_write(hw, PLATDEV_COUNTERS_REGION, PLATDEV_COPIES, 4, 7); /* read-only */
	assert_int_equal(hw_bar_read(hw, PLATDEV_COUNTERS_REGION, PLATDEV_COPIES, 4), 0);
	assert_int_equal(hw_bar_read(hw, PLATDEV_COUNTERS_REGION, PLATDEV_ID, 4), PLATDEV_ID_VALUE);
}

static void test_wires(void **state)
{
	void *hw = *state;

	wr(hw, PLATDEV_IRQ_RAISE, PLATDEV_RAISE_EDGE);
	wr(hw, PLATDEV_IRQ_RAISE, PLATDEV_RAISE_EDGE);
	assert_int_equal(rises[PLATDEV_EDGE_WIRE], 2);
	assert_int_equal(rd(hw, PLATDEV_IRQ_STATUS), 0);
	wr(hw, PLATDEV_IRQ_RAISE, PLATDEV_RAISE_LEVEL);
	assert_int_equal(rises[PLATDEV_LEVEL_WIRE], 1);
	assert_true(hw_wire_level(hw, PLATDEV_LEVEL_WIRE));
	assert_int_equal(rd(hw, PLATDEV_IRQ_STATUS), PLATDEV_IRQ_RAISED);
	wr(hw, PLATDEV_IRQ_ACK, PLATDEV_IRQ_COPIED);
	assert_true(hw_wire_level(hw, PLATDEV_LEVEL_WIRE));
	wr(hw, PLATDEV_IRQ_ACK, PLATDEV_IRQ_RAISED);
	assert_false(hw_wire_level(hw, PLATDEV_LEVEL_WIRE));
}

static void test_copy(void **state)
{
	void *hw = *state;

	for (unsigned i = 0; i < 0x4000; i++)
		fake_ram[i] = (u8)(i * 5 + 1);
	assert_int_equal(rd(hw, PLATDEV_DMA_STATUS), PLATDEV_DMA_IDLE);
	assert_int_equal(copy(hw, FAKE_IOVA + 3, FAKE_IOVA + 0x8001, 0x3000, PLATDEV_CMD_COPY), PLATDEV_DMA_DONE);
	assert_memory_equal(fake_ram + 3, fake_ram + 0x8001, 0x3000);
	assert_int_equal(rises[0] + rises[1], 0);
	copy(hw, FAKE_IOVA, FAKE_IOVA + 0x8000, 16, PLATDEV_CMD_COPY | PLATDEV_CMD_EDGE | PLATDEV_CMD_LEVEL);
	assert_int_equal(rises[0], 1);
	assert_int_equal(rises[1], 1);
	assert_int_equal(rd(hw, PLATDEV_IRQ_STATUS), PLATDEV_IRQ_COPIED);
	assert_int_equal(hw_bar_read(hw, PLATDEV_COUNTERS_REGION, PLATDEV_COPIES, 4), 2);
	assert_int_equal(hw_bar_read(hw, PLATDEV_COUNTERS_REGION, PLATDEV_COPIED_BYTES, 8), 0x3010);
}

static void test_copy_refused(void **state)
{
	void *hw = *state;

	assert_int_equal(copy(hw, FAKE_IOVA, FAKE_IOVA, 0, 1), PLATDEV_DMA_BAD_LEN);
	assert_int_equal(copy(hw, FAKE_IOVA, FAKE_IOVA, PLATDEV_DMA_MAX + 1, 1), PLATDEV_DMA_BAD_LEN);
	assert_non_null(strstr(fake.explain, "length 0x10001"));
	assert_int_equal(copy(hw, 0x5000, FAKE_IOVA, 16, 1), PLATDEV_DMA_READ_FAULT);
	assert_int_equal(copy(hw, FAKE_IOVA, FAKE_IOVA + FAKE_BYTES - 8, 16, 1), PLATDEV_DMA_WRITE_FAULT);
	assert_int_equal(copy(hw, FAKE_IOVA, 0x5000, 16, 0), PLATDEV_DMA_WRITE_FAULT); /* no command: as it was */
	assert_int_equal(hw_bar_read(hw, PLATDEV_COUNTERS_REGION, PLATDEV_COPIES, 4), 0);
}

static void test_reset(void **state)
{
	void *hw = *state;

	wr(hw, PLATDEV_SCRATCH, 5);
	wr(hw, PLATDEV_IRQ_RAISE, PLATDEV_RAISE_LEVEL);
	hw_bar_write(hw, 0, PLATDEV_MEMORY, 4, 5);
	hw_bar_write(hw, PLATDEV_SMALL_REGION, 0, 4, 5);
	hw_platform_reset(hw);
	assert_int_equal(rd(hw, PLATDEV_SCRATCH), 0);
	assert_int_equal(rd(hw, PLATDEV_IRQ_STATUS), 0);
	assert_false(hw_wire_level(hw, PLATDEV_LEVEL_WIRE));
	assert_int_equal(rd(hw, PLATDEV_MEMORY), 0);
	assert_int_equal(hw_bar_read(hw, PLATDEV_SMALL_REGION, 0, 4), 0);
	assert_int_equal(rd(hw, PLATDEV_RESETS), 1);
}

static void test_options(void **state)
{
	static const struct hw_option_kv off[] = { { "reset", "off" }, { 0 } }, bad[] = { { "reset", "maybe" }, { 0 } };
	struct hw_platform_layout layout;
	struct hw_device *hw = fake_create_ok(&platdev_model, off);

	hw_platform_layout(hw, &layout);
	assert_false(layout.resettable);
	assert_int_equal(layout.nr_regions, 3);
	assert_int_equal(layout.nr_wires, 2);
	hw_device_destroy(hw);
	fake_create_fails(&platdev_model, bad, -EINVAL, "reset=maybe is neither on nor off");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers), T(test_memory), T(test_wires), T(test_copy), T(test_copy_refused), T(test_reset),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
