/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data.c - where a command's data is in client memory.
 *
 * A command says it with PRPs (physical region pages: two pointers, the second perhaps to a list of
 * pages) or with an SGL (descriptors of any length, in segments that point to the next).  Both are
 * walked as a stream of pieces; neighbours that touch are joined, so that a transfer to contiguous
 * memory is one DMA.  Nothing is allocated: lists are read through a small window on the stack.
 *
 * Always: a PRP list is read no further than the transfer needs.  An SGL may hold descriptors of no
 * length, and segments that point to themselves, so its descriptors are counted.
 *
 * Dangerous: what was read from client memory is looked at once, from our copy.
 *
 * Source: NVM Express 1.4, 4.3 (PRP) and 4.4 (SGL).
 */
#include "hw/nvme/nvme.h"

#define PRP_WINDOW 64u
#define SGL_WINDOW 16u
#define SGL_DESCS_MAX 0x20000u /* twice what 256 MiB in pages of 4 KiB needs */
#define PIECE_MAX (16u << 20)

/* The stream of pieces: the one that is being joined. */
struct walk {
	struct nvme_req *req;
	nvme_piece_fn *fn;
	void *arg;
	u64 iova;
	u64 off;
	u32 len;  /* of the piece; 0: none */
	u64 left; /* of the transfer, not counting the piece */
	bool from_client;
};

static int walk_flush(struct walk *w)
{
	int st;

	if (!w->len)
		return NVME_OK;
	st = w->fn(w->req, w->arg, w->iova, w->off, w->len);
	w->off += w->len;
	w->len = 0;
	return st;
}

static int walk_add(struct walk *w, u64 iova, u32 len)
{
	int st;

	w->left -= len;
	if (w->len && iova && w->iova + w->len == iova && w->len + len <= PIECE_MAX) {
		w->len += len;
		return NVME_OK;
	}
	st = walk_flush(w);
	w->iova = iova;
	w->len = len;
	return st;
}

int nvme_dma_status(struct nvme_req *req, int err, u64 iova, u32 len, bool from_client)
{
	if (err == -EIO) {
		hw_explain(req->ctrl->hw, "NVMe: the file behind the namespace failed (did it shrink?)");
		return from_client ? NVME_WRITE_FAULT : NVME_READ_ERROR;
	}
	hw_explain(req->ctrl->hw, "NVMe: queue %u command 0x%x: cannot %s %u bytes at iova 0x%llx: %s",
		   req->sq->id, req->cmd->cid, from_client ? "read" : "write", len, (unsigned long long)iova,
		   err == -EPERM ? "bus mastering is off" : "not mapped for that; Data Transfer Error");
	return NVME_DATA_TRANSFER_ERROR;
}

/* ---- PRP ---- */

static int prp_bad(struct walk *w, u16 loc, const char *what, u64 prp)
{
	return nvme_refuse(w->req, NVME_PRP_OFFSET, loc, "%s 0x%llx has a bad offset in its page of %u bytes",
			   what, (unsigned long long)prp, w->req->ctrl->page_bytes);
}

/* @count entries of a list, at most one of them (the last, if @chain) a pointer to the next list. */
static int prp_window(struct walk *w, const u64 *prp, u32 count)
{
	const u32 page = w->req->ctrl->page_bytes;

	for (u32 i = 0; i < count; i++) {
		int st;

		if (prp[i] & (page - 1))
			return prp_bad(w, NVME_LOC(prp2), "an entry of the PRP list,", prp[i]);
		st = walk_add(w, prp[i], (u32)min(w->left, (u64)page));
		if (st)
			return st;
	}
	return NVME_OK;
}

/* One page of a list.  *@list becomes the next one's address. */
static int prp_list_page(struct walk *w, u64 *list)
{
	const u32 page = w->req->ctrl->page_bytes;
	const u64 room = (page - (*list & (page - 1))) / sizeof(u64);
	const u64 need = (w->left + page - 1) / page;
	const bool chain = need > room;
	const u64 count = chain ? room : need;
	u64 next = 0;

	for (u64 done = 0; done < count;) {
		u64 prp[PRP_WINDOW];
		u32 n = (u32)min(count - done, (u64)PRP_WINDOW);
		bool link = chain && done + n == count;
		u64 at = *list + done * sizeof(u64);
		int err = nvme_dma_read(w->req->dma, at, prp, n * sizeof(u64));
		int st;

		if (err)
			return nvme_dma_status(w->req, err, at, n * (u32)sizeof(u64), true);
		st = prp_window(w, prp, link ? n - 1 : n);
		if (st)
			return st;
		if (link)
			next = prp[n - 1];
		done += n;
	}
	if (chain && (next & (page - 1)))
		return prp_bad(w, NVME_LOC(prp2), "the pointer to the next PRP list,", next);
	*list = next;
	return NVME_OK;
}

static int prp_list(struct walk *w, u64 list)
{
	if (list & 7)
		return prp_bad(w, NVME_LOC(prp2), "PRP2, a pointer to a list,", list);
	/* Each page but the first has hundreds of entries, so this ends. */
	while (w->left) {
		int st = prp_list_page(w, &list);

		if (st)
			return st;
	}
	return NVME_OK;
}

static int prp_walk(struct walk *w)
{
	const struct nvme_cmd *cmd = w->req->cmd;
	const u32 page = w->req->ctrl->page_bytes;
	int st;

	if (cmd->prp1 & 3)
		return prp_bad(w, NVME_LOC(prp1), "PRP1 (must be a multiple of 4)", cmd->prp1);
	st = walk_add(w, cmd->prp1, (u32)min(w->left, (u64)page - (cmd->prp1 & (page - 1))));
	if (st || !w->left)
		return st;
	if (w->left > page)
		return prp_list(w, cmd->prp2);
	if (cmd->prp2 & (page - 1))
		return prp_bad(w, NVME_LOC(prp2), "PRP2, the second page,", cmd->prp2);
	return walk_add(w, cmd->prp2, (u32)w->left);
}

