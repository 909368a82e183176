/* SPDX-License-Identifier: BSD-3-Clause */
/* guard_test.c - good memory is copied, bad memory is an answer and not a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kernel/lib/err.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/types.h"

/* Three pages: the first and last may not be touched, the middle has @prot. */
static u8 *fenced_page(int prot)
{
	u8 *p = mmap(NULL, 3 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + PAGE_SIZE, PAGE_SIZE, prot), 0);
	return p + PAGE_SIZE;
}

static void fenced_free(u8 *page)
{
	assert_int_equal(munmap(page - PAGE_SIZE, 3 * PAGE_SIZE), 0);
}

static void copies_all_sizes(void **state)
{
	u8 *page = fenced_page(PROT_READ | PROT_WRITE);
	u8 src[300];
	u8 back[300];

	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = (u8)(i * 7 + 1);
	for (size_t len = 0; len <= sizeof(src); len++) {
		memset(back, 0xee, sizeof(back));
		/* Against the fence: one byte too many would fault. */
		assert_int_equal(guard_copy(page + PAGE_SIZE - len, src, len), 0);
		assert_int_equal(guard_copy(back, page + PAGE_SIZE - len, len), 0);
		assert_memory_equal(back, src, len);
		for (size_t i = len; i < sizeof(back); i++)
			assert_int_equal(back[i], 0xee);
	}
	fenced_free(page);
}

static void copy_of_bad_memory_fails(void **state)
{
	static const size_t lens[] = { 1, 2, 4, 8, 24, 64, 128, 129, 4096, 8192 };
	u8 *page = fenced_page(PROT_READ);
	static u8 buf[8192];

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i];

		assert_int_equal(guard_copy(buf, NULL, len), -EFAULT);
		assert_int_equal(guard_copy(NULL, buf, len), -EFAULT);
		assert_int_equal(guard_copy(buf, page - PAGE_SIZE, len), -EFAULT);
		assert_int_equal(guard_copy(buf, page + PAGE_SIZE - len + 1, len), -EFAULT);
		assert_int_equal(guard_copy(page, buf, len), -EFAULT);
		/* Not canonical: the processor gives another fault, without an address. */
		assert_int_equal(guard_copy(buf, (void *)0x8000000000000000ul, len), -EFAULT);
	}
	assert_int_equal(guard_copy(buf, page, PAGE_SIZE), 0);
	fenced_free(page);
}

static void copy_behind_end_of_file_fails(void **state)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	u8 buf[16];
	u8 *p;

	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	p = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(guard_copy(buf, p, sizeof(buf)), 0);
	assert_int_equal(guard_copy(buf, p + PAGE_SIZE, sizeof(buf)), -EFAULT);
	assert_int_equal(guard_touch(p, PAGE_SIZE, true), 0);
	assert_int_equal(guard_touch(p, PAGE_SIZE + 1, true), -EFAULT);
	munmap(p, 2 * PAGE_SIZE);
	close(fd);
}

static void sets(void **state)
{
	u8 *page = fenced_page(PROT_READ | PROT_WRITE);

	assert_int_equal(guard_set(page + 1, 0x5a, 3), 0);
	assert_int_equal(page[0], 0);
	assert_int_equal(page[1], 0x5a);
	assert_int_equal(page[3], 0x5a);
	assert_int_equal(page[4], 0);
	assert_int_equal(guard_set(page, 1, PAGE_SIZE + 1), -EFAULT);
	assert_int_equal(guard_set(page, 1, 0), 0);
	fenced_free(page);
}

static void touches(void **state)
{
	u8 *ro = fenced_page(PROT_READ);
	u8 *rw = fenced_page(PROT_READ | PROT_WRITE);

	rw[5] = 77;
	assert_int_equal(guard_touch(rw, PAGE_SIZE, true), 0);
	assert_int_equal(guard_touch(rw + 5, 1, true), 0);
	assert_int_equal(rw[5], 77);
	assert_int_equal(guard_touch(ro, PAGE_SIZE, false), 0);
	assert_int_equal(guard_touch(ro, PAGE_SIZE, true), -EFAULT);
	assert_int_equal(guard_touch(ro, 0, true), 0);
	/* One byte into the next page is enough. */
	assert_int_equal(guard_touch(rw + PAGE_SIZE - 1, 1, true), 0);
	assert_int_equal(guard_touch(rw + PAGE_SIZE - 1, 2, true), -EFAULT);
	assert_int_equal(guard_touch(rw - 1, 2, false), -EFAULT);
	/* The very top of the address space must not wrap. */
	assert_int_equal(guard_touch((void *)-1ul, 1, false), -EFAULT);
	assert_int_equal(guard_touch((void *)-1ul, 2, false), -EFAULT);
	fenced_free(ro);
	fenced_free(rw);
}

