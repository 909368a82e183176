/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children_iommufd.c - what a forked child can do with an iommufd and a device's own node that it inherited.
 *
 * usage: children_iommufd EDU MSIX    as legacy.c, which tells the rest; turns.h tells whose calls they are
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/conformance/children.h"

struct iox { int i, d; uint32_t as, dev; };

/* An iommufd with an IOAS, and a device that is bound to it, or attached too. */
static struct iox iommufd_ready(bool attached)
{
	struct iox y = { .i = open("/dev/iommu", O_RDWR | O_CLOEXEC), .d = open_cdev(edu) };
	uint32_t pt;
	if (bind_to(y.d, y.i, &y.dev))
		fprintf(stderr, "BIND: %m\n");
	pt = y.as = ioas(y.i);
	if (attached && attach(y.d, 0, &pt))
		fprintf(stderr, "ATTACH: %m\n");
	decoding(y.d, true);
	return y;
}

static int copy(int i, uint32_t dst, uint64_t dst_iova, uint32_t src, uint64_t src_iova, uint64_t len)
{
	struct iommu_ioas_copy c = { .size = sizeof(c), .flags = FIXED | RD | WR, .dst_ioas_id = dst, .src_ioas_id = src, .length = len,
				     .dst_iova = dst_iova, .src_iova = src_iova };
	return ioctl(i, IOMMU_IOAS_COPY, &c);
}

static int map_file(int i, uint32_t as, int fd, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map_file m = { .size = sizeof(m), .flags = FIXED | WR | RD, .ioas_id = as, .fd = fd, .length = len, .iova = iova };
	return ioctl(i, IOMMU_IOAS_MAP_FILE, &m);
}

static struct iommu_iova_range ranges[8];
static int iova_ranges(int i, uint32_t as, uint32_t *num, void *to)
{
	struct iommu_ioas_iova_ranges r = { .size = sizeof(r), .ioas_id = as, .num_iovas = *num, .allowed_iovas = (uintptr_t)to };
	int ret = ioctl(i, IOMMU_IOAS_IOVA_RANGES, &r);
	*num = r.num_iovas;
	return ret;
}

static uint32_t hwpt_alloc(int i, uint32_t dev, uint32_t as)
{
	struct iommu_hwpt_alloc h = { .size = sizeof(h), .dev_id = dev, .pt_id = as };
	return ioctl(i, IOMMU_HWPT_ALLOC, &h) ? 0 : h.out_hwpt_id;
}

#define PINNED(who, what) BY(who, what ", KiB pinned", status_kb("VmPin"))

