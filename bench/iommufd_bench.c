/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_bench.c - what mapping into an I/O address space costs a program.
 *
 * usage: iommufd_bench [NODE]	    uAPI only: it would run on a real /dev/iommu too
 *	  iommufd_bench --dirty [NODE]   an edu with 48 DMA bits, behind an IOMMU that keeps dirty bits
 *
 * The device's page table is attached, so that mapping pins memory and writes entries.
 */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/bench.h"

#define GIB (1ul << 30)
#define FIXED (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define ANYWHERE (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static int iommufd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &cmd))
		die("IOMMU_IOAS_ALLOC");
	return cmd.out_ioas_id;
}

static uint64_t map(uint32_t ioas, uint32_t flags, void *mem, uint64_t iova, size_t size)
{
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .flags = flags, .ioas_id = ioas,
				      .user_va = (uintptr_t)mem, .length = size, .iova = iova };

	if (ioctl(iommufd, IOMMU_IOAS_MAP, &cmd))
		die("IOMMU_IOAS_MAP");
	return cmd.iova;
}

static void unmap(uint32_t ioas, uint64_t iova, size_t size)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = size };

	if (ioctl(iommufd, IOMMU_IOAS_UNMAP, &cmd))
		die("IOMMU_IOAS_UNMAP");
}

static void copy(uint32_t dst, uint32_t src, uint64_t dst_iova, uint64_t src_iova, size_t size)
{
	struct iommu_ioas_copy cmd = { .size = sizeof(cmd), .flags = FIXED, .dst_ioas_id = dst, .src_ioas_id = src,
				       .length = size, .dst_iova = dst_iova, .src_iova = src_iova };

	if (ioctl(iommufd, IOMMU_IOAS_COPY, &cmd))
		die("IOMMU_IOAS_COPY");
}

static int bind_device(const char *node, uint32_t *ret_id)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	int device = open(node, O_RDWR | O_CLOEXEC);

	if (device < 0)
		die(node);
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		die("VFIO_DEVICE_BIND_IOMMUFD");
	*ret_id = bind.out_devid;
	return device;
}

static uint32_t hwpt_alloc(uint32_t device_id, uint32_t ioas, uint32_t flags)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = device_id, .pt_id = ioas };

	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &cmd))
		die("IOMMU_HWPT_ALLOC");
	return cmd.out_hwpt_id;
}

static void attach_pt(int device, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = id };

	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt))
		die("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

/* One address space is the device's, the other has a page table that fits the device. */
static int attach(const char *node, uint32_t ioas, uint32_t other)
{
	uint32_t id;
	int device = bind_device(node, &id);

	attach_pt(device, ioas);
	hwpt_alloc(id, other, 0);
	return device;
}

static void map_unmap(uint32_t ioas, uint32_t flags, void *mem, uint64_t iova, size_t size)
{
	unmap(ioas, map(ioas, flags, mem, iova, size), size);
}

static void small(uint32_t ioas, char *mem, double getppid_ns)
{
	enum { MANY = 60000 };

	bench_ratio("IOAS_MAP+UNMAP 4 KiB", BENCH(5000, map_unmap(ioas, FIXED, mem, 1ul << 40, 4096)), getppid_ns,
		    "getppid", 5);
	bench_ratio("the same, IOVA chosen", BENCH(5000, map_unmap(ioas, ANYWHERE, mem, 0, 4096)), getppid_ns,
		    "getppid", 5);
	for (uint64_t i = 0; i < MANY; i++) /* with a gap behind each, too small for what follows */
		map(ioas, FIXED, mem + i * 4096, (1ul << 32) + i * 8192, 4096);
	bench_ratio("IOAS_MAP+UNMAP 4 KiB with 60,000 others",
		    BENCH(5000, map_unmap(ioas, FIXED, mem, 1ul << 40, 4096)), getppid_ns, "getppid", 5);
	bench_ratio("the same, IOVA chosen, 8 KiB", BENCH(5000, map_unmap(ioas, ANYWHERE, mem, 0, 8192)), getppid_ns,
		    "getppid", 5);
	unmap(ioas, 0, UINT64_MAX);
}

static void large(uint32_t ioas, uint32_t other, char *mem)
{
	double map_ns[BENCH_ROUNDS], copy_ns[BENCH_ROUNDS];

	for (int i = 0; i < BENCH_ROUNDS; i++) {
		double start = bench_now_ns();

		map(other, FIXED, mem, 1ul << 40, GIB);
		map_ns[i] = bench_now_ns() - start;
		start = bench_now_ns();
		copy(ioas, other, 1ul << 40, 1ul << 40, GIB);
		copy_ns[i] = bench_now_ns() - start;
		unmap(ioas, 1ul << 40, GIB);
		unmap(other, 1ul << 40, GIB);
	}
	qsort(map_ns, BENCH_ROUNDS, sizeof(double), bench_compare);
	qsort(copy_ns, BENCH_ROUNDS, sizeof(double), bench_compare);
	bench_yardstick("yardstick: IOAS_MAP 1 GiB", map_ns[BENCH_ROUNDS / 2]);
	bench_ratio("IOAS_COPY 1 GiB", copy_ns[BENCH_ROUNDS / 2], map_ns[BENCH_ROUNDS / 2], "MAP", 0.2);
}

/* ---- dirty pages ---- */

/* A write of the device to one page in a hundred; edu has a buffer of its own at 0x40000 that it writes from. */
enum { EDU_DMA_SRC = 0x80, EDU_DMA_DST = 0x88, EDU_DMA_COUNT = 0x90, EDU_DMA_CMD = 0x98 };

static void edu_set(int device, off_t at, uint64_t value)
{
	if (pwrite(device, &value, sizeof(value), at) != sizeof(value))
		die("a register of edu");
}

static void write_one_percent(int device, off_t bar, uint64_t iova, uint64_t bytes)
{
	uint64_t running;

	edu_set(device, bar + EDU_DMA_SRC, 0x40000);
	edu_set(device, bar + EDU_DMA_COUNT, 8);
	for (uint64_t at = 0; at < bytes; at += 100 * 4096) {
		edu_set(device, bar + EDU_DMA_DST, iova + at);
		edu_set(device, bar + EDU_DMA_CMD, 3);
		do {
			if (pread(device, &running, sizeof(running), bar + EDU_DMA_CMD) != sizeof(running))
				die("a register of edu");
		} while (running & 1);
	}
}

static off_t bar0(int device)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	const uint16_t command = 6; /* memory, bus master */

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config))
		die("VFIO_DEVICE_GET_REGION_INFO");
	if (pwrite(device, &command, sizeof(command), (off_t)config.offset + 4) != sizeof(command))
		die("the command register");
	return (off_t)bar.offset;
}

