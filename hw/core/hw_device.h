/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_device.h - the inside of a device: what machine/ needs to plug one into a bus.
 *
 * Models see only include/softvfio/hw.h.
 */
#ifndef HW_CORE_HW_DEVICE_H
#define HW_CORE_HW_DEVICE_H

#include <softvfio/hw.h>

#include "kernel/lib/types.h"

struct hw_iommu;

enum hw_aer_severity { HW_AER_CORRECTABLE, HW_AER_NONFATAL, HW_AER_FATAL };

/* What a device needs from its surroundings; any op may be NULL.  Any thread; no lock of hw/core held. */
struct hw_host_ops {
	/** msi - a message write into the interrupt window */
	void (*msi)(void *host, u64 addr, u32 data);
	/** intx - the pin, gated by command register and MSI, went high (true) or low */
	void (*intx)(void *host, bool asserted);
	/** wire - of a platform device: an edge, or a level went high */
	void (*wire)(void *host, unsigned wire);
	/** store_open - see hw_store_open() */
	int (*store_open)(void *host, const char *name, u64 size_bytes);
	/** hide_fd - move a descriptor out of the program's way.  Return: its new number.  close_fd closes
	 * it. */
	int (*hide_fd)(void *host, int fd);
	void (*close_fd)(void *host, int fd);
	/** explain - a finished line */
	void (*explain)(void *host, const char *text);
	/** aer - an error message, gated by mask and Device Control; may come inside a BAR access */
	void (*aer)(void *host, enum hw_aer_severity severity, u32 status);
	/** decode_changed - memory or I/O decoding, or a BAR's address, changed */
	void (*decode_changed)(void *host);
	/** pages_changed - hw_bar_page() answers otherwise from now on.  May come inside a BAR access. */
	void (*pages_changed)(void *host);
	/** link_changed - the link to the port above went up or down.  May come inside a BAR access. */
	void (*link_changed)(void *host, bool up);
	/** removed - the device was pulled out; it is as good as gone already.  May come inside a BAR access. */
	void (*removed)(void *host);
};

struct hw_option_kv { const char *key, *value; };

/**
 * hw_device_create - build an instance of @model
 * @name: "0000:01:00.0"; @options: of the user, NULL-key ended, copied; unknown keys are refused with
 * a reason that lists the known ones.  @iommu, @devid: where its DMA goes (NULL: none, DMA fails).
 * Return: the device; ERR_PTR of kernel/lib/err.h.
 */
struct hw_device *hw_device_create(const struct hw_model *model, const char *name,
				   const struct hw_option_kv *options, const struct hw_host_ops *host_ops,
				   void *host, struct hw_iommu *iommu, u16 devid);
/** hw_sriov_total_vfs - how many virtual functions it can have, and where they are; 0 none. */
unsigned hw_sriov_total_vfs(const struct hw_device *hw, unsigned *ret_offset, unsigned *ret_stride);
/**
 * hw_device_create_vf - build virtual function @index of @physfn, which must outlive it
 * Return: as hw_device_create(); -EINVAL also if its BARs are not those that @physfn announced.
 */
struct hw_device *hw_device_create_vf(struct hw_device *physfn, unsigned index, const char *name,
				      const struct hw_host_ops *host_ops, void *host, struct hw_iommu *iommu,
				      u16 devid);
const struct hw_model *hw_device_model(const struct hw_device *hw);
/** hw_config_multifunction - its header says that the slot has more functions.  Before anybody else sees @hw. */
void hw_config_multifunction(struct hw_device *hw);
void hw_device_destroy(struct hw_device *hw);

/* These have the shape of struct pci_hw_ops; @hw is a struct hw_device. */
u32 hw_config_read(void *hw, unsigned off, unsigned len);
void hw_config_write(void *hw, unsigned off, unsigned len, u32 val);
u64 hw_bar_read(void *hw, unsigned bar, u64 off, unsigned len);
void hw_bar_write(void *hw, unsigned bar, u64 off, unsigned len, u64 val);
/** hw_bar_page - Return: enum hw_page_kind */
int hw_bar_page(void *hw, unsigned bar, u64 off, int *ret_fd, u64 *ret_fd_off, u64 *ret_len);
void hw_reset(void *hw, bool bus);

/* The same for struct platform_hw_ops; regions are read and written as BARs are. */
bool hw_wire_level(void *hw, unsigned wire);
void hw_platform_reset(void *hw);
struct hw_platform_layout {
	unsigned nr_regions, nr_wires;
	struct { u64 size_bytes; bool readonly; } region[HW_REGIONS];
	bool level[HW_WIRES];
	bool resettable;
};
/** hw_platform_layout - what create() of a platform device's model added. */
void hw_platform_layout(const struct hw_device *hw, struct hw_platform_layout *ret);

