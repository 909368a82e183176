/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iotlb.c - one engine's translation cache, the transfers through it, and how it is made to forget.
 *
 * Cache.  Two arrays, four ways a set: one for pages below 2 MiB, placed by 4 KiB granule, one for
 * the others, placed by 2 MiB granule.  A page larger than its granule sits in the set of the granule
 * that was touched, so it may be there several times; an invalidation of the page covers all of them.
 * An entry's tag is one word: page address, log2 of the size, permissions.  Each array has a bitmap of
 * sets that may hold something, and the small one also a filter of hashed 2 MiB regions that were met
 * since everything was forgotten, so that forgetting what never was cached is quick.
 *
 * Holding.  seq is odd while a thread holds the iotlb; taking and letting go each add one.  So an
 * invalidation need not take it: that the number has changed says that whoever was in there has left.
 *
 * Invalidation, and why on return no transfer uses what was unmapped.  The kernel cleared the entries
 * in memory before it called.
 *  1. A barrier, then look at seq.  Is it odd, wait until it changes.  Whoever walks after that walks
 *     the new tables, because taking the iotlb is a barrier too.
 *  2. Wipe matching tags.  No walk can bring them back (1).
 *  3. Is seq odd now, wait until it changes: that thread may have used a tag before it was wiped.
 * Each wait is for one holder, never for the lock, so a busy device cannot starve an unmap; and an
 * iotlb with nothing to forget costs a few loads.
 *
 * The walker's own caches (hw_table_cache, hw_walk_cache) are the holder's, and good as long as the unit's count of
 * invalidations is what it was: the count comes before step 1, so whoever walks with an old one is waited for.
 *
 * Stages.  What a nested iotlb has cached goes by addresses of the first stage, so an invalidation of the
 * second stage, which speaks of other addresses, takes all of it; one of the first stage names the PASID.
 *
 * What always holds: domid is that of the cached device entry, and which stages it has; NO_DOMID if none
 * is cached, and then there are no tags.  It is set before the first walk by that entry.
 *
 * Dangerous: an iotlb is never freed before its unit, only used again, because invalidations walk the
 * list without a lock.
 */
#include "hw/iommu/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/sys.h"

#define WAYS 4
#define SMALL_SETS 64
#define BIG_SETS 16
#define BIG_SHIFT 21
#define NO_DOMID 0x10000u
#define DOMID_FIRST 0x20000u	/* the first stage alone */
#define DOMID_NESTED 0x40000u	/* both */
#define REGION_WORDS 8	/* 512 bits */
#define REGIONS_ASKED 8 /* for more than that, looking at the sets is as quick */

#define TAG_LG2 63ull
#define TAG_READ BIT_ULL(6)
#define TAG_WRITE BIT_ULL(7)

/* The iotlb is let go after so many bytes, so that an unmap need not wait for long. */
#define CHUNK_BYTES (256u << 10)

struct iotlb_set {
	/* 0: empty.  Invalidations wipe at any time, else only the holder writes */
	_Alignas(64) _Atomic(u64) tag[WAYS];
	u64 pa[WAYS]; /* of the page; the holder's */
};

struct iotlb {
	_Alignas(64) _Atomic(u64) seq;
	_Atomic(u32) domid;
	_Atomic(bool) wanted;	/* a thread waits to hold it */
	_Atomic(u64) small_used, big_used; /* bit n: set n may have a tag */
	/* bit n: a small tag may be of a region with that hash; the holder writes */
	_Atomic(u64) regions[REGION_WORDS];
	u16 devid;	      /* changes only while not in use */
	bool privileged;      /* likewise */
	_Atomic(u32) pasid;   /* likewise */
	unsigned victim;      /* holder's, like all up to set pointers */
	struct hw_device_entry entry; /* q0 is 0: not cached */
	struct hw_walk_cache walk_cache;
	struct hw_table_cache table_cache;
	_Atomic(u64) hits, misses, bytes_read, bytes_written, faults; /* written by the holder */
	struct hw_iommu *iommu; /* immutable */
	struct iotlb *next;	/* immutable */
	bool in_use;		/* hw_iommu.lock */
#ifdef LOCKDEP
	struct mutex witness; /* shows the rank checker that the iotlb is held */
#endif
	struct iotlb_set small[SMALL_SETS];
	struct iotlb_set big[BIG_SETS];
};

/* ---- holding ---- */

