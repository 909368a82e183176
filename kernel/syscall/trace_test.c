/* SPDX-License-Identifier: BSD-3-Clause */
/* trace_test.c - the exact line that --trace prints for a call, for each kind of file and argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/trace.h"

/* cmocka takes SIGSEGV before each test: take it back inside. */
#define GUARDED_TEST(test) { #test, guarded_test, NULL, NULL, (void *)(test) }

static int trace_pipe[2];

static void guarded_test(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	test(state);
}

/* What the files of this test do: the next answer, and bytes written to the argument before it. */
static struct {
	long ret;
	void *to;
	const void *bytes;
	size_t len;
} next;

static long fake_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (next.to)
		memcpy(next.to, next.bytes, next.len);
	next.to = NULL;
	return next.ret;
}

static ssize_t fake_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	if (next.ret > 0)
		memcpy(buf, next.bytes, (size_t)next.ret);
	return next.ret;
}

static ssize_t fake_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	return next.ret;
}

static int fake_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	return (int)next.ret;
}

#define FOPS(kind_)                                                                                          \
	{                                                                                                    \
		.kind = kind_, .ioctl = fake_ioctl, .read = fake_read, .write = fake_write,                  \
		.mmap = fake_mmap                                                                            \
	}
static const struct file_operations fops[] = {
	[FILE_VFIO_CONTAINER] = FOPS(FILE_VFIO_CONTAINER),
	[FILE_VFIO_GROUP] = FOPS(FILE_VFIO_GROUP),
	[FILE_VFIO_DEVICE] = FOPS(FILE_VFIO_DEVICE),
	[FILE_IOMMUFD] = FOPS(FILE_IOMMUFD),
	[FILE_SYSFS] = FOPS(FILE_SYSFS),
	[FILE_KVM_VM] = FOPS(FILE_KVM_VM),
	[FILE_KVM_DEVICE] = FOPS(FILE_KVM_DEVICE),
	[FILE_OTHER] = FOPS(FILE_OTHER),
};
static const char *const paths[] = {
	[FILE_VFIO_CONTAINER] = "/dev/vfio/vfio", [FILE_VFIO_GROUP] = "/dev/vfio/3",
	[FILE_VFIO_DEVICE] = "anon_inode:[vfio-device]", [FILE_IOMMUFD] = "/dev/iommu",
	[FILE_SYSFS] = "/sys/bus/pci/drivers_probe", [FILE_KVM_VM] = "anon_inode:kvm-vm",
	[FILE_KVM_DEVICE] = "anon_inode:kvm-vfio", [FILE_OTHER] = "anon_inode:[vfio_mig]",
};

static struct file *file_of(enum file_kind kind)
{
	struct file *file = file_alloc(&fops[kind], NULL, paths[kind], O_RDWR);

	assert_non_null(file);
	return file;
}

/* The one line that was printed since the last look, without its newline; the address @arg as A. */
static const char *printed(const void *arg)
{
	static char text[8192];
	char address[32];
	char *at;
	ssize_t len = read(trace_pipe[0], text, sizeof(text) - 1);

	assert_true(len > 0);
	assert_int_equal(text[len - 1], '\n');
	text[len - 1] = '\0';
	assert_null(strchr(text, '\n'));
	snprintf(address, sizeof(address), "0x%lx", (unsigned long)arg);
	while (arg && (at = strstr(text, address))) {
		*at = 'A';
		memmove(at + 1, at + strlen(address), strlen(at + strlen(address)) + 1);
	}
	return text;
}

/* Carry out one ioctl that answers @ret and leaves @len bytes of @after in the argument. */
static const char *traced(enum file_kind kind, unsigned cmd, void *arg, long ret, const void *after, size_t len)
{
	struct file *file = file_of(kind);

	next.ret = ret;
	next.to = after ? arg : NULL;
	next.bytes = after;
	next.len = len;
	assert_int_equal(do_ioctl(5, file, cmd, (unsigned long)arg), ret);
	fput(file);
	return printed(arg);
}

#define AFTER(s) &(s), sizeof(s)
#define UNCHANGED NULL, 0

