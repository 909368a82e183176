/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcitest.c MODE - what a program sees of a device that has one of everything (softvfio run -d pcitest).
 *
 *	regions		kinds of BARs, ROM, legacy VGA, widths, mappings
 *	packed		two BARs smaller than a page that share one
 *	resets		each way to reset it: the keys reset= decide which
 *	errors		advanced error reporting, up to the ERR interrupt and aer_dev_*
 *	power		memory decoding, power states and resets: what is mapped goes and comes back
 *	vpd		vital product data through config space
 *	vfs		virtual functions: made, used with tokens, taken away
 *	gone		the device leaves its slot
 *
 * The answers are those that Linux 7.3 gave for devices of QEMU with the same BARs and capabilities.
 */
#include "preload_test.h"

#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>

#define REGION(i) ((off_t)(i) << 40)
#define SYS "/sys/bus/pci/devices/"
#define MAGIC 0x7e570001u
enum { ID = 0, LIVENESS = 4, RESETS = 8, FUNCTION = 0xc, IRQ = 0x10, IRQ_STATUS = 0x14, AER_UNCOR = 0x18,
       AER_COR = 0x1c, DMA_SRC = 0x20, DMA_DST = 0x28, DMA_LEN = 0x30, DMA_STATUS = 0x34, GONE = 0x38,
       LAST_OFF = 0x40, LAST_LEN = 0x44, LAST_VAL = 0x48 };
#define GONE_KEY 0x676f6e65u

static int container = -1;

/* ---- opening --------------------------------------------------------------------------------- */

static int group_of(const char *bdf)
{
	char path[256], link[256];
	ssize_t n;
	int group;

	snprintf(path, sizeof(path), SYS "%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	ok(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	ok(group >= 0);
	if (container >= 0) {
		ok(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
		return group;
	}
	container = open("/dev/vfio/vfio", O_RDWR);
	ok(container >= 0);
	ok(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	ok(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	return group;
}

static int device_of(int group, const char *bdf)
{
	int dev = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);

	ok(dev >= 0);
	return dev;
}

static uint64_t get(int dev, unsigned region, uint64_t off, unsigned len)
{
	uint64_t val = 0;

	ok(pread(dev, &val, len, REGION(region) + (off_t)off) == (ssize_t)len);
	return val;
}

static void put(int dev, unsigned region, uint64_t off, unsigned len, uint64_t val)
{
	ok(pwrite(dev, &val, len, REGION(region) + (off_t)off) == (ssize_t)len);
}

static void attr(const char *bdf, const char *name, char *ret, size_t size)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), SYS "%s/%s", bdf, name);
	fd = open(path, O_RDONLY);
	ok(fd >= 0);
	n = read(fd, ret, size - 1);
	ok(n >= 0);
	ret[n] = '\0';
	close(fd);
}

static void attr_is(const char *bdf, const char *name, const char *want)
{
	char text[4096];

	attr(bdf, name, text, sizeof(text));
	if (strcmp(text, want))
		fprintf(stderr, "%s of %s is %s", name, bdf, text);
	ok(!strcmp(text, want));
}

static ssize_t attr_put(const char *bdf, const char *name, const char *text)
{
	char path[256];
	ssize_t n;
	int fd, err;

	snprintf(path, sizeof(path), "%s%s/%s", *bdf == '/' ? "" : SYS, bdf, name);
	fd = open(path, O_WRONLY);
	ok(fd >= 0);
	n = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return n;
}

static uint64_t count(int eventfd_fd)
{
	uint64_t n = 0;

	return read(eventfd_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static long set_irq(int dev, unsigned index, int fd)
{
	struct {
		struct vfio_irq_set hdr;
		int fd;
	} set = { { sizeof(set), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1 }, fd };

	return ioctl(dev, VFIO_DEVICE_SET_IRQS, &set);
}

/* ---- regions --------------------------------------------------------------------------------- */

static void region_is(int dev, unsigned index, uint32_t flags, uint64_t size, unsigned cap)
{
	uint64_t buf[64] = { 0 };
	struct vfio_region_info *info = (void *)buf;

	info->argsz = sizeof(buf);
	info->index = index;
	ok(!ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, info));
	if (info->flags != flags || info->size != size)
		fprintf(stderr, "region %u: flags %#x, size %#llx\n", index, info->flags, info->size);
	ok(info->flags == flags && info->size == size && info->offset == (uint64_t)REGION(index));
	ok(!cap || ((struct vfio_info_cap_header *)((char *)buf + info->cap_offset))->id == cap);
}

static void *map(int dev, unsigned region, size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, dev, REGION(region));
}

