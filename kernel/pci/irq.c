/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.c - numbers of interrupts, as /sys shows them.
 *
 *	<device>/irq		the line that firmware routed the pin to; once the device was enabled the input of
 *				the I/O APIC that it comes in by; while MSI is on (not MSI-X) its first message's number
 *	<device>/msi_irqs/N	"msi" or "msix", a file for each message; the directory stays until the driver goes
 *
 * Nothing here signals anything: msi.c does, with numbers of its own.  Those here must be the same in all processes and no
 * device's twice.  So each device has a run of them, as long as it may have messages, behind the runs of the devices
 * before it in the machine; the first begins behind the inputs of the I/O APIC.
 *
 * The files are written by the process that uses the device, without the tree lock: nobody else writes them, and a device
 * that is in use does not leave the tree.
 */
#include <stdio.h>

#include "kernel/fs/kernfs.h"
#include "kernel/pci/pci_internal.h"

#define APIC_FIRST 16u /* behind those of the old lines */
#define APIC_INPUTS 8u
#define MESSAGES_FIRST (APIC_FIRST + APIC_INPUTS)
#define MSIX_MAX 2048u

/* The pins of the slots of a bus are wired crosswise, so that pin A of all does not go to one place. */
static unsigned swizzle(const struct pci_dev *pdev)
{
	unsigned pin = pdev->pin - 1u;

	for (; pdev; pdev = pdev->bridge)
		pin += pdev->devfn >> 3;
	return pin;
}

u8 pci_irq_line(const struct pci_dev *pdev)
{
	if (!pdev->pin)
		return 0;
	return swizzle(pdev) & 2 ? 11 : 10;
}

/* What there is of a virtual function before it exists cannot be read. */
static unsigned messages_max(struct pci_dev *pdev)
{
	if (pdev->physfn)
		return MSIX_MAX;
	pdev->msi_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_MSI);
	pdev->msix_cap = (u8)pci_find_capability(pdev, PCI_CAP_ID_MSIX);
	return max(pci_msi_vec_count(pdev), pci_msix_vec_count(pdev));
}

void pci_irq_init(struct pci_dev *pdev)
{
	const struct pci_dev *before = TAILQ_PREV(pdev, pci_dev_list, all_node);

	pdev->first_irq = before ? before->first_irq + before->nr_irqs : MESSAGES_FIRST;
	pdev->nr_irqs = messages_max(pdev);
}

static void show(struct pci_dev *pdev, unsigned number)
{
	char path[PCI_PATH_MAX], text[16];

	snprintf(path, sizeof(path), "%s/irq", pdev->dev.path);
	snprintf(text, sizeof(text), "%u\n", number);
	kernfs_show(path, text);
}

void pci_show_pin(struct pci_dev *pdev)
{
	if (pdev->pin)
		show(pdev, APIC_FIRST + swizzle(pdev) % APIC_INPUTS);
}

void pci_show_messages(struct pci_dev *pdev, bool msix, unsigned first, unsigned count)
{
	char path[PCI_PATH_MAX];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(path, sizeof(path), "%s/msi_irqs/%u", pdev->dev.path, pdev->first_irq + i);
		kernfs_create_same(path, 0444, msix ? "msix\n" : "msi\n", NULL, NULL);
	}
	if (!msix && !first)
		show(pdev, pdev->first_irq);
}

static int hide(void *dir, const char *name)
{
	char path[PCI_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", (const char *)dir, name);
	kernfs_remove(path);
	return 0;
}

void pci_hide_messages(struct pci_dev *pdev, bool msix)
{
	char dir[PCI_PATH_MAX - 16];

	snprintf(dir, sizeof(dir), "%s/msi_irqs", pdev->dev.path);
	kernfs_for_each(dir, hide, dir);
	if (msix)
		return;
	if (pdev->pin)
		pci_show_pin(pdev);
	else
		show(pdev, 0);
}

void pci_forget_messages(struct pci_dev *pdev)
{
	char dir[PCI_PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/msi_irqs", pdev->dev.path);
	kernfs_remove(dir);
}
