/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * two_iommus.c - two groups behind different IOMMUs in one container: a mapping is in both, and what can be
 * used is what both can.  Run on a machine with an edu behind an AMD unit, group 0, and one behind a VT-d unit of
 * 39 bits, group 1.
 */
#include "preload_test.h"

#define AMD "0000:01:00.0"
#define INTEL "0000:02:00.0"
#define IOVA 0x200000ull
#define BUFFER 0x40000ull /* of an edu */

static int open_group(unsigned n)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%u", n);
	return open(path, O_RDWR);
}

/* Which unit a device is behind, as the tree says. */
static void behind(const char *bdf, const char *unit)
{
	char path[128], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	ok(n > 0);
	link[n] = '\0';
	ok(!strcmp(strrchr(link, '/') + 1, unit));
	snprintf(path, sizeof(path), "/sys/class/iommu/%s/devices/%s", unit, bdf);
	ok(!access(path, F_OK));
}

/* Page sizes and the last IOVA. */
static void info(int container, uint64_t pgsizes, uint64_t last)
{
	static union {
		struct vfio_iommu_type1_info info;
		unsigned char bytes[4096];
	} u;
	uint64_t end = 0;

	u.info.argsz = sizeof(u);
	ok(!ioctl(container, VFIO_IOMMU_GET_INFO, &u.info));
	ok(u.info.iova_pgsizes == pgsizes);
	for (uint32_t at = u.info.cap_offset; at; at = ((struct vfio_info_cap_header *)(u.bytes + at))->next) {
		struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)(u.bytes + at);

		if (cap->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			end = cap->iova_ranges[cap->nr_iovas - 1].end;
	}
	ok(end == last);
}

static int map(int container, void *mem, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map m = { sizeof(m), VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					      (uintptr_t)mem, iova, 4096 };

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

static int unmap(int container, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap m = { sizeof(m), 0, iova, 4096 };

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &m);
}

static int open_device(int group, const char *bdf)
{
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	uint16_t command = 6; /* memory, bus master */

	ok(device >= 0);
	ok(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config));
	ok(pwrite(device, &command, 2, (off_t)config.offset + 4) == 2);
	return device;
}

static void wr(int device, uint64_t reg, uint64_t val)
{
	ok(pwrite(device, &val, 8, (off_t)reg) == 8);
}

/* 64 bytes from one place of the program's memory into another, by way of the device's buffer. */
static void copy(int device, uint64_t from, uint64_t to)
{
	for (int out = 0; out < 2; out++) {
		uint64_t cmd = out ? 3 : 1;

		wr(device, 0x80, out ? BUFFER : from);
		wr(device, 0x88, out ? to : BUFFER);
		wr(device, 0x90, 64);
		wr(device, 0x98, cmd);
		for (int i = 0; (cmd & 1) && i < 10000; i++) {
			ok(pread(device, &cmd, 8, 0x98) == 8);
			usleep(100);
		}
		ok(!(cmd & 1));
	}
}

int main(void)
{
	const uint64_t amd_sizes = 0xfff7ffffff000, both = 0x40201000;
	unsigned char *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int container = open("/dev/vfio/vfio", O_RDWR), amd = open_group(0), intel = open_group(1);
	int amd_device, intel_device;

	ok(container >= 0 && amd >= 0 && intel >= 0 && mem != MAP_FAILED);
	behind(AMD, "ivhd0");
	behind(INTEL, "dmar0");
	ok(!ioctl(amd, VFIO_GROUP_SET_CONTAINER, &container));
	ok(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	ok(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) == 1);
	info(container, amd_sizes, ~0ull);
	/* a mapping that the second unit cannot have keeps its group away */
	ok(!map(container, mem, 1ull << 39));
	gives(ioctl(intel, VFIO_GROUP_SET_CONTAINER, &container), EINVAL);
	ok(!unmap(container, 1ull << 39));
	/* one that it can have is in its tables too, though it came later */
	ok(!map(container, mem, IOVA));
	ok(!ioctl(intel, VFIO_GROUP_SET_CONTAINER, &container));
	ok(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) == 0);
	info(container, both, (1ull << 39) - 1);
	gives(map(container, mem, 1ull << 39), EINVAL);
	amd_device = open_device(amd, AMD);
	intel_device = open_device(intel, INTEL);
	memset(mem, 0x11, 64);
	copy(amd_device, IOVA, IOVA + 1024);
	ok(!memcmp(mem, mem + 1024, 64));
	memset(mem, 0x22, 64);
	copy(intel_device, IOVA, IOVA + 2048);
	ok(!memcmp(mem, mem + 2048, 64));
	/* what is unmapped is unmapped in both */
	ok(!unmap(container, IOVA));
	memset(mem, 0x33, 64);
	copy(amd_device, IOVA, IOVA + 1024);
	copy(intel_device, IOVA, IOVA + 2048);
	ok(mem[1024] == 0x11 && mem[2048] == 0x22);
	/* without the second group the first unit decides alone */
	close(intel_device);
	ok(!ioctl(intel, VFIO_GROUP_UNSET_CONTAINER));
	info(container, amd_sizes, ~0ull);
	ok(!map(container, mem, 1ull << 39));
	ok(!map(container, mem, IOVA));
	copy(amd_device, IOVA, IOVA + 1024);
	ok(mem[1024] == 0x33);
	puts("two IOMMUs in one container");
	return 0;
}
