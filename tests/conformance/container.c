/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * container.c - questions to an iommufd that stands in for a container: VFIO_GROUP_SET_CONTAINER takes it, and it
 * answers the ioctls of type1.
 *
 * usage: container EDU [MSIX]    as legacy.c, which tells the rest
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/conformance/calls.h"

static void compat(void)
{
	begin("iommufd as container");
	int i = open("/dev/iommu", O_RDWR), g = open(group_path(edu), O_RDWR);
	if (i < 0)
		return;
	T("GET_API_VERSION", ioctl(i, VFIO_GET_API_VERSION));
	T("CHECK_EXTENSION type1v2", ioctl(i, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	T("SET_IOMMU without a group", ioctl(i, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("MAP_DMA without a group", dma_map(i, 3, mem, 0, PG));
	T("SET_CONTAINER", ioctl(g, VFIO_GROUP_SET_CONTAINER, &i));
	for (int e = 1; e <= 11; e++) {
		char s[40];
		snprintf(s, sizeof(s), "CHECK_EXTENSION %d", e);
		T(s, ioctl(i, VFIO_CHECK_EXTENSION, e));
	}
	struct iommu_vfio_ioas vi = { .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_GET };
	T("VFIO_IOAS GET", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	note("id %u", vi.ioas_id);
	int d = TFD("GET_DEVICE_FD before SET_IOMMU", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("SET_IOMMU 99", ioctl(i, VFIO_SET_IOMMU, 99));
	T("SET_IOMMU type1v2", ioctl(i, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("SET_IOMMU again", ioctl(i, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	struct { struct vfio_iommu_type1_info i; char caps[512]; } ii = { .i.argsz = sizeof(ii) };
	T("IOMMU_GET_INFO", ioctl(i, VFIO_IOMMU_GET_INFO, &ii));
	note("argsz out %u flags 0x%x pgsizes 0x%llx caps:", ii.i.argsz, ii.i.flags, ii.i.iova_pgsizes);
	for (uint32_t o = ii.i.cap_offset; o && o < sizeof(ii);) {
		struct vfio_info_cap_header *h = (void *)((char *)&ii + o);
		note(" %u(v%u)@%u", h->id, h->version, o);
		o = h->next;
	}
	T("MAP flags 0", dma_map(i, 0, mem, 0x700000, PG));
	T("MAP flags VADDR", dma_map(i, 4, mem, 0x100000, PG));
	T("MAP size 0", dma_map(i, 3, mem, 0x100000, 0));
	T("MAP size 1", dma_map(i, 3, mem, 0x100000, 1));
	T("MAP 4 pages", dma_map(i, 3, mem, 0x100000, 4 * PG));
	T("MAP the same again", dma_map(i, 3, mem, 0x100000, 4 * PG));
	T("MAP in the MSI window", dma_map(i, 3, mem, 0xfee00000, PG));
	T("MAP vaddr not mapped", dma_map(i, 3, (void *)PG, 0x800000, PG));
	TU("UNMAP nothing there", i, 0, 0x900000, PG);
	TU("UNMAP the first page of four", i, 0, 0x100000, PG);
	TU("UNMAP the middle of four", i, 0, 0x101000, PG);
	TU("UNMAP more than the mapping", i, 0, 0xff000, 8 * PG);
	TU("UNMAP_ALL with a size", i, VFIO_DMA_UNMAP_FLAG_ALL, 0, PG);
	TU("UNMAP_ALL", i, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	TU("UNMAP_ALL again", i, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	struct vfio_iommu_type1_dirty_bitmap q = { .argsz = sizeof(q), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START };
	T("DIRTY_PAGES START", ioctl(i, VFIO_IOMMU_DIRTY_PAGES, &q));
	T("UNSET_CONTAINER with a device open", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	if (d >= 0)
		close(d);
	close(g);
	close(i);
	i = open("/dev/iommu", O_RDWR);
	g = open(group_path(edu), O_RDWR);
	ioctl(g, VFIO_GROUP_SET_CONTAINER, &i);
	T("SET_IOMMU type1 (v1)", ioctl(i, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu);
	dma_map(i, 3, mem, 0x100000, 4 * PG);
	TU("v1: UNMAP the middle of four", i, 0, 0x101000, PG);
	TU("v1: UNMAP the rest", i, 0, 0x100000, 4 * PG);
	close(d); close(g); close(i);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	compat();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
