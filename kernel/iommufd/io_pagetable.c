/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io_pagetable.c - what is mapped where in an I/O address space.
 *
 * Areas are in a tree by IOVA, which knows the gaps between them (range_tree.h), so that a free place is found in a
 * few steps, however many areas there are.
 *
 * Where areas may be: anywhere that is not reserved.  Reserved is what a device does not translate (the MSI
 * window), and what lies outside the width of a domain.  Allowed ranges are a promise to the program that
 * they will never be reserved; an IOVA that is chosen for it lies in one.
 *
 * Alignment: what the smallest page of any domain demands of an area's IOVA and length and of its place in a
 * page of memory; a page if large ones are off, or for an access that pins; 1 if nobody demands anything.
 *
 * Much memory that a program maps is pinned before our lock is taken, so that threads that map do not wait for each
 * other's pages to come in.
 *
 * Unmapping waits for nobody: an access that has pages of the area pinned is called, without our lock, until
 * it has let go.
 */
#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/device.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/io_pagetable.h"
#include "kernel/iommufd/selftest.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

#define RANGE "[%#llx-%#llx]"
#define RANGE_ARGS(first, last) (unsigned long long)(first), (unsigned long long)(last)
#define HEX(x) (unsigned long long)(x)
#define MAX_AUTO_ALIGNMENT (2ull << 20)
#define UNMAP_TRIES 100
#define PIN_AHEAD_BYTES (2ull << 20)

/* ---- areas by IOVA ---- */

/* The lowest area that ends at @iova or behind it. */
static struct iopt_area *area_from(struct io_pagetable *iopt, u64 iova)
{
	return range_tree_find(&iopt->areas, iova);
}

struct iopt_area *iopt_area_first(struct io_pagetable *iopt, u64 start, u64 last)
{
	struct iopt_area *area = area_from(iopt, start);

	return area && area->iova <= last ? area : NULL;
}

static void remove_area(struct iopt_area *area)
{
	range_tree_remove(&area->iopt->areas, area->iova);
}

/* ---- choosing an IOVA ---- */

struct iova_search {
	struct io_pagetable *iopt;
	u64 low, last;		/* an allowed range */
	u64 len, alignment;
	u64 offset;		/* in its page, of the memory: the IOVA's bits there are set too */
	u64 iova;		/* found */
};

/*
 * The first place in [low, last], of which nothing is in use.  As in Linux 7.3 a range of one byte is none, and
 * the offset is put upon the aligned address, not searched for.
 */
static bool fits(struct iova_search *s, u64 low, u64 last)
{
	u64 iova;

	if (__builtin_add_overflow(low, s->alignment - 1, &iova))
		return false;
	iova = (iova & ~(s->alignment - 1)) | s->offset;
	if (iova >= last || last - iova < s->len - 1)
		return false;
	s->iova = iova;
	return true;
}

/* A free place in [low, last], in which nothing is reserved. */
static bool find_free(struct iova_search *s, u64 low, u64 last)
{
	u64 first, end;

	while (range_tree_gap(&s->iopt->areas, low, s->len, &first, &end) && first <= last) {
		if (fits(s, first, min(last, end)))
			return true;
		if (end >= last)
			break;
		low = end + 1;
	}
	return false;
}

int iopt_for_each_usable_locked(struct io_pagetable *iopt, void *arg, int (*fn)(void *arg, u64 start, u64 last))
{
	struct iopt_reserved *r;
	u64 start = 0;
	int ret;

	lockdep_assert_held(&iopt->lock);
	TAILQ_FOREACH(r, &iopt->reserved, next) {
		if (r->start > start) {
			ret = fn(arg, start, r->start - 1);
			if (ret)
				return ret;
		}
		if (r->last == UINT64_MAX)
			return 0;
		start = max(start, r->last + 1);
	}
	return fn(arg, start, UINT64_MAX);
}

static int search_range(void *arg, u64 start, u64 last)
{
	struct iova_search *s = arg;

	start = max(start, s->low);
	last = min(last, s->last);
	return start <= last && find_free(s, start, last);
}

/* @len: not 0, at most 2^63 */
static u64 round_up_pow2(u64 len)
{
	return len == 1 ? 1 : 1ull << (64 - __builtin_clzll(len - 1));
}

/* @addr: where the memory is.  An IOVA that is aligned like it can be mapped with large pages. */
static int choose_iova(struct io_pagetable *iopt, u64 addr, u64 len, u64 *ret_iova)
{
	struct iova_search s = { .iopt = iopt, .len = len, .offset = addr & ~PAGE_MASK };
	unsigned i;

	if (len >= UINT64_MAX / 2)
		return fail(-EOVERFLOW, "length %#llx is more than half of all addresses", HEX(len));
	s.alignment = min(round_up_pow2(len), MAX_AUTO_ALIGNMENT);
	if (addr)
		s.alignment = min(s.alignment, addr & -addr);
	if (s.alignment < iopt->iova_alignment)
		return fail(-EINVAL, "length %#llx and address %#llx allow an alignment of %#llx, but %#llx is needed",
			    HEX(len), HEX(addr), HEX(s.alignment), HEX(iopt->iova_alignment));
	for (i = 0; i < max(iopt->nr_allowed, 1u); i++) {
		s.low = PAGE_SIZE;
		s.last = UINT64_MAX - PAGE_SIZE;
		if (iopt->nr_allowed) {
			s.low = max(s.low, iopt->allowed[i].start);
			while (i + 1 < iopt->nr_allowed && iopt->allowed[i + 1].start == iopt->allowed[i].last + 1)
				i++; /* side by side they are one */
			s.last = min(s.last, iopt->allowed[i].last);
		}
		if (iopt_for_each_usable_locked(iopt, &s, search_range)) {
			*ret_iova = s.iova;
			return 0;
		}
	}
	return fail(-ENOSPC, "no %#llx bytes are free%s", HEX(len),
		    iopt->nr_allowed ? " in the allowed ranges" : "");
}

