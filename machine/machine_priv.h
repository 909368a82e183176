/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine_priv.h - between the files of machine/ only.
 *
 *	config.c	what a machine is made of: parsing, checking, saving
 *	layout.c	addresses, root ports and groups for what the user left open
 *	machine.c	the machine of this process: made, attached, taken down
 *	build.c		one device: silicon, its PCI function, its IOMMU group, its driver
 *	glue.c		the ops tables by which kernel and hardware call each other
 *	fault.c		a DMA fault in words
 *	control.c	calls from other processes: softvfio inject, softvfio tree
 *	private.c	where private machines stand
 *	drivers.c	stand-ins for the host's drivers
 *	platform.c	platform devices: names, addresses, stream ids, how each is built
 */
#ifndef MACHINE_MACHINE_PRIV_H
#define MACHINE_MACHINE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "hw/core/hw_device.h"
#include "hw/iommu/hw_iommu.h"
#include "kernel/iommu/iommu.h"
#include "kernel/pci/pci.h"
#include "kernel/platform/platform.h"
#include "machine/machine.h"

struct show;

#define MACHINE_MAX_DEVICES 256u
#define MACHINE_MAX_VFS 1024u
#define MACHINE_MAX_GROUP 65535u
#define MACHINE_MAX_IOMMUS 8u
#define ADDR_BYTES sizeof("0000:00:00.0")

/* An address in domain 0: bus << 8 | slot << 3 | function, which is the IOMMU's device id too. */
#define DEVID(bus, slot, func) ((u16)((bus) << 8 | (slot) << 3 | (func)))
#define DEVID_BUS(devid) ((devid) >> 8)

struct device_config {
	const struct hw_model *model;
	int devid;		/* of a platform device its stream id; -1: not given yet */
	char *name;		/* of a platform device; NULL: not given yet, or a PCI device */
	int group;		/* -1: not given yet */
	int bus;		/* of a root port: the bus behind it; -1: not given yet or no root port */
	int iommu;		/* number of the unit that it is behind; -1: not given yet */
	int packed;		/* 1: its small BARs may share a page */
	char *driver;		/* NULL: the default */
	char *inject;		/* orders of faults (hw/core/inject.c); NULL none */
	struct hw_option_kv *options; /* the model's, ended by a NULL key; key is the model's own string */
	unsigned nr_options;
};

enum machine_iommu { MACHINE_IOMMU_AMD, MACHINE_IOMMU_INTEL, MACHINE_IOMMU_VIRTIO, MACHINE_IOMMU_NONE };

struct iommu_config {
	enum machine_iommu kind;
	unsigned aw_bits; /* of intel; 0: amd has no such choice */
	enum iommu_features features;
};

struct machine_config {
	struct iommu_config iommus[MACHINE_MAX_IOMMUS];
	unsigned nr_iommus;	/* at least 1 */
	unsigned nr_said;	/* of them, by machine_config_set_iommu() */
	struct device_config *devices; /* MACHINE_MAX_DEVICES of them */
	unsigned nr_devices;
	bool reset_not_required; /* the machine boots with vfio_platform.reset_required=N */
};

/* config.c */
bool device_config_is_port(const struct device_config *dev);
/** pci_driver_is_vfio - is it one of VFIO's for PCI, which take a device only when told by driver_override? */
bool pci_driver_is_vfio(const char *name);
/** device_config_driver - what it is to be bound to: "none" or a driver's name. */
const char *device_config_driver(const struct device_config *dev);
/** devid_print - "0000:01:00.0".  Return: @buf. */
const char *devid_print(int devid, char buf[static ADDR_BYTES]);
/** machine_config_append - a fresh device; NULL with reason if there are too many. */
struct device_config *machine_config_append(struct machine_config *cfg, const struct hw_model *model);
struct device_config *machine_config_find(const struct machine_config *cfg, int devid);

/** machine_config_set_param - a parameter of a module, as on the kernel's command line.  0; -EINVAL with reason. */
int machine_config_set_param(struct machine_config *cfg, const char *name, const char *value);

/* platform.c */
/** platform_config_set_name - 0; -EINVAL with reason; -ENOMEM. */
int platform_config_set_name(struct machine_config *cfg, struct device_config *dev, const char *name);
/** platform_config_complete - names and stream ids; PCI devices and ports have their addresses.  0; -EINVAL. */
int platform_config_complete(struct machine_config *cfg);
struct machine_device;
/** platform_device_build, platform_device_unbuild - as machine_device_build() and _destroy(), which call them. */
int platform_device_build(struct machine_device *md, const struct machine_config *cfg, struct hw_iommu *hw_iommu);
void platform_device_unbuild(struct machine_device *md);
/** platform_device_answers - is @addr one of its registers? */
bool platform_device_answers(const struct machine_device *md, u64 addr, unsigned *ret_region, u64 *ret_off);

