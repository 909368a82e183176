/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt_tree_ops.h - how a page table is written: mapping, unmapping, and tables that come and go.
 *
 * The file of each format includes this once, behind what makes the format:
 *
 *	PT_PGSIZES	page sizes that exist, as a bitmap
 *	PT_LEVELS	most levels
 *	PT_ADDR_MASK	where an entry has its address
 *	PT_SPREADS	true: a page may be larger than its entry's span, and then fills several entries
 *	PT_DIRTY	the bit of a leaf that hardware sets when it writes; not defined: it sets none
 *	is_leaf(), make_leaf(), leaf_lg2(), make_link()
 *
 * So the compiler sees one format at a time, and writing an entry costs no call.
 *
 * Words.  An *entry* is 8 bytes of a table.  A *leaf* maps a page, a *link* points to a table one
 * level down (no level is skipped).  A page larger than an entry's span is *spread*: the same leaf
 * stands in 2, 4 .. 256 neighbouring entries.
 *
 * What always holds:
 *  - pt_page.live counts the entries of a table that are not 0;
 *  - every table but the root with live == 0 is on pt->empty;
 *  - a table is reached by exactly one link, pt_page.parent.
 *
 * Hardware writes too: it marks leaves.  It does so by compare-and-swap, so that it never brings back a leaf
 * that was taken out; and what was marked is read, and taken away, in one atomic step.
 *
 * Dangerous: live is 16 bits and exact; each store of an entry goes with one live_add or live_sub.
 */
#ifndef KERNEL_IOMMU_PT_PT_TREE_OPS_H
#define KERNEL_IOMMU_PT_PT_TREE_OPS_H

#include <assert.h>
#include <string.h>

#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/pt_tree.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

/* ---- entries ---- */

static unsigned entry_index(unsigned level, u64 iova)
{
	return (iova >> pt_entry_lg2(level)) & (PT_ENTRIES - 1);
}

/* Bytes that a table of @level covers, less one. */
static u64 table_span(unsigned level)
{
	unsigned lg2 = pt_entry_lg2(level) + PT_INDEX_BITS;

	return lg2 >= 64 ? ~0ull : (1ull << lg2) - 1;
}

static u64 entry_load(const pt_entry_t *entry)
{
	return atomic_load_explicit(entry, memory_order_relaxed);
}

static void entry_store(pt_entry_t *entry, u64 val)
{
	atomic_store_explicit(entry, val, memory_order_release);
}

/* Descents follow entries alone, and look at the description of a table only where they end. */
static pt_entry_t *link_entries(u64 pte)
{
	return (pt_entry_t *)(uintptr_t)(pte & PT_ADDR_MASK);
}

static struct pt_page *link_target(u64 pte)
{
	return pt_page_of((const void *)link_entries(pte));
}

/* ---- counting, and tables that come and go ---- */

static void empty_leave(struct pt_tree *pt, struct pt_page *page)
{
	TAILQ_REMOVE(&pt->empty, page, node);
	page->is_empty = false;
	pt->nr_empty--;
}

static void empty_join(struct pt_tree *pt, struct pt_page *page)
{
	TAILQ_INSERT_TAIL(&pt->empty, page, node);
	page->is_empty = true;
	pt->nr_empty++;
}

static void live_add(struct pt_tree *pt, struct pt_page *page, unsigned n)
{
	if (page->is_empty)
		empty_leave(pt, page);
	page->live += n;
}

static void live_sub(struct pt_tree *pt, struct pt_page *page, unsigned n)
{
	page->live -= n;
	if (page->live == 0 && page != pt->root && n)
		empty_join(pt, page);
}

static void link_table(struct pt_tree *pt, struct pt_page *parent, pt_entry_t *entry, struct pt_page *child)
{
	child->parent = entry;
	live_add(pt, parent, 1);
	entry_store(entry, make_link(child));
}

