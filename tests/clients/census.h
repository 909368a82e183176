/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * census.h - how many descriptors and threads the program has, those that the library keeps in it included.
 *
 * What is kept for a process that ends goes a moment after it: settles() waits for that.
 */
#ifndef TESTS_CLIENTS_CENSUS_H
#define TESTS_CLIENTS_CENSUS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

struct census { unsigned fds, threads; };

static inline unsigned entries_of(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

/* Threads first: what they close they have closed when they are no longer there. */
static inline struct census census(void)
{
	const unsigned threads = entries_of("/proc/self/task");

	return (struct census){ entries_of("/proc/self/fd"), threads };
}

static inline bool census_same(struct census a, struct census b)
{
	return a.fds == b.fds && a.threads == b.threads;
}

/* When nothing has changed for a fifth of a second. */
static inline struct census census_at_rest(void)
{
	struct census was, is = census();

	do {
		was = is;
		usleep(200000);
		is = census();
	} while (!census_same(was, is));
	return is;
}

/* Within ten seconds there are as many as there were; else they are told. */
static inline bool settles(struct census before)
{
	struct census is = census();

	for (int i = 0; i < 2000 && !census_same(is, before); i++) {
		usleep(5000);
		is = census();
	}
	if (census_same(is, before))
		return true;
	fprintf(stderr, "%u descriptors and %u threads before, %u and %u after\n", before.fds, before.threads, is.fds, is.threads);
	return false;
}

#endif
