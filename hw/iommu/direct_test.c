/* SPDX-License-Identifier: BSD-3-Clause */
/* direct_test.c - without an IOMMU a device reaches what the bus says is there, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/iommu/iommu_fake.h"

#define BAR_AT 0xfe000000ull

static u64 resolve(u64 page)
{
	return page >= BAR_AT && page < BAR_AT + FAKE_BAR_BYTES ? FAKE_BAR + (page - BAR_AT) : FAKE_MEM + page;
}

static struct hw_bus_ops ops;
static struct hw_iommu *iommu;
static struct iotlb *iotlb;

static void moves_bytes_at_physical_addresses(void **state)
{
	unsigned char buf[5000];

	fake_reset();
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(iotlb_access(iotlb, 0x1ff0, buf, sizeof(buf), true), 0);
	assert_int_equal(memory[0x1fef], 0);
	assert_memory_equal(memory + 0x1ff0, buf, sizeof(buf));
	memory[0x3000] = 7;
	assert_int_equal(iotlb_access(iotlb, 0x3000, buf, 1, false), 0);
	assert_int_equal(buf[0], 7);
	assert_int_equal(hw_iommu_fault_count(iommu), 0);
}

static void reaches_bars(void **state)
{
	u32 value = 0x12345678;

	assert_int_equal(iotlb_access(iotlb, BAR_AT + 16, &value, 4, true), 0);
	assert_memory_equal(bar + 16, &value, 4);
	assert_true(bar_accesses > 0);
}

static void faults_where_nothing_is(void **state)
{
	const u64 nowhere[] = { FAKE_MEM_BYTES, 1ull << 40, 1ull << 47, 1ull << 52, ~0ull - 7 };
	u64 faults = hw_iommu_fault_count(iommu);
	struct hw_iommu_fault fault;
	u64 value;

	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		assert_int_equal(iotlb_access(iotlb, nowhere[i], &value, 8, false), -EFAULT);
		assert_int_equal(hw_iommu_fault_count(iommu), ++faults);
		assert_int_equal(hw_iommu_faults(iommu, &fault, 1), 1);
		assert_int_equal(fault.reason, HW_IOMMU_FAULT_BUS);
	}
}

/* A bus that resolves to the kernel's own memory, or not at all, lets nobody through. */
static void never_reaches_kernel_memory(void **state)
{
	struct hw_device_entry entry = { .q0 = 1 };
	struct hw_bus_ops bare = fake_bus_ops;
	struct hw_translation tr;

	assert_int_equal(hw_iommu_direct.walk(&(struct hw_walk){ .bus = &bare, .entry = &entry }, 0x1000, &tr), HW_IOMMU_FAULT_BUS);
	assert_int_equal(hw_iommu_direct.walk(&(struct hw_walk){ .bus = &ops, .entry = &entry }, -FAKE_MEM, &tr), HW_IOMMU_FAULT_BUS);
}

static int setup(void **state)
{
	guard_install();
	ops = fake_bus_ops;
	ops.resolve = resolve;
	iommu = hw_iommu_create(&ops, &hw_iommu_direct);
	iotlb = iommu ? iotlb_create(iommu, 0x100) : NULL;
	return iotlb ? 0 : -1;
}

static int teardown(void **state)
{
	iotlb_destroy(iotlb);
	hw_iommu_destroy(iommu);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_bytes_at_physical_addresses),
		cmocka_unit_test(reaches_bars),
		cmocka_unit_test(faults_where_nothing_is),
		cmocka_unit_test(never_reaches_kernel_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
