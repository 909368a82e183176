/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amd/iommu.c - the driver of an AMD IOMMU unit: its device table, its domains, its invalidations.
 *
 * The device table is an array of 256-bit entries in memory, one for each device id; the unit reads
 * it when it meets a device.  Two kinds of page tables hang from an entry:
 *
 *	host tables (v1)	pt/amdv1.c, for a whole device; tagged with a 16-bit id of the domain
 *	guest tables (v2)	pt/x86_64.c, for a PASID each, by way of a table of guest tables (GCR3) that
 *				belongs to the device; tagged with an id of the device and the PASID.  What the
 *				device sends without PASID can go there too, as PASID 0
 *
 * A plain domain is v1; v2 is what PASIDs need.  Both at once is a nested domain: v1 tables of ours, below
 * GCR3 table and guest tables of a guest, as its own device table entry says.
 *
 * What always holds: for each device, what its entry says is what amd_dev says; and after an entry changed
 * the unit has been told before the lock is dropped.
 *
 * Order of locks: a domain's lock is taken before calls into the unit.  amd_dev is guarded by the lock
 * of its group, which the caller of attach_dev holds; membership in a domain's list by the domain's.
 *
 * Source: AMD specification 48882, "Device Table Entry Format" (which parts may change together), "Guest CR3
 * Table" and "Invalidating"; reserved ranges as Linux 7.2 prints them in reserved_regions on such a machine.
 */
#include "kernel/iommu/amd/amd_iommu.h"

#include <assert.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

#define START_LEVELS 3 /* 512 GiB; grows when something is mapped beyond */
#define DTE_BLOCKED (AMD_DTE_V | AMD_DTE_TV)

/* Extended features of a full unit: page requests, guest tables, 2 levels of GCR3, marks, 16 bits of PASID. */
#define EFR_FULL ((1ull << 1) | (1ull << 3) | (1ull << 4) | (1ull << 6) | (1ull << 14) | (0xfull << 32) | \
		  (1ull << 48) | (1ull << 49) | (1ull << 52))

/* Of a basic unit: all that is cached can be invalidated at once. */
#define EFR_BASIC (1ull << 6)

/* Capability header: it has extended features and more words; devices may keep translations themselves. */
#define CAP_IOTLB (1u << 24)
#define CAP_EFR (1u << 27)
#define CAP_EXT (1u << 28)

static const struct iommu_device_ops amd_basic_ops, amd_full_ops;
static const struct iommu_domain_ops amd_domain_ops;
static const struct iommu_dirty_ops amd_dirty_ops;

/* ---- device table ---- */

static void gcr3_bits(const struct amd_dev *dev, u64 q[3])
{
	u64 root = virt_to_phys(dev->gcr3);

	q[0] |= AMD_DTE_GV | (u64)(GCR3_LEVELS - 1) << AMD_DTE_GLX_SHIFT |
		((root >> 12) & 7) << AMD_DTE_GCR3_LO_SHIFT;
	q[1] = dev->gcr3_domid | ((root >> 15) & 0xffff) << AMD_DTE_GCR3_MID_SHIFT |
	       (root >> 31) << AMD_DTE_GCR3_HI_SHIFT;
}

static u64 host_tables(const struct amd_domain *domain)
{
	u64 q0 = (u64)pt_tree_levels(&domain->pt) << AMD_DTE_MODE_SHIFT | virt_to_phys(pt_tree_root(&domain->pt));

	return domain->dirty_tracking ? q0 | AMD_DTE_HAD | AMD_DTE_HAD_DIRTY : q0;
}

