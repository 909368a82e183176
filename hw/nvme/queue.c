/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.c - submission and completion queues, doorbells, the interrupt pin.
 *
 * Room in a completion queue is promised before a command is fetched (reserved), so posting one never
 * has to wait; a submission queue that finds no room is run again when the host takes entries.
 *
 * Entries are given out under the completion queue's lock and written without it, so several threads
 * write at once and not in order.  The host does not see that: it stops at the first entry whose phase
 * tag is old, and of the entries that one thread writes the first gets its tag last, by a store of one
 * byte.  Each thread interrupts after its own entries are whole.
 *
 * Always: head and tail are below size; tail - head + reserved < size.
 *
 * Source: NVM Express 1.4, 3.1.24 (doorbells), 4.1 (queues), 4.6 (completions), 7.5.1 (pin).
 */
#include <stdlib.h>

#include "hw/nvme/nvme.h"

static u32 ring_used(u32 head, u32 tail, u32 size) { return tail >= head ? tail - head : tail + size - head; }
static u32 ring_add(u32 at, u32 n, u32 size) { return at + n >= size ? at + n - size : at + n; }

/* ---- the pin ---- */

/* irq_lock held. */
static void intx_apply(struct nvme_ctrl *ctrl)
{
	bool level = false;

	for (u32 id = 0; id < NVME_QIDS && !level; id++) {
		u16 vector = ctrl->cq[id].vector;

		if (ctrl->asserting[id / 64] & BIT_ULL(id % 64))
			level = vector >= 32 || !(ctrl->intms & BIT(vector));
	}
	atomic_store(&ctrl->intx_used, ctrl->asserting[0] || ctrl->asserting[1]);
	if (level != ctrl->level)
		hw_intx(ctrl->hw, level);
	ctrl->level = level;
}

void nvme_intx_update(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	u64 *word = &ctrl->asserting[cq->id / 64];
	u64 bit = BIT_ULL(cq->id % 64);

	mutex_lock(&ctrl->irq_lock);
	if (cq->interrupts && atomic_load(&cq->posted) != atomic_load(&cq->acked))
		*word |= bit;
	else
		*word &= ~bit;
	intx_apply(ctrl);
	mutex_unlock(&ctrl->irq_lock);
}

void nvme_intx_mask(struct nvme_ctrl *ctrl, u32 set, u32 clear)
{
	mutex_lock(&ctrl->irq_lock);
	ctrl->intms = (ctrl->intms | set) & ~clear;
	atomic_store(&ctrl->regs[NVME_REG_INTMS / 4], ctrl->intms);
	atomic_store(&ctrl->regs[NVME_REG_INTMC / 4], ctrl->intms);
	__atomic_store_n((u32 *)(ctrl->bar + NVME_REG_INTMS), ctrl->intms, __ATOMIC_RELEASE);
	__atomic_store_n((u32 *)(ctrl->bar + NVME_REG_INTMC), ctrl->intms, __ATOMIC_RELEASE);
	intx_apply(ctrl);
	mutex_unlock(&ctrl->irq_lock);
}

void nvme_intx_load(struct nvme_ctrl *ctrl, u32 intms, const u64 asserting[2], bool level)
{
	nvme_intx_mask(ctrl, intms, ~intms);
	mutex_lock(&ctrl->irq_lock);
	ctrl->asserting[0] = asserting[0];
	ctrl->asserting[1] = asserting[1];
	atomic_store(&ctrl->intx_used, asserting[0] || asserting[1]);
	ctrl->level = level; /* the pin itself is the core's to move */
	mutex_unlock(&ctrl->irq_lock);
}

static void cq_interrupt(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	if (!cq->interrupts || hw_msi(ctrl->hw, cq->vector))
		return;
	nvme_intx_update(ctrl, cq);
}

/* ---- completion queues ---- */

u32 nvme_cq_reserve(struct nvme_cq *cq, u32 want)
{
	u32 got;

	mutex_lock(&cq->lock);
	got = min(want, cq->size - 1 - ring_used(cq->head, cq->tail, cq->size) - cq->reserved);
	cq->reserved += got;
	if (!got)
		cq->starved = true;
	mutex_unlock(&cq->lock);
	return got;
}