/* Off the tree, but not freed: hardware may be in it. */
static void set_aside(struct pt_tree *pt, struct pt_page *page)
{
	if (page->is_empty)
		empty_leave(pt, page);
	page->parent = NULL;
	TAILQ_INSERT_TAIL(&pt->unlinked, page, node);
}

static void unlink_table(struct pt_tree *pt, struct pt_page *page)
{
	struct pt_page *parent = pt_page_of((const void *)page->parent);

	entry_store(page->parent, 0);
	set_aside(pt, page);
	live_sub(pt, parent, 1);
}

static void trim_empty(struct pt_tree *pt, unsigned keep)
{
	while (pt->nr_empty > keep)
		unlink_table(pt, TAILQ_FIRST(&pt->empty));
}

static int pt_tree_init(struct pt_tree *pt, unsigned levels)
{
	assert(levels >= 1 && levels <= PT_LEVELS);
	memset(pt, 0, sizeof(*pt));
	pt_pool_init(&pt->pool);
	TAILQ_INIT(&pt->empty);
	TAILQ_INIT(&pt->unlinked);
	pt->root = pt_page_alloc(&pt->pool, levels);
	return pt->root ? 0 : -ENOMEM;
}

static void pt_tree_release(struct pt_tree *pt)
{
	struct pt_page *page;

	while ((page = TAILQ_FIRST(&pt->unlinked))) {
		TAILQ_REMOVE(&pt->unlinked, page, node);
		pt_page_free(&pt->pool, page);
	}
}

/* ---- map ---- */

/* A new table for @entry, of @level.  NULL: no memory. */
static struct pt_page *add_table(struct pt_tree *pt, pt_entry_t *entry, unsigned level)
{
	struct pt_page *child = pt_page_alloc(&pt->pool, level);

	if (!child)
		return NULL;
	link_table(pt, pt_page_of((const void *)entry), entry, child);
	empty_join(pt, child);
	return child;
}

/* The table of @level for @iova, made if need be.  -EEXIST: a larger page is there. */
static int get_table(struct pt_tree *pt, u64 iova, unsigned level, struct pt_page **ret_page)
{
	pt_entry_t *entries = pt->root->entries;

	for (unsigned at = pt->root->level; at > level; at--) {
		pt_entry_t *entry = &entries[entry_index(at, iova)];
		u64 pte = entry_load(entry);
		struct pt_page *child;

		if (pte && is_leaf(at, pte))
			return -EEXIST;
		if (likely(pte)) {
			entries = link_entries(pte);
			continue;
		}
		child = add_table(pt, entry, at - 1);
		if (!child)
			return -ENOMEM;
		entries = child->entries;
	}
	*ret_page = pt_page_of((const void *)entries);
	return 0;
}

static unsigned best_page_lg2(u64 iova, phys_addr_t phys, u64 len_bytes)
{
	unsigned align = __builtin_ctzll(iova | phys | BIT_ULL(63));
	unsigned room = 63 - __builtin_clzll(len_bytes);
	u64 sizes = PT_PGSIZES & GENMASK_ULL(min(align, room), 0);

	return 63 - __builtin_clzll(sizes);
}

/* Something stands where a leaf shall go.  Only tables without any mapping below give way. */
static int make_room(struct pt_tree *pt, struct pt_page *page, const pt_entry_t *entry)
{
	if (is_leaf(page->level, entry_load(entry)))
		return -EEXIST;
	live_add(pt, page, 1); /* so that this table is not reclaimed itself */
	trim_empty(pt, 0);
	page->live--;
	if (page->live == 0 && page != pt->root)
		empty_join(pt, page);
	return entry_load(entry) ? -EEXIST : 0;
}

/* Entries [i, i+n) get @leaf, @leaf + @step ... */
static int put_leaves(struct pt_tree *pt, struct pt_page *page, unsigned i, unsigned n, u64 leaf, u64 step)
{
	for (unsigned k = i; k < i + n; k++) {
		pt_entry_t *entry = &page->entries[k];
		int err = unlikely(entry_load(entry)) ? make_room(pt, page, entry) : 0;

		if (err)
			return err;
	}
	live_add(pt, page, n);
	for (unsigned k = i; k < i + n; k++, leaf += step)
		entry_store(&page->entries[k], leaf);
	return 0;
}