/* Wait a little longer each time, @n counting from 0. */
static void back_off(unsigned n)
{
	static const struct timespec nap = { .tv_nsec = 20000 };

	if (n < 64)
		atomic_signal_fence(memory_order_seq_cst); /* look again */
	else if (n < 128)
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
	else
		sys_call(SYS_nanosleep, &nap, NULL, 0, 0);
}

static inline void seq_hold(struct iotlb *t)
{
	u64 seq = atomic_load_explicit(&t->seq, memory_order_relaxed);

	for (unsigned n = 0;; n++) {
		if (!(seq & 1) && atomic_compare_exchange_strong(&t->seq, &seq, seq + 1))
			return;
		atomic_store_explicit(&t->wanted, true, memory_order_relaxed);
		back_off(n);
		seq = atomic_load_explicit(&t->seq, memory_order_relaxed);
	}
}

static void seq_let_go(struct iotlb *t)
{
	u64 seq = atomic_load_explicit(&t->seq, memory_order_relaxed);

	atomic_store_explicit(&t->seq, seq + 1, memory_order_release);
}

static inline void iotlb_hold(struct iotlb *t)
{
#ifdef LOCKDEP
	mutex_lock(&t->witness);
#endif
	seq_hold(t);
}

static inline void iotlb_let_go(struct iotlb *t)
{
	seq_let_go(t);
#ifdef LOCKDEP
	mutex_unlock(&t->witness);
#endif
}

/* Between two chunks of a long transfer: let another thread that shares the iotlb come in. */
static void iotlb_yield(struct iotlb *t)
{
	if (atomic_load_explicit(&t->wanted, memory_order_relaxed)) {
		atomic_store_explicit(&t->wanted, false, memory_order_relaxed);
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
	}
}

/* Wait until the holder that showed @seq, if any, has let go. */
static void wait_holder(struct iotlb *t, u64 seq)
{
	for (unsigned n = 0; (seq & 1) && atomic_load(&t->seq) == seq; n++)
		back_off(n);
}

static void count(_Atomic(u64) *counter, u64 n)
{
	u64 val = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, val + n, memory_order_relaxed);
}

/* ---- the cache ---- */

static unsigned small_index(u64 granule)
{
	return (granule ^ granule >> 6 ^ granule >> 12) % SMALL_SETS;
}

static unsigned big_index(u64 granule)
{
	return (granule ^ granule >> 4 ^ granule >> 9) % BIG_SETS;
}

/* Bits only ever come, until everything is forgotten: a lost one would hide a tag. */
static u64 region_bit(struct iotlb *t, u64 granule, _Atomic(u64) **ret_word)
{
	unsigned hash = granule * 0x9e3779b97f4a7c15ull >> 55;

	*ret_word = &t->regions[hash / 64];
	return BIT_ULL(hash % 64);
}

static void region_note(struct iotlb *t, u64 iova)
{
	_Atomic(u64) *word;
	u64 bit = region_bit(t, iova >> BIG_SHIFT, &word);
	u64 seen = atomic_load_explicit(word, memory_order_relaxed);

	if (!(seen & bit))
		atomic_store_explicit(word, seen | bit, memory_order_relaxed);
}

static bool regions_met(struct iotlb *t, u64 iova, u64 last)
{
	u64 granules = (last >> BIG_SHIFT) - (iova >> BIG_SHIFT);
	_Atomic(u64) *word;

	if (granules >= REGIONS_ASKED)
		return true;
	for (u64 g = 0; g <= granules; g++) {
		u64 bit = region_bit(t, (iova >> BIG_SHIFT) + g, &word);

		if (atomic_load_explicit(word, memory_order_relaxed) & bit)
			return true;
	}
	return false;
}

static bool tag_matches(u64 tag, u64 iova)
{
	return ((tag ^ iova) >> (tag & TAG_LG2)) == 0 && tag;
}

/* *@ret_pa of the page that has @iova.  Return: its tag; 0 none. */
static inline u64 set_find(struct iotlb_set *set, u64 iova, u64 *ret_pa)
{
	u64 tag = atomic_load_explicit(&set->tag[0], memory_order_relaxed);
	unsigned found = 0;

	if (likely(tag_matches(tag, iova))) {
		*ret_pa = set->pa[0];
		return tag;
	}
	/* No branch per way: which of these hits is anybody's guess. */
	for (unsigned i = 1; i < WAYS; i++) {
		tag = atomic_load_explicit(&set->tag[i], memory_order_relaxed);
		found |= (unsigned)tag_matches(tag, iova) << i;
	}
	if (!found)
		return 0;
	*ret_pa = set->pa[__builtin_ctz(found)];
	tag = atomic_load_explicit(&set->tag[__builtin_ctz(found)], memory_order_relaxed);
	return tag; /* 0 if it was wiped meanwhile */
}

