/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma-buf.c - the descriptors of buffers, and who is attached to them.
 */
#include "kernel/fs/dma-buf.h"

#include <assert.h>
#include <linux/dma-buf.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/fs/sync_file.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

static void dma_buf_release(struct file *file)
{
	struct dma_buf *buf = file->private_data;

	assert(TAILQ_EMPTY(&buf->attachments));
	buf->ops->release(buf);
	mutex_destroy(&buf->lock);
	kfree(buf);
}

/* How a program learns the size: to the end and back is all the moving there is. */
static s64 dma_buf_lseek(struct file *file, s64 off, int whence)
{
	const struct dma_buf *buf = file->private_data;

	if (off || (whence != SEEK_SET && whence != SEEK_END))
		return fail(-EINVAL, "a dma-buf allows lseek(0, SEEK_END), which gives its size, and lseek(0, SEEK_SET)");
	return whence == SEEK_END ? (s64)buf->size : 0;
}

static int dma_buf_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	(void)file;
	(void)vma;
	(void)map_flags;
	return fail(-EINVAL, "the exporter of this dma-buf does not let it be mapped into memory, neither does Linux's; "
		    "the BAR itself can be, by the device's descriptor");
}

static void copy_name(struct dma_buf *buf, char name[DMA_BUF_NAME_LEN])
{
	dma_buf_lock(buf);
	memcpy(name, buf->name, DMA_BUF_NAME_LEN);
	dma_buf_unlock(buf);
}

static int dma_buf_link(struct file *file, char *text, size_t size)
{
	char name[DMA_BUF_NAME_LEN];

	copy_name(file->private_data, name);
	return snprintf(text, size, "%s%s", file->path, name);
}

/* The count is without the reference of whoever asks. */
static int dma_buf_fdinfo(struct file *file, char *text, size_t size)
{
	struct dma_buf *buf = file->private_data;
	char name[DMA_BUF_NAME_LEN];

	copy_name(buf, name);
	return snprintf(text, size, "size:\t%llu\ncount:\t%d\nexp_name:\t%s\n%s%s%s", (unsigned long long)buf->size,
			atomic_load(&file->refs) - 1, buf->ops->exp_name, *name ? "name:\t" : "", name, *name ? "\n" : "");
}

static int set_name(struct dma_buf *buf, const char __user *arg)
{
	char name[DMA_BUF_NAME_LEN] = "";
	long len = strncpy_from_user(name, arg, sizeof(name));

	if (len == -ENAMETOOLONG)
		return fail(-EINVAL, "a name has %d letters at most", DMA_BUF_NAME_LEN - 1);
	if (len < 0)
		return fail((int)len, "the name at %p cannot be read", arg);
	dma_buf_lock(buf);
	memcpy(buf->name, name, sizeof(name));
	dma_buf_unlock(buf);
	return 0;
}

/* Bracketing what the CPU does with the memory: nothing to flush, and no mapping to bracket. */
static int sync_access(const void __user *arg)
{
	struct dma_buf_sync req;

	if (copy_from_user(&req, arg, sizeof(req)))
		return fail(-EFAULT, "struct dma_buf_sync at %p cannot be read", arg);
	if ((req.flags & ~(u64)DMA_BUF_SYNC_VALID_FLAGS_MASK) || !(req.flags & DMA_BUF_SYNC_RW))
		return fail(-EINVAL, "flags 0x%llx: DMA_BUF_SYNC_READ, WRITE or both are needed, and may have END",
			    (unsigned long long)req.flags);
	return 0;
}

static int check_access(u32 flags)
{
	if (!flags || (flags & ~(u32)DMA_BUF_SYNC_RW))
		return fail(-EINVAL, "flags %#x: DMA_BUF_SYNC_READ, WRITE or both are needed", flags);
	return 0;
}

