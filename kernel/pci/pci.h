/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.h - the PCI bus as drivers see it: devices, config space, BARs, interrupts, reset.
 *
 * struct pci_hw_ops is the slot that hardware is plugged into; machine/ does that.
 */
#ifndef KERNEL_PCI_PCI_H
#define KERNEL_PCI_PCI_H

#include <stdatomic.h>

#include "kernel/base/device.h"
#include "kernel/lib/types.h"

#define PCI_STD_NUM_BARS 6
#define PCI_ROM_RESOURCE 6
#define PCI_LEGACY_VGA 7 /* index for bar_read and bar_write: the offset is the legacy address */
#define PCI_NUM_RESOURCES 7
#define PCI_BRIDGE_WINDOWS 3 /* I/O, memory, prefetchable memory */
#define PCI_DEVFN_(slot, func) ((((slot)&0x1f) << 3) | ((func)&7))

struct pci_dev;
struct pci_sriov;

enum pci_page_kind { PCI_PAGE_TRAPPED, PCI_PAGE_READ_DIRECT, PCI_PAGE_DIRECT }; /* as hw.h */

struct pci_log_range { u64 iova, length; };

/* What a driver asks a device that migrates; errors are the device's, with a reason. */
struct pci_hw_migration_ops {
	bool (*can_migrate)(void *hw);
	/** quiesce - stop: no DMA, no interrupt, no change of state by itself; or go on */
	void (*quiesce)(void *hw, bool stop);
	/** forget - as a reset, but config space stays: nothing is left to be done.  While stopped. */
	void (*forget)(void *hw);
	/** save_head, save_state - a malloc'ed piece of the stream: first, and, while stopped, last.  0; -errno. */
	int (*save_head)(void *hw, void **ret_buf, size_t *ret_len);
	int (*save_state)(void *hw, void **ret_buf, size_t *ret_len);
	/** save_size - about how many bytes both are */
	u64 (*save_size)(void *hw);
	/** load_check - can a stream that begins with these bytes be for this device?  0; -EINVAL. */
	int (*load_check)(void *hw, const void *buf, size_t len);
	/** load_state - take a whole stream, while stopped.  0; -EINVAL nothing changed; -EBADMSG now as reset. */
	int (*load_state)(void *hw, const void *buf, size_t len);
	/* The log of DMA writes; log_end stops it if it is on. */
	int (*log_start)(void *hw, const struct pci_log_range *ranges, u32 count, u64 *page_size);
	int (*log_stop)(void *hw);
	void (*log_end)(void *hw);
	int (*log_read_and_clear)(void *hw, u64 iova, u64 last, void (*dirty)(void *arg, u64 iova, u64 last),
				  void *arg);
};

/* What sits in the slot.  Each op may be called by any thread; @hw is the pointer given at registration. */
struct pci_hw_ops {
	/* 1, 2 or 4 bytes, naturally aligned, inside cfg_size */
	u32 (*config_read)(void *hw, unsigned off, unsigned len);
	void (*config_write)(void *hw, unsigned off, unsigned len, u32 val);
	/* 1, 2, 4 or 8 bytes, naturally aligned, inside the BAR; index PCI_ROM_RESOURCE is the ROM, PCI_LEGACY_VGA no BAR.  Not
	 * checked against memory decoding: the caller does that. */
	u64 (*bar_read)(void *hw, unsigned bar, u64 off, unsigned len);
	void (*bar_write)(void *hw, unsigned bar, u64 off, unsigned len, u64 val);
	/**
	 * bar_page - how page-aligned @off may be mapped, for how many bytes on that holds, and the file
	 * that backs it
	 */
	enum pci_page_kind (*bar_page)(void *hw, unsigned bar, u64 off, int *ret_fd, u64 *ret_fd_off,
				       u64 *ret_len);
	/** reset - function level reset (@bus false) or as part of a bus reset */
	void (*reset)(void *hw, bool bus);
	const struct pci_hw_migration_ops *migration;	/* NULL: no device of this bus migrates or logs its DMA */
};

