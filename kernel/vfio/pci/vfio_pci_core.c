/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_core.c - a PCI device that a program has open.
 *
 * What happens at the first open and the last close, and what the device's descriptor answers: info,
 * regions by offset (region i begins at i << 40), interrupts, reset.
 *
 * Opening leaves the device as if it had just been switched on: reset if it can be, decoding on, bus
 * mastering off.  Its config space is saved then, and put back at the last close, so that a driver that
 * binds next finds it as it was.
 */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/vma.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define VGA_REGION_BYTES 0xc0000 /* up to the end of its memory */

/* ---- open and close -------------------------------------------------------------------------- */

unsigned vfio_pci_get_irq_count(struct vfio_pci_core_device *vdev, unsigned index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return vdev->pdev->pin ? 1 : 0;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return pci_msi_vec_count(vdev->pdev);
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return pci_msix_vec_count(vdev->pdev);
	case VFIO_PCI_ERR_IRQ_INDEX: /* of conventional devices too, since Linux 7.3 */
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

static void find_msix_table(struct vfio_pci_core_device *vdev)
{
	const unsigned pos = vdev->pdev->msix_cap;
	u32 table = 0;

	vdev->msix_bar = -1;
	if (!pos || pci_read_config_dword(vdev->pdev, pos + PCI_MSIX_TABLE, &table))
		return;
	vdev->msix_bar = (int)(table & PCI_MSIX_TABLE_BIR);
	vdev->msix_table_off = table & PCI_MSIX_TABLE_OFFSET;
	vdev->msix_table_bytes = (u64)pci_msix_vec_count(vdev->pdev) * PCI_MSIX_ENTRY_SIZE;
}

static void reset_at_open(struct vfio_pci_core_device *vdev)
{
	vdev->reset_works = pci_reset_supported(vdev->pdev);
	if (vdev->reset_works && pci_reset_function(vdev->pdev))
		explain_event("%s: the reset at open failed: the device is as its last user left it",
			      vfio_pci_name(vdev));
}

static int enable(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	vdev->slept = atomic_load(&pdev->asleep);
	pci_set_asleep(pdev, false);
	pci_clear_master(pdev);
	ret = pci_enable_device(pdev);
	if (ret) {
		fail(ret, "%s cannot be enabled", vfio_pci_name(vdev));
		goto err_sleep;
	}
	reset_at_open(vdev);
	pci_intx(pdev, true);
	ret = pci_save_state(pdev, &vdev->pristine);
	if (ret) {
		fail(ret, "no memory for the state of %s", vfio_pci_name(vdev));
		goto err_disable;
	}
	ret = vfio_pci_config_init(vdev);
	if (ret)
		goto err_free_state;
	pci_show_power(pdev);
	return 0;

err_free_state:
	kfree(vdev->pristine.bytes);
	vdev->pristine = (struct pci_saved_state){ 0 };
err_disable:
	pci_disable_device(pdev);
err_sleep:
	pci_set_asleep(pdev, vdev->slept);
	return ret;
}

/* A parameter of the module vfio_pci. */
static bool module_says(const char *param)
{
	char path[96], answer = 'N';

	snprintf(path, sizeof(path), "sys/module/vfio_pci/parameters/%s", param);
	kernfs_read(path, &answer, 1);
	return answer == 'Y';
}

static int vfio_pci_open_device(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);
	int ret = enable(vdev);

	if (ret)
		return ret;
	find_msix_table(vdev);
	vdev->has_vga = pci_is_vga(vdev->pdev) && !module_says("disable_vga");
	vfio_pci_probe_mmaps(vdev);
	vfio_pci_memory_lock(vdev);
	vfio_pci_gate_update(vdev);
	vfio_pci_memory_unlock(vdev);
	vfio_pci_token_user(vdev, 1);
	return 0;
}

