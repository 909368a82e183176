/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attach_test.c - domains that are attached, replaced and detached, by RID and by PASID; page requests; what
 * user space hands to a driver.
 *
 * The unit is a hidden one that notes what it is told: which domain each device has for each PASID, and
 * what answers to page requests were.  Its pages have 2048 bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"

#define DEVICES 3
#define PASIDS 16
#define UNIT_PAGE 2048u

static struct iommu_device unit;
static struct device devices[DEVICES];
static struct iommu_domain *has[DEVICES][PASIDS]; /* by device id and PASID */
static int refuse_devid, refuse_err;		  /* attaching that device fails */
static struct { unsigned nr; u16 devid; u32 grpid; enum iommu_page_response_code code; } answers;
static struct { u64 iova, len, phys; } mapped;
static unsigned syncs;

/* ---- the unit ---- */

static int t_attach(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid)
{
	if (domain->type != IOMMU_DOMAIN_BLOCKED && devid == refuse_devid)
		return fail(refuse_err, "told to refuse");
	if (domain->iommu && domain->iommu != iommu)
		return fail(-EINVAL, "another unit's");
	has[devid][0] = domain;
	return 0;
}

static int t_set_pasid(struct iommu_device *iommu, struct iommu_domain *domain, u16 devid, u32 pasid,
		       struct iommu_domain *old)
{
	assert_ptr_equal(old ? old : &iommu_blocked_domain, has[devid][pasid]);
	if (domain->type != IOMMU_DOMAIN_BLOCKED && devid == refuse_devid)
		return fail(refuse_err, "told to refuse");
	has[devid][pasid] = domain;
	return 0;
}

static unsigned t_pasid_bits(struct iommu_device *iommu, u16 devid) { return 4; }

static void t_response(struct iommu_device *iommu, u16 devid, const struct iommu_page_request *last,
		       enum iommu_page_response_code code)
{
	answers.nr++;
	answers.devid = devid;
	answers.grpid = last->grpid;
	answers.code = code;
}

static int t_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len_bytes, int prot)
{
	mapped.iova = iova;
	mapped.len = len_bytes;
	mapped.phys = phys;
	return 0;
}

static u64 t_unmap(struct iommu_domain *domain, u64 iova, u64 len_bytes) { return len_bytes; }
static void t_sync(struct iommu_domain *domain, u64 iova, u64 last) { syncs++; }
static phys_addr_t t_iova_to_phys(struct iommu_domain *domain, u64 iova) { return 0; }

static void t_free(struct iommu_domain *domain)
{
	mutex_destroy(&domain->lock);
	free(domain);
}

static const struct iommu_domain_ops t_domain_ops = {
	.map = t_map, .unmap = t_unmap, .iova_to_phys = t_iova_to_phys, .free = t_free,
};

static struct iommu_domain *t_alloc(struct iommu_device *iommu, struct device *dev)
{
	struct iommu_domain *domain = calloc(1, sizeof(*domain));

	assert_non_null(domain);
	*domain = (struct iommu_domain){
		.type = IOMMU_DOMAIN_PAGING, .ops = &t_domain_ops, .iommu = iommu,
		.pgsize_bitmap = UNIT_PAGE | 1u << 20, .aperture_last = 0x7fffffff,
	};
	mutex_init(&domain->lock, LOCK_IOMMU_DOMAIN);
	return domain;
}

static const struct iommu_device_ops t_ops = {
	.domain_alloc_paging = t_alloc, .attach_dev = t_attach, .set_dev_pasid = t_set_pasid, .iotlb_sync = t_sync,
	.pasid_bits = t_pasid_bits, .page_response = t_response, .user_pasid_table = true,
};
static const struct iommu_device_ops t_plain_ops = {
	.domain_alloc_paging = t_alloc, .attach_dev = t_attach, .iotlb_sync = t_sync,
};

