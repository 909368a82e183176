/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mm.c - moving bytes between the kernel, a program and the memory bus.
 *
 * The program's memory is this process's own, so a copy is a guarded memcpy and a physical address of
 * slot 1 is the program's address with the slot number on top.  The one thing in between are mappings
 * of our own BARs: their trapped pages cannot be followed, they are answered by their vm_operations.
 * Whether there are any is asked first, with two loads (mm_may_touch_vma).
 *
 * What always holds: an address at or above 2^47 is nobody's; no lock is held while bytes move.
 */
#include "kernel/mm/mm.h"

#include <string.h>
#include <sys/mman.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/task.h"
#include "kernel/mm/mm_internal.h"
#include "kernel/mm/pins.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define SLOT_SELF PHYS_SLOT_PROGRAM
/* Up to here touching each page is cheaper than asking the host's kernel to. */
#define TOUCH_MAX (16 * PAGE_SIZE)

typedef unsigned long long ull;

static struct mm self = {
	.slot = SLOT_SELF,
	.vma_lock = MUTEX_INITIALIZER(LOCK_VMA),
	.vmas = RB_INITIALIZER(&self.vmas),
	.vma_lowest = ~0ull,
	.vma_highest = 0,
};

static struct {
	const struct phys_slot_ops *_Atomic ops;
	void *ctx;
} slots[PHYS_SLOTS];

struct mm *mm_self(void)
{
	return &self;
}

struct mm *current_mm(void)
{
	return unlikely(current_task) ? current_task->mm : &self;
}

/* ---- copies ---- */

static int bad_user(u64 addr, size_t len)
{
	return fail(-EFAULT, "the program's memory [0x%llx-0x%llx] is not all there, or not accessible so",
		    (ull)addr, (ull)(addr + len - 1));
}

/* A piece that lies in one mapping of ours. */
static int copy_vma(struct vm_area *vma, u64 uva, void *buf, size_t len, bool to_user)
{
	if (!(vma->prot & (to_user ? PROT_WRITE : PROT_READ)))
		return fail(-EFAULT, "the mapping of a device at 0x%llx was not made %s", (ull)vma->start,
			    to_user ? "writable" : "readable");
	return vma_access(vma, uva, buf, len, to_user);
}

/* The long way, for a range that may touch mappings of ours: piece by piece. */
static __attribute__((noinline)) int copy_pieces(u64 uva, void *buf, size_t len, bool to_user)
{
	while (len) {
		struct vm_area *vma = vma_find_first(current_mm(), uva, uva + len - 1);
		size_t piece = len;
		int err;

		if (vma && vma->start > uva)
			piece = vma->start - uva;
		else if (vma)
			piece = min((u64)len, vma->last - uva + 1);

		if (vma && vma->start <= uva)
			err = copy_vma(vma, uva, buf, piece, to_user);
		else if (to_user)
			err = guard_copy((void *)(uintptr_t)uva, buf, piece);
		else
			err = guard_copy(buf, (const void *)(uintptr_t)uva, piece);
		vma_put(vma);
		if (err)
			return err;
		uva += piece;
		buf = (char *)buf + piece;
		len -= piece;
	}
	return 0;
}

/* 0 if [uva, uva+len) may be a program's memory at all. */
static inline int check_user_range(u64 uva, size_t len, u64 *ret_last)
{
	return unlikely(range_overflows(uva, len, ret_last) || *ret_last > PHYS_OFFSET_MASK) ? -EFAULT : 0;
}

static inline int copy_user(u64 uva, void *buf, size_t len, bool to_user)
{
	u64 last;
	int err;

	if (!len)
		return 0;
	err = check_user_range(uva, len, &last);
	if (err)
		return bad_user(uva, len);
	if (unlikely(current_task))
		err = current_task->ops->copy(current_task, uva, buf, len, to_user);
	else if (mm_may_touch_vma(&self, uva, last))
		err = copy_pieces(uva, buf, len, to_user);
	else if (to_user)
		err = guard_copy((void *)(uintptr_t)uva, buf, len);
	else
		err = guard_copy(buf, (const void *)(uintptr_t)uva, len);
	return unlikely(err) ? bad_user(uva, len) : 0;
}

int copy_from_user(void *dst, const void __user *src, size_t len_bytes)
{
	return copy_user((uintptr_t)src, dst, len_bytes, false);
}

