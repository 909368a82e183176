/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io_test.c - the NVM command set and where its data is.
 *
 * The random test keeps a plain copy of the media and of what client memory should hold, builds each
 * transfer's buffer as PRPs or as an SGL of random pieces, and compares all of both after each command.
 * It prints its seed; NVME_TEST_SEED replays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/nvme/fake_driver.h"

#define DNR_MORE (NVME_DNR | NVME_MORE)
#define assert_status(got, want) assert_int_equal((got), (want) ? ((want) | DNR_MORE) : 0)
#define MEDIA (1u << 20)

static u32 io(struct nvme_cmd cmd) { return drv_cmd(&drv_q[1], &cmd, NULL); }
static u32 admin(struct nvme_cmd cmd) { return drv_cmd(&drv_q[0], &cmd, NULL); }

static int setup(void **state)
{
	return fake_create(*state) || drv_enable(16, 16) != NVME_CSTS_RDY ||
	       drv_create_pair(1, 64, 64, 0, true);
}

static int teardown(void **state)
{
	fake_destroy();
	fake_forget_stores();
	return fake.threads || fake.engines;
}

static void fill(u64 iova, u32 len, u8 seed)
{
	u8 *p = drv_mem(iova);

	for (u32 i = 0; i < len; i++)
		p[i] = (u8)(seed + i * 7 + (i >> 8));
}

static struct nvme_smart_log *smart(u64 iova)
{
	assert_int_equal(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_LOG, .prp1 = iova,
			 .cdw10 = NVME_LOG_SMART | 127u << 16 }), 0);
	return drv_mem(iova);
}

/* ---- read and write ---- */

static void test_read_write(void **state)
{
	u64 a = drv_alloc(16384), b = drv_alloc(16384);

	fill(a, 8192, 1);
	assert_status(io(drv_rw(NVME_IO_WRITE, 100, 16, a, a + 4096)), 0);
	assert_status(io(drv_rw(NVME_IO_READ, 100, 16, b, b + 4096)), 0);
	assert_memory_equal(drv_mem(a), drv_mem(b), 8192);
	assert_status(io(drv_rw(NVME_IO_READ, 104, 1, b, 0)), 0);
	assert_memory_equal((u8 *)drv_mem(a) + 2048, drv_mem(b), 512);
	assert_int_equal(atomic_load(&fake.threads), 0); /* nothing of this needs a thread */
	assert_int_equal(smart(b)->reads.lo, 2);
	assert_int_equal(smart(b)->writes.lo, 1);
	assert_int_equal(smart(b)->units_read.lo, 1);
	/* the end of the namespace: 2048 blocks */
	assert_status(io(drv_rw(NVME_IO_READ, 2047, 1, b, 0)), 0);
	assert_status(io(drv_rw(NVME_IO_READ, 2048, 1, b, 0)), NVME_LBA_RANGE);
	assert_status(io(drv_rw(NVME_IO_READ, 2047, 2, b, 0)), NVME_LBA_RANGE);
	assert_status(io(drv_rw(NVME_IO_WRITE, ~0ull, 2, b, 0)), NVME_LBA_RANGE);
	assert_status(io(drv_rw(NVME_IO_WRITE, 1ull << 55, 1, b, 0)), NVME_LBA_RANGE);
	assert_status(io(drv_rw(NVME_IO_READ, 0, 1025, b, b)), NVME_INVALID_FIELD); /* MDTS is 512 KiB */
	struct nvme_cmd cmd = drv_rw(NVME_IO_READ, 0, 1, b, 0);
	cmd.nsid = 2;
	assert_status(io(cmd), NVME_INVALID_NS);
	cmd.nsid = 0;
	assert_status(io(cmd), NVME_INVALID_NS);
	cmd.nsid = NVME_NSID_ALL;
	assert_status(io(cmd), NVME_INVALID_NS);
	cmd = drv_rw(NVME_IO_READ, 0, 1, b, 0);
	cmd.flags = 1;
	assert_status(io(cmd), NVME_INVALID_FIELD);
	cmd.flags = 0xc0;
	assert_status(io(cmd), NVME_INVALID_FIELD);
	cmd.flags = 0;
	cmd.opcode = 0x7f;
	assert_status(io(cmd), NVME_INVALID_OPCODE);
	cmd.opcode = 0x04; /* write uncorrectable */
	assert_status(io(cmd), NVME_INVALID_OPCODE);
}

