/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * range_tree.c - a B+ tree of ranges.
 *
 * A node has up to 16 entries, ascending.  In a leaf an entry is a range and its item; above, it is a child
 * and what is known of all of it: its first number, its last, and how large a gap between two of its ranges may be.
 * Gaps between two children are not written down, they lie between one's last and the next one's first.
 *
 * That bound is raised when a gap grows, and not lowered when one is filled: that would mean looking at the whole
 * node on each level.  A search that goes into a child in vain sets it right.  So each insertion makes at most
 * one search visit a few nodes more.
 *
 * The numbers of a kind stand side by side, so that choosing among 16 entries reads two cache lines; a binary
 * tree reads one for each of 16 levels, and those of 60,000 mappings made in a row come to lie in the
 * same few sets of the cache.
 *
 * Going down for an insertion, each full node on the way is split first, so that there is always room for what
 * comes up from below: whatever fails, the tree is whole.  Who inserts in ascending order splits off the end,
 * and leaves full nodes behind.  Taking out frees a node with its last entry, and merges one that has
 * become sparse with a neighbour; neither needs memory.
 *
 * Always: no node but the root is empty; an entry above a leaf says where its child begins and ends, and no gap in
 * there is larger than it says.
 */
#include "kernel/lib/range_tree.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"

#define ENTRIES ((unsigned)RANGE_TREE_SOME)
#define MERGED_MAX 12u	/* entries: room is left, so that the next insertion does not split again */

struct range_node {
	unsigned count;
	u64 last[ENTRIES];
	u64 first[ENTRIES];
	void *slot[ENTRIES];	/* the item; the child */
	u64 gap[];		/* ENTRIES of them; a leaf has none */
};

/* ---- one node ---- */

static struct range_node *node_alloc(bool leaf)
{
	struct range_node *node = kmalloc(sizeof(*node) + (leaf ? 0 : ENTRIES * sizeof(u64)));

	if (!node)
		(void)fail(-ENOMEM, "no memory for a node of a tree of ranges");
	else
		node->count = 0;
	return node;
}

/* The first entry that ends at @at or behind it; count if none does. */
static inline unsigned entry_from(const struct range_node *node, u64 at)
{
	unsigned i = 0;

	while (i + 4 <= node->count && node->last[i + 3] < at)
		i += 4;
	while (i < node->count && node->last[i] < at)
		i++;
	return i;
}

/* @from and what is behind it move by @by entries. */
static void move_entries(struct range_node *node, unsigned from, int by, bool leaf)
{
	const size_t n = node->count - from;

	node->count += by;
	if (!n)
		return;
	memmove(&node->last[from + by], &node->last[from], n * sizeof(u64));
	memmove(&node->first[from + by], &node->first[from], n * sizeof(u64));
	memmove(&node->slot[from + by], &node->slot[from], n * sizeof(void *));
	if (!leaf)
		memmove(&node->gap[from + by], &node->gap[from], n * sizeof(u64));
}

/* Entries of @from from @at on go behind those of @to. */
static void append_entries(struct range_node *to, struct range_node *from, unsigned at, bool leaf)
{
	const size_t n = from->count - at;

	memcpy(&to->last[to->count], &from->last[at], n * sizeof(u64));
	memcpy(&to->first[to->count], &from->first[at], n * sizeof(u64));
	memcpy(&to->slot[to->count], &from->slot[at], n * sizeof(void *));
	if (!leaf)
		memcpy(&to->gap[to->count], &from->gap[at], n * sizeof(u64));
	to->count += n;
	from->count -= n;
}

/* Below entry @at, and there is one below it. */
static u64 gap_before(const struct range_node *node, unsigned at)
{
	return node->first[at] - node->last[at - 1] - 1;
}

/* On both sides of entry @at, or where it was if it was the last. */
static u64 gap_around(const struct range_node *node, unsigned at)
{
	u64 most = at && at < node->count ? gap_before(node, at) : 0;

	return at + 1 < node->count ? max(most, gap_before(node, at + 1)) : most;
}

