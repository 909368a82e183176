/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync_file.h - a descriptor for "this work is done": what a dma-buf gives out and takes in.
 *
 * Nothing here ever waits: the buffers are slices of BARs, for which Linux has no fences either, so each
 * sync file is one that is signalled from the beginning.  Source: linux/sync_file.h.
 */
#ifndef KERNEL_FS_SYNC_FILE_H
#define KERNEL_FS_SYNC_FILE_H

#include "kernel/fs/file.h"

/** sync_file_create - one that is signalled.  Return: with a reference; ERR_PTR(-ENOMEM). */
struct file *sync_file_create(void);
/** is_sync_file - is the descriptor one? */
bool is_sync_file(int fd);

#endif
