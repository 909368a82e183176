/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attach.c - random calls that bind two devices to two iommufds and attach them: by their own nodes, by their groups,
 * with an iommufd or a container.  Which errno comes first, who may have a device, what holds what.
 *
 * usage: attach EDU MSIX [ROUNDS [SEED]]   (PCI addresses)
 *
 * Other seeds ask other questions: run with them here and on a real Linux, and compare.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>

#include "tests/conformance/calls.h"
#include "tests/conformance/random.h"

#define STEPS 150
#define IOMMUFDS 2
#define DEVICES 2
#define NODES 2 /* descriptors of a device's node */
#define SLOTS 6 /* of a kind of object, in each iommufd */
#define NOBODY 7777u

enum kind { DEV, SPACE, HWPT, FAULTQ, VIOMMU, KINDS };
static const char *const kind_names[] = { "device", "ioas", "hwpt", "faults", "viommu" };
static const unsigned kind_slots[] = { DEVICES, 2, SLOTS, 1, 1 };

static int iommufd[IOMMUFDS], node[DEVICES][NODES], group[DEVICES], by_group[DEVICES], container;
static uint32_t ids[IOMMUFDS][KINDS][SLOTS];
static bool groups; /* are most often used */
static int bound[DEVICES][NODES]; /* to which iommufd it was to be last: most often it is attached to what is there */

/* ---- what a call is about ---- */

/* One of @kind in iommufd @i, seldom of another kind or in another; its number. */
static uint32_t some(unsigned i, enum kind kind)
{
	const unsigned odd = below(32), other = below(KINDS), in = odd == 2 ? !i : i;
	const enum kind of = odd == 1 ? other : kind;
	const unsigned nr = below(kind_slots[of]);

	if (!odd) {
		say(" nobody");
		return below(2) ? NOBODY : 0;
	}
	say(" %s%u.%u", kind_names[of], in, nr);
	return ids[in][of][nr];
}

static uint32_t some_table(unsigned i)
{
	return some(i, below(2) ? HWPT : SPACE);
}

static void note_id(unsigned i, uint32_t id)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned nr = 0; nr < kind_slots[kind]; nr++)
			if (id && ids[i][kind][nr] == id) {
				note("now %s%u.%u", kind_names[kind], i, nr);
				return;
			}
	note("now %s", id ? "another" : "none");
}

/* Where what is made is noted. */
static uint32_t *place(unsigned i, enum kind kind)
{
	const unsigned nr = below(kind_slots[kind]);

	say(" %s%u.%u:", kind_names[kind], i, nr);
	return &ids[i][kind][nr];
}

/* What a struct that has @size bytes says of itself. */
static uint32_t some_argsz(uint32_t size)
{
	if (below(16))
		return size;
	return below(2) ? below(size) : size + 1 + below(64);
}

