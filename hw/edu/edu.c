/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * edu.c - the educational PCI device of QEMU's documentation (regs.h).
 *
 * It has one of everything a driver needs to practise: registers, a computation that takes a while, an
 * interrupt by MSI or pin, and a DMA engine with a buffer of 4 KiB.  It is conventional PCI without a
 * reset of any kind, which is itself something a driver must cope with.
 *
 * Jobs.  A factorial and a transfer are jobs: pending from the write that starts them until they are
 * done.  With delay_us=0 they run inside that write, so the driver never sees them busy; otherwise the
 * device's thread, started at the first job, runs each when it is due.
 *
 * edu->lock guards all registers and is never held while bytes move: the address may be our own BAR.
 * `moving` says that a transfer is past the point of no return; a reset waits for it, and so does
 * quiesce.  A quiesced device runs no job; what is left of a job's time is part of its state.
 */
#include <errno.h>
#include <semaphore.h>
#include <softvfio/hw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/edu/regs.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

extern const struct hw_model edu_model;

#define DELAY_US_MAX 60000000ull

enum edu_job_id { JOB_FACTORIAL, JOB_DMA, NR_JOBS };

struct edu_job {
	bool pending;
	u64 due_ns; /* CLOCK_MONOTONIC */
};

struct edu {
	struct hw_device *hw;	/* immutable */
	struct hw_dma *dma;	/* immutable */
	u64 dma_mask, delay_ns; /* immutable */

	struct mutex lock; /* LOCK_HW_MODEL: what follows */
	u32 liveness, factorial, status, irq_status;
	u64 src, dst, count, cmd;
	struct edu_job jobs[NR_JOBS];
	bool moving, stop, quiesced;
	u8 buf[EDU_BUF_BYTES];
	u8 bounce[EDU_BUF_BYTES]; /* what is on its way; while moving it is the transfer's, without lock */
	struct hw_thread *thread;

	sem_t wake; /* a job was added, or stop was set */
};

/* ---- interrupts ---------------------------------------------------------------------------- */

static void raise_irq_locked(struct edu *edu, u32 bits)
{
	edu->irq_status |= bits;
	if (edu->irq_status && !hw_msi(edu->hw, 0))
		hw_intx(edu->hw, true);
}

