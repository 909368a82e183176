/* SPDX-License-Identifier: BSD-3-Clause */
/* fork_test.c - who waits for whom, and who does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/lib/fork.h"

static atomic_int stage;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void until(int which)
{
	while (atomic_load(&stage) < which)
		usleep(100);
}

/* Each waits at stage 1 inside, and leaves at stage 2. */
static void *changes(void *arg)
{
	FORK_CHANGE;

	atomic_store(&stage, 1);
	until(2);
	usleep(20000);
	atomic_store(&stage, 3);
	return arg;
}

static void *serves(void *arg)
{
	fork_serve_begin();
	atomic_store(&stage, 1);
	until(2);
	usleep(20000);
	atomic_store(&stage, 3);
	fork_serve_end();
	return arg;
}

static void waits_for(void *(*fn)(void *))
{
	pthread_t thread;
	unsigned held;

	atomic_store(&stage, 0);
	assert_int_equal(pthread_create(&thread, NULL, fn, NULL), 0);
	until(1);
	atomic_store(&stage, 2);
	held = fork_begin();
	assert_int_equal(atomic_load(&stage), 3);
	fork_end(held, false);
	pthread_join(thread, NULL);
}

static void a_fork_waits_for_changes(void **state)
{
	waits_for(changes);
}

static void a_fork_waits_for_served_calls(void **state)
{
	waits_for(serves);
}

static void *changes_at_once(void *arg)
{
	bool begun = fork_change_begin();

	atomic_store(&stage, 1);
	fork_change_end(begun);
	return arg;
}

static void *serves_at_once(void *arg)
{
	fork_serve_begin();
	atomic_store(&stage, 1);
	fork_serve_end();
	return arg;
}

static void comes_after(void *(*fn)(void *))
{
	unsigned held = fork_begin();
	pthread_t thread;

	atomic_store(&stage, 0);
	assert_int_equal(pthread_create(&thread, NULL, fn, NULL), 0);
	usleep(20000);
	assert_int_equal(atomic_load(&stage), 0);
	fork_end(held, false);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&stage), 1);
}

static void changes_wait_for_a_fork(void **state)
{
	comes_after(changes_at_once);
}

static void served_calls_wait_for_a_fork(void **state)
{
	comes_after(serves_at_once);
}

/* Handlers of other libraries run between, in the same thread. */
static void who_forks_may_change(void **state)
{
	unsigned held = fork_begin();
	bool begun = fork_change_begin();

	assert_false(begun);
	fork_change_end(begun);
	fork_end(held, false);
	begun = fork_change_begin();
	assert_true(begun);
	fork_change_end(begun);
}

/* What fork_begin() returns when nobody keeps it waiting for too long. */
static unsigned held_by_who_has_all(void)
{
	unsigned held = fork_begin();

	fork_end(held, false);
	return held;
}

static void *forks(void *arg)
{
	unsigned *held = arg;

	*held = held_by_who_has_all();
	return arg;
}

/* A fork that waits keeps no change waiting: the one that it waits for may need another.  Else it would have given up. */
static void changes_come_before_who_waits(void **state)
{
	unsigned all = held_by_who_has_all(), held = 0;
	bool one = fork_change_begin(), two;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, forks, &held), 0);
	usleep(50000);
	two = fork_change_begin();
	assert_true(one && two);
	fork_change_end(two);
	fork_change_end(one);
	pthread_join(thread, NULL);
	assert_int_equal(held, all);
}

/* Who never comes to an end is not waited for; and the child has to do with neither. */
static void no_fork_waits_for_ever(void **state)
{
	unsigned all = held_by_who_has_all(), held;
	double since = now();
	pthread_t thread;
	int status;
	pid_t pid;

	atomic_store(&stage, 0);
	assert_int_equal(pthread_create(&thread, NULL, serves, NULL), 0);
	until(1);
	held = fork_begin();
	assert_true(held != all && now() - since > 1.5);
	pid = fork();
	if (!pid) {
		fork_end(held, true);
		held = held_by_who_has_all();
		fork_serve_begin();
		fork_serve_end();
		_exit(held != all);
	}
	fork_end(held, false);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	atomic_store(&stage, 2);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fork_waits_for_changes),
		cmocka_unit_test(a_fork_waits_for_served_calls),
		cmocka_unit_test(changes_wait_for_a_fork),
		cmocka_unit_test(served_calls_wait_for_a_fork),
		cmocka_unit_test(who_forks_may_change),
		cmocka_unit_test(changes_come_before_who_waits),
		cmocka_unit_test(no_fork_waits_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
