/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_iommufd.c - calls on /dev/iommu, its mock devices and device cdevs from fuzz bytes.
 *
 * A table says of each struct which fields are ids, addresses, lengths and pointers; the bytes choose among
 * likely values of each, and now and then spoil the struct or its size.  What must hold:
 *
 *	a call that fails says why (rig.h)
 *	a page of the arena that was never given to a mapping that devices may write does not change
 *	after everything is closed nothing is pinned, whatever was done before and in whatever order it went
 */
#include "tests/fuzz/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/edu/regs.h"
#include "kernel/iommufd/iommufd_test.h"
#include "kernel/mm/pins.h"

#define CONTEXTS 3
#define FILES 10 /* that calls make: fault queues, event queues, accesses, dma-bufs */
#define ARENA_FIRST RIG_GUARD_PAGES
#define ARENA_PAGES (RIG_PAGES - 2 * RIG_GUARD_PAGES)
#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)

static int contexts[CONTEXTS], devices[RIG_GROUPS], groups[RIG_GROUPS], files[FILES], memfd, null;
static unsigned granted[RIG_PAGES]; /* how often a page was made writable for devices */

/* ---- values ---- */

static u32 pick_id(struct rig_input *in)
{
	u8 b = in_u8(in);

	return b < 250 ? b % 20u : in_u32(in);
}

static u64 pick_iova(struct rig_input *in)
{
	u8 b = in_u8(in);

	switch (b % 8) {
	case 0: return MOCK_APERTURE_START + (b >> 3) * 2048u;
	case 1: return (u64)(b >> 3) << 12;
	case 2: return 0xfee00000ull + (u64)(b >> 3) * 4096;
	case 3: return MOCK_APERTURE_LAST + 1 - (u64)(b >> 3) * 4096;
	case 4: return in_u64(in);
	case 5: return MOCK_APERTURE_START + in_u16(in);
	default: return MOCK_APERTURE_START + (u64)(b >> 3) * PAGE_SIZE;
	}
}

static u64 pick_length(struct rig_input *in)
{
	u8 b = in_u8(in);

	switch (b % 8) {
	case 0: return (b >> 3) * 2048u;
	case 1: return in_u16(in);
	case 2: return in_u64(in);
	case 3: return UINT64_MAX;
	case 4: return 0x200000;
	default: return (1 + (b >> 3)) * PAGE_SIZE;
	}
}

/* Program memory that devices may be given. */
static u64 pick_arena(struct rig_input *in)
{
	u8 b = in_u8(in);

	if (b == 255)
		return in_u64(in) & ~(u64)PAGE_MASK; /* low addresses: nothing is there */
	return (uintptr_t)rig_arena + (ARENA_FIRST + b % ARENA_PAGES) * PAGE_SIZE + (b & 0x80 ? 2048 : 0);
}

static u64 pick_buffer(struct rig_input *in)
{
	u8 b = in_u8(in);

	if (b > 250)
		return b & 1 ? 8 : (uintptr_t)rig_ubuf + RIG_UBUF_BYTES - 4;
	return (uintptr_t)rig_ubuf + PAGE_SIZE + b * 8u;
}

static int pick_file(struct rig_input *in)
{
	u8 b = in_u8(in);

	switch (b % 5) {
	case 0: return memfd;
	case 1: return null;
	case 2: return contexts[(b / 5) % CONTEXTS];
	case 3: return b > 250 ? -1 : devices[(b / 5) % RIG_GROUPS];
	default: return files[(b / 5) % FILES];
	}
}

/* ---- structs ---- */

enum kind { END, ID, IOVA, LENGTH, ARENA, BUFFER, FLAGS, SMALL, PASID, FD, TYPE, OUT_FD };
struct field { u8 kind, at, bytes; };

