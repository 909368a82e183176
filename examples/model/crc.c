/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc.c - a checksum and random number engine, as a plugin for softvfio.
 *
 * It shows what most devices need: a register file, a thread that works while the driver goes on, DMA in
 * both directions, interrupts by MSI-X, a key on the command line, and a reset that leaves nothing
 * behind.  Everything it knows of softvfio stands in <softvfio/hw.h>; build it with `make`.
 *
 * The lock guards registers and job, and is not held while bytes move: client memory may be a BAR of ours.
 */
#include <errno.h>
#include <pthread.h>
#include <softvfio/hw.h>
#include <stdlib.h>

#include "crc.h"

#define CHUNK 4096u

struct crc {
	struct hw_device *hw;
	struct hw_dma *dma;
	uint64_t max_bytes;

	pthread_mutex_t lock;
	pthread_cond_t wake;	/* there is a job, or stop */
	pthread_cond_t idle;	/* the thread has put its job down */
	struct hw_thread *thread; /* NULL until the first job */
	bool stop, cancel, working;
	enum crc_job job;	/* 0: none waits */
	uint32_t status, bytes, seed, result, done;
	uint64_t addr;
};

/* ---- the work ---- */

/* CRC-32 of IEEE 802.3, bit by bit; @crc as the register holds it, so that jobs can be joined. */
static uint32_t crc32_step(uint32_t crc, const uint8_t *p, size_t len)
{
	for (crc = ~crc; len; len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Marsaglia's xorshift, 32 bits; a byte of it each time. */
static uint32_t random_step(uint32_t state, uint8_t *p, size_t len)
{
	if (!state)
		state = 1;
	while (len--) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		*p++ = (uint8_t)state;
	}
	return state;
}

/* One chunk of the job; the lock is dropped meanwhile.  False: the address did not answer. */
static bool move_chunk(struct crc *crc, enum crc_job job, uint64_t addr, uint32_t len, uint32_t *state)
{
	uint8_t buf[CHUNK];
	int err;

	pthread_mutex_unlock(&crc->lock);
	if (job == JOB_CRC) {
		err = hw_dma_read(crc->dma, addr, buf, len);
		if (!err)
			*state = crc32_step(*state, buf, len);
	} else {
		*state = random_step(*state, buf, len);
		err = hw_dma_write(crc->dma, addr, buf, len);
	}
	pthread_mutex_lock(&crc->lock);
	return !err;
}

static void run_job(struct crc *crc)
{
	enum crc_job job = crc->job;
	uint32_t state = crc->seed, len;
	bool good = true;

	crc->job = 0;
	crc->working = true;
	while (good && !crc->cancel && crc->done < crc->bytes) {
		len = crc->bytes - crc->done < CHUNK ? crc->bytes - crc->done : CHUNK;
		good = move_chunk(crc, job, crc->addr + crc->done, len, &state);
		crc->done += good ? len : 0;
	}
	crc->working = false;
	pthread_cond_broadcast(&crc->idle);
	if (crc->cancel)
		return;
	crc->result = state;
	crc->status = good ? CRC_FINISHED : CRC_FAILED;
	hw_msi(crc->hw, good ? VECTOR_FINISHED : VECTOR_FAILED);
}

static void crc_thread(void *arg)
{
	struct crc *crc = arg;

	pthread_mutex_lock(&crc->lock);
	while (!crc->stop) {
		if (crc->job)
			run_job(crc);
		else
			pthread_cond_wait(&crc->wake, &crc->lock);
	}
	pthread_mutex_unlock(&crc->lock);
}

/* ---- registers ---- */

static void start(struct crc *crc, uint32_t job)
{
	if (crc->status & CRC_BUSY) {
		hw_explain(crc->hw, "crc: START is ignored: a job is under way (STATUS bit 0)");
		return;
	}
	crc->done = 0;
	if ((job != JOB_CRC && job != JOB_RANDOM) || crc->bytes > crc->max_bytes) {
		hw_explain(crc->hw, "crc: job %u of %u bytes fails: there are jobs 1 and 2, of at most %llu bytes", job,
			   crc->bytes, (unsigned long long)crc->max_bytes);
		crc->status = CRC_FAILED;
		hw_msi(crc->hw, VECTOR_FAILED);
		return;
	}
	if (!crc->thread && hw_thread_start(crc->hw, "crc", crc_thread, crc, &crc->thread)) {
		crc->status = CRC_FAILED;
		return;
	}
	crc->status = CRC_BUSY;
	crc->job = job;
	pthread_cond_signal(&crc->wake);
}

static uint32_t read_register(const struct crc *crc, uint64_t off)
{
	switch (off) {
	case CRC_ID: return CRC_ID_VALUE;
	case CRC_STATUS: return crc->status;
	case CRC_ADDR_LO: return (uint32_t)crc->addr;
	case CRC_ADDR_HI: return (uint32_t)(crc->addr >> 32);
	case CRC_BYTES: return crc->bytes;
	case CRC_SEED: return crc->seed;
	case CRC_RESULT: return crc->result;
	case CRC_DONE: return crc->done;
	default: return 0;
	}
}

static uint64_t crc_bar_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len)
{
	struct crc *crc = hw_private(hw);
	uint32_t val;

	if (bar != 0 || len != 4)
		return 0;
	pthread_mutex_lock(&crc->lock);
	val = read_register(crc, off);
	pthread_mutex_unlock(&crc->lock);
	return val;
}