static inline u64 cache_find(struct iotlb *t, u64 iova, u64 *ret_pa)
{
	u64 tag = set_find(&t->small[small_index(iova >> PAGE_SHIFT)], iova, ret_pa);

	if (!tag && atomic_load_explicit(&t->big_used, memory_order_relaxed))
		tag = set_find(&t->big[big_index(iova >> BIG_SHIFT)], iova, ret_pa);
	return tag;
}

static void cache_insert(struct iotlb *t, u64 iova, const struct hw_translation *tr)
{
	bool big = tr->lg2 >= BIG_SHIFT;
	unsigned index = big ? big_index(iova >> BIG_SHIFT) : small_index(iova >> PAGE_SHIFT), way = 0;
	struct iotlb_set *set = big ? &t->big[index] : &t->small[index];
	u64 tag = tr->iova | tr->lg2 | (tr->read ? TAG_READ : 0) | (tr->write ? TAG_WRITE : 0);

	while (way < WAYS && atomic_load_explicit(&set->tag[way], memory_order_relaxed))
		way++;
	if (way == WAYS)
		way = t->victim++ % WAYS;
	if (!big)
		region_note(t, iova);
	set->pa[way] = tr->pa;
	atomic_store_explicit(&set->tag[way], tag, memory_order_relaxed);
	/* After the tag: see sets_wipe(). */
	atomic_fetch_or(big ? &t->big_used : &t->small_used, BIT_ULL(index));
}

/* Return: is anything left in the set? */
static bool set_wipe(struct iotlb_set *set, u64 iova, u64 last)
{
	bool left = false;

	for (unsigned i = 0; i < WAYS; i++) {
		u64 tag = atomic_load_explicit(&set->tag[i], memory_order_relaxed);
		u64 size = 1ull << (tag & TAG_LG2), base = tag & ~(size - 1);

		if (!tag)
			continue;
		/* A full barrier, so that step 3 of an invalidation looks at seq after this. */
		if (base <= last && base + (size - 1) >= iova)
			atomic_exchange(&set->tag[i], 0);
		else
			left = true;
	}
	return left;
}

/*
 * Wipe those of @candidates that are in *@used.  A set that seems empty loses its bit first and is
 * looked at again: a holder that put a tag there meanwhile sets the bit after it.
 */
static void sets_wipe(struct iotlb_set *sets, _Atomic(u64) *used, u64 candidates, u64 iova, u64 last)
{
	candidates &= atomic_load(used);
	for (; candidates; candidates &= candidates - 1) {
		unsigned i = __builtin_ctzll(candidates);

		if (set_wipe(&sets[i], iova, last))
			continue;
		atomic_fetch_and(used, ~BIT_ULL(i));
		if (set_wipe(&sets[i], iova, last))
			atomic_fetch_or(used, BIT_ULL(i));
	}
}

/* The sets that translations of [@iova, @last] may be in. */
static u64 sets_of(u64 iova, u64 last, unsigned shift, unsigned sets, unsigned (*index)(u64 granule))
{
	u64 granules = (last >> shift) - (iova >> shift), map = 0;

	if (granules >= sets / 2)
		return ~0ull;
	for (u64 g = 0; g <= granules; g++)
		map |= BIT_ULL(index((iova >> shift) + g));
	return map;
}

static void cache_wipe(struct iotlb *t, u64 iova, u64 last)
{
	if (regions_met(t, iova, last))
		sets_wipe(t->small, &t->small_used,
			  sets_of(iova, last, PAGE_SHIFT, SMALL_SETS, small_index), iova, last);
	if (atomic_load(&t->big_used))
		sets_wipe(t->big, &t->big_used,
			  sets_of(iova, last, BIG_SHIFT, BIG_SETS, big_index), iova, last);
}

