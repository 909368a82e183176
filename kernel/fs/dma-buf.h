/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma-buf.h - memory that belongs to a device, handed around as a descriptor.
 *
 * The exporter owns the memory; an importer attaches to the buffer and asks where it is.  The exporter may
 * take it back at any time (a device is reset): it revokes the buffer, and each importer is told before the
 * memory goes.  What may be asked of a buffer then is the exporter's to say.
 *
 * The lock of a buffer is taken by the exporter around a change, and by importers around using the address:
 * while they hold it the memory stays.  Source of words: Linux Documentation/driver-api/dma-buf.rst.
 */
#ifndef KERNEL_FS_DMA_BUF_H
#define KERNEL_FS_DMA_BUF_H

#include <bsd/sys/queue.h>
#include <linux/dma-buf.h>

#include "kernel/fs/file.h"
#include "kernel/lib/mutex.h"

struct dma_buf;

struct dma_buf_ops {
	const char *exp_name;	/* "vfio_pci_core": the exporting module, in fdinfo */
	/** phys - where it is: one range of dma_buf.size bytes.  Lock held.  0; -ENODEV revoked; -EOPNOTSUPP. */
	int (*phys)(struct dma_buf *buf, phys_addr_t *ret_phys);
	/** release - the last reference is gone, nobody is attached.  No lock held.  @buf is freed after it. */
	void (*release)(struct dma_buf *buf);
};

struct dma_buf_attachment {
	TAILQ_ENTRY(dma_buf_attachment) next;	/* the buffer's lock */
	/** revoke - the memory goes: on return nothing reaches it by way of this importer.  Lock held. */
	void (*revoke)(struct dma_buf_attachment *attachment);
};

struct dma_buf {
	struct file *file;		/* it is one: no reference */
	const struct dma_buf_ops *ops;	/* immutable, like all down to the lock */
	void *priv;			/* the exporter's */
	u64 size;
	struct mutex lock;		/* LOCK_DMA_BUF */
	char name[DMA_BUF_NAME_LEN];	/* lock; what the program called it, or "" */
	TAILQ_HEAD(, dma_buf_attachment) attachments; /* lock */
};

/**
 * dma_buf_export - make a buffer; dma_buf_put() undoes it
 * @size: whole pages;  @f_flags: O_RDWR, O_CLOEXEC as the program asked
 * Return: with one reference; ERR_PTR(-ENOMEM).
 */
struct dma_buf *dma_buf_export(const struct dma_buf_ops *ops, void *priv, u64 size, unsigned f_flags);
/** dma_buf_fd - a descriptor for it, which takes over the caller's reference.  -EMFILE, -ENOMEM: still the caller's. */
int dma_buf_fd(struct dma_buf *buf, bool cloexec);
/** dma_buf_get - the buffer behind a descriptor, with a reference.  ERR_PTR(-EBADF) not open; -EINVAL is none. */
struct dma_buf *dma_buf_get(int fd);
/** dma_buf_put - NULL is accepted.  Hold no lock that the exporter's release takes. */
void dma_buf_put(struct dma_buf *buf);

static inline void dma_buf_lock(struct dma_buf *buf) { mutex_lock(&buf->lock); }
static inline void dma_buf_unlock(struct dma_buf *buf) { mutex_unlock(&buf->lock); }
/** dma_buf_attach, dma_buf_detach - take part; the lock held.  The importer keeps a reference meanwhile. */
void dma_buf_attach(struct dma_buf *buf, struct dma_buf_attachment *attachment);
void dma_buf_detach(struct dma_buf *buf, struct dma_buf_attachment *attachment);
/** dma_buf_revoke - tell all importers; the lock held, ops->phys already says no. */
void dma_buf_revoke(struct dma_buf *buf);

#endif
