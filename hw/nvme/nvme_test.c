/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme_test.c - the controller as a driver meets it: options, registers, states, admin commands.
 *
 * Each thing that must work stands beside one that must fail, with the status it fails with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/nvme/fake_driver.h"

#define DNR_MORE (NVME_DNR | NVME_MORE)
#define assert_status(got, want) assert_int_equal((got), (want) ? ((want) | DNR_MORE) : 0)

static u32 admin(struct nvme_cmd cmd) { return drv_cmd(&drv_q[0], &cmd, NULL); }

static u32 admin_dw0(struct nvme_cmd cmd, u32 *dw0)
{
	struct nvme_cqe cqe = { 0 };
	u32 st = drv_cmd(&drv_q[0], &cmd, &cqe);

	*dw0 = cqe.dw0;
	return st;
}

static u32 identify(u32 cns, u32 nsid, u64 iova)
{
	memset(drv_mem(iova), 0xaa, 4096);
	return admin(
		(struct nvme_cmd){ .opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = iova, .cdw10 = cns });
}

static u32 get_log(u32 lid, u32 bytes, u64 off, u64 iova, bool retain)
{
	u32 numd = bytes / 4 - 1;

	return admin((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_LOG,
					.prp1 = iova,
					.prp2 = iova + 4096,
					.cdw10 = lid | retain << 15 | (numd & 0xffff) << 16,
					.cdw11 = numd >> 16,
					.cdw12 = (u32)off,
					.cdw13 = (u32)(off >> 32) });
}

static u32 get_feature(u32 fid, u32 sel, u32 cdw11, u32 nsid, u32 *dw0)
{
	return admin_dw0((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_FEATURES,
					    .nsid = nsid,
					    .prp1 = FAKE_BASE + (8 << 20),
					    .cdw10 = fid | sel << 8,
					    .cdw11 = cdw11 },
			 dw0);
}

static u32 set_feature(u32 fid, bool save, u32 cdw11, u32 nsid)
{
	return admin((struct nvme_cmd){ .opcode = NVME_ADMIN_SET_FEATURES,
					.nsid = nsid,
					.prp1 = FAKE_BASE + (8 << 20),
					.cdw10 = fid | (u32)save << 31,
					.cdw11 = cdw11 });
}

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

/* ---- options ---- */

static void refused(const char *key, const char *value)
{
	const char *options[][2] = { { key, value }, { NULL, NULL } };

	assert_int_not_equal(fake_create(options), 0);
}

static void accepted(const char *key, const char *value)
{
	const char *options[][2] = { { key, value }, { NULL, NULL } };

	assert_int_equal(fake_create(options), 0);
	assert_int_equal(fake.threads, 0);
	fake_destroy();
}

static void test_options(void **state)
{
	static const char *const bad[][2] = {
		{ "block", "1024" },
		{ "block", "big" },
		{ "namespaces", "0" },
		{ "namespaces", "33" },
		{ "readonly", "yes" },
		{ "queues", "65" },
		{ "queues", "0" },
		{ "mdts", "17" },
		{ "workers", "0" },
		{ "latency_us", "-" },
		{ "serial", "123456789012345678901" },
		{ "model", "12345678901234567890123456789012345678901" },
		{ "file", "/nonexistent/disk" },
		{ "file", "/dev/null" },
		{ "size", "12" },
	};
	static const char *const good[][2] = {
		{ "block", "4096" },
		{ "namespaces", "32" },
		{ "readonly", "on" },
		{ "readonly", "off" },
		{ "queues", "64" },
		{ "mdts", "0" },
		{ "serial", "12345678901234567890" },
		{ "size", "1048576" },
		{ "workers", "16" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i][0], bad[i][1]);
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		accepted(good[i][0], good[i][1]);
	fake_forget_stores();
}

/* ---- registers ---- */

