/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resets.c - every way of resetting a PCI device, and what a program that has it open sees afterwards.
 *
 * usage: resets NAME=ADDRESS...    the devices of config.c, and two edu on one bus: left, right
 *
 * Of the devices' own registers nvme's controller configuration is shown: QEMU's edu knows no reset, and those that standin.c
 * stands in for have none.  See rows.h for what is printed.
 */
#include <linux/pci_regs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "tests/conformance/calls.h"

#define WHAT(...) ({ static char what_[160]; snprintf(what_, sizeof(what_), __VA_ARGS__); what_; })
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define NONE VFIO_IRQ_SET_DATA_NONE
#define EVFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIG VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define CFG (7ull << 40)

static char name[32], bdf[32];
static struct ctx x;
static int d, efd, raw;
static unsigned cap_pm, cap_exp, cap_msi, cap_msix;

static const char *address(int argc, char **argv, const char *of)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], of, strlen(of)) && argv[i][strlen(of)] == '=')
			return argv[i] + strlen(of) + 1;
	return NULL;
}

/* ---- reading and writing ------------------------------------------------------------------------ */

static uint32_t get(unsigned at, unsigned len)
{
	uint32_t val = 0;

	pread(d, &val, len, CFG + at);
	return val;
}

static long put(unsigned at, unsigned len, uint32_t val) { return pwrite(d, &val, len, CFG + at); }

static uint32_t real(unsigned at, unsigned len)
{
	uint32_t val = 0;

	pread(raw, &val, len, at);
	return val;
}

static unsigned find(unsigned id)
{
	for (unsigned at = get(PCI_CAPABILITY_LIST, 1), n = 0; at && n < 48; at = get(at + 1, 1), n++)
		if (get(at, 1) == id)
			return at;
	return 0;
}

static long write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;
	long ret = fd < 0 ? -1 : write(fd, text, strlen(text));

	err = errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return ret;
}

static int set(uint32_t flags, unsigned index, unsigned num, int fd)
{
	struct { struct vfio_irq_set set; int fds[4]; } s = {
		.set = { .argsz = sizeof(s.set) + (flags & EVFD ? 4 * num : 0), .flags = flags, .index = index, .count = num },
		.fds = { fd, fd, fd, fd },
	};

	return ioctl(d, VFIO_DEVICE_SET_IRQS, &s);
}

static unsigned long long drain(void)
{
	uint64_t n = 0;

	return read(efd, &n, 8) == 8 ? n : 0;
}

static bool open_device(const char *arg)
{
	const char *equals = strchr(arg, '=');

	snprintf(name, sizeof(name), "%.*s", (int)(equals - arg), arg);
	snprintf(bdf, sizeof(bdf), "%s", equals + 1);
	x = setup(bdf, VFIO_TYPE1v2_IOMMU, 1);
	d = x.d;
	raw = open(pci_attr(bdf, "config"), O_RDONLY);
	cap_pm = find(PCI_CAP_ID_PM);
	cap_exp = find(PCI_CAP_ID_EXP);
	cap_msi = find(PCI_CAP_ID_MSI);
	cap_msix = find(PCI_CAP_ID_MSIX);
	return d >= 0 && raw >= 0;
}

static void close_device(void)
{
	close(raw);
	teardown(x);
}

/* ---- the state of a device ----------------------------------------------------------------------- */

