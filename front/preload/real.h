/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.h - the functions behind our names, and how our names are exported.
 *
 * REAL(open)(...) is the next `open` in the program's search order: libc's, or that of a sanitizer
 * or another preloaded library.  It is looked up at its first use, because other libraries'
 * constructors call us before ours has run.  dlsym() may itself allocate, and an allocator may open,
 * read and map files; calls that come in while this thread is inside dlsym() go straight to the
 * system, which is all that allocators need.
 *
 * Never call a wrapped name plainly inside the front end: it would be the wrapper.  Where no other
 * library's opinion matters, use kernel/lib/sys.h.
 */
#ifndef FRONT_PRELOAD_REAL_H
#define FRONT_PRELOAD_REAL_H

#include "kernel/lib/types.h"

struct real_fn {
	void *fn;		/* NULL until found; atomic */
	const char *name;
	void *direct;		/* a system call instead, for calls from inside dlsym(); NULL none */
};

/** real_resolve - find it.  Return: never NULL; if libc lacks it, a function that says ENOSYS. */
void *real_resolve(struct real_fn *real) __attribute__((cold));

#define REAL_DECLARE(name) extern struct real_fn real_##name
#define REAL(name_) ((__typeof__(&name_))({					\
	REAL_DECLARE(name_);							\
	void *fn_ = __atomic_load_n(&real_##name_.fn, __ATOMIC_RELAXED);	\
	likely(fn_) ? fn_ : real_resolve(&real_##name_);			\
}))

/* Our wrappers are the only names that leave the library. */
#define EXPORT __attribute__((visibility("default"), used))

/*
 * ALIAS - @new is another name of our @old.  By the assembler, because the prototypes of struct stat
 * and struct stat64 differ in name only.
 */
#define ALIAS(new, old) __asm__(".globl " #new "\n.type " #new ", @function\n.set " #new ", " #old)

#endif
