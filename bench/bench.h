/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench.h - timing for benches: medians of rounds, and yardsticks of the same run.
 *
 * A figure means nothing by itself on a noisy machine; its ratio to a yardstick measured beside it
 * does.  Each figure is one line:  name, value, ratio to its yardstick, goal, and "ok" or "OVER".
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_ROUNDS 15

static inline double bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* The thread's own time: what others do on the machine meanwhile does not count.  For work that never waits. */
static inline double bench_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A system call with nobody in between: the wrappers of a preload library would flatter its ratios. */
static inline long bench_syscall(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

/* Nanoseconds of one execution of the statement: the median of rounds of @n executions. */
#define BENCH(n, ...) ({						\
	double bench_rounds[BENCH_ROUNDS];				\
	for (int bench_r = 0; bench_r < BENCH_ROUNDS; bench_r++) {	\
		const double bench_start = bench_now_ns();		\
		for (long bench_i = 0; bench_i < (long)(n); bench_i++) { __VA_ARGS__; } \
		bench_rounds[bench_r] = (bench_now_ns() - bench_start) / (double)(n); \
	}								\
	qsort(bench_rounds, BENCH_ROUNDS, sizeof(double), bench_compare); \
	bench_rounds[BENCH_ROUNDS / 2];					\
})

static inline void bench_yardstick(const char *name, double ns)
{
	printf("%-44s %12.1f ns\n", name, ns);
}

/* A ratio that must not be above @most (or, with @most negative, not below -@most). */
static inline void bench_ratio(const char *name, double ns, double yard_ns, const char *yard, double most)
{
	const double ratio = most < 0 ? yard_ns / ns : ns / yard_ns;

	printf("%-44s %12.1f ns  %6.2f %s  goal %s %.2f  %s\n", name, ns, ratio, yard, most < 0 ? ">=" : "<=",
	       most < 0 ? -most : most, (most < 0 ? ratio >= -most : ratio <= most) ? "ok" : "OVER");
}

static inline void bench_limit(const char *name, double value, const char *unit, double most)
{
	printf("%-44s %12.1f %s  goal %s %.0f  %s\n", name, value, unit, most < 0 ? ">=" : "<=",
	       most < 0 ? -most : most, (most < 0 ? value >= -most : value <= most) ? "ok" : "OVER");
}

#endif
