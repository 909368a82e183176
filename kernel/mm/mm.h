/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mm.h - a program's memory, and the addresses under which the memory bus knows it.
 *
 * Nothing in the kernel assumes that the program is this process: all of its memory is reached
 * through a struct mm.  One is this process's own (mm_self); others are of processes whose calls it serves (process.c).
 *
 * Physical addresses.  Page tables hold 52-bit physical addresses.  The top 5 bits are a slot, the
 * low 47 an address within it:
 *
 *	slot 0		the kernel's own memory (page tables): the address is a host pointer
 *	slot 1..15	the program: the address is its virtual address
 *	slot 16..30	other processes, a slot each, likewise
 *	slot 31		the bus window of device BARs (PHYS_MMIO): the address is a bus address
 *
 * So a range of a program's memory is contiguous on the bus, as if it were backed by one huge page;
 * what a program can see of that is what a machine with plenty of huge pages shows.
 *
 * Pins.  A pinned range stays reachable at its physical address until unpinned, whatever the program does
 * to its address space meanwhile: pages that leave their address are kept and the physical address is
 * redirected to them (pins.h).  What is pinned at such an address later gets its physical address
 * in another of the program's slots.
 */
#ifndef KERNEL_MM_MM_H
#define KERNEL_MM_MM_H

#include "kernel/lib/types.h"

#define PHYS_SLOT_SHIFT 47
#define PHYS_SLOTS 32
#define PHYS_SLOT_KERNEL 0
#define PHYS_SLOT_PROGRAM 1 /* what is not redirected (pins.h) */
#define PHYS_SLOT_PROCESS 16 /* the first of other processes */
#define PHYS_SLOT_MMIO 31
#define PHYS_OFFSET_MASK ((1ull << PHYS_SLOT_SHIFT) - 1)

struct mm;
struct vm_area;

/* ---- the program's memory as an ioctl sees it ---- */

/** current_mm - the memory of the program whose call this thread carries out. */
struct mm *current_mm(void);
/** mm_self - this process's own memory; made at the first call, never freed. */
struct mm *mm_self(void);
/**
 * mm_of_process - another process's memory (process.c)
 * @mem_fd, @maps_fd: private descriptors of its /proc/self/mem and /proc/self/maps, which it opened itself: so they
 *	mean that memory for ever, whoever has its number later.  Taken over on success.
 * Any lock.  Return: one reference, for mmdrop(); NULL: memory is short.
 */
struct mm *mm_of_process(int mem_fd, int maps_fd);
/**
 * mm_keep_pinned - pages of such a process at [first, last] are about to leave there: devices keep those that are pinned
 * Return: 0; -ENOMEM.
 */
int mm_keep_pinned(struct mm *mm, u64 first, u64 last);
/** mm_pinned_range - where pins of such a process lie; none: [~0, 0].  Return: how often that has changed. */
u64 mm_pinned_range(struct mm *mm, u64 *ret_first, u64 *ret_last);
/** mmgrab, mmdrop - one reference more, or less; what is pinned has one.  mm_self() is not counted.  Any lock. */
struct mm *mmgrab(struct mm *mm);
void mmdrop(struct mm *mm);

/**
 * copy_from_user, copy_to_user - move bytes between kernel and the calling program
 * Any thread, no lock that a BAR access of any device takes.  A user pointer into a trapped BAR is
 * carried out as accesses to that BAR.
 * Return: 0; -EFAULT.
 */
int copy_from_user(void *dst, const void __user *src, size_t len_bytes);
int copy_to_user(void __user *dst, const void *src, size_t len_bytes);
int clear_user(void __user *dst, size_t len_bytes);
/** strncpy_from_user - Return: length without the NUL; -EFAULT; -ENAMETOOLONG if @size is not enough. */
long strncpy_from_user(char *dst, const char __user *src, size_t size);

/* ---- pinning for DMA ---- */

/**
 * mm_pin - make [uva, uva+len) reachable by devices
 * @uva, @len_bytes: page aligned, no overflow, len not 0
 * @write: the device may write: pages are made private and writable as a write would
 * @ret_phys: physical address of the first byte; the whole range is contiguous
 *
 * The range may be the mapping of one device BAR (then the address is in PHYS_SLOT_MMIO), or ordinary
 * memory, not a mix.  May block while pages come in.  Takes LOCK_VMA inside.
 * Return: 0; -EFAULT if a page is not mapped or not accessible that way (or a BAR whose memory
 * decoding is off); -ENOMEM, also if all slots have old pages of that address that a device still has.
 */
