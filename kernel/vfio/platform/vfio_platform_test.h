/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_platform_test.h - what the tests of vfio-platform share: a machine with made-up platform devices.
 *
 * Real are the tree, the driver core, IOMMU groups, both buses and VFIO.  Made up is the silicon:
 * regions are memory, every access is noted, wires are set by the test.
 *
 *	toy.0		an edge and a level interrupt, four regions, reset	group 3
 *	noreset.0	the same without a reset				group 4
 *	2c020000.dma	on the AMBA bus, no reset				group 5
 */
#ifndef KERNEL_VFIO_PLATFORM_VFIO_PLATFORM_TEST_H
#define KERNEL_VFIO_PLATFORM_VFIO_PLATFORM_TEST_H

#include "kernel/vfio/vfio_test.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "kernel/mm/vma.h"
#include "kernel/vfio/platform/vfio_platform_private.h"

#define REGION(i) ((u64)(i) << 40)

/* ---- silicon --------------------------------------------------------------------------------- */

struct fake_hw {
	struct platform_device pdev;
	u8 mem[4][0x2000];
	atomic_bool level;
	bool direct; /* page 1 of region 0 */
	unsigned resets, nr;
	struct { bool write; unsigned region, len; u64 off; } seen[64];
};

enum { TOY, NORESET, AMBA, T_HW };
static struct fake_hw t_hw[T_HW];
static const char *const t_names[T_HW] = { "toy.0", "noreset.0", "2c020000.dma" };

static void note(struct fake_hw *hw, unsigned region, u64 off, unsigned len, bool write)
{
	assert_true(region < hw->pdev.num_resources && off + len <= hw->pdev.resource[region].size_bytes);
	assert_true(IS_ALIGNED(off, (u64)len));
	assert_true(hw->nr < ARRAY_SIZE(hw->seen));
	hw->seen[hw->nr].region = region;
	hw->seen[hw->nr].off = off;
	hw->seen[hw->nr].len = len;
	hw->seen[hw->nr++].write = write;
}

static u64 fake_read(void *p, unsigned region, u64 off, unsigned len)
{
	struct fake_hw *hw = p;
	u64 val = 0;

	note(hw, region, off, len, false);
	memcpy(&val, hw->mem[region] + off, len);
	return val;
}

static void fake_write(void *p, unsigned region, u64 off, unsigned len, u64 val)
{
	struct fake_hw *hw = p;

	note(hw, region, off, len, true);
	memcpy(hw->mem[region] + off, &val, len);
}

static enum platform_page_kind fake_page(void *p, unsigned region, u64 off, int *ret_fd, u64 *ret_fd_off, u64 *ret_len)
{
	struct fake_hw *hw = p;
	const bool direct = hw->direct && !region && off >= 0x1000;

	*ret_fd = 77;
	*ret_fd_off = off;
	*ret_len = 0x1000;
	return direct ? PLATFORM_PAGE_DIRECT : PLATFORM_PAGE_TRAPPED;
}

static bool fake_level(void *p, unsigned irq)
{
	return irq == 1 && ((struct fake_hw *)p)->level;
}

static void fake_reset(void *p)
{
	struct fake_hw *hw = p;

	hw->resets++;
	hw->level = false;
}

static const struct platform_hw_ops fake_ops = {
	.read = fake_read, .write = fake_write, .page = fake_page, .irq_level = fake_level, .reset = fake_reset,
};