static u64 value(struct rig_input *in, enum kind kind)
{
	static const u32 types[] = { 0, 1, 2, 3, 0xdead, 0xdeadbeef, 0xbeefbeef, 0xfeedbeef };

	switch (kind) {
	case ID: return pick_id(in);
	case IOVA: return pick_iova(in);
	case LENGTH: return pick_length(in);
	case ARENA: return pick_arena(in);
	case BUFFER: return pick_buffer(in);
	case FLAGS: return in_u8(in) % 16u;
	case SMALL: return in_u8(in) % 40u;
	case PASID: return in_u8(in) < 200 ? 1 + in_u8(in) % 4u : 1024;
	case FD: return (u64)(s64)pick_file(in);
	case TYPE: return types[in_u8(in) % ARRAY_SIZE(types)];
	default: return 0;
	}
}

#define F(kind, type, member) { kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
static const struct command {
	unsigned cmd;
	u8 size;
	struct field fields[12];
} commands[] = {
	{ IOMMU_DESTROY, sizeof(struct iommu_destroy), { F(ID, iommu_destroy, id) } },
	{ IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc), { { END } } },
	{ IOMMU_IOAS_ALLOW_IOVAS, sizeof(struct iommu_ioas_allow_iovas),
	  { F(ID, iommu_ioas_allow_iovas, ioas_id), F(SMALL, iommu_ioas_allow_iovas, num_iovas),
	    F(BUFFER, iommu_ioas_allow_iovas, allowed_iovas) } },
	{ IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy),
	  { F(FLAGS, iommu_ioas_copy, flags), F(ID, iommu_ioas_copy, dst_ioas_id), F(ID, iommu_ioas_copy, src_ioas_id),
	    F(LENGTH, iommu_ioas_copy, length), F(IOVA, iommu_ioas_copy, dst_iova), F(IOVA, iommu_ioas_copy, src_iova) } },
	{ IOMMU_IOAS_IOVA_RANGES, sizeof(struct iommu_ioas_iova_ranges),
	  { F(ID, iommu_ioas_iova_ranges, ioas_id), F(SMALL, iommu_ioas_iova_ranges, num_iovas),
	    F(BUFFER, iommu_ioas_iova_ranges, allowed_iovas) } },
	{ IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map),
	  { F(FLAGS, iommu_ioas_map, flags), F(ID, iommu_ioas_map, ioas_id), F(ARENA, iommu_ioas_map, user_va),
	    F(LENGTH, iommu_ioas_map, length), F(IOVA, iommu_ioas_map, iova) } },
	{ IOMMU_IOAS_MAP_FILE, sizeof(struct iommu_ioas_map_file),
	  { F(FLAGS, iommu_ioas_map_file, flags), F(ID, iommu_ioas_map_file, ioas_id), F(FD, iommu_ioas_map_file, fd),
	    F(LENGTH, iommu_ioas_map_file, start), F(LENGTH, iommu_ioas_map_file, length), F(IOVA, iommu_ioas_map_file, iova) } },
	{ IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap),
	  { F(ID, iommu_ioas_unmap, ioas_id), F(IOVA, iommu_ioas_unmap, iova), F(LENGTH, iommu_ioas_unmap, length) } },
	{ IOMMU_OPTION, sizeof(struct iommu_option),
	  { F(SMALL, iommu_option, option_id), F(SMALL, iommu_option, op), F(ID, iommu_option, object_id), F(SMALL, iommu_option, val64) } },
	{ IOMMU_VFIO_IOAS, sizeof(struct iommu_vfio_ioas), { F(ID, iommu_vfio_ioas, ioas_id), F(SMALL, iommu_vfio_ioas, op) } },
	{ IOMMU_IOAS_CHANGE_PROCESS, sizeof(struct iommu_ioas_change_process), { { END } } },
	{ IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc),
	  { F(FLAGS, iommu_hwpt_alloc, flags), F(ID, iommu_hwpt_alloc, dev_id), F(ID, iommu_hwpt_alloc, pt_id),
	    F(TYPE, iommu_hwpt_alloc, data_type), F(SMALL, iommu_hwpt_alloc, data_len), F(BUFFER, iommu_hwpt_alloc, data_uptr),
	    F(ID, iommu_hwpt_alloc, fault_id) } },
	{ IOMMU_GET_HW_INFO, sizeof(struct iommu_hw_info),
	  { F(FLAGS, iommu_hw_info, flags), F(ID, iommu_hw_info, dev_id), F(SMALL, iommu_hw_info, data_len),
	    F(BUFFER, iommu_hw_info, data_uptr), F(TYPE, iommu_hw_info, in_data_type) } },
	{ IOMMU_HWPT_SET_DIRTY_TRACKING, sizeof(struct iommu_hwpt_set_dirty_tracking),
	  { F(FLAGS, iommu_hwpt_set_dirty_tracking, flags), F(ID, iommu_hwpt_set_dirty_tracking, hwpt_id) } },
	{ IOMMU_HWPT_GET_DIRTY_BITMAP, sizeof(struct iommu_hwpt_get_dirty_bitmap),
	  { F(ID, iommu_hwpt_get_dirty_bitmap, hwpt_id), F(FLAGS, iommu_hwpt_get_dirty_bitmap, flags),
	    F(IOVA, iommu_hwpt_get_dirty_bitmap, iova), F(LENGTH, iommu_hwpt_get_dirty_bitmap, length),
	    F(LENGTH, iommu_hwpt_get_dirty_bitmap, page_size), F(BUFFER, iommu_hwpt_get_dirty_bitmap, data) } },
	{ IOMMU_HWPT_INVALIDATE, sizeof(struct iommu_hwpt_invalidate),
	  { F(ID, iommu_hwpt_invalidate, hwpt_id), F(BUFFER, iommu_hwpt_invalidate, data_uptr), F(TYPE, iommu_hwpt_invalidate, data_type),
	    F(SMALL, iommu_hwpt_invalidate, entry_len), F(SMALL, iommu_hwpt_invalidate, entry_num) } },
	{ IOMMU_FAULT_QUEUE_ALLOC, sizeof(struct iommu_fault_alloc), { F(OUT_FD, iommu_fault_alloc, out_fault_fd) } },
	{ IOMMU_VIOMMU_ALLOC, sizeof(struct iommu_viommu_alloc),
	  { F(FLAGS, iommu_viommu_alloc, flags), F(TYPE, iommu_viommu_alloc, type), F(ID, iommu_viommu_alloc, dev_id),
	    F(ID, iommu_viommu_alloc, hwpt_id), F(SMALL, iommu_viommu_alloc, data_len), F(BUFFER, iommu_viommu_alloc, data_uptr) } },
	{ IOMMU_VDEVICE_ALLOC, sizeof(struct iommu_vdevice_alloc),
	  { F(ID, iommu_vdevice_alloc, viommu_id), F(ID, iommu_vdevice_alloc, dev_id), F(SMALL, iommu_vdevice_alloc, virt_id) } },
	{ IOMMU_VEVENTQ_ALLOC, sizeof(struct iommu_veventq_alloc),
	  { F(FLAGS, iommu_veventq_alloc, flags), F(ID, iommu_veventq_alloc, viommu_id), F(TYPE, iommu_veventq_alloc, type),
	    F(SMALL, iommu_veventq_alloc, veventq_depth), F(OUT_FD, iommu_veventq_alloc, out_veventq_fd) } },
	{ IOMMU_HW_QUEUE_ALLOC, sizeof(struct iommu_hw_queue_alloc),
	  { F(FLAGS, iommu_hw_queue_alloc, flags), F(ID, iommu_hw_queue_alloc, viommu_id), F(TYPE, iommu_hw_queue_alloc, type),
	    F(SMALL, iommu_hw_queue_alloc, index), F(IOVA, iommu_hw_queue_alloc, nesting_parent_iova),
	    F(LENGTH, iommu_hw_queue_alloc, length) } },
	{ VFIO_IOMMU_MAP_DMA, sizeof(struct vfio_iommu_type1_dma_map),
	  { F(FLAGS, vfio_iommu_type1_dma_map, flags), F(ARENA, vfio_iommu_type1_dma_map, vaddr),
	    F(IOVA, vfio_iommu_type1_dma_map, iova), F(LENGTH, vfio_iommu_type1_dma_map, size) } },
	{ VFIO_IOMMU_UNMAP_DMA, sizeof(struct vfio_iommu_type1_dma_unmap),
	  { F(FLAGS, vfio_iommu_type1_dma_unmap, flags), F(IOVA, vfio_iommu_type1_dma_unmap, iova),
	    F(LENGTH, vfio_iommu_type1_dma_unmap, size) } },
	{ VFIO_IOMMU_GET_INFO, sizeof(struct vfio_iommu_type1_info), { { END } } },
};

