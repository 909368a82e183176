/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest_pt.h - page tables of the mock IOMMU: pages smaller than a processor's.
 *
 * Two formats:
 *
 *	MOCK_PT_DEFAULT	pages of 2 KiB, and any power of two up to 1 MiB
 *	MOCK_PT_HUGE	pages of 4 KiB and 1 MiB
 *
 * A tree: the lowest tables reach 1 MiB, those above them 2048 times more.  A page larger than the smallest
 * is written to each entry that it covers, and only the first of these has its dirty bit.  No hardware
 * walks the tree: the mock device moves no data, tests ask what is where.
 */
#ifndef KERNEL_IOMMUFD_SELFTEST_PT_H
#define KERNEL_IOMMUFD_SELFTEST_PT_H

#include "kernel/iommufd/iommufd_test.h"
#include "kernel/lib/types.h"

struct mock_table;

struct mock_pt {
	enum mock_pagetable_type type;	/* immutable */
	struct mock_table *top;		/* the user's lock, as all of it */
};

/** mock_pt_init - 0; -ENOMEM. */
int mock_pt_init(struct mock_pt *pt, enum mock_pagetable_type type);
void mock_pt_destroy(struct mock_pt *pt);
/** mock_pt_pgsizes - bitmap of its page sizes. */
u64 mock_pt_pgsizes(enum mock_pagetable_type type);
/** mock_pt_map - multiples of the smallest page.  0; -EEXIST, -ENOMEM and nothing of it is mapped. */
int mock_pt_map(struct mock_pt *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot);
/** mock_pt_unmap - pages that reach beyond the range go whole.  Return: bytes that were mapped. */
u64 mock_pt_unmap(struct mock_pt *pt, u64 iova, u64 len_bytes);

struct mock_page {
	u64 iova, bytes;	/* of the whole page */
	phys_addr_t phys;	/* of its first byte */
	int prot;
	bool dirty;
};
/** mock_pt_lookup - the page that @iova is in.  Return: is there one? */
bool mock_pt_lookup(const struct mock_pt *pt, u64 iova, struct mock_page *ret_page);
/** mock_pt_set_dirty - of the page that @iova is in.  Return: is there one? */
bool mock_pt_set_dirty(struct mock_pt *pt, u64 iova, bool dirty);
/**
 * mock_pt_next - the first page that touches [iova, last], unmapped tables skipped
 * Return: is there one?
 */
bool mock_pt_next(const struct mock_pt *pt, u64 iova, u64 last, struct mock_page *ret_page);

#endif
