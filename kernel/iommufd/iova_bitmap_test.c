/* SPDX-License-Identifier: BSD-3-Clause */
/* iova_bitmap_test.c - windows against a plain bitmap, at any alignment; bitmaps that are not there. */
#include "kernel/iommufd/iommufd_rig_test.h"
#include "kernel/iommufd/iova_bitmap.h"

#define BITS (3 * 8 * IOVA_BITMAP_WINDOW_BYTES + 77) /* more than three windows, and no whole byte */
#define PAGE 2048ull
#define BASE 0x12345000ull

/* Ranges to mark, in units of bytes. */
struct ranges {
	unsigned nr;
	u64 iova[64], last[64];
};

static void plain_set(u8 *bits, const struct ranges *r)
{
	for (unsigned i = 0; i < r->nr; i++)
		for (u64 bit = 0; bit < BITS; bit++) {
			u64 start = BASE + bit * PAGE;

			if (start <= r->last[i] && start + PAGE - 1 >= r->iova[i])
				bits[bit / 8] |= (u8)BIT(bit % 8);
		}
}

/* Walk all of it; ranges are told in the window that they begin in, as pages of a page table are. */
static unsigned walk(struct iova_bitmap *bitmap, const struct ranges *r)
{
	u64 at = bitmap->iova, last;
	unsigned windows = 0;

	for (;; at = last + 1) {
		last = iova_bitmap_seek(bitmap, at);
		for (unsigned i = 0; i < r->nr; i++)
			if (r->iova[i] >= at && r->iova[i] <= last)
				iova_bitmap_set(bitmap, r->iova[i], r->last[i]);
		iova_bitmap_flush(bitmap);
		windows++;
		if (last == bitmap->last)
			return windows;
	}
}

static u64 random_u64(u64 *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 17;
}

static void against_a_plain_bitmap(void **state)
{
	const size_t bytes = BITS / 8 + 1, room = bytes + 64;
	u8 *ours = malloc(room), *plain = malloc(room);
	u64 seed = 1;

	for (unsigned skew = 0; skew < 17; skew += 3) {
		struct ranges r = { .nr = 40 };
		struct iova_bitmap bitmap;

		for (unsigned i = 0; i < r.nr; i++) {
			r.iova[i] = BASE + random_u64(&seed) % (BITS * PAGE);
			r.last[i] = min(r.iova[i] + random_u64(&seed) % (1000 * PAGE), BASE + BITS * PAGE - 1);
		}
		for (size_t i = 0; i < room; i++) /* what is there stays */
			ours[i] = plain[i] = (u8)(random_u64(&seed) & random_u64(&seed) & random_u64(&seed));
		plain_set(plain + skew, &r);
		assert_int_equal(iova_bitmap_init(&bitmap, BASE, BITS * PAGE, PAGE, (uintptr_t)ours + skew), 0);
		assert_int_equal(walk(&bitmap, &r), 4);
		assert_memory_equal(ours, plain, room);
	}
	free(ours);
	free(plain);
}

/* Ranges that reach out of the bitmap on both sides, and the very last page of 64 bits. */
static void at_the_edges(void **state)
{
	struct iova_bitmap bitmap;
	u8 bits[4] = { 0 };

	assert_int_equal(iova_bitmap_init(&bitmap, 0ull - 12 * PAGE, 12 * PAGE, PAGE, (uintptr_t)bits), 0);
	assert_int_equal(iova_bitmap_seek(&bitmap, 0ull - 12 * PAGE), ~0ull);
	iova_bitmap_set(&bitmap, 0, ~0ull);
	assert_int_equal(bits[0], 0); /* not yet */
	iova_bitmap_flush(&bitmap);
	assert_int_equal(bits[0], 0xff);
	assert_int_equal(bits[1], 0x0f);
	assert_int_equal(bits[2], 0);
}

/* Windows may begin anywhere, and what was between them stays as it was. */
static void seeking(void **state)
{
	u8 *bits = calloc(1, BITS / 8 + 1);
	struct iova_bitmap bitmap;
	u64 far = BASE + (8 * IOVA_BITMAP_WINDOW_BYTES + 80) * PAGE;

	assert_int_equal(iova_bitmap_init(&bitmap, BASE, BITS * PAGE, PAGE, (uintptr_t)bits), 0);
	iova_bitmap_seek(&bitmap, BASE + 16 * PAGE);
	iova_bitmap_set(&bitmap, BASE, BASE + 17 * PAGE - 1);
	iova_bitmap_flush(&bitmap);
	assert_int_equal(bits[0], 0);
	assert_int_equal(bits[2], 1);
	/* A page over the window's end goes on in the next one, also if that begins later. */
	iova_bitmap_set(&bitmap, BASE + 20 * PAGE, far + 3 * PAGE - 1);
	iova_bitmap_flush(&bitmap);
	iova_bitmap_seek(&bitmap, far);
	iova_bitmap_flush(&bitmap);
	assert_int_equal(bits[IOVA_BITMAP_WINDOW_BYTES + 10], 7);
	assert_int_equal(bits[IOVA_BITMAP_WINDOW_BYTES + 11], 0);
	free(bits);
}

