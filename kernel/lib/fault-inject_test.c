/* SPDX-License-Identifier: BSD-3-Clause */
/* fault-inject_test.c - which calls fail, of whom; and that memory is refused where it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/fault-inject.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

static struct fault_attr *attr; /* of points */

static u64 me(void)
{
	return fault_task_find(sys_gettid());
}

/* A shared state that is fresh, as each kernel starts. */
static int setup(void **state)
{
	*state = mmap(NULL, fault_inject_state_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*state == MAP_FAILED)
		return -1;
	fault_inject_share(*state);
	attr = fault_attr(FAULT_IOMMUFD);
	return 0;
}

static int teardown(void **state)
{
	fault_inject_share(NULL);
	return munmap(*state, fault_inject_state_bytes());
}

static bool point(void)
{
	return should_fail(FAULT_IOMMUFD, 1);
}

/* Which of the next calls fail, as text: "..x." */
static void must_be(const char *want)
{
	char got[128] = "";

	for (size_t i = 0; i < strlen(want); i++)
		strcat(got, point() ? "x" : ".");
	assert_string_equal(got, want);
}

static void always(int times)
{
	attr->times = times;
	attr->probability = 100;
	fault_arm();
}

static u32 nth_left(void)
{
	u32 nth;

	assert_int_equal(fault_task_get_nth(me(), &nth), 0);
	return nth;
}

static void set_nth(u32 nth)
{
	assert_int_equal(fault_task_set_nth(me(), nth), 0);
}

/* Another version's, of another size. */
static void another_version(void **state)
{
	memset(*state, 0x55, fault_inject_state_bytes());
	fault_inject_share(*state);
	assert_false(fault_armed());
	assert_int_equal(attr->times, 1);
	assert_int_equal(attr->space, 0);
	set_nth(1);
	must_be("x.");
	fault_inject_share(*state); /* our own stays */
	assert_true(fault_armed());
	assert_int_equal(attr->times, 0);
}

/* ---- attributes ---- */

static void nothing_fails_at_first(void **state)
{
	must_be("....");
	assert_false(fault_armed());
	assert_int_equal(attr->times, 1);
	assert_int_equal(attr->interval, 1);
	assert_true(attr->ignore_gfp_wait);
	fault_arm(); /* and not for that alone */
	must_be("....");
}

static void times(void **state)
{
	always(3);
	must_be("xxx...");
	assert_int_equal(attr->times, 0);
	always(-1);
	must_be("xxxxxx");
	assert_int_equal(attr->times, -1);
	always(-5); /* any number but 0 is one more */
	must_be("xxx");
	assert_int_equal(attr->times, -8);
	attr->times = INT32_MIN;
	must_be("x");
	assert_int_equal(attr->times, INT32_MAX);
}

static void space(void **state)
{
	always(-1);
	attr->space = 3; /* what is left must be more than what is wanted */
	must_be("..xx");
	assert_int_equal(attr->space, 1);
	attr->space = -1;
	must_be("x");
	assert_int_equal(attr->space, -1);
	attr->space = 100;
	assert_false(should_fail(FAULT_IOMMUFD, 60));
	assert_true(should_fail(FAULT_IOMMUFD, 60));
	assert_int_equal(attr->space, 40);
}

/* What another question answers takes nothing from space or interval. */
static void order_of_questions(void **state)
{
	always(0);
	attr->space = 10;
	attr->interval = 2;
	must_be("...");
	assert_int_equal(attr->space, 10);
	attr->times = -1;
	attr->probability = 0;
	must_be("...");
	attr->probability = 100;
	attr->task_filter = true;
	must_be("...");
	assert_int_equal(attr->space, 10);
	attr->task_filter = false;
	attr->space = 0;
	must_be(".x.x");
}

static void interval(void **state)
{
	always(-1);
	attr->interval = 0;
	must_be("xx");
	attr->interval = 2;
	must_be(".x.x.x.x.x.x");
	attr->interval = 3; /* goes on counting where it was */
	must_be("..x..x..x..x");
	attr->interval = 5;
	must_be("x....x");
}

static void probability(void **state)
{
	int failed = 0;

	always(-1);
	attr->probability = 30;
	for (int i = 0; i < 10000; i++)
		failed += point();
	assert_in_range(failed, 2700, 3300);
	attr->probability = 1000;
	must_be("xxxx");
}

