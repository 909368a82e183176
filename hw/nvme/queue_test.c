/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue_test.c - queues, interrupts, workers, resets; many threads at once; nonsense from the host.
 *
 * The fuzz test prints its seed; NVME_TEST_SEED replays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/nvme/fake_driver.h"

#define DNR_MORE (NVME_DNR | NVME_MORE)

static u32 admin(struct nvme_cmd cmd) { return drv_cmd(&drv_q[0], &cmd, NULL); }

static int setup(void **state)
{
	return fake_create(*state) || drv_enable(16, 16) != NVME_CSTS_RDY;
}

static int teardown(void **state)
{
	fake_destroy();
	fake_forget_stores();
	return fake.threads || fake.engines;
}

static void expect(struct drv_queue *q, u32 count)
{
	struct nvme_cqe cqe = { 0 };

	for (u32 i = 0; i < count; i++) {
		assert_true(drv_wait(q, &cqe));
		assert_int_equal(cqe.status >> 1, 0);
	}
}

static void push_reads(struct drv_queue *q, u32 count, u32 blocks, u64 iova)
{
	for (u32 i = 0; i < count; i++) {
		struct nvme_cmd cmd = drv_rw(NVME_IO_READ, i * blocks, blocks, iova, iova + 4096);

		drv_queue_cmd(q, &cmd);
	}
}

/* ---- rings ---- */

/* All sizes of rings, all batch sizes; each command and completion exactly once, in order of cid. */
static void test_wrap(void **state)
{
	static const u32 sizes[] = { 2, 3, 5, 32, 33, 64, 100 };
	u64 iova = drv_alloc(4096);

	for (u32 s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (u32 c = 0; c < ARRAY_SIZE(sizes); c++) {
			u64 brk = drv_brk;
			u32 done = 0;

			assert_int_equal(drv_create_pair(3, sizes[s], sizes[c], 0, true), 0);
			for (u32 round = 0; done < 300; round++) {
				u32 n = 1 + round % (sizes[s] - 1);

				push_reads(&drv_q[3], n, 1, iova);
				drv_ring(&drv_q[3]);
				for (u32 i = 0; i < n; i++) {
					struct nvme_cqe cqe = { 0 };

					assert_true(drv_wait(&drv_q[3], &cqe));
					assert_int_equal(cqe.status >> 1, 0);
					assert_int_equal(cqe.cid, (u16)done++);
					if (i % 2 || sizes[c] < 4 || i + 1 == n)
						drv_ack(&drv_q[3]);
				}
			}
			assert_int_equal(drv_delete(NVME_ADMIN_DELETE_SQ, 3), 0);
			assert_int_equal(drv_delete(NVME_ADMIN_DELETE_CQ, 3), 0);
			drv_brk = brk;
		}
	}
	assert_int_equal(atomic_load(&fake.threads), 0);
}

/* No room for completions: commands wait until the host takes some. */
static void test_completion_queue_full(void **state)
{
	struct drv_queue *q = &drv_q[1];
	u64 iova = drv_alloc(4096);
	struct nvme_cqe cqe = { 0 };

	assert_int_equal(drv_create_pair(1, 32, 4, 0, true), 0);
	push_reads(q, 10, 1, iova);
	drv_ring(q);
	expect(q, 3);
	assert_false(drv_poll(q, &cqe));
	drv_ack(q);
	expect(q, 3);
	assert_false(drv_poll(q, &cqe));
	drv_ack(q);
	expect(q, 3);
	drv_ack(q);
	expect(q, 1);
	drv_ack(q);
	assert_false(drv_poll(q, &cqe));
}

static void test_shared_completion_queue(void **state)
{
	u64 iova = drv_alloc(4096), sq2;
	struct nvme_cqe cqe = { 0 };
	u32 seen[4] = { 0 };

	assert_int_equal(drv_create_pair(1, 32, 8, 0, true), 0);
	sq2 = drv_alloc(4096);
	assert_int_equal(drv_create_sq(2, 32, sq2, 1), 0);
	drv_q[2] = (struct drv_queue){ .id = 2, .sq = sq2, .sq_size = 32 };
	push_reads(&drv_q[1], 20, 1, iova);
	push_reads(&drv_q[2], 20, 1, iova);
	drv_ring(&drv_q[1]);
	drv_ring(&drv_q[2]);
	for (u32 i = 0; i < 40; i++) {
		assert_true(drv_wait(&drv_q[1], &cqe));
		assert_in_range(cqe.sq_id, 1, 2);
		seen[cqe.sq_id]++;
		drv_ack(&drv_q[1]);
	}
	assert_int_equal(seen[1], 20);
	assert_int_equal(seen[2], 20);
}

