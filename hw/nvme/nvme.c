/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme.c - the model: an NVM Express 1.4 controller with up to 64 pairs of I/O queues.
 *
 * This file makes and unmakes a controller and takes accesses to its BAR; nvme.h tells the rest.
 * BAR 0 is 16 KiB: registers in a page whose loads are free, doorbells in a page that traps, then the
 * MSI-X table and its pending bits, which the core keeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/nvme/nvme.h"

extern const struct hw_model nvme_model;

__thread unsigned nvme_dma_depth __attribute__((tls_model("initial-exec")));

u64 nvme_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

/* ---- options ---- */

static const struct hw_key keys[] = {
	{ "size", "SIZE", "bytes of each namespace, kept with the machine (default 64M)" },
	{ "file", "PATH", "an existing file to be the first namespace; its size decides" },
	{ "block", "512|4096", "bytes of a logical block (default 512)" },
	{ "namespaces", "N", "how many, 1 to 32 (default 1)" },
	{ "readonly", "on|off", "write-protect the namespaces (default off)" },
	{ "serial", "TEXT", "serial number, up to 20 characters" },
	{ "model", "TEXT", "model number, up to 40 characters" },
	{ "queues", "N", "pairs of I/O queues, 1 to 64 (default 64)" },
	{ "mdts", "N", "largest transfer is 4096 << N bytes, 0 for no limit (default 7: 512 KiB)" },
	{ "latency_us", "N", "each I/O command takes that long, at least (default 0)" },
	{ "workers", "N", "most threads for long commands, 1 to 16 (default 2)" },
	{ NULL, NULL, NULL },
};

static int option_onoff(struct hw_device *hw, const char *key, bool *ret)
{
	const char *text = hw_option(hw, key);

	*ret = text && !strcmp(text, "on");
	if (!text || *ret || !strcmp(text, "off"))
		return 0;
	hw_explain(hw, "NVMe: %s=%s: it is on or off", key, text);
	return -EINVAL;
}

static int option_text(struct hw_device *hw, const char *key, char *buf, size_t size)
{
	const char *text = hw_option(hw, key);

	if (!text)
		return 0;
	if (strlen(text) >= size) {
		hw_explain(hw, "NVMe: %s=%s is longer than %zu characters", key, text, size - 1);
		return -EINVAL;
	}
	snprintf(buf, size, "%s", text);
	return 0;
}

static int option_block(struct hw_device *hw, u8 *ret_lbads)
{
	u64 block;

	if (hw_option_u64(hw, "block", 512, 512, 4096, &block))
		return -EINVAL;
	*ret_lbads = block == 512 ? NVME_LBADS_MIN : NVME_LBADS_MAX;
	if (block == 1u << *ret_lbads)
		return 0;
	hw_explain(hw, "NVMe: block=%llu: it is 512 or 4096", (unsigned long long)block);
	return -EINVAL;
}

struct options {
	u64 namespaces, queues, mdts, latency_us, workers;
	u8 lbads;
	bool readonly;
};

static int options_parse(struct nvme_ctrl *ctrl, struct options *o)
{
	struct hw_device *hw = ctrl->hw;

	snprintf(ctrl->serial, sizeof(ctrl->serial), "SV-%s", hw_name(hw));
	snprintf(ctrl->model, sizeof(ctrl->model), "softvfio NVMe Ctrl");
	if (hw_option_u64(hw, "namespaces", 1, 1, NVME_NS_MAX, &o->namespaces) ||
	    hw_option_u64(hw, "queues", NVME_QUEUES_MAX, 1, NVME_QUEUES_MAX, &o->queues) ||
	    hw_option_u64(hw, "mdts", 7, 0, 16, &o->mdts) ||
	    hw_option_u64(hw, "latency_us", 0, 0, 10000000, &o->latency_us) ||
	    hw_option_u64(hw, "workers", 2, 1, NVME_WORKERS_MAX, &o->workers) ||
	    option_block(hw, &o->lbads) || option_onoff(hw, "readonly", &o->readonly) ||
	    option_text(hw, "serial", ctrl->serial, sizeof(ctrl->serial)) ||
	    option_text(hw, "model", ctrl->model, sizeof(ctrl->model)))
		return -EINVAL;
	ctrl->queues = (u32)o->queues;
	ctrl->mdts = (u8)o->mdts;
	ctrl->latency_ns = o->latency_us * 1000;
	return 0;
}

/* ---- the PCI function ---- */

static int pci_setup(struct nvme_ctrl *ctrl)
{
	static const struct hw_pci_id id = {
		.vendor = 0x1b36, .device = 0x0010, .subsystem_vendor = 0x1af4, .subsystem_device = 0x1100,
		.class_code = 0x010802, .revision = 2, .intx_pin = 1, .express = true,
	};
	struct hw_device *hw = ctrl->hw;
	int ret;

	hw_pci_identify(hw, &id);
	ret = hw_bar_add(hw, 0, NVME_BAR_BYTES, HW_BAR_MEM64);
	if (!ret)
		ret = hw_bar_set_pages(hw, 0, 0, HW_PAGE_BYTES, HW_PAGE_READ_DIRECT);
	if (ret)
		return ret;
	ctrl->bar = hw_bar_memory(hw, 0);
	if (!ctrl->bar)
		return -ENOMEM;
	ret = hw_cap_add_msix(hw, NVME_VECTORS, 0, NVME_MSIX_TABLE, NVME_MSIX_PBA);
	if (ret >= 0)
		ret = hw_cap_add_express(hw, true);
	if (ret >= 0)
		ret = hw_cap_add_pm(hw, true);
	return ret < 0 ? ret : 0;
}

