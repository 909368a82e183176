/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest_pt_test.c - the mock IOMMU's page tables against a flat list of mappings, in both formats.
 *
 * usage: selftest_pt_test [SEED]    replays a random run
 */
#include "kernel/iommufd/iommufd_rig_test.h"
#include "kernel/iommufd/selftest_pt.h"

#define MiB (1ull << 20)
#define PHYS 0x7f0000000000ull

static u64 seed = 1;

static u64 random_below(u64 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 20) % n;
}

static void sizes(void **state)
{
	struct mock_page page;
	struct mock_pt pt;

	assert_int_equal(mock_pt_init(&pt, MOCK_PT_DEFAULT), 0);
	assert_int_equal(mock_pt_pgsizes(MOCK_PT_DEFAULT) & -mock_pt_pgsizes(MOCK_PT_DEFAULT), 2048);
	/* 2 KiB, then 4, then 8, up to where alignment and length allow. */
	assert_int_equal(mock_pt_map(&pt, 0x1000800, PHYS + 0x800, 0x7800, IOMMU_READ), 0);
	assert_true(mock_pt_lookup(&pt, 0x1000800, &page));
	assert_int_equal(page.bytes, 0x800);
	assert_true(mock_pt_lookup(&pt, 0x1001fff, &page));
	assert_int_equal(page.iova, 0x1001000);
	assert_int_equal(page.bytes, 0x1000);
	assert_int_equal(page.phys, PHYS + 0x1000);
	assert_int_equal(page.prot, IOMMU_READ);
	assert_true(mock_pt_lookup(&pt, 0x1007000, &page));
	assert_int_equal(page.bytes, 0x4000);
	assert_false(mock_pt_lookup(&pt, 0x10007ff, &page));
	assert_false(mock_pt_lookup(&pt, 0x1008000, &page));
	/* One large page. */
	assert_int_equal(mock_pt_map(&pt, 0x2000000, PHYS, MiB, IOMMU_WRITE), 0);
	assert_true(mock_pt_lookup(&pt, 0x20fffff, &page));
	assert_int_equal(page.bytes, MiB);
	/* Nothing is taken for something else beyond what the format translates. */
	assert_false(mock_pt_lookup(&pt, 0x82000000, &page));
	assert_false(mock_pt_next(&pt, 0x82000000, ~0ull, &page));
	assert_int_equal(mock_pt_unmap(&pt, 0x82000000, MiB), 0);
	mock_pt_destroy(&pt);

	assert_int_equal(mock_pt_init(&pt, MOCK_PT_HUGE), 0);
	assert_int_equal(mock_pt_map(&pt, (1ull << 42) - 2 * MiB, PHYS, 2 * MiB, IOMMU_READ), 0);
	assert_true(mock_pt_lookup(&pt, (1ull << 42) - 1, &page));
	assert_int_equal(page.bytes, MiB);
	assert_int_equal(page.phys, PHYS + MiB);
	assert_int_equal(mock_pt_map(&pt, 1ull << 37, PHYS + 0x1000, 2 * MiB, IOMMU_READ), 0);
	assert_true(mock_pt_lookup(&pt, (1ull << 37) + MiB, &page));
	assert_int_equal(page.bytes, 4096); /* iova and address are not aligned alike */
	assert_int_equal(mock_pt_unmap(&pt, (1ull << 42) - 2 * MiB, 2 * MiB), 2 * MiB);
	assert_int_equal(mock_pt_unmap(&pt, 0, ~0ull), 2 * MiB);
	mock_pt_destroy(&pt);
}

static void all_or_nothing(void **state)
{
	struct mock_page page;
	struct mock_pt pt;

	assert_int_equal(mock_pt_init(&pt, MOCK_PT_DEFAULT), 0);
	assert_int_equal(mock_pt_map(&pt, 0x1100000 - 0x800, PHYS, 0x800, IOMMU_READ), 0);
	explain_begin();
	t_fails(mock_pt_map(&pt, 0x1000000, PHYS, 2 * MiB, IOMMU_READ), EEXIST);
	assert_false(mock_pt_lookup(&pt, 0x1000000, &page));
	assert_false(mock_pt_lookup(&pt, 0x1100000, &page));
	t_fails(mock_pt_map(&pt, 0x1080000, PHYS, MiB, IOMMU_READ), EEXIST);
	assert_false(mock_pt_next(&pt, 0, 0x10fefff, &page));
	/* A large page over a table that has become empty; small ones below a large page. */
	assert_int_equal(mock_pt_unmap(&pt, 0, 0x80000000), 0x800);
	assert_int_equal(mock_pt_map(&pt, 0x1000000, PHYS, MiB, IOMMU_READ), 0);
	t_fails(mock_pt_map(&pt, 0x1000800, PHYS + 0x800, 0x800, IOMMU_READ), EEXIST);
	/* A page that is larger than asked for goes whole. */
	assert_int_equal(mock_pt_unmap(&pt, 0x1000800, 0x800), MiB);
	mock_pt_destroy(&pt);
}

