/* SPDX-License-Identifier: BSD-3-Clause */
/* file_internal.h - between file.c (the objects) and fdtable.c (the numbers). */
#ifndef KERNEL_FS_FILE_INTERNAL_H
#define KERNEL_FS_FILE_INTERNAL_H

#include "kernel/fs/file.h"

/** file_get_unless_free - one more reference unless there is none; for any pointer the pool ever gave out */
static inline bool file_get_unless_free(struct file *file)
{
	int refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	do {
		if (refs <= 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1, memory_order_acquire,
							memory_order_relaxed));
	return true;
}

/** file_close_backing - close the descriptor that others are made of, if there is one */
void file_close_backing(struct file *file);
/**
 * file_lives_on - @file has no reference any more and was shared: has another process got it open?
 * If so it has one again, which share.c puts.
 */
bool file_lives_on(struct file *file);
/** share_forget_all - of file_forget_all(): in this process nothing is open elsewhere, and no thread looks. */
void share_forget_all(void);

#endif
