/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_nomem.h - for tests in which each allocation fails in turn, those of devices and machines too.
 *
 * These are no points of failslab, as they are no kernel's.  The linker puts these __wrap_ functions in the place of malloc and its kin (nomem_link_args in meson.build).
 * A test sets countdown to n, does what it is about, and looks at failed_one: false means that fewer than n
 * allocations were made.
 */
#ifndef TESTS_STRESS_HOST_NOMEM_H
#define TESTS_STRESS_HOST_NOMEM_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
int __real_posix_memalign(void **ret, size_t align, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
int __wrap_posix_memalign(void **ret, size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

static atomic_long countdown; /* counts down to 0, when one fails; then no more do */
static atomic_bool failed_one;

static bool fails_now(void)
{
	if (atomic_load(&countdown) <= 0 || atomic_fetch_sub(&countdown, 1) != 1)
		return false;
	atomic_store(&failed_one, true);
	return true;
}

void *__wrap_malloc(size_t size) { return fails_now() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails_now() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails_now() ? NULL : __real_realloc(old, size); }
char *__wrap_strdup(const char *text) { return fails_now() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t len) { return fails_now() ? NULL : __real_strndup(text, len); }
void *__wrap_aligned_alloc(size_t align, size_t size) { return fails_now() ? NULL : __real_aligned_alloc(align, size); }

int __wrap_posix_memalign(void **ret, size_t align, size_t size)
{
	return fails_now() ? ENOMEM : __real_posix_memalign(ret, align, size);
}

#endif
