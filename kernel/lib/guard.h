/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.h - touching memory that may not be there.
 *
 * A program hands us pointers.  Following one is like a kernel following a user pointer: it may be
 * unmapped, read-only, behind the end of a file, or the BAR of a device.  A guarded access says
 * -EFAULT instead of dying.  It works as the kernel's exception table does: the thread notes that it
 * is inside a guarded access, and whoever owns SIGSEGV and SIGBUS calls guard_fault() first, which
 * leaves the access if the thread was in one.
 *
 * Guarded accesses do not nest and call nothing that may block on a lock.
 */
#ifndef KERNEL_LIB_GUARD_H
#define KERNEL_LIB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/lib/types.h"

/**
 * guard_copy - memcpy with either side possibly bad.  No overlap.
 * Any thread.  Return: 0; -EFAULT, and then some first bytes may have been copied.
 */
int guard_copy(void *dst, const void *src, size_t len_bytes);
/** guard_set - memset likewise. */
int guard_set(void *dst, int byte, size_t len_bytes);
/**
 * guard_touch - read a byte of each page of [addr, addr+len), and if @write also write it back
 * unchanged, atomically, so that copy-on-write is broken and the page is really there
 * Return: 0; -EFAULT.
 */
int guard_touch(void *addr, size_t len_bytes, bool write);
/**
 * guard_load64, guard_cmpxchg64 - one aligned word, in one access that other threads see whole
 * cmpxchg: if *@p is *@expected it becomes @desired, else *@expected becomes what is there.  The page table of
 * a guest is read and marked by these.
 * Return: 0; -EFAULT; cmpxchg: 1 if it was something else.
 */
int guard_load64(const u64 *p, u64 *ret);
int guard_cmpxchg64(u64 *p, u64 *expected, u64 desired);
/**
 * guard_strncpy - copy a string of at most @size bytes with its NUL
 * Return: length; -EFAULT; -ENAMETOOLONG.
 */
long guard_strncpy(char *dst, const char *src, size_t size);

/**
 * guard_fault - for a signal handler of SIGSEGV or SIGBUS: was the thread in a guarded access?
 * Async-signal-safe.  Does not return if so (SA_NODEFER or an unblocked mask is the caller's care:
 * install the handler with SA_NODEFER); returns false if not.
 */
bool guard_fault(void);
/** guard_active - would guard_fault() leave?  For handlers that must restore the signal mask before. */
bool guard_active(void);

/**
 * guard_install - for programs that have no handler of their own (tests, tools): install one
 * cmocka sets its own handlers before each test and each setup: there, call it in the test itself.
 */
void guard_install(void);

#endif