static struct iopt_reserved *find_reserved(struct io_pagetable *iopt, u64 start, u64 last)
{
	struct iopt_reserved *r;

	TAILQ_FOREACH(r, &iopt->reserved, next) {
		if (r->start > last)
			break;
		if (r->last >= start)
			return r;
	}
	return NULL;
}

static int check_iova(struct io_pagetable *iopt, u64 iova, u64 len)
{
	struct iopt_reserved *r;
	struct iopt_area *area;
	u64 last;

	if (iova & (iopt->iova_alignment - 1))
		return fail(-EINVAL, "iova %#llx is no multiple of %#llx", HEX(iova), HEX(iopt->iova_alignment));
	if (range_overflows(iova, len, &last))
		return fail(-EOVERFLOW, "iova %#llx plus length %#llx goes beyond 64 bits", HEX(iova), HEX(len));
	r = find_reserved(iopt, iova, last);
	if (r)
		return fail(-EINVAL, "iova " RANGE " touches " RANGE ", which is reserved", RANGE_ARGS(iova, last),
			    RANGE_ARGS(r->start, r->last));
	area = iopt_area_first(iopt, iova, last);
	if (area)
		return fail(-EEXIST, "iova " RANGE " collides with the mapping " RANGE, RANGE_ARGS(iova, last),
			    RANGE_ARGS(area->iova, area->last));
	return 0;
}

/* ---- areas into all domains, and out ---- */

static void unfill_domains(struct iopt_area *area)
{
	struct io_pagetable *iopt = area->iopt;

	for (unsigned i = 0; i < iopt->nr_domains; i++)
		iopt_area_unfill_domain(area, iopt->domains[i], i == iopt->nr_domains - 1);
}

static int fill_domains(struct iopt_area *area)
{
	struct io_pagetable *iopt = area->iopt;
	unsigned i;
	int ret;

	for (i = 0; i < iopt->nr_domains; i++) {
		ret = iopt_area_fill_domain(area, iopt->domains[i], i > 0);
		if (ret)
			goto err_unfill;
	}
	return 0;

err_unfill:
	while (i-- > 0)
		iopt_area_unfill_domain(area, iopt->domains[i], i == 0);
	return ret;
}

/* Letting go of a dma-buf may be the end of a device: not with our lock held. */
static void free_area_locked(struct iopt_area *area)
{
	struct io_pagetable *iopt = area->iopt;

	if (unlikely(area->pages->dmabuf)) {
		area->next_dead = iopt->dead;
		iopt->dead = area;
		return;
	}
	iopt_put_pages(area->pages);
	kfree(area);
}

/* Give up the lock, where areas may have been freed. */
static void unlock_and_bury(struct io_pagetable *iopt)
{
	struct iopt_area *area = iopt->dead, *next;

	iopt->dead = NULL;
	mutex_unlock(&iopt->lock);
	for (; area; area = next) {
		next = area->next_dead;
		iopt_put_pages(area->pages);
		kfree(area);
	}
}

/* ---- map ---- */

static int check_piece(const struct io_pagetable *iopt, const struct iopt_piece *piece, u8 prot)
{
	const u64 in_page = piece->start_byte & ~PAGE_MASK;

	if ((prot & IOMMU_WRITE) && !piece->pages->writable)
		return fail(-EPERM, "flags have WRITEABLE, which the mapping that is copied has not");
	if (in_page & (iopt->iova_alignment - 1))
		return fail(-EINVAL, "the memory begins at byte %#llx of a page, which is no multiple of %#llx",
			    HEX(in_page), HEX(iopt->iova_alignment));
	return 0;
}

/* One area, pinned and in all domains.  Its place is free.  Takes over the piece's reference. */
static int map_piece(struct io_pagetable *iopt, struct iopt_piece *piece, u64 iova, u8 prot)
{
	struct iopt_area *area;
	int ret;

	if (iova & (iopt->iova_alignment - 1) || piece->length & (iopt->iova_alignment - 1))
		return fail(-EINVAL, "a piece of %#llx bytes at iova %#llx is not aligned to %#llx", HEX(piece->length),
			    HEX(iova), HEX(iopt->iova_alignment));
	area = kmalloc(sizeof(*area));
	if (!area)
		return fail(-ENOMEM, "no memory to note a mapping");
	*area = (struct iopt_area){
		.iopt = iopt,
		.iova = iova,
		.last = iova + piece->length - 1,
		.pages = piece->pages,
		.start_byte = piece->start_byte,
		.prot = prot,
	};
	ret = range_tree_insert(&iopt->areas, area->iova, area->last, area);
	if (ret)
		goto err_free;
	ret = fill_domains(area);
	if (ret)
		goto err_remove;
	piece->pages = NULL;
	return 0;

err_remove:
	remove_area(area);
err_free:
	kfree(area);
	return ret;
}

static void drop_areas(struct io_pagetable *iopt, u64 start, u64 end)
{
	struct iopt_area *area;

	while (start < end) {
		area = iopt_area_first(iopt, start, end - 1);
		start = area->last + 1;
		unfill_domains(area);
		remove_area(area);
		free_area_locked(area);
	}
}

/* Of its memory. */
static u64 first_page(const struct iopt_piece *piece) { return piece->start_byte >> PAGE_SHIFT; }
static u64 last_page(const struct iopt_piece *piece) { return (piece->start_byte + piece->length - 1) >> PAGE_SHIFT; }

/* Where the memory begins, as far as alignment goes. */
static u64 piece_address(const struct iopt_piece *piece)
{
	const struct iopt_pages *pages = piece->pages;

	switch (pages->type) {
	case IOPT_ADDRESS_USER:
		return pages->uva + piece->start_byte;
	case IOPT_ADDRESS_FILE:
		return pages->file_off + piece->start_byte;
	default:
		return pages->dmabuf_off + piece->start_byte;
	}
}

