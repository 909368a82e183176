/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_platform_common.c - a platform device that a program has open.
 *
 * What happens at the first open and the last close, and what the device's descriptor answers: info,
 * regions, mappings, reset.  Interrupts are in vfio_platform_irq.c.
 *
 * A read or write is cut into the largest naturally aligned pieces of 4, 2 and 1 bytes, each one access
 * of the device, and ends where the region ends.  It does not move the descriptor's position.  Only
 * regions that begin and end with pages can be mapped: else a program would reach a neighbour's
 * registers.
 *
 * Source: <linux/vfio.h>; Linux Documentation/driver-api/vfio.rst.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"
#include "kernel/vfio/platform/vfio_platform_private.h"

static unsigned long long ull(u64 val)
{
	return val;
}

/* ---- reset, open and close ------------------------------------------------------------------- */

static long reset(struct vfio_platform_device *vdev)
{
	if (!vdev->pdev->has_reset)
		return fail(-EINVAL, "%s has no reset that the host knows of", vfio_platform_name(vdev));
	vdev->pdev->hw_ops->reset(vdev->pdev->hw);
	return 0;
}

static int vfio_platform_open_device(struct vfio_device *core_vdev)
{
	struct vfio_platform_device *vdev = to_vfio_platform(core_vdev);
	int ret = vfio_platform_irq_init(vdev);

	if (ret)
		return ret;
	if (vdev->pdev->has_reset)
		reset(vdev);
	pm_runtime_show(&vdev->pdev->dev, "active\n");
	return 0;
}

static void vfio_platform_close_device(struct vfio_device *core_vdev)
{
	struct vfio_platform_device *vdev = to_vfio_platform(core_vdev);

	if (vdev->pdev->has_reset)
		reset(vdev);
	mutex_lock(&vdev->igate);
	vfio_platform_irq_cleanup(vdev);
	mutex_unlock(&vdev->igate);
	pm_runtime_show(&vdev->pdev->dev, "suspended\n");
}

/* ---- info ------------------------------------------------------------------------------------ */

static long get_info(struct vfio_platform_device *vdev, void __user *arg)
{
	const size_t minsz = offsetof(struct vfio_device_info, cap_offset);
	struct vfio_device_info info = { 0 };

	if (copy_from_user(&info, arg, minsz))
		return fail(-EFAULT, "struct vfio_device_info at %p cannot be read", arg);
	if (info.argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_device_info has at least %zu bytes", info.argsz, minsz);
	info.flags = vdev->flags | (vdev->pdev->has_reset ? VFIO_DEVICE_FLAGS_RESET : 0);
	info.num_regions = vdev->pdev->num_resources;
	info.num_irqs = vdev->pdev->num_irqs;
	if (copy_to_user(arg, &info, minsz))
		return fail(-EFAULT, "struct vfio_device_info at %p cannot be written", arg);
	return 0;
}

static enum platform_page_kind page_kind(struct vfio_platform_device *vdev, unsigned index, u64 off, int *ret_fd,
					 u64 *ret_fd_off, u64 *ret_len)
{
	struct platform_device *pdev = vdev->pdev;

	return pdev->hw_ops->page(pdev->hw, index, off, ret_fd, ret_fd_off, ret_len);
}

/* Needs no trap anywhere. */
static bool all_direct(struct vfio_platform_device *vdev, unsigned index)
{
	const u64 size = vdev->pdev->resource[index].size_bytes;
	u64 fd_off, len;
	int fd;

	for (u64 off = 0; off < size; off += len)
		if (page_kind(vdev, index, off, &fd, &fd_off, &len) != PLATFORM_PAGE_DIRECT || !len)
			return false;
	return true;
}

static u32 region_flags(struct vfio_platform_device *vdev, unsigned index)
{
	const struct platform_resource *res = &vdev->pdev->resource[index];
	u32 flags = VFIO_REGION_INFO_FLAG_READ;

	if (!res->readonly)
		flags |= VFIO_REGION_INFO_FLAG_WRITE;
	if (IS_ALIGNED(res->start | res->size_bytes, PAGE_SIZE) && (!vma_no_trap || all_direct(vdev, index)))
		flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return flags;
}

static int no_region(struct vfio_platform_device *vdev, u64 index)
{
	return fail(-EINVAL, "region %llu: %s has %u", ull(index), vfio_platform_name(vdev), vdev->pdev->num_resources);
}

static long get_region_info(struct vfio_platform_device *vdev, void __user *arg)
{
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, sizeof(info)))
		return fail(-EFAULT, "struct vfio_region_info at %p cannot be read", arg);
	if (info.argsz < sizeof(info))
		return fail(-EINVAL, "argsz is %u, struct vfio_region_info has %zu bytes", info.argsz, sizeof(info));
	if (info.index >= vdev->pdev->num_resources)
		return no_region(vdev, info.index);
	info.offset = VFIO_PLATFORM_INDEX_TO_OFFSET(info.index);
	info.size = vdev->pdev->resource[info.index].size_bytes;
	info.flags = region_flags(vdev, info.index);
	if (copy_to_user(arg, &info, sizeof(info)))
		return fail(-EFAULT, "struct vfio_region_info at %p cannot be written", arg);
	return 0;
}

