/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_test.c - packets keep their bounds, and descriptors come with theirs or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/lib/nomem_test.h"
#include "kernel/syscall/wire.h"
#include "kernel/syscall/wire_test.h"

static const int no_fds[2] = { -1, -1 };
static int pair[2];

static int begin(void **state)
{
	return wire_pair(pair);
}

static int end(void **state)
{
	fd_private_close(pair[0]);
	fd_private_close(pair[1]);
	return fd_private_next(0) == -1 ? 0 : -1;
}

static void packets_keep_their_bounds(void **state)
{
	struct wire_packet packet = { .op = WIRE_READ, .id = 7, .ret = -5, .arg = { 1, 2, 3, 4 }, .pins_last = 9 }, got;
	char data[WIRE_DATA] = "hello", buf[WIRE_DATA];
	int fds[2];

	assert_true(fd_is_private(pair[0]) && fd_is_private(pair[1]));
	data[WIRE_DATA - 1] = 'z';
	assert_int_equal(wire_send(pair[0], &packet, "first", 5, no_fds), 0);
	assert_int_equal(wire_send(pair[0], &packet, NULL, 0, no_fds), 0);
	assert_int_equal(wire_send(pair[0], &packet, data, WIRE_DATA, no_fds), 0);
	assert_int_equal(wire_receive(pair[1], &got, buf, sizeof(buf), fds), 0);
	assert_int_equal(got.len, 5);
	assert_memory_equal(buf, "first", 5);
	assert_true(got.op == WIRE_READ && got.id == 7 && got.ret == -5 && got.arg[3] == 4 && got.pins_last == 9);
	assert_true(fds[0] == -1 && fds[1] == -1);
	assert_int_equal(wire_receive(pair[1], &got, NULL, 0, fds), 0);
	assert_int_equal(got.len, 0);
	assert_int_equal(wire_receive(pair[1], &got, buf, sizeof(buf), fds), 0);
	assert_int_equal(got.len, WIRE_DATA);
	assert_memory_equal(buf, data, WIRE_DATA);
}

static void descriptors_come_along(void **state)
{
	struct wire_packet packet = { .op = WIRE_HELLO };
	struct stat a, b;
	int own[2] = { memfd_create("a", MFD_CLOEXEC), memfd_create("b", MFD_CLOEXEC) }, fds[2], before = open_fds();

	for (int n = 0; n <= 2; n++) {
		fds[0] = n > 0 ? own[0] : -1;
		fds[1] = n > 1 ? own[1] : -1;
		assert_int_equal(wire_send(pair[0], &packet, NULL, 0, fds), 0);
		assert_int_equal(wire_receive(pair[1], &packet, NULL, 0, fds), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(fds[i] >= 0, i < n);
			if (i >= n)
				continue;
			assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
			assert_false(fstat(fds[i], &a) || fstat(own[i], &b));
			assert_int_equal(a.st_ino, b.st_ino);
			close(fds[i]);
		}
	}
	assert_int_equal(wire_send(pair[0], &packet, NULL, 0, (int[]){ 1000, -1 }), -EBADF);

	/* With a packet that is none they are closed. */
	assert_int_equal(wire_send(pair[0], &packet, "too long", 8, own), 0);
	assert_int_equal(wire_receive(pair[1], &packet, NULL, 0, fds), -EPROTO);
	assert_int_equal(open_fds(), before);
	close(own[0]);
	close(own[1]);
}

static void what_is_no_packet(void **state)
{
	struct wire_packet packet = { .op = WIRE_READ };
	char buf[64];
	int fds[2];

	assert_int_equal(send(pair[0], &packet, sizeof(packet) - 1, 0), sizeof(packet) - 1);
	assert_int_equal(wire_receive(pair[1], &packet, buf, sizeof(buf), fds), -EPROTO);
	packet.len = 1;
	assert_int_equal(send(pair[0], &packet, sizeof(packet), 0), sizeof(packet));
	assert_int_equal(wire_receive(pair[1], &packet, buf, sizeof(buf), fds), -EPROTO);
	assert_int_equal(wire_send(pair[0], &packet, "123456789", 9, no_fds), 0);
	assert_int_equal(wire_receive(pair[1], &packet, buf, 8, fds), -EPROTO);
	assert_int_equal(wire_send(pair[0], &packet, (void *)8, 9, no_fds), -EFAULT);
	/* Each was taken off: what follows is read. */
	assert_int_equal(wire_send(pair[0], &packet, "1", 1, no_fds), 0);
	assert_int_equal(wire_receive(pair[1], &packet, buf, sizeof(buf), fds), 0);
	assert_int_equal(buf[0], '1');
}

static void nobody_at_the_other_end(void **state)
{
	struct wire_packet packet = { .op = WIRE_READ };
	int fds[2];

	fd_private_close(pair[0]);
	assert_int_equal(wire_send(pair[1], &packet, "1", 1, no_fds), -EPIPE); /* and no signal */
	assert_int_equal(wire_receive(pair[1], &packet, NULL, 0, fds), -EPIPE);
	assert_int_equal(wire_receive(-1, &packet, NULL, 0, fds), -EBADF);
}

