/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process.c - the memory of another process, as devices reach it.
 *
 * A process whose calls are served here (syscall/serve.c) hands over its /proc/self/mem and /proc/self/maps.  What it
 * maps for a device gets physical addresses in a slot of its own, whose reads and writes go through the one; whether
 * a range can be pinned is read in the other.  A write breaks copy-on-write there as a device's would.
 *
 * Pinned pages that leave their address, or whose process ends, are kept: copied here, or where this process has the same
 * pages of a file mapped, mapped once more.  The process says so before it happens.  What is pinned at such an address
 * later gets its physical address in another slot.
 *
 * A limit: whoever is killed cannot say so, and devices find nothing there any more.  Another: pages that mremap()
 * moves are kept, too, so the device and the program no longer see what the other writes.
 */
#include <bsd/sys/queue.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm_internal.h"
#include "kernel/mm/pins.h"

#define NR_SLOTS (PHYS_SLOT_MMIO - PHYS_SLOT_PROCESS)

typedef unsigned long long ull;

struct process_pin {
	TAILQ_ENTRY(process_pin) next;
	unsigned slot;
	u64 uva, len;
};

/* Pages that are no longer at their address, for the pins of a slot. */
struct kept {
	TAILQ_ENTRY(kept) next;
	unsigned slot;
	u64 uva, len;
	char *bytes;
};

struct process {
	struct mm mm;
	atomic_int refs;
	int mem_fd, maps_fd;		    /* private; immutable */
	struct mutex maps_lock;		    /* while maps_fd is read */
	TAILQ_HEAD(, process_pin) pins;	    /* pins_lock, like all below */
	TAILQ_HEAD(, kept) kept;	    /* no two of a slot overlap, and each touches a pin of its slot */
};

static struct process *slots[NR_SLOTS]; /* pins_lock */

static u64 last_of(u64 first, u64 len)
{
	return first + len - 1;
}

struct mm *mm_of_process(int mem_fd, int maps_fd)
{
	struct process *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	mutex_init(&p->mm.vma_lock, LOCK_VMA);
	RB_INIT(&p->mm.vmas);
	atomic_init(&p->mm.vma_lowest, ~0ull);
	p->mm.process = p;
	p->mm.pins_first = ~0ull;
	atomic_init(&p->refs, 1);
	p->mem_fd = mem_fd;
	p->maps_fd = maps_fd;
	mutex_init(&p->maps_lock, LOCK_MM_MAPS);
	TAILQ_INIT(&p->pins);
	TAILQ_INIT(&p->kept);
	return &p->mm;
}

struct mm *mmgrab(struct mm *mm)
{
	if (mm->process)
		atomic_fetch_add_explicit(&mm->process->refs, 1, memory_order_relaxed);
	return mm;
}

void mmdrop(struct mm *mm)
{
	struct process *p = mm ? mm->process : NULL;

	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	mutex_lock(&pins_lock);
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (slots[i] == p)
			slots[i] = NULL;
	mutex_unlock(&pins_lock);
	vma_close_private(p->mem_fd);
	vma_close_private(p->maps_fd);
	mutex_destroy(&p->maps_lock);
	mutex_destroy(&mm->vma_lock);
	kfree(p);
}

int process_maps_begin(const struct mm *mm)
{
	mutex_lock(&mm->process->maps_lock);
	return mm->process->maps_fd;
}

void process_maps_end(const struct mm *mm)
{
	mutex_unlock(&mm->process->maps_lock);
}

static struct process *process_at(unsigned slot)
{
	lockdep_assert_held(&pins_lock);
	return slots[slot - PHYS_SLOT_PROCESS];
}

/* ---- the bus ---- */

/* The first of @slot that touches [first, last]; NULL. */
static struct kept *find_kept(struct process *p, unsigned slot, u64 first, u64 last)
{
	struct kept *kept, *found = NULL;

