/* SPDX-License-Identifier: BSD-3-Clause */
/* show_test.c - lines that fit, and lines that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "kernel/lib/show.h"

static void test_fits(void **state)
{
	char buf[32];
	struct show s;

	show_begin(&s, buf, sizeof(buf));
	assert_int_equal(show_end(&s), 0);
	assert_string_equal(buf, "");
	show(&s, "group %d\n", 7);
	show(&s, "map %s\n", "rw");
	assert_int_equal(show_end(&s), 15);
	assert_string_equal(buf, "group 7\nmap rw\n");
}

/* Whole lines only, nothing after the first that does not fit, and never past the end. */
static void test_cut(void **state)
{
	char buf[64];

	for (size_t size = 16; size < sizeof(buf); size++) {
		struct show s;

		memset(buf, '#', sizeof(buf));
		show_begin(&s, buf, size);
		for (int i = 0; i < 20; i++)
			show(&s, "line %d\n", i);
		show(&s, "x\n");
		assert_true(show_end(&s) < size);
		assert_int_equal(strlen(buf), s.len);
		assert_string_equal(buf + s.len - 4, "cut\n");
		assert_true(s.len == 4 || buf[s.len - 5] == '\n');
		assert_int_equal(buf[size], '#');
		assert_null(strchr(buf, 'x'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_fits), cmocka_unit_test(test_cut) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
