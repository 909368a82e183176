/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.c - the machine of this process: made once, attached by each program, taken down.
 *
 * There is at most one in a process.  Making and attaching are the same construction; what differs is
 * the mode of the tree (kernfs.h): while it is created, nodes are made and drivers bound; when it is
 * attached, nodes get their operations and bindings follow the links that are there.
 *
 * Most programs on a machine (sh, ls, cat) never touch a device, so machine_attach_lazy() only notes
 * the directory, and machine_attach() does the work when it is needed for the first time.
 *
 * Locks: `lock` (LOCK_MACHINE) around construction, inside it the tree lock.  Devices come into sight
 * only when all are there: `attached` is set last, and not looked behind without it.
 */
#include "machine/machine.h"

#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "kernel/base/device.h"
#include "kernel/fs/fault_files.h"
#include "kernel/fs/kernfs.h"
#include "kernel/iommufd/iommufd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/show.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio.h"
#include "machine/iommu_ops.h"
#include "machine/machine_priv.h"

#define PATH_BYTES 4096

static struct mutex lock = MUTEX_INITIALIZER(LOCK_MACHINE);
static struct machine machine; /* under lock until attached; then immutable */
static atomic_bool attached;

/* ---- modules: kernel code that exists once ------------------------------------------------------ */

static int probe_behind(struct device *dev, const struct device_config *config)
{
	return iommu_probe_device(machine.units[config->iommu].iommu, dev, (u16)config->devid,
				  (unsigned)config->group);
}

/* What the device's capabilities say that its unit has to know.  A virtual function's PASIDs are its physical one's. */
static void set_iommu_caps(struct pci_dev *pdev)
{
	struct pci_dev *pf = pdev->physfn ? pdev->physfn : pdev;
	unsigned cap = pci_find_ext_capability(pf, PCI_EXT_CAP_ID_PASID);
	struct iommu_device_caps caps = { .ats = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ATS) };
	u16 pasid;

	if (cap && !pci_read_config_word(pf, cap + PCI_PASID_CAP, &pasid)) {
		caps.max_pasids = pasid >> 8 & 0x1f ? 1u << (pasid >> 8 & 0x1f) : 0;
		caps.pasid_exec = pasid & PCI_PASID_CAP_EXEC;
		caps.pasid_priv = pasid & PCI_PASID_CAP_PRIV;
	}
	iommu_device_set_caps(&pdev->dev, &caps);
}

static int iommu_probe(struct pci_dev *pdev)
{
	struct machine_device *md = container_of(pdev, struct machine_device, pdev);
	int err = probe_behind(&pdev->dev, md->config);

	if (!err)
		set_iommu_caps(pdev);
	return err;
}

static int platform_probe(struct platform_device *plat)
{
	struct machine_device *md = container_of(plat, struct machine_device, plat);

	return probe_behind(&plat->dev, md->config);
}

/* What Linux does at boot, in its order.  @exit NULL: nothing to undo.  Tree lock held. */
static const struct module {
	int (*init)(void);
	void (*exit)(void);
} modules[] = {
	{fault_files_init, fault_files_exit},
	{pci_bus_init, pci_bus_exit},
	{platform_bus_init, platform_bus_exit},
	{iommufd_init, iommufd_exit},
	{vfio_init, vfio_exit},
	{vfio_iommu_type1_init, vfio_iommu_type1_exit},
	{vfio_pci_init, vfio_pci_exit},
	{soft_vfio_pci_init, soft_vfio_pci_exit},
	{vfio_platform_init, vfio_platform_exit},
	{vfio_amba_init, vfio_amba_exit},
	{host_drivers_register, NULL}, /* the buses forget them */
};
static unsigned modules_up; /* under lock */

static int modules_init(void)
{
	int err = 0;

	while (modules_up < ARRAY_SIZE(modules) && !err) {
		err = modules[modules_up].init();
		if (!err)
			modules_up++;
	}
	return err;
}

static void modules_exit(void)
{
	while (modules_up) {
		modules_up--;
		if (modules[modules_up].exit)
			modules[modules_up].exit();
	}
}

/* ---- construction: lock and tree lock held ------------------------------------------------------ */

