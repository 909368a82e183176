/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explain.c - the words behind an errno, kept for each thread until the call ends.
 *
 * A call runs on one thread from the front end's door down to the place that fails, so the text
 * lives in a small thread-local buffer: no lock, no allocation, nothing to free.  Reasons and notes
 * are kept apart, since a call may fail inside, recover, and succeed: then only the notes are true.
 *
 * What always holds: both buffers end in a NUL and never overflow; text that does not fit is cut and
 * ends in "...".  Callers may be in a signal handler (a trapped BAR access): nothing here takes a
 * lock or uses stdio streams.
 */
#include "kernel/lib/explain.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

bool explain_enabled;

/*
 * Small, since it is taken from what the dynamic linker keeps for libraries that are opened at run time: some
 * 1,500 bytes for all of us.
 */
struct said {
	u16 len, size;
	char text[];
};
#define SAID(bytes_) { u16 len, size; char text[bytes_]; }

/* Initial-exec: reachable with one instruction, also from a signal handler, never allocated lazily. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

THREAD_LOCAL struct SAID(640) reasons_;
THREAD_LOCAL struct SAID(320) notes_;
#define said_of(which_) ({ (which_).size = sizeof((which_).text); (struct said *)&(which_); })
#define reasons (*said_of(reasons_))
#define notes (*said_of(notes_))
THREAD_LOCAL bool last_failed;

static void (*_Atomic sink_fn)(const char *line);

static void said_add(struct said *said, const char *text)
{
	static const char cut[] = "...";
	const char *glue = said->len ? "; " : "";
	size_t room = said->size - said->len;
	int wanted;

	if (room < sizeof(cut) + 8)
		return;
	wanted = snprintf(said->text + said->len, room, "%s%s", glue, text);
	if (wanted < 0)
		return;
	if ((size_t)wanted < room) {
		said->len = (u16)(said->len + wanted);
		return;
	}
	memcpy(said->text + said->size - sizeof(cut), cut, sizeof(cut));
	said->len = (u16)(said->size - 1);
}

static void __attribute__((format(printf, 2, 0))) said_vadd(struct said *said, const char *fmt, va_list ap)
{
	char text[512];
	int saved_errno = errno;

	if (vsnprintf(text, sizeof(text), fmt, ap) >= 0)
		said_add(said, text);
	errno = saved_errno;
}

int explain_reason(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	said_vadd(&reasons, fmt, ap);
	va_end(ap);
	return err;
}

void explain_note_(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	said_vadd(&notes, fmt, ap);
	va_end(ap);
}

void explain_begin(void)
{
	reasons.len = 0;
	reasons.text[0] = '\0';
	notes.len = 0;
	notes.text[0] = '\0';
	last_failed = false;
}

const char *explain_take(void)
{
	if (!reasons.len)
		return explain_take_notes();
	if (notes.len) {
		said_add(&reasons, notes.text);
		notes.len = 0;
	}
	return reasons.text;
}

const char *explain_take_notes(void)
{
	return notes.len ? notes.text : NULL;
}

void explain_done(bool failed)
{
	last_failed = failed;
}

const char *explain_last(void)
{
	return last_failed ? explain_take() : explain_take_notes();
}

void explain_event_(const char *fmt, ...)
{
	static const char prefix[] = "softvfio: ";
	char line[640];
	int saved_errno = errno;
	va_list ap;

	memcpy(line, prefix, sizeof(prefix));
	va_start(ap, fmt);
	if (vsnprintf(line + sizeof(prefix) - 1, sizeof(line) - sizeof(prefix) + 1, fmt, ap) >= 0)
		explain_print(line);
	va_end(ap);
	errno = saved_errno;
}

void explain_print(const char *line)
{
	void (*sink)(const char *) = atomic_load_explicit(&sink_fn, memory_order_acquire);
	char text[2048];
	int len;

	len = snprintf(text, sizeof(text) - 1, "%s", line);
	if (len < 0)
		return;
	len = min(len, (int)sizeof(text) - 2);
	/* Reasons quote what the program gave: it makes no second line, and moves no terminal's cursor. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	if (sink) {
		sink(text);
		return;
	}
	/* One write, so that lines of several threads do not mix. */
	text[len++] = '\n';
	(void)sys_write(STDERR_FILENO, text, (size_t)len);
}

void explain_set_sink(void (*sink)(const char *line))
{
	atomic_store_explicit(&sink_fn, sink, memory_order_release);
}

void explain_enable(void)
{
	explain_enabled = true;
}
