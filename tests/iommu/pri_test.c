/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pri_test.c - page requests and PASIDs from end to end: a device model asks, the kernel's core puts the
 * request together, whoever attached the domain maps and answers, and the device goes on.
 *
 * Each test is run for both kinds of unit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_device.h"
#include "hw/iommu/hw_iommu.h"
#include "kernel/base/device.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/mm.h"
#include "machine/iommu_ops.h"

#define DEVID 0x108
#define RW (IOMMU_READ | IOMMU_WRITE)
#define ARENA_PAGES 64u

static unsigned char *arena;
static struct hw_iommu *hw;
static struct iommu_device *iommu;
static struct device dev;
static struct hw_device *model;
static struct hw_dma *dma;
static struct iommu_domain *domain;
static struct iommu_attach_handle handle;
static bool amd;

/* ---- bus and glue ---- */

static phys_addr_t arena_phys(u64 page)
{
	return (1ull << PHYS_SLOT_SHIFT) | (u64)(uintptr_t)(arena + page * PAGE_SIZE);
}

static void *bus_host_ptr(u64 pa)
{
	return pa >> PHYS_SLOT_SHIFT <= 1 ? (void *)(uintptr_t)(pa & PHYS_OFFSET_MASK) : NULL;
}

static int bus_read(u64 pa, void *buf, size_t len) { return -EFAULT; }
static int bus_write(u64 pa, const void *buf, size_t len) { return -EFAULT; }