/* What the entry of @dev must say.  The lock of its tables is held, if it has any. */
static void dte_compose(const struct amd_dev *dev, u64 q[3])
{
	struct iommu_domain *domain = dev->rid.domain;

	memset(q, 0, 3 * sizeof(*q));
	q[0] = DTE_BLOCKED;
	if (domain)
		q[0] |= AMD_DTE_IR | AMD_DTE_IW;
	if (dev->rid.tables && !to_amd_domain(dev->rid.tables)->v2) {
		q[0] |= host_tables(to_amd_domain(dev->rid.tables));
		q[1] = to_amd_domain(dev->rid.tables)->id;
		if (domain->type == IOMMU_DOMAIN_NESTED)
			amd_nested_bits(domain, q);
	} else if (dev->rid.tables) {
		gcr3_bits(dev, q);
		q[0] |= AMD_DTE_GIOV;
	} else if (dev->nr_pasids) {
		gcr3_bits(dev, q);
	}
}

static void dte_store(struct amd_iommu *amd, u16 devid, u64 q0)
{
	atomic_store(&amd->devtab[devid * AMD_DTE_QWORDS], q0);
	amd->iommu.hw_ops->invalidate_device(amd->iommu.hw, devid);
}

/* The quadwords cannot change together, so between the two changes of the first the device is blocked. */
static void dte_update(struct amd_iommu *amd, const struct amd_dev *dev)
{
	_Atomic(u64) *entry = &amd->devtab[dev->rid.devid * AMD_DTE_QWORDS];
	u64 q[3];

	dte_compose(dev, q);
	if (atomic_load(&entry[1]) != q[1] || atomic_load(&entry[2]) != q[2]) {
		dte_store(amd, dev->rid.devid, DTE_BLOCKED);
		atomic_store(&entry[1], q[1]);
		atomic_store(&entry[2], q[2]);
	}
	dte_store(amd, dev->rid.devid, q[0]);
}

/* ---- table of guest tables ---- */

/* The device's table, and the page of it that has @pasid.  0; -ENOMEM. */
static int gcr3_prepare(struct amd_iommu *amd, struct amd_dev *dev, u32 pasid)
{
	_Atomic(u64) *link;
	u64 *page;
	int id;

	if (!dev->gcr3) {
		id = domid_alloc(&amd->domids);
		if (id < 0)
			return fail(-ENOMEM, "all domain ids of %s are in use", amd->iommu.name);
		dev->gcr3 = get_zeroed_page();
		if (!dev->gcr3) {
			domid_free(&amd->domids, id);
			return fail(-ENOMEM, "no memory for a table of PASIDs");
		}
		dev->gcr3_domid = id;
	}
	link = (_Atomic(u64) *)&dev->gcr3[pasid >> AMD_GCR3_INDEX_BITS];
	if (atomic_load(link))
		return 0;
	page = get_zeroed_page();
	if (!page)
		return fail(-ENOMEM, "no memory for the table of PASID %u", pasid);
	atomic_store(link, AMD_GCR3_V | virt_to_phys(page));
	return 0;
}

static void gcr3_store(struct amd_iommu *amd, struct amd_dev *dev, u32 pasid, const struct amd_domain *domain)
{
	u64 *page = (u64 *)(uintptr_t)(dev->gcr3[pasid >> AMD_GCR3_INDEX_BITS] & AMD_GCR3_ADDR_MASK);
	u64 gcr3 = domain ? AMD_GCR3_V | virt_to_phys(pt_tree_root(&domain->pt)) : 0;

	atomic_store((_Atomic(u64) *)&page[pasid & (GCR3_ENTRIES - 1)], gcr3);
	amd->iommu.hw_ops->invalidate_pasid(amd->iommu.hw, dev->rid.devid, pasid);
}

static void gcr3_free(struct amd_iommu *amd, struct amd_dev *dev)
{
	if (!dev->gcr3)
		return;
	for (unsigned i = 0; i < GCR3_ENTRIES; i++)
		free_pages_exact((void *)(uintptr_t)(dev->gcr3[i] & AMD_GCR3_ADDR_MASK));
	free_pages_exact(dev->gcr3);
	domid_free(&amd->domids, dev->gcr3_domid);
}

/* ---- attaching ---- */

static struct amd_dev *amd_dev_get(struct amd_iommu *amd, u16 devid)
{
	struct amd_dev *dev = amd->devs[devid];