static void test_registers(void **state)
{
	assert_int_equal(reg_read(0), 0x0f0107ff);
	assert_int_equal(reg_read(4), 0x00400020);
	assert_int_equal(reg_read(NVME_REG_VS), 0x00010400);
	reg_write(0, 0); /* read-only */
	assert_int_equal(reg_read(0), 0x0f0107ff);
	assert_int_equal(fake.model->bar_read(&fake, 0, 0, 8), 0x004000200f0107ffull);
	assert_int_equal(fake.model->bar_read(&fake, 0, 10, 2), 1);
	assert_int_equal(fake.model->bar_read(&fake, 0, 0x1000, 4), 0);
	reg_write(NVME_REG_INTMS, 5);
	assert_int_equal(reg_read(NVME_REG_INTMS), 5);
	reg_write(NVME_REG_INTMC, 4);
	assert_int_equal(reg_read(NVME_REG_INTMC), 1);
	fake.model->bar_write(&fake, 0, NVME_REG_CC, 2, 0); /* too narrow: ignored */
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY);
	reg_write(NVME_REG_CC, DRV_CC_EN | 1 << 7); /* page size, while enabled: ignored */
	assert_int_equal(reg_read(NVME_REG_CC), DRV_CC_EN);
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(reg_read(NVME_REG_CSTS), 0);
	assert_int_equal(reg_read(NVME_REG_INTMS), 0);
	assert_int_equal(reg_read(NVME_REG_AQA), 0x000f000f); /* survives a controller reset ... */
	fake.model->reset(&fake);
	assert_int_equal(reg_read(NVME_REG_AQA), 0); /* ... but not a function level reset */
}

static void cannot_enable(u32 cc, u32 aqa, u64 asq)
{
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(reg_read(NVME_REG_CSTS), 0);
	reg_write(NVME_REG_AQA, aqa);
	reg_write64(NVME_REG_ASQ, asq);
	reg_write(NVME_REG_CC, cc);
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_CFS);
	reg_write(doorbell(0, false), 1); /* nobody listens */
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_CFS);
}

static void test_enable(void **state)
{
	cannot_enable(DRV_CC_EN | 1 << 4, 0xf000f, FAKE_BASE);	 /* command set */
	cannot_enable(DRV_CC_EN | 5 << 7, 0xf000f, FAKE_BASE);	 /* page size */
	cannot_enable(DRV_CC_EN | 15 << 7, 0xf000f, FAKE_BASE);	 /* page size */
	cannot_enable(DRV_CC_EN | 1 << 11, 0xf000f, FAKE_BASE);	 /* arbitration */
	cannot_enable(DRV_CC_EN, 0x00000f, FAKE_BASE);		 /* completion queue of one */
	cannot_enable(DRV_CC_EN, 0x0f0000, FAKE_BASE);		 /* submission queue of one */
	cannot_enable(DRV_CC_EN | 1 << 7, 0xf000f, FAKE_BASE + 4096); /* 8 KiB pages, 4 KiB alignment */
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(drv_enable(2, 2), NVME_CSTS_RDY);
	assert_int_equal(identify(NVME_CNS_CTRL, 0, drv_alloc(4096)), 0);
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(drv_enable(4096, 4096), NVME_CSTS_RDY);
	assert_int_equal(identify(NVME_CNS_CTRL, 0, drv_alloc(4096)), 0);
}

static void test_shutdown(void **state)
{
	reg_write(NVME_REG_CC, DRV_CC_EN | 1 << 14);
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_SHST_COMPLETE);
	reg_write(doorbell(0, false), 1);
	assert_int_equal(((struct nvme_cqe *)drv_mem(drv_q[0].cq))->status, 0);
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(reg_read(NVME_REG_CSTS), 0);
	reg_write(NVME_REG_CC, 2 << 14); /* abrupt, while disabled */
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_SHST_COMPLETE);
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(drv_enable(16, 16) & NVME_CSTS_RDY, NVME_CSTS_RDY);
	assert_int_equal(identify(NVME_CNS_CTRL, 0, drv_alloc(4096)), 0);
}

static void test_fatal(void **state)
{
	fake_map(FAKE_BASE + (1 << 20), 4096, true); /* the queues are not mapped any more */
	drv_q[0].tail = 1;
	drv_ring(&drv_q[0]);
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
	fake_range_count = 0;
	reg_write(NVME_REG_CC, 0);
	assert_int_equal(reg_read(NVME_REG_CSTS), 0);
	assert_int_equal(drv_enable(16, 16), NVME_CSTS_RDY);
	/* commands can be read, completions not written */
	fake_map(drv_q[0].sq, 4096, true);
	fake_map(drv_q[0].cq, 4096, false);
	drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = 0x7f });
	drv_ring(&drv_q[0]);
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
}

static void test_bus_master(void **state)
{
	struct nvme_cqe cqe = { 0 };

	fake.mastering = false;
	drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = 0x7f });
	drv_ring(&drv_q[0]);
	assert_false(drv_poll(&drv_q[0], &cqe));
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY);
	fake.model->bus_master(&fake, false);
	__atomic_store_n(&fake.mastering, true, __ATOMIC_RELEASE);
	fake.model->bus_master(&fake, true);
	assert_true(drv_wait(&drv_q[0], &cqe));
	assert_int_equal(cqe.status >> 1, NVME_INVALID_OPCODE | DNR_MORE);
}

