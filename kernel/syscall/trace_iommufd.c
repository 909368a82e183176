/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace_iommufd.c - what the ioctls of IOMMUFD and of KVM's VFIO device look like; see trace_vfio.c.
 */
#include <linux/iommufd.h>
#include <linux/kvm.h>

#include "kernel/lib/guard.h"
#include "kernel/syscall/trace_table.h"

static const struct trace_field i_destroy[] = {
	F(iommu_destroy, size, DEC, IN), F(iommu_destroy, id, DEC, IN), END,
};

static const struct trace_field i_ioas_alloc[] = {
	F(iommu_ioas_alloc, size, DEC, IN), F(iommu_ioas_alloc, flags, HEX, IN),
	F(iommu_ioas_alloc, out_ioas_id, DEC, OUT), END,
};

static const struct trace_field i_iova_ranges[] = {
	F(iommu_ioas_iova_ranges, size, DEC, IN), F(iommu_ioas_iova_ranges, ioas_id, DEC, IN),
	F(iommu_ioas_iova_ranges, num_iovas, DEC, INOUT),
	F(iommu_ioas_iova_ranges, out_iova_alignment, HEX, OUT), END,
};

static const struct trace_field i_allow_iovas[] = {
	F(iommu_ioas_allow_iovas, size, DEC, IN), F(iommu_ioas_allow_iovas, ioas_id, DEC, IN),
	F(iommu_ioas_allow_iovas, num_iovas, DEC, IN), END,
};

static void show_iovas(struct trace_line *line, const char *name, u64 where, u64 count)
{
	if (!count)
		return;
	line_sep(line);
	line_add(line, "%s=[", name);
	for (u64 i = 0; i < count && i < TRACE_LIST_MAX; i++) {
		struct iommu_iova_range range;

		if (guard_copy(&range, (const void *)(uintptr_t)(where + i * sizeof(range)), sizeof(range)))
			break;
		line_sep(line);
		line_add(line, "0x%llx-0x%llx", (ull)range.start, (ull)range.last);
	}
	line_add(line, count > TRACE_LIST_MAX ? ", ...]" : "]");
}

static void iova_ranges_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct iommu_ioas_iova_ranges *cmd = (const void *)now;

	if (out)
		show_iovas(line, "allowed_iovas", cmd->allowed_iovas, cmd->num_iovas);
}

static void allow_iovas_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct iommu_ioas_allow_iovas *cmd = (const void *)now;

	if (!out)
		show_iovas(line, "allowed_iovas", cmd->allowed_iovas, cmd->num_iovas);
}

static const struct trace_name ioas_map_flags[] = {
	{ IOMMU_IOAS_MAP_FIXED_IOVA, "FIXED_IOVA" }, { IOMMU_IOAS_MAP_WRITEABLE, "WRITEABLE" },
	{ IOMMU_IOAS_MAP_READABLE, "READABLE" }, END,
};

static const struct trace_field i_map[] = {
	F(iommu_ioas_map, size, DEC, IN), N(iommu_ioas_map, flags, FLAGS, IN, ioas_map_flags),
	F(iommu_ioas_map, ioas_id, DEC, IN), F(iommu_ioas_map, user_va, HEX, IN),
	F(iommu_ioas_map, length, HEX, IN), F(iommu_ioas_map, iova, HEX, INOUT), END,
};

static const struct trace_field i_map_file[] = {
	F(iommu_ioas_map_file, size, DEC, IN), N(iommu_ioas_map_file, flags, FLAGS, IN, ioas_map_flags),
	F(iommu_ioas_map_file, ioas_id, DEC, IN), F(iommu_ioas_map_file, fd, SIGNED, IN),
	F(iommu_ioas_map_file, start, HEX, IN), F(iommu_ioas_map_file, length, HEX, IN),
	F(iommu_ioas_map_file, iova, HEX, INOUT), END,
};

