/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace_vfio.c - what the ioctls of VFIO look like, for --trace and --explain.
 *
 * Tables: a call has a code, the kinds of file that know it, and fields with offset, size, format and
 * direction.  Ten codes mean one thing on a device and another on a container, so the kind is part of
 * the key.  What a table cannot say (lists, capability chains, the payload of a feature) is a tail.
 *
 * What is dangerous: counts and offsets in the program's memory may be lies.  Lists and chains have a
 * longest length, and every byte is read with a guarded copy.
 */
#include <linux/vfio.h>

#include "kernel/lib/guard.h"
#include "kernel/syscall/trace_table.h"

#define CAPS_MAX 16

/* ---- capability chains ---- */

struct cap_body {
	const char *name;
	void (*show)(struct trace_line *line, unsigned long cap);
};

/* Pairs of first and last, or of first and size, behind a 32-bit count. */
static void show_pairs(struct trace_line *line, unsigned long cap, bool sizes)
{
	u32 count;

	if (guard_copy(&count, (const void *)(cap + 8), sizeof(count)))
		return;
	line_add(line, " [");
	for (u64 i = 0; i < count && i < TRACE_LIST_MAX; i++) {
		u64 pair[2];

		if (guard_copy(pair, (const void *)(cap + 16 + i * sizeof(pair)), sizeof(pair)))
			break;
		line_sep(line);
		line_add(line, sizes ? "0x%llx+0x%llx" : "0x%llx-0x%llx", (ull)pair[0], (ull)pair[1]);
	}
	line_add(line, count > TRACE_LIST_MAX ? ", ...]" : "]");
}

static void show_areas(struct trace_line *line, unsigned long cap)
{
	show_pairs(line, cap, true);
}

static void show_ranges(struct trace_line *line, unsigned long cap)
{
	show_pairs(line, cap, false);
}

static void show_type(struct trace_line *line, unsigned long cap)
{
	u32 words[2];

	if (!guard_copy(words, (const void *)(cap + 8), sizeof(words)))
		line_add(line, " 0x%x/%u", words[0], words[1]);
}

static void show_number(struct trace_line *line, unsigned long cap)
{
	u32 word;

	if (!guard_copy(&word, (const void *)(cap + 8), sizeof(word)))
		line_add(line, " %u", word);
}

static void show_flags(struct trace_line *line, unsigned long cap)
{
	u32 word;

	if (!guard_copy(&word, (const void *)(cap + 8), sizeof(word)))
		line_add(line, " 0x%x", word);
}

static void show_migration(struct trace_line *line, unsigned long cap)
{
	struct vfio_iommu_type1_info_cap_migration body;

	if (!guard_copy(&body, (const void *)cap, sizeof(body)))
		line_add(line, " pgsize_bitmap=0x%llx max_dirty_bitmap_size=0x%llx", (ull)body.pgsize_bitmap,
			 (ull)body.max_dirty_bitmap_size);
}

static const struct cap_body device_caps[] = {
	[VFIO_DEVICE_INFO_CAP_ZPCI_BASE] = { "ZPCI_BASE", NULL },
	[VFIO_DEVICE_INFO_CAP_ZPCI_GROUP] = { "ZPCI_GROUP", NULL },
	[VFIO_DEVICE_INFO_CAP_ZPCI_UTIL] = { "ZPCI_UTIL", NULL },
	[VFIO_DEVICE_INFO_CAP_ZPCI_PFIP] = { "ZPCI_PFIP", NULL },
	[VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP] = { "PCI_ATOMIC_COMP", show_flags },
};

static const struct cap_body region_caps[] = {
	[VFIO_REGION_INFO_CAP_SPARSE_MMAP] = { "SPARSE_MMAP", show_areas },
	[VFIO_REGION_INFO_CAP_TYPE] = { "TYPE", show_type },
	[VFIO_REGION_INFO_CAP_MSIX_MAPPABLE] = { "MSIX_MAPPABLE", NULL },
	[VFIO_REGION_INFO_CAP_NVLINK2_SSATGT] = { "NVLINK2_SSATGT", NULL },
	[VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD] = { "NVLINK2_LNKSPD", NULL },
};

