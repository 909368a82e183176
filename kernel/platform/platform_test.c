/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform_test.c - devices on the platform and the AMBA bus: what their directories say, who gets
 * them, and their interrupts.
 *
 * Texts and errnos of the platform bus are what a Linux 7.2 answered for its own platform devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/fs/attr_test.h"
#include "kernel/platform/platform.h"

static char dir[64];
static bool level;
static int vfio_probes, iommu_probes, iommu_result, calls;

static bool fake_level(void *hw, unsigned irq)
{
	return level;
}

static const struct platform_hw_ops fake_ops = { .irq_level = fake_level };
static struct platform_device toy, dma, at_addr;

static int vfio_probe(struct platform_device *pdev)
{
	vfio_probes++;
	return 0;
}

static struct platform_driver vfio = { .driver = { .name = "vfio-platform", .driver_managed_dma = true }, .probe = vfio_probe };
static struct platform_driver vfio_amba = { .driver = { .name = "vfio-amba", .driver_managed_dma = true }, .probe = vfio_probe };
static const struct amba_id dma_ids[] = { { 0x00041330, 0x000fffff }, { 0 } };

static int iommu_probe(struct platform_device *pdev)
{
	iommu_probes++;
	return iommu_result;
}

static void make_device(struct platform_device *pdev, const char *name, u32 amba_id)
{
	memset(pdev, 0, sizeof(*pdev));
	pdev->dev.name = name;
	pdev->amba_id = amba_id;
	pdev->hw_ops = &fake_ops;
	pdev->num_resources = 1;
	pdev->resource[0] = (struct platform_resource){ .start = 0x2c000000, .size_bytes = 0x1000 };
	pdev->num_irqs = 2;
	pdev->irq[1].level = true;
}

static void add_all(void)
{
	make_device(&toy, "toy.12", 0);
	make_device(&dma, "2c000000.dma", 0x00341330);
	make_device(&at_addr, "fe000000.dma", 0);
	at_addr.compatible = "toy";
	kernfs_lock();
	assert_int_equal(platform_bus_init(), 0);
	assert_int_equal(platform_driver_register(&vfio), 0);
	assert_int_equal(amba_driver_register(&vfio_amba), 0);
	assert_int_equal(platform_host_driver_register("toy", NULL), 0);
	assert_int_equal(platform_host_driver_register("dma-pl330", dma_ids), 0);
	assert_int_equal(platform_device_add(&toy, false), 0);
	assert_int_equal(platform_device_add(&dma, true), 0);
	assert_int_equal(platform_device_add(&at_addr, false), 0);
	kernfs_unlock();
}

static void forget_all(void)
{
	kernfs_close();
	kernfs_lock();
	platform_device_del(&at_addr);
	platform_device_del(&dma);
	platform_device_del(&toy);
	platform_driver_unregister(&vfio_amba);
	platform_driver_unregister(&vfio);
	platform_bus_exit();
	kernfs_unlock();
}

