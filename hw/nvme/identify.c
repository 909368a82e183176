/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * identify.c - IDENTIFY: what the controller and its namespaces are.
 *
 * Source: NVM Express 1.4, 5.15.
 */
#include <stdio.h>
#include <string.h>

#include "hw/nvme/nvme.h"

static void put_text(char *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	memset(field, ' ', size);
	memcpy(field, text, min(len, size));
}

/* 7.9: the form for those who have no domain name to put in. */
static void put_nqn(struct nvme_ctrl *ctrl, char *field, size_t size)
{
	int len = snprintf(field, size, "nqn.2014-08.org.nvmexpress:uuid:");
	u8 uuid[16];

	nvme_make_uuid(ctrl, 0, uuid);
	for (unsigned i = 0; i < sizeof(uuid); i++)
		len += snprintf(field + len, size - (size_t)len,
				i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}

static void total_capacity(const struct nvme_ctrl *ctrl, u8 field[16])
{
	u64 total = 0;

	for (u32 i = 0; i < ctrl->ns_count; i++)
		total += ctrl->ns[i].size_bytes;
	memcpy(field, &total, sizeof(total));
}

static void ctrl_commands(struct nvme_id_ctrl *id)
{
	id->oaes = NVME_OAES_NS_ATTR;
	id->oacs = NVME_OACS_FORMAT;
	id->acl = 3;
	id->aerl = NVME_AERS - 1;
	id->frmw = NVME_FRMW_SLOT1_RO_ONE_SLOT;
	id->lpa = NVME_LPA_EFFECTS | NVME_LPA_EXTENDED;
	id->elpe = NVME_ERRORS - 1;
	id->sqes = 0x66;
	id->cqes = 0x44;
	id->oncs = NVME_ONCS_COMPARE | NVME_ONCS_DSM | NVME_ONCS_WRITE_ZEROES | NVME_ONCS_SAVE |
		   NVME_ONCS_TIMESTAMP | NVME_ONCS_VERIFY;
	id->vwc = NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL;
	id->sgls = NVME_SGLS_SUPPORTED | NVME_SGLS_BIT_BUCKET | NVME_SGLS_LONGER_OK;
}

static int identify_ctrl(struct nvme_req *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	struct nvme_id_ctrl *id = (void *)ctrl->page;

	id->vid = 0x1b36;
	id->ssvid = 0x1af4;
	put_text(id->sn, sizeof(id->sn), ctrl->serial);
	put_text(id->mn, sizeof(id->mn), ctrl->model);
	put_text(id->fr, sizeof(id->fr), NVME_FIRMWARE);
	id->rab = 6;
	id->mdts = ctrl->mdts;
	id->ver = NVME_VS_1_4;
	id->rtd3e = 1000000;
	id->cntrltype = 1; /* I/O controller */
	id->wctemp = NVME_TEMPERATURE_WARNING;
	id->cctemp = NVME_TEMPERATURE_CRITICAL;
	total_capacity(ctrl, id->tnvmcap);
	id->nn = ctrl->ns_count;
	ctrl_commands(id);
	put_nqn(ctrl, id->subnqn, sizeof(id->subnqn));
	id->psd[0].mp = 2500; /* hundredths of a watt */
	id->psd[0].enlat = 16; /* microseconds */
	id->psd[0].exlat = 4;
	return NVME_OK;
}

static int identify_ns(struct nvme_req *req)
{
	struct nvme_ns *ns = nvme_ns_find(req->ctrl, req->cmd->nsid);
	struct nvme_id_ns *id = (void *)req->ctrl->page;
	u32 lbads;

	if (!ns)
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace 0x%x does not exist",
				   req->cmd->nsid);
	lbads = atomic_load(&ns->lbads);
	id->nsze = nvme_ns_blocks(ns, lbads);
	id->ncap = id->nsze;
	id->nuse = id->nsze;
	id->nlbaf = 1;
	id->flbas = lbads == NVME_LBADS_MAX;
	id->dlfeat = NVME_DLFEAT_ZEROES_DEALLOCATE;
	memcpy(id->nvmcap, &ns->size_bytes, sizeof(ns->size_bytes));
	id->nsattr = ns->readonly ? NVME_NSATTR_WRITE_PROTECTED : 0;
	memcpy(id->nguid, ns->nguid, sizeof(id->nguid));
	id->lbaf[0].lbads = NVME_LBADS_MIN;
	id->lbaf[1].lbads = NVME_LBADS_MAX;
	return NVME_OK;
}

/* Namespaces above the given one. */
static int identify_list(struct nvme_req *req)
{
	u32 *out = (void *)req->ctrl->page;

	if (req->cmd->nsid >= NVME_NSID_ALL - 1)
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid),
				   "no list begins after namespace 0x%x", req->cmd->nsid);
	for (u32 nsid = req->cmd->nsid + 1; nsid <= req->ctrl->ns_count; nsid++)
		*out++ = nsid;
	return NVME_OK;
}

static int identify_descriptors(struct nvme_req *req)
{
	struct nvme_ns *ns = nvme_ns_find(req->ctrl, req->cmd->nsid);
	u8 *out = req->ctrl->page;

	if (!ns)
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace 0x%x does not exist",
				   req->cmd->nsid);
	out[0] = NVME_NIDT_NGUID;
	out[1] = sizeof(ns->nguid);
	memcpy(out + 4, ns->nguid, sizeof(ns->nguid));
	out += 4 + sizeof(ns->nguid);
	out[0] = NVME_NIDT_UUID;
	out[1] = sizeof(ns->uuid);
	memcpy(out + 4, ns->uuid, sizeof(ns->uuid));
	return NVME_OK;
}

/* Controllers from CDW10.CNTID on: a count, then their ids; ours is 0. */
static int identify_ctrl_list(struct nvme_req *req, bool of_namespace)
{
	u16 *out = (void *)req->ctrl->page;

	if (of_namespace && !nvme_ns_find(req->ctrl, req->cmd->nsid))
		return nvme_refuse(req, NVME_INVALID_NS, NVME_LOC(nsid), "namespace 0x%x does not exist",
				   req->cmd->nsid);
	out[0] = req->cmd->cdw10 >> 16 == 0;
	return NVME_OK;
}

static int identify_fill(struct nvme_req *req)
{
	switch (req->cmd->cdw10 & 0xff) {
	case NVME_CNS_CTRL:
		return identify_ctrl(req);
	case NVME_CNS_NS:
	case NVME_CNS_ALLOCATED_NS:
		return identify_ns(req);
	case NVME_CNS_ACTIVE_LIST:
	case NVME_CNS_ALLOCATED_LIST:
		return identify_list(req);
	case NVME_CNS_NS_DESC:
		return identify_descriptors(req);
	case NVME_CNS_NS_CTRL_LIST:
		return identify_ctrl_list(req, true);
	case NVME_CNS_CTRL_LIST:
		return identify_ctrl_list(req, false);
	default:
		return nvme_refuse(req, NVME_INVALID_FIELD, NVME_LOC(cdw10),
				   "identify 0x%02x is not supported", req->cmd->cdw10 & 0xff);
	}
}

int nvme_identify(struct nvme_req *req)
{
	int st;

	memset(req->ctrl->page, 0, sizeof(req->ctrl->page));
	st = identify_fill(req);
	return st ? st : nvme_data_write(req, req->ctrl->page, NVME_IDENTIFY_BYTES);
}
