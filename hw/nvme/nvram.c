/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvram.c - what a controller remembers from one program to the next: its counters, the features that
 * were set with the save bit, and how each namespace was formatted.
 *
 * It is a small mapped file of the machine.  The file is read once, at creation, and each value is
 * checked before it is believed: the file may be damaged, or of another version, and is then made anew.
 * Dangerous: the mapping may lose its file; all access is by hw_copy().
 */
#include <string.h>
#include <sys/mman.h>

#include "hw/nvme/nvme.h"
#include "kernel/lib/sys.h"

#define NVRAM_MAGIC 0x31306d61726e766eull
#define NVRAM_BYTES 4096u

struct nvme_nvram {
	u64 magic;
	u64 sectors_read, sectors_written;
	u64 reads, writes;
	u64 busy_ns;
	u64 media_errors;
	u64 error_entries;
	u64 power_cycles, unsafe_shutdowns;
	u64 on_ns;
	u32 saved[NVME_SIMPLE_FEATURES];
	struct {
		u8 option; /* the block= that the format was made under; another one begins anew */
		u8 lbads;
	} format[NVME_NS_MAX];
};
_Static_assert(sizeof(struct nvme_nvram) <= NVRAM_BYTES, "one page");

static void counters_load(struct nvme_counters *c, const struct nvme_nvram *v)
{
	atomic_store(&c->sectors_read, v->sectors_read);
	atomic_store(&c->sectors_written, v->sectors_written);
	atomic_store(&c->reads, v->reads);
	atomic_store(&c->writes, v->writes);
	atomic_store(&c->busy_ns, v->busy_ns);
	atomic_store(&c->media_errors, v->media_errors);
	atomic_store(&c->error_entries, v->error_entries);
	atomic_store(&c->power_cycles, v->power_cycles);
	atomic_store(&c->unsafe_shutdowns, v->unsafe_shutdowns);
	atomic_store(&c->on_ns, v->on_ns);
}

static void counters_store(struct nvme_ctrl *ctrl, struct nvme_nvram *v)
{
	struct nvme_counters *c = &ctrl->counters;

	v->sectors_read = atomic_load(&c->sectors_read);
	v->sectors_written = atomic_load(&c->sectors_written);
	v->reads = atomic_load(&c->reads);
	v->writes = atomic_load(&c->writes);
	v->busy_ns = atomic_load(&c->busy_ns);
	v->media_errors = atomic_load(&c->media_errors);
	v->error_entries = atomic_load(&c->error_entries);
	v->power_cycles = atomic_load(&c->power_cycles);
	/* If nothing is written after this, the shutdown to come was unsafe. */
	v->unsafe_shutdowns = atomic_load(&c->unsafe_shutdowns) + atomic_load(&ctrl->unclean);
	v->on_ns = atomic_load(&c->on_ns) + nvme_now_ns() - ctrl->born_ns;
}

/* As set_features would have let it be; anything else is damage. */
static bool saved_plausible(const u32 saved[NVME_SIMPLE_FEATURES])
{
	return saved[NVME_SIMPLE_POWER] == 0 && saved[NVME_SIMPLE_WRITE_CACHE] <= 1 &&
	       saved[NVME_SIMPLE_ATOMICITY] <= 1 && saved[NVME_SIMPLE_COALESCING] <= 0xffff;
}

int nvme_nvram_open(struct nvme_ctrl *ctrl)
{
	int fd = hw_store_open(ctrl->hw, "nvram", NVRAM_BYTES);
	struct nvme_nvram v;
	void *map;

	if (fd < 0)
		return fd;
	map = sys_mmap(NULL, NVRAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sys_close(fd);
	if (IS_ERR(map))
		return (int)PTR_ERR(map);
	ctrl->nvram = map;
	if (hw_copy(&v, map, sizeof(v)) || v.magic != NVRAM_MAGIC || !saved_plausible(v.saved))
		return 0;
	counters_load(&ctrl->counters, &v);
	memcpy(ctrl->simple_saved, v.saved, sizeof(v.saved));
	return 0;
}

void nvme_nvram_close(struct nvme_ctrl *ctrl)
{
	if (ctrl->nvram)
		sys_munmap(ctrl->nvram, NVRAM_BYTES);
	ctrl->nvram = NULL;
}

u8 nvme_nvram_lbads(struct nvme_ctrl *ctrl, u32 nsid, u8 option_lbads)
{
	struct nvme_nvram v;

	if (hw_copy(&v, ctrl->nvram, sizeof(v)) || v.magic != NVRAM_MAGIC)
		return option_lbads;
	if (v.format[nsid - 1].option != option_lbads)
		return option_lbads;
	return v.format[nsid - 1].lbads == NVME_LBADS_MIN ? NVME_LBADS_MIN : NVME_LBADS_MAX;
}

void nvme_nvram_save(struct nvme_ctrl *ctrl)
{
	struct nvme_nvram v = { .magic = NVRAM_MAGIC };

	counters_store(ctrl, &v);
	mutex_lock(&ctrl->lock);
	memcpy(v.saved, ctrl->simple_saved, sizeof(v.saved));
	mutex_unlock(&ctrl->lock);
	for (u32 i = 0; i < ctrl->ns_count; i++) {
		v.format[i].option = ctrl->ns[i].option_lbads;
		v.format[i].lbads = (u8)atomic_load(&ctrl->ns[i].lbads);
	}
	if (hw_copy(ctrl->nvram, &v, sizeof(v)))
		hw_explain(ctrl->hw, "NVMe: the controller's memory (nvram) is gone: its file shrank");
}
