/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noiommu.c - where in memory a mapping is, for devices that no IOMMU is behind.
 *
 * Such a device is bound and attached like others, but nothing translates what it sends.  The program asks for
 * the physical address of what it mapped, which stays pinned meanwhile, and gives that to the device.
 *
 * Source: linux/iommufd.h, struct iommu_ioas_noiommu_get_pa; answers as of Linux 7.3.
 */
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/mm.h"

static struct iommu_domain *find_domain_locked(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->mutex);
	TAILQ_FOREACH(hwpt, &ioas->hwpt_list, hwpt_item) {
		if (iommu_domain_is_noiommu(hwpt->common.domain))
			return hwpt->common.domain;
	}
	return NULL;
}

/* How many of @len bytes from @iova, which is at @bus, lie together there. */
static u64 contiguous(struct iommu_domain *domain, u64 iova, u64 bus, u64 len)
{
	u64 done = PAGE_SIZE - iova % PAGE_SIZE, at;
	phys_addr_t pa;

	while (done < len && !__builtin_add_overflow(iova, done, &at)) {
		pa = iommu_iova_to_phys(domain, at);
		if (!pa || phys_to_bus(pa) != bus + done)
			break;
		done += PAGE_SIZE;
	}
	return min(done, len);
}

static bool is_mapped(struct io_pagetable *iopt, u64 iova)
{
	bool mapped;

	mutex_lock(&iopt->lock);
	mapped = iopt_area_first(iopt, iova, iova);
	mutex_unlock(&iopt->lock);
	return mapped;
}

static int get_pa(struct iommufd_ioas *ioas, struct iommu_ioas_noiommu_get_pa *cmd)
{
	struct iommu_domain *domain;
	phys_addr_t pa = 0;
	int ret = 0;

	mutex_lock(&ioas->mutex);
	domain = find_domain_locked(ioas);
	if (domain)
		pa = iommu_iova_to_phys(domain, cmd->iova);
	if (!domain && is_mapped(&ioas->iopt, cmd->iova))
		ret = fail(-EOPNOTSUPP, "no device without an IOMMU is attached to IOAS %u", ioas->obj.id);
	else if (!pa)
		ret = fail(-ENOENT, "nothing is mapped at iova 0x%llx", (unsigned long long)cmd->iova);
	else
		cmd->length = contiguous(domain, cmd->iova, phys_to_bus(pa), cmd->length);
	mutex_unlock(&ioas->mutex);
	cmd->out_phys = phys_to_bus(pa);
	return ret;
}

int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_noiommu_get_pa *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int ret;

	if (cmd->flags || cmd->__reserved)
		return fail(-EOPNOTSUPP, "flags %#x, __reserved %#x: both must be 0", cmd->flags, cmd->__reserved);
	if (!cmd->length)
		return fail(-EINVAL, "length is 0: how far is to be looked?");
	if (cmd->iova == UINT64_MAX)
		return fail(-EOVERFLOW, "iova is 2^64-1");
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	ret = get_pa(ioas, cmd);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return ret ? ret : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
