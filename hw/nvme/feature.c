/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * feature.c - GET FEATURES and SET FEATURES.
 *
 * Most features are one 32-bit number with a current, a saved and a default value; those live in
 * nvme_ctrl.simple[].  The others (temperature thresholds, error recovery of a namespace, vectors,
 * queues, time) have functions of their own.
 *
 * Interrupt coalescing is kept and given back, not done: a doorbell's commands share one interrupt
 * anyway, and a driver must work with any aggregation.
 *
 * Source: NVM Express 1.4, 5.9, 5.21, 7.8.
 */
#include <string.h>

#include "hw/nvme/nvme.h"

#define CAP_SAVEABLE BIT(0)
#define CAP_NAMESPACE BIT(1)
#define CAP_CHANGEABLE BIT(2)

#define SEL_CURRENT 0u
#define SEL_DEFAULT 1u
#define SEL_SAVED 2u
#define SEL_CAPABILITIES 3u

#define TEMPERATURE_UNDER BIT(20) /* THSEL */
#define TEMPERATURE_SELECT(cdw11) (((cdw11) >> 16) & 15u)

struct feature {
	u8 caps;
	int simple;	/* enum nvme_simple_feature; -1 */
	u32 mask;	/* bits of a simple one that mean something */
	u32 dflt;
};

static const struct feature features[256] = {
	[NVME_FEAT_ARBITRATION] = { CAP_SAVEABLE | CAP_CHANGEABLE, NVME_SIMPLE_ARBITRATION, 0xffffff07, 7 },
	[NVME_FEAT_POWER] = { CAP_SAVEABLE | CAP_CHANGEABLE, NVME_SIMPLE_POWER, 0xff, 0 },
	[NVME_FEAT_TEMPERATURE] = { CAP_CHANGEABLE, -1, 0, 0 },
	[NVME_FEAT_ERROR_RECOVERY] = { CAP_CHANGEABLE | CAP_NAMESPACE, -1, 0, 0 },
	[NVME_FEAT_WRITE_CACHE] = { CAP_SAVEABLE | CAP_CHANGEABLE, NVME_SIMPLE_WRITE_CACHE, 1, 1 },
	[NVME_FEAT_QUEUES] = { CAP_CHANGEABLE, -1, 0, 0 },
	[NVME_FEAT_COALESCING] = { CAP_SAVEABLE | CAP_CHANGEABLE, NVME_SIMPLE_COALESCING, 0xffff, 0 },
	[NVME_FEAT_VECTOR] = { CAP_CHANGEABLE, -1, 0, 0 },
	[NVME_FEAT_ATOMICITY] = { CAP_SAVEABLE | CAP_CHANGEABLE, NVME_SIMPLE_ATOMICITY, 1, 0 },
	[NVME_FEAT_EVENTS] = { CAP_SAVEABLE | CAP_CHANGEABLE, NVME_SIMPLE_EVENTS, NVME_OAES_NS_ATTR | 31, 0 },
	[NVME_FEAT_TIMESTAMP] = { CAP_CHANGEABLE, -1, 0, 0 },
};

static const struct feature *feature_of(enum nvme_simple_feature which)
{
	for (u32 fid = 0; fid < ARRAY_SIZE(features); fid++)
		if (features[fid].caps && features[fid].simple == (int)which)
			return &features[fid];
	return NULL;
}

void nvme_features_init(struct nvme_ctrl *ctrl)
{
	for (u32 i = 0; i < NVME_SIMPLE_FEATURES; i++)
		ctrl->simple_saved[i] = feature_of(i)->dflt;
}

void nvme_features_reset(struct nvme_ctrl *ctrl)
{
	mutex_lock(&ctrl->lock);
	for (u32 i = 0; i < NVME_SIMPLE_FEATURES; i++)
		__atomic_store_n(&ctrl->simple[i], ctrl->simple_saved[i] & feature_of(i)->mask,
				 __ATOMIC_RELEASE);
	ctrl->temperature_over = NVME_TEMPERATURE_WARNING;
	ctrl->temperature_under = 0;
	memset(ctrl->vector_no_coalescing, 0, sizeof(ctrl->vector_no_coalescing));
	ctrl->vector_no_coalescing[0] = 1; /* the admin queue's */
	ctrl->timestamp_ms = 0;
	ctrl->timestamp_set_ns = nvme_now_ns();
	ctrl->timestamp_by_host = false;
	mutex_unlock(&ctrl->lock);
	for (u32 i = 0; i < NVME_NS_MAX; i++)
		atomic_store(&ctrl->ns[i].error_recovery, 0);
}

u32 nvme_feature_mask(enum nvme_simple_feature which) { return feature_of(which)->mask; }

u32 nvme_feature_simple(struct nvme_ctrl *ctrl, enum nvme_simple_feature which)
{
	return __atomic_load_n(&ctrl->simple[which], __ATOMIC_ACQUIRE);
}

