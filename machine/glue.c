/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * glue.c - the ops tables by which kernel and hardware call each other.
 *
 * Neither includes the other's headers; this file includes both and converts.  Most of it is shape:
 * the one thing that is decided here is which device answers for a bus address (peer to peer DMA):
 * the one whose BAR register holds it, as hardware would have it, with memory decoding on.
 */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "kernel/fs/file.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "machine/machine_priv.h"

_Static_assert((int)HW_PAGE_TRAPPED == (int)PCI_PAGE_TRAPPED && (int)HW_PAGE_DIRECT == (int)PCI_PAGE_DIRECT &&
	       (int)HW_PAGE_READ_DIRECT == (int)PCI_PAGE_READ_DIRECT,
	       "kinds of pages are the same on both sides");
_Static_assert((int)HW_AER_CORRECTABLE == (int)PCI_AER_CORRECTABLE &&
		       (int)HW_AER_NONFATAL == (int)PCI_AER_NONFATAL && (int)HW_AER_FATAL == (int)PCI_AER_FATAL,
	       "and how bad errors are");
_Static_assert(HW_ROM_BAR == PCI_ROM_RESOURCE && HW_VGA_BAR == PCI_LEGACY_VGA, "so are the indices of ROM and VGA");

/* ---- a device as the PCI bus sees it --------------------------------------------------------- */

static enum pci_page_kind bar_page(void *hw, unsigned bar, u64 off, int *ret_fd, u64 *ret_fd_off,
				   u64 *ret_len)
{
	return (enum pci_page_kind)hw_bar_page(hw, bar, off, ret_fd, ret_fd_off, ret_len);
}

_Static_assert(sizeof(struct pci_log_range) == sizeof(struct hw_log_range) &&
	       offsetof(struct pci_log_range, length) == offsetof(struct hw_log_range, length),
	       "ranges of the log have the same shape on both sides");

static int log_start(void *hw, const struct pci_log_range *ranges, u32 count, u64 *page_size)
{
	return hw_log_start(hw, (const struct hw_log_range *)ranges, count, page_size);
}

static const struct pci_hw_migration_ops migration_ops = {
	.can_migrate = hw_can_migrate,
	.quiesce = hw_quiesce,
	.forget = hw_forget,
	.save_head = hw_save_head,
	.save_state = hw_save_state,
	.save_size = hw_save_size,
	.load_check = hw_load_check,
	.load_state = hw_load_state,
	.log_start = log_start,
	.log_stop = hw_log_stop,
	.log_end = hw_log_end,
	.log_read_and_clear = hw_log_read_and_clear,
};

const struct pci_hw_ops machine_pci_hw_ops = {
	.config_read = hw_config_read,
	.config_write = hw_config_write,
	.bar_read = hw_bar_read,
	.bar_write = hw_bar_write,
	.bar_page = bar_page,
	.reset = hw_reset,
	.migration = &migration_ops,
};

/* ---- the host as a device sees it; host is its struct machine_device ------------------------- */

static void host_msi(void *host, u64 addr, u32 data)
{
	pci_msi_receive(addr, data);
}

static void host_intx(void *host, bool asserted)
{
	struct machine_device *md = host;

	if (asserted)
		pci_intx_receive(&md->pdev);
}

static void host_aer(void *host, enum hw_aer_severity severity, u32 status)
{
	struct machine_device *md = host;

	pci_aer_receive(&md->pdev, (enum pci_aer_severity)severity, status);
}

static void host_wire(void *host, unsigned wire)
{
	struct machine_device *md = host;

	platform_irq_receive(&md->plat, wire);
}

static int host_store_open(void *host, const char *name, u64 size_bytes)
{
	struct machine_device *md = host;
	char path[4096], addr[ADDR_BYTES];
	struct stat st;
	int fd, err;

	if ((size_t)snprintf(path, sizeof(path), "%s/stores/%s-%s", machine_dir(),
			     md->config->name ? md->config->name : devid_print(md->config->devid, addr),
			     name) >= sizeof(path))
		return fail(-ENAMETOOLONG, "the name of a file of a device is too long: %s", name);
	fd = sys_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail(fd, "%s: %s", path, strerror(-fd));
	err = sys_fstat(fd, &st);
	if (!err && (u64)st.st_size != size_bytes)
		err = sys_ftruncate(fd, (off_t)size_bytes);
	if (err) {
		sys_close(fd);
		return fail(err, "%s cannot be made %llu bytes long: %s", path,
			    (unsigned long long)size_bytes, strerror(-err));
	}
	return fd;
}