static long get_irq_info(struct vfio_platform_device *vdev, void __user *arg)
{
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, sizeof(info)))
		return fail(-EFAULT, "struct vfio_irq_info at %p cannot be read", arg);
	if (info.argsz < sizeof(info))
		return fail(-EINVAL, "argsz is %u, struct vfio_irq_info has %zu bytes", info.argsz, sizeof(info));
	if (info.index >= vdev->pdev->num_irqs)
		return fail(-EINVAL, "irq index %u: %s has %u", info.index, vfio_platform_name(vdev),
			    vdev->pdev->num_irqs);
	info.flags = vdev->irqs[info.index].flags;
	info.count = 1;
	if (copy_to_user(arg, &info, sizeof(info)))
		return fail(-EFAULT, "struct vfio_irq_info at %p cannot be written", arg);
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static long set_irqs_locked(struct vfio_platform_device *vdev, const struct vfio_irq_set *hdr, const void *data)
{
	long ret;

	mutex_lock(&vdev->igate);
	ret = vfio_platform_set_irqs(vdev, hdr->flags, hdr->index, hdr->start, hdr->count, data);
	mutex_unlock(&vdev->igate);
	return ret;
}

/* As on Linux start and count are held against the number of interrupts here, against 1 later. */
static long set_irqs(struct vfio_platform_device *vdev, char __user *arg)
{
	const size_t minsz = offsetof(struct vfio_irq_set, data);
	const unsigned num_irqs = vdev->pdev->num_irqs;
	struct vfio_irq_set hdr;
	u8 data[PLATFORM_MAX_IRQS * sizeof(int)] __attribute__((aligned(8)));
	size_t data_size;
	int ret;

	if (copy_from_user(&hdr, arg, minsz))
		return fail(-EFAULT, "struct vfio_irq_set at %p cannot be read", arg);
	ret = vfio_set_irqs_validate_and_prepare(&hdr, num_irqs, num_irqs, &data_size);
	if (ret)
		return ret;
	if (data_size && copy_from_user(data, arg + minsz, data_size))
		return fail(-EFAULT, "%zu bytes of data at %p cannot be read", data_size, arg + minsz);
	return set_irqs_locked(vdev, &hdr, data_size ? data : NULL);
}

static long vfio_platform_ioctl(struct vfio_device *core_vdev, unsigned int cmd, unsigned long arg)
{
	struct vfio_platform_device *vdev = to_vfio_platform(core_vdev);
	void __user *uarg = (void __user *)arg;

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
		return reset(vdev);
	default:
		return fail(-ENOTTY, "request %#x is not for a platform device", cmd);
	}
}

/* ---- reading and writing --------------------------------------------------------------------- */

static unsigned piece_len(u64 off, size_t left, unsigned largest)
{
	unsigned len = largest;

	while (len > left || !IS_ALIGNED(off, (u64)len))
		len /= 2;
	return len;
}

static int move_piece(struct platform_device *pdev, unsigned index, u64 off, char __user *user, unsigned len,
		      bool write)
{
	u64 val = 0;

	if (write) {
		if (copy_from_user(&val, user, len))
			return fail(-EFAULT, "%u bytes at %p cannot be read", len, user);
		pdev->hw_ops->write(pdev->hw, index, off, len, val);
		return 0;
	}
	val = pdev->hw_ops->read(pdev->hw, index, off, len);
	if (copy_to_user(user, &val, len))
		return fail(-EFAULT, "%u bytes at %p cannot be written", len, user);
	return 0;
}

