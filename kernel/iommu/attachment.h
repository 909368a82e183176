/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attachment.h - what the drivers of both kinds of units keep of a device and a PASID that a domain is
 * attached to.
 *
 * An attachment is on the list of the domain whose tables of ours the hardware walks: the attached one, or
 * the parent of a nested one.  So a list has everybody who must be told when the tables change.
 *
 * Locks: the list by the lock of that domain, as are domain and tables while it is on one; the rest by the
 * mutex of the device's group, which the caller of attach_dev and set_dev_pasid holds.
 */
#ifndef KERNEL_IOMMU_ATTACHMENT_H
#define KERNEL_IOMMU_ATTACHMENT_H


#include "kernel/iommu/iommu.h"
#include "kernel/lib/slab.h"

struct attachment {
	u16 devid;
	u32 pasid;			/* IOMMU_NO_PASID: the RID */
	struct iommu_domain *domain;	/* NULL: blocked */
	struct iommu_domain *tables;	/* NULL: blocked or identity */
	TAILQ_ENTRY(attachment) node;	/* of tables */
	TAILQ_ENTRY(attachment) next;	/* of the device's PASIDs; unused for a RID */
};
TAILQ_HEAD(attachment_list, attachment);

/* The domain whose tables the unit walks; NULL: it has none. */
static inline struct iommu_domain *tables_of(struct iommu_domain *domain)
{
	if (domain->type == IOMMU_DOMAIN_NESTED)
		return domain->parent;
	return domain->type == IOMMU_DOMAIN_PAGING ? domain : NULL;
}

/* A PASID's attachment; what was made once is kept, so that going back never needs memory.  NULL: none. */
static inline struct attachment *attachment_find(struct attachment_list *pasids, u32 pasid)
{
	struct attachment *at;

	TAILQ_FOREACH(at, pasids, next)
		if (at->pasid == pasid)
			return at;
	return NULL;
}

/* NULL: no memory. */
static inline struct attachment *attachment_get(struct attachment_list *pasids, u16 devid, u32 pasid)
{
	struct attachment *at = attachment_find(pasids, pasid);

	if (at)
		return at;
	at = kzalloc(sizeof(*at));
	if (!at)
		return NULL;
	at->devid = devid;
	at->pasid = pasid;
	TAILQ_INSERT_TAIL(pasids, at, next);
	return at;
}

static inline void attachments_free(struct attachment_list *pasids)
{
	struct attachment *at;

	while ((at = TAILQ_FIRST(pasids))) {
		TAILQ_REMOVE(pasids, at, next);
		kfree(at);
	}
}

#endif
