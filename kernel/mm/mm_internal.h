/* SPDX-License-Identifier: BSD-3-Clause */
/* mm_internal.h - what a struct mm is, for the files of this folder. */
#ifndef KERNEL_MM_MM_INTERNAL_H
#define KERNEL_MM_MM_INTERNAL_H

#include <stdatomic.h>

#include "kernel/lib/mutex.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"

RB_HEAD(vma_tree, vm_area);

struct mm {
	unsigned slot;			/* of its physical addresses; immutable */
	struct mutex vma_lock;		/* LOCK_VMA */
	struct vma_tree vmas;		/* by address, no two overlap; under vma_lock */
	/*
	 * All areas lie in [vma_lowest, vma_highest]; none: [~0, 0].  Written under vma_lock, read without:
	 * every copy from and to a program asks this first.
	 */
	_Atomic u64 vma_lowest, vma_highest;
	_Atomic u64 locked_vm, pinned_vm; /* pages; see locked_vm.h */
};

/* May [start, last] touch an area?  A hint: a program that maps and uses memory at once races with itself. */
static inline bool mm_may_touch_vma(struct mm *mm, u64 start, u64 last)
{
	return unlikely(start <= atomic_load_explicit(&mm->vma_highest, memory_order_relaxed)) &&
	       last >= atomic_load_explicit(&mm->vma_lowest, memory_order_relaxed);
}

#endif