int copy_to_user(void __user *dst, const void *src, size_t len_bytes)
{
	return copy_user((uintptr_t)dst, (void *)(uintptr_t)src, len_bytes, true);
}

int clear_user(void __user *dst, size_t len_bytes)
{
	static const char zeroes[PAGE_SIZE];
	u64 uva = (uintptr_t)dst;
	u64 last;

	if (!len_bytes)
		return 0;
	if (check_user_range(uva, len_bytes, &last))
		return bad_user(uva, len_bytes);
	if (likely(!current_task) && !mm_may_touch_vma(&self, uva, last))
		return guard_set(dst, 0, len_bytes) ? bad_user(uva, len_bytes) : 0;
	while (len_bytes) {
		size_t piece = min(len_bytes, sizeof(zeroes));
		int err = copy_to_user((void *)(uintptr_t)uva, zeroes, piece);

		if (err)
			return err;
		uva += piece;
		len_bytes -= piece;
	}
	return 0;
}

long strncpy_from_user(char *dst, const char __user *src, size_t size)
{
	u64 uva = (uintptr_t)src;
	u64 last;
	long len;

	if (check_user_range(uva, 1, &last))
		return bad_user(uva, 1);
	len = unlikely(current_task) ? current_task->ops->strncpy(current_task, dst, uva, size) : guard_strncpy(dst, src, size);
	if (len == -EFAULT)
		return fail(len, "the string at 0x%llx runs into memory that is not accessible", (ull)uva);
	if (len < 0)
		return fail(len, "the string at 0x%llx has no end within %zu bytes", (ull)uva, size);
	return len;
}

/* ---- pins ---- */

/* All of a range must be in one mapping of a BAR, and contiguous on the bus. */
static int pin_bar(struct vm_area *vma, u64 uva, u64 last, bool write, phys_addr_t *ret_phys)
{
	u64 off = vma->pgoff_bytes + (uva - vma->start);
	phys_addr_t first_pa, last_pa;
	int err;

	if (uva < vma->start || last > vma->last)
		return fail(-EFAULT, "[0x%llx-0x%llx] is only partly in the mapping of a device [0x%llx-0x%llx]",
			    (ull)uva, (ull)last, (ull)vma->start, (ull)vma->last);
	if (!(vma->prot & (write ? PROT_WRITE : PROT_READ)))
		return fail(-EFAULT, "the mapping of a device at 0x%llx is not %s by the program",
			    (ull)vma->start, write ? "writable" : "readable");
	if (!vma->ops || !vma->ops->phys)
		return fail(-EFAULT, "the mapping at 0x%llx has no address on the bus", (ull)vma->start);
	err = vma->ops->phys(vma, off, &first_pa);
	if (!err)
		err = vma->ops->phys(vma, off + (last - uva), &last_pa);
	if (err)
		return err;
	if (last_pa - first_pa != last - uva)
		return fail(-EFAULT, "the mapping of a device at 0x%llx is not contiguous on the bus",
			    (ull)vma->start);
	*ret_phys = first_pa;
	return 0;
}

/* Why a range cannot be pinned; found only when somebody asked. */
static __attribute__((cold)) int explain_pin(u64 uva, u64 len, bool write, int err)
{
	u64 page = uva;

	while (page < uva + len && !guard_touch((void *)(uintptr_t)page, 1, write))
		page += PAGE_SIZE;
	if (err == -ENOMEM)
		return fail(err, "not enough memory for the pages at [0x%llx-0x%llx]", (ull)uva,
			    (ull)(uva + len - 1));
	if (page < uva + len && write && !guard_touch((void *)(uintptr_t)page, 1, false))
		return fail(err, "the page at 0x%llx is read-only, and the device was to write there",
			    (ull)page);
	return fail(err, "the page at 0x%llx is not mapped or has no access", (ull)page);
}

/* Are all pages of the range mapped?  madvise() says ENOMEM for a hole and for want of memory alike. */
static bool has_hole(u64 uva, u64 len)
{
	unsigned char vec[512];

	while (len) {
		u64 piece = min(len, sizeof(vec) * PAGE_SIZE);

		if (sys_mincore((void *)(uintptr_t)uva, piece, vec) == -ENOMEM)
			return true;
		uva += piece;
		len -= piece;
	}
	return false;
}

