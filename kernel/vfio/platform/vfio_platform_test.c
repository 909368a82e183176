/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_platform_test.c - a platform device from bind to reset, all shapes of its calls.
 *
 * What is expected is what Linux 7.3 answered where it could be asked (tests/conformance/platform.c); the
 * rest, interrupts that a device raises and read-only regions, follows from <linux/vfio.h>.
 */
#include "kernel/vfio/platform/vfio_platform_test.h"

#include "kernel/fs/attr_test.h"

#define EFD VFIO_IRQ_SET_DATA_EVENTFD
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK

static int setup(void **state)
{
	static struct t_dev t;

	t = t_dev_open(TOY);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	return t_close_all(state);
}

/* ---- who gets the device --------------------------------------------------------------------- */

#define P "sys/bus/platform/"

static void test_binding(void **state)
{
	char name[64] = "";

	assert_true(kernfs_exists("dev/vfio/3"));
	assert_true(kernfs_exists("dev/vfio/5"));
	assert_false(kernfs_exists("dev/vfio/4"));
	assert_true(kernfs_exists("sys/devices/platform/toy.0/vfio-dev"));
	assert_true(kernfs_readlink_name(P "drivers/vfio-platform/module", name, sizeof(name)) > 0);
	assert_string_equal(name, "vfio_platform");
	must_contain("sys/module/vfio_platform/parameters/reset_required", "Y\n");
	must_contain("sys/devices/platform/toy.0/power/runtime_status", "suspended\n");
	must_contain("sys/devices/platform/noreset.0/power/runtime_status", "unsupported\n");
	assert_int_equal(PTR_ERR(kernfs_open_attr("sys/module/vfio_platform/parameters/reset_required", O_WRONLY)),
			 -EACCES);
	/* Without a reset it is refused, ... */
	assert_int_equal(echo("noreset.0", P "drivers/vfio-platform/bind"), -ENODEV); /* override first */
	assert_int_equal(echo("vfio-platform", P "devices/noreset.0/driver_override"), 13);
	assert_int_equal(echo("noreset.0", P "drivers/vfio-platform/bind"), -ENOENT);
	assert_non_null(strstr(explain_take(), "no reset that the host knows of"));
	/* ... unless the module was told to do without. */
	kernfs_lock();
	assert_int_equal(kernfs_write("sys/module/vfio_platform/parameters/reset_required", "N\n", 2), 0);
	kernfs_unlock();
	assert_int_equal(echo("noreset.0", P "drivers/vfio-platform/bind"), 9);
	assert_true(kernfs_exists("dev/vfio/4"));
}

static void test_names(void **state)
{
	struct t_ctx x = t_setup("vfio/3", VFIO_TYPE1v2_IOMMU);
	int d;

	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "toy"), ENODEV);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "toy.0 "), ENODEV);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "noreset.0"), ENODEV);
	d = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "toy.0"));
	t_close(d);
	t_teardown(x);
}

/* ---- info ------------------------------------------------------------------------------------ */

static void check_info(unsigned i, u32 flags)
{
	struct t_dev t = t_dev_open(i);
	struct vfio_device_info info = { .argsz = sizeof(info), .cap_offset = 0x5555 };

	t_works(t_ioctl(t.d, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.flags, flags);
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.num_regions, 4);
	assert_int_equal(info.num_irqs, 2);
	assert_int_equal(info.cap_offset, 0x5555); /* not written */
	t_dev_close(t);
}

static void test_info(void **state)
{
	check_info(TOY, VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET);
	check_info(NORESET, VFIO_DEVICE_FLAGS_PLATFORM);
	check_info(AMBA, VFIO_DEVICE_FLAGS_AMBA);
}

