/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * chrdev.c - the table of character devices.
 *
 * A machine has a handful of nodes, so the table is a list.  Opening is the only delicate part: open()
 * runs without our lock, since it does much, so cdev_del() waits until the opens of that node that are
 * under way have returned.  Hence an open() must not take the tree lock or any lock that is held
 * around cdev_del().
 */
#include "kernel/fs/chrdev.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

static struct mutex cdev_lock = MUTEX_INITIALIZER(LOCK_KERNFS);
static struct cdev *cdevs; /* under cdev_lock */

static struct cdev *find_locked(const char *path)
{
	struct cdev *cdev = cdevs;

	while (cdev && strcmp(cdev->path, path))
		cdev = cdev->next;
	return cdev;
}

static void node_path(char *buf, size_t size, const char *path)
{
	snprintf(buf, size, "dev/%s", path);
}

int cdev_add(struct cdev *cdev, bool create_node)
{
	char path[128];
	bool taken;
	int err;

	mutex_lock(&cdev_lock);
	taken = find_locked(cdev->path);
	if (!taken) {
		cdev->opening = 0;
		cdev->next = cdevs;
		cdevs = cdev;
	}
	mutex_unlock(&cdev_lock);
	if (taken)
		return fail(-EEXIST, "/dev/%s is taken by another device", cdev->path);
	if (!create_node)
		return 0;
	node_path(path, sizeof(path), cdev->path);
	err = kernfs_create_file(path, cdev->mode, NULL, 0, NULL, NULL);
	if (err)
		cdev_del(cdev, false);
	return err;
}

void cdev_del(struct cdev *cdev, bool remove_node)
{
	char path[128];

	mutex_lock(&cdev_lock);
	for (struct cdev **at = &cdevs; *at; at = &(*at)->next) {
		if (*at != cdev)
			continue;
		*at = cdev->next;
		break;
	}
	while (cdev->opening) {
		mutex_unlock(&cdev_lock);
		sys_call(SYS_sched_yield, 0, 0, 0, 0);
		mutex_lock(&cdev_lock);
	}
	mutex_unlock(&cdev_lock);
	node_path(path, sizeof(path), cdev->path);
	if (remove_node)
		kernfs_remove(path);
}

struct cdev *cdev_lookup(const char *path)
{
	struct cdev *cdev;

	mutex_lock(&cdev_lock);
	cdev = find_locked(path);
	mutex_unlock(&cdev_lock);
	return cdev;
}

struct file *cdev_open(const char *path, unsigned int f_flags)
{
	char name[128];
	struct cdev *cdev;
	struct file *file;

	mutex_lock(&cdev_lock);
	cdev = find_locked(path);
	if (cdev)
		cdev->opening++;
	mutex_unlock(&cdev_lock);
	if (!cdev)
		return ERR_PTR(fail(-ENOENT, "there is no /dev/%s", path));
	file = cdev->open(cdev, f_flags);
	if (!IS_ERR(file)) {
		snprintf(name, sizeof(name), "/dev/%s", cdev->path);
		file->mode = S_IFCHR | cdev->mode;
		file->rdev = cdev->rdev;
		/* The name that /proc shows; the one file_alloc() got may be the module's own. */
		if (!file->path || strcmp(file->path, name)) {
			char *copy = kstrdup(name);

			if (copy) {
				kfree(file->path);
				file->path = copy;
			}
		}
	}
	mutex_lock(&cdev_lock);
	cdev->opening--;
	mutex_unlock(&cdev_lock);
	return file;
}