static void ack_irq_locked(struct edu *edu, u32 bits)
{
	edu->irq_status &= ~bits;
	if (!edu->irq_status)
		hw_intx(edu->hw, false);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static u32 factorial(u32 n)
{
	u32 product = 1;

	while (n > 1 && product) /* from 34! on the low 32 bits are all zeros */
		product *= n--;
	return product;
}

static void run_factorial(struct edu *edu)
{
	mutex_lock(&edu->lock);
	if (edu->jobs[JOB_FACTORIAL].pending && !edu->quiesced) {
		edu->jobs[JOB_FACTORIAL].pending = false;
		edu->factorial = factorial(edu->factorial);
		edu->status &= ~EDU_STATUS_BUSY;
		if (edu->status & EDU_STATUS_IRQ)
			raise_irq_locked(edu, EDU_IRQ_FACTORIAL);
	}
	mutex_unlock(&edu->lock);
}

struct transfer {
	u64 iova, buf_off;
	u32 len;
	bool to_ram;
};

/* What the registers ask for.  False: nothing may be moved, and the user was told why. */
static bool transfer_prepare_locked(struct edu *edu, struct transfer *t)
{
	u64 device_addr;

	t->to_ram = edu->cmd & EDU_CMD_TO_RAM;
	device_addr = t->to_ram ? edu->src : edu->dst;
	t->iova = t->to_ram ? edu->dst : edu->src;
	t->buf_off = device_addr - EDU_BUF;
	if (device_addr < EDU_BUF || t->buf_off > EDU_BUF_BYTES || edu->count > EDU_BUF_BYTES - t->buf_off) {
		hw_explain(edu->hw,
			   "edu: nothing moved: %s 0x%llx, count 0x%llx is not in the buffer [0x%llx-0x%llx]",
			   t->to_ram ? "source" : "destination", (unsigned long long)device_addr,
			   (unsigned long long)edu->count, EDU_BUF, EDU_BUF + EDU_BUF_BYTES - 1);
		return false;
	}
	if (t->iova & ~edu->dma_mask)
		hw_explain(edu->hw,
			   "edu: DMA address 0x%llx is cut to 0x%llx: the device has dma_mask 0x%llx",
			   (unsigned long long)t->iova, (unsigned long long)(t->iova & edu->dma_mask),
			   (unsigned long long)edu->dma_mask);
	t->iova &= edu->dma_mask;
	t->len = (u32)edu->count;
	memset(edu->bounce, 0, t->len); /* what the bus does not answer reads as zeros */
	if (t->to_ram)
		memcpy(edu->bounce, edu->buf + t->buf_off, t->len);
	return true;
}

static void transfer_done_locked(struct edu *edu, const struct transfer *t)
{
	if (t && !t->to_ram)
		memcpy(edu->buf + t->buf_off, edu->bounce, t->len);
	edu->cmd &= ~(u64)EDU_CMD_RUN;
	if (edu->cmd & EDU_CMD_IRQ)
		raise_irq_locked(edu, EDU_IRQ_DMA);
}

static void run_dma(struct edu *edu)
{
	struct transfer t;

	mutex_lock(&edu->lock);
	if (!edu->jobs[JOB_DMA].pending || edu->quiesced)
		goto unlock;
	edu->jobs[JOB_DMA].pending = false;
	if (!transfer_prepare_locked(edu, &t)) {
		transfer_done_locked(edu, NULL);
		goto unlock;
	}
	edu->moving = true;
	mutex_unlock(&edu->lock);

	if (t.len && t.to_ram)
		hw_dma_write(edu->dma, t.iova, edu->bounce, t.len);
	else if (t.len)
		hw_dma_read(edu->dma, t.iova, edu->bounce, t.len);

	mutex_lock(&edu->lock);
	edu->moving = false;
	transfer_done_locked(edu, &t);
unlock:
	mutex_unlock(&edu->lock);
}

static u64 now_ns(void)
{
	struct timespec ts;

	sys_clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

/* The thread: run what is due, sleep until the next is, or until woken. */
static void edu_thread(void *arg)
{
	struct edu *edu = arg;
	bool stop = false;

	while (!stop) {
		u64 next = ~0ull, now = now_ns();
		bool due[NR_JOBS];

		mutex_lock(&edu->lock);
		stop = edu->stop;
		for (unsigned i = 0; i < NR_JOBS; i++) {
			const bool runs = edu->jobs[i].pending && !edu->quiesced;

			due[i] = runs && edu->jobs[i].due_ns <= now;
			if (runs && !due[i])
				next = min(next, edu->jobs[i].due_ns);
		}
		mutex_unlock(&edu->lock);
		if (stop)
			break;
		if (due[JOB_FACTORIAL])
			run_factorial(edu);
		if (due[JOB_DMA])
			run_dma(edu);
		if (due[JOB_FACTORIAL] || due[JOB_DMA])
			continue;
		if (next == ~0ull) {
			sem_wait(&edu->wake);
		} else {
			struct timespec at = { (time_t)(next / 1000000000u), (long)(next % 1000000000u) };

			sem_clockwait(&edu->wake, CLOCK_MONOTONIC, &at);
		}
	}
}

/* Queue a job for the thread; false: run it at once (no delay wanted, or no thread to be had). */
static bool job_queue_locked(struct edu *edu, enum edu_job_id id)
{
	edu->jobs[id].pending = true;
	if (edu->quiesced)
		edu->jobs[id].due_ns = edu->delay_ns; /* resume adds the time */
	if (edu->quiesced)
		return true;
	if (!edu->delay_ns)
		return false;
	if (!edu->thread && hw_thread_start(edu->hw, "edu", edu_thread, edu, &edu->thread))
		return false;
	edu->jobs[id].due_ns = now_ns() + edu->delay_ns;
	sem_post(&edu->wake);
	return true;
}

/* ---- registers ----------------------------------------------------------------------------- */

static uint64_t edu_bar_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len)
{
	struct edu *edu = hw_private(hw);
	u64 val = ~0ull;

	if (len < 4)
		return 0; /* too narrow for the device to answer: so reads QEMU's */
	if (len == 8 && off < EDU_WIDE_REGS)
		return val;
	mutex_lock(&edu->lock);
	switch (off) {
	case EDU_ID: val = EDU_ID_VALUE; break;
	case EDU_LIVENESS: val = edu->liveness; break;
	case EDU_FACTORIAL: val = edu->factorial; break;
	case EDU_STATUS: val = edu->status; break;
	case EDU_IRQ_STATUS: val = edu->irq_status; break;
	case EDU_DMA_SRC: val = edu->src; break;
	case EDU_DMA_DST: val = edu->dst; break;
	case EDU_DMA_COUNT: val = edu->count; break;
	case EDU_DMA_CMD: val = edu->cmd; break;
	}
	mutex_unlock(&edu->lock);
	return val;
}

static bool factorial_start_locked(struct edu *edu, u32 n)
{
	if (edu->status & EDU_STATUS_BUSY) {
		hw_explain(edu->hw, "edu: factorial of %u ignored: one is being computed (status bit 0)", n);
		return false;
	}
	edu->factorial = n;
	edu->status |= EDU_STATUS_BUSY;
	return !job_queue_locked(edu, JOB_FACTORIAL);
}

static bool dma_command_locked(struct edu *edu, u64 cmd)
{
	if (!(cmd & EDU_CMD_RUN))
		return false;
	edu->cmd = cmd;
	return !job_queue_locked(edu, JOB_DMA);
}

/* Store; *@run: the job to carry out now, or NR_JOBS. */
static void reg_write_locked(struct edu *edu, u64 off, u64 val, enum edu_job_id *run)
{
	if (off >= EDU_WIDE_REGS && edu->cmd & EDU_CMD_RUN) {
		hw_explain(edu->hw,
			   "edu: write of 0x%llx to DMA register 0x%llx ignored: a transfer is running",
			   (unsigned long long)val, (unsigned long long)off);
		return;
	}
	switch (off) {
	case EDU_LIVENESS: edu->liveness = ~(u32)val; break;
	case EDU_FACTORIAL:
		if (factorial_start_locked(edu, (u32)val))
			*run = JOB_FACTORIAL;
		break;
	case EDU_STATUS: edu->status = (edu->status & ~EDU_STATUS_IRQ) | ((u32)val & EDU_STATUS_IRQ); break;
	case EDU_IRQ_RAISE: raise_irq_locked(edu, (u32)val); break;
	case EDU_IRQ_ACK: ack_irq_locked(edu, (u32)val); break;
	case EDU_DMA_SRC: edu->src = val; break;
	case EDU_DMA_DST: edu->dst = val; break;
	case EDU_DMA_COUNT: edu->count = val; break;
	case EDU_DMA_CMD:
		if (dma_command_locked(edu, val))
			*run = JOB_DMA;
		break;
	default:
		hw_explain(edu->hw, "edu: write of 0x%llx to 0x%llx ignored: no such register",
			   (unsigned long long)val, (unsigned long long)off);
	}
}

static void edu_bar_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	struct edu *edu = hw_private(hw);
	enum edu_job_id run = NR_JOBS;

	if (len < 4 || (len == 8 && off < EDU_WIDE_REGS)) {
		hw_explain(hw, "edu: write of %u bytes to 0x%llx ignored: registers take 4%s", len,
			   (unsigned long long)off, off < EDU_WIDE_REGS ? "" : " or 8");
		return;
	}
	mutex_lock(&edu->lock);
	reg_write_locked(edu, off, val, &run);
	mutex_unlock(&edu->lock);
	if (run == JOB_FACTORIAL)
		run_factorial(edu);
	else if (run == JOB_DMA)
		run_dma(edu);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int edu_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = 0x1234, .device = 0x11e8, .subsystem_vendor = 0x1af4, .subsystem_device = 0x1100,
		.class_code = 0x00ff00, .revision = 0x10, .intx_pin = 1,
	};
	uint64_t delay_us;
	struct edu *edu;
	int err;

	hw_pci_identify(hw, &id);
	err = hw_bar_add(hw, 0, EDU_BAR_BYTES, HW_BAR_MEM32);
	if (err)
		return err;
	err = hw_cap_add_msi(hw, 1, true, false);
	if (err < 0)
		return err;
	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	err = hw_option_u64(hw, "dma_mask", (1u << 28) - 1, 0, UINT64_MAX, &edu->dma_mask);
	if (!err)
		err = hw_option_u64(hw, "delay_us", 0, 0, DELAY_US_MAX, &delay_us);
	if (err)
		goto err_free;
	err = -ENOMEM;
	edu->dma = hw_dma_open(hw);
	if (!edu->dma)
		goto err_free;
	edu->hw = hw;
	edu->delay_ns = delay_us * 1000;
	mutex_init(&edu->lock, LOCK_HW_MODEL);
	sem_init(&edu->wake, 0, 0);
	hw_set_private(hw, edu);
	return 0;