/* With a struct that says that it is longer than it is: zeros follow. */
static long padded(int fd, unsigned long request, void *s, size_t size)
{
	static unsigned char room[256];
	long ret;

	memset(room, 0, sizeof(room));
	memcpy(room, s, size);
	ret = ioctl(fd, request, room);
	memcpy(s, room, size);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- devices by their nodes ---- */

static const char *address(unsigned d)
{
	return d ? msix : edu;
}

static void open_node(unsigned step, unsigned d, unsigned n)
{
	close_fd(&node[d][n]);
	call("%u open node %u.%u", step, d, n);
	node[d][n] = (int)TFD(what, open_cdev(address(d)));
}

static void bind_node(unsigned step, unsigned d, unsigned n)
{
	static const unsigned char uuid[16] = { 1 };
	const unsigned i = below(IOMMUFDS), odd = below(24), with = below(3);
	struct vfio_device_bind_iommufd b = { .argsz = some_argsz(sizeof(b)), .flags = below(12) ? 0 : below(4),
					      .iommufd = iommufd[i], .token_uuid_ptr = (uintptr_t)uuid };

	call("%u BIND node %u.%u argsz %u flags %u", step, d, n, b.argsz, b.flags);
	if (odd)
		say(" iommufd%u", i);
	else
		b.iommufd = with == 0 ? -1 : with == 1 ? container : group[d];
	if (!odd)
		say(" %s", with == 0 ? "none" : with == 1 ? "a container" : "its group");
	if (b.flags & 1 && below(2)) {
		b.token_uuid_ptr = 8;
		say(" bad token");
	}
	bound[d][n] = (int)i;
	if (!T(what, padded(node[d][n], VFIO_DEVICE_BIND_IOMMUFD, &b, sizeof(b))))
		ids[i][DEV][d] = b.out_devid;
}

/* Most often of the device itself. */
static uint32_t pasid_flags(void)
{
	if (below(8))
		return 0;
	return below(3) ? VFIO_DEVICE_ATTACH_PASID : below(4);
}

static uint32_t some_pasid(uint32_t flags)
{
	static const uint32_t pasids[] = { 0, 1, 1, 2, 1 << 20, -1u };
	const uint32_t pasid = pasids[below(COUNT(pasids))];

	if (flags & 1)
		say(" pasid 0x%x", pasid);
	return pasid;
}

static void attach_node(unsigned step, unsigned d, unsigned n)
{
	struct vfio_device_attach_iommufd_pt a = { .argsz = some_argsz(sizeof(a)), .flags = pasid_flags() };

	call("%u ATTACH node %u.%u argsz %u flags %u", step, d, n, a.argsz, a.flags);
	a.pasid = some_pasid(a.flags);
	a.pt_id = some_table((unsigned)bound[d][n]);
	if (!T(what, padded(node[d][n], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a, sizeof(a))))
		note_id((unsigned)bound[d][n], a.pt_id);
}

static void detach_node(unsigned step, unsigned d, unsigned n)
{
	struct vfio_device_detach_iommufd_pt a = { .argsz = some_argsz(sizeof(a)), .flags = pasid_flags() };

	call("%u DETACH node %u.%u argsz %u flags %u", step, d, n, a.argsz, a.flags);
	a.pasid = some_pasid(a.flags);
	T(what, padded(node[d][n], VFIO_DEVICE_DETACH_IOMMUFD_PT, &a, sizeof(a)));
}

/* Whether a device can be used is asked of any descriptor of it. */
static void use(unsigned step, unsigned d, unsigned n)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const bool by = below(3) == 0;
	const int fd = by ? by_group[d] : node[d][n];
	char name[40];

	snprintf(name, sizeof(name), by ? "device %u by its group" : "node %u.%u", d, n);
	call("%u GET_INFO of %s", step, name);
	T(what, ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	if (below(4))
		return;
	call("%u RESET of %s", step, name);
	T(what, ioctl(fd, VFIO_DEVICE_RESET));
}

/* ---- and by their groups ---- */

static void open_group(unsigned step, unsigned d)
{
	close_fd(&group[d]);
	call("%u open group %u", step, d);
	group[d] = (int)TFD(what, open(group_path(address(d)), O_RDWR | O_CLOEXEC));
}

static void group_status(unsigned d)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (!ioctl(group[d], VFIO_GROUP_GET_STATUS, &status))
		note("flags %u", status.flags);
}

static void set_container(unsigned step, unsigned d)
{
	const unsigned n = below(IOMMUFDS + 1);
	int fd = n < IOMMUFDS ? iommufd[n] : container;

	call("%u SET_CONTAINER group %u %s%u", step, d, n < IOMMUFDS ? "iommufd" : "container", n % IOMMUFDS);
	T(what, ioctl(group[d], VFIO_GROUP_SET_CONTAINER, &fd));
	group_status(d);
}

static void unset_container(unsigned step, unsigned d)
{
	call("%u UNSET_CONTAINER group %u", step, d);
	T(what, ioctl(group[d], VFIO_GROUP_UNSET_CONTAINER));
	group_status(d);
}

static void device_fd(unsigned step, unsigned d)
{
	if (below(3))
		close_fd(&by_group[d]);
	call("%u GET_DEVICE_FD group %u", step, d);
	if (by_group[d] >= 0) { /* a second one */
		int fd = (int)TFD(what, ioctl(group[d], VFIO_GROUP_GET_DEVICE_FD, address(d)));

		close_fd(&fd);
		return;
	}
	by_group[d] = (int)TFD(what, ioctl(group[d], VFIO_GROUP_GET_DEVICE_FD, address(d)));
}

/* An iommufd, or the container, as a program of before there were iommufds uses it. */
static void as_container(unsigned step)
{
	static const unsigned long types[] = { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_TYPE1v2_IOMMU, 6, 8, 0 };
	const unsigned n = below(IOMMUFDS + 1), op = below(4);
	const int fd = n < IOMMUFDS ? iommufd[n] : container;
	const unsigned long type = types[below(COUNT(types))];
	const uint64_t iova = below(8) ? PG * below(8) : 0xfee00000, size = PG * (1 + below(4));

	call("%u %s%u ", step, n < IOMMUFDS ? "iommufd" : "container", n % IOMMUFDS);
	if (op == 0) {
		say("SET_IOMMU %lu", type);
		T(what, ioctl(fd, VFIO_SET_IOMMU, type));
	} else if (op == 1) {
		say("CHECK_EXTENSION %lu", type);
		T(what, ioctl(fd, VFIO_CHECK_EXTENSION, type));
	} else if (op == 2) {
		say("MAP_DMA 0x%llx bytes at 0x%llx", HEX(size), HEX(iova));
		T(what, dma_map(fd, 3, mem, iova, size));
	} else {
		say("UNMAP_DMA 0x%llx bytes at 0x%llx", HEX(size), HEX(iova));
		TU(what, fd, 0, iova, size);
	}
}

