/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs_tree.c - all that /sys shows of two devices, of VFIO and of the IOMMU: unbound, bound, open, with interrupts, asleep.
 *
 * usage: sysfs_tree CONVENTIONAL EXPRESS
 *
 * The devices are those of sysfs.c.  Each area is a state; the first walks everything, the later ones print what is other than
 * in the area before: what appeared or changed, and what is gone (ENOENT).  A row tells of a directory its mode, of a link
 * where it leads, of a file mode, size and content.
 *
 * What one machine has and another has not is left out, or written in its place, by these rules:
 *   - other devices, groups and modules are left out, as is what ACPI says (firmware_node, waiting_for_supplier) and the link
 *     `module`, which is there if the driver was loaded;
 *   - the port above EXPRESS is PORT; what its registers and its own driver's services decide is left out;
 *   - groups are A (of CONVENTIONAL) and B, numbers of nodes MAJOR:MINOR, times N, masks and lists of CPUs CPUS;
 *   - an IOMMU's unit that is (part of) a PCI device is UNIT, wherever it lies; links to it and of it are told by where they lead,
 *     and its link `device` is left out;
 *   - of `resource` there is the size of each line in the place of its addresses; the content of binary files and of registers
 *     of the IOMMU is left out, as is allow_unsafe_interrupts, which some machines need;
 *   - what the pin does is asked with an Intel IOMMU alone;
 *   - an interrupt's number is LINE if firmware gave it, FIRST if it is the first in msi_irqs, else PIN; of msi_irqs there is
 *     one row, FIRST and NEXT.
 */
#include <ctype.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "tests/conformance/calls.h"

#define MAX_ENTRIES 2048
#define PCI_DEVICES "/sys/devices/pci0000:00"

struct entry { char *path, *text; };
struct tree { struct entry at[MAX_ENTRIES]; size_t n; };

static struct tree trees[2], *now = &trees[0], *before = &trees[1];
static char express_dir[PATH_MAX], port_dir[PATH_MAX], port[32], group_a[16], group_b[16];
static char unit_dir[PATH_MAX], unit[64]; /* empty: one that is no device, or none */
static bool remaps; /* the unit remaps interrupts: Intel's does in QEMU */
static char line[2][16]; /* what irq said of each device at first */

/* ---- names ---- */

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), w = strlen(with);

	return n >= w && !strcmp(s + n - w, with);
}

static void replace_all(char *text, size_t size, const char *what, const char *by)
{
	char out[PATH_MAX * 2];
	size_t n = 0, w = strlen(what);

	for (const char *p = text; *p && n < sizeof(out) - 64;) {
		if (w && !strncmp(p, what, w))
			n += (size_t)sprintf(out + n, "%s", by), p += w;
		else
			out[n++] = *p++;
	}
	out[n] = 0;
	snprintf(text, size, "%s", out);
}

/* A group's number behind @prefix, and nothing behind the number but a slash or the end. */
static void name_groups(char *text, size_t size, const char *prefix)
{
	const char *const groups[] = { group_a, group_b }, *const names[] = { "A", "B" };
	char *p = strstr(text, prefix), rest[PATH_MAX * 2];

	if (!p)
		return;
	p += strlen(prefix);
	for (int i = 0; i < 2; i++) {
		size_t n = strlen(groups[i]);

		if (strncmp(p, groups[i], n) || isdigit((unsigned char)p[n]))
			continue;
		snprintf(rest, sizeof(rest), "%s%s", names[i], p + n);
		snprintf(p, size - (size_t)(p - text), "%s", rest);
		return;
	}
	if (isdigit((unsigned char)*p)) {
		snprintf(rest, sizeof(rest), "OTHER%s", p + strspn(p, "0123456789"));
		snprintf(p, size - (size_t)(p - text), "%s", rest);
	}
}

static void neutral(char *text, size_t size)
{
	replace_all(text, size, unit_dir, "UNIT");
	if (unit[0] && strstr(text, "/class/iommu/"))
		replace_all(text, size, unit, "UNIT");
	replace_all(text, size, port, "PORT");
	name_groups(text, size, "iommu_groups/");
	name_groups(text, size, "virtual/vfio/noiommu-");
	name_groups(text, size, "virtual/vfio/");
	name_groups(text, size, "class/vfio/noiommu-");
	name_groups(text, size, "class/vfio/");
	name_groups(text, size, "DEVNAME=vfio/noiommu-");
	name_groups(text, size, "DEVNAME=vfio/");
}