/* ---- identify ---- */

static void test_identify(void **state)
{
	u64 iova = drv_alloc(4096);
	struct nvme_id_ctrl *id = drv_mem(iova);
	struct nvme_id_ns *ns = drv_mem(iova);
	u32 *list = drv_mem(iova);
	u8 *bytes = drv_mem(iova);

	assert_status(identify(NVME_CNS_CTRL, 0, iova), 0);
	assert_int_equal(id->vid, 0x1b36);
	assert_memory_equal(id->sn, "SV-0000:01:00.0     ", 20);
	assert_memory_equal(id->mn, "softvfio NVMe Ctrl   ", 21);
	assert_int_equal(id->mdts, 7);
	assert_int_equal(id->nn, 2);
	assert_int_equal(id->sqes, 0x66);
	assert_int_equal(id->ver, 0x10400);
	assert_int_equal(strlen(id->subnqn), 68);
	assert_status(identify(NVME_CNS_NS, 2, iova), 0);
	assert_int_equal(ns->nsze, (64 << 20) / 512);
	assert_int_equal(ns->nsze, ns->ncap);
	assert_int_equal(ns->flbas, 0);
	assert_int_equal(ns->lbaf[0].lbads, 9);
	assert_int_equal(ns->lbaf[1].lbads, 12);
	assert_status(identify(NVME_CNS_NS, 3, iova), NVME_INVALID_NS);
	assert_status(identify(NVME_CNS_NS, 0, iova), NVME_INVALID_NS);
	assert_status(identify(NVME_CNS_NS, NVME_NSID_ALL, iova), NVME_INVALID_NS);
	assert_status(identify(NVME_CNS_ALLOCATED_NS, 1, iova), 0);
	assert_status(identify(NVME_CNS_ACTIVE_LIST, 0, iova), 0);
	assert_int_equal(list[0], 1);
	assert_int_equal(list[1], 2);
	assert_int_equal(list[2], 0);
	assert_status(identify(NVME_CNS_ACTIVE_LIST, 1, iova), 0);
	assert_int_equal(list[0], 2);
	assert_int_equal(list[1], 0);
	assert_status(identify(NVME_CNS_ACTIVE_LIST, 0xfffffffe, iova), NVME_INVALID_NS);
	assert_status(identify(NVME_CNS_ALLOCATED_LIST, 0, iova), 0);
	assert_status(identify(NVME_CNS_NS_DESC, 1, iova), 0);
	assert_int_equal(bytes[0], NVME_NIDT_NGUID);
	assert_int_equal(bytes[1], 16);
	assert_int_equal(bytes[20], NVME_NIDT_UUID);
	assert_int_equal(bytes[20 + 4 + 6] >> 4, 8);
	assert_int_equal(bytes[40], 0);
	assert_status(identify(NVME_CNS_NS_DESC, 9, iova), NVME_INVALID_NS);
	assert_status(identify(NVME_CNS_CTRL_LIST, 0, iova), 0);
	assert_int_equal(list[0], 1); /* one controller, 0 */
	assert_status(identify(NVME_CNS_NS_CTRL_LIST | 1 << 16, 1, iova), 0);
	assert_int_equal(list[0], 0); /* none from 1 on */
	assert_status(identify(NVME_CNS_NS_CTRL_LIST, 7, iova), NVME_INVALID_NS);
	assert_status(identify(0x04, 0, iova), NVME_INVALID_FIELD);
	assert_status(identify(0x06, 0, iova), NVME_INVALID_FIELD);
	assert_status(identify(NVME_CNS_CTRL, 0, iova + 2), NVME_PRP_OFFSET);
	assert_int_equal(
		admin((struct nvme_cmd){ .opcode = NVME_ADMIN_IDENTIFY, .prp1 = 0x1000, .cdw10 = 1 }),
		NVME_DATA_TRANSFER_ERROR | NVME_MORE);
}

static void test_bad_commands(void **state)
{
	assert_status(admin((struct nvme_cmd){ .opcode = 0x7f }), NVME_INVALID_OPCODE);
	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_IDENTIFY, .flags = 1 }),
		      NVME_INVALID_FIELD);
	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_IDENTIFY, .flags = 0x40 }),
		      NVME_INVALID_FIELD);
}

/* ---- queues ---- */