/* Without a reset of its own the device waits for one of its bus (vfio_pci_dev_set_try_reset). */
static void disable(struct vfio_pci_core_device *vdev)
{
	vfio_pci_memory_lock(vdev);
	vfio_pci_gate_close(vdev);
	vfio_pci_dma_bufs_cleanup(vdev);
	pci_disable_device(vdev->pdev);
	pci_restore_state(vdev->pdev, &vdev->pristine);
	vdev->pristine = (struct pci_saved_state){ 0 };
	pci_set_asleep(vdev->pdev, vdev->slept);
	vdev->needs_reset = !vdev->reset_works || pci_reset_function(vdev->pdev);
	vfio_pci_memory_unlock(vdev);
	pci_show_power(vdev->pdev);
}

static void vfio_pci_close_device(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);

	vfio_pci_token_user(vdev, -1);
	mutex_lock(&vdev->igate);
	vfio_pci_intrs_disable(vdev);
	vfio_pci_ioeventfds_free(vdev);
	mutex_unlock(&vdev->igate);
	vfio_pci_pm_release(vdev);
	disable(vdev);
	if (vdev->closed)
		vdev->closed(vdev);
	vfio_pci_config_free(vdev);
	vfio_pci_dev_set_try_reset(vdev);
}

/* ---- info ------------------------------------------------------------------------------------ */

/* What the port above completes of AtomicOps; nothing to say if it does none.  0; -ENOMEM. */
static int add_atomic_cap(struct vfio_pci_core_device *vdev, struct vfio_device_info *info, struct vfio_info_cap *caps)
{
	static const struct { u32 port, flag; } widths[] = {
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP32, VFIO_PCI_ATOMIC_COMP32 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP64, VFIO_PCI_ATOMIC_COMP64 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP128, VFIO_PCI_ATOMIC_COMP128 },
	};
	struct vfio_device_info_cap_pci_atomic_comp cap = {
		.header = { .id = VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, .version = 1 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++)
		if (!pci_enable_atomic_ops_to_root(vdev->pdev, widths[i].port))
			cap.flags |= widths[i].flag;
	if (!cap.flags)
		return 0;
	info->flags |= VFIO_DEVICE_FLAGS_CAPS;
	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static long get_info(struct vfio_pci_core_device *vdev, void __user *arg)
{
	const size_t minsz = offsetof(struct vfio_device_info, cap_offset);
	struct vfio_info_cap caps = { 0 };
	struct vfio_device_info info = { 0 };
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return fail(-EFAULT, "struct vfio_device_info at %p cannot be read", arg);
	if (info.argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_device_info has at least %zu bytes",
			    info.argsz, minsz);
	info.flags = VFIO_DEVICE_FLAGS_PCI | (vdev->reset_works ? VFIO_DEVICE_FLAGS_RESET : 0);
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	ret = add_atomic_cap(vdev, &info, &caps);
	if (ret)
		return ret;
	return vfio_info_cap_finish(arg, &info, sizeof(info), info.argsz, &info.argsz, &info.cap_offset,
				    &caps);
}

/* For programs that cannot be trapped: the direct pages alone; without any, no MMAP flag either. */
static int add_sparse_areas(struct vfio_pci_core_device *vdev, struct vfio_region_info *info,
			    struct vfio_info_cap *caps)
{
	const unsigned count = vfio_pci_direct_areas(vdev, info->index, NULL, 0);
	struct vfio_region_info_cap_sparse_mmap *sparse;
	const size_t size = sizeof(*sparse) + count * sizeof(sparse->areas[0]);
	int ret;

	if (!count) {
		info->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
		return 0;
	}
	sparse = kzalloc(size);
	if (!sparse)
		return fail(-ENOMEM, "no memory for a list of %u areas", count);
	sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->header.version = 1;
	sparse->nr_areas = vfio_pci_direct_areas(vdev, info->index, sparse->areas, count);
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	ret = vfio_info_add_capability(caps, &sparse->header, size);
	kfree(sparse);
	return ret;
}

static int bar_info(struct vfio_pci_core_device *vdev, struct vfio_region_info *info,
		    struct vfio_info_cap *caps)
{
	const struct vfio_info_cap_header msix = { .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, .version = 1 };

	info->size = vdev->pdev->resource[info->index].size_bytes;
	if (!info->size)
		return 0;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!vdev->bar_mmap_supported[info->index])
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (vma_no_trap)
		return add_sparse_areas(vdev, info, caps);
	if (vdev->msix_bar != (int)info->index)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	return vfio_info_add_capability(caps, &msix, sizeof(msix));
}

