/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_by_hand_test.c - one end of a wire is the test itself, which may send what proxy and serve never would.
 *
 * First a child's proxy has no server, or one by hand.  Then serve has a caller by hand: it gets packets and answers that no
 * child sends, is left alone in the middle of a call, and has no memory.
 */
#include "kernel/syscall/serve_test.h"

#include <sys/socket.h>

#include "kernel/lib/nomem_test.h"
#include "kernel/syscall/serve.h"

/* ---- nobody at the other end ---- */

static void is_alone(void)
{
	struct file *file = fget(inherited), *other;
	struct twice t = { .in = 1 };
	u64 locked = 7, vm_pinned = 7, value;
	char buf[64];
	u32 mode;
	int err;

	EXPECT(proxy_active());
	EXPECT(call(T_DOUBLE, (unsigned long)&t) == -EBADF && says("which has ended"));
	EXPECT(do_read(-1, file, buf, 4, NULL) == -EBADF && do_write(-1, file, buf, 4, NULL) == -EBADF);
	EXPECT(do_lseek(-1, file, 0, SEEK_SET) == -EBADF && file_flush(file) == -EBADF);
	EXPECT(file->f_op->link(file, buf, 64) == -EBADF && file->f_op->fdinfo(file, buf, 64) == -EBADF);
	EXPECT(!map_device(file, 0x40000, PAGE_SIZE, PROT_READ, &err) && err == -EBADF);
	EXPECT(file_flags(file) == O_RDWR);
	file_set_flags(file, O_NONBLOCK);
	EXPECT(file_flags(file) == (O_RDWR | O_NONBLOCK));
	EXPECT(do_open("/dev/far/dev", O_RDWR, &other) == -EBUSY && says("which has ended"));
	EXPECT(proxy_node("far/dev", &mode, &value) == -EBUSY);
	EXPECT(!proxy_find(inherited));
	EXPECT(proxy_connect_child() < 0);
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 7 && vm_pinned == 7);
	proxy_end();
	close_number(inherited);
}

/* The mapping was made before. */
static void maps_and_is_alone(void)
{
	struct file *file = fget(inherited);
	u64 value = 5;
	int err;
	u8 *at = map_device(file, 0x40000, PAGE_SIZE, PROT_READ | PROT_WRITE, &err);

	EXPECT(at && call(T_TURN, 0) == -EBADF);
	EXPECT(mmio_access((uintptr_t)at, &value, 8, false) == -EFAULT);
	EXPECT(mmio_access((uintptr_t)at, &value, 8, true) == -EFAULT);
	EXPECT(call(T_DOUBLE, (unsigned long)at) == -EBADF);
	is_alone();
}

static void the_parent_is_gone(void **state)
{
	int pair[2];
	pid_t pid = fork_with(is_alone, pair);

	fd_private_close(pair[0]);
	went_well(pid);
}

/* ---- a server by hand ---- */

/* The next packet asks for @op, and gets @ret and no data.  @ret_fds: what came with it. */
static void answer(int sock, u32 op, s64 ret, int ret_fds[2])
{
	struct wire_packet packet;
	char data[WIRE_DATA];

	assert_int_equal(wire_receive(sock, &packet, data, sizeof(data), ret_fds), 0);
	assert_int_equal(packet.op, op);
	packet.op = WIRE_ANSWER;
	packet.ret = ret;
	packet.pins_first = ~0ull;
	packet.pins_last = 0;
	assert_int_equal(wire_send(sock, &packet, NULL, 0, (int[]){ -1, -1 }), 0);
}

static void the_parent_ends_in_a_call(void **state)
{
	int pair[2], fds[2], call_fds[2];
	struct wire_packet packet;
	char data[WIRE_DATA];
	pid_t pid = fork_with(maps_and_is_alone, pair);

	answer(pair[0], WIRE_HELLO, 0, fds);
	assert_true(fds[0] >= 0 && fds[1] >= 0); /* its memory */
	close_both(fds);
	answer(pair[0], WIRE_CONNECT, 0, fds);
	answer(fds[0], WIRE_MMAP, 0, call_fds);
	assert_int_equal(wire_receive(fds[0], &packet, data, sizeof(data), call_fds), 0);
	assert_int_equal(packet.op, WIRE_IOCTL);
	close_both(fds);
	fd_private_close(pair[0]);
	went_well(pid);
}