static int bus_copy(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

static const struct hw_bus_ops bus = {
	.read = bus_read, .write = bus_write, .host_ptr = bus_host_ptr, .copy = bus_copy,
};

static int deliver(void *arg, const struct hw_page_request *from)
{
	struct iommu_page_request request = {
		.flags = (from->pasid ? IOMMU_FAULT_PASID_VALID : 0) | (from->last ? IOMMU_FAULT_LAST_PAGE : 0),
		.pasid = from->pasid, .grpid = from->grpid,
		.perm = from->access | (from->privileged ? IOMMU_FAULT_PERM_PRIV : 0), .addr = from->iova,
	};

	assert_int_equal(from->devid, DEVID);
	return iommu_report_page_request(&dev, &request);
}

static int model_create(struct hw_device *self)
{
	hw_pci_identify(self, &(struct hw_pci_id){ .vendor = 0x1234, .express = true });
	return 0;
}

static void model_destroy(struct hw_device *self) { }

static const struct hw_model pri_model = { .name = "pri", .create = model_create, .destroy = model_destroy };

static void bus_master(bool on)
{
	hw_config_write(model, 4, 2, on ? 4 : 0);
}

/* ---- who attached the domain ---- */

static _Atomic(struct iopf_group *) got;

static int take(struct iopf_group *group)
{
	assert_null(atomic_load(&got));
	atomic_store(&got, group);
	return 0;
}

static struct iopf_group *wait_for_group(void)
{
	struct iopf_group *group;

	while (!(group = atomic_load(&got)))
		sched_yield();
	atomic_store(&got, NULL);
	return group;
}

static int setup(void **state)
{
	static const struct hw_host_ops no_ops;

	amd = *state;
	arena = aligned_alloc(PAGE_SIZE, ARENA_PAGES * PAGE_SIZE);
	assert_non_null(arena);
	memset(arena, 0, ARENA_PAGES * PAGE_SIZE);
	hw = hw_iommu_create(&bus, amd ? &hw_iommu_amdv1 : &hw_iommu_vtd);
	assert_non_null(hw);
	iommu = amd ? amd_iommu_init("unit", &machine_iommu_hw_ops, hw, 0x1000, IOMMU_FULL) :
		      intel_iommu_init("unit", &machine_iommu_hw_ops, hw, 48, IOMMU_FULL);
	assert_false(IS_ERR(iommu));
	iommu->hidden = true;
	dev = (struct device){ .name = "dev" };
	assert_int_equal(iommu_probe_device(iommu, &dev, DEVID, IOMMU_GROUP_NEW), 0);
	iommu_device_set_caps(&dev, &(struct iommu_device_caps){ .max_pasids = 1u << 16 });
	hw_iommu_set_page_request_handler(hw, deliver, NULL);
	model = hw_device_create(&pri_model, "dev", NULL, &no_ops, NULL, hw, DEVID);
	assert_false(IS_ERR(model));
	bus_master(true);
	dma = hw_dma_open(model);
	assert_non_null(dma);
	domain = iommu_paging_domain_alloc_flags(&dev, IOMMU_ALLOC_PASID, NULL);
	assert_false(IS_ERR(domain));
	domain->iopf_handler = take;
	atomic_store(&got, NULL);
	assert_int_equal(iommu_attach_group_handle(domain, dev.iommu_group, &handle), 0);
	return 0;
}

static int teardown(void **state)
{
	hw_dma_close(dma);
	if (model)
		hw_device_destroy(model);
	iommu_detach_group_handle(dev.iommu_group);
	iommu_release_device(&dev);
	iommu_domain_free(domain);
	if (amd)
		amd_iommu_exit(iommu);
	else
		intel_iommu_exit(iommu);
	hw_iommu_destroy(hw);
	free(arena);
	return 0;
}

/* ---- a thread of the device ---- */

struct asker {
	pthread_t thread;
	struct hw_dma *dma;
	u64 iova;
	size_t len;
	unsigned access; /* 0: for writing */
	int ret;
};

static void *ask(void *arg)
{
	struct asker *a = arg;

	a->ret = a->access ? hw_dma_request_access(a->dma, a->iova, a->len, a->access) :
			     hw_dma_request_pages(a->dma, a->iova, a->len, true);
	return NULL;
}

static void ask_begin(struct asker *a, struct hw_dma *from, u64 iova, size_t len)
{
	*a = (struct asker){ .dma = from, .iova = iova, .len = len, .ret = 1 };
	assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static int ask_end(struct asker *a)
{
	assert_int_equal(pthread_join(a->thread, NULL), 0);
	return a->ret;
}

/* ---- tests ---- */

static void test_demand_paging(void **state)
{
	unsigned char buf[2 * 4096];
	struct iopf_fault *fault;
	struct iopf_group *group;
	struct asker a;
	u64 page = 5;

	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(hw_dma_write(dma, 0x5800, buf, sizeof(buf)), -EFAULT);
	ask_begin(&a, dma, 0x5800, sizeof(buf));
	group = wait_for_group();
	assert_int_equal(group->nr_faults, 3);
	assert_ptr_equal(group->handle, &handle);
	TAILQ_FOREACH(fault, &group->faults, node) {
		assert_int_equal(fault->request.addr, page * PAGE_SIZE);
		assert_int_equal(fault->request.perm, IOMMU_FAULT_PERM_WRITE);
		assert_int_equal(iommu_map(domain, page * PAGE_SIZE, arena_phys(page), PAGE_SIZE, RW), 0);
		page++;
	}
	assert_true(iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS));
	iopf_group_free(group);
	assert_int_equal(ask_end(&a), 0);
	assert_int_equal(hw_dma_write(dma, 0x5800, buf, sizeof(buf)), 0);
	assert_memory_equal(arena + 0x5800, buf, sizeof(buf));
}

static void test_refused(void **state)
{
	struct asker a;

	ask_begin(&a, dma, 0x1000, 1);
	iopf_group_free(wait_for_group()); /* without an answer: invalid */
	assert_int_equal(ask_end(&a), -EFAULT);
	bus_master(false);
	assert_int_equal(hw_dma_request_pages(dma, 0x1000, 1, true), -EPERM);
	bus_master(true);
	assert_int_equal(hw_dma_request_pages(dma, 0x1000, 0, true), -EINVAL);
	assert_int_equal(hw_dma_request_pages(dma, ~0ull, 2, true), -EINVAL);
	assert_int_equal(hw_dma_request_pages(dma, 0x1800, 512 * PAGE_SIZE, true), -EINVAL); /* 513 pages */
	iommu_detach_group_handle(dev.iommu_group);
	assert_int_equal(hw_dma_request_pages(dma, 0x1000, 1, true), -EFAULT); /* nothing attached */
	hw_iommu_set_page_request_handler(hw, NULL, NULL);
	assert_int_equal(hw_dma_request_pages(dma, 0x1000, 1, true), -EFAULT);
}

static void test_detach_answers(void **state)
{
	struct iopf_group *group;
	struct asker a;

	ask_begin(&a, dma, 0x1000, 1);
	group = wait_for_group();
	iommu_detach_group_handle(dev.iommu_group);
	assert_int_equal(ask_end(&a), -EFAULT);
	assert_false(iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS));
	iopf_group_free(group);
}

