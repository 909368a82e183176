/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io_pagetable.c - what is mapped where in an I/O address space.
 */
#include "kernel/iommufd/io_pagetable.h"

void iopt_init_table(struct io_pagetable *iopt)
{
	mutex_init(&iopt->lock, LOCK_IOPT);
	iopt->iova_alignment = 1;
}

void iopt_destroy_table(struct io_pagetable *iopt)
{
	mutex_destroy(&iopt->lock);
}
