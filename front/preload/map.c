/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.c - mappings of our files: what is really mapped where a program mapped a BAR.
 *
 * Each page of such a range is one of three.  Direct: the device's memory, shared, as the program asked.
 * Read-direct: the same, without writing.  Trapped: nothing, with no permission at all, so that
 * each access faults and mmio.c carries it out.  Which page is which, the area's owner says
 * (vm_operations.direct), and it may change: when memory decoding is switched off everything traps,
 * and the trap becomes SIGBUS.
 *
 * What always holds: an area is in the kernel's list (vma.h) before any of its pages can fault, and out
 * of the list before the addresses can be used for something else.  Therefore every munmap(),
 * mmap(MAP_FIXED) and mremap() of the program is looked at; those that cannot concern us (nearly all)
 * cost two comparisons with the lowest and highest address that we ever mapped.
 *
 * Memory that a device has pinned is looked at in the same calls (pins.h): its pages are moved away first,
 * so that the device keeps them.  Again two comparisons, with the lowest and highest pinned address.
 *
 * Revoking and mapping may cross: both look at what is direct, then change the pages.  Each revocation
 * counts up; who finds that the count moved while it worked, works again.  So no lock is needed, which
 * matters because revoking runs under locks that looking may take.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/pins.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/syscall.h"

static _Atomic u64 lowest = ~0ull, highest; /* addresses that ever were in an area; only ever wider */
static atomic_bool restricted;
static atomic_uint revocations;

bool front_map_near(u64 addr)
{
	return addr >= atomic_load_explicit(&lowest, memory_order_relaxed) &&
	       addr <= atomic_load_explicit(&highest, memory_order_relaxed);
}

bool front_map_any(void)
{
	return atomic_load_explicit(&lowest, memory_order_relaxed) != ~0ull;
}

bool front_map_restricted(void)
{
	return atomic_load_explicit(&restricted, memory_order_relaxed);
}

static bool touches_ours(u64 start, u64 len)
{
	u64 last;

	if (!len || range_overflows(start, len, &last))
		return false;
	return last >= atomic_load_explicit(&lowest, memory_order_relaxed) &&
	       start <= atomic_load_explicit(&highest, memory_order_relaxed);
}

static void note_range(u64 start, u64 last)
{
	u64 old = atomic_load(&lowest);

	while (start < old && !atomic_compare_exchange_weak(&lowest, &old, start))
		;
	old = atomic_load(&highest);
	while (last > old && !atomic_compare_exchange_weak(&highest, &old, last))
		;
}

static void note_prot(int prot)
{
	if ((prot & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE))
		atomic_store(&restricted, true);
}

/* ---- pages --------------------------------------------------------------------------------- */

/* What of @asked is allowed by @direct.  On this processor what can be written can be read. */
static int allowed_prot(int asked, int direct)
{
	if (asked & PROT_WRITE)
		asked |= PROT_READ;
	return asked & direct & (PROT_READ | PROT_WRITE);
}

static int apply_run(struct vm_area *vma, u64 at, u64 *ret_len)
{
	u64 left = vma->last - at + 1, len = 0, fd_off = 0;
	int fd = -1, direct = 0, prot;
	void *where;

	if (vma->ops->direct)
		vma->ops->direct(vma, vma->pgoff_bytes + (at - vma->start), &fd, &fd_off, &direct, &len);
	else
		len = left;
	len = max(len, PAGE_SIZE);
	len = min(len, left);
	*ret_len = len;
	prot = allowed_prot(vma->prot, direct);
	if (!prot)
		return sys_mprotect((void *)at, len, PROT_NONE);
	where = sys_mmap((void *)at, len, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)fd_off);
	return IS_ERR(where) ? (int)PTR_ERR(where) : 0;
}

/* Make the pages of an area what they should be now. */
static int apply(struct vm_area *vma)
{
	unsigned seen;
	u64 len;
	int err;

	do {
		seen = atomic_load(&revocations);
		err = 0;
		for (u64 at = vma->start; !err && at - vma->start <= vma->last - vma->start; at += len)
			err = apply_run(vma, at, &len);
	} while (!err && seen != atomic_load(&revocations));
	return err;
}

/* Called by an area's owner, LOCK_VMA held, after what is direct has changed. */
static void revoke_pages(struct vm_area *vma)
{
	atomic_fetch_add(&revocations, 1);
	apply(vma);
}

void front_map_init(void)
{
	vma_host_revoke = revoke_pages;
}

/* ---- mmap ---------------------------------------------------------------------------------- */

static int forget_areas(u64 start, u64 len)
{
	FRONT_IN_KERNEL;

	return vma_remove(mm_self(), start, len);
}

