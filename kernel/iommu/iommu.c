/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu.c - groups, which domain each is attached to, and who owns its DMA; the calls on domains.
 *
 * All devices of a group are attached to one domain.  Which one follows from two things: was a paging
 * domain attached (by VFIO, by iommufd), and if not, does user space own the group:
 *
 *	paging domain attached		that one
 *	none, owned by user space	the blocked domain
 *	none, not owned			the default domain, as the file "type" says
 *
 * Owning.  owner_cnt counts kernel drivers that use devices of the group, or is 1 for one user-space
 * owner; the two exclude each other.  Drivers that hand DMA to user space (driver_managed_dma) do not
 * count.
 *
 * Lifetimes.  Each device holds a reference to its group, and the group is listed while it has devices;
 * the memory goes with the last reference.
 *
 * Locks: tree lock for devices that come and go, then group mutex, then a domain's lock.
 */
#include <stdlib.h>

#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

struct iommu_domain iommu_blocked_domain = { .type = IOMMU_DOMAIN_BLOCKED };
struct iommu_domain iommu_identity_domain = { .type = IOMMU_DOMAIN_IDENTITY };

static TAILQ_HEAD(, iommu_group) groups = TAILQ_HEAD_INITIALIZER(groups); /* tree lock */

static struct group_device *to_group_device(const struct device *dev)
{
	return dev->iommu_priv;
}

/* ---- which domain ---- */

static struct iommu_domain *core_domain(const struct iommu_group *group)
{
	if (group->owner || group->default_type != IOMMU_DEFAULT_IDENTITY)
		return &iommu_blocked_domain;
	return &iommu_identity_domain;
}

static int attach_device(struct group_device *gdev, struct iommu_domain *domain)
{
	return gdev->iommu->ops->attach_dev(gdev->iommu, domain, gdev->devid);
}

/* All devices to @domain; after a failure all are where they were. */
static int set_domain_locked(struct iommu_group *group, struct iommu_domain *domain)
{
	struct group_device *gdev, *undo;
	int err;

	lockdep_assert_held(&group->mutex);
	TAILQ_FOREACH(gdev, &group->devices, node) {
		err = attach_device(gdev, domain);
		if (err)
			goto err_attach;
	}
	group->domain = domain;
	return 0;

err_attach:
	/* Each of these has been attached before, so that it can be again without memory. */
	for (undo = TAILQ_FIRST(&group->devices); undo != gdev; undo = TAILQ_NEXT(undo, node))
		(void)attach_device(undo, group->domain);
	return err;
}

/* No paging domain any more.  Cannot fail: every device was attached to something before. */
static void set_core_domain_locked(struct iommu_group *group)
{
	(void)set_domain_locked(group, core_domain(group));
}

/* ---- groups ---- */

static struct iommu_group *group_find(unsigned id)
{
	struct iommu_group *group;

	TAILQ_FOREACH(group, &groups, node)
		if (group->id == id)
			return group;
	return NULL;
}

static struct iommu_group *group_alloc(unsigned id)
{
	struct iommu_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->id = id;
	atomic_init(&group->refs, 1);
	mutex_init(&group->mutex, LOCK_IOMMU_GROUP);
	TAILQ_INIT(&group->devices);
	return group;
}

struct iommu_group *iommu_group_ref_get(struct iommu_group *group)
{
	atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
	return group;
}

void iommu_group_put(struct iommu_group *group)
{
	if (!group || atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) != 1)
		return;
	mutex_destroy(&group->mutex);
	free(group);
}

struct iommu_group *iommu_group_get(struct device *dev)
{
	return dev->iommu_group ? iommu_group_ref_get(dev->iommu_group) : NULL;
}

unsigned iommu_group_id(const struct iommu_group *group)
{
	return group->id;
}

int iommu_group_for_each_dev(struct iommu_group *group, void *arg, int (*fn)(struct device *dev, void *arg))
{
	struct group_device *gdev;
	int ret = 0;

	mutex_lock(&group->mutex);
	TAILQ_FOREACH(gdev, &group->devices, node) {
		ret = fn(gdev->dev, arg);
		if (ret)
			break;
	}
	mutex_unlock(&group->mutex);
	return ret;
}

/* The group @id with one reference more, made and shown in the tree if it is new. */
static struct iommu_group *group_get_or_make(struct iommu_device *iommu, struct device *dev, unsigned id)
{
	struct iommu_group *group = group_find(id);
	int err;

	if (group)
		return iommu_group_ref_get(group);
	group = group_alloc(id);
	if (!group)
		return ERR_PTR(fail(-ENOMEM, "no memory for IOMMU group %u", id));
	err = iommu_sysfs_add_group(group, iommu, dev);
	if (err) {
		iommu_sysfs_remove_group(group);
		iommu_group_put(group);
		return ERR_PTR(err);
	}
	group->default_type = iommu_sysfs_default_type(group);
	group->domain = core_domain(group);
	TAILQ_INSERT_TAIL(&groups, group, node);
	return group;
}

