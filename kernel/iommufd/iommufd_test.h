/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_test.h - the private test ioctl of /dev/iommu, as programs lay it out.
 *
 * No uAPI header has it: programs that use it bring their own copy.  So the layout is fixed here, byte by
 * byte.  An address that is given as 64 bits is a pointer of the program.
 */
#ifndef KERNEL_IOMMUFD_IOMMUFD_TEST_H
#define KERNEL_IOMMUFD_IOMMUFD_TEST_H

#include <linux/iommufd.h>

#include "kernel/lib/types.h"

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, 0xa0)

enum iommu_test_op {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN = 2,
	IOMMU_TEST_OP_MD_CHECK_MAP = 3,
	IOMMU_TEST_OP_MD_CHECK_REFS = 4,
	IOMMU_TEST_OP_CREATE_ACCESS = 5,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES = 6,
	IOMMU_TEST_OP_ACCESS_PAGES = 7,
	IOMMU_TEST_OP_ACCESS_RW = 8,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT = 9,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE = 10,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS = 11,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS = 12,
	IOMMU_TEST_OP_DIRTY = 13,
	IOMMU_TEST_OP_MD_CHECK_IOTLB = 14,
	IOMMU_TEST_OP_TRIGGER_IOPF = 15,
	IOMMU_TEST_OP_DEV_CHECK_CACHE = 16,
	IOMMU_TEST_OP_TRIGGER_VEVENT = 17,
	IOMMU_TEST_OP_PASID_ATTACH = 18,
	IOMMU_TEST_OP_PASID_REPLACE = 19,
	IOMMU_TEST_OP_PASID_DETACH = 20,
	IOMMU_TEST_OP_PASID_CHECK_HWPT = 21,
	IOMMU_TEST_OP_DMABUF_GET = 22,
	IOMMU_TEST_OP_DMABUF_REVOKE = 23,
};

/* ---- the mock hardware's numbers ---- */

#define MOCK_APERTURE_START 0x1000000ull
#define MOCK_APERTURE_LAST 0x7fffffffull
#define MOCK_PAGE_SIZE 2048ull
#define MOCK_HUGE_PAGE_SIZE (512 * MOCK_PAGE_SIZE)
#define MOCK_HUGE_APERTURE_LAST 0x3fffffffffull
#define MOCK_PGSIZES 0x1ffffff800ull /* what the default format is said to have */
#define MOCK_PASID_WIDTH 20
#define MOCK_PASID_FAILS_ONCE 1024 /* replacing what this PASID has fails the first time */

#define MOCK_NESTED_IOTLBS 4
#define MOCK_IOTLB_DEFAULT 0xbadbeefu
#define MOCK_DEV_CACHES 4
#define MOCK_DEV_CACHE_DEFAULT 0xbaddadu
#define MOCK_HW_QUEUES 2

/* Flags of MOCK_DOMAIN_FLAGS. */
#define MOCK_FLAGS_DEVICE_NO_DIRTY BIT(0)
#define MOCK_FLAGS_DEVICE_PASID BIT(2)
/* Flags of CREATE_ACCESS, ACCESS_PAGES and ACCESS_RW. */
#define MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES BIT(0)
#define MOCK_FLAGS_ACCESS_WRITE BIT(0)
#define MOCK_FLAGS_ACCESS_RW_SLOW_PATH BIT(2)
/* Fuzzers do not know iovas: low 32 bits of it say which area, high 32 how far inside. */
#define MOCK_FLAGS_ACCESS_SYZ BIT(16)

