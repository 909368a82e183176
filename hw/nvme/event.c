/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.c - asynchronous events: the host leaves requests with us, we complete one when something
 * happens.
 *
 * Each event is one bit, pending until a request and room for its completion are there.  After an event
 * was told, events of its type wait until the host reads the log that it named.  Only the runner of the
 * admin queue posts, so that a reset, which drains that queue, also drains events; whoever raises one
 * kicks the queue.
 *
 * Source: NVM Express 1.4, 5.2.
 */
#include <string.h>

#include "hw/nvme/nvme.h"

static const struct {
	u8 type, info, log;
	u32 config; /* bits of the feature that must be set for it; 0: always told */
} events[NVME_EVENTS] = {
	[NVME_EV_DOORBELL_REGISTER] = { NVME_EVENT_ERROR, 0x00, NVME_LOG_ERROR, 0 },
	[NVME_EV_DOORBELL_VALUE] = { NVME_EVENT_ERROR, 0x01, NVME_LOG_ERROR, 0 },
	[NVME_EV_TEMPERATURE] = { NVME_EVENT_SMART, 0x01, NVME_LOG_SMART, NVME_SMART_TEMPERATURE },
	[NVME_EV_NS_CHANGED] = { NVME_EVENT_NOTICE, 0x00, NVME_LOG_CHANGED_NS, NVME_OAES_NS_ATTR },
};

int nvme_event_request(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	bool full;

	mutex_lock(&ctrl->lock);
	full = ctrl->aer_count == NVME_AERS;
	if (!full)
		ctrl->aers[ctrl->aer_count++] = req->cmd->cid;
	mutex_unlock(&ctrl->lock);
	if (full)
		return nvme_refuse(req, NVME_AER_LIMIT, NVME_NO_LOC,
				   "%u asynchronous event requests are outstanding already", NVME_AERS);
	return NVME_HELD;
}

/* ctrl->lock held.  The oldest request leaves the list. */
static u16 aer_pop(struct nvme_ctrl *ctrl, u32 index)
{
	u16 cid = ctrl->aers[index];

	ctrl->aer_count--;
	memmove(&ctrl->aers[index], &ctrl->aers[index + 1],
		(ctrl->aer_count - index) * sizeof(ctrl->aers[0]));
	return cid;
}

bool nvme_event_abort(struct nvme_ctrl *ctrl, u16 cid)
{
	bool found = false;

	mutex_lock(&ctrl->lock);
	for (u32 i = 0; i < ctrl->aer_count && !found; i++) {
		found = ctrl->aers[i] == cid;
		if (found)
			aer_pop(ctrl, i);
	}
	mutex_unlock(&ctrl->lock);
	return found;
}

/* ctrl->lock held.  Return: an event that can be told now; NVME_EVENTS. */
static u32 event_next(struct nvme_ctrl *ctrl)
{
	u32 pending = atomic_load(&ctrl->events_pending);

	if (!ctrl->aer_count)
		return NVME_EVENTS;
	for (u32 ev = 0; ev < NVME_EVENTS; ev++)
		if ((pending & BIT(ev)) && !(ctrl->events_masked & BIT(events[ev].type)))
			return ev;
	return NVME_EVENTS;
}

/* Return: was one told? */
static bool event_post(struct nvme_ctrl *ctrl)
{
	struct nvme_sq *sq = &ctrl->sq[0];
	struct nvme_cqe cqe = { 0 };
	u32 ev;

	if (!nvme_ready(ctrl) || atomic_load(&ctrl->held) || !nvme_cq_reserve(sq->cq, 1))
		return false;
	mutex_lock(&ctrl->lock);
	ev = event_next(ctrl);
	if (ev != NVME_EVENTS) {
		atomic_fetch_and(&ctrl->events_pending, ~BIT(ev));
		ctrl->events_masked |= BIT(events[ev].type);
		cqe.cid = aer_pop(ctrl, 0);
	}
	mutex_unlock(&ctrl->lock);
	if (ev == NVME_EVENTS) {
		nvme_cq_unreserve(sq->cq, 1);
		return false;
	}
	cqe.dw0 = events[ev].type | (u32)events[ev].info << 8 | (u32)events[ev].log << 16;
	cqe.sq_head = (u16)sq->head;
	nvme_cq_post(ctrl, sq->cq, sq->dma, &cqe, 1);
	return true;
}

void nvme_events_post(struct nvme_ctrl *ctrl)
{
	while (atomic_load(&ctrl->events_pending) && event_post(ctrl))
		;
}

void nvme_event_raise(struct nvme_ctrl *ctrl, enum nvme_event event)
{
	u32 config = events[event].config;

	if (config && !(nvme_feature_simple(ctrl, NVME_SIMPLE_EVENTS) & config))
		return;
	atomic_fetch_or(&ctrl->events_pending, BIT(event));
	nvme_sq_kick(&ctrl->sq[0]);
}

void nvme_events_unmask(struct nvme_ctrl *ctrl, enum nvme_event_type type)
{
	mutex_lock(&ctrl->lock);
	ctrl->events_masked &= ~BIT(type);
	mutex_unlock(&ctrl->lock);
}

void nvme_events_reset(struct nvme_ctrl *ctrl)
{
	mutex_lock(&ctrl->lock);
	atomic_store(&ctrl->events_pending, 0);
	ctrl->events_masked = 0;
	ctrl->aer_count = 0;
	ctrl->ns_changed = 0;
	mutex_unlock(&ctrl->lock);
}