static void containers(void **state)
{
	struct vfio_iommu_type1_dma_map map = { sizeof(map), 3, 0x7f0000000000, 0, 0x100000 };
	struct vfio_iommu_type1_dma_unmap unmap = { sizeof(unmap), 0, 0x1000, 0x2000 };
	struct vfio_iommu_type1_dma_unmap after = unmap;

	assert_string_equal(traced(FILE_VFIO_CONTAINER, VFIO_GET_API_VERSION, NULL, 0, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, VFIO_GET_API_VERSION) = 0");
	assert_string_equal(traced(FILE_VFIO_CONTAINER, VFIO_CHECK_EXTENSION, (void *)3, 1, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) = 1");
	assert_string_equal(traced(FILE_VFIO_CONTAINER, VFIO_CHECK_EXTENSION, (void *)99, 0, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, VFIO_CHECK_EXTENSION, 99) = 0");
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_SET_IOMMU, (void *)1, -EINVAL, UNCHANGED),
	    "ioctl(5</dev/vfio/vfio>, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) = -1 EINVAL (Invalid argument)");
	assert_string_equal(traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_MAP_DMA, &map, 0, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_MAP_DMA, {argsz=32, flags=READ|WRITE, "
			    "vaddr=0x7f0000000000, iova=0x0, size=0x100000}) = 0");
	map.flags = 0x84;
	assert_string_equal(traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_MAP_DMA, &map, -EINVAL, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_MAP_DMA, {argsz=32, flags=VADDR|0x80, "
			    "vaddr=0x7f0000000000, iova=0x0, size=0x100000}) = -1 EINVAL (Invalid argument)");
	after.size = 0;
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_UNMAP_DMA, &unmap, 0, AFTER(after)),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_UNMAP_DMA, {argsz=24, flags=0, iova=0x1000, size=0x2000} "
	    "=> {size=0x0}) = 0");
	/* The same size comes back: nothing to show. */
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_UNMAP_DMA, &unmap, 0, UNCHANGED),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_UNMAP_DMA, {argsz=24, flags=0, iova=0x1000, size=0x0}) = 0");
	assert_string_equal(traced(FILE_VFIO_CONTAINER, 0x1234, (void *)0x10, -ENOTTY, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, 0x1234, A) = -1 ENOTTY (Inappropriate ioctl for device)");
}

static void dirty_tracking(void **state)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} dirty = { { sizeof(dirty), VFIO_IOMMU_DIRTY_PAGES_FLAG_START },
		    { 0x1000, 0x4000, { 4096, 8, NULL } } };
	struct {
		struct vfio_iommu_type1_dma_unmap head;
		struct vfio_bitmap bitmap;
	} unmap = { { sizeof(unmap), VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 0x1000, 0x4000 },
		    { 4096, 8, NULL } };

	assert_string_equal(traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_DIRTY_PAGES, &dirty, 0, UNCHANGED),
			    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_DIRTY_PAGES, {argsz=48, flags=START}) = 0");
	dirty.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_DIRTY_PAGES, &dirty, 0, UNCHANGED),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_DIRTY_PAGES, {argsz=48, flags=GET_BITMAP, iova=0x1000, "
	    "size=0x4000, bitmap={pgsize=0x1000, size=8, data=0x0}}) = 0");
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_UNMAP_DMA, &unmap, 0, UNCHANGED),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_UNMAP_DMA, {argsz=48, flags=GET_DIRTY_BITMAP, iova=0x1000, "
	    "size=0x4000, bitmap={pgsize=0x1000, size=8, data=0x0}}) = 0");
}

static void iommu_info_with_capabilities(void **state)
{
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_iommu_type1_info_cap_iova_range ranges;
		struct vfio_iova_range range[2];
		struct vfio_iommu_type1_info_cap_migration migration;
		struct vfio_iommu_type1_info_dma_avail avail;
	} now = { { sizeof(now) } }, after = {
		.info = { sizeof(now), 3, 0xfffffffffffff000, offsetof(__typeof__(now), ranges) },
		.ranges = { { 1, 1, offsetof(__typeof__(now), migration) }, 2 },
		.range = { { 0, 0xfedfffff }, { 0xfef00000, 0xffffffffffff } },
		.migration = { { 2, 1, offsetof(__typeof__(now), avail) }, 0, 0x1000, 256 << 20 },
		.avail = { { 3, 1, 0 }, 65535 },
	};

	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_GET_INFO, &now, 0, AFTER(after)),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_GET_INFO, {argsz=120} => {flags=PGSIZES|CAPS, "
	    "iova_pgsizes=0xfffffffffffff000, caps=[IOVA_RANGE [0x0-0xfedfffff, 0xfef00000-0xffffffffffff], "
	    "MIGRATION pgsize_bitmap=0x1000 max_dirty_bitmap_size=0x10000000, DMA_AVAIL 65535]}) = 0");
	/* Too short for the chain: Linux says how much it wants. */
	memset(&now, 0, sizeof(now));
	now.info.argsz = 24;
	after.info.cap_offset = 0;
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_GET_INFO, &now, 0, &after, 24),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_GET_INFO, {argsz=24} => {argsz=120, flags=PGSIZES|CAPS, "
	    "iova_pgsizes=0xfffffffffffff000}) = 0");
	/* A program that knows only the oldest struct. */
	memset(&now, 0, sizeof(now));
	now.info.argsz = 8;
	after.info.argsz = 8;
	assert_string_equal(
	    traced(FILE_VFIO_CONTAINER, VFIO_IOMMU_GET_INFO, &now, 0, &after, 8),
	    "ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_GET_INFO, {argsz=8} => {flags=PGSIZES|CAPS}) = 0");
}

