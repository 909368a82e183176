/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io_pagetable.h - what is mapped where in an I/O address space.
 *
 * An io_pagetable is the content of an IOAS: a set of areas (iova -> memory), independent of any page
 * table.  Page tables (domains) that are added get all of it, and what is mapped later.
 */
#ifndef KERNEL_IOMMUFD_IO_PAGETABLE_H
#define KERNEL_IOMMUFD_IO_PAGETABLE_H

#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"

struct io_pagetable {
	struct mutex lock;	/* LOCK_IOPT: all below */
	u64 iova_alignment;	/* of iova and length of each mapping: 1 without a domain */
};

void iopt_init_table(struct io_pagetable *iopt);
/** iopt_destroy_table - no domain and no access is in it any more. */
void iopt_destroy_table(struct io_pagetable *iopt);

#endif
