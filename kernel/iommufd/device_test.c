/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_test.c - devices as a driver binds them: real page tables of an AMD unit, a group of two, the group's
 * owner, what a device reserves, and what a context that is closed leaves to its devices.
 */
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/iommufd_rig_test.h"

#define MSI 0xfee00000ull

/* A second device in the group of t_dev[0]; the first test makes it, and it stays. */
static struct device third = { .name = "fake2", .path = "sys/devices/fake/fake2", .bus = &t_bus };

static void make_third(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	kernfs_lock();
	third.path = strdup(third.path);
	assert_int_equal(device_register(&third, true), 0);
	assert_int_equal(iommu_probe_device(iommu_device_of(&t_dev[0], NULL), &third, 9, 0), 0);
	kernfs_unlock();
}

static struct iommufd_device *bind(int fd, struct device *dev, u32 *ret_id)
{
	struct iommufd_device *idev;

	explain_begin();
	idev = iommufd_device_bind(t_ctx(fd), dev, ret_id);
	assert_false(IS_ERR(idev));
	return idev;
}

static u32 attach(struct iommufd_device *idev, u32 pt)
{
	explain_begin();
	t_works(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt));
	return pt;
}

static u32 replace(struct iommufd_device *idev, u32 pt)
{
	explain_begin();
	t_works(iommufd_device_replace(idev, IOMMU_NO_PASID, &pt));
	return pt;
}

static struct iommu_domain *attached_domain(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommu_domain *domain = iommu_group_attached_domain(group);

	iommu_group_put(group);
	return domain;
}

static bool owned(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool claimed = iommu_group_dma_owner_claimed(group);

	iommu_group_put(group);
	return claimed;
}

/* One context has a group, from the first of its devices to the last. */
static void whose_group(void **state)
{
	int fd = t_open(), other = t_open();
	struct iommu_group *group = iommu_group_get(&t_dev[0]);
	struct iommufd_device *a, *b, *none;
	u32 id, id2, id3;

	make_third();
	a = bind(fd, &t_dev[0], &id);
	b = bind(fd, &third, &id2);
	assert_int_not_equal(id, id2);
	assert_int_equal(iommufd_device_to_id(a), id);
	assert_ptr_equal(iommufd_device_to_ictx(a), t_ctx(fd));
	assert_true(iommufd_ctx_has_group(t_ctx(fd), group));
	assert_false(iommufd_ctx_has_group(t_ctx(other), group));
	assert_true(owned(&t_dev[0]));
	none = iommufd_device_bind(t_ctx(other), &third, &id3);
	assert_true(IS_ERR(none));
	t_fails(PTR_ERR(none), EPERM);
	t_fails(t_destroy(fd, id), EBUSY); /* the driver's, not the program's */
	iommufd_device_unbind(a);
	t_fails(t_destroy(fd, id), ENOENT);
	assert_true(owned(&t_dev[0]));
	iommufd_device_unbind(b);
	assert_false(owned(&t_dev[0]));
	assert_false(iommufd_ctx_has_group(t_ctx(fd), group));
	iommu_group_put(group);
	t_close(fd);
	t_close(other);
}

/* Both devices of a group are in one page table, and leave it one after the other. */
static void group_of_two(void **state)
{
	int fd = t_open();
	u32 ioas = (u32)t_works(t_ioas_alloc(fd)), ioas2 = (u32)t_works(t_ioas_alloc(fd)), id, id2, hwpt, hwpt2, pt;
	struct iommufd_device *a, *b;
	struct iommu_domain *domain;

	make_third();
	a = bind(fd, &t_dev[0], &id);
	b = bind(fd, &third, &id2);
	hwpt = attach(a, ioas);
	domain = attached_domain(&t_dev[0]);
	assert_non_null(domain);
	pt = ioas2; /* elsewhere than the first */
	explain_begin();
	t_fails(iommufd_device_attach(b, IOMMU_NO_PASID, &pt), EINVAL);
	assert_int_equal(attach(b, ioas), hwpt);
	pt = ioas;
	t_fails(iommufd_device_attach(b, IOMMU_NO_PASID, &pt), EBUSY); /* twice */
	/* Replacing moves both. */
	hwpt2 = replace(b, ioas2);
	assert_int_not_equal(hwpt2, hwpt);
	assert_ptr_not_equal(attached_domain(&t_dev[0]), domain);
	t_works(t_destroy(fd, ioas));
	t_fails(t_destroy(fd, ioas2), EBUSY);
	assert_int_equal(replace(a, ioas2), hwpt2); /* is there already */
	iommufd_device_detach(a, IOMMU_NO_PASID);
	assert_non_null(attached_domain(&t_dev[0])); /* the other one is there still */
	pt = ioas2;
	t_fails(iommufd_device_replace(a, IOMMU_NO_PASID, &pt), EINVAL);
	iommufd_device_detach(a, IOMMU_NO_PASID); /* of no effect */
	iommufd_device_detach(b, IOMMU_NO_PASID);
	assert_null(attached_domain(&t_dev[0]));
	t_fails(t_destroy(fd, hwpt2), ENOENT); /* went with the last device */
	t_works(t_destroy(fd, ioas2));
	iommufd_device_unbind(a);
	iommufd_device_unbind(b);
	t_close(fd);
}

