/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcitest.c - a device that has one of everything that PCI knows (regs.h), for testing drivers and VMMs.
 *
 * It computes nothing.  What it is for is its shape: each kind of BAR, the capabilities that real
 * devices have, each kind of reset and interrupt, errors on demand, and virtual functions.  Its keys
 * take things away or add them, so that a program can be shown the one that it has never met.
 *
 * Virtual functions are a second model of the same code, with fewer BARs and no keys.
 *
 * t->lock guards the registers.  DMA is done without the lock: the address may be a BAR of ours.  It is done by the
 * thread that writes the length, or by one of the device, for then it may have to wait for pages.  `copying` keeps a
 * second transfer out, and says whose `job` is; a reset, which ends all waiting, waits for it.
 */
#include <errno.h>
#include <semaphore.h>
#include <softvfio/hw.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/pcitest/regs.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

extern const struct hw_model pcitest_model;
static const struct hw_model pcitest_vf_model;

/* A copy, or a page request: what the registers said when it began. */
struct job {
	u64 src, dst;
	u32 len, pasid, mode;
	u32 access; /* 0: a copy */
};

struct pcitest {
	struct hw_device *hw; /* immutable */
	unsigned pasid_bits;  /* immutable */
	bool pri, ats;	      /* immutable */

	/* Of who has set `copying`. */
	struct job job;
	struct hw_dma *dma; /* for the PASID and the privilege of the last job */
	u32 dma_pasid;
	bool dma_privileged;
	struct hw_thread *thread; /* NULL: no job has needed it yet */

	sem_t wake;	  /* a job for the thread, or its end */
	atomic_bool stop; /* the latter */

	struct mutex lock; /* LOCK_HW_MODEL: all below */
	u32 liveness, resets, dma_status, dma_pasid_reg, dma_mode, page_bytes;
	u64 src, dst, last_val;
	u32 last_off, last_len;
	bool pin, copying, stopping;
	u8 scratch[2][PCITEST_SMALL_BYTES]; /* BAR4, BAR5 */
	u8 trapped[4096];		    /* the last page of BAR2 */
	u8 vga[4096];			    /* the first page of legacy memory */
	u8 buf[PCITEST_DMA_MAX];	    /* while copying it is the copy's, without lock */
};

/* ---- interrupts ------------------------------------------------------------------------------ */

/* Set by one thread and taken off by another: whoever tells of the pin last tells what it is. */
static void set_pin(struct pcitest *t, bool pin)
{
	bool told;

	mutex_lock(&t->lock);
	t->pin = pin;
	do {
		told = t->pin;
		mutex_unlock(&t->lock);
		hw_intx(t->hw, told);
		mutex_lock(&t->lock);
	} while (t->pin != told);
	mutex_unlock(&t->lock);
}

static void raise_irq(struct pcitest *t, u32 vector)
{
	if (!hw_msi(t->hw, vector))
		set_pin(t, true);
}

static void ack_irq(struct pcitest *t)
{
	set_pin(t, false);
}

/* ---- DMA ------------------------------------------------------------------------------------- */

#define DEMAND_TRIES 16u /* what is granted and taken away again is asked for so often */

/* The registers become a job.  False: there is one. */
static bool job_begin(struct pcitest *t, u32 len, u32 access)
{
	bool free;

	mutex_lock(&t->lock);
	free = !t->copying && !t->stopping;
	if (free) {
		t->copying = true;
		t->dma_status = EINPROGRESS;
		t->job = (struct job){ t->src, t->dst, len, t->dma_pasid_reg, t->dma_mode, access };
	}
	mutex_unlock(&t->lock);
	return free;
}

static void job_end(struct pcitest *t, int err)
{
	mutex_lock(&t->lock);
	t->dma_status = (u32)-err;
	t->copying = false;
	mutex_unlock(&t->lock);
}

