/* SPDX-License-Identifier: BSD-3-Clause */
/* explain_test.c - a reason is said once, belongs to its thread, and costs nothing unasked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/types.h"

static int evaluated;

static int count_evaluation(void)
{
	return ++evaluated;
}

static int on(void **state)
{
	explain_enabled = true;
	explain_begin();
	return 0;
}

static void off_costs_nothing(void **state)
{
	explain_enabled = false;
	explain_begin();
	evaluated = 0;
	assert_int_equal(fail(-EINVAL, "number %d", count_evaluation()), -EINVAL);
	explain_note("number %d", count_evaluation());
	explain_event("number %d", count_evaluation());
	assert_int_equal(evaluated, 0);
	assert_null(explain_take());
	explain_enable();
	assert_int_equal(fail(-EINVAL, "number %d", count_evaluation()), -EINVAL);
	assert_int_equal(evaluated, 1);
	assert_string_equal(explain_take(), "number 1");
}

static void reasons_join_innermost_first(void **state)
{
	assert_null(explain_take());
	assert_int_equal(fail(-EFAULT, "page 0x%x is not mapped", 0x1000), -EFAULT);
	assert_string_equal(explain_take(), "page 0x1000 is not mapped");
	assert_int_equal(fail(-ENOMEM, "so nothing was pinned"), -ENOMEM);
	assert_string_equal(explain_take(), "page 0x1000 is not mapped; so nothing was pinned");
	explain_begin();
	assert_null(explain_take());
}

static void notes_are_kept_apart(void **state)
{
	(void)fail(-EBUSY, "first try");
	explain_note("nothing was mapped there");
	assert_string_equal(explain_take_notes(), "nothing was mapped there");
	assert_string_equal(explain_take(), "first try; nothing was mapped there");
	explain_begin();
	assert_null(explain_take_notes());
	explain_note("only a note");
	assert_string_equal(explain_take(), "only a note");
}

static void too_much_text_is_cut(void **state)
{
	char word[300];
	size_t len;

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		assert_int_equal(fail(-EIO, "%s %d", word, i), -EIO);
	len = strlen(explain_take());
	assert_in_range(len, 600, 1023);
	assert_string_equal(explain_take() + len - 3, "...");
	assert_int_equal(strncmp(explain_take(), word, sizeof(word) - 1), 0);
}

static void errno_is_kept(void **state)
{
	errno = 4711;
	(void)fail(-EIO, "%s", "words");
	explain_note("%s", "words");
	assert_int_equal(errno, 4711);
}

static char last_line[4096];

static void *other_thread(void *arg)
{
	return (void *)(explain_take() == NULL && fail(-EIO, "other") == -EIO ? NULL : arg);
}

static void each_thread_has_its_own(void **state)
{
	pthread_t thread;
	void *bad;

	(void)fail(-EIO, "mine");
	assert_int_equal(pthread_create(&thread, NULL, other_thread, last_line), 0);
	assert_int_equal(pthread_join(thread, &bad), 0);
	assert_null(bad);
	assert_string_equal(explain_take(), "mine");
}

static void keep_line(const char *line)
{
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void events_go_to_the_sink(void **state)
{
	explain_set_sink(keep_line);
	explain_event("DMA to iova 0x%x faults", 0x2000);
	assert_string_equal(last_line, "softvfio: DMA to iova 0x2000 faults");
	/* An event belongs to no call. */
	assert_null(explain_take());
	explain_set_sink(NULL);
}

static void without_a_sink_lines_go_to_stderr(void **state)
{
	int pipe_fds[2];
	int saved = dup(STDERR_FILENO);
	char text[128] = "";

	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	explain_print("softvfio: one line");
	dup2(saved, STDERR_FILENO);
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], text, sizeof(text) - 1), 19);
	assert_string_equal(text, "softvfio: one line\n");
	close(pipe_fds[0]);
	close(saved);
}

/* A reason quotes what the program wrote. */
static void a_quoted_text_makes_no_second_line(void **state)
{
	explain_set_sink(keep_line);
	explain_print("softvfio: no device a\nsoftvfio: b\x1b[2J\x7f\xc3\xa9");
	assert_string_equal(last_line, "softvfio: no device a?softvfio: b?[2J?\xc3\xa9");
	explain_set_sink(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(off_costs_nothing, on),
		cmocka_unit_test_setup(reasons_join_innermost_first, on),
		cmocka_unit_test_setup(notes_are_kept_apart, on),
		cmocka_unit_test_setup(too_much_text_is_cut, on),
		cmocka_unit_test_setup(errno_is_kept, on),
		cmocka_unit_test_setup(each_thread_has_its_own, on),
		cmocka_unit_test_setup(events_go_to_the_sink, on),
		cmocka_unit_test_setup(a_quoted_text_makes_no_second_line, on),
		cmocka_unit_test_setup(without_a_sink_lines_go_to_stderr, on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
