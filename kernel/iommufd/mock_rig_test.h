/* SPDX-License-Identifier: BSD-3-Clause */
/* mock_rig_test.h - the calls of the test ioctl and of page tables, for the tests that use mock devices. */
#ifndef KERNEL_IOMMUFD_MOCK_RIG_TEST_H
#define KERNEL_IOMMUFD_MOCK_RIG_TEST_H

#include "kernel/iommufd/iommufd_rig_test.h"
#include "kernel/iommufd/iommufd_test.h"

struct t_mock {
	u32 stdev, hwpt, dev;
};

static T_UNUSED int t_mock_machine(void **state)
{
	iommufd_test_enable();
	return t_machine(state);
}

static T_UNUSED long t_test(int fd, enum iommu_test_op op, u32 id, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	cmd->id = id;
	return t_ioctl(fd, IOMMU_TEST_CMD, cmd);
}

static T_UNUSED long t_mock_flags(int fd, u32 pt, u32 flags, struct t_mock *m)
{
	struct iommu_test_cmd cmd = { .mock_domain.dev_flags = flags };
	long ret = t_test(fd, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, pt, &cmd);

	if (!ret)
		*m = (struct t_mock){ cmd.mock_domain.out_stdev_id, cmd.mock_domain.out_hwpt_id,
				      cmd.mock_domain.out_idev_id };
	return ret;
}

static T_UNUSED long t_mock(int fd, u32 pt, struct t_mock *m)
{
	return t_mock_flags(fd, pt, 0, m);
}

static T_UNUSED long t_replace(int fd, u32 stdev, u32 pt, u32 *ret_hwpt)
{
	struct iommu_test_cmd cmd = { .mock_domain_replace.pt_id = pt };
	long ret = t_test(fd, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, stdev, &cmd);

	if (ret_hwpt)
		*ret_hwpt = cmd.mock_domain_replace.pt_id;
	return ret;
}

static T_UNUSED long t_check_map(int fd, u32 hwpt, u64 iova, u64 len, const void *va)
{
	struct iommu_test_cmd cmd = { .check_map = { iova, len, (uintptr_t)va } };

	return t_test(fd, IOMMU_TEST_OP_MD_CHECK_MAP, hwpt, &cmd);
}

static T_UNUSED long t_check_refs(int fd, const void *va, u64 len, u32 refs)
{
	struct iommu_test_cmd cmd = { .check_refs = { len, (uintptr_t)va, refs } };

	return t_test(fd, IOMMU_TEST_OP_MD_CHECK_REFS, 0, &cmd);
}

static T_UNUSED long t_access(int fd, u32 ioas, bool pins)
{
	struct iommu_test_cmd cmd = { .create_access.flags = pins };
	long ret = t_test(fd, IOMMU_TEST_OP_CREATE_ACCESS, ioas, &cmd);

	return ret ? ret : (long)cmd.create_access.out_access_fd;
}

static T_UNUSED long t_pin(int fd, int access, u64 iova, u64 len, const void *va)
{
	struct iommu_test_cmd cmd = { .access_pages = { .iova = iova, .length = len, .uptr = (uintptr_t)va } };
	long ret = t_test(fd, IOMMU_TEST_OP_ACCESS_PAGES, (u32)access, &cmd);

	return ret ? ret : (long)cmd.access_pages.out_access_pages_id;
}

static T_UNUSED long t_unpin(int fd, int access, u32 item)
{
	struct iommu_test_cmd cmd = { .destroy_access_pages.access_pages_id = item };

	return t_test(fd, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, (u32)access, &cmd);
}

static T_UNUSED long t_move_access(int fd, int access, u32 ioas)
{
	struct iommu_test_cmd cmd = { .access_replace_ioas.ioas_id = ioas };

	return t_test(fd, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, (u32)access, &cmd);
}

static T_UNUSED long t_hwpt_alloc(int fd, struct iommu_hwpt_alloc *cmd)
{
	long ret;

	cmd->size = sizeof(*cmd);
	ret = t_ioctl(fd, IOMMU_HWPT_ALLOC, cmd);
	return ret ? ret : cmd->out_hwpt_id;
}

