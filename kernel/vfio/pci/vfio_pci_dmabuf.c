/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_dmabuf.c - slices of a BAR as a dma-buf (VFIO_DEVICE_FEATURE_DMA_BUF).
 *
 * An iommufd maps such a buffer (IOMMU_IOAS_MAP_FILE), and then another device, or the same, moves data to
 * and from the BAR without the program: peer-to-peer DMA.  As on Linux it can neither be mapped into memory,
 * nor read; and an iommufd takes a buffer of one slice only.
 *
 * The buffer goes with the gate.  While BARs do not answer (decoding off, D3hot, a reset, low power) it is
 * revoked: importers lose their mappings, and new ones get ENODEV.  Then it can be imported again; what was
 * mapped before stays empty.  When the device is closed it is revoked for good, though the descriptor stays.
 *
 * What is dangerous: the last reference may go while an I/O address space is locked, which is further in than
 * memory_lock.  So which buffers a device has is guarded by a lock of its own.
 */
#include <fcntl.h>

#include "kernel/fs/dma-buf.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define RANGES_BYTES_MAX (4u << 20) /* that Linux would allocate for the list */

struct vfio_pci_dma_buf {
	TAILQ_ENTRY(vfio_pci_dma_buf) next; /* bufs_lock */
	struct vfio_pci_core_device *vdev;  /* bufs_lock and the buffer's; NULL: closed */
	struct dma_buf *buf;		    /* immutable: it has us, no reference */
	bool revoked;			    /* the buffer's lock; changed under both */
	unsigned nr_ranges;		    /* immutable, like the next */
	phys_addr_t phys;		    /* of the first range */
};

static struct mutex bufs_lock = MUTEX_INITIALIZER(LOCK_VFIO_PCI_DMA_BUFS); /* every device's dma_bufs */

/* ---- the exporter ---------------------------------------------------------------------------- */

static const char *why_revoked(struct vfio_pci_core_device *vdev)
{
	if (!vdev)
		return "the device was closed";
	return atomic_load(&vdev->gate) & GATE_CLOSED ? "the device is being reset" : vfio_pci_why_closed(vdev);
}

static int pci_dma_buf_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	const struct vfio_pci_dma_buf *own = buf->priv;

	if (own->revoked)
		return fail(-ENODEV, "the BAR behind the dma-buf cannot be reached: %s", why_revoked(own->vdev));
	if (own->nr_ranges != 1)
		return fail(-EOPNOTSUPP, "the dma-buf has %u ranges: an iommufd maps those with one", own->nr_ranges);
	*ret_phys = own->phys;
	return 0;
}

static void pci_dma_buf_release(struct dma_buf *buf)
{
	struct vfio_pci_dma_buf *own = buf->priv;

	mutex_lock(&bufs_lock);
	if (own->vdev)
		TAILQ_REMOVE(&own->vdev->dma_bufs, own, next);
	mutex_unlock(&bufs_lock);
	kfree(own);
}

static const struct dma_buf_ops pci_dma_buf_ops = {
	.exp_name = "vfio_pci_core", .phys = pci_dma_buf_phys, .release = pci_dma_buf_release,
};

/* ---- with the gate --------------------------------------------------------------------------- */

static bool is_open(struct vfio_pci_core_device *vdev)
{
	const u32 need = GATE_DECODE | GATE_MAPPED;

	return (atomic_load(&vdev->gate) & (need | GATE_CLOSED)) == need;
}

/* @vdev: NULL once the device is closed. */
static void set_state(struct vfio_pci_dma_buf *own, struct vfio_pci_core_device *vdev, bool revoked)
{
	const bool goes = revoked && !own->revoked;

	dma_buf_lock(own->buf);
	own->vdev = vdev;
	own->revoked = revoked;
	if (goes)
		dma_buf_revoke(own->buf);
	dma_buf_unlock(own->buf);
}

void vfio_pci_dma_bufs_follow_gate(struct vfio_pci_core_device *vdev)
{
	const bool revoked = !is_open(vdev);
	struct vfio_pci_dma_buf *own;

	lockdep_assert_held(&vdev->memory_lock);
	mutex_lock(&bufs_lock);
	TAILQ_FOREACH (own, &vdev->dma_bufs, next)
		set_state(own, vdev, revoked);
	mutex_unlock(&bufs_lock);
}

void vfio_pci_dma_bufs_cleanup(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_dma_buf *own;

	mutex_lock(&bufs_lock);
	while ((own = TAILQ_FIRST(&vdev->dma_bufs))) {
		TAILQ_REMOVE(&vdev->dma_bufs, own, next);
		set_state(own, NULL, true);
	}
	mutex_unlock(&bufs_lock);
}

/* ---- the request ----------------------------------------------------------------------------- */

