/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate.c - the controller stops, and its state leaves it or enters it.
 *
 * Stopping.  Whoever runs a queue finishes the commands that it has fetched, the workers those that they
 * have begun; nothing is fetched any more, and commands that wait for a worker stay on the pool's list.
 * That list is part of the state: the other controller carries those commands out.  Doorbells of a
 * stopped controller only move tails, and resume looks at every queue.
 *
 * The state is what a driver sees or has asked for: registers, queues, commands not begun, event
 * requests, features, error log, counters, formats.  The media are not in it, as they are not in a real
 * controller's: both devices stand before the same storage (file=) or the user copies it.  So that a
 * driver finds the same controller again, serial, model, limits and sizes are the identity, and must be
 * equal; identifiers follow from the serial number.
 *
 * Loading believes nothing: indices and counts lie inside what they index, queues exist before commands
 * refer to them.  Addresses may be anything, as from a driver.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme.h"
#include "kernel/lib/sys.h"

#define COMMAND_NS_MAX 10000000000ull /* the largest latency_us */
#define COMMANDS_MAX (NVME_QIDS * NVME_AQ_ENTRIES_MAX)
#define CSTS_BITS (NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST_MASK)

/* ---- stop and go on ---- */

static bool runs_now(struct nvme_sq *sq)
{
	bool running;

	mutex_lock(&sq->lock);
	running = sq->running;
	mutex_unlock(&sq->lock);
	return running && !nvme_pool_has(sq);
}

void nvme_quiesce(struct hw_device *hw)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct nvme_ctrl *ctrl = hw_private(hw);

	mutex_lock(&ctrl->state_lock);
	atomic_store(&ctrl->held, true);
	nvme_pool_hold(ctrl);
	for (u32 id = 0; id < NVME_QIDS; id++) {
		while (runs_now(&ctrl->sq[id]))
			sys_ppoll(NULL, 0, &pause);
	}
	mutex_unlock(&ctrl->state_lock);
}

/* Without state_lock: what runs here may reach another device's registers. */
void nvme_resume(struct hw_device *hw)
{
	struct nvme_ctrl *ctrl = hw_private(hw);

	atomic_store(&ctrl->held, false);
	if (nvme_pool_release(ctrl))
		nvme_ctrl_fatal(ctrl, "no thread for the commands that were waiting when the device was stopped");
	for (u32 id = 0; id < NVME_QIDS; id++) {
		if (nvme_sq_live(ctrl, id))
			nvme_sq_kick(&ctrl->sq[id]);
	}
}

void nvme_identity(struct hw_device *hw, char *buf, size_t size)
{
	struct nvme_ctrl *ctrl = hw_private(hw);

	snprintf(buf, size, "serial=%s model=%s queues=%u mdts=%u namespaces=%u readonly=%s bytes=%llu,%llu", ctrl->serial,
		 ctrl->model, ctrl->queues, ctrl->mdts, ctrl->ns_count, ctrl->ns[0].readonly ? "on" : "off",
		 (unsigned long long)ctrl->ns[0].size_bytes,
		 (unsigned long long)(ctrl->ns_count > 1 ? ctrl->ns[1].size_bytes : 0));
}

/* ---- save ---- */

static void save_registers(struct nvme_ctrl *ctrl, struct hw_stream *out)
{
	static const u32 offsets[] = { NVME_REG_CC, NVME_REG_CSTS, NVME_REG_AQA, NVME_REG_ASQ, NVME_REG_ASQ + 4,
				       NVME_REG_ACQ, NVME_REG_ACQ + 4 };

	hw_save_u64(out, (u64)atomic_load(&ctrl->state));
	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++)
		hw_save_u64(out, atomic_load(&ctrl->regs[offsets[i] / 4]));
	hw_save_u64(out, ctrl->powered);
	hw_save_u64(out, atomic_load(&ctrl->unclean));
	mutex_lock(&ctrl->irq_lock);
	hw_save_u64(out, ctrl->intms);
	hw_save_u64(out, ctrl->asserting[0]);
	hw_save_u64(out, ctrl->asserting[1]);
	hw_save_u64(out, ctrl->level);
	mutex_unlock(&ctrl->irq_lock);
}

