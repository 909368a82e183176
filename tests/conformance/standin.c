/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * standin.c - a device that looks like one which config.c met on a real Linux.
 *
 *     softvfio run -d ./standin.so,answers=config.linux-intel.txt,device=igb ...
 *
 * The rows of that device tell byte by byte what its registers hold and which bits they take.  The header, the BARs,
 * MSI and MSI-X are made by the core; each other capability is made of its bytes, and does nothing.  With vf=NAME and
 * vf-answers=FILE (rows of sriov.c) SR-IOV is the core's too, and the virtual functions are made of those rows.  The order of
 * capabilities is the device's, their offsets are the core's.  As on QEMU's devices, bytes that are in no capability
 * take all bits.  Prefetchable BARs are memory, all others hold zeros.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <softvfio/hw.h>

#define CAP_BYTES_MAX 0x400u

struct cap {
	int id; /* -1: the header */
	bool ext;
	unsigned len, version;
	uint8_t value[CAP_BYTES_MAX], takes[CAP_BYTES_MAX];
};

/* What the rows say; caps[0] is the header. */
struct shape {
	struct cap caps[64];
	unsigned num;
};

/* ---- reading the rows ------------------------------------------------------------------------ */

/* "header+0x04", "cap 0x05+0x02" or "ext 0x0001+0x08".  false: a row that is not of a byte. */
static bool parse_place(const char *text, int *ret_id, bool *ret_ext, unsigned *ret_off)
{
	*ret_id = -1;
	*ret_ext = !strncmp(text, "ext ", 4);
	if (sscanf(text, "header+%x", ret_off) == 1)
		return true;
	return sscanf(text, *ret_ext ? "ext %x+%x" : "cap %x+%x", (unsigned *)ret_id, ret_off) == 2;
}

static bool add_byte(struct shape *s, int id, bool ext, unsigned off, unsigned value, unsigned takes)
{
	struct cap *c;

	if (off == 0)
		s->num++;
	if (!s->num || s->num > 64 || off >= CAP_BYTES_MAX)
		return false;
	c = &s->caps[s->num - 1];
	c->id = id;
	c->ext = ext;
	c->len = off + 1;
	c->value[off] = (uint8_t)value;
	c->takes[off] = (uint8_t)takes;
	return true;
}

/* What is known of a byte; of an address, the BAR's kind. */
static bool parse_byte(const char *text, unsigned *ret_value, unsigned *ret_takes)
{
	return sscanf(text, "%*[a-z] %x takes %x", ret_value, ret_takes) == 2;
}

static void parse_versions(struct shape *s, const char *text)
{
	unsigned id, version;
	int n;

	for (; sscanf(text, " %x v%u%n", &id, &version, &n) == 2; text += n)
		for (unsigned i = 0; i < s->num; i++)
			if (s->caps[i].ext && s->caps[i].id == (int)id)
				s->caps[i].version = version;
}

static bool parse_line(struct shape *s, const char *device, char *line, char *versions, size_t room)
{
	char *place = strstr(line, " | "), *rest = place ? strstr(place + 3, " | ") : NULL;
	char *said = rest ? strstr(rest + 3, " | | ") : NULL;
	unsigned off, value, takes;
	bool ext;
	int id;

	if (!said || strncmp(line, device, (size_t)(place - line)) || device[place - line])
		return true;
	said += 5;
	if (!strncmp(place, " | extended list of the silicon", 31))
		snprintf(versions, room, "%s", said);
	if (!parse_place(place + 3, &id, &ext, &off) || !parse_byte(said, &value, &takes))
		return true;
	return add_byte(s, id, ext, off, value, takes);
}

static int parse(struct hw_device *hw, const char *path, const char *device, struct shape *s)
{
	char line[1024], versions[512] = "";
	FILE *file;
	bool good = true;

	if (!path || !device) {
		hw_explain(hw, "standin: a file of answers and a device in it are needed");
		return -EINVAL;
	}
	file = fopen(path, "re");
	if (!file) {
		hw_explain(hw, "standin: %s: %s", path, strerror(errno));
		return -EINVAL;
	}
	while (good && fgets(line, sizeof(line), file))
		good = parse_line(s, device, line, versions, sizeof(versions));
	fclose(file);
	parse_versions(s, versions);
	if (good && s->num && s->caps[0].len == PCI_STD_HEADER_SIZEOF)
		return 0;
	hw_explain(hw, "standin: %s has no header of a device %s", path, device);
	return -EINVAL;
}

/* ---- making the device ----------------------------------------------------------------------- */

static uint32_t le(const uint8_t *bytes, unsigned len)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint32_t)bytes[i] << 8 * i;
	return val;
}

