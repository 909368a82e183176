/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmabuf.c - questions to VFIO_DEVICE_FEATURE_DMA_BUF: slices of a BAR as a dma-buf, what its descriptor
 * can do, and mapping it with an iommufd.  A kernel without iommufd is asked by the device's group.
 *
 * usage: dmabuf EDU [MSIX]    as legacy.c, which tells the rest
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "tests/conformance/calls.h"

#define RANGES_MAX 3

struct request {
	struct vfio_device_feature f;
	struct vfio_device_feature_dma_buf b;
	struct vfio_region_dma_range range[RANGES_MAX];
};

static struct request ask(uint32_t region, uint32_t open_flags, uint32_t nr, uint64_t offset, uint64_t length)
{
	return (struct request){
		.f = { .argsz = sizeof(struct request), .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.b = { .region_index = region, .open_flags = open_flags, .nr_ranges = nr },
		.range = { { offset, length }, { offset + length, length }, { offset + 2 * length, length } },
	};
}

static int export(int d, uint32_t region, uint32_t open_flags, uint32_t nr, uint64_t offset, uint64_t length)
{
	struct request r = ask(region, open_flags, nr, offset, length);
	return ioctl(d, VFIO_DEVICE_FEATURE, &r);
}

static bool is_offered(const char *bdf)
{
	struct ctx x = setup(bdf, VFIO_TYPE1v2_IOMMU, 1);
	const uint32_t flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = flags };
	bool yes = !ioctl(x.d, VFIO_DEVICE_FEATURE, &f);
	teardown(x);
	return yes;
}

/* A device with an iommufd behind it, or i is -1 and it is that of a group. */
struct dev {
	int d, i;
	uint32_t id;
	struct ctx group;
};

static struct dev bound(const char *bdf, int i)
{
	struct dev x = { .i = i < 0 ? open("/dev/iommu", O_RDWR) : i, .group = { -1, -1, -1 } };
	if (x.i < 0) {
		x.group = setup(bdf, VFIO_TYPE1v2_IOMMU, 1);
		x.d = x.group.d;
		x.group.d = -1;
		return x;
	}
	x.d = open_cdev(bdf);
	if (x.d < 0 || bind_to(x.d, x.i, &x.id))
		fprintf(stderr, "%s cannot be bound: %m\n", bdf);
	return x;
}

/* What is behind a device that is closed. */
static void release(struct dev x)
{
	close(x.i);
	teardown(x.group);
}

static uint64_t config_at(int d)
{
	struct vfio_region_info ri = { .argsz = sizeof(ri), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &ri);
	return ri.offset;
}

static void decoding(int d, int on)
{
	uint16_t command;
	pread(d, &command, 2, (off_t)config_at(d) + 4);
	command = on ? command | 2 : command & ~2;
	pwrite(d, &command, 2, (off_t)config_at(d) + 4);
}

