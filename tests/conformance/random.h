/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * random.h - for programs that make random calls, the same each time, so that their answers can be recorded.
 *
 * A round begins with a seed and all that it needs made anew; below() gives its numbers.  How many are taken must not
 * depend on what the kernel answers: a wrong answer then does not make all that follow other questions.
 */
#ifndef TESTS_CONFORMANCE_RANDOM_H
#define TESTS_CONFORMANCE_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

#include "tests/conformance/rows.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEX(x) (unsigned long long)(x)
#define RANDOM __attribute__((unused))
#define SAYS __attribute__((unused, format(printf, 1, 2)))

static uint64_t seed, round_seed;
static char what[300]; /* the call's row is called so */

static RANDOM unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

/* Name the call; add to its name. */
static SAYS void call(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
}

static SAYS void say(const char *fmt, ...)
{
	const size_t n = strlen(what);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what + n, sizeof(what) - n, fmt, ap);
	va_end(ap);
}

/* @of: what its calls are about, if rounds differ in it. */
static RANDOM void begin_seed(const char *of)
{
	static char name[64];

	snprintf(name, sizeof(name), "random calls, %sseed %llu", of, HEX(round_seed));
	begin(name);
}

/* The program's main ends with this: rounds and the first one's seed may be given as its third and fourth argument. */
static RANDOM int random_rounds(int argc, char **argv, unsigned rounds, void (*run)(unsigned round))
{
	const uint64_t first = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;

	if (argc > 3)
		rounds = (unsigned)atoi(argv[3]);
	for (unsigned round = 0; round < rounds; round++) {
		round_seed = first + round;
		seed = round_seed * 0x9e3779b97f4a7c15ull;
		run(round);
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}

#endif