bool nvme_temperature_crossed(struct nvme_ctrl *ctrl)
{
	bool crossed;

	mutex_lock(&ctrl->lock);
	crossed = NVME_TEMPERATURE >= ctrl->temperature_over || NVME_TEMPERATURE <= ctrl->temperature_under;
	mutex_unlock(&ctrl->lock);
	return crossed;
}

/* ---- time: 48 bits of milliseconds, then where they come from ---- */

static int timestamp_get(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u64 val;

	mutex_lock(&ctrl->lock);
	val = ctrl->timestamp_ms + (nvme_now_ns() - ctrl->timestamp_set_ns) / 1000000;
	val &= GENMASK_ULL(47, 0);
	val |= (u64)ctrl->timestamp_by_host << 49;
	mutex_unlock(&ctrl->lock);
	memcpy(ctrl->page, &val, sizeof(val));
	return nvme_data_write(req, ctrl->page, sizeof(val));
}

static int timestamp_set(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u64 val;
	int st = nvme_data_read(req, &val, sizeof(val));

	if (st)
		return st;
	mutex_lock(&ctrl->lock);
	ctrl->timestamp_ms = val & GENMASK_ULL(47, 0);
	ctrl->timestamp_set_ns = nvme_now_ns();
	ctrl->timestamp_by_host = true;
	mutex_unlock(&ctrl->lock);
	return NVME_OK;
}

/* ---- get ---- */

static u32 queues_value(const struct nvme_ctrl *ctrl)
{
	return (ctrl->queues - 1) | (ctrl->queues - 1) << 16;
}

static int temperature_get(struct nvme_req *req, u32 sel)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 cdw11 = req->cmd->cdw11;
	bool under = cdw11 & TEMPERATURE_UNDER;

	if (TEMPERATURE_SELECT(cdw11) || (cdw11 & BIT(21)))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11),
				   "there is only the composite temperature");
	mutex_lock(&ctrl->lock);
	req->dw0 = under ? ctrl->temperature_under : ctrl->temperature_over;
	mutex_unlock(&ctrl->lock);
	if (sel != SEL_CURRENT)
		req->dw0 = under ? 0 : NVME_TEMPERATURE_WARNING;
	return NVME_OK;
}

static int vector_get(struct nvme_req *req, u32 sel)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 vector = req->cmd->cdw11 & 0xffff;
	bool off;

	if (vector >= NVME_VECTORS)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11), "vector %u of %u", vector,
				   NVME_VECTORS);
	mutex_lock(&ctrl->lock);
	off = ctrl->vector_no_coalescing[vector / 64] & BIT_ULL(vector % 64);
	mutex_unlock(&ctrl->lock);
	if (sel != SEL_CURRENT)
		off = vector == 0;
	req->dw0 = vector | (u32)off << 16;
	return NVME_OK;
}

static int error_recovery_get(struct nvme_req *req, u32 sel)
{
	struct nvme_ns *ns = nvme_ns_find(req->ctrl, req->cmd->nsid);

	if (!ns)
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace %u does not exist",
				   req->cmd->nsid);
	req->dw0 = sel == SEL_CURRENT ? atomic_load(&ns->error_recovery) : 0;
	return NVME_OK;
}

static int simple_get(struct nvme_req *req, const struct feature *f, u32 sel)
{
	struct nvme_ctrl *ctrl = req->ctrl;

	mutex_lock(&ctrl->lock);
	if (sel == SEL_CURRENT)
		req->dw0 = ctrl->simple[f->simple];
	else
		req->dw0 = sel == SEL_SAVED ? ctrl->simple_saved[f->simple] : f->dflt;
	mutex_unlock(&ctrl->lock);
	return NVME_OK;
}

int nvme_get_features(struct nvme_req *req)
{
	u8 fid = (u8)req->cmd->cdw10;
	u32 sel = (req->cmd->cdw10 >> 8) & 7;
	const struct feature *f = &features[fid];

	if (!f->caps || sel > SEL_CAPABILITIES)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw10),
				   "feature 0x%02x, select %u is not supported", fid, sel);
	if (sel == SEL_CAPABILITIES) {
		req->dw0 = f->caps;
		return NVME_OK;
	}
	switch (fid) {
	case NVME_FEAT_TEMPERATURE:
		return temperature_get(req, sel);
	case NVME_FEAT_ERROR_RECOVERY:
		return error_recovery_get(req, sel);
	case NVME_FEAT_QUEUES:
		req->dw0 = queues_value(req->ctrl);
		return NVME_OK;
	case NVME_FEAT_VECTOR:
		return vector_get(req, sel);
	case NVME_FEAT_TIMESTAMP:
		return timestamp_get(req);
	default:
		return simple_get(req, f, sel);
	}
}

/* ---- set ---- */

