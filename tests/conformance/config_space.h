/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_space.h - what config.c and sriov.c ask of config space.
 *
 * The device is in the variables name, x, raw_fd (its config space past VFIO), cfg (the region's offset) and size; walk()
 * comes first.
 */
#ifndef TESTS_CONFORMANCE_CONFIG_SPACE_H
#define TESTS_CONFORMANCE_CONFIG_SPACE_H

#include <linux/pci_regs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "tests/conformance/calls.h"

#define EXT 0x100u
#define ALL 0x1000u
#define NOBODY 0

/* A capability of the device's own list; id -1 is the header. */
struct cap { int id; bool ext; unsigned at, len; };

static const char *name;
static char bdf[32];
static struct ctx x;
static int raw_fd;
static uint64_t cfg;
static unsigned size;
static struct cap caps[64];
static unsigned num_caps;
static uint8_t owner[ALL];	/* index in caps, plus 1 */

/* ---- bytes --------------------------------------------------------------------------------- */

static uint32_t get(unsigned at, unsigned len)
{
	uint32_t val = 0;

	if (pread(x.d, &val, len, cfg + at) != (ssize_t)len)
		fprintf(stderr, "%s: reading 0x%x: %m\n", name, at);
	return val;
}

static long put(unsigned at, unsigned len, uint32_t val)
{
	return pwrite(x.d, &val, len, cfg + at);
}

static uint32_t raw_get(unsigned at, unsigned len)
{
	uint32_t val = 0;

	if (pread(raw_fd, &val, len, at) != (ssize_t)len)
		fprintf(stderr, "%s: reading 0x%x past VFIO: %m\n", name, at);
	return val;
}

static void raw_put(unsigned at, uint8_t val)
{
	if (pwrite(raw_fd, &val, 1, at) != 1)
		fprintf(stderr, "%s: writing 0x%x past VFIO: %m\n", name, at);
}

/* ---- the device's own list ----------------------------------------------------------------- */

static unsigned std_len(unsigned at, int id)
{
	const unsigned flags = raw_get(at + 2, 2);

	switch (id) {
	case PCI_CAP_ID_PM: return PCI_PM_SIZEOF;
	case PCI_CAP_ID_VPD: return PCI_CAP_VPD_SIZEOF;
	case PCI_CAP_ID_MSI: return 10 + (flags & PCI_MSI_FLAGS_64BIT ? 4 : 0) + (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
	case PCI_CAP_ID_VNDR: return flags & 0xff;
	case PCI_CAP_ID_EXP: return (flags & PCI_EXP_FLAGS_VERS) > 1 ? 0x3c : 0x14;
	case PCI_CAP_ID_MSIX: return PCI_CAP_MSIX_SIZEOF;
	case PCI_CAP_ID_SATA: return PCI_SATA_SIZEOF_SHORT;
	case PCI_CAP_ID_AF: return PCI_CAP_AF_SIZEOF;
	default: return 2;
	}
}

static unsigned ext_len(unsigned at, int id)
{
	switch (id) {
	case PCI_EXT_CAP_ID_ERR: return 0x48;
	case PCI_EXT_CAP_ID_DSN: return PCI_EXT_CAP_DSN_SIZEOF;
	case PCI_EXT_CAP_ID_VNDR: return raw_get(at + 6, 2) >> 4;
	case PCI_EXT_CAP_ID_ARI: return PCI_EXT_CAP_ARI_SIZEOF;
	case PCI_EXT_CAP_ID_ATS: return PCI_EXT_CAP_ATS_SIZEOF;
	case PCI_EXT_CAP_ID_SRIOV: return PCI_EXT_CAP_SRIOV_SIZEOF;
	case PCI_EXT_CAP_ID_PRI: return PCI_EXT_CAP_PRI_SIZEOF;
	case PCI_EXT_CAP_ID_PASID: return PCI_EXT_CAP_PASID_SIZEOF;
	case PCI_EXT_CAP_ID_ACS: return 8;
	case PCI_EXT_CAP_ID_LTR: return PCI_EXT_CAP_LTR_SIZEOF;
	case PCI_EXT_CAP_ID_DVSEC: return raw_get(at + 6, 2) >> 4;
	case PCI_EXT_CAP_ID_DOE: return 0x18;
	default: return 4;
	}
}

static void add(int id, bool ext, unsigned at, unsigned len)
{
	caps[num_caps++] = (struct cap){ id, ext, at, len };
	for (unsigned i = at; i < at + len && i < ALL; i++)
		owner[i] = num_caps;
}

static void walk(void)
{
	num_caps = 0;
	memset(owner, NOBODY, sizeof(owner));
	add(-1, false, 0, PCI_STD_HEADER_SIZEOF);
	for (unsigned at = raw_get(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST ? raw_get(PCI_CAPABILITY_LIST, 1) : 0; at && num_caps < 48;
	     at = raw_get(at + 1, 1))
		add(raw_get(at, 1), false, at, std_len(at, raw_get(at, 1)));
	for (unsigned at = EXT; size > EXT && at && raw_get(at, 4) && num_caps < 63; at = raw_get(at + 2, 2) >> 4)
		add(raw_get(at, 2), true, at, ext_len(at, raw_get(at, 2)));
}

static const char *cap_name(const struct cap *c)
{
	static char text[32];

	if (c->id < 0)
		return "header";
	snprintf(text, sizeof(text), c->ext ? "ext 0x%04x" : "cap 0x%02x", c->id);
	return text;
}

/* ---- what is not compared ------------------------------------------------------------------ */

/*
 * Bits that QEMU's devices have otherwise than ours do, or by their version; @takes: of which only that is otherwise; @real: of which also the register
 * is.  Memory and I/O decoding of a virtual function are bits of the physical one's (SR-IOV 1.1, 3.4.1.3), but QEMU's keep them.
 */
#define EXTENDED 0x10000 /* with the number of an extended capability */
static const struct own { const char *device /* NULL: all */; int id; unsigned off; uint8_t bits, takes, real; } own_silicon[] = {
	{ "igbvf", -1, PCI_COMMAND, PCI_COMMAND_IO, PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY },
	{ "igbvf", -1, PCI_COMMAND + 1, PCI_COMMAND_SERR >> 8, PCI_COMMAND_INTX_DISABLE >> 8, PCI_COMMAND_INTX_DISABLE >> 8 },
	{ "nvmevf", -1, PCI_COMMAND, PCI_COMMAND_IO, PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY },
	{ "nvmevf", -1, PCI_COMMAND + 1, PCI_COMMAND_SERR >> 8, PCI_COMMAND_INTX_DISABLE >> 8, PCI_COMMAND_INTX_DISABLE >> 8 },
	{ "vga", -1, PCI_ROM_ADDRESS + 2, 1, 1, 0 }, /* the first VGA device's ROM is a copy of 128 KiB at 0xc0000 on a PC */
	{ NULL, PCI_CAP_ID_MSI, PCI_MSI_FLAGS, 0, PCI_MSI_FLAGS_QSIZE, 0 },
	{ "nvme", PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN, PCI_EXP_DEVCTL_PAYLOAD, 0 },
	{ "nvme", PCI_CAP_ID_EXP, PCI_EXP_DEVCTL + 1, (PCI_EXP_DEVCTL_EXT_TAG | PCI_EXP_DEVCTL_NOSNOOP_EN) >> 8, PCI_EXP_DEVCTL_READRQ >> 8, 0 },
	{ "nvme", PCI_CAP_ID_EXP, PCI_EXP_LNKCTL, 0, 0xff, 0 },
	{ "nvme", PCI_CAP_ID_EXP, PCI_EXP_LNKCTL + 1, 0, 0xff, 0 },
	{ "nvme", PCI_CAP_ID_EXP, PCI_EXP_DEVCTL2, PCI_EXP_DEVCTL2_ATOMIC_REQ, 0, 0 },
	{ "nvme", PCI_CAP_ID_EXP, PCI_EXP_DEVCTL2 + 1, 0x80, 0, 0 }, /* end-end TLP prefixes blocked */
	{ "cxl", EXTENDED | PCI_EXT_CAP_ID_DVSEC, 0x14, 0x2e, 0, 0 }, /* from here on the flex bus port's goes by QEMU's version */
	{ "cxl", EXTENDED | PCI_EXT_CAP_ID_DVSEC, 0x16, 0x01, 0, 0 },
	{ "cxl", EXTENDED | PCI_EXT_CAP_ID_DVSEC, 0x17, 0x20, 0, 0 },
	{ "cxl", EXTENDED | PCI_EXT_CAP_ID_DVSEC, 0x18, 0x01, 0, 0 },
};

/* Why the value of a byte is not shown; NULL. */
static const char *hidden(const struct cap *c, unsigned off)
{
	if (c->ext && c->id == PCI_EXT_CAP_ID_SRIOV && off >= PCI_SRIOV_BAR && off < PCI_SRIOV_BAR + 24)
		return "address";
	if (c->id >= 0)
		return c->ext ? (off == 2 || off == 3 ? "link" : NULL) : off == 1 ? "link" : NULL;
	if ((off >= PCI_BASE_ADDRESS_0 && off < PCI_BASE_ADDRESS_5 + 4) || (off >= PCI_ROM_ADDRESS && off < PCI_ROM_ADDRESS + 4))
		return "address";
	return off == PCI_CAPABILITY_LIST ? "link" : off == PCI_INTERRUPT_LINE ? "line" : NULL;
}

/* Return: bits that are shown; @ret_takes: of those that the register takes; @ret_real: of what it holds. */
static uint8_t shown_bits(const struct cap *c, unsigned off, uint8_t *ret_takes, uint8_t *ret_real)
{
	uint8_t bits = 0xff;

	*ret_takes = *ret_real = 0xff;
	for (size_t i = 0; i < sizeof(own_silicon) / sizeof(*own_silicon); i++) {
		const struct own *own = &own_silicon[i];

		if ((own->device && strcmp(own->device, name)) || own->id != c->id + (c->ext ? EXTENDED : 0) || own->off != off)
			continue;
		bits = (uint8_t)~own->bits;
		*ret_takes = bits & (uint8_t)~own->takes;
		*ret_real = bits & (uint8_t)~own->real;
	}
	return bits;
}

/* ---- one byte ------------------------------------------------------------------------------ */

struct probe { uint8_t raw, takes, reads, ff, ff_raw, zero, zero_raw; };

static bool resets(const struct cap *c, unsigned off)
{
	return !c->ext && c->id == PCI_CAP_ID_EXP && off == PCI_EXP_DEVCTL + 1;
}

/* Which bits does the register take when it is written past VFIO? */
static uint8_t taken(unsigned at, uint8_t raw, bool resets)
{
	uint8_t ones, zeros;

	raw_put(at, resets ? 0x7f : 0xff);
	ones = raw_get(at, 1);
	raw_put(at, 0);
	zeros = raw_get(at, 1);
	raw_put(at, raw);
	return ones & ~zeros;
}

static struct probe probe(unsigned at, bool resets)
{
	struct probe p = { .raw = raw_get(at, 1), .reads = get(at, 1) };

	p.takes = taken(at, p.raw, resets);
	put(at, 1, 0xff);
	p.ff = get(at, 1);
	p.ff_raw = raw_get(at, 1);
	put(at, 1, 0);
	p.zero = get(at, 1);
	p.zero_raw = raw_get(at, 1);
	put(at, 1, p.reads);
	if (raw_get(at, 1) != p.raw)
		raw_put(at, p.raw);
	return p;
}

static void note_written(const char *what, uint8_t before, uint8_t raw_before, uint8_t after, uint8_t raw_after)
{
	if (after != before)
		note("; %s: %02x", what, after);
	if (raw_after != raw_before)
		note("; %s: real %02x", what, raw_after);
}

/* Of the first byte of a BAR's address, the bits that say what kind it is. */
static uint8_t kind_bits(const struct cap *c, unsigned off, uint8_t reads, uint8_t takes)
{
	const unsigned first = c->id < 0 ? PCI_BASE_ADDRESS_0 : PCI_SRIOV_BAR;

	if ((c->id >= 0 && (!c->ext || c->id != PCI_EXT_CAP_ID_SRIOV)) || off < first || off >= first + 24 || off % 4 || takes & 3)
		return 0;
	return reads & (reads & PCI_BASE_ADDRESS_SPACE_IO ? 3 : 0xf);
}

static void byte_row(const struct cap *c, unsigned off)
{
	const struct probe p = probe(c->at + off, resets(c, off));
	uint8_t takes, real, bits = shown_bits(c, off, &takes, &real);
	const char *hide = hidden(c, off);
	char what[64];

	snprintf(what, sizeof(what), "%s+0x%02x", cap_name(c), off);
	row(what, 1, 0);
	if (!hide)
		note("silicon %02x takes %02x, reads %02x", p.raw & real, p.takes & takes, p.reads & bits);
	else
		note("%s %02x takes %02x", hide, kind_bits(c, off, p.reads, p.takes), p.takes & takes);
	if (hide && p.ff == p.reads && p.zero == p.reads)
		note("%s", p.ff_raw != p.raw || p.zero_raw != p.raw ? ", and real changes" : "");
	else if (hide && strcmp(hide, "link")) /* what was there before is not to be seen here either */
		note("; ff: %02x; 00: %02x%s", p.ff & bits, p.zero & bits, p.ff_raw != p.raw || p.zero_raw != p.raw ? ", and real" : "");
	else if (hide)
		note(", and changes");
	else {
		note_written("ff", p.reads & bits, p.raw & real, p.ff & bits, p.ff_raw & real);
		note_written("00", p.reads & bits, p.raw & real, p.zero & bits, p.zero_raw & real);
	}
}

static void bytes(void)
{
	for (unsigned i = 0; i < num_caps; i++)
		for (unsigned off = 0; off < caps[i].len; off++)
			byte_row(&caps[i], off);
}

/* Bytes of no capability: what is read and written is the register's. */
static void nobodys(const char *what, unsigned from, unsigned to)
{
	unsigned wrong = 0, where = 0;

	for (unsigned at = from; at < to && at < size; at++) {
		if (owner[at])
			continue;
		const struct probe p = probe(at, false);

		if (p.raw == p.reads && p.ff == p.ff_raw && p.zero == p.zero_raw && (p.ff & p.takes) == p.takes && !(p.zero & p.takes))
			continue;
		wrong++;
		where = at;
	}
	row(what, wrong, 0);
	if (wrong)
		note("do not pass, the last at 0x%x", where);
}

/* ---- the list as the program sees it -------------------------------------------------------- */

static void lists(void)
{
	row("list seen", 0, 0);
	for (unsigned at = get(PCI_CAPABILITY_LIST, 1), n = 0; at && n < 48; at = get(at + 1, 1), n++)
		note(" %02x", get(at, 1));
	row("list of the silicon", 0, 0);
	for (unsigned i = 1; i < num_caps; i++)
		if (!caps[i].ext)
			note(" %02x", caps[i].id);
	if (size <= EXT)
		return;
	row("extended list seen", 0, 0);
	for (unsigned at = EXT, n = 0; at && n < 48; at = get(at + 2, 2) >> 4, n++)
		note(" %04x v%u", get(at, 2), get(at + 2, 1) & 0xf);
	row("extended list of the silicon", 0, 0);
	for (unsigned i = 1; i < num_caps; i++)
		if (caps[i].ext)
			note(" %04x v%u", caps[i].id, raw_get(caps[i].at + 2, 1) & 0xf);
}

/* ---- wider and longer writes ----------------------------------------------------------------- */

/* Does a write of @len times @val leave what writes of single bytes leave?  Both views; puts all back. */
static bool as_bytes(unsigned at, unsigned len, uint8_t val)
{
	uint8_t before[16], raw[16], bytes[16], bytes_raw[16], whole[16], whole_raw[16], vals[16];

	memset(vals, val, sizeof(vals));
	pread(x.d, before, len, cfg + at);
	pread(raw_fd, raw, len, at);
	for (unsigned i = 0; i < len; i++)
		put(at + i, 1, val);
	pread(x.d, bytes, len, cfg + at);
	pread(raw_fd, bytes_raw, len, at);
	for (unsigned i = 0; i < len; i++)
		put(at + i, 1, before[i]);
	pwrite(x.d, vals, len, cfg + at);
	pread(x.d, whole, len, cfg + at);
	pread(raw_fd, whole_raw, len, at);
	for (unsigned i = 0; i < len; i++) {
		put(at + i, 1, before[i]);
		if (raw_get(at + i, 1) != raw[i])
			raw_put(at + i, raw[i]);
	}
	return !memcmp(bytes, whole, len) && !memcmp(bytes_raw, whole_raw, len);
}

static void wide_row(const struct cap *c, unsigned len, unsigned start, uint8_t val)
{
	unsigned wrong = 0, where = 0;
	char what[96];

	for (unsigned off = start; off < c->len && c->at + off + len <= size; off += len)
		if (!as_bytes(c->at + off, len, val) && !wrong++)
			where = off;
	snprintf(what, sizeof(what), "%s: %u bytes of %02x at once from +%u", cap_name(c), len, val, start);
	row(what, wrong, 0);
	if (wrong)
		note("differ from their bytes, first at +0x%x", where);
}

static void wide(void)
{
	for (unsigned i = 0; i < num_caps; i++)
		for (unsigned ff = 0; ff < 2; ff++) {
			wide_row(&caps[i], 2, 0, ff ? 0xff : 0);
			wide_row(&caps[i], 4, 0, ff ? 0xff : 0);
			wide_row(&caps[i], 2, 1, ff ? 0xff : 0);
			wide_row(&caps[i], 4, 1, ff ? 0xff : 0);
			wide_row(&caps[i], 4, 2, ff ? 0xff : 0);
			wide_row(&caps[i], 3, 0, ff ? 0xff : 0);
			wide_row(&caps[i], 8, 0, ff ? 0xff : 0);
			wide_row(&caps[i], 16, 0, ff ? 0xff : 0);
		}
}

/* Edges of the space; what could be written before the edge is told by two bytes of it. */
static void edges(void)
{
	static const struct { unsigned at, len; } places[] = {
		{ 0, 0 }, { 0, 3 }, { 1, 3 }, { 0, 256 }, { 0x3e, 5 }, { 0xfc, 4 }, { 0xfc, 8 }, { 0xfe, 2 }, { 0xfe, 4 }, { 0xff, 1 },
		{ 0xff, 2 }, { 0x100, 0 }, { 0x100, 1 }, { 0x100, 4 }, { 0x104, 4 }, { 0, 4096 }, { 0, 4097 }, { 0xffc, 4 }, { 0xffc, 8 },
		{ 0xffe, 2 }, { 0xffe, 4 }, { 0xfff, 1 }, { 0xfff, 2 }, { 0x1000, 0 }, { 0x1000, 1 }, { 0x1004, 4 }, { 0x7fffffff, 4 },
	};
	uint8_t bytes[4100];
	char what[64];

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(what, sizeof(what), "read %u bytes at 0x%x", places[i].len, places[i].at);
		T(what, pread(x.d, bytes, places[i].len, cfg + places[i].at));
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) { /* what was read there: nothing changes */
		memset(bytes, 0, sizeof(bytes));
		if (places[i].at < size)
			pread(x.d, bytes, places[i].len < size - places[i].at ? places[i].len : size - places[i].at, cfg + places[i].at);
		snprintf(what, sizeof(what), "write %u bytes at 0x%x", places[i].len, places[i].at);
		T(what, pwrite(x.d, bytes, places[i].len, cfg + places[i].at));
	}
	unsigned last = size - 4;
	memset(bytes, 0x5a, sizeof(bytes));
	T("write 8 bytes, 4 of them beyond the end", pwrite(x.d, bytes, 8, cfg + last));
	note("the first is %s", get(last, 1) == 0x5a ? "written" : "as it was");
	put(last, 4, 0);
	T("read 8 bytes, 4 of them beyond the end", pread(x.d, bytes, 8, cfg + last));
	note("the first is %02x", bytes[0]);
}

/* A buffer of which only the first part is there. */
static CALL void half_buffers(void)
{
	uint8_t *pages = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = pages + PG;
	const uint32_t line = get(PCI_CACHE_LINE_SIZE, 1);

	munmap(end, PG);
	end[-4] = 0x40;
	end[-3] = end[-2] = end[-1] = 0;
	T("write 4 bytes at the cache line size, 8 asked for and 4 there", pwrite(x.d, end - 4, 8, cfg + PCI_CACHE_LINE_SIZE));
	note("it reads %02x", get(PCI_CACHE_LINE_SIZE, 1));
	put(PCI_CACHE_LINE_SIZE, 1, line);
	end[-2] = 0x44;
	T("write 2 bytes at the cache line size, 4 asked for and 2 there", pwrite(x.d, end - 2, 4, cfg + PCI_CACHE_LINE_SIZE));
	note("it reads %02x", get(PCI_CACHE_LINE_SIZE, 1));
	put(PCI_CACHE_LINE_SIZE, 1, line);
	memset(end - 8, 0xaa, 8);
	T("read 8 bytes, 4 there", pread(x.d, end - 4, 8, cfg));
	note("%s", end[-4] == get(0, 1) ? "which were read" : "which are as before");
	memset(end - 8, 0xaa, 8);
	T("read 4 bytes, 2 there", pread(x.d, end - 2, 4, cfg));
	note("%s", end[-2] == get(0, 1) ? "which were read" : end[-2] == 0xaa ? "which are as before" : "something else");
	T("read to nowhere", pread(x.d, BAD, 4, cfg));
	T("write from nowhere", pwrite(x.d, BAD, 4, cfg));
	munmap(pages, PG);
}

/* ---- what writes do ---------------------------------------------------------------------------- */

static sigjmp_buf back;
static void on_signal(int sig) { siglongjmp(back, sig); }

static int touch(unsigned bar)
{
	volatile uint32_t *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, x.d, (uint64_t)bar << 40);
	int sig;

	if (p == MAP_FAILED)
		return -1;
	sig = sigsetjmp(back, 1);
	if (!sig)
		(void)*p;
	munmap((void *)p, PG);
	return sig;
}

static void note_reach(void)
{
	uint32_t val;

	for (unsigned bar = 0; bar < 6; bar++) {
		struct vfio_region_info info = { .argsz = sizeof(info), .index = bar };

		if (ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &info) || !info.size)
			continue;
		note(" BAR%u: %s", bar, pread(x.d, &val, 4, info.offset) == 4 ? "reads" : strerrorname_np(errno));
		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP)
			note(", load %d", touch(bar));
	}
}

