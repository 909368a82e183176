/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * domain.c - calls on domains: made and freed, mapped, their dirty pages, and what user space hands to a
 * driver.
 *
 * The core checks what is the same for all drivers, takes the domain's lock and calls the driver.  Two
 * domains have no tables and no unit, and are there for good: the blocked and the identity domain.
 */
#include <string.h>

#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/mm.h"

static void core_domain_free(struct iommu_domain *domain)
{
}

static const struct iommu_domain_ops core_domain_ops = { .free = core_domain_free };

struct iommu_domain iommu_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED, .ops = &core_domain_ops, .lock = MUTEX_INITIALIZER(LOCK_IOMMU_DOMAIN),
};
struct iommu_domain iommu_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY, .ops = &core_domain_ops, .lock = MUTEX_INITIALIZER(LOCK_IOMMU_DOMAIN),
};

/* ---- made and freed ---- */

static struct iommu_domain *no_unit(const struct device *dev)
{
	return ERR_PTR(fail(-ENODEV, "%s is behind no IOMMU", dev->name));
}

struct iommu_domain *iommu_paging_domain_alloc(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);

	return gdev ? gdev->iommu->ops->domain_alloc_paging(gdev->iommu, dev) : no_unit(dev);
}

struct iommu_domain *iommu_paging_domain_alloc_flags(struct device *dev, u32 flags,
						     const struct iommu_user_data *data)
{
	struct group_device *gdev = to_group_device(dev);
	const struct iommu_device_ops *ops;

	if (!gdev)
		return no_unit(dev);
	ops = gdev->iommu->ops;
	if (!ops->no_flags)
		flags &= ~(u32)IOMMU_ALLOC_FAULT_QUEUE;
	if (!flags && !data)
		return ops->domain_alloc_paging(gdev->iommu, dev);
	if (!ops->domain_alloc_paging_flags)
		return ERR_PTR(fail(-EOPNOTSUPP, "IOMMU %s has plain page tables only: flags 0x%x%s", gdev->iommu->name,
				    flags, data ? ", with data" : ""));
	return ops->domain_alloc_paging_flags(gdev->iommu, dev, flags, data);
}

int iommu_nested_check(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);

	if (!gdev)
		return (int)PTR_ERR(no_unit(dev));
	if (!gdev->iommu->ops->domain_alloc_nested)
		return fail(-EOPNOTSUPP, "IOMMU %s has no nested translation", gdev->iommu->name);
	return 0;
}

struct iommu_domain *iommu_nested_domain_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
					       const struct iommu_user_data *data)
{
	struct group_device *gdev = to_group_device(dev);
	struct iommu_domain *domain;
	int err = iommu_nested_check(dev);

	if (err)
		return ERR_PTR(err);
	domain = gdev->iommu->ops->domain_alloc_nested(gdev->iommu, dev, parent, flags, data);
	if (!IS_ERR(domain))
		domain->parent = parent;
	return domain;
}

void iommu_domain_free(struct iommu_domain *domain)
{
	if (domain)
		domain->ops->free(domain);
}

/* ---- mapping ---- */

/* For %llx: u64 is a long here. */
static unsigned long long ull(u64 val)
{
	return val;
}

static int check_range(const struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes)
{
	u64 last, phys_last, page = iommu_domain_min_page(domain);

	if (domain->type != IOMMU_DOMAIN_PAGING)
		return fail(-EINVAL, "the domain has no page tables of ours: nothing can be mapped in it");
	if (len_bytes == 0)
		return fail(-EINVAL, "size is 0: there is nothing to map");
	if (!IS_ALIGNED(iova | phys | len_bytes, page))
		return fail(-EINVAL, "iova 0x%llx, physical address 0x%llx or size 0x%llx is not a multiple "
			    "of the IOMMU's page of %llu bytes", ull(iova), ull(phys), ull(len_bytes), ull(page));
	if (range_overflows(iova, len_bytes, &last) || range_overflows(phys, len_bytes, &phys_last))
		return fail(-EINVAL, "the range of 0x%llx bytes at iova 0x%llx wraps around", ull(len_bytes),
			    ull(iova));
	if (iova < domain->aperture_start || last > domain->aperture_last)
		return fail(-EINVAL, "[0x%llx-0x%llx] is beyond what the IOMMU translates, [0x%llx-0x%llx]",
			    ull(iova), ull(last), ull(domain->aperture_start), ull(domain->aperture_last));
	if (phys_last >> 52)
		return fail(-EINVAL, "physical address 0x%llx has more than 52 bits", ull(phys_last));
	return 0;
}

int iommu_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	int err = check_range(domain, iova, phys, len_bytes);

	if (err)
		return err;
	mutex_lock(&domain->lock);
	err = domain->ops->map(domain, iova, phys, len_bytes, prot);
	mutex_unlock(&domain->lock);
	return err;
}

