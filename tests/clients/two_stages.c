/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * two_stages.c - usage: two_stages amd|intel.  What an IOMMU with all features does for a program by iommufd: dirty
 * pages are exact, and a guest's page tables stand above ours.  Run on a machine with one edu, behind
 * such a unit.
 */
#include <linux/iommufd.h>

#include "preload_test.h"

#define IOVA 0x200000ull
#define GPA 0x800000ull	/* of the guest's memory, 16 pages: four of tables, the rest data */
#define BUFFER 0x40000ull
#define PAGE 4096ull

static int iommufd, device;
static unsigned char *mem; /* 16 pages */

static void wr(uint64_t reg, uint64_t val)
{
	ok(pwrite(device, &val, 8, (off_t)reg) == 8);
}

static void edu_run(uint64_t from, uint64_t to, uint64_t cmd)
{
	wr(0x80, from);
	wr(0x88, to);
	wr(0x90, 64);
	wr(0x98, cmd);
	for (int i = 0; (cmd & 1) && i < 10000; i++) {
		ok(pread(device, &cmd, 8, 0x98) == 8);
		usleep(100);
	}
	ok(!(cmd & 1));
}

/* The device writes 64 bytes to @iova that it read at @from. */
static void copy(uint64_t from, uint64_t iova)
{
	edu_run(from, BUFFER, 1);
	edu_run(BUFFER, iova, 3);
}

static void open_device(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	uint16_t command = 6;

	iommufd = open("/dev/iommu", O_RDWR);
	device = open("/dev/vfio/devices/vfio0", O_RDWR);
	ok(iommufd >= 0 && device >= 0);
	bind.iommufd = iommufd;
	ok(!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	ok(bind.out_devid == 1);
	ok(pwrite(device, &command, 2, (off_t)CONFIG_OFFSET + 4) == 2);
}

static uint32_t alloc_ioas(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	ok(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	return alloc.out_ioas_id;
}

static void map(uint32_t ioas, uint64_t iova)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m), .ioas_id = ioas, .user_va = (uintptr_t)mem, .length = 16 * PAGE, .iova = iova,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
	};

	ok(!ioctl(iommufd, IOMMU_IOAS_MAP, &m));
}

static int alloc_hwpt(uint32_t pt, uint32_t flags, uint32_t type, void *data, uint32_t len, uint32_t *ret)
{
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a), .flags = flags, .dev_id = 1, .pt_id = pt, .data_type = type, .data_len = len,
		.data_uptr = (uintptr_t)data,
	};

	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &a))
		return -1;
	*ret = a.out_hwpt_id;
	return 0;
}

static void attach(uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = { .argsz = sizeof(a), .pt_id = pt };

	ok(!ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a));
}

static uint64_t dirty(uint32_t hwpt, uint32_t flags)
{
	uint64_t bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .hwpt_id = hwpt, .flags = flags, .iova = IOVA, .length = 16 * PAGE,
		.page_size = PAGE, .data = (uintptr_t)&bits,
	};

	ok(!ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	return bits;
}

static void test_dirty(void)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = 1 };
	struct iommu_hwpt_set_dirty_tracking track = { .size = sizeof(track), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE };
	struct iommu_option small = { .size = sizeof(small), .option_id = IOMMU_OPTION_HUGE_PAGES };
	uint32_t ioas = alloc_ioas(), hwpt;

	ok(!ioctl(iommufd, IOMMU_GET_HW_INFO, &info));
	ok(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	small.object_id = ioas;
	ok(!ioctl(iommufd, IOMMU_OPTION, &small)); /* a bit for each page, also where they lie together */
	map(ioas, IOVA);
	ok(!alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, NULL, 0, &hwpt));
	attach(hwpt);
	copy(IOVA, IOVA + 3 * PAGE); /* not noted yet */
	track.hwpt_id = hwpt;
	ok(!ioctl(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &track));
	ok(dirty(hwpt, 0) == 0);
	copy(IOVA, IOVA + 5 * PAGE);
	copy(IOVA, IOVA + 7 * PAGE - 32); /* across an edge */
	ok(dirty(hwpt, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) == 0xe0);
	ok(dirty(hwpt, 0) == 0xe0);
	ok(dirty(hwpt, 0) == 0);
	copy(IOVA, IOVA + 5 * PAGE); /* the page is known to the device: it is noted all the same */
	ok(dirty(hwpt, 0) == 0x20);
}