static int fill_region_info(struct vfio_pci_core_device *vdev, struct vfio_region_info *info,
			    struct vfio_info_cap *caps)
{
	info->offset = VFIO_PCI_INDEX_TO_OFFSET(info->index);
	info->flags = 0;
	info->size = 0;
	switch (info->index) {
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		return bar_info(vdev, info, caps);
	case VFIO_PCI_ROM_REGION_INDEX:
		info->size = vdev->pdev->resource[PCI_ROM_RESOURCE].size_bytes;
		info->flags = info->size ? VFIO_REGION_INFO_FLAG_READ : 0;
		return 0;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		info->size = vdev->pdev->cfg_size;
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	case VFIO_PCI_VGA_REGION_INDEX:
		if (!vdev->has_vga)
			return fail(-EINVAL, "%s is no VGA device", vfio_pci_name(vdev));
		info->size = VGA_REGION_BYTES;
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	default:
		return fail(-EINVAL, "region %u: the device has %u", info->index, VFIO_PCI_NUM_REGIONS);
	}
}

static long get_region_info(struct vfio_pci_core_device *vdev, void __user *arg)
{
	struct vfio_info_cap caps = { 0 };
	struct vfio_region_info info;
	int ret;

	if (copy_from_user(&info, arg, sizeof(info)))
		return fail(-EFAULT, "struct vfio_region_info at %p cannot be read", arg);
	if (info.argsz < sizeof(info))
		return fail(-EINVAL, "argsz is %u, struct vfio_region_info has %zu bytes", info.argsz,
			    sizeof(info));
	ret = fill_region_info(vdev, &info, &caps);
	if (ret)
		return ret;
	return vfio_info_cap_finish(arg, &info, sizeof(info), info.argsz, &info.argsz, &info.cap_offset,
				    &caps);
}

static u32 irq_flags(struct vfio_pci_core_device *vdev, unsigned index)
{
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	if (index == VFIO_PCI_MSIX_IRQ_INDEX && vdev->pdev->msix_cap)
		return VFIO_IRQ_INFO_EVENTFD; /* vectors may be added one by one */
	return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
}

static long get_irq_info(struct vfio_pci_core_device *vdev, void __user *arg)
{
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, sizeof(info)))
		return fail(-EFAULT, "struct vfio_irq_info at %p cannot be read", arg);
	if (info.argsz < sizeof(info))
		return fail(-EINVAL, "argsz is %u, struct vfio_irq_info has %zu bytes", info.argsz,
			    sizeof(info));
	if (info.index >= VFIO_PCI_NUM_IRQS)
		return fail(-EINVAL, "irq index %u: the device has %u", info.index, VFIO_PCI_NUM_IRQS);
	info.flags = irq_flags(vdev, info.index);
	info.count = vfio_pci_get_irq_count(vdev, info.index);
	if (copy_to_user(arg, &info, sizeof(info)))
		return fail(-EFAULT, "struct vfio_irq_info at %p cannot be written", arg);
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static long set_irqs_locked(struct vfio_pci_core_device *vdev, const struct vfio_irq_set *hdr,
			    const void *data)
{
	long ret;

	mutex_lock(&vdev->igate);
	ret = vfio_pci_set_irqs(vdev, hdr->flags, hdr->index, hdr->start, hdr->count, data);
	mutex_unlock(&vdev->igate);
	return ret;
}