/* ---- what is left out ---- */

static bool is_pci_name(const char *name)
{
	return strlen(name) == 12 && name[4] == ':' && name[7] == ':' && name[10] == '.';
}

static bool is_group_of_others(const char *path, const char *dir)
{
	const char *name = path + strlen(dir);

	if (!begins(path, dir))
		return false;
	if (begins(name, "noiommu-"))
		name += strlen("noiommu-");
	name += *name == '/';
	return isdigit((unsigned char)*name) && strcmp(name, group_a) && strcmp(name, group_b) && !strchr(name, '/');
}

/* Of the port: what follows from its registers, and what its services (hotplug, errors, bandwidth) make. */
static bool is_of_port_itself(const char *name)
{
	static const char *const names[] = { "aer_", "config", "resource", "reset", "rom", "max_link", "current_link", "irq", "msi_irqs",
					     "subsystem_", "modalias", "uevent", "serial_number", "enable", "d3cold_allowed", "revision",
					     "power_state" };

	if (strchr(name, ':') && strstr(name, ":pcie"))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (begins(name, names[i]))
			return strcmp(name, "reset_subordinate");
	return false;
}

static bool is_left_out(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.*s", (int)(name - path - 1), path);
	if (!strcmp(name, "firmware_node") || !strcmp(name, "waiting_for_supplier") || !strcmp(name, "module"))
		return true;
	if (is_pci_name(name) && strcmp(name, edu) && strcmp(name, msix) && strcmp(name, port) && strcmp(dir, "/sys/class/iommu"))
		return true;
	if (!strcmp(dir, port_dir) && is_of_port_itself(name))
		return true;
	if (begins(path, port_dir) && (begins(path + strlen(port_dir), "/aer/") || begins(path + strlen(port_dir), "/link/")))
		return true;
	if (!strcmp(dir, PCI_DEVICES) && strchr(name, ':') && !is_pci_name(name))
		return true; /* what ACPI found there */
	if (!strcmp(dir, "/sys/bus/pci/drivers"))
		return strcmp(name, "vfio-pci") && strcmp(name, "pcieport");
	if (!strcmp(dir, "/sys/bus/pci/slots"))
		return true;
	if (!strcmp(dir, "/sys/class/misc"))
		return strcmp(name, "vfio") && strcmp(name, "iommu");
	if (!strcmp(dir, "/sys/class/pci_bus"))
		return strcmp(name, "0000:00") && strcmp(name, "0000:01");
	if (begins(name, "iommufd_selftest_iommu") || (unit_dir[0] && !strcmp(dir, unit_dir) && !strcmp(name, "device")))
		return true;
	return is_group_of_others(path, "/sys/kernel/iommu_groups") || is_group_of_others(path, "/sys/devices/virtual/vfio") ||
	       is_group_of_others(path, "/sys/class/vfio");
}

/* ---- content ---- */

/* The lowest number in a device's msi_irqs; ~0u: none. */
static unsigned first_message(const char *dir_name)
{
	unsigned low = ~0u;
	struct dirent *e;
	DIR *dir = opendir(dir_name);

	while (dir && (e = readdir(dir)))
		if (isdigit((unsigned char)e->d_name[0]) && (unsigned)atoi(e->d_name) < low)
			low = (unsigned)atoi(e->d_name);
	if (dir)
		closedir(dir);
	return low;
}

static const char *irq_name(const char *path, const char *number)
{
	const size_t len = (size_t)(strrchr(path, '/') + 1 - path);
	char dir[PATH_MAX];

	memcpy(dir, path, len);
	snprintf(dir + len, sizeof(dir) - len, "msi_irqs");
	if ((unsigned)atoi(number) == first_message(dir))
		return "FIRST";
	return !strcmp(number, line[begins(path, express_dir)]) ? "LINE" : "PIN";
}

static void one_line(char *text)
{
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ';';
		else if (*c == '|' || *c == '\t')
			*c = ' ';
}

static void resource_sizes(char *text, size_t size)
{
	char in[4096], *at = in, *l;
	size_t n = 0;

	snprintf(in, sizeof(in), "%s", text);
	text[0] = 0;
	while ((l = strsep(&at, "\n")) && *l && n < size - 64) {
		unsigned long long start, last, flags;

		if (sscanf(l, "%llx %llx %llx", &start, &last, &flags) == 3)
			n += (size_t)snprintf(text + n, size - n, last ? "0x%llx:0x%llx " : "- ", last - start + 1, flags);
	}
}

