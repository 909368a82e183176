/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - log pages: errors, health, firmware, changed namespaces, what commands do.
 *
 * All logs fit one page; each is made afresh in nvme_ctrl.page when asked for.  The error log is a
 * ring; every command that fails leaves an entry, except those that the host itself had aborted.
 *
 * Source: NVM Express 1.4, 5.14.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hw/nvme/nvme.h"

int nvme_refuse(struct nvme_req *req, int status, u16 loc, const char *fmt, ...)
{
	char why[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	req->param_loc = loc;
	hw_explain(req->ctrl->hw, "NVMe: queue %u command 0x%x, opcode 0x%02x, status 0x%03x: %s",
		   req->sq->id, req->cmd->cid, req->cmd->opcode, (unsigned)status, why);
	return status | (int)NVME_DNR;
}

int nvme_error_log(struct nvme_req *req, int status)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	u32 code = (u32)status & NVME_SC_MASK;
	struct nvme_error_entry entry = {
		.sq_id = req->sq->id,
		.cid = req->cmd->cid,
		.status = (u16)((u32)status << 1),
		.param_loc = req->param_loc,
		.lba = req->lba,
		.nsid = req->cmd->nsid,
	};

	if (code == NVME_ABORT_REQUESTED || code == NVME_ABORTED_SQ_DELETION)
		return status;
	if (code >> 8 == 2 && code != NVME_COMPARE_FAILURE)
		atomic_fetch_add(&ctrl->counters.media_errors, 1);
	mutex_lock(&ctrl->lock);
	entry.error_count = atomic_fetch_add(&ctrl->counters.error_entries, 1) + 1;
	ctrl->errors[ctrl->error_count++ % NVME_ERRORS] = entry;
	mutex_unlock(&ctrl->lock);
	return status | (int)NVME_MORE;
}

static u32 errors_fill(struct nvme_ctrl *ctrl)
{
	struct nvme_error_entry *out = (void *)ctrl->page;

	mutex_lock(&ctrl->lock);
	for (u64 i = 0; i < NVME_ERRORS && i < ctrl->error_count; i++)
		out[i] = ctrl->errors[(ctrl->error_count - 1 - i) % NVME_ERRORS];
	mutex_unlock(&ctrl->lock);
	return sizeof(ctrl->errors);
}

/* Thousands of 512-byte units, rounded up. */
static u64 data_units(u64 sectors) { return (sectors + 999) / 1000; }

static u32 smart_fill(struct nvme_ctrl *ctrl)
{
	struct nvme_smart_log *log = (void *)ctrl->page;
	struct nvme_counters *c = &ctrl->counters;

	log->critical_warning = nvme_temperature_crossed(ctrl) ? NVME_SMART_TEMPERATURE : 0;
	log->temperature = NVME_TEMPERATURE;
	log->available_spare = 100;
	log->spare_threshold = 10;
	log->units_read.lo = data_units(atomic_load(&c->sectors_read));
	log->units_written.lo = data_units(atomic_load(&c->sectors_written));
	log->reads.lo = atomic_load(&c->reads);
	log->writes.lo = atomic_load(&c->writes);
	log->busy_minutes.lo = atomic_load(&c->busy_ns) / 60000000000u;
	log->power_cycles.lo = atomic_load(&c->power_cycles);
	log->power_on_hours.lo = (atomic_load(&c->on_ns) + nvme_now_ns() - ctrl->born_ns) / 3600000000000u;
	log->unsafe_shutdowns.lo = atomic_load(&c->unsafe_shutdowns);
	log->media_errors.lo = atomic_load(&c->media_errors);
	log->error_entries.lo = atomic_load(&c->error_entries);
	return sizeof(*log);
}

static u32 firmware_fill(struct nvme_ctrl *ctrl)
{
	struct nvme_firmware_log *log = (void *)ctrl->page;

	log->active = 1;
	memcpy(log->slot[0], NVME_FIRMWARE, sizeof(log->slot[0]));
	return sizeof(*log);
}

static u32 changed_fill(struct nvme_ctrl *ctrl, bool retain)
{
	u32 *out = (void *)ctrl->page;

	mutex_lock(&ctrl->lock);
	for (u32 i = 0; i < ctrl->ns_count; i++)
		if (ctrl->ns_changed & BIT(i))
			*out++ = i + 1;
	if (!retain)
		ctrl->ns_changed = 0;
	mutex_unlock(&ctrl->lock);
	return NVME_CHANGED_NS_MAX * sizeof(*out);
}

