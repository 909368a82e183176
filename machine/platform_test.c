/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform_test.c - platform devices of a machine: their configuration, and one at work through the
 * real IOMMU, bus and memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/edu/regs.h"
#include "hw/platdev/regs.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/mm.h"
#include "machine/machine_priv.h"

#define IOVA 0x100000ull
#define REQUIRED "sys/module/vfio_platform/parameters/reset_required"

static char dir[64];
static char events[8192]; /* one a line */

static void sink(const char *line)
{
	const size_t len = strlen(events);

	snprintf(events + len, sizeof(events) - len, "%s\n", line);
}

static void make_dir(void)
{
	strcpy(dir, "/tmp/softvfio-platform-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

/* ---- configuration --------------------------------------------------------------------------- */

static int setup_config(void **state)
{
	explain_enable();
	make_dir();
	*state = machine_config_new();
	return *state ? 0 : -1;
}

static int teardown_config(void **state)
{
	machine_config_free(*state);
	machine_destroy(dir);
	return 0;
}

static struct device_config *add(struct machine_config *cfg, const char *text)
{
	assert_int_equal(machine_config_add(cfg, text), 0);
	return &cfg->devices[cfg->nr_devices - 1];
}

static void fails(struct machine_config *cfg, const char *text, const char *why)
{
	const char *reason;

	explain_begin();
	assert_int_equal(machine_config_add(cfg, text), -EINVAL);
	reason = explain_take();
	assert_non_null(reason);
	if (!strstr(reason, why))
		print_error("\"%s\": %s\n", text, reason);
	assert_non_null(strstr(reason, why));
}

static void test_names_and_streams(void **state)
{
	struct machine_config *cfg = *state;

	add(cfg, "platdev");
	add(cfg, "platdev,name=platdev.1,stream=0x123,driver=none");
	add(cfg, "platdev,name=fe000000.dma,group=0");
	add(cfg, "platdev");
	add(cfg, "edu");
	add(cfg, "edu,addr=0000:09:00.0");
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_string_equal(cfg->devices[0].name, "platdev.0");
	assert_string_equal(cfg->devices[1].name, "platdev.1");
	assert_string_equal(cfg->devices[2].name, "fe000000.dma");
	assert_string_equal(cfg->devices[3].name, "platdev.2");
	assert_int_equal(cfg->devices[0].devid, 0x0a00); /* behind the last PCI bus */
	assert_int_equal(cfg->devices[1].devid, 0x0123);
	assert_int_equal(cfg->devices[2].devid, 0x0a01);
	assert_int_equal(cfg->devices[3].devid, 0x0a02);
	assert_string_equal(device_config_driver(&cfg->devices[0]), "vfio-platform");
	assert_string_equal(device_config_driver(&cfg->devices[1]), "none");
	assert_int_equal(cfg->devices[2].group, 0);
	assert_int_equal(cfg->devices[0].group, 1);
	assert_int_equal(cfg->nr_devices, 8); /* a root port for each bus of PCI, and no more */
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(cfg->nr_devices, 8);
}

static void test_streams_behind_all_buses(void **state)
{
	struct machine_config *cfg = *state;

	add(cfg, "root-port,bus=255");
	add(cfg, "platdev");
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(cfg->devices[1].devid, 0); /* the host bridge's place, which is no device here */
}

static void test_refused(void **state)
{
	struct machine_config *cfg = *state;
	const char *why;

	add(cfg, "platdev,name=a.0");
	add(cfg, "edu,addr=0000:01:00.0");
	fails(cfg, "platdev,name=a.0", "name=a.0 is given to two devices");
	fails(cfg, "platdev,name=", "1 to 47 letters");
	fails(cfg, "platdev,name=a/b", "1 to 47 letters");
	fails(cfg, "platdev,name=..", "1 to 47 letters");
	fails(cfg, "platdev,name=x234567890123456789012345678901234567890123456789", "1 to 47 letters");
	fails(cfg, "platdev,stream=0x100", "another device's id");
	fails(cfg, "platdev,stream=65536", "not a number in [0, 65535]");
	fails(cfg, "platdev,addr=0000:02:00.0", "it takes name=");
	fails(cfg, "platdev,driver=vfio-pci", "platdev takes vfio-platform, platdev, none");
	fails(cfg, "platdev,bus=1", "it knows name, stream, group, driver, iommu, inject, reset");
	fails(cfg, "edu,name=x", "edu has no key name");
	fails(cfg, "edu,driver=vfio-platform", "edu takes vfio-pci, soft_vfio_pci, edu, none");
	explain_begin();
	assert_int_equal(machine_config_add_param(cfg, "vfio_platform.reset_required"), -EINVAL);
	why = explain_take();
	assert_non_null(strstr(why, "is not MODULE.PARAMETER=VALUE"));
	assert_int_equal(machine_config_add_param(cfg, "vfio_platform.reset_required=maybe"), -EINVAL);
	assert_int_equal(machine_config_add_param(cfg, "vfio_pci.ids=1"), -EINVAL);
}

static void test_too_many(void **state)
{
	struct machine_config *cfg = *state;

	for (unsigned i = 0; i < 149; i++)
		add(cfg, "platdev");
	explain_begin();
	assert_int_equal(machine_config_complete(cfg), -EINVAL);
	assert_non_null(strstr(explain_take(), "at most 148 platform devices"));
}

static void test_save_and_load(void **state)
{
	struct machine_config *cfg = *state, *back = machine_config_new();
	char path[96];

	add(cfg, "platdev,reset=off,name=x.0,driver=none");
	add(cfg, "edu");
	add(cfg, "platdev");
	assert_int_equal(machine_config_add_param(cfg, "vfio_platform.reset_required=0"), 0);
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(machine_config_save(cfg, dir), 0);
	snprintf(path, sizeof(path), "%s/machine.ini", dir);
	assert_int_equal(machine_config_load(back, path), 0);
	assert_int_equal(machine_config_complete(back), 0);
	assert_int_equal(back->nr_devices, cfg->nr_devices);
	assert_true(back->reset_not_required);
	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		assert_int_equal(back->devices[i].devid, cfg->devices[i].devid);
		assert_int_equal(back->devices[i].group, cfg->devices[i].group);
		assert_ptr_equal(back->devices[i].model, cfg->devices[i].model);
		if (cfg->devices[i].name)
			assert_string_equal(back->devices[i].name, cfg->devices[i].name);
	}
	machine_config_free(back);
}

/* ---- a machine ------------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct machine_config *cfg = machine_config_new();
	int err;

	explain_enable();
	explain_set_sink(sink);
	events[0] = '\0';
	make_dir();
	assert_non_null(cfg);
	add(cfg, "platdev");
	add(cfg, "platdev,name=spare.7,driver=platdev");
	add(cfg, "edu,dma_mask=0xffffffffffffffff");
	if (*state)
		assert_int_equal(machine_config_set_iommu(cfg, *state), 0);
	explain_begin();
	err = machine_create(dir, cfg);
	if (err)
		print_error("machine_create: %s\n", explain_take());
	machine_config_free(cfg);
	if (err)
		return err;
	assert_int_equal(machine_attach_lazy(dir), 0);
	return machine_attach();
}

static int setup_intel(void **state)
{
	*state = (void *)(uintptr_t)"intel";
	return setup(state);
}

static int setup_none(void **state)
{
	*state = (void *)(uintptr_t)"none";
	return setup(state);
}

static int teardown(void **state)
{
	machine_detach();
	machine_destroy(dir);
	return 0;
}

static struct platform_device *find(const char *name)
{
	struct device *dev = bus_find_device(&platform_bus_type, name);

	assert_non_null(dev);
	return to_platform_device(dev);
}

static void test_attached(void **state)
{
	struct platform_device *dev = find("platdev.0"), *spare = find("spare.7");

	assert_string_equal(dev->dev.driver->name, "vfio-platform");
	assert_string_equal(spare->dev.driver->name, "platdev");
	assert_int_equal(dev->num_resources, 3);
	assert_int_equal(dev->num_irqs, 2);
	assert_true(dev->has_reset);
	assert_int_equal(dev->resource[0].start, 0x2c000000);
	assert_int_equal(dev->resource[1].start, 0x2c002000);
	assert_true(dev->resource[1].readonly);
	assert_int_equal(dev->resource[2].start, 0x2c003000);
	assert_int_equal(spare->resource[0].start, 0x2d000000);
	assert_int_equal(iommu_group_id(dev->dev.iommu_group), 0);
	assert_true(kernfs_exists("dev/vfio/0"));
	assert_false(kernfs_exists("dev/vfio/1"));
}

static u32 copy(struct platform_device *dev, u64 src, u64 dst, u32 len)
{
	const struct platform_hw_ops *ops = dev->hw_ops;

	ops->write(dev->hw, 0, PLATDEV_DMA_SRC, 8, src);
	ops->write(dev->hw, 0, PLATDEV_DMA_DST, 8, dst);
	ops->write(dev->hw, 0, PLATDEV_DMA_LEN, 4, len);
	ops->write(dev->hw, 0, PLATDEV_DMA_CMD, 4, PLATDEV_CMD_COPY);
	return (u32)ops->read(dev->hw, 0, PLATDEV_DMA_STATUS, 4);
}

/* The same device ids as a PCI device would have must not reach its domain. */
static void test_dma(void **state)
{
	struct platform_device *dev = find("platdev.0"), *spare = find("spare.7");
	u8 *mem = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_group *group = iommu_group_get(&dev->dev);
	struct iommu_domain *domain = iommu_paging_domain_alloc(&dev->dev);
	u64 regs = find("spare.7")->resource[0].start;
	phys_addr_t phys;

	guard_install();
	assert_false(IS_ERR(domain));
	assert_int_equal(iommu_group_claim_dma_owner(group, mem), 0);
	assert_int_equal(iommu_attach_group(domain, group), 0);
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)mem, 65536, true, &phys), 0);
	assert_int_equal(iommu_map(domain, IOVA, phys, 65536, IOMMU_READ | IOMMU_WRITE), 0);
	assert_int_equal(iommu_map(domain, 0x4000000, (phys_addr_t)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT | regs, 4096,
				   IOMMU_READ | IOMMU_WRITE), 0);
	memset(mem, 0x5a, 4096);
	assert_int_equal(copy(dev, IOVA, IOVA + 8192, 4096), PLATDEV_DMA_DONE);
	assert_memory_equal(mem, mem + 8192, 4096);
	/* The registers of the other one are on the bus. */
	assert_int_equal(copy(dev, 0x4000000 + PLATDEV_ID, IOVA, 4), PLATDEV_DMA_DONE);
	assert_int_equal(*(u32 *)mem, PLATDEV_ID_VALUE);
	assert_int_equal(copy(dev, IOVA, 0x4000000 + PLATDEV_SCRATCH, 4), PLATDEV_DMA_DONE);
	assert_int_equal(spare->hw_ops->read(spare->hw, 0, PLATDEV_SCRATCH, 4), PLATDEV_ID_VALUE);
	/* Another stream is in another domain. */
	assert_int_equal(copy(spare, IOVA, IOVA, 16), PLATDEV_DMA_READ_FAULT);
	assert_int_equal(copy(dev, IOVA + 65536, IOVA, 16), PLATDEV_DMA_READ_FAULT);
	assert_non_null(strstr(events, "device platdev.0 (stream 0x200) reads iova 0x110000"));
	iommu_detach_group(domain, group);
	iommu_domain_free(domain);
	iommu_group_release_dma_owner(group);
	iommu_group_put(group);
	mm_unpin(phys, 65536);
	munmap(mem, 65536);
}

