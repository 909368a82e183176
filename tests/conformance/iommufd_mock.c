/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_mock.c - all of iommufd that needs a device, on mock devices.
 *
 * By the test ioctl of /dev/iommu (a kernel with CONFIG_IOMMUFD_TEST, as root; or softvfio run
 * --iommufd-test).  Where there is none the program says so and skips (77).
 *
 * usage: iommufd_mock [CASE]    all cases, or the one of that name
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/mock.h"

#define PG 4096ull
#define MiB (1ull << 20)

static int fd;		/* of the case that runs */
static int failures, checks;
static const char *current;
static void *volatile nowhere = (void *)8; /* no memory is there, which the compiler need not know */
static char *buffer;	/* of BUFFER bytes, page aligned, touched */
#define BUFFER (4 * MiB)

/* ---- what is expected ---- */

static const char *err_name(long ret)
{
	return ret >= 0 ? "success" : strerrorname_np((int)-ret) ? strerrorname_np((int)-ret) : "?";
}

static void is_(const char *what, int line, long got, long want)
{
	checks++;
	if (got == want)
		return;
	failures++;
	if (got < 0 || want < 0)
		printf("%s:%d: %s: %s, expected %s\n", current, line, what, err_name(got), err_name(want));
	else
		printf("%s:%d: %s: %ld (0x%lx), expected %ld (0x%lx)\n", current, line, what, got, got, want, want);
}
#define is(got, want) is_(#got, __LINE__, (long)(got), (long)(want))

static long sys(long ret) { return ret < 0 ? -errno : ret; }

/* ---- calls: 0, a positive id, or -errno ---- */

static long test(uint32_t op, uint32_t id, union test_cmd *cmd)
{
	cmd->w[0] = sizeof(*cmd);
	cmd->w[1] = op;
	cmd->w[2] = id;
	return sys(ioctl(fd, TEST_CMD, cmd));
}

static long ioas_alloc(void)
{
	struct iommu_ioas_alloc c = { .size = sizeof(c) };
	long ret = sys(ioctl(fd, IOMMU_IOAS_ALLOC, &c));

	return ret ? ret : c.out_ioas_id;
}

static long destroy(uint32_t id)
{
	struct iommu_destroy c = { .size = sizeof(c), .id = id };

	return sys(ioctl(fd, IOMMU_DESTROY, &c));
}

static long map(uint32_t ioas, const void *va, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map c = { .size = sizeof(c), .flags = 7, .ioas_id = ioas, .user_va = (uintptr_t)va,
				    .length = len, .iova = iova };

	return sys(ioctl(fd, IOMMU_IOAS_MAP, &c));
}

static long unmap(uint32_t ioas, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap c = { .size = sizeof(c), .ioas_id = ioas, .iova = iova, .length = len };
	long ret = sys(ioctl(fd, IOMMU_IOAS_UNMAP, &c));

	return ret ? ret : (long)c.length;
}

static long option_huge(uint32_t ioas, uint64_t val)
{
	struct iommu_option c = { .size = sizeof(c), .option_id = IOMMU_OPTION_HUGE_PAGES, .object_id = ioas, .val64 = val };

	return sys(ioctl(fd, IOMMU_OPTION, &c));
}

struct mock {
	uint32_t stdev, hwpt, dev;
};

static long mock_flags(uint32_t pt, uint32_t flags, struct mock *m)
{
	union test_cmd c = { .w = { [7] = flags } };
	long ret = test(MOCK_FLAGS, pt, &c);

	if (!ret)
		*m = (struct mock){ c.w[4], c.w[5], c.w[6] };
	return ret;
}

static long mock(uint32_t pt, struct mock *m)
{
	union test_cmd c = { 0 };
	long ret = test(MOCK_DOMAIN, pt, &c);

	if (!ret)
		*m = (struct mock){ c.w[4], c.w[5], c.w[6] };
	return ret;
}

static long check_map(uint32_t hwpt, uint64_t iova, uint64_t len, const void *va)
{
	union test_cmd c = { .q = { [2] = iova, [3] = len, [4] = (uintptr_t)va } };

	return test(CHECK_MAP, hwpt, &c);
}

static long check_refs(const void *va, uint64_t len, uint32_t refs)
{
	union test_cmd c = { .q = { [2] = len, [3] = (uintptr_t)va } };

	c.w[8] = refs;
	return test(CHECK_REFS, 0, &c);
}

static long replace(uint32_t stdev, uint32_t pt, uint32_t *ret_pt)
{
	union test_cmd c = { .w = { [4] = pt } };
	long ret = test(REPLACE, stdev, &c);

	if (ret_pt)
		*ret_pt = c.w[4];
	return ret;
}

static long create_access(uint32_t ioas, bool pins)
{
	union test_cmd c = { .w = { [5] = pins } };
	long ret = test(CREATE_ACCESS, ioas, &c);

	return ret ? ret : (long)c.w[4];
}

static long access_pages(uint32_t access, uint64_t iova, uint64_t len, const void *va, uint32_t flags)
{
	union test_cmd c = { .w = { [4] = flags } };
	long ret;

	c.q[3] = iova;
	c.q[4] = len;
	c.q[5] = (uintptr_t)va;
	ret = test(ACCESS_PAGES, access, &c);
	return ret ? ret : (long)c.w[5];
}

static long drop_pages(uint32_t access, uint32_t item)
{
	union test_cmd c = { .w = { [4] = item } };

	return test(DESTROY_PAGES, access, &c);
}

static long access_rw(uint32_t access, uint64_t iova, const void *buf, uint64_t len, uint32_t flags)
{
	union test_cmd c = { .q = { [2] = iova, [3] = len, [4] = (uintptr_t)buf } };

	c.w[10] = flags;
	return test(ACCESS_RW, access, &c);
}

static long hwpt_alloc_full(uint32_t dev, uint32_t pt, uint32_t flags, uint32_t type, const void *data, uint32_t len,
			    uint32_t fault)
{
	struct iommu_hwpt_alloc c = { .size = sizeof(c), .flags = flags, .dev_id = dev, .pt_id = pt, .data_type = type,
				      .data_len = len, .data_uptr = (uintptr_t)data, .fault_id = fault };
	long ret = sys(ioctl(fd, IOMMU_HWPT_ALLOC, &c));

	return ret ? ret : c.out_hwpt_id;
}

static long hwpt_alloc(uint32_t dev, uint32_t pt, uint32_t flags)
{
	return hwpt_alloc_full(dev, pt, flags, IOMMU_HWPT_DATA_NONE, NULL, 0, 0);
}

static long hwpt_nested(uint32_t dev, uint32_t pt, uint32_t flags, uint32_t iotlb)
{
	uint32_t data[2] = { iotlb, 0 };

	return hwpt_alloc_full(dev, pt, flags, SELFTEST_DATA, data, sizeof(data), 0);
}

static long check_word(uint32_t op, uint32_t id, uint32_t index, uint32_t value)
{
	union test_cmd c = { .w = { [4] = index, [5] = value } };

	return test(op, id, &c);
}

static long invalidate(uint32_t id, uint32_t type, const void *data, uint32_t entry_len, uint32_t *num)
{
	struct iommu_hwpt_invalidate c = { .size = sizeof(c), .hwpt_id = id, .data_uptr = (uintptr_t)data, .data_type = type,
					   .entry_len = entry_len, .entry_num = *num };
	long ret = sys(ioctl(fd, IOMMU_HWPT_INVALIDATE, &c));

	*num = c.entry_num;
	return ret;
}

static long fault_alloc(uint32_t *ret_fd)
{
	struct iommu_fault_alloc c = { .size = sizeof(c) };
	long ret = sys(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &c));

	*ret_fd = c.out_fault_fd;
	return ret ? ret : c.out_fault_id;
}

static long trigger_iopf(uint32_t dev, uint32_t pasid, uint32_t grpid)
{
	union test_cmd c = { .w = { [4] = dev, [5] = pasid, [6] = grpid, [7] = 3 } };

	c.q[4] = 0x1234000;
	return test(TRIGGER_IOPF, 0, &c);
}

static long pasid_op(uint32_t op, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	union test_cmd c = { .w = { [4] = pasid, [5] = pt } };

	return test(op, stdev, &c);
}

static long viommu_alloc(uint32_t dev, uint32_t hwpt, uint32_t type, void *data, uint32_t len)
{
	struct iommu_viommu_alloc c = { .size = sizeof(c), .type = type, .dev_id = dev, .hwpt_id = hwpt, .data_len = len,
					.data_uptr = (uintptr_t)data };
	long ret = sys(ioctl(fd, IOMMU_VIOMMU_ALLOC, &c));

	return ret ? ret : c.out_viommu_id;
}

static long vdevice_alloc(uint32_t viommu, uint32_t dev, uint64_t virt_id)
{
	struct iommu_vdevice_alloc c = { .size = sizeof(c), .viommu_id = viommu, .dev_id = dev, .virt_id = virt_id };
	long ret = sys(ioctl(fd, IOMMU_VDEVICE_ALLOC, &c));

	return ret ? ret : c.out_vdevice_id;
}

