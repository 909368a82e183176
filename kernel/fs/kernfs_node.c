/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernfs_node.c - who answers for an attribute.
 *
 * The tree on disk is shared by all processes of a machine; functions are not.  So each process keeps
 * a table from path to operations.  It is sorted by path, which makes everything below a directory
 * one run of neighbours.
 *
 * What always holds: a node in the table is alive; one that left it is dead and starts no operation
 * again.  Removal waits for a show or a binary access that is under way, because the owner of priv
 * frees it next.  It cannot wait for a store: the store may itself be waiting for the tree lock that
 * the remover holds.  Instead a store asks kernfs_active() once it has that lock.
 */
#include "kernel/fs/kernfs_internal.h"

#include <stdint.h>
#include <string.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

struct mutex kernfs_node_lock = MUTEX_INITIALIZER(LOCK_KERNFS);

/* The node whose store this thread is in. */
static __thread __attribute__((tls_model("initial-exec"))) struct kernfs_node *storing;

static int node_cmp(const struct kernfs_node *a, const struct kernfs_node *b)
{
	return strcmp(a->path, b->path);
}

static RB_HEAD(kernfs_node_tree, kernfs_node) nodes = RB_INITIALIZER(&nodes);
RB_GENERATE_INTERNAL(kernfs_node_tree, kernfs_node, entry, node_cmp, static __attribute__((unused)))

void kernfs_node_put(struct kernfs_node *node)
{
	if (!node || atomic_fetch_sub(&node->refs, 1) != 1)
		return;
	kfree(node->path);
	kfree(node);
}

static void node_unlink(struct kernfs_node *node)
{
	lockdep_assert_held(&kernfs_node_lock);
	RB_REMOVE(kernfs_node_tree, &nodes, node);
	atomic_store(&node->dead, true);
}

/* Wait for what was running when the node died, then drop the table's reference. */
static void node_retire(struct kernfs_node *node)
{
	while (atomic_load(&node->running))
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
	kernfs_node_put(node);
}

struct kernfs_node *kernfs_node_loose(const char *path, u32 mode, size_t bin_size, const struct kernfs_ops *ops, void *priv)
{
	struct kernfs_node *node = kzalloc(sizeof(*node));

	if (node)
		node->path = kstrdup(path);
	if (!node || !node->path) {
		kfree(node);
		return NULL;
	}
	node->mode = mode;
	node->bin_size = bin_size;
	node->ops = ops;
	node->priv = priv;
	atomic_init(&node->refs, 1);
	return node;
}

int kernfs_node_add(const char *path, u32 mode, size_t bin_size, const struct kernfs_ops *ops, void *priv)
{
	struct kernfs_node *node = kernfs_node_loose(path, mode, bin_size, ops, priv), *old;

	if (!node)
		return fail(-ENOMEM, "no memory for attribute %s", path);
	mutex_lock(&kernfs_node_lock);
	old = RB_FIND(kernfs_node_tree, &nodes, node);
	if (old)
		node_unlink(old);
	RB_INSERT(kernfs_node_tree, &nodes, node);
	mutex_unlock(&kernfs_node_lock);
	if (old)
		node_retire(old);
	return 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (path[len] == '\0' || path[len] == '/');
}

/* "a" sorts before "a-b" before "a/b": take them one by one, looking past what only shares letters. */
static struct kernfs_node *take_one_below(const char *path)
{
	struct kernfs_node key = {.path = path}, *node;
	size_t len = strlen(path);

	mutex_lock(&kernfs_node_lock);
	node = RB_NFIND(kernfs_node_tree, &nodes, &key);
	while (node && !is_below(node->path, path) && !strncmp(node->path, path, len))
		node = RB_NEXT(kernfs_node_tree, &nodes, node);
	if (node && is_below(node->path, path))
		node_unlink(node);
	else
		node = NULL;
	mutex_unlock(&kernfs_node_lock);
	return node;
}

void kernfs_node_del(const char *path)
{
	struct kernfs_node *node;

	while ((node = take_one_below(path)))
		node_retire(node);
}

/* ---- what many files have in common --------------------------------------------------------- */

