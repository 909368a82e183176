/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd.c - questions to /dev/iommu without a device: objects, I/O address spaces, options.
 *
 * usage: iommufd EDU [MSIX]    as legacy.c, which tells the rest
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/eventfd.h>

#include "tests/conformance/calls.h"

static void iommufd_basics(void)
{
	begin("iommufd");
	char b[64] = { 0 };
	int i = TFD("open /dev/iommu", open("/dev/iommu", O_RDWR | O_CLOEXEC));
	if (i < 0)
		return;
	T("read", read(i, b, 8));
	T("write", write(i, b, 8));
	T("mmap", try_mmap(i, PG, PROT_READ, MAP_SHARED, 0));
	T("unknown command 0x7f", ioctl(i, _IO(IOMMUFD_TYPE, 0x7f), b));
	T("unknown command 0xdf", ioctl(i, _IO(IOMMUFD_TYPE, 0xdf), b));
	T("foreign ioctl", ioctl(i, _IO('T', 1), b));
	struct { struct iommu_ioas_alloc a; uint32_t tail[4]; } a = { .a.size = 8 };
	T("IOAS_ALLOC size 8", ioctl(i, IOMMU_IOAS_ALLOC, &a));
	a.a.size = 0;
	T("IOAS_ALLOC size 0", ioctl(i, IOMMU_IOAS_ALLOC, &a));
	a.a.size = sizeof(a);
	T("IOAS_ALLOC size 28, the rest zero", ioctl(i, IOMMU_IOAS_ALLOC, &a));
	note("id %u", a.a.out_ioas_id);
	a.tail[1] = 1;
	T("IOAS_ALLOC size 28, the rest not zero", ioctl(i, IOMMU_IOAS_ALLOC, &a));
	a.a = (struct iommu_ioas_alloc){ .size = sizeof(a.a), .flags = 1 };
	T("IOAS_ALLOC flags 1", ioctl(i, IOMMU_IOAS_ALLOC, &a));
	a.a = (struct iommu_ioas_alloc){ .size = sizeof(a.a), .out_ioas_id = 77 };
	T("IOAS_ALLOC out_ioas_id not zero on entry", ioctl(i, IOMMU_IOAS_ALLOC, &a));
	note("id %u", a.a.out_ioas_id);
	T("IOAS_ALLOC bad pointer", ioctl(i, IOMMU_IOAS_ALLOC, BAD));
	T("IOAS_ALLOC NULL", ioctl(i, IOMMU_IOAS_ALLOC, NULL));
	uint32_t as = a.a.out_ioas_id;
	T("DESTROY id 0", destroy(i, 0));
	T("DESTROY id 9999", destroy(i, 9999));
	T("DESTROY", destroy(i, as));
	T("DESTROY again", destroy(i, as));
	as = ioas(i);
	T("IOAS_ALLOC after DESTROY", as ? 0 : -1);
	note("id %u", as);

	begin("iommufd map, nothing attached");
	T("MAP flags 0", imap(i, as, 0, mem, PG, 0));
	T("MAP flags 8 (unknown)", imap(i, as, 8 | RD, mem, PG, 0));
	T("MAP FIXED without READABLE/WRITEABLE", imap(i, as, FIXED, mem, PG, 0));
	struct iommu_ioas_map m = { .size = sizeof(m), .flags = FIXED | RD | WR, .ioas_id = as, .__reserved = 1, .user_va = (uintptr_t)mem, .length = PG };
	T("MAP __reserved 1", ioctl(i, IOMMU_IOAS_MAP, &m));
	m.size = 32;
	m.__reserved = 0;
	T("MAP size 32", ioctl(i, IOMMU_IOAS_MAP, &m));
	T("MAP missing ioas", imap(i, 9999, RD | WR, mem, PG, 0));
	T("MAP length 0", imap(i, as, FIXED | RD | WR, mem, 0, 0));
	T("MAP length 0, iova chosen by the kernel", imap(i, as, RD | WR, mem, 0, 0));
	T("MAP iova + length wraps", imap(i, as, FIXED | RD | WR, mem, 2 * PG, -PG));
	T("MAP user_va + length wraps", imap(i, as, FIXED | RD | WR, (void *)-PG, 2 * PG, 0));
	T("MAP unaligned everything (alignment is 1)", imap(i, as, FIXED | RD | WR, mem + 3, 5, 0x10003));
	T("MAP iova and user_va with different page offsets", imap(i, as, FIXED | RD | WR, mem + 3, 5, 0x20004));
	T("MAP user_va not mapped", imap(i, as, FIXED | RD | WR, (void *)PG, PG, 0x30000));
	T("MAP at the last page of 64 bits", imap(i, as, FIXED | RD | WR, mem, PG, -PG));
	T("MAP in the MSI window (0xfee00000)", imap(i, as, FIXED | RD | WR, mem, PG, 0xfee00000));
	T("MAP overlapping", imap(i, as, FIXED | RD | WR, mem, 2 * PG, 0xfee00000 - PG));
	T("MAP WRITEABLE only", imap(i, as, FIXED | WR, mem, PG, 0x40000));
	T("MAP iova chosen by the kernel", imap(i, as, RD | WR, mem, PG, 0x123000));
	note("iova 0x%llx", (unsigned long long)iova_out);
	T("MAP 2 MiB, chosen by the kernel", imap(i, as, RD | WR, mem, 2 * MB, 0));
	note("iova 0x%llx, user_va & 2M-1 = 0x%llx", (unsigned long long)iova_out, (unsigned long long)((uintptr_t)mem & (2 * MB - 1)));
	T("MAP 1 << 62, chosen by the kernel", imap(i, as, RD | WR, mem, 1ull << 62, 0));
	TI("UNMAP everything", i, as, 0, ~0ull);
	TI("UNMAP everything, nothing there", i, as, 0, ~0ull);
	TI("UNMAP where nothing is mapped", i, as, 0x100000, PG);
	TI("UNMAP length 0", i, as, 0x100000, 0);
	imap(i, as, FIXED | RD | WR, mem, 4 * PG, 0x100000);
	TI("UNMAP iova + length wraps", i, as, -PG, 2 * PG);
	TI("UNMAP first of four pages", i, as, 0x100000, PG);
	TI("UNMAP middle of four pages", i, as, 0x101000, PG);
	TI("UNMAP last of four pages", i, as, 0x103000, PG);
	TI("UNMAP more than the mapping", i, as, 0xff000, 8 * PG);
	imap(i, as, FIXED | RD | WR, mem, 4 * PG, 0x100000);
	imap(i, as, FIXED | RD | WR, mem, 4 * PG, 0x104000);
	TI("UNMAP one mapping and half the next", i, as, 0x100000, 6 * PG);
	TI("UNMAP what is left", i, as, 0, ~0ull);
	TI("UNMAP missing ioas", i, 9999, 0, PG);

	begin("iommufd copy");
	uint32_t as2 = ioas(i);
	imap(i, as, FIXED | RD | WR, mem, 4 * PG, 0x100000);
	imap(i, as, FIXED | RD, mem, 4 * PG, 0x104000);
	struct iommu_ioas_copy cp = { .size = sizeof(cp), .flags = FIXED | RD | WR, .dst_ioas_id = as2, .src_ioas_id = as, .length = 4 * PG, .dst_iova = 0x100000, .src_iova = 0x100000 };
	T("COPY", ioctl(i, IOMMU_IOAS_COPY, &cp));
	T("COPY the same again", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.dst_iova = 0x200000; cp.length = PG; cp.src_iova = 0x101000;
	T("COPY one page of four", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.dst_iova = 0x300000; cp.length = 8 * PG; cp.src_iova = 0x100000;
	T("COPY WRITEABLE over two mappings, one read only", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.dst_iova = 0x400000; cp.flags = FIXED | RD;
	T("COPY READABLE over the two", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.dst_iova = 0x500000; cp.length = 9 * PG;
	T("COPY with a hole at the end", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.length = PG; cp.src_iova = 0x900000;
	T("COPY nothing there", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.src_iova = 0x100000; cp.length = 0;
	T("COPY length 0", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.length = PG; cp.flags = 8 | RD;
	T("COPY flags 8", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.flags = FIXED | RD; cp.src_ioas_id = 9999;
	T("COPY missing source", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.src_ioas_id = as; cp.dst_ioas_id = 9999;
	T("COPY missing destination", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.dst_ioas_id = as;
	T("COPY within one ioas", ioctl(i, IOMMU_IOAS_COPY, &cp));
	cp.flags = RD; cp.dst_iova = 0;
	T("COPY, iova chosen by the kernel", ioctl(i, IOMMU_IOAS_COPY, &cp));
	note("iova 0x%llx", cp.dst_iova);

	begin("iommufd map file");
	int f = memfd_create("x", 0);
	ftruncate(f, 4 * PG);
	struct iommu_ioas_map_file mf = { .size = sizeof(mf), .flags = FIXED | RD | WR, .ioas_id = as2, .fd = -1, .length = 4 * PG, .iova = 0x10000000 };
	#define NEXT (mf.iova += MB)
	T("MAP_FILE fd -1", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.fd = open("/dev/null", O_RDWR);
	T("MAP_FILE /dev/null", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	close(mf.fd);
	NEXT; mf.fd = open("/proc/self/exe", O_RDONLY);
	T("MAP_FILE an ordinary file, opened read only", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	close(mf.fd);
	NEXT; mf.fd = eventfd(0, 0);
	T("MAP_FILE an eventfd", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	close(mf.fd);
	NEXT; mf.fd = f; mf.length = 8 * PG;
	T("MAP_FILE longer than the memfd", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.length = 4 * PG;
	T("MAP_FILE a memfd", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	T("MAP_FILE again, same iova", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.start = 1; mf.length = PG;
	T("MAP_FILE start 1", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.start = -PG; mf.length = 2 * PG;
	T("MAP_FILE start + length wraps", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.start = 0; mf.length = 0;
	T("MAP_FILE length 0", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.length = PG; mf.flags = 16;
	T("MAP_FILE flags 16", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	NEXT; mf.flags = 0; mf.iova = 0;
	T("MAP_FILE flags 0", ioctl(i, IOMMU_IOAS_MAP_FILE, &mf));
	close(f);

	begin("iommufd ranges");
	struct iommu_iova_range r[4] = { 0 };
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .ioas_id = as2, .num_iovas = 0, .allowed_iovas = (uintptr_t)r };
	T("IOVA_RANGES num 0", ioctl(i, IOMMU_IOAS_IOVA_RANGES, &q));
	note("num out %u alignment %llu", q.num_iovas, q.out_iova_alignment);
	q.__reserved = 1;
	T("IOVA_RANGES __reserved 1", ioctl(i, IOMMU_IOAS_IOVA_RANGES, &q));
	q.__reserved = 0; q.num_iovas = 4; q.allowed_iovas = 8;
	T("IOVA_RANGES bad pointer", ioctl(i, IOMMU_IOAS_IOVA_RANGES, &q));
	uint32_t as3 = ioas(i);
	struct iommu_ioas_allow_iovas al = { .size = sizeof(al), .ioas_id = as3, .num_iovas = 2, .allowed_iovas = (uintptr_t)r };
	r[0] = (struct iommu_iova_range){ 0x1000, 0x1fff };
	r[1] = (struct iommu_iova_range){ 0x1800, 0x2fff };
	T("ALLOW_IOVAS overlapping ranges", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	al.num_iovas = 1;
	r[0] = (struct iommu_iova_range){ 0x2000, 0x1fff };
	T("ALLOW_IOVAS start > last", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	al.__reserved = 1;
	T("ALLOW_IOVAS __reserved 1", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	al.__reserved = 0;
	r[0] = (struct iommu_iova_range){ 0x40000000, 0x40003fff };
	T("ALLOW_IOVAS [0x40000000-0x40003fff]", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	T("MAP 4 pages, chosen by the kernel", imap(i, as3, RD | WR, mem, 4 * PG, 0));
	note("iova 0x%llx", (unsigned long long)iova_out);
	T("MAP one more page, chosen by the kernel", imap(i, as3, RD | WR, mem, PG, 0));
	T("MAP FIXED outside the allowed range", imap(i, as3, FIXED | RD | WR, mem, PG, 0x100000));
	al.num_iovas = 0;
	T("ALLOW_IOVAS none", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));

	begin("iommufd options");
	uint64_t v = 0;
	T("unknown option 7", iopt(i, 7, 0, 0, &v));
	T("RLIMIT_MODE get", iopt(i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &v));
	note("value %llu", (unsigned long long)v);
	T("RLIMIT_MODE with an object", iopt(i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, as, &v));
	v = 1;
	T("RLIMIT_MODE set 1 with objects present", iopt(i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &v));
	v = 0;
	T("HUGE_PAGES get", iopt(i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, as, &v));
	note("value %llu", (unsigned long long)v);
	v = 2;
	T("HUGE_PAGES set 2", iopt(i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, &v));
	v = 0;
	T("HUGE_PAGES set 0", iopt(i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, as, &v));
	T("HUGE_PAGES missing ioas", iopt(i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 9999, &v));
	T("HUGE_PAGES op 5", iopt(i, IOMMU_OPTION_HUGE_PAGES, 5, as, &v));
	struct iommu_vfio_ioas vi = { .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_GET };
	T("VFIO_IOAS GET, none yet", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	vi.op = IOMMU_VFIO_IOAS_CLEAR;
	T("VFIO_IOAS CLEAR, none yet", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	vi.op = IOMMU_VFIO_IOAS_SET; vi.ioas_id = 9999;
	T("VFIO_IOAS SET missing", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	vi.ioas_id = as;
	T("VFIO_IOAS SET", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	T("DESTROY the VFIO_IOAS", destroy(i, as));
	vi.op = IOMMU_VFIO_IOAS_GET;
	T("VFIO_IOAS GET", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	note("same id %d", vi.ioas_id == as);
	vi.op = 9;
	T("VFIO_IOAS op 9", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	vi.op = IOMMU_VFIO_IOAS_GET; vi.__reserved = 1;
	T("VFIO_IOAS __reserved 1", ioctl(i, IOMMU_VFIO_IOAS, &vi));
	struct iommu_ioas_change_process ch = { .size = sizeof(ch) };
	T("IOAS_CHANGE_PROCESS, only user_va mappings", ioctl(i, IOMMU_IOAS_CHANGE_PROCESS, &ch));
	close(i);
	i = open("/dev/iommu", O_RDWR);
	v = 2;
	T("RLIMIT_MODE set 2 on a fresh iommufd", iopt(i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &v));
	v = 1;
	T("RLIMIT_MODE set 1 on a fresh iommufd", iopt(i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &v));
	close(i);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	iommufd_basics();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