static int export_sync_file(void __user *arg)
{
	struct dma_buf_export_sync_file req;
	struct file *file;
	int ret;

	if (copy_from_user(&req, arg, sizeof(req)))
		return fail(-EFAULT, "struct dma_buf_export_sync_file at %p cannot be read", arg);
	ret = check_access(req.flags);
	if (ret)
		return ret;
	file = sync_file_create();
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	req.fd = fd_publish(file, true);
	if (req.fd < 0) {
		fput(file);
		return req.fd;
	}
	if (!copy_to_user(arg, &req, sizeof(req)))
		return 0;
	fd_unpublish(req.fd);
	return fail(-EFAULT, "struct dma_buf_export_sync_file at %p cannot be written", arg);
}

/* All sync files are signalled: there is nothing to wait for afterwards. */
static int import_sync_file(const void __user *arg)
{
	struct dma_buf_import_sync_file req;
	int ret;

	if (copy_from_user(&req, arg, sizeof(req)))
		return fail(-EFAULT, "struct dma_buf_import_sync_file at %p cannot be read", arg);
	ret = check_access(req.flags);
	if (ret)
		return ret;
	return is_sync_file(req.fd) ? 0 : fail(-EINVAL, "descriptor %d is no sync file", req.fd);
}

static long dma_buf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case DMA_BUF_IOCTL_SYNC:
		return sync_access(uarg);
	case DMA_BUF_SET_NAME_A:
	case DMA_BUF_SET_NAME_B:
		return set_name(file->private_data, uarg);
	case DMA_BUF_IOCTL_EXPORT_SYNC_FILE:
		return export_sync_file(uarg);
	case DMA_BUF_IOCTL_IMPORT_SYNC_FILE:
		return import_sync_file(uarg);
	default:
		return fail(-ENOTTY, "request %#x is not for a dma-buf", cmd);
	}
}

static const struct file_operations dma_buf_fops = {
	.kind = FILE_OTHER,
	.shared = true,
	.stream = true,
	.release = dma_buf_release,
	.ioctl = dma_buf_ioctl,
	.link = dma_buf_link,
	.fdinfo = dma_buf_fdinfo,
	.lseek = dma_buf_lseek,
	.mmap = dma_buf_mmap,
};

struct dma_buf *dma_buf_export(const struct dma_buf_ops *ops, void *priv, u64 size, unsigned f_flags)
{
	struct dma_buf *buf = kmalloc(sizeof(*buf));

	if (!buf)
		return ERR_PTR(fail(-ENOMEM, "no memory for a dma-buf"));
	*buf = (struct dma_buf){ .ops = ops, .priv = priv, .size = size };
	mutex_init(&buf->lock, LOCK_DMA_BUF);
	TAILQ_INIT(&buf->attachments);
	buf->file = file_alloc(&dma_buf_fops, buf, "/dmabuf:", f_flags);
	if (buf->file) {
		buf->file->size = size;
		return buf;
	}
	mutex_destroy(&buf->lock);
	kfree(buf);
	return ERR_PTR(fail(-ENOMEM, "no memory for the file of a dma-buf"));
}

int dma_buf_fd(struct dma_buf *buf, bool cloexec)
{
	return fd_publish(buf->file, cloexec);
}

struct dma_buf *dma_buf_get(int fd)
{
	struct file *file = fd < 0 ? NULL : fget(fd);

	if (file && file->f_op == &dma_buf_fops)
		return file->private_data;
	fput(file);
	if (!file && fd_check_open(fd))
		return ERR_PTR(-EBADF);
	return ERR_PTR(fail(-EINVAL, "descriptor %d is no dma-buf", fd));
}

void dma_buf_put(struct dma_buf *buf)
{
	if (buf)
		fput(buf->file);
}

void dma_buf_attach(struct dma_buf *buf, struct dma_buf_attachment *attachment)
{
	lockdep_assert_held(&buf->lock);
	TAILQ_INSERT_TAIL(&buf->attachments, attachment, next);
}

void dma_buf_detach(struct dma_buf *buf, struct dma_buf_attachment *attachment)
{
	lockdep_assert_held(&buf->lock);
	TAILQ_REMOVE(&buf->attachments, attachment, next);
}

void dma_buf_revoke(struct dma_buf *buf)
{
	struct dma_buf_attachment *attachment;

	lockdep_assert_held(&buf->lock);
	TAILQ_FOREACH(attachment, &buf->attachments, next)
		attachment->revoke(attachment);
}
