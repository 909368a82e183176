/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.c - what the driver core answers to right and wrong writes, and what a PCI device's directory holds.
 *
 * usage: sysfs CONVENTIONAL EXPRESS
 *
 * The devices are those of legacy.c: CONVENTIONAL is QEMU's edu on the root bus, EXPRESS QEMU's nvme behind a root port,
 * bound to vfio-pci.  No other driver for them is there.  See rows.h for what is printed: the return value is
 * write()'s; a note tells the driver that the device has afterwards.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conformance/rows.h"

#define PCI "/sys/bus/pci/"
#define VFIO_PCI PCI "drivers/vfio-pci/"

static const char *edu, *nvme;

/* ---- plumbing ---- */

static const char *driver_of(const char *bdf)
{
	static char link[PATH_MAX];
	char path[128];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "devices/%s/driver", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return "none";
	link[len] = 0;
	return strrchr(link, '/') + 1;
}

static long put(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;
	long ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, len);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static long puts_to(const char *path, const char *text)
{
	return put(path, text, strlen(text));
}

static const char *of_device(const char *bdf, const char *attr)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "devices/%s/%s", bdf, attr);
	return path;
}

/* Text of an attribute on one line, or why it cannot be read. */
static const char *content(const char *path)
{
	static char text[512];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len < 0) {
		snprintf(text, sizeof(text), "(%s)", strerrorname_np(errno));
	} else {
		text[len] = 0;
		for (char *c = text; *c; c++) {
			if (*c == '\n')
				*c = c[1] ? ';' : '.';
			else if (*c == '\t')
				*c = ' ';
		}
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/* Write @text to @path; the row tells the text with its control characters spelled out. */
static void said(const char *file, const char *path, const char *text)
{
	long ret = puts_to(path, text);
	int err = errno;
	char what[300];
	size_t n = (size_t)snprintf(what, sizeof(what), "%s \"", file);

	for (; *text && n < 120; text++)
		n += (size_t)snprintf(what + n, sizeof(what) - n, *text == '\n' ? "\\n" : *text == '\t' ? "\\t" : "%c", *text);
	snprintf(what + n, sizeof(what) - n, *text ? "...\"" : "\"");
	row(what, ret, err);
}

static void free_device(const char *bdf)
{
	puts_to(of_device(bdf, "driver/unbind"), bdf);
	puts_to(of_device(bdf, "driver_override"), "\n");
}

/* ---- new_id and remove_id ---- */

static void ids(void)
{
	static const char *const texts[] = {
		"", "\n", " ", "x", "1234", "1234 ", "1234\n", "1234 11e9", "1234 11e9", "0x1234 0x11ea", "1234 11eb\n", "1234 11ec ",
		"  1234 11ed", "1234  11ee", "1234\t11ef", "1234 11f0 1af4 1100", "1234 11f1 1af4 1100 ff00 ffffff",
		"1234 11f2 ffffffff ffffffff ff0000 ff0000 0", "1234 11f3 ffffffff ffffffff 0 0 7", "1234 11f4 1 2 3 4 5 6",
		"1234 11f5 x", "1234,11f6", "-1 11f7", "1234 -1", "ffffffff ffffffff 9 9", "12345678 9abcdef0", "123456789 1", "g 11f8",
		"1234 11f9 1af4", "1234 11fa 1af4 1100 ff", "1234:11fb", "1234 11fc 0 0 0 0 ffffffff", "1234 11fd 0 0 0 0 fffffffffffffffff",
	};
	static const char *const removed[] = {
		"", "\n", "x", "1234", "1234 11e9", "1234 11e9", "1234 ffff", "1234 11f0", "1234 11f0 1af4 1100", "1234 11f1 1af4 1100 ff00",
		"1234 11f1 1af4 1100 ff00 ffffff", "1b36 10", "g", "1234 11ea x",
	};

	begin("new_id");
	free_device(edu);
	free_device(nvme);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		said("new_id", VFIO_PCI "new_id", texts[i]);
		note("%s %s", driver_of(edu), driver_of(nvme));
		free_device(edu);
		free_device(nvme);
	}
	begin("remove_id");
	for (size_t i = 0; i < sizeof(removed) / sizeof(*removed); i++)
		said("remove_id", VFIO_PCI "remove_id", removed[i]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		said("remove_id", VFIO_PCI "remove_id", texts[i]);

	begin("an id");
	said("new_id", VFIO_PCI "new_id", "1234 11e8");
	note("%s", driver_of(edu));
	said("new_id", VFIO_PCI "new_id", "1234 11e8");
	T("unbind", puts_to(VFIO_PCI "unbind", edu));
	T("bind", puts_to(VFIO_PCI "bind", edu));
	note("%s", driver_of(edu));
	said("remove_id", VFIO_PCI "remove_id", "1234 11e8");
	note("%s", driver_of(edu));
	T("unbind", puts_to(VFIO_PCI "unbind", edu));
	T("bind without the id", puts_to(VFIO_PCI "bind", edu));
	note("%s", driver_of(edu));
	said("remove_id", VFIO_PCI "remove_id", "1234 11e8");
	said("new_id", VFIO_PCI "new_id", "1b36 10 1 2");
	note("%s", driver_of(nvme));
	said("new_id", VFIO_PCI "new_id", "1b36 10 1af4 1100");
	note("%s", driver_of(nvme));
	said("remove_id", VFIO_PCI "remove_id", "1b36 10");
	said("remove_id", VFIO_PCI "remove_id", "1b36 10");
	said("remove_id", VFIO_PCI "remove_id", "1b36 10");
	free_device(nvme);
}

/* ---- bind, unbind, driver_override, drivers_probe ---- */

static void names(const char *area_name, const char *path, void (*before)(void))
{
	const char *const forms[] = { "%s", "%s\n", " %s", "%s ", "%s\n\n", "%sx", "%.11s", "%.4s", "", "\n", "x", "0000:ff:1f.7", "%s %s" };
	char text[64];

	begin(area_name);
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(text, sizeof(text), forms[i], edu, nvme);
#pragma GCC diagnostic pop
		before();
		said("write", path, text);
		note("%s", driver_of(edu));
	}
}

