/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli.h - the command softvfio, one file a subcommand.
 *
 * Each cmd_NAME gets its own argc and argv (argv[0] is the subcommand) and returns an exit status:
 * 0, 2 for a mistake of the user's (one line on stderr, made with cli_error), and for `run` the
 * program's own.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>

#define CLI_USAGE_ERROR 2

int cmd_run(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_inject(int argc, char **argv);
int cmd_tree(int argc, char **argv);
int cmd_graph(int argc, char **argv);

/** cli_print_bytes - "64 KiB", "1.5 GiB". */
void cli_print_bytes(char *buf, size_t size, unsigned long long bytes);

/** cli_error - "softvfio: ...", one line on stderr.  Return: CLI_USAGE_ERROR, to be returned at once. */
int cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * cli_guard_begin - from here to cli_guard_end() a plugin may run: if it crashes, say so and leave with 2
 * @what: was under way; @private_dir: is removed then; NULL none.  Both stay the caller's.
 */
void cli_guard_begin(const char *what, const char *private_dir);
void cli_guard_end(void);

#endif