static int forget_range(u64 start, u64 len)
{
	return touches_ours(start, len) ? forget_areas(start, len) : 0;
}

/* mmap() where the device may have pages, which MAP_FIXED takes from there. */
static void *mmap_pinned(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	FRONT_IN_KERNEL;
	struct pins_change c;
	void *ret;
	int err;

	pins_change_begin(&c, "mmap");
	err = pins_change_leave(&c, (u64)(uintptr_t)addr, ALIGN_UP((u64)len, PAGE_SIZE));
	ret = err ? ERR_PTR(err) : sys_mmap(addr, len, prot, flags, fd, off);
	pins_change_end(&c, !IS_ERR(ret));
	return ret;
}

static bool takes_pinned(void *addr, size_t len, int flags)
{
	return (flags & MAP_FIXED) && mm_pins_near((u64)(uintptr_t)addr, len) &&
	       IS_ALIGNED((u64)(uintptr_t)addr, PAGE_SIZE);
}

/* Addresses without permissions; @flags as the program gave them. */
static void *reserve(void *addr, u64 len, int flags)
{
	const int where = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT;

	flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (flags & where);
	if (takes_pinned(addr, len, flags))
		return mmap_pinned(addr, len, PROT_NONE, flags, -1, 0);
	return sys_mmap(addr, len, PROT_NONE, flags, -1, 0);
}

/* Put @vma, whose addresses are reserved, into force; takes over the reference. */
static int publish(struct vm_area *vma)
{
	u64 start = vma->start, len = vma->last - vma->start + 1;
	int err;

	note_range(vma->start, vma->last);
	note_prot(vma->prot);
	vma_get(vma);
	vma_insert(mm_self(), vma);
	err = apply(vma);
	vma_put(vma);
	if (err) {
		vma_remove(mm_self(), start, len);
		sys_munmap((void *)start, len);
	}
	return err;
}

static void *map_file(int fd, struct file *file, void *addr, size_t len, int prot, int flags, off_t off)
{
	FRONT_IN_KERNEL;
	u64 whole = ALIGN_UP((u64)len, PAGE_SIZE);
	struct vm_area *vma;
	void *where;
	int err;

	err = do_mmap(fd, file, (u64)(uintptr_t)addr, len, prot, flags, (u64)off, &vma);
	if (err)
		return ERR_PTR(err);
	FORK_CHANGE;
	if ((flags & MAP_FIXED) && !IS_ALIGNED((u64)(uintptr_t)addr, PAGE_SIZE))
		err = -EINVAL;
	else if (flags & MAP_FIXED)
		err = forget_range((u64)(uintptr_t)addr, whole);
	where = err ? ERR_PTR(err) : reserve(addr, whole, flags);
	if (IS_ERR(where)) {
		vma_put(vma);
		return where;
	}
	vma->start = (u64)(uintptr_t)where;
	vma->last = vma->start + whole - 1;
	err = publish(vma);
	return err ? ERR_PTR(err) : where;
}

/* Would the system refuse the call before it takes away what is there? */
static bool would_fail(size_t len, int flags, int fd, u64 addr, off_t off)
{
	return !IS_ALIGNED(addr, PAGE_SIZE) || !IS_ALIGNED(off, (off_t)PAGE_SIZE) || !len ||
	       (!(flags & MAP_ANONYMOUS) && sys_fcntl(fd, F_GETFD, 0) < 0);
}

static void *map_other(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (unlikely(takes_pinned(addr, len, flags)))
		return (void *)front_return((long)mmap_pinned(addr, len, prot, flags, fd, off), errno);
	return REAL(mmap)(addr, len, prot, flags, fd, off);
}

static void *map_over_ours(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	FORK_CHANGE;
	int saved = errno, err = forget_areas((u64)(uintptr_t)addr, ALIGN_UP((u64)len, PAGE_SIZE));

	return err ? (void *)front_return(err, saved) : map_other(addr, len, prot, flags, fd, off);
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	struct file *file = NULL;
	int saved = errno;
	void *ret;

	if (!(flags & MAP_ANONYMOUS))
		file = front_fget(fd);
	if (likely(!file)) {
		if (unlikely((flags & MAP_FIXED) && touches_ours((u64)(uintptr_t)addr, len)) &&
		    !would_fail(len, flags, fd, (u64)(uintptr_t)addr, off))
			return map_over_ours(addr, len, prot, flags, fd, off);
		return map_other(addr, len, prot, flags, fd, off);
	}
	ret = map_file(fd, file, addr, len, prot, flags, off);
	fput(file);
	return (void *)front_return((long)ret, saved);
}
ALIAS(softvfio_mmap, mmap);
ALIAS(mmap64, mmap);