static long set_irqs(struct vfio_pci_core_device *vdev, char __user *arg)
{
	const size_t minsz = offsetof(struct vfio_irq_set, data);
	struct vfio_irq_set hdr;
	void *data = NULL;
	size_t data_size;
	long ret;

	if (copy_from_user(&hdr, arg, minsz))
		return fail(-EFAULT, "struct vfio_irq_set at %p cannot be read", arg);
	ret = vfio_set_irqs_validate_and_prepare(&hdr, vfio_pci_get_irq_count(vdev, hdr.index),
						 VFIO_PCI_NUM_IRQS, &data_size);
	if (ret)
		return ret;
	if (data_size) {
		data = kmalloc(data_size);
		if (!data)
			return fail(-ENOMEM, "no memory for %zu bytes of interrupt data", data_size);
		if (copy_from_user(data, arg + minsz, data_size)) {
			kfree(data);
			return fail(-EFAULT, "%zu bytes of data at %p cannot be read", data_size,
				    arg + minsz);
		}
	}
	ret = set_irqs_locked(vdev, &hdr, data);
	kfree(data);
	return ret;
}

static long ioeventfd(struct vfio_pci_core_device *vdev, void __user *arg)
{
	const size_t minsz = offsetof(struct vfio_device_ioeventfd, fd) + sizeof(__s32);
	struct vfio_device_ioeventfd req;
	u32 size;

	if (copy_from_user(&req, arg, minsz))
		return fail(-EFAULT, "struct vfio_device_ioeventfd at %p cannot be read", arg);
	if (req.argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_device_ioeventfd has at least %zu bytes",
			    req.argsz, minsz);
	if (req.flags & ~VFIO_DEVICE_IOEVENTFD_SIZE_MASK)
		return fail(-EINVAL, "flags %#x: bits %#x are unknown", req.flags,
			    req.flags & ~VFIO_DEVICE_IOEVENTFD_SIZE_MASK);
	size = req.flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK; /* each bit is the size that it means */
	if (!size || size & (size - 1))
		return fail(-EINVAL, "flags %#x: exactly one size is needed", req.flags);
	if (req.fd < -1)
		return fail(-EINVAL, "descriptor %d: -1 removes, other negative numbers mean nothing",
			    req.fd);
	return vfio_pci_ioeventfd(vdev, req.offset, req.data, size, req.fd);
}

static long vfio_pci_ioctl(struct vfio_device *core_vdev, unsigned int cmd, unsigned long arg)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);
	void __user *uarg = (void __user *)arg;

	vfio_pci_pm_resume(vdev);
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(vdev, uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(vdev, uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(vdev, uarg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(vdev, uarg);
	case VFIO_DEVICE_RESET:
		return vfio_pci_reset(vdev);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return vfio_pci_hot_reset_info(vdev, uarg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return vfio_pci_hot_reset(vdev, uarg);
	case VFIO_DEVICE_IOEVENTFD:
		return ioeventfd(vdev, uarg);
	default:
		return fail(-ENOTTY, "request %#x is not for a PCI device", cmd);
	}
}

/* ---- reading and writing --------------------------------------------------------------------- */

static ssize_t region_rw(struct vfio_pci_core_device *vdev, char __user *buf, size_t count, u64 pos,
			 bool write)
{
	const u64 index = VFIO_PCI_OFFSET_TO_INDEX(pos), off = pos & VFIO_PCI_OFFSET_MASK;

	if (!count)
		return 0;
	vfio_pci_pm_resume(vdev);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return vfio_pci_config_rw(vdev, buf, count, off, write);
	if (index == VFIO_PCI_VGA_REGION_INDEX)
		return vfio_pci_vga_rw(vdev, buf, count, off, write);
	if (index >= VFIO_PCI_NUM_REGIONS)
		return fail(-EINVAL, "offset 0x%llx lies in region %llu: the device has %u",
			    (unsigned long long)pos, (unsigned long long)index, VFIO_PCI_NUM_REGIONS);
	return vfio_pci_bar_rw(vdev, (unsigned)index, buf, count, off, write);
}

static ssize_t vfio_pci_read(struct vfio_device *core_vdev, char __user *buf, size_t count, u64 *pos)
{
	ssize_t ret = region_rw(to_core(core_vdev), buf, count, *pos, false);

	if (ret > 0)
		*pos += (u64)ret;
	return ret;
}

static ssize_t vfio_pci_write(struct vfio_device *core_vdev, const char __user *buf, size_t count, u64 *pos)
{
	ssize_t ret = region_rw(to_core(core_vdev), (char __user *)(uintptr_t)buf, count, *pos, true);

	if (ret > 0)
		*pos += (u64)ret;
	return ret;
}

static void vfio_pci_request(struct vfio_device *core_vdev, unsigned count)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);

	mutex_lock(&vdev->igate);
	if (vdev->req_trigger)
		eventfd_signal(vdev->req_trigger);
	else if (!count)
		explain_event("%s is wanted back, but its user set no eventfd for the REQ interrupt",
			      vfio_pci_name(vdev));
	mutex_unlock(&vdev->igate);
}