static T_UNUSED void hw_level(struct fake_hw *hw, bool level)
{
	hw->level = level;
	if (level)
		platform_irq_receive(&hw->pdev, 1);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static struct iommu_device *t_unit;

static int t_iommu_probe(struct platform_device *pdev)
{
	struct fake_hw *hw = pdev->hw;

	return iommu_probe_device(t_unit, &pdev->dev, (u16)(0x300 + (hw - t_hw)), 3 + (unsigned)(hw - t_hw));
}

static T_UNUSED void t_make_hw(unsigned i, const char *driver)
{
	struct fake_hw *hw = &t_hw[i];
	struct platform_device *pdev = &hw->pdev;
	const u64 base = 0x2c000000 + 0x10000 * i;

	memset(hw, 0, sizeof(*hw));
	pdev->dev.name = t_names[i];
	pdev->dev.driver_override = driver ? strdup(driver) : NULL;
	pdev->amba_id = i == AMBA ? 0x00041330 : 0;
	pdev->has_reset = i == TOY;
	pdev->hw_ops = &fake_ops;
	pdev->hw = hw;
	pdev->num_resources = 4;
	pdev->resource[0] = (struct platform_resource){ .start = base, .size_bytes = 0x2000 };
	pdev->resource[1] = (struct platform_resource){ .start = base + 0x2000, .size_bytes = 0x1000, .readonly = true };
	pdev->resource[2] = (struct platform_resource){ .start = base + 0x3000, .size_bytes = 0x100 };
	pdev->resource[3] = (struct platform_resource){ .start = base + 0x3100, .size_bytes = 0x1000 };
	pdev->num_irqs = 2;
	pdev->irq[1].level = true;
	hw->direct = true;
}

static T_UNUSED int t_platform_machine(void **state)
{
	(void)state;
	explain_enable();
	explain_set_sink(t_quiet);
	fd_host_register(&t_fd_host);
	strcpy(t_dir, "/tmp/vfio-platform-test.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	assert_int_equal(kernfs_open(t_dir, true), 0);
	kernfs_lock();
	t_unit = amd_iommu_init("ivhd0", &t_hw_ops, NULL, 4096, IOMMU_BASIC);
	assert_false(IS_ERR(t_unit));
	platform_iommu_probe = t_iommu_probe;
	assert_int_equal(platform_bus_init(), 0);
	assert_int_equal(vfio_init(), 0);
	assert_int_equal(vfio_iommu_type1_init(), 0);
	assert_int_equal(vfio_platform_init(), 0);
	assert_int_equal(vfio_amba_init(), 0);
	t_make_hw(TOY, "vfio-platform");
	t_make_hw(NORESET, NULL);
	t_make_hw(AMBA, "vfio-amba");
	for (unsigned i = 0; i < T_HW; i++)
		assert_int_equal(platform_device_add(&t_hw[i].pdev, false), 0);
	kernfs_created();
	kernfs_unlock();
	return 0;
}

static T_UNUSED int t_platform_machine_end(void **state)
{
	t_close_all(state);
	kernfs_lock();
	for (unsigned i = T_HW; i-- > 0;)
		platform_device_del(&t_hw[i].pdev);
	vfio_amba_exit();
	vfio_platform_exit();
	vfio_iommu_type1_exit();
	vfio_exit();
	platform_bus_exit();
	amd_iommu_exit(t_unit);
	kernfs_unlock();
	t_remove_tree();
	return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct t_dev {
	struct t_ctx x;
	int d;
	struct fake_hw *hw;
};

static T_UNUSED struct t_dev t_dev_open(unsigned i)
{
	struct t_dev t = { .hw = &t_hw[i] };
	char node[32];

	snprintf(node, sizeof(node), "vfio/%u", 3 + i);
	t.x = t_setup(node, VFIO_TYPE1v2_IOMMU);
	t.d = (int)t_works(t_ioctl(t.x.g, VFIO_GROUP_GET_DEVICE_FD, t_names[i]));
	t.hw->nr = 0;
	return t;
}

static T_UNUSED void t_dev_close(struct t_dev t)
{
	t_close(t.d);
	t_teardown(t.x);
}

static T_UNUSED ssize_t t_rw(int fd, void *buf, size_t len, u64 pos, bool write)
{
	struct file *file = fget(fd);
	const u64 was = pos;
	ssize_t ret;

	explain_begin();
	ret = write ? file->f_op->write(file, buf, len, &pos) : file->f_op->read(file, buf, len, &pos);
	assert_int_equal(pos, was); /* vfio-platform leaves the position alone */
	fput(file);
	return ret;
}
#define t_pread(fd, buf, len, pos) t_rw(fd, buf, len, pos, false)
#define t_pwrite(fd, buf, len, pos) t_rw(fd, (void *)(uintptr_t)(buf), len, pos, true)

static T_UNUSED long t_set_irqs(int fd, u32 flags, u32 index, u32 start, u32 count, const void *data, size_t len)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct vfio_irq_set *set = (void *)buf;

	*set = (struct vfio_irq_set){
		.argsz = (u32)(sizeof(*set) + len), .flags = flags, .index = index, .start = start, .count = count,
	};
	if (len)
		memcpy(set->data, data, len);
	return t_ioctl(fd, VFIO_DEVICE_SET_IRQS, set);
}

static T_UNUSED u64 t_count(int efd)
{
	u64 n = 0;

	return read(efd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static T_UNUSED int t_eventfd(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

#endif
