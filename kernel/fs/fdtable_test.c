/* SPDX-License-Identifier: BSD-3-Clause */
/* fdtable_test.c - numbers and what they mean, private descriptors, and threads that race for both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/task.h"

static atomic_int released;

static void count_release(struct file *file)
{
	atomic_fetch_add(&released, 1);
}

static const struct file_operations test_fops = { .kind = FILE_OTHER, .release = count_release };

static struct file *new_file(void *private_data)
{
	struct file *file = file_alloc(&test_fops, private_data, "/dev/vfio/test", O_RDWR);

	assert_non_null(file);
	return file;
}

static void install_and_get(void **state)
{
	struct file *file = new_file(NULL);

	atomic_store(&released, 0);
	assert_null(fget(40));
	assert_false(fd_is_ours(40));
	assert_int_equal(fd_install(40, file), 0);
	assert_true(fd_is_ours(40));
	assert_ptr_equal(fget(40), file);
	fd_uninstall(40);
	assert_null(fget(40));
	assert_int_equal(atomic_load(&released), 0);
	fput(file);
	assert_int_equal(atomic_load(&released), 1);
	fd_uninstall(40);
	fd_uninstall(-1);
}

static void numbers_outside_the_table(void **state)
{
	static const int bad[] = { -1, -2, INT32_MIN, INT32_MAX, 1 << 20 };
	struct file *file = new_file(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_null(fget(bad[i]));
		assert_false(fd_is_ours(bad[i]));
		assert_false(fd_is_private(bad[i]));
		assert_int_equal(fd_install(bad[i], file), -EMFILE);
		fd_uninstall(bad[i]);
		fd_private_close(bad[i]);
	}
	assert_int_equal(fd_install((1 << 20) - 1, file), 0);
	assert_true(fd_is_ours((1 << 20) - 1));
	fd_uninstall((1 << 20) - 1);
}

static void open_as_linux_sees_it(void **state)
{
	int fd = memfd_create("open", MFD_CLOEXEC), path = open("/", O_PATH | O_CLOEXEC), hidden = fd_private_dup(fd);

	assert_int_equal(fd_check_open(fd), 0);
	assert_int_equal(fd_check_open(path), -EBADF);
	assert_int_equal(fd_check_open(hidden), -EBADF);
	assert_int_equal(fd_check_open(-1), -EBADF);
	fd_private_close(hidden);
	close(path);
	close(fd);
	assert_int_equal(fd_check_open(fd), -EBADF);
}

static void install_replaces(void **state)
{
	struct file *other = new_file(NULL);

	atomic_store(&released, 0);
	assert_int_equal(fd_install(41, new_file(NULL)), 0);
	assert_int_equal(fd_install(41, other), 0);
	assert_int_equal(atomic_load(&released), 1);
	assert_ptr_equal(fget(41), other);
	fput(other);
	fd_uninstall(41);
	assert_int_equal(atomic_load(&released), 2);
}

static void ranges(void **state)
{
	atomic_store(&released, 0);
	for (int fd = 50; fd < 60; fd++)
		assert_int_equal(fd_install(fd, new_file(NULL)), 0);
	fd_uninstall_range(52, 54);
	assert_int_equal(atomic_load(&released), 3);
	assert_true(fd_is_ours(51));
	assert_false(fd_is_ours(52));
	assert_false(fd_is_ours(54));
	assert_true(fd_is_ours(55));
	fd_uninstall_range(60, 50);
	fd_uninstall_range(~0u, ~0u);
	assert_int_equal(atomic_load(&released), 3);
	fd_uninstall_range(50, ~0u);
	assert_int_equal(atomic_load(&released), 10);
}

static void publish_gives_real_descriptors(void **state)
{
	struct file *file = new_file(NULL);
	char link[64];
	char target[64] = "";
	int fd;

	fd = fd_publish(file, true);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_ptr_equal(fget(fd), file);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(readlink(link, target, sizeof(target) - 1) > 0);
	assert_non_null(strstr(target, "/dev/vfio/test"));
	fd_uninstall(fd);
	close(fd);

	/* From here on file is ours again. */
	fd = fd_publish(file, false);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	fd_uninstall(fd);
	close(fd);
}

static int host_fd = -1;
static int host_freed = -1;

