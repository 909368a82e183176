/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest.c - IOMMU_TEST_CMD: the ioctl by which a program has iommufd tested without a device.
 *
 * Off (ENOTTY, as in a kernel without CONFIG_IOMMUFD_TEST) unless asked for: `softvfio run --iommufd-test`.
 * It makes mock devices (selftest_mock.c) and access files (selftest_access.c) and asks what became of
 * them.  A mock device is an object that the program destroys; it stands for device, binding and attachment.
 */
#include "kernel/iommufd/selftest.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/iommufd_test.h"
#include "kernel/iommufd/selftest_access.h"
#include "kernel/iommufd/selftest_dmabuf.h"
#include "kernel/iommufd/selftest_mock.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fault-inject.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

/* A mock device in a context. */
struct iommufd_selftest {
	struct iommufd_object obj;
	struct mock_dev *mdev;		/* NULL half-built, as the next */
	struct iommufd_device *idev;
};

static bool enabled; /* set before the first context */
static _Atomic u32 memory_limit = 65536; /* told, and of no further effect: no batches are made here */

void iommufd_test_enable(void)
{
	enabled = true;
}

bool iommufd_test_enabled(void)
{
	return enabled;
}

bool iommufd_should_fail(void)
{
	return enabled && should_fail(FAULT_IOMMUFD, 1);
}

/* ---- mock devices ---- */

bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return to_mock_dev(dev);
}

void iommufd_selftest_destroy(struct iommufd_object *obj)
{
	struct iommufd_selftest *st = container_of(obj, struct iommufd_selftest, obj);

	if (st->idev) {
		iommufd_device_detach(st->idev, IOMMU_NO_PASID);
		iommufd_device_detach_pasids(st->idev);
		iommufd_device_unbind(st->idev);
	}
	if (st->mdev)
		mock_dev_destroy(st->mdev);
}

/* Bound and attached; what is half-built is undone by destroying @st. */
static int build_device(struct iommufd_ctx *ictx, struct iommufd_selftest *st, u32 flags, u32 *pt_id, u32 *ret_dev_id)
{
	struct iommufd_device *idev;
	struct mock_dev *mdev = mock_dev_create(flags);

	if (IS_ERR(mdev))
		return (int)PTR_ERR(mdev);
	st->mdev = mdev;
	idev = iommufd_device_bind(ictx, &mdev->dev, ret_dev_id);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	st->idev = idev;
	return iommufd_device_attach(idev, IOMMU_NO_PASID, pt_id);
}

static int op_mock_domain_flags(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->mock_domain.dev_flags, pt_id = cmd->id, dev_id;
	struct iommufd_selftest *st;
	int err;

	if (flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID))
		return fail(-EINVAL, "dev_flags 0x%x: bits 0 and 2 are all that is known", flags);
	st = iommufd_object_alloc_ucmd(ucmd, st, IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(st))
		return (int)PTR_ERR(st);
	err = build_device(ucmd->ictx, st, flags, &pt_id, &dev_id);
	if (err)
		return err;
	cmd->mock_domain.out_stdev_id = st->obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = dev_id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

static int op_mock_domain(struct iommufd_ucmd *ucmd)
{
	((struct iommu_test_cmd *)ucmd->cmd)->mock_domain.dev_flags = 0;
	return op_mock_domain_flags(ucmd);
}

static struct iommufd_selftest *get_selftest(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_SELFTEST);

	return IS_ERR(obj) ? ERR_PTR(PTR_ERR(obj)) : container_of(obj, struct iommufd_selftest, obj);
}

/* Attach or replace, by PASID, and tell the page table's number. */
static int change_attachment(struct iommufd_ucmd *ucmd, u32 pasid, u32 *pt_id,
			     int (*change)(struct iommufd_device *idev, u32 pasid, u32 *pt_id))
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_selftest *st = get_selftest(ucmd->ictx, cmd->id);
	int err;

	if (IS_ERR(st))
		return (int)PTR_ERR(st);
	err = change(st->idev, pasid, pt_id);
	if (!err)
		err = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	iommufd_put_object(ucmd->ictx, &st->obj);
	return err;
}

