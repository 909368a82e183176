/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci-sysfs.c - what a PCI device shows in its directory, to the byte as Linux 7.2 prints it.
 *
 * Most attributes are files with content and nothing else: any program reads them with no help from
 * us.  Those that can be written have a store here and keep their content in the file too.  `config`,
 * `enable` and `power_state` are answered live in a process that has the device; other readers find
 * what was true when the file was last written.
 *
 * A process that attaches to a machine finds the plain ones there and leaves them alone; a file that
 * is missing then (a `reset` that a second device on the bus made impossible) stays missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/pci/pci_internal.h"

/* The lines of `resource`: BARs and ROM, six of SR-IOV, and for a bridge its windows. */
#define RESOURCE_LINES 13
#define BRIDGE_RESOURCE_LINES 17
#define BRIDGE_FIRST_WINDOW 13

static void attr_path(const struct pci_dev *pdev, const char *name, char *path)
{
	snprintf(path, PCI_PATH_MAX, "%s/%s", pdev->dev.path, name);
}

static int rewrite(struct pci_dev *pdev, const char *name, const char *text)
{
	char path[PCI_PATH_MAX];

	attr_path(pdev, name, path);
	return kernfs_write(path, text, strlen(text));
}

/* ---- content of plain attributes ----------------------------------------------------------- */

static int resource_line(const struct resource *res, char *buf, size_t size)
{
	u64 last = res->size_bytes ? res->start + res->size_bytes - 1 : 0;

	return snprintf(buf, size, "0x%016llx 0x%016llx 0x%016llx\n",
			(unsigned long long)(res->size_bytes ? res->start : 0), (unsigned long long)last,
			(unsigned long long)(res->size_bytes ? res->flags : 0));
}

int pci_resource_text(const struct pci_dev *pdev, char *buf, size_t size)
{
	static const struct resource none;
	unsigned lines = pci_is_bridge(pdev) ? BRIDGE_RESOURCE_LINES : RESOURCE_LINES;
	struct resource iov;
	int len = 0;

	for (unsigned i = 0; i < lines; i++) {
		const struct resource *res = &none;

		if (i < PCI_NUM_RESOURCES)
			res = &pdev->resource[i];
		else if (i < BRIDGE_FIRST_WINDOW)
			iov = pci_iov_resource(pdev, i - PCI_NUM_RESOURCES), res = &iov;
		else if (i >= BRIDGE_FIRST_WINDOW && i < BRIDGE_FIRST_WINDOW + PCI_BRIDGE_WINDOWS)
			res = &pdev->window[i - BRIDGE_FIRST_WINDOW];
		len += resource_line(res, buf + len, size - (size_t)len);
	}
	return len;
}

#define HEX_ATTR(field, format)                                                                              \
	static int show_##field(struct pci_dev *pdev, char *buf, size_t size)                                \
	{                                                                                                    \
		return snprintf(buf, size, format, pdev->field);                                             \
	}
HEX_ATTR(vendor, "0x%04x\n")
HEX_ATTR(device, "0x%04x\n")
HEX_ATTR(subsystem_vendor, "0x%04x\n")
HEX_ATTR(subsystem_device, "0x%04x\n")
HEX_ATTR(class, "0x%06x\n")
HEX_ATTR(revision, "0x%02x\n")
HEX_ATTR(irq_line, "%u\n")

static int show_modalias(struct pci_dev *pdev, char *buf, size_t size)
{
	int len = pci_modalias(pdev, buf, size - 1);

	strcpy(buf + len, "\n");
	return len + 1;
}

static int show_resource(struct pci_dev *pdev, char *buf, size_t size)
{
	return pci_resource_text(pdev, buf, size);
}

/* All CPUs of the host are near. */
void pci_local_cpulist_text(char *buf, size_t size)
{
	int cpus = get_nprocs_conf();

	if (cpus > 1)
		snprintf(buf, size, "0-%d\n", cpus - 1);
	else
		snprintf(buf, size, "0\n");
}