static void test_create_queues(void **state)
{
	u64 mem = drv_alloc(256 << 10);

	assert_status(drv_create_cq(0, 16, mem, 0, true), NVME_INVALID_QID);
	assert_status(drv_create_cq(9, 16, mem, 0, true), NVME_INVALID_QID); /* queues=8 */
	assert_status(drv_create_cq(1, 1, mem, 0, true), NVME_INVALID_QSIZE);
	assert_status(drv_create_cq(1, 2049, mem, 0, true), NVME_INVALID_QSIZE);
	assert_status(drv_create_cq(1, 16, mem + 64, 0, true), NVME_PRP_OFFSET);
	assert_status(drv_create_cq(1, 16, mem, 1, true), NVME_INVALID_VECTOR); /* no MSI-X */
	assert_status(drv_create_cq(1, 16, mem, 65, false), NVME_INVALID_VECTOR);
	assert_status(admin((struct nvme_cmd){
			      .opcode = NVME_ADMIN_CREATE_CQ, .prp1 = mem, .cdw10 = 1 | 15 << 16 }),
		      NVME_INVALID_FIELD); /* not contiguous */
	assert_status(drv_create_cq(1, 2048, mem, 1, false), 0);
	assert_status(drv_create_cq(1, 16, mem, 0, true), NVME_INVALID_QID);
	assert_status(drv_create_sq(1, 16, mem, 2), NVME_CQ_INVALID);
	assert_status(drv_create_sq(1, 16, mem, 0), NVME_INVALID_QID);
	assert_status(drv_create_sq(1, 16, mem, 9), NVME_INVALID_QID);
	assert_status(drv_create_sq(0, 16, mem, 1), NVME_INVALID_QID);
	assert_status(drv_create_sq(9, 16, mem, 1), NVME_INVALID_QID);
	assert_status(drv_create_sq(1, 4096, mem, 1), NVME_INVALID_QSIZE);
	assert_status(drv_create_sq(1, 16, mem + 8, 1), NVME_PRP_OFFSET);
	assert_status(drv_create_sq(1, 2048, mem, 1), 0);
	assert_status(drv_create_sq(1, 16, mem, 1), NVME_INVALID_QID);
	assert_status(drv_create_sq(2, 2, mem, 1), 0); /* two on one */
	assert_status(drv_delete(NVME_ADMIN_DELETE_CQ, 1), NVME_INVALID_QUEUE_DELETION);
	assert_status(drv_delete(NVME_ADMIN_DELETE_CQ, 2), NVME_INVALID_QID);
	assert_status(drv_delete(NVME_ADMIN_DELETE_CQ, 0), NVME_INVALID_QID);
	assert_status(drv_delete(NVME_ADMIN_DELETE_SQ, 3), NVME_INVALID_QID);
	assert_status(drv_delete(NVME_ADMIN_DELETE_SQ, 0), NVME_INVALID_QID);
	assert_status(drv_delete(NVME_ADMIN_DELETE_SQ, 0xffff), NVME_INVALID_QID);
	assert_status(drv_delete(NVME_ADMIN_DELETE_SQ, 1), 0);
	assert_status(drv_delete(NVME_ADMIN_DELETE_SQ, 1), NVME_INVALID_QID);
	assert_status(drv_delete(NVME_ADMIN_DELETE_SQ, 2), 0);
	assert_status(drv_delete(NVME_ADMIN_DELETE_CQ, 1), 0);
	reg_write(NVME_REG_CC, (DRV_CC_EN & ~(15u << 20)) | 3u << 20);
	assert_status(drv_create_cq(1, 16, mem, 0, true), NVME_INVALID_QSIZE); /* CC.IOCQES */
	reg_write(NVME_REG_CC, DRV_CC_EN);
	atomic_store(&fake.msix, true);
	assert_status(drv_create_cq(1, 16, mem, 64, true), 0);
}

/* ---- features ---- */

