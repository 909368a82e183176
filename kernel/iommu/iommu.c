/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu.c - groups, which domain each is attached to, and who owns its DMA.
 *
 * All devices of a group are in one domain.  Which one follows from two things: was a domain attached
 * (by VFIO, by iommufd), and if not, does user space own the group:
 *
 *	attached			that one
 *	not, owned by user space	the blocked domain
 *	not, not owned			the default domain, as the file "type" says
 *
 * PASIDs have domains of their own, listed in the group; one that is not listed is blocked.
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

#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

#define FIRST_NEW_GROUP 65536u

static TAILQ_HEAD(, iommu_group) groups = TAILQ_HEAD_INITIALIZER(groups); /* tree lock */

/* ---- which domain ---- */

static struct iommu_domain *default_domain(const struct iommu_group *group)
{
	return group->default_type == IOMMU_DEFAULT_IDENTITY ? &iommu_identity_domain : &iommu_blocked_domain;
}

static struct iommu_domain *core_domain(const struct iommu_group *group)
{
	return group->owner ? &iommu_blocked_domain : default_domain(group);
}

struct iommu_domain *iommu_group_default_domain(struct iommu_group *group)
{
	struct iommu_domain *domain;

	mutex_lock(&group->mutex);
	domain = default_domain(group);
	mutex_unlock(&group->mutex);
	return domain;
}

static int attach_device(struct group_device *gdev, struct iommu_domain *domain)
{
	return gdev->iommu->ops->attach_dev(gdev->iommu, domain, gdev->devid);
}

static u32 max_pasids(const struct group_device *gdev)
{
	const struct iommu_device_ops *ops = gdev->iommu->ops;
	unsigned bits = ops->pasid_bits ? ops->pasid_bits(gdev->iommu, gdev->devid) : 0;

	return bits ? min(1u << bits, gdev->caps.max_pasids) : 0;
}

static int set_device_pasid(struct group_device *gdev, struct iommu_domain *domain, u32 pasid,
			    struct iommu_domain *old)
{
	if (!max_pasids(gdev)) /* nothing with a PASID comes from it: no tables are needed */
		return 0;
	return gdev->iommu->ops->set_dev_pasid(gdev->iommu, domain, gdev->devid, pasid, old);
}

static void detach_pasids_locked(struct iommu_group *group);

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

/* Nothing attached any more.  Cannot fail: every device was attached to something before. */
static void detach_locked(struct iommu_group *group)
{
	struct iommu_attach_handle *handle = group->handle;

	(void)set_domain_locked(group, core_domain(group));
	group->attached = false;
	group->handle = NULL;
	iopf_detached(group, handle);
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
	struct iommu_group *group = kzalloc(sizeof(*group));

	if (!group)
		return NULL;
	group->id = id;
	atomic_init(&group->refs, 1);
	mutex_init(&group->mutex, LOCK_IOMMU_GROUP);
	TAILQ_INIT(&group->devices);
	TAILQ_INIT(&group->pasids);
	return group;
}

static unsigned new_group_id(void)
{
	unsigned id = FIRST_NEW_GROUP;

	while (group_find(id))
		id++;
	return id;
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
	kfree(group);
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
	struct iommu_group *group = id == IOMMU_GROUP_NEW ? NULL : group_find(id);
	int err;

	if (group)
		return iommu_group_ref_get(group);
	if (id == IOMMU_GROUP_NEW)
		id = new_group_id();
	group = group_alloc(id);
	if (!group)
		return ERR_PTR(fail(-ENOMEM, "no memory for IOMMU group %u", id));
	group->hidden = iommu->hidden;
	err = group->hidden ? 0 : iommu_sysfs_add_group(group, iommu, dev);
	if (err) {
		iommu_sysfs_remove_group(group);
		iommu_group_put(group);
		return ERR_PTR(err);
	}
	if (!group->hidden)
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
	if (!group->hidden)
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
	struct group_pasid *p;

	mutex_lock(&group->mutex);
	iopf_device_exit(gdev);
	TAILQ_REMOVE(&group->devices, gdev, node);
	TAILQ_FOREACH(p, &group->pasids, node)
		set_device_pasid(gdev, &iommu_blocked_domain, p->pasid, p->domain);
	(void)attach_device(gdev, &iommu_blocked_domain); /* was attached: cannot fail */
	mutex_unlock(&group->mutex);
}