static int check_range(u64 size, const struct vfio_region_dma_range *range, unsigned i)
{
	u64 last;

	if (!range->length || !IS_ALIGNED(range->offset | range->length, (u64)PAGE_SIZE))
		return fail(-EINVAL, "range %u: offset 0x%llx, length 0x%llx are not pages", i,
			    (unsigned long long)range->offset, (unsigned long long)range->length);
	if (!(range->length >> 63) && range->offset > UINT64_MAX - range->length)
		return fail(-EOVERFLOW, "range %u: 0x%llx bytes at 0x%llx reach 2^64", i,
			    (unsigned long long)range->length, (unsigned long long)range->offset);
	if (range_overflows(range->offset, range->length, &last) || last >= size)
		return fail(-EINVAL, "range %u: 0x%llx bytes at 0x%llx, the BAR has 0x%llx", i,
			    (unsigned long long)range->length, (unsigned long long)range->offset,
			    (unsigned long long)size);
	return 0;
}

/* @ret_first, @ret_sum: offset of the first range, bytes of all. */
static int read_ranges(u64 bar_size, const char __user *arg, unsigned count, u64 *ret_first, u64 *ret_sum)
{
	struct vfio_region_dma_range range;
	int ret;

	*ret_sum = 0;
	for (unsigned i = 0; i < count; i++) {
		if (copy_from_user(&range, arg + i * sizeof(range), sizeof(range)))
			return fail(-EFAULT, "range %u at %p cannot be read", i, arg);
		ret = check_range(bar_size, &range, i);
		if (ret)
			return ret;
		if (__builtin_add_overflow(*ret_sum, range.length, ret_sum))
			return fail(-EINVAL, "the first %u ranges have more than 2^64 bytes together", i + 1);
		if (!i)
			*ret_first = range.offset;
	}
	return 0;
}

static int check_request(struct vfio_pci_core_device *vdev, const struct vfio_device_feature_dma_buf *req)
{
	if (!req->nr_ranges || req->flags)
		return fail(-EINVAL, "nr_ranges is %u, flags are %#x: at least one range and no flag are needed",
			    req->nr_ranges, req->flags);
	if ((u64)req->nr_ranges * sizeof(struct vfio_region_dma_range) > RANGES_BYTES_MAX)
		return fail(-ENOMEM, "%u ranges are too many", req->nr_ranges);
	if (req->region_index >= PCI_STD_NUM_BARS || !vdev->bar_mmap_supported[req->region_index])
		return fail(-ENODEV, "region %u is no memory BAR of %s", req->region_index, vfio_pci_name(vdev));
	return 0;
}

/* @own: filled but for its buffer; freed by the buffer's release from here on.  ERR_PTR: still the caller's. */
static struct dma_buf *export(struct vfio_pci_core_device *vdev, struct vfio_pci_dma_buf *own, u64 size,
			      u32 open_flags)
{
	own->buf = dma_buf_export(&pci_dma_buf_ops, own, size, open_flags & (O_ACCMODE | O_NONBLOCK));
	if (IS_ERR(own->buf))
		return own->buf;
	vfio_pci_memory_lock(vdev);
	mutex_lock(&bufs_lock);
	own->revoked = !is_open(vdev);
	own->vdev = vdev;
	TAILQ_INSERT_TAIL(&vdev->dma_bufs, own, next);
	mutex_unlock(&bufs_lock);
	vfio_pci_memory_unlock(vdev);
	return own->buf;
}

static int export_fd(struct vfio_pci_core_device *vdev, const struct vfio_device_feature_dma_buf *req, u64 first,
		     u64 size)
{
	struct vfio_pci_dma_buf *own = kzalloc(sizeof(*own));
	struct dma_buf *buf;
	int fd;

	if (!own)
		return fail(-ENOMEM, "no memory for a dma-buf");
	own->nr_ranges = req->nr_ranges;
	own->phys = ((phys_addr_t)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) |
		    (vdev->pdev->resource[req->region_index].start + first);
	buf = export(vdev, own, size, req->open_flags);
	if (IS_ERR(buf)) {
		kfree(own);
		return (int)PTR_ERR(buf);
	}
	fd = dma_buf_fd(buf, req->open_flags & O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(buf);
	return fd;
}

int vfio_pci_feature_dma_buf(struct vfio_pci_core_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_buf req;
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(req));
	u64 first = 0, size = 0;

	if (ret != 1)
		return ret;
	if (copy_from_user(&req, arg, sizeof(req)))
		return fail(-EFAULT, "struct vfio_device_feature_dma_buf at %p cannot be read", arg);
	ret = check_request(vdev, &req);
	if (!ret)
		ret = read_ranges(vdev->pdev->resource[req.region_index].size_bytes, (char *)arg + sizeof(req),
				  req.nr_ranges, &first, &size);
	return ret ? ret : export_fd(vdev, &req, first, size);
}
