/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pri.c - page requests: a device that can wait asks for pages before it touches them.
 *
 * A request is for one page; those for a range are a group, by a number that the last one closes.  Whoever
 * has set the handler (the kernel) answers the group, at once or much later, from any thread.  The device's
 * thread sleeps meanwhile, on a word of its own.
 *
 * What always holds: a group's number is in use until it is answered, also when the device has stopped
 * waiting (it was reset): an answer that comes late must not be taken for that of another group.
 *
 * Locks: hw_iommu.lock for the numbers and the list of who waits; not held while the handler runs.
 *
 * Source: PCI Express Base 5.0, 10.4 "Page Request Services".
 */
#include "hw/iommu/internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "softvfio/hw.h"

enum state { WAITING, GRANTED, REFUSED, CANCELLED };

/* On the stack of the thread that waits. */
struct hw_page_waiter {
	u16 devid;
	u32 grpid;
	_Atomic(u32) state;
	TAILQ_ENTRY(hw_page_waiter) node; /* hw_iommu.lock */
};

void hw_iommu_set_page_request_handler(struct hw_iommu *iommu,
				       int (*fn)(void *arg, const struct hw_page_request *), void *arg)
{
	mutex_lock(&iommu->lock);
	iommu->page_fn = fn;
	iommu->page_arg = arg;
	mutex_unlock(&iommu->lock);
}

/* ---- numbers; hw_iommu.lock held ---- */

static int grpid_alloc(struct hw_iommu *iommu)
{
	for (unsigned i = 0; i < HW_PAGE_GROUPS; i++) {
		unsigned id = (iommu->next_grpid + i) % HW_PAGE_GROUPS;
		u64 *word = &iommu->grpids[id / 64];

		if (*word & BIT_ULL(id % 64))
			continue;
		*word |= BIT_ULL(id % 64);
		iommu->next_grpid = id + 1;
		return (int)id;
	}
	return -1;
}

static void grpid_free(struct hw_iommu *iommu, u32 grpid)
{
	iommu->grpids[grpid / 64] &= ~BIT_ULL(grpid % 64);
}

/* ---- who waits ---- */

static void wake(struct hw_page_waiter *waiter, enum state state)
{
	_Atomic(u32) *word = &waiter->state;

	atomic_store(word, state); /* it may be gone now: the word's address is all that is used */
	sys_call(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL);
}

static enum state wait_for_answer(struct hw_page_waiter *waiter)
{
	u32 state;

	while ((state = atomic_load(&waiter->state)) == WAITING)
		sys_call(SYS_futex, &waiter->state, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, WAITING, NULL);
	return state;
}

void hw_iommu_page_response(void *hw, u16 devid, u32 pasid, u32 grpid, bool success)
{
	struct hw_iommu *iommu = hw;
	struct hw_page_waiter *waiter;

	if (grpid >= HW_PAGE_GROUPS)
		return;
	mutex_lock(&iommu->lock);
	grpid_free(iommu, grpid);
	TAILQ_FOREACH(waiter, &iommu->page_waiters, node)
		if (waiter->devid == devid && waiter->grpid == grpid)
			break;
	if (waiter) {
		TAILQ_REMOVE(&iommu->page_waiters, waiter, node);
		wake(waiter, success ? GRANTED : REFUSED);
	}
	mutex_unlock(&iommu->lock);
}

void hw_iommu_cancel_page_requests(struct hw_iommu *iommu, u16 devid)
{
	struct hw_page_waiter *waiter, *next;

	mutex_lock(&iommu->lock);
	for (waiter = TAILQ_FIRST(&iommu->page_waiters); waiter; waiter = next) {
		next = TAILQ_NEXT(waiter, node);
		if (waiter->devid != devid)
			continue;
		TAILQ_REMOVE(&iommu->page_waiters, waiter, node);
		wake(waiter, CANCELLED);
	}
	mutex_unlock(&iommu->lock);
}

/* ---- asking ---- */

static int begin(struct hw_iommu *iommu, struct hw_page_waiter *waiter, const atomic_bool *enabled,
		 int (**ret_fn)(void *arg, const struct hw_page_request *), void **ret_arg)
{
	int grpid, err = 0;

	mutex_lock(&iommu->lock);
	*ret_fn = iommu->page_fn;
	*ret_arg = iommu->page_arg;
	/* Under the lock, so that who switches it off and then cancels meets this one, or it meets that. */
	if (enabled && !atomic_load(enabled))
		err = -EPERM;
	else if (!iommu->page_fn)
		err = fail(-EFAULT, "nobody takes page requests");
	grpid = err ? -1 : grpid_alloc(iommu);
	if (!err && grpid < 0)
		err = fail(-EBUSY, "all %u numbers of page request groups wait for an answer", HW_PAGE_GROUPS);
	if (!err) {
		waiter->grpid = (u32)grpid;
		TAILQ_INSERT_TAIL(&iommu->page_waiters, waiter, node);
	}
	mutex_unlock(&iommu->lock);
	return err;
}

/* What the unit's driver has not switched on in the device is not asked for. */
static void without_modes(struct hw_page_request *request)
{
	request->privileged = false;
	if (request->access & HW_PAGE_EXEC)
		request->access = (request->access & ~HW_PAGE_EXEC) | HW_PAGE_READ;
}

/* The request could not be delivered: there will be no answer. */
static void undelivered(struct hw_iommu *iommu, struct hw_page_waiter *waiter)
{
	hw_iommu_page_response(iommu, waiter->devid, 0, waiter->grpid, false);
}

int hw_iommu_request_pages(struct hw_iommu *iommu, const struct hw_page_request *what, size_t len_bytes,
			   const atomic_bool *enabled)
{
	struct hw_page_waiter waiter = { .devid = what->devid };
	struct hw_page_request request = *what;
	int (*fn)(void *arg, const struct hw_page_request *);
	u64 last, iova = what->iova, page = iova & PAGE_MASK;
	void *arg;
	int err;

	if (!len_bytes || range_overflows(iova, (u64)len_bytes, &last) ||
	    ((last - page) >> PAGE_SHIFT) >= HW_PAGE_REQUESTS)
		return fail(-EINVAL, "%zu bytes at iova 0x%llx are not 1 to %u pages", len_bytes,
			    (unsigned long long)iova, HW_PAGE_REQUESTS);
	err = begin(iommu, &waiter, enabled, &fn, &arg);
	if (err)
		return err;
	request.grpid = waiter.grpid;
	if (!iommu->format->pasid_modes)
		without_modes(&request);
	for (; !err && page <= last; page += PAGE_SIZE) {
		request.iova = page;
		request.last = last - page < PAGE_SIZE;
		err = fn(arg, &request);
		if (request.last)
			break;
	}
	if (err)
		undelivered(iommu, &waiter);
	switch (wait_for_answer(&waiter)) {
	case GRANTED:
		return 0;
	case CANCELLED:
		return -ECANCELED;
	default:
		return -EFAULT;
	}
}
