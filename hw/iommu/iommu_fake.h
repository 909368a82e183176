/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu_fake.h - for tests of hw/iommu: a memory bus, and tables made by hand.
 *
 * Tables lie in an arena that stands for the kernel's memory; what is not in it does not answer.  A
 * program's memory is another, at FAKE_MEM; FAKE_BAR is something that is not memory.
 */
#ifndef HW_IOMMU_IOMMU_FAKE_H
#define HW_IOMMU_IOMMU_FAKE_H

#include <errno.h>
#include <string.h>

#include "hw/iommu/internal.h"
#include "kernel/lib/guard.h"

#define TABLES 64
#define FAKE_MEM (1ull << 47)
#define FAKE_MEM_BYTES (4u << 20)
#define FAKE_BAR (31ull << 47)
#define FAKE_BAR_BYTES 8192u

/* Bits as the specification has them, spelled out once more on purpose. */
#define T_PRESENT 1ull
#define T_READ (1ull << 61)
#define T_WRITE (1ull << 62)
#define T_RW (T_READ | T_WRITE)
#define T_NEXT(level) ((u64)(level) << 9)
#define T_DTE(mode) (3ull | T_NEXT(mode))

typedef _Atomic(u64) fake_table_t[512];
static _Alignas(4096) fake_table_t tables[TABLES];
static _Alignas(4096) u64 devtab[16][4];
static _Alignas(4096) unsigned char memory[FAKE_MEM_BYTES];
static unsigned char bar[FAKE_BAR_BYTES];
static void *volatile bad_host; /* if set, what memory answers with */
static unsigned bar_accesses;

static void *fake_host_ptr(u64 pa)
{
	if (pa >= (uintptr_t)tables && pa < (uintptr_t)tables + sizeof(tables))
		return (void *)(uintptr_t)pa;
	if (pa >= (uintptr_t)devtab && pa < (uintptr_t)devtab + sizeof(devtab))
		return (void *)(uintptr_t)pa;
	if (pa >= FAKE_MEM && pa < FAKE_MEM + FAKE_MEM_BYTES)
		return bad_host ? bad_host : &memory[pa - FAKE_MEM];
	return NULL;
}

static int fake_bus(u64 pa, void *rd, const void *wr, size_t len)
{
	if (pa < FAKE_BAR || pa - FAKE_BAR + len > FAKE_BAR_BYTES)
		return -EFAULT;
	bar_accesses++;
	memcpy(rd ? rd : &bar[pa - FAKE_BAR], rd ? &bar[pa - FAKE_BAR] : wr, len);
	return 0;
}

static int fake_read(u64 pa, void *buf, size_t len) { return fake_bus(pa, buf, NULL, len); }
static int fake_write(u64 pa, const void *buf, size_t len) { return fake_bus(pa, NULL, buf, len); }

static const struct hw_bus_ops fake_bus_ops = {
	.read = fake_read, .write = fake_write, .host_ptr = fake_host_ptr, .copy = guard_copy,
};

static inline u64 table_pa(unsigned i)
{
	return (uintptr_t)tables[i];
}

static inline void fake_reset(void)
{
	memset((void *)tables, 0, sizeof(tables));
	memset(devtab, 0, sizeof(devtab));
	memset(memory, 0, sizeof(memory));
	memset(bar, 0, sizeof(bar));
	bad_host = NULL;
	bar_accesses = 0;
}

#endif