static void test_without_iommu(void **state)
{
	struct platform_device *dev = find("platdev.0");
	u8 *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	guard_install();
	mem[0] = 0x77;
	assert_int_equal(copy(dev, (uintptr_t)mem, (uintptr_t)mem + 4096, 16), PLATDEV_DMA_DONE);
	assert_int_equal(mem[4096], 0x77);
	assert_int_equal(copy(dev, find("spare.7")->resource[0].start, (uintptr_t)mem, 4), PLATDEV_DMA_DONE);
	assert_int_equal(*(u32 *)mem, PLATDEV_ID_VALUE);
	munmap(mem, 8192);
	assert_int_equal(copy(dev, (uintptr_t)mem, (uintptr_t)mem, 16), PLATDEV_DMA_READ_FAULT);
	assert_non_null(strstr(events, "device platdev.0 (stream 0x200) reads physical"));
}

static void count(void *arg)
{
	++*(unsigned *)arg;
}

static void test_interrupts(void **state)
{
	struct platform_device *dev = find("platdev.0");
	unsigned edges = 0, levels = 0;

	assert_int_equal(platform_request_irq(dev, 0, count, &edges), 0);
	assert_int_equal(platform_request_irq(dev, 1, count, &levels), 0);
	dev->hw_ops->write(dev->hw, 0, PLATDEV_IRQ_RAISE, 4, PLATDEV_RAISE_EDGE | PLATDEV_RAISE_LEVEL);
	assert_int_equal(edges, 1);
	assert_int_equal(levels, 1);
	assert_true(platform_irq_pending(dev, 1));
	dev->hw_ops->reset(dev->hw);
	assert_false(platform_irq_pending(dev, 1));
	platform_free_irq(dev, 0);
	platform_free_irq(dev, 1);
}

