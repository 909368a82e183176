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
 * Plugins.  A model need not be in softvfio's tree.  A shared object that says HW_PLUGIN(my_model)
 * once is a device: `softvfio run -d ./my.so,key=value`, or `model = /abs/path/my.so` in a machine
 * file.  It is linked with nothing of softvfio: the functions below are found when it is loaded, in
 * the program, in the command softvfio, or in a test that has a machine inside (machine.h).
 * Its ops may run in signal handlers' context (a load or store of the program that was trapped), as
 * those of built-in models do: they may lock, allocate and call libc, since no signal interrupts
 * one of them, but a long wait in them is a processor that waits.
 *
 * What stays.  HW_ABI changes only when a plugin that was built before could not work any more; it
 * is then refused with a line that says so.  Within one HW_ABI functions are added, never changed;
 * ops are added at the end of struct hw_model, and an older plugin has NULL there; enumerations and
 * flags get new values.  A plugin that uses a function which an older softvfio lacks is refused
 * when it is loaded, with that function's name.
 *
 * Sources: PCI Local Bus 3.0 (config header, MSI, MSI-X), PCI Express Base 5.0.
 */
#ifndef SOFTVFIO_HW_H
#define SOFTVFIO_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The functions live in programs that know nothing of us, so their symbols have a prefix that no
 * program uses for its own: hw_copy() is softvfio_hw_copy for the linker.
 */
#define HW_API(name) __asm__("softvfio_" #name) __attribute__((visibility("default")))

#define HW_BARS 6
#define HW_ROM_BAR 6
#define HW_VGA_BAR 7		     /* no BAR: the legacy addresses of a VGA device */
#define HW_PAGE_BYTES 4096u
#define HW_CONFIG_BYTES 4096u	     /* PCI Express */
#define HW_CONFIG_BYTES_PCI 256u     /* conventional PCI */
#define HW_DMA_MAX (1u << 30)	     /* most bytes in one hw_dma_read() or hw_dma_write() */

struct hw_device;
struct hw_dma;
struct hw_stream;

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
 * The rest is for models whose state can leave one device and enter another (live migration); all of
 * it is there, or none.  What belongs to the core is not a model's to save: config space, the MSI-X
 * table, pending interrupts.
 *
 * @quiesce: stop.  On return no DMA is under way, no interrupt comes, and the state does not change by
 *	itself, until @resume.  Accesses to the BARs still come: they change registers and may leave
 *	work behind, which @resume finds.  reset may come too; the model stays quiesced then.
 * @resume: go on, also with what @load brought.
 * @save: hw_save() all that a driver could see, and all that is yet to be done.  While quiesced.
 *	Return 0 or -errno; say why with hw_explain().
 * @load: hw_load() it again, on a device that was just reset and is quiesced.  The bytes may be
 *	anybody's: check each.  Return 0 or -errno, say why; after an error the core resets the device.
 * @identity: a text of what both devices must have in common ("blocks=512 queues=64"); a stream with
 *	another text is refused.  May be NULL.
 * @state_version: of what @save writes; a stream of another version is refused
 * @state_bytes: about how many bytes that is, for the estimate that a user gets beforehand
 *
 * Exactly one of these exists per model, const, and lives as long as the process.
 */
struct hw_model {
	const char *name;    /* letters, digits, '-' and '_'; for a plugin it shows in messages only */
	const char *summary; /* one line for `softvfio devices` */
	const struct hw_key *keys; /* ends with a NULL name; NULL: none */

	int (*create)(struct hw_device *hw);
	void (*destroy)(struct hw_device *hw);
	void (*reset)(struct hw_device *hw);
	uint64_t (*bar_read)(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len);
	void (*bar_write)(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val);
	void (*config_written)(struct hw_device *hw, unsigned off, unsigned len);
	void (*bus_master)(struct hw_device *hw, bool on);

	void (*quiesce)(struct hw_device *hw);
	void (*resume)(struct hw_device *hw);
	int (*save)(struct hw_device *hw, struct hw_stream *out);
	int (*load)(struct hw_device *hw, struct hw_stream *in);
	void (*identity)(struct hw_device *hw, char *buf, size_t size);
	uint32_t state_version, state_bytes;
	const struct hw_platform *platform; /* not NULL: no PCI device but one at fixed addresses, see below */
};

