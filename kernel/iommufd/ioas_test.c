/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioas_test.c - the ioctls of an I/O address space: first as Linux 7.2 answered without any page table,
 * then with page tables, files, and accesses.
 */
#include <sys/eventfd.h>

#include "kernel/iommufd/iommufd_rig_test.h"

#define PG PAGE_SIZE
#define MB (1ul << 20)
#define TOP UINT64_MAX

static char *mem; /* 4 MiB, aligned to 2 MiB */

/* ---- nothing attached ---- */

static void map_without_page_table(void **state)
{
	int fd = (int)t_works(t_open());
	u32 as = (u32)t_works(t_ioas_alloc(fd));
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .flags = T_FIXED | T_RW, .ioas_id = as,
				      .__reserved = 1, .user_va = (uintptr_t)mem, .length = PG };

	t_fails(t_map(fd, as, 0, mem, PG, 0), EINVAL);
	t_fails(t_map(fd, as, 8 | T_RD, mem, PG, 0), EOPNOTSUPP);
	t_fails(t_map(fd, as, T_FIXED, mem, PG, 0), EINVAL);
	t_fails(t_ioctl(fd, IOMMU_IOAS_MAP, &cmd), EOPNOTSUPP);
	t_fails(t_map(fd, 9999, T_RW, mem, PG, 0), ENOENT);
	t_fails(t_map(fd, as, T_FIXED | T_RW, mem, 0, 0), EINVAL);
	t_fails(t_map(fd, as, T_RW, mem, 0, 0), EINVAL);
	t_fails(t_map(fd, as, T_FIXED | T_RW, mem, 2 * PG, -PG), EOVERFLOW);
	t_fails(t_map(fd, as, T_FIXED | T_RW, (void *)-PG, 2 * PG, 0), EOVERFLOW);
	t_fails(t_map(fd, as, T_FIXED | T_RW, mem, PG, TOP), EOVERFLOW);
	t_fails(t_map(fd, as, T_FIXED | T_RW, mem, TOP, PG), EOVERFLOW);
	t_works(t_map(fd, as, T_FIXED | T_RW, mem + 3, 5, 0x10003));
	t_works(t_map(fd, as, T_FIXED | T_RW, mem + 3, 5, 0x20004));
	t_works(t_map(fd, as, T_FIXED | T_RW, (void *)PG, PG, 0x30000));
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, PG, -PG));
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, PG, 0xfee00000));
	t_fails(t_map(fd, as, T_FIXED | T_RW, mem, 2 * PG, 0xfee00000 - PG), EEXIST);
	t_works(t_map(fd, as, T_FIXED | T_WR, mem, PG, 0x40000));
	t_works(t_map(fd, as, T_RW, mem, PG, 0x123000));
	assert_int_equal(t_iova, 0x1000);
	t_works(t_map(fd, as, T_RW, mem, 2 * MB, 0));
	assert_int_equal(t_iova, 0x200000);
	t_works(t_map(fd, as, T_RW, mem, 1ull << 62, 0));
	t_works(t_unmap(fd, as, 0, TOP));
	assert_int_equal(t_unmapped, 0x400000000020500a);
	t_works(t_unmap(fd, as, 0, TOP));
	assert_int_equal(t_unmapped, 0);
	assert_int_equal(t_pins(mem), 0);
	t_close(fd);
}

static void unmap_without_page_table(void **state)
{
	int fd = (int)t_works(t_open());
	u32 as = (u32)t_works(t_ioas_alloc(fd));

	t_fails(t_unmap(fd, as, 0x100000, PG), ENOENT);
	assert_int_equal(t_unmapped, PG);
	t_fails(t_unmap(fd, as, 0x100000, 0), EINVAL);
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	t_fails(t_unmap(fd, as, -PG, 2 * PG), EOVERFLOW);
	t_works(t_unmap(fd, as, 0, TOP - 1));
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	t_fails(t_unmap(fd, as, 1, TOP), EOVERFLOW);
	t_fails(t_unmap(fd, as, 0x100000, PG), ENOENT);
	t_fails(t_unmap(fd, as, 0x101000, PG), ENOENT);
	t_fails(t_unmap(fd, as, 0x103000, PG), ENOENT);
	assert_int_equal(t_unmapped, PG);
	t_works(t_unmap(fd, as, 0xff000, 8 * PG));
	assert_int_equal(t_unmapped, 4 * PG);
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x104000));
	t_fails(t_unmap(fd, as, 0x100000, 6 * PG), ENOENT);
	assert_int_equal(t_unmapped, 6 * PG);
	t_works(t_unmap(fd, as, 0, TOP));
	assert_int_equal(t_unmapped, 4 * PG);
	t_fails(t_unmap(fd, 9999, 0, PG), ENOENT);
	t_close(fd);
}