static void node_numbers(char *text, size_t size)
{
	char out[512] = "", *at = text, *l;
	size_t n = 0;
	unsigned a, b;

	if (sscanf(text, "%u:%u", &a, &b) == 2) {
		snprintf(text, size, "MAJOR:MINOR;");
		return;
	}
	while ((l = strsep(&at, "\n")) && n < sizeof(out) - 200)
		if (*l)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s;", begins(l, "MAJOR=") ? "MAJOR=M" : begins(l, "MINOR=") ? "MINOR=M" : l);
	snprintf(text, size, "%s", out);
}

static void file_content(const char *path, const struct stat *st, char *ret, size_t size)
{
	static const char *const binary[] = { "/config", "/rom", "/vpd" };
	const char *name = strrchr(path, '/') + 1;
	int fd;
	ssize_t len;

	ret[0] = 0;
	for (size_t i = 0; i < sizeof(binary) / sizeof(*binary); i++)
		if (ends(path, binary[i]))
			return;
	if ((begins(name, "resource") && isdigit((unsigned char)name[8])) || strstr(path, "/amd-iommu/") || strstr(path, "/intel-iommu/"))
		return;
	if (!strcmp(name, "allow_unsafe_interrupts"))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (len < 0) {
		if (st->st_mode & 0444)
			snprintf(ret, size, "(%s)", strerrorname_np(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	close(fd);
	ret[len] = 0;
	if (!strcmp(name, "irq"))
		ret[strcspn(ret, "\n")] = 0, snprintf(ret, size, "%s;", irq_name(path, ret));
	else if (ends(name, "_time"))
		snprintf(ret, size, "N;");
	else if (strstr(name, "local_cpu") || begins(name, "cpu"))
		snprintf(ret, size, "CPUS;");
	else if (!strcmp(name, "resource"))
		resource_sizes(ret, size);
	else if (!strcmp(name, "dev") || (!strcmp(name, "uevent") && begins(ret, "MAJOR=")))
		node_numbers(ret, size);
	one_line(ret);
}

/* ---- walking ---- */

static void remember(const char *path, const char *text)
{
	char p[PATH_MAX * 2], t[PATH_MAX * 2];

	snprintf(p, sizeof(p), "%s", path);
	snprintf(t, sizeof(t), "%s", text);
	neutral(p, sizeof(p));
	neutral(t, sizeof(t));
	if (now->n < MAX_ENTRIES)
		now->at[now->n++] = (struct entry){ strdup(p), strdup(t) };
}

/* The node's link in /sys/dev/char, which has the number for its name. */
static void dev_link(const char *dev_file)
{
	char number[32] = "", path[64], link[PATH_MAX], as[PATH_MAX + 32], text[PATH_MAX + 32];
	int fd = open(dev_file, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0 || read(fd, number, sizeof(number) - 1) <= 0)
		return;
	close(fd);
	number[strcspn(number, "\n")] = 0;
	snprintf(path, sizeof(path), "/sys/dev/char/%s", number);
	len = readlink(path, link, sizeof(link) - 1);
	link[len < 0 ? 0 : len] = 0;
	snprintf(as, sizeof(as), "/sys/dev/char of %s", dev_file);
	snprintf(text, sizeof(text), "link -> %s", len < 0 ? strerrorname_np(errno) : link);
	remember(as, text);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool is_walked(const char *path)
{
	return strcmp(strrchr(path, '/') + 1, "msi_irqs");
}

/* How many there are, and what they say: the numbers are the machine's. */
static void msi_irqs(const char *dir, size_t n)
{
	char path[PATH_MAX + 64], text[128], said[32] = "";
	struct stat st = { 0 };

	if (n) {
		snprintf(path, sizeof(path), "%s/%u", dir, first_message(dir));
		stat(path, &st);
		file_content(path, &st, said, sizeof(said));
	}
	snprintf(path, sizeof(path), "%s/FIRST and NEXT", dir);
	snprintf(text, sizeof(text), "%zu files %o %lld \"%s\"", n, st.st_mode & 07777, (long long)st.st_size, said);
	remember(path, text);
}

static void walk(const char *path)
{
	char child[PATH_MAX], real[PATH_MAX], content[4096], text[PATH_MAX + 4200], *names[512];
	struct dirent *e;
	struct stat st;
	size_t n = 0;
	ssize_t len;
	DIR *dir;

	if (lstat(path, &st))
		return;
	if (S_ISLNK(st.st_mode)) {
		len = readlink(path, content, sizeof(content) - 1);
		content[len < 0 ? 0 : len] = 0;
		if (unit_dir[0] && realpath(path, real) && (begins(path, unit_dir) || begins(real, unit_dir)))
			snprintf(content, sizeof(content), "%s", real);
		snprintf(text, sizeof(text), "link %o -> %s", st.st_mode & 07777, content);
	} else if (S_ISDIR(st.st_mode)) {
		snprintf(text, sizeof(text), "directory %o", st.st_mode & 07777);
	} else {
		file_content(path, &st, content, sizeof(content));
		snprintf(text, sizeof(text), "file %o %lld \"%s\"", st.st_mode & 07777, (long long)st.st_size, content);
	}
	remember(path, text);
	if (S_ISREG(st.st_mode) && ends(path, "/dev"))
		dev_link(path);
	dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	if (!dir)
		return;
	while ((e = readdir(dir)) && n < 512)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[n++] = strdup(e->d_name);
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	if (!is_walked(path))
		msi_irqs(path, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(child, sizeof(child), "%.3800s/%s", path, names[i]);
		if (is_walked(path) && !is_left_out(child))
			walk(child);
		free(names[i]);
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void take(void)
{
	static const char *const roots[] = {
		"/sys/bus/pci", PCI_DEVICES, "/sys/class/pci_bus", "/sys/class/iommu", "/sys/class/vfio", "/sys/class/vfio-dev",
		"/sys/class/misc", "/sys/kernel/iommu_groups", "/sys/devices/virtual/vfio", "/sys/devices/virtual/misc/vfio",
		"/sys/devices/virtual/misc/iommu", "/sys/module/vfio", "/sys/module/vfio_iommu_type1",
		"/sys/module/vfio_pci", "/sys/module/vfio_platform", "/sys/module/vfio_platform_base", "/sys/module/iommufd",
	};

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
		walk(roots[i]);
	walk(unit_dir[0] ? unit_dir : "/sys/devices/virtual/iommu");
	qsort(now->at, now->n, sizeof(*now->at), by_path);
}

static void forget(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->at[i].path);
		free(t->at[i].text);
	}
	t->n = 0;
}

/* Print what is other than it was. */
static void state(const char *name)
{
	size_t a = 0, b = 0;
	int order;

	begin(name);
	take();
	while (a < before->n || b < now->n) {
		order = a == before->n ? 1 : b == now->n ? -1 : strcmp(before->at[a].path, now->at[b].path);
		if (order < 0) {
			row(before->at[a++].path, -1, ENOENT);
			continue;
		}
		if (order > 0 || strcmp(before->at[a].text, now->at[b].text)) {
			row(now->at[b].path, 0, 0);
			note("%s", now->at[b].text);
		}
		a += !order;
		b++;
	}
	forget(before);
	struct tree *old = before;

	before = now;
	now = old;
}

/* ---- states ---- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s > %s: %m\n", text, path);
	if (fd >= 0)
		close(fd);
}

/* As if nobody had ever had them: what the kernel knows of a device goes with it. */
static void find_anew(void)
{
	put(pci_attr(edu, "remove"), "1");
	put(pci_attr(msix, "remove"), "1");
	put("/sys/bus/pci/drivers_autoprobe", "0");
	put("/sys/bus/pci/rescan", "1");
	put("/sys/bus/pci/drivers_autoprobe", "1");
}

static void bind_both(bool on)
{
	const char *const devices[] = { edu, msix };

	for (int i = 0; i < 2; i++) {
		if (!on && !access(pci_attr(devices[i], "driver"), F_OK))
			put(pci_attr(devices[i], "driver/unbind"), devices[i]);
		put(pci_attr(devices[i], "driver_override"), on ? "vfio-pci" : "\n");
		if (on)
			put("/sys/bus/pci/drivers_probe", devices[i]);
	}
}

/* @count eventfds as triggers of interrupt @index; 0 switches it off. */
static void interrupts(int device, unsigned index, unsigned count)
{
	char buf[sizeof(struct vfio_irq_set) + 64 * sizeof(int)];
	struct vfio_irq_set *set = (void *)buf;
	int fds[64];

	*set = (struct vfio_irq_set){ .argsz = (unsigned)(sizeof(*set) + count * sizeof(int)), .index = index, .count = count,
				      .flags = VFIO_IRQ_SET_ACTION_TRIGGER | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) };
	for (unsigned i = 0; i < count; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memcpy(set->data, fds, count * sizeof(int));
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, set))
		fprintf(stderr, "SET_IRQS %u of %u: %m\n", count, index);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

/* Does the device's own command register, as /sys shows it, say that the pin is silent? */
static void pin_row(const char *what)
{
	unsigned short words[2] = { 0 };
	int fd = open(pci_attr(edu, "config"), O_RDONLY | O_CLOEXEC);

	T(what, pread(fd, words, 4, 4));
	note("%s, the pin is %s", words[0] & 0x400 ? "INTx disabled" : "INTx enabled", words[1] & 8 ? "high" : "low");
	close(fd);
}

static void pin_action(int device, unsigned flags)
{
	struct vfio_irq_set set = { .argsz = sizeof(set), .index = VFIO_PCI_INTX_IRQ_INDEX, .count = 1, .flags = flags | VFIO_IRQ_SET_DATA_NONE };

	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &set))
		fprintf(stderr, "SET_IRQS %#x: %m\n", flags);
}

/* edu's registers: 0x60 raises its interrupt, 0x64 takes it back. */
static void edu_write(int device, unsigned reg, unsigned val)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) || pwrite(device, &val, 4, (off_t)bar.offset + reg) != 4)
		fprintf(stderr, "register %#x: %m\n", reg);
	usleep(20000);
}