static bool error_event(void)
{
	struct nvme_cqe cqe = { 0 };
	u64 iova = FAKE_BASE + (16 << 20);

	if (!drv_poll(&drv_q[0], &cqe))
		return false;
	drv_ack(&drv_q[0]);
	assert_int_equal(cqe.dw0 & 7, NVME_EVENT_ERROR);
	drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_AER });
	drv_ring(&drv_q[0]);
	assert_int_equal(
		admin((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_LOG, .prp1 = iova, .cdw10 = 1 | 15 << 16 }),
		0);
	return true;
}

static void test_bad_doorbells(void **state)
{
	struct drv_queue *q = &drv_q[1];
	u64 iova = drv_alloc(4096);

	assert_int_equal(drv_create_pair(1, 8, 8, 0, true), 0);
	drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_AER });
	drv_ring(&drv_q[0]);
	assert_false(error_event());
	reg_write(doorbell(1, false), 8);
	assert_true(error_event());
	reg_write(doorbell(1, true), 8);
	assert_true(error_event());
	reg_write(doorbell(1, true), 1); /* nothing was posted */
	assert_true(error_event());
	reg_write(doorbell(2, false), 0);
	assert_true(error_event());
	reg_write(doorbell(64, true), 0);
	assert_true(error_event());
	reg_write(doorbell(65, false), 0);
	assert_true(error_event());
	reg_write(0x1ffc, 0);
	assert_true(error_event());
	reg_write(doorbell(1, false), 0); /* no change, no harm */
	assert_false(error_event());
	/* the queue still works; while completions are not taken it does not take too many commands */
	push_reads(q, 7, 1, iova);
	drv_ring(q);
	expect(q, 7);
	push_reads(q, 7, 1, iova); /* 7 wait for room */
	drv_ring(q);
	reg_write(doorbell(1, false), 7);
	assert_true(error_event());
	drv_ack(q);
	expect(q, 7);
	drv_ack(q);
}

/* ---- interrupts ---- */

static void test_msix(void **state)
{
	u64 iova = drv_alloc(4096);

	atomic_store(&fake.msix, true);
	assert_int_equal(drv_create_pair(1, 16, 16, 7, true), 0);
	assert_int_equal(drv_create_pair(2, 16, 16, 8, false), 0);
	assert_int_equal(atomic_load(&fake.msi[0]), 4);
	push_reads(&drv_q[1], 10, 1, iova);
	drv_ring(&drv_q[1]);
	expect(&drv_q[1], 10);
	assert_int_equal(atomic_load(&fake.msi[7]), 1); /* one a batch */
	push_reads(&drv_q[2], 10, 1, iova);
	drv_ring(&drv_q[2]);
	expect(&drv_q[2], 10);
	assert_int_equal(atomic_load(&fake.msi[8]), 0); /* polled */
	assert_false(atomic_load(&fake.intx));
	assert_int_equal(atomic_load(&fake.intx_edges), 0);
}

static void test_intx(void **state)
{
	u64 iova = drv_alloc(4096);

	assert_int_equal(drv_create_pair(1, 16, 16, 0, true), 0);
	assert_false(atomic_load(&fake.intx));
	push_reads(&drv_q[1], 3, 1, iova);
	drv_ring(&drv_q[1]);
	assert_true(atomic_load(&fake.intx));
	expect(&drv_q[1], 2);
	drv_ack(&drv_q[1]);
	assert_true(atomic_load(&fake.intx)); /* one is left */
	reg_write(NVME_REG_INTMS, 1);
	assert_false(atomic_load(&fake.intx));
	reg_write(NVME_REG_INTMC, 1);
	assert_true(atomic_load(&fake.intx));
	expect(&drv_q[1], 1);
	drv_ack(&drv_q[1]);
	assert_false(atomic_load(&fake.intx));
	push_reads(&drv_q[1], 1, 1, iova);
	drv_ring(&drv_q[1]);
	assert_true(atomic_load(&fake.intx));
	reg_write(NVME_REG_CC, 0); /* a reset lowers it */
	assert_false(atomic_load(&fake.intx));
}