void pci_local_cpus_text(char *buf, size_t size)
{
	int cpus = get_nprocs_conf(), words = (cpus + 31) / 32, len = 0;

	for (int w = words - 1; w >= 0; w--) {
		int here = min(cpus - 32 * w, 32);
		u32 mask = here == 32 ? ~0u : BIT(here) - 1;

		len += snprintf(buf + len, size - (size_t)len, w == words - 1 ? "%x" : ",%08x", mask);
	}
	snprintf(buf + len, size - (size_t)len, "\n");
}

static int show_local_cpulist(struct pci_dev *pdev, char *buf, size_t size)
{
	pci_local_cpulist_text(buf, size);
	return (int)strlen(buf);
}

static int show_local_cpus(struct pci_dev *pdev, char *buf, size_t size)
{
	pci_local_cpus_text(buf, size);
	return (int)strlen(buf);
}

static int link_speed(unsigned code, char *buf, size_t size)
{
	static const char *const speeds[] = {"Unknown", "2.5 GT/s PCIe", "5.0 GT/s PCIe", "8.0 GT/s PCIe",
					     "16.0 GT/s PCIe", "32.0 GT/s PCIe", "64.0 GT/s PCIe"};

	return snprintf(buf, size, "%s\n", speeds[code < ARRAY_SIZE(speeds) ? code : 0]);
}

static u32 express_reg(struct pci_dev *pdev, unsigned off)
{
	u32 val = 0;

	pci_read_config_dword(pdev, pdev->pcie_cap + off, &val);
	return val;
}

static int show_max_link_speed(struct pci_dev *pdev, char *buf, size_t size)
{
	return link_speed(express_reg(pdev, PCI_EXP_LNKCAP) & PCI_EXP_LNKCAP_SLS, buf, size);
}

static int show_max_link_width(struct pci_dev *pdev, char *buf, size_t size)
{
	return snprintf(buf, size, "%u\n", (express_reg(pdev, PCI_EXP_LNKCAP) & PCI_EXP_LNKCAP_MLW) >> 4);
}

static u32 link_status(struct pci_dev *pdev)
{
	return express_reg(pdev, PCI_EXP_LNKCTL) >> 16;
}

static int show_current_link_speed(struct pci_dev *pdev, char *buf, size_t size)
{
	return link_speed(link_status(pdev) & PCI_EXP_LNKSTA_CLS, buf, size);
}

static int show_current_link_width(struct pci_dev *pdev, char *buf, size_t size)
{
	return snprintf(buf, size, "%u\n",
			(link_status(pdev) & PCI_EXP_LNKSTA_NLW) >> PCI_EXP_LNKSTA_NLW_SHIFT);
}

static int bus_number(struct pci_dev *pdev, unsigned off, char *buf, size_t size)
{
	u8 bus;

	pci_read_config_byte(pdev, off, &bus);
	return snprintf(buf, size, "%u\n", bus);
}

static int show_secondary(struct pci_dev *pdev, char *buf, size_t size)
{
	return bus_number(pdev, PCI_SECONDARY_BUS, buf, size);
}

static int show_subordinate(struct pci_dev *pdev, char *buf, size_t size)
{
	return bus_number(pdev, PCI_SUBORDINATE_BUS, buf, size);
}

static int show_ari(struct pci_dev *pdev, char *buf, size_t size)
{
	return snprintf(buf, size, "%d\n", pci_ari_enabled(pdev));
}

static unsigned serial_at(const struct pci_dev *pdev)
{
	return pci_find_ext_capability((struct pci_dev *)(uintptr_t)pdev, PCI_EXT_CAP_ID_DSN);
}

static bool has_serial(const struct pci_dev *pdev) { return serial_at(pdev); }

static int show_serial(struct pci_dev *pdev, char *buf, size_t size)
{
	const unsigned at = serial_at(pdev);
	int len = 0;
	u8 byte;

	for (unsigned i = 0; i < 8; i++) {
		pci_read_config_byte(pdev, at + 4 + 7 - i, &byte);
		len += snprintf(buf + len, size - (size_t)len, "%02x%s", byte, i < 7 ? "-" : "\n");
	}
	return len;
}

