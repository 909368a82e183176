/* SPDX-License-Identifier: BSD-3-Clause */
/* mm_test.h - for the tests of this folder: a fake device mapping, and guarded tests. */
#ifndef KERNEL_MM_MM_TEST_H
#define KERNEL_MM_MM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/mutex.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"

/* cmocka takes SIGSEGV before each test: take it back inside. */
#define GUARDED_TEST(test) { #test, guarded_test, NULL, NULL, (void *)(test) }

static void guarded_test(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	explain_begin();
	test(state);
}

static inline void *lock_and_end(void *lock)
{
	mutex_lock(lock);
	return NULL;
}

/* As a child finds a lock that another thread of its parent had.  Not for the thread sanitizer, which never forgets one. */
static inline void locked_for_ever(struct mutex *lock)
{
	pthread_t thread;

#ifdef __SANITIZE_THREAD__
	return;
#endif
	assert_int_equal(pthread_create(&thread, NULL, lock_and_end, lock), 0);
	pthread_join(thread, NULL);
}

/* A file that counts how often it is held. */
static int fake_file_refs;

static inline struct file *fake_file(void)
{
	return (struct file *)&fake_file_refs;
}

static void fake_get(struct file *file) { fake_file_refs++; }
static void fake_put(struct file *file) { fake_file_refs--; }
static void fake_close_private(int fd) { assert_int_equal(fd, -1); }

/* A BAR of 64 KiB with memory behind it and a note of each access. */
#define BAR_BYTES 0x10000
#define BAR_PHYS (((u64)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) + 0xe0000000)

static struct {
	u8 mem[BAR_BYTES];
	char log[256]; /* "r8@10 w4@18 " */
	int fail_with;
} bar;

static int bar_access(struct vm_area *vma, u64 off, void *buf, unsigned len, bool write)
{
	size_t used = strlen(bar.log);

	if (bar.fail_with)
		return fail(bar.fail_with, "the fake BAR was told to fail");
	snprintf(bar.log + used, sizeof(bar.log) - used, "%c%u@%llx ", write ? 'w' : 'r', len,
		 (unsigned long long)off);
	assert_true(off + len <= BAR_BYTES);
	if (write)
		memcpy(bar.mem + off, buf, len);
	else
		memcpy(buf, bar.mem + off, len);
	return 0;
}

static int bar_phys(struct vm_area *vma, u64 off, phys_addr_t *ret_phys)
{
	if (bar.fail_with)
		return fail(bar.fail_with, "memory decoding of the fake BAR is off");
	*ret_phys = BAR_PHYS + off;
	return 0;
}

static const struct vm_operations bar_vm_ops = { .access = bar_access, .phys = bar_phys };

/* Reserves @len bytes that trap and puts a mapping of the BAR from @pgoff over them. */
static inline struct vm_area *map_bar(u64 len, u64 pgoff, int prot, void **ret_addr)
{
	static const struct vma_file_ops file_ops = { fake_get, fake_put, fake_close_private };
	void *addr = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm_area *vma;

	assert_ptr_not_equal(addr, MAP_FAILED);
	vma_file_register(&file_ops);
	vma = vma_alloc(fake_file(), (uintptr_t)addr, len, pgoff, prot);
	assert_non_null(vma);
	vma->ops = &bar_vm_ops;
	vma->private_data = &bar;
	vma_insert(mm_self(), vma);
	bar.log[0] = '\0';
	bar.fail_with = 0;
	*ret_addr = addr;
	return vma;
}

static inline void unmap_bar(void *addr, u64 len)
{
	assert_int_equal(vma_remove(mm_self(), (uintptr_t)addr, len), 0);
	munmap(addr, len);
	assert_int_equal(fake_file_refs, 0);
}

#endif
