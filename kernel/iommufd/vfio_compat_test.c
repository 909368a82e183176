/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_compat_test.c - an iommufd as a VFIO container, as Linux 7.2 answered: without a compatibility IOAS,
 * with one, and as the first version of type1.
 */
#include <linux/vfio.h>

#include "kernel/iommufd/iommufd_rig_test.h"

#define PG PAGE_SIZE

static char *mem;

static long compat_map(int fd, u32 flags, const void *va, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = flags, .vaddr = (uintptr_t)va,
						.iova = iova, .size = size };

	return t_ioctl(fd, VFIO_IOMMU_MAP_DMA, &map);
}

static u64 left_size; /* size after an unmap */

static long compat_unmap(int fd, u32 flags, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .flags = flags, .iova = iova,
						    .size = size };
	long ret = t_ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	left_size = unmap.size;
	return ret;
}

static long vfio_ioas(int fd, u16 op, u32 id)
{
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .op = op, .ioas_id = id };
	long ret = t_ioctl(fd, IOMMU_VFIO_IOAS, &cmd);

	return ret || op != IOMMU_VFIO_IOAS_GET ? ret : cmd.ioas_id;
}

static int with_ioas(void)
{
	int fd = (int)t_works(t_open());
	u32 id = (u32)t_works(t_ioas_alloc(fd));

	t_works(vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, id));
	return fd;
}

static long number(int fd, unsigned cmd, unsigned long arg)
{
	return t_ioctl(fd, cmd, (void *)arg);
}

static void without_ioas(void **state)
{
	int fd = (int)t_works(t_open());
	struct vfio_iommu_type1_dma_map map = { .argsz = 24, .flags = 3 };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = 16 };
	struct vfio_iommu_type1_info info = { .argsz = 12 };

	assert_int_equal(number(fd, VFIO_GET_API_VERSION, 0), 0);
	for (unsigned long i = 0; i < 14; i++) {
		if (i == VFIO_DMA_CC_IOMMU)
			t_fails(number(fd, VFIO_CHECK_EXTENSION, i), ENODEV);
		else
			assert_int_equal(number(fd, VFIO_CHECK_EXTENSION, i), i == 1 || i == 3 || i == 8 || i == 9);
	}
	t_fails(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), ENODEV);
	t_fails(number(fd, VFIO_SET_IOMMU, 99), EINVAL);
	t_fails(number(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), EINVAL);
	t_fails(compat_map(fd, 0, mem, 0, PG), ENODEV);
	t_fails(compat_map(fd, 4, mem, 0, PG), EINVAL);
	t_fails(t_ioctl(fd, VFIO_IOMMU_MAP_DMA, &map), EINVAL);
	t_fails(t_ioctl(fd, VFIO_IOMMU_MAP_DMA, NULL), EFAULT);
	t_fails(compat_unmap(fd, 0, 0, PG), ENODEV);
	t_fails(compat_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, PG), ENODEV);
	t_fails(compat_unmap(fd, 1, 0, PG), EINVAL);
	t_fails(compat_unmap(fd, 4, 0, PG), EINVAL);
	t_fails(t_ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap), EINVAL);
	t_fails(t_ioctl(fd, VFIO_IOMMU_UNMAP_DMA, T_BAD), EFAULT);
	t_fails(t_ioctl(fd, VFIO_IOMMU_GET_INFO, &info), EINVAL);
	info.argsz = 16;
	t_fails(t_ioctl(fd, VFIO_IOMMU_GET_INFO, &info), ENODEV);
	t_fails(t_ioctl(fd, VFIO_IOMMU_GET_INFO, T_BAD), EFAULT);
	t_fails(t_ioctl(fd, VFIO_IOMMU_ENABLE, NULL), ENOTTY);
	t_fails(t_ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, NULL), ENOTTY);
	t_fails(t_ioctl(fd, VFIO_GROUP_GET_STATUS, NULL), ENOTTY);
	t_close(fd);
}

