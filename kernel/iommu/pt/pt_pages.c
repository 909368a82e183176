/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt_pages.c - see pt_pages.h.
 *
 * What always holds: a chunk is on with_room exactly if one of its pages is free; at most one chunk
 * with nothing in use is kept, so that a table that comes and goes does not make malloc work each time.
 *
 * Dangerous: pages are cleaned when they are handed out, not when they come back.  Until then a freed
 * table still holds entries, and hardware that was not told to forget it would follow them.
 */
#include "kernel/iommu/pt/pt_pages.h"

#include <assert.h>
#include <string.h>

#include "kernel/lib/slab.h"

#define CHUNK_ALL_FREE (~1ull) /* page 0 is the head */

static struct pt_chunk *chunk_alloc(void)
{
	struct pt_chunk *chunk = pages_reserve(PT_CHUNK_BYTES);

	if (!chunk)
		return NULL;
	memset(chunk, 0, sizeof(*chunk));
	chunk->free_map = CHUNK_ALL_FREE;
	for (unsigned i = 1; i < PT_CHUNK_PAGES; i++)
		chunk->page[i].entries = (pt_entry_t *)((char *)chunk + i * PAGE_SIZE);
	return chunk;
}

void pt_pool_init(struct pt_pool *pool)
{
	*pool = (struct pt_pool){ .pages = 0 };
	TAILQ_INIT(&pool->with_room);
}

void pt_pool_destroy(struct pt_pool *pool)
{
	struct pt_chunk *chunk;

	assert(pool->pages == 0);
	while ((chunk = TAILQ_FIRST(&pool->with_room))) {
		TAILQ_REMOVE(&pool->with_room, chunk, node);
		free_pages_exact(chunk);
		pool->chunks--;
	}
	assert(pool->chunks == 0);
}

struct pt_page *pt_page_alloc(struct pt_pool *pool, unsigned level)
{
	struct pt_chunk *chunk = TAILQ_FIRST(&pool->with_room);
	struct pt_page *page;

	if (page_alloc_fails())
		return NULL;
	if (!chunk) {
		chunk = chunk_alloc();
		if (!chunk)
			return NULL;
		TAILQ_INSERT_HEAD(&pool->with_room, chunk, node);
		pool->chunks++;
	}
	page = &chunk->page[__builtin_ctzll(chunk->free_map)];
	chunk->free_map &= chunk->free_map - 1;
	if (chunk->free_map == 0)
		TAILQ_REMOVE(&pool->with_room, chunk, node);
	memset((void *)page->entries, 0, PAGE_SIZE);
	page->parent = NULL;
	page->live = 0;
	page->level = level;
	page->is_empty = false;
	pool->pages++;
	return page;
}

void pt_page_free(struct pt_pool *pool, struct pt_page *page)
{
	struct pt_chunk *chunk = pt_chunk_of(page), *first = TAILQ_FIRST(&pool->with_room);

	if (chunk->free_map == 0)
		TAILQ_INSERT_TAIL(&pool->with_room, chunk, node);
	chunk->free_map |= 1ull << (page - chunk->page);
	pool->pages--;
	if (chunk->free_map != CHUNK_ALL_FREE)
		return;
	/* Wholly free: keep it, last in line, only if there is no other with room. */
	if (first && (first != chunk || TAILQ_NEXT(first, node))) {
		TAILQ_REMOVE(&pool->with_room, chunk, node);
		free_pages_exact(chunk);
		pool->chunks--;
	}
}
