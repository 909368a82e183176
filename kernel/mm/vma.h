/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vma.h - the mappings of our files in a program's address space.
 *
 * One vm_area for each range of addresses at which a program has mapped a file of ours (a BAR).  The
 * front end makes the real mapping and keeps this list true on mmap, munmap, mprotect and mremap;
 * the fault handler asks it who answers for an address; mm_pin() asks it whether an address is a BAR.
 *
 * Reference counts: the list holds one; vma_find() gives one more.  A vm_area keeps its file alive.
 */
#ifndef KERNEL_MM_VMA_H
#define KERNEL_MM_VMA_H

#include <bsd/sys/tree.h>
#include <stdatomic.h>

#include "kernel/mm/mm.h"

struct file;

struct vm_operations {
	/**
	 * access - one trapped load or store
	 * @off: bytes from the start of the file's mapping offset (vm_area.pgoff_bytes added already)
	 * @buf: value in memory order; 1 to 64 bytes
	 * Return: 0; -EFAULT if the program must get SIGBUS (memory decoding off, device gone).
	 */
	int (*access)(struct vm_area *vma, u64 off, void *buf, unsigned len_bytes, bool write);
	/**
	 * direct - the memory behind page-aligned @off, if the program may use it without a trap
	 * @ret_fd, @ret_off: file and offset to map; @ret_prot: PROT_READ for read-direct, PROT_READ|PROT_WRITE
	 *	for direct, 0 for trapped
	 * @ret_len: bytes, from @off on, for which the answer holds
	 */
	void (*direct)(struct vm_area *vma, u64 off, int *ret_fd, u64 *ret_off, int *ret_prot, u64 *ret_len);
	/**
	 * open - optional: one more area of the same mapping comes to be (a split); LOCK_VMA may be held
	 * close - optional: an area goes; no lock held.  The area that mmap() filled in counts as opened.
	 */
	void (*open)(struct vm_area *vma);
	void (*close)(struct vm_area *vma);
	/** phys - physical address of @off for peer-to-peer DMA.  Return: 0; -EFAULT (decoding off). */
	int (*phys)(struct vm_area *vma, u64 off, phys_addr_t *ret_phys);
};

/*
 * Once in the list an area never moves or shrinks: whoever holds a reference may read it without a
 * lock.  A list change replaces areas by new ones with the same file, ops and private_data.
 */
struct vm_area {
	u64 start, last;	/* addresses in the program; immutable */
	u64 pgoff_bytes;	/* file offset of @start; immutable */
	int prot;		/* PROT_ bits that the program asked for; immutable */
	const struct vm_operations *ops; /* set by file_operations.mmap */
	void *private_data;	/* likewise */
	struct file *file;	/* holds a reference */
	atomic_int refs;
	RB_ENTRY(vm_area) node;	/* under LOCK_VMA */
	struct vm_area *next;	/* vma.c: while a change is under way */
};

/*
 * A mapping holds its file, but mm/ is below fs/: file.c says here how that is done.  put runs without
 * LOCK_VMA and may be the last.  close_private is fd_private_close().
 */
struct vma_file_ops {
	void (*get)(struct file *file);
	void (*put)(struct file *file);
	void (*close_private)(int fd);
};
void vma_file_register(const struct vma_file_ops *ops);

/** vma_alloc - a vm_area not yet in the list; takes a reference on @file.  NULL if memory is short. */
struct vm_area *vma_alloc(struct file *file, u64 start, u64 len_bytes, u64 pgoff_bytes, int prot);
/**
 * vma_insert - put it into the list, which takes over the caller's reference
 * The range must be free: vma_remove() it first.
 */
void vma_insert(struct mm *mm, struct vm_area *vma);
/**
 * vma_remove - forget what lies in [start, start+len): whole areas, heads, tails, middles (then one
 * area becomes two).  Return: 0; -ENOMEM with nothing changed.
 */
int vma_remove(struct mm *mm, u64 start, u64 len_bytes);
/**
 * vma_protect - areas in [start, start+len) get @prot, split as in vma_remove()
 * Return: 0; -ENOMEM with nothing changed.
 */
int vma_protect(struct mm *mm, u64 start, u64 len_bytes, int prot);
/** vma_inherit - @vma, fresh, is for a part of what @from maps: the same operations. */
void vma_inherit(struct vm_area *vma, const struct vm_area *from);
/** vma_find - the area that holds @addr, with a reference; NULL.  Cheap when there are no areas. */
struct vm_area *vma_find(struct mm *mm, u64 addr);
/** vma_find_first - the first area that touches [start, last], with a reference; NULL. */
struct vm_area *vma_find_first(struct mm *mm, u64 start, u64 last);
void vma_put(struct vm_area *vma);
/**
 * vma_access - carry out an access to @vma at address @addr, in pieces of 8, 4, 2 and 1 bytes
 * @buf, @len_bytes: any length; [addr, addr+len) lies in @vma
 * No lock held.  Return: 0; -EFAULT, and then some first pieces may have been done.
 */
int vma_access(struct vm_area *vma, u64 addr, void *buf, size_t len_bytes, bool write);
/** vma_get - one more reference. */
struct vm_area *vma_get(struct vm_area *vma);
/** vma_close_private - close a private descriptor, for files of this folder. */
void vma_close_private(int fd);
/** vma_forget_all - in a child after fork: the list is empty and not locked; what was in it is kept for ever. */
void vma_forget_all(struct mm *mm);
/**
 * vma_for_each_private - call @fn for every area with that private_data, LOCK_VMA held: used to revoke
 * mappings.  @fn takes no lock.
 */
void vma_for_each_private(struct mm *mm, const void *private_data, void (*fn)(struct vm_area *, void *),
			  void *arg);

/**
 * vma_host_revoke - make the pages of an area what vm_operations.direct says now; set by the front end,
 * NULL without one.  Called from vma_for_each_private(), after the answer of direct has changed.
 */
extern void (*vma_host_revoke)(struct vm_area *vma);
/**
 * vma_no_trap - the program runs guests under KVM, whose loads and stores cannot be trapped: pages that
 * would need it are not to be offered for mmap.  Set by the front end, once.
 */
extern bool vma_no_trap;

#endif