static long veventq_alloc(uint32_t viommu, uint32_t type, uint32_t depth, uint32_t *ret_fd)
{
	struct iommu_veventq_alloc c = { .size = sizeof(c), .viommu_id = viommu, .type = type, .veventq_depth = depth };
	long ret = sys(ioctl(fd, IOMMU_VEVENTQ_ALLOC, &c));

	*ret_fd = c.out_veventq_fd;
	return ret ? ret : c.out_veventq_id;
}

static long trigger_vevent(uint32_t dev)
{
	union test_cmd c = { .w = { [4] = dev } };

	return test(TRIGGER_VEVENT, 0, &c);
}

static long hw_queue_alloc(uint32_t viommu, uint32_t type, uint32_t index, uint64_t iova, uint64_t len)
{
	struct iommu_hw_queue_alloc c = { .size = sizeof(c), .viommu_id = viommu, .type = type, .index = index,
					  .nesting_parent_iova = iova, .length = len };
	long ret = sys(ioctl(fd, IOMMU_HW_QUEUE_ALLOC, &c));

	return ret ? ret : c.out_hw_queue_id;
}

/* ---- the cases ---- */

static void attaching(void)
{
	struct mock a = { 0 }, b = { 0 };
	long ioas = ioas_alloc(), other = ioas_alloc();
	uint32_t pt;

	is(mock(9999, &a), -ENOENT);
	is(mock(ioas, &a), 0);
	is(mock(ioas, &b), 0);
	is(b.hwpt, a.hwpt); /* shared */
	is(destroy(ioas), -EBUSY);
	is(destroy(a.hwpt), -EBUSY);
	is(destroy(a.dev), -EBUSY);
	is(destroy(a.stdev), 0);
	is(destroy(a.stdev), -ENOENT);
	is(destroy(a.dev), -ENOENT);
	is(destroy(b.hwpt), -EBUSY);
	is(destroy(b.stdev), 0);
	is(destroy(b.hwpt), -ENOENT); /* went with the last one */
	is(mock(ioas, &a), 0);
	is(replace(a.stdev, other, &pt), 0);
	is(pt != a.hwpt, 1);
	is(destroy(ioas), 0);
	is(replace(a.stdev, 9999, NULL), -ENOENT);
	is(replace(a.stdev, a.stdev, NULL), -EINVAL);
	is(replace(9999, other, NULL), -ENOENT);
	is(mock_flags(other, 2, &b), -EINVAL);
	is(mock_flags(other, 8, &b), -EINVAL);
}

static void mapping(void)
{
	struct iommu_iova_range range[4];
	struct iommu_ioas_iova_ranges r = { .size = sizeof(r), .num_iovas = 4, .allowed_iovas = (uintptr_t)range };
	long ioas = ioas_alloc();
	struct mock a = { 0 };

	is(mock(ioas, &a), 0);
	r.ioas_id = (uint32_t)ioas;
	is(sys(ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &r)), 0);
	is(r.num_iovas, 1);
	is(range[0].start, MOCK_START);
	is(range[0].last, MOCK_LAST);
	is(r.out_iova_alignment, MOCK_PG);

	is(map(ioas, buffer, 16 * MOCK_PG, MOCK_START), 0);
	is(check_map(a.hwpt, MOCK_START, 16 * MOCK_PG, buffer), 0);
	is(check_map(a.hwpt, MOCK_START, MOCK_PG, buffer + MOCK_PG), -EINVAL);
	is(check_map(a.hwpt, MOCK_START + 16 * MOCK_PG, MOCK_PG, buffer + 16 * MOCK_PG), -EINVAL);
	is(check_map(a.hwpt, MOCK_START + 1, MOCK_PG, buffer + 1), -EINVAL);
	is(check_map(9999, MOCK_START, MOCK_PG, buffer), -ENOENT);
	is(check_refs(buffer, 8 * PG, 1), 0);
	is(check_refs(buffer, 8 * PG, 2), -EIO);
	is(check_refs(buffer, 9 * PG, 1), -EIO);
	is(check_refs(buffer + 1, PG, 1), -EINVAL);
	is(check_refs(buffer, PG + 1, 1), -EINVAL);
	is(map(ioas, buffer, MOCK_PG, MOCK_START), -EEXIST);
	is(map(ioas, buffer, MOCK_PG, MOCK_START - MOCK_PG), -EINVAL);
	is(map(ioas, buffer, MOCK_PG, MOCK_LAST + 1), -EINVAL);
	is(map(ioas, buffer, MOCK_PG / 2, MOCK_START + MiB), -EINVAL);
	is(unmap(ioas, MOCK_START, 16 * MOCK_PG), 16 * MOCK_PG);
	is(check_map(a.hwpt, MOCK_START, MOCK_PG, buffer), -EINVAL);
	is(check_refs(buffer, 8 * PG, 0), 0);
	/* Half a page of the processor, at an offset. */
	is(map(ioas, buffer + MOCK_PG, MOCK_PG, MOCK_START), 0);
	is(check_map(a.hwpt, MOCK_START, MOCK_PG, buffer + MOCK_PG), 0);
	is(unmap(ioas, 0, UINT64_MAX), MOCK_PG);
	is(destroy(a.stdev), 0);
}

static void memory_that_is_not_there(void)
{
	char *half = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long ioas = ioas_alloc();
	struct mock a = { 0 };

	munmap(half + PG, PG);
	is(map(ioas, half, 2 * PG, MOCK_START), 0);
	is(mock(ioas, &a), -EFAULT);
	is(check_refs(half, PG, 0), 0);
	is(unmap(ioas, MOCK_START, 2 * PG), 2 * PG);
	is(mock(ioas, &a), 0);
	is(map(ioas, half, 2 * PG, MOCK_START), -EFAULT);
	is(check_refs(half, PG, 0), 0);
	is(check_map(a.hwpt, MOCK_START, MOCK_PG, half), -EINVAL);
	munmap(half, PG);
}

/* Two IOAS share pins by a copy; two mappings of their own do not. */
static void sharing_pins(void)
{
	struct iommu_ioas_copy copy = { .size = sizeof(copy), .flags = 7, .length = 2 * PG, .dst_iova = MOCK_START + MiB,
					.src_iova = MOCK_START };
	long one = ioas_alloc(), two = ioas_alloc();
	struct mock a = { 0 }, b = { 0 };

	is(mock(one, &a), 0);
	is(mock(two, &b), 0);
	is(map(one, buffer, 4 * PG, MOCK_START), 0);
	copy.src_ioas_id = (uint32_t)one;
	copy.dst_ioas_id = (uint32_t)two;
	is(sys(ioctl(fd, IOMMU_IOAS_COPY, &copy)), 0);
	is(check_map(b.hwpt, MOCK_START + MiB, 2 * PG, buffer), 0);
	is(check_refs(buffer, 4 * PG, 1), 0);
	is(map(two, buffer, PG, MOCK_START), 0);
	is(check_refs(buffer, PG, 2), 0);
	is(check_refs(buffer + PG, 3 * PG, 1), 0);
	is(unmap(one, 0, UINT64_MAX), 4 * PG);
	is(check_refs(buffer, PG, 2), 0);
	is(check_refs(buffer + 2 * PG, 2 * PG, 0), 0);
	is(unmap(two, 0, UINT64_MAX), 3 * PG);
	is(check_refs(buffer, 4 * PG, 0), 0);
}

static void mapped_file(void)
{
	int mem = memfd_create("mock", MFD_CLOEXEC);
	long ioas = ioas_alloc();
	struct iommu_ioas_map_file c = { .size = sizeof(c), .flags = 7, .ioas_id = (uint32_t)ioas, .fd = mem, .length = 2 * PG,
					 .start = PG, .iova = MOCK_START };
	struct mock a = { 0 };
	char *view;

	is(ftruncate(mem, 4 * PG), 0);
	view = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	memset(view, 1, 4 * PG);
	is(mock(ioas, &a), 0);
	is(sys(ioctl(fd, IOMMU_IOAS_MAP_FILE, &c)), 0);
	is(check_map(a.hwpt, MOCK_START, 2 * PG, view + PG), 0);
	is(check_map(a.hwpt, MOCK_START, PG, view), -EINVAL);
	is(check_refs(view + PG, 2 * PG, 1), 0);
	is(check_refs(view, PG, 0), 0);
	c.start = 3 * PG;
	c.iova = MOCK_START + MiB;
	is(sys(ioctl(fd, IOMMU_IOAS_MAP_FILE, &c)), -EINVAL); /* past the end */
	close(mem);
	is(unmap(ioas, 0, UINT64_MAX), 2 * PG);
	munmap(view, 4 * PG);
}

static void reserved(void)
{
	long ioas = ioas_alloc();
	union test_cmd c = { .q = { [2] = PG, [3] = PG } };
	struct iommu_iova_range range = { PG, 2 * PG - 1 };
	struct iommu_ioas_allow_iovas allow = { .size = sizeof(allow), .num_iovas = 1, .allowed_iovas = (uintptr_t)&range,
						.ioas_id = (uint32_t)ioas };

	is(test(ADD_RESERVED, ioas, &c), 0);
	is(test(ADD_RESERVED, ioas, &c), 0); /* they may overlap */
	is(map(ioas, buffer, PG, PG), -EINVAL);
	is(map(ioas, buffer, PG, 2 * PG), 0);
	c.q[2] = 2 * PG;
	is(test(ADD_RESERVED, ioas, &c), -EADDRINUSE);
	c.q[3] = 0;
	is(test(ADD_RESERVED, ioas, &c), -EINVAL);
	c.q[2] = UINT64_MAX;
	c.q[3] = 2;
	is(test(ADD_RESERVED, ioas, &c), -EOVERFLOW);
	is(test(ADD_RESERVED, 9999, &c), -EOVERFLOW);
	c.q[3] = 1;
	is(test(ADD_RESERVED, 9999, &c), -ENOENT);
	is(sys(ioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &allow)), -EADDRINUSE);
}