/* ---- tasks ---- */

static void nth(void **state)
{
	attr->times = 0;
	attr->space = 1000;
	attr->task_filter = true;
	set_nth(3);
	assert_int_equal(nth_left(), 3);
	must_be("..x....");
	assert_int_equal(nth_left(), 0);
	assert_int_equal(attr->times, 0);
	assert_int_equal(attr->space, 1000);
	set_nth(5);
	must_be("...");
	assert_int_equal(nth_left(), 2);
	set_nth(0);
	must_be("....");
	/* While it counts, the attributes are not asked; then they are again. */
	attr->task_filter = false;
	attr->space = 0;
	always(2);
	set_nth(3);
	must_be("..xx..");
	assert_int_equal(attr->times, 0);
}

static void marked(void **state)
{
	bool on;

	always(-1);
	attr->task_filter = true;
	must_be("..");
	assert_int_equal(fault_task_set_make_it_fail(me(), true), 0);
	must_be("xx");
	assert_int_equal(fault_task_get_make_it_fail(me(), &on), 0);
	assert_true(on);
	assert_int_equal(fault_task_set_make_it_fail(me(), false), 0);
	must_be("..");
}

static void *thread_point(void *arg)
{
	*(bool *)arg = point();
	return NULL;
}

static bool in_a_thread(bool ours)
{
	pthread_t thread;
	bool failed;

	if (ours)
		assert_int_equal(kthread_run(&thread, "t", thread_point, &failed), 0);
	else
		assert_int_equal(pthread_create(&thread, NULL, thread_point, &failed), 0);
	pthread_join(thread, NULL);
	return failed;
}

static void threads(void **state)
{
	set_nth(1);
	assert_false(in_a_thread(false)); /* the count is one's own */
	assert_false(in_a_thread(true));
	must_be("x");
	always(-1);
	attr->task_filter = true;
	assert_int_equal(fault_task_set_make_it_fail(me(), true), 0);
	assert_true(in_a_thread(false)); /* the mark is the child's too */
	assert_false(in_a_thread(true)); /* but a thread of the kernel is no task */
	attr->task_filter = false;
	assert_true(in_a_thread(true));
}

