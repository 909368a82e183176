/* SPDX-License-Identifier: BSD-3-Clause */
/* irq_test.c - MSI, MSI-X and the pin: masking, pending, gating, and what is explained when one is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "hw/core/hw_fake.h"

#define COMMAND 0x04
#define VECTORS 70u /* more than one word of pending bits */
#define TABLE 0x000
#define PBA 0x800

static int msi, msix;
static u8 pin = 1;

static int model_create(struct hw_device *hw)
{
	const struct hw_pci_id id = { .vendor = 1, .device = 2, .intx_pin = pin };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x1000, HW_BAR_MEM32), 0);
	msi = hw_cap_add_msi(hw, 8, true, true);
	msix = hw_cap_add_msix(hw, VECTORS, 0, TABLE, PBA);
	return 0;
}

static const struct hw_model model = { .name = "test", .create = model_create };

static int setup(void **state)
{
	explain_enable();
	*state = fake_create_ok(&model, NULL);
	hw_config_write(*state, COMMAND, 2, 4);
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static void explained(const char *text)
{
	assert_non_null(strstr(fake.explain, text));
	fake.explain[0] = 0;
}

static void msi_enable(void *hw, unsigned lg2_granted)
{
	hw_config_write(hw, msi + 4, 4, 0xfee01000);
	hw_config_write(hw, msi + 8, 4, 0x1);
	hw_config_write(hw, msi + 12, 2, 0x4320);
	hw_config_write(hw, msi + 2, 2, 1 | lg2_granted << 4);
}

static void msix_vector(void *hw, unsigned v, bool masked)
{
	hw_bar_write(hw, 0, TABLE + 16 * v, 8, 0x1fee02000ull);
	hw_bar_write(hw, 0, TABLE + 16 * v + 8, 4, 0x1000 + v);
	hw_bar_write(hw, 0, TABLE + 16 * v + 12, 4, masked);
}

static void test_msi(void **state)
{
	void *hw = *state;

	msi_enable(hw, 3);
	assert_true(hw_msi(hw, 5));
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.addr[0], 0x1fee01000ull);
	assert_int_equal(fake.data[0], 0x4325);
	hw_msi(hw, 13); /* folded */
	assert_int_equal(fake.data[1], 0x4325);
	hw_config_write(hw, msi + 2, 2, 1 | 1 << 4); /* two granted */
	hw_msi(hw, 5);
	assert_int_equal(fake.data[2], 0x4321);
	hw_config_write(hw, msi + 2, 2, 1 | 5 << 4); /* more than it asked for */
	hw_msi(hw, 9);
	assert_int_equal(fake.data[3], 0x4321);
}

static void test_none_enabled(void **state)
{
	assert_false(hw_msi(*state, 0));
	assert_false(hw_msi_enabled(*state));
	assert_int_equal(fake.nr_msi, 0);
}

static void test_no_bus_master(void **state)
{
	void *hw = *state;

	msi_enable(hw, 0);
	hw_config_write(hw, COMMAND, 2, 0);
	assert_true(hw_msi(hw, 0));
	assert_int_equal(fake.nr_msi, 0);
	explained("bus mastering is off");
}

static void test_msi_mask(void **state)
{
	void *hw = *state;

	msi_enable(hw, 3);
	hw_config_write(hw, msi + 16, 4, 0x24);
	hw_msi(hw, 2);
	explained("masked in the MSI mask register");
	hw_msi(hw, 2);
	assert_int_equal(fake.explain[0], 0); /* said once */
	hw_msi(hw, 5);
	assert_int_equal(fake.nr_msi, 0);
	assert_int_equal(hw_config_read(hw, msi + 20, 4), 0x24);
	hw_config_write(hw, msi + 16, 4, 0x20);
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.data[0], 0x4322);
	assert_int_equal(hw_config_read(hw, msi + 20, 4), 0x20);
	hw_config_write(hw, msi + 2, 2, 0); /* off: nothing stays pending */
	assert_int_equal(hw_config_read(hw, msi + 20, 4), 0);
}

static void test_msix_masked_after_reset(void **state)
{
	void *hw = *state;

	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(hw_bar_read(hw, 0, TABLE + 16 * v + 12, 4), 1);
	msix_vector(hw, 3, false);
	hw_reset(hw, false);
	assert_int_equal(hw_bar_read(hw, 0, TABLE + 16 * 3, 8), 0);
	assert_int_equal(hw_bar_read(hw, 0, TABLE + 16 * 3 + 12, 4), 1);
}

static void test_msix(void **state)
{
	void *hw = *state;

	hw_config_write(hw, msix + 2, 2, 0x8000);
	msix_vector(hw, 69, false);
	assert_true(hw_msi(hw, 69));
	assert_int_equal(fake.addr[0], 0x1fee02000ull);
	assert_int_equal(fake.data[0], 0x1000 + 69);
	assert_true(hw_msi(hw, VECTORS));
	assert_int_equal(fake.nr_msi, 1);
	explained("MSI-X has 70 vectors");
	assert_true(hw_msi(hw, ~0u));
	assert_int_equal(fake.nr_msi, 1);
}

static void test_msix_pending(void **state)
{
	void *hw = *state;

	hw_config_write(hw, msix + 2, 2, 0x8000);
	msix_vector(hw, 1, true);
	msix_vector(hw, 69, true);
	hw_msi(hw, 1);
	explained("masked in the MSI-X table");
	hw_msi(hw, 69);
	assert_int_equal(fake.nr_msi, 0);
	assert_int_equal(hw_bar_read(hw, 0, PBA, 8), 1ull << 1);
	assert_int_equal(hw_bar_read(hw, 0, PBA + 8, 4), 1u << 5);
	hw_bar_write(hw, 0, PBA, 8, 0); /* read only */
	assert_int_equal(hw_bar_read(hw, 0, PBA, 1), 2);
	hw_bar_write(hw, 0, TABLE + 16 * 69 + 12, 4, 0);
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.data[0], 0x1000 + 69);
	assert_int_equal(hw_bar_read(hw, 0, PBA + 8, 8), 0);
	hw_bar_write(hw, 0, TABLE + 16 + 8, 8, 0xabcd); /* data and unmask at once */
	assert_int_equal(fake.nr_msi, 2);
	assert_int_equal(fake.data[1], 0xabcd);
}

