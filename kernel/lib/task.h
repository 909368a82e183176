/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * task.h - whose call does this thread carry out?
 *
 * Nearly always its own program's: then there is no task, memory is copied and descriptors are looked up right here.
 * A thread that serves another process (syscall/serve.c) says so for as long as a call lasts.
 */
#ifndef KERNEL_LIB_TASK_H
#define KERNEL_LIB_TASK_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/lib/types.h"

struct file;
struct mm;
struct task;
struct vm_area;

/* What a call needs of the process that made it.  Any of them may find that it is gone: -EFAULT, -EBADF. */
struct task_ops {
	/** copy - @len bytes between @buf and its memory at @uva.  0; -EFAULT. */
	int (*copy)(struct task *task, u64 uva, void *buf, size_t len, bool to_user);
	/** strncpy - as strncpy_from_user(). */
	long (*strncpy)(struct task *task, char *dst, u64 uva, size_t size);
	/** fget - our file behind its descriptor @fd, with a reference; NULL. */
	struct file *(*fget)(struct task *task, int fd);
	/** check_open - is @fd open there?  0; -EBADF, reason given. */
	int (*check_open)(struct task *task, int fd);
	/** dup - a descriptor of this process of the same open file; -errno. */
	int (*dup)(struct task *task, int fd);
	/** find_area - where its addresses [uva, last] touch the mapping of a BAR: that, with a reference; NULL: nowhere. */
	struct vm_area *(*find_area)(struct task *task, u64 uva, u64 last);
	/**
	 * publish - give it a descriptor for @file, of the open file that @fd of this process is of
	 * Takes over @fd always, the caller's reference on success.  Return: its number there; -errno.
	 */
	int (*publish)(struct task *task, struct file *file, int fd, bool cloexec);
	/** unpublish - take it back. */
	void (*unpublish)(struct task *task, int fd);
};

struct task {
	const struct task_ops *ops;
	struct mm *mm; /* its memory, for what lasts longer than the call */
};

/* Of this thread; NULL: its own process's. */
extern __thread struct task *current_task __attribute__((tls_model("initial-exec")));

#endif