/*
 * How many pages of just an entry's span follow one another.  Where pages fill several entries, one may
 * begin at the next entry already, unless iova and phys differ in the bit of the span.  Else a larger
 * page is another level's, and can only begin where this table ends.
 */
static u64 single_run(u64 iova, phys_addr_t phys, u64 len_bytes, unsigned lg2, unsigned room)
{
	if (PT_SPREADS && ((iova ^ phys) >> lg2 & 1) == 0)
		return 1;
	return min(len_bytes >> lg2, (u64)room);
}

/* Write as many leaves into @page as belong there.  *@done grows with each. */
static int fill_table(struct pt_tree *pt, struct pt_page *page, u64 iova, phys_addr_t phys, u64 len_bytes,
		      int prot, u64 *done)
{
	unsigned lg2_entry = pt_entry_lg2(page->level);
	unsigned i = entry_index(page->level, iova);

	while (i < PT_ENTRIES && len_bytes) {
		unsigned lg2 = best_page_lg2(iova, phys, len_bytes), n;
		u64 size, leaf = make_leaf(page->level, phys, lg2, prot), step = 0;
		int err;

		if (lg2 < lg2_entry || lg2 >= lg2_entry + PT_INDEX_BITS)
			return 0; /* another level's */
		n = 1u << (lg2 - lg2_entry);
		if (n == 1) {
			n = single_run(iova, phys, len_bytes, lg2, PT_ENTRIES - i);
			step = 1ull << lg2;
		}
		err = put_leaves(pt, page, i, n, leaf, step);
		if (err)
			return err;
		size = (u64)n << lg2_entry;
		i += n;
		iova += size;
		phys += size;
		len_bytes -= size;
		*done += size;
	}
	return 0;
}

static int map_range(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot, u64 *done)
{
	*done = 0;
	while (*done < len_bytes) {
		u64 at = iova + *done, pa = phys + *done, left = len_bytes - *done;
		unsigned lg2 = best_page_lg2(at, pa, left);
		struct pt_page *page;
		int err = get_table(pt, at, (lg2 - PAGE_SHIFT) / PT_INDEX_BITS + 1, &page);

		if (!err)
			err = fill_table(pt, page, at, pa, left, prot, done);
		if (err == -EEXIST)
			return fail(-EEXIST, "iova 0x%llx or what follows it is mapped already",
				    (unsigned long long)(iova + *done));
		if (err)
			return fail(err, "no memory for I/O page tables");
	}
	return 0;
}

/* ---- unmap ---- */

struct unmap {
	struct pt_tree *pt;
	u64 iova, last;
	u64 bytes;
	struct pt_gather *gather;
};

/* Take a whole table with all below it aside.  Its own link is the caller's.  Return: bytes mapped in it. */
static u64 drop_table(struct pt_tree *pt, struct pt_page *page)
{
	u64 bytes = 0;

	if (page->level == 1) {
		bytes = page->live * PAGE_SIZE;
	} else {
		for (unsigned i = 0; i < PT_ENTRIES; i++) {
			u64 pte = entry_load(&page->entries[i]);

			if (pte && is_leaf(page->level, pte))
				bytes += 1ull << pt_entry_lg2(page->level);
			else if (pte)
				bytes += drop_table(pt, link_target(pte));
		}
	}
	set_aside(pt, page);
	return bytes;
}

