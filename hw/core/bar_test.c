/* SPDX-License-Identifier: BSD-3-Clause */
/* bar_test.c - who answers an access, page kinds, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/core/hw_fake.h"

static unsigned nr_reads, nr_writes, last_len;
static u64 last_off, last_val;
static uint64_t opt_num, opt_size;

/* BAR 0: a trapped page, two direct ones, a read-direct one; the table of MSI-X in the last. */
static int model_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 1, .device = 2 };
	int err;

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x8000, HW_BAR_MEM32), 0);
	assert_int_equal(hw_bar_add(hw, 1, 0x1000, HW_BAR_MEM32), 0);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x1000, 0x2000, HW_PAGE_DIRECT), 0);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x3000, 0x1000, HW_PAGE_READ_DIRECT), 0);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x3000, 0x800, HW_PAGE_DIRECT), -EINVAL);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x8000, 0x1000, HW_PAGE_DIRECT), -EINVAL);
	assert_int_equal(hw_bar_set_pages(hw, 2, 0, 0x1000, HW_PAGE_DIRECT), -EINVAL);
	assert_int_equal(hw_cap_add_msix(hw, 4, 0, 0x2000, 0x7800), -EINVAL); /* in a direct page */
	assert_int_equal(hw_cap_add_msix(hw, 4, 0, 0x7000, 0x7020), -EINVAL); /* overlap */
	assert_int_equal(hw_cap_add_msix(hw, 4, 0, 0x7ff0, 0x7000), -EINVAL); /* behind the end */
	assert_int_equal(hw_cap_add_msix(hw, 4, 2, 0, 0x800), -EINVAL);
	assert_int_equal(hw_cap_add_msix(hw, 2049, 0, 0, 0x800), -EINVAL);
	assert_true(hw_cap_add_msix(hw, 4, 0, 0x7000, 0x7800) > 0);
	assert_int_equal(hw_cap_add_msix(hw, 4, 0, 0x6000, 0x6800), -EBUSY);
	assert_int_equal(hw_bar_set_pages(hw, 0, 0x7000, 0x1000, HW_PAGE_DIRECT), -EINVAL);
	assert_null(hw_bar_memory(hw, 1));
	assert_non_null(hw_bar_memory(hw, 0));
	err = hw_option_u64(hw, "num", 7, 1, 100, &opt_num);
	return err ? err : hw_option_size(hw, "size", 4096, 1, 1ull << 40, &opt_size);
}

static uint64_t model_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len)
{
	nr_reads++;
	last_off = off;
	last_len = len;
	return 0x1122334455667700ull | (off & 0xff);
}

static void model_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	nr_writes++;
	last_off = off;
	last_len = len;
	last_val = val;
}

static const struct hw_key keys[] = { { "num", "N", "" }, { "size", "SIZE", "" }, { 0 } };
static const struct hw_model model = {
	.name = "test",
	.keys = keys,
	.create = model_create,
	.bar_read = model_read,
	.bar_write = model_write,
};