static void unbound(void) { free_device(edu); }

static void overridden(void)
{
	free_device(edu);
	puts_to(of_device(edu, "driver_override"), "vfio-pci");
}

static void bound(void)
{
	overridden();
	puts_to(VFIO_PCI "bind", edu);
}

static void elsewhere(void)
{
	free_device(edu);
	puts_to(of_device(edu, "driver_override"), "pcieport");
}

static void binding(void)
{
	names("bind without an override", VFIO_PCI "bind", unbound);
	names("bind with an override", VFIO_PCI "bind", overridden);
	names("bind of a bound device", VFIO_PCI "bind", bound);
	names("bind with another override", VFIO_PCI "bind", elsewhere);
	names("unbind", VFIO_PCI "unbind", bound);
	names("unbind of an unbound device", VFIO_PCI "unbind", unbound);
	names("unbind by another driver", PCI "drivers/pcieport/unbind", bound);
	names("bind by a driver that does not match", PCI "drivers/pcieport/bind", unbound);
	names("bind by a driver that is overridden to", PCI "drivers/pcieport/bind", elsewhere);
	names("drivers_probe without an override", PCI "drivers_probe", unbound);
	names("drivers_probe with an override", PCI "drivers_probe", overridden);
	names("drivers_probe of a bound device", PCI "drivers_probe", bound);
	names("drivers_probe with an override to nothing there", PCI "drivers_probe", elsewhere);
	free_device(edu);
}