static const struct trace_field i_copy[] = {
	F(iommu_ioas_copy, size, DEC, IN), N(iommu_ioas_copy, flags, FLAGS, IN, ioas_map_flags),
	F(iommu_ioas_copy, dst_ioas_id, DEC, IN), F(iommu_ioas_copy, src_ioas_id, DEC, IN),
	F(iommu_ioas_copy, length, HEX, IN), F(iommu_ioas_copy, dst_iova, HEX, INOUT),
	F(iommu_ioas_copy, src_iova, HEX, IN), END,
};

static const struct trace_field i_unmap[] = {
	F(iommu_ioas_unmap, size, DEC, IN), F(iommu_ioas_unmap, ioas_id, DEC, IN),
	F(iommu_ioas_unmap, iova, HEX, IN), F(iommu_ioas_unmap, length, HEX, INOUT), END,
};

static const struct trace_name option_ids[] = {
	{ IOMMU_OPTION_RLIMIT_MODE, "RLIMIT_MODE" }, { IOMMU_OPTION_HUGE_PAGES, "HUGE_PAGES" }, END,
};
static const struct trace_name option_ops[] = {
	{ IOMMU_OPTION_OP_SET, "SET" }, { IOMMU_OPTION_OP_GET, "GET" }, END,
};

static const struct trace_field i_option[] = {
	F(iommu_option, size, DEC, IN), N(iommu_option, option_id, ENUM, IN, option_ids),
	N(iommu_option, op, ENUM, IN, option_ops), F(iommu_option, object_id, DEC, IN),
	F(iommu_option, val64, DEC, INOUT), END,
};

static const struct trace_name vfio_ioas_ops[] = {
	{ IOMMU_VFIO_IOAS_GET, "GET" }, { IOMMU_VFIO_IOAS_SET, "SET" }, { IOMMU_VFIO_IOAS_CLEAR, "CLEAR" }, END,
};

static const struct trace_field i_vfio_ioas[] = {
	F(iommu_vfio_ioas, size, DEC, IN), F(iommu_vfio_ioas, ioas_id, DEC, INOUT),
	N(iommu_vfio_ioas, op, ENUM, IN, vfio_ioas_ops), END,
};

static const struct trace_name hwpt_flags[] = {
	{ IOMMU_HWPT_ALLOC_NEST_PARENT, "NEST_PARENT" }, { IOMMU_HWPT_ALLOC_DIRTY_TRACKING, "DIRTY_TRACKING" },
	{ IOMMU_HWPT_FAULT_ID_VALID, "FAULT_ID_VALID" }, { IOMMU_HWPT_ALLOC_PASID, "PASID" }, END,
};

static const struct trace_name hwpt_data[] = {
	{ IOMMU_HWPT_DATA_NONE, "NONE" }, { IOMMU_HWPT_DATA_VTD_S1, "VTD_S1" },
	{ IOMMU_HWPT_DATA_ARM_SMMUV3, "ARM_SMMUV3" }, { IOMMU_HWPT_DATA_AMD_GUEST, "AMD_GUEST" }, END,
};

static const struct trace_name vtd_s1_flags[] = {
	{ IOMMU_VTD_S1_SRE, "SRE" }, { IOMMU_VTD_S1_EAFE, "EAFE" }, { IOMMU_VTD_S1_WPE, "WPE" }, END,
};

static const struct trace_field vtd_s1[] = {
	N(iommu_hwpt_vtd_s1, flags, FLAGS, IN, vtd_s1_flags), F(iommu_hwpt_vtd_s1, pgtbl_addr, HEX, IN),
	F(iommu_hwpt_vtd_s1, addr_width, DEC, IN), END,
};

/* What data_uptr leads to, where the type says what it is. */
static void hwpt_alloc_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct iommu_hwpt_alloc *cmd = (const void *)now;
	const void *data = (const void *)(uintptr_t)cmd->data_uptr;
	struct iommu_hwpt_amd_guest amd;
	struct iommu_hwpt_vtd_s1 s1;

	if (out || state->have < offsetof(struct iommu_hwpt_alloc, fault_id))
		return;
	if (cmd->data_type == IOMMU_HWPT_DATA_VTD_S1 && cmd->data_len >= sizeof(s1) && !guard_copy(&s1, data, sizeof(s1))) {
		line_sep(line);
		line_add(line, "data={");
		trace_fields(line, vtd_s1, (const u8 *)&s1, sizeof(s1));
		line_add(line, "}");
	} else if (cmd->data_type == IOMMU_HWPT_DATA_AMD_GUEST && cmd->data_len >= sizeof(amd) &&
		   !guard_copy(&amd, data, sizeof(amd))) {
		line_sep(line);
		line_add(line, "data={dte=[0x%llx, 0x%llx, 0x%llx, 0x%llx]}", (ull)amd.dte[0], (ull)amd.dte[1],
			 (ull)amd.dte[2], (ull)amd.dte[3]);
	}
}