/* Answers of two threads' calls may be read in any order: the newest counts. */
static void hears_of_pins(void)
{
	static const bool near[] = { true, true, false, false };

	for (int i = 0; i < 4; i++) {
		EXPECT(call(T_TURN, 0) == 0);
		EXPECT(mm_pins_near(0x10000, PAGE_SIZE) == near[i] && !mm_pins_near(0x20000, PAGE_SIZE));
	}
}

static void the_newest_answer_counts(void **state)
{
	static const struct {
		u64 first, last, changes;
	} pins[] = { { 0x10000, 0x1ffff, 5 }, { ~0ull, 0, 4 }, { ~0ull, 0, 6 }, { 0x10000, 0x1ffff, 5 } };
	int pair[2], sock[2], fds[2];
	struct wire_packet packet;
	char data[WIRE_DATA];
	pid_t pid = fork_with(hears_of_pins, pair);

	answer(pair[0], WIRE_HELLO, 0, fds);
	close_both(fds);
	answer(pair[0], WIRE_CONNECT, 0, sock);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
		packet = (struct wire_packet){
			.op = WIRE_ANSWER,
			.pins_first = pins[i].first,
			.pins_last = pins[i].last,
			.pins_changes = pins[i].changes,
		};
		assert_int_equal(wire_send(sock[0], &packet, NULL, 0, (int[]){ -1, -1 }), 0);
	}
	went_well(pid);
	close_both(sock);
	fd_private_close(pair[0]);
}

static void is_asked_nonsense(void)
{
	int before = open_fds();

	EXPECT(call(T_TURN, (unsigned long)"some text") == 9);
	EXPECT(open_fds() == before + 1); /* the connection */
}

/* What the child is asked for, and what it answers. */
static void a_child_answers_all(void **state)
{
	static const struct {
		u32 op;
		const char *data;
		u64 arg[2];
		s64 ret;
	} asked[] = {
		{ 1000, "", { 0, 0 }, -EPROTO },	    { WIRE_IOCTL, "", { 0, 0 }, -EPROTO },
		{ WIRE_PUBLISH, "abc", { 0, 0 }, -ENOMEM }, { WIRE_COPY_FROM, "", { 8, 8 }, -EFAULT },
		{ WIRE_COPY_TO, "abc", { 8, 0 }, -EFAULT }, { WIRE_STRNCPY, "", { 8, 8 }, -EFAULT },
		{ WIRE_FGET, "", { 1000, 0 }, -EBADF },	    { WIRE_DUP, "", { 1000, 0 }, -EBADF },
		{ WIRE_FIND_AREA, "", { 0, ~0ull }, 0 },    { WIRE_UNPUBLISH, "", { 1000, 0 }, 0 },
	};
	int pair[2], sock[2], fds[2], extra = memfd_create("extra", MFD_CLOEXEC);
	struct wire_packet packet;
	char data[WIRE_DATA];
	pid_t pid = fork_with(is_asked_nonsense, pair);
	u64 text;

	answer(pair[0], WIRE_HELLO, 0, fds);
	close_both(fds);
	answer(pair[0], WIRE_CONNECT, 0, sock);
	assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
	text = packet.arg[1];
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		packet = (struct wire_packet){ .op = asked[i].op, .arg = { asked[i].arg[0], asked[i].arg[1] } };
		assert_int_equal(wire_send(sock[0], &packet, asked[i].data, strlen(asked[i].data),
					   (int[]){ asked[i].op == WIRE_PUBLISH ? extra : -1, -1 }), 0);
		assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
		assert_int_equal(packet.op, WIRE_ANSWER);
		assert_int_equal(packet.ret, asked[i].ret);
		assert_int_equal(packet.len, 0);
		close_both(fds);
	}
	/* No more than there is room for. */
	packet = (struct wire_packet){ .op = WIRE_COPY_FROM, .arg = { text & PAGE_MASK, 1 << 20 } }; /* a page */
	assert_int_equal(wire_send(sock[0], &packet, NULL, 0, (int[]){ -1, -1 }), 0);
	assert_int_equal(wire_receive(sock[0], &packet, data, sizeof(data), fds), 0);
	assert_true(!packet.ret && packet.len == WIRE_DATA);
	packet = (struct wire_packet){ .op = WIRE_ANSWER, .ret = 9, .pins_first = ~0ull };
	assert_int_equal(wire_send(sock[0], &packet, NULL, 0, (int[]){ extra, extra }), 0);
	went_well(pid);
	close_both(sock);
	close(extra);
	fd_private_close(pair[0]);
}

