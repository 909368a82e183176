/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * namespace.c - media: a file, mapped for as long as the controller lives.
 *
 * Data moves between the mapping and client memory directly.  No descriptor is kept: a program that
 * closes descriptors it does not know must not make a later hole be punched into a file of its own, so
 * durability is msync() and holes are madvise(MADV_REMOVE), both by address.
 *
 * Dangerous: the file may shrink under us.  Whoever touches media uses hw_dma_*() or hw_copy(), which
 * answer -EIO then; never a plain memcpy.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/nvme/nvme.h"
#include "kernel/lib/sys.h"

#define PUNCH_MIN 65536u /* shorter ranges are overwritten: cheaper, and they stay allocated */

static const u8 zeros[65536] __attribute__((aligned(4096)));

/* Identifiers that are the same in each run: FNV-1a of what tells a namespace (0: the controller) from others. */
static void make_id(struct nvme_ctrl *ctrl, u32 nsid, char kind, u8 id[16])
{
	char text[96];
	int len = snprintf(text, sizeof(text), "%c %s %u", kind, ctrl->serial, nsid);

	for (int half = 0; half < 2; half++) {
		u64 hash = 0xcbf29ce484222325ull + (u64)half;

		for (int i = 0; i < len && i < (int)sizeof(text); i++)
			hash = (hash ^ (u8)text[i]) * 0x100000001b3ull;
		memcpy(id + 8 * half, &hash, 8);
	}
}

void nvme_make_uuid(struct nvme_ctrl *ctrl, u32 nsid, u8 uuid[16])
{
	make_id(ctrl, nsid, 'u', uuid);
	uuid[6] = (u8)((uuid[6] & 0x0f) | 0x80); /* version 8 and variant 1 of RFC 9562: made our way */
	uuid[8] = (u8)((uuid[8] & 0x3f) | 0x80);
}

static int media_open(struct nvme_ctrl *ctrl, struct nvme_ns *ns, u64 size)
{
	const char *path = ns->id == 1 ? hw_option(ctrl->hw, "file") : NULL;
	char name[16];
	off_t end;
	int fd;

	if (!path) {
		snprintf(name, sizeof(name), "ns%u", ns->id);
		ns->size_bytes = size;
		return hw_store_open(ctrl->hw, name, size);
	}
	fd = sys_open(path, (ns->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC, 0);
	if (fd < 0) {
		hw_explain(ctrl->hw, "NVMe: cannot open file=%s: %s (it must exist)", path, strerror(-fd));
		return fd;
	}
	end = sys_lseek(fd, 0, SEEK_END);
	ns->size_bytes = end > 0 ? ALIGN_DOWN((u64)end, 4096ull) : 0;
	if (ns->size_bytes)
		return fd;
	hw_explain(ctrl->hw, "NVMe: file=%s holds not even one block of 4096 bytes", path);
	sys_close(fd);
	return -EINVAL;
}

int nvme_ns_open(struct nvme_ctrl *ctrl, struct nvme_ns *ns, u32 id, u8 lbads)
{
	u64 size = 0;
	void *map;
	int fd;

	if (hw_option_size(ctrl->hw, "size", 64ull << 20, 1ull << 20, 1ull << 44, &size))
		return -EINVAL;
	ns->id = id;
	ns->option_lbads = lbads;
	atomic_init(&ns->lbads, lbads);
	make_id(ctrl, id, 'g', ns->nguid);
	nvme_make_uuid(ctrl, id, ns->uuid);
	fd = media_open(ctrl, ns, ALIGN_DOWN(size, 4096ull));
	if (fd < 0)
		return fd;
	map = sys_mmap(NULL, ns->size_bytes, ns->readonly ? PROT_READ : PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);
	sys_close(fd);
	if (IS_ERR(map)) {
		hw_explain(ctrl->hw, "NVMe: cannot map the %llu bytes of namespace %u: %s",
			   (unsigned long long)ns->size_bytes, id, strerror((int)-PTR_ERR(map)));
		return (int)PTR_ERR(map);
	}
	ns->media = map;
	return 0;
}

void nvme_ns_close(struct nvme_ns *ns)
{
	if (ns->media)
		sys_munmap(ns->media, ns->size_bytes);
	ns->media = NULL;
}

static int media_sync(struct nvme_ns *ns, u64 off, u64 len)
{
	u64 from = ALIGN_DOWN(off, 4096ull);

	return sys_call(SYS_msync, ns->media + from, off + len - from, MS_SYNC, 0) ? NVME_WRITE_FAULT
										   : NVME_OK;
}

int nvme_ns_sync_range(struct nvme_ns *ns, u64 off, u64 len)
{
	return media_sync(ns, off, len);
}

int nvme_ns_flush(struct nvme_ns *ns)
{
	int st;

	if (!atomic_exchange(&ns->dirty, false))
		return NVME_OK;
	st = media_sync(ns, 0, ns->size_bytes);
	if (st)
		atomic_store(&ns->dirty, true);
	return st;
}

static int zero_copy(struct nvme_ns *ns, u64 off, u64 len)
{
	while (len) {
		u64 n = min(len, (u64)sizeof(zeros));

		if (hw_copy(ns->media + off, zeros, n))
			return NVME_WRITE_FAULT;
		off += n;
		len -= n;
	}
	return NVME_OK;
}

int nvme_ns_zero(struct nvme_ns *ns, u64 off, u64 len)
{
	u64 first = ALIGN_UP(off, 4096ull);
	u64 end = ALIGN_DOWN(off + len, 4096ull);
	int st;

	atomic_store(&ns->dirty, true);
	if (len < PUNCH_MIN || sys_madvise(ns->media + first, end - first, MADV_REMOVE))
		return zero_copy(ns, off, len);
	st = zero_copy(ns, off, first - off);
	return st ? st : zero_copy(ns, end, off + len - end);
}