u64 iommu_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	u64 bytes, last;

	if (!domain->ops->unmap || len_bytes == 0 || range_overflows(iova, len_bytes, &last))
		return 0;
	mutex_lock(&domain->lock);
	bytes = domain->ops->unmap(domain, iova, len_bytes);
	if (bytes)
		domain->iommu->ops->iotlb_sync(domain, iova, last);
	mutex_unlock(&domain->lock);
	return bytes;
}

phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	phys_addr_t phys;

	if (!domain->ops->iova_to_phys)
		return domain->type == IOMMU_DOMAIN_IDENTITY ? iova : 0;
	mutex_lock(&domain->lock);
	phys = domain->ops->iova_to_phys(domain, iova);
	mutex_unlock(&domain->lock);
	return phys;
}

/* ---- dirty pages ---- */

int iommu_domain_set_dirty_tracking(struct iommu_domain *domain, bool on)
{
	int err;

	if (!domain->dirty_ops)
		return fail(-EOPNOTSUPP, "the domain was not allocated for dirty tracking");
	mutex_lock(&domain->lock);
	err = domain->dirty_ops->set_dirty_tracking(domain, on);
	mutex_unlock(&domain->lock);
	return err;
}

int iommu_domain_read_and_clear_dirty(struct iommu_domain *domain, u64 iova, u64 len_bytes, unsigned flags,
				      struct iommu_dirty_sink *sink)
{
	u64 last;
	int err;

	if (!domain->dirty_ops)
		return fail(-EOPNOTSUPP, "the domain was not allocated for dirty tracking");
	if (len_bytes == 0 || range_overflows(iova, len_bytes, &last))
		return fail(-EINVAL, "0x%llx bytes at iova 0x%llx are no range", ull(len_bytes), ull(iova));
	mutex_lock(&domain->lock);
	err = domain->dirty_ops->read_and_clear_dirty(domain, iova, len_bytes, flags, sink);
	mutex_unlock(&domain->lock);
	return err;
}

/* ---- what user space hands to a driver ---- */

int iommu_domain_cache_invalidate_user(struct iommu_domain *domain, struct iommu_user_data_array *array)
{
	if (domain->type != IOMMU_DOMAIN_NESTED || !domain->ops->cache_invalidate_user)
		return fail(-EOPNOTSUPP, "only page tables of a guest have caches that it may invalidate");
	return domain->ops->cache_invalidate_user(domain, array);
}

static int check_type_and_len(u32 has, u32 want, size_t len, size_t min_len)
{
	if (has != want)
		return fail(-EINVAL, "the data is of type %u, not %u", has, want);
	if (len < min_len)
		return fail(-EINVAL, "the data has %zu bytes, of type %u it has at least %zu", len, want, min_len);
	return 0;
}

/* What user space has of @dst; what it does not have is 0. */
static int copy_known(void *dst, size_t dst_len, const void __user *src, size_t len)
{
	memset(dst, 0, dst_len);
	if (copy_from_user(dst, src, min(len, dst_len)))
		return fail(-EFAULT, "%zu bytes of data at %p cannot be read", len, src);
	return 0;
}

int iommu_copy_user_data(void *dst, const struct iommu_user_data *src, u32 type, size_t dst_len, size_t min_len)
{
	int err = check_type_and_len(src->type, type, src->len, min_len);

	if (err)
		return err;
	if (src->len > dst_len)
		return fail(-EINVAL, "the data has %zu bytes, of type %u it has at most %zu", src->len, type, dst_len);
	return copy_known(dst, dst_len, src->uptr, src->len);
}

/* Behind what is known there may be zeros only. */
static int check_zero_tail(const char __user *at, size_t len)
{
	char buf[64];

	for (size_t done = 0, n; done < len; done += n) {
		n = min(len - done, sizeof(buf));
		if (copy_from_user(buf, at + done, n))
			return fail(-EFAULT, "%zu bytes of data at %p cannot be read", n, (const void *)(at + done));
		for (size_t i = 0; i < n; i++)
			if (buf[i])
				return fail(-E2BIG, "byte %zu behind the data that is known is not 0", done + i);
	}
	return 0;
}

int iommu_copy_user_data_entry(void *dst, const struct iommu_user_data_array *src, u32 type, u32 index,
			       size_t dst_len, size_t min_len)
{
	const char __user *at = (const char __user *)src->uptr + src->entry_len * index;
	int err = check_type_and_len(src->type, type, src->entry_len, min_len);

	if (err)
		return err;
	if (index >= src->entry_num)
		return fail(-EINVAL, "entry %u of an array of %u", index, src->entry_num);
	err = src->entry_len > dst_len ? check_zero_tail(at + dst_len, src->entry_len - dst_len) : 0;
	return err ? err : copy_known(dst, dst_len, at, src->entry_len);
}