/* ---- plugins ------------------------------------------------------------------------------ */

#define HW_ABI 1u

/* What a plugin exports, as "softvfio_plugin".  Its layout never changes. */
struct hw_plugin {
	uint32_t abi;		/* HW_ABI of the header that it was built with */
	uint32_t model_bytes;	/* sizeof(struct hw_model) there: ops behind it are taken as NULL */
	const struct hw_model *model;
};

/** HW_PLUGIN - make this shared object a device model.  Once, at file scope, with a struct hw_model. */
#define HW_PLUGIN(model_)									\
	extern const struct hw_plugin softvfio_plugin;						\
	const struct hw_plugin softvfio_plugin __attribute__((visibility("default"))) = {	\
		HW_ABI, sizeof(struct hw_model), &(model_)}

/* ---- what a model calls in create() ------------------------------------------------------- */

struct hw_pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: base class, sub-class, programming interface */
	uint8_t revision;
	uint8_t intx_pin;    /* 0 none, 1 INTA .. 4 INTD */
	bool express;	     /* 4096 bytes of config space and a PCI Express capability may follow */
	bool bridge;	     /* type 1 header */
};

/**
 * hw_pci_identify - fill the header of config space
 * @id: copied
 *
 * The first call of create(), and only there.  Never fails.  A device that does not identify itself
 * answers in no slot: the machine cannot be made.  Source: PCI Local Bus 3.0, 6.1.
 */
void hw_pci_identify(struct hw_device *hw, const struct hw_pci_id *id) HW_API(hw_pci_identify);

/**
 * hw_pci_conventional - what a device says of its speed on a conventional bus
 * @status: of the status register 66 MHz capable, fast back-to-back capable and DEVSEL timing; other bits are left out
 * @latency_timer: which software cannot change
 * @min_gnt, @max_lat: in units of 250 ns
 *
 * In create() only, after hw_pci_identify().  Never fails.  Without it, and of an express device, all are 0.
 * Source: PCI Local Bus 3.0, 6.2.3 and 6.2.4.
 */
void hw_pci_conventional(struct hw_device *hw, uint16_t status, uint8_t latency_timer, uint8_t min_gnt, uint8_t max_lat)
	HW_API(hw_pci_conventional);

/**
 * hw_bar_add - give the device a BAR
 * @bar: 0..5 (0..1 of a bridge), or HW_ROM_BAR
 * @size_bytes: a power of two, at least 16 (memory) or 4 (I/O), at most 16 TiB (2 GiB unless MEM64)
 * @flags: enum hw_bar_flags
 *
 * In create() only.  All pages start trapped.
 * Return: 0; -EINVAL for a bad size, index or flag, or outside create(); -EBUSY if taken.  Reason given.
 */
int hw_bar_add(struct hw_device *hw, unsigned bar, uint64_t size_bytes, unsigned flags) HW_API(hw_bar_add);

/**
 * hw_bar_set_pages - make the pages of [off, off+len) of one kind
 * @off, @len: bytes, multiples of HW_PAGE_BYTES, inside the BAR
 *
 * In create() only.  Memory behind direct and read-direct pages begins as zeros.
 * Return: 0; -EINVAL for a place that is not pages of a memory BAR, for pages of the MSI-X table, or
 * outside create(); -ENOMEM.  Reason given.
 */
int hw_bar_set_pages(struct hw_device *hw, unsigned bar, uint64_t off, uint64_t len, enum hw_page_kind kind)
	HW_API(hw_bar_set_pages);

/**
 * hw_bar_memory - the memory behind direct and read-direct pages of a BAR
 *
 * Any thread.  Return: its first byte, valid until destroy; NULL if the BAR has no such page.  Shared
 * with the program: its content may change at any time, so copy before checking.
 */
void *hw_bar_memory(struct hw_device *hw, unsigned bar) HW_API(hw_bar_memory);

/**
 * hw_cap_add - add a capability at the next free place of config space
 * @id: capability id
 * @body: the bytes after id and next pointer; copied
 * @writable: as many bytes, a bit set for each bit that a driver may change; NULL for none; copied
 * @body_len: bytes
 *
 * In create() only, after hw_pci_identify().
 * Return: its offset; -ENOSPC if it does not fit; -EINVAL outside create().  Reason given.
 * Source: PCI Local Bus 3.0, 6.7.
 */