/* All that stands against a mapping but its memory.  @iova: as iopt_map_pages(). */
static int check_map_locked(struct io_pagetable *iopt, struct iopt_piece *first, u64 length, u64 *iova, u8 prot,
			    unsigned flags)
{
	struct iopt_piece *piece;
	int ret;

	if (length & (iopt->iova_alignment - 1))
		return fail(-EINVAL, "length %#llx is no multiple of %#llx", HEX(length), HEX(iopt->iova_alignment));
	if (flags & IOPT_ALLOC_IOVA)
		ret = choose_iova(iopt, piece_address(first), length, iova);
	else
		ret = check_iova(iopt, *iova, length);
	for (piece = first; piece && !ret; piece = TAILQ_NEXT(piece, next))
		ret = check_piece(iopt, piece, prot);
	return ret;
}

static int map_locked(struct io_pagetable *iopt, struct iopt_piece *first, u64 length, u64 *iova, u8 prot,
		      unsigned flags)
{
	struct iopt_piece *piece;
	u64 at;
	int ret = check_map_locked(iopt, first, length, iova, prot, flags);

	if (ret)
		return ret;
	at = *iova;
	for (piece = first; piece; piece = TAILQ_NEXT(piece, next)) {
		ret = map_piece(iopt, piece, at, prot);
		if (ret) {
			drop_areas(iopt, *iova, at);
			return ret;
		}
		at += piece->length;
	}
	return 0;
}

static int map_pieces(struct io_pagetable *iopt, struct iopt_piece *first, u64 length, u64 *iova, u8 prot,
		      unsigned flags)
{
	int ret;

	if (!length)
		return fail(-EINVAL, "length is 0: there is nothing to map");
	mutex_lock(&iopt->lock);
	ret = map_locked(iopt, first, length, iova, prot, flags);
	unlock_and_bury(iopt);
	return ret;
}

int iopt_map_pages(struct io_pagetable *iopt, struct iopt_pieces *pieces, u64 length, u64 *iova, u8 prot,
		   unsigned flags)
{
	return map_pieces(iopt, TAILQ_FIRST(pieces), length, iova, prot, flags);
}

/*
 * Pin what is about to be mapped, without our lock: where many pages have to come in, who else maps meanwhile
 * need not wait for that.  If it fails, or is not to be mapped at all, the mapping itself will tell why.
 */
static bool pin_ahead(struct io_pagetable *iopt, struct iopt_piece *piece, u64 iova, u8 prot, unsigned flags)
{
	struct iopt_pages *pages = piece->pages;
	bool wanted;
	int ret;

	if (likely(piece->length < PIN_AHEAD_BYTES) || pages->dmabuf)
		return false;
	mutex_lock(&iopt->lock);
	wanted = iopt->nr_domains && !check_map_locked(iopt, piece, piece->length, &iova, prot, flags);
	mutex_unlock(&iopt->lock);
	if (!wanted)
		return false;
	mutex_lock(&pages->lock);
	ret = iopt_pages_pin(pages, first_page(piece), last_page(piece));
	mutex_unlock(&pages->lock);
	return !ret;
}

static void unpin_ahead(struct iopt_pages *pages, u64 first, u64 last)
{
	mutex_lock(&pages->lock);
	iopt_pages_unpin(pages, first, last);
	mutex_unlock(&pages->lock);
	iopt_put_pages(pages);
}

int iopt_map_one(struct io_pagetable *iopt, struct iopt_pages *pages, u64 start_byte, u64 length, u64 *iova,
		 u8 prot, unsigned flags)
{
	struct iopt_piece piece = { .pages = pages, .start_byte = start_byte, .length = length };
	struct iopt_pages *ahead = NULL;
	int ret;

	if (pin_ahead(iopt, &piece, *iova, prot, flags))
		ahead = iopt_get_pages_ref(pages);
	ret = map_pieces(iopt, &piece, length, iova, prot, flags);
	if (unlikely(ahead))
		unpin_ahead(ahead, first_page(&piece), last_page(&piece));
	iopt_put_pages(piece.pages);
	return ret;
}

/* ---- copy: pieces of what is mapped ---- */

void iopt_free_pieces(struct iopt_pieces *pieces)
{
	struct iopt_piece *piece;

	while ((piece = TAILQ_FIRST(pieces))) {
		TAILQ_REMOVE(pieces, piece, next);
		iopt_put_pages(piece->pages);
		kfree(piece);
	}
}

static int get_pieces_locked(struct io_pagetable *iopt, u64 iova, u64 last, struct iopt_pieces *ret_pieces)
{
	struct iopt_area *area = iopt_area_first(iopt, iova, last);
	struct iopt_piece *piece;

	for (;;) {
		if (!area || area->iova > iova)
			return fail(-ENOENT, "nothing is mapped at iova %#llx", HEX(iova));
		piece = kmalloc(sizeof(*piece));
		if (!piece)
			return fail(-ENOMEM, "no memory for a list of mappings");
		*piece = (struct iopt_piece){ .pages = iopt_get_pages_ref(area->pages),
					      .start_byte = iopt_area_byte(area, iova),
					      .length = min(last, area->last) - iova + 1 };
		TAILQ_INSERT_TAIL(ret_pieces, piece, next);
		if (area->last >= last)
			return 0;
		iova = area->last + 1;
		area = iopt_next_area(area);
	}
}

int iopt_get_pages(struct io_pagetable *iopt, u64 iova, u64 length, struct iopt_pieces *ret_pieces)
{
	u64 last;
	int ret;

	TAILQ_INIT(ret_pieces);
	if (!length)
		return fail(-EINVAL, "length is 0: there is nothing to copy");
	if (range_overflows(iova, length, &last))
		return fail(-EOVERFLOW, "src_iova %#llx plus length %#llx goes beyond 64 bits", HEX(iova), HEX(length));
	mutex_lock(&iopt->lock);
	ret = get_pieces_locked(iopt, iova, last, ret_pieces);
	mutex_unlock(&iopt->lock);
	if (ret)
		iopt_free_pieces(ret_pieces);
	return ret;
}