/* Devices of different groups, one unit: one automatic page table. */
static void sharing(void **state)
{
	int fd = t_open();
	u32 ioas = (u32)t_works(t_ioas_alloc(fd)), id, id2, hwpt;
	struct iommufd_device *a = bind(fd, &t_dev[0], &id), *b = bind(fd, &t_dev[1], &id2);
	char *mem = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_domain *domain;

	t_works(t_map(fd, ioas, 7, mem, PAGE_SIZE, 0x10000));
	hwpt = attach(a, ioas);
	assert_int_equal(attach(b, ioas), hwpt);
	domain = attached_domain(&t_dev[0]);
	assert_ptr_equal(attached_domain(&t_dev[1]), domain);
	assert_ptr_equal(phys_host_ptr(iommu_iova_to_phys(domain, 0x10000)), mem);
	t_works(t_unmap(fd, ioas, 0x10000, PAGE_SIZE));
	assert_int_equal(iommu_iova_to_phys(domain, 0x10000), 0);
	t_works(t_map(fd, ioas, 7, mem, PAGE_SIZE, 0x20000));
	assert_ptr_equal(phys_host_ptr(iommu_iova_to_phys(domain, 0x20000)), mem);
	iommufd_device_detach(a, IOMMU_NO_PASID);
	iommufd_device_unbind(a);
	iommufd_device_detach(b, IOMMU_NO_PASID);
	iommufd_device_unbind(b);
	assert_int_equal(mm_pin_count(mm_self(), (uintptr_t)mem), 0);
	munmap(mem, PAGE_SIZE);
	t_close(fd);
}

/* The MSI window is kept free while a device is attached, and only then. */
static void reserved_regions(void **state)
{
	int fd = t_open();
	u32 ioas = (u32)t_works(t_ioas_alloc(fd)), empty = (u32)t_works(t_ioas_alloc(fd)), id, pt = ioas;
	struct iommufd_device *a = bind(fd, &t_dev[1], &id);
	char *mem = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	t_works(t_map(fd, ioas, 7, mem, PAGE_SIZE, MSI));
	explain_begin();
	t_fails(iommufd_device_attach(a, IOMMU_NO_PASID, &pt), EADDRINUSE);
	assert_null(attached_domain(&t_dev[1]));
	attach(a, empty);
	t_fails(t_map(fd, empty, 7, mem, PAGE_SIZE, MSI), EINVAL);
	pt = ioas;
	t_fails(iommufd_device_replace(a, IOMMU_NO_PASID, &pt), EADDRINUSE);
	t_fails(t_map(fd, empty, 7, mem, PAGE_SIZE, MSI), EINVAL); /* still where it was */
	t_works(t_unmap(fd, ioas, MSI, PAGE_SIZE));
	replace(a, ioas);
	t_works(t_map(fd, empty, 7, mem, PAGE_SIZE, MSI));
	t_fails(t_map(fd, ioas, 7, mem, PAGE_SIZE, MSI), EINVAL);
	iommufd_device_detach(a, IOMMU_NO_PASID);
	t_works(t_map(fd, ioas, 7, mem, PAGE_SIZE, MSI));
	iommufd_device_unbind(a);
	munmap(mem, PAGE_SIZE);
	t_close(fd);
}

/* A device keeps its context: the program may close its descriptor before. */
static void closed_before(void **state)
{
	int fd = t_open();
	u32 ioas = (u32)t_works(t_ioas_alloc(fd)), id, pt = 77;
	struct iommufd_device *a = bind(fd, &t_dev[1], &id);

	attach(a, ioas);
	t_close(fd);
	assert_non_null(attached_domain(&t_dev[1]));
	explain_begin();
	t_fails(iommufd_device_replace(a, IOMMU_NO_PASID, &pt), ENOENT);
	pt = id;
	t_fails(iommufd_device_replace(a, IOMMU_NO_PASID, &pt), EINVAL);
	iommufd_device_detach(a, IOMMU_NO_PASID);
	iommufd_device_unbind(a);
	assert_false(owned(&t_dev[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(whose_group), T_TEST(group_of_two), T_TEST(sharing), T_TEST(reserved_regions), T_TEST(closed_before),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