static const struct cap_body iommu_caps[] = {
	[VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE] = { "IOVA_RANGE", show_ranges },
	[VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION] = { "MIGRATION", show_migration },
	[VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL] = { "DMA_AVAIL", show_number },
};

/* @off: where the first is, in the struct at @arg; 0: there are none. */
static void show_caps(struct trace_line *line, unsigned long arg, u32 off, const struct cap_body *bodies,
		      size_t count)
{
	struct vfio_info_cap_header header;

	if (!off)
		return;
	line_sep(line);
	line_add(line, "caps=[");
	for (int i = 0; off && i < CAPS_MAX; i++) {
		if (guard_copy(&header, (const void *)(arg + off), sizeof(header)))
			break;
		line_sep(line);
		if (header.id < count && bodies[header.id].name) {
			line_add(line, "%s", bodies[header.id].name);
			if (bodies[header.id].show)
				bodies[header.id].show(line, arg + off);
		} else {
			line_add(line, "%u", header.id);
		}
		off = header.next;
	}
	line_add(line, "]");
}

/* A struct whose cap_offset the program left room for. */
#define CAPS_TAIL(name_, struct_, bodies_)						\
static void name_(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)	\
{											\
	const struct struct_ *info = (const struct struct_ *)now;			\
											\
	if (out && state->have >= offsetof(struct struct_, cap_offset) + 4)		\
		show_caps(line, state->arg, info->cap_offset, bodies_, ARRAY_SIZE(bodies_)); \
}

CAPS_TAIL(device_info_tail, vfio_device_info, device_caps)
CAPS_TAIL(region_info_tail, vfio_region_info, region_caps)
CAPS_TAIL(iommu_info_tail, vfio_iommu_type1_info, iommu_caps)

/* ---- container ---- */

static const struct trace_name extensions[] = {
	{ VFIO_TYPE1_IOMMU, "VFIO_TYPE1_IOMMU" },
	{ VFIO_SPAPR_TCE_IOMMU, "VFIO_SPAPR_TCE_IOMMU" },
	{ VFIO_TYPE1v2_IOMMU, "VFIO_TYPE1v2_IOMMU" },
	{ VFIO_DMA_CC_IOMMU, "VFIO_DMA_CC_IOMMU" },
	{ VFIO_EEH, "VFIO_EEH" },
	{ 6, "VFIO_TYPE1_NESTING_IOMMU" },
	{ VFIO_SPAPR_TCE_v2_IOMMU, "VFIO_SPAPR_TCE_v2_IOMMU" },
	{ VFIO_NOIOMMU_IOMMU, "VFIO_NOIOMMU_IOMMU" },
	{ VFIO_UNMAP_ALL, "VFIO_UNMAP_ALL" },
	{ VFIO_UPDATE_VADDR, "VFIO_UPDATE_VADDR" },
	END,
};

static const struct trace_name iommu_info_flags[] = {
	{ VFIO_IOMMU_INFO_PGSIZES, "PGSIZES" }, { VFIO_IOMMU_INFO_CAPS, "CAPS" }, END,
};

static const struct trace_field iommu_info[] = {
	F(vfio_iommu_type1_info, argsz, DEC, INOUT),
	N(vfio_iommu_type1_info, flags, FLAGS, OUT, iommu_info_flags),
	F(vfio_iommu_type1_info, iova_pgsizes, HEX, OUT),
	END,
};

static const struct trace_name map_flags[] = {
	{ VFIO_DMA_MAP_FLAG_READ, "READ" }, { VFIO_DMA_MAP_FLAG_WRITE, "WRITE" },
	{ VFIO_DMA_MAP_FLAG_VADDR, "VADDR" }, END,
};