err_free:
	free(edu);
	return err;
}

static void edu_destroy(struct hw_device *hw)
{
	struct edu *edu = hw_private(hw);

	mutex_lock(&edu->lock);
	edu->stop = true;
	mutex_unlock(&edu->lock);
	sem_post(&edu->wake);
	hw_thread_join(edu->thread);
	hw_dma_close(edu->dma);
	sem_destroy(&edu->wake);
	mutex_destroy(&edu->lock);
	free(edu);
}

/* Drops the lock meanwhile. */
static void wait_for_transfer_locked(struct edu *edu)
{
	const struct timespec pause = { .tv_nsec = 20000 };

	while (edu->moving) {
		mutex_unlock(&edu->lock);
		sys_ppoll(NULL, 0, &pause);
		mutex_lock(&edu->lock);
	}
}

static void edu_reset(struct hw_device *hw)
{
	struct edu *edu = hw_private(hw);

	mutex_lock(&edu->lock);
	memset(edu->jobs, 0, sizeof(edu->jobs));
	wait_for_transfer_locked(edu);
	edu->liveness = edu->factorial = edu->status = edu->irq_status = 0;
	edu->src = edu->dst = edu->count = edu->cmd = 0;
	memset(edu->jobs, 0, sizeof(edu->jobs));
	memset(edu->buf, 0, sizeof(edu->buf));
	hw_intx(hw, false);
	mutex_unlock(&edu->lock);
}

