/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform.c - vfio-platform: who gets a platform device, what it is, regions, interrupts, reset.
 *
 * As legacy.c it prints a row an answer and runs on a real Linux too, as root, without an IOMMU (a PC's
 * knows PCI devices only); platform_ssdt tells of the devices there.
 *
 * usage: platform DEVICE OTHER    DEVICE: three regions (8 KiB, a page, 256 bytes), an edge and a level
 *                                 interrupt, a reset.  OTHER: no reset.  Both without driver.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"

#define BUS "/sys/bus/platform/"
#define PARAM "/sys/module/vfio_platform/parameters/reset_required"
#define REGION(i) ((off_t)(i) << 40)
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

static const char *device, *other;
static int d;

static long put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	err = errno;
	close(fd);
	errno = err;
	return n < 0 ? -1 : 0;
}

static const char *file_of(const char *name, const char *file)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), BUS "devices/%s/%s", name, file);
	return path;
}

static void note_file(const char *path)
{
	char text[256];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	note("%.*s", n > 0 ? (int)strcspn(text, "\n") : 0, text);
	close(fd);
}

/* ---- the bus ---- */

static void bus(void)
{
	struct stat st;

	begin("module");
	T("reset_required", stat(PARAM, &st));
	note("%o ", st.st_mode & 07777);
	note_file(PARAM);
	T("write reset_required", open(PARAM, O_WRONLY | O_TRUNC) < 0 && errno != EACCES ? -1 : 0);
	T("version", access("/sys/module/vfio_platform/version", R_OK));
	note_file("/sys/module/vfio_platform/version");
	begin("bind");
	T("new_id", access(BUS "drivers/vfio-platform/new_id", F_OK));
	T("remove_id", access(BUS "drivers/vfio-platform/remove_id", F_OK));
	T("driver_override at first", access(file_of(device, "driver_override"), R_OK | W_OK));
	note_file(file_of(device, "driver_override"));
	T("without override", put(BUS "drivers/vfio-platform/bind", device));
	T("no such device", put(BUS "drivers/vfio-platform/bind", "nosuch.0"));
	T("unbind without driver", put(BUS "drivers/vfio-platform/unbind", device));
	T("another driver's name", put(file_of(device, "driver_override"), "nosuch\n"));
	T("bind, overridden to another", put(BUS "drivers/vfio-platform/bind", device));
	T("probe, overridden to nothing there", put(BUS "drivers_probe", device));
	T("override of the other", put(file_of(other, "driver_override"), "vfio-platform"));
	T("bind without reset", put(BUS "drivers/vfio-platform/bind", other));
	T("probe without reset", put(BUS "drivers_probe", other));
	T("still without driver", access(file_of(other, "driver"), F_OK));
	T("override", put(file_of(device, "driver_override"), "vfio-platform\n"));
	note_file(file_of(device, "driver_override"));
	T("probe", put(BUS "drivers_probe", device));
	T("driver", access(file_of(device, "driver"), F_OK));
	T("bind once more", put(BUS "drivers/vfio-platform/bind", device));
	T("power/control", access(file_of(device, "power/control"), R_OK));
	note_file(file_of(device, "power/control"));
	T("power/runtime_status", access(file_of(device, "power/runtime_status"), R_OK));
	note_file(file_of(device, "power/runtime_status"));
	T("uevent", put(file_of(device, "uevent"), "change"));
	note_file(file_of(device, "uevent"));
	T("uevent, no action", put(file_of(device, "uevent"), "nonsense"));
}

static int open_device(void)
{
	char link[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink(file_of(device, "iommu_group"), link, sizeof(link) - 1);
	int c = open("/dev/vfio/vfio", O_RDWR), g;

	if (n < 0 || c < 0)
		exit(1);
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", strrchr(link, '/') + 1);
	begin("open");
	g = (int)TFD("group", open(path, O_RDWR));
	T("set container", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	T("set iommu", ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	T("device, a name behind", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "platdev.999"));
	T("device of another group", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, other));
	snprintf(path, sizeof(path), "%s ", device);
	T("device, a blank behind", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, path));
	d = (int)TFD("device", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, device));
	T("power/runtime_status", access(file_of(device, "power/runtime_status"), R_OK));
	note_file(file_of(device, "power/runtime_status"));
	return d;
}

/* ---- info ---- */

