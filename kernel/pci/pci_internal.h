/* SPDX-License-Identifier: BSD-3-Clause */
/* pci_internal.h - between the files of this folder; drivers and machine/ see pci.h. */
#ifndef KERNEL_PCI_PCI_INTERNAL_H
#define KERNEL_PCI_PCI_INTERNAL_H

#include <linux/pci_regs.h>

#include "kernel/pci/pci.h"

#define PCI_PATH_MAX 320

enum { PCI_WINDOW_IO, PCI_WINDOW_MEM, PCI_WINDOW_PREF };

/* Each way to reset a device, in the order of preference. */
enum pci_reset_method { PCI_RESET_FLR, PCI_RESET_AF, PCI_RESET_PM, PCI_RESET_BUS, PCI_RESET_CXL_BUS, PCI_RESET_METHODS };

TAILQ_HEAD(pci_dev_list, pci_dev);
extern struct pci_dev_list pci_devices; /* probe.c: all, present or not; fixed while there is a machine */

static inline bool pci_is_bridge(const struct pci_dev *pdev)
{
	return (pdev->hdr_type & 0x7f) == PCI_HEADER_TYPE_BRIDGE;
}

/* ---- probe.c ---- */
/** pci_size_bar - size and flags of the BAR register at @off.  Return: registers it takes; at most @left. */
unsigned pci_size_bar(struct pci_dev *pdev, struct resource *res, unsigned off, unsigned left);
/** pci_enlist_vfs, pci_delist_vfs - as many virtual functions as there shall be, or none.  0; -errno. */
int pci_enlist_vfs(struct pci_dev *pdev);
void pci_delist_vfs(struct pci_dev *pdev);
/** pci_rescan_bus - bring back what programs removed.  0; -errno of the first that failed. */
int pci_rescan_bus(struct bus_type *bus);
/** pci_come_back - one device, if it is gone and the bridge above is there.  0; -errno. */
int pci_come_back(struct pci_dev *pdev);
/** pci_write_removed - keep in the machine's directory which are gone. */
void pci_write_removed(void);
/** pci_stop_and_remove - a program removed @pdev: it and what is behind it leave the tree.  */
void pci_stop_and_remove(struct pci_dev *pdev);
/** pci_bus_tidy - remove what a process that is gone was about to remove.  Return: was there anything? */
bool pci_bus_tidy(struct bus_type *bus);
/** pci_follow_removed - after another process removed or brought back devices.  false: again later. */
bool pci_follow_removed(void);

/* ---- bus.c: tree lock held ---- */
/** pci_host_bridge_init - /sys/devices/pci0000:00, and its bus. */
int pci_host_bridge_init(void);
/** pci_bus_add - there is a device on this bus: so there is the bus. */
int pci_bus_add(struct pci_dev *pdev);
/** pci_bus_remove_behind - the bridge goes, and so the buses behind it. */
void pci_bus_remove_behind(struct pci_dev *bridge);
/** pci_rescan - pci_rescan_bus() for one bus and those behind it. */
int pci_rescan(u16 domain, u8 bus);

/* ---- irq.c ---- */
/** pci_irq_line - where firmware routes its pin; 0 without one. */
u8 pci_irq_line(const struct pci_dev *pdev);
/** pci_irq_init - its run of numbers; it is the last one of pci_devices. */
void pci_irq_init(struct pci_dev *pdev);
/** pci_show_pin - the device is enabled: `irq` is an input of the I/O APIC from now on. */
void pci_show_pin(struct pci_dev *pdev);
/** pci_forget_messages - its driver is gone, and msi_irqs with it.  Tree lock held. */
void pci_forget_messages(struct pci_dev *pdev);

/* ---- pci-driver.c ---- */
int pci_bus_match(struct device *dev, struct device_driver *drv);
int pci_add_driver_attrs(struct device_driver *drv);
/** pci_bus_sync - follow what other processes did to ids and devices.  false: again later. */
bool pci_bus_sync(struct bus_type *bus);
int pci_modalias(const struct pci_dev *pdev, char *buf, size_t size);

