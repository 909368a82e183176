/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker.c - threads for what is too long for the thread that rang the doorbell: large transfers,
 * flushes, formats, queues whose doorbell has spent its budget, and everything if the user asked for
 * a latency.
 *
 * There are two lists.  "runs" holds queues whose token is waiting for a thread.  "cmds" holds single
 * commands in the order in which they are due; as all are delayed by the same time, that is the order
 * in which they came.  A command stays on the list until it is due, so that an abort finds it.
 *
 * A thread starts when there is a job and none is idle, so that a program without such commands has
 * no thread of ours.  Threads end with the controller's reset.
 *
 * A pool that is held (the device is stopped) keeps its jobs: no thread takes one.
 *
 * Always: a thread is started before the job for it is on a list, while the queue of the job cannot be
 * drained; so nvme_pool_stop(), which runs after all queues are drained, sees every thread.
 */
#include <stdlib.h>
#include <time.h>

#include "hw/nvme/nvme.h"
#include "kernel/lib/sys.h"

/* pool->lock held.  Return: a job, taken off its list; NULL, and when to look again (0: when woken). */
static struct nvme_job *job_next(struct nvme_pool *pool, u64 *ret_due_ns)
{
	struct nvme_job *run = TAILQ_FIRST(&pool->runs);
	struct nvme_job *cmd = TAILQ_FIRST(&pool->cmds);

	*ret_due_ns = 0;
	if (pool->held)
		return NULL;
	if (cmd && cmd->due_ns && cmd->due_ns > nvme_now_ns()) {
		*ret_due_ns = cmd->due_ns;
		cmd = NULL;
	}
	/* Neither kind may starve the other. */
	if (run && (!cmd || !pool->run_last)) {
		TAILQ_REMOVE(&pool->runs, run, link);
		pool->run_last = true;
		return run;
	}
	if (!cmd)
		return NULL;
	TAILQ_REMOVE(&pool->cmds, cmd, link);
	pool->run_last = false;
	return cmd;
}

/* Wait for a job.  Return: NULL when the thread is to end. */
static struct nvme_job *job_wait(struct nvme_pool *pool)
{
	for (;;) {
		struct nvme_job *job;
		struct timespec until;
		u64 due_ns;
		bool stop, more;

		mutex_lock(&pool->lock);
		job = job_next(pool, &due_ns);
		if (job) {
			pool->queued--;
			pool->busy++;
		}
		stop = pool->stopping;
		more = pool->queued;
		mutex_unlock(&pool->lock);
		if (job && more)
			sem_post(&pool->wake); /* who waited for this job looks for the next */
		if (job || stop)
			return job;
		until.tv_sec = (time_t)(due_ns / 1000000000);
		until.tv_nsec = (long)(due_ns % 1000000000);
		if (due_ns)
			(void)sem_clockwait(&pool->wake, CLOCK_MONOTONIC, &until);
		else
			(void)sem_wait(&pool->wake);
	}
}

static void job_command(struct nvme_worker *worker, struct nvme_job *job)
{
	struct nvme_sq *sq = job->sq;
	struct nvme_req req = { .ctrl = sq->ctrl, .sq = sq, .cmd = &job->cmd, .scratch = worker->scratch,
				.queued = true, .param_loc = NVME_NO_LOC };
	struct nvme_cqe cqe;
	u64 began = nvme_now_ns();
	u16 head;
	int st;

	req.dma = worker->dma ? worker->dma : sq->dma;
	if (nvme_ready(sq->ctrl)) {
		st = nvme_req_exec(&req);
		mutex_lock(&sq->lock);
		head = (u16)sq->head;
		mutex_unlock(&sq->lock);
		nvme_req_finish(&req, st, head, &cqe);
		nvme_cq_post(sq->ctrl, sq->cq, req.dma, &cqe, 1);
		if (sq->id)
			atomic_fetch_add(&sq->ctrl->counters.busy_ns, nvme_now_ns() - began);
	}
	free(job);
	nvme_job_done(sq);
}