	if (dev)
		return dev;
	dev = kzalloc(sizeof(*dev));
	if (!dev)
		return NULL;
	dev->rid.devid = devid;
	TAILQ_INIT(&dev->pasids);
	amd->devs[devid] = dev;
	return dev;
}

/*
 * Off the domain's list and cut off in one step: an unmap that does not see the device any more must be
 * right in not invalidating it, and a root that grows must not write the entry of a device that left.
 */
static void rid_leave(struct amd_iommu *amd, struct amd_dev *dev)
{
	struct iommu_domain *tables = dev->rid.tables;

	if (!tables) {
		dev->rid.domain = NULL;
		return;
	}
	mutex_lock(&tables->lock);
	TAILQ_REMOVE(&to_amd_domain(tables)->attached, &dev->rid, node);
	dev->rid.domain = dev->rid.tables = NULL;
	if (dev->nr_pasids)
		dte_update(amd, dev); /* theirs goes on */
	else
		dte_store(amd, dev->rid.devid, DTE_BLOCKED);
	mutex_unlock(&tables->lock);
}

static void rid_join(struct amd_iommu *amd, struct amd_dev *dev, struct iommu_domain *domain)
{
	struct iommu_domain *tables = tables_of(domain);

	if (!tables) {
		dev->rid.domain = domain->type == IOMMU_DOMAIN_BLOCKED ? NULL : domain;
		dte_update(amd, dev);
		return;
	}
	mutex_lock(&tables->lock);
	TAILQ_INSERT_TAIL(&to_amd_domain(tables)->attached, &dev->rid, node);
	dev->rid.domain = domain;
	dev->rid.tables = tables;
	if (to_amd_domain(tables)->v2)
		gcr3_store(amd, dev, IOMMU_NO_PASID, to_amd_domain(tables));
	dte_update(amd, dev);
	mutex_unlock(&tables->lock);
}

static int check_unit(const struct iommu_device *iommu, const struct iommu_domain *domain)
{
	if (domain->iommu && domain->iommu != iommu)
		return fail(-EINVAL, "the domain's page tables are of another IOMMU than %s", iommu->name);
	return 0;
}

int amd_attach_dev(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	struct amd_iommu *amd = to_amd_iommu(iommu);
	struct iommu_domain *tables = tables_of(domain);
	struct amd_dev *dev;
	int err;

	if (devid >= amd->entries)
		return fail(-EINVAL, "device id 0x%x is beyond the device table of %s", devid, iommu->name);
	err = check_unit(iommu, domain);
	if (err)
		return err;
	dev = amd_dev_get(amd, devid);
	if (!dev)
		return fail(-ENOMEM, "no memory to attach device id 0x%x", devid);
	if (tables && !to_amd_domain(tables)->v2 && dev->nr_pasids)
		return fail(-EINVAL, "device id 0x%x has %u PASIDs attached: it needs a domain allocated for PASIDs",
			    devid, dev->nr_pasids);
	if (tables && to_amd_domain(tables)->v2)
		err = gcr3_prepare(amd, dev, IOMMU_NO_PASID);
	if (err)
		return err;
	rid_leave(amd, dev);
	rid_join(amd, dev, domain);
	return 0;
}

static void pasid_leave(struct amd_iommu *amd, struct amd_dev *dev, struct attachment *at)
{
	struct iommu_domain *tables = at->tables;

	if (!tables)
		return;
	mutex_lock(&tables->lock);
	TAILQ_REMOVE(&to_amd_domain(tables)->attached, at, node);
	at->domain = at->tables = NULL;
	gcr3_store(amd, dev, at->pasid, NULL);
	mutex_unlock(&tables->lock);
	dev->nr_pasids--;
}

static void pasid_join(struct amd_iommu *amd, struct amd_dev *dev, struct attachment *at,
		       struct iommu_domain *domain)
{
	mutex_lock(&domain->lock);
	at->domain = at->tables = domain;
	TAILQ_INSERT_TAIL(&to_amd_domain(domain)->attached, at, node);
	gcr3_store(amd, dev, at->pasid, to_amd_domain(domain));
	mutex_unlock(&domain->lock);
	dev->nr_pasids++;
}

