/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io-pgfault.c - page requests of devices: put together, handed to who attached the domain, answered once.
 *
 * A group of requests goes through three hands.  While it is not complete its requests are on the device's
 * list "partial".  The handler of the domain gets it whole and keeps it as long as it likes; until it is
 * answered it is on "pending" too, so that the core can answer in its place: a device that waits must
 * not wait for somebody who is gone.  Answered, it is the handler's memory and nothing more.
 *
 * Locks: the group's mutex while a handler runs, so that what is attached stays; inside it LOCK_IOPF, which
 * guards both lists and who is on them, and is held while a device is answered.
 */

#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

static struct mutex iopf_lock = MUTEX_INITIALIZER(LOCK_IOPF);

static void answer_locked(struct group_device *gdev, const struct iommu_page_request *last,
			  enum iommu_page_response_code code)
{
	const struct iommu_device_ops *ops = gdev->iommu->ops;

	lockdep_assert_held(&iopf_lock);
	if (ops->page_response)
		ops->page_response(gdev->iommu, gdev->devid, last, code);
}

static const struct iommu_page_request *last_request(struct iopf_group *group)
{
	return &TAILQ_LAST(&group->faults, iopf_fault_list)->request;
}

static bool answer_group_locked(struct iopf_group *group, enum iommu_page_response_code code)
{
	struct group_device *gdev = group->gdev;

	if (!gdev)
		return false;
	TAILQ_REMOVE(&gdev->pending, group, pending);
	group->gdev = NULL;
	answer_locked(gdev, last_request(group), code);
	return true;
}

bool iopf_group_response(struct iopf_group *group, enum iommu_page_response_code code)
{
	bool answered;

	mutex_lock(&iopf_lock);
	answered = answer_group_locked(group, code);
	mutex_unlock(&iopf_lock);
	return answered;
}

void iopf_group_free(struct iopf_group *group)
{
	struct iopf_fault *fault;

	if (!group)
		return;
	(void)iopf_group_response(group, IOMMU_PAGE_RESP_INVALID);
	while ((fault = TAILQ_FIRST(&group->faults))) {
		TAILQ_REMOVE(&group->faults, fault, node);
		kfree(fault);
	}
	kfree(group);
}

/* ---- devices and attachments come and go ---- */

void iopf_device_init(struct group_device *gdev)
{
	TAILQ_INIT(&gdev->partial);
	TAILQ_INIT(&gdev->pending);
}

void iopf_device_exit(struct group_device *gdev)
{
	struct iopf_fault *fault;
	struct iopf_group *group;

	mutex_lock(&iopf_lock);
	gdev->dev->iommu_group = NULL;
	gdev->dev->iommu_priv = NULL;
	while ((group = TAILQ_FIRST(&gdev->pending)))
		(void)answer_group_locked(group, IOMMU_PAGE_RESP_INVALID);
	while ((fault = TAILQ_FIRST(&gdev->partial))) {
		TAILQ_REMOVE(&gdev->partial, fault, node);
		kfree(fault);
	}
	mutex_unlock(&iopf_lock);
}

void iopf_detached(struct iommu_group *group, const struct iommu_attach_handle *handle)
{
	struct group_device *gdev;
	struct iopf_group *g, *next;

	lockdep_assert_held(&group->mutex);
	if (!handle)
		return;
	mutex_lock(&iopf_lock);
	TAILQ_FOREACH(gdev, &group->devices, node) {
		for (g = TAILQ_FIRST(&gdev->pending); g; g = next) {
			next = TAILQ_NEXT(g, pending);
			if (g->handle != handle)
				continue;
			explain_event("page request group %u of %s is answered as invalid: what it was for is detached",
				      last_request(g)->grpid, gdev->dev->name);
			(void)answer_group_locked(g, IOMMU_PAGE_RESP_INVALID);
		}
	}
	mutex_unlock(&iopf_lock);
}

/* ---- requests ---- */