static u32 effects_fill(struct nvme_ctrl *ctrl)
{
	static const u8 admin[] = { NVME_ADMIN_DELETE_SQ, NVME_ADMIN_CREATE_SQ,	   NVME_ADMIN_GET_LOG,
				    NVME_ADMIN_DELETE_CQ, NVME_ADMIN_CREATE_CQ,	   NVME_ADMIN_IDENTIFY,
				    NVME_ADMIN_ABORT,	  NVME_ADMIN_SET_FEATURES, NVME_ADMIN_GET_FEATURES,
				    NVME_ADMIN_AER };
	static const u8 reads[] = { NVME_IO_FLUSH, NVME_IO_READ, NVME_IO_COMPARE, NVME_IO_VERIFY };
	static const u8 writes[] = { NVME_IO_WRITE, NVME_IO_WRITE_ZEROES, NVME_IO_DSM };
	struct nvme_effects_log *log = (void *)ctrl->page;

	for (u32 i = 0; i < sizeof(admin); i++)
		log->admin[admin[i]] = NVME_EFFECT_SUPPORTED;
	log->admin[NVME_ADMIN_FORMAT] = NVME_EFFECT_SUPPORTED | NVME_EFFECT_CONTENT | NVME_EFFECT_NS_CHANGE |
					NVME_EFFECT_NS_ALONE;
	for (u32 i = 0; i < sizeof(reads); i++)
		log->io[reads[i]] = NVME_EFFECT_SUPPORTED;
	for (u32 i = 0; i < sizeof(writes); i++)
		log->io[writes[i]] = NVME_EFFECT_SUPPORTED | NVME_EFFECT_CONTENT;
	return sizeof(*log);
}

/* Return: bytes of the log in ctrl->page; 0 if there is none of that name. */
static u32 log_fill(struct nvme_ctrl *ctrl, u8 lid, bool retain)
{
	memset(ctrl->page, 0, sizeof(ctrl->page));
	switch (lid) {
	case NVME_LOG_ERROR:
		return errors_fill(ctrl);
	case NVME_LOG_SMART:
		return smart_fill(ctrl);
	case NVME_LOG_FIRMWARE:
		return firmware_fill(ctrl);
	case NVME_LOG_CHANGED_NS:
		return changed_fill(ctrl, retain);
	case NVME_LOG_EFFECTS:
		return effects_fill(ctrl);
	default:
		return 0;
	}
}

static void log_was_read(struct nvme_ctrl *ctrl, u8 lid)
{
	if (lid == NVME_LOG_ERROR)
		nvme_events_unmask(ctrl, NVME_EVENT_ERROR);
	if (lid == NVME_LOG_SMART)
		nvme_events_unmask(ctrl, NVME_EVENT_SMART);
	if (lid == NVME_LOG_CHANGED_NS)
		nvme_events_unmask(ctrl, NVME_EVENT_NOTICE);
}

int nvme_get_log(struct nvme_req *req)
{
	const struct nvme_cmd *cmd = req->cmd;
	struct nvme_ctrl *ctrl = req->ctrl;
	u8 lid = (u8)cmd->cdw10;
	bool retain = cmd->cdw10 & BIT(15);
	u64 bytes = (((u64)(cmd->cdw11 & 0xffff) << 16 | cmd->cdw10 >> 16) + 1) * 4;
	u64 off = cmd->cdw12 | (u64)cmd->cdw13 << 32;
	u32 size;
	int st;

	if (off & 3)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw12),
				   "log offset 0x%llx is not a multiple of 4", (unsigned long long)off);
	if (ctrl->mdts && bytes > 4096ull << ctrl->mdts)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw10),
				   "%llu bytes are more than MDTS allows", (unsigned long long)bytes);
	if (lid == NVME_LOG_SMART && cmd->nsid && cmd->nsid != NVME_NSID_ALL)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(nsid),
				   "health is the controller's, not namespace %u's", cmd->nsid);
	size = log_fill(ctrl, lid, retain);
	if (!size)
		return nvme_refuse(req, NVME_INVALID_LOG_PAGE, NVME_LOC(cdw10),
				   "log page 0x%02x is not supported", lid);
	if (off > size)
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw12),
				   "log offset 0x%llx is past the end", (unsigned long long)off);
	/* What is past the end is undefined: we leave the host's bytes as they are. */
	bytes = min(bytes, size - off);
	st = bytes ? nvme_data_write(req, ctrl->page + off, bytes) : NVME_OK;
	if (!st && !retain)
		log_was_read(ctrl, lid);
	return st;
}