static int is_earlier_vga(struct pci_dev *pdev, void *than)
{
	return pdev != than && pci_is_vga(pdev);
}

/* The first that was found is the machine's display. */
static int show_boot_vga(struct pci_dev *pdev, char *buf, size_t size)
{
	return snprintf(buf, size, "%d\n", !pci_for_each_dev(is_earlier_vga, pdev));
}

static bool is_express(const struct pci_dev *pdev) { return pdev->pcie_cap; }

static const struct {
	const char *name;
	int (*text)(struct pci_dev *pdev, char *buf, size_t size); /* NULL: @fixed */
	const char *fixed;
	bool (*wanted)(const struct pci_dev *pdev); /* NULL: always */
	u32 mode; /* 0: 0444 */
} plain_attrs[] = {
	{"vendor", show_vendor},
	{"device", show_device},
	{"subsystem_vendor", show_subsystem_vendor},
	{"subsystem_device", show_subsystem_device},
	{"class", show_class},
	{"revision", show_revision},
	{"irq", show_irq_line},
	{"modalias", show_modalias},
	{"resource", show_resource},
	{"local_cpus", show_local_cpus},
	{"local_cpulist", show_local_cpulist},
	{"ari_enabled", show_ari},
	{"consistent_dma_mask_bits", .fixed = "32\n"},
	{"dma_mask_bits", .fixed = "32\n"},
	{"serial_number", show_serial, .wanted = has_serial, .mode = 0400},
	{"boot_vga", show_boot_vga, .wanted = pci_is_vga},
	{"max_link_speed", show_max_link_speed, .wanted = is_express},
	{"max_link_width", show_max_link_width, .wanted = is_express},
	{"current_link_speed", show_current_link_speed, .wanted = is_express},
	{"current_link_width", show_current_link_width, .wanted = is_express},
	{"secondary_bus_number", show_secondary, .wanted = pci_is_bridge},
	{"subordinate_bus_number", show_subordinate, .wanted = pci_is_bridge},
};

static int add_plain_attrs(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], text[PAGE_SIZE];
	int err = 0, len;

	for (size_t i = 0; i < ARRAY_SIZE(plain_attrs) && !err; i++) {
		if (plain_attrs[i].wanted && !plain_attrs[i].wanted(pdev))
			continue;
		attr_path(pdev, plain_attrs[i].name, path);
		if (plain_attrs[i].fixed) {
			err = kernfs_create_same(path, 0444, plain_attrs[i].fixed, NULL, NULL);
			continue;
		}
		len = plain_attrs[i].text(pdev, text, sizeof(text));
		err = kernfs_create_file(path, plain_attrs[i].mode ? plain_attrs[i].mode : 0444, text, (size_t)len,
					 NULL, NULL);
	}
	return err;
}

/* ---- config -------------------------------------------------------------------------------- */

/* The widest naturally aligned access that fits. */
static unsigned access_len(u64 off, size_t len)
{
	if (IS_ALIGNED(off, 4) && len >= 4)
		return 4;
	return IS_ALIGNED(off, 2) && len >= 2 ? 2 : 1;
}

#define COMMAND_HIGH (PCI_COMMAND + 1ull)

static ssize_t config_bin_read(void *priv, void *buf, size_t len, u64 off)
{
	struct pci_dev *pdev = priv;
	u8 *p = buf;

	for (size_t done = 0; done < len;) {
		unsigned n = access_len(off + done, len - done);
		u32 val = pdev->hw_ops->config_read(pdev->hw, (unsigned)(off + done), n);

		memcpy(p + done, &val, n);
		done += n;
	}
	if (off <= COMMAND_HIGH && COMMAND_HIGH - off < len && atomic_load(&pdev->pin_masked))
		p[COMMAND_HIGH - off] |= PCI_COMMAND_INTX_DISABLE >> 8;
	return (ssize_t)len;
}

static int refresh_config_file(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];
	u8 all[PCI_CFG_SPACE_EXP_SIZE];

	config_bin_read(pdev, all, pdev->cfg_size, 0);
	attr_path(pdev, "config", path);
	return kernfs_write(path, all, pdev->cfg_size);
}

