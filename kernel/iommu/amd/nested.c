/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amd/nested.c - domains whose first stage is a guest's: its GCR3 table and guest tables, above v1 tables of
 * ours.
 *
 * A guest writes device table entries for its own (virtual) unit; the VMM hands us one.  What it says of guest
 * tables goes into the real entry; what it says of host tables is not for it to say, and refused.  All
 * addresses in it, and in what it points to, are the guest's.
 *
 * A guest that changed its tables must have them forgotten; the uAPI has no call for that with AMD yet, so
 * only attaching anew does it.
 *
 * Source: AMD specification 48882, "Device Table Entry Format", "Two-Level Translation"; struct
 * iommu_hwpt_amd_guest of linux/iommufd.h.
 */
#include <linux/iommufd.h>
#include <stdlib.h>

#include "kernel/iommu/amd/amd_iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

#define GUEST_Q0 (AMD_DTE_GV | AMD_DTE_GIOV | AMD_DTE_GLX_MASK << AMD_DTE_GLX_SHIFT | 7ull << AMD_DTE_GCR3_LO_SHIFT)
#define GUEST_Q1 (0xffffull << AMD_DTE_GCR3_MID_SHIFT | GENMASK_ULL(63, AMD_DTE_GCR3_HI_SHIFT))
#define GUEST_Q2 (AMD_DTE_GUEST_LEVELS_MASK << AMD_DTE_GUEST_LEVELS_SHIFT)

struct amd_nested {
	struct iommu_domain domain;
	u64 dte[3]; /* the guest's, only what it may say */
};

static void nested_free(struct iommu_domain *domain)
{
	mutex_destroy(&domain->lock);
	kfree(container_of(domain, struct amd_nested, domain));
}

static const struct iommu_domain_ops nested_ops = { .free = nested_free };

void amd_nested_bits(struct iommu_domain *domain, u64 q[3])
{
	const struct amd_nested *nested = container_of(domain, struct amd_nested, domain);

	for (unsigned i = 0; i < 3; i++)
		q[i] |= nested->dte[i];
}

static int check_guest_entry(const u64 dte[4])
{
	unsigned glx = (dte[0] >> AMD_DTE_GLX_SHIFT) & AMD_DTE_GLX_MASK;
	unsigned levels = (dte[2] >> AMD_DTE_GUEST_LEVELS_SHIFT) & AMD_DTE_GUEST_LEVELS_MASK;

	if (!(dte[0] & AMD_DTE_V) || !(dte[0] & AMD_DTE_TV) || !(dte[0] & AMD_DTE_GV))
		return fail(-EINVAL, "the guest's device table entry 0x%llx has no guest tables (V, TV, GV)",
			    (unsigned long long)dte[0]);
	if ((dte[0] >> AMD_DTE_MODE_SHIFT) & AMD_DTE_MODE_MASK)
		return fail(-EINVAL, "the guest's device table entry has host tables (mode): two stages are all there "
			    "are");
	if (glx >= GCR3_LEVELS || levels > 0)
		return fail(-EINVAL, "the guest's device table entry wants %u levels of GCR3 table and %u of guest "
			    "tables; there are at most %u, and %u", glx + 1, levels + 4, GCR3_LEVELS, V2_LEVELS);
	return 0;
}

static struct iommu_domain *nested_alloc(struct iommu_device *iommu, struct iommu_domain *parent, u32 flags,
					 const struct iommu_user_data *data)
{
	struct iommu_hwpt_amd_guest guest;
	struct amd_nested *nested;
	int err;

	if (flags & ~IOMMU_ALLOC_PASID)
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x are not for nested domains", flags));
	if (data->type != IOMMU_HWPT_DATA_AMD_GUEST)
		return ERR_PTR(fail(-EOPNOTSUPP, "%s takes a guest's table as data of type %u, not %u", iommu->name,
				    IOMMU_HWPT_DATA_AMD_GUEST, data->type));
	if (parent->iommu != iommu || !to_amd_domain(parent)->nest_parent)
		return ERR_PTR(fail(-EINVAL, "the parent is no domain of %s that was allocated as such", iommu->name));
	err = iommu_copy_user_data(&guest, data, IOMMU_HWPT_DATA_AMD_GUEST, sizeof(guest), sizeof(guest));
	if (!err)
		err = check_guest_entry((const u64 *)guest.dte);
	if (err)
		return ERR_PTR(err);
	nested = kzalloc(sizeof(*nested));
	if (!nested)
		return ERR_PTR(fail(-ENOMEM, "no memory for a nested domain"));
	nested->dte[0] = guest.dte[0] & GUEST_Q0;
	nested->dte[1] = guest.dte[1] & GUEST_Q1;
	nested->dte[2] = guest.dte[2] & GUEST_Q2;
	nested->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_NESTED, .ops = &nested_ops, .iommu = iommu, .parent = parent,
	};
	mutex_init(&nested->domain.lock, LOCK_IOMMU_DOMAIN);
	return &nested->domain;
}

struct iommu_domain *amd_domain_alloc_nested(struct iommu_device *iommu, struct device *dev,
					     struct iommu_domain *parent, u32 flags,
					     const struct iommu_user_data *data)
{
	return nested_alloc(iommu, parent, flags, data);
}

/* ---- virtual IOMMUs: of any type; all there is to them is that nested domains may belong to one ---- */

static int amd_viommu_supported(struct iommu_device *iommu, u16 devid, u32 type)
{
	return 0;
}

static int amd_viommu_init(struct iommu_viommu *viommu, const struct iommu_user_data *data)
{
	if (data)
		return fail(-EOPNOTSUPP, "a virtual IOMMU of %s takes no data", viommu->iommu->name);
	return 0;
}

static struct iommu_domain *amd_viommu_alloc_nested(struct iommu_viommu *viommu, u32 flags,
						    const struct iommu_user_data *data)
{
	return nested_alloc(viommu->iommu, viommu->parent, flags, data);
}

const struct iommu_viommu_ops amd_viommu_ops = {
	.viommu_supported = amd_viommu_supported,
	.viommu_init = amd_viommu_init,
	.alloc_domain_nested = amd_viommu_alloc_nested,
};