/* An engine for the job. */
static int engine_get(struct pcitest *t)
{
	const bool privileged = t->job.pasid && t->job.mode & PCITEST_DMA_PRIVILEGED;
	struct hw_dma *dma;

	if (t->job.pasid == t->dma_pasid && privileged == t->dma_privileged)
		return 0;
	if (t->job.pasid >> t->pasid_bits) {
		hw_explain(t->hw, "pcitest: PASID %u: the device has %u bits of PASID", t->job.pasid, t->pasid_bits);
		return -EINVAL;
	}
	if (!t->job.pasid)
		dma = hw_dma_open(t->hw);
	else if (privileged)
		dma = hw_dma_open_privileged(t->hw, t->job.pasid);
	else
		dma = hw_dma_open_pasid(t->hw, t->job.pasid);
	if (!dma)
		return -ENOMEM;
	hw_dma_close(t->dma);
	t->dma = dma;
	t->dma_pasid = t->job.pasid;
	t->dma_privileged = privileged;
	return 0;
}

static int transfer(struct pcitest *t, bool write)
{
	if (write)
		return hw_dma_write(t->dma, t->job.dst, t->buf, t->job.len);
	return hw_dma_read(t->dma, t->job.src, t->buf, t->job.len);
}

static int transfer_on_demand(struct pcitest *t, bool write)
{
	u64 iova = write ? t->job.dst : t->job.src;
	int err = transfer(t, write);

	for (unsigned i = 0; i < DEMAND_TRIES && err == -EFAULT && t->pri && t->job.mode & PCITEST_DMA_DEMAND; i++) {
		err = hw_dma_request_pages(t->dma, iova, t->job.len, write);
		if (err)
			break;
		err = transfer(t, write);
	}
	return err;
}

static int job_do(struct pcitest *t)
{
	int err;

	if (t->job.access && !t->pri) {
		hw_explain(t->hw, "pcitest: pri=0: the device asks for no pages");
		return -EOPNOTSUPP;
	}
	if (t->job.access)
		return hw_dma_request_access(t->dma, t->job.dst, t->job.len, t->job.access);
	err = transfer_on_demand(t, false);
	return err ? err : transfer_on_demand(t, true);
}

static void job_thread(void *arg)
{
	struct pcitest *t = arg;
	u32 mode;

	while (sem_wait(&t->wake) || !atomic_load(&t->stop)) {
		mode = t->job.mode; /* ours until the end of the job */
		job_end(t, job_do(t));
		if (mode & PCITEST_DMA_IRQ)
			raise_irq(t, mode >> PCITEST_DMA_VECTOR_SHIFT);
	}
}

/* Hand the job to the thread. */
static int job_start(struct pcitest *t)
{
	int err = t->thread ? 0 : hw_thread_start(t->hw, "pcitest", job_thread, t, &t->thread);

	if (!err)
		sem_post(&t->wake);
	return err;
}

static void job_run(struct pcitest *t, u32 len, u32 access)
{
	int err;

	if (!job_begin(t, len, access)) {
		hw_explain(t->hw, "pcitest: a transfer or a reset is under way, so this one is dropped");
		return;
	}
	err = engine_get(t);
	if (err)
		job_end(t, err);
	else if (!access && !(t->job.mode & (PCITEST_DMA_THREAD | PCITEST_DMA_DEMAND)))
		job_end(t, job_do(t));
	else if ((err = job_start(t)) != 0)
		job_end(t, err);
}

static void copy(struct pcitest *t, u32 len)
{
	if (!len || len > PCITEST_DMA_MAX)
		hw_explain(t->hw, "pcitest: a copy has 1 to %u bytes, not %u", PCITEST_DMA_MAX, len);
	else
		job_run(t, len, 0);
}

static void request_pages(struct pcitest *t, u32 access)
{
	u32 bytes;

	mutex_lock(&t->lock);
	bytes = t->page_bytes;
	mutex_unlock(&t->lock);
	if (access)
		job_run(t, bytes, access);
	else
		hw_explain(t->hw, "pcitest: pages are asked for to read (1), to write (2) or to execute (4)");
}

