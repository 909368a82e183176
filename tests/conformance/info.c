/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - what there is, by name: every extension, flag, region, interrupt, capability and feature.
 *
 * usage: info CONVENTIONAL EXPRESS    the devices of legacy.c.  See rows.h for what is printed.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/conformance/rows.h"

struct name { const char *text; uint32_t value; };
#define N(x) { #x, x }
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void note_flags(uint32_t flags, const struct name *names, size_t num)
{
	for (size_t i = 0; i < num; i++)
		if (flags & names[i].value) {
			note(" %s", strstr(names[i].text, "FLAG") ?: names[i].text);
			flags &= ~names[i].value;
		}
	if (flags)
		note(" and 0x%x", flags);
}

/* Every capability of the chain that begins at @at. */
static void note_chain(const void *info, uint32_t argsz, uint32_t at)
{
	while (at && at + sizeof(struct vfio_info_cap_header) <= argsz) {
		const struct vfio_info_cap_header *cap = (const void *)((const char *)info + at);

		note(" cap %u v%u", cap->id, cap->version);
		at = cap->next;
	}
}

static int container, device;

static bool device_open(const char *bdf)
{
	char path[128], link[PATH_MAX];
	ssize_t len;
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return false;
	link[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	container = open("/dev/vfio/vfio", O_RDWR);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return false;
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	return device >= 0;
}

/* ---- the container ---- */

static void extensions(const char *when)
{
	static const struct name names[] = {
		N(VFIO_TYPE1_IOMMU), N(VFIO_SPAPR_TCE_IOMMU), N(VFIO_TYPE1v2_IOMMU), N(VFIO_DMA_CC_IOMMU), N(VFIO_EEH),
		N(__VFIO_RESERVED_TYPE1_NESTING_IOMMU), N(VFIO_SPAPR_TCE_v2_IOMMU), N(VFIO_UNMAP_ALL), N(VFIO_UPDATE_VADDR),
	};
	int fd = container ?: open("/dev/vfio/vfio", O_RDWR);

	begin(when);
	T("VFIO_API_VERSION", ioctl(fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	for (size_t i = 0; i < COUNT(names); i++)
		T(names[i].text, ioctl(fd, VFIO_CHECK_EXTENSION, names[i].value));
	if (!container)
		close(fd);
}

static void other_backends(void)
{
	static const struct name calls[] = {
		N(VFIO_IOMMU_ENABLE), N(VFIO_IOMMU_DISABLE), N(VFIO_EEH_PE_OP), N(VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY),
		N(VFIO_IOMMU_SPAPR_TCE_CREATE), N(VFIO_IOMMU_SPAPR_TCE_REMOVE),
	};
	char arg[64] = {0};

	begin("calls of other backends");
	for (size_t i = 0; i < COUNT(calls); i++)
		T(calls[i].text, ioctl(container, calls[i].value, arg));
}

static void iommu_info(void)
{
	static const struct name flags[] = { N(VFIO_IOMMU_INFO_PGSIZES), N(VFIO_IOMMU_INFO_CAPS) };
	static const struct name caps[] = {
		N(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE), N(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION), N(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL),
	};
	static union { struct vfio_iommu_type1_info info; char bytes[1024]; } u;

	begin("IOMMU_GET_INFO");
	u.info.argsz = sizeof(u);
	T("flags", ioctl(container, VFIO_IOMMU_GET_INFO, &u));
	note_flags(u.info.flags, flags, COUNT(flags));
	for (size_t i = 0; i < COUNT(caps); i++) {
		const struct vfio_info_cap_header *cap = NULL;

		for (uint32_t at = u.info.cap_offset; at; at = cap->next) {
			cap = (const void *)(u.bytes + at);
			if (cap->id == caps[i].value)
				break;
		}
		T(caps[i].text, cap && cap->id == caps[i].value ? cap->version : -1);
		if (cap && cap->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			note(" %u left", ((const struct vfio_iommu_type1_info_dma_avail *)cap)->avail);
		if (cap && cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION)
			note(" pages 0x%llx bitmap 0x%llx",
			     (unsigned long long)((const struct vfio_iommu_type1_info_cap_migration *)cap)->pgsize_bitmap,
			     (unsigned long long)((const struct vfio_iommu_type1_info_cap_migration *)cap)->max_dirty_bitmap_size);
	}
}

/* ---- the device ---- */

/* What the ports above complete of its atomic operations; a device without PCI Express has no such capability. */
static void atomics(const void *info, uint32_t at)
{
	static const struct name flags[] = { N(VFIO_PCI_ATOMIC_COMP32), N(VFIO_PCI_ATOMIC_COMP64), N(VFIO_PCI_ATOMIC_COMP128) };
	const struct vfio_device_info_cap_pci_atomic_comp *cap = NULL;

	for (; at; at = cap->header.next) {
		cap = (const void *)((const char *)info + at);
		if (cap->header.id == VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP)
			break;
	}
	T("VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP", at ? cap->header.version : -1);
	if (at)
		note_flags(cap->flags, flags, COUNT(flags));
}

static void device_info(void)
{
	static const struct name flags[] = {
		N(VFIO_DEVICE_FLAGS_RESET), N(VFIO_DEVICE_FLAGS_PCI), N(VFIO_DEVICE_FLAGS_PLATFORM), N(VFIO_DEVICE_FLAGS_AMBA),
		N(VFIO_DEVICE_FLAGS_CCW), N(VFIO_DEVICE_FLAGS_AP), N(VFIO_DEVICE_FLAGS_FSL_MC), N(VFIO_DEVICE_FLAGS_CAPS), N(VFIO_DEVICE_FLAGS_CDX),
	};
	struct { struct vfio_device_info info; char caps[256]; } d = { .info.argsz = sizeof(d) };

	T("GET_INFO", ioctl(device, VFIO_DEVICE_GET_INFO, &d));
	note("%u regions, %u irqs", d.info.num_regions, d.info.num_irqs);
	note_flags(d.info.flags, flags, COUNT(flags));
	note_chain(&d, d.info.argsz, d.info.cap_offset);
	atomics(&d, d.info.cap_offset);
}

static void regions(void)
{
	static const struct name names[] = {
		N(VFIO_PCI_BAR0_REGION_INDEX), N(VFIO_PCI_BAR1_REGION_INDEX), N(VFIO_PCI_BAR2_REGION_INDEX), N(VFIO_PCI_BAR3_REGION_INDEX),
		N(VFIO_PCI_BAR4_REGION_INDEX), N(VFIO_PCI_BAR5_REGION_INDEX), N(VFIO_PCI_ROM_REGION_INDEX), N(VFIO_PCI_CONFIG_REGION_INDEX),
		N(VFIO_PCI_VGA_REGION_INDEX), N(VFIO_PCI_NUM_REGIONS),
	};
	static const struct name flags[] = {
		N(VFIO_REGION_INFO_FLAG_READ), N(VFIO_REGION_INFO_FLAG_WRITE), N(VFIO_REGION_INFO_FLAG_MMAP), N(VFIO_REGION_INFO_FLAG_CAPS),
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct { struct vfio_region_info info; char caps[256]; } r = { .info = { .argsz = sizeof(r), .index = names[i].value } };

		T(names[i].text, ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &r));
		note("0x%llx bytes", (unsigned long long)r.info.size);
		note_flags(r.info.flags, flags, COUNT(flags));
		note_chain(&r, r.info.argsz, r.info.cap_offset);
	}
}

static void irqs(void)
{
	static const struct name names[] = {
		N(VFIO_PCI_INTX_IRQ_INDEX), N(VFIO_PCI_MSI_IRQ_INDEX), N(VFIO_PCI_MSIX_IRQ_INDEX), N(VFIO_PCI_ERR_IRQ_INDEX),
		N(VFIO_PCI_REQ_IRQ_INDEX), N(VFIO_PCI_NUM_IRQS),
	};
	static const struct name flags[] = {
		N(VFIO_IRQ_INFO_EVENTFD), N(VFIO_IRQ_INFO_MASKABLE), N(VFIO_IRQ_INFO_AUTOMASKED), N(VFIO_IRQ_INFO_NORESIZE),
	};
	struct vfio_irq_set set = { .argsz = sizeof(set), .index = VFIO_PCI_REQ_IRQ_INDEX };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = names[i].value };

		T(names[i].text, ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info));
		note("count %u", info.count);
		note_flags(info.flags, flags, COUNT(flags));
	}
	set.flags = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TRIGGER;
	T("SET_IRQS with all of VFIO_IRQ_SET_DATA_TYPE_MASK", ioctl(device, VFIO_DEVICE_SET_IRQS, &set));
	set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	T("SET_IRQS with all of VFIO_IRQ_SET_ACTION_TYPE_MASK", ioctl(device, VFIO_DEVICE_SET_IRQS, &set));
}