/* The root port above the express device: not for vfio-pci. */
static void bridge(void)
{
	char path[64], link[PATH_MAX], port[16];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "devices/%s", nvme);
	len = readlink(path, link, sizeof(link));
	if (len < 25)
		return;
	snprintf(port, sizeof(port), "%.12s", link + len - 25); /* .../0000:00:01.0/0000:01:00.0 */
	begin("a root port");
	row("driver", 0, 0);
	note("%s", driver_of(port));
	T("bind while bound", puts_to(VFIO_PCI "bind", port));
	T("override while bound", puts_to(of_device(port, "driver_override"), "vfio-pci"));
	T("bind while bound, with an override", puts_to(VFIO_PCI "bind", port));
	T("unbind by vfio-pci", puts_to(VFIO_PCI "unbind", port));
	T("unbind", puts_to(of_device(port, "driver/unbind"), port));
	note("%s, the device below %s", driver_of(port), driver_of(nvme));
	T("bind", puts_to(VFIO_PCI "bind", port));
	note("%s", driver_of(port));
	T("drivers_probe", puts_to(PCI "drivers_probe", port));
	note("%s", driver_of(port));
	T("bind to its own driver, with an override to another", puts_to(PCI "drivers/pcieport/bind", port));
	T("override by nothing", puts_to(of_device(port, "driver_override"), "\n"));
	T("bind without an override", puts_to(VFIO_PCI "bind", port));
	T("drivers_probe without an override", puts_to(PCI "drivers_probe", port));
	note("%s", driver_of(port));
}

static void overrides(void)
{
	static const char *const texts[] = {
		"vfio-pci", "vfio-pci\n", "", "\n", "vfio-pci\nmore", " vfio-pci", "vfio-pci ", "nothing-of-that-name", "a\tb", "\n\n", "(null)",
	};
	char *page = malloc(8192);

	begin("driver_override");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		said("write", of_device(edu, "driver_override"), texts[i]);
		note("\"%s\" %s", content(of_device(edu, "driver_override")), driver_of(edu));
	}
	memset(page, 'v', 8192);
	for (size_t len = 4090; len <= 4098; len++) {
		char what[32];

		snprintf(what, sizeof(what), "write %zu bytes", len);
		T(what, put(of_device(edu, "driver_override"), page, len));
		note("%zu bytes", strlen(content(of_device(edu, "driver_override"))));
	}
	T("while bound", (bound(), puts_to(of_device(edu, "driver_override"), "\n")));
	note("%s", driver_of(edu));
	free(page);
	free_device(edu);
}

/* ---- attributes of a device ---- */

static void writes(const char *area_name, const char *path)
{
	static const char *const texts[] = { "", "\n", "0", "1", "0\n", "1\n", "2", "-1", "x", "1x", " 1", "0x1", "on", "off", "y", "n", "auto", "none" };

	begin(area_name);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		said("write", path, texts[i]);
		note("\"%s\"", content(path));
	}
}

static void attributes(void)
{
	static const char *const attrs[] = {
		"enable", "broken_parity_status", "d3cold_allowed", "msi_bus", "reset", "reset_method", "power/control", "power/autosuspend_delay_ms",
		"vendor", "class",
		"modalias", "uevent", "iommu_group/type", "iommu_group/reserved_regions", "current_link_speed", "nonexistent",
	};
	static const char *const methods[] = { "flr", "bus", "pm", "flr bus", "bus flr", "flr flr", "device_specific", "default", "default\n", "FLR", "flr,bus", "" };
	char area_name[64];

	for (size_t i = 0; i < sizeof(attrs) / sizeof(*attrs); i++) {
		if (strcmp(attrs[i], "reset") || !access(of_device(edu, "reset"), F_OK)) {
			snprintf(area_name, sizeof(area_name), "conventional %s", attrs[i]);
			writes(area_name, of_device(edu, attrs[i]));
		}
		snprintf(area_name, sizeof(area_name), "express %s", attrs[i]);
		writes(area_name, of_device(nvme, attrs[i]));
	}
	begin("express reset_method");
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		said("write", of_device(nvme, "reset_method"), methods[i]);
		note("\"%s\", reset %s", content(of_device(nvme, "reset_method")),
		     access(of_device(nvme, "reset"), F_OK) ? "is not there" : "is there");
	}
	puts_to(of_device(nvme, "reset_method"), "default");
	writes("bus rescan", PCI "rescan");
	writes("device rescan", of_device(edu, "rescan"));
	writes("rescan of one bus", "/sys/class/pci_bus/0000:01/rescan");
	writes("control of a bus's power", "/sys/class/pci_bus/0000:01/power/control");
	writes("autosuspend_delay_ms of a bus", "/sys/class/pci_bus/0000:01/power/autosuspend_delay_ms");
	writes("uevent of a bus", "/sys/class/pci_bus/0000:01/uevent");
	writes("reset_subordinate", of_device(nvme, "../reset_subordinate"));
	puts_to(of_device(nvme, "driver_override"), "vfio-pci");
	puts_to(VFIO_PCI "bind", nvme);
	writes("reset_subordinate above a bound device", of_device(nvme, "../reset_subordinate"));
	free_device(nvme);
	writes("drivers_autoprobe", PCI "drivers_autoprobe");
	puts_to(PCI "drivers_autoprobe", "1");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Content that says nothing of the kernel.  module is there or not as it was configured. */