static const struct trace_field map_dma[] = {
	F(vfio_iommu_type1_dma_map, argsz, DEC, IN),
	N(vfio_iommu_type1_dma_map, flags, FLAGS, IN, map_flags),
	F(vfio_iommu_type1_dma_map, vaddr, HEX, IN),
	F(vfio_iommu_type1_dma_map, iova, HEX, IN),
	F(vfio_iommu_type1_dma_map, size, HEX, IN),
	END,
};

static const struct trace_name unmap_flags[] = {
	{ VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, "GET_DIRTY_BITMAP" }, { VFIO_DMA_UNMAP_FLAG_ALL, "ALL" },
	{ VFIO_DMA_UNMAP_FLAG_VADDR, "VADDR" }, END,
};

static const struct trace_field unmap_dma[] = {
	F(vfio_iommu_type1_dma_unmap, argsz, DEC, IN),
	N(vfio_iommu_type1_dma_unmap, flags, FLAGS, IN, unmap_flags),
	F(vfio_iommu_type1_dma_unmap, iova, HEX, IN),
	F(vfio_iommu_type1_dma_unmap, size, HEX, INOUT),
	END,
};

static void show_bitmap(struct trace_line *line, unsigned long where)
{
	struct vfio_bitmap bitmap;

	if (!guard_copy(&bitmap, (const void *)where, sizeof(bitmap)))
		line_add(line, ", bitmap={pgsize=0x%llx, size=%llu, data=0x%lx}", (ull)bitmap.pgsize,
			 (ull)bitmap.size, (unsigned long)bitmap.data);
}

static void unmap_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct vfio_iommu_type1_dma_unmap *unmap = (const void *)now;

	if (!out && (unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP))
		show_bitmap(line, state->arg + sizeof(*unmap));
}

static const struct trace_name dirty_flags[] = {
	{ VFIO_IOMMU_DIRTY_PAGES_FLAG_START, "START" }, { VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, "STOP" },
	{ VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, "GET_BITMAP" }, END,
};

static const struct trace_field dirty_pages[] = {
	F(vfio_iommu_type1_dirty_bitmap, argsz, DEC, IN),
	N(vfio_iommu_type1_dirty_bitmap, flags, FLAGS, IN, dirty_flags),
	END,
};

static void dirty_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct vfio_iommu_type1_dirty_bitmap *dirty = (const void *)now;
	unsigned long get = state->arg + sizeof(*dirty);
	u64 range[2];

	if (out || !(dirty->flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) ||
	    guard_copy(range, (const void *)get, sizeof(range)))
		return;
	line_add(line, ", iova=0x%llx, size=0x%llx", (ull)range[0], (ull)range[1]);
	show_bitmap(line, get + offsetof(struct vfio_iommu_type1_dirty_bitmap_get, bitmap));
}

/* ---- group ---- */

static const struct trace_name group_flags[] = {
	{ VFIO_GROUP_FLAGS_VIABLE, "VIABLE" }, { VFIO_GROUP_FLAGS_CONTAINER_SET, "CONTAINER_SET" }, END,
};

static const struct trace_field group_status[] = {
	F(vfio_group_status, argsz, DEC, IN),
	N(vfio_group_status, flags, FLAGS, OUT, group_flags),
	END,
};

/* ---- device ---- */

static const struct trace_name device_flags[] = {
	{ VFIO_DEVICE_FLAGS_RESET, "RESET" }, { VFIO_DEVICE_FLAGS_PCI, "PCI" },
	{ VFIO_DEVICE_FLAGS_PLATFORM, "PLATFORM" }, { VFIO_DEVICE_FLAGS_AMBA, "AMBA" },
	{ VFIO_DEVICE_FLAGS_CCW, "CCW" }, { VFIO_DEVICE_FLAGS_AP, "AP" },
	{ VFIO_DEVICE_FLAGS_FSL_MC, "FSL_MC" }, { VFIO_DEVICE_FLAGS_CAPS, "CAPS" },
	{ VFIO_DEVICE_FLAGS_CDX, "CDX" }, END,
};