static void chains_that_run_in_circles_end(void **state)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
	} now = { { sizeof(now) } }, after = {
		{ sizeof(now), 15, VFIO_REGION_INFO_FLAG_CAPS, 32, 0x1000, 0 }, { 77, 1, 32 },
	};
	const char *text = traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_REGION_INFO, &now, 0, AFTER(after));

	assert_non_null(strstr(text, "caps=[77, 77, "));
	assert_true(strlen(text) < 400);
}

static void groups(void **state)
{
	struct vfio_group_status status = { sizeof(status), 0 }, after = { sizeof(status), 3 };
	char name[] = "0000:01:00.0";
	char longer[128];
	int container = 7;

	assert_string_equal(
	    traced(FILE_VFIO_GROUP, VFIO_GROUP_GET_STATUS, &status, 0, AFTER(after)),
	    "ioctl(5</dev/vfio/3>, VFIO_GROUP_GET_STATUS, {argsz=8} => {flags=VIABLE|CONTAINER_SET}) = 0");
	assert_string_equal(traced(FILE_VFIO_GROUP, VFIO_GROUP_SET_CONTAINER, &container, 0, UNCHANGED),
			    "ioctl(5</dev/vfio/3>, VFIO_GROUP_SET_CONTAINER, [7]) = 0");
	assert_string_equal(traced(FILE_VFIO_GROUP, VFIO_GROUP_SET_CONTAINER, NULL, -EFAULT, UNCHANGED),
			    "ioctl(5</dev/vfio/3>, VFIO_GROUP_SET_CONTAINER, 0x0) = -1 EFAULT (Bad address)");
	assert_string_equal(
	    traced(FILE_VFIO_GROUP, VFIO_GROUP_UNSET_CONTAINER, NULL, -EBUSY, UNCHANGED),
	    "ioctl(5</dev/vfio/3>, VFIO_GROUP_UNSET_CONTAINER) = -1 EBUSY (Device or resource busy)");
	assert_string_equal(traced(FILE_VFIO_GROUP, VFIO_GROUP_GET_DEVICE_FD, name, 8, UNCHANGED),
			    "ioctl(5</dev/vfio/3>, VFIO_GROUP_GET_DEVICE_FD, \"0000:01:00.0\") = 8");
	memset(longer, 'x', sizeof(longer));
	longer[127] = '\0';
	assert_non_null(strstr(traced(FILE_VFIO_GROUP, VFIO_GROUP_GET_DEVICE_FD, longer, -ENODEV, UNCHANGED),
			       "xxx\"...) = -1 ENODEV (No such device)"));
}

/* A platform device has a region 0 and an interrupt 1, not a BAR0 and MSI. */
static void numbered_devices(void **state)
{
	struct vfio_irq_info irq = { sizeof(irq), 0, 1 }, irq_after = { sizeof(irq), 7, 1, 1 };
	struct vfio_irq_set set = { sizeof(set), VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 1, 0, 1 };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct file *file = file_of(FILE_VFIO_DEVICE);

	file->numbered = true;
	next.ret = 0;
	next.to = &irq;
	next.bytes = &irq_after;
	next.len = sizeof(irq);
	assert_int_equal(do_ioctl(5, file, VFIO_DEVICE_GET_IRQ_INFO, (unsigned long)&irq), 0);
	assert_string_equal(printed(NULL), "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_IRQ_INFO, {argsz=16, "
			    "index=1} => {flags=EVENTFD|MASKABLE|AUTOMASKED, count=1}) = 0");
	next.to = NULL;
	assert_int_equal(do_ioctl(5, file, VFIO_DEVICE_SET_IRQS, (unsigned long)&set), 0);
	assert_non_null(strstr(printed(NULL), "flags=DATA_NONE|ACTION_UNMASK, index=1, start=0"));
	assert_int_equal(do_ioctl(5, file, VFIO_DEVICE_GET_REGION_INFO, (unsigned long)&region), 0);
	assert_non_null(strstr(printed(NULL), "{argsz=32, index=0}"));
	fput(file);
}

static void devices(void **state)
{
	struct vfio_device_info info = { sizeof(info) }, info_after = { sizeof(info), 3, 9, 5 };
	struct vfio_irq_info irq = { sizeof(irq), 0, 2 }, irq_after = { sizeof(irq), 9, 2, 16 };

	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_INFO, &info, 0, AFTER(info_after)),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_INFO, {argsz=24} => {flags=RESET|PCI, "
	    "num_regions=9, num_irqs=5}) = 0");
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_IRQ_INFO, &irq, 0, AFTER(irq_after)),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_IRQ_INFO, {argsz=16, index=MSIX} => "
	    "{flags=EVENTFD|NORESIZE, count=16}) = 0");
	irq.index = 9;
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_IRQ_INFO, &irq, -EINVAL, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_IRQ_INFO, {argsz=16, index=9}) = -1 EINVAL "
	    "(Invalid argument)");
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_RESET, NULL, 0, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_RESET) = 0");
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_INFO, NULL, -EFAULT, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_INFO, NULL) = -1 EFAULT (Bad address)");
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_INFO, (void *)8, -EFAULT, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_INFO, A) = -1 EFAULT (Bad address)");
}

