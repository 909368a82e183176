/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user.c - see vfio_user.h. */
#include "vfio_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

void die(const char *what)
{
	if (errno)
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
	else
		fprintf(stderr, "%s\n", what);
	exit(1);
}

/* ---- by group ---- */

/* What sysfs keeps of a device, whatever bus it is on. */
static void device_path(char *path, size_t size, const char *device, const char *name)
{
	static const char *const buses[] = { "platform", "amba", "pci" };

	for (unsigned i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		snprintf(path, size, "/sys/bus/%s/devices/%s/%s", buses[i], device, name);
		if (!access(path, F_OK))
			return;
	}
}

/* A group that no IOMMU is behind says so in a file "name". */
static int has_no_iommu(const char *group)
{
	char path[PATH_MAX], name[32];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%.20s/name", group);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, name, sizeof(name));
	close(fd);
	return n == 13 && !memcmp(name, "vfio-noiommu\n", 13);
}

/* The group's number is the last name of the link that sysfs keeps beside the device. */
static void open_group(struct vfio_dev *dev, const char *name)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *group;
	ssize_t n;

	device_path(path, sizeof(path), name, "iommu_group");
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die(path);
	link[n] = '\0';
	group = strrchr(link, '/') + 1;
	dev->noiommu = has_no_iommu(group);
	snprintf(path, sizeof(path), "/dev/vfio/%s%.20s", dev->noiommu ? "noiommu-" : "", group);
	dev->group = open(path, O_RDWR | O_CLOEXEC);
	if (dev->group < 0)
		die(path);
}

static void get_regions(struct vfio_dev *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ioctl(dev->device, VFIO_DEVICE_GET_INFO, &info))
		die("DEVICE_GET_INFO");
	dev->flags = info.flags;
	for (unsigned i = 0; i < info.num_regions && i < VFIO_PCI_VGA_REGION_INDEX; i++) {
		dev->regions[i] = (struct vfio_region_info){ .argsz = sizeof(dev->regions[i]), .index = i };
		if (ioctl(dev->device, VFIO_DEVICE_GET_REGION_INFO, &dev->regions[i]))
			die("GET_REGION_INFO");
	}
}

void vfio_open(struct vfio_dev *dev, const char *name)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int type;

	*dev = (struct vfio_dev){ .iommufd = -1 };
	dev->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (dev->container < 0)
		die("/dev/vfio/vfio");
	open_group(dev, name);
	type = dev->noiommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
	if (ioctl(dev->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    !ioctl(dev->container, VFIO_CHECK_EXTENSION, type))
		die("this kernel's VFIO has no type1v2 IOMMU, or may not do without one");
	if (ioctl(dev->group, VFIO_GROUP_GET_STATUS, &status))
		die("GROUP_GET_STATUS");
	errno = 0;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("the group is not viable: all of its devices must be bound to vfio-pci");
	if (ioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &dev->container))
		die("GROUP_SET_CONTAINER");
	if (ioctl(dev->container, VFIO_SET_IOMMU, type))
		die("SET_IOMMU");
	dev->device = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, name);
	if (dev->device < 0)
		die("GROUP_GET_DEVICE_FD");
	get_regions(dev);
}

/* ---- by iommufd ---- */

/* The node has the name of the one directory in vfio-dev beside the device. */
static int open_node(const char *name)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int fd = -1;

	device_path(path, sizeof(path), name, "vfio-dev");
	dir = opendir(path);
	if (!dir)
		die(path);
	while (fd < 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.250s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		die(path);
	closedir(dir);
	return fd;
}

void vfio_open_iommufd(struct vfio_dev *dev, const char *name)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

	*dev = (struct vfio_dev){ .container = -1, .group = -1 };
	dev->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (dev->iommufd < 0)
		die("/dev/iommu");
	dev->device = open_node(name);
	bind.iommufd = dev->iommufd;
	if (ioctl(dev->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		die("DEVICE_BIND_IOMMUFD");
	dev->devid = bind.out_devid;
	if (ioctl(dev->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		die("IOAS_ALLOC");
	dev->ioas = attach.pt_id = alloc.out_ioas_id;
	if (ioctl(dev->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		die("DEVICE_ATTACH_IOMMUFD_PT");
	get_regions(dev);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vfio_close(struct vfio_dev *dev)
{
	close(dev->device);
	close_if_open(dev->group);
	close_if_open(dev->container);
	close_if_open(dev->iommufd);
}

/* ---- memory ---- */

static void map_iommufd(struct vfio_dev *dev, void *mem, uint64_t iova, size_t size)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = dev->ioas,
		.user_va = (uintptr_t)mem,
		.length = size,
		.iova = iova,
	};

	if (ioctl(dev->iommufd, IOMMU_IOAS_MAP, &map))
		die("IOAS_MAP");
}

void vfio_map(struct vfio_dev *dev, void *mem, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)mem,
		.iova = iova,
		.size = size,
	};

	if (dev->iommufd >= 0)
		map_iommufd(dev, mem, iova, size);
	else if (ioctl(dev->container, VFIO_IOMMU_MAP_DMA, &map))
		die("IOMMU_MAP_DMA");
}

static void unmap_iommufd(struct vfio_dev *dev, uint64_t iova, size_t size)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = dev->ioas, .iova = iova, .length = size };

	if (ioctl(dev->iommufd, IOMMU_IOAS_UNMAP, &unmap) || unmap.length != size)
		die("IOAS_UNMAP");
}