static void dirty(void **state)
{
	struct mock_page page;
	struct mock_pt pt;

	assert_int_equal(mock_pt_init(&pt, MOCK_PT_DEFAULT), 0);
	assert_int_equal(mock_pt_map(&pt, 0x1000000, PHYS, 0x2000, IOMMU_READ), 0);
	assert_true(mock_pt_set_dirty(&pt, 0x1001800, true)); /* of one page, by its last entry */
	assert_true(mock_pt_lookup(&pt, 0x1000000, &page));
	assert_true(page.dirty);
	assert_true(mock_pt_set_dirty(&pt, 0x1000000, false));
	assert_true(mock_pt_lookup(&pt, 0x1001800, &page));
	assert_false(page.dirty);
	assert_false(mock_pt_set_dirty(&pt, 0x1002000, true));
	mock_pt_destroy(&pt);
}

/* ---- a random run ---- */

#define SLOTS 64
#define STEPS 3000

struct model {
	u64 iova, len, phys; /* len 0: free */
};

static bool overlaps(const struct model *model, u64 iova, u64 len)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (model[i].len && model[i].iova < iova + len && iova < model[i].iova + model[i].len)
			return true;
	return false;
}

static void check_one(struct mock_pt *pt, const struct model *model, u64 iova)
{
	struct mock_page page;
	bool found = mock_pt_lookup(pt, iova, &page);

	for (unsigned i = 0; i < SLOTS; i++) {
		if (!model[i].len || iova < model[i].iova || iova - model[i].iova >= model[i].len)
			continue;
		assert_true(found);
		assert_int_equal(page.phys + (iova - page.iova), model[i].phys + (iova - model[i].iova));
		assert_true(page.iova >= model[i].iova && page.iova + page.bytes <= model[i].iova + model[i].len);
		return;
	}
	assert_false(found);
}

static void random_run(enum mock_pagetable_type type, u64 base)
{
	const u64 unit = type == MOCK_PT_HUGE ? 4096 : 2048;
	struct model model[SLOTS] = { 0 };
	u64 start = seed;
	struct mock_pt pt;

	printf("seed %llu\n", (unsigned long long)start);
	assert_int_equal(mock_pt_init(&pt, type), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		struct model *m = &model[random_below(SLOTS)];
		u64 len = unit * (1 + random_below(random_below(4) ? 40 : 1200));
		u64 iova = base + unit * random_below(16384);

		if (m->len) {
			assert_int_equal(mock_pt_unmap(&pt, m->iova, m->len), m->len);
			m->len = 0;
		} else if (overlaps(model, iova, len)) {
			assert_int_equal(mock_pt_map(&pt, iova, PHYS, len, IOMMU_READ), -EEXIST);
		} else {
			u64 phys = PHYS + unit * random_below(1 << 20);

			if (random_below(2)) /* aligned alike */
				phys = PHYS + (iova & (8 * MiB - 1));
			assert_int_equal(mock_pt_map(&pt, iova, phys, len, IOMMU_READ), 0);
			*m = (struct model){ iova, len, phys };
		}
		for (unsigned i = 0; i < 8; i++)
			check_one(&pt, model, base + random_below(17000 * unit));
		if (m->len) {
			check_one(&pt, model, m->iova);
			check_one(&pt, model, m->iova + m->len - 1);
			check_one(&pt, model, m->iova + m->len);
		}
	}
	mock_pt_destroy(&pt);
}

static void random_default(void **state) { random_run(MOCK_PT_DEFAULT, MOCK_APERTURE_START); }
static void random_huge(void **state) { random_run(MOCK_PT_HUGE, (1ull << 41) + 0x10000000); }

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes), cmocka_unit_test(all_or_nothing), cmocka_unit_test(dirty),
		cmocka_unit_test(random_default), cmocka_unit_test(random_huge),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)getpid() << 20 | 1;
	explain_enable();
	explain_set_sink(t_quiet);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