static void forks(void **state)
{
	u64 parent = me();
	bool on;
	pid_t pid;
	u32 left;
	int status;

	always(-1);
	attr->task_filter = true;
	assert_int_equal(fault_task_set_make_it_fail(parent, true), 0);
	set_nth(1000);
	fault_inject_before_fork();
	pid = fork();
	if (!pid) {
		fault_inject_in_child();
		/* marked as the parent, without its count; and the parent's count can be set from here */
		_exit(point() && !fault_task_set_nth(parent, 7) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(nth_left(), 7);
	set_nth(0);
	/* A task that is gone. */
	pid = fork();
	if (!pid)
		pause();
	parent = fault_task_find(pid);
	assert_true(parent);
	assert_int_equal(fault_task_set_nth(parent, 1), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(fault_task_get_nth(parent, &left), -ESRCH);
	assert_int_equal(fault_task_set_nth(parent, 1), -ESRCH);
	assert_int_equal(fault_task_get_make_it_fail(parent, &on), -ESRCH);
	assert_int_equal(fault_task_set_make_it_fail(parent, true), -ESRCH);
	assert_int_equal(fault_task_find(pid), 0);
	assert_int_equal(fault_task_find(-1), 0);
}

/* More tasks than there is room for, one after the other: those that ended make room. */
static void many_tasks(void **state)
{
	int status;

	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(fault_task_set_nth(me(), 1) ? 1 : !point());
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
	}
	must_be(".");
}

static void paused(void **state)
{
	set_nth(2);
	fault_inject_pause();
	must_be("...");
	fault_inject_resume();
	must_be(".x");
}

/* ---- memory ---- */

/* Not inlined, as who frees need not know how each was had. */
static __attribute__((noinline)) bool gone(void *got)
{
	free(got);
	return !got;
}

static void slab(void **state)
{
	struct fault_attr *slab = fault_attr(FAULT_SLAB);
	char *old = kmalloc(1);

	set_nth(1);
	assert_false(gone(kmalloc(8))); /* it could wait, and that is left alone unless told otherwise */
	assert_int_equal(nth_left(), 1);
	assert_true(gone(kzalloc_atomic(8)));
	slab->ignore_gfp_wait = false;
	slab->cache_filter = true; /* no cache is marked */
	set_nth(1);
	assert_false(gone(kmalloc(8)));
	slab->cache_filter = false;
	assert_true(gone(kmalloc(8)));
	set_nth(1);
	assert_true(gone(kzalloc(8192)));
	set_nth(1);
	assert_true(gone(kcalloc(8, 8)));
	set_nth(1);
	assert_true(gone(kstrdup("text")));
	set_nth(1);
	assert_true(gone(kstrndup("text", 2)));
	set_nth(1);
	assert_true(gone(kvcalloc(2, 4096)));
	set_nth(1);
	assert_null(krealloc(old, 100));
	set_nth(1);
	assert_null(krealloc_array(old, 10, 10));
	assert_false(gone(krealloc_array(old, 10, 10)));
	/* A product that overflows asks nobody. */
	set_nth(1);
	assert_true(gone(kcalloc(SIZE_MAX / 2, 3)));
	assert_true(gone(kvcalloc(SIZE_MAX / 2, 3)));
	assert_null(krealloc_array(NULL, SIZE_MAX / 2, 3));
	assert_int_equal(nth_left(), 1);
}

static void pages(void **state)
{
	struct fault_attr *pages = fault_attr(FAULT_PAGE_ALLOC);

	fault_attr(FAULT_SLAB)->ignore_gfp_wait = false;
	set_nth(1);
	assert_false(gone(kmalloc(8193))); /* no slab memory */
	assert_int_equal(nth_left(), 1);
	pages->ignore_gfp_wait = false;
	assert_false(gone(get_zeroed_page())); /* of order 0, and min-order is 1 */
	assert_false(page_alloc_fails());
	assert_true(gone(kmalloc(8193)));
	set_nth(1);
	assert_true(gone(alloc_pages_exact(8192)));
	pages->min_order = 2;
	set_nth(1);
	assert_false(gone(alloc_pages_exact(8192)));
	assert_true(gone(kmalloc(8193))); /* 4 pages */
	pages->min_order = 0;
	set_nth(1);
	assert_true(page_alloc_fails());
	set_nth(1);
	assert_true(gone(get_zeroed_page()));
	/* Pages in a row fail, single ones do: unless those are told to fail as well. */
	set_nth(1);
	assert_false(gone(kvmalloc(8193)));
	assert_int_equal(nth_left(), 0);
	pages->ignore_gfp_highmem = false;
	pages->times = 2;
	pages->probability = 100;
	assert_true(gone(kvzalloc(8193)));
	assert_int_equal(pages->times, 0);
	pages->times = -1;
	pages->space = 5;
	assert_false(gone(alloc_pages_exact(4 * 4096)));
	assert_int_equal(pages->space, 1);
}

/* ---- words ---- */

static char said[512];
static int lines;

static void hear(const char *line)
{
	lines++;
	snprintf(said, sizeof(said), "%s", line);
}

static void words(void **state)
{
	explain_enable();
	explain_set_sink(hear);
	explain_begin();
	fault_attr(FAULT_SLAB)->ignore_gfp_wait = false;
	set_nth(1);
	assert_true(gone(kmalloc(72)));
	assert_string_equal(explain_take(), "72 bytes of slab memory are refused on order (fail-nth)");
	assert_string_equal(said, "softvfio: FAULT_INJECTION: forcing a failure: name failslab, interval 1, probability 0, space 0, times 1");
	explain_begin();
	always(-1);
	must_be("x");
	assert_string_equal(explain_take(), "fails on order (fail_iommufd)");
	/* at most two lines in a minute, then none */
	lines = 0;
	attr->verbose_ratelimit_interval_ms = 60000;
	attr->verbose_ratelimit_burst = 2;
	must_be("xxxx");
	assert_int_equal(lines, 2);
	attr->verbose_ratelimit_interval_ms = 0;
	attr->verbose = 0;
	must_be("xxxx");
	assert_int_equal(lines, 2);
	explain_set_sink(NULL);
	explain_enabled = false;
}

#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(another_version), TEST(nothing_fails_at_first), TEST(times), TEST(space), TEST(order_of_questions), TEST(interval),
		TEST(probability), TEST(nth), TEST(marked), TEST(threads), TEST(forks), TEST(many_tasks), TEST(paused),
		TEST(slab), TEST(pages), TEST(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