#define T(kind, member) F(kind, iommu_test_cmd, member)
static const struct { u8 op; struct field fields[6]; } tests[] = {
	{ IOMMU_TEST_OP_ADD_RESERVED, { T(IOVA, add_reserved.start), T(LENGTH, add_reserved.length) } },
	{ IOMMU_TEST_OP_MOCK_DOMAIN, { { END } } },
	{ IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, { T(FLAGS, mock_domain.dev_flags) } },
	{ IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, { T(ID, mock_domain_replace.pt_id) } },
	{ IOMMU_TEST_OP_MD_CHECK_MAP, { T(IOVA, check_map.iova), T(LENGTH, check_map.length), T(ARENA, check_map.uptr) } },
	{ IOMMU_TEST_OP_MD_CHECK_REFS, { T(LENGTH, check_refs.length), T(ARENA, check_refs.uptr), T(SMALL, check_refs.refs) } },
	{ IOMMU_TEST_OP_CREATE_ACCESS, { T(FLAGS, create_access.flags), T(OUT_FD, create_access.out_access_fd) } },
	{ IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, { T(ID, destroy_access_pages.access_pages_id) } },
	{ IOMMU_TEST_OP_ACCESS_PAGES,
	  { T(FLAGS, access_pages.flags), T(IOVA, access_pages.iova), T(LENGTH, access_pages.length), T(ARENA, access_pages.uptr) } },
	{ IOMMU_TEST_OP_ACCESS_RW,
	  { T(IOVA, access_rw.iova), T(LENGTH, access_rw.length), T(BUFFER, access_rw.uptr), T(FLAGS, access_rw.flags) } },
	{ IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, { T(SMALL, memory_limit.limit) } },
	{ IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, { T(ID, access_replace_ioas.ioas_id) } },
	{ IOMMU_TEST_OP_DIRTY,
	  { T(FLAGS, dirty.flags), T(IOVA, dirty.iova), T(LENGTH, dirty.length), T(LENGTH, dirty.page_size), T(BUFFER, dirty.uptr) } },
	{ IOMMU_TEST_OP_MD_CHECK_IOTLB, { T(SMALL, check_word.index), T(SMALL, check_word.value) } },
	{ IOMMU_TEST_OP_DEV_CHECK_CACHE, { T(SMALL, check_word.index), T(SMALL, check_word.value) } },
	{ IOMMU_TEST_OP_TRIGGER_IOPF,
	  { T(ID, trigger_iopf.dev_id), T(PASID, trigger_iopf.pasid), T(SMALL, trigger_iopf.grpid), T(FLAGS, trigger_iopf.perm),
	    T(IOVA, trigger_iopf.addr) } },
	{ IOMMU_TEST_OP_TRIGGER_VEVENT, { T(ID, trigger_vevent.dev_id) } },
	{ IOMMU_TEST_OP_PASID_ATTACH, { T(PASID, pasid_attach.pasid), T(ID, pasid_attach.pt_id) } },
	{ IOMMU_TEST_OP_PASID_REPLACE, { T(PASID, pasid_attach.pasid), T(ID, pasid_attach.pt_id) } },
	{ IOMMU_TEST_OP_PASID_DETACH, { T(PASID, pasid_detach.pasid) } },
	{ IOMMU_TEST_OP_PASID_CHECK_HWPT, { T(PASID, pasid_check.pasid), T(ID, pasid_check.hwpt_id) } },
	{ IOMMU_TEST_OP_DMABUF_GET, { T(LENGTH, dmabuf_get.length) } },
	{ IOMMU_TEST_OP_DMABUF_REVOKE, { T(FD, dmabuf_revoke.dmabuf_fd), T(FLAGS, dmabuf_revoke.revoked) } },
};

