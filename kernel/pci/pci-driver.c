/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci-driver.c - which driver fits which device: id tables, ids added at run time, driver_override.
 *
 * The rules, as Documentation/ABI/testing/sysfs-bus-pci tells them: a driver_override that is set
 * admits only the driver of that name, and that driver needs no id then; without one a device matches
 * by the driver's ids, run-time ids first.  Ids marked override_only count only with an override.
 *
 * Run-time ids (new_id) live in state.d/pci/<driver>.ids, one a line, so that all processes have them.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/pci/pci_internal.h"

struct pci_dynid {
	struct pci_device_id id;
	TAILQ_ENTRY(pci_dynid) node;
};

/* ---- matching ------------------------------------------------------------------------------ */

/* What ids are compared with: a device's, or those that a program wrote. */
struct pci_ident {
	u32 vendor, device, subvendor, subdevice, class;
};

static bool same_or_any(u32 wanted, u32 have)
{
	return wanted == PCI_ANY_ID || wanted == have;
}

static bool id_matches(const struct pci_device_id *id, const struct pci_ident *dev)
{
	return same_or_any(id->vendor, dev->vendor) && same_or_any(id->device, dev->device) &&
	       same_or_any(id->subvendor, dev->subvendor) && same_or_any(id->subdevice, dev->subdevice) &&
	       !((id->class ^ dev->class) & id->class_mask);
}

static bool is_id(const struct pci_device_id *id)
{
	return id->vendor || id->subvendor || id->class_mask;
}

static bool ids_match(struct pci_driver *drv, const struct pci_ident *dev, bool overridden)
{
	const struct pci_device_id *id = drv->driver.id_table;
	struct pci_dynid *dyn;

	TAILQ_FOREACH(dyn, &drv->dynids, node)
		if (id_matches(&dyn->id, dev))
			return true;
	for (; id && is_id(id); id++)
		if (id_matches(id, dev) && (overridden || !id->override_only))
			return true;
	return false;
}

static bool device_matches(struct pci_driver *drv, const struct pci_dev *pdev)
{
	const struct pci_ident ident = {pdev->vendor, pdev->device, pdev->subsystem_vendor,
					pdev->subsystem_device, pdev->class};

	return ids_match(drv, &ident, false);
}

int pci_bus_match(struct device *dev, struct device_driver *drv)
{
	if (dev->driver_override)
		return !strcmp(dev->driver_override, drv->name);
	return device_matches(to_pci_driver(drv), to_pci_dev(dev));
}

int pci_modalias(const struct pci_dev *pdev, char *buf, size_t size)
{
	return snprintf(buf, size, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", pdev->vendor, pdev->device,
			pdev->subsystem_vendor, pdev->subsystem_device, pdev->class >> 16 & 0xff,
			pdev->class >> 8 & 0xff, pdev->class & 0xff);
}

/* ---- ids added at run time ----------------------------------------------------------------- */

static void ids_path(const struct pci_driver *drv, char *path)
{
	snprintf(path, PCI_PATH_MAX, "state.d/pci/%s.ids", drv->driver.name);
}

static void drop_dynids(struct pci_driver *drv)
{
	struct pci_dynid *dyn;

	while ((dyn = TAILQ_FIRST(&drv->dynids))) {
		TAILQ_REMOVE(&drv->dynids, dyn, node);
		kfree(dyn);
	}
}

static int add_dynid(struct pci_driver *drv, const struct pci_device_id *id)
{
	struct pci_dynid *dyn = kzalloc(sizeof(*dyn));

	if (!dyn)
		return fail(-ENOMEM, "no memory for an id of %s", drv->driver.name);
	dyn->id = *id;
	TAILQ_INSERT_TAIL(&drv->dynids, dyn, node);
	return 0;
}

static int print_id(const struct pci_device_id *id, char *buf, size_t size)
{
	return snprintf(buf, size, "%x %x %x %x %x %x\n", id->vendor, id->device, id->subvendor,
			id->subdevice, id->class, id->class_mask);
}