static const struct trace_field i_hwpt_alloc[] = {
	F(iommu_hwpt_alloc, size, DEC, IN), N(iommu_hwpt_alloc, flags, FLAGS, IN, hwpt_flags),
	F(iommu_hwpt_alloc, dev_id, DEC, IN), F(iommu_hwpt_alloc, pt_id, DEC, IN),
	N(iommu_hwpt_alloc, data_type, ENUM, IN, hwpt_data), F(iommu_hwpt_alloc, data_len, DEC, IN),
	F(iommu_hwpt_alloc, data_uptr, HEX, IN), F(iommu_hwpt_alloc, fault_id, DEC, IN), F(iommu_hwpt_alloc, out_hwpt_id, DEC, OUT), END,
};

static const struct trace_name hw_caps[] = {
	{ IOMMU_HW_CAP_DIRTY_TRACKING, "DIRTY_TRACKING" }, { IOMMU_HW_CAP_PCI_PASID_EXEC, "PCI_PASID_EXEC" },
	{ IOMMU_HW_CAP_PCI_PASID_PRIV, "PCI_PASID_PRIV" },
	{ IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, "PCI_ATS_NOT_SUPPORTED" }, END,
};

static const struct trace_name hw_info_flags[] = { { IOMMU_HW_INFO_FLAG_INPUT_TYPE, "INPUT_TYPE" }, END };
static const struct trace_name hw_info_types[] = {
	{ IOMMU_HW_INFO_TYPE_NONE, "NONE" }, { IOMMU_HW_INFO_TYPE_INTEL_VTD, "INTEL_VTD" },
	{ IOMMU_HW_INFO_TYPE_ARM_SMMUV3, "ARM_SMMUV3" }, { IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" },
	{ IOMMU_HW_INFO_TYPE_AMD, "AMD" }, END,
};
static const struct trace_name hw_info_input[] = {
	{ IOMMU_HW_INFO_TYPE_DEFAULT, "DEFAULT" }, { IOMMU_HW_INFO_TYPE_INTEL_VTD, "INTEL_VTD" },
	{ IOMMU_HW_INFO_TYPE_ARM_SMMUV3, "ARM_SMMUV3" }, { IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" },
	{ IOMMU_HW_INFO_TYPE_AMD, "AMD" }, END,
};

/* The registers that came back. */
static void hw_info_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct iommu_hw_info *cmd = (const void *)now, *asked = (const void *)state->in;
	const void *data = (const void *)(uintptr_t)cmd->data_uptr;
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info_amd amd;

	if (!out)
		return;
	if (cmd->out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD && asked->data_len >= sizeof(vtd) &&
	    !guard_copy(&vtd, data, sizeof(vtd))) {
		line_sep(line);
		line_add(line, "data={flags=0x%x, cap_reg=0x%llx, ecap_reg=0x%llx}", vtd.flags, (ull)vtd.cap_reg,
			 (ull)vtd.ecap_reg);
	} else if (cmd->out_data_type == IOMMU_HW_INFO_TYPE_AMD && asked->data_len >= sizeof(amd) &&
		   !guard_copy(&amd, data, sizeof(amd))) {
		line_sep(line);
		line_add(line, "data={efr=0x%llx, efr2=0x%llx}", (ull)amd.efr, (ull)amd.efr2);
	}
}

static const struct trace_field i_hw_info[] = {
	F(iommu_hw_info, size, DEC, IN), N(iommu_hw_info, flags, FLAGS, IN, hw_info_flags),
	F(iommu_hw_info, dev_id, DEC, IN), F(iommu_hw_info, data_len, DEC, INOUT), F(iommu_hw_info, data_uptr, HEX, IN),
	N(iommu_hw_info, in_data_type, ENUM, IN, hw_info_input), N(iommu_hw_info, out_data_type, ENUM, OUT, hw_info_types),
	F(iommu_hw_info, out_max_pasid_log2, DEC, OUT),
	N(iommu_hw_info, out_capabilities, FLAGS, OUT, hw_caps), END,
};

static const struct trace_name set_dirty_flags[] = { { IOMMU_HWPT_DIRTY_TRACKING_ENABLE, "ENABLE" }, END };
static const struct trace_name get_dirty_flags[] = { { IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, "NO_CLEAR" }, END };

static const struct trace_field i_set_dirty[] = {
	F(iommu_hwpt_set_dirty_tracking, size, DEC, IN),
	N(iommu_hwpt_set_dirty_tracking, flags, FLAGS, IN, set_dirty_flags),
	F(iommu_hwpt_set_dirty_tracking, hwpt_id, DEC, IN), END,
};

static const struct trace_field i_get_dirty[] = {
	F(iommu_hwpt_get_dirty_bitmap, size, DEC, IN), F(iommu_hwpt_get_dirty_bitmap, hwpt_id, DEC, IN),
	N(iommu_hwpt_get_dirty_bitmap, flags, FLAGS, IN, get_dirty_flags), F(iommu_hwpt_get_dirty_bitmap, iova, HEX, IN),
	F(iommu_hwpt_get_dirty_bitmap, length, HEX, IN), F(iommu_hwpt_get_dirty_bitmap, page_size, HEX, IN),
	F(iommu_hwpt_get_dirty_bitmap, data, HEX, IN), END,
};

static const struct trace_name invalidate_data[] = {
	{ IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, "VTD_S1" }, { IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, "ARM_SMMUV3" }, END,
};
static const struct trace_name vtd_inv_flags[] = { { IOMMU_VTD_INV_FLAGS_LEAF, "LEAF" }, END };
static const struct trace_field vtd_inv[] = {
	F(iommu_hwpt_vtd_s1_invalidate, addr, HEX, IN), F(iommu_hwpt_vtd_s1_invalidate, npages, DEC, IN),
	N(iommu_hwpt_vtd_s1_invalidate, flags, FLAGS, IN, vtd_inv_flags), END,
};

/* The requests, where they are VT-d's. */
static void invalidate_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	const struct iommu_hwpt_invalidate *cmd = (const void *)now;
	struct iommu_hwpt_vtd_s1_invalidate inv;

	if (out || state->have < sizeof(*cmd) || cmd->data_type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 ||
	    cmd->entry_len < sizeof(inv) || !cmd->entry_num)
		return;
	line_sep(line);
	line_add(line, "data=[");
	for (u32 i = 0; i < cmd->entry_num && i < TRACE_LIST_MAX; i++) {
		if (guard_copy(&inv, (const void *)(uintptr_t)(cmd->data_uptr + (u64)i * cmd->entry_len), sizeof(inv)))
			break;
		line_sep(line);
		line_add(line, "{");
		trace_fields(line, vtd_inv, (const u8 *)&inv, sizeof(inv));
		line_add(line, "}");
	}
	line_add(line, cmd->entry_num > TRACE_LIST_MAX ? ", ...]" : "]");
}

