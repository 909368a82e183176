/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest_dmabuf.h - a dma-buf that belongs to no device: memory that a program can have revoked.
 *
 * Both get the command in ucmd->cmd, and are the op of that name.
 */
#ifndef KERNEL_IOMMUFD_SELFTEST_DMABUF_H
#define KERNEL_IOMMUFD_SELFTEST_DMABUF_H

#include "kernel/iommufd/iommufd_private.h"

/** mock_dmabuf_get - Return: the descriptor; -EINVAL length; -ENOMEM, -EMFILE. */
int mock_dmabuf_get(struct iommufd_ucmd *ucmd);
/** mock_dmabuf_revoke - take the memory back, or allow new mappings.  0; -EBADF, -EINVAL, -EOPNOTSUPP the fd. */
int mock_dmabuf_revoke(struct iommufd_ucmd *ucmd);

#endif