static int op_mock_domain_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	return change_attachment(ucmd, IOMMU_NO_PASID, &cmd->mock_domain_replace.pt_id, iommufd_device_replace);
}

static int op_pasid_attach(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	return change_attachment(ucmd, cmd->pasid_attach.pasid, &cmd->pasid_attach.pt_id, iommufd_device_attach);
}

static int op_pasid_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	return change_attachment(ucmd, cmd->pasid_attach.pasid, &cmd->pasid_attach.pt_id, iommufd_device_replace);
}

static int op_pasid_detach(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_selftest *st = get_selftest(ucmd->ictx, cmd->id);

	if (IS_ERR(st))
		return (int)PTR_ERR(st);
	iommufd_device_detach(st->idev, cmd->pasid_detach.pasid);
	iommufd_put_object(ucmd->ictx, &st->obj);
	return 0;
}

/* What the core has attached, which iommufd must agree with. */
static int check_pasid_hwpt(struct iommufd_device *idev, u32 pasid, u32 hwpt_id)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommu_domain *domain;
	u32 id;

	mutex_lock(&idev->igroup->lock);
	hwpt = iommufd_device_hwpt_locked(idev, pasid);
	id = hwpt ? hwpt->obj.id : 0;
	domain = pasid == IOMMU_NO_PASID ? iommu_group_attached_domain(idev->igroup->group) :
					   iommu_device_pasid_domain(idev->dev, pasid);
	assert(domain == (hwpt ? hwpt->domain : NULL));
	mutex_unlock(&idev->igroup->lock);
	if (id != hwpt_id)
		return fail(-EINVAL, "PASID %u is attached to %u (0: nothing), not to %u", pasid, id, hwpt_id);
	return 0;
}

static int op_pasid_check(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_selftest *st = get_selftest(ucmd->ictx, cmd->id);
	struct iommufd_object *hwpt = NULL;
	int err;

	if (IS_ERR(st))
		return (int)PTR_ERR(st);
	if (cmd->pasid_check.hwpt_id)
		hwpt = iommufd_get_object(ucmd->ictx, cmd->pasid_check.hwpt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(hwpt))
		err = (int)PTR_ERR(hwpt);
	else
		err = check_pasid_hwpt(st->idev, cmd->pasid_check.pasid, cmd->pasid_check.hwpt_id);
	if (hwpt && !IS_ERR(hwpt))
		iommufd_put_object(ucmd->ictx, hwpt);
	iommufd_put_object(ucmd->ictx, &st->obj);
	return err;
}

/* ---- what is mapped ---- */

static int op_add_reserved(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	u64 start = cmd->add_reserved.start, length = cmd->add_reserved.length, last;
	struct iommufd_ioas *ioas;
	int err;

	if (!length)
		return fail(-EINVAL, "length is 0: there is nothing to reserve");
	if (range_overflows(start, length, &last))
		return fail(-EOVERFLOW, "start 0x%llx plus length 0x%llx wraps around", (ull)start, (ull)length);
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->id);
	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	err = iopt_reserve_iova(&ioas->iopt, start, last, &enabled); /* any owner that is nobody else's */
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return err;
}

static int check_map(struct iommu_domain *domain, u64 iova, u64 length, u64 uptr)
{
	u64 page = iommu_domain_min_page(domain), end;

	if (!IS_ALIGNED(iova | length, page))
		return fail(-EINVAL, "iova 0x%llx or length 0x%llx is no multiple of 0x%llx", (ull)iova, (ull)length,
			    (ull)page);
	if (__builtin_add_overflow(uptr, length, &end))
		return fail(-EINVAL, "uptr 0x%llx plus length 0x%llx wraps around", (ull)uptr, (ull)length);
	for (u64 off = 0; off < length; off += page) {
		phys_addr_t phys = iommu_iova_to_phys(domain, iova + off);
		int same = phys ? mock_same_memory(phys, uptr + off) : 0;

		if (same < 0)
			return same;
		if (!same)
			return fail(-EINVAL, "iova 0x%llx %s 0x%llx", (ull)(iova + off),
				    phys ? "does not lead to" : "is not mapped, so not to", (ull)(uptr + off));
	}
	return 0;
}