/* The first PASID brings the table of them into the entry of a device that has no tables, the last takes it. */
static void rid_follow(struct amd_iommu *amd, struct amd_dev *dev)
{
	if (!dev->rid.tables)
		dte_update(amd, dev);
}

static int amd_set_dev_pasid(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid, u32 pasid,
			     struct iommu_domain *old)
{
	struct amd_iommu *amd = to_amd_iommu(iommu);
	struct amd_dev *dev = amd->devs[devid];
	struct attachment *at;
	int err = check_unit(iommu, domain);

	if (err)
		return err;
	if (domain->type == IOMMU_DOMAIN_BLOCKED) {
		at = dev ? attachment_find(&dev->pasids, pasid) : NULL;
		if (at)
			pasid_leave(amd, dev, at);
		if (dev && !dev->nr_pasids)
			rid_follow(amd, dev);
		return 0;
	}
	if (domain->type != IOMMU_DOMAIN_PAGING || !to_amd_domain(domain)->v2)
		return fail(-EINVAL, "PASID %u: the domain is not one that was allocated for PASIDs", pasid);
	if (!dev || (dev->rid.tables && !to_amd_domain(dev->rid.tables)->v2))
		return fail(-EINVAL, "PASID %u: what the device sends without PASID is in a domain that was not "
			    "allocated for PASIDs", pasid);
	err = gcr3_prepare(amd, dev, pasid);
	at = err ? NULL : attachment_get(&dev->pasids, devid, pasid);
	if (!at)
		return err ? err : fail(-ENOMEM, "no memory to attach PASID %u", pasid);
	pasid_leave(amd, dev, at);
	pasid_join(amd, dev, at, domain);
	if (dev->nr_pasids == 1)
		rid_follow(amd, dev);
	return 0;
}

/* ---- domains ---- */

static struct iommu_domain *domain_alloc(struct iommu_device *iommu, bool v2)
{
	struct amd_iommu *amd = to_amd_iommu(iommu);
	struct amd_domain *domain = kzalloc(sizeof(*domain));
	int id = domid_alloc(&amd->domids);

	if (!domain || id < 0 ||
	    (v2 ? x86_64_init(&domain->pt, V2_LEVELS) : amdv1_init(&domain->pt, START_LEVELS))) {
		if (id >= 0)
			domid_free(&amd->domids, id);
		kfree(domain);
		if (id < 0)
			return ERR_PTR(fail(-ENOMEM, "all domain ids of %s are in use", iommu->name));
		return ERR_PTR(fail(-ENOMEM, "no memory for an I/O page table"));
	}
	domain->id = id;
	domain->v2 = v2;
	domain->gather = (struct pt_gather){ .iova = ~0ull };
	TAILQ_INIT(&domain->attached);
	domain->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING,
		.ops = &amd_domain_ops,
		.iommu = iommu,
		.pgsize_bitmap = v2 ? X86_64_PGSIZES : AMDV1_PGSIZES,
		.aperture_last = v2 ? x86_64_aperture_last(V2_LEVELS) : ~0ull,
	};
	mutex_init(&domain->domain.lock, LOCK_IOMMU_DOMAIN);
	return &domain->domain;
}

struct iommu_domain *amd_domain_alloc_paging(struct iommu_device *iommu, struct device *dev)
{
	return domain_alloc(iommu, false);
}

/* One use at a time: marks and nesting are of v1, PASIDs are of v2. */
static struct iommu_domain *amd_domain_alloc_paging_flags(struct iommu_device *iommu, struct device *dev,
							  u32 flags, const struct iommu_user_data *data)
{
	struct iommu_domain *domain;

	if (data || (flags != IOMMU_ALLOC_DIRTY_TRACKING && flags != IOMMU_ALLOC_NEST_PARENT &&
		     flags != IOMMU_ALLOC_PASID))
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x%s: %s has domains for dirty tracking, for nesting or for "
				    "PASIDs, one of them", flags, data ? " with data" : "", iommu->name));
	domain = domain_alloc(iommu, flags == IOMMU_ALLOC_PASID);
	if (IS_ERR(domain))
		return domain;
	to_amd_domain(domain)->nest_parent = flags == IOMMU_ALLOC_NEST_PARENT;
	if (flags == IOMMU_ALLOC_DIRTY_TRACKING)
		domain->dirty_ops = &amd_dirty_ops;
	return domain;
}

