/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel/iommu.c - the driver of a VT-d unit in legacy mode: its root and context tables, its domains, its
 * invalidations.
 *
 * The root table is a page with an entry for each bus; it points to a context table, a page with an entry
 * for each device of that bus, made when the first of them is attached.  A domain is a second-stage page
 * table (pt/vtdss.c) with a 16-bit id that the unit tags what it caches with.
 *
 *	blocked domain		a context entry that is not present
 *	identity domain		translation type pass-through
 *	paging domain		translation type second stage; address width, tables and domain id
 *
 * What always holds: for each device, what its context entry says is what vtd.attached is; and after an
 * entry changed the unit has been told before the lock is dropped.
 *
 * Order of locks: a domain's lock is taken before calls into the unit.  attached[] and the context tables
 * of a device are guarded by the lock of its group, which the caller of attach_dev holds; two groups may
 * share a bus, so a context table is published with a compare-and-swap.
 *
 * Source: Intel VT-d specification, "Root Entry", "Context Entry", "Software Invalidating"; reserved ranges
 * and attributes as Linux 7.2 shows them on such a machine.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/domids.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommu/pt/vtdss.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/intel_iommu_bits.h"
#include "kernel/mm/mm.h"

#define DEVIDS 0x10000u
#define TABLE_QWORDS (VTD_TABLE_ENTRIES * VTD_ENTRY_QWORDS)
#define PATH_SIZE 256

/* Capability and extended capability registers of the unit, as far as no option changes them. */
#define CAP 0xd2008c22000006ull	/* 2^16 domains; 2 MiB and 1 GiB pages; page-selective invalidation */
#define CAP_SAGAW_SHIFT 8	/* bit 1, 2, 3: 3, 4, 5 levels */
#define CAP_MGAW_SHIFT 16	/* address bits less one */
#define ECAP 0xf00f4aull	/* queued invalidation, interrupt remapping, pass-through; no snoop control */

typedef _Atomic(u64) vtd_table_t[TABLE_QWORDS];

struct intel_domain {
	struct iommu_domain domain;
	u16 id;
	struct pt_tree pt;	 /* this and what follows: domain.lock */
	struct pt_gather gather; /* what was unmapped and is not invalidated yet */
	unsigned nr_devs;
};

struct intel_iommu {
	struct iommu_device iommu;
	unsigned aw_bits;	/* immutable: 39, 48 or 57 */
	vtd_table_t *root;
	_Atomic(vtd_table_t *) contexts[VTD_TABLE_ENTRIES]; /* by bus; NULL: no device was attached yet */
	struct intel_domain **attached; /* by device id; NULL: blocked or identity */
	struct domids domids;
};

static const struct iommu_device_ops intel_iommu_ops;
static const struct iommu_domain_ops intel_domain_ops;

static struct intel_iommu *to_intel_iommu(struct iommu_device *iommu)
{
	return container_of(iommu, struct intel_iommu, iommu);
}

static struct intel_domain *to_intel_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct intel_domain, domain);
}

/* 39, 48, 57 bits are 3, 4, 5 levels, and 1, 2, 3 in the AW field and as bits of SAGAW. */
static unsigned levels_of(unsigned aw_bits)
{
	return (aw_bits - PAGE_SHIFT) / PT_INDEX_BITS;
}

static u64 aw_of(unsigned aw_bits)
{
	return levels_of(aw_bits) - 2;
}

/* ---- root and context tables ---- */

static vtd_table_t *table_alloc(void)
{
	vtd_table_t *table = aligned_alloc(PAGE_SIZE, sizeof(*table));

	_Static_assert(sizeof(*table) == PAGE_SIZE, "a table is a page");
	if (table)
		memset((void *)table, 0, sizeof(*table));
	return table;
}

/* The context table of a bus, made if need be.  NULL: no memory. */
static vtd_table_t *context_table(struct intel_iommu *vtd, u8 bus)
{
	vtd_table_t *table = atomic_load(&vtd->contexts[bus]), *fresh;

	if (table)
		return table;
	fresh = table_alloc();
	if (!fresh)
		return NULL;
	if (atomic_compare_exchange_strong(&vtd->contexts[bus], &table, fresh))
		table = fresh;
	else
		free((void *)fresh);
	/* Whoever comes here stores the same. */
	atomic_store(&(*vtd->root)[bus * VTD_ENTRY_QWORDS], VTD_ROOT_P | virt_to_phys((const void *)table));
	return table;
}

static void context_store(struct intel_iommu *vtd, u16 devid, u64 lo, u64 hi)
{
	_Atomic(u64) *entry = &(*atomic_load(&vtd->contexts[devid >> 8]))[(devid & 0xff) * VTD_ENTRY_QWORDS];

	/* Not present while it changes: no half of it is ever seen with a half of another. */
	atomic_store(&entry[0], 0);
	vtd->iommu.hw_ops->invalidate_device(vtd->iommu.hw, devid);
	if (!lo)
		return;
	atomic_store(&entry[1], hi);
	atomic_store(&entry[0], lo);
}