static void ioeventfds(void)
{
	static const struct name names[] = {
		N(VFIO_DEVICE_IOEVENTFD_8), N(VFIO_DEVICE_IOEVENTFD_16), N(VFIO_DEVICE_IOEVENTFD_32), N(VFIO_DEVICE_IOEVENTFD_64),
		N(VFIO_DEVICE_IOEVENTFD_SIZE_MASK),
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct vfio_device_ioeventfd io = {
			.argsz = sizeof(io), .flags = names[i].value, .offset = 8, .data = 1, .fd = eventfd(0, 0),
		};
		int fd = io.fd;

		T(names[i].text, ioctl(device, VFIO_DEVICE_IOEVENTFD, &io));
		T("the same again", ioctl(device, VFIO_DEVICE_IOEVENTFD, &io));
		io.fd = -1;
		T("and taken away", ioctl(device, VFIO_DEVICE_IOEVENTFD, &io));
		close(fd);
	}
}

static long feature(uint32_t flags, void *data, size_t len)
{
	struct { struct vfio_device_feature f; char data[64]; } arg = { .f = { .argsz = (uint32_t)(sizeof(arg.f) + len), .flags = flags } };
	long ret;

	memcpy(arg.data, data, len);
	ret = ioctl(device, VFIO_DEVICE_FEATURE, &arg);
	memcpy(data, arg.data, len);
	return ret;
}

