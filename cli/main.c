/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c - chooses the subcommand; the words of --help and --version. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", cmd_run },
	{ "devices", cmd_devices },
	{ "inject", cmd_inject },
	{ "tree", cmd_tree },
	{ "graph", cmd_graph },
};

static const char usage[] =
	"usage: softvfio run [OPTION]... [--] PROGRAM [ARG]...   run a program on an emulated VFIO machine\n"
	"       softvfio devices [PLUGIN]...                      list the device models and their keys\n"
	"       softvfio inject --machine DIR DEVICE ORDERS       order faults of programs that run on a machine\n"
	"       softvfio tree --machine DIR | -d MODEL...         print a machine and what its programs have open\n"
	"       softvfio graph --machine DIR | -d MODEL... [-o FILE]  draw it (SVG; needs Graphviz)\n"
	"\n"
	"  -d, --device MODEL[,KEY=VALUE]...  add a device; addr=, group=, driver= (default vfio-pci) and\n"
	"                                     inject= (faults) are the machine's keys, all others the model's;\n"
	"                                     ./MY.so is a plugin\n"
	"  -m, --machine-file FILE            add the devices of a machine file\n"
	"      --iommu KIND                   amd (the default), intel[,aw-bits=39|48|57], virtio or none;\n"
	"                                     ,features=full: dirty bits, PASIDs, nesting; again: unit 1\n"
	"      --param MODULE.PARAMETER=VALUE a parameter of a module, as on the kernel's command line\n"
	"      --machine DIR                  keep the machine in DIR: made if new, else used as it is\n"
	"      --explain                      say why each failing call failed\n"
	"      --trace[=FILE]                 print each VFIO call, decoded\n"
	"      --iommufd-test                 give /dev/iommu the private test ioctl, with its mock devices\n"
	"      --container KIND               who answers for /dev/vfio/vfio: vfio (the default) or iommufd\n"
	"      --memlock host|unlimited|SIZE  how much may be pinned: as Linux would let it, any (default), or SIZE\n"
	"      --stats                        at the end, sum up calls, DMA and interrupts\n"
	"  -h, --help    -V, --version\n"
	"\n"
	"softvfio(1) tells more.\n";

int cli_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("softvfio: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return CLI_USAGE_ERROR;
}

static bool asks_for_help(const char *arg)
{
	return arg && (!strcmp(arg, "-h") || !strcmp(arg, "--help"));
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(usage, stderr);
		return CLI_USAGE_ERROR;
	}
	if (asks_for_help(argv[1]) || asks_for_help(argv[2])) {
		fputs(usage, stdout);
		return 0;
	}
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		puts("softvfio " SOFTVFIO_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return cli_error("no command '%s'; try softvfio --help", argv[1]);
}