static bool same_group(const struct iommu_page_request *a, const struct iommu_page_request *b)
{
	u32 pasid_a = a->flags & IOMMU_FAULT_PASID_VALID ? a->pasid : IOMMU_NO_PASID;
	u32 pasid_b = b->flags & IOMMU_FAULT_PASID_VALID ? b->pasid : IOMMU_NO_PASID;

	return a->grpid == b->grpid && pasid_a == pasid_b;
}

/* A complete group: what came before, and @last.  NULL: no memory. */
static struct iopf_group *group_make(struct group_device *gdev, struct iopf_fault *last)
{
	struct iopf_group *group = kzalloc(sizeof(*group));
	struct iopf_fault *fault, *next;

	if (!group)
		return NULL;
	TAILQ_INIT(&group->faults);
	for (fault = TAILQ_FIRST(&gdev->partial); fault; fault = next) {
		next = TAILQ_NEXT(fault, node);
		if (!same_group(&fault->request, &last->request))
			continue;
		TAILQ_REMOVE(&gdev->partial, fault, node);
		TAILQ_INSERT_TAIL(&group->faults, fault, node);
		group->nr_faults++;
	}
	TAILQ_INSERT_TAIL(&group->faults, last, node);
	group->nr_faults++;
	group->gdev = gdev;
	TAILQ_INSERT_TAIL(&gdev->pending, group, pending);
	return group;
}

static void answer_alone(struct group_device *gdev, const struct iommu_page_request *request)
{
	if (!(request->flags & IOMMU_FAULT_LAST_PAGE))
		return; /* only the last one of a group has an answer */
	mutex_lock(&iopf_lock);
	answer_locked(gdev, request, IOMMU_PAGE_RESP_INVALID);
	mutex_unlock(&iopf_lock);
}

static void report_locked(struct iommu_group *iommu_group, struct group_device *gdev,
			  const struct iommu_page_request *request)
{
	struct iommu_attach_handle *handle = iommu_group_handle_for(iommu_group, gdev->iommu, request);
	struct iopf_fault *fault;
	struct iopf_group *group = NULL;

	if (!handle || !handle->domain->iopf_handler) {
		explain_event("page request of %s at 0x%llx: nobody who attached a domain waits for it", gdev->dev->name,
			      (unsigned long long)request->addr);
		answer_alone(gdev, request);
		return;
	}
	fault = kmalloc(sizeof(*fault));
	if (!fault) {
		answer_alone(gdev, request);
		return;
	}
	fault->request = *request;
	mutex_lock(&iopf_lock);
	if (request->flags & IOMMU_FAULT_LAST_PAGE)
		group = group_make(gdev, fault);
	else
		TAILQ_INSERT_TAIL(&gdev->partial, fault, node);
	mutex_unlock(&iopf_lock);
	if (!(request->flags & IOMMU_FAULT_LAST_PAGE))
		return;
	if (!group) {
		kfree(fault);
		answer_alone(gdev, request);
		return;
	}
	group->handle = handle;
	if (handle->domain->iopf_handler(group))
		iopf_group_free(group);
}

/* Whoever reports one that nobody will answer has to know, or a device waits for ever. */
static int check_reporter(const struct device *dev, const struct iommu_group *group)
{
	const struct iommu_device *iommu;

	if (dev->iommu_group != group)
		return fail(-ENODEV, "%s has just left its IOMMU", dev->name);
	iommu = to_group_device(dev)->iommu;
	return iommu->ops->page_response ? 0 : fail(-EOPNOTSUPP, "IOMMU %s takes no page requests", iommu->name);
}

int iommu_report_page_request(struct device *dev, const struct iommu_page_request *request)
{
	struct iommu_group *group;
	int err;

	mutex_lock(&iopf_lock);
	group = iommu_group_get(dev);
	mutex_unlock(&iopf_lock);
	if (!group)
		return fail(-ENODEV, "%s is behind no IOMMU", dev->name);
	mutex_lock(&group->mutex);
	err = check_reporter(dev, group);
	if (!err)
		report_locked(group, to_group_device(dev), request);
	mutex_unlock(&group->mutex);
	iommu_group_put(group);
	return err;
}