static void accesses(void)
{
	long ioas = ioas_alloc(), other = ioas_alloc(), acc, copier, item, item2;
	union test_cmd c = { .w = { [5] = 2 } };
	char out[64];

	is(test(CREATE_ACCESS, ioas, &c), -EOPNOTSUPP);
	is(create_access(9999, true), -ENOENT);
	acc = create_access(ioas, true);
	copier = create_access(ioas, false);
	is(acc > 0 && copier > 0, 1);
	is(fcntl((int)acc, F_GETFD), FD_CLOEXEC);
	is(destroy(ioas), -EBUSY);
	is(map(ioas, buffer, 4 * PG, 0x10000), 0);
	is(map(ioas, buffer, MOCK_PG, 0x80000), -EINVAL); /* whole pages, since one pins */
	is(access_pages(acc, 0x10000, 2 * PG, buffer, 0), 0); /* numbers of pins begin at 0 */
	item = access_pages(acc, 0x10000 + PG, PG, buffer + PG, 1);
	is(item, 1);
	is(check_refs(buffer, 2 * PG, 1), 0);
	is(check_refs(buffer + 2 * PG, PG, 0), 0);
	is(access_pages(acc, 0x10000, PG, buffer + PG, 0), -EBADE);
	is(access_pages(acc, 0x10000, 5 * PG, NULL, 0), -ENOENT);
	is(access_pages(acc, 0x10000, 0, NULL, 0), -EINVAL);
	is(access_pages(acc, 0x10800, PG, NULL, 0), -EINVAL); /* from the start of a page on */
	is(access_pages(acc, 0x20800, PG, NULL, 0), -ENOENT);
	is(access_pages(acc, 0x10000, PG, nowhere, 0), -EFAULT);
	is(access_pages(acc, 0x10000, 16 * MiB + 1, NULL, 0), -ENOMEM);
	is(access_pages(acc, 0x10000, PG, NULL, 2), -EOPNOTSUPP);
	is(access_pages(copier, 0x10000, PG, NULL, 0), -EOPNOTSUPP);
	is(access_pages(fd, 0x10000, PG, NULL, 0), -EBADFD);
	is(access_pages(9999, 0x10000, PG, NULL, 0), -EBADFD);
	is(drop_pages(acc, item), 0);
	is(drop_pages(acc, item), -ENOENT);
	is(drop_pages(fd, item), -EBADFD);

	/* Bytes, both ways, both paths, over a page's end. */
	for (unsigned slow = 0; slow <= 4; slow += 4) {
		memset(buffer, 0, 2 * PG);
		is(access_rw(copier, 0x10000 + PG - 5, "hello world", 11, 1 | slow), 0);
		is(memcmp(buffer + PG - 5, "hello world", 11), 0);
		is(access_rw(copier, 0x10000 + PG - 5, out, 11, slow), 0);
		is(memcmp(out, "hello world", 11), 0);
		is(access_rw(copier, 0x10000 + 4 * PG - 5, out, 11, slow), -ENOENT);
	}
	is(access_rw(copier, 0x10000, out, 4, 2), -EOPNOTSUPP);
	is(access_rw(copier, 0x10000, nowhere, 4, 0), -EFAULT);
	is(access_rw(copier, 0x10000, nowhere, 4, 1), -EFAULT);

	/* Unmapping takes the pins back. */
	item = access_pages(acc, 0x10000, PG, buffer, 0);
	is(unmap(ioas, 0x10000, 4 * PG), 4 * PG);
	is(check_refs(buffer, 4 * PG, 0), 0);
	is(drop_pages(acc, item), -ENOENT);

	/* So does moving the access. */
	is(map(ioas, buffer, 4 * PG, 0x10000), 0);
	is(map(other, buffer + MiB, 4 * PG, 0x10000), 0);
	item = access_pages(acc, 0x10000, PG, buffer, 0);
	c = (union test_cmd){ .w = { [4] = 9999 } };
	is(test(ACCESS_REPLACE, acc, &c), -ENOENT);
	is(check_refs(buffer, PG, 1), 0);
	c.w[4] = (uint32_t)other;
	is(test(ACCESS_REPLACE, acc, &c), 0);
	is(check_refs(buffer, PG, 0), 0);
	is(drop_pages(acc, item), -ENOENT);
	item2 = access_pages(acc, 0x10000, PG, buffer + MiB, 0);
	is(item2 > 0, 1);
	is(destroy(ioas), -EBUSY); /* the copier is still there */
	close((int)copier);
	is(destroy(ioas), 0);
	close((int)acc);
	is(check_refs(buffer + MiB, PG, 0), 0);
	is(destroy(other), 0);
}

/* An access keeps what it has pinned while the domain's pins come and go. */
static void access_and_domain(void)
{
	long ioas = ioas_alloc(), acc;
	struct mock a = { 0 };

	acc = create_access(ioas, true);
	is(map(ioas, buffer, 4 * PG, MOCK_START), 0);
	is(access_pages(acc, MOCK_START + PG, 2 * PG, buffer + PG, 1), 0);
	is(mock(ioas, &a), 0);
	is(check_refs(buffer, 4 * PG, 1), 0);
	is(check_map(a.hwpt, MOCK_START, 4 * PG, buffer), 0);
	is(destroy(a.stdev), 0);
	is(check_refs(buffer, PG, 0), 0);
	is(check_refs(buffer + PG, 2 * PG, 1), 0);
	close((int)acc);
	is(check_refs(buffer, 4 * PG, 0), 0);
}

static void hw_info(void)
{
	long ioas = ioas_alloc();
	struct mock a = { 0 }, b = { 0 };
	uint32_t info[4];
	struct iommu_hw_info c = { .size = sizeof(c), .data_uptr = (uintptr_t)info, .data_len = sizeof(info) };

	is(mock(ioas, &a), 0);
	is(mock_flags(ioas, NO_DIRTY | PASID, &b), 0);
	c.dev_id = a.dev;
	memset(info, 0xff, sizeof(info));
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), 0);
	is(c.out_data_type, SELFTEST_HW_INFO);
	is(c.data_len, 8);
	is(c.out_capabilities, IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	is(c.out_max_pasid_log2, 0);
	is(info[0], 0);
	is(info[1], 0xdeadbeef);
	is(info[2] | info[3], 0); /* the rest is cleared */
	c.dev_id = b.dev;
	c.data_len = 4;
	memset(info, 0xff, sizeof(info));
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), 0);
	is(c.data_len, 8);
	is(info[0], 0);
	is(info[1], UINT32_MAX);
	is(c.out_capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	is(c.out_max_pasid_log2, 20);
	c.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	c.in_data_type = SELFTEST_HW_INFO;
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), 0);
	c.in_data_type = 1;
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), -EOPNOTSUPP);
	c.flags = 2;
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), -EOPNOTSUPP);
	c.flags = 0;
	c.data_uptr = 8;
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), -EFAULT);
	c.dev_id = (uint32_t)ioas;
	is(sys(ioctl(fd, IOMMU_GET_HW_INFO, &c)), -ENOENT);
}

