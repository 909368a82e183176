/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eventfd.c - an eventfd that outlives the descriptor the program gave us.
 *
 * The kernel would hold the eventfd's own object.  We hold a duplicate of the descriptor, private, so
 * the program cannot close it by accident; to signal is to write 8 bytes to it.
 *
 * What is dangerous: only a real eventfd may be taken, since writing 8 bytes to a program's file would
 * be a disaster.  Its kind is read from /proc behind the duplicate, which nobody can exchange.
 *
 * A limit: a counter that stands at its very top blocks the writer, where Linux would leave it there.
 * Only a program that sets its own eventfd to 2^64-2 and leaves it blocking can see that.
 */
#include "kernel/fs/eventfd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/file.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

struct eventfd_ctx {
	int fd; /* private; immutable */
};

/* Return: 0; -EINVAL. */
static int check_is_eventfd(int private_fd, int fd)
{
	char link[32];
	char target[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", private_fd);
	len = sys_readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return fail(-EINVAL, "descriptor %d: no /proc to see whether it is an eventfd", fd);
	target[len] = '\0';
	if (strcmp(target, "anon_inode:[eventfd]"))
		return fail(-EINVAL, "descriptor %d is not an eventfd but %s", fd, target);
	return 0;
}

struct eventfd_ctx *eventfd_ctx_fdget(int fd)
{
	struct eventfd_ctx *ctx;
	struct file *file;
	int private_fd;
	int err;

	file = fget(fd);
	fput(file);
	if (file)
		return ERR_PTR(fail(-EINVAL, "descriptor %d is not an eventfd but a file of ours", fd));
	if (fd_check_open(fd))
		return ERR_PTR(-EBADF);
	private_fd = fd_dup_private(fd);
	if (private_fd < 0)
		return ERR_PTR(private_fd);
	err = check_is_eventfd(private_fd, fd);
	if (err)
		goto err_close;
	ctx = kmalloc(sizeof(*ctx));
	if (!ctx) {
		err = fail(-ENOMEM, "no memory to hold the eventfd %d", fd);
		goto err_close;
	}
	ctx->fd = private_fd;
	return ctx;

err_close:
	fd_private_close(private_fd);
	return ERR_PTR(err);
}

void eventfd_ctx_put(struct eventfd_ctx *ctx)
{
	if (!ctx)
		return;
	fd_private_close(ctx->fd);
	kfree(ctx);
}

void eventfd_signal(struct eventfd_ctx *ctx)
{
	static const u64 one = 1;

	/* EAGAIN: the program made it non-blocking and the counter is full; Linux leaves it there too. */
	(void)sys_write(ctx->fd, &one, sizeof(one));
}

int eventfd_ctx_fd(const struct eventfd_ctx *ctx)
{
	return ctx->fd;
}

/* Without the kernel's number (fdinfo has it since Linux 5.2) the context counts as alone. */
u64 eventfd_ctx_id(const struct eventfd_ctx *ctx)
{
	static const char key[] = "eventfd-id:";
	char text[512], *found = NULL;
	ssize_t len;
	int fd;

	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", ctx->fd);
	fd = sys_open(text, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		len = sys_read(fd, text, sizeof(text) - 1);
		sys_close(fd);
		text[max(len, (ssize_t)0)] = '\0';
		found = strstr(text, key);
	}
	return found ? strtoull(found + sizeof(key) - 1, NULL, 10) : ~(u64)(uintptr_t)ctx;
}
