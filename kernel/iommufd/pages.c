/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.c - the memory behind mappings: what is pinned of it, and how it gets into a page table.
 *
 * An iopt_pages is a row of pages, numbered from 0.  Users (an area in a domain, an access) ask for a
 * stretch of them to be pinned; stretches of several users may overlap in any way.  What is pinned is kept
 * as pins that do not overlap and have a count of users each.  A new user's stretch is first made to
 * consist of whole pins:
 *
 *	pins before	[.....A.....]        [..B..]
 *	new user	       [==================]
 *	pins after	[..A.1.][A.2][..new..][..B..]
 *
 * by cutting A in two and pinning what lies between.  Then each pin inside gets one user more.  Since the
 * edges of every user's stretch are edges of pins as long as it is there, letting go is nothing but
 * counting down, and cannot fail.
 *
 * Memory of a program is contiguous on our bus (mm.h), so that a pin is one physical range.  A file is
 * reached by a mapping of our own, made when the first page of it is pinned.
 *
 * A dma-buf has no pins.  What of it is in a domain is noted (iopt_fill), so that it can be taken out of all
 * of them, whoever's they are, when its exporter wants it back.
 *
 * Always: pages->lock is held around everything here that looks at pins or fills.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kernel/fs/file.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/io_pagetable.h"
#include "kernel/iommufd/selftest.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"

#define HEX(x) (unsigned long long)(x)

/* ---- making ---- */

static int pin_cmp(const struct iopt_pin *a, const struct iopt_pin *b)
{
	if (a->last < b->first)
		return -1;
	return a->first > b->last;
}

RB_GENERATE_INTERNAL(iopt_pin_tree, iopt_pin, node, pin_cmp, static __attribute__((unused)))

static struct iopt_pages *pages_alloc(u64 start, u64 len_bytes, bool writable)
{
	struct iopt_pages *pages = kmalloc(sizeof(*pages));
	const u64 offset = start & ~PAGE_MASK;

	if (!pages)
		return ERR_PTR(fail(-ENOMEM, "no memory to note what is mapped"));
	*pages = (struct iopt_pages){
		.writable = writable,
		.npages = (len_bytes >> PAGE_SHIFT) + (((len_bytes & ~PAGE_MASK) + offset + PAGE_SIZE - 1) >> PAGE_SHIFT),
		.source_mm = mmgrab(current_mm()),
		.fd = -1,
	};
	pages->account_mm = mmgrab(pages->source_mm);
	atomic_init(&pages->refs, 1);
	mutex_init(&pages->lock, LOCK_IOPT_PAGES);
	RB_INIT(&pages->pins);
	TAILQ_INIT(&pages->fills);
	return pages;
}

struct iopt_pages *iopt_alloc_user_pages(u64 uva, u64 len_bytes, bool writable, enum locked_vm_mode account)
{
	struct iopt_pages *pages;
	u64 end;

	if (__builtin_add_overflow(uva, len_bytes, &end))
		return ERR_PTR(fail(-EOVERFLOW, "user_va %#llx plus length %#llx goes beyond 64 bits", HEX(uva),
				    HEX(len_bytes)));
	pages = pages_alloc(uva, len_bytes, writable);
	if (!IS_ERR(pages)) {
		pages->type = IOPT_ADDRESS_USER;
		pages->account = account;
		pages->uva = uva & PAGE_MASK;
	}
	return pages;
}

struct iopt_pages *iopt_alloc_file_pages(int fd, u64 start, u64 len_bytes, bool writable,
					 enum locked_vm_mode account)
{
	struct iopt_pages *pages;
	u64 end;
	int own;

	if (__builtin_add_overflow(start, len_bytes, &end))
		return ERR_PTR(fail(-EOVERFLOW, "start %#llx plus length %#llx goes beyond 64 bits", HEX(start),
				    HEX(len_bytes)));
	own = fd < 0 ? -EBADF : fd_dup_private(fd);
	if (own < 0)
		return ERR_PTR(fail(own, "descriptor %d cannot be held", fd));
	pages = pages_alloc(start, len_bytes, writable);
	if (IS_ERR(pages)) {
		fd_private_close(own);
		return pages;
	}
	pages->type = IOPT_ADDRESS_FILE;
	mmdrop(pages->source_mm);
	pages->source_mm = mm_self(); /* where it is mapped, whoever asked for it */
	pages->account = account;
	pages->fd = own;
	pages->file_off = start & PAGE_MASK;
	return pages;
}