static void choosing_the_ioas(void **state)
{
	int fd = (int)t_works(t_open());
	struct iommu_vfio_ioas reserved = { .size = sizeof(reserved), .__reserved = 1 };
	u32 id = (u32)t_works(t_ioas_alloc(fd)), got;

	t_fails(vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, 0), ENODEV);
	t_works(vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, 0));
	t_fails(vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, 9999), ENOENT);
	t_fails(vfio_ioas(fd, 9, 0), EOPNOTSUPP);
	t_fails(t_ioctl(fd, IOMMU_VFIO_IOAS, &reserved), EOPNOTSUPP);
	t_works(vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, id));
	assert_int_equal(vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, 0), id);
	t_works(t_destroy(fd, id)); /* it is not in use for that */
	t_fails(vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, 0), ENODEV);

	/* A group joins, and another. */
	explain_begin();
	t_fails(iommufd_vfio_compat_ioas_get_id(t_ctx(fd), &got), ENODEV);
	t_works(iommufd_vfio_compat_ioas_create(t_ctx(fd)));
	t_works(iommufd_vfio_compat_ioas_create(t_ctx(fd)));
	t_works(iommufd_vfio_compat_ioas_get_id(t_ctx(fd), &got));
	assert_int_equal(vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, 0), got);
	assert_int_equal(t_ioas_alloc(fd), got + 1);
	t_fails(iommufd_vfio_compat_set_no_iommu(t_ctx(fd)), EINVAL);
	t_works(vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, 0));
	t_fails(vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, 0), ENODEV);
	/* One without an IOMMU. */
	t_works(iommufd_vfio_compat_set_no_iommu(t_ctx(fd)));
	t_fails(iommufd_vfio_compat_ioas_create(t_ctx(fd)), EINVAL);
	t_works(number(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	t_fails(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), EINVAL);
	t_close(fd);
}