static void refused(void **state)
{
	struct iova_bitmap bitmap;

	explain_begin();
	t_fails(iova_bitmap_init(&bitmap, 0, 4096, 0, 0), EINVAL);
	t_fails(iova_bitmap_init(&bitmap, 0, 0, 4096, 0), EINVAL);
	t_fails(iova_bitmap_init(&bitmap, ~0ull, 4096, 4096, 0), EOVERFLOW);
}

/* What cannot be set is lost, with a note. */
static void not_there(void **state)
{
	const size_t room = 5 * PAGE_SIZE; /* of which one page is there */
	u8 *mem = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct ranges all = { .nr = 1, .iova = { BASE }, .last = { BASE + BITS * PAGE - 1 } }, none = { 0 };
	u64 where[] = { (uintptr_t)mem, 8, ~0ull - 8 };
	struct iova_bitmap bitmap;

	mprotect(mem + PAGE_SIZE, room - PAGE_SIZE, PROT_NONE);
	explain_begin();
	assert_int_equal(iova_bitmap_init(&bitmap, BASE, BITS * PAGE, PAGE, (uintptr_t)mem), 0);
	assert_int_equal(walk(&bitmap, &none), 4);
	assert_null(explain_take_notes());
	assert_int_equal(walk(&bitmap, &all), 4); /* from the second window on */
	assert_int_equal(mem[PAGE_SIZE - 1], 0xff);
	assert_non_null(explain_take_notes());
	mprotect(mem, PAGE_SIZE, PROT_READ);
	for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
		explain_begin();
		assert_int_equal(iova_bitmap_init(&bitmap, BASE, BITS * PAGE, PAGE, where[i]), 0);
		assert_in_range(walk(&bitmap, &all), 4, 5);
		assert_non_null(explain_take_notes());
	}
	munmap(mem, room);
}

/* Each page of the bitmap's memory is a window: what of it is there is set. */
static void partly_there(void **state)
{
	const size_t room = 6 * PAGE_SIZE;
	u8 *mem = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct ranges all = { .nr = 1, .iova = { BASE }, .last = { BASE + BITS * PAGE - 1 } };
	struct iova_bitmap bitmap;

	mprotect(mem + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	assert_int_equal(iova_bitmap_init(&bitmap, BASE, BITS * PAGE, PAGE, (uintptr_t)mem + PAGE_SIZE - 2), 0);
	assert_int_equal(iova_bitmap_seek(&bitmap, BASE), BASE + 16 * PAGE - 1);
	assert_in_range(walk(&bitmap, &all), 4, 5);
	assert_int_equal(mem[PAGE_SIZE - 3], 0);
	assert_int_equal(mem[PAGE_SIZE - 2], 0xff);
	assert_int_equal(mem[PAGE_SIZE - 1], 0xff);
	assert_int_equal(mem[2 * PAGE_SIZE], 0xff);
	munmap(mem, room);
}

/* Only the lowest bit of a page size counts. */
static void odd_page_size(void **state)
{
	struct iova_bitmap bitmap;
	u8 bits[4] = { 0 };

	assert_int_equal(iova_bitmap_init(&bitmap, 0x3000, 0x6000, 0x3000, (uintptr_t)bits), 0);
	assert_int_equal(iova_bitmap_seek(&bitmap, 0x3000), 0x8fff);
	iova_bitmap_set(&bitmap, 0, ~0ull);
	iova_bitmap_flush(&bitmap);
	assert_int_equal(bits[0], 0x3f);
	assert_int_equal(bits[1], 0);
}

static int setup(void **state)
{
	explain_enable();
	explain_set_sink(t_quiet);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(against_a_plain_bitmap), T_TEST(at_the_edges), T_TEST(seeking), T_TEST(refused), T_TEST(not_there),
		T_TEST(partly_there), T_TEST(odd_page_size),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
