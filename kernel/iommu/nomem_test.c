/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nomem_test.c - each allocation of what the IOMMU's core and drivers do fails in turn.
 *
 * A session makes a unit, puts devices under it, makes domains of all kinds, attaches, maps and takes all down
 * again; the n-th allocation in it fails, for n = 1, 2, ... until a session needs fewer.  A call that fails says
 * ENOMEM and gives a reason; what was attached before is attached still; and afterwards a leak checker finds nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/iommufd.h>
#include <stdlib.h>

#include "kernel/iommu/iommu-priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/nomem_test.h"

#define DEVID 0x108
#define MEM (1ull << 47)
#define RW (IOMMU_READ | IOMMU_WRITE)

/* ---- a unit that hears nothing ---- */

static void u_table(void *hw, phys_addr_t base, u32 entries) { }
static void u_root(void *hw, phys_addr_t base) { }
static void u_device(void *hw, u16 devid) { }
static void u_pages(void *hw, u16 domid, u64 iova, u64 last) { }
static void u_pasid(void *hw, u16 devid, u32 pasid) { }
static void u_first(void *hw, u16 domid, u32 pasid, u64 iova, u64 last) { }
static void u_response(void *hw, u16 devid, u32 pasid, u32 grpid, bool success) { }

static const struct iommu_hw_ops unit_ops = {
	.set_device_table = u_table, .set_root_table = u_root, .invalidate_device = u_device,
	.invalidate_pages = u_pages, .invalidate_pasid = u_pasid, .invalidate_first_stage = u_first,
	.page_response = u_response,
};

/* ---- a session ---- */

static bool amd;
static struct device dev;

/* A call may fail with ENOMEM; never without a reason. */
static bool went(long ret)
{
	if (ret >= 0)
		return true;
	assert_non_null(explain_take());
	assert_int_equal(ret, -ENOMEM);
	return false;
}

static struct iommu_domain *made(struct iommu_domain *domain)
{
	return IS_ERR(domain) && !went(PTR_ERR(domain)) ? NULL : domain;
}

static struct iommu_domain *nested_on(struct iommu_domain *parent)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = 0x1000, .addr_width = 48 };
	struct iommu_hwpt_amd_guest guest = { .dte = { 3 | 1ull << 55 } };
	struct iommu_user_data data = { IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1) };

	if (amd)
		data = (struct iommu_user_data){ IOMMU_HWPT_DATA_AMD_GUEST, &guest, sizeof(guest) };
	return made(iommu_nested_domain_alloc(&dev, parent, 0, &data));
}

static void use(struct iommu_domain *domain, bool with_pasid)
{
	struct iommu_attach_handle handle;

	if (!went(iommu_attach_group_handle(domain, dev.iommu_group, &handle))) {
		assert_null(iommu_group_attached_domain(dev.iommu_group));
		return;
	}
	if (domain->type == IOMMU_DOMAIN_PAGING) {
		if (went(iommu_map(domain, 0x7ffff000, MEM, 0x402000, RW)))
			assert_int_equal(iommu_unmap(domain, 0x7ffff000, 0x402000), 0x402000);
		assert_int_equal(iommu_iova_to_phys(domain, 0x7ffff000), 0);
	}
	if (with_pasid && went(iommu_attach_device_pasid(domain, &dev, 1000, NULL))) {
		assert_ptr_equal(iommu_device_pasid_domain(&dev, 1000), domain);
		(void)went(iommu_replace_device_pasid(domain, &dev, 1000, NULL));
		iommu_detach_device_pasid(&dev, 1000);
	}
	assert_null(iommu_device_pasid_domain(&dev, 1000));
	iommu_detach_group_handle(dev.iommu_group);
}

static int refuse(struct iopf_group *group) { return -ENOMEM; }

static void ask(struct iommu_domain *domain)
{
	struct iommu_page_request request = { .addr = 0x1000 };
	struct iommu_attach_handle handle;

	domain->iopf_handler = refuse;
	if (!went(iommu_attach_group_handle(domain, dev.iommu_group, &handle)))
		return;
	assert_int_equal(iommu_report_page_request(&dev, &request), 0);
	request.flags = IOMMU_FAULT_LAST_PAGE;
	assert_int_equal(iommu_report_page_request(&dev, &request), 0);
	iommu_detach_group_handle(dev.iommu_group);
}

static void use_domains(void)
{
	static const u32 flags[] = { 0, IOMMU_ALLOC_DIRTY_TRACKING, IOMMU_ALLOC_PASID, IOMMU_ALLOC_NEST_PARENT };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct iommu_domain *domain = made(iommu_paging_domain_alloc_flags(&dev, flags[i], NULL)), *nested;

		if (!domain)
			continue;
		use(domain, flags[i] == IOMMU_ALLOC_PASID);
		if (flags[i] == IOMMU_ALLOC_PASID)
			ask(domain);
		nested = flags[i] == IOMMU_ALLOC_NEST_PARENT ? nested_on(domain) : NULL;
		if (nested)
			use(nested, false);
		iommu_domain_free(nested);
		iommu_domain_free(domain);
	}
}

static void session(void)
{
	struct iommu_device *unit = amd ? amd_iommu_init("unit", &unit_ops, NULL, 0x1000, IOMMU_FULL) :
					  intel_iommu_init("unit", &unit_ops, NULL, 48, IOMMU_FULL);

	if (IS_ERR(unit)) {
		(void)went(PTR_ERR(unit));
		return;
	}
	unit->hidden = true;
	dev = (struct device){ .name = "dev" };
	if (went(iommu_probe_device(unit, &dev, DEVID, IOMMU_GROUP_NEW))) {
		iommu_device_set_caps(&dev, &(struct iommu_device_caps){ .max_pasids = 1u << 16 });
		use_domains();
		iommu_release_device(&dev);
	}
	assert_int_equal(unit->devices, 0);
	if (amd)
		amd_iommu_exit(unit);
	else
		intel_iommu_exit(unit);
}

static void test_each_allocation_fails(void **state)
{
	long n = 0;
	bool failed;

	explain_enable();
	amd = *state;
	do {
		n++;
		explain_begin();
		nomem_begin((u32)n);
		session();
		failed = nomem_end();
	} while (failed);
	print_message("%ld allocations\n", n - 1);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "AMD", test_each_allocation_fails, NULL, NULL, (void *)1 },
		{ "VT-d", test_each_allocation_fails, NULL, NULL, NULL },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
