/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_test.c - devices on the bus: what their directories say, who gets them, how they are reset.
 *
 * The expected texts and errnos are what a Linux 7.2 answered for edu and nvme in QEMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/attr_test.h"
#include "kernel/pci/fake_hw.h"

static char dir[64];
static struct fake_hw *edu, *port, *nvme, *big;
static int vfio_probes;

static int vfio_probe(struct pci_dev *pdev)
{
	if (pdev->hdr_type & 0x7f)
		return -EINVAL;
	vfio_probes++;
	return 0;
}

static const struct pci_device_id vfio_ids[] = {
	{PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, .override_only = true}, {0}};
static const struct pci_device_id nvme_ids[] = {
	{PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, 0x010802, 0xffffff}, {0}};
static const struct pci_device_id port_ids[] = {
	{PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, 0x060400, 0xffffff}, {0}};
static bool vfio_busy;
static atomic_int vfio_errors;

static void vfio_error(struct pci_dev *pdev)
{
	assert_ptr_equal(pdev, &nvme->pdev);
	atomic_fetch_add(&vfio_errors, 1);
}

static bool vfio_in_use(struct device *dev)
{
	return vfio_busy;
}

static struct pci_driver vfio = {
	.driver = {.name = "vfio-pci",
		   .id_table = vfio_ids,
		   .driver_managed_dma = true,
		   .in_use = vfio_in_use},
	.probe = vfio_probe,
	.error_detected = vfio_error,
};

/* ---- a machine: edu on the root bus; nvme behind a root port; a device with big BARs ------- */