/* Change what a program can change. */
static void change(void)
{
	put(PCI_COMMAND, 2, 0x406);
	put(PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	put(PCI_INTERRUPT_LINE, 1, 0x55);
	put(PCI_CACHE_LINE_SIZE, 1, 0x40);
	if (cap_exp)
		put(cap_exp + PCI_EXP_DEVCTL, 2, 0x204f);
	if (cap_msi)
		put(cap_msi + PCI_MSI_ADDRESS_LO, 4, 0xfee12340);
}

static void note_state(void)
{
	note("command %04x real %04x, BAR0 %s, line %s, cache line %02x real %02x", get(PCI_COMMAND, 2), real(PCI_COMMAND, 2),
	     get(PCI_BASE_ADDRESS_0, 4) >> 28 == 0xe ? "as set" : "as found", get(PCI_INTERRUPT_LINE, 1) == 0x55 ? "as set" : "as found", get(PCI_CACHE_LINE_SIZE, 1), real(PCI_CACHE_LINE_SIZE, 1));
	if (cap_exp)
		note(", device control %04x real %x", get(cap_exp + PCI_EXP_DEVCTL, 2), real(cap_exp + PCI_EXP_DEVCTL, 2) & 0xf);
	if (cap_pm)
		note(", PMCSR %04x real %04x", get(cap_pm + PCI_PM_CTRL, 2), real(cap_pm + PCI_PM_CTRL, 2));
	if (cap_msi)
		note(", MSI %04x real %04x to %x", get(cap_msi + 2, 2), real(cap_msi + 2, 2), get(cap_msi + 4, 4));
	if (cap_msix)
		note(", MSI-X %04x real %04x", get(cap_msix + 2, 2), real(cap_msix + 2, 2));
}

/* nvme's controller configuration, which change_registers() sets without enabling the controller. */
static void note_registers(void)
{
	uint32_t cc = 0;

	if (strcmp(name, "nvme"))
		return;
	if (pread(d, &cc, 4, 0x14) == 4)
		note("; CC %x", cc);
	else
		note("; CC %s", strerrorname_np(errno));
}

static void change_registers(void)
{
	const uint32_t cc = 0x460000;

	if (!strcmp(name, "nvme"))
		pwrite(d, &cc, 4, 0x14);
}

/* ---- ways of resetting ------------------------------------------------------------------------------ */

static long device_reset(void) { return ioctl(d, VFIO_DEVICE_RESET); }
static long flr_by_config(void) { return cap_exp ? put(cap_exp + PCI_EXP_DEVCTL, 2, get(cap_exp + PCI_EXP_DEVCTL, 2) | 0x8000) : 0; }
static long by_sysfs(void) { return write_text(pci_attr(bdf, "reset"), "1"); }
static long hot_reset(void)
{
	struct { struct vfio_pci_hot_reset h; int fd; } h = { .h = { .argsz = sizeof(h), .count = 1 }, .fd = x.g };

	return ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &h);
}
static long by_power(void) { return cap_pm ? put(cap_pm + PCI_PM_CTRL, 2, 3) == 2 && put(cap_pm + PCI_PM_CTRL, 2, 0) == 2 ? 0 : -1 : 0; }

static const struct way { const char *text; long (*reset)(void); } ways[] = {
	{ "DEVICE_RESET", device_reset }, { "FLR by config space", flr_by_config }, { "reset of sysfs", by_sysfs },
	{ "HOT_RESET", hot_reset }, { "D3hot and back", by_power },
};

static void plain(const struct way *way)
{
	change();
	change_registers();
	T(way->text, way->reset());
	note_state();
	note_registers();
}

static void in_d3(const struct way *way)
{
	if (!cap_pm || way->reset == by_power)
		return;
	change();
	change_registers();
	put(cap_pm + PCI_PM_CTRL, 2, 3);
	T(WHAT("%s in D3hot", way->text), way->reset());
	note_state();
	note_registers();
	put(cap_pm + PCI_PM_CTRL, 2, 0);
}

static void memory_off(const struct way *way)
{
	put(PCI_COMMAND, 2, 0);
	T(WHAT("%s without decoding", way->text), way->reset());
	note_state();
	put(PCI_COMMAND, 2, 3);
}

static void with_intx(const struct way *way)
{
	put(PCI_COMMAND, 2, 3);
	if (set(EVFD | TRIG, INTX, 1, efd))
		return;
	set(NONE | MASK, INTX, 1, 0);
	T(WHAT("%s with INTx masked", way->text), way->reset());
	note("command %04x real %04x", get(PCI_COMMAND, 2), real(PCI_COMMAND, 2));
	T("unmask INTx", set(NONE | UNMASK, INTX, 1, 0));
	note("command %04x real %04x", get(PCI_COMMAND, 2), real(PCI_COMMAND, 2));
	T("trigger INTx", set(NONE | TRIG, INTX, 1, 0));
	note("E %llu", drain());
	put(PCI_COMMAND, 2, 0x403);
	T(WHAT("%s with INTx in use, disabled in the command register", way->text), way->reset());
	note("command %04x real %04x", get(PCI_COMMAND, 2), real(PCI_COMMAND, 2));
	put(PCI_COMMAND, 2, 3);
	set(NONE | TRIG, INTX, 0, 0);
}