static const struct hw_iommu_format *const formats[] = {
	[MACHINE_IOMMU_AMD] = &hw_iommu_amdv1,
	[MACHINE_IOMMU_INTEL] = &hw_iommu_vtd,
	[MACHINE_IOMMU_VIRTIO] = &hw_iommu_amdv1, /* see virtio-iommu.c */
	[MACHINE_IOMMU_NONE] = &hw_iommu_direct,
};

/* As Linux numbers them: each kind from 0 on.  A virtio unit has there the PCI address of its device, which is none here. */
static void unit_name(struct machine *m, struct machine_unit *unit, const struct iommu_config *config)
{
	static const char *const names[] = {
		[MACHINE_IOMMU_AMD] = "ivhd", [MACHINE_IOMMU_INTEL] = "dmar", [MACHINE_IOMMU_VIRTIO] = "viommu",
		[MACHINE_IOMMU_NONE] = "none",
	};
	unsigned number = 0;

	for (const struct iommu_config *c = m->config->iommus; c < config; c++)
		number += c->kind == config->kind;
	snprintf(unit->name, sizeof(unit->name), "%s%u", names[config->kind], number);
}

/* The driver of the unit that the configuration names; NULL without one. */
static struct iommu_device *iommu_init(struct machine_unit *unit, const struct iommu_config *config, unsigned last_bus)
{
	switch (config->kind) {
	case MACHINE_IOMMU_INTEL:
		return intel_iommu_init(unit->name, &machine_iommu_hw_ops, unit->hw, config->aw_bits, config->features);
	case MACHINE_IOMMU_AMD:
		return amd_iommu_init(unit->name, &machine_iommu_hw_ops, unit->hw, (last_bus + 1) * 256,
				      config->features);
	case MACHINE_IOMMU_VIRTIO:
		return virtio_iommu_init(unit->name, &machine_iommu_hw_ops, unit->hw, (last_bus + 1) * 256);
	case MACHINE_IOMMU_NONE:
		break;
	}
	return NULL;
}

static void iommu_exit(struct machine *m)
{
	while (m->nr_units) {
		struct machine_unit *unit = &m->units[--m->nr_units];

		switch (m->config->iommus[m->nr_units].kind) {
		case MACHINE_IOMMU_INTEL:
			intel_iommu_exit(unit->iommu);
			break;
		case MACHINE_IOMMU_VIRTIO:
			virtio_iommu_exit(unit->iommu);
			break;
		case MACHINE_IOMMU_AMD:
		case MACHINE_IOMMU_NONE:
			amd_iommu_exit(unit->iommu);
		}
		hw_iommu_destroy(unit->hw);
		memset(unit, 0, sizeof(*unit));
	}
}

static int unit_build(struct machine *m, unsigned number, unsigned last_bus)
{
	const struct iommu_config *config = &m->config->iommus[number];
	struct machine_unit *unit = &m->units[number];

	unit->machine = m;
	unit_name(m, unit, config);
	unit->hw = hw_iommu_create(&machine_bus_ops, formats[config->kind]);
	m->nr_units++; /* from here on iommu_exit() cleans up */
	if (!unit->hw)
		return fail(-ENOMEM, "no memory for the IOMMU");
	unit->iommu = iommu_init(unit, config, last_bus);
	if (IS_ERR(unit->iommu)) {
		int err = (int)PTR_ERR(unit->iommu);

		unit->iommu = NULL;
		return err;
	}
	hw_iommu_set_fault_handler(unit->hw, machine_fault_handler, unit);
	hw_iommu_set_page_request_handler(unit->hw, machine_page_request, unit);
	return 0;
}

static int iommu_build(struct machine *m)
{
	unsigned last_bus = 0;

	for (unsigned i = 0; i < m->config->nr_devices; i++)
		last_bus = max(last_bus, (unsigned)DEVID_BUS(m->config->devices[i].devid));
	for (unsigned i = 0; i < m->config->nr_iommus; i++) {
		int err = unit_build(m, i, last_bus);

		if (err)
			return err;
	}
	mmu_notifier_register(&machine_mmu_notifier_ops, m);
	phys_slot_register(PHYS_SLOT_MMIO, &machine_mmio_ops, m);
	if (m->units[0].iommu) {
		pci_iommu_probe = iommu_probe;
		platform_iommu_probe = platform_probe;
	}
	return 0;
}

