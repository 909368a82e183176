/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_test.h - for tests that are one end of a wire, or look what descriptors it left open. */
#ifndef KERNEL_SYSCALL_WIRE_TEST_H
#define KERNEL_SYSCALL_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "kernel/syscall/wire.h"

static inline int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline void close_both(const int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* A call, and what it returns; -errno: there was no answer.  Descriptors that come with that are closed. */
static inline s64 ask(int sock, struct wire_packet *packet, const void *data, size_t len, int fd0, int fd1)
{
	char buf[WIRE_DATA];
	int fds[2], err;

	assert_int_equal(wire_send(sock, packet, data, len, (int[]){ fd0, fd1 }), 0);
	err = wire_receive(sock, packet, buf, sizeof(buf), fds);
	if (err)
		return err;
	close_both(fds);
	return packet->ret;
}

/* The first packet: of a process of a made-up number with this one's memory. */
static inline void hello(int sock)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC), maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct wire_packet packet = { .op = WIRE_HELLO, .arg = { 12345 } };

	assert_int_equal(ask(sock, &packet, NULL, 0, mem, maps), 0);
	close(mem);
	close(maps);
}

#endif