static ssize_t config_bin_write(void *priv, const void *buf, size_t len, u64 off)
{
	struct pci_dev *pdev = priv;
	const u8 *p = buf;

	for (size_t done = 0; done < len;) {
		unsigned n = access_len(off + done, len - done);
		u32 val = 0;

		memcpy(&val, p + done, n);
		pdev->hw_ops->config_write(pdev->hw, (unsigned)(off + done), n, val);
		done += n;
	}
	refresh_config_file(pdev);
	return (ssize_t)len;
}

static const struct kernfs_ops config_ops = {.bin_read = config_bin_read, .bin_write = config_bin_write};

static int add_config(struct pci_dev *pdev)
{
	u8 all[PCI_CFG_SPACE_EXP_SIZE];
	char path[PCI_PATH_MAX];

	config_bin_read(pdev, all, pdev->cfg_size, 0);
	attr_path(pdev, "config", path);
	return kernfs_create_file(path, 0644, all, pdev->cfg_size, &config_ops, pdev);
}

void pci_update_bridge_files(struct pci_dev *bridge)
{
	char text[PAGE_SIZE];

	if (bridge->dev.found)
		return; /* whoever made the tree wrote them */
	refresh_config_file(bridge); /* the bus numbers are in it: lspci -t looks there */
	show_resource(bridge, text, sizeof(text));
	rewrite(bridge, "resource", text);
	show_secondary(bridge, text, sizeof(text));
	rewrite(bridge, "secondary_bus_number", text);
	show_subordinate(bridge, text, sizeof(text));
	rewrite(bridge, "subordinate_bus_number", text);
}

/* ---- resourceN and rom --------------------------------------------------------------------- */

/* Reading a ROM that nobody enabled is EINVAL; writing "1" enables it, "0" does not. */
static bool rom_enabled(struct pci_dev *pdev)
{
	u32 reg = 0;

	pci_read_config_dword(pdev, pci_is_bridge(pdev) ? PCI_ROM_ADDRESS1 : PCI_ROM_ADDRESS, &reg);
	return reg & PCI_ROM_ADDRESS_ENABLE;
}

static ssize_t rom_read(void *priv, void *buf, size_t len, u64 off)
{
	struct pci_dev *pdev = priv;
	u8 *p = buf;

	if (!rom_enabled(pdev))
		return fail(-EINVAL, "the ROM of %s is off: write 1 to its rom first", pdev->dev.name);
	for (size_t i = 0; i < len; i++)
		p[i] = (u8)pdev->hw_ops->bar_read(pdev->hw, PCI_ROM_RESOURCE, off + i, 1);
	return (ssize_t)len;
}

static ssize_t rom_write(void *priv, const void *buf, size_t len, u64 off)
{
	struct pci_dev *pdev = priv;
	unsigned reg = pci_is_bridge(pdev) ? PCI_ROM_ADDRESS1 : PCI_ROM_ADDRESS;
	const char *text = buf;
	bool off_wanted = off == 0 && text[0] == '0' && (len == 1 || (len == 2 && text[1] == '\n'));
	u32 val;

	pci_read_config_dword(pdev, reg, &val);
	val = off_wanted ? val & ~PCI_ROM_ADDRESS_ENABLE : val | PCI_ROM_ADDRESS_ENABLE;
	pci_write_config_dword(pdev, reg, val);
	return (ssize_t)len;
}

static const struct kernfs_ops rom_ops = {.bin_read = rom_read, .bin_write = rom_write};

static int add_resource_file(struct pci_dev *pdev, unsigned index, const char *suffix)
{
	char path[PCI_PATH_MAX];

	snprintf(path, sizeof(path), "%s/resource%u%s", pdev->dev.path, index, suffix);
	return kernfs_create_file(path, 0600, NULL, (size_t)pdev->resource[index].size_bytes, NULL, NULL);
}

static int add_resource_files(struct pci_dev *pdev)
{
	int err = 0;

	for (unsigned i = 0; i < PCI_STD_NUM_BARS && !err; i++) {
		if (!pdev->resource[i].size_bytes)
			continue;
		err = add_resource_file(pdev, i, "");
		if (!err && (pdev->resource[i].flags & IORESOURCE_PREFETCH))
			err = add_resource_file(pdev, i, "_wc");
	}
	return err;
}

