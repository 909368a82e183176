/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nomem_test.h - for tests in which each allocation of the kernel fails in turn.
 *
 *	do {
 *		nomem_begin(++n);
 *		what the test is about
 *	} while (nomem_end());
 *
 * The n-th allocation that this thread makes fails: fail-nth of fault-inject.h, with nothing left out.
 */
#ifndef KERNEL_LIB_NOMEM_TEST_H
#define KERNEL_LIB_NOMEM_TEST_H

#include <assert.h>

#include "kernel/lib/fault-inject.h"
#include "kernel/lib/sys.h"

static inline void nomem_begin(u32 n)
{
	int err;

	atomic_store(&fault_attr(FAULT_SLAB)->ignore_gfp_wait, false);
	atomic_store(&fault_attr(FAULT_PAGE_ALLOC)->ignore_gfp_wait, false);
	atomic_store(&fault_attr(FAULT_PAGE_ALLOC)->min_order, 0);
	err = fault_task_set_nth(fault_task_find(sys_gettid()), n);
	assert(!err);
}

/** nomem_end - no more fail.  Return: true if one did; false if there were fewer than n. */
static inline bool nomem_end(void)
{
	u64 self = fault_task_find(sys_gettid());
	u32 left = 0;
	int err = fault_task_get_nth(self, &left);

	assert(!err);
	err = fault_task_set_nth(self, 0);
	assert(!err);
	return !left;
}

#endif