static int check_place(struct vfio_platform_device *vdev, u64 index, u64 off, bool write)
{
	const struct platform_resource *res;

	if (index >= vdev->pdev->num_resources)
		return no_region(vdev, index);
	res = &vdev->pdev->resource[index];
	if (write && res->readonly)
		return fail(-EINVAL, "region %llu is read-only", ull(index));
	if (off >= res->size_bytes)
		return fail(-EINVAL, "offset 0x%llx of region %llu: it has 0x%llx bytes", ull(off), ull(index),
			    ull(res->size_bytes));
	return 0;
}

static ssize_t region_rw(struct vfio_platform_device *vdev, char __user *buf, size_t count, u64 pos, bool write)
{
	const u64 index = VFIO_PLATFORM_OFFSET_TO_INDEX(pos), off = pos & VFIO_PLATFORM_OFFSET_MASK;
	int ret = check_place(vdev, index, off, write);
	u64 left;

	if (ret)
		return ret;
	left = vdev->pdev->resource[index].size_bytes - off;
	if (count > left)
		explain_note("only 0x%llx of %zu bytes: region %llu ends there", ull(left), count, ull(index));
	count = min((u64)count, left);
	for (size_t done = 0, len; done < count; done += len) {
		len = piece_len(off + done, count - done, 4);
		ret = move_piece(vdev->pdev, (unsigned)index, off + done, user_at(buf, done), (unsigned)len, write);
		if (ret)
			return ret;
	}
	return (ssize_t)count;
}

static ssize_t vfio_platform_read(struct vfio_device *core_vdev, char __user *buf, size_t count, u64 *pos)
{
	return region_rw(to_vfio_platform(core_vdev), buf, count, *pos, false);
}

static ssize_t vfio_platform_write(struct vfio_device *core_vdev, const char __user *buf, size_t count, u64 *pos)
{
	return region_rw(to_vfio_platform(core_vdev), (char __user *)(uintptr_t)buf, count, *pos, true);
}

/* ---- mappings -------------------------------------------------------------------------------- */

/* A load or store of the processor, in pieces that a bus of 64 bits moves. */
static int region_access(struct vm_area *vma, u64 pos, void *buf, unsigned len, bool write)
{
	struct platform_device *pdev = ((struct vfio_platform_device *)vma->private_data)->pdev;
	const unsigned index = (unsigned)VFIO_PLATFORM_OFFSET_TO_INDEX(pos);
	u64 off = pos & VFIO_PLATFORM_OFFSET_MASK, val;
	u8 *byte = buf;

	for (unsigned n; len; len -= n, off += n, byte += n) {
		n = piece_len(off, len, 8);
		val = 0;
		if (write) {
			memcpy(&val, byte, n);
			pdev->hw_ops->write(pdev->hw, index, off, n, val);
		} else {
			val = pdev->hw_ops->read(pdev->hw, index, off, n);
			memcpy(byte, &val, n);
		}
	}
	return 0;
}

static void region_direct(struct vm_area *vma, u64 pos, int *ret_fd, u64 *ret_off, int *ret_prot, u64 *ret_len)
{
	struct vfio_platform_device *vdev = vma->private_data;
	const unsigned index = (unsigned)VFIO_PLATFORM_OFFSET_TO_INDEX(pos);
	const enum platform_page_kind kind = page_kind(vdev, index, pos & VFIO_PLATFORM_OFFSET_MASK, ret_fd, ret_off,
						       ret_len);

	*ret_prot = 0;
	if (kind == PLATFORM_PAGE_DIRECT && !vdev->pdev->resource[index].readonly)
		*ret_prot = PROT_READ | PROT_WRITE;
	else if (kind != PLATFORM_PAGE_TRAPPED)
		*ret_prot = PROT_READ;
}

static int region_phys(struct vm_area *vma, u64 pos, phys_addr_t *ret_phys)
{
	struct vfio_platform_device *vdev = vma->private_data;

	*ret_phys = ((phys_addr_t)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) |
		    (vdev->pdev->resource[VFIO_PLATFORM_OFFSET_TO_INDEX(pos)].start + (pos & VFIO_PLATFORM_OFFSET_MASK));
	return 0;
}

static const struct vm_operations region_vm_ops = {
	.access = region_access,
	.direct = region_direct,
	.phys = region_phys,
};