void nvme_cq_unreserve(struct nvme_cq *cq, u32 count)
{
	mutex_lock(&cq->lock);
	cq->reserved -= count;
	mutex_unlock(&cq->lock);
}

/* @n entries from @slot on, not wrapping; the tag of the first is left old. */
static int cq_write(struct nvme_cq *cq, struct hw_dma *dma, u32 slot, struct nvme_cqe *cqes, u32 n,
		    bool phase)
{
	for (u32 i = 0; i < n; i++)
		cqes[i].status = (u16)((cqes[i].status & ~1u) | phase);
	cqes[0].status ^= 1;
	return nvme_dma_write(dma, cq->base + slot * sizeof(*cqes), cqes, n * sizeof(*cqes));
}

static int cq_tag(struct nvme_cq *cq, struct hw_dma *dma, u32 slot, struct nvme_cqe *cqe)
{
	u8 byte;

	cqe->status ^= 1;
	byte = (u8)cqe->status;
	atomic_thread_fence(memory_order_release);
	return nvme_dma_write(dma, cq->base + slot * sizeof(*cqe) + NVME_CQE_PHASE_BYTE, &byte, 1);
}

void nvme_cq_post(struct nvme_ctrl *ctrl, struct nvme_cq *cq, struct hw_dma *dma, struct nvme_cqe *cqes,
		  u32 n)
{
	u32 slot, first;
	bool phase;
	int err;

	mutex_lock(&cq->lock);
	slot = cq->tail;
	phase = cq->phase;
	cq->tail = ring_add(slot, n, cq->size);
	cq->phase ^= slot + n >= cq->size;
	cq->reserved -= n;
	mutex_unlock(&cq->lock);
	first = min(n, cq->size - slot);
	err = cq_write(cq, dma, slot, cqes, first, phase);
	if (!err && first < n)
		err = cq_write(cq, dma, 0, cqes + first, n - first, !phase);
	if (!err && first < n)
		err = cq_tag(cq, dma, 0, cqes + first);
	if (!err)
		err = cq_tag(cq, dma, slot, cqes);
	if (err) {
		nvme_ctrl_fatal(ctrl,
				"a completion queue cannot be written: is it mapped, is bus mastering on?");
		return;
	}
	atomic_fetch_add(&cq->posted, n);
	cq_interrupt(ctrl, cq);
}

void nvme_cq_start(struct nvme_ctrl *ctrl, u16 id, u64 base, u32 size, u16 vector, bool interrupts)
{
	struct nvme_cq *cq = &ctrl->cq[id];

	mutex_lock(&ctrl->irq_lock); /* the pin looks at vectors of all queues */
	cq->vector = vector;
	cq->interrupts = interrupts;
	mutex_unlock(&ctrl->irq_lock);
	mutex_lock(&cq->lock);
	cq->base = base;
	cq->size = size;
	cq->phase = true;
	cq->starved = false;
	cq->head = 0;
	cq->tail = 0;
	cq->reserved = 0;
	atomic_store(&cq->posted, 0);
	atomic_store(&cq->acked, 0);
	cq->sq_count = 0;
	cq->live = true;
	mutex_unlock(&cq->lock);
}

void nvme_cq_load(struct nvme_cq *cq, u32 head, u32 tail, bool phase, bool starved)
{
	mutex_lock(&cq->lock);
	cq->head = head;
	cq->tail = tail;
	cq->phase = phase;
	cq->starved = starved;
	atomic_store(&cq->posted, ring_used(head, tail, cq->size));
	mutex_unlock(&cq->lock);
}

void nvme_cq_stop(struct nvme_ctrl *ctrl, u16 id)
{
	struct nvme_cq *cq = &ctrl->cq[id];

	mutex_lock(&cq->lock);
	cq->live = false;
	atomic_store(&cq->acked, atomic_load(&cq->posted));
	mutex_unlock(&cq->lock);
	nvme_intx_update(ctrl, cq);
}

