/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.c - `softvfio inject --machine DIR DEVICE ORDERS`: faults for a device of programs that run.
 *
 * Each program has its own silicon, so each of them gets the orders.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/scene.h"
#include "hw/core/hw_device.h"
#include "kernel/lib/explain.h"

static void take_answer(int pid, const char *answer, void *arg)
{
	bool *failed = arg;

	if (answer && !strcmp(answer, "ok\n"))
		return;
	*failed = true;
	if (!answer)
		cli_error("inject: process %d does not answer", pid);
	else
		cli_error("inject: process %d: %.*s", pid, (int)strcspn(answer, "\n"), answer + (strncmp(answer, "error ", 6) ? 0 : 6));
}

/* machine.ini has a section for each device, also for those that were pulled out. */
static bool has_device(const char *ini, const char *device)
{
	char line[1024], wanted[128];
	bool found = false;
	FILE *f = fopen(ini, "re");

	snprintf(wanted, sizeof(wanted), "[device %.100s]", device);
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = !strcmp(line, wanted);
	}
	if (f)
		fclose(f);
	return found;
}

static int inject(const char *dir, const char *device, const char *orders)
{
	bool failed = false;
	char call[900];
	int count;

	explain_enable();
	explain_begin();
	if (hw_inject_check(orders))
		return cli_error("inject: %s", explain_take() ? explain_take() : orders);
	if ((size_t)snprintf(call, sizeof(call), "inject %s %s", device, orders) >= sizeof(call))
		return cli_error("inject: more orders than fit into one call");
	count = call_programs(dir, call, take_answer, &failed);
	if (count < 0)
		return CLI_USAGE_ERROR;
	if (!count)
		return cli_error("inject: no program uses a device on %s; for those to come write inject= into its machine.ini", dir);
	return failed ? CLI_USAGE_ERROR : 0;
}

int cmd_inject(int argc, char **argv)
{
	static const struct option options[] = { { "machine", required_argument, NULL, 'M' }, { NULL, 0, NULL, 0 } };
	const char *dir = NULL;
	char file[4096];
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (c != 'M')
			return cli_error("inject: %s '%s'; try softvfio --help", c == ':' ? "a value is missing behind" : "no option",
					 argv[optind - 1]);
		dir = optarg;
	}
	if (!dir)
		return cli_error("inject: which machine? --machine DIR");
	if (argc - optind != 2)
		return cli_error("inject: a device and orders: softvfio inject --machine DIR 0000:01:00.0 lose-irq@3");
	snprintf(file, sizeof(file), "%s/machine.ini", dir);
	if (access(file, R_OK))
		return cli_error("inject: %s is no machine", dir);
	if (!has_device(file, argv[optind]))
		return cli_error("inject: there is no device %s on %s; softvfio tree lists them", argv[optind], dir);
	return inject(dir, argv[optind], argv[optind + 1]);
}
