/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault-inject.h - failures on order: of allocations, and of what iommufd's tests have fail.
 *
 * A fault point asks should_fail(); it fails if the caller's task has it coming (fail-nth), or if the
 * attributes of its kind say so: probability, interval, times, space, for all or for marked tasks only.
 * Programs set both in files (kernel/fs/fault_files.c), as on Linux: /sys/kernel/debug/failslab/times,
 * /proc/thread-self/fail-nth.
 *
 * Attributes and tasks belong to the machine, not to a process: a shell sets what the program after it
 * meets, and a parent what its child does.  So they lie in a page that all processes of a machine share.
 *
 * Sources: Linux Documentation/fault-injection/fault-injection.rst; what it leaves open is as a Linux 7.3.4
 * answers (tests/conformance/fault_inject.c).
 */
#ifndef KERNEL_LIB_FAULT_INJECT_H
#define KERNEL_LIB_FAULT_INJECT_H

#include <stdatomic.h>

#include "kernel/lib/types.h"

enum fault_kind {
	FAULT_SLAB,	  /* failslab: kmalloc() and kin */
	FAULT_PAGE_ALLOC, /* fail_page_alloc: pages, and what is too large for the slab */
	FAULT_IOMMUFD,	  /* fail_iommufd: points of iommufd, with its test ioctl only */
	NR_FAULTS
};

/* All may change at any moment, by any process. */
struct fault_attr {
	_Atomic u64 probability; /* percent; 0: no failures but those of fail-nth */
	_Atomic u64 interval;	 /* only each so many calls that pass all other tests; 0 and 1: each */
	_Atomic u64 verbose;	 /* > 0: say it, where somebody listens (--explain) */
	_Atomic u64 count;	 /* calls that interval counted */
	_Atomic int times;	 /* failures left; -1: no limit */
	_Atomic int space;	 /* bytes (pages, points) that may be had before the first failure */
	_Atomic u32 verbose_ratelimit_interval_ms; /* 0: no limit */
	_Atomic u32 verbose_ratelimit_burst;
	_Atomic u32 min_order;	 /* fail_page_alloc alone; 2^order pages */
	atomic_bool task_filter; /* only tasks with make-it-fail */
	atomic_bool ignore_gfp_wait;	/* not what can wait, which is nearly everything */
	atomic_bool ignore_gfp_highmem; /* fail_page_alloc alone: not what needs no pages in a row */
	atomic_bool cache_filter;	/* failslab alone: marked caches only, of which there are none */
	_Atomic u64 said_from_ms; /* of the rate limit */
	_Atomic u32 said;
};

const char *fault_name(enum fault_kind kind); /* "failslab" */
struct fault_attr *fault_attr(enum fault_kind kind);

/* Somebody set something since the machine is there: two loads for all who pass a fault point. */
extern const atomic_bool *_Atomic fault_armed_flag;
static inline bool fault_armed(void)
{
	return unlikely(atomic_load_explicit(atomic_load_explicit(&fault_armed_flag, memory_order_relaxed), memory_order_relaxed));
}
void fault_arm(void); /* who makes a probability other than 0 */

/**
 * should_fail - does this fault point fail now?
 * @size: what @space counts: bytes, pages, 1
 * Any thread, any lock.  A failure is a reason of the call under way.
 */
bool should_fail(enum fault_kind kind, size_t size);
/** should_failslab - @can_wait: as nearly all can */
bool should_failslab(size_t bytes, bool can_wait);
/** should_fail_alloc_page - @scattered: pages that need not be in a row (vmalloc's) */
bool should_fail_alloc_page(unsigned order, bool scattered);

/*
 * On this thread no point fails and none counts between the two; they nest.  For what no kernel would
 * do in a program's call: building the machine.
 */
void fault_inject_pause(void);
void fault_inject_resume(void);
/* This thread is none of the program's: no task.  For good. */
void fault_inject_kthread(void);

/* ---- tasks: a thread, by number, of any process of the machine ---- */

/* Which task that is, also after its number went to another; 0: there is none of that number. */
u64 fault_task_find(pid_t tid);
/* 0 and the value; -ESRCH the task has ended. */
int fault_task_get_nth(u64 task, u32 *ret_nth);
int fault_task_get_make_it_fail(u64 task, bool *ret_on);
/** fault_task_set_nth - the @nth point from now on fails; 0: none.  0; -ESRCH; -ENOMEM. */
int fault_task_set_nth(u64 task, u32 nth);
int fault_task_set_make_it_fail(u64 task, bool on);
/* Around a fork, in the thread that forks: a child is marked as its parent, and has no fail-nth. */
void fault_inject_before_fork(void);
void fault_inject_in_child(void);

/* ---- where all that is kept ---- */

size_t fault_inject_state_bytes(void);
/**
 * fault_inject_share - from now on it is in @state, which other processes share; NULL: in memory of our own
 * Zeroes, and what another version left, become what a kernel starts with.  The caller keeps other processes from sharing it first, and other
 * threads out of fault points.
 */
void fault_inject_share(void *state);

#endif