static int host_hide_fd(void *host, int fd)
{
	int hidden = fd_private(fd);

	return hidden < 0 ? fd : hidden;
}

static void host_close_fd(void *host, int fd)
{
	if (fd_is_private(fd))
		fd_private_close(fd);
	else
		sys_close(fd);
}

static void host_explain(void *host, const char *text)
{
	explain_event("%s", text);
}

static void host_pages_changed(void *host)
{
	struct machine_device *md = host;

	if (!md->config->model->platform)
		pci_bar_pages_changed(&md->pdev);
}

static void host_link_changed(void *host, bool up)
{
	struct machine_device *md = host;
	struct pci_dev *port = md->pdev.bridge; /* NULL for a platform device */

	if (port)
		hw_link_set(port->hw, up);
}

static void *remover(void *arg)
{
	struct machine_device *md = arg;

	pci_surprise_remove(&md->pdev);
	atomic_store(&md->removing, false);
	return NULL;
}

/* The kernel waits until the driver has let go; whoever told us has the device open, perhaps. */
static void host_removed(void *host)
{
	struct machine_device *md = host;

	if (md->config->model->platform) {
		explain_event("%s: nothing can be pulled out of a platform bus: it is dead, but still there", md->config->name);
		return;
	}
	if (!md->added || atomic_exchange(&md->removing, true))
		return;
	machine_device_settle(md); /* an earlier one, which is over */
	md->has_remover = !kthread_run(&md->remover, "pci-hotplug", remover, md);
	if (md->has_remover)
		return;
	atomic_store(&md->removing, false);
	explain_event("%s: no thread to take it out of the tree: it is dead, but still there", md->pdev.dev.name);
}

const struct hw_host_ops machine_host_ops = {
	.msi = host_msi,
	.intx = host_intx,
	.aer = host_aer,
	.wire = host_wire,
	.store_open = host_store_open,
	.hide_fd = host_hide_fd,
	.close_fd = host_close_fd,
	.explain = host_explain,
	.pages_changed = host_pages_changed,
	.link_changed = host_link_changed,
	.removed = host_removed,
};

/* ---- the IOMMU ------------------------------------------------------------------------------- */

/*
 * Without an IOMMU: the BARs where firmware put them, and everywhere else the program's memory, whose
 * physical addresses are its own.  Kernel memory is nowhere.
 */
static u64 resolve(u64 page)
{
	return machine_bar_at(page) ? (u64)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT | page : bus_to_phys(page);
}

const struct hw_bus_ops machine_bus_ops = {
	.read = phys_read,
	.write = phys_write,
	.host_ptr = phys_host_ptr,
	.copy = guard_copy,
	.host_range = phys_host_range,
	.load64 = guard_load64,
	.cmpxchg64 = guard_cmpxchg64,
	.copy_pinned = phys_copy_pinned,
	.resolve = resolve,
};

/* Pinned pages move: no DMA meanwhile, of no unit. */
static void stop_dma(void *machine)
{
	struct machine *m = machine;

	for (unsigned i = 0; i < m->nr_units; i++)
		hw_iommu_hold(m->units[i].hw);
}

static void resume_dma(void *machine)
{
	struct machine *m = machine;

	for (unsigned i = m->nr_units; i > 0; i--)
		hw_iommu_let_go(m->units[i - 1].hw);
}

const struct mmu_notifier_ops machine_mmu_notifier_ops = {
	.invalidate_start = stop_dma,
	.invalidate_end = resume_dma,
};

/* ---- page requests -------------------------------------------------------------------------- */

static struct device *device_of(struct machine_unit *unit, u16 devid)
{
	struct machine *m = unit->machine;

	for (unsigned i = 0; i < m->nr_devices; i++) {
		struct machine_device *md = &m->devices[i];

		if (md->config->devid == devid && &m->units[md->config->iommu] == unit)
			return md->config->model->platform ? &md->plat.dev : &md->pdev.dev;
	}
	return NULL;
}