static int save_dynids(struct pci_driver *drv)
{
	char path[PCI_PATH_MAX], *text = NULL;
	struct pci_dynid *dyn;
	size_t count = 0, size, len = 0;
	int err;

	TAILQ_FOREACH(dyn, &drv->dynids, node)
		count++;
	size = count * 64 + 1;
	text = kmalloc(size);
	if (!text)
		return fail(-ENOMEM, "no memory for the ids of %s", drv->driver.name);
	TAILQ_FOREACH(dyn, &drv->dynids, node)
		len += (size_t)print_id(&dyn->id, text + len, size - len);
	ids_path(drv, path);
	err = kernfs_write_state(path, text, len);
	kfree(text);
	return err;
}

static void load_dynids(struct pci_driver *drv)
{
	char path[PCI_PATH_MAX], *text, *at, *line;
	const size_t size = 64 * PAGE_SIZE;
	struct pci_device_id id = {0};
	ssize_t len;

	ids_path(drv, path);
	if (!kernfs_exists(path))
		return;
	text = kmalloc(size);
	len = text ? kernfs_read(path, text, size - 1) : -ENOMEM;
	if (len >= 0) {
		text[len] = '\0';
		drop_dynids(drv);
		for (at = text; (line = strsep(&at, "\n"));)
			if (sscanf(line, "%x %x %x %x %x %x", &id.vendor, &id.device, &id.subvendor,
				   &id.subdevice, &id.class, &id.class_mask) == 6)
				add_dynid(drv, &id);
	}
	kfree(text);
}

bool pci_bus_sync(struct bus_type *bus)
{
	struct device_driver *drv;

	TAILQ_FOREACH(drv, &bus->drivers, bus_node)
		load_dynids(to_pci_driver(drv));
	return pci_follow_removed();
}

/* Return: how many fields there were; the rest of @ret are defaults.  Linux's sscanf() takes no sign in hex. */
static int parse_id(const char *line, struct pci_device_id *ret, unsigned long *ret_driver_data)
{
	char text[128];

	snprintf(text, sizeof(text), "%s", line);
	text[strcspn(text, "+-")] = '\0';
	*ret = (struct pci_device_id){.subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID};
	*ret_driver_data = 0;
	return sscanf(text, "%x %x %x %x %x %x %lx", &ret->vendor, &ret->device, &ret->subvendor,
		      &ret->subdevice, &ret->class, &ret->class_mask, ret_driver_data);
}

static int too_few(const char *text)
{
	return fail(-EINVAL,
		    "\"%.40s\" is no id: vendor and device in hex, with a space between, as in \"8086 10d3\"",
		    text);
}

static int new_id(struct pci_driver *drv, const char *text)
{
	struct pci_device_id id;
	unsigned long driver_data;
	int fields = parse_id(text, &id, &driver_data), err;
	const struct pci_ident ident = {id.vendor, id.device, id.subvendor, id.subdevice, id.class};

	if (fields < 2)
		return too_few(text);
	if (fields != 7 && ids_match(drv, &ident, false))
		return fail(-EEXIST, "%s has an id that covers %04x:%04x already", drv->driver.name,
			    id.vendor, id.device);
	if (driver_data && drv->driver.id_table)
		return fail(-EINVAL, "no id of %s has driver data 0x%lx", drv->driver.name, driver_data);
	err = add_dynid(drv, &id);
	if (!err)
		err = save_dynids(drv);
	if (!err)
		driver_attach(&drv->driver);
	return err;
}

static ssize_t new_id_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_begin();

	if (err)
		return err;
	err = new_id(priv, buf);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

/* What remove_id names: fields that were left out stand for any. */
static bool id_is_meant(const struct pci_device_id *id, const struct pci_device_id *named)
{
	return id->vendor == named->vendor && id->device == named->device &&
	       same_or_any(named->subvendor, id->subvendor) && same_or_any(named->subdevice, id->subdevice) &&
	       !((id->class ^ named->class) & named->class_mask);
}