/* ---- unmap ---- */

/* Tell all accesses, the lock given up meanwhile: each stays in the list until its call has returned. */
static void notify_unmap_locked(struct io_pagetable *iopt, u64 iova, u64 len)
{
	struct iopt_access *access;

	TAILQ_FOREACH(access, &iopt->accesses, next) {
		if (!access->unmap)
			continue;
		access->notifying++;
		mutex_unlock(&iopt->lock);
		access->unmap(access, iova, len);
		mutex_lock(&iopt->lock);
		access->notifying--;
	}
}

/* An access may be about to unpin, on a thread that has to get its turn. */
static void wait_for_access_locked(struct io_pagetable *iopt, unsigned tries)
{
	const struct timespec tick = { .tv_nsec = 1000000 };
	u32 word = 0;

	if (!tries)
		return;
	mutex_unlock(&iopt->lock);
	if (tries < 10)
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
	else
		sys_futex(&word, FUTEX_WAIT_PRIVATE, 0, &tick);
	mutex_lock(&iopt->lock);
}

static int check_unmap(const struct iopt_area *area, u64 start, u64 last)
{
	if (area->num_locks)
		return fail(-EBUSY, "the mapping " RANGE " is in use by %u hardware queues",
			    RANGE_ARGS(area->iova, area->last), area->num_locks);
	if (area->iova < start || area->last > last)
		return fail(-ENOENT, RANGE " cuts the mapping " RANGE ": only whole ones are unmapped",
			    RANGE_ARGS(start, last), RANGE_ARGS(area->iova, area->last));
	return 0;
}

static int unmap_locked(struct io_pagetable *iopt, u64 start, u64 last, u64 *ret_bytes)
{
	struct iopt_area *area = iopt_area_first(iopt, start, last), *next;
	unsigned tries = 0;
	int ret;

	while (area && area->iova <= last) {
		ret = check_unmap(area, start, last);
		if (ret)
			return ret;
		if (area->iova != start)
			tries = 0;
		start = area->iova;
		if (unlikely(area->num_accesses)) {
			if (tries == UNMAP_TRIES)
				return fail(-EDEADLK, "an access does not unpin the mapping " RANGE,
					    RANGE_ARGS(area->iova, area->last));
			area->prevent_access = true;
			notify_unmap_locked(iopt, area->iova, iopt_area_length(area));
			wait_for_access_locked(iopt, tries++);
			area = iopt_area_first(iopt, start, last); /* the lock was given up */
			continue;
		}
		*ret_bytes += iopt_area_length(area);
		next = area->last < last ? iopt_next_area(area) : NULL;
		unfill_domains(area);
		remove_area(area);
		free_area_locked(area);
		area = next;
	}
	return 0;
}

static int unmap_range(struct io_pagetable *iopt, u64 start, u64 last, u64 *ret_bytes)
{
	int ret;

	*ret_bytes = 0;
	mutex_lock(&iopt->lock);
	ret = unmap_locked(iopt, start, last, ret_bytes);
	unlock_and_bury(iopt);
	return ret;
}

int iopt_unmap_iova(struct io_pagetable *iopt, u64 iova, u64 length, u64 *ret_bytes)
{
	u64 last;

	*ret_bytes = 0;
	if (!length)
		return fail(-EINVAL, "length is 0: there is nothing to unmap");
	if (range_overflows(iova, length, &last))
		return fail(-EOVERFLOW, "iova %#llx plus length %#llx goes beyond 64 bits", HEX(iova), HEX(length));
	return unmap_range(iopt, iova, last, ret_bytes);
}

int iopt_unmap_all(struct io_pagetable *iopt, u64 *ret_bytes)
{
	return unmap_range(iopt, 0, UINT64_MAX, ret_bytes);
}

/* ---- cut: for the first version of VFIO's type1 ---- */

static int check_cut(const struct iopt_area *area, u64 last)
{
	const u64 mask = area->iopt->iova_alignment - 1, next = last + 1;

	if (area->pages->dmabuf)
		return fail(-EOPNOTSUPP, "the mapping " RANGE " is of a dma-buf: it cannot be cut",
			    RANGE_ARGS(area->iova, area->last));
	if (area->prevent_access)
		return fail(-EBUSY, "the mapping " RANGE " is being unmapped", RANGE_ARGS(area->iova, area->last));
	if ((next & mask) || (iopt_area_byte(area, next) & mask))
		return fail(-EINVAL, "iova %#llx is no multiple of %#llx: the mapping " RANGE " cannot be cut there",
			    HEX(next), HEX(mask + 1), RANGE_ARGS(area->iova, area->last));
	if (area->num_accesses)
		return fail(-EINVAL, "the mapping " RANGE " is accessed: it cannot be cut",
			    RANGE_ARGS(area->iova, area->last));
	if (area->iopt->nr_domains && !area->iopt->disable_large_pages)
		return fail(-EINVAL, "the mapping " RANGE " may have large pages: it cannot be cut",
			    RANGE_ARGS(area->iova, area->last));
	return 0;
}

/* Both halves use the memory for themselves; the page table does not change. */
static int split_pins(struct iopt_area *area, u64 last)
{
	struct iopt_pages *pages = area->pages;
	const u64 left = iopt_area_byte(area, last) >> PAGE_SHIFT, right = iopt_area_byte(area, last + 1) >> PAGE_SHIFT;
	int ret;

	if (!area->iopt->nr_domains)
		return 0;
	mutex_lock(&pages->lock);
	ret = iopt_pages_pin(pages, iopt_area_index(area), left);
	if (!ret) {
		ret = iopt_pages_pin(pages, right, iopt_area_last_index(area));
		if (ret)
			iopt_pages_unpin(pages, iopt_area_index(area), left);
		else
			iopt_pages_unpin(pages, iopt_area_index(area), iopt_area_last_index(area));
	}
	mutex_unlock(&pages->lock);
	return ret;
}

