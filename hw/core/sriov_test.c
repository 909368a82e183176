/* SPDX-License-Identifier: BSD-3-Clause */
/* sriov_test.c - physical and virtual functions as silicon: config space, who answers when, resets, unplugging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <linux/pci_regs.h>

#include "hw/core/hw_fake.h"

static int cap;
static unsigned resets[4]; /* physical function, then the virtual ones */
static struct hw_sriov sriov;

static void model_reset(struct hw_device *hw)
{
	resets[hw_physfn(hw) ? hw_vf_index(hw) + 1 : 0]++;
}

static u64 model_read(struct hw_device *hw, unsigned bar, u64 off, unsigned len)
{
	return hw_physfn(hw) ? 0x100 + hw_vf_index(hw) : 0x99;
}

static int vf_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 0x1234, .device = 2, .intx_pin = 1, .express = true };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x4000, HW_BAR_MEM64), 0);
	return hw_cap_add_express(hw, true) < 0 ? -ENOSPC : 0;
}

static int pf_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 0x1234, .device = 1, .express = true };

	hw_pci_identify(hw, &id);
	assert_int_equal(hw_bar_add(hw, 0, 0x1000, 0), 0);
	cap = hw_ext_cap_add_sriov(hw, &sriov);
	return cap < 0 ? cap : 0;
}

static const struct hw_model vf_model = {
	.name = "vf", .create = vf_create, .reset = model_reset, .bar_read = model_read,
};
static const struct hw_model pf_model = {
	.name = "pf", .create = pf_create, .reset = model_reset, .bar_read = model_read,
};

struct pair {
	struct hw_device *pf, *vf[3];
};

static void sriov_default(void)
{
	sriov = (struct hw_sriov){ .total_vfs = 3, .offset = 0x80, .stride = 2, .vf_device = 2,
				   .bar_bytes = { 0x4000 }, .bar_flags = { HW_BAR_MEM64 }, .vf_model = &vf_model };
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	sriov_default();
	memset(resets, 0, sizeof(resets));
	p->pf = fake_create_ok(&pf_model, NULL);
	for (unsigned i = 0; i < 3; i++) {
		p->vf[i] = hw_device_create_vf(p->pf, i, "vf", &fake_ops, &fake, (struct hw_iommu *)fake_ram,
					       (u16)(0x180 + 2 * i));
		assert_false(IS_ERR(p->vf[i]));
	}
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	for (unsigned i = 0; i < 3; i++)
		hw_device_destroy(p->vf[i]);
	hw_device_destroy(p->pf);
	free(p);
	return 0;
}

static void test_capability(void **state)
{
	struct pair *p = *state;
	unsigned offset, stride;

	assert_int_equal(hw_sriov_total_vfs(p->pf, &offset, &stride), 3);
	assert_int_equal(offset, 0x80);
	assert_int_equal(stride, 2);
	assert_int_equal(hw_config_read(p->pf, (unsigned)cap + PCI_SRIOV_TOTAL_VF, 2), 3);
	assert_int_equal(hw_config_read(p->pf, (unsigned)cap + PCI_SRIOV_VF_DID, 2), 2);
	hw_config_write(p->pf, (unsigned)cap + PCI_SRIOV_BAR, 4, ~0u);
	assert_int_equal(hw_config_read(p->pf, (unsigned)cap + PCI_SRIOV_BAR, 4), 0xffffc004);
	assert_int_equal(hw_sriov_total_vfs(p->vf[0], &offset, &stride), 0);
}

/* No ids, no BARs, no pin, no switch for memory: software gets all of that from the physical function. */
static void test_vf_config(void **state)
{
	struct pair *p = *state;

	assert_ptr_equal(hw_physfn(p->vf[1]), p->pf);
	assert_int_equal(hw_vf_index(p->vf[1]), 1);
	assert_null(hw_physfn(p->pf));
	assert_int_equal(hw_config_read(p->vf[1], PCI_VENDOR_ID, 4), ~0u);
	assert_int_equal(hw_config_read(p->vf[1], PCI_INTERRUPT_PIN, 1), 0);
	hw_config_write(p->vf[1], PCI_BASE_ADDRESS_0, 4, ~0u);
	assert_int_equal(hw_config_read(p->vf[1], PCI_BASE_ADDRESS_0, 4), 0);
	hw_config_write(p->vf[1], PCI_COMMAND, 2, 0xffff);
	assert_int_equal(hw_config_read(p->vf[1], PCI_COMMAND, 2), PCI_COMMAND_MASTER);
}

static void control(struct pair *p, u16 val)
{
	hw_config_write(p->pf, (unsigned)cap + PCI_SRIOV_CTRL, 2, val);
}

static void test_who_answers(void **state)
{
	struct pair *p = *state;

	assert_int_equal(hw_bar_read(p->vf[2], 0, 0, 4), ~0u);
	control(p, PCI_SRIOV_CTRL_VFE);
	assert_int_equal(hw_bar_read(p->vf[2], 0, 0, 4), ~0u);
	control(p, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	assert_int_equal(hw_bar_read(p->vf[2], 0, 0, 4), 0x102);
	assert_int_equal(hw_bar_read(p->pf, 0, 0, 4), 0x99);
	hw_unplug(p->vf[1]);
	assert_int_equal(hw_bar_read(p->vf[1], 0, 0, 4), ~0u);
	assert_int_equal(hw_config_read(p->vf[1], PCI_COMMAND, 2), 0xffff);
	assert_int_equal(hw_bar_read(p->vf[2], 0, 0, 4), 0x102);
	hw_unplug(p->pf);
	assert_int_equal(hw_bar_read(p->vf[2], 0, 0, 4), ~0u);
	assert_int_equal(hw_bar_read(p->pf, 0, 0, 4), ~0u);
	assert_int_equal(hw_config_read(p->pf, 0, 4), ~0u);
}

static void test_resets(void **state)
{
	struct pair *p = *state;

	control(p, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	hw_reset(p->vf[1], false);
	assert_int_equal(resets[0] + resets[1] + resets[3], 0);
	assert_int_equal(resets[2], 1);
	hw_reset(p->pf, false); /* takes them all along, and switches them off */
	assert_int_equal(resets[0], 1);
	assert_int_equal(resets[1], 1);
	assert_int_equal(resets[2], 2);
	assert_int_equal(hw_bar_read(p->vf[0], 0, 0, 4), ~0u);
}

static void test_refused(void **state)
{
	struct hw_device *pf, *vf;

	explain_enable();
	sriov_default();
	sriov.total_vfs = HW_VFS_MAX + 1;
	fake_create_fails(&pf_model, NULL, -EINVAL, "65 virtual functions");
	sriov_default();
	sriov.offset = 0xfe;
	fake_create_fails(&pf_model, NULL, -EINVAL, "leave the bus");
	sriov_default();
	sriov.bar_bytes[0] = 256;
	fake_create_fails(&pf_model, NULL, -EINVAL, "a page or more");
	sriov_default();
	sriov.bar_bytes[0] = 0x8000;
	pf = fake_create_ok(&pf_model, NULL);
	vf = hw_device_create_vf(pf, 0, "vf", &fake_ops, &fake, (struct hw_iommu *)fake_ram, 0x180);
	assert_true(IS_ERR(vf));
	assert_int_equal(PTR_ERR(vf), -EINVAL);
	hw_reset(pf, false); /* nothing is left of it */
	hw_device_destroy(pf);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_capability), T(test_vf_config), T(test_who_answers), T(test_resets),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
