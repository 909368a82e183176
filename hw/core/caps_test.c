/* SPDX-License-Identifier: BSD-3-Clause */
/* caps_test.c - capabilities beyond the basic ones: their bytes, VPD, AF reset, error reports, a ROM file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/pci_regs.h>

#include "hw/core/hw_fake.h"

static int af, vpd, vendor, aer, dsn, ats, pasid, pri, vsec, ari, acs, ltr, express;
static unsigned nr_resets, vpd_len, vpd_rw;
static u8 vpd_image[256];
static char rom_path[64];

static int model_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 0x1234, .device = 1, .intx_pin = 1, .express = true };
	static const u8 body[4] = { 1, 2, 3, 4 }, writable[4] = { 0xff, 0, 0x0f, 0 };
	int len = hw_vpd_text(vpd_image, sizeof(vpd_image), "a device", "PART-1", "SER-7", 16, &vpd_rw);

	assert_true(len > 0);
	vpd_len = (unsigned)len;
	hw_pci_identify(hw, &id);
	express = hw_cap_add_express(hw, true);
	af = hw_cap_add_af(hw);
	vpd = hw_cap_add_vpd(hw, vpd_image, vpd_len, vpd_rw);
	vendor = hw_cap_add_vendor(hw, body, writable, sizeof(body));
	aer = hw_ext_cap_add_aer(hw);
	dsn = hw_ext_cap_add_dsn(hw, 0x1122334455667788ull);
	ats = hw_ext_cap_add_ats(hw, 32);
	pasid = hw_ext_cap_add_pasid(hw, 16, true, false);
	pri = hw_ext_cap_add_pri(hw, 64);
	vsec = hw_ext_cap_add_vendor(hw, 0xabcd, 3, body, writable, sizeof(body));
	ari = hw_ext_cap_add_ari(hw, 1);
	acs = hw_ext_cap_add_acs(hw);
	ltr = hw_ext_cap_add_ltr(hw);
	return rom_path[0] ? hw_rom_load(hw, rom_path) : 0;
}

static void model_reset(struct hw_device *hw) { nr_resets++; }

static const struct hw_model model = { .name = "test", .create = model_create, .reset = model_reset };

static int setup(void **state)
{
	nr_resets = 0;
	rom_path[0] = '\0';
	*state = fake_create_ok(&model, NULL);
	return 0;
}

static int teardown(void **state)
{
	hw_device_destroy(*state);
	return 0;
}

static u32 rd(void *hw, int off, unsigned len) { return hw_config_read(hw, (unsigned)off, len); }
static void wr(void *hw, int off, unsigned len, u32 val) { hw_config_write(hw, (unsigned)off, len, val); }

/* What a register keeps of all ones. */
static u32 kept(void *hw, int off)
{
	u32 got;

	wr(hw, off, 4, ~0u);
	got = rd(hw, off, 4);
	wr(hw, off, 4, 0);
	return got;
}

static void test_bytes(void **state)
{
	void *hw = *state;

	assert_int_equal(rd(hw, af, 1), PCI_CAP_ID_AF);
	assert_int_equal(rd(hw, af + PCI_AF_LENGTH, 2), 0x0306);
	assert_int_equal(rd(hw, vendor + 2, 4), 0x03020107);
	assert_int_equal(rd(hw, aer, 4) & 0xfffff, 0x20001);
	assert_int_equal(rd(hw, aer + PCI_ERR_UNCOR_SEVER, 4), 0x00462030);
	assert_int_equal(rd(hw, dsn + 4, 4), 0x55667788);
	assert_int_equal(rd(hw, dsn + 8, 4), 0x11223344);
	assert_int_equal(rd(hw, ats + PCI_ATS_CAP, 2), PCI_ATS_CAP_PAGE_ALIGNED); /* 32 is 0 */
	assert_int_equal(kept(hw, ats + PCI_ATS_CAP) >> 16, 0x801f);
	assert_int_equal(rd(hw, pasid + PCI_PASID_CAP, 2), 0x1002);
	assert_int_equal(kept(hw, pasid + PCI_PASID_CAP) >> 16, 3);
	assert_int_equal(rd(hw, pri + PCI_PRI_STATUS, 2), PCI_PRI_STATUS_STOPPED);
	assert_int_equal(rd(hw, pri + PCI_PRI_MAX_REQ, 4), 64);
	assert_int_equal(rd(hw, vsec + 4, 4), 0x00c3abcd);
	assert_int_equal(rd(hw, vsec + 8, 4), 0x04030201);
	assert_int_equal(kept(hw, vsec + 8), 0x040f02ff);
	assert_int_equal(rd(hw, ari + 4, 2), 0x0100);
	assert_int_equal(rd(hw, acs, 4) & 0xffff, PCI_EXT_CAP_ID_ACS);
	assert_int_equal(kept(hw, ltr + 4), 0x1fff1fff);
	assert_int_equal(rd(hw, ltr, 4) >> 20, 0); /* the last one */
}