static int add_rom(struct pci_dev *pdev)
{
	size_t size = (size_t)pdev->resource[PCI_ROM_RESOURCE].size_bytes;
	char path[PCI_PATH_MAX];

	if (!size)
		return 0;
	attr_path(pdev, "rom", path);
	return kernfs_create_file(path, 0600, NULL, size, &rom_ops, pdev);
}

/* ---- enable -------------------------------------------------------------------------------- */

static ssize_t enable_show(void *priv, char *buf)
{
	struct pci_dev *pdev = priv;

	return snprintf(buf, PAGE_SIZE, "%d\n", atomic_load(&pdev->enable_cnt));
}

void pci_show_enabled(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], text[16];

	attr_path(pdev, "enable", path);
	snprintf(text, sizeof(text), "%d\n", atomic_load(&pdev->enable_cnt));
	kernfs_show(path, text);
}

/* How often a program did it, apart from drivers: they do it in each process anew. */
static void user_count_path(const struct pci_dev *pdev, char path[PCI_PATH_MAX])
{
	snprintf(path, PCI_PATH_MAX, "state.d/pci/enable.%s", pdev->dev.name);
}

static int enable(struct pci_dev *pdev, bool on)
{
	char path[PCI_PATH_MAX], text[16];
	int err = 0;

	if (pdev->dev.driver)
		return fail(-EBUSY, "%s has the driver %s: that decides whether it is enabled",
			    pdev->dev.name, pdev->dev.driver->name);
	if (on)
		err = pci_enable_device(pdev);
	else if (atomic_load(&pdev->enable_cnt) == 0)
		return fail(-EIO, "%s is not enabled", pdev->dev.name);
	else
		pci_disable_device(pdev);
	user_count_path(pdev, path);
	snprintf(text, sizeof(text), "%d\n", atomic_load(&pdev->enable_cnt));
	return err ? err : kernfs_write_state(path, text, strlen(text));
}

static ssize_t enable_store(void *priv, const char *buf, size_t len)
{
	unsigned long val;
	int err = parse_ulong(buf, &val);

	if (err)
		return err;
	err = device_store_begin();
	if (err)
		return err;
	err = enable(priv, val);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

/* What a shell switched on before this process came is on here too. */
static void follow_enable(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], text[16] = "";
	unsigned long count = 0;

	user_count_path(pdev, path);
	if (kernfs_read(path, text, sizeof(text) - 1) > 0 && !parse_ulong(text, &count))
		for (count = min(count, 64ul); count; count--)
			pci_enable_device(pdev);
}

static void forget_user_count(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];

	user_count_path(pdev, path);
	kernfs_remove(path);
}

/* Its driver lets it sleep, and power/control does not keep it awake. */
static bool is_asleep(const struct pci_dev *pdev)
{
	return atomic_load(&pdev->asleep) && pm_runtime_allowed(&pdev->dev);
}

static ssize_t power_state_show(void *priv, char *buf)
{
	static const char *const states[] = {"D0", "D1", "D2", "D3hot"};
	struct pci_dev *pdev = priv;
	u16 csr = 0;

	if (pdev->pm_cap && is_asleep(pdev))
		csr = 3;
	else if (pdev->pm_cap)
		pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &csr);
	return snprintf(buf, PAGE_SIZE, "%s\n", states[csr & PCI_PM_CTRL_STATE_MASK]);
}

void pci_set_asleep(struct pci_dev *pdev, bool asleep)
{
	atomic_store(&pdev->asleep, asleep);
}

void pci_show_power(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], text[PAGE_SIZE];

	power_state_show(pdev, text);
	attr_path(pdev, "power_state", path);
	kernfs_show(path, text);
	pm_runtime_show(&pdev->dev, is_asleep(pdev) ? "suspended\n" : "active\n");
}