static void vfio_ioas(unsigned step)
{
	const unsigned i = !below(4);
	struct iommu_vfio_ioas v = { .size = sizeof(v), .op = below(12) ? below(3) : 3 + below(3),
				     .__reserved = !below(24) };

	call("%u VFIO_IOAS op %u reserved %u", step, v.op, v.__reserved);
	v.ioas_id = some(i, SPACE);
	if (!T(what, ioctl(iommufd[i], IOMMU_VFIO_IOAS, &v)) && v.op == IOMMU_VFIO_IOAS_GET)
		note_id(i, v.ioas_id);
}

/* ---- objects ---- */

static void ioas_alloc(unsigned step)
{
	const unsigned i = !below(4);
	struct iommu_ioas_alloc a = { .size = sizeof(a), .flags = !below(24) };
	uint32_t *id;

	call("%u IOAS_ALLOC flags %u", step, a.flags);
	id = place(i, SPACE);
	if (!T(what, ioctl(iommufd[i], IOMMU_IOAS_ALLOC, &a)))
		*id = a.out_ioas_id;
}

static void hwpt_alloc(unsigned step)
{
	static const uint32_t all[] = { 0, 0, 0, IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					IOMMU_HWPT_FAULT_ID_VALID, IOMMU_HWPT_ALLOC_PASID };
	static uint64_t data[8];
	const unsigned i = !below(4);
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .flags = below(8) ? all[below(COUNT(all))] : below(32),
				      .__reserved = !below(40) };
	uint32_t *id;

	if (!below(6)) {
		a.data_type = below(4);
		a.data_len = 8 * below(8);
		a.data_uptr = below(3) ? (uintptr_t)data : 8 * below(2);
	}
	call("%u HWPT_ALLOC flags %u reserved %u data type %u %u bytes %s", step, a.flags, a.__reserved, a.data_type,
	     a.data_len, a.data_uptr > 8 ? "memory" : a.data_uptr ? "bad" : "null");
	id = place(i, HWPT);
	a.dev_id = some(i, DEV);
	a.pt_id = below(6) ? some(i, SPACE) : some_table(i);
	if (a.flags & IOMMU_HWPT_FAULT_ID_VALID)
		a.fault_id = some(i, FAULTQ);
	if (!T(what, ioctl(iommufd[i], IOMMU_HWPT_ALLOC, &a)))
		*id = a.out_hwpt_id;
}

static void viommu_alloc(unsigned step)
{
	const unsigned i = !below(4);
	struct iommu_viommu_alloc v = { .size = sizeof(v), .flags = !below(24), .type = below(4) };
	uint32_t *id;

	call("%u VIOMMU_ALLOC flags %u type %u", step, v.flags, v.type);
	id = place(i, VIOMMU);
	v.dev_id = some(i, DEV);
	v.hwpt_id = some(i, HWPT);
	if (!T(what, ioctl(iommufd[i], IOMMU_VIOMMU_ALLOC, &v)))
		*id = v.out_viommu_id;
}

static void faults_alloc(unsigned step)
{
	const unsigned i = !below(4);
	struct iommu_fault_alloc f = { .size = sizeof(f) };
	uint32_t *id;

	call("%u FAULT_QUEUE_ALLOC", step);
	id = place(i, FAULTQ);
	if (T(what, ioctl(iommufd[i], IOMMU_FAULT_QUEUE_ALLOC, &f)))
		return;
	*id = f.out_fault_id;
	close((int)f.out_fault_fd);
}