static void save_cq(struct nvme_cq *cq, struct hw_stream *out)
{
	mutex_lock(&cq->lock);
	hw_save_u64(out, cq->live);
	if (cq->live) {
		hw_save_u64(out, cq->base);
		hw_save_u64(out, cq->size);
		hw_save_u64(out, cq->vector);
		hw_save_u64(out, cq->interrupts);
		hw_save_u64(out, cq->phase);
		hw_save_u64(out, cq->starved);
		hw_save_u64(out, cq->head);
		hw_save_u64(out, cq->tail);
	}
	mutex_unlock(&cq->lock);
}

static void save_sq(struct nvme_sq *sq, struct hw_stream *out)
{
	mutex_lock(&sq->lock);
	hw_save_u64(out, sq->live);
	if (sq->live) {
		hw_save_u64(out, sq->base);
		hw_save_u64(out, sq->size);
		hw_save_u64(out, sq->cq->id);
		hw_save_u64(out, sq->head);
		hw_save_u64(out, sq->tail);
	}
	mutex_unlock(&sq->lock);
}

static void save_commands(struct nvme_ctrl *ctrl, struct hw_stream *out)
{
	const u64 now = nvme_now_ns();
	struct nvme_job *job;
	u64 count = 0;

	mutex_lock(&ctrl->pool.lock);
	TAILQ_FOREACH(job, &ctrl->pool.cmds, link)
		count++;
	hw_save_u64(out, count);
	TAILQ_FOREACH(job, &ctrl->pool.cmds, link) {
		hw_save_u64(out, job->sq->id);
		hw_save(out, &job->cmd, sizeof(job->cmd));
		hw_save_u64(out, job->due_ns > now ? min(job->due_ns - now, (u64)COMMAND_NS_MAX) : 0);
	}
	mutex_unlock(&ctrl->pool.lock);
}

static void save_events_and_features(struct nvme_ctrl *ctrl, struct hw_stream *out)
{
	mutex_lock(&ctrl->lock);
	hw_save_u64(out, ctrl->error_count);
	hw_save(out, ctrl->errors, sizeof(ctrl->errors));
	hw_save_u64(out, ctrl->aer_count);
	for (u32 i = 0; i < ctrl->aer_count; i++)
		hw_save_u64(out, ctrl->aers[i]);
	hw_save_u64(out, atomic_load(&ctrl->events_pending));
	hw_save_u64(out, ctrl->events_masked);
	hw_save_u64(out, ctrl->ns_changed);
	for (u32 i = 0; i < NVME_SIMPLE_FEATURES; i++) {
		hw_save_u64(out, ctrl->simple[i]);
		hw_save_u64(out, ctrl->simple_saved[i]);
	}
	hw_save_u64(out, ctrl->temperature_over);
	hw_save_u64(out, ctrl->temperature_under);
	hw_save_u64(out, ctrl->vector_no_coalescing[0]);
	hw_save_u64(out, ctrl->vector_no_coalescing[1]);
	hw_save_u64(out, ctrl->timestamp_ms + (nvme_now_ns() - ctrl->timestamp_set_ns) / 1000000);
	hw_save_u64(out, ctrl->timestamp_by_host);
	mutex_unlock(&ctrl->lock);
}

/* Both directions need the same list. */
#define NR_COUNTERS 10
static atomic_ullong *counter(struct nvme_counters *c, u32 i)
{
	atomic_ullong *all[NR_COUNTERS] = { &c->sectors_read, &c->sectors_written, &c->reads, &c->writes, &c->busy_ns,
					    &c->media_errors, &c->error_entries, &c->power_cycles,
					    &c->unsafe_shutdowns, &c->on_ns };

	return all[i];
}

static void save_namespaces(struct nvme_ctrl *ctrl, struct hw_stream *out)
{
	for (u32 i = 0; i < ctrl->ns_count; i++) {
		hw_save_u64(out, atomic_load(&ctrl->ns[i].lbads));
		hw_save_u64(out, atomic_load(&ctrl->ns[i].error_recovery));
		hw_save_u64(out, atomic_load(&ctrl->ns[i].dirty));
	}
}