bool nvme_cq_live(struct nvme_ctrl *ctrl, u32 id)
{
	bool live;

	if (id >= NVME_QIDS)
		return false;
	mutex_lock(&ctrl->cq[id].lock);
	live = ctrl->cq[id].live;
	mutex_unlock(&ctrl->cq[id].lock);
	return live;
}

/* ---- running a submission queue ---- */

/* sq->lock held. */
static void sq_drained(struct nvme_sq *sq)
{
	if (!sq->draining || sq->running || sq->outstanding)
		return;
	sq->draining = false;
	sem_post(&sq->drained);
}

bool nvme_sq_release(struct nvme_sq *sq)
{
	bool again;

	mutex_lock(&sq->lock);
	again = sq->again;
	sq->again = false;
	sq->running = again;
	sq_drained(sq);
	mutex_unlock(&sq->lock);
	return !again;
}

/* How many commands may be fetched from head on without wrapping.  sq->lock held. */
static u32 sq_available(struct nvme_sq *sq)
{
	u32 used = ring_used(sq->head, sq->tail, sq->size);

	if (!sq->live || !nvme_ready(sq->ctrl) || atomic_load_explicit(&sq->ctrl->held, memory_order_relaxed))
		return 0;
	used = min(used, sq->size - sq->head);
	return min(used, NVME_BATCH);
}

/*
 * Take commands off the queue, with room for their completions.
 * Return: how many, from *@ret_first on; 0 if there are none or no room.
 */
static u32 sq_claim(struct nvme_sq *sq, u32 *ret_first)
{
	u32 want, got;

	mutex_lock(&sq->lock);
	want = sq_available(sq);
	mutex_unlock(&sq->lock);
	got = want ? nvme_cq_reserve(sq->cq, want) : 0;
	if (!got)
		return 0;
	mutex_lock(&sq->lock);
	*ret_first = sq->head;
	sq->head = ring_add(sq->head, got, sq->size);
	mutex_unlock(&sq->lock);
	return got;
}

/* Bus mastering is off: the commands stay where they are, see nvme_bus_master_on(). */
static void sq_unclaim(struct nvme_sq *sq, u32 first, u32 n)
{
	mutex_lock(&sq->lock);
	sq->head = first;
	mutex_unlock(&sq->lock);
	nvme_cq_unreserve(sq->cq, n);
}

static int sq_fetch(struct nvme_sq *sq, u32 first, u32 n)
{
	struct nvme_ctrl *ctrl = sq->ctrl;
	int err = nvme_dma_read(sq->dma, sq->base + first * sizeof(sq->cmds[0]), sq->cmds,
				n * sizeof(sq->cmds[0]));

	if (!err)
		return 0;
	if (err == -EPERM) {
		hw_explain(ctrl->hw, "NVMe: queue %u: commands wait, because bus mastering is off", sq->id);
		sq_unclaim(sq, first, n);
		return err;
	}
	hw_explain(ctrl->hw, "NVMe: queue %u: cannot fetch commands at iova 0x%llx", sq->id,
		   (unsigned long long)(sq->base + first * sizeof(sq->cmds[0])));
	nvme_cq_unreserve(sq->cq, n);
	nvme_ctrl_fatal(ctrl, "a submission queue cannot be read: is it mapped?");
	return err;
}

int nvme_req_exec(struct nvme_req *req)
{
	return req->sq->id ? nvme_io_exec(req) : nvme_admin_exec(req);
}

void nvme_req_finish(struct nvme_req *req, int status, u16 sq_head, struct nvme_cqe *cqe)
{
	if (status)
		status = nvme_error_log(req, status);
	cqe->dw0 = req->dw0;
	cqe->dw1 = 0;
	cqe->sq_head = sq_head;
	cqe->sq_id = req->sq->id;
	cqe->cid = req->cmd->cid;
	cqe->status = (u16)(status << 1);
}

static int sq_defer(struct nvme_req *req)
{
	int err = nvme_pool_cmd(req->sq, req->cmd);

	if (!err)
		return NVME_TO_WORKER;
	if (err != -ESHUTDOWN)
		return NVME_INTERNAL_ERROR;
	return atomic_load(&req->sq->stop) == NVME_STOP_DELETE ? NVME_ABORTED_SQ_DELETION : NVME_HELD;
}

