/* SPDX-License-Identifier: BSD-3-Clause */
/* selftest_mock.c - the driver of the mock IOMMU; see selftest_mock.h. */
#include "kernel/iommufd/selftest_mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

#define MOCK_DEVS_MAX 4096u

static struct mutex mock_lock = MUTEX_INITIALIZER(LOCK_IOMMUFD_MOCK);
static struct mock_dev *mock_devs[MOCK_DEVS_MAX]; /* mock_lock; a device that a caller knows stays */

static struct mock_dev *dev_by_id(u16 devid)
{
	struct mock_dev *mdev;

	mutex_lock(&mock_lock);
	mdev = mock_devs[devid];
	mutex_unlock(&mock_lock);
	return mdev;
}

/* ---- paging domains ---- */

static int domain_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	return mock_pt_map(&to_mock_domain(domain)->pt, iova, phys, len_bytes, prot);
}

static u64 domain_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes)
{
	return mock_pt_unmap(&to_mock_domain(domain)->pt, iova, len_bytes);
}

static phys_addr_t domain_iova_to_phys(struct iommu_domain *domain, u64 iova)
{
	struct mock_page page;

	if (!mock_pt_lookup(&to_mock_domain(domain)->pt, iova, &page))
		return 0;
	return page.phys + (iova - page.iova);
}

static void domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock_domain(domain);

	mock_pt_destroy(&mock->pt);
	mutex_destroy(&domain->lock);
	kfree(mock);
}

static const struct iommu_domain_ops paging_ops = {
	.map = domain_map,
	.unmap = domain_unmap,
	.iova_to_phys = domain_iova_to_phys,
	.free = domain_free,
};

/* ---- dirty bits ---- */

static int set_dirty_tracking(struct iommu_domain *domain, bool on)
{
	to_mock_domain(domain)->tracking = on;
	return 0;
}

static int read_and_clear_dirty(struct iommu_domain *domain, u64 iova, u64 len_bytes, unsigned flags,
				struct iommu_dirty_sink *sink)
{
	struct mock_domain *mock = to_mock_domain(domain);
	u64 last = iova + len_bytes - 1;
	struct mock_page page;

	while (mock_pt_next(&mock->pt, iova, last, &page)) {
		u64 page_last = page.iova + page.bytes - 1;

		if (page.dirty && sink)
			sink->record(sink, page.iova, page.bytes);
		if (page.dirty && !(flags & IOMMU_DIRTY_NO_CLEAR))
			mock_pt_set_dirty(&mock->pt, page.iova, false);
		if (page_last >= last)
			break;
		iova = page_last + 1;
	}
	return 0;
}

static const struct iommu_dirty_ops dirty_ops = {
	.set_dirty_tracking = set_dirty_tracking,
	.read_and_clear_dirty = read_and_clear_dirty,
};

/* ---- made ---- */

static const struct iommu_device_ops mock_ops;
static struct iommu_device mock_iommu = { .name = "iommufd_mock", .ops = &mock_ops, .hidden = true };

struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return domain->ops == &paging_ops ? container_of(domain, struct mock_domain, domain) : NULL;
}

static struct iommu_domain *make_paging(enum mock_pagetable_type type, bool dirty)
{
	struct mock_domain *mock = kzalloc(sizeof(*mock));

	if (!mock)
		return ERR_PTR(fail(-ENOMEM, "no memory for a mock domain"));
	if (mock_pt_init(&mock->pt, type)) {
		kfree(mock);
		return ERR_PTR(-ENOMEM);
	}
	mock->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING,
		.ops = &paging_ops,
		.dirty_ops = dirty ? &dirty_ops : NULL,
		.iommu = &mock_iommu,
		.pgsize_bitmap = type == MOCK_PT_DEFAULT ? MOCK_PGSIZES : mock_pt_pgsizes(type),
		.aperture_start = type == MOCK_PT_DEFAULT ? MOCK_APERTURE_START : 0,
		.aperture_last = type == MOCK_PT_DEFAULT ? MOCK_APERTURE_LAST : MOCK_HUGE_APERTURE_LAST,
	};
	mutex_init(&mock->domain.lock, LOCK_IOMMU_DOMAIN);
	return &mock->domain;
}