static void copy_without_page_table(void **state)
{
	int fd = (int)t_works(t_open());
	u32 as = (u32)t_works(t_ioas_alloc(fd)), as2 = (u32)t_works(t_ioas_alloc(fd));

	t_works(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	t_works(t_map(fd, as, T_FIXED | T_RD, mem, 4 * PG, 0x104000));
	t_works(t_copy(fd, T_FIXED | T_RW, as2, 0x100000, as, 0x100000, 4 * PG));
	t_fails(t_copy(fd, T_FIXED | T_RW, as2, 0x100000, as, 0x100000, 4 * PG), EEXIST);
	t_works(t_copy(fd, T_FIXED | T_RW, as2, 0x200000, as, 0x101000, PG));
	t_fails(t_copy(fd, T_FIXED | T_RW, as2, 0x300000, as, 0x100000, 8 * PG), EPERM);
	t_works(t_copy(fd, T_FIXED | T_RD, as2, 0x400000, as, 0x100000, 8 * PG));
	t_fails(t_copy(fd, T_FIXED | T_RD, as2, 0x500000, as, 0x100000, 9 * PG), ENOENT);
	t_fails(t_copy(fd, T_FIXED | T_RD, as2, 0x500000, as, 0x900000, PG), ENOENT);
	t_fails(t_copy(fd, T_FIXED | T_RD, as2, 0x500000, as, 0x100000, 0), EINVAL);
	t_fails(t_copy(fd, 8 | T_RD, as2, 0x500000, as, 0x100000, PG), EOPNOTSUPP);
	t_fails(t_copy(fd, T_FIXED, as2, 0x500000, as, 0x100000, PG), EINVAL);
	t_fails(t_copy(fd, T_FIXED | T_RD, as2, 0x500000, 9999, 0x100000, PG), ENOENT);
	t_fails(t_copy(fd, T_FIXED | T_RD, 9999, 0x500000, as, 0x100000, PG), ENOENT);
	t_fails(t_copy(fd, T_FIXED | T_RD, as2, 0x500000, as, -PG, 2 * PG), EOVERFLOW);
	t_fails(t_copy(fd, T_FIXED | T_RD, as2, TOP, as, 0x100000, PG), EOVERFLOW);
	t_works(t_copy(fd, T_FIXED | T_RD, as, 0x500000, as, 0x100000, PG));
	t_works(t_copy(fd, T_RD, as, 0, as, 0x100000, PG));
	assert_int_equal(t_iova, 0x1000);
	/* A copy lives without what it was copied from. */
	t_works(t_destroy(fd, as));
	t_works(t_unmap(fd, as2, 0, TOP));
	assert_int_equal(t_unmapped, 13 * PG);
	t_close(fd);
}

static void files_without_page_table(void **state)
{
	int fd = (int)t_works(t_open()), memfd = memfd_create("x", 0), null = open("/dev/null", O_RDWR);
	int exe = open("/proc/self/exe", O_RDONLY), event = eventfd(0, 0);
	u32 as = (u32)t_works(t_ioas_alloc(fd));
	u64 at = 0x10000000;

	assert_int_equal(ftruncate(memfd, 4 * PG), 0);
	t_fails(t_map_file(fd, as, T_FIXED | T_RW, -1, 0, 4 * PG, at += MB), EBADF);
	t_fails(t_map_file(fd, as, T_FIXED | T_RW, 63, 0, 4 * PG, at += MB), EBADF);
	t_works(t_map_file(fd, as, T_FIXED | T_RW, null, 0, 4 * PG, at += MB));
	t_works(t_map_file(fd, as, T_FIXED | T_RW, exe, 0, 4 * PG, at += MB));
	t_works(t_map_file(fd, as, T_FIXED | T_RW, event, 0, 4 * PG, at += MB));
	t_works(t_map_file(fd, as, T_FIXED | T_RW, memfd, 0, 8 * PG, at += MB));
	t_works(t_map_file(fd, as, T_FIXED | T_RW, memfd, 0, 4 * PG, at += MB));
	t_fails(t_map_file(fd, as, T_FIXED | T_RW, memfd, 0, 4 * PG, at), EEXIST);
	t_works(t_map_file(fd, as, T_FIXED | T_RW, memfd, 1, PG, at += MB));
	t_fails(t_map_file(fd, as, T_FIXED | T_RW, memfd, -PG, 2 * PG, at += MB), EOVERFLOW);
	t_fails(t_map_file(fd, as, T_FIXED | T_RW, memfd, 0, 0, at += MB), EINVAL);
	t_fails(t_map_file(fd, as, 16, memfd, 0, PG, at += MB), EOPNOTSUPP);
	t_fails(t_map_file(fd, as, 0, memfd, 0, PG, 0), EINVAL);
	t_fails(t_map_file(fd, 9999, T_RW, memfd, 0, PG, 0), ENOENT);
	t_works(t_map_file(fd, as, T_RW, memfd, 0, 2 * MB, 0));
	assert_int_equal(t_iova, 2 * MB);
	t_works(t_map_file(fd, as, T_RW, memfd, 3 * PG, PG, 0));
	assert_int_equal(t_iova, PG);
	close(null);
	close(exe);
	close(event);
	close(memfd);
	t_close(fd);
}

static void ranges_without_page_table(void **state)
{
	int fd = (int)t_works(t_open());
	u32 as = (u32)t_works(t_ioas_alloc(fd));
	struct iommu_iova_range r[4] = { { 0 } };
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .ioas_id = as, .allowed_iovas = (uintptr_t)r };
	struct iommu_ioas_allow_iovas al = { .size = sizeof(al), .ioas_id = as, .__reserved = 1 };

	t_fails(t_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &q), EMSGSIZE);
	assert_int_equal(q.num_iovas, 1);
	assert_int_equal(q.out_iova_alignment, 1);
	assert_int_equal(r[0].last, 0);
	q.num_iovas = 4;
	t_works(t_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &q));
	assert_int_equal(q.num_iovas, 1);
	assert_int_equal(r[0].start, 0);
	assert_int_equal(r[0].last, TOP);
	q.__reserved = 1;
	t_fails(t_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &q), EOPNOTSUPP);
	q.__reserved = 0;
	q.num_iovas = 4;
	q.allowed_iovas = 8;
	t_fails(t_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &q), EFAULT);
	q.ioas_id = 9999;
	t_fails(t_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &q), ENOENT);

	r[0] = (struct iommu_iova_range){ 0x1000, 0x1fff };
	r[1] = (struct iommu_iova_range){ 0x1800, 0x2fff };
	t_fails(t_allow(fd, as, r, 2), EINVAL);
	r[0] = (struct iommu_iova_range){ 0x2000, 0x1fff };
	t_fails(t_allow(fd, as, r, 1), EINVAL);
	r[0] = (struct iommu_iova_range){ 0x2000, 0x2000 };
	t_fails(t_allow(fd, as, r, 1), EINVAL);
	t_fails(t_ioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &al), EOPNOTSUPP);
	t_fails(t_allow(fd, as, T_BAD, 1), EFAULT);
	t_fails(t_allow(fd, as, r, UINT32_MAX), EINVAL); /* the first is none already */
	t_fails(t_allow(fd, 9999, r, 1), ENOENT);
	r[0] = (struct iommu_iova_range){ 0x40000000, 0x40003fff };
	t_works(t_allow(fd, as, r, 1));
	t_works(t_map(fd, as, T_RW, mem, 4 * PG, 0));
	assert_int_equal(t_iova, 0x40000000);
	t_fails(t_map(fd, as, T_RW, mem, PG, 0), ENOSPC);
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, PG, 0x100000));
	/* Two, not in order: the lower is used first. */
	r[0] = (struct iommu_iova_range){ 0x90000000, 0x90000fff };
	r[1] = (struct iommu_iova_range){ 0x80000000, 0x80000fff };
	t_works(t_allow(fd, as, r, 2));
	t_works(t_map(fd, as, T_RW, mem, PG, 0));
	assert_int_equal(t_iova, 0x80000000);
	t_works(t_map(fd, as, T_RW, mem, PG, 0));
	assert_int_equal(t_iova, 0x90000000);
	t_fails(t_map(fd, as, T_RW, mem, PG, 0), ENOSPC);
	t_works(t_allow(fd, as, NULL, 0));
	t_works(t_map(fd, as, T_RW, mem, PG, 0));
	assert_int_equal(t_iova, 0x1000);
	t_close(fd);
}