static void amd_domain_free(struct iommu_domain *domain)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);

	assert(TAILQ_EMPTY(&amd_domain->attached));
	if (amd_domain->v2)
		x86_64_destroy(&amd_domain->pt);
	else
		amdv1_destroy(&amd_domain->pt);
	domid_free(&to_amd_iommu(domain->iommu)->domids, amd_domain->id);
	mutex_destroy(&domain->lock);
	kfree(amd_domain);
}

static void v2_invalidate(struct amd_domain *domain, u64 iova, u64 last)
{
	struct amd_iommu *amd = to_amd_iommu(domain->domain.iommu);
	struct attachment *at;

	TAILQ_FOREACH(at, &domain->attached, node)
		amd->iommu.hw_ops->invalidate_first_stage(amd->iommu.hw, amd->devs[at->devid]->gcr3_domid, at->pasid,
							  iova, last);
	x86_64_release(&domain->pt);
}

static void v1_invalidate(struct amd_domain *domain, u64 iova, u64 last)
{
	struct iommu_device *iommu = domain->domain.iommu;

	if (!TAILQ_EMPTY(&domain->attached))
		iommu->hw_ops->invalidate_pages(iommu->hw, domain->id, iova, last);
	amdv1_release(&domain->pt);
}

void amd_iotlb_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);
	struct pt_gather *gather = &amd_domain->gather;

	lockdep_assert_held(&domain->lock);
	iova = min(iova, gather->iova);
	last = max(last, gather->last);
	if (amd_domain->v2)
		v2_invalidate(amd_domain, iova, last);
	else
		v1_invalidate(amd_domain, iova, last);
	*gather = (struct pt_gather){ .iova = ~0ull };
}

/* All devices learn that what their entries say of the tables has changed. */
static void tables_changed(struct amd_domain *domain)
{
	struct amd_iommu *amd = to_amd_iommu(domain->domain.iommu);
	struct attachment *at;
	u64 q[3];

	TAILQ_FOREACH(at, &domain->attached, node) {
		dte_compose(amd->devs[at->devid], q); /* in the first quadword only */
		dte_store(amd, at->devid, q[0]);
	}
}

static int v1_map(struct amd_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	const void *root = pt_tree_root(&domain->pt);
	int err = amdv1_map(&domain->pt, iova, phys, len_bytes, prot);

	if (unlikely(root != pt_tree_root(&domain->pt)))
		tables_changed(domain);
	return err;
}

static int amd_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);
	int err;

	lockdep_assert_held(&domain->lock);
	if (unlikely(amd_domain->v2))
		err = x86_64_map(&amd_domain->pt, iova, phys, len_bytes, prot);
	else
		err = v1_map(amd_domain, iova, phys, len_bytes, prot);
	if (unlikely(err))
		amd_iotlb_sync(domain, iova, iova + len_bytes - 1);
	return err;
}

static u64 amd_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);

	lockdep_assert_held(&domain->lock);
	if (unlikely(amd_domain->v2))
		return x86_64_unmap(&amd_domain->pt, iova, len_bytes, &amd_domain->gather);
	return amdv1_unmap(&amd_domain->pt, iova, len_bytes, &amd_domain->gather);
}

static phys_addr_t amd_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);

	lockdep_assert_held(&domain->lock);
	return amd_domain->v2 ? x86_64_iova_to_phys(&amd_domain->pt, iova) :
				amdv1_iova_to_phys(&amd_domain->pt, iova);
}

/* ---- dirty pages ---- */

