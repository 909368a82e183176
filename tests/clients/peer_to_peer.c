/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer_to_peer.c - an edu moves data to and from BARs of a pcitest, which one iommufd has as dma-bufs: memory,
 * registers, and what is left when the pcitest stops answering.  Run on a machine with an edu, 0000:01:00.0, and a
 * pcitest, 0000:02:00.0.
 */
#include "preload_test.h"

#include <dirent.h>
#include <linux/iommufd.h>
#include <time.h>

#define PEER "0000:02:00.0"
#define REGION(i) ((off_t)(i) << 40)
#define BUFFER 0x40000ull /* of an edu, 4 KiB */
#define MEMORY 0x100000ull
#define BAR2 0x200000ull
#define BAR0 0x300000ull
#define OWN 0x400000ull
#define BYTES 4096u
enum { EDU_DMA_SRC = 0x80, EDU_DMA_DST = 0x88, EDU_DMA_COUNT = 0x90, EDU_DMA_CMD = 0x98, PEER_LIVENESS = 4,
       PEER_DMA_SRC = 0x20, PEER_DMA_DST = 0x28, PEER_DMA_LEN = 0x30, PEER_DMA_STATUS = 0x34 };

static int iommufd, edu, peer;
static uint32_t ioas;

static int open_device(const char *bdf)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = ioas };
	char path[300];
	struct dirent *entry;
	uint16_t command = 6;
	int device = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	ok(dir);
	while ((entry = readdir(dir)) && entry->d_name[0] == '.')
		;
	ok(entry);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
	closedir(dir);
	device = open(path, O_RDWR);
	ok(device >= 0);
	ok(!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	ok(!ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	ok(pwrite(device, &command, 2, CONFIG_OFFSET + 4) == 2);
	return device;
}

static void decode(int device, bool on)
{
	const uint16_t command = on ? 6 : 4;

	ok(pwrite(device, &command, 2, CONFIG_OFFSET + 4) == 2);
}

static int export(int device, uint32_t region, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature feature;
		uint32_t region_index, open_flags, flags, nr_ranges;
		struct vfio_region_dma_range range;
	} q = {
		.feature = { sizeof(q), VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.region_index = region,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.range = { offset, length },
	};

	return ioctl(device, VFIO_DEVICE_FEATURE, &q);
}

static int map_buf(int fd, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = fd,
		.length = length,
		.iova = iova,
	};

	return ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

static void unmap(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap u = { .size = sizeof(u), .ioas_id = ioas, .iova = iova, .length = length };

	ok(!ioctl(iommufd, IOMMU_IOAS_UNMAP, &u));
}

static void *map_memory(void)
{
	void *mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)mem,
		.length = BYTES,
		.iova = MEMORY,
	};

	ok(mem != MAP_FAILED);
	ok(!ioctl(iommufd, IOMMU_IOAS_MAP, &map));
	return mem;
}

static void put64(int device, unsigned off, uint64_t value)
{
	ok(pwrite(device, &value, 8, off) == 8);
}

/* One transfer of an edu; @from_device: out of its buffer. */
static void dma(uint64_t src, uint64_t dst, unsigned bytes, bool from_device)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	uint64_t command = 1;

	put64(edu, EDU_DMA_SRC, src);
	put64(edu, EDU_DMA_DST, dst);
	put64(edu, EDU_DMA_COUNT, bytes);
	put64(edu, EDU_DMA_CMD, from_device ? 3 : 1);
	for (unsigned i = 0; i < 100000 && command & 1; i++) {
		nanosleep(&pause, NULL);
		ok(pread(edu, &command, 8, EDU_DMA_CMD) == 8);
	}
	ok(!(command & 1));
}

static void copy(uint64_t from, uint64_t to, unsigned bytes)
{
	dma(from, BUFFER, bytes, false);
	dma(BUFFER, to, bytes, true);
}

/* Memory to the BAR and back. */
static void memory_of_a_bar(uint8_t *mem)
{
	uint8_t seen[BYTES];

	for (unsigned i = 0; i < BYTES; i++)
		mem[i] = (uint8_t)(i * 7 + 1);
	copy(MEMORY, BAR2 + 0x1000, BYTES);
	ok(pread(peer, seen, BYTES, REGION(2) + 0x2000) == BYTES); /* the slice begins at 0x1000 */
	ok(!memcmp(seen, mem, BYTES));
	memset(mem, 0, BYTES);
	copy(BAR2 + 0x1000, MEMORY, BYTES);
	ok(!memcmp(seen, mem, BYTES));
}

