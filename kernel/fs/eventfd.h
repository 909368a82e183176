/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eventfd.h - signalling a program's eventfd after the program has closed its own descriptor.
 */
#ifndef KERNEL_FS_EVENTFD_H
#define KERNEL_FS_EVENTFD_H

#include "kernel/lib/types.h"

struct eventfd_ctx;

/**
 * eventfd_ctx_fdget - hold the eventfd behind a program's descriptor
 * Return: a context with one reference; ERR_PTR(-EBADF) not open; -EINVAL not an eventfd; -EMFILE.
 */
struct eventfd_ctx *eventfd_ctx_fdget(int fd);
void eventfd_ctx_put(struct eventfd_ctx *ctx);
/** eventfd_signal - add 1; one system call; any thread; keeps errno. */
void eventfd_signal(struct eventfd_ctx *ctx);
/** eventfd_ctx_fd - the private descriptor, for epoll.  Stays the context's. */
int eventfd_ctx_fd(const struct eventfd_ctx *ctx);
/** eventfd_ctx_id - a number that contexts of one eventfd have in common.  It takes reading /proc. */
u64 eventfd_ctx_id(const struct eventfd_ctx *ctx);

#endif