/* Is a message still on its way?  edu and nvme send one when told to; here, the capability must be as it was. */
static void with_messages(const struct way *way, unsigned index, unsigned cap)
{
	const char *kind = index == MSI ? "MSI" : "MSI-X";
	uint32_t before;

	if (!cap || set(EVFD | TRIG, index, 1, efd))
		return;
	before = real(cap + 2, 2);
	T(WHAT("%s with %s in use", way->text, kind), way->reset());
	note("control %04x, real %s %04x", get(cap + 2, 2), real(cap + 2, 2) == before ? "as before" : "now", real(cap + 2, 2));
	T(WHAT("trigger %s", kind), set(NONE | TRIG, index, 1, 0));
	note("E %llu", drain());
	T(WHAT("disable %s", kind), set(NONE | TRIG, index, 0, 0));
	note("control %04x, real %04x", get(cap + 2, 2), real(cap + 2, 2));
}

static sigjmp_buf back;
static void on_signal(int sig) { siglongjmp(back, sig); }

static int load(const volatile uint32_t *p)
{
	int sig = sigsetjmp(back, 1);

	if (!sig)
		(void)*p;
	return sig;
}

static void with_mapping(const struct way *way)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 0 };
	volatile uint32_t *m;

	if (ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &info) || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return;
	put(PCI_COMMAND, 2, 2);
	m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	load(m);
	T(WHAT("%s with BAR0 mapped", way->text), way->reset());
	T("load after it (signal)", load(m));
	put(PCI_COMMAND, 2, 0);
	T(WHAT("%s with BAR0 mapped, memory decoding off", way->text), way->reset());
	T("load after it (signal)", load(m));
	put(PCI_COMMAND, 2, 2);
	T("load with memory decoding (signal)", load(m));
	munmap((void *)m, PG);
}

/* ---- methods in sysfs --------------------------------------------------------------------------------- */

static void methods(void)
{
	static const char *const texts[] = {
		"flr", "flr\n", "bus", "pm", "pm bus", "bus flr", "af_flr", "device_specific", "acpi", "cxl_bus", "flr flr", "nothing", "flr nothing", "default",
		"", "\n", " ", "flr,bus", "FLR", "default\n", "default flr",
	};
	char before[64];

	snprintf(before, sizeof(before), "%s", first_line(pci_attr(bdf, "reset_method")));
	row("reset_method", 0, 0);
	note("%s", before);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		T(WHAT("reset_method = \"%.*s%s\"", (int)strcspn(texts[i], "\n"), texts[i], strchr(texts[i], '\n') ? "\\n" : ""), write_text(pci_attr(bdf, "reset_method"), texts[i]));
		note("%s", first_line(pci_attr(bdf, "reset_method")));
		if (access(pci_attr(bdf, "reset"), F_OK))
			note(", there is no reset");
	}
	T("no method: reset_method = \"\"", write_text(pci_attr(bdf, "reset_method"), ""));
	T("reset without a method", write_text(pci_attr(bdf, "reset"), "1"));
	T("DEVICE_RESET without a method", device_reset());
	struct vfio_device_info info = { .argsz = sizeof(info) };
	T("GET_INFO without a method", ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	note("flags %#x", info.flags);
	T("reset_method = \"default\" again", write_text(pci_attr(bdf, "reset_method"), "default"));
	note("%s", first_line(pci_attr(bdf, "reset_method")));
	static const char *const values[] = { "0", "1", "1\n", "2", "-1", "", "x", "1 1", "0x1" };
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		T(WHAT("reset = \"%.*s%s\"", (int)strcspn(values[i], "\n"), values[i], strchr(values[i], '\n') ? "\\n" : ""), write_text(pci_attr(bdf, "reset"), values[i]));
}

/* ---- closing and opening ------------------------------------------------------------------------------ */