static const struct trace_field device_info[] = {
	F(vfio_device_info, argsz, DEC, INOUT),
	N(vfio_device_info, flags, FLAGS, OUT, device_flags),
	F(vfio_device_info, num_regions, DEC, OUT),
	F(vfio_device_info, num_irqs, DEC, OUT),
	END,
};

static const struct trace_name region_indexes[] = {
	{ 0, "BAR0" }, { 1, "BAR1" }, { 2, "BAR2" }, { 3, "BAR3" }, { 4, "BAR4" }, { 5, "BAR5" },
	{ VFIO_PCI_ROM_REGION_INDEX, "ROM" }, { VFIO_PCI_CONFIG_REGION_INDEX, "CONFIG" },
	{ VFIO_PCI_VGA_REGION_INDEX, "VGA" }, END,
};

static const struct trace_name region_flags[] = {
	{ VFIO_REGION_INFO_FLAG_READ, "READ" }, { VFIO_REGION_INFO_FLAG_WRITE, "WRITE" },
	{ VFIO_REGION_INFO_FLAG_MMAP, "MMAP" }, { VFIO_REGION_INFO_FLAG_CAPS, "CAPS" }, END,
};

static const struct trace_field region_info[] = {
	F(vfio_region_info, argsz, DEC, INOUT),
	N(vfio_region_info, flags, FLAGS, OUT, region_flags),
	N(vfio_region_info, index, INDEX, IN, region_indexes),
	F(vfio_region_info, size, HEX, OUT),
	F(vfio_region_info, offset, HEX, OUT),
	END,
};

static const struct trace_name irq_indexes[] = {
	{ VFIO_PCI_INTX_IRQ_INDEX, "INTX" }, { VFIO_PCI_MSI_IRQ_INDEX, "MSI" },
	{ VFIO_PCI_MSIX_IRQ_INDEX, "MSIX" },
	{ VFIO_PCI_ERR_IRQ_INDEX, "ERR" }, { VFIO_PCI_REQ_IRQ_INDEX, "REQ" }, END,
};

static const struct trace_name irq_info_flags[] = {
	{ VFIO_IRQ_INFO_EVENTFD, "EVENTFD" }, { VFIO_IRQ_INFO_MASKABLE, "MASKABLE" },
	{ VFIO_IRQ_INFO_AUTOMASKED, "AUTOMASKED" }, { VFIO_IRQ_INFO_NORESIZE, "NORESIZE" }, END,
};

static const struct trace_field irq_info[] = {
	F(vfio_irq_info, argsz, DEC, IN),
	N(vfio_irq_info, flags, FLAGS, OUT, irq_info_flags),
	N(vfio_irq_info, index, INDEX, IN, irq_indexes),
	F(vfio_irq_info, count, DEC, OUT),
	END,
};

static const struct trace_name irq_set_flags[] = {
	{ VFIO_IRQ_SET_DATA_NONE, "DATA_NONE" }, { VFIO_IRQ_SET_DATA_BOOL, "DATA_BOOL" },
	{ VFIO_IRQ_SET_DATA_EVENTFD, "DATA_EVENTFD" }, { VFIO_IRQ_SET_ACTION_MASK, "ACTION_MASK" },
	{ VFIO_IRQ_SET_ACTION_UNMASK, "ACTION_UNMASK" }, { VFIO_IRQ_SET_ACTION_TRIGGER, "ACTION_TRIGGER" }, END,
};

static const struct trace_field irq_set[] = {
	F(vfio_irq_set, argsz, DEC, IN),
	N(vfio_irq_set, flags, FLAGS, IN, irq_set_flags),
	N(vfio_irq_set, index, INDEX, IN, irq_indexes),
	F(vfio_irq_set, start, DEC, IN),
	F(vfio_irq_set, count, DEC, IN),
	END,
};