static void identify(struct hw_device *hw, const struct cap *header, bool express)
{
	const uint8_t *v = header->value;
	const struct hw_pci_id id = {
		.vendor = (uint16_t)le(v + PCI_VENDOR_ID, 2),
		.device = (uint16_t)le(v + PCI_DEVICE_ID, 2),
		.subsystem_vendor = (uint16_t)le(v + PCI_SUBSYSTEM_VENDOR_ID, 2),
		.subsystem_device = (uint16_t)le(v + PCI_SUBSYSTEM_ID, 2),
		.class_code = le(v + PCI_CLASS_PROG, 3),
		.revision = v[PCI_CLASS_REVISION],
		.intx_pin = v[PCI_INTERRUPT_PIN],
		.express = express,
	};

	hw_pci_identify(hw, &id);
	hw_pci_conventional(hw, (uint16_t)le(v + PCI_STATUS, 2), v[PCI_LATENCY_TIMER], v[PCI_MIN_GNT], v[PCI_MAX_LAT]);
}

static int add_bars(struct hw_device *hw, const struct cap *header)
{
	for (unsigned bar = 0; bar <= HW_ROM_BAR; bar++) {
		const unsigned at = bar == HW_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
		const uint32_t kind = header->value[at];
		const bool io = bar < HW_ROM_BAR && kind & PCI_BASE_ADDRESS_SPACE_IO;
		const bool wide = bar < HW_ROM_BAR && !io && kind & PCI_BASE_ADDRESS_MEM_TYPE_64;
		const uint64_t upper = wide ? (uint64_t)le(header->takes + at + 4, 4) << 32 : 0;
		const uint64_t takes = upper | (le(header->takes + at, 4) & ~(io ? 3u : 0xfu));
		int err = 0;

		if (takes)
			err = hw_bar_add(hw, bar, takes & -takes, (io ? HW_BAR_IO : 0) | (wide ? HW_BAR_MEM64 : 0) |
					 (!io && kind & PCI_BASE_ADDRESS_MEM_PREFETCH && bar < HW_ROM_BAR ? HW_BAR_PREFETCH : 0));
		if (!err && kind & PCI_BASE_ADDRESS_MEM_PREFETCH && !io && (takes & -takes) >= HW_PAGE_BYTES && bar < HW_ROM_BAR)
			err = hw_bar_set_pages(hw, bar, 0, takes & -takes, HW_PAGE_DIRECT);
		if (err)
			return err;
		bar += wide;
	}
	return 0;
}

static int add_msi(struct hw_device *hw, const struct cap *c)
{
	const unsigned flags = le(c->value + PCI_MSI_FLAGS, 2);

	return hw_cap_add_msi(hw, 1u << ((flags & PCI_MSI_FLAGS_QMASK) >> 1), flags & PCI_MSI_FLAGS_64BIT, flags & PCI_MSI_FLAGS_MASKBIT);
}

