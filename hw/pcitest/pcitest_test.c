/* SPDX-License-Identifier: BSD-3-Clause */
/* pcitest_test.c - registers of pcitest, its DMA through a fake IOMMU, and what its keys change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/pci_regs.h>

#include <sched.h>

#include "hw/core/hw_fake.h"
#include "hw/pcitest/regs.h"

extern const struct hw_model pcitest_model;

static int setup(void **state)
{
	explain_enable();
	memset(fake_ram, 0, sizeof(fake_ram));
	*state = fake_create_ok(&pcitest_model, NULL);
	hw_config_write(*state, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static u32 rd(void *hw, u64 reg) { return (u32)hw_bar_read(hw, 0, reg, 4); }
static void wr(void *hw, u64 reg, u32 val) { hw_bar_write(hw, 0, reg, 4, val); }

static unsigned find_cap(void *hw, u8 id)
{
	unsigned at = hw_config_read(hw, PCI_CAPABILITY_LIST, 1);

	while (at && hw_config_read(hw, at, 1) != id)
		at = hw_config_read(hw, at + 1, 1);
	return at;
}

static unsigned find_ext(void *hw, u16 id)
{
	unsigned at = 0x100;

	while (at && PCI_EXT_CAP_ID(hw_config_read(hw, at, 4)) != id)
		at = PCI_EXT_CAP_NEXT(hw_config_read(hw, at, 4));
	return at;
}

static void test_registers(void **state)
{
	void *hw = *state;

	assert_int_equal(rd(hw, PCITEST_ID), PCITEST_MAGIC);
	assert_int_equal(hw_bar_read(hw, 0, PCITEST_ID + 2, 2), PCITEST_MAGIC >> 16);
	assert_int_equal(hw_bar_read(hw, 1, PCITEST_ID, 4), PCITEST_MAGIC);
	wr(hw, PCITEST_LIVENESS, 0x0f0f0f0f);
	assert_int_equal(rd(hw, PCITEST_LIVENESS), 0xf0f0f0f0);
	wr(hw, PCITEST_DMA_SRC, 0x11111111); /* halves */
	wr(hw, PCITEST_DMA_SRC + 4, 0x22222222);
	assert_int_equal(hw_bar_read(hw, 0, PCITEST_DMA_SRC, 8), 0x2222222211111111);
	assert_int_equal(rd(hw, PCITEST_DMA_SRC + 4), 0x22222222);
	hw_bar_write(hw, 0, 0x204, 2, 0xabcd);
	assert_int_equal(rd(hw, PCITEST_LAST_OFF), 0x204);
	assert_int_equal(rd(hw, PCITEST_LAST_LEN), 2);
	assert_int_equal(hw_bar_read(hw, 0, PCITEST_LAST_VAL, 8), 0xabcd);
	hw_bar_write(hw, 4, 0xf8, 8, 0x0102030405060708);
	assert_int_equal(hw_bar_read(hw, 4, 0xfc, 4), 0x01020304);
	assert_int_equal(rd(hw, PCITEST_LAST_LEN), 4 << 8 | 8);
	hw_reset(hw, false);
	assert_int_equal(rd(hw, PCITEST_RESETS), 1);
	assert_int_equal(rd(hw, PCITEST_LIVENESS), 0);
	assert_int_equal(hw_bar_read(hw, 4, 0xf8, 8), 0);
}

static void copy(void *hw, u64 src, u64 dst, u32 len)
{
	hw_bar_write(hw, 0, PCITEST_DMA_SRC, 8, src);
	hw_bar_write(hw, 0, PCITEST_DMA_DST, 8, dst);
	wr(hw, PCITEST_DMA_LEN, len);
}