static void reopen(const char *arg)
{
	change();
	change_registers();
	if (cap_pm)
		put(cap_pm + PCI_PM_CTRL, 2, 3);
	close_device();
	T("open again after changes and D3hot", open_device(arg) ? 0 : -1);
	note("command %04x real %04x, BAR0 %s, cache line %02x real %02x", get(PCI_COMMAND, 2), real(PCI_COMMAND, 2),
	     get(PCI_BASE_ADDRESS_0, 4) >> 28 == 0xe ? "as it was left" : "restored", get(PCI_CACHE_LINE_SIZE, 1), real(PCI_CACHE_LINE_SIZE, 1));
	if (cap_exp)
		note(", device control %04x real %x", get(cap_exp + PCI_EXP_DEVCTL, 2), real(cap_exp + PCI_EXP_DEVCTL, 2) & 0xf);
	if (cap_pm)
		note(", PMCSR %04x real %04x", get(cap_pm + PCI_PM_CTRL, 2), real(cap_pm + PCI_PM_CTRL, 2));
	if (cap_msi)
		note(", MSI to %x", get(cap_msi + 4, 4));
	put(PCI_COMMAND, 2, 2);
	note_registers();
	set(EVFD | TRIG, cap_msix ? MSIX : cap_msi ? MSI : INTX, 1, efd);
	close_device();
	T("open again after interrupts were left on", open_device(arg) ? 0 : -1);
	note_state();
}

/* ---- hot reset -------------------------------------------------------------------------------------------- */

union hot_info { struct vfio_pci_hot_reset_info h; struct { struct vfio_pci_hot_reset_info hh; struct vfio_pci_dependent_device dev[8]; } d; };

static int hot_info(int fd, union hot_info *i, uint32_t argsz)
{
	memset(i, 0, sizeof(*i));
	i->h.argsz = argsz;
	i->h.flags = 0x55;
	return ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, i);
}

static void note_hot_info(const union hot_info *i)
{
	note("argsz %u flags %#x count %u", i->h.argsz, i->h.flags, i->h.count);
	for (unsigned n = 0; n < i->h.count && n < 8 && i->h.argsz >= sizeof(i->h) + (n + 1) * sizeof(i->d.dev[0]); n++)
		note("; %02x.%x id %s", i->d.dev[n].devfn >> 3, i->d.dev[n].devfn & 7,
		     i->d.dev[n].group_id == ~0u ? "-1" : i->d.dev[n].group_id ? "positive" : "0");
}

static void hot_infos(void)
{
	union hot_info i;

	for (uint32_t argsz = 0; argsz <= 48; argsz += argsz < 16 ? 1 : 4) {
		T(WHAT("hot reset info, argsz %u", argsz), hot_info(d, &i, argsz));
		note_hot_info(&i);
	}
	T("hot reset info, bad pointer", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, BAD));
}

static long hot(uint32_t argsz, uint32_t flags, uint32_t count, int a, int b)
{
	struct { struct vfio_pci_hot_reset h; int fd[4]; } h = { .h = { .argsz = argsz, .flags = flags, .count = count }, .fd = { a, b, a, b } };

	return ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &h);
}

static void hot_resets(void)
{
	int null = open("/dev/null", O_RDWR), copy = dup(x.g);

	for (uint32_t argsz = 0; argsz <= 24; argsz += 4)
		T(WHAT("hot reset, argsz %u", argsz), hot(argsz, 0, 1, x.g, -1));
	for (uint32_t flags = 1; flags <= 4; flags *= 2)
		T(WHAT("hot reset, flags %u", flags), hot(28, flags, 1, x.g, -1));
	T("hot reset, no group", hot(28, 0, 0, -1, -1));
	T("hot reset, its group twice", hot(28, 0, 2, x.g, x.g));
	T("hot reset, a copy of its group", hot(28, 0, 1, copy, -1));
	T("hot reset, three groups", hot(28, 0, 3, x.g, x.g));
	T("hot reset, group -1", hot(28, 0, 1, -1, -1));
	T("hot reset, /dev/null", hot(28, 0, 1, null, -1));
	T("hot reset, a closed descriptor", hot(28, 0, 1, 999, -1));
	T("hot reset, the container", hot(28, 0, 1, x.c, -1));
	T("hot reset, the device", hot(28, 0, 1, d, -1));
	T("hot reset, its group and /dev/null", hot(28, 0, 2, x.g, null));
	T("hot reset, count ~0", hot(28, 0, ~0u, x.g, -1));
	T("hot reset, bad pointer", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, BAD));
	close(null);
	close(copy);
}