/* ---- registers ------------------------------------------------------------------------------- */

static u64 reg_locked(const struct pcitest *t, u64 off)
{
	switch (off) {
	case PCITEST_ID: return PCITEST_MAGIC;
	case PCITEST_LIVENESS: return t->liveness;
	case PCITEST_RESETS: return t->resets;
	case PCITEST_FUNCTION: return hw_physfn(t->hw) ? hw_vf_index(t->hw) + 1 : 0;
	case PCITEST_IRQ_STATUS: return t->pin;
	case PCITEST_DMA_SRC: return t->src;
	case PCITEST_DMA_DST: return t->dst;
	case PCITEST_DMA_STATUS: return t->dma_status;
	case PCITEST_DMA_PASID: return t->dma_pasid_reg;
	case PCITEST_DMA_MODE: return t->dma_mode;
	case PCITEST_PAGE_BYTES: return t->page_bytes;
	case PCITEST_LAST_OFF: return t->last_off;
	case PCITEST_LAST_LEN: return t->last_len;
	case PCITEST_LAST_VAL: return t->last_val;
	default: return 0;
	}
}

/* A register is read in any width; bytes inside it are its own, those of two may come together. */
static u64 read_regs(struct pcitest *t, u64 off, unsigned len)
{
	const u64 at = off & ~3ull;
	u64 val;

	mutex_lock(&t->lock);
	if (IS_ALIGNED(off, 8ull) && len == 8 && (off == PCITEST_DMA_SRC || off == PCITEST_DMA_DST ||
						  off == PCITEST_LAST_VAL)) {
		val = reg_locked(t, off);
	} else {
		const bool upper = at == PCITEST_DMA_SRC + 4 || at == PCITEST_DMA_DST + 4 ||
				   at == PCITEST_LAST_VAL + 4;

		val = upper ? reg_locked(t, at - 4) >> 32 : (u32)reg_locked(t, at);
		if (len == 8)
			val |= (u64)(u32)reg_locked(t, at + 4) << 32;
	}
	mutex_unlock(&t->lock);
	return val >> 8 * (off & 3);
}

static void set_half(u64 *reg, u64 off, unsigned len, u64 val)
{
	if (len == 8)
		*reg = val;
	else if (off & 4)
		*reg = (u32)*reg | val << 32;
	else
		*reg = (*reg & ~0xffffffffull) | (u32)val;
}

/* True: it is a register that says how transfers go. */
static bool store_dma_locked(struct pcitest *t, u64 off, u32 val)
{
	switch (off) {
	case PCITEST_DMA_PASID: t->dma_pasid_reg = val; return true;
	case PCITEST_DMA_MODE: t->dma_mode = val & (PCITEST_DMA_MODES | ~0u << PCITEST_DMA_VECTOR_SHIFT); return true;
	case PCITEST_PAGE_BYTES: t->page_bytes = val; return true;
	default: return false;
	}
}

/* Registers that only keep what is written. */
static void store(struct pcitest *t, u64 off, unsigned len, u64 val)
{
	mutex_lock(&t->lock);
	switch (off & ~7ull) {
	case PCITEST_DMA_SRC: set_half(&t->src, off, len, val); break;
	case PCITEST_DMA_DST: set_half(&t->dst, off, len, val); break;
	default:
		if (off == PCITEST_LIVENESS) {
			t->liveness = ~(u32)val;
			break;
		}
		if (len == 4 && store_dma_locked(t, off, (u32)val))
			break;
		t->last_off = (u32)off;
		t->last_len = len;
		t->last_val = val;
	}
	mutex_unlock(&t->lock);
}

