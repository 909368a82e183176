/* SPDX-License-Identifier: BSD-3-Clause */
/* inject_test.c - orders of faults: their grammar, when they strike, and what a device then is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <time.h>

#include "hw/core/hw_fake.h"

#define COMMAND 0x04
#define MSI_CTRL (msi + 2)

static int msi;
static unsigned resets;
static u64 reg;
static struct hw_dma *dma;

static int model_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 1, .device = 2, .intx_pin = 1 };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x2000, HW_BAR_MEM32), 0);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x1000, 0x1000, HW_PAGE_DIRECT), 0);
	msi = hw_cap_add_msi(hw, 4, true, true);
	return 0;
}

static uint64_t model_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len) { return reg; }
static void model_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val) { reg = val; }
static void model_reset(struct hw_device *hw) { resets++; }

static const struct hw_model model = {
	.name = "test", .create = model_create, .bar_read = model_read, .bar_write = model_write, .reset = model_reset,
};

static int setup(void **state)
{
	explain_enable();
	resets = 0;
	reg = 5;
	*state = fake_create_ok(&model, NULL);
	hw_config_write(*state, COMMAND, 2, 6);
	dma = hw_dma_open(*state);
	return 0;
}

static int teardown(void **state)
{
	hw_dma_close(dma);
	hw_device_destroy(*state);
	return 0;
}

static void msi_on(void *hw)
{
	hw_config_write(hw, msi + 4, 4, 0xfee01000);
	hw_config_write(hw, MSI_CTRL, 2, 1 | 2 << 4);
}

static void order(void *hw, const char *text) { assert_int_equal(hw_inject(hw, text, false), 0); }
static void order_now(void *hw, const char *text) { assert_int_equal(hw_inject(hw, text, true), 0); }

/* Refused with a reason in which @why occurs, and nothing ordered. */
static void refused(void *hw, const char *text, const char *why)
{
	char open[64];

	explain_begin();
	assert_int_equal(hw_inject(hw, text, true), -EINVAL);
	assert_non_null(explain_take());
	if (!strstr(explain_take(), why))
		print_error("\"%s\" is refused with \"%s\", not \"%s\"\n", text, explain_take(), why);
	assert_non_null(strstr(explain_take(), why));
	explain_begin();
	assert_int_equal(hw_inject_check(text), -EINVAL);
	assert_int_equal(hw_inject_open(hw, open, sizeof(open)), 0);
}

static void test_grammar(void **state)
{
	static const char *const good[] = {
		"dma-fault", "dma-fault@100x5", "lose-irq@3", "lose-irqx2", "lose-irq@2x*", "slow-dma:1us", "slow-dma:60s",
		"slow-dma:10ms@2x*", "spurious-irq:2047@9x3", "hang-reset", "link-down@7", "link-up", "remove@1",
		"dma-fault@18446744073709551615x18446744073709551615", "lose-irq+dma-fault@2+remove@9",
	};
	static const struct { const char *text, *why; } bad[] = {
		{ "", "1 to 63 characters" }, { "+", "1 to 63 characters" }, { "lose-irq+", "1 to 63 characters" },
		{ "nosuch", "there is no fault \"nosuch\"; there are dma-fault" }, { "lose-irq-twice", "there is no fault" },
		{ "lose-irq@", "behind @" }, { "lose-irq@0", "behind @" }, { "lose-irq@-1", "behind @" },
		{ "lose-irq@99999999999999999999", "behind @" }, { "lose-irqx", "behind x" }, { "lose-irqx0", "behind x" },
		{ "lose-irq@3y", "is not understood" }, { "lose-irq@3x2x2", "is not understood" },
		{ "lose-irqx2@3", "is not understood" }, { "lose-irq:3", "takes no argument" },
		{ "slow-dma:3", "a delay is written" }, { "slow-dma:", "a delay is written" },
		{ "slow-dma:61s", "a delay is written" }, { "slow-dma:99999999999999999us", "a delay is written" },
		{ "spurious-irq:2048", "below 2048" }, { "spurious-irq:x", "below 2048" }, { "link-downx2", "happens once" },
		{ "remove@2x*", "happens once" }, { "lose-irq@3+nosuch", "there is no fault" },
		{ "lose-irq@1111111111111111111111111111111111111111111111111111111", "1 to 63 characters" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		refused(*state, bad[i].text, bad[i].why);
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(hw_inject_check(good[i]), 0);
}

static void test_help(void **state)
{
	const char *text = NULL, *name;
	unsigned n = 0;

	for (; (name = hw_inject_help(n, &text)); n++) {
		assert_int_equal(hw_inject_check(name), 0);
		assert_true(*text);
	}
	assert_true(n >= 8);
}

static void test_lost_interrupt(void **state)
{
	void *hw = *state;

	msi_on(hw);
	order(hw, "lose-irq@2x2");
	for (unsigned i = 0; i < 5; i++)
		assert_true(hw_msi(hw, i % 4));
	assert_int_equal(fake.nr_msi, 3);
	assert_int_equal(fake.data[0] & 3, 0);
	assert_int_equal(fake.data[1] & 3, 3);
	assert_non_null(strstr(fake.explain, "injected lose-irq@2x2 strikes at interrupt 3: vector 2 is lost"));
}

/* Without MSI there is nothing to lose yet: the device must hear so, and use its pin. */
static void test_lost_pin(void **state)
{
	void *hw = *state;

	order(hw, "lose-irq");
	assert_false(hw_msi(hw, 0));
	hw_intx(hw, true);
	assert_int_equal(fake.nr_intx, 0);
	hw_intx(hw, false);
	hw_intx(hw, true);
	assert_true(fake.intx);
	assert_non_null(strstr(fake.explain, "the pin's interrupt is lost"));
}

static void test_spurious_interrupt(void **state)
{
	void *hw = *state;

	order(hw, "spurious-irq:3@2");
	hw_bar_read(hw, 0, 0, 4);
	assert_int_equal(fake.nr_msi, 0);
	hw_bar_read(hw, 0, 0, 4); /* MSI is off: the pin */
	assert_int_equal(fake.nr_msi, 0);
	assert_int_equal(fake.nr_intx, 2);
	assert_false(fake.intx);
	msi_on(hw);
	order_now(hw, "spurious-irq:3x2");
	assert_int_equal(fake.nr_msi, 2);
	assert_int_equal(fake.data[0] & 3, 3);
	hw_bar_read(hw, 0, 0, 4);
	assert_int_equal(fake.nr_msi, 2);
}

static void test_dma(void **state)
{
	struct timespec before, after;
	void *hw = *state;
	char buf[8];

	order(hw, "dma-fault@2x2+slow-dma:30ms@4");
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), 0);
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), -EFAULT);
	assert_int_equal(hw_dma_write(dma, FAKE_IOVA, buf, 8), -EFAULT);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 29);
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), 0);
}

