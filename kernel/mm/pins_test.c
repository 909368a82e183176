/* SPDX-License-Identifier: BSD-3-Clause */
/* pins_test.c - pins in the table, and pinned pages that leave their address; phys_read() is the device. */
#include "kernel/mm/mm_test.h"
#include "kernel/mm/pins.h"

#include <stdlib.h>
#include <time.h>

static u8 *pages_at(void *where, size_t pages, int prot)
{
	u8 *p = mmap(where, pages * PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0), -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static phys_addr_t pin(u8 *p, size_t pages)
{
	phys_addr_t pa;

	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, pages * PAGE_SIZE, true, &pa), 0);
	return pa;
}

static void unpin(phys_addr_t pa, size_t pages)
{
	mm_unpin(pa, pages * PAGE_SIZE);
}

static void fill(u8 *p, size_t pages, int byte)
{
	for (size_t i = 0; i < pages; i++)
		memset(p + i * PAGE_SIZE, byte + (int)i, PAGE_SIZE);
}

static void device_sees(phys_addr_t pa, int byte)
{
	u8 buf[2];

	assert_int_equal(phys_read(pa, buf, 1), 0);
	assert_int_equal(phys_read(pa + PAGE_SIZE - 1, buf + 1, 1), 0);
	assert_int_equal(buf[0], byte);
	assert_int_equal(buf[1], byte);
}

/* As the front end does it. */
static int program_munmap(u8 *p, size_t pages)
{
	struct pins_change c;
	int err;

	pins_change_begin(&c, "munmap");
	err = pins_change_leave(&c, (uintptr_t)p, pages * PAGE_SIZE);
	if (!err)
		assert_int_equal(munmap(p, pages * PAGE_SIZE), 0);
	pins_change_end(&c, !err);
	return err;
}

/* All of user space, and taken back. */
static int immense_munmap_undone(void)
{
	struct pins_change c;
	int err;

	pins_change_begin(&c, "munmap");
	err = pins_change_leave(&c, PAGE_SIZE, (1ull << 47) - 2 * PAGE_SIZE);
	pins_change_end(&c, false);
	return err;
}

static bool mapped(const void *p)
{
	unsigned char vec;

	return !mincore((void *)p, PAGE_SIZE, &vec);
}

static bool nothing_is_near(const u8 *p)
{
	return !mm_pins_near((uintptr_t)p, PAGE_SIZE) && !mm_pins_near(0, 1ull << 47);
}

static char said[256];