/* ---------------------------------------------------------------- the request */
static void request(const char *name, const char *bdf)
{
	begin(name);
	struct dev x = bound(bdf, -1);
	struct request r;
	int fd;
	decoding(x.d, 1);
	for (uint32_t region = 0; region < 10; region++) {
		char what[64];
		snprintf(what, sizeof(what), "a page of region %u", region);
		fd = TFD(what, export(x.d, region, O_RDWR, 1, 0, PG));
		close(fd);
	}
	T("region ~0", export(x.d, ~0u, O_RDWR, 1, 0, PG));
	T("no range", export(x.d, 0, O_RDWR, 0, 0, PG));
	T("length 0", export(x.d, 0, O_RDWR, 1, 0, 0));
	T("length 1", export(x.d, 0, O_RDWR, 1, 0, 1));
	T("length 4097", export(x.d, 0, O_RDWR, 1, 0, PG + 1));
	T("offset 1", export(x.d, 0, O_RDWR, 1, 1, PG));
	T("offset 2048", export(x.d, 0, O_RDWR, 1, 2048, PG));
	T("at the end", export(x.d, 0, O_RDWR, 1, 1 << 20, PG));
	T("past the end", export(x.d, 0, O_RDWR, 1, 0, 2 << 20));
	T("that wraps", export(x.d, 0, O_RDWR, 1, ~0ull - 4095, PG));
	T("that wraps by a page", export(x.d, 0, O_RDWR, 1, ~0ull - 4095, 2 * PG));
	T("that wraps, longer than the BAR", export(x.d, 0, O_RDWR, 1, ~0ull - 4095, 1ull << 40));
	T("whose end is far", export(x.d, 0, O_RDWR, 1, 1ull << 62, PG));
	T("of the last page, so long that it wraps", export(x.d, 0, O_RDWR, 1, ~0ull - 4095, ~0ull - 4095));
	T("so long that it wraps", export(x.d, 0, O_RDWR, 1, PG, ~0ull - 4095));
	fd = TFD("two ranges", export(x.d, 0, O_RDWR, 2, 0, PG));
	note(", size %lld", (long long)lseek(fd, 0, SEEK_END));
	close(fd);
	r = ask(0, O_RDWR, 2, 0, PG);
	r.range[1] = r.range[0];
	fd = TFD("one range twice", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	note(", size %lld", (long long)lseek(fd, 0, SEEK_END));
	close(fd);
	r.range[1].length = 0;
	T("the second range is empty", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r = ask(0, O_RDWR, 1, 0, PG);
	r.b.flags = 1;
	T("flags 1", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r.b.flags = 0;
	r.b.nr_ranges = 1u << 28;
	T("2^28 ranges", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r.b.nr_ranges = ~0u;
	T("2^32 - 1 ranges", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r.b.nr_ranges = 1;
	const uint32_t sizes[] = { 4, 8, 12, 16, 20, 24, 32, 40, 4096 };
	for (unsigned n = 0; n < sizeof(sizes) / sizeof(*sizes); n++) {
		char what[64];
		snprintf(what, sizeof(what), "argsz %u", sizes[n]);
		r.f.argsz = sizes[n];
		fd = TFD(what, ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
		close(fd);
	}
	r.f.argsz = sizeof(r);
	r.f.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_BUF;
	T("SET", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r.f.flags |= VFIO_DEVICE_FEATURE_GET;
	T("GET and SET", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r.f.flags = VFIO_DEVICE_FEATURE_DMA_BUF;
	T("neither", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	r.f.flags |= VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET;
	T("probed", ioctl(x.d, VFIO_DEVICE_FEATURE, &r));
	/* the end of readable memory in the middle of what is asked */
	char *two = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(two + PG, PG);
	r = ask(0, O_RDWR, 1, 0, PG);
	const unsigned head = sizeof(r.f) + sizeof(r.b);
	memcpy(two + PG - head, &r, head);
	T("the range cannot be read", ioctl(x.d, VFIO_DEVICE_FEATURE, two + PG - head));
	memcpy(two + PG - sizeof(r.f), &r, sizeof(r.f));
	T("nothing behind the header can be read", ioctl(x.d, VFIO_DEVICE_FEATURE, two + PG - sizeof(r.f)));
	munmap(two, PG);
	const struct { const char *name; uint32_t flags; } flags[] = {
		{ "O_RDONLY", O_RDONLY }, { "O_WRONLY", O_WRONLY }, { "O_RDWR", O_RDWR }, { "access mode 3", 3 },
		{ "O_RDWR | O_CLOEXEC", O_RDWR | O_CLOEXEC }, { "O_RDWR | O_NONBLOCK", O_RDWR | O_NONBLOCK },
		{ "O_RDWR | O_APPEND", O_RDWR | O_APPEND }, { "O_RDWR | O_DIRECT", O_RDWR | O_DIRECT },
		{ "O_RDWR | O_CREAT | O_TRUNC", O_RDWR | O_CREAT | O_TRUNC }, { "O_PATH", O_PATH }, { "all bits", ~0u },
	};
	for (unsigned n = 0; n < sizeof(flags) / sizeof(*flags); n++) {
		char what[64];
		snprintf(what, sizeof(what), "opened with %s", flags[n].name);
		fd = TFD(what, export(x.d, 0, flags[n].flags, 1, 0, PG));
		if (fd >= 0)
			note(", F_GETFL %#o, F_GETFD %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
		close(fd);
	}
	decoding(x.d, 0);
	fd = TFD("while decoding is off", export(x.d, 0, O_RDWR, 1, 0, PG));
	close(fd);
	close(x.d);
	release(x);
}

/* ---------------------------------------------------------------- the descriptor */
static void fdinfo(int fd)
{
	char path[64], line[128];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "mnt_id:", 7) && strncmp(line, "ino:", 4))
			for (char *c = line; *c; c++)
				note("%c", *c == '\n' ? ';' : *c == '\t' ? ' ' : *c);
	if (f)
		fclose(f);
}

static void link_name(int fd)
{
	char path[64], name[128];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, name, sizeof(name) - 1);
	note("%.*s", n < 0 ? 0 : (int)n, name);
}

static int set_name(int fd, const void *name)
{
	return ioctl(fd, DMA_BUF_SET_NAME, name);
}

/* What a sync file tells of itself. */
static void fences(int fd)
{
	struct sync_fence_info each[2] = { 0 };
	struct sync_file_info i = { .num_fences = 2, .sync_fence_info = (uintptr_t)each };
	T("name of the fence", 0);
	link_name(fd);
	T("FILE_INFO", ioctl(fd, SYNC_IOC_FILE_INFO, &i));
	note("name %.32s, status %d, flags %u, fences %u: driver %.32s, object %.32s, status %d, flags %u", i.name, i.status,
	     i.flags, i.num_fences, each[0].driver_name, each[0].obj_name, each[0].status, each[0].flags);
	i = (struct sync_file_info){ .num_fences = 0 };
	T("FILE_INFO, how many", ioctl(fd, SYNC_IOC_FILE_INFO, &i));
	note("status %d, fences %u", i.status, i.num_fences);
	i = (struct sync_file_info){ .flags = 1 };
	T("FILE_INFO flags 1", ioctl(fd, SYNC_IOC_FILE_INFO, &i));
	i = (struct sync_file_info){ .pad = 1 };
	T("FILE_INFO, padding 1", ioctl(fd, SYNC_IOC_FILE_INFO, &i));
	i = (struct sync_file_info){ .num_fences = 1, .sync_fence_info = 8 };
	T("FILE_INFO, bad pointer inside", ioctl(fd, SYNC_IOC_FILE_INFO, &i));
	T("FILE_INFO, bad pointer", ioctl(fd, SYNC_IOC_FILE_INFO, BAD));
	struct sync_merge_data m = { .name = "both", .fd2 = fd, .fence = -7 };
	TFD("MERGE with itself", ioctl(fd, SYNC_IOC_MERGE, &m) ? -1 : m.fence);
	close(m.fence);
	m.flags = 1;
	T("MERGE flags 1", ioctl(fd, SYNC_IOC_MERGE, &m));
	m = (struct sync_merge_data){ .fd2 = -1 };
	T("MERGE with -1", ioctl(fd, SYNC_IOC_MERGE, &m));
	T("MERGE, bad pointer", ioctl(fd, SYNC_IOC_MERGE, BAD));
	T("another request to a fence", ioctl(fd, DMA_BUF_IOCTL_SYNC, &m));
	T("read of a fence", read(fd, &m, 4));
	T("lseek of a fence", lseek(fd, 0, SEEK_SET));
}

static void syncing(int fd)
{
	for (uint64_t flags = 0; flags < 9; flags++) {
		char what[64];
		struct dma_buf_sync s = { .flags = flags };
		snprintf(what, sizeof(what), "SYNC flags %llu", (unsigned long long)flags);
		T(what, ioctl(fd, DMA_BUF_IOCTL_SYNC, &s));
	}
	struct dma_buf_sync s = { .flags = 1ull << 32 | DMA_BUF_SYNC_RW };
	T("SYNC, a high bit", ioctl(fd, DMA_BUF_IOCTL_SYNC, &s));
	T("SYNC, bad pointer", ioctl(fd, DMA_BUF_IOCTL_SYNC, BAD));
	struct dma_buf_export_sync_file e = { .flags = DMA_BUF_SYNC_RW, .fd = -7 };
	int fence = TFD("EXPORT_SYNC_FILE, reads and writes", ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &e) ? -1 : e.fd);
	struct pollfd p = { fence, POLLIN, 0 };
	T("poll of the fence", poll(&p, 1, 0));
	note("revents %#x", p.revents);
	fences(fence);
	struct dma_buf_import_sync_file im = { .flags = DMA_BUF_SYNC_READ, .fd = fence };
	T("IMPORT_SYNC_FILE of it, reads", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &im));
	im.flags = DMA_BUF_SYNC_WRITE;
	T("IMPORT_SYNC_FILE of it, writes", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &im));
	im.flags = 0;
	T("IMPORT_SYNC_FILE, flags 0", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &im));
	im.flags = 4;
	T("IMPORT_SYNC_FILE, flags 4", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &im));
	im = (struct dma_buf_import_sync_file){ .flags = DMA_BUF_SYNC_READ, .fd = fd };
	T("IMPORT_SYNC_FILE of the dma-buf", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &im));
	im.fd = -1;
	T("IMPORT_SYNC_FILE of -1", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &im));
	T("IMPORT_SYNC_FILE, bad pointer", ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, BAD));
	close(fence);
	for (uint32_t flags = 0; flags < 5; flags++) {
		char what[64];
		e = (struct dma_buf_export_sync_file){ .flags = flags, .fd = -7 };
		snprintf(what, sizeof(what), "EXPORT_SYNC_FILE flags %u", flags);
		T(what, ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &e));
		note("fd %s", e.fd == -7 ? "untouched" : e.fd < 0 ? "negative" : "given");
		if (e.fd >= 0)
			close(e.fd);
	}
	T("EXPORT_SYNC_FILE, bad pointer", ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, BAD));
}