int hw_cap_add(struct hw_device *hw, uint8_t id, const void *body, const void *writable, unsigned body_len)
	HW_API(hw_cap_add);
/**
 * hw_ext_cap_add - the same in extended config space, from 0x100 on
 * @version: 4 bits
 *
 * Return: its offset; -ENOSPC if it does not fit or the device is not express; -EINVAL outside
 * create().  Source: PCI Express Base 5.0, 7.6.3.
 */
int hw_ext_cap_add(struct hw_device *hw, uint16_t id, uint8_t version, const void *body,
		   const void *writable, unsigned body_len) HW_API(hw_ext_cap_add);

/**
 * hw_cap_add_msi - MSI, handled by the core
 * @vectors: 1, 2, 4 .. 32; @addr64: messages go beyond 4 GiB; @maskable: with mask and pending bits
 *
 * In create() only.  Return: offset; -EINVAL for another count; -ENOSPC.  Source: PCI Local Bus 3.0, 6.8.1.
 */
int hw_cap_add_msi(struct hw_device *hw, unsigned vectors, bool addr64, bool maskable) HW_API(hw_cap_add_msi);
/**
 * hw_cap_add_msix - MSI-X, handled by the core
 * @vectors: 1 to 2048
 * @bar: a memory BAR that was added, with trapped pages at both places
 * @table_off, @pba_off: bytes, aligned to 8; 16 bytes a vector, and 8 for each 64 vectors
 *
 * In create() only.  Table and pending bits are kept by the core; accesses there never reach the model.
 * Return: offset; -EINVAL for a bad place or count; -EBUSY a second time; -ENOSPC; -ENOMEM.
 * Source: PCI Local Bus 3.0, 6.8.2.
 */
int hw_cap_add_msix(struct hw_device *hw, unsigned vectors, unsigned bar, uint32_t table_off, uint32_t pba_off)
	HW_API(hw_cap_add_msix);
/**
 * hw_cap_add_pm - power management with D0 and D3hot
 * @no_soft_reset: D3hot to D0 keeps state; else it is a reset
 *
 * In create() only.  Return: offset; -ENOSPC.  Source: PCI Power Management 1.2.
 */
int hw_cap_add_pm(struct hw_device *hw, bool no_soft_reset) HW_API(hw_cap_add_pm);
/**
 * hw_cap_add_express - PCI Express: an endpoint (a root port, for a bridge)
 * @flr: it has function level reset, which the core turns into a call of @reset
 *
 * In create() only.  Return: offset; -EINVAL for a device that is not express; -ENOSPC.
 * Source: PCI Express Base 5.0, 7.5.3.
 */
int hw_cap_add_express(struct hw_device *hw, bool flr) HW_API(hw_cap_add_express);
/**
 * hw_cap_express_atomics - a root port says that it completes AtomicOps of 32, 64 and 128 bits
 *
 * In create() of a bridge only, after hw_cap_add_express().  Never fails.
 * Source: PCI Express Base 5.0, 7.5.3.15.
 */
void hw_cap_express_atomics(struct hw_device *hw) HW_API(hw_cap_express_atomics);
/** hw_cap_add_af - advanced features of conventional PCI: a function level reset. */
int hw_cap_add_af(struct hw_device *hw) HW_API(hw_cap_add_af);
/**
 * hw_cap_add_vpd - vital product data behind an address and a data register
 * @data: copied; @len_bytes: a multiple of 4, at most 32768; bytes from @rw_off on may be
 * written.  hw_vpd_text() makes @data.  Return: offset or -errno.
 */
int hw_cap_add_vpd(struct hw_device *hw, const void *data, unsigned len_bytes, unsigned rw_off)
	HW_API(hw_cap_add_vpd);
/**
 * hw_vpd_text - a VPD image: @name as identifier, @part and @serial as PN and SN, and an RW part of
 * @rw_bytes free bytes (0: none)
 * @ret_rw_off: where the RW part begins.  Return: bytes, a multiple of 4; -EINVAL if a text is longer
 * than 255 bytes or @room is too small.
 */