static void worker_main(void *arg)
{
	struct nvme_worker *worker = arg;
	struct nvme_pool *pool = &worker->ctrl->pool;
	struct nvme_job *job;

	/* Here and not where the thread is started: that may be from within a DMA. */
	worker->dma = hw_dma_open(worker->ctrl->hw);
	while ((job = job_wait(pool))) {
		if (job->kind == NVME_JOB_SQ)
			nvme_sq_run(job->sq, worker->scratch, NVME_WORKER_BYTES);
		else
			job_command(worker, job);
		mutex_lock(&pool->lock);
		pool->busy--;
		mutex_unlock(&pool->lock);
	}
	if (worker->dma)
		hw_dma_close(worker->dma);
}

static int worker_start(struct nvme_ctrl *ctrl)
{
	struct nvme_worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return -ENOMEM;
	worker->ctrl = ctrl;
	err = hw_thread_start(ctrl->hw, "nvme", worker_main, worker, &worker->thread);
	if (err) {
		free(worker);
		return err;
	}
	mutex_lock(&ctrl->pool.lock);
	SLIST_INSERT_HEAD(&ctrl->pool.workers, worker, link);
	mutex_unlock(&ctrl->pool.lock);
	return 0;
}

/* A thread for one more job.  Return: 0 if there is at least one thread, perhaps busy. */
static int pool_grow(struct nvme_ctrl *ctrl)
{
	struct nvme_pool *pool = &ctrl->pool;
	bool have, grow;
	int err;

	mutex_lock(&pool->lock);
	have = pool->started;
	grow = pool->busy + pool->queued >= pool->started && pool->started < pool->max;
	pool->started += grow;
	mutex_unlock(&pool->lock);
	if (!grow)
		return 0;
	err = worker_start(ctrl);
	if (!err)
		return 0;
	mutex_lock(&pool->lock);
	pool->started--;
	mutex_unlock(&pool->lock);
	hw_explain(ctrl->hw, "NVMe: no worker thread could be started");
	return have ? 0 : err;
}

int nvme_pool_run(struct nvme_sq *sq)
{
	struct nvme_pool *pool = &sq->ctrl->pool;
	int err = pool_grow(sq->ctrl);

	if (err)
		return err;
	mutex_lock(&pool->lock);
	/* A queue that is being stopped takes its jobs off the list once: add none behind its back. */
	if (atomic_load(&sq->stop) != NVME_RUNS) {
		mutex_unlock(&pool->lock);
		return -ESHUTDOWN;
	}
	TAILQ_INSERT_TAIL(&pool->runs, &sq->job, link);
	pool->queued++;
	mutex_unlock(&pool->lock);
	sem_post(&pool->wake);
	return 0;
}

int nvme_pool_cmd(struct nvme_sq *sq, const struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = sq->ctrl;
	struct nvme_pool *pool = &ctrl->pool;
	struct nvme_job *job = malloc(sizeof(*job));
	int err = job ? pool_grow(ctrl) : -ENOMEM;

	if (err)
		goto err_free;
	job->kind = NVME_JOB_CMD;
	job->sq = sq;
	job->cmd = *cmd;
	job->due_ns = sq->id && ctrl->latency_ns ? nvme_now_ns() + ctrl->latency_ns : 0;
	mutex_lock(&sq->lock);
	sq->outstanding++;
	mutex_unlock(&sq->lock);
	mutex_lock(&pool->lock);
	err = atomic_load(&sq->stop) == NVME_RUNS ? 0 : -ESHUTDOWN;
	if (!err) {
		TAILQ_INSERT_TAIL(&pool->cmds, job, link);
		pool->queued++;
	}
	mutex_unlock(&pool->lock);
	if (!err) {
		sem_post(&pool->wake);
		return 0;
	}
	nvme_job_done(sq);
err_free:
	free(job);
	return err;
}

void nvme_pool_cancel(struct nvme_sq *sq, struct nvme_jobs *ret_jobs)
{
	struct nvme_pool *pool = &sq->ctrl->pool;
	struct nvme_job *job, *next;

	TAILQ_INIT(ret_jobs);
	mutex_lock(&pool->lock);
	TAILQ_FOREACH_SAFE(job, &pool->cmds, link, next) {
		if (job->sq != sq)
			continue;
		TAILQ_REMOVE(&pool->cmds, job, link);
		TAILQ_INSERT_TAIL(ret_jobs, job, link);
		pool->queued--;
	}
	TAILQ_FOREACH(job, &pool->runs, link) {
		if (job->sq != sq)
			continue;
		TAILQ_REMOVE(&pool->runs, job, link);
		TAILQ_INSERT_TAIL(ret_jobs, job, link);
		pool->queued--;
		break;
	}
	mutex_unlock(&pool->lock);
}

