/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amdv1.c - see amdv1.h.
 *
 * Words.  An *entry* is 8 bytes of a table.  A *leaf* maps a page, a *link* points to a table one
 * level down (this writer never skips levels).  A page larger than an entry's span is *spread*: the
 * same leaf stands in 2, 4 .. 256 neighbouring entries.
 *
 * What always holds:
 *  - pt_page.live counts the entries of a table that are not 0;
 *  - every table but the root with live == 0 is on pt->empty;
 *  - a table is reached by exactly one link, pt_page.parent.
 *
 * Dangerous: live is 16 bits and exact; each store of an entry goes with one live_add or live_sub.
 *
 * Source: AMD specification 48882, "I/O Page Tables for Host Translations": level n indexes with
 * address bits 12+9(n-1) and up; next level 7h: the lowest clear bit z of the address field gives a
 * page of 2^(z+1) bytes.
 */
#include "kernel/iommu/pt/amdv1.h"

#include <assert.h>
#include <string.h>

#include "kernel/iommu/iommu.h"
#include "kernel/lib/amd_iommu_bits.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/mm.h"

#define LINK_BITS (AMD_PTE_PR | AMD_PTE_IR | AMD_PTE_IW)

/* ---- entries ---- */

/* log2 of what one entry of a table of @level spans. */
static unsigned entry_lg2(unsigned level)
{
	return PAGE_SHIFT + AMD_PT_INDEX_BITS * (level - 1);
}

static unsigned entry_index(unsigned level, u64 iova)
{
	return (iova >> entry_lg2(level)) & (AMD_PT_ENTRIES - 1);
}