int hw_vpd_text(void *buf, unsigned room, const char *name, const char *part, const char *serial,
		unsigned rw_bytes, unsigned *ret_rw_off) HW_API(hw_vpd_text);
/** hw_cap_add_vendor - vendor specific: @body behind the length byte, all @writable bits as given. */
int hw_cap_add_vendor(struct hw_device *hw, const void *body, const void *writable, unsigned body_len)
	HW_API(hw_cap_add_vendor);

/* Extended capabilities, for express devices.  Each returns its offset or -errno. */
/** hw_ext_cap_add_aer - advanced error reporting; hw_aer_report() then fills it. */
int hw_ext_cap_add_aer(struct hw_device *hw) HW_API(hw_ext_cap_add_aer);
int hw_ext_cap_add_dsn(struct hw_device *hw, uint64_t serial) HW_API(hw_ext_cap_add_dsn);
/** hw_ext_cap_add_ats - @queue_depth: 1 to 32 invalidations. */
int hw_ext_cap_add_ats(struct hw_device *hw, unsigned queue_depth) HW_API(hw_ext_cap_add_ats);
/** hw_ext_cap_add_pasid - @bits: 0 to 20 of a PASID. */
int hw_ext_cap_add_pasid(struct hw_device *hw, unsigned bits, bool exec, bool priv)
	HW_API(hw_ext_cap_add_pasid);
/** hw_ext_cap_add_pri - page requests; @max_requests: outstanding ones. */
int hw_ext_cap_add_pri(struct hw_device *hw, uint32_t max_requests) HW_API(hw_ext_cap_add_pri);
/** hw_ext_cap_add_vendor - @body behind the 4 bytes of vendor specific header. */
int hw_ext_cap_add_vendor(struct hw_device *hw, uint16_t vsec_id, uint8_t rev, const void *body,
			  const void *writable, unsigned body_len) HW_API(hw_ext_cap_add_vendor);
/** hw_ext_cap_add_ari - alternative routing ids; @next: the next function's number, 0 none. */
int hw_ext_cap_add_ari(struct hw_device *hw, uint8_t next) HW_API(hw_ext_cap_add_ari);
int hw_ext_cap_add_acs(struct hw_device *hw) HW_API(hw_ext_cap_add_acs);
int hw_ext_cap_add_ltr(struct hw_device *hw) HW_API(hw_ext_cap_add_ltr);

/**
 * struct hw_sriov - what a physical function says of its virtual functions
 * @total_vfs: 1 to HW_VFS_MAX; @vf_device: their device id; the vendor is the physical function's
 * @offset: how far behind the physical function's number the first one's is; @stride: and each next
 * @bar_bytes, @bar_flags: the BARs that each of them has, as hw_bar_add() takes them
 * @vf_model: its create() runs for each of them, with no options and hw_physfn() set; it must add the
 *	same BARs, and PCI Express with function level reset.  It has no key and stands in no list.
 */
#define HW_VFS_MAX 64u
struct hw_sriov {
	unsigned total_vfs, offset, stride;
	uint16_t vf_device;
	uint64_t bar_bytes[HW_BARS];
	unsigned bar_flags[HW_BARS];
	const struct hw_model *vf_model;
};
/**
 * hw_ext_cap_add_sriov - single root I/O virtualisation; the core and the machine do the rest
 * @sriov: copied
 *
 * A virtual function is a device of its own: it has no pin, its BARs are where the physical function's
 * SR-IOV capability says, and it answers only while that has memory space enabled.  A reset of the
 * physical function is one of all of them.
 * Return: offset; -EINVAL for numbers that cannot be; -ENOSPC.  Source: SR-IOV 1.1, chapter 3.
 */
int hw_ext_cap_add_sriov(struct hw_device *hw, const struct hw_sriov *sriov) HW_API(hw_ext_cap_add_sriov);
/** hw_physfn - the physical function of a virtual one; NULL for all others.  Any thread. */
struct hw_device *hw_physfn(const struct hw_device *hw) HW_API(hw_physfn);
/** hw_vf_index - which of its virtual functions it is, from 0 on. */
unsigned hw_vf_index(const struct hw_device *hw) HW_API(hw_vf_index);

