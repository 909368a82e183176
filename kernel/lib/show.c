/* SPDX-License-Identifier: BSD-3-Clause */
/* show.c - show.h tells all. */
#include "kernel/lib/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char cut_mark[] = "cut\n";

void show_begin(struct show *s, char *buf, size_t size)
{
	*s = (struct show){ .buf = buf, .size = size - (sizeof(cut_mark) - 1) };
	buf[0] = '\0';
}

void show(struct show *s, const char *fmt, ...)
{
	int wanted;
	va_list ap;

	if (s->cut)
		return;
	va_start(ap, fmt);
	wanted = vsnprintf(s->buf + s->len, s->size - s->len, fmt, ap);
	va_end(ap);
	s->cut = wanted < 0 || (size_t)wanted >= s->size - s->len;
	if (!s->cut)
		s->len += (size_t)wanted;
	s->buf[s->len] = '\0';
}

size_t show_end(struct show *s)
{
	if (s->cut) {
		memcpy(s->buf + s->len, cut_mark, sizeof(cut_mark));
		s->len += sizeof(cut_mark) - 1;
	}
	return s->len;
}