/* ---- workers ---- */

static void test_large_goes_to_worker(void **state)
{
	u64 iova, list;

	assert_int_equal(drv_create_pair(1, 16, 16, 0, true), 0);
	list = drv_alloc(4096);
	iova = drv_alloc(512 << 10);
	for (u32 i = 0; i < 127; i++)
		((u64 *)drv_mem(list))[i] = iova + (i + 1) * 4096;
	for (u32 i = 0; i < 8; i++) {
		struct nvme_cmd cmd = drv_rw(NVME_IO_READ, i * 1024, 1024, iova, list);

		drv_queue_cmd(&drv_q[1], &cmd);
	}
	drv_ring(&drv_q[1]);
	expect(&drv_q[1], 8);
	assert_in_range(atomic_load(&fake.threads), 1, 2);
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(atomic_load(&fake.threads), 0);
}

/* A doorbell for more than its budget returns with work left, which is done all the same. */
static void test_budget(void **state)
{
	u64 iova;

	assert_int_equal(drv_create_pair(1, 1024, 1024, 0, true), 0);
	iova = drv_alloc(8192);
	push_reads(&drv_q[1], 1000, 16, iova);
	drv_ring(&drv_q[1]);
	expect(&drv_q[1], 1000);
	drv_ack(&drv_q[1]);
	assert_in_range(atomic_load(&fake.threads), 1, 2);
}

/* No thread can be had: what can be done without is done, the rest fails and may be tried again. */
static void test_no_threads(void **state)
{
	u64 iova;

	fake.no_threads = true;
	assert_int_equal(drv_create_pair(1, 1024, 1024, 0, true), 0);
	iova = drv_alloc(8192);
	push_reads(&drv_q[1], 1000, 16, iova); /* beyond a doorbell's budget */
	drv_ring(&drv_q[1]);
	expect(&drv_q[1], 1000);
	drv_ack(&drv_q[1]);
	assert_int_equal(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_FORMAT, .nsid = 1 }),
			 NVME_INTERNAL_ERROR | NVME_MORE);
	fake.no_threads = false;
	assert_int_equal(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_FORMAT, .nsid = 1 }), 0);
}

static void test_latency(void **state)
{
	u64 iova, began = 0, ns;

	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(4096);
	began = drv_now_ns();
	push_reads(&drv_q[1], 50, 1, iova);
	drv_ring(&drv_q[1]);
	expect(&drv_q[1], 50);
	drv_ack(&drv_q[1]);
	ns = drv_now_ns() - began;
	assert_true(ns >= 20000000); /* each 20 ms ... */
	assert_true(ns < 50 * 20000000ull / 2); /* ... but at once */
}

static void test_abort_delayed(void **state)
{
	struct nvme_cqe cqe = { 0 };
	u64 iova;

	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(4096);
	push_reads(&drv_q[1], 2, 1, iova);
	drv_ring(&drv_q[1]);
	assert_int_equal(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_ABORT, .cdw10 = 1 | 1 << 16 }), 0);
	assert_true(drv_wait(&drv_q[1], &cqe));
	assert_int_equal(cqe.cid, 1);
	assert_int_equal(cqe.status >> 1, NVME_ABORT_REQUESTED);
	assert_true(drv_wait(&drv_q[1], &cqe));
	assert_int_equal(cqe.cid, 0);
	assert_int_equal(cqe.status >> 1, 0);
}