/* Which IOVA Linux 7.3 chose, one after the other, for memory that is aligned so and so. */
static void chosen_iovas(void **state)
{
	static const struct { u64 va, len, want; } empty[] = {
		{ 3, 5, 0x1003 }, { 3, 5, 0x100b }, { 0x456, 0x1000, 0x1456 }, { 0x800, 0x1000, 0x2800 },
		{ 0xfff, 1, 0x3fff }, { 1, 0x10000, 0x4001 }, { 0, 1, 0x1000 }, { 0, 3, 0x1008 },
		{ 0, 0x300000, 0x200000 }, { 0x1000, 0x300000, 0x500000 },
	}, odd[] = {
		{ 0x456, 0x1000, 0x1003576 }, { 3, 5, 0x1003123 }, { 0x800, 0x800, 0x1004800 }, { 0, 1, 0x1003128 },
		{ 0, 2, 0x100312a },
	}, page[] = { { 0x800, 0x1000, 0 }, { 0x800, 0x800, 0x1003800 }, { 0x800, 0x400, 0 }, { 0, 0x800, 0x1003000 },
		      { 0, 0x10, 0 },
	}, two_bytes[] = { { 0, 1, 0x1003000 }, { 0, 1, 0 }, { 1, 1, 0 }, { 0, 2, 0 },
	}, top[] = { { 0, 0x1000, 0 }, { 0, 0x10, 0 },
	}, bottom[] = { { 0, 0x1000, 0x1000 }, { 0, 0x1000, 0 },
	}, sizes[] = { { 0, 1ull << 62, 0x200000 }, { 0, 1ull << 62, 0x4000000000200000 } };
	const struct { struct iommu_iova_range allowed; const void *rows; unsigned count; } tables[] = {
		{ { 0, 0 }, empty, ARRAY_SIZE(empty) }, { { 0x1003123, 0x10ffffff }, odd, ARRAY_SIZE(odd) },
		{ { 0x1003000, 0x1003fff }, page, ARRAY_SIZE(page) },
		{ { 0x1003000, 0x1003001 }, two_bytes, ARRAY_SIZE(two_bytes) }, { { -PG, TOP }, top, ARRAY_SIZE(top) },
		{ { 0, 0x1fff }, bottom, ARRAY_SIZE(bottom) }, { { 0, 0 }, sizes, ARRAY_SIZE(sizes) },
	};
	char *base = (char *)0x7f0000000000;
	int fd = (int)t_works(t_open());

	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct { u64 va, len, want; } *row = tables[i].rows;
		u32 as = (u32)t_works(t_ioas_alloc(fd));

		if (tables[i].allowed.last)
			t_works(t_allow(fd, as, &tables[i].allowed, 1));
		for (unsigned k = 0; k < tables[i].count; k++, row++) {
			if (!row->want) {
				t_fails(t_map(fd, as, T_RW, base + row->va, row->len, 0), ENOSPC);
				continue;
			}
			t_works(t_map(fd, as, T_RW, base + row->va, row->len, 0));
			if (t_iova != row->want)
				fprintf(stderr, "table %u, row %u: %#llx\n", i, k, (unsigned long long)t_iova);
			assert_int_equal(t_iova, row->want);
		}
	}
	t_fails(t_map(fd, 1, T_RW, base, (1ull << 63) - 1, 0), EOVERFLOW);
	t_close(fd);
}

static void options(void **state)
{
	int fd = (int)t_works(t_open()), fresh = (int)t_works(t_open());
	u32 as = (u32)t_works(t_ioas_alloc(fd));
	struct iommu_option reserved = { .size = sizeof(reserved), .__reserved = 1 };

	t_fails(t_option(fd, 7, IOMMU_OPTION_OP_SET, 0, 0), EOPNOTSUPP);
	t_fails(t_ioctl(fd, IOMMU_OPTION, &reserved), EOPNOTSUPP);
	t_works(t_option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, 5));
	assert_int_equal(t_value, 0);
	t_fails(t_option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, as, 0), EOPNOTSUPP);
	t_fails(t_option(fd, IOMMU_OPTION_RLIMIT_MODE, 5, 0, 0), EOPNOTSUPP);
	t_fails(t_option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1), EBUSY);
	t_fails(t_option(fresh, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 2), EINVAL);
	t_works(t_option(fresh, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1));
	t_works(t_option(fresh, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, 0));
	assert_int_equal(t_value, 1);

	t_works(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, as, 0));
	assert_int_equal(t_value, 1);
	t_fails(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, 2), EINVAL);
	t_fails(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 9999, 0), ENOENT);
	t_fails(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 0, 0), ENOENT);
	t_fails(t_option(fd, IOMMU_OPTION_HUGE_PAGES, 5, as, 0), EOPNOTSUPP);
	/* Without large pages a mapping is of whole pages. */
	t_works(t_map(fd, as, T_FIXED | T_RW, mem + 3, 5, 0x10003));
	t_fails(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, 0), EADDRINUSE);
	t_works(t_unmap(fd, as, 0, TOP));
	t_works(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, 0));
	t_works(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, 0));
	t_fails(t_map(fd, as, T_FIXED | T_RW, mem + 3, 5, 0x10003), EINVAL);
	t_works(t_map(fd, as, T_FIXED | T_RW, mem, PG, 0x10000));
	t_works(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, as, 9));
	assert_int_equal(t_value, 0);
	t_works(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, 1));
	t_works(t_map(fd, as, T_FIXED | T_RW, mem + 3, 5, 0x20003));
	t_close(fresh);
	t_close(fd);
}

/* ---- with page tables ---- */

struct world {
	int fd;
	u32 as;
	struct io_pagetable *iopt;
};

static struct world begin(void)
{
	struct world w = { .fd = (int)t_works(t_open()) };

	w.as = (u32)t_works(t_ioas_alloc(w.fd));
	w.iopt = t_iopt(w.fd, w.as);
	return w;
}

static struct iommu_domain *real_domain(void)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(&t_dev[0]);

	assert_false(IS_ERR(domain));
	return domain;
}

static void a_domain_comes_and_goes(void **state)
{
	struct world w = begin();
	struct iommu_domain *domain = real_domain(), *second = real_domain();

	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	assert_int_equal(t_pins(mem), 0);
	t_works(iopt_table_add_domain(w.iopt, domain));
	assert_int_equal(t_pins(mem), 1);
	assert_int_equal(t_pins(mem + 4 * PG), 0);
	assert_ptr_equal(t_leads_to(domain, 0x103004), mem + 3 * PG + 4);
	assert_null(t_leads_to(domain, 0x104000));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RD, mem + 8 * PG, PG, 0x200000));
	t_works(iopt_table_add_domain(w.iopt, second));
	assert_int_equal(t_pins(mem), 1); /* once, however many page tables */
	assert_ptr_equal(t_leads_to(second, 0x103004), mem + 3 * PG + 4);
	assert_ptr_equal(t_leads_to(second, 0x200000), mem + 8 * PG);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x300000));
	assert_int_equal(t_pins(mem), 2); /* mapped anew: another pin */
	t_works(t_unmap(w.fd, w.as, 0x300000, PG));
	assert_int_equal(t_pins(mem), 1);
	assert_null(t_leads_to(domain, 0x300000));
	iopt_table_remove_domain(w.iopt, domain);
	assert_null(t_leads_to(domain, 0x100000));
	assert_ptr_equal(t_leads_to(second, 0x100000), mem);
	assert_int_equal(t_pins(mem), 1);
	iopt_table_remove_domain(w.iopt, second);
	assert_int_equal(t_pins(mem), 0);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 3, 5, 0x10003)); /* anything goes again */
	iommu_domain_free(domain);
	iommu_domain_free(second);
	t_close(w.fd);
}