/* ---- life ---- */

static void ctrl_free(struct nvme_ctrl *ctrl)
{
	for (u32 i = 0; i < NVME_NS_MAX; i++)
		nvme_ns_close(&ctrl->ns[i]);
	nvme_nvram_close(ctrl);
	nvme_queues_destroy(ctrl);
	nvme_pool_destroy(ctrl);
	mutex_destroy(&ctrl->state_lock);
	mutex_destroy(&ctrl->irq_lock);
	mutex_destroy(&ctrl->lock);
	free(ctrl);
}

static struct nvme_ctrl *ctrl_alloc(struct hw_device *hw)
{
	struct nvme_ctrl *ctrl = calloc(1, sizeof(*ctrl));

	if (!ctrl)
		return NULL;
	ctrl->hw = hw;
	ctrl->born_ns = nvme_now_ns();
	mutex_init(&ctrl->state_lock, LOCK_HW_MODEL);
	mutex_init(&ctrl->irq_lock, LOCK_HW_MODEL_QUEUE);
	mutex_init(&ctrl->lock, LOCK_HW_MODEL_QUEUE);
	nvme_queues_init(ctrl);
	nvme_features_init(ctrl);
	return ctrl;
}

static int media_setup(struct nvme_ctrl *ctrl, const struct options *o)
{
	int ret = nvme_nvram_open(ctrl);

	for (u32 i = 0; i < o->namespaces && !ret; i++) {
		ctrl->ns[i].readonly = o->readonly;
		ret = nvme_ns_open(ctrl, &ctrl->ns[i], i + 1, o->lbads);
		if (!ret)
			atomic_store(&ctrl->ns[i].lbads, nvme_nvram_lbads(ctrl, i + 1, o->lbads));
		ctrl->ns_count = i + 1;
	}
	return ret;
}

static int nvme_create(struct hw_device *hw)
{
	struct nvme_ctrl *ctrl = ctrl_alloc(hw);
	struct options o = { 0 };
	int ret;

	if (!ctrl)
		return -ENOMEM;
	ret = options_parse(ctrl, &o);
	nvme_pool_init(ctrl, (u32)o.workers);
	if (!ret)
		ret = pci_setup(ctrl);
	if (!ret)
		ret = media_setup(ctrl, &o);
	if (ret) {
		ctrl_free(ctrl);
		return ret;
	}
	nvme_ctrl_init_registers(ctrl);
	nvme_features_reset(ctrl);
	hw_set_private(hw, ctrl);
	return 0;
}

static void nvme_destroy(struct hw_device *hw)
{
	struct nvme_ctrl *ctrl = hw_private(hw);

	nvme_ctrl_reset(ctrl);
	ctrl_free(ctrl);
}

static void nvme_reset(struct hw_device *hw)
{
	nvme_ctrl_reset(hw_private(hw));
}

static void nvme_bus_master(struct hw_device *hw, bool on)
{
	if (on)
		nvme_bus_master_on(hw_private(hw));
}

/* ---- the BAR ---- */

static uint64_t nvme_bar_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len)
{
	struct nvme_ctrl *ctrl = hw_private(hw);
	u8 bytes[8];
	u64 val = 0;

	if (bar || off + len > sizeof(ctrl->regs) || len > 8)
		return 0;
	for (u32 i = 0; i < len; i++) {
		u32 reg = atomic_load(&ctrl->regs[(off + i) / 4]);

		bytes[i] = (u8)(reg >> (off + i) % 4 * 8);
	}
	memcpy(&val, bytes, len);
	return val;
}

static void store(struct nvme_ctrl *ctrl, u32 off, u32 val)
{
	if (off >= NVME_REG_DOORBELLS)
		nvme_doorbell(ctrl, off, val);
	else if (nvme_dma_depth)
		hw_explain(
			ctrl->hw,
			"NVMe: a command's data lies in the registers of a controller: store to 0x%x dropped",
			off);
	else
		nvme_ctrl_write(ctrl, off, val);
}

static void nvme_bar_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	struct nvme_ctrl *ctrl = hw_private(hw);

	if (bar || off + len > NVME_MSIX_TABLE)
		return;
	if (len != 4 && len != 8) {
		hw_explain(hw, "NVMe: store of %u bytes to 0x%llx ignored: registers are stored to in 4 or 8",
			   len, (unsigned long long)off);
		return;
	}
	store(ctrl, (u32)off, (u32)val);
	if (len == 8)
		store(ctrl, (u32)off + 4, (u32)(val >> 32));
}

const struct hw_model nvme_model = {
	.name = "nvme",
	.summary = "NVM Express 1.4 controller with namespaces in files",
	.keys = keys,
	.create = nvme_create,
	.destroy = nvme_destroy,
	.reset = nvme_reset,
	.bar_read = nvme_bar_read,
	.bar_write = nvme_bar_write,
	.bus_master = nvme_bus_master,
	.quiesce = nvme_quiesce,
	.resume = nvme_resume,
	.save = nvme_save,
	.load = nvme_load,
	.identity = nvme_identity,
	.state_version = 1,
	.state_bytes = 16384,
};