	lockdep_assert_held(&pins_lock);
	TAILQ_FOREACH(kept, &p->kept, next)
		if (kept->slot == slot && kept->uva <= last && last_of(kept->uva, kept->len) >= first &&
		    (!found || kept->uva < found->uva))
			found = kept;
	return found;
}

/* As much of *@len as is in one place.  0; -EFAULT. */
static int access_piece(struct process *p, unsigned slot, u64 uva, char *buf, size_t *len, bool write)
{
	struct kept *kept = find_kept(p, slot, uva, last_of(uva, *len));
	ssize_t n;

	if (kept && kept->uva <= uva) {
		char *there = kept->bytes + (uva - kept->uva);

		*len = min((u64)*len, kept->len - (uva - kept->uva));
		memcpy(write ? there : buf, write ? buf : there, *len);
		return 0;
	}
	if (kept)
		*len = kept->uva - uva;
	n = write ? sys_pwrite(p->mem_fd, buf, *len, (off_t)uva) : sys_pread(p->mem_fd, buf, *len, (off_t)uva);
	return n == (ssize_t)*len ? 0 : -EFAULT;
}

/* The lock keeps the slot's owner from going while bytes move. */
static int slot_access(void *ctx, u64 off, char *buf, size_t len, bool write)
{
	unsigned slot = (unsigned)(uintptr_t)ctx;
	struct process *p;
	int err = 0;

	mutex_lock(&pins_lock);
	p = process_at(slot);
	while (len && !err) {
		size_t n = len;

		err = p ? access_piece(p, slot, off, buf, &n, write) : -EFAULT;
		off += n;
		buf += n;
		len -= n;
	}
	mutex_unlock(&pins_lock);
	return err;
}

static int slot_read(void *ctx, u64 off, void *buf, size_t len_bytes)
{
	return slot_access(ctx, off, buf, len_bytes, false);
}

static int slot_write(void *ctx, u64 off, const void *buf, size_t len_bytes)
{
	return slot_access(ctx, off, (char *)(uintptr_t)buf, len_bytes, true);
}

/* A slot in which nothing of [uva, last] is kept.  -ENOMEM. */
static int slot_for_locked(struct process *p, u64 uva, u64 last)
{
	static const struct phys_slot_ops ops = { .read = slot_read, .write = slot_write };

	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (slots[i] == p && !find_kept(p, PHYS_SLOT_PROCESS + i, uva, last))
			return PHYS_SLOT_PROCESS + (int)i;
	for (unsigned i = 0; i < NR_SLOTS; i++) {
		if (slots[i])
			continue;
		slots[i] = p;
		phys_slot_register(PHYS_SLOT_PROCESS + i, &ops, (void *)(uintptr_t)(PHYS_SLOT_PROCESS + i));
		return PHYS_SLOT_PROCESS + (int)i;
	}
	return fail(-ENOMEM, "other processes have memory mapped for devices in all %d slots that there are", NR_SLOTS);
}

/* ---- pins ---- */

static int check_mapped(struct mm *mm, u64 uva, u64 last, bool write)
{
	char *maps = mm_read_maps(mm);
	const char *line = maps;
	struct mapping m;
	u64 at = uva;

	if (IS_ERR(maps))
		return fail(PTR_ERR(maps) == -ENOMEM ? -ENOMEM : -EFAULT, "the mappings of the calling process cannot be read");
	while (at <= last && (line = mm_next_mapping(line, &m)) && m.start <= at)
		if (at < m.end && (write ? m.writable : m.readable))
			at = m.end;
	kfree(maps);
	return at > last ? 0 : fail(-EFAULT, "the page at 0x%llx of the calling process is not mapped %s", (ull)at,
				    write ? "for writing" : "or has no access");
}

static void widen_locked(struct process *p, u64 first, u64 last)
{
	p->mm.pins_first = min(p->mm.pins_first, first);
	p->mm.pins_last = max(p->mm.pins_last, last);
	p->mm.pins_changes++;
}

