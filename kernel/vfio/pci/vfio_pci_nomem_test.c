/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_nomem_test.c - each allocation in the life of an open device fails in turn.
 *
 * As nomem_test.c of the VFIO core: a call that fails says ENOMEM with a reason, and nothing is left behind.
 */
#include "kernel/lib/nomem_test.h"
#include "kernel/vfio/pci/vfio_pci_test.h"

static bool went(long ret)
{
	if (ret >= 0)
		return true;
	assert_non_null(explain_take());
	assert_int_equal(ret, -ENOMEM);
	return false;
}

static void use_interrupts(int d, unsigned index, int e)
{
	const bool on = went(t_set_irqs(d, 36, index, 0, 1, &e, 4));

	if (on && index == VFIO_PCI_INTX_IRQ_INDEX)
		went(t_set_irqs(d, 20, index, 0, 1, &e, 4));
	if (on)
		t_works(t_set_irqs(d, 33, index, 0, 0, NULL, 0));
}

static void use_low_power(int d, int e)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_low_power_entry_with_wakeup w;
	} entry = { .f = { sizeof(entry), VFIO_DEVICE_FEATURE_SET | 4 }, .w = { .wakeup_eventfd = e } };

	went(t_ioctl(d, VFIO_DEVICE_FEATURE, &entry));
}

static void use_resets(int d, int group)
{
	struct {
		struct vfio_pci_hot_reset_info h;
		struct vfio_pci_dependent_device dev[2];
	} info = { .h.argsz = sizeof(info) };
	struct {
		struct vfio_pci_hot_reset h;
		int fd[1];
	} hot = { .h = { .argsz = sizeof(hot), .count = 1 }, .fd = { group } };

	went(t_ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	went(t_ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hot));
	went(t_ioctl(d, VFIO_DEVICE_RESET, NULL));
}

static void use(int d, int group, int e)
{
	struct {
		struct vfio_region_info info;
		char caps[64];
	} region = { .info.argsz = sizeof(region) };
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io), .flags = 4, .offset = 8, .fd = e };

	went(t_ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &region));
	use_interrupts(d, VFIO_PCI_INTX_IRQ_INDEX, e);
	use_interrupts(d, VFIO_PCI_MSI_IRQ_INDEX, e);
	use_interrupts(d, VFIO_PCI_MSIX_IRQ_INDEX, e);
	went(t_ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	use_low_power(d, e);
	t_put(d, CFG + 0x44, 2, 3); /* D3hot keeps a copy of the state, if it can */
	t_put(d, CFG + 0x44, 2, 0);
	use_resets(d, group);
}

static void each_allocation(void **state)
{
	struct t_ctx x = t_setup("vfio/10", VFIO_TYPE1v2_IOMMU);
	const int e = t_eventfd();
	long n = 0, ret;
	bool failed;
	int d;

	(void)state;
	do {
		nomem_begin((u32)++n);
		ret = t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, t_hw[IGB].name);
		if (went(ret)) {
			d = (int)ret;
			use(d, x.g, e);
			t_close(d);
		}
		failed = nomem_end();
		assert_false(vfio_device_in_use(
			&((struct vfio_pci_core_device *)t_hw[IGB].pdev.dev.driver_data)->vdev));
	} while (failed);
	print_message("%ld allocations\n", n - 1);
	assert_true(n > 15);
	close(e);
	t_teardown(x);
}

static void each_allocation_of_a_bind(void **state)
{
	struct device *dev = &t_hw[IGB].pdev.dev;
	long n = 0;
	bool failed;
	int found;

	(void)state;
	kernfs_lock();
	do {
		device_driver_detach(dev);
		nomem_begin((u32)++n);
		found = device_attach(dev);
		failed = nomem_end();
		if (!found)
			assert_null(dev->driver_data);
	} while (failed);
	kernfs_unlock();
	assert_int_equal(found, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_allocation, t_close_all),
		cmocka_unit_test_teardown(each_allocation_of_a_bind, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_pci_machine, t_pci_machine_end);
}