static int munmap_pinned(u64 start, u64 len)
{
	FRONT_IN_KERNEL;
	struct pins_change c;
	int err;

	pins_change_begin(&c, "munmap");
	err = pins_change_leave(&c, start, ALIGN_UP(len, PAGE_SIZE));
	if (!err)
		err = sys_munmap((void *)start, len);
	pins_change_end(&c, !err);
	return err;
}

static int munmap_other(void *addr, size_t len)
{
	u64 start = (u64)(uintptr_t)addr;
	int saved = errno;

	if (unlikely(mm_pins_near(start, len)) && IS_ALIGNED(start, PAGE_SIZE))
		return (int)front_return(munmap_pinned(start, len), saved);
	return REAL(munmap)(addr, len);
}

static int munmap_ours(void *addr, size_t len)
{
	FORK_CHANGE;
	int saved = errno, err = forget_areas((u64)(uintptr_t)addr, ALIGN_UP((u64)len, PAGE_SIZE));

	return err ? (int)front_return(err, saved) : munmap_other(addr, len);
}

EXPORT int munmap(void *addr, size_t len)
{
	if (unlikely(touches_ours((u64)(uintptr_t)addr, len)) && IS_ALIGNED((u64)(uintptr_t)addr, PAGE_SIZE))
		return munmap_ours(addr, len);
	return munmap_other(addr, len);
}
ALIAS(softvfio_munmap, munmap);

/* ---- mprotect ------------------------------------------------------------------------------ */

static int protect_area(struct vm_area *vma, u64 from, u64 last, int prot)
{
	int err;

	if (prot & PROT_EXEC)
		return -EACCES;
	if ((prot & PROT_WRITE) && (vma->file->f_flags & O_ACCMODE) == O_RDONLY)
		return -EACCES;
	note_prot(prot);
	err = vma_protect(mm_self(), from, last - from + 1, prot);
	if (err)
		return err;
	vma = vma_find(mm_self(), from);
	if (!vma)
		return 0;
	err = apply(vma);
	vma_put(vma);
	return err;
}

/* Piece by piece: between our areas may lie memory that is not ours. */
static int protect(u64 at, u64 last, int prot)
{
	FRONT_IN_KERNEL;
	FORK_CHANGE;
	struct vm_area *vma;
	u64 from, to;
	int err;

	for (;;) {
		vma = vma_find_first(mm_self(), at, last);
		if (!vma)
			return sys_mprotect((void *)at, last - at + 1, prot);
		from = max(at, vma->start);
		to = min(last, vma->last);
		err = from > at ? sys_mprotect((void *)at, from - at, prot) : 0;
		if (!err)
			err = protect_area(vma, from, to, prot);
		vma_put(vma);
		if (err || to == last)
			return err;
		at = to + 1;
	}
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	u64 start = (u64)(uintptr_t)addr, whole = ALIGN_UP((u64)len, PAGE_SIZE);
	int saved = errno;

	if (mm_pins_near(start, len) && (prot & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE) &&
	    IS_ALIGNED(start, PAGE_SIZE) && whole >= len)
		pins_protected(start, whole);
	if (likely(!touches_ours(start, len)) || !IS_ALIGNED(start, PAGE_SIZE) || whole < len ||
	    (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)))
		return REAL(mprotect)(addr, len, prot);
	return (int)front_return(protect(start, start + whole - 1, prot), saved);
}

/* ---- mremap, madvise ----------------------------------------------------------------------- */

/* An area for the same part of the same file at another address. */
static struct vm_area *area_like(const struct vm_area *vma, u64 from, u64 len, u64 to)
{
	struct vm_area *area = vma_alloc(vma->file, to, len, vma->pgoff_bytes + (from - vma->start), vma->prot);

	if (area)
		vma_inherit(area, vma);
	return area;
}

static void *move_area(struct vm_area *vma, u64 from, u64 len, u64 to)
{
	struct vm_area *area;
	void *where;
	int err;

	if (from + len - 1 > vma->last)
		return ERR_PTR(-EFAULT); /* more than one mapping */
	area = area_like(vma, from, len, to);
	if (!area)
		return ERR_PTR(-ENOMEM);
	err = forget_range(to, len);
	where = err ? ERR_PTR(err) : reserve((void *)to, len, MAP_FIXED);
	if (IS_ERR(where)) {
		vma_put(area);
		return where;
	}
	err = publish(area);
	if (!err)
		err = vma_remove(mm_self(), from, len);
	if (err)
		return ERR_PTR(err);
	sys_munmap((void *)from, len);
	return where;
}