/* Without a driver its power state stays as it is.  Of a device that is open in another process that one tells. */
void pci_control_changed(struct device *dev)
{
	if (!dev->driver)
		pm_runtime_show(dev, pm_runtime_allowed(dev) ? "suspended\n" : "active\n");
	else if (device_driver_in_use(dev) || !dev->driver->used || !dev->driver->used(dev))
		pci_show_power(to_pci_dev(dev));
}

void pci_show_unused(struct pci_dev *pdev)
{
	pci_hide_messages(pdev, false);
	pci_show_enabled(pdev);
	pci_show_power(pdev);
}

/* ---- small switches ------------------------------------------------------------------------ */

/* Parse with @parse, then write @text back: what these switches do is to be remembered. */
static ssize_t store_text(struct pci_dev *pdev, const char *name, const char *text, size_t len)
{
	int err = device_store_begin();

	if (err)
		return err;
	err = rewrite(pdev, name, text);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

static ssize_t store_flag(struct pci_dev *pdev, const char *name, const char *buf, size_t len)
{
	unsigned long val;
	int err = parse_ulong(buf, &val);

	return err ? err : store_text(pdev, name, val ? "1\n" : "0\n", len);
}

static ssize_t msi_bus_store(void *priv, const char *buf, size_t len)
{
	return store_flag(priv, "msi_bus", buf, len);
}

static ssize_t parity_store(void *priv, const char *buf, size_t len)
{
	return store_flag(priv, "broken_parity_status", buf, len);
}

static ssize_t d3cold_store(void *priv, const char *buf, size_t len)
{
	return store_flag(priv, "d3cold_allowed", buf, len);
}

static bool node_online(long node)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%ld", node);
	return node == 0 || sys_access(path, 0) == 0;
}

static ssize_t numa_node_store(void *priv, const char *buf, size_t len)
{
	char text[32];
	long node;
	int err = parse_long(buf, &node);

	if (err)
		return err;
	if (node < -1 || (node >= 0 && !node_online(node)))
		return fail(-EINVAL, "there is no memory node %ld here", node);
	snprintf(text, sizeof(text), "%ld\n", node);
	return store_text(priv, "numa_node", text, len);
}

/* ---- reset --------------------------------------------------------------------------------- */

static ssize_t reset_store(void *priv, const char *buf, size_t len)
{
	struct pci_dev *pdev = priv;
	unsigned long val;
	int err = parse_ulong(buf, &val);

	if (err || val != 1)
		return fail(-EINVAL, "only 1 resets a device, not \"%.16s\"", buf);
	err = device_store_begin();
	if (err)
		return err;
	err = pci_reset_function(pdev);
	if (pdev->dev.driver && to_pci_driver(pdev->dev.driver)->reset_by_user)
		to_pci_driver(pdev->dev.driver)->reset_by_user(pdev);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

static int tell_of_reset(struct pci_dev *pdev, void *bridge)
{
	if (!pci_is_behind(pdev, bridge))
		return 0;
	pci_reset_notify_done(pdev);
	if (pdev->dev.driver && to_pci_driver(pdev->dev.driver)->reset_by_user)
		to_pci_driver(pdev->dev.driver)->reset_by_user(pdev);
	return 0;
}

static ssize_t reset_subordinate_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_trigger(buf);

	if (err <= 0)
		return err ? err : (ssize_t)len;
	pci_reset_link(priv);
	pci_for_each_dev(tell_of_reset, priv);
	device_store_end(false);
	return (ssize_t)len;
}

static int reset_method_of(const char *name)
{
	for (int m = 0; m < PCI_RESET_METHODS; m++)
		if (!strcmp(name, pci_reset_method_name((enum pci_reset_method)m)))
			return m;
	return -1;
}

