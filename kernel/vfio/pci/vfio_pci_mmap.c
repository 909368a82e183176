/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_mmap.c - BARs in a program's address space.
 *
 * We check the request and say, page by page, what the program may use without a trap; the front end
 * makes the mapping.  While the gate is closed no page may be used so, and each access gives SIGBUS.
 *
 * A BAR smaller than a page can be mapped if it has its page for itself: else the program would reach
 * a neighbour's registers.
 *
 * Programs that run guests under KVM cannot be trapped (vma_no_trap): they are offered the direct pages
 * only, as a sparse mapping.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/lib/explain.h"
#include "kernel/mm/vma.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

/* ---- what may be mapped ---------------------------------------------------------------------- */

struct page_search {
	const struct resource *res;
	u64 start, last;
};

static int touches_page(struct pci_dev *pdev, void *arg)
{
	const struct page_search *search = arg;

	for (unsigned i = 0; i < PCI_NUM_RESOURCES; i++) {
		const struct resource *other = &pdev->resource[i];

		if (other != search->res && other->size_bytes && !(other->flags & IORESOURCE_IO) &&
		    other->start <= search->last && other->start + other->size_bytes - 1 >= search->start)
			return 1;
	}
	return 0;
}

static bool mappable(struct vfio_pci_core_device *vdev, unsigned bar)
{
	const struct resource *res = &vdev->pdev->resource[bar];
	struct page_search search = { .res = res, .start = res->start, .last = res->start + PAGE_SIZE - 1 };

	if (!res->size_bytes || res->flags & IORESOURCE_IO)
		return false;
	if (res->size_bytes >= PAGE_SIZE)
		return true;
	return IS_ALIGNED(res->start, PAGE_SIZE) && !touches_page(vdev->pdev, &search) &&
	       !pci_for_each_dev(touches_page, &search);
}

/* How bar_page() answers for @off, and how far that holds: at least one page, at most to the end. */
static enum pci_page_kind page_kind(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, u64 *ret_end)
{
	const u64 size = ALIGN_UP(vdev->pdev->resource[bar].size_bytes, PAGE_SIZE);
	u64 fd_off, len = 0;
	int fd;
	const enum pci_page_kind kind = vdev->pdev->hw_ops->bar_page(vdev->pdev->hw, bar, off, &fd, &fd_off,
								     &len);

	*ret_end = len && len < size - off ? off + ALIGN_UP(len, PAGE_SIZE) : size;
	return kind;
}

unsigned vfio_pci_direct_areas(struct vfio_pci_core_device *vdev, unsigned bar,
			       struct vfio_region_sparse_mmap_area *ret, unsigned room)
{
	const u64 size = ALIGN_UP(vdev->pdev->resource[bar].size_bytes, PAGE_SIZE);
	unsigned count = 0;

	for (u64 off = 0, end; off < size; off = end) {
		if (page_kind(vdev, bar, off, &end) != PCI_PAGE_DIRECT)
			continue;
		if (count < room)
			ret[count] = (struct vfio_region_sparse_mmap_area){ .offset = off,
									    .size = end - off };
		count++;
	}
	return count;
}

static bool all_direct(struct vfio_pci_core_device *vdev, unsigned bar, u64 off, u64 len)
{
	for (u64 at = off, end; at < off + len; at = end) {
		if (page_kind(vdev, bar, at, &end) != PCI_PAGE_DIRECT)
			return false;
	}
	return true;
}

