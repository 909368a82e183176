/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_test.h - what the tests of vfio-pci share: a machine with made-up PCI hardware.
 *
 * Real are the tree, the driver core, IOMMU groups, the PCI bus and VFIO.  Made up is the silicon: config
 * space with a mask of writable bits, BARs that are memory, an MSI-X table that masks and keeps pending
 * bits, a pin, function level and bus reset.  Every access of a BAR is noted.
 *
 *	0000:00:10.0	edu: conventional, INTA, one MSI, no reset			group 2
 *	0000:00:14.0	small: an I/O BAR of 256 bytes, a BAR of 256 bytes, no pin	group 6
 *	0000:01:00.0	nvme: express, 65 MSI-X in BAR0, FLR				group 9
 *	0000:02:00.0	igb: 10 MSI-X, MSI with mask bits, SR-IOV, forgets state in D3	group 10
 *	0000:03:00.0	e1000e: I/O BAR, ROM, AER					group 11
 *	0000:04:01.0, 02.0	two edu behind one bridge				group 4
 */
#ifndef KERNEL_VFIO_PCI_VFIO_PCI_TEST_H
#define KERNEL_VFIO_PCI_VFIO_PCI_TEST_H

#include "kernel/vfio/vfio_test.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "kernel/mm/vma.h"
#include "kernel/vfio/pci/vfio_pci_config_cases.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define CFG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)
#define REGION(i) ((u64)(i) << 40)

/* ---- silicon --------------------------------------------------------------------------------- */

struct fake_hw {
	struct pci_dev pdev;
	const char *name;
	unsigned cfg_size, pm, exp, msi, msix, msix_bar, msix_vectors;
	u8 cfg[4096], mask[4096], power_on[4096];
	u8 clear_by_one[4096]; /* bits that a one clears */
	u64 bar_size[7];
	u8 *bar[7];
	enum pci_page_kind page_kind; /* of all pages of BAR 0 behind the first */
	u32 table_off;
	u8 pending[256];
	bool level, line;
	bool bridge;
	/* what happened */
	unsigned flrs, bus_resets, reads, writes, last_len;
	unsigned undecoded; /* reads that came while memory decoding was off */
	u64 last_off, last_val;
};

enum { EDU, SMALL, NVME, IGB, E1000E, PAIR1, PAIR2, PORT1, PORT2, PORT3, BRIDGE4, T_HW };
static struct fake_hw t_hw[T_HW];

/* Recursive, since an interrupt comes back into the hardware.  A device model has finer ones. */
static pthread_mutex_t t_silicon = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
#define WITH_SILICON __attribute__((cleanup(silicon_leave), unused)) int silicon_ = silicon_enter()

static int silicon_enter(void)
{
	return pthread_mutex_lock(&t_silicon);
}

static void silicon_leave(int *unused)
{
	(void)unused;
	pthread_mutex_unlock(&t_silicon);
}

static u32 cfg_get(const struct fake_hw *hw, unsigned off, unsigned len)
{
	u32 val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (u32)hw->cfg[off + i] << 8 * i;
	return val;
}

static T_UNUSED void cfg_put(struct fake_hw *hw, unsigned off, unsigned len, u32 val)
{
	for (unsigned i = 0; i < len; i++)
		hw->cfg[off + i] = (u8)(val >> 8 * i);
}

