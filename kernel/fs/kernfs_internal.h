/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernfs_internal.h - between kernfs.c (the tree on disk), kernfs_node.c (who answers for which
 * attribute in this process) and kernfs_file.c (an attribute that a program has open).
 */
#ifndef KERNEL_FS_KERNFS_INTERNAL_H
#define KERNEL_FS_KERNFS_INTERNAL_H

#include <bsd/sys/tree.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/mutex.h"

#define KERNFS_PATH_MAX 512

/* An attribute with operations. */
struct kernfs_node {
	const char *path;		/* immutable, owned */
	u32 mode;			/* permission bits; immutable */
	size_t bin_size;		/* of a binary attribute; immutable */
	const struct kernfs_ops *ops;	/* immutable */
	void *priv;			/* immutable once in use; the registrant's */
	bool is_common;			/* kernfs_node_common()'s, in no table: dead once its file is gone; immutable */
	atomic_bool dead;		/* removed: no operation starts any more */
	atomic_int running;		/* show, bin_read and bin_write under way */
	atomic_int refs;		/* one of the table until dead, one of each open file */
	RB_ENTRY(kernfs_node) entry;	/* under kernfs_node_lock */
};

extern struct mutex kernfs_node_lock; /* LOCK_KERNFS; nothing is taken under it */

/* ---- kernfs_node.c ---- */
/** kernfs_node_add - enlist operations; replaces those that @path had.  0; -ENOMEM. */
int kernfs_node_add(const char *path, u32 mode, size_t bin_size, const struct kernfs_ops *ops, void *priv);
/** kernfs_node_loose - one that is in no table, with the caller's reference; NULL: no memory. */
struct kernfs_node *kernfs_node_loose(const char *path, u32 mode, size_t bin_size, const struct kernfs_ops *ops, void *priv);
/** kernfs_node_common - one for a file whose name has operations of its own (kernfs_common()); NULL. */
struct kernfs_node *kernfs_node_common(const char *path);
/** kernfs_node_del - forget @path and all below it; waits as kernfs.h says. */
void kernfs_node_del(const char *path);
/** kernfs_node_get - with a reference; NULL. */
struct kernfs_node *kernfs_node_get(const char *path);
void kernfs_node_put(struct kernfs_node *node);
/* The operations, -ENODEV once the node is gone. */
ssize_t kernfs_node_show(struct kernfs_node *node, char *page);
ssize_t kernfs_node_store(struct kernfs_node *node, const char *buf, size_t len);
ssize_t kernfs_node_bin_read(struct kernfs_node *node, void *buf, size_t len, u64 off);
ssize_t kernfs_node_bin_write(struct kernfs_node *node, const void *buf, size_t len, u64 off);

/* ---- kernfs.c ---- */
/**
 * kernfs_canonical - @path with the links in it followed, below the machine's directory.  0; -errno; -EXDEV
 * it leads out.
 */
int kernfs_canonical(const char *path, char *ret, size_t size);
int kernfs_lstat(const char *path, struct stat *ret);

#endif
