/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu_test.c - groups: what the tree shows, who may own them, and what the device table says.
 *
 * The unit below is a device table that nobody walks: the tests look at the entries.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/fs/attr_test.h"
#include "kernel/iommu/iommu-priv.h"

#define DEVICES 4

struct unit {
	const u64 (*devtab)[4];
	u32 entries;
	unsigned device_flushes, page_flushes;
	u16 domid;
	u64 iova, last;
};

static char dir[64];
static struct unit units[2];
static struct iommu_device *iommu, *iommu2;
static struct device devices[DEVICES];
static const char *const names[DEVICES] = { "0000:00:02.0", "0000:00:03.0", "0000:00:03.1", "0001:00:00.0" };
static char paths[DEVICES][64];

/* ---- a unit that only takes notes ---- */

static void unit_set_device_table(void *hw, phys_addr_t base, u32 entries)
{
	struct unit *unit = hw;

	unit->devtab = (const void *)(uintptr_t)base;
	unit->entries = entries;
}

static void unit_invalidate_device(void *hw, u16 devid)
{
	((struct unit *)hw)->device_flushes++;
}

static void unit_invalidate_pages(void *hw, u16 domid, u64 iova, u64 last)
{
	struct unit *unit = hw;

	unit->page_flushes++;
	unit->domid = domid;
	unit->iova = iova;
	unit->last = last;
}

static const struct iommu_hw_ops unit_ops = {
	.set_device_table = unit_set_device_table,
	.invalidate_device = unit_invalidate_device,
	.invalidate_pages = unit_invalidate_pages,
};

/* What an entry says, by the specification's bits. */
enum says { ABSENT, BLOCKED, IDENTITY, PAGING };

static enum says entry_says(unsigned unit, u16 devid)
{
	u64 q0 = units[unit].devtab[devid][0];

	if (!(q0 & 1))
		return ABSENT;
	assert_int_equal(q0 & 3, 3);
	if (q0 >> 9 & 7)
		return PAGING;
	return q0 >> 61 & 3 ? IDENTITY : BLOCKED;
}

static u16 entry_domid(u16 devid)
{
	return units[0].devtab[devid][1];
}

/* ---- the tree ---- */