static void write_regs(struct pcitest *t, u64 off, unsigned len, u64 val)
{
	if (len != 4) { /* what acts is 32 bits wide */
		store(t, off, len, val);
		return;
	}
	switch (off) {
	case PCITEST_IRQ: raise_irq(t, (u32)val); break;
	case PCITEST_IRQ_STATUS: ack_irq(t); break;
	case PCITEST_AER_UNCOR: hw_aer_report(t->hw, true, (u32)val, NULL); break;
	case PCITEST_AER_COR: hw_aer_report(t->hw, false, (u32)val, NULL); break;
	case PCITEST_DMA_LEN: copy(t, (u32)val); break;
	case PCITEST_PAGE_REQUEST: request_pages(t, (u32)val); break;
	case PCITEST_GONE:
		if (val == PCITEST_GONE_KEY)
			hw_unplug(t->hw);
		break;
	default: store(t, off, len, val);
	}
}

/* ---- the other BARs --------------------------------------------------------------------------- */

/* The bytes behind @off of a BAR that is memory of ours; NULL. */
static u8 *memory(struct pcitest *t, unsigned bar, u64 off)
{
	if (bar == 4 || bar == 5)
		return t->scratch[bar - 4] + off;
	if (bar == 2 && off >= PCITEST_BAR2_TRAPPED)
		return t->trapped + (off - PCITEST_BAR2_TRAPPED);
	if (bar == HW_VGA_BAR && off >= 0xa0000 && off < 0xa0000 + sizeof(t->vga))
		return t->vga + (off - 0xa0000);
	return NULL;
}

static u64 pcitest_read(struct hw_device *hw, unsigned bar, u64 off, unsigned len)
{
	struct pcitest *t = hw_private(hw);
	u64 val = ~0ull;
	u8 *at;

	if (bar == 0 || bar == 1)
		return read_regs(t, off, len);
	mutex_lock(&t->lock);
	at = memory(t, bar, off);
	if (at)
		memcpy(&val, at, len);
	mutex_unlock(&t->lock);
	return val;
}

static void pcitest_write(struct hw_device *hw, unsigned bar, u64 off, unsigned len, u64 val)
{
	struct pcitest *t = hw_private(hw);
	u8 *at;

	if (bar == 0 || bar == 1) {
		write_regs(t, off, len, val);
		return;
	}
	mutex_lock(&t->lock);
	at = memory(t, bar, off);
	if (at)
		memcpy(at, &val, len);
	t->last_off = (u32)off;
	t->last_len = bar << 8 | len;
	t->last_val = val;
	mutex_unlock(&t->lock);
}

/* ---- reset ----------------------------------------------------------------------------------- */

/* Bus mastering is off and nobody waits for pages, so what is under way ends soon. */
static void wait_for_copy_locked(struct pcitest *t)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	t->stopping = true;
	while (t->copying) {
		mutex_unlock(&t->lock);
		sys_ppoll(NULL, 0, &pause);
		mutex_lock(&t->lock);
	}
	t->stopping = false;
}

static void pcitest_reset(struct hw_device *hw)
{
	struct pcitest *t = hw_private(hw);

	mutex_lock(&t->lock);
	wait_for_copy_locked(t);
	t->liveness = t->dma_status = t->last_off = t->last_len = 0;
	t->dma_pasid_reg = t->dma_mode = t->page_bytes = 0;
	t->src = t->dst = t->last_val = 0;
	t->pin = false;
	t->resets++;
	memset(t->scratch, 0, sizeof(t->scratch));
	memset(t->trapped, 0, sizeof(t->trapped));
	mutex_unlock(&t->lock);
	hw_intx(hw, false);
}

/* ---- making one ------------------------------------------------------------------------------ */

/* What the keys say. */
struct shape {
	u64 class, express, aer, ats, pasid, pri, sriov, dsn, vendor, vpd, msi, msix, vga;
	bool flr, af, pm, soft_reset;
};

static int parse_reset(struct hw_device *hw, struct shape *s)
{
	const char *text = hw_option(hw, "reset");

	s->pm = true;
	s->flr = !text || !strcmp(text, "flr");
	s->af = text && !strcmp(text, "af");
	s->soft_reset = text && !strcmp(text, "pm");
	if (s->flr || s->af || s->soft_reset || !strcmp(text, "none"))
		return 0;
	hw_explain(hw, "pcitest: reset=%s: there are flr, af, pm and none", text);
	return -EINVAL;
}