/* @count numbers of @size bytes at @where, as name=[...]; but no more than argsz leaves room for. */
static void show_numbers(struct trace_line *line, const char *name, unsigned long where, u64 count, u32 size,
			 u64 room_bytes)
{

	if (!count)
		return;
	count = min(count, room_bytes / size);
	line_add(line, ", %s=[", name);
	for (u64 i = 0; i < count && i < TRACE_LIST_MAX; i++) {
		int32_t value = 0;

		if (guard_copy(&value, (const void *)(where + i * size), size))
			break;
		line_sep(line);
		line_add(line, "%d", value);
	}
	line_add(line, count > TRACE_LIST_MAX ? ", ...]" : "]");
}

static void irq_set_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct vfio_irq_set *set = (const void *)now;
	u64 room = set->argsz > sizeof(*set) ? set->argsz - sizeof(*set) : 0;

	if (out)
		return;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		show_numbers(line, "data", state->arg + sizeof(*set), set->count, 4, room);
	else if (set->flags & VFIO_IRQ_SET_DATA_BOOL)
		show_numbers(line, "data", state->arg + sizeof(*set), set->count, 1, room);
}

static const struct trace_name hot_reset_flags[] = {
	{ VFIO_PCI_HOT_RESET_FLAG_DEV_ID, "DEV_ID" },
	{ VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, "DEV_ID_OWNED" }, END,
};

static const struct trace_field hot_reset_info[] = {
	F(vfio_pci_hot_reset_info, argsz, DEC, INOUT),
	N(vfio_pci_hot_reset_info, flags, FLAGS, OUT, hot_reset_flags),
	F(vfio_pci_hot_reset_info, count, DEC, OUT),
	END,
};

static void hot_reset_info_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now,
				bool out)
{
	const struct vfio_pci_hot_reset_info *info = (const void *)now;
	bool by_devid = info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID;

	if (!out)
		return;
	line_add(line, ", devices=[");
	for (u64 i = 0; i < info->count && i < TRACE_LIST_MAX; i++) {
		struct vfio_pci_dependent_device dev;

		if (guard_copy(&dev, (const void *)(state->arg + sizeof(*info) + i * sizeof(dev)), sizeof(dev)))
			break;
		line_sep(line);
		line_add(line, "%04x:%02x:%02x.%u %s %d", dev.segment, dev.bus, dev.devfn >> 3, dev.devfn & 7,
			 by_devid ? "devid" : "group", (int)dev.group_id);
	}
	line_add(line, info->count > TRACE_LIST_MAX ? ", ...]" : "]");
}

static const struct trace_field hot_reset[] = {
	F(vfio_pci_hot_reset, argsz, DEC, IN),
	F(vfio_pci_hot_reset, flags, HEX, IN),
	F(vfio_pci_hot_reset, count, DEC, IN),
	END,
};

static void hot_reset_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct vfio_pci_hot_reset *reset = (const void *)now;

	if (!out)
		show_numbers(line, "group_fds", state->arg + sizeof(*reset), reset->count, 4, ~0ull);
}

static const struct trace_name plane_flags[] = {
	{ VFIO_GFX_PLANE_TYPE_PROBE, "PROBE" }, { VFIO_GFX_PLANE_TYPE_DMABUF, "DMABUF" },
	{ VFIO_GFX_PLANE_TYPE_REGION, "REGION" }, END,
};

static const struct trace_field gfx_plane[] = {
	F(vfio_device_gfx_plane_info, argsz, DEC, IN),
	N(vfio_device_gfx_plane_info, flags, FLAGS, IN, plane_flags),
	F(vfio_device_gfx_plane_info, drm_plane_type, DEC, IN),
	F(vfio_device_gfx_plane_info, drm_format, HEX, OUT),
	F(vfio_device_gfx_plane_info, width, DEC, OUT),
	F(vfio_device_gfx_plane_info, height, DEC, OUT),
	F(vfio_device_gfx_plane_info, stride, DEC, OUT),
	F(vfio_device_gfx_plane_info, size, DEC, OUT),
	F(vfio_device_gfx_plane_info, region_index, DEC, OUT),
	END,
};