static int queues_set(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 cdw11 = req->cmd->cdw11;

	if ((cdw11 & 0xffff) == 0xffff || cdw11 >> 16 == 0xffff)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11),
				   "65536 queues are not a number of queues");
	for (u32 id = 1; id < NVME_QIDS; id++)
		if (nvme_sq_live(ctrl, id) || nvme_cq_live(ctrl, id))
			return nvme_refuse(req, NVME_COMMAND_SEQUENCE, NVME_NO_LOC,
					   "the number of queues is set before any is created; %u exists",
					   id);
	req->dw0 = queues_value(ctrl);
	return NVME_OK;
}

static int temperature_set(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 cdw11 = req->cmd->cdw11;

	/* 15: all sensors that there are */
	if ((TEMPERATURE_SELECT(cdw11) && TEMPERATURE_SELECT(cdw11) != 15) || (cdw11 & BIT(21)))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11),
				   "there is only the composite temperature");
	mutex_lock(&ctrl->lock);
	*(cdw11 & TEMPERATURE_UNDER ? &ctrl->temperature_under : &ctrl->temperature_over) = (u16)cdw11;
	mutex_unlock(&ctrl->lock);
	if (nvme_temperature_crossed(ctrl))
		nvme_event_raise(ctrl, NVME_EV_TEMPERATURE);
	return NVME_OK;
}

static int vector_set(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 vector = req->cmd->cdw11 & 0xffff;
	u64 bit = BIT_ULL(vector % 64);

	if (vector >= NVME_VECTORS)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11), "vector %u of %u", vector,
				   NVME_VECTORS);
	mutex_lock(&ctrl->lock);
	if (req->cmd->cdw11 & BIT(16))
		ctrl->vector_no_coalescing[vector / 64] |= bit;
	else
		ctrl->vector_no_coalescing[vector / 64] &= ~bit;
	mutex_unlock(&ctrl->lock);
	return NVME_OK;
}

static int error_recovery_set(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 nsid = req->cmd->nsid;

	if (nsid != NVME_NSID_ALL && !nvme_ns_find(ctrl, nsid))
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace %u does not exist", nsid);
	if (req->cmd->cdw11 & BIT(16))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11),
				   "errors for deallocated blocks (DULBE) are not supported");
	for (u32 i = 0; i < ctrl->ns_count; i++)
		if (nsid == NVME_NSID_ALL || nsid == i + 1)
			atomic_store(&ctrl->ns[i].error_recovery, req->cmd->cdw11 & 0xffff);
	return NVME_OK;
}

static int simple_set(struct nvme_req *req, const struct feature *f, bool save)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 val = req->cmd->cdw11 & f->mask;

	if (f->simple == NVME_SIMPLE_POWER && (val & 0x1f))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11),
				   "power state %u: there is only 0", val & 0x1f);
	if (f->simple == NVME_SIMPLE_WRITE_CACHE && !val)
		for (u32 i = 0; i < ctrl->ns_count; i++) {
			int st = nvme_ns_flush(&ctrl->ns[i]);

			if (st)
				return st;
		}
	mutex_lock(&ctrl->lock);
	__atomic_store_n(&ctrl->simple[f->simple], val, __ATOMIC_RELEASE);
	if (save)
		ctrl->simple_saved[f->simple] = val;
	mutex_unlock(&ctrl->lock);
	if (save)
		nvme_nvram_save(ctrl);
	return NVME_OK;
}

int nvme_set_features(struct nvme_req *req)
{
	u8 fid = (u8)req->cmd->cdw10;
	bool save = req->cmd->cdw10 & BIT(31);
	const struct feature *f = &features[fid];
	u32 nsid = req->cmd->nsid;

	if (!f->caps)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw10),
				   "feature 0x%02x is not supported", fid);
	if (save && !(f->caps & CAP_SAVEABLE))
		return nvme_refuse(req, NVME_FEATURE_NOT_SAVEABLE, NVME_LOC(cdw10),
				   "feature 0x%02x cannot be saved", fid);
	if (nsid && nsid != NVME_NSID_ALL && !(f->caps & CAP_NAMESPACE)) {
		if (!nvme_ns_find(req->ctrl, nsid))
			return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid),
					   "namespace %u does not exist", nsid);
		return nvme_refuse(req, NVME_FEATURE_NOT_NS, NVME_LOC(nsid),
				   "feature 0x%02x is the controller's, not a namespace's", fid);
	}
	switch (fid) {
	case NVME_FEAT_TEMPERATURE:
		return temperature_set(req);
	case NVME_FEAT_ERROR_RECOVERY:
		return error_recovery_set(req);
	case NVME_FEAT_QUEUES:
		return queues_set(req);
	case NVME_FEAT_VECTOR:
		return vector_set(req);
	case NVME_FEAT_TIMESTAMP:
		return timestamp_set(req);
	default:
		return simple_set(req, f, save);
	}
}