static void context_set(struct intel_iommu *vtd, u16 devid, struct iommu_domain *domain)
{
	const struct intel_domain *paging = to_intel_domain(domain);
	u64 aw = aw_of(vtd->aw_bits);

	if (domain->type == IOMMU_DOMAIN_BLOCKED)
		context_store(vtd, devid, 0, 0);
	else if (domain->type == IOMMU_DOMAIN_IDENTITY)
		context_store(vtd, devid, VTD_CTX_P | (u64)VTD_CTX_TT_PASS_THROUGH << VTD_CTX_TT_SHIFT,
			      aw | (u64)DOMID_NONE << VTD_CTX_DID_SHIFT);
	else
		context_store(vtd, devid,
			      VTD_CTX_P | (u64)VTD_CTX_TT_SECOND_STAGE << VTD_CTX_TT_SHIFT |
			      virt_to_phys(pt_tree_root(&paging->pt)),
			      aw | (u64)paging->id << VTD_CTX_DID_SHIFT);
}

/* ---- attaching ---- */

/*
 * Out of the domain's count and cut off in one step: an unmap that does not count the device any more must
 * be right in not invalidating it.
 */
static void device_leave(struct intel_iommu *vtd, u16 devid)
{
	struct intel_domain *old = vtd->attached[devid];

	if (!old)
		return;
	mutex_lock(&old->domain.lock);
	old->nr_devs--;
	context_store(vtd, devid, 0, 0);
	mutex_unlock(&old->domain.lock);
	vtd->attached[devid] = NULL;
}

static int intel_attach_dev(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);

	if (domain->type == IOMMU_DOMAIN_PAGING && domain->iommu != iommu)
		return fail(-EINVAL, "the domain's page tables are of another IOMMU than %s", iommu->name);
	if (!context_table(vtd, devid >> 8))
		return fail(-ENOMEM, "no memory for the context table of bus %02x", devid >> 8);
	device_leave(vtd, devid);
	if (domain->type != IOMMU_DOMAIN_PAGING) {
		context_set(vtd, devid, domain);
		return 0;
	}
	mutex_lock(&domain->lock);
	to_intel_domain(domain)->nr_devs++;
	context_set(vtd, devid, domain);
	mutex_unlock(&domain->lock);
	vtd->attached[devid] = to_intel_domain(domain);
	return 0;
}

/* ---- domains ---- */

static struct iommu_domain *intel_domain_alloc_paging(struct iommu_device *iommu, struct device *dev)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);
	struct intel_domain *domain = calloc(1, sizeof(*domain));
	int id = domid_alloc(&vtd->domids);

	if (!domain || id < 0 || vtdss_init(&domain->pt, levels_of(vtd->aw_bits))) {
		if (id >= 0)
			domid_free(&vtd->domids, id);
		free(domain);
		if (id < 0)
			return ERR_PTR(fail(-ENOMEM, "all domain ids of %s are in use", iommu->name));
		return ERR_PTR(fail(-ENOMEM, "no memory for an I/O page table"));
	}
	domain->id = id;
	domain->gather = (struct pt_gather){ .iova = ~0ull };
	domain->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING,
		.ops = &intel_domain_ops,
		.iommu = iommu,
		.pgsize_bitmap = VTDSS_PGSIZES,
		.aperture_last = BIT_ULL(vtd->aw_bits) - 1,
	};
	mutex_init(&domain->domain.lock, LOCK_IOMMU_DOMAIN);
	return &domain->domain;
}

static void intel_domain_free(struct iommu_domain *domain)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);

	assert(intel_domain->nr_devs == 0);
	vtdss_destroy(&intel_domain->pt);
	domid_free(&to_intel_iommu(domain->iommu)->domids, intel_domain->id);
	mutex_destroy(&domain->lock);
	free(intel_domain);
}

static void intel_iotlb_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);
	struct pt_gather *gather = &intel_domain->gather;
	struct iommu_device *iommu = domain->iommu;

	lockdep_assert_held(&domain->lock);
	iova = min(iova, gather->iova);
	last = max(last, gather->last);
	if (intel_domain->nr_devs)
		iommu->hw_ops->invalidate_pages(iommu->hw, intel_domain->id, iova, last);
	*gather = (struct pt_gather){ .iova = ~0ull };
	vtdss_release(&intel_domain->pt);
}

static int intel_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	int err = vtdss_map(&to_intel_domain(domain)->pt, iova, phys, len_bytes, prot);

	lockdep_assert_held(&domain->lock);
	if (unlikely(err))
		intel_iotlb_sync(domain, iova, iova + len_bytes - 1);
	return err;
}

static u64 intel_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);

	lockdep_assert_held(&domain->lock);
	return vtdss_unmap(&intel_domain->pt, iova, len_bytes, &intel_domain->gather);
}