static double get_dirty(uint32_t hwpt, uint64_t iova, uint64_t bytes, uint64_t *bits, uint32_t flags)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd), .hwpt_id = hwpt, .flags = flags, .iova = iova,
						   .length = bytes, .page_size = 4096, .data = (uintptr_t)bits };
	const uint64_t words = bytes / 4096 / 64;
	uint64_t set = 0;
	double start, ns;

	memset(bits, 0, words * 8);
	start = bench_cpu_ns();
	if (ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd))
		die("IOMMU_HWPT_GET_DIRTY_BITMAP");
	ns = bench_cpu_ns() - start;
	for (uint64_t i = 0; i < words; i++)
		set += (uint64_t)__builtin_popcountll(bits[i]);
	if (set != (bytes / 4096 + 99) / 100) {
		fprintf(stderr, "%lu pages are dirty\n", (unsigned long)set);
		exit(1);
	}
	return ns;
}

/* 16 GiB of I/O addresses in pages of 4 KiB, which the same gibibyte of memory serves. */
static void dirty(const char *node, char *mem)
{
	enum { ROUNDS = 5 };
	const uint64_t iova = 1ul << 40, bytes = 16 * GIB;
	uint64_t *bits = malloc(bytes / 4096 / 8);
	double keep[ROUNDS], clear[ROUNDS];
	uint32_t ioas = ioas_alloc(), id, hwpt;
	int device = bind_device(node, &id);
	struct iommu_option small = { .size = sizeof(small), .option_id = IOMMU_OPTION_HUGE_PAGES,
				      .op = IOMMU_OPTION_OP_SET, .object_id = ioas };
	struct iommu_hwpt_set_dirty_tracking on = { .size = sizeof(on), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE };
	const off_t bar = bar0(device);

	if (!bits || ioctl(iommufd, IOMMU_OPTION, &small))
		die("IOMMU_OPTION_HUGE_PAGES");
	on.hwpt_id = hwpt = hwpt_alloc(id, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	attach_pt(device, hwpt);
	for (uint64_t at = 0; at < bytes; at += GIB)
		map(ioas, FIXED, mem, iova + at, GIB);
	if (ioctl(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &on))
		die("IOMMU_HWPT_SET_DIRTY_TRACKING");
	for (int r = 0; r < ROUNDS; r++) {
		write_one_percent(device, bar, iova, bytes);
		keep[r] = get_dirty(hwpt, iova, bytes, bits, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
		clear[r] = get_dirty(hwpt, iova, bytes, bits, 0);
	}
	qsort(keep, ROUNDS, sizeof(double), bench_compare);
	qsort(clear, ROUNDS, sizeof(double), bench_compare);
	bench_ratio("GET_DIRTY_BITMAP of 16 GiB, 1 % dirty", clear[ROUNDS / 2], 2e7, "of 20 ms", 1);
	bench_ratio("the same, nothing cleared", keep[ROUNDS / 2], 2e7, "of 20 ms", 1);
	free(bits);
	close(device);
}

int main(int argc, char **argv)
{
	const bool dirty_bits = argc > 1 && !strcmp(argv[1], "--dirty");
	const char *node = argc > 1 + dirty_bits ? argv[1 + dirty_bits] : "/dev/vfio/devices/vfio0";
	char *mem = mmap(NULL, 2 * GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t ioas, other;
	double getppid_ns;
	int device;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		die("/dev/iommu");
	if (mem == MAP_FAILED)
		die("memory");
	mem = (char *)(((uintptr_t)mem + GIB - 1) & ~(GIB - 1));
	madvise(mem, GIB, MADV_HUGEPAGE);
	memset(mem, 1, GIB);
	if (dirty_bits) {
		dirty(node, mem);
		return 0;
	}
	ioas = ioas_alloc();
	other = ioas_alloc();
	device = attach(node, other, ioas); /* a page table each: what is copied is pinned once */
	getppid_ns = BENCH(20000, bench_syscall(SYS_getppid, 0, 0, 0));
	bench_yardstick("yardstick: getppid", getppid_ns);
	small(other, mem, getppid_ns);
	large(ioas, other, mem);
	close(device);
	close(iommufd);
	return 0;
}
