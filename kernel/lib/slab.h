/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slab.h - memory of the kernel.
 *
 * All that kernel/ allocates comes from here, and nothing else does: a program's own malloc() is never seen.  Below is the
 * host's heap, so what libc or a test made with malloc() or strdup() may be given to kfree(), and the other way round.
 *
 * As on Linux small objects come from the slab and large ones from the pages below it: KMALLOC_MAX_CACHE_SIZE is where
 * kmalloc() changes over.  kvmalloc() and kin are for what a program may ask to be large; it needs no pages in a row.
 *
 * Each allocation is a point that can be made to fail (fault-inject.h), as a program knows from Linux.  There are no gfp
 * flags: whoever calls can wait, but for kzalloc_atomic().
 *
 * Any thread, any lock.  NULL: no memory; the caller says for what.  A product that overflows is no memory either.
 */
#ifndef KERNEL_LIB_SLAB_H
#define KERNEL_LIB_SLAB_H

#include <stdbool.h>
#include <stddef.h>

#define KMALLOC_MAX_CACHE_SIZE 8192u /* two pages, as on a PC */

void kfree(const void *ptr);
void kvfree(const void *ptr);
/** free_pages_exact - what alloc_pages_exact() gave, or NULL */
void free_pages_exact(const void *pages);

#ifdef __clang__ /* it knows no deallocator's name */
#define SLAB_ALLOC(free_fn) __attribute__((malloc, warn_unused_result))
#else
#define SLAB_ALLOC(free_fn) __attribute__((malloc, malloc(free_fn, 1), warn_unused_result))
#endif

void *kmalloc(size_t size) SLAB_ALLOC(kfree);
void *kzalloc(size_t size) SLAB_ALLOC(kfree);
/** kzalloc_atomic - where Linux cannot wait for memory, which failslab tells apart */
void *kzalloc_atomic(size_t size) SLAB_ALLOC(kfree);
/** kcalloc - @count things of @size bytes, all zero */
void *kcalloc(size_t count, size_t size) SLAB_ALLOC(kfree);
/** krealloc - as realloc(): NULL leaves @old as it was */
void *krealloc(void *old, size_t size) __attribute__((warn_unused_result));
void *krealloc_array(void *old, size_t count, size_t size) __attribute__((warn_unused_result));
char *kstrdup(const char *text) SLAB_ALLOC(kfree);
/** kstrndup - at most @len bytes of @text, and a NUL */
char *kstrndup(const char *text, size_t len) SLAB_ALLOC(kfree);

/**
 * kmalloc_fails - where Linux allocates @size bytes that are not needed here: do they fail?
 * So that a program that has the call fail finds that it can.
 */
bool kmalloc_fails(size_t size);

void *kvmalloc(size_t size) SLAB_ALLOC(kvfree);
void *kvzalloc(size_t size) SLAB_ALLOC(kvfree);
void *kvcalloc(size_t count, size_t size) SLAB_ALLOC(kvfree);

/** alloc_pages_exact - @size bytes, a power of two of pages, aligned to @size; not cleared */
void *alloc_pages_exact(size_t size) SLAB_ALLOC(free_pages_exact);
/**
 * pages_reserve - the same for a pool that hands out single pages, and asks page_alloc_fails() for each
 * So the pages of a table fail one by one, as where each is allocated.
 */
void *pages_reserve(size_t size) SLAB_ALLOC(free_pages_exact);
bool page_alloc_fails(void);
/** get_zeroed_page - one page, all zero, for free_pages_exact() */
void *get_zeroed_page(void) SLAB_ALLOC(free_pages_exact);

#endif
