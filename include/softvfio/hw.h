/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw.h - how a device model is written.
 *
 * A model is the silicon: registers, config space, DMA, interrupts.  It sees nothing of VFIO and
 * nothing of the program: it is told of accesses to its BARs, reads and writes client memory by I/O
 * virtual address, and raises interrupts.  Whatever drives it (vfio-pci today) is on the other side
 * of this header.
 *
 * Words.  "hw" is one device instance.  An "iova" is what the device puts on the bus; the IOMMU
 * decides what it means.  A BAR is made of 4 KiB pages, each direct (plain memory that the program
 * maps and the model polls), read-direct (loads are plain memory, stores reach the model) or trapped
 * (every access reaches the model).
 *
 * Threads.  bar_read and bar_write run on whatever thread touched the BAR, several at a time: a
 * model locks its own state.  No function of this header needs a lock of the model to be dropped,
 * but a model must not hold a lock that its bar_read or bar_write takes while it calls
 * hw_dma_read() or hw_dma_write(): an IOVA may be a BAR of this very device (peer to peer).
 *
 * Sources: PCI Local Bus 3.0 (config header, MSI, MSI-X), PCI Express Base 5.0.
 */
#ifndef SOFTVFIO_HW_H
#define SOFTVFIO_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HW_BARS 6
#define HW_ROM_BAR 6
#define HW_PAGE_BYTES 4096u
#define HW_CONFIG_BYTES 4096u	     /* PCI Express */
#define HW_CONFIG_BYTES_PCI 256u     /* conventional PCI */
#define HW_DMA_MAX (1u << 30)	     /* most bytes in one hw_dma_read() or hw_dma_write() */

struct hw_device;
struct hw_dma;

enum hw_page_kind {
	HW_PAGE_TRAPPED,     /* loads and stores reach bar_read/bar_write; the default */
	HW_PAGE_READ_DIRECT, /* loads read hw_bar_memory(); stores reach bar_write */
	HW_PAGE_DIRECT,	     /* both are plain memory; the model is told of nothing */
};

enum hw_bar_flags {
	HW_BAR_MEM32 = 0,
	HW_BAR_IO = 1 << 0,	  /* I/O space: reached by read and write only */
	HW_BAR_MEM64 = 1 << 1,	  /* takes the next index too */
	HW_BAR_PREFETCH = 1 << 2,
};

/* One key=value that a model understands on the command line or in a machine file. */
struct hw_key {
	const char *name;
	const char *value; /* what stands behind '=' in help texts: "SIZE", "512|4096"; a "PATH" is made absolute */
	const char *help;
};

/**
 * struct hw_model - a kind of device
 *
 * @create: build the device: identify it (hw_pci_identify), add BARs and capabilities, parse keys
 *	(hw_option) and set hw_set_private().  No thread may be started here: an instance is also built
 *	only to be listed.  Return 0 or -errno; say why with hw_explain().  After an error @destroy is
 *	not called: undo what was done.
 * @destroy: stop threads, free all.  Runs when no access is under way and none will come.
 * @reset: function level or bus reset: DMA stopped, registers at their reset values, no interrupt
 *	raised.  On return no DMA of before the reset is under way.  Config space is reset by the core.
 * @bar_read, @bar_write: an access of 1, 2, 4 or 8 bytes, naturally aligned, inside the BAR.  A wide
 *	load or store of the program comes in 8-byte pieces, lowest address first.  A read returns the
 *	value in the low bytes.  ROM is index HW_ROM_BAR.  May be NULL if every page of every BAR is direct.
 * @config_written: config bytes [off, off+len) were changed by the driver; optional.  The core
 *	handles BARs, command, MSI, MSI-X, PM and PCIe function level reset itself.
 * @bus_master: bus mastering was switched on or off; optional.
 *
 * Exactly one of these exists per model, const, and lives as long as the process.
 */
struct hw_model {
	const char *name;
	const char *summary; /* one line for `softvfio devices` */
	const struct hw_key *keys; /* ends with a NULL name */

	int (*create)(struct hw_device *hw);
	void (*destroy)(struct hw_device *hw);
	void (*reset)(struct hw_device *hw);
	uint64_t (*bar_read)(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len);
	void (*bar_write)(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val);
	void (*config_written)(struct hw_device *hw, unsigned off, unsigned len);
	void (*bus_master)(struct hw_device *hw, bool on);
};

/* ---- what a model calls in create() ------------------------------------------------------- */

struct hw_pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: base class, sub-class, programming interface */
	uint8_t revision;
	uint8_t intx_pin;    /* 0 none, 1 INTA .. 4 INTD */
	bool express;	     /* 4096 bytes of config space and a PCI Express capability may follow */
	bool bridge;	     /* type 1 header */
};

/** hw_pci_identify - fill the header of config space.  First call of create().  Never fails. */
void hw_pci_identify(struct hw_device *hw, const struct hw_pci_id *id);

/**
 * hw_bar_add - give the device a BAR
 * @bar: 0..5, or HW_ROM_BAR
 * @size_bytes: a power of two, at least 16 (memory) or 4 (I/O)
 * @flags: enum hw_bar_flags
 *
 * All pages start trapped.  Return: 0; -EINVAL for a bad size or index, -EBUSY if taken, -ENOMEM.
 */
int hw_bar_add(struct hw_device *hw, unsigned bar, uint64_t size_bytes, unsigned flags);

/** hw_bar_set_pages - make the pages of [off, off+len) of one kind; page aligned; create() only. */
int hw_bar_set_pages(struct hw_device *hw, unsigned bar, uint64_t off, uint64_t len, enum hw_page_kind kind);