/* Bytes that a table of @level covers, less one. */
static u64 table_span(unsigned level)
{
	unsigned lg2 = entry_lg2(level) + AMD_PT_INDEX_BITS;

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

static bool is_leaf(u64 pte)
{
	unsigned next = (pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK;

	return next == AMD_PTE_NEXT_PAGE || next == AMD_PTE_NEXT_SIZED;
}

static u64 make_leaf(unsigned level, phys_addr_t phys, unsigned lg2, int prot)
{
	u64 pte = AMD_PTE_PR | AMD_PTE_FC | phys;

	if (lg2 != entry_lg2(level)) {
		pte |= (u64)AMD_PTE_NEXT_SIZED << AMD_PTE_NEXT_SHIFT;
		pte |= ((1ull << (lg2 - 1)) - 1) & AMD_PTE_ADDR_MASK;
	}
	if (prot & IOMMU_READ)
		pte |= AMD_PTE_IR;
	if (prot & IOMMU_WRITE)
		pte |= AMD_PTE_IW;
	return pte;
}

static unsigned leaf_lg2(unsigned level, u64 pte)
{
	if (((pte >> AMD_PTE_NEXT_SHIFT) & AMD_PTE_NEXT_MASK) == AMD_PTE_NEXT_PAGE)
		return entry_lg2(level);
	return PAGE_SHIFT + 1 + __builtin_ctzll(~(pte >> PAGE_SHIFT));
}

static u64 make_link(const struct pt_page *child)
{
	u64 table = virt_to_phys((const void *)child->entries);

	return LINK_BITS | (u64)child->level << AMD_PTE_NEXT_SHIFT | table;
}

/* Descents follow entries alone, and look at the description of a table only where they end. */
static pt_entry_t *link_entries(u64 pte)
{
	return (pt_entry_t *)(uintptr_t)(pte & AMD_PTE_ADDR_MASK);
}

static struct pt_page *link_target(u64 pte)
{
	return pt_page_of((const void *)link_entries(pte));
}

/* ---- counting, and tables that come and go ---- */

static void empty_leave(struct amdv1_pt *pt, struct pt_page *page)
{
	TAILQ_REMOVE(&pt->empty, page, node);
	page->is_empty = false;
	pt->nr_empty--;
}

static void empty_join(struct amdv1_pt *pt, struct pt_page *page)
{
	TAILQ_INSERT_TAIL(&pt->empty, page, node);
	page->is_empty = true;
	pt->nr_empty++;
}

static void live_add(struct amdv1_pt *pt, struct pt_page *page, unsigned n)
{
	if (page->is_empty)
		empty_leave(pt, page);
	page->live += n;
}

static void live_sub(struct amdv1_pt *pt, struct pt_page *page, unsigned n)
{
	page->live -= n;
	if (page->live == 0 && page != pt->root && n)
		empty_join(pt, page);
}

static void link_table(struct amdv1_pt *pt, struct pt_page *parent, pt_entry_t *entry, struct pt_page *child)
{
	child->parent = entry;
	live_add(pt, parent, 1);
	entry_store(entry, make_link(child));
}

/* Off the tree, but not freed: hardware may be in it. */
static void set_aside(struct amdv1_pt *pt, struct pt_page *page)
{
	if (page->is_empty)
		empty_leave(pt, page);
	page->parent = NULL;
	TAILQ_INSERT_TAIL(&pt->unlinked, page, node);
}

static void unlink_table(struct amdv1_pt *pt, struct pt_page *page)
{
	struct pt_page *parent = pt_page_of((const void *)page->parent);

	entry_store(page->parent, 0);
	set_aside(pt, page);
	live_sub(pt, parent, 1);
}

static void trim_empty(struct amdv1_pt *pt, unsigned keep)
{
	while (pt->nr_empty > keep)
		unlink_table(pt, TAILQ_FIRST(&pt->empty));
}

int amdv1_init(struct amdv1_pt *pt, unsigned levels)
{
	assert(levels >= 1 && levels <= AMD_PT_LEVELS);
	memset(pt, 0, sizeof(*pt));
	pt_pool_init(&pt->pool);
	TAILQ_INIT(&pt->empty);
	TAILQ_INIT(&pt->unlinked);
	pt->root = pt_page_alloc(&pt->pool, levels);
	return pt->root ? 0 : -ENOMEM;
}

void amdv1_release(struct amdv1_pt *pt)
{
	struct pt_page *page;

	while ((page = TAILQ_FIRST(&pt->unlinked))) {
		TAILQ_REMOVE(&pt->unlinked, page, node);
		pt_page_free(&pt->pool, page);
	}
}

void amdv1_destroy(struct amdv1_pt *pt)
{
	struct amdv1_gather gather = { .iova = ~0ull };

	if (!pt->root)
		return;
	amdv1_unmap(pt, 0, ~0ull & PAGE_MASK, &gather);
	amdv1_unmap(pt, ~0ull & PAGE_MASK, PAGE_SIZE, &gather);
	trim_empty(pt, 0);
	amdv1_release(pt);
	pt_page_free(&pt->pool, pt->root);
	pt_pool_destroy(&pt->pool);
	pt->root = NULL;
}

/* ---- map ---- */

/* One level more on top; what was mapped keeps its place, as all of it has the new index bits clear. */
static int grow_root(struct amdv1_pt *pt)
{
	struct pt_page *old = pt->root, *top = pt_page_alloc(&pt->pool, old->level + 1);

	if (!top)
		return -ENOMEM;
	pt->root = top;
	link_table(pt, top, &top->entries[0], old);
	if (old->live == 0)
		empty_join(pt, old);
	return 0;
}

/* A new table for @entry, of @level.  NULL: no memory. */
static struct pt_page *add_table(struct amdv1_pt *pt, pt_entry_t *entry, unsigned level)
{
	struct pt_page *child = pt_page_alloc(&pt->pool, level);

	if (!child)
		return NULL;
	link_table(pt, pt_page_of((const void *)entry), entry, child);
	empty_join(pt, child);
	return child;
}

/* The table of @level for @iova, made if need be.  -EEXIST: a larger page is there. */
static int get_table(struct amdv1_pt *pt, u64 iova, unsigned level, struct pt_page **ret_page)
{
	pt_entry_t *entries = pt->root->entries;

	for (unsigned at = pt->root->level; at > level; at--) {
		pt_entry_t *entry = &entries[entry_index(at, iova)];
		u64 pte = entry_load(entry);
		struct pt_page *child;

		if (pte && is_leaf(pte))
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
	u64 sizes = AMDV1_PGSIZES & GENMASK_ULL(min(align, room), 0);

	return 63 - __builtin_clzll(sizes);
}

/* Something stands where a leaf shall go.  Only tables without any mapping below give way. */
static int make_room(struct amdv1_pt *pt, struct pt_page *page, const pt_entry_t *entry)
{
	if (is_leaf(entry_load(entry)))
		return -EEXIST;
	live_add(pt, page, 1); /* so that this table is not reclaimed itself */
	trim_empty(pt, 0);
	page->live--;
	if (page->live == 0 && page != pt->root)
		empty_join(pt, page);
	return entry_load(entry) ? -EEXIST : 0;
}

/* Entries [i, i+n) get @leaf, @leaf + @step ... */
static int put_leaves(struct amdv1_pt *pt, struct pt_page *page, unsigned i, unsigned n, u64 leaf, u64 step)
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
 * How many pages of just an entry's span follow one another.  Where iova and phys differ in the bit of
 * that span, no larger page can ever fit, and the whole run is known at once.
 */
static u64 single_run(u64 iova, phys_addr_t phys, u64 len_bytes, unsigned lg2, unsigned room)
{
	if (((iova ^ phys) >> lg2 & 1) == 0)
		return 1;
	return min(len_bytes >> lg2, (u64)room);
}

/* Write as many leaves into @page as belong there.  *@done grows with each. */
static int fill_table(struct amdv1_pt *pt, struct pt_page *page, u64 iova, phys_addr_t phys, u64 len_bytes,
		      int prot, u64 *done)
{
	unsigned lg2_entry = entry_lg2(page->level);
	unsigned i = entry_index(page->level, iova);

	while (i < AMD_PT_ENTRIES && len_bytes) {
		unsigned lg2 = best_page_lg2(iova, phys, len_bytes), n;
		u64 size, leaf = make_leaf(page->level, phys, lg2, prot), step = 0;
		int err;

		if (lg2 < lg2_entry || lg2 >= lg2_entry + AMD_PT_INDEX_BITS)
			return 0; /* another level's */
		n = 1u << (lg2 - lg2_entry);
		if (n == 1) {
			n = single_run(iova, phys, len_bytes, lg2, AMD_PT_ENTRIES - i);
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

static int map_range(struct amdv1_pt *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot, u64 *done)
{
	*done = 0;
	while (*done < len_bytes) {
		u64 at = iova + *done, pa = phys + *done, left = len_bytes - *done;
		unsigned lg2 = best_page_lg2(at, pa, left);
		struct pt_page *page;
		int err = get_table(pt, at, (lg2 - PAGE_SHIFT) / AMD_PT_INDEX_BITS + 1, &page);

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

int amdv1_map(struct amdv1_pt *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	struct amdv1_gather unused = { .iova = ~0ull };
	u64 last = iova + len_bytes - 1, done;
	int err;

	assert(len_bytes && IS_ALIGNED(iova | phys | len_bytes, PAGE_SIZE) && last >= iova);
	while (last > table_span(pt->root->level))
		if (grow_root(pt))
			return fail(-ENOMEM, "no memory for another level of I/O page tables");
	err = map_range(pt, iova, phys, len_bytes, prot, &done);
	if (err && done)
		amdv1_unmap(pt, iova, done, &unused);
	if (err)
		trim_empty(pt, AMDV1_KEEP_EMPTY);
	return err;
}

/* ---- unmap ---- */

struct unmap {
	struct amdv1_pt *pt;
	u64 iova, last;
	u64 bytes;
	struct amdv1_gather *gather;
};

/* Take a whole table with all below it aside.  Its own link is the caller's.  Return: bytes mapped in it. */
static u64 drop_table(struct amdv1_pt *pt, struct pt_page *page)
{
	u64 bytes = 0;

	if (page->level == 1) {
		bytes = page->live * PAGE_SIZE;
	} else {
		for (unsigned i = 0; i < AMD_PT_ENTRIES; i++) {
			u64 pte = entry_load(&page->entries[i]);

			if (pte && is_leaf(pte))
				bytes += 1ull << entry_lg2(page->level);
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
	unsigned lg2_entry = entry_lg2(page->level), lg2 = leaf_lg2(page->level, pte);
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
	unsigned lg2 = entry_lg2(page->level);
	u64 end = base + table_span(page->level);
	unsigned i_last = entry_index(page->level, min(u->last, end));

	while (i <= i_last) {
		u64 pte = entry_load(&page->entries[i]), at = base + ((u64)i << lg2);
		unsigned next = i + 1;

		if (pte && is_leaf(pte)) {
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
static struct pt_page *enclosing_table(struct amdv1_pt *pt, u64 iova, u64 last)
{
	pt_entry_t *entries = pt->root->entries;

	for (unsigned level = pt->root->level; level > 1; level--) {
		u64 pte = entry_load(&entries[entry_index(level, iova)]);
		u64 span = table_span(level - 1);

		if (!pte || is_leaf(pte) || (iova ^ last) > span || last - iova == span)
			break;
		entries = link_entries(pte);
	}
	return pt_page_of((const void *)entries);
}

u64 amdv1_unmap(struct amdv1_pt *pt, u64 iova, u64 len_bytes, struct amdv1_gather *gather)
{
	struct unmap u = { .pt = pt, .iova = iova, .last = iova + len_bytes - 1, .gather = gather };
	struct pt_page *page;

	if (u.iova > table_span(pt->root->level))
		return 0;
	page = enclosing_table(pt, iova, u.last);
	unmap_table(&u, page, iova & ~table_span(page->level));
	if (pt->nr_empty > AMDV1_KEEP_EMPTY)
		trim_empty(pt, AMDV1_KEEP_EMPTY);
	if (u.bytes) {
		gather->iova = min(gather->iova, iova);
		gather->last = max(gather->last, u.last);
	}
	return u.bytes;
}

/* ---- look ---- */

phys_addr_t amdv1_iova_to_phys(const struct amdv1_pt *pt, u64 iova)
{
	const pt_entry_t *entries = pt->root->entries;

	if (iova > table_span(pt->root->level))
		return 0;
	for (unsigned level = pt->root->level;; level--) {
		u64 pte = entry_load(&entries[entry_index(level, iova)]), in_page;

		if (!pte)
			return 0;
		if (is_leaf(pte)) {
			in_page = (1ull << leaf_lg2(level, pte)) - 1;
			return (pte & AMD_PTE_ADDR_MASK & ~in_page) | (iova & in_page);
		}
		entries = link_entries(pte);
	}
}