static const struct trace_name ioeventfd_flags[] = {
	{ VFIO_DEVICE_IOEVENTFD_8, "8" }, { VFIO_DEVICE_IOEVENTFD_16, "16" },
	{ VFIO_DEVICE_IOEVENTFD_32, "32" },
	{ VFIO_DEVICE_IOEVENTFD_64, "64" }, END,
};

static const struct trace_field ioeventfd[] = {
	F(vfio_device_ioeventfd, argsz, DEC, IN),
	N(vfio_device_ioeventfd, flags, FLAGS, IN, ioeventfd_flags),
	F(vfio_device_ioeventfd, offset, HEX, IN),
	F(vfio_device_ioeventfd, data, HEX, IN),
	F(vfio_device_ioeventfd, fd, SIGNED, IN),
	END,
};

static const struct trace_name bind_flags[] = { { VFIO_DEVICE_BIND_FLAG_TOKEN, "TOKEN" }, END };

static const struct trace_field bind_iommufd[] = {
	F(vfio_device_bind_iommufd, argsz, DEC, IN),
	N(vfio_device_bind_iommufd, flags, FLAGS, IN, bind_flags),
	F(vfio_device_bind_iommufd, iommufd, SIGNED, IN),
	F(vfio_device_bind_iommufd, out_devid, DEC, OUT),
	END,
};

static const struct trace_name pasid_flags[] = { { VFIO_DEVICE_ATTACH_PASID, "PASID" }, END };

static const struct trace_field attach_pt[] = {
	F(vfio_device_attach_iommufd_pt, argsz, DEC, IN),
	N(vfio_device_attach_iommufd_pt, flags, FLAGS, IN, pasid_flags),
	F(vfio_device_attach_iommufd_pt, pt_id, DEC, INOUT),
	F(vfio_device_attach_iommufd_pt, pasid, DEC, IN),
	END,
};

static const struct trace_field detach_pt[] = {
	F(vfio_device_detach_iommufd_pt, argsz, DEC, IN),
	N(vfio_device_detach_iommufd_pt, flags, FLAGS, IN, pasid_flags),
	F(vfio_device_detach_iommufd_pt, pasid, DEC, IN),
	END,
};

static const struct trace_field precopy_info[] = {
	F(vfio_precopy_info, argsz, DEC, IN),
	F(vfio_precopy_info, flags, HEX, OUT),
	F(vfio_precopy_info, initial_bytes, DEC, OUT),
	F(vfio_precopy_info, dirty_bytes, DEC, OUT),
	END,
};

/* ---- features ---- */

static const struct trace_name migration_flags[] = {
	{ VFIO_MIGRATION_STOP_COPY, "STOP_COPY" }, { VFIO_MIGRATION_P2P, "P2P" },
	{ VFIO_MIGRATION_PRE_COPY, "PRE_COPY" }, END,
};