/**
 * hw_vga_add - legacy VGA: accesses of memory 0xa0000 to 0xbffff and I/O 0x3b0 to 0x3df reach
 * bar_read and bar_write as HW_VGA_BAR, with that address as offset
 *
 * In create() only; for class 0x0300xx.  Return: 0; -EINVAL.
 */
int hw_vga_add(struct hw_device *hw) HW_API(hw_vga_add);

/** hw_rom_load - a ROM BAR with the content of a file, at most 16 MiB.  0; -errno with reason. */
int hw_rom_load(struct hw_device *hw, const char *path) HW_API(hw_rom_load);

/**
 * hw_option - the value the user gave for a key of this instance
 * @key: one of the model's keys
 *
 * Any thread.  Return: the text, living as long as the device; NULL if not given.
 */
const char *hw_option(struct hw_device *hw, const char *key) HW_API(hw_option);
/**
 * hw_option_u64, hw_option_size - the same as a number; sizes take K, M, G, T (powers of 1024)
 * @dflt: the value if the key is not given; @min, @max: what else is allowed
 * @ret_val: set on success
 *
 * Return: 0; -EINVAL for something that is not a number in [@min, @max], reason given.
 */
int hw_option_u64(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t min, uint64_t max, uint64_t *ret_val)
	HW_API(hw_option_u64);
int hw_option_size(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t min, uint64_t max, uint64_t *ret_val)
	HW_API(hw_option_size);

/**
 * hw_store_open - a file of this device that lives as long as the machine (media content)
 * @name: a short name without '/', unique within the device
 * @size_bytes: made that long, sparse, zeros
 *
 * Programs that run one after the other on one machine find what the one before left there.
 * Return: a descriptor that the caller closes; -ENODEV where there is no machine; the -errno of open()
 * and ftruncate().  Reason given.
 */
int hw_store_open(struct hw_device *hw, const char *name, uint64_t size_bytes) HW_API(hw_store_open);

/** hw_set_private, hw_private - a pointer of the model's own, set once in create(); NULL before. */
void hw_set_private(struct hw_device *hw, void *priv) HW_API(hw_set_private);
void *hw_private(const struct hw_device *hw) HW_API(hw_private);
/** hw_name - "0000:01:00.0"; lives as long as the device. */
const char *hw_name(const struct hw_device *hw) HW_API(hw_name);

/* ---- platform devices ----------------------------------------------------------------------- */

/*
 * A device that is part of a chip: registers at fixed addresses, wires to an interrupt controller, a
 * stream id by which the IOMMU knows its DMA.  It has no config space: create() calls hw_region_add()
 * and hw_wire_add() instead of the functions with pci, bar_add and cap in their names, and its DMA needs
 * no bus mastering.  A region is to bar_read, bar_write, hw_bar_set_pages() and hw_bar_memory() what a BAR
 * is.  All else of this header is the same.
 */
#define HW_REGIONS HW_BARS
#define HW_WIRES 16

struct hw_platform {
	const char *bus_name; /* "platdev": devices are platdev.0, platdev.1; on AMBA "dma": 2c000000.dma */
	uint32_t amba_id;     /* PrimeCell peripheral id: on the AMBA bus; 0: on the platform bus */
};

enum hw_region_flags {
	HW_REGION_READONLY = 1 << 8, /* writes go nowhere */
};

/**
 * hw_region_add - give the device the next region, 0, 1, 2 ...
 * @size_bytes: a multiple of 4, up to 1 GiB; it need not fill a page
 * Return: its index; -EINVAL a bad size or no platform device; -ENOSPC there are HW_REGIONS.
 */
int hw_region_add(struct hw_device *hw, uint64_t size_bytes, unsigned flags) HW_API(hw_region_add);
/**
 * hw_wire_add - give the device the next interrupt wire
 * @level: an interrupt is there for as long as the wire is asserted; else one happens each time it rises
 * Return: its index; -EINVAL no platform device; -ENOSPC there are HW_WIRES.
 */
int hw_wire_add(struct hw_device *hw, bool level) HW_API(hw_wire_add);
/**
 * hw_resettable - the host knows how to reset the device, by a line of the chip or a register
 * Without it nobody calls reset, and drivers that insist on one (vfio-platform) do not take the device.
 */
