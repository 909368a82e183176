/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mock.h - the test ioctl of /dev/iommu, which makes mock devices.  It is in no uAPI header, so that its words stand
 * here; the fields of a command are used by their offsets.
 */
#ifndef TESTS_CONFORMANCE_MOCK_H
#define TESTS_CONFORMANCE_MOCK_H

#include <linux/iommufd.h>
#include <stdint.h>

#define TEST_CMD _IO(IOMMUFD_TYPE, 0xa0)
#define MOCK_PG 2048ull
#define MOCK_START 0x1000000ull
#define MOCK_LAST 0x7fffffffull

enum {
	ADD_RESERVED = 1, MOCK_DOMAIN, CHECK_MAP, CHECK_REFS, CREATE_ACCESS, DESTROY_PAGES, ACCESS_PAGES, ACCESS_RW,
	MEMORY_LIMIT, REPLACE, ACCESS_REPLACE, MOCK_FLAGS, DIRTY, CHECK_IOTLB, TRIGGER_IOPF, CHECK_CACHE, TRIGGER_VEVENT,
	PASID_ATTACH, PASID_REPLACE, PASID_DETACH, PASID_CHECK, DMABUF_GET, DMABUF_REVOKE,
};
enum { NO_DIRTY = 1, PASID = 4 };

#define SELFTEST_HW_INFO 0xfeedbeefu
#define SELFTEST_DATA 0xdeadu
#define SELFTEST_INVALIDATE 0xdeadbeefu
#define SELFTEST_VIOMMU 0xdeadbeefu
#define SELFTEST_VEVENTQ 0xbeefbeefu
#define SELFTEST_HW_QUEUE 0xdeadbeefu

/* The command: 72 bytes. */
union test_cmd {
	uint32_t w[18];
	uint64_t q[9];
};

/* What a vIOMMU is given, and tells. */
struct viommu_data {
	uint32_t in, out;
	uint64_t offset, length;
};

#endif
