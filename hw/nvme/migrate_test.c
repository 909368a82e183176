/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate_test.c - a controller is stopped with commands under way, its state goes to another, which carries
 * them out; streams that lie.
 *
 * fake_hw.h has one device, so "another controller" is the same one after a reset: memory and media stay,
 * all that the controller knew is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "hw/core/stream.h"
#include "hw/nvme/fake_driver.h"
#include "hw/nvme/nvme.h"
#include "kernel/lib/explain.h"

static int setup(void **state)
{
	guard_install();
	assert_int_equal(fake_create(*state), 0);
	fake_map(FAKE_BASE, FAKE_BYTES, true);
	assert_int_equal(drv_enable(32, 32), NVME_CSTS_RDY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy();
	fake_forget_stores();
	return 0;
}

static struct hw_stream saved(void)
{
	struct hw_stream s = { 0 };

	assert_int_equal(nvme_model.save(&fake, &s), 0);
	assert_int_equal(s.err, 0);
	assert_true(s.len <= 2 * nvme_model.state_bytes);
	return s;
}

static int load(u8 *buf, size_t len)
{
	struct hw_stream in = { .buf = buf, .len = len };
	int err;

	explain_begin();
	nvme_model.reset(&fake);
	err = nvme_model.load(&fake, &in);
	if (!err)
		err = in.err;
	if (!err && in.at != in.len)
		err = -EINVAL;
	if (err)
		nvme_model.reset(&fake);
	return err;
}

/* All that the controller knows leaves it and comes back. */
static void move(void)
{
	struct hw_stream s;

	nvme_model.quiesce(&fake);
	s = saved();
	assert_int_equal(load(s.buf, s.len), 0);
	free(s.buf);
	nvme_model.resume(&fake);
}

static void fill_media(u32 blocks, u64 iova)
{
	struct nvme_cqe cqe = { 0 };

	for (u32 i = 0; i < blocks; i++) {
		struct nvme_cmd cmd = drv_rw(NVME_IO_WRITE, i, 1, iova + i * 512, 0);

		memset(drv_mem(iova + i * 512), 0x10 + (int)i, 512);
		drv_queue_cmd(&drv_q[1], &cmd);
	}
	drv_ring(&drv_q[1]);
	for (u32 i = 0; i < blocks; i++) {
		assert_true(drv_wait(&drv_q[1], &cqe));
		assert_int_equal(cqe.status >> 1, 0);
	}
	drv_ack(&drv_q[1]);
}

static void push_reads(u32 n, u64 iova)
{
	for (u32 i = 0; i < n; i++)
		drv_queue_cmd(&drv_q[1], &(struct nvme_cmd){ .opcode = NVME_IO_READ, .nsid = 1, .prp1 = iova + i * 512, .cdw10 = i });
}

/* Each of @n reads is completed once, with its block. */
static void expect_reads(u32 n, u16 first_cid, u64 iova)
{
	u32 seen = 0;

	for (u32 i = 0; i < n; i++) {
		struct nvme_cqe cqe = { 0 };

		assert_true(drv_wait(&drv_q[1], &cqe));
		assert_int_equal(cqe.status >> 1, 0);
		assert_false(seen & 1u << (u16)(cqe.cid - first_cid));
		seen |= 1u << (u16)(cqe.cid - first_cid);
	}
	drv_ack(&drv_q[1]);
	assert_int_equal(seen, (1u << n) - 1);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(*(u8 *)drv_mem(iova + i * 512), 0x10 + i);
}

static void idle_controller_moves(void **state)
{
	u64 iova;
	u16 cid;

	(void)state;
	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(64 * 512);
	fill_media(20, iova);
	move();
	cid = drv_q[1].next_cid;
	push_reads(20, iova);
	drv_ring(&drv_q[1]);
	expect_reads(20, cid, iova);
	move(); /* and again, with a wrapped completion queue */
	move();
	cid = drv_q[1].next_cid;
	memset(drv_mem(iova), 0, 20 * 512);
	push_reads(20, iova);
	drv_ring(&drv_q[1]);
	expect_reads(20, cid, iova);
	assert_int_equal(drv_delete(NVME_ADMIN_DELETE_SQ, 1), 0);
	assert_int_equal(drv_delete(NVME_ADMIN_DELETE_CQ, 1), 0);
}

/* A second of latency: the reads wait for a worker when the device is stopped. */
static void commands_under_way_move(void **state)
{
	u64 iova;
	u16 cid;
	struct nvme_cqe cqe = { 0 };

	(void)state;
	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(64 * 512);
	fill_media(4, iova);
	memset(drv_mem(iova), 0, 64 * 512);
	cid = drv_q[1].next_cid;
	push_reads(4, iova);
	drv_ring(&drv_q[1]);
	move();
	assert_false(drv_poll(&drv_q[1], &cqe));
	expect_reads(4, cid, iova);
}

/* What a driver does to a stopped controller is done when it goes on, and not before. */
static void a_stopped_controller_is_still(void **state)
{
	struct nvme_cqe cqe = { 0 };
	u64 iova;
	u16 cid;

	(void)state;
	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(64 * 512);
	fill_media(3, iova);
	cid = drv_q[1].next_cid;
	nvme_model.quiesce(&fake);
	push_reads(3, iova);
	drv_ring(&drv_q[1]);
	nvme_model.bus_master(&fake, true);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	assert_false(drv_poll(&drv_q[1], &cqe));
	nvme_model.resume(&fake);
	expect_reads(3, cid, iova);
}

static void events_and_features_move(void **state)
{
	struct nvme_cqe cqe = { 0 };
	struct nvme_cmd event = { .opcode = NVME_ADMIN_AER };
	u16 cid;

	(void)state;
	assert_int_equal(drv_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = NVME_FEAT_TEMPERATURE,
								.cdw11 = 1000 }, NULL), 0);
	cid = drv_queue_cmd(&drv_q[0], &event);
	drv_ring(&drv_q[0]);
	move();
	assert_int_equal(drv_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_GET_FEATURES, .cdw10 = NVME_FEAT_TEMPERATURE },
				 &cqe), 0);
	assert_int_equal(cqe.dw0, 1000);
	reg_write(doorbell(40, false), 1); /* a queue that does not exist: an event */
	assert_true(drv_wait(&drv_q[0], &cqe));
	assert_int_equal(cqe.cid, cid);
}