/* A new machine without an IOMMU boots as with vfio.enable_unsafe_noiommu_mode=1: else no device were any use. */
static int allow_noiommu(struct machine *m)
{
	return !m->units[0].iommu && kernfs_creating() ? vfio_set_unsafe_noiommu_mode(true) : 0;
}

/* As said on a kernel's command line: before any device is there. */
static int set_params(struct machine *m)
{
	if (!m->config->reset_not_required || !kernfs_creating())
		return 0;
	return kernfs_write("sys/module/vfio_platform/parameters/reset_required", "N\n", 2);
}

static struct pci_dev *bridge_of(struct machine *m, const struct device_config *dev)
{
	for (unsigned i = 0; i < m->nr_devices; i++)
		if (device_config_is_port(m->devices[i].config) &&
		    m->devices[i].config->bus == DEVID_BUS(dev->devid))
			return &m->devices[i].pdev;
	return NULL;
}

/* Is it the function of its slot that says whether there are more?  PCI Local Bus 3.0, 6.2.1. */
static bool is_multifunction(const struct machine *m, const struct device_config *dev)
{
	for (int func = 1; func < 8; func++)
		if (dev->devid % 8 == 0 && machine_config_find(m->config, dev->devid + func))
			return true;
	return false;
}

static int by_address(const void *a, const void *b)
{
	return (*(struct device_config *const *)a)->devid - (*(struct device_config *const *)b)->devid;
}

/* In the order in which Linux finds devices: the first on a bus does not know of the next. */
static int build_devices(struct machine *m, bool ports)
{
	struct device_config *order[MACHINE_MAX_DEVICES];
	unsigned n = 0;

	for (unsigned i = 0; i < m->config->nr_devices; i++)
		if (device_config_is_port(&m->config->devices[i]) == ports)
			order[n++] = &m->config->devices[i];
	qsort(order, n, sizeof(*order), by_address);
	for (unsigned i = 0; i < n; i++) {
		struct device_config *dev = order[i];
		struct machine_device *md = &m->devices[m->nr_devices];
		int err;

		md->config = dev;
		m->nr_devices++;
		if (dev->model->platform)
			err = platform_device_build(md, m->config, m->units[dev->iommu].hw);
		else
			err = machine_device_build(md, bridge_of(m, dev), m->units[dev->iommu].hw, is_multifunction(m, dev));
		if (err)
			return err;
	}
	return 0;
}

static int first_free_group(const struct machine *m)
{
	int group = 0;

	for (unsigned i = 0; i < m->nr_devices; i++)
		group = max(group, m->devices[i].config->group + 1);
	return group;
}

static int build_vfs_of(struct machine *m, struct machine_device *pf)
{
	unsigned offset, stride;
	const unsigned total = hw_sriov_total_vfs(pf->hw, &offset, &stride);
	const int group = first_free_group(m);

	for (unsigned i = 0; i < total; i++) {
		const int devid = pf->config->devid + (int)(offset + i * stride);
		char addr[ADDR_BYTES];
		int err;

		if (machine_config_find(m->config, devid))
			return fail(-EINVAL, "%s is where virtual function %u of %s comes: give one of them another addr",
				    devid_print(devid, addr), i, pf->pdev.dev.name);
		if (m->nr_devices == m->config->nr_devices + MACHINE_MAX_VFS)
			return fail(-EINVAL, "a machine has at most %u virtual functions", MACHINE_MAX_VFS);
		err = machine_device_build_vf(&m->devices[m->nr_devices++], pf, i, devid, group + (int)i,
					      m->units[pf->config->iommu].hw);
		if (err)
			return err;
	}
	return 0;
}

/* Those that a device could have, with the numbers of their groups: all processes must agree on these. */
static int build_vfs(struct machine *m)
{
	const unsigned physical = m->nr_devices;
	int err = 0;

	for (unsigned i = 0; i < physical && !err; i++)
		err = build_vfs_of(m, &m->devices[i]);
	return err;
}