/* ---- SGL ---- */

static int sgl_bad(struct walk *w, int status, const char *what)
{
	return nvme_refuse(w->req, status, NVME_LOC(sgl1), "SGL: %s", what);
}

/* A bit bucket: bytes of the transfer that the host does not want. */
static int sgl_bucket(struct walk *w, u32 length)
{
	int st;

	if (w->from_client)
		return NVME_OK;
	st = walk_flush(w);
	length = (u32)min((u64)length, w->left);
	w->off += length;
	w->left -= length;
	return st;
}

/* A descriptor that is not a segment.  More than the transfer needs is allowed (SGLS bit 18). */
static int sgl_desc(struct walk *w, const struct nvme_sgl_desc *desc)
{
	const u32 length = (u32)min((u64)desc->length, w->left);

	if (desc->id == NVME_SGL_BIT_BUCKET << 4)
		return sgl_bucket(w, desc->length);
	if (desc->id != NVME_SGL_DATA << 4)
		return sgl_bad(w, NVME_SGL_TYPE, "a descriptor has a type or sub type that is not supported");
	for (u32 done = 0; done < length;) {
		u32 n = min(length - done, PIECE_MAX);
		int st = walk_add(w, desc->addr + done, n);

		if (st)
			return st;
		done += n;
	}
	return NVME_OK;
}

static bool sgl_is_segment(const struct nvme_sgl_desc *desc)
{
	return desc->id == NVME_SGL_SEGMENT << 4 || desc->id == NVME_SGL_LAST_SEGMENT << 4;
}

/* One segment of @count descriptors.  *@seg becomes the next one if there is one. */
static int sgl_segment(struct walk *w, struct nvme_sgl_desc *seg, bool last)
{
	const u32 count = seg->length / (u32)sizeof(*seg);
	const u64 base = seg->addr;
	bool linked = false;

	for (u32 done = 0; done < count && w->left;) {
		struct nvme_sgl_desc desc[SGL_WINDOW];
		u32 n = min(count - done, SGL_WINDOW);
		u64 at = base + done * sizeof(*desc);
		int err = nvme_dma_read(w->req->dma, at, desc, n * sizeof(*desc));

		if (err)
			return nvme_dma_status(w->req, err, at, n * (u32)sizeof(*desc), true);
		for (u32 i = 0; i < n && w->left; i++) {
			int st;

			if (sgl_is_segment(&desc[i])) {
				if (last || done + i != count - 1)
					return sgl_bad(w, NVME_INVALID_SGL_SEGMENT,
						       "a segment descriptor stands where none may be");
				*seg = desc[i];
				linked = true;
				continue;
			}
			st = sgl_desc(w, &desc[i]);
			if (st)
				return st;
		}
		done += n;
	}
	if (w->left && !last && !linked)
		return sgl_bad(w, NVME_INVALID_SGL_SEGMENT,
			       "a segment that is not the last does not end with a link");
	return NVME_OK;
}

static int sgl_walk(struct walk *w)
{
	struct nvme_sgl_desc seg = w->req->cmd->sgl1;
	u32 budget = SGL_DESCS_MAX;
	bool last = !sgl_is_segment(&seg);
	int st = last ? sgl_desc(w, &seg) : NVME_OK;

	while (!st && w->left && !last) {
		u32 count = seg.length / (u32)sizeof(seg);

		last = seg.id == NVME_SGL_LAST_SEGMENT << 4;
		if (!count || seg.length % sizeof(seg))
			return sgl_bad(w, NVME_INVALID_SGL_SEGMENT,
				       "a segment's length is not a multiple of 16");
		if (count > budget)
			return sgl_bad(w, NVME_INVALID_SGL_COUNT, "more descriptors than any transfer needs");
		budget -= count;
		st = sgl_segment(w, &seg, last);
	}
	if (!st && w->left)
		return nvme_refuse(w->req, NVME_DATA_SGL_LENGTH, NVME_LOC(sgl1),
				   "SGL: %llu bytes short of the transfer", (unsigned long long)w->left);
	return st;
}

/* ---- both ---- */

int nvme_data_walk(struct nvme_req *req, u64 len, bool from_client, nvme_piece_fn *fn, void *arg)
{
	struct walk w = { .req = req, .fn = fn, .arg = arg, .left = len, .from_client = from_client };
	int st = NVME_CMD_PSDT(req->cmd->flags) ? sgl_walk(&w) : prp_walk(&w);

	return st ? st : walk_flush(&w);
}

static int piece_read(struct nvme_req *req, void *arg, u64 iova, u64 off, u32 len)
{
	int err = nvme_dma_read(req->dma, iova, (u8 *)arg + off, len);

	return err ? nvme_dma_status(req, err, iova, len, true) : NVME_OK;
}

static int piece_write(struct nvme_req *req, void *arg, u64 iova, u64 off, u32 len)
{
	int err = nvme_dma_write(req->dma, iova, (const u8 *)arg + off, len);

	return err ? nvme_dma_status(req, err, iova, len, false) : NVME_OK;
}

int nvme_data_read(struct nvme_req *req, void *buf, u64 len)
{
	return nvme_data_walk(req, len, true, piece_read, buf);
}

int nvme_data_write(struct nvme_req *req, const void *buf, u64 len)
{
	return nvme_data_walk(req, len, false, piece_write, (void *)(uintptr_t)buf);
}
