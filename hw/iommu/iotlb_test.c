/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iotlb_test.c - transfers through an iotlb, what it remembers, what it forgets, and faults.
 *
 * Device 1 has a table of two levels: window pages at iova 0, from tables[1] on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/iommu/iommu_fake.h"

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

#define DEVID 1
#define DOMID 7

static struct hw_iommu *iommu;
static struct iotlb *t;

static void map_page(u64 iova, u64 pa, u64 perms)
{
	tables[1][iova >> 12] = T_PRESENT | perms | pa;
}

static int setup(void **state)
{
	fake_reset();
	iommu = hw_iommu_create(&fake_bus_ops, &hw_iommu_amdv1);
	assert_non_null(iommu);
	devtab[DEVID][0] = T_DTE(2) | T_RW | table_pa(0);
	devtab[DEVID][1] = DOMID;
	tables[0][0] = T_PRESENT | T_NEXT(1) | T_RW | table_pa(1);
	hw_iommu_set_device_table(iommu, (uintptr_t)devtab, 16);
	t = iotlb_create(iommu, DEVID);
	assert_non_null(t);
	for (unsigned i = 0; i < FAKE_MEM_BYTES; i++)
		memory[i] = i * 7 + (i >> 12);
	return 0;
}

static int teardown(void **state)
{
	iotlb_destroy(t);
	hw_iommu_destroy(iommu);
	return 0;
}

static void invalidate(u64 iova, u64 len)
{
	hw_iommu_invalidate_pages(iommu, DOMID, iova, iova + len - 1);
}

static void access_fails(u64 iova, size_t len, bool write, int reason, u64 at)
{
	struct hw_iommu_fault fault = { 0 };
	u64 before = hw_iommu_fault_count(iommu);
	static char buf[65536];

	assert_true(len <= sizeof(buf));
	assert_int_equal(iotlb_access(t, iova, buf, len, write), -EFAULT);
	assert_int_equal(hw_iommu_fault_count(iommu), before + 1);
	assert_int_equal(hw_iommu_faults(iommu, &fault, 1), 1);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.iova, at);
	assert_int_equal(fault.write, write);
	assert_int_equal(fault.devid, DEVID);
}

static void test_read_write(void **state)
{
	unsigned char buf[12288];

	for (unsigned i = 0; i < 16; i++) /* backwards: no two are neighbours on the bus */
		map_page(i * 4096, FAKE_MEM + (20 - i) * 4096, T_RW);
	assert_int_equal(iotlb_access(t, 0x10f0, buf, 8192, false), 0);
	assert_memory_equal(buf, &memory[19 * 4096 + 0xf0], 4096 - 0xf0);
	assert_memory_equal(buf + 4096 - 0xf0, &memory[18 * 4096], 4096);
	assert_memory_equal(buf + 8192 - 0xf0, &memory[17 * 4096], 0xf0);
	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(iotlb_access(t, 0x1fff, buf, 2, true), 0);
	assert_int_equal(memory[19 * 4096 + 4095], 0x55);
	assert_int_equal(memory[18 * 4096], 0x55);
	assert_int_not_equal(memory[18 * 4096 + 1], 0x55);
	assert_int_equal(iotlb_access(t, 0x1000, buf, 0, true), 0);
	assert_int_equal(iotlb_access(t, 0xdead000, buf, 0, true), 0); /* nothing asked, nothing wrong */
	assert_int_equal(hw_iommu_fault_count(iommu), 0);
}

static void test_long_transfer(void **state)
{
	const size_t len = 1u << 20;
	unsigned char *buf = malloc(len);
	struct iotlb_stats stats;

	assert_non_null(buf);
	for (unsigned i = 0; i < 300; i++)
		map_page(i * 4096, FAKE_MEM + i * 4096, T_RW);
	assert_int_equal(iotlb_access(t, 0x333, buf, len, false), 0);
	assert_memory_equal(buf, memory + 0x333, len);
	iotlb_stats_get(t, &stats);
	assert_int_equal(stats.bytes_read, len);
	assert_int_equal(stats.bytes_written, 0);
	assert_int_equal(stats.misses, 257); /* one a page: each is walked for once */
	memset(buf, 0xaa, len);
	assert_int_equal(iotlb_access(t, 0x333, buf, len, true), 0);
	assert_int_equal(memory[0x332], (unsigned char)(0x332 * 7));
	assert_memory_equal(memory + 0x333, buf, len);
	assert_int_not_equal(memory[0x333 + len], 0xaa);
	free(buf);
}