#define COMMON_MAX 8

static struct {
	const char *name;
	const struct kernfs_ops *ops;
} common[COMMON_MAX]; /* under kernfs_node_lock; grows */

void kernfs_common(const char *name, const struct kernfs_ops *ops)
{
	unsigned i = 0;

	mutex_lock(&kernfs_node_lock);
	while (i < COMMON_MAX && common[i].name && strcmp(common[i].name, name))
		i++;
	if (i < COMMON_MAX) {
		common[i].name = name;
		common[i].ops = ops;
	}
	mutex_unlock(&kernfs_node_lock);
}

static const struct kernfs_ops *common_ops(const char *path)
{
	const struct kernfs_ops *ops = NULL;
	size_t len = strlen(path), n;

	mutex_lock(&kernfs_node_lock);
	for (unsigned i = 0; i < COMMON_MAX && common[i].name && !ops; i++) {
		n = strlen(common[i].name);
		if (len > n && path[len - n - 1] == '/' && !strcmp(path + len - n, common[i].name))
			ops = common[i].ops;
	}
	mutex_unlock(&kernfs_node_lock);
	return ops;
}

struct kernfs_node *kernfs_node_common(const char *path)
{
	const struct kernfs_ops *ops = strncmp(path, "sys/", 4) ? NULL : common_ops(path);
	struct kernfs_node *node = NULL;
	struct stat st;

	if (ops && !kernfs_lstat(path, &st) && S_ISREG(st.st_mode))
		node = kernfs_node_loose(path, st.st_mode & 0777, 0, ops, NULL);
	if (node) {
		node->priv = (void *)(uintptr_t)node->path;
		node->is_common = true;
	}
	return node;
}

/* ---- in the table --------------------------------------------------------------------------- */

struct kernfs_node *kernfs_node_get(const char *path)
{
	struct kernfs_node key = {.path = path}, *node;

	mutex_lock(&kernfs_node_lock);
	node = RB_FIND(kernfs_node_tree, &nodes, &key);
	if (node)
		atomic_fetch_add(&node->refs, 1);
	mutex_unlock(&kernfs_node_lock);
	return node;
}

/* running first, dead second: node_retire() does it the other way round, so one of us sees the other. */
static bool node_enter(struct kernfs_node *node)
{
	atomic_fetch_add(&node->running, 1);
	if (!atomic_load(&node->dead))
		return true;
	atomic_fetch_sub(&node->running, 1);
	return false;
}

static void node_leave(struct kernfs_node *node)
{
	atomic_fetch_sub(&node->running, 1);
}

static bool is_dead(const struct kernfs_node *node)
{
	return atomic_load(&node->dead) || (node->is_common && !kernfs_exists(node->path));
}

static int gone(const struct kernfs_node *node)
{
	return fail(-ENODEV, "/%s was removed after it was opened", node->path);
}

ssize_t kernfs_node_show(struct kernfs_node *node, char *page)
{
	ssize_t ret;

	if (!node_enter(node))
		return gone(node);
	ret = node->ops->show(node->priv, page);
	node_leave(node);
	return ret;
}

ssize_t kernfs_node_bin_read(struct kernfs_node *node, void *buf, size_t len, u64 off)
{
	ssize_t ret;

	if (!node_enter(node))
		return gone(node);
	ret = node->ops->bin_read(node->priv, buf, len, off);
	node_leave(node);
	return ret;
}

ssize_t kernfs_node_bin_write(struct kernfs_node *node, const void *buf, size_t len, u64 off)
{
	ssize_t ret;

	if (!node_enter(node))
		return gone(node);
	ret = node->ops->bin_write(node->priv, buf, len, off);
	node_leave(node);
	return ret;
}

ssize_t kernfs_node_store(struct kernfs_node *node, const char *buf, size_t len)
{
	struct kernfs_node *outer = storing;
	ssize_t ret;

	if (is_dead(node))
		return gone(node);
	storing = node;
	ret = node->ops->store(node->priv, buf, len);
	storing = outer;
	return ret;
}

bool kernfs_active(void)
{
	return !storing || !is_dead(storing);
}