static void a_register(uint8_t *mem)
{
	uint32_t value = 0x12345678;

	memcpy(mem, &value, 4);
	copy(MEMORY, BAR0 + PEER_LIVENESS, 4);
	ok(pread(peer, &value, 4, REGION(0) + PEER_LIVENESS) == 4);
	ok(value == ~0x12345678u);
}

/* The pcitest reaches its own BAR by way of the IOMMU, too. */
static void its_own_bar(uint8_t *mem)
{
	uint32_t status = 1, len = 64;

	memset(mem, 0x5a, len);
	ok(pwrite(peer, &(uint64_t){ MEMORY }, 8, PEER_DMA_SRC) == 8);
	ok(pwrite(peer, &(uint64_t){ BAR2 }, 8, PEER_DMA_DST) == 8);
	ok(pwrite(peer, &len, 4, PEER_DMA_LEN) == 4);
	ok(pread(peer, &status, 4, PEER_DMA_STATUS) == 4);
	ok(!status);
	memset(mem, 0, len);
	ok(pread(peer, mem, len, REGION(2) + 0x1000) == len);
	ok(mem[0] == 0x5a && mem[len - 1] == 0x5a);
}

/* A read of @iova faults: an edu gets zeros then. */
static void nothing_there(uint64_t iova, uint8_t *mem)
{
	memset(mem, 0x44, BYTES);
	copy(iova, MEMORY, BYTES);
	ok(!mem[0] && !mem[BYTES - 1]);
}

static void decoding_goes(int buf, uint8_t *mem)
{
	memset(mem, 0x33, BYTES);
	copy(MEMORY, BAR2, BYTES);
	decode(peer, false);
	gives(map_buf(buf, OWN, BYTES), ENODEV);
	nothing_there(BAR2, mem);
	decode(peer, true);
	memset(mem, 0x55, BYTES);
	copy(MEMORY, BAR2, BYTES); /* still is: it does not come back by itself */
	ok(pread(peer, mem, BYTES, REGION(2) + 0x1000) == BYTES);
	ok(mem[0] == 0x33);
	gives(map_buf(buf, BAR2, BYTES), EEXIST);
	unmap(BAR2, 4 * BYTES);
	ok(!map_buf(buf, BAR2, 4 * BYTES));
	memory_of_a_bar(mem);
}

static void what_a_descriptor_can(int buf)
{
	char link[64] = "", name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", buf);
	ok(readlink(name, link, sizeof(link) - 1) > 0);
	ok(!strncmp(link, "/dmabuf:", 8));
	ok(fcntl(buf, F_GETFD) == FD_CLOEXEC);
	ok(lseek(buf, 0, SEEK_END) == 4 * BYTES);
	gives(lseek(buf, 1, SEEK_SET), EINVAL);
	gives(read(buf, link, 4), EINVAL);
	ok(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, buf, 0) == MAP_FAILED && errno == EINVAL);
}

int main(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	uint8_t *mem;
	int buf, regs;

	iommufd = open("/dev/iommu", O_RDWR);
	ok(iommufd >= 0);
	ok(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	ioas = alloc.out_ioas_id;
	edu = open_device(BDF);
	peer = open_device(PEER);
	mem = map_memory();
	buf = export(peer, 2, 0x1000, 4 * BYTES);
	regs = export(peer, 0, 0, BYTES);
	ok(buf >= 0 && regs >= 0);
	what_a_descriptor_can(buf);
	ok(!map_buf(buf, BAR2, 4 * BYTES));
	ok(!map_buf(regs, BAR0, BYTES));
	gives(map_buf(buf, OWN, 5 * BYTES), EINVAL);
	memory_of_a_bar(mem);
	a_register(mem);
	its_own_bar(mem);
	decoding_goes(buf, mem);
	ok(!ioctl(peer, VFIO_DEVICE_RESET));
	unmap(BAR2, 4 * BYTES);
	ok(!map_buf(buf, BAR2, 4 * BYTES));
	memory_of_a_bar(mem);
	ok(!close(peer));
	gives(map_buf(buf, OWN, BYTES), ENODEV);
	nothing_there(BAR2, mem);
	ok(lseek(buf, 0, SEEK_END) == 4 * BYTES);
	ok(!close(buf) && !close(regs) && !close(edu) && !close(iommufd));
	puts("peer to peer: well");
	return 0;
}