static void test_faults(void **state)
{
	map_page(0x1000, FAKE_MEM, T_RW);
	map_page(0x2000, FAKE_MEM + 0x1000, T_READ);
	map_page(0x3000, FAKE_MEM + 0x2000, T_WRITE);
	map_page(0x4000, FAKE_MEM + FAKE_MEM_BYTES, T_RW); /* nothing answers there */
	access_fails(0x0, 1, false, HW_IOMMU_FAULT_NOT_PRESENT, 0x0);
	access_fails(0x1fff, 2, true, HW_IOMMU_FAULT_PERMISSION, 0x2000);
	access_fails(0x3004, 4, false, HW_IOMMU_FAULT_PERMISSION, 0x3004);
	access_fails(0x3000, 4, false, HW_IOMMU_FAULT_PERMISSION, 0x3000);
	access_fails(0x4000, 4, true, HW_IOMMU_FAULT_BUS, 0x4000);
	access_fails(~0ull, 2, false, HW_IOMMU_FAULT_NOT_PRESENT, ~0ull); /* wraps */
	access_fails(1ull << 30, 1, false, HW_IOMMU_FAULT_NOT_PRESENT, 1ull << 30);
	devtab[DEVID][0] = 3;
	hw_iommu_invalidate_device(iommu, DEVID);
	access_fails(0x1000, 1, false, HW_IOMMU_FAULT_BLOCKED, 0x1000);
	devtab[DEVID][0] = 0;
	hw_iommu_invalidate_device(iommu, DEVID);
	access_fails(0x1000, 1, false, HW_IOMMU_FAULT_DTE_INVALID, 0x1000);
	hw_iommu_set_device_table(iommu, (uintptr_t)devtab, DEVID); /* one entry too short */
	access_fails(0x1000, 1, false, HW_IOMMU_FAULT_DTE_INVALID, 0x1000);
}

static void test_read_only_then_write(void **state)
{
	char buf[8] = "";

	map_page(0x1000, FAKE_MEM, T_READ);
	assert_int_equal(iotlb_access(t, 0x1000, buf, 8, false), 0);
	access_fails(0x1000, 8, true, HW_IOMMU_FAULT_PERMISSION, 0x1000);
	assert_int_equal(iotlb_access(t, 0x1000, buf, 8, false), 0);
}

static unsigned handled;
static void handler(void *arg, const struct hw_iommu_fault *fault)
{
	struct hw_iommu_fault ring[2];

	/* no lock is held: asking back must not deadlock */
	assert_true(hw_iommu_faults(arg, ring, 2) >= 1);
	handled++;
}

static void test_fault_ring(void **state)
{
	static struct hw_iommu_fault faults[300];
	char text[200], small[10];

	handled = 0;
	hw_iommu_set_fault_handler(iommu, handler, iommu);
	for (unsigned i = 0; i < 300; i++)
		access_fails(0x100000 + i, 1, i & 1, HW_IOMMU_FAULT_NOT_PRESENT, 0x100000 + i);
	assert_int_equal(handled, 300);
	assert_int_equal(hw_iommu_faults(iommu, faults, 300), 256);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(faults[i].iova, 0x100000 + 44 + i);
	assert_int_equal(faults[0].domid, DOMID);
	assert_int_equal(faults[0].level, 1);
	hw_iommu_set_fault_handler(iommu, NULL, NULL);
	access_fails(0x100000, 1, false, HW_IOMMU_FAULT_NOT_PRESENT, 0x100000);
	assert_int_equal(handled, 300);
	assert_string_equal(hw_iommu_fault_describe(&faults[0], text, sizeof(text)),
			    "DMA fault: device 00:00.1 reads iova 0x10002c: nothing is mapped there "
			    "(domain 7, level 1)");
	assert_string_equal(hw_iommu_fault_describe(&faults[0], small, sizeof(small)), "DMA fault");
}

