/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * legacy.c - some hundred awkward questions to a VFIO implementation, one line per answer.
 *
 * Each line is "area | case | return | errno | what else came back".  The answers of real kernels are
 * recorded beside this file (legacy.linux-*.txt); tests/conformance/compare runs this program and compares.
 * It uses the uAPI alone and runs on a real Linux as well as under softvfio.
 *
 * usage: legacy EDU [MSIX]    PCI addresses.  EDU is QEMU's "edu" device (INTx, one MSI, no reset) on
 * the root bus, MSIX a PCIe device with MSI-X and a function level reset (QEMU's "nvme") behind a root
 * port.  Both are bound to vfio-pci, each alone in its group.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/calls.h"

/* ---------------------------------------------------------------- plumbing */
static int set_irqs(int d, uint32_t argsz, uint32_t flags, uint32_t index, uint32_t start, uint32_t cnt, const void *data, size_t len)
{
	static char buf[8192];
	struct vfio_irq_set *s = (void *)buf;
	memset(buf, 0, sizeof(buf));
	*s = (struct vfio_irq_set){ .argsz = argsz ? argsz : sizeof(*s) + len, .flags = flags, .index = index, .start = start, .count = cnt };
	if (len)
		memcpy(s->data, data, len);
	return ioctl(d, VFIO_DEVICE_SET_IRQS, s);
}
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIG VFIO_IRQ_SET_ACTION_TRIGGER

static uint64_t region(int d, unsigned i, uint64_t *size)
{
	struct vfio_region_info r = { .argsz = sizeof(r), .index = i };
	if (ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r))
		r.offset = r.size = 0;
	if (size)
		*size = r.size;
	return r.offset;
}

static sigjmp_buf jump;
static void on_bus(int s) { siglongjmp(jump, s); }
static uint32_t value;
/* 0, or the number of the signal that reading there brought */
static int peek(volatile void *p)
{
	int s = sigsetjmp(jump, 1);
	if (!s)
		value = *(volatile uint32_t *)p;
	return s;
}

