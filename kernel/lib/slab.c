/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slab.c - see slab.h.  Each allocation is a fault point, of the slab's or of pages' as its size says.
 */
#include "kernel/lib/slab.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/lib/fault-inject.h"
#include "kernel/lib/types.h"

static unsigned order_of(size_t size)
{
	return size <= PAGE_SIZE ? 0 : 64u - (unsigned)__builtin_clzll((size - 1) >> PAGE_SHIFT);
}

bool kmalloc_fails(size_t size)
{
	if (!fault_armed())
		return false;
	return size > KMALLOC_MAX_CACHE_SIZE ? should_fail_alloc_page(order_of(size), false) : should_failslab(size, true);
}

/* What cannot be had in a row is had page by page. */
static bool kvmalloc_fails(size_t size)
{
	return kmalloc_fails(size) && (size <= KMALLOC_MAX_CACHE_SIZE || should_fail_alloc_page(0, true));
}

void kfree(const void *ptr)
{
	free((void *)ptr);
}

void kvfree(const void *ptr)
{
	free((void *)ptr);
}

void free_pages_exact(const void *pages)
{
	free((void *)pages);
}

void *kmalloc(size_t size)
{
	return kmalloc_fails(size) ? NULL : malloc(size);
}

void *kzalloc(size_t size)
{
	return kmalloc_fails(size) ? NULL : calloc(1, size);
}

void *kzalloc_atomic(size_t size)
{
	return should_failslab(size, false) ? NULL : calloc(1, size);
}

void *kcalloc(size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : kzalloc(bytes);
}

void *krealloc(void *old, size_t size)
{
	return kmalloc_fails(size) ? NULL : realloc(old, size);
}

void *krealloc_array(void *old, size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : krealloc(old, bytes);
}

char *kstrndup(const char *text, size_t len)
{
	size_t used = strnlen(text, len);
	char *copy = kmalloc(used + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, used);
	copy[used] = '\0';
	return copy;
}

char *kstrdup(const char *text)
{
	return kstrndup(text, strlen(text));
}

void *kvmalloc(size_t size)
{
	return kvmalloc_fails(size) ? NULL : malloc(size);
}

void *kvzalloc(size_t size)
{
	return kvmalloc_fails(size) ? NULL : calloc(1, size);
}

void *kvcalloc(size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : kvzalloc(bytes);
}

void *pages_reserve(size_t size)
{
	return aligned_alloc(size, size);
}

bool page_alloc_fails(void)
{
	return fault_armed() && should_fail_alloc_page(0, false);
}

void *alloc_pages_exact(size_t size)
{
	return should_fail_alloc_page(order_of(size), false) ? NULL : pages_reserve(size);
}

void *get_zeroed_page(void)
{
	void *page = alloc_pages_exact(PAGE_SIZE);

	if (page)
		memset(page, 0, PAGE_SIZE);
	return page;
}