static void a_domain_is_refused(void **state)
{
	struct world w = begin();
	struct iommu_domain *domain = real_domain(), *flat = t_flat();
	struct iommu_iova_range r = { 0xfe000000, 0xffffffff };
	char *hole = t_memory(2 * PG);

	munmap(hole + PG, PG);
	/* Memory that is not there, all of it or the second half. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x1000000));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, hole, 2 * PG, 0x1100000));
	t_fails(iopt_table_add_domain(w.iopt, domain), EFAULT);
	assert_int_equal(t_pins(mem), 0);
	assert_null(t_leads_to(domain, 0x1000000));
	assert_int_equal(w.iopt->iova_alignment, 1);
	t_works(t_unmap(w.fd, w.as, 0x1100000, 2 * PG));
	/* Alignment of iova, of length, and of the memory. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x1200001));
	t_fails(iopt_table_add_domain(w.iopt, domain), EADDRINUSE);
	t_works(t_unmap(w.fd, w.as, 0x1200001, PG));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG + 1, 0x1200000));
	t_fails(iopt_table_add_domain(w.iopt, domain), EADDRINUSE);
	t_works(t_unmap(w.fd, w.as, 0x1200000, PG + 1));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 2048, PG, 0x1200000));
	t_fails(iopt_table_add_domain(w.iopt, domain), EADDRINUSE);
	t_works(iopt_table_add_domain(w.iopt, flat)); /* whose pages have 2 KiB */
	assert_ptr_equal(t_leads_to(flat, 0x1200000), mem + 2048);
	assert_ptr_equal(t_leads_to(flat, 0x12007ff), mem + 2048 + 2047);
	assert_ptr_equal(t_leads_to(flat, 0x1200800), mem + PG);
	assert_int_equal(t_pins(mem), 2);
	assert_int_equal(t_pins(mem + PG), 1);
	iopt_table_remove_domain(w.iopt, flat);
	t_works(t_unmap(w.fd, w.as, 0x1200000, PG));
	/* Beyond what the domain translates: a mapping, then a promise. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x10000));
	t_fails(iopt_table_add_domain(w.iopt, flat), EADDRINUSE);
	t_works(t_unmap(w.fd, w.as, 0x10000, PG));
	t_works(t_allow(w.fd, w.as, &r, 1));
	t_fails(iopt_table_add_domain(w.iopt, flat), EADDRINUSE);
	t_works(t_allow(w.fd, w.as, NULL, 0));
	/* The page table says no. */
	t_to_flat(flat)->fail_in = 1;
	t_fails(iopt_table_add_domain(w.iopt, flat), ENOMEM);
	assert_int_equal(t_pins(mem), 0);
	assert_true(TAILQ_EMPTY(&w.iopt->reserved));
	t_works(iopt_table_add_domain(w.iopt, flat));
	iopt_table_remove_domain(w.iopt, flat);
	iommu_domain_free(domain);
	iommu_domain_free(flat);
	t_close(w.fd);
}

static void map_with_page_table(void **state)
{
	struct world w = begin();
	struct iommu_domain *flat = t_flat();
	struct iommu_iova_range r[4];
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .ioas_id = w.as, .num_iovas = 4,
					    .allowed_iovas = (uintptr_t)r };
	char *hole = t_memory(2 * PG), *readonly = t_memory(PG);

	munmap(hole + PG, PG);
	mprotect(readonly, PG, PROT_READ);
	t_works(iopt_table_add_domain(w.iopt, flat));
	t_works(t_ioctl(w.fd, IOMMU_IOAS_IOVA_RANGES, &q));
	assert_int_equal(q.num_iovas, 1);
	assert_int_equal(q.out_iova_alignment, 2048);
	assert_int_equal(r[0].start, T_FLAT_START);
	assert_int_equal(r[0].last, T_FLAT_LAST);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_START - PG), EINVAL);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_LAST + 1), EINVAL);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_START + 1), EINVAL);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG + 1, T_FLAT_START), EINVAL);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 1, PG, T_FLAT_START), EINVAL);
	t_fails(t_map(w.fd, w.as, T_RW, mem + 1, PG, 0), EINVAL);
	t_fails(t_map(w.fd, w.as, T_RW, mem, PG + 1, 0), EINVAL);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, hole, 2 * PG, T_FLAT_START), EFAULT);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, (void *)PG, PG, T_FLAT_START), EFAULT);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, (void *)(1ull << 60), PG, T_FLAT_START), EFAULT);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, readonly, PG, T_FLAT_START), EFAULT);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RD, readonly, PG, T_FLAT_START));
	t_works(t_unmap(w.fd, w.as, T_FLAT_START, PG));
	assert_int_equal(t_to_flat(flat)->nr_mapped, 0);
	assert_int_equal(t_pins(hole), 0);
	t_works(t_map(w.fd, w.as, T_RW, mem, PG, 0));
	assert_int_equal(t_iova, T_FLAT_START);
	t_works(t_map(w.fd, w.as, T_RW, mem + PG, 2 * PG, 0));
	assert_int_equal(t_iova, T_FLAT_START + PG);
	t_works(t_map(w.fd, w.as, T_RW, mem, MB, 0));
	assert_int_equal(t_iova, T_FLAT_START + MB);
	t_fails(t_map(w.fd, w.as, T_RW, mem, 8 * MB, 0), ENOSPC);
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	/* Disabling large pages comes before the first mapping in a page table. */
	t_works(t_map(w.fd, w.as, T_RW, mem, PG, 0));
	t_fails(t_option(w.fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, w.as, 0), EINVAL);
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	t_works(t_option(w.fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, w.as, 0));
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_START + 2048), EINVAL);
	t_to_flat(flat)->fail_in = 3; /* page by page now: two are in when the third fails */
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, T_FLAT_START), ENOMEM);
	assert_int_equal(t_to_flat(flat)->nr_mapped, 0);
	assert_int_equal(t_pins(mem), 0);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, T_FLAT_START));
	iopt_table_remove_domain(w.iopt, flat);
	iommu_domain_free(flat);
	t_close(w.fd);
}

static void one_of_two_domains_fails(void **state)
{
	struct world w = begin();
	struct iommu_domain *a = t_flat(), *b = t_flat();

	t_works(iopt_table_add_domain(w.iopt, a));
	t_works(iopt_table_add_domain(w.iopt, b));
	t_to_flat(b)->fail_in = 1;
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_START), ENOMEM);
	assert_int_equal(t_to_flat(a)->nr_mapped, 0);
	assert_int_equal(t_pins(mem), 0);
	/* Of a copy of two pieces the second: the first goes too. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_START));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 8 * PG, PG, T_FLAT_START + PG));
	t_to_flat(b)->fail_in = 2;
	t_fails(t_copy(w.fd, T_FIXED | T_RW, w.as, T_FLAT_START + MB, w.as, T_FLAT_START, 2 * PG), ENOMEM);
	assert_int_equal(t_to_flat(a)->nr_mapped, 4);
	assert_int_equal(t_to_flat(b)->nr_mapped, 4);
	assert_int_equal(t_pins(mem), 1);
	t_works(t_copy(w.fd, T_FIXED | T_RW, w.as, T_FLAT_START + MB, w.as, T_FLAT_START, 2 * PG));
	assert_int_equal(t_pins(mem), 1); /* a copy shares the pin */
	assert_int_equal(t_pins(mem + 8 * PG), 1);
	t_works(t_unmap(w.fd, w.as, T_FLAT_START, PG));
	assert_int_equal(t_pins(mem), 1);
	t_works(t_unmap(w.fd, w.as, T_FLAT_START + MB, PG));
	assert_int_equal(t_pins(mem), 0);
	iopt_table_remove_domain(w.iopt, a);
	iopt_table_remove_domain(w.iopt, b);
	iommu_domain_free(a);
	iommu_domain_free(b);
	t_close(w.fd);
}