static u64 largest_gap(const struct range_node *node, bool leaf)
{
	u64 most = leaf ? 0 : node->gap[0];

	for (unsigned i = 1; i < node->count; i++) {
		most = max(most, gap_before(node, i));
		if (!leaf)
			most = max(most, node->gap[i]);
	}
	return most;
}

/* Where child @at begins and ends. */
static void describe_ends(struct range_node *parent, unsigned at)
{
	const struct range_node *child = parent->slot[at];

	parent->first[at] = child->first[0];
	parent->last[at] = child->last[child->count - 1];
}

static void describe_child(struct range_node *parent, unsigned at, bool child_is_leaf)
{
	describe_ends(parent, at);
	parent->gap[at] = largest_gap(parent->slot[at], child_is_leaf);
}

/* ---- splitting and merging ---- */

/* Child @at, which is full, becomes two.  The next insertion will be at its entry @wanted. */
static int split_child(struct range_node *parent, unsigned at, unsigned wanted, bool leaf)
{
	struct range_node *child = parent->slot[at], *more = node_alloc(leaf);
	unsigned keep = ENTRIES / 2;

	if (!more)
		return -ENOMEM;
	if (wanted >= ENTRIES - 1)
		keep = ENTRIES - 1;
	else if (wanted == 0)
		keep = 1;
	append_entries(more, child, keep, leaf);
	move_entries(parent, at + 1, 1, false);
	parent->slot[at + 1] = more;
	describe_child(parent, at, leaf);
	describe_child(parent, at + 1, leaf);
	return 0;
}

static void drop_child(struct range_node *parent, unsigned at)
{
	kfree(parent->slot[at]);
	move_entries(parent, at + 1, -1, false);
}

/* Child @at lost an entry: it goes if it was the last, or joins a neighbour if both are sparse. */
static void tidy_child(struct range_node *parent, unsigned at, bool leaf)
{
	struct range_node *child = parent->slot[at];

	if (!child->count) {
		drop_child(parent, at);
		return;
	}
	if (at + 1 == parent->count || child->count + ((struct range_node *)parent->slot[at + 1])->count > MERGED_MAX) {
		if (at == 0)
			return;
		at--; /* perhaps the one before it? */
	}
	if (((struct range_node *)parent->slot[at])->count + ((struct range_node *)parent->slot[at + 1])->count > MERGED_MAX)
		return;
	append_entries(parent->slot[at], parent->slot[at + 1], 0, leaf);
	drop_child(parent, at + 1);
	describe_child(parent, at, leaf);
}

/* A root that is full gets one above it. */
static int grow(struct range_tree *tree)
{
	struct range_node *root;

	if (tree->root && tree->root->count < ENTRIES)
		return 0;
	root = node_alloc(!tree->root);
	if (!root)
		return -ENOMEM;
	if (tree->root) {
		assert(tree->height + 1 < RANGE_TREE_LEVELS);
		root->slot[0] = tree->root;
		root->count = 1;
		describe_child(root, 0, tree->height == 0);
		tree->height++;
	}
	tree->root = root;
	return 0;
}

/* A root with one child is no use. */
static void shrink(struct range_tree *tree)
{
	struct range_node *root;

	while (tree->height && tree->root->count == 1) {
		root = tree->root;
		tree->root = root->slot[0];
		kfree(root);
		tree->height--;
	}
}

/* ---- the way down ---- */

/* Is what is looked for in the leaf of the last way, and not before where that led? */
static inline bool is_near(const struct range_tree *tree, u64 at)
{
	return tree->way_known && at >= tree->way_to && at <= tree->node[0]->last[tree->node[0]->count - 1];
}