static int split_area(struct iopt_area *area, u64 last)
{
	struct io_pagetable *iopt = area->iopt;
	struct iopt_area *tail;
	int ret = check_cut(area, last);

	if (ret)
		return ret;
	tail = kmalloc(sizeof(*tail));
	if (!tail)
		return fail(-ENOMEM, "no memory to cut a mapping");
	*tail = (struct iopt_area){ .iopt = iopt, .iova = last + 1, .last = area->last, .pages = area->pages,
				    .start_byte = iopt_area_byte(area, last + 1), .prot = area->prot };
	range_tree_set_last(&iopt->areas, area->iova, last);
	ret = range_tree_insert(&iopt->areas, tail->iova, tail->last, tail);
	if (ret)
		goto err_whole;
	ret = split_pins(area, last);
	if (ret)
		goto err_remove;
	iopt_get_pages_ref(area->pages);
	area->last = last;
	return 0;

err_remove:
	remove_area(tail);
err_whole:
	range_tree_set_last(&iopt->areas, area->iova, area->last);
	kfree(tail);
	return ret;
}

int iopt_cut_iova(struct io_pagetable *iopt, const u64 *iovas, unsigned count)
{
	struct iopt_area *area;
	int ret = 0;

	mutex_lock(&iopt->lock);
	for (unsigned i = 0; i < count && !ret; i++) {
		area = iopt_area_first(iopt, iovas[i], iovas[i]);
		if (area && area->last != iovas[i] && area->iova != iovas[i])
			ret = split_area(area, iovas[i]);
	}
	mutex_unlock(&iopt->lock);
	return ret;
}

/* ---- where areas may be ---- */

int iopt_set_allow_iova(struct io_pagetable *iopt, struct iopt_allowed *allowed, unsigned count)
{
	struct iopt_reserved *r;
	unsigned i;

	mutex_lock(&iopt->lock);
	for (i = 0; i < count; i++) {
		r = find_reserved(iopt, allowed[i].start, allowed[i].last);
		if (!r)
			continue;
		mutex_unlock(&iopt->lock);
		return fail(-EADDRINUSE, RANGE " cannot be allowed: " RANGE " is reserved",
			    RANGE_ARGS(allowed[i].start, allowed[i].last), RANGE_ARGS(r->start, r->last));
	}
	kfree(iopt->allowed);
	iopt->allowed = allowed;
	iopt->nr_allowed = count;
	mutex_unlock(&iopt->lock);
	return 0;
}

static int check_reserve(struct io_pagetable *iopt, u64 start, u64 last)
{
	struct iopt_area *area = iopt_area_first(iopt, start, last);

	if (area)
		return fail(-EADDRINUSE, RANGE " is to be reserved, but " RANGE " is mapped", RANGE_ARGS(start, last),
			    RANGE_ARGS(area->iova, area->last));
	for (unsigned i = 0; i < iopt->nr_allowed; i++) {
		if (iopt->allowed[i].start <= last && iopt->allowed[i].last >= start)
			return fail(-EADDRINUSE, RANGE " is to be reserved, but " RANGE " has been promised "
				    "(IOMMU_IOAS_ALLOW_IOVAS)", RANGE_ARGS(start, last),
				    RANGE_ARGS(iopt->allowed[i].start, iopt->allowed[i].last));
	}
	return 0;
}

static int reserve_locked(struct io_pagetable *iopt, u64 start, u64 last, const void *owner)
{
	struct iopt_reserved *r, *before;
	int ret = check_reserve(iopt, start, last);

	if (ret)
		return ret;
	r = kmalloc(sizeof(*r));
	if (!r)
		return fail(-ENOMEM, "no memory to reserve " RANGE, RANGE_ARGS(start, last));
	*r = (struct iopt_reserved){ .start = start, .last = last, .owner = owner };
	TAILQ_FOREACH(before, &iopt->reserved, next) {
		if (before->start > start)
			break;
	}
	if (before)
		TAILQ_INSERT_BEFORE(before, r, next);
	else
		TAILQ_INSERT_TAIL(&iopt->reserved, r, next);
	return 0;
}

static void unreserve_locked(struct io_pagetable *iopt, const void *owner)
{
	struct iopt_reserved *r, *next;

	for (r = TAILQ_FIRST(&iopt->reserved); r; r = next) {
		next = TAILQ_NEXT(r, next);
		if (r->owner != owner)
			continue;
		TAILQ_REMOVE(&iopt->reserved, r, next);
		kfree(r);
	}
}

int iopt_reserve_iova(struct io_pagetable *iopt, u64 start, u64 last, const void *owner)
{
	int ret;

	if (start > last)
		return fail(-EINVAL, RANGE " is no range", RANGE_ARGS(start, last));
	mutex_lock(&iopt->lock);
	ret = reserve_locked(iopt, start, last, owner);
	mutex_unlock(&iopt->lock);
	return ret;
}

void iopt_remove_reserved_iova(struct io_pagetable *iopt, const void *owner)
{
	mutex_lock(&iopt->lock);
	unreserve_locked(iopt, owner);
	mutex_unlock(&iopt->lock);
}

/* A device's regions; a list that fills the array may have been cut.  Count; -ENOMEM. */
static ssize_t get_regions(struct device *dev, struct iommu_resv_region **ret_regions)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommu_resv_region *regions = NULL, *more;
	size_t room = 8, count = 0;

	do {
		room *= 2;
		more = krealloc_array(regions, room, sizeof(*more));
		if (!more) {
			kfree(regions);
			iommu_group_put(group);
			return fail(-ENOMEM, "no memory for the list of reserved regions");
		}
		regions = more;
		count = group ? iommu_get_group_resv_regions(group, regions, room) : 0;
	} while (count >= room);
	iommu_group_put(group);
	*ret_regions = regions;
	return (ssize_t)count;
}