/* ---- calls ---- */

static void grant(u64 uva, u64 len_bytes)
{
	const u64 arena = (uintptr_t)rig_arena, end = arena + RIG_PAGES * PAGE_SIZE;
	u64 last;

	if (!len_bytes || range_overflows(uva, len_bytes, &last))
		return;
	for (u64 page = max(uva & PAGE_MASK, arena); page <= last && page < end; page += PAGE_SIZE) {
		unsigned i = (unsigned)((page - arena) / PAGE_SIZE);

		if (!granted[i]++)
			rig_writable(i, 1, true);
	}
}

static void keep_file(int fd)
{
	for (unsigned i = 0; i < FILES; i++)
		if (files[i] < 0) {
			files[i] = fd;
			return;
		}
	rig_close(fd);
}

static void fill(struct rig_input *in, u8 *arg, const struct field *fields)
{
	for (; fields->kind != END; fields++) {
		u64 v = value(in, fields->kind);

		memcpy(arg + fields->at, &v, fields->bytes);
	}
}

static void spoil(struct rig_input *in, u8 *arg, size_t size)
{
	u8 how = in_u8(in);
	u32 argsz;

	if (how < 200)
		return;
	if (how < 220) {
		argsz = in_u8(in);
		memcpy(arg, &argsz, sizeof(argsz));
	}
	if (how >= 215)
		arg[4 + in_u8(in) % (size - 4)] = in_u8(in);
}