int process_pin(struct mm *mm, u64 uva, u64 last, bool write, phys_addr_t *ret_phys)
{
	struct process *p = mm->process;
	int err = check_mapped(mm, uva, last, write), slot;
	struct process_pin *pin;

	if (err)
		return err;
	pin = kmalloc(sizeof(*pin));
	if (!pin)
		return fail(-ENOMEM, "no memory to note a pin");
	mutex_lock(&pins_lock);
	slot = slot_for_locked(p, uva, last);
	if (slot > 0) {
		*pin = (struct process_pin){ .slot = (unsigned)slot, .uva = uva, .len = last - uva + 1 };
		TAILQ_INSERT_HEAD(&p->pins, pin, next);
		mmgrab(mm);
		widen_locked(p, uva, last);
	}
	mutex_unlock(&pins_lock);
	if (slot < 0) {
		kfree(pin);
		return slot;
	}
	*ret_phys = (u64)slot << PHYS_SLOT_SHIFT | uva;
	return 0;
}

/* One that was noted. */
static struct process_pin *find_pin(struct process *p, unsigned slot, u64 uva, u64 len)
{
	struct process_pin *pin;

	TAILQ_FOREACH(pin, &p->pins, next)
		if (pin->slot == slot && pin->uva == uva && pin->len == len)
			break;
	return pin;
}

static bool is_pinned(struct process *p, unsigned slot, u64 first, u64 last)
{
	struct process_pin *pin;

	TAILQ_FOREACH(pin, &p->pins, next)
		if (pin->slot == slot && pin->uva <= last && last_of(pin->uva, pin->len) >= first)
			return true;
	return false;
}

/* What was kept for pins that are gone. */
static void drop_kept(struct process *p, unsigned slot)
{
	struct kept *kept, *next;

	for (kept = TAILQ_FIRST(&p->kept); kept; kept = next) {
		next = TAILQ_NEXT(kept, next);
		if (kept->slot != slot || is_pinned(p, slot, kept->uva, last_of(kept->uva, kept->len)))
			continue;
		TAILQ_REMOVE(&p->kept, kept, next);
		sys_munmap(kept->bytes, kept->len);
		kfree(kept);
	}
}

void process_unpin(unsigned slot, u64 uva, u64 len_bytes)
{
	struct process_pin *pin;
	struct process *p;

	mutex_lock(&pins_lock);
	p = process_at(slot);
	pin = find_pin(p, slot, uva, len_bytes);
	TAILQ_REMOVE(&p->pins, pin, next);
	drop_kept(p, slot);
	if (TAILQ_EMPTY(&p->pins)) {
		p->mm.pins_first = ~0ull;
		p->mm.pins_last = 0;
		p->mm.pins_changes++;
	}
	mutex_unlock(&pins_lock);
	kfree(pin);
	mmdrop(&p->mm);
}

int process_split_pin(unsigned slot, u64 uva, u64 len_bytes, u64 head_bytes)
{
	struct process_pin *head, *tail = kmalloc(sizeof(*tail));
	struct process *p;

	if (!tail)
		return fail(-ENOMEM, "no memory to note a pin");
	*tail = (struct process_pin){ .slot = slot, .uva = uva + head_bytes, .len = len_bytes - head_bytes };
	mutex_lock(&pins_lock);
	p = process_at(slot);
	head = find_pin(p, slot, uva, len_bytes);
	head->len = head_bytes;
	TAILQ_INSERT_HEAD(&p->pins, tail, next);
	mmgrab(&p->mm);
	mutex_unlock(&pins_lock);
	return 0;
}

u64 mm_pinned_range(struct mm *mm, u64 *ret_first, u64 *ret_last)
{
	u64 changes;

	mutex_lock(&pins_lock);
	*ret_first = mm->pins_first;
	*ret_last = mm->pins_last;
	changes = mm->pins_changes;
	mutex_unlock(&pins_lock);
	return changes;
}