static int setup(void **state)
{
	strcpy(dir, "/tmp/iommu-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(kernfs_open(dir, true), 0);
	memset(units, 0, sizeof(units));
	iommu = amd_iommu_init("ivhd0", &unit_ops, &units[0], 0x10000, IOMMU_BASIC);
	iommu2 = amd_iommu_init("ivhd1", &unit_ops, &units[1], 0x10000, IOMMU_BASIC);
	assert_false(IS_ERR(iommu) || IS_ERR(iommu2));
	kernfs_lock();
	for (unsigned i = 0; i < DEVICES; i++) {
		snprintf(paths[i], sizeof(paths[i]), "sys/devices/pci/%s", names[i]);
		devices[i] = (struct device){ .name = names[i], .path = paths[i] };
		assert_int_equal(kernfs_create_dir(paths[i]), 0);
	}
	/* group 0: one device; group 1: two functions; group 7: behind the other unit */
	assert_int_equal(iommu_probe_device(iommu, &devices[0], 0x10, 0), 0);
	assert_int_equal(iommu_probe_device(iommu, &devices[1], 0x18, 1), 0);
	assert_int_equal(iommu_probe_device(iommu, &devices[2], 0x19, 1), 0);
	assert_int_equal(iommu_probe_device(iommu2, &devices[3], 0x00, 7), 0);
	kernfs_unlock();
	kernfs_created();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	kernfs_lock();
	for (unsigned i = 0; i < DEVICES; i++)
		iommu_release_device(&devices[i]);
	kernfs_unlock();
	kernfs_close();
	amd_iommu_exit(iommu);
	amd_iommu_exit(iommu2);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void test_tree(void **state)
{
	must_contain("sys/kernel/iommu_groups/1/reserved_regions",
		  "0x00000000fee00000 0x00000000feefffff msi\n"
		  "0x000000fd00000000 0x000000ffffffffff reserved\n");
	must_contain("sys/kernel/iommu_groups/1/type", "DMA\n");
	must_link("sys/kernel/iommu_groups/1/devices/0000:00:03.1", "../../../../devices/pci/0000:00:03.1");
	must_link("sys/devices/pci/0000:00:03.0/iommu_group", "../../../kernel/iommu_groups/1");
	must_link("sys/devices/pci/0000:00:03.0/iommu", "../../virtual/iommu/ivhd0");
	must_link("sys/class/iommu/ivhd0", "../../devices/virtual/iommu/ivhd0");
	must_link("sys/class/iommu/ivhd1", "../../devices/virtual/iommu/ivhd1");
	must_link("sys/devices/virtual/iommu/ivhd0/devices/0000:00:02.0", "../../../../pci/0000:00:02.0");
	must_link("sys/devices/virtual/iommu/ivhd0/subsystem", "../../../../class/iommu");
	assert_false(kernfs_exists("sys/devices/virtual/iommu/ivhd0/devices/0001:00:00.0"));
	assert_false(kernfs_exists("sys/kernel/iommu_groups/0/devices/0000:00:03.0"));
}

static void test_devices_leave(void **state)
{
	struct iommu_group *group = iommu_group_get(&devices[1]);

	kernfs_lock();
	iommu_release_device(&devices[1]);
	assert_null(devices[1].iommu_group);
	assert_false(kernfs_exists("sys/kernel/iommu_groups/1/devices/0000:00:03.0"));
	assert_true(kernfs_exists("sys/kernel/iommu_groups/1/devices/0000:00:03.1"));
	assert_false(kernfs_exists("sys/devices/pci/0000:00:03.0/iommu_group"));
	iommu_release_device(&devices[2]);
	assert_false(kernfs_exists("sys/kernel/iommu_groups/1"));
	assert_int_equal(iommu_group_id(group), 1); /* the reference still counts */
	iommu_group_put(group);
	assert_int_equal(entry_says(0, 0x18), BLOCKED);
	assert_int_equal(iommu_probe_device(iommu, &devices[1], 0x18, 1), 0);
	assert_true(kernfs_exists("sys/kernel/iommu_groups/1/type"));
	iommu_release_device(&devices[3]);
	assert_false(kernfs_exists("sys/class/iommu/ivhd1"));
	iommu_release_device(&devices[3]); /* again: nothing to do */
	kernfs_unlock();
	assert_null(iommu_group_get(&devices[3]));
	assert_true(IS_ERR(iommu_paging_domain_alloc(&devices[3])));
}

static void test_probe_refuses(void **state)
{
	struct device dev = { .name = "0000:00:09.0", .path = "sys/devices/pci/0000:00:09.0" };
	struct unit unit = { .entries = 0 };
	struct iommu_device *tiny = amd_iommu_init("ivhd2", &unit_ops, &unit, 8, IOMMU_BASIC);

	assert_false(IS_ERR(tiny));
	kernfs_lock();
	assert_int_equal(kernfs_create_dir(dev.path), 0);
	assert_int_equal(iommu_probe_device(tiny, &dev, 8, 9), -EINVAL);
	assert_null(dev.iommu_group);
	assert_null(dev.iommu_priv);
	assert_false(kernfs_exists("sys/kernel/iommu_groups/9"));
	assert_false(kernfs_exists("sys/class/iommu/ivhd2"));
	assert_false(kernfs_exists("sys/devices/pci/0000:00:09.0/iommu"));
	kernfs_unlock();
	amd_iommu_exit(tiny);
}

static int count_dev(struct device *dev, void *arg)
{
	(*(unsigned *)arg)++;
	return dev == &devices[2] ? 42 : 0;
}

static void test_for_each(void **state)
{
	unsigned n = 0;

	assert_int_equal(iommu_group_for_each_dev(devices[1].iommu_group, &n, count_dev), 42);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(iommu_group_for_each_dev(devices[0].iommu_group, &n, count_dev), 0);
	assert_int_equal(n, 1);
}

/* ---- ownership ---- */

static void must_say(enum says what)
{
	assert_int_equal(entry_says(0, 0x18), what);
	assert_int_equal(entry_says(0, 0x19), what);
}

static void test_claim(void **state)
{
	struct iommu_group *group = devices[1].iommu_group;
	int owner, somebody;

	assert_int_equal(iommu_group_claim_dma_owner(group, NULL), -EINVAL);
	assert_false(iommu_group_dma_owner_claimed(group));
	assert_int_equal(iommu_group_claim_dma_owner(group, &owner), 0);
	assert_true(iommu_group_dma_owner_claimed(group));
	must_say(BLOCKED);
	assert_int_equal(iommu_group_claim_dma_owner(group, &somebody), -EPERM);
	assert_int_equal(iommu_group_claim_dma_owner(group, &owner), -EPERM);
	assert_int_equal(iommu_device_use_default_domain(&devices[1]), -EBUSY);
	assert_int_equal(iommu_device_use_default_domain(&devices[2]), -EBUSY);
	assert_int_equal(iommu_device_use_default_domain(&devices[0]), 0);
	iommu_device_unuse_default_domain(&devices[0]);
	iommu_group_release_dma_owner(group);
	iommu_group_release_dma_owner(group);
	assert_false(iommu_group_dma_owner_claimed(group));
	assert_int_equal(iommu_group_claim_dma_owner(group, &somebody), 0);
	iommu_group_release_dma_owner(group);
}

static void test_kernel_drivers(void **state)
{
	struct iommu_group *group = devices[1].iommu_group;
	int owner;

	assert_int_equal(iommu_device_use_default_domain(&devices[1]), 0);
	assert_int_equal(iommu_device_use_default_domain(&devices[2]), 0);
	assert_true(iommu_group_dma_owner_claimed(group));
	assert_int_equal(iommu_group_claim_dma_owner(group, &owner), -EPERM);
	iommu_group_release_dma_owner(group); /* nobody's: no effect */
	iommu_device_unuse_default_domain(&devices[1]);
	assert_int_equal(iommu_group_claim_dma_owner(group, &owner), -EPERM);
	iommu_device_unuse_default_domain(&devices[2]);
	assert_int_equal(iommu_group_claim_dma_owner(group, &owner), 0);
	iommu_device_unuse_default_domain(&devices[2]); /* not while owned */
	assert_true(iommu_group_dma_owner_claimed(group));
	iommu_group_release_dma_owner(group);
}

static void test_reasons(void **state)
{
	int owner;

	explain_enable();
	explain_begin();
	assert_int_equal(iommu_device_use_default_domain(&devices[1]), 0);
	assert_int_equal(iommu_group_claim_dma_owner(devices[1].iommu_group, &owner), -EPERM);
	assert_non_null(strstr(explain_take(), "group 1 is not viable: a kernel driver uses 1 of"));
	iommu_device_unuse_default_domain(&devices[1]);
}

static void test_default_type(void **state)
{
	const char *path = "sys/kernel/iommu_groups/1/type";
	int owner;

	must_say(BLOCKED); /* "DMA": nothing is mapped for kernel drivers */
	assert_int_equal(echo("identity\n", path), 9);
	must_contain(path, "identity\n");
	must_say(IDENTITY);
	assert_int_equal(entry_says(0, 0x10), BLOCKED);
	assert_int_equal(iommu_group_claim_dma_owner(devices[1].iommu_group, &owner), 0);
	must_say(BLOCKED);
	assert_int_equal(echo("DMA", path), -EPERM);
	assert_int_equal(echo("DMA-FQ", path), -EPERM);
	iommu_group_release_dma_owner(devices[1].iommu_group);
	must_say(IDENTITY);
	assert_int_equal(echo("xx\n", path), -EINVAL);
	assert_int_equal(echo("identityx", path), -EINVAL);
	assert_int_equal(echo("DMA-FQ", path), 6);
	must_contain(path, "DMA-FQ\n");
	must_say(BLOCKED);
	assert_int_equal(echo("auto\n", path), 5);
	must_contain(path, "DMA\n");
	assert_int_equal(iommu_device_use_default_domain(&devices[2]), 0);
	assert_int_equal(echo("identity", path), -EPERM);
	assert_int_equal(echo("DMA-FQ\n", path), 7); /* only when is flushed changes: at any time */
	must_contain(path, "DMA-FQ\n");
	assert_int_equal(echo("DMA-FQ\n", path), -EPERM); /* as Linux: that was from DMA only */
	assert_int_equal(echo("DMA", path), -EPERM);
	iommu_device_unuse_default_domain(&devices[2]);
}

/* ---- domains ---- */

static struct iommu_domain *domain_of(struct device *dev)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(dev);

	assert_false(IS_ERR(domain));
	assert_int_equal(domain->pgsize_bitmap, 0xfff7ffffff000ull);
	assert_int_equal(domain->aperture_start, 0);
	assert_int_equal(domain->aperture_last, ~0ull);
	return domain;
}

static void test_attach(void **state)
{
	struct iommu_domain *first = domain_of(&devices[0]), *second = domain_of(&devices[1]);
	struct iommu_group *one = devices[0].iommu_group, *two = devices[1].iommu_group;
	int owner;

	assert_int_equal(iommu_group_claim_dma_owner(two, &owner), 0);
	assert_int_equal(iommu_attach_group(first, two), 0);
	must_say(PAGING);
	assert_int_equal(iommu_attach_group(second, two), -EBUSY);
	assert_int_equal(iommu_attach_group(first, one), 0); /* shared by two groups */
	assert_int_equal(entry_domid(0x10), entry_domid(0x19));
	assert_int_equal(units[0].devtab[0x10][0], units[0].devtab[0x19][0]);
	iommu_detach_group(second, two); /* not attached: no effect */
	must_say(PAGING);
	iommu_detach_group(first, two);
	must_say(BLOCKED);
	assert_int_equal(iommu_attach_group(second, two), 0);
	assert_int_not_equal(entry_domid(0x10), entry_domid(0x19));
	iommu_detach_group(first, one);
	assert_int_equal(iommu_device_use_default_domain(&devices[0]), 0);
	iommu_device_unuse_default_domain(&devices[0]);
	iommu_group_release_dma_owner(two); /* takes the domain away too */
	must_say(BLOCKED);
	iommu_domain_free(first);
	iommu_domain_free(second);
	iommu_domain_free(NULL);
}

static void test_attach_other_unit(void **state)
{
	struct iommu_domain *domain = domain_of(&devices[0]);

	assert_int_equal(iommu_attach_group(domain, devices[3].iommu_group), -EINVAL);
	assert_int_equal(entry_says(1, 0), BLOCKED);
	assert_int_equal(iommu_attach_group(domain, devices[0].iommu_group), 0);
	iommu_detach_group(domain, devices[0].iommu_group);
	iommu_domain_free(domain);
}

/* A group whose second device cannot follow stays where it was with all devices. */
static void test_attach_is_all_or_nothing(void **state)
{
	struct iommu_domain *domain = domain_of(&devices[1]);
	struct group_device *second = devices[2].iommu_priv;

	second->iommu = iommu2;
	assert_int_equal(iommu_attach_group(domain, devices[1].iommu_group), -EINVAL);
	second->iommu = iommu;
	must_say(BLOCKED);
	assert_int_equal(iommu_attach_group(domain, devices[1].iommu_group), 0);
	must_say(PAGING);
	iommu_detach_group(domain, devices[1].iommu_group);
	iommu_domain_free(domain);
}

static void test_map_checks(void **state)
{
	struct iommu_domain *domain = domain_of(&devices[0]);
	const u64 mem = 1ull << 47, top = 0ull - 0x1000;

	assert_int_equal(iommu_map(domain, 0x1000, mem, 0, 3), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x1001, mem, 0x1000, 3), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x1000, mem + 8, 0x1000, 3), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x1000, mem, 0x1800, 3), -EINVAL);
	assert_int_equal(iommu_map(domain, top, mem, 0x2000, 3), -EINVAL);
	assert_int_equal(iommu_map(domain, 0x1000, 1ull << 52, 0x1000, 3), -EINVAL);
	assert_int_equal(iommu_map(domain, top, mem, 0x1000, 3), 0);
	assert_int_equal(iommu_map(domain, top, mem, 0x1000, 3), -EEXIST);
	assert_int_equal(iommu_map(domain, 1ull << 57, mem, 0x1000, 3), 0);
	assert_int_equal(iommu_iova_to_phys(domain, top + 0x123), mem + 0x123);
	assert_int_equal(iommu_iova_to_phys(domain, 0x1000), 0);
	assert_int_equal(iommu_unmap(domain, top, 0), 0);
	assert_int_equal(iommu_unmap(domain, top, 0x2000), 0);
	assert_int_equal(iommu_unmap(domain, top, 0x1000), 0x1000);
	assert_int_equal(iommu_unmap(domain, top, 0x1000), 0);
	iommu_domain_free(domain); /* with something mapped */
}