int nvme_save(struct hw_device *hw, struct hw_stream *out)
{
	struct nvme_ctrl *ctrl = hw_private(hw);

	mutex_lock(&ctrl->state_lock);
	save_registers(ctrl, out);
	for (u32 id = 0; id < NVME_QIDS; id++)
		save_cq(&ctrl->cq[id], out);
	for (u32 id = 0; id < NVME_QIDS; id++)
		save_sq(&ctrl->sq[id], out);
	save_commands(ctrl, out);
	save_events_and_features(ctrl, out);
	for (u32 i = 0; i < NR_COUNTERS; i++)
		hw_save_u64(out, atomic_load(counter(&ctrl->counters, i)));
	save_namespaces(ctrl, out);
	mutex_unlock(&ctrl->state_lock);
	return 0;
}

/* ---- load; state_lock held, the controller was just reset ---- */

static int bad(struct nvme_ctrl *ctrl, const char *what, u32 id)
{
	hw_explain(ctrl->hw, "NVMe: the stream's %s %u makes no sense", what, id);
	return -EINVAL;
}

struct registers {
	u64 state, cc, csts, aqa, asq[2], acq[2];
	u64 powered, unclean, intms, asserting[2], level;
};

static int load_registers(struct nvme_ctrl *ctrl, struct hw_stream *in, struct registers *r)
{
	hw_load_u64(in, "state", 0, NVME_FATAL, &r->state);
	hw_load_u64(in, "register CC", 0, UINT32_MAX, &r->cc);
	hw_load_u64(in, "register CSTS", 0, CSTS_BITS, &r->csts);
	hw_load_u64(in, "register AQA", 0, 0x0fff0fff, &r->aqa);
	for (u32 i = 0; i < 2; i++)
		hw_load_u64(in, "register ASQ", 0, UINT32_MAX, &r->asq[i]);
	for (u32 i = 0; i < 2; i++)
		hw_load_u64(in, "register ACQ", 0, UINT32_MAX, &r->acq[i]);
	hw_load_u64(in, "flag powered", 0, 1, &r->powered);
	hw_load_u64(in, "flag unclean", 0, 1, &r->unclean);
	hw_load_u64(in, "interrupt mask", 0, UINT32_MAX, &r->intms);
	hw_load_u64(in, "asserting queues", 0, UINT64_MAX, &r->asserting[0]);
	hw_load_u64(in, "asserting queues", 0, (1u << (NVME_QIDS - 64)) - 1, &r->asserting[1]);
	if (hw_load_u64(in, "level", 0, 1, &r->level))
		return -EINVAL;
	if ((r->cc & ~NVME_CC_WRITABLE) || NVME_CC_MPS(r->cc) > 4)
		return bad(ctrl, "register CC", (u32)r->cc);
	if (r->state == NVME_READY && (!(r->cc & NVME_CC_EN) || r->csts != NVME_CSTS_RDY))
		return bad(ctrl, "register CSTS", (u32)r->csts);
	return 0;
}

static void apply_registers(struct nvme_ctrl *ctrl, const struct registers *r)
{
	nvme_ctrl_load_registers(ctrl, (enum nvme_state)r->state, (u32)r->cc, (u32)r->csts, (u32)r->aqa,
				 r->asq[0] | r->asq[1] << 32, r->acq[0] | r->acq[1] << 32);
	ctrl->powered = r->powered;
	atomic_store(&ctrl->unclean, r->unclean);
	nvme_intx_load(ctrl, (u32)r->intms, r->asserting, r->level);
}

/* *@ret: the pin's reason, entries that were not taken, is part of what the queue holds. */
static int load_cq(struct nvme_ctrl *ctrl, struct hw_stream *in, u16 id)
{
	u64 live, base, size, vector, interrupts, phase, starved, head, tail;

	if (hw_load_u64(in, "completion queue", 0, 1, &live) || !live)
		return 0;
	hw_load_u64(in, "completion queue's base", 0, UINT64_MAX, &base);
	hw_load_u64(in, "completion queue's size", 2, NVME_AQ_ENTRIES_MAX, &size);
	hw_load_u64(in, "completion queue's vector", 0, NVME_VECTORS - 1, &vector);
	hw_load_u64(in, "completion queue's interrupts", 0, 1, &interrupts);
	hw_load_u64(in, "completion queue's phase", 0, 1, &phase);
	hw_load_u64(in, "completion queue's state", 0, 1, &starved);
	hw_load_u64(in, "completion queue's head", 0, size - 1, &head);
	if (hw_load_u64(in, "completion queue's tail", 0, size - 1, &tail))
		return -EINVAL;
	if (id > ctrl->queues)
		return bad(ctrl, "completion queue", id);
	nvme_cq_start(ctrl, id, base, (u32)size, (u16)vector, interrupts);
	nvme_cq_load(&ctrl->cq[id], (u32)head, (u32)tail, phase, starved);
	return 0;
}