static void regions(void **state)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area areas[2];
		struct vfio_info_cap_header msix;
	} now = { { sizeof(now), 0, 4 } }, after = {
		.info = { sizeof(now), 15, 4, offsetof(__typeof__(now), sparse), 0x4000, 4ull << 40 },
		.sparse = { { 1, 1, offsetof(__typeof__(now), msix) }, 2 },
		.areas = { { 0, 0x1000 }, { 0x3000, 0x1000 } },
		.msix = { VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0 },
	};

	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_REGION_INFO, &now, 0, AFTER(after)),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_REGION_INFO, {argsz=88, index=BAR4} => "
	    "{flags=READ|WRITE|MMAP|CAPS, size=0x4000, offset=0x40000000000, "
	    "caps=[SPARSE_MMAP [0x0+0x1000, 0x3000+0x1000], MSIX_MAPPABLE]}) = 0");
}

static void set_irqs(void **state)
{
	struct {
		struct vfio_irq_set head;
		int data[40];
	} set = { { 0, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 3 }, { 12, -1, 13 } };
	u8 bools[sizeof(struct vfio_irq_set) + 2];

	set.head.argsz = sizeof(set.head) + 3 * sizeof(int);
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_SET_IRQS, &set, 0, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_SET_IRQS, {argsz=32, "
	    "flags=DATA_EVENTFD|ACTION_TRIGGER, index=MSIX, start=0, count=3, data=[12, -1, 13]}) = 0");
	/* A count that is a lie shows what there is room for. */
	set.head.count = 1000000;
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_SET_IRQS, &set, -EINVAL, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_SET_IRQS, {argsz=32, "
	    "flags=DATA_EVENTFD|ACTION_TRIGGER, index=MSIX, start=0, count=1000000, data=[12, -1, 13]}) "
	    "= -1 EINVAL (Invalid argument)");
	set.head.argsz = sizeof(set);
	set.head.count = 40;
	assert_non_null(
	    strstr(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_SET_IRQS, &set, 0, UNCHANGED), ", 0, ...]}) = 0"));

	set.head.argsz = sizeof(set.head);
	set.head.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK;
	set.head.index = 0;
	set.head.count = 1;
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_SET_IRQS, &set, 0, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_SET_IRQS, {argsz=20, "
			    "flags=DATA_NONE|ACTION_MASK, index=INTX, start=0, count=1}) = 0");
	set.head.argsz = sizeof(bools);
	set.head.flags = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_UNMASK;
	set.head.count = 2;
	memcpy(bools, &set.head, sizeof(set.head));
	bools[sizeof(set.head)] = 1;
	bools[sizeof(set.head) + 1] = 0;
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_SET_IRQS, bools, 0, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_SET_IRQS, {argsz=22, "
			    "flags=DATA_BOOL|ACTION_UNMASK, index=INTX, start=0, count=2, data=[1, 0]}) = 0");
}

static void hot_reset(void **state)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[2];
	} now = { { sizeof(now) } }, after = {
		.info = { sizeof(now), 0, 2 },
		.devices = { { { 3 }, 0, 1, 0 }, { { 4 }, 0, 1, 0x0a } },
	};
	struct {
		struct vfio_pci_hot_reset head;
		int fds[2];
	} reset = { { sizeof(reset), 0, 2 }, { 6, 9 } };

	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &now, 0, AFTER(after)),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, {argsz=28} => "
	    "{flags=0, count=2, devices=[0000:01:00.0 group 3, 0000:01:01.2 group 4]}) = 0");
	/* What a failure wrote is shown too: the count that is needed. */
	memset(&now, 0, sizeof(now));
	now.info.argsz = 12;
	after.info.argsz = 12;
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &now, -ENOSPC, &after, 12),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, {argsz=12} => "
	    "{count=2}) = -1 ENOSPC (No space left on device)");
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_PCI_HOT_RESET, &reset, 0, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_PCI_HOT_RESET, {argsz=20, flags=0x0, count=2, "
	    "group_fds=[6, 9]}) = 0");
}

