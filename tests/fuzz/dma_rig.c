/* SPDX-License-Identifier: BSD-3-Clause */
/* dma_rig.c - see dma_rig.h. */
#include "tests/fuzz/dma_rig.h"

#include <sys/eventfd.h>
#include <unistd.h>

int dma_container, dma_eventfd;
static bool rw_mapped;

static int map(u32 flags, unsigned page, unsigned pages, u64 iova)
{
	return rig_map_dma(dma_container, flags, rig_arena + page * PAGE_SIZE, iova, pages * PAGE_SIZE);
}

void dma_up(void)
{
	rig_up();
	dma_eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	dma_container = rig_open("/dev/vfio/vfio", 2);
	rig_must(dma_eventfd >= 0 && dma_container >= 0);
}

int dma_join(const char *path)
{
	static bool has_iommu;
	int group = rig_open(path, 2);

	rig_must(group >= 0);
	rig_must(!rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, (unsigned long)&dma_container));
	if (!has_iommu) {
		rig_must(!rig_ioctl(dma_container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
		rig_must(!map(VFIO_DMA_MAP_FLAG_READ, RO_PAGE, RO_PAGES, RO));
		rig_must(!map(VFIO_DMA_MAP_FLAG_WRITE, WO_PAGE, WO_PAGES, WO));
	}
	has_iommu = true;
	return group;
}

void dma_begin(void)
{
	rig_begin();
	dma_map_rw(false);
	rig_pattern();
	rig_writable(WO_PAGE, WO_PAGES, true);
	dma_map_rw(true);
}

void dma_steps(struct rig_input *in, unsigned most, void (*step)(struct rig_input *in))
{
	for (unsigned steps = 0; in_more(in) && steps < most; steps++) {
		step(in);
		rig_check_arena();
	}
}

void dma_end(void)
{
	u64 val;

	rig_check_arena();
	(void)!read(dma_eventfd, &val, sizeof(val));
}

void dma_map_rw(bool on)
{
	if (on == rw_mapped)
		return;
	if (on)
		rig_must(!map(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, RW_PAGE, RW_PAGES, RW));
	else
		rig_must(rig_unmap_dma(dma_container, RW, RW_PAGES * PAGE_SIZE) == RW_PAGES * PAGE_SIZE);
	rig_writable(RW_PAGE, RW_PAGES, on);
	rw_mapped = on;
}

u64 dma_pick(struct rig_input *in, const u64 bases[8])
{
	u8 how = in_u8(in);

	if (how >= 0xf8)
		return in_u64(in);
	return bases[how & 7] + (how & 0x40 ? in_u16(in) : 0) - (how & 0x80 ? 2048 : 0);
}