static void is_refused(void)
{
	EXPECT(call(T_TURN, 0) == -EBADF);
	EXPECT(proxy_connect_child() == -ENOMEM);
	EXPECT(call(T_TURN, 0) == -EBADF); /* a packet that is none of an answer */
}

static void the_server_has_no_thread(void **state)
{
	int pair[2], fds[2];
	struct wire_packet packet;
	pid_t pid = fork_with(is_refused, pair);

	for (int i = 0; i < 2; i++) {
		answer(pair[0], i ? WIRE_CONNECT : WIRE_HELLO, i ? -ENOMEM : 0, fds);
		close_both(fds);
	}
	answer(pair[0], WIRE_CONNECT, -ENOMEM, fds);
	close_both(fds);
	assert_int_equal(wire_receive(pair[0], &packet, NULL, 0, fds), 0);
	close_both(fds);
	assert_int_equal(send(pair[0], "nonsense", 8, 0), 8);
	went_well(pid);
	fd_private_close(pair[0]);
}

/* ---- packets that no child sends ---- */

static int first; /* connection of a process by hand */

static void begin_by_hand(void)
{
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(serve_process(pair[0], 0), 0);
	first = pair[1];
}

/* Of no data; @fd comes with it, twice; -1: none. */
#define ASK(sock, fd, ...) ask(sock, &(struct wire_packet){ __VA_ARGS__ }, NULL, 0, fd, fd)

static int connect_by_hand(void)
{
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(ask(first, &(struct wire_packet){ .op = WIRE_CONNECT }, NULL, 0, pair[1], -1), 0);
	fd_private_close(pair[1]);
	return pair[0];
}

static bool is_closed(int sock)
{
	struct wire_packet packet;
	int fds[2];

	return wire_receive(sock, &packet, NULL, 0, fds) == -EPIPE;
}

static void end_by_hand(int sock)
{
	if (sock >= 0)
		fd_private_close(sock);
	fd_private_close(first);
	all_quiet();
}

/* What is none of a first connection's, with descriptors that must not stay open. */
static void bad_first_packets(void **state)
{
	static const u32 ops[] = { WIRE_OPEN, WIRE_IOCTL, WIRE_ANSWER, WIRE_COPY_TO, 1000 };
	int before = open_fds(), plain = memfd_create("plain", MFD_CLOEXEC), sock;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		begin_by_hand();
		assert_int_equal(ASK(first, plain, .op = ops[i]), -EPIPE);
		end_by_hand(-1);
	}
	begin_by_hand();
	assert_int_equal(send(first, "short", 5, 0), 5);
	assert_true(is_closed(first));
	end_by_hand(-1);

	begin_by_hand();
	/* No calls of a process that has not said who it is. */
	assert_int_equal(ASK(first, plain, .op = WIRE_CONNECT), -EPROTO);
	assert_int_equal(ASK(first, plain, .op = WIRE_CONNECT, .id = 1), -EPROTO);
	hello(first);
	assert_int_equal(ASK(first, -1, .op = WIRE_CONNECT), -EBADF);
	assert_int_equal(ASK(first, plain, .op = WIRE_HELLO), -EPROTO);
	sock = connect_by_hand();
	assert_int_equal(ASK(sock, plain, .op = WIRE_ACCOUNTS), 0);
	end_by_hand(sock);
	close(plain);
	assert_int_equal(open_fds(), before);
}