static int parse_msi(struct hw_device *hw, struct shape *s)
{
	int err = hw_option_u64(hw, "msi", 4, 0, 32, &s->msi);

	if (!err && s->msi & (s->msi - 1)) {
		hw_explain(hw, "pcitest: msi=%u: MSI has 1, 2, 4, 8, 16 or 32 vectors", (unsigned)s->msi);
		err = -EINVAL;
	}
	return err;
}

static int parse(struct hw_device *hw, struct shape *s)
{
	const struct {
		const char *key;
		u64 dflt, max, *val;
	} numbers[] = {
		{ "class", 0x00ff00, 0xffffff, &s->class }, { "express", 1, 1, &s->express }, { "aer", 1, 1, &s->aer },	      { "ats", 1, 1, &s->ats },
		{ "pasid", 16, 20, &s->pasid },	  { "pri", 32, 65536, &s->pri },      { "sriov", 0, HW_VFS_MAX, &s->sriov },
		{ "dsn", 0x7e570000c0ffee00, ~0ull, &s->dsn }, { "vendor", 1, 1, &s->vendor }, { "vpd", 1, 1, &s->vpd },
		{ "msix", 16, PCITEST_MSIX_MAX, &s->msix }, { "vga", 0, 1, &s->vga },
	};
	int err = parse_reset(hw, s);

	for (size_t i = 0; i < ARRAY_SIZE(numbers) && !err; i++)
		err = hw_option_u64(hw, numbers[i].key, numbers[i].dflt, 0, numbers[i].max, numbers[i].val);
	if (!err)
		err = parse_msi(hw, s);
	if (!err && s->sriov && !(s->express && s->flr)) {
		hw_explain(hw, "pcitest: sriov=%u needs express=1 and reset=flr", (unsigned)s->sriov);
		err = -EINVAL;
	}
	if (!s->express)
		s->flr = false;
	return err;
}

static int add_vpd(struct hw_device *hw)
{
	u8 image[512];
	unsigned rw_off;
	int len = hw_vpd_text(image, sizeof(image), "softvfio pcitest", "PCITEST-1", hw_name(hw), 32, &rw_off);

	return len < 0 ? len : hw_cap_add_vpd(hw, image, (unsigned)len, rw_off);
}

static int add_caps(struct hw_device *hw, const struct shape *s)
{
	static const u8 body[5] = { 0x11, 0x22, 0x33, 0x44, 0x55 }, writable[5] = { 0, 0xff, 0, 0x0f, 0xff };
	int err = hw_cap_add_pm(hw, !s->soft_reset);

	if (err >= 0 && s->express)
		err = hw_cap_add_express(hw, s->flr);
	if (err >= 0 && s->msi)
		err = hw_cap_add_msi(hw, (unsigned)s->msi, true, true);
	if (err >= 0 && s->msix)
		err = hw_cap_add_msix(hw, (unsigned)s->msix, 0, PCITEST_MSIX_TABLE, PCITEST_MSIX_PBA);
	if (err >= 0 && s->af)
		err = hw_cap_add_af(hw);
	if (err >= 0 && s->vpd)
		err = add_vpd(hw);
	if (err >= 0 && s->vendor)
		err = hw_cap_add_vendor(hw, body, writable, sizeof(body));
	return err < 0 ? err : 0;
}

static int add_sriov(struct hw_device *hw, unsigned total)
{
	const struct hw_sriov sriov = {
		.total_vfs = total, .offset = 0x80, .stride = 1, .vf_device = PCITEST_VF_DEVICE,
		.bar_bytes = { [0] = PCITEST_BAR0_BYTES, [2] = PCITEST_BAR2_BYTES },
		.bar_flags = { [0] = HW_BAR_MEM64, [2] = HW_BAR_MEM64 | HW_BAR_PREFETCH },
		.vf_model = &pcitest_vf_model,
	};

	return hw_ext_cap_add_sriov(hw, &sriov);
}

