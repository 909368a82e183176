/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.h - how the programs of this folder print their answers: "area | case | return | errno | what else".
 *
 * begin() names the area; T() makes a call and prints its row; note() adds what came back.  The last row
 * goes out with flush_row().
 */
#ifndef TESTS_CONFORMANCE_ROWS_H
#define TESTS_CONFORMANCE_ROWS_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int count;
static char pending[2048];
static const char *area;

static void flush_row(void)
{
	if (pending[0])
		puts(pending);
	pending[0] = 0;
}

static void begin(const char *a)
{
	flush_row();
	area = a;
}

static long row(const char *what, long ret, int err)
{
	flush_row();
	if (ret == -1)
		snprintf(pending, sizeof(pending), "%s | %s | -1 | %s | ", area, what, strerrorname_np(err) ?: "?");
	else
		snprintf(pending, sizeof(pending), "%s | %s | %ld | | ", area, what, ret);
	count++;
	return ret;
}

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	size_t n = strlen(pending);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(pending + n, sizeof(pending) - n, fmt, ap);
	va_end(ap);
}

#define T(what, x) ({ errno = 0; long r_ = (x); row(what, r_, errno); })
/* for calls that return a file descriptor: its number says nothing */
#define TFD(what, x) ({ errno = 0; long r_ = (x); row(what, r_ < 0 ? r_ : 0, errno); \
	note("%s", r_ < 0 ? "" : "a descriptor"); r_; })
static void *volatile BAD = (void *)8;

#endif