/* One store of each width: the register bank says how it arrived. */
static void widths(int dev, volatile uint8_t *bar)
{
	put(dev, 0, 0x100, 8, 0x1122334455667788);
	ok(get(dev, 0, LAST_LEN, 4) == 8 && get(dev, 0, LAST_VAL, 8) == 0x1122334455667788);
	put(dev, 0, 0x104, 4, 0xa1a2a3a4);
	ok(get(dev, 0, LAST_OFF, 4) == 0x104 && get(dev, 0, LAST_LEN, 4) == 4);
	*(volatile uint16_t *)(bar + 0x106) = 0xbeef;
	ok(get(dev, 0, LAST_LEN, 4) == 2 && get(dev, 0, LAST_OFF, 4) == 0x106 && get(dev, 0, LAST_VAL, 4) == 0xbeef);
	bar[0x109] = 0x5a;
	ok(get(dev, 0, LAST_LEN, 4) == 1 && get(dev, 0, LAST_VAL, 8) == 0x5a);
	*(volatile uint64_t *)(bar + 0x110) = 77;
	ok(get(dev, 0, LAST_LEN, 4) == 8 && get(dev, 0, LAST_OFF, 4) == 0x110);
	ok(*(volatile uint16_t *)(bar + 2) == MAGIC >> 16 && bar[0] == (MAGIC & 0xff));
}

static void bars(int dev)
{
	volatile uint8_t *bar0 = map(dev, 0, 0x4000);
	uint8_t *bar2 = map(dev, 2, 0x10000);
	volatile uint32_t *bar4 = map(dev, 4, 4096);

	ok(bar0 != MAP_FAILED && bar2 != MAP_FAILED && bar4 != MAP_FAILED);
	gives(map(dev, 1, 4096), EINVAL); /* I/O */
	gives(map(dev, VFIO_PCI_ROM_REGION_INDEX, 4096), EINVAL);
	gives(map(dev, VFIO_PCI_VGA_REGION_INDEX, 4096), EINVAL);
	gives(map(dev, 4, 8192), EINVAL);
	widths(dev, bar0);
	bar0[0x3000] = 9; /* a direct page */
	ok(get(dev, 0, 0x3000, 1) == 9 && get(dev, 0, LAST_OFF, 4) == 0x110);
	put(dev, 1, LIVENESS, 4, 0x12345678); /* I/O shows the same registers */
	ok(get(dev, 0, LIVENESS, 4) == (uint32_t)~0x12345678 && get(dev, 1, LIVENESS, 4) == (uint32_t)~0x12345678);
	memset(bar2, 0x33, 0xe000);
	ok(get(dev, 2, 0xdff8, 8) == 0x3333333333333333);
	put(dev, 2, 0xf010, 4, 0xabcd); /* the trapped page */
	ok(*(volatile uint32_t *)(bar2 + 0xf010) == 0xabcd && get(dev, 0, LAST_LEN, 4) == (2 << 8 | 4));
	bar4[2] = 0xfeed;
	ok(get(dev, 4, 8, 4) == 0xfeed && bar4[2] == 0xfeed);
	ok(bar4[64] == ~0u); /* behind its end in the same page */
	gives(pread(dev, bar2, 4, REGION(4) + 256), EINVAL);
	ok(pread(dev, bar2, 8, REGION(4) + 252) == 4);
	ok(get(dev, 0, 0x1080, 4) == ~0u && get(dev, 0, 0x107c, 8) >> 32 == ~0u); /* the MSI-X table is hidden */
	munmap((void *)bar0, 0x4000);
	munmap(bar2, 0x10000);
	munmap((void *)bar4, 4096);
}