/**
 * hw_bar_memory - the memory behind direct and read-direct pages of a BAR
 *
 * Return: its first byte, valid until destroy; NULL if the BAR has no such page.  Shared with the
 * program: its content may change at any time, so copy before checking.
 */
void *hw_bar_memory(struct hw_device *hw, unsigned bar);

/**
 * hw_cap_add - add a capability at the next free place of config space
 * @id: capability id; @body: the bytes after id and next pointer; @writable: as many bytes, a bit
 *	set for each bit that a driver may change; NULL for none
 * Return: its offset; -ENOSPC.
 */
int hw_cap_add(struct hw_device *hw, uint8_t id, const void *body, const void *writable, unsigned body_len);
/** hw_ext_cap_add - the same in extended config space; only for express devices. */
int hw_ext_cap_add(struct hw_device *hw, uint16_t id, uint8_t version, const void *body,
		   const void *writable, unsigned body_len);

/** hw_cap_add_msi - @vectors: 1, 2, 4 .. 32.  Return: offset or -errno. */
int hw_cap_add_msi(struct hw_device *hw, unsigned vectors, bool addr64, bool maskable);
/**
 * hw_cap_add_msix - @vectors: 1 to 2048; table and pending bits are kept by the core in @bar at the
 * given offsets (8-byte aligned); accesses there never reach the model.
 */
int hw_cap_add_msix(struct hw_device *hw, unsigned vectors, unsigned bar, uint32_t table_off, uint32_t pba_off);
/** hw_cap_add_pm - power management with D0 and D3hot; @no_soft_reset: D3hot to D0 keeps state. */
int hw_cap_add_pm(struct hw_device *hw, bool no_soft_reset);
/** hw_cap_add_express - endpoint (or root port, for a bridge); @flr: function level reset. */
int hw_cap_add_express(struct hw_device *hw, bool flr);

/**
 * hw_option - the value the user gave for a key of this instance
 * Return: the text, living as long as the device; NULL if not given.
 */
const char *hw_option(struct hw_device *hw, const char *key);
/**
 * hw_option_u64, hw_option_size - the same as a number; sizes take K, M, G, T (powers of 1024)
 * @ret_val: set to the number or to @dflt
 * Return: 0; -EINVAL for something that is not a number in [@min, @max], reason given.
 */
int hw_option_u64(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t min, uint64_t max, uint64_t *ret_val);
int hw_option_size(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t min, uint64_t max, uint64_t *ret_val);

/**
 * hw_store_open - a file of this device that lives as long as the machine (media content)
 * @name: a short name, unique within the device; @size_bytes: made that long, sparse, zeros
 *
 * Programs that run one after the other on one machine find what the one before left there.
 * Return: a descriptor that the caller closes; -errno.
 */
int hw_store_open(struct hw_device *hw, const char *name, uint64_t size_bytes);

void hw_set_private(struct hw_device *hw, void *priv);
void *hw_private(const struct hw_device *hw);
/** hw_name - "0000:01:00.0"; lives as long as the device. */
const char *hw_name(const struct hw_device *hw);

/* ---- what a model calls while it runs ----------------------------------------------------- */

/**
 * hw_dma_open - a DMA engine: a translation cache of its own
 *
 * One for each thread that moves data keeps threads from waiting for one another; all of them may
 * share one.  Return: the engine, to be closed before destroy returns; NULL if memory is short.
 */
struct hw_dma *hw_dma_open(struct hw_device *hw);
void hw_dma_close(struct hw_dma *dma);

/**
 * hw_dma_read - read client memory the way a device would;  hw_dma_write - write it
 * @iova: first I/O virtual address; @len_bytes: 1 to HW_DMA_MAX; any alignment
 * @buf: the model's own memory (it may be a mapped file)
 *
 * Any thread; may block for a moment on the IOMMU.  On an error a part before the offending page may
 * have been moved.
 * Return: 0; -EPERM if bus mastering is off; -EFAULT if a byte is unmapped or has not that
 * permission, and then the IOMMU has a fault record; -EIO if @buf itself failed (a file shrank).
 */
int hw_dma_read(struct hw_dma *dma, uint64_t iova, void *buf, size_t len_bytes);
int hw_dma_write(struct hw_dma *dma, uint64_t iova, const void *buf, size_t len_bytes);

/**
 * hw_msi - send interrupt message @vector, by MSI-X if the driver enabled that, else by MSI
 *
 * Any thread, no lock of the IOMMU held.  A masked vector becomes pending, and is sent when unmasked.
 * Return: true if either is enabled; false if the driver enabled none: use hw_intx() then.
 */
bool hw_msi(struct hw_device *hw, unsigned vector);
/** hw_intx - set the level of the interrupt pin.  No effect on the line while MSI or MSI-X is on. */
void hw_intx(struct hw_device *hw, bool asserted);
/** hw_msi_enabled - is MSI or MSI-X switched on? */
bool hw_msi_enabled(const struct hw_device *hw);

/**
 * hw_thread_start - a thread for the model; signals of the program never run on it
 * Return: 0 and *@ret_thread to pass to hw_thread_join(); -errno.
 */
struct hw_thread;
int hw_thread_start(struct hw_device *hw, const char *name, void (*run)(void *arg), void *arg,
		    struct hw_thread **ret_thread);
void hw_thread_join(struct hw_thread *thread);

/**
 * hw_copy - memcpy that survives a mapped file which shrank under us
 * Return: 0; -EIO.
 */
int hw_copy(void *dst, const void *src, size_t len_bytes);

/**
 * hw_explain - tell the user, with --explain, why something happened ("NVMe: queue 3 does not exist")
 * Costs nothing when --explain is off.
 */
void hw_explain(struct hw_device *hw, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