/* What of a dma-buf is in a domain. */
struct iopt_fill {
	TAILQ_ENTRY(iopt_fill) next;
	struct iommu_domain *domain;
	u64 iova, length;
};

static void lock_pages(struct iopt_pages *pages)
{
	if (unlikely(pages->dmabuf))
		dma_buf_lock(pages->dmabuf);
	mutex_lock(&pages->lock);
}

static void unlock_pages(struct iopt_pages *pages)
{
	mutex_unlock(&pages->lock);
	if (unlikely(pages->dmabuf))
		dma_buf_unlock(pages->dmabuf);
}

static void drop_fill(struct iopt_pages *pages, struct iopt_fill *fill)
{
	iommu_unmap(fill->domain, fill->iova, fill->length);
	TAILQ_REMOVE(&pages->fills, fill, next);
	kfree(fill);
}

/* The exporter takes the memory back; it holds the lock of the buffer. */
static void revoke_pages(struct dma_buf_attachment *attachment)
{
	struct iopt_pages *pages = container_of(attachment, struct iopt_pages, attachment);

	mutex_lock(&pages->lock);
	pages->revoked = true;
	while (!TAILQ_EMPTY(&pages->fills))
		drop_fill(pages, TAILQ_FIRST(&pages->fills));
	mutex_unlock(&pages->lock);
}

static int attach_dmabuf(struct iopt_pages *pages, struct dma_buf *buf)
{
	int ret;

	dma_buf_lock(buf);
	ret = buf->ops->phys(buf, &pages->dmabuf_phys);
	if (!ret) {
		pages->dmabuf_phys += pages->dmabuf_off;
		pages->attachment.revoke = revoke_pages;
		pages->dmabuf = buf;
		dma_buf_attach(buf, &pages->attachment);
	}
	dma_buf_unlock(buf);
	return ret;
}

struct iopt_pages *iopt_alloc_dmabuf_pages(struct dma_buf *buf, u64 start, u64 len_bytes, bool writable)
{
	struct iopt_pages *pages;
	int ret = 0;

	if (start > buf->size || len_bytes > buf->size - start)
		ret = fail(-EINVAL, "the dma-buf has %#llx bytes, and not %#llx at %#llx", HEX(buf->size), HEX(len_bytes),
			   HEX(start));
	pages = ret ? ERR_PTR(ret) : pages_alloc(start, len_bytes, writable);
	if (IS_ERR(pages)) {
		dma_buf_put(buf);
		return pages;
	}
	pages->type = IOPT_ADDRESS_DMABUF;
	pages->dmabuf_off = start & PAGE_MASK;
	ret = attach_dmabuf(pages, buf);
	if (ret) {
		iopt_put_pages(pages);
		dma_buf_put(buf);
		return ERR_PTR(ret);
	}
	return pages;
}

struct iopt_pages *iopt_get_pages_ref(struct iopt_pages *pages)
{
	atomic_fetch_add_explicit(&pages->refs, 1, memory_order_relaxed);
	return pages;
}

