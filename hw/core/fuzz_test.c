/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_test.c - a driver gone mad: random accesses to config space and BARs of whole devices.
 *
 * What must hold whatever it does: identity and capability list never change, config reads give what
 * fits in their width, a reset brings the first state back.  The seed is printed and can be given as
 * SEED to run the same again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "hw/core/hw_fake.h"

#define STEPS 200000

extern const struct hw_model edu_model, root_port_model;

static u64 rng;

static u32 rnd(u32 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 16) % below;
}

static int msix_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 9, .device = 8, .intx_pin = 2, .express = true };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x4000, HW_BAR_MEM64), 0);
	assert_int_equal(hw_bar_add(hw, 2, 64, HW_BAR_IO), 0);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x1000, 0x1000, HW_PAGE_DIRECT), 0);
	assert_true(hw_cap_add_msix(hw, 33, 0, 0x2000, 0x3000) > 0);
	assert_true(hw_cap_add_msi(hw, 16, true, true) > 0);
	assert_true(hw_cap_add_pm(hw, false) > 0);
	return hw_cap_add_express(hw, true) < 0;
}

static const struct hw_model msix_model = { .name = "msix", .create = msix_create };

static u32 interesting(void)
{
	static const u32 values[] = { 0,    1,	      2,       3,      4,      6,      7,  0x20,
				      0x80, 0x100000, 0x40000, 0x8000, 0xc000, 0xffff, ~0u };

	return rnd(3) ? values[rnd(ARRAY_SIZE(values))] : rnd(~0u);
}

static void step(struct hw_device *hw)
{
	unsigned len = 1u << rnd(4), bar = rnd(9), what = rnd(8);
	u64 off = rnd(4) ? rnd(0x40) * 4 : rnd(0x110000);

	if (what < 2)
		hw_config_write(hw, rnd(0x120), len, interesting());
	else if (what == 2)
		assert_true(len >= 4 || hw_config_read(hw, rnd(256), len) < 1ull << 8 * len);
	else if (what == 3)
		hw_msi(hw, rnd(70));
	else if (what == 4)
		hw_intx(hw, rnd(2));
	else if (what == 5)
		hw_bar_read(hw, bar, rnd(2) ? off : 0x2000 + off, len);
	else
		hw_bar_write(hw, rnd(3) ? 0 : bar, rnd(2) ? off : 0x2000 + off, rnd(2) ? len : rnd(70),
			     interesting());
	if (!rnd(2000))
		hw_reset(hw, rnd(2));
}

static void take_config(struct hw_device *hw, u8 *bytes)
{
	for (unsigned i = 0; i < hw_config_size(hw); i++)
		bytes[i] = (u8)hw_config_read(hw, i, 1);
}

/* Which capability stands where. */
static void check_identity(struct hw_device *hw, const u8 *first)
{
	assert_int_equal(hw_config_read(hw, 0, 4),
			 first[0] | first[1] << 8 | first[2] << 16 | first[3] << 24);
	assert_int_equal(hw_config_read(hw, 0x34, 1), first[0x34]);
	for (unsigned at = first[0x34]; at; at = first[at + 1])
		assert_int_equal(hw_config_read(hw, at, 2), first[at] | first[at + 1] << 8);
}

static void run(const struct hw_model *model)
{
	static u8 first[4096], last[4096];
	struct hw_device *hw = fake_create_ok(model, NULL);

	take_config(hw, first);
	for (unsigned i = 0; i < STEPS; i++) {
		step(hw);
		if (i % 64 == 0)
			check_identity(hw, first);
	}
	hw_reset(hw, false);
	take_config(hw, last);
	assert_memory_equal(first, last, hw_config_size(hw));
	hw_device_destroy(hw);
}

static void test_edu(void **state) { run(&edu_model); }
static void test_root_port(void **state) { run(&root_port_model); }
static void test_msix(void **state) { run(&msix_model); }

int main(void)
{
	const char *seed = getenv("SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edu), cmocka_unit_test(test_root_port), cmocka_unit_test(test_msix),
	};

	rng = seed ? strtoull(seed, NULL, 0) : (u64)time(NULL) * 2654435761u + 1;
	print_message("SEED=0x%llx\n", (unsigned long long)rng);
	rng = rng ? rng : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
