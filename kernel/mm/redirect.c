/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * redirect.c - where pinned pages are that are no longer at their address.
 *
 * A physical address of slots 1 to 15 leads to the same address of the program, except where a
 * redirection says otherwise.  They are kept twice: in a tree by physical address, in which none
 * overlap, and in one by the host address they lead to, in which several may lead to the same pages.  No
 * redirection is longer than SPAN, so those that touch a range of the second tree start at most SPAN
 * before it.
 *
 * Hidden pages are in a reservation of our own that the program does not know.  They got there by
 * mremap(MREMAP_DONTUNMAP), which leaves the program's mapping in place without its pages: nobody else's
 * mmap() can slip into the hole before the program's munmap() has been carried out as a whole.
 *
 * A range pinned anew where a redirection of slot n overlaps gets a physical address in another slot.
 *
 * What always holds: the trees change only while the notifier has stopped all DMA (hold()), because
 * redirect_find() walks one without a lock.  A redirection is there only while a pin of its slot
 * touches it.  Nodes are allocated before anything changes (reserve_nodes), so moves cannot fail.
 */
#include <assert.h>
#include <bsd/sys/tree.h>
#include <sys/mman.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/pins.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Its shadow may be there without being mapped yet. */
#ifdef __SANITIZE_THREAD__
#define SANITIZED_BY_THREAD 1
#elif defined(__has_feature)
#define SANITIZED_BY_THREAD __has_feature(thread_sanitizer)
#else
#define SANITIZED_BY_THREAD 0
#endif

#define SPAN (2ull << 20)
#define HIDDEN_TRIES 64
#define SLOT_FIRST 1
#define SLOT_LAST (PHYS_SLOT_PROCESS - 1)

typedef unsigned long long ull;

struct redirect {
	RB_ENTRY(redirect) by_phys, by_host;
	struct redirect *next_free;
	phys_addr_t phys;
	u64 len, host;
	bool hidden;
};

static int phys_cmp(const struct redirect *a, const struct redirect *b)
{
	return a->phys < b->phys ? -1 : a->phys > b->phys;
}

static int host_cmp(const struct redirect *a, const struct redirect *b)
{
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	return phys_cmp(a, b);
}