static struct iommu_domain *domain_alloc_paging(struct iommu_device *iommu, struct device *dev)
{
	(void)iommu;
	(void)dev;
	return make_paging(MOCK_PT_DEFAULT, false);
}

/* What data of type SELFTEST says.  0; -EOPNOTSUPP another type. */
static int copy_config(struct iommu_hwpt_selftest *config, const struct iommu_user_data *data)
{
	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return fail(-EOPNOTSUPP, "data_type 0x%x is not 0x%x, which the mock IOMMU knows", data->type,
			    IOMMU_HWPT_DATA_SELFTEST);
	return iommu_copy_user_data(config, data, IOMMU_HWPT_DATA_SELFTEST, sizeof(*config), sizeof(config->iotlb));
}

static struct iommu_domain *domain_alloc_paging_flags(struct iommu_device *iommu, struct device *dev, u32 flags,
						      const struct iommu_user_data *data)
{
	struct iommu_hwpt_selftest config = { .pagetable_type = MOCK_PT_DEFAULT };
	bool dirty = flags & IOMMU_ALLOC_DIRTY_TRACKING;
	int err = 0;

	(void)iommu;
	if (flags & ~(IOMMU_ALLOC_DIRTY_TRACKING | IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_PASID))
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x are more than the mock IOMMU knows", flags));
	if (dirty && to_mock_dev(dev)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		return ERR_PTR(fail(-EOPNOTSUPP, "%s cannot track what it writes", dev->name));
	if (data)
		err = copy_config(&config, data);
	if (err)
		return ERR_PTR(err);
	if (config.pagetable_type != MOCK_PT_DEFAULT && config.pagetable_type != MOCK_PT_HUGE)
		return ERR_PTR(fail(-EOPNOTSUPP, "pagetable_type %u is neither 0 nor 1", config.pagetable_type));
	return make_paging((enum mock_pagetable_type)config.pagetable_type, dirty);
}

/* ---- nested domains ---- */

static int invalidate_iotlb(struct mock_nested *nested, const struct iommu_hwpt_invalidate_selftest *entry)
{
	if (entry->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return fail(-EOPNOTSUPP, "flags 0x%x: only bit 0 is known", entry->flags);
	if (entry->iotlb_id >= MOCK_NESTED_IOTLBS)
		return fail(-EINVAL, "iotlb_id %u is not below %u", entry->iotlb_id, MOCK_NESTED_IOTLBS);
	for (u32 i = 0; i < MOCK_NESTED_IOTLBS; i++)
		if (i == entry->iotlb_id || entry->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)
			atomic_store(&nested->iotlb[i], 0);
	return 0;
}

/* Before the first entry: is it what we know? */
static int check_array(struct iommu_user_data_array *array, u32 type)
{
	array->entry_num = 0;
	if (array->type != type)
		return fail(-EINVAL, "data_type 0x%x is not 0x%x, which the mock IOMMU knows", array->type, type);
	return 0;
}

static int cache_invalidate_user(struct iommu_domain *domain, struct iommu_user_data_array *array)
{
	struct iommu_hwpt_invalidate_selftest entry;
	struct iommu_user_data_array all = *array;
	int err = check_array(array, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST);

	if (!err && all.entry_num && all.entry_len != sizeof(entry))
		err = fail(-EINVAL, "entry_len %zu is not %zu", all.entry_len, sizeof(entry));
	for (u32 i = 0; i < all.entry_num && !err; i++) {
		err = iommu_copy_user_data_entry(&entry, &all, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, i, sizeof(entry),
						 sizeof(entry));
		if (!err)
			err = invalidate_iotlb(to_mock_nested(domain), &entry);
		if (!err)
			array->entry_num++;
	}
	return err;
}

static void nested_free(struct iommu_domain *domain)
{
	mutex_destroy(&domain->lock);
	kfree(to_mock_nested(domain));
}

static const struct iommu_domain_ops nested_ops = {
	.cache_invalidate_user = cache_invalidate_user,
	.free = nested_free,
};

struct mock_nested *to_mock_nested(struct iommu_domain *domain)
{
	return domain->ops == &nested_ops ? container_of(domain, struct mock_nested, domain) : NULL;
}

static struct iommu_domain *make_nested(struct iommu_domain *parent, struct iommufd_viommu *viommu,
					const struct iommu_user_data *data)
{
	struct iommu_hwpt_selftest config;
	struct mock_nested *nested;
	int err = copy_config(&config, data);

	if (err)
		return ERR_PTR(err);
	nested = kzalloc(sizeof(*nested));
	if (!nested)
		return ERR_PTR(fail(-ENOMEM, "no memory for a nested mock domain"));
	nested->domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_NESTED,
		.ops = &nested_ops,
		.iommu = &mock_iommu,
		.parent = parent,
	};
	mutex_init(&nested->domain.lock, LOCK_IOMMU_DOMAIN);
	nested->viommu = viommu;
	for (unsigned i = 0; i < MOCK_NESTED_IOTLBS; i++)
		atomic_init(&nested->iotlb[i], config.iotlb);
	return &nested->domain;
}

static struct iommu_domain *domain_alloc_nested(struct iommu_device *iommu, struct device *dev,
						struct iommu_domain *parent, u32 flags,
						const struct iommu_user_data *data)
{
	(void)iommu;
	(void)dev;
	if (flags & ~IOMMU_ALLOC_PASID)
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x: a nested mock page table knows ALLOC_PASID only", flags));
	if (!to_mock_domain(parent))
		return ERR_PTR(fail(-EINVAL, "the parent is another IOMMU's"));
	return make_nested(parent, NULL, data);
}

/* ---- what devices are attached to ---- */

static int check_ours(const struct mock_dev *mdev, const struct iommu_domain *domain)
{
	if (domain->iommu && domain->iommu != &mock_iommu)
		return fail(-EINVAL, "%s is a mock device: page tables of another IOMMU are not for it", mdev->name);
	return 0;
}

static int attach_dev(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	struct mock_nested *nested = to_mock_nested(domain);
	struct mock_dev *mdev = dev_by_id(devid);
	int err = check_ours(mdev, domain);
	u64 virt_id = 0;

	(void)iommu;
	if (!err && domain->dirty_ops && mdev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		err = fail(-EINVAL, "the page table tracks what is written, %s cannot", mdev->name);
	if (!err && nested && nested->viommu)
		err = iommufd_viommu_virt_id(nested->viommu, &mdev->dev, &virt_id);
	if (!err)
		atomic_store(&mdev->virt_id, virt_id);
	return err;
}

/* The special PASID: what replaces its first domain fails once. */
static bool fails_now(struct mock_dev *mdev, u32 pasid, const struct iommu_domain *old)
{
	bool fails;

	if (pasid != MOCK_PASID_FAILS_ONCE)
		return false;
	mutex_lock(&mock_lock);
	fails = old && !mdev->failed_1024;
	mdev->failed_1024 = fails;
	mutex_unlock(&mock_lock);
	return fails;
}

static int set_dev_pasid(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid, u32 pasid,
			 struct iommu_domain *old)
{
	struct mock_dev *mdev = dev_by_id(devid);

	(void)iommu;
	if (domain->type == IOMMU_DOMAIN_BLOCKED)
		return 0;
	if (!(mdev->flags & MOCK_FLAGS_DEVICE_PASID))
		return fail(-EINVAL, "%s has no PASIDs", mdev->name);
	if (fails_now(mdev, pasid, old))
		return fail(-ENOMEM, "replacing what PASID %u has fails the first time: so it is made", pasid);
	return check_ours(mdev, domain);
}

/* ---- what the unit says of itself ---- */

static bool capable(struct iommu_device *iommu, u16 devid, enum iommu_cap cap)
{
	(void)iommu;
	return cap == IOMMU_CAP_DIRTY_TRACKING && !(dev_by_id(devid)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
}

static ssize_t hw_info(struct iommu_device *iommu, u16 devid, u32 *type, void *buf)
{
	static const struct iommu_test_hw_info info = { .flags = 0, .test_reg = MOCK_HW_INFO_REG };

	(void)iommu;
	(void)devid;
	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_SELFTEST)
		return fail(-EOPNOTSUPP, "in_data_type 0x%x is not 0x%x, which the mock IOMMU knows", *type,
			    IOMMU_HW_INFO_TYPE_SELFTEST);
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	memcpy(buf, &info, sizeof(info));
	return sizeof(info);
}

static unsigned pasid_bits(struct iommu_device *iommu, u16 devid)
{
	(void)iommu;
	(void)devid;
	return MOCK_PASID_WIDTH;
}

/* One without PASIDs says that it has PASIDs of 0 bits, which is not the same as none. */
static u32 mock_max_pasids(const struct mock_dev *mdev)
{
	return mdev->flags & MOCK_FLAGS_DEVICE_PASID ? 1u << MOCK_PASID_WIDTH : 1;
}

static void get_resv_regions(struct iommu_device *iommu, struct device *dev,
			     void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	(void)iommu;
	(void)dev;
	(void)add;
	(void)arg;
}

static void iotlb_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	(void)domain;
	(void)iova;
	(void)last;
}

/* ---- virtual IOMMUs ---- */

/* What a vIOMMU of ours has: pages for mmap(), and its hardware queues. */
struct mock_viommu {
	int page_fd;		/* private; -1 none */
	u64 mmap_offset;
	struct mutex lock;	/* LOCK_IOMMUFD_MOCK */
	struct iommu_hw_queue *queues[MOCK_HW_QUEUES];
};

#define MOCK_VIOMMU_PAGES 2
#define MOCK_ENTRIES_MAX_BYTES (4u << 20)

static struct iommufd_viommu *outer(struct iommu_viommu *viommu)
{
	return container_of(viommu, struct iommufd_viommu, core);
}

static int viommu_supported(struct iommu_device *iommu, u16 devid, u32 type)
{
	(void)iommu;
	(void)devid;
	if (type != IOMMU_VIOMMU_TYPE_SELFTEST)
		return fail(-EOPNOTSUPP, "type 0x%x is not 0x%x, which the mock IOMMU knows", type,
			    IOMMU_VIOMMU_TYPE_SELFTEST);
	return 0;
}

/* The pages that mmap() shows.  0; -errno, and the caller frees. */
static int viommu_offer_pages(struct iommu_viommu *viommu, struct mock_viommu *mock, u32 first_word)
{
	int fd = sys_memfd_create("iommufd-mock-viommu", MFD_CLOEXEC), hidden;

	if (fd < 0)
		return fail(fd, "the host gives no memory for the pages of a vIOMMU");
	hidden = fd_private(fd);
	if (hidden < 0) {
		sys_close(fd);
		return hidden;
	}
	mock->page_fd = hidden;
	if (sys_ftruncate(hidden, MOCK_VIOMMU_PAGES * PAGE_SIZE) ||
	    sys_pwrite(hidden, &first_word, sizeof(first_word), 0) != sizeof(first_word))
		return fail(-ENOMEM, "the host gives no memory for the pages of a vIOMMU");
	return iommufd_mmap_register(outer(viommu)->ictx, &outer(viommu)->obj, hidden, 0,
				     MOCK_VIOMMU_PAGES * PAGE_SIZE, &mock->mmap_offset);
}

static int viommu_answer(const struct iommu_user_data *data, const struct iommu_viommu_selftest *answer)
{
	if (copy_to_user((void __user *)(uintptr_t)data->uptr, answer, min(data->len, sizeof(*answer))))
		return fail(-EFAULT, "the vIOMMU's data cannot be written back to %p", data->uptr);
	return 0;
}

static int viommu_take_data(struct iommu_viommu *viommu, struct mock_viommu *mock, const struct iommu_user_data *data)
{
	struct iommu_viommu_selftest config;
	int err = iommu_copy_user_data(&config, data, IOMMU_VIOMMU_TYPE_SELFTEST, sizeof(config),
				       offsetof(struct iommu_viommu_selftest, out_mmap_offset));

	if (!err)
		err = viommu_offer_pages(viommu, mock, config.in_data);
	if (err)
		return err;
	config.out_data = config.in_data;
	config.out_mmap_offset = mock->mmap_offset;
	config.out_mmap_length = MOCK_VIOMMU_PAGES * PAGE_SIZE;
	err = viommu_answer(data, &config);
	if (err)
		iommufd_mmap_unregister(outer(viommu)->ictx, mock->mmap_offset);
	return err;
}

static void mock_viommu_free(struct mock_viommu *mock)
{
	if (mock->page_fd >= 0)
		fd_private_close(mock->page_fd);
	mutex_destroy(&mock->lock);
	kfree(mock);
}

static int viommu_init(struct iommu_viommu *viommu, const struct iommu_user_data *data)
{
	struct mock_viommu *mock = kzalloc(sizeof(*mock));
	int err;

	if (!mock)
		return fail(-ENOMEM, "no memory for a mock vIOMMU");
	mock->page_fd = -1;
	mutex_init(&mock->lock, LOCK_IOMMUFD_MOCK);
	err = data ? viommu_take_data(viommu, mock, data) : 0;
	if (err)
		mock_viommu_free(mock);
	else
		viommu->priv = mock;
	return err;
}

static void viommu_destroy(struct iommu_viommu *viommu)
{
	struct mock_viommu *mock = viommu->priv;

	if (mock->page_fd >= 0)
		iommufd_mmap_unregister(outer(viommu)->ictx, mock->mmap_offset);
	mock_viommu_free(mock);
}

static struct iommu_domain *alloc_domain_nested(struct iommu_viommu *viommu, u32 flags,
						const struct iommu_user_data *data)
{
	if (flags & ~IOMMU_ALLOC_PASID)
		return ERR_PTR(fail(-EOPNOTSUPP, "flags 0x%x: a nested mock page table knows ALLOC_PASID only", flags));
	return make_nested(viommu->parent, outer(viommu), data);
}

static int invalidate_cache(struct device *dev, void *arg)
{
	const struct iommu_viommu_invalidate_selftest *entry = arg;
	struct mock_dev *mdev = to_mock_dev(dev);

	for (u32 i = 0; i < MOCK_DEV_CACHES; i++)
		if (i == entry->cache_id || entry->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)
			atomic_store(&mdev->cache[i], 0);
	return 0;
}

static int invalidate_entry(struct iommu_viommu *viommu, struct iommu_viommu_invalidate_selftest *entry)
{
	if (entry->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return fail(-EOPNOTSUPP, "flags 0x%x: only bit 0 is known", entry->flags);
	if (entry->cache_id >= MOCK_DEV_CACHES)
		return fail(-EINVAL, "cache_id %u is not below %u", entry->cache_id, MOCK_DEV_CACHES);
	if (iommufd_viommu_with_dev(outer(viommu), entry->vdev_id, entry, invalidate_cache))
		return fail(-EINVAL, "vdev_id %u is no vDEVICE of the vIOMMU", entry->vdev_id);
	return 0;
}

/* All are copied before the first is carried out; what short ones lack is 0. */
static int copy_entries(struct iommu_viommu_invalidate_selftest *entries, const struct iommu_user_data_array *all)
{
	int err = 0;

	for (u32 i = 0; i < all->entry_num && !err; i++)
		err = iommu_copy_user_data_entry(&entries[i], all, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, i,
						 sizeof(entries[i]), 1);
	return err;
}

/* Of the kinds of memory that Linux has, it takes the one of which there is no piece larger than 4 MiB. */
static struct iommu_viommu_invalidate_selftest *alloc_entries(u32 num)
{
	struct iommu_viommu_invalidate_selftest *entries = NULL;

	if (num <= MOCK_ENTRIES_MAX_BYTES / sizeof(*entries))
		entries = kvcalloc(num, sizeof(*entries));
	return entries ?: ERR_PTR(fail(-ENOMEM, "no memory for %u entries of %zu bytes", num, sizeof(*entries)));
}

static int viommu_cache_invalidate(struct iommu_viommu *viommu, struct iommu_user_data_array *array)
{
	struct iommu_viommu_invalidate_selftest *entries = NULL;
	struct iommu_user_data_array all = *array;
	int err;

	if (all.entry_num) {
		entries = alloc_entries(all.entry_num);
		if (IS_ERR(entries))
			return (int)PTR_ERR(entries);
	}
	err = check_array(array, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST);
	if (!err)
		err = copy_entries(entries, &all);
	for (u32 i = 0; i < all.entry_num && !err; i++) {
		err = invalidate_entry(viommu, &entries[i]);
		if (!err)
			array->entry_num++;
	}
	kvfree(entries);
	return err;
}

/* ---- hardware queues: 1 only with 0 ---- */

static int hw_queue_supported(struct iommu_viommu *viommu, u32 type, u32 index)
{
	(void)viommu;
	(void)index; /* judged when the queue's memory is there */
	if (type != IOMMU_HW_QUEUE_TYPE_SELFTEST)
		return fail(-EOPNOTSUPP, "type 0x%x is not 0x%x, which the mock IOMMU knows", type,
			    IOMMU_HW_QUEUE_TYPE_SELFTEST);
	return 0;
}

static struct iommufd_object *queue_object(struct iommu_hw_queue *queue)
{
	return &container_of(queue, struct iommufd_hw_queue, core)->obj;
}

static int hw_queue_init(struct iommu_hw_queue *queue)
{
	struct mock_viommu *mock = queue->viommu->priv;
	int err = 0;

	if (queue->index >= MOCK_HW_QUEUES)
		return fail(-EINVAL, "index %u is not below %u", queue->index, MOCK_HW_QUEUES);
	mutex_lock(&mock->lock);
	if (mock->queues[queue->index])
		err = fail(-EEXIST, "the vIOMMU has hardware queue %u already", queue->index);
	else if (queue->index && !mock->queues[queue->index - 1])
		err = fail(-EIO, "hardware queue %u needs queue %u first", queue->index, queue->index - 1);
	if (!err) {
		mock->queues[queue->index] = queue;
		if (queue->index)
			iommufd_object_hold(queue_object(mock->queues[queue->index - 1]));
	}
	mutex_unlock(&mock->lock);
	return err;
}

static void hw_queue_destroy(struct iommu_hw_queue *queue)
{
	struct mock_viommu *mock = queue->viommu->priv;

	mutex_lock(&mock->lock);
	mock->queues[queue->index] = NULL;
	if (queue->index)
		iommufd_object_drop(queue_object(mock->queues[queue->index - 1]));
	mutex_unlock(&mock->lock);
}

static const struct iommu_viommu_ops viommu_ops = {
	.viommu_supported = viommu_supported,
	.viommu_init = viommu_init,
	.viommu_destroy = viommu_destroy,
	.alloc_domain_nested = alloc_domain_nested,
	.cache_invalidate = viommu_cache_invalidate,
	.hw_queue_supported = hw_queue_supported,
	.hw_queue_init = hw_queue_init,
	.hw_queue_destroy = hw_queue_destroy,
};

/* There is no hardware that could wait for it. */
static void page_response(struct iommu_device *iommu, u16 devid, const struct iommu_page_request *last,
			  enum iommu_page_response_code code)
{
	(void)iommu;
	(void)devid;
	(void)last;
	(void)code;
}

static const struct iommu_device_ops mock_ops = {
	.domain_alloc_paging = domain_alloc_paging,
	.domain_alloc_paging_flags = domain_alloc_paging_flags,
	.domain_alloc_nested = domain_alloc_nested,
	.attach_dev = attach_dev,
	.set_dev_pasid = set_dev_pasid,
	.iotlb_sync = iotlb_sync,
	.get_resv_regions = get_resv_regions,
	.capable = capable,
	.hw_info = hw_info,
	.pasid_bits = pasid_bits,
	.page_response = page_response,
	.viommu_ops = &viommu_ops,
	.cache_coherency = true,
	.user_pasid_table = true,
};

/* ---- devices ---- */

static struct bus_type mock_bus = { .name = "iommufd_mock" };

struct mock_dev *to_mock_dev(struct device *dev)
{
	return dev->bus == &mock_bus ? container_of(dev, struct mock_dev, dev) : NULL;
}

/* Under the lowest number that is free. */
static int enlist(struct mock_dev *mdev)
{
	u32 i = 0;

	mutex_lock(&mock_lock);
	while (i < MOCK_DEVS_MAX && mock_devs[i])
		i++;
	if (i < MOCK_DEVS_MAX)
		mock_devs[i] = mdev;
	mutex_unlock(&mock_lock);
	mdev->devid = (u16)i;
	if (i == MOCK_DEVS_MAX)
		return fail(-ENOMEM, "there are %u mock devices: that is the most there may be", MOCK_DEVS_MAX);
	return 0;
}

static void delist(struct mock_dev *mdev)
{
	mutex_lock(&mock_lock);
	mock_devs[mdev->devid] = NULL;
	mutex_unlock(&mock_lock);
	mutex_destroy(&mdev->dev.lock);
	kfree(mdev);
}

struct mock_dev *mock_dev_create(u32 flags)
{
	struct mock_dev *mdev;
	int err;

	mdev = kzalloc(sizeof(*mdev));
	if (!mdev)
		return ERR_PTR(fail(-ENOMEM, "no memory for a mock device"));
	mdev->flags = flags;
	for (unsigned i = 0; i < MOCK_DEV_CACHES; i++)
		atomic_init(&mdev->cache[i], MOCK_DEV_CACHE_DEFAULT);
	atomic_init(&mdev->virt_id, 0);
	err = enlist(mdev);
	if (err) {
		kfree(mdev);
		return ERR_PTR(err);
	}
	snprintf(mdev->name, sizeof(mdev->name), "iommufd_mock%u", mdev->devid);
	mdev->dev = (struct device){ .name = mdev->name, .path = mdev->name, .bus = &mock_bus };
	mutex_init(&mdev->dev.lock, LOCK_DEVICE);
	kernfs_lock();
	err = iommu_probe_device(&mock_iommu, &mdev->dev, mdev->devid, IOMMU_GROUP_NEW);
	kernfs_unlock();
	if (!err) {
		iommu_device_set_caps(&mdev->dev, &(struct iommu_device_caps){ .max_pasids = mock_max_pasids(mdev) });
		return mdev;
	}
	delist(mdev);
	return ERR_PTR(err);
}

void mock_dev_destroy(struct mock_dev *mdev)
{
	kernfs_lock();
	iommu_release_device(&mdev->dev);
	kernfs_unlock();
	delist(mdev);
}
