/* SPDX-License-Identifier: BSD-3-Clause */
/* selftest_pt.c - writing and reading the mock IOMMU's page tables; see selftest_pt.h. */
#include "kernel/iommufd/selftest_pt.h"


#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

typedef unsigned long long ull;

/*
 * An entry of a lowest table is a page or 0; one of an upper table is the table below it, a large page of
 * 1 MiB (in the tables just above the lowest), or 0.
 */
#define PTE_PRESENT BIT_ULL(0)
#define PTE_TABLE BIT_ULL(1)	/* the rest is a pointer */
#define PTE_READ BIT_ULL(2)
#define PTE_WRITE BIT_ULL(3)
#define PTE_DIRTY BIT_ULL(4)
#define PTE_SIZE_SHIFT 5	/* log2 of the page's bytes, 5 bits */
#define PTE_SIZE (0x1full << PTE_SIZE_SHIFT)
#define PTE_PHYS GENMASK_ULL(51, 11)

#define LARGE_LG2 20u		/* of what a lowest table reaches */
#define UPPER_BITS 11u		/* of an index into an upper table */

struct mock_table {
	u16 used;		/* entries that are not 0 */
	u16 entries;
	u64 pte[];
};

static unsigned small_lg2(const struct mock_pt *pt)
{
	return pt->type == MOCK_PT_HUGE ? 12 : 11;
}

/* Upper levels: 31 bits of iova in the default format, 42 in the huge one. */
static unsigned levels(const struct mock_pt *pt)
{
	return pt->type == MOCK_PT_HUGE ? 2 : 1;
}

u64 mock_pt_pgsizes(enum mock_pagetable_type type)
{
	return type == MOCK_PT_HUGE ? BIT_ULL(12) | BIT_ULL(LARGE_LG2) : GENMASK_ULL(LARGE_LG2, 11);
}

static struct mock_table *table_alloc(unsigned entries)
{
	struct mock_table *table = kzalloc(sizeof(*table) + entries * sizeof(table->pte[0]));

	if (table)
		table->entries = (u16)entries;
	return table;
}

static struct mock_table *pte_table(u64 pte)
{
	return (struct mock_table *)(uintptr_t)(pte & ~(PTE_PRESENT | PTE_TABLE));
}

static void table_free(struct mock_table *table)
{
	for (unsigned i = 0; table->used && i < table->entries; i++)
		if (table->pte[i] & PTE_TABLE)
			table_free(pte_table(table->pte[i]));
	kfree(table);
}

int mock_pt_init(struct mock_pt *pt, enum mock_pagetable_type type)
{
	pt->type = type;
	pt->top = table_alloc(1u << UPPER_BITS);
	return pt->top ? 0 : fail(-ENOMEM, "no memory for a mock page table");
}

void mock_pt_destroy(struct mock_pt *pt)
{
	if (pt->top)
		table_free(pt->top);
	pt->top = NULL;
}

/* ---- the way down ---- */

/* What an entry at @level reaches: level 0 is the lowest. */
static unsigned level_lg2(const struct mock_pt *pt, unsigned level)
{
	return level == 0 ? small_lg2(pt) : LARGE_LG2 + UPPER_BITS * (level - 1);
}

static unsigned index_of(const struct mock_pt *pt, const struct mock_table *table, unsigned level, u64 iova)
{
	return (iova >> level_lg2(pt, level)) & (table->entries - 1u);
}

static void set_pte(struct mock_table *table, unsigned i, u64 pte)
{
	table->used = (u16)(table->used + (pte != 0) - (table->pte[i] != 0));
	table->pte[i] = pte;
}

/* The table below entry @i, made if there is none.  NULL: no memory.  The entry is no page. */
static struct mock_table *table_below(const struct mock_pt *pt, struct mock_table *table, unsigned i,
				      unsigned level)
{
	struct mock_table *below;

	if (table->pte[i])
		return pte_table(table->pte[i]);
	below = table_alloc(level == 1 ? 1u << (LARGE_LG2 - small_lg2(pt)) : 1u << UPPER_BITS);
	if (below)
		set_pte(table, i, (uintptr_t)below | PTE_PRESENT | PTE_TABLE);
	return below;
}

/* Where a page of 1 << @lg2 bytes at @iova is to be written; -EEXIST a larger page is there. */
static int walk_to(struct mock_pt *pt, u64 iova, unsigned lg2, struct mock_table **ret_table, unsigned *ret_index)
{
	struct mock_table *table = pt->top;
	unsigned level = levels(pt), to = lg2 == LARGE_LG2 ? 1 : 0;

	for (;; level--) {
		unsigned i = index_of(pt, table, level, iova);

		if (level == to) {
			*ret_table = table;
			*ret_index = i;
			return 0;
		}
		if (table->pte[i] && !(table->pte[i] & PTE_TABLE))
			return -EEXIST;
		table = table_below(pt, table, i, level);
		if (!table)
			return fail(-ENOMEM, "no memory for a mock page table");
	}
}

/* A table that has become empty is freed where something else is put in its place, or with all of them. */
static bool entry_free(struct mock_table *table, unsigned i)
{
	if (!(table->pte[i] & PTE_TABLE))
		return table->pte[i] == 0;
	if (pte_table(table->pte[i])->used)
		return false;
	kfree(pte_table(table->pte[i]));
	set_pte(table, i, 0);
	return true;
}

/* ---- mapping ---- */