void hw_resettable(struct hw_device *hw) HW_API(hw_resettable);
/** hw_wire - assert a wire or take it back.  Any thread; as hw_intx(). */
void hw_wire(struct hw_device *hw, unsigned wire, bool asserted) HW_API(hw_wire);
/** hw_wire_pulse - an edge: asserted and taken back at once. */
void hw_wire_pulse(struct hw_device *hw, unsigned wire) HW_API(hw_wire_pulse);

/* ---- what a model calls while it runs ----------------------------------------------------- */

/**
 * hw_dma_open - a DMA engine: a translation cache of its own
 *
 * One for each thread that moves data keeps threads from waiting for one another; all of them may
 * share one.  Return: the engine, to be closed (hw_dma_close) before destroy returns; NULL if memory
 * is short.
 */
struct hw_dma *hw_dma_open(struct hw_device *hw) HW_API(hw_dma_open);
/** hw_dma_close - no transfer of it is under way; NULL is nothing to close. */
void hw_dma_close(struct hw_dma *dma) HW_API(hw_dma_close);

/**
 * hw_dma_read - read client memory the way a device would;  hw_dma_write - write it
 * @iova: first I/O virtual address; @len_bytes: 0 (nothing is done) to HW_DMA_MAX; any alignment
 * @buf: the model's own memory (it may be a mapped file)
 *
 * Any thread; may block for a moment on the IOMMU.  On an error a part before the offending page may
 * have been moved.
 * Return: 0; -EPERM if bus mastering is off; -EFAULT if a byte is unmapped or has not that
 * permission, and then the IOMMU has a fault record; -EIO if @buf itself failed (a file shrank).
 */
int hw_dma_read(struct hw_dma *dma, uint64_t iova, void *buf, size_t len_bytes) HW_API(hw_dma_read);
int hw_dma_write(struct hw_dma *dma, uint64_t iova, const void *buf, size_t len_bytes) HW_API(hw_dma_write);

/**
 * hw_dma_open_pasid - an engine whose transfers carry a PASID (PCI Express, 6.20): tables of their own
 * @pasid: 1 to 2^20 - 1; the device has the PASID capability (hw_ext_cap_add_pasid), with as many bits
 *
 * As hw_dma_open() otherwise; one engine is for one PASID.  A PASID that no program has attached to anything is
 * a fault.
 */
struct hw_dma *hw_dma_open_pasid(struct hw_device *hw, uint32_t pasid) HW_API(hw_dma_open_pasid);
/**
 * hw_dma_open_privileged - the same, and what it sends is privileged (Privileged Mode Requested)
 *
 * The device's PASID capability says that it can be.  The IOMMU decides: a VT-d unit refuses such requests or uses
 * all entries of the tables; an AMD unit's driver has switched them off, so that they go without privilege.
 */
struct hw_dma *hw_dma_open_privileged(struct hw_device *hw, uint32_t pasid) HW_API(hw_dma_open_privileged);
/**
 * hw_dma_request_pages - ask for the pages of [iova, iova+len) and wait until somebody answers (PCI Express PRI)
 * @len_bytes: at most 512 pages are touched; @write: they are to be written, else read
 *
 * After 0 a transfer that failed with -EFAULT is worth another try.  The program that attached the page table
 * answers; one that takes no page requests, or lets go of the device, refuses.  A reset ends the wait.
 * The thread holds no lock of the model.
 * Return: 0; -EFAULT refused; -EPERM bus mastering is off; -ECANCELED the device is being reset; -EINVAL the range;
 * -EBUSY too many requests wait.
 */
int hw_dma_request_pages(struct hw_dma *dma, uint64_t iova, size_t len_bytes, bool write)
	HW_API(hw_dma_request_pages);
/**
 * hw_dma_request_access - the same for what @access says: one or more of
 * HW_PAGE_EXEC asks for reading too, and goes with a PASID only.  Return: as above; -EINVAL also for an @access that cannot be.
 */
enum hw_page_access { HW_PAGE_READ = 1, HW_PAGE_WRITE = 2, HW_PAGE_EXEC = 4, HW_PAGE_ALL = 7 };
int hw_dma_request_access(struct hw_dma *dma, uint64_t iova, size_t len_bytes, unsigned access)
	HW_API(hw_dma_request_access);