static void hwpt_errors(void)
{
	uint32_t data[2] = { 1, 0 }, ffd;
	long ioas = ioas_alloc(), parent, plain, nested, fault, dirty;
	struct mock a = { 0 }, blind = { 0 };

	is(mock(ioas, &a), 0);
	is(mock_flags(ioas, NO_DIRTY, &blind), 0);
	is(hwpt_alloc(9999, ioas, 0), -ENOENT);
	is(hwpt_alloc(ioas, ioas, 0), -ENOENT);
	is(hwpt_alloc(a.dev, 9999, 0), -EINVAL);
	is(hwpt_alloc(a.dev, a.dev, 0), -EINVAL);
	is(hwpt_alloc(a.dev, ioas, 1u << 31), -EOPNOTSUPP);
	is(hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID), -EOPNOTSUPP);
	is(hwpt_alloc_full(a.dev, ioas, 0, 0, data, 8, 0), -EINVAL);
	is(hwpt_alloc_full(a.dev, ioas, 0, SELFTEST_DATA, data, 0, 0), -EINVAL);
	is(hwpt_alloc_full(a.dev, ioas, 0, 1, data, 8, 0), -EOPNOTSUPP);
	is(hwpt_alloc_full(a.dev, ioas, 0, SELFTEST_DATA, data, 1, 0), -EINVAL);
	is(hwpt_alloc_full(a.dev, ioas, 0, SELFTEST_DATA, nowhere, 8, 0), -EFAULT);
	data[1] = 7;
	is(hwpt_alloc_full(a.dev, ioas, 0, SELFTEST_DATA, data, 8, 0), -EOPNOTSUPP);
	data[1] = 0;
	is(hwpt_alloc_full(a.dev, ioas, IOMMU_HWPT_FAULT_ID_VALID, 0, NULL, 0, 9999), -ENOENT);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	plain = hwpt_alloc(a.dev, ioas, 0);
	is(parent > 0 && plain > 0, 1);
	nested = hwpt_nested(a.dev, parent, 0, 5);
	is(nested > 0, 1);
	is(hwpt_nested(a.dev, plain, 0, 5), -EINVAL);
	is(hwpt_nested(a.dev, a.hwpt, 0, 5), -EINVAL);
	is(hwpt_nested(a.dev, nested, 0, 5), -EINVAL);
	is(hwpt_nested(a.dev, parent, IOMMU_HWPT_ALLOC_NEST_PARENT, 5), -EOPNOTSUPP);
	is(hwpt_nested(a.dev, parent, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 5), -EOPNOTSUPP);
	is(hwpt_alloc(a.dev, parent, 0), -EOPNOTSUPP);
	is(hwpt_alloc_full(a.dev, parent, 0, 1, data, 8, 0), -EOPNOTSUPP);
	is(hwpt_alloc_full(a.dev, parent, 0, SELFTEST_DATA, data, 1, 0), -EINVAL);
	is(hwpt_alloc_full(a.dev, parent, 0, SELFTEST_DATA, nowhere, 8, 0), -EFAULT);
	is(hwpt_alloc_full(a.dev, parent, IOMMU_HWPT_FAULT_ID_VALID, SELFTEST_DATA, data, 8, 9999), -ENOENT);
	fault = fault_alloc(&ffd);
	is(fault > 0, 1);
	is(hwpt_alloc_full(a.dev, parent, IOMMU_HWPT_FAULT_ID_VALID, SELFTEST_DATA, data, 8, fault) > 0, 1);
	is(destroy(parent), -EBUSY);
	is(destroy(nested), 0);
	is(hwpt_alloc(blind.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING), -EOPNOTSUPP);
	dirty = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	is(dirty > 0, 1);
	is(replace(blind.stdev, dirty, NULL), -EINVAL);
	is(replace(a.stdev, dirty, NULL), 0);
	is(destroy(dirty), -EBUSY);
	is(replace(a.stdev, ioas, NULL), 0);
	is(destroy(dirty), 0);
	is(destroy(plain), 0);
	close((int)ffd);
}

/* More than one thing is wrong: which of them is told? */
static void hwpt_error_order(void)
{
	enum { DEV, IOAS, AUTO, PARENT, VIOMMU, NOBODY = 9999 };
	static const struct {
		uint32_t dev, pt, flags, type, len;
		long err;
	} rows[] = {
		{ NOBODY, NOBODY, ~0u, 0, 8, -EINVAL },		/* data without a type */
		{ NOBODY, NOBODY, ~0u, 0, 0, -ENOENT },		/* no such device */
		{ DEV, NOBODY, ~0u, 0, 0, -EINVAL },		/* nothing to make it from */
		{ DEV, DEV, ~0u, SELFTEST_DATA, 2, -EINVAL },
		{ DEV, IOAS, ~0u, 0, 0, -EOPNOTSUPP },		/* unknown flags */
		{ DEV, IOAS, IOMMU_HWPT_FAULT_ID_VALID, 1, 8, -EOPNOTSUPP }, /* the data's type, before the queue */
		{ DEV, IOAS, IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, SELFTEST_DATA, 2, -EINVAL },
		{ DEV, IOAS, IOMMU_HWPT_FAULT_ID_VALID, 0, 0, -ENOENT },
		{ DEV, AUTO, ~0u, SELFTEST_DATA, 2, -EOPNOTSUPP }, /* flags, before it is no parent */
		{ DEV, AUTO, 0, 0, 0, -EOPNOTSUPP },		/* nested needs data */
		{ DEV, AUTO, 0, SELFTEST_DATA, 2, -EINVAL },
		{ DEV, PARENT, IOMMU_HWPT_ALLOC_NEST_PARENT, SELFTEST_DATA, 8, -EOPNOTSUPP },
		{ DEV, VIOMMU, ~0u, SELFTEST_DATA, 2, -EOPNOTSUPP },
		{ DEV, VIOMMU, 0, 0, 0, -EOPNOTSUPP },
		{ DEV, VIOMMU, 0, 1, 8, -EOPNOTSUPP },
		{ DEV, VIOMMU, IOMMU_HWPT_ALLOC_NEST_PARENT, SELFTEST_DATA, 8, -EOPNOTSUPP },
		{ DEV, VIOMMU, IOMMU_HWPT_FAULT_ID_VALID, SELFTEST_DATA, 8, -ENOENT },
	};
	uint32_t data[4] = { 0 }, id[5];
	struct mock a = { 0 };

	id[IOAS] = (uint32_t)ioas_alloc();
	is(mock(id[IOAS], &a), 0);
	id[DEV] = a.dev;
	id[AUTO] = a.hwpt;
	id[PARENT] = (uint32_t)hwpt_alloc(a.dev, id[IOAS], IOMMU_HWPT_ALLOC_NEST_PARENT);
	id[VIOMMU] = (uint32_t)viommu_alloc(a.dev, id[PARENT], SELFTEST_VIOMMU, NULL, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t dev = rows[i].dev == NOBODY ? NOBODY : id[rows[i].dev];
		uint32_t pt = rows[i].pt == NOBODY ? NOBODY : id[rows[i].pt];
		long ret = hwpt_alloc_full(dev, pt, rows[i].flags, rows[i].type, rows[i].len ? data : NULL, rows[i].len, NOBODY);

		if (ret != rows[i].err)
			printf("%s: row %zu\n", current, i);
		is(ret, rows[i].err);
	}
}

/* ---- dirty tracking ---- */

static long set_dirty(uint32_t hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking c = { .size = sizeof(c), .flags = on, .hwpt_id = hwpt };

	return sys(ioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &c));
}

static long get_dirty(uint32_t hwpt, uint64_t iova, uint64_t len, uint64_t page, void *bits, uint32_t flags)
{
	struct iommu_hwpt_get_dirty_bitmap c = { .size = sizeof(c), .hwpt_id = hwpt, .flags = flags, .iova = iova,
						 .length = len, .page_size = page, .data = (uintptr_t)bits };

	return sys(ioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &c));
}

static long make_dirty(uint32_t hwpt, uint64_t iova, uint64_t len, uint64_t page, const void *bits)
{
	union test_cmd c = { .q = { [3] = iova, [4] = len, [5] = page, [6] = (uintptr_t)bits } };
	long ret = test(DIRTY, hwpt, &c);

	return ret ? ret : (long)c.q[7];
}

static void dirty_bits(unsigned skew)
{
	enum { PAGES = 1000, BYTES = PAGES / 8 };
	long ioas = ioas_alloc(), hwpt;
	uint8_t set[BYTES], got[BYTES + 16 + 64];
	uint8_t *bits = got + skew;
	struct mock a = { 0 }, b = { 0 };
	unsigned n = 0;

	is(option_huge(ioas, 0), 0);
	is(mock(ioas, &a), 0);
	hwpt = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	is(hwpt > 0, 1);
	is(mock(hwpt, &b), 0);
	is(b.hwpt, hwpt);
	is(map(ioas, buffer, PAGES * PG, MOCK_START), 0);
	for (unsigned i = 0; i < BYTES; i++) {
		set[i] = (uint8_t)(i * 37 + (i >> 3));
		n += (unsigned)__builtin_popcount(set[i]);
	}
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), -EINVAL); /* tracking is off */
	is(set_dirty(hwpt, true), 0);
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), n);
	memset(got, 0, sizeof(got));
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), 0);
	is(memcmp(bits, set, BYTES), 0);
	memset(got, 0, sizeof(got));
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, 0), 0);
	is(memcmp(bits, set, BYTES), 0);
	is(bits[BYTES], 0);
	/* Clean now, and the program's own bits stay. */
	memset(got, 0xa5, sizeof(got));
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, 0), 0);
	for (unsigned i = 0; i < sizeof(got); i++)
		if (got[i] != 0xa5) {
			is(got[i], 0xa5);
			break;
		}
	/* Two bits for each IOPTE at half its size; one for sixteen. */
	memset(set, 0, sizeof(set));
	set[0] = 0x12;
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), 2);
	memset(got, 0, sizeof(got));
	is(get_dirty(hwpt, MOCK_START, 8 * PG, MOCK_PG, bits, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), 0);
	is(bits[0], 0x0c);
	is(bits[1], 0x03);
	memset(got, 0, sizeof(got));
	is(get_dirty(hwpt, MOCK_START, 16 * 16 * PG, 16 * PG, bits, 0), 0);
	is(bits[0], 1);
	is(bits[1], 0);
	/* Starting again forgets. */
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), 2);
	is(set_dirty(hwpt, false), 0);
	is(set_dirty(hwpt, true), 0);
	memset(got, 0, sizeof(got));
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, 0), 0);
	is(bits[0], 0);
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, 0, bits, 0), -EINVAL);
	is(get_dirty(hwpt, MOCK_START, 0, PG, bits, 0), -EINVAL);
	is(get_dirty(hwpt, MOCK_START, MOCK_PG, PG, bits, 0), -EINVAL);
	is(get_dirty(hwpt, MOCK_START + MOCK_PG, 8 * PG, PG, bits, 0), -EINVAL);
	is(get_dirty(hwpt, -PG, 2 * PG, PG, bits, 0), -EOVERFLOW);
	/* What is written to no memory is lost, without an error. */
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), 2);
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, nowhere, 0), 0);
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, 0), 0);
	is(bits[0], 0);
	/* The lowest bit of the page size counts. */
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), 2);
	is(get_dirty(hwpt, MOCK_START, 12 * PG, 3 * PG, bits, 0), 0);
	is(bits[0], 0x12);
	is(get_dirty(hwpt, MOCK_START, 3 * PG, 3 * PG, bits, 0), -EINVAL);
	/* With tracking off, what is there is told, once. */
	is(make_dirty(hwpt, MOCK_START, PAGES * PG, PG, set), 2);
	is(set_dirty(hwpt, false), 0);
	for (unsigned i = 0; i < 2; i++) {
		memset(got, 0, sizeof(got));
		is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, 0), 0);
		is(bits[0], i ? 0 : 0x12);
	}
	is(get_dirty(hwpt, MOCK_START, PAGES * PG, PG, bits, 2), -EOPNOTSUPP);
	is(get_dirty(a.hwpt, MOCK_START, PAGES * PG, PG, bits, 0), -EOPNOTSUPP);
	is(set_dirty(a.hwpt, true), -EOPNOTSUPP);
	is(set_dirty(9999, true), -ENOENT);
	is(unmap(ioas, 0, UINT64_MAX), PAGES * PG);
}

