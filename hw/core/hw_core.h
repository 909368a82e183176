/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_core.h - struct hw_device, shared by the files of hw/core only.
 *
 *	device.c	making and unmaking an instance, its options, what a model asks of the host
 *	config.c	config space: bytes, masks, what a write causes
 *	bar.c		BARs: pages, memory behind direct pages, dispatch of accesses
 *	irq.c		MSI, MSI-X and the pin
 *	caps.c		capabilities that are registers and little more
 *	vpd.c		vital product data
 *	aer.c		advanced error reporting
 *	sriov.c		physical and virtual functions
 *	dma.c		bus mastering
 *	dirty.c		the log of what DMA wrote
 *	migrate.c	the device's state as a stream of bytes; stream.c what models see of that
 *	reset.c		back to power-on state
 *	inject.c	faults on order
 *	plugin.c	models from shared objects
 *	wire.c		platform devices: regions and interrupt wires
 *
 * Config space is four arrays of the same shape.  A byte that a driver writes becomes
 * (old & ~wmask) | (new & wmask), less the bits of w1c that it wrote as one.  A reset copies "reset"
 * back; what create() put in place is what reset returns to.
 *
 * Interrupt state has a lock of its own, inner to that of config space: a config write copies what
 * decides about interrupts into hw->irq, so that sending one never takes the config lock.
 *
 * Callbacks (of the model and of the host) run with neither lock held.
 */
#ifndef HW_CORE_HW_CORE_H
#define HW_CORE_HW_CORE_H

#include <bsd/sys/queue.h>
#include <stdatomic.h>

#include "hw/core/hw_device.h"
#include "hw/core/stream.h"
#include "kernel/lib/mutex.h"

#define HW_MSI_MAX 32
#define HW_MSIX_MAX 2048

/* Registers of the header that more than one file names (PCI Local Bus 3.0, 6.1). */
#define HW_CFG_COMMAND 0x04
#define HW_CFG_STATUS 0x06
#define HW_CFG_BAR0 0x10
#define HW_CFG_CAP_PTR 0x34
#define HW_CMD_IO 0x0001u
#define HW_CMD_MEMORY 0x0002u
#define HW_CMD_MASTER 0x0004u
#define HW_CMD_INTX_DISABLE 0x0400u
#define HW_STATUS_INTX 0x0008u
#define HW_STATUS_CAPS 0x0010u
#define HW_PM_D3HOT 3u

struct hw_bar {
	u64 size_bytes;	/* 0: absent */
	unsigned flags;
	bool upper;	/* the high half of the 64-bit BAR one below */
	u8 *kinds;	/* enum hw_page_kind per page; NULL: all trapped */
	u8 *mem;	/* memory as long as the BAR, mapped from hw->mem_fd; NULL: no direct page */
	u64 mem_off;	/* of mem in hw->mem_fd */
};

/* What decides about interrupts; all under hw->irq_lock. */
struct hw_irq {
	bool level;	     /* the pin as the model wants it */
	bool line;	     /* as gated: what the host was told last */
	bool intx_disabled;
	bool msi_enabled, msix_enabled, msix_masked;
	unsigned msi_granted; /* 1, 2, 4 .. 32 */
	u64 msi_addr;
	u32 msi_data, msi_mask, msi_pending;
	u32 *msix_table;      /* 4 words a vector, as laid out in the BAR; in host order */
	u64 *msix_pending;
	bool quiesced;	      /* nothing is sent: it becomes pending */
	/* Pending bits that a stream brought.  Apart, since a driver that sets MSI up clears the others. */
	u32 msi_loaded;
	u64 msix_loaded[HW_MSIX_MAX / 64];
	u16 wires;	      /* of a platform device: a bit set for each that is asserted */
};

struct hw_dma_log;