/* "bus flr" in that order, each as often as it is named; "default"; a bare newline switches resets off. */
#define RESET_METHODS_MAX 7u /* that Linux keeps */
static int reset_methods_from(struct pci_dev *pdev, const char *buf, char *ret, size_t size)
{
	char words[128], *at = words, *name;
	unsigned count = 0;
	int len = 0, m;

	ret[0] = '\0';
	snprintf(words, sizeof(words), "%s", buf);
	if (!strcmp(words, "default") || !strcmp(words, "default\n")) {
		pci_default_reset_methods(pdev, ret, size);
		return 0;
	}
	while ((name = strsep(&at, " \n"))) {
		if (!*name)
			continue;
		m = reset_method_of(name);
		if (m < 0)
			return fail(-EINVAL,
				    "%.32s is no way to reset a device: those are flr, af_flr, pm, bus and cxl_bus", name);
		if (!pci_reset_method_works(pdev, (enum pci_reset_method)m))
			return fail(-EINVAL, "%s cannot be reset by %s", pdev->dev.name, name);
		if (++count > RESET_METHODS_MAX)
			return fail(-EINVAL, "more than %u ways to reset %s", RESET_METHODS_MAX, pdev->dev.name);
		len += snprintf(ret + len, size - (size_t)len, "%s%s", len ? " " : "", name);
	}
	if (len)
		snprintf(ret + len, size - (size_t)len, "\n");
	return 0;
}

static ssize_t reset_method_store(void *priv, const char *buf, size_t len)
{
	char text[64];
	int err = device_store_begin();

	if (err)
		return err;
	err = reset_methods_from(priv, buf, text, sizeof(text));
	if (!err)
		err = rewrite(priv, "reset_method", text);
	device_store_end(false);
	return err ? err : (ssize_t)len;
}

static const struct kernfs_ops reset_ops = {.store = reset_store};
static const struct kernfs_ops reset_method_ops = {.store = reset_method_store};

/* Made once, when the device is found: who comes to its bus later does not change what the file says. */
static int add_reset(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], text[64];
	int err;

	pci_default_reset_methods(pdev, text, sizeof(text));
	attr_path(pdev, "reset_method", path);
	if (pdev->dev.found ? !kernfs_exists(path) : !text[0])
		return 0;
	err = kernfs_create_file(path, 0644, text, strlen(text), &reset_method_ops, pdev);
	if (err)
		return err;
	attr_path(pdev, "reset", path);
	return kernfs_create_same(path, 0200, "", &reset_ops, pdev);
}

/* ---- remove and rescan --------------------------------------------------------------------- */

static ssize_t remove_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_trigger(buf);

	if (err <= 0)
		return err ? err : (ssize_t)len;
	pci_stop_and_remove(priv);
	device_store_end(true);
	return (ssize_t)len;
}

static ssize_t rescan_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_trigger(buf);

	if (err <= 0)
		return err ? err : (ssize_t)len;
	err = pci_rescan(((struct pci_dev *)priv)->domain, ((struct pci_dev *)priv)->bus);
	device_store_end(true);
	return err ? err : (ssize_t)len;
}

/* ---- directories ---------------------------------------------------------------------------- */

static ssize_t number_store(struct pci_dev *pdev, const char *name, const char *buf, size_t len)
{
	char text[32];
	long val;
	int err = parse_long(buf, &val);

	if (!err && val != (int)val)
		err = fail(-ERANGE, "%ld does not fit 32 bits", val);
	if (err)
		return err;
	snprintf(text, sizeof(text), "%ld\n", val);
	return store_text(pdev, name, text, len);
}

#define LIMIT(field, path)                                                                                   \
	static ssize_t field##_store(void *priv, const char *buf, size_t len)                                \
	{                                                                                                    \
		return number_store(priv, path, buf, len);                                                   \
	}
LIMIT(cor_burst, "aer/correctable_ratelimit_burst")
LIMIT(cor_interval, "aer/correctable_ratelimit_interval_ms")
LIMIT(nonfatal_burst, "aer/nonfatal_ratelimit_burst")
LIMIT(nonfatal_interval, "aer/nonfatal_ratelimit_interval_ms")

/* A link that nobody manages stays as it is. */
static ssize_t aspm_store(void *priv, const char *buf, size_t len)
{
	bool on;
	int err = parse_bool(buf, &on);

	return err ? err : (ssize_t)len;
}

static bool has_aer(const struct pci_dev *pdev) { return pdev->aer; }