int machine_page_request(void *unit, const struct hw_page_request *from)
{
	struct device *dev = device_of(unit, from->devid);
	struct iommu_page_request request = {
		.flags = (from->pasid == HW_NO_PASID ? 0 : IOMMU_FAULT_PASID_VALID) |
			 (from->last ? IOMMU_FAULT_LAST_PAGE : 0),
		.pasid = from->pasid,
		.grpid = from->grpid,
		.perm = (from->access & HW_PAGE_READ ? IOMMU_FAULT_PERM_READ : 0) |
			(from->access & HW_PAGE_WRITE ? IOMMU_FAULT_PERM_WRITE : 0) |
			(from->access & HW_PAGE_EXEC ? IOMMU_FAULT_PERM_EXEC : 0) |
			(from->privileged ? IOMMU_FAULT_PERM_PRIV : 0),
		.addr = from->iova,
	};

	return dev ? iommu_report_page_request(dev, &request) : -ENODEV;
}

/* ---- bus addresses: who answers? ------------------------------------------------------------- */

/* The address that the BAR's registers hold now; false if it is I/O or not there. */
static bool bar_address(struct machine_device *md, unsigned bar, u64 *ret)
{
	const struct resource *res = &md->pdev.resource[bar];
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * bar;

	if (!res->size_bytes || !(res->flags & IORESOURCE_MEM))
		return false;
	*ret = res->start;
	if (md->pdev.physfn)
		return md->pdev.present; /* it has no such register; hardware asks its physical function */
	*ret = hw_config_read(md->hw, reg, 4) & (u32)PCI_BASE_ADDRESS_MEM_MASK;
	if (res->flags & IORESOURCE_MEM_64)
		*ret |= (u64)hw_config_read(md->hw, reg + 4, 4) << 32;
	return true;
}

static bool device_answers(struct machine_device *md, u64 addr, unsigned *ret_bar, u64 *ret_off)
{
	u64 start;

	if (md->config->model->platform)
		return platform_device_answers(md, addr, ret_bar, ret_off);
	if (!md->pdev.physfn && !(hw_config_read(md->hw, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY))
		return false;
	for (unsigned bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (!bar_address(md, bar, &start) || addr < start ||
		    addr - start >= md->pdev.resource[bar].size_bytes)
			continue;
		*ret_bar = bar;
		*ret_off = addr - start;
		return true;
	}
	return false;
}

static struct machine_device *who_answers(struct machine *m, u64 addr, unsigned *ret_bar, u64 *ret_off)
{
	for (unsigned i = 0; i < m->nr_devices; i++)
		if (m->devices[i].added && device_answers(&m->devices[i], addr, ret_bar, ret_off))
			return &m->devices[i];
	return NULL;
}

static u64 bar_bytes(const struct machine_device *md, unsigned bar)
{
	return md->config->model->platform ? md->plat.resource[bar].size_bytes : md->pdev.resource[bar].size_bytes;
}

static u64 bytes_to_value(const u8 *bytes, unsigned len)
{
	u64 val = 0;

	for (unsigned i = len; i > 0; i--)
		val = val << 8 | bytes[i - 1];
	return val;
}

static void value_to_bytes(u64 val, u8 *bytes, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		bytes[i] = (u8)(val >> 8 * i);
}

/* The largest naturally aligned access at the head of [off, off+len). */
static unsigned access_len(u64 off, u64 len)
{
	unsigned n = 8;

	while (n > len || !IS_ALIGNED(off, (u64)n))
		n /= 2;
	return n;
}

static int mmio_access(struct machine *m, u64 addr, u8 *buf, size_t len, bool write)
{
	struct machine_device *md;
	unsigned bar, n;
	u64 off, left;

	while (len) {
		md = who_answers(m, addr, &bar, &off);
		if (!md)
			return -EFAULT;
		left = min((u64)len, bar_bytes(md, bar) - off);
		for (u64 done = 0; done < left; done += n) {
			n = access_len(off + done, left - done);
			if (write)
				hw_bar_write(md->hw, bar, off + done, n, bytes_to_value(buf + done, n));
			else
				value_to_bytes(hw_bar_read(md->hw, bar, off + done, n), buf + done, n);
		}
		buf += left;
		addr += left;
		len -= left;
	}
	return 0;
}

static int mmio_read(void *ctx, u64 addr, void *buf, size_t len)
{
	return mmio_access(ctx, addr, buf, len, false);
}

static int mmio_write(void *ctx, u64 addr, const void *buf, size_t len)
{
	return mmio_access(ctx, addr, (u8 *)(uintptr_t)buf, len, true);
}

const struct phys_slot_ops machine_mmio_ops = {.read = mmio_read, .write = mmio_write};