static void make_devices(void)
{
	edu = fake_new("0000:00:10.0", 0x1234, 0x11e8, 0x00ff00, false);
	edu->pdev.cfg_size = 256;
	fake_bar(edu, 0, 1 << 20, 0);
	fake_msi(edu, 0x40, 0);
	fake_ready(edu);

	port = fake_new("0000:00:11.0", 0x1b36, 0x000c, 0x060400, true);
	fake_bar(port, 0, 4096, 0);
	fake_express(port, 0x54, false);
	fake_ready(port);

	nvme = fake_new("0000:01:00.0", 0x1b36, 0x0010, 0x010802, false);
	nvme->pdev.bridge = &port->pdev;
	fake_bar(nvme, 0, 16384, PCI_BASE_ADDRESS_MEM_TYPE_64);
	fake_msix(nvme, 0x40, 65, 0, 0x2000);
	fake_pm(nvme, 0x60, true);
	fake_express(nvme, 0x80, true);
	fake_put(nvme->config + 0x100, PCI_EXT_CAP_ID_ERR | 2 << 16, 4);
	fake_ready(nvme);

	big = fake_new("0000:00:12.0", 0x1af4, 0x1110, 0x050000, false);
	fake_bar(big, 0, 32, PCI_BASE_ADDRESS_SPACE_IO);
	fake_bar(big, 1, 256, 0);
	fake_bar(big, 2, 1ull << 30, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	fake_bar(big, PCI_ROM_RESOURCE, 1 << 18, 0);
	fake_pm(big, 0x60, false);
	fake_ready(big);
	big->bar[PCI_ROM_RESOURCE][0] = 0x55;
}

static void add_all(void)
{
	kernfs_lock();
	assert_int_equal(pci_bus_init(), 0);
	assert_int_equal(pci_register_driver(&vfio), 0);
	assert_int_equal(pci_host_driver_register("nvme", nvme_ids), 0);
	assert_int_equal(pci_host_driver_register("pcieport", port_ids), 0);
	assert_int_equal(pci_device_add(&edu->pdev, false), 0);
	assert_int_equal(pci_device_add(&port->pdev, false), 0);
	assert_int_equal(pci_device_add(&nvme->pdev, false), 0);
	assert_int_equal(pci_device_add(&big->pdev, false), 0);
	kernfs_unlock();
}

static void forget_all(void)
{
	kernfs_lock();
	kernfs_close();
	pci_device_remove(&big->pdev);
	pci_device_remove(&nvme->pdev);
	pci_device_remove(&port->pdev);
	pci_device_remove(&edu->pdev);
	pci_unregister_driver(&vfio);
	pci_bus_exit();
	kernfs_unlock();
	free(edu);
	free(port);
	free(nvme);
	free(big);
}

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/pci_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	vfio_probes = 0;
	assert_int_equal(kernfs_open(dir, true), 0);
	make_devices();
	add_all();
	kernfs_created();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	forget_all();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* The program that comes after the machine was made. */
static void attach_again(void)
{
	forget_all();
	assert_int_equal(kernfs_open(dir, false), 0);
	make_devices();
	add_all();
}

static ssize_t pread_attr(const char *path, void *buf, size_t len, u64 pos)
{
	struct file *file = kernfs_open_attr(path, O_RDONLY);
	ssize_t ret;

	assert_non_null(file);
	assert_false(IS_ERR(file));
	ret = file->f_op->read(file, buf, len, &pos);
	fput(file);
	return ret;
}

#define D "sys/bus/pci/devices/"
#define EDU D "0000:00:10.0/"
#define PORT D "0000:00:11.0/"
#define NVME D "0000:01:00.0/"
#define BIG D "0000:00:12.0/"
#define VFIO "sys/bus/pci/drivers/vfio-pci/"

static off_t size_of(const char *path)
{
	char full[256];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	return stat(full, &st) ? -1 : st.st_size;
}

static u16 command(struct fake_hw *hw)
{
	u16 val;

	assert_int_equal(pci_read_config_word(&hw->pdev, PCI_COMMAND, &val), 0);
	return val;
}

/* ---- what directories say ------------------------------------------------------------------ */

#define NO_RES "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
#define NO_RES_4 NO_RES NO_RES NO_RES NO_RES

static void test_attributes(void **state)
{
	must_contain(EDU "vendor", "0x1234\n");
	must_contain(EDU "device", "0x11e8\n");
	must_contain(EDU "subsystem_vendor", "0x1af4\n");
	must_contain(EDU "subsystem_device", "0x1100\n");
	must_contain(EDU "class", "0x00ff00\n");
	must_contain(EDU "revision", "0x10\n");
	must_contain(EDU "irq", "10\n");
	must_contain(EDU "modalias", "pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00\n");
	must_contain(EDU "uevent",
		     "PCI_CLASS=FF00\nPCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=0000:00:10.0\n"
		     "MODALIAS=pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00\n");
	must_contain(EDU "driver_override", "(null)\n");
	must_contain(EDU "numa_node", "-1\n");
	must_contain(EDU "enable", "0\n");
	must_contain(EDU "power_state", "D0\n");
	must_contain(EDU "dma_mask_bits", "32\n");
	must_contain(EDU "d3cold_allowed", "0\n");
	must_contain(NVME "d3cold_allowed", "1\n");
	must_contain(NVME "max_link_speed", "2.5 GT/s PCIe\n");
	must_contain(NVME "current_link_width", "4\n");
	assert_false(kernfs_exists(EDU "max_link_speed"));
	assert_int_equal(size_of(EDU "config"), 256);
	assert_int_equal(size_of(NVME "config"), 4096);
	assert_int_equal(size_of(EDU "resource0"), 1 << 20);
	assert_int_equal(size_of(BIG "resource2_wc"), 1 << 30);
	assert_int_equal(size_of(EDU "resource1"), -1);
	assert_int_equal(size_of(BIG "rom"), 1 << 18);
	must_link(D "0000:01:00.0", "../../../devices/pci0000:00/0000:00:11.0/0000:01:00.0");
	must_link(NVME "subsystem", "../../../../bus/pci");
	must_link(NVME "driver", "../../../../bus/pci/drivers/nvme");
	must_contain(PORT "secondary_bus_number", "1\n");
	must_contain(PORT "subordinate_bus_number", "1\n");
	assert_true(kernfs_exists("sys/bus/pci/slots"));
	assert_true(kernfs_exists("sys/bus/pci/rescan"));
}

static void test_resources(void **state)
{
	must_contain(EDU "resource",
		     "0x00000000fe000000 0x00000000fe0fffff 0x0000000000040200\n" NO_RES_4 NO_RES_4 NO_RES_4);
	must_contain(NVME "resource",
		     "0x00000000fd000000 0x00000000fd003fff 0x0000000000140204\n" NO_RES_4 NO_RES_4 NO_RES_4);
	must_contain(
		PORT "resource",
		"0x00000000fe100000 0x00000000fe100fff 0x0000000000040200\n" NO_RES_4 NO_RES_4 NO_RES_4 NO_RES
		"0x00000000fd000000 0x00000000fd0fffff 0x0000000000000200\n" NO_RES NO_RES);
	must_contain(BIG "resource",
		     "0x000000000000d000 0x000000000000d01f 0x0000000000040101\n"
		     "0x00000000fe101000 0x00000000fe1010ff 0x0000000000040200\n"
		     "0x0000380000000000 0x000038003fffffff 0x000000000014220c\n" NO_RES NO_RES NO_RES
		     "0x00000000fe140000 0x00000000fe17ffff 0x0000000000046200\n" NO_RES_4 NO_RES NO_RES);
	/* and config space says the same */
	assert_int_equal(fake_config_read(edu, PCI_BASE_ADDRESS_0, 4), 0xfe000000);
	assert_int_equal(fake_config_read(nvme, PCI_BASE_ADDRESS_0, 4), 0xfd000004);
	assert_int_equal(fake_config_read(big, PCI_BASE_ADDRESS_0, 4), 0xd001);
	assert_int_equal(fake_config_read(big, PCI_BASE_ADDRESS_2, 4), 0xc);
	assert_int_equal(fake_config_read(big, PCI_BASE_ADDRESS_3, 4), 0x3800);
	assert_int_equal(fake_config_read(big, PCI_ROM_ADDRESS, 4), 0xfe140000);
	assert_int_equal(fake_config_read(port, PCI_MEMORY_BASE, 4), 0xfd00fd00);
	assert_int_equal(fake_config_read(port, PCI_PREF_MEMORY_BASE, 4), 0x0000fff0);
	assert_int_equal(fake_config_read(port, PCI_SECONDARY_BUS, 1), 1);
	/* nothing decodes before somebody enables it; the root port's driver has */
	assert_int_equal(command(edu), PCI_COMMAND_SERR);
	assert_int_equal(command(port),
			 PCI_COMMAND_SERR | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void test_no_space(void **state)
{
	static const char *const names[] = {"0000:00:1a.0", "0000:00:1b.0"};

	for (int i = 0; i < 2; i++) {
		struct fake_hw *hw = fake_new(names[i], 0x1234, 1, 0, false);
		int err;

		fake_bar(hw, 0, 1u << 29, 0); /* two of these do not fit below 4 GiB */
		fake_ready(hw);
		kernfs_lock();
		err = pci_device_add(&hw->pdev, true);
		assert_int_equal(err, i ? -ENOSPC : 0);
		assert_int_equal(kernfs_exists(i ? D "0000:00:1b.0" : D "0000:00:1a.0"), !i);
		if (!err)
			pci_device_remove(&hw->pdev);
		kernfs_unlock();
		free(hw);
	}
}

static void test_empty_slot(void **state)
{
	struct fake_hw *hw = fake_new("0000:00:1a.0", 0xffff, 0xffff, 0, false);

	kernfs_lock();
	assert_int_equal(pci_device_add(&hw->pdev, true), -ENODEV);
	kernfs_unlock();
	free(hw);
}

static void test_config_access(void **state)
{
	u8 byte;
	u16 word;
	u32 dword;

	assert_int_equal(pci_read_config_word(&edu->pdev, 0, &word), 0);
	assert_int_equal(word, 0x1234);
	assert_int_equal(pci_read_config_word(&edu->pdev, 1, &word), -EFAULT);
	assert_int_equal(pci_read_config_dword(&edu->pdev, 2, &dword), -EFAULT);
	assert_int_equal(pci_read_config_byte(&edu->pdev, 255, &byte), 0);
	assert_int_equal(pci_read_config_byte(&edu->pdev, 256, &byte), -EFAULT);
	assert_int_equal(pci_read_config_byte(&nvme->pdev, 256, &byte), 0);
	assert_int_equal(pci_write_config_dword(&edu->pdev, 256, 0), -EFAULT);
	assert_int_equal(pci_write_config_byte(&edu->pdev, PCI_INTERRUPT_LINE, 7), 0);
	assert_int_equal(fake_config_read(edu, PCI_INTERRUPT_LINE, 1), 7);
}

static void test_capabilities(void **state)
{
	assert_int_equal(pci_find_capability(&nvme->pdev, PCI_CAP_ID_PM), 0x60);
	assert_int_equal(pci_find_capability(&nvme->pdev, PCI_CAP_ID_VPD), 0);
	assert_int_equal(nvme->pdev.msix_cap, 0x40);
	assert_true(nvme->pdev.has_flr);
	assert_false(port->pdev.has_flr);
	nvme->config[0x41] = 0x40; /* a list that bites its tail */
	assert_int_equal(pci_find_capability(&nvme->pdev, PCI_CAP_ID_VPD), 0);
	fake_put(nvme->config + 0x100, 0x14010001, 4); /* AER, next 0x140 */
	fake_put(nvme->config + 0x140, 0x10010003, 4); /* serial number, next 0x100 */
	assert_int_equal(pci_find_ext_capability(&nvme->pdev, PCI_EXT_CAP_ID_DSN), 0x140);
	assert_int_equal(pci_find_ext_capability(&nvme->pdev, PCI_EXT_CAP_ID_SRIOV), 0);
	assert_int_equal(pci_find_ext_capability(&edu->pdev, PCI_EXT_CAP_ID_ERR), 0);
}

static void test_config_file(void **state)
{
	struct file *file = kernfs_open_attr(EDU "config", O_RDWR);
	u8 buf[300];
	u64 pos = 0;

	assert_false(IS_ERR(file));
	assert_int_equal(file->f_op->read(file, (char *)buf, 300, &pos), 256);
	assert_int_equal(buf[0] | buf[1] << 8, 0x1234);
	pos = 300;
	assert_int_equal(file->f_op->read(file, (char *)buf, 4, &pos), 0);
	assert_int_equal(file->f_op->write(file, "abcd", 4, &pos), -EFBIG);
	pos = 252;
	assert_int_equal(file->f_op->write(file, "abcdefgh", 8, &pos), 4);
	pos = PCI_INTERRUPT_LINE;
	assert_int_equal(file->f_op->write(file, "\x5", 1, &pos), 1);
	assert_int_equal(fake_config_read(edu, PCI_INTERRUPT_LINE, 1), 5);
	/* who reads the plain file sees it too */
	assert_int_equal(kernfs_read(EDU "config", buf, 256), 256);
	assert_int_equal(buf[PCI_INTERRUPT_LINE], 5);
	fput(file);
}

static void test_rom(void **state)
{
	u8 buf[4];

	assert_int_equal(pread_attr(BIG "rom", buf, 4, 0), -EINVAL);
	must_echo("1", BIG "rom");
	assert_int_equal(pread_attr(BIG "rom", buf, 4, 0), 4);
	assert_int_equal(buf[0], 0x55);
	must_echo("0\n", BIG "rom");
	assert_int_equal(pread_attr(BIG "rom", buf, 4, 0), -EINVAL);
}

/* ---- who gets a device --------------------------------------------------------------------- */

static void test_new_id(void **state)
{
	must_fail("1234", VFIO "new_id", -EINVAL);
	must_fail("zz 11", VFIO "new_id", -EINVAL);
	must_fail("1234:11e8", VFIO "new_id", -EINVAL);
	must_fail("1234 11e8 0 0 0 0 5", VFIO "new_id", -EINVAL);
	must_fail("1234 11e8", VFIO "remove_id", -ENODEV);
	must_fail("1234", VFIO "remove_id", -EINVAL);
	must_fail("0000:00:10.0", VFIO "bind", -ENODEV);
	must_echo("0x1234 0x11e8\n", VFIO "new_id");
	must_link(EDU "driver", "../../../bus/pci/drivers/vfio-pci");
	must_fail("1234 11e8", VFIO "new_id", -EEXIST);
	must_echo("1234 11e8", VFIO "remove_id");
	must_fail("1234 11e8", VFIO "remove_id", -ENODEV);
	must_link(EDU "driver", "../../../bus/pci/drivers/vfio-pci"); /* stays */
	must_echo("1234 11e8 ffff0000", VFIO "new_id");
	must_echo("1234 11e8 1af4 1100", VFIO "new_id");
	must_echo("1234 11e8", VFIO "remove_id");
	must_echo("1234 11e8", VFIO "remove_id");
	must_fail("1234 11e8", VFIO "remove_id", -ENODEV);
	must_fail("10 20 30 40 10802 ffffff", "sys/bus/pci/drivers/nvme/new_id", -EEXIST);
}

static void test_new_id_is_the_machines(void **state)
{
	must_echo("1234 11e8", VFIO "new_id");
	must_echo("0000:00:10.0", VFIO "unbind");
	attach_again();
	assert_null(edu->pdev.dev.driver);
	must_fail("1234 11e8", VFIO "new_id", -EEXIST);
	must_echo("0000:00:10.0", VFIO "bind");
	assert_ptr_equal(edu->pdev.dev.driver, &vfio.driver);
}

static void test_override(void **state)
{
	must_fail("0000:01:00.0", VFIO "bind", -ENODEV);
	must_echo("vfio-pci\n", NVME "driver_override");
	must_fail("0000:01:00.0", VFIO "bind", -EBUSY);
	must_echo("0000:01:00.0", "sys/bus/pci/drivers/nvme/unbind");
	must_fail("0000:01:00.0", "sys/bus/pci/drivers/nvme/bind", -ENODEV);
	must_echo("0000:01:00.0", "sys/bus/pci/drivers_probe");
	assert_ptr_equal(nvme->pdev.dev.driver, &vfio.driver);
	must_echo("0000:01:00.0", VFIO "unbind");
	must_echo("\n", NVME "driver_override");
	must_echo("0000:01:00.0", "sys/bus/pci/drivers_probe");
	assert_string_equal(nvme->pdev.dev.driver->name, "nvme");
	/* vfio-pci refuses a bridge */
	must_echo("vfio-pci", PORT "driver_override");
	must_echo("0000:00:11.0", "sys/bus/pci/drivers/pcieport/unbind");
	must_fail("0000:00:11.0", VFIO "bind", -EINVAL);
}

/* As machine/ does it for driver = vfio-pci. */
static void test_born_bound(void **state)
{
	struct fake_hw *hw = fake_new("0000:00:1a.0", 0x1234, 1, 0, false);

	hw->pdev.dev.driver_override = strdup("vfio-pci");
	kernfs_lock();
	assert_int_equal(pci_device_add(&hw->pdev, false), 0);
	assert_ptr_equal(hw->pdev.dev.driver, &vfio.driver);
	must_contain(D "0000:00:1a.0/driver_override", "vfio-pci\n");
	must_contain(D "0000:00:1a.0/uevent",
		     "DRIVER=vfio-pci\nPCI_CLASS=0000\nPCI_ID=1234:0001\nPCI_SUBSYS_ID=1AF4:1100\n"
		     "PCI_SLOT_NAME=0000:00:1a.0\n"
		     "MODALIAS=pci:v00001234d00000001sv00001AF4sd00001100bc00sc00i00\n");
	pci_device_remove(&hw->pdev);
	kernfs_unlock();
	free(hw);
}

static void test_attach(void **state)
{
	must_echo("vfio-pci", EDU "driver_override");
	must_echo("0000:00:10.0", VFIO "bind");
	assert_int_equal(vfio_probes, 1);
	attach_again();
	assert_int_equal(vfio_probes, 2);
	assert_ptr_equal(edu->pdev.dev.driver, &vfio.driver);
	assert_string_equal(edu->pdev.dev.driver_override, "vfio-pci");
	assert_string_equal(nvme->pdev.dev.driver->name, "nvme");
	/* addresses come from the tree */
	assert_int_equal(edu->pdev.resource[0].start, 0xfe000000);
	assert_int_equal(fake_config_read(nvme, PCI_BASE_ADDRESS_0, 4), 0xfd000004);
	assert_int_equal(fake_config_read(port, PCI_MEMORY_BASE, 4), 0xfd00fd00);
	assert_int_equal(fake_config_read(port, PCI_SECONDARY_BUS, 1), 1);
	must_echo("0000:00:10.0", VFIO "unbind");
}

static int groups;
static int group_result;

static int iommu_probe(struct pci_dev *pdev)
{
	assert_null(pdev->dev.driver); /* first the group, then the driver */
	assert_true(kernfs_exists(pdev->dev.path));
	groups++;
	return group_result;
}

static void test_iommu_probe_hook(void **state)
{
	struct fake_hw *hw = fake_new("0000:00:1a.0", 0x1234, 1, 0x010802, false);

	pci_iommu_probe = iommu_probe;
	group_result = -ENOMEM;
	kernfs_lock();
	assert_int_equal(pci_device_add(&hw->pdev, false), -ENOMEM);
	assert_false(kernfs_exists(D "0000:00:1a.0"));
	group_result = 0;
	assert_int_equal(pci_device_add(&hw->pdev, false), 0);
	assert_int_equal(groups, 2);
	assert_string_equal(hw->pdev.dev.driver->name, "nvme");
	pci_device_remove(&hw->pdev);
	kernfs_unlock();
	pci_iommu_probe = NULL;
	free(hw);
}

/* ---- enable and small switches ------------------------------------------------------------- */

static void test_enable(void **state)
{
	char buf[8] = "";

	must_fail("x", EDU "enable", -EINVAL);
	must_fail("0", EDU "enable", -EIO);
	must_fail("1", NVME "enable", -EBUSY);
	must_echo("1", EDU "enable");
	must_echo("1", EDU "enable");
	must_contain(EDU "enable", "2\n");
	assert_int_equal(command(edu), 0x0103);
	pci_set_master(&edu->pdev);
	must_echo("0", EDU "enable");
	assert_int_equal(command(edu), 0x0107);
	must_echo("0\n", EDU "enable");
	assert_int_equal(command(edu), 0x0103); /* bus mastering off, decoding stays */
	must_echo("1", EDU "enable");
	attach_again();
	assert_int_equal(pread_attr(EDU "enable", buf, 8, 0), 2);
	assert_string_equal(buf, "1\n");
	assert_int_equal(command(edu), 0x0103);
	pci_disable_device(&edu->pdev);
	pci_disable_device(&edu->pdev); /* one too many does no harm */
	assert_int_equal(pci_enable_device(&edu->pdev), 0);
	assert_int_equal(atomic_load(&edu->pdev.enable_cnt), 1);
}

static void test_power_state(void **state)
{
	char buf[8] = "";

	pci_write_config_word(&nvme->pdev, nvme->pm_cap + PCI_PM_CTRL, 3);
	assert_int_equal(pread_attr(NVME "power_state", buf, 8, 0), 6);
	assert_string_equal(buf, "D3hot\n");
	atomic_store(&nvme->pdev.enable_cnt, 0);
	assert_int_equal(pci_enable_device(&nvme->pdev), 0);
	assert_int_equal(pread_attr(NVME "power_state", buf, 8, 0), 3);
}

static void test_switches(void **state)
{
	must_echo("0", EDU "numa_node");
	must_contain(EDU "numa_node", "0\n");
	must_fail("x", EDU "numa_node", -EINVAL);
	must_fail("-2", EDU "numa_node", -EINVAL);
	must_fail("5000", EDU "numa_node", -EINVAL);
	must_echo("-1", EDU "numa_node");
	must_fail("x", EDU "msi_bus", -EINVAL);
	must_echo("0", EDU "msi_bus");
	must_contain(EDU "msi_bus", "0\n");
	must_fail("x", EDU "broken_parity_status", -EINVAL);
	must_echo("2", EDU "broken_parity_status");
	must_contain(EDU "broken_parity_status", "1\n");
	must_fail("x", EDU "d3cold_allowed", -EINVAL);
	must_echo("1", EDU "d3cold_allowed");
	must_echo("whatever", "sys/bus/pci/resource_alignment");
	must_contain("sys/bus/pci/resource_alignment", "whatever");
}

static void test_intx_bit(void **state)
{
	pci_intx(&edu->pdev, false);
	assert_int_equal(command(edu), PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	pci_intx(&edu->pdev, true);
	assert_int_equal(command(edu), PCI_COMMAND_SERR);
	assert_false(pci_intx_pending(&edu->pdev));
	edu->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	assert_true(pci_intx_pending(&edu->pdev));
}

/* What a handler cannot write is shown nevertheless. */
static void test_intx_masked_by_handler(void **state)
{
	u8 bytes[4] = {0};

	pci_mask_intx(&edu->pdev, true);
	assert_int_equal(pread_attr(EDU "config", bytes, 4, PCI_COMMAND), 4);
	assert_int_equal(bytes[1], (PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE) >> 8);
	assert_int_equal(pread_attr(EDU "config", bytes, 1, PCI_COMMAND + 1), 1);
	assert_int_equal(bytes[0], (PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE) >> 8);
	assert_int_equal(pread_attr(EDU "config", bytes, 1, PCI_COMMAND), 1);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(pread_attr(EDU "config", bytes, 2, PCI_STATUS), 2);
	assert_int_equal(bytes[0], PCI_STATUS_CAP_LIST);
	assert_int_equal(command(edu), PCI_COMMAND_SERR);
	pci_mask_intx(&edu->pdev, false);
	assert_int_equal(pread_attr(EDU "config", bytes, 4, PCI_COMMAND), 4);
	assert_int_equal(bytes[1], PCI_COMMAND_SERR >> 8);
}

/* ---- errors -------------------------------------------------------------------------------- */

static void counts(const char *file, const char *line)
{
	char path[256], text[4096];
	ssize_t len;

	snprintf(path, sizeof(path), NVME "aer_dev_%s", file);
	len = pread_attr(path, text, sizeof(text) - 1, 0);
	assert_true(len > 0);
	text[len] = '\0';
	assert_non_null(strstr(text, line));
}

static void wait_for_errors(int want)
{
	for (int i = 0; i < 5000 && atomic_load(&vfio_errors) != want; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&vfio_errors), want);
}

static void test_errors(void **state)
{
	u16 ctl;

	atomic_store(&vfio_errors, 0);
	assert_false(kernfs_exists(EDU "aer_dev_fatal"));
	pci_read_config_word(&nvme->pdev, nvme->exp_cap + PCI_EXP_DEVCTL, &ctl);
	assert_int_equal(ctl & 0xf, 0xf); /* whoever handles them lets them out */
	pci_aer_receive(&edu->pdev, PCI_AER_FATAL, 1); /* has nothing to report with */
	must_echo("0000:01:00.0", "sys/bus/pci/drivers/nvme/unbind");
	must_echo("vfio-pci", NVME "driver_override");
	must_echo("0000:01:00.0", VFIO "bind");
	pci_aer_receive(&nvme->pdev, PCI_AER_CORRECTABLE, PCI_ERR_COR_BAD_DLLP);
	counts("correctable", "BadDLLP 1\nRollover 0\n");
	pci_aer_receive(&nvme->pdev, PCI_AER_NONFATAL, PCI_ERR_UNC_COMP_TIME);
	wait_for_errors(1);
	assert_int_equal(nvme->bus_resets, 0);
	pci_aer_receive(&nvme->pdev, PCI_AER_FATAL, PCI_ERR_UNC_DLP);
	wait_for_errors(2);
	kernfs_lock(); /* the driver is told and the link reset with the tree locked */
	assert_int_equal(nvme->bus_resets, 1);
	kernfs_unlock();
	counts("fatal", "DLP 1\n");
	counts("fatal", "TOTAL_ERR_FATAL 1\n");
	kernfs_lock(); /* a report that nobody gets to before the device goes */
	pci_aer_receive(&nvme->pdev, PCI_AER_NONFATAL, PCI_ERR_UNC_UNSUP);
	pci_device_remove(&nvme->pdev);
	assert_int_equal(pci_device_add(&nvme->pdev, true), 0);
	kernfs_unlock();
}

/* ---- reset --------------------------------------------------------------------------------- */

static void test_reset_methods(void **state)
{
	assert_false(kernfs_exists(EDU "reset"));
	assert_false(kernfs_exists(EDU "reset_method"));
	must_contain(NVME "reset_method", "flr bus\n");
	must_contain(BIG "reset_method", "pm\n");
	must_fail("foo", NVME "reset_method", -EINVAL);
	must_fail("pm", NVME "reset_method", -EINVAL);
	must_echo("bus", NVME "reset_method");
	must_contain(NVME "reset_method", "bus\n");
	must_echo("1", NVME "reset");
	assert_int_equal(nvme->bus_resets, 1);
	must_echo("default", NVME "reset_method");
	must_contain(NVME "reset_method", "flr bus\n");
	must_echo("bus flr\n", NVME "reset_method");
	must_contain(NVME "reset_method", "bus flr\n");
	must_fail("0", NVME "reset", -EINVAL);
	must_fail("x", NVME "reset", -EINVAL);
	must_echo("1", NVME "reset");
	assert_int_equal(nvme->bus_resets, 2);
	attach_again();
	must_contain(NVME "reset_method", "bus flr\n"); /* the choice outlives the process */
	assert_int_equal(pci_reset_function(&nvme->pdev), 0);
	assert_int_equal(nvme->bus_resets, 1);
	must_echo("\n", NVME "reset_method");
	must_contain(NVME "reset_method", "");
	must_fail("1", NVME "reset", -ENOTTY);
	assert_false(pci_reset_supported(&nvme->pdev));
	assert_int_equal(pci_reset_function(&edu->pdev), -ENOTTY);
}

static void test_reset_keeps_state(void **state)
{
	pci_write_config_word(&nvme->pdev, nvme->exp_cap + PCI_EXP_DEVCTL, 0x2810);
	pci_enable_device(&nvme->pdev);
	pci_set_master(&nvme->pdev);
	assert_int_equal(command(nvme), 0x0107);
	assert_true(pci_reset_supported(&nvme->pdev));
	assert_int_equal(pci_reset_function(&nvme->pdev), 0);
	assert_int_equal(nvme->resets, 1);
	assert_int_equal(nvme->command_at_reset, PCI_COMMAND_INTX_DISABLE); /* quiet when it happened */
	assert_int_equal(command(nvme), 0x0107);
	assert_int_equal(fake_config_read(nvme, PCI_BASE_ADDRESS_0, 4), 0xfd000004);
	assert_int_equal(fake_config_read(nvme, PCI_INTERRUPT_LINE, 1), nvme->pdev.irq_line);
	assert_int_equal(fake_config_read(nvme, nvme->exp_cap + PCI_EXP_DEVCTL, 2), 0x2810);
	/* by power state */
	assert_int_equal(pci_reset_function(&big->pdev), 0);
	assert_int_equal(big->resets, 1);
	assert_int_equal(fake_config_read(big, PCI_BASE_ADDRESS_3, 4), 0x3800);
	assert_int_equal(fake_config_read(big, PCI_ROM_ADDRESS, 4), 0xfe140000);
}

/* Two devices behind one bridge: the bus resets neither, but the first was found alone, and its file says so. */
static void test_pair(void **state)
{
	struct fake_hw *a = fake_new("0000:02:01.0", 0x1234, 0x11e8, 0xff00, false);
	struct fake_hw *b = fake_new("0000:02:02.0", 0x1234, 0x11e8, 0xff00, false);
	struct fake_hw *bridge = fake_new("0000:00:1c.0", 0x1b36, 0xe, 0x060400, true);

	a->pdev.bridge = b->pdev.bridge = &bridge->pdev;
	fake_bar(a, 0, 1 << 20, 0);
	fake_bar(b, 0, 1 << 20, 0);
	fake_ready(a);
	fake_ready(b);
	fake_ready(bridge);
	kernfs_lock();
	assert_int_equal(pci_device_add(&bridge->pdev, false), 0);
	assert_int_equal(pci_device_add(&a->pdev, true), 0);
	must_contain(D "0000:02:01.0/reset_method", "bus\n");
	assert_int_equal(pci_reset_function(&a->pdev), 0);
	assert_int_equal(a->bus_resets, 1);
	assert_true(pci_alone_on_bus(&a->pdev));
	assert_int_equal(pci_device_add(&b->pdev, true), 0);
	must_contain(D "0000:02:01.0/reset_method", "bus\n");
	assert_false(kernfs_exists(D "0000:02:02.0/reset_method"));
	assert_false(kernfs_exists(D "0000:02:02.0/reset"));
	assert_int_equal(pci_reset_function(&a->pdev), -ENOTTY);
	assert_int_equal(pci_reset_function(&b->pdev), -ENOTTY);
	assert_int_equal(fake_config_read(bridge, PCI_MEMORY_BASE, 4), 0xfc10fc00);
	pci_bridge_secondary_bus_reset(&bridge->pdev); /* a hot reset hits both */
	assert_int_equal(a->bus_resets + b->bus_resets, 3);
	assert_int_equal(nvme->bus_resets, 0);
	pci_device_remove(&a->pdev);
	assert_int_equal(pci_reset_function(&b->pdev), -ENOTTY); /* alone, but it was found in company */
	pci_device_remove(&b->pdev);
	assert_int_equal(pci_device_add(&a->pdev, true), 0);
	assert_int_equal(pci_device_add(&b->pdev, true), 0);
	pci_device_remove(&b->pdev);
	assert_int_equal(pci_reset_function(&a->pdev), 0);
	assert_int_equal(pci_device_add(&b->pdev, true), 0);
	kernfs_unlock();
	must_echo("default", D "0000:02:01.0/reset_method");
	must_contain(D "0000:02:01.0/reset_method", "");
	must_fail("bus", D "0000:02:01.0/reset_method", -EINVAL);
	must_fail("1", D "0000:02:01.0/reset", -ENOTTY);
	kernfs_lock();
	pci_device_remove(&b->pdev);
	pci_device_remove(&a->pdev);
	pci_device_remove(&bridge->pdev);
	kernfs_unlock();
	free(a);
	free(b);
	free(bridge);
}

static struct fake_hw *physical_function(const char *name, struct fake_hw *above)
{
	struct fake_hw *hw = fake_new(name, 0x8086, 0x10c9, 0x020000, false);

	fake_express(hw, 0x80, true);
	fake_put(hw->config + 0x100, PCI_EXT_CAP_ID_ARI | 1 << 16 | 0x110u << 20, 4);
	fake_put(hw->config + 0x110, PCI_EXT_CAP_ID_SRIOV | 1 << 16, 4);
	fake_put(hw->config + 0x110 + PCI_SRIOV_TOTAL_VF, 4, 2);
	fake_writable(hw, 0x110 + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE | PCI_SRIOV_CTRL_ARI, 2);
	hw->pdev.bridge = above ? &above->pdev : NULL;
	fake_ready(hw);
	return hw;
}

/* A physical function is told of alternative routing where there is some: behind a port. */
static void test_ari(void **state)
{
	struct fake_hw *above = fake_new("0000:00:1c.0", 0x1b36, 0xc, 0x060400, true), *behind, *beside;

	fake_ready(above);
	behind = physical_function("0000:02:00.0", above);
	beside = physical_function("0000:00:1d.0", NULL);
	kernfs_lock();
	assert_int_equal(pci_device_add(&above->pdev, false), 0);
	assert_int_equal(pci_device_add(&behind->pdev, true), 0);
	assert_int_equal(pci_device_add(&beside->pdev, true), 0);
	kernfs_unlock();
	must_contain(D "0000:02:00.0/ari_enabled", "1\n");
	must_contain(D "0000:00:1d.0/ari_enabled", "0\n");
	assert_int_equal(fake_config_read(behind, 0x110 + PCI_SRIOV_CTRL, 2), PCI_SRIOV_CTRL_ARI);
	assert_int_equal(fake_config_read(beside, 0x110 + PCI_SRIOV_CTRL, 2), 0);
	assert_int_equal(pci_reset_function(&behind->pdev), 0);
	assert_int_equal(fake_config_read(behind, 0x110 + PCI_SRIOV_CTRL, 2), PCI_SRIOV_CTRL_ARI);
	kernfs_lock();
	pci_device_remove(&beside->pdev);
	pci_device_remove(&behind->pdev);
	pci_device_remove(&above->pdev);
	kernfs_unlock();
	free(beside);
	free(behind);
	free(above);
}

/* Memory behind a CXL port, which has to be told that a bus reset is meant. */
static void test_cxl_bus(void **state)
{
	struct fake_hw *memory = fake_new("0000:0d:00.0", 0x8086, 0x0d93, 0x050210, false);
	struct fake_hw *cxl_port = fake_new("0000:00:1c.0", 0x8086, 0x7075, 0x060400, true);

	fake_put(cxl_port->config + 0x100, PCI_EXT_CAP_ID_DVSEC | 1 << 16, 4);
	fake_put(cxl_port->config + 0x104, 0x02801e98, 4);
	fake_put(cxl_port->config + 0x108, 3, 2);
	fake_writable(cxl_port, 0x10c, 1, 2);
	memory->pdev.bridge = &cxl_port->pdev;
	fake_ready(memory);
	fake_ready(cxl_port);
	kernfs_lock();
	assert_int_equal(pci_device_add(&cxl_port->pdev, false), 0);
	assert_int_equal(pci_device_add(&memory->pdev, true), 0);
	kernfs_unlock();
	must_contain(D "0000:0d:00.0/reset_method", "cxl_bus\n");
	must_fail("bus", D "0000:0d:00.0/reset_method", -EINVAL);
	must_fail("cxl_bus", NVME "reset_method", -EINVAL); /* its port is of another kind */
	assert_int_equal(pci_reset_function(&memory->pdev), 0);
	assert_int_equal(memory->bus_resets, 1);
	assert_int_equal(fake_config_read(cxl_port, 0x10c, 2), 0); /* told for that reset alone */
	pci_write_config_word(&cxl_port->pdev, 0x10c, 1);
	must_echo("default", D "0000:0d:00.0/reset_method");
	must_contain(D "0000:0d:00.0/reset_method", "bus cxl_bus\n");
	fake_put(cxl_port->config + 0x100, PCI_EXT_CAP_ID_DVSEC | 1 << 16 | 0x100u << 20, 4); /* its list loops */
	fake_put(cxl_port->config + 0x108, 4, 2);
	must_fail("cxl_bus", D "0000:0d:00.0/reset_method", -EINVAL);
	kernfs_lock();
	pci_device_remove(&memory->pdev);
	pci_device_remove(&cxl_port->pdev);
	kernfs_unlock();
	free(memory);
	free(cxl_port);
}

/* ---- remove and rescan --------------------------------------------------------------------- */

static void test_remove_rescan(void **state)
{
	must_echo("1234 11e8 1af4 1100", VFIO "new_id");
	must_echo("foo", EDU "driver_override");
	must_echo("0", EDU "remove");
	must_fail("x", EDU "remove", -EINVAL);
	must_echo("1", EDU "remove");
	assert_false(kernfs_exists(D "0000:00:10.0"));
	assert_false(kernfs_exists(VFIO "0000:00:10.0"));
	assert_null(pci_get_device_by_name("0000:00:10.0"));
	must_fail("0000:00:10.0", VFIO "bind", -ENODEV);
	attach_again(); /* who comes now does not see it either */
	assert_null(pci_get_device_by_name("0000:00:10.0"));
	assert_false(kernfs_exists(D "0000:00:10.0"));
	must_echo("0", "sys/bus/pci/rescan");
	must_fail("x", "sys/bus/pci/rescan", -EINVAL);
	assert_null(pci_get_device_by_name("0000:00:10.0"));
	must_echo("1", "sys/bus/pci/rescan");
	assert_ptr_equal(pci_get_device_by_name("0000:00:10.0"), &edu->pdev);
	must_contain(EDU "vendor", "0x1234\n");
	must_contain(EDU "driver_override", "(null)\n");
	must_link(EDU "driver", "../../../bus/pci/drivers/vfio-pci"); /* by its id */
}

static void test_remove_bridge(void **state)
{
	must_echo("1", PORT "remove");
	assert_false(kernfs_exists(NVME "vendor"));
	assert_null(pci_get_device_by_name("0000:01:00.0"));
	must_echo("1", EDU "rescan");
	must_contain(NVME "vendor", "0x1b36\n");
	assert_string_equal(nvme->pdev.dev.driver->name, "nvme");
	must_contain(PORT "secondary_bus_number", "1\n");
}

static void in_child(const char *text, const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(echo(text, path) != (ssize_t)strlen(text));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_follow(void **state)
{
	device_sync();
	in_child("1234 11e8", VFIO "new_id");
	device_sync();
	assert_ptr_equal(edu->pdev.dev.driver, &vfio.driver);
	must_fail("1234 11e8", VFIO "new_id", -EEXIST);
	in_child("1", EDU "remove");
	vfio_busy = true; /* a program here has it open: it goes when that is over */
	device_sync();
	assert_ptr_equal(edu->pdev.dev.driver, &vfio.driver);
	vfio_busy = false;
	device_sync();
	assert_null(pci_get_device_by_name("0000:00:10.0"));
	in_child("1", "sys/bus/pci/rescan");
	device_sync();
	assert_ptr_equal(pci_get_device_by_name("0000:00:10.0"), &edu->pdev);
	assert_ptr_equal(edu->pdev.dev.driver, &vfio.driver);
	must_contain(EDU "vendor", "0x1234\n");
	must_echo("0000:00:10.0", VFIO "unbind");
}

/* A child of ours that holds an attribute open while the device goes. */
static void test_removed_while_open(void **state)
{
	struct file *file = kernfs_open_attr(EDU "driver_override", O_WRONLY);
	u64 pos = 0;

	assert_false(IS_ERR(file));
	must_echo("1", EDU "remove");
	assert_int_equal(file->f_op->write(file, "x", 1, &pos), -ENODEV);
	fput(file);
	must_echo("1", "sys/bus/pci/rescan");
}

#define BUS_0 "sys/devices/pci0000:00/pci_bus/0000:00/"
#define BUS_1 "sys/devices/pci0000:00/0000:00:11.0/pci_bus/0000:01/"

static void test_buses(void **state)
{
	must_link("sys/class/pci_bus/0000:00", "../../devices/pci0000:00/pci_bus/0000:00");
	must_link("sys/class/pci_bus/0000:01", "../../devices/pci0000:00/0000:00:11.0/pci_bus/0000:01");
	must_link(BUS_0 "device", "../../../pci0000:00");
	must_link(BUS_1 "device", "../../../0000:00:11.0");
	must_contain(BUS_1 "power/runtime_status", "unsupported\n");
	must_contain("sys/devices/pci0000:00/uevent", "");
	must_fail("x", BUS_1 "rescan", -EINVAL);
	must_echo("1", EDU "remove");
	must_echo("1", NVME "remove");
	must_echo("0", BUS_1 "rescan");
	assert_false(kernfs_exists(NVME));
	must_echo("1", BUS_1 "rescan");
	assert_true(kernfs_exists(NVME));
	assert_false(kernfs_exists(EDU)); /* it is on the other one */
	must_echo("1", BUS_0 "rescan");
	assert_true(kernfs_exists(EDU));
	must_echo("1", PORT "remove");
	assert_false(kernfs_exists("sys/class/pci_bus/0000:01"));
	attach_again();
	assert_false(kernfs_exists("sys/class/pci_bus/0000:01"));
	must_echo("1", BUS_0 "rescan");
	assert_true(kernfs_exists(BUS_1 "rescan"));
	assert_true(kernfs_exists(NVME));
}

static void test_irq_numbers(void **state)
{
	must_contain(EDU "irq", "10\n");
	must_echo("1", EDU "enable");
	must_contain(EDU "irq", "16\n"); /* slot 0x10, pin A */
	must_echo("0", EDU "enable");
	must_contain(EDU "irq", "16\n");
	assert_false(kernfs_exists(EDU "msi_irqs"));
	pci_show_messages(&edu->pdev, false, 0, 1);
	must_contain(EDU "msi_irqs/24", "msi\n");
	must_contain(EDU "irq", "24\n");
	pci_show_messages(&nvme->pdev, true, 0, 2);
	pci_show_messages(&nvme->pdev, true, 64, 1);
	assert_false(kernfs_exists(NVME "msi_irqs/24")); /* which is another's */
	must_contain(NVME "msi_irqs/25", "msix\n");
	must_contain(NVME "msi_irqs/26", "msix\n");
	must_contain(NVME "msi_irqs/89", "msix\n");
	assert_false(kernfs_exists(NVME "msi_irqs/27"));
	must_contain(NVME "irq", "17\n");
	pci_hide_messages(&nvme->pdev, true);
	pci_hide_messages(&edu->pdev, false);
	must_contain(EDU "irq", "16\n");
	must_contain(NVME "irq", "17\n");
	assert_true(kernfs_exists(NVME "msi_irqs"));
	assert_false(kernfs_exists(NVME "msi_irqs/25"));
	must_echo("0000:01:00.0", "sys/bus/pci/drivers/nvme/unbind");
	assert_false(kernfs_exists(NVME "msi_irqs"));
	attach_again();
	assert_int_equal(nvme->pdev.first_irq, 25);
	assert_int_equal(nvme->pdev.nr_irqs, 65);
}

static void test_reset_subordinate(void **state)
{
	assert_false(kernfs_exists(NVME "reset_subordinate"));
	must_fail("x", PORT "reset_subordinate", -EINVAL);
	must_echo("0", PORT "reset_subordinate");
	assert_int_equal(nvme->bus_resets, 0);
	pci_write_config_byte(&nvme->pdev, PCI_INTERRUPT_LINE, 0x5a);
	must_echo("1", PORT "reset_subordinate");
	assert_int_equal(nvme->bus_resets, 1);
	assert_int_equal(edu->bus_resets + port->bus_resets, 0);
	assert_int_equal(fake_config_read(nvme, PCI_INTERRUPT_LINE, 1), 0x5a);
	assert_int_equal(fake_config_read(nvme, PCI_BASE_ADDRESS_0, 4), 0xfd000004);
}

static void test_power_files(void **state)
{
	must_contain(NVME "power_state", "D0\n");
	pci_set_asleep(&nvme->pdev, true);
	pci_set_asleep(&edu->pdev, true);
	pci_show_power(&nvme->pdev);
	must_contain(NVME "power_state", "D0\n"); /* its control is on */
	must_contain(NVME "power/runtime_status", "active\n");
	pm_runtime_allow(&nvme->pdev.dev, true);
	pm_runtime_allow(&edu->pdev.dev, true);
	pci_show_power(&nvme->pdev);
	pci_show_power(&edu->pdev);
	must_contain(NVME "power_state", "D3hot\n");
	must_contain(NVME "power/runtime_status", "suspended\n");
	must_contain(EDU "power_state", "D0\n"); /* it has no other */
	must_contain(EDU "power/runtime_status", "suspended\n");
	must_echo("on", NVME "power/control");
	must_contain(NVME "power_state", "D0\n");
	must_contain(NVME "power/runtime_status", "active\n");
	must_echo("auto", NVME "power/control");
	must_contain(NVME "power_state", "D3hot\n");
	must_echo("on", BIG "power/control");
	must_contain(BIG "power/runtime_status", "active\n");
	must_echo("auto", BIG "power/control"); /* which has no driver */
	must_contain(BIG "power/runtime_status", "suspended\n");
	must_contain(BIG "power_state", "D0\n");
	must_fail("off", BIG "power/control", -EINVAL);
	pci_set_asleep(&nvme->pdev, false);
	pci_show_power(&nvme->pdev);
	must_contain(NVME "power_state", "D0\n");
	must_contain(NVME "power/runtime_status", "active\n");
}

/* A driver enables its device in each process; what a program did is once and for all. */
static void test_enabled_by_drivers(void **state)
{
	must_contain(NVME "enable", "1\n");
	attach_again();
	assert_int_equal(atomic_load(&nvme->pdev.enable_cnt), 1);
	assert_int_equal(atomic_load(&edu->pdev.enable_cnt), 0);
	must_echo("0000:01:00.0", "sys/bus/pci/drivers/nvme/unbind");
	must_contain(NVME "enable", "0\n");
	must_echo("1", EDU "enable");
	must_echo("1", EDU "remove");
	must_echo("1", "sys/bus/pci/rescan");
	must_contain(EDU "enable", "0\n");
	attach_again();
	assert_int_equal(atomic_load(&edu->pdev.enable_cnt), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_attributes),
		T(test_resources),
		T(test_no_space),
		T(test_empty_slot),
		T(test_config_access),
		T(test_capabilities),
		T(test_config_file),
		T(test_rom),
		T(test_new_id),
		T(test_new_id_is_the_machines),
		T(test_override),
		T(test_born_bound),
		T(test_attach),
		T(test_iommu_probe_hook),
		T(test_enable),
		T(test_power_state),
		T(test_switches),
		T(test_intx_bit),
		T(test_intx_masked_by_handler),
		T(test_errors),
		T(test_reset_methods),
		T(test_reset_keeps_state),
		T(test_pair),
		T(test_cxl_bus),
		T(test_ari),
		T(test_remove_rescan),
		T(test_remove_bridge),
		T(test_follow),
		T(test_removed_while_open),
		T(test_buses),
		T(test_irq_numbers),
		T(test_reset_subordinate),
		T(test_power_files),
		T(test_enabled_by_drivers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