static void rom(int dev, const char *file)
{
	uint8_t want[4096], got[4096];
	int fd = open(file, O_RDONLY);
	ssize_t n = read(fd, want, sizeof(want));

	ok(n > 0 && close(fd) == 0);
	ok(pread(dev, got, sizeof(got), REGION(6)) == 4096);
	ok(!memcmp(got, want, (size_t)n) && got[n] == 0xff);
	gives(pwrite(dev, got, 4, REGION(6)), EINVAL);
	put(dev, 7, PCI_ROM_ADDRESS, 4, ~0u); /* the program sizes and enables it; neither reaches hardware */
	ok(get(dev, 7, PCI_ROM_ADDRESS, 4) == 0xfffff001);
	put(dev, 7, PCI_ROM_ADDRESS, 4, 0);
	ok(get(dev, 7, PCI_ROM_ADDRESS, 4) == 0 && get(dev, 6, 0, 1) == want[0]);
}

static void vga(int dev)
{
	uint8_t byte = 0;

	gives(pread(dev, &byte, 1, REGION(8)), EINVAL);
	gives(pread(dev, &byte, 1, REGION(8) + 0x3bc), EINVAL);
	gives(pread(dev, &byte, 1, REGION(8) + 0xc0000), EINVAL);
	put(dev, 8, 0xa0010, 4, 0x01020304);
	ok(get(dev, 8, 0xa0010, 4) == 0x01020304);
	put(dev, 8, 0x3c0, 1, 5);
	ok(get(dev, 0, LAST_OFF, 4) == 0x3c0 && get(dev, 0, LAST_LEN, 4) == (7 << 8 | 1));
	ok(pread(dev, &(uint32_t){ 0 }, 4, REGION(8) + 0xbfffe) == 2);
	ok(pread(dev, &(uint32_t){ 0 }, 4, REGION(8) + 0x3de) == 2);
	attr_is(BDF, "boot_vga", "1\n");
}

