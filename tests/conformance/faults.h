/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults.h - for programs of this folder in which each point of a call fails in turn.
 *
 * A point is an allocation of the kernel, or one of iommufd's own: fail-nth counts both, for the thread that calls.
 */
#ifndef TESTS_CONFORMANCE_FAULTS_H
#define TESTS_CONFORMANCE_FAULTS_H

#include <sys/mount.h>

#include "tests/conformance/calls.h"

#define DEBUG "/sys/kernel/debug/"
#define SLAB DEBUG "failslab/"
#define PAGES DEBUG "fail_page_alloc/"
#define POINTS DEBUG "fail_iommufd/"
#define NTH "/proc/thread-self/fail-nth"
#define MARK "/proc/thread-self/make-it-fail"

static int nth = -1; /* this thread's fail-nth: to open it anew may be a point, and count */

/* Without what ends the line; errno's name if it cannot be read. */
static CALL const char *text_of(const char *path)
{
	static char text[4][64];
	static unsigned turn;
	char *t = text[turn++ % 4];
	int fd = strcmp(path, NTH) ? open(path, O_RDONLY) : dup(nth);
	ssize_t n = strcmp(path, NTH) ? read(fd, t, 63) : pread(fd, t, 63, 0);

	if (n < 0)
		snprintf(t, 64, "%s", strerrorname_np(errno));
	else
		t[n && t[n - 1] == '\n' ? n - 1 : n] = 0;
	close(fd);
	return t;
}

static CALL long put(const char *path, const char *text)
{
	int fd = strcmp(path, NTH) ? open(path, O_WRONLY) : dup(nth), err;
	long n = strcmp(path, NTH) ? write(fd, text, strlen(text)) : pwrite(fd, text, strlen(text), 0);

	err = errno;
	close(fd);
	errno = err;
	return n;
}

static CALL void set_nth(unsigned n)
{
	char text[16];

	if (pwrite(nth, text, snprintf(text, sizeof(text), "%u", n), 0) < 0)
		fprintf(stderr, "fail-nth %u: %m\n", n);
}

/* What is left of it, and then nothing. */
static CALL unsigned end_nth(void)
{
	char text[16] = "";

	if (pread(nth, text, sizeof(text) - 1, 0) < 0)
		fprintf(stderr, "fail-nth: %m\n");
	set_nth(0);
	return (unsigned)atoi(text);
}

struct errnos { int errs[16]; unsigned count; };

static CALL void errno_seen(struct errnos *seen, int err)
{
	for (unsigned i = 0; i < seen->count; i++)
		if (seen->errs[i] == err)
			return;
	if (seen->count < 16)
		seen->errs[seen->count++] = err;
}

static CALL int by_letters(const void *a, const void *b)
{
	return strcmp(strerrorname_np(*(const int *)a), strerrorname_np(*(const int *)b));
}

static CALL void note_errnos(struct errnos *seen)
{
	qsort(seen->errs, seen->count, sizeof(int), by_letters);
	for (unsigned i = 0; i < seen->count; i++)
		note(" %s", strerrorname_np(seen->errs[i]));
}

/* ---- the beginning ---- */

static CALL void faults_start(void)
{
	if (access(SLAB "times", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, "");
	nth = open(NTH, O_RDWR | O_CLOEXEC);
}

/* A kernel prints a page for each failure otherwise. */
static CALL void faults_quiet(void)
{
	put(SLAB "verbose", "0");
	put(PAGES "verbose", "0");
	put(POINTS "verbose", "0");
	put(DEBUG "fail_mempool_alloc/verbose", "0");
}

/* Nothing is left out: all that can wait, and single pages. */
static CALL void faults_of_all(void)
{
	put(SLAB "ignore-gfp-wait", "N");
	put(PAGES "ignore-gfp-wait", "N");
	put(PAGES "min-order", "0");
}

#endif