int mm_pin(struct mm *mm, u64 uva, u64 len_bytes, bool write, phys_addr_t *ret_phys);
/** mm_unpin - the counterpart, with what mm_pin() returned.  No device can reach the range any more. */
void mm_unpin(phys_addr_t phys, u64 len_bytes);

/**
 * mm_split_pin - make one pin two, each to be unpinned by itself
 * @phys, @len_bytes: what was pinned;  @head_bytes: of the first, whole pages, less than @len_bytes
 * Return: 0; -ENOMEM, nothing changed.
 */
int mm_split_pin(phys_addr_t phys, u64 len_bytes, u64 head_bytes);

/**
 * mm_same_page - do two addresses of a program show the same page?  (A file may be mapped shared twice.)
 * mm_pin_count - how often the page at @uva is pinned, by whatever address
 * For tests: both read the list of the program's mappings.
 * Return: 1 yes, 0 no; the count; -ENOMEM, or what reading the list says.
 */
int mm_same_page(struct mm *mm, u64 uva, u64 other);
long mm_pin_count(struct mm *mm, u64 uva);

/**
 * struct mmu_notifier_ops - told before pinned pages move, and after
 * invalidate_start: on return no transfer is under way that uses an answer of phys_host_ptr() or
 *	phys_host_range(), and none begins until invalidate_end.  Takes LOCK_HW_IOMMU and above only.
 * invalidate_end: go on; answers may be others now.
 */
struct mmu_notifier_ops {
	void (*invalidate_start)(void *ctx);
	void (*invalidate_end)(void *ctx);
};
/** mmu_notifier_register - the one notifier, by the machine; @ops NULL: none any more. */
void mmu_notifier_register(const struct mmu_notifier_ops *ops, void *ctx);

/* ---- the memory bus: what a physical address reaches ---- */

/**
 * struct phys_slot_ops - who answers for a slot that is not plain memory
 * read, write: 0; -EFAULT if nothing is there.  Any thread; the caller holds no lock above LOCK_HW_MODEL.
 */
struct phys_slot_ops {
	int (*read)(void *ctx, u64 off, void *buf, size_t len_bytes);
	int (*write)(void *ctx, u64 off, const void *buf, size_t len_bytes);
};

/** phys_slot_register - used once per process for PHYS_SLOT_MMIO, by the machine. */
void phys_slot_register(unsigned slot, const struct phys_slot_ops *ops, void *ctx);

/**
 * phys_read, phys_write - what a bus master does with a physical address
 * Return: 0; -EFAULT if memory is not there (any more).
 */
int phys_read(phys_addr_t pa, void *buf, size_t len_bytes);
int phys_write(phys_addr_t pa, const void *buf, size_t len_bytes);
/**
 * phys_host_ptr - the host address of plain memory, to be used with guard_copy() only
 * Return: NULL if the slot is reached by ops.
 */
void *phys_host_ptr(phys_addr_t pa);
/**
 * phys_host_range - likewise, for as many of *@len_bytes as are contiguous there; stores how many
 * While a transfer by it is under way the notifier's invalidate_start does not return.
 */
void *phys_host_range(phys_addr_t pa, u64 *len_bytes);
/**
 * phys_copy_pinned - the long way to memory whose guarded copy failed: the program may have
 * taken rights from it (mprotect) that a pinned page keeps for the device
 * @host: as phys_host_range() said; @write: @buf to @host, else back
 * Return: 0; -EFAULT: it is really not there.
 */
int phys_copy_pinned(void *host, void *buf, size_t len_bytes, bool write);
/**
 * phys_to_bus, bus_to_phys - what a device without an IOMMU calls memory, and back (of what is no BAR)
 * The program's memory is at its virtual addresses, 47 bits; what was moved out of the way while pinned, in
 * the slots above.  The kernel's is nowhere.
 */
static inline u64 phys_to_bus(phys_addr_t pa)
{
	return pa >> PHYS_SLOT_SHIFT == PHYS_SLOT_PROGRAM ? pa & PHYS_OFFSET_MASK : pa;
}
static inline phys_addr_t bus_to_phys(u64 addr)
{
	return addr >> PHYS_SLOT_SHIFT ? addr : (u64)PHYS_SLOT_PROGRAM << PHYS_SLOT_SHIFT | addr;
}
/** virt_to_phys - of kernel memory (page tables). */
static inline phys_addr_t virt_to_phys(const void *p) { return (phys_addr_t)(uintptr_t)p; }

#endif