/* A page table of the mock IOMMU, shortterm; the op ends with it.  ERR_PTR(-ENOENT), ERR_PTR(-EINVAL). */
static struct iommufd_hwpt_paging *get_mock_hwpt(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_get_hwpt_paging(ictx, id);

	if (IS_ERR(hwpt) || to_mock_domain(hwpt->common.domain))
		return hwpt;
	iommufd_put_object(ictx, &hwpt->common.obj);
	return ERR_PTR(fail(-EINVAL, "page table %u is none of the mock IOMMU's", id));
}

static int op_check_map(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt = get_mock_hwpt(ucmd->ictx, cmd->id);
	int err;

	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	err = check_map(hwpt->common.domain, cmd->check_map.iova, cmd->check_map.length, cmd->check_map.uptr);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	return err;
}

static int op_check_refs(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	u64 uptr = cmd->check_refs.uptr, length = cmd->check_refs.length, end;
	u8 byte;

	if (!IS_ALIGNED(uptr | length, PAGE_SIZE))
		return fail(-EINVAL, "uptr 0x%llx or length 0x%llx is no multiple of 4096", (ull)uptr, (ull)length);
	if (__builtin_add_overflow(uptr, length, &end))
		return fail(-EINVAL, "uptr 0x%llx plus length 0x%llx wraps around", (ull)uptr, (ull)length);
	for (u64 off = 0; off < length; off += PAGE_SIZE) {
		long refs = mm_pin_count(current_mm(), uptr + off);

		if (refs < 0)
			return (int)refs;
		if (copy_from_user(&byte, (const void __user *)(uintptr_t)(uptr + off), 1))
			return fail(-EFAULT, "there is no memory at 0x%llx", (ull)(uptr + off));
		if (refs != (long)cmd->check_refs.refs)
			return fail(-EIO, "the page at 0x%llx has %ld pins, not %u", (ull)(uptr + off), refs,
				    cmd->check_refs.refs);
	}
	return 0;
}

static int op_memory_limit(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;

	if (cmd->memory_limit.limit < 12)
		return fail(-EINVAL, "limit %u is less than 12", cmd->memory_limit.limit);
	atomic_store(&memory_limit, cmd->memory_limit.limit);
	return 0;
}

/* ---- dirty bits ---- */

/* The page tables that the device "writes" through: mark what is mapped in [iova, last]. */
static void mark_dirty_locked(struct mock_domain *mock, u64 iova, u64 last)
{
	struct mock_page page;

	while (mock_pt_next(&mock->pt, iova, last, &page)) {
		mock_pt_set_dirty(&mock->pt, page.iova, true);
		if (page.iova + page.bytes - 1 >= last)
			break;
		iova = page.iova + page.bytes;
	}
}

static u64 mark_bits_locked(struct mock_domain *mock, const u8 *bits, u64 nr, u64 iova, u64 page_size)
{
	u64 count = 0;

	for (u64 i = 0; i < nr; i++) {
		u64 start = iova + i * page_size;

		if (!(bits[i / 8] & BIT(i % 8)))
			continue;
		mark_dirty_locked(mock, start, start + page_size - 1);
		count++;
	}
	return count;
}

/* With no bits it asks whether bits can be marked. */
static int mark_piece(struct mock_domain *mock, const u8 *bits, u64 nr, u64 iova, u64 page_size, u64 *count)
{
	int err = 0;

	mutex_lock(&mock->domain.lock);
	if (mock->tracking)
		*count += mark_bits_locked(mock, bits, nr, iova, page_size);
	else
		err = fail(-EINVAL, "dirty tracking of the page table is off");
	mutex_unlock(&mock->domain.lock);
	return err;
}

#define DIRTY_PIECE_BYTES 4096u
#define DIRTY_BITS_MAX (1ull << 27)

