/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin.c - admin commands: I/O queues, abort, format.
 *
 * One thread at a time runs the admin queue, so what these commands alone use needs no lock; except
 * FORMAT, which runs on a worker beside later admin commands.
 *
 * Source: NVM Express 1.4, 5.1, 5.3 to 5.6, 5.23.
 */
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme.h"

/* ---- I/O queues ---- */

static bool qid_valid(struct nvme_ctrl *ctrl, u32 id) { return id && id <= ctrl->queues; }

/* What both kinds of queue are asked: size in CDW10, place in PRP1, contiguous by CDW11 bit 0. */
static int queue_check(struct nvme_req *req, u32 id, bool entry_size_ok)
{
	const struct nvme_cmd *cmd = req->cmd;
	u32 size = (cmd->cdw10 >> 16) + 1;

	if (!qid_valid(req->ctrl, id))
		return nvme_refuse(req, NVME_INVALID_QID, NVME_LOC(cdw10),
				   "queue id %u: they go from 1 to %u", id, req->ctrl->queues);
	if (size < 2 || size > NVME_QUEUE_ENTRIES)
		return nvme_refuse(req, NVME_INVALID_QSIZE, NVME_LOC(cdw10),
				   "%u entries: a queue has 2 to %u", size, NVME_QUEUE_ENTRIES);
	if (!entry_size_ok)
		return nvme_refuse(req, NVME_INVALID_QSIZE, NVME_NO_LOC,
				   "CC.IOSQES must be 6 and CC.IOCQES 4 before I/O queues are created");
	if (!(cmd->cdw11 & BIT(0)))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw11),
				   "queues must be contiguous (CAP.CQR)");
	if (cmd->prp1 & (req->ctrl->page_bytes - 1))
		return nvme_refuse(req, NVME_PRP_OFFSET, NVME_LOC(prp1),
				   "the queue at 0x%llx is not aligned to a page",
				   (unsigned long long)cmd->prp1);
	return NVME_OK;
}

static int create_cq(struct nvme_req *req)
{
	const struct nvme_cmd *cmd = req->cmd;
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 id = cmd->cdw10 & 0xffff;
	u32 vector = cmd->cdw11 >> 16;
	bool interrupts = cmd->cdw11 & BIT(1);
	u32 cc = atomic_load(&ctrl->regs[NVME_REG_CC / 4]);
	int st = queue_check(req, id, NVME_CC_IOCQES(cc) == 4);

	if (st)
		return st;
	if (nvme_cq_live(ctrl, id))
		return nvme_refuse(req, NVME_INVALID_QID, NVME_LOC(cdw10), "completion queue %u exists", id);
	if (vector >= NVME_VECTORS)
		return nvme_refuse(req, NVME_INVALID_VECTOR, NVME_LOC(cdw11), "vector %u of %u", vector,
				   NVME_VECTORS);
	if (interrupts && vector && !hw_msi_enabled(ctrl->hw))
		return nvme_refuse(req, NVME_INVALID_VECTOR, NVME_LOC(cdw11),
				   "vector %u, but MSI-X is not enabled", vector);
	nvme_cq_start(ctrl, (u16)id, cmd->prp1, (cmd->cdw10 >> 16) + 1, (u16)vector, interrupts);
	return NVME_OK;
}

static int create_sq(struct nvme_req *req)
{
	const struct nvme_cmd *cmd = req->cmd;
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 id = cmd->cdw10 & 0xffff;
	u32 cqid = cmd->cdw11 >> 16;
	u32 cc = atomic_load(&ctrl->regs[NVME_REG_CC / 4]);
	int st = queue_check(req, id, NVME_CC_IOSQES(cc) == 6);

	if (st)
		return st;
	if (nvme_sq_live(ctrl, id))
		return nvme_refuse(req, NVME_INVALID_QID, NVME_LOC(cdw10), "submission queue %u exists", id);
	if (!qid_valid(ctrl, cqid))
		return nvme_refuse(req, NVME_INVALID_QID, NVME_LOC(cdw11),
				   "completion queue id %u: they go from 1 to %u", cqid, ctrl->queues);
	if (!nvme_cq_live(ctrl, cqid))
		return nvme_refuse(req, NVME_CQ_INVALID, NVME_LOC(cdw11),
				   "completion queue %u does not exist", cqid);
	if (nvme_sq_start(ctrl, (u16)id, cmd->prp1, (cmd->cdw10 >> 16) + 1, (u16)cqid)) {
		hw_explain(ctrl->hw, "NVMe: no memory for submission queue %u", id);
		return NVME_INTERNAL_ERROR;
	}
	return NVME_OK;
}

static int delete_sq(struct nvme_req *req)
{
	u32 id = req->cmd->cdw10 & 0xffff;

	if (!id || !nvme_sq_live(req->ctrl, id))
		return nvme_refuse(req, NVME_INVALID_QID, NVME_LOC(cdw10),
				   "submission queue %u does not exist", id);
	nvme_sq_stop(req->ctrl, (u16)id, NVME_STOP_DELETE);
	return NVME_OK;
}

static int delete_cq(struct nvme_req *req)
{
	u32 id = req->cmd->cdw10 & 0xffff;

	if (!id || !nvme_cq_live(req->ctrl, id))
		return nvme_refuse(req, NVME_INVALID_QID, NVME_LOC(cdw10),
				   "completion queue %u does not exist", id);
	if (req->ctrl->cq[id].sq_count)
		return nvme_refuse(req, NVME_INVALID_QUEUE_DELETION, NVME_LOC(cdw10),
				   "completion queue %u still has %u submission queues", id,
				   req->ctrl->cq[id].sq_count);
	nvme_cq_stop(req->ctrl, (u16)id);
	return NVME_OK;
}

