/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptors.c - what every descriptor of VFIO and iommufd answers to the calls that all files have.
 *
 * usage: descriptors EDU [MSIX]    as legacy.c, which tells the rest
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/conformance/every_file.h"

static void of_iommufd(int i)
{
	int d = open_cdev(edu);
	uint32_t id;
	all("a device's node, not bound", d);
	bind_to(d, i, &id);
	all("a device's node, bound", d);
	all("an iommufd", i);
	struct iommu_fault_alloc fa = { .size = sizeof(fa) };
	ioctl(i, IOMMU_FAULT_QUEUE_ALLOC, &fa);
	all("a fault queue", (int)fa.out_fault_fd);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	all("a container", x.c);
	all("a group", x.g);
	all("a device of a group", x.d);
	teardown(x);
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (i >= 0)
		of_iommufd(i);
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