static void test_refused(void **state)
{
	static u8 big[4096];

	assert_int_equal(hw_ext_cap_add_ats(*state, 0), -EINVAL);
	assert_int_equal(hw_ext_cap_add_ats(*state, 33), -EINVAL);
	assert_int_equal(hw_ext_cap_add_pasid(*state, 21, false, false), -EINVAL);
	assert_int_equal(hw_cap_add_vendor(*state, big, NULL, 253), -EINVAL);
	assert_int_equal(hw_ext_cap_add_vendor(*state, 1, 1, big, NULL, 4088), -EINVAL);
	assert_int_equal(hw_cap_add_vpd(*state, big, 6, 0), -EINVAL);
	assert_int_equal(hw_cap_add_vpd(*state, big, 8, 0), -EBUSY);
}

static void test_vpd(void **state)
{
	void *hw = *state;

	assert_int_equal(vpd_image[0], 0x82);
	for (unsigned at = 0; at < vpd_len; at += 4) {
		wr(hw, vpd + PCI_VPD_ADDR, 2, at);
		assert_int_equal(rd(hw, vpd + PCI_VPD_ADDR, 2), at | PCI_VPD_ADDR_F);
		assert_int_equal(rd(hw, vpd + PCI_VPD_DATA, 4), hw_config_read(hw, (unsigned)vpd + 4, 4));
		u32 word = rd(hw, vpd + PCI_VPD_DATA, 4);

		assert_memory_equal(&word, vpd_image + at, 4);
	}
	wr(hw, vpd + PCI_VPD_ADDR, 2, vpd_len); /* behind the end: never done */
	assert_int_equal(rd(hw, vpd + PCI_VPD_ADDR, 2), vpd_len);
}

static void vpd_store(void *hw, unsigned at, u32 val)
{
	wr(hw, vpd + PCI_VPD_DATA, 4, val);
	wr(hw, vpd + PCI_VPD_ADDR, 2, at | PCI_VPD_ADDR_F);
	assert_int_equal(rd(hw, vpd + PCI_VPD_ADDR, 2), at);
}

static u32 vpd_load(void *hw, unsigned at)
{
	wr(hw, vpd + PCI_VPD_ADDR, 2, at);
	return rd(hw, vpd + PCI_VPD_DATA, 4);
}

static void test_vpd_write(void **state)
{
	void *hw = *state;
	const u32 name = vpd_load(hw, 0);

	vpd_store(hw, vpd_rw + 8, 0x12345678);
	assert_int_equal(vpd_load(hw, vpd_rw + 8), 0x12345678);
	vpd_store(hw, 0, 0); /* the read-only part stays */
	assert_int_equal(vpd_load(hw, 0), name);
}

/* The sum of all bytes up to and with RV's is zero. */
static void test_vpd_checksum(void **state)
{
	u8 sum = 0;
	unsigned i = 0;

	while (memcmp(vpd_image + i, "RV\1", 3))
		sum = (u8)(sum + vpd_image[i++]);
	for (unsigned n = 0; n < 4; n++)
		sum = (u8)(sum + vpd_image[i++]);
	assert_int_equal(sum, 0);
}

static void test_vpd_text_too_long(void **state)
{
	char text[300];
	unsigned rw;

	memset(text, 'x', 299);
	text[299] = '\0';
	assert_int_equal(hw_vpd_text(vpd_image, sizeof(vpd_image), "n", text, "s", 0, &rw), -EINVAL);
	assert_int_equal(hw_vpd_text(vpd_image, 8, "name", "p", "s", 0, &rw), -EINVAL);
}

