/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault.c - a DMA fault in words: which device, where, why, and what is mapped near there.
 *
 * The last is what helps: "the nearest mapped page is one below" is an off-by-one, "nothing within
 * 1 MiB" a wrong address.  It is asked from the IOMMU through a translation cache of our own, without
 * recording faults; it costs some hundred walks and happens only under --explain.
 *
 * A device that faults in a loop says the same thing again and again; a fault that equals the one
 * before is not printed.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/lib/explain.h"
#include "machine/machine_priv.h"

#define NEAR_PAGES 256u

static struct mutex last_lock = MUTEX_INITIALIZER(LOCK_LOG);
static struct hw_iommu_fault last_fault; /* under last_lock */

static bool said_before(const struct hw_iommu_fault *fault)
{
	bool same;

	mutex_lock(&last_lock);
	same = last_fault.devid == fault->devid &&
	       last_fault.iova >> PAGE_SHIFT == fault->iova >> PAGE_SHIFT &&
	       last_fault.reason == fault->reason && last_fault.write == fault->write;
	last_fault = *fault;
	mutex_unlock(&last_lock);
	return same;
}

/* The nearest mapped page on one side, up to NEAR_PAGES away: how many pages; 0 none. */
static unsigned pages_to_mapped(struct iotlb *iotlb, u64 page, bool below)
{
	for (unsigned n = 1; n <= NEAR_PAGES; n++) {
		u64 dist = (u64)n << PAGE_SHIFT;

		if (below ? dist > page : page + dist < page)
			return 0;
		if (iotlb_probe(iotlb, below ? page - dist : page + dist))
			return n;
	}
	return 0;
}

static void nearest_fact(struct hw_iommu *hw, const struct hw_iommu_fault *fault, char *buf, size_t size)
{
	struct iotlb *iotlb = iotlb_create_pasid(hw, fault->devid, fault->pasid);
	u64 page = fault->iova & PAGE_MASK;
	unsigned below, above, n;

	if (!iotlb)
		return;
	below = pages_to_mapped(iotlb, page, true);
	above = pages_to_mapped(iotlb, page, false);
	iotlb_destroy(iotlb);
	n = below && (!above || below <= above) ? below : above;
	if (!n)
		snprintf(buf, size, "; nothing is mapped within 1 MiB of it");
	else
		snprintf(buf, size, "; the nearest mapped page is 0x%llx, %u %s",
			 (unsigned long long)(n == below ? page - ((u64)n << PAGE_SHIFT)
							 : page + ((u64)n << PAGE_SHIFT)),
			 n, n == below ? "below" : "above");
}

/* A platform device's id is a stream's, not a place on a PCI bus. */
static const char *device_name(const struct machine *m, u16 devid, char *buf, size_t size)
{
	for (unsigned i = 0; i < m->nr_devices; i++) {
		const struct device_config *dev = m->devices[i].config;

		if (dev->name && dev->devid == devid) {
			snprintf(buf, size, "%s (stream 0x%x)", dev->name, devid);
			return buf;
		}
	}
	snprintf(buf, size, "%02x:%02x.%x", devid >> 8, devid >> 3 & 0x1f, devid & 7);
	return buf;
}

/* The unit knows numbers only. */
static void put_name(const char *name, const struct hw_iommu_fault *fault, char *what, size_t size)
{
	char bdf[24], rest[256], *at;

	snprintf(bdf, sizeof(bdf), "device %02x:%02x.%x", fault->devid >> 8, fault->devid >> 3 & 0x1f, fault->devid & 7);
	at = strstr(what, bdf);
	if (!at)
		return;
	snprintf(rest, sizeof(rest), "%s", at + strlen(bdf));
	snprintf(at, size - (size_t)(at - what), "device %s%s", name, rest);
}

void machine_fault_handler(void *arg, const struct hw_iommu_fault *fault)
{
	struct machine_unit *unit = arg;
	char what[256], fact[128] = "", name[80];

	if (!explain_enabled || said_before(fault))
		return;
	device_name(unit->machine, fault->devid, name, sizeof(name));
	if (!unit->iommu) {
		explain_event("DMA without an IOMMU: device %s %s physical address 0x%llx: no memory of this "
			      "program is there, or not so (its physical addresses are its virtual ones)",
			      name, fault->write ? "writes" : "reads", (unsigned long long)fault->iova);
		return;
	}
	if (fault->reason == HW_IOMMU_FAULT_NOT_PRESENT)
		nearest_fact(unit->hw, fault, fact, sizeof(fact));
	hw_iommu_fault_describe(fault, what, sizeof(what));
	put_name(name, fault, what, sizeof(what));
	explain_event("%s%s", what, fact);
}