static int add_ext_caps(struct hw_device *hw, const struct shape *s)
{
	static const u8 body[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, writable[8] = { 0xff, 0, 0xff };
	int err = 0;

	if (s->aer)
		err = hw_ext_cap_add_aer(hw);
	if (err >= 0 && s->dsn)
		err = hw_ext_cap_add_dsn(hw, s->dsn);
	if (err >= 0)
		err = hw_ext_cap_add_ari(hw, 0);
	if (err >= 0)
		err = hw_ext_cap_add_acs(hw);
	if (err >= 0)
		err = hw_ext_cap_add_ltr(hw);
	if (err >= 0 && s->ats)
		err = hw_ext_cap_add_ats(hw, 32);
	if (err >= 0 && s->pri)
		err = hw_ext_cap_add_pri(hw, (uint32_t)s->pri);
	if (err >= 0 && s->pasid)
		err = hw_ext_cap_add_pasid(hw, (unsigned)s->pasid, true, true);
	if (err >= 0 && s->vendor)
		err = hw_ext_cap_add_vendor(hw, 0x7e57, 1, body, writable, sizeof(body));
	if (err >= 0 && s->sriov)
		err = add_sriov(hw, (unsigned)s->sriov);
	return err < 0 ? err : 0;
}

static int add_bar2(struct hw_device *hw)
{
	int err = hw_bar_add(hw, 2, PCITEST_BAR2_BYTES, HW_BAR_MEM64 | HW_BAR_PREFETCH);

	if (!err)
		err = hw_bar_set_pages(hw, 2, 0, PCITEST_BAR2_READ_DIRECT, HW_PAGE_DIRECT);
	if (!err)
		err = hw_bar_set_pages(hw, 2, PCITEST_BAR2_READ_DIRECT, HW_PAGE_BYTES, HW_PAGE_READ_DIRECT);
	return err;
}

static int add_bars(struct hw_device *hw, const struct shape *s)
{
	const char *rom = hw_option(hw, "rom");
	int err = hw_bar_add(hw, 0, PCITEST_BAR0_BYTES, HW_BAR_MEM32);

	if (!err)
		err = hw_bar_set_pages(hw, 0, PCITEST_DIRECT, HW_PAGE_BYTES, HW_PAGE_DIRECT);
	if (!err)
		err = hw_bar_add(hw, 1, PCITEST_IO_BYTES, HW_BAR_IO);
	if (!err)
		err = add_bar2(hw);
	for (unsigned bar = 4; bar < 6 && !err; bar++)
		err = hw_bar_add(hw, bar, PCITEST_SMALL_BYTES, HW_BAR_MEM32);
	if (!err && rom)
		err = hw_rom_load(hw, rom);
	if (!err && s->vga)
		err = hw_vga_add(hw);
	return err;
}

static int make_state(struct hw_device *hw, unsigned pasid_bits, bool pri, bool ats)
{
	struct pcitest *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock, LOCK_HW_MODEL);
	t->hw = hw;
	t->pasid_bits = pasid_bits;
	t->pri = pri;
	t->ats = ats;
	sem_init(&t->wake, 0, 0);
	t->dma = hw_dma_open(hw);
	hw_set_private(hw, t);
	if (t->dma)
		return 0;
	sem_destroy(&t->wake);
	mutex_destroy(&t->lock);
	free(t);
	return -ENOMEM;
}