static bool hw_messages_on(const struct fake_hw *hw)
{
	return (hw->msi && cfg_get(hw, hw->msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE) ||
	       (hw->msix && cfg_get(hw, hw->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
}

static void hw_update_line(struct fake_hw *hw)
{
	const bool line = hw->level && !(cfg_get(hw, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE) &&
			  !hw_messages_on(hw);
	const bool rose = line && !hw->line;

	hw->line = line;
	if (rose)
		pci_intx_receive(&hw->pdev);
}

/* The device sets its pin. */
static T_UNUSED void hw_pin(struct fake_hw *hw, bool level)
{
	WITH_SILICON;
	hw->level = level;
	hw_update_line(hw);
}

static u32 table_word(const struct fake_hw *hw, unsigned vector, unsigned reg)
{
	WITH_SILICON;
	u32 val;

	memcpy(&val, hw->bar[hw->msix_bar] + hw->table_off + 16 * vector + reg, 4);
	return val;
}

static void hw_send_pending(struct fake_hw *hw)
{
	if (!hw->msix || !hw_messages_on(hw) ||
	    cfg_get(hw, hw->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL)
		return;
	for (unsigned v = 0; v < hw->msix_vectors; v++) {
		if (!hw->pending[v] ||
		    table_word(hw, v, PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT)
			continue;
		hw->pending[v] = 0;
		pci_msi_receive(table_word(hw, v, 0) | (u64)table_word(hw, v, 4) << 32, table_word(hw, v, 8));
	}
}

/* The device sends message @vector. */
static T_UNUSED void hw_message(struct fake_hw *hw, unsigned vector)
{
	WITH_SILICON;
	u16 flags;

	if (hw->msix && cfg_get(hw, hw->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE) {
		hw->pending[vector] = 1;
		hw_send_pending(hw);
		return;
	}
	flags = (u16)cfg_get(hw, hw->msi + PCI_MSI_FLAGS, 2);
	assert_true(flags & PCI_MSI_FLAGS_ENABLE);
	if (flags & PCI_MSI_FLAGS_MASKBIT && cfg_get(hw, hw->msi + PCI_MSI_MASK_64, 4) & BIT(vector))
		return;
	pci_msi_receive(cfg_get(hw, hw->msi + PCI_MSI_ADDRESS_LO, 4),
			cfg_get(hw, hw->msi + PCI_MSI_DATA_64, 2) + vector);
}

static void hw_power_on(struct fake_hw *hw)
{
	memcpy(hw->cfg, hw->power_on, sizeof(hw->cfg));
	memset(hw->pending, 0, sizeof(hw->pending));
	hw->level = hw->line = false;
	for (unsigned v = 0; hw->msix && v < hw->msix_vectors; v++)
		hw->bar[hw->msix_bar][hw->table_off + 16 * v + PCI_MSIX_ENTRY_VECTOR_CTRL] =
			PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static u32 fake_config_read(void *opaque, unsigned off, unsigned len)
{
	WITH_SILICON;
	struct fake_hw *hw = opaque;
	u32 val;

	assert_true((len == 1 || len == 2 || len == 4) && IS_ALIGNED(off, len) && off + len <= hw->cfg_size);
	val = cfg_get(hw, off, len);
	if (off <= PCI_STATUS && off + len > PCI_STATUS && hw->level)
		val |= (u32)PCI_STATUS_INTERRUPT << 8 * (PCI_STATUS - off);
	return val;
}

static void fake_config_write(void *opaque, unsigned off, unsigned len, u32 val)
{
	WITH_SILICON;
	struct fake_hw *hw = opaque;
	const u32 power = hw->pm ? cfg_get(hw, hw->pm + PCI_PM_CTRL, 2) : 0;

	assert_true((len == 1 || len == 2 || len == 4) && IS_ALIGNED(off, len) && off + len <= hw->cfg_size);
	for (unsigned i = 0; i < len; i++)
		hw->cfg[off + i] = (u8)((hw->cfg[off + i] & ~hw->mask[off + i]) |
					(val >> 8 * i & hw->mask[off + i]));
	for (unsigned i = 0; i < len; i++)
		hw->cfg[off + i] &= (u8)~(val >> 8 * i & hw->clear_by_one[off + i]);
	if (hw->exp && off <= hw->exp + 9 && off + len > hw->exp + 9 &&
	    val >> 8 * (hw->exp + 9 - off) & 0x80 && hw->cfg[hw->exp + 7] & 0x10) {
		hw->flrs++;
		hw_power_on(hw);
	}
	if (power & 3 && !(power & PCI_PM_CTRL_NO_SOFT_RESET) && !(cfg_get(hw, hw->pm + PCI_PM_CTRL, 2) & 3))
		hw_power_on(hw);
	if (!hw->bridge)
		hw_update_line(hw);
	hw_send_pending(hw);
}

static u64 fake_bar_read(void *opaque, unsigned bar, u64 off, unsigned len)
{
	WITH_SILICON;
	struct fake_hw *hw = opaque;
	u64 val = 0;

	assert_true((len == 1 || len == 2 || len == 4 || len == 8) && IS_ALIGNED(off, (u64)len));
	assert_true(bar <= PCI_ROM_RESOURCE && off + len <= hw->bar_size[bar]);
	memcpy(&val, hw->bar[bar] + off, len);
	hw->undecoded += !(cfg_get(hw, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	hw->reads++;
	hw->last_off = off;
	hw->last_len = len;
	return val;
}

static void fake_bar_write(void *opaque, unsigned bar, u64 off, unsigned len, u64 val)
{
	WITH_SILICON;
	struct fake_hw *hw = opaque;

	assert_true((len == 1 || len == 2 || len == 4 || len == 8) && IS_ALIGNED(off, (u64)len));
	assert_true(bar < PCI_STD_NUM_BARS && off + len <= hw->bar_size[bar]);
	memcpy(hw->bar[bar] + off, &val, len);
	hw->writes++;
	hw->last_off = off;
	hw->last_len = len;
	hw->last_val = val;
	hw_send_pending(hw);
}

static enum pci_page_kind fake_bar_page(void *opaque, unsigned bar, u64 off, int *ret_fd, u64 *ret_fd_off,
					u64 *ret_len)
{
	struct fake_hw *hw = opaque;
	const bool first = bar || off < PAGE_SIZE;

	*ret_fd = 77;
	*ret_fd_off = 0x1000000 + off;
	*ret_len = first && !bar ? PAGE_SIZE - off : hw->bar_size[bar] - off;
	return first ? PCI_PAGE_TRAPPED : hw->page_kind;
}

static void fake_reset(void *opaque, bool bus)
{
	WITH_SILICON;
	struct fake_hw *hw = opaque;

	hw->bus_resets += bus;
	hw_power_on(hw);
}

static const struct pci_hw_ops fake_ops = {
	.config_read = fake_config_read,
	.config_write = fake_config_write,
	.bar_read = fake_bar_read,
	.bar_write = fake_bar_write,
	.bar_page = fake_bar_page,
	.reset = fake_reset,
};

/* ---- what the devices are -------------------------------------------------------------------- */

static void hw_bar(struct fake_hw *hw, unsigned bar, u64 size)
{
	hw->bar_size[bar] = size;
	hw->bar[bar] = calloc(1, ALIGN_UP(size, 8));
	assert_non_null(hw->bar[bar]);
}

static void hw_init(struct fake_hw *hw, unsigned cfg_size, const struct config_bytes *bytes, size_t num,
		    const struct config_case *cases, size_t num_cases)
{
	hw->cfg_size = cfg_size;
	for (size_t i = 0; i < num; i++)
		memcpy(hw->power_on + bytes[i].off, bytes[i].bytes, 16);
	for (size_t i = 0; i < num_cases; i++)
		memset(hw->mask + cases[i].off, cases[i].hw, cases[i].n);
	memset(hw->power_on + PCI_COMMAND, 0, 2);
}

#define HW_INIT(hw, size, dev)                                                                               \
	hw_init(hw, size, dev##_bytes, ARRAY_SIZE(dev##_bytes), dev##_cases, ARRAY_SIZE(dev##_cases))

static void make_edu(struct fake_hw *hw)
{
	HW_INIT(hw, 256, edu);
	hw->msi = 0x40;
	hw_bar(hw, 0, 1 << 20);
	memcpy(hw->bar[0], "\xed\x00\x00\x01", 4);
}

/* ivshmem and pci-testdev in one: nothing in the capability list. */
static void make_small(struct fake_hw *hw)
{
	const u8 header[] = { 0xf4, 0x1a, 0x10, 0x11, 0, 0, 0, 0, 1, 0, 0, 5 };

	hw->cfg_size = 256;
	memcpy(hw->power_on, header, sizeof(header));
	memset(hw->mask + PCI_COMMAND, 0xff, 2);
	memset(hw->mask + PCI_BASE_ADDRESS_0 + 1, 0xff, 3);
	memset(hw->mask + PCI_BASE_ADDRESS_1 + 1, 0xff, 3);
	hw->power_on[PCI_BASE_ADDRESS_1] = PCI_BASE_ADDRESS_SPACE_IO;
	hw_bar(hw, 0, 256);
	hw_bar(hw, 1, 256);
}

static void make_nvme(struct fake_hw *hw)
{
	HW_INIT(hw, 4096, nvme);
	hw->pm = 0x60;
	hw->exp = 0x80;
	hw->msix = 0x40;
	hw->msix_vectors = 65;
	hw->table_off = 0x2000;
	hw_bar(hw, 0, 0x4000);
	memcpy(hw->bar[0], "\xff\x07\x01\x0f\x20\x00\x00\x00", 8);
	hw->page_kind = PCI_PAGE_READ_DIRECT;
}

static void make_igb(struct fake_hw *hw)
{
	HW_INIT(hw, 4096, igb);
	hw->pm = 0x40;
	hw->exp = 0xa0;
	hw->msi = 0x50;
	hw->msix = 0x70;
	hw->msix_bar = 3;
	hw->msix_vectors = 10;
	hw_bar(hw, 0, 0x20000);
	hw_bar(hw, 1, 0x20000);
	hw_bar(hw, 2, 0x20);
	hw_bar(hw, 3, 0x4000);
	hw->page_kind = PCI_PAGE_DIRECT;
}

static void make_e1000e(struct fake_hw *hw)
{
	HW_INIT(hw, 4096, e1000e);
	hw->pm = 0xc8;
	hw->exp = 0xe0;
	hw->msi = 0xd0;
	hw->msix = 0xa0;
	hw->msix_bar = 3;
	hw->msix_vectors = 5;
	hw->power_on[hw->exp + 7] |= 0; /* no FLR: power management resets it */
	hw_bar(hw, 0, 0x20000);
	hw_bar(hw, 1, 0x20000);
	hw_bar(hw, 2, 0x20);
	hw_bar(hw, 3, 0x4000);
	hw_bar(hw, PCI_ROM_RESOURCE, 0x40000);
	memcpy(hw->bar[PCI_ROM_RESOURCE], "\x55\xaa\x93\xe9", 4);
}

static void make_bridge(struct fake_hw *hw)
{
	const u8 header[] = { 0x36, 0x1b, 0x0c, 0x00, 0, 0, 0, 0, 0, 0, 4, 6, 0, 0, PCI_HEADER_TYPE_BRIDGE };

	hw->cfg_size = 256;
	hw->bridge = true;
	memcpy(hw->power_on, header, sizeof(header));
	memset(hw->mask + PCI_COMMAND, 0xff, 2);
	memset(hw->mask + PCI_PRIMARY_BUS, 0xff, 0x40 - PCI_PRIMARY_BUS);
}

static const struct {
	const char *name;
	u8 bus, slot;
	int bridge, group;
	void (*make)(struct fake_hw *hw);
} t_layout[T_HW] = {
	[EDU] = { "0000:00:10.0", 0, 0x10, -1, 2, make_edu },
	[SMALL] = { "0000:00:14.0", 0, 0x14, -1, 6, make_small },
	[PORT1] = { "0000:00:01.0", 0, 1, -1, 20, make_bridge },
	[PORT2] = { "0000:00:02.0", 0, 2, -1, 21, make_bridge },
	[PORT3] = { "0000:00:03.0", 0, 3, -1, 22, make_bridge },
	[BRIDGE4] = { "0000:00:04.0", 0, 4, -1, 4, make_bridge },
	[NVME] = { "0000:01:00.0", 1, 0, PORT1, 9, make_nvme },
	[IGB] = { "0000:02:00.0", 2, 0, PORT2, 10, make_igb },
	[E1000E] = { "0000:03:00.0", 3, 0, PORT3, 11, make_e1000e },
	[PAIR1] = { "0000:04:01.0", 4, 1, BRIDGE4, 4, make_edu },
	[PAIR2] = { "0000:04:02.0", 4, 2, BRIDGE4, 4, make_edu },
};

/* ---- the machine ----------------------------------------------------------------------------- */

static struct iommu_device *t_unit;
static char t_event[512]; /* the last line of explain_event() */
static unsigned t_events;

static void t_sink(const char *line)
{
	WITH_SILICON;

	snprintf(t_event, sizeof(t_event), "%s", line);
	t_events++;
}

static T_UNUSED void t_forget(void)
{
	WITH_SILICON;

	t_event[0] = 0;
	t_events = 0;
}

/* Was the last event about @what? */
static T_UNUSED bool t_said(const char *what)
{
	WITH_SILICON;

	return strstr(t_event, what);
}

static int t_iommu_probe(struct pci_dev *pdev)
{
	struct fake_hw *hw = pdev->hw;

	return iommu_probe_device(t_unit, &pdev->dev, (u16)(pdev->bus << 8 | pdev->devfn),
				  (unsigned)t_layout[hw - t_hw].group);
}

static void t_add_hw(unsigned i)
{
	struct fake_hw *hw = &t_hw[i];

	t_layout[i].make(hw);
	hw->name = t_layout[i].name;
	hw_power_on(hw);
	hw->pdev.dev.name = hw->name;
	hw->pdev.bus = t_layout[i].bus;
	hw->pdev.devfn = (u8)(t_layout[i].slot << 3);
	hw->pdev.bridge = t_layout[i].bridge < 0 ? NULL : &t_hw[t_layout[i].bridge].pdev;
	hw->pdev.hw_ops = &fake_ops;
	hw->pdev.hw = hw;
	hw->pdev.cfg_size = hw->cfg_size;
	if (!hw->bridge)
		hw->pdev.dev.driver_override = strdup("vfio-pci");
	assert_int_equal(pci_device_add(&hw->pdev, false), 0);
}

static T_UNUSED int t_pci_machine(void **state)
{
	static const unsigned order[T_HW] = { PORT1, PORT2, PORT3,  BRIDGE4, EDU,  SMALL,
					      NVME,  IGB,   E1000E, PAIR1,   PAIR2 };

	(void)state;
	explain_enable();
	explain_set_sink(t_sink);
	fd_host_register(&t_fd_host);
	strcpy(t_dir, "/tmp/vfio-pci-test.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	assert_int_equal(kernfs_open(t_dir, true), 0);
	kernfs_lock();
	t_unit = amd_iommu_init("ivhd0", &t_hw_ops, NULL, 4096, IOMMU_BASIC);
	assert_false(IS_ERR(t_unit));
	pci_iommu_probe = t_iommu_probe;
	assert_int_equal(pci_bus_init(), 0);
	assert_int_equal(vfio_init(), 0);
	assert_int_equal(vfio_iommu_type1_init(), 0);
	assert_int_equal(vfio_pci_init(), 0);
	for (unsigned i = 0; i < T_HW; i++)
		t_add_hw(order[i]);
	kernfs_created();
	kernfs_unlock();
	return 0;
}

static T_UNUSED int t_pci_machine_end(void **state)
{
	t_close_all(state);
	kernfs_lock();
	for (unsigned i = T_HW; i-- > 0;)
		pci_device_remove(&t_hw[i].pdev);
	vfio_pci_exit();
	vfio_iommu_type1_exit();
	vfio_exit();
	pci_bus_exit();
	amd_iommu_exit(t_unit);
	kernfs_unlock();
	for (unsigned i = 0; i < T_HW; i++) {
		for (unsigned bar = 0; bar < 7; bar++)
			free(t_hw[i].bar[bar]);
	}
	t_remove_tree();
	return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* A device that is open: container, group, device. */
struct t_dev {
	struct t_ctx x;
	int d;
	struct fake_hw *hw;
};

static T_UNUSED struct t_dev t_dev_open(unsigned i)
{
	struct t_dev t = { .hw = &t_hw[i] };
	char node[32];

	snprintf(node, sizeof(node), "vfio/%d", t_layout[i].group);
	t.x = t_setup(node, VFIO_TYPE1v2_IOMMU);
	t.d = (int)t_works(t_ioctl(t.x.g, VFIO_GROUP_GET_DEVICE_FD, t.hw->name));
	return t;
}

static T_UNUSED void t_dev_close(struct t_dev t)
{
	t_close(t.d);
	t_teardown(t.x);
}

static T_UNUSED struct vfio_pci_core_device *t_core(struct t_dev t)
{
	return t.hw->pdev.dev.driver_data;
}

static T_UNUSED ssize_t t_pread(int fd, void *buf, size_t len, u64 pos)
{
	struct file *file = fget(fd);
	ssize_t ret;

	explain_begin();
	ret = file->f_op->read(file, buf, len, &pos);
	fput(file);
	return ret;
}

static T_UNUSED ssize_t t_pwrite(int fd, const void *buf, size_t len, u64 pos)
{
	struct file *file = fget(fd);
	ssize_t ret;

	explain_begin();
	ret = file->f_op->write(file, buf, len, &pos);
	fput(file);
	return ret;
}

static T_UNUSED u32 t_get(int fd, u64 pos, unsigned len)
{
	u32 val = 0;

	assert_int_equal(t_pread(fd, &val, len, pos), len);
	return val;
}

static T_UNUSED void t_put(int fd, u64 pos, unsigned len, u32 val)
{
	assert_int_equal(t_pwrite(fd, &val, len, pos), len);
}

static T_UNUSED long t_set_irqs(int fd, u32 flags, u32 index, u32 start, u32 count, const void *data,
				size_t len)
{
	char buf[512] = { 0 };
	struct vfio_irq_set *set = (void *)buf;

	*set = (struct vfio_irq_set){
		.argsz = (u32)(sizeof(*set) + len),
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};
	if (len)
		memcpy(set->data, data, len);
	return t_ioctl(fd, VFIO_DEVICE_SET_IRQS, set);
}

/* fail_msg() cannot be used here: fail() is ours. */
#define t_wrong(...)                                                                                         \
	do {                                                                                                 \
		fprintf(stderr, __VA_ARGS__);                                                                \
		fputc('\n', stderr);                                                                         \
		assert_true(false);                                                                          \
	} while (0)

/* What an eventfd has counted since the last look. */
static T_UNUSED u64 t_count(int efd)
{
	u64 n = 0;

	return read(efd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static T_UNUSED bool t_wait(int efd)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };

	return poll(&p, 1, 2000) == 1;
}

static T_UNUSED int t_eventfd(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

#endif
