/* SPDX-License-Identifier: BSD-3-Clause */
/* devices.c - `softvfio devices`: the models and the keys each of them takes. */
#include <stdio.h>

#include "cli/cli.h"
#include "hw/core/hw_device.h"

int cmd_devices(int argc, char **argv)
{
	if (argc > 1)
		return cli_error("devices: no argument is taken, but there is '%s'", argv[1]);
	for (const struct hw_model *const *m = hw_models; *m; m++) {
		printf("%-10s %s\n", (*m)->name, (*m)->summary);
		for (const struct hw_key *k = (*m)->keys; k && k->name; k++)
			printf("    %s=%-*s %s\n", k->name, (int)(20 - __builtin_strlen(k->name)), k->value, k->help);
	}
	puts("every model also takes\n"
	     "    addr=DDDD:BB:DD.F     its PCI address (default 0000:01:00.0, 0000:02:00.0, ...)\n"
	     "    group=N               its IOMMU group (default: one of its own)\n"
	     "    driver=NAME           the driver it is bound to: vfio-pci (default), none, or a host driver");
	return 0;
}
