/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci_config_test.c - config space: each byte as Linux, lists that lie, effects of writes. */
#include "kernel/vfio/pci/vfio_pci_test.h"

/* ---- each byte, written with ones and zeros -------------------------------------------------- */

#define IGB_SRIOV 0x160 /* the others have nothing there */

/* Addresses and interrupt lines are this machine's, not that of the recording. */
static bool is_ours(unsigned off)
{
	return (off >= PCI_BASE_ADDRESS_0 && off < PCI_CARDBUS_CIS) ||
	       (off >= PCI_ROM_ADDRESS && off < PCI_CAPABILITY_LIST) || off == PCI_INTERRUPT_LINE ||
	       (off >= IGB_SRIOV + PCI_SRIOV_BAR && off < IGB_SRIOV + PCI_SRIOV_VFM);
}

static void as_at_open(int d, const struct fake_hw *hw, const struct config_bytes *bytes, size_t num)
{
	u8 want[4096] = { 0 }, got[4096];

	for (size_t i = 0; i < num; i++)
		memcpy(want + bytes[i].off, bytes[i].bytes, 16);
	assert_int_equal(t_pread(d, got, hw->cfg_size, CFG), hw->cfg_size);
	for (unsigned off = 0; off < hw->cfg_size; off++) {
		if (is_ours(off))
			assert_int_equal(got[off], hw->cfg[off]);
		else if (got[off] != want[off])
			t_wrong("byte 0x%03x is %02x, Linux showed %02x", off, got[off], want[off]);
	}
}

static u8 pick(u16 want, u8 before)
{
	return want == KEPT ? before : (u8)want;
}

static void check_byte(int d, struct fake_hw *hw, const struct config_case *c, unsigned off)
{
	const u8 virt = (u8)t_get(d, CFG + off, 1), real = hw->cfg[off];
	u8 got[4];

	t_put(d, CFG + off, 1, 0xff);
	got[0] = (u8)t_get(d, CFG + off, 1);
	got[1] = hw->cfg[off];
	t_put(d, CFG + off, 1, 0);
	got[2] = (u8)t_get(d, CFG + off, 1);
	got[3] = hw->cfg[off];
	t_put(d, CFG + off, 1, virt);
	if (got[0] != pick(c->ff_virt, virt) || got[1] != pick(c->ff_real, real) ||
	    got[2] != pick(c->zero_virt, virt) || got[3] != pick(c->zero_real, real))
		t_wrong("%s byte 0x%03x (virtual %02x, real %02x): ff gave %02x (%02x), 00 gave %02x (%02x)",
			hw->name, off, virt, real, got[0], got[1], got[2], got[3]);
	assert_int_equal(t_get(d, CFG + off, 1), virt);
	assert_int_equal(hw->cfg[off], real);
}

static void check_bytes(unsigned i, const struct config_bytes *bytes, size_t num,
			const struct config_case *cases, size_t num_cases)
{
	struct t_dev t = t_dev_open(i);

	as_at_open(t.d, t.hw, bytes, num);
	for (size_t k = 0; k < num_cases; k++) {
		for (unsigned n = 0; n < cases[k].n; n++)
			check_byte(t.d, t.hw, &cases[k], cases[k].off + n);
	}
	as_at_open(t.d, t.hw, bytes, num);
	t_dev_close(t);
}

