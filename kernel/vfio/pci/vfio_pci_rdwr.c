/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_rdwr.c - reading and writing BARs and the ROM with pread and pwrite, and by eventfd.
 *
 * A transfer is cut into the largest naturally aligned pieces of 8, 4, 2 and 1 bytes, each one access
 * of the device.  It is cut short at the end of the BAR.  The MSI-X table is left out: reads there
 * give all ones, writes go nowhere, since SET_IRQS owns it (a mapping does reach it).
 *
 * User memory is copied through a small buffer outside the gate: it may be a BAR itself.
 *
 * An ioeventfd writes a value that was fixed beforehand when the program signals an eventfd.
 */
#include <errno.h>
#include <string.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define CHUNK 256u /* a multiple of the largest piece, so that chunks keep the pieces aligned */

/* ---- pieces ---------------------------------------------------------------------------------- */

static unsigned piece_len(u64 off, size_t left)
{
	unsigned len = 8;

	while (len > left || !IS_ALIGNED(off, (u64)len))
		len /= 2;
	return len;
}

void vfio_pci_bar_pieces(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, void *buf, size_t len,
			 bool write)
{
	const struct pci_hw_ops *ops = vdev->pdev->hw_ops;
	u8 *byte = buf;
	u64 val;

	for (unsigned n; len; len -= n, off += n, byte += n) {
		n = piece_len(off, len);
		val = 0;
		if (write) {
			memcpy(&val, byte, n);
			ops->bar_write(vdev->pdev->hw, bar, off, n, val);
		} else {
			val = ops->bar_read(vdev->pdev->hw, bar, off, n);
			memcpy(byte, &val, n);
		}
	}
}

/* How many bytes from @off on are alike: all in the MSI-X table, or none. */
static size_t run_len(const struct vfio_pci_core_device *vdev, unsigned bar, u64 off, size_t len,
		      bool *ret_table)
{
	const u64 start = vdev->msix_table_off, end = start + vdev->msix_table_bytes;

	*ret_table = false;
	if (vdev->msix_bar != (int)bar || off >= end || off + len <= start)
		return len;
	if (off < start)
		return start - off;
	*ret_table = true;
	return min((u64)len, end - off);
}

/* ---- pread and pwrite ------------------------------------------------------------------------ */

static int no_decode(struct vfio_pci_core_device *vdev, unsigned bar)
{
	const char *why = vfio_pci_why_closed(vdev);

	if (bar == PCI_ROM_RESOURCE)
		return fail(-ENOMEM, "the ROM does not answer: %s", why);
	return fail(-EIO, "BAR%u does not answer: %s", bar, why);
}

/* What can be written is: Linux goes from piece to piece too. */
int vfio_pci_copy_out(char __user *user, const void *bytes, size_t len)
{
	size_t n = 0;

	if (!copy_to_user(user, bytes, len))
		return 0;
	while (n < len && !copy_to_user(user_at(user, n), (const u8 *)bytes + n, 1))
		n++;
	return fail(-EFAULT, "of %zu bytes at %p %zu can be written", len, user, n);
}

/* @len bytes that lie in the MSI-X table (@table), which needs no device, or beside it. */
static int move_chunk(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, char __user *user, size_t len,
		      bool table, bool write)
{
	const u32 need = table || vdev->pdev->resource[bar].flags & IORESOURCE_IO ? 0 : GATE_DECODE;
	u8 buf[CHUNK];

	if (write && !table && copy_from_user(buf, user, len))
		return fail(-EFAULT, "%zu bytes at %p cannot be read", len, user);
	if (table)
		memset(buf, 0xff, len);
	if (!vfio_pci_gate_enter(vdev, need))
		return no_decode(vdev, bar);
	if (!table)
		vfio_pci_bar_pieces(vdev, bar, off, buf, len, write);
	vfio_pci_gate_leave(vdev);
	return write ? 0 : vfio_pci_copy_out(user, buf, len);
}