/* Forget everything; the caller holds the iotlb. */
static void cache_drop(struct iotlb *t)
{
	cache_wipe(t, 0, ~0ull);
	for (unsigned i = 0; i < REGION_WORDS; i++)
		atomic_store_explicit(&t->regions[i], 0, memory_order_relaxed);
	atomic_store(&t->domid, NO_DOMID);
	t->entry.q0 = 0;
	memset(&t->walk_cache, 0, sizeof(t->walk_cache));
	memset(&t->table_cache, 0, sizeof(t->table_cache));
}

/* ---- invalidation ---- */

void iotlbs_invalidate_pages(struct hw_iommu *iommu, u16 domid, u64 iova, u64 last)
{
	atomic_fetch_add(&iommu->invalidations, 1);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next) {
		u32 cached;

		wait_holder(t, atomic_load(&t->seq));
		cached = atomic_load(&t->domid);
		if (cached == (domid | DOMID_NESTED))
			cache_wipe(t, 0, ~0ull);
		else if (cached == domid)
			cache_wipe(t, iova, last);
		else
			continue;
		wait_holder(t, atomic_load(&t->seq));
	}
}

static void iotlb_forget(struct iotlb *t)
{
	iotlb_hold(t);
	cache_drop(t);
	iotlb_let_go(t);
}

void iotlbs_invalidate_device(struct hw_iommu *iommu, u16 devid)
{
	mutex_lock(&iommu->lock);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next)
		if (t->in_use && t->devid == devid)
			iotlb_forget(t);
	mutex_unlock(&iommu->lock);
}

void iotlbs_invalidate_pasid(struct hw_iommu *iommu, u16 devid, u32 pasid)
{
	mutex_lock(&iommu->lock);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next)
		if (t->in_use && t->devid == devid && atomic_load(&t->pasid) == pasid)
			iotlb_forget(t);
	mutex_unlock(&iommu->lock);
}

static bool is_first_stage_of(struct iotlb *t, u16 domid, u32 pasid)
{
	u32 cached = atomic_load(&t->domid);

	return (cached == (domid | DOMID_FIRST) || cached == (domid | DOMID_NESTED)) &&
	       atomic_load(&t->pasid) == pasid;
}

/* Of everything: the table of guest tables may have changed too, so the device's entry goes as well. */
static void invalidate_first_stage_all(struct hw_iommu *iommu, u16 domid, u32 pasid)
{
	mutex_lock(&iommu->lock);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next)
		if (t->in_use && is_first_stage_of(t, domid, pasid))
			iotlb_forget(t);
	mutex_unlock(&iommu->lock);
}

void iotlbs_invalidate_first_stage(struct hw_iommu *iommu, u16 domid, u32 pasid, u64 iova, u64 last)
{
	if (iova == 0 && last == ~0ull) {
		invalidate_first_stage_all(iommu, domid, pasid);
		return;
	}
	atomic_fetch_add(&iommu->invalidations, 1);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next) {
		wait_holder(t, atomic_load(&t->seq));
		if (!is_first_stage_of(t, domid, pasid))
			continue;
		cache_wipe(t, iova, last);
		wait_holder(t, atomic_load(&t->seq));
	}
}

void iotlbs_invalidate_all(struct hw_iommu *iommu)
{
	mutex_lock(&iommu->lock);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next)
		iotlb_forget(t);
	mutex_unlock(&iommu->lock);
}

/*
 * All at once.  Nobody else holds two, so there is no order to keep; hw_iommu.lock keeps new ones away.
 * The rank checker, which wants one lock of a rank at a time, does not see these.
 */
void hw_iommu_hold(struct hw_iommu *iommu)
{
	mutex_lock_nested(&iommu->lock);
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next)
		seq_hold(t);
}

void hw_iommu_let_go(struct hw_iommu *iommu)
{
	for (struct iotlb *t = atomic_load(&iommu->iotlbs); t; t = t->next)
		seq_let_go(t);
	mutex_unlock(&iommu->lock);
}

/* ---- translation; the caller holds the iotlb ---- */

/* The device's entry, from memory.  0; enum hw_iommu_fault_reason. */
static int entry_fetch(struct iotlb *t)
{
	struct hw_device_entry entry;
	int reason = t->iommu->format->entry_read(t->iommu, t->devid, atomic_load(&t->pasid), &entry);

	if (reason)
		return reason;
	atomic_store(&t->domid, entry.domid | (entry.nested ? DOMID_NESTED : entry.first_levels ? DOMID_FIRST : 0));
	t->entry = entry;
	return 0;
}