static void iommufd_objects(void)
{
	struct { struct iommu_ioas_alloc a; } bad = { .a.size = 0 };
	struct iommu_hw_info hi = { .size = sizeof(hi) };
	uint32_t a, b, num = 8, hw;
	uint64_t v = 0;
	begin("iommufd objects");
	struct iox y = iommufd_ready(true);
	a = ioas(y.i);
	forks(PARENT, CHILD);
	C("IOAS_ALLOC size 0", ioctl(y.i, IOMMU_IOAS_ALLOC, &bad));
	C("IOAS_ALLOC bad pointer", ioctl(y.i, IOMMU_IOAS_ALLOC, BAD));
	C("IOAS_ALLOC of a closed descriptor", ioas(NO_FD) ? 0 : -1);
	C("unknown command", ioctl(y.i, _IO(IOMMUFD_TYPE, 0x7f), &bad));
	C("foreign ioctl", ioctl(y.i, _IO('T', 1), &bad));
	C("read", read(y.i, &bad, 8));
	b = (uint32_t)C("IOAS_ALLOC, its id", ioas(y.i));
	P("IOAS_ALLOC, its id", ioas(y.i));
	P("MAP in the child's", imap(y.i, b, FIXED | RD | WR, mem, PG, 0x100000));
	P("DESTROY the child's", destroy(y.i, b));
	C("DESTROY it again", destroy(y.i, b));
	C("MAP in it", imap(y.i, b, FIXED | RD | WR, mem, PG, 0x100000));
	C("DESTROY the parent's", destroy(y.i, a));
	P("DESTROY it again", destroy(y.i, a));
	C("DESTROY one that is attached", destroy(y.i, y.as));
	C("DESTROY id 9999", destroy(y.i, 9999));
	C("IOVA_RANGES", iova_ranges(y.i, y.as, &num, ranges), "num %u, the first 0x%llx-0x%llx", num, ranges[0].start, ranges[0].last);
	C("IOVA_RANGES bad pointer", iova_ranges(y.i, y.as, &(uint32_t){ 8 }, BAD));
	C("IOVA_RANGES room for none", iova_ranges(y.i, y.as, &(uint32_t){ 0 }, NULL));
	C("HWPT_ALLOC missing device", hwpt_alloc(y.i, 9999, y.as) ? 0 : -1);
	hw = (uint32_t)LET(CHILD, hwpt_alloc(y.i, y.dev, y.as));
	C("HWPT_ALLOC", hw ? 0 : -1);
	P("ATTACH to it", attach(y.d, 0, &(uint32_t){ hw }));
	C("DESTROY it, attached", destroy(y.i, hw));
	C("DETACH", detach(y.d, 0));
	P("DETACH again", detach(y.d, 0));
	P("DESTROY it, detached", destroy(y.i, hw));
	DO(CHILD, hi.dev_id = y.dev);
	C("GET_HW_INFO", ioctl(y.i, IOMMU_GET_HW_INFO, &hi), "type %u", hi.out_data_type);
	C("OPTION huge pages", iopt(y.i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, y.as, &v));
	P("OPTION huge pages, get", iopt(y.i, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, y.as, &v), "value %llu", (unsigned long long)v);
	struct iommu_vfio_ioas vi = { .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = y.as };
	C("VFIO_IOAS SET", ioctl(y.i, IOMMU_VFIO_IOAS, &vi));
	DO(PARENT, vi = (struct iommu_vfio_ioas){ .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_GET });
	P("VFIO_IOAS GET", ioctl(y.i, IOMMU_VFIO_IOAS, &vi), "the same %d", vi.ioas_id == y.as);
	C("GET_API_VERSION", ioctl(y.i, VFIO_GET_API_VERSION));
	C("MAP_DMA", dma_map(y.i, 3, mem, 0x100000, SIZE));
	IUNMAP(PARENT, "UNMAP that", y.i, y.as, 0x100000, SIZE);
	ends(PARENT, CHILD);
	P("DESTROY the IOAS", destroy(y.i, y.as));
	DO(PARENT, vi.op = IOMMU_VFIO_IOAS_CLEAR, ioctl(y.i, IOMMU_VFIO_IOAS, &vi));
	P("DESTROY the IOAS, cleared", destroy(y.i, y.as));
	close(y.d);
	close(y.i);
}