/* Return: bytes moved; -errno.  Of a buffer that cannot be read to its end, what comes before is written. */
static ssize_t move_some(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, char __user *user, size_t left,
			 bool write)
{
	size_t len = min(left, CHUNK - (size_t)(off % CHUNK));
	bool table;
	int ret;

	len = run_len(vdev, bar, off, len, &table);
	ret = move_chunk(vdev, bar, off, user, len, table, write);
	if (ret == -EFAULT && write && len > piece_len(off, len)) {
		len = piece_len(off, len);
		ret = move_chunk(vdev, bar, off, user, len, table, write);
	}
	return ret ? ret : (ssize_t)len;
}

ssize_t vfio_pci_bar_rw(struct vfio_pci_core_device *vdev, unsigned bar, char __user *buf, size_t count,
			u64 off, bool write)
{
	const u64 size = vdev->pdev->resource[bar].size_bytes;
	size_t done = 0;
	ssize_t ret;

	if (!size)
		return fail(-EINVAL, "%s has no %s %u", vfio_pci_name(vdev),
			    bar == PCI_ROM_RESOURCE ? "ROM, region" : "BAR", bar);
	if (off >= size)
		return fail(-EINVAL, "offset 0x%llx of region %u: it has 0x%llx bytes",
			    (unsigned long long)off, bar, (unsigned long long)size);
	if (write && bar == PCI_ROM_RESOURCE)
		return fail(-EINVAL, "the ROM cannot be written");
	if (count > size - off)
		explain_note("only 0x%llx of %zu bytes: region %u ends there",
			     (unsigned long long)(size - off), count, bar);
	count = min((u64)count, size - off);
	for (; done < count; done += (size_t)ret) {
		ret = move_some(vdev, bar, off + done, user_at(buf, done), count - done, write);
		if (ret < 0)
			return ret;
	}
	return (ssize_t)done;
}

/* ---- legacy VGA ------------------------------------------------------------------------------ */

static const struct {
	u64 start, end;
} vga_ranges[] = { { 0x3b0, 0x3bc }, { 0x3c0, 0x3e0 }, { 0xa0000, 0xc0000 } };

/* Bytes from @off to the end of its range; 0: nothing is there. */
static u64 vga_left(u64 off)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vga_ranges); i++)
		if (off >= vga_ranges[i].start && off < vga_ranges[i].end)
			return vga_ranges[i].end - off;
	return 0;
}

ssize_t vfio_pci_vga_rw(struct vfio_pci_core_device *vdev, char __user *buf, size_t count, u64 off, bool write)
{
	const u64 left = vga_left(off);
	u8 bytes[CHUNK];

	if (!vdev->has_vga)
		return fail(-EINVAL, "%s is no VGA device", vfio_pci_name(vdev));
	if (!left)
		return fail(-EINVAL, "there is no VGA at 0x%llx: it is at 0x3b0, 0x3c0 and 0xa0000",
			    (unsigned long long)off);
	count = min((u64)count, left);
	for (size_t done = 0, len; done < count; done += len) {
		len = min(count - done, CHUNK - (size_t)((off + done) % CHUNK));
		if (write && copy_from_user(bytes, user_at(buf, done), len))
			return fail(-EFAULT, "%zu bytes at %p cannot be read", len, user_at(buf, done));
		vfio_pci_gate_enter(vdev, 0);
		vfio_pci_bar_pieces(vdev, PCI_LEGACY_VGA, off + done, bytes, len, write);
		vfio_pci_gate_leave(vdev);
		if (!write && copy_to_user(user_at(buf, done), bytes, len))
			return fail(-EFAULT, "%zu bytes at %p cannot be written", len, user_at(buf, done));
	}
	return (ssize_t)count;
}

/* ---- ioeventfd ------------------------------------------------------------------------------- */

static void ioeventfd_handler(void *opaque, void *data)
{
	struct vfio_pci_ioeventfd *io = opaque;
	struct vfio_pci_core_device *vdev = io->vdev;
	const u32 need = vdev->pdev->resource[io->bar].flags & IORESOURCE_IO ? 0 : GATE_DECODE;
	u64 val = io->data;

	(void)data;
	if (!vfio_pci_gate_enter(vdev, need)) {
		explain_event("%s: ioeventfd write to BAR%u+0x%llx lost: %s", vfio_pci_name(vdev), io->bar,
			      (unsigned long long)io->off, vfio_pci_why_closed(vdev));
		return;
	}
	vfio_pci_bar_pieces(vdev, io->bar, io->off, &val, io->len, true);
	vfio_pci_gate_leave(vdev);
}