/* ---- setup-res.c ---- */
void pci_space_init(void);
/**
 * pci_assign_resources - give every BAR an address and write it down in config space.  0; -ENOSPC; -ENOMEM.
 */
int pci_assign_resources(struct pci_dev *pdev);
/** pci_program_resources - write the addresses that resource[] has into config space. */
void pci_program_resources(struct pci_dev *pdev);
void pci_program_windows(struct pci_dev *bridge);

/* ---- pci-sysfs.c ---- */
int pci_add_device_attrs(struct device *dev);
void pci_local_cpus_text(char *buf, size_t size);
void pci_local_cpulist_text(char *buf, size_t size);
int pci_resource_text(const struct pci_dev *pdev, char *buf, size_t size);
/** pci_control_changed - power/control keeps the device awake, or no longer. */
void pci_control_changed(struct device *dev);
/** pci_show_enabled - `enable` says how often the device is. */
void pci_show_enabled(struct pci_dev *pdev);
/** pci_update_bridge_files - windows and bus numbers changed. */
void pci_update_bridge_files(struct pci_dev *bridge);

/* ---- aer.c ---- */
/** pci_aer_init - find the capability, make the counters.  pci_aer_exit - forget reports, free them.  Tree lock held. */
int pci_aer_init(struct pci_dev *pdev);
void pci_aer_exit(struct pci_dev *pdev);
/** pci_aer_enable - let the device send error messages. */
void pci_aer_enable(struct pci_dev *pdev);
int pci_aer_add_attrs(struct pci_dev *pdev);

/* ---- vpd.c ---- */
void pci_vpd_init(struct pci_dev *pdev);
int pci_vpd_add_attr(struct pci_dev *pdev);

/* ---- iov.c ---- */
struct pci_sriov {
	unsigned pos;
	u16 total_vfs, offset, stride, vf_device;
	struct resource res[PCI_SRIOV_NUM_BARS]; /* of the first virtual function; the others' follow */
	unsigned num_vfs;	/* under the tree lock */
	bool drivers_autoprobe; /* under the tree lock */
};
/** pci_ari_enabled - may functions have numbers above 7?  Device and port must know alternative routing. */
bool pci_ari_enabled(struct pci_dev *pdev);
int pci_iov_init(struct pci_dev *pdev); /* 0; -ENOMEM */
void pci_iov_exit(struct pci_dev *pdev);
/** pci_iov_resource - what one BAR of all virtual functions takes; size 0: nothing. */
struct resource pci_iov_resource(const struct pci_dev *pdev, unsigned bar);
/** pci_iov_program - write the addresses of their BARs into the capability. */
void pci_iov_program(struct pci_dev *pdev);
/** pci_iov_vf_ids - vendor and device of a virtual function.  pci_iov_vf_resources - its BARs. */
u32 pci_iov_vf_ids(const struct pci_dev *vf);
void pci_iov_vf_resources(struct pci_dev *vf);
/** pci_iov_follow - another process may have changed the number. */
void pci_iov_follow(struct pci_dev *pdev);
/** pci_iov_vf_exists - does the number say that there is this one? */
bool pci_iov_vf_exists(const struct pci_dev *vf);
bool pci_iov_autoprobe(const struct pci_dev *vf);
int pci_iov_add_links(struct pci_dev *vf);
void pci_iov_remove_links(struct pci_dev *vf);
int pci_iov_add_attrs(struct pci_dev *pdev);

/* ---- reset.c ---- */
/** pci_reset_link - secondary bus reset with the state of all that is behind kept.  Tree lock held. */
void pci_reset_link(struct pci_dev *bridge);
/** pci_is_behind - is @bridge above @pdev, with or without others between? */
bool pci_is_behind(const struct pci_dev *pdev, const struct pci_dev *bridge);
const char *pci_reset_method_name(enum pci_reset_method method);
/** pci_reset_method_works - could it be used now? */
bool pci_reset_method_works(struct pci_dev *pdev, enum pci_reset_method method);
/** pci_default_reset_methods - as reset_method shows them at first: "flr bus\n"; "" none.  Return: length. */
int pci_default_reset_methods(struct pci_dev *pdev, char *buf, size_t size);

#endif