/* What it remembers of tables, and of second-stage translations, is true until the unit invalidates anything. */
static void use_walk_caches(struct iotlb *t, struct hw_walk *walk)
{
	u64 now = atomic_load(&t->iommu->invalidations);

	if (t->entry.nested) {
		if (t->walk_cache.invalidations != now)
			memset(&t->walk_cache, 0, sizeof(t->walk_cache));
		t->walk_cache.invalidations = now;
		walk->cache = &t->walk_cache;
	} else {
		for (unsigned i = 0; i < HW_TABLE_CACHE && t->table_cache.invalidations != now; i++)
			t->table_cache.at[i].region = 0;
		t->table_cache.invalidations = now;
		walk->tables = &t->table_cache;
	}
}

static int walk_and_cache(struct iotlb *t, u64 iova, bool write, struct hw_translation *tr,
			  struct hw_iommu_fault *fault)
{
	struct hw_walk walk = { .bus = t->iommu->bus, .format = t->iommu->format, .entry = &t->entry, .write = write,
				.privileged = t->privileged };
	int reason = 0;

	count(&t->misses, 1);
	count(&t->hits, -1); /* the caller counts every look-up as a hit */
	if (!t->entry.q0)
		reason = entry_fetch(t);
	if (!reason) {
		use_walk_caches(t, &walk);
		reason = walk.format->walk(&walk, iova, tr);
	}
	if (!reason && !(write ? tr->write : tr->read))
		reason = HW_IOMMU_FAULT_PERMISSION;
	if (reason) {
		fault->reason = reason;
		fault->stage = walk.stage;
		fault->level = walk.level;
		return -EFAULT;
	}
	cache_insert(t, iova, tr);
	return 0;
}

/* *@ret_pa for @iova, good for *@ret_len bytes, if that is cached and allowed. */
static inline bool translate_cached(struct iotlb *t, u64 iova, bool write, u64 *ret_pa, u64 *ret_len)
{
	u64 page_pa, tag = cache_find(t, iova, &page_pa), in_page;

	if (unlikely(!(tag & (write ? TAG_WRITE : TAG_READ))))
		return false;
	in_page = (1ull << (tag & TAG_LG2)) - 1;
	*ret_pa = page_pa + (iova & in_page);
	*ret_len = in_page - (iova & in_page) + 1;
	return true;
}

static __attribute__((noinline)) int translate_miss(struct iotlb *t, u64 iova, bool write, u64 *ret_pa, u64 *ret_len,
						    struct hw_iommu_fault *fault)
{
	struct hw_translation tr;
	u64 in_page;

	if (walk_and_cache(t, iova, write, &tr, fault))
		return -EFAULT;
	in_page = BIT_ULL(tr.lg2) - 1;
	*ret_pa = tr.pa + (iova & in_page);
	*ret_len = in_page - (iova & in_page) + 1;
	return 0;
}

/* *@ret_pa for @iova, good for *@ret_len bytes.  On -EFAULT @fault has reason and level. */
static inline int translate(struct iotlb *t, u64 iova, bool write, u64 *ret_pa, u64 *ret_len,
			    struct hw_iommu_fault *fault)
{
	return likely(translate_cached(t, iova, write, ret_pa, ret_len)) ? 0 :
	       translate_miss(t, iova, write, ret_pa, ret_len, fault);
}

/* As translate(), for as many bytes up to @want as are contiguous on the bus. */
static int translate_run(struct iotlb *t, u64 iova, u64 want, bool write, u64 *ret_pa, u64 *ret_len,
			 struct hw_iommu_fault *fault)
{
	struct hw_iommu_fault ignored; /* beyond the first page: met again, and recorded, when it is first */
	u64 pa, len;
	int err = translate(t, iova, write, ret_pa, ret_len, fault);
	u64 lookups = 1;

	if (err)
		*ret_len = want; /* nothing more to look up */
	while (*ret_len < want) {
		lookups++;
		if (translate(t, iova + *ret_len, write, &pa, &len, &ignored))
			break;
		if (pa != *ret_pa + *ret_len || pa >> HW_SLOT_SHIFT != *ret_pa >> HW_SLOT_SHIFT)
			break;
		*ret_len += len;
	}
	count(&t->hits, lookups);
	*ret_len = min(*ret_len, want);
	return err;
}

/* ---- transfers ---- */