static int load_sq(struct nvme_ctrl *ctrl, struct hw_stream *in, u16 id)
{
	u64 live, base, size, cqid, head, tail;

	if (hw_load_u64(in, "submission queue", 0, 1, &live) || !live)
		return 0;
	hw_load_u64(in, "submission queue's base", 0, UINT64_MAX, &base);
	hw_load_u64(in, "submission queue's size", 2, NVME_AQ_ENTRIES_MAX, &size);
	hw_load_u64(in, "submission queue's completion queue", 0, ctrl->queues, &cqid);
	hw_load_u64(in, "submission queue's head", 0, size - 1, &head);
	if (hw_load_u64(in, "submission queue's tail", 0, size - 1, &tail))
		return -EINVAL;
	if (id > ctrl->queues || !id != !cqid || !nvme_cq_live(ctrl, (u32)cqid))
		return bad(ctrl, "submission queue", id);
	if (nvme_sq_start(ctrl, id, base, (u32)size, (u16)cqid)) {
		hw_explain(ctrl->hw, "NVMe: no memory for submission queue %u", id);
		return -ENOMEM;
	}
	nvme_sq_load(&ctrl->sq[id], (u32)head, (u32)tail);
	return 0;
}

static int load_command(struct nvme_ctrl *ctrl, struct hw_stream *in)
{
	struct nvme_cmd cmd;
	u64 id, left;

	hw_load_u64(in, "command's queue", 0, ctrl->queues, &id);
	hw_load(in, &cmd, sizeof(cmd));
	if (hw_load_u64(in, "command's time", 0, COMMAND_NS_MAX, &left))
		return -EINVAL;
	if (!nvme_sq_live(ctrl, (u32)id) || !nvme_cq_reserve(ctrl->sq[id].cq, 1))
		return bad(ctrl, "command of queue", (u32)id);
	if (!nvme_pool_load(&ctrl->sq[id], &cmd, left))
		return 0;
	nvme_cq_unreserve(ctrl->sq[id].cq, 1);
	hw_explain(ctrl->hw, "NVMe: no memory for a command of queue %u", (u32)id);
	return -ENOMEM;
}

static int load_queues(struct nvme_ctrl *ctrl, struct hw_stream *in)
{
	u64 count;
	int err = 0;

	for (u32 id = 0; id < NVME_QIDS && !err; id++)
		err = load_cq(ctrl, in, (u16)id);
	for (u32 id = 0; id < NVME_QIDS && !err; id++)
		err = load_sq(ctrl, in, (u16)id);
	if (!err)
		err = hw_load_u64(in, "number of commands", 0, COMMANDS_MAX, &count);
	for (u64 i = 0; !err && i < count; i++)
		err = load_command(ctrl, in);
	return err;
}

/* A controller that is not enabled has no queues, one that is ready has the admin pair. */
static int check_queues(struct nvme_ctrl *ctrl, u64 state)
{
	const bool admin = nvme_sq_live(ctrl, 0) && nvme_cq_live(ctrl, 0);

	if (state == NVME_READY && !admin)
		return bad(ctrl, "admin queue", 0);
	for (u32 id = 0; id < NVME_QIDS && state == NVME_DISABLED; id++) {
		if (nvme_sq_live(ctrl, id) || nvme_cq_live(ctrl, id))
			return bad(ctrl, "queue of a disabled controller", id);
	}
	return 0;
}

