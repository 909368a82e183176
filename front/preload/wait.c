/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - who has waited for a process finds its calls at their end.
 *
 * On Linux a process that is killed ends when the calls of its threads have.  Here another process may carry one out, which
 * began before: whoever learns of the end by one of these calls waits for that as well (kernel/syscall/serve.h).
 */
#include <sys/wait.h>

#include "front/preload/front.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"

static pid_t ended(pid_t pid, bool has_ended)
{
	int saved = errno;

	if (likely(pid <= 0 || !has_ended || !front_attached()))
		return pid;
	FRONT_IN_KERNEL;
	if (front_kernel_elsewhere())
		proxy_wait_for(pid);
	else
		serve_wait_for(pid);
	errno = saved;
	return pid;
}

EXPORT pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	int own;

	status = status ? status : &own;
	pid = REAL(wait4)(pid, status, options, usage);
	return ended(pid, pid > 0 && (WIFEXITED(*status) || WIFSIGNALED(*status)));
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
	return wait4(-1, status, options, usage);
}

EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
	return wait4(pid, status, options, NULL);
}
ALIAS(__waitpid, waitpid);

EXPORT pid_t wait(int *status)
{
	return wait4(-1, status, 0, NULL);
}
ALIAS(__wait, wait);

EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	siginfo_t own;
	int ret;

	info = info ? info : &own;
	ret = REAL(waitid)(type, id, info, options);
	if (!ret)
		ended(info->si_pid, info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED);
	return ret;
}
