/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest_mock.h - the mock IOMMU and its devices: everything that iommufd can ask of hardware, and no
 * hardware.
 *
 * The unit is hidden: neither it nor its devices and their groups are in /sys.  A mock device moves no data.  It
 * has a few words that stand for what hardware caches, so that a test can see an invalidation arrive.
 */
#ifndef KERNEL_IOMMUFD_SELFTEST_MOCK_H
#define KERNEL_IOMMUFD_SELFTEST_MOCK_H

#include "kernel/base/device.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd_test.h"
#include "kernel/iommufd/selftest_pt.h"

struct iommufd_viommu;

struct mock_dev {
	struct device dev;
	char name[24];
	u16 devid;		/* index into the table of mock devices */
	u32 flags;		/* MOCK_FLAGS_DEVICE_*; immutable */
	bool failed_1024;	/* the unit's lock */
	_Atomic u64 virt_id;	/* what the vIOMMU called it when it was attached to its page table; 0 it was not */
	_Atomic u32 cache[MOCK_DEV_CACHES];
};

struct mock_domain {
	struct iommu_domain domain; /* its lock guards the rest */
	struct mock_pt pt;
	bool tracking;
};

struct mock_nested {
	struct iommu_domain domain;
	struct iommufd_viommu *viommu; /* immutable; NULL: straight on the parent */
	_Atomic u32 iotlb[MOCK_NESTED_IOTLBS];
};

/** mock_dev_create - a device in a group of its own.  Takes the tree lock.  ERR_PTR(-ENOMEM). */
struct mock_dev *mock_dev_create(u32 flags);
/** mock_dev_destroy - bound to nothing.  Takes the tree lock. */
void mock_dev_destroy(struct mock_dev *mdev);
/** to_mock_dev - NULL if it is no mock device. */
struct mock_dev *to_mock_dev(struct device *dev);
/** to_mock_domain, to_mock_nested - NULL if the domain is not the mock's, or of the other kind. */
struct mock_domain *to_mock_domain(struct iommu_domain *domain);
struct mock_nested *to_mock_nested(struct iommu_domain *domain);

#endif