static const struct trace_name device_states[] = {
	{ VFIO_DEVICE_STATE_ERROR, "ERROR" }, { VFIO_DEVICE_STATE_STOP, "STOP" },
	{ VFIO_DEVICE_STATE_RUNNING, "RUNNING" }, { VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY" },
	{ VFIO_DEVICE_STATE_RESUMING, "RESUMING" }, { VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P" },
	{ VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY" }, { VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P" }, END,
};

static const struct trace_field f_migration[] = {
	N(vfio_device_feature_migration, flags, FLAGS, INOUT, migration_flags), END,
};
static const struct trace_field f_mig_state[] = {
	N(vfio_device_feature_mig_state, device_state, ENUM, INOUT, device_states),
	F(vfio_device_feature_mig_state, data_fd, SIGNED, INOUT), END,
};
static const struct trace_field f_wakeup[] = {
	F(vfio_device_low_power_entry_with_wakeup, wakeup_eventfd, SIGNED, INOUT), END,
};
static const struct trace_field f_logging[] = {
	F(vfio_device_feature_dma_logging_control, page_size, HEX, INOUT),
	F(vfio_device_feature_dma_logging_control, num_ranges, DEC, INOUT),
	F(vfio_device_feature_dma_logging_control, ranges, HEX, INOUT), END,
};
static const struct trace_field f_report[] = {
	F(vfio_device_feature_dma_logging_report, iova, HEX, INOUT),
	F(vfio_device_feature_dma_logging_report, length, HEX, INOUT),
	F(vfio_device_feature_dma_logging_report, page_size, HEX, INOUT),
	F(vfio_device_feature_dma_logging_report, bitmap, HEX, INOUT), END,
};
static const struct trace_field f_data_size[] = {
	F(vfio_device_feature_mig_data_size, stop_copy_length, DEC, INOUT), END,
};
static const struct trace_field f_bus_master[] = {
	F(vfio_device_feature_bus_master, op, DEC, INOUT), END,
};
static const struct trace_field f_dma_buf[] = {
	N(vfio_device_feature_dma_buf, region_index, ENUM, INOUT, region_indexes),
	F(vfio_device_feature_dma_buf, open_flags, HEX, INOUT),
	F(vfio_device_feature_dma_buf, flags, HEX, INOUT),
	F(vfio_device_feature_dma_buf, nr_ranges, DEC, INOUT), END,
};

static const struct {
	const char *name;
	const struct trace_field *fields;
	bool in, out; /* where the payload travels, for a GET; a SET always carries it in */
} features[] = {
	[VFIO_DEVICE_FEATURE_PCI_VF_TOKEN] = { "PCI_VF_TOKEN" },
	[VFIO_DEVICE_FEATURE_MIGRATION] = { "MIGRATION", f_migration, false, true },
	[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = { "MIG_DEVICE_STATE", f_mig_state, false, true },
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = { "LOW_POWER_ENTRY" },
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = { "LOW_POWER_ENTRY_WITH_WAKEUP", f_wakeup },
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = { "LOW_POWER_EXIT" },
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = { "DMA_LOGGING_START", f_logging },
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP] = { "DMA_LOGGING_STOP" },
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = { "DMA_LOGGING_REPORT", f_report, true, false },
	[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = { "MIG_DATA_SIZE", f_data_size, false, true },
	[VFIO_DEVICE_FEATURE_BUS_MASTER] = { "BUS_MASTER", f_bus_master },
	[VFIO_DEVICE_FEATURE_DMA_BUF] = { "DMA_BUF", f_dma_buf, true, false },
	[12] = { "MIG_PRECOPY_INFOv2" },
	[13] = { "ZPCI_ERROR" },
};

static const struct trace_name feature_ops[] = {
	{ VFIO_DEVICE_FEATURE_GET, "GET" }, { VFIO_DEVICE_FEATURE_SET, "SET" },
	{ VFIO_DEVICE_FEATURE_PROBE, "PROBE" }, END,
};

static const struct trace_field feature_head[] = { F(vfio_device_feature, argsz, DEC, IN), END };

static void feature_payload(struct trace_line *line, const struct trace_ioctl *state, u32 number)
{
	const struct vfio_device_feature *feature = (const void *)state->in;
	size_t head = sizeof(struct vfio_device_feature);
	u8 data[64] = { 0 };
	size_t len = min((size_t)feature->argsz - head, sizeof(data));

	if (feature->argsz > head && !guard_copy(data, (const void *)(state->arg + head), len))
		trace_fields(line, features[number].fields, data, len);
}

static void feature_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct vfio_device_feature *feature = (const void *)now;
	u32 number = feature->flags & VFIO_DEVICE_FEATURE_MASK;
	u32 ops = feature->flags & ~VFIO_DEVICE_FEATURE_MASK;
	bool known = number < ARRAY_SIZE(features) && features[number].name;
	bool get = ops & VFIO_DEVICE_FEATURE_GET;
	bool set = ops & VFIO_DEVICE_FEATURE_SET;

	if (state->have < sizeof(*feature))
		return;
	if (!out) {
		line_add(line, ", flags=");
		if (ops) {
			trace_flags(line, ops, feature_ops);
			line_add(line, "|");
		}
		if (known)
			line_add(line, "%s", features[number].name);
		else
			line_add(line, "%u", number);
	}
	if (!known || !features[number].fields || (ops & VFIO_DEVICE_FEATURE_PROBE))
		return;
	if (out ? get && features[number].out : set || (get && features[number].in))
		feature_payload(line, state, number);
}

/* ---- all of them ---- */

const struct trace_call trace_vfio_calls[] = {
	NONE(COMPAT, VFIO_GET_API_VERSION),
	VALUE(COMPAT, VFIO_CHECK_EXTENSION, extensions),
	VALUE(COMPAT, VFIO_SET_IOMMU, extensions),
	STRUCT(COMPAT, VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, iommu_info, .tail = iommu_info_tail),
	STRUCT(COMPAT, VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, map_dma),
	STRUCT(COMPAT, VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, unmap_dma, .tail = unmap_tail),
	NONE(CONTAINER, VFIO_IOMMU_ENABLE),
	NONE(CONTAINER, VFIO_IOMMU_DISABLE),
	STRUCT(COMPAT, VFIO_IOMMU_DIRTY_PAGES, vfio_iommu_type1_dirty_bitmap, dirty_pages, .tail = dirty_tail),
	STRUCT(CONTAINER, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, vfio_iommu_spapr_register_memory),
	STRUCT(CONTAINER, VFIO_IOMMU_SPAPR_TCE_CREATE, vfio_iommu_spapr_tce_create),
	STRUCT(CONTAINER, VFIO_IOMMU_SPAPR_TCE_REMOVE, vfio_iommu_spapr_tce_remove),
	STRUCT(CONTAINER, VFIO_EEH_PE_OP, vfio_eeh_pe_op),
	STRUCT(GROUP, VFIO_GROUP_GET_STATUS, vfio_group_status, group_status),
	INT_PTR(GROUP, VFIO_GROUP_SET_CONTAINER),
	NONE(GROUP, VFIO_GROUP_UNSET_CONTAINER),
	STRING(GROUP, VFIO_GROUP_GET_DEVICE_FD),
	STRUCT(DEVICE, VFIO_DEVICE_GET_INFO, vfio_device_info, device_info, .tail = device_info_tail),
	STRUCT(DEVICE, VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, region_info, .tail = region_info_tail),
	STRUCT(DEVICE, VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, irq_info),
	STRUCT(DEVICE, VFIO_DEVICE_SET_IRQS, vfio_irq_set, irq_set, .tail = irq_set_tail),
	NONE(DEVICE, VFIO_DEVICE_RESET),
	STRUCT(DEVICE, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, vfio_pci_hot_reset_info, hot_reset_info,
	       .tail = hot_reset_info_tail),
	STRUCT(DEVICE, VFIO_DEVICE_PCI_HOT_RESET, vfio_pci_hot_reset, hot_reset, .tail = hot_reset_tail),
	STRUCT(DEVICE, VFIO_DEVICE_QUERY_GFX_PLANE, vfio_device_gfx_plane_info, gfx_plane),
	INT_PTR(DEVICE, VFIO_DEVICE_GET_GFX_DMABUF),
	STRUCT(DEVICE, VFIO_DEVICE_IOEVENTFD, vfio_device_ioeventfd, ioeventfd),
	STRUCT(DEVICE, VFIO_DEVICE_FEATURE, vfio_device_feature, feature_head, .tail = feature_tail),
	STRUCT(DEVICE, VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, bind_iommufd),
	STRUCT(DEVICE, VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, attach_pt),
	STRUCT(DEVICE, VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, detach_pt),
	STRUCT(OTHER, VFIO_MIG_GET_PRECOPY_INFO, vfio_precopy_info, precopy_info),
};
const size_t trace_vfio_count = ARRAY_SIZE(trace_vfio_calls);