static void test_features(void **state)
{
	u32 dw0;

	assert_status(get_feature(NVME_FEAT_QUEUES, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0x00070007);
	assert_status(set_feature(NVME_FEAT_QUEUES, false, 0x00ff00ff, 0), 0);
	assert_status(set_feature(NVME_FEAT_QUEUES, false, 0x0000ffff, 0), NVME_INVALID_FIELD);
	assert_status(set_feature(NVME_FEAT_QUEUES, true, 0x00010001, 0), NVME_FEATURE_NOT_SAVEABLE);
	assert_int_equal(drv_create_pair(1, 8, 8, 0, true), 0);
	assert_status(set_feature(NVME_FEAT_QUEUES, false, 0x00010001, 0), NVME_COMMAND_SEQUENCE);
	assert_status(get_feature(0x55, 0, 0, 0, &dw0), NVME_INVALID_FIELD);
	assert_status(set_feature(0x55, false, 0, 0), NVME_INVALID_FIELD);
	assert_status(get_feature(NVME_FEAT_WRITE_CACHE, 4, 0, 0, &dw0), NVME_INVALID_FIELD);
	assert_status(get_feature(NVME_FEAT_WRITE_CACHE, 3, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 5); /* saveable, changeable */
	assert_status(get_feature(NVME_FEAT_WRITE_CACHE, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 1);
	assert_status(set_feature(NVME_FEAT_WRITE_CACHE, false, 0, 0), 0);
	assert_status(get_feature(NVME_FEAT_WRITE_CACHE, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0);
	assert_status(set_feature(NVME_FEAT_WRITE_CACHE, false, 0, 1), NVME_FEATURE_NOT_NS);
	assert_status(set_feature(NVME_FEAT_WRITE_CACHE, false, 0, 7), NVME_INVALID_NS);
	assert_status(set_feature(NVME_FEAT_WRITE_CACHE, false, 0, NVME_NSID_ALL), 0);
	assert_status(set_feature(NVME_FEAT_POWER, false, 0, 0), 0);
	assert_status(set_feature(NVME_FEAT_POWER, false, 1, 0), NVME_INVALID_FIELD);
	assert_status(set_feature(NVME_FEAT_VECTOR, false, 3 | 1 << 16, 0), 0);
	assert_status(get_feature(NVME_FEAT_VECTOR, 0, 3, 0, &dw0), 0);
	assert_int_equal(dw0, 3 | 1 << 16);
	assert_status(get_feature(NVME_FEAT_VECTOR, 1, 3, 0, &dw0), 0);
	assert_int_equal(dw0, 3);
	assert_status(set_feature(NVME_FEAT_VECTOR, false, 65, 0), NVME_INVALID_FIELD);
	assert_status(get_feature(NVME_FEAT_VECTOR, 0, 65, 0, &dw0), NVME_INVALID_FIELD);
	assert_status(set_feature(NVME_FEAT_ERROR_RECOVERY, false, 30, 2), 0);
	assert_status(get_feature(NVME_FEAT_ERROR_RECOVERY, 0, 0, 2, &dw0), 0);
	assert_int_equal(dw0, 30);
	assert_status(get_feature(NVME_FEAT_ERROR_RECOVERY, 0, 0, 1, &dw0), 0);
	assert_int_equal(dw0, 0);
	assert_status(get_feature(NVME_FEAT_ERROR_RECOVERY, 0, 0, 0, &dw0), NVME_INVALID_NS);
	assert_status(set_feature(NVME_FEAT_ERROR_RECOVERY, false, 30, 0), NVME_INVALID_NS);
	assert_status(set_feature(NVME_FEAT_ERROR_RECOVERY, false, 1 << 16, 1), NVME_INVALID_FIELD);
	assert_status(get_feature(NVME_FEAT_TEMPERATURE, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 343);
	assert_status(set_feature(NVME_FEAT_TEMPERATURE, false, 350, 0), 0);
	assert_status(get_feature(NVME_FEAT_TEMPERATURE, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 350);
	assert_status(get_feature(NVME_FEAT_TEMPERATURE, 0, 1 << 20, 0, &dw0), 0);
	assert_int_equal(dw0, 0);
	assert_status(get_feature(NVME_FEAT_TEMPERATURE, 0, 1 << 16, 0, &dw0), NVME_INVALID_FIELD);
	assert_status(set_feature(NVME_FEAT_TEMPERATURE, false, 2 << 16, 0), NVME_INVALID_FIELD);
	assert_status(set_feature(NVME_FEAT_COALESCING, false, 0x0a05, 0), 0);
	assert_status(get_feature(NVME_FEAT_COALESCING, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0x0a05);
}

static void test_timestamp(void **state)
{
	u64 *val = drv_mem(FAKE_BASE + (8 << 20));
	u32 dw0;

	assert_status(get_feature(NVME_FEAT_TIMESTAMP, 0, 0, 0, &dw0), 0);
	assert_true((*val & GENMASK_ULL(47, 0)) < 600000);
	assert_int_equal(*val >> 48, 0); /* counts from reset */
	*val = 1234567890123;
	assert_status(set_feature(NVME_FEAT_TIMESTAMP, false, 0, 0), 0);
	*val = 0;
	assert_status(get_feature(NVME_FEAT_TIMESTAMP, 0, 0, 0, &dw0), 0);
	assert_in_range(*val & GENMASK_ULL(47, 0), 1234567890123, 1234567890123 + 60000);
	assert_int_equal(*val >> 48, 2); /* set by the host */
}

/* What was saved, and the format, survive the program; what was not saved goes with a reset. */
static void test_nvram(void **state)
{
	u64 iova;
	u32 dw0;
	struct nvme_smart_log *smart;

	assert_status(set_feature(NVME_FEAT_COALESCING, true, 0x0102, 0), 0);
	assert_status(set_feature(NVME_FEAT_COALESCING, false, 0x0304, 0), 0);
	assert_status(get_feature(NVME_FEAT_COALESCING, 2, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0x0102);
	assert_status(set_feature(NVME_FEAT_WRITE_CACHE, false, 0, 0), 0);
	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_FORMAT, .nsid = 1, .cdw10 = 1 }), 0);
	reg_write(NVME_REG_CC, 0);
	drv_enable(16, 16);
	assert_status(get_feature(NVME_FEAT_COALESCING, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0x0102);
	assert_status(get_feature(NVME_FEAT_WRITE_CACHE, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 1);
	fake_destroy();
	assert_int_equal(setup(state), 0);
	assert_status(get_feature(NVME_FEAT_COALESCING, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0x0102);
	iova = drv_alloc(4096);
	assert_status(identify(NVME_CNS_NS, 1, iova), 0);
	assert_int_equal(((struct nvme_id_ns *)drv_mem(iova))->flbas, 1);
	smart = drv_mem(iova);
	assert_status(get_log(NVME_LOG_SMART, 512, 0, iova, false), 0);
	assert_int_equal(smart->power_cycles.lo, 2);
	assert_int_equal(smart->unsafe_shutdowns.lo, 1);
	reg_write(NVME_REG_CC, DRV_CC_EN | 1 << 14);
	fake_destroy();
	assert_int_equal(setup(state), 0);
	assert_status(get_log(NVME_LOG_SMART, 512, 0, iova, false), 0);
	assert_int_equal(smart->power_cycles.lo, 3);
	assert_int_equal(smart->unsafe_shutdowns.lo, 1);
}

/* A damaged store is made anew. */
static void test_nvram_damaged(void **state)
{
	u32 dw0;

	assert_status(set_feature(NVME_FEAT_COALESCING, true, 0x0102, 0), 0);
	fake_destroy();
	for (unsigned i = 0; i < fake_store_count; i++)
		if (!strcmp(fake_stores[i].name, "nvram"))
			assert_int_equal(pwrite(fake_stores[i].fd, "rubbish", 7, 0), 7);
	assert_int_equal(setup(state), 0);
	assert_status(get_feature(NVME_FEAT_COALESCING, 0, 0, 0, &dw0), 0);
	assert_int_equal(dw0, 0);
}

/* ---- logs ---- */

static void test_logs(void **state)
{
	u64 iova = drv_alloc(8192);
	struct nvme_error_entry *error = drv_mem(iova);
	struct nvme_effects_log *effects = drv_mem(iova);
	struct nvme_firmware_log *firmware = drv_mem(iova);

	assert_status(get_log(NVME_LOG_ERROR, 4096, 0, iova, false), 0);
	assert_int_equal(error[0].error_count, 0);
	assert_status(admin((struct nvme_cmd){ .opcode = 0x7f }), NVME_INVALID_OPCODE);
	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 0x77, .nsid = 3 }),
		      NVME_INVALID_FIELD);
	assert_status(get_log(NVME_LOG_ERROR, 128, 0, iova, false), 0);
	assert_int_equal(error[0].error_count, 2);
	assert_int_equal(error[0].status >> 1 & NVME_SC_MASK, NVME_INVALID_FIELD);
	assert_int_equal(error[0].param_loc, 40);
	assert_int_equal(error[0].nsid, 3);
	assert_int_equal(error[1].error_count, 1);
	assert_int_equal(error[1].param_loc, 0);
	memset(drv_mem(iova), 0xaa, 8192);
	assert_status(get_log(NVME_LOG_ERROR, 64, 64, iova, false), 0); /* by offset */
	assert_int_equal(error[0].error_count, 1);
	assert_int_equal(((u8 *)error)[64], 0xaa); /* not a byte more */
	assert_status(get_log(NVME_LOG_FIRMWARE, 512, 0, iova, false), 0);
	assert_int_equal(firmware->active, 1);
	assert_memory_equal(firmware->slot[0], "1.0     ", 8);
	assert_status(get_log(NVME_LOG_EFFECTS, 4096, 0, iova, false), 0);
	assert_int_equal(effects->io[NVME_IO_READ], 1);
	assert_int_equal(effects->io[NVME_IO_WRITE], 3);
	assert_int_equal(effects->io[0x77], 0);
	assert_status(get_log(NVME_LOG_CHANGED_NS, 4096, 0, iova, false), 0);
	assert_status(get_log(0x70, 512, 0, iova, false), NVME_INVALID_LOG_PAGE);
	assert_status(get_log(NVME_LOG_SMART, 512, 2, iova, false), NVME_INVALID_FIELD);
	assert_status(get_log(NVME_LOG_SMART, 512, 516, iova, false), NVME_INVALID_FIELD);
	assert_status(get_log(NVME_LOG_SMART, 512, 512, iova, false), 0);
	assert_status(get_log(NVME_LOG_SMART, (512 << 10) + 4, 0, iova, false),
		      NVME_INVALID_FIELD); /* MDTS */
	assert_status(get_log(NVME_LOG_SMART, 8192, 0, iova, false), 0); /* longer than the log */
	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_LOG, .nsid = 1, .prp1 = iova,
			.cdw10 = NVME_LOG_SMART | 127 << 16 }), NVME_INVALID_FIELD);
}

/* ---- format, abort ---- */

static void test_format(void **state)
{
	u64 iova = drv_alloc(4096);
	struct nvme_id_ns *ns = drv_mem(iova);
	struct nvme_cmd cmd = { .opcode = NVME_ADMIN_FORMAT, .nsid = 1, .cdw10 = 1 };

	assert_status(admin(cmd), 0);
	assert_status(identify(NVME_CNS_NS, 1, iova), 0);
	assert_int_equal(ns->nsze, (64 << 20) / 4096);
	assert_int_equal(ns->flbas, 1);
	assert_status(identify(NVME_CNS_NS, 2, iova), 0);
	assert_int_equal(ns->flbas, 0);
	cmd.nsid = NVME_NSID_ALL;
	cmd.cdw10 = 0;
	assert_status(admin(cmd), 0);
	assert_status(identify(NVME_CNS_NS, 1, iova), 0);
	assert_int_equal(ns->flbas, 0);
	cmd.nsid = 3;
	assert_status(admin(cmd), NVME_INVALID_NS);
	cmd.nsid = 1;
	cmd.cdw10 = 2;
	assert_status(admin(cmd), NVME_INVALID_FORMAT);
	cmd.cdw10 = 1 << 5;
	assert_status(admin(cmd), NVME_INVALID_FORMAT);
	cmd.cdw10 = 2 << 9;
	assert_status(admin(cmd), NVME_INVALID_FIELD);
	cmd.cdw10 = 1 << 9;
	assert_status(admin(cmd), 0);
}

static void test_abort(void **state)
{
	struct nvme_cqe cqe = { 0 };
	u16 aer, abort_cid;
	u32 dw0;

	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_ABORT, .cdw10 = 5 }), NVME_INVALID_FIELD);
	assert_status(admin_dw0((struct nvme_cmd){ .opcode = NVME_ADMIN_ABORT, .cdw10 = 0x7777 << 16 }, &dw0),
		      0);
	assert_int_equal(dw0, 1);
	aer = drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_AER });
	abort_cid = drv_queue_cmd(&drv_q[0],
				  &(struct nvme_cmd){ .opcode = NVME_ADMIN_ABORT, .cdw10 = (u32)aer << 16 });
	drv_ring(&drv_q[0]);
	assert_true(drv_wait(&drv_q[0], &cqe));
	assert_int_equal(cqe.cid, aer);
	assert_int_equal(cqe.status >> 1, NVME_ABORT_REQUESTED);
	assert_true(drv_wait(&drv_q[0], &cqe));
	assert_int_equal(cqe.cid, abort_cid);
	assert_int_equal(cqe.status >> 1, 0);
	assert_int_equal(cqe.dw0, 0);
	drv_ack(&drv_q[0]);
}