/* Clear the page that has entry @i, all of its entries.  Return: index behind it. */
static unsigned clear_leaf(struct unmap *u, struct pt_page *page, u64 base, unsigned i, u64 pte)
{
	unsigned lg2_entry = pt_entry_lg2(page->level), lg2 = leaf_lg2(page->level, pte);
	unsigned n = 1u << (lg2 - lg2_entry), first = i & ~(n - 1);
	u64 iova = base + ((u64)first << lg2_entry), size = 1ull << lg2;

	for (unsigned k = first; k < first + n; k++)
		entry_store(&page->entries[k], 0);
	u->bytes += size;
	u->gather->iova = min(u->gather->iova, iova);
	u->gather->last = max(u->gather->last, iova + size - 1);
	return first + n;
}

/* @base: iova of the first entry of @page. */
static void unmap_table(struct unmap *u, struct pt_page *page, u64 base)
{
	unsigned i = u->iova > base ? entry_index(page->level, u->iova) : 0, cleared = 0;
	unsigned lg2 = pt_entry_lg2(page->level);
	u64 end = base + table_span(page->level);
	unsigned i_last = entry_index(page->level, min(u->last, end));

	while (i <= i_last) {
		u64 pte = entry_load(&page->entries[i]), at = base + ((u64)i << lg2);
		unsigned next = i + 1;

		if (pte && is_leaf(page->level, pte)) {
			next = clear_leaf(u, page, base, i, pte);
			cleared += 1u << (leaf_lg2(page->level, pte) - lg2);
		} else if (pte && u->iova <= at && u->last - at >= table_span(page->level - 1)) {
			entry_store(&page->entries[i], 0);
			u->bytes += drop_table(u->pt, link_target(pte));
			cleared++;
		} else if (pte) {
			unmap_table(u, link_target(pte), at);
		}
		i = next;
	}
	live_sub(u->pt, page, cleared);
}

/* The lowest table that has all of [@iova, @last] below it, and is not to go as a whole. */
static struct pt_page *enclosing_table(struct pt_tree *pt, u64 iova, u64 last)
{
	pt_entry_t *entries = pt->root->entries;

	for (unsigned level = pt->root->level; level > 1; level--) {
		u64 pte = entry_load(&entries[entry_index(level, iova)]);
		u64 span = table_span(level - 1);

		if (!pte || is_leaf(level, pte) || (iova ^ last) > span || last - iova == span)
			break;
		entries = link_entries(pte);
	}
	return pt_page_of((const void *)entries);
}

static u64 pt_tree_unmap(struct pt_tree *pt, u64 iova, u64 len_bytes, struct pt_gather *gather)
{
	struct unmap u = { .pt = pt, .iova = iova, .last = iova + len_bytes - 1, .gather = gather };
	struct pt_page *page;

	if (u.iova > table_span(pt->root->level))
		return 0;
	page = enclosing_table(pt, iova, u.last);
	unmap_table(&u, page, iova & ~table_span(page->level));
	if (pt->nr_empty > PT_KEEP_EMPTY)
		trim_empty(pt, PT_KEEP_EMPTY);
	if (u.bytes) {
		gather->iova = min(gather->iova, iova);
		gather->last = max(gather->last, u.last);
	}
	return u.bytes;
}

#ifdef PT_DIRTY
/* ---- dirty ---- */

struct dirty_walk {
	u64 iova, last;
	bool clear;
	struct iommu_dirty_sink *sink; /* NULL: none */
	struct pt_gather *gather;
};

/* The page that has entry @i: any of its entries may be marked.  Return: index behind it. */
static unsigned dirty_leaf(struct dirty_walk *d, struct pt_page *page, u64 base, unsigned i, u64 pte)
{
	unsigned lg2_entry = pt_entry_lg2(page->level), lg2 = leaf_lg2(page->level, pte);
	unsigned n = 1u << (lg2 - lg2_entry), first = i & ~(n - 1);
	u64 iova = base + ((u64)first << lg2_entry), size = 1ull << lg2, marks = 0;

	for (unsigned k = first; k < first + n; k++) {
		pt_entry_t *entry = &page->entries[k];

		if (!(entry_load(entry) & PT_DIRTY))
			continue;
		marks |= PT_DIRTY;
		if (d->clear)
			atomic_fetch_and(entry, ~PT_DIRTY);
	}
	if (!marks)
		return first + n;
	if (d->sink)
		d->sink->record(d->sink, iova, size);
	if (d->clear) {
		d->gather->iova = min(d->gather->iova, iova);
		d->gather->last = max(d->gather->last, iova + size - 1);
	}
	return first + n;
}