static int build(struct machine *m)
{
	int err;

	m->devices = calloc(m->config->nr_devices + MACHINE_MAX_VFS, sizeof(*m->devices));
	if (!m->devices)
		return -ENOMEM;
	err = iommu_build(m);
	if (!err)
		err = modules_init();
	if (!err)
		err = allow_noiommu(m);
	if (!err)
		err = set_params(m);
	if (!err)
		err = build_devices(m, true);
	if (!err)
		err = build_devices(m, false);
	if (!err)
		err = build_vfs(m);
	return err;
}

/* The other way round; accepts what was built half.  The tree is closed: nothing on disk is touched. */
static void unbuild(struct machine *m)
{
	while (m->nr_devices)
		machine_device_destroy(&m->devices[--m->nr_devices]);
	modules_exit();
	pci_iommu_probe = NULL;
	platform_iommu_probe = NULL;
	mmu_notifier_register(NULL, NULL);
	iommu_exit(m);
	free(m->devices);
	m->devices = NULL;
}

/* ---- making -------------------------------------------------------------------------------- */

static char *absolute_path(const char *dir)
{
	char cwd[PATH_BYTES], *path;

	if (dir[0] == '/')
		return strdup(dir);
	if (sys_getcwd(cwd, sizeof(cwd)) < 0 || asprintf(&path, "%s/%s", cwd, dir) < 0)
		return NULL;
	return path;
}

static int make_stores(const char *dir)
{
	char path[PATH_BYTES];
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/stores", dir) >= sizeof(path))
		return fail(-ENAMETOOLONG, "the name of the machine's directory is too long");
	err = sys_mkdir(path, 0755);
	return err && err != -EEXIST ? fail(err, "%s: %s", path, strerror(-err)) : 0;
}

static int create_locked(struct machine *m, struct machine_config *cfg)
{
	int err = kernfs_open(m->dir, true);

	if (err)
		return err;
	err = make_stores(m->dir);
	kernfs_lock();
	m->config = cfg;
	if (!err)
		err = build(m);
	if (!err)
		err = machine_config_save(cfg, m->dir);
	kernfs_created();
	kernfs_close();
	unbuild(m);
	m->config = NULL;
	kernfs_unlock();
	return err;
}

int machine_create(const char *dir, struct machine_config *cfg)
{
	int err;

	mutex_lock(&lock);
	if (machine.dir) {
		err = fail(-EBUSY, "this process is on the machine in %s already", machine.dir);
		goto unlock;
	}
	err = machine_config_complete(cfg);
	if (err)
		goto unlock;
	machine.dir = absolute_path(dir);
	err = machine.dir ? create_locked(&machine, cfg) : -ENOMEM;
	free(machine.dir);
	machine.dir = NULL;
unlock:
	mutex_unlock(&lock);
	return err;
}

/* ---- attaching ----------------------------------------------------------------------------- */

void machine_container_by_iommufd(void)
{
	vfio_container_by_iommufd();
}

void machine_iommufd_test_enable(void)
{
	iommufd_test_enable();
}

int machine_attach_lazy(const char *dir)
{
	int err = 0;

	mutex_lock(&lock);
	if (machine.dir)
		err = fail(-EBUSY, "this process is on the machine in %s already", machine.dir);
	else if (!(machine.dir = absolute_path(dir)))
		err = -ENOMEM;
	mutex_unlock(&lock);
	return err;
}

static int load_config(struct machine *m)
{
	char file[PATH_BYTES];
	int err;

	if ((size_t)snprintf(file, sizeof(file), "%s/machine.ini", m->dir) >= sizeof(file))
		return fail(-ENAMETOOLONG, "the name of the machine's directory is too long");
	m->config = machine_config_new();
	if (!m->config)
		return -ENOMEM;
	err = machine_config_load(m->config, file);
	return err ? err : machine_config_complete(m->config);
}