static const struct trace_field i_invalidate[] = {
	F(iommu_hwpt_invalidate, size, DEC, IN), F(iommu_hwpt_invalidate, hwpt_id, DEC, IN),
	F(iommu_hwpt_invalidate, data_uptr, HEX, IN),
	N(iommu_hwpt_invalidate, data_type, ENUM, IN, invalidate_data), F(iommu_hwpt_invalidate, entry_len, DEC, IN),
	F(iommu_hwpt_invalidate, entry_num, DEC, INOUT), END,
};

static const struct trace_field i_fault[] = {
	F(iommu_fault_alloc, size, DEC, IN), F(iommu_fault_alloc, flags, HEX, IN),
	F(iommu_fault_alloc, out_fault_id, DEC, OUT), F(iommu_fault_alloc, out_fault_fd, SIGNED, OUT), END,
};

/* The types of vIOMMUs and of their event queues have the same numbers. */
static const struct trace_name viommu_types[] = {
	{ IOMMU_VIOMMU_TYPE_DEFAULT, "DEFAULT" }, { IOMMU_VIOMMU_TYPE_ARM_SMMUV3, "ARM_SMMUV3" },
	{ IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" }, END,
};
static const struct trace_name hw_queue_types[] = {
	{ IOMMU_HW_QUEUE_TYPE_DEFAULT, "DEFAULT" }, { IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV" }, END,
};

static const struct trace_field i_viommu[] = {
	F(iommu_viommu_alloc, size, DEC, IN), F(iommu_viommu_alloc, flags, HEX, IN),
	N(iommu_viommu_alloc, type, ENUM, IN, viommu_types), F(iommu_viommu_alloc, dev_id, DEC, IN),
	F(iommu_viommu_alloc, hwpt_id, DEC, IN), F(iommu_viommu_alloc, data_len, DEC, IN),
	F(iommu_viommu_alloc, data_uptr, HEX, IN), F(iommu_viommu_alloc, out_viommu_id, DEC, OUT), END,
};

static const struct trace_field i_vdevice[] = {
	F(iommu_vdevice_alloc, size, DEC, IN), F(iommu_vdevice_alloc, viommu_id, DEC, IN),
	F(iommu_vdevice_alloc, dev_id, DEC, IN), F(iommu_vdevice_alloc, out_vdevice_id, DEC, OUT),
	F(iommu_vdevice_alloc, virt_id, HEX, IN), END,
};

static const struct trace_field i_change_process[] = { F(iommu_ioas_change_process, size, DEC, IN), END };

static const struct trace_field i_test[] = { { "size", 0, 4, TRACE_DEC, TRACE_IN, NULL }, END };

static const struct trace_field i_veventq[] = {
	F(iommu_veventq_alloc, size, DEC, IN), F(iommu_veventq_alloc, flags, HEX, IN),
	F(iommu_veventq_alloc, viommu_id, DEC, IN), N(iommu_veventq_alloc, type, ENUM, IN, viommu_types),
	F(iommu_veventq_alloc, veventq_depth, DEC, IN), F(iommu_veventq_alloc, out_veventq_id, DEC, OUT),
	F(iommu_veventq_alloc, out_veventq_fd, SIGNED, OUT), END,
};

static const struct trace_field i_hw_queue[] = {
	F(iommu_hw_queue_alloc, size, DEC, IN), F(iommu_hw_queue_alloc, flags, HEX, IN),
	F(iommu_hw_queue_alloc, viommu_id, DEC, IN),
	N(iommu_hw_queue_alloc, type, ENUM, IN, hw_queue_types), F(iommu_hw_queue_alloc, index, DEC, IN),
	F(iommu_hw_queue_alloc, out_hw_queue_id, DEC, OUT),
	F(iommu_hw_queue_alloc, nesting_parent_iova, HEX, IN),
	F(iommu_hw_queue_alloc, length, HEX, IN), END,
};

static const struct trace_field i_get_pa[] = {
	F(iommu_ioas_noiommu_get_pa, size, DEC, IN), F(iommu_ioas_noiommu_get_pa, flags, HEX, IN),
	F(iommu_ioas_noiommu_get_pa, ioas_id, DEC, IN), F(iommu_ioas_noiommu_get_pa, iova, HEX, IN),
	F(iommu_ioas_noiommu_get_pa, length, HEX, INOUT), F(iommu_ioas_noiommu_get_pa, out_phys, HEX, OUT), END,
};

/* ---- KVM's device for VFIO: the structs have no size in front, but are no shorter than what stands there says ---- */

static const struct trace_name kvm_create_flags[] = { { KVM_CREATE_DEVICE_TEST, "TEST" }, END };

static void kvm_create_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	struct kvm_create_device create;

	if (guard_copy(&create, (const void *)state->arg, sizeof(create)))
		return;
	if (!out) { /* no other type comes here */
		line_add(line, "type=VFIO, flags=");
		trace_flags(line, create.flags, kvm_create_flags);
	} else if (!(create.flags & KVM_CREATE_DEVICE_TEST)) {
		line_add(line, "fd=%d", (int)create.fd);
	}
}

static const struct trace_name kvm_groups[] = { { KVM_DEV_VFIO_FILE, "FILE" }, END };
static const struct trace_name kvm_attrs[] = {
	{ KVM_DEV_VFIO_FILE_ADD, "ADD" }, { KVM_DEV_VFIO_FILE_DEL, "DEL" },
	{ KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, "SET_SPAPR_TCE" }, END,
};

static void kvm_attr_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	struct kvm_device_attr attr;
	const char *group, *name;
	int32_t fd;

	if (out || guard_copy(&attr, (const void *)state->arg, sizeof(attr)))
		return;
	group = trace_name_of(attr.group, kvm_groups);
	name = trace_name_of(attr.attr, kvm_attrs);
	if (group && name)
		line_add(line, "group=%s, attr=%s", group, name);
	else
		line_add(line, "group=%u, attr=%llu", attr.group, (ull)attr.attr);
	if (group && name && !guard_copy(&fd, (const void *)(uintptr_t)attr.addr, sizeof(fd)))
		line_add(line, ", fd=%d", fd);
	else
		line_add(line, ", addr=0x%llx", (ull)attr.addr);
}