static int remove_id(struct pci_driver *drv, const char *text)
{
	struct pci_device_id id;
	unsigned long driver_data;
	struct pci_dynid *dyn;

	if (parse_id(text, &id, &driver_data) < 2)
		return too_few(text);
	TAILQ_FOREACH(dyn, &drv->dynids, node)
		if (id_is_meant(&dyn->id, &id))
			break;
	if (!dyn)
		return fail(-ENODEV, "%s has no id %04x:%04x that was added with new_id", drv->driver.name,
			    id.vendor, id.device);
	TAILQ_REMOVE(&drv->dynids, dyn, node);
	kfree(dyn);
	return save_dynids(drv);
}

static ssize_t remove_id_store(void *priv, const char *buf, size_t len)
{
	int err = device_store_begin();

	if (err)
		return err;
	err = remove_id(priv, buf);
	device_store_end(!err);
	return err ? err : (ssize_t)len;
}

static const struct kernfs_ops new_id_ops = {.store = new_id_store};
static const struct kernfs_ops remove_id_ops = {.store = remove_id_store};

int pci_add_driver_attrs(struct device_driver *drv)
{
	char path[PCI_PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/new_id", drv->name);
	err = kernfs_create_same(path, 0200, "", &new_id_ops, to_pci_driver(drv));
	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/remove_id", drv->name);
	return kernfs_create_same(path, 0200, "", &remove_id_ops, to_pci_driver(drv));
}

/* ---- registration -------------------------------------------------------------------------- */

static int driver_probe(struct device *dev)
{
	struct pci_driver *drv = to_pci_driver(dev->driver);

	return drv->probe ? drv->probe(to_pci_dev(dev)) : 0;
}

static void driver_remove(struct device *dev)
{
	struct pci_driver *drv = to_pci_driver(dev->driver);

	if (drv->remove)
		drv->remove(to_pci_dev(dev));
	pci_forget_messages(to_pci_dev(dev));
}

int pci_register_driver(struct pci_driver *drv)
{
	int err;

	drv->driver.bus = &pci_bus_type;
	drv->driver.probe = driver_probe;
	drv->driver.remove = driver_remove;
	TAILQ_INIT(&drv->dynids);
	load_dynids(drv);
	err = driver_register(&drv->driver);
	if (err)
		drop_dynids(drv);
	return err;
}

void pci_unregister_driver(struct pci_driver *drv)
{
	driver_unregister(&drv->driver);
	drop_dynids(drv);
}

/* ---- the bus ------------------------------------------------------------------------------- */

static int dma_configure(struct device *dev, struct device_driver *drv)
{
	if (drv->driver_managed_dma || !dev->iommu_group)
		return 0;
	return iommu_device_use_default_domain(dev);
}

static void dma_cleanup(struct device *dev, struct device_driver *drv)
{
	if (!drv->driver_managed_dma && dev->iommu_group)
		iommu_device_unuse_default_domain(dev);
}

/* Virtual functions go first: their locks are of the same rank as their physical function's. */
static void detaching(struct device *dev)
{
	pci_disable_sriov(to_pci_dev(dev));
}

static int uevent(struct device *dev, char *buf, size_t size)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	char modalias[96];

	pci_modalias(pdev, modalias, sizeof(modalias));
	return snprintf(buf, size,
			"PCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
			"PCI_SLOT_NAME=%s\nMODALIAS=%s\n",
			pdev->class, pdev->vendor, pdev->device, pdev->subsystem_vendor,
			pdev->subsystem_device, dev->name, modalias);
}