static void test_region_info(void **state)
{
	static const struct { u64 size; u32 flags; } want[4] = {
		{ 0x2000, 7 }, /* READ, WRITE, MMAP */
		{ 0x1000, 5 }, /* read-only */
		{ 0x100, 3 },  /* less than a page */
		{ 0x1000, 3 }, /* does not begin with a page */
	};
	struct t_dev *t = *state;
	struct vfio_region_info info;

	guard_install();
	for (unsigned i = 0; i < 4; i++) {
		info = (struct vfio_region_info){ .argsz = sizeof(info), .index = i };
		t_works(t_ioctl(t->d, VFIO_DEVICE_GET_REGION_INFO, &info));
		assert_int_equal(info.size, want[i].size);
		assert_int_equal(info.flags, want[i].flags);
		assert_int_equal(info.offset, REGION(i));
		assert_int_equal(info.argsz, sizeof(info));
	}
	info.index = 4;
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	info = (struct vfio_region_info){ .argsz = sizeof(info) - 1 };
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_REGION_INFO, T_BAD), EFAULT);
}

static void test_region_info_without_traps(void **state)
{
	struct t_dev *t = *state;
	struct vfio_region_info info = { .argsz = sizeof(info) };

	vma_no_trap = true;
	t_works(t_ioctl(t->d, VFIO_DEVICE_GET_REGION_INFO, &info));
	vma_no_trap = false;
	assert_int_equal(info.flags, 3);
}

static void test_irq_info(void **state)
{
	struct t_dev *t = *state;
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = 0 };

	guard_install();
	t_works(t_ioctl(t->d, VFIO_DEVICE_GET_IRQ_INFO, &info));
	assert_int_equal(info.flags, VFIO_IRQ_INFO_EVENTFD);
	assert_int_equal(info.count, 1);
	info.index = 1;
	t_works(t_ioctl(t->d, VFIO_DEVICE_GET_IRQ_INFO, &info));
	assert_int_equal(info.flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED);
	info.index = 2;
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_IRQ_INFO, &info), EINVAL);
	info = (struct vfio_irq_info){ .argsz = sizeof(info) - 1 };
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_IRQ_INFO, &info), EINVAL);
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_IRQ_INFO, T_BAD), EFAULT);
}

static void test_other_requests(void **state)
{
	struct t_dev *t = *state;
	struct vfio_device_info info = { .argsz = 15 };
	struct vfio_device_feature feature = { .argsz = sizeof(feature), .flags = VFIO_DEVICE_FEATURE_GET };

	guard_install();
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_INFO, T_BAD), EFAULT);
	t_fails(t_ioctl(t->d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), ENOTTY);
	t_fails(t_ioctl(t->d, VFIO_DEVICE_PCI_HOT_RESET, &info), ENOTTY);
	t_fails(t_ioctl(t->d, VFIO_DEVICE_IOEVENTFD, &info), ENOTTY);
	feature.flags |= VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
	t_fails(t_ioctl(t->d, VFIO_DEVICE_FEATURE, &feature), ENOTTY);
	feature.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	t_fails(t_ioctl(t->d, VFIO_DEVICE_FEATURE, &feature), ENOTTY);
	feature.argsz = 4;
	t_fails(t_ioctl(t->d, VFIO_DEVICE_FEATURE, &feature), EINVAL);
}

/* ---- reset ----------------------------------------------------------------------------------- */

static void test_reset(void **state)
{
	unsigned before = t_hw[TOY].resets;
	struct t_dev t = t_dev_open(TOY);

	assert_int_equal(t_hw[TOY].resets, before + 1); /* at open */
	t_works(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(t_hw[TOY].resets, before + 2);
	t_dev_close(t);
	assert_int_equal(t_hw[TOY].resets, before + 3); /* at close */
	t = t_dev_open(AMBA);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL), EINVAL);
	t_dev_close(t);
	assert_int_equal(t_hw[AMBA].resets, 0);
}

/* ---- reading and writing --------------------------------------------------------------------- */