static void dirty(void) { dirty_bits(0); }
static void dirty_unaligned(void) { dirty_bits(15); }

/* What follows a gap is not told, and the bitmap's own memory may end early. */
static void dirty_gaps(void)
{
	uint8_t *bits = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint32_t no_clear = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	long ioas = ioas_alloc(), hwpt;
	const uint8_t set[1] = { 0x17 };
	struct mock a = { 0 };

	is(option_huge(ioas, 0), 0);
	is(mock(ioas, &a), 0);
	hwpt = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	is(map(ioas, buffer, 2 * PG, MOCK_START), 0);
	is(map(ioas, buffer, PG, MOCK_START + 2 * PG), 0);
	is(map(ioas, buffer, PG, MOCK_START + 4 * PG), 0);
	is(make_dirty(hwpt, MOCK_START, 5 * PG, PG, nowhere), -EINVAL); /* tracking is off */
	is(set_dirty(hwpt, true), 0);
	is(make_dirty(hwpt, MOCK_START, 5 * PG, PG, nowhere), -EFAULT);
	is(make_dirty(9999, MOCK_START, (1ull << 27) * PG, PG, set), -ENOENT);
	is(make_dirty(9999, MOCK_START, ((1ull << 27) + 1) * PG, PG, set), -EOVERFLOW);
	is(make_dirty(hwpt, MOCK_START, 5 * PG, PG, set), 4);
	is(get_dirty(hwpt, MOCK_START - PG, 8 * PG, PG, bits, 0), 0);
	is(get_dirty(hwpt, MOCK_START + 3 * PG, 8 * PG, PG, bits, 0), 0);
	is(bits[0], 0);
	is(get_dirty(hwpt, MOCK_START, 8 * PG, PG, bits, no_clear), 0);
	is(bits[0], 0x07);
	mprotect(bits + PG, PG, PROT_NONE);
	bits[PG - 1] = 0;
	is(get_dirty(hwpt, MOCK_START, 1ull << 40, PG, bits + PG - 1, 0), 0);
	is(bits[PG - 1], 0x07);
	bits[0] = 0;
	is(get_dirty(hwpt, MOCK_START, 8 * PG, PG, bits, 0), 0);
	is(bits[0], 0);
	is(get_dirty(hwpt, MOCK_START + 4 * PG, 8 * PG, PG, bits, 0), 0);
	is(bits[0], 0x01);
	munmap(bits, 2 * PG);
}

/* The other format: 1 MiB pages, and iovas beyond the first format's aperture. */
static void dirty_huge(void)
{
	uint32_t data[2] = { 0, 1 };
	long ioas = ioas_alloc(), hwpt;
	char *mem = mmap(NULL, 5 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *big = (char *)(((uintptr_t)mem + MiB - 1) & ~(MiB - 1));
	const uint64_t iova = 1ull << 37;
	uint8_t bits[128] = { 0 };
	struct mock a = { 0 }, b = { 0 };

	is(mock(ioas, &a), 0);
	hwpt = hwpt_alloc_full(a.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, SELFTEST_DATA, data, sizeof(data), 0);
	is(hwpt > 0, 1);
	is(mock(hwpt, &b), 0);
	is(destroy(a.stdev), 0);
	is(map(ioas, big, 3 * MiB, iova), 0);
	is(map(ioas, big, MiB, 1ull << 38), -EINVAL);
	is(map(ioas, big, MOCK_PG, iova + 4 * MiB), -EINVAL);
	is(check_map(hwpt, iova, 3 * MiB, big), 0);
	is(set_dirty(hwpt, true), 0);
	bits[0] = 1; /* one page of 4 KiB makes 1 MiB dirty */
	is(make_dirty(hwpt, iova + MiB, MiB, PG, bits), 1);
	memset(bits, 0, sizeof(bits));
	is(get_dirty(hwpt, iova, 3 * MiB, PG, bits, 0), 0);
	is(bits[31], 0);
	for (unsigned i = 32; i < 64; i++)
		is(bits[i], 0xff);
	is(bits[64], 0);
	munmap(mem, 5 * MiB);
}

/* ---- nested ---- */

static void nested(void)
{
	struct { uint32_t flags, index; } inv[3] = { { 0, 1 }, { 0, 0 }, { 0, 2 } };
	long ioas = ioas_alloc(), parent, hwpt;
	uint32_t num;
	struct mock a = { 0 };

	is(mock(ioas, &a), 0);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	hwpt = hwpt_nested(a.dev, parent, 0, 0xbadbeef);
	for (unsigned i = 0; i < 4; i++)
		is(check_word(CHECK_IOTLB, hwpt, i, 0xbadbeef), 0);
	is(check_word(CHECK_IOTLB, hwpt, 0, 1), -EINVAL);
	is(check_word(CHECK_IOTLB, hwpt, 4, 0xbadbeef), -EINVAL);
	is(check_word(CHECK_IOTLB, parent, 0, 0xbadbeef), -ENOENT);
	is(replace(a.stdev, hwpt, NULL), 0);
	is(destroy(hwpt), -EBUSY);

	/* Argument errors: nothing is done, and said so. */
	is((num = 1, invalidate(hwpt, 1, inv, 8, &num)), -EINVAL);
	is(num, 0);
	is((num = 1, invalidate(hwpt, SELFTEST_INVALIDATE, NULL, 8, &num)), -EINVAL);
	is(num, 0);
	is((num = 1, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 0, &num)), -EINVAL);
	is((num = 1, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 4097, &num)), -EINVAL);
	is((num = 1, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 4, &num)), -EINVAL);
	is((num = 1u << 20, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 8, &num)), -EINVAL);
	is(num, 0);
	is((num = 1, invalidate(parent, SELFTEST_INVALIDATE, inv, 8, &num)), -EINVAL);
	is((num = 1, invalidate(9999, SELFTEST_INVALIDATE, inv, 8, &num)), -ENOENT);
	is((num = 0, invalidate(hwpt, SELFTEST_INVALIDATE, NULL, 0, &num)), 0); /* a probe */
	is((num = 0, invalidate(hwpt, 1, NULL, 0, &num)), -EINVAL);

	/* In order, up to the first that is wrong. */
	inv[1].flags = 2;
	is((num = 3, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 8, &num)), -EOPNOTSUPP);
	is(num, 1);
	is(check_word(CHECK_IOTLB, hwpt, 1, 0), 0);
	is(check_word(CHECK_IOTLB, hwpt, 2, 0xbadbeef), 0);
	inv[1].flags = 0;
	inv[1].index = 4;
	is((num = 3, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 8, &num)), -EINVAL);
	is(num, 1);
	inv[1].index = 0;
	is((num = 3, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 8, &num)), 0);
	is(num, 3);
	is(check_word(CHECK_IOTLB, hwpt, 2, 0), 0);
	is(check_word(CHECK_IOTLB, hwpt, 3, 0xbadbeef), 0);
	inv[0].flags = 1;
	is((num = 1, invalidate(hwpt, SELFTEST_INVALIDATE, inv, 8, &num)), 0);
	is(check_word(CHECK_IOTLB, hwpt, 3, 0), 0);
	is(replace(a.stdev, ioas, NULL), 0);
	is(destroy(hwpt), 0);
	is(destroy(parent), 0);
}

/* ---- page requests ---- */