int iommu_probe_device(struct iommu_device *iommu, struct device *dev, u16 devid, unsigned group_id)
{
	struct group_device *gdev = kzalloc(sizeof(*gdev));
	struct iommu_group *group;
	int err;

	if (!gdev)
		return fail(-ENOMEM, "no memory to put %s under %s", dev->name, iommu->name);
	*gdev = (struct group_device){ .dev = dev, .iommu = iommu, .devid = devid };
	iopf_device_init(gdev);
	err = iommu->devices++ || iommu->hidden ? 0 : iommu_sysfs_add_unit(iommu);
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
	err = iommu->hidden ? 0 : iommu_sysfs_add_device(group, gdev);
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
	if (--iommu->devices == 0 && !iommu->hidden)
		iommu_sysfs_remove_unit(iommu);
	kfree(gdev);
	return err;
}

void iommu_release_device(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);
	struct iommu_group *group = dev->iommu_group;

	if (!gdev)
		return;
	if (!gdev->iommu->hidden)
		iommu_sysfs_remove_device(group, gdev);
	group_remove_device(group, gdev);
	group_drop_if_empty(group);
	iommu_group_put(group);
	if (--gdev->iommu->devices == 0 && !gdev->iommu->hidden)
		iommu_sysfs_remove_unit(gdev->iommu);
	kfree(gdev);
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
	if (!group->attached) {
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
		detach_pasids_locked(group);
		detach_locked(group);
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
	if (group->owner || group->attached || !TAILQ_EMPTY(&group->pasids))
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
	/* From DMA to DMA-FQ only when something is flushed changes: that may be at any time. */
	if (group->owner_cnt && !(old == IOMMU_DEFAULT_DMA && type == IOMMU_DEFAULT_DMA_FQ))
		err = fail(-EPERM, "group %u is in use: its default domain cannot change now", group->id);
	else
		group->default_type = type;
	if (!err && !group->attached)
		err = set_domain_locked(group, core_domain(group));
	if (err)
		group->default_type = old;
	mutex_unlock(&group->mutex);
	return err;
}

/* ---- attaching ---- */

static int set_attached_locked(struct iommu_group *group, struct iommu_domain *domain,
			       struct iommu_attach_handle *handle)
{
	int err = set_domain_locked(group, domain);

	if (err)
		return err;
	if (handle)
		handle->domain = domain;
	group->attached = true;
	group->handle = handle;
	return 0;
}

int iommu_attach_group_handle(struct iommu_domain *domain, struct iommu_group *group,
			      struct iommu_attach_handle *handle)
{
	int err;

	mutex_lock(&group->mutex);
	if (group->attached)
		err = fail(-EBUSY, "group %u is attached to a domain already", group->id);
	else
		err = set_attached_locked(group, domain, handle);
	mutex_unlock(&group->mutex);
	return err;
}

int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	return iommu_attach_group_handle(domain, group, NULL);
}

int iommu_replace_group_handle(struct iommu_group *group, struct iommu_domain *domain,
			       struct iommu_attach_handle *handle)
{
	struct iommu_attach_handle *old;
	int err;

	mutex_lock(&group->mutex);
	old = group->handle;
	if (!group->attached)
		err = fail(-EINVAL, "group %u is attached to nothing that could be replaced", group->id);
	else
		err = set_attached_locked(group, domain, handle);
	if (!err && old != handle)
		iopf_detached(group, old);
	mutex_unlock(&group->mutex);
	return err;
}

void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	mutex_lock(&group->mutex);
	if (group->attached && group->domain == domain)
		detach_locked(group);
	mutex_unlock(&group->mutex);
}

void iommu_detach_group_handle(struct iommu_group *group)
{
	mutex_lock(&group->mutex);
	if (group->attached)
		detach_locked(group);
	mutex_unlock(&group->mutex);
}

struct iommu_domain *iommu_group_attached_domain(struct iommu_group *group)
{
	struct iommu_domain *domain;

	mutex_lock(&group->mutex);
	domain = group->attached ? group->domain : NULL;
	mutex_unlock(&group->mutex);
	return domain;
}