/* vfio masks a pin that went high until the program unmasks it. */
static void masking(int device)
{
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	unsigned short command = 0;

	ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config);
	pread(device, &command, 2, (off_t)config.offset + 4);
	command |= 2;
	pwrite(device, &command, 2, (off_t)config.offset + 4);
	begin("the pin's own switch");
	pin_row("at first");
	edu_write(device, 0x60, 1);
	pin_row("raised");
	pin_action(device, VFIO_IRQ_SET_ACTION_UNMASK);
	usleep(20000);
	pin_row("unmasked while it is high");
	edu_write(device, 0x64, 1);
	pin_row("low again");
	pin_action(device, VFIO_IRQ_SET_ACTION_UNMASK);
	pin_row("unmasked");
	pin_action(device, VFIO_IRQ_SET_ACTION_MASK);
	pin_row("masked by the program");
	edu_write(device, 0x60, 1);
	pin_row("raised while it is masked");
	edu_write(device, 0x64, 1);
	pin_action(device, VFIO_IRQ_SET_ACTION_UNMASK);
	pin_row("unmasked at last");
}

/* One of MSI-X, while that is on. */
static void vector(int device, unsigned number, int fd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set *set = (void *)buf;

	*set = (struct vfio_irq_set){ .argsz = sizeof(buf), .index = VFIO_PCI_MSIX_IRQ_INDEX, .start = number, .count = 1,
				      .flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD };
	memcpy(set->data, &fd, sizeof(fd));
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, set))
		fprintf(stderr, "SET_IRQS of vector %u: %m\n", number);
	if (fd >= 0)
		close(fd);
}