/* FUA, and a write cache that is off, take the way through a worker. */
static void test_write_through(void **state)
{
	u64 a = drv_alloc(4096), b = drv_alloc(4096);
	struct nvme_cmd cmd = drv_rw(NVME_IO_WRITE, 5, 8, a, 0);

	fill(a, 4096, 3);
	cmd.cdw12 |= NVME_RW_FUA;
	assert_status(io(cmd), 0);
	assert_int_equal(atomic_load(&fake.threads), 1);
	assert_status(io(drv_rw(NVME_IO_READ, 5, 8, b, 0)), 0);
	assert_memory_equal(drv_mem(a), drv_mem(b), 4096);
	assert_int_equal(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = 6 }), 0);
	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 1, a, 0)), 0);
}

static void test_flush(void **state)
{
	u64 a = drv_alloc(4096);
	struct nvme_cmd flush = { .opcode = NVME_IO_FLUSH, .nsid = 1 };

	assert_status(io(flush), 0);
	assert_int_equal(atomic_load(&fake.threads), 0); /* nothing to flush */
	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 1, a, 0)), 0);
	assert_status(io(flush), 0);
	assert_int_equal(atomic_load(&fake.threads), 1);
	flush.nsid = NVME_NSID_ALL;
	assert_status(io(flush), 0);
	flush.nsid = 2;
	assert_status(io(flush), NVME_INVALID_NS);
	flush.nsid = 0;
	assert_status(io(flush), NVME_INVALID_NS);
}

static void test_compare_verify(void **state)
{
	u64 a = drv_alloc(32768);
	struct nvme_cqe cqe = { 0 };
	struct nvme_error_entry *error = drv_mem(a);
	struct nvme_cmd compare = drv_rw(NVME_IO_COMPARE, 10, 16, a, a + 4096);

	fill(a, 8192, 9);
	assert_status(io(drv_rw(NVME_IO_WRITE, 10, 16, a, a + 4096)), 0);
	assert_status(io(compare), 0);
	((u8 *)drv_mem(a))[5000] ^= 1;
	assert_int_equal(drv_cmd(&drv_q[1], &compare, &cqe), NVME_COMPARE_FAILURE | DNR_MORE);
	assert_int_equal(
		admin((struct nvme_cmd){ .opcode = NVME_ADMIN_GET_LOG, .prp1 = a, .cdw10 = 1 | 15 << 16 }),
		0);
	assert_int_equal(error->lba, 18); /* where the 4 KiB that differ begin */
	compare.cdw10 = 2040;
	assert_status(io(compare), NVME_LBA_RANGE);
	assert_status(io(drv_rw(NVME_IO_VERIFY, 0, 2048, 0, 0)), 0);
	assert_status(io(drv_rw(NVME_IO_VERIFY, 1, 2048, 0, 0)), NVME_LBA_RANGE);
}

static void expect_zeros(u64 slba, u32 blocks, u64 iova, bool zeros)
{
	u8 *p = drv_mem(iova);
	bool all = true;

	memset(p, 0x55, blocks * 512);
	for (u32 i = 0; i < blocks; i += 8)
		assert_status(io(drv_rw(NVME_IO_READ, slba + i, 8, iova + i * 512, 0)), 0);
	for (u32 i = 0; i < blocks * 512; i++)
		all &= p[i] == 0;
	assert_int_equal(all, zeros);
}