int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt, struct device *dev, u64 *sw_msi_start)
{
	struct iommu_resv_region *regions = NULL;
	ssize_t count, i;
	int ret = 0;

	if (iommufd_should_fail())
		return -EINVAL;
	count = get_regions(dev, &regions);
	if (count < 0)
		return (int)count;
	mutex_lock(&iopt->lock);
	for (i = 0; i < count && !ret; i++) {
		if (sw_msi_start && regions[i].type == IOMMU_RESV_SW_MSI)
			*sw_msi_start = regions[i].start;
		ret = reserve_locked(iopt, regions[i].start, regions[i].last, dev);
	}
	if (ret)
		unreserve_locked(iopt, dev);
	mutex_unlock(&iopt->lock);
	kfree(regions);
	return ret ? fail(ret, "%s reserves addresses that are in use", dev->name) : 0;
}

/* ---- alignment ---- */

static u64 needed_alignment(const struct io_pagetable *iopt, const struct iommu_domain *domain,
			    const struct iopt_access *newcomer)
{
	u64 alignment = iopt->disable_large_pages ? PAGE_SIZE : 1;
	const struct iopt_access *access;

	for (unsigned i = 0; i < iopt->nr_domains; i++)
		alignment = max(alignment, iopt->domains[i]->pgsize_bitmap & -iopt->domains[i]->pgsize_bitmap);
	if (domain)
		alignment = max(alignment, domain->pgsize_bitmap & -domain->pgsize_bitmap);
	TAILQ_FOREACH(access, &iopt->accesses, next)
		alignment = max(alignment, access->iova_alignment);
	if (newcomer)
		alignment = max(alignment, newcomer->iova_alignment);
	return alignment;
}

/* The alignment with a domain or an access more.  0; -EADDRINUSE an area is in the way; -EINVAL too much. */
static int check_alignment(struct io_pagetable *iopt, const struct iommu_domain *domain,
			   const struct iopt_access *newcomer, u64 *ret_alignment)
{
	const u64 alignment = needed_alignment(iopt, domain, newcomer), mask = alignment - 1;
	struct iopt_area *area;

	if (alignment > PAGE_SIZE)
		return fail(-EINVAL, "the smallest page of the domain has %#llx bytes", HEX(alignment));
	*ret_alignment = alignment;
	if (alignment <= iopt->iova_alignment)
		return 0;
	iopt_for_each_area(area, iopt) {
		if ((area->iova & mask) || (iopt_area_length(area) & mask) ||
		    (area->start_byte & ~PAGE_MASK & mask))
			return fail(-EADDRINUSE, "the mapping " RANGE " is not aligned to %#llx",
				    RANGE_ARGS(area->iova, area->last), HEX(alignment));
	}
	return 0;
}

/* Something went.  Less may be needed now. */
static void lower_alignment(struct io_pagetable *iopt)
{
	iopt->iova_alignment = needed_alignment(iopt, NULL, NULL);
}

void iopt_enable_large_pages(struct io_pagetable *iopt)
{
	mutex_lock(&iopt->lock);
	iopt->disable_large_pages = false;
	lower_alignment(iopt);
	mutex_unlock(&iopt->lock);
}

int iopt_disable_large_pages(struct io_pagetable *iopt)
{
	int ret = 0;
	u64 alignment;

	mutex_lock(&iopt->lock);
	if (iopt->disable_large_pages)
		goto unlock;
	if (iopt->nr_domains && !range_tree_empty(&iopt->areas)) {
		ret = fail(-EINVAL, "something is mapped in a page table already, perhaps with large pages");
		goto unlock;
	}
	iopt->disable_large_pages = true;
	ret = check_alignment(iopt, NULL, NULL, &alignment);
	if (ret)
		iopt->disable_large_pages = false;
	else
		iopt->iova_alignment = alignment;
unlock:
	mutex_unlock(&iopt->lock);
	return ret;
}

/* ---- domains ---- */

static int make_domain_room(struct io_pagetable *iopt)
{
	struct iommu_domain **more;

	if (iopt->nr_domains < iopt->room_domains)
		return 0;
	more = krealloc_array(iopt->domains, iopt->room_domains + 4, sizeof(*more));
	if (!more)
		return fail(-ENOMEM, "no memory for a list of page tables");
	iopt->domains = more;
	iopt->room_domains += 4;
	return 0;
}

static int reserve_outside(struct io_pagetable *iopt, const struct iommu_domain *domain)
{
	int ret = 0;

	if (domain->aperture_start)
		ret = reserve_locked(iopt, 0, domain->aperture_start - 1, domain);
	if (!ret && domain->aperture_last != UINT64_MAX)
		ret = reserve_locked(iopt, domain->aperture_last + 1, UINT64_MAX, domain);
	return ret;
}

static int fill_all(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	const bool pinned = iopt->nr_domains > 0;
	struct iopt_area *area, *undo;
	int ret;

	iopt_for_each_area(area, iopt) {
		ret = iopt_area_fill_domain(area, domain, pinned);
		if (ret)
			goto err_unfill;
	}
	return 0;

err_unfill:
	iopt_for_each_area(undo, iopt) {
		if (undo == area)
			break;
		iopt_area_unfill_domain(undo, domain, !pinned);
	}
	return fail(ret, "the mapping " RANGE " cannot be put into the page table", RANGE_ARGS(area->iova, area->last));
}

static int add_domain_locked(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	u64 alignment;
	int ret = make_domain_room(iopt);

	if (!ret)
		ret = check_alignment(iopt, domain, NULL, &alignment);
	if (ret)
		return ret;
	ret = reserve_outside(iopt, domain);
	if (!ret)
		ret = fill_all(iopt, domain);
	if (ret) {
		unreserve_locked(iopt, domain);
		return ret;
	}
	iopt->iova_alignment = alignment;
	iopt->domains[iopt->nr_domains++] = domain;
	return 0;
}

int iopt_table_add_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	int ret;

	mutex_lock(&iopt->lock);
	ret = add_domain_locked(iopt, domain);
	mutex_unlock(&iopt->lock);
	return ret;
}