/* A reset ends the wait; the answer that comes later is nobody's, and does not meet a group of later. */
static void test_reset_cancels(void **state)
{
	struct iopf_group *group, *later;
	struct asker a;

	ask_begin(&a, dma, 0x1000, 1);
	group = wait_for_group();
	hw_reset(model, false);
	assert_int_equal(ask_end(&a), -ECANCELED);
	bus_master(true);
	for (unsigned i = 0; i < 600; i++) { /* round all numbers but the one that is not answered */
		ask_begin(&a, dma, 0x1000, 1);
		later = wait_for_group();
		assert_int_not_equal(TAILQ_FIRST(&later->faults)->request.grpid,
				     TAILQ_FIRST(&group->faults)->request.grpid);
		assert_true(iopf_group_response(later, IOMMU_PAGE_RESP_SUCCESS));
		iopf_group_free(later);
		assert_int_equal(ask_end(&a), 0);
	}
	assert_true(iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS));
	iopf_group_free(group);
}

static void test_device_goes(void **state)
{
	struct iopf_group *group;
	struct asker a;

	ask_begin(&a, dma, 0x1000, 1);
	group = wait_for_group();
	iommu_release_device(&dev); /* unplugged */
	assert_int_equal(ask_end(&a), -EFAULT);
	iopf_group_free(group);
	assert_int_equal(hw_dma_request_pages(dma, 0x1000, 1, true), -EFAULT);
	assert_int_equal(iommu_probe_device(iommu, &dev, DEVID, IOMMU_GROUP_NEW), 0);
	assert_int_equal(iommu_attach_group_handle(domain, dev.iommu_group, &handle), 0);
}

static void test_pasid(void **state)
{
	struct hw_dma *three = hw_dma_open_pasid(model, 3);
	struct iommu_domain *other = iommu_paging_domain_alloc_flags(&dev, IOMMU_ALLOC_PASID, NULL);
	struct iommu_attach_handle h3;
	struct hw_iommu_fault fault;
	struct iopf_group *group;
	struct asker a;
	u32 word = 0x1234;

	assert_non_null(three);
	assert_null(hw_dma_open_pasid(model, 0));
	assert_null(hw_dma_open_pasid(model, 1 << 20));
	assert_false(IS_ERR(other));
	other->iopf_handler = take;
	assert_int_equal(hw_dma_write(three, 0x1000, &word, 4), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, HW_IOMMU_FAULT_PASID);
	assert_int_equal(fault.pasid, 3);
	assert_int_equal(hw_dma_request_pages(three, 0x1000, 4, true), -EFAULT); /* nobody's PASID */
	assert_int_equal(iommu_attach_device_pasid(other, &dev, 3, &h3), 0);
	assert_int_equal(hw_dma_write(three, 0x1000, &word, 4), -EFAULT);
	assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
	assert_int_equal(fault.reason, HW_IOMMU_FAULT_NOT_PRESENT);
	assert_int_equal(fault.pasid, 3);
	ask_begin(&a, three, 0x1000, 4);
	group = wait_for_group();
	assert_ptr_equal(group->handle, &h3);
	assert_int_equal(TAILQ_FIRST(&group->faults)->request.pasid, 3);
	assert_int_equal(iommu_map(other, 0x1000, arena_phys(9), PAGE_SIZE, RW), 0);
	assert_true(iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS));
	iopf_group_free(group);
	assert_int_equal(ask_end(&a), 0);
	assert_int_equal(hw_dma_write(three, 0x1000, &word, 4), 0);
	assert_memory_equal(arena + 9 * PAGE_SIZE, &word, 4);
	assert_int_equal(hw_dma_write(dma, 0x1000, &word, 4), -EFAULT); /* another space */
	ask_begin(&a, three, 0x2000, 4);
	group = wait_for_group();
	iommu_detach_device_pasid(&dev, 3);
	assert_int_equal(ask_end(&a), -EFAULT);
	iopf_group_free(group);
	assert_int_equal(hw_dma_write(three, 0x1000, &word, 4), -EFAULT);
	hw_dma_close(three);
	iommu_domain_free(other);
}

