/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel/iommu.c - the driver of a VT-d unit: its domains, its invalidations, what is attached to what.
 *
 * A basic unit is in legacy mode: a domain is a second-stage page table (pt/vtdss.c).  A full one is in scalable
 * mode: a plain domain is a first-stage table (pt/x86_64.c), as Linux has it there; second-stage ones are for
 * dirty tracking, and for what is below a guest's first stage.  What the unit caches it tags with a 16-bit
 * id of the domain, and what comes of a first stage with the PASID too.
 *
 * What always holds: for each device and PASID, what the entry in memory says is what its attachment says;
 * and after an entry changed the unit has been told before the lock is dropped.
 *
 * Order of locks: a domain's lock is taken before calls into the unit.  intel_dev is guarded by the lock of
 * its group, which the caller of attach_dev holds; membership in a domain's list by the domain's.
 *
 * Source: Intel VT-d specification, "Capability Register", "Extended Capability Register"; reserved ranges
 * and attributes as Linux 7.2 shows them on such a machine.
 */
#include <assert.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/intel/intel_iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

#define DEVIDS 0x10000u
#define PATH_SIZE 256
#define FLAGS (IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING | IOMMU_ALLOC_PASID)

/* Capability and extended capability registers of the unit, as far as no option changes them. */
#define CAP 0xd2008c22000006ull	/* 2^16 domains; 2 MiB and 1 GiB pages; page-selective invalidation */
#define CAP_SAGAW_SHIFT 8	/* bit 1, 2, 3: 3, 4, 5 levels */
#define CAP_MGAW_SHIFT 16	/* address bits less one */
#define CAP_FS1GP BIT_ULL(56)	/* 1 GiB pages in the first stage */
#define CAP_FS5LP BIT_ULL(60)	/* five levels in the first stage */
#define ECAP 0xf00f4aull	/* queued invalidation, interrupt remapping, pass-through; no snoop control */
/* ... and of a full one: device-TLBs, nesting, page requests, supervisor requests, extended accessed bits, 20 bits of PASID */
#define ECAP_FULL (BIT_ULL(2) | BIT_ULL(26) | BIT_ULL(29) | BIT_ULL(31) | BIT_ULL(34) | 19ull << 35 | BIT_ULL(40) | \
		   /* scalable mode; its second stage with marks, second stage, first stage */ \
		   BIT_ULL(43) | BIT_ULL(45) | BIT_ULL(46) | BIT_ULL(47))

static const struct iommu_device_ops intel_basic_ops, intel_full_ops;
static const struct iommu_domain_ops intel_domain_ops;
static const struct iommu_dirty_ops intel_dirty_ops;

/* ---- attaching ---- */

/*
 * Off the domain's list and cut off in one step: an unmap that does not see the device any more must be
 * right in not invalidating it.
 */
static void leave(struct intel_iommu *vtd, struct intel_dev *dev, struct attachment *at)
{
	struct iommu_domain *tables = at->tables;

	if (!tables) {
		at->domain = NULL;
		return;
	}
	mutex_lock(&tables->lock);
	TAILQ_REMOVE(&to_intel_domain(tables)->attached, at, node);
	at->domain = at->tables = NULL;
	vtd_entry_set(vtd, dev, at);
	mutex_unlock(&tables->lock);
}

static void join(struct intel_iommu *vtd, struct intel_dev *dev, struct attachment *at, struct iommu_domain *domain)
{
	struct iommu_domain *tables = tables_of(domain);

	if (!tables) {
		at->domain = domain->type == IOMMU_DOMAIN_BLOCKED ? NULL : domain;
		vtd_entry_set(vtd, dev, at);
		return;
	}
	mutex_lock(&tables->lock);
	at->domain = domain;
	at->tables = tables;
	TAILQ_INSERT_TAIL(&to_intel_domain(tables)->attached, at, node);
	vtd_entry_set(vtd, dev, at);
	mutex_unlock(&tables->lock);
}

static int check_domain(struct intel_iommu *vtd, struct iommu_domain *domain)
{
	if (domain->iommu && domain->iommu != &vtd->iommu)
		return fail(-EINVAL, "the domain's page tables are of another IOMMU than %s", vtd->iommu.name);
	return domain->type == IOMMU_DOMAIN_NESTED ? intel_nested_check(vtd, domain) : 0;
}

static int intel_attach_dev(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);
	struct intel_dev *dev;
	int err = check_domain(vtd, domain);

	if (err)
		return err;
	if (domain->iopf_handler && !vtd->scalable)
		return fail(-ENODEV, "page requests of device id 0x%x are to go to a fault queue, and its IOMMU takes none: "
			    "features=full", devid);
	dev = vtd_dev_get(vtd, devid, IOMMU_NO_PASID);
	if (!dev)
		return fail(-ENOMEM, "no memory for the tables of device id 0x%x", devid);
	leave(vtd, dev, &dev->rid);
	join(vtd, dev, &dev->rid, domain);
	return 0;
}

