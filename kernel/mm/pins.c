/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins.c - which addresses are pinned.
 *
 * Asked for each pin and unpin (must be quick), and for each munmap() in the neighbourhood of pinned
 * memory (should be).  One hash table with open addressing, 16 bytes an entry, no other allocation.
 *
 * The key is not the address but the granule that the pin starts in, a granule being the smallest power
 * of two that is not smaller than the pin (its class).  So whatever touches [first, last] starts, for
 * each class, in a granule of that range or in the one before: a few look-ups find it.  Pins that do not
 * overlap are at most two to a granule, so chains stay short.
 *
 * Equal pins (same slot, start and length) are one entry with a count.
 */
#include "kernel/mm/pins.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

#define FIRST_LG2 6u
#define CLASSES 36
#define REFS_MAX ((1u << 29) - 1)

struct mutex pins_lock = MUTEX_INITIALIZER(LOCK_MM_PINS);
_Atomic u64 pins_lowest = ~0ull, pins_highest;
int (*pins_leave_elsewhere)(u64 start, u64 len_bytes);

/* Under pins_lock. */
static struct pin first_table[1u << FIRST_LG2];
static struct pin *table = first_table;
static unsigned table_lg2 = FIRST_LG2;
static size_t used;
static size_t in_class[CLASSES];

static unsigned class_of(u64 pages)
{
	return pages > 1 ? 64 - __builtin_clzll(pages - 1) : 0;
}

static size_t home_of(unsigned class, u64 granule)
{
	return ((granule << 6 | class) * 0x9e3779b97f4a7c15ull) >> (64 - table_lg2);
}

static size_t home_of_pin(const struct pin *pin)
{
	unsigned class = class_of(pin->pages);

	return home_of(class, pin_start(pin) >> (PAGE_SHIFT + class));
}

static size_t table_mask(void)
{
	return ((size_t)1 << table_lg2) - 1;
}

static struct pin *find(u64 at, u64 pages)
{
	struct pin key = { .at = at, .pages = pages };

	for (size_t i = home_of_pin(&key); table[i].at; i = (i + 1) & table_mask())
		if (table[i].at == at && table[i].pages == pages)
			return &table[i];
	return NULL;
}

static void put(const struct pin *pin)
{
	size_t i = home_of_pin(pin);

	while (table[i].at)
		i = (i + 1) & table_mask();
	table[i] = *pin;
}

/* Room for one more, with a free entry left to end every search. */
static int make_room(void)
{
	size_t size = (size_t)1 << table_lg2;
	struct pin *old = table, *bigger;

	if (likely(used + 1 <= size - size / 4))
		return 0;
	bigger = kcalloc(2 * size, sizeof(*bigger));
	if (!bigger)
		return used + 1 < size ? 0 : fail(-ENOMEM, "no memory to note one more pin than %zu", used);
	table = bigger;
	table_lg2++;
	for (size_t i = 0; i < size; i++)
		if (old[i].at)
			put(&old[i]);
	if (old != first_table)
		kfree(old);
	return 0;
}

void pins_widen_locked(u64 first, u64 last)
{
	lockdep_assert_held(&pins_lock);
	if (first < atomic_load_explicit(&pins_lowest, memory_order_relaxed))
		atomic_store_explicit(&pins_lowest, first, memory_order_relaxed);
	if (last > atomic_load_explicit(&pins_highest, memory_order_relaxed))
		atomic_store_explicit(&pins_highest, last, memory_order_relaxed);
}

void pins_narrow_locked(void)
{
	if (used || atomic_load_explicit(&redirects_any, memory_order_relaxed))
		return;
	atomic_store_explicit(&pins_lowest, ~0ull, memory_order_relaxed);
	atomic_store_explicit(&pins_highest, 0, memory_order_relaxed);
}

int pins_add_locked(unsigned slot, u64 uva, u64 len_bytes)
{
	struct pin pin = { .at = uva | slot, .pages = len_bytes >> PAGE_SHIFT, .refs = 1 };
	struct pin *same = find(pin.at, pin.pages);

	lockdep_assert_held(&pins_lock);
	if (same) {
		if (same->refs == REFS_MAX)
			return fail(-ENOMEM, "0x%llx is pinned too often", (unsigned long long)uva);
		same->refs++;
		return 0;
	}
	if (make_room())
		return -ENOMEM;
	put(&pin);
	used++;
	in_class[class_of(pin.pages)]++;
	pins_widen_locked(uva, uva + len_bytes - 1);
	return 0;
}

/* Entries behind the hole that belong before it move up, so that no search ends too early. */
static void close_hole(size_t hole)
{
	size_t mask = table_mask();

	for (size_t i = (hole + 1) & mask; table[i].at; i = (i + 1) & mask) {
		if (((i - home_of_pin(&table[i])) & mask) < ((i - hole) & mask))
			continue;
		table[hole] = table[i];
		hole = i;
	}
	table[hole].at = 0;
}

void pins_del_locked(unsigned slot, u64 uva, u64 len_bytes)
{
	struct pin *pin = find(uva | slot, len_bytes >> PAGE_SHIFT);

	lockdep_assert_held(&pins_lock);
	if (!pin || --pin->refs)
		return;
	in_class[class_of(pin->pages)]--;
	close_hole(pin - table);
	used--;
}

static bool touches(const struct pin *pin, u64 first, u64 last)
{
	return pin_start(pin) <= last && pin_last(pin) >= first;
}

static bool visit_all(u64 first, u64 last, bool (*fn)(const struct pin *, void *), void *arg)
{
	for (size_t i = 0; i <= table_mask(); i++)
		if (table[i].at && touches(&table[i], first, last) && fn(&table[i], arg))
			return true;
	return false;
}

static bool visit_granule(unsigned class, u64 granule, u64 first, u64 last,
			  bool (*fn)(const struct pin *, void *), void *arg)
{
	for (size_t i = home_of(class, granule); table[i].at; i = (i + 1) & table_mask())
		if (class_of(table[i].pages) == class &&
		    pin_start(&table[i]) >> (PAGE_SHIFT + class) == granule &&
		    touches(&table[i], first, last) && fn(&table[i], arg))
			return true;
	return false;
}

bool pins_visit_locked(u64 first, u64 last, bool (*fn)(const struct pin *pin, void *arg), void *arg)
{
	lockdep_assert_held(&pins_lock);
	for (unsigned class = 0; class < CLASSES; class++)
		if (in_class[class] && (last - first) >> (PAGE_SHIFT + class) > used)
			return visit_all(first, last, fn, arg);
	for (unsigned class = 0; class < CLASSES; class++) {
		unsigned shift = PAGE_SHIFT + class;
		u64 granule = first >> shift;

		if (!in_class[class])
			continue;
		for (granule -= granule > 0; granule <= last >> shift; granule++)
			if (visit_granule(class, granule, first, last, fn, arg))
				return true;
	}
	return false;
}

void pins_forget(void)
{
	mutex_init(&pins_lock, LOCK_MM_PINS);
	memset(table, 0, ((size_t)1 << table_lg2) * sizeof(*table));
	memset(in_class, 0, sizeof(in_class));
	used = 0;
	atomic_store(&pins_lowest, ~0ull);
	atomic_store(&pins_highest, 0);
}

void pins_elsewhere_set(u64 first, u64 last, int (*leave)(u64 start, u64 len_bytes))
{
	__atomic_store_n(&pins_leave_elsewhere, leave, __ATOMIC_RELAXED);
	atomic_store_explicit(&pins_lowest, first, memory_order_relaxed);
	atomic_store_explicit(&pins_highest, last, memory_order_relaxed);
}
