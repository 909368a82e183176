/* SPDX-License-Identifier: BSD-3-Clause */
/* err.h - a pointer that may be a negative errno instead. */
#ifndef KERNEL_LIB_ERR_H
#define KERNEL_LIB_ERR_H

#include <errno.h>
#include <stdbool.h>

#define MAX_ERRNO 4095

static inline void *ERR_PTR(long err) { return (void *)err; }
static inline long PTR_ERR(const void *ptr) { return (long)ptr; }
static inline bool IS_ERR(const void *ptr) { return (unsigned long)ptr >= (unsigned long)-MAX_ERRNO; }

#endif