/* ---- migration (migrate.c).  A driver asks; it sees to the order of what follows. ---- */

/** hw_can_migrate - has the model what it takes? */
bool hw_can_migrate(void *hw);
/** hw_quiesce - stop the device, or let it go on; not twice.  While stopped its interrupts become pending. */
void hw_quiesce(void *hw, bool stop);
/** hw_forget - the model is as after a reset, config space stays; while stopped */
void hw_forget(void *hw);
/**
 * hw_save_head - the first bytes of a stream: whose state it is;  hw_save_state - the rest, while quiesced
 * *@ret_buf is malloc'ed.  Return: 0; -ENOMEM; what the model says.  Reason given.
 */
int hw_save_head(void *hw, void **ret_buf, size_t *ret_len);
int hw_save_state(void *hw, void **ret_buf, size_t *ret_len);
/** hw_save_size - about how long the whole stream will be */
u64 hw_save_size(void *hw);
/**
 * hw_load_check - the first @len bytes of a stream have come: can it be one for this device?
 * Return: 0 so far yes; -EINVAL no, reason given.
 */
int hw_load_check(void *hw, const void *buf, size_t len);
/**
 * hw_load_state - take over the state of a whole stream, while quiesced
 * Return: 0; -EINVAL it is not whole or not for this device, nothing was changed; -EBADMSG the model
 * refused it, and the device is as after a reset.  Reason given.
 */
int hw_load_state(void *hw, const void *buf, size_t len);

/* ---- the log of DMA writes (dirty.c) ---- */

struct hw_log_range { u64 iova, length; };

/**
 * hw_log_start - from now on note each page that the device writes to, in @ranges, which do not overlap
 * @page_size: wanted; becomes what is done: a power of two, larger if the bitmap would be too large
 * Return: 0; -EINVAL it is on already; -ENOMEM.  Reason given.
 */
int hw_log_start(void *hw, const struct hw_log_range *ranges, u32 count, u64 *page_size);
/** hw_log_stop - Return: 0; -EINVAL it is not on. */
int hw_log_stop(void *hw);
/** hw_log_end - stop it if it is on. */
void hw_log_end(void *hw);
/**
 * hw_log_read_and_clear - call @dirty for pages that were written in [@iova, @last], ascending
 * What it is called with may reach over both ends by less than a page.  Return: 0; -EINVAL it is not on.
 */
int hw_log_read_and_clear(void *hw, u64 iova, u64 last, void (*dirty)(void *arg, u64 iova, u64 last), void *arg);

unsigned hw_config_size(const struct hw_device *hw);
struct hw_stats {
	u64 dma_read_bytes, dma_written_bytes, dma_faults, msi_sent, intx_raised, bar_reads, bar_writes;
	u64 injected; /* faults on order that struck */
};
void hw_stats_get(struct hw_device *hw, struct hw_stats *ret);

/**
 * hw_inject - order faults; the grammar stands in inject.c
 * @now: the device runs, so what needs no event strikes before this returns; else at the first access
 *
 * Any thread, no lock held.  Return: 0; -EINVAL for text that is no order, -ENOSPC, -ENOMEM; reason given,
 * and nothing was ordered.
 */
int hw_inject(struct hw_device *hw, const char *text, bool now);
/** hw_inject_check - is @text sound?  0; -EINVAL, -ENOSPC, -ENOMEM, reason given. */
int hw_inject_check(const char *text);
/** hw_inject_help - the @n-th fault there is.  Return: its name, and *@ret_text what it does; NULL behind the last. */
const char *hw_inject_help(unsigned n, const char **ret_text);
/** hw_inject_open - the orders that may still strike, as text.  Return: how many. */
unsigned hw_inject_open(struct hw_device *hw, char *buf, size_t size);
/** hw_link_set - for the port above a device: is there anybody at the other end? */
void hw_link_set(struct hw_device *port, bool up);
/** hw_is_down - the device does not answer: its link is down, or it hangs. */
bool hw_is_down(const struct hw_device *hw);

/** hw_models - all built-in models, NULL-ended (hw/core/models.c lists them). */
extern const struct hw_model *const hw_models[];
const struct hw_model *hw_model_find(const char *name);

/**
 * hw_plugin_load - the model of the shared object @path, an absolute name
 *
 * Runs the object's constructors.  Loaded once for each name; stays for the life of the process.
 * Return: the model; ERR_PTR, reason given: -EINVAL for whatever is no plugin of this HW_ABI, the
 * -errno of open(), -ENOMEM.
 */
const struct hw_model *hw_plugin_load(const char *path);
/** hw_plugin_path - the name that @model was loaded by; NULL if it is built in. */
const char *hw_plugin_path(const struct hw_model *model);
/** hw_plugin_used - was any plugin's code run?  Async-signal-safe. */
bool hw_plugin_used(void);

#endif