static void off_and_on(int dev)
{
	uint32_t val;

	put(dev, 7, PCI_COMMAND, 2, 0);
	gives(pread(dev, &val, 4, REGION(0)), EIO);
	ok(get(dev, 1, ID, 4) == MAGIC); /* Linux does not look at the I/O bit */
	put(dev, 7, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	ok(get(dev, 0, ID, 4) == MAGIC);
}

static void regions(const char *rom_file)
{
	int dev = device_of(group_of(BDF), BDF);

	region_is(dev, 0, 0xf, 0x4000, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	region_is(dev, 1, 3, 64, 0);
	region_is(dev, 2, 7, 0x10000, 0);
	region_is(dev, 3, 0, 0, 0);
	region_is(dev, 4, 7, 256, 0);
	region_is(dev, 5, 7, 256, 0);
	region_is(dev, 6, 1, 4096, 0);
	region_is(dev, 7, 3, 4096, 0);
	region_is(dev, 8, 3, 0xc0000, 0);
	bars(dev);
	rom(dev, rom_file);
	vga(dev);
	off_and_on(dev);
}

static void packed(void)
{
	int dev = device_of(group_of(BDF), BDF);

	region_is(dev, 4, 3, 256, 0);
	region_is(dev, 5, 3, 256, 0);
	gives(map(dev, 4, 4096), EINVAL);
	put(dev, 5, 0, 4, 0x77);
	ok(get(dev, 5, 0, 4) == 0x77 && get(dev, 4, 0, 4) == 0);
	gives(ioctl(dev, VFIO_DEVICE_GET_REGION_INFO,
		    &(struct vfio_region_info){ .argsz = sizeof(struct vfio_region_info), .index = 8 }), EINVAL);
}

/* ---- resets, errors, VPD --------------------------------------------------------------------- */

static unsigned find_cap(int dev, uint8_t id)
{
	unsigned at = (unsigned)get(dev, 7, PCI_CAPABILITY_LIST, 1);

	while (at && get(dev, 7, at, 1) != id)
		at = (unsigned)get(dev, 7, at + 1, 1);
	return at;
}

static unsigned find_ext(int dev, uint16_t id)
{
	unsigned at = 0x100;

	while (at && (get(dev, 7, at, 4) & 0xffff) != id)
		at = (unsigned)(get(dev, 7, at, 4) >> 20);
	return at;
}

static void resets(const char *methods, const char *bdf)
{
	const bool any = strcmp(methods, "none");
	int dev = device_of(group_of(bdf), bdf);
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint64_t before = get(dev, 0, RESETS, 4);
	unsigned af = find_cap(dev, PCI_CAP_ID_AF);
	char text[64], path[256];

	ok(!ioctl(dev, VFIO_DEVICE_GET_INFO, &info));
	ok(!!(info.flags & VFIO_DEVICE_FLAGS_RESET) == any);
	snprintf(path, sizeof(path), SYS "%s/reset_method", bdf);
	put(dev, 0, LIVENESS, 4, 1);
	if (!any) {
		gives(ioctl(dev, VFIO_DEVICE_RESET), EINVAL);
		ok(get(dev, 0, RESETS, 4) == before && access(path, F_OK));
		return;
	}
	snprintf(text, sizeof(text), "%s\n", methods);
	attr_is(bdf, "reset_method", text);
	ok(!ioctl(dev, VFIO_DEVICE_RESET));
	ok(get(dev, 0, RESETS, 4) == before + 1 && get(dev, 0, LIVENESS, 4) == 0);
	if (af) {
		put(dev, 7, af + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
		ok(get(dev, 0, RESETS, 4) == before + 2);
	}
	ok(attr_put(bdf, "reset", "1") == 1);
}

static bool signalled(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, 5000) == 1 && count(fd);
}

static void counter_is(const char *file, const char *line)
{
	char text[4096];

	attr(BDF, file, text, sizeof(text));
	if (!strstr(text, line))
		fprintf(stderr, "%s has no %s", file, line);
	ok(strstr(text, line));
}

static void errors(void)
{
	int dev = device_of(group_of(BDF), BDF), e = eventfd(0, EFD_NONBLOCK);
	unsigned aer = find_ext(dev, PCI_EXT_CAP_ID_ERR);
	uint64_t resets_before;

	ok(aer && !set_irq(dev, VFIO_PCI_ERR_IRQ_INDEX, e));
	put(dev, 0, AER_COR, 4, PCI_ERR_COR_BAD_TLP);
	counter_is("aer_dev_correctable", "BadTLP 1\n");
	counter_is("aer_dev_correctable", "TOTAL_ERR_COR 1\n");
	put(dev, 0, AER_UNCOR, 4, PCI_ERR_UNC_UNSUP);
	ok(signalled(e)); /* and not for the one before */
	counter_is("aer_dev_nonfatal", "UnsupReq 1\n");
	for (int i = 0; get(dev, 7, aer + PCI_ERR_UNCOR_STATUS, 4) && i < 5000; i++)
		usleep(1000); /* cleared once the driver was told */
	ok(!get(dev, 7, aer + PCI_ERR_UNCOR_STATUS, 4));
	put(dev, 7, aer + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_COMP_ABORT);
	put(dev, 0, AER_UNCOR, 4, PCI_ERR_UNC_COMP_ABORT);
	ok(get(dev, 7, aer + PCI_ERR_UNCOR_STATUS, 4) == PCI_ERR_UNC_COMP_ABORT);
	counter_is("aer_dev_nonfatal", "CmpltAbrt 0\n");
	resets_before = get(dev, 0, RESETS, 4);
	put(dev, 0, AER_UNCOR, 4, PCI_ERR_UNC_MALF_TLP);
	ok(signalled(e));
	counter_is("aer_dev_fatal", "MalfTLP 1\n");
	for (int i = 0; get(dev, 0, RESETS, 4) == resets_before && i < 5000; i++)
		usleep(1000);
	ok(get(dev, 0, RESETS, 4) == resets_before + 1); /* the link was */
	counter_is("aer_dev_fatal", "TOTAL_ERR_FATAL 1\n");
}

/* In the device's list, but not in the program's: Linux knows nothing of what could be let through. */
static void hidden(int dev)
{
	static const uint16_t shown[] = { PCI_EXT_CAP_ID_ERR, PCI_EXT_CAP_ID_DSN, PCI_EXT_CAP_ID_ARI,
					  PCI_EXT_CAP_ID_ACS, PCI_EXT_CAP_ID_LTR, PCI_EXT_CAP_ID_ATS,
					  PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_ID_VNDR };
	int config = open(SYS BDF "/config", O_RDONLY);
	uint32_t head = 0;
	unsigned at = 0x100;

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		ok(find_ext(dev, shown[i]));
	ok(!find_ext(dev, PCI_EXT_CAP_ID_PASID));
	do {
		ok(config >= 0 && pread(config, &head, sizeof(head), at) == sizeof(head));
		at = head >> 20;
	} while (at && (head & 0xffff) != PCI_EXT_CAP_ID_PASID);
	ok((head & 0xffff) == PCI_EXT_CAP_ID_PASID && close(config) == 0);
	put(dev, 7, find_ext(dev, PCI_EXT_CAP_ID_ATS) + PCI_ATS_CTRL, 2, PCI_ATS_CTRL_ENABLE);
	ok(get(dev, 7, find_ext(dev, PCI_EXT_CAP_ID_ATS) + PCI_ATS_CTRL, 2) == 0); /* the kernel's to enable */
	put(dev, 7, find_ext(dev, PCI_EXT_CAP_ID_VNDR) + 8, 4, ~0u);
	ok(get(dev, 7, find_ext(dev, PCI_EXT_CAP_ID_VNDR) + 8, 4) == 0x04ff02ff); /* as far as hardware lets */
}

static void vpd(void)
{
	static const char name[] = "softvfio pcitest";
	int dev = device_of(group_of(BDF), BDF);
	unsigned at = find_cap(dev, PCI_CAP_ID_VPD);
	uint8_t bytes[20];
	char text[512];

	ok(at);
	for (unsigned i = 0; i < sizeof(bytes); i += 4) {
		put(dev, 7, at + PCI_VPD_ADDR, 2, i);
		ok(get(dev, 7, at + PCI_VPD_ADDR, 2) == (i | PCI_VPD_ADDR_F));
		*(uint32_t *)(bytes + i) = (uint32_t)get(dev, 7, at + PCI_VPD_DATA, 4);
	}
	ok(bytes[0] == 0x82 && bytes[1] == sizeof(name) - 1 && !memcmp(bytes + 3, name, sizeof(name) - 1));
	put(dev, 7, at + PCI_VPD_ADDR, 2, 0x7ffc); /* behind the end: zeros */
	ok(get(dev, 7, at + PCI_VPD_ADDR, 2) == 0xfffc && get(dev, 7, at + PCI_VPD_DATA, 4) == 0);
	put(dev, 7, at + PCI_VPD_ADDR, 2, 0x7ffc | PCI_VPD_ADDR_F); /* a write there never ends */
	ok(get(dev, 7, at + PCI_VPD_ADDR, 2) == 0xfffc);
	attr(BDF, "vpd", text, sizeof(text)); /* does not touch what the program sees */
	ok(!memcmp(text, bytes, sizeof(bytes)) && get(dev, 7, at + PCI_VPD_ADDR, 2) == 0xfffc);
	hidden(dev);
	attr_is(BDF, "serial_number", "7e-57-00-00-c0-ff-ee-00\n");
}

/* ---- power and mappings ---------------------------------------------------------------------- */

static sigjmp_buf away;

static void on_bus(int sig)
{
	siglongjmp(away, sig);
}

/* Does a load of a mapped page end with SIGBUS? */
static bool is_away(volatile uint8_t *at)
{
	if (sigsetjmp(away, 1))
		return true;
	(void)*at;
	return false;
}

/* A trapped page, a direct one and one that is direct for loads, each of which must come and go alike. */
struct pages {
	volatile uint8_t *trapped, *direct, *read_direct;
};

static void all_away(int dev, const struct pages *p)
{
	ok(is_away(p->trapped) && is_away(p->direct) && is_away(p->read_direct));
	gives(pread(dev, &(uint32_t){ 0 }, 4, REGION(0)), EIO);
	gives(pwrite(dev, &(uint32_t){ 0 }, 4, REGION(2)), EIO);
}

static void all_back(int dev, const struct pages *p)
{
	ok(!is_away(p->trapped) && !is_away(p->direct) && !is_away(p->read_direct));
	ok(get(dev, 0, ID, 4) == MAGIC && *(volatile uint32_t *)p->trapped == MAGIC);
}

static void power(void)
{
	int dev = device_of(group_of(BDF), BDF), e = eventfd(0, EFD_NONBLOCK);
	unsigned pm = find_cap(dev, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	uint8_t *bar0 = map(dev, 0, 0x4000), *bar2 = map(dev, 2, 0x10000);
	struct pages p = { bar0, bar2, bar2 + 0xe000 };

	ok(bar0 != MAP_FAILED && bar2 != MAP_FAILED && signal(SIGBUS, on_bus) != SIG_ERR);
	ok(!set_irq(dev, VFIO_PCI_MSIX_IRQ_INDEX, e));
	put(dev, 7, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	bar2[5] = 0x5a;
	all_back(dev, &p);
	put(dev, 7, PCI_COMMAND, 2, PCI_COMMAND_IO);
	all_away(dev, &p);
	put(dev, 7, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	all_back(dev, &p);
	ok(bar2[5] == 0x5a);

	attr_is(BDF, "power_state", "D0\n");
	put(dev, 7, pm, 2, 3);
	ok((get(dev, 7, pm, 2) & 3) == 3 && get(dev, 7, 0, 4) == 0x7e571234); /* config space answers */
	attr_is(BDF, "power_state", "D3hot\n");
	all_away(dev, &p);
	put(dev, 7, pm, 2, 1); /* which the device does not have */
	ok((get(dev, 7, pm, 2) & 3) == 3);
	put(dev, 7, pm, 2, 0);
	all_back(dev, &p);
	ok(get(dev, 7, PCI_COMMAND, 2) == (PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER));
	bar0[0x10] = 0; /* a byte does not act */
	*(volatile uint32_t *)(bar0 + IRQ) = 0;
	ok(signalled(e)); /* messages are as before, also for a device that forgot all */
	ok(!ioctl(dev, VFIO_DEVICE_RESET));
	all_back(dev, &p);
	*(volatile uint32_t *)(bar0 + IRQ) = 0;
	ok(signalled(e));
	close(dev);
	ok(!is_away(p.trapped)); /* the mapping keeps the device open */
	munmap(bar0, 0x4000);
	munmap(bar2, 0x10000);
}

/* ---- virtual functions ----------------------------------------------------------------------- */

#define VF0 "0000:01:10.0"
#define VF1 "0000:01:10.1"
#define PARAM "/sys/module/vfio_pci/parameters"
#define TOKEN_A " vf_token=61616161-6161-6161-6161-616161616161"
#define TOKEN_B " vf_token=62626262-6262-6262-6262-626262626262"

static void set_token(int dev, char c)
{
	struct {
		struct vfio_device_feature hdr;
		char uuid[16];
	} feature = { { sizeof(feature), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN } };

	memset(feature.uuid, c, sizeof(feature.uuid));
	ok(!ioctl(dev, VFIO_DEVICE_FEATURE, &feature));
}

static void numbers(void)
{
	gives(attr_put(BDF, "sriov_numvfs", "2"), ENOENT); /* not allowed yet */
	ok(attr_put(PARAM, "enable_sriov", "1") == 1);
	gives(attr_put(BDF, "sriov_numvfs", "abc"), EINVAL);
	gives(attr_put(BDF, "sriov_numvfs", "-1"), EINVAL);
	gives(attr_put(BDF, "sriov_numvfs", "5"), ERANGE);
	ok(attr_put(BDF, "sriov_numvfs", "0") == 1);
	ok(attr_put(BDF, "sriov_numvfs", "2") == 1);
	attr_is(BDF, "sriov_numvfs", "2\n");
	gives(attr_put(BDF, "sriov_numvfs", "3"), EBUSY);
	ok(attr_put(BDF, "sriov_numvfs", "2") == 1);
}

static void link_is(const char *path, const char *want)
{
	char link[256];
	ssize_t n = readlink(path, link, sizeof(link) - 1);

	ok(n > 0);
	link[n] = '\0';
	ok(!strcmp(link, want));
}

static void vf_directory(void)
{
	link_is(SYS BDF "/virtfn0", "../" VF0);
	link_is(SYS BDF "/virtfn1", "../" VF1);
	link_is(SYS VF1 "/physfn", "../" BDF);
	link_is(SYS VF0 "/driver", "../../../../bus/pci/drivers/vfio-pci");
	attr_is(VF0, "vendor", "0x1234\n");
	attr_is(VF0, "device", "0x7e58\n");
	attr_is(VF0, "driver_override", "vfio-pci\n");
	attr_is(VF0, "reset_method", "flr\n");
	attr_is(VF0, "ari_enabled", "1\n");
	ok(access(SYS VF0 "/remove", F_OK) && access(SYS VF0 "/sriov_totalvfs", F_OK));
	gives(attr_put(VF0, "sriov_vf_msix_count", "4"), EOPNOTSUPP);
}

static void tokens(int gp, int gv, int *ret_pf, int *ret_vf)
{
	int pf = device_of(gp, BDF), vf;

	gives(ioctl(gv, VFIO_GROUP_GET_DEVICE_FD, VF0), EACCES);
	gives(ioctl(gv, VFIO_GROUP_GET_DEVICE_FD, VF0 TOKEN_A), EACCES);
	set_token(pf, 'a');
	gives(ioctl(gv, VFIO_GROUP_GET_DEVICE_FD, VF0), EACCES);
	gives(ioctl(gv, VFIO_GROUP_GET_DEVICE_FD, VF0 TOKEN_B), EACCES);
	gives(ioctl(gv, VFIO_GROUP_GET_DEVICE_FD, VF0 " vf_token=xyz"), EINVAL);
	close(pf);
	vf = device_of(gv, VF0 TOKEN_A); /* the token stays when its owner goes */
	gives(ioctl(gp, VFIO_GROUP_GET_DEVICE_FD, BDF), EACCES);
	gives(ioctl(gp, VFIO_GROUP_GET_DEVICE_FD, BDF TOKEN_B), EACCES);
	pf = device_of(gp, BDF TOKEN_A);
	set_token(pf, 'b');
	close(vf);
	gives(ioctl(gv, VFIO_GROUP_GET_DEVICE_FD, VF0 TOKEN_A), EACCES);
	*ret_vf = device_of(gv, VF0 TOKEN_B);
	*ret_pf = pf;
	gives(ioctl(*ret_vf, VFIO_DEVICE_FEATURE,
		    &(struct vfio_device_feature){ sizeof(struct vfio_device_feature),
						   VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
							   VFIO_DEVICE_FEATURE_PCI_VF_TOKEN }), ENOTTY);
}

static void vf_config(int vf)
{
	uint32_t real = 0;
	int config = open(SYS VF0 "/config", O_RDONLY);

	ok(config >= 0 && pread(config, &real, 4, 0) == 4 && real == ~0u && close(config) == 0);
	ok(get(vf, 7, 0, 4) == 0x7e581234);
	ok(get(vf, 7, PCI_COMMAND, 2) == PCI_COMMAND_MEMORY);
	ok(get(vf, 7, PCI_BASE_ADDRESS_0, 8) == PCI_BASE_ADDRESS_MEM_TYPE_64);
	put(vf, 7, PCI_BASE_ADDRESS_0, 8, ~0ull);
	ok(get(vf, 7, PCI_BASE_ADDRESS_0, 8) == 0xffffffffffffc004);
	put(vf, 7, PCI_BASE_ADDRESS_0, 8, 0);
	put(vf, 7, PCI_COMMAND, 2, 0); /* the program sees its bit, and nothing else comes of it */
	ok(get(vf, 7, PCI_COMMAND, 2) == 0 && get(vf, 0, ID, 4) == MAGIC);
	put(vf, 7, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ok(get(vf, 7, PCI_COMMAND, 2) == (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	region_is(vf, 0, 0xf, 0x4000, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	region_is(vf, 1, 0, 0, 0);
}

/* DMA and an interrupt of a virtual function, by its own group and domain. */
static void vf_works(int vf)
{
	uint64_t *ram = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map dma = { sizeof(dma), VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
						(uint64_t)ram, 0x100000, 8192 };
	volatile uint32_t *bar = map(vf, 0, 4096);
	int e = eventfd(0, EFD_NONBLOCK);

	ok(ram != MAP_FAILED && bar != MAP_FAILED && !ioctl(container, VFIO_IOMMU_MAP_DMA, &dma));
	ok(bar[FUNCTION / 4] == 1);
	ram[0] = 0x1234567890abcdef;
	put(vf, 0, DMA_SRC, 8, 0x100000);
	put(vf, 0, DMA_DST, 8, 0x101000);
	put(vf, 0, DMA_LEN, 4, 4096);
	ok(get(vf, 0, DMA_STATUS, 4) == 0 && ram[512] == ram[0]);
	ok(!set_irq(vf, VFIO_PCI_MSIX_IRQ_INDEX, e));
	bar[IRQ / 4] = 0;
	ok(signalled(e));
	ok(!ioctl(vf, VFIO_DEVICE_RESET) && bar[DMA_SRC / 4] == 0);
	munmap((void *)bar, 4096);
}

static void *take_away(void *unused)
{
	ok(attr_put(BDF, "sriov_numvfs", "0") == 1);
	return unused;
}

static void vfs(void)
{
	int gp, gv, pf, vf, req = eventfd(0, EFD_NONBLOCK);
	pthread_t thread;

	numbers();
	vf_directory();
	gp = group_of(BDF);
	gv = group_of(VF0);
	tokens(gp, gv, &pf, &vf);
	vf_config(vf);
	vf_works(vf);
	put(vf, 0, LIVENESS, 4, 0);
	ok(!ioctl(pf, VFIO_DEVICE_RESET)); /* takes its virtual functions along, and leaves them there */
	attr_is(BDF, "sriov_numvfs", "2\n");
	ok(get(vf, 0, ID, 4) == MAGIC && get(vf, 0, LIVENESS, 4) == 0);
	ok(!set_irq(vf, VFIO_PCI_REQ_IRQ_INDEX, req));
	ok(!pthread_create(&thread, NULL, take_away, NULL));
	ok(signalled(req)); /* they want it back, and wait */
	ok(get(vf, 0, ID, 4) == MAGIC);
	close(vf);
	close(gv);
	ok(!pthread_join(thread, NULL));
	attr_is(BDF, "sriov_numvfs", "0\n");
	ok(access(SYS VF0, F_OK) && access(SYS BDF "/virtfn0", F_OK));
	ok(attr_put(BDF, "sriov_numvfs", "1") == 1 && !access(SYS VF0, F_OK) && access(SYS VF1, F_OK));
	close(pf);
	close(gp);
	ok(attr_put("/sys/bus/pci/drivers/vfio-pci", "unbind", BDF) == (ssize_t)strlen(BDF));
	attr_is(BDF, "sriov_numvfs", "0\n");
	gives(attr_put(BDF, "sriov_numvfs", "1"), ENOENT); /* no driver */
}

/* ---- gone ------------------------------------------------------------------------------------ */

static void gone(void)
{
	int dev = device_of(group_of(BDF), BDF), e = eventfd(0, EFD_NONBLOCK);
	volatile uint32_t *bar = map(dev, 0, 4096);

	ok(bar != MAP_FAILED && bar[0] == MAGIC && !set_irq(dev, VFIO_PCI_MSIX_IRQ_INDEX, e));
	put(dev, 7, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar[GONE / 4] = GONE_KEY;
	ok(bar[0] == ~0u && get(dev, 0, ID, 4) == ~0u);
	ok(get(dev, 7, PCI_STATUS, 2) == 0xffff);
	bar[IRQ / 4] = 0;
	ok(!count(e));
	ok(ioctl(dev, VFIO_DEVICE_RESET) == 0 || errno == ENOTTY);
	gives(pread(dev, &(uint32_t){ 0 }, 4, REGION(0)), EIO); /* by now it is seen to be in no power state */
	munmap((void *)bar, 4096);
	close(dev);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : "";

	if (!strcmp(mode, "regions"))
		regions(arg);
	else if (!strcmp(mode, "packed"))
		packed();
	else if (!strcmp(mode, "resets"))
		resets(arg, argc > 3 ? argv[3] : BDF);
	else if (!strcmp(mode, "errors"))
		errors();
	else if (!strcmp(mode, "vpd"))
		vpd();
	else if (!strcmp(mode, "power"))
		power();
	else if (!strcmp(mode, "vfs"))
		vfs();
	else if (!strcmp(mode, "gone"))
		gone();
	else
		return 2;
	return 0;
}