static void test_pieces(void **state)
{
	static const struct { unsigned off, len; } want[] = { { 1, 1 }, { 2, 2 }, { 4, 4 }, { 8, 4 }, { 12, 2 }, { 14, 1 } };
	struct t_dev *t = *state;
	u8 buf[14], back[14];

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (u8)(i + 1);
	assert_int_equal(t_pwrite(t->d, buf, 14, REGION(0) + 1), 14);
	assert_int_equal(t->hw->nr, ARRAY_SIZE(want));
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(t->hw->seen[i].off, want[i].off);
		assert_int_equal(t->hw->seen[i].len, want[i].len);
		assert_true(t->hw->seen[i].write);
	}
	assert_int_equal(t_pread(t->d, back, 14, REGION(0) + 1), 14);
	assert_memory_equal(buf, back, 14);
}

static void test_rw_ends(void **state)
{
	struct t_dev *t = *state;
	u8 buf[512] = { 0 };

	guard_install();
	assert_int_equal(t_pread(t->d, buf, 512, REGION(2) + 0xf0), 0x10); /* cut short */
	assert_non_null(explain_take_notes());
	assert_int_equal(t_pwrite(t->d, buf, 8, REGION(2) + 0xfc), 4);
	assert_int_equal(t_pread(t->d, buf, 4, REGION(3) + 0xffc), 4); /* need not be mappable */
	assert_int_equal(t_pread(t->d, buf, 0, REGION(0)), 0);
	t_fails(t_pread(t->d, buf, 4, REGION(2) + 0x100), EINVAL);
	t_fails(t_pread(t->d, buf, 0, REGION(2) + 0x100), EINVAL);
	t_fails(t_pread(t->d, buf, 4, REGION(4)), EINVAL);
	t_fails(t_pread(t->d, buf, 4, ~0ull >> 1), EINVAL);
	assert_int_equal(t_pread(t->d, buf, 4, REGION(1)), 4);
	t_fails(t_pwrite(t->d, buf, 4, REGION(1)), EINVAL); /* read-only */
	t_fails(t_pread(t->d, T_BAD, 4, REGION(0)), EFAULT);
	t_fails(t_pwrite(t->d, T_BAD, 4, REGION(0)), EFAULT);
}

/* ---- mappings -------------------------------------------------------------------------------- */

static u8 *window;

/* Return: the area, not in the list; NULL and *ret. */
static struct vm_area *map(struct t_dev *t, u64 len, int prot, int flags, u64 off, int *ret)
{
	struct file *file = fget(t->d);
	struct vm_area *vma = vma_alloc(file, (uintptr_t)window, len, off, prot);

	assert_non_null(vma);
	explain_begin();
	*ret = file->f_op->mmap(file, vma, flags);
	fput(file);
	if (!*ret)
		return vma;
	vma_put(vma);
	return NULL;
}

static void map_fails(struct t_dev *t, u64 len, int prot, int flags, u64 off, int err)
{
	int ret;

	assert_null(map(t, len, prot, flags, off, &ret));
	t_fails(ret, err);
}

static void test_mmap_refused(void **state)
{
	struct t_dev *t = *state;
	const int rw = PROT_READ | PROT_WRITE;

	map_fails(t, 0x1000, rw, MAP_PRIVATE, REGION(0), EINVAL);
	map_fails(t, 0x1000, rw | PROT_EXEC, MAP_SHARED, REGION(0), EPERM);
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(0) + 0x800, EINVAL);
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(0) + 0x2000, EINVAL);
	map_fails(t, 0x3000, rw, MAP_SHARED, REGION(0), EINVAL);
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(1), EINVAL); /* read-only */
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(2), EINVAL); /* less than a page */
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(3), EINVAL); /* begins inside a page */
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(4), EINVAL);
	vma_no_trap = true;
	map_fails(t, 0x1000, rw, MAP_SHARED, REGION(0), EINVAL);
	vma_no_trap = false;
}