static void write_all(u64 iova, u8 seed)
{
	fill(iova, 4096, seed);
	for (u32 i = 0; i < MEDIA / 4096; i++)
		assert_status(io(drv_rw(NVME_IO_WRITE, i * 8, 8, iova, 0)), 0);
}

static void test_write_zeroes(void **state)
{
	u64 a = drv_alloc(1 << 20);

	write_all(a, 1);
	assert_status(io(drv_rw(NVME_IO_WRITE_ZEROES, 8, 8, 0, 0)), 0);
	expect_zeros(8, 8, a, true);
	expect_zeros(0, 8, a, false);
	expect_zeros(16, 8, a, false);
	assert_status(io(drv_rw(NVME_IO_WRITE_ZEROES, 103, 1200, 0, 0)), 0); /* a hole, with ragged ends */
	expect_zeros(103, 1200, a, true);
	expect_zeros(95, 8, a, false);
	expect_zeros(1303, 8, a, false);
	assert_status(io(drv_rw(NVME_IO_READ, 102, 1, a, 0)), 0);
	assert_int_not_equal(((u8 *)drv_mem(a))[511], 0);
	assert_status(io(drv_rw(NVME_IO_WRITE_ZEROES, 2041, 8, 0, 0)), NVME_LBA_RANGE);
}

static u32 dsm(u32 count, u32 attributes, u64 iova)
{
	return io((struct nvme_cmd){ .opcode = NVME_IO_DSM, .nsid = 1, .prp1 = iova, .cdw10 = count - 1,
				     .cdw11 = attributes });
}

static void test_dsm(void **state)
{
	u64 a = drv_alloc(1 << 20), r = drv_alloc(4096);
	struct nvme_dsm_range *range = drv_mem(r);

	write_all(a, 1);
	range[0] = (struct nvme_dsm_range){ .slba = 16, .blocks = 8 };
	range[1] = (struct nvme_dsm_range){ .slba = 1000, .blocks = 1000 };
	range[2] = (struct nvme_dsm_range){ .slba = 5, .blocks = 0 };
	assert_status(dsm(3, 0, r), 0); /* hints only */
	expect_zeros(16, 8, a, false);
	assert_status(dsm(3, NVME_DSM_DEALLOCATE, r), 0);
	expect_zeros(16, 8, a, true);
	expect_zeros(1000, 1000, a, true);
	expect_zeros(0, 8, a, false);
	range[0] = (struct nvme_dsm_range){ .slba = 24, .blocks = 8 };
	range[1] = (struct nvme_dsm_range){ .slba = 2048, .blocks = 1 };
	assert_status(dsm(2, NVME_DSM_DEALLOCATE, r), NVME_LBA_RANGE);
	expect_zeros(24, 8, a, false); /* all or nothing */
	for (u32 i = 0; i < 256; i++)
		range[i] = (struct nvme_dsm_range){ .slba = i * 8, .blocks = 8 };
	assert_status(dsm(256, NVME_DSM_DEALLOCATE, r), 0);
	expect_zeros(0, 2048, a, true);
}

static void test_readonly(void **state)
{
	u64 a = drv_alloc(4096);

	assert_status(io(drv_rw(NVME_IO_READ, 0, 8, a, 0)), 0);
	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 8, a, 0)), NVME_NS_WRITE_PROTECTED);
	assert_status(io(drv_rw(NVME_IO_WRITE_ZEROES, 0, 8, a, 0)), NVME_NS_WRITE_PROTECTED);
	assert_status(dsm(1, NVME_DSM_DEALLOCATE, a), NVME_NS_WRITE_PROTECTED);
	assert_status(io((struct nvme_cmd){ .opcode = NVME_IO_FLUSH, .nsid = 1 }), 0);
	assert_status(admin((struct nvme_cmd){ .opcode = NVME_ADMIN_FORMAT, .nsid = 1 }),
		      NVME_NS_WRITE_PROTECTED);
}