/* The command register, @real past VFIO, without the bits that are not shown. */
static unsigned command_bits(bool real)
{
	const unsigned val = real ? raw_get(PCI_COMMAND, 2) : get(PCI_COMMAND, 2);

	return !strstr(name, "vf") ? val : val & (real ? PCI_COMMAND_MASTER : (unsigned)~(PCI_COMMAND_IO | PCI_COMMAND_SERR));
}

static void command(void)
{
	static const uint16_t vals[] = { 0, 1, 2, 3, 4, 6, 7, 0x100, 0x400, 0x402, 0x502, 0xffff };
	const uint32_t before = get(PCI_COMMAND, 2);
	char what[64];

	for (size_t i = 0; i < sizeof(vals) / sizeof(*vals); i++) {
		snprintf(what, sizeof(what), "command = 0x%04x", vals[i]);
		T(what, put(PCI_COMMAND, 2, vals[i]));
		note("reads %04x, real %04x;", command_bits(false), command_bits(true));
		note_reach();
	}
	T("command, high byte alone = 0x00", put(PCI_COMMAND + 1, 1, 0));
	note("reads %04x", command_bits(false));
	T("command, low byte alone = 0x00", put(PCI_COMMAND, 1, 0));
	note("reads %04x;", command_bits(false));
	note_reach();
	T("command and status = 0xffff0002", put(PCI_COMMAND, 4, 0xffff0002));
	note("reads %08x;", get(PCI_STATUS, 2) << 16 | command_bits(false));
	note_reach();
	put(PCI_COMMAND, 2, before);
}