/* 10 s of latency: deletion and resets do not wait for it. */
static void test_delete_delayed(void **state)
{
	struct nvme_cqe cqe = { 0 };
	u64 iova, began = drv_now_ns();

	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(4096);
	push_reads(&drv_q[1], 20, 1, iova);
	drv_ring(&drv_q[1]);
	assert_int_equal(drv_delete(NVME_ADMIN_DELETE_SQ, 1), 0);
	for (u32 i = 0; i < 20; i++) {
		assert_true(drv_poll(&drv_q[1], &cqe));
		assert_int_equal(cqe.status >> 1, NVME_ABORTED_SQ_DELETION);
		assert_int_equal(cqe.cid, i);
	}
	drv_ack(&drv_q[1]);
	assert_int_equal(drv_create_sq(1, 64, drv_q[1].sq, 1), 0);
	drv_q[1].tail = 0;
	push_reads(&drv_q[1], 20, 1, iova);
	drv_ring(&drv_q[1]);
	reg_write(NVME_REG_CC, 0);
	assert_false(drv_poll(&drv_q[1], &cqe)); /* forgotten */
	assert_int_equal(atomic_load(&fake.threads), 0);
	assert_true(drv_now_ns() - began < 5000000000u);
}

/* ---- many threads ---- */

struct load {
	struct drv_queue *q;
	u64 iova;
	u32 rounds; /* 0: until stopped */
	atomic_bool *stop;
	u64 done, bad;
};

/* Keep a queue busy with small and large reads and writes of its own part of the media. */
static void *load_run(void *arg)
{
	struct load *l = arg;
	struct nvme_cqe cqe = { 0 };
	u32 outstanding = 0, seed = l->q->id;

	for (u32 round = 0; !l->rounds || round < l->rounds; round++) {
		u32 n = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 16;

		if (l->stop && atomic_load(l->stop))
			break;
		for (u32 i = 0; i < n; i++) {
			u32 blocks = (seed >> 20) % 8 ? 8 : 1024;
			u64 slba = l->q->id * 4096 + (seed >> 16) % 3072;
			struct nvme_cmd cmd = drv_rw(i & 1 ? NVME_IO_WRITE : NVME_IO_READ, slba, blocks,
						     l->iova, l->iova + 4096);

			if (blocks > 8)
				cmd.prp2 = l->iova + (512 << 10);
			if ((seed = seed * 1103515245 + 12345) >> 27 == 3)
				cmd.opcode = NVME_IO_FLUSH;
			drv_queue_cmd(l->q, &cmd);
		}
		drv_ring(l->q);
		outstanding += n;
		while (outstanding > 16 || (outstanding && round % 7 == 0)) {
			if (l->stop && atomic_load(l->stop))
				break;
			if (!drv_poll(l->q, &cqe)) {
				sched_yield();
				continue;
			}
			outstanding--;
			l->done++;
			l->bad += cqe.status >> 1 != 0;
			drv_ack(l->q);
		}
	}
	while (outstanding && !l->stop && drv_wait(l->q, &cqe)) {
		outstanding--;
		l->done++;
		l->bad += cqe.status >> 1 != 0;
		drv_ack(l->q);
	}
	return NULL;
}

static void load_init(struct load *l, u16 id, u32 rounds, atomic_bool *stop)
{
	*l = (struct load){ .q = &drv_q[id], .rounds = rounds, .stop = stop };
	assert_int_equal(drv_create_pair(id, 64, 64, id, true), 0);
	l->iova = drv_alloc(516 << 10);
	for (u32 i = 0; i < 127; i++)
		((u64 *)drv_mem(l->iova + (512 << 10)))[i] = l->iova + (i + 1) * 4096;
}

static void test_threads(void **state)
{
	struct load loads[4];
	pthread_t threads[4];

	atomic_store(&fake.msix, true);
	for (u16 i = 0; i < 4; i++)
		load_init(&loads[i], i + 1, 400, NULL);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load_run, &loads[i]), 0);
	/* meanwhile, on the admin queue */
	for (u32 i = 0; i < 50; i++) {
		u64 brk = drv_brk;

		assert_int_equal(drv_create_pair(9, 4, 4, 0, true), 0);
		push_reads(&drv_q[9], 3, 1, drv_alloc(4096));
		drv_ring(&drv_q[9]);
		assert_int_equal(drv_delete(NVME_ADMIN_DELETE_SQ, 9), 0);
		assert_int_equal(drv_delete(NVME_ADMIN_DELETE_CQ, 9), 0);
		assert_int_equal(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_LOG,
							  .prp1 = drv_alloc(4096),
							  .cdw10 = NVME_LOG_SMART | 127u << 16 }),
				 0);
		drv_brk = brk;
	}
	for (u32 i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(loads[i].done >= 400);
		assert_int_equal(loads[i].bad, 0);
	}
}