void *range_tree_find(struct range_tree *tree, u64 at)
{
	struct range_node *node = tree->root;
	unsigned i;

	if (is_near(tree, at)) {
		node = tree->node[0];
		while (node->last[tree->at[0]] < at)
			tree->at[0]++;
		tree->way_to = at;
		return node->slot[tree->at[0]];
	}
	tree->way_known = false;
	if (!tree->count)
		return NULL;
	for (unsigned level = tree->height;; level--) {
		i = entry_from(node, at);
		if (i == node->count)
			return NULL; /* of the root: above it says that there is one */
		tree->node[level] = node;
		tree->at[level] = i;
		if (!level)
			break;
		node = node->slot[i];
	}
	tree->way_known = true;
	tree->way_to = at;
	return node->slot[i];
}

/* To where a new range is to be; each node on the way has room. */
static int make_room(struct range_tree *tree, u64 first)
{
	struct range_node *node, *child;
	unsigned at;

	if (tree->way_known && tree->way_to == first && tree->node[0]->count < ENTRIES)
		return 0;
	tree->way_known = false;
	if (grow(tree))
		return -ENOMEM;
	node = tree->root;
	for (unsigned level = tree->height; level; level--) {
		at = min(entry_from(node, first), node->count - 1);
		child = node->slot[at];
		if (unlikely(child->count == ENTRIES)) {
			if (split_child(node, at, entry_from(child, first), level == 1))
				return -ENOMEM;
			at += node->last[at] < first;
			child = node->slot[at];
		}
		tree->node[level] = node;
		tree->at[level] = at;
		node = child;
	}
	tree->node[0] = node;
	tree->at[0] = entry_from(node, first);
	return 0;
}

/*
 * The entry at the end of the way came, went or changed: say so above it, as far up as it makes a difference.
 * @gone: it went, so that its node may have become sparse, or empty.
 */
static void describe_way(struct range_tree *tree, bool gone)
{
	u64 gap = gap_around(tree->node[0], tree->at[0]);

	for (unsigned level = 1; level <= tree->height; level++) {
		struct range_node *node = tree->node[level];
		const struct range_node *child = tree->node[level - 1];
		const unsigned at = tree->at[level], count = node->count;
		const u64 first = node->first[at], last = node->last[at], before = node->gap[at];
		const bool empty = !child->count;

		if (!empty) {
			describe_ends(node, at);
			node->gap[at] = max(before, gap);
			gap = max(gap, gap_around(node, at));
		}
		if (gone && child->count <= MERGED_MAX / 2) {
			tidy_child(node, at, level == 1);
			tree->way_known = tree->way_known && node->count == count;
		}
		if (empty)
			gap = max(gap, gap_around(node, at)); /* it went: its neighbours meet there */
		gone = node->count < count;
		if (!gone && node->first[at] == first && node->last[at] == last && node->gap[at] == before)
			break;
	}
}

/* ---- the operations ---- */

int range_tree_insert(struct range_tree *tree, u64 first, u64 last, void *item)
{
	struct range_node *leaf;
	unsigned at;

	if (make_room(tree, first)) {
		shrink(tree);
		return -ENOMEM;
	}
	leaf = tree->node[0];
	at = tree->at[0];
	assert(first <= last && (at == leaf->count || leaf->first[at] > last));
	move_entries(leaf, at, 1, true);
	leaf->first[at] = first;
	leaf->last[at] = last;
	leaf->slot[at] = item;
	tree->count++;
	tree->way_known = true;
	tree->way_to = first;
	describe_way(tree, false);
	return 0;
}

/* What the way leads to, and what follows it in the same leaf, go. */
static void remove_entries(struct range_tree *tree, unsigned count)
{
	move_entries(tree->node[0], tree->at[0] + count, -(int)count, true);
	tree->count -= count;
	/* The way leads to the next one, if that is in the same leaf. */
	tree->way_known = tree->at[0] < tree->node[0]->count;
	describe_way(tree, true);
	shrink(tree);
}

void *range_tree_remove(struct range_tree *tree, u64 first)
{
	void *item = range_tree_find(tree, first);

	assert(item && tree->node[0]->first[tree->at[0]] == first);
	remove_entries(tree, 1);
	return item;
}

