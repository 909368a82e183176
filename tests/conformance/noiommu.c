/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noiommu.c - VFIO on a machine without an IOMMU: noiommu-N groups, the backend that maps nothing, and DMA
 * to physical addresses.
 *
 * As legacy.c it prints a row an answer and runs on a real Linux too, as root, booted with
 * vfio.enable_unsafe_noiommu_mode=1.  It leaves that parameter as it was.
 *
 * usage: noiommu EDU    PCI address of QEMU's "edu" device, bound to vfio-pci
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/calls.h"

#define PARAM "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define BUS "/sys/bus/pci/"

static char group_node[PATH_MAX + 32];

/* ---- files ---- */

/* The file's content without its newline, as a note. */
static void note_file(const char *path)
{
	char text[256];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n > 0 && text[n - 1] == '\n')
		n--;
	note("%.*s", (int)(n > 0 ? n : 0), text);
	close(fd);
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	err = errno;
	close(fd);
	errno = err;
	return n < 0 ? -1 : 0;
}

static const char *device_file(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), BUS "devices/%s/%s", edu, name);
	return path;
}

static int group_number(void)
{
	char link[PATH_MAX];
	ssize_t n = readlink(device_file("iommu_group"), link, sizeof(link) - 1);

	if (n < 0)
		return -1;
	link[n] = 0;
	return atoi(strrchr(link, '/') + 1);
}

/* ---- what there is to see ---- */

static void sysfs(void)
{
	char path[PATH_MAX], link[PATH_MAX];
	struct stat st;
	int n = group_number();

	begin("noiommu sysfs");
	T("parameter", access(PARAM, W_OK));
	note_file(PARAM);
	T("link to the group", n < 0 ? -1 : 0);
	T("link to an IOMMU", readlink(device_file("iommu"), link, sizeof(link)));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", n);
	T("the group's name", access(path, R_OK));
	note_file(path);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/type", n);
	T("the group's type", access(path, R_OK));
	note_file(path);
	T("another type", put(path, "DMA"));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions", n);
	T("the group's reserved regions", access(path, R_OK));
	note_file(path);
	snprintf(group_node, sizeof(group_node), "/dev/vfio/noiommu-%d", n);
	T("node", stat(group_node, &st));
	note("mode %o", st.st_mode);
	snprintf(path, sizeof(path), "/dev/vfio/%d", n);
	T("node of a group with an IOMMU", stat(path, &st));
	snprintf(path, sizeof(path), "/sys/class/vfio/noiommu-%d/dev", n);
	T("class", access(path, R_OK));
	snprintf(path, sizeof(path), "%s", device_file("vfio-dev"));
	DIR *dir = opendir(path);
	struct dirent *d;
	T("vfio-dev", dir ? 0 : -1);
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			note("%.*s", (int)strcspn(d->d_name, "0123456789"), d->d_name);
	if (dir)
		closedir(dir);
}

/* ---- the classic way ---- */

