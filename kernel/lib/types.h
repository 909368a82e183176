/* SPDX-License-Identifier: BSD-3-Clause */
/* types.h - the words that every file of the tree uses. */
#ifndef KERNEL_LIB_TYPES_H
#define KERNEL_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

/* An address as the memory bus sees it; see kernel/mm/mm.h for how it is made. */
typedef u64 phys_addr_t;

/* A pointer into a program's memory: only copy_from_user() and copy_to_user() may follow it. */
#define __user
/* A program's pointer moved on: what it points to, if to anything, is for copy_from_user() to find out. */
#define user_at(ptr, off) ((__typeof__(ptr))((uintptr_t)(ptr) + (off)))

#define PAGE_SHIFT 12
#define PAGE_SIZE (1ul << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define BIT(n) (1u << (n))
#define BIT_ULL(n) (1ull << (n))
/* Bits lo..hi, both inside. */
#define GENMASK_ULL(hi, lo) ((~0ull << (lo)) & (~0ull >> (63 - (hi))))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
/* Bytes of a struct up to and with a member. */
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define ALIGN_UP(x, a) (((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define min(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* true if start + len leaves the type; else *@ret_last = start + len - 1.  len must not be 0. */
static inline bool range_overflows(u64 start, u64 len, u64 *ret_last)
{
	return __builtin_add_overflow(start, len - 1, ret_last);
}

#endif