static void hw_info(unsigned step)
{
	static uint32_t data[16];
	const unsigned i = !below(4);
	struct iommu_hw_info h = { .size = sizeof(h), .flags = below(12) ? 0 : below(4), .data_len = 4 * below(17),
				   .data_uptr = below(12) ? (uintptr_t)data : 8 * below(2) };

	h.in_data_type = below(8) ? 0 : below(4);
	call("%u GET_HW_INFO flags %u type %u %u bytes %s", step, h.flags, h.in_data_type, h.data_len,
	     h.data_uptr > 8 ? "memory" : h.data_uptr ? "bad" : "null");
	h.dev_id = some(i, DEV);
	if (!T(what, ioctl(iommufd[i], IOMMU_GET_HW_INFO, &h)))
		note("type %u %u bytes capabilities 0x%llx pasids %u", h.out_data_type, h.data_len,
		     HEX(h.out_capabilities), h.out_max_pasid_log2);
}

static void end(unsigned step)
{
	const unsigned i = !below(4);
	uint32_t id;

	call("%u DESTROY", step);
	id = some(i, below(KINDS));
	T(what, destroy(iommufd[i], id));
}

/* ---- memory ---- */

static void map_or_unmap(unsigned step)
{
	static const uint64_t edges[] = { 0xfee00000, 0x800, 1ull << 39, 1ull << 48, -2 * PG, 0 };
	const unsigned i = !below(4);
	const uint64_t iova = below(8) ? PG * below(8) : edges[below(COUNT(edges))];
	const uint64_t length = below(12) ? PG * (1 + below(4)) : 0x800;
	const bool into = below(3);
	uint32_t id;

	call("%u %s 0x%llx bytes at 0x%llx", step, into ? "MAP" : "UNMAP", HEX(length), HEX(iova));
	id = some(i, SPACE);
	if (into)
		T(what, imap(iommufd[i], id, FIXED | RD | WR, mem, length, iova));
	else
		TI(what, iommufd[i], id, below(2) ? 0 : iova, below(2) ? -1ull : length);
}

static void ranges(unsigned step)
{
	struct iommu_iova_range r[8];
	const unsigned i = !below(4);
	struct iommu_ioas_iova_ranges q = { .size = sizeof(q), .num_iovas = COUNT(r), .allowed_iovas = (uintptr_t)r };

	call("%u IOVA_RANGES", step);
	q.ioas_id = some(i, SPACE);
	if (T(what, ioctl(iommufd[i], IOMMU_IOAS_IOVA_RANGES, &q)))
		return;
	note("alignment 0x%llx", HEX(q.out_iova_alignment));
	for (unsigned n = 0; n < q.num_iovas; n++)
		note(" 0x%llx-0x%llx", HEX(r[n].start), HEX(r[n].last));
}

static void dirty(unsigned step)
{
	static uint64_t bits[8];
	const unsigned i = !below(4);
	struct iommu_hwpt_set_dirty_tracking s = { .size = sizeof(s), .flags = below(12) ? below(2) : below(4) };
	struct iommu_hwpt_get_dirty_bitmap g = { .size = sizeof(g), .flags = below(12) ? below(2) : below(4), .iova = 0,
						 .length = 8 * PG, .page_size = PG, .data = (uintptr_t)bits };

	memset(bits, 0, sizeof(bits));
	if (below(2)) {
		call("%u SET_DIRTY_TRACKING flags %u", step, s.flags);
		s.hwpt_id = some(i, HWPT);
		T(what, ioctl(iommufd[i], IOMMU_HWPT_SET_DIRTY_TRACKING, &s));
	} else {
		call("%u GET_DIRTY_BITMAP flags %u", step, g.flags);
		g.hwpt_id = some(i, HWPT);
		T(what, ioctl(iommufd[i], IOMMU_HWPT_GET_DIRTY_BITMAP, &g));
		note("0x%llx", HEX(bits[0]));
	}
}

static void invalidate(unsigned step)
{
	static uint64_t entries[8];
	const unsigned i = !below(4);
	struct iommu_hwpt_invalidate v = { .size = sizeof(v), .data_uptr = (uintptr_t)entries, .data_type = below(3),
					   .entry_len = 8 * below(4), .entry_num = below(3) };

	call("%u INVALIDATE type %u %u of %u bytes", step, v.data_type, v.entry_num, v.entry_len);
	v.hwpt_id = some(i, below(4) ? HWPT : VIOMMU);
	T(what, ioctl(iommufd[i], IOMMU_HWPT_INVALIDATE, &v));
	note("%u done", v.entry_num);
}

/* ---- a random one ---- */