/* The unit is told exactly what it must forget, and only if there is somebody to know it. */
static void test_invalidation(void **state)
{
	struct iommu_domain *domain = domain_of(&devices[0]);
	const u64 mem = 1ull << 47;
	unsigned flushes;

	assert_int_equal(iommu_map(domain, 0x200000, mem, 0x200000, 3), 0);
	assert_int_equal(iommu_unmap(domain, 0x200000, 0x200000), 0x200000);
	assert_int_equal(units[0].page_flushes, 0); /* nothing attached */
	assert_int_equal(iommu_attach_group(domain, devices[0].iommu_group), 0);
	assert_int_equal(iommu_map(domain, 0x200000, mem, 0x200000, 3), 0);
	assert_int_equal(units[0].page_flushes, 0);
	assert_int_equal(iommu_unmap(domain, 0x3ff000, 0x1000), 0x200000); /* the large page goes whole */
	assert_int_equal(units[0].page_flushes, 1);
	assert_int_equal(units[0].domid, entry_domid(0x10));
	assert_int_equal(units[0].iova, 0x200000);
	assert_int_equal(units[0].last, 0x3fffff);
	assert_int_equal(iommu_unmap(domain, 0x3ff000, 0x1000), 0);
	assert_int_equal(units[0].page_flushes, 1);
	/* a map that fails half way was visible for a moment */
	assert_int_equal(iommu_map(domain, 0x5000, mem, 0x1000, 3), 0);
	assert_int_equal(iommu_map(domain, 0x3000, mem, 0x4000, 3), -EEXIST);
	assert_int_equal(units[0].page_flushes, 2);
	assert_int_equal(units[0].iova, 0x3000);
	/* a root that grows is announced to each device */
	flushes = units[0].device_flushes;
	assert_int_equal(units[0].devtab[0x10][0] >> 9 & 7, 3);
	assert_int_equal(iommu_map(domain, 1ull << 40, mem, 0x1000, 3), 0);
	assert_int_equal(units[0].devtab[0x10][0] >> 9 & 7, 4);
	assert_int_equal(units[0].device_flushes, flushes + 1);
	iommu_detach_group(domain, devices[0].iommu_group);
	iommu_domain_free(domain);
}