static void test_msix_function_mask(void **state)
{
	void *hw = *state;

	msix_vector(hw, 0, false);
	msix_vector(hw, 1, false);
	hw_config_write(hw, msix + 2, 2, 0xc000);
	hw_msi(hw, 1);
	hw_msi(hw, 0);
	assert_int_equal(fake.nr_msi, 0);
	hw_config_write(hw, msix + 2, 2, 0x8000);
	assert_int_equal(fake.nr_msi, 2);
	hw_config_write(hw, msix + 2, 2, 0xc000);
	hw_msi(hw, 0);
	hw_config_write(hw, msix + 2, 2, 0);
	hw_config_write(hw, msix + 2, 2, 0x8000); /* disabling forgot what was pending */
	assert_int_equal(fake.nr_msi, 2);
}

static void test_table_by_bytes(void **state)
{
	void *hw = *state;

	hw_bar_write(hw, 0, TABLE + 2, 1, 0xe0);
	hw_bar_write(hw, 0, TABLE + 2, 2, 0xfee0);
	hw_bar_write(hw, 0, TABLE + 1, 1, 0x30);
	assert_int_equal(hw_bar_read(hw, 0, TABLE, 4), 0xfee03000);
	assert_int_equal(hw_bar_read(hw, 0, TABLE + 2, 2), 0xfee0);
	assert_int_equal(hw_bar_read(hw, 0, TABLE + 3, 1), 0xfe);
}

static void test_intx(void **state)
{
	void *hw = *state;

	hw_intx(hw, true);
	assert_true(fake.intx);
	assert_int_equal(hw_config_read(hw, 6, 2) & 8, 8);
	hw_intx(hw, true); /* no edge */
	assert_int_equal(fake.nr_intx, 1);
	hw_config_write(hw, COMMAND, 2, 0x404);
	assert_false(fake.intx);
	assert_int_equal(hw_config_read(hw, 6, 2) & 8, 8); /* status shows the pin before the gate */
	hw_config_write(hw, COMMAND, 2, 0x004);
	assert_true(fake.intx);
	hw_intx(hw, false);
	assert_false(fake.intx);
	assert_int_equal(hw_config_read(hw, 4, 4) & 8u << 16, 0);
	assert_int_equal(fake.nr_intx, 4);
}

static void test_intx_while_msi(void **state)
{
	void *hw = *state;

	msi_enable(hw, 0);
	hw_intx(hw, true);
	assert_int_equal(fake.nr_intx, 0);
	hw_config_write(hw, msi + 2, 2, 0);
	assert_true(fake.intx);
}

static void test_intx_lost(void **state)
{
	void *hw = *state;
	struct hw_device *without;

	hw_config_write(hw, COMMAND, 2, 0x404);
	hw_intx(hw, true);
	assert_int_equal(fake.nr_intx, 0);
	explained("INTx is disabled");
	pin = 0;
	without = fake_create_ok(&model, NULL);
	pin = 1;
	hw_intx(without, true);
	assert_int_equal(fake.nr_intx, 0);
	explained("there is no interrupt pin");
	assert_int_equal(hw_config_read(without, 6, 2) & 8, 0);
	hw_device_destroy(without);
}

static void test_reset_lowers_the_pin(void **state)
{
	void *hw = *state;

	hw_intx(hw, true);
	hw_reset(hw, true);
	assert_false(fake.intx);
	assert_int_equal(hw_config_read(hw, 6, 2) & 8, 0);
}

#define RACE_ROUNDS 20000

static void *race_raise(void *hw)
{
	for (unsigned i = 0; i < RACE_ROUNDS; i++)
		hw_msi(hw, 65);
	return NULL;
}

/* However raising and masking mix, an event is never lost: once unmasked for good, nothing is pending. */
static void test_race_of_mask_and_raise(void **state)
{
	void *hw = *state;
	unsigned before;
	pthread_t thread;

	hw_config_write(hw, msix + 2, 2, 0x8000);
	msix_vector(hw, 65, true);
	assert_int_equal(pthread_create(&thread, NULL, race_raise, hw), 0);
	for (unsigned i = 0; i < RACE_ROUNDS; i++)
		hw_bar_write(hw, 0, TABLE + 16 * 65 + 12, 4, i & 1);
	hw_bar_write(hw, 0, TABLE + 16 * 65 + 12, 4, 1);
	pthread_join(thread, NULL);
	before = fake.nr_msi;
	hw_msi(hw, 65); /* masked now: one event is pending, whatever came before */
	assert_int_equal(fake.nr_msi, before);
	hw_bar_write(hw, 0, TABLE + 16 * 65 + 12, 4, 0);
	assert_int_equal(fake.nr_msi, before + 1);
	assert_int_equal(hw_bar_read(hw, 0, PBA + 8, 8), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_msi),
		T(test_none_enabled),
		T(test_no_bus_master),
		T(test_msi_mask),
		T(test_msix_masked_after_reset),
		T(test_msix),
		T(test_msix_pending),
		T(test_msix_function_mask),
		T(test_table_by_bytes),
		T(test_intx),
		T(test_intx_while_msi),
		T(test_intx_lost),
		T(test_reset_lowers_the_pin),
		T(test_race_of_mask_and_raise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
