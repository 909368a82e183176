/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread.c - threads of models.  Names are "hw-<what>", cut to what the system shows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/kthread.h"

struct hw_thread {
	pthread_t thread;
	void (*run)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct hw_thread *t = arg;

	t->run(t->arg);
	return NULL;
}

int hw_thread_start(struct hw_device *hw, const char *name, void (*run)(void *arg), void *arg,
		    struct hw_thread **ret_thread)
{
	struct hw_thread *t = calloc(1, sizeof(*t));
	char shown[16];
	int err;

	if (!t)
		return -ENOMEM;
	t->run = run;
	t->arg = arg;
	snprintf(shown, sizeof(shown), "hw-%s", name);
	err = kthread_run(&t->thread, shown, thread_main, t);
	if (err) {
		hw_explain(hw, "thread %s cannot be started", shown);
		free(t);
		return err;
	}
	*ret_thread = t;
	return 0;
}

void hw_thread_join(struct hw_thread *thread)
{
	if (!thread)
		return;
	pthread_join(thread->thread, NULL);
	free(thread);
}
