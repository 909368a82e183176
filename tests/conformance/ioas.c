/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioas.c - random calls on three I/O address spaces, of which now and then one is a device's: which errno comes first,
 * which IOVA is chosen, what is usable.  The sequence is the same each time, so that its answers can be recorded.
 *
 * usage: ioas EDU MSIX [ROUNDS [SEED]]   (PCI addresses)
 *
 * Other seeds ask other questions: run with them here and on a real Linux, and compare.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/conformance/calls.h"
#include "tests/conformance/random.h"

#define SPACES 3
#define STEPS 150

static int iommufd, memfd, device;
static uint32_t space[SPACES], device_id;
static int attached;

/* Most often such that mappings meet, now and then at an edge of something. */
static uint64_t some_iova(void)
{
	static const uint64_t edges[] = {
		0, 1, 0x800, 0x1800, 0x200000, 0x201000, 0x400000, 0xfedff000, 0xfee00000, 0xfef00000, (1ull << 39) - PG,
		1ull << 39, 0x7fffffffffff, 1ull << 48, -2 * PG, -PG, -1ull,
	};

	return below(3) ? PG * below(16) : edges[below(COUNT(edges))];
}

static uint64_t some_length(void)
{
	static const uint64_t edges[] = { 0, 1, 0x800, PG, PG + 1, 8 * PG, 16 * PG, 2 * MB, 1ull << 62, -1ull };

	return below(3) ? PG * (1 + below(4)) : edges[below(COUNT(edges))];
}

static uint64_t some_offset(void)
{
	return below(4) ? PG * below(16) : below(2 * PG);
}

static uint32_t some_flags(void)
{
	return below(8) ? FIXED | RD | (below(4) ? WR : 0) : below(16);
}

/* ---- one call each ---- */

static void map(unsigned step, unsigned k, int anywhere)
{
	const uint64_t off = anywhere ? PG * below(16) : some_offset();
	struct iommu_ioas_map m = { .size = sizeof(m), .flags = anywhere ? RD | WR : some_flags(), .ioas_id = space[k],
				    .user_va = (uintptr_t)mem + off, .length = some_length(),
				    .iova = anywhere ? 0 : some_iova() };

	call("%u MAP %u flags %u memory+0x%llx 0x%llx bytes at 0x%llx", step, k, m.flags, HEX(off),
		 HEX(m.length), HEX(m.iova));
	T(what, ioctl(iommufd, IOMMU_IOAS_MAP, &m));
	note("iova 0x%llx", HEX(m.iova));
}

static void map_file(unsigned step, unsigned k)
{
	struct iommu_ioas_map_file m = { .size = sizeof(m), .flags = some_flags(), .ioas_id = space[k],
					 .fd = below(10) ? memfd : -1, .start = below(3) ? PG * below(64) : below(300000),
					 .length = some_length(), .iova = some_iova() };

	call("%u MAP_FILE %u flags %u of %s 0x%llx, 0x%llx bytes at 0x%llx", step, k, m.flags,
		 m.fd < 0 ? "none" : "a memfd", HEX(m.start), HEX(m.length), HEX(m.iova));
	T(what, ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &m));
	note("iova 0x%llx", HEX(m.iova));
}

static void copy(unsigned step, unsigned k)
{
	const unsigned from = below(SPACES);
	struct iommu_ioas_copy c = { .size = sizeof(c), .flags = some_flags(), .dst_ioas_id = space[k],
				     .src_ioas_id = below(20) ? space[from] : 77, .length = some_length(),
				     .dst_iova = some_iova(), .src_iova = some_iova() };

	call("%u COPY %u flags %u to 0x%llx from %u 0x%llx, 0x%llx bytes", step, k, c.flags,
		 HEX(c.dst_iova), c.src_ioas_id == 77 ? 77 : from, HEX(c.src_iova), HEX(c.length));
	T(what, ioctl(iommufd, IOMMU_IOAS_COPY, &c));
	note("iova 0x%llx", HEX(c.dst_iova));
}

static void unmap(unsigned step, unsigned k)
{
	uint64_t iova = some_iova(), length = below(12) ? some_length() : -1ull;

	if (length == -1ull && below(2))
		iova = 0;
	call("%u UNMAP %u 0x%llx bytes at 0x%llx", step, k, HEX(length), HEX(iova));
	TI(what, iommufd, space[k], iova, length);
}