static int setup(void **state)
{
	nr_reads = nr_writes = 0;
	*state = fake_create_ok(&model, NULL);
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static void test_trapped(void **state)
{
	void *hw = *state;

	assert_int_equal(hw_bar_read(hw, 0, 0x10, 4), 0x55667710);
	assert_int_equal(hw_bar_read(hw, 1, 0x18, 8), 0x1122334455667718ull);
	assert_int_equal(hw_bar_read(hw, 0, 3, 1), 3);
	assert_int_equal(nr_reads, 3);
	hw_bar_write(hw, 0, 0x20, 2, 0xabcd1234);
	assert_int_equal(nr_writes, 1);
	assert_int_equal(last_val, 0x1234);
	assert_int_equal(last_len, 2);
}

static void test_odd_accesses_are_split(void **state)
{
	void *hw = *state;

	hw_bar_write(hw, 0, 6, 4, 0x44332211);
	assert_int_equal(nr_writes, 2);
	assert_int_equal(last_off, 8);
	assert_int_equal(last_len, 2);
	assert_int_equal(last_val, 0x4433);
	assert_int_equal(hw_bar_read(hw, 0, 1, 3), 0x770201);
	assert_int_equal(nr_reads, 2);
}

static void test_absent(void **state)
{
	void *hw = *state;

	assert_int_equal(hw_bar_read(hw, 2, 0, 4), ~0ull);
	assert_int_equal(hw_bar_read(hw, 7, 0, 4), ~0ull);
	assert_int_equal(hw_bar_read(hw, HW_ROM_BAR, 0, 4), ~0ull);
	assert_int_equal(hw_bar_read(hw, 0, 0x8000, 1), ~0ull);
	assert_int_equal(hw_bar_read(hw, 0, 0x7ffc, 8), ~0ull);
	assert_int_equal(hw_bar_read(hw, 0, ~0ull, 8), ~0ull);
	assert_int_equal(hw_bar_read(hw, 0, 0, 0), ~0ull);
	assert_int_equal(hw_bar_read(hw, 0, 0, 16), ~0ull);
	hw_bar_write(hw, 2, 0, 4, 1);
	hw_bar_write(hw, 0, 0x8000, 4, 1);
	hw_bar_write(hw, 99, 0, 4, 1);
	assert_int_equal(nr_reads + nr_writes, 0);
}

static void test_direct_pages(void **state)
{
	void *hw = *state;
	u8 *mem = hw_bar_memory(hw, 0);

	hw_bar_write(hw, 0, 0x1008, 8, 0x8877665544332211ull);
	assert_int_equal(nr_writes, 0);
	assert_int_equal(mem[0x1008], 0x11);
	assert_int_equal(hw_bar_read(hw, 0, 0x100c, 4), 0x88776655);
	mem[0x3000] = 0x5a;
	assert_int_equal(hw_bar_read(hw, 0, 0x3000, 1), 0x5a);
	hw_bar_write(hw, 0, 0x3000, 1, 0xff); /* stores reach the model */
	assert_int_equal(mem[0x3000], 0x5a);
	assert_int_equal(nr_writes, 1);
	assert_int_equal(nr_reads, 0);
}

static void test_bar_page(void **state)
{
	static const struct {
		u64 off, len;
		int kind;
	} runs[] = {
		{ 0, 0x1000, HW_PAGE_TRAPPED },
		{ 0x1000, 0x2000, HW_PAGE_DIRECT },
		{ 0x2000, 0x1000, HW_PAGE_DIRECT },
		{ 0x3000, 0x1000, HW_PAGE_READ_DIRECT },
		{ 0x4000, 0x4000, HW_PAGE_TRAPPED },
	};
	void *hw = *state;
	u64 fd_off, len;
	int fd;

	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
		assert_int_equal(hw_bar_page(hw, 0, runs[i].off, &fd, &fd_off, &len), runs[i].kind);
		assert_int_equal(len, runs[i].len);
		assert_int_equal(fd >= 0, runs[i].kind != HW_PAGE_TRAPPED);
	}
	assert_int_equal(hw_bar_page(hw, 1, 0, &fd, &fd_off, &len), HW_PAGE_TRAPPED);
	assert_int_equal(len, 0x1000);
	assert_int_equal(hw_bar_page(hw, 0, 0x8000, &fd, &fd_off, &len), HW_PAGE_TRAPPED);
	assert_int_equal(len, 0);
	assert_int_equal(hw_bar_page(hw, 6, 0, &fd, &fd_off, &len), HW_PAGE_TRAPPED);
}

static void test_bar_page_maps(void **state)
{
	void *hw = *state;
	u64 fd_off, len;
	u8 *p;
	int fd;

	hw_bar_page(hw, 0, 0x1000, &fd, &fd_off, &len);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)fd_off);
	assert_ptr_not_equal(p, MAP_FAILED);
	p[0x123] = 0x77;
	assert_int_equal(hw_bar_read(hw, 0, 0x1123, 1), 0x77);
	munmap(p, len);
	assert_int_equal(ftruncate(fd, 0), -1); /* sealed: a program cannot pull it away */
}

static void test_msix_pages_are_ours(void **state)
{
	void *hw = *state;

	hw_bar_write(hw, 0, 0x7000, 4, 0xfee00000);
	assert_int_equal(nr_writes, 0);
	assert_int_equal(hw_bar_read(hw, 0, 0x7000, 4), 0xfee00000);
	hw_bar_write(hw, 0, 0x7040, 4, 1); /* behind the table's four entries */
	assert_int_equal(nr_writes, 1);
}

static void option_ok(const char *num, const char *size, u64 want_num, u64 want_size)
{
	const struct hw_option_kv options[] = { { "num", num }, { "size", size }, { 0 } };
	struct hw_device *hw = fake_create_ok(&model, options);

	assert_int_equal(opt_num, want_num);
	assert_int_equal(opt_size, want_size);
	assert_string_equal(hw_option(hw, "num"), num);
	hw_device_destroy(hw);
}

static void option_fails(const char *key, const char *value, const char *why)
{
	const struct hw_option_kv options[] = { { key, value }, { 0 } };

	fake_create_fails(&model, options, -EINVAL, why);
}

static void test_options(void **state)
{
	option_ok("1", "64M", 1, 64ull << 20);
	option_ok("0x10", "1t", 16, 1ull << 40);
	option_ok("100", "512", 100, 512);
	option_fails("num", "101", "not in [1, 100]");
	option_fails("num", "0", "not in [1, 100]");
	option_fails("num", "1K", "is no number");
	option_fails("num", "-1", "is no number");
	option_fails("num", "", "is no number");
	option_fails("size", "64MB", "is no number");
	option_fails("size", "99999999999999999999", "is no number");
	option_fails("size", "18014398509481985K", "is no number");
	option_fails("sise", "1", "test has no key sise; it knows num, size");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_trapped),
		T(test_odd_accesses_are_split),
		T(test_absent),
		T(test_direct_pages),
		T(test_bar_page),
		T(test_bar_page_maps),
		T(test_msix_pages_are_ours),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