static void test_mmap(void **state)
{
	struct t_dev *t = *state;
	u64 off, len, val = 0x1122334455667788;
	phys_addr_t phys;
	int ret, fd, prot;
	struct vm_area *vma = map(t, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, REGION(0), &ret);

	assert_non_null(vma);
	assert_int_equal(vma_access(vma, (uintptr_t)window + 0x10, &val, 8, true), 0);
	assert_int_equal(t->hw->nr, 1);
	assert_int_equal(t->hw->seen[0].len, 8); /* a load or store is one access, unlike pread */
	val = 0;
	assert_int_equal(vma_access(vma, (uintptr_t)window + 0x12, &val, 2, false), 0);
	assert_int_equal(val, 0x5566);
	vma->ops->direct(vma, REGION(0), &fd, &off, &prot, &len);
	assert_int_equal(prot, 0);
	vma->ops->direct(vma, REGION(0) + 0x1000, &fd, &off, &prot, &len);
	assert_int_equal(prot, PROT_READ | PROT_WRITE);
	assert_int_equal(fd, 77);
	assert_int_equal(off, 0x1000);
	assert_int_equal(vma->ops->phys(vma, REGION(0) + 0x1234, &phys), 0);
	assert_int_equal(phys, ((phys_addr_t)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) | 0x2c001234);
	vma_put(vma);
	vma = map(t, 0x1000, PROT_READ, MAP_SHARED, REGION(1), &ret);
	assert_non_null(vma);
	vma_put(vma);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static void test_edge(void **state)
{
	struct t_dev *t = *state;
	int e = t_eventfd(), minus = -1;

	platform_irq_receive(&t->hw->pdev, 0); /* latched, and once only */
	platform_irq_receive(&t->hw->pdev, 0);
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &e, 4));
	assert_int_equal(t_count(e), 1);
	platform_irq_receive(&t->hw->pdev, 0);
	platform_irq_receive(&t->hw->pdev, 0);
	assert_int_equal(t_count(e), 2);
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &minus, 4));
	platform_irq_receive(&t->hw->pdev, 0);
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &e, 4));
	assert_int_equal(t_count(e), 1);
	t_works(t_set_irqs(t->d, NONE | TRIGGER, 0, 0, 0, NULL, 0));
	t_works(t_set_irqs(t->d, NONE | TRIGGER, 0, 1, 0, NULL, 0)); /* start is not looked at */
	t_fails(t_set_irqs(t->d, NONE | MASK, 0, 0, 1, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, NONE | UNMASK, 0, 0, 1, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | UNMASK, 0, 0, 1, &e, 4), EINVAL);
	close(e);
}

static void test_level(void **state)
{
	struct t_dev *t = *state;
	int e = t_eventfd();

	hw_level(t->hw, true); /* nobody listens: it is not masked by that */
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 1, 0, 1, &e, 4));
	assert_int_equal(t_count(e), 1);
	hw_level(t->hw, true);
	assert_int_equal(t_count(e), 0); /* masked by itself */
	t_works(t_set_irqs(t->d, NONE | UNMASK, 1, 0, 1, NULL, 0));
	assert_int_equal(t_count(e), 1); /* still high */
	hw_level(t->hw, false);
	t_works(t_set_irqs(t->d, NONE | UNMASK, 1, 0, 1, NULL, 0));
	assert_int_equal(t_count(e), 0);
	hw_level(t->hw, true);
	assert_int_equal(t_count(e), 1);
	hw_level(t->hw, false);
	t_works(t_set_irqs(t->d, NONE | UNMASK, 1, 0, 1, NULL, 0));
	close(e);
}

static void test_mask(void **state)
{
	struct t_dev *t = *state;
	int e = t_eventfd();
	u8 yes = 1, no = 0;

	t_works(t_set_irqs(t->d, EFD | TRIGGER, 1, 0, 1, &e, 4));
	t_works(t_set_irqs(t->d, BOOL | MASK, 1, 0, 1, &no, 1));
	hw_level(t->hw, true);
	assert_int_equal(t_count(e), 1);
	hw_level(t->hw, false);
	t_works(t_set_irqs(t->d, BOOL | UNMASK, 1, 0, 1, &yes, 1));
	t_works(t_set_irqs(t->d, BOOL | MASK, 1, 0, 1, &yes, 1));
	hw_level(t->hw, true);
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t->d, BOOL | UNMASK, 1, 0, 1, &no, 1));
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 1, 0, 1, &e, 4)); /* the mask outlives that */
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t->d, BOOL | UNMASK, 1, 0, 1, &yes, 1));
	assert_int_equal(t_count(e), 1);
	hw_level(t->hw, false);
	close(e);
}