static int add_msix(struct hw_device *hw, const struct cap *c)
{
	const uint32_t table = le(c->value + PCI_MSIX_TABLE, 4), pba = le(c->value + PCI_MSIX_PBA, 4);

	return hw_cap_add_msix(hw, (le(c->value + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1, table & PCI_MSIX_TABLE_BIR,
			       table & PCI_MSIX_TABLE_OFFSET, pba & PCI_MSIX_PBA_OFFSET);
}

static const struct hw_model standin_vf;

/* BAR @bar of the virtual functions behind SR-IOV capability @c.  Return: its size, 0 none. */
static uint64_t vf_bar(const struct cap *c, unsigned bar, unsigned *ret_flags)
{
	const unsigned at = PCI_SRIOV_BAR + 4 * bar;
	const bool wide = c->value[at] & PCI_BASE_ADDRESS_MEM_TYPE_64;
	const uint64_t takes = (le(c->takes + at, 4) & ~0xfu) | (wide ? (uint64_t)le(c->takes + at + 4, 4) << 32 : 0);

	*ret_flags = (wide ? HW_BAR_MEM64 : 0) | (c->value[at] & PCI_BASE_ADDRESS_MEM_PREFETCH ? HW_BAR_PREFETCH : 0);
	return takes & -takes;
}

static int add_sriov(struct hw_device *hw, const struct cap *c)
{
	struct hw_sriov sriov = {
		.total_vfs = le(c->value + PCI_SRIOV_TOTAL_VF, 2),
		.offset = le(c->value + PCI_SRIOV_VF_OFFSET, 2),
		.stride = le(c->value + PCI_SRIOV_VF_STRIDE, 2),
		.vf_device = (uint16_t)le(c->value + PCI_SRIOV_VF_DID, 2),
		.vf_model = &standin_vf,
	};
	unsigned flags;

	for (unsigned bar = 0; bar < HW_ROM_BAR; bar += flags & HW_BAR_MEM64 ? 2 : 1) {
		sriov.bar_bytes[bar] = vf_bar(c, bar, &flags);
		sriov.bar_flags[bar] = flags;
	}
	return hw_ext_cap_add_sriov(hw, &sriov);
}

static int add_cap(struct hw_device *hw, struct cap *c)
{
	if (c->ext && c->id == PCI_EXT_CAP_ID_SRIOV && hw_option(hw, "vf"))
		return add_sriov(hw, c);
	if (c->ext)
		return hw_ext_cap_add(hw, (uint16_t)c->id, (uint8_t)c->version, c->value + 4, c->takes + 4, c->len - 4);
	switch (c->id) {
	case PCI_CAP_ID_MSI: return add_msi(hw, c);
	case PCI_CAP_ID_MSIX: return add_msix(hw, c);
	default: return hw_cap_add(hw, (uint8_t)c->id, c->value + 2, c->takes + 2, c->len - 2);
	}
}

static int add_caps(struct hw_device *hw, struct shape *s)
{
	int off = 0;

	for (unsigned i = 1; off >= 0 && i < s->num; i++)
		off = add_cap(hw, &s->caps[i]);
	return off < 0 ? off : 0;
}

static bool is_express(const struct shape *s)
{
	for (unsigned i = 1; i < s->num; i++)
		if (!s->caps[i].ext && s->caps[i].id == PCI_CAP_ID_EXP)
			return true;
	return false;
}

static int make(struct hw_device *hw, struct shape *s)
{
	int err = parse(hw, hw_option(hw, "answers"), hw_option(hw, "device"), s);

	if (err)
		return err;
	identify(hw, &s->caps[0], is_express(s));
	err = add_bars(hw, &s->caps[0]);
	return err ? err : add_caps(hw, s);
}

static int standin_create(struct hw_device *hw)
{
	struct shape *s = calloc(1, sizeof(*s));
	int err = s ? make(hw, s) : -ENOMEM;

	free(s);
	return err;
}

/* ---- its virtual functions --------------------------------------------------------------------- */

static int add_vf_bars(struct hw_device *hw, const struct shape *physfn)
{
	const struct cap *c = physfn->caps, *end = c + physfn->num;
	unsigned flags;
	int err = 0;

	while (c < end && !(c->ext && c->id == PCI_EXT_CAP_ID_SRIOV))
		c++;
	for (unsigned bar = 0; c < end && !err && bar < HW_ROM_BAR; bar += flags & HW_BAR_MEM64 ? 2 : 1) {
		const uint64_t size = vf_bar(c, bar, &flags);

		err = size ? hw_bar_add(hw, bar, size, flags) : 0;
	}
	return err;
}

/* @s: room for two, its own and the physical function's. */
static int make_vf(struct hw_device *hw, struct shape *s)
{
	struct hw_device *physfn = hw_physfn(hw);
	int err = parse(hw, hw_option(physfn, "vf-answers"), hw_option(physfn, "vf"), &s[0]);

	if (!err)
		err = parse(hw, hw_option(physfn, "answers"), hw_option(physfn, "device"), &s[1]);
	if (err)
		return err;
	identify(hw, &s[0].caps[0], true);
	err = add_vf_bars(hw, &s[1]);
	return err ? err : add_caps(hw, &s[0]);
}

static int standin_vf_create(struct hw_device *hw)
{
	struct shape *s = calloc(2, sizeof(*s));
	int err = s ? make_vf(hw, s) : -ENOMEM;

	free(s);
	return err;
}

static uint64_t standin_read(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len)
{
	(void)hw, (void)bar, (void)off, (void)len;
	return 0;
}

static void standin_write(struct hw_device *hw, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	(void)hw, (void)bar, (void)off, (void)len, (void)val;
}

static void standin_nothing(struct hw_device *hw)
{
	(void)hw;
}

static const struct hw_key standin_keys[] = {
	{ "answers", "PATH", "recorded answers of config.c" },
	{ "device", "NAME", "which of its devices" },
	{ "vf-answers", "PATH", "recorded answers of sriov.c" },
	{ "vf", "NAME", "which of its devices virtual functions are" },
	{ 0 },
};

static const struct hw_model standin = {
	.name = "standin",
	.summary = "a device with the config space of one that was asked on a real Linux",
	.keys = standin_keys,
	.create = standin_create,
	.destroy = standin_nothing,
	.reset = standin_nothing,
	.bar_read = standin_read,
	.bar_write = standin_write,
};

static const struct hw_model standin_vf = {
	.name = "standin-vf",
	.summary = "a virtual function of standin",
	.create = standin_vf_create,
	.destroy = standin_nothing,
	.reset = standin_nothing,
	.bar_read = standin_read,
	.bar_write = standin_write,
};

HW_PLUGIN(standin);
