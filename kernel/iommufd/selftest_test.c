/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest_test.c - random calls on IOAS, mock devices and access files against a plain model.
 *
 * The model knows for each area which memory it shows and which mapping that came from (copies share it), for
 * each IOAS how many devices are attached to it, and what is pinned by access files.  From that follows how
 * often each page of the buffer must be pinned, and what each page table must hold.
 *
 * usage: selftest_test [SEED [STEPS]]    replays a random run
 */
#include "kernel/iommufd/mock_rig_test.h"

#define BUF_PAGES 48u
#define IOVA_PAGES 96u
#define IOASES 3
#define AREAS 40
#define DEVICES 4
#define ITEMS 8
#define BASE (MOCK_APERTURE_START + 0x100000)

struct area {
	bool used;
	unsigned ioas, slot, n;	/* where, in pages */
	unsigned buf;		/* first page of the buffer */
	unsigned source;	/* the mapping that it, or what it was copied from, came from */
};
struct item {
	bool used;
	unsigned slot, n;
	u32 id;
};

static u64 seed;
static unsigned steps = 1500;
static int fd;
static char *buffer;
static u32 ioas_id[IOASES];
static struct area areas[AREAS];
static struct {
	bool used;
	unsigned ioas;
	struct t_mock mock;
} devices[DEVICES];
static struct {
	int fd;
	unsigned ioas;
	struct item items[ITEMS];
} access_;
static unsigned next_source;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((seed >> 33) % n);
}

static u64 iova_of(unsigned slot) { return BASE + (u64)slot * PAGE_SIZE; }

/* ---- what the model says ---- */

static struct area *area_at(unsigned ioas, unsigned slot)
{
	for (unsigned i = 0; i < AREAS; i++)
		if (areas[i].used && areas[i].ioas == ioas && slot >= areas[i].slot && slot < areas[i].slot + areas[i].n)
			return &areas[i];
	return NULL;
}

static bool is_free(unsigned ioas, unsigned slot, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (area_at(ioas, slot + i))
			return false;
	return true;
}

static bool attached(unsigned ioas)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].used && devices[i].ioas == ioas)
			return true;
	return false;
}

static bool item_pins(const struct area *area, unsigned page)
{
	if (area->ioas != access_.ioas)
		return false;
	for (unsigned i = 0; i < ITEMS; i++) {
		const struct item *item = &access_.items[i];
		unsigned slot = area->slot + (page - area->buf);

		if (item->used && slot >= item->slot && slot < item->slot + item->n)
			return true;
	}
	return false;
}

/* Each source pins a page once, however many areas, page tables and items need it. */
static unsigned refs_of(unsigned page)
{
	unsigned sources[AREAS], nr = 0;

	for (unsigned i = 0; i < AREAS; i++) {
		const struct area *a = &areas[i];
		bool known = false;

		if (!a->used || page < a->buf || page >= a->buf + a->n || !(attached(a->ioas) || item_pins(a, page)))
			continue;
		for (unsigned k = 0; k < nr; k++)
			known |= sources[k] == a->source;
		if (!known)
			sources[nr++] = a->source;
	}
	return nr;
}

static struct area *free_area(void)
{
	for (unsigned i = 0; i < AREAS; i++)
		if (!areas[i].used)
			return &areas[i];
	return NULL;
}

/* ---- steps: each makes a call and expects what the model says ---- */

static void step_map(void)
{
	struct area *a = free_area();
	unsigned ioas = below(IOASES), n = 1 + below(8), buf = below(BUF_PAGES - n), slot = below(IOVA_PAGES - n);
	long ret;

	if (!a)
		return;
	ret = t_map(fd, ioas_id[ioas], 7, buffer + buf * PAGE_SIZE, n * PAGE_SIZE, iova_of(slot));
	assert_int_equal(ret, is_free(ioas, slot, n) ? 0 : -EEXIST);
	if (!ret)
		*a = (struct area){ true, ioas, slot, n, buf, next_source++ };
}

static void step_copy(void)
{
	struct area *a = free_area(), *from = &areas[below(AREAS)];
	unsigned ioas = below(IOASES), off, n, slot;
	long ret;

	if (!a || !from->used)
		return;
	off = below(from->n);
	n = 1 + below(from->n - off);
	slot = below(IOVA_PAGES - n);
	ret = t_copy(fd, 7, ioas_id[ioas], iova_of(slot), ioas_id[from->ioas], iova_of(from->slot + off), n * PAGE_SIZE);
	assert_int_equal(ret, is_free(ioas, slot, n) ? 0 : -EEXIST);
	if (!ret)
		*a = (struct area){ true, ioas, slot, n, from->buf + off, from->source };
}

static void drop_items(unsigned ioas, unsigned slot, unsigned n)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item *item = &access_.items[i];

		if (item->used && access_.ioas == ioas && item->slot < slot + n && slot < item->slot + item->n)
			item->used = false;
	}
}

static void step_unmap(void)
{
	unsigned ioas = below(IOASES), n = 1 + below(16), slot = below(IOVA_PAGES - n), bytes = 0;
	bool partial = false;
	long ret;

	if (below(3)) { /* exactly one */
		struct area *a = &areas[below(AREAS)];

		if (!a->used)
			return;
		ioas = a->ioas;
		slot = a->slot;
		n = a->n;
	}
	for (unsigned i = 0; i < AREAS; i++) {
		struct area *a = &areas[i];

		if (!a->used || a->ioas != ioas || a->slot >= slot + n || slot >= a->slot + a->n)
			continue;
		partial |= a->slot < slot || a->slot + a->n > slot + n;
		bytes += a->n * PAGE_SIZE;
	}
	if (partial)
		return; /* how much of it is done is told elsewhere (ioas_test.c) */
	ret = t_unmap(fd, ioas_id[ioas], iova_of(slot), n * PAGE_SIZE);
	assert_int_equal(ret, bytes ? 0 : -ENOENT);
	if (ret)
		return;
	assert_int_equal(t_unmapped, bytes);
	for (unsigned i = 0; i < AREAS; i++) {
		struct area *a = &areas[i];

		if (a->used && a->ioas == ioas && a->slot < slot + n && slot < a->slot + a->n) {
			drop_items(ioas, a->slot, a->n);
			a->used = false;
		}
	}
}

