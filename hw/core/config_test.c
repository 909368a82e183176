/* SPDX-License-Identifier: BSD-3-Clause */
/* config_test.c - header, BAR sizing, capabilities, write masks, resets that config writes cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/pci_regs.h>

#include "hw/core/hw_fake.h"

#define COMMAND 0x04
#define STATUS 0x06
#define BAR(n) (0x10 + 4 * (n))
#define ROM 0x30

static unsigned nr_resets, nr_written;
static int master_on = -1;
static int pm_cap, exp_cap, msi_cap, vendor_cap, ext1, ext2;
static bool soft_reset_wanted;

static int model_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = 0x1234, .device = 0x5678, .subsystem_vendor = 0xaaaa, .subsystem_device = 0xbbbb,
		.class_code = 0x010802, .revision = 3, .intx_pin = 1, .express = true,
	};
	static const u8 body[6] = { 8, 1, 2, 3, 4, 5 }, writable[6] = { 0, 0xf0, 0, 0, 0, 0xff };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x4000, HW_BAR_MEM64), 0);
	assert_int_equal(hw_bar_add(hw, 2, 0x1000, HW_BAR_MEM32 | HW_BAR_PREFETCH), 0);
	assert_int_equal(hw_bar_add(hw, 3, 32, HW_BAR_IO), 0);
	assert_int_equal(hw_bar_add(hw, 4, 1ull << 33, HW_BAR_MEM64 | HW_BAR_PREFETCH), 0);
	assert_int_equal(hw_bar_add(hw, HW_ROM_BAR, 0x10000, 0), 0);
	pm_cap = hw_cap_add_pm(hw, !soft_reset_wanted);
	exp_cap = hw_cap_add_express(hw, true);
	msi_cap = hw_cap_add_msi(hw, 4, true, true);
	vendor_cap = hw_cap_add(hw, 0x09, body, writable, sizeof(body));
	ext1 = hw_ext_cap_add(hw, 0x0003, 1, "12345678", NULL, 8);
	ext2 = hw_ext_cap_add(hw, 0x000b, 2, "1234", NULL, 4);
	return 0;
}

static void model_reset(struct hw_device *hw) { nr_resets++; }
static void model_written(struct hw_device *hw, unsigned off, unsigned len) { nr_written++; }
static void model_master(struct hw_device *hw, bool on) { master_on = on; }

static const struct hw_model model = {
	.name = "test", .create = model_create, .reset = model_reset, .config_written = model_written,
	.bus_master = model_master,
};

static int setup(void **state)
{
	nr_resets = nr_written = 0;
	master_on = -1;
	*state = fake_create_ok(&model, NULL);
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static u32 size_of(void *hw, unsigned reg)
{
	u32 old = hw_config_read(hw, reg, 4), got;

	hw_config_write(hw, reg, 4, ~0u);
	got = hw_config_read(hw, reg, 4);
	hw_config_write(hw, reg, 4, old);
	return got;
}

static void test_header(void **state)
{
	void *hw = *state;

	assert_int_equal(hw_config_size(hw), 4096);
	assert_int_equal(hw_config_read(hw, 0, 4), 0x56781234);
	assert_int_equal(hw_config_read(hw, 8, 4), 0x01080203);
	assert_int_equal(hw_config_read(hw, 0x2c, 4), 0xbbbbaaaa);
	assert_int_equal(hw_config_read(hw, STATUS, 2), 0x0010);
	hw_config_write(hw, 0, 4, ~0u); /* read only */
	assert_int_equal(hw_config_read(hw, 0, 4), 0x56781234);
	hw_config_write(hw, COMMAND, 2, 0xffff);
	assert_int_equal(hw_config_read(hw, COMMAND, 2), 0x0507);
	hw_config_write(hw, 0x3c, 2, 0xffff);
	assert_int_equal(hw_config_read(hw, 0x3c, 2), 0x01ff);
}

static void test_places_outside(void **state)
{
	void *hw = *state;

	assert_int_equal(hw_config_read(hw, 4096, 1), 0xff);
	assert_int_equal(hw_config_read(hw, 4095, 2), 0xffff);
	assert_int_equal(hw_config_read(hw, 4094, 4), ~0u);
	assert_int_equal(hw_config_read(hw, ~0u, 4), ~0u);
	assert_int_equal(hw_config_read(hw, 0, 3), 0xffffff);
	assert_int_equal(hw_config_read(hw, 0, 8), ~0u);
	hw_config_write(hw, 4095, 2, 0);
	hw_config_write(hw, ~0u, 1, 0);
	assert_int_equal(nr_written, 0);
}