struct nvme_job *nvme_pool_take(struct nvme_sq *sq, u16 cid)
{
	struct nvme_pool *pool = &sq->ctrl->pool;
	struct nvme_job *job;

	mutex_lock(&pool->lock);
	TAILQ_FOREACH(job, &pool->cmds, link) {
		if (job->sq == sq && job->cmd.cid == cid)
			break;
	}
	if (job) {
		TAILQ_REMOVE(&pool->cmds, job, link);
		pool->queued--;
	}
	mutex_unlock(&pool->lock);
	return job;
}

bool nvme_pool_has(struct nvme_sq *sq)
{
	struct nvme_pool *pool = &sq->ctrl->pool;
	struct nvme_job *job;

	mutex_lock(&pool->lock);
	TAILQ_FOREACH(job, &pool->runs, link) {
		if (job->sq == sq)
			break;
	}
	mutex_unlock(&pool->lock);
	return job != NULL;
}

void nvme_pool_hold(struct nvme_ctrl *ctrl)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct nvme_pool *pool = &ctrl->pool;
	bool busy;

	do {
		mutex_lock(&pool->lock);
		pool->held = true;
		busy = pool->busy;
		mutex_unlock(&pool->lock);
		if (busy)
			sys_ppoll(NULL, 0, &pause);
	} while (busy);
}

int nvme_pool_release(struct nvme_ctrl *ctrl)
{
	struct nvme_pool *pool = &ctrl->pool;
	u32 queued;
	int err = 0;

	mutex_lock(&pool->lock);
	pool->held = false;
	queued = pool->queued;
	mutex_unlock(&pool->lock);
	for (u32 i = 0; i < queued; i++) {
		if (i < pool->max)
			err = pool_grow(ctrl);
		sem_post(&pool->wake);
	}
	return err;
}

int nvme_pool_load(struct nvme_sq *sq, const struct nvme_cmd *cmd, u64 left_ns)
{
	struct nvme_pool *pool = &sq->ctrl->pool;
	struct nvme_job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->kind = NVME_JOB_CMD;
	job->sq = sq;
	job->cmd = *cmd;
	job->due_ns = left_ns ? nvme_now_ns() + left_ns : 0;
	mutex_lock(&sq->lock);
	sq->outstanding++;
	mutex_unlock(&sq->lock);
	mutex_lock(&pool->lock);
	TAILQ_INSERT_TAIL(&pool->cmds, job, link);
	pool->queued++;
	mutex_unlock(&pool->lock);
	return 0;
}

void nvme_pool_init(struct nvme_ctrl *ctrl, u32 workers)
{
	struct nvme_pool *pool = &ctrl->pool;

	mutex_init(&pool->lock, LOCK_HW_MODEL_QUEUE);
	sem_init(&pool->wake, 0, 0);
	TAILQ_INIT(&pool->runs);
	TAILQ_INIT(&pool->cmds);
	SLIST_INIT(&pool->workers);
	pool->max = workers;
}

void nvme_pool_stop(struct nvme_ctrl *ctrl)
{
	struct nvme_pool *pool = &ctrl->pool;
	struct nvme_worker *worker;

	mutex_lock(&pool->lock);
	pool->stopping = true;
	mutex_unlock(&pool->lock);
	/* No one else adds or removes workers now: all queues are drained. */
	SLIST_FOREACH(worker, &pool->workers, link)
		sem_post(&pool->wake);
	while ((worker = SLIST_FIRST(&pool->workers))) {
		SLIST_REMOVE_HEAD(&pool->workers, link);
		hw_thread_join(worker->thread);
		free(worker);
	}
	mutex_lock(&pool->lock);
	pool->stopping = false;
	pool->started = 0;
	mutex_unlock(&pool->lock);
}

void nvme_pool_destroy(struct nvme_ctrl *ctrl)
{
	sem_destroy(&ctrl->pool.wake);
	mutex_destroy(&ctrl->pool.lock);
}