static int ioeventfd_check(struct vfio_pci_core_device *vdev, u64 bar, u64 off, unsigned len)
{
	bool table;
	u64 size;

	if (bar >= PCI_STD_NUM_BARS)
		return fail(-EINVAL, "region %llu: an ioeventfd writes to a BAR (0 to 5)",
			    (unsigned long long)bar);
	size = vdev->pdev->resource[bar].size_bytes;
	if (off >= size || len > size - off)
		return fail(-EINVAL, "%u bytes at 0x%llx of BAR%llu: it has 0x%llx bytes", len,
			    (unsigned long long)off, (unsigned long long)bar, (unsigned long long)size);
	if (run_len(vdev, (unsigned)bar, off, len, &table) != len || table)
		return fail(-EINVAL, "%u bytes at 0x%llx of BAR%llu reach into the MSI-X table", len,
			    (unsigned long long)off, (unsigned long long)bar);
	return 0;
}

static struct vfio_pci_ioeventfd *ioeventfd_find(struct vfio_pci_core_device *vdev, unsigned bar, u64 off,
						 u64 data, unsigned len)
{
	struct vfio_pci_ioeventfd *io;

	TAILQ_FOREACH (io, &vdev->ioeventfds, next) {
		if (io->bar == bar && io->off == off && io->data == data && io->len == len)
			return io;
	}
	return NULL;
}

static void ioeventfd_remove(struct vfio_pci_core_device *vdev, struct vfio_pci_ioeventfd *io)
{
	vfio_virqfd_disable(&io->virqfd);
	TAILQ_REMOVE(&vdev->ioeventfds, io, next);
	vdev->nr_ioeventfds--;
	kfree(io);
}

static long ioeventfd_add(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, u64 data, unsigned len,
			  int fd)
{
	struct vfio_pci_ioeventfd *io;
	int ret;

	if (vdev->nr_ioeventfds >= VFIO_PCI_IOEVENTFD_MAX)
		return fail(-ENOSPC, "%s has %u ioeventfds, which is the most", vfio_pci_name(vdev),
			    vdev->nr_ioeventfds);
	io = kzalloc(sizeof(*io));
	if (!io)
		return fail(-ENOMEM, "no memory for an ioeventfd");
	*io = (struct vfio_pci_ioeventfd){ .vdev = vdev, .bar = bar, .off = off, .data = data, .len = len };
	ret = vfio_virqfd_enable(io, ioeventfd_handler, NULL, &io->virqfd, fd);
	if (ret) {
		kfree(io);
		return ret;
	}
	TAILQ_INSERT_TAIL(&vdev->ioeventfds, io, next);
	vdev->nr_ioeventfds++;
	return 0;
}

static long ioeventfd_locked(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, u64 data, unsigned len,
			     int fd)
{
	struct vfio_pci_ioeventfd *io = ioeventfd_find(vdev, bar, off, data, len);

	if (!io && fd < 0)
		return fail(-ENODEV, "no ioeventfd writes 0x%llx to BAR%u+0x%llx", (unsigned long long)data,
			    bar, (unsigned long long)off);
	if (!io)
		return ioeventfd_add(vdev, bar, off, data, len, fd);
	if (fd >= 0)
		return fail(-EEXIST, "an ioeventfd writes 0x%llx to BAR%u+0x%llx already",
			    (unsigned long long)data, bar, (unsigned long long)off);
	ioeventfd_remove(vdev, io);
	return 0;
}

long vfio_pci_ioeventfd(struct vfio_pci_core_device *vdev, u64 offset, u64 data, unsigned len, int fd)
{
	const u64 bar = VFIO_PCI_OFFSET_TO_INDEX(offset), off = offset & VFIO_PCI_OFFSET_MASK;
	long ret = ioeventfd_check(vdev, bar, off, len);

	if (ret)
		return ret;
	mutex_lock(&vdev->igate);
	ret = ioeventfd_locked(vdev, (unsigned)bar, off, data, len, fd);
	mutex_unlock(&vdev->igate);
	return ret;
}

void vfio_pci_ioeventfds_free(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_ioeventfd *io;

	while ((io = TAILQ_FIRST(&vdev->ioeventfds)))
		ioeventfd_remove(vdev, io);
}