static void feature_calls(void **state)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state state;
	} mig = { { sizeof(mig), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE }, { 3, -1 } };
	struct vfio_device_feature probe = { sizeof(probe), VFIO_DEVICE_FEATURE_PROBE |
								VFIO_DEVICE_FEATURE_SET |
								VFIO_DEVICE_FEATURE_DMA_LOGGING_START };

	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_FEATURE, &mig, 0, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_FEATURE, {argsz=16, "
			    "flags=SET|MIG_DEVICE_STATE, device_state=STOP_COPY, data_fd=-1}) = 0");
	mig.head.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_FEATURE, &mig, 0, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_FEATURE, {argsz=16, "
			    "flags=GET|MIG_DEVICE_STATE} => {device_state=STOP_COPY, data_fd=-1}) = 0");
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_FEATURE, &probe, -ENOTTY, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_FEATURE, {argsz=8, "
			    "flags=SET|PROBE|DMA_LOGGING_START}) = -1 ENOTTY (Inappropriate ioctl for device)");
	probe.flags = VFIO_DEVICE_FEATURE_GET | 4711;
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_FEATURE, &probe, -ENOTTY, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_FEATURE, {argsz=8, flags=GET|4711}) "
	    "= -1 ENOTTY (Inappropriate ioctl for device)");
	probe.argsz = 4;
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_FEATURE, &probe, -EINVAL, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_FEATURE, {argsz=4}) = -1 EINVAL "
			    "(Invalid argument)");
}

static void other_device_calls(void **state)
{
	struct vfio_device_ioeventfd io = { sizeof(io), VFIO_DEVICE_IOEVENTFD_32, 0x1000, 1, -1 };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = 6 }, bound = bind;
	struct vfio_device_attach_iommufd_pt attach = { .argsz = 12, .pt_id = 2 };

	bound.out_devid = 1;
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_IOEVENTFD, &io, 0, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_IOEVENTFD, {argsz=32, flags=32, offset=0x1000, "
	    "data=0x1, fd=-1}) = 0");
	assert_string_equal(
	    traced(FILE_VFIO_DEVICE, VFIO_DEVICE_BIND_IOMMUFD, &bind, 0, AFTER(bound)),
	    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_BIND_IOMMUFD, {argsz=24, flags=0, iommufd=6} "
	    "=> {out_devid=1}) = 0");
	assert_string_equal(traced(FILE_VFIO_DEVICE, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, 0, UNCHANGED),
			    "ioctl(5<anon_inode:[vfio-device]>, VFIO_DEVICE_ATTACH_IOMMUFD_PT, {argsz=12, "
			    "flags=0, pt_id=2}) = 0");
}

/* One code, three meanings. */
static void codes_are_told_apart_by_file(void **state)
{
	struct vfio_precopy_info info = { sizeof(info) };
	char buf[32];

	assert_int_equal(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_IOMMU_GET_INFO);
	assert_string_equal(trace_ioctl_name(FILE_VFIO_DEVICE, 0x3b70, buf, sizeof(buf)),
			    "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO");
	assert_string_equal(trace_ioctl_name(FILE_VFIO_CONTAINER, 0x3b70, buf, sizeof(buf)),
			    "VFIO_IOMMU_GET_INFO");
	assert_string_equal(trace_ioctl_name(FILE_IOMMUFD, 0x3b70, buf, sizeof(buf)), "VFIO_IOMMU_GET_INFO");
	assert_string_equal(trace_ioctl_name(FILE_VFIO_GROUP, 0x3b70, buf, sizeof(buf)), "0x3b70");
	assert_string_equal(trace_ioctl_name(FILE_VFIO_CONTAINER, 0x3b79, buf, sizeof(buf)), "VFIO_EEH_PE_OP");
	assert_string_equal(
	    traced(FILE_OTHER, VFIO_MIG_GET_PRECOPY_INFO, &info, 0, UNCHANGED),
	    "ioctl(5<anon_inode:[vfio_mig]>, VFIO_MIG_GET_PRECOPY_INFO, {argsz=24} => {flags=0x0, "
	    "initial_bytes=0, dirty_bytes=0}) = 0");
}

static void iommufd_calls(void **state)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) }, allocated = { sizeof(alloc), 0, 1 };
	struct iommu_ioas_map map = { sizeof(map), 6, 1, 0, 0x7f0000000000, 0x1000, 0 }, mapped = map;
	struct iommu_iova_range range = { 0, 0xfedfffff };
	struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges), .ioas_id = 1, .num_iovas = 1,
						 .allowed_iovas = (uintptr_t)&range };

	mapped.iova = 0x4000;
	assert_string_equal(
	    traced(FILE_IOMMUFD, IOMMU_IOAS_ALLOC, &alloc, 0, AFTER(allocated)),
	    "ioctl(5</dev/iommu>, IOMMU_IOAS_ALLOC, {size=12, flags=0x0} => {out_ioas_id=1}) = 0");
	assert_string_equal(
	    traced(FILE_IOMMUFD, IOMMU_IOAS_MAP, &map, 0, AFTER(mapped)),
	    "ioctl(5</dev/iommu>, IOMMU_IOAS_MAP, {size=40, flags=WRITEABLE|READABLE, ioas_id=1, "
	    "user_va=0x7f0000000000, length=0x1000, iova=0x0} => {iova=0x4000}) = 0");
	assert_string_equal(traced(FILE_IOMMUFD, IOMMU_IOAS_IOVA_RANGES, &ranges, 0, UNCHANGED),
			    "ioctl(5</dev/iommu>, IOMMU_IOAS_IOVA_RANGES, {size=32, ioas_id=1, num_iovas=1} => "
			    "{out_iova_alignment=0x0, allowed_iovas=[0x0-0xfedfffff]}) = 0");
}

