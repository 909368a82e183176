/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show.h - text about the state of things, line by line, into a buffer of fixed size.
 *
 * Whoever fills it need not ask whether there is room: what does not fit is left out, whole lines of it, and
 * then the text ends in "cut\n".
 */
#ifndef KERNEL_LIB_SHOW_H
#define KERNEL_LIB_SHOW_H

#include <stdbool.h>
#include <stddef.h>

struct show {
	char *buf;	/* ends in a NUL */
	size_t len, size;
	bool cut;
};

/** show_begin - into @buf of @size bytes, at least 16 */
void show_begin(struct show *s, char *buf, size_t size);
/** show - one or more whole lines */
void show(struct show *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** show_end - no more comes.  Return: length of the text. */
size_t show_end(struct show *s);

#endif