static void bad_packets(void **state)
{
	struct wire_packet packet = { .op = WIRE_ACCOUNTS, .len = 7 };
	u64 id = (u64)ioctl_at(inherited, T_ID, 0);
	static char data[WIRE_DATA + 1];
	int sock;

	begin_by_hand();
	hello(first);
	sock = connect_by_hand();
	assert_int_equal(ASK(sock, -1, .op = WIRE_IOCTL, .id = id, .arg = { T_ID }), id);
	/* A file that is none, and an operation that is none. */
	assert_int_equal(ASK(sock, -1, .op = WIRE_IOCTL, .id = ~0ull), -EBADF);
	assert_int_equal(ASK(sock, -1, .op = 1000, .id = id), -EPROTO);
	assert_int_equal(ASK(sock, -1, .op = WIRE_ANSWER, .id = id), -EPROTO);
	assert_int_equal(ASK(sock, -1, .op = WIRE_IDENTIFY), -ENOENT);
	assert_int_equal(ASK(sock, -1, .op = WIRE_CLOSE, .id = id), 0);
	assert_int_equal(ASK(sock, -1, .op = WIRE_IOCTL, .id = id, .arg = { T_ID }), id);
	/* Accesses that no instruction makes. */
	for (int i = 0; i < 5; i++) {
		static const u64 args[][4] = { { 0x40000, 0, 3, 0 }, { 0x40000, 65, 3, 0 }, { 0x40ffc, 8, 3, 0 },
					       { 0x40000, 8, 3, 1 }, { 0x80000, 8, 3, 0 } };

		packet = (struct wire_packet){ .op = WIRE_ACCESS, .id = id };
		memcpy(packet.arg, args[i], sizeof(packet.arg));
		assert_int_equal(ask(sock, &packet, data, 4, -1, -1), i < 4 ? -EINVAL : -EFAULT);
	}
	packet = (struct wire_packet){ .op = WIRE_ACCESS, .id = id, .arg = { 0x40000, 4, 3, 1 } };
	assert_int_equal(ask(sock, &packet, "\1\2\3\4", 4, -1, -1), 0);
	assert_true(atomic_load(&dev.done) > 0);
	assert_int_equal(dev.bar[3], 4);

	/* More bytes than a packet has, and fewer than it says. */
	assert_int_equal(wire_send(sock, &packet, data, sizeof(data), (int[]){ -1, -1 }), 0);
	assert_true(is_closed(sock));
	fd_private_close(sock);
	sock = connect_by_hand();
	packet.len = 7;
	assert_int_equal(send(sock, &packet, sizeof(packet), 0), sizeof(packet));
	assert_true(is_closed(sock));
	end_by_hand(sock);
}

/* The server asks for @op in the middle of an ioctl, and gets @as with @data.  Return: what the ioctl says; -EPIPE. */
static s64 answered(unsigned cmd, u32 op, struct wire_packet as, const void *data, size_t len)
{
	u64 id = (u64)ioctl_at(inherited, T_ID, 0);
	struct wire_packet packet = { .op = WIRE_IOCTL, .id = id, .arg = { cmd, 0x10000 } };
	char buf[WIRE_DATA];
	int sock, fds[2], err;

	begin_by_hand();
	hello(first);
	sock = connect_by_hand();
	assert_int_equal(wire_send(sock, &packet, NULL, 0, (int[]){ -1, -1 }), 0);
	assert_int_equal(wire_receive(sock, &packet, buf, sizeof(buf), fds), 0);
	do {
		assert_int_equal(packet.op, op);
		close_both(fds);
		packet = as;
		assert_int_equal(wire_send(sock, &packet, data, len, (int[]){ -1, -1 }), 0);
		err = wire_receive(sock, &packet, buf, sizeof(buf), fds);
	} while (!err && packet.op != WIRE_ANSWER);
	close_both(fds);
	end_by_hand(sock);
	return err ? err : packet.ret;
}

#define PACKET(...) (struct wire_packet){ __VA_ARGS__ }