/* A file of the user; and what happens when it shrinks.  ThreadSanitizer takes a thread that left a signal
 * handler by a jump to be still in it, and then finds fault with all that it does. */
#if defined(__SANITIZE_THREAD__)
#define NO_FAULTS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_FAULTS
#endif
#endif

static void test_file(void **state)
{
	char path[] = "/tmp/nvme_test_XXXXXX";
	const char *options[][2] = { { "file", path }, { "block", "4096" }, { NULL, NULL } };
	int fd = mkstemp(path);
	void *at = (void *)options;
	u8 byte = 0;
	u64 a;

	assert_int_equal(ftruncate(fd, 100 * 4096 + 17), 0);
	assert_int_equal(setup(&at), 0);
	a = drv_alloc(8192);
	fill(a, 4096, 77);
	assert_status(io(drv_rw(NVME_IO_WRITE, 99, 1, a, 0)), 0);
	assert_status(io(drv_rw(NVME_IO_WRITE, 100, 1, a, 0)), NVME_LBA_RANGE);
	assert_int_equal(pread(fd, &byte, 1, 99 * 4096 + 1), 1);
	assert_int_equal(byte, ((u8 *)drv_mem(a))[1]);
#ifndef NO_FAULTS
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(io(drv_rw(NVME_IO_READ, 50, 1, a, 0)), NVME_READ_ERROR | NVME_MORE);
	assert_int_equal(io(drv_rw(NVME_IO_WRITE, 50, 1, a, 0)), NVME_WRITE_FAULT | NVME_MORE);
	assert_int_equal(io(drv_rw(NVME_IO_COMPARE, 50, 1, a, 0)), NVME_READ_ERROR | NVME_MORE);
	assert_int_equal(io(drv_rw(NVME_IO_VERIFY, 50, 1, a, 0)), NVME_READ_ERROR | NVME_MORE);
	assert_int_equal(io(drv_rw(NVME_IO_WRITE_ZEROES, 50, 1, a, 0)), NVME_WRITE_FAULT | NVME_MORE);
	assert_status(io(drv_rw(NVME_IO_READ, 0, 1, a, 0)), 0);
	assert_int_equal(smart(a)->media_errors.lo, 5);
#endif
	assert_int_equal(teardown(&at), 0);
	close(fd);
	unlink(path);
}

/* What one program wrote the next one reads. */
static void test_store_survives(void **state)
{
	u64 a = drv_alloc(4096), b;
	u8 want[512];

	fill(a, 512, 42);
	memcpy(want, drv_mem(a), 512);
	assert_status(io(drv_rw(NVME_IO_WRITE, 7, 1, a, 0)), 0);
	fake_destroy();
	assert_int_equal(setup(state), 0);
	b = drv_alloc(4096);
	assert_status(io(drv_rw(NVME_IO_READ, 7, 1, b, 0)), 0);
	assert_memory_equal(drv_mem(b), want, 512);
}

/* ---- PRP ---- */