struct resource {
	u64 start;	/* bus address given at boot; 0 with size 0: absent */
	u64 size_bytes;
	u32 flags;	/* IORESOURCE_ bits as sysfs "resource" prints them */
};
#define IORESOURCE_IO 0x00000100u
#define IORESOURCE_MEM 0x00000200u
#define IORESOURCE_PREFETCH 0x00002000u
#define IORESOURCE_READONLY 0x00004000u
#define IORESOURCE_SIZEALIGN 0x00040000u
#define IORESOURCE_MEM_64 0x00100000u

/* How bad an error is that a device reports; as hw/core has it. */
enum pci_aer_severity { PCI_AER_CORRECTABLE, PCI_AER_NONFATAL, PCI_AER_FATAL };

struct pci_dev {
	struct device dev;
	u16 domain;
	u8 bus, devfn;
	u16 vendor, device, subsystem_vendor, subsystem_device;
	u32 class; /* 24 bits */
	u8 revision, hdr_type, pin;
	unsigned cfg_size;	/* 256 or 4096 */
	u8 msi_cap, msix_cap, pcie_cap, pm_cap, af_cap, vpd_cap; /* offsets; 0 absent */
	u16 aer_cap;
	unsigned vpd_bytes;	/* vpd.c: 0 none, or no list that ends */
	bool has_flr, has_af_flr;
	struct pci_dev *bridge;	/* upstream root port; NULL on the root bus */
	struct resource resource[PCI_NUM_RESOURCES];
	const struct pci_hw_ops *hw_ops;	/* immutable */
	void *hw;
	atomic_int enable_cnt;
	struct pci_sriov *sriov; /* iov.c: a physical function's; NULL: no SR-IOV */
	struct pci_dev *physfn;	/* of a virtual function, set before it is added; NULL for all others; immutable */
	unsigned vf_index;	/* which of them, from 0 on; immutable */
	struct pci_aer *aer;	/* aer.c: what it reported; NULL without the capability */
	struct pci_msi *msi;	/* msi.c's state: vectors while MSI or MSI-X is enabled; changes under its lock */
	_Atomic(void (*)(void *arg)) intx_handler; /* msi.c */
	void *intx_arg;		/* msi.c: changes only while there is no handler and none is running */
	atomic_int intx_running;	/* msi.c: handler calls under way */
	struct resource window[PCI_BRIDGE_WINDOWS];	/* bridges: what lies behind; under the tree lock */
	struct pci_space *space;	/* bridges: free addresses behind; setup-res.c, under the tree lock */
	u8 irq_line;		/* interrupt line given at boot; 0 without a pin */
	unsigned first_irq, nr_irqs; /* numbers of its messages in /sys; immutable */
	bool packed;		/* small BARs may share a page; set before it is added, immutable */
	atomic_bool pin_masked;	/* its driver does not listen to the pin now */
	atomic_bool asleep;	/* its driver lets it sleep in D3hot while nobody uses it */
	atomic_bool present;	/* enlisted; a program may remove it until a rescan; written under the tree lock */
	TAILQ_ENTRY(pci_dev) all_node;	/* probe.c: all that were added, parents first; fixed while there is a machine */
};
#define to_pci_dev(d) container_of((d), struct pci_dev, dev)

struct pci_device_id {
	u32 vendor, device, subvendor, subdevice, class, class_mask; /* PCI_ANY_ID matches all */
	bool override_only;	/* matches only through driver_override */
};
#define PCI_ANY_ID (~0u)

