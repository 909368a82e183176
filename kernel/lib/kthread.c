/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kthread.c - start a thread that the program's signals do not find.
 *
 * A signal sent to a process runs on any thread that does not block it.  Ours block all the
 * program could send, so its handlers run on its own threads, as on a machine where the device
 * is not part of the process.  Two kinds stay open: faults, which a guarded access must get on the
 * thread that made it, and the C library's own two, without which setuid() and pthread_cancel() hang.
 *
 * The mask is set around pthread_create(), since the new thread inherits it: there is no moment at
 * which it could be interrupted.
 */
#include "kernel/lib/kthread.h"

#include <string.h>
#include <sys/prctl.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/fault-inject.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/task.h"
#include "kernel/lib/types.h"

#define SIGNAL_BIT(sig) (1ull << ((sig) - 1))
/* Numbers that signal.h hides: SIGCANCEL and SIGSETXID of glibc. */
#define SIGNALS_OF_LIBC (SIGNAL_BIT(32) | SIGNAL_BIT(33))
#define SIGNALS_OF_FAULTS (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | \
			   SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGTRAP))

__thread struct task *current_task __attribute__((tls_model("initial-exec")));

struct kthread_start {
	void *(*run)(void *);
	void *arg;
	char name[16];
};

static void *kthread_main(void *arg)
{
	struct kthread_start start = *(struct kthread_start *)arg;

	fault_inject_kthread();
	kfree(arg);
	(void)sys_prctl(PR_SET_NAME, (unsigned long)start.name, 0, 0);
	return start.run(start.arg);
}

int kthread_run(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg)
{
	const uint64_t blocked = ~(SIGNALS_OF_LIBC | SIGNALS_OF_FAULTS);
	struct kthread_start *start = kzalloc(sizeof(*start));
	uint64_t old;
	int err;

	if (!start)
		return fail(-ENOMEM, "no memory to start the thread %s", name);
	start->run = run;
	start->arg = arg;
	strncpy(start->name, name, sizeof(start->name) - 1);

	(void)sys_sigprocmask(SIG_SETMASK, &blocked, &old);
	err = pthread_create(ret_thread, NULL, kthread_main, start);
	(void)sys_sigprocmask(SIG_SETMASK, &old, NULL);
	if (err) {
		kfree(start);
		return fail(-err, "pthread_create() of the thread %s fails", name);
	}
	return 0;
}