/* What may be said of a request only where the unit's driver has switched it on. */
static void test_modes(void **state)
{
	struct hw_dma *three = hw_dma_open_privileged(model, 3);
	const u32 want[] = { IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_EXEC | IOMMU_FAULT_PERM_PRIV, IOMMU_FAULT_PERM_READ };
	struct iommu_attach_handle h3;
	struct hw_iommu_fault fault;
	struct iopf_group *group;
	struct asker a;
	u32 word = 1;

	assert_non_null(three);
	assert_null(hw_dma_open_privileged(model, 0));
	assert_int_equal(hw_dma_request_access(three, 0x1000, 4, 0), -EINVAL);
	assert_int_equal(hw_dma_request_access(three, 0x1000, 4, 8), -EINVAL);
	assert_int_equal(hw_dma_request_access(dma, 0x1000, 4, HW_PAGE_EXEC), -EINVAL); /* without a PASID */
	assert_int_equal(iommu_attach_device_pasid(domain, &dev, 3, &h3), 0);
	a = (struct asker){ .dma = three, .iova = 0x1000, .len = 4, .access = HW_PAGE_EXEC };
	assert_int_equal(pthread_create(&a.thread, NULL, ask, &a), 0);
	group = wait_for_group();
	assert_int_equal(TAILQ_FIRST(&group->faults)->request.perm, want[amd]);
	assert_int_equal(iommu_map(domain, 0x1000, arena_phys(9), PAGE_SIZE, RW), 0);
	assert_true(iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS));
	iopf_group_free(group);
	assert_int_equal(ask_end(&a), 0);
	/* The kernel's own tables are for requests without privilege. */
	assert_int_equal(hw_dma_write(three, 0x1000, &word, 4), amd ? 0 : -EFAULT);
	if (!amd) {
		assert_int_equal(hw_iommu_faults(hw, &fault, 1), 1);
		assert_int_equal(fault.reason, HW_IOMMU_FAULT_PRIVILEGED);
	}
	iommu_detach_device_pasid(&dev, 3);
	hw_dma_close(three);
}

#define T(name, kind) { #name " " #kind, name, setup, teardown, (void *)(uintptr_t)(kind) }
#define INTEL 0
#define AMD 1

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_demand_paging, AMD), T(test_demand_paging, INTEL), T(test_refused, AMD), T(test_refused, INTEL),
		T(test_detach_answers, AMD), T(test_detach_answers, INTEL), T(test_reset_cancels, AMD),
		T(test_reset_cancels, INTEL), T(test_device_goes, AMD), T(test_device_goes, INTEL), T(test_pasid, AMD),
		T(test_pasid, INTEL), T(test_modes, AMD), T(test_modes, INTEL),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