/* It remembers until told otherwise, and then forgets just that. */
static void test_cache(void **state)
{
	struct iotlb_stats stats;
	u64 pa;

	map_page(0x1000, FAKE_MEM, T_RW);
	map_page(0x2000, FAKE_MEM + 0x5000, T_RW);
	assert_int_equal(iotlb_translate(t, 0x1008, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 8);
	assert_int_equal(iotlb_translate(t, 0x2000, true, true, &pa), 0);
	map_page(0x1000, FAKE_MEM + 0x10000, T_RW);
	map_page(0x2000, FAKE_MEM + 0x11000, T_RW);
	assert_int_equal(iotlb_translate(t, 0x1008, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 8); /* stale, as it must be: nobody invalidated */
	hw_iommu_invalidate_pages(iommu, DOMID + 1, 0, ~0ull);
	invalidate(0x2000, 0x1000);
	assert_int_equal(iotlb_translate(t, 0x1008, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 8);
	assert_int_equal(iotlb_translate(t, 0x2000, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 0x11000);
	invalidate(0x1fff, 1);
	assert_int_equal(iotlb_translate(t, 0x1008, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 0x10008);
	iotlb_stats_get(t, &stats);
	assert_int_equal(stats.misses, 4);
	assert_int_equal(stats.hits, 2);
	assert_int_equal(stats.faults, 0);
}

/* Whatever page size and wherever it was touched, an invalidation of any part of it finds it. */
static void test_invalidate_large_pages(void **state)
{
	u64 pa;

	tables[0][1] = T_PRESENT | T_RW | FAKE_MEM; /* 2 MiB at 2 MiB */
	tables[1][16] = tables[1][17] = T_PRESENT | T_NEXT(7) | T_RW | FAKE_MEM | 0x20000; /* 8 KiB */
	for (u64 at = 0x10000; at < 0x12000; at += 0x800) {
		assert_int_equal(iotlb_translate(t, at, true, true, &pa), 0);
		assert_int_equal(pa, FAKE_MEM + 0x20000 + (at - 0x10000));
	}
	for (u64 at = 0x200000; at < 0x400000; at += 0x11800) {
		assert_int_equal(iotlb_translate(t, at, true, true, &pa), 0);
		assert_int_equal(pa, FAKE_MEM + at - 0x200000);
	}
	tables[0][1] = 0;
	tables[1][16] = tables[1][17] = 0;
	invalidate(0x10000, 0x2000);
	invalidate(0x200000, 0x200000);
	for (u64 at = 0x10000; at < 0x12000; at += 0x800)
		assert_int_equal(iotlb_translate(t, at, true, false, &pa), -EFAULT);
	for (u64 at = 0x200000; at < 0x400000; at += 0x11800)
		assert_int_equal(iotlb_translate(t, at, true, false, &pa), -EFAULT);
	assert_int_equal(hw_iommu_fault_count(iommu), 0); /* not recorded, as asked */
}

static void test_invalidate_everything(void **state)
{
	u64 pa;

	for (unsigned i = 0; i < 512; i++)
		map_page(i * 4096, FAKE_MEM + i * 4096, T_RW);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(iotlb_translate(t, i * 4096, true, true, &pa), 0);
	memset((void *)tables[1], 0, sizeof(tables[1]));
	hw_iommu_invalidate_pages(iommu, DOMID, 0, ~0ull);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(iotlb_translate(t, i * 4096, true, false, &pa), -EFAULT);
}

static void leads_to(u64 iova, bool write, u64 want)
{
	u64 pa = 0;

	assert_int_equal(iotlb_translate(t, iova, write, true, &pa), 0);
	assert_int_equal(pa, want);
}

/* Where the walker remembers a lowest table: what is above it no longer counts, until something is invalidated. */
static void test_tables_are_remembered(void **state)
{
	u64 pa;

	map_page(0x1000, FAKE_MEM, T_RW);
	map_page(0x2000, FAKE_MEM + 0x1000, T_RW);
	leads_to(0x1000, true, FAKE_MEM);
	tables[0][0] = T_PRESENT | T_NEXT(1) | T_RW | table_pa(2);
	leads_to(0x2000, true, FAKE_MEM + 0x1000); /* stale, as hardware may be */
	map_page(0x3000, FAKE_MEM + 0x2000, T_RW);
	leads_to(0x3000, true, FAKE_MEM + 0x2000); /* a page that is new in it is seen */
	assert_int_equal(iotlb_translate(t, 0x4000, false, false, &pa), -EFAULT);
	tables[2][4] = T_PRESENT | T_RW | (FAKE_MEM + 0x9000);
	assert_int_equal(iotlb_translate(t, 0x4000, false, false, &pa), -EFAULT);
	hw_iommu_invalidate_pages(iommu, DOMID + 1, 0x7fff0000, 0x7fffffff); /* whosever, wherever */
	leads_to(0x4000, false, FAKE_MEM + 0x9000);

	/* A table without pages may give way to a large page, and nobody is told: it was not remembered. */
	tables[2][4] = 0;
	invalidate(0x4000, 0x1000);
	assert_int_equal(iotlb_translate(t, 0x4000, false, false, &pa), -EFAULT);
	tables[0][0] = T_PRESENT | T_RW | FAKE_MEM;
	leads_to(0x5000, true, FAKE_MEM + 0x5000);
}

/* The rights of entries above it stay with a table, and several regions keep apart. */
static void test_rights_of_tables(void **state)
{
	u64 pa;

	tables[0][0] = T_PRESENT | T_NEXT(1) | T_READ | table_pa(1);
	for (unsigned i = 1; i < 10; i++) {
		tables[0][i] = T_PRESENT | T_NEXT(1) | T_RW | table_pa(1 + i);
		tables[1 + i][1] = T_PRESENT | T_RW | (FAKE_MEM + i * 0x1000);
		tables[1 + i][2] = T_PRESENT | T_RW | (FAKE_MEM + i * 0x1000 + 0x100000);
	}
	map_page(0x1000, FAKE_MEM, T_RW);
	map_page(0x2000, FAKE_MEM + 0x100000, T_RW);
	for (u64 i = 0; i < 10; i++)
		leads_to(i << 21 | 0x1000, false, FAKE_MEM + i * 0x1000);
	for (u64 i = 10; i-- > 0;) {
		leads_to(i << 21 | 0x2000, false, FAKE_MEM + i * 0x1000 + 0x100000);
		assert_int_equal(iotlb_translate(t, i << 21 | 0x2000, true, false, &pa), i ? 0 : -EFAULT);
	}
}

static void test_device_moves_to_another_domain(void **state)
{
	u64 pa;

	map_page(0x1000, FAKE_MEM, T_RW);
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	tables[2][0] = T_PRESENT | T_NEXT(1) | T_RW | table_pa(3);
	tables[3][1] = T_PRESENT | T_RW | (FAKE_MEM + 0x7000);
	devtab[DEVID][0] = T_DTE(2) | T_RW | table_pa(2);
	devtab[DEVID][1] = DOMID + 1;
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM);
	hw_iommu_invalidate_device(iommu, DEVID + 1);
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM);
	hw_iommu_invalidate_device(iommu, DEVID);
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 0x7000);
	tables[3][1] = 0;
	invalidate(0, 0x200000); /* the old domain */
	assert_int_equal(iotlb_translate(t, 0x1000, true, true, &pa), 0);
	hw_iommu_invalidate_pages(iommu, DOMID + 1, 0, 0x1fffff);
	assert_int_equal(iotlb_translate(t, 0x1000, true, false, &pa), -EFAULT);
}

static void test_peer_to_peer(void **state)
{
	unsigned char buf[6000], back[6000];
	struct iotlb_stats stats;

	map_page(0x1000, FAKE_BAR, T_RW);
	map_page(0x2000, FAKE_BAR + 0x1000, T_RW);
	map_page(0x3000, FAKE_BAR + 0x2000, T_RW); /* behind the BAR */
	memset(buf, 0x3c, sizeof(buf));
	assert_int_equal(iotlb_access(t, 0x1100, buf, sizeof(buf), true), 0);
	assert_int_equal(bar[0x100], 0x3c);
	assert_int_equal(bar[0xff], 0);
	assert_int_equal(iotlb_access(t, 0x1100, back, sizeof(back), false), 0);
	assert_memory_equal(buf, back, sizeof(buf));
	assert_true(bar_accesses >= 2);
	iotlb_stats_get(t, &stats);
	assert_int_equal(stats.bytes_written, sizeof(buf));
	access_fails(0x3000, 4, true, HW_IOMMU_FAULT_BUS, 0x3000);
}

/* Memory that was mapped in the IOMMU but is gone, and a buffer of the model that is gone. */
static void test_bad_memory(void **state)
{
	char *gone = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char good[4096] = "";

	if (TSAN)
		skip(); /* it takes a signal handler that was left by a jump for one that still runs */
	guard_install();
	assert_ptr_not_equal(gone, MAP_FAILED);
	munmap(gone + 4096, 4096);
	map_page(0x1000, FAKE_MEM, T_RW);
	assert_int_equal(iotlb_access(t, 0x1000, gone + 4000, 200, false), -EIO);
	assert_int_equal(iotlb_access(t, 0x1000, gone + 4000, 200, true), -EIO);
	assert_int_equal(hw_iommu_fault_count(iommu), 0);
	bad_host = gone + 4096;
	access_fails(0x1000, 8, true, HW_IOMMU_FAULT_BUS, 0x1000);
	access_fails(0x1000, 8, false, HW_IOMMU_FAULT_BUS, 0x1000);
	bad_host = NULL;
	assert_int_equal(iotlb_access(t, 0x1000, good, sizeof(good), true), 0);
	munmap(gone, 4096);
}

static void test_iotlbs_come_and_go(void **state)
{
	struct iotlb *many[40], *first;
	struct iotlb_stats stats;
	u64 pa;

	map_page(0x1000, FAKE_MEM, T_RW);
	for (unsigned i = 0; i < 40; i++) {
		many[i] = iotlb_create(iommu, DEVID);
		assert_non_null(many[i]);
		assert_int_equal(iotlb_translate(many[i], 0x1000, true, true, &pa), 0);
	}
	tables[1][1] = 0;
	invalidate(0x1000, 1);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(iotlb_translate(many[i], 0x1000, true, false, &pa), -EFAULT);
	map_page(0x1000, FAKE_MEM, T_RW);
	assert_int_equal(iotlb_translate(many[0], 0x1000, true, true, &pa), 0);
	for (unsigned i = 0; i < 40; i++)
		iotlb_destroy(many[i]);
	map_page(0x1000, FAKE_MEM + 0x3000, T_RW);
	first = iotlb_create(iommu, DEVID); /* one of those again, and it remembers nothing */
	assert_int_equal(iotlb_translate(first, 0x1000, true, true, &pa), 0);
	assert_int_equal(pa, FAKE_MEM + 0x3000);
	iotlb_stats_get(first, &stats);
	assert_int_equal(stats.misses, 1);
	iotlb_destroy(first);
	iotlb_destroy(NULL);
}

/* ---- threads ---- */

#define SHARED_ROUNDS 20000

static void *sharer(void *arg)
{
	unsigned char buf[128];
	u64 iova = (uintptr_t)arg;

	for (unsigned i = 0; i < SHARED_ROUNDS; i++) {
		memset(buf, i, sizeof(buf));
		if (iotlb_access(t, iova, buf, sizeof(buf), true))
			return arg;
		memset(buf, ~i, sizeof(buf));
		if (iotlb_access(t, iova, buf, sizeof(buf), false))
			return arg;
		if (buf[0] != (unsigned char)i || buf[127] != (unsigned char)i)
			return arg;
	}
	return NULL;
}

/* Several threads on one iotlb, pages that collide in it, and somebody who invalidates all the time. */
static void test_shared_by_threads(void **state)
{
	static const u64 places[3] = { 0x40fe0, 0x410e0, 0x411e0 };
	pthread_t threads[3];
	void *ret;

	for (unsigned i = 0; i < 512; i++)
		map_page(i * 4096, FAKE_MEM + i * 4096, T_RW);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sharer, (void *)(uintptr_t)places[i]), 0);
	for (unsigned i = 0; i < 5000; i++)
		invalidate(0x40000 + i % 4 * 0x1000, 0x1000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &ret), 0);
		assert_null(ret);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_transfer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only_then_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_invalidate_large_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_invalidate_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables_are_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights_of_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device_moves_to_another_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_to_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iotlbs_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_by_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