static void parts_of_memory_are_pinned_once(void **state)
{
	struct world w = begin();
	u32 as2 = (u32)t_works(t_ioas_alloc(w.fd));
	struct io_pagetable *iopt2 = t_iopt(w.fd, as2);
	struct iommu_domain *a = t_flat(), *b = t_flat();

	/* Ten pages in the one, of which 3..5 are in the other too. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 10 * PG, T_FLAT_START));
	t_works(t_copy(w.fd, T_FIXED | T_RW, as2, T_FLAT_START, w.as, T_FLAT_START + 3 * PG, 3 * PG));
	t_works(iopt_table_add_domain(iopt2, b));
	assert_int_equal(t_pins(mem + 2 * PG), 0);
	assert_int_equal(t_pins(mem + 3 * PG), 1);
	assert_int_equal(t_pins(mem + 5 * PG), 1);
	assert_int_equal(t_pins(mem + 6 * PG), 0);
	t_works(iopt_table_add_domain(w.iopt, a));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(t_pins(mem + i * PG), 1);
		assert_ptr_equal(t_leads_to(a, T_FLAT_START + i * PG), mem + i * PG);
	}
	/* The small one goes, and comes again into what is pinned as a whole. */
	iopt_table_remove_domain(iopt2, b);
	assert_int_equal(t_pins(mem + 4 * PG), 1);
	t_works(t_unmap(w.fd, as2, 0, TOP));
	iopt_table_remove_domain(w.iopt, a);
	assert_int_equal(t_pins(mem + 4 * PG), 0);
	t_works(iopt_table_add_domain(w.iopt, a));
	t_works(iopt_table_add_domain(iopt2, b));
	t_works(t_copy(w.fd, T_FIXED | T_RW, as2, T_FLAT_START, w.as, T_FLAT_START + 3 * PG, 3 * PG));
	assert_int_equal(t_pins(mem + 4 * PG), 1);
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	for (int i = 0; i < 10; i++)
		assert_int_equal(t_pins(mem + i * PG), i >= 3 && i <= 5);
	assert_ptr_equal(t_leads_to(b, T_FLAT_START + 2 * PG), mem + 5 * PG);
	iopt_table_remove_domain(w.iopt, a);
	iopt_table_remove_domain(iopt2, b);
	assert_int_equal(t_pins(mem + 4 * PG), 0);
	iommu_domain_free(a);
	iommu_domain_free(b);
	t_close(w.fd);
}

static void reserved_ranges(void **state)
{
	struct world w = begin();
	struct iommu_iova_range r[8], promise = { 0x5000000, 0x5ffffff };
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .ioas_id = w.as, .num_iovas = 8,
					    .allowed_iovas = (uintptr_t)r };
	int me, you;

	t_fails(iopt_reserve_iova(w.iopt, 2, 1, &me), EINVAL);
	t_works(iopt_reserve_iova(w.iopt, 0x2000000, 0x2ffffff, &me));
	t_works(iopt_reserve_iova(w.iopt, 0x2800000, 0x3ffffff, &you)); /* they may overlap */
	t_works(iopt_reserve_iova(w.iopt, 0, 0xfff, &me));
	t_works(iopt_reserve_iova(w.iopt, TOP - 0xfff, TOP, &you));
	t_works(t_ioctl(w.fd, IOMMU_IOAS_IOVA_RANGES, &q));
	assert_int_equal(q.num_iovas, 2);
	assert_int_equal(r[0].start, 0x1000);
	assert_int_equal(r[0].last, 0x1ffffff);
	assert_int_equal(r[1].start, 0x4000000);
	assert_int_equal(r[1].last, TOP - 0x1000);
	q.num_iovas = 1;
	t_fails(t_ioctl(w.fd, IOMMU_IOAS_IOVA_RANGES, &q), EMSGSIZE);
	assert_int_equal(q.num_iovas, 2);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x2fff000), EINVAL);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0), EINVAL);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x1fff000));
	t_fails(iopt_reserve_iova(w.iopt, 0x1fffff0, 0x1fffff0, &me), EADDRINUSE);
	t_works(t_allow(w.fd, w.as, &promise, 1));
	t_fails(iopt_reserve_iova(w.iopt, 0x5ffffff, 0x7000000, &me), EADDRINUSE);
	promise = (struct iommu_iova_range){ 0x1f00000, 0x2000000 };
	t_fails(t_allow(w.fd, w.as, &promise, 1), EADDRINUSE);
	/* What was promised before still is. */
	t_works(t_map(w.fd, w.as, T_RW, mem, PG, 0));
	assert_int_equal(t_iova, 0x5000000);
	iopt_remove_reserved_iova(w.iopt, &me);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x2fff000), EINVAL);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x2000000));
	iopt_remove_reserved_iova(w.iopt, &you);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x2fff000));
	t_close(w.fd);
}

static void regions_of_a_device(void **state)
{
	struct world w = begin();
	u64 sw_msi = 7;

	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0xfee00000));
	t_fails(iopt_table_enforce_dev_resv_regions(w.iopt, &t_dev[0], NULL), EADDRINUSE);
	assert_true(TAILQ_EMPTY(&w.iopt->reserved));
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	t_works(iopt_table_enforce_dev_resv_regions(w.iopt, &t_dev[0], &sw_msi));
	assert_int_equal(sw_msi, 7); /* x86 has none */
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0xfee00000), EINVAL);
	iopt_remove_reserved_iova(w.iopt, &t_dev[0]);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0xfee00000));
	t_close(w.fd);
}

/* What random calls showed of Linux 7.3.4 (tests/conformance/ioas.c). */
static void neighbours_and_order(void **state)
{
	static const struct iommu_iova_range halves[] = { { 0x10000, 0x10fff }, { 0x11000, 0x12fff } };
	struct world w = begin();

	/* Allowed ranges side by side are one. */
	t_works(t_allow(w.fd, w.as, halves, 2));
	t_works(t_map(w.fd, w.as, T_RW, mem, 3 * PG, 0));
	assert_int_equal(t_iova, 0x10000);
	t_works(t_allow(w.fd, w.as, NULL, 0));

	/* That the place is taken is said before what is wrong with the memory, but 2^64-1 before all. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RD, mem, PG, 0x20000));
	t_fails(t_copy(w.fd, T_FIXED | T_WR, w.as, 0x10000, w.as, 0x20000, PG), EEXIST);
	t_fails(t_copy(w.fd, T_FIXED | T_WR, w.as, 0x30000, w.as, 0x20000, PG), EPERM);
	t_works(iopt_disable_large_pages(w.iopt));
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 1, PG, 0x10000), EEXIST);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 1, PG, 0x30000), EINVAL);
	t_fails(t_copy(w.fd, T_FIXED, w.as, 0x30000, w.as, TOP, PG), EOVERFLOW);
	t_fails(t_copy(w.fd, T_FIXED | T_RD, w.as, 0x30000, 9999, TOP, 0), EOVERFLOW);
	t_close(w.fd);
}

static void sw_msi_window(struct iommu_device *unit, struct device *dev,
			  void (*add)(void *arg, const struct iommu_resv_region *), void *arg)
{
	static const struct iommu_resv_region window = { 0x8000000, 0x80fffff, IOMMU_RESV_SW_MSI };

	(void)unit;
	(void)dev;
	add(arg, &window);
}

/* A unit that translates what devices send to an interrupt controller, as an ARM's does: a window for that is kept free. */
static void sw_msi_of_a_device(void **state)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(&t_dev[0]);
	struct iommu_device *unit = domain->iommu;
	const struct iommu_device_ops *const x86 = unit->ops;
	struct iommu_device_ops ops = *x86;
	struct iommu_iova_range r[3];
	struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges), .num_iovas = 3, .allowed_iovas = (uintptr_t)r };
	struct world w = begin();
	u64 sw_msi = 0;

	iommu_domain_free(domain);
	ops.get_resv_regions = sw_msi_window;
	unit->ops = &ops;
	t_works(iopt_table_enforce_dev_resv_regions(w.iopt, &t_dev[0], &sw_msi));
	unit->ops = x86;
	assert_int_equal(sw_msi, 0x8000000);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x80ff000), EINVAL);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, 0x8100000));
	ranges.ioas_id = w.as;
	t_works(t_ioctl(w.fd, IOMMU_IOAS_IOVA_RANGES, &ranges));
	assert_int_equal(ranges.num_iovas, 2);
	assert_int_equal(r[0].last, 0x7ffffff);
	assert_int_equal(r[1].start, 0x8100000);
	iopt_remove_reserved_iova(w.iopt, &t_dev[0]);
	t_close(w.fd);
}

