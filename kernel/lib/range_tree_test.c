/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * range_tree_test.c - the tree held against an array in which each number says what it belongs to.
 *
 * SEED=N in the environment replays a run; STEPS=M lengthens it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/lib/nomem_test.h"
#include "kernel/lib/range_tree.h"

#define NUMBERS 4096u

struct item {
	u64 first, last;
};

static u64 seed;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

/* ---- the model: NUMBERS numbers from base on ---- */

static struct item *owner[NUMBERS];
static u64 base;

static bool is_free(unsigned at, unsigned len)
{
	for (unsigned i = at; i < at + len; i++)
		if (owner[i])
			return false;
	return true;
}

static void put(struct range_tree *tree, unsigned at, unsigned len)
{
	struct item *item = malloc(sizeof(*item));

	assert_non_null(item);
	*item = (struct item){ base + at, base + at + len - 1 };
	assert_int_equal(range_tree_insert(tree, item->first, item->last, item), 0);
	for (unsigned i = at; i < at + len; i++)
		owner[i] = item;
}

static void take(struct range_tree *tree, struct item *item)
{
	assert_ptr_equal(range_tree_remove(tree, item->first), item);
	for (u64 i = item->first; i <= item->last && i >= item->first; i++)
		owner[i - base] = NULL;
	free(item);
}

static void shorten(struct range_tree *tree, struct item *item)
{
	const u64 last = item->first + below((unsigned)(item->last - item->first) + 1);

	range_tree_set_last(tree, item->first, last);
	for (u64 i = last + 1; i <= item->last && i; i++)
		owner[i - base] = NULL;
	item->last = last;
}

static void check_find(struct range_tree *tree, unsigned at)
{
	const struct item *found = range_tree_find(tree, base + at);

	while (at < NUMBERS && !owner[at])
		at++;
	assert_ptr_equal(found, at < NUMBERS ? owner[at] : NULL);
}

/* Below base everything is free, and above the last number too unless that is the very last. */
static void check_gap(struct range_tree *tree, unsigned at, unsigned len)
{
	u64 first, last;
	bool found = range_tree_gap(tree, base + at, len, &first, &last), top = base + NUMBERS == 0;
	unsigned end;

	for (; at < NUMBERS; at = end + 1) {
		while (at < NUMBERS && owner[at])
			at++;
		for (end = at; end < NUMBERS && !owner[end]; end++)
			;
		if (at < NUMBERS && ((end == NUMBERS && !top) || end - at >= len))
			break;
	}
	at = at > NUMBERS ? NUMBERS : at;
	if (top && at == NUMBERS) {
		assert_false(found);
		return;
	}
	assert_true(found);
	assert_int_equal(first, base + at);
	if (at < NUMBERS && end < NUMBERS)
		assert_int_equal(last, base + end - 1);
	else
		assert_int_equal(last, ~0ull);
}

static void check_order(struct range_tree *tree)
{
	const struct item *item = range_tree_find(tree, 0);
	u64 count = 0;

	for (unsigned i = 0; i < NUMBERS; i++) {
		if (!owner[i] || owner[i]->first != base + i)
			continue;
		assert_ptr_equal(item, owner[i]);
		item = range_tree_after(tree, item->last);
		count++;
	}
	assert_null(item);
	assert_int_equal(tree->count, count);
	assert_true(range_tree_valid(tree));
}

/* All that lie within some numbers, some at a time. */
static void take_some(struct range_tree *tree, unsigned at, unsigned len)
{
	const u64 last = base + at + len - 1;
	void *items[RANGE_TREE_SOME];
	unsigned count;

	while (at > 0 && owner[at] && owner[at]->first != base + at)
		at--;
	while ((count = range_tree_remove_some(tree, base + at, last, items))) {
		for (unsigned n = 0; n < count; n++) {
			struct item *item = items[n];

			while (!owner[at])
				at++;
			assert_ptr_equal(item, owner[at]);
			assert_true(item->last <= last);
			for (; base + at != item->last; at++)
				owner[at] = NULL;
			owner[at] = NULL;
			free(item);
		}
	}
	while (base + at != last && !owner[at])
		at++;
	assert_true(!owner[at] || owner[at]->last > last);
}

/* It grows and shrinks by turns. */
static void step(struct range_tree *tree, unsigned n)
{
	const bool more = n / 3000 % 2 == 0;
	const unsigned len = 1 + below(below(8) ? 2 : 40), at = below(NUMBERS - len + 1);

	if (owner[at] && (!more || below(8) == 0))
		take(tree, owner[at]);
	else if (owner[at] && below(8) == 0)
		shorten(tree, owner[at]);
	else if (is_free(at, len) && (more || below(8) == 0))
		put(tree, at, len);
	if (below(256) == 0)
		take_some(tree, at, min(NUMBERS - at, len * 8));
	check_find(tree, below(NUMBERS));
	check_gap(tree, below(NUMBERS), 1 + below(below(2) ? 4 : 60));
}