static void naming(int fd)
{
	char longest[DMA_BUF_NAME_LEN], *end = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(longest, 'x', sizeof(longest));
	T("SET_NAME to 32 letters without an end", set_name(fd, longest));
	link_name(fd);
	longest[31] = 0;
	T("SET_NAME to 31 letters", set_name(fd, longest));
	link_name(fd);
	T("SET_NAME to two words", set_name(fd, "two words"));
	link_name(fd);
	T("fdinfo then", 0);
	fdinfo(fd);
	T("SET_NAME, the old request", ioctl(fd, _IOW(DMA_BUF_BASE, 1, uint32_t), "old"));
	link_name(fd);
	T("SET_NAME of another size", ioctl(fd, _IOW(DMA_BUF_BASE, 1, uint16_t), "two"));
	munmap(end + PG, PG);
	memcpy(end + PG - 5, "edge", 5);
	T("SET_NAME, the name ends where memory ends", set_name(fd, end + PG - 5));
	link_name(fd);
	memcpy(end + PG - 4, "edge", 4);
	T("SET_NAME, memory ends before the name", set_name(fd, end + PG - 4));
	T("SET_NAME, bad pointer", set_name(fd, BAD));
	link_name(fd);
	T("SET_NAME to nothing", set_name(fd, ""));
	link_name(fd);
	T("SET_NAME, null pointer", set_name(fd, NULL));
	link_name(fd);
	munmap(end, PG);
}