static void mock_calls(void **state)
{
	struct {
		u32 size, op, id, reserved, word[14];
	} mock = { 72, 12, 1, 0, { 0, 0, 0, 1 } }, made = { 72, 12, 1, 0, { 2, 4, 3, 1 } }, rw = { 72, 8, 9 }, odd = { 72, 99, 1 },
	  replace = { 72, 10, 2, 0, { 1 } }, replaced = { 72, 10, 2, 0, { 5 } };
	const u32 cmd = _IO(';', 0xa0);

	assert_string_equal(traced(FILE_IOMMUFD, cmd, &mock, 0, AFTER(made)),
			    "ioctl(5</dev/iommu>, IOMMU_TEST_CMD, {size=72, op=MOCK_DOMAIN_FLAGS, pt_id=1, "
			    "dev_flags=NO_DIRTY} => {out_stdev_id=2, out_hwpt_id=4, out_idev_id=3}) = 0");
	assert_string_equal(traced(FILE_IOMMUFD, cmd, &replace, 0, AFTER(replaced)),
			    "ioctl(5</dev/iommu>, IOMMU_TEST_CMD, {size=72, op=MOCK_DOMAIN_REPLACE, stdev=2, pt_id=1} "
			    "=> {pt_id=5}) = 0");
	rw.word[0] = 0x1000000;
	rw.word[2] = 64;
	rw.word[4] = 0x7000;
	rw.word[6] = 5;
	assert_string_equal(traced(FILE_IOMMUFD, cmd, &rw, -ENOENT, UNCHANGED),
			    "ioctl(5</dev/iommu>, IOMMU_TEST_CMD, {size=72, op=ACCESS_RW, access_fd=9, "
			    "flags=WRITE|SLOW_PATH, iova=0x1000000, length=0x40, uptr=0x7000}) = -1 ENOENT (No such file "
			    "or directory)");
	assert_string_equal(traced(FILE_IOMMUFD, cmd, &odd, -EOPNOTSUPP, UNCHANGED),
			    "ioctl(5</dev/iommu>, IOMMU_TEST_CMD, {size=72, op=99, id=1}) = -1 EOPNOTSUPP (Operation not "
			    "supported)");
	odd.size = 8; /* not even the op can be told */
	assert_string_equal(traced(FILE_IOMMUFD, cmd, &odd, -EINVAL, UNCHANGED),
			    "ioctl(5</dev/iommu>, IOMMU_TEST_CMD, {size=8}) = -1 EINVAL (Invalid argument)");
}

static void kvm_devices(void **state)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO, .fd = 7, .flags = KVM_CREATE_DEVICE_TEST }, after;

	assert_string_equal(traced(FILE_KVM_VM, KVM_CREATE_DEVICE, &create, 0, UNCHANGED),
			    "ioctl(5<anon_inode:kvm-vm>, KVM_CREATE_DEVICE, {type=VFIO, flags=TEST}) = 0");
	create.flags = 0;
	after = create;
	after.fd = 9;
	assert_string_equal(traced(FILE_KVM_VM, KVM_CREATE_DEVICE, &create, 0, AFTER(after)),
			    "ioctl(5<anon_inode:kvm-vm>, KVM_CREATE_DEVICE, {type=VFIO, flags=0} => {fd=9}) = 0");
	assert_string_equal(traced(FILE_KVM_VM, KVM_CREATE_DEVICE, &create, -EBUSY, UNCHANGED),
			    "ioctl(5<anon_inode:kvm-vm>, KVM_CREATE_DEVICE, {type=VFIO, flags=0}) = -1 EBUSY (Device or resource "
			    "busy)");
}

static void kvm_attributes(void **state)
{
	int32_t fd = 9;
	struct kvm_device_attr attr = { 0, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, (uintptr_t)&fd };

	assert_string_equal(
	    traced(FILE_KVM_DEVICE, KVM_SET_DEVICE_ATTR, &attr, 0, UNCHANGED),
	    "ioctl(5<anon_inode:kvm-vfio>, KVM_SET_DEVICE_ATTR, {group=FILE, attr=ADD, fd=9}) = 0");
	attr.attr = 8;
	attr.addr = 0;
	assert_string_equal(
	    traced(FILE_KVM_DEVICE, KVM_HAS_DEVICE_ATTR, &attr, -ENXIO, UNCHANGED),
	    "ioctl(5<anon_inode:kvm-vfio>, KVM_HAS_DEVICE_ATTR, {group=1, attr=8, addr=0x0}) = -1 ENXIO "
	    "(No such device or address)");
}