static void info(void)
{
	struct vfio_device_info i = { .argsz = sizeof(i), .cap_offset = 0x5555 };

	begin("info");
	T("device", ioctl(d, VFIO_DEVICE_GET_INFO, &i));
	note("flags %#x regions %u irqs %u argsz %u cap_offset %#x", i.flags, i.num_regions, i.num_irqs, i.argsz, i.cap_offset);
	i.argsz = 15;
	T("device, argsz 15", ioctl(d, VFIO_DEVICE_GET_INFO, &i));
	i.argsz = 16;
	T("device, argsz 16", ioctl(d, VFIO_DEVICE_GET_INFO, &i));
	i.argsz = 1000;
	T("device, argsz 1000", ioctl(d, VFIO_DEVICE_GET_INFO, &i));
	note("argsz %u", i.argsz);
	T("device, bad pointer", ioctl(d, VFIO_DEVICE_GET_INFO, BAD));
	for (unsigned n = 0; n < 4; n++) {
		struct vfio_region_info r = { .argsz = sizeof(r), .index = n, .cap_offset = 7 };
		char what[32];

		if (n == 1) /* may be read-only or not */
			continue;
		snprintf(what, sizeof(what), "region %u", n);
		T(what, ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
		note("flags %#x size %#llx offset %#llx argsz %u cap_offset %#x", r.flags, r.size, r.offset, r.argsz, r.cap_offset);
		r.argsz = sizeof(r) - 1;
		T("region, argsz short", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
		r.argsz = 400;
		T("region, argsz 400", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
		note("argsz %u", r.argsz);
	}
	T("region, bad pointer", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, BAD));
	for (unsigned n = 0; n < 3; n++) {
		struct vfio_irq_info q = { .argsz = sizeof(q), .index = n };
		char what[32];

		snprintf(what, sizeof(what), "irq %u", n);
		T(what, ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
		note("flags %#x count %u", q.flags, q.count);
		q.argsz = sizeof(q) - 1;
		T("irq, argsz short", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
	}
	T("irq, bad pointer", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, BAD));
}

static void others(void)
{
	static const struct { const char *what; uint32_t flags; } features[] = {
		{ "vf token", VFIO_DEVICE_FEATURE_PCI_VF_TOKEN }, { "migration", VFIO_DEVICE_FEATURE_MIGRATION },
		{ "low power", VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY }, { "dma-buf", VFIO_DEVICE_FEATURE_DMA_BUF },
		{ "logging", VFIO_DEVICE_FEATURE_DMA_LOGGING_START }, { "unknown", 0xfff },
	};
	struct vfio_device_feature f = { .argsz = 4 };

	begin("other");
	T("reset", ioctl(d, VFIO_DEVICE_RESET));
	T("ioeventfd", ioctl(d, VFIO_DEVICE_IOEVENTFD, BAD));
	T("hot reset info", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, BAD));
	T("hot reset", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, BAD));
	T("gfx plane", ioctl(d, VFIO_DEVICE_QUERY_GFX_PLANE, BAD));
	T("no request", ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 55), 0));
	T("container's request", ioctl(d, VFIO_GET_API_VERSION));
	T("feature, argsz 4", ioctl(d, VFIO_DEVICE_FEATURE, &f));
	f.argsz = sizeof(f);
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		f.flags = VFIO_DEVICE_FEATURE_PROBE | features[i].flags;
		T(features[i].what, ioctl(d, VFIO_DEVICE_FEATURE, &f));
	}
	f.flags = 1u << 30;
	T("feature, unknown flag", ioctl(d, VFIO_DEVICE_FEATURE, &f));
	T("lseek", lseek(d, 0, SEEK_SET));
}

/* ---- regions ---- */

static void note_position(void)
{
	char path[64], text[512] = "", *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d);
	fd = open(path, O_RDONLY);
	if (read(fd, text, sizeof(text) - 1) > 0 && (at = strstr(text, "pos:")))
		note("position %ld", strtol(at + 4, NULL, 0));
	close(fd);
}

static void rw(void)
{
	char buf[4096] = { 0 };

	begin("rw");
	T("read 4", pread(d, buf, 4, REGION(0)));
	T("read 8", pread(d, buf, 8, REGION(0)));
	T("read 7 at 1", pread(d, buf, 7, REGION(0) + 1));
	T("read a page", pread(d, buf, 4096, REGION(0)));
	T("read 0", pread(d, buf, 0, REGION(0)));
	T("read over the end", pread(d, buf, 64, REGION(2) + 0xf8));
	T("read at the end", pread(d, buf, 4, REGION(2) + 0x100));
	T("read 0 at the end", pread(d, buf, 0, REGION(2) + 0x100));
	T("read behind regions", pread(d, buf, 4, REGION(3)));
	T("read 0 behind regions", pread(d, buf, 0, REGION(3)));
	T("read far behind", pread(d, buf, 4, (off_t)1 << 62));
	T("read, bad pointer", pread(d, BAD, 4, REGION(0)));
	T("write 1 of region 2", pwrite(d, buf, 1, REGION(2) + 3));
	T("write 7 at 1 of region 2", pwrite(d, buf, 7, REGION(2) + 1));
	T("write over the end", pwrite(d, buf, 64, REGION(2) + 0xfc));
	T("write at the end", pwrite(d, buf, 4, REGION(2) + 0x100));
	T("write behind regions", pwrite(d, buf, 4, REGION(3)));
	T("write, bad pointer", pwrite(d, BAD, 4, REGION(2)));
	T("read()", read(d, buf, 4));
	note_position();
	T("read() again", read(d, buf, 8));
	note_position();
}