static void test_bar_sizing(void **state)
{
	void *hw = *state;

	assert_int_equal(size_of(hw, BAR(0)), 0xffffc004);
	assert_int_equal(size_of(hw, BAR(1)), 0xffffffff);
	assert_int_equal(size_of(hw, BAR(2)), 0xfffff008);
	assert_int_equal(size_of(hw, BAR(3)), 0xffffffe1);
	assert_int_equal(size_of(hw, BAR(4)), 0x0000000c);
	assert_int_equal(size_of(hw, BAR(5)), 0xfffffffe);
	assert_int_equal(size_of(hw, ROM), 0xffff0001);
	hw_config_write(hw, BAR(0), 4, 0xfe004567);
	assert_int_equal(hw_config_read(hw, BAR(0), 4), 0xfe004004);
	hw_config_write(hw, BAR(0) + 3, 1, 0xab); /* a byte alone */
	assert_int_equal(hw_config_read(hw, BAR(0), 4), 0xab004004);
}

static void test_decode_is_told(void **state)
{
	void *hw = *state;
	unsigned before = fake.nr_decode;

	hw_config_write(hw, COMMAND, 2, 2);
	assert_int_equal(fake.nr_decode, before + 1);
	hw_config_write(hw, BAR(5), 4, 0);
	assert_int_equal(fake.nr_decode, before + 2);
	hw_config_write(hw, 0x3c, 1, 5);
	assert_int_equal(fake.nr_decode, before + 2);
}

static void test_bus_master(void **state)
{
	void *hw = *state;

	hw_config_write(hw, COMMAND, 2, 2);
	assert_int_equal(master_on, -1);
	hw_config_write(hw, COMMAND, 2, 6);
	assert_int_equal(master_on, 1);
	hw_config_write(hw, pm_cap + 4, 2, 3); /* a device in D3hot is no master */
	assert_int_equal(master_on, 0);
	hw_config_write(hw, pm_cap + 4, 2, 0);
	assert_int_equal(master_on, 1);
	hw_config_write(hw, COMMAND, 1, 2);
	assert_int_equal(master_on, 0);
}

static void test_capability_chain(void **state)
{
	static const u8 ids[] = { 0x01, 0x10, 0x05, 0x09 };
	void *hw = *state;
	unsigned off = hw_config_read(hw, 0x34, 1), i = 0;

	for (; off && i < 4; off = hw_config_read(hw, off + 1, 1), i++)
		assert_int_equal(hw_config_read(hw, off, 1), ids[i]);
	assert_int_equal(i, 4);
	assert_int_equal(off, 0);
	assert_int_equal(hw_config_read(hw, 0x100, 4), 0x10c10003);
	assert_int_equal(hw_config_read(hw, 0x10c, 4), 0x0002000b);
}

static void test_cap_write_mask(void **state)
{
	void *hw = *state;

	hw_config_write(hw, vendor_cap, 4, ~0u);
	assert_int_equal(hw_config_read(hw, vendor_cap, 4), 0xf1080009);
	hw_config_write(hw, vendor_cap + 4, 4, 0);
	assert_int_equal(hw_config_read(hw, vendor_cap + 4, 4), 0x00040302);
	hw_config_write(hw, msi_cap + 2, 2, 0xffff);
	assert_int_equal(hw_config_read(hw, msi_cap + 2, 2), 0x01f5);
}

static void test_unsupported_power_state(void **state)
{
	void *hw = *state;

	hw_config_write(hw, pm_cap + 4, 2, 1);
	assert_int_equal(hw_config_read(hw, pm_cap + 4, 2) & 3, 0);
	hw_config_write(hw, pm_cap + 4, 2, 3);
	hw_config_write(hw, pm_cap + 4, 2, 2);
	assert_int_equal(hw_config_read(hw, pm_cap + 4, 2) & 3, 3);
	hw_config_write(hw, pm_cap + 4, 2, 0);
	assert_int_equal(nr_resets, 0); /* no_soft_reset */
}