void iopt_table_remove_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	struct iopt_area *area;
	unsigned i = 0;

	mutex_lock(&iopt->lock);
	while (i < iopt->nr_domains && iopt->domains[i] != domain)
		i++;
	assert(i < iopt->nr_domains);
	memmove(&iopt->domains[i], &iopt->domains[i + 1], (iopt->nr_domains - i - 1) * sizeof(*iopt->domains));
	iopt->nr_domains--;
	iopt_for_each_area(area, iopt)
		iopt_area_unfill_domain(area, domain, iopt->nr_domains == 0);
	unreserve_locked(iopt, domain);
	lower_alignment(iopt);
	mutex_unlock(&iopt->lock);
}

/* ---- accesses ---- */

int iopt_add_access(struct io_pagetable *iopt, struct iopt_access *access)
{
	u64 alignment;
	int ret;

	mutex_lock(&iopt->lock);
	ret = check_alignment(iopt, NULL, access, &alignment);
	if (!ret) {
		iopt->iova_alignment = alignment;
		access->notifying = 0;
		TAILQ_INSERT_TAIL(&iopt->accesses, access, next);
	}
	mutex_unlock(&iopt->lock);
	return ret;
}

void iopt_remove_access(struct io_pagetable *iopt, struct iopt_access *access)
{
	mutex_lock(&iopt->lock);
	while (access->notifying) {
		mutex_unlock(&iopt->lock);
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
		mutex_lock(&iopt->lock);
	}
	TAILQ_REMOVE(&iopt->accesses, access, next);
	lower_alignment(iopt);
	mutex_unlock(&iopt->lock);
}

/* What is asked for: bytes to copy; pages to pin; the pages of a hardware queue, which may begin anywhere. */
enum use { USE_BYTES, USE_PAGES, USE_QUEUE };