static void test_prp_rules(void **state)
{
	u64 a = drv_alloc(64 << 10), list = drv_alloc(8192);
	u64 *prp = drv_mem(list);

	assert_status(io(drv_rw(NVME_IO_READ, 0, 8, a + 4, a + 4096)), 0); /* dword aligned */
	assert_status(io(drv_rw(NVME_IO_READ, 0, 8, a + 2, a + 4096)), NVME_PRP_OFFSET);
	assert_status(io(drv_rw(NVME_IO_READ, 0, 8, a + 4, a + 4096 + 4)), NVME_PRP_OFFSET);
	for (u32 i = 0; i < 16; i++)
		prp[i] = a + (i + 1) * 4096;
	assert_status(io(drv_rw(NVME_IO_READ, 0, 32, a, list)), 0);
	assert_status(io(drv_rw(NVME_IO_READ, 0, 32, a, list + 4)), NVME_PRP_OFFSET);
	prp[1] += 512;
	assert_status(io(drv_rw(NVME_IO_READ, 0, 32, a, list)), NVME_PRP_OFFSET);
	prp[1] = 0x1000; /* not mapped */
	assert_int_equal(io(drv_rw(NVME_IO_READ, 0, 32, a, list)), NVME_DATA_TRANSFER_ERROR | NVME_MORE);
	assert_int_equal(io(drv_rw(NVME_IO_READ, 0, 32, a, 0x2000)), NVME_DATA_TRANSFER_ERROR | NVME_MORE);
	assert_int_equal(io(drv_rw(NVME_IO_READ, 0, 8, ~3ull, 0)), NVME_DATA_TRANSFER_ERROR | NVME_MORE);
	/* the last entry of a page is a pointer if more than one is needed */
	prp[511] = list + 4096;
	prp[512] = a;
	prp[513] = a + 4096;
	assert_status(io(drv_rw(NVME_IO_READ, 0, 24, a, list + 511 * 8)), 0);
	prp[511] = list + 4096 + 8;
	assert_status(io(drv_rw(NVME_IO_READ, 0, 24, a, list + 511 * 8)), NVME_PRP_OFFSET);
	prp[510] = a + 8192;
	prp[511] = a;
	assert_status(io(drv_rw(NVME_IO_READ, 0, 10, a, list + 511 * 8)),
		      NVME_PRP_OFFSET); /* PRP2 as a page */
	assert_status(io(drv_rw(NVME_IO_READ, 0, 10, a + 3072, list + 511 * 8)), NVME_PRP_OFFSET);
	assert_status(io(drv_rw(NVME_IO_READ, 0, 11, a + 3584, list + 510 * 8)), 0);
}

/* Client memory is mapped read-only or with a hole. */
static void test_dma_faults(void **state)
{
	u64 a = drv_alloc(16384);

	fake_map(FAKE_BASE, a - FAKE_BASE + 4096, true);
	fake_map(a + 4096, 4096, false);
	assert_status(io(drv_rw(NVME_IO_READ, 0, 8, a, 0)), 0);
	assert_int_equal(io(drv_rw(NVME_IO_READ, 0, 16, a, a + 4096)), NVME_DATA_TRANSFER_ERROR | NVME_MORE);
	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 16, a, a + 4096)), 0); /* may be read */
	assert_int_equal(io(drv_rw(NVME_IO_WRITE, 0, 8, a + 8192, 0)), NVME_DATA_TRANSFER_ERROR | NVME_MORE);
}

/* Data in the controller's own BAR: its doorbells and registers. */
static void test_peer_to_peer(void **state)
{
	u64 a = drv_alloc(4096);

	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 1, FAKE_BAR, 0)), 0); /* media gets the registers */
	assert_status(io(drv_rw(NVME_IO_READ, 0, 1, a, 0)), 0);
	assert_int_equal(*(u32 *)drv_mem(a), 0x0f0107ff);
	memset(drv_mem(a), 0, 512);
	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 1, a, 0)), 0);
	/* zeros into CC would disable the controller and wait for this very command */
	assert_status(io(drv_rw(NVME_IO_READ, 0, 1, FAKE_BAR, 0)), 0);
	assert_int_equal(reg_read(NVME_REG_CC), DRV_CC_EN);
	/* and into doorbells, of this very queue among others */
	assert_int_equal(io(drv_rw(NVME_IO_READ, 0, 1, FAKE_BAR + 0x1000, 0)) & 0x7ff, 0);
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY);
}

/* ---- SGL ---- */

static struct nvme_sgl_desc desc(u8 type, u64 addr, u32 length)
{
	return (struct nvme_sgl_desc){ .addr = addr, .length = length, .id = (u8)(type << 4) };
}