static int fault_at(struct iotlb *t, u64 iova, bool write, struct hw_iommu_fault *fault)
{
	fault->iova = iova;
	fault->write = write;
	fault->devid = t->devid;
	fault->pasid = atomic_load_explicit(&t->pasid, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->faults, 1, memory_order_relaxed);
	hw_fault_record(t->iommu, fault);
	return -EFAULT;
}

/* A guarded copy failed: was it the model's buffer?  Slow and careful, as this is rare. */
static bool buffer_is_bad(const struct hw_bus_ops *bus, char *buf, size_t len, bool write)
{
	char bounce[256];

	for (size_t at = 0; at < len; at += sizeof(bounce)) {
		size_t n = min(len - at, sizeof(bounce));

		if (bus->copy(bounce, buf + at, n))
			return true;
		if (!write && bus->copy(buf + at, bounce, n)) /* a device reads: the buffer is written */
			return true;
	}
	return false;
}

static __attribute__((noinline)) int copy_failed(const struct hw_bus_ops *bus, char *host, char *buf, size_t len,
						 bool write)
{
	if (buffer_is_bad(bus, buf, len, write))
		return -EIO;
	return bus->copy_pinned ? bus->copy_pinned(host, buf, len, write) : -EFAULT;
}

/* Plain memory at @host; the caller holds the iotlb and this lets go of it. */
static int move_memory(struct iotlb *t, char *host, char *buf, size_t len, bool write)
{
	const struct hw_bus_ops *bus = t->iommu->bus;
	int err = write ? bus->copy(host, buf, len) : bus->copy(buf, host, len);

	if (unlikely(err))
		err = copy_failed(bus, host, buf, len, write);
	if (likely(!err))
		count(write ? &t->bytes_written : &t->bytes_read, len);
	iotlb_let_go(t);
	return err;
}

/* Something else: not held meanwhile, since who answers may do DMA itself. */
static int move_bus(struct iotlb *t, u64 pa, char *buf, size_t len, bool write)
{
	const struct hw_bus_ops *bus = t->iommu->bus;
	int err;

	iotlb_let_go(t);
	err = write ? bus->write(pa, buf, len) : bus->read(pa, buf, len);
	if (err)
		return -EFAULT;
	iotlb_hold(t);
	count(write ? &t->bytes_written : &t->bytes_read, len);
	iotlb_let_go(t);
	return 0;
}

/* One stretch of a transfer.  Return: 0 and *@ret_moved; -errno, a fault recorded. */
static int move_stretch(struct iotlb *t, u64 iova, char *buf, size_t len, bool write, size_t *ret_moved)
{
	const struct hw_bus_ops *bus = t->iommu->bus;
	struct hw_iommu_fault fault = { .reason = 0 };
	u64 pa, n;
	char *host;
	int err;

	iotlb_hold(t);
	err = translate_run(t, iova, min(len, (size_t)CHUNK_BYTES), write, &pa, &n, &fault);
	fault.domid = (u16)atomic_load_explicit(&t->domid, memory_order_relaxed);
	if (unlikely(err)) {
		iotlb_let_go(t);
		return fault_at(t, iova, write, &fault);
	}
	host = bus->host_range ? bus->host_range(pa, &n) : bus->host_ptr(pa);
	*ret_moved = n;
	err = host ? move_memory(t, host, buf, n, write) : move_bus(t, pa, buf, n, write);
	if (unlikely(err == -EFAULT)) {
		fault.reason = HW_IOMMU_FAULT_BUS;
		return fault_at(t, iova, write, &fault);
	}
	return err;
}

int iotlb_access(struct iotlb *t, u64 iova, void *buf, size_t len_bytes, bool write)
{
	char *at = buf;

	if (len_bytes && len_bytes - 1 > ~iova) {
		struct hw_iommu_fault fault = { .reason = HW_IOMMU_FAULT_NOT_PRESENT };

		return fault_at(t, iova, write, &fault); /* it ends beyond the last address */
	}
	while (len_bytes) {
		size_t moved = 0;
		int err = move_stretch(t, iova, at, len_bytes, write, &moved);

		if (unlikely(err))
			return err;
		iova += moved;
		at += moved;
		len_bytes -= moved;
		if (len_bytes)
			iotlb_yield(t);
	}
	return 0;
}

