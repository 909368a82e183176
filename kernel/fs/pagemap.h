/* SPDX-License-Identifier: BSD-3-Clause */
/* pagemap.h - /proc/self/pagemap on a machine without an IOMMU: where a program learns physical addresses. */
#ifndef KERNEL_FS_PAGEMAP_H
#define KERNEL_FS_PAGEMAP_H

struct file;

#define PAGEMAP_PATH "/proc/self/pagemap"

/**
 * pagemap_open - one's own pagemap, with the physical addresses by which devices reach the pages
 * Return: a file; ERR_PTR(-ENOMEM), or what the host says to opening its own.
 */
struct file *pagemap_open(unsigned int f_flags);

#endif