struct pci_driver {
	struct device_driver driver; /* .id_table: array of pci_device_id ending with vendor 0 */
	int (*probe)(struct pci_dev *pdev);
	void (*remove)(struct pci_dev *pdev);
	/**
	 * sriov_configure - optional: a program wants @num virtual functions (0: none) where there are none
	 * (or some).  Return: 0; -errno.  virtfn_added: one is about to get its directory.  Tree lock held.
	 */
	int (*sriov_configure)(struct pci_dev *pdev, unsigned num);
	void (*virtfn_added)(struct pci_dev *pdev, struct pci_dev *vf);
	/** error_detected - optional: the device reported an uncorrectable error.  Tree lock held. */
	void (*error_detected)(struct pci_dev *pdev);
	void (*reset_done)(struct pci_dev *pdev); /* the device was reset, its state restored; optional */
	void (*reset_by_user)(struct pci_dev *pdev); /* so it was, past its driver; optional.  Tree lock held. */
	TAILQ_HEAD(, pci_dynid) dynids; /* under the tree lock */
};
#define to_pci_driver(d) container_of((d), struct pci_driver, driver)

extern struct bus_type pci_bus_type;
int pci_bus_init(void); /* bus_register + /sys/bus/pci/{slots,...}; tree lock held */
/**
 * pci_bus_exit - forget the bus and the stand-in drivers; devices and other drivers are gone already.  Tree
 * lock held.
 */
void pci_bus_exit(void);

/**
 * pci_iommu_probe - set by machine/: put a device that has its directory, but no driver yet, into its
 * IOMMU group (iommu_probe_device()).  Called by pci_device_add() and when a device that a program
 * removed comes back; NULL: devices have no group, or the machine sees to it after pci_device_add(...,
 * true) and before device_initial_probe().  Removal calls iommu_release_device() for a device with a
 * group.  Tree lock held.  Return: 0; -errno and the device is not added.
 */
extern int (*pci_iommu_probe)(struct pci_dev *pdev);

/**
 * pci_device_add - enlist a device whose name, domain, bus, devfn, bridge, hw_ops and hw are set
 * Reads ids, capabilities and BAR sizes through config space, gives BARs bus addresses, registers the
 * device with its attributes (vendor device subsystem_* class revision irq config resource resourceN
 * enable numa_node local_cpus local_cpulist modalias msi_bus broken_parity_status consistent_dma_mask_bits
 * dma_mask_bits d3cold_allowed ari_enabled power_state max_link_speed..., reset, reset_method,
 * driver_override, remove, rescan, uevent).  Tree lock held.  @no_probe: leave it without a driver.
 * Bridges before what is behind them.  A device that a program removed from this machine is only
 * remembered, until a rescan; so is a virtual function until a program wants it.  Those come behind their
 * physical function.  A driver_override set by the caller (strdup'ed) is taken over: with
 * "vfio-pci" the device starts out bound to that.
 * Return: 0; -ENOSPC no addresses left for a BAR; -ENODEV nothing answers in the slot; -ENOMEM.
 */
int pci_device_add(struct pci_dev *pdev, bool no_probe);
/** pci_device_remove - undo it for good; frees what hangs on @pdev, but not @pdev.  Tree lock held. */
void pci_device_remove(struct pci_dev *pdev);
/**
 * pci_surprise_remove - the device was pulled out of its slot: it and what is behind it leave the tree
 *
 * What answers for it (hw_ops) is all ones by now.  Its driver is asked to let go, and this waits until it
 * has: a thread of its own, no lock held.  Nothing to do if it is not there any more.
 */
void pci_surprise_remove(struct pci_dev *pdev);
/** pci_bar_pages_changed - bar_page answers otherwise: mappings follow.  Any thread; may be inside an access. */
void pci_bar_pages_changed(struct pci_dev *pdev);
/** pci_alone_on_bus - is there no other device on its bus? */
bool pci_alone_on_bus(const struct pci_dev *pdev);
/**
 * pci_for_each_dev - all present devices, until @fn returns non-zero, which is returned.  Any lock: a device that
 * is removed meanwhile is seen or not, and keeps its memory.
 */