static void made(const u8 *arg, const struct field *fields)
{
	for (; fields->kind != END; fields++) {
		int fd;

		if (fields->kind != OUT_FD)
			continue;
		memcpy(&fd, arg + fields->at, sizeof(fd));
		keep_file(fd);
	}
}

static int pick_context(struct rig_input *in)
{
	return contexts[in_u8(in) % CONTEXTS];
}

static void command(struct rig_input *in)
{
	const struct command *c = &commands[in_u8(in) % ARRAY_SIZE(commands)];
	int fd = pick_context(in);
	u8 arg[256] = {0};
	u32 size = c->size;

	memcpy(arg, &size, sizeof(size));
	fill(in, arg, c->fields);
	spoil(in, arg, c->size);
	if (fd < 0)
		return;
	if (c->cmd == IOMMU_IOAS_MAP) {
		struct iommu_ioas_map *map = (void *)arg;

		grant(map->user_va, map->length); /* also if it fails, or grants less */
	} else if (c->cmd == VFIO_IOMMU_MAP_DMA) {
		struct vfio_iommu_type1_dma_map *map = (void *)arg;

		grant(map->vaddr, map->size);
	}
	if (rig_ioctl(fd, c->cmd, (uintptr_t)arg) >= 0)
		made(arg, c->fields);
}

static void test_command(struct rig_input *in)
{
	unsigned which = in_u8(in) % ARRAY_SIZE(tests);
	struct iommu_test_cmd arg = { .size = sizeof(arg), .op = tests[which].op };
	bool of_access = arg.op >= IOMMU_TEST_OP_DESTROY_ACCESS_PAGES && arg.op <= IOMMU_TEST_OP_ACCESS_RW;
	int fd = pick_context(in);
	long ret;

	arg.id = of_access || arg.op == IOMMU_TEST_OP_ACCESS_REPLACE_IOAS ? (u32)pick_file(in) : pick_id(in);
	fill(in, (u8 *)&arg, tests[which].fields);
	if (arg.op == IOMMU_TEST_OP_DMABUF_GET)
		arg.dmabuf_get.open_flags = O_CLOEXEC;
	spoil(in, (u8 *)&arg, sizeof(arg));
	if (fd < 0)
		return;
	ret = rig_ioctl(fd, IOMMU_TEST_CMD, (uintptr_t)&arg);
	if (ret < 0)
		return;
	if (arg.op == IOMMU_TEST_OP_DMABUF_GET)
		keep_file((int)ret);
	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) /* it may have been spoiled to another command */
		if (tests[i].op == arg.op)
			made((u8 *)&arg, tests[i].fields);
}