long process_pins_at(struct mm *mm, u64 uva)
{
	struct process_pin *pin;
	long count = 0;

	mutex_lock(&pins_lock);
	TAILQ_FOREACH(pin, &mm->process->pins, next)
		count += uva - pin->uva < pin->len;
	mutex_unlock(&pins_lock);
	return count;
}

/* ---- pages that leave ---- */

/* Pages of a file that this process has mapped, too, are seen at @to from now on.  False: it has not. */
static bool share_pages(const char *own_maps, const struct mapping *theirs, u64 uva, u64 len, void *to)
{
	const u64 off = theirs->off + (uva - theirs->start);
	struct mapping m;

	while (theirs->shared && (own_maps = mm_next_mapping(own_maps, &m)))
		if (mm_same_file(&m, theirs) && m.writable && off >= m.off && off - m.off + len <= m.end - m.start)
			return !IS_ERR(sys_mremap((void *)(m.start + (off - m.off)), 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	return false;
}

/* What cannot be read is zero. */
static void copy_pages(const struct process *p, u64 uva, u64 len, char *to)
{
	for (u64 at = 0; at < len; at += PAGE_SIZE)
		(void)sys_pread(p->mem_fd, to + at, PAGE_SIZE, (off_t)(uva + at));
}

/* The texts of both processes' maps. */
struct both_maps {
	char *theirs, *own;
};

static void fill(const struct process *p, const struct both_maps *maps, const struct kept *kept)
{
	const char *line = maps->theirs;
	struct mapping m;

	while ((line = mm_next_mapping(line, &m))) {
		u64 from = max(m.start, kept->uva), to = min(m.end, kept->uva + kept->len);

		if (from < to && !share_pages(maps->own, &m, from, to - from, kept->bytes + (from - kept->uva)))
			copy_pages(p, from, to - from, kept->bytes + (from - kept->uva));
	}
}

static int keep_piece(struct process *p, const struct both_maps *maps, unsigned slot, u64 uva, u64 last)
{
	struct kept *kept = kmalloc(sizeof(*kept));
	const u64 len = last - uva + 1;
	void *bytes = kept ? sys_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : ERR_PTR(-ENOMEM);

	if (IS_ERR(bytes)) {
		kfree(kept);
		return fail(-ENOMEM, "no memory to keep [0x%llx-0x%llx] of another process", (ull)uva, (ull)last);
	}
	*kept = (struct kept){ .slot = slot, .uva = uva, .len = len, .bytes = bytes };
	fill(p, maps, kept);
	TAILQ_INSERT_HEAD(&p->kept, kept, next);
	return 0;
}

/* What of it is not kept yet. */
static int keep_range(struct process *p, const struct both_maps *maps, unsigned slot, u64 first, u64 last)
{
	int err = 0;

	while (!err && first <= last) {
		struct kept *kept = find_kept(p, slot, first, last);
		u64 end = kept ? kept->uva : last + 1;

		if (end > first)
			err = keep_piece(p, maps, slot, first, end - 1);
		first = kept ? last_of(kept->uva, kept->len) + 1 : end;
	}
	return err;
}

int mm_keep_pinned(struct mm *mm, u64 first, u64 last)
{
	struct both_maps maps = { mm_read_maps(mm), mm_read_maps(mm_self()) };
	struct process *p = mm->process;
	struct process_pin *pin;
	int err = 0;

	if (IS_ERR(maps.theirs) || IS_ERR(maps.own)) {
		err = -ENOMEM;
		goto out;
	}
	mutex_lock(&pins_lock);
	TAILQ_FOREACH(pin, &p->pins, next) {
		u64 from = max(first, pin->uva), to = min(last, last_of(pin->uva, pin->len));

		if (from <= to && !err)
			err = keep_range(p, &maps, pin->slot, from, to);
	}
	mutex_unlock(&pins_lock);
out:
	if (!IS_ERR(maps.theirs))
		kfree(maps.theirs);
	if (!IS_ERR(maps.own))
		kfree(maps.own);
	return err;
}
