/* SPDX-License-Identifier: BSD-3-Clause */
/* virqfd_test.c - handlers run when an eventfd is signalled, and never after disable returned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/vfio/vfio.h"

struct counter {
	atomic_int calls, inside;
	int sleep_ms;
	struct virqfd **disable; /* by the handler itself */
};

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void count_it(void *opaque, void *data)
{
	struct counter *counter = opaque;

	assert_ptr_equal(data, counter);
	atomic_fetch_add(&counter->inside, 1);
	if (counter->sleep_ms)
		sleep_ms(counter->sleep_ms);
	if (counter->disable)
		vfio_virqfd_disable(counter->disable);
	atomic_fetch_add(&counter->calls, 1);
	atomic_fetch_sub(&counter->inside, 1);
}

static void wait_for(atomic_int *what, int value)
{
	for (unsigned i = 0; i < 5000 && atomic_load(what) < value; i++)
		sleep_ms(1);
	assert_int_equal(atomic_load(what), value);
}

static void signal_fd(int fd)
{
	const u64 one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

#define fails(call, err)                                                                                     \
	do {                                                                                                 \
		explain_begin();                                                                             \
		assert_int_equal((call), -(err));                                                            \
		assert_non_null(explain_take());                                                             \
	} while (0)

static void fires(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct virqfd *virqfd = NULL;
	struct counter counter = { 0 };
	u64 left;

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	assert_non_null(virqfd);
	sleep_ms(20);
	assert_int_equal(counter.calls, 0);
	signal_fd(fd);
	wait_for(&counter.calls, 1);
	signal_fd(fd);
	wait_for(&counter.calls, 2);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(read(fd, &left, sizeof(left)), -1); /* consumed */
	vfio_virqfd_disable(&virqfd);
	assert_null(virqfd);
	signal_fd(fd);
	sleep_ms(20);
	assert_int_equal(counter.calls, 2);
	vfio_virqfd_disable(&virqfd); /* none: accepted */
	close(fd);
}

static void fires_at_once_if_signalled(void **state)
{
	int fd = eventfd(3, EFD_CLOEXEC);
	struct virqfd *virqfd = NULL;
	struct counter counter = { 0 };

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	wait_for(&counter.calls, 1);
	vfio_virqfd_disable(&virqfd);
	close(fd);
}

/* One write, one call; the rest of a semaphore's count is left. */
static void a_semaphore_fires_once_a_write(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);
	struct virqfd *virqfd = NULL;
	struct counter counter = { 0 };
	u64 three = 3, one;

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	assert_int_equal(write(fd, &three, sizeof(three)), sizeof(three));
	wait_for(&counter.calls, 1);
	sleep_ms(20);
	assert_int_equal(counter.calls, 1);
	vfio_virqfd_disable(&virqfd);
	assert_int_equal(read(fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(read(fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(read(fd, &one, sizeof(one)), -1);
	close(fd);
}

struct order {
	atomic_int calls;
	char names[8];
};

static void note_name(void *opaque, void *data)
{
	struct order *order = opaque;

	order->names[atomic_load(&order->calls)] = *(char *)data;
	atomic_fetch_add(&order->calls, 1);
}

/* All that share an eventfd, by whichever descriptor, are called; the newest first, as on Linux. */
static void several_share_an_eventfd(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), same = dup(fd), other = eventfd(0, EFD_CLOEXEC);
	char name[] = "axbc";
	struct virqfd *virqfd[4] = { NULL };
	struct order order = { 0 };
	u64 left;

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&order, note_name, &name[0], &virqfd[0], fd), 0);
	assert_int_equal(vfio_virqfd_enable(&order, note_name, &name[1], &virqfd[1], other), 0);
	assert_int_equal(vfio_virqfd_enable(&order, note_name, &name[2], &virqfd[2], same), 0);
	assert_int_equal(vfio_virqfd_enable(&order, note_name, &name[3], &virqfd[3], fd), 0);
	signal_fd(fd);
	wait_for(&order.calls, 3);
	sleep_ms(20);
	assert_int_equal(order.calls, 3);
	assert_memory_equal(order.names, "cba", 3);
	assert_int_equal(read(fd, &left, sizeof(left)), -1);
	vfio_virqfd_disable(&virqfd[2]);
	signal_fd(same);
	wait_for(&order.calls, 5);
	signal_fd(other);
	wait_for(&order.calls, 6);
	assert_memory_equal(order.names + 3, "cax", 3);
	for (unsigned i = 0; i < 4; i++)
		vfio_virqfd_disable(&virqfd[i]);
	close(fd);
	close(same);
	close(other);
}

/* A handler that takes its own away lets the others be called. */
static void one_of_several_goes(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct virqfd *virqfd[2] = { NULL };
	struct counter stays = { 0 }, goes = { .disable = &virqfd[1] };

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&stays, count_it, &stays, &virqfd[0], fd), 0);
	assert_int_equal(vfio_virqfd_enable(&goes, count_it, &goes, &virqfd[1], fd), 0);
	signal_fd(fd);
	wait_for(&stays.calls, 1);
	signal_fd(fd);
	wait_for(&stays.calls, 2);
	assert_int_equal(goes.calls, 1);
	vfio_virqfd_disable(&virqfd[0]);
	close(fd);
}