static int setup(void **state)
{
	explain_enable();
	strcpy(dir, "/tmp/platform_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	vfio_probes = iommu_probes = iommu_result = calls = 0;
	level = false;
	platform_iommu_probe = iommu_probe;
	assert_int_equal(kernfs_open(dir, true), 0);
	add_all();
	kernfs_created();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	forget_all();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

#define P "sys/bus/platform/"
#define A "sys/bus/amba/"
#define TOY P "devices/toy.12/"
#define DMA A "devices/2c000000.dma/"

static void test_attributes(void **state)
{
	must_link(P "devices/toy.12", "../../../devices/platform/toy.12");
	must_link(TOY "subsystem", "../../../bus/platform");
	must_link(TOY "driver", "../../../bus/platform/drivers/toy");
	must_contain(TOY "modalias", "platform:toy\n");
	must_contain(TOY "uevent", "DRIVER=toy\nMODALIAS=platform:toy\n");
	must_contain(TOY "driver_override", "(null)\n");
	must_contain(TOY "power/control", "auto\n");
	must_contain(TOY "power/runtime_status", "unsupported\n");
	must_link(P "devices/fe000000.dma/driver", "../../../bus/platform/drivers/toy"); /* compatible with it */
	must_contain(P "devices/fe000000.dma/modalias", "platform:fe000000.dma\n"); /* no number behind the dot */
	must_contain(P "drivers_autoprobe", "1\n");
	must_link(A "devices/2c000000.dma", "../../../devices/platform/2c000000.dma");
	must_contain(DMA "id", "00341330\n");
	must_contain(DMA "resource", "\t0x000000002c000000\t0x000000002c000fff\t0x0000000000000200\n");
	must_contain(DMA "uevent", "AMBA_ID=00341330\nMODALIAS=amba:d00341330\n");
	assert_false(kernfs_exists(P "drivers/vfio-platform/new_id"));
	assert_false(kernfs_exists(A "drivers/vfio-amba/new_id"));
	assert_false(kernfs_exists(DMA "driver"));
	assert_int_equal(iommu_probes, 3);
}

static void test_vfio_needs_an_override(void **state)
{
	must_echo("toy.12", P "drivers/toy/unbind");
	must_fail("toy.12", P "drivers/vfio-platform/bind", -ENODEV);
	assert_non_null(strstr(explain_take(), "write vfio-platform to its driver_override"));
	assert_null(strstr(explain_take() ? explain_take() : "", "new_id"));
	must_echo("vfio-platform\n", TOY "driver_override");
	must_echo("toy.12\n", P "drivers_probe");
	assert_int_equal(vfio_probes, 1);
	must_contain(TOY "uevent", "DRIVER=vfio-platform\nMODALIAS=platform:toy\n");
	must_fail("toy.12", P "drivers/toy/unbind", -ENODEV);
	must_echo("toy.12", P "drivers/vfio-platform/unbind");
	must_fail("toy.12", P "drivers/toy/bind", -ENODEV); /* the override stands */
	must_echo("\n", TOY "driver_override");
	must_echo("toy.12", P "drivers/toy/bind");
	must_fail("toy.12", P "drivers/toy/bind", -EBUSY);
	must_fail("nosuch", P "drivers/toy/bind", -ENODEV);
	must_fail("nosuch", P "drivers_probe", -ENODEV);
	must_echo("add", TOY "uevent");
	must_fail("bogus", TOY "uevent", -EINVAL);
	must_fail("x", TOY "modalias", -EACCES);
}

static void test_amba_ids(void **state)
{
	must_fail("2c000000.dma", A "drivers/vfio-amba/bind", -ENODEV);
	must_echo("2c000000.dma", A "drivers_probe");
	must_link(DMA "driver", "../../../bus/amba/drivers/dma-pl330"); /* by its id */
	must_contain(DMA "uevent", "DRIVER=dma-pl330\nAMBA_ID=00341330\nMODALIAS=amba:d00341330\n");
	must_echo("2c000000.dma", A "drivers/dma-pl330/unbind");
	must_echo("vfio-amba", DMA "driver_override");
	must_echo("2c000000.dma", A "drivers_probe");
	assert_int_equal(vfio_probes, 1);
}

static void test_the_next_process_finds_it(void **state)
{
	must_echo("fe000000.dma", P "drivers/toy/unbind");
	must_echo("vfio-platform", P "devices/fe000000.dma/driver_override");
	must_echo("fe000000.dma", P "drivers_probe");
	forget_all();
	vfio_probes = 0;
	assert_int_equal(kernfs_open(dir, false), 0);
	add_all();
	assert_int_equal(vfio_probes, 1);
	assert_ptr_equal(at_addr.dev.driver, &vfio.driver);
	assert_string_equal(at_addr.dev.driver_override, "vfio-platform");
	assert_string_equal(toy.dev.driver->name, "toy");
	assert_null(dma.dev.driver);
}

static void test_not_added(void **state)
{
	struct platform_device other;

	make_device(&other, "toy.12", 0);
	kernfs_lock();
	assert_int_equal(platform_device_add(&other, true), -EEXIST);
	make_device(&other, "other.0", 0);
	iommu_result = -ENOMEM;
	assert_int_equal(platform_device_add(&other, true), -ENOMEM);
	assert_false(kernfs_exists(P "devices/other.0"));
	assert_false(kernfs_exists("sys/devices/platform/other.0"));
	kernfs_unlock();
}

static void handler(void *arg)
{
	calls += *(int *)arg;
}

static void test_interrupts(void **state)
{
	int one = 1;

	platform_irq_receive(&toy, 0); /* nobody listens */
	assert_int_equal(platform_request_irq(&toy, 2, handler, &one), -EINVAL);
	assert_int_equal(platform_request_irq(&toy, 0, handler, &one), 0);
	assert_int_equal(platform_request_irq(&toy, 0, handler, &one), -EBUSY);
	assert_int_equal(calls, 0);
	platform_irq_receive(&toy, 0);
	platform_irq_receive(&toy, 99);
	assert_int_equal(calls, 1);
	level = true;
	assert_false(platform_irq_pending(&toy, 0)); /* an edge has no level */
	assert_true(platform_irq_pending(&toy, 1));
	assert_int_equal(platform_request_irq(&toy, 1, handler, &one), 0);
	assert_int_equal(calls, 2); /* it was high already */
	platform_free_irq(&toy, 0);
	platform_free_irq(&toy, 1);
	platform_irq_receive(&toy, 0);
	assert_int_equal(calls, 2);
}

static void test_names(void **state)
{
	static const char *const cases[][2] = {
		{ "toy.12", "toy" }, { "toy", "toy" }, { "toy.", "toy." }, { ".1", ".1" }, { "a.b.3", "a.b" },
		{ "fe000000.dma", "fe000000.dma" }, { "a.1x", "a.1x" },
	};
	char buf[PLATFORM_NAME_BYTES], text[100];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(platform_name_stem(cases[i][0], buf), cases[i][1]);
	memset(text, 'x', 99);
	text[99] = '\0';
	assert_int_equal(strlen(platform_name_stem(text, buf)), PLATFORM_NAME_BYTES - 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_attributes), T(test_vfio_needs_an_override), T(test_amba_ids), T(test_the_next_process_finds_it),
		T(test_not_added), T(test_interrupts), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