static void low_power(int device, bool on)
{
	struct vfio_device_feature feature = { .argsz = sizeof(feature), .flags = VFIO_DEVICE_FEATURE_SET |
		(on ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY : VFIO_DEVICE_FEATURE_LOW_POWER_EXIT) };

	if (ioctl(device, VFIO_DEVICE_FEATURE, &feature))
		fprintf(stderr, "low power: %m\n");
}

/* A driver's last user is gone: Linux puts the device to sleep some time later. */
static void wait_for(const char *bdf, const char *status)
{
	for (int i = 0; i < 300 && strcmp(first_line(pci_attr(bdf, "power/runtime_status")), status); i++)
		usleep(10000);
}

static struct ctx open_legacy(const char *bdf, bool noiommu)
{
	char path[64];
	const char *group = strrchr(group_path(bdf), '/') + 1;
	struct ctx x;

	if (!noiommu)
		return setup(bdf, VFIO_TYPE1v2_IOMMU, 1);
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", group);
	x.c = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	x.g = open(path, O_RDWR | O_CLOEXEC);
	if (ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c) || ioctl(x.c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU))
		fprintf(stderr, "no-IOMMU group of %s: %m\n", bdf);
	x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, bdf);
	return x;
}

static void opened(void)
{
	const bool noiommu = access(group_path(edu), F_OK);
	struct ctx a = open_legacy(edu, noiommu), b = open_legacy(msix, noiommu);

	state("open");
	interrupts(a.d, VFIO_PCI_INTX_IRQ_INDEX, 1);
	interrupts(b.d, VFIO_PCI_INTX_IRQ_INDEX, 1);
	state("INTx");
	if (remaps) /* else QEMU 10.0's guest hangs, now and then, when a pin goes high */
		masking(a.d);
	interrupts(a.d, VFIO_PCI_INTX_IRQ_INDEX, 0);
	interrupts(b.d, VFIO_PCI_INTX_IRQ_INDEX, 0);
	state("no INTx");
	interrupts(a.d, VFIO_PCI_MSI_IRQ_INDEX, 1);
	interrupts(b.d, VFIO_PCI_MSIX_IRQ_INDEX, 3);
	state("MSI and MSI-X");
	interrupts(b.d, VFIO_PCI_MSIX_IRQ_INDEX, 0);
	interrupts(b.d, VFIO_PCI_MSIX_IRQ_INDEX, 5);
	state("more of MSI-X");
	vector(b.d, 9, eventfd(0, EFD_CLOEXEC));
	state("another vector of MSI-X");
	vector(b.d, 9, -1);
	vector(b.d, 2, -1);
	state("vectors taken away");
	interrupts(a.d, VFIO_PCI_MSI_IRQ_INDEX, 0);
	interrupts(b.d, VFIO_PCI_MSIX_IRQ_INDEX, 0);
	state("neither");
	low_power(a.d, true);
	low_power(b.d, true);
	wait_for(msix, "suspended");
	wait_for(edu, "suspended");
	state("low power");
	low_power(a.d, false);
	low_power(b.d, false);
	state("out of low power");
	interrupts(b.d, VFIO_PCI_MSIX_IRQ_INDEX, 2);
	teardown(a);
	teardown(b);
	wait_for(msix, "suspended");
	wait_for(edu, "suspended");
	state("closed");
}