/* ---- all of them ---- */

const struct trace_call trace_iommufd_calls[] = {
	STRUCT(IOMMUFD, IOMMU_DESTROY, iommu_destroy, i_destroy),
	STRUCT(IOMMUFD, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, i_ioas_alloc),
	STRUCT(IOMMUFD, IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, i_allow_iovas,
	       .tail = allow_iovas_tail),
	STRUCT(IOMMUFD, IOMMU_IOAS_COPY, iommu_ioas_copy, i_copy),
	STRUCT(IOMMUFD, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, i_iova_ranges,
	       .tail = iova_ranges_tail),
	STRUCT(IOMMUFD, IOMMU_IOAS_MAP, iommu_ioas_map, i_map),
	STRUCT(IOMMUFD, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, i_unmap),
	STRUCT(IOMMUFD, IOMMU_OPTION, iommu_option, i_option),
	STRUCT(IOMMUFD, IOMMU_VFIO_IOAS, iommu_vfio_ioas, i_vfio_ioas),
	STRUCT(IOMMUFD, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, i_hwpt_alloc, .tail = hwpt_alloc_tail),
	STRUCT(IOMMUFD, IOMMU_GET_HW_INFO, iommu_hw_info, i_hw_info, .tail = hw_info_tail),
	STRUCT(IOMMUFD, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, i_set_dirty),
	STRUCT(IOMMUFD, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, i_get_dirty),
	STRUCT(IOMMUFD, IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, i_invalidate, .tail = invalidate_tail),
	STRUCT(IOMMUFD, IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, i_fault),
	STRUCT(IOMMUFD, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, i_map_file),
	STRUCT(IOMMUFD, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, i_viommu),
	STRUCT(IOMMUFD, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, i_vdevice),
	STRUCT(IOMMUFD, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, i_change_process),
	STRUCT(IOMMUFD, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, i_veventq),
	STRUCT(IOMMUFD, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, i_hw_queue),
	STRUCT(IOMMUFD, IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, i_get_pa),
	{ _IO(IOMMUFD_TYPE, 0xa0), IOMMUFD, "IOMMU_TEST_CMD", TRACE_STRUCT, 72, i_test, .tail = trace_mock_tail },
	STRUCT(VM, KVM_CREATE_DEVICE, kvm_create_device, .tail = kvm_create_tail),
	STRUCT(KVM, KVM_SET_DEVICE_ATTR, kvm_device_attr, .tail = kvm_attr_tail),
	STRUCT(KVM, KVM_GET_DEVICE_ATTR, kvm_device_attr, .tail = kvm_attr_tail),
	STRUCT(KVM, KVM_HAS_DEVICE_ATTR, kvm_device_attr, .tail = kvm_attr_tail),
};
const size_t trace_iommufd_count = ARRAY_SIZE(trace_iommufd_calls);