/* ---------------------------------------------------------------- container and group */
static void container(void)
{
	begin("container");
	char b[8];
	int c = TFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	T("GET_API_VERSION", ioctl(c, VFIO_GET_API_VERSION));
	T("CHECK_EXTENSION 1000", ioctl(c, VFIO_CHECK_EXTENSION, 1000));
	T("CHECK_EXTENSION -1", ioctl(c, VFIO_CHECK_EXTENSION, -1L));
	T("SET_IOMMU type1v2 without a group", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	struct vfio_iommu_type1_info ii = { .argsz = sizeof(ii) };
	T("IOMMU_GET_INFO before SET_IOMMU", ioctl(c, VFIO_IOMMU_GET_INFO, &ii));
	T("MAP_DMA before SET_IOMMU", dma_map(c, 3, mem, 0, PG));
	T("UNMAP_DMA before SET_IOMMU", dma_unmap(c, 0, 0, PG));
	T("unknown ioctl before SET_IOMMU", ioctl(c, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("TCGETS-like foreign ioctl", ioctl(c, _IO('T', 1), BAD));
	T("read", read(c, b, 8));
	T("write", write(c, b, 8));
	T("mmap", try_mmap(c, PG, PROT_READ, MAP_SHARED, 0));
	T("lseek", lseek(c, 0, SEEK_SET));
	T("GROUP_GET_STATUS on a container", ioctl(c, VFIO_GROUP_GET_STATUS, &ii));
	close(c);
}

static void group(void)
{
	begin("group");
	char b[8], path[64];
	struct vfio_group_status st = { .argsz = sizeof(st) };
	strcpy(path, group_path(edu));
	T("open a group that does not exist", open("/dev/vfio/99999", O_RDWR));
	int g = TFD("open", open(path, O_RDWR | O_CLOEXEC));
	TFD("open a second time", open(path, O_RDWR | O_CLOEXEC));
	T("GET_STATUS", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	note("flags 0x%x", st.flags);
	st.argsz = 4;
	T("GET_STATUS argsz 4", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	st.argsz = 100;
	T("GET_STATUS argsz 100", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	note("argsz out %u", st.argsz);
	T("GET_STATUS bad pointer", ioctl(g, VFIO_GROUP_GET_STATUS, BAD));
	T("UNSET_CONTAINER without one", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	T("GET_DEVICE_FD without a container", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	int fd = -1, null = open("/dev/null", O_RDWR), c = open("/dev/vfio/vfio", O_RDWR), c2 = open("/dev/vfio/vfio", O_RDWR);
	T("SET_CONTAINER -1", ioctl(g, VFIO_GROUP_SET_CONTAINER, &fd));
	fd = 999;
	T("SET_CONTAINER a closed descriptor", ioctl(g, VFIO_GROUP_SET_CONTAINER, &fd));
	T("SET_CONTAINER /dev/null", ioctl(g, VFIO_GROUP_SET_CONTAINER, &null));
	T("SET_CONTAINER the group itself", ioctl(g, VFIO_GROUP_SET_CONTAINER, &g));
	T("SET_CONTAINER bad pointer", ioctl(g, VFIO_GROUP_SET_CONTAINER, BAD));
	T("SET_CONTAINER", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	st.argsz = sizeof(st);
	T("GET_STATUS with a container", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	note("flags 0x%x", st.flags);
	T("SET_CONTAINER the same again", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	T("SET_CONTAINER another", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c2));
	T("GET_DEVICE_FD before SET_IOMMU", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("SET_IOMMU 0", ioctl(c, VFIO_SET_IOMMU, 0));
	T("SET_IOMMU 2 (sPAPR)", ioctl(c, VFIO_SET_IOMMU, 2));
	T("SET_IOMMU 8 (no-IOMMU)", ioctl(c, VFIO_SET_IOMMU, 8));
	T("SET_IOMMU 9 (UNMAP_ALL, an extension that is no type)", ioctl(c, VFIO_SET_IOMMU, 9));
	T("SET_IOMMU 99", ioctl(c, VFIO_SET_IOMMU, 99));
	T("SET_IOMMU type1v2", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("SET_IOMMU a second time", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("unknown ioctl on the container now", ioctl(c, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("IOMMU_ENABLE (sPAPR only)", ioctl(c, VFIO_IOMMU_ENABLE));
	T("GET_DEVICE_FD wrong name", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "0000:ff:1f.7"));
	T("GET_DEVICE_FD a device of another group", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, msix));
	T("GET_DEVICE_FD empty name", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, ""));
	T("GET_DEVICE_FD name without the domain", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu + 5));
	snprintf(path, sizeof(path), "%s ", edu);
	TFD("GET_DEVICE_FD name and a blank", fd = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, path));
	close(fd);
	snprintf(path, sizeof(path), "%s x=y", edu);
	TFD("GET_DEVICE_FD name and \"x=y\"", fd = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, path));
	close(fd);
	snprintf(path, sizeof(path), "%s vf_token=01234567-89ab-cdef-0123-456789abcdef", edu);
	TFD("GET_DEVICE_FD name and a vf_token (not a VF)", fd = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, path));
	close(fd);
	T("GET_DEVICE_FD NULL", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NULL));
	T("GET_DEVICE_FD bad pointer", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, BAD));
	memset(mem, 'a', 2 * PG);
	T("GET_DEVICE_FD a name longer than a page", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, mem));
	int d = TFD("GET_DEVICE_FD", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	note(", FD_CLOEXEC %d", fcntl(d, F_GETFD));
	int d2 = TFD("GET_DEVICE_FD a second time", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("UNSET_CONTAINER with a device open", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	close(d);
	close(d2);
	T("UNSET_CONTAINER after closing both", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	T("MAP_DMA after the last group left", dma_map(c, 3, mem, 0, PG));
	T("unknown ioctl", ioctl(g, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("read", read(g, b, 8));
	T("mmap", try_mmap(g, PG, PROT_READ, MAP_SHARED, 0));
	close(g); close(c); close(c2); close(null);
}

/* ---------------------------------------------------------------- type1 */
static void map_v2(void)
{
	begin("type1v2");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 0);
	int c = x.c;
	struct vfio_iommu_type1_info ii = { .argsz = 8 };
	T("IOMMU_GET_INFO argsz 8", ioctl(c, VFIO_IOMMU_GET_INFO, &ii));
	T("IOMMU_GET_INFO bad pointer", ioctl(c, VFIO_IOMMU_GET_INFO, BAD));
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m) - 1, .flags = 3, .vaddr = (uintptr_t)mem, .size = PG };
	T("MAP argsz one short", ioctl(c, VFIO_IOMMU_MAP_DMA, &m));
	m.argsz = 0;
	T("MAP argsz 0", ioctl(c, VFIO_IOMMU_MAP_DMA, &m));
	T("MAP bad pointer", ioctl(c, VFIO_IOMMU_MAP_DMA, BAD));
	T("MAP flags 0", dma_map(c, 0, mem, 0, PG));
	T("MAP flags 8 (unknown)", dma_map(c, 8, mem, 0, PG));
	T("MAP flags READ+unknown", dma_map(c, 9, mem, 0, PG));
	T("MAP size 0", dma_map(c, 3, mem, 0, 0));
	T("MAP size 1", dma_map(c, 3, mem, 0, 1));
	T("MAP size 4097", dma_map(c, 3, mem, 0, PG + 1));
	T("MAP iova unaligned", dma_map(c, 3, mem, 1, PG));
	T("MAP vaddr unaligned", dma_map(c, 3, mem + 1, 0, PG));
	T("MAP iova + size wraps", dma_map(c, 3, mem, -PG, 2 * PG));
	T("MAP vaddr + size wraps", dma_map(c, 3, (void *)-PG, 0, 2 * PG));
	T("MAP at the very last page of 64 bits", dma_map(c, 3, mem, -PG, PG));
	T("MAP beyond the IOMMU's width (1 << 57)", dma_map(c, 3, mem, 1ull << 57, PG));
	T("MAP in the MSI window (0xfee00000)", dma_map(c, 3, mem, 0xfee00000, PG));
	T("MAP across the MSI window", dma_map(c, 3, mem, 0xfee00000 - PG, 2 * PG));
	T("MAP vaddr not mapped", dma_map(c, 3, (void *)PG, 0, PG));
	void *ro = mmap(NULL, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T("MAP WRITE of a PROT_READ page", dma_map(c, 3, ro, 0, PG));
	T("MAP READ of a PROT_READ page", dma_map(c, 1, ro, 0, PG));
	dma_unmap(c, 0, 0, PG);
	mprotect(ro, PG, PROT_NONE);
	T("MAP READ of a PROT_NONE page", dma_map(c, 1, ro, 0, PG));
	char *half = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(half + 2 * PG, PG);
	T("MAP with a hole in the middle", dma_map(c, 3, half, 0, 4 * PG));
	TU("UNMAP after that failure", c, 0, 0, 4 * PG);
	T("MAP WRITE only", dma_map(c, 2, mem, 0x100000, 4 * PG));
	T("MAP the same again", dma_map(c, 3, mem, 0x100000, 4 * PG));
	T("MAP overlapping the tail", dma_map(c, 3, mem, 0x103000, 4 * PG));
	T("MAP overlapping the head", dma_map(c, 3, mem, 0xff000, 2 * PG));
	T("MAP around it", dma_map(c, 3, mem, 0xff000, 8 * PG));
	T("MAP right behind it", dma_map(c, 3, mem, 0x104000, 4 * PG));
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u) - 1, .iova = 0x100000, .size = PG };
	T("UNMAP argsz one short", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u));
	note("size out 0x%llx", u.size);
	T("UNMAP bad pointer", ioctl(c, VFIO_IOMMU_UNMAP_DMA, BAD));
	TU("UNMAP flags 8 (unknown)", c, 8, 0x100000, PG);
	TU("UNMAP size 0", c, 0, 0x100000, 0);
	TU("UNMAP size 1", c, 0, 0x100000, 1);
	TU("UNMAP iova unaligned", c, 0, 0x100001, PG);
	TU("UNMAP iova + size wraps", c, 0, -PG, 2 * PG);
	TU("UNMAP nothing there", c, 0, 0x900000, PG);
	TU("UNMAP the first page of four", c, 0, 0x100000, PG);
	TU("UNMAP the last page of four", c, 0, 0x103000, PG);
	TU("UNMAP the middle of four", c, 0, 0x101000, 2 * PG);
	TU("UNMAP one mapping and half the next", c, 0, 0x100000, 6 * PG);
	TU("UNMAP both, and space around", c, 0, 0xf0000, 32 * PG);
	TU("UNMAP both again", c, 0, 0xf0000, 32 * PG);
	dma_map(c, 3, mem, 0x100000, PG);
	dma_map(c, 3, mem, 0x200000, PG);
	TU("UNMAP_ALL with an iova", c, VFIO_DMA_UNMAP_FLAG_ALL, 0x100000, 0);
	TU("UNMAP_ALL with a size", c, VFIO_DMA_UNMAP_FLAG_ALL, 0, PG);
	TU("UNMAP_ALL + GET_DIRTY_BITMAP", c, VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 0, 0);
	TU("UNMAP_ALL", c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	TU("UNMAP_ALL with nothing mapped", c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	dma_map(c, 3, mem, 0, PG);
	TU("UNMAP iova 0 size ~0 - 4095", c, 0, 0, -PG);

	begin("type1v2 limits");
	unsigned n = 0;
	while (n < 70000 && !dma_map(c, 3, mem, 0x1000000 + n * PG, PG))
		n++;
	T("MAP one more than dma_entry_limit", dma_map(c, 3, mem, 0x1000000 + n * PG, PG));
	note("after %u mappings", n);
	dma_unmap(c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);

	begin("type1v2 vaddr");
	dma_map(c, 3, mem, 0x100000, 4 * PG);
	T("MAP VADDR+READ", dma_map(c, 5, mem, 0x100000, 4 * PG));
	T("MAP VADDR of a mapping that is still valid", dma_map(c, 4, mem, 0x100000, 4 * PG));
	T("MAP VADDR where nothing is mapped", dma_map(c, 4, mem, 0x800000, PG));
	TU("UNMAP VADDR+GET_DIRTY_BITMAP", c, VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 0x100000, 4 * PG);
	TU("UNMAP VADDR", c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, 4 * PG);
	TU("UNMAP VADDR twice", c, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, 4 * PG);
	T("MAP VADDR of half of it", dma_map(c, 4, mem, 0x100000, 2 * PG));
	T("MAP VADDR", dma_map(c, 4, mem + 8 * PG, 0x100000, 4 * PG));
	TU("UNMAP VADDR+ALL", c, VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	TU("UNMAP a mapping whose vaddr is invalid", c, 0, 0x100000, 4 * PG);

	begin("type1v2 dirty");
	struct { struct vfio_iommu_type1_dirty_bitmap h; struct vfio_iommu_type1_dirty_bitmap_get g; } q = { 0 };
	uint64_t bits[8] = { 0 };
	dma_map(c, 3, mem, 0x100000, 4 * PG);
	q.h = (struct vfio_iommu_type1_dirty_bitmap){ .argsz = sizeof(q), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP };
	q.g = (struct vfio_iommu_type1_dirty_bitmap_get){ .iova = 0x100000, .size = 4 * PG, .bitmap = { .pgsize = PG, .size = 8, .data = (void *)bits } };
	T("GET_BITMAP before START", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	T("STOP before START", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.flags = 3;
	T("START+STOP", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.flags = 8;
	T("unknown flag", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	q.h.argsz = 4;
	T("START argsz 4", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.argsz = sizeof(q.h);
	T("START", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	T("START a second time", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	T("GET_BITMAP argsz of the header only", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.h.argsz = sizeof(q);
	T("GET_BITMAP", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	note("bitmap 0x%llx", (unsigned long long)bits[0]);
	bits[0] = 0;
	T("GET_BITMAP again", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	note("bitmap 0x%llx", (unsigned long long)bits[0]);
	q.g.bitmap.pgsize = 2 * MB;
	T("GET_BITMAP pgsize 2M", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.bitmap.pgsize = PG;
	q.g.bitmap.size = 0;
	T("GET_BITMAP bitmap.size 0", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.bitmap.size = 4;
	T("GET_BITMAP bitmap.size 4", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.bitmap.size = 8;
	q.g.bitmap.data = BAD;
	T("GET_BITMAP bad data pointer", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.bitmap.data = (void *)bits;
	q.g.size = 2 * PG;
	T("GET_BITMAP half a mapping", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.size = 8 * PG;
	T("GET_BITMAP more than the mapping", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.iova = 0x900000;
	T("GET_BITMAP where nothing is mapped", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	q.g.iova = 0x100001;
	T("GET_BITMAP unaligned iova", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	struct { struct vfio_iommu_type1_dma_unmap u; struct vfio_bitmap b; } ub = {
		.u = { .argsz = sizeof(ub), .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, .iova = 0x100000, .size = 4 * PG },
		.b = { .pgsize = PG, .size = 8, .data = (void *)bits } };
	ub.u.argsz = sizeof(ub.u);
	T("UNMAP GET_DIRTY_BITMAP without a bitmap", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &ub));
	ub.u.argsz = sizeof(ub);
	T("UNMAP GET_DIRTY_BITMAP", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &ub));
	note("size out 0x%llx bitmap 0x%llx", ub.u.size, (unsigned long long)bits[0]);
	q.h.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	T("STOP", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	T("STOP again", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	teardown(x);
}

static void map_v1(void)
{
	begin("type1 (v1)");
	struct ctx x = setup(edu, VFIO_TYPE1_IOMMU, 0);
	int c = x.c;
	T("MAP 4 pages", dma_map(c, 3, mem, 0x100000, 4 * PG));
	T("MAP the same again", dma_map(c, 3, mem, 0x100000, 4 * PG));
	TU("UNMAP the middle of four", c, 0, 0x101000, PG);
	TU("UNMAP the last page of four", c, 0, 0x103000, PG);
	TU("UNMAP the first page of four", c, 0, 0x100000, PG);
	TU("UNMAP it again", c, 0, 0x100000, 4 * PG);
	dma_map(c, 3, mem, 0x100000, 4 * PG);
	dma_map(c, 3, mem, 0x104000, 4 * PG);
	TU("UNMAP one mapping and half the next", c, 0, 0x100000, 6 * PG);
	dma_map(c, 3, mem, 0x100000, 4 * PG);
	TU("UNMAP from before the mapping into its middle", c, 0, 0xff000, 2 * PG);
	TU("UNMAP size 0", c, 0, 0x100000, 0);
	dma_map(c, 3, mem, 0x100000, 4 * PG);
	TU("UNMAP_ALL", c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	struct vfio_iommu_type1_dirty_bitmap q = { .argsz = sizeof(q), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START };
	T("DIRTY_PAGES START", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q));
	teardown(x);
}

/* ---------------------------------------------------------------- the device */
static void device_info(void)
{
	begin("device info");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int d = x.d;
	struct vfio_device_info di = { .argsz = 15 };
	T("GET_INFO argsz 15", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	di.argsz = 16;
	T("GET_INFO argsz 16 (no cap_offset)", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	note("argsz out %u flags 0x%x regions %u irqs %u", di.argsz, di.flags, di.num_regions, di.num_irqs);
	di.argsz = 4096;
	T("GET_INFO argsz 4096", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	note("argsz out %u", di.argsz);
	T("GET_INFO bad pointer", ioctl(d, VFIO_DEVICE_GET_INFO, BAD));
	struct vfio_region_info r = { .argsz = sizeof(r) - 1 };
	T("GET_REGION_INFO argsz one short", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
	r = (struct vfio_region_info){ .argsz = sizeof(r), .index = 6 };
	T("GET_REGION_INFO ROM of a device without one", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
	note("size 0x%llx flags 0x%x", r.size, r.flags);
	r = (struct vfio_region_info){ .argsz = sizeof(r), .index = 8 };
	T("GET_REGION_INFO VGA of a device that is none", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
	r = (struct vfio_region_info){ .argsz = sizeof(r), .index = 9 };
	T("GET_REGION_INFO index 9", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
	r.index = ~0u;
	T("GET_REGION_INFO index ~0", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
	T("GET_REGION_INFO bad pointer", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, BAD));
	struct vfio_irq_info q = { .argsz = sizeof(q) - 1 };
	T("GET_IRQ_INFO argsz one short", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
	q = (struct vfio_irq_info){ .argsz = sizeof(q), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	T("GET_IRQ_INFO MSI-X of a device without it", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
	note("count %u flags 0x%x", q.count, q.flags);
	q.index = VFIO_PCI_ERR_IRQ_INDEX;
	T("GET_IRQ_INFO ERR of a conventional device", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
	q.index = 5;
	T("GET_IRQ_INFO index 5", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
	T("RESET of a device without any reset", ioctl(d, VFIO_DEVICE_RESET));
	struct { struct vfio_pci_hot_reset_info h; struct vfio_pci_dependent_device dev[8]; } hi = { .h.argsz = sizeof(hi) };
	T("GET_PCI_HOT_RESET_INFO on the root bus", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi));
	struct { struct vfio_pci_hot_reset h; int fd[4]; } hr = { .h = { .argsz = sizeof(hr), .count = 1 }, .fd = { x.g } };
	T("PCI_HOT_RESET on the root bus", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	T("unknown ioctl", ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("QUERY_GFX_PLANE", ioctl(d, VFIO_DEVICE_QUERY_GFX_PLANE, &hi));
	struct vfio_device_bind_iommufd b = { .argsz = sizeof(b), .iommufd = 0 };
	T("BIND_IOMMUFD on a group's device", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	struct vfio_device_attach_iommufd_pt at = { .argsz = sizeof(at), .pt_id = 1 };
	T("ATTACH_IOMMUFD_PT on a group's device", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	struct { struct vfio_device_feature f; char data[32]; } ft = { .f = { .argsz = 4 } };
	T("FEATURE argsz 4", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	ft.f = (struct vfio_device_feature){ .argsz = sizeof(ft), .flags = 3 };
	T("FEATURE low power entry, neither GET, SET nor PROBE", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	ft.f.flags = 3 | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	T("FEATURE GET+SET", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	ft.f.flags = 3 | 1 << 20 | VFIO_DEVICE_FEATURE_PROBE;
	T("FEATURE unknown flag", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	ft.f.flags = 999 | VFIO_DEVICE_FEATURE_PROBE;
	T("FEATURE unknown number, PROBE", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	ft.f.flags = 1 | VFIO_DEVICE_FEATURE_GET;
	T("FEATURE MIGRATION, GET", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	ft.f.flags = 3 | VFIO_DEVICE_FEATURE_PROBE;
	T("FEATURE low power entry, PROBE", ioctl(d, VFIO_DEVICE_FEATURE, &ft));
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = 4, .fd = -1 };
	T("IOEVENTFD remove one that is not there", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	io.fd = open("/dev/null", O_RDWR);
	T("IOEVENTFD with /dev/null", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	close(io.fd);
	io.fd = eventfd(0, 0);
	T("IOEVENTFD 32 bits on BAR0+4", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	T("IOEVENTFD the same again", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	io.offset = 5;
	T("IOEVENTFD unaligned", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	io.flags = 3;
	T("IOEVENTFD two sizes", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	io.flags = 0;
	T("IOEVENTFD no size", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	io.flags = VFIO_DEVICE_IOEVENTFD_32;
	io.offset = region(d, 7, NULL) + 4;
	T("IOEVENTFD on config space", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	io.offset = region(d, 1, NULL);
	T("IOEVENTFD on an absent BAR", ioctl(d, VFIO_DEVICE_IOEVENTFD, &io));
	close(io.fd);
	teardown(x);
}

static void device_io(void)
{
	begin("device i/o");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int d = x.d;
	static unsigned char b[8192];
	uint64_t bs, cs, b0 = region(d, 0, &bs), cfg = region(d, 7, &cs), b1 = region(d, 1, NULL), rom = region(d, 6, NULL), vga = 8ull << 40;
	T("lseek", lseek(d, 0, SEEK_CUR));
	T("read (no offset)", read(d, b, 4));
	T("pread config, 0 bytes", pread(d, b, 0, cfg));
	T("pread config, 3 bytes at 1", pread(d, b, 3, cfg + 1));
	T("pread config, 4096 bytes at 0", pread(d, b, 4096, cfg));
	T("pread config, 4 bytes at 254", pread(d, b, 4, cfg + 254));
	T("pread config, 4 bytes at its end", pread(d, b, 4, cfg + cs));
	T("pread config, 4 bytes behind its end", pread(d, b, 4, cfg + cs + 4));
	T("pread config, bad buffer", pread(d, BAD, 4, cfg));
	uint16_t v = 0xffff;
	T("pwrite config vendor id (read-only)", pwrite(d, &v, 2, cfg));
	pread(d, &v, 2, cfg);
	note("reads back 0x%x", v);
	uint32_t w = 0xffffffff;
	T("pwrite config BAR0 = ~0", pwrite(d, &w, 4, cfg + 0x10));
	pread(d, &w, 4, cfg + 0x10);
	note("reads back 0x%x", w);
	w = 0xffffffff;
	T("pwrite config BAR1 (absent) = ~0", pwrite(d, &w, 4, cfg + 0x14));
	pread(d, &w, 4, cfg + 0x14);
	note("reads back 0x%x", w);
	w = 0xffffffff;
	T("pwrite config ROM BAR (absent) = ~0", pwrite(d, &w, 4, cfg + 0x30));
	pread(d, &w, 4, cfg + 0x30);
	note("reads back 0x%x", w);
	v = 0xffff;
	T("pwrite config COMMAND = 0xffff", pwrite(d, &v, 2, cfg + 4));
	pread(d, &v, 2, cfg + 4);
	note("reads back 0x%x", v);
	v = 0xffff;
	T("pwrite config interrupt line/pin = 0xffff", pwrite(d, &v, 2, cfg + 0x3c));
	pread(d, &v, 2, cfg + 0x3c);
	note("reads back 0x%x", v);
	v = 0xffff;
	T("pwrite config MSI control = 0xffff", pwrite(d, &v, 2, cfg + 0x42));
	pread(d, &v, 2, cfg + 0x42);
	note("reads back 0x%x", v);
	v = 2;
	pwrite(d, &v, 2, cfg + 4);
	T("pread BAR0, 4 bytes", pread(d, b, 4, b0));
	note("0x%x", *(uint32_t *)b);
	T("pread BAR0, 1 byte", pread(d, b, 1, b0));
	note("0x%x", b[0]);
	T("pread BAR0, 3 bytes at 1", pread(d, b, 3, b0 + 1));
	T("pread BAR0, 64 bytes", pread(d, b, 64, b0));
	T("pread BAR0, 8 bytes, 4 before its end", pread(d, b, 8, b0 + bs - 4));
	T("pread BAR0 at its end", pread(d, b, 4, b0 + bs));
	T("pread BAR0, bad buffer", pread(d, BAD, 4, b0));
	T("pread BAR1 (absent)", pread(d, b, 4, b1));
	T("pread ROM (absent)", pread(d, b, 4, rom));
	T("pread VGA", pread(d, b, 4, vga));
	T("pread index 9", pread(d, b, 4, 9ull << 40));
	T("pread index 1000", pread(d, b, 4, 1000ull << 40));
	T("pwrite ROM (absent)", pwrite(d, b, 4, rom));

	struct ctx y = setup(msix, VFIO_TYPE1v2_IOMMU, 1);
	uint64_t ycfg = region(y.d, 7, &cs);
	T("PCIe: pread config, all of it", pread(y.d, b, cs, ycfg));
	note("region size 0x%llx", (unsigned long long)cs);
	T("PCIe: pread config, 8 bytes, 4 before its end", pread(y.d, b, 8, ycfg + cs - 4));
	T("PCIe: pread config, 8 bytes across 256", pread(y.d, b, 8, ycfg + 252));
	teardown(y);

	begin("device mmap");
	const int RW = PROT_READ | PROT_WRITE;
	T("BAR0 shared", try_mmap(d, bs, RW, MAP_SHARED, b0));
	T("BAR0 private", try_mmap(d, bs, RW, MAP_PRIVATE, b0));
	T("BAR0 read only", try_mmap(d, bs, PROT_READ, MAP_SHARED, b0));
	T("BAR0 PROT_EXEC", try_mmap(d, bs, PROT_READ | PROT_EXEC, MAP_SHARED, b0));
	T("BAR0 PROT_NONE", try_mmap(d, bs, PROT_NONE, MAP_SHARED, b0));
	T("BAR0 one page from the middle", try_mmap(d, PG, RW, MAP_SHARED, b0 + 16 * PG));
	T("BAR0 one page too long", try_mmap(d, bs + PG, RW, MAP_SHARED, b0));
	T("BAR0 at its end", try_mmap(d, PG, RW, MAP_SHARED, b0 + bs));
	T("BAR0 unaligned offset", try_mmap(d, PG, RW, MAP_SHARED, b0 + 1));
	T("BAR1 (absent)", try_mmap(d, PG, RW, MAP_SHARED, b1));
	T("ROM", try_mmap(d, PG, PROT_READ, MAP_SHARED, rom));
	T("config", try_mmap(d, PG, RW, MAP_SHARED, cfg));
	T("index 9", try_mmap(d, PG, RW, MAP_SHARED, 9ull << 40));
	volatile uint32_t *m = mmap(NULL, bs, RW, MAP_SHARED, d, b0);
	T("touch BAR0, memory decoding on", peek(m));
	note("value 0x%x", value);
	v = 0;
	pwrite(d, &v, 2, cfg + 4);
	T("touch BAR0, memory decoding off (signal number)", peek(m));
	T("pread BAR0, memory decoding off", pread(d, b, 4, b0));
	T("pwrite BAR0, memory decoding off", pwrite(d, b, 4, b0));
	v = 2;
	pwrite(d, &v, 2, cfg + 4);
	T("touch BAR0, memory decoding on again", peek(m));
	note("value 0x%x", value);
	T("MAP_DMA of a BAR mapping (peer to peer)", dma_map(x.c, 3, (void *)m, 0x10000000, bs));
	v = 0;
	pwrite(d, &v, 2, cfg + 4);
	T("MAP_DMA of it, memory decoding off", dma_map(x.c, 3, (void *)m, 0x20000000, bs));
	v = 2;
	pwrite(d, &v, 2, cfg + 4);
	teardown(x);
	T("touch BAR0 after every descriptor was closed (the mapping holds the device)", peek(m));
	note("value 0x%x", value);
	munmap((void *)m, bs);
}

static void irqs(void)
{
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1), y = setup(msix, VFIO_TYPE1v2_IOMMU, 1);
	int d = x.d, e = eventfd(0, EFD_NONBLOCK), e2 = eventfd(0, EFD_NONBLOCK), null = open("/dev/null", O_RDWR), neg = -1, neg2 = -2, closed = 999;
	uint8_t one = 1, zero = 0;
	const unsigned INTX = VFIO_PCI_INTX_IRQ_INDEX, MSI = VFIO_PCI_MSI_IRQ_INDEX, MSIX = VFIO_PCI_MSIX_IRQ_INDEX, ERR = VFIO_PCI_ERR_IRQ_INDEX, REQ = VFIO_PCI_REQ_IRQ_INDEX;
	begin("SET_IRQS header");
	T("bad pointer", ioctl(d, VFIO_DEVICE_SET_IRQS, BAD));
	T("argsz 16", set_irqs(d, 16, NONE | TRIG, MSI, 0, 0, NULL, 0));
	T("flags 0", set_irqs(d, 0, 0, MSI, 0, 0, NULL, 0));
	T("no data type", set_irqs(d, 0, TRIG, MSI, 0, 1, &e, 4));
	T("no action", set_irqs(d, 0, EVFD, MSI, 0, 1, &e, 4));
	T("two data types", set_irqs(d, 0, EVFD | NONE | TRIG, MSI, 0, 1, &e, 4));
	T("two actions", set_irqs(d, 0, EVFD | TRIG | MASK, MSI, 0, 1, &e, 4));
	T("unknown flag 64", set_irqs(d, 0, EVFD | TRIG | 64, MSI, 0, 1, &e, 4));
	T("index 5", set_irqs(d, 0, EVFD | TRIG, 5, 0, 1, &e, 4));
	T("index of an absent kind (MSI-X)", set_irqs(d, 0, EVFD | TRIG, MSIX, 0, 1, &e, 4));
	T("start = count of the index", set_irqs(d, 0, EVFD | TRIG, MSI, 1, 1, &e, 4));
	T("start ~0", set_irqs(d, 0, EVFD | TRIG, MSI, ~0u, 1, &e, 4));
	T("count 2 of 1", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 2, &e, 4));
	T("count ~0", set_irqs(d, 0, EVFD | TRIG, MSI, 0, ~0u, &e, 4));
	T("argsz too small for the eventfd", set_irqs(d, 20, EVFD | TRIG, MSI, 0, 1, &e, 4));
	T("EVENTFD with count 0, not enabled", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 0, NULL, 0));
	T("BOOL with count 0, not enabled", set_irqs(d, 0, BOOL | TRIG, MSI, 0, 0, NULL, 0));

	begin("SET_IRQS INTx");
	T("trigger NONE, not enabled", set_irqs(d, 0, NONE | TRIG, INTX, 0, 1, NULL, 0));
	T("trigger NONE count 0, not enabled", set_irqs(d, 0, NONE | TRIG, INTX, 0, 0, NULL, 0));
	T("mask, not enabled", set_irqs(d, 0, NONE | MASK, INTX, 0, 1, NULL, 0));
	T("unmask, not enabled", set_irqs(d, 0, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	T("eventfd -1, not enabled", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &neg, 4));
	T("eventfd -2", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &neg2, 4));
	T("disable", set_irqs(d, 0, NONE | TRIG, INTX, 0, 0, NULL, 0));
	T("closed descriptor", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &closed, 4));
	T("/dev/null", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &null, 4));
	T("enable", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &e, 4));
	T("replace the eventfd", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &e2, 4));
	T("MSI while INTx is enabled", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &e, 4));
	T("trigger NONE", set_irqs(d, 0, NONE | TRIG, INTX, 0, 1, NULL, 0));
	uint64_t n = 0;
	note("eventfd read %zd", read(e2, &n, 8));
	T("trigger BOOL 0", set_irqs(d, 0, BOOL | TRIG, INTX, 0, 1, &zero, 1));
	note("eventfd read %zd", read(e2, &n, 8));
	T("trigger BOOL 1", set_irqs(d, 0, BOOL | TRIG, INTX, 0, 1, &one, 1));
	note("eventfd read %zd", read(e2, &n, 8));
	T("mask", set_irqs(d, 0, NONE | MASK, INTX, 0, 1, NULL, 0));
	T("mask again", set_irqs(d, 0, NONE | MASK, INTX, 0, 1, NULL, 0));
	T("mask BOOL 0", set_irqs(d, 0, BOOL | MASK, INTX, 0, 1, &zero, 1));
	T("mask by eventfd", set_irqs(d, 0, EVFD | MASK, INTX, 0, 1, &e, 4));
	T("trigger NONE while masked", set_irqs(d, 0, NONE | TRIG, INTX, 0, 1, NULL, 0));
	note("eventfd read %zd", read(e2, &n, 8));
	T("unmask", set_irqs(d, 0, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	T("unmask by eventfd", set_irqs(d, 0, EVFD | UNMASK, INTX, 0, 1, &e, 4));
	T("unmask by the same eventfd again", set_irqs(d, 0, EVFD | UNMASK, INTX, 0, 1, &e, 4));
	T("unmask eventfd -1", set_irqs(d, 0, EVFD | UNMASK, INTX, 0, 1, &neg, 4));
	T("unmask count 0", set_irqs(d, 0, NONE | UNMASK, INTX, 0, 0, NULL, 0));
	T("trigger eventfd -1", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &neg, 4));
	T("disable by count 0", set_irqs(d, 0, NONE | TRIG, INTX, 0, 0, NULL, 0));
	T("disable again", set_irqs(d, 0, NONE | TRIG, INTX, 0, 0, NULL, 0));

	begin("SET_IRQS MSI");
	T("trigger NONE, not enabled", set_irqs(d, 0, NONE | TRIG, MSI, 0, 1, NULL, 0));
	T("disable, not enabled", set_irqs(d, 0, NONE | TRIG, MSI, 0, 0, NULL, 0));
	T("closed descriptor", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &closed, 4));
	T("/dev/null", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &null, 4));
	T("eventfd -2", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &neg2, 4));
	T("disable", set_irqs(d, 0, NONE | TRIG, MSI, 0, 0, NULL, 0));
	T("eventfd -1 first", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &neg, 4));
	T("then an eventfd", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &e, 4));
	T("INTx while MSI is enabled", set_irqs(d, 0, EVFD | TRIG, INTX, 0, 1, &e2, 4));
	T("disable INTx while MSI is enabled", set_irqs(d, 0, NONE | TRIG, INTX, 0, 0, NULL, 0));
	T("mask", set_irqs(d, 0, NONE | MASK, MSI, 0, 1, NULL, 0));
	T("unmask", set_irqs(d, 0, NONE | UNMASK, MSI, 0, 1, NULL, 0));
	T("trigger NONE", set_irqs(d, 0, NONE | TRIG, MSI, 0, 1, NULL, 0));
	note("eventfd read %zd", read(e, &n, 8));
	T("trigger BOOL 1", set_irqs(d, 0, BOOL | TRIG, MSI, 0, 1, &one, 1));
	note("eventfd read %zd", read(e, &n, 8));
	uint16_t ctl;
	pread(d, &ctl, 2, region(d, 7, NULL) + 0x42);
	T("EVENTFD count 0 while enabled", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 0, NULL, 0));
	note("MSI control was 0x%x", ctl);
	T("disable by count 0", set_irqs(d, 0, NONE | TRIG, MSI, 0, 0, NULL, 0));
	T("ERR on a conventional device", set_irqs(d, 0, EVFD | TRIG, ERR, 0, 1, &e, 4));
	T("REQ eventfd", set_irqs(d, 0, EVFD | TRIG, REQ, 0, 1, &e, 4));
	T("REQ loopback", set_irqs(d, 0, NONE | TRIG, REQ, 0, 1, NULL, 0));
	note("eventfd read %zd", read(e, &n, 8));
	T("REQ start 1", set_irqs(d, 0, EVFD | TRIG, REQ, 1, 1, &e, 4));
	T("REQ mask", set_irqs(d, 0, NONE | MASK, REQ, 0, 1, NULL, 0));
	T("REQ eventfd -2", set_irqs(d, 0, EVFD | TRIG, REQ, 0, 1, &neg2, 4));
	T("REQ eventfd -1", set_irqs(d, 0, EVFD | TRIG, REQ, 0, 1, &neg, 4));
	T("REQ count 0, none set", set_irqs(d, 0, NONE | TRIG, REQ, 0, 0, NULL, 0));

	begin("SET_IRQS MSI-X");
	d = y.d;
	struct vfio_irq_info q = { .argsz = sizeof(q), .index = MSIX };
	T("GET_IRQ_INFO", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q));
	note("count %u flags 0x%x", q.count, q.flags);
	int fds[4096];
	for (unsigned i = 0; i < 4096; i++)
		fds[i] = e;
	T("vector 2 first, alone", set_irqs(d, 0, EVFD | TRIG, MSIX, 2, 1, &e, 4));
	T("then vector 0", set_irqs(d, 0, EVFD | TRIG, MSIX, 0, 1, &e, 4));
	T("the last vector", set_irqs(d, 0, EVFD | TRIG, MSIX, q.count - 1, 1, &e, 4));
	T("one beyond the last", set_irqs(d, 0, EVFD | TRIG, MSIX, q.count, 1, &e, 4));
	T("trigger NONE of a vector without eventfd", set_irqs(d, 0, NONE | TRIG, MSIX, 5, 1, NULL, 0));
	T("trigger NONE of all", set_irqs(d, 0, NONE | TRIG, MSIX, 0, q.count, NULL, 0));
	n = 0;
	ssize_t got = read(e, &n, 8);
	note("eventfd read %zd value %llu", got, (unsigned long long)n);
	fds[1] = 999;
	T("three at once, the second closed", set_irqs(d, 0, EVFD | TRIG, MSIX, 0, 3, fds, 12));
	T("trigger NONE of vector 2 (was it kept?)", set_irqs(d, 0, NONE | TRIG, MSIX, 2, 1, NULL, 0));
	note("eventfd read %zd", read(e, &n, 8));
	T("trigger NONE of vector 0 (was it kept?)", set_irqs(d, 0, NONE | TRIG, MSIX, 0, 1, NULL, 0));
	note("eventfd read %zd", read(e, &n, 8));
	T("MSI while MSI-X is enabled", set_irqs(d, 0, EVFD | TRIG, MSI, 0, 1, &e, 4));
	T("disable with start 1", set_irqs(d, 0, NONE | TRIG, MSIX, 1, 0, NULL, 0));
	T("disable", set_irqs(d, 0, NONE | TRIG, MSIX, 0, 0, NULL, 0));
	fds[1] = e;
	T("all vectors at once", set_irqs(d, 0, EVFD | TRIG, MSIX, 0, q.count, fds, q.count * 4 < 8000 ? q.count * 4 : 8000));
	T("RESET with MSI-X enabled", ioctl(d, VFIO_DEVICE_RESET));
	T("trigger NONE after RESET", set_irqs(d, 0, NONE | TRIG, MSIX, 0, 1, NULL, 0));
	note("eventfd read %zd", read(e, &n, 8));
	T("disable after RESET", set_irqs(d, 0, NONE | TRIG, MSIX, 0, 0, NULL, 0));
	T("ERR eventfd on PCIe", set_irqs(d, 0, EVFD | TRIG, ERR, 0, 1, &e, 4));
	T("ERR loopback", set_irqs(d, 0, NONE | TRIG, ERR, 0, 1, NULL, 0));
	note("eventfd read %zd", read(e, &n, 8));

	begin("hot reset");
	struct { struct vfio_pci_hot_reset_info h; struct vfio_pci_dependent_device dev[8]; } hi = { .h.argsz = sizeof(hi.h) };
	T("INFO argsz of the header only", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi));
	note("argsz out %u count %u", hi.h.argsz, hi.h.count);
	hi.h.argsz = 8;
	T("INFO argsz 8", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi));
	hi.h.argsz = sizeof(hi);
	T("INFO", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi));
	note("argsz out %u count %u flags 0x%x", hi.h.argsz, hi.h.count, hi.h.flags);
	struct { struct vfio_pci_hot_reset h; int fd[4]; } hr = { .h = { .argsz = sizeof(hr), .count = 0 }, .fd = { y.g, x.g, null, 999 } };
	T("RESET count 0 on a group's device", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.count = 1;
	hr.h.flags = 1;
	T("RESET flags 1", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.flags = 0;
	hr.h.argsz = 8;
	T("RESET argsz 8", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.argsz = sizeof(hr);
	T("RESET with its own group", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.fd[1] = x.g;
	hr.h.count = 2;
	T("RESET with its own and another group", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.count = 1;
	hr.fd[0] = x.g;
	T("RESET with another group", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.fd[0] = null;
	T("RESET with /dev/null", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.fd[0] = 999;
	T("RESET with a closed descriptor", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.count = 1000;
	T("RESET count 1000", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	close(e); close(e2); close(null);
	teardown(x);
	teardown(y);
}

static void lifetimes(void)
{
	begin("lifetimes");
	char path[64];
	struct vfio_device_info di = { .argsz = sizeof(di) };
	strcpy(path, group_path(edu));
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	dma_map(x.c, 3, mem, 0, PG);
	close(x.c);
	T("GET_INFO after closing the container", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di));
	close(x.g);
	T("GET_INFO after closing container and group", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di));
	int g = TFD("open the group while only a device of it is open", open(path, O_RDWR));
	close(g);
	close(x.d);
	g = TFD("open the group after closing the device", open(path, O_RDWR));
	close(g);
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 0);
	close(x.g);
	T("MAP_DMA after closing the only group", dma_map(x.c, 3, mem, 0, PG));
	T("SET_IOMMU after closing the only group", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	x.g = open(path, O_RDWR);
	T("SET_CONTAINER the reopened group", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	T("SET_IOMMU v1 now", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	struct ctx y = { x.c, open(group_path(msix), O_RDWR), -1 };
	T("SET_CONTAINER a second group", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	T("MAP_DMA for both", dma_map(x.c, 3, mem, 0, PG));
	T("UNSET_CONTAINER of the first", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	TU("UNMAP_DMA still there", x.c, 0, 0, PG);
	T("UNSET_CONTAINER of the second", ioctl(y.g, VFIO_GROUP_UNSET_CONTAINER));
	TU("UNMAP_DMA with no group", x.c, 0, 0, PG);
	close(y.g);
	teardown(x);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	struct sigaction sa = { .sa_handler = on_bus };
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	container();
	group();
	map_v2();
	map_v1();
	device_info();
	device_io();
	irqs();
	lifetimes();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