static int amd_set_dirty_tracking(struct iommu_domain *domain, bool on)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);

	lockdep_assert_held(&domain->lock);
	if (amd_domain->dirty_tracking == on)
		return 0;
	amd_domain->dirty_tracking = on;
	tables_changed(amd_domain);
	return 0;
}

static int amd_read_and_clear_dirty(struct iommu_domain *domain, u64 iova, u64 len_bytes, unsigned flags,
				    struct iommu_dirty_sink *sink)
{
	struct amd_domain *amd_domain = to_amd_domain(domain);
	struct pt_gather gather = { .iova = ~0ull };
	bool clear = !(flags & IOMMU_DIRTY_NO_CLEAR);

	lockdep_assert_held(&domain->lock);
	if (!amd_domain->dirty_tracking && clear && sink)
		return fail(-EINVAL, "dirty tracking is off");
	amdv1_read_dirty(&amd_domain->pt, iova, iova + len_bytes - 1, clear, sink, &gather);
	if (gather.iova <= gather.last)
		amd_iotlb_sync(domain, gather.iova, gather.last);
	return 0;
}

/* ---- the unit ---- */

static void amd_get_resv_regions(struct iommu_device *iommu, struct device *dev,
				 void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	static const struct iommu_resv_region regions[] = {
		{ 0xfee00000, 0xfeefffff, IOMMU_RESV_MSI },		/* writes there are interrupts */
		{ 0xfd00000000, 0xffffffffff, IOMMU_RESV_RESERVED },	/* HyperTransport */
	};

	for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
		add(arg, &regions[i]);
}

static bool amd_capable(struct iommu_device *iommu, u16 devid, enum iommu_cap cap)
{
	if (cap == IOMMU_CAP_PCI_ATS)
		return iommu->ops == &amd_full_ops;
	return cap == IOMMU_CAP_DIRTY_TRACKING; /* PASIDs are for ordinary reads and writes */
}

static u64 extended_features(const struct iommu_device *iommu)
{
	return iommu->ops == &amd_full_ops ? EFR_FULL : EFR_BASIC;
}

/* The header of its capability (3.2.1) and its extended features, as they would be in its PCI function's registers. */
static int amd_sysfs_add(struct iommu_device *iommu, const char *dir)
{
	const u32 cap = 0xf | 3u << 16 | CAP_EFR | CAP_EXT | (iommu->ops == &amd_full_ops ? CAP_IOTLB : 0);
	char path[256], text[48];
	int err;

	snprintf(path, sizeof(path), "%s/amd-iommu/cap", dir);
	snprintf(text, sizeof(text), "%x\n", cap);
	err = kernfs_create_file(path, 0444, text, strlen(text), NULL, NULL);
	snprintf(path, sizeof(path), "%s/amd-iommu/features", dir);
	snprintf(text, sizeof(text), "%llx:0\n", (unsigned long long)extended_features(iommu));
	return err ? err : kernfs_create_file(path, 0444, text, strlen(text), NULL, NULL);
}

static ssize_t amd_hw_info(struct iommu_device *iommu, u16 devid, u32 *type, void *buf)
{
	const struct iommu_hw_info_amd info = { .efr = extended_features(iommu) };

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_AMD)
		return fail(-EOPNOTSUPP, "%s shows its registers as type %u, not %u", iommu->name,
			    IOMMU_HW_INFO_TYPE_AMD, *type);
	*type = IOMMU_HW_INFO_TYPE_AMD;
	memcpy(buf, &info, sizeof(info));
	return sizeof(info);
}

static unsigned amd_pasid_bits(struct iommu_device *iommu, u16 devid)
{
	return PASID_BITS;
}

static void amd_page_response(struct iommu_device *iommu, u16 devid, const struct iommu_page_request *last,
			      enum iommu_page_response_code code)
{
	u32 pasid = last->flags & IOMMU_FAULT_PASID_VALID ? last->pasid : IOMMU_NO_PASID;

	iommu->hw_ops->page_response(iommu->hw, devid, pasid, last->grpid, code == IOMMU_PAGE_RESP_SUCCESS);
}