/* Devices 0 and 1 are one group, device 2 is alone. */
static int setup(void **state)
{
	static const char *const names[DEVICES] = { "a", "b", "c" };

	unit = (struct iommu_device){ .name = "unit", .ops = &t_ops, .hidden = true };
	refuse_devid = -1;
	memset(&answers, 0, sizeof(answers));
	for (unsigned i = 0; i < DEVICES; i++) {
		devices[i] = (struct device){ .name = names[i] };
		for (unsigned p = 0; p < PASIDS; p++)
			has[i][p] = &iommu_blocked_domain;
	}
	assert_int_equal(iommu_probe_device(&unit, &devices[0], 0, IOMMU_GROUP_NEW), 0);
	assert_int_equal(iommu_probe_device(&unit, &devices[1], 1, iommu_group_id(devices[0].iommu_group)), 0);
	assert_int_equal(iommu_probe_device(&unit, &devices[2], 2, IOMMU_GROUP_NEW), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		iommu_device_set_caps(&devices[i], &(struct iommu_device_caps){ .max_pasids = 1u << 20 });
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < DEVICES; i++)
		iommu_release_device(&devices[i]);
	assert_int_equal(unit.devices, 0);
	return 0;
}

static struct iommu_domain *new_domain(void)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(&devices[0]);

	assert_false(IS_ERR(domain));
	return domain;
}

/* ---- groups ---- */

static void test_hidden_groups(void **state)
{
	unsigned first = iommu_group_id(devices[0].iommu_group), second = iommu_group_id(devices[2].iommu_group);

	assert_int_equal(first, 65536);
	assert_int_equal(second, 65537);
	iommu_release_device(&devices[2]);
	assert_int_equal(iommu_probe_device(&unit, &devices[2], 2, IOMMU_GROUP_NEW), 0);
	assert_int_equal(iommu_group_id(devices[2].iommu_group), second); /* free again */
	assert_ptr_equal(iommu_device_of(&devices[2], NULL), &unit);
	assert_null(iommu_device_of(&(struct device){ .name = "none" }, NULL));
}

static void test_attach_replace_detach(void **state)
{
	struct iommu_domain *a = new_domain(), *b = new_domain();
	struct iommu_group *group = devices[0].iommu_group;
	struct iommu_attach_handle ha, hb;

	assert_null(iommu_group_attached_domain(group));
	assert_int_equal(iommu_replace_group_handle(group, b, &hb), -EINVAL);
	assert_int_equal(iommu_attach_group_handle(a, group, &ha), 0);
	assert_ptr_equal(ha.domain, a);
	assert_true(has[0][0] == a && has[1][0] == a);
	assert_int_equal(iommu_attach_group_handle(b, group, &hb), -EBUSY);
	assert_int_equal(iommu_replace_group_handle(group, b, &hb), 0);
	assert_true(has[0][0] == b && has[1][0] == b);
	assert_ptr_equal(iommu_group_attached_domain(group), b);
	refuse_devid = 1;
	refuse_err = -ENOMEM;
	assert_int_equal(iommu_replace_group_handle(group, a, &ha), -ENOMEM);
	refuse_devid = -1;
	assert_true(has[0][0] == b && has[1][0] == b); /* all where they were */
	iommu_detach_group_handle(group);
	assert_ptr_equal(has[0][0], &iommu_blocked_domain);
	assert_null(iommu_group_attached_domain(group));
	iommu_detach_group_handle(group);
	iommu_domain_free(a);
	iommu_domain_free(b);
}

/* Blocked and identity can be attached as any other, and then the group is taken. */
static void test_attach_core_domains(void **state)
{
	struct iommu_group *group = devices[2].iommu_group;
	int owner;

	assert_ptr_equal(iommu_group_default_domain(group), &iommu_blocked_domain);
	assert_int_equal(iommu_group_set_default_type(group, IOMMU_DEFAULT_IDENTITY), 0);
	assert_ptr_equal(iommu_group_default_domain(group), &iommu_identity_domain);
	assert_ptr_equal(has[2][0], &iommu_identity_domain);
	assert_int_equal(iommu_group_claim_dma_owner(group, &owner), 0);
	assert_ptr_equal(has[2][0], &iommu_blocked_domain);
	assert_int_equal(iommu_attach_group(&iommu_identity_domain, group), 0);
	assert_ptr_equal(has[2][0], &iommu_identity_domain);
	assert_int_equal(iommu_attach_group(&iommu_blocked_domain, group), -EBUSY);
	assert_int_equal(iommu_replace_group_handle(group, &iommu_blocked_domain, NULL), 0);
	assert_ptr_equal(iommu_group_attached_domain(group), &iommu_blocked_domain);
	iommu_group_release_dma_owner(group);
	assert_ptr_equal(has[2][0], &iommu_identity_domain); /* the default again */
	iommu_domain_free(&iommu_blocked_domain);	     /* nothing happens */
	assert_int_equal(iommu_map(&iommu_identity_domain, 0, 0, 4096, IOMMU_READ), -EINVAL);
	assert_int_equal(iommu_unmap(&iommu_identity_domain, 0, 4096), 0);
	assert_int_equal(iommu_iova_to_phys(&iommu_identity_domain, 0x1234), 0x1234);
	assert_int_equal(iommu_iova_to_phys(&iommu_blocked_domain, 0x1234), 0);
}