/* Run @n fetched commands.  Return: what they count for the budget, of which @spent is gone. */
static u64 sq_batch(struct nvme_sq *sq, u32 n, u8 *scratch, u64 spent, u64 budget)
{
	struct nvme_ctrl *ctrl = sq->ctrl;
	const u16 sq_head = (u16)sq->head; /* only we change it */
	u64 posted_at = 0, cost = 0;
	u32 done = 0;

	for (u32 i = 0; i < n; i++) {
		struct nvme_req req = { .ctrl = ctrl, .sq = sq, .cmd = &sq->cmds[i], .dma = sq->dma,
					.scratch = scratch, .param_loc = NVME_NO_LOC };
		int st;

		req.inline_max = spent + cost < budget ? NVME_INLINE_BYTES : NVME_LATE_BYTES;
		st = nvme_req_exec(&req);
		if (st == NVME_TO_WORKER)
			st = sq_defer(&req);
		if (st == NVME_HELD)
			nvme_cq_unreserve(sq->cq, 1);
		cost += req.bytes + NVME_COMMAND_BYTES;
		if (st == NVME_HELD || st == NVME_TO_WORKER)
			continue;
		nvme_req_finish(&req, st, sq_head, &sq->done[done++]);
		if (cost - posted_at < NVME_POST_BYTES)
			continue;
		nvme_cq_post(ctrl, sq->cq, sq->dma, sq->done, done);
		posted_at = cost;
		done = 0;
	}
	if (done)
		nvme_cq_post(ctrl, sq->cq, sq->dma, sq->done, done);
	return cost;
}

static bool sq_more(struct nvme_sq *sq)
{
	bool more;

	mutex_lock(&sq->lock);
	more = sq_available(sq) || sq->again;
	mutex_unlock(&sq->lock);
	return more;
}

void nvme_sq_run(struct nvme_sq *sq, u8 *scratch, u64 budget)
{
	u64 began = sq->id ? nvme_now_ns() : 0;
	u64 spent = 0;

	for (;;) {
		u32 first, n;

		if (!sq->id)
			nvme_events_post(sq->ctrl);
		n = sq_claim(sq, &first);
		if (n && !sq_fetch(sq, first, n))
			spent += sq_batch(sq, n, scratch, spent, budget);
		else if (nvme_sq_release(sq))
			break;
		if (spent < budget || !sq_more(sq))
			continue;
		spent = 0; /* if no worker can be had, go on here */
		if (!nvme_pool_run(sq))
			break;
	}
	if (sq->id)
		atomic_fetch_add_explicit(&sq->ctrl->counters.busy_ns, nvme_now_ns() - began,
					  memory_order_relaxed);
}

void nvme_sq_kick(struct nvme_sq *sq)
{
	bool mine;

	mutex_lock(&sq->lock);
	mine = sq->live && !sq->running;
	if (mine)
		sq->running = true;
	else
		sq->again = sq->live;
	mutex_unlock(&sq->lock);
	if (!mine)
		return;
	if (!nvme_dma_depth)
		nvme_sq_run(sq, NULL, NVME_DOORBELL_BYTES);
	else if (nvme_pool_run(sq))
		while (!nvme_sq_release(sq)) /* no thread to be had: the next doorbell does it */
			;
}

void nvme_job_done(struct nvme_sq *sq)
{
	mutex_lock(&sq->lock);
	sq->outstanding--;
	sq_drained(sq);
	mutex_unlock(&sq->lock);
}

void nvme_job_abort(struct nvme_job *job, int status)
{
	struct nvme_sq *sq = job->sq;
	struct nvme_req req = { .ctrl = sq->ctrl, .sq = sq, .cmd = &job->cmd, .dma = sq->dma,
				.param_loc = NVME_NO_LOC };
	struct nvme_cqe cqe;
	u16 head;

	mutex_lock(&sq->lock);
	head = (u16)sq->head;
	mutex_unlock(&sq->lock);
	nvme_req_finish(&req, status, head, &cqe);
	nvme_cq_post(sq->ctrl, sq->cq, sq->dma, &cqe, 1);
	nvme_job_done(sq);
}