static void features(void)
{
	static const struct name names[] = {
		N(VFIO_DEVICE_FEATURE_PCI_VF_TOKEN), N(VFIO_DEVICE_FEATURE_MIGRATION), N(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE),
		N(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), N(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP), N(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT),
		N(VFIO_DEVICE_FEATURE_DMA_LOGGING_START), N(VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP), N(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT),
		N(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE), N(VFIO_DEVICE_FEATURE_BUS_MASTER), N(VFIO_DEVICE_FEATURE_DMA_BUF),
		N(VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2), N(VFIO_DEVICE_FEATURE_ZPCI_ERROR),
	};
	struct vfio_device_feature_mig_data_size size = {0};
	struct vfio_device_feature_bus_master master = { .op = VFIO_DEVICE_FEATURE_SET_MASTER };
	struct vfio_device_low_power_entry_with_wakeup wakeup = { .wakeup_eventfd = eventfd(0, 0) };
	char what[128];

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(what, sizeof(what), "%s probed", names[i].text);
		T(what, feature(names[i].value | VFIO_DEVICE_FEATURE_PROBE, what, 0));
		snprintf(what, sizeof(what), "%s probed for GET", names[i].text);
		T(what, feature(names[i].value | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET, what, 0));
		snprintf(what, sizeof(what), "%s probed for SET", names[i].text);
		T(what, feature(names[i].value | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, what, 0));
	}
	T("VFIO_DEVICE_FEATURE_MASK probed", feature(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_PROBE, what, 0));
	T("MIG_DATA_SIZE", feature(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &size, sizeof(size)));
	T("BUS_MASTER, SET_MASTER", feature(VFIO_DEVICE_FEATURE_BUS_MASTER | VFIO_DEVICE_FEATURE_SET, &master, sizeof(master)));
	master.op = VFIO_DEVICE_FEATURE_CLEAR_MASTER;
	T("BUS_MASTER, CLEAR_MASTER", feature(VFIO_DEVICE_FEATURE_BUS_MASTER | VFIO_DEVICE_FEATURE_SET, &master, sizeof(master)));
	T("LOW_POWER_EXIT without entry", feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, what, 0));
	T("LOW_POWER_ENTRY_WITH_WAKEUP too short",
	  feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET, &wakeup, 4));
	T("LOW_POWER_ENTRY_WITH_WAKEUP",
	  feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET, &wakeup, sizeof(wakeup)));
	T("LOW_POWER_EXIT", feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, what, 0));
	T("LOW_POWER_EXIT again", feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, what, 0));
	wakeup.wakeup_eventfd = -1;
	T("LOW_POWER_ENTRY_WITH_WAKEUP without an eventfd",
	  feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET, &wakeup, sizeof(wakeup)));
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	extensions("extensions before SET_IOMMU");
	for (int i = 1; i <= 2; i++) {
		if (!device_open(argv[i])) {
			perror(argv[i]);
			return 1;
		}
		if (i == 1) {
			extensions("extensions after SET_IOMMU");
			other_backends();
			iommu_info();
		}
		begin(i == 1 ? "a conventional device" : "an express device");
		device_info();
		regions();
		irqs();
		ioeventfds();
		features();
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
