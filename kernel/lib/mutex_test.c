/* SPDX-License-Identifier: BSD-3-Clause */
/* mutex_test.c - locks lock; with -Dlockdep=true a wrong order ends the process and names both ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

static struct mutex outer = MUTEX_INITIALIZER(LOCK_VFIO_CONTAINER);
static struct mutex inner = MUTEX_INITIALIZER(LOCK_VMA);

static void right_order_works(void **state)
{
	struct mutex own;

	mutex_init(&own, LOCK_LOG);
	mutex_lock(&outer);
	mutex_lock(&inner);
	mutex_lock(&own);
	lockdep_assert_held(&inner);
	/* Released in any order. */
	mutex_unlock(&outer);
	mutex_unlock(&own);
	mutex_unlock(&inner);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	mutex_destroy(&own);
}

static void *try_outer(void *arg)
{
	if (!mutex_trylock(&outer))
		return arg;
	mutex_unlock(&outer);
	return NULL;
}

static void trylock_says_busy(void **state)
{
	pthread_t thread;
	void *busy;

	mutex_lock(&outer);
	assert_int_equal(pthread_create(&thread, NULL, try_outer, &outer), 0);
	pthread_join(thread, &busy);
	assert_ptr_equal(busy, &outer);
	mutex_unlock(&outer);
	assert_null(try_outer(&outer));
}

#ifdef LOCKDEP
/* Runs @mistake in a child and returns what it said before it was aborted. */
static void expect_abort(void (*mistake)(void), const char *word1, const char *word2)
{
	char text[512] = "";
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		mistake();
		_exit(0);
	}
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, word1));
	assert_non_null(strstr(text, word2));
}

static void wrong_order(void)
{
	mutex_lock(&inner);
	mutex_lock(&outer);
}

static void same_twice(void)
{
	mutex_lock(&inner);
	mutex_lock(&inner);
}

static void not_mine(void)
{
	mutex_unlock(&inner);
}

static void not_held(void)
{
	lockdep_assert_held(&outer);
}

static void mistakes_are_found(void **state)
{
	expect_abort(wrong_order, "LOCK_VFIO_CONTAINER", "LOCK_VMA");
	expect_abort(same_twice, "LOCK_VMA", "out of order");
	expect_abort(not_mine, "LOCK_VMA", "does not hold");
	expect_abort(not_held, "LOCK_VFIO_CONTAINER", "must be held");
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_order_works),
		cmocka_unit_test(trylock_says_busy),
#ifdef LOCKDEP
		cmocka_unit_test(mistakes_are_found),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