static void step_device(void)
{
	unsigned i = below(DEVICES), ioas = below(IOASES);
	u32 pt;

	if (!devices[i].used) {
		assert_int_equal(t_mock(fd, ioas_id[ioas], &devices[i].mock), 0);
		devices[i].used = true;
		devices[i].ioas = ioas;
	} else if (below(2)) {
		assert_int_equal(t_replace(fd, devices[i].mock.stdev, ioas_id[ioas], &pt), 0);
		devices[i].mock.hwpt = pt;
		devices[i].ioas = ioas;
	} else {
		assert_int_equal(t_destroy(fd, devices[i].mock.stdev), 0);
		devices[i].used = false;
	}
}

static void step_pin(void)
{
	struct item *item = &access_.items[below(ITEMS)];
	unsigned n = 1 + below(4), slot = below(IOVA_PAGES - n);
	bool all = true;
	long ret;

	if (item->used) {
		assert_int_equal(t_unpin(fd, access_.fd, item->id), 0);
		item->used = false;
		return;
	}
	for (unsigned i = 0; i < n; i++)
		all &= area_at(access_.ioas, slot + i) != NULL;
	ret = t_pin(fd, access_.fd, iova_of(slot), n * PAGE_SIZE, NULL);
	if (!all)
		assert_int_equal(ret, -ENOENT);
	else
		assert_true(ret >= 0);
	if (ret >= 0)
		*item = (struct item){ true, slot, n, (u32)ret };
}

static void step_move_access(void)
{
	unsigned ioas = below(IOASES);

	assert_int_equal(t_move_access(fd, access_.fd, ioas_id[ioas]), 0);
	if (ioas != access_.ioas)
		drop_items(access_.ioas, 0, IOVA_PAGES);
	access_.ioas = ioas;
}

/* ---- and what must hold afterwards ---- */

static void check_page_tables(void)
{
	unsigned i = below(DEVICES), slot = below(IOVA_PAGES);
	const struct area *a;

	if (!devices[i].used)
		return;
	for (unsigned k = 0; k < AREAS; k++)
		if (areas[k].used && areas[k].ioas == devices[i].ioas)
			assert_int_equal(t_check_map(fd, devices[i].mock.hwpt, iova_of(areas[k].slot), areas[k].n * PAGE_SIZE,
						     buffer + areas[k].buf * PAGE_SIZE), 0);
	a = area_at(devices[i].ioas, slot);
	if (!a)
		assert_int_equal(t_check_map(fd, devices[i].mock.hwpt, iova_of(slot), PAGE_SIZE, buffer), -EINVAL);
	for (unsigned k = 0; k < DEVICES; k++) /* those of one IOAS share the page table */
		if (devices[k].used && devices[k].ioas == devices[i].ioas)
			assert_int_equal(devices[k].mock.hwpt, devices[i].mock.hwpt);
}

static void check_refs(bool all)
{
	for (unsigned i = 0; i < (all ? BUF_PAGES : 4); i++) {
		unsigned page = all ? i : below(BUF_PAGES);

		assert_int_equal(t_check_refs(fd, buffer + page * PAGE_SIZE, PAGE_SIZE, refs_of(page)), 0);
	}
}

static void random_run(void **state)
{
	static void (*const kinds[])(void) = {
		step_map, step_map, step_map, step_copy, step_copy, step_unmap, step_unmap, step_device, step_pin, step_pin,
		step_move_access,
	};

	printf("seed %llu, %u steps\n", (unsigned long long)seed, steps);
	fd = t_open();
	buffer = mmap(NULL, BUF_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < IOASES; i++)
		ioas_id[i] = (u32)t_works(t_ioas_alloc(fd));
	assert_int_equal(t_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas_id[0], 0), 0);
	access_.fd = (int)t_works(t_access(fd, ioas_id[0], true));
	for (unsigned i = 0; i < steps; i++) {
		kinds[below(ARRAY_SIZE(kinds))]();
		check_page_tables();
		check_refs(i % 64 == 0);
	}
	check_refs(true);
	t_close(access_.fd);
	for (unsigned i = 0; i < ITEMS; i++)
		access_.items[i].used = false;
	check_refs(true);
	t_close(fd);
	fd = t_open();
	assert_int_equal(t_check_refs(fd, buffer, BUF_PAGES * PAGE_SIZE, 0), 0);
	t_close(fd);
	munmap(buffer, BUF_PAGES * PAGE_SIZE);
}

/* Off, it is as if there were none: this runs first. */
static void switched_off(void **state)
{
	struct iommu_test_cmd cmd = { 0 };
	int f = t_open();

	t_fails(t_test(f, IOMMU_TEST_OP_MOCK_DOMAIN, 1, &cmd), ENOTTY);
	iommufd_test_enable();
	t_fails(t_test(f, IOMMU_TEST_OP_MOCK_DOMAIN, 1, &cmd), ENOENT);
	t_close(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { T_TEST(switched_off), T_TEST(random_run) };

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)getpid() << 20 | 7;
	if (argc > 2)
		steps = (unsigned)strtoul(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
