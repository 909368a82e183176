/* SPDX-License-Identifier: BSD-3-Clause */
/* share_test.c - files that a child has open as well are released when it has let go of them, and not before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/lib/nomem_test.h"

static atomic_int released;

static void count_release(struct file *file)
{
	atomic_fetch_add(&released, 1);
}

static const struct file_operations test_fops = { .kind = FILE_OTHER, .shared = true, .release = count_release };

/* A descriptor, of memory or of what @backing is. */
static int published(int backing)
{
	struct file *file = file_alloc(&test_fops, NULL, "/dev/vfio/test", O_RDWR);
	int fd;

	assert_non_null(file);
	file->backing_fd = backing;
	fd = fd_publish(file, true);
	assert_true(fd >= 0);
	atomic_store(&released, 0);
	return fd;
}

static void shared(int fd)
{
	struct file *file = fget(fd);

	assert_non_null(file);
	file_share(fd, file);
	fput(file);
}

/* As the front end does it: the number is gone before the file is. */
static void closed(int fd)
{
	struct file *file = fget(fd);

	fd_uninstall(fd);
	close(fd);
	fput(file);
}

/* A child that closes @fd when it is told to, by a byte, and ends with the pipe. */
static pid_t child(int fd, int *ret_order)
{
	int order[2], done[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(order), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (!pid) {
		fd_private_forget_exclusive();
		close(order[1]);
		close(done[0]);
		for (int n = 0; write(done[1], "x", 1) == 1 && read(order[0], &c, 1) == 1; n++)
			close(fd);
		_exit(0);
	}
	close(order[0]);
	close(done[1]);
	assert_int_equal(read(done[0], &c, 1), 1);
	ret_order[0] = order[1];
	ret_order[1] = done[0];
	return pid;
}

static void tell(const int *order)
{
	char c = 0;

	assert_int_equal(write(order[0], &c, 1), 1);
	assert_int_equal(read(order[1], &c, 1), 1);
}

static void end(pid_t pid, const int *order)
{
	close(order[0]);
	close(order[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void nobody_else(void **state)
{
	int fd = published(-1);

	shared(fd);
	shared(fd);
	closed(fd);
	assert_int_equal(atomic_load(&released), 1);
	assert_int_equal(atomic_load(&files_elsewhere), 0);
	assert_int_equal(fd_private_next(0), -1);
}

static void lives_on(int backing)
{
	int fd = published(backing), order[2];
	pid_t pid;

	shared(fd);
	pid = child(fd, order);
	closed(fd);
	file_reap();
	assert_int_equal(atomic_load(&released), 0);
	assert_int_equal(atomic_load(&files_elsewhere), 1);
	tell(order);
	file_reap();
	assert_int_equal(atomic_load(&released), 1);
	assert_int_equal(atomic_load(&files_elsewhere), 0);
	end(pid, order);
}

static void of_memory(void **state)
{
	lives_on(-1);
}

/* As an event queue has it. */
static void of_a_pipe(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	lives_on(fd_private_exclusive(ends[0]));
	close(ends[1]);
}

static void of_a_node(void **state)
{
	lives_on(fd_private_exclusive(open("/dev/null", O_RDONLY | O_CLOEXEC)));
}

static void killed(void **state)
{
	int fd = published(-1), order[2];
	pid_t pid;

	shared(fd);
	pid = child(fd, order);
	closed(fd);
	assert_int_equal(atomic_load(&released), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	end(pid, order);
	file_reap(); /* at once: who has waited for a child knows that its files are closed */
	assert_int_equal(atomic_load(&released), 1);
}

/* A program that makes no call meanwhile. */
static void by_the_thread(void **state)
{
	int fd = published(-1), order[2];
	pid_t pid;

	shared(fd);
	pid = child(fd, order);
	closed(fd);
	tell(order);
	for (int i = 0; i < 1000 && !atomic_load(&released); i++)
		usleep(10000);
	assert_int_equal(atomic_load(&released), 1);
	end(pid, order);
}

static void closed_there_first(void **state)
{
	int fd = published(-1), order[2];
	pid_t pid;

	shared(fd);
	pid = child(fd, order);
	tell(order);
	assert_int_equal(atomic_load(&released), 0);
	closed(fd);
	assert_int_equal(atomic_load(&released), 1);
	end(pid, order);
}

/* The thread and the call race for it; whoever wins, the call finds it released. */
static void at_once(void **state)
{
	int fd, order[2];
	pid_t pid;

	for (int i = 0; i < 100; i++) {
		fd = published(-1);
		shared(fd);
		pid = child(fd, order);
		closed(fd);
		tell(order);
		file_reap();
		assert_int_equal(atomic_load(&released), 1);
		end(pid, order);
	}
}

/* One that was not shared is this process's alone. */
static void not_shared(void **state)
{
	int fd = published(-1), order[2];
	pid_t pid = child(fd, order);

	closed(fd);
	assert_int_equal(atomic_load(&released), 1);
	end(pid, order);
}

static void of_many(void **state)
{
	int fds[20], order[20][2];
	pid_t pids[20];

	for (int i = 0; i < 20; i++) {
		fds[i] = published(-1);
		shared(fds[i]);
	}
	for (int i = 0; i < 20; i++)
		pids[i] = child(fds[i], order[i]);
	for (int i = 0; i < 20; i++)
		closed(fds[i]);
	assert_int_equal(atomic_load(&released), 0);
	for (int i = 0; i < 20; i++) {
		kill(pids[i], SIGKILL);
		end(pids[i], order[i]);
	}
	file_reap();
	assert_int_equal(atomic_load(&released), 20);
}

static void without_memory(void **state)
{
	u32 n = 0;
	int fd;

	do {
		fd = published(-1);
		nomem_begin(++n);
		shared(fd);
		closed(fd);
		assert_int_equal(atomic_load(&released), 1);
	} while (nomem_end());
	assert_true(n > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_else),
		cmocka_unit_test(of_memory),
		cmocka_unit_test(of_a_pipe),
		cmocka_unit_test(of_a_node),
		cmocka_unit_test(killed),
		cmocka_unit_test(by_the_thread),
		cmocka_unit_test(at_once),
		cmocka_unit_test(closed_there_first),
		cmocka_unit_test(not_shared),
		cmocka_unit_test(of_many),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