static void files_with_page_table(void **state)
{
	struct world w = begin();
	struct iommu_domain *flat = t_flat();
	int memfd = memfd_create("x", MFD_ALLOW_SEALING), null = open("/dev/null", O_RDWR), seen;
	char *at, name[64];

	assert_int_equal(ftruncate(memfd, 4 * PG), 0);
	t_works(iopt_table_add_domain(w.iopt, flat));
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, null, 0, PG, T_FLAT_START), EINVAL);
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, memfd, 0, 5 * PG, T_FLAT_START), EINVAL);
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, memfd, 1, PG, T_FLAT_START), EINVAL);
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, memfd, PG, 3 * PG, T_FLAT_START));
	assert_int_equal(pwrite(memfd, "file", 4, 2 * PG), 4);
	at = t_leads_to(flat, T_FLAT_START + PG);
	assert_non_null(at);
	assert_memory_equal(at, "file", 4);
	memcpy(at + 8, "device", 6);
	seen = dup(memfd);
	close(memfd); /* ours is its own */
	char text[6];
	assert_int_equal(pread(seen, text, 6, 2 * PG + 8), 6);
	assert_memory_equal(text, "device", 6);
	/* A copy shares pages and mapping; the last takes both along. */
	t_works(t_copy(w.fd, T_FIXED | T_RW, w.as, T_FLAT_START + MB, w.as, T_FLAT_START + PG, PG));
	t_works(t_unmap(w.fd, w.as, T_FLAT_START, 3 * PG));
	assert_ptr_equal(t_leads_to(flat, T_FLAT_START + MB), at);
	assert_int_equal(t_pins(at), 1);
	assert_int_equal(t_pins(at + PG), 0);
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	assert_int_equal(t_pins(at), 0);
	/* A sealed file may be read. */
	assert_int_equal(fcntl(seen, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RD, seen, 0, PG, T_FLAT_START));
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, seen, 0, PG, T_FLAT_START + PG));
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	/* Only whole pages that are there; and a descriptor's access mode is not the device's. */
	close(seen);
	memfd = memfd_create("y", 0);
	assert_int_equal(ftruncate(memfd, 2 * PG + 100), 0);
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, memfd, PG, 2 * PG, T_FLAT_START), EINVAL);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", memfd);
	seen = open(name, O_RDONLY);
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, seen, 0, PG, T_FLAT_START));
	memcpy(t_leads_to(flat, T_FLAT_START), "written", 7);
	assert_int_equal(pread(memfd, name, 7, 0), 7);
	assert_memory_equal(name, "written", 7);
	close(memfd);
	iopt_table_remove_domain(w.iopt, flat);
	iommu_domain_free(flat);
	close(seen);
	close(null);
	t_close(w.fd);
}

static void no_bars(void **state)
{
	struct world w = begin();
	struct iommu_domain *flat = t_flat();
	struct vm_area *vma = vma_alloc(NULL, (uintptr_t)mem, PG, 0, PROT_READ | PROT_WRITE);

	vma_insert(mm_self(), vma);
	t_works(iopt_table_add_domain(w.iopt, flat));
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, PG, T_FLAT_START), EFAULT);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + PG, PG, T_FLAT_START));
	assert_int_equal(vma_remove(mm_self(), (uintptr_t)mem, PG), 0);
	iopt_table_remove_domain(w.iopt, flat);
	iommu_domain_free(flat);
	t_close(w.fd);
}

static void cuts(void **state)
{
	struct world w = begin();
	struct iommu_domain *domain = real_domain();
	u64 at[2] = { 0x101fff, 0x100fff }, bytes;

	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	t_works(iopt_table_add_domain(w.iopt, domain));
	t_fails(iopt_cut_iova(w.iopt, at, 2), EINVAL); /* it may have a large page */
	iopt_table_remove_domain(w.iopt, domain);
	t_works(iopt_disable_large_pages(w.iopt));
	t_works(iopt_table_add_domain(w.iopt, domain));
	at[0]--;
	t_fails(iopt_cut_iova(w.iopt, at, 1), EINVAL);
	at[0] = 0x100000;
	t_works(iopt_cut_iova(w.iopt, at, 1)); /* the first byte: left as it is */
	t_fails(iopt_unmap_iova(w.iopt, 0x100000, 1, &bytes), ENOENT);
	at[0] = 0x101fff;
	t_works(iopt_cut_iova(w.iopt, at, 2));
	t_works(iopt_cut_iova(w.iopt, at, 2)); /* nothing to do */
	assert_int_equal(t_pins(mem), 1);
	t_works(iopt_unmap_iova(w.iopt, 0x101000, PG, &bytes));
	assert_int_equal(bytes, PG);
	assert_null(t_leads_to(domain, 0x101000));
	assert_ptr_equal(t_leads_to(domain, 0x100fff), mem + PG - 1);
	assert_ptr_equal(t_leads_to(domain, 0x102000), mem + 2 * PG);
	assert_int_equal(t_pins(mem), 1);
	assert_int_equal(t_pins(mem + PG), 0); /* let go by itself */
	assert_int_equal(t_pins(mem + 3 * PG), 1);
	t_works(t_unmap(w.fd, w.as, 0x100000, 4 * PG));
	assert_int_equal(t_unmapped, 3 * PG);
	assert_int_equal(t_pins(mem), 0);
	iopt_table_remove_domain(w.iopt, domain);
	iommu_domain_free(domain);
	t_close(w.fd);
}

/* ---- accounts ---- */