static int populate(u64 uva, u64 len, bool write)
{
	int err;

	if (len <= TOUCH_MAX)
		return guard_touch((void *)(uintptr_t)uva, len, write);
	do {
		err = sys_madvise((void *)(uintptr_t)uva, len,
				  write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	} while (err == -EAGAIN || err == -EINTR);
	switch (err) {
	case 0:
		return 0;
	case -EINVAL:
		/* The advice is unknown here, or some page is special or has no access: look at each. */
		return guard_touch((void *)(uintptr_t)uva, len, write);
	case -ENOMEM:
		return has_hole(uva, len) ? -EFAULT : -ENOMEM;
	default:
		return -EFAULT;
	}
}

/* Note the pin.  Return: its slot; -ENOMEM. */
static int note_pin(u64 uva, u64 len, u64 last)
{
	int slot, err;

	mutex_lock(&pins_lock);
	slot = (int)redirect_slot_locked(uva, last);
	err = slot ? pins_add_locked(slot, uva, len)
		   : fail(-ENOMEM, "%d generations of old pages of [0x%llx-0x%llx] are still mapped for "
			  "devices", PHYS_SLOT_PROCESS - SLOT_SELF, (ull)uva, (ull)last);
	mutex_unlock(&pins_lock);
	return err ? err : slot;
}

static void drop_pin(unsigned slot, u64 uva, u64 len)
{
	mutex_lock(&pins_lock);
	pins_del_locked(slot, uva, len);
	redirect_drop_locked(slot, uva, uva + len - 1);
	pins_narrow_locked();
	mutex_unlock(&pins_lock);
}

/* Only while its call is carried out can it say where a BAR is mapped. */
static int pin_of_process(struct mm *mm, u64 uva, u64 last, bool write, phys_addr_t *ret_phys)
{
	struct vm_area *vma = current_task && current_task->mm == mm ? current_task->ops->find_area(current_task, uva, last) : NULL;
	int err;

	if (!vma)
		return process_pin(mm, uva, last, write, ret_phys);
	err = pin_bar(vma, uva, last, write, ret_phys);
	vma_put(vma);
	return err;
}

int mm_pin(struct mm *mm, u64 uva, u64 len_bytes, bool write, phys_addr_t *ret_phys)
{
	u64 last;
	int err, slot;

	if (check_user_range(uva, len_bytes, &last))
		return fail(-EFAULT, "[0x%llx, +0x%llx) is not a range of a program's addresses", (ull)uva,
			    (ull)len_bytes);
	if (unlikely(mm->process))
		return pin_of_process(mm, uva, last, write, ret_phys);
	if (mm_may_touch_vma(mm, uva, last)) {
		struct vm_area *vma = vma_find_first(mm, uva, last);

		if (vma) {
			err = pin_bar(vma, uva, last, write, ret_phys);
			vma_put(vma);
			return err;
		}
	}
	/* Noted first: pages that come in are then kept, should the program unmap them at once. */
	slot = note_pin(uva, len_bytes, last);
	if (slot < 0)
		return slot;
	err = populate(uva, len_bytes, write);
	if (unlikely(err)) {
		drop_pin(slot, uva, len_bytes);
		return explain_enabled ? explain_pin(uva, len_bytes, write, err) : err;
	}
	*ret_phys = (u64)slot << PHYS_SLOT_SHIFT | uva;
	return 0;
}

void mm_unpin(phys_addr_t phys, u64 len_bytes)
{
	unsigned slot = phys >> PHYS_SLOT_SHIFT;

	if (slot >= SLOT_SELF && slot < PHYS_SLOT_PROCESS)
		drop_pin(slot, phys & PHYS_OFFSET_MASK, len_bytes);
	else if (slot >= PHYS_SLOT_PROCESS && slot < PHYS_SLOT_MMIO) /* a BAR is not noted */
		process_unpin(slot, phys & PHYS_OFFSET_MASK, len_bytes);
}

int mm_split_pin(phys_addr_t phys, u64 len_bytes, u64 head_bytes)
{
	unsigned slot = phys >> PHYS_SLOT_SHIFT;
	u64 uva = phys & PHYS_OFFSET_MASK;
	int err;

	if (slot < SLOT_SELF || slot >= PHYS_SLOT_MMIO)
		return 0;
	if (unlikely(slot >= PHYS_SLOT_PROCESS))
		return process_split_pin(slot, uva, len_bytes, head_bytes);
	mutex_lock(&pins_lock);
	err = pins_add_locked(slot, uva, head_bytes);
	if (!err) {
		err = pins_add_locked(slot, uva + head_bytes, len_bytes - head_bytes);
		pins_del_locked(slot, uva, err ? head_bytes : len_bytes);
	}
	mutex_unlock(&pins_lock);
	return err;
}

/* ---- the memory bus ---- */

void phys_slot_register(unsigned slot, const struct phys_slot_ops *ops, void *ctx)
{
	if (slot >= PHYS_SLOTS)
		return;
	slots[slot].ctx = ctx;
	atomic_store_explicit(&slots[slot].ops, ops, memory_order_release);
}

/* Plain memory: the kernel's own, or the program's. */
static inline bool is_memory(unsigned slot)
{
	return slot < PHYS_SLOT_PROCESS;
}

void *phys_host_range(phys_addr_t pa, u64 *len_bytes)
{
	u64 slot = pa >> PHYS_SLOT_SHIFT;

	if (!is_memory(slot))
		return NULL;
	if (unlikely(atomic_load_explicit(&redirects_any, memory_order_relaxed)) && slot != PHYS_SLOT_KERNEL)
		return redirect_find(pa, len_bytes);
	return (void *)(uintptr_t)(pa & PHYS_OFFSET_MASK);
}

void *phys_host_ptr(phys_addr_t pa)
{
	u64 len = 1;

	return phys_host_range(pa, &len);
}

/* The slot if [pa, pa+len) lies in one; PHYS_SLOTS if not. */
static inline unsigned slot_of(phys_addr_t pa, size_t len)
{
	u64 last;

	if (range_overflows(pa, len, &last) || pa >> PHYS_SLOT_SHIFT != last >> PHYS_SLOT_SHIFT)
		return PHYS_SLOTS;
	return (unsigned)min(pa >> PHYS_SLOT_SHIFT, (u64)PHYS_SLOTS);
}

static int copy_piece(void *host, void *buf, size_t len, bool write)
{
	int err = write ? guard_copy(host, buf, len) : guard_copy(buf, host, len);

	return unlikely(err) ? phys_copy_pinned(host, buf, len, write) : 0;
}

/* A program's memory, for those that the notifier does not stop: the lock stands in for it. */
static int copy_memory(phys_addr_t pa, char *buf, size_t len, bool write)
{
	int err = 0;

	mutex_lock(&pins_lock);
	while (len && !err) {
		u64 n = len;
		void *host = phys_host_range(pa, &n);

		err = copy_piece(host, buf, n, write);
		pa += n;
		buf += n;
		len -= n;
	}
	mutex_unlock(&pins_lock);
	return err;
}

int phys_read(phys_addr_t pa, void *buf, size_t len_bytes)
{
	const struct phys_slot_ops *ops;
	unsigned slot;

	if (!len_bytes)
		return 0;
	slot = slot_of(pa, len_bytes);
	if (slot == PHYS_SLOTS)
		return -EFAULT;
	if (likely(slot == PHYS_SLOT_KERNEL))
		return guard_copy(buf, phys_host_ptr(pa), len_bytes);
	if (is_memory(slot))
		return copy_memory(pa, buf, len_bytes, false);
	ops = atomic_load_explicit(&slots[slot].ops, memory_order_acquire);
	return ops ? ops->read(slots[slot].ctx, pa & PHYS_OFFSET_MASK, buf, len_bytes) : -EFAULT;
}

int phys_write(phys_addr_t pa, const void *buf, size_t len_bytes)
{
	const struct phys_slot_ops *ops;
	unsigned slot;

	if (!len_bytes)
		return 0;
	slot = slot_of(pa, len_bytes);
	if (slot == PHYS_SLOTS)
		return -EFAULT;
	if (likely(slot == PHYS_SLOT_KERNEL))
		return guard_copy(phys_host_ptr(pa), buf, len_bytes);
	if (is_memory(slot))
		return copy_memory(pa, (void *)(uintptr_t)buf, len_bytes, true);
	ops = atomic_load_explicit(&slots[slot].ops, memory_order_acquire);
	return ops ? ops->write(slots[slot].ctx, pa & PHYS_OFFSET_MASK, buf, len_bytes) : -EFAULT;
}