/* ---- events ---- */

static u16 ask_event(void)
{
	u16 cid = drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_AER });

	drv_ring(&drv_q[0]);
	return cid;
}

static void expect_event(u16 cid, u32 dw0)
{
	struct nvme_cqe cqe = { 0 };

	assert_true(drv_wait(&drv_q[0], &cqe));
	drv_ack(&drv_q[0]);
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status >> 1, 0);
	assert_int_equal(cqe.dw0, dw0);
}

static void expect_no_event(void)
{
	struct nvme_cqe cqe = { 0 };

	assert_false(drv_poll(&drv_q[0], &cqe));
}

static void test_events(void **state)
{
	u64 iova = drv_alloc(4096);
	u16 cid = ask_event();

	expect_no_event();
	reg_write(doorbell(5, false), 1); /* no such queue */
	expect_event(cid, 0x010000);
	cid = ask_event();
	reg_write(doorbell(0, false), 16); /* size is 16; waits: errors are masked until the log is read */
	expect_no_event();
	assert_int_equal(get_log(NVME_LOG_ERROR, 64, 0, iova, true), 0); /* retained: still masked */
	expect_no_event();
	drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){
					 .opcode = NVME_ADMIN_GET_LOG, .prp1 = iova, .cdw10 = 1 | 15 << 16 });
	drv_ring(&drv_q[0]);
	{
		struct nvme_cqe cqe = { 0 };

		assert_true(drv_wait(&drv_q[0], &cqe));
		assert_int_equal(cqe.status >> 1, 0);
		drv_ack(&drv_q[0]);
	}
	expect_event(cid, 0x010100);
	reg_write(doorbell(33, true), 0);	/* pending before it is asked for */
	assert_int_equal(get_log(NVME_LOG_ERROR, 64, 0, iova, false), 0);
	cid = ask_event();
	expect_event(cid, 0x010000);
	/* temperature: only if wanted */
	cid = ask_event();
	assert_int_equal(set_feature(NVME_FEAT_TEMPERATURE, false, 300, 0), 0);
	expect_no_event();
	assert_int_equal(set_feature(NVME_FEAT_EVENTS, false, 0x102, 0), 0);
	drv_queue_cmd(&drv_q[0],
		      &(struct nvme_cmd){ .opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = 4, .cdw11 = 301 });
	drv_ring(&drv_q[0]);
	expect_event((u16)(cid + 3), 0); /* the command itself */
	expect_event(cid, 0x020101);
	assert_int_equal(get_log(NVME_LOG_SMART, 512, 0, iova, false), 0);
	assert_int_equal(*(u8 *)drv_mem(iova), NVME_SMART_TEMPERATURE);
}

