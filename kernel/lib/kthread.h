/* SPDX-License-Identifier: BSD-3-Clause */
/* kthread.h - threads of ours inside a program that does not know of them. */
#ifndef KERNEL_LIB_KTHREAD_H
#define KERNEL_LIB_KTHREAD_H

#include <pthread.h>

/**
 * kthread_run - start a thread that no signal of the program ever runs on
 * @name: at most 15 characters, as ps and gdb show it
 * Return: 0 and *@ret_thread, which the caller joins with pthread_join(); -errno.
 */
int kthread_run(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg);

#endif