RB_HEAD(phys_tree, redirect);
RB_HEAD(host_tree, redirect);
RB_GENERATE_INTERNAL(phys_tree, redirect, by_phys, phys_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(host_tree, redirect, by_host, host_cmp, static __attribute__((unused)))

/* Written under pins_lock with DMA stopped; by_phys is read by whoever does DMA. */
static struct phys_tree phys_tree = RB_INITIALIZER(&phys_tree);
static struct host_tree host_tree = RB_INITIALIZER(&host_tree);
atomic_bool redirects_any;

static struct redirect *free_nodes; /* under pins_lock */
static size_t nr_free;

static const struct mmu_notifier_ops *_Atomic notifier;
static void *notifier_ctx;

void mmu_notifier_register(const struct mmu_notifier_ops *ops, void *ctx)
{
	mutex_lock(&pins_lock);
	notifier_ctx = ctx;
	atomic_store(&notifier, ops);
	mutex_unlock(&pins_lock);
}

static void dma_stop(void)
{
	const struct mmu_notifier_ops *ops = atomic_load(&notifier);

	lockdep_assert_held(&pins_lock);
	if (ops)
		ops->invalidate_start(notifier_ctx);
}

static void dma_go(void)
{
	const struct mmu_notifier_ops *ops = atomic_load(&notifier);

	if (ops)
		ops->invalidate_end(notifier_ctx);
}

/* ---- nodes ---- */

static void node_free(struct redirect *r)
{
	r->next_free = free_nodes;
	free_nodes = r;
	nr_free++;
}

static struct redirect *node_take(void)
{
	struct redirect *r = free_nodes;

	assert(r);
	free_nodes = r->next_free;
	nr_free--;
	return r;
}

static int reserve_nodes(size_t count)
{
	while (nr_free < count) {
		struct redirect *r = kmalloc(sizeof(*r));

		if (!r)
			return fail(-ENOMEM, "no memory to note where pinned pages go");
		node_free(r);
	}
	return 0;
}

/* Keep a few at most. */
static void trim_nodes(void)
{
	while (nr_free > 16)
		kfree(node_take());
}

static u64 phys_last(const struct redirect *r) { return r->phys + r->len - 1; }
static u64 host_last(const struct redirect *r) { return r->host + r->len - 1; }

/* The first whose last byte is at or above @pa. */
static struct redirect *phys_from(phys_addr_t pa)
{
	struct redirect *r = RB_ROOT(&phys_tree), *found = NULL;

	while (r) {
		if (phys_last(r) >= pa) {
			found = r;
			r = RB_LEFT(r, by_phys);
		} else {
			r = RB_RIGHT(r, by_phys);
		}
	}
	return found;
}

static struct redirect *host_next(struct redirect *r, u64 first, u64 last)
{
	while (r && r->host <= last && host_last(r) < first)
		r = RB_NEXT(host_tree, &host_tree, r);
	return r && r->host <= last ? r : NULL;
}

/* The first of those that lead into [first, last]; go on with host_next(RB_NEXT()). */
static struct redirect *host_first(u64 first, u64 last)
{
	struct redirect key = { .host = first >= SPAN ? first - SPAN + 1 : 0 };

	return host_next(RB_NFIND(host_tree, &host_tree, &key), first, last);
}

static void link_node(struct redirect *r)
{
	RB_INSERT(phys_tree, &phys_tree, r);
	RB_INSERT(host_tree, &host_tree, r);
	atomic_store(&redirects_any, true);
}

static void unlink_node(struct redirect *r)
{
	RB_REMOVE(phys_tree, &phys_tree, r);
	RB_REMOVE(host_tree, &host_tree, r);
	node_free(r);
	if (RB_EMPTY(&phys_tree))
		atomic_store(&redirects_any, false);
}

void *redirect_find(phys_addr_t pa, u64 *len_bytes)
{
	struct redirect *r = phys_from(pa);

	if (r && r->phys <= pa) {
		*len_bytes = min(*len_bytes, r->len - (pa - r->phys));
		return (void *)(uintptr_t)(r->host + (pa - r->phys));
	}
	if (r)
		*len_bytes = min(*len_bytes, r->phys - pa);
	return (void *)(uintptr_t)(pa & PHYS_OFFSET_MASK);
}

unsigned redirect_slot_locked(u64 uva, u64 last)
{
	lockdep_assert_held(&pins_lock);
	if (likely(!atomic_load_explicit(&redirects_any, memory_order_relaxed)))
		return SLOT_FIRST;
	for (unsigned slot = SLOT_FIRST; slot <= SLOT_LAST; slot++) {
		phys_addr_t base = (phys_addr_t)slot << PHYS_SLOT_SHIFT;
		struct redirect *r = phys_from(base | uva);

		if (!r || r->phys > (base | last))
			return slot;
	}
	return 0;
}

/* ---- moving what leads to one range of host addresses to another ---- */

struct move {
	u64 first, last, delta;
	bool hidden;
	bool dry;	/* only count */
	size_t nodes;	/* dry: how many nodes it may take */
	size_t pieces;
};

static void split(struct redirect *r, u64 off)
{
	struct redirect *tail = node_take();

	*tail = *r;
	tail->phys += off;
	tail->host += off;
	tail->len -= off;
	r->len = off;
	link_node(tail);
}

static void move_redirect(struct move *m, struct redirect *r)
{
	m->pieces++;
	if (m->dry) {
		m->nodes += 2;
		return;
	}
	if (r->host < m->first) {
		split(r, m->first - r->host);
		r = phys_from(r->phys + r->len);
	}
	if (host_last(r) > m->last)
		split(r, m->last - r->host + 1);
	RB_REMOVE(host_tree, &host_tree, r);
	r->host += m->delta;
	r->hidden = m->hidden;
	RB_INSERT(host_tree, &host_tree, r);
	if (r->host == (r->phys & PHYS_OFFSET_MASK))
		unlink_node(r);
}

/* @from_hidden: those that lead to hidden pages too; the program cannot mean them. */
static void move_redirects(struct move *m, bool from_hidden)
{
	struct redirect *r = host_first(m->first, m->last), *next;

	for (; r; r = next) {
		/* Found before anything moves: what is split off at the end lies outside. */
		next = RB_NEXT(host_tree, &host_tree, r);
		next = host_next(next, m->first, m->last);
		if (from_hidden || !r->hidden)
			move_redirect(m, r);
	}
}

static void redirect_piece(struct move *m, phys_addr_t pa, u64 len)
{
	while (len) {
		u64 n = min(len, SPAN);

		m->pieces++;
		if (m->dry) {
			m->nodes++;
		} else {
			struct redirect *r = node_take();

			*r = (struct redirect){ .phys = pa, .len = n, .hidden = m->hidden,
						.host = (pa & PHYS_OFFSET_MASK) + m->delta };
			link_node(r);
		}
		pa += n;
		len -= n;
	}
}

/* The parts of a pin that are in the range and at their own address. */
static bool move_pin(const struct pin *pin, void *arg)
{
	struct move *m = arg;
	phys_addr_t base = (phys_addr_t)pin_slot(pin) << PHYS_SLOT_SHIFT;
	phys_addr_t pa = base | max(pin_start(pin), m->first), last = base | min(pin_last(pin), m->last);

	while (pa <= last) {
		struct redirect *r = phys_from(pa);

		if (!r || r->phys > last) {
			redirect_piece(m, pa, last - pa + 1);
			break;
		}
		if (r->phys > pa)
			redirect_piece(m, pa, r->phys - pa);
		pa = phys_last(r) + 1;
	}
	return false;
}

static void move(struct move *m)
{
	move_redirects(m, false);
	pins_visit_locked(m->first, m->last, move_pin, m);
}

/* Count what a move needs and set it aside.  Return: number of pieces; -ENOMEM. */
static long prepare(u64 first, u64 last)
{
	struct move m = { .first = first, .last = last, .dry = true };
	int err;

	move(&m);
	err = reserve_nodes(nr_free + m.nodes);
	return err ? err : (long)m.pieces;
}

/* ---- pages ---- */

/* mremap() moves within one mapping only; a pin may cover several. */
static void move_pages(u64 from, u64 len, u64 to, int flags)
{
	void *ret = sys_mremap((void *)from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | flags, (void *)to);
	u64 half;

	/* The host cannot leave such a mapping empty: then its addresses are free for a moment. */
	if (IS_ERR(ret) && PTR_ERR(ret) == -EINVAL && flags)
		ret = sys_mremap((void *)from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);
	if (!IS_ERR(ret))
		return;
	if (len <= PAGE_SIZE) {
		/* Nothing is there to move; the target may be unmapped now: nobody else may get it. */
		sys_mmap((void *)to, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		return;
	}
	half = ALIGN_UP(len / 2, PAGE_SIZE);
	move_pages(from, half, to, flags);
	move_pages(from + half, len - half, to + half, flags);
}

static void make_usable(u64 at, u64 len)
{
	u64 half;

	sys_madvise((void *)at, len, MADV_DONTFORK);
	if (!sys_mprotect((void *)at, len, PROT_READ | PROT_WRITE) || !sys_mprotect((void *)at, len, PROT_READ) ||
	    len <= PAGE_SIZE)
		return;
	half = ALIGN_UP(len / 2, PAGE_SIZE);
	make_usable(at, half);
	make_usable(at + half, len - half);
}

static void copy_pages(u64 from, u64 len, u64 to)
{
	if (sys_mprotect((void *)to, len, PROT_READ | PROT_WRITE))
		return;
	for (u64 off = 0; off < len; off += PAGE_SIZE)
		guard_copy((void *)(to + off), (void *)(from + off), PAGE_SIZE);
}

/*
 * Call @fn for each run of [moved->to, +len) that redirections lead to, once even if several do, and
 * @gap, if given, for what lies between.
 */
static void for_each_run(const struct pins_moved *moved, void (*fn)(const struct pins_moved *, u64 at, u64 len),
			 void (*gap)(u64 at, u64 len))
{
	u64 first = moved->to, last = moved->to + moved->len - 1, done = first;

	for (struct redirect *r = host_first(first, last); r;
	     r = host_next(RB_NEXT(host_tree, &host_tree, r), first, last)) {
		u64 at = max(done, r->host), end = min(host_last(r), last) + 1;

		if (at >= end)
			continue;
		if (gap && at > done)
			gap(done, at - done);
		fn(moved, at, end - at);
		done = end;
	}
	if (gap && done <= last)
		gap(done, last - done + 1);
}

static void fill_run(const struct pins_moved *moved, u64 at, u64 len)
{
	u64 from = moved->from + (at - moved->to);

	if (moved->copied)
		copy_pages(from, len, at);
	else
		move_pages(from, len, at, MREMAP_DONTUNMAP);
}

static void return_run(const struct pins_moved *moved, u64 at, u64 len)
{
	if (moved->copied)
		sys_munmap((void *)at, len);
	else
		move_pages(at, len, moved->from + (at - moved->to), 0);
}

static void use_run(const struct pins_moved *moved, u64 at, u64 len)
{
	make_usable(at, len);
}

static void unmap_gap(u64 at, u64 len)
{
	sys_munmap((void *)at, len);
}

/* ---- a change ---- */

void pins_change_begin(struct pins_change *c, const char *what)
{
	*c = (struct pins_change){ .what = what };
	mutex_lock(&pins_lock);
}

static void hold(struct pins_change *c)
{
	if (!c->held)
		dma_stop();
	c->held = true;
}

/*
 * Addresses for hidden pages, far from where the host places mappings: a program may map again, with
 * MAP_FIXED, what it has unmapped.  The first window is free in ordinary programs and those with
 * AddressSanitizer; ThreadSanitizer has its shadow there, and leaves the second to the program.
 */
static const struct window {
	u64 first, end;
} windows[] = { { 1ull << 45, 3ull << 44 }, { 0x560000000000, 0x567000000000 } };

static void *reserve_in(const struct window *w, u64 *next, u64 len)
{
	void *where = ERR_PTR(-ENOMEM);

	for (unsigned i = 0; i < HIDDEN_TRIES; i++) {
		if (*next < w->first || *next + len > w->end || *next + len < len)
			*next = w->first;
		where = sys_mmap((void *)*next, len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		*next += ALIGN_UP(len, SPAN) + SPAN;
		if (!IS_ERR(where) || PTR_ERR(where) != -EEXIST)
			break;
	}
	return where;
}

static void *reserve_hidden(u64 len)
{
	static u64 next[ARRAY_SIZE(windows)]; /* under pins_lock */
	void *where = ERR_PTR(-ENOMEM);

	for (unsigned i = SANITIZED_BY_THREAD; i < ARRAY_SIZE(windows) && IS_ERR(where); i++)
		where = reserve_in(&windows[i], &next[i], len);
	return where;
}

static int leave(struct pins_change *c, u64 start, u64 len, bool copy)
{
	struct pins_moved *moved = &c->moves[c->nr_moves];
	struct move m = { .hidden = true };
	long pieces;
	void *where;

	assert(c->nr_moves < ARRAY_SIZE(c->moves));
	if (!mm_pins_near(start, len))
		return 0;
	if (unlikely(pins_leave_elsewhere))
		return pins_leave_elsewhere(start, len);
	/* No more than need be: a program may unmap a great deal of nothing. */
	m.first = max(start, atomic_load_explicit(&pins_lowest, memory_order_relaxed));
	m.last = min(start + len - 1, atomic_load_explicit(&pins_highest, memory_order_relaxed));
	start = m.first;
	len = m.last - m.first + 1;
	pieces = prepare(start, start + len - 1);
	if (pieces <= 0)
		return (int)pieces;
	where = reserve_hidden(len);
	if (IS_ERR(where))
		return fail(-ENOMEM, "no address space to keep pinned memory for the device");
	explain_event("%s of [0x%llx-0x%llx] while a device has it mapped: the device keeps the old pages until "
		      "they are unmapped from its container", c->what, (ull)start, (ull)(start + len - 1));
	hold(c);
	*moved = (struct pins_moved){ start, len, (u64)(uintptr_t)where, copy };
	c->nr_moves++;
	m.delta = moved->to - start;
	move(&m);
	for_each_run(moved, fill_run, unmap_gap);
	return 0;
}

int pins_change_leave(struct pins_change *c, u64 start, u64 len_bytes)
{
	return leave(c, start, len_bytes, false);
}

int pins_change_copy(struct pins_change *c, u64 start, u64 len_bytes)
{
	return leave(c, start, len_bytes, true);
}

int pins_change_prepare(struct pins_change *c, u64 start, u64 len_bytes)
{
	long pieces;

	if (unlikely(pins_leave_elsewhere))
		return mm_pins_near(start, len_bytes) ? pins_leave_elsewhere(start, len_bytes) : 0;
	pieces = mm_pins_near(start, len_bytes) ? prepare(start, start + len_bytes - 1) : 0;

	if (pieces > 0)
		hold(c);
	return pieces < 0 ? (int)pieces : 0;
}

void pins_change_moved(struct pins_change *c, u64 start, u64 len_bytes, u64 to)
{
	struct move m = { .first = start, .last = start + len_bytes - 1, .delta = to - start };

	if (!c->held)
		return;
	move(&m);
	if (!m.pieces)
		return;
	pins_widen_locked(to, to + len_bytes - 1);
	explain_event("%s of [0x%llx-0x%llx] while a device has it mapped: it follows to 0x%llx", c->what,
		      (ull)start, (ull)(start + len_bytes - 1), (ull)to);
}

static void come_back(const struct pins_moved *moved)
{
	struct move m = { .first = moved->to, .last = moved->to + moved->len - 1,
			  .delta = moved->from - moved->to };

	for_each_run(moved, return_run, NULL);
	move_redirects(&m, true);
}

void pins_change_end(struct pins_change *c, bool done)
{
	for (; c->nr_moves; c->nr_moves--) {
		if (done)
			for_each_run(&c->moves[c->nr_moves - 1], use_run, NULL);
		else
			come_back(&c->moves[c->nr_moves - 1]);
	}
	trim_nodes();
	if (c->held)
		dma_go();
	mutex_unlock(&pins_lock);
}

/* ---- the end of a pin ---- */

static bool of_slot(const struct pin *pin, void *arg)
{
	return pin_slot(pin) == *(unsigned *)arg;
}

static void free_hidden(u64 host, u64 len)
{
	u64 last = host + len - 1, at = host;

	for (struct redirect *r = host_first(host, last); r;
	     r = host_next(RB_NEXT(host_tree, &host_tree, r), host, last)) {
		if (r->host > at)
			sys_munmap((void *)at, r->host - at);
		at = max(at, host_last(r) + 1);
	}
	if (at <= last)
		sys_munmap((void *)at, last - at + 1);
}

static void drop(struct redirect *r)
{
	u64 host = r->host, len = r->len;
	bool hidden = r->hidden;

	unlink_node(r);
	if (hidden)
		free_hidden(host, len);
}

void redirect_drop_locked(unsigned slot, u64 uva, u64 last)
{
	phys_addr_t base = (phys_addr_t)slot << PHYS_SLOT_SHIFT;
	struct redirect *r, *next;

	lockdep_assert_held(&pins_lock);
	if (likely(!atomic_load_explicit(&redirects_any, memory_order_relaxed)))
		return;
	r = phys_from(base | uva);
	if (!r || r->phys > (base | last))
		return;
	dma_stop();
	for (; r && r->phys <= (base | last); r = next) {
		u64 first_uva = r->phys & PHYS_OFFSET_MASK;

		next = RB_NEXT(phys_tree, &phys_tree, r);
		if (!pins_visit_locked(first_uva, first_uva + r->len - 1, of_slot, &slot))
			drop(r);
	}
	trim_nodes();
	dma_go();
}

/* ---- what is pinned and there ---- */

struct piece_visit {
	u64 first, last;
	void (*fn)(u64 uva, u64 len);
	bool any;
};

static void visit_piece(struct piece_visit *v, u64 first, u64 last)
{
	first = max(first, v->first);
	last = min(last, v->last);
	v->any = true;
	if (v->fn)
		v->fn(first, last - first + 1);
}

static bool visit_pin(const struct pin *pin, void *arg)
{
	struct piece_visit *v = arg;
	phys_addr_t base = (phys_addr_t)pin_slot(pin) << PHYS_SLOT_SHIFT;
	phys_addr_t pa = base | max(pin_start(pin), v->first), last = base | min(pin_last(pin), v->last);

	while (pa <= last) {
		struct redirect *r = phys_from(pa);
		u64 end = !r || r->phys > last ? last + 1 : r->phys;

		if (end > pa)
			visit_piece(v, pa & PHYS_OFFSET_MASK, (end - 1) & PHYS_OFFSET_MASK);
		if (end > last)
			break;
		pa = phys_last(r) + 1;
	}
	return false;
}

bool pins_for_each_piece(u64 start, u64 len_bytes, void (*fn)(u64 uva, u64 len_bytes))
{
	struct piece_visit v = { .first = start, .last = start + len_bytes - 1, .fn = fn };

	if (!mm_pins_near(start, len_bytes))
		return false;
	mutex_lock(&pins_lock);
	pins_visit_locked(v.first, v.last, visit_pin, &v);
	for (struct redirect *r = host_first(v.first, v.last); r;
	     r = host_next(RB_NEXT(host_tree, &host_tree, r), v.first, v.last))
		if (!r->hidden)
			visit_piece(&v, r->host, host_last(r));
	mutex_unlock(&pins_lock);
	return v.any;
}
