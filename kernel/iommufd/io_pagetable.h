/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io_pagetable.h - what is mapped where in an I/O address space, and the memory behind it.
 *
 *	io_pagetable	the content of an IOAS: areas, which never overlap, and where none may be
 *	iopt_area	one mapping: [iova, last] is a stretch of an iopt_pages
 *	iopt_pages	memory that somebody mapped: addresses of a program, or a piece of a file
 *	iopt_pin	a stretch of an iopt_pages that is pinned, and where it is on the bus
 *
 * An address space is independent of any page table.  Without one nothing is pinned, nor even looked at:
 * a mapping of addresses where nothing is is fine.  When page tables (domains) are added, all areas are
 * pinned and written into each.  Several areas, also of several address spaces, may share an iopt_pages
 * (IOMMU_IOAS_COPY); however many areas, domains and accesses use a page, it is pinned once.
 *
 * Memory of a device (a dma-buf) is not pinned: it is where its exporter says, until that takes it back.  Then
 * it leaves all domains, while its areas stay, empty for good.
 *
 * Locks: iopt->lock, then a dma-buf's lock, then pages->lock.  Filling and emptying a domain needs all of them.
 */
#ifndef KERNEL_IOMMUFD_IO_PAGETABLE_H
#define KERNEL_IOMMUFD_IO_PAGETABLE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdatomic.h>

#include "kernel/fs/dma-buf.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/range_tree.h"
#include "kernel/lib/types.h"
#include "kernel/mm/locked_vm.h"

struct device;
struct io_pagetable;
struct iommu_domain;
struct iommufd_ctx;
struct mm;

/* ---- memory ---- */

enum iopt_address_type { IOPT_ADDRESS_USER, IOPT_ADDRESS_FILE, IOPT_ADDRESS_DMABUF };

struct iopt_pin {
	RB_ENTRY(iopt_pin) node;
	u64 first, last;	/* page numbers in the iopt_pages */
	phys_addr_t phys;	/* of the first; the whole stretch is contiguous */
	unsigned users;		/* areas in domains, and accesses, that contain it */
};
RB_HEAD(iopt_pin_tree, iopt_pin);

struct iopt_pages {
	atomic_uint refs;		/* one for each area, and who holds a list of them */
	enum iopt_address_type type;	/* immutable, like all down to the lock */
	bool writable;			/* mapped with the right to write: a COPY gets no more */
	u64 npages;
	struct mm *source_mm;		/* whose memory it is */
	enum locked_vm_mode account;	/* on which what is pinned stands */
	u64 uva;			/* USER: address of the first page */
	int fd;				/* FILE: a private descriptor */
	u64 file_off;			/* FILE: of the first page */
	struct dma_buf *dmabuf;		/* DMABUF: a reference */
	u64 dmabuf_off;			/* DMABUF: of the first page */
	struct dma_buf_attachment attachment;
	struct mutex lock;		/* LOCK_IOPT_PAGES: all below */
	struct mm *account_mm;		/* whose account; source_mm until a process takes over files */
	struct mm *account_before;	/* while a change is under way; else NULL */
	bool revoked;			/* DMABUF: the memory is gone, for us */
	phys_addr_t dmabuf_phys;	/* DMABUF: of the first page, unless revoked */
	TAILQ_HEAD(, iopt_fill) fills;	/* DMABUF: what is in which domain */
	bool file_writable;		/* FILE: that mapping is */
	void *file_map;			/* FILE: our own mapping of it while anything is pinned */
	struct iopt_pin_tree pins;	/* by page number, no two overlap */
	struct iopt_pin spare;		/* the first pin of all; users 0: not in the tree */
};

/**
 * iopt_alloc_user_pages - note addresses of the calling program; nothing is touched
 * Return: with one reference; ERR_PTR(-EOVERFLOW) past 64 bits; -ENOMEM.
 */
struct iopt_pages *iopt_alloc_user_pages(u64 uva, u64 len_bytes, bool writable, enum locked_vm_mode account);
/**
 * iopt_alloc_file_pages - note a piece of a file
 * @fd: the program's; it may close it.  Return: ERR_PTR(-EBADF); -EOVERFLOW; -ENOMEM; -EMFILE.
 */
