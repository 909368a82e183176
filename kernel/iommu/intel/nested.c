/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intel/nested.c - domains whose first stage is a guest's page table, above a second stage of ours.
 *
 * The guest says where its tables are, by an address of its own; the unit finds them through the second
 * stage, the parent.  When the guest has changed them, it has the VMM say so (cache_invalidate_user), as it
 * would tell a unit of its own by an invalidation descriptor.
 *
 * Source: struct iommu_hwpt_vtd_s1 and iommu_hwpt_vtd_s1_invalidate of linux/iommufd.h; Intel VT-d
 * specification, "Nested Translation", "PASID-based IOTLB Invalidation".
 */
#include <linux/iommufd.h>
#include <stdlib.h>

#include "kernel/iommu/intel/intel_iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

#define KNOWN_FLAGS (IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_EAFE | IOMMU_VTD_S1_WPE)

static void nested_free(struct iommu_domain *domain)
{
	mutex_destroy(&domain->lock);
	kfree(to_intel_nested(domain));
}

int intel_nested_check(const struct intel_iommu *vtd, struct iommu_domain *domain)
{
	const struct intel_nested *nested = to_intel_nested(domain);

	if (nested->addr_width != 48 && !(nested->addr_width == 57 && vtd->aw_bits == 57))
		return fail(-EINVAL, "addr_width %u: %s has first-stage tables of 48%s bits", nested->addr_width,
			    vtd->iommu.name, vtd->aw_bits == 57 ? " and 57" : "");
	return 0;
}

/* ---- invalidation ---- */

static int check_request(const struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	if (inv->flags & ~IOMMU_VTD_INV_FLAGS_LEAF)
		return fail(-EOPNOTSUPP, "flags 0x%x: bits 0x%x are unknown", inv->flags,
			    inv->flags & ~IOMMU_VTD_INV_FLAGS_LEAF);
	if (inv->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is 0x%x, it must be 0", inv->__reserved);
	if (!IS_ALIGNED(inv->addr, PAGE_SIZE) || (inv->npages == ~0ull && inv->addr))
		return fail(-EINVAL, "addr 0x%llx with npages 0x%llx: a range begins at a page, and the one of all pages "
			    "at 0", (unsigned long long)inv->addr, (unsigned long long)inv->npages);
	return 0;
}

/* Everybody that @domain is attached to is on the parent's list. */
static void invalidate(struct iommu_domain *domain, u64 first, u64 last)
{
	struct intel_domain *parent = to_intel_domain(domain->parent);
	struct iommu_device *iommu = domain->iommu;
	struct attachment *at;

	mutex_lock(&domain->parent->lock);
	TAILQ_FOREACH(at, &parent->attached, node)
		if (at->domain == domain)
			iommu->hw_ops->invalidate_first_stage(iommu->hw, parent->id, at->pasid, first, last);
	mutex_unlock(&domain->parent->lock);
}

static void carry_out(struct iommu_domain *domain, const struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	u64 last;

	if (inv->npages == 0)
		return;
	if (inv->npages > ~0ull >> PAGE_SHIFT || range_overflows((u64)inv->addr, (u64)inv->npages << PAGE_SHIFT, &last))
		last = ~0ull;
	invalidate(domain, inv->addr, last);
}

static int nested_cache_invalidate(struct iommu_domain *domain, struct iommu_user_data_array *array)
{
	u32 done;
	int err = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
		array->entry_num = 0;
		return fail(-EINVAL, "requests of type %u are not for VT-d", array->type);
	}
	for (done = 0; done < array->entry_num; done++) {
		struct iommu_hwpt_vtd_s1_invalidate inv;

		err = iommu_copy_user_data_entry(&inv, array, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, done, sizeof(inv),
						 sizeof(inv));
		if (!err)
			err = check_request(&inv);
		if (err)
			break;
		carry_out(domain, &inv);
	}
	array->entry_num = done;
	return err;
}

/* ---- making one ---- */

static const struct iommu_domain_ops nested_ops = {
	.cache_invalidate_user = nested_cache_invalidate, .free = nested_free,
};

struct iommu_domain *intel_domain_alloc_nested(struct iommu_device *iommu, struct device *dev,
					       struct iommu_domain *parent, u32 flags,
					       const struct iommu_user_data *data)
{
	struct iommu_hwpt_vtd_s1 s1;
	struct intel_nested *nested;
	int err;

	if (flags & ~IOMMU_ALLOC_PASID)
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x are not for nested domains", flags));
	if (parent->iommu != iommu || !to_intel_domain(parent)->nest_parent)
		return ERR_PTR(fail(-EINVAL, "the parent is no domain of %s that was allocated as such", iommu->name));
	if (data->type != IOMMU_HWPT_DATA_VTD_S1)
		return ERR_PTR(fail(-EOPNOTSUPP, "%s takes a guest's table as data of type %u, not %u", iommu->name,
				    IOMMU_HWPT_DATA_VTD_S1, data->type));
	err = iommu_copy_user_data(&s1, data, IOMMU_HWPT_DATA_VTD_S1, sizeof(s1), sizeof(s1));
	if (err)
		return ERR_PTR(err);
	if ((s1.flags & ~(u64)KNOWN_FLAGS) || s1.__reserved)
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%llx, __reserved 0x%x: some bits are unknown",
				    (unsigned long long)s1.flags, s1.__reserved));
	nested = kzalloc(sizeof(*nested));
	if (!nested)
		return ERR_PTR(fail(-ENOMEM, "no memory for a nested domain"));
	nested->root = s1.pgtbl_addr;
	nested->addr_width = s1.addr_width;
	nested->flags = s1.flags;
	nested->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_NESTED, .ops = &nested_ops, .iommu = iommu, .parent = parent,
	};
	mutex_init(&nested->domain.lock, LOCK_IOMMU_DOMAIN);
	return &nested->domain;
}