static int pcitest_create(struct hw_device *hw)
{
	struct hw_pci_id id = {
		.vendor = PCITEST_VENDOR, .device = PCITEST_DEVICE, .subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100, .revision = 1, .intx_pin = 1,
	};
	struct shape shape = { 0 };
	int err = parse(hw, &shape);

	if (err)
		return err;
	id.express = shape.express;
	id.class_code = shape.vga ? 0x030000 : (uint32_t)shape.class;
	hw_pci_identify(hw, &id);
	err = add_bars(hw, &shape);
	if (!err)
		err = add_caps(hw, &shape);
	if (!err && shape.express)
		err = add_ext_caps(hw, &shape);
	return err ? err : make_state(hw, shape.express ? (unsigned)shape.pasid : 0, shape.express && shape.pri,
				      shape.express && shape.ats);
}

static int pcitest_vf_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = PCITEST_VENDOR, .device = PCITEST_VF_DEVICE, .subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100, .class_code = 0x00ff00, .revision = 1, .express = true,
	};
	const struct pcitest *pf = hw_private(hw_physfn(hw)); /* PASIDs and page requests are a physical function's */
	int err;

	hw_pci_identify(hw, &id);
	err = hw_bar_add(hw, 0, PCITEST_BAR0_BYTES, HW_BAR_MEM64);
	if (!err)
		err = add_bar2(hw);
	if (!err)
		err = hw_cap_add_express(hw, true);
	if (err >= 0)
		err = hw_cap_add_msix(hw, 4, 0, PCITEST_MSIX_TABLE, PCITEST_MSIX_PBA);
	if (err >= 0)
		err = hw_ext_cap_add_aer(hw);
	if (err >= 0)
		err = hw_ext_cap_add_ari(hw, 0);
	if (err >= 0 && pf->ats)
		err = hw_ext_cap_add_ats(hw, 32);
	return err < 0 ? err : make_state(hw, pf->pasid_bits, pf->pri, pf->ats);
}

static void pcitest_destroy(struct hw_device *hw)
{
	struct pcitest *t = hw_private(hw);

	atomic_store(&t->stop, true);
	sem_post(&t->wake);
	hw_thread_join(t->thread);
	hw_dma_close(t->dma);
	sem_destroy(&t->wake);
	mutex_destroy(&t->lock);
	free(t);
}

static const struct hw_key pcitest_keys[] = {
	{ "class", "CLASS", "class code, as 0x020000 for a network device (0x00ff00)" },
	{ "express", "0|1", "PCI Express, or conventional PCI without extended capabilities (1)" },
	{ "reset", "flr|af|pm|none", "how the function can be reset (flr)" },
	{ "msi", "N", "vectors of MSI; 0: no MSI (4)" },
	{ "msix", "N", "vectors of MSI-X, at most 128; 0: no MSI-X (16)" },
	{ "rom", "FILE", "a ROM BAR with that file in it" },
	{ "vga", "0|1", "a VGA device with legacy addresses (0)" },
	{ "vpd", "0|1", "vital product data (1)" },
	{ "vendor", "0|1", "vendor specific capabilities (1)" },
	{ "aer", "0|1", "advanced error reporting (1)" },
	{ "dsn", "SERIAL", "device serial number; 0: none (0x7e570000c0ffee00)" },
	{ "ats", "0|1", "address translation services (1)" },
	{ "pri", "N", "outstanding page requests; 0: no PRI, and copies do not wait for pages (32)" },
	{ "pasid", "BITS", "process address space ids; 0: none (16)" },
	{ "sriov", "N", "virtual functions, at most 64; 0: no SR-IOV (0)" },
	{ 0 },
};

const struct hw_model pcitest_model = {
	.name = "pcitest",
	.summary = "one of everything: BARs, capabilities, resets, errors, virtual functions",
	.keys = pcitest_keys,
	.create = pcitest_create,
	.destroy = pcitest_destroy,
	.reset = pcitest_reset,
	.bar_read = pcitest_read,
	.bar_write = pcitest_write,
};

static const struct hw_model pcitest_vf_model = {
	.name = "pcitest-vf",
	.summary = "a virtual function of pcitest",
	.create = pcitest_vf_create,
	.destroy = pcitest_destroy,
	.reset = pcitest_reset,
	.bar_read = pcitest_read,
	.bar_write = pcitest_write,
};