struct iopt_pages *iopt_alloc_file_pages(int fd, u64 start, u64 len_bytes, bool writable,
					 enum locked_vm_mode account);
/**
 * iopt_alloc_dmabuf_pages - note a piece of a device's memory
 * @buf: takes over the reference, also on failure
 * Return: ERR_PTR(-EINVAL) beyond its end; -ENODEV revoked; -EOVERFLOW; -ENOMEM; what the exporter says.
 */
struct iopt_pages *iopt_alloc_dmabuf_pages(struct dma_buf *buf, u64 start, u64 len_bytes, bool writable);
struct iopt_pages *iopt_get_pages_ref(struct iopt_pages *pages);
/** iopt_put_pages - of a dma-buf: hold no lock.  @pages: may be NULL. */
void iopt_put_pages(struct iopt_pages *pages);
/**
 * iopt_pages_pin - page numbers first..last stay where they are until iopt_pages_unpin() of the same
 * pages->lock held.  Return: 0; -EFAULT not there; -EINVAL no memfd, or beyond its end; -ENOMEM.
 */
int iopt_pages_pin(struct iopt_pages *pages, u64 first, u64 last);
void iopt_pages_unpin(struct iopt_pages *pages, u64 first, u64 last);
/**
 * iopt_pages_change_account - what is pinned goes on the account of @mm
 * pages->lock not held.  Return: 0, and it is to be settled; -ENOMEM the limit, nothing changed.
 */
int iopt_pages_change_account(struct iopt_pages *pages, struct mm *mm);
/** iopt_pages_settle_account - a change, if there was one, stays, or is undone, which cannot fail. */
void iopt_pages_settle_account(struct iopt_pages *pages, bool undo);
/**
 * iopt_pages_phys - where byte @off of pinned memory is; pages->lock held
 * @len_bytes: in: how many are wanted, all pinned; out: how many are contiguous there
 */
phys_addr_t iopt_pages_phys(struct iopt_pages *pages, u64 off, u64 *len_bytes);

/* ---- areas ---- */

struct iopt_area {
	u64 iova, last;			/* iopt->lock, as all but what is immutable */
	struct io_pagetable *iopt;	/* immutable */
	struct iopt_pages *pages;	/* immutable; a reference */
	u64 start_byte;			/* of pages; immutable */
	u8 prot;			/* IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE; immutable */
	bool prevent_access;		/* about to go: no access may pin any more */
	unsigned num_accesses;		/* pins of accesses */
	unsigned num_locks;		/* those that an unmap must not take back */
	struct iopt_area *next_dead;	/* of io_pagetable.dead */
};

static inline u64 iopt_area_length(const struct iopt_area *area) { return area->last - area->iova + 1; }
static inline u64 iopt_area_byte(const struct iopt_area *area, u64 iova)
{
	return area->start_byte + (iova - area->iova);
}
/* Page numbers that the area touches. */
static inline u64 iopt_area_index(const struct iopt_area *area) { return area->start_byte >> PAGE_SHIFT; }
static inline u64 iopt_area_last_index(const struct iopt_area *area)
{
	return iopt_area_byte(area, area->last) >> PAGE_SHIFT;
}

/**
 * iopt_area_fill_domain - pin the area's memory unless @pinned, write it into @domain
 * iopt->lock held.  Return: 0; of pinning; of iommu_map(); then nothing of it is left.
 */
int iopt_area_fill_domain(struct iopt_area *area, struct iommu_domain *domain, bool pinned);
/** iopt_area_unfill_domain - take it out of @domain; @unpin: let the memory go. */
void iopt_area_unfill_domain(struct iopt_area *area, struct iommu_domain *domain, bool unpin);

/* ---- address spaces ---- */

/* Somebody who reads, writes or pins what is mapped; part of a struct iommufd_access. */
struct iopt_access {
	TAILQ_ENTRY(iopt_access) next;	/* iopt->lock */
	u64 iova_alignment;		/* 1, or PAGE_SIZE for one that pins; immutable */
	/** unmap - as iommufd_access_ops.unmap; NULL for one that never pins.  No lock held. */
	void (*unmap)(struct iopt_access *access, u64 iova, u64 len_bytes);
	unsigned notifying;		/* iopt->lock: calls of unmap under way */
};