/* ---- starting and stopping ---- */

bool nvme_sq_live(struct nvme_ctrl *ctrl, u32 id)
{
	bool live;

	if (id >= NVME_QIDS)
		return false;
	mutex_lock(&ctrl->sq[id].lock);
	live = ctrl->sq[id].live;
	mutex_unlock(&ctrl->sq[id].lock);
	return live;
}

int nvme_sq_start(struct nvme_ctrl *ctrl, u16 id, u64 base, u32 size, u16 cqid)
{
	struct nvme_sq *sq = &ctrl->sq[id];

	if (!sq->dma)
		sq->dma = hw_dma_open(ctrl->hw);
	if (!sq->dma)
		return -ENOMEM;
	ctrl->cq[cqid].sq_count++;
	mutex_lock(&sq->lock);
	sq->base = base;
	sq->size = size;
	sq->cq = &ctrl->cq[cqid];
	sq->head = 0;
	sq->tail = 0;
	sq->again = false;
	atomic_store(&sq->stop, NVME_RUNS);
	sq->live = true;
	mutex_unlock(&sq->lock);
	return 0;
}

void nvme_sq_load(struct nvme_sq *sq, u32 head, u32 tail)
{
	mutex_lock(&sq->lock);
	sq->head = head;
	sq->tail = tail;
	mutex_unlock(&sq->lock);
}

static void sq_cancel(struct nvme_sq *sq, enum nvme_stop how)
{
	struct nvme_jobs jobs;
	struct nvme_job *job;

	nvme_pool_cancel(sq, &jobs);
	while ((job = TAILQ_FIRST(&jobs))) {
		TAILQ_REMOVE(&jobs, job, link);
		if (job->kind == NVME_JOB_SQ) {
			while (!nvme_sq_release(sq))
				;
			continue;
		}
		if (how == NVME_STOP_DELETE)
			nvme_job_abort(job, NVME_ABORTED_SQ_DELETION);
		else
			nvme_job_done(sq);
		free(job);
	}
}

void nvme_sq_stop(struct nvme_ctrl *ctrl, u16 id, enum nvme_stop how)
{
	struct nvme_sq *sq = &ctrl->sq[id];
	bool wait;

	mutex_lock(&sq->lock);
	wait = sq->live;
	sq->live = false;
	mutex_unlock(&sq->lock);
	if (!wait)
		return;
	atomic_store(&sq->stop, how);
	sq_cancel(sq, how);
	mutex_lock(&sq->lock);
	wait = sq->running || sq->outstanding;
	sq->draining = wait;
	mutex_unlock(&sq->lock);
	while (wait && sem_wait(&sq->drained))
		; /* a signal handler of the program ran */
	sq->cq->sq_count--;
}

void nvme_queues_init(struct nvme_ctrl *ctrl)
{
	for (u32 id = 0; id < NVME_QIDS; id++) {
		struct nvme_sq *sq = &ctrl->sq[id];

		mutex_init(&ctrl->cq[id].lock, LOCK_HW_MODEL_QUEUE);
		ctrl->cq[id].id = (u16)id;
		mutex_init(&sq->lock, LOCK_HW_MODEL_QUEUE);
		sem_init(&sq->drained, 0, 0);
		sq->ctrl = ctrl;
		sq->id = (u16)id;
		sq->job.kind = NVME_JOB_SQ;
		sq->job.sq = sq;
	}
}

void nvme_queues_destroy(struct nvme_ctrl *ctrl)
{
	for (u32 id = 0; id < NVME_QIDS; id++) {
		if (ctrl->sq[id].dma)
			hw_dma_close(ctrl->sq[id].dma);
		sem_destroy(&ctrl->sq[id].drained);
		mutex_destroy(&ctrl->sq[id].lock);
		mutex_destroy(&ctrl->cq[id].lock);
	}
}