/* ---- PASIDs ---- */

void iommu_device_set_caps(struct device *dev, const struct iommu_device_caps *caps)
{
	to_group_device(dev)->caps = *caps;
}

u32 iommu_max_pasids(struct device *dev)
{
	struct group_device *gdev = to_group_device(dev);

	return gdev ? max_pasids(gdev) : 0;
}

static struct group_pasid *pasid_find(struct iommu_group *group, u32 pasid)
{
	struct group_pasid *p;

	TAILQ_FOREACH(p, &group->pasids, node)
		if (p->pasid == pasid)
			return p;
	return NULL;
}

static int check_pasid(struct iommu_group *group, u32 pasid)
{
	struct group_device *gdev;

	TAILQ_FOREACH(gdev, &group->devices, node) {
		u32 max = max_pasids(gdev);

		if (!gdev->iommu->ops->set_dev_pasid)
			return fail(-EOPNOTSUPP, "IOMMU %s translates no PASIDs", gdev->iommu->name);
		if (pasid == IOMMU_NO_PASID)
			return fail(-EINVAL, "PASID 0 is what a device sends without PASID: attach that");
		if (max && pasid >= max) /* one that has none sends none: it does not matter */
			return fail(-EINVAL, "PASID %u: %s can have PASIDs below %u", pasid, gdev->dev->name, max);
	}
	return 0;
}

/* All devices or none; @old NULL: the PASID was blocked. */
static int set_pasid_locked(struct iommu_group *group, struct iommu_domain *domain, u32 pasid,
			    struct iommu_domain *old)
{
	struct group_device *gdev, *undo;
	int err;

	TAILQ_FOREACH(gdev, &group->devices, node) {
		err = set_device_pasid(gdev, domain, pasid, old);
		if (err)
			goto err_set;
	}
	return 0;

err_set:
	/* What the devices had before they can have again without memory. */
	for (undo = TAILQ_FIRST(&group->devices); undo != gdev; undo = TAILQ_NEXT(undo, node))
		(void)set_device_pasid(undo, old ? old : &iommu_blocked_domain, pasid, domain);
	return err;
}

static void detach_pasid_locked(struct iommu_group *group, struct group_pasid *p)
{
	(void)set_pasid_locked(group, &iommu_blocked_domain, p->pasid, p->domain);
	TAILQ_REMOVE(&group->pasids, p, node);
	iopf_detached(group, p->handle);
	kfree(p);
}

static void detach_pasids_locked(struct iommu_group *group)
{
	struct group_pasid *p;

	while ((p = TAILQ_FIRST(&group->pasids)))
		detach_pasid_locked(group, p);
}

static int attach_pasid_locked(struct iommu_group *group, struct iommu_domain *domain, u32 pasid,
			       struct iommu_attach_handle *handle)
{
	struct group_pasid *p;
	int err = check_pasid(group, pasid);

	if (err)
		return err;
	if (pasid_find(group, pasid))
		return fail(-EBUSY, "PASID %u of group %u is attached to a domain already", pasid, group->id);
	p = kmalloc(sizeof(*p));
	if (!p)
		return fail(-ENOMEM, "no memory to attach PASID %u", pasid);
	*p = (struct group_pasid){ .pasid = pasid, .domain = domain, .handle = handle };
	err = set_pasid_locked(group, domain, pasid, NULL);
	if (err) {
		kfree(p);
		return err;
	}
	if (handle)
		handle->domain = domain;
	TAILQ_INSERT_TAIL(&group->pasids, p, node);
	return 0;
}

static int replace_pasid_locked(struct iommu_group *group, struct iommu_domain *domain, u32 pasid,
				struct iommu_attach_handle *handle)
{
	struct group_pasid *p = pasid_find(group, pasid);
	struct iommu_attach_handle *old;
	int err;

	if (!p)
		return fail(-EINVAL, "PASID %u of group %u is attached to nothing that could be replaced", pasid,
			    group->id);
	err = set_pasid_locked(group, domain, pasid, p->domain);
	if (err)
		return err;
	old = p->handle;
	p->domain = domain;
	p->handle = handle;
	if (handle)
		handle->domain = domain;
	if (old != handle)
		iopf_detached(group, old);
	return 0;
}