static void hear(const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

static void the_user_is_told(void **state)
{
	u8 *p = pages_at(NULL, 2, PROT_READ | PROT_WRITE);
	phys_addr_t pa = pin(p, 1);

	explain_enabled = true;
	explain_set_sink(hear);
	said[0] = '\0';
	assert_int_equal(program_munmap(p + PAGE_SIZE, 1), 0);
	assert_string_equal(said, "");
	assert_int_equal(program_munmap(p, 1), 0);
	assert_non_null(strstr(said, "munmap of [0x"));
	assert_non_null(strstr(said, "the device keeps the old pages"));
	unpin(pa, 1);
	explain_enabled = false;
}

static void old_pages_stay(void **state)
{
	u8 *p = pages_at(NULL, 4, PROT_READ | PROT_WRITE), buf[2 * PAGE_SIZE];
	void *hidden;
	phys_addr_t pa;

	fill(p, 4, 1);
	pa = pin(p, 4);
	assert_int_equal(program_munmap(p + PAGE_SIZE, 2), 0);
	assert_false(mapped(p + PAGE_SIZE));
	assert_int_equal(immense_munmap_undone(), 0);
	pages_at(p + PAGE_SIZE, 2, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 4; i++)
		device_sees(pa + i * PAGE_SIZE, 1 + i);
	/* One transfer over where neighbours lie apart. */
	memset(buf, 9, sizeof(buf));
	assert_int_equal(phys_write(pa + PAGE_SIZE / 2, buf, sizeof(buf)), 0);
	assert_int_equal(p[PAGE_SIZE / 2], 9);
	assert_int_equal(p[PAGE_SIZE], 0);
	assert_int_equal(p[2 * PAGE_SIZE], 0);
	device_sees(pa + PAGE_SIZE, 9);
	hidden = phys_host_ptr(pa + PAGE_SIZE);
	assert_true(mapped(hidden));
	unpin(pa, 4);
	assert_false(mapped(hidden));
	assert_ptr_equal(phys_host_ptr(pa + PAGE_SIZE), p + PAGE_SIZE);
	assert_true(nothing_is_near(p));
	munmap(p, 4 * PAGE_SIZE);
}

static void what_failed_comes_back(void **state)
{
	u8 *p = pages_at(NULL, 3, PROT_READ | PROT_WRITE);
	struct pins_change c;
	phys_addr_t pa, second;
	void *hidden;

	fill(p, 3, 1);
	pa = pin(p, 3);
	second = pin(p + PAGE_SIZE, 1);
	for (int copy = 0; copy < 2; copy++) {
		pins_change_begin(&c, "test");
		assert_int_equal(copy ? pins_change_copy(&c, (uintptr_t)p + PAGE_SIZE, 2 * PAGE_SIZE)
				      : pins_change_leave(&c, (uintptr_t)p + PAGE_SIZE, 2 * PAGE_SIZE), 0);
		assert_true(c.held);
		hidden = phys_host_ptr(pa + PAGE_SIZE);
		assert_ptr_not_equal(hidden, p + PAGE_SIZE);
		assert_int_equal(p[PAGE_SIZE], copy ? 2 : 0);
		pins_change_end(&c, false);
		assert_false(mapped(hidden));
		assert_ptr_equal(phys_host_ptr(pa + PAGE_SIZE), p + PAGE_SIZE);
		assert_int_equal(p[PAGE_SIZE], 2);
		assert_int_equal(p[2 * PAGE_SIZE], 3);
		assert_false(atomic_load(&redirects_any));
	}
	unpin(second, 1);
	unpin(pa, 3);
	munmap(p, 3 * PAGE_SIZE);
}

static void generations_have_slots(void **state)
{
	u8 *p = pages_at(NULL, 1, PROT_READ | PROT_WRITE);
	phys_addr_t pa[PHYS_SLOT_PROCESS], none;

	explain_enabled = true;
	for (int i = 1; i < PHYS_SLOT_PROCESS; i++) {
		fill(p, 1, i);
		pa[i] = pin(p, 1);
		assert_int_equal(pa[i], (u64)i << PHYS_SLOT_SHIFT | (uintptr_t)p);
		assert_int_equal(program_munmap(p, 1), 0);
		pages_at(p, 1, PROT_READ | PROT_WRITE);
	}
	explain_begin();
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, PAGE_SIZE, true, &none), -ENOMEM);
	assert_non_null(explain_take());
	for (int i = 1; i < PHYS_SLOT_PROCESS; i++)
		device_sees(pa[i], i);
	unpin(pa[7], 1);
	pa[7] = pin(p, 1);
	assert_int_equal(pa[7] >> PHYS_SLOT_SHIFT, 7);
	for (int i = 1; i < PHYS_SLOT_PROCESS; i++)
		unpin(pa[i], 1);
	assert_true(nothing_is_near(p));
	munmap(p, PAGE_SIZE);
	explain_enabled = false;
}

static void moved_pages_are_followed(void **state)
{
	u8 *p = pages_at(NULL, 3, PROT_READ | PROT_WRITE), *q = pages_at(NULL, 3, PROT_READ | PROT_WRITE);
	struct pins_change c;
	phys_addr_t pa;

	fill(p, 3, 1);
	pa = pin(p, 3);
	pins_change_begin(&c, "mremap");
	assert_int_equal(pins_change_prepare(&c, (uintptr_t)p, 2 * PAGE_SIZE), 0);
	assert_ptr_equal(mremap(p, 2 * PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q), q);
	pins_change_moved(&c, (uintptr_t)p, 2 * PAGE_SIZE, (uintptr_t)q);
	pins_change_end(&c, true);
	assert_ptr_equal(phys_host_ptr(pa + PAGE_SIZE), q + PAGE_SIZE);
	assert_ptr_equal(phys_host_ptr(pa + 2 * PAGE_SIZE), p + 2 * PAGE_SIZE);
	/* Part of the new place goes. */
	assert_int_equal(program_munmap(q + PAGE_SIZE, 1), 0);
	device_sees(pa + PAGE_SIZE, 2);
	assert_ptr_equal(phys_host_ptr(pa), q);
	unpin(pa, 3);
	assert_int_equal(q[0], 1);
	assert_true(nothing_is_near(p));
	munmap(p, 3 * PAGE_SIZE);
	munmap(q, 3 * PAGE_SIZE);
}