/* May an access use @area so? */
static int check_use(const struct iopt_area *area, bool write)
{
	if (area->prevent_access || !(area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
		return fail(-EPERM, "the mapping " RANGE " %s", RANGE_ARGS(area->iova, area->last),
			    area->prevent_access ? "is being unmapped" :
			    write ? "is not writeable" : "is not readable");
	if (area->pages->dmabuf)
		return fail(-EINVAL, "the mapping " RANGE " is of a dma-buf: only devices reach it",
			    RANGE_ARGS(area->iova, area->last));
	return 0;
}

/* Pages are handed out one by one: what is asked for begins with one, and where areas meet there is an edge of one. */
static int check_edges(const struct iopt_area *area, u64 iova, u64 last, enum use use)
{
	const u64 begin = iopt_area_byte(area, max(iova, area->iova)), end = iopt_area_byte(area, area->last) + 1;

	if ((begin & ~PAGE_MASK) && (use == USE_PAGES || area->iova > iova))
		return fail(-EINVAL, "iova %#llx is not where a page of memory begins: whole pages are pinned",
			    HEX(max(iova, area->iova)));
	if (area->last < last && (end & ~PAGE_MASK))
		return fail(-EINVAL, "the mapping " RANGE " does not end with a page of memory",
			    RANGE_ARGS(area->iova, area->last));
	return 0;
}

/*
 * The first area of a contiguous range all of which may be used so; NULL with reason in *@ret_err, which is that of
 * the lowest area that stands against it.
 */
static struct iopt_area *check_contiguous(struct io_pagetable *iopt, u64 iova, u64 last, bool write, enum use use,
					  int *ret_err)
{
	struct iopt_area *first = iopt_area_first(iopt, iova, last), *area = first;
	u64 at = iova;

	for (;;) {
		if (!area || area->iova > at) {
			*ret_err = fail(-ENOENT, "nothing is mapped at iova %#llx", HEX(at));
			return NULL;
		}
		*ret_err = use == USE_BYTES ? 0 : check_edges(area, iova, last, use);
		if (!*ret_err)
			*ret_err = check_use(area, write);
		if (*ret_err)
			return NULL;
		if (area->last >= last)
			return first;
		at = area->last + 1;
		area = iopt_next_area(area);
	}
}

static int check_access_range(u64 iova, u64 length, u64 *ret_last)
{
	if (!length)
		return fail(-EINVAL, "length is 0");
	if (range_overflows(iova, length, ret_last))
		return fail(-EOVERFLOW, "iova %#llx plus length %#llx goes beyond 64 bits", HEX(iova), HEX(length));
	return 0;
}

/* The part of [iova, last] in @area, as page numbers. */
static void part_of(const struct iopt_area *area, u64 iova, u64 last, u64 *ret_first, u64 *ret_last)
{
	*ret_first = iopt_area_byte(area, max(iova, area->iova)) >> PAGE_SHIFT;
	*ret_last = iopt_area_byte(area, min(last, area->last)) >> PAGE_SHIFT;
}

static void note_phys(struct iopt_pages *pages, u64 first, u64 last, phys_addr_t **ret_phys)
{
	for (u64 i = first; i <= last && *ret_phys; i++) {
		u64 len = PAGE_SIZE;

		*(*ret_phys)++ = iopt_pages_phys(pages, i << PAGE_SHIFT, &len);
	}
}

static int pin_part(struct iopt_area *area, u64 iova, u64 last, phys_addr_t **ret_phys, bool lock)
{
	struct iopt_pages *pages = area->pages;
	u64 first_index, last_index;
	int ret;

	part_of(area, iova, last, &first_index, &last_index);
	mutex_lock(&pages->lock);
	ret = iopt_pages_pin(pages, first_index, last_index);
	if (!ret)
		note_phys(pages, first_index, last_index, ret_phys);
	mutex_unlock(&pages->lock);
	if (ret)
		return ret;
	area->num_accesses++;
	area->num_locks += lock;
	return 0;
}

static void unpin_parts(struct iopt_area *area, const struct iopt_area *end, u64 iova, u64 last, bool lock)
{
	u64 first_index, last_index;

	for (; area && area != end && area->iova <= last; area = iopt_next_area(area)) {
		part_of(area, iova, last, &first_index, &last_index);
		mutex_lock(&area->pages->lock);
		iopt_pages_unpin(area->pages, first_index, last_index);
		mutex_unlock(&area->pages->lock);
		assert(area->num_accesses > 0);
		area->num_accesses--;
		area->num_locks -= lock;
	}
}

static int pin_locked(struct io_pagetable *iopt, u64 iova, u64 last, phys_addr_t *ret_phys, bool write, bool lock)
{
	struct iopt_area *first, *area;
	int ret;

	first = check_contiguous(iopt, iova, last, write, lock ? USE_QUEUE : USE_PAGES, &ret);
	if (!first)
		return ret;
	for (area = first; area && area->iova <= last; area = iopt_next_area(area)) {
		ret = pin_part(area, iova, last, &ret_phys, lock);
		if (ret) {
			unpin_parts(first, area, iova, last, lock);
			return ret;
		}
	}
	return 0;
}

int iopt_pin_pages(struct io_pagetable *iopt, u64 iova, u64 length, phys_addr_t *ret_phys, bool write, bool lock)
{
	u64 last = 0;
	int ret = check_access_range(iova, length, &last);

	if (ret)
		return ret;
	mutex_lock(&iopt->lock);
	ret = pin_locked(iopt, iova, last, ret_phys, write, lock);
	mutex_unlock(&iopt->lock);
	return ret;
}

void iopt_unpin_pages(struct io_pagetable *iopt, u64 iova, u64 length, bool lock)
{
	const u64 last = iova + length - 1;

	mutex_lock(&iopt->lock);
	unpin_parts(iopt_area_first(iopt, iova, last), NULL, iova, last, lock);
	mutex_unlock(&iopt->lock);
}

/* ---- reading and writing ---- */

static int copy_pinned(struct iopt_pages *pages, u64 off, u8 *data, u64 len, bool write)
{
	int ret = 0;

	while (len && !ret) {
		u64 n = len;
		phys_addr_t phys = iopt_pages_phys(pages, off, &n);

		ret = write ? phys_write(phys, data, n) : phys_read(phys, data, n);
		off += n;
		data += n;
		len -= n;
	}
	return ret ? fail(ret, "memory behind the mapping is gone") : 0;
}

static int rw_part(struct iopt_area *area, u64 iova, u64 last, u8 *data, bool write)
{
	const u64 off = iopt_area_byte(area, iova), len = last - iova + 1;
	struct iopt_pages *pages = area->pages;
	int ret;

	mutex_lock(&pages->lock);
	ret = iopt_pages_pin(pages, off >> PAGE_SHIFT, (off + len - 1) >> PAGE_SHIFT);
	if (!ret) {
		ret = copy_pinned(pages, off, data, len, write);
		iopt_pages_unpin(pages, off >> PAGE_SHIFT, (off + len - 1) >> PAGE_SHIFT);
	}
	mutex_unlock(&pages->lock);
	return ret;
}

static int rw_locked(struct io_pagetable *iopt, u64 iova, u64 last, u8 *data, bool write)
{
	struct iopt_area *area;
	u64 part_last;
	int ret;

	area = check_contiguous(iopt, iova, last, write, USE_BYTES, &ret);
	if (!area)
		return ret;
	for (;;) {
		part_last = min(last, area->last);
		ret = rw_part(area, iova, part_last, data, write);
		if (ret || part_last == last)
			return ret;
		data += part_last - iova + 1;
		iova = part_last + 1;
		area = iopt_next_area(area);
	}
}

int iopt_rw(struct io_pagetable *iopt, u64 iova, void *data, u64 length, bool write)
{
	u64 last = 0;
	int ret = check_access_range(iova, length, &last);

	if (ret)
		return ret;
	mutex_lock(&iopt->lock);
	ret = rw_locked(iopt, iova, last, data, write);
	mutex_unlock(&iopt->lock);
	return ret;
}

/* ---- another process takes over ---- */

static int change_process_locked(struct io_pagetable *iopt, struct mm *mm)
{
	struct iopt_area *area;
	int ret = 0;

	iopt_for_each_area(area, iopt) {
		if (area->pages->type != IOPT_ADDRESS_FILE)
			return fail(-EINVAL, "the mapping " RANGE " is of a process' memory, not of a file: it stays "
				    "with that process", RANGE_ARGS(area->iova, area->last));
	}
	iopt_for_each_area(area, iopt) {
		ret = iopt_pages_change_account(area->pages, mm);
		if (ret)
			break;
	}
	return ret;
}

int iopt_change_process(struct io_pagetable *iopt, struct mm *mm)
{
	int ret;

	mutex_lock(&iopt->lock);
	ret = change_process_locked(iopt, mm);
	mutex_unlock(&iopt->lock);
	return ret;
}

void iopt_settle_process(struct io_pagetable *iopt, bool undo)
{
	struct iopt_area *area;

	mutex_lock(&iopt->lock);
	iopt_for_each_area(area, iopt)
		iopt_pages_settle_account(area->pages, undo);
	mutex_unlock(&iopt->lock);
}

/* ---- making ---- */

void iopt_init_table(struct io_pagetable *iopt)
{
	mutex_init(&iopt->lock, LOCK_IOPT);
	iopt->areas = (struct range_tree){ 0 };
	TAILQ_INIT(&iopt->reserved);
	TAILQ_INIT(&iopt->accesses);
	iopt->iova_alignment = 1;
}

void iopt_destroy_table(struct io_pagetable *iopt)
{
	u64 bytes;

	assert(!iopt->nr_domains && TAILQ_EMPTY(&iopt->accesses));
	iopt_unmap_all(iopt, &bytes);
	range_tree_destroy(&iopt->areas);
	/* What was reserved for devices went with them; what a test reserved stays to the end. */
	while (!TAILQ_EMPTY(&iopt->reserved))
		unreserve_locked(iopt, TAILQ_FIRST(&iopt->reserved)->owner);
	kfree(iopt->allowed);
	kfree(iopt->domains);
	mutex_destroy(&iopt->lock);
}