static bool signals(int fd, int efd, u64 count)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };
	u64 one = 1;

	assert_int_equal(write(fd, &one, 8), 8);
	poll(&p, 1, count ? 5000 : 50);
	return t_count(efd) == count;
}

static void test_mask_by_eventfd(void **state)
{
	struct t_dev *t = *state;
	int e = t_eventfd(), mask = t_eventfd(), unmask = t_eventfd(), minus = -1;

	t_works(t_set_irqs(t->d, EFD | TRIGGER, 1, 0, 1, &e, 4));
	t_works(t_set_irqs(t->d, EFD | MASK, 1, 0, 1, &mask, 4));
	t_works(t_set_irqs(t->d, EFD | UNMASK, 1, 0, 1, &unmask, 4));
	t_fails(t_set_irqs(t->d, EFD | MASK, 1, 0, 1, &mask, 4), EBUSY);
	t_fails(t_set_irqs(t->d, EFD | UNMASK, 1, 0, 1, &unmask, 4), EBUSY);
	hw_level(t->hw, true);
	assert_int_equal(t_count(e), 1);
	assert_true(signals(unmask, e, 1));
	hw_level(t->hw, false);
	assert_true(signals(unmask, e, 0));
	assert_true(signals(mask, e, 0));
	hw_level(t->hw, true);
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t->d, EFD | UNMASK, 1, 0, 1, &minus, 4));
	assert_true(signals(unmask, e, 0)); /* is only an eventfd now */
	t_works(t_set_irqs(t->d, EFD | UNMASK, 1, 0, 1, &unmask, 4));
	poll(&(struct pollfd){ .fd = e, .events = POLLIN }, 1, 5000); /* what it counted meanwhile */
	assert_int_equal(t_count(e), 1);
	hw_level(t->hw, false);
	t_fails(t_set_irqs(t->d, EFD | MASK, 0, 0, 1, &mask, 4), EINVAL);
	close(e);
	close(mask);
	close(unmask);
}

static void test_loopback(void **state)
{
	struct t_dev *t = *state;
	int e0 = t_eventfd(), e1 = t_eventfd();
	u8 yes = 1, no = 0;

	t_suspicious(t_set_irqs(t->d, NONE | TRIGGER, 0, 0, 1, NULL, 0)); /* nobody is told */
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &e0, 4));
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 1, 0, 1, &e1, 4));
	assert_int_equal(t_count(e0), 0);
	t_works(t_set_irqs(t->d, NONE | TRIGGER, 0, 0, 1, NULL, 0));
	t_works(t_set_irqs(t->d, BOOL | TRIGGER, 0, 0, 1, &yes, 1));
	t_works(t_set_irqs(t->d, BOOL | TRIGGER, 0, 0, 1, &no, 1));
	assert_int_equal(t_count(e0), 2);
	t_works(t_set_irqs(t->d, NONE | TRIGGER, 1, 0, 1, NULL, 0));
	t_works(t_set_irqs(t->d, NONE | TRIGGER, 1, 0, 1, NULL, 0)); /* masked by the first */
	assert_int_equal(t_count(e1), 1);
	t_works(t_set_irqs(t->d, NONE | UNMASK, 1, 0, 1, NULL, 0));
	assert_int_equal(t_count(e1), 0); /* the wire is low */
	t_works(t_set_irqs(t->d, BOOL | TRIGGER, 1, 0, 1, &yes, 1));
	assert_int_equal(t_count(e1), 1);
	close(e0);
	close(e1);
}

