/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu_bench.c - what the IOMMU costs: translation, DMA against memcpy, map and unmap.
 *
 * Times are compared with yardsticks measured in the same run, a system call that does nothing
 * (getppid) and memcpy, so that a goal means the same on any machine.  One line a result:
 *
 *	name                               value unit   ratio  goal
 *
 * usage: iommu_bench [amd|intel]
 *
 * Goals are aims for a quiet machine, not test results: the exit status says only whether it ran.
 */
#include <inttypes.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hw/iommu/hw_iommu.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "machine/iommu_ops.h"

#define ROUNDS 7
#define DEVID 0x100
#define OTHER_MAPPINGS 60000u
#define POOL_BYTES (64ull << 20)
#define SMALL_IOVA 0x10000000ull
#define BIG_IOVA (1ull << 32)

static double getppid_ns, miss_ns;
static struct hw_iommu *hw;
static struct iommu_device *iommu;
static struct iommu_domain *domain;
static struct iotlb *iotlb;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Best of ROUNDS, in ns for each of @n runs. */
static double best_ns(unsigned n, void (*fn)(void *arg, unsigned i), void *arg)
{
	double best = 1e18;

	for (unsigned round = 0; round < ROUNDS; round++) {
		double start = now_ns(), ns;

		for (unsigned i = 0; i < n; i++)
			fn(arg, i);
		ns = (now_ns() - start) / n;
		best = min(best, ns);
	}
	return best;
}

static void report(const char *name, double value, const char *unit, double ratio, const char *of,
		   const char *goal)
{
	printf("%-34s %12.1f %-4s %8.3f %-9s %s\n", name, value, unit, ratio, of, goal);
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "iommu_bench: %s failed\n", what);
	exit(1);
}

/* ---- a bus with one program's memory in slot 1 ---- */

static void *bus_host_ptr(u64 pa)
{
	return pa >> PHYS_SLOT_SHIFT <= 1 ? (void *)(uintptr_t)(pa & PHYS_OFFSET_MASK) : NULL;
}

static int bus_none_read(u64 pa, void *buf, size_t len) { return -EFAULT; }
static int bus_none_write(u64 pa, const void *buf, size_t len) { return -EFAULT; }

static phys_addr_t phys_of(const void *p)
{
	return (1ull << PHYS_SLOT_SHIFT) | (uintptr_t)p;
}

static const struct hw_bus_ops bus = {
	.read = bus_none_read, .write = bus_none_write, .host_ptr = bus_host_ptr, .copy = guard_copy,
	.load64 = guard_load64, .cmpxchg64 = guard_cmpxchg64,
};

/* With huge pages if the machine gives any, so that page faults and TLB misses of the host stay out. */
static char *pool_new(u64 bytes)
{
	char *p = mmap(NULL, bytes + (2u << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED, "mmap");
	p = (char *)ALIGN_UP((uintptr_t)p, 2ul << 20);
	madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 1, bytes);
	return p;
}

/* ---- translation ---- */

struct walk {
	u64 iova;
	u64 stride, count; /* count: a power of two */
};

static void do_translate(void *arg, unsigned i)
{
	struct walk *w = arg;
	u64 pa;

	if (iotlb_translate(iotlb, w->iova + (i & (w->count - 1)) * w->stride, false, true, &pa))
		exit(1);
}

/* The same memory twice, in 2 MiB pages and, one page off, in 4 KiB pages. */
static void map_pool(char *pool)
{
	check(!iommu_map(domain, SMALL_IOVA, phys_of(pool + PAGE_SIZE), POOL_BYTES - PAGE_SIZE, 3), "map");
	check(!iommu_map(domain, BIG_IOVA, phys_of(pool), POOL_BYTES, 3), "map");
}

static void bench_translation(void)
{
	struct walk hit = { SMALL_IOVA, PAGE_SIZE, 64 };
	struct walk miss = { SMALL_IOVA, PAGE_SIZE, POOL_BYTES / PAGE_SIZE / 2 };
	struct walk big = { BIG_IOVA, PAGE_SIZE, POOL_BYTES / PAGE_SIZE };
	double ns;

	ns = best_ns(1000000, do_translate, &hit);
	report("translate, hit", ns, "ns", ns / getppid_ns, "getppid", "<= 10 ns");
	ns = miss_ns = best_ns(1000000, do_translate, &miss);
	report("translate, miss (4 KiB pages)", ns, "ns", ns / getppid_ns, "getppid", "<= 60 ns");
	ns = best_ns(1000000, do_translate, &big);
	report("translate, 64 MiB in 2 MiB pages", ns, "ns", ns / getppid_ns, "getppid", "<= 15 ns");
}

/* ---- two stages ---- */

#define GUEST_TABLES 0x4000000000ull /* guest addresses: of its tables, and of its memory */
#define GUEST_MEM 0x5000000000ull
#define GUEST_IOVA 0x40000000ull

