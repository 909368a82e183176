/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * processes_test.c - two processes of one machine, each with a kernel of its own.
 *
 * The second is this program run again: it attaches to the tree of the first and does what it is told
 * to over a pipe, a letter for each call; it answers with the result.
 */
#include "kernel/vfio/vfio_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

/* ---- the second process ---- */

static int other_g = -1, other_c = -1, other_d = -1;

static long obey(char order)
{
	switch (order) {
	case 'g': /* open the group, as the front end does: follow other processes first */
		device_sync();
		return other_g = t_open("vfio/2");
	case 'c':
		other_c = t_open("vfio/vfio");
		return t_set_container(other_g, other_c) ?: t_ioctl_n(other_c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	case 'd':
		return other_d = (int)t_ioctl(other_g, VFIO_GROUP_GET_DEVICE_FD, "fake0");
	case 'e': /* another descriptor of the same device */
		return (int)t_ioctl(other_g, VFIO_GROUP_GET_DEVICE_FD, "fake0");
	case 'D':
		t_close(other_d);
		return 0;
	case 'G':
		t_close(other_g);
		return 0;
	case 'C':
		t_close(other_c);
		return 0;
	case 'l': /* be told of wishes */
		vfio_asked_listen(&t_dev[FAKE0].vdev);
		return 0;
	case 'a': /* how often was it asked for fake0? */
		return atomic_exchange(&t_dev[FAKE0].requested, 0);
	case 'n': /* the device's own node, and an iommufd */
		device_sync();
		other_d = t_open(t_dev[FAKE0].vdev.node);
		return other_d < 0 ? other_d : (other_c = t_open("iommu"));
	case 'B':
		return t_bind(other_d, other_c);
	case 'i': /* do both kernels give the device the same number? */
		return t_dev[FAKE2].bound ? t_dev[FAKE2].vdev.index : -1;
	case 'u': { /* unbind fake0 */
		kernfs_lock();
		device_driver_detach(&t_dev[FAKE0].dev);
		device_changed();
		kernfs_unlock();
		return 0;
	}
	case 'b': {
		long ret;

		kernfs_lock();
		ret = device_driver_attach(&fake_driver, &t_dev[FAKE0].dev);
		device_changed();
		kernfs_unlock();
		return ret;
	}
	}
	return -ENOSYS;
}

static int second_process(const char *dir)
{
	long ret;
	char order;

	snprintf(t_dir, sizeof(t_dir), "%s", dir);
	t_open_machine(false);
	while (read(STDIN_FILENO, &order, 1) == 1) {
		ret = obey(order);
		if (write(STDOUT_FILENO, &ret, sizeof(ret)) != sizeof(ret))
			return 1;
	}
	return 0;
}

/* ---- the first process ---- */

static pid_t other_pid;
static int order_fd, answer_fd;

static void start_other(void)
{
	int to[2], from[2];

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	other_pid = fork();
	if (!other_pid) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl("/proc/self/exe", "processes_test", t_dir, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	order_fd = to[1];
	answer_fd = from[0];
}

static void order(char what)
{
	assert_int_equal(write(order_fd, &what, 1), 1);
}

static long answer(void)
{
	long ret = -1;

	assert_int_equal(read(answer_fd, &ret, sizeof(ret)), sizeof(ret));
	return ret;
}

static long tell(char what)
{
	order(what);
	return answer();
}

static void end_other(void)
{
	int status;

	close(order_fd);
	close(answer_fd);
	assert_int_equal(waitpid(other_pid, &status, 0), other_pid);
	assert_int_equal(status, 0);
}

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void one_group_one_opener(void **state)
{
	int g;

	(void)state;
	start_other();
	assert_int_equal(tell('i'), t_dev[FAKE2].vdev.index);
	g = (int)t_works(t_open("vfio/2"));
	assert_int_equal(tell('g'), -EBUSY);
	t_close(g);
	assert_true(tell('g') >= 0);
	t_fails(t_open("vfio/2"), EBUSY);
	assert_int_equal(tell('G'), 0);
	t_close((int)t_works(t_open("vfio/2")));
	end_other();
}

static void a_dead_process_holds_nothing(void **state)
{
	int status;

	(void)state;
	start_other();
	assert_true(tell('g') >= 0);
	assert_int_equal(tell('c'), 0);
	assert_true(tell('d') >= 0);
	t_fails(t_open("vfio/2"), EBUSY);
	kill(other_pid, SIGKILL);
	waitpid(other_pid, &status, 0);
	close(order_fd);
	close(answer_fd);
	t_close((int)t_works(t_open("vfio/2")));
}

static atomic_bool unbound;
static atomic_bool told;

static void *unbind_thread(void *arg)
{
	kernfs_lock();
	device_driver_detach(arg);
	device_changed();
	kernfs_unlock();
	atomic_store(&unbound, true);
	return NULL;
}

static void note_event(const char *line)
{
	char who[32];

	snprintf(who, sizeof(who), "process %d (", other_pid);
	if (strstr(line, "fake0") && strstr(line, who))
		atomic_store(&told, true);
}

static void unbind_waits_for_the_other_process(void **state)
{
	pthread_t thread;

	(void)state;
	start_other();
	assert_true(tell('g') >= 0);
	assert_int_equal(tell('c'), 0);
	assert_true(tell('d') >= 0);
	explain_set_sink(note_event);
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &t_dev[FAKE0].dev), 0);
	for (unsigned i = 0; i < 6000 && !atomic_load(&told); i++)
		sleep_ms(5);
	assert_true(atomic_load(&told));
	sleep_ms(200);
	assert_false(atomic_load(&unbound));
	assert_int_equal(tell('e'), -ENODEV);
	assert_int_equal(tell('D'), 0); /* closing needs no tree lock */
	pthread_join(thread, NULL);
	assert_true(atomic_load(&unbound));
	explain_set_sink(t_quiet);
	/* The other one finds out at its next call. */
	assert_int_equal(tell('d'), -ENODEV);
	assert_int_equal(tell('C'), 0);
	assert_int_equal(tell('G'), 0);
	kernfs_lock();
	t_works(device_driver_attach(&fake_driver, &t_dev[FAKE0].dev));
	device_changed();
	kernfs_unlock();
	assert_true(tell('g') >= 0);
	assert_int_equal(tell('c'), 0);
	assert_true(tell('d') >= 0);
	end_other();
}