static void rights_stay(void **state)
{
	static const int prots[] = { PROT_READ, PROT_NONE };
	u8 byte = 77;

	for (int shared = 0; shared < 2; shared++)
		for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
			u8 *p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
			phys_addr_t pa = pin(p, 1);

			fill(p, 1, 5);
			pins_protected((uintptr_t)p, PAGE_SIZE);
			mprotect(p, PAGE_SIZE, prots[i]);
			device_sees(pa, 5);
			assert_int_equal(phys_write(pa + 1, &byte, 1), 0);
			mprotect(p, PAGE_SIZE, PROT_READ);
			assert_int_equal(p[1], 77);
			munmap(p, PAGE_SIZE); /* not told: gone */
			assert_int_equal(phys_write(pa, &byte, 1), -EFAULT);
			unpin(pa, 1);
		}
}

/* ---- the notifier ---- */

static int stopped, stops;

static void stop(void *ctx)
{
	assert_int_equal(stopped++, 0);
	stops++;
}

static void go(void *ctx)
{
	assert_int_equal(--stopped, 0);
}

static void dma_stops_only_for_pinned_memory(void **state)
{
	static const struct mmu_notifier_ops ops = { stop, go };
	u8 *p = pages_at(NULL, 3, PROT_READ | PROT_WRITE);
	phys_addr_t pa;

	mmu_notifier_register(&ops, NULL);
	pa = pin(p, 1);
	unpin(pa, 1);
	pa = pin(p, 1);
	assert_int_equal(program_munmap(p + PAGE_SIZE, 1), 0);
	assert_int_equal(stops, 0);
	assert_int_equal(program_munmap(p, 1), 0);
	assert_int_equal(stops, 1);
	unpin(pa, 1);
	assert_int_equal(stops, 2);
	assert_int_equal(stopped, 0);
	mmu_notifier_register(NULL, NULL);
	munmap(p, 3 * PAGE_SIZE);
}

/* ---- the table against a list ---- */

#define MODEL 3000
static struct pin model[MODEL];
static bool seen[MODEL];

static bool see(const struct pin *pin, void *arg)
{
	for (int i = 0; i < MODEL; i++)
		if (model[i].at == pin->at && model[i].pages == pin->pages)
			seen[i] = true;
	++*(int *)arg;
	return false;
}

static void model_del(int i)
{
	pins_del_locked(pin_slot(&model[i]), pin_start(&model[i]), (u64)model[i].pages << PAGE_SHIFT);
	model[i].at = 0;
}

static void check_range(u64 first, u64 last)
{
	int found = 0;

	memset(seen, 0, sizeof(seen));
	pins_visit_locked(first, last, see, &found);
	for (int i = 0; i < MODEL; i++)
		assert_int_equal(seen[i], model[i].at && pin_start(&model[i]) <= last &&
						  pin_last(&model[i]) >= first);
}

static void table_is_a_list(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	mutex_lock(&pins_lock);
	for (int step = 0; step < 30000; step++) {
		int i = rand() % MODEL;
		u64 pages = 1ull << rand() % (rand() % 8 ? 4 : 20);

		if (model[i].at) {
			model_del(i);
		} else {
			model[i].pages = pages + rand() % pages;
			model[i].at = (u64)(rand() % 100000 + 1) << PAGE_SHIFT | (1 + rand() % 30);
			assert_int_equal(pins_add_locked(pin_slot(&model[i]), pin_start(&model[i]),
							 (u64)model[i].pages << PAGE_SHIFT), 0);
		}
		if (step % 100 == 0) {
			u64 first = (u64)(rand() % 100000) << PAGE_SHIFT;

			check_range(first, first + ((1ull + rand() % 64) << PAGE_SHIFT) - 1);
			check_range(first, first + (1ull << 34));
		}
	}
	for (int i = 0; i < MODEL; i++)
		if (model[i].at)
			model_del(i);
	memset(model, 0, sizeof(model));
	check_range(0, ~0ull >> 17);
	pins_narrow_locked();
	mutex_unlock(&pins_lock);
	assert_true(nothing_is_near(NULL));
}

/* ---- pins that devices of another process have ---- */

static struct {
	unsigned calls;
	u64 start, len;
	int answer;
} left;

static int leave_elsewhere(u64 start, u64 len_bytes)
{
	left.calls++;
	left.start = start;
	left.len = len_bytes;
	return left.answer;
}

