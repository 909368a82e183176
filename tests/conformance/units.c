/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * units.c - what an IOMMU unit offers to iommufd, by name: kinds of registers, of page tables in guest memory, of
 * virtual IOMMUs and their queues, and what it can do for a device.
 *
 * usage: units EDU MSIX    as legacy.c, which tells the rest
 *
 * Asked is every kind that the header has, also those of machines that are no PC: which errno says that a unit has
 * none of it, and for which calls that depends on the flags.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/conformance/calls.h"

struct name { const char *text; uint64_t value; };
#define N(x) { #x, x }
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static int i, d;
static uint32_t as, dev, hwpt;
static char what[128];

#define EACH(array, n) (const struct name *n = array; n < array + COUNT(array); n++)
#define ASK(n, more, x) ({ snprintf(what, sizeof(what), "%s" more, (n)->text); T(what, x); })

/* ---------------------------------------------------------------- registers */
static void registers(void)
{
	static const struct name types[] = {
		N(IOMMU_HW_INFO_TYPE_DEFAULT), N(IOMMU_HW_INFO_TYPE_INTEL_VTD), N(IOMMU_HW_INFO_TYPE_ARM_SMMUV3),
		N(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV), N(IOMMU_HW_INFO_TYPE_AMD),
	};
	static const struct name capabilities[] = {
		N(IOMMU_HW_CAP_DIRTY_TRACKING), N(IOMMU_HW_CAP_PCI_PASID_EXEC), N(IOMMU_HW_CAP_PCI_PASID_PRIV),
	};
	struct { struct iommu_hw_info_vtd vtd; char rest[64]; } data;
	struct iommu_hw_info hi;

	begin("registers");
	for EACH(types, n) {
		memset(&data, 0x5a, sizeof(data));
		hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = dev, .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
			.in_data_type = (uint32_t)n->value, .data_len = sizeof(data), .data_uptr = (uintptr_t)&data };
		ASK(n, "", ioctl(i, IOMMU_GET_HW_INFO, &hi));
		note("type %u, %u bytes", hi.out_data_type, hi.data_len);
	}
	hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = dev, .data_len = sizeof(data), .data_uptr = (uintptr_t)&data };
	T("without asking for a type", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	note("%s", hi.out_data_type == IOMMU_HW_INFO_TYPE_NONE ? "none" : "some");
	if (hi.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD)
		note(", erratum 772415 %d", !!(data.vtd.flags & IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17));
	for (size_t k = sizeof(struct iommu_hw_info_vtd); k < sizeof(data); k++)
		if (((char *)&data)[k]) {
			note(", not zero behind them");
			break;
		}
	for EACH(capabilities, n)
		ASK(n, "", !!(hi.out_capabilities & n->value));
	T("width of its PASIDs", hi.out_max_pasid_log2);
}

/* ---------------------------------------------------------------- page tables in a guest's memory */
static int alloc(uint32_t flags, uint32_t parent, uint32_t type, void *data, uint32_t len)
{
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .flags = flags, .dev_id = dev, .pt_id = parent, .data_type = type,
				      .data_len = len, .data_uptr = (uintptr_t)data };
	int ret = ioctl(i, IOMMU_HWPT_ALLOC, &a);

	if (!ret)
		destroy(i, a.out_hwpt_id);
	return ret;
}

static void guest_tables(void)
{
	static const struct name types[] = {
		N(IOMMU_HWPT_DATA_NONE), N(IOMMU_HWPT_DATA_VTD_S1), N(IOMMU_HWPT_DATA_ARM_SMMUV3), N(IOMMU_HWPT_DATA_AMD_GUEST),
	};
	static const struct name stage1[] = { N(IOMMU_VTD_S1_SRE), N(IOMMU_VTD_S1_EAFE), N(IOMMU_VTD_S1_WPE) };
	union { struct iommu_hwpt_vtd_s1 vtd; struct iommu_hwpt_arm_smmuv3 arm; struct iommu_hwpt_amd_guest amd; } data;

	begin("guest tables");
	memset(&data, 0, sizeof(data));
	for EACH(types, n) {
		ASK(n, "", alloc(0, as, (uint32_t)n->value, &data, n->value ? sizeof(data) : 0));
		ASK(n, " on page tables", alloc(0, hwpt, (uint32_t)n->value, &data, n->value ? sizeof(data) : 0));
		ASK(n, ", no data", alloc(0, hwpt, (uint32_t)n->value, NULL, 0));
		ASK(n, " with a parent's flag", alloc(IOMMU_HWPT_ALLOC_NEST_PARENT, as, (uint32_t)n->value, &data, n->value ? sizeof(data) : 0));
		ASK(n, " for PASIDs", alloc(IOMMU_HWPT_ALLOC_PASID, hwpt, (uint32_t)n->value, &data, n->value ? sizeof(data) : 0));
	}
	for EACH(stage1, n) {
		data.vtd = (struct iommu_hwpt_vtd_s1){ .flags = n->value, .addr_width = 48 };
		ASK(n, "", alloc(0, hwpt, IOMMU_HWPT_DATA_VTD_S1, &data, sizeof(data.vtd)));
	}
}