static void write_register(struct crc *crc, uint64_t off, uint32_t val)
{
	if (off != CRC_START && crc->status & CRC_BUSY)
		return;
	switch (off) {
	case CRC_START: start(crc, val); break;
	case CRC_ADDR_LO: crc->addr = (crc->addr & ~0xffffffffull) | val; break;
	case CRC_ADDR_HI: crc->addr = (crc->addr & 0xffffffffull) | (uint64_t)val << 32; break;
	case CRC_BYTES: crc->bytes = val; break;
	case CRC_SEED: crc->seed = val; break;
	default: hw_explain(crc->hw, "crc: no register to write at 0x%llx", (unsigned long long)off);
	}
}

static void crc_bar_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	struct crc *crc = hw_private(hw);

	if (bar != 0 || len != 4)
		return;
	pthread_mutex_lock(&crc->lock);
	write_register(crc, off, (uint32_t)val);
	pthread_mutex_unlock(&crc->lock);
}

/* ---- life ---- */

static void crc_reset(struct hw_device *hw)
{
	struct crc *crc = hw_private(hw);

	pthread_mutex_lock(&crc->lock);
	crc->cancel = true;
	crc->job = 0;
	while (crc->working)
		pthread_cond_wait(&crc->idle, &crc->lock);
	crc->cancel = false;
	crc->status = crc->bytes = crc->seed = crc->result = crc->done = 0;
	crc->addr = 0;
	pthread_mutex_unlock(&crc->lock);
}

static int add_to_bus(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = 0x1234, .device = 0x4352, .subsystem_vendor = 0x1234, .subsystem_device = 0x0001,
		.class_code = 0x0b4000, /* co-processor */ .revision = 1, .express = true,
	};
	int err;

	hw_pci_identify(hw, &id);
	err = hw_bar_add(hw, 0, HW_PAGE_BYTES, HW_BAR_MEM32);
	if (!err)
		err = hw_bar_add(hw, 2, HW_PAGE_BYTES, HW_BAR_MEM32);
	if (err)
		return err;
	/* These return the place of the capability. */
	err = hw_cap_add_express(hw, true);
	if (err > 0)
		err = hw_cap_add_pm(hw, true);
	if (err > 0)
		err = hw_cap_add_msix(hw, NR_VECTORS, 2, 0, 0x800);
	return err > 0 ? 0 : err;
}

static int crc_create(struct hw_device *hw)
{
	struct crc *crc;
	int err = add_to_bus(hw);

	if (err)
		return err;
	crc = calloc(1, sizeof(*crc));
	if (!crc)
		return -ENOMEM;
	err = hw_option_size(hw, "max", CRC_BYTES_MAX, 1, CRC_BYTES_MAX, &crc->max_bytes);
	if (!err) {
		crc->dma = hw_dma_open(hw);
		err = crc->dma ? 0 : -ENOMEM;
	}
	if (err) {
		free(crc);
		return err;
	}
	crc->hw = hw;
	pthread_mutex_init(&crc->lock, NULL);
	pthread_cond_init(&crc->wake, NULL);
	pthread_cond_init(&crc->idle, NULL);
	hw_set_private(hw, crc);
	return 0;
}

static void crc_destroy(struct hw_device *hw)
{
	struct crc *crc = hw_private(hw);

	pthread_mutex_lock(&crc->lock);
	crc->stop = crc->cancel = true;
	pthread_cond_signal(&crc->wake);
	pthread_mutex_unlock(&crc->lock);
	hw_thread_join(crc->thread);
	hw_dma_close(crc->dma);
	pthread_cond_destroy(&crc->idle);
	pthread_cond_destroy(&crc->wake);
	pthread_mutex_destroy(&crc->lock);
	free(crc);
}

static const struct hw_key crc_keys[] = {
	{ "max", "SIZE", "longest job, up to 16M (16M)" },
	{ 0 },
};

static const struct hw_model crc_model = {
	.name = "crc",
	.summary = "checksum and random number engine (an example of a plugin)",
	.keys = crc_keys,
	.create = crc_create,
	.destroy = crc_destroy,
	.reset = crc_reset,
	.bar_read = crc_bar_read,
	.bar_write = crc_bar_write,
};
HW_PLUGIN(crc_model);