struct iopt_reserved {
	TAILQ_ENTRY(iopt_reserved) next;
	u64 start, last;
	const void *owner; /* for whose sake: a device, a domain, a test */
};

struct iopt_allowed {
	u64 start, last;
};

struct io_pagetable {
	struct mutex lock;		/* LOCK_IOPT: all below */
	struct range_tree areas;	/* by iova */
	TAILQ_HEAD(, iopt_reserved) reserved; /* by start; they may overlap */
	struct iopt_allowed *allowed;	/* ascending; they do not overlap */
	unsigned nr_allowed;		/* 0: everything that is not reserved */
	struct iommu_domain **domains;
	unsigned nr_domains, room_domains;
	TAILQ_HEAD(, iopt_access) accesses;
	struct iopt_area *dead;		/* to be freed once the lock is given up */
	bool disable_large_pages;	/* each page has its own entry in the page tables */
	u64 iova_alignment;		/* of iova and length of each mapping: 1 without a domain */
};

void iopt_init_table(struct io_pagetable *iopt);
/** iopt_destroy_table - no domain and no access is in it any more. */
void iopt_destroy_table(struct io_pagetable *iopt);

/* A stretch of an iopt_pages, on its way from one address space to another. */
struct iopt_piece {
	TAILQ_ENTRY(iopt_piece) next;
	struct iopt_pages *pages; /* a reference; NULL once an area has it */
	u64 start_byte, length;
};
TAILQ_HEAD(iopt_pieces, iopt_piece);

#define IOPT_ALLOC_IOVA BIT(0) /* *@iova is chosen */

/**
 * iopt_map_pages - map pieces one behind the other
 * @length: of all;  @iova: where, or filled in with IOPT_ALLOC_IOVA.  The pieces stay the caller's, what they refer
 *	to may not: iopt_free_pieces().
 * Return: 0; -EINVAL length 0, unaligned or reserved; -EOVERFLOW; -EEXIST; -ENOSPC nothing is free; -EPERM
 * writing where the pieces' owner had no such right; and as iopt_area_fill_domain().  Then nothing is mapped.
 */
int iopt_map_pages(struct io_pagetable *iopt, struct iopt_pieces *pieces, u64 length, u64 *iova, u8 prot,
		   unsigned flags);
/** iopt_map_one - the same for one iopt_pages, whose reference it takes over, also on failure. */
int iopt_map_one(struct io_pagetable *iopt, struct iopt_pages *pages, u64 start_byte, u64 length, u64 *iova,
		 u8 prot, unsigned flags);
/** iopt_get_pages - the pieces that are mapped in a range.  0; -EINVAL length 0; -EOVERFLOW; -ENOENT holes; -ENOMEM. */
int iopt_get_pages(struct io_pagetable *iopt, u64 iova, u64 length, struct iopt_pieces *ret_pieces);
void iopt_free_pieces(struct iopt_pieces *pieces);
/**
 * iopt_unmap_iova - unmap all areas in a range; *@ret_bytes counts them up, also on failure
 * Return: 0, also if there was none; -EINVAL length 0; -EOVERFLOW; -ENOENT an area is only partly in it; -EBUSY
 * an area is locked; -EDEADLK an access does not let go.  Areas below the one that is in the way are gone.
 */
int iopt_unmap_iova(struct io_pagetable *iopt, u64 iova, u64 length, u64 *ret_bytes);
int iopt_unmap_all(struct io_pagetable *iopt, u64 *ret_bytes);
/**
 * iopt_cut_iova - make each of @iovas the last of its area, if it is in one and not its first byte
 * Only without large pages.  Return: 0; -EINVAL unaligned, or accessed; -EOPNOTSUPP of a dma-buf; -EBUSY; -ENOMEM.
 */
int iopt_cut_iova(struct io_pagetable *iopt, const u64 *iovas, unsigned count);

