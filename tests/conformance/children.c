/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.c - what a forked child can do with the containers, groups and devices that it inherited, and what it and its parent
 * see of each other.
 *
 * usage: children EDU MSIX    as legacy.c, which tells the rest; turns.h tells whose calls they are
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/uio.h>

#include "tests/conformance/children.h"

/* ---------------------------------------------------------------- a container */
static void container(void)
{
	begin("container");
	struct ctx x = ready();
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	forks(PARENT, CHILD);
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("CHECK_EXTENSION type1v2", ioctl(x.c, VFIO_CHECK_EXTENSION, TYPE));
	C("CHECK_EXTENSION 1000", ioctl(x.c, VFIO_CHECK_EXTENSION, 1000));
	C("SET_IOMMU again", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	C("IOMMU_GET_INFO", ioctl(x.c, VFIO_IOMMU_GET_INFO, &info), "flags 0x%x pgsizes 0x%llx", info.flags, info.iova_pgsizes);
	DO(CHILD, info.argsz = 8);
	C("IOMMU_GET_INFO argsz 8", ioctl(x.c, VFIO_IOMMU_GET_INFO, &info));
	C("IOMMU_GET_INFO bad pointer", ioctl(x.c, VFIO_IOMMU_GET_INFO, BAD));
	C("IOMMU_GET_INFO NULL", ioctl(x.c, VFIO_IOMMU_GET_INFO, NULL));
	C("IOMMU_GET_INFO of a closed descriptor", ioctl(NO_FD, VFIO_IOMMU_GET_INFO, &info));
	C("unknown ioctl", ioctl(x.c, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	C("foreign ioctl", ioctl(x.c, _IO('T', 1), BAD));
	C("read", read(x.c, &info, 8));
	C("write", write(x.c, &info, 8));
	C("mmap", try_mmap(x.c, PG, PROT_READ, MAP_SHARED, 0));
	C("close it", close(x.c));
	C("GET_API_VERSION, closed", ioctl(x.c, VFIO_GET_API_VERSION));
	P("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	P("the type is there", type_there(x.c));
	ends(PARENT, CHILD);
	P("the type is there then", type_there(x.c));
	teardown(x);
}

static void mapping(void)
{
	unsigned char *alone = mem + 5 * MB; /* which only the child will have */
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m) - 1, .flags = 3, .vaddr = (uintptr_t)mem, .size = PG };
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u) - 1, .size = PG };
	begin("map and unmap");
	struct ctx x = ready();
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	forks(PARENT, CHILD);
	LOCKED(PARENT, "mapped before the fork");
	LOCKED(CHILD, "mapped before the fork");
	C("MAP bad pointer", ioctl(x.c, VFIO_IOMMU_MAP_DMA, BAD));
	C("MAP argsz one short", ioctl(x.c, VFIO_IOMMU_MAP_DMA, &m));
	C("MAP flags 0", dma_map(x.c, 0, mem, 0x200000, PG));
	C("MAP flags 8", dma_map(x.c, 8, mem, 0x200000, PG));
	C("MAP size 1", dma_map(x.c, 3, mem, 0x200000, 1));
	C("MAP vaddr unaligned", dma_map(x.c, 3, mem + 1, 0x200000, PG));
	C("MAP vaddr not mapped", dma_map(x.c, 3, (void *)PG, 0x200000, PG));
	C("MAP beyond the IOMMU's width", dma_map(x.c, 3, mem, 1ull << 57, PG));
	C("MAP by a closed descriptor", dma_map(NO_FD, 3, mem, 0x200000, PG));
	C("MAP what the parent mapped", dma_map(x.c, 3, mem, 0x100000, SIZE));
	C("MAP beside it", dma_map(x.c, 3, mem, 0x200000, SIZE));
	P("MAP what the child mapped", dma_map(x.c, 3, mem, 0x200000, SIZE));
	LOCKED(CHILD, "after MAP");
	LOCKED(PARENT, "after the child's MAP");
	C("UNMAP bad pointer", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, BAD));
	C("UNMAP argsz one short", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, &u));
	UNMAP(CHILD, "UNMAP flags 8", x.c, 8, 0x100000, SIZE);
	UNMAP(CHILD, "UNMAP size 1", x.c, 0, 0x100000, 1);
	UNMAP(CHILD, "UNMAP half of what the parent mapped", x.c, 0, 0x100000, SIZE / 2);
	UNMAP(CHILD, "UNMAP nothing there", x.c, 0, 0x900000, PG);
	UNMAP(CHILD, "UNMAP what the parent mapped", x.c, 0, 0x100000, SIZE);
	UNMAP(PARENT, "UNMAP it again", x.c, 0, 0x100000, SIZE);
	LOCKED(CHILD, "after that UNMAP");
	LOCKED(PARENT, "after that UNMAP");
	UNMAP(PARENT, "UNMAP what the child mapped", x.c, 0, 0x200000, SIZE);
	UNMAP(CHILD, "UNMAP it again", x.c, 0, 0x200000, SIZE);
	LOCKED(CHILD, "after both");
	LOCKED(PARENT, "after both");

	begin("memory that one process has");
	DO(CHILD, mprotect(alone, SIZE, PROT_READ | PROT_WRITE));
	P("MAP, before it has any", dma_map(x.c, 3, alone, 0x100000, SIZE));
	C("MAP, its own", dma_map(x.c, 3, alone, 0x100000, SIZE));
	P("MAP, at another IOVA", dma_map(x.c, 3, alone, 0x200000, SIZE));
	DO(PARENT, mprotect(alone + MB, SIZE, PROT_READ | PROT_WRITE));
	P("MAP, its own", dma_map(x.c, 3, alone + MB, 0x200000, SIZE));
	C("MAP, the parent's", dma_map(x.c, 3, alone + MB, 0x300000, SIZE));
	DO(CHILD, mprotect(mem, PG, PROT_READ));
	C("MAP WRITE, which only the parent may write", dma_map(x.c, 3, mem, 0x300000, PG));
	C("MAP READ, which only the parent may write", dma_map(x.c, 1, mem, 0x300000, PG));
	P("MAP WRITE, which only the parent may write", dma_map(x.c, 3, mem, 0x400000, PG));
	UNMAP(PARENT, "UNMAP_ALL", x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	UNMAP(CHILD, "UNMAP_ALL, nothing there", x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	LOCKED(CHILD, "all unmapped");
	LOCKED(PARENT, "all unmapped");

	begin("what a child mapped and left");
	P("MAP", dma_map(x.c, 3, mem, 0x100000, PG));
	C("MAP", dma_map(x.c, 3, alone, 0x200000, SIZE));
	ends(PARENT, CHILD);
	P("MAP there", dma_map(x.c, 3, mem, 0x200000, SIZE));
	LOCKED(PARENT, "the child gone");
	UNMAP(PARENT, "UNMAP half of it", x.c, 0, 0x200000, SIZE / 2);
	UNMAP(PARENT, "UNMAP it", x.c, 0, 0x200000, SIZE);
	P("MAP there then", dma_map(x.c, 3, mem, 0x200000, SIZE));
	LOCKED(PARENT, "mapped again");
	forks(PARENT, CHILD);
	UNMAP(CHILD, "UNMAP_ALL, another child", x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	LOCKED(PARENT, "unmapped by another child");
	ends(PARENT, CHILD);
	teardown(x);
}

/* A mapping whose memory is given up and given anew: who may do which? */
static void vaddr(void)
{
	begin("vaddr");
	struct ctx x = ready();
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	forks(PARENT, CHILD);
	C("CHECK_EXTENSION update of vaddr", ioctl(x.c, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR));
	C("MAP VADDR, still valid", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	UNMAP(CHILD, "UNMAP VADDR", x.c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, SIZE);
	UNMAP(PARENT, "UNMAP VADDR again", x.c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, SIZE);
	C("MAP VADDR of half of it", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE / 2));
	C("MAP VADDR", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	LOCKED(CHILD, "after MAP VADDR");
	LOCKED(PARENT, "after the child's MAP VADDR");
	P("MAP VADDR, still valid", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	UNMAP(PARENT, "UNMAP VADDR", x.c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, SIZE);
	ends(PARENT, CHILD);
	P("MAP VADDR, the child gone", dma_map(x.c, VFIO_DMA_MAP_FLAG_VADDR, mem, 0x100000, SIZE));
	LOCKED(PARENT, "after MAP VADDR");
	UNMAP(PARENT, "UNMAP", x.c, 0, 0x100000, SIZE);
	LOCKED(PARENT, "after UNMAP");
	teardown(x);
}

static struct { struct vfio_iommu_type1_dirty_bitmap h; struct vfio_iommu_type1_dirty_bitmap_get g; } dirty;
static uint64_t bits[1];
static int dirty_pages(int c, uint32_t flags, void *data)
{
	dirty.h = (struct vfio_iommu_type1_dirty_bitmap){ .argsz = sizeof(dirty), .flags = flags };
	dirty.g = (struct vfio_iommu_type1_dirty_bitmap_get){ .iova = 0x100000, .size = SIZE, .bitmap = { .pgsize = PG, .size = 8, .data = data } };
	bits[0] = 0;
	return ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

static void dirty_bitmap(void)
{
	struct { struct vfio_iommu_type1_dma_unmap u; struct vfio_bitmap b; } ub = {
		.u = { .argsz = sizeof(ub), .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, .iova = 0x100000, .size = SIZE },
		.b = { .pgsize = PG, .size = 8, .data = (void *)bits } };
	begin("dirty pages");
	struct ctx x = ready();
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	forks(PARENT, CHILD);
	C("STOP before START", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, bits));
	C("START bad pointer", ioctl(x.c, VFIO_IOMMU_DIRTY_PAGES, BAD));
	C("START", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, bits));
	P("GET_BITMAP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, bits), "bits 0x%llx", (unsigned long long)bits[0]);
	C("GET_BITMAP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, bits), "bits 0x%llx", (unsigned long long)bits[0]);
	C("GET_BITMAP bad data pointer", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, BAD));
	C("UNMAP GET_DIRTY_BITMAP", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, &ub), "size out 0x%llx bits 0x%llx", ub.u.size, (unsigned long long)bits[0]);
	P("STOP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, bits));
	C("GET_BITMAP after STOP", dirty_pages(x.c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, bits));
	ends(PARENT, CHILD);
	teardown(x);
}

/* ---------------------------------------------------------------- a group */
static void group(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int fd = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC), d, own;
	begin("group");
	struct ctx x = setup(edu, TYPE, 0);
	forks(PARENT, CHILD);
	C("GET_STATUS", ioctl(x.g, VFIO_GROUP_GET_STATUS, &st), "flags 0x%x", st.flags);
	DO(CHILD, st.argsz = 4);
	C("GET_STATUS argsz 4", ioctl(x.g, VFIO_GROUP_GET_STATUS, &st));
	C("GET_STATUS bad pointer", ioctl(x.g, VFIO_GROUP_GET_STATUS, BAD));
	C("GET_STATUS of a closed descriptor", group_flags(NO_FD));
	C("GET_STATUS of the container", group_flags(x.c));
	C("SET_CONTAINER -1", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &fd));
	C("SET_CONTAINER a closed descriptor", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &(int){ NO_FD }));
	C("SET_CONTAINER /dev/null", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &null));
	C("SET_CONTAINER bad pointer", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, BAD));
	C("SET_CONTAINER once more", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("GET_DEVICE_FD bad pointer", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, BAD));
	C("GET_DEVICE_FD wrong name", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "0000:ff:1f.7"));
	C("GET_DEVICE_FD a device of another group", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	C("unknown ioctl", ioctl(x.g, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	C("read", read(x.g, &st, 8));

	begin("a device that the child opens");
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("FD_CLOEXEC", fcntl(d, F_GETFD));
	C("GET_INFO", device_there(d));
	P("has no such descriptor", fcntl(d, F_GETFD));
	P("GET_INFO by that number", device_there(d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("GET_STATUS", group_flags(x.g));
	C("close it", close(d));
	C("GET_INFO, closed", device_there(d));
	C("UNSET_CONTAINER then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("GET_STATUS then", group_flags(x.g));
	P("UNSET_CONTAINER again", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("the type is there", type_there(x.c));
	CFD("GET_DEVICE_FD without a container", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	P("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("GET_STATUS", group_flags(x.g));
	C("SET_IOMMU", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	P("SET_IOMMU", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	P("MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));

	begin("a container that the child opens");
	own = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	P("SET_CONTAINER by that number", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &own));
	C("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &own));
	C("SET_IOMMU", ioctl(own, VFIO_SET_IOMMU, TYPE));
	C("MAP", dma_map(own, 3, mem, 0x100000, SIZE));
	d = PFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	P("GET_INFO", device_there(d));
	P("SET_CONTAINER another", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("close the container", close(own));
	P("GET_STATUS", group_flags(x.g));
	P("GET_INFO then", device_there(d));
	ends(PARENT, CHILD);
	P("GET_INFO, the child gone", device_there(d));
	P("close the device", close(d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(null);
	teardown(x);
}

/* ---------------------------------------------------------------- descriptors that the child gets, and lets go */
static void numbers(void)
{
	int lowest, d;
	begin("numbers");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	lowest = (int)LET(PARENT, dup(0));
	DO(PARENT, close(lowest));
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("it is the lowest", d == lowest);
	P("the lowest is free still", ({ int n = dup(0); close(n); n == lowest; }));
	DO(CHILD, close(d); limit_descriptors(true));
	CFD("GET_DEVICE_FD, no number left", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	CFD("open /dev/vfio/vfio, no number left", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	CFD("a dma-buf, no number left", export_bar(x.d));
	PFD("GET_DEVICE_FD, a number left", d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	DO(PARENT, close(d));
	DO(CHILD, limit_descriptors(false));
	CFD("GET_DEVICE_FD, numbers again", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	P("close the device", close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(PARENT, CHILD);
	P("UNSET_CONTAINER, the child gone", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	teardown((struct ctx){ x.c, x.g, -1 });
}

static void last_one(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct ctx y = { -1, -1, -1 };
	begin("the last one closes");
	struct ctx x = ready();
	P("SET_IRQS", set_irq(x.d, MSI, e));
	forks(PARENT, CHILD);
	P("close the device", close(x.d));
	C("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	C("close the device", close(x.d));
	x.d = PFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	P("trigger", trigger(x.d, MSI));
	P("the command register", config16(x.d, 4));
	ends(PARENT, CHILD);

	begin("the child is killed with what it opened");
	DO(PARENT, teardown(x));
	x = ready();
	forks(PARENT, CHILD);
	y.d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("SET_IRQS by that", set_irq(y.d, MSI, e));
	DO(CHILD, map_bar(y.d));
	y.g = CFD("open the other group", open(group_path(msix), O_RDWR | O_CLOEXEC));
	DO(PARENT, close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("the other group is free", group_free(msix));
	DO(PARENT, kill(pids[CHILD], SIGKILL));
	if (me == CHILD)
		pause();
	P("the child is gone", reap(pids[CHILD]));
	P("UNSET_CONTAINER then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("the other group is free then", group_free(msix));
	teardown((struct ctx){ x.c, x.g, -1 });

	begin("the child executes a program with what it opened");
	x = ready();
	forks(PARENT, CHILD);
	y.d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	y.g = CFD("open the other group", open(group_path(msix), O_RDWR | O_CLOEXEC));
	DO(PARENT, close(x.d));
	if (me == CHILD) {
		execl("/bin/sh", "sh", "-c", "exec sleep 60", NULL);
		_exit(127);
	}
	P("the other group becomes free", ({ int r = -1; for (int i = 0; i < 500 && r; i++) r = group_free(msix) ? usleep(10000), -1 : 0; r; }));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	DO(PARENT, kill(pids[CHILD], SIGKILL));
	P("the child is gone", reap(pids[CHILD]));
	close(e);
	teardown((struct ctx){ x.c, x.g, -1 });
}

/* A number that is one file in the parent and another one in the child. */
static void same_numbers(void)
{
	int n, other, d;
	begin("one number, two files");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	n = (int)LET(PARENT, open("/dev/null", O_RDWR | O_CLOEXEC));
	other = (int)LET(CHILD, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	C("the numbers are the same", n == other);
	C("SET_IRQS, an eventfd", set_irq(x.d, VFIO_PCI_MSI_IRQ_INDEX, n));
	P("SET_IRQS, /dev/null", set_irq(x.d, VFIO_PCI_REQ_IRQ_INDEX, n));
	P("trigger", trigger(x.d, VFIO_PCI_MSI_IRQ_INDEX));
	C("signalled", arrives(n));
	DO(CHILD, disable(x.d, VFIO_PCI_MSI_IRQ_INDEX));
	C("GET_INFO of the eventfd", device_there(n));
	P("GET_INFO of /dev/null", device_there(n));
	close(n);
	d = (int)LET(PARENT, dup(x.d));
	other = (int)LET(CHILD, dup(x.g));
	C("the numbers are the same again", d == other);
	P("GET_INFO of the device", device_there(d));
	C("GET_STATUS of the group", group_flags(d));
	C("GET_INFO of the group", device_there(d));
	P("GET_STATUS of the device", group_flags(d));
	C("closes its device's number", close(x.d));
	C("dup2 its group there", dup2(x.g, x.d) == x.d ? 0 : -1);
	C("GET_STATUS by the device's number", group_flags(x.d));
	P("GET_INFO by the device's number", device_there(x.d));
	ends(PARENT, CHILD);
	close(d);
	teardown(x);
}

/* ---------------------------------------------------------------- a device */
static void device_info(void)
{
	struct vfio_device_info di = { .argsz = sizeof(di) };
	struct vfio_region_info ri = { .argsz = sizeof(ri) };
	struct vfio_irq_info ii = { .argsz = sizeof(ii), .index = VFIO_PCI_MSI_IRQ_INDEX };
	struct { struct vfio_device_feature f; char data[64]; } ft = { .f = { .argsz = 4 } };
	begin("device");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("GET_INFO", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di), "flags 0x%x regions %u irqs %u", di.flags, di.num_regions, di.num_irqs);
	DO(CHILD, di.argsz = 15);
	C("GET_INFO argsz 15", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di));
	C("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	C("GET_INFO of a closed descriptor", device_there(NO_FD));
	C("GET_INFO of the group", device_there(x.g));
	C("GET_REGION_INFO", ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &ri), "size 0x%llx flags 0x%x", ri.size, ri.flags);
	DO(CHILD, ri.index = 99);
	C("GET_REGION_INFO index 99", ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &ri));
	C("GET_REGION_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, BAD));
	C("GET_IRQ_INFO", ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, &ii), "count %u flags 0x%x", ii.count, ii.flags);
	DO(CHILD, ii.index = 5);
	C("GET_IRQ_INFO index 5", ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, &ii));
	C("GET_IRQ_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, BAD));
	C("RESET, which edu has not", ioctl(x.d, VFIO_DEVICE_RESET));
	C("FEATURE argsz 4", ioctl(x.d, VFIO_DEVICE_FEATURE, &ft));
	DO(CHILD, ft.f = (struct vfio_device_feature){ .argsz = sizeof(ft), .flags = VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_PROBE |
		VFIO_DEVICE_FEATURE_GET });
	C("FEATURE probe for a dma-buf", ioctl(x.d, VFIO_DEVICE_FEATURE, &ft));
	DO(CHILD, ft.f.flags = VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET);
	C("FEATURE migration, which edu has not", ioctl(x.d, VFIO_DEVICE_FEATURE, &ft));
	C("FEATURE bad pointer", ioctl(x.d, VFIO_DEVICE_FEATURE, BAD));
	C("unknown ioctl", ioctl(x.d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	C("BIND_IOMMUFD on a group's device", bind_to(x.d, 0, &(uint32_t){ 0 }));
	ends(PARENT, CHILD);
	teardown(x);
}

static void device_io(void)
{
	char b[4096] = { 0 };
	begin("config space");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("pread the ids", pread(x.d, b, 4, (off_t)CFG), "%02x %02x %02x %02x", (uint8_t)b[0], (uint8_t)b[1], (uint8_t)b[2], (uint8_t)b[3]);
	C("pread 256 bytes", pread(x.d, b, 256, (off_t)CFG));
	C("pread behind its end", pread(x.d, b, 4, (off_t)CFG + 0x10000));
	C("pread bad pointer", pread(x.d, BAD, 4, (off_t)CFG));
	C("pwrite bad pointer", pwrite(x.d, BAD, 4, (off_t)CFG + 0x3c));
	C("pread 0 bytes", pread(x.d, b, 0, (off_t)CFG));
	C("pread of a closed descriptor", pread(NO_FD, b, 4, (off_t)CFG));
	C("pread of a region that is not there", pread(x.d, b, 4, 20ll << 40));
	C("the command register, as the parent set it", config16(x.d, 4));
	P("pwrite the command register", set_config16(x.d, 4, 2));
	C("the command register then", config16(x.d, 4));
	C("pwrite the command register", set_config16(x.d, 4, 6));
	P("the command register", config16(x.d, 4));
	C("pwrite the interrupt line", pwrite(x.d, "\x5a", 1, (off_t)CFG + 0x3c));
	P("the interrupt line", config16(x.d, 0x3c) & 0xff);

	begin("a BAR, by pread and pwrite");
	REG(CHILD, "the identity", x.d, 0);
	C("writes", set_reg(x.d, LIVENESS, 0x12345678));
	REG(PARENT, "reads", x.d, LIVENESS);
	P("writes", set_reg(x.d, LIVENESS, 0x01020304));
	REG(CHILD, "reads", x.d, LIVENESS);
	C("reads 4096 bytes", pread(x.d, b, PG, 0));
	C("reads behind its end", pread(x.d, b, 4, MB));
	C("reads to a bad pointer", pread(x.d, BAD, 4, 0));
	C("writes from a bad pointer", pwrite(x.d, BAD, 4, LIVENESS));
	C("preadv", preadv(x.d, (struct iovec[]){ { b, 4 }, { b + 4, 4 } }, 2, 0));
	C("lseek", lseek(x.d, 0, SEEK_SET));
	P("memory decoding off", decoding(x.d, false));
	REG(CHILD, "reads, decoding off", x.d, LIVENESS);
	C("memory decoding on", decoding(x.d, true));
	REG(PARENT, "reads, decoding on", x.d, LIVENESS);
	C("writes before it ends", set_reg(x.d, LIVENESS, 0x11111111));
	ends(PARENT, CHILD);
	REG(PARENT, "reads, the child gone", x.d, LIVENESS);
	teardown(x);
}

static void resets(void)
{
	struct { struct vfio_pci_hot_reset_info h; struct vfio_pci_dependent_device dev[8]; } info = { .h.argsz = sizeof(info) };
	struct { struct vfio_pci_hot_reset h; int fd[1]; } hr = { .h = { .argsz = sizeof(hr), .count = 1 } };
	const unsigned cc = 0x14; /* nvme's controller configuration */
	int buf;
	begin("resets");
	struct ctx x = setup(msix, TYPE, 1);
	decoding(x.d, true);
	forks(PARENT, CHILD);
	P("writes a register", set_reg(x.d, cc, 0x460000));
	REG(CHILD, "reads it", x.d, cc);
	C("RESET", ioctl(x.d, VFIO_DEVICE_RESET));
	REG(PARENT, "reads it", x.d, cc);
	C("writes it", set_reg(x.d, cc, 0x460000));
	P("RESET", ioctl(x.d, VFIO_DEVICE_RESET));
	REG(CHILD, "reads it, reset by the parent", x.d, cc);
	C("GET_PCI_HOT_RESET_INFO", ioctl(x.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), "count %u", info.h.count);
	DO(CHILD, hr.fd[0] = NO_FD);
	C("PCI_HOT_RESET a closed descriptor", ioctl(x.d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	DO(CHILD, hr.fd[0] = x.d);
	C("PCI_HOT_RESET no group", ioctl(x.d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	P("writes the register again", set_reg(x.d, cc, 0x460000));
	DO(CHILD, hr.fd[0] = x.g);
	C("PCI_HOT_RESET", ioctl(x.d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	REG(PARENT, "reads it, hot reset by the child", x.d, cc);
	buf = CFD("a dma-buf of its BAR", export_bar(x.d));
	P("has no such descriptor", fcntl(buf, F_GETFD));
	ends(PARENT, CHILD);
	P("RESET, the child gone", ioctl(x.d, VFIO_DEVICE_RESET));
	teardown(x);
}

/* ---------------------------------------------------------------- memory that calls read and write */
static void pointers(void)
{
	unsigned char *end = NULL, *ro = page(MAP_PRIVATE), *alone = mem + 5 * MB;
	struct vfio_device_info *info = (void *)ro;
	struct vfio_iommu_type1_dma_unmap *u = (void *)(ro + 64);
	begin("memory of the child's");
	struct ctx x = ready();
	*info = (struct vfio_device_info){ .argsz = sizeof(*info) };
	*u = (struct vfio_iommu_type1_dma_unmap){ .argsz = sizeof(*u), .iova = 0x100000, .size = PG };
	forks(PARENT, CHILD);
	DO(CHILD, end = memory_ends(); mprotect(alone, 64 * KB, PROT_READ | PROT_WRITE));
	#define AT(type, bytes) (*(type *)(end - (bytes)))
	DO(CHILD, AT(struct vfio_device_info, 24) = *info);
	C("GET_INFO at its end", ioctl(x.d, VFIO_DEVICE_GET_INFO, end - 24), "flags 0x%x", AT(struct vfio_device_info, 24).flags);
	DO(CHILD, memset(end - 24, 0, 24); AT(uint32_t, 16) = 24);
	C("GET_INFO, 16 bytes before its end", ioctl(x.d, VFIO_DEVICE_GET_INFO, end - 16));
	DO(CHILD, AT(uint32_t, 8) = 24);
	C("GET_INFO, 8 bytes before its end", ioctl(x.d, VFIO_DEVICE_GET_INFO, end - 8));
	DO(CHILD, AT(uint32_t, 24) = 4096);
	C("GET_INFO argsz 4096, 24 bytes before its end", ioctl(x.d, VFIO_DEVICE_GET_INFO, end - 24), "argsz out %u", AT(uint32_t, 24));
	DO(CHILD, mprotect(ro, PG, PROT_READ));
	C("GET_INFO where it may only read", ioctl(x.d, VFIO_DEVICE_GET_INFO, ro));
	P("GET_INFO where the child may only read", ioctl(x.d, VFIO_DEVICE_GET_INFO, ro), "flags 0x%x", info->flags);
	C("pread at its end", pread(x.d, end - 4, 4, (off_t)CFG), "0x%x", AT(uint32_t, 4));
	C("pread beyond its end", pread(x.d, end - 4, 8, (off_t)CFG));
	C("pread of a BAR beyond its end", pread(x.d, end - 8, 16, 0));
	C("pread where it may only read", pread(x.d, ro, 4, 0));
	C("pread 64 KiB where the parent has nothing", pread(x.d, alone, 64 * KB, 0x1000), "0x%x", *(uint32_t *)(alone + 64 * KB - 4));
	DO(CHILD, AT(uint32_t, 4) = 0x0f0f0f0f);
	C("pwrite at its end", pwrite(x.d, end - 4, 4, LIVENESS));
	REG(PARENT, "the register", x.d, LIVENESS);
	DO(CHILD, AT(uint32_t, 4) = 0);
	C("pwrite beyond its end", pwrite(x.d, end - 4, 8, LIVENESS));
	DO(CHILD, end[-1] = 1);
	C("pwrite to config space beyond its end", pwrite(x.d, end - 1, 2, (off_t)CFG + 0x3c));
	C("MAP, its structure beyond the end", ioctl(x.c, VFIO_IOMMU_MAP_DMA, ({ AT(uint32_t, 24) = 32; end - 24; })));
	P("MAP", dma_map(x.c, 3, mem, 0x100000, PG));
	C("UNMAP, its structure where it may only read", ioctl(x.c, VFIO_IOMMU_UNMAP_DMA, u));
	P("MAP there", dma_map(x.c, 3, mem, 0x100000, PG));
	struct vfio_irq_set irqs = { .argsz = sizeof(irqs) + 4, .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .index = MSI, .count = 1 };
	DO(CHILD, memcpy(end - sizeof(irqs), &irqs, sizeof(irqs)));
	C("SET_IRQS, its eventfds beyond the end", ioctl(x.d, VFIO_DEVICE_SET_IRQS, end - sizeof(irqs)));
	DO(CHILD, memcpy(end - 12, edu, 12));
	C("GET_DEVICE_FD, a name without an end", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, end - 12));
	#undef AT
	ends(PARENT, CHILD);
	munmap(ro, PG);
	teardown(x);
}

/* ---------------------------------------------------------------- interrupts */
static void interrupts(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), own, theirs;
	begin("interrupts");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("SET_IRQS bad pointer", ioctl(x.d, VFIO_DEVICE_SET_IRQS, BAD));
	C("SET_IRQS a closed descriptor", set_irq(x.d, MSI, NO_FD));
	C("SET_IRQS no eventfd", set_irq(x.d, MSI, x.g));
	C("SET_IRQS index 7", set_irq(x.d, 7, e));
	C("trigger, nothing set", trigger(x.d, MSI));
	theirs = (int)LET(PARENT, fcntl(e, F_DUPFD_CLOEXEC, 300));
	C("SET_IRQS a number of the parent's", set_irq(x.d, MSI, theirs));
	C("SET_IRQS, an eventfd that it inherited", set_irq(x.d, MSI, e));
	P("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	C("signalled, the same eventfd", (long)readable(e));
	C("trigger", trigger(x.d, MSI));
	P("signalled by the child", arrives(e));
	P("edu sends", set_reg(x.d, 0x60, 1));
	C("signalled by edu", arrives(e));
	C("acknowledges, and edu sends again", set_reg(x.d, 0x64, 1) ?: set_reg(x.d, 0x60, 1));
	P("signalled by edu", arrives(e));
	DO(PARENT, set_reg(x.d, 0x64, 1));
	own = (int)LET(CHILD, high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 310));
	C("SET_IRQS, an eventfd of its own", set_irq(x.d, MSI, own));
	P("trigger that", trigger(x.d, MSI));
	C("signalled, its own", arrives(own));
	P("signalled, the former", (long)readable(e));
	P("edu sends then", set_reg(x.d, 0x60, 1));
	C("signalled by edu, its own", arrives(own));
	DO(PARENT, set_reg(x.d, 0x64, 1));
	P("SET_IRQS by the child's number", set_irq(x.d, MSI, own));
	P("trigger after that", trigger(x.d, MSI));
	C("signalled after that", arrives(own));
	P("SET_IRQS, its own", set_irq(x.d, MSI, theirs));
	C("trigger the parent's", trigger(x.d, MSI));
	P("signalled, its own", arrives(e));
	C("SET_IRQS disable", disable(x.d, MSI));
	P("trigger, disabled", trigger(x.d, MSI));

	begin("INTx and REQ");
	P("SET_IRQS INTx", set_irq(x.d, INTX, e));
	C("mask", set_irqs(x.d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, INTX, 1));
	P("the device's own command register says so", raw_config(edu, 5, NULL) >> 2 & 1);
	P("unmask", set_irqs(x.d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, INTX, 1));
	C("SET_IRQS MSI meanwhile", set_irq(x.d, MSI, own));
	C("trigger INTx", trigger(x.d, INTX));
	P("signalled", arrives(e));
	C("disable INTx", disable(x.d, INTX));
	P("disable INTx again", disable(x.d, INTX));
	C("SET_IRQS REQ, its own", set_irq(x.d, REQ, own));
	P("trigger REQ", trigger(x.d, REQ));
	C("signalled, its own", arrives(own));
	P("SET_IRQS REQ, none", set_irq(x.d, REQ, -1));
	C("trigger REQ, none", trigger(x.d, REQ));

	begin("an eventfd that ends with the child");
	C("SET_IRQS", set_irq(x.d, MSI, own));
	ends(PARENT, CHILD);
	P("trigger", trigger(x.d, MSI));
	P("signalled, another", (long)readable(e));
	P("SET_IRQS its own", set_irq(x.d, MSI, e));
	P("trigger its own", trigger(x.d, MSI));
	P("signalled, its own", arrives(e));
	close(e);
	close(theirs);
	teardown(x);
}

static int ioeventfd(int d, uint64_t at, uint32_t data, int fd)
{
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = at, .data = data, .fd = fd };
	return ioctl(d, VFIO_DEVICE_IOEVENTFD, &io);
}

/* The register's value, when it is what an eventfd wrote, or after two seconds. */
static long becomes(int d, uint32_t wanted)
{
	for (int i = 0; i < 200 && reg(d, LIVENESS) != (long)wanted; i++)
		usleep(10000);
	return reg(d, LIVENESS);
}

static void ioeventfds(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), own;
	begin("ioeventfds");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	own = (int)LET(CHILD, high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 310));
	C("IOEVENTFD a closed descriptor", ioeventfd(x.d, LIVENESS, 1, NO_FD));
	C("IOEVENTFD -1, nothing there", ioeventfd(x.d, LIVENESS, 1, -1));
	C("IOEVENTFD, inherited", ioeventfd(x.d, LIVENESS, 0xfffffff0, e));
	P("IOEVENTFD the same", ioeventfd(x.d, LIVENESS, 0xfffffff0, e));
	P("signals it", signals(e));
	P("the register", becomes(x.d, 0xf));
	C("IOEVENTFD, its own", ioeventfd(x.d, LIVENESS, 0xffffff00, own));
	C("signals its own", signals(own));
	P("the register then", becomes(x.d, 0xff));
	P("IOEVENTFD -1, the child's", ioeventfd(x.d, LIVENESS, 0xffffff00, -1));
	C("IOEVENTFD -1, gone already", ioeventfd(x.d, LIVENESS, 0xffffff00, -1));
	ends(PARENT, CHILD);
	P("IOEVENTFD -1, the first", ioeventfd(x.d, LIVENESS, 0xfffffff0, -1));
	close(e);
	teardown(x);
}

/* ---------------------------------------------------------------- DMA */
static void dma_of_child(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a page that the child maps");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads", device_reads(x.d, THERE));
	C("the device reads", device_reads(x.d, THERE));
	P("the device writes 33", device_writes(x.d, THERE, 33));
	C("its byte", p[0]);
	P("its byte", p[0]);
	DO(CHILD, p[0] = 44);
	DO(PARENT, p[0] = 12);
	P("the device reads what the child wrote", device_reads(x.d, THERE));
	C("the device writes 55", device_writes(x.d, THERE, 55));
	C("its byte then", p[0]);
	P("its byte then", p[0]);
	C("munmap", munmap(p, PG));
	P("the device reads, unmapped in the child", device_reads(x.d, THERE));
	C("another page there", mmap(p, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : -1);
	DO(CHILD, memset(p, 66, PG));
	P("the device reads, another page there", device_reads(x.d, THERE));
	P("the device writes 77", device_writes(x.d, THERE, 77));
	C("its byte in the other page", p[0]);
	ends(PARENT, CHILD);
	P("the device reads, the child gone", device_reads(x.d, THERE));
	P("the device writes 88, the child gone", device_writes(x.d, THERE, 88));
	P("the device reads that", device_reads(x.d, THERE));
	P("its byte, the child gone", p[0]);
	UNMAP(PARENT, "UNMAP", x.c, 0, THERE, PG);
	P("MAP its own", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads its own", device_reads(x.d, THERE));
	munmap(p, PG);
	teardown(x);
}

static void dma_of_parent(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a page that was mapped before the fork");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	P("MAP", dma_map(x.c, 3, p, THERE, PG));
	forks(PARENT, CHILD);
	C("its byte", p[0]);
	DO(CHILD, p[0] = 22);
	P("the device reads, the child has written", device_reads(x.d, THERE));
	DO(PARENT, p[0] = 33);
	P("the device reads, both have written", device_reads(x.d, THERE));
	C("the device writes 44", device_writes(x.d, THERE, 44));
	C("its byte then", p[0]);
	P("its byte then", p[0]);
	C("MAP its own too", dma_map(x.c, 3, p, THERE + PG, PG));
	C("the device reads both", device_reads(x.d, THERE), "and %d", device_reads(x.d, THERE + PG));
	P("munmap", munmap(p, PG));
	C("the device reads both, unmapped in the parent", device_reads(x.d, THERE), "and %d", device_reads(x.d, THERE + PG));
	UNMAP(CHILD, "UNMAP both", x.c, 0, THERE, 2 * PG);
	C("MAP where the parent has nothing", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads the child's", device_reads(x.d, THERE));
	ends(PARENT, CHILD);
	teardown(x);
}

static void dma_copy_on_write(void)
{
	unsigned char *p = page(MAP_PRIVATE), *r = page(MAP_PRIVATE), *s = page(MAP_SHARED), *without = page(MAP_PRIVATE), *null = page(MAP_PRIVATE);
	begin("a page that both still share");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	memset(r, 11, PG);
	memset(s, 11, PG);
	memset(without, 11, PG);
	madvise(without, PG, MADV_DONTFORK);
	forks(PARENT, CHILD);
	C("MAP, to read and write", dma_map(x.c, 3, p, THERE, PG));
	DO(PARENT, p[0] = 12);
	P("the device reads", device_reads(x.d, THERE));
	P("the device writes 22", device_writes(x.d, THERE, 22));
	C("its byte", p[0]);
	P("its byte", p[0]);
	C("MAP, to read alone", dma_map(x.c, 1, r, THERE + PG, PG));
	DO(PARENT, r[0] = 12);
	P("the device reads, mapped to read", device_reads(x.d, THERE + PG));
	DO(CHILD, r[0] = 23);
	P("the device reads, the child has written", device_reads(x.d, THERE + PG));
	P("the device writes 24, mapped to read", device_writes(x.d, THERE + PG, 24));
	C("its byte, mapped to read", r[0]);
	C("MAP, never touched", dma_map(x.c, 3, null, THERE + 2 * PG, PG));
	P("the device writes 25", device_writes(x.d, THERE + 2 * PG, 25));
	C("its byte, never touched", null[0]);
	P("its byte, never touched", null[0]);

	begin("a page that is shared for good");
	C("MAP", dma_map(x.c, 3, s, THERE + 3 * PG, PG));
	DO(PARENT, s[0] = 12);
	P("the device reads", device_reads(x.d, THERE + 3 * PG));
	P("the device writes 33", device_writes(x.d, THERE + 3 * PG, 33));
	C("its byte", s[0]);
	P("its byte", s[0]);
	LOCKED(CHILD, "its pages");
	LOCKED(PARENT, "its window");

	begin("a page that children do not get");
	C("MAP", dma_map(x.c, 3, without, THERE + 4 * PG, PG));
	P("MAP", dma_map(x.c, 3, without, THERE + 4 * PG, PG));
	C("the device reads", device_reads(x.d, THERE + 4 * PG));
	UNMAP(CHILD, "UNMAP", x.c, 0, THERE + 4 * PG, PG);

	begin("a file that only the child has");
	int fd = (int)LET(CHILD, memfd_create("child", MFD_CLOEXEC));
	unsigned char *f = NULL;
	DO(CHILD, ftruncate(fd, PG); f = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); memset(f, 55, PG));
	C("MAP", dma_map(x.c, 3, f, THERE + 5 * PG, PG));
	P("the device reads", device_reads(x.d, THERE + 5 * PG));
	P("the device writes 56", device_writes(x.d, THERE + 5 * PG, 56));
	C("its byte", f[0]);
	DO(CHILD, munmap(f, PG); close(fd));
	P("the device reads, unmapped and closed", device_reads(x.d, THERE + 5 * PG));
	ends(PARENT, CHILD);
	munmap(p, PG);
	munmap(r, PG);
	munmap(s, PG);
	munmap(without, PG);
	munmap(null, PG);
	teardown(x);
}

/* The child maps a page and is then gone, in one way or another. */
static void dma_and_gone(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a page of a child that is gone");
	struct ctx x = ready_for_dma();
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP, then it is killed", dma_map(x.c, 3, p, THERE, PG));
	DO(PARENT, kill(pids[CHILD], SIGKILL));
	if (me == CHILD)
		pause();
	P("the child is gone", reap(pids[CHILD]));
	P("the device reads", device_reads(x.d, THERE));
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 33, PG));
	C("MAP, then it execs", dma_map(x.c, 3, p, THERE + PG, PG));
	if (me == CHILD) {
		execl("/bin/sh", "sh", "-c", "exit 3", NULL);
		_exit(127);
	}
	P("the child is gone, its program has ended", reap(pids[CHILD]));
	P("the device reads the page of before exec", device_reads(x.d, THERE + PG));
	P("the device reads the first one's", device_reads(x.d, THERE));
	UNMAP(PARENT, "UNMAP both", x.c, 0, THERE, 2 * PG);
	LOCKED(PARENT, "its window");
	munmap(p, PG);
	teardown(x);
}

/* Memory of all kinds, of which the child has another content than the parent. */
static unsigned char in_bss[2 * PG] __attribute__((aligned(PG)));

static void dma_kinds(void)
{
	unsigned char *heap = aligned_alloc(PG, PG), *huge = mem, *file, stack[3 * PG], *on_stack = stack + PG - ((uintptr_t)stack & (PG - 1));
	int fd = memfd_create("file", MFD_CLOEXEC);
	begin("memory of all kinds");
	struct ctx x = ready_for_dma();
	ftruncate(fd, PG);
	pwrite(fd, (char[]){ 9 }, 1, 0);
	file = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	memset(heap, 11, PG);
	memset(on_stack, 11, PG);
	memset(in_bss, 11, sizeof(in_bss));
	memset(huge, 11, 4 * MB);
	forks(PARENT, CHILD);
	C("MAP the heap", dma_map(x.c, 3, heap, THERE, PG));
	C("MAP the stack", dma_map(x.c, 3, on_stack, THERE + PG, PG));
	C("MAP static memory", dma_map(x.c, 3, in_bss, THERE + 2 * PG, PG));
	C("MAP a file that is private", dma_map(x.c, 3, file, THERE + 3 * PG, PG));
	C("MAP 2 MiB", dma_map(x.c, 3, huge, 4 * MB, 2 * MB));
	DO(CHILD, heap[0] = 21; on_stack[0] = 22; in_bss[0] = 23; file[0] = 24; huge[0] = 25; huge[MB] = 26; huge[2 * MB - PG] = 27);
	P("the device reads the heap", device_reads(x.d, THERE));
	P("the device reads the stack", device_reads(x.d, THERE + PG));
	P("the device reads static memory", device_reads(x.d, THERE + 2 * PG));
	P("the device reads the file", device_reads(x.d, THERE + 3 * PG));
	P("the file's byte", ({ unsigned char b = 0; pread(fd, &b, 1, 0); b; }));
	P("the device reads 2 MiB, its first page", device_reads(x.d, 4 * MB));
	P("the device reads 2 MiB, its middle", device_reads(x.d, 5 * MB));
	P("the device reads 2 MiB, its last page", device_reads(x.d, 6 * MB - PG));
	P("the device reads 2 MiB, a page that the child left alone", device_reads(x.d, 5 * MB + PG));
	P("the device writes 28 there", device_writes(x.d, 5 * MB + PG, 28));
	C("its byte", huge[MB + PG]);
	P("its byte", huge[MB + PG]);
	C("madvise DONTNEED of static memory", madvise(in_bss, PG, MADV_DONTNEED));
	C("its byte in static memory", in_bss[0]);
	P("the device reads static memory then", device_reads(x.d, THERE + 2 * PG));
	LOCKED(CHILD, "all mapped");
	UNMAP(PARENT, "UNMAP 2 MiB", x.c, 0, 4 * MB, 2 * MB);
	LOCKED(CHILD, "2 MiB unmapped");
	ends(PARENT, CHILD);
	memset(mem, 0, 4 * MB);
	munmap(file, PG);
	close(fd);
	free(heap);
	teardown(x);
}

/* ---------------------------------------------------------------- a BAR, by mmap */
static void bar_before(void)
{
	begin("a BAR that was mapped before the fork");
	struct ctx x = ready();
	volatile uint32_t *regs = map_bar(x.d);
	forks(PARENT, CHILD);
	LOAD(CHILD, "loads", regs);
	C("stores", store(regs + 1, 0x12345678));
	LOAD(PARENT, "loads what the child stored", regs + 1);
	P("stores", store(regs + 1, 0x01020304));
	LOAD(CHILD, "loads what the parent stored", regs + 1);
	REG(CHILD, "pread of that", x.d, LIVENESS);
	C("pwrite", set_reg(x.d, LIVENESS, 0x22222222));
	LOAD(PARENT, "loads what the child wrote", regs + 1);
	P("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", regs);
	C("stores, decoding off", store(regs + 1, 0));
	LOAD(PARENT, "loads, decoding off", regs);
	C("memory decoding on", decoding(x.d, true));
	LOAD(PARENT, "loads, decoding on", regs);
	LOAD(CHILD, "loads, decoding on", regs);
	C("memory decoding off", decoding(x.d, false));
	LOAD(PARENT, "loads, switched off by the child", regs);
	P("memory decoding on", decoding(x.d, true));
	C("mprotect to read", mprotect((void *)regs, PG, PROT_READ));
	C("stores, may not", store(regs + 1, 0));
	LOAD(CHILD, "loads, may", regs);
	P("stores, may still", store(regs + 1, 0x33333333));
	C("MAP the BAR for DMA", dma_map(x.c, 1, (void *)regs, 0x100000, PG));
	P("MAP the BAR for DMA", dma_map(x.c, 3, (void *)regs, 0x200000, PG));
	C("munmap", munmap((void *)regs, PG));
	LOAD(CHILD, "loads, unmapped", regs);
	LOAD(PARENT, "loads, unmapped in the child", regs);
	ends(PARENT, CHILD);
	LOAD(PARENT, "loads, the child gone", regs);
	munmap((void *)regs, PG);
	teardown(x);
}

static void bar_after(void)
{
	volatile uint32_t *regs = NULL;
	begin("a BAR that the child maps");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	C("mmap", (regs = map_bar(x.d)) ? 0 : -1);
	LOAD(CHILD, "loads", regs);
	C("stores", store(regs + 1, 0x12345678));
	REG(PARENT, "pread of that", x.d, LIVENESS);
	P("pwrite", set_reg(x.d, LIVENESS, 0x01020304));
	LOAD(CHILD, "loads what the parent wrote", regs + 1);
	P("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", regs);
	C("another mmap, decoding off", try_mmap(x.d, PG, PROT_READ, MAP_SHARED, 0));
	P("memory decoding on", decoding(x.d, true));
	LOAD(CHILD, "loads, decoding on", regs);
	C("mmap MAP_PRIVATE", try_mmap(x.d, PG, PROT_READ, MAP_PRIVATE, 0));
	C("mmap behind its end", try_mmap(x.d, PG, PROT_READ, MAP_SHARED, MB));
	C("mmap longer than it", try_mmap(x.d, 2 * MB, PROT_READ, MAP_SHARED, 0));
	C("mmap of config space", try_mmap(x.d, PG, PROT_READ, MAP_SHARED, CFG));
	C("mmap of a closed descriptor", try_mmap(NO_FD, PG, PROT_READ, MAP_SHARED, 0));

	begin("a mapping of the child's alone");
	DO(CHILD, close(x.c); close(x.g); close(x.d));
	P("close the device", close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	LOAD(CHILD, "loads, all closed", regs);
	C("stores, all closed", store(regs + 1, 0x44444444));
	x.d = PFD("the device anew", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	REG(PARENT, "reads what the child stored", x.d, LIVENESS);
	P("close the device again", close(x.d));
	P("UNSET_CONTAINER again", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("munmap", munmap((void *)regs, PG));
	P("UNSET_CONTAINER, unmapped", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(PARENT, CHILD);
	teardown((struct ctx){ x.c, x.g, -1 });

	begin("a mapping that ends with the child");
	x = ready();
	forks(PARENT, CHILD);
	C("mmap", (regs = map_bar(x.d)) ? 0 : -1);
	P("close the device", close(x.d));
	DO(CHILD, close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("close the group", close(x.g));
	DO(CHILD, close(x.g));
	P("the group is free", group_free(edu));
	LOAD(CHILD, "loads", regs);
	ends(PARENT, CHILD);
	P("the group is free then", group_free(edu));
	close(x.c);
}

/* The signal of a load where nothing answers, with all that it tells. */
static siginfo_t told;
static void on_bus_tells(int s, siginfo_t *info, void *unused __attribute__((unused)))
{
	told = *info;
	siglongjmp(jump, s);
}

static void bar_odds(void)
{
	struct sigaction before, tells = { .sa_sigaction = on_bus_tells, .sa_flags = SA_SIGINFO };
	begin("a BAR, odds and ends");
	struct ctx x = ready();
	volatile uint32_t *regs = map_bar(x.d), *without = map_bar(x.d), *kept = map_bar(x.d);
	P("MADV_DONTFORK", madvise((void *)without, PG, MADV_DONTFORK));
	forks(PARENT, CHILD);
	LOAD(CHILD, "loads what children do not get", without);
	LOAD(PARENT, "loads what children do not get", without);
	DO(PARENT, decoding(x.d, false));
	sigaction(SIGBUS, &tells, &before);
	C("loads, decoding off", load(regs + 8), "code %d, at it %d", told.si_code, told.si_addr == (void *)(regs + 8));
	sigaction(SIGBUS, &before, NULL);
	DO(PARENT, decoding(x.d, true));
	C("stores 8 bytes", TRY(*(volatile uint64_t *)(regs + 0x20) = 0x123));
	P("loads 8 bytes", TRY(value = (uint32_t)*(volatile uint64_t *)(regs + 0x20)), "0x%x", value);
	C("mremap", ({ void *to = mmap(NULL, PG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		void *p = mremap((void *)regs, PG, PG, MREMAP_MAYMOVE | MREMAP_FIXED, to); if (p != MAP_FAILED) regs = p; p == MAP_FAILED ? -1 : 0; }));
	LOAD(CHILD, "loads where it moved it", regs);
	LOAD(PARENT, "loads where it was", regs);
	C("a mapping over it", mmap((void *)regs, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == regs ? 0 : -1);
	LOAD(CHILD, "loads from that", regs);
	LOAD(PARENT, "loads from the BAR", regs);
	DO(PARENT, munmap((void *)regs, PG); munmap((void *)without, PG); munmap((void *)kept, PG); teardown(x));
	DO(CHILD, close(x.c); close(x.g); close(x.d));
	P("the group is free, a mapping that was inherited is left", group_free(edu));
	LOAD(CHILD, "loads from what is left", kept);
	C("munmap what is left", munmap((void *)kept, PG));
	P("the group is free then", group_free(edu));
	ends(PARENT, CHILD);
}

/* ---------------------------------------------------------------- opened anew */
static void opened_anew(void)
{
	struct ctx y = { -1, -1, -1 };
	int cdev, iommu;
	uint32_t id = 0;
	begin("opened by the child, the parent has the group");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	y.c = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	C("GET_API_VERSION", ioctl(y.c, VFIO_GET_API_VERSION));
	C("SET_IOMMU without a group", ioctl(y.c, VFIO_SET_IOMMU, TYPE));
	CFD("open the group", open(group_path(edu), O_RDWR | O_CLOEXEC));
	CFD("open a group that does not exist", open("/dev/vfio/99999", O_RDWR | O_CLOEXEC));
	y.g = CFD("open another group", open(group_path(msix), O_RDWR | O_CLOEXEC));
	P("the other group is free", group_free(msix));
	C("SET_CONTAINER", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	C("SET_IOMMU", ioctl(y.c, VFIO_SET_IOMMU, TYPE));
	y.d = CFD("GET_DEVICE_FD", ioctl(y.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	C("GET_INFO", device_there(y.d));
	C("RESET", ioctl(y.d, VFIO_DEVICE_RESET));
	C("MAP", dma_map(y.c, 3, mem, 0x100000, SIZE));
	P("MAP the same, in another container", dma_map(x.c, 3, mem, 0x100000, SIZE));
	LOCKED(CHILD, "mapped");
	DO(CHILD, teardown(y));
	LOCKED(CHILD, "closed");
	P("the other group is free, closed", group_free(msix));
	y.g = PFD("open the other group", open(group_path(msix), O_RDWR | O_CLOEXEC));
	C("the other group is free", group_free(msix));
	P("it joins the container", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	DO(PARENT, close(y.g));
	if (!access("/dev/iommu", F_OK)) {
		cdev = CFD("open the device's node", open_cdev(edu));
		iommu = CFD("open /dev/iommu", open("/dev/iommu", O_RDWR | O_CLOEXEC));
		C("BIND_IOMMUFD", bind_to(cdev, iommu, &id));
		C("IOAS_ALLOC", ioas(iommu) ? 0 : -1);
		DO(CHILD, close(cdev));
		cdev = CFD("open the other device's node", open_cdev(msix));
		C("BIND_IOMMUFD the other", bind_to(cdev, iommu, &id));
		P("the other group is free, bound", group_free(msix));
		DO(CHILD, close(cdev); close(iommu));
		P("the other group is free, not bound", group_free(msix));
	}

	begin("opened by the child, the parent has closed the group");
	DO(PARENT, teardown(x));
	CFD("open the group, open still", open(group_path(edu), O_RDWR | O_CLOEXEC));
	DO(CHILD, teardown(x));
	y.g = CFD("open the group", open(group_path(edu), O_RDWR | O_CLOEXEC));
	P("the group is free", group_free(edu));
	y.c = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	C("SET_CONTAINER", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	C("SET_IOMMU", ioctl(y.c, VFIO_SET_IOMMU, TYPE));
	y.d = CFD("GET_DEVICE_FD", ioctl(y.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("MAP", dma_map(y.c, 3, mem, 0x100000, SIZE));
	C("config space", config16(y.d, 0));
	P("GET_INFO by its old number", device_there(x.d));
	ends(PARENT, CHILD);
	P("the group is free, the child gone", group_free(edu));
}

/* ---------------------------------------------------------------- attributes */
static void attributes(void)
{
	int attr, e;
	begin("attributes");
	struct ctx x = setup(msix, TYPE, 1);
	decoding(x.d, true);
	attr = open(pci_attr(msix, "driver_override"), O_RDWR | O_CLOEXEC);
	forks(PARENT, CHILD);
	C("vendor", 0, "%s", first_line(pci_attr(msix, "vendor")));
	C("enable", 0, "%s", first_line(pci_attr(msix, "enable")));
	C("write driver_override", write_attr(msix, "driver_override", "child"));
	P("driver_override", 0, "%s", first_line(pci_attr(msix, "driver_override")));
	P("write driver_override", write_attr(msix, "driver_override", "vfio-pci"));
	C("driver_override", 0, "%s", first_line(pci_attr(msix, "driver_override")));
	C("write driver_override, opened before the fork", pwrite(attr, "again", 5, 0));
	P("driver_override then", 0, "%s", first_line(pci_attr(msix, "driver_override")));
	C("write vendor", write_attr(msix, "vendor", "1"));
	C("write what does not exist", write_attr(msix, "nothing", "1"));
	DO(PARENT, write_attr(msix, "driver_override", "vfio-pci"));
	C("reset_method", 0, "%s", first_line(pci_attr(msix, "reset_method")));
	P("writes a register", set_reg(x.d, 0x14, 0x460000));
	C("write reset", write_attr(msix, "reset", "1"));
	REG(PARENT, "reads it", x.d, 0x14);
	C("write reset, garbage", write_attr(msix, "reset", "x"));
	C("config: the vendor's first byte", raw_config(msix, 0, NULL));
	C("config: write the interrupt line", raw_config(msix, 0x3c, &(uint8_t){ 0x77 }));
	P("config: the interrupt line", raw_config(msix, 0x3c, NULL));
	P("config: write the interrupt line", raw_config(msix, 0x3c, &(uint8_t){ 0x33 }));
	C("config: the interrupt line", raw_config(msix, 0x3c, NULL));
	C("the group by sysfs is the parent's", strcmp(group_path(msix), "/nonexistent") ? 0 : -1);
	C("write bind, bound already", write_file("/sys/bus/pci/drivers/vfio-pci/bind", msix));
	close(attr);

	begin("the child takes the device away");
	e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	P("SET_IRQS REQ", set_irq(x.d, REQ, e));
	DO(CHILD, teardown(x)); /* else it would wait for itself */
	if (me == CHILD)
		write_file("/sys/bus/pci/drivers/vfio-pci/unbind", msix);
	P("asked back", asked_back(e));
	P("GET_INFO", device_there(x.d));
	P("close the device", close(x.d));
	C("unbound", access(pci_attr(msix, "driver"), F_OK));
	P("unbound", access(pci_attr(msix, "driver"), F_OK));
	PFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("close the group", close(x.g));
	C("write bind", write_file("/sys/bus/pci/drivers/vfio-pci/bind", msix));
	P("bound", access(pci_attr(msix, "driver"), F_OK));
	ends(PARENT, CHILD);
	close(x.c);
	close(e);
	x = setup(msix, TYPE, 1);
	P("GET_INFO, bound again", device_there(x.d));
	teardown(x);
}

/* ---------------------------------------------------------------- all at once */
static int churn(struct ctx x, volatile uint32_t *regs, uint64_t iova)
{
	int n = 0;
	for (int i = 0; i < 200; i++)
		n += asks(x, regs, iova);
	return n;
}

/* Without turns: what one of them does must not disturb the others. */
static void at_once(void)
{
	int n;
	begin("all at once");
	names[OTHER] = "second child";
	struct ctx x = ready();
	volatile uint32_t *regs = map_bar(x.d);
	forks(PARENT, CHILD);
	forks(PARENT, OTHER);
	n = churn(x, regs, me == PARENT ? 0x100000 : me == CHILD ? 0x200000 : 0x300000);
	P("of 1000", n);
	C("of 1000", n);
	O("of 1000", n);
	n = 0;
	for (int i = 0; i < 100; i++) {
		int d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu);
		n += d >= 0 && !device_there(d) && !close(d);
	}
	P("opened and closed, of 100", n);
	C("opened and closed, of 100", n);
	O("opened and closed, of 100", n);
	P("MAP where all did", dma_map(x.c, 3, mem, 0x100000, 3 * MB));
	LOCKED(PARENT, "mapped");
	LOCKED(CHILD, "nothing mapped");
	ends(PARENT, CHILD);
	ends(PARENT, OTHER);
	munmap((void *)regs, PG);
	teardown(x);
}

int main(int argc, char **argv)
{
	start_children(argc, argv);
	container();
	mapping();
	vaddr();
	dirty_bitmap();
	group();
	numbers();
	same_numbers();
	last_one();
	device_info();
	device_io();
	resets();
	pointers();
	interrupts();
	ioeventfds();
	dma_of_child();
	dma_of_parent();
	dma_copy_on_write();
	dma_and_gone();
	dma_kinds();
	bar_before();
	bar_after();
	bar_odds();
	opened_anew();
	attributes();
	at_once();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
