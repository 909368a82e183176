/* SPDX-License-Identifier: BSD-3-Clause */
/* vma_test.c - cutting, protecting and finding mappings, against a plain array as the judge. */
#include "kernel/mm/mm_test.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernel/mm/mm_internal.h"

#define BASE 0x7000000000ull

static struct vm_area *insert(u64 page, u64 pages, u64 pgoff_pages)
{
	static const struct vma_file_ops file_ops = { fake_get, fake_put, fake_close_private };
	struct vm_area *vma;

	vma_file_register(&file_ops);
	vma = vma_alloc(fake_file(), BASE + page * PAGE_SIZE, pages * PAGE_SIZE, pgoff_pages * PAGE_SIZE,
			PROT_READ | PROT_WRITE);
	assert_non_null(vma);
	vma->ops = &bar_vm_ops;
	vma->private_data = &bar;
	vma_insert(mm_self(), vma);
	return vma;
}

static void remove_pages(u64 page, u64 pages)
{
	assert_int_equal(vma_remove(mm_self(), BASE + page * PAGE_SIZE, pages * PAGE_SIZE), 0);
}

/* What the area at @page says: file page and protection; -1 if there is none. */
static long at(u64 page)
{
	struct vm_area *vma = vma_find(mm_self(), BASE + page * PAGE_SIZE + 5);
	long ret = -1;

	if (vma) {
		assert_ptr_equal(vma->ops, &bar_vm_ops);
		assert_ptr_equal(vma->private_data, &bar);
		ret = (long)((vma->pgoff_bytes + BASE + page * PAGE_SIZE - vma->start) / PAGE_SIZE);
	}
	vma_put(vma);
	return ret;
}

static void finds_only_what_is_there(void **state)
{
	struct vm_area *vma;

	assert_null(vma_find(mm_self(), BASE));
	insert(10, 4, 100);
	assert_int_equal(at(9), -1);
	assert_int_equal(at(10), 100);
	assert_int_equal(at(13), 103);
	assert_int_equal(at(14), -1);
	insert(20, 1, 7);
	assert_null(vma_find_first(mm_self(), BASE + 14 * PAGE_SIZE, BASE + 20 * PAGE_SIZE - 1));
	vma = vma_find_first(mm_self(), BASE, BASE + 100 * PAGE_SIZE);
	assert_int_equal(vma->start, BASE + 10 * PAGE_SIZE);
	vma_put(vma);
	vma = vma_find_first(mm_self(), BASE + 14 * PAGE_SIZE, ~0ull);
	assert_int_equal(vma->start, BASE + 20 * PAGE_SIZE);
	vma_put(vma);
	assert_int_equal(fake_file_refs, 2);
	remove_pages(0, 100);
	assert_int_equal(fake_file_refs, 0);
	assert_int_equal(at(10), -1);
}

static void cuts_heads_tails_and_middles(void **state)
{
	insert(10, 10, 0);
	remove_pages(8, 4); /* head */
	assert_int_equal(at(11), -1);
	assert_int_equal(at(12), 2);
	remove_pages(18, 4); /* tail */
	assert_int_equal(at(17), 7);
	assert_int_equal(at(18), -1);
	remove_pages(14, 2); /* middle: two areas now */
	assert_int_equal(fake_file_refs, 2);
	assert_int_equal(at(13), 3);
	assert_int_equal(at(14), -1);
	assert_int_equal(at(15), -1);
	assert_int_equal(at(16), 6);
	remove_pages(13, 4); /* tail of one and head of the other */
	assert_int_equal(at(12), 2);
	assert_int_equal(at(17), 7);
	assert_int_equal(at(13), -1);
	remove_pages(13, 0);
	remove_pages(50, 3);
	assert_int_equal(fake_file_refs, 2);
	/* A length that wraps is all that is above. */
	assert_int_equal(vma_remove(mm_self(), BASE, ~0ull), 0);
	assert_int_equal(fake_file_refs, 0);
}

