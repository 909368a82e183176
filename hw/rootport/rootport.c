/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rootport.c - a PCI Express root port: the bridge above a device, so that a bus can be reset.
 *
 * It forwards nothing: devices answer for themselves, and which bus they are on is the machine's
 * knowledge.  What it has is what software looks at: a type 1 header with bus numbers, power
 * management, MSI, and a PCI Express capability that says "root port".
 */
#include <errno.h>
#include <softvfio/hw.h>
#include <string.h>

extern const struct hw_model root_port_model;

static int rootport_create(struct hw_device *hw)
{
	static const struct hw_pci_id id = {
		.vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400, .intx_pin = 1,
		.express = true, .bridge = true,
	};
	const char *atomics = hw_option(hw, "atomics");
	int off;

	if (atomics && strcmp(atomics, "on") && strcmp(atomics, "off")) {
		hw_explain(hw, "atomics=%s: on or off", atomics);
		return -EINVAL;
	}
	hw_pci_identify(hw, &id);
	off = hw_cap_add_express(hw, false);
	if (off < 0)
		return off;
	if (atomics && !strcmp(atomics, "on"))
		hw_cap_express_atomics(hw);
	off = hw_cap_add_msi(hw, 1, false, true);
	if (off < 0)
		return off;
	off = hw_cap_add_pm(hw, true);
	return off < 0 ? off : 0;
}

static const struct hw_key rootport_keys[] = {
	{ "atomics", "on|off", "memory behind it carries out AtomicOps of 32, 64 and 128 bits (default off)" },
	{ 0 },
};

const struct hw_model root_port_model = {
	.name = "root-port",
	.summary = "PCI Express root port; made by itself for each bus",
	.keys = rootport_keys,
	.create = rootport_create,
};
