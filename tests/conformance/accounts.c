/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accounts.c - how much memory a process has locked and pinned, as /proc/self/status says, while it maps memory, files
 * and the memory of a device; and where mappings of a device's memory may be cut.
 *
 * Without CAP_IPC_LOCK: an iommufd counts less of what a program maps that may lock as much as it likes.
 *
 * usage: accounts EDU MSIX (PCI addresses)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/resource.h>

#include "tests/conformance/calls.h"

static long locked_before, pinned_before;

static void begin_account(const char *a)
{
	begin(a);
	locked_before = status_kb("VmLck");
	pinned_before = status_kb("VmPin");
}

/* The call's row, and what is on the accounts after it. */
#define A(what, x) ({ long ret_ = T(what, x); \
	note("VmLck %+ld VmPin %+ld", status_kb("VmLck") - locked_before, status_kb("VmPin") - pinned_before); ret_; })

static int map_file(int i, uint32_t as, int fd, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map_file m = { .size = sizeof(m), .flags = FIXED | WR | RD, .ioas_id = as, .fd = fd,
					 .length = len, .iova = iova };
	return ioctl(i, IOMMU_IOAS_MAP_FILE, &m);
}

static int copy(int i, uint32_t dst, uint64_t dst_iova, uint32_t src, uint64_t src_iova, uint64_t len)
{
	struct iommu_ioas_copy c = { .size = sizeof(c), .flags = FIXED | RD, .dst_ioas_id = dst, .src_ioas_id = src,
				     .length = len, .dst_iova = dst_iova, .src_iova = src_iova };
	return ioctl(i, IOMMU_IOAS_COPY, &c);
}

static int change_process(int i)
{
	struct iommu_ioas_change_process c = { .size = sizeof(c) };
	return ioctl(i, IOMMU_IOAS_CHANGE_PROCESS, &c);
}

static int huge_pages(int i, uint32_t as, uint64_t on)
{
	return iopt(i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, &on);
}

static int vfio_ioas(int i, uint16_t op, uint32_t as)
{
	struct iommu_vfio_ioas v = { .size = sizeof(v), .ioas_id = as, .op = op };
	return ioctl(i, IOMMU_VFIO_IOAS, &v);
}

/* ---- accounts ---- */

static void by_container(void)
{
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int memfd = memfd_create("x", MFD_CLOEXEC);
	void *shared;

	ftruncate(memfd, 16 * PG);
	shared = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	begin_account("accounts of type1");
	A("MAP", dma_map(x.c, 3, mem, 0x100000, 16 * PG));
	A("MAP of the same memory", dma_map(x.c, 3, mem, 0x200000, 16 * PG));
	A("UNMAP", dma_unmap(x.c, 0, 0x100000, 16 * PG));
	A("UNMAP of the other", dma_unmap(x.c, 0, 0x200000, 16 * PG));
	A("MAP of shared memory", dma_map(x.c, 3, shared, 0x100000, 16 * PG));
	teardown(x);
	A("closed", 0);
	munmap(shared, 16 * PG);
	close(memfd);
}

static void by_iommufd(uint64_t mode, const char *name)
{
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), d = open_cdev(edu), memfd = memfd_create("x", MFD_CLOEXEC);
	uint32_t as, id, pt;

	ftruncate(memfd, 16 * PG);
	begin_account(name);
	A("RLIMIT_MODE", iopt(i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &mode));
	bind_to(d, i, &id);
	pt = as = ioas(i);
	A("MAP, nothing attached", imap(i, as, FIXED | RD | WR, mem, 16 * PG, 0x100000));
	A("ATTACH", attach(d, 0, &pt));
	A("MAP of the same memory", imap(i, as, FIXED | RD | WR, mem, 16 * PG, 0x200000));
	A("COPY", copy(i, as, 0x300000, as, 0x100000, 16 * PG));
	A("COPY of a part", copy(i, as, 0x400000, as, 0x101000, 2 * PG));
	A("UNMAP of the original", iunmap(i, as, 0x100000, 16 * PG));
	A("UNMAP of the copy", iunmap(i, as, 0x300000, 16 * PG));
	A("UNMAP of the part", iunmap(i, as, 0x400000, 2 * PG));
	A("UNMAP of all", iunmap(i, as, 0, -1ull));
	A("MAP_FILE", map_file(i, as, memfd, 8 * PG, 0x100000));
	A("CHANGE_PROCESS to the same", change_process(i));
	A("MAP", imap(i, as, FIXED | RD | WR, mem, PG, 0x200000));
	A("CHANGE_PROCESS, memory too", change_process(i));
	A("DETACH", detach(d, 0));
	close(d);
	close(i);
	A("closed", 0);
	close(memfd);
}