static unsigned find(int id)
{
	for (unsigned i = 1; i < num_caps; i++)
		if (!caps[i].ext && caps[i].id == id)
			return caps[i].at;
	return 0;
}

static CALL void power(void)
{
	static const uint16_t vals[] = { 3, 0, 1, 2, 3, 1, 2, 0, 0x8000, 0x8100, 0x8103, 0x1e03, 0, 0xffff, 0xfffc, 0 };
	const unsigned pm = find(PCI_CAP_ID_PM);
	char what[64];

	if (!pm)
		return;
	put(PCI_COMMAND, 2, 7);
	for (size_t i = 0; i < sizeof(vals) / sizeof(*vals); i++) {
		snprintf(what, sizeof(what), "PMCSR = 0x%04x", vals[i]);
		T(what, put(pm + PCI_PM_CTRL, 2, vals[i]));
		note("reads %04x, real %04x, command %04x, real %04x;", get(pm + PCI_PM_CTRL, 2), raw_get(pm + PCI_PM_CTRL, 2),
		     get(PCI_COMMAND, 2), raw_get(PCI_COMMAND, 2));
		note_reach();
	}
	T("PMCSR = 3 by a word that begins with PMC", put(pm + 2, 4, 3u << 16));
	note("reads %04x", get(pm + PCI_PM_CTRL, 2));
	T("command = 0 in D3hot", put(PCI_COMMAND, 2, 0));
	note("reads %04x, real %04x", get(PCI_COMMAND, 2), raw_get(PCI_COMMAND, 2));
	T("PMCSR = 3 by its dword", put(pm + PCI_PM_CTRL, 4, 3));
	note("reads %04x", get(pm + PCI_PM_CTRL, 2));
	T("PMCSR = 0 by its byte", put(pm + PCI_PM_CTRL, 1, 0));
	note("reads %04x, command %04x, real %04x", get(pm + PCI_PM_CTRL, 2), get(PCI_COMMAND, 2), raw_get(PCI_COMMAND, 2));
	T("command = 2 in D0", put(PCI_COMMAND, 2, 2));
	note_reach();
	put(PCI_COMMAND, 2, 0x103);
}