/* ---- abort ---- */

static bool abort_event(struct nvme_ctrl *ctrl, u16 cid)
{
	struct nvme_sq *sq = &ctrl->sq[0];
	struct nvme_cqe cqe = { .cid = cid, .sq_head = (u16)sq->head, .status = NVME_ABORT_REQUESTED << 1 };

	if (!nvme_cq_reserve(sq->cq, 1))
		return false;
	if (!nvme_event_abort(ctrl, cid)) {
		nvme_cq_unreserve(sq->cq, 1);
		return false;
	}
	nvme_cq_post(ctrl, sq->cq, sq->dma, &cqe, 1);
	return true;
}

static int admin_abort(struct nvme_req *req)
{
	u32 id = req->cmd->cdw10 & 0xffff;
	u16 cid = (u16)(req->cmd->cdw10 >> 16);
	struct nvme_job *job;

	if (!nvme_sq_live(req->ctrl, id))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw10),
				   "submission queue %u does not exist", id);
	job = nvme_pool_take(&req->ctrl->sq[id], cid);
	if (job) {
		nvme_job_abort(job, NVME_ABORT_REQUESTED);
		free(job);
		return NVME_OK;
	}
	if (!id && abort_event(req->ctrl, cid))
		return NVME_OK;
	req->dw0 = 1; /* not aborted: done, being done, or never seen */
	return NVME_OK;
}

/* ---- format ---- */

static int format_one(struct nvme_req *req, struct nvme_ns *ns, u8 lbads)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	int st;

	if (atomic_exchange(&ns->formatting, true))
		return NVME_FORMAT_IN_PROGRESS;
	st = nvme_ns_zero(ns, 0, ns->size_bytes);
	if (!st && atomic_exchange(&ns->lbads, lbads) != lbads) {
		mutex_lock(&ctrl->lock);
		ctrl->ns_changed |= BIT(ns->id - 1);
		mutex_unlock(&ctrl->lock);
		nvme_event_raise(ctrl, NVME_EV_NS_CHANGED);
	}
	atomic_store(&ns->formatting, false);
	return st;
}

static int format_check(struct nvme_req *req)
{
	const struct nvme_cmd *cmd = req->cmd;
	u32 lbaf = cmd->cdw10 & 15, ses = (cmd->cdw10 >> 9) & 7;
	u32 nsid = cmd->nsid;

	if (nsid != NVME_NSID_ALL && !nvme_ns_find(req->ctrl, nsid))
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace 0x%x does not exist",
				   nsid);
	if (lbaf > 1)
		return nvme_refuse(req, NVME_INVALID_FORMAT, NVME_LOC(cdw10),
				   "LBA format %u: there are 0 (512) and 1 (4096)", lbaf);
	if (cmd->cdw10 & 0xf0) /* metadata settings and protection information */
		return nvme_refuse(req, NVME_INVALID_FORMAT, NVME_LOC(cdw10), "metadata is not supported");
	if (ses > 1)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw10),
				   "secure erase setting %u is not supported", ses);
	if (req->ctrl->ns[0].readonly)
		return nvme_refuse(req, NVME_NS_WRITE_PROTECTED, NVME_NO_LOC,
				   "the namespace is write-protected");
	return NVME_OK;
}

static int format_nvm(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u8 lbads = req->cmd->cdw10 & 15 ? NVME_LBADS_MAX : NVME_LBADS_MIN;
	int st = format_check(req);

	if (st)
		return st;
	if (!req->scratch)
		return NVME_TO_WORKER;
	for (u32 i = 0; i < ctrl->ns_count && !st; i++)
		if (req->cmd->nsid == NVME_NSID_ALL || req->cmd->nsid == i + 1)
			st = format_one(req, &ctrl->ns[i], lbads);
	nvme_nvram_save(ctrl);
	return st;
}

/* ---- dispatch ---- */

int nvme_admin_exec(struct nvme_req *req)
{
	const struct nvme_cmd *cmd = req->cmd;

	if (NVME_CMD_FUSE(cmd->flags) || NVME_CMD_PSDT(cmd->flags))
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(flags),
				   "admin commands use PRPs and are not fused");
	switch (cmd->opcode) {
	case NVME_ADMIN_DELETE_SQ:
		return delete_sq(req);
	case NVME_ADMIN_CREATE_SQ:
		return create_sq(req);
	case NVME_ADMIN_GET_LOG:
		return nvme_get_log(req);
	case NVME_ADMIN_DELETE_CQ:
		return delete_cq(req);
	case NVME_ADMIN_CREATE_CQ:
		return create_cq(req);
	case NVME_ADMIN_IDENTIFY:
		return nvme_identify(req);
	case NVME_ADMIN_ABORT:
		return admin_abort(req);
	case NVME_ADMIN_SET_FEATURES:
		return nvme_set_features(req);
	case NVME_ADMIN_GET_FEATURES:
		return nvme_get_features(req);
	case NVME_ADMIN_AER:
		return nvme_event_request(req);
	case NVME_ADMIN_FORMAT:
		return format_nvm(req);
	default:
		return nvme_refuse(req, NVME_INVALID_OPCODE, NVME_LOC(opcode), "no such admin command");
	}
}