static phys_addr_t intel_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	lockdep_assert_held(&domain->lock);
	return vtdss_iova_to_phys(&to_intel_domain(domain)->pt, iova);
}

/* ---- the unit ---- */

static void intel_get_resv_regions(struct iommu_device *iommu, struct device *dev,
				   void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	static const struct iommu_resv_region msi = { 0xfee00000, 0xfeefffff, IOMMU_RESV_MSI };

	add(arg, &msi); /* writes there are interrupts */
}

/* It takes tables of all widths up to its own. */
static u64 cap_register(const struct intel_iommu *vtd)
{
	u64 sagaw = GENMASK_ULL(aw_of(vtd->aw_bits), 1);

	return CAP | sagaw << CAP_SAGAW_SHIFT | (u64)(vtd->aw_bits - 1) << CAP_MGAW_SHIFT;
}

static ssize_t domains_used_show(void *priv, char *buf)
{
	struct intel_iommu *vtd = priv;

	return sprintf(buf, "%u\n", domids_count(&vtd->domids));
}

static const struct kernfs_ops domains_used_ops = { .show = domains_used_show };

static int intel_sysfs_add(struct iommu_device *iommu, const char *dir)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);
	char path[PATH_SIZE], cap[32], ecap[32], supported[32];
	const struct { const char *name, *text; } attrs[] = {
		{ "version", "1:0\n" }, { "address", "fed90000\n" }, { "cap", cap }, { "ecap", ecap },
		{ "domains_supported", supported },
	};
	int err;

	snprintf(path, sizeof(path), "%s/intel-iommu", dir);
	snprintf(cap, sizeof(cap), "%llx\n", (unsigned long long)cap_register(vtd));
	snprintf(ecap, sizeof(ecap), "%llx\n", (unsigned long long)ECAP);
	snprintf(supported, sizeof(supported), "%u\n", DOMIDS);
	err = kernfs_create_dir(path);
	for (size_t i = 0; i < ARRAY_SIZE(attrs) && !err; i++) {
		snprintf(path, sizeof(path), "%s/intel-iommu/%s", dir, attrs[i].name);
		err = kernfs_create_file(path, 0444, attrs[i].text, strlen(attrs[i].text), NULL, NULL);
	}
	snprintf(path, sizeof(path), "%s/intel-iommu/domains_used", dir);
	return err ? err : kernfs_create_file(path, 0444, NULL, 0, &domains_used_ops, vtd);
}

struct iommu_device *intel_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw,
				      unsigned aw_bits)
{
	struct intel_iommu *vtd;

	if (aw_bits != 39 && aw_bits != 48 && aw_bits != 57)
		return ERR_PTR(fail(-EINVAL, "VT-d has addresses of 39, 48 or 57 bits, not %u", aw_bits));
	vtd = calloc(1, sizeof(*vtd));
	if (!vtd)
		return ERR_PTR(fail(-ENOMEM, "no memory for IOMMU %s", name));
	vtd->root = table_alloc();
	vtd->attached = calloc(DEVIDS, sizeof(struct intel_domain *)); /* few pages of it are ever touched */
	if (!vtd->root || !vtd->attached) {
		free((void *)vtd->root);
		free(vtd->attached);
		free(vtd);
		return ERR_PTR(fail(-ENOMEM, "no memory for the root table of IOMMU %s", name));
	}
	vtd->aw_bits = aw_bits;
	domids_init(&vtd->domids);
	vtd->iommu = (struct iommu_device){
		.name = name, .ops = &intel_iommu_ops, .hw_ops = hw_ops, .hw = hw, .priv = vtd,
	};
	hw_ops->set_root_table(hw, virt_to_phys((const void *)vtd->root));
	return &vtd->iommu;
}

void intel_iommu_exit(struct iommu_device *iommu)
{
	struct intel_iommu *vtd;

	if (!iommu)
		return;
	vtd = to_intel_iommu(iommu);
	iommu->hw_ops->set_root_table(iommu->hw, 0);
	for (unsigned bus = 0; bus < VTD_TABLE_ENTRIES; bus++)
		free((void *)atomic_load(&vtd->contexts[bus]));
	free((void *)vtd->root);
	free(vtd->attached);
	free(vtd);
}

static const struct iommu_domain_ops intel_domain_ops = {
	.map = intel_map,
	.unmap = intel_unmap,
	.iova_to_phys = intel_iova_to_phys,
	.free = intel_domain_free,
};

static const struct iommu_device_ops intel_iommu_ops = {
	.domain_alloc_paging = intel_domain_alloc_paging,
	.attach_dev = intel_attach_dev,
	.iotlb_sync = intel_iotlb_sync,
	.get_resv_regions = intel_get_resv_regions,
	.sysfs_add = intel_sysfs_add,
	.cache_coherency = true,
	.enforce_cache_coherency = false, /* no snoop control */
};
