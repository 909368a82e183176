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
	u64 pins_first, pins_last, pins_changes; /* of another process: all its pins lie in there; pins_lock */
	struct process *process; /* of another process (process.c); NULL: this one's */
};

/* process.c: mm_pin() and mm_unpin() for another process's memory, and the text of its maps, as read_maps() in identity.c. */
int process_pin(struct mm *mm, u64 uva, u64 last, bool write, phys_addr_t *ret_phys);
void process_unpin(unsigned slot, u64 uva, u64 len_bytes);
int process_split_pin(unsigned slot, u64 uva, u64 len_bytes, u64 head_bytes);
long process_pins_at(struct mm *mm, u64 uva);
/**
 * process_maps_begin - the descriptor of its maps, until process_maps_end(): others wait
 * The host makes the text anew for each who reads at another offset than the one before, and meanwhile it may have become
 * another: two who read by turns get lines that do not fit together.
 */
int process_maps_begin(const struct mm *mm);
void process_maps_end(const struct mm *mm);

/* A line of maps. */
struct mapping {
	u64 start, end, off, inode;
	unsigned major, minor;
	bool readable, writable, shared;
};

/** mm_read_maps - the whole text, NUL behind it; the caller kfree()s.  ERR_PTR. */
char *mm_read_maps(const struct mm *mm);
/** mm_same_file - do both show a file's own pages, and of the same file? */
bool mm_same_file(const struct mapping *a, const struct mapping *b);
/** mm_next_mapping - take one line apart.  Return: the next; NULL: there was none. */
const char *mm_next_mapping(const char *line, struct mapping *ret);

/* May [start, last] touch an area?  A hint: a program that maps and uses memory at once races with itself. */
static inline bool mm_may_touch_vma(struct mm *mm, u64 start, u64 last)
{
	return unlikely(start <= atomic_load_explicit(&mm->vma_highest, memory_order_relaxed)) &&
	       last >= atomic_load_explicit(&mm->vma_lowest, memory_order_relaxed);
}

#endif
