/* SPDX-License-Identifier: BSD-3-Clause */
/* explained.c - makes a call that must fail, for the test of --explain.  Ends with 1 if it did fail. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(void)
{
	const int container = open("/dev/vfio/vfio", O_RDWR);

	if (container < 0) {
		perror("/dev/vfio/vfio");
		return 2;
	}
	return ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ? 1 : 0;
}