/* ---- PASIDs ---- */

static void test_pasid(void **state)
{
	struct iommu_domain *a = new_domain(), *b = new_domain();
	struct iommu_attach_handle ha, hb;

	assert_int_equal(iommu_max_pasids(&devices[0]), 16); /* the unit's width is the narrower one */
	assert_int_equal(iommu_attach_device_pasid(a, &devices[0], 0, &ha), -EINVAL);
	assert_int_equal(iommu_attach_device_pasid(a, &devices[0], 16, &ha), -EINVAL);
	assert_int_equal(iommu_replace_device_pasid(a, &devices[0], 5, &ha), -EINVAL);
	assert_int_equal(iommu_attach_device_pasid(a, &devices[0], 5, &ha), 0);
	assert_true(has[0][5] == a && has[1][5] == a);
	assert_ptr_equal(iommu_device_pasid_domain(&devices[1], 5), a);
	assert_int_equal(iommu_attach_device_pasid(b, &devices[1], 5, &hb), -EBUSY);
	assert_int_equal(iommu_attach_device_pasid(b, &devices[0], 6, &hb), 0);
	refuse_devid = 1;
	refuse_err = -ENOMEM;
	assert_int_equal(iommu_replace_device_pasid(b, &devices[0], 5, &hb), -ENOMEM);
	assert_int_equal(iommu_attach_device_pasid(b, &devices[0], 7, &hb), -ENOMEM);
	refuse_devid = -1;
	assert_true(has[0][5] == a && has[1][5] == a);
	assert_true(has[0][7] == &iommu_blocked_domain && has[1][7] == &iommu_blocked_domain);
	assert_int_equal(iommu_replace_device_pasid(b, &devices[0], 5, &hb), 0);
	assert_true(has[0][5] == b && has[1][5] == b && hb.domain == b);
	iommu_detach_device_pasid(&devices[0], 5);
	iommu_detach_device_pasid(&devices[0], 5); /* nothing there: no effect */
	assert_null(iommu_device_pasid_domain(&devices[0], 5));
	assert_ptr_equal(has[1][5], &iommu_blocked_domain);
	assert_ptr_equal(has[1][6], b);
	assert_int_equal(iommu_device_use_default_domain(&devices[0]), -EBUSY);
	iommu_detach_device_pasid(&devices[0], 6);
	iommu_domain_free(a);
	iommu_domain_free(b);
}

static void test_pasid_cannot(void **state)
{
	struct iommu_domain *a = new_domain();

	iommu_device_set_caps(&devices[2], &(struct iommu_device_caps){ .max_pasids = 0 });
	assert_int_equal(iommu_max_pasids(&devices[2]), 0);
	assert_int_equal(iommu_attach_device_pasid(a, &devices[2], 1, NULL), 0); /* and sends none */
	assert_ptr_equal(iommu_device_pasid_domain(&devices[2], 1), a);
	assert_ptr_equal(has[2][1], &iommu_blocked_domain);
	iommu_detach_device_pasid(&devices[2], 1);
	unit.ops = &t_plain_ops;
	assert_int_equal(iommu_attach_device_pasid(a, &devices[0], 1, NULL), -EOPNOTSUPP);
	assert_int_equal(iommu_report_page_request(&devices[0], &(struct iommu_page_request){ .grpid = 1 }), -EOPNOTSUPP);
	unit.ops = &t_ops;
	iommu_domain_free(a);
}