static int enable(unsigned index, unsigned num, int fd)
{
	struct { struct vfio_irq_set set; int fds[4]; } s = { .set = { .argsz = sizeof(s.set) + 4 * num, .index = index, .count = num,
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER | (num ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) }, .fds = { fd, fd, fd, fd } };

	return ioctl(x.d, VFIO_DEVICE_SET_IRQS, &s);
}

/* The control register of MSI or MSI-X at @at: values are written while it is in use and while it is not. */
static void message_control(const char *kind, unsigned at, unsigned index)
{
	static const uint16_t vals[] = { 0, 1, 2, 0x10, 0x11, 0x50, 0x70, 0x80, 0x81, 0x100, 0x4000, 0x8000, 0xc000, 0xffff, 0 };
	int fd = eventfd(0, EFD_NONBLOCK);
	char what[64];

	if (!at)
		return;
	for (int used = 0; used < 2; used++) {
		if (used) {
			snprintf(what, sizeof(what), "%s: enable one vector", kind);
			T(what, enable(index, 1, fd));
			note("control reads %04x, real %04x", get(at, 2), raw_get(at, 2));
		}
		for (size_t i = 0; i < sizeof(vals) / sizeof(*vals); i++) {
			snprintf(what, sizeof(what), "%s: control = 0x%04x %s", kind, vals[i], used ? "in use" : "not in use");
			T(what, put(at, 2, vals[i]));
			note("reads %04x, real %04x", get(at, 2), raw_get(at, 2));
		}
	}
	snprintf(what, sizeof(what), "%s: disable", kind);
	T(what, enable(index, 0, -1));
	note("control reads %04x, real %04x", get(at, 2), raw_get(at, 2));
	close(fd);
}

static void messages(void)
{
	const unsigned msi = find(PCI_CAP_ID_MSI), msix = find(PCI_CAP_ID_MSIX);

	message_control("MSI", msi ? msi + PCI_MSI_FLAGS : 0, VFIO_PCI_MSI_IRQ_INDEX);
	message_control("MSI-X", msix ? msix + PCI_MSIX_FLAGS : 0, VFIO_PCI_MSIX_IRQ_INDEX);
}

#endif