static int no_group(const struct device *dev)
{
	return fail(-ENODEV, "%s is behind no IOMMU", dev->name);
}

int iommu_attach_device_pasid(struct iommu_domain *domain, struct device *dev, u32 pasid,
			      struct iommu_attach_handle *handle)
{
	struct iommu_group *group = dev->iommu_group;
	int err;

	if (!group)
		return no_group(dev);
	mutex_lock(&group->mutex);
	err = attach_pasid_locked(group, domain, pasid, handle);
	mutex_unlock(&group->mutex);
	return err;
}

int iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev, u32 pasid,
			       struct iommu_attach_handle *handle)
{
	struct iommu_group *group = dev->iommu_group;
	int err;

	if (!group)
		return no_group(dev);
	mutex_lock(&group->mutex);
	err = replace_pasid_locked(group, domain, pasid, handle);
	mutex_unlock(&group->mutex);
	return err;
}

void iommu_detach_device_pasid(struct device *dev, u32 pasid)
{
	struct iommu_group *group = dev->iommu_group;
	struct group_pasid *p;

	if (!group)
		return;
	mutex_lock(&group->mutex);
	p = pasid_find(group, pasid);
	if (p)
		detach_pasid_locked(group, p);
	mutex_unlock(&group->mutex);
}

struct iommu_domain *iommu_device_pasid_domain(struct device *dev, u32 pasid)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_domain *domain;
	struct group_pasid *p;

	if (!group)
		return NULL;
	mutex_lock(&group->mutex);
	p = pasid_find(group, pasid);
	domain = p ? p->domain : NULL;
	mutex_unlock(&group->mutex);
	return domain;
}

struct iommu_attach_handle *iommu_group_handle_for(struct iommu_group *group, const struct iommu_device *iommu,
						   const struct iommu_page_request *request)
{
	struct group_pasid *p = NULL;

	lockdep_assert_held(&group->mutex);
	if (!(request->flags & IOMMU_FAULT_PASID_VALID))
		return group->handle;
	p = pasid_find(group, request->pasid);
	if (p)
		return p->handle;
	if (iommu->ops->user_pasid_table && group->domain->type == IOMMU_DOMAIN_NESTED)
		return group->handle;
	return NULL;
}

/* ---- what a device's unit says ---- */

/* Does the device lack what @cap needs of it? */
static bool device_lacks(const struct group_device *gdev, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_PCI_ATS: return !gdev->caps.ats;
	case IOMMU_CAP_PCI_PASID_EXEC: return !gdev->caps.pasid_exec || !max_pasids(gdev);
	case IOMMU_CAP_PCI_PASID_PRIV: return !gdev->caps.pasid_priv || !max_pasids(gdev);
	default: return false;
	}
}

bool device_iommu_capable(struct device *dev, enum iommu_cap cap)
{
	struct group_device *gdev = to_group_device(dev);
	const struct iommu_device_ops *ops = gdev ? gdev->iommu->ops : NULL;

	if (!ops)
		return false;
	if (cap == IOMMU_CAP_CACHE_COHERENCY)
		return ops->cache_coherency;
	if (cap == IOMMU_CAP_ENFORCE_CACHE_COHERENCY)
		return ops->enforce_cache_coherency;
	return ops->capable && !device_lacks(gdev, cap) && ops->capable(gdev->iommu, gdev->devid, cap);
}

bool device_iommu_capable_cache_coherency(struct device *dev)
{
	return device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY);
}

struct iommu_device *iommu_device_of(struct device *dev, u16 *ret_devid)
{
	struct group_device *gdev = to_group_device(dev);

	if (!gdev)
		return NULL;
	if (ret_devid)
		*ret_devid = gdev->devid;
	return gdev->iommu;
}

ssize_t iommu_hw_info(struct device *dev, u32 *type, void *buf)
{
	struct group_device *gdev = to_group_device(dev);

	if (!gdev)
		return no_group(dev);
	if (gdev->iommu->ops->hw_info)
		return gdev->iommu->ops->hw_info(gdev->iommu, gdev->devid, type, buf);
	*type = 0;
	return 0;
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