struct iommu_device *amd_iommu_init(const char *name, const struct iommu_hw_ops *hw_ops, void *hw, u32 devids,
				    enum iommu_features features)
{
	struct amd_iommu *amd = kzalloc(sizeof(*amd));

	if (!amd)
		return ERR_PTR(fail(-ENOMEM, "no memory for IOMMU %s", name));
	/* calloc and align by hand: a full table is 2 MiB, of which few pages are ever touched */
	amd->devtab_memory = kvzalloc((size_t)devids * AMD_DTE_BYTES + PAGE_SIZE);
	amd->devs = kvcalloc(devids, sizeof(struct amd_dev *));
	if (!amd->devtab_memory || !amd->devs) {
		kvfree(amd->devtab_memory);
		kvfree(amd->devs);
		kfree(amd);
		return ERR_PTR(fail(-ENOMEM, "no memory for the device table of IOMMU %s", name));
	}
	amd->devtab = (void *)ALIGN_UP((uintptr_t)amd->devtab_memory, PAGE_SIZE);
	amd->entries = devids;
	domids_init(&amd->domids);
	amd->iommu = (struct iommu_device){
		.name = name, .ops = features == IOMMU_FULL ? &amd_full_ops : &amd_basic_ops,
		.hw_ops = hw_ops, .hw = hw, .priv = amd,
	};
	hw_ops->set_device_table(hw, virt_to_phys((const void *)amd->devtab), devids);
	return &amd->iommu;
}

void amd_iommu_exit(struct iommu_device *iommu)
{
	struct amd_iommu *amd;

	if (!iommu)
		return;
	amd = to_amd_iommu(iommu);
	iommu->hw_ops->set_device_table(iommu->hw, 0, 0);
	for (u32 i = 0; i < amd->entries; i++) {
		if (!amd->devs[i])
			continue;
		gcr3_free(amd, amd->devs[i]);
		attachments_free(&amd->devs[i]->pasids);
		kfree(amd->devs[i]);
	}
	kvfree(amd->devs);
	kvfree(amd->devtab_memory);
	kfree(amd);
}

static const struct iommu_domain_ops amd_domain_ops = {
	.map = amd_map,
	.unmap = amd_unmap,
	.iova_to_phys = amd_iova_to_phys,
	.free = amd_domain_free,
};

static const struct iommu_dirty_ops amd_dirty_ops = {
	.set_dirty_tracking = amd_set_dirty_tracking,
	.read_and_clear_dirty = amd_read_and_clear_dirty,
};

static const struct iommu_device_ops amd_basic_ops = {
	.domain_alloc_paging = amd_domain_alloc_paging,
	.attach_dev = amd_attach_dev,
	.iotlb_sync = amd_iotlb_sync,
	.get_resv_regions = amd_get_resv_regions,
	.hw_info = amd_hw_info,
	.sysfs_add = amd_sysfs_add,
	.viommu_ops = &amd_viommu_ops, /* as on Linux; there is no page table to put one on */
	.cache_coherency = true,
	.enforce_cache_coherency = true, /* every leaf has FC set */
};

static const struct iommu_device_ops amd_full_ops = {
	.domain_alloc_paging = amd_domain_alloc_paging,
	.domain_alloc_paging_flags = amd_domain_alloc_paging_flags,
	.domain_alloc_nested = amd_domain_alloc_nested,
	.attach_dev = amd_attach_dev,
	.set_dev_pasid = amd_set_dev_pasid,
	.iotlb_sync = amd_iotlb_sync,
	.get_resv_regions = amd_get_resv_regions,
	.capable = amd_capable,
	.hw_info = amd_hw_info,
	.sysfs_add = amd_sysfs_add,
	.pasid_bits = amd_pasid_bits,
	.page_response = amd_page_response,
	.viommu_ops = &amd_viommu_ops,
	.cache_coherency = true,
	.enforce_cache_coherency = true,
	.user_pasid_table = true, /* the guest's own GCR3 table */
};