static int map_page(struct mock_pt *pt, u64 iova, phys_addr_t phys, unsigned lg2, int prot)
{
	u64 pte = PTE_PRESENT | (u64)lg2 << PTE_SIZE_SHIFT | phys;
	unsigned i, covers = lg2 == LARGE_LG2 ? 1 : 1u << (lg2 - small_lg2(pt));
	struct mock_table *table;
	int err = walk_to(pt, iova, lg2, &table, &i);

	for (unsigned n = 0; !err && n < covers; n++)
		if (!entry_free(table, i + n))
			err = -EEXIST;
	if (err)
		return err == -EEXIST ? fail(err, "iova 0x%llx is mapped already", (ull)iova) : err;
	pte |= (prot & IOMMU_READ ? PTE_READ : 0) | (prot & IOMMU_WRITE ? PTE_WRITE : 0);
	for (unsigned n = 0; n < covers; n++)
		set_pte(table, i + n, pte);
	return 0;
}

/* The largest page that addresses and length allow. */
static unsigned page_lg2(const struct mock_pt *pt, u64 iova, phys_addr_t phys, u64 left)
{
	u64 sizes = mock_pt_pgsizes(pt->type);
	unsigned fits = 63u - (unsigned)__builtin_clzll(left);

	if (iova | phys)
		fits = min(fits, (unsigned)__builtin_ctzll(iova | phys));
	return 63u - (unsigned)__builtin_clzll(sizes & (BIT_ULL(fits) * 2 - 1));
}

int mock_pt_map(struct mock_pt *pt, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	for (u64 done = 0; done < len_bytes;) {
		unsigned lg2 = page_lg2(pt, iova + done, phys + done, len_bytes - done);
		int err = map_page(pt, iova + done, phys + done, lg2, prot);

		if (err) {
			if (done)
				mock_pt_unmap(pt, iova, done);
			return err;
		}
		done += BIT_ULL(lg2);
	}
	return 0;
}

/* ---- looking ---- */

static struct mock_page page_of(u64 iova, u64 pte)
{
	u64 bytes = BIT_ULL((pte & PTE_SIZE) >> PTE_SIZE_SHIFT);

	return (struct mock_page){
		.iova = ALIGN_DOWN(iova, bytes),
		.bytes = bytes,
		.phys = pte & PTE_PHYS,
		.prot = (int)((pte & PTE_READ ? IOMMU_READ : 0) | (pte & PTE_WRITE ? IOMMU_WRITE : 0)),
	};
}

/*
 * The entry for @iova.  NULL: nothing is mapped there, and *@ret_lg2 says for how many bytes around it
 * that holds.
 */
static u64 *find_pte(const struct mock_pt *pt, u64 iova, unsigned *ret_lg2)
{
	struct mock_table *table = pt->top;

	for (unsigned level = levels(pt);; level--) {
		u64 *pte = &table->pte[index_of(pt, table, level, iova)];

		*ret_lg2 = level_lg2(pt, level);
		if (!*pte)
			return NULL;
		if (!(*pte & PTE_TABLE))
			return pte;
		table = pte_table(*pte);
	}
}

/* Beyond what the format translates there is nothing, and no entry of it may be taken for another's. */
static bool beyond(const struct mock_pt *pt, u64 iova)
{
	return iova >> (LARGE_LG2 + UPPER_BITS * levels(pt));
}

/* The first of the entries that a page is written to: it has the dirty bit. */
static u64 *first_pte(const struct mock_pt *pt, u64 iova)
{
	unsigned lg2;
	u64 *pte = beyond(pt, iova) ? NULL : find_pte(pt, iova, &lg2);

	return pte ? find_pte(pt, page_of(iova, *pte).iova, &lg2) : NULL;
}

bool mock_pt_lookup(const struct mock_pt *pt, u64 iova, struct mock_page *ret_page)
{
	const u64 *pte = first_pte(pt, iova);

	if (!pte)
		return false;
	*ret_page = page_of(iova, *pte);
	ret_page->dirty = *pte & PTE_DIRTY;
	return true;
}

bool mock_pt_set_dirty(struct mock_pt *pt, u64 iova, bool dirty)
{
	u64 *pte = first_pte(pt, iova);

	if (pte)
		*pte = dirty ? *pte | PTE_DIRTY : *pte & ~PTE_DIRTY;
	return pte;
}

bool mock_pt_next(const struct mock_pt *pt, u64 iova, u64 last, struct mock_page *ret_page)
{
	while (iova <= last && !beyond(pt, iova)) {
		unsigned lg2;
		u64 next;

		if (find_pte(pt, iova, &lg2))
			return mock_pt_lookup(pt, iova, ret_page);
		next = (iova | (BIT_ULL(lg2) - 1)) + 1;
		if (next < iova)
			break;
		iova = next;
	}
	return false;
}

/* ---- unmapping ---- */

static void unmap_page(struct mock_pt *pt, const struct mock_page *page)
{
	bool large = page->bytes == BIT_ULL(LARGE_LG2);
	unsigned i, covers = large ? 1 : (unsigned)(page->bytes >> small_lg2(pt));
	struct mock_table *table;

	(void)walk_to(pt, page->iova, large ? LARGE_LG2 : small_lg2(pt), &table, &i); /* all of it is there */
	for (unsigned n = 0; n < covers; n++)
		set_pte(table, i + n, 0);
}

u64 mock_pt_unmap(struct mock_pt *pt, u64 iova, u64 len_bytes)
{
	u64 last = iova + len_bytes - 1, unmapped = 0;
	struct mock_page page;

	while (mock_pt_next(pt, iova, last, &page)) {
		u64 page_last = page.iova + page.bytes - 1;

		unmap_page(pt, &page);
		unmapped += page.bytes;
		if (page_last >= last)
			break;
		iova = page_last + 1;
	}
	return unmapped;
}