static int load_events(struct nvme_ctrl *ctrl, struct hw_stream *in)
{
	u64 count, val;

	hw_load_u64(in, "number of errors", 0, UINT64_MAX, &ctrl->error_count);
	hw_load(in, ctrl->errors, sizeof(ctrl->errors));
	hw_load_u64(in, "number of event requests", 0, NVME_AERS, &count);
	ctrl->aer_count = (u32)count;
	for (u32 i = 0; i < count; i++) {
		hw_load_u64(in, "event request", 0, UINT16_MAX, &val);
		ctrl->aers[i] = (u16)val;
	}
	hw_load_u64(in, "events", 0, BIT(NVME_EVENTS) - 1, &val);
	atomic_store(&ctrl->events_pending, (u32)val);
	hw_load_u64(in, "masked events", 0, UINT32_MAX, &val);
	ctrl->events_masked = (u32)val;
	hw_load_u64(in, "changed namespaces", 0, UINT32_MAX, &val);
	ctrl->ns_changed = (u32)val;
	return hw_load(in, NULL, 0);
}

static int load_features(struct nvme_ctrl *ctrl, struct hw_stream *in)
{
	u64 val, saved, by_host;

	for (u32 i = 0; i < NVME_SIMPLE_FEATURES; i++) {
		const u32 mask = nvme_feature_mask(i);

		hw_load_u64(in, "feature", 0, UINT32_MAX, &val);
		hw_load_u64(in, "saved feature", 0, UINT32_MAX, &saved);
		if ((val | saved) & ~(u64)mask)
			return bad(ctrl, "feature", i);
		__atomic_store_n(&ctrl->simple[i], (u32)val, __ATOMIC_RELEASE);
		ctrl->simple_saved[i] = (u32)saved;
	}
	hw_load_u64(in, "temperature threshold", 0, UINT16_MAX, &val);
	ctrl->temperature_over = (u16)val;
	hw_load_u64(in, "temperature threshold", 0, UINT16_MAX, &val);
	ctrl->temperature_under = (u16)val;
	hw_load_u64(in, "vectors", 0, UINT64_MAX, &ctrl->vector_no_coalescing[0]);
	hw_load_u64(in, "vectors", 0, 1, &ctrl->vector_no_coalescing[1]);
	hw_load_u64(in, "time", 0, UINT64_MAX, &ctrl->timestamp_ms);
	ctrl->timestamp_set_ns = nvme_now_ns();
	hw_load_u64(in, "origin of the time", 0, 1, &by_host);
	ctrl->timestamp_by_host = by_host;
	return hw_load(in, NULL, 0);
}

static int load_namespaces(struct nvme_ctrl *ctrl, struct hw_stream *in)
{
	u64 lbads, recovery, dirty;

	for (u32 i = 0; i < ctrl->ns_count; i++) {
		hw_load_u64(in, "block size", NVME_LBADS_MIN, NVME_LBADS_MAX, &lbads);
		hw_load_u64(in, "error recovery", 0, UINT16_MAX, &recovery);
		if (hw_load_u64(in, "dirty flag", 0, 1, &dirty))
			return -EINVAL;
		if (lbads != NVME_LBADS_MIN && lbads != NVME_LBADS_MAX)
			return bad(ctrl, "format of namespace", i + 1);
		atomic_store(&ctrl->ns[i].lbads, (u32)lbads);
		atomic_store(&ctrl->ns[i].error_recovery, (u32)recovery);
		atomic_store(&ctrl->ns[i].dirty, dirty);
	}
	return 0;
}

static int load_locked(struct nvme_ctrl *ctrl, struct hw_stream *in)
{
	struct registers r;
	u64 val;
	int err = load_registers(ctrl, in, &r);

	if (!err)
		err = load_queues(ctrl, in);
	if (!err)
		err = check_queues(ctrl, r.state);
	if (err)
		return err;
	mutex_lock(&ctrl->lock);
	err = load_events(ctrl, in);
	if (!err)
		err = load_features(ctrl, in);
	mutex_unlock(&ctrl->lock);
	for (u32 i = 0; i < NR_COUNTERS; i++) {
		hw_load_u64(in, "counter", 0, UINT64_MAX, &val);
		atomic_store(counter(&ctrl->counters, i), val);
	}
	if (!err)
		err = load_namespaces(ctrl, in);
	if (!err)
		apply_registers(ctrl, &r);
	return err;
}

int nvme_load(struct hw_device *hw, struct hw_stream *in)
{
	struct nvme_ctrl *ctrl = hw_private(hw);
	int err;

	mutex_lock(&ctrl->state_lock);
	err = load_locked(ctrl, in);
	mutex_unlock(&ctrl->state_lock);
	return err;
}