/* Reset, by register or by function level reset, while others submit: no DMA after it returns. */
static void test_reset_under_load(void **state)
{
	atomic_store(&fake.msix, true);
	for (u32 round = 0; round < 30; round++) {
		struct load loads[2];
		pthread_t threads[2];
		atomic_bool stop = false;
		u8 *before;

		if (round)
			assert_int_equal(drv_enable(16, 16), NVME_CSTS_RDY);
		for (u16 i = 0; i < 2; i++)
			load_init(&loads[i], i + 1, 0, &stop);
		fake.dma_delay_us = round % 3 * 50;
		for (u32 i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, load_run, &loads[i]), 0);
		usleep(2000 + round * 100);
		if (round % 2)
			reg_write(NVME_REG_CC, 0);
		else
			fake.model->reset(&fake);
		assert_int_equal(reg_read(NVME_REG_CSTS), 0);
		assert_int_equal(atomic_load(&fake.threads), 0);
		before = malloc(4096);
		memcpy(before, drv_mem(drv_q[1].cq), 4096);
		atomic_store(&stop, true);
		usleep(500);
		assert_memory_equal(before, drv_mem(drv_q[1].cq), 4096);
		free(before);
		for (u32 i = 0; i < 2; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(loads[i].bad, 0);
		}
		fake.dma_delay_us = 0;
	}
}

/* Delete a queue that is busy, again and again. */
static void test_delete_under_load(void **state)
{
	for (u32 round = 0; round < 30; round++) {
		struct load l;
		pthread_t thread;
		atomic_bool stop = false;
		u64 brk = drv_brk;

		atomic_store(&fake.msix, true);
		load_init(&l, 1, 0, &stop);
		fake.dma_delay_us = round % 3 * 50;
		assert_int_equal(pthread_create(&thread, NULL, load_run, &l), 0);
		usleep(2000);
		assert_int_equal(drv_delete(NVME_ADMIN_DELETE_SQ, 1), 0);
		atomic_store(&stop, true);
		pthread_join(thread, NULL);
		fake.dma_delay_us = 0;
		assert_int_equal(drv_delete(NVME_ADMIN_DELETE_CQ, 1), 0);
		drv_brk = brk;
	}
}

/* ---- nonsense ---- */

static u64 rng;

static u32 rnd(u32 below)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((rng >> 33) % below);
}

static u64 random_iova(void)
{
	static const u64 odd[] = { 0,
				   ~0ull,
				   ~0ull - 4095,
				   1,
				   FAKE_BAR,
				   FAKE_BAR + 0x1000,
				   FAKE_BASE + FAKE_BYTES - 8,
				   FAKE_BASE + FAKE_BYTES - 4096 };

	return rnd(4) ? FAKE_BASE + rnd(64) * 4096 + (rnd(4) ? 0 : rnd(4096)) : odd[rnd(ARRAY_SIZE(odd))];
}

static void random_cmd(struct nvme_cmd *cmd)
{
	static const u8 opcodes[] = { 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 0x80 };
	u32 *words = (u32 *)cmd;

	for (u32 i = 0; i < 16; i++)
		words[i] = rnd(3) ? rnd(16) : rnd(4) ? rnd(0x10000) << rnd(17) : 0xffffffff;
	cmd->opcode = rnd(10) ? opcodes[rnd(ARRAY_SIZE(opcodes))] : (u8)rnd(256);
	cmd->flags = rnd(4) ? 0 : (u8)rnd(256);
	cmd->nsid = rnd(8) ? 1 : rnd(4) - 1;
	cmd->prp1 = random_iova();
	cmd->prp2 = random_iova();
	if (cmd->flags & 0xc0) {
		cmd->sgl1.length = rnd(2) ? rnd(64) * 16 : rnd(1 << 20);
		cmd->sgl1.id = (u8)(rnd(5) ? rnd(4) << 4 : rnd(256));
	}
}

static void random_memory(void)
{
	u64 *p = drv_mem(FAKE_BASE + rnd(64) * 4096);

	for (u32 i = 0; i < 512; i++) {
		if (rnd(2))
			p[i] = random_iova();
		else
			random_cmd((struct nvme_cmd *)(p + i / 8 * 8));
	}
}