static void accounts(void **state)
{
	int by_process = (int)t_works(t_open());
	struct world w = begin();
	struct iommu_domain *a = real_domain(), *b = real_domain();
	struct mm *mm = mm_self();
	u64 pinned = pinned_vm_pages(mm), locked = locked_vm_pages(mm);
	u32 as;

	/* The user's account: pinned once, counted once; unattached, not at all. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, 0x100000));
	t_works(t_copy(w.fd, T_FIXED | T_RW, w.as, 0x200000, w.as, 0x100000, 4 * PG));
	assert_int_equal(pinned_vm_pages(mm), pinned);
	t_works(iopt_table_add_domain(w.iopt, a));
	assert_int_equal(pinned_vm_pages(mm), pinned + 4);
	assert_int_equal(locked_vm_pages(mm), locked);
	/* ... and limited. */
	locked_vm_set_limit(8 * PG);
	t_fails(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 5 * PG, 0x300000), ENOMEM);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, 0x300000));
	t_works(t_unmap(w.fd, w.as, 0x300000, 4 * PG));

	/* The process' account is another. */
	t_works(t_option(by_process, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1));
	as = (u32)t_works(t_ioas_alloc(by_process));
	t_works(t_map(by_process, as, T_FIXED | T_RW, mem, 8 * PG, 0x100000));
	t_works(iopt_table_add_domain(t_iopt(by_process, as), b));
	assert_int_equal(locked_vm_pages(mm), locked + 8);
	assert_int_equal(pinned_vm_pages(mm), pinned + 12);
	locked_vm_set_limit(LOCKED_VM_UNLIMITED);
	iopt_table_remove_domain(w.iopt, a);
	iopt_table_remove_domain(t_iopt(by_process, as), b);
	assert_int_equal(locked_vm_pages(mm), locked);
	assert_int_equal(pinned_vm_pages(mm), pinned);
	iommu_domain_free(a);
	iommu_domain_free(b);
	t_close(w.fd);
	t_close(by_process);
}

static void change_process(void **state)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd), .__reserved = 1 };
	int memfd = memfd_create("x", 0);
	struct world w = begin();
	struct iommu_domain *flat = t_flat();
	u32 as2 = (u32)t_works(t_ioas_alloc(w.fd));
	u64 pinned = pinned_vm_pages(mm_self());

	assert_int_equal(ftruncate(memfd, 4 * PG), 0);
	t_fails(t_ioctl(w.fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd), EOPNOTSUPP);
	cmd.__reserved = 0;
	t_works(t_ioctl(w.fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	t_works(iopt_table_add_domain(w.iopt, flat));
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, memfd, 0, 4 * PG, T_FLAT_START));
	t_works(t_ioctl(w.fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	assert_int_equal(pinned_vm_pages(mm_self()), pinned + 4);
	t_works(t_map(w.fd, as2, T_FIXED | T_RW, mem, PG, 0x100000));
	t_fails(t_ioctl(w.fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd), EINVAL);
	assert_int_equal(pinned_vm_pages(mm_self()), pinned + 4);
	iopt_table_remove_domain(w.iopt, flat);
	assert_int_equal(pinned_vm_pages(mm_self()), pinned);
	iommu_domain_free(flat);
	close(memfd);
	t_close(w.fd);
}

/* ---- accesses ---- */

struct pinner {
	struct iopt_access access;
	struct io_pagetable *iopt;
	u64 iova, len;	/* pinned; 0: nothing */
	unsigned calls;
	bool stubborn;
};

static void pinner_unmap(struct iopt_access *access, u64 iova, u64 len)
{
	struct pinner *p = container_of(access, struct pinner, access);

	p->calls++;
	if (p->stubborn || !p->len || p->iova + p->len - 1 < iova || p->iova > iova + len - 1)
		return;
	iopt_unpin_pages(p->iopt, p->iova, p->len, false);
	p->len = 0;
}

static void accesses_pin(void **state)
{
	struct world w = begin();
	struct pinner p = { .access = { .iova_alignment = PG, .unmap = pinner_unmap }, .iopt = w.iopt };
	struct iommu_domain *flat = t_flat();
	phys_addr_t phys[4];
	u64 bytes;

	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 2048, PG, 0x1000000));
	t_fails(iopt_add_access(w.iopt, &p.access), EADDRINUSE);
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	t_works(iopt_add_access(w.iopt, &p.access));
	assert_int_equal(w.iopt->iova_alignment, PG);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, 0x1000000));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RD, mem + 8 * PG, 4 * PG, 0x1004000));
	t_fails(iopt_pin_pages(w.iopt, 0x1000000, 0, phys, true, false), EINVAL);
	t_fails(iopt_pin_pages(w.iopt, TOP, 2, phys, true, false), EOVERFLOW);
	t_fails(iopt_pin_pages(w.iopt, 0x1007000, 2 * PG, phys, false, false), ENOENT);
	t_fails(iopt_pin_pages(w.iopt, 0xfff000, 2 * PG, phys, false, false), ENOENT);
	t_fails(iopt_pin_pages(w.iopt, 0x1003000, 2 * PG, phys, true, false), EPERM);
	assert_int_equal(t_pins(mem + 3 * PG), 0);
	/* Across two mappings; the first and last page are only touched. */
	t_fails(iopt_pin_pages(w.iopt, 0x1002ffe, 2 * PG, phys, false, false), EINVAL); /* it begins with no page, */
	t_fails(iopt_pin_pages(w.iopt, 0x1006800, 2 * PG, phys, true, false), EINVAL);	/* which is said before EPERM */
	t_fails(iopt_pin_pages(w.iopt, 0x1007800, PG, phys, false, false), EINVAL);	/* and ENOENT, */
	t_fails(iopt_pin_pages(w.iopt, 0x1008800, PG, phys, false, false), ENOENT);	/* if anything is there */
	t_works(iopt_pin_pages(w.iopt, 0x1002000, 2 * PG + 2, phys, false, false));
	assert_ptr_equal(phys_host_ptr(phys[0]), mem + 2 * PG);
	assert_ptr_equal(phys_host_ptr(phys[1]), mem + 3 * PG);
	assert_ptr_equal(phys_host_ptr(phys[2]), mem + 8 * PG);
	assert_int_equal(t_pins(mem + PG), 0);
	assert_int_equal(t_pins(mem + 2 * PG), 1);
	assert_int_equal(t_pins(mem + 8 * PG), 1);
	/* A page table on top of it: still once. */
	t_works(iopt_table_add_domain(w.iopt, flat));
	assert_int_equal(t_pins(mem), 1);
	assert_int_equal(t_pins(mem + 2 * PG), 1);
	for (u64 i = 0; i < 8; i++)
		assert_ptr_equal(t_leads_to(flat, 0x1000000 + i * PG), mem + (i < 4 ? i : i + 4) * PG);
	iopt_table_remove_domain(w.iopt, flat);
	assert_int_equal(t_pins(mem), 0);
	assert_int_equal(t_pins(mem + 2 * PG), 1);
	/* Unmapping calls back. */
	p.iova = 0x1002000;
	p.len = 2 * PG + 2;
	t_works(t_unmap(w.fd, w.as, 0x1000000, 4 * PG));
	assert_int_equal(p.calls, 1);
	assert_int_equal(t_pins(mem + 2 * PG), 0);
	assert_int_equal(t_pins(mem + 8 * PG), 0);
	/* One that does not listen is given up. */
	t_works(iopt_pin_pages(w.iopt, 0x1004000, PG, phys, false, false));
	p = (struct pinner){ .access = p.access, .iopt = w.iopt, .iova = 0x1004000, .len = PG, .stubborn = true };
	t_fails(t_unmap(w.fd, w.as, 0, TOP), EDEADLK);
	t_fails(iopt_pin_pages(w.iopt, 0x1005000, PG, phys, false, false), EPERM);
	p.stubborn = false;
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	/* One that must not be taken back. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem, 4 * PG, 0x1000000));
	t_works(iopt_pin_pages(w.iopt, 0x1000000, PG, NULL, true, true));
	t_fails(iopt_unmap_iova(w.iopt, 0x1000000, 4 * PG, &bytes), EBUSY);
	iopt_unpin_pages(w.iopt, 0x1000000, PG, true);
	t_works(iopt_unmap_iova(w.iopt, 0x1000000, 4 * PG, &bytes));
	iopt_remove_access(w.iopt, &p.access);
	assert_int_equal(w.iopt->iova_alignment, 1);
	iommu_domain_free(flat);
	t_close(w.fd);
}

static void accesses_read_and_write(void **state)
{
	struct world w = begin();
	int memfd = memfd_create("x", 0);
	char buf[64];

	assert_int_equal(ftruncate(memfd, PG), 0);
	/* Bytes that are not aligned to anything, over three mappings. */
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 100, 10, 1000));
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, mem + 2 * PG - 5, 10, 1010));
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, memfd, 7, 10, 1020));
	t_works(iopt_rw(w.iopt, 1000, (char *)"abcdefghijABCDEFGHIJ0123456789", 30, true));
	assert_memory_equal(mem + 100, "abcdefghij", 10);
	assert_memory_equal(mem + 2 * PG - 5, "ABCDEFGHIJ", 10);
	assert_int_equal(pread(memfd, buf, 10, 7), 10);
	assert_memory_equal(buf, "0123456789", 10);
	t_works(iopt_rw(w.iopt, 1009, buf, 12, false));
	assert_memory_equal(buf, "jABCDEFGHIJ0", 12);
	t_fails(iopt_rw(w.iopt, 1009, buf, 22, false), ENOENT);
	t_fails(iopt_rw(w.iopt, 1009, buf, 0, false), EINVAL);
	t_fails(iopt_rw(w.iopt, TOP - 3, buf, 8, false), EOVERFLOW);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RD, mem, 10, 2000));
	t_fails(iopt_rw(w.iopt, 2000, buf, 1, true), EPERM);
	t_works(t_map(w.fd, w.as, T_FIXED | T_WR, mem, 10, 3000));
	t_fails(iopt_rw(w.iopt, 3000, buf, 1, false), EPERM);
	t_works(t_map(w.fd, w.as, T_FIXED | T_RW, (void *)PG, 10, 4000));
	t_fails(iopt_rw(w.iopt, 4000, buf, 1, false), EFAULT);
	assert_int_equal(t_pins(mem), 0);
	close(memfd);
	t_close(w.fd);
}

