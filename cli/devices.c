/* SPDX-License-Identifier: BSD-3-Clause */
/* devices.c - `softvfio devices [PLUGIN]...`: the models, or those of plugins, and the keys each takes. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "hw/core/hw_device.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

static void print_model(const struct hw_model *model)
{
	printf("%-10s %s\n", model->name, model->summary);
	for (const struct hw_key *k = model->keys; k && k->name; k++)
		printf("    %s=%-*s %s\n", k->name, (int)(20 - strlen(k->name)), k->value, k->help);
}

static int print_plugin(const char *name)
{
	char path[PATH_MAX];
	const struct hw_model *model;
	const char *reason;

	explain_begin();
	model = realpath(name, path) ? hw_plugin_load(path) : ERR_PTR(-errno);
	if (!IS_ERR(model)) {
		print_model(model);
		return 0;
	}
	reason = explain_take();
	return cli_error("devices: %s", reason ? reason : name);
}

static void print_faults(void)
{
	const char *name, *text;

	for (unsigned i = 0; (name = hw_inject_help(i, &text)); i++)
		printf("        %-17s %s\n", name, text);
}

int cmd_devices(int argc, char **argv)
{
	int status = 0;

	explain_enable(); /* the reason is what there is to say */
	for (int i = 1; i < argc; i++) {
		cli_guard_begin(argv[i], NULL);
		status |= print_plugin(argv[i]);
		cli_guard_end();
	}
	for (const struct hw_model *const *m = hw_models; *m && argc == 1; m++)
		print_model(*m);
	if (status)
		return status;
	puts("every model also takes\n"
	     "    addr=DDDD:BB:DD.F     its PCI address (default 0000:01:00.0, 0000:02:00.0, ...)\n"
	     "    name=NAME             or, of a platform device, its name (default platdev.0, platdev.1, ...)\n"
	     "    stream=N              and its id to the IOMMU (default: one that no PCI device has)\n"
	     "    group=N               its IOMMU group (default: one of its own)\n"
	     "    driver=NAME           the driver it is bound to: vfio-pci, vfio-platform or vfio-amba (default),\n"
	     "                          soft_vfio_pci (a PCI device that migrates), none, or a host driver\n"
	     "    packed=0|1            1: its BARs smaller than a page may share one, and then cannot be mapped (0)\n"
	     "    inject=ORDER[+ORDER]  faults: FAULT[:ARGUMENT][@N][xTIMES] strikes at the Nth event (1), TIMES times (1)");
	print_faults();
	return 0;
}
