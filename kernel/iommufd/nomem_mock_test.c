/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nomem_mock_test.c - each allocation of a session with mock devices fails in turn.
 *
 * The n-th allocation of a session, or point of fail_iommufd, fails, for n = 1, 2, ... until a session needs fewer.
 * A call that fails says ENOMEM, or what its point says, and gives a reason, and what needs its result is left out; afterwards nothing is pinned, and a leak checker finds
 * nothing.
 */
#include "kernel/iommufd/mock_rig_test.h"
#include "kernel/lib/nomem_test.h"

/* A call may fail with ENOMEM; never without a reason. */
static bool went_(const char *what, long ret)
{
	const char *why = explain_take();

	if (ret >= 0)
		return true;
	if (ret != -ENOMEM && (!why || !strstr(why, "fails on order")))
		fprintf(stderr, "%s: %ld: %s\n", what, ret, why ? why : "no reason");
	assert_non_null(why);
	assert_true(ret == -ENOMEM || strstr(why, "fails on order"));
	return false;
}
#define went(call) went_(#call, call)

#define BYTES (8 * PAGE_SIZE)
#define AT MOCK_APERTURE_START

static void use_access(int fd, u32 ioas)
{
	long access = t_access(fd, ioas, true);

	if (!went(access))
		return;
	went(t_pin(fd, (int)access, AT + PAGE_SIZE, PAGE_SIZE, NULL));
	went(t_pin(fd, (int)access, AT, BYTES, NULL));
	t_close((int)access);
}

static void use_faults(int fd, const struct t_mock *m, u32 parent, u32 ioas)
{
	struct iommu_hwpt_pgfault recs[2];
	long fault, hwpt;
	int ffd;

	fault = t_fault_alloc(fd, &ffd);
	if (!went(fault))
		return;
	hwpt = t_nested(fd, m->dev, parent, IOMMU_HWPT_FAULT_ID_VALID, (u32)fault);
	if (went(hwpt) && went(t_replace(fd, m->stdev, (u32)hwpt, NULL))) {
		went(t_iopf(fd, m->dev, 0, 1));
		went(t_iopf(fd, m->dev, 0, 2));
		went(t_read(ffd, recs, sizeof(recs)));
		if (!went(t_replace(fd, m->stdev, ioas, NULL)))
			t_works(t_destroy(fd, m->stdev)); /* never needs memory */
	}
	t_close(ffd);
}

static void use_viommu(int fd, u32 ioas)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	struct t_mock m = { 0 };
	long parent, viommu, hwpt;
	char events[64];
	int q;

	if (!went(t_mock(fd, ioas, &m)))
		return;
	parent = t_hwpt(fd, m.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	if (!went(parent))
		return;
	viommu = t_viommu(fd, m.dev, (u32)parent, &data);
	if (!went(viommu) || !went(t_vdevice(fd, (u32)viommu, m.dev, 5)))
		return;
	hwpt = t_nested(fd, m.dev, (u32)viommu, 0, 0);
	if (!went(hwpt) || !went(t_replace(fd, m.stdev, (u32)hwpt, NULL)))
		return;
	if (went(t_hw_queue(fd, (u32)viommu, 0, AT, PAGE_SIZE)))
		went(t_hw_queue(fd, (u32)viommu, 1, AT + PAGE_SIZE, PAGE_SIZE));
	if (!went(t_veventq(fd, (u32)viommu, 3, &q)))
		return;
	went(t_vevent(fd, m.dev)); /* without memory it is counted as lost */
	went(t_read(q, events, sizeof(events)));
	t_close(q);
}

static void use_pasids(int fd, u32 ioas)
{
	struct t_mock m = { 0 };
	long one, two;

	if (!went(t_mock_flags(fd, ioas, MOCK_FLAGS_DEVICE_PASID, &m)))
		return;
	one = t_hwpt(fd, m.dev, ioas, IOMMU_HWPT_ALLOC_PASID);
	two = went(one) ? t_hwpt(fd, m.dev, ioas, IOMMU_HWPT_ALLOC_PASID) : -ENOMEM;
	if (one < 0 || two < 0 || !went(t_replace(fd, m.stdev, (u32)one, NULL)))
		return;
	if (went(t_pasid(fd, IOMMU_TEST_OP_PASID_ATTACH, m.stdev, 9, (u32)one)))
		went(t_pasid(fd, IOMMU_TEST_OP_PASID_REPLACE, m.stdev, 9, (u32)two));
}

static void use_dirty(int fd, const struct t_mock *m, u32 ioas)
{
	long hwpt = t_hwpt(fd, m->dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set), .flags = 1 };
	u64 bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get), .iova = AT, .length = BYTES,
						   .page_size = PAGE_SIZE, .data = (uintptr_t)&bits };

	if (!went(hwpt))
		return;
	set.hwpt_id = get.hwpt_id = (u32)hwpt;
	went(t_ioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &set));
	went(t_ioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	t_works(t_destroy(fd, (u32)hwpt));
}

static void use_device(int fd, u32 ioas, u32 other)
{
	struct t_mock m = { 0 }, second;
	long parent;

	if (!went(t_mock(fd, ioas, &m)))
		return;
	went(t_mock(fd, ioas, &second));
	went(t_replace(fd, m.stdev, other, NULL));
	use_dirty(fd, &m, ioas);
	parent = t_hwpt(fd, m.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	if (went(parent))
		use_faults(fd, &m, (u32)parent, ioas);
}

static void session(char *mem)
{
	int fd = t_open();
	long ioas, other;

	if (!went(fd))
		return;
	ioas = t_ioas_alloc(fd);
	other = went(ioas) ? t_ioas_alloc(fd) : -ENOMEM;
	if (ioas > 0 && other > 0 && went(t_map(fd, (u32)ioas, 7, mem, BYTES, AT))) {
		use_access(fd, (u32)ioas);
		use_device(fd, (u32)ioas, (u32)other);
		use_viommu(fd, (u32)ioas);
		use_pasids(fd, (u32)ioas);
	}
	t_close(fd);
}

static void each_allocation(void **state)
{
	char *mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long n = 0;
	bool failed;

	session(mem); /* what is allocated once and for all */
	do {
		nomem_begin((u32)++n);
		session(mem);
		failed = nomem_end();
		for (unsigned i = 0; i < BYTES; i += PAGE_SIZE)
			assert_int_equal(mm_pin_count(mm_self(), (uintptr_t)mem + i), 0);
	} while (failed);
	printf("%ld allocations\n", n - 1);
	assert_true(n > 60);
	munmap(mem, BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T_TEST(each_allocation) };

	return cmocka_run_group_tests(tests, t_mock_machine, t_machine_end);
}
