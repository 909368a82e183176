/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * chrdev.h - the character devices under /dev, by name.
 *
 * A node has a real, empty file at the same path in the machine's directory (made by kernfs when the
 * node is first created, removed with it), so that directory listings and stat by other processes
 * see it.  Whether it may be opened is the owner's open() to say.
 */
#ifndef KERNEL_FS_CHRDEV_H
#define KERNEL_FS_CHRDEV_H

#include "kernel/lib/types.h"

struct file;

struct cdev {
	const char *path; /* below /dev: "vfio/vfio", "vfio/3"; owned by the registrant */
	u32 mode;	  /* permission bits: 0666 */
	u64 rdev;
	/**
	 * open - a program opens the node.  @f_flags as given to open().
	 * cdev_del() waits for it, so it must not take the tree lock.
	 * Return: a file with one reference (path, mode and rdev are filled in by the caller); ERR_PTR.
	 */
	struct file *(*open)(struct cdev *cdev, unsigned int f_flags);
	void *private_data;
	struct cdev *next; /* chrdev.c */
	unsigned opening;  /* chrdev.c: opens under way */
};

/**
 * cdev_add - make the node known and, if @create_node, its file in the tree.  Return: 0; -EEXIST; -errno of
 * the tree.
 */
int cdev_add(struct cdev *cdev, bool create_node);
/**
 * cdev_del - forget it; @remove_node: remove the file too.  Open files go on; opens under way have
 * returned.
 */
void cdev_del(struct cdev *cdev, bool remove_node);
/**
 * cdev_open - open by path below /dev, as the program's open() would
 * Return: a file with path, mode and rdev set; ERR_PTR(-ENOENT) no such node; what open() says.
 */
struct file *cdev_open(const char *path, unsigned int f_flags);
/** cdev_lookup - the node, for stat; NULL.  Valid until cdev_del. */
struct cdev *cdev_lookup(const char *path);

#endif