void vfio_unmap(struct vfio_dev *dev, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };

	if (dev->iommufd >= 0)
		unmap_iommufd(dev, iova, size);
	else if (ioctl(dev->container, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != size)
		die("IOMMU_UNMAP_DMA");
}

/* ---- memory without an IOMMU ---- */

#define PAGE 4096u
#define POOL_BYTES (64u << 20)
#define POOL_HINT ((void *)0x8000000) /* perhaps the kernel's addresses follow ours */

/* Of a page that is there; 0 if we may not know. */
static uint64_t physical(int pagemap, const void *p)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)p / PAGE * sizeof(entry))) != sizeof(entry) ||
	    !(entry >> 63))
		return 0;
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* The first run of pages that lie together, none above @max; NULL. */
static uint8_t *find_run(int pagemap, uint8_t *pool, size_t size, uint64_t max, uint64_t *ret_addr)
{
	uint64_t pa, next = 0;
	uint8_t *run = NULL;

	for (uint8_t *p = pool; p < pool + POOL_BYTES; p += PAGE, next = pa + PAGE) {
		pa = physical(pagemap, p);
		if (!pa || pa + PAGE - 1 > max) {
			run = NULL;
			continue;
		}
		if (!run || pa != next) {
			run = p;
			*ret_addr = pa;
		}
		if ((size_t)(p + PAGE - run) >= size)
			return run;
	}
	return NULL;
}

/* Ask for far more than is needed, and keep what fits. */
static void *alloc_physical(size_t size, uint64_t max, uint64_t *ret_addr)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint8_t *pool = mmap(POOL_HINT, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *run;

	if (pagemap < 0 || pool == MAP_FAILED)
		die("memory, and /proc/self/pagemap");
	madvise(pool, POOL_BYTES, MADV_HUGEPAGE);
	memset(pool, 0, POOL_BYTES);
	run = find_run(pagemap, pool, size, max, ret_addr);
	close(pagemap);
	errno = 0;
	if (!run)
		die("no memory at physical addresses that the device can use");
	if (run > pool)
		munmap(pool, (size_t)(run - pool));
	munmap(run + size, (size_t)(pool + POOL_BYTES - run) - size);
	if (mlock(run, size))
		die("mlock");
	return run;
}

void *vfio_dma_alloc(struct vfio_dev *dev, size_t size, uint64_t iova, uint64_t max, uint64_t *ret_addr)
{
	void *mem;

	if (dev->noiommu)
		return alloc_physical(size, max, ret_addr);
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("memory");
	vfio_map(dev, mem, iova, size);
	*ret_addr = iova;
	return mem;
}

void vfio_dma_free(struct vfio_dev *dev, void *mem, size_t size, uint64_t addr)
{
	if (!dev->noiommu)
		vfio_unmap(dev, addr, size);
	munmap(mem, size);
}

/* ---- registers and interrupts ---- */

volatile void *vfio_bar(struct vfio_dev *dev, unsigned index)
{
	const struct vfio_region_info *r = &dev->regions[index];
	const int prot = r->flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
	void *p = mmap(NULL, r->size, prot, MAP_SHARED, dev->device, r->offset);

	if (p == MAP_FAILED)
		die("mmap of a BAR");
	return p;
}

void vfio_enable_master(struct vfio_dev *dev)
{
	const uint64_t command = dev->regions[VFIO_PCI_CONFIG_REGION_INDEX].offset + 4;
	uint16_t value;

	if (pread(dev->device, &value, 2, command) != 2)
		die("reading the command register");
	value |= 0x6; /* memory decoding, bus mastering */
	if (pwrite(dev->device, &value, 2, command) != 2)
		die("writing the command register");
}

void vfio_irq_eventfd(struct vfio_dev *dev, unsigned index, int efd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)] __attribute__((aligned(8))) = { 0 };
	struct vfio_irq_set *set = (void *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->count = 1;
	memcpy(set->data, &efd, sizeof(efd));
	if (ioctl(dev->device, VFIO_DEVICE_SET_IRQS, set))
		die("DEVICE_SET_IRQS");
}

void vfio_irq_unmask(struct vfio_dev *dev, unsigned index)
{
	struct vfio_irq_set set = { .argsz = sizeof(set), .index = index, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK };

	if (ioctl(dev->device, VFIO_DEVICE_SET_IRQS, &set))
		die("DEVICE_SET_IRQS");
}