static void test_set_irqs_refused(void **state)
{
	struct t_dev *t = *state;
	int e = t_eventfd(), bad = 63, file = open("/dev/null", O_RDWR | O_CLOEXEC), two[2] = { e, e };

	guard_install();
	t_fails(t_ioctl(t->d, VFIO_DEVICE_SET_IRQS, T_BAD), EFAULT);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 2, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 1, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 2, two, 8), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 3, two, 8), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 0, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, BOOL | TRIGGER, 0, 0, 0, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | BOOL | TRIGGER, 0, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER | 64, 0, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t->d, EFD, 0, 0, 1, &e, 4), ENOTTY);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER | MASK, 0, 0, 1, &e, 4), ENOTTY);
	t_fails(t_set_irqs(t->d, NONE | UNMASK, 1, 0, 0, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, NONE | MASK, 1, 0, 2, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &bad, 4), EBADF);
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &file, 4), EINVAL);
	t_fails(t_set_irqs(t->d, EFD | MASK, 1, 0, 1, &file, 4), EINVAL);
	/* A descriptor that is none takes the old one away. */
	t_works(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &e, 4));
	t_fails(t_set_irqs(t->d, EFD | TRIGGER, 0, 0, 1, &bad, 4), EBADF);
	platform_irq_receive(&t->hw->pdev, 0);
	assert_int_equal(t_count(e), 0);
	close(e);
	close(file);
}

static void test_closing_ends_interrupts(void **state)
{
	struct t_dev t = t_dev_open(TOY);
	int e = t_eventfd(), unmask = t_eventfd();

	t_works(t_set_irqs(t.d, EFD | TRIGGER, 0, 0, 1, &e, 4));
	t_works(t_set_irqs(t.d, EFD | UNMASK, 1, 0, 1, &unmask, 4));
	t_works(t_set_irqs(t.d, NONE | MASK, 1, 0, 1, NULL, 0));
	t_dev_close(t);
	platform_irq_receive(&t_hw[TOY].pdev, 0);
	assert_int_equal(t_count(e), 0);
	t = t_dev_open(TOY);
	t_works(t_set_irqs(t.d, EFD | TRIGGER, 1, 0, 1, &e, 4));
	hw_level(t.hw, true);
	assert_int_equal(t_count(e), 1); /* the mask went with the last user */
	t_works(t_set_irqs(t.d, EFD | UNMASK, 1, 0, 1, &unmask, 4));
	hw_level(t.hw, false);
	t_dev_close(t);
	close(e);
	close(unmask);
}

/* ---- unbinding while open -------------------------------------------------------------------- */

static void *unbind(void *arg)
{
	*(ssize_t *)arg = echo("toy.0", P "drivers/vfio-platform/unbind");
	return NULL;
}

static void test_unbind_waits(void **state)
{
	struct t_dev t = t_dev_open(TOY);
	ssize_t ret = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, unbind, &ret), 0);
	usleep(100000);
	assert_int_equal(__atomic_load_n(&ret, __ATOMIC_SEQ_CST), 0);
	t_dev_close(t);
	pthread_join(thread, NULL);
	assert_int_equal(ret, 5);
	assert_false(kernfs_exists("dev/vfio/3"));
	assert_int_equal(echo("toy.0", P "drivers/vfio-platform/bind"), 5);
	assert_true(kernfs_exists("dev/vfio/3"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		BARE(test_binding), BARE(test_names), BARE(test_info), T(test_region_info),
		T(test_region_info_without_traps), T(test_irq_info), T(test_other_requests), BARE(test_reset),
		T(test_pieces), T(test_rw_ends), T(test_mmap_refused), T(test_mmap), T(test_edge), T(test_level),
		T(test_mask), T(test_mask_by_eventfd), T(test_loopback), T(test_set_irqs_refused),
		BARE(test_closing_ends_interrupts), BARE(test_unbind_waits),
	};

	window = mmap(NULL, 0x4000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, t_platform_machine, t_platform_machine_end);
}
