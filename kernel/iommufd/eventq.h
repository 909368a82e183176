/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eventq.h - queues that a program reads through a descriptor: page requests, events of a vIOMMU.
 *
 *	fault	page requests of devices.  read() takes whole groups, write() answers them by cookie
 *	veventq	events of one type of one vIOMMU, in order, with a sequence number
 *
 * The descriptor keeps its object and the context in use: IOMMU_DESTROY of the queue is EBUSY while it is open,
 * and the context lives until it is closed.
 */
#ifndef KERNEL_IOMMUFD_EVENTQ_H
#define KERNEL_IOMMUFD_EVENTQ_H

#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd_private.h"

struct iommufd_viommu;

/* What both have: the descriptor, and how poll() learns that there is something to read. */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;	/* the file holds a reference; immutable */
	struct mutex lock;		/* LOCK_IOMMUFD_EVENTQ: what follows, and the queues below */
	int wake_fd;			/* written to; private descriptor, -1 none (yet, or the file is closed) */
	int poll_fd;			/* readable if there is something; likewise */
	bool readable;
};

/* ---- page requests ---- */

TAILQ_HEAD(iommufd_iopf_list, iopf_group);

struct iommufd_fault {
	struct iommufd_eventq q;
	struct iommufd_iopf_list deliver;	/* not read yet */
	struct iommufd_iopf_list response;	/* read, not answered; by cookie */
};

static inline struct iommufd_fault *to_fault(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_fault, q.obj);
}
/** iommufd_fault_handler - a domain's iopf_handler; its owner_data is the HWPT, whose queue gets the group. */
int iommufd_fault_handler(struct iopf_group *group);
/** iommufd_fault_forget - @handle is detached: what came with it has been answered, and goes. */
void iommufd_fault_forget(struct iommufd_fault *fault, const struct iommu_attach_handle *handle);
void iommufd_fault_destroy(struct iommufd_object *obj);
int iommufd_fault_alloc(struct iommufd_ucmd *ucmd);

/* ---- events of a vIOMMU ---- */

#define VEVENT_DATA_MAX 32u /* the longest of linux/iommufd.h's */

struct iommufd_vevent {
	struct iommufd_vevent_header header;
	TAILQ_ENTRY(iommufd_vevent) node;
	u32 data_len;
	u8 data[VEVENT_DATA_MAX];
};

struct iommufd_veventq {
	struct iommufd_eventq q;
	struct iommufd_viommu *viommu;	/* immutable; we are one of its users */
	TAILQ_ENTRY(iommufd_veventq) node; /* viommu->lock */
	u32 type, depth;		/* immutable */
	TAILQ_HEAD(, iommufd_vevent) deliver;
	u32 nr_events;			/* in it, but for @lost */
	u32 next_sequence;
	bool lost_queued;		/* @lost is the last one of the queue */
	struct iommufd_vevent lost;	/* says that events were lost behind those in the queue */
};

static inline struct iommufd_veventq *to_veventq(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_veventq, q.obj);
}
/**
 * iommufd_veventq_push - an event; one too many, or one for which there is no memory, is counted as lost
 * Any thread that holds no lock above LOCK_IOMMUFD_EVENTQ.
 */
void iommufd_veventq_push(struct iommufd_veventq *veventq, const void *data, u32 data_len);
void iommufd_veventq_destroy(struct iommufd_object *obj);
int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd);

#endif