/* A guest's tables for as many pages as the plain case has, by hand, at @tables: root, two below, lowest ones. */
static void guest_tables(u64 *tables, unsigned pages)
{
	u64 *low = tables + 3 * 512;

	tables[0] = 7 | (GUEST_TABLES + PAGE_SIZE);
	tables[512 + (GUEST_IOVA >> 30)] = 7 | (GUEST_TABLES + 2 * PAGE_SIZE);
	for (unsigned i = 0; i < pages / 512; i++)
		tables[1024 + i] = 7 | (GUEST_TABLES + (3 + i) * PAGE_SIZE);
	for (unsigned i = 0; i < pages; i++)
		low[i] = 7 | (GUEST_MEM + i * PAGE_SIZE);
}

/* An entry of AMD's device table as a guest writes it: its table of guest tables has one entry. */
static struct iommu_domain *nested_domain(struct iommu_device *unit, struct iommu_domain *parent, bool intel,
					  u64 *gcr3)
{
	const u64 at = GUEST_TABLES + (1u << 20);
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = GUEST_TABLES, .addr_width = 48 };
	struct iommu_hwpt_amd_guest dte = { .dte = { 3 | 3ull << 54 | (at >> 12 & 7) << 58,
						     (at >> 15 & 0xffff) << 16 | at >> 31 << 43 } };
	struct iommu_user_data data = { IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1) };

	*gcr3 = 1 | GUEST_TABLES;
	if (!intel)
		data = (struct iommu_user_data){ IOMMU_HWPT_DATA_AMD_GUEST, &dte, sizeof(dte) };
	return unit->ops->domain_alloc_nested(unit, NULL, parent, 0, &data);
}

/* Another unit of the same kind, with all features.  The second stage has 4 KiB pages, as in the plain case. */
static void bench_nested(bool intel, char *pool)
{
	const unsigned pages = POOL_BYTES / PAGE_SIZE / 2;
	struct walk miss = { GUEST_IOVA, PAGE_SIZE, pages };
	char *tables = pool_new(2u << 20);
	struct hw_iommu *hw2 = hw_iommu_create(&bus, intel ? &hw_iommu_vtd : &hw_iommu_amdv1);
	struct iommu_device *unit = intel ? intel_iommu_init("dmar1", &machine_iommu_hw_ops, hw2, 48, IOMMU_FULL) :
					    amd_iommu_init("ivhd1", &machine_iommu_hw_ops, hw2, 0x1000, IOMMU_FULL);
	struct iommu_domain *parent = unit->ops->domain_alloc_paging_flags(unit, NULL, IOMMU_ALLOC_NEST_PARENT, NULL);
	struct iommu_domain *nested;
	struct iotlb *plain = iotlb;
	double ns;

	check(!IS_ERR(parent), "the parent domain");
	memset(tables, 0, 2u << 20);
	guest_tables((u64 *)tables, pages);
	check(!iommu_map(parent, GUEST_TABLES, phys_of(tables), 2u << 20, 3), "map");
	check(!iommu_map(parent, GUEST_MEM, phys_of(pool + PAGE_SIZE), POOL_BYTES - PAGE_SIZE, 3), "map");
	nested = nested_domain(unit, parent, intel, (u64 *)(tables + (1u << 20)));
	check(!IS_ERR(nested), "the nested domain");
	check(!unit->ops->attach_dev(unit, nested, DEVID), "attach_dev");
	iotlb = iotlb_create(hw2, DEVID);
	ns = best_ns(1000000, do_translate, &miss);
	report("translate, miss in two stages", ns, "ns", ns / miss_ns, "one stage", "<= 4");
	iotlb_destroy(iotlb);
	iotlb = plain;
	(void)unit->ops->attach_dev(unit, &iommu_blocked_domain, DEVID);
	iommu_domain_free(nested);
	iommu_domain_free(parent);
	if (intel)
		intel_iommu_exit(unit);
	else
		amd_iommu_exit(unit);
	hw_iommu_destroy(hw2);
}

/* ---- DMA ---- */

struct transfer {
	u64 iova;
	char *program, *device;
	size_t len;
	bool write;
};

static void do_memcpy(void *arg, unsigned i)
{
	struct transfer *t = arg;

	memcpy(t->write ? t->program : t->device, t->write ? t->device : t->program, t->len);
	__asm__ volatile("" ::: "memory");
}

static void do_dma(void *arg, unsigned i)
{
	struct transfer *t = arg;

	if (iotlb_access(iotlb, t->iova, t->device, t->len, t->write))
		exit(1);
}

/* A cache without anything in it, as at the start of a program. */
static void iotlb_fresh(void)
{
	iotlb_destroy(iotlb);
	iotlb = iotlb_create(hw, DEVID);
	check(iotlb, "iotlb_create");
}