/* Intel's are found by ACPI and are no devices. */
static void find_unit(void)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s", pci_attr(edu, "iommu"));
	if (!realpath(path, unit_dir))
		unit_dir[0] = 0;
	remaps = strstr(unit_dir, "/dmar");
	if (remaps)
		unit_dir[0] = 0;
	if (unit_dir[0])
		snprintf(unit, sizeof(unit), "%s", strrchr(unit_dir, '/') + 1);
}

static void controls(const char *from, const char *to, const char *status)
{
	const char *const devices[] = { edu, msix };

	for (int i = 0; i < 2; i++) {
		if (strcmp(first_line(pci_attr(devices[i], "power/control")), from))
			fprintf(stderr, "control of %s is not %s\n", devices[i], from);
		put(pci_attr(devices[i], "power/control"), to);
		wait_for(devices[i], status);
	}
}

static void open_and_close(void)
{
	const bool noiommu = access(group_path(edu), F_OK);
	struct ctx a = open_legacy(edu, noiommu), b = open_legacy(msix, noiommu);

	teardown(a);
	teardown(b);
	usleep(300000); /* if anything were to happen yet, it would */
}

int main(int argc, char **argv)
{
	start(argc, argv);
	find_unit();
	if (!realpath(pci_attr(msix, ""), express_dir))
		return 2;
	snprintf(port_dir, sizeof(port_dir), "%.*s", (int)(strrchr(express_dir, '/') - express_dir), express_dir);
	snprintf(port, sizeof(port), "%s", strrchr(port_dir, '/') + 1);
	find_anew();
	bind_both(false);
	for (int i = 0; i < 2; i++)
		snprintf(line[i], sizeof(line[i]), "%s", first_line(pci_attr(i ? msix : edu, "irq")));
	bind_both(true); /* so that vfio0 and vfio1 are given out in this order */
	snprintf(group_a, sizeof(group_a), "%s", strrchr(group_path(edu), '/') + 1);
	snprintf(group_b, sizeof(group_b), "%s", strrchr(group_path(msix), '/') + 1);
	wait_for(msix, "suspended");
	wait_for(edu, "suspended");
	state("bound");
	bind_both(false);
	state("unbound");
	bind_both(true);
	wait_for(msix, "suspended");
	wait_for(edu, "suspended");
	state("bound again");
	opened();
	controls("auto", "on", "active");
	state("to stay awake");
	controls("on", "auto", "suspended");
	state("may sleep again");
	controls("auto", "on", "active");
	open_and_close();
	state("to stay awake, opened and closed");
	bind_both(false);
	state("unbound");
	controls("on", "auto", "suspended");
	state("unbound, may sleep");
	controls("auto", "on", "active");
	state("unbound at last");
	bind_both(true); /* as they were found */
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
