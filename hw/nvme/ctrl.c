/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctrl.c - the registers and the controller's states.
 *
 *	disabled --CC.EN--> ready --CC.SHN--> shut down
 *	    ^                 |  \               |
 *	    |                 |   fatal (CFS)    |
 *	    +---- CC.EN=0, function level reset -+
 *
 * Registers are kept twice: regs[] is what holds, the BAR's first page is what the program loads
 * without our being told, so every change goes to both.
 *
 * Always: a change of state happens with state_lock held and ends before the store that caused it
 * does, so a driver that polls CSTS finds the answer at once.  Only "fatal" is set by any thread.
 *
 * Source: NVM Express 1.4, 3.1 (registers), 7.3 (reset), 7.6 (initialisation, shutdown).
 */
#include "hw/nvme/nvme.h"

static u32 reg_get(struct nvme_ctrl *ctrl, u32 off) { return atomic_load(&ctrl->regs[off / 4]); }

static void reg_set(struct nvme_ctrl *ctrl, u32 off, u32 val)
{
	atomic_store(&ctrl->regs[off / 4], val);
	__atomic_store_n((u32 *)(ctrl->bar + off), val, __ATOMIC_RELEASE);
}

static void reg_set64(struct nvme_ctrl *ctrl, u32 off, u64 val)
{
	reg_set(ctrl, off, (u32)val);
	reg_set(ctrl, off + 4, (u32)(val >> 32));
}

static u64 reg_get64(struct nvme_ctrl *ctrl, u32 off)
{
	return reg_get(ctrl, off) | (u64)reg_get(ctrl, off + 4) << 32;
}

/* CSTS has several writers: the state's owner and whoever finds the controller failed. */
static void csts_update(struct nvme_ctrl *ctrl, u32 clear, u32 set)
{
	mutex_lock(&ctrl->lock);
	reg_set(ctrl, NVME_REG_CSTS, (reg_get(ctrl, NVME_REG_CSTS) & ~clear) | set);
	mutex_unlock(&ctrl->lock);
}

void nvme_ctrl_init_registers(struct nvme_ctrl *ctrl)
{
	reg_set64(ctrl, NVME_REG_CAP, NVME_CAP_MQES(NVME_QUEUE_ENTRIES) | NVME_CAP_CQR | NVME_CAP_TO(15) |
		  NVME_CAP_CSS_NVM | NVME_CAP_MPSMAX(4));
	reg_set(ctrl, NVME_REG_VS, NVME_VS_1_4);
	reg_set(ctrl, NVME_REG_CC, 0);
	reg_set(ctrl, NVME_REG_CSTS, 0);
	reg_set(ctrl, NVME_REG_AQA, 0);
	reg_set64(ctrl, NVME_REG_ASQ, 0);
	reg_set64(ctrl, NVME_REG_ACQ, 0);
	ctrl->page_bytes = 4096;
}

void nvme_ctrl_fatal(struct nvme_ctrl *ctrl, const char *why)
{
	int ready = NVME_READY;

	if (!atomic_compare_exchange_strong(&ctrl->state, &ready, NVME_FATAL))
		return;
	hw_explain(ctrl->hw, "NVMe: controller fatal status (CSTS.CFS): %s", why);
	csts_update(ctrl, 0, NVME_CSTS_CFS);
}

/* ---- states; state_lock held ---- */

static const char *enable_refused(struct nvme_ctrl *ctrl, u32 cc)
{
	u32 aqa = reg_get(ctrl, NVME_REG_AQA);
	u64 bases = reg_get64(ctrl, NVME_REG_ASQ) | reg_get64(ctrl, NVME_REG_ACQ);

	if (NVME_CC_CSS(cc) != 0)
		return "CC.CSS is not 0, the NVM command set";
	if (NVME_CC_AMS(cc) != 0)
		return "CC.AMS is not 0, round robin";
	if (NVME_CC_MPS(cc) > 4)
		return "CC.MPS is above CAP.MPSMAX (pages of 64 KiB)";
	if (!NVME_AQA_ASQS(aqa) || !NVME_AQA_ACQS(aqa))
		return "AQA gives a queue of less than two entries";
	if (bases & ((4096u << NVME_CC_MPS(cc)) - 1))
		return "ASQ or ACQ is not aligned to a page";
	return NULL;
}

static void ctrl_enable(struct nvme_ctrl *ctrl, u32 cc)
{
	u32 aqa = reg_get(ctrl, NVME_REG_AQA);
	const char *why = enable_refused(ctrl, cc);

	ctrl->page_bytes = 4096u << (NVME_CC_MPS(cc) & 7);
	if (!why) {
		nvme_cq_start(ctrl, 0, reg_get64(ctrl, NVME_REG_ACQ), NVME_AQA_ACQS(aqa) + 1, 0, true);
		if (nvme_sq_start(ctrl, 0, reg_get64(ctrl, NVME_REG_ASQ), NVME_AQA_ASQS(aqa) + 1, 0))
			why = "no memory for the admin queue";
	}
	if (why) {
		hw_explain(ctrl->hw, "NVMe: cannot be enabled with CC 0x%x, AQA 0x%x: %s", cc, aqa, why);
		atomic_store(&ctrl->state, NVME_FATAL);
		csts_update(ctrl, 0, NVME_CSTS_CFS);
		return;
	}
	if (!ctrl->powered)
		atomic_fetch_add(&ctrl->counters.power_cycles, 1);
	ctrl->powered = true;
	atomic_store(&ctrl->unclean, true);
	nvme_nvram_save(ctrl);
	atomic_store(&ctrl->state, NVME_READY);
	csts_update(ctrl, 0, NVME_CSTS_RDY);
}