static void reads_and_writes(void **state)
{
	struct file *file = file_of(FILE_VFIO_DEVICE);
	u64 pos = 7ull << 40;
	char buf[64] = "";
	char text[] = "vfio-pci\n";

	next.ret = 4;
	next.bytes = "\x86\x80\x0e\x10";
	assert_int_equal(do_read(8, file, buf, 4, &pos), 4);
	assert_string_equal(
	    printed(NULL),
	    "pread(8<anon_inode:[vfio-device]>, \"\\x86\\x80\\x0e\\x10\", 4, 0x70000000000) = 4");
	next.ret = -EIO;
	assert_int_equal(do_read(8, file, buf, 4, NULL), -EIO);
	assert_string_equal(printed(NULL),
			    "read(8<anon_inode:[vfio-device]>, \"\", 4) = -1 EIO (Input/output error)");
	next.ret = 9;
	assert_int_equal(do_write(8, file, text, 9, NULL), 9);
	assert_string_equal(printed(NULL), "write(8<anon_inode:[vfio-device]>, \"vfio-pci\\n\", 9) = 9");
	memset(buf, '"', sizeof(buf));
	next.ret = 64;
	assert_int_equal(do_write(8, file, buf, 64, &pos), 64);
	assert_non_null(strstr(printed(NULL), "\\\"\\\"\"..., 64, 0x70000000000) = 64"));
	next.ret = -EFAULT;
	assert_int_equal(do_write(8, file, NULL, 4, NULL), -EFAULT);
	assert_string_equal(printed(NULL),
			    "write(8<anon_inode:[vfio-device]>, 0x0, 4) = -1 EFAULT (Bad address)");
	fput(file);
}

static void other_calls(void **state)
{
	struct file *file = file_of(FILE_VFIO_DEVICE);
	struct vm_area *vma;

	next.ret = 0;
	assert_int_equal(do_mmap(8, file, 0, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &vma), 0);
	vma_put(vma);
	assert_string_equal(printed(NULL), "mmap(NULL, 0x1000, PROT_READ|PROT_WRITE, MAP_SHARED, "
			    "8<anon_inode:[vfio-device]>, 0x0) = 0");
	assert_int_equal(do_mmap(8, file, 0x10000, 0x1000, PROT_NONE, MAP_PRIVATE | MAP_FIXED, 1, &vma),
			 -EINVAL);
	assert_string_equal(printed(NULL), "mmap(0x10000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED, "
			    "8<anon_inode:[vfio-device]>, 0x1) = -1 EINVAL (Invalid argument)");
	assert_int_equal(do_lseek(8, file, 16, SEEK_END), -ESPIPE);
	assert_string_equal(printed(NULL),
			    "lseek(8<anon_inode:[vfio-device]>, 16, SEEK_END) = -1 ESPIPE (Illegal seek)");
	assert_int_equal(do_lseek(8, file, -1, 77), -EINVAL);
	assert_string_equal(printed(NULL),
			    "lseek(8<anon_inode:[vfio-device]>, -1, 77) = -1 EINVAL (Invalid argument)");
	do_close(8, file);
	assert_string_equal(printed(NULL), "close(8<anon_inode:[vfio-device]>) = 0");
}

static void an_open_waits_for_its_number(void **state)
{
	struct trace_line line = { 0 };
	struct file *file = file_of(FILE_VFIO_CONTAINER);
	struct file *other = file_of(FILE_VFIO_CONTAINER);

	line_add(&line, "open(\"/dev/vfio/vfio\", ");
	trace_open_flags(&line, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	trace_opened(&line, file);
	assert_int_equal(fd_install(300, other), 0);
	assert_int_equal(fd_install(301, fget_file(file)), 0);
	assert_string_equal(printed(NULL), "open(\"/dev/vfio/vfio\", O_RDWR|O_NONBLOCK|O_CLOEXEC) = 301");
	/* dup() installs it again, and is no open. */
	assert_int_equal(fd_install(302, file), 0);
	fd_uninstall_range(300, 302);
	trace_begin(&line, "close", 1, &(struct file){ .path = "end" });
	trace_end(&line, 0);
	assert_string_equal(printed(NULL), "close(1<end>) = 0");
}

static void long_lines_are_cut(void **state)
{
	struct trace_line line;

	trace_begin(&line, "close", 1, &(struct file){ .path = "x" });
	for (int i = 0; i < 10000; i++)
		line_add(&line, ", %d", i);
	trace_end(&line, -EINVAL);
	assert_non_null(strstr(printed(NULL), "...) = -1 EINVAL (Invalid argument)"));
}

/* All numbers of iommufd.h, from the first to the last. */
static void each_iommufd_call(void **state)
{
	char buf[32];

	for (unsigned nr = IOMMUFD_CMD_BASE; nr <= IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA; nr++) {
		const struct trace_call *call = trace_call_find(FILE_IOMMUFD, _IO(IOMMUFD_TYPE, nr));

		assert_non_null(call);
		assert_string_equal(trace_ioctl_name(FILE_IOMMUFD, call->cmd, buf, sizeof(buf)), call->name);
		assert_memory_equal(call->name, "IOMMU_", 6);
		assert_int_equal(call->arg, TRACE_STRUCT);
		assert_string_equal(call->fields[0].name, "size");
		for (const struct trace_field *f = call->fields; f->name; f++)
			assert_true(f->off + f->size <= call->size);
	}
	assert_null(trace_call_find(FILE_IOMMUFD, _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA + 1)));
}

