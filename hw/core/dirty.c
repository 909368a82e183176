/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirty.c - the log of DMA writes: which pages the device wrote to.
 *
 * One bitmap for each range, zeros from the host until it is written to, so a range may be large.  A
 * second level has a bit for each CHUNK_BITS of the first, so that a report looks at little more than
 * what was written.
 *
 * Nothing may be lost.  A mark follows its write: whoever clears the mark and reads memory afterwards
 * finds the bytes, or finds the mark next time.  Marking sets the page's bit before the chunk's,
 * reporting clears the chunk's before it looks at the pages', each by atomic operations.  A write that
 * was under way when the log began is waited for, since it might not see that there is a log.
 *
 * The log is freed when it is off and nobody marks: markers and reporters are counted.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "hw/core/hw_core.h"
#include "hw/iommu/hw_iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define WORD_BITS 64u
#define CHUNK_BITS 32768u /* pages to a bit of the second level: one page of the host's memory */
#define CHUNK_WORDS (CHUNK_BITS / WORD_BITS)
#define BITMAP_BYTES_MAX (256ull << 20) /* of all ranges; for more, pages grow */

struct dirty_range {
	u64 first, last; /* page numbers; immutable, as are the pointers */
	_Atomic u64 *pages, *chunks;
	size_t bytes; /* mapped: pages, then chunks */
};

struct hw_dma_log {
	unsigned shift; /* of the page size */
	u32 count;
	struct dirty_range ranges[];
};

static u64 bytes_for(u64 pages)
{
	return (pages - 1) / CHUNK_BITS * (CHUNK_BITS / 8) + CHUNK_BITS / 8;
}

/* ---- on and off ---- */

static u64 bitmap_bytes(const struct hw_log_range *ranges, u32 count, unsigned shift)
{
	u64 sum = 0;

	for (u32 i = 0; i < count; i++) {
		if (ranges[i].length)
			sum += bytes_for((ranges[i].length >> shift) + 2);
		if (sum > BITMAP_BYTES_MAX)
			return sum;
	}
	return sum;
}

static unsigned choose_shift(const struct hw_log_range *ranges, u32 count, u64 page_size)
{
	unsigned shift = 12;

	while (shift < 63 && 1ull << shift < page_size)
		shift++;
	while (shift < 63 && bitmap_bytes(ranges, count, shift) > BITMAP_BYTES_MAX)
		shift++;
	return shift;
}