static int attach_locked(struct machine *m)
{
	int err;

	if (!m->dir)
		return fail(-ENODEV, "this process is on no machine");
	err = load_config(m);
	if (err)
		goto err_free;
	err = kernfs_open(m->dir, false);
	if (err)
		goto err_free;
	kernfs_lock();
	kernfs_follow(true); /* what fails on the way is forgotten here, and stays in the tree for others */
	err = build(m);
	kernfs_follow(false);
	if (!err)
		device_tidy();
	if (err) {
		kernfs_close();
		unbuild(m);
	}
	kernfs_unlock();
	if (!err)
		return 0;
err_free:
	machine_config_free(m->config);
	m->config = NULL;
	return err;
}

/* What is built here is hardware and boot, not the call that came first: what is to fail in that fails later. */
int machine_attach(void)
{
	int saved = errno, err = 0;

	fault_inject_pause();
	if (atomic_load_explicit(&attached, memory_order_acquire)) {
		device_sync();
		goto out;
	}
	mutex_lock(&lock);
	if (!atomic_load(&attached)) {
		err = attach_locked(&machine);
		atomic_store(&attached, !err);
		if (!err)
			machine_control_start(machine.dir);
	}
	mutex_unlock(&lock);
out:
	fault_inject_resume();
	errno = saved;
	return err;
}

void machine_detach(void)
{
	mutex_lock(&lock);
	machine_control_stop();
	if (atomic_exchange(&attached, false)) {
		for (unsigned i = 0; i < machine.nr_devices; i++)
			machine_device_settle(&machine.devices[i]);
		kernfs_lock();
		kernfs_close();
		unbuild(&machine);
		kernfs_unlock();
		machine_config_free(machine.config);
		machine.config = NULL;
	}
	free(machine.dir);
	machine.dir = NULL;
	mutex_unlock(&lock);
}

bool machine_bar_at(u64 addr)
{
	const struct resource *res;
	unsigned region;
	u64 off;

	for (unsigned i = 0; i < machine.nr_devices; i++) {
		if (platform_device_answers(&machine.devices[i], addr, &region, &off))
			return true;
		res = machine.devices[i].pdev.resource;
		for (unsigned bar = 0; bar < PCI_STD_NUM_BARS; bar++)
			if (res[bar].size_bytes && (res[bar].flags & IORESOURCE_MEM) && addr >= res[bar].start &&
			    addr - res[bar].start < res[bar].size_bytes)
				return true;
	}
	return false;
}

bool machine_has_iommu(void)
{
	return atomic_load_explicit(&attached, memory_order_acquire) && machine.units[0].iommu;
}

const char *machine_dir(void)
{
	return machine.dir;
}

void machine_stats_get(struct machine_stats *ret)
{
	struct hw_stats s;

	memset(ret, 0, sizeof(*ret));
	if (!atomic_load_explicit(&attached, memory_order_acquire))
		return;
	for (unsigned i = 0; i < machine.nr_devices; i++) {
		hw_stats_get(machine.devices[i].hw, &s);
		ret->dma_read_bytes += s.dma_read_bytes;
		ret->dma_written_bytes += s.dma_written_bytes;
		ret->dma_faults += s.dma_faults;
		ret->interrupts += s.msi_sent + s.intx_raised;
		ret->bar_accesses += s.bar_reads + s.bar_writes;
		ret->injected += s.injected;
	}
}

/* ---- faults: on order, and as they happened --------------------------------------------------- */

static const char *device_name(const struct machine_device *md)
{
	return md->config->model->platform ? md->config->name : md->pdev.dev.name;
}

static int no_device(const char *name)
{
	char known[256] = "";
	size_t len = 0;

	for (unsigned i = 0; i < machine.nr_devices && len < sizeof(known); i++)
		if (!device_config_is_port(machine.devices[i].config))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
						device_name(&machine.devices[i]));
	return fail(-ENODEV, "there is no device \"%.32s\"; there are %s", name, len ? known : "none");
}

int machine_inject(const char *device, const char *text)
{
	if (!atomic_load_explicit(&attached, memory_order_acquire))
		return fail(-ENODEV, "this process has not touched its machine yet");
	for (unsigned i = 0; i < machine.nr_devices; i++)
		if (!strcmp(device_name(&machine.devices[i]), device))
			return hw_inject(machine.devices[i].hw, text, true);
	return no_device(device);
}