static int host_alloc(const char *name, bool cloexec)
{
	assert_string_equal(name, "/dev/vfio/test");
	return host_fd;
}

static void host_free(int fd)
{
	host_freed = fd;
}

static void publish_fails_cleanly(void **state)
{
	static const struct fd_host_ops ops = { .alloc = host_alloc, .free = host_free };
	struct file *file = new_file(NULL);

	atomic_store(&released, 0);
	fd_host_register(&ops);
	host_fd = -EMFILE;
	assert_int_equal(fd_publish(file, true), -EMFILE);
	host_fd = 1 << 20;
	assert_int_equal(fd_publish(file, true), -EMFILE);
	assert_int_equal(host_freed, 1 << 20);
	host_fd = 77;
	assert_int_equal(fd_publish(fget_file(file), true), 77);
	assert_ptr_equal(fget(77), file);
	fput(file);
	fd_uninstall(77);
	assert_int_equal(atomic_load(&released), 0);
	fd_host_register(NULL);

	file->backing_fd = memfd_create("backing", MFD_CLOEXEC);
	host_fd = fd_publish(fget_file(file), true);
	assert_true(host_fd >= 0 && host_fd != file->backing_fd);
	assert_int_equal(fcntl(host_fd, F_GETFD), FD_CLOEXEC);
	fd_uninstall(host_fd);
	close(host_fd);
	fput(file);
	assert_int_equal(atomic_load(&released), 1);
}

static void private_descriptors(void **state)
{
	int fd = memfd_create("private", 0);
	struct rlimit limit;
	int hidden, copy;

	assert_int_equal(fd_private_next(0), -1);
	getrlimit(RLIMIT_NOFILE, &limit);
	hidden = fd_private(fd);
	assert_true(hidden > fd);
	if (limit.rlim_cur >= 1024)
		assert_true(hidden >= 1024 - 128);
	assert_true(fd_is_private(hidden));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(fcntl(hidden, F_GETFD), FD_CLOEXEC);

	copy = fd_private_dup(hidden);
	assert_true(copy > hidden);
	assert_int_equal(fd_private_next(0), hidden);
	assert_int_equal(fd_private_next(-5), hidden);
	assert_int_equal(fd_private_next(hidden), hidden);
	assert_int_equal(fd_private_next(hidden + 1), copy);
	assert_int_equal(fd_private_next(copy + 1), -1);
	fd_private_close(hidden);
	assert_int_equal(fcntl(hidden, F_GETFD), -1);
	assert_int_equal(fd_private_next(0), copy);
	/* A second close, or one of what is not private, closes nothing. */
	fd = memfd_create("plain", 0);
	fd_private_close(hidden);
	fd_private_close(fd);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	close(fd);
	fd_private_close(copy);
	assert_int_equal(fd_private_next(0), -1);
	assert_int_equal(fd_private(-1), -EBADF);
	assert_int_equal(fd_private(hidden), -EBADF);
}