/* No command is under way when this returns, and none begins. */
static void ctrl_quiesce(struct nvme_ctrl *ctrl, enum nvme_state state)
{
	/* The admin queue first: what runs there may start and stop others. */
	for (u32 id = 0; id < NVME_QIDS; id++)
		nvme_sq_stop(ctrl, (u16)id, NVME_STOP_RESET);
	nvme_pool_stop(ctrl);
	atomic_store(&ctrl->state, state);
}

static void ctrl_disable(struct nvme_ctrl *ctrl)
{
	ctrl_quiesce(ctrl, NVME_DISABLED);
	for (u32 id = 0; id < NVME_QIDS; id++)
		nvme_cq_stop(ctrl, (u16)id);
	nvme_intx_mask(ctrl, 0, ~0u);
	nvme_events_reset(ctrl);
	nvme_features_reset(ctrl);
	csts_update(ctrl, ~0u, 0);
	if (ctrl->powered)
		nvme_nvram_save(ctrl);
}

static void ctrl_shut_down(struct nvme_ctrl *ctrl)
{
	if (atomic_load(&ctrl->state) == NVME_READY)
		ctrl_quiesce(ctrl, NVME_SHUT_DOWN);
	for (u32 i = 0; i < ctrl->ns_count; i++)
		if (nvme_ns_flush(&ctrl->ns[i]))
			hw_explain(ctrl->hw, "NVMe: namespace %u could not be flushed at shutdown", i + 1);
	atomic_store(&ctrl->unclean, false);
	if (ctrl->powered)
		nvme_nvram_save(ctrl);
	csts_update(ctrl, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_COMPLETE);
}

void nvme_ctrl_reset(struct nvme_ctrl *ctrl)
{
	mutex_lock(&ctrl->state_lock);
	ctrl_disable(ctrl);
	nvme_ctrl_init_registers(ctrl);
	mutex_unlock(&ctrl->state_lock);
}

void nvme_ctrl_load_registers(struct nvme_ctrl *ctrl, enum nvme_state state, u32 cc, u32 csts, u32 aqa, u64 asq,
			      u64 acq)
{
	ctrl->page_bytes = 4096u << (NVME_CC_MPS(cc) & 7);
	reg_set(ctrl, NVME_REG_CC, cc);
	reg_set(ctrl, NVME_REG_AQA, aqa);
	reg_set64(ctrl, NVME_REG_ASQ, asq & ~0xfffull);
	reg_set64(ctrl, NVME_REG_ACQ, acq & ~0xfffull);
	atomic_store(&ctrl->state, state);
	csts_update(ctrl, ~0u, csts);
}

/* ---- stores ---- */

static void cc_write(struct nvme_ctrl *ctrl, u32 val)
{
	u32 old = reg_get(ctrl, NVME_REG_CC);
	const u32 fixed = 0x3ff0u; /* CSS, MPS, AMS: may be changed only while disabled */

	val &= NVME_CC_WRITABLE;
	if ((old & val & NVME_CC_EN) && ((old ^ val) & fixed)) {
		hw_explain(ctrl->hw, "NVMe: CC.CSS, MPS or AMS changed while enabled (0x%x to 0x%x): ignored",
			   old, val);
		val = (val & ~fixed) | (old & fixed);
	}
	reg_set(ctrl, NVME_REG_CC, val);
	if ((old & NVME_CC_EN) && !(val & NVME_CC_EN))
		ctrl_disable(ctrl);
	if (!(old & NVME_CC_EN) && (val & NVME_CC_EN))
		ctrl_enable(ctrl, val);
	if (NVME_CC_SHN(val) && NVME_CC_SHN(val) != 3 && !NVME_CC_SHN(old))
		ctrl_shut_down(ctrl);
}

static void admin_queue_write(struct nvme_ctrl *ctrl, u32 off, u32 val)
{
	if (reg_get(ctrl, NVME_REG_CC) & NVME_CC_EN)
		hw_explain(ctrl->hw,
			   "NVMe: register 0x%x written while enabled: it counts at the next enable", off);
	if (off == NVME_REG_AQA)
		val &= 0x0fff0fff;
	if (off == NVME_REG_ASQ || off == NVME_REG_ACQ)
		val &= ~0xfffu;
	reg_set(ctrl, off, val);
}

void nvme_ctrl_write(struct nvme_ctrl *ctrl, u32 off, u32 val)
{
	/* Interrupt masks change often; they need not wait for a change of state. */
	if (off == NVME_REG_INTMS || off == NVME_REG_INTMC) {
		nvme_intx_mask(ctrl, off == NVME_REG_INTMS ? val : 0, off == NVME_REG_INTMC ? val : 0);
		return;
	}
	mutex_lock(&ctrl->state_lock);
	switch (off) {
	case NVME_REG_CC:
		cc_write(ctrl, val);
		break;
	case NVME_REG_AQA:
	case NVME_REG_ASQ:
	case NVME_REG_ASQ + 4:
	case NVME_REG_ACQ:
	case NVME_REG_ACQ + 4:
		admin_queue_write(ctrl, off, val);
		break;
	default:
		hw_explain(ctrl->hw,
			   "NVMe: store of 0x%x to register 0x%x, which is read-only or does not exist", val,
			   off);
	}
	mutex_unlock(&ctrl->state_lock);
}