static void random_access(void)
{
	u32 off;

	switch (rnd(10)) {
	case 0: /* any register, any size */
		fake.model->bar_write(&fake, 0, rnd(0x400) * 8, 1u << rnd(4), rng ^ rng >> 20);
		break;
	case 1:
		off = rnd(16) * 4;
		reg_write(off, rnd(2) ? 0 : rnd(0x10000) << rnd(17));
		break;
	case 2: /* enable with queues anywhere */
		reg_write(NVME_REG_CC, 0);
		reg_write(NVME_REG_AQA, (1 + rnd(63)) | (1 + rnd(63)) << 16);
		reg_write64(NVME_REG_ASQ, FAKE_BASE + rnd(64) * 4096);
		reg_write64(NVME_REG_ACQ, FAKE_BASE + (64 + rnd(64)) * 4096);
		reg_write(NVME_REG_CC, DRV_CC_EN | rnd(2) << 7);
		break;
	case 3:
		random_memory();
		break;
	case 4:
		fake.model->bar_read(&fake, 0, rnd(0x4000), 1u << rnd(4));
		break;
	case 5:
		atomic_store(&fake.msix, rnd(2));
		break;
	default: /* doorbells of few queues */
		reg_write(NVME_REG_DOORBELLS + rnd(8) * 4, rnd(3) ? rnd(64) : rnd(0x10000));
	}
}

static void *fuzz_other(void *arg)
{
	const atomic_bool *stop = arg;

	for (u32 i = 0; !atomic_load(stop); i++) {
		reg_write(NVME_REG_DOORBELLS + i % 6 * 4, i % 61);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void fuzz(u32 rounds)
{
	atomic_bool stop = false;
	pthread_t other;

	for (u32 i = 0; i < 64; i++)
		random_memory();
	assert_int_equal(pthread_create(&other, NULL, fuzz_other, &stop), 0);
	for (u32 i = 0; i < rounds; i++)
		random_access();
	atomic_store(&stop, true);
	pthread_join(other, NULL);
}

static void test_fuzz(void **state)
{
	const char *seed = getenv("NVME_TEST_SEED");
	const char *rounds = getenv("NVME_TEST_ROUNDS");
	u64 iova;

	rng = seed ? strtoull(seed, NULL, 0) : drv_now_ns();
	print_message("NVME_TEST_SEED=%llu\n", (unsigned long long)rng);
	fuzz(rounds ? (u32)strtoul(rounds, NULL, 0) : 20000);
	/* and it still works */
	fake.model->reset(&fake);
	assert_int_equal(reg_read(NVME_REG_CSTS), 0);
	assert_int_equal(drv_enable(16, 16), NVME_CSTS_RDY);
	assert_int_equal(drv_create_pair(1, 16, 16, 0, true), 0);
	iova = drv_alloc(4096);
	push_reads(&drv_q[1], 10, 1, iova);
	drv_ring(&drv_q[1]);
	expect(&drv_q[1], 10);
}

#define WITH(name, opts) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, opts)

int main(void)
{
	static const char *plain[][2] = { { NULL, NULL } };
	static const char *slow[][2] = { { "latency_us", "20000" }, { NULL, NULL } };
	static const char *slower[][2] = { { "latency_us", "200000" }, { NULL, NULL } };
	static const char *slowest[][2] = { { "latency_us", "10000000" },
					    { "workers", "1" },
					    { NULL, NULL } };
	static const char *small[][2] = {
		{ "size", "1048576" }, { "namespaces", "2" }, { "mdts", "4" }, { NULL, NULL }
	};
	const struct CMUnitTest tests[] = {
		WITH(test_wrap, plain),
		WITH(test_completion_queue_full, plain),
		WITH(test_shared_completion_queue, plain),
		WITH(test_bad_doorbells, plain),
		WITH(test_msix, plain),
		WITH(test_intx, plain),
		WITH(test_large_goes_to_worker, plain),
		WITH(test_budget, plain),
		WITH(test_no_threads, plain),
		WITH(test_latency, slow),
		WITH(test_abort_delayed, slower),
		WITH(test_delete_delayed, slowest),
		WITH(test_threads, plain),
		WITH(test_reset_under_load, plain),
		WITH(test_delete_under_load, plain),
		WITH(test_fuzz, small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