/* Linux lets a BAR's mapping shrink and move, and does not let it grow. */
static void *remap(struct vm_area *vma, u64 old, u64 old_len, u64 new_len, int flags, u64 to)
{
	FRONT_IN_KERNEL;
	FORK_CHANGE;
	u64 before = ALIGN_UP(old_len, PAGE_SIZE), after = ALIGN_UP(new_len, PAGE_SIZE), last;
	int err;

	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) || !IS_ALIGNED(old, PAGE_SIZE) || !before || !after)
		return ERR_PTR(-EINVAL);
	if ((flags & MREMAP_FIXED) && (!(flags & MREMAP_MAYMOVE) || !IS_ALIGNED(to, PAGE_SIZE) ||
				       range_overflows(to, after, &last) || (to < old + before && old <= last)))
		return ERR_PTR(-EINVAL);
	if (after > before || old < vma->start)
		return ERR_PTR(-EFAULT);
	if (after < before) {
		err = vma_remove(mm_self(), old + after, before - after);
		if (!err)
			err = sys_munmap((void *)(old + after), before - after);
		if (err)
			return ERR_PTR(err);
	}
	return flags & MREMAP_FIXED ? move_area(vma, old, after, to) : (void *)old;
}

/* Pinned pages may move, be cut off, or lie where others move to. */
static void *mremap_pinned(u64 old, u64 old_len, u64 new_len, int flags, u64 to)
{
	FRONT_IN_KERNEL;
	u64 before = ALIGN_UP(old_len, PAGE_SIZE), after = ALIGN_UP(new_len, PAGE_SIZE), kept = min(before, after);
	bool apart = to >= old + before || to + after <= old; /* or the call fails */
	struct pins_change c;
	void *ret;
	int err;

	pins_change_begin(&c, "mremap");
	err = kept ? pins_change_prepare(&c, old, kept) : 0;
	if (!err && after && after < before)
		err = pins_change_leave(&c, old + after, before - after);
	if (!err && (flags & MREMAP_FIXED) && after && IS_ALIGNED(to, PAGE_SIZE) && apart)
		err = pins_change_leave(&c, to, after);
	ret = err ? ERR_PTR(err) : sys_mremap((void *)old, old_len, new_len, flags, (void *)to);
	if (!IS_ERR(ret) && kept && (u64)(uintptr_t)ret != old)
		pins_change_moved(&c, old, kept, (u64)(uintptr_t)ret);
	pins_change_end(&c, !IS_ERR(ret));
	return ret;
}

static bool mremap_near_pins(u64 old, u64 old_len, u64 new_len, int flags, u64 to)
{
	u64 end;

	return IS_ALIGNED(old, PAGE_SIZE) && !range_overflows(old, max(old_len, 1ul) + PAGE_SIZE, &end) &&
	       (mm_pins_near(old, old_len) ||
		((flags & MREMAP_FIXED) && !range_overflows(to, max(new_len, 1ul) + PAGE_SIZE, &end) &&
		 mm_pins_near(to, new_len)));
}

static void *mremap_other(void *addr, size_t old_len, size_t new_len, int flags, void *to)
{
	u64 old = (u64)(uintptr_t)addr;
	int saved = errno;
	void *ret;

	if (likely(!mremap_near_pins(old, old_len, new_len, flags, (u64)(uintptr_t)to)))
		return REAL(mremap)(addr, old_len, new_len, flags, to);
	ret = mremap_pinned(old, old_len, new_len, flags, (u64)(uintptr_t)to);
	return (void *)front_return((long)ret, saved);
}

static void *mremap_over_ours(void *addr, size_t old_len, size_t new_len, int flags, void *to)
{
	FORK_CHANGE;
	int saved = errno, err = forget_areas((u64)(uintptr_t)to, ALIGN_UP((u64)new_len, PAGE_SIZE));

	return err ? (void *)front_return(err, saved) : mremap_other(addr, old_len, new_len, flags, to);
}

EXPORT void *mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	u64 old = (u64)(uintptr_t)addr;
	struct vm_area *vma = NULL;
	void *to = NULL, *ret;
	int saved = errno;
	va_list ap;

	if (flags & MREMAP_FIXED) {
		va_start(ap, flags);
		to = va_arg(ap, void *);
		va_end(ap);
	}
	if (unlikely(touches_ours(old, old_len ? old_len : 1)))
		vma = vma_find(mm_self(), old);
	if (unlikely(!vma && (flags & MREMAP_FIXED) && touches_ours((u64)(uintptr_t)to, new_len)) &&
	    IS_ALIGNED((u64)(uintptr_t)to, PAGE_SIZE))
		return mremap_over_ours(addr, old_len, new_len, flags, to);
	if (likely(!vma))
		return mremap_other(addr, old_len, new_len, flags, to);
	ret = remap(vma, old, old_len, new_len, flags, (u64)(uintptr_t)to);
	vma_put(vma);
	return (void *)front_return((long)ret, saved);
}