/* layout.c */
/** machine_config_complete - fill in what is open.  0; -EINVAL with reason if it cannot be. */
int machine_config_complete(struct machine_config *cfg);

/* drivers.c */
extern const struct hw_model edu_model, ioat_model, nvme_model, pl330_model, platdev_model, root_port_model;
/** vfio_driver_of - the driver that hands a device of the model to programs: vfio-pci, vfio-platform, vfio-amba. */
const char *vfio_driver_of(const struct hw_model *model);
/** host_driver_fits - is @name the host's driver for @model? */
bool host_driver_fits(const char *name, const struct hw_model *model);
/** host_driver_of - the host's driver for a model; NULL if it has none. */
const char *host_driver_of(const struct hw_model *model);
/** host_drivers_register - once per process.  Tree lock held. */
int host_drivers_register(void);

/* build.c */
struct machine_device {
	struct pci_dev pdev;		/* of a PCI device */
	struct platform_device plat;	/* of a platform device */
	struct hw_device *hw;
	const struct device_config *config;
	struct device_config vf_config; /* what config points to, of a virtual function */
	bool added;	/* its bus knows it */
	atomic_bool removing;	/* surprise removal is under way; who sets it owns what follows */
	bool has_remover;	/* until it is joined */
	pthread_t remover;
};
/**
 * machine_device_build - a PCI device; @bridge: the port above, NULL on the root bus; @multifunction: more functions
 * are in its slot.  Tree lock held.
 * Return: 0; -errno with reason, and then machine_device_destroy() cleans up what there is.
 */
int machine_device_build(struct machine_device *md, struct pci_dev *bridge, struct hw_iommu *hw_iommu,
			 bool multifunction);
/** machine_device_inject - give the orders of faults that its configuration has.  0; -errno with reason. */
int machine_device_inject(struct machine_device *md);
/** machine_device_settle - wait until a removal that is under way has ended.  No lock held. */
void machine_device_settle(struct machine_device *md);
/** machine_device_destroy - tree lock held; accepts half-built ones, settled ones only. */
/**
 * machine_device_build_vf - virtual function @index of @pf, which was built, at @devid in @group
 * The PCI bus keeps it aside until a program wants it.  Tree lock held.  Return: as above.
 */
int machine_device_build_vf(struct machine_device *md, struct machine_device *pf, unsigned index, int devid,
			    int group, struct hw_iommu *hw_iommu);
/** machine_device_destroy - tree lock held; accepts half-built ones. */
void machine_device_destroy(struct machine_device *md);

/* glue.c */
extern const struct pci_hw_ops machine_pci_hw_ops;
extern const struct hw_host_ops machine_host_ops;
extern const struct hw_bus_ops machine_bus_ops;
extern const struct mmu_notifier_ops machine_mmu_notifier_ops; /* ctx: struct machine */
/** machine_page_request - a device of @unit, a struct machine_unit, asks for a page.  0; -ENODEV. */
int machine_page_request(void *unit, const struct hw_page_request *request);
extern const struct phys_slot_ops machine_mmio_ops; /* ctx: struct machine */

/* machine.c */
struct machine;
struct machine_unit {
	struct machine *machine;
	struct hw_iommu *hw;
	struct iommu_device *iommu;	/* NULL: no IOMMU, the bus alone */
	char name[16];			/* "ivhd0", "dmar1" */
};
struct machine {
	char *dir;			/* absolute; set once */
	struct machine_config *config;
	struct machine_unit units[MACHINE_MAX_IOMMUS];
	unsigned nr_units;
	struct machine_device *devices; /* config->nr_devices of them, ports first, then virtual functions */
	unsigned nr_devices;
};
/**
 * machine_bar_at - does a BAR lie at that bus address, as firmware handed them out?
 * Takes no lock: programs see virtual BAR registers, so that addresses stay as they are.
 */
bool machine_bar_at(u64 addr);

/** machine_show_faults - "inject DEVICE ORDERS" for what may still strike, "down DEVICE".  Attached. */
void machine_show_faults(struct show *out);

/* control.c */
/** machine_control_start - if the machine in @dir may be reached, make this process reachable.  Machine's lock held. */
void machine_control_start(const char *dir);
/** machine_control_stop - undo it; waits for a call that is being answered.  Machine's lock held, no other. */
void machine_control_stop(void);

/* fault.c */
/** machine_fault_handler - @unit is a struct machine_unit. */
void machine_fault_handler(void *unit, const struct hw_iommu_fault *fault);

#endif
