/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma-buf.c - the descriptors of buffers, and who is attached to them.
 */
#include "kernel/fs/dma-buf.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

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

static const struct file_operations dma_buf_fops = {
	.kind = FILE_OTHER,
	.release = dma_buf_release,
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
	if (buf->file)
		return buf;
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
	if (fd < 0 || (!file && sys_fcntl(fd, F_GETFD, 0) < 0))
		return ERR_PTR(fail(-EBADF, "descriptor %d is not open", fd));
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
