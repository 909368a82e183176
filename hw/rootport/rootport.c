/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rootport.c - a PCI Express root port: the bridge above a device, so that a bus can be reset.
 *
 * It forwards nothing: devices answer for themselves, and which bus they are on is the machine's
 * knowledge.  What it has is what software looks at: a type 1 header with bus numbers, power
 * management, MSI, and a PCI Express capability that says "root port".
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <softvfio/hw.h>
#include <string.h>

#define CXL_VENDOR 0x1e98
#define CXL_PORT 3 /* extensions of a port */
#define CXL_PORT_BYTES 0x28
#define CXL_PORT_CTL 0x0c

extern const struct hw_model root_port_model;

/* An option that is on or off, which is the default.  0; -EINVAL with reason. */
static int read_switch(struct hw_device *hw, const char *key, bool *ret)
{
	const char *text = hw_option(hw, key);

	*ret = text && !strcmp(text, "on");
	if (!text || *ret || !strcmp(text, "off"))
		return 0;
	hw_explain(hw, "%s=%s: on or off", key, text);
	return -EINVAL;
}

/* CXL 2.0, 8.1.5: without Unmask SBR, bit 0 of its control register, software is not to reset the bus. */
static int add_cxl_port(struct hw_device *hw)
{
	const uint8_t body[CXL_PORT_BYTES - 4] = {
		CXL_VENDOR & 0xff, CXL_VENDOR >> 8, (CXL_PORT_BYTES & 0xf) << 4, CXL_PORT_BYTES >> 4, CXL_PORT,
	};
	const uint8_t takes[sizeof(body)] = { [CXL_PORT_CTL - 4] = 0x0f, 0x40 };

	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_DVSEC, 1, body, takes, sizeof(body));
}

static int rootport_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400, .intx_pin = 1,
		.express = true, .bridge = true,
	};
	bool atomics, cxl;
	int off = read_switch(hw, "atomics", &atomics);

	if (!off)
		off = read_switch(hw, "cxl", &cxl);
	if (off)
		return off;
	hw_pci_identify(hw, &id);
	off = hw_cap_add_express(hw, false);
	if (off < 0)
		return off;
	if (atomics)
		hw_cap_express_atomics(hw);
	off = hw_cap_add_msi(hw, 1, false, true);
	if (off < 0)
		return off;
	off = hw_cap_add_pm(hw, true);
	if (off >= 0 && cxl)
		off = add_cxl_port(hw);
	return off < 0 ? off : 0;
}

static const struct hw_key rootport_keys[] = {
	{ "atomics", "on|off", "memory behind it carries out AtomicOps of 32, 64 and 128 bits (default off)" },
	{ "cxl", "on|off", "it speaks CXL: buses are reset by cxl_bus (default off)" },
	{ 0 },
};

const struct hw_model root_port_model = {
	.name = "root-port",
	.summary = "PCI Express root port; made by itself for each bus",
	.keys = rootport_keys,
	.create = rootport_create,
};