int pci_for_each_dev(int (*fn)(struct pci_dev *pdev, void *arg), void *arg);
struct pci_dev *pci_get_device_by_name(const char *bdf);
int pci_register_driver(struct pci_driver *drv);
void pci_unregister_driver(struct pci_driver *drv);
/**
 * pci_host_driver_register - a stand-in for a kernel driver ("nvme", "edu", "pcieport") that only takes
 * devices.
 */
int pci_host_driver_register(const char *name, const struct pci_device_id *ids);

/* ---- config space: raw, as hardware has it.  Any thread.  0, or -EFAULT where there is nothing. ---- */
int pci_read_config_byte(struct pci_dev *pdev, unsigned off, u8 *val);
int pci_read_config_word(struct pci_dev *pdev, unsigned off, u16 *val);
int pci_read_config_dword(struct pci_dev *pdev, unsigned off, u32 *val);
int pci_write_config_byte(struct pci_dev *pdev, unsigned off, u8 val);
int pci_write_config_word(struct pci_dev *pdev, unsigned off, u16 val);
int pci_write_config_dword(struct pci_dev *pdev, unsigned off, u32 val);
unsigned pci_find_capability(struct pci_dev *pdev, u8 id);	/* 0 absent */
unsigned pci_find_ext_capability(struct pci_dev *pdev, u16 id);

/** pci_is_vga - does it answer at the legacy addresses of a VGA adapter? */
static inline bool pci_is_vga(const struct pci_dev *pdev)
{
	return pdev->class >> 8 == 0x0300 || pdev->class >> 8 == 0x0001; /* VGA of now, and from before classes */
}

/* ---- device ---- */
/* Any thread; config space is the state, so callers that race see what hardware would show. */
int pci_enable_device(struct pci_dev *pdev);	/* counts; switches decoding on at the first */
void pci_disable_device(struct pci_dev *pdev);	/* switches bus mastering off at the last */
void pci_set_master(struct pci_dev *pdev);
void pci_clear_master(struct pci_dev *pdev);
/**
 * pci_enable_atomic_ops_to_root - let an endpoint send AtomicOps to memory, if the port above completes them
 * @cap_mask: PCI_EXP_DEVCAP2_ATOMIC_COMP32, 64, 128: all of these
 * Sets AtomicOp Requester Enable in its Device Control 2.  Return: 0; -EINVAL not an endpoint, or no port
 * that completes them.  Source: PCI Express Base 5.0, 6.15.
 */
int pci_enable_atomic_ops_to_root(struct pci_dev *pdev, u32 cap_mask);
/** pci_save_state, pci_restore_state - the header and writable capability registers, around a reset. */
struct pci_saved_state { u8 *bytes; unsigned len; };
int pci_save_state(struct pci_dev *pdev, struct pci_saved_state *ret);
void pci_restore_state(struct pci_dev *pdev, struct pci_saved_state *state); /* frees */
/**
 * pci_reset_function - by FLR, else PM, else bus if alone on it, or as reset_method says
 * State is saved and restored, MSI included.  Return: 0; -ENOTTY no way, or the device does not come back.
 */
int pci_reset_function(struct pci_dev *pdev);
/** pci_wait_ready - does the device answer, @after a reset?  0; -ENOTTY with reason. */
int pci_wait_ready(struct pci_dev *pdev, const char *after);
bool pci_reset_supported(struct pci_dev *pdev);
/** pci_reset_notify_done - tell the driver; for who resets a bus, once states are restored. */
void pci_reset_notify_done(struct pci_dev *pdev);
/**
 * pci_bridge_secondary_bus_reset - reset all that is behind @bridge; states are the caller's to save and
 * restore.
 */
void pci_bridge_secondary_bus_reset(struct pci_dev *bridge);

/** pci_set_asleep - the driver has no user (or has one): what power_state shows.  Any thread. */
void pci_set_asleep(struct pci_dev *pdev, bool asleep);
/** pci_show_power - the same, and the power state that its registers have, for readers in other processes.  Any lock. */
void pci_show_power(struct pci_dev *pdev);
/** pci_show_unused - nobody has the device any more who could say so: its files say again what they do of one that is not open. */
void pci_show_unused(struct pci_dev *pdev);
/**
 * pci_read_vpd, pci_write_vpd - vital product data; behind its end nothing is read
 * Return: bytes; -ENODEV none; -EIO no list that ends; -EINVAL no whole words; -ETIMEDOUT.
 */