static __attribute__((noinline)) int translate_walking(struct iotlb *t, u64 iova, bool write, bool record, u64 *ret_pa)
{
	struct hw_iommu_fault fault = { .reason = 0 };
	u64 len;
	int err = translate_miss(t, iova, write, ret_pa, &len, &fault);

	fault.domid = (u16)atomic_load_explicit(&t->domid, memory_order_relaxed);
	iotlb_let_go(t);
	if (err && record)
		return fault_at(t, iova, write, &fault);
	return err;
}

int iotlb_translate(struct iotlb *t, u64 iova, bool write, bool record, u64 *ret_pa)
{
	u64 len;

	iotlb_hold(t);
	count(&t->hits, 1);
	if (unlikely(!translate_cached(t, iova, write, ret_pa, &len)))
		return translate_walking(t, iova, write, record, ret_pa);
	iotlb_let_go(t);
	return 0;
}

bool iotlb_probe(struct iotlb *t, u64 iova)
{
	struct hw_walk walk = { .bus = t->iommu->bus, .format = t->iommu->format, .entry = &t->entry,
				.privileged = t->privileged };
	struct hw_translation tr;
	bool mapped;

	iotlb_hold(t);
	mapped = (t->entry.q0 || !entry_fetch(t)) && !walk.format->walk(&walk, iova, &tr);
	iotlb_let_go(t);
	return mapped;
}

/* ---- coming and going ---- */

/* One that nobody uses any more, else a new one at the head of the list.  hw_iommu.lock held. */
static struct iotlb *iotlb_find_free(struct hw_iommu *iommu)
{
	struct iotlb *t;

	for (t = atomic_load(&iommu->iotlbs); t; t = t->next)
		if (!t->in_use)
			return t;
	t = aligned_alloc(_Alignof(struct iotlb), sizeof(*t));
	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->iommu = iommu;
	atomic_store(&t->domid, NO_DOMID);
#ifdef LOCKDEP
	mutex_init(&t->witness, LOCK_HW_IOTLB);
#endif
	t->next = atomic_load(&iommu->iotlbs);
	atomic_store(&iommu->iotlbs, t);
	return t;
}

static struct iotlb *create(struct hw_iommu *iommu, u16 devid, u32 pasid, bool privileged)
{
	struct iotlb *t;

	mutex_lock(&iommu->lock);
	t = iotlb_find_free(iommu);
	if (t) {
		t->in_use = true;
		t->devid = devid;
		t->privileged = privileged;
		atomic_store(&t->pasid, pasid);
		atomic_store(&t->hits, 0);
		atomic_store(&t->misses, 0);
		atomic_store(&t->bytes_read, 0);
		atomic_store(&t->bytes_written, 0);
		atomic_store(&t->faults, 0);
	}
	mutex_unlock(&iommu->lock);
	return t;
}

struct iotlb *iotlb_create(struct hw_iommu *iommu, u16 devid)
{
	return create(iommu, devid, HW_NO_PASID, false);
}

struct iotlb *iotlb_create_pasid(struct hw_iommu *iommu, u16 devid, u32 pasid)
{
	return create(iommu, devid, pasid, false);
}

struct iotlb *iotlb_create_privileged(struct hw_iommu *iommu, u16 devid, u32 pasid)
{
	return create(iommu, devid, pasid, iommu->format->pasid_modes);
}

void iotlb_destroy(struct iotlb *t)
{
	if (!t)
		return;
	mutex_lock(&t->iommu->lock);
	iotlb_forget(t);
	t->in_use = false;
	mutex_unlock(&t->iommu->lock);
}

void iotlbs_free(struct hw_iommu *iommu)
{
	struct iotlb *t = atomic_load(&iommu->iotlbs), *next;

	for (; t; t = next) {
		next = t->next;
#ifdef LOCKDEP
		mutex_destroy(&t->witness);
#endif
		free(t);
	}
	atomic_store(&iommu->iotlbs, NULL);
}

void iotlb_stats_get(struct iotlb *t, struct iotlb_stats *ret)
{
	ret->hits = atomic_load_explicit(&t->hits, memory_order_relaxed);
	ret->misses = atomic_load_explicit(&t->misses, memory_order_relaxed);
	ret->bytes_read = atomic_load_explicit(&t->bytes_read, memory_order_relaxed);
	ret->bytes_written = atomic_load_explicit(&t->bytes_written, memory_order_relaxed);
	ret->faults = atomic_load_explicit(&t->faults, memory_order_relaxed);
}