/* What the kernel chooses and tells, and what it cannot give. */
static void iommufd_answers(void)
{
	struct iommu_iova_range r = { 0x40000000, 0x4000ffff };
	struct iommu_fault_alloc q = { .size = sizeof(q) };
	unsigned char data[64], *end = NULL;
	int buf = -1;
	begin("iommufd answers");
	struct iox y = iommufd_ready(true);
	uint32_t as = ioas(y.i);
	struct iommu_ioas_allow_iovas al = { .size = sizeof(al), .ioas_id = as, .num_iovas = 1, .allowed_iovas = (uintptr_t)BAD };
	struct iommu_hw_info hi = { .size = sizeof(hi), .dev_id = y.dev, .data_len = sizeof(data), .data_uptr = (uintptr_t)data };
	forks(PARENT, CHILD);
	C("ALLOW_IOVAS bad pointer", ioctl(y.i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	DO(CHILD, al.allowed_iovas = (uintptr_t)&r);
	C("ALLOW_IOVAS", ioctl(y.i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	P("MAP elsewhere", imap(y.i, as, FIXED | RD | WR, mem, PG, 0x100000));
	C("MAP, its place chosen", imap(y.i, as, RD | WR, mem, 15 * PG, 0), "iova 0x%llx", (unsigned long long)iova_out);
	P("MAP, its place chosen", imap(y.i, as, RD | WR, mem, PG, 0), "iova 0x%llx", (unsigned long long)iova_out);
	C("MAP, no place left", imap(y.i, as, RD | WR, mem, PG, 0));
	DO(CHILD, end = memory_ends());
	DO(CHILD, r = (struct iommu_iova_range){ 0 }; memcpy(end - sizeof(r), &r, sizeof(r)));
	C("IOVA_RANGES beyond the end of memory", iova_ranges(y.i, y.as, &(uint32_t){ 2 }, end - sizeof(r)));
	C("IOVA_RANGES at the end of memory", iova_ranges(y.i, y.as, &(uint32_t){ 1 }, end - sizeof(r)), "0x%llx",
	  ((struct iommu_iova_range *)(end - sizeof(r)))->last);
	DO(CHILD, *(uint32_t *)(end - 8) = 12);
	C("IOAS_ALLOC beyond the end of memory", ioctl(y.i, IOMMU_IOAS_ALLOC, end - 8));
	C("GET_HW_INFO with data", ioctl(y.i, IOMMU_GET_HW_INFO, &hi), "data_len out %u", hi.data_len);
	DO(CHILD, hi.data_uptr = (uintptr_t)BAD);
	C("GET_HW_INFO bad data pointer", ioctl(y.i, IOMMU_GET_HW_INFO, &hi));
	DO(CHILD, limit_descriptors(true));
	C("FAULT_QUEUE_ALLOC, no number left", ioctl(y.i, IOMMU_FAULT_QUEUE_ALLOC, &q));
	DO(CHILD, limit_descriptors(false));
	P("FAULT_QUEUE_ALLOC, a number left", ioctl(y.i, IOMMU_FAULT_QUEUE_ALLOC, &q));
	DO(PARENT, close((int)q.out_fault_fd));
	buf = CFD("a dma-buf of the BAR", export_bar(y.d));
	C("MAP_FILE it", map_file(y.i, y.as, buf, SIZE, 0x100000));
	C("close it", close(buf));
	IUNMAP(PARENT, "UNMAP it", y.i, y.as, 0x100000, SIZE);
	ends(PARENT, CHILD);
	close(y.d);
	close(y.i);
}

static void iommufd_queue(void)
{
	struct iommu_fault_alloc q = { .size = sizeof(q) };
	char b[64];
	uint32_t id;
	int fd;
	begin("a fault queue of the child's");
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	forks(PARENT, CHILD);
	C("FAULT_QUEUE_ALLOC", ioctl(i, IOMMU_FAULT_QUEUE_ALLOC, &q));
	id = (uint32_t)LET(CHILD, q.out_fault_id);
	fd = (int)LET(CHILD, (int)q.out_fault_fd);
	P("has no such descriptor", fcntl(fd, F_GETFD));
	C("poll", poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0));
	C("read of 0 bytes", read(fd, b, 0));
	P("DESTROY, open in the child", destroy(i, id));
	C("close", close(fd));
	P("DESTROY, closed", destroy(i, id));
	ends(PARENT, CHILD);
	close(i);
}

static void iommufd_mapping(void)
{
	unsigned char *p = page(MAP_PRIVATE), *alone = mem + 5 * MB;
	int fd;
	uint32_t two;
	begin("iommufd map and unmap");
	struct iox y = iommufd_ready(true);
	two = ioas(y.i);
	memset(p, 11, PG);
	P("MAP the window", imap(y.i, y.as, FIXED | RD | WR, window, PG, WINDOW));
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP bad pointer", ioctl(y.i, IOMMU_IOAS_MAP, BAD));
	C("MAP flags 8", imap(y.i, y.as, 8 | RD, mem, PG, 0x300000));
	C("MAP user_va not mapped", imap(y.i, y.as, FIXED | RD | WR, (void *)PG, PG, 0x300000));
	C("MAP missing IOAS", imap(y.i, 9999, FIXED | RD | WR, mem, PG, 0x300000));
	C("MAP over the window", imap(y.i, y.as, FIXED | RD | WR, mem, PG, WINDOW));
	C("MAP", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE));
	P("MAP the same", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE));
	P("the device reads", device_reads(y.d, THERE));
	P("the device writes 33", device_writes(y.d, THERE, 33));
	C("its byte", p[0]);
	P("its byte", p[0]);
	P("COPY what the child mapped", copy(y.i, two, 0x100000, y.as, THERE, PG));
	P("COPY it beside", copy(y.i, y.as, THERE + PG, y.as, THERE, PG));
	IUNMAP(PARENT, "UNMAP it", y.i, y.as, THERE, PG);
	IUNMAP(CHILD, "UNMAP it again", y.i, y.as, THERE, PG);
	P("the device reads by the copy", device_reads(y.d, THERE + PG));
	C("munmap", munmap(p, PG));
	P("the device reads by the copy, unmapped in the child", device_reads(y.d, THERE + PG));
	P("COPY back from the other IOAS", copy(y.i, y.as, THERE, two, 0x100000, PG));
	P("the device reads then", device_reads(y.d, THERE));
	DO(CHILD, mprotect(alone, SIZE, PROT_READ | PROT_WRITE); memset(alone, 55, SIZE));
	C("MAP what it alone has", imap(y.i, y.as, FIXED | RD | WR, alone, SIZE, 0x300000));
	P("MAP what the child alone has", imap(y.i, y.as, FIXED | RD | WR, alone, SIZE, 0x400000));
	P("the device reads that", device_reads(y.d, 0x300000));
	fd = (int)LET(CHILD, high(memfd_create("child", MFD_CLOEXEC), 320));
	DO(CHILD, ftruncate(fd, SIZE); pwrite(fd, (char[]){ 66 }, 1, 0));
	P("MAP_FILE by the child's number", map_file(y.i, y.as, fd, SIZE, 0x500000));
	C("MAP_FILE", map_file(y.i, y.as, fd, SIZE, 0x500000));
	C("MAP_FILE no file", map_file(y.i, y.as, y.i, SIZE, 0x600000));
	P("the device reads the file", device_reads(y.d, 0x500000));
	ends(PARENT, CHILD);
	P("the device reads the file, the child gone", device_reads(y.d, 0x500000));
	P("the device reads the child's memory, the child gone", device_reads(y.d, 0x300000));
	P("COPY it, the child gone", copy(y.i, y.as, 0x700000, y.as, 0x300000, SIZE));
	P("the device reads that copy", device_reads(y.d, 0x700000));
	IUNMAP(PARENT, "UNMAP all", y.i, y.as, 0, -1ull);
	munmap(p, PG);
	close(y.d);
	close(y.i);
}

/* Memory is pinned when something is attached: whose, and what if that process has ended? */
static void iommufd_later(void)
{
	unsigned char *p = page(MAP_PRIVATE);
	uint32_t pt;
	begin("pinned later");
	struct iox y = iommufd_ready(false);
	memset(p, 11, PG);
	P("MAP the window", imap(y.i, y.as, FIXED | RD | WR, window, PG, WINDOW));
	P("MAP before the fork", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE));
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("MAP", imap(y.i, y.as, FIXED | RD | WR, p, PG, THERE + PG));
	pt = y.as;
	C("ATTACH", attach(y.d, 0, &pt));
	P("the device reads the parent's", device_reads(y.d, THERE));
	P("the device reads the child's", device_reads(y.d, THERE + PG));
	PINNED(CHILD, "attached");
	PINNED(PARENT, "attached");
	P("DETACH", detach(y.d, 0));
	ends(PARENT, CHILD);
	pt = y.as;
	P("ATTACH, the child gone", attach(y.d, 0, &pt));
	P("COPY what the child mapped", copy(y.i, y.as, 0x300000, y.as, THERE + PG, PG));
	IUNMAP(PARENT, "UNMAP what the child mapped", y.i, y.as, THERE + PG, PG);
	IUNMAP(PARENT, "UNMAP its copy", y.i, y.as, 0x300000, PG);
	pt = y.as;
	P("ATTACH then", attach(y.d, 0, &pt));
	P("the device reads the parent's then", device_reads(y.d, THERE));
	munmap(p, PG);
	close(y.d);
	close(y.i);
}