/* ---- page requests ---- */

static struct iopf_group *got[4];
static unsigned nr_got;
static int handler_err;

static int handler(struct iopf_group *group)
{
	if (handler_err)
		return handler_err;
	assert_true(nr_got < ARRAY_SIZE(got));
	got[nr_got++] = group;
	return 0;
}

static void ask(u32 grpid, u64 addr, u32 pasid, bool last)
{
	struct iommu_page_request request = {
		.flags = (pasid ? IOMMU_FAULT_PASID_VALID : 0) | (last ? IOMMU_FAULT_LAST_PAGE : 0),
		.pasid = pasid, .grpid = grpid, .perm = IOMMU_FAULT_PERM_WRITE, .addr = addr,
	};

	assert_int_equal(iommu_report_page_request(&devices[2], &request), 0);
}

static void must_answer(unsigned nr, u32 grpid, enum iommu_page_response_code code)
{
	assert_int_equal(answers.nr, nr);
	assert_int_equal(answers.devid, 2);
	assert_int_equal(answers.grpid, grpid);
	assert_int_equal(answers.code, code);
}

static struct iommu_domain *faulting_domain(void)
{
	struct iommu_domain *domain = new_domain();

	domain->iopf_handler = handler;
	nr_got = 0;
	handler_err = 0;
	return domain;
}

static void test_requests_are_grouped(void **state)
{
	struct iommu_domain *domain = faulting_domain();
	struct iommu_attach_handle handle;
	struct iopf_fault *fault;

	assert_int_equal(iommu_attach_group_handle(domain, devices[2].iommu_group, &handle), 0);
	ask(1, 0x1000, 0, false);
	ask(2, 0x9000, 0, false);
	ask(1, 0x2000, 0, false);
	assert_int_equal(nr_got, 0);
	ask(1, 0x3000, 0, true);
	assert_int_equal(nr_got, 1);
	assert_int_equal(got[0]->nr_faults, 3);
	assert_ptr_equal(got[0]->handle, &handle);
	fault = TAILQ_FIRST(&got[0]->faults);
	assert_int_equal(fault->request.addr, 0x1000);
	fault = TAILQ_LAST(&got[0]->faults, iopf_fault_list);
	assert_int_equal(fault->request.addr, 0x3000);
	assert_true(iopf_group_response(got[0], IOMMU_PAGE_RESP_SUCCESS));
	must_answer(1, 1, IOMMU_PAGE_RESP_SUCCESS);
	assert_false(iopf_group_response(got[0], IOMMU_PAGE_RESP_INVALID)); /* once */
	assert_int_equal(answers.nr, 1);
	iopf_group_free(got[0]);
	ask(2, 0xa000, 0, true);
	assert_int_equal(got[1]->nr_faults, 2);
	iopf_group_free(got[1]); /* not answered: invalid */
	must_answer(2, 2, IOMMU_PAGE_RESP_INVALID);
	iommu_detach_group_handle(devices[2].iommu_group);
	iommu_domain_free(domain);
}

