/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_nomem_test.c - each allocation of a whole session fails in turn.
 *
 * The n-th allocation in a session fails, for n = 1, 2, ... until a session needs fewer.  A call that fails says
 * ENOMEM and gives a reason; afterwards nothing is pinned or mapped, and a leak checker finds nothing.
 */
#include <linux/vfio.h>

#include "kernel/iommufd/iommufd_rig_test.h"
#include "kernel/lib/nomem_test.h"

#define PG PAGE_SIZE

static char *mem;

/* A call may fail with ENOMEM; never without a reason. */
static bool went(long ret)
{
	if (ret >= 0)
		return true;
	assert_non_null(explain_take());
	if (ret != -ENOMEM)
		fprintf(stderr, "%ld: %s\n", ret, explain_take());
	assert_int_equal(ret, -ENOMEM);
	return false;
}

static int buf_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	*ret_phys = virt_to_phys(buf->priv);
	return 0;
}

static void buf_release(struct dma_buf *buf)
{
	(void)buf;
}

static const struct dma_buf_ops buf_ops = { .exp_name = "test", .phys = buf_phys, .release = buf_release };

static void use_dma_buf(int fd, u32 as)
{
	struct dma_buf *buf = dma_buf_export(&buf_ops, mem, PG, O_RDWR);
	int bfd;

	if (!went(IS_ERR(buf) ? PTR_ERR(buf) : 0))
		return;
	bfd = dma_buf_fd(buf, true);
	if (!went(bfd)) {
		dma_buf_put(buf);
		return;
	}
	went(t_map_file(fd, as, T_FIXED | T_RW, bfd, 0, PG, 0x1400000));
	fd_uninstall(bfd);
	close(bfd);
}

static void use_small_pages(int fd, u32 as, struct iommu_domain *flat)
{
	struct io_pagetable *iopt = t_iopt(fd, as);
	const u64 cut = 0x1000fff;
	phys_addr_t phys[4];

	if (!went(iopt_disable_large_pages(iopt)) || !went(iopt_table_add_domain(iopt, flat)))
		return;
	if (went(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x1000000)) && went(iopt_cut_iova(iopt, &cut, 1)) &&
	    went(iopt_pin_pages(iopt, 0x1002000, PG, phys, true, false)))
		iopt_unpin_pages(iopt, 0x1002000, PG, false);
	use_dma_buf(fd, as);
	iopt_table_remove_domain(iopt, flat);
}

static void use_two(int fd, u32 as, u32 as2, struct iommu_domain *domain, struct iommu_domain *flat)
{
	struct iommu_iova_range ranges[20];
	char info[512] = { 0 };
	int memfd = memfd_create("x", 0), me;

	*(u32 *)info = sizeof(info);
	for (unsigned i = 0; i < 20; i++)
		ranges[i] = (struct iommu_iova_range){ i * 0x10000ull, i * 0x10000ull + 0xfff };
	assert_int_equal(ftruncate(memfd, 4 * PG), 0);
	if (went(t_map(fd, as, T_FIXED | T_RW, mem, 4 * PG, 0x1000000)) &&
	    went(t_copy(fd, T_FIXED | T_RD, as2, 0x1600000, as, 0x1000000, 2 * PG)))
		t_works(t_unmap(fd, as2, 0x1600000, 2 * PG));
	went(t_map_file(fd, as, T_FIXED | T_RW, memfd, 0, 4 * PG, 0x1004000));
	went(t_allow(fd, as, ranges, 20));
	went(t_allow(fd, as, NULL, 0));
	went(iopt_reserve_iova(t_iopt(fd, as), 0x8000000, 0x8ffffff, &me));
	went(iopt_table_enforce_dev_resv_regions(t_iopt(fd, as), &t_dev[0], NULL));
	iopt_remove_reserved_iova(t_iopt(fd, as), &t_dev[0]);
	if (went(iopt_table_add_domain(t_iopt(fd, as), domain))) {
		went(t_map(fd, as, T_RW, mem, PG, 0));
		iopt_table_remove_domain(t_iopt(fd, as), domain);
	}
	use_small_pages(fd, as2, flat);
	if (went(iommufd_vfio_compat_ioas_create(t_ctx(fd))))
		went(t_ioctl(fd, VFIO_IOMMU_GET_INFO, info));
	close(memfd);
}

static void session(struct iommu_domain *domain, struct iommu_domain *flat)
{
	int fd = t_open();
	long as, as2;

	if (!went(fd))
		return;
	as = t_ioas_alloc(fd);
	as2 = went(as) ? t_ioas_alloc(fd) : -ENOMEM;
	if (as > 0 && went(as2))
		use_two(fd, (u32)as, (u32)as2, domain, flat);
	t_close(fd);
}

static void each_allocation_of_a_session(void **state)
{
	struct iommu_domain *flat = t_flat(), *domain = iommu_paging_domain_alloc(&t_dev[0]);
	long n = 0;
	bool failed;

	(void)state;
	assert_false(IS_ERR(domain));
	do {
		nomem_begin((u32)++n);
		session(domain, flat);
		failed = nomem_end();
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(t_pins(mem + i * PG), 0);
		assert_int_equal(t_to_flat(flat)->nr_mapped, 0);
	} while (failed);
	print_message("%ld allocations in a session\n", n - 1);
	assert_true(n > 30);
	iommu_domain_free(flat);
	iommu_domain_free(domain);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T_TEST(each_allocation_of_a_session) };

	mem = t_memory(1 << 20);
	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