static void test_event_ns_changed(void **state)
{
	u64 iova = drv_alloc(4096);
	u32 *list = drv_mem(iova);
	struct nvme_cqe a = { 0 }, b = { 0 };
	u16 aer;

	assert_int_equal(set_feature(NVME_FEAT_EVENTS, false, 0x100, 0), 0);
	aer = ask_event();
	drv_queue_cmd(&drv_q[0], &(struct nvme_cmd){ .opcode = NVME_ADMIN_FORMAT, .nsid = 2, .cdw10 = 1 });
	drv_ring(&drv_q[0]);
	assert_true(drv_wait(&drv_q[0], &a));
	assert_true(drv_wait(&drv_q[0], &b));
	drv_ack(&drv_q[0]);
	if (a.cid != aer)
		a = b;
	assert_int_equal(a.cid, aer);
	assert_int_equal(a.dw0, 0x040002);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 4096, 0, iova, true), 0);
	assert_int_equal(list[0], 2);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 4096, 0, iova, false), 0);
	assert_int_equal(list[0], 2);
	assert_int_equal(list[1], 0);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 4096, 0, iova, false), 0);
	assert_int_equal(list[0], 0);
}

static void test_event_limit(void **state)
{
	struct nvme_cqe cqe = { 0 };

	for (int i = 0; i < 5; i++)
		ask_event();
	assert_true(drv_wait(&drv_q[0], &cqe));
	assert_int_equal(cqe.cid, 4);
	assert_int_equal(cqe.status >> 1, NVME_AER_LIMIT | DNR_MORE);
	drv_ack(&drv_q[0]);
	expect_no_event();
	/* a controller reset forgets them */
	reg_write(NVME_REG_CC, 0);
	drv_enable(16, 16);
	assert_int_equal(identify(NVME_CNS_CTRL, 0, drv_alloc(4096)), 0);
}

#define WITH(name, opts) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, opts)

int main(void)
{
	static const char *two[][2] = { { "namespaces", "2" }, { "queues", "8" }, { NULL, NULL } };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options), WITH(test_registers, two),
		WITH(test_enable, two),		WITH(test_shutdown, two),
		WITH(test_fatal, two),		WITH(test_bus_master, two),
		WITH(test_identify, two),	WITH(test_bad_commands, two),
		WITH(test_create_queues, two),	WITH(test_features, two),
		WITH(test_timestamp, two),	WITH(test_nvram, two),
		WITH(test_nvram_damaged, two),	WITH(test_logs, two),
		WITH(test_format, two),		WITH(test_abort, two),
		WITH(test_events, two),		WITH(test_event_ns_changed, two),
		WITH(test_event_limit, two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