unsigned range_tree_remove_some(struct range_tree *tree, u64 first, u64 last, void *ret_items[RANGE_TREE_SOME])
{
	const struct range_node *leaf;
	unsigned at, count = 0;

	if (!range_tree_find(tree, first))
		return 0;
	leaf = tree->node[0];
	at = tree->at[0];
	assert(leaf->first[at] >= first);
	for (; at + count < leaf->count && leaf->last[at + count] <= last; count++)
		ret_items[count] = leaf->slot[at + count];
	if (count)
		remove_entries(tree, count);
	return count;
}

void range_tree_set_last(struct range_tree *tree, u64 first, u64 last)
{
	void *item = range_tree_find(tree, first);

	assert(item && tree->node[0]->first[tree->at[0]] == first);
	(void)item;
	tree->node[0]->last[tree->at[0]] = last;
	describe_way(tree, false);
}

/* ---- gaps ---- */

/* Does [@first, @last], as far as it is not below @low, have @len numbers? */
static bool long_enough(u64 low, u64 len, u64 first, u64 last)
{
	first = max(first, low);
	return first <= last && last - first >= len - 1;
}

/* The lowest between two ranges of @node. */
static bool gap_in(struct range_node *node, unsigned level, u64 low, u64 len, u64 *ret_first, u64 *ret_last)
{
	for (unsigned i = entry_from(node, low); i < node->count; i++) {
		if (i && gap_before(node, i) >= len && long_enough(low, len, node->last[i - 1] + 1, node->first[i] - 1)) {
			*ret_first = node->last[i - 1] + 1;
			*ret_last = node->first[i] - 1;
			return true;
		}
		if (!level || node->gap[i] < len)
			continue;
		if (gap_in(node->slot[i], level - 1, low, len, ret_first, ret_last))
			return true;
		node->gap[i] = largest_gap(node->slot[i], level == 1);
	}
	return false;
}

bool range_tree_gap(struct range_tree *tree, u64 low, u64 len, u64 *ret_first, u64 *ret_last)
{
	struct range_node *root = tree->root;
	u64 first, last, end;

	*ret_first = low;
	*ret_last = ~0ull;
	if (!tree->count)
		return long_enough(low, len, 0, ~0ull);
	first = root->first[0];
	last = root->last[root->count - 1];
	if (first && long_enough(low, len, 0, first - 1)) {
		*ret_last = first - 1;
		return true;
	}
	if (gap_in(root, tree->height, low, len, &first, &end)) {
		*ret_first = max(low, first);
		*ret_last = end;
		return true;
	}
	*ret_first = max(low, last + 1);
	return last != ~0ull && long_enough(low, len, last + 1, ~0ull);
}

void range_tree_destroy(struct range_tree *tree)
{
	assert(!tree->count && !tree->height);
	kfree(tree->root);
	tree->root = NULL;
}

/* ---- for tests ---- */

static bool node_valid(const struct range_node *node, unsigned level, bool root, u64 *count)
{
	if (node->count > ENTRIES || (!node->count && (!root || level)))
		return false;
	for (unsigned i = 0; i < node->count; i++) {
		struct range_node *child = node->slot[i];

		if (node->first[i] > node->last[i] || (i && node->first[i] <= node->last[i - 1]))
			return false;
		if (!level)
			continue;
		if (!node_valid(child, level - 1, false, count) || node->first[i] != child->first[0] ||
		    node->last[i] != child->last[child->count - 1] || node->gap[i] < largest_gap(child, level == 1))
			return false;
	}
	*count += level ? 0 : node->count;
	return true;
}

bool range_tree_valid(const struct range_tree *tree)
{
	u64 count = 0;

	if (!tree->root)
		return !tree->count && !tree->height;
	return node_valid(tree->root, tree->height, true, &count) && count == tree->count;
}