static int polled(uint32_t f)
{
	struct pollfd p = { .fd = (int)f, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

static void faults(void)
{
	uint32_t data[2] = { 0, 0 }, ffd;
	long ioas = ioas_alloc(), parent, hwpt, fault = fault_alloc(&ffd);
	struct iommu_hwpt_pgfault rec[3];
	struct iommu_hwpt_page_response resp = { 0 };
	struct mock a = { 0 };

	is(fault > 0, 1);
	is(destroy(fault), -EBUSY); /* the descriptor is open */
	is(mock_flags(ioas, PASID, &a), 0);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	hwpt = hwpt_alloc_full(a.dev, parent, IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID, SELFTEST_DATA, data,
			       sizeof(data), fault);
	is(hwpt > 0, 1);
	is(trigger_iopf(a.dev, 0, 1), 0); /* nobody listens: answered at once */
	is(polled(ffd), POLLOUT);
	is(replace(a.stdev, hwpt, NULL), 0);
	is(sys(read((int)ffd, rec, sizeof(rec[0]))), 0);
	is(trigger_iopf(a.dev, 0, 7), 0);
	is(polled(ffd), POLLIN | POLLOUT);
	is(sys(read((int)ffd, rec, 41)), -ESPIPE);
	is(sys(read((int)ffd, rec, 0)), -EINVAL); /* no room for what waits */
	is(sys(read((int)ffd, nowhere, sizeof(rec[0]))), -EFAULT);
	is(polled(ffd), POLLIN | POLLOUT); /* still there */
	is(sys(read((int)ffd, rec, sizeof(rec))), sizeof(rec[0]));
	is(polled(ffd), POLLOUT);
	is(rec[0].flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	is(rec[0].dev_id, a.dev);
	is(rec[0].grpid, 7);
	is(rec[0].perm, IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE);
	is(rec[0].addr, 0x1234000);
	is(rec[0].cookie, 1);
	is(sys(write((int)ffd, &resp, 7)), -ESPIPE);
	resp.cookie = rec[0].cookie + 1;
	is(sys(write((int)ffd, &resp, sizeof(resp))), -EINVAL);
	resp.cookie = rec[0].cookie;
	resp.code = IOMMUFD_PAGE_RESP_INVALID + 1;
	is(sys(write((int)ffd, &resp, sizeof(resp))), -EINVAL);
	resp.code = IOMMUFD_PAGE_RESP_SUCCESS;
	is(sys(write((int)ffd, &resp, sizeof(resp))), sizeof(resp));
	is(sys(write((int)ffd, &resp, sizeof(resp))), -EINVAL); /* once */
	/* A PASID that has nothing attached is the guest's business: it goes to the RID's nested table. */
	is(trigger_iopf(a.dev, 33, 8), 0);
	is(trigger_iopf(a.dev, 0, 9), 0);
	is(sys(read((int)ffd, rec, 2 * sizeof(rec[0]))), 2 * sizeof(rec[0]));
	is(rec[0].flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE | IOMMU_PGFAULT_FLAGS_PASID_VALID);
	is(rec[0].pasid, 33);
	is(rec[0].cookie, 1); /* the lowest that is free */
	is(rec[1].cookie, 2);
	/* Detaching answers what waits. */
	is(trigger_iopf(a.dev, 0, 10), 0);
	is(polled(ffd), POLLIN | POLLOUT);
	is(replace(a.stdev, ioas, NULL), 0);
	is(polled(ffd), POLLOUT);
	resp.cookie = rec[0].cookie;
	is(sys(write((int)ffd, &resp, sizeof(resp))), -EINVAL);
	is(destroy(hwpt), 0);
	close((int)ffd);
	is(destroy(fault), 0);
	is(trigger_iopf(9999, 0, 1), -ENOENT);
}

/* ---- PASIDs ---- */

static void pasids(void)
{
	long ioas = ioas_alloc(), beyond = ioas_alloc(), rid, one, two, plain;
	struct mock a = { 0 }, none = { 0 };

	is(mock_flags(ioas, PASID, &a), 0);
	is(mock(ioas, &none), 0);
	rid = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_PASID);
	one = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_PASID);
	two = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_PASID);
	plain = hwpt_alloc(a.dev, ioas, 0);
	is(rid > 0 && one > 0 && two > 0 && plain > 0, 1);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, one), -EINVAL); /* the RID's table is no PASID table */
	is(replace(a.stdev, rid, NULL), 0);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, plain), -EINVAL);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, ioas), -EINVAL);
	/* That it is none for PASIDs is said before that the unit cannot reach what is mapped there. */
	is(map(beyond, buffer, PG, 0), 0);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, beyond), -EINVAL);
	is(replace(a.stdev, beyond, NULL), -EADDRINUSE);
	is(mock(beyond, &none), -EADDRINUSE);
	is(pasid_op(PASID_CHECK, a.stdev, 100, 0), 0);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, one), 0);
	is(pasid_op(PASID_CHECK, a.stdev, 100, one), 0);
	is(pasid_op(PASID_CHECK, a.stdev, 100, two), -EINVAL);
	is(pasid_op(PASID_CHECK, a.stdev, 100, 0), -EINVAL);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, one), -EBUSY);
	is(pasid_op(PASID_ATTACH, a.stdev, 100, two), -EBUSY);
	is(destroy(one), -EBUSY);
	is(replace(a.stdev, plain, NULL), -EINVAL);
	is(replace(a.stdev, ioas, NULL), -EINVAL);
	is(replace(a.stdev, two, NULL), 0);
	is(pasid_op(PASID_REPLACE, a.stdev, 100, plain), -EINVAL);
	is(pasid_op(PASID_REPLACE, a.stdev, 100, ioas), -EINVAL);
	is(pasid_op(PASID_REPLACE, a.stdev, 100, rid), 0);
	is(destroy(one), 0);
	is(pasid_op(PASID_CHECK, a.stdev, 100, rid), 0);
	is(pasid_op(PASID_REPLACE, a.stdev, 101, rid), -EINVAL);
	is(pasid_op(PASID_DETACH, a.stdev, 101, 0), 0);
	is(pasid_op(PASID_DETACH, a.stdev, 100, 0), 0);
	is(pasid_op(PASID_CHECK, a.stdev, 100, 0), 0);
	/* This one fails once, and the old attachment stays. */
	is(pasid_op(PASID_ATTACH, a.stdev, 1024, rid), 0);
	is(pasid_op(PASID_REPLACE, a.stdev, 1024, two), -ENOMEM);
	is(pasid_op(PASID_CHECK, a.stdev, 1024, rid), 0);
	is(pasid_op(PASID_REPLACE, a.stdev, 1024, two), 0);
	is(pasid_op(PASID_CHECK, a.stdev, 1024, two), 0);
	is(pasid_op(PASID_DETACH, a.stdev, 1024, 0), 0);
	is(pasid_op(PASID_ATTACH, a.stdev, 1u << 20, rid), -EINVAL);
	is(pasid_op(PASID_ATTACH, a.stdev, 5, 9999), -ENOENT);
	is(pasid_op(PASID_ATTACH, 9999, 5, rid), -ENOENT);
	is(replace(none.stdev, rid, NULL), 0);
	is(pasid_op(PASID_ATTACH, none.stdev, 5, rid), -EINVAL);
	is(pasid_op(PASID_CHECK, a.stdev, 7, 9999), -ENOENT);
	is(destroy(a.stdev), 0);
	is(destroy(none.stdev), 0);
	is(destroy(rid), 0);
}

/* ---- vIOMMUs ---- */