/** iopt_set_allow_iova - 0 and takes over @allowed; -EADDRINUSE a range meets a reserved one. */
int iopt_set_allow_iova(struct io_pagetable *iopt, struct iopt_allowed *allowed, unsigned count);
/** iopt_reserve_iova - 0; -EINVAL; -EADDRINUSE an area or an allowed range is there; -ENOMEM. */
int iopt_reserve_iova(struct io_pagetable *iopt, u64 start, u64 last, const void *owner);
/** iopt_remove_reserved_iova - all of one owner. */
void iopt_remove_reserved_iova(struct io_pagetable *iopt, const void *owner);
/**
 * iopt_table_enforce_dev_resv_regions - reserve, for @dev, what its IOMMU group reserves
 * @sw_msi_start: if not NULL, set to the software MSI window's start if there is one.  Where there is, a kernel maps the
 *	interrupt controller there.  No unit of a PC has one: writes to 0xfee00000 are interrupts, before any translation.
 */
int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt, struct device *dev, u64 *sw_msi_start);
/** iopt_for_each_usable - the ranges that are not reserved, ascending, until @fn is not 0, which is returned. */
int iopt_for_each_usable_locked(struct io_pagetable *iopt, void *arg, int (*fn)(void *arg, u64 start, u64 last));

/**
 * iopt_table_add_domain - everything that is mapped goes into @domain, and what will be
 * Return: 0; -EADDRINUSE an area, or an allowed range, is none that the domain can translate; as
 * iopt_area_fill_domain().  Then the domain is as it was.
 */
int iopt_table_add_domain(struct io_pagetable *iopt, struct iommu_domain *domain);
void iopt_table_remove_domain(struct io_pagetable *iopt, struct iommu_domain *domain);
/** iopt_enable_large_pages, iopt_disable_large_pages - -EINVAL mapped already; -EADDRINUSE unaligned areas. */
void iopt_enable_large_pages(struct io_pagetable *iopt);
int iopt_disable_large_pages(struct io_pagetable *iopt);

/** iopt_add_access - 0; -EADDRINUSE there are areas that are not as aligned as it needs. */
int iopt_add_access(struct io_pagetable *iopt, struct iopt_access *access);
/** iopt_remove_access - nothing of it is pinned.  Waits for calls of its unmap: not from there. */
void iopt_remove_access(struct io_pagetable *iopt, struct iopt_access *access);
/**
 * iopt_pin_pages - see iommufd_access_pin_pages(); @lock: an unmap gets EBUSY instead of calling back
 * @ret_phys: one entry for each page touched; may be NULL
 */
int iopt_pin_pages(struct io_pagetable *iopt, u64 iova, u64 length, phys_addr_t *ret_phys, bool write, bool lock);
void iopt_unpin_pages(struct io_pagetable *iopt, u64 iova, u64 length, bool lock);
/** iopt_rw - see iommufd_access_rw(). */
int iopt_rw(struct io_pagetable *iopt, u64 iova, void *data, u64 length, bool write);

/**
 * iopt_change_process - all that is mapped, files only, goes on the account of @mm
 * Return: 0; -EINVAL something else is mapped; -ENOMEM the limit.  In any case it is to be settled.
 */
int iopt_change_process(struct io_pagetable *iopt, struct mm *mm);
/**
 * iopt_settle_process - it stays so; @undo: this or another address space could not follow, it was never so
 * What address spaces share is settled with the first of them.
 */
void iopt_settle_process(struct io_pagetable *iopt, bool undo);

/** iopt_area_first - the lowest area that has a byte in [start, last]; NULL.  iopt->lock held. */
struct iopt_area *iopt_area_first(struct io_pagetable *iopt, u64 start, u64 last);
/** iopt_next_area - the one above; NULL.  iopt->lock held. */
static inline struct iopt_area *iopt_next_area(const struct iopt_area *area)
{
	return range_tree_after(&area->iopt->areas, area->last);
}
/* All areas, ascending. */
#define iopt_for_each_area(area, iopt_) \
	for ((area) = range_tree_find(&(iopt_)->areas, 0); (area); (area) = iopt_next_area(area))

#endif