/* ---- migration ----------------------------------------------------------------------------- */

static void edu_quiesce(struct hw_device *hw)
{
	struct edu *edu = hw_private(hw);
	const u64 now = now_ns();

	mutex_lock(&edu->lock);
	edu->quiesced = true;
	wait_for_transfer_locked(edu);
	for (unsigned i = 0; i < NR_JOBS; i++) /* from now on: what is left */
		edu->jobs[i].due_ns = edu->jobs[i].due_ns > now ? edu->jobs[i].due_ns - now : 0;
	mutex_unlock(&edu->lock);
}

/* Jobs that wait go to the thread, or run here if there is none. */
static void edu_resume(struct hw_device *hw)
{
	struct edu *edu = hw_private(hw);
	const u64 now = now_ns();
	bool waits = false;

	mutex_lock(&edu->lock);
	edu->quiesced = false;
	for (unsigned i = 0; i < NR_JOBS; i++) {
		waits |= edu->jobs[i].pending && edu->jobs[i].due_ns;
		edu->jobs[i].due_ns += now;
	}
	if (waits && !edu->thread && hw_thread_start(hw, "edu", edu_thread, edu, &edu->thread))
		waits = false;
	mutex_unlock(&edu->lock);
	if (waits) {
		sem_post(&edu->wake);
		return;
	}
	run_factorial(edu);
	run_dma(edu);
}