static T_UNUSED long t_hwpt(int fd, u32 dev, u32 pt, u32 flags)
{
	struct iommu_hwpt_alloc cmd = { .dev_id = dev, .pt_id = pt, .flags = flags };

	return t_hwpt_alloc(fd, &cmd);
}

static T_UNUSED long t_nested(int fd, u32 dev, u32 pt, u32 flags, u32 fault)
{
	static const struct iommu_hwpt_selftest data = { .iotlb = 0xbadbeef };
	struct iommu_hwpt_alloc cmd = {
		.dev_id = dev, .pt_id = pt, .flags = flags, .data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_uptr = (uintptr_t)&data, .data_len = sizeof(data), .fault_id = fault,
	};

	return t_hwpt_alloc(fd, &cmd);
}

static T_UNUSED long t_fault_alloc(int fd, int *ret_fd)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	long ret = t_ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*ret_fd = ret ? -1 : (int)cmd.out_fault_fd;
	return ret ? ret : cmd.out_fault_id;
}

static T_UNUSED long t_viommu(int fd, u32 dev, u32 hwpt, struct iommu_viommu_selftest *data)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd), .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = dev, .hwpt_id = hwpt,
		.data_uptr = (uintptr_t)data, .data_len = data ? sizeof(*data) : 0,
	};
	long ret = t_ioctl(fd, IOMMU_VIOMMU_ALLOC, &cmd);

	return ret ? ret : cmd.out_viommu_id;
}

static T_UNUSED long t_vdevice(int fd, u32 viommu, u32 dev, u64 virt_id)
{
	struct iommu_vdevice_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .dev_id = dev, .virt_id = virt_id };
	long ret = t_ioctl(fd, IOMMU_VDEVICE_ALLOC, &cmd);

	return ret ? ret : cmd.out_vdevice_id;
}

static T_UNUSED long t_veventq(int fd, u32 viommu, u32 depth, int *ret_fd)
{
	struct iommu_veventq_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
					   .veventq_depth = depth };
	long ret = t_ioctl(fd, IOMMU_VEVENTQ_ALLOC, &cmd);

	*ret_fd = ret ? -1 : (int)cmd.out_veventq_fd;
	return ret ? ret : cmd.out_veventq_id;
}

static T_UNUSED long t_hw_queue(int fd, u32 viommu, u32 index, u64 iova, u64 len)
{
	struct iommu_hw_queue_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
					    .index = index, .nesting_parent_iova = iova, .length = len };
	long ret = t_ioctl(fd, IOMMU_HW_QUEUE_ALLOC, &cmd);

	return ret ? ret : cmd.out_hw_queue_id;
}

static T_UNUSED long t_pasid(int fd, enum iommu_test_op op, u32 stdev, u32 pasid, u32 pt)
{
	struct iommu_test_cmd cmd = { .pasid_attach = { pasid, pt } };

	return t_test(fd, op, stdev, &cmd);
}

static T_UNUSED long t_iopf(int fd, u32 dev, u32 pasid, u32 grpid)
{
	struct iommu_test_cmd cmd = { .trigger_iopf = { dev, pasid, grpid, 1, 0x1000 } };

	return t_test(fd, IOMMU_TEST_OP_TRIGGER_IOPF, 0, &cmd);
}

static T_UNUSED long t_vevent(int fd, u32 dev)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = dev };

	return t_test(fd, IOMMU_TEST_OP_TRIGGER_VEVENT, 0, &cmd);
}

static T_UNUSED ssize_t t_read(int fd, void *buf, size_t len)
{
	struct file *file = fget(fd);
	u64 pos = 0;
	ssize_t ret;

	assert_non_null(file);
	explain_begin();
	ret = file->f_op->read(file, buf, len, &pos);
	fput(file);
	return ret;
}

static T_UNUSED ssize_t t_write(int fd, const void *buf, size_t len)
{
	struct file *file = fget(fd);
	u64 pos = 0;
	ssize_t ret;

	assert_non_null(file);
	explain_begin();
	ret = file->f_op->write(file, buf, len, &pos);
	fput(file);
	return ret;
}

#endif