void iopt_put_pages(struct iopt_pages *pages)
{
	if (!pages || atomic_fetch_sub_explicit(&pages->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (pages->fd >= 0)
		fd_private_close(pages->fd);
	if (pages->dmabuf) {
		dma_buf_lock(pages->dmabuf);
		dma_buf_detach(pages->dmabuf, &pages->attachment);
		dma_buf_unlock(pages->dmabuf);
		dma_buf_put(pages->dmabuf);
	}
	mmdrop(pages->account_mm);
	mmdrop(pages->source_mm);
	mutex_destroy(&pages->lock);
	kfree(pages);
}

/* ---- a file's pages: our own mapping of them ---- */

/* Only files that live in memory, and only what is there. */
static int check_file(const struct iopt_pages *pages, u64 last)
{
	const u64 need = pages->file_off + ((last + 1) << PAGE_SHIFT);
	struct stat st;

	if (sys_fcntl(pages->fd, F_GET_SEALS, 0) < 0)
		return fail(-EINVAL, "the file that is mapped is no memfd, so that its pages cannot be pinned");
	if (sys_fstat(pages->fd, &st) || (u64)st.st_size < need)
		return fail(-EINVAL, "the memfd has %#llx bytes, but what is mapped ends at %#llx",
			    HEX(st.st_size), HEX(need));
	return 0;
}

static void *mmap_file(const struct iopt_pages *pages, int fd, int prot)
{
	return sys_mmap(NULL, pages->npages << PAGE_SHIFT, prot, MAP_SHARED | MAP_NORESERVE, fd, (off_t)pages->file_off);
}

/* For writing, also if the program's descriptor is not: devices do not go by it.  -EPERM: the file is sealed. */
static void *mmap_file_writable(const struct iopt_pages *pages)
{
	void *map = mmap_file(pages, pages->fd, PROT_READ | PROT_WRITE);
	char name[32];
	int fd;

	if (!IS_ERR(map) || PTR_ERR(map) != -EACCES)
		return map;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", pages->fd);
	fd = sys_open(name, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return map;
	map = mmap_file(pages, fd, PROT_READ | PROT_WRITE);
	sys_close(fd);
	return map;
}

static int map_file(struct iopt_pages *pages)
{
	void *map;

	if (pages->file_map)
		return 0;
	map = pages->writable ? mmap_file_writable(pages) : ERR_PTR(-EACCES);
	pages->file_writable = !IS_ERR(map);
	if (IS_ERR(map) && (PTR_ERR(map) == -EACCES || PTR_ERR(map) == -EPERM))
		map = mmap_file(pages, pages->fd, PROT_READ);
	if (IS_ERR(map))
		return fail((int)PTR_ERR(map), "%#llx bytes of the memfd at %#llx cannot be mapped",
			    HEX(pages->npages << PAGE_SHIFT), HEX(pages->file_off));
	pages->file_map = map;
	return 0;
}

static void unmap_file_if_idle(struct iopt_pages *pages)
{
	if (!pages->file_map || !RB_EMPTY(&pages->pins))
		return;
	sys_munmap(pages->file_map, pages->npages << PAGE_SHIFT);
	pages->file_map = NULL;
}

/* ---- pins ---- */

static struct iopt_pin *pin_alloc(struct iopt_pages *pages)
{
	/* Most memory is pinned whole, once. */
	struct iopt_pin *pin = RB_EMPTY(&pages->pins) ? &pages->spare : kmalloc(sizeof(*pin));

	if (!pin)
		(void)fail(-ENOMEM, "no memory to note a pin");
	return pin;
}

static void pin_free(struct iopt_pages *pages, struct iopt_pin *pin)
{
	if (pin != &pages->spare)
		kfree(pin);
}

/* The lowest pin that ends at @index or behind it. */
static struct iopt_pin *pin_from(struct iopt_pages *pages, u64 index)
{
	struct iopt_pin key = { .first = index, .last = index };

	return RB_NFIND(iopt_pin_tree, &pages->pins, &key);
}

static u64 pin_bytes(const struct iopt_pin *pin)
{
	return (pin->last - pin->first + 1) << PAGE_SHIFT;
}

/* A mapping of a device would be pinned as such: what type1 does, iommufd does not. */
static int refuse_bar(struct iopt_pages *pages, u64 uva, u64 len)
{
	struct vm_area *vma;
	u64 last;

	if (range_overflows(uva, len, &last))
		return fail(-EFAULT, "[%#llx, +%#llx) is not a range of a program's addresses", HEX(uva), HEX(len));
	vma = vma_find_first(pages->source_mm, uva, last);
	if (!vma)
		return 0;
	vma_put(vma);
	return fail(-EFAULT, "[%#llx-%#llx] touches the mapping of a device: iommufd pins memory only, a BAR is "
		    "mapped as dma-buf (VFIO_DEVICE_FEATURE_DMA_BUF)", HEX(uva), HEX(last));
}

static int charge_and_pin(struct iopt_pages *pages, u64 uva, u64 len, phys_addr_t *ret_phys)
{
	int ret = locked_vm_charge(pages->account_mm, pages->account, len >> PAGE_SHIFT);

	if (ret)
		return ret;
	if (iommufd_should_fail())
		ret = -EFAULT;
	else
		ret = mm_pin(pages->source_mm, uva, len, pages->writable && (!pages->file_map || pages->file_writable), ret_phys);
	if (!ret)
		return 0;
	locked_vm_uncharge(pages->account_mm, pages->account, len >> PAGE_SHIFT);
	return fail(ret, "memory at %#llx cannot be pinned for a device that may %s", HEX(uva),
		    pages->writable ? "write" : "read");
}

/* Pin what no pin covers yet. */
static int pin_hole(struct iopt_pages *pages, u64 first, u64 last)
{
	const u64 len = (last - first + 1) << PAGE_SHIFT;
	struct iopt_pin *pin;
	u64 uva;
	int ret;

	if (pages->type == IOPT_ADDRESS_FILE) {
		ret = check_file(pages, last);
		if (!ret)
			ret = map_file(pages);
		uva = (u64)(uintptr_t)pages->file_map + (first << PAGE_SHIFT);
	} else {
		uva = pages->uva + (first << PAGE_SHIFT);
		ret = refuse_bar(pages, uva, len);
	}
	if (ret)
		return ret;
	pin = pin_alloc(pages);
	if (!pin)
		return -ENOMEM;
	ret = charge_and_pin(pages, uva, len, &pin->phys);
	if (ret) {
		pin_free(pages, pin);
		return ret;
	}
	pin->first = first;
	pin->last = last;
	pin->users = 0;
	RB_INSERT(iopt_pin_tree, &pages->pins, pin);
	return 0;
}

static void drop_pin(struct iopt_pages *pages, struct iopt_pin *pin)
{
	RB_REMOVE(iopt_pin_tree, &pages->pins, pin);
	mm_unpin(pin->phys, pin_bytes(pin));
	locked_vm_uncharge(pages->account_mm, pages->account, pin_bytes(pin) >> PAGE_SHIFT);
	pin_free(pages, pin);
}

/* Let @index be the first page of a pin, if it is in one. */
static int cut_before(struct iopt_pages *pages, u64 index)
{
	struct iopt_pin *pin = pin_from(pages, index), *tail;
	u64 head_bytes;
	int ret;

	if (!pin || pin->first >= index)
		return 0;
	tail = kmalloc(sizeof(*tail));
	if (!tail)
		return fail(-ENOMEM, "no memory to note a pin");
	head_bytes = (index - pin->first) << PAGE_SHIFT;
	ret = mm_split_pin(pin->phys, pin_bytes(pin), head_bytes);
	if (ret) {
		kfree(tail);
		return ret;
	}
	*tail = (struct iopt_pin){ .first = index, .last = pin->last, .phys = pin->phys + head_bytes,
				   .users = pin->users };
	pin->last = index - 1;
	RB_INSERT(iopt_pin_tree, &pages->pins, tail);
	return 0;
}

/* Pins that nobody uses (yet) go. */
static void drop_unused(struct iopt_pages *pages, u64 first, u64 last)
{
	struct iopt_pin *pin = pin_from(pages, first), *next;

	for (; pin && pin->first <= last; pin = next) {
		next = RB_NEXT(iopt_pin_tree, &pages->pins, pin);
		if (!pin->users)
			drop_pin(pages, pin);
	}
	unmap_file_if_idle(pages);
}

static int pin_holes(struct iopt_pages *pages, u64 first, u64 last)
{
	struct iopt_pin *pin;
	u64 hole_last;
	int ret;

	while (first <= last) {
		pin = pin_from(pages, first);
		if (!pin || pin->first > first) {
			hole_last = pin ? min(last, pin->first - 1) : last;
			ret = pin_hole(pages, first, hole_last);
			if (ret)
				return ret;
			first = hole_last + 1;
		} else {
			first = pin->last + 1;
		}
	}
	return 0;
}

int iopt_pages_pin(struct iopt_pages *pages, u64 first, u64 last)
{
	struct iopt_pin *pin;
	int ret = 0;

	lockdep_assert_held(&pages->lock);
	if (unlikely(!RB_EMPTY(&pages->pins))) {
		ret = cut_before(pages, first);
		if (!ret)
			ret = cut_before(pages, last + 1);
	}
	if (!ret)
		ret = pin_holes(pages, first, last);
	if (ret) {
		drop_unused(pages, first, last);
		return ret;
	}
	for (pin = pin_from(pages, first); pin && pin->first <= last; pin = RB_NEXT(iopt_pin_tree, &pages->pins, pin))
		pin->users++;
	return 0;
}

void iopt_pages_unpin(struct iopt_pages *pages, u64 first, u64 last)
{
	struct iopt_pin *pin = pin_from(pages, first), *next;

	lockdep_assert_held(&pages->lock);
	for (; pin && pin->first <= last; pin = next) {
		next = RB_NEXT(iopt_pin_tree, &pages->pins, pin);
		if (--pin->users == 0)
			drop_pin(pages, pin);
	}
	unmap_file_if_idle(pages);
}

phys_addr_t iopt_pages_phys(struct iopt_pages *pages, u64 off, u64 *len_bytes)
{
	struct iopt_pin *pin = pin_from(pages, off >> PAGE_SHIFT), *next;
	const u64 begin = off - (pin->first << PAGE_SHIFT);
	u64 have = pin_bytes(pin);
	phys_addr_t phys = pin->phys + begin;

	lockdep_assert_held(&pages->lock);
	while (have - begin < *len_bytes) {
		next = RB_NEXT(iopt_pin_tree, &pages->pins, pin);
		if (!next || next->first != pin->last + 1 || next->phys != pin->phys + pin_bytes(pin))
			break;
		pin = next;
		have += pin_bytes(pin);
	}
	*len_bytes = min(*len_bytes, have - begin);
	return phys;
}

/* ---- whose account ---- */

static u64 pinned_pages(struct iopt_pages *pages)
{
	struct iopt_pin *pin;
	u64 sum = 0;

	RB_FOREACH(pin, iopt_pin_tree, &pages->pins)
		sum += pin->last - pin->first + 1;
	return sum;
}

static int change_account_locked(struct iopt_pages *pages, struct mm *mm)
{
	u64 count = pinned_pages(pages);
	int ret = locked_vm_charge(mm, pages->account, count);

	if (ret)
		return ret;
	locked_vm_uncharge(pages->account_mm, pages->account, count);
	pages->account_before = pages->account_mm;
	pages->account_mm = mmgrab(mm);
	return 0;
}

int iopt_pages_change_account(struct iopt_pages *pages, struct mm *mm)
{
	int ret = 0;

	mutex_lock(&pages->lock);
	if (pages->account_mm != mm && pages->account != LOCKED_VM_PINNED)
		ret = change_account_locked(pages, mm);
	mutex_unlock(&pages->lock);
	return ret;
}

void iopt_pages_settle_account(struct iopt_pages *pages, bool undo)
{
	u64 count;

	mutex_lock(&pages->lock);
	if (pages->account_before && undo) {
		count = pinned_pages(pages);
		locked_vm_uncharge(pages->account_mm, pages->account, count);
		locked_vm_charge_back(pages->account_before, pages->account, count);
		mmdrop(pages->account_mm);
		pages->account_mm = pages->account_before;
	} else {
		mmdrop(pages->account_before);
	}
	pages->account_before = NULL;
	mutex_unlock(&pages->lock);
}

/* ---- into domains and out of them ---- */

static int map_piece(const struct iopt_area *area, struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len)
{
	u64 done, page;
	int ret;

	if (likely(!area->iopt->disable_large_pages))
		return iommu_map(domain, iova, phys, len, area->prot);
	for (done = 0; done < len; done += page) {
		page = min(PAGE_SIZE, len - done);
		ret = iommu_map(domain, iova + done, phys + done, page, area->prot);
		if (ret) {
			if (done)
				iommu_unmap(domain, iova, done);
			return ret;
		}
	}
	return 0;
}

static int map_area(struct iopt_area *area, struct iommu_domain *domain)
{
	u64 iova = area->iova, len;
	phys_addr_t phys;
	int ret;

	for (;;) {
		len = area->last - iova + 1;
		phys = iopt_pages_phys(area->pages, iopt_area_byte(area, iova), &len);
		ret = map_piece(area, domain, iova, phys, len);
		if (ret)
			break;
		if (iova + len - 1 == area->last)
			return 0;
		iova += len;
	}
	if (iova > area->iova)
		iommu_unmap(domain, area->iova, iova - area->iova);
	return fail(ret, "the page table cannot take iova [%#llx-%#llx]", HEX(area->iova), HEX(area->last));
}

static int fill_pinned(struct iopt_area *area, struct iommu_domain *domain, bool pinned)
{
	struct iopt_pages *pages = area->pages;
	int ret = 0;

	if (!pinned)
		ret = iopt_pages_pin(pages, iopt_area_index(area), iopt_area_last_index(area));
	if (ret)
		return ret;
	ret = map_area(area, domain);
	if (ret && !pinned)
		iopt_pages_unpin(pages, iopt_area_index(area), iopt_area_last_index(area));
	return ret;
}

/* What has been taken back is mapped nowhere, which is no failure. */
static int fill_dmabuf(struct iopt_area *area, struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;
	struct iopt_fill *fill;
	int ret;

	if (pages->revoked)
		return 0;
	fill = kmalloc(sizeof(*fill));
	if (!fill)
		return fail(-ENOMEM, "no memory to note what of a dma-buf is mapped");
	*fill = (struct iopt_fill){ .domain = domain, .iova = area->iova, .length = iopt_area_length(area) };
	ret = map_piece(area, domain, area->iova, pages->dmabuf_phys + area->start_byte, fill->length);
	if (ret) {
		kfree(fill);
		return fail(ret, "the page table cannot take iova [%#llx-%#llx]", HEX(area->iova), HEX(area->last));
	}
	TAILQ_INSERT_TAIL(&pages->fills, fill, next);
	return 0;
}

int iopt_area_fill_domain(struct iopt_area *area, struct iommu_domain *domain, bool pinned)
{
	struct iopt_pages *pages = area->pages;
	int ret;

	lockdep_assert_held(&area->iopt->lock);
	if (!(area->prot & (IOMMU_READ | IOMMU_WRITE)) && !domain->no_access)
		return fail(-EINVAL, "iova [%#llx-%#llx] is mapped neither for reading nor for writing",
			    HEX(area->iova), HEX(area->last));
	lock_pages(pages);
	ret = pages->dmabuf ? fill_dmabuf(area, domain) : fill_pinned(area, domain, pinned);
	unlock_pages(pages);
	return ret;
}

static void unfill_dmabuf(struct iopt_area *area, struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;
	struct iopt_fill *fill;

	TAILQ_FOREACH(fill, &pages->fills, next) {
		if (fill->domain == domain && fill->iova == area->iova)
			break;
	}
	if (fill)
		drop_fill(pages, fill);
}

void iopt_area_unfill_domain(struct iopt_area *area, struct iommu_domain *domain, bool unpin)
{
	struct iopt_pages *pages = area->pages;

	lockdep_assert_held(&area->iopt->lock);
	lock_pages(pages);
	if (unlikely(pages->dmabuf)) {
		unfill_dmabuf(area, domain);
	} else {
		iommu_unmap(domain, area->iova, iopt_area_length(area));
		if (unpin)
			iopt_pages_unpin(pages, iopt_area_index(area), iopt_area_last_index(area));
	}
	unlock_pages(pages);
}