static int edu_save(struct hw_device *hw, struct hw_stream *out)
{
	struct edu *edu = hw_private(hw);

	mutex_lock(&edu->lock);
	hw_save_u64(out, edu->liveness);
	hw_save_u64(out, edu->factorial);
	hw_save_u64(out, edu->status);
	hw_save_u64(out, edu->irq_status);
	hw_save_u64(out, edu->src);
	hw_save_u64(out, edu->dst);
	hw_save_u64(out, edu->count);
	hw_save_u64(out, edu->cmd);
	for (unsigned i = 0; i < NR_JOBS; i++) {
		hw_save_u64(out, edu->jobs[i].pending);
		hw_save_u64(out, edu->jobs[i].due_ns);
	}
	hw_save(out, edu->buf, sizeof(edu->buf));
	mutex_unlock(&edu->lock);
	return 0;
}

/* A job and the register that shows it come and go together. */
static int check_jobs_locked(struct edu *edu)
{
	if (!(edu->status & ~(EDU_STATUS_BUSY | EDU_STATUS_IRQ)) &&
	    edu->jobs[JOB_FACTORIAL].pending == !!(edu->status & EDU_STATUS_BUSY) &&
	    edu->jobs[JOB_DMA].pending == (edu->cmd & EDU_CMD_RUN))
		return 0;
	hw_explain(edu->hw, "edu: the stream's status 0x%x and DMA command 0x%llx do not fit its jobs", edu->status,
		   (unsigned long long)edu->cmd);
	return -EINVAL;
}

static int edu_load(struct hw_device *hw, struct hw_stream *in)
{
	struct edu *edu = hw_private(hw);
	u64 val, pending;
	int err;

	mutex_lock(&edu->lock);
	hw_load_u64(in, "liveness", 0, UINT32_MAX, &val);
	edu->liveness = (u32)val;
	hw_load_u64(in, "factorial", 0, UINT32_MAX, &val);
	edu->factorial = (u32)val;
	hw_load_u64(in, "status", 0, UINT32_MAX, &val);
	edu->status = (u32)val;
	hw_load_u64(in, "interrupt status", 0, UINT32_MAX, &val);
	edu->irq_status = (u32)val;
	hw_load_u64(in, "DMA source", 0, UINT64_MAX, &edu->src);
	hw_load_u64(in, "DMA destination", 0, UINT64_MAX, &edu->dst);
	hw_load_u64(in, "DMA count", 0, UINT64_MAX, &edu->count);
	hw_load_u64(in, "DMA command", 0, UINT64_MAX, &edu->cmd);
	for (unsigned i = 0; i < NR_JOBS; i++) {
		hw_load_u64(in, "job", 0, 1, &pending);
		edu->jobs[i].pending = pending;
		hw_load_u64(in, "time left of a job", 0, DELAY_US_MAX * 1000, &edu->jobs[i].due_ns);
	}
	err = hw_load(in, edu->buf, sizeof(edu->buf));
	if (!err)
		err = check_jobs_locked(edu);
	mutex_unlock(&edu->lock);
	return err;
}

static void edu_identity(struct hw_device *hw, char *buf, size_t size)
{
	struct edu *edu = hw_private(hw);

	snprintf(buf, size, "dma_mask=0x%llx", (unsigned long long)edu->dma_mask);
}

static const struct hw_key edu_keys[] = {
	{ "dma_mask", "MASK", "DMA addresses have these bits only (0xfffffff: 28 bits)" },
	{ "delay_us", "N", "a factorial or a transfer takes N microseconds (0)" },
	{ 0 },
};

const struct hw_model edu_model = {
	.name = "edu",
	.summary = "educational PCI device of QEMU: registers, interrupts, a small DMA engine",
	.keys = edu_keys,
	.create = edu_create,
	.destroy = edu_destroy,
	.reset = edu_reset,
	.bar_read = edu_bar_read,
	.bar_write = edu_bar_write,
	.quiesce = edu_quiesce,
	.resume = edu_resume,
	.save = edu_save,
	.load = edu_load,
	.identity = edu_identity,
	.state_version = 1,
	.state_bytes = 8 * (8 + 2 * NR_JOBS) + EDU_BUF_BYTES,
};
