/* SPDX-License-Identifier: BSD-3-Clause */
/* fault_files.h - the files by which programs order failures; fault-inject.h tells what they mean. */
#ifndef KERNEL_FS_FAULT_FILES_H
#define KERNEL_FS_FAULT_FILES_H

#include "kernel/lib/fault-inject.h"

struct file;

/**
 * fault_files_init - share the machine's faults with its other processes; make the files of failslab and fail_page_alloc
 * Tree lock held, so that one process fills in what a kernel starts with.
 */
int fault_files_init(void);
void fault_files_exit(void);
/** fault_create_debugfs_attr - make /sys/kernel/debug/<name>/.  Tree lock held. */
int fault_create_debugfs_attr(enum fault_kind kind);

/**
 * fault_proc_open - "/proc/PID/fail-nth", "/proc/PID/task/TID/make-it-fail"
 * Return: a file; NULL: the name is no such; ERR_PTR: -ENOENT there is no such task, -EACCES it is another user's.
 */
struct file *fault_proc_open(const char *path, unsigned int f_flags);

#endif
