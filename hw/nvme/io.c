/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io.c - the NVM command set: read, write, flush, compare, write zeroes, dataset management, verify.
 *
 * A command may answer NVME_TO_WORKER when it is called on a doorbell's thread (no scratch) and would
 * take long; it is then called again, from the start, on a worker, so nothing may have been done yet.
 * Commands of one queue complete in any order.
 *
 * Dangerous: the block size may change under a command (FORMAT).  It is loaded once, and every range
 * is checked in bytes of the media, so a late command hits old blocks at worst.
 *
 * Source: NVM Express 1.4, 6.
 */
#include <string.h>

#include "hw/nvme/nvme.h"

/* A range of media, checked. */
struct extent {
	struct nvme_ns *ns;
	u64 off;
	u64 len;
	u32 lbads;
};

static void count_io(struct nvme_req *req, u64 bytes, bool write)
{
	struct nvme_counters *c = &req->ctrl->counters;

	req->bytes = (u32)min(bytes, (u64)UINT32_MAX / 2);
	atomic_fetch_add_explicit(write ? &c->writes : &c->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(write ? &c->sectors_written : &c->sectors_read, bytes >> 9,
				  memory_order_relaxed);
}

static int ns_usable(struct nvme_req *req, struct nvme_ns *ns, bool write)
{
	if (write && ns->readonly)
		return nvme_refuse(req, NVME_NS_WRITE_PROTECTED, NVME_NO_LOC,
				   "namespace %u is write-protected", ns->id);
	if (atomic_load_explicit(&ns->formatting, memory_order_relaxed))
		return NVME_FORMAT_IN_PROGRESS;
	return NVME_OK;
}

static int range_check(struct nvme_req *req, struct nvme_ns *ns, u64 slba, u64 blocks, struct extent *ext)
{
	u64 total;

	ext->ns = ns;
	ext->lbads = atomic_load_explicit(&ns->lbads, memory_order_relaxed);
	total = nvme_ns_blocks(ns, ext->lbads);
	req->lba = slba;
	if (slba > total || blocks > total - slba)
		return nvme_refuse(req, NVME_LBA_RANGE, NVME_LOC(cdw10),
				   "blocks %llu + %llu end past the last of %llu", (unsigned long long)slba,
				   (unsigned long long)blocks, (unsigned long long)total);
	ext->off = slba << ext->lbads;
	ext->len = blocks << ext->lbads;
	return NVME_OK;
}

/* Commands with a start in CDW10 and 11 and a count, less one, in CDW12. */
static int extent_get(struct nvme_req *req, struct nvme_ns *ns, bool write, struct extent *ext)
{
	const struct nvme_cmd *cmd = req->cmd;
	u64 slba = cmd->cdw10 | (u64)cmd->cdw11 << 32;
	int st = ns_usable(req, ns, write);

	return st ? st : range_check(req, ns, slba, (cmd->cdw12 & 0xffff) + 1ull, ext);
}

static int mdts_check(struct nvme_req *req, const struct extent *ext)
{
	if (!req->ctrl->mdts || ext->len <= 4096ull << req->ctrl->mdts)
		return NVME_OK;
	return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw12),
			   "%llu bytes in one command: MDTS allows %llu", (unsigned long long)ext->len,
			   4096ull << req->ctrl->mdts);
}

static bool too_long(const struct nvme_req *req, u64 len) { return !req->scratch && len > req->inline_max; }

/* Does what was written have to be durable before the command completes? */
static bool write_through(const struct nvme_req *req)
{
	return (req->cmd->cdw12 & NVME_RW_FUA) || !nvme_feature_simple(req->ctrl, NVME_SIMPLE_WRITE_CACHE);
}

static int io_read(struct nvme_req *req, struct nvme_ns *ns)
{
	struct extent ext;
	int st = extent_get(req, ns, false, &ext);

	if (!st)
		st = mdts_check(req, &ext);
	if (st)
		return st;
	if (too_long(req, ext.len))
		return NVME_TO_WORKER;
	st = nvme_data_write(req, ns->media + ext.off, ext.len);
	if (!st)
		count_io(req, ext.len, false);
	return st;
}

static int io_write(struct nvme_req *req, struct nvme_ns *ns)
{
	struct extent ext;
	int st = extent_get(req, ns, true, &ext);

	if (!st)
		st = mdts_check(req, &ext);
	if (st)
		return st;
	if (too_long(req, ext.len) || (write_through(req) && !req->scratch))
		return NVME_TO_WORKER;
	if (!atomic_load_explicit(&ns->dirty, memory_order_relaxed))
		atomic_store(&ns->dirty, true);
	st = nvme_data_read(req, ns->media + ext.off, ext.len);
	if (!st && write_through(req))
		st = nvme_ns_sync_range(ns, ext.off, ext.len);
	if (!st)
		count_io(req, ext.len, true);
	return st;
}

static int io_write_zeroes(struct nvme_req *req, struct nvme_ns *ns)
{
	struct extent ext;
	int st = extent_get(req, ns, true, &ext);

	if (st)
		return st;
	if (too_long(req, ext.len) || (write_through(req) && !req->scratch))
		return NVME_TO_WORKER;
	st = nvme_ns_zero(ns, ext.off, ext.len);
	if (!st && write_through(req))
		st = nvme_ns_sync_range(ns, ext.off, ext.len);
	if (!st)
		count_io(req, 0, true);
	return st;
}

/* ---- compare, verify: through a worker's scratch ---- */

