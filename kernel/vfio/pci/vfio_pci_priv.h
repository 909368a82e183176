/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_priv.h - a PCI device in the hands of a program: what the files of vfio-pci share.
 *
 * The words.  "Real" config space is what the hardware has, "virtual" what the program sees; the
 * difference is kept in vconfig and described bit by bit (vfio_pci_config.c).  The "gate" says whether
 * BARs may be reached now; everything that touches a BAR passes through it, and whatever takes memory
 * decoding away (the command register, D3hot, a reset, low power) closes it, waits until nobody is
 * inside, and takes the direct pages away from the program.
 *
 * Locks, outermost first: device set, igate, memory_lock, config_lock, (virqfd.c's), intx_lock, that of
 * dma-bufs, the locks of hardware and msi.c, and the pin's own.  Whoever is inside the gate takes none of the first
 * four: a closer holds memory_lock while it waits.
 */
#ifndef KERNEL_VFIO_PCI_VFIO_PCI_PRIV_H
#define KERNEL_VFIO_PCI_VFIO_PCI_PRIV_H

#include <linux/vfio.h>
#include <stdatomic.h>

#include "kernel/fs/eventfd.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/types.h"
#include "kernel/pci/pci.h"
#include "kernel/vfio/vfio.h"

#define VFIO_PCI_OFFSET_SHIFT 40
#define VFIO_PCI_OFFSET_TO_INDEX(off) ((off) >> VFIO_PCI_OFFSET_SHIFT)
#define VFIO_PCI_INDEX_TO_OFFSET(index) ((u64)(index) << VFIO_PCI_OFFSET_SHIFT)
#define VFIO_PCI_OFFSET_MASK ((1ull << VFIO_PCI_OFFSET_SHIFT) - 1)

#define VFIO_PCI_IOEVENTFD_MAX 1000
#define VFIO_PCI_IRQ_NONE (-1) /* irq_type: else VFIO_PCI_{INTX,MSI,MSIX}_IRQ_INDEX */

/* Bits of the gate: what is allowed now. */
#define GATE_DECODE BIT(0) /* memory decoding is on and the device is in D0: BARs answer */
#define GATE_MAPPED BIT(1) /* mappings may be used: not in low power */
#define GATE_CLOSED BIT(31) /* a reset is under way: everybody waits */

/* One MSI or MSI-X vector.  Its address is what msi.c calls back with. */
struct vfio_pci_irq_ctx {
	struct vfio_pci_core_device *vdev; /* immutable */
	unsigned vector; /* immutable */
	bool shown; /* igate; /sys has it */
	struct eventfd_ctx *trigger; /* igate; changes only while msi.c has no handler.  NULL: none */
};

/* The pin. */
struct vfio_pci_intx {
	struct mutex lock; /* LOCK_VFIO_PCI_TRIGGER: all below */
	struct eventfd_ctx *trigger; /* NULL: none */
	bool masked; /* until the program unmasks */
	bool told; /* the user knows that it is */
};

struct vfio_pci_ioeventfd {
	TAILQ_ENTRY(vfio_pci_ioeventfd) next;
	struct vfio_pci_core_device *vdev;
	u64 data, off;
	unsigned bar, len;
	struct virqfd *virqfd;
};

/* Access rights of config space, each cfg_size bytes long. */
struct vfio_pci_config {
	u8 *vconfig; /* values of virtual bits; config_lock */
	u8 *virt; /* 1: the bit lives in vconfig, 0: in hardware.  Immutable while open */
	u8 *writable; /* 1: a write changes the bit.  Immutable while open */
	u8 *kind; /* enum config_kind: which register with an effect a byte belongs to.  Likewise */
	unsigned msi_pos, pm_pos, exp_pos, af_pos, vpd_pos; /* as the walk found them; 0 absent */
};

struct vfio_pci_core_device {
	struct vfio_device vdev; /* first: the core's */
	struct pci_dev *pdev; /* immutable */
	void (*closed)(struct vfio_pci_core_device *vdev); /* a variant driver's, at the end of the last close; NULL */

	/* Found out when it is opened; immutable while open. */
	bool reset_works;
	bool has_vga;
	bool slept; /* as it will again when it is closed */
	bool bar_mmap_supported[PCI_STD_NUM_BARS];
	int msix_bar; /* -1 none */
	u64 msix_table_off, msix_table_bytes;
	struct pci_saved_state pristine; /* to go back to when it is closed */
	struct vfio_pci_config config;

	/* The gate. */
	struct mutex memory_lock; /* LOCK_VFIO_PCI_MEMORY: who opens and closes it */
	_Atomic u32 gate; /* changed under memory_lock */
	_Atomic u32 gate_users; /* accesses inside */
	bool hot_reset; /* memory_lock: a bus reset works on this device */
	TAILQ_HEAD(, vfio_pci_dma_buf) dma_bufs; /* vfio_pci_dmabuf.c's lock */
	bool needs_reset; /* device set's lock: closed without a reset of its own */

	/* Power, memory_lock. */
	bool pm_engaged; /* the program allowed low power */
	_Atomic(struct eventfd_ctx *) pm_wake; /* to be told at the first access; also ends low power */
	struct pci_saved_state pm_save; /* of a device that forgets its state in D3hot */
	bool pm_saved;

	struct mutex config_lock; /* LOCK_VFIO_PCI_CONFIG: vconfig and the effects of writes */

	/* Interrupts, igate. */
	struct mutex igate; /* LOCK_VFIO_PCI_IGATE */
	_Atomic int irq_type; /* written under igate */
	struct vfio_pci_irq_ctx *ctx; /* MSI, MSI-X: num_ctx of them */
	unsigned num_ctx;
	bool msi_maskable; /* a vector without handler is masked in the device */
	_Atomic unsigned msi_qmax; /* log2 of how many MSI vectors were last enabled */
	struct eventfd_ctx *err_trigger, *req_trigger;
	TAILQ_HEAD(, vfio_pci_ioeventfd) ioeventfds;
	unsigned nr_ioeventfds;

	struct mutex intx_lock; /* LOCK_VFIO_PCI_INTX: masking by the program */
	struct vfio_pci_intx intx;
	bool intx_disabled; /* intx_lock: the program set INTx disable in the command register */
	struct virqfd *unmask_virqfd; /* virqfd.c's */

	u8 vf_token[16]; /* igate; of a physical function, random at first */
	unsigned vf_users; /* igate; of a physical function: how many of its virtual ones are open */
};

static inline struct vfio_pci_core_device *to_core(struct vfio_device *vdev)
{
	return (struct vfio_pci_core_device *)vdev; /* vdev is the first member */
}

static inline const char *vfio_pci_name(const struct vfio_pci_core_device *vdev)
{
	return vdev->pdev->dev.name;
}

/* ---- vfio_pci_core.c ------------------------------------------------------------------------- */

extern const struct vfio_device_ops vfio_pci_ops;
/** vfio_pci_core_of - the device that this driver has; NULL if another has it or none.  @pdev stays. */
struct vfio_pci_core_device *vfio_pci_core_of(struct pci_dev *pdev);
/** vfio_pci_core_init, vfio_pci_core_uninit - around the registration with the VFIO core; memory zeroed. */
void vfio_pci_core_init(struct vfio_pci_core_device *vdev, struct pci_dev *pdev);
void vfio_pci_core_uninit(struct vfio_pci_core_device *vdev);
/**
 * vfio_pci_core_register_device - between the two: the device is VFIO's; driver_data is @vdev from then on
 * vfio_pci_core_unregister_device - undo it; waits until it is not in use.  Tree lock held.
 */
int vfio_pci_core_register_device(struct vfio_pci_core_device *vdev);
void vfio_pci_core_unregister_device(struct vfio_pci_core_device *vdev);
/** vfio_pci_core_user_gone - for device_driver.user_gone. */
void vfio_pci_core_user_gone(struct device *dev);
/** vfio_pci_get_irq_count - vectors of one SET_IRQS index; 0 absent. */
unsigned vfio_pci_get_irq_count(struct vfio_pci_core_device *vdev, unsigned index);

/** vfio_pci_err_signal - the device reported an uncorrectable error.  Takes igate. */
void vfio_pci_err_signal(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_gate.c ------------------------------------------------------------------------- */

/**
 * vfio_pci_gate_enter - go to a BAR
 * @need: GATE_ bits that must be set; 0: only wait for the end of a reset
 * Any thread that holds neither memory_lock nor config_lock.  Cheap: two atomic additions.
 * Return: true, and vfio_pci_gate_leave() must follow soon; false, nothing is held.
 */
bool vfio_pci_gate_enter(struct vfio_pci_core_device *vdev, u32 need);
void vfio_pci_gate_leave(struct vfio_pci_core_device *vdev);
/** vfio_pci_memory_lock - take memory_lock, once no bus reset works on the device. */
void vfio_pci_memory_lock(struct vfio_pci_core_device *vdev);
void vfio_pci_memory_unlock(struct vfio_pci_core_device *vdev);
/**
 * vfio_pci_gate_close - nobody may enter, nobody is inside, and no page is mapped directly
 * vfio_pci_gate_update - let the gate be what command register, power state and low power say
 * Both: memory_lock held.
 */
void vfio_pci_gate_close(struct vfio_pci_core_device *vdev);
void vfio_pci_gate_update(struct vfio_pci_core_device *vdev);
/** vfio_pci_why_closed - why mappings cannot be used now, in words. */
const char *vfio_pci_why_closed(struct vfio_pci_core_device *vdev);
/** vfio_pci_gate_without_decode - close it as for a device that stops decoding; stays until the next update. */
void vfio_pci_gate_without_decode(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_config.c ----------------------------------------------------------------------- */

int vfio_pci_config_init(struct vfio_pci_core_device *vdev); /* 0; -ENOMEM */
void vfio_pci_config_free(struct vfio_pci_core_device *vdev);
ssize_t vfio_pci_config_rw(struct vfio_pci_core_device *vdev, char __user *buf, size_t count, u64 off,
			   bool write);

/* ---- vfio_pci_caps.c ------------------------------------------------------------------------- */

/* Bytes whose writes do more than change bits. */
enum config_kind {
	CONFIG_PLAIN,
	CONFIG_COMMAND,
	CONFIG_MSI_FLAGS,
	CONFIG_PM_CTRL,
	CONFIG_EXP_DEVCTL,
	CONFIG_AF_CTRL,
	CONFIG_VPD_ADDR
};

/** vfio_pci_caps_init - fill the tables of vdev->config from header and capability lists. */
void vfio_pci_caps_init(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_rdwr.c ------------------------------------------------------------------------- */

ssize_t vfio_pci_bar_rw(struct vfio_pci_core_device *vdev, unsigned bar, char __user *buf, size_t count,
			u64 off, bool write);
/** vfio_pci_copy_out - copy_to_user(), and as many bytes as can be written if not all can.  0; -EFAULT with reason. */
int vfio_pci_copy_out(char __user *user, const void *bytes, size_t len);
/** vfio_pci_vga_rw - region 8: legacy addresses of a VGA device. */
ssize_t vfio_pci_vga_rw(struct vfio_pci_core_device *vdev, char __user *buf, size_t count, u64 off, bool write);
/** vfio_pci_bar_pieces - move bytes to or from a BAR in large aligned pieces.  Inside the gate; in range. */
void vfio_pci_bar_pieces(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, void *buf, size_t len,
			 bool write);
long vfio_pci_ioeventfd(struct vfio_pci_core_device *vdev, u64 offset, u64 data, unsigned len, int fd);
/** vfio_pci_ioeventfds_free - remove all of them. */
void vfio_pci_ioeventfds_free(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_mmap.c ------------------------------------------------------------------------- */

int vfio_pci_mmap(struct vfio_device *core_vdev, struct vm_area *vma, int map_flags);
/** vfio_pci_probe_mmaps - which BARs may be mapped: those that share no page with another device's. */
void vfio_pci_probe_mmaps(struct vfio_pci_core_device *vdev);
/** vfio_pci_direct_areas - parts of a BAR that need no trap.  Return: how many; at most @room are filled. */
unsigned vfio_pci_direct_areas(struct vfio_pci_core_device *vdev, unsigned bar,
			       struct vfio_region_sparse_mmap_area *ret, unsigned room);

/* ---- vfio_pci_intrs.c ------------------------------------------------------------------------ */

/**
 * vfio_pci_set_irqs - VFIO_DEVICE_SET_IRQS once its header is known to be sound
 * @data: @count bytes or descriptors, as @flags say; NULL with DATA_NONE
 * igate held.  Return: 0; -errno as Linux.
 */
int vfio_pci_set_irqs(struct vfio_pci_core_device *vdev, u32 flags, unsigned index, unsigned start,
		      unsigned count, const void *data);
/** vfio_pci_intrs_disable - switch all off; igate held.  Waits for handlers. */
void vfio_pci_intrs_disable(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_intx.c ------------------------------------------------------------------------- */

/** vfio_pci_intx_set_disabled - the program changed INTx disable in the command register.  config_lock held. */
void vfio_pci_intx_set_disabled(struct vfio_pci_core_device *vdev, bool disabled);
/** vfio_pci_intx_enable - igate held; takes over @trigger, also on failure.  0; -errno. */
int vfio_pci_intx_enable(struct vfio_pci_core_device *vdev, struct eventfd_ctx *trigger);
void vfio_pci_intx_disable(struct vfio_pci_core_device *vdev);
void vfio_pci_intx_mask(struct vfio_pci_core_device *vdev);
void vfio_pci_intx_unmask(struct vfio_pci_core_device *vdev);
/** vfio_pci_intx_sync - put the real INTx disable bit where program and mask want it. */
void vfio_pci_intx_sync(struct vfio_pci_core_device *vdev);
/** vfio_pci_intx_set_trigger - exchange the eventfd; takes over @trigger, which may be NULL. */
void vfio_pci_intx_set_trigger(struct vfio_pci_core_device *vdev, struct eventfd_ctx *trigger);
/** vfio_pci_intx_signal - loopback: signal as if the device had, masked or not, but not while the command register disables INTx. */
void vfio_pci_intx_signal(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_reset.c ------------------------------------------------------------------------ */

/** vfio_pci_reset_function - reset with the gate closed.  memory_lock held.  0; -ENOTTY, -EINVAL no way. */
int vfio_pci_reset_function(struct vfio_pci_core_device *vdev);
long vfio_pci_reset(struct vfio_pci_core_device *vdev);
long vfio_pci_hot_reset_info(struct vfio_pci_core_device *vdev, void __user *arg);
long vfio_pci_hot_reset(struct vfio_pci_core_device *vdev, void __user *arg);
/**
 * vfio_pci_dev_set_try_reset - after the last close on a bus: reset it for devices without a reset of
 * their own.  Set's lock held.
 */
void vfio_pci_dev_set_try_reset(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_power.c ------------------------------------------------------------------------ */

/** vfio_pci_pm_resume - every call comes here first: leave low power, tell who wanted to know. */
void vfio_pci_pm_resume(struct vfio_pci_core_device *vdev);
/** vfio_pci_set_power_state - go to D0..D3hot, as the device can.  memory_lock held. */
void vfio_pci_set_power_state(struct vfio_pci_core_device *vdev, unsigned state);
/** vfio_pci_woken - somebody else reset the device, and so brought it to D0. */
void vfio_pci_woken(struct vfio_pci_core_device *vdev);
/** vfio_pci_pm_release - forget all about low power at close. */
void vfio_pci_pm_release(struct vfio_pci_core_device *vdev);
int vfio_pci_feature_low_power(struct vfio_pci_core_device *vdev, u32 flags, void __user *arg, size_t argsz);

/* ---- vfio_pci_dmabuf.c ----------------------------------------------------------------------- */

int vfio_pci_feature_dma_buf(struct vfio_pci_core_device *vdev, u32 flags, void __user *arg, size_t argsz);
/** vfio_pci_dma_bufs_follow_gate - the gate has changed: revoke buffers, or let them be imported.  memory_lock held. */
void vfio_pci_dma_bufs_follow_gate(struct vfio_pci_core_device *vdev);
/** vfio_pci_dma_bufs_cleanup - the device is closed: the buffers are dead. */
void vfio_pci_dma_bufs_cleanup(struct vfio_pci_core_device *vdev);

/* ---- vfio_pci_feature.c ---------------------------------------------------------------------- */

int vfio_pci_device_feature(struct vfio_device *core_vdev, u32 flags, void __user *arg, size_t argsz);
int vfio_pci_match(struct vfio_device *core_vdev, const char *buf);
/** vfio_pci_token_init - a token that nobody can guess. */
void vfio_pci_token_init(struct vfio_pci_core_device *vdev);
/** vfio_pci_token_user - a virtual function was opened (+1) or closed (-1); nothing to do for others. */
void vfio_pci_token_user(struct vfio_pci_core_device *vdev, int change);
/** vfio_pci_match_token - the same for a UUID that BIND_IOMMUFD was given; NULL none.  0; -EINVAL; -EACCES. */
int vfio_pci_match_token(struct vfio_device *core_vdev, const u8 *uuid);

#endif