static u32 sgl_io(u8 opcode, u32 blocks, struct nvme_sgl_desc first)
{
	struct nvme_cmd cmd = drv_rw(opcode, 0, blocks, 0, 0);

	cmd.flags = 0x40;
	cmd.sgl1 = first;
	return io(cmd);
}

static void test_sgl_rules(void **state)
{
	u64 a = drv_alloc(64 << 10), seg = drv_alloc(8192);
	struct nvme_sgl_desc *d = drv_mem(seg), bad = desc(NVME_SGL_DATA, a, 512);

	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_DATA, a + 1, 512)), 0);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_DATA, a, 4096)), 0); /* longer is allowed */
	assert_status(sgl_io(NVME_IO_READ, 2, desc(NVME_SGL_DATA, a, 512)), NVME_DATA_SGL_LENGTH);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(4, a, 512)), NVME_SGL_TYPE);
	bad.id = 1; /* an offset */
	assert_status(sgl_io(NVME_IO_READ, 1, bad), NVME_SGL_TYPE);
	d[0] = desc(NVME_SGL_DATA, a, 100);
	d[1] = desc(NVME_SGL_DATA, a + 8192, 0);
	d[2] = desc(NVME_SGL_DATA, a + 4096, 412);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_LAST_SEGMENT, seg, 48)), 0);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_LAST_SEGMENT, seg, 47)),
		      NVME_INVALID_SGL_SEGMENT);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_LAST_SEGMENT, seg, 0)), NVME_INVALID_SGL_SEGMENT);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_LAST_SEGMENT, seg, 32)), NVME_DATA_SGL_LENGTH);
	assert_status(sgl_io(NVME_IO_READ, 2, desc(NVME_SGL_SEGMENT, seg, 48)),
		      NVME_INVALID_SGL_SEGMENT); /* no link */
	d[1] = desc(NVME_SGL_LAST_SEGMENT, seg + 4096, 16);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_LAST_SEGMENT, seg, 48)),
		      NVME_INVALID_SGL_SEGMENT);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_SEGMENT, seg, 48)),
		      NVME_INVALID_SGL_SEGMENT); /* in the middle */
	d[256] = desc(NVME_SGL_DATA, a, 412);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_SEGMENT, seg, 32)), 0);
	assert_int_equal(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_SEGMENT, 0x1000, 32)),
			 NVME_DATA_TRANSFER_ERROR | NVME_MORE);
	/* for ever */
	d[0] = desc(NVME_SGL_DATA, a, 0);
	d[1] = desc(NVME_SGL_SEGMENT, seg, 32);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_SEGMENT, seg, 32)), NVME_INVALID_SGL_COUNT);
	d[0] = desc(NVME_SGL_SEGMENT, seg, 16);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_SEGMENT, seg, 16)), NVME_INVALID_SGL_COUNT);
	assert_status(sgl_io(NVME_IO_READ, 1, desc(NVME_SGL_SEGMENT, seg, 0xfffffff0)),
		      NVME_INVALID_SGL_COUNT);
}

static void test_bit_bucket(void **state)
{
	u64 a = drv_alloc(8192), seg = drv_alloc(4096);
	struct nvme_sgl_desc *d = drv_mem(seg);

	fill(a, 1024, 5);
	assert_status(io(drv_rw(NVME_IO_WRITE, 0, 2, a, 0)), 0);
	memset(drv_mem(a + 4096), 0, 4096);
	d[0] = desc(NVME_SGL_BIT_BUCKET, 0, 1000);
	d[1] = desc(NVME_SGL_DATA, a + 4096, 24);
	assert_status(sgl_io(NVME_IO_READ, 2, desc(NVME_SGL_LAST_SEGMENT, seg, 32)), 0);
	assert_memory_equal(drv_mem(a + 4096), (u8 *)drv_mem(a) + 1000, 24);
	assert_status(sgl_io(NVME_IO_READ, 2, desc(NVME_SGL_BIT_BUCKET, 0, 1024)), 0);
	/* to the controller a bucket brings nothing */
	assert_status(sgl_io(NVME_IO_WRITE, 2, desc(NVME_SGL_LAST_SEGMENT, seg, 32)), NVME_DATA_SGL_LENGTH);
}