static int intel_set_dev_pasid(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid, u32 pasid,
			       struct iommu_domain *old)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);
	struct intel_dev *dev;
	struct attachment *at;
	int err = check_domain(vtd, domain);

	if (err)
		return err;
	if (domain->type == IOMMU_DOMAIN_BLOCKED) {
		dev = vtd->devs[devid];
		at = dev ? attachment_find(&dev->pasids, pasid) : NULL;
		if (!at)
			return 0;
	} else {
		dev = vtd_dev_get(vtd, devid, pasid);
		at = dev ? attachment_get(&dev->pasids, devid, pasid) : NULL;
		if (!at)
			return fail(-ENOMEM, "no memory to attach PASID %u", pasid);
	}
	leave(vtd, dev, at);
	join(vtd, dev, at, domain);
	return 0;
}

/* ---- domains ---- */

static unsigned first_stage_levels(const struct intel_iommu *vtd)
{
	return vtd->aw_bits == 57 ? 5 : 4;
}

static u64 aperture_last(const struct intel_iommu *vtd, bool first_stage)
{
	u64 last = BIT_ULL(vtd->aw_bits) - 1;

	return first_stage ? min(last, x86_64_aperture_last(first_stage_levels(vtd))) : last;
}

static struct iommu_domain *domain_alloc(struct iommu_device *iommu, bool first_stage)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);
	struct intel_domain *domain = kzalloc(sizeof(*domain));
	int id = domid_alloc(&vtd->domids);

	if (!domain || id < 0 ||
	    (first_stage ? x86_64_init(&domain->pt, first_stage_levels(vtd)) :
			   vtdss_init(&domain->pt, vtd_levels(vtd->aw_bits)))) {
		if (id >= 0)
			domid_free(&vtd->domids, id);
		kfree(domain);
		if (id < 0)
			return ERR_PTR(fail(-ENOMEM, "all domain ids of %s are in use", iommu->name));
		return ERR_PTR(fail(-ENOMEM, "no memory for an I/O page table"));
	}
	domain->id = id;
	domain->first_stage = first_stage;
	domain->gather = (struct pt_gather){ .iova = ~0ull };
	TAILQ_INIT(&domain->attached);
	domain->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING,
		.ops = &intel_domain_ops,
		.iommu = iommu,
		.pgsize_bitmap = first_stage ? X86_64_PGSIZES : VTDSS_PGSIZES,
		.aperture_last = aperture_last(vtd, first_stage),
	};
	mutex_init(&domain->domain.lock, LOCK_IOMMU_DOMAIN);
	return &domain->domain;
}

static struct iommu_domain *intel_domain_alloc_paging(struct iommu_device *iommu, struct device *dev)
{
	return domain_alloc(iommu, to_intel_iommu(iommu)->scalable);
}

static struct iommu_domain *intel_domain_alloc_paging_flags(struct iommu_device *iommu, struct device *dev,
							    u32 flags, const struct iommu_user_data *data)
{
	struct intel_iommu *vtd = to_intel_iommu(iommu);
	u32 second = flags & (IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING);
	struct iommu_domain *domain;

	if (data || (flags & ~FLAGS))
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x%s: %s knows 0x%x and takes no data", flags,
				    data ? " with data" : "", iommu->name, FLAGS));
	if (second && !vtd->scalable)
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x: %s is in legacy mode, without nesting and dirty bits", flags,
				    iommu->name));
	domain = domain_alloc(iommu, vtd->scalable && !second);
	if (IS_ERR(domain))
		return domain;
	to_intel_domain(domain)->nest_parent = flags & IOMMU_ALLOC_NEST_PARENT;
	if (flags & IOMMU_ALLOC_DIRTY_TRACKING)
		domain->dirty_ops = &intel_dirty_ops;
	return domain;
}

static void intel_domain_free(struct iommu_domain *domain)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);

	assert(TAILQ_EMPTY(&intel_domain->attached));
	if (intel_domain->first_stage)
		x86_64_destroy(&intel_domain->pt);
	else
		vtdss_destroy(&intel_domain->pt);
	domid_free(&to_intel_iommu(domain->iommu)->domids, intel_domain->id);
	mutex_destroy(&domain->lock);
	kfree(intel_domain);
}

