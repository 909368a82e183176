/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel/context.c - the tables that a VT-d unit reads of devices and PASIDs.
 *
 * The root table is a page with an entry for each bus.  In legacy mode it points to a context table for each
 * bus, a page with an entry for each device, which says what translates:
 *
 *	blocked domain		a context entry that is not present
 *	identity domain		translation type pass-through
 *	paging domain		translation type second stage; address width, tables and domain id
 *
 * In scalable mode there are two context tables for each bus, and their entries lead to a directory of PASIDs, one
 * for each device, from there to tables of PASIDs, whose entries say what translates; what a device sends
 * without PASID is looked up as PASID 0:
 *
 *	blocked domain		a PASID entry that is not present
 *	identity domain		pass-through
 *	paging domain		first stage, or second stage
 *	nested domain		both: the guest's first stage, the parent's second
 *
 * Two groups may share a bus, so a context table is published with a compare-and-swap.
 *
 * Source: Intel VT-d specification, "Root Entry", "Context Entry", "Scalable-Mode Context Entry",
 * "Scalable-Mode PASID Table Entry", "Software Invalidating".
 */
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/iommu/intel/intel_iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

#define PDTS 7u /* all 20 bits of PASID */
#define DIR_ENTRIES (1u << (PDTS + 7))

/* ---- root and context tables ---- */

vtd_table_t *vtd_table_alloc(void)
{
	_Static_assert(sizeof(vtd_table_t) == PAGE_SIZE, "a table is a page");
	return get_zeroed_page();
}

/*
 * The context table of a device, made if need be: of its bus, in scalable mode of half a bus.  NULL: no
 * memory.
 */
static vtd_table_t *context_table(struct intel_iommu *vtd, u16 devid)
{
	unsigned half = vtd->scalable && (devid & VTD_SM_CTX_ENTRIES);
	unsigned index = (devid >> 8) * VTD_ENTRY_QWORDS + half;
	vtd_table_t *table = atomic_load(&vtd->contexts[index]), *fresh;

	if (table)
		return table;
	fresh = vtd_table_alloc();
	if (!fresh)
		return NULL;
	if (atomic_compare_exchange_strong(&vtd->contexts[index], &table, fresh))
		table = fresh;
	else
		free_pages_exact(fresh);
	/* Whoever comes here stores the same. */
	atomic_store(&(*vtd->root)[index], VTD_ROOT_P | virt_to_phys((const void *)table));
	return table;
}


static void *context_entry(struct intel_iommu *vtd, u16 devid)
{
	vtd_table_t *table = context_table(vtd, devid);

	if (vtd->scalable)
		return &(*table)[(devid & (VTD_SM_CTX_ENTRIES - 1)) * VTD_SM_CTX_QWORDS];
	return &(*table)[(devid & 0xff) * VTD_ENTRY_QWORDS];
}

/* ---- tables of PASIDs ---- */

/* The directory, and the table in it that has @pasid.  False: no memory. */
static bool pasid_prepare(struct intel_dev *dev, u32 pasid)
{
	_Atomic(u64) *pde;
	vtd_table_t *table;

	if (!dev->dir) {
		/* 128 KiB, of which little is ever touched */
		dev->dir_memory = kvzalloc(DIR_ENTRIES * sizeof(u64) + PAGE_SIZE);
		if (!dev->dir_memory)
			return false;
		dev->dir = (void *)ALIGN_UP((uintptr_t)dev->dir_memory, PAGE_SIZE);
	}
	pde = &dev->dir[pasid >> VTD_PASID_TABLE_SHIFT];
	if (atomic_load(pde))
		return true;
	table = vtd_table_alloc();
	if (table)
		atomic_store(pde, VTD_PDE_P | virt_to_phys((const void *)table));
	return table;
}

static _Atomic(u64) *pasid_entry(struct intel_dev *dev, u32 pasid)
{
	u64 pde = atomic_load(&dev->dir[pasid >> VTD_PASID_TABLE_SHIFT]);
	_Atomic(u64) *table = (_Atomic(u64) *)(uintptr_t)(pde & VTD_PDE_TABLE_MASK);

	return &table[(pasid & (BIT(VTD_PASID_TABLE_SHIFT) - 1)) * VTD_PASID_QWORDS];
}

/* A device's context entry, which never changes once it is there. */
static void scalable_context(struct intel_iommu *vtd, u16 devid, struct intel_dev *dev)
{
	_Atomic(u64) *entry = context_entry(vtd, devid);

	if (atomic_load(&entry[0]) & VTD_SM_CTX_P)
		return;
	atomic_store(&entry[1], IOMMU_NO_PASID);
	atomic_store(&entry[0], VTD_SM_CTX_P | VTD_SM_CTX_PASIDE | VTD_SM_CTX_PRE |
				(u64)PDTS << VTD_SM_CTX_PDTS_SHIFT | virt_to_phys((const void *)dev->dir));
	vtd->iommu.hw_ops->invalidate_device(vtd->iommu.hw, devid);
}

/* ---- devices ---- */

struct intel_dev *vtd_dev_get(struct intel_iommu *vtd, u16 devid, u32 pasid)
{
	struct intel_dev *dev = vtd->devs[devid];

	if (!context_table(vtd, devid))
		return NULL;
	if (!dev) {
		dev = kzalloc(sizeof(*dev));
		if (!dev)
			return NULL;
		dev->rid.devid = devid;
		TAILQ_INIT(&dev->pasids);
		vtd->devs[devid] = dev;
	}
	if (!vtd->scalable)
		return dev;
	if (!pasid_prepare(dev, pasid))
		return NULL;
	scalable_context(vtd, devid, dev);
	return dev;
}

