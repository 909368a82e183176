/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * width.c - usage: width BITS.  Group 0's IOMMU translates addresses of so many bits: IOMMU_GET_INFO says
 * it, the last page can be mapped, and the one behind it is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static void check(int ok, const char *what)
{
	if (ok)
		return;
	printf("width: %s\n", what);
	exit(1);
}

static uint64_t last_iova(int container)
{
	static union {
		struct vfio_iommu_type1_info info;
		unsigned char bytes[4096];
	} u;
	uint32_t at;

	u.info.argsz = sizeof(u);
	check(!ioctl(container, VFIO_IOMMU_GET_INFO, &u.info), "IOMMU_GET_INFO");
	for (at = u.info.cap_offset; at; at = ((struct vfio_info_cap_header *)(u.bytes + at))->next) {
		struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)(u.bytes + at);

		if (cap->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			return cap->iova_ranges[cap->nr_iovas - 1].end;
	}
	return 0;
}

static int map(int container, void *mem, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map m = { sizeof(m), VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					      (uintptr_t)mem, iova, 4096 };

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

int main(int argc, char **argv)
{
	uint64_t end = 1ull << (argc > 1 ? atoi(argv[1]) : 0);
	int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/0", O_RDWR);
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(container >= 0 && group >= 0 && mem != MAP_FAILED, "open");
	check(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "SET_CONTAINER");
	check(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	check(last_iova(container) == end - 1, "the last range of IOVAs ends elsewhere");
	check(!map(container, mem, end - 4096), "MAP_DMA of the last page");
	check(map(container, mem, end) == -1 && errno == EINVAL, "MAP_DMA behind it is not EINVAL");
	printf("the IOMMU has %s bits\n", argv[1]);
	return 0;
}