static void test_af_reset(void **state)
{
	wr(*state, af + PCI_AF_CTRL, 1, 0);
	assert_int_equal(nr_resets, 0);
	wr(*state, af + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
	assert_int_equal(nr_resets, 1);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void test_aer_needs_enable(void **state)
{
	void *hw = *state;

	explain_enable();
	assert_false(hw_aer_report(hw, true, PCI_ERR_UNC_UNSUP, NULL));
	assert_int_equal(fake.nr_aer, 0);
	assert_non_null(strstr(fake.explain, "Device Control"));
	assert_int_equal(rd(hw, aer + PCI_ERR_UNCOR_STATUS, 4), PCI_ERR_UNC_UNSUP);
	assert_int_equal(rd(hw, express + PCI_EXP_DEVSTA, 2), PCI_EXP_DEVSTA_NFED);
	wr(hw, aer + PCI_ERR_UNCOR_STATUS, 4, PCI_ERR_UNC_UNSUP);
	assert_int_equal(rd(hw, aer + PCI_ERR_UNCOR_STATUS, 4), 0);
	wr(hw, PCI_COMMAND, 2, PCI_COMMAND_SERR); /* the old way to allow it */
	assert_true(hw_aer_report(hw, true, PCI_ERR_UNC_UNSUP, NULL));
	assert_false(hw_aer_report(hw, false, PCI_ERR_COR_BAD_TLP, NULL)); /* but not these */
}

static void test_aer_kinds(void **state)
{
	void *hw = *state;

	wr(hw, express + PCI_EXP_DEVCTL, 2, 0xf);
	assert_true(hw_aer_report(hw, false, PCI_ERR_COR_BAD_TLP, NULL));
	assert_int_equal(fake.aer_severity, HW_AER_CORRECTABLE);
	assert_true(hw_aer_report(hw, true, PCI_ERR_UNC_UNSUP, NULL));
	assert_int_equal(fake.aer_severity, HW_AER_NONFATAL);
	assert_int_equal(fake.aer_status, PCI_ERR_UNC_UNSUP);
	assert_true(hw_aer_report(hw, true, PCI_ERR_UNC_MALF_TLP, NULL));
	assert_int_equal(fake.aer_severity, HW_AER_FATAL);
	wr(hw, aer + PCI_ERR_UNCOR_SEVER, 4, PCI_ERR_UNC_UNSUP);
	assert_true(hw_aer_report(hw, true, PCI_ERR_UNC_UNSUP, NULL));
	assert_int_equal(fake.aer_severity, HW_AER_FATAL);
	assert_int_equal(fake.nr_aer, 4);
	assert_false(hw_aer_report(hw, true, 0x3000, NULL));
	assert_false(hw_aer_report(hw, true, 2, NULL));
	assert_int_equal(fake.nr_aer, 4);
}

static void test_aer_mask_and_log(void **state)
{
	static const u32 first[4] = { 1, 2, 3, 4 }, second[4] = { 5, 6, 7, 8 };
	void *hw = *state;

	wr(hw, express + PCI_EXP_DEVCTL, 2, 0xf);
	wr(hw, aer + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_COMP_TIME);
	assert_false(hw_aer_report(hw, true, PCI_ERR_UNC_COMP_TIME, second));
	assert_int_equal(rd(hw, aer + PCI_ERR_HEADER_LOG, 4), 0);
	assert_true(hw_aer_report(hw, true, PCI_ERR_UNC_UNSUP, first));
	assert_true(hw_aer_report(hw, true, PCI_ERR_UNC_COMP_ABORT, second));
	assert_int_equal(rd(hw, aer + PCI_ERR_CAP, 4) & 0x1f, 20);
	assert_int_equal(rd(hw, aer + PCI_ERR_HEADER_LOG + 8, 4), 3);
	hw_reset(hw, true); /* all of it outlives a reset */
	assert_int_equal(rd(hw, aer + PCI_ERR_UNCOR_STATUS, 4),
			 PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_COMP_TIME);
	assert_int_equal(rd(hw, aer + PCI_ERR_HEADER_LOG + 8, 4), 3);
	assert_int_equal(rd(hw, express + PCI_EXP_DEVCTL, 2), 0);
}

/* ---- a ROM from a file ----------------------------------------------------------------------- */

static void rom_file(const void *bytes, size_t len)
{
	int fd;

	strcpy(rom_path, "/tmp/softvfio-rom-XXXXXX");
	fd = mkstemp(rom_path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void test_rom(void **state)
{
	u8 image[3000];
	void *hw;

	memset(image, 0x5a, sizeof(image));
	image[0] = 0x55;
	image[1] = 0xaa;
	rom_file(image, sizeof(image));
	hw = fake_create_ok(&model, NULL);
	wr(hw, PCI_ROM_ADDRESS, 4, ~0u);
	assert_int_equal(rd(hw, PCI_ROM_ADDRESS, 4), 0xfffff001); /* 4 KiB: the next power of two */
	assert_int_equal(hw_bar_read(hw, HW_ROM_BAR, 0, 2), 0xaa55);
	assert_int_equal(hw_bar_read(hw, HW_ROM_BAR, 2999, 1), 0x5a);
	assert_int_equal(hw_bar_read(hw, HW_ROM_BAR, 3000, 8), ~0ull);
	hw_device_destroy(hw);
	unlink(rom_path);
	fake_create_fails(&model, NULL, -ENOENT, "softvfio-rom-");
	rom_file("", 0);
	fake_create_fails(&model, NULL, -EINVAL, "0 bytes");
	unlink(rom_path);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_bytes),
		T(test_refused),
		T(test_vpd),
		T(test_vpd_write),
		cmocka_unit_test(test_vpd_checksum),
		cmocka_unit_test(test_vpd_text_too_long),
		T(test_af_reset),
		T(test_aer_needs_enable),
		T(test_aer_kinds),
		T(test_aer_mask_and_log),
		cmocka_unit_test(test_rom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
