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

/* What a device needs from its surroundings; any op may be NULL.  Any thread; no lock of hw/core held. */
struct hw_host_ops {
	/** msi - a message write into the interrupt window */
	void (*msi)(void *host, u64 addr, u32 data);
	/** intx - the pin, gated by command register and MSI, went high (true) or low */
	void (*intx)(void *host, bool asserted);
	/** store_open - see hw_store_open() */
	int (*store_open)(void *host, const char *name, u64 size_bytes);
	/** hide_fd - move a descriptor out of the program's way.  Return: its new number.  close_fd closes
	 * it. */
	int (*hide_fd)(void *host, int fd);
	void (*close_fd)(void *host, int fd);
	/** explain - a finished line */
	void (*explain)(void *host, const char *text);
	/** decode_changed - memory or I/O decoding, or a BAR's address, changed */
	void (*decode_changed)(void *host);
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
void hw_device_destroy(struct hw_device *hw);

/* These have the shape of struct pci_hw_ops; @hw is a struct hw_device. */
u32 hw_config_read(void *hw, unsigned off, unsigned len);
void hw_config_write(void *hw, unsigned off, unsigned len, u32 val);
u64 hw_bar_read(void *hw, unsigned bar, u64 off, unsigned len);
void hw_bar_write(void *hw, unsigned bar, u64 off, unsigned len, u64 val);
/** hw_bar_page - Return: enum hw_page_kind */
int hw_bar_page(void *hw, unsigned bar, u64 off, int *ret_fd, u64 *ret_fd_off, u64 *ret_len);
void hw_reset(void *hw, bool bus);

unsigned hw_config_size(const struct hw_device *hw);
struct hw_stats {
	u64 dma_read_bytes, dma_written_bytes, dma_faults, msi_sent, intx_raised, bar_reads, bar_writes;
};
void hw_stats_get(struct hw_device *hw, struct hw_stats *ret);

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
