/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_nomem_test.c - each allocation fails in turn while a machine is built, used and torn down.
 *
 * What fails says ENOMEM; what follows may find a device missing; nothing crashes, and a leak checker finds nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/nomem_test.h"
#include "kernel/pci/fake_hw.h"

static const struct pci_device_id all_ids[] = {{PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID}, {0}};
static const struct pci_device_id no_ids[] = {{0}};

static bool works(int err)
{
	if (err)
		assert_int_equal(err, -ENOMEM);
	return !err;
}

static ssize_t echo(const char *text, const char *path)
{
	struct file *file = kernfs_open_attr(path, O_WRONLY);
	u64 pos = 0;
	ssize_t ret;

	if (!file)
		return -ENOENT;
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = file->f_op->write(file, text, strlen(text), &pos);
	fput(file);
	return ret;
}

static void count(void *arg) {}

static void use(struct fake_hw *hw)
{
	echo("other", "sys/devices/pci0000:00/0000:00:10.0/driver_override");
	echo("0000:00:10.0", "sys/bus/pci/drivers/taker/unbind");
	echo("0000:00:10.0", "sys/bus/pci/drivers_probe");
	echo("1234 11e8", "sys/bus/pci/drivers/other/new_id");
	echo("1", "sys/devices/pci0000:00/0000:00:10.0/remove");
	echo("1", "sys/bus/pci/rescan");
	echo("1234 11e8", "sys/bus/pci/drivers/other/remove_id");
	if (works(pci_alloc_irq_vectors(&hw->pdev, false, 1))) {
		works(pci_request_irq(&hw->pdev, 0, count, NULL));
		works(pci_reset_function(&hw->pdev) == -ENOTTY ? 0 : -EIO);
		pci_free_irq_vectors(&hw->pdev);
	}
}

static void session(const char *dir, struct fake_hw *hw, struct fake_hw *port)
{
	bool port_added = false, hw_added = false, bus = false;

	if (!works(kernfs_open(dir, true)))
		return;
	kernfs_lock();
	bus = works(pci_bus_init());
	if (bus && works(pci_host_driver_register("other", no_ids)) &&
	    works(pci_host_driver_register("taker", all_ids))) {
		port_added = works(pci_device_add(&port->pdev, false));
		hw_added = port_added && works(pci_device_add(&hw->pdev, false));
	}
	kernfs_created();
	kernfs_unlock();
	if (hw_added)
		use(hw);
	kernfs_close();
	kernfs_lock();
	if (hw_added)
		pci_device_remove(&hw->pdev);
	if (port_added)
		pci_device_remove(&port->pdev);
	if (bus)
		pci_bus_exit();
	kernfs_unlock();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void test_each_fails(void **state)
{
	long n = 0;
	bool failed;

	do {
		struct fake_hw *hw = fake_new("0000:00:10.0", 0x1234, 0x11e8, 0xff00, false);
		struct fake_hw *port = fake_new("0000:00:11.0", 0x1b36, 0xc, 0x060400, true);
		char dir[64];

		fake_bar(hw, 0, 4096, 0);
		fake_msi(hw, 0x40, 0);
		fake_ready(hw);
		fake_ready(port);
		/* Hundreds of trees: in memory, if we may. */
		snprintf(dir, sizeof(dir), "%s/pci_nomem_test.XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		assert_non_null(mkdtemp(dir));
		nomem_begin((u32)++n);
		session(dir, hw, port);
		failed = nomem_end();
		free(hw);
		free(port);
		assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	} while (failed);
	assert_true(n > 50); /* or it tested nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_fails)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