/*
 * From @i on, the first entry of a page: the first that is marked, or @i_last, which the caller looks at in any case,
 * as marks of its page may be behind it.  Most pages are clean, and there may be millions.
 */
static unsigned skip_clean(const struct pt_page *page, unsigned i, unsigned i_last)
{
	while (i < i_last && !(entry_load(&page->entries[i]) & PT_DIRTY))
		i++;
	return i;
}

static void dirty_table(struct dirty_walk *d, struct pt_page *page, u64 base)
{
	unsigned i = d->iova > base ? entry_index(page->level, d->iova) : 0, lg2 = pt_entry_lg2(page->level);
	u64 end = base + table_span(page->level);
	unsigned i_last = entry_index(page->level, min(d->last, end));

	while (i <= i_last) {
		u64 pte = entry_load(&page->entries[i]);

		if (pte && is_leaf(page->level, pte)) {
			i = dirty_leaf(d, page, base, i, pte);
			if (page->level == 1)
				i = skip_clean(page, i, i_last);
			continue;
		}
		if (pte)
			dirty_table(d, link_target(pte), base + ((u64)i << lg2));
		i++;
	}
}

/* Report marked pages that touch [@iova, @last]; what was cleared widens @gather. */
static void pt_tree_read_dirty(struct pt_tree *pt, u64 iova, u64 last, bool clear, struct iommu_dirty_sink *sink,
			       struct pt_gather *gather)
{
	struct dirty_walk d = { iova, min(last, table_span(pt->root->level)), clear, sink, gather };

	if (iova <= d.last)
		dirty_table(&d, pt->root, 0);
}

#endif
/* ---- the whole ---- */

/* The caller has seen to it that the root reaches as far. */
static int pt_tree_map(struct pt_tree *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	struct pt_gather unused = { .iova = ~0ull };
	u64 done;
	int err;

	assert(len_bytes && IS_ALIGNED(iova | phys | len_bytes, PAGE_SIZE));
	assert(iova + len_bytes - 1 >= iova && iova + len_bytes - 1 <= table_span(pt->root->level));
	err = map_range(pt, iova, phys, len_bytes, prot, &done);
	if (err && done)
		pt_tree_unmap(pt, iova, done, &unused);
	if (err)
		trim_empty(pt, PT_KEEP_EMPTY);
	return err;
}

static void pt_tree_destroy(struct pt_tree *pt)
{
	struct pt_gather gather = { .iova = ~0ull };

	if (!pt->root)
		return;
	pt_tree_unmap(pt, 0, ~0ull & PAGE_MASK, &gather);
	pt_tree_unmap(pt, ~0ull & PAGE_MASK, PAGE_SIZE, &gather);
	trim_empty(pt, 0);
	pt_tree_release(pt);
	pt_page_free(&pt->pool, pt->root);
	pt_pool_destroy(&pt->pool);
	pt->root = NULL;
}

/* ---- look ---- */

static phys_addr_t pt_tree_iova_to_phys(const struct pt_tree *pt, u64 iova)
{
	const pt_entry_t *entries = pt->root->entries;

	if (iova > table_span(pt->root->level))
		return 0;
	for (unsigned level = pt->root->level;; level--) {
		u64 pte = entry_load(&entries[entry_index(level, iova)]), in_page;

		if (!pte)
			return 0;
		if (is_leaf(level, pte)) {
			in_page = (1ull << leaf_lg2(level, pte)) - 1;
			return (pte & PT_ADDR_MASK & ~in_page) | (iova & in_page);
		}
		entries = link_entries(pte);
	}
}

#endif