static void first_stage_invalidate(struct intel_domain *domain, u64 iova, u64 last)
{
	struct iommu_device *iommu = domain->domain.iommu;
	struct attachment *at;

	TAILQ_FOREACH(at, &domain->attached, node)
		iommu->hw_ops->invalidate_first_stage(iommu->hw, domain->id, at->pasid, iova, last);
	x86_64_release(&domain->pt);
}

static void second_stage_invalidate(struct intel_domain *domain, u64 iova, u64 last)
{
	struct iommu_device *iommu = domain->domain.iommu;

	if (!TAILQ_EMPTY(&domain->attached))
		iommu->hw_ops->invalidate_pages(iommu->hw, domain->id, iova, last);
	vtdss_release(&domain->pt);
}

static void intel_iotlb_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);
	struct pt_gather *gather = &intel_domain->gather;

	lockdep_assert_held(&domain->lock);
	iova = min(iova, gather->iova);
	last = max(last, gather->last);
	if (intel_domain->first_stage)
		first_stage_invalidate(intel_domain, iova, last);
	else
		second_stage_invalidate(intel_domain, iova, last);
	*gather = (struct pt_gather){ .iova = ~0ull };
}

static int intel_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);
	int err;

	lockdep_assert_held(&domain->lock);
	err = intel_domain->first_stage ? x86_64_map(&intel_domain->pt, iova, phys, len_bytes, prot) :
					  vtdss_map(&intel_domain->pt, iova, phys, len_bytes, prot);
	if (unlikely(err))
		intel_iotlb_sync(domain, iova, iova + len_bytes - 1);
	return err;
}

static u64 intel_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);

	lockdep_assert_held(&domain->lock);
	return intel_domain->first_stage ?
		       x86_64_unmap(&intel_domain->pt, iova, len_bytes, &intel_domain->gather) :
		       vtdss_unmap(&intel_domain->pt, iova, len_bytes, &intel_domain->gather);
}

static phys_addr_t intel_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);

	lockdep_assert_held(&domain->lock);
	return intel_domain->first_stage ? x86_64_iova_to_phys(&intel_domain->pt, iova) :
					   vtdss_iova_to_phys(&intel_domain->pt, iova);
}

/* ---- dirty pages ---- */

static int intel_set_dirty_tracking(struct iommu_domain *domain, bool on)
{
	struct intel_iommu *vtd = to_intel_iommu(domain->iommu);
	struct intel_domain *intel_domain = to_intel_domain(domain);
	struct attachment *at;

	lockdep_assert_held(&domain->lock);
	if (intel_domain->dirty_tracking == on)
		return 0;
	intel_domain->dirty_tracking = on;
	TAILQ_FOREACH(at, &intel_domain->attached, node)
		vtd_entry_set_dirty(vtd, vtd->devs[at->devid], at);
	return 0;
}

static int intel_read_and_clear_dirty(struct iommu_domain *domain, u64 iova, u64 len_bytes, unsigned flags,
				      struct iommu_dirty_sink *sink)
{
	struct intel_domain *intel_domain = to_intel_domain(domain);
	struct pt_gather gather = { .iova = ~0ull };
	bool clear = !(flags & IOMMU_DIRTY_NO_CLEAR);

	lockdep_assert_held(&domain->lock);
	if (!intel_domain->dirty_tracking && clear && sink)
		return fail(-EINVAL, "dirty tracking is off");
	vtdss_read_dirty(&intel_domain->pt, iova, iova + len_bytes - 1, clear, sink, &gather);
	if (gather.iova <= gather.last)
		intel_iotlb_sync(domain, gather.iova, gather.last);
	return 0;
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
	u64 sagaw = GENMASK_ULL(vtd_aw(vtd->aw_bits), 1);
	u64 cap = CAP | sagaw << CAP_SAGAW_SHIFT | (u64)(vtd->aw_bits - 1) << CAP_MGAW_SHIFT;

	if (vtd->scalable)
		cap |= CAP_FS1GP | (vtd->aw_bits == 57 ? CAP_FS5LP : 0);
	return cap;
}

static u64 ecap_register(const struct intel_iommu *vtd)
{
	return vtd->scalable ? ECAP | ECAP_FULL : ECAP;
}

static bool intel_capable(struct iommu_device *iommu, u16 devid, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_DIRTY_TRACKING:
	case IOMMU_CAP_PCI_ATS:
	case IOMMU_CAP_PCI_PASID_EXEC:
	case IOMMU_CAP_PCI_PASID_PRIV: return to_intel_iommu(iommu)->scalable;
	default: return false;
	}
}