struct bus_type pci_bus_type = {
	.name = "pci",
	.match = pci_bus_match,
	.add_driver_attrs = pci_add_driver_attrs,
	.add_device_attrs = pci_add_device_attrs,
	.dma_configure = dma_configure,
	.dma_cleanup = dma_cleanup,
	.detaching = detaching,
	.uevent = uevent,
	.sync = pci_bus_sync,
	.tidy = pci_bus_tidy,
	.control_changed = pci_control_changed,
	.rescan = pci_rescan_bus,
};

static ssize_t alignment_store(void *priv, const char *buf, size_t len)
{
	int err = kernfs_write("sys/bus/pci/resource_alignment", buf, len);

	explain_note("resource_alignment is remembered, but addresses were given already");
	return err ? err : (ssize_t)len;
}

int pci_bus_init(void)
{
	static const struct kernfs_ops alignment_ops = {.store = alignment_store};
	int err;

	kernfs_assert_locked();
	pci_space_init();
	err = bus_register(&pci_bus_type);
	if (err)
		return err;
	err = pci_host_bridge_init();
	if (!err)
		err = kernfs_create_dir("sys/bus/pci/slots");
	if (!err)
		err = kernfs_create_file("sys/bus/pci/resource_alignment", 0644, "", 0, &alignment_ops, NULL);
	if (err)
		bus_unregister(&pci_bus_type);
	return err;
}

/* ---- stand-ins for kernel drivers ---------------------------------------------------------- */

/* Takes a device so that user space cannot, and moves no data. */
struct host_driver {
	struct pci_driver pci;
	char *name;
	struct pci_device_id *ids;
	TAILQ_ENTRY(host_driver) node;
};

/* Under the tree lock. */
static TAILQ_HEAD(, host_driver) host_drivers = TAILQ_HEAD_INITIALIZER(host_drivers);

static int host_probe(struct pci_dev *pdev)
{
	int err;

	/* What driver_override leads to it, and it does not know: a real driver finds out by its registers. */
	if (!device_matches(to_pci_driver(pdev->dev.driver), pdev))
		return fail(-ENODEV, "%s is no device that %s drives", pdev->dev.name, pdev->dev.driver->name);
	err = pci_enable_device(pdev);
	if (!err && pci_is_bridge(pdev))
		pci_set_master(pdev); /* or nothing behind it could do DMA */
	return err;
}

static void host_remove(struct pci_dev *pdev)
{
	pci_disable_device(pdev);
}

static void host_free(struct host_driver *host)
{
	kfree(host->name);
	kfree(host->ids);
	kfree(host);
}

int pci_host_driver_register(const char *name, const struct pci_device_id *ids)
{
	struct host_driver *host = kzalloc(sizeof(*host));
	size_t count = 1;
	int err;

	for (const struct pci_device_id *id = ids; id && is_id(id); id++)
		count++;
	if (host) {
		host->name = kstrdup(name);
		host->ids = kcalloc(count, sizeof(*ids));
	}
	if (!host || !host->name || !host->ids) {
		err = fail(-ENOMEM, "no memory for the driver %s", name);
		goto err_free;
	}
	memcpy(host->ids, ids, (count - 1) * sizeof(*ids));
	host->pci.driver.name = host->name;
	host->pci.driver.id_table = host->ids;
	/* As on Linux, where a bridge with its driver does not spoil its group for user space. */
	host->pci.driver.driver_managed_dma = !strcmp(name, "pcieport");
	host->pci.probe = host_probe;
	host->pci.remove = host_remove;
	err = pci_register_driver(&host->pci);
	if (err)
		goto err_free;
	TAILQ_INSERT_TAIL(&host_drivers, host, node);
	return 0;

err_free:
	if (host)
		host_free(host);
	return err;
}

void pci_bus_exit(void)
{
	struct host_driver *host;

	kernfs_assert_locked();
	while ((host = TAILQ_FIRST(&host_drivers))) {
		TAILQ_REMOVE(&host_drivers, host, node);
		pci_unregister_driver(&host->pci);
		host_free(host);
	}
	bus_unregister(&pci_bus_type);
}