/* Fault and event queues: what is waiting, and answers to it. */
static void queue(struct rig_input *in)
{
	int fd = files[in_u8(in) % FILES];
	u8 how = in_u8(in), bytes[64];
	size_t len = how & 1 ? 8u * (how >> 4) : how >> 2;

	if (fd < 0)
		return;
	in_bytes(in, bytes, len % sizeof(bytes));
	if (how & 2)
		rig_pwrite(fd, bytes, len % sizeof(bytes), 0);
	else
		rig_pread(fd, rig_ubuf + PAGE_SIZE, len * 8, 0);
}

static void open_context(struct rig_input *in)
{
	int *slot = &contexts[in_u8(in) % CONTEXTS];

	if (*slot < 0)
		*slot = rig_open("/dev/iommu", O_RDWR);
}

static void open_device(struct rig_input *in)
{
	unsigned i = in_u8(in) % RIG_GROUPS;
	char path[32];

	if (devices[i] >= 0)
		return;
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i);
	devices[i] = rig_open(path, O_RDWR);
}

static void bind_device(struct rig_input *in)
{
	int fd = devices[in_u8(in) % RIG_GROUPS];
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = pick_context(in) };

	spoil(in, (u8 *)&bind, sizeof(bind));
	if (fd >= 0)
		rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&bind);
}

static void attach_device(struct rig_input *in)
{
	int fd = devices[in_u8(in) % RIG_GROUPS];
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = pick_id(in) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	u8 how = in_u8(in);

	attach.flags = how & 1 ? VFIO_DEVICE_ATTACH_PASID : 0;
	detach.flags = how & 1 ? VFIO_DEVICE_DETACH_PASID : 0;
	attach.pasid = detach.pasid = (u32)value(in, PASID);
	if (fd < 0)
		return;
	if (how & 2)
		rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&detach);
	else
		rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&attach);
}

/* The old way in, with an iommufd as the container. */
static void group(struct rig_input *in)
{
	unsigned i = in_u8(in) % RIG_GROUPS;
	int context = pick_context(in);
	char path[32];
	int fd;

	if (groups[i] < 0) {
		snprintf(path, sizeof(path), "/dev/vfio/%u", i);
		groups[i] = rig_open(path, O_RDWR);
		return;
	}
	switch (in_u8(in) % 4) {
	case 0:
		rig_ioctl(groups[i], VFIO_GROUP_SET_CONTAINER, (uintptr_t)&context);
		break;
	case 1:
		rig_ioctl(groups[i], VFIO_GROUP_UNSET_CONTAINER, 0);
		break;
	case 2:
		fd = (int)rig_ioctl(groups[i], VFIO_GROUP_GET_DEVICE_FD, (uintptr_t)rig_names[i]);
		if (fd >= 0)
			keep_file(fd);
		break;
	case 3:
		rig_close(groups[i]);
		groups[i] = -1;
		break;
	}
}

static void edu_copy(struct rig_input *in)
{
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	int fd = devices[in_u8(in) & 1 ? 0 : 2];
	u64 src = pick_iova(in), dst = pick_iova(in), count = 1 + in_u16(in) % 4096, cmd = 1, buf = EDU_BUF;

	if (fd < 0 || rig_pwrite(fd, &command, 2, CONFIG + PCI_COMMAND) != 2)
		return;
	rig_pwrite(fd, &count, 8, EDU_DMA_COUNT);
	rig_pwrite(fd, &src, 8, EDU_DMA_SRC);
	rig_pwrite(fd, &buf, 8, EDU_DMA_DST);
	rig_pwrite(fd, &cmd, 8, EDU_DMA_CMD);
	cmd = 3;
	rig_pwrite(fd, &buf, 8, EDU_DMA_SRC);
	rig_pwrite(fd, &dst, 8, EDU_DMA_DST);
	rig_pwrite(fd, &cmd, 8, EDU_DMA_CMD);
}

/* ---- one input ---- */

static void close_slot(int *slot)
{
	if (*slot >= 0)
		rig_close(*slot);
	*slot = -1;
}