static void test_dma(void **state)
{
	void *hw = *state;

	memset(fake_ram, 0x42, 100);
	copy(hw, FAKE_IOVA, FAKE_IOVA + 1000, 100);
	assert_int_equal(rd(hw, PCITEST_DMA_STATUS), 0);
	assert_memory_equal(fake_ram + 1000, fake_ram, 100);
	copy(hw, 0, FAKE_IOVA, 8);
	assert_int_equal(rd(hw, PCITEST_DMA_STATUS), EFAULT);
	hw_config_write(hw, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	copy(hw, FAKE_IOVA, FAKE_IOVA + 1000, 100);
	assert_int_equal(rd(hw, PCITEST_DMA_STATUS), EPERM);
	copy(hw, FAKE_IOVA, FAKE_IOVA, PCITEST_DMA_MAX + 1);
	assert_non_null(strstr(fake.explain, "65537"));
}

static u32 wait_status(void *hw)
{
	u32 status;

	while ((status = rd(hw, PCITEST_DMA_STATUS)) == EINPROGRESS)
		sched_yield();
	return status;
}

static void test_dma_modes(void **state)
{
	void *hw = *state;

	memset(fake_ram, 0x24, 100);
	wr(hw, PCITEST_DMA_MODE, PCITEST_DMA_THREAD | PCITEST_DMA_IRQ | 0x10 | 3 << PCITEST_DMA_VECTOR_SHIFT);
	assert_int_equal(rd(hw, PCITEST_DMA_MODE), 3 << PCITEST_DMA_VECTOR_SHIFT | PCITEST_DMA_THREAD | PCITEST_DMA_IRQ);
	wr(hw, PCITEST_DMA_PASID, 0xffff);
	copy(hw, FAKE_IOVA, FAKE_IOVA + 1000, 100);
	assert_int_equal(wait_status(hw), 0);
	assert_memory_equal(fake_ram + 1000, fake_ram, 100);
	while (!rd(hw, PCITEST_IRQ_STATUS)) /* no MSI: the pin */
		sched_yield();
	wr(hw, PCITEST_IRQ_STATUS, 1);
	wr(hw, PCITEST_DMA_PASID, 0x10000);
	copy(hw, FAKE_IOVA, FAKE_IOVA + 1000, 100);
	assert_int_equal(wait_status(hw), EINVAL);
	assert_non_null(strstr(fake.explain, "16 bits of PASID"));
	wr(hw, PCITEST_DMA_PASID, 1);
	wr(hw, PCITEST_DMA_MODE, PCITEST_DMA_DEMAND | PCITEST_DMA_PRIVILEGED);
	copy(hw, 0, FAKE_IOVA, 8); /* nobody grants anything */
	assert_int_equal(wait_status(hw), EFAULT);
	wr(hw, PCITEST_PAGE_BYTES, 8);
	wr(hw, PCITEST_PAGE_REQUEST, 2);
	assert_int_equal(wait_status(hw), EFAULT);
	wr(hw, PCITEST_PAGE_REQUEST, 8);
	assert_int_equal(wait_status(hw), EINVAL);
	wr(hw, PCITEST_PAGE_REQUEST, 0);
	assert_non_null(strstr(fake.explain, "to execute"));
	hw_reset(hw, false);
	assert_int_equal(rd(hw, PCITEST_DMA_MODE) | rd(hw, PCITEST_DMA_PASID) | rd(hw, PCITEST_PAGE_BYTES), 0);
}

static void test_without_pri(void **state)
{
	const struct hw_option_kv options[] = { { "pri", "0" }, { "pasid", "0" }, { 0 } };
	void *hw = fake_create_ok(&pcitest_model, options);

	hw_config_write(hw, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(hw, PCITEST_PAGE_REQUEST, 1);
	assert_int_equal(wait_status(hw), EOPNOTSUPP);
	wr(hw, PCITEST_DMA_PASID, 1);
	copy(hw, FAKE_IOVA, FAKE_IOVA + 1000, 100);
	assert_int_equal(wait_status(hw), EINVAL);
	hw_device_destroy(hw);
}

static void test_interrupts(void **state)
{
	void *hw = *state;
	unsigned msix = find_cap(hw, PCI_CAP_ID_MSIX), msi = find_cap(hw, PCI_CAP_ID_MSI);

	wr(hw, PCITEST_IRQ, 0);
	assert_true(fake.intx);
	assert_int_equal(rd(hw, PCITEST_IRQ_STATUS), 1);
	wr(hw, PCITEST_IRQ_STATUS, 1);
	assert_false(fake.intx);
	hw_config_write(hw, msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 2 << 4); /* four vectors */
	wr(hw, PCITEST_IRQ, 3);
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.data[0], 3);
	hw_config_write(hw, msi + PCI_MSI_FLAGS, 2, 0);
	hw_config_write(hw, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	hw_bar_write(hw, 0, PCITEST_MSIX_TABLE + 5 * 16 + 8, 4, 0x77); /* in the registers' own BAR */
	hw_bar_write(hw, 0, PCITEST_MSIX_TABLE + 5 * 16 + 12, 4, 0);
	wr(hw, PCITEST_IRQ, 5);
	assert_int_equal(fake.nr_msi, 2);
	assert_int_equal(fake.data[1], 0x77);
	wr(hw, PCITEST_IRQ, 6); /* masked: pending */
	assert_int_equal(hw_bar_read(hw, 0, PCITEST_MSIX_PBA, 8), 1 << 6);
}

static void test_errors(void **state)
{
	void *hw = *state;

	hw_config_write(hw, find_cap(hw, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL, 2, 0xf);
	wr(hw, PCITEST_AER_COR, PCI_ERR_COR_RCVR);
	assert_int_equal(fake.aer_severity, HW_AER_CORRECTABLE);
	wr(hw, PCITEST_AER_UNCOR, PCI_ERR_UNC_DLP);
	assert_int_equal(fake.aer_severity, HW_AER_FATAL);
	assert_int_equal(fake.nr_aer, 2);
	assert_int_equal(hw_config_read(hw, find_ext(hw, PCI_EXT_CAP_ID_ERR) + PCI_ERR_UNCOR_STATUS, 4),
			 PCI_ERR_UNC_DLP);
	wr(hw, PCITEST_GONE, 1);
	assert_int_equal(rd(hw, PCITEST_ID), PCITEST_MAGIC);
	wr(hw, PCITEST_GONE, PCITEST_GONE_KEY);
	assert_int_equal(rd(hw, PCITEST_ID), ~0u);
}

static void *with(const char *key, const char *value)
{
	const struct hw_option_kv options[] = { { key, value }, { 0 } };

	return fake_create_ok(&pcitest_model, options);
}

static void test_keys(void **state)
{
	static const struct {
		const char *key;
		u16 cap, ext;
	} off[] = {
		{ "msi", PCI_CAP_ID_MSI, 0 }, { "msix", PCI_CAP_ID_MSIX, 0 }, { "vpd", PCI_CAP_ID_VPD, 0 },
		{ "vendor", PCI_CAP_ID_VNDR, PCI_EXT_CAP_ID_VNDR }, { "aer", 0, PCI_EXT_CAP_ID_ERR },
		{ "dsn", 0, PCI_EXT_CAP_ID_DSN }, { "ats", 0, PCI_EXT_CAP_ID_ATS },
		{ "pri", 0, PCI_EXT_CAP_ID_PRI }, { "pasid", 0, PCI_EXT_CAP_ID_PASID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		void *hw = with(off[i].key, "0");

		assert_true(!off[i].cap || (!find_cap(hw, (u8)off[i].cap) && find_cap(*state, (u8)off[i].cap)));
		assert_true(!off[i].ext || (!find_ext(hw, off[i].ext) && find_ext(*state, off[i].ext)));
		hw_device_destroy(hw);
	}
}

static void test_shapes(void **state)
{
	void *hw = with("express", "0");

	assert_int_equal(hw_config_size(hw), 256);
	assert_int_equal(find_cap(hw, PCI_CAP_ID_EXP), 0);
	hw_device_destroy(hw);
	hw = with("vga", "1");
	assert_int_equal(hw_config_read(hw, PCI_CLASS_DEVICE, 2), 0x0300);
	hw_bar_write(hw, HW_VGA_BAR, 0xa0004, 4, 0x1234);
	assert_int_equal(hw_bar_read(hw, HW_VGA_BAR, 0xa0004, 4), 0x1234);
	assert_int_equal(hw_bar_read(hw, HW_VGA_BAR, 0xb8000, 4), ~0u);
	hw_device_destroy(hw);
	hw = with("class", "0x020000");
	assert_int_equal(hw_config_read(hw, PCI_CLASS_DEVICE, 2), 0x0200);
	hw_device_destroy(hw);
	hw = with("sriov", "2");
	assert_int_equal(hw_config_read(hw, find_ext(hw, PCI_EXT_CAP_ID_SRIOV) + PCI_SRIOV_TOTAL_VF, 2), 2);
	hw_device_destroy(hw);
}

static void fails(const char *key, const char *value, const char *text)
{
	const struct hw_option_kv options[] = { { key, value }, { 0 } };

	fake_create_fails(&pcitest_model, options, -EINVAL, text);
}

static void test_refused(void **state)
{
	const struct hw_option_kv both[] = { { "sriov", "2" }, { "reset", "pm" }, { 0 } };

	fails("reset", "flrr", "there are flr, af, pm and none");
	fails("msi", "3", "1, 2, 4, 8, 16 or 32");
	fails("msix", "129", "[0, 128]");
	fails("sriov", "65", "[0, 64]");
	fake_create_fails(&pcitest_model, both, -EINVAL, "needs express=1 and reset=flr");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers), T(test_dma), T(test_dma_modes), T(test_interrupts), T(test_errors), T(test_keys),
		cmocka_unit_test(test_shapes), cmocka_unit_test(test_without_pri), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