static void allow(unsigned step, unsigned k)
{
	struct iommu_iova_range r[3] = { { 0, 0 } };
	struct iommu_ioas_allow_iovas a = { .size = sizeof(a), .ioas_id = space[k], .num_iovas = below(4),
					    .allowed_iovas = (uintptr_t)r };

	for (unsigned n = 0; n < a.num_iovas; n++) {
		r[n].start = some_iova();
		r[n].last = below(6) ? r[n].start + some_length() - 1 : some_iova();
	}
	if (below(3))
		a.num_iovas = 0;
	call("%u ALLOW_IOVAS %u %u of 0x%llx-0x%llx 0x%llx-0x%llx 0x%llx-0x%llx", step, k, a.num_iovas,
		 HEX(r[0].start), HEX(r[0].last), HEX(r[1].start), HEX(r[1].last), HEX(r[2].start), HEX(r[2].last));
	T(what, ioctl(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &a));
}

static void ranges(unsigned step, unsigned k)
{
	struct iommu_iova_range r[5] = { { 0, 0 } };
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .ioas_id = space[k], .num_iovas = below(5),
					    .allowed_iovas = (uintptr_t)r };

	call("%u IOVA_RANGES %u room for %u", step, k, q.num_iovas);
	T(what, ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &q));
	note("num %u alignment 0x%llx", q.num_iovas, HEX(q.out_iova_alignment));
	for (unsigned n = 0; n < COUNT(r); n++)
		if (r[n].last)
			note(" 0x%llx-0x%llx", HEX(r[n].start), HEX(r[n].last));
}

static void option(unsigned step, unsigned k)
{
	struct iommu_option o = { .size = sizeof(o), .option_id = below(8) ? IOMMU_OPTION_HUGE_PAGES : below(4),
				  .op = below(8) ? below(2) : below(5), .object_id = below(8) ? space[k] : below(12),
				  .val64 = below(8) ? below(2) : below(5) };

	call("%u OPTION %u op %u object %u value %llu", step, o.option_id, o.op, o.object_id,
		 HEX(o.val64));
	T(what, ioctl(iommufd, IOMMU_OPTION, &o));
	note("value %llu", HEX(o.val64));
}

static void come_or_go(unsigned step, unsigned k)
{
	uint32_t pt = space[k];

	if (below(3))
		return;
	call(attached ? "%u DETACH" : "%u ATTACH %u", step, k);
	if (attached)
		attached = T(what, detach(device, 0)) < 0;
	else
		attached = T(what, attach(device, 0, &pt)) == 0;
}

static void as_container(unsigned step, unsigned k)
{
	const uint64_t iova = some_iova(), size = some_length();
	struct iommu_vfio_ioas v = { .size = sizeof(v), .ioas_id = space[k], .op = IOMMU_VFIO_IOAS_SET };

	call("%u VFIO_IOAS SET %u", step, k);
	T(what, ioctl(iommufd, IOMMU_VFIO_IOAS, &v));
	call("%u VFIO %s 0x%llx bytes at 0x%llx", step, below(2) ? "MAP" : "UNMAP", HEX(size), HEX(iova));
	if (strstr(what, "UNMAP"))
		TU(what, iommufd, 0, iova, size);
	else
		T(what, dma_map(iommufd, 3, mem, iova, size));
}

static void step(unsigned n)
{
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	const unsigned k = below(SPACES);

	switch (below(14)) {
	case 0 ... 2: map(n, k, 0); break;
	case 3: map(n, k, 1); break;
	case 4: map_file(n, k); break;
	case 5 ... 6: unmap(n, k); break;
	case 7 ... 8: copy(n, k); break;
	case 9: allow(n, k); break;
	case 10: ranges(n, k); break;
	case 11: option(n, k); break;
	case 12: come_or_go(n, k); break;
	default:
		if (below(2)) {
			as_container(n, k);
			break;
		}
		call("%u CHANGE_PROCESS", n);
		T(what, ioctl(iommufd, IOMMU_IOAS_CHANGE_PROCESS, &change));
	}
}

static void run(unsigned round)
{
	(void)round;
	begin_seed("");
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	for (unsigned k = 0; k < SPACES; k++)
		space[k] = ioas(iommufd);
	device = open_cdev(edu);
	bind_to(device, iommufd, &device_id);
	attached = 0;
	for (unsigned n = 0; n < STEPS; n++)
		step(n);
	close(device);
	close(iommufd);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	memfd = memfd_create("x", MFD_CLOEXEC);
	ftruncate(memfd, 64 * PG);
	return random_rounds(argc, argv, 8, run);
}