void machine_show_faults(struct show *out)
{
	char orders[1024];

	for (unsigned i = 0; i < machine.nr_devices; i++) {
		const struct machine_device *md = &machine.devices[i];

		if (hw_inject_open(md->hw, orders, sizeof(orders)))
			show(out, "inject %s %s\n", device_name(md), orders);
		if (hw_is_down(md->hw))
			show(out, "down %s\n", device_name(md));
	}
}

static void name_of_id(u16 devid, char *buf, size_t size)
{
	snprintf(buf, size, "id 0x%04x", devid);
	for (unsigned i = 0; i < machine.nr_devices; i++)
		if (machine.devices[i].config->devid == devid)
			snprintf(buf, size, "%s", device_name(&machine.devices[i]));
}

size_t machine_faults_get(struct machine_fault *ret, size_t max)
{
	struct hw_iommu_fault *faults = calloc(max + 1, sizeof(*faults));
	size_t n = 0;

	if (faults && atomic_load_explicit(&attached, memory_order_acquire))
		for (unsigned i = 0; i < machine.nr_units; i++)
			if (machine.units[i].hw)
				n += hw_iommu_faults(machine.units[i].hw, faults + n, max - n);
	for (size_t i = 0; i < n; i++) {
		memset(&ret[i], 0, sizeof(ret[i]));
		name_of_id(faults[i].devid, ret[i].device, sizeof(ret[i].device));
		ret[i].iova = faults[i].iova;
		ret[i].write = faults[i].write;
		hw_iommu_fault_describe(&faults[i], ret[i].text, sizeof(ret[i].text));
	}
	free(faults);
	return n;
}

/* ---- what killed programs left ------------------------------------------------------------- */

struct dirent64_head { /* linux_dirent64, getdents64(2) */
	u64 ino;
	s64 off;
	u16 reclen;
	u8 type;
	char name[];
};

static bool is_empty(const char *dir, const char *below)
{
	char path[PATH_BYTES], buf[512] __attribute__((aligned(8)));
	ssize_t n = 0;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, below) >= sizeof(path))
		return true;
	fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd >= 0) {
		n = sys_getdents64(fd, buf, sizeof(buf));
		sys_close(fd);
	}
	for (ssize_t at = 0; at < n; at += ((const struct dirent64_head *)(buf + at))->reclen)
		if (((const struct dirent64_head *)(buf + at))->name[0] != '.')
			return false;
	return true;
}

/* Somebody changes the tree, and may wait for a program to close a device. */
static bool is_locked(const char *dir)
{
	char path[PATH_BYTES];
	bool locked;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path))
		return true;
	fd = sys_open(path, O_RDWR | O_CLOEXEC, 0);
	locked = fd < 0 || sys_flock(fd, LOCK_EX | LOCK_NB);
	if (fd >= 0)
		sys_close(fd);
	return locked;
}

void machine_tidy(const char *dir)
{
	if ((is_empty(dir, "state.d/used") && is_empty(dir, "state.d/detaching") && is_empty(dir, "state.d/pci/leaving")) ||
	    is_locked(dir) || machine_attach_lazy(dir))
		return;
	machine_attach();
	machine_detach();
}

/* ---- removing ------------------------------------------------------------------------------ */

static void remove_tree(int parent_fd, const char *name);

static void remove_names(int fd, const char *buf, ssize_t len)
{
	for (ssize_t at = 0; at < len;) {
		const struct dirent64_head *d = (const void *)(buf + at);

		if (strcmp(d->name, ".") && strcmp(d->name, ".."))
			remove_tree(fd, d->name);
		at += d->reclen;
	}
}

/* A name with all below it; links are removed, never followed. */
static void remove_tree(int parent_fd, const char *name)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;
	int fd;

	if (!sys_unlinkat(parent_fd, name, 0))
		return;
	fd = sys_openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	while ((n = sys_getdents64(fd, buf, sizeof(buf))) > 0)
		remove_names(fd, buf, n);
	sys_close(fd);
	sys_unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void machine_destroy(const char *dir)
{
	remove_tree(AT_FDCWD, dir);
}