static void group_drop_if_empty(struct iommu_group *group)
{
	if (!TAILQ_EMPTY(&group->devices))
		return;
	TAILQ_REMOVE(&groups, group, node);
	iommu_sysfs_remove_group(group);
}

static int group_add_device(struct iommu_group *group, struct group_device *gdev)
{
	int err;

	mutex_lock(&group->mutex);
	err = attach_device(gdev, group->domain);
	if (!err)
		TAILQ_INSERT_TAIL(&group->devices, gdev, node);
	mutex_unlock(&group->mutex);
	return err;
}

static void group_remove_device(struct iommu_group *group, struct group_device *gdev)
{
	mutex_lock(&group->mutex);
	TAILQ_REMOVE(&group->devices, gdev, node);
	(void)attach_device(gdev, &iommu_blocked_domain); /* was attached: cannot fail */
	mutex_unlock(&group->mutex);
}

int iommu_probe_device(struct iommu_device *iommu, struct device *dev, u16 devid, unsigned group_id)
{
	struct group_device *gdev = calloc(1, sizeof(*gdev));
	struct iommu_group *group;
	int err;

	if (!gdev)
		return fail(-ENOMEM, "no memory to put %s under %s", dev->name, iommu->name);
	*gdev = (struct group_device){ .dev = dev, .iommu = iommu, .devid = devid };
	err = iommu->devices++ ? 0 : iommu_sysfs_add_unit(iommu);
	if (err)
		goto err_unit;
	group = group_get_or_make(iommu, dev, group_id);
	if (IS_ERR(group)) {
		err = PTR_ERR(group);
		goto err_unit;
	}
	err = group_add_device(group, gdev);
	if (err)
		goto err_group;
	err = iommu_sysfs_add_device(group, gdev);
	if (err)
		goto err_device;
	dev->iommu_group = group;
	dev->iommu_priv = gdev;
	return 0;

err_device:
	iommu_sysfs_remove_device(group, gdev);
	group_remove_device(group, gdev);
err_group:
	group_drop_if_empty(group);
	iommu_group_put(group);
err_unit:
	if (--iommu->devices == 0)
		iommu_sysfs_remove_unit(iommu);
	free(gdev);
	return err;
}

void iommu_release_device(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);
	struct iommu_group *group = dev->iommu_group;

	if (!gdev)
		return;
	dev->iommu_group = NULL;
	dev->iommu_priv = NULL;
	iommu_sysfs_remove_device(group, gdev);
	group_remove_device(group, gdev);
	group_drop_if_empty(group);
	iommu_group_put(group);
	if (--gdev->iommu->devices == 0)
		iommu_sysfs_remove_unit(gdev->iommu);
	free(gdev);
}

/* ---- who owns the group's DMA ---- */

static int claim_locked(struct iommu_group *group, void *owner)
{
	int err;

	if (group->owner)
		return fail(-EPERM, "group %u is owned by another user already", group->id);
	if (group->owner_cnt)
		return fail(-EPERM, "group %u is not viable: a kernel driver uses %u of its devices; "
			    "bind all of them to vfio-pci or to nothing", group->id, group->owner_cnt);
	group->owner = owner;
	if (group->domain->type != IOMMU_DOMAIN_PAGING) {
		err = set_domain_locked(group, core_domain(group));
		if (err) {
			group->owner = NULL;
			return err;
		}
	}
	group->owner_cnt = 1;
	return 0;
}

int iommu_group_claim_dma_owner(struct iommu_group *group, void *owner)
{
	int err;

	if (!owner)
		return fail(-EINVAL, "nobody claims group %u", group->id);
	mutex_lock(&group->mutex);
	err = claim_locked(group, owner);
	mutex_unlock(&group->mutex);
	return err;
}

void iommu_group_release_dma_owner(struct iommu_group *group)
{
	mutex_lock(&group->mutex);
	if (group->owner) {
		group->owner = NULL;
		group->owner_cnt = 0;
		set_core_domain_locked(group);
	}
	mutex_unlock(&group->mutex);
}

bool iommu_group_dma_owner_claimed(struct iommu_group *group)
{
	bool claimed;

	mutex_lock(&group->mutex);
	claimed = group->owner_cnt != 0;
	mutex_unlock(&group->mutex);
	return claimed;
}

int iommu_device_use_default_domain(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	int err = 0;

	if (!group)
		return 0;
	mutex_lock(&group->mutex);
	if (group->owner || group->domain->type == IOMMU_DOMAIN_PAGING)
		err = fail(-EBUSY, "group %u of %s is in use by user space: "
			   "a kernel driver cannot have the device now", group->id, dev->name);
	else
		group->owner_cnt++;
	mutex_unlock(&group->mutex);
	return err;
}