static void test_requests_nobody_takes(void **state)
{
	struct iommu_domain *deaf = new_domain(), *domain = faulting_domain();
	struct iommu_attach_handle handle;
	struct iommu_page_request request = { .flags = IOMMU_FAULT_LAST_PAGE };

	ask(3, 0x1000, 0, false); /* not the last: no answer */
	assert_int_equal(answers.nr, 0);
	ask(3, 0x2000, 0, true); /* nothing attached */
	must_answer(1, 3, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(iommu_attach_group_handle(deaf, devices[2].iommu_group, &handle), 0);
	ask(4, 0x1000, 0, true); /* no handler */
	must_answer(2, 4, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(iommu_replace_group_handle(devices[2].iommu_group, domain, &handle), 0);
	handler_err = -ENOMEM;
	ask(5, 0x1000, 0, true);
	must_answer(3, 5, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(iommu_report_page_request(&(struct device){ .name = "none" }, &request), -ENODEV);
	iommu_detach_group_handle(devices[2].iommu_group);
	iommu_domain_free(deaf);
	iommu_domain_free(domain);
}

/* A PASID without a domain of its own is the guest's, if the guest has a table of PASIDs. */
static void test_requests_by_pasid(void **state)
{
	struct iommu_domain *rid = faulting_domain(), *pasid = faulting_domain();
	struct iommu_attach_handle hr, hp;

	assert_int_equal(iommu_attach_group_handle(rid, devices[2].iommu_group, &hr), 0);
	assert_int_equal(iommu_attach_device_pasid(pasid, &devices[2], 7, &hp), 0);
	ask(1, 0x1000, 7, true);
	assert_ptr_equal(got[0]->handle, &hp);
	ask(1, 0x1000, 8, true);
	assert_int_equal(nr_got, 1);
	must_answer(1, 1, IOMMU_PAGE_RESP_INVALID);
	rid->type = IOMMU_DOMAIN_NESTED;
	ask(1, 0x1000, 8, true);
	assert_ptr_equal(got[1]->handle, &hr);
	rid->type = IOMMU_DOMAIN_PAGING;
	iommu_detach_device_pasid(&devices[2], 7); /* answers the first one, and only that */
	must_answer(2, 1, IOMMU_PAGE_RESP_INVALID);
	assert_false(iopf_group_response(got[0], IOMMU_PAGE_RESP_SUCCESS));
	assert_true(iopf_group_response(got[1], IOMMU_PAGE_RESP_SUCCESS));
	iopf_group_free(got[0]);
	iopf_group_free(got[1]);
	iommu_detach_group_handle(devices[2].iommu_group);
	iommu_domain_free(rid);
	iommu_domain_free(pasid);
}

static void test_unanswered_requests(void **state)
{
	struct iommu_domain *a = faulting_domain(), *b = faulting_domain();
	struct iommu_attach_handle ha, hb;

	assert_int_equal(iommu_attach_group_handle(a, devices[2].iommu_group, &ha), 0);
	ask(1, 0x1000, 0, true);
	assert_int_equal(iommu_replace_group_handle(devices[2].iommu_group, b, &hb), 0);
	must_answer(1, 1, IOMMU_PAGE_RESP_INVALID);
	ask(2, 0x1000, 0, true);
	ask(3, 0x1000, 0, false);
	iommu_detach_group_handle(devices[2].iommu_group);
	must_answer(2, 2, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(iommu_attach_group_handle(a, devices[2].iommu_group, &ha), 0);
	ask(4, 0x1000, 0, true);
	iommu_release_device(&devices[2]); /* the device goes, its groups stay the handler's */
	must_answer(3, 4, IOMMU_PAGE_RESP_INVALID);
	assert_int_equal(nr_got, 3);
	for (unsigned i = 0; i < nr_got; i++)
		iopf_group_free(got[i]);
	assert_int_equal(answers.nr, 3);
	iommu_domain_free(a);
	iommu_domain_free(b);
}

/* ---- domains ---- */

static void test_small_pages(void **state)
{
	struct iommu_domain *domain = new_domain();

	assert_int_equal(iommu_domain_min_page(domain), UNIT_PAGE);
	assert_int_equal(iommu_map(domain, 3 * UNIT_PAGE, UNIT_PAGE, 5 * UNIT_PAGE, IOMMU_READ), 0);
	assert_true(mapped.iova == 3 * UNIT_PAGE && mapped.len == 5 * UNIT_PAGE && mapped.phys == UNIT_PAGE);
	assert_int_equal(iommu_map(domain, 1024, UNIT_PAGE, UNIT_PAGE, IOMMU_READ), -EINVAL);
	assert_int_equal(iommu_map(domain, UNIT_PAGE, UNIT_PAGE, 1024, IOMMU_READ), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x80000000, 0, UNIT_PAGE, IOMMU_READ), -EINVAL);
	syncs = 0;
	assert_int_equal(iommu_unmap(domain, UNIT_PAGE, UNIT_PAGE), UNIT_PAGE);
	assert_int_equal(syncs, 1);
	iommu_domain_free(domain);
}

static void test_optional_ops(void **state)
{
	const struct iommu_user_data data = { .type = 1 };
	struct iommu_domain *domain = iommu_paging_domain_alloc_flags(&devices[0], 0, NULL);
	struct iommu_user_data_array array = { .type = 1 };
	u8 info[IOMMU_HW_INFO_MAX];
	u32 type = 0;

	assert_false(IS_ERR(domain));
	assert_int_equal(PTR_ERR(iommu_paging_domain_alloc_flags(&devices[0], IOMMU_ALLOC_PASID, NULL)), -EOPNOTSUPP);
	assert_int_equal(PTR_ERR(iommu_paging_domain_alloc_flags(&devices[0], 0, &data)), -EOPNOTSUPP);
	assert_int_equal(PTR_ERR(iommu_nested_domain_alloc(&devices[0], domain, 0, &data)), -EOPNOTSUPP);
	assert_int_equal(iommu_domain_set_dirty_tracking(domain, true), -EOPNOTSUPP);
	assert_int_equal(iommu_domain_read_and_clear_dirty(domain, 0, 4096, 0, NULL), -EOPNOTSUPP);
	assert_int_equal(iommu_domain_cache_invalidate_user(domain, &array), -EOPNOTSUPP);
	assert_false(device_iommu_capable(&devices[0], IOMMU_CAP_DIRTY_TRACKING));
	assert_int_equal(iommu_hw_info(&devices[0], &type, info), 0);
	type = 99;
	assert_int_equal(iommu_hw_info(&devices[0], &type, info), 0);
	assert_int_equal(type, 0);
	iommu_domain_free(domain);
}

struct two { u32 first, second; };

static void test_user_data(void **state)
{
	struct { struct two two; u32 tail; } has_more = { { 1, 2 }, 0 };
	struct iommu_user_data data = { .type = 9, .uptr = &has_more, .len = sizeof(struct two) };
	struct two two = { 7, 7 };

	guard_install();
	assert_int_equal(iommu_copy_user_data(&two, &data, 8, sizeof(two), 4), -EINVAL);
	assert_int_equal(iommu_copy_user_data(&two, &data, 9, sizeof(two), 4), 0);
	assert_true(two.first == 1 && two.second == 2);
	data.len = 4; /* an older program */
	assert_int_equal(iommu_copy_user_data(&two, &data, 9, sizeof(two), 4), 0);
	assert_true(two.first == 1 && two.second == 0);
	data.len = 3;
	assert_int_equal(iommu_copy_user_data(&two, &data, 9, sizeof(two), 4), -EINVAL);
	data.len = sizeof(has_more);
	assert_int_equal(iommu_copy_user_data(&two, &data, 9, sizeof(two), 4), -EINVAL);
	data = (struct iommu_user_data){ .type = 9, .uptr = NULL, .len = sizeof(two) };
	assert_int_equal(iommu_copy_user_data(&two, &data, 9, sizeof(two), 4), -EFAULT);
}

static void test_user_data_entry(void **state)
{
	u32 words[] = { 1, 2, 0, 4, 5, 6 };
	struct iommu_user_data_array array = { .type = 9, .uptr = words, .entry_len = 12, .entry_num = 2 };
	struct two two;

	guard_install();
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 9, 0, sizeof(two), 8), 0);
	assert_true(two.first == 1 && two.second == 2);
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 9, 1, sizeof(two), 8), -E2BIG);
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 9, 2, sizeof(two), 8), -EINVAL);
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 1, 0, sizeof(two), 8), -EINVAL);
	array.entry_len = 4;
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 9, 1, sizeof(two), 8), -EINVAL);
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 9, 1, sizeof(two), 4), 0);
	assert_true(two.first == 2 && two.second == 0);
	array.uptr = NULL;
	assert_int_equal(iommu_copy_user_data_entry(&two, &array, 9, 0, sizeof(two), 4), -EFAULT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_hidden_groups), T(test_attach_replace_detach), T(test_attach_core_domains), T(test_pasid),
		T(test_pasid_cannot), T(test_requests_are_grouped), T(test_requests_nobody_takes),
		T(test_requests_by_pasid), T(test_unanswered_requests), T(test_small_pages), T(test_optional_ops),
		T(test_user_data), T(test_user_data_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
