/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform.h - devices that sit at fixed addresses: the platform bus and the AMBA bus.
 *
 * A PCI device can be asked what it is.  These cannot: a device tree or firmware says that there is a
 * device, where its registers are and which wires of the interrupt controller are its.  On the
 * platform bus a device is known by its name alone ("platdev.0" is the first "platdev", "fe000000.dma"
 * one at an address); on the AMBA bus its registers end in a peripheral id, by which drivers know it.
 *
 * Both kinds are a struct platform_device here; which bus it is on follows from amba_id.
 *
 * struct platform_hw_ops is the slot that hardware is plugged into; machine/ does that.
 *
 * Sources: Linux Documentation/driver-api/driver-model/platform.rst and
 * Documentation/ABI/testing/sysfs-bus-platform; ARM PrimeCell manuals for peripheral ids.
 */
#ifndef KERNEL_PLATFORM_PLATFORM_H
#define KERNEL_PLATFORM_PLATFORM_H

#include <stdatomic.h>

#include "kernel/base/device.h"
#include "kernel/lib/types.h"

#define PLATFORM_MAX_RESOURCES 6
#define PLATFORM_MAX_IRQS 16
#define PLATFORM_NAME_BYTES 64

struct platform_device;

/* as hw.h */
enum platform_page_kind { PLATFORM_PAGE_TRAPPED, PLATFORM_PAGE_READ_DIRECT, PLATFORM_PAGE_DIRECT };

/* What sits at the addresses.  Each op may be called by any thread; @hw is platform_device.hw. */
struct platform_hw_ops {
	/* 1, 2, 4 or 8 bytes, naturally aligned, inside the region */
	u64 (*read)(void *hw, unsigned region, u64 off, unsigned len);
	void (*write)(void *hw, unsigned region, u64 off, unsigned len, u64 val);
	/** page - how page-aligned @off may be mapped, for how many bytes that holds, and the file behind it */
	enum platform_page_kind (*page)(void *hw, unsigned region, u64 off, int *ret_fd, u64 *ret_fd_off,
					u64 *ret_len);
	/** irq_level - is the wire of a level interrupt high now? */
	bool (*irq_level)(void *hw, unsigned irq);
	/** reset - registers at their reset values, DMA stopped, no interrupt raised */
	void (*reset)(void *hw);
};

struct platform_resource {
	u64 start, size_bytes; /* bus address; neither need be a multiple of a page */
	bool readonly;
};

struct platform_irq {
	bool level;				/* else edge; immutable */
	_Atomic(void (*)(void *arg)) handler;
	void *arg;				/* changes only while there is no handler and none is running */
	atomic_int running;			/* handler calls under way */
};

struct platform_device {
	struct device dev;			/* .name is set by the caller; .path is ours */
	const char *compatible;			/* what it is, as a device tree says it; NULL: its name tells */
	u32 amba_id;				/* PrimeCell peripheral id: on the AMBA bus; 0: on the platform bus */
	bool has_reset;				/* the host knows how to reset it */
	const struct platform_hw_ops *hw_ops;	/* immutable, as all below */
	void *hw;
	unsigned num_resources, num_irqs;
	struct platform_resource resource[PLATFORM_MAX_RESOURCES];
	struct platform_irq irq[PLATFORM_MAX_IRQS];
};
#define to_platform_device(d) container_of((d), struct platform_device, dev)

struct amba_id {
	u32 id, mask; /* mask 0 ends a table */
};

/* A driver for one of the two buses. */
struct platform_driver {
	struct device_driver driver; /* .id_table: of amba_id, on the AMBA bus; unused on the platform bus */
	int (*probe)(struct platform_device *pdev);
	void (*remove)(struct platform_device *pdev);
};
#define to_platform_driver(d) container_of((d), struct platform_driver, driver)

extern struct bus_type platform_bus_type, amba_bustype;

/** platform_bus_init, platform_bus_exit - both buses.  Tree lock held.  init: 0; -errno. */
int platform_bus_init(void);
void platform_bus_exit(void);

/**
 * platform_iommu_probe - set by machine/: put a device that has its directory, but no driver yet, into
 * its IOMMU group; NULL: devices have none.  Tree lock held.  Return: 0; -errno and it is not added.
 */
extern int (*platform_iommu_probe)(struct platform_device *pdev);

/**
 * platform_device_add - enlist a device whose name, amba_id, hw, resources and interrupts are set
 * @no_probe: leave it without a driver.  A driver_override set by the caller (strdup'ed) is taken over.
 * Tree lock held.  Return: 0; -EEXIST a device of that name; -ENOMEM; of its IOMMU.
 */
int platform_device_add(struct platform_device *pdev, bool no_probe);
/** platform_device_del - undo it; frees what hangs on @pdev, but not @pdev.  Tree lock held. */
void platform_device_del(struct platform_device *pdev);

/** platform_driver_register, amba_driver_register - tree lock held.  0; -EBUSY; -errno. */
int platform_driver_register(struct platform_driver *drv);
int amba_driver_register(struct platform_driver *drv);
/** platform_driver_unregister - of either bus. */
void platform_driver_unregister(struct platform_driver *drv);
/**
 * platform_host_driver_register - a stand-in for a kernel driver that only takes devices
 * @name: of devices it is for ("platdev") on the platform bus; @ids: on the AMBA bus, else NULL.
 * Both live as long as the process.  Tree lock held.  Return: 0; -ENOMEM; -errno.
 */
int platform_host_driver_register(const char *name, const struct amba_id *ids);

/** platform_name_stem - "platdev" of "platdev.0"; all of a name without number.  Return: @buf. */
const char *platform_name_stem(const char *name, char buf[static PLATFORM_NAME_BYTES]);

/* ---- interrupts (irq.c) ---- */

/**
 * platform_request_irq - call @handler(@arg) at each edge, or whenever the level goes high or is high now
 * The handler runs on a device's thread or inside a register access, under locks of hardware: it takes
 * only locks behind LOCK_PCI_MSI.  Return: 0; -EINVAL no such interrupt; -EBUSY it has a handler.
 */
int platform_request_irq(struct platform_device *pdev, unsigned irq, void (*handler)(void *arg), void *arg);
/** platform_free_irq - on return no handler is running. */
void platform_free_irq(struct platform_device *pdev, unsigned irq);
/** platform_irq_receive - hardware: an edge, or the level went high.  Any thread. */
void platform_irq_receive(struct platform_device *pdev, unsigned irq);
/** platform_irq_pending - is a level interrupt's wire high?  Never for an edge. */
bool platform_irq_pending(struct platform_device *pdev, unsigned irq);

#endif