static int check_mapping(struct vfio_platform_device *vdev, const struct vm_area *vma, int map_flags, u64 index)
{
	const u64 off = vma->pgoff_bytes & VFIO_PLATFORM_OFFSET_MASK, len = vma->last - vma->start + 1;
	u64 size;
	u32 flags;

	if (vma->prot & PROT_EXEC)
		return fail(-EPERM, "registers cannot be executed: leave PROT_EXEC out");
	if ((map_flags & MAP_TYPE) == MAP_PRIVATE)
		return fail(-EINVAL, "a region can only be mapped with MAP_SHARED");
	if (!IS_ALIGNED(vma->pgoff_bytes, PAGE_SIZE))
		return fail(-EINVAL, "offset 0x%llx is not page aligned", ull(vma->pgoff_bytes));
	if (index >= vdev->pdev->num_resources)
		return no_region(vdev, index);
	size = vdev->pdev->resource[index].size_bytes;
	flags = region_flags(vdev, (unsigned)index);
	if (!(flags & VFIO_REGION_INFO_FLAG_MMAP))
		return fail(-EINVAL, "region %llu, 0x%llx bytes at 0x%llx, cannot be mapped: %s", ull(index), ull(size),
			    ull(vdev->pdev->resource[index].start),
			    vma_no_trap ? "a guest under KVM cannot reach its registers" : "it is not whole pages");
	if (vma->prot & PROT_WRITE && !(flags & VFIO_REGION_INFO_FLAG_WRITE))
		return fail(-EINVAL, "region %llu is read-only: map it with PROT_READ", ull(index));
	if (off >= size || len > size - off)
		return fail(-EINVAL, "0x%llx bytes at 0x%llx of region %llu: it has 0x%llx bytes", ull(len), ull(off),
			    ull(index), ull(size));
	return 0;
}

static int vfio_platform_mmap(struct vfio_device *core_vdev, struct vm_area *vma, int map_flags)
{
	struct vfio_platform_device *vdev = to_vfio_platform(core_vdev);
	int ret = check_mapping(vdev, vma, map_flags, VFIO_PLATFORM_OFFSET_TO_INDEX(vma->pgoff_bytes));

	if (ret)
		return ret;
	vma->ops = &region_vm_ops;
	vma->private_data = vdev;
	return 0;
}

/* ---- with the drivers ------------------------------------------------------------------------ */

static const struct vfio_device_ops vfio_platform_ops = {
	.name = "vfio-platform",
	.numbered = true,
	.open_device = vfio_platform_open_device,
	.close_device = vfio_platform_close_device,
	.read = vfio_platform_read,
	.write = vfio_platform_write,
	.ioctl = vfio_platform_ioctl,
	.mmap = vfio_platform_mmap,
};

static void vfio_platform_free(struct vfio_platform_device *vdev)
{
	vdev->pdev->dev.driver_data = NULL;
	vfio_platform_irq_forget(vdev);
	mutex_destroy(&vdev->igate);
	kfree(vdev);
}

int vfio_platform_probe_common(struct platform_device *pdev, u32 flags, bool reset_required)
{
	struct vfio_platform_device *vdev;
	int ret;

	if (reset_required && !pdev->has_reset)
		return fail(-ENOENT, "%s has no reset that the host knows of, and vfio-platform requires one: "
			    "say vfio_platform.reset_required=N to do without", pdev->dev.name);
	vdev = kzalloc(sizeof(*vdev));
	if (!vdev)
		return fail(-ENOMEM, "no memory for %s", pdev->dev.name);
	vdev->pdev = pdev;
	vdev->flags = flags;
	mutex_init(&vdev->igate, LOCK_VFIO_PCI_IGATE);
	vfio_platform_irq_prepare(vdev);
	pdev->dev.driver_data = vdev;
	ret = vfio_register_group_dev(&vdev->vdev, &pdev->dev, &vfio_platform_ops, vdev);
	if (ret)
		vfio_platform_free(vdev);
	else
		pm_runtime_show(&pdev->dev, "suspended\n");
	return ret;
}

void vfio_platform_remove_common(struct platform_device *pdev)
{
	struct vfio_platform_device *vdev = pdev->dev.driver_data;

	vfio_unregister_group_dev(&vdev->vdev);
	pm_runtime_show(&pdev->dev, "unsupported\n");
	vfio_platform_free(vdev);
}

void vfio_platform_user_gone(struct device *dev)
{
	pm_runtime_show(dev, "suspended\n");
}

bool vfio_platform_in_use(struct device *dev)
{
	struct vfio_platform_device *vdev = dev->driver_data;

	return vdev && vfio_device_in_use(&vdev->vdev);
}
