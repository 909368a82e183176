/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * domids.h - the 16-bit ids that a unit tags what it caches with: one for each domain.
 *
 * Id 0 is never given out: it is of devices that are blocked or untranslated.  Any thread, no lock.
 */
#ifndef KERNEL_IOMMU_DOMIDS_H
#define KERNEL_IOMMU_DOMIDS_H

#include <stdatomic.h>

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define DOMIDS 0x10000u
#define DOMID_NONE 0u

struct domids {
	_Atomic(u64) used[DOMIDS / 64]; /* bit set: in use */
};

static inline void domids_init(struct domids *ids)
{
	atomic_store(&ids->used[0], BIT_ULL(DOMID_NONE));
}

/** domid_alloc - an id that nobody has; -ENOSPC. */
static inline int domid_alloc(struct domids *ids)
{
	for (unsigned i = 0; i < DOMIDS / 64; i++) {
		u64 used = atomic_load(&ids->used[i]);

		while (~used) {
			unsigned bit = __builtin_ctzll(~used);

			if (atomic_compare_exchange_weak(&ids->used[i], &used, used | BIT_ULL(bit)))
				return i * 64 + bit;
		}
	}
	return -ENOSPC;
}

static inline void domid_free(struct domids *ids, u16 id)
{
	atomic_fetch_and(&ids->used[id / 64], ~BIT_ULL(id % 64));
}

/** domids_count - how many are given out, id 0 among them. */
static inline unsigned domids_count(struct domids *ids)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DOMIDS / 64; i++)
		n += __builtin_popcountll(atomic_load(&ids->used[i]));
	return n;
}

#endif