static void iommufd_process(const char *topic, uint64_t mode, bool may_lock)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	uint32_t pt;
	begin(topic);
	ipc_lock(may_lock);
	ftruncate(fd, SIZE);
	struct iox y = { .i = open("/dev/iommu", O_RDWR | O_CLOEXEC), .d = open_cdev(edu) };
	P("OPTION", iopt(y.i, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &mode));
	bind_to(y.d, y.i, &y.dev);
	pt = y.as = ioas(y.i);
	attach(y.d, 0, &pt);
	P("MAP_FILE", map_file(y.i, y.as, fd, SIZE, 0x100000));
	forks(PARENT, CHILD);
	PINNED(PARENT, "mapped");
	PINNED(CHILD, "mapped by the parent");
	C("CHANGE_PROCESS bad pointer", ioctl(y.i, IOMMU_IOAS_CHANGE_PROCESS, BAD));
	C("CHANGE_PROCESS", change_process(y.i));
	PINNED(PARENT, "given away");
	PINNED(CHILD, "taken");
	C("MAP memory", imap(y.i, y.as, FIXED | RD | WR, mem, SIZE, 0x200000));
	PINNED(CHILD, "memory mapped");
	PINNED(PARENT, "memory mapped by the child");
	P("CHANGE_PROCESS, memory is mapped too", change_process(y.i));
	C("CHANGE_PROCESS to the same, memory is mapped too", change_process(y.i));
	IUNMAP(PARENT, "UNMAP the memory", y.i, y.as, 0x200000, SIZE);
	PINNED(CHILD, "memory unmapped by the parent");
	PINNED(PARENT, "memory unmapped");
	P("CHANGE_PROCESS back", change_process(y.i));
	PINNED(PARENT, "taken back");
	PINNED(CHILD, "given back");
	ends(PARENT, CHILD);
	IUNMAP(PARENT, "UNMAP", y.i, y.as, 0x100000, SIZE);
	PINNED(PARENT, "unmapped");
	ipc_lock(true);
	close(y.d);
	close(y.i);
	close(fd);
}