static void viommus(void)
{
	struct viommu_data data = { .in = 0x12345678 };
	struct { uint32_t flags, vdev, cache; } inv[3] = { { 0, 0x99, 2 }, { 0, 0x98, 0 } };
	long ioas = ioas_alloc(), parent, plain, viommu, vdev, hwpt, by_pasid;
	const uint32_t many = (4 << 20) / sizeof(inv[0]) + 1; /* more than 4 MiB of entries */
	struct mock a = { 0 }, b = { 0 }, c = { 0 };
	uint32_t num, *page;

	is(mock(ioas, &a), 0);
	is(mock(ioas, &b), 0);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	plain = hwpt_alloc(a.dev, ioas, 0);
	is(viommu_alloc(a.dev, parent, IOMMU_VIOMMU_TYPE_DEFAULT, NULL, 0), -EOPNOTSUPP);
	is(viommu_alloc(a.dev, parent, 1, NULL, 0), -EOPNOTSUPP);
	is(viommu_alloc(a.dev, plain, SELFTEST_VIOMMU, NULL, 0), -EINVAL);
	is(viommu_alloc(a.dev, 9999, SELFTEST_VIOMMU, NULL, 0), -ENOENT);
	is(viommu_alloc(9999, parent, SELFTEST_VIOMMU, NULL, 0), -ENOENT);
	is(viommu_alloc(a.dev, parent, SELFTEST_VIOMMU, nowhere, sizeof(data)), -EFAULT);
	viommu = viommu_alloc(a.dev, parent, SELFTEST_VIOMMU, &data, sizeof(data));
	is(viommu > 0, 1);
	is(data.out, 0x12345678);
	is(data.length, 2 * PG);
	is(data.offset >= PG, 1);
	is(destroy(parent), -EBUSY);

	/* Its pages. */
	is(mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, (off_t)data.offset) == MAP_FAILED ? -errno : 0, -ENXIO);
	is(mmap(NULL, 4 * PG, PROT_READ, MAP_SHARED, fd, (off_t)data.offset) == MAP_FAILED ? -errno : 0, -ENXIO);
	is(mmap(NULL, 2 * PG, PROT_READ, MAP_SHARED, fd, (off_t)(data.offset + PG)) == MAP_FAILED ? -errno : 0, -ENXIO);
	is(mmap(NULL, 2 * PG, PROT_READ, MAP_PRIVATE, fd, (off_t)data.offset) == MAP_FAILED, 1);
	page = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)data.offset);
	is(page == MAP_FAILED, 0);
	is(page[0], 0x12345678);
	page[1] = 7;
	is(page[1], 7);
	is(destroy(viommu), -EBUSY);
	munmap(page, 2 * PG);

	/* Virtual devices. */
	is(vdevice_alloc(9999, a.dev, 0x99), -ENOENT);
	is(vdevice_alloc(viommu, 9999, 0x99), -ENOENT);
	hwpt = hwpt_nested(a.dev, viommu, 0, 3);
	is(hwpt > 0, 1);
	is(replace(a.stdev, hwpt, NULL), -ENOENT); /* it has no number there yet */
	is(mock_flags(ioas, PASID, &c), 0);
	is(replace(c.stdev, hwpt_alloc(c.dev, ioas, IOMMU_HWPT_ALLOC_PASID), NULL), 0);
	by_pasid = hwpt_nested(c.dev, viommu, IOMMU_HWPT_ALLOC_PASID, 3);
	is(pasid_op(PASID_ATTACH, c.stdev, 5, by_pasid), 0); /* nor does a PASID need one */
	is(pasid_op(PASID_DETACH, c.stdev, 5, 0), 0);
	is(destroy(by_pasid), 0);
	vdev = vdevice_alloc(viommu, a.dev, 0x99);
	is(vdev > 0, 1);
	is(vdevice_alloc(viommu, a.dev, 0x97), -EEXIST);
	is(vdevice_alloc(viommu, b.dev, 0x99), -EEXIST);
	is(replace(a.stdev, hwpt, NULL), 0);
	is(destroy(viommu), -EBUSY);

	/* Invalidation by the guest's number. */
	for (unsigned i = 0; i < 4; i++)
		is(check_word(CHECK_CACHE, a.dev, i, 0xbaddad), 0);
	is(check_word(CHECK_CACHE, a.dev, 4, 0xbaddad), -EINVAL);
	is((num = 2, invalidate(viommu, SELFTEST_INVALIDATE, inv, 12, &num)), -EINVAL);
	is(num, 1);
	is(check_word(CHECK_CACHE, a.dev, 2, 0), 0);
	is(check_word(CHECK_CACHE, a.dev, 1, 0xbaddad), 0);
	inv[0].flags = 2;
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 12, &num)), -EOPNOTSUPP);
	inv[0].flags = 0;
	inv[0].cache = 4;
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 12, &num)), -EINVAL);
	inv[0].cache = 0;
	inv[0].flags = inv[1].flags = 1;
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 12, &num)), 0);
	is(check_word(CHECK_CACHE, a.dev, 3, 0), 0);
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 8, &num)), 0); /* from before there were caches */
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 4, &num)), -EINVAL); /* for number 0 */
	inv[0].flags = 2;
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 1, &num)), -EOPNOTSUPP);
	inv[0].flags = 1;
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, nowhere, 1, &num)), -EFAULT);
	is(num, 0);
	is((num = many, invalidate(viommu, SELFTEST_INVALIDATE, nowhere, 1, &num)), -ENOMEM);
	is(num, many);
	is((num = many - 1, invalidate(viommu, SELFTEST_INVALIDATE, nowhere, 1, &num)), -EFAULT);
	is(num, 0);
	is((num = 1, invalidate(viommu, SELFTEST_INVALIDATE, inv, 16, &num)), -E2BIG); /* what follows is not 0 */
	is(num, 0);
	is((num = 0, invalidate(viommu, SELFTEST_INVALIDATE, NULL, 0, &num)), 0);

	/* The device goes first: its number in the table is not given to anybody else. */
	is(destroy(a.stdev), 0);
	is(destroy(vdev), -ENOENT);
	is(destroy(hwpt), 0);
	is(destroy(viommu), 0);
	is(destroy(parent), 0);
}

/* ---- events of a vIOMMU ---- */

static void vevents(void)
{
	struct { struct iommufd_vevent_header header; uint32_t virt_id; } ev[4];
	long ioas = ioas_alloc(), parent, viommu, hwpt, queue, vdev;
	uint32_t q, other;
	struct mock a = { 0 };

	is(mock(ioas, &a), 0);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	viommu = viommu_alloc(a.dev, parent, SELFTEST_VIOMMU, NULL, 0);
	hwpt = hwpt_nested(a.dev, viommu, 0, 3);
	vdev = vdevice_alloc(viommu, a.dev, 0x99);
	is(vdev > 0, 1);
	is(trigger_vevent(a.dev), -ENOENT); /* attached to no table of a vIOMMU */
	is(replace(a.stdev, hwpt, NULL), 0);
	is(trigger_vevent(a.dev), -EOPNOTSUPP); /* no queue */
	is(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_DEFAULT, 2, &q), -EOPNOTSUPP);
	is(veventq_alloc(viommu, SELFTEST_VEVENTQ, 0, &q), -EINVAL);
	is(veventq_alloc(viommu, SELFTEST_VEVENTQ, (1u << 19) + 1, &q), -EINVAL);
	is(veventq_alloc(9999, SELFTEST_VEVENTQ, 2, &q), -ENOENT);
	queue = veventq_alloc(viommu, SELFTEST_VEVENTQ, 2, &q);
	is(queue > 0, 1);
	is(veventq_alloc(viommu, SELFTEST_VEVENTQ, 2, &other), -EEXIST);
	is(destroy(queue), -EBUSY);
	is(destroy(viommu), -EBUSY);
	is(polled(q), 0);
	is(sys(read((int)q, ev, sizeof(ev))), 0);
	is(sys(read((int)q, ev, 7)), -EINVAL);
	is(trigger_vevent(a.dev), 0);
	is(polled(q), POLLIN);
	is(sys(read((int)q, ev, 8)), -EINVAL); /* it does not fit */
	is(sys(read((int)q, ev, sizeof(ev))), 12);
	is(ev[0].header.flags, 0);
	is(ev[0].header.sequence, 0);
	is(ev[0].virt_id, 0x99);
	is(polled(q), 0);
	/* Two fit, two are lost: a header says so. */
	for (unsigned i = 0; i < 4; i++)
		is(trigger_vevent(a.dev), 0);
	is(sys(read((int)q, ev, sizeof(ev))), 12 + 12 + 8);
	is(ev[0].header.sequence, 1);
	is(ev[1].header.sequence, 2);
	is(ev[2].header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	is(ev[2].header.sequence, 4);
	is(trigger_vevent(a.dev), 0);
	is(trigger_vevent(a.dev), 0);
	is(sys(read((int)q, ev, 20)), 12); /* one, and no half */
	is(ev[0].header.sequence, 5);
	is(sys(read((int)q, nowhere, 12)), -EFAULT);
	is(sys(read((int)q, ev, 12)), 12);
	is(ev[0].header.sequence, 6);
	is(sys(write((int)q, ev, 8)), -EINVAL);
	/* The number counts that it had when it was attached; 0 is none to a mock device. */
	is(destroy(vdev), 0);
	is(trigger_vevent(a.dev), 0);
	is(sys(read((int)q, ev, 12)), 12);
	is(ev[0].virt_id, 0x99);
	is(replace(a.stdev, ioas, NULL), 0);
	is(trigger_vevent(a.dev), -ENOENT);
	is(vdevice_alloc(viommu, a.dev, 0) > 0, 1);
	is(replace(a.stdev, hwpt, NULL), 0);
	is(trigger_vevent(a.dev), -ENOENT);
	close((int)q);
	is(destroy(queue), 0);
}

static void hw_queues(void)
{
	long ioas = ioas_alloc(), parent, viommu, q0, q1;
	struct mock a = { 0 };

	is(mock(ioas, &a), 0);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	viommu = viommu_alloc(a.dev, parent, SELFTEST_VIOMMU, NULL, 0);
	is(hw_queue_alloc(viommu, IOMMU_HW_QUEUE_TYPE_DEFAULT, 0, MOCK_START, PG), -EOPNOTSUPP);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START, 0), -EINVAL);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, UINT64_MAX, PG), -EOVERFLOW);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START, PG), -ENOENT);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 2, MOCK_START, PG), -ENOENT); /* the memory first */
	is(hw_queue_alloc(viommu, 5, 2, MOCK_START, PG), -EOPNOTSUPP);
	is(hw_queue_alloc(9999, SELFTEST_HW_QUEUE, 0, MOCK_START, PG), -ENOENT);
	is(map(ioas, buffer, MOCK_PG, MOCK_START + 8 * PG), 0);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START, PG), -EADDRINUSE); /* not aligned to pages */
	is(unmap(ioas, MOCK_START + 8 * PG, MOCK_PG), MOCK_PG);
	/* A queue's memory is contiguous: one page twice is not. */
	is(map(ioas, buffer, PG, MOCK_START + 4 * PG), 0);
	is(map(ioas, buffer, PG, MOCK_START + 5 * PG), 0);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START + 4 * PG, 2 * PG), -EFAULT);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 2, MOCK_START + 5 * PG - 1, 2), -EFAULT);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 2, MOCK_START + 5 * PG, PG), -EINVAL);
	is(unmap(ioas, MOCK_START + 4 * PG, 2 * PG), 2 * PG);
	is(map(ioas, buffer, 2 * PG, MOCK_START), 0);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 2, MOCK_START, PG), -EINVAL);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 1, MOCK_START, PG), -EIO);
	q0 = hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START, PG);
	is(q0 > 0, 1);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START, PG), -EEXIST);
	q1 = hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 1, MOCK_START, PG);
	is(q1 > 0, 1);
	is(destroy(q0 + 1), -EBUSY); /* each has another object beside it */
	is(map(ioas, buffer, MOCK_PG, MOCK_START + 8 * PG), -EINVAL);
	is(q1, q0 + 2);
	is(destroy(q1 + 1), -EBUSY);
	is(unmap(ioas, MOCK_START, 2 * PG), -EBUSY);
	is(destroy(viommu), -EBUSY);
	is(destroy(q0), -EBUSY);
	is(destroy(q1), 0);
	is(destroy(q0), 0);
	is(unmap(ioas, MOCK_START, 2 * PG), 2 * PG);
	is(destroy(viommu), 0);
}

