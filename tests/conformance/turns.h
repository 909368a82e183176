/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * turns.h - processes of one family that make calls in turn, and print their rows in one report.
 *
 * After a fork all of them run the same lines, in lock-step: C() is the child's call, P() the parent's and O() another's (a
 * grandchild, a second child); the one whose turn it is makes the call and prints the row, the others wait for it, and all of
 * them know what it returned.  LET() and DO() are turns without a row.  Variables are each process's own, as all of its memory.
 */
#ifndef TESTS_CONFORMANCE_TURNS_H
#define TESTS_CONFORMANCE_TURNS_H

#include <linux/futex.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/conformance/calls.h"

enum who { PARENT, CHILD, OTHER, ABOVE };
static const char *names[] = { "parent", "child", "grandchild", "grandparent" };

static struct { uint32_t steps; long ret[8192]; } *turns; /* in memory that all of them have */
static uint32_t step;
static enum who me;
static pid_t pids[4];

static const char *says(enum who who, const char *what)
{
	static char text[160];
	snprintf(text, sizeof(text), "%s: %s", names[who], what);
	return text;
}

static void passed(long ret)
{
	flush_row();
	fflush(stdout);
	turns->ret[step] = ret;
	__atomic_store_n(&turns->steps, ++step, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turns->steps, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static long waited(void)
{
	const struct timespec limit = { .tv_sec = 60 };
	for (uint32_t now; (now = __atomic_load_n(&turns->steps, __ATOMIC_ACQUIRE)) <= step;)
		if (syscall(SYS_futex, &turns->steps, FUTEX_WAIT, now, &limit, NULL, 0) && errno == ETIMEDOUT) {
			fprintf(stderr, "%s: the %s waits in vain\n", area, names[me]);
			_exit(1);
		}
	return turns->ret[step++];
}

/* What comes behind the call is what note() takes. */
#define BY(who, what, x, ...) ({ long v_; if (me == (who)) { errno = 0; v_ = (x); row(says(who, what), v_, errno); \
	__VA_OPT__(note(__VA_ARGS__);) passed(v_); } else v_ = waited(), count++; v_; })
/* A call that returns a descriptor: its number says nothing. */
#define FD(who, what, x) ({ long f_; if (me == (who)) { errno = 0; f_ = (x); row(says(who, what), f_ < 0 ? -1 : 0, errno); \
	note("%s", f_ < 0 ? "" : "a descriptor"); passed(f_); } else f_ = waited(), count++; (int)f_; })
#define C(...) BY(CHILD, __VA_ARGS__)
#define P(...) BY(PARENT, __VA_ARGS__)
#define O(...) BY(OTHER, __VA_ARGS__)
#define CFD(...) FD(CHILD, __VA_ARGS__)
#define PFD(...) FD(PARENT, __VA_ARGS__)
#define LET(who, x) ({ long l_; if (me == (who)) passed(l_ = (long)(x)); else l_ = waited(); l_; })
#define DO(who, ...) ({ if (me == (who)) { __VA_ARGS__; passed(0); } else waited(); })

static CALL void forks(enum who from, enum who to)
{
	if (me != from)
		return;
	flush_row();
	fflush(stdout);
	pids[to] = fork();
	if (pids[to])
		return;
	me = to;
	alarm(300);
}

static CALL int reap(pid_t pid)
{
	int status;
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* @who ends here, and its parent waits for that. */
static CALL void ends(enum who from, enum who who)
{
	char what[64];
	snprintf(what, sizeof(what), "the %s ends", names[who]);
	if (me == who)
		_exit(0);
	BY(from, what, reap(pids[who]));
}

/* Before any of that. */
static CALL void start_turns(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(300);
	turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

#endif