static void map(const char *what, size_t len, int prot, int flags, off_t off)
{
	void *p;

	errno = 0;
	p = mmap(NULL, len, prot, flags, d, off);
	row(what, p == MAP_FAILED ? -1 : 0, errno);
	if (p != MAP_FAILED)
		munmap(p, len);
}

static void maps(void)
{
	begin("mmap");
	map("region 0", 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, REGION(0));
	map("its second page", 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, REGION(0) + 0x1000);
	map("reading", 0x1000, PROT_READ, MAP_SHARED, REGION(0));
	map("nothing", 0x1000, PROT_NONE, MAP_SHARED, REGION(0));
	map("writing", 0x1000, PROT_WRITE, MAP_SHARED, REGION(0));
	map("executing", 0x1000, PROT_READ | PROT_EXEC, MAP_SHARED, REGION(0));
	map("private", 0x1000, PROT_READ, MAP_PRIVATE, REGION(0));
	map("one byte", 1, PROT_READ, MAP_SHARED, REGION(0));
	map("too long", 0x3000, PROT_READ, MAP_SHARED, REGION(0));
	map("over the end", 0x2000, PROT_READ, MAP_SHARED, REGION(0) + 0x1000);
	map("at the end", 0x1000, PROT_READ, MAP_SHARED, REGION(0) + 0x2000);
	map("not aligned", 0x1000, PROT_READ, MAP_SHARED, REGION(0) + 4);
	map("region 1, reading", 0x1000, PROT_READ, MAP_SHARED, REGION(1));
	map("less than a page", 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, REGION(2));
	map("behind regions", 0x1000, PROT_READ, MAP_SHARED, REGION(3));
	map("far behind", 0x1000, PROT_READ, MAP_SHARED, (off_t)1 << 62);
}

/* ---- interrupts ---- */

static void irqs(const char *what, uint32_t flags, unsigned index, unsigned start, unsigned num, const void *data, size_t len)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct vfio_irq_set *set = (void *)buf;

	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + len), .flags = flags, .index = index,
				      .start = start, .count = num };
	if (len)
		memcpy(set->data, data, len);
	T(what, ioctl(d, VFIO_DEVICE_SET_IRQS, set));
}

static void note_count(int efd)
{
	uint64_t n = 0;

	if (read(efd, &n, sizeof(n)) != sizeof(n))
		n = 0;
	note("signalled %llu", (unsigned long long)n);
}

/* What an eventfd that masks or unmasks does takes a moment. */
static void signal_and_wait(int efd)
{
	uint64_t one = 1;

	if (write(efd, &one, sizeof(one)) != sizeof(one))
		exit(1);
	usleep(200000);
}