static bool is_asked(void)
{
	for (unsigned i = 0; i < 6000; i++) {
		if (tell('a') > 0)
			return true;
		sleep_ms(5);
	}
	return false;
}

/* A program there that wants to know is asked at once, and again each second; closing ends that. */
static void the_other_process_is_asked(void **state)
{
	pthread_t thread;

	(void)state;
	start_other();
	assert_true(tell('n') >= 0);
	assert_true(tell('B') > 0);
	assert_int_equal(tell('l'), 0);
	assert_int_equal(tell('a'), 0);
	atomic_store(&unbound, false);
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &t_dev[FAKE0].dev), 0);
	assert_true(is_asked());
	assert_true(is_asked()); /* and again */
	assert_false(atomic_load(&unbound));
	assert_int_equal(tell('D'), 0);
	pthread_join(thread, NULL);
	assert_int_equal(tell('C'), 0);
	kernfs_lock();
	t_works(device_driver_attach(&fake_driver, &t_dev[FAKE0].dev));
	device_changed();
	kernfs_unlock();
	end_other();
}

/* A device is bound in one process, and its group open in no other meanwhile. */
static void one_device_one_process(void **state)
{
	int d, i = (int)t_works(t_open("iommu")), g;

	(void)state;
	start_other();
	assert_true(tell('n') >= 0);
	d = (int)t_works(t_open(t_dev[FAKE0].vdev.node));
	t_works(t_bind(d, i));
	assert_int_equal(tell('B'), -EINVAL);
	assert_int_equal(tell('g'), -EBUSY);
	t_close(d);
	assert_true(tell('B') > 0);
	d = (int)t_works(t_open(t_dev[FAKE0].vdev.node));
	t_fails(t_bind(d, i), EINVAL);
	t_fails(t_open("vfio/2"), EBUSY);
	assert_int_equal(tell('D'), 0);
	t_works(t_bind(d, i));
	t_close(d);
	g = (int)t_works(t_open("vfio/2"));
	assert_true(tell('n') >= 0);
	assert_int_equal(tell('B'), -EBUSY);
	t_close(g);
	t_close(i);
	end_other();
}

static void follow_the_other_process(void **state)
{
	struct t_ctx x;

	(void)state;
	start_other();
	assert_int_equal(tell('u'), 0);
	x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0"), ENODEV);
	assert_false(t_dev[FAKE0].bound);
	t_close((int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake1")));
	assert_int_equal(tell('b'), 0);
	t_close((int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "fake0")));
	assert_true(t_dev[FAKE0].bound);
	t_teardown(x);
	end_other();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_group_one_opener, t_close_all),
		cmocka_unit_test_teardown(a_dead_process_holds_nothing, t_close_all),
		cmocka_unit_test_teardown(unbind_waits_for_the_other_process, t_close_all),
		cmocka_unit_test_teardown(the_other_process_is_asked, t_close_all),
		cmocka_unit_test_teardown(one_device_one_process, t_close_all),
		cmocka_unit_test_teardown(follow_the_other_process, t_close_all),
	};

	if (argc > 1)
		return second_process(argv[1]);
	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
