/* SPDX-License-Identifier: BSD-3-Clause */
/* selftest.h - the test ioctl, for the rest of iommufd; what it does is in iommufd_test.h. */
#ifndef KERNEL_IOMMUFD_SELFTEST_H
#define KERNEL_IOMMUFD_SELFTEST_H

#include "kernel/iommufd/iommufd_private.h"

bool iommufd_test_enabled(void);
/** iommufd_should_fail - a point of fail_iommufd, whose reason is given; false without the test ioctl */
bool iommufd_should_fail(void);
/** iommufd_selftest_is_mock_dev - it belongs to an object of its context, and must not keep that open. */
bool iommufd_selftest_is_mock_dev(struct device *dev);
void iommufd_selftest_destroy(struct iommufd_object *obj);
int iommufd_test(struct iommufd_ucmd *ucmd);

#endif
