/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.c - a plugin that crashes ends in one line and status 2, like any other mistake of the user's.
 *
 * While the command makes a machine it runs code of plugins: their constructors and create().  If that dies,
 * the handler here says what was under way, removes the private machine that was being made, and leaves.
 * Without a plugin a crash is our own and takes its usual way, core dump and all.
 *
 * Everything in the handler is a plain system call.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "hw/core/hw_device.h"
#include "machine/machine.h"

static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
#define NR_DEADLY (sizeof(deadly) / sizeof(deadly[0]))

static const char *doing;	/* NULL: not guarded */
static const char *half_made;	/* a private machine's directory; NULL */
static struct sigaction before[NR_DEADLY];

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void crashed(int sig)
{
	if (!hw_plugin_used()) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	say("softvfio: ");
	say(doing);
	say(": the plugin crashed (SIG");
	say(sigabbrev_np(sig));
	say(")\n");
	if (half_made)
		machine_destroy(half_made);
	_exit(CLI_USAGE_ERROR);
}

void cli_guard_begin(const char *what, const char *private_dir)
{
	static char stack[65536] __attribute__((aligned(16)));
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_NODEFER };

	doing = what;
	half_made = private_dir;
	sigaltstack(&alt, NULL);
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaction(deadly[i], &sa, &before[i]);
}

void cli_guard_end(void)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaction(deadly[i], &before[i], NULL);
	sigaltstack(&none, NULL);
	doing = half_made = NULL;
}
