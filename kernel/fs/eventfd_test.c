/* SPDX-License-Identifier: BSD-3-Clause */
/* eventfd_test.c - an eventfd is held and signalled; nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/fs/eventfd.h"
#include "kernel/fs/file.h"
#include "kernel/lib/err.h"

static void get_fails(int fd, int err)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(fd);

	assert_true(IS_ERR(ctx));
	assert_int_equal(PTR_ERR(ctx), err);
	/* Nothing was kept. */
	assert_int_equal(fd_private_next(0), -1);
}

static void signals_after_the_program_closed_its_own(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int other = dup(fd);
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(fd);
	uint64_t value = 0;

	assert_false(IS_ERR(ctx));
	assert_true(fd_is_private(eventfd_ctx_fd(ctx)));
	close(fd);
	errno = 4711;
	eventfd_signal(ctx);
	eventfd_signal(ctx);
	assert_int_equal(errno, 4711);
	assert_int_equal(read(other, &value, 8), 8);
	assert_int_equal(value, 2);
	eventfd_ctx_put(ctx);
	assert_int_equal(fd_private_next(0), -1);
	eventfd_ctx_put(NULL);
	close(other);
}

static void a_full_counter_stays_full(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(fd);
	uint64_t value = ~0ull - 1;

	assert_int_equal(write(fd, &value, 8), 8);
	eventfd_signal(ctx);
	assert_int_equal(read(fd, &value, 8), 8);
	assert_true(value == ~0ull - 1);
	eventfd_ctx_put(ctx);
	close(fd);
}

static void other_descriptors_are_refused(void **state)
{
	static const struct file_operations fops = { .kind = FILE_OTHER };
	int null = open("/dev/null", O_RDWR);
	int memfd = memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int real = eventfd(0, EFD_CLOEXEC);
	struct eventfd_ctx *ctx;

	get_fails(-1, -EBADF);
	get_fails(-2, -EBADF);
	get_fails(INT32_MAX, -EBADF);
	get_fails(999, -EBADF);
	get_fails(null, -EINVAL);
	get_fails(memfd, -EINVAL);
	get_fails(epoll, -EINVAL);
	assert_int_equal(fd_install(memfd, file_alloc(&fops, NULL, "/dev/vfio/vfio", 0)), 0);
	get_fails(memfd, -EINVAL);
	fd_uninstall(memfd);
	/* A private number is nobody's, even if an eventfd is behind it. */
	ctx = eventfd_ctx_fdget(real);
	assert_false(IS_ERR(ctx));
	assert_int_equal(PTR_ERR(eventfd_ctx_fdget(eventfd_ctx_fd(ctx))), -EBADF);
	eventfd_ctx_put(ctx);
	close(null);
	close(memfd);
	close(epoll);
	close(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_after_the_program_closed_its_own),
		cmocka_unit_test(a_full_counter_stays_full),
		cmocka_unit_test(other_descriptors_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