static ssize_t intel_hw_info(struct iommu_device *iommu, u16 devid, u32 *type, void *buf)
{
	const struct intel_iommu *vtd = to_intel_iommu(iommu);
	const struct iommu_hw_info_vtd info = {
		.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, /* Linux 7.3.4 says so of emulated units too */
		.cap_reg = cap_register(vtd), .ecap_reg = ecap_register(vtd),
	};

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return fail(-EOPNOTSUPP, "%s shows its registers as type %u, not %u", iommu->name,
			    IOMMU_HW_INFO_TYPE_INTEL_VTD, *type);
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	memcpy(buf, &info, sizeof(info));
	return sizeof(info);
}

static unsigned intel_pasid_bits(struct iommu_device *iommu, u16 devid)
{
	return VTD_PASID_BITS;
}

static void intel_page_response(struct iommu_device *iommu, u16 devid, const struct iommu_page_request *last,
				enum iommu_page_response_code code)
{
	u32 pasid = last->flags & IOMMU_FAULT_PASID_VALID ? last->pasid : IOMMU_NO_PASID;

	iommu->hw_ops->page_response(iommu->hw, devid, pasid, last->grpid, code == IOMMU_PAGE_RESP_SUCCESS);
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
	snprintf(ecap, sizeof(ecap), "%llx\n", (unsigned long long)ecap_register(vtd));
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
				      unsigned aw_bits, enum iommu_features features)
{
	struct intel_iommu *vtd;
	u64 ttm;

	if (aw_bits != 39 && aw_bits != 48 && aw_bits != 57)
		return ERR_PTR(fail(-EINVAL, "VT-d has addresses of 39, 48 or 57 bits, not %u", aw_bits));
	vtd = kzalloc(sizeof(*vtd));
	if (!vtd)
		return ERR_PTR(fail(-ENOMEM, "no memory for IOMMU %s", name));
	vtd->root = vtd_table_alloc();
	vtd->devs = kvcalloc(DEVIDS, sizeof(struct intel_dev *)); /* few pages of it are ever touched */
	if (!vtd->root || !vtd->devs) {
		free_pages_exact(vtd->root);
		kvfree(vtd->devs);
		kfree(vtd);
		return ERR_PTR(fail(-ENOMEM, "no memory for the root table of IOMMU %s", name));
	}
	vtd->aw_bits = aw_bits;
	vtd->scalable = features == IOMMU_FULL;
	domids_init(&vtd->domids);
	vtd->iommu = (struct iommu_device){
		.name = name, .ops = vtd->scalable ? &intel_full_ops : &intel_basic_ops,
		.hw_ops = hw_ops, .hw = hw, .priv = vtd,
	};
	ttm = vtd->scalable ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY;
	hw_ops->set_root_table(hw, virt_to_phys((const void *)vtd->root) | ttm << VTD_RTADDR_TTM_SHIFT);
	return &vtd->iommu;
}

void intel_iommu_exit(struct iommu_device *iommu)
{
	struct intel_iommu *vtd;

	if (!iommu)
		return;
	vtd = to_intel_iommu(iommu);
	iommu->hw_ops->set_root_table(iommu->hw, 0);
	for (unsigned i = 0; i < TABLE_QWORDS; i++)
		free_pages_exact(atomic_load(&vtd->contexts[i]));
	free_pages_exact(vtd->root);
	vtd_devs_free(vtd);
	kfree(vtd);
}

static const struct iommu_domain_ops intel_domain_ops = {
	.map = intel_map,
	.unmap = intel_unmap,
	.iova_to_phys = intel_iova_to_phys,
	.free = intel_domain_free,
};

static const struct iommu_dirty_ops intel_dirty_ops = {
	.set_dirty_tracking = intel_set_dirty_tracking,
	.read_and_clear_dirty = intel_read_and_clear_dirty,
};

#define COMMON_OPS							\
	.domain_alloc_paging = intel_domain_alloc_paging,		\
	.domain_alloc_paging_flags = intel_domain_alloc_paging_flags,	\
	.domain_alloc_nested = intel_domain_alloc_nested, /* basic: for want of a parent it cannot succeed */ \
	.attach_dev = intel_attach_dev,					\
	.set_dev_pasid = intel_set_dev_pasid, /* in legacy mode no device has PASIDs */	\
	.iotlb_sync = intel_iotlb_sync,					\
	.get_resv_regions = intel_get_resv_regions,			\
	.capable = intel_capable,					\
	.hw_info = intel_hw_info,					\
	.sysfs_add = intel_sysfs_add,					\
	.cache_coherency = true,					\
	.enforce_cache_coherency = false /* no snoop control */

static const struct iommu_device_ops intel_basic_ops = { COMMON_OPS };

static const struct iommu_device_ops intel_full_ops = {
	COMMON_OPS,
	.pasid_bits = intel_pasid_bits,
	.page_response = intel_page_response,
};
