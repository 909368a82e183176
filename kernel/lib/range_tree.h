/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * range_tree.h - ranges of 64-bit numbers that do not overlap, each with what it stands for, and the gaps between.
 *
 * What is mapped where in an I/O address space: of 60,000 mappings one is found, put in or taken out within four
 * nodes.  A range has a first and a last number, both inside, so that it may reach the very top.
 *
 * The tree knows nothing of its items; it keeps their ranges itself, so that looking one up touches no item.
 * Whoever uses it has a lock of its own around each call, one that shuts all others out: looking up writes too.
 */
#ifndef KERNEL_LIB_RANGE_TREE_H
#define KERNEL_LIB_RANGE_TREE_H

#include <stdbool.h>

#include "kernel/lib/types.h"

struct range_node;

#define RANGE_TREE_SOME 16
#define RANGE_TREE_LEVELS 17 /* a level takes 15 splits of the one below */

/* All zero: an empty tree. */
struct range_tree {
	struct range_node *root;
	unsigned height; /* levels of nodes above the leaves */
	u64 count;	 /* ranges */
	/*
	 * The last way from the root (at level height) to an entry of a leaf (level 0).  Who looks for a place, finds
	 * it free and takes it, or finds a range and removes it, goes down once; who goes through all, once a leaf.
	 */
	bool way_known;
	u64 way_to;	/* what was looked for: the way leads to the lowest range that ends there or behind it */
	struct range_node *node[RANGE_TREE_LEVELS];
	unsigned at[RANGE_TREE_LEVELS];
};

/** range_tree_destroy - free what an empty tree still holds on to. */
void range_tree_destroy(struct range_tree *tree);
/**
 * range_tree_insert - @item stands for [@first, @last], of which nothing is in the tree yet
 * @item: not NULL.  Return: 0; -ENOMEM, the tree is as it was.
 */
int range_tree_insert(struct range_tree *tree, u64 first, u64 last, void *item);
/** range_tree_remove - the range that begins at @first.  Return: its item. */
void *range_tree_remove(struct range_tree *tree, u64 first);
/**
 * range_tree_remove_some - the lowest of those ranges that lie in [@first, @last] with all their numbers
 * A range that @first cuts must not be there.  @ret_items: those that were removed, ascending.
 * Return: how many; 0: there is none.
 */
unsigned range_tree_remove_some(struct range_tree *tree, u64 first, u64 last, void *ret_items[RANGE_TREE_SOME]);
/** range_tree_set_last - the range that begins at @first, and is in the tree, ends at @last from now on. */
void range_tree_set_last(struct range_tree *tree, u64 first, u64 last);
/** range_tree_find - the item of the lowest range that ends at @at or behind it; NULL. */
void *range_tree_find(struct range_tree *tree, u64 at);
/** range_tree_after - the item of the lowest range behind @last; NULL. */
static inline void *range_tree_after(struct range_tree *tree, u64 last)
{
	return last == ~0ull ? NULL : range_tree_find(tree, last + 1);
}
static inline bool range_tree_empty(const struct range_tree *tree) { return !tree->count; }
/**
 * range_tree_gap - the lowest stretch from @low on of which nothing is in the tree, @len numbers long or more
 * @len: not 0.  Return: was there one?  Then [*@ret_first, *@ret_last] is all of it that is not below @low.
 */
bool range_tree_gap(struct range_tree *tree, u64 low, u64 len, u64 *ret_first, u64 *ret_last);
/** range_tree_valid - for tests: do all nodes hold what they must? */
bool range_tree_valid(const struct range_tree *tree);

#endif