static void invalidations(void)
{
	static const struct name types[] = { N(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1), N(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3) };
	struct iommu_hwpt_vtd_s1_invalidate entry = { .npages = 1, .flags = IOMMU_VTD_INV_FLAGS_LEAF };

	begin("invalidations");
	for EACH(types, n) {
		struct iommu_hwpt_invalidate v = { .size = sizeof(v), .hwpt_id = hwpt, .data_uptr = (uintptr_t)&entry,
			.data_type = (uint32_t)n->value, .entry_len = sizeof(entry), .entry_num = 1 };
		ASK(n, "", ioctl(i, IOMMU_HWPT_INVALIDATE, &v));
		note("entries %u", v.entry_num);
		v.entry_num = 0;
		ASK(n, ", no entry", ioctl(i, IOMMU_HWPT_INVALIDATE, &v));
		v.hwpt_id = as;
		ASK(n, " of an IOAS", ioctl(i, IOMMU_HWPT_INVALIDATE, &v));
	}
}

/* ---------------------------------------------------------------- dirty pages */
static void dirty(void)
{
	static unsigned long long bits[64];
	struct iommu_hwpt_set_dirty_tracking s = { .size = sizeof(s), .hwpt_id = hwpt, .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE };
	struct iommu_hwpt_get_dirty_bitmap g = { .size = sizeof(g), .hwpt_id = hwpt, .length = MB, .page_size = PG,
						 .data = (uintptr_t)bits, .flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR };

	begin("dirty pages");
	T("IOMMU_HWPT_ALLOC_DIRTY_TRACKING", alloc(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, as, 0, NULL, 0));
	T("IOMMU_HWPT_DIRTY_TRACKING_ENABLE of plain tables", ioctl(i, IOMMU_HWPT_SET_DIRTY_TRACKING, &s));
	s.flags = 0;
	T("disable of plain tables", ioctl(i, IOMMU_HWPT_SET_DIRTY_TRACKING, &s));
	T("IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR of plain tables", ioctl(i, IOMMU_HWPT_GET_DIRTY_BITMAP, &g));
}

/* ---------------------------------------------------------------- virtual IOMMUs */
static void virtual_units(void)
{
	static const struct name types[] = {
		N(IOMMU_VIOMMU_TYPE_DEFAULT), N(IOMMU_VIOMMU_TYPE_ARM_SMMUV3), N(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV),
	};
	static const struct name events[] = {
		N(IOMMU_VEVENTQ_TYPE_DEFAULT), N(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3), N(IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV),
	};
	static const struct name queues[] = { N(IOMMU_HW_QUEUE_TYPE_DEFAULT), N(IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV) };

	begin("virtual IOMMUs");
	for EACH(types, n) {
		struct iommu_viommu_alloc v = { .size = sizeof(v), .type = (uint32_t)n->value, .dev_id = dev, .hwpt_id = hwpt };
		ASK(n, "", ioctl(i, IOMMU_VIOMMU_ALLOC, &v));
		v.hwpt_id = as;
		ASK(n, " on an IOAS", ioctl(i, IOMMU_VIOMMU_ALLOC, &v));
		v.data_len = 8;
		v.data_uptr = (uintptr_t)mem;
		ASK(n, " with data", ioctl(i, IOMMU_VIOMMU_ALLOC, &v));
	}
	for EACH(events, n) {
		struct iommu_veventq_alloc v = { .size = sizeof(v), .type = (uint32_t)n->value, .viommu_id = hwpt, .veventq_depth = 4 };
		ASK(n, "", ioctl(i, IOMMU_VEVENTQ_ALLOC, &v));
	}
	for EACH(queues, n) {
		struct iommu_hw_queue_alloc q = { .size = sizeof(q), .type = (uint32_t)n->value, .viommu_id = hwpt,
						  .nesting_parent_iova = 0, .length = PG };
		ASK(n, "", ioctl(i, IOMMU_HW_QUEUE_ALLOC, &q));
	}
}

int main(int argc, char **argv)
{
	start(argc, argv);
	for (int k = 0; k < 2; k++) {
		i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		d = open_cdev(k ? msix : edu);
		as = ioas(i);
		struct iommu_hwpt_alloc a = { .size = sizeof(a), .pt_id = as };
		if (i < 0 || bind_to(d, i, &dev)) {
			fprintf(stderr, "no device bound: %m\n");
			return 1;
		}
		a.dev_id = dev;
		if (ioctl(i, IOMMU_HWPT_ALLOC, &a))
			fprintf(stderr, "HWPT_ALLOC: %m\n");
		hwpt = a.out_hwpt_id;
		registers();
		guest_tables();
		invalidations();
		dirty();
		virtual_units();
		close(d);
		close(i);
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
