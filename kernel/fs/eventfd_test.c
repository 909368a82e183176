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
#include "kernel/lib/task.h"

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

/* A process that has a file of ours at 5, an eventfd at 6 and another file at 7. */
static struct {
	struct file *file;
	int eventfd, other;
} theirs;

static struct file *theirs_fget(struct task *task, int fd)
{
	return fd == 5 ? fget_file(theirs.file) : NULL;
}

static int theirs_check_open(struct task *task, int fd)
{
	return fd >= 5 && fd <= 7 ? 0 : -EBADF;
}

static int theirs_dup(struct task *task, int fd)
{
	return fcntl(fd == 6 ? theirs.eventfd : theirs.other, F_DUPFD_CLOEXEC, 0);
}

static void of_the_process_whose_call_it_is(void **state)
{
	static const struct task_ops ops = { .fget = theirs_fget, .check_open = theirs_check_open, .dup = theirs_dup };
	static const struct file_operations fops = { .kind = FILE_OTHER };
	struct task task = { .ops = &ops };
	struct eventfd_ctx *ctx;
	uint64_t value = 0;
	int own;

	theirs.file = file_alloc(&fops, NULL, "/dev/vfio/vfio", 0);
	theirs.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	theirs.other = memfd_create("x", MFD_CLOEXEC);
	own = fcntl(theirs.eventfd, F_DUPFD_CLOEXEC, 50);
	current_task = &task;
	get_fails(own, -EBADF);
	get_fails(5, -EINVAL);
	get_fails(7, -EINVAL);
	ctx = eventfd_ctx_fdget(6);
	current_task = NULL;
	assert_false(IS_ERR(ctx));
	eventfd_signal(ctx);
	assert_int_equal(read(theirs.eventfd, &value, 8), 8);
	assert_int_equal(value, 1);
	eventfd_ctx_put(ctx);
	assert_int_equal(fd_private_next(0), -1);
	assert_int_equal(atomic_load(&theirs.file->refs), 1);
	fput(theirs.file);
	close(theirs.eventfd);
	close(theirs.other);
	close(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_after_the_program_closed_its_own),
		cmocka_unit_test(a_full_counter_stays_full),
		cmocka_unit_test(other_descriptors_are_refused),
		cmocka_unit_test(of_the_process_whose_call_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