static void descriptor(void)
{
	begin("dma-buf descriptor");
	struct dev x = bound(edu, -1);
	struct stat st = { 0 };
	struct statfs sf = { 0 };
	char b[8] = { 0 };
	decoding(x.d, 1);
	int fd = TFD("two pages", export(x.d, 0, O_RDWR | O_CLOEXEC, 1, PG, 2 * PG));
	T("fstat", fstat(fd, &st));
	note("mode %o, size %lld, blocks %lld, block size %ld, links %lu, device %lu", st.st_mode, (long long)st.st_size,
	     (long long)st.st_blocks, (long)st.st_blksize, (unsigned long)st.st_nlink, (unsigned long)st.st_rdev);
	T("fstatfs", fstatfs(fd, &sf));
	note("type 0x%lx", (unsigned long)sf.f_type);
	T("its name", 0);
	link_name(fd);
	T("fdinfo", 0);
	fdinfo(fd);
	T("lseek to the end", lseek(fd, 0, SEEK_END));
	T("lseek to the beginning", lseek(fd, 0, SEEK_SET));
	T("lseek by nothing", lseek(fd, 0, SEEK_CUR));
	T("lseek to 1", lseek(fd, 1, SEEK_SET));
	T("lseek to 1 past the end", lseek(fd, 1, SEEK_END));
	T("lseek to data", lseek(fd, 0, SEEK_DATA));
	T("read", read(fd, b, 4));
	T("write", write(fd, b, 4));
	T("pread", pread(fd, b, 4, 0));
	T("pwrite", pwrite(fd, b, 4, 0));
	T("mmap, shared", try_mmap(fd, PG, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	T("mmap, private", try_mmap(fd, PG, PROT_READ, MAP_PRIVATE, 0));
	T("mmap past the end", try_mmap(fd, PG, PROT_READ, MAP_SHARED, 16 * PG));
	T("mmap of 0 bytes", try_mmap(fd, 0, PROT_READ, MAP_SHARED, 0));
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	T("poll", poll(&p, 1, 0));
	note("revents %#x", p.revents);
	T("unknown request", ioctl(fd, _IO(DMA_BUF_BASE, 99)));
	T("a request of VFIO", ioctl(fd, VFIO_GET_API_VERSION));
	T("ftruncate", ftruncate(fd, PG));
	T("fsync", fsync(fd));
	T("fallocate", fallocate(fd, 0, 0, PG));
	T("F_SETFL O_NONBLOCK", fcntl(fd, F_SETFL, O_NONBLOCK));
	note("F_GETFL %#o", fcntl(fd, F_GETFL));
	int again = TFD("dup", dup(fd));
	T("lseek of the second to the end", lseek(again, 0, SEEK_END));
	naming(again);
	T("name of the first", 0);
	link_name(fd);
	close(again);
	syncing(fd);
	int ro = TFD("a read-only one", export(x.d, 0, O_RDONLY, 1, 0, PG));
	T("SET_NAME of it", set_name(ro, "ro"));
	struct dma_buf_sync s = { .flags = DMA_BUF_SYNC_WRITE };
	T("SYNC of it, writes", ioctl(ro, DMA_BUF_IOCTL_SYNC, &s));
	close(ro);
	close(x.d);
	T("fstat, device closed", fstat(fd, &st));
	note("size %lld", (long long)st.st_size);
	s.flags = DMA_BUF_SYNC_RW;
	T("SYNC, device closed", ioctl(fd, DMA_BUF_IOCTL_SYNC, &s));
	T("SET_NAME, device closed", set_name(fd, "late"));
	T("lseek, device closed", lseek(fd, 0, SEEK_END));
	close(fd);
	release(x);
}

/* ---------------------------------------------------------------- an iommufd maps it */
static int map_file(int i, uint32_t as, uint32_t flags, int fd, uint64_t start, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file m = { .size = sizeof(m), .flags = flags, .ioas_id = as, .fd = fd, .start = start,
					 .length = length, .iova = iova };
	return ioctl(i, IOMMU_IOAS_MAP_FILE, &m);
}

static int copy(int i, uint32_t to, uint32_t from, uint64_t src, uint64_t length, uint64_t dst)
{
	struct iommu_ioas_copy c = { .size = sizeof(c), .flags = FIXED | RD | WR, .dst_ioas_id = to, .src_ioas_id = from,
				     .length = length, .dst_iova = dst, .src_iova = src };
	return ioctl(i, IOMMU_IOAS_COPY, &c);
}

static void mapping(void)
{
	begin("dma-buf mapped");
	struct dev x = bound(edu, -1);
	uint32_t as = ioas(x.i), as2 = ioas(x.i), pt = as;
	decoding(x.d, 1);
	int fd = export(x.d, 0, O_RDWR | O_CLOEXEC, 1, 0, 4 * PG), ro = export(x.d, 0, O_RDONLY, 1, 0, PG);
	int two = export(x.d, 0, O_RDWR, 2, 0, PG), plain = memfd_create("plain", 0);
	T("MAP_FILE, nothing attached", map_file(x.i, as, FIXED | RD | WR, fd, 0, 4 * PG, 0x100000));
	TI("UNMAP it", x.i, as, 0x100000, 4 * PG);
	T("ATTACH", attach(x.d, 0, &pt));
	T("MAP_FILE", map_file(x.i, as, FIXED | RD | WR, fd, 0, 4 * PG, 0x100000));
	T("MAP_FILE to an iova that is taken", map_file(x.i, as, FIXED | RD | WR, fd, 0, PG, 0x100000));
	T("MAP_FILE a second time", map_file(x.i, as, FIXED | RD | WR, fd, 0, 4 * PG, 0x200000));
	T("MAP_FILE a part", map_file(x.i, as, FIXED | RD | WR, fd, PG, PG, 0x300000));
	T("MAP_FILE from the middle of a page", map_file(x.i, as, FIXED | RD | WR, fd, 16, PG - 16, 0x400010));
	T("MAP_FILE of half a page", map_file(x.i, as, FIXED | RD | WR, fd, 0, 2048, 0x500000));
	T("MAP_FILE past the end", map_file(x.i, as, FIXED | RD | WR, fd, 0, 5 * PG, 0x600000));
	T("MAP_FILE at the end", map_file(x.i, as, FIXED | RD | WR, fd, 4 * PG, PG, 0x600000));
	T("MAP_FILE that wraps", map_file(x.i, as, FIXED | RD | WR, fd, ~0ull - 4095, PG, 0x600000));
	T("MAP_FILE of 0 bytes", map_file(x.i, as, FIXED | RD | WR, fd, 0, 0, 0x600000));
	T("MAP_FILE, not fixed", map_file(x.i, as, RD | WR, fd, 0, PG, 0));
	T("MAP_FILE, no right", map_file(x.i, as, FIXED, fd, 0, PG, 0x700000));
	T("MAP_FILE, only reads", map_file(x.i, as, FIXED | RD, fd, 0, PG, 0x700000));
	T("MAP_FILE of a read-only descriptor, only reads", map_file(x.i, as, FIXED | RD, ro, 0, PG, 0x800000));
	T("MAP_FILE of a read-only descriptor, writes", map_file(x.i, as, FIXED | RD | WR, ro, 0, PG, 0x900000));
	T("MAP_FILE of two ranges", map_file(x.i, as, FIXED | RD | WR, two, 0, 2 * PG, 0xa00000));
	T("MAP_FILE of the first of two ranges", map_file(x.i, as, FIXED | RD | WR, two, 0, PG, 0xa00000));
	T("MAP_FILE of the device's own descriptor", map_file(x.i, as, FIXED | RD | WR, x.d, 0, PG, 0xb00000));
	T("MAP_FILE of an empty memfd", map_file(x.i, as, FIXED | RD | WR, plain, 0, PG, 0xb00000));
	T("MAP_FILE of a closed descriptor", map_file(x.i, as, FIXED | RD | WR, 999, 0, PG, 0xb00000));
	TI("UNMAP a page of four", x.i, as, 0x101000, PG);
	TI("UNMAP the second mapping", x.i, as, 0x200000, 4 * PG);
	T("COPY", copy(x.i, as2, as, 0x100000, 4 * PG, 0x100000));
	T("COPY a part", copy(x.i, as2, as, 0x101000, PG, 0x200000));
	T("COPY inside one address space", copy(x.i, as, as, 0x100000, 4 * PG, 0xc00000));
	pt = as2;
	T("ATTACH the other address space (replace)", attach(x.d, 0, &pt));
	pt = as;
	T("ATTACH the first again", attach(x.d, 0, &pt));
	close(fd);
	T("COPY, its descriptor closed", copy(x.i, as2, as, 0x100000, 4 * PG, 0x800000));
	TI("UNMAP, its descriptor closed", x.i, as2, 0x800000, 4 * PG);
	T("DETACH", detach(x.d, 0));
	pt = as;
	T("ATTACH after DETACH", attach(x.d, 0, &pt));
	TI("UNMAP everything", x.i, as, 0, ~0ull);
	close(ro); close(two); close(plain); close(x.d); close(x.i);
}

static void revoking(void)
{
	begin("dma-buf revoked");
	struct dev x = bound(edu, -1), y = bound(msix, x.i);
	uint32_t as = ioas(x.i), as2 = ioas(x.i), pt = as;
	attach(x.d, 0, &pt);
	decoding(x.d, 1);
	decoding(y.d, 1);
	int fd = export(x.d, 0, O_RDWR, 1, 0, PG), other = export(y.d, 0, O_RDWR, 1, 0, PG);
	T("MAP_FILE", map_file(x.i, as, FIXED | RD | WR, fd, 0, PG, 0x100000));
	T("MAP_FILE of another device's", map_file(x.i, as, FIXED | RD | WR, other, 0, PG, 0x200000));
	decoding(x.d, 0);
	T("MAP_FILE, decoding off", map_file(x.i, as, FIXED | RD | WR, fd, 0, PG, 0x300000));
	T("COPY, decoding off", copy(x.i, as2, as, 0x100000, PG, 0x100000));
	TI("UNMAP, decoding off", x.i, as2, 0, ~0ull);
	pt = as;
	T("ATTACH the other device, decoding off", attach(y.d, 0, &pt));
	T("DETACH it", detach(y.d, 0));
	decoding(x.d, 1);
	T("MAP_FILE, decoding on again", map_file(x.i, as, FIXED | RD | WR, fd, 0, PG, 0x300000));
	T("COPY of the first, decoding on again", copy(x.i, as2, as, 0x100000, PG, 0x400000));
	T("reset of the other device", ioctl(y.d, VFIO_DEVICE_RESET));
	T("MAP_FILE of it after the reset", map_file(x.i, as, FIXED | RD | WR, other, 0, PG, 0x500000));
	decoding(y.d, 1);
	T("MAP_FILE of it, decoding on", map_file(x.i, as, FIXED | RD | WR, other, 0, PG, 0x600000));
	close(y.d);
	T("MAP_FILE of it, its device closed", map_file(x.i, as, FIXED | RD | WR, other, 0, PG, 0x700000));
	TI("UNMAP of it, its device closed", x.i, as, 0x200000, PG);
	y = bound(msix, x.i);
	decoding(y.d, 1);
	T("MAP_FILE of it, its device open anew", map_file(x.i, as, FIXED | RD | WR, other, 0, PG, 0x700000));
	pt = as;
	T("ATTACH its device", attach(y.d, 0, &pt));
	close(fd); close(other); close(y.d); close(x.d); close(x.i);
}

/* ---------------------------------------------------------------- by the group */
static void by_group(void)
{
	begin("dma-buf, device of a group");
	struct ctx c = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	struct stat st = { 0 };
	decoding(c.d, 1);
	int fd = TFD("a page", export(c.d, 0, O_RDWR, 1, 0, PG)), i = open("/dev/iommu", O_RDWR);
	T("fstat", fstat(fd, &st));
	note("size %lld", (long long)st.st_size);
	begin("dma-buf, device of a group, and an iommufd");
	uint32_t as = ioas(i);
	T("MAP_FILE into an iommufd", map_file(i, as, FIXED | RD | WR, fd, 0, PG, 0x100000));
	close(c.d);
	T("MAP_FILE, device closed", map_file(i, as, FIXED | RD | WR, fd, 0, PG, 0x200000));
	close(fd); close(i); close(c.g); close(c.c);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	if (is_offered(edu)) {
		request("dma-buf of a conventional device", edu);
		request("dma-buf of an express device", msix);
		descriptor();
	}
	if (!access("/dev/iommu", F_OK)) {
		mapping();
		revoking();
	}
	by_group();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
