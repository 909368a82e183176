/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eventq_test.c - what tests/conformance/iommufd_mock.c cannot bring about: groups of several page requests,
 * buffers that are not there, readers and detaching at once.
 */
#include <poll.h>
#include <pthread.h>

#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/mock_rig_test.h"

struct setup {
	int fd, ffd;
	u32 ioas, parent, hwpt, fault;
	struct t_mock m;
	struct device *dev;
};

/* A mock device attached to a nested page table with a fault queue. */
static struct setup make(void)
{
	struct setup s = { .fd = t_open() };
	struct iommufd_device *idev;

	s.ioas = (u32)t_works(t_ioas_alloc(s.fd));
	t_works(t_mock(s.fd, s.ioas, &s.m));
	s.parent = (u32)t_works(t_hwpt(s.fd, s.m.dev, s.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	s.fault = (u32)t_works(t_fault_alloc(s.fd, &s.ffd));
	s.hwpt = (u32)t_works(t_nested(s.fd, s.m.dev, s.parent, IOMMU_HWPT_FAULT_ID_VALID, s.fault));
	t_works(t_replace(s.fd, s.m.stdev, s.hwpt, NULL));
	idev = iommufd_get_device(t_ctx(s.fd), s.m.dev);
	s.dev = idev->dev;
	iommufd_put_object(t_ctx(s.fd), &idev->obj);
	return s;
}

static void report(const struct setup *s, u32 grpid, u64 addr, bool last)
{
	struct iommu_page_request request = {
		.flags = last ? IOMMU_FAULT_LAST_PAGE : 0, .grpid = grpid, .perm = IOMMU_FAULT_PERM_WRITE, .addr = addr,
	};

	assert_int_equal(iommu_report_page_request(s->dev, &request), 0);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* A group is delivered whole, when its last request is there, and answered once. */
static void groups_of_several(void **state)
{
	const size_t rec = sizeof(struct iommu_hwpt_pgfault);
	struct iommu_hwpt_pgfault recs[4];
	struct iommu_hwpt_page_response response[2] = { { 0 } };
	struct setup s = make();

	report(&s, 1, 0x1000, false);
	report(&s, 2, 0x9000, false);
	report(&s, 1, 0x2000, false);
	assert_false(readable(s.ffd));
	assert_int_equal(t_read(s.ffd, recs, sizeof(recs)), 0);
	report(&s, 1, 0x3000, true);
	assert_true(readable(s.ffd));
	t_fails(t_read(s.ffd, recs, 2 * rec), EINVAL); /* no half groups */
	assert_true(readable(s.ffd));
	assert_int_equal(t_read(s.ffd, recs, sizeof(recs)), 3 * rec);
	assert_false(readable(s.ffd));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(recs[i].grpid, 1);
		assert_int_equal(recs[i].addr, 0x1000 * (i + 1));
		assert_int_equal(recs[i].cookie, 1);
		assert_int_equal(recs[i].flags, i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0);
	}
	report(&s, 2, 0xa000, true);
	report(&s, 3, 0xb000, true);
	/* The second of two does not fit. */
	assert_int_equal(t_read(s.ffd, recs, 2 * rec), 2 * rec);
	assert_int_equal(recs[0].cookie, 2);
	assert_true(readable(s.ffd));
	response[0].cookie = 1;
	response[1].cookie = 7;
	assert_int_equal(t_write(s.ffd, response, sizeof(response)), sizeof(response[0]));
	assert_int_equal(t_read(s.ffd, recs, rec), rec);
	assert_int_equal(recs[0].cookie, 1); /* free again */
	t_close(s.ffd);
	t_close(s.fd);
}

/* What cannot be copied out is still there. */
static void bad_buffers(void **state)
{
	const size_t rec = sizeof(struct iommu_hwpt_pgfault);
	struct iommu_hwpt_pgfault got;
	struct setup s = make();
	char *mem = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(mem + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	report(&s, 1, 0x1000, true);
	report(&s, 2, 0x2000, true);
	t_fails(t_read(s.ffd, T_BAD, rec), EFAULT);
	/* The first one fits before the hole. */
	assert_int_equal(t_read(s.ffd, mem + PAGE_SIZE - rec, 2 * rec), rec);
	assert_int_equal(t_read(s.ffd, &got, rec), rec);
	assert_int_equal(got.grpid, 2);
	t_fails(t_write(s.ffd, T_BAD, 8), EFAULT);
	munmap(mem, 2 * PAGE_SIZE);
	t_close(s.ffd);
	t_close(s.fd);
}

static _Atomic bool stop;

static void *read_and_answer(void *arg)
{
	struct setup *s = arg;
	struct iommu_hwpt_pgfault recs[4];
	ssize_t n;

	while (!atomic_load(&stop)) {
		n = t_read(s->ffd, recs, sizeof(recs));
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(recs[0]); i++) {
			struct iommu_hwpt_page_response r = { .cookie = recs[i].cookie };

			(void)t_write(s->ffd, &r, sizeof(r)); /* detached meanwhile: -EINVAL */
		}
	}
	return NULL;
}

/* Requests, answers and detaching at once: nothing is answered twice, nothing is left. */
static void all_at_once(void **state)
{
	struct setup s = make();
	struct iommu_hwpt_pgfault rec;
	pthread_t readers[2];

	atomic_store(&stop, false);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_and_answer, &s), 0);
	for (unsigned i = 0; i < 400; i++) {
		report(&s, i, i * PAGE_SIZE, i & 1);
		if (i % 16 == 15) {
			t_works(t_replace(s.fd, s.m.stdev, s.ioas, NULL));
			t_works(t_replace(s.fd, s.m.stdev, s.hwpt, NULL));
		}
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	t_works(t_replace(s.fd, s.m.stdev, s.ioas, NULL));
	assert_int_equal(t_read(s.ffd, &rec, sizeof(rec)), 0);
	assert_false(readable(s.ffd));
	t_works(t_destroy(s.fd, s.hwpt));
	t_close(s.ffd);
	t_works(t_destroy(s.fd, s.fault));
	t_close(s.fd);
}

/* ---- a vDEVICE that the program destroys while its device goes ---- */

struct race {
	int fd;
	u32 vdev;
};

static void *destroy_vdevice(void *arg)
{
	struct race *race = arg;

	return (void *)t_destroy(race->fd, race->vdev);
}

static void device_and_vdevice_go(void **state)
{
	int fd = t_open();
	u32 ioas = (u32)t_works(t_ioas_alloc(fd)), parent, viommu;
	struct t_mock keep = { 0 }, m = { 0 };

	t_works(t_mock(fd, ioas, &keep));
	parent = (u32)t_works(t_hwpt(fd, keep.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	viommu = (u32)t_works(t_viommu(fd, keep.dev, parent, NULL));
	for (unsigned i = 0; i < 200; i++) {
		struct race race = { .fd = fd };
		pthread_t thread;
		void *ret;

		t_works(t_mock(fd, ioas, &m));
		race.vdev = (u32)t_works(t_vdevice(fd, viommu, m.dev, 7));
		assert_int_equal(pthread_create(&thread, NULL, destroy_vdevice, &race), 0);
		t_works(t_destroy(fd, m.stdev));
		pthread_join(thread, &ret);
		assert_true((long)ret == 0 || (long)ret == -ENOENT);
		t_fails(t_destroy(fd, race.vdev), ENOENT);
	}
	t_works(t_destroy(fd, viommu));
	t_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(groups_of_several), T_TEST(bad_buffers), T_TEST(all_at_once), T_TEST(device_and_vdevice_go),
	};

	return cmocka_run_group_tests(tests, t_mock_machine, t_machine_end);
}