/* Advice that Linux refuses for a mapping of device memory. */
static bool advice_is_refused(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DOFORK:
	case MADV_DODUMP:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return true;
	default:
		return false;
	}
}

/* Only of shared memory can mremap() make a second mapping.  The first page speaks for the range. */
static bool is_shared(u64 start)
{
	void *alias = sys_mremap((void *)start, 0, PAGE_SIZE, MREMAP_MAYMOVE, NULL);

	return !IS_ERR(alias) && !sys_munmap(alias, PAGE_SIZE);
}

/*
 * Will MADV_DONTNEED part the program from its pages?  Shared ones come back at the next access.  MADV_COLD
 * is refused for the same reasons as MADV_DONTNEED, and takes nothing away.
 */
static bool discards(u64 start, u64 len)
{
	return !is_shared(start) && !sys_madvise((void *)start, len, MADV_COLD);
}

static void touch_piece(u64 uva, u64 len)
{
	guard_touch((void *)uva, len, true);
}

static int madvise_pinned(u64 start, u64 len, int advice)
{
	FRONT_IN_KERNEL;
	u64 whole = ALIGN_UP(len, PAGE_SIZE);
	struct pins_change c;
	int err = 0;

	/* Pinned pages are never freed: writing to them (their own bytes) takes the advice back. */
	if (advice == MADV_FREE) {
		err = sys_madvise((void *)start, len, advice);
		pins_for_each_piece(start, whole, touch_piece);
		return err;
	}
	pins_change_begin(&c, "madvise");
	if (advice == MADV_REMOVE)
		err = pins_change_copy(&c, start, whole);
	else if (discards(start, len))
		err = pins_change_leave(&c, start, whole);
	if (!err)
		err = sys_madvise((void *)start, len, advice);
	pins_change_end(&c, !err);
	return err;
}

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static bool advice_takes_pages(int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_FREE ||
	       advice == MADV_REMOVE;
}

static int madvise_memory(void *addr, size_t len, int advice)
{
	u64 start = (u64)(uintptr_t)addr;
	int saved = errno;

	if (likely(!mm_pins_near(start, len)) || !advice_takes_pages(advice) || !IS_ALIGNED(start, PAGE_SIZE))
		return REAL(madvise)(addr, len, advice);
	return (int)front_return(madvise_pinned(start, len, advice), saved);
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	u64 start = (u64)(uintptr_t)addr;
	struct vm_area *vma;
	int saved = errno, err;

	if (likely(!touches_ours(start, len)) || !advice_is_refused(advice))
		return madvise_memory(addr, len, advice);
	vma = vma_find_first(mm_self(), start, start + len - 1);
	if (!vma)
		return madvise_memory(addr, len, advice);
	vma_put(vma);
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		err = -EFAULT;
	else
		err = advice == MADV_REMOVE ? -ENODEV : -EINVAL;
	return (int)front_return(err, saved);
}

/* ---- msync, mlock --------------------------------------------------------------------------- */

bool front_range_is_ours(const void *addr, size_t len)
{
	const u64 start = (uintptr_t)addr;
	struct vm_area *vma = touches_ours(start, len) ? vma_find(mm_self(), start) : NULL;

	vma_put(vma);
	return vma;
}

/* Nothing can be written back to a device: Linux says so when it is asked to wait for that. */
EXPORT int msync(void *addr, size_t len, int flags)
{
	int saved = errno;

	if (unlikely(front_range_is_ours(addr, len)) && flags & MS_SYNC)
		return (int)front_return(-EINVAL, saved);
	return REAL(msync)(addr, len, flags);
}

/* A device's registers are always there, so Linux has nothing to do; the host could not reach ours. */
EXPORT int mlock(const void *addr, size_t len)
{
	return unlikely(front_range_is_ours(addr, len)) ? 0 : REAL(mlock)(addr, len);
}

EXPORT int mlock2(const void *addr, size_t len, unsigned flags)
{
	return unlikely(front_range_is_ours(addr, len)) ? 0 : REAL(mlock2)(addr, len, flags);
}

EXPORT int munlock(const void *addr, size_t len)
{
	return unlikely(front_range_is_ours(addr, len)) ? 0 : REAL(munlock)(addr, len);
}