void vfio_pci_probe_mmaps(struct vfio_pci_core_device *vdev)
{
	for (unsigned bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		vdev->bar_mmap_supported[bar] = mappable(vdev, bar);
}

/* ---- the mapping in use ---------------------------------------------------------------------- */

static unsigned vma_bar(u64 off)
{
	return (unsigned)VFIO_PCI_OFFSET_TO_INDEX(off);
}

static int refuse(struct vfio_pci_core_device *vdev, u64 off, unsigned len, bool write)
{
	explain_event("%s: SIGBUS for a %s of %u bytes at BAR%u+0x%llx: %s", vfio_pci_name(vdev),
		      write ? "store" : "load", len, vma_bar(off),
		      (unsigned long long)(off & VFIO_PCI_OFFSET_MASK), vfio_pci_why_closed(vdev));
	return -EFAULT;
}

/* Behind the end of a BAR smaller than its page nobody answers. */
static void access_inside(struct vfio_pci_core_device *vdev, u64 off, void *buf, unsigned len, bool write)
{
	const unsigned bar = vma_bar(off);
	const u64 size = vdev->pdev->resource[bar].size_bytes;
	unsigned inside;

	off &= VFIO_PCI_OFFSET_MASK;
	inside = off >= size ? 0 : (unsigned)min((u64)len, size - off);
	if (!write && inside < len)
		memset((char *)buf + inside, 0xff, len - inside);
	vfio_pci_bar_pieces(vdev, bar, off, buf, inside, write);
}

static int bar_access(struct vm_area *vma, u64 off, void *buf, unsigned len, bool write)
{
	struct vfio_pci_core_device *vdev = vma->private_data;

	if (unlikely(!vfio_pci_gate_enter(vdev, GATE_DECODE | GATE_MAPPED)))
		return refuse(vdev, off, len, write);
	access_inside(vdev, off, buf, len, write);
	vfio_pci_gate_leave(vdev);
	return 0;
}

/* Takes no lock: the front end may call it from vma_host_revoke. */
static void bar_direct(struct vm_area *vma, u64 off, int *ret_fd, u64 *ret_off, int *ret_prot, u64 *ret_len)
{
	struct vfio_pci_core_device *vdev = vma->private_data;
	const unsigned bar = vma_bar(off);
	const u64 size = ALIGN_UP(vdev->pdev->resource[bar].size_bytes, PAGE_SIZE);
	const u64 bar_off = off & VFIO_PCI_OFFSET_MASK, need = GATE_DECODE | GATE_MAPPED;
	const enum pci_page_kind kind = vdev->pdev->hw_ops->bar_page(vdev->pdev->hw, bar, bar_off, ret_fd,
								     ret_off, ret_len);

	*ret_prot = 0;
	*ret_len = ALIGN_UP(*ret_len, PAGE_SIZE);
	if (!*ret_len || (atomic_load(&vdev->gate) & (need | GATE_CLOSED)) != need)
		*ret_len = size - bar_off;
	else if (kind == PCI_PAGE_DIRECT)
		*ret_prot = PROT_READ | PROT_WRITE;
	else if (kind == PCI_PAGE_READ_DIRECT)
		*ret_prot = PROT_READ;
}

static int bar_phys(struct vm_area *vma, u64 off, phys_addr_t *ret_phys)
{
	struct vfio_pci_core_device *vdev = vma->private_data;
	const u32 need = GATE_DECODE | GATE_MAPPED;

	if (!vfio_pci_gate_enter(vdev, need))
		return fail(-EFAULT, "BAR%u of %s does not answer: %s", vma_bar(off), vfio_pci_name(vdev),
			    vfio_pci_why_closed(vdev));
	vfio_pci_gate_leave(vdev);
	*ret_phys = ((phys_addr_t)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) |
		    (vdev->pdev->resource[vma_bar(off)].start + (off & VFIO_PCI_OFFSET_MASK));
	return 0;
}

static const struct vm_operations bar_vm_ops = {
	.access = bar_access,
	.direct = bar_direct,
	.phys = bar_phys,
};

/* ---- mmap ------------------------------------------------------------------------------------ */

static int check_region(struct vfio_pci_core_device *vdev, u64 index)
{
	if (index >= VFIO_PCI_NUM_REGIONS)
		return fail(-EINVAL, "region %llu: the device has %u", (unsigned long long)index,
			    VFIO_PCI_NUM_REGIONS);
	if (index >= PCI_STD_NUM_BARS)
		return fail(-EINVAL, "region %llu is %s: only BARs can be mapped", (unsigned long long)index,
			    index == VFIO_PCI_ROM_REGION_INDEX	    ? "the ROM"
			    : index == VFIO_PCI_CONFIG_REGION_INDEX ? "config space"
								    : "the VGA range");
	if (!vdev->pdev->resource[index].size_bytes)
		return fail(-EINVAL, "%s has no BAR%llu", vfio_pci_name(vdev), (unsigned long long)index);
	if (!vdev->bar_mmap_supported[index])
		return fail(-EINVAL, "BAR%llu cannot be mapped: %s", (unsigned long long)index,
			    vdev->pdev->resource[index].flags & IORESOURCE_IO
				    ? "it is in I/O space"
				    : "it is smaller than a page and not alone in its page");
	return 0;
}

int vfio_pci_mmap(struct vfio_device *core_vdev, struct vm_area *vma, int map_flags)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);
	const u64 index = VFIO_PCI_OFFSET_TO_INDEX(vma->pgoff_bytes),
		  off = vma->pgoff_bytes & VFIO_PCI_OFFSET_MASK;
	const u64 len = vma->last - vma->start + 1;
	u64 size;
	int ret;

	if (vma->prot & PROT_EXEC)
		return fail(-EPERM, "registers cannot be executed: leave PROT_EXEC out");
	if ((map_flags & MAP_TYPE) == MAP_PRIVATE)
		return fail(-EINVAL, "a BAR can only be mapped with MAP_SHARED");
	if (!IS_ALIGNED(vma->pgoff_bytes, PAGE_SIZE))
		return fail(-EINVAL, "offset 0x%llx is not page aligned",
			    (unsigned long long)vma->pgoff_bytes);
	ret = check_region(vdev, index);
	if (ret)
		return ret;
	size = ALIGN_UP(vdev->pdev->resource[index].size_bytes, PAGE_SIZE);
	if (off >= size || len > size - off)
		return fail(-EINVAL, "0x%llx bytes at 0x%llx of BAR%llu: it has 0x%llx bytes",
			    (unsigned long long)len, (unsigned long long)off, (unsigned long long)index,
			    (unsigned long long)size);
	if (vma_no_trap && !all_direct(vdev, (unsigned)index, off, len))
		return fail(-EINVAL, "BAR%llu has registers there that a guest under KVM cannot reach",
			    (unsigned long long)index);
	vma->ops = &bar_vm_ops;
	vma->private_data = vdev;
	return 0;
}