/* As the front end does it, nothing moved. */
static int program_moves(u8 *p, size_t pages)
{
	struct pins_change c;
	int err = 0;

	if (!mm_pins_near((uintptr_t)p, pages * PAGE_SIZE))
		return 0;
	pins_change_begin(&c, "mremap");
	err = pins_change_prepare(&c, (uintptr_t)p, pages * PAGE_SIZE);
	if (!err)
		pins_change_moved(&c, (uintptr_t)p, pages * PAGE_SIZE, (uintptr_t)p + (1ull << 30));
	pins_change_end(&c, !err);
	return err;
}

static void pinned_elsewhere(void **state)
{
	u8 *p = pages_at(NULL, 8, PROT_READ | PROT_WRITE);
	struct pins_change c;

	memset(&left, 0, sizeof(left));
	pins_elsewhere_set((uintptr_t)(p + 2 * PAGE_SIZE), (uintptr_t)(p + 4 * PAGE_SIZE) - 1, leave_elsewhere);
	assert_false(mm_pins_near((uintptr_t)p, 2 * PAGE_SIZE));
	assert_true(mm_pins_near((uintptr_t)p, 3 * PAGE_SIZE));
	assert_false(mm_pins_near((uintptr_t)(p + 4 * PAGE_SIZE), PAGE_SIZE));
	assert_int_equal(program_munmap(p + 5 * PAGE_SIZE, 1), 0);
	assert_int_equal(left.calls, 0);

	/* The other process is told of what the program names, and the call goes on. */
	assert_int_equal(program_munmap(p + 3 * PAGE_SIZE, 2), 0);
	assert_int_equal(left.calls, 1);
	assert_int_equal(left.start, (uintptr_t)(p + 3 * PAGE_SIZE));
	assert_int_equal(left.len, 2 * PAGE_SIZE);
	assert_false(mapped(p + 3 * PAGE_SIZE));
	pins_change_begin(&c, "madvise");
	assert_int_equal(pins_change_copy(&c, (uintptr_t)(p + 2 * PAGE_SIZE), PAGE_SIZE), 0);
	pins_change_end(&c, true);
	assert_int_equal(left.calls, 2);
	assert_int_equal(left.start, (uintptr_t)(p + 2 * PAGE_SIZE));
	assert_int_equal(program_moves(p, 4), 0);
	assert_int_equal(left.calls, 3);
	assert_int_equal(left.len, 4 * PAGE_SIZE);

	/* Where it has no memory for them, the call fails with nothing changed. */
	left.answer = -ENOMEM;
	assert_int_equal(program_munmap(p + 2 * PAGE_SIZE, 1), -ENOMEM);
	assert_true(mapped(p + 2 * PAGE_SIZE));
	assert_int_equal(program_moves(p + 2 * PAGE_SIZE, 1), -ENOMEM);

	left.calls = 0;
	pins_elsewhere_set(~0ull, 0, leave_elsewhere);
	assert_int_equal(program_munmap(p + 2 * PAGE_SIZE, 1), 0);
	assert_int_equal(program_moves(p, 2), 0);
	assert_int_equal(left.calls, 0);
	pins_elsewhere_set(~0ull, 0, NULL);
	assert_true(nothing_is_near(p));
	munmap(p, 8 * PAGE_SIZE);
}

static void pins_are_forgotten(void **state)
{
	u8 *p = pages_at(NULL, 2, PROT_READ | PROT_WRITE);
	phys_addr_t pa = pin(p, 2);

	locked_for_ever(&pins_lock);
	pins_forget();
	assert_true(nothing_is_near(p));
	assert_int_equal(mm_pin_count(mm_self(), (uintptr_t)p), 0);
	pa = pin(p, 1);
	assert_int_equal(mm_pin_count(mm_self(), (uintptr_t)p), 1);
	unpin(pa, 1);
	assert_true(nothing_is_near(p));
	munmap(p, 2 * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(the_user_is_told),
		GUARDED_TEST(old_pages_stay),
		GUARDED_TEST(what_failed_comes_back),
		GUARDED_TEST(generations_have_slots),
		GUARDED_TEST(moved_pages_are_followed),
		GUARDED_TEST(rights_stay),
		GUARDED_TEST(dma_stops_only_for_pinned_memory),
		GUARDED_TEST(table_is_a_list),
		GUARDED_TEST(pinned_elsewhere),
		GUARDED_TEST(pins_are_forgotten),
	};

	explain_set_sink(hear);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