static int mark_dirty(struct mock_domain *mock, struct iommu_test_cmd *cmd)
{
	u64 page_size = cmd->dirty.page_size, nr = cmd->dirty.length / page_size, count = 0;
	u8 bits[DIRTY_PIECE_BYTES];
	int err = mark_piece(mock, NULL, 0, 0, page_size, &count);

	for (u64 at = 0; at < nr && !err; at += 8 * DIRTY_PIECE_BYTES) {
		u64 n = min(nr - at, (u64)(8 * DIRTY_PIECE_BYTES)), bytes = (n + 7) / 8;

		if (copy_from_user(bits, (const void __user *)(uintptr_t)(cmd->dirty.uptr + at / 8), bytes))
			return fail(-EFAULT, "%llu bytes of the bitmap at 0x%llx cannot be read", (ull)bytes,
				    (ull)(cmd->dirty.uptr + at / 8));
		err = mark_piece(mock, bits, n, cmd->dirty.iova + at * page_size, page_size, &count);
	}
	cmd->dirty.out_nr_dirty = count;
	return err;
}

static int op_dirty(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u64 page_size = cmd->dirty.page_size;
	struct iommufd_hwpt_paging *hwpt;
	int err;

	if (!page_size || !cmd->dirty.length || !cmd->dirty.uptr || cmd->dirty.iova % page_size ||
	    cmd->dirty.length % page_size)
		return fail(-EINVAL, "iova 0x%llx, length 0x%llx, page_size 0x%llx, bitmap 0x%llx: whole pages, a bitmap",
			    (ull)cmd->dirty.iova, (ull)cmd->dirty.length, (ull)page_size, (ull)cmd->dirty.uptr);
	if (cmd->dirty.length / page_size > DIRTY_BITS_MAX)
		return fail(-EOVERFLOW, "a bitmap of %llu bits: %llu are the most", (ull)(cmd->dirty.length / page_size),
			    DIRTY_BITS_MAX);
	hwpt = get_mock_hwpt(ucmd->ictx, cmd->id);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	err = mark_dirty(to_mock_domain(hwpt->common.domain), cmd);
	if (!err)
		err = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	return err;
}

/* ---- what hardware caches ---- */

static int check_word(const char *what, const _Atomic u32 *words, u32 nr, const struct iommu_test_cmd *cmd)
{
	u32 index = cmd->check_word.index, is;

	if (index >= nr)
		return fail(-EINVAL, "%s %u: there are %u", what, index, nr);
	is = atomic_load(&words[index]);
	if (is != cmd->check_word.value)
		return fail(-EINVAL, "%s %u is 0x%x, not 0x%x", what, index, is, cmd->check_word.value);
	return 0;
}

static int op_check_iotlb(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_hwpt_nested *hwpt = iommufd_get_hwpt_nested(ucmd->ictx, cmd->id);
	struct mock_nested *nested;
	int err;

	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	nested = to_mock_nested(hwpt->common.domain);
	if (nested)
		err = check_word("iotlb", nested->iotlb, MOCK_NESTED_IOTLBS, cmd);
	else
		err = fail(-EINVAL, "page table %u is none of the mock IOMMU's", cmd->id);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	return err;
}

/* A device that is bound and a mock, shortterm.  ERR_PTR(-ENOENT), ERR_PTR(-EINVAL). */
static struct iommufd_device *get_mock_device(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_device *idev = iommufd_get_device(ictx, id);

	if (IS_ERR(idev) || to_mock_dev(idev->dev))
		return idev;
	iommufd_put_object(ictx, &idev->obj);
	return ERR_PTR(fail(-EINVAL, "device %u is no mock device", id));
}

static int op_check_cache(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_device *idev = get_mock_device(ucmd->ictx, cmd->id);
	int err;

	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	err = check_word("cache", to_mock_dev(idev->dev)->cache, MOCK_DEV_CACHES, cmd);
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return err;
}

/* ---- events ---- */