static void bench_dma(char *pool, char *device)
{
	static const struct { const char *name; size_t len; bool small; const char *goal; } cases[] = {
		{ "4 KiB", 4096, true, ">= 0.6" },
		{ "64 KiB", 65536, false, ">= 0.9" },
		{ "64 KiB in 4 KiB pages", 65536, true, ">= 0.9" },
		{ "2 MiB", 2u << 20, false, ">= 0.9" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		struct transfer t = { .device = device, .len = cases[i / 2].len, .write = i & 1 };
		unsigned n = (64u << 20) / t.len;
		double copy, dma;
		char name[64];

		iotlb_fresh();
		t.iova = cases[i / 2].small ? SMALL_IOVA : BIG_IOVA;
		t.program = cases[i / 2].small ? pool + PAGE_SIZE : pool;
		snprintf(name, sizeof(name), "DMA %s %s", t.write ? "write" : "read", cases[i / 2].name);
		copy = best_ns(n, do_memcpy, &t);
		dma = best_ns(n, do_dma, &t);
		report(name, dma, "ns", copy / dma, "memcpy", cases[i / 2].goal);
	}
}

/* ---- map and unmap ---- */

struct mapping {
	u64 iova, len;
	phys_addr_t phys;
};

static void do_map_unmap(void *arg, unsigned i)
{
	struct mapping *m = arg;

	if (iommu_map(domain, m->iova, m->phys, m->len, IOMMU_READ | IOMMU_WRITE))
		exit(1);
	if (iommu_unmap(domain, m->iova, m->len) != m->len)
		exit(1);
}

static void bench_one_map(const char *name, struct mapping *m, unsigned n, const char *goal)
{
	double ns = best_ns(n, do_map_unmap, m);

	report(name, ns, "ns", ns / getppid_ns, "getppid", goal);
}

static void bench_map(char *pool)
{
	struct mapping page = { 1ull << 36, PAGE_SIZE, phys_of(pool) };
	struct mapping big = { 1ull << 36, 2u << 20, phys_of(pool) };
	struct mapping odd = { (1ull << 36) + PAGE_SIZE, 1u << 30, phys_of(pool) };
	double ns;

	bench_one_map("map+unmap 4 KiB, full iotlb", &page, 1000000, "<= 60 ns");
	bench_one_map("map+unmap 2 MiB, full iotlb", &big, 200000, "-");
	iotlb_fresh();
	bench_one_map("map+unmap 4 KiB", &page, 1000000, "<= 60 ns");
	for (u64 i = 0; i < OTHER_MAPPINGS; i++)
		check(!iommu_map(domain, (1ull << 37) + i * PAGE_SIZE, phys_of(pool), PAGE_SIZE, 3), "map");
	page.iova = (1ull << 37) + OTHER_MAPPINGS * PAGE_SIZE;
	bench_one_map("map+unmap 4 KiB, 60000 others", &page, 1000000, "<= 60 ns");
	bench_one_map("map+unmap 2 MiB", &big, 1000000, "<= 60 ns");
	ns = best_ns(5, do_map_unmap, &odd) / (odd.len / PAGE_SIZE);
	report("map+unmap 1 GiB of 4 KiB pages", ns, "ns/p", ns / getppid_ns, "getppid", "<= 5 ns");
}

static void do_getppid(void *arg, unsigned i)
{
	sys_call(SYS_getppid, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	bool intel = argc > 1 && !strcmp(argv[1], "intel");
	char *pool = pool_new(POOL_BYTES), *device = pool_new(4u << 20);

	guard_install();
	getppid_ns = best_ns(200000, do_getppid, NULL);
	hw = hw_iommu_create(&bus, intel ? &hw_iommu_vtd : &hw_iommu_amdv1);
	check(hw, "hw_iommu_create");
	iommu = intel ? intel_iommu_init("dmar0", &machine_iommu_hw_ops, hw, 48, IOMMU_BASIC) :
			amd_iommu_init("ivhd0", &machine_iommu_hw_ops, hw, 0x10000, IOMMU_BASIC);
	check(!IS_ERR(iommu), "the unit's driver");
	domain = iommu->ops->domain_alloc_paging(iommu, NULL);
	check(!IS_ERR(domain), "domain_alloc_paging");
	check(!iommu->ops->attach_dev(iommu, domain, DEVID), "attach_dev");
	iotlb = iotlb_create(hw, DEVID);
	check(iotlb, "iotlb_create");

	printf("%-34s %12s %-4s %8s %-9s %s\n", "name", "value", "unit", "ratio", "of", "goal");
	report("getppid", getppid_ns, "ns", 1, "getppid", "-");
	map_pool(pool);
	bench_dma(pool, device);
	bench_translation();
	bench_nested(intel, pool);
	bench_map(pool);

	iotlb_destroy(iotlb);
	iommu_unmap(domain, 0, 1ull << 62);
	(void)iommu->ops->attach_dev(iommu, &iommu_blocked_domain, DEVID);
	iommu_domain_free(domain);
	if (intel)
		intel_iommu_exit(iommu);
	else
		amd_iommu_exit(iommu);
	hw_iommu_destroy(hw);
	return 0;
}