static void iommufd_gone(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	begin("mapped by a process that is gone");
	ftruncate(fd, SIZE);
	struct iox y = iommufd_ready(true);
	forks(PARENT, CHILD);
	C("MAP_FILE", map_file(y.i, y.as, fd, SIZE, 0x100000));
	ends(PARENT, CHILD);
	P("CHANGE_PROCESS", change_process(y.i));
	IUNMAP(PARENT, "UNMAP", y.i, y.as, 0x100000, SIZE);
	P("CHANGE_PROCESS, nothing mapped", change_process(y.i));
	close(y.d);
	close(y.i);
	close(fd);
}

static void cdev(void)
{
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), d, own, second;
	uint32_t id = 0, as, pt;
	struct vfio_device_bind_iommufd bind = { .argsz = 8, .iommufd = i };
	char b[8];
	begin("a device's node");
	d = open_cdev(edu);
	forks(PARENT, CHILD);
	C("GET_INFO before BIND", device_there(d));
	C("pread before BIND", pread(d, b, 4, (off_t)CFG));
	C("mmap before BIND", try_mmap(d, PG, PROT_READ, MAP_SHARED, 0));
	C("ATTACH before BIND", attach(d, 0, &(uint32_t){ 1 }));
	C("BIND argsz 8", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	C("BIND bad pointer", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, BAD));
	C("BIND iommufd -1", bind_to(d, -1, &id));
	C("BIND a closed descriptor", bind_to(d, NO_FD, &id));
	C("BIND no iommufd", bind_to(d, 0, &id));
	own = CFD("an iommufd of its own", high(open("/dev/iommu", O_RDWR | O_CLOEXEC), 330));
	P("BIND by that number", bind_to(d, own, &id));
	C("BIND", bind_to(d, i, &id));
	P("GET_INFO", device_there(d));
	P("BIND again", bind_to(d, i, &id));
	C("BIND to another", bind_to(d, own, &id));
	second = CFD("the node once more", open_cdev(edu));
	C("BIND that", bind_to(second, i, &id));
	P("the group is free", group_free(edu));
	as = (uint32_t)LET(PARENT, ioas(i));
	pt = as;
	C("ATTACH", attach(d, 0, &pt));
	C("ATTACH missing id", attach(d, 0, &(uint32_t){ 9999 }));
	C("ATTACH bad pointer", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, BAD));
	P("DESTROY the IOAS", destroy(i, as));
	P("DETACH", detach(d, 0));
	C("DESTROY the IOAS, detached", destroy(i, as));
	C("GET_REGION_INFO of config space", config16(d, 0));
	C("unknown ioctl", ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	P("close the node", close(d));
	C("GET_INFO, closed in the parent", device_there(d));
	P("the group is free, closed", group_free(edu));
	C("close the node", close(d));
	P("the group is free, closed by both", group_free(edu));
	C("BIND the second, to its own", bind_to(second, own, &id));
	as = (uint32_t)C("IOAS_ALLOC in its own", ioas(own));
	pt = as;
	C("ATTACH the second", attach(second, 0, &pt));
	P("the group is free, bound by the child", group_free(edu));
	C("MAP in its own", imap(own, as, FIXED | RD | WR, mem, 16 * PG, 0x100000));
	PINNED(CHILD, "mapped");
	PINNED(PARENT, "mapped by the child");
	DO(PARENT, kill(pids[CHILD], SIGKILL));
	if (me == CHILD)
		pause();
	P("the child is gone", reap(pids[CHILD]));
	P("the group is free, the child gone", group_free(edu));
	d = PFD("the node anew", open_cdev(edu));
	P("BIND", bind_to(d, i, &id));
	close(d);
	close(i);
}

int main(int argc, char **argv)
{
	start_children(argc, argv);
	if (!access("/dev/iommu", F_OK)) {
		iommufd_objects();
		iommufd_answers();
		iommufd_queue();
		iommufd_mapping();
		iommufd_later();
		iommufd_process("accounts of a process", 1, false);
		iommufd_process("accounts of a process that may lock all", 1, true);
		iommufd_process("accounts of a user", 0, false);
		cdev();
		iommufd_gone(); /* last: Linux loses count of what is pinned then */
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