static void test_for_ever(void **state)
{
	void *hw = *state;
	char buf[8], open[64];

	order(hw, "dma-fault@2x*");
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), -EFAULT);
	assert_int_equal(hw_inject_open(hw, open, sizeof(open)), 1);
	assert_string_equal(open, "dma-fault@2x*");
}

static void gone(void *hw)
{
	char buf[8];
	u64 fd_off, len;
	int fd;

	assert_true(hw_is_down(hw));
	assert_int_equal(hw_config_read(hw, 0, 4), ~0u);
	assert_int_equal(hw_config_read(hw, 0, 2), 0xffff);
	assert_int_equal(hw_bar_read(hw, 0, 0, 4), 0xffffffffull);
	assert_int_equal(hw_bar_read(hw, 0, 0x1000, 8), ~0ull);
	hw_bar_write(hw, 0, 0, 4, 77);
	assert_int_equal(reg, 5);
	assert_int_equal(hw_bar_page(hw, 0, 0x1000, &fd, &fd_off, &len), HW_PAGE_TRAPPED);
	assert_int_equal(fd, -1);
	assert_int_equal(len, 0x1000);
	assert_int_equal(hw_dma_read(dma, FAKE_IOVA, buf, 8), -EFAULT);
	assert_true(hw_msi(hw, 0)); /* enabled as far as the device knows, and lost */
	assert_int_equal(fake.nr_msi, 0);
}

static void there(void *hw)
{
	u64 fd_off, len;
	int fd;

	assert_false(hw_is_down(hw));
	assert_int_equal(hw_config_read(hw, 0, 4), 0x00020001);
	assert_int_equal(hw_bar_read(hw, 0, 0, 4), 5);
	assert_int_equal(hw_bar_page(hw, 0, 0x1000, &fd, &fd_off, &len), HW_PAGE_DIRECT);
}

static void test_link(void **state)
{
	void *hw = *state;

	msi_on(hw);
	order(hw, "link-down@2");
	there(hw);
	hw_bar_read(hw, 0, 0, 4);
	gone(hw);
	assert_true(fake.link_down);
	assert_int_equal(fake.nr_pages, 1);
	assert_int_equal(resets, 0);
	order_now(hw, "link-up");
	assert_false(fake.link_down);
	assert_int_equal(fake.nr_pages, 2);
	assert_int_equal(resets, 1);
	there(hw);
	assert_int_equal(hw_config_read(hw, COMMAND, 2), 0); /* as after a reset */
}

static void test_removal(void **state)
{
	void *hw = *state;

	msi_on(hw);
	order(hw, "remove");
	assert_int_equal(hw_bar_read(hw, 0, 0, 4), 0xffffffffull);
	gone(hw);
	assert_int_equal(fake.nr_removed, 1);
	hw_reset(hw, true); /* does not help */
	assert_true(hw_is_down(hw));
}

static void test_hanging_reset(void **state)
{
	void *hw = *state;

	msi_on(hw);
	order(hw, "hang-reset@2");
	hw_reset(hw, false);
	there(hw);
	hw_config_write(hw, COMMAND, 2, 6);
	msi_on(hw);
	hw_reset(hw, false);
	assert_true(hw_is_down(hw));
	assert_int_equal(hw_config_read(hw, 0, 4), ~0u);
	assert_false(fake.link_down);
	hw_reset(hw, true);
	there(hw);
}

/* A device without AER says that nobody hears of it. */
static void test_no_aer(void **state)
{
	order_now(*state, "aer-fatal");
	assert_non_null(strstr(fake.explain, "the device has no AER capability"));
}

static void test_counted(void **state)
{
	struct hw_stats stats;
	char buf[8];

	order(*state, "dma-faultx3");
	for (unsigned i = 0; i < 5; i++)
		hw_dma_read(dma, FAKE_IOVA, buf, 8);
	hw_stats_get(*state, &stats);
	assert_int_equal(stats.injected, 3);
	assert_int_equal(stats.dma_faults, 3);
}

/* What strikes at once takes no place; what waits does, up to a limit. */
static void test_many(void **state)
{
	unsigned n = 0;

	msi_on(*state);
	for (unsigned i = 0; i < 20000; i++)
		order_now(*state, "spurious-irq");
	while (n < 20000 && !hw_inject(*state, "lose-irq@1000000000", false))
		n++;
	assert_in_range(n, 10000, 10001);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_grammar), T(test_help), T(test_lost_interrupt), T(test_lost_pin), T(test_spurious_interrupt), T(test_dma),
		T(test_for_ever), T(test_link), T(test_removal), T(test_hanging_reset), T(test_no_aer), T(test_counted), T(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