static void a_reference_outlives_removal(void **state)
{
	struct vm_area *vma;

	insert(0, 4, 9);
	vma = vma_find(mm_self(), BASE + PAGE_SIZE);
	remove_pages(0, 2);
	/* As it was: whoever holds it sees no half-made change. */
	assert_int_equal(vma->start, BASE);
	assert_int_equal(vma->last, BASE + 4 * PAGE_SIZE - 1);
	assert_int_equal(vma->pgoff_bytes, 9 * PAGE_SIZE);
	assert_int_equal(fake_file_refs, 2);
	vma_put(vma);
	assert_int_equal(fake_file_refs, 1);
	remove_pages(0, 4);
	vma_put(NULL);
	assert_int_equal(fake_file_refs, 0);
}

static int prot_at(u64 page)
{
	struct vm_area *vma = vma_find(mm_self(), BASE + page * PAGE_SIZE);
	int prot = vma ? vma->prot : -1;

	vma_put(vma);
	return prot;
}

static void protects_a_part(void **state)
{
	insert(0, 6, 40);
	assert_int_equal(vma_protect(mm_self(), BASE + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(fake_file_refs, 3);
	assert_int_equal(prot_at(1), PROT_READ | PROT_WRITE);
	assert_int_equal(prot_at(2), PROT_READ);
	assert_int_equal(prot_at(3), PROT_READ);
	assert_int_equal(prot_at(4), PROT_READ | PROT_WRITE);
	for (u64 page = 0; page < 6; page++)
		assert_int_equal(at(page), 40 + page);
	assert_int_equal(vma_protect(mm_self(), BASE, 100 * PAGE_SIZE, PROT_NONE), 0);
	assert_int_equal(prot_at(0), PROT_NONE);
	assert_int_equal(prot_at(5), PROT_NONE);
	assert_int_equal(prot_at(6), -1);
	remove_pages(0, 6);
	assert_int_equal(fake_file_refs, 0);
}

#define MODEL_PAGES 64

static void random_changes_match_a_plain_array(void **state)
{
	long model[MODEL_PAGES];
	unsigned seed = 20240607;

	for (int i = 0; i < MODEL_PAGES; i++)
		model[i] = -1;
	for (int step = 0; step < 3000; step++) {
		u64 page = (unsigned)rand_r(&seed) % MODEL_PAGES;
		u64 pages = 1 + (unsigned)rand_r(&seed) % (MODEL_PAGES - (unsigned)page);
		long pgoff = rand_r(&seed) % 1000;

		remove_pages(page, pages);
		for (u64 i = 0; i < pages; i++)
			model[page + i] = -1;
		if (step % 3) {
			insert(page, pages, (u64)pgoff);
			for (u64 i = 0; i < pages; i++)
				model[page + i] = pgoff + (long)i;
		}
		if (step % 7 == 0)
			assert_int_equal(
			    vma_protect(mm_self(), BASE + page * PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
		for (u64 i = 0; i < MODEL_PAGES; i++) {
			if (at(i) != model[i])
				print_error("seed 20240607, step %d, page %llu\n", step, (unsigned long long)i);
			assert_int_equal(at(i), model[i]);
		}
	}
	remove_pages(0, MODEL_PAGES);
	assert_int_equal(fake_file_refs, 0);
}

static void access_takes_natural_sizes(void **state)
{
	struct vm_area *vma = insert(0, 16, 0);
	u8 buf[32];

	bar.log[0] = '\0';
	assert_int_equal(vma_access(vma, BASE + 0x10, buf, 16, false), 0);
	assert_string_equal(bar.log, "r8@10 r8@18 ");
	bar.log[0] = '\0';
	assert_int_equal(vma_access(vma, BASE + 1, buf, 14, false), 0);
	assert_string_equal(bar.log, "r1@1 r2@2 r4@4 r4@8 r2@c r1@e ");
	bar.log[0] = '\0';
	assert_int_equal(vma_access(vma, BASE + 4, buf, 4, true), 0);
	assert_string_equal(bar.log, "w4@4 ");
	bar.log[0] = '\0';
	assert_int_equal(vma_access(vma, BASE + 6, buf, 7, true), 0);
	assert_string_equal(bar.log, "w2@6 w4@8 w1@c ");
	vma->ops = NULL;
	assert_int_equal(vma_access(vma, BASE, buf, 4, false), -EFAULT);
	vma->ops = &bar_vm_ops;
	remove_pages(0, 16);
}

static void count_one(struct vm_area *vma, void *arg)
{
	++*(int *)arg;
}

static void visits_by_private_data(void **state)
{
	int count = 0;

	insert(0, 2, 0);
	insert(5, 2, 0);
	insert(9, 2, 0)->private_data = NULL;
	vma_for_each_private(mm_self(), &bar, count_one, &count);
	assert_int_equal(count, 2);
	assert_int_equal(vma_remove(mm_self(), BASE, 100 * PAGE_SIZE), 0);
	vma_for_each_private(mm_self(), &bar, count_one, &count);
	assert_int_equal(count, 2);
}

/* One thread cuts and remaps, others look: each finds a whole area or none. */
static atomic_bool stop_looking;

static void *look_around(void *arg)
{
	while (!atomic_load(&stop_looking)) {
		struct vm_area *vma = vma_find(mm_self(), BASE + 3 * PAGE_SIZE);

		if (vma && (vma->start > BASE + 3 * PAGE_SIZE || vma->last < BASE + 3 * PAGE_SIZE ||
			    vma->pgoff_bytes != vma->start - BASE))
			return arg;
		vma_put(vma);
	}
	return NULL;
}

/* As in a child: another thread may have had the lock, and what it was at is nobody's any more. */
static void forgets_all(void **state)
{
	struct vm_area *vma = insert(1, 4, 0), *other = insert(8, 1, 0);

	locked_for_ever(&mm_self()->vma_lock);
	vma_forget_all(mm_self());
	assert_null(vma_find_first(mm_self(), 0, ~0ull));
	assert_false(mm_may_touch_vma(mm_self(), BASE, BASE + 100 * PAGE_SIZE));
	assert_int_equal(fake_file_refs, 2); /* kept */
	remove_pages(1, 4);
	assert_int_equal(fake_file_refs, 2);
	insert(2, 1, 50);
	assert_int_equal(at(1), -1);
	assert_int_equal(at(2), 50);
	remove_pages(2, 1);
	assert_int_equal(fake_file_refs, 2);
	vma_put(vma);
	vma_put(other);
	assert_int_equal(fake_file_refs, 0);
}

static void lookers_see_whole_areas(void **state)
{
	pthread_t threads[2];
	void *bad;

	/* The plain counter of the fake file is for one thread. */
	vma_file_register(NULL);
	atomic_store(&stop_looking, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_around, &bar), 0);
	for (int i = 0; i < 2000; i++) {
		struct vm_area *vma = vma_alloc(NULL, BASE, 8 * PAGE_SIZE, 0, PROT_READ);

		vma_insert(mm_self(), vma);
		remove_pages((u64)(i % 3), 2);
		remove_pages(0, 8);
	}
	atomic_store(&stop_looking, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(finds_only_what_is_there),
		GUARDED_TEST(cuts_heads_tails_and_middles),
		GUARDED_TEST(a_reference_outlives_removal),
		GUARDED_TEST(protects_a_part),
		GUARDED_TEST(random_changes_match_a_plain_array),
		GUARDED_TEST(access_takes_natural_sizes),
		GUARDED_TEST(visits_by_private_data),
		GUARDED_TEST(forgets_all),
		GUARDED_TEST(lookers_see_whole_areas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