struct iommu_test_cmd {
	u32 size;
	u32 op;
	u32 id;
	u32 reserved;
	union {
		struct {
			u64 start, length;
		} add_reserved;
		struct {
			u32 out_stdev_id, out_hwpt_id, out_idev_id;
			u32 dev_flags; /* MOCK_DOMAIN_FLAGS only */
		} mock_domain;
		struct {
			u32 pt_id;
		} mock_domain_replace;
		struct {
			u64 iova, length, uptr;
		} check_map;
		struct {
			u64 length, uptr;
			u32 refs;
		} check_refs;
		struct {
			u32 out_access_fd, flags;
		} create_access;
		struct {
			u32 access_pages_id;
		} destroy_access_pages;
		struct {
			u32 flags, out_access_pages_id;
			u64 iova, length, uptr;
		} access_pages;
		struct {
			u64 iova, length, uptr;
			u32 flags;
		} access_rw;
		struct {
			u32 limit;
		} memory_limit;
		struct {
			u32 ioas_id;
		} access_replace_ioas;
		struct {
			u32 flags;
			u64 iova, length, page_size, uptr, out_nr_dirty;
		} dirty;
		struct {
			u32 index, value;
		} check_word; /* MD_CHECK_IOTLB, DEV_CHECK_CACHE */
		struct {
			u32 dev_id, pasid, grpid, perm;
			u64 addr;
		} trigger_iopf;
		struct {
			u32 dev_id;
		} trigger_vevent;
		struct {
			u32 pasid, pt_id;
		} pasid_attach; /* PASID_REPLACE too */
		struct {
			u32 pasid;
		} pasid_detach;
		struct {
			u32 pasid, hwpt_id;
		} pasid_check;
		struct {
			u32 length, open_flags;
		} dmabuf_get;
		struct {
			int32_t dmabuf_fd;
			u32 revoked;
		} dmabuf_revoke;
		u8 raw[48];
	};
	u32 last;
};
#define IOMMU_TEST_CMD_MIN offsetofend_(struct iommu_test_cmd, last)
#define offsetofend_(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

#define MOCK_AT(field, off) \
	_Static_assert(offsetof(struct iommu_test_cmd, field) == (off), #field " moved")
MOCK_AT(op, 4);
MOCK_AT(id, 8);
MOCK_AT(add_reserved.length, 24);
MOCK_AT(mock_domain.out_stdev_id, 16);
MOCK_AT(mock_domain.out_hwpt_id, 20);
MOCK_AT(mock_domain.out_idev_id, 24);
MOCK_AT(mock_domain.dev_flags, 28);
MOCK_AT(mock_domain_replace.pt_id, 16);
MOCK_AT(check_map.iova, 16);
MOCK_AT(check_map.uptr, 32);
MOCK_AT(check_refs.uptr, 24);
MOCK_AT(check_refs.refs, 32);
MOCK_AT(create_access.flags, 20);
MOCK_AT(access_pages.out_access_pages_id, 20);
MOCK_AT(access_pages.iova, 24);
MOCK_AT(access_pages.uptr, 40);
MOCK_AT(access_rw.uptr, 32);
MOCK_AT(access_rw.flags, 40);
MOCK_AT(dirty.iova, 24);
MOCK_AT(dirty.page_size, 40);
MOCK_AT(dirty.uptr, 48);
MOCK_AT(dirty.out_nr_dirty, 56);
MOCK_AT(check_word.value, 20);
MOCK_AT(trigger_iopf.perm, 28);
MOCK_AT(trigger_iopf.addr, 32);
MOCK_AT(pasid_attach.pt_id, 20);
MOCK_AT(dmabuf_revoke.revoked, 20);
MOCK_AT(last, 64);
_Static_assert(sizeof(struct iommu_test_cmd) == 72, "size of the test command");
#undef MOCK_AT

/* ---- what the mock driver understands in the generic calls ---- */

#define IOMMU_HW_INFO_TYPE_SELFTEST 0xfeedbeefu
#define MOCK_HW_INFO_REG 0xdeadbeefu
struct iommu_test_hw_info {
	u32 flags;
	u32 test_reg;
};

#define IOMMU_HWPT_DATA_SELFTEST 0xdeadu
enum mock_pagetable_type { MOCK_PT_DEFAULT, MOCK_PT_HUGE };
struct iommu_hwpt_selftest {
	u32 iotlb;
	u32 pagetable_type;
};

#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeefu
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeefu
#define IOMMU_TEST_INVALIDATE_FLAG_ALL BIT(0)
struct iommu_hwpt_invalidate_selftest {
	u32 flags;
	u32 iotlb_id;
};
struct iommu_viommu_invalidate_selftest {
	u32 flags;
	u32 vdev_id;
	u32 cache_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeefu
struct iommu_viommu_selftest {
	u32 in_data;
	u32 out_data;
	u64 out_mmap_offset;
	u64 out_mmap_length;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeefu
struct iommu_viommu_event_selftest {
	u32 virt_id;
};

#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeefu

_Static_assert(sizeof(struct iommu_test_hw_info) == 8 && sizeof(struct iommu_hwpt_selftest) == 8 &&
	       sizeof(struct iommu_hwpt_invalidate_selftest) == 8 &&
	       sizeof(struct iommu_viommu_invalidate_selftest) == 12 &&
	       sizeof(struct iommu_viommu_selftest) == 24 && sizeof(struct iommu_viommu_event_selftest) == 4,
	       "sizes of what the mock driver understands");

#endif