struct hw_device {
	/* immutable after create() */
	const struct hw_model *model;
	char *name;
	struct hw_option_kv *options;
	unsigned nr_options;
	const struct hw_host_ops *host_ops;
	void *host;
	struct hw_iommu *iommu;
	u16 devid;
	void *priv;
	bool creating; /* model->create() is running: the layout may change, hw_explain() is a reason */
	atomic_bool saving; /* model->save() or load() is: hw_explain() is a reason */
	bool bridge, express;
	u8 pin;
	unsigned cfg_size, next_cap, last_cap, next_ext_cap, last_ext_cap;
	u8 msi_cap, msix_cap, pm_cap, pcie_cap, af_cap, vpd_cap;
	u16 aer_cap, sriov_cap;
	struct hw_sriov sriov; /* of a physical function */
	struct hw_device *physfn; /* of a virtual one */
	unsigned vf_index;
	bool msi_64, msi_maskable, no_soft_reset, flr;
	unsigned msi_vectors, msix_vectors, msix_bar;
	u32 msix_table_off, msix_pba_off;
	unsigned nr_regions, nr_wires; /* of a platform device */
	u16 level_wires;	       /* a bit set for each that is level triggered */
	bool resettable;
	u8 *rom; /* content of the ROM BAR, all of it; NULL: the model answers */
	unsigned vpd_bytes, vpd_rw_off;
	struct hw_bar bars[HW_BARS + 2]; /* and ROM, legacy VGA; or regions */
	int mem_fd; /* backs direct and read-direct pages of all BARs; -1 none */
	u64 mem_bytes;

	struct mutex cfg_lock; /* LOCK_HW_CONFIG, outside irq_lock: cfg, engines */
	u8 cfg[HW_CONFIG_BYTES];
	u8 *vpd; /* vpd_bytes of content */
	/* immutable after create() */
	u8 wmask[HW_CONFIG_BYTES], w1c[HW_CONFIG_BYTES], reset[HW_CONFIG_BYTES];
	LIST_HEAD(, hw_dma) engines;
	struct hw_stats closed; /* of engines that are gone */

	struct mutex irq_lock; /* LOCK_HW_IRQ */
	struct hw_irq irq;

	/* dirty.c.  Changed under cfg_lock; who marks is counted, so that it is freed after the last. */
	_Atomic(struct hw_dma_log *) log;
	atomic_uint log_users;

	struct hw_device **vfs; /* sriov.total_vfs of them; NULL: not there.  Changes only as they come and go */
	atomic_bool vf_memory; /* virtual functions answer; written under cfg_lock */
	atomic_bool mastering;	/* bus master bit set, and not in D3hot; written under cfg_lock */
	atomic_flag resetting;
	_Atomic(struct hw_inject *) inject; /* inject.c: NULL until the first order; then it stays */
	atomic_uint down;	/* HW_DOWN_ bits: why it does not answer */
	atomic_uint_least64_t injected;
	atomic_uint_least64_t msi_sent, intx_raised, bar_reads, bar_writes;
};

/* config.c; config bytes are little endian whatever the host is */
u16 hw_cfg_get16(const u8 *p);
u32 hw_cfg_get32(const u8 *p);
void hw_cfg_put16(u8 *p, u16 val);
void hw_cfg_put32(u8 *p, u32 val);
/** hw_config_bar_layout - make the BAR registers of a BAR that was added. */
void hw_config_bar_layout(struct hw_device *hw, unsigned bar);
/** hw_config_created - create() is done: its config bytes are the reset values. */
void hw_config_created(struct hw_device *hw);
/** hw_config_master_off - the first step of a reset.  Return: was it on? */
bool hw_config_master_off(struct hw_device *hw);
/** hw_config_reset - all bytes back to reset values; the model and the host are told what changed. */
void hw_config_reset(struct hw_device *hw, bool master_before);
/** hw_config_sync_locked - copy what config bytes say of interrupts and bus mastering; cfg_lock held. */
void hw_config_sync_locked(struct hw_device *hw);

/* bar.c */
void hw_bar_free(struct hw_device *hw);

/* irq.c */
void hw_irq_free(struct hw_device *hw);
/** hw_irq_config_locked - take over MSI, MSI-X and INTx bits from config space; cfg_lock held. */
void hw_irq_config_locked(struct hw_device *hw);
/** hw_irq_update - send what is pending and no longer masked, tell the line's level.  No lock held. */
void hw_irq_update(struct hw_device *hw);
void hw_irq_reset(struct hw_device *hw);
/** hw_msix_read, hw_msix_write - an access inside the table or the pending bits. */
u64 hw_msix_read(struct hw_device *hw, u64 off, unsigned len);
void hw_msix_write(struct hw_device *hw, u64 off, unsigned len, u64 val);
/** hw_msix_covers - does [off, off+len) of the BAR touch them? */
bool hw_msix_covers(const struct hw_device *hw, unsigned bar, u64 off, u64 len);
/** hw_msi_pending - the pending register of MSI. */
u32 hw_msi_pending(struct hw_device *hw);
bool hw_intx_level(struct hw_device *hw);