#define CHECK(i, dev)                                                                                        \
	check_bytes(i, dev##_bytes, ARRAY_SIZE(dev##_bytes), dev##_cases, ARRAY_SIZE(dev##_cases))

static void edu_bytes_as_linux(void **state)
{
	(void)state;
	CHECK(EDU, edu);
}

static void nvme_bytes_as_linux(void **state)
{
	(void)state;
	CHECK(NVME, nvme);
}

static void igb_bytes_as_linux(void **state)
{
	(void)state;
	CHECK(IGB, igb);
}

static void e1000e_bytes_as_linux(void **state)
{
	(void)state;
	CHECK(E1000E, e1000e);
}

/* Whole words must do what their bytes do. */
static void words_are_their_bytes(void **state)
{
	static const unsigned devs[] = { EDU, NVME, IGB, E1000E };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(devs); i++) {
		struct t_dev t = t_dev_open(devs[i]);
		const unsigned size = min(t.hw->cfg_size, 0x200u);

		for (unsigned off = 0; off < size; off += 4) {
			const u32 before = t_get(t.d, CFG + off, 4);
			u32 by_bytes = 0;

			if (off == t.hw->exp + PCI_EXP_DEVCTL && t.hw->exp)
				continue; /* resets */
			t_put(t.d, CFG + off, 4, ~0u);
			const u32 whole = t_get(t.d, CFG + off, 4);

			t_put(t.d, CFG + off, 4, before);
			for (unsigned b = 0; b < 4; b++)
				t_put(t.d, CFG + off + b, 1, 0xff);
			for (unsigned b = 0; b < 4; b++)
				by_bytes |= t_get(t.d, CFG + off + b, 1) << 8 * b;
			assert_int_equal(whole, by_bytes);
			t_put(t.d, CFG + off, 4, before);
		}
		t_dev_close(t);
	}
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* Of a buffer that ends early, the whole pieces before the end are written, and every byte is read. */
static void half_buffers(int d)
{
	u8 *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = pages + 4096;

	assert_int_equal(munmap(end, 4096), 0);
	end[-4] = 0x40;
	t_fails(t_pwrite(d, end - 4, 8, CFG + PCI_CACHE_LINE_SIZE), EFAULT);
	assert_int_equal(t_get(d, CFG + PCI_CACHE_LINE_SIZE, 1), 0x40);
	t_fails(t_pwrite(d, end - 2, 4, CFG + PCI_CACHE_LINE_SIZE), EFAULT);
	assert_int_equal(t_get(d, CFG + PCI_CACHE_LINE_SIZE, 1), 0x40);
	t_fails(t_pread(d, end - 2, 4, CFG), EFAULT);
	assert_memory_equal(end - 2, "\x34\x12", 2);
	t_put(d, CFG + PCI_CACHE_LINE_SIZE, 1, 0);
	munmap(pages, 4096);
}

static void ranges(void **state)
{
	struct t_dev e = t_dev_open(EDU), n = t_dev_open(NVME);
	u8 buf[4100];

	(void)state;
	guard_install();
	assert_int_equal(t_pread(e.d, buf, 0, CFG), 0);
	assert_int_equal(t_pread(e.d, buf, 0, CFG + 4096), 0);
	assert_int_equal(t_pread(e.d, buf, 3, CFG + 1), 3);
	assert_int_equal(t_pread(e.d, buf, 256, CFG), 256);
	t_fails(t_pread(e.d, buf, 4096, CFG), EFAULT);
	t_fails(t_pread(e.d, buf, 4, CFG + 254), EFAULT);
	t_fails(t_pread(e.d, buf, 2, CFG + 255), EFAULT);
	t_fails(t_pread(e.d, buf, 4, CFG + 256), EFAULT);
	t_fails(t_pread(e.d, buf, 4, CFG + 260), EFAULT);
	t_fails(t_pread(e.d, T_BAD, 4, CFG), EFAULT);
	t_fails(t_pwrite(e.d, T_BAD, 4, CFG), EFAULT);
	half_buffers(e.d);
	t_fails(t_pwrite(e.d, buf, 4, CFG + 254), EFAULT);
	assert_int_equal(t_pread(n.d, buf, 4096, CFG), 4096);
	assert_int_equal(t_pread(n.d, buf, 8, CFG + 252), 8);
	t_fails(t_pread(n.d, buf, 8, CFG + 4092), EFAULT);
	t_fails(t_pread(n.d, buf, 4100, CFG), EFAULT);
	assert_int_equal(t_pwrite(e.d, "\xff\xff", 2, CFG + 4), 2);
	assert_int_equal(t_get(e.d, CFG + 4, 2), 0x507);
	assert_int_equal(t_pwrite(e.d, "\xff\xff", 2, CFG + 0x3c), 2);
	assert_int_equal(t_get(e.d, CFG + 0x3c, 2), 0x1ff);
	assert_int_equal(t_pwrite(e.d, "\xff\xff", 2, CFG + 0x42), 2);
	assert_int_equal(t_get(e.d, CFG + 0x42, 2), 0x8e);
	t_dev_close(n);
	t_dev_close(e);
}

static void bar_sizing(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME), m = t_dev_open(E1000E);
	const u32 real = cfg_get(t.hw, PCI_BASE_ADDRESS_0, 4), real_rom = cfg_get(m.hw, PCI_ROM_ADDRESS, 4);

	(void)state;
	assert_int_equal(t_get(t.d, CFG + 0x10, 4), real);
	t_put(t.d, CFG + 0x10, 4, ~0u);
	assert_int_equal(t_get(t.d, CFG + 0x10, 4), 0xfff00000);
	t_put(t.d, CFG + 0x10, 4, 0xe0000000);
	assert_int_equal(t_get(t.d, CFG + 0x10, 4), 0xe0000000);
	assert_int_equal(cfg_get(t.hw, PCI_BASE_ADDRESS_0, 4), real);
	t_put(t.d, CFG + 0x14, 4, ~0u);
	assert_int_equal(t_get(t.d, CFG + 0x14, 4), 0);
	t_put(t.d, CFG + 0x30, 4, ~0u);
	assert_int_equal(t_get(t.d, CFG + 0x30, 4), 0);
	t_put(n.d, CFG + 0x10, 4, ~0u);
	t_put(n.d, CFG + 0x14, 4, ~0u);
	assert_int_equal(t_get(n.d, CFG + 0x10, 4), 0xffffc004);
	assert_int_equal(t_get(n.d, CFG + 0x14, 4), ~0u);
	/* a BAR that was moved stays so across a reset, which hardware does not know of */
	t_put(n.d, CFG + 0x10, 4, 0xfe000000);
	t_works(t_ioctl(n.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(t_get(n.d, CFG + 0x10, 4), 0xfe000004);
	t_put(m.d, CFG + 0x30, 4, 0xfffff800);
	assert_int_equal(t_get(m.d, CFG + 0x30, 4), 0xfffc0000);
	t_put(m.d, CFG + 0x30, 4, 1);
	assert_int_equal(t_get(m.d, CFG + 0x30, 4), 1);
	assert_int_equal(cfg_get(m.hw, PCI_ROM_ADDRESS, 4), real_rom);
	t_dev_close(m);
	t_dev_close(n);
	t_dev_close(t);
}

/* ---- effects --------------------------------------------------------------------------------- */

static void memory_decoding(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	u32 val = 0;

	(void)state;
	assert_int_equal(t_get(t.d, CFG + 4, 2), 0x103);
	assert_int_equal(t_pread(t.d, &val, 4, 0), 4);
	assert_int_equal(val, 0x10000ed);
	t_put(t.d, CFG + 4, 2, 0);
	t_fails(t_pread(t.d, &val, 4, 0), EIO);
	t_fails(t_pwrite(t.d, &val, 4, 0), EIO);
	t_put(t.d, CFG + 4, 1, 2);
	assert_int_equal(t_pread(t.d, &val, 4, 0), 4);
	/* the status register beside it is not written: its bits are cleared by ones */
	t.hw->clear_by_one[PCI_STATUS + 1] = 0xf9;
	t.hw->cfg[PCI_STATUS + 1] = 0xf0;
	t_put(t.d, CFG + 4, 4, 0x00000002);
	assert_int_equal(t.hw->cfg[PCI_STATUS + 1], 0xf0);
	t_put(t.d, CFG + 4, 4, 0xffff0002); /* a program cannot clear them */
	assert_int_equal(t.hw->cfg[PCI_STATUS + 1], 0xf0);
	t.hw->clear_by_one[PCI_STATUS + 1] = 0;
	t.hw->cfg[PCI_STATUS + 1] = 0;
	t_dev_close(t);
	assert_int_equal(cfg_get(&t_hw[EDU], 4, 2), 0x103); /* put back at close */
}

static void power_states(void **state)
{
	struct t_dev n = t_dev_open(NVME), g = t_dev_open(IGB);
	u32 val;

	(void)state;
	t_put(n.d, CFG + 4, 2, 7);
	t_put(n.d, CFG + 0x64, 2, 3);
	assert_int_equal(t_get(n.d, CFG + 0x64, 2), 0xb);
	assert_int_equal(t_get(n.d, CFG + 4, 2), 7);
	t_fails(t_pread(n.d, &val, 4, 0), EIO);
	t_put(n.d, CFG + 0x64, 2, 0);
	assert_int_equal(t_get(n.d, CFG + 0x64, 2), 8);
	assert_int_equal(t_get(n.d, CFG + 4, 2), 7);
	assert_int_equal(t_pread(n.d, &val, 4, 0), 4);
	t_put(n.d, CFG + 0x64, 2, 1); /* it has no D1 */
	assert_int_equal(t_get(n.d, CFG + 0x64, 2), 8);
	/* this one forgets its registers in D3hot; nobody sees that */
	t_put(g.d, CFG + 4, 2, 7);
	const u32 bar = cfg_get(g.hw, PCI_BASE_ADDRESS_0, 4);

	t_put(g.d, CFG + 0x44, 2, 3);
	t_fails(t_pread(g.d, &val, 4, 0), EIO);
	t_put(g.d, CFG + 0x44, 2, 0);
	assert_int_equal(cfg_get(g.hw, PCI_COMMAND, 2), 7);
	assert_int_equal(cfg_get(g.hw, PCI_BASE_ADDRESS_0, 4), bar);
	assert_int_equal(t_pread(g.d, &val, 4, 0), 4);
	t_put(g.d, CFG + 0x44, 2, 0x1e03); /* what else it takes is lost on the way to D0 */
	assert_int_equal(t_get(g.d, CFG + 0x44, 2), 0x1e03);
	t_put(g.d, CFG + 0x44, 2, 0x1e00);
	assert_int_equal(t_get(g.d, CFG + 0x44, 2), 0);
	t_put(g.d, CFG + 0x44, 2, 3); /* closed while asleep */
	t_dev_close(g);
	t_dev_close(n);
	assert_int_equal(cfg_get(&t_hw[IGB], 0x44, 2), 0);
}

static void function_level_reset(void **state)
{
	struct t_dev n = t_dev_open(NVME), e = t_dev_open(E1000E);
	const unsigned before = n.hw->flrs;

	(void)state;
	t_put(n.d, CFG + 4, 2, 7);
	t_put(n.d, CFG + 0x88, 2, 0x8000 | 0x2000);
	assert_int_equal(n.hw->flrs, before + 1);
	assert_int_equal(t_get(n.d, CFG + 0x88, 2), 0x2000);
	assert_int_equal(t_get(n.d, CFG + 4, 2), 7);
	assert_int_equal(cfg_get(n.hw, 4, 2), 7);
	t_put(n.d, CFG + 0x88, 1, 0xff); /* the other byte resets nothing */
	assert_int_equal(n.hw->flrs, before + 1);
	t_put(e.d, CFG + 0xe8, 2, 0x8000); /* without the capability neither */
	assert_int_equal(e.hw->flrs, 0);
	t_dev_close(e);
	t_dev_close(n);
}

static void msi_control(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	int e = t_eventfd();

	(void)state;
	t_works(t_set_irqs(t.d, 36, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &e, 4));
	assert_int_equal(t_get(t.d, CFG + 0x42, 2), 0x80);
	assert_int_equal(cfg_get(t.hw, 0x42, 2), 0x81);
	t_put(t.d, CFG + 0x42, 2, 1);
	assert_int_equal(t_get(t.d, CFG + 0x42, 2), 1);
	assert_int_equal(cfg_get(t.hw, 0x42, 2), 0x81);
	t_put(t.d, CFG + 0x42, 2, 2);
	assert_int_equal(t_get(t.d, CFG + 0x42, 2), 2);
	assert_int_equal(cfg_get(t.hw, 0x42, 2), 0x80);
	for (unsigned bit = 4; bit < 16; bit++) {
		t_put(t.d, CFG + 0x42, 2, 1u << bit);
		assert_int_equal(t_get(t.d, CFG + 0x42, 2), bit == 7 ? 0x80 : 0);
	}
	t_works(t_set_irqs(t.d, 33, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, NULL, 0));
	assert_int_equal(t_count(e), 1);
	close(e);
	t_dev_close(t);
}

/* ---- lists that lie -------------------------------------------------------------------------- */

/* Open a device whose config space was tampered with, and walk its list as a program would. */
static unsigned walk(struct t_dev t, u8 *ret_ids)
{
	unsigned pos = t_get(t.d, CFG + PCI_CAPABILITY_LIST, 1), n = 0;

	for (; pos; pos = t_get(t.d, CFG + pos + 1, 1)) {
		assert_true(pos >= 0x40 && n < 48);
		ret_ids[n++] = (u8)t_get(t.d, CFG + pos, 1);
	}
	return n;
}

static void lying_lists(void **state)
{
	struct fake_hw *hw = &t_hw[EDU];
	struct t_dev t;
	u8 ids[48], saved[256];

	(void)state;
	memcpy(saved, hw->cfg, 256);

	hw->cfg[0x41] = 0x40; /* bites its own tail */
	t = t_dev_open(EDU);
	assert_int_equal(walk(t, ids), 1);
	t_dev_close(t);

	hw->cfg[PCI_STATUS] &= (u8)~PCI_STATUS_CAP_LIST; /* a pointer that means nothing is shown as it is */
	t = t_dev_open(EDU);
	assert_int_equal(t_get(t.d, CFG + PCI_CAPABILITY_LIST, 1), 0x40);
	assert_int_equal(t_get(t.d, CFG + 0x42, 1), hw->cfg[0x42]);
	t_dev_close(t);
	hw->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;

	hw->cfg[0x41] = 0x10; /* leads into the header */
	t = t_dev_open(EDU);
	assert_int_equal(walk(t, ids), 1);
	t_dev_close(t);

	hw->cfg[0x41] = 0x60; /* hidden ones on both sides of a known one */
	memcpy(hw->cfg + 0x60, "\x0d\x70\x11\x22", 4);
	memcpy(hw->cfg + 0x70, "\x09\x80\x08\x44\x55\x66\x77\x88", 8);
	memcpy(hw->cfg + 0x80, "\x7f\x00\x33\x33", 4);
	t = t_dev_open(EDU);
	assert_int_equal(walk(t, ids), 2);
	assert_int_equal(ids[0], PCI_CAP_ID_MSI);
	assert_int_equal(ids[1], PCI_CAP_ID_VNDR);
	assert_int_equal(t_get(t.d, CFG + 0x60, 4),
			 0x2211700d); /* its bytes are there, and belong to nobody */
	t_put(t.d, CFG + 0x60, 1, 0x55);
	assert_int_equal(hw->cfg[0x60], 0x55);
	t_put(t.d, CFG + 0x70, 4, ~0u); /* of the vendor's, only the link cannot be changed */
	assert_int_equal(t_get(t.d, CFG + 0x70, 4), 0xffff00ff);
	t_dev_close(t);

	memcpy(hw->cfg + 0x60, "\x09\x00\xff\x00", 4); /* longer than there is room */
	hw->cfg[0x41] = 0x60;
	t = t_dev_open(EDU);
	assert_int_equal(walk(t, ids), 1);
	t_dev_close(t);

	memcpy(hw->cfg + 0x44, "\x09\x00\x08\x00", 4); /* inside another */
	hw->cfg[0x41] = 0x44;
	t = t_dev_open(EDU);
	assert_int_equal(walk(t, ids), 1);
	t_dev_close(t);

	memset(hw->cfg + 0x40, 0xff, 192); /* nobody answers */
	t = t_dev_open(EDU);
	assert_int_equal(walk(t, ids), 0);
	t_dev_close(t);
	memcpy(hw->cfg, saved, 256);
}

static void lying_extended_lists(void **state)
{
	struct fake_hw *hw = &t_hw[NVME];
	static const struct {
		u32 head, at_200, want_head, want_200;
	} cases[] = {
		{ 0x20010003, 0x00010003, 0x20010003, 0x00010003 }, /* two of DSN */
		{ 0x10010003, 0, 0x00010003, 0 }, /* leads to itself */
		{ 0xffc10003, 0, 0x00010003, 0 }, /* leads to the end, where nothing fits */
		{ 0x20017777, 0x00010003, 0x20000000, 0x00010003 }, /* the first is hidden, its link stays */
		{ 0x20010003, 0x00017777, 0x00010003, 0x00017777 }, /* the second is hidden */
		{ 0xffffffff, 0, 0x00000000, 0 }, /* nobody answers */
		{ 0x2001000b, 0x00010003, 0x20000000, 0x00010003 }, /* vendor-specific of length 0 */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct t_dev t;

		cfg_put(hw, 0x100, 4, cases[i].head);
		cfg_put(hw, 0x200, 4, cases[i].at_200);
		cfg_put(hw, 0xffc, 4, 0x00010003);
		memcpy(hw->power_on + 0x100, hw->cfg + 0x100, 4096 - 0x100);
		t = t_dev_open(NVME);
		assert_int_equal(t_get(t.d, CFG + 0x100, 4), cases[i].want_head);
		assert_int_equal(t_get(t.d, CFG + 0x200, 4), cases[i].want_200);
		t_dev_close(t);
	}
	memset(hw->cfg + 0x100, 0, 4096 - 0x100);
	memset(hw->power_on + 0x100, 0, 4096 - 0x100);
}

/* Does a byte of the program's reach the register? */
static bool passes(struct t_dev t, unsigned at)
{
	const u8 before = t.hw->cfg[at];
	bool ret;

	t_put(t.d, CFG + at, 1, (u8)~before);
	ret = t.hw->cfg[at] == (u8)~before && t_get(t.d, CFG + at, 1) == (u8)~before;
	t_put(t.d, CFG + at, 1, before);
	assert_int_equal(t.hw->cfg[at], before);
	return ret;
}

static void check_ext(struct t_dev t, const struct ext_case *c, unsigned at)
{
	for (unsigned off = 4; off < 0x40; off++) {
		const bool want = !c->len || off >= c->len || (off >= c->from && off < c->to);

		if (passes(t, at + off) != want)
			t_wrong("extended capability 0x%x, byte 0x%x: %s", c->id, off, want ? "does not pass" : "passes");
	}
}

static void every_extended_capability(void **state)
{
	struct fake_hw *hw = &t_hw[NVME];
	u8 saved[4096 - 0x100];
	unsigned at = 0x100;
	struct t_dev t;

	(void)state;
	memcpy(saved, hw->mask + 0x100, sizeof(saved));
	memset(hw->mask + 0x100, 0xff, sizeof(saved));
	for (unsigned i = 0; i < ARRAY_SIZE(ext_cases); i++, at += 0x40) {
		cfg_put(hw, at, 4, ext_cases[i].id | 1 << 16 | (i + 1 < ARRAY_SIZE(ext_cases) ? at + 0x40 : 0) << 20);
		for (unsigned k = 0; k < 4; k++)
			cfg_put(hw, at + 4 + 4 * k, 4, ext_cases[i].body[k]);
	}
	memcpy(hw->power_on + 0x100, hw->cfg + 0x100, sizeof(saved));
	t = t_dev_open(NVME);
	at = 0x100;
	for (unsigned i = 0; i < ARRAY_SIZE(ext_cases); i++) {
		if (!ext_cases[i].len)
			continue;
		assert_int_equal(t_get(t.d, CFG + at, 2), ext_cases[i].id);
		at = t_get(t.d, CFG + at + 2, 2) >> 4;
	}
	assert_int_equal(at, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ext_cases); i++)
		check_ext(t, &ext_cases[i], 0x100 + 0x40 * i);
	t_dev_close(t);
	memcpy(hw->mask + 0x100, saved, sizeof(saved));
	memset(hw->cfg + 0x100, 0, 4096 - 0x100);
	memset(hw->power_on + 0x100, 0, 4096 - 0x100);
}

/* Random bytes in place of capability lists: nothing may go wrong, and every list must end. */
static void random_config_space(void **state)
{
	struct fake_hw *hw = &t_hw[NVME];
	unsigned seed = 4711;
	u8 saved[4096], saved_mask[4096], buf[4096];

	(void)state;
	memcpy(saved, hw->cfg, sizeof(saved));
	memcpy(saved_mask, hw->mask, sizeof(saved));
	for (unsigned round = 0; round < 60; round++) {
		struct vfio_pci_core_device *vdev = hw->pdev.dev.driver_data;

		for (unsigned off = 0x40; off < 4096; off++) {
			hw->cfg[off] = (u8)rand_r(&seed);
			hw->mask[off] = off % 3 ? 0xff : 0;
		}
		hw->cfg[PCI_CAPABILITY_LIST] = (u8)rand_r(&seed);
		hw->cfg[hw->exp + 7] = 0;
		if (vfio_pci_config_init(vdev))
			t_wrong("seed 4711, round %u", round);
		/* No bit may be both virtual in one table and left to hardware in another; the list ends. */
		for (unsigned pos = vdev->config.vconfig[PCI_CAPABILITY_LIST], n = 0; pos; n++) {
			assert_true(pos >= 0x40 && pos < 256 && n < 48);
			assert_int_equal(vdev->config.virt[pos + 1], 0xff);
			pos = vdev->config.vconfig[pos + 1];
		}
		for (unsigned pos = 0x100, n = 0; pos; n++) {
			assert_true(pos >= 0x100 && pos < 4096 && n < 1024);
			pos = (unsigned)vdev->config.vconfig[pos + 3] << 4 |
			      vdev->config.vconfig[pos + 2] >> 4;
			pos &= 0xffc;
		}
		assert_int_equal(vfio_pci_config_rw(vdev, (char *)buf, 4096, 0, false), 4096);
		vfio_pci_config_free(vdev);
	}
	memcpy(hw->cfg, saved, sizeof(saved));
	memcpy(hw->mask, saved_mask, sizeof(saved));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(edu_bytes_as_linux, t_close_all),
		cmocka_unit_test_teardown(nvme_bytes_as_linux, t_close_all),
		cmocka_unit_test_teardown(igb_bytes_as_linux, t_close_all),
		cmocka_unit_test_teardown(e1000e_bytes_as_linux, t_close_all),
		cmocka_unit_test_teardown(words_are_their_bytes, t_close_all),
		cmocka_unit_test_teardown(ranges, t_close_all),
		cmocka_unit_test_teardown(bar_sizing, t_close_all),
		cmocka_unit_test_teardown(memory_decoding, t_close_all),
		cmocka_unit_test_teardown(power_states, t_close_all),
		cmocka_unit_test_teardown(function_level_reset, t_close_all),
		cmocka_unit_test_teardown(msi_control, t_close_all),
		cmocka_unit_test_teardown(lying_lists, t_close_all),
		cmocka_unit_test_teardown(lying_extended_lists, t_close_all),
		cmocka_unit_test_teardown(every_extended_capability, t_close_all),
		cmocka_unit_test_teardown(random_config_space, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_pci_machine, t_pci_machine_end);
}
