/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_machine.c - run a program on a private machine, for tests, without the command line tool
 *
 *	test_machine LIBRARY DEVICE[,key=value...] PROGRAM [argument...]
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/lib/explain.h"
#include "machine/machine.h"

static int run(char *const *program)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(program[0], program);
		perror(program[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "%s: %s\n", program[0], strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/preload-test-XXXXXX", *asan = getenv("ASAN_OPTIONS"), options[256], library[PATH_MAX];
	struct machine_config *config = machine_config_new();
	int status = 1;

	if (argc < 4 || !config || !mkdtemp(dir))
		return 2;
	explain_enable();
	explain_begin();
	if (machine_config_add(config, argv[2]) || machine_create(dir, config)) {
		fprintf(stderr, "no machine: %s\n", explain_take());
	} else {
		/* A sanitizer in the program wants to be first. */
		snprintf(options, sizeof(options), "verify_asan_link_order=0:%s", asan ? asan : "");
		setenv("ASAN_OPTIONS", options, 1);
		setenv("SOFTVFIO_MACHINE", dir, 1);
		setenv("LD_PRELOAD", realpath(argv[1], library) ? library : argv[1], 1);
		status = run(argv + 3);
	}
	machine_config_free(config);
	machine_destroy(dir);
	return status;
}
