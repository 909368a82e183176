/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins.h - pinned memory outlives what a program does to its address space.
 *
 * A pin says: the pages that are at these addresses now stay reachable at their physical address until
 * unpinned, whatever munmap(), mmap(MAP_FIXED), mremap() or madvise() do.  The pages of a program are
 * the host kernel's, so before such a call takes them away from their address they are moved to a
 * hidden place, and the physical address is redirected there (redirect.c).  Where they move because the
 * program moves them (mremap), the redirection leads to the new place.
 *
 * The front end brackets those calls:
 *
 *	if (mm_pins_near(start, len)) {
 *		pins_change_begin(&c, "munmap");
 *		err = pins_change_leave(&c, start, len);
 *		ret = err ? err : munmap(...);
 *		pins_change_end(&c, ret == 0);	// false: everything goes back
 *	}
 *
 * In between, if pinned memory is concerned, no DMA is under way (struct mmu_notifier_ops in mm.h).
 */
#ifndef KERNEL_MM_PINS_H
#define KERNEL_MM_PINS_H

#include <stdatomic.h>

#include "kernel/lib/mutex.h"
#include "kernel/mm/mm.h"

/*
 * All pinned addresses, and those that pinned memory was moved to, lie in [lowest, highest]; none:
 * [~0, 0].  Written under pins_lock, read without.
 */
extern _Atomic u64 pins_lowest, pins_highest;

/** mm_pins_near - may [start, start+len) concern pinned memory?  Two loads. */
static inline bool mm_pins_near(u64 start, u64 len_bytes)
{
	u64 last;

	return len_bytes && !range_overflows(start, len_bytes, &last) &&
	       unlikely(start <= atomic_load_explicit(&pins_highest, memory_order_relaxed)) &&
	       last >= atomic_load_explicit(&pins_lowest, memory_order_relaxed);
}

/* One call of a program that changes addresses.  Private to redirect.c. */
struct pins_change {
	const char *what;	/* the call's name, for --explain */
	bool held;		/* no DMA is under way: the notifier was told */
	unsigned nr_moves;
	struct pins_moved {
		u64 from, len, to;
		bool copied;	/* not moved: what is at @from is the original */
	} moves[2];
};

/** pins_change_begin - takes LOCK_MM_PINS until pins_change_end(): in between only the call itself. */
void pins_change_begin(struct pins_change *c, const char *what);
/**
 * pins_change_leave - pinned pages in [start, start+len) are about to leave these addresses
 * At most twice in a change.  The addresses stay mapped, without their pages.  @len: a page multiple.
 * Return: 0; -ENOMEM, nothing changed.
 */
int pins_change_leave(struct pins_change *c, u64 start, u64 len_bytes);
/** pins_change_copy - as leave, but the pages stay and the device gets a copy: they leave their file. */
int pins_change_copy(struct pins_change *c, u64 start, u64 len_bytes);
/**
 * pins_change_prepare - the program is about to move [start, start+len), it is not known where to
 * pins_change_moved - it did.  Cannot fail.
 * Return: 0; -ENOMEM.
 */
int pins_change_prepare(struct pins_change *c, u64 start, u64 len_bytes);
void pins_change_moved(struct pins_change *c, u64 start, u64 len_bytes, u64 to);
/** pins_change_end - @done: the call succeeded; else what has left comes back. */
void pins_change_end(struct pins_change *c, bool done);

/**
 * pins_for_each_piece - the pieces of [start, start+len) that are pinned and still there
 * Takes LOCK_MM_PINS.  @fn may meet a piece twice.  Return: was there one?
 */
bool pins_for_each_piece(u64 start, u64 len_bytes, void (*fn)(u64 uva, u64 len_bytes));
/** pins_protected - the program took rights from pinned memory: phys_copy_pinned() goes to work. */
void pins_protected(u64 start, u64 len_bytes);
/** pins_forget - in a child after fork: nothing here is pinned. */
void pins_forget(void);
/**
 * pins_elsewhere_set - devices of another process have what is pinned here, all in [first, last]
 * @leave: tells it that pages are about to leave their addresses.  0; -ENOMEM.
 */
void pins_elsewhere_set(u64 first, u64 last, int (*leave)(u64 start, u64 len_bytes));

/* ---- between pins.c and redirect.c ---- */

struct pin {
	u64 at;		/* address | slot; 0: free */
	u64 pages : 35;
	u64 refs : 29;	/* equal pins are one */
};
#define PIN_SLOT_MASK 0x1full
static inline u64 pin_start(const struct pin *pin) { return pin->at & PAGE_MASK; }
static inline u64 pin_last(const struct pin *pin) { return pin_start(pin) + (pin->pages << PAGE_SHIFT) - 1; }
static inline unsigned pin_slot(const struct pin *pin) { return pin->at & PIN_SLOT_MASK; }

extern struct mutex pins_lock; /* LOCK_MM_PINS */

/* All with pins_lock held. */
int pins_add_locked(unsigned slot, u64 uva, u64 len_bytes);
void pins_del_locked(unsigned slot, u64 uva, u64 len_bytes);
/** pins_visit_locked - each pin that touches [first, last], until @fn says true.  Return: did it? */
bool pins_visit_locked(u64 first, u64 last, bool (*fn)(const struct pin *pin, void *arg), void *arg);
/** pins_widen_locked - calls on [first, last] concern us; pins_narrow_locked - none do if nothing is pinned. */
void pins_widen_locked(u64 first, u64 last);
void pins_narrow_locked(void);

extern int (*pins_leave_elsewhere)(u64 start, u64 len_bytes); /* NULL; only one thread changes it */

/** redirect_slot_locked - the lowest slot without a redirection in [uva, last]; 0 none. */
unsigned redirect_slot_locked(u64 uva, u64 last);
/** redirect_drop_locked - redirections in the range that no pin needs any more go, with their pages. */
void redirect_drop_locked(unsigned slot, u64 uva, u64 last);
extern atomic_bool redirects_any;
/** redirect_find - as phys_host_range(), for when there are redirections. */
void *redirect_find(phys_addr_t pa, u64 *len_bytes);

#endif