void iommu_device_unuse_default_domain(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;

	if (!group)
		return;
	mutex_lock(&group->mutex);
	if (!group->owner && group->owner_cnt)
		group->owner_cnt--;
	mutex_unlock(&group->mutex);
}

int iommu_group_set_default_type(struct iommu_group *group, enum iommu_default_type type)
{
	enum iommu_default_type old;
	int err = 0;

	mutex_lock(&group->mutex);
	old = group->default_type;
	if (group->owner_cnt)
		err = fail(-EPERM, "group %u is in use: its default domain cannot change now", group->id);
	else
		group->default_type = type;
	if (!err && group->domain->type != IOMMU_DOMAIN_PAGING)
		err = set_domain_locked(group, core_domain(group));
	if (err)
		group->default_type = old;
	mutex_unlock(&group->mutex);
	return err;
}

/* ---- attaching ---- */

int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	int err;

	mutex_lock(&group->mutex);
	if (group->domain->type == IOMMU_DOMAIN_PAGING)
		err = fail(-EBUSY, "group %u is attached to a domain already", group->id);
	else
		err = set_domain_locked(group, domain);
	mutex_unlock(&group->mutex);
	return err;
}

void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	mutex_lock(&group->mutex);
	if (group->domain == domain)
		set_core_domain_locked(group);
	mutex_unlock(&group->mutex);
}

/* ---- domains ---- */

struct iommu_domain *iommu_paging_domain_alloc(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);

	if (!gdev)
		return ERR_PTR(fail(-ENODEV, "%s is behind no IOMMU", dev->name));
	return gdev->iommu->ops->domain_alloc_paging(gdev->iommu, dev);
}

void iommu_domain_free(struct iommu_domain *domain)
{
	if (domain)
		domain->ops->free(domain);
}

/* For %llx: u64 is a long here. */
static unsigned long long ull(u64 val)
{
	return val;
}

static int check_range(const struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes)
{
	u64 last, phys_last;

	if (len_bytes == 0)
		return fail(-EINVAL, "size is 0: there is nothing to map");
	if (!IS_ALIGNED(iova | phys | len_bytes, PAGE_SIZE))
		return fail(-EINVAL, "iova 0x%llx, physical address 0x%llx or size 0x%llx is not a multiple "
			    "of 4 KiB", ull(iova), ull(phys), ull(len_bytes));
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

	if (len_bytes == 0 || range_overflows(iova, len_bytes, &last))
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

	mutex_lock(&domain->lock);
	phys = domain->ops->iova_to_phys(domain, iova);
	mutex_unlock(&domain->lock);
	return phys;
}

bool device_iommu_capable_cache_coherency(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);

	return gdev && gdev->iommu->ops->cache_coherency;
}

/* ---- reserved regions ---- */

struct resv_list {
	struct iommu_resv_region *regions;
	size_t count, max;
};

static bool regions_touch(const struct iommu_resv_region *a, const struct iommu_resv_region *b)
{
	return (a->last == ~0ull || b->start <= a->last + 1) && (b->last == ~0ull || a->start <= b->last + 1);
}

/* Insert by start; one that touches another of its type grows it instead. */
static void resv_add(void *arg, const struct iommu_resv_region *add)
{
	struct resv_list *list = arg;
	struct iommu_resv_region r = *add;
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct iommu_resv_region *old = &list->regions[i];

		if (old->type == r.type && regions_touch(old, &r)) {
			r.start = min(r.start, old->start);
			r.last = max(r.last, old->last);
		} else {
			list->regions[kept++] = *old;
		}
	}
	if (kept == list->max)
		return;
	while (at < kept && list->regions[at].start <= r.start)
		at++;
	for (size_t i = kept; i > at; i--)
		list->regions[i] = list->regions[i - 1];
	list->regions[at] = r;
	list->count = kept + 1;
}

size_t iommu_device_resv_regions(struct iommu_device *iommu, struct device *dev,
				 struct iommu_resv_region *ret, size_t max)
{
	struct resv_list list = { .regions = ret, .max = max };

	iommu->ops->get_resv_regions(iommu, dev, resv_add, &list);
	return list.count;
}

size_t iommu_get_group_resv_regions(struct iommu_group *group, struct iommu_resv_region *ret, size_t max)
{
	struct resv_list list = { .regions = ret, .max = max };
	struct group_device *gdev;

	mutex_lock(&group->mutex);
	TAILQ_FOREACH(gdev, &group->devices, node)
		gdev->iommu->ops->get_resv_regions(gdev->iommu, gdev->dev, resv_add, &list);
	mutex_unlock(&group->mutex);
	return list.count;
}