/* ---- random transfers against a flat model ---- */

static u64 rng;

static u32 rnd(u32 below)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((rng >> 33) % below);
}

/* Where each byte of the transfer is in client memory. */
static u64 *where;
static u64 pool; /* 256 pages */
static u64 lists;

/* Pages in random order; 4 KiB each, or 8 when the host's page is. */
static void build_prp(struct nvme_cmd *cmd, u32 len, u32 page)
{
	u32 pages = (1u << 20) / page, order[256];
	u32 off = rnd(4) ? 0 : rnd(page / 4) * 4, done, used = 0, n = 0;
	u64 list = lists + (rnd(3) ? 0 : rnd(page / 8) * 8), *slot = drv_mem(list);
	u64 next_list = lists + page;

	for (u32 i = 0; i < pages; i++)
		order[i] = i;
	for (u32 i = pages - 1; i; i--) {
		u32 j = rnd(i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	cmd->prp1 = pool + (u64)order[used++] * page + off;
	done = min(len, page - off);
	for (u32 i = 0; i < done; i++)
		where[i] = cmd->prp1 + i;
	n = (len - done + page - 1) / page;
	cmd->prp2 = n == 1 ? pool + (u64)order[used] * page : list;
	for (u32 k = 0; k < n; k++) {
		u64 at = pool + (u64)order[used++] * page;

		if (n > 1) {
			bool end = ((list + ((u8 *)slot - (u8 *)drv_mem(list)) + 8) & (page - 1)) == 0;

			if (end && k + 1 < n) {
				*slot = next_list;
				slot = drv_mem(next_list);
				list = next_list;
				next_list += page;
			}
			*slot++ = at;
		}
		for (u32 i = 0; i < page && done < len; i++)
			where[done++] = at + i;
	}
}

static void build_sgl(struct nvme_cmd *cmd, u32 len, bool read)
{
	struct nvme_sgl_desc *d = drv_mem(lists), *link = &cmd->sgl1;
	u32 done = 0, at = 0, in_segment = 0, want = 1 + rnd(20);
	u64 segment = lists;

	cmd->flags = rnd(2) ? 0x40 : 0x80;
	if (!rnd(4)) {
		cmd->sgl1 = desc(NVME_SGL_DATA, pool + 7, len);
		for (u32 i = 0; i < len; i++)
			where[i] = pool + 7 + i;
		return;
	}
	while (done < len) {
		u32 n = min(len - done, 1 + rnd(rnd(2) ? 64 : 20000));
		bool bucket = read && !rnd(10);

		if (in_segment == want) { /* this place is for the link */
			*link = desc(NVME_SGL_SEGMENT, segment, (in_segment + 1) * 16);
			link = d++;
			segment = lists + (u64)((u8 *)d - (u8 *)drv_mem(lists));
			in_segment = 0;
			want = 1 + rnd(20);
		}
		at = (at + rnd(5000)) % ((1 << 20) - 20001);
		*d++ = desc(bucket ? NVME_SGL_BIT_BUCKET : NVME_SGL_DATA, pool + at, n);
		in_segment++;
		for (u32 i = 0; i < n; i++)
			where[done + i] = bucket ? 0 : pool + at + i;
		at += n;
		done += n;
	}
	*link = desc(NVME_SGL_LAST_SEGMENT, segment, in_segment * 16);
}

static void random_transfer(u8 *media, u8 *client, u32 page)
{
	u32 blocks = 1 + rnd(rnd(2) ? 1024 : 20), slba = rnd(2048 - blocks + 1), len = blocks * 512;
	bool read = rnd(2);
	struct nvme_cmd cmd = drv_rw(read ? NVME_IO_READ : NVME_IO_WRITE, slba, blocks, 0, 0);
	u8 *m = media + slba * 512;

	if (rnd(2))
		build_prp(&cmd, len, page);
	else
		build_sgl(&cmd, len, read);
	for (u32 i = 0; i < 50; i++) { /* something new to write */
		u32 at = rnd(1 << 20);

		client[at] = (u8)rnd(256);
		((u8 *)drv_mem(pool))[at] = client[at];
	}
	for (u32 i = 0; i < len; i++) {
		if (!where[i])
			continue;
		if (read)
			client[where[i] - pool] = m[i];
		else
			m[i] = client[where[i] - pool];
	}
	assert_status(io(cmd), 0);
	assert_memory_equal(drv_mem(pool), client, 1 << 20);
}

static void random_run(u32 page, u32 rounds)
{
	u8 *media = calloc(1, MEDIA), *client = malloc(1 << 20);

	reg_write(NVME_REG_CC, 0);
	drv_brk = FAKE_BASE;
	drv_queue_init(0, 16, 16);
	drv_brk = ALIGN_UP(drv_brk, 65536ull);
	pool = drv_alloc(1 << 20);
	lists = drv_alloc(1 << 20);
	/* queues must be aligned to the host's page */
	drv_q[0].sq = drv_alloc(65536);
	drv_q[0].cq = drv_alloc(65536);
	memset(drv_mem(drv_q[0].cq), 0, 4096);
	reg_write64(NVME_REG_ASQ, drv_q[0].sq);
	reg_write64(NVME_REG_ACQ, drv_q[0].cq);
	reg_write(NVME_REG_CC, DRV_CC_EN | (u32)__builtin_ctz(page / 4096) << 7);
	assert_int_equal(reg_read(NVME_REG_CSTS), NVME_CSTS_RDY);
	drv_q[1] = (struct drv_queue){ .id = 1,
				       .sq_size = 4,
				       .cq_size = 3,
				       .phase = 1,
				       .sq = drv_alloc(65536),
				       .cq = drv_alloc(65536) };
	memset(drv_mem(drv_q[1].cq), 0, 4096);
	assert_int_equal(drv_create_cq(1, 3, drv_q[1].cq, 0, true), 0);
	assert_int_equal(drv_create_sq(1, 4, drv_q[1].sq, 1), 0);
	memset(drv_mem(pool), 0, 1 << 20);
	memset(client, 0, 1 << 20);
	assert_status(io(drv_rw(NVME_IO_WRITE_ZEROES, 0, 2048, 0, 0)), 0);
	for (u32 i = 0; i < rounds; i++)
		random_transfer(media, client, page);
	free(media);
	free(client);
}

static void test_random(void **state)
{
	const char *seed = getenv("NVME_TEST_SEED");

	rng = seed ? strtoull(seed, NULL, 0) : drv_now_ns();
	print_message("NVME_TEST_SEED=%llu\n", (unsigned long long)rng);
	where = malloc(MEDIA * sizeof(*where));
	random_run(4096, 300);
	random_run(8192, 100);
	random_run(65536, 100);
	free(where);
}

#define WITH(name, opts) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, opts)

int main(void)
{
	static const char *small[][2] = { { "size", "1048576" }, { NULL, NULL } };
	static const char *readonly[][2] = { { "size", "1048576" }, { "readonly", "on" }, { NULL, NULL } };
	const struct CMUnitTest tests[] = {
		WITH(test_read_write, small), WITH(test_write_through, small), WITH(test_flush, small),
		WITH(test_compare_verify, small), WITH(test_write_zeroes, small), WITH(test_dsm, small),
		WITH(test_readonly, readonly), cmocka_unit_test(test_file), WITH(test_store_survives, small),
		WITH(test_prp_rules, small), WITH(test_dma_faults, small), WITH(test_peer_to_peer, small),
		WITH(test_sgl_rules, small), WITH(test_bit_bucket, small), WITH(test_random, small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
