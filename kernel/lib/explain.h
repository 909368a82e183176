/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explain.h - why a call failed, in words.
 *
 * The place that decides an errno says why, with the numbers that decided it:
 *
 *	if (size == 0)
 *		return fail(-EINVAL, "size is 0: there is nothing to map");
 *
 * The reason belongs to the call that the thread is in; the front end prints it behind the call when
 * the user asked with --explain.  When nobody asked, fail() costs one branch that is never taken and
 * its arguments are not evaluated.
 *
 * Style of a reason: one clause or two, no capital letter, no full stop, the program's own terms and
 * numbers ("iova 0xfee00000 lies in the reserved MSI window [0xfee00000-0xfeefffff]"), and, where it
 * helps, what to do.
 */
#ifndef KERNEL_LIB_EXPLAIN_H
#define KERNEL_LIB_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

extern bool explain_enabled; /* set once, before threads */

/** explain_reason - note why the call under way fails.  Return: @err.  Use fail(). */
int explain_reason(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* cmocka has a macro of that name too; our tests include it first and use asserts only. */
#undef fail
#define fail(err, ...) (__builtin_expect(explain_enabled, 0) ? explain_reason((err), __VA_ARGS__) : (err))

/** explain_note - a call that succeeds but looks like a mistake (UNMAP that found nothing). */
void explain_note_(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));
#define explain_note(...) \
	do { if (__builtin_expect(explain_enabled, 0)) explain_note_(__VA_ARGS__); } while (0)

/** explain_event - something outside any call: a DMA fault, an interrupt lost.  Printed at once. */
void explain_event_(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));
#define explain_event(...) \
	do { if (__builtin_expect(explain_enabled, 0)) explain_event_(__VA_ARGS__); } while (0)

/** explain_begin - a call begins on this thread: forget the reason of the one before. */
void explain_begin(void);
/**
 * explain_take - what was said since explain_begin() on this thread, the innermost reason first,
 * later ones joined by "; ".  Return: text valid until the next call on this thread; NULL if none.
 */
const char *explain_take(void);
/** explain_take_notes - only what explain_note() said: a success may have reasons of a detour. */
const char *explain_take_notes(void);

/** explain_done - the call that began is over: what was said stays for explain_last(). */
void explain_done(bool failed);
/**
 * explain_last - why the last call of this thread failed, or what was noted of it if it did not
 * Return: text valid until the next call on this thread; NULL if there is nothing to say.
 */
const char *explain_last(void);

/** explain_set_sink - where events and explained calls go; NULL is stderr.  @line has no newline. */
void explain_set_sink(void (*sink)(const char *line));
/** explain_print - one whole line ("softvfio: ...", no newline) to the sink. */
void explain_print(const char *line);

/**
 * explain_enable - for --explain, and for tools of our own that want the reason even without it, so that
 * `softvfio: -d edu,foo=1: edu has no key foo` can be printed.  Sets explain_enabled.
 */
void explain_enable(void);

#endif
