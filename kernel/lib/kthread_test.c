/* SPDX-License-Identifier: BSD-3-Clause */
/* kthread_test.c - our threads are deaf to the program's signals, but not to their own faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "kernel/lib/err.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

struct seen {
	uint64_t mask;
	char name[16];
};

static void *look(void *arg)
{
	struct seen *seen = arg;

	sys_sigprocmask(SIG_SETMASK, NULL, &seen->mask);
	prctl(PR_GET_NAME, seen->name);
	return seen;
}

static bool blocked(const struct seen *seen, int sig)
{
	return seen->mask >> (sig - 1) & 1;
}

static void masks_and_name(void **state)
{
	static const int open_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, 32, 33 };
	struct seen seen = { 0 };
	uint64_t before, after;
	pthread_t thread;
	void *ret;

	sys_sigprocmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(kthread_run(&thread, "softvfio-a-very-long-name", look, &seen), 0);
	assert_int_equal(pthread_join(thread, &ret), 0);
	sys_sigprocmask(SIG_SETMASK, NULL, &after);

	assert_ptr_equal(ret, &seen);
	assert_string_equal(seen.name, "softvfio-a-very");
	for (size_t i = 0; i < ARRAY_SIZE(open_signals); i++)
		assert_false(blocked(&seen, open_signals[i]));
	assert_true(blocked(&seen, SIGALRM));
	assert_true(blocked(&seen, SIGUSR1));
	assert_true(blocked(&seen, SIGTERM));
	assert_true(blocked(&seen, 64));
	/* The caller's own mask is as it was. */
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
