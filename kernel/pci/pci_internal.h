/* SPDX-License-Identifier: BSD-3-Clause */
/* pci_internal.h - between the files of this folder; drivers and machine/ see pci.h. */
#ifndef KERNEL_PCI_PCI_INTERNAL_H
#define KERNEL_PCI_PCI_INTERNAL_H

#include <linux/pci_regs.h>

#include "kernel/pci/pci.h"

#define PCI_PATH_MAX 320

enum { PCI_WINDOW_IO, PCI_WINDOW_MEM, PCI_WINDOW_PREF };

/* Each way to reset a device, in the order of preference. */
enum pci_reset_method { PCI_RESET_FLR, PCI_RESET_AF, PCI_RESET_PM, PCI_RESET_BUS, PCI_RESET_METHODS };

TAILQ_HEAD(pci_dev_list, pci_dev);
extern struct pci_dev_list pci_devices; /* probe.c: all, present or not; under the tree lock */

static inline bool pci_is_bridge(const struct pci_dev *pdev)
{
	return (pdev->hdr_type & 0x7f) == PCI_HEADER_TYPE_BRIDGE;
}

/* ---- probe.c ---- */
/** pci_rescan_bus - bring back what programs removed.  0; -errno of the first that failed. */
int pci_rescan_bus(struct bus_type *bus);
/** pci_stop_and_remove - a program removed @pdev: it and what is behind it leave the tree.  */
void pci_stop_and_remove(struct pci_dev *pdev);
/** pci_follow_removed - after another process removed or brought back devices.  false: again later. */
bool pci_follow_removed(void);

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
int pci_resource_text(const struct pci_dev *pdev, char *buf, size_t size);
/** pci_update_bridge_files - windows and bus numbers changed. */
void pci_update_bridge_files(struct pci_dev *bridge);
/** pci_update_reset_files - the ways to reset @pdev may have changed. */
void pci_update_reset_files(struct pci_dev *pdev);

/* ---- aer.c ---- */
/** pci_aer_init - find the capability, make the counters.  pci_aer_exit - forget reports, free them.  Tree lock held. */
int pci_aer_init(struct pci_dev *pdev);
void pci_aer_exit(struct pci_dev *pdev);
/** pci_aer_enable - let the device send error messages. */
void pci_aer_enable(struct pci_dev *pdev);
int pci_aer_add_attrs(struct pci_dev *pdev);

/* ---- reset.c ---- */
/** pci_reset_link - secondary bus reset with the state of all that is behind kept.  Tree lock held. */
void pci_reset_link(struct pci_dev *bridge);
const char *pci_reset_method_name(enum pci_reset_method method);
/** pci_reset_method_works - could it be used now? */
bool pci_reset_method_works(struct pci_dev *pdev, enum pci_reset_method method);
/** pci_default_reset_methods - as reset_method shows them at first: "flr bus\n"; "" none.  Return: length. */
int pci_default_reset_methods(struct pci_dev *pdev, char *buf, size_t size);

#endif
