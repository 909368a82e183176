/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync_file.c - sync files that are signalled.
 */
#include "kernel/fs/sync_file.h"

#include <fcntl.h>
#include <linux/sync_file.h>
#include <stdio.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

#define DRIVER "detached-driver" /* what Linux calls a fence that nobody stands behind */
#define TIMELINE "signaled-timeline"

struct sync_file {
	char name[sizeof(((struct sync_file_info *)NULL)->name)]; /* immutable */
};

static const struct file_operations sync_file_fops;

static void sync_file_release(struct file *file)
{
	kfree(file->private_data);
}

static struct file *create(const char *name)
{
	struct sync_file *sync = kzalloc(sizeof(*sync));
	struct file *file = sync ? file_alloc(&sync_file_fops, sync, "anon_inode:sync_file", O_RDWR) : NULL;

	if (!file) {
		kfree(sync);
		return ERR_PTR(fail(-ENOMEM, "no memory for a sync file"));
	}
	snprintf(sync->name, sizeof(sync->name), "%s", name);
	return file;
}

struct file *sync_file_create(void)
{
	return create(DRIVER "-" TIMELINE "0-0");
}

static struct file *sync_file_get(int fd)
{
	struct file *file = fd < 0 ? NULL : fget(fd);

	if (file && file->f_op == &sync_file_fops)
		return file;
	fput(file);
	return NULL;
}

bool is_sync_file(int fd)
{
	struct file *file = sync_file_get(fd);

	fput(file);
	return file;
}

static int file_info(const struct sync_file *sync, void __user *arg)
{
	struct sync_fence_info fence = { .obj_name = TIMELINE, .driver_name = DRIVER, .status = 1 };
	struct sync_file_info info;

	if (copy_from_user(&info, arg, sizeof(info)))
		return fail(-EFAULT, "struct sync_file_info at %p cannot be read", arg);
	if (info.flags || info.pad)
		return fail(-EINVAL, "flags %#x, pad %#x: both must be 0", info.flags, info.pad);
	if (info.num_fences && copy_to_user((void *)(uintptr_t)info.sync_fence_info, &fence, sizeof(fence)))
		return fail(-EFAULT, "sync_fence_info 0x%llx cannot be written", (unsigned long long)info.sync_fence_info);
	memcpy(info.name, sync->name, sizeof(info.name));
	info.status = 1;
	info.num_fences = 1;
	return copy_to_user(arg, &info, sizeof(info)) ? fail(-EFAULT, "struct sync_file_info at %p cannot be written", arg) : 0;
}

static int merge(void __user *arg)
{
	struct sync_merge_data data;
	struct file *file;
	int fd;

	if (copy_from_user(&data, arg, sizeof(data)))
		return fail(-EFAULT, "struct sync_merge_data at %p cannot be read", arg);
	if (data.flags || data.pad)
		return fail(-EINVAL, "flags %#x, pad %#x: both must be 0", data.flags, data.pad);
	if (!is_sync_file(data.fd2))
		return fail(-ENOENT, "fd2 is %d, which is no sync file", data.fd2);
	data.name[sizeof(data.name) - 1] = '\0';
	file = create(data.name);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	fd = fd_publish(file, true);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	data.fence = fd;
	if (!copy_to_user(arg, &data, sizeof(data)))
		return 0;
	fd_unpublish(fd);
	return fail(-EFAULT, "struct sync_merge_data at %p cannot be written", arg);
}

static long sync_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case SYNC_IOC_FILE_INFO:
		return file_info(file->private_data, (void __user *)arg);
	case SYNC_IOC_MERGE:
		return merge((void __user *)arg);
	default:
		return fail(-ENOTTY, "request %#x is not for a sync file", cmd);
	}
}

static const struct file_operations sync_file_fops = {
	.kind = FILE_OTHER,
	.shared = true,
	.stream = true,
	.release = sync_file_release,
	.ioctl = sync_file_ioctl,
};