/** hw_irq_quiesce - send nothing any more, or send what has become pending meanwhile */
void hw_irq_quiesce(struct hw_device *hw, bool stop);
/** hw_irq_save, hw_irq_load - what is pending, and the pin.  Load: -EINVAL, reason given. */
void hw_irq_save(struct hw_device *hw, struct hw_stream *out);
int hw_irq_load(struct hw_device *hw, struct hw_stream *in);

/* dirty.c */
/** hw_log_mark - [iova, +len) was written to by DMA; after the write.  Any thread, no lock held. */
void hw_log_mark(struct hw_device *hw, u64 iova, u64 len);

/* sriov.c */
void hw_sriov_free(struct hw_device *hw);
/** hw_sriov_sync_locked - take over what the SR-IOV control register says.  cfg_lock held. */
void hw_sriov_sync_locked(struct hw_device *hw);
/* vpd.c */
/** hw_vpd_written_locked - the address register was written: move four bytes.  cfg_lock held. */
void hw_vpd_written_locked(struct hw_device *hw);

/* aer.c */
/** hw_aer_save_locked, hw_aer_restore_locked - its registers outlive resets.  cfg_lock held. */
#define HW_AER_STICKY_BYTES 0x28 /* from the first status register to the end of the header log */
void hw_aer_save_locked(const struct hw_device *hw, u8 *ret);
void hw_aer_restore_locked(struct hw_device *hw, const u8 *saved);

/* wire.c */
/** hw_wires_reset - all wires are taken back. */
void hw_wires_reset(struct hw_device *hw);
/** hw_irq_is_lost - does an interrupt that is about to leave get lost?  @vector, a wire, or HW_INTX. */
bool hw_irq_is_lost(struct hw_device *hw, unsigned vector);
/** hw_msi_inject - send vector @v though nothing happened.  Return: false: neither MSI nor MSI-X is on. */
bool hw_msi_inject(struct hw_device *hw, unsigned v);

/* inject.c; each is called for an event if there are orders */
#define HW_DOWN_LINK 1u
#define HW_DOWN_HUNG 2u
#define HW_INTX (~0u) /* as a vector */
/** hw_set_down - a reason not to answer comes or goes; the host is told. */
void hw_set_down(struct hw_device *hw, unsigned why, bool down);
/** hw_inject_dma - a transfer begins; may sleep.  Return: it faults. */
bool hw_inject_dma(struct hw_device *hw, struct hw_inject *inject);
/** hw_inject_irq - Return: the interrupt is lost. */
bool hw_inject_irq(struct hw_device *hw, struct hw_inject *inject, unsigned vector);
/** hw_inject_reset - Return: the device does not come back. */
bool hw_inject_reset(struct hw_device *hw, struct hw_inject *inject);
void hw_inject_access(struct hw_device *hw, struct hw_inject *inject);
void hw_inject_free(struct hw_device *hw);
static inline struct hw_inject *hw_orders(struct hw_device *hw)
{
	return atomic_load_explicit(&hw->inject, memory_order_acquire);
}
static inline bool hw_down(const struct hw_device *hw)
{
	return unlikely(atomic_load_explicit(&hw->down, memory_order_relaxed));
}
/** hw_answers - is it there, and does its physical function let it answer? */
static inline bool hw_answers(const struct hw_device *hw)
{
	return !hw_down(hw) &&
	       (likely(!hw->physfn) || (atomic_load(&hw->physfn->vf_memory) && !hw_down(hw->physfn)));
}

/* dma.c */
void hw_dma_stats(struct hw_device *hw, struct hw_stats *stats);
/** hw_dma_stop_waiting - bus mastering is off: page requests are over, so that the model can stop its threads. */
void hw_dma_stop_waiting(struct hw_device *hw);

#endif