static void create_and_read_param(const char *param, const char *device, int want, char answer)
{
	struct machine_config *cfg = machine_config_new();
	char buf[2] = "";

	make_dir();
	if (param)
		assert_int_equal(machine_config_add_param(cfg, param), 0);
	add(cfg, device);
	explain_begin();
	assert_int_equal(machine_create(dir, cfg), want);
	machine_config_free(cfg);
	if (!want) {
		assert_int_equal(machine_attach_lazy(dir), 0);
		assert_int_equal(machine_attach(), 0);
		assert_int_equal(kernfs_read(REQUIRED, buf, 2), 2);
		assert_int_equal(buf[0], answer);
		assert_string_equal(find("platdev.0")->dev.driver->name, "vfio-platform");
		machine_detach();
	}
	machine_destroy(dir);
}

static void test_reset_required(void **state)
{
	explain_enable();
	create_and_read_param(NULL, "platdev", 0, 'Y');
	create_and_read_param(NULL, "platdev,reset=off", -EINVAL, 0);
	assert_non_null(strstr(explain_take(), "vfio_platform.reset_required=N"));
	create_and_read_param("vfio_platform.reset_required=N", "platdev,reset=off", 0, 'N');
	create_and_read_param("vfio_platform.reset_required=Y", "platdev", 0, 'Y');
}

int main(void)
{
#define C(name) cmocka_unit_test_setup_teardown(name, setup_config, teardown_config)
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		C(test_names_and_streams), C(test_streams_behind_all_buses), C(test_refused), C(test_too_many),
		C(test_save_and_load), T(test_attached), T(test_dma),
		cmocka_unit_test_setup_teardown(test_dma, setup_intel, teardown),
		cmocka_unit_test_setup_teardown(test_without_iommu, setup_none, teardown),
		T(test_interrupts), cmocka_unit_test(test_reset_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