static int compare_piece(struct nvme_req *req, void *arg, u64 iova, u64 off, u32 len)
{
	const struct extent *ext = arg;
	u8 *host = req->scratch, *media = req->scratch + NVME_SCRATCH_BYTES / 2;

	for (u32 done = 0; done < len;) {
		u32 n = min(len - done, NVME_SCRATCH_BYTES / 2);
		int err = nvme_dma_read(req->dma, iova + done, host, n);

		if (err)
			return nvme_dma_status(req, err, iova + done, n, true);
		if (hw_copy(media, ext->ns->media + ext->off + off + done, n))
			return nvme_dma_status(req, -EIO, iova, n, false);
		if (memcmp(host, media, n)) {
			req->lba = (ext->off + off + done) >> ext->lbads;
			return NVME_COMPARE_FAILURE | (int)NVME_DNR;
		}
		done += n;
	}
	return NVME_OK;
}

static int io_compare(struct nvme_req *req, struct nvme_ns *ns)
{
	struct extent ext;
	int st = extent_get(req, ns, false, &ext);

	if (!st)
		st = mdts_check(req, &ext);
	if (st)
		return st;
	if (!req->scratch)
		return NVME_TO_WORKER;
	st = nvme_data_walk(req, ext.len, true, compare_piece, &ext);
	if (!st)
		count_io(req, ext.len, false);
	return st;
}

static int io_verify(struct nvme_req *req, struct nvme_ns *ns)
{
	struct extent ext;
	int st = extent_get(req, ns, false, &ext);

	if (st)
		return st;
	if (!req->scratch)
		return NVME_TO_WORKER;
	for (u64 done = 0; done < ext.len;) {
		u64 n = min(ext.len - done, (u64)NVME_SCRATCH_BYTES);

		if (hw_copy(req->scratch, ns->media + ext.off + done, n))
			return nvme_dma_status(req, -EIO, 0, (u32)n, false);
		done += n;
	}
	count_io(req, ext.len, false);
	return NVME_OK;
}

/* ---- dataset management ---- */

static int io_dsm(struct nvme_req *req, struct nvme_ns *ns)
{
	u32 count = (req->cmd->cdw10 & 0xff) + 1;
	const struct nvme_dsm_range *range = (const void *)req->scratch;
	bool deallocate = req->cmd->cdw11 & NVME_DSM_DEALLOCATE;
	struct extent ext;
	int st = ns_usable(req, ns, deallocate);

	_Static_assert(NVME_DSM_RANGES * sizeof(*range) <= NVME_SCRATCH_BYTES, "all ranges at once");
	if (st)
		return st;
	if (!req->scratch)
		return NVME_TO_WORKER;
	st = nvme_data_read(req, req->scratch, count * sizeof(*range));
	for (u32 i = 0; i < count && !st; i++)
		st = range_check(req, ns, range[i].slba, range[i].blocks, &ext);
	/* All ranges are good; without "deallocate" the rest is hints. */
	for (u32 i = 0; i < count && !st && deallocate; i++) {
		st = range_check(req, ns, range[i].slba, range[i].blocks, &ext);
		if (!st && ext.len)
			st = nvme_ns_zero(ns, ext.off, ext.len);
	}
	return st;
}

/* ---- flush ---- */

static int io_flush(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 nsid = req->cmd->nsid;
	int st = NVME_OK;

	if (nsid != NVME_NSID_ALL && !nvme_ns_find(ctrl, nsid))
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace 0x%x does not exist",
				   nsid);
	for (u32 i = 0; i < ctrl->ns_count && !st; i++) {
		if (nsid != NVME_NSID_ALL && nsid != i + 1)
			continue;
		if (!atomic_load(&ctrl->ns[i].dirty))
			continue;
		if (!req->scratch)
			return NVME_TO_WORKER;
		st = nvme_ns_flush(&ctrl->ns[i]);
	}
	return st;
}

/* ---- dispatch ---- */

typedef int io_fn(struct nvme_req *req, struct nvme_ns *ns);

static io_fn *const io_ops[] = {
	[NVME_IO_WRITE] = io_write,
	[NVME_IO_READ] = io_read,
	[NVME_IO_COMPARE] = io_compare,
	[NVME_IO_WRITE_ZEROES] = io_write_zeroes,
	[NVME_IO_DSM] = io_dsm,
	[NVME_IO_VERIFY] = io_verify,
};

int nvme_io_exec(struct nvme_req *req)
{
	const struct nvme_cmd *cmd = req->cmd;
	io_fn *op = cmd->opcode < ARRAY_SIZE(io_ops) ? io_ops[cmd->opcode] : NULL;
	struct nvme_ns *ns = nvme_ns_find(req->ctrl, cmd->nsid);

	/* With a latency, each command waits on the workers' list until it is due. */
	if (req->ctrl->latency_ns && !req->queued)
		return NVME_TO_WORKER;
	if (NVME_CMD_FUSE(cmd->flags) || NVME_CMD_PSDT(cmd->flags) == 3)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(flags),
				   "fused, or PRP and SGL at once (flags 0x%02x)", cmd->flags);
	if (cmd->opcode == NVME_IO_FLUSH)
		return io_flush(req);
	if (!op)
		return nvme_refuse(req, NVME_INVALID_OPCODE, NVME_LOC(opcode), "no such I/O command");
	if (!ns)
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace 0x%x does not exist",
				   cmd->nsid);
	return op(req, ns);
}
