/* SPDX-License-Identifier: BSD-3-Clause */
/* share_test.c - files that a child has open as well are released when it has let go of them, and not before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/lib/explain.h"
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

/* A thread that waited for others frees what it had a moment after the file was released. */
static void no_private_left(void)
{
	for (int i = 0; i < 5000 && fd_private_next(0) >= 0; i++)
		usleep(1000);
	assert_int_equal(fd_private_next(0), -1);
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
		fd_private_forget_exclusive(-1);
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
	no_private_left();
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

/* What lives on in this process is nothing to a child that uses it: there is nobody who would count it down again. */
static void not_in_a_child(void **state)
{
	int fd = published(-1), kept = published(-1), order[2], status;
	pid_t pid, other;

	shared(fd);
	shared(kept);
	pid = child(fd, order);
	closed(fd);
	assert_int_equal(atomic_load(&files_elsewhere), 1);
	other = fork();
	if (!other) {
		file_forget_all();
		file_reap();
		_exit(atomic_load(&files_elsewhere) || file_find_shared(kept));
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	tell(order);
	file_reap();
	assert_int_equal(atomic_load(&files_elsewhere), 0);
	end(pid, order);
	closed(kept);
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

/* ---- files that only others have ---- */

/* A descriptor of @pid, as it comes in a message. */
static int got_from(pid_t pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	assert_true(pidfd >= 0 && got >= 0);
	close(pidfd);
	return got;
}

static int reopened(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static char said[256];

static void hear(const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

static void handed_over(void **state)
{
	int fd = published(-1), order[2];
	struct file *file = fget(fd);
	pid_t pid;
	u64 id = file->id;

	fd_uninstall(fd);
	file_share(fd, file);
	pid = child(fd, order);
	explain_set_sink(hear);
	explain_enabled = true;
	said[0] = '\0';
	file_hand_over(fd, file);
	assert_string_equal(said, ""); /* as it should be */
	explain_enabled = false;
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(atomic_load(&released), 0);
	assert_ptr_equal(fget_id(id), file);
	fput(file); /* not the last: the child has it */
	assert_int_equal(atomic_load(&released), 0);
	tell(order);
	file_reap();
	assert_int_equal(atomic_load(&released), 1);
	assert_null(fget_id(id));
	end(pid, order);
}

/* Whoever should have got it has not. */
static void handed_over_to_nobody(void **state)
{
	int fd = published(-1);
	struct file *file = fget(fd);

	fd_uninstall(fd);
	file_hand_over(fd, file);
	assert_int_equal(atomic_load(&released), 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	no_private_left();
}

static void found_by_a_descriptor(void **state)
{
	int fd = published(-1), other = published(-1), again = dup(fd), node = reopened(fd, O_RDWR), order[2];
	int stranger = memfd_create("/dev/vfio/test", MFD_CLOEXEC), got;
	struct file *file = fget(fd);
	pid_t pid;

	assert_null(file_find_shared(fd)); /* was not shared yet */
	shared(fd);
	shared(other);
	assert_ptr_equal(file_find_shared(fd), file);
	assert_ptr_equal(file_find_shared(again), file);
	assert_int_equal(atomic_load(&file->refs), 4);
	fput(file);
	fput(file);
	assert_null(file_find_shared(node)); /* another open file */
	assert_null(file_find_shared(stranger));
	assert_null(file_find_shared(-1));
	close(again);

	/* That only the child has. */
	pid = child(fd, order);
	fd_uninstall(fd);
	file_hand_over(fd, file);
	assert_int_equal(atomic_load(&released), 0);
	assert_null(file_find_shared(node));
	got = got_from(pid, fd);
	assert_ptr_equal(file_find_shared(got), file);
	/* Now that is enough to have it. */
	tell(order);
	file_reap();
	close(got);
	file_reap();
	assert_int_equal(atomic_load(&released), 0);
	fput(file);
	assert_int_equal(atomic_load(&released), 1);
	assert_null(file_find_shared(node));
	end(pid, order);
	closed(other);
	assert_int_equal(atomic_load(&released), 2);
	close(node);
	close(stranger);
}

static void found_if_read_only(void **state)
{
	int fd = published(fd_private_exclusive(open("/dev/null", O_RDONLY | O_CLOEXEC)));
	int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct file *file;

	shared(fd);
	assert_null(file_find_shared(other));
	file = file_find_shared(fd);
	assert_non_null(file);
	fput(file);
	close(other);
	closed(fd);
	assert_int_equal(atomic_load(&released), 1);
}

/* To lock it with, whoever has it. */
static void the_node_stays_at_hand(void **state)
{
	char path[] = "/tmp/share_test.XXXXXX";
	int fd, order[2], backing;
	struct stat a, b;
	struct file *file;
	pid_t pid;
	u64 id;

	fd = published(-1);
	file = fget(fd);
	assert_int_equal(file_node_fd(file), -1);
	closed(fd);
	fput(file);

	backing = fd_private_exclusive(mkostemp(path, O_CLOEXEC));
	assert_int_equal(stat(path, &a), 0);
	fd = published(backing);
	file = fget(fd);
	assert_int_equal(file_node_fd(file), backing);
	assert_int_equal(file->others_fd, -1);
	id = file->id;
	fd_uninstall(fd);
	file_share(fd, file);
	pid = child(fd, order);
	file_hand_over(fd, fget_file(file));
	assert_int_equal(file_node_fd(file), backing); /* for as long as it is used here */
	fput(file);
	assert_int_equal(atomic_load(&released), 0);
	assert_ptr_equal(fget_id(id), file);
	assert_int_equal(file->backing_fd, -1);
	assert_true(file_node_fd(file) >= 0 && file_node_fd(file) == file->others_fd && fd_is_private(file->others_fd));
	assert_int_equal(fstat(file_node_fd(file), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(fcntl(backing, F_GETFD), -1);
	tell(order);
	file_reap();
	fput(file);
	assert_int_equal(atomic_load(&released), 1);
	end(pid, order);
	unlink(path);
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
		cmocka_unit_test(not_in_a_child),
		cmocka_unit_test(of_memory),
		cmocka_unit_test(of_a_pipe),
		cmocka_unit_test(of_a_node),
		cmocka_unit_test(killed),
		cmocka_unit_test(by_the_thread),
		cmocka_unit_test(at_once),
		cmocka_unit_test(closed_there_first),
		cmocka_unit_test(not_shared),
		cmocka_unit_test(of_many),
		cmocka_unit_test(handed_over),
		cmocka_unit_test(handed_over_to_nobody),
		cmocka_unit_test(found_by_a_descriptor),
		cmocka_unit_test(found_if_read_only),
		cmocka_unit_test(the_node_stays_at_hand),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