void vfio_pci_err_signal(struct vfio_pci_core_device *vdev)
{
	mutex_lock(&vdev->igate);
	if (vdev->err_trigger)
		eventfd_signal(vdev->err_trigger);
	else
		explain_event("%s reported an error, but its user set no eventfd for the ERR interrupt",
			      vfio_pci_name(vdev));
	mutex_unlock(&vdev->igate);
}

const struct vfio_device_ops vfio_pci_ops = {
	.name = "vfio-pci",
	.open_device = vfio_pci_open_device,
	.close_device = vfio_pci_close_device,
	.read = vfio_pci_read,
	.write = vfio_pci_write,
	.ioctl = vfio_pci_ioctl,
	.mmap = vfio_pci_mmap,
	.match = vfio_pci_match,
	.match_token = vfio_pci_match_token,
	.request = vfio_pci_request,
	.device_feature = vfio_pci_device_feature,
};

/* ---- with the driver ------------------------------------------------------------------------- */

void vfio_pci_core_init(struct vfio_pci_core_device *vdev, struct pci_dev *pdev)
{
	vdev->pdev = pdev;
	vdev->msix_bar = -1;
	mutex_init(&vdev->memory_lock, LOCK_VFIO_PCI_MEMORY);
	mutex_init(&vdev->config_lock, LOCK_VFIO_PCI_CONFIG);
	mutex_init(&vdev->igate, LOCK_VFIO_PCI_IGATE);
	mutex_init(&vdev->intx_lock, LOCK_VFIO_PCI_INTX);
	mutex_init(&vdev->intx.lock, LOCK_VFIO_PCI_TRIGGER);
	atomic_init(&vdev->irq_type, VFIO_PCI_IRQ_NONE);
	TAILQ_INIT(&vdev->ioeventfds);
	TAILQ_INIT(&vdev->dma_bufs);
	vfio_pci_token_init(vdev);
}

void vfio_pci_core_uninit(struct vfio_pci_core_device *vdev)
{
	mutex_destroy(&vdev->intx.lock);
	mutex_destroy(&vdev->intx_lock);
	mutex_destroy(&vdev->igate);
	mutex_destroy(&vdev->config_lock);
	mutex_destroy(&vdev->memory_lock);
}

/* Devices that one reset hits form a set: the bus behind a bridge.  On the root bus each is alone. */
static void *dev_set_id(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *bridge = vdev->pdev->bridge;

	return bridge ? (void *)bridge : (void *)vdev;
}

int vfio_pci_core_register_device(struct vfio_pci_core_device *vdev)
{
	int ret;

	vdev->pdev->dev.driver_data = vdev;
	ret = vfio_register_group_dev(&vdev->vdev, &vdev->pdev->dev, &vfio_pci_ops, dev_set_id(vdev));
	if (ret) {
		vdev->pdev->dev.driver_data = NULL;
		return ret;
	}
	pci_set_asleep(vdev->pdev, !module_says("disable_idle_d3"));
	pm_runtime_allow(&vdev->pdev->dev, true);
	pci_show_power(vdev->pdev);
	return 0;
}

void vfio_pci_core_user_gone(struct device *dev)
{
	pci_show_unused(to_pci_dev(dev));
}

void vfio_pci_core_unregister_device(struct vfio_pci_core_device *vdev)
{
	vfio_unregister_group_dev(&vdev->vdev);
	pci_set_asleep(vdev->pdev, false);
	pm_runtime_allow(&vdev->pdev->dev, false);
	pci_show_power(vdev->pdev);
	vdev->pdev->dev.driver_data = NULL;
}