static void a_disabled_controller_moves(void **state)
{
	(void)state;
	reg_write(NVME_REG_CC, 0);
	reg_write(NVME_REG_AQA, 0x00070007);
	move();
	assert_int_equal(reg_read(NVME_REG_AQA), 0x00070007);
	assert_int_equal(reg_read(NVME_REG_CSTS), 0);
	assert_int_equal(drv_enable(16, 16), NVME_CSTS_RDY);
}

static void truncated_streams(void **state)
{
	struct hw_stream s;

	(void)state;
	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	nvme_model.quiesce(&fake);
	s = saved();
	for (size_t len = 0; len < s.len; len += len < 2000 ? 1 : 97)
		assert_int_not_equal(load(s.buf, len), 0);
	assert_int_equal(load(s.buf, s.len), 0);
	free(s.buf);
	nvme_model.resume(&fake);
}

/* Hostile bytes: whatever is accepted, the controller neither crashes nor hangs when it goes on. */
static void mangled_streams(void **state)
{
	const char *given = getenv("SEED"), *steps = getenv("STEPS");
	unsigned seed = given ? (unsigned)atoi(given) : 1, rounds = steps ? (unsigned)atoi(steps) : 1500, accepted = 0;
	struct hw_stream s;
	u8 *copy;
	u64 iova;

	(void)state;
	assert_int_equal(drv_create_pair(1, 64, 64, 0, true), 0);
	iova = drv_alloc(64 * 512);
	push_reads(10, iova);
	drv_ring(&drv_q[1]);
	nvme_model.quiesce(&fake);
	s = saved();
	copy = malloc(s.len);
	assert_non_null(copy);
	for (unsigned round = 0; round < rounds; round++) {
		memcpy(copy, s.buf, s.len);
		for (unsigned n = rand_r(&seed) % 3 + 1; n; n--) {
			size_t at = rand_r(&seed) % (rand_r(&seed) % 2 ? s.len : 400);

			copy[at] = rand_r(&seed) % 2 ? (u8)rand_r(&seed) : (u8)(copy[at] + 1);
		}
		if (load(copy, rand_r(&seed) % 10 ? s.len : rand_r(&seed) % s.len))
			continue;
		accepted++;
		nvme_model.resume(&fake);
		reg_write(doorbell(1, false), rand_r(&seed) % 64);
		reg_write(doorbell(1, true), rand_r(&seed) % 64);
		nvme_model.quiesce(&fake);
		free(saved().buf);
	}
	assert_true(accepted > rounds / 50);
	nvme_model.reset(&fake);
	nvme_model.resume(&fake);
	assert_int_equal(drv_enable(32, 32), NVME_CSTS_RDY);
	free(copy);
	free(s.buf);
}

#define WITH(name, opts) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, opts)

int main(void)
{
	static const char *plain[][2] = { { NULL, NULL } };
	static const char *slow[][2] = { { "latency_us", "1000000" }, { NULL, NULL } };
	const struct CMUnitTest tests[] = {
		WITH(idle_controller_moves, plain),
		WITH(commands_under_way_move, slow),
		WITH(a_stopped_controller_is_still, plain),
		WITH(events_and_features_move, plain),
		WITH(a_disabled_controller_moves, plain),
		WITH(truncated_streams, plain),
		WITH(mangled_streams, plain),
		WITH(mangled_streams, slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