ssize_t pci_read_vpd(struct pci_dev *pdev, u64 pos, size_t len, void *buf);
ssize_t pci_write_vpd(struct pci_dev *pdev, u64 pos, size_t len, const void *buf);

/* ---- virtual functions (iov.c): tree lock held ---- */
/** pci_enable_sriov - have @num of them.  0; -ERANGE; -EBUSY there are some; what adding one says. */
int pci_enable_sriov(struct pci_dev *pdev, unsigned num);
/** pci_disable_sriov - take them away; waits for programs that hold one. */
void pci_disable_sriov(struct pci_dev *pdev);
unsigned pci_num_vf(const struct pci_dev *pdev);

/* ---- interrupts (msi.c) ---- */
/**
 * pci_alloc_irq_vectors - enable MSI (@msix false) or MSI-X with @nvec vectors, all without handlers
 * Programs the capability or table, with messages that come back to pci_msi_receive().
 * Return: 0; -ENOSPC more than the device has; -ERANGE none; -EINVAL already enabled, or not in D0; -ENOMEM.
 */
int pci_alloc_irq_vectors(struct pci_dev *pdev, bool msix, unsigned nvec);
void pci_free_irq_vectors(struct pci_dev *pdev);
/**
 * pci_show_messages - that the driver uses these vectors of what it enabled, in msi_irqs of /sys (irq.c)
 * pci_hide_messages - that it uses none any more.  Called by the device's only user.
 */
void pci_show_messages(struct pci_dev *pdev, bool msix, unsigned first, unsigned count);
void pci_hide_messages(struct pci_dev *pdev, bool msix);
unsigned pci_msi_vec_count(struct pci_dev *pdev);
unsigned pci_msix_vec_count(struct pci_dev *pdev);
/**
 * pci_request_irq - call @handler(@arg) on each message of @vector; pci_free_irq waits for a running one
 * The handler runs on a device thread or inside a BAR access; it takes only locks above LOCK_PCI_MSI.
 */
int pci_request_irq(struct pci_dev *pdev, unsigned vector, void (*handler)(void *arg), void *arg);
void pci_free_irq(struct pci_dev *pdev, unsigned vector);
/** pci_restore_msi - write messages again after a reset wiped them. */
void pci_restore_msi(struct pci_dev *pdev);
/** pci_msi_receive - hardware wrote @data to @addr in the interrupt window.  Any thread. */
void pci_msi_receive(u64 addr, u32 data);
/** pci_request_intx - call @handler whenever the pin's level goes (or is, after unmasking) high. */
int pci_request_intx(struct pci_dev *pdev, void (*handler)(void *arg), void *arg);
void pci_free_intx(struct pci_dev *pdev);
/**
 * pci_mask_intx - the driver's handler took the pin's interrupt and wants no other for now, or again
 * A handler runs below hardware's locks and cannot write INTx disable into the command register as Linux's does; so it is only
 * shown there to programs that read config space in /sys.  Any lock.
 */
void pci_mask_intx(struct pci_dev *pdev, bool masked);
/** pci_intx_receive - hardware's pin goes high, as gated by INTx disable in the command register. */
void pci_intx_receive(struct pci_dev *pdev);
/** pci_intx - the INTx disable bit: @enable clears it. */
void pci_intx(struct pci_dev *pdev, bool enable);
/** pci_aer_receive - hardware sent an error message; @status is one bit.  Any thread, any lock below LOCK_PCI_AER. */
void pci_aer_receive(struct pci_dev *pdev, enum pci_aer_severity severity, u32 status);
/** pci_intx_pending - status register bit 3. */
bool pci_intx_pending(struct pci_dev *pdev);

#endif
