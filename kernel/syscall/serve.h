/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.h - calls of other processes, carried out here, where the kernel is.
 *
 * On Linux a forked child shares its parent's open files.  Here the kernel that knows them is in the parent's memory,
 * so the child's calls come to it (proxy.h).  What a call needs of the child, its memory and descriptors, is asked for
 * over the same connection; what lasts longer, memory that devices use, by way of its /proc/self/mem (mm/process.c).
 */
#ifndef KERNEL_SYSCALL_SERVE_H
#define KERNEL_SYSCALL_SERVE_H

#include <sys/types.h>

#include "kernel/lib/types.h"

/**
 * serve_process - from now on carry out what comes over @sock: the first connection of a process
 * @sock: private; taken over.  @nr_fds: descriptors below that number are its, too.
 * A thread waits for it until the process ends; what that had open is released then (fs/share.c).
 * Return: 0; -EAGAIN, -ENOMEM: no thread; the process finds nobody at the other end.
 */
int serve_process(int sock, int nr_fds);
/**
 * serve_listen - other processes of the machine, of the same user, may find this one's kernel by a descriptor of its files
 * Any thread, no lock; again and again.  If it cannot be, they do not.
 */
void serve_listen(void);
/**
 * serve_wait_for - process @pid has ended: until what it was calling here is carried out, or two seconds have gone
 * Of what it asked for before it ended, and had not begun, nothing is carried out.  Any thread, no lock.
 */
void serve_wait_for(pid_t pid);
/** serve_accounts - how many pages stand on the accounts of @pid, this process or one that it serves (mm/locked_vm.h); 0. */
void serve_accounts(pid_t pid, u64 *ret_locked, u64 *ret_pinned);
/** serve_before_open - called before a path is opened for another process, if set: look what changed in the machine. */
extern int (*serve_before_open)(void);

#endif