static void iommufd_data(void **state)
{
	struct iommu_hwpt_vtd_s1 s1 = { .flags = IOMMU_VTD_S1_SRE | 8, .pgtbl_addr = 0x1000, .addr_width = 48 };
	struct iommu_hwpt_vtd_s1_invalidate inv[2] = { { 0x2000, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0 }, { 0, ~0ull, 0, 0 } };
	struct iommu_hwpt_alloc alloc = { .size = sizeof(alloc), .dev_id = 1, .pt_id = 2, .data_type = IOMMU_HWPT_DATA_VTD_S1,
					  .data_len = sizeof(s1), .data_uptr = (uintptr_t)&s1 };
	struct iommu_hwpt_invalidate call = { .size = sizeof(call), .hwpt_id = 3, .entry_len = sizeof(inv[0]), .entry_num = 2,
					      .data_uptr = (uintptr_t)inv };

	assert_non_null(strstr(traced(FILE_IOMMUFD, IOMMU_HWPT_ALLOC, &alloc, -EINVAL, UNCHANGED),
			       "data_type=VTD_S1, data_len=24, data_uptr="));
	assert_non_null(strstr(traced(FILE_IOMMUFD, IOMMU_HWPT_ALLOC, &alloc, -EINVAL, UNCHANGED),
			       "data={flags=SRE|0x8, pgtbl_addr=0x1000, addr_width=48}}) = -1 EINVAL"));
	alloc.data_uptr = 8;
	assert_non_null(strstr(traced(FILE_IOMMUFD, IOMMU_HWPT_ALLOC, &alloc, -EFAULT, UNCHANGED),
			       "data_uptr=0x8, fault_id=0}) = -1 EFAULT"));
	alloc.data_type = 0xdeadbeef;
	assert_non_null(strstr(traced(FILE_IOMMUFD, IOMMU_HWPT_ALLOC, &alloc, 0, UNCHANGED), "data_type=0xdeadbeef"));
	assert_non_null(strstr(traced(FILE_IOMMUFD, IOMMU_HWPT_INVALIDATE, &call, 0, UNCHANGED),
			       "data=[{addr=0x2000, npages=1, flags=LEAF}, {addr=0x0, npages=18446744073709551615, flags=0}]"));
	call.data_uptr = 8;
	call.entry_num = ~0u;
	assert_non_null(strstr(traced(FILE_IOMMUFD, IOMMU_HWPT_INVALIDATE, &call, -EFAULT, UNCHANGED), "data=[, ...]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(containers),
		GUARDED_TEST(dirty_tracking),
		GUARDED_TEST(iommu_info_with_capabilities),
		GUARDED_TEST(chains_that_run_in_circles_end),
		GUARDED_TEST(groups),
		GUARDED_TEST(devices),
		GUARDED_TEST(numbered_devices),
		GUARDED_TEST(regions),
		GUARDED_TEST(set_irqs),
		GUARDED_TEST(hot_reset),
		GUARDED_TEST(feature_calls),
		GUARDED_TEST(other_device_calls),
		GUARDED_TEST(codes_are_told_apart_by_file),
		GUARDED_TEST(iommufd_calls),
		GUARDED_TEST(each_iommufd_call),
		GUARDED_TEST(iommufd_data),
		GUARDED_TEST(mock_calls),
		GUARDED_TEST(kvm_devices),
		GUARDED_TEST(kvm_attributes),
		GUARDED_TEST(reads_and_writes),
		GUARDED_TEST(other_calls),
		GUARDED_TEST(an_open_waits_for_its_number),
		GUARDED_TEST(long_lines_are_cut),
	};

	if (pipe(trace_pipe))
		return 1;
	trace_open(trace_pipe[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