static void random_steps_from(u64 from)
{
	const unsigned steps = getenv("STEPS") ? (unsigned)atoi(getenv("STEPS")) : 40000;
	struct range_tree tree = { 0 };

	base = from;
	memset(owner, 0, sizeof(owner));
	for (unsigned n = 0; n < steps; n++) {
		step(&tree, n);
		if (n % 64 == 0)
			check_order(&tree);
	}
	check_order(&tree);
	for (unsigned i = 0; i < NUMBERS; i++)
		if (owner[i])
			take(&tree, owner[i]);
	assert_true(range_tree_empty(&tree) && range_tree_valid(&tree));
	range_tree_destroy(&tree);
}

static void test_random(void **state)
{
	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (u64)time(NULL) * 1000003;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	random_steps_from(0);
	random_steps_from(1ull << 40);
	random_steps_from(-(u64)NUMBERS); /* up to the very top */
}

/* ---- many ---- */

enum { MANY = 60000 };

/* In whatever order they come, in whatever order they go. */
static void many(unsigned (*come)(unsigned i), unsigned (*go)(unsigned i))
{
	static struct item items[MANY];
	struct range_tree tree = { 0 };
	u64 first, last;

	for (unsigned i = 0; i < MANY; i++) {
		struct item *item = &items[come(i)];

		*item = (struct item){ come(i) * 10ull, come(i) * 10ull + 5 };
		assert_int_equal(range_tree_insert(&tree, item->first, item->last, item), 0);
	}
	assert_true(range_tree_valid(&tree));
	assert_true(tree.height <= 5);
	for (unsigned i = 0; i < MANY; i += 7)
		assert_ptr_equal(range_tree_find(&tree, i * 10 + 3), &items[i]);
	assert_true(range_tree_gap(&tree, 0, 4, &first, &last));
	assert_int_equal(first, 6);
	assert_int_equal(last, 9);
	assert_true(range_tree_gap(&tree, 7, 4, &first, &last));
	assert_int_equal(first, 16);
	assert_true(range_tree_gap(&tree, 0, 5, &first, &last));
	assert_int_equal(first, MANY * 10 - 4);
	for (unsigned i = 0; i < MANY; i++) {
		assert_ptr_equal(range_tree_remove(&tree, items[go(i)].first), &items[go(i)]);
		if (i % 5000 == 0)
			assert_true(range_tree_valid(&tree));
	}
	assert_int_equal(tree.height, 0);
	range_tree_destroy(&tree);
}

static unsigned upwards(unsigned i) { return i; }
static unsigned downwards(unsigned i) { return MANY - 1 - i; }
static unsigned scattered(unsigned i) { return (unsigned)(i * 36541ull % MANY); }

static void test_many(void **state)
{
	static unsigned (*const orders[])(unsigned i) = { upwards, downwards, scattered };

	for (unsigned come = 0; come < ARRAY_SIZE(orders); come++)
		for (unsigned go = 0; go < ARRAY_SIZE(orders); go++)
			many(orders[come], orders[go]);
}

/* ---- the edges ---- */

static void test_edges(void **state)
{
	struct range_tree tree = { 0 };
	u64 first, last;
	int a, b;

	assert_null(range_tree_find(&tree, 0));
	assert_true(range_tree_gap(&tree, 5, ~0ull - 4, &first, &last));
	assert_false(range_tree_gap(&tree, 6, ~0ull - 4, &first, &last));
	assert_int_equal(range_tree_insert(&tree, 0, ~0ull, &a), 0);
	assert_ptr_equal(range_tree_find(&tree, ~0ull), &a);
	assert_null(range_tree_after(&tree, ~0ull));
	assert_false(range_tree_gap(&tree, 0, 1, &first, &last));
	range_tree_set_last(&tree, 0, 6);
	assert_null(range_tree_find(&tree, 7));
	assert_int_equal(range_tree_insert(&tree, ~0ull, ~0ull, &b), 0);
	assert_ptr_equal(range_tree_after(&tree, 6), &b);
	assert_true(range_tree_gap(&tree, 0, 1, &first, &last));
	assert_int_equal(first, 7);
	assert_int_equal(last, ~0ull - 1);
	assert_true(range_tree_gap(&tree, 8, ~0ull - 8, &first, &last));
	assert_false(range_tree_gap(&tree, 8, ~0ull - 7, &first, &last));
	assert_ptr_equal(range_tree_remove(&tree, 0), &a);
	assert_ptr_equal(range_tree_remove(&tree, ~0ull), &b);
	range_tree_destroy(&tree);
}

/* Each allocation of growing fails once; nothing is lost. */
static void test_no_memory(void **state)
{
	struct range_tree tree = { 0 };
	unsigned failures = 0;

	for (unsigned i = 0; i < 5000; i++) {
		const u64 first = scattered(i);

		nomem_begin(1);
		if (range_tree_insert(&tree, first, first, &tree)) {
			assert_true(nomem_end());
			assert_true(range_tree_valid(&tree));
			nomem_begin(2); /* perhaps two are needed, and the second fails */
			while (range_tree_insert(&tree, first, first, &tree))
				assert_true(nomem_end());
			failures++;
		}
		nomem_end();
		assert_int_equal(tree.count, i + 1);
	}
	assert_true(range_tree_valid(&tree));
	assert_true(failures > 300);
	for (unsigned i = 0; i < 5000; i++)
		range_tree_remove(&tree, scattered(i));
	range_tree_destroy(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
