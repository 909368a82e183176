/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_driver.h - a small NVMe driver over fake_hw.h, for unit tests and the benchmark.
 *
 * Memory is given out from the front of client memory and never given back before drv_start().
 * A queue belongs to the one thread that uses it.
 */
#ifndef HW_NVME_FAKE_DRIVER_H
#define HW_NVME_FAKE_DRIVER_H

#include <sched.h>
#include <time.h>

#include "hw/nvme/fake_hw.h"
#include "hw/nvme/regs.h"

struct drv_queue {
	u16 id;
	u64 sq, cq; /* iova */
	u32 sq_size, cq_size, tail, head;
	u8 phase;
	u16 next_cid;
};

static u64 drv_brk;
static struct drv_queue drv_q[65];

static inline void *drv_mem(u64 iova) { return fake_memory + (iova - FAKE_BASE); }

static inline u64 drv_alloc(u64 bytes)
{
	u64 iova = drv_brk;

	drv_brk += ALIGN_UP(bytes, 4096ull);
	if (drv_brk > FAKE_BASE + FAKE_BYTES)
		abort();
	return iova;
}

static inline void reg_write(u32 off, u32 val) { fake.model->bar_write(&fake, 0, off, 4, val); }
static inline void reg_write64(u32 off, u64 val) { fake.model->bar_write(&fake, 0, off, 8, val); }
static inline u32 reg_read(u32 off) { return __atomic_load_n((u32 *)(fake.bar + off), __ATOMIC_ACQUIRE); }
static inline u32 doorbell(u32 qid, bool cq) { return NVME_REG_DOORBELLS + 8 * qid + 4 * cq; }

#define DRV_CC_EN (BIT(0) | 6u << 16 | 4u << 20)

/* A queue's memory, fresh. */
static inline void drv_queue_init(u16 id, u32 sq_size, u32 cq_size)
{
	struct drv_queue *q = &drv_q[id];

	*q = (struct drv_queue){ .id = id, .sq_size = sq_size, .cq_size = cq_size, .phase = 1 };
	q->sq = drv_alloc(sq_size * 64ull);
	q->cq = drv_alloc(cq_size * 16ull);
	memset(drv_mem(q->cq), 0, cq_size * 16ull);
}

/* Enable the controller with admin queues of these sizes.  Return: CSTS. */
static inline u32 drv_enable(u32 sq_size, u32 cq_size)
{
	drv_brk = FAKE_BASE;
	drv_queue_init(0, sq_size, cq_size);
	reg_write(NVME_REG_AQA, (sq_size - 1) | (cq_size - 1) << 16);
	reg_write64(NVME_REG_ASQ, drv_q[0].sq);
	reg_write64(NVME_REG_ACQ, drv_q[0].cq);
	reg_write(NVME_REG_CC, DRV_CC_EN);
	return reg_read(NVME_REG_CSTS);
}

/* Put a command into the queue; no doorbell.  Return: its cid. */
static inline u16 drv_queue_cmd(struct drv_queue *q, const struct nvme_cmd *cmd)
{
	struct nvme_cmd *slot = (struct nvme_cmd *)drv_mem(q->sq) + q->tail;

	*slot = *cmd;
	slot->cid = q->next_cid++;
	q->tail = (q->tail + 1) % q->sq_size;
	return slot->cid;
}

static inline void drv_ring(struct drv_queue *q) { reg_write(doorbell(q->id, false), q->tail); }

/* Take the next completion if there is one; no doorbell. */
static inline bool drv_poll(struct drv_queue *q, struct nvme_cqe *ret)
{
	struct nvme_cqe *slot = (struct nvme_cqe *)drv_mem(q->cq) + q->head;

	if ((__atomic_load_n((u8 *)slot + NVME_CQE_PHASE_BYTE, __ATOMIC_ACQUIRE) & 1) != q->phase)
		return false;
	*ret = *slot;
	q->head = (q->head + 1) % q->cq_size;
	q->phase ^= q->head == 0;
	return true;
}

static inline void drv_ack(struct drv_queue *q) { reg_write(doorbell(q->id, true), q->head); }

static inline u64 drv_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

/* Wait for one completion.  Return: false after 20 s. */
static inline bool drv_wait(struct drv_queue *q, struct nvme_cqe *ret)
{
	u64 end = 0;

	while (!drv_poll(q, ret)) {
		if (!end)
			end = drv_now_ns() + 20000000000u;
		if (drv_now_ns() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* One command, start to end.  Return: its status field (code, type, more, dnr); *@ret_cqe if not NULL. */
static inline u32 drv_cmd(struct drv_queue *q, const struct nvme_cmd *cmd, struct nvme_cqe *ret_cqe)
{
	struct nvme_cqe cqe;
	u16 cid = drv_queue_cmd(q, cmd);

	drv_ring(q);
	if (!drv_wait(q, &cqe))
		return 0xdead;
	drv_ack(q);
	if (cqe.cid != cid || cqe.sq_id != q->id)
		return 0xbad;
	if (ret_cqe)
		*ret_cqe = cqe;
	return cqe.status >> 1;
}

static inline u32 drv_create_cq(u16 id, u32 size, u64 iova, u16 vector, bool interrupts)
{
	return drv_cmd(&drv_q[0],
		       &(struct nvme_cmd){ .opcode = NVME_ADMIN_CREATE_CQ,
					   .prp1 = iova,
					   .cdw10 = id | (size - 1) << 16,
					   .cdw11 = 1u | interrupts << 1 | (u32)vector << 16 },
		       NULL);
}

static inline u32 drv_create_sq(u16 id, u32 size, u64 iova, u16 cqid)
{
	return drv_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_CREATE_SQ, .prp1 = iova,
			.cdw10 = id | (size - 1) << 16, .cdw11 = 1u | (u32)cqid << 16 }, NULL);
}

/* Queue pair @id with memory of its own.  Return: status of the first command that failed; 0. */
static inline u32 drv_create_pair(u16 id, u32 sq_size, u32 cq_size, u16 vector, bool interrupts)
{
	u32 st;

	drv_queue_init(id, sq_size, cq_size);
	st = drv_create_cq(id, cq_size, drv_q[id].cq, vector, interrupts);
	return st ? st : drv_create_sq(id, sq_size, drv_q[id].sq, id);
}

static inline u32 drv_delete(u8 opcode, u16 id)
{
	return drv_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = opcode, .cdw10 = id }, NULL);
}

static inline struct nvme_cmd drv_rw(u8 opcode, u64 slba, u32 blocks, u64 prp1, u64 prp2)
{
	return (struct nvme_cmd){ .opcode = opcode, .nsid = 1, .prp1 = prp1, .prp2 = prp2, .cdw10 = (u32)slba,
				  .cdw11 = (u32)(slba >> 32), .cdw12 = blocks - 1 };
}

#endif
