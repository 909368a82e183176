/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_bench.c - what mapping into an I/O address space costs a program.
 *
 * usage: iommufd_bench [NODE]    uAPI only: it would run on a real /dev/iommu too
 *
 * The device's page table is attached, so that mapping pins memory and writes entries.
 */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
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

/* One address space is the device's, the other has a page table that fits the device. */
static int attach(const char *node, uint32_t ioas, uint32_t other)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = ioas };
	int device = open(node, O_RDWR | O_CLOEXEC);

	if (device < 0)
		die(node);
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		die("VFIO_DEVICE_BIND_IOMMUFD");
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt))
		die("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	struct iommu_hwpt_alloc table = { .size = sizeof(table), .dev_id = bind.out_devid, .pt_id = other };
	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &table))
		die("IOMMU_HWPT_ALLOC");
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

int main(int argc, char **argv)
{
	const char *node = argc > 1 ? argv[1] : "/dev/vfio/devices/vfio0";
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