static void private_descriptors_find_room_below(void **state)
{
	struct rlimit limit, small;
	int fds[64];
	int count = 0;
	int err = 0;
	int source = memfd_create("private", MFD_CLOEXEC);

	getrlimit(RLIMIT_NOFILE, &limit);
	small = limit;
	small.rlim_cur = 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	while (count < 64) {
		err = fd_private_dup(source);
		if (err < 0)
			break;
		fds[count++] = err;
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	/* All numbers were used, also those below the usual place, and then it says so. */
	assert_int_equal(err, -EMFILE);
	assert_in_range(count, 17, 31);
	while (count)
		fd_private_close(fds[--count]);
	close(source);
}

/* ---- descriptors of the process whose call it is ---- */

/* It has a file of ours at 5, another open file at 6, and gets number 1000. */
static struct {
	struct file *file;
	int dup_of, published, unpublished;
	bool cloexec, full;
} theirs;

static struct file *theirs_fget(struct task *task, int fd)
{
	assert_ptr_equal(task, current_task);
	return fd == 5 ? fget_file(theirs.file) : NULL;
}

static int theirs_check_open(struct task *task, int fd)
{
	return fd == 5 || fd == 6 ? 0 : -EBADF;
}

static int theirs_dup(struct task *task, int fd)
{
	return fd == 6 ? fcntl(theirs.dup_of, F_DUPFD_CLOEXEC, 0) : -EBADF;
}

static int theirs_publish(struct task *task, struct file *file, int fd, bool cloexec)
{
	theirs.published = fd;
	theirs.cloexec = cloexec;
	close(fd);
	if (theirs.full)
		return -EMFILE;
	fput(file);
	return 1000;
}

static void theirs_unpublish(struct task *task, int fd)
{
	theirs.unpublished = fd;
}

static const struct task_ops theirs_ops = {
	.fget = theirs_fget, .check_open = theirs_check_open, .dup = theirs_dup, .publish = theirs_publish,
	.unpublish = theirs_unpublish,
};

static void calls_of_others_mean_their_numbers(void **state)
{
	struct task task = { .ops = &theirs_ops };
	struct file *own = new_file(NULL);
	struct stat a, b;
	int fd;

	theirs.file = new_file(NULL);
	theirs.dup_of = memfd_create("theirs", MFD_CLOEXEC);
	atomic_store(&released, 0);
	assert_int_equal(fd_install(60, own), 0);
	current_task = &task;
	assert_ptr_equal(fget(5), theirs.file);
	assert_null(fget(60));
	assert_null(fget(6));
	assert_int_equal(fd_check_open(6), 0);
	assert_int_equal(fd_check_open(0), -EBADF);

	fd = fd_dup_private(6);
	assert_true(fd >= 0 && fd_is_private(fd));
	assert_false(fstat(fd, &a) || fstat(theirs.dup_of, &b));
	assert_int_equal(a.st_ino, b.st_ino);
	fd_private_close(fd);
	assert_int_equal(fd_dup_private(60), -EBADF);
	/* What is not named in a call is this process's. */
	fd = fd_private_dup(theirs.dup_of);
	assert_true(fd >= 0);
	fd_private_close(fd);
	assert_true(fd_is_ours(60));

	assert_int_equal(fd_publish(fget_file(theirs.file), true), 1000);
	assert_true(theirs.cloexec);
	assert_int_equal(fcntl(theirs.published, F_GETFD), -1);
	assert_int_equal(fd_publish(fget_file(theirs.file), false), 1000);
	assert_false(theirs.cloexec);
	theirs.full = true;
	assert_int_equal(fd_publish(theirs.file, true), -EMFILE);
	fd_unpublish(1000);
	assert_int_equal(theirs.unpublished, 1000);
	fd_unpublish(60);
	assert_int_equal(theirs.unpublished, 60);
	current_task = NULL;

	assert_null(fget(5));
	assert_ptr_equal(fget(60), own);
	fput(own);
	fd_uninstall(60);
	assert_int_equal(atomic_load(&released), 1);
	fput(theirs.file); /* what fget() gave */
	fput(theirs.file); /* what could not be published is ours still */
	assert_int_equal(atomic_load(&released), 2);
	close(theirs.dup_of);
}

/* The copy that cannot be hidden is closed. */
static void no_number_for_their_descriptor(void **state)
{
	struct task task = { .ops = &theirs_ops };
	int low = memfd_create("theirs", MFD_CLOEXEC), fd;
	struct rlimit limit, small;

	theirs.dup_of = low;
	fd = fcntl(low, F_DUPFD_CLOEXEC, 0); /* what is free next */
	close(fd);
	getrlimit(RLIMIT_NOFILE, &limit);
	small = limit;
	small.rlim_cur = (rlim_t)fd + 1;
	current_task = &task;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_int_equal(fd_dup_private(6), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &limit);
	current_task = NULL;
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(fd_private_next(0), -1);
	close(low);
}

static void unpublished_before_anybody_knew(void **state)
{
	int fd = fd_publish(new_file(NULL), true);

	atomic_store(&released, 0);
	assert_true(fd_is_ours(fd));
	fd_unpublish(fd);
	assert_false(fd_is_ours(fd));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(atomic_load(&released), 1);
}

/* Of those that a child may not have. */
static void exclusive_descriptors(void **state)
{
	int shared = fd_private(memfd_create("shared", MFD_CLOEXEC)), fds[3];

	for (int i = 0; i < 3; i++) {
		fds[i] = fd_private_exclusive(memfd_create("exclusive", MFD_CLOEXEC));
		assert_true(fds[i] >= 0 && fd_is_private(fds[i]));
	}
	fd_private_forget_exclusive(fds[1]);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_equal(fcntl(fds[2], F_GETFD), -1);
	assert_false(fd_is_private(fds[0]));
	assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(shared, F_GETFD), FD_CLOEXEC);
	/* A number that was one of them is none when it is given out again. */
	fd_private_close(fds[1]);
	assert_int_equal(fd_private_dup(shared), fds[0]);
	fd_private_forget_exclusive(-1);
	assert_true(fd_is_private(fds[0]));
	fd_private_close(fds[0]);
	fd_private_close(shared);
	assert_int_equal(fd_private_next(0), -1);
	assert_int_equal(fd_private_exclusive(-1), -EBADF);
}