static void one_irq(unsigned i)
{
	int e = eventfd(0, EFD_NONBLOCK), m = eventfd(0, EFD_NONBLOCK), u = eventfd(0, EFD_NONBLOCK), minus = -1, five = -5;
	int closed = 99, file = open("/dev/null", O_RDWR), two[2] = { e, e };
	uint8_t yes = 1, no = 0;

	begin(i ? "level" : "edge");
	irqs("trigger without eventfd", NONE | TRIGGER, i, 0, 1, NULL, 0);
	irqs("eventfd", EVENTFD | TRIGGER, i, 0, 1, &e, 4);
	irqs("trigger: masked by that before?", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("unmask", NONE | UNMASK, i, 0, 1, NULL, 0);
	irqs("trigger", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("trigger again", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("unmask, no", BOOL | UNMASK, i, 0, 1, &no, 1);
	irqs("trigger, yes", BOOL | TRIGGER, i, 0, 1, &yes, 1), note_count(e);
	irqs("unmask, yes", BOOL | UNMASK, i, 0, 1, &yes, 1);
	irqs("trigger, no", BOOL | TRIGGER, i, 0, 1, &no, 1), note_count(e);
	irqs("trigger, yes again", BOOL | TRIGGER, i, 0, 1, &yes, 1), note_count(e);
	irqs("unmask before mask", NONE | UNMASK, i, 0, 1, NULL, 0);
	irqs("mask", NONE | MASK, i, 0, 1, NULL, 0);
	irqs("mask twice", NONE | MASK, i, 0, 1, NULL, 0);
	irqs("trigger while masked", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("eventfd again", EVENTFD | TRIGGER, i, 0, 1, &e, 4);
	irqs("is the mask still there", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("unmask once", NONE | UNMASK, i, 0, 1, NULL, 0);
	irqs("trigger after one unmask", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("unmask at last", NONE | UNMASK, i, 0, 1, NULL, 0);
	irqs("mask by eventfd", EVENTFD | MASK, i, 0, 1, &m, 4);
	irqs("mask by another", EVENTFD | MASK, i, 0, 1, &e, 4);
	irqs("unmask by eventfd", EVENTFD | UNMASK, i, 0, 1, &u, 4);
	irqs("unmask by another", EVENTFD | UNMASK, i, 0, 1, &e, 4);
	signal_and_wait(m);
	irqs("trigger, masked by eventfd", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	signal_and_wait(u);
	irqs("trigger, unmasked by eventfd", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("no mask eventfd", EVENTFD | MASK, i, 0, 1, &minus, 4);
	irqs("no unmask eventfd", EVENTFD | UNMASK, i, 0, 1, &minus, 4);
	irqs("mask by a file", EVENTFD | MASK, i, 0, 1, &file, 4);
	irqs("mask by a closed one", EVENTFD | MASK, i, 0, 1, &closed, 4);
	irqs("unmask for what follows", NONE | UNMASK, i, 0, 1, NULL, 0);
	irqs("eventfd that is a file", EVENTFD | TRIGGER, i, 0, 1, &file, 4);
	irqs("trigger: the old one is gone", NONE | TRIGGER, i, 0, 1, NULL, 0), note_count(e);
	irqs("eventfd that is closed", EVENTFD | TRIGGER, i, 0, 1, &closed, 4);
	irqs("eventfd -5", EVENTFD | TRIGGER, i, 0, 1, &five, 4);
	irqs("eventfd, count 0", EVENTFD | TRIGGER, i, 0, 0, NULL, 0);
	irqs("bool, count 0", BOOL | TRIGGER, i, 0, 0, NULL, 0);
	irqs("none, count 0", NONE | TRIGGER, i, 0, 0, NULL, 0);
	irqs("none, count 0, start 1", NONE | TRIGGER, i, 1, 0, NULL, 0);
	irqs("none, count 0, start 2", NONE | TRIGGER, i, 2, 0, NULL, 0);
	irqs("start 1", EVENTFD | TRIGGER, i, 1, 1, &e, 4);
	irqs("count 2", EVENTFD | TRIGGER, i, 0, 2, two, 8);
	irqs("no data", EVENTFD | TRIGGER, i, 0, 1, NULL, 0);
	irqs("mask, count 0", NONE | MASK, i, 0, 0, NULL, 0);
	irqs("mask, count 2", NONE | MASK, i, 0, 2, NULL, 0);
	irqs("unmask, start 1", NONE | UNMASK, i, 1, 1, NULL, 0);
	irqs("no action", EVENTFD, i, 0, 1, &e, 4);
	irqs("two actions", EVENTFD | TRIGGER | MASK, i, 0, 1, &e, 4);
	irqs("no data type", TRIGGER, i, 0, 1, &e, 4);
	irqs("two data types", EVENTFD | BOOL | TRIGGER, i, 0, 1, &e, 4);
	irqs("unknown flag", EVENTFD | TRIGGER | 64, i, 0, 1, &e, 4);
	irqs("unmask before the end", NONE | UNMASK, i, 0, 1, NULL, 0);
	irqs("none at the end", NONE | TRIGGER, i, 0, 0, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: platform DEVICE OTHER\n");
		return 2;
	}
	device = argv[1];
	other = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	bus();
	d = open_device();
	if (d < 0)
		return 1;
	info();
	others();
	rw();
	maps();
	one_irq(0);
	one_irq(1);
	begin("irq");
	irqs("index 2", NONE | TRIGGER, 2, 0, 1, NULL, 0);
	irqs("index 2, count 0", NONE | TRIGGER, 2, 0, 0, NULL, 0);
	T("bad pointer", ioctl(d, VFIO_DEVICE_SET_IRQS, BAD));
	flush_row();
	fflush(stdout);
	_exit(count < 200);
}