/* ---- dma-bufs ---- */

struct exporter {
	struct dma_buf *buf;
	char *mem;
	bool revoked;
	unsigned released;
};

static int exporter_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	struct exporter *x = buf->priv;

	*ret_phys = virt_to_phys(x->mem);
	return x->revoked ? fail(-ENODEV, "the device took it back") : 0;
}

static void exporter_release(struct dma_buf *buf)
{
	struct exporter *x = buf->priv;

	x->released++;
}

static const struct dma_buf_ops exporter_ops = { .exp_name = "test", .phys = exporter_phys, .release = exporter_release };

static void take_back(struct exporter *x, bool revoked)
{
	dma_buf_lock(x->buf);
	x->revoked = revoked;
	if (revoked)
		dma_buf_revoke(x->buf);
	dma_buf_unlock(x->buf);
}

static void dma_bufs(void **state)
{
	struct world w = begin();
	struct iommu_domain *flat = t_flat(), *second = t_flat();
	struct exporter x = { .mem = mem };
	u32 as2 = (u32)t_works(t_ioas_alloc(w.fd));
	char byte;
	int fd;

	x.buf = dma_buf_export(&exporter_ops, &x, 4 * PG, O_RDWR);
	fd = dma_buf_fd(x.buf, true);
	t_works(iopt_table_add_domain(w.iopt, flat));
	t_works(iopt_table_add_domain(t_iopt(w.fd, as2), second));
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, 0, 5 * PG, T_FLAT_START), EINVAL);
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, PG, 4 * PG, T_FLAT_START), EINVAL);
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, -PG, 4 * PG, T_FLAT_START), EINVAL);
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, PG, 3 * PG, T_FLAT_START));
	assert_ptr_equal(t_leads_to(flat, T_FLAT_START), mem + PG);
	assert_int_equal(t_pins(mem + PG), 0);
	t_works(t_copy(w.fd, T_FIXED | T_RW, as2, T_FLAT_START, w.as, T_FLAT_START + PG, PG));
	assert_ptr_equal(t_leads_to(second, T_FLAT_START), mem + 2 * PG);
	t_fails(iopt_rw(w.iopt, T_FLAT_START, &byte, 1, false), EINVAL);
	t_fails(iopt_pin_pages(w.iopt, T_FLAT_START, PG, NULL, false, false), EINVAL);
	/* It goes from all page tables at once, and for good. */
	take_back(&x, true);
	assert_null(t_leads_to(flat, T_FLAT_START));
	assert_null(t_leads_to(second, T_FLAT_START));
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, 0, PG, T_FLAT_START + 8 * PG), ENODEV);
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, 0, PG, T_FLAT_START), ENODEV);
	iopt_table_remove_domain(w.iopt, flat);
	t_works(iopt_table_add_domain(w.iopt, flat)); /* an empty area is in nobody's way */
	take_back(&x, false);
	assert_null(t_leads_to(flat, T_FLAT_START));
	t_works(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, 0, PG, T_FLAT_START + 8 * PG));
	assert_ptr_equal(t_leads_to(flat, T_FLAT_START + 8 * PG), mem);
	t_to_flat(flat)->fail_in = 1;
	t_fails(t_map_file(w.fd, w.as, T_FIXED | T_RW, fd, 0, PG, T_FLAT_START + 16 * PG), ENOMEM);
	/* The last mapping lets the buffer go. */
	fd_uninstall(fd);
	close(fd);
	t_works(t_unmap(w.fd, w.as, 0, TOP));
	assert_int_equal(t_unmapped, 4 * PG);
	assert_int_equal(x.released, 0);
	t_works(t_unmap(w.fd, as2, 0, TOP));
	assert_int_equal(x.released, 1);
	iopt_table_remove_domain(w.iopt, flat);
	iopt_table_remove_domain(t_iopt(w.fd, as2), second);
	iommu_domain_free(flat);
	iommu_domain_free(second);
	t_close(w.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(map_without_page_table),
		T_TEST(unmap_without_page_table),
		T_TEST(copy_without_page_table),
		T_TEST(files_without_page_table),
		T_TEST(ranges_without_page_table),
		T_TEST(chosen_iovas),
		T_TEST(options),
		T_TEST(a_domain_comes_and_goes),
		T_TEST(a_domain_is_refused),
		T_TEST(map_with_page_table),
		T_TEST(one_of_two_domains_fails),
		T_TEST(parts_of_memory_are_pinned_once),
		T_TEST(reserved_ranges),
		T_TEST(regions_of_a_device), T_TEST(sw_msi_of_a_device), T_TEST(neighbours_and_order),
		T_TEST(files_with_page_table),
		T_TEST(no_bars),
		T_TEST(cuts),
		T_TEST(accounts),
		T_TEST(change_process),
		T_TEST(accesses_pin),
		T_TEST(accesses_read_and_write),
		T_TEST(dma_bufs),
	};

	mem = t_memory(4 * MB);
	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