static void dir_free(struct intel_dev *dev)
{
	if (!dev->dir)
		return;
	for (unsigned i = 0; i < DIR_ENTRIES; i++)
		free_pages_exact((void *)(uintptr_t)(atomic_load(&dev->dir[i]) & VTD_PDE_TABLE_MASK));
	kvfree(dev->dir_memory);
}

void vtd_devs_free(struct intel_iommu *vtd)
{
	for (unsigned i = 0; i < 0x10000; i++) {
		struct intel_dev *dev = vtd->devs[i];

		if (!dev)
			continue;
		dir_free(dev);
		attachments_free(&dev->pasids);
		kfree(dev);
	}
	kvfree(vtd->devs);
}

/* ---- what entries say ---- */

static u64 context_lo(const struct attachment *at)
{
	if (!at->domain)
		return 0;
	if (!at->tables)
		return VTD_CTX_P | (u64)VTD_CTX_TT_PASS_THROUGH << VTD_CTX_TT_SHIFT;
	return VTD_CTX_P | (u64)VTD_CTX_TT_SECOND_STAGE << VTD_CTX_TT_SHIFT |
	       virt_to_phys(pt_tree_root(&to_intel_domain(at->tables)->pt));
}

static u16 domid_of(const struct attachment *at)
{
	return at->tables ? to_intel_domain(at->tables)->id : DOMID_NONE;
}

static void legacy_set(struct intel_iommu *vtd, const struct attachment *at)
{
	_Atomic(u64) *entry = context_entry(vtd, at->devid);
	u64 lo = context_lo(at);

	/* Not present while it changes: no half of it is ever seen with a half of another. */
	atomic_store(&entry[0], 0);
	vtd->iommu.hw_ops->invalidate_device(vtd->iommu.hw, at->devid);
	if (!lo)
		return;
	atomic_store(&entry[1], vtd_aw(vtd->aw_bits) | (u64)domid_of(at) << VTD_CTX_DID_SHIFT);
	atomic_store(&entry[0], lo);
}

/* The second stage, alone or below a guest's first one. */
static u64 second_stage_bits(const struct intel_iommu *vtd, const struct intel_domain *domain)
{
	u64 q0 = vtd_aw(vtd->aw_bits) << VTD_PTE_AW_SHIFT | virt_to_phys(pt_tree_root(&domain->pt));

	return domain->dirty_tracking ? q0 | VTD_PTE_SSADE : q0;
}

static u64 nested_bits(const struct intel_nested *nested)
{
	u64 q2 = nested->root & VTD_PTE_FSPTPTR_MASK;

	if (nested->addr_width == 57)
		q2 |= 1ull << VTD_PTE_FSPM_SHIFT;
	if (nested->flags & IOMMU_VTD_S1_SRE)
		q2 |= VTD_PTE_SRE;
	if (nested->flags & IOMMU_VTD_S1_WPE)
		q2 |= VTD_PTE_WPE;
	if (nested->flags & IOMMU_VTD_S1_EAFE)
		q2 |= VTD_PTE_EAFE;
	return q2;
}

static void scalable_compose(const struct intel_iommu *vtd, const struct attachment *at, u64 q[3])
{
	const struct intel_domain *tables = at->tables ? to_intel_domain(at->tables) : NULL;
	u64 pgtt = VTD_PGTT_PASS_THROUGH;

	memset(q, 0, 3 * sizeof(*q));
	if (!at->domain)
		return;
	if (at->domain->type == IOMMU_DOMAIN_NESTED) {
		pgtt = VTD_PGTT_NESTED;
		q[0] = second_stage_bits(vtd, tables);
		q[2] = nested_bits(to_intel_nested(at->domain));
	} else if (tables && tables->first_stage) {
		pgtt = VTD_PGTT_FIRST;
		q[2] = virt_to_phys(pt_tree_root(&tables->pt));
		if (pt_tree_levels(&tables->pt) == 5)
			q[2] |= 1ull << VTD_PTE_FSPM_SHIFT;
	} else if (tables) {
		pgtt = VTD_PGTT_SECOND;
		q[0] = second_stage_bits(vtd, tables);
	}
	q[0] |= VTD_PTE_P | pgtt << VTD_PTE_PGTT_SHIFT;
	q[1] = domid_of(at);
}

static void scalable_set(struct intel_iommu *vtd, struct intel_dev *dev, const struct attachment *at)
{
	_Atomic(u64) *entry = pasid_entry(dev, at->pasid);
	u64 q[3];

	scalable_compose(vtd, at, q);
	atomic_store(&entry[0], 0); /* not present while it changes */
	vtd->iommu.hw_ops->invalidate_pasid(vtd->iommu.hw, at->devid, at->pasid);
	if (!q[0])
		return;
	atomic_store(&entry[1], q[1]);
	atomic_store(&entry[2], q[2]);
	atomic_store(&entry[0], q[0]);
}

void vtd_entry_set(struct intel_iommu *vtd, struct intel_dev *dev, const struct attachment *at)
{
	if (vtd->scalable)
		scalable_set(vtd, dev, at);
	else
		legacy_set(vtd, at);
}

void vtd_entry_set_dirty(struct intel_iommu *vtd, struct intel_dev *dev, const struct attachment *at)
{
	_Atomic(u64) *entry = pasid_entry(dev, at->pasid);
	u64 q[3];

	scalable_compose(vtd, at, q);
	atomic_store(&entry[0], q[0]); /* one bit of it is new */
	vtd->iommu.hw_ops->invalidate_pasid(vtd->iommu.hw, at->devid, at->pasid);
}