static int *pick_slot(struct rig_input *in)
{
	u8 b = in_u8(in);

	switch (b % 4) {
	case 0: return &contexts[(b / 4) % CONTEXTS];
	case 1: return &devices[(b / 4) % RIG_GROUPS];
	case 2: return &groups[(b / 4) % RIG_GROUPS];
	default: return &files[(b / 4) % FILES];
	}
}

/* What most programs do first: an address space, something in it, a device on it. */
static void quick_start(struct rig_input *in)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = { .size = sizeof(map), .length = 8 * PAGE_SIZE, .iova = MOCK_APERTURE_START,
				      .user_va = (uintptr_t)rig_arena + ARENA_FIRST * PAGE_SIZE };
	struct iommu_test_cmd mock = { .size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	u8 how = in_u8(in);
	int fd = contexts[how % CONTEXTS];

	if (fd < 0)
		fd = contexts[how % CONTEXTS] = rig_open("/dev/iommu", O_RDWR);
	if (fd < 0 || rig_ioctl(fd, IOMMU_IOAS_ALLOC, (uintptr_t)&alloc))
		return;
	map.ioas_id = mock.id = alloc.out_ioas_id;
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | (how & 0x10 ? IOMMU_IOAS_MAP_WRITEABLE : 0);
	if (how & 0x10)
		grant(map.user_va, map.length);
	rig_ioctl(fd, IOMMU_IOAS_MAP, (uintptr_t)&map);
	if (how & 0x20)
		rig_ioctl(fd, IOMMU_TEST_CMD, (uintptr_t)&mock);
}

static void step(struct rig_input *in)
{
	switch (in_u8(in) % 20) {
	case 0: open_context(in); break;
	case 1: quick_start(in); break;
	case 2: open_device(in); break;
	case 3: bind_device(in); break;
	case 4:
	case 5: attach_device(in); break;
	case 6: close_slot(pick_slot(in)); break;
	case 7: queue(in); break;
	case 8: edu_copy(in); break;
	case 9: group(in); break;
	case 10: in_bytes(in, rig_ubuf + PAGE_SIZE + in_u8(in) * 8u, 64); break;
	case 11:
	case 12:
	case 13: test_command(in); break;
	default: command(in); break;
	}
}

static void close_all(struct rig_input *in)
{
	int *slots[CONTEXTS + 2 * RIG_GROUPS + FILES];
	unsigned n = 0;

	for (unsigned i = 0; i < CONTEXTS; i++)
		slots[n++] = &contexts[i];
	for (unsigned i = 0; i < RIG_GROUPS; i++) {
		slots[n++] = &devices[i];
		slots[n++] = &groups[i];
	}
	for (unsigned i = 0; i < FILES; i++)
		slots[n++] = &files[i];
	while (n) {
		unsigned i = in_u8(in) % n;

		close_slot(slots[i]);
		slots[i] = slots[--n];
		rig_check_arena();
	}
	rig_must(pins_lowest == UINT64_MAX && pins_highest == 0);
	for (unsigned i = 0; i < RIG_PAGES; i++)
		if (granted[i])
			rig_writable(i, 1, false);
	memset(granted, 0, sizeof(granted));
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	machine_iommufd_test_enable();
	rig_iommu = getenv("FUZZ_IOMMU"); /* of the devices that are no mocks: "intel,features=full" */
	rig_up();
	memfd = memfd_create("fuzz", MFD_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	rig_must(memfd >= 0 && null >= 0 && !ftruncate(memfd, 16 * PAGE_SIZE));
	for (unsigned i = 0; i < CONTEXTS; i++)
		contexts[i] = -1;
	for (unsigned i = 0; i < RIG_GROUPS; i++)
		devices[i] = groups[i] = -1;
	for (unsigned i = 0; i < FILES; i++)
		files[i] = -1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };

	rig_begin();
	for (unsigned steps = 0; in_more(&in) && steps < 200; steps++) {
		step(&in);
		rig_check_arena();
	}
	close_all(&in);
	hw_reset(rig_hw(0), false);
	hw_reset(rig_hw(2), false);
	return 0;
}