static void classic(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .size = PG };
	struct vfio_device_info di = { .argsz = sizeof(di) };
	int c = open("/dev/vfio/vfio", O_RDWR), g, d, d2;

	begin("noiommu group");
	T("CHECK_EXTENSION 8 without a group", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	T("CHECK_EXTENSION 1 without a group", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	T("parameter off", put(PARAM, "N"));
	T("CHECK_EXTENSION 8 while it is off", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	g = TFD("open", open(group_node, O_RDWR));
	T("open a second time", open(group_node, O_RDWR));
	T("GET_STATUS", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	note("flags 0x%x", st.flags);
	T("GET_DEVICE_FD without a container", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("SET_CONTAINER", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	T("GET_STATUS with a container", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	note("flags 0x%x", st.flags);
	T("SET_IOMMU 8 while it is off", ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	T("parameter on, as 1", put(PARAM, "1"));
	T("CHECK_EXTENSION 8", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	T("CHECK_EXTENSION 1", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	T("CHECK_EXTENSION 3", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	T("CHECK_EXTENSION 9", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	T("SET_IOMMU 1", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	T("SET_IOMMU 3", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("SET_IOMMU 99", ioctl(c, VFIO_SET_IOMMU, 99));
	T("GET_DEVICE_FD before SET_IOMMU", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("MAP_DMA before SET_IOMMU", ioctl(c, VFIO_IOMMU_MAP_DMA, &map));
	T("SET_IOMMU 8", ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	T("SET_IOMMU 8 again", ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	for (int i = 1; i <= 10; i++) {
		char name[64];

		snprintf(name, sizeof(name), "CHECK_EXTENSION %d now", i);
		T(name, ioctl(c, VFIO_CHECK_EXTENSION, i));
	}
	T("MAP_DMA", ioctl(c, VFIO_IOMMU_MAP_DMA, &map));
	T("UNMAP_DMA bad pointer", ioctl(c, VFIO_IOMMU_UNMAP_DMA, BAD));
	T("IOMMU_GET_INFO bad pointer", ioctl(c, VFIO_IOMMU_GET_INFO, BAD));
	T("unknown ioctl", ioctl(c, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("GET_DEVICE_FD wrong name", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "0000:ff:1f.7"));
	d = TFD("GET_DEVICE_FD", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	d2 = TFD("GET_DEVICE_FD a second time", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("GET_INFO", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	note("flags 0x%x", di.flags);
	T("UNSET_CONTAINER with a device open", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	close(d);
	close(d2);
	T("UNSET_CONTAINER", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	T("MAP_DMA after the last group left", ioctl(c, VFIO_IOMMU_MAP_DMA, &map));
	T("SET_CONTAINER again", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	close(g);
	close(c);
}

/* ---- DMA ---- */

static volatile uint8_t *regs;
static int pagemap;

/* 0: not there, or we may not know */
static uint64_t physical(const void *p)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, 8, (off_t)((uintptr_t)p / PG * 8)) != 8 || !(entry >> 63))
		return 0;
	return (entry & ((1ull << 55) - 1)) * PG + (uintptr_t)p % PG;
}

/* The device has addresses of 28 bits: a page that it can reach. */
static uint8_t *reachable_page(void)
{
	const size_t size = 64 << 20;
	uint8_t *mem = mmap((void *)0x8000000, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t pa;

	for (size_t i = 0; mem != MAP_FAILED && i < size; i += PG) {
		pa = physical(mem + i);
		if (pa && pa + PG <= 1 << 28)
			return mem + i;
	}
	return NULL;
}

static void edu_dma(uint64_t src, uint64_t dst, unsigned cmd)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	*(volatile uint64_t *)(regs + 0x80) = src;
	*(volatile uint64_t *)(regs + 0x88) = dst;
	*(volatile uint64_t *)(regs + 0x90) = 256;
	*(volatile uint64_t *)(regs + 0x98) = cmd;
	for (int i = 0; i < 2000 && (*(volatile uint32_t *)(regs + 0x98) & 1); i++)
		nanosleep(&pause, NULL);
}

static void dma(void)
{
	int c = open("/dev/vfio/vfio", O_RDWR), g = open(group_node, O_RDWR), d;
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command = 0x6;
	uint64_t entry;
	uint8_t *page;

	begin("noiommu DMA");
	ioctl(g, VFIO_GROUP_SET_CONTAINER, &c);
	ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
	d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu);
	ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &config);
	pwrite(d, &command, 2, (off_t)config.offset + 4);
	regs = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	pagemap = TFD("open /proc/self/pagemap", open("/proc/self/pagemap", O_RDONLY));
	T("pagemap, half an entry", pread(pagemap, &entry, 4, 8));
	T("pagemap, across entries", pread(pagemap, &entry, 8, 4));
	T("pagemap, a page that is not there", pread(pagemap, &entry, 8, 8));
	note("0x%llx", (unsigned long long)entry);
	T("pagemap, from its end", lseek(pagemap, 0, SEEK_END));
	T("pagemap, write", write(pagemap, &entry, 8));
	T("pagemap, to page 2", lseek(pagemap, 16, SEEK_SET));
	T("pagemap, read there", read(pagemap, &entry, 8));
	T("pagemap, where it is now", lseek(pagemap, 0, SEEK_CUR));
	page = reachable_page();
	T("a page whose physical address has 28 bits", page && (void *)regs != MAP_FAILED ? 0 : -1);
	if (!page || (void *)regs == MAP_FAILED)
		return;
	for (unsigned i = 0; i < 256; i++)
		page[i] = (uint8_t)(i * 7 + 3);
	edu_dma(physical(page), 0x40000, 1);
	edu_dma(0x40000, physical(page + 2048), 3);
	T("256 bytes to the device and back", memcmp(page, page + 2048, 256));
	munmap((void *)(uintptr_t)regs, PG);
	close(d);
	close(g);
	close(c);
}

/* ---- by the device's own node ---- */

static int get_pa(int i, uint32_t as, uint32_t flags, uint32_t reserved, uint64_t iova, uint64_t *len, uint64_t *pa)
{
	struct iommu_ioas_noiommu_get_pa cmd = { .size = sizeof(cmd), .flags = flags, .ioas_id = as,
						 .__reserved = reserved, .iova = iova, .length = *len };
	int ret = ioctl(i, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	*len = cmd.length;
	*pa = cmd.out_phys;
	return ret;
}

#define PA(what, as, flags, reserved, iova, bytes) ({ uint64_t len_ = (bytes); pa = 0; \
	T(what, get_pa(i, as, flags, reserved, iova, &len_, &pa)); note("length 0x%llx", (unsigned long long)len_); })

static void by_iommufd(void)
{
	struct vfio_device_info di = { .argsz = sizeof(di) };
	struct iommu_iova_range r[2];
	uint64_t pa;
	uint8_t *page;
	uint32_t id, as, pt;
	int i = open("/dev/iommu", O_RDWR), d, g;

	begin("noiommu iommufd");
	d = TFD("open the cdev", open_cdev(edu));
	T("GET_INFO before BIND", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	T("BIND", bind_to(d, i, &id));
	note("devid %u", id);
	T("GET_INFO", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	note("flags 0x%x", di.flags);
	T("open the group meanwhile", open(group_node, O_RDWR));
	as = ioas(i);
	page = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	T("MAP, nothing attached", imap(i, as, IOMMU_IOAS_MAP_FIXED_IOVA | 6, page, 2 * PG, 0x100000));
	PA("GET_PA, nothing attached", as, 0, 0, 0x100000, PG);
	pt = as;
	T("ATTACH", attach(d, 0, &pt));
	note("another id %d", pt != as);
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .ioas_id = as, .num_iovas = 2, .allowed_iovas = (uintptr_t)r };
	T("IOVA_RANGES", ioctl(i, IOMMU_IOAS_IOVA_RANGES, &q));
	note("num %u alignment 0x%llx [0x%llx-0x%llx]", q.num_iovas, q.out_iova_alignment, r[0].start, r[0].last);
	PA("GET_PA", as, 0, 0, 0x100000, PG);
	T("it is what pagemap says", pa && pa == physical(page) ? 0 : -1);
	PA("GET_PA in the middle of a page", as, 0, 0, 0x100234, 16);
	T("it is what pagemap says, with the offset", pa && pa == physical(page) + 0x234 ? 0 : -1);
	PA("GET_PA across the end of the mapping", as, 0, 0, 0x101800, PG);
	PA("GET_PA where nothing is mapped", as, 0, 0, 0x200000, PG);
	PA("GET_PA length 0", as, 0, 0, 0x100000, 0);
	PA("GET_PA wraps", as, 0, 0, 0x101000, -PG);
	PA("GET_PA flags 1", as, 1, 0, 0x100000, PG);
	PA("GET_PA __reserved 1", as, 0, 1, 0x100000, PG);
	PA("GET_PA missing ioas", 9999, 0, 0, 0x100000, PG);
	PA("GET_PA of a page table", pt, 0, 0, 0x100000, PG);
	T("MAP, attached", imap(i, as, IOMMU_IOAS_MAP_FIXED_IOVA | 6, page + 2 * PG, PG, 0x200000));
	PA("GET_PA of that", as, 0, 0, 0x200000, PG);
	T("it is what pagemap says, too", pa && pa == physical(page + 2 * PG) ? 0 : -1);
	T("UNMAP", iunmap(i, as, 0x200000, PG));
	PA("GET_PA, unmapped", as, 0, 0, 0x200000, PG);
	struct iommu_hwpt_alloc h = { .size = sizeof(h), .dev_id = id, .pt_id = as };
	T("HWPT_ALLOC", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	T("HWPT_ALLOC with dirty tracking", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	struct iommu_hw_info hi = { .size = sizeof(hi), .dev_id = id };
	T("GET_HW_INFO", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	T("DETACH", detach(d, 0));
	PA("GET_PA, detached", as, 0, 0, 0x100000, PG);
	g = TFD("open the group while it is bound", open(group_node, O_RDWR));
	close(d);
	g = TFD("open the group after closing", open(group_node, O_RDWR));
	T("SET_CONTAINER the iommufd", ioctl(g, VFIO_GROUP_SET_CONTAINER, &i));
	T("CHECK_EXTENSION 8", ioctl(i, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	T("SET_IOMMU 8", ioctl(i, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	d = TFD("GET_DEVICE_FD", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("GET_INFO of that", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	T("UNSET_CONTAINER", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	close(d);
	close(g);
	close(i);
}

/* ---- unbind and bind ---- */

static void binding(void)
{
	begin("noiommu binding");
	T("parameter off", put(PARAM, "0"));
	T("unbind", put(BUS "drivers/vfio-pci/unbind", edu));
	T("node then", access(group_node, F_OK));
	T("group then", group_number() < 0 ? -1 : 0);
	T("bind while it is off", put(BUS "drivers/vfio-pci/bind", edu));
	T("drivers_probe while it is off", put(BUS "drivers_probe", edu));
	T("driver then", access(device_file("driver"), F_OK));
	T("parameter on", put(PARAM, "Y"));
	T("bind", put(BUS "drivers/vfio-pci/bind", edu));
	T("node again", access(group_node, F_OK));
	T("parameter, nonsense", put(PARAM, "perhaps"));
	note_file(PARAM);
}

int main(int argc, char **argv)
{
	edu = argc > 1 ? argv[1] : getenv("VFIO_EDU");
	if (!edu) {
		fprintf(stderr, "usage: noiommu EDU (a PCI address)\n");
		return 2;
	}
	sysfs();
	classic();
	dma();
	by_iommufd();
	binding();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