static void version_two(void **state)
{
	int fd = with_ioas();

	assert_int_equal(number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1);
	t_works(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	t_works(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	t_works(compat_map(fd, 0, mem, 0, PG)); /* there is no page table that could say no */
	t_works(compat_map(fd, 3, mem, 0x100000, 4 * PG));
	t_fails(compat_map(fd, 3, mem, 0x100000, 4 * PG), EEXIST);
	t_works(compat_map(fd, 3, mem + 1, 0x200001, 5));
	t_fails(compat_map(fd, 3, mem, 0x300000, 0), EINVAL);
	t_fails(compat_map(fd, 3, mem, -PG, 2 * PG), EOVERFLOW);
	t_fails(compat_map(fd, 3, (void *)-PG, PG, 2 * PG), EOVERFLOW);
	t_fails(compat_unmap(fd, 0, 0x100001, 1), ENOENT);
	assert_int_equal(left_size, 0);
	t_fails(compat_unmap(fd, 0, 0x100000, 0), EINVAL);
	assert_int_equal(left_size, 0);
	t_fails(compat_unmap(fd, 0, -PG, 2 * PG), EOVERFLOW);
	assert_int_equal(left_size, 0);
	t_fails(compat_unmap(fd, 0, 0x101000, PG), ENOENT);
	t_works(compat_unmap(fd, 0, 0x900000, PG));
	assert_int_equal(left_size, 0);
	assert_non_null(explain_take_notes());
	t_works(compat_unmap(fd, 0, 0, -1));
	assert_int_equal(left_size, 0x5005 + 0);
	t_works(compat_map(fd, 3, mem, 0x100000, 4 * PG));
	t_fails(compat_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, PG), EINVAL);
	assert_int_equal(left_size, PG);
	t_fails(compat_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, PG, 0), EINVAL);
	t_works(compat_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	assert_int_equal(left_size, 4 * PG);
	t_works(compat_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	assert_int_equal(left_size, 0);
	t_close(fd);
}

static void version_one(void **state)
{
	int fd = with_ioas();

	t_works(compat_map(fd, 3, mem, 0x100000, 4 * PG));
	t_works(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	t_works(compat_unmap(fd, 0, 0x101000, PG));
	assert_int_equal(left_size, PG);
	t_fails(compat_unmap(fd, 0, 0x100001, 1), EINVAL);
	assert_int_equal(left_size, 1);
	t_fails(compat_unmap(fd, 0, 0x100000, 0), EINVAL);
	assert_int_equal(left_size, 0);
	t_fails(compat_unmap(fd, 0, 0, 0), EINVAL);
	t_fails(compat_unmap(fd, 0, -PG, 2 * PG), EOVERFLOW);
	assert_int_equal(left_size, 0);
	t_works(compat_unmap(fd, 0, 0x900000, PG));
	assert_int_equal(left_size, 0);
	t_works(compat_unmap(fd, 0, 0x0ff000, 2 * PG));
	assert_int_equal(left_size, PG);
	t_works(compat_unmap(fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	assert_int_equal(left_size, 2 * PG);
	t_works(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)); /* small pages stay */
	t_fails(compat_map(fd, 3, mem + 1, 0x200001, 5), EINVAL);
	/* What is not aligned keeps the first version away. */
	t_close(fd);
	fd = with_ioas();
	t_works(compat_map(fd, 3, mem + 1, 0x200001, 5));
	t_fails(number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), EADDRINUSE);
	t_close(fd);
}

/* Byte for byte what Linux 7.2 wrote into words of 0xa5a5a5a5. */
static void info(void **state)
{
	static const struct { u32 argsz; u32 words[19]; } linux_wrote[] = {
#define X 0xa5a5a5a5
		{ 16, { 0x48, 3, 0xfffff000, 0xffffffff, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X } },
		{ 20, { 0x48, 3, 0xfffff000, 0xffffffff, 0, X, X, X, X, X, X, X, X, X, X, X, X, X, X } },
		{ 24, { 0x48, 3, 0xfffff000, 0xffffffff, 0, 0, X, X, X, X, X, X, X, X, X, X, X, X, X } },
		{ 39, { 0x48, 3, 0xfffff000, 0xffffffff, 0, 0, 0x10003, 0, 0xffff, X, X, X, X, X, X, X, X, X, X } },
		{ 40, { 0x48, 3, 0xfffff000, 0xffffffff, 0, 0, 0x10003, 0x28, 0xffff, X, X, X, X, X, X, X, X, X, X } },
		{ 64, { 0x48, 3, 0xfffff000, 0xffffffff, 0, 0, 0x10003, 0x28, 0xffff, X, X, X, X, X, X, X, X, X, X } },
		{ 72, { 0x48, 3, 0xfffff000, 0xffffffff, 0x18, 0, 0x10003, 0x28, 0xffff, X, 0x10001, 0, 1, 0, 0, 0,
			0xffffffff, 0xffffffff, X } },
		{ 200, { 0x48, 3, 0xfffff000, 0xffffffff, 0x18, 0, 0x10003, 0x28, 0xffff, X, 0x10001, 0, 1, 0, 0, 0,
			 0xffffffff, 0xffffffff, X } },
#undef X
	};
	int fd = with_ioas();
	u32 buf[64];

	for (unsigned i = 0; i < ARRAY_SIZE(linux_wrote); i++) {
		memset(buf, 0xa5, sizeof(buf));
		buf[0] = linux_wrote[i].argsz;
		t_works(t_ioctl(fd, VFIO_IOMMU_GET_INFO, buf));
		for (unsigned w = 0; w < 19; w++) {
			if (buf[w] != linux_wrote[i].words[w])
				fprintf(stderr, "argsz %u, word %u: %#x\n", linux_wrote[i].argsz, w, buf[w]);
			assert_int_equal(buf[w], linux_wrote[i].words[w]);
		}
	}
	t_close(fd);
}

static void info_with_page_table(void **state)
{
	int fd = with_ioas();
	struct io_pagetable *iopt = t_iopt(fd, 1);
	struct iommu_domain *flat = t_flat();
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_iommu_type1_info_dma_avail avail;
		u32 pad;
		struct vfio_iommu_type1_info_cap_iova_range iova;
		struct vfio_iova_range ranges[4];
	} buf = { .info.argsz = sizeof(buf) };
	int me;

	t_works(iopt_table_add_domain(iopt, flat));
	t_works(iopt_reserve_iova(iopt, 0x1400000, 0x14fffff, &me));
	t_works(t_ioctl(fd, VFIO_IOMMU_GET_INFO, &buf));
	assert_int_equal(buf.info.iova_pgsizes, PG | 1 << 20);
	assert_int_equal(buf.info.argsz, 88);
	assert_int_equal(buf.iova.nr_iovas, 2);
	assert_int_equal(buf.iova.iova_ranges[0].start, T_FLAT_START);
	assert_int_equal(buf.iova.iova_ranges[0].end, 0x13fffff);
	assert_int_equal(buf.iova.iova_ranges[1].end, T_FLAT_LAST);
	t_fails(compat_map(fd, 0, mem, T_FLAT_START, PG), EINVAL);
	assert_int_equal(t_pins(mem), 0);
	t_works(compat_map(fd, 1, mem, T_FLAT_START, PG));
	assert_int_equal(t_pins(mem), 1);
	assert_int_equal(number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 0);
	iopt_table_remove_domain(iopt, flat);
	iommu_domain_free(flat);
	t_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(without_ioas), T_TEST(choosing_the_ioas), T_TEST(version_two), T_TEST(version_one),
		T_TEST(info), T_TEST(info_with_page_table),
	};

	mem = t_memory(1 << 20);
	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