/*
 * Some threads open and close numbers, others get them.  A file knows the number it was installed
 * at: a getter must never see another, nor one that was released.
 */
#define RACE_FDS 4
#define RACE_BASE 200

static atomic_bool stop;
static int race_ids[RACE_FDS];

static void *getter(void *arg)
{
	while (!atomic_load(&stop)) {
		for (int i = 0; i < RACE_FDS; i++) {
			struct file *file = fget(RACE_BASE + i);

			if (!file)
				continue;
			if (file->private_data != &race_ids[i] || strcmp(file->path, "/dev/vfio/test"))
				return arg;
			fput(file);
		}
	}
	return NULL;
}

static void *opener(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int round = 0; round < 20000; round++) {
		struct file *file = file_alloc(&test_fops, &race_ids[me], "/dev/vfio/test", 0);

		if (!file || fd_install(RACE_BASE + me, file))
			return arg ? arg : &race_ids;
		if (round % 2)
			fd_uninstall(RACE_BASE + me);
	}
	fd_uninstall(RACE_BASE + me);
	return NULL;
}

static void threads_race(void **state)
{
	pthread_t openers[RACE_FDS];
	pthread_t getters[2];
	void *bad;

	atomic_store(&released, 0);
	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&getters[i], NULL, getter, race_ids), 0);
	for (int i = 0; i < RACE_FDS; i++)
		assert_int_equal(pthread_create(&openers[i], NULL, opener, (void *)(intptr_t)i), 0);
	for (int i = 0; i < RACE_FDS; i++) {
		pthread_join(openers[i], &bad);
		assert_null(bad);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(getters[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(atomic_load(&released), RACE_FDS * 20000);
}

/* ---- a fork meanwhile ---- */

static void *publisher(void *arg)
{
	while (!atomic_load(&stop)) {
		struct file *file = file_alloc(&test_fops, arg, "/dev/vfio/test", 0);
		int fd = file ? fd_publish(file, true) : -1;

		if (fd < 0)
			return arg;
		fd_unpublish(fd);
	}
	return NULL;
}

/* In the child: how many numbers mean a file of ours, and are none of this process's. */
static int known_alone(void)
{
	int count = 0;

	for (int fd = 0; fd < 64; fd++)
		count += fd_is_ours(fd) && fcntl(fd, F_GETFD) < 0;
	return count;
}

/* The host copies descriptors before memory: without lib/fork.h some child of these has a number in memory alone. */
static void a_fork_takes_whole_numbers(void **state)
{
	pthread_t threads[3];
	int status;
	void *bad;

	atomic_store(&stop, false);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, publisher, race_ids), 0);
	for (int round = 0; round < 400; round++) {
		unsigned held = fork_begin();
		pid_t pid = fork();

		fork_end(held, !pid);
		if (!pid)
			_exit(known_alone());
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(install_and_get),
		cmocka_unit_test(numbers_outside_the_table),
		cmocka_unit_test(open_as_linux_sees_it),
		cmocka_unit_test(install_replaces),
		cmocka_unit_test(ranges),
		cmocka_unit_test(publish_gives_real_descriptors),
		cmocka_unit_test(publish_fails_cleanly),
		cmocka_unit_test(private_descriptors),
		cmocka_unit_test(private_descriptors_find_room_below),
		cmocka_unit_test(calls_of_others_mean_their_numbers),
		cmocka_unit_test(no_number_for_their_descriptor),
		cmocka_unit_test(unpublished_before_anybody_knew),
		cmocka_unit_test(exclusive_descriptors),
		cmocka_unit_test(threads_race),
		cmocka_unit_test(a_fork_takes_whole_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
