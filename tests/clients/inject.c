/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.c - what a VFIO program meets when its device fails on order.  usage: inject CASE [PCI address]
 *
 * Linux's headers only.  Prints one line and ends with 0 if all is as Linux has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *bdf = "0000:01:00.0";
static int container, group, device;
static struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
static struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
static volatile unsigned *regs;

#define must(cond) do { if (!(cond)) { \
	fprintf(stderr, "inject: line %d: %s: %s\n", __LINE__, #cond, strerror(errno)); exit(1); } } while (0)

static unsigned config_read(unsigned off, unsigned len)
{
	unsigned val = 0;

	must(pread(device, &val, len, (off_t)(config.offset + off)) == (ssize_t)len);
	return val;
}

static void decode_on(void)
{
	unsigned short command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	must(pwrite(device, &command, 2, (off_t)(config.offset + PCI_COMMAND)) == 2);
}

static int group_number(void)
{
	char path[256], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	must(n > 0);
	link[n] = '\0';
	return atoi(strrchr(link, '/') + 1);
}

static void open_device(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number());
	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(path, O_RDWR);
	must(container >= 0 && group >= 0);
	must(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	must(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	must(device >= 0);
	must(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config));
	must(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar));
	decode_on();
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	must(regs != MAP_FAILED);
}

static void set_eventfd(unsigned index, int efd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set *set = (void *)buf;

	*set = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = index, .count = 1 };
	memcpy(set->data, &efd, sizeof(efd));
	must(!ioctl(device, VFIO_DEVICE_SET_IRQS, set));
}

static void all_ones(void)
{
	unsigned val = 0;

	must(regs[0] == ~0u);
	must(pread(device, &val, 4, (off_t)bar.offset) == 4 && val == ~0u);
	must(config_read(PCI_CLASS_REVISION, 4) == ~0u);
	regs[1] = 1;
	must(regs[1] == ~0u);
}

/* The device is pulled out under us: we hear of it, use it on without harm, let go, and then it is gone. */
static void removal(void)
{
	struct pollfd pfd = { .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char path[256];
	int again;

	open_device();
	set_eventfd(VFIO_PCI_REQ_IRQ_INDEX, pfd.fd);
	for (int i = 0; i < 10 && regs[0] != ~0u; i++)
		usleep(1000);
	must(poll(&pfd, 1, 10000) == 1);
	all_ones();
	must(!ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	must(ioctl(device, VFIO_DEVICE_RESET) == -1 && errno == ENOTTY);
	again = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	must(again == -1 && (errno == ENODEV || errno == EPERM));
	munmap((void *)regs, 4096);
	close(device);
	close(group);
	close(container);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	for (int i = 0; i < 2000 && !access(path, F_OK); i++)
		usleep(5000);
	must(access(path, F_OK) == -1 && errno == ENOENT);
	must(open("/dev/vfio/0", O_RDWR) == -1 && errno == ENOENT);
	puts("removal: asked to let go, all ones meanwhile, then gone");
}

/* It is pulled out under us, and before we let go somebody kills us. */
static void killed(void)
{
	struct pollfd pfd = { .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN };

	open_device();
	set_eventfd(VFIO_PCI_REQ_IRQ_INDEX, pfd.fd);
	for (int i = 0; i < 10 && regs[0] != ~0u; i++)
		usleep(1000);
	must(poll(&pfd, 1, 10000) == 1);
	kill(getpid(), SIGKILL);
}

/* Killed while interrupts are on. */
static void killed_open(void)
{
	open_device();
	set_eventfd(VFIO_PCI_MSI_IRQ_INDEX, eventfd(0, EFD_CLOEXEC));
	kill(getpid(), SIGKILL);
}

static void link_down(void)
{
	open_device();
	must(regs[0] != ~0u);
	must(regs[0] == ~0u);
	all_ones();
	must(ioctl(device, VFIO_DEVICE_RESET) == -1 && errno == ENOTTY);
	all_ones();
	puts("link-down: all ones, and no reset helps");
}

/* Opening resets: that is the first. */
static void hanging_reset(void)
{
	open_device();
	must(regs[0] != ~0u);
	must(ioctl(device, VFIO_DEVICE_RESET) == -1 && errno == ENOTTY);
	must(regs[0] == ~0u);
	puts("hang-reset: ENOTTY, then all ones");
}

/* A direct or read-direct page goes with the rest: loads are all ones. */
static void direct_page(void)
{
	open_device();
	must(regs[0] != ~0u); /* this load is not seen by the device */
	must(pread(device, &(unsigned){ 0 }, 4, (off_t)bar.offset) == 4);
	must(regs[0] == ~0u);
	all_ones();
	puts("link-down: pages that were mapped directly are all ones too");
}

/* Have something mapped, say so, and wait until the device stops answering: 20 seconds at most. */
static void hold(void)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ, .iova = 0x100000, .size = 8192 };
	void *mem = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	open_device();
	must(mem != MAP_FAILED);
	map.vaddr = (unsigned long)mem;
	must(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	map.iova = 0x40000000;
	map.size = 1 << 20;
	map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	must(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	puts("ready");
	fflush(stdout);
	for (int i = 0; i < 1000 && regs[0] != ~0u; i++)
		usleep(20000);
	puts(regs[0] == ~0u ? "gone" : "still there");
}

/* The same, and then let go of it, so that it can leave sysfs too. */
static void let_go(void)
{
	char path[128];

	hold();
	munmap((void *)regs, 4096);
	close(device);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	for (int i = 0; i < 1000 && !access(path, F_OK); i++)
		usleep(10000);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } cases[] = {
		{ "removal", removal }, { "link-down", link_down }, { "hang-reset", hanging_reset }, { "direct", direct_page },
		{ "killed", killed }, { "killed-open", killed_open }, { "hold", hold }, { "let-go", let_go },
	};

	if (argc > 2)
		bdf = argv[2];
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(cases[i].name, argv[1])) {
			cases[i].run();
			return 0;
		}
	fprintf(stderr, "usage: inject removal|killed|killed-open|link-down|hang-reset|direct|hold|let-go [PCI address]\n");
	return 2;
}