static void works_after_the_program_closed_it(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), other = dup(fd);
	struct virqfd *virqfd = NULL;
	struct counter counter = { 0 };

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	close(fd);
	signal_fd(other);
	wait_for(&counter.calls, 1);
	vfio_virqfd_disable(&virqfd);
	close(other);
}

static void errors(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct virqfd *virqfd = NULL, *first;
	struct counter counter = { 0 };

	(void)state;
	fails(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, 999), EBADF);
	fails(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, null), EINVAL);
	assert_null(virqfd);
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	first = virqfd;
	fails(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), EBUSY);
	assert_ptr_equal(virqfd, first);
	signal_fd(fd);
	wait_for(&counter.calls, 1);
	vfio_virqfd_disable(&virqfd);
	close(fd);
	close(null);
}

static void disable_waits_for_the_handler(void **state)
{
	int fd = eventfd(1, EFD_CLOEXEC);
	struct virqfd *virqfd = NULL;
	struct counter counter = { .sleep_ms = 100 };

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	wait_for(&counter.inside, 1);
	vfio_virqfd_disable(&virqfd);
	assert_int_equal(counter.inside, 0);
	assert_int_equal(counter.calls, 1);
	close(fd);
}

static void handler_disables_itself(void **state)
{
	int fd = eventfd(1, EFD_CLOEXEC);
	struct virqfd *virqfd = NULL;
	struct counter counter = { .disable = &virqfd, .sleep_ms = 10 };

	(void)state;
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	wait_for(&counter.calls, 1);
	while (atomic_load(&counter.inside))
		sched_yield();
	assert_null(virqfd);
	signal_fd(fd);
	sleep_ms(20);
	assert_int_equal(counter.calls, 1);
	close(fd);
}

static atomic_bool stop;

static void *signaller(void *arg)
{
	while (!atomic_load(&stop))
		signal_fd(*(int *)arg);
	return NULL;
}

/* Enabled and disabled under a storm of signals: after each disable the count stands still. */
static void storm(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct virqfd *virqfd = NULL;
	struct counter counter = { 0 };
	pthread_t thread;
	int before;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, signaller, &fd), 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
		if (i % 4)
			sleep_ms(1);
		vfio_virqfd_disable(&virqfd);
		before = counter.calls;
		assert_int_equal(counter.inside, 0);
		sched_yield();
		assert_int_equal(counter.calls, before);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_true(counter.calls > 0);
	close(fd);
}

/* A child of fork uses its own thread, and what it disables goes on in the parent. */
static void after_fork(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), fd2 = eventfd(0, EFD_CLOEXEC), status;
	struct virqfd *virqfd = NULL, *second = NULL;
	struct counter counter = { 0 }, counter2 = { 0 };
	pid_t pid;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* it knows no threads that start after fork() */
#endif
	assert_int_equal(vfio_virqfd_enable(&counter, count_it, &counter, &virqfd, fd), 0);
	pid = fork();
	if (!pid) {
		if (vfio_virqfd_enable(&counter2, count_it, &counter2, &second, fd2))
			_exit(1);
		signal_fd(fd2);
		for (unsigned i = 0; i < 5000 && !atomic_load(&counter2.calls); i++)
			sleep_ms(1);
		vfio_virqfd_disable(&second);
		vfio_virqfd_disable(&virqfd);
		_exit(atomic_load(&counter2.calls) == 1 && !virqfd && !second ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	signal_fd(fd);
	wait_for(&counter.calls, 1);
	vfio_virqfd_disable(&virqfd);
	close(fd);
	close(fd2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires),
		cmocka_unit_test(fires_at_once_if_signalled),
		cmocka_unit_test(a_semaphore_fires_once_a_write),
		cmocka_unit_test(several_share_an_eventfd),
		cmocka_unit_test(one_of_several_goes),
		cmocka_unit_test(works_after_the_program_closed_it),
		cmocka_unit_test(errors),
		cmocka_unit_test(disable_waits_for_the_handler),
		cmocka_unit_test(handler_disables_itself),
		cmocka_unit_test(storm),
		cmocka_unit_test(after_fork),
	};

	explain_enable();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