/* What was bound to it keeps it. */
static void reopen(unsigned step)
{
	const unsigned n = below(IOMMUFDS + 1);
	int *fd = n < IOMMUFDS ? &iommufd[n] : &container;

	close_fd(fd);
	if (n < IOMMUFDS)
		memset(ids[n], 0, sizeof(ids[n]));
	call("%u open anew %s%u", step, n < IOMMUFDS ? "iommufd" : "container", n % IOMMUFDS);
	*fd = (int)TFD(what, open(n < IOMMUFDS ? "/dev/iommu" : "/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
}

static void step(unsigned n)
{
	const unsigned d = below(DEVICES), m = !below(4), often = below(8);

	switch (below(40)) {
	case 0: open_node(n, d, m); break;
	case 1:
		if (!often)
			close_fd(&node[d][m]);
		break;
	case 2 ... 3: attach_node(n, d, m); break;
	case 4 ... 6: bind_node(n, d, m); break;
	case 7 ... 12: attach_node(n, d, m); break;
	case 13 ... 14: detach_node(n, d, m); break;
	case 15 ... 16: use(n, d, m); break;
	case 17:
		if (groups || !often) /* one that is open keeps nodes from being bound */
			open_group(n, d);
		break;
	case 18:
		if (often < 3)
			close_fd(&group[d]);
		break;
	case 19 ... 20:
		if (groups || !often)
			below(4) ? set_container(n, d) : unset_container(n, d);
		break;
	case 21:
		if (groups || !often)
			device_fd(n, d);
		break;
	case 22:
		if (groups && often < 3)
			close_fd(&by_group[d]);
		else if (!groups)
			attach_node(n, d, m);
		break;
	case 23 ... 24: as_container(n); break;
	case 25: vfio_ioas(n); break;
	case 26: ioas_alloc(n); break;
	case 27 ... 29: hwpt_alloc(n); break;
	case 30: below(3) ? faults_alloc(n) : viommu_alloc(n); break;
	case 31: hw_info(n); break;
	case 32 ... 33: end(n); break;
	case 34 ... 35: map_or_unmap(n); break;
	case 36: ranges(n); break;
	case 37: dirty(n); break;
	case 38: invalidate(n); break;
	default:
		if (!below(4))
			reopen(n);
		else
			attach_node(n, d, m);
		break;
	}
}

/* A device that is bound, with a page table of each IOAS, and one whose faults go to a queue, if that can be. */
static void begin_bound(unsigned d, unsigned i)
{
	struct iommu_fault_alloc f = { .size = sizeof(f) };

	node[d][0] = open_cdev(address(d));
	bind_to(node[d][0], iommufd[i], &ids[i][DEV][d]);
	bound[d][0] = (int)i;
	if (!ioctl(iommufd[i], IOMMU_FAULT_QUEUE_ALLOC, &f))
		close((int)f.out_fault_fd);
	ids[i][FAULTQ][0] = f.out_fault_id;
	for (unsigned k = 0; k < 3; k++) {
		struct iommu_hwpt_alloc a = { .size = sizeof(a), .dev_id = ids[i][DEV][d],
					      .pt_id = ids[i][SPACE][k % 2] };

		if (k == 2) {
			a.flags = IOMMU_HWPT_FAULT_ID_VALID;
			a.fault_id = f.out_fault_id;
		}
		if (!ioctl(iommufd[i], IOMMU_HWPT_ALLOC, &a))
			ids[i][HWPT][3 * d + k] = a.out_hwpt_id;
	}
}

static void begin_grouped(unsigned d, unsigned i)
{
	group[d] = open(group_path(address(d)), O_RDWR | O_CLOEXEC);
	ioctl(group[d], VFIO_GROUP_SET_CONTAINER, &iommufd[i]);
}

static void run(unsigned round)
{
	groups = round % 3 == 2;
	begin_seed(groups ? "groups, " : "");
	memset(ids, 0, sizeof(ids));
	memset(bound, 0, sizeof(bound));
	memset(node, -1, sizeof(node));
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; i < IOMMUFDS; i++) {
		iommufd[i] = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		for (unsigned k = 0; k < kind_slots[SPACE]; k++)
			ids[i][SPACE][k] = ioas(iommufd[i]);
	}
	for (unsigned d = 0; d < DEVICES; d++) {
		group[d] = by_group[d] = -1;
		if (groups)
			begin_grouped(d, d & round);
		else
			begin_bound(d, d & round);
	}
	for (unsigned n = 0; n < STEPS; n++)
		step(n);
	for (unsigned d = 0; d < DEVICES; d++) {
		for (unsigned n = 0; n < NODES; n++)
			close_fd(&node[d][n]);
		close_fd(&by_group[d]);
		close_fd(&group[d]);
	}
	close_fd(&iommufd[0]);
	close_fd(&iommufd[1]);
	close_fd(&container);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	return random_rounds(argc, argv, 20, run);
}