static bool is_of_one_machine(const char *name)
{
	return !strncmp(name, "resource", 8) || !strcmp(name, "config") || !strcmp(name, "irq");
}

/* What a directory holds: kind and mode of each entry, and whether it can be read. */
static void directory(const char *area_name, const char *path)
{
	char *entries[512];
	size_t n = 0;
	struct dirent *e;
	DIR *dir = opendir(path);

	begin(area_name);
	while (dir && n < 512 && (e = readdir(dir)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "module"))
			entries[n++] = strdup(e->d_name);
	if (dir)
		closedir(dir);
	qsort(entries, n, sizeof(*entries), by_name);
	for (size_t i = 0; i < n; i++) {
		char file[PATH_MAX];
		struct stat st;

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]);
		T(entries[i], lstat(file, &st));
		note("%s %o", S_ISDIR(st.st_mode) ? "directory" : S_ISLNK(st.st_mode) ? "link" : "file", st.st_mode & 07777);
		if (S_ISREG(st.st_mode) && !is_of_one_machine(entries[i]))
			note(" \"%s\"", content(file));
		free(entries[i]);
	}
}

/* What only a look at one bus brings back. */
static void removal_behind(void)
{
	begin("remove and rescan of one bus");
	said("remove", of_device(nvme, "remove"), "1");
	said("remove", of_device(edu, "remove"), "1");
	said("rescan of another bus", "/sys/class/pci_bus/0000:01/rescan", "1");
	note("%s %s", access(of_device(edu, ""), F_OK) ? "gone" : "there", access(of_device(nvme, ""), F_OK) ? "gone" : "there");
	T("the bus of a device that was removed", access("/sys/class/pci_bus/0000:01", F_OK));
	said("rescan of the root bus", "/sys/class/pci_bus/0000:00/rescan", "1");
	note("%s", access(of_device(edu, ""), F_OK) ? "gone" : "there");
	free_device(edu);
	free_device(nvme);
}

static void removal(void)
{
	begin("remove and rescan");
	bound();
	said("remove", of_device(edu, "remove"), "0");
	note("%s", access(of_device(edu, ""), F_OK) ? "gone" : "there");
	said("remove", of_device(edu, "remove"), "x");
	said("remove", of_device(edu, "remove"), "");
	note("%s", access(of_device(edu, ""), F_OK) ? "gone" : "there");
	said("remove", of_device(edu, "remove"), "1");
	note("%s", access(of_device(edu, ""), F_OK) ? "gone" : "there");
	T("bind a device that is gone", puts_to(VFIO_PCI "bind", edu));
	T("unbind a device that is gone", puts_to(VFIO_PCI "unbind", edu));
	T("probe a device that is gone", puts_to(PCI "drivers_probe", edu));
	T("rescan", puts_to(PCI "rescan", "1"));
	note("%s \"%s\"", driver_of(edu), content(of_device(edu, "driver_override")));
	T("bind", (overridden(), puts_to(VFIO_PCI "bind", edu)));
	note("%s", driver_of(edu));
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];

	if (argc < 3)
		return 2;
	edu = argv[1];
	nvme = argv[2];
	directory("directory of the bus", "/sys/bus/pci");
	directory("directory of the driver", "/sys/bus/pci/drivers/vfio-pci");
	snprintf(path, sizeof(path), "%s", of_device(edu, "."));
	directory("directory of a conventional device", path);
	snprintf(path, sizeof(path), "%s", of_device(nvme, "."));
	directory("directory of an express device", path);
	snprintf(path, sizeof(path), "%s", of_device(edu, "iommu_group"));
	directory("directory of a group", path);
	ids();
	binding();
	overrides();
	attributes();
	bridge();
	removal_behind();
	removal();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