/* x86-64 tables in the guest's first pages: IOVA is the guest's page @page. */
static void guest_maps(unsigned page)
{
	uint64_t *tables = (uint64_t *)mem;

	tables[0] = 7 | (GPA + PAGE);
	tables[512] = 7 | (GPA + 2 * PAGE);
	tables[1024 + (IOVA >> 21)] = 7 | (GPA + 3 * PAGE);
	tables[1536] = 7 | (GPA + page * PAGE);
	tables[1537] = 5 | (GPA + 5 * PAGE); /* behind it: read only */
}

static uint32_t alloc_nested(uint32_t parent, int amd)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = GPA, .addr_width = 48 };
	/* V, TV, GIoV, GV, and a table of guest tables, with one entry, in the guest's page 15 */
	uint64_t gcr3 = GPA + 15 * PAGE;
	struct iommu_hwpt_amd_guest dte = { .dte = { 3 | 3ull << 54 | (gcr3 >> 12 & 7) << 58,
						     (gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43 } };
	uint32_t nested;

	*(uint64_t *)(mem + 15 * PAGE) = 1 | GPA;
	if (amd)
		ok(!alloc_hwpt(parent, 0, IOMMU_HWPT_DATA_AMD_GUEST, &dte, sizeof(dte), &nested));
	else
		ok(!alloc_hwpt(parent, 0, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), &nested));
	return nested;
}

/* AMD has no call for it: attaching anew does it. */
static void invalidate(uint32_t nested, uint32_t parent, int amd)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = { .addr = IOVA, .npages = 1 };
	struct iommu_hwpt_invalidate call = {
		.size = sizeof(call), .hwpt_id = nested, .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(inv), .entry_num = 1, .data_uptr = (uintptr_t)&inv,
	};

	if (amd) {
		attach(parent);
		attach(nested);
		return;
	}
	ok(!ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &call));
	ok(call.entry_num == 1);
}

static void test_nested(int amd)
{
	uint32_t ioas = alloc_ioas(), parent, nested;

	map(ioas, GPA);
	ok(!alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, NULL, 0, &parent));
	memset(mem, 0, 16 * PAGE);
	guest_maps(4);
	nested = alloc_nested(parent, amd);
	attach(nested);
	memset(mem + 4 * PAGE, 0x5a, 64);
	copy(IOVA, IOVA + 128);
	ok(!memcmp(mem + 4 * PAGE, mem + 4 * PAGE + 128, 64));
	ok((((uint64_t *)mem)[1536] & 0x60) == 0x60); /* accessed and dirty, in the guest's table */
	copy(IOVA, IOVA + PAGE);
	ok(mem[5 * PAGE] == 0); /* the guest's table does not permit it */
	guest_maps(6);
	invalidate(nested, parent, amd);
	memset(mem + 6 * PAGE, 0x3c, 64);
	copy(IOVA, IOVA + 256);
	ok(!memcmp(mem + 6 * PAGE, mem + 6 * PAGE + 256, 64));
	attach(ioas); /* one stage again */
	copy(GPA + 6 * PAGE, GPA + 7 * PAGE);
	ok(!memcmp(mem + 6 * PAGE, mem + 7 * PAGE, 64));
}

int main(int argc, char **argv)
{
	mem = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(mem != MAP_FAILED && argc == 2);
	open_device();
	test_dirty();
	test_nested(!strcmp(argv[1], "amd"));
	puts("dirty pages and two stages");
	return 0;
}