void nvme_bus_master_on(struct nvme_ctrl *ctrl)
{
	for (u32 id = 0; id < NVME_QIDS; id++) {
		struct nvme_sq *sq = &ctrl->sq[id];
		bool work;

		mutex_lock(&sq->lock);
		work = sq->live && sq->head != sq->tail && !sq->running;
		sq->again |= sq->live && sq->running;
		sq->running |= work;
		mutex_unlock(&sq->lock);
		if (work && nvme_pool_run(sq))
			while (!nvme_sq_release(sq))
				;
	}
}

/* ---- doorbells ---- */

static void bad_register(struct nvme_ctrl *ctrl, u32 off, const char *what, u32 id)
{
	hw_explain(ctrl->hw, "NVMe: doorbell at 0x%x: %s queue %u does not exist", off, what, id);
	nvme_event_raise(ctrl, NVME_EV_DOORBELL_REGISTER);
}

static void bad_value(struct nvme_ctrl *ctrl, const char *what, u32 id, u32 val, const char *why)
{
	hw_explain(ctrl->hw, "NVMe: %s queue %u: doorbell value %u %s", what, id, val, why);
	nvme_event_raise(ctrl, NVME_EV_DOORBELL_VALUE);
}

static void sq_doorbell(struct nvme_ctrl *ctrl, u32 id, u32 off, u32 val)
{
	struct nvme_sq *sq = &ctrl->sq[id];
	const char *bad = NULL;
	bool live;

	mutex_lock(&sq->lock);
	live = sq->live;
	if (live && val >= sq->size)
		bad = "is not below the queue's size";
	else if (live &&
		 ring_used(sq->tail, val, sq->size) > sq->size - 1 - ring_used(sq->head, sq->tail, sq->size))
		bad = "adds more commands than there are free entries";
	else if (live)
		sq->tail = val;
	mutex_unlock(&sq->lock);
	if (!live)
		bad_register(ctrl, off, "submission", id);
	else if (bad)
		bad_value(ctrl, "submission", id, val, bad);
	else
		nvme_sq_kick(sq);
}

/* There is room again: run whoever waited for it. */
static void cq_feed(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	for (u32 id = 0; id < NVME_QIDS; id++) {
		struct nvme_sq *sq = &ctrl->sq[id];
		bool mine;

		mutex_lock(&sq->lock);
		mine = sq->live && sq->cq == cq;
		mutex_unlock(&sq->lock);
		if (mine)
			nvme_sq_kick(sq);
	}
}

static void cq_doorbell(struct nvme_ctrl *ctrl, u32 id, u32 off, u32 val)
{
	struct nvme_cq *cq = &ctrl->cq[id];
	const char *bad = NULL;
	bool live, starved = false;
	u32 taken;

	mutex_lock(&cq->lock);
	live = cq->live;
	if (live && val >= cq->size) {
		bad = "is not below the queue's size";
	} else if (live) {
		taken = ring_used(cq->head, val, cq->size);
		if (taken > ring_used(cq->head, cq->tail, cq->size)) {
			bad = "takes more entries than were posted";
		} else {
			cq->head = val;
			atomic_fetch_add(&cq->acked, taken);
			starved = cq->starved && taken;
			cq->starved &= !starved;
		}
	}
	mutex_unlock(&cq->lock);
	if (!live)
		bad_register(ctrl, off, "completion", id);
	else if (bad)
		bad_value(ctrl, "completion", id, val, bad);
	else if (atomic_load(&ctrl->intx_used))
		nvme_intx_update(ctrl, cq);
	if (starved)
		cq_feed(ctrl, cq);
}

void nvme_doorbell(struct nvme_ctrl *ctrl, u32 off, u32 val)
{
	u32 index = (off - NVME_REG_DOORBELLS) / 4;

	if (!nvme_ready(ctrl)) {
		hw_explain(ctrl->hw,
			   "NVMe: doorbell at 0x%x ignored: the controller is not ready (CSTS 0x%x)", off,
			   atomic_load(&ctrl->regs[NVME_REG_CSTS / 4]));
		return;
	}
	if (index >= 2 * NVME_QIDS)
		bad_register(ctrl, off, index & 1 ? "completion" : "submission", index / 2);
	else if (index & 1)
		cq_doorbell(ctrl, index / 2, off, val & 0xffff);
	else
		sq_doorbell(ctrl, index / 2, off, val & 0xffff);
}
