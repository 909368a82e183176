/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_test.c - regions and wires of a platform device made for the purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/core/hw_fake.h"

static const struct hw_platform on_platform = { .bus_name = "toy" };
static struct hw_dma *dma;
static unsigned resets, last_region, rises[HW_WIRES];
static u64 last_val;

static int toy_create(struct hw_device *hw)
{
	assert_int_equal(hw_region_add(hw, 0x3000, 0), 0);
	assert_int_equal(hw_region_add(hw, 0x10, HW_REGION_READONLY), 1);
	assert_int_equal(hw_region_add(hw, 0, 0), -EINVAL);
	assert_int_equal(hw_region_add(hw, 6, 0), -EINVAL);
	assert_int_equal(hw_region_add(hw, (1u << 30) + 4, 0), -EINVAL);
	assert_int_equal(hw_region_add(hw, 4096, HW_BAR_IO), -EINVAL);
	for (int i = 2; i < HW_REGIONS; i++)
		assert_int_equal(hw_region_add(hw, 4, 0), i);
	assert_int_equal(hw_region_add(hw, 4, 0), -ENOSPC);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x1000, 0x1000, HW_PAGE_DIRECT), 0);
	assert_int_equal(hw_bar_set_pages(hw, 1, 0, 0x1000, HW_PAGE_DIRECT), -EINVAL);
	assert_int_equal(hw_wire_add(hw, false), 0);
	assert_int_equal(hw_wire_add(hw, true), 1);
	for (int i = 2; i < HW_WIRES; i++)
		assert_int_equal(hw_wire_add(hw, false), i);
	assert_int_equal(hw_wire_add(hw, false), -ENOSPC);
	hw_pci_identify(hw, &(struct hw_pci_id){ .vendor = 1, .device = 2, .intx_pin = 1, .express = true });
	assert_int_equal(hw_bar_add(hw, 5, 4096, 0), -EINVAL); /* what PCI has is refused */
	assert_int_equal(hw_cap_add_msi(hw, 1, true, false), -EINVAL);
	assert_int_equal(hw_cap_add_msix(hw, 1, 0, 0, 0x800), -EINVAL);
	assert_int_equal(hw_cap_add_express(hw, true), -EINVAL);
	assert_int_equal(hw_ext_cap_add(hw, 1, 1, "", NULL, 1), -ENOSPC);
	hw_resettable(hw);
	dma = hw_dma_open(hw);
	return dma ? 0 : -ENOMEM;
}

static void toy_destroy(struct hw_device *hw) { hw_dma_close(dma); }

static void toy_reset(struct hw_device *hw)
{
	u8 byte;

	resets++;
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, &byte, 1), -EPERM); /* none can start meanwhile */
}

static u64 toy_read(struct hw_device *hw, unsigned region, u64 off, unsigned len)
{
	return 0x1122334455667700u | region;
}

static void toy_write(struct hw_device *hw, unsigned region, u64 off, unsigned len, u64 val)
{
	last_region = region;
	last_val = val;
}

static const struct hw_model toy_model = {
	.name = "toy", .summary = "a toy", .create = toy_create, .destroy = toy_destroy, .reset = toy_reset,
	.bar_read = toy_read, .bar_write = toy_write, .platform = &on_platform,
};

static int pci_create(struct hw_device *hw)
{
	assert_int_equal(hw_region_add(hw, 4096, 0), -EINVAL);
	assert_int_equal(hw_wire_add(hw, true), -EINVAL);
	hw_pci_identify(hw, &(struct hw_pci_id){ .vendor = 1, .device = 2 });
	return 0;
}

static const struct hw_model pci_model = { .name = "pci", .summary = "not a toy", .create = pci_create };

static void on_wire(void *host, unsigned wire) { rises[wire]++; }
static const struct hw_host_ops wire_ops = { .wire = on_wire };

static int setup(void **state)
{
	explain_enable();
	memset(rises, 0, sizeof(rises));
	*state = hw_device_create(&toy_model, "toy.0", NULL, &wire_ops, NULL, (struct hw_iommu *)fake_ram, 0x300);
	assert_false(IS_ERR(*state));
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static void test_layout(void **state)
{
	struct hw_platform_layout layout;

	hw_platform_layout(*state, &layout);
	assert_int_equal(layout.nr_regions, HW_REGIONS);
	assert_int_equal(layout.region[0].size_bytes, 0x3000);
	assert_false(layout.region[0].readonly);
	assert_int_equal(layout.region[1].size_bytes, 0x10);
	assert_true(layout.region[1].readonly);
	assert_int_equal(layout.nr_wires, HW_WIRES);
	assert_false(layout.level[0]);
	assert_true(layout.level[1]);
	assert_true(layout.resettable);
}

static void test_accesses(void **state)
{
	void *hw = *state;
	int fd;
	u64 off, len;

	assert_int_equal(hw_bar_read(hw, 0, 0, 4), 0x55667700);
	assert_int_equal(hw_bar_read(hw, 1, 0xc, 4), 0x55667701);
	assert_int_equal(hw_bar_read(hw, 1, 0x10, 4), ~0ull);
	hw_bar_write(hw, 0, 8, 4, 0x1234);
	assert_int_equal(last_val, 0x1234);
	hw_bar_write(hw, 1, 8, 4, 0x5678); /* read-only: the model is not told */
	assert_int_equal(last_val, 0x1234);
	hw_bar_write(hw, 0, 0x1008, 8, 99);
	assert_int_equal(((u64 *)hw_bar_memory(hw, 0))[0x1008 / 8], 99);
	assert_int_equal(hw_bar_page(hw, 0, 0x1000, &fd, &off, &len), HW_PAGE_DIRECT);
	assert_int_equal(len, 0x1000);
	assert_int_equal(hw_bar_page(hw, 1, 0, &fd, &off, &len), HW_PAGE_TRAPPED);
	assert_int_equal(len, 0x10);
}

static void test_wires(void **state)
{
	struct hw_device *hw = *state;

	hw_wire_pulse(hw, 0);
	hw_wire_pulse(hw, 0);
	assert_int_equal(rises[0], 2);
	assert_false(hw_wire_level(hw, 0));
	hw_wire(hw, 1, true);
	hw_wire(hw, 1, true); /* is high already */
	assert_int_equal(rises[1], 1);
	assert_true(hw_wire_level(hw, 1));
	hw_wire(hw, 1, false);
	hw_wire(hw, 1, true);
	assert_int_equal(rises[1], 2);
	hw_wire(hw, HW_WIRES, true); /* no such wire */
	assert_false(hw_wire_level(hw, HW_WIRES));
}

static void test_reset(void **state)
{
	struct hw_device *hw = *state;
	u8 byte = 1;

	assert_int_equal(hw_dma_write(dma, FAKE_IOVA, &byte, 1), 0); /* without any command register */
	hw_wire(hw, 1, true);
	resets = 0;
	hw_platform_reset(hw);
	assert_int_equal(resets, 1);
	assert_false(hw_wire_level(hw, 1));
	assert_int_equal(hw_dma_write(dma, FAKE_IOVA, &byte, 1), 0);
}

static void test_not_for_pci(void **state)
{
	hw_device_destroy(fake_create_ok(&pci_model, NULL));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_layout), T(test_accesses), T(test_wires), T(test_reset), cmocka_unit_test(test_not_for_pci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