/* ---- reserved regions ---- */

static void test_resv_regions(void **state)
{
	struct iommu_resv_region r[4];

	assert_int_equal(iommu_get_group_resv_regions(devices[1].iommu_group, r, 4), 2);
	assert_int_equal(r[0].start, 0xfee00000);
	assert_int_equal(r[0].last, 0xfeefffff);
	assert_int_equal(r[0].type, IOMMU_RESV_MSI);
	assert_int_equal(r[1].start, 0xfd00000000);
	assert_int_equal(r[1].last, 0xffffffffff);
	assert_int_equal(r[1].type, IOMMU_RESV_RESERVED);
	assert_int_equal(iommu_get_group_resv_regions(devices[1].iommu_group, r, 1), 1);
	assert_true(device_iommu_capable_cache_coherency(&devices[0]));
}

static void many_regions(struct iommu_device *unused, struct device *dev,
			 void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	static const struct iommu_resv_region list[] = {
		{ 0x8000, 0x8fff, IOMMU_RESV_DIRECT }, { 0x1000, 0x1fff, IOMMU_RESV_RESERVED },
		{ 0x9000, 0x9fff, IOMMU_RESV_DIRECT },	/* touches the first: one region */
		{ 0x1800, 0x27ff, IOMMU_RESV_MSI },	/* another type: stays apart */
		{ 0xb000, 0xbfff, IOMMU_RESV_DIRECT }, { 0x9800, 0xb7ff, IOMMU_RESV_DIRECT }, /* joins two */
		{ ~0xfffull, ~0ull, IOMMU_RESV_DIRECT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		add(arg, &list[i]);
}

static void test_resv_merge(void **state)
{
	static const struct iommu_device_ops ops = { .get_resv_regions = many_regions };
	struct iommu_device unit = { .ops = &ops };
	struct iommu_resv_region r[8];

	assert_int_equal(iommu_device_resv_regions(&unit, NULL, r, 8), 4);
	assert_int_equal(r[0].start, 0x1000);
	assert_int_equal(r[0].last, 0x1fff);
	assert_int_equal(r[1].start, 0x1800);
	assert_int_equal(r[1].type, IOMMU_RESV_MSI);
	assert_int_equal(r[2].start, 0x8000);
	assert_int_equal(r[2].last, 0xbfff);
	assert_int_equal(r[3].start, ~0xfffull);
	assert_int_equal(r[3].last, ~0ull);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_tree), T(test_devices_leave), T(test_probe_refuses), T(test_for_each), T(test_claim),
		T(test_kernel_drivers), T(test_reasons), T(test_default_type), T(test_attach),
		T(test_attach_other_unit), T(test_attach_is_all_or_nothing), T(test_map_checks),
		T(test_invalidation), T(test_resv_regions), T(test_resv_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