/* A dma-buf that can be revoked.  The call's result is the descriptor; Linux 7.3.4 makes one and says 0. */
static void dmabufs(void)
{
	union test_cmd c = { .w = { [4] = 0 } };
	long ioas = ioas_alloc(), buf;
	struct iommu_ioas_map_file m = { .size = sizeof(m), .flags = 7, .ioas_id = (uint32_t)ioas, .length = 2 * PG,
					 .iova = MOCK_START };
	struct mock a = { 0 };

	is(test(DMABUF_GET, 0, &c), -EINVAL);
	c.w[4] = 2 * MiB + 1;
	is(test(DMABUF_GET, 0, &c), -EINVAL);
	c.w[4] = PG + 1; /* two pages */
	c.w[5] = O_CLOEXEC;
	buf = test(DMABUF_GET, 0, &c);
	if (buf == 0) {
		puts("dmabufs: this kernel does not tell the descriptor: not asked");
		return;
	}
	is(buf > 0, 1);
	is(fcntl((int)buf, F_GETFD), FD_CLOEXEC);
	is(mock(ioas, &a), 0);
	m.fd = (int)buf;
	m.start = PG;
	is(sys(ioctl(fd, IOMMU_IOAS_MAP_FILE, &m)), -EINVAL); /* past its end */
	m.start = 0;
	is(sys(ioctl(fd, IOMMU_IOAS_MAP_FILE, &m)), 0);
	c = (union test_cmd){ .w = { [4] = (uint32_t)fd, [5] = 1 } };
	is(test(DMABUF_REVOKE, 0, &c), -EINVAL);
	c.w[4] = 9999;
	is(test(DMABUF_REVOKE, 0, &c), -EBADF);
	c.w[4] = (uint32_t)buf;
	is(test(DMABUF_REVOKE, 0, &c), 0);
	is(check_map(a.hwpt, MOCK_START, MOCK_PG, buffer), -EINVAL); /* nothing is there any more */
	m.iova += MiB;
	is(sys(ioctl(fd, IOMMU_IOAS_MAP_FILE, &m)), -ENODEV);
	c.w[5] = 0;
	is(test(DMABUF_REVOKE, 0, &c), 0);
	is(sys(ioctl(fd, IOMMU_IOAS_MAP_FILE, &m)), 0);
	is(unmap(ioas, MOCK_START, 2 * PG), 2 * PG); /* the first one is still a mapping */
	close((int)buf);
	is(unmap(ioas, m.iova, 2 * PG), 2 * PG);
}

/* ---- the envelope ---- */

static void envelope(void)
{
	char big[sizeof(union test_cmd) + 64] = { 0 };
	union test_cmd *c = (void *)big;
	long ioas = ioas_alloc();

	memcpy(c, &(union test_cmd){ .q = { [2] = PG, [3] = PG } }, sizeof(*c));
	c->w[1] = ADD_RESERVED;
	c->w[2] = (uint32_t)ioas;
	c->w[0] = 64;
	is(sys(ioctl(fd, TEST_CMD, c)), -EINVAL);
	c->w[0] = 68;
	is(sys(ioctl(fd, TEST_CMD, c)), 0);
	c->w[0] = sizeof(big);
	is(sys(ioctl(fd, TEST_CMD, c)), 0);
	big[sizeof(big) - 1] = 1;
	is(sys(ioctl(fd, TEST_CMD, c)), -E2BIG);
	is(sys(ioctl(fd, TEST_CMD, NULL)), -EFAULT);
	/* A vIOMMU's struct as short as it may be still has the result. */
	is(sys(ioctl(fd, IOMMU_VIOMMU_ALLOC, &(struct iommu_viommu_alloc){ .size = 20 })), -EINVAL);
	is(sys(ioctl(fd, IOMMU_VIOMMU_ALLOC, &(struct iommu_viommu_alloc){ .size = 24 })), -EOPNOTSUPP);
	c->w[0] = sizeof(*c);
	c->w[1] = 0;
	is(sys(ioctl(fd, TEST_CMD, c)), -EOPNOTSUPP);
	c->w[1] = 99;
	is(sys(ioctl(fd, TEST_CMD, c)), -EOPNOTSUPP);
	memset(c, 0, sizeof(*c));
	c->w[4] = 11;
	is(test(MEMORY_LIMIT, 0, c), -EINVAL);
	c->w[4] = 12;
	is(test(MEMORY_LIMIT, 0, c), 0);
	c->w[4] = 65536;
	is(test(MEMORY_LIMIT, 0, c), 0);
}

/* Everything is left as it is: closing the iommufd has to sort it out. */
static void closing(void)
{
	uint32_t ffd, q;
	long ioas = ioas_alloc(), parent, viommu, hwpt, acc;
	struct mock a = { 0 };

	is(mock(ioas, &a), 0);
	is(map(ioas, buffer, 4 * PG, MOCK_START), 0);
	parent = hwpt_alloc(a.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	viommu = viommu_alloc(a.dev, parent, SELFTEST_VIOMMU, NULL, 0);
	hwpt = hwpt_nested(a.dev, viommu, 0, 3);
	is(vdevice_alloc(viommu, a.dev, 5) > 0, 1);
	is(replace(a.stdev, hwpt, NULL), 0);
	is(veventq_alloc(viommu, SELFTEST_VEVENTQ, 5, &q) > 0, 1);
	is(trigger_vevent(a.dev), 0);
	is(fault_alloc(&ffd) > 0, 1);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 0, MOCK_START, PG) > 0, 1);
	is(hw_queue_alloc(viommu, SELFTEST_HW_QUEUE, 1, MOCK_START, PG) > 0, 1);
	acc = create_access(ioas, true);
	is(access_pages(acc, MOCK_START, PG, buffer, 0), 0);
	close(fd);
	/* These keep it open. */
	fd = open("/dev/iommu", O_RDWR);
	is(check_refs(buffer, PG, 1), 0);
	is(sys(read((int)q, buffer + MiB, 64)), 12);
	close((int)q);
	close((int)ffd);
	is(check_refs(buffer, PG, 1), 0);
	close((int)acc);
	is(check_refs(buffer, 4 * PG, 0), 0);
}

/* ---- main ---- */

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "attaching", attaching }, { "mapping", mapping }, { "memory_that_is_not_there", memory_that_is_not_there },
	{ "sharing_pins", sharing_pins }, { "mapped_file", mapped_file }, { "reserved", reserved }, { "accesses", accesses },
	{ "access_and_domain", access_and_domain }, { "hw_info", hw_info }, { "hwpt_errors", hwpt_errors }, { "hwpt_error_order", hwpt_error_order },
	{ "dirty", dirty }, { "dirty_unaligned", dirty_unaligned }, { "dirty_gaps", dirty_gaps },
	{ "dirty_huge", dirty_huge }, { "nested", nested },
	{ "faults", faults }, { "pasids", pasids }, { "viommus", viommus }, { "vevents", vevents },
	{ "hw_queues", hw_queues }, { "dmabufs", dmabufs }, { "envelope", envelope }, { "closing", closing },
};

static bool have_test_ioctl(void)
{
	union test_cmd c = { .w = { sizeof(c) } };
	bool have;

	fd = open("/dev/iommu", O_RDWR);
	have = fd >= 0 && (ioctl(fd, TEST_CMD, &c), errno != ENOTTY);
	close(fd);
	return have;
}

int main(int argc, char **argv)
{
	int ran = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!have_test_ioctl()) {
		puts("SKIP: no /dev/iommu with its test ioctl");
		return 77;
	}
	buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(buffer, BUFFER, MADV_NOHUGEPAGE);
	memset(buffer, 0, BUFFER);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc > 1 && strcmp(argv[1], cases[i].name))
			continue;
		current = cases[i].name;
		fd = open("/dev/iommu", O_RDWR);
		cases[i].run();
		close(fd);
		ran++;
	}
	printf("%d cases, %d checks, %d failures\n", ran, checks, failures);
	return !ran || failures;
}
