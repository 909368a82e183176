/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt_pages.h - 4 KiB pages for the page tables of one domain, and a few words about each.
 *
 * A table page is all entries: hardware reads it, so there is no room for a count or a list link.
 * Pages therefore come in chunks of 64, aligned to their size; the first page of a chunk describes the
 * other 63, and the description of a table is found by masking its address.
 *
 * Private to one page table; the caller's lock (the domain's) guards all of it.
 */
#ifndef KERNEL_IOMMU_PT_PT_PAGES_H
#define KERNEL_IOMMU_PT_PT_PAGES_H

#include <bsd/sys/queue.h>
#include <stdatomic.h>

#include "kernel/lib/types.h"

/* One entry.  Hardware reads while we write, so all accesses are atomic. */
typedef _Atomic(u64) pt_entry_t;

struct pt_page {
	pt_entry_t *entries;	   /* immutable: the 4 KiB */
	pt_entry_t *parent;	   /* the entry that points here; NULL for the root and when unlinked */
	TAILQ_ENTRY(pt_page) node; /* list of empty, or of unlinked pages */
	u16 live;		   /* entries that are not 0 */
	u8 level;		   /* 1 is the lowest */
	bool is_empty;		   /* on the list of empty pages */
};
TAILQ_HEAD(pt_page_list, pt_page);

#define PT_CHUNK_PAGES 64
#define PT_CHUNK_BYTES (PT_CHUNK_PAGES * PAGE_SIZE)

/* The first page of a chunk. */
struct pt_chunk {
	u64 free_map; /* bit n: page n is free */
	TAILQ_ENTRY(pt_chunk) node;
	struct pt_page page[PT_CHUNK_PAGES]; /* [0] is this page, and unused */
};
_Static_assert(sizeof(struct pt_chunk) <= PAGE_SIZE, "the head of a chunk fits in its first page");

struct pt_pool {
	TAILQ_HEAD(, pt_chunk) with_room;
	size_t pages;	/* handed out */
	size_t chunks;
};

void pt_pool_init(struct pt_pool *pool);
/** pt_pool_destroy - every page must have been freed. */
void pt_pool_destroy(struct pt_pool *pool);
/** pt_page_alloc - a page of zeros for a table of @level.  Return: its description; NULL no memory. */
struct pt_page *pt_page_alloc(struct pt_pool *pool, unsigned level);
/** pt_page_free - no hardware may still look at it. */
void pt_page_free(struct pt_pool *pool, struct pt_page *page);

static inline struct pt_chunk *pt_chunk_of(const void *p)
{
	return (struct pt_chunk *)((uintptr_t)p & ~(PT_CHUNK_BYTES - 1));
}

/** pt_page_of - the description of the table that @entry lies in. */
static inline struct pt_page *pt_page_of(const void *entry)
{
	struct pt_chunk *chunk = pt_chunk_of(entry);

	return &chunk->page[((uintptr_t)entry - (uintptr_t)chunk) / PAGE_SIZE];
}

#endif
