/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selftest_access.h - the test ioctl's access files: a program plays a driver that pins and copies.
 *
 * An access file is a descriptor of its own.  What a program has pinned through it are items with numbers;
 * when the memory is unmapped, or the access moves to another IOAS, all items there go.
 */
#ifndef KERNEL_IOMMUFD_SELFTEST_ACCESS_H
#define KERNEL_IOMMUFD_SELFTEST_ACCESS_H

#include "kernel/iommufd/iommufd_private.h"
#include "kernel/iommufd/iommufd_test.h"

/* All get the command in ucmd->cmd, and are those of the op of that name. */
int mock_access_create(struct iommufd_ucmd *ucmd);
int mock_access_pages(struct iommufd_ucmd *ucmd);
int mock_access_destroy_pages(struct iommufd_ucmd *ucmd);
int mock_access_rw(struct iommufd_ucmd *ucmd);
int mock_access_replace_ioas(struct iommufd_ucmd *ucmd);

/** mock_same_memory - 1 if byte @phys of the bus is byte @uptr of the calling program; 0; -EFAULT; -errno. */
int mock_same_memory(phys_addr_t phys, u64 uptr);

#endif