static void touch_breaks_copy_on_write(void **state)
{
	int fd = memfd_create("cow", MFD_CLOEXEC);
	u8 byte = 1;
	u8 *p;

	assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
	p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(guard_touch(p, PAGE_SIZE, true), 0);
	byte = 2;
	assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
	assert_int_equal(p[0], 1);
	munmap(p, PAGE_SIZE);
	close(fd);
}

static void strings(void **state)
{
	u8 *page = fenced_page(PROT_READ | PROT_WRITE);
	char *end = (char *)page + PAGE_SIZE;
	char buf[16];

	memcpy(end - 4, "abc", 4);
	assert_int_equal(guard_strncpy(buf, end - 4, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(guard_strncpy(buf, end - 4, 4), 3);
	assert_int_equal(guard_strncpy(buf, end - 4, 3), -ENAMETOOLONG);
	assert_int_equal(guard_strncpy(buf, end - 4, 0), -ENAMETOOLONG);
	end[-1] = 'd';
	assert_int_equal(guard_strncpy(buf, end - 4, sizeof(buf)), -EFAULT);
	assert_int_equal(guard_strncpy(buf, NULL, sizeof(buf)), -EFAULT);
	fenced_free(page);
}

static void words(void **state)
{
	u8 *page = fenced_page(PROT_READ | PROT_WRITE);
	u64 *last = (u64 *)(page + PAGE_SIZE) - 1, val = 0, expected;

	*last = 0x1122334455667788ull;
	assert_int_equal(guard_load64(last, &val), 0);
	assert_int_equal(val, 0x1122334455667788ull);
	assert_int_equal(guard_load64(last + 1, &val), -EFAULT);
	expected = 1;
	assert_int_equal(guard_cmpxchg64(last, &expected, 5), 1);
	assert_int_equal(expected, 0x1122334455667788ull);
	assert_int_equal(guard_cmpxchg64(last, &expected, 5), 0);
	assert_int_equal(*last, 5);
	assert_int_equal(guard_cmpxchg64(last + 1, &expected, 5), -EFAULT);
	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ), 0);
	expected = 5;
	assert_int_equal(guard_cmpxchg64(last, &expected, 6), -EFAULT);
	assert_int_equal(*last, 5);
	fenced_free(page);
}

static void nothing_guarded_is_not_ours(void **state)
{
	u8 buf[8];

	assert_false(guard_fault());
	assert_int_equal(guard_copy(buf, NULL, sizeof(buf)), -EFAULT);
	assert_false(guard_fault());
	assert_int_equal(guard_copy(buf, buf + 4, 4), 0);
	assert_false(guard_fault());
}

/* A program's signal handler that makes calls of ours in the middle of a guarded access. */
static u8 *volatile interrupt_bad;
static volatile int interrupts;

static void on_alarm(int sig)
{
	u8 b[8];

	if (guard_copy(b, interrupt_bad, sizeof(b)) == -EFAULT && !guard_copy(b, &b[0], 0))
		interrupts++;
}

static void signal_handlers_may_nest(void **state)
{
	u8 *page = fenced_page(PROT_READ);
	static u8 big[1 << 20];
	struct sigaction action = { .sa_handler = on_alarm };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec every = { { 0, 200000 }, { 0, 200000 } };
	timer_t timer;

#ifdef __SANITIZE_THREAD__
	print_message("SKIP: the thread sanitizer delays signals until the access is over\n");
	skip();
#endif
	interrupt_bad = page - PAGE_SIZE;
	sigaction(SIGALRM, &action, NULL);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	timer_settime(timer, 0, &every, NULL);
	while (interrupts < 50) {
		assert_int_equal(guard_set(big, 1, sizeof(big)), 0);
		assert_int_equal(guard_copy(big, page, PAGE_SIZE + 1), -EFAULT);
	}
	timer_delete(timer);
	signal(SIGALRM, SIG_IGN);
	fenced_free(page);
}

static void *faults_on_a_thread(void *arg)
{
	u8 buf[64];

	for (int i = 0; i < 2000; i++) {
		if (guard_copy(buf, arg, sizeof(buf)) != -EFAULT)
			return arg;
		if (guard_copy(buf, buf + 32, 32))
			return arg;
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	u8 *page = fenced_page(PROT_NONE);
	pthread_t threads[4];
	void *bad;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, faults_on_a_thread, page), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	fenced_free(page);
}

/* cmocka takes SIGSEGV before each test: take it back inside. */
#define GUARDED_TEST(test) { #test, guarded_test, NULL, NULL, (void *)(test) }

static void guarded_test(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	test(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(copies_all_sizes),
		GUARDED_TEST(copy_of_bad_memory_fails),
		GUARDED_TEST(copy_behind_end_of_file_fails),
		GUARDED_TEST(sets),
		GUARDED_TEST(touches),
		GUARDED_TEST(touch_breaks_copy_on_write),
		GUARDED_TEST(strings),
		GUARDED_TEST(words),
		GUARDED_TEST(nothing_guarded_is_not_ours),
		GUARDED_TEST(signal_handlers_may_nest),
		GUARDED_TEST(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