/**
 * hw_msi - send interrupt message @vector, by MSI-X if the driver enabled that, else by MSI
 *
 * Any thread, no lock of the IOMMU held.  A masked vector becomes pending, and is sent when unmasked.
 * Return: true if either is enabled; false if the driver enabled none: use hw_intx() then.
 */
bool hw_msi(struct hw_device *hw, unsigned vector) HW_API(hw_msi);
/** hw_intx - set the level of the interrupt pin.  Any thread.  No effect on the line while MSI or MSI-X is on. */
void hw_intx(struct hw_device *hw, bool asserted) HW_API(hw_intx);
/**
 * hw_unplug - the device is gone, as if pulled out of its slot, for good
 *
 * From now on config space and BARs read as all ones, writes are lost, and neither DMA nor interrupts
 * leave it; its driver is told to let go.  Any thread, also inside bar_write.
 */
void hw_unplug(struct hw_device *hw) HW_API(hw_unplug);
/** hw_msi_enabled - is MSI or MSI-X switched on?  Any thread. */
bool hw_msi_enabled(const struct hw_device *hw) HW_API(hw_msi_enabled);
/**
 * hw_aer_report - an error happened: record it and send the message that goes up to the root port
 * @uncorrectable: is @bit of the uncorrectable status (PCI_ERR_UNC_*) or of the correctable one
 *	(PCI_ERR_COR_*); whether it is fatal the severity register says
 * @tlp: the four words of the packet's header that go to the log; NULL: none
 *
 * Any thread, also inside bar_write: whoever acts on it does so on a thread of its own.
 * Return: true if the message went up; false if there is no AER capability, the error is masked or
 * its reporting is not enabled in Device Control (told by hw_explain()).
 */
bool hw_aer_report(struct hw_device *hw, bool uncorrectable, uint32_t bit, const uint32_t tlp[4])
	HW_API(hw_aer_report);

/**
 * hw_thread_start - a thread for the model; signals of the program never run on it
 * @name: shown as "hw-NAME", cut to 15 bytes
 * @ret_thread: to be passed to hw_thread_join() before destroy returns
 *
 * Not in create().  Return: 0; -EAGAIN or -ENOMEM, and no thread runs.
 */
struct hw_thread;
int hw_thread_start(struct hw_device *hw, const char *name, void (*run)(void *arg), void *arg,
		    struct hw_thread **ret_thread) HW_API(hw_thread_start);
/** hw_thread_join - wait until it has returned, and free it; NULL is no thread.  Not on that thread. */
void hw_thread_join(struct hw_thread *thread) HW_API(hw_thread_join);

/* ---- what a model calls in save() and load() ---------------------------------------------- */

/**
 * hw_save - append bytes to the stream;  hw_save_u64 - a number, 8 bytes, lowest first
 * If memory is short the stream remembers it, and saving fails as a whole.
 */
void hw_save(struct hw_stream *out, const void *buf, size_t len_bytes) HW_API(hw_save);
void hw_save_u64(struct hw_stream *out, uint64_t val) HW_API(hw_save_u64);
/**
 * hw_load - take the next bytes of the stream;  hw_load_u64 - a number in [@min, @max]
 * @what: its name, for the reason
 * Return: 0; -EINVAL the stream is too short or the number is out of range, reason given, and then
 * @buf is filled with zeros, *@ret_val is @min.
 */
int hw_load(struct hw_stream *in, void *buf, size_t len_bytes) HW_API(hw_load);
int hw_load_u64(struct hw_stream *in, const char *what, uint64_t min, uint64_t max, uint64_t *ret_val)
	HW_API(hw_load_u64);

/**
 * hw_copy - memcpy that survives a mapped file which shrank under us
 * Any thread.  No overlap.  Return: 0; -EIO, and some first bytes may have been copied.
 */
int hw_copy(void *dst, const void *src, size_t len_bytes) HW_API(hw_copy);

/**
 * hw_explain - tell the user, with --explain, why something happened ("NVMe: queue 3 does not exist")
 * Any thread.  In create() it is the reason of the failure that follows.  At most some 500 bytes, one
 * line.  Costs nothing when --explain is off.
 */
void hw_explain(struct hw_device *hw, const char *fmt, ...) HW_API(hw_explain) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