static int op_trigger_iopf(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 pasid = cmd->trigger_iopf.pasid;
	struct iommufd_device *idev = get_mock_device(ucmd->ictx, cmd->trigger_iopf.dev_id);
	struct iommu_page_request request = {
		.flags = IOMMU_FAULT_LAST_PAGE | (pasid == IOMMU_NO_PASID ? 0 : IOMMU_FAULT_PASID_VALID),
		.pasid = pasid,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.addr = cmd->trigger_iopf.addr,
	};

	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	(void)iommu_report_page_request(idev->dev, &request);
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return 0;
}

/* By the vIOMMU behind what is attached; igroup->lock keeps it. */
static int trigger_vevent_locked(struct iommufd_device *idev)
{
	struct iommufd_hw_pagetable *hwpt = iommufd_device_hwpt_locked(idev, IOMMU_NO_PASID);
	struct mock_nested *nested = hwpt ? to_mock_nested(hwpt->domain) : NULL;
	struct iommu_viommu_event_selftest event;
	u64 virt_id = atomic_load(&to_mock_dev(idev->dev)->virt_id);

	if (!nested || !nested->viommu)
		return fail(-ENOENT, "%s is attached to no page table of a vIOMMU", idev->dev->name);
	if (!virt_id)
		return fail(-ENOENT, "%s was called 0 when it was attached: a mock device takes that for no vDEVICE",
			    idev->dev->name);
	event.virt_id = (u32)virt_id;
	return iommufd_viommu_report_event(nested->viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, &event, sizeof(event));
}

static int op_trigger_vevent(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_device *idev = get_mock_device(ucmd->ictx, cmd->trigger_vevent.dev_id);
	int err;

	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	mutex_lock(&idev->igroup->lock);
	err = trigger_vevent_locked(idev);
	mutex_unlock(&idev->igroup->lock);
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return err;
}

/* ---- all of them ---- */

static int (*const ops[])(struct iommufd_ucmd *ucmd) = {
	[IOMMU_TEST_OP_ADD_RESERVED] = op_add_reserved,
	[IOMMU_TEST_OP_MOCK_DOMAIN] = op_mock_domain,
	[IOMMU_TEST_OP_MD_CHECK_MAP] = op_check_map,
	[IOMMU_TEST_OP_MD_CHECK_REFS] = op_check_refs,
	[IOMMU_TEST_OP_CREATE_ACCESS] = mock_access_create,
	[IOMMU_TEST_OP_DESTROY_ACCESS_PAGES] = mock_access_destroy_pages,
	[IOMMU_TEST_OP_ACCESS_PAGES] = mock_access_pages,
	[IOMMU_TEST_OP_ACCESS_RW] = mock_access_rw,
	[IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT] = op_memory_limit,
	[IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE] = op_mock_domain_replace,
	[IOMMU_TEST_OP_ACCESS_REPLACE_IOAS] = mock_access_replace_ioas,
	[IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS] = op_mock_domain_flags,
	[IOMMU_TEST_OP_DIRTY] = op_dirty,
	[IOMMU_TEST_OP_MD_CHECK_IOTLB] = op_check_iotlb,
	[IOMMU_TEST_OP_TRIGGER_IOPF] = op_trigger_iopf,
	[IOMMU_TEST_OP_DEV_CHECK_CACHE] = op_check_cache,
	[IOMMU_TEST_OP_TRIGGER_VEVENT] = op_trigger_vevent,
	[IOMMU_TEST_OP_PASID_ATTACH] = op_pasid_attach,
	[IOMMU_TEST_OP_PASID_REPLACE] = op_pasid_replace,
	[IOMMU_TEST_OP_PASID_DETACH] = op_pasid_detach,
	[IOMMU_TEST_OP_PASID_CHECK_HWPT] = op_pasid_check,
	[IOMMU_TEST_OP_DMABUF_GET] = mock_dmabuf_get,
	[IOMMU_TEST_OP_DMABUF_REVOKE] = mock_dmabuf_revoke,
};

int iommufd_test(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;

	if (!enabled)
		return fail(-ENOTTY, "the test ioctl is off: softvfio run --iommufd-test turns it on");
	if (cmd->op >= ARRAY_SIZE(ops) || !ops[cmd->op])
		return fail(-EOPNOTSUPP, "op %u is not known", cmd->op);
	return ops[cmd->op](ucmd);
}