/* The two that share a bus and a group. */
static void pair(const char *left, const char *right)
{
	union hot_info i;
	int r, iommufd, other, l;
	uint32_t id, val = 0, pt;

	begin("left and right");
	if (!open_device(WHAT("left=%s", left)))
		return;
	hot_infos();
	hot_resets();
	r = TFD("open right", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, right));
	put(PCI_COMMAND, 2, 2);
	pwrite(r, &(uint16_t){ 0x402 }, 2, CFG + PCI_COMMAND);
	T("hot reset by the left, both open", hot(28, 0, 1, x.g, -1));
	val = 0;
	pread(r, &val, 2, CFG + PCI_COMMAND);
	note("command left %04x right %04x", get(PCI_COMMAND, 2), val);
	T("read the left", pread(d, &val, 4, 0));
	note("%x", val);
	T("read the right", pread(r, &val, 4, 0));
	note("%x", val);
	pwrite(r, &(uint16_t){ 0 }, 2, CFG + PCI_COMMAND);
	T("hot reset by the left, the right does not decode", hot(28, 0, 1, x.g, -1));
	T("read the right then", pread(r, &val, 4, 0));
	close(d);
	T("the left closed and opened", (d = x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, left)) < 0 ? -1 : 0);
	note("command left %04x", get(PCI_COMMAND, 2));
	close(d);
	close(r);
	T("both closed, the left opened", (d = x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, left)) < 0 ? -1 : 0);
	note("command left %04x", get(PCI_COMMAND, 2));
	close_device();

	begin("left and right by iommufd");
	iommufd = open("/dev/iommu", O_RDWR);
	other = open("/dev/iommu", O_RDWR);
	l = open_cdev(left);
	d = l;
	T("hot reset info before bind", hot_info(l, &i, sizeof(i)));
	T("hot reset before bind", hot(28, 0, 0, -1, -1));
	T("bind left", bind_to(l, iommufd, &id));
	T("hot reset info, left bound", hot_info(l, &i, sizeof(i)));
	note_hot_info(&i);
	T("hot reset, left bound", hot(28, 0, 0, -1, -1));
	T("hot reset with argsz of the header", hot(12, 0, 0, -1, -1));
	T("hot reset with a group", hot(28, 0, 1, iommufd, -1));
	pt = ioas(iommufd);
	T("attach left", attach(l, 0, &pt));
	T("hot reset, left attached", hot(28, 0, 0, -1, -1));
	r = open_cdev(right);
	T("hot reset info, right open and not bound", hot_info(l, &i, sizeof(i)));
	note_hot_info(&i);
	T("hot reset, right open and not bound", hot(28, 0, 0, -1, -1));
	T("bind right to another iommufd", bind_to(r, other, &id));
	T("hot reset info then", hot_info(l, &i, sizeof(i)));
	note_hot_info(&i);
	T("hot reset then", hot(28, 0, 0, -1, -1));
	close(r);
	r = open_cdev(right);
	T("bind right to the same", bind_to(r, iommufd, &id));
	T("hot reset info with both", hot_info(l, &i, sizeof(i)));
	note_hot_info(&i);
	for (unsigned n = 0; n < i.h.count && n < 8; n++)
		note(", %s", i.d.dev[n].group_id == id ? "that of right" : "another");
	T("hot reset with both", hot(28, 0, 0, -1, -1));
	T("hot reset info by the right", hot_info(r, &i, sizeof(i)));
	note_hot_info(&i);
	close(r);
	close(l);
	close(other);
	close(iommufd);
}

int main(int argc, char **argv)
{
	const char *left = address(argc, argv, "left"), *right = address(argc, argv, "right");

	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	efd = eventfd(0, EFD_NONBLOCK);
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "left=", 5) || !strncmp(argv[i], "right=", 6))
			continue;
		if (!strchr(argv[i], '=') || !open_device(argv[i])) {
			perror(argv[i]);
			return 1;
		}
		begin(name);
		hot_infos();
		hot_resets();
		for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
			plain(&ways[w]);
			in_d3(&ways[w]);
			memory_off(&ways[w]);
			with_intx(&ways[w]);
			with_messages(&ways[w], MSI, cap_msi);
			with_messages(&ways[w], MSIX, cap_msix);
			with_mapping(&ways[w]);
		}
		methods();
		reopen(argv[i]);
		close_device();
	}
	if (left && right)
		pair(left, right);
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