static bool has_l0s(const struct pci_dev *pdev)
{
	struct pci_dev *p = (struct pci_dev *)(uintptr_t)pdev; /* only read */

	return pdev->pcie_cap && pdev->bridge && !pci_is_bridge(pdev) && !pdev->physfn &&
	       express_reg(p, PCI_EXP_LNKCAP) & PCI_EXP_LNKCAP_ASPM_L0S;
}

static const struct {
	const char *name, *content;
	struct kernfs_ops ops;
	bool (*wanted)(const struct pci_dev *pdev);
} dir_attrs[] = {
	{"aer/correctable_ratelimit_burst", "10\n", {.store = cor_burst_store}, has_aer},
	{"aer/correctable_ratelimit_interval_ms", "1250\n", {.store = cor_interval_store}, has_aer},
	{"aer/nonfatal_ratelimit_burst", "10\n", {.store = nonfatal_burst_store}, has_aer},
	{"aer/nonfatal_ratelimit_interval_ms", "1250\n", {.store = nonfatal_interval_store}, has_aer},
	{"link/l0s_aspm", "0\n", {.store = aspm_store}, has_l0s},
};

/* Linux makes them for every device, empty or not. */
static int add_dirs(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];
	int err;

	attr_path(pdev, "aer", path);
	err = kernfs_create_dir(path);
	attr_path(pdev, "link", path);
	if (!err)
		err = kernfs_create_dir(path);
	for (size_t i = 0; i < ARRAY_SIZE(dir_attrs) && !err; i++) {
		if (!dir_attrs[i].wanted(pdev))
			continue;
		attr_path(pdev, dir_attrs[i].name, path);
		err = kernfs_create_same(path, 0644, dir_attrs[i].content, &dir_attrs[i].ops, pdev);
	}
	return err;
}

/* ---- all of them --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	u32 mode;
	const char *content;
	struct kernfs_ops ops;
	bool physical; /* not of virtual functions: sriov_numvfs decides about those */
	bool bridge; /* of bridges only */
} live_attrs[] = {
	{"enable", 0644, NULL, {.show = enable_show, .store = enable_store}},
	{"power_state", 0444, NULL, {.show = power_state_show}},
	{"numa_node", 0644, "-1\n", {.store = numa_node_store}},
	{"msi_bus", 0644, "1\n", {.store = msi_bus_store}},
	{"broken_parity_status", 0644, "0\n", {.store = parity_store}},
	{"d3cold_allowed", 0644, "0\n", {.store = d3cold_store}},
	{"reset_subordinate", 0200, "", {.store = reset_subordinate_store}, .bridge = true},
	{"remove", 0220, "", {.store = remove_store}, true},
	{"rescan", 0200, "", {.store = rescan_store}, true},
};

static int add_live_attrs(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(live_attrs) && !err; i++) {
		const char *content = live_attrs[i].content;

		if ((pdev->physfn && live_attrs[i].physical) || (live_attrs[i].bridge && !pci_is_bridge(pdev)))
			continue;
		if (pdev->pm_cap && !strcmp(live_attrs[i].name, "d3cold_allowed"))
			content = "1\n";
		attr_path(pdev, live_attrs[i].name, path);
		err = content ? kernfs_create_same(path, live_attrs[i].mode, content, &live_attrs[i].ops, pdev)
			      : kernfs_create_file(path, live_attrs[i].mode, NULL, 0, &live_attrs[i].ops, pdev);
	}
	return err;
}

int pci_add_device_attrs(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int err = add_live_attrs(pdev);

	if (!err)
		err = add_config(pdev);
	if (!err)
		err = add_rom(pdev);
	if (!err)
		err = add_reset(pdev);
	if (!err)
		err = pci_aer_add_attrs(pdev);
	if (!err)
		err = pci_iov_add_attrs(pdev);
	if (!err)
		err = pci_vpd_add_attr(pdev);
	if (!err)
		err = add_dirs(pdev);
	if (err)
		return err;
	if (dev->found) {
		follow_enable(pdev);
		return 0;
	}
	forget_user_count(pdev);
	err = add_plain_attrs(pdev);
	return err ? err : add_resource_files(pdev);
}