static void bad_answers(void **state)
{
	static char data[WIRE_DATA];
	const struct wire_packet good = { .op = WIRE_ANSWER };
	struct wire_packet packet = good;

	memset(data, 'x', sizeof(data));
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, PACKET(.op = WIRE_IOCTL), data, 8), -EFAULT);
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, good, data, 7), -EFAULT);
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, good, data, 9), -EFAULT);
	assert_int_equal(answered(T_DOUBLE, WIRE_COPY_FROM, PACKET(.op = WIRE_ANSWER, .ret = 1), data, 8), -EFAULT);
	assert_int_equal(answered(T_CLEAR, WIRE_COPY_TO, PACKET(.op = WIRE_ANSWER, .ret = -EIO), NULL, 0), -EFAULT);

	/* Strings: as long as they say, in the room there is, and with an end. */
	packet.ret = 3;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "abc", 4), 3);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "abcd", 4), -EFAULT);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "a\0b", 4), -EFAULT);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "ab", 3), -EFAULT);
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, data, sizeof(data)), -EFAULT);
	packet.ret = 1000;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, "abc", 4), -EFAULT);
	packet.ret = INT64_MAX;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, NULL, 0), -EFAULT);
	packet.ret = -ENAMETOOLONG;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, NULL, 0), -ENAMETOOLONG);
	packet.ret = -1234567;
	assert_int_equal(answered(T_STRLEN, WIRE_STRNCPY, packet, NULL, 0), -EFAULT);

	/* Descriptors. */
	assert_int_equal(answered(T_FGET, WIRE_FGET, PACKET(.op = WIRE_ANSWER, .id = ~0ull), NULL, 0), -EINVAL);
	assert_int_equal(answered(T_FGET, WIRE_FGET, PACKET(.op = WIRE_OPEN), NULL, 0), -EBADF);
	assert_int_equal(answered(T_DUP, WIRE_DUP, good, NULL, 0), -EBADF); /* and none comes with it */
	atomic_store(&dev.released, 0);
	packet.ret = -ENOMEM;
	assert_int_equal(answered(T_PUBLISH, WIRE_PUBLISH, packet, NULL, 0), -ENOMEM);
	assert_int_equal(answered(T_PUBLISH_PLAIN, WIRE_PUBLISH, PACKET(.op = WIRE_OPEN), NULL, 0), -EPROTO);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 2);
}

/* In the middle of a call the caller ends. */
static void the_child_is_gone(void **state)
{
	static const unsigned cmds[] = { T_DOUBLE, T_CLEAR, T_STRLEN, T_FGET, T_DUP, T_PUBLISH, T_PUBLISH_PLAIN };
	u64 id = (u64)ioctl_at(inherited, T_ID, 0);

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		struct wire_packet packet = { .op = WIRE_IOCTL, .id = id, .arg = { cmds[i], 0x10000 } };
		char buf[WIRE_DATA];
		int sock, fds[2];

		begin_by_hand();
		hello(first);
		sock = connect_by_hand();
		assert_int_equal(wire_send(sock, &packet, NULL, 0, (int[]){ -1, -1 }), 0);
		assert_int_equal(wire_receive(sock, &packet, buf, sizeof(buf), fds), 0);
		close_both(fds);
		end_by_hand(sock);
	}
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 2);
}

/* ---- memory runs out ---- */

static void no_memory_to_serve(void **state)
{
	int plain = open_here("/dev/far/plain", false), pair[2], err;
	u32 n = 0;

	do {
		assert_int_equal(wire_pair(pair), 0);
		nomem_begin(++n);
		err = serve_process(pair[0], NR_FDS);
		assert_int_equal(err, err ? -ENOMEM : 0);
		if (err)
			assert_true(is_closed(pair[1]));
		fd_private_close(pair[1]);
	} while (nomem_end());
	assert_int_equal(err, 0);
	assert_true(n > 3);
	all_quiet();
	close_here(plain);
	assert_int_equal(atomic_load(&dev.released), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(the_parent_is_gone),
		GUARDED_TEST(the_parent_ends_in_a_call),
		GUARDED_TEST(the_newest_answer_counts),
		GUARDED_TEST(a_child_answers_all),
		GUARDED_TEST(the_server_has_no_thread),
		GUARDED_TEST(bad_first_packets),
		GUARDED_TEST(bad_packets),
		GUARDED_TEST(bad_answers),
		GUARDED_TEST(the_child_is_gone),
		GUARDED_TEST(no_memory_to_serve),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