static void test_flr(void **state)
{
	void *hw = *state;

	hw_config_write(hw, COMMAND, 2, 0x406);
	hw_config_write(hw, BAR(2), 4, 0xfe000000);
	hw_config_write(hw, msi_cap + 2, 2, 1);
	assert_true(hw_msi_enabled(hw));
	hw_config_write(hw, exp_cap + 8, 2, 0x2810); /* not the reset bit */
	assert_int_equal(nr_resets, 0);
	hw_config_write(hw, exp_cap + 8, 2, 0x8000 | 0x2810);
	assert_int_equal(nr_resets, 1);
	assert_int_equal(master_on, 0);
	assert_int_equal(hw_config_read(hw, COMMAND, 2), 0);
	assert_int_equal(hw_config_read(hw, BAR(2), 4), 8);
	assert_int_equal(hw_config_read(hw, exp_cap + 8, 2), 0);
	assert_false(hw_msi_enabled(hw));
	hw_config_write(hw, exp_cap + 9, 1, 0x80); /* the bit by a byte of its own */
	assert_int_equal(nr_resets, 2);
}

static void test_soft_reset(void **state)
{
	struct hw_device *hw;

	nr_resets = 0;
	soft_reset_wanted = true;
	hw = fake_create_ok(&model, NULL);
	soft_reset_wanted = false;
	hw_config_write(hw, COMMAND, 2, 2);
	hw_config_write(hw, pm_cap + 4, 2, 3);
	assert_int_equal(nr_resets, 0);
	hw_config_write(hw, pm_cap + 4, 2, 0);
	assert_int_equal(nr_resets, 1);
	assert_int_equal(hw_config_read(hw, COMMAND, 2), 0);
	hw_device_destroy(hw);
}

static int conventional_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 0x8086, .device = 0x2449 };

	hw_pci_identify(hw, &id);
	hw_pci_conventional(hw, 0xffff, 0x20, 8, 24);
	return 0;
}

/* Its speed, which a write does not change and a reset brings back; none of the bits that are events. */
static void test_conventional(void **state)
{
	static const struct hw_model conventional = {
		.name = "conventional", .create = conventional_create, .reset = model_reset,
	};
	struct hw_device *hw = fake_create_ok(&conventional, NULL);

	hw_config_write(hw, PCI_LATENCY_TIMER, 1, 0xff);
	hw_config_write(hw, PCI_MIN_GNT, 2, 0);
	hw_config_write(hw, PCI_STATUS, 2, 0xffff);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hw_config_read(hw, PCI_STATUS, 2), 0x06a0);
		assert_int_equal(hw_config_read(hw, PCI_LATENCY_TIMER, 1), 0x20);
		assert_int_equal(hw_config_read(hw, PCI_MIN_GNT, 2), 0x1808);
		hw_pci_conventional(hw, 0, 0, 0, 0); /* too late */
		hw_reset(hw, true);
	}
	hw_device_destroy(hw);
}

static int bad_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 1, .device = 2 };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x3000, 0), -EINVAL);
	assert_int_equal(hw_bar_add(hw, 0, 8, 0), -EINVAL);
	assert_int_equal(hw_bar_add(hw, 7, 0x1000, 0), -EINVAL);
	assert_int_equal(hw_bar_add(hw, 5, 0x1000, HW_BAR_MEM64), -EINVAL);
	assert_int_equal(hw_bar_add(hw, 0, 1ull << 32, HW_BAR_MEM32), -EINVAL);
	assert_int_equal(hw_bar_add(hw, 0, 0x1000, HW_BAR_MEM64), 0);
	assert_int_equal(hw_bar_add(hw, 1, 0x1000, HW_BAR_MEM32), -EBUSY);
	assert_int_equal(hw_cap_add_express(hw, true), -EINVAL);
	assert_int_equal(hw_ext_cap_add(hw, 3, 1, "1234", NULL, 4), -ENOSPC);
	assert_int_equal(hw_cap_add_msi(hw, 3, true, true), -EINVAL);
	assert_int_equal(hw_cap_add_msi(hw, 64, true, true), -EINVAL);
	assert_true(hw_cap_add(hw, 9, (const u8[100]){ 0 }, NULL, 100) > 0);
	assert_int_equal(hw_cap_add(hw, 9, (const u8[100]){ 0 }, NULL, 100), -ENOSPC);
	hw_explain(hw, "nothing fits");
	return -ENOSPC;
}

static void test_bad_layout(void **state)
{
	static const struct hw_model bad = { .name = "bad", .create = bad_create };

	fake_create_fails(&bad, NULL, -ENOSPC, "0000:01:00.0: nothing fits");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_header),
		T(test_places_outside),
		T(test_bar_sizing),
		T(test_decode_is_told),
		T(test_bus_master),
		T(test_capability_chain),
		T(test_cap_write_mask),
		T(test_unsupported_power_state),
		T(test_flr),
		cmocka_unit_test(test_soft_reset),
		cmocka_unit_test(test_conventional),
		cmocka_unit_test(test_bad_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