static int range_alloc(struct dirty_range *r, const struct hw_log_range *range, unsigned shift)
{
	u64 pages, map;
	void *mem;

	if (!range->length) {
		r->first = 1; /* no page is in it */
		return 0;
	}
	r->first = range->iova >> shift;
	r->last = (range->iova + range->length - 1) >> shift;
	pages = bytes_for(r->last - r->first + 1);
	map = pages + ALIGN_UP(pages * 8 / CHUNK_BITS / 8 + 8, (u64)4096);
	mem = sys_mmap(NULL, map, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (IS_ERR(mem))
		return fail(-ENOMEM, "no memory for %llu bytes of the log", (unsigned long long)map);
	r->pages = mem;
	r->chunks = (void *)((u8 *)mem + pages);
	r->bytes = map;
	return 0;
}

static void log_free(struct hw_dma_log *log)
{
	for (u32 i = 0; i < log->count; i++) {
		if (log->ranges[i].pages)
			sys_munmap((void *)log->ranges[i].pages, log->ranges[i].bytes);
	}
	free(log);
}

static struct hw_dma_log *log_alloc(const struct hw_log_range *ranges, u32 count, u64 page_size)
{
	struct hw_dma_log *log = calloc(1, sizeof(*log) + count * sizeof(log->ranges[0]));
	int err = 0;

	if (!log) {
		fail(-ENOMEM, "no memory for a log of %u ranges", count);
		return NULL;
	}
	log->shift = choose_shift(ranges, count, page_size);
	log->count = count;
	for (u32 i = 0; i < count && !err; i++)
		err = range_alloc(&log->ranges[i], &ranges[i], log->shift);
	if (!err)
		return log;
	log_free(log);
	return NULL;
}

int hw_log_start(void *opaque, const struct hw_log_range *ranges, u32 count, u64 *page_size)
{
	struct hw_device *hw = opaque;
	struct hw_dma_log *log = log_alloc(ranges, count, *page_size);
	bool taken;

	if (!log)
		return -ENOMEM;
	mutex_lock(&hw->cfg_lock);
	taken = atomic_load(&hw->log);
	if (!taken)
		atomic_store(&hw->log, log);
	mutex_unlock(&hw->cfg_lock);
	if (taken) {
		log_free(log);
		return fail(-EINVAL, "%s: DMA is being logged already", hw->name);
	}
	*page_size = 1ull << log->shift;
	if (hw->iommu) {
		hw_iommu_hold(hw->iommu);
		hw_iommu_let_go(hw->iommu);
	}
	return 0;
}

/* Return: was it on? */
static bool log_off(struct hw_device *hw)
{
	struct hw_dma_log *log;

	mutex_lock(&hw->cfg_lock);
	log = atomic_exchange(&hw->log, NULL);
	mutex_unlock(&hw->cfg_lock);
	if (!log)
		return false;
	while (atomic_load(&hw->log_users))
		sched_yield();
	log_free(log);
	return true;
}

int hw_log_stop(void *opaque)
{
	struct hw_device *hw = opaque;

	return log_off(hw) ? 0 : fail(-EINVAL, "%s: DMA is not being logged", hw->name);
}

void hw_log_end(void *opaque)
{
	log_off(opaque);
}

/* The log, which stays until it is put; NULL: it is off. */
static struct hw_dma_log *log_get(struct hw_device *hw)
{
	struct hw_dma_log *log;

	atomic_fetch_add(&hw->log_users, 1);
	log = atomic_load(&hw->log);
	if (!log)
		atomic_fetch_sub(&hw->log_users, 1);
	return log;
}

static void log_put(struct hw_device *hw)
{
	atomic_fetch_sub(&hw->log_users, 1);
}

/* ---- marking ---- */

static void mark_page(struct dirty_range *r, u64 index)
{
	const u64 chunk = index / CHUNK_BITS, bit = 1ull << index % WORD_BITS;

	if (!(atomic_load(&r->pages[index / WORD_BITS]) & bit))
		atomic_fetch_or(&r->pages[index / WORD_BITS], bit);
	if (!(atomic_load(&r->chunks[chunk / WORD_BITS]) & 1ull << chunk % WORD_BITS))
		atomic_fetch_or(&r->chunks[chunk / WORD_BITS], 1ull << chunk % WORD_BITS);
}

void hw_log_mark(struct hw_device *hw, u64 iova, u64 len)
{
	struct hw_dma_log *log = log_get(hw);
	u64 last, from, to;

	if (!log)
		return;
	if (__builtin_add_overflow(iova, len - 1, &last))
		last = UINT64_MAX;
	for (u32 i = 0; i < log->count; i++) {
		struct dirty_range *r = &log->ranges[i];

		from = max(iova >> log->shift, r->first);
		to = min(last >> log->shift, r->last);
		for (u64 page = from; page <= to; page++)
			mark_page(r, page - r->first);
	}
	log_put(hw);
}

/* ---- reporting ---- */

struct report {
	void (*dirty)(void *arg, u64 iova, u64 last);
	void *arg;
	unsigned shift;
	u64 from, to; /* page numbers */
};

/* The word's pages of the report, runs of bits at a time. */
static void report_word(const struct report *rep, struct dirty_range *r, u64 word)
{
	const u64 first = r->first + word * WORD_BITS;
	u64 mask = UINT64_MAX, bits;

	if (rep->from > first)
		mask &= UINT64_MAX << (rep->from - first);
	if (rep->to - first < WORD_BITS - 1)
		mask &= UINT64_MAX >> (WORD_BITS - 1 - (rep->to - first));
	if (!(atomic_load(&r->pages[word]) & mask))
		return;
	bits = atomic_fetch_and(&r->pages[word], ~mask) & mask;
	while (bits) {
		const unsigned at = (unsigned)__builtin_ctzll(bits);
		const u64 shifted = ~(bits >> at);
		const unsigned n = shifted ? (unsigned)__builtin_ctzll(shifted) : WORD_BITS;
		const u64 page = first + at;

		rep->dirty(rep->arg, page << rep->shift, ((page + n - 1) << rep->shift) + ((1ull << rep->shift) - 1));
		bits &= n == WORD_BITS ? 0 : ~(((1ull << n) - 1) << at);
	}
}

static void report_chunk(const struct report *rep, struct dirty_range *r, u64 chunk)
{
	const u64 bit = 1ull << chunk % WORD_BITS;
	const u64 first = r->first + chunk * CHUNK_BITS, last = min(first + CHUNK_BITS - 1, r->last);
	u64 from = max(rep->from, first), to = min(rep->to, last);

	if (!(atomic_load(&r->chunks[chunk / WORD_BITS]) & bit))
		return;
	if (from == first && to == last)
		atomic_fetch_and(&r->chunks[chunk / WORD_BITS], ~bit);
	for (u64 word = (from - r->first) / WORD_BITS; word <= (to - r->first) / WORD_BITS; word++)
		report_word(rep, r, word);
}

static void report_range(const struct report *all, struct dirty_range *r)
{
	struct report rep = *all;

	rep.from = max(all->from, r->first);
	rep.to = min(all->to, r->last);
	if (rep.from > rep.to)
		return;
	for (u64 chunk = (rep.from - r->first) / CHUNK_BITS; chunk <= (rep.to - r->first) / CHUNK_BITS; chunk++)
		report_chunk(&rep, r, chunk);
}

/* Ranges in the order of their addresses. */
static struct dirty_range *next_range(struct hw_dma_log *log, const struct dirty_range *after)
{
	struct dirty_range *best = NULL;

	for (u32 i = 0; i < log->count; i++) {
		struct dirty_range *r = &log->ranges[i];

		if (!r->pages || (after && (r->first < after->first || (r->first == after->first && r <= after))))
			continue;
		if (!best || r->first < best->first)
			best = r;
	}
	return best;
}

int hw_log_read_and_clear(void *opaque, u64 iova, u64 last, void (*dirty)(void *arg, u64 iova, u64 last), void *arg)
{
	struct hw_device *hw = opaque;
	struct hw_dma_log *log = log_get(hw);
	struct report rep = { .dirty = dirty, .arg = arg };

	if (!log)
		return fail(-EINVAL, "%s: DMA is not being logged", hw->name);
	rep.shift = log->shift;
	rep.from = iova >> log->shift;
	rep.to = last >> log->shift;
	for (struct dirty_range *r = next_range(log, NULL); r; r = next_range(log, r))
		report_range(&rep, r);
	log_put(hw);
	return 0;
}