/* ---- cutting what a device's memory is mapped by ---- */

static void cut(int i, uint32_t as, int buf, const char *name)
{
	struct iommu_iova_range r[2] = { { 0x100000, 0x101fff }, { 0x103000, 0x1fffff } };
	struct iommu_ioas_allow_iovas al = { .size = sizeof(al), .ioas_id = as, .num_iovas = 2,
					     .allowed_iovas = (uintptr_t)r };
	uint32_t other = ioas(i);

	begin_account(name);
	A("MAP_FILE of a dma-buf", map_file(i, as, buf, 4 * PG, 0x100000));
	TI("UNMAP its first half", i, as, 0x100000, 2 * PG);
	TI("UNMAP its second half", i, as, 0x102000, 2 * PG);
	TI("UNMAP its middle", i, as, 0x101000, PG);
	T("COPY its middle to another", copy(i, other, 0x200000, as, 0x101000, 2 * PG));
	TI("UNMAP that", i, other, 0x200000, 2 * PG);
	T("COPY its middle to the same", copy(i, as, 0x200000, as, 0x101000, 2 * PG));
	TI("UNMAP a part of that copy", i, as, 0x200000, PG);
	TI("UNMAP that copy", i, as, 0x200000, 2 * PG);
	T("ALLOW_IOVAS that end in it", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	al.num_iovas = 0;
	T("ALLOW_IOVAS none", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	T("HUGE_PAGES 0", huge_pages(i, as, 0));
	T("CHANGE_PROCESS", change_process(i));
	T("VFIO_IOAS SET", vfio_ioas(i, IOMMU_VFIO_IOAS_SET, as));
	TU("VFIO UNMAP its first half", i, 0, 0x100000, 2 * PG);
	T("MAP beside it", imap(i, as, FIXED | RD, mem, 4 * PG, 0x104000));
	TU("VFIO UNMAP half of it and half of memory", i, 0, 0x102000, 4 * PG);
	TU("VFIO UNMAP half of memory", i, 0, 0x106000, 2 * PG);
	vfio_ioas(i, IOMMU_VFIO_IOAS_CLEAR, 0);
	TI("UNMAP all", i, as, 0, -1ull);
	T("HUGE_PAGES 1", huge_pages(i, as, 1));
	T("DESTROY the other", destroy(i, other));
}

static void cut_by_type1(int i, uint32_t as, int buf, const char *name)
{
	begin_account(name);
	T("VFIO_IOAS SET", vfio_ioas(i, IOMMU_VFIO_IOAS_SET, as));
	T("SET_IOMMU type1", ioctl(i, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	A("MAP_FILE of a dma-buf", map_file(i, as, buf, 4 * PG, 0x100000));
	TU("UNMAP its first half", i, 0, 0x100000, 2 * PG);
	TU("UNMAP its second half", i, 0, 0x102000, 2 * PG);
	TU("UNMAP its middle", i, 0, 0x101000, PG);
	TU("UNMAP half a page of it", i, 0, 0x100000, 0x800);
	TI("IOAS_UNMAP its first half", i, as, 0x100000, 2 * PG);
	TU("UNMAP all of it", i, 0, 0x100000, 4 * PG);
	vfio_ioas(i, IOMMU_VFIO_IOAS_CLEAR, 0);
	T("HUGE_PAGES 1", huge_pages(i, as, 1));
}

static void dma_buf(void)
{
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), d = open_cdev(edu), buf;
	uint32_t as, alone, id, pt;

	bind_to(d, i, &id);
	pt = as = ioas(i);
	alone = ioas(i);
	attach(d, 0, &pt);
	begin_account("dma-buf");
	buf = TFD("DMA_BUF", export_bar(d));
	cut(i, as, buf, "dma-buf, attached");
	cut_by_type1(i, as, buf, "dma-buf, attached, type1");
	cut(i, alone, buf, "dma-buf, nothing attached");
	cut_by_type1(i, alone, buf, "dma-buf, nothing attached, type1");
	close(buf);
	close(d);
	close(i);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	ipc_lock(false);
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 1 * MB, 1 * MB });
	by_container();
	if (!access("/dev/iommu", F_OK)) {
		by_iommufd(0, "accounts of an iommufd, the user's");
		by_iommufd(1, "accounts of an iommufd, the process's");
		dma_buf();
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