static void no_number_for_a_pair(void **state)
{
	int low = dup(0), before = open_fds(), more[2];
	struct rlimit limit, small;

	close(low);
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int room = 0; room < 4; room++) {
		small = limit;
		small.rlim_cur = (rlim_t)(low + room);
		setrlimit(RLIMIT_NOFILE, &small);
		assert_int_equal(wire_pair(more), room < 3 ? -EMFILE : 0);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	fd_private_close(more[0]);
	fd_private_close(more[1]);
	assert_int_equal(open_fds() + 1, before);
}

static long ioctl_op(struct file *file, unsigned int cmd, unsigned long arg)
{
	return 0;
}

static int text_op(struct file *file, char *buf, size_t size)
{
	return 0;
}

static void files_are_described(void **state)
{
	static const struct file_operations shared = {
		.kind = FILE_VFIO_GROUP, .ioctl = ioctl_op, .link = text_op, .shared = true,
	};
	static const struct file_operations stream = { .kind = FILE_OTHER, .stream = true, .fdinfo = text_op };
	char path[400];
	struct file *file = file_alloc(&shared, NULL, "/dev/vfio/3", O_RDWR | O_NONBLOCK);
	struct wire_file what;

	file->mode = S_IFCHR | 0600;
	file->rdev = makedev(10, 3);
	file->size = 4711;
	file->numbered = true;
	wire_describe(file, &what);
	assert_true(what.id == file->id && what.mode == file->mode && what.rdev == file->rdev);
	assert_true(what.size == 4711 && what.numbered);
	assert_int_equal(what.kind, FILE_VFIO_GROUP);
	assert_int_equal(what.f_flags, O_RDWR | O_NONBLOCK);
	assert_int_equal(what.ops, WIRE_HAS_IOCTL | WIRE_HAS_LINK | WIRE_IS_SHARED);
	assert_string_equal(what.path, "/dev/vfio/3");
	fput(file);

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	file = file_alloc(&stream, NULL, path, 0);
	wire_describe(file, &what);
	assert_int_equal(what.ops, WIRE_IS_STREAM | WIRE_HAS_FDINFO);
	assert_int_equal(strlen(what.path), sizeof(what.path) - 1);
	fput(file);
}

/* ---- who has a kernel ---- */

static char dir[] = "/tmp/wire_test.XXXXXX";

static void listeners_are_found(void **state)
{
	int order[2], ready[2], pid = 0, listener = wire_listener(), sock, status;
	pid_t child;
	char c;

	assert_true(listener >= 0 && fd_is_private(listener));
	assert_true(wire_listener() < 0); /* the name is taken */
	assert_false(pipe(order) || pipe(ready));
	child = fork();
	if (!child) {
		int own = wire_listener();

		close(order[1]);
		_exit(write(ready[1], "x", 1) != 1 || read(order[0], &c, 1) != 0 || own < 0);
	}
	close(order[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	for (int i = 0; i < 2; i++) { /* by number */
		sock = wire_next_listener(&pid);
		assert_true(sock >= 0 && fd_is_private(sock) && wire_trusts(sock));
		assert_int_equal(pid, i ? max(child, getpid()) : min(child, getpid()));
		fd_private_close(sock);
	}
	assert_int_equal(wire_next_listener(&pid), -ENOENT);

	/* Another machine's are not. */
	wire_machine("/");
	pid = 0;
	assert_int_equal(wire_next_listener(&pid), -ENOENT);
	wire_machine("/nowhere"); /* as it was */
	assert_int_equal(wire_next_listener(&pid), -ENOENT);
	wire_machine(dir);

	close(order[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pid = 0;
	sock = wire_next_listener(&pid);
	assert_true(sock >= 0);
	assert_int_equal(pid, getpid());
	fd_private_close(sock);
	fd_private_close(listener);
	assert_int_equal(wire_next_listener(&(int){ 0 }), -ENOENT);
	close(ready[0]);
	close(ready[1]);
}

static void none_is_found_without_memory(void **state)
{
	int listener = wire_listener(), pid = 0;

	nomem_begin(1);
	assert_int_equal(wire_next_listener(&pid), -ENOENT);
	assert_true(nomem_end());
	fd_private_close(listener);
}

static void strangers_are_not_trusted(void **state)
{
	int plain = memfd_create("plain", MFD_CLOEXEC);

	assert_true(wire_trusts(pair[0]));
	assert_false(wire_trusts(-1));
	assert_false(wire_trusts(plain)); /* no socket */
	close(plain);
}

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	wire_machine(dir);
	return 0;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

#define WIRE_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

/* What is none might never become readable. */
static void connections_are_known(void **state)
{
	int pair[2], event = eventfd(0, EFD_CLOEXEC), lone = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_equal(wire_pair(pair), 0);
	assert_true(wire_is_connection(pair[0]));
	assert_true(wire_is_connection(pair[1]));
	assert_false(wire_is_connection(event));
	assert_false(wire_is_connection(lone));
	assert_false(wire_is_connection(-1));
	close(event);
	close(lone);
	fd_private_close(pair[0]);
	fd_private_close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WIRE_TEST(connections_are_known),
		WIRE_TEST(packets_keep_their_bounds),
		WIRE_TEST(descriptors_come_along),
		WIRE_TEST(what_is_no_packet),
		WIRE_TEST(nobody_at_the_other_end),
		WIRE_TEST(no_number_for_a_pair),
		WIRE_TEST(files_are_described),
		WIRE_TEST(listeners_are_found),
		WIRE_TEST(none_is_found_without_memory),
		WIRE_TEST(strangers_are_not_trusted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
