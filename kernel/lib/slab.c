/* SPDX-License-Identifier: BSD-3-Clause */
/* slab.c - see slab.h. */
#include "kernel/lib/slab.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/lib/types.h"

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
	return malloc(size);
}

void *kzalloc(size_t size)
{
	return calloc(1, size);
}

void *kcalloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void *krealloc(void *old, size_t size)
{
	return realloc(old, size);
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
	return malloc(size);
}

void *kvzalloc(size_t size)
{
	return calloc(1, size);
}

void *kvcalloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void *alloc_pages_exact(size_t size)
{
	return aligned_alloc(size, size);
}

void *get_zeroed_page(void)
{
	void *page = alloc_pages_exact(PAGE_SIZE);

	if (page)
		memset(page, 0, PAGE_SIZE);
	return page;
}
