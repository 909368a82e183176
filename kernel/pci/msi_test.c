/* SPDX-License-Identifier: BSD-3-Clause */
/* msi_test.c - vectors: asked for, programmed, signalled, taken away while they are signalled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/lib/err.h"
#include "kernel/pci/fake_hw.h"

#define MSI_CAP 0x40
#define MSIX_CAP 0x60
#define TABLE 0x800

static struct fake_hw *hw;

static int setup(void **state)
{
	hw = fake_new("0000:00:10.0", 0x1234, 0x11e8, 0xff00, false);
	fake_msi(hw, MSI_CAP, 3);
	fake_msix(hw, MSIX_CAP, 16, 0, TABLE);
	fake_ready(hw);
	hw->pdev.msi_cap = MSI_CAP;
	hw->pdev.msix_cap = MSIX_CAP;
	hw->pdev.pin = 1;
	hw->pdev.resource[0].size_bytes = 4096;
	return 0;
}

static int teardown(void **state)
{
	pci_free_irq_vectors(&hw->pdev);
	assert_null(hw->pdev.msi);
	free(hw);
	return 0;
}

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static u16 msi_flags(void)
{
	return (u16)fake_config_read(hw, MSI_CAP + PCI_MSI_FLAGS, 2);
}

static u16 msix_flags(void)
{
	return (u16)fake_config_read(hw, MSIX_CAP + PCI_MSIX_FLAGS, 2);
}

static u32 entry(unsigned vector, unsigned reg)
{
	return (u32)fake_bar_read(hw, 0, TABLE + 16 * vector + reg, 4);
}

/* The device sends what it was programmed with. */
static void send_msi(unsigned vector)
{
	u64 addr = fake_config_read(hw, MSI_CAP + PCI_MSI_ADDRESS_LO, 4);

	pci_msi_receive(addr, fake_config_read(hw, MSI_CAP + PCI_MSI_DATA_64, 2) | vector);
}

static void send_msix(unsigned vector)
{
	pci_msi_receive(entry(vector, 0) | (u64)entry(vector, 4) << 32, entry(vector, 8));
}

static void test_request_errnos(void **state)
{
	struct pci_dev *pdev = &hw->pdev;

	assert_int_equal(pci_msi_vec_count(pdev), 8);
	assert_int_equal(pci_msix_vec_count(pdev), 16);
	assert_int_equal(pci_alloc_irq_vectors(pdev, false, 9), -ENOSPC);
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 17), -ENOSPC);
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 0), -ERANGE);
	assert_int_equal(pci_request_irq(pdev, 0, count, NULL), -EINVAL);
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 16), 0);
	assert_int_equal(pci_alloc_irq_vectors(pdev, false, 1), -EINVAL);
	assert_int_equal(pci_request_irq(pdev, 16, count, NULL), -EINVAL);
	assert_int_equal(pci_request_irq(pdev, 15, count, NULL), 0);
	assert_int_equal(pci_request_irq(pdev, 15, count, NULL), -EBUSY);
	pci_free_irq(pdev, 15);
	pci_free_irq(pdev, 15);
	pci_free_irq(pdev, 99);
	pci_free_irq_vectors(pdev);
	pci_free_irq_vectors(pdev);
	pdev->msi_cap = pdev->msix_cap = 0;
	assert_int_equal(pci_msi_vec_count(pdev), 0);
	assert_int_equal(pci_alloc_irq_vectors(pdev, false, 1), -ENOSPC);
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 1), -ENOSPC);
}

static void test_bad_table(void **state)
{
	struct pci_dev *pdev = &hw->pdev;

	fake_put(hw->config + MSIX_CAP + PCI_MSIX_TABLE, 0xf80, 4); /* 16 entries from there leave the BAR */
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 1), -ENOMEM);
	fake_put(hw->config + MSIX_CAP + PCI_MSIX_TABLE, TABLE | 7, 4); /* there is no BAR 7 */
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 1), -ENOMEM);
	fake_put(hw->config + MSIX_CAP + PCI_MSIX_TABLE, TABLE, 4);
	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 1), 0);
}

static void test_msi(void **state)
{
	struct pci_dev *pdev = &hw->pdev;
	atomic_int got[3] = {0};
	u16 command;

	assert_int_equal(pci_alloc_irq_vectors(pdev, false, 3), 0);
	assert_int_equal(msi_flags() & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE),
			 PCI_MSI_FLAGS_ENABLE | 2 << 4);
	assert_int_equal(fake_config_read(hw, MSI_CAP + PCI_MSI_DATA_64, 2) & 3, 0);
	assert_int_equal(fake_config_read(hw, MSI_CAP + PCI_MSI_MASK_64, 4) & 7, 7); /* no handlers yet */
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	assert_true(command & PCI_COMMAND_INTX_DISABLE);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pci_request_irq(pdev, i, count, &got[i]), 0);
	assert_int_equal(fake_config_read(hw, MSI_CAP + PCI_MSI_MASK_64, 4) & 7, 0);
	send_msi(1);
	send_msi(2);
	send_msi(2);
	send_msi(3); /* the fourth that alignment gave: nobody */
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1], 1);
	assert_int_equal(got[2], 2);
	pci_free_irq(pdev, 1);
	assert_int_equal(fake_config_read(hw, MSI_CAP + PCI_MSI_MASK_64, 4) & 7, 2);
	send_msi(1);
	assert_int_equal(got[1], 1);
	pci_free_irq_vectors(pdev);
	assert_false(msi_flags() & PCI_MSI_FLAGS_ENABLE);
	send_msi(2);
	assert_int_equal(got[2], 2);
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	assert_false(command & PCI_COMMAND_INTX_DISABLE);
}

static void test_msix(void **state)
{
	struct pci_dev *pdev = &hw->pdev;
	atomic_int got[4] = {0};

	assert_int_equal(pci_alloc_irq_vectors(pdev, true, 4), 0);
	assert_int_equal(msix_flags() & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL),
			 PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(entry(i, 12), PCI_MSIX_ENTRY_CTRL_MASKBIT);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pci_request_irq(pdev, i, count, &got[i]), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(entry(i, 12), 0);
		for (unsigned n = 0; n <= i; n++)
			send_msix(i);
		assert_int_equal(got[i], i + 1);
	}
	/* a reset wipes the table and the flags; what had handlers has them again */
	pci_free_irq(pdev, 2);
	memset(hw->bar[0], 0, sizeof(hw->bar[0]));
	fake_reset(hw, false);
	assert_false(msix_flags() & PCI_MSIX_FLAGS_ENABLE);
	pci_restore_msi(pdev);
	assert_true(msix_flags() & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(entry(2, 12), PCI_MSIX_ENTRY_CTRL_MASKBIT);
	assert_int_equal(entry(3, 12), 0);
	send_msix(3);
	assert_int_equal(got[3], 5);
	pci_free_irq_vectors(pdev);
	assert_false(msix_flags() & PCI_MSIX_FLAGS_ENABLE);
	pci_restore_msi(pdev); /* nothing enabled: nothing happens */
	assert_false(msix_flags() & PCI_MSIX_FLAGS_ENABLE);
}

static void test_stray(void **state)
{
	pci_msi_receive(0xfee00000, ~0u);
	pci_msi_receive(0xfee00000, 65535);
	pci_msi_receive(0x1000, 0);
	pci_msi_receive(~0ull, 0);
}

/* 65536 numbers: asking for more than are left fails, and giving back makes room. */
static void test_exhaustion(void **state)
{
	enum { MANY = 65536 / 2048 };
	struct fake_hw *many[MANY];
	unsigned i;

	for (i = 0; i < MANY; i++) {
		many[i] = fake_new("0000:00:10.0", 0x1234, 0x11e8, 0xff00, false);
		fake_msix(many[i], MSIX_CAP, 2048, 0, 0);
		many[i]->pdev.msix_cap = MSIX_CAP;
		many[i]->pdev.resource[0].size_bytes = 65536;
		assert_int_equal(pci_alloc_irq_vectors(&many[i]->pdev, true, 2048), 0);
	}
	assert_int_equal(pci_alloc_irq_vectors(&hw->pdev, false, 1), -ENOSPC);
	pci_free_irq_vectors(&many[7]->pdev);
	assert_int_equal(pci_alloc_irq_vectors(&hw->pdev, false, 8), 0);
	for (i = 0; i < MANY; i++) {
		pci_free_irq_vectors(&many[i]->pdev);
		free(many[i]);
	}
}

/* ---- taken away while it is signalled ------------------------------------------------------ */

static atomic_bool stop;
static atomic_int inside;

static void slow_handler(void *arg)
{
	atomic_int *alive = arg;

	atomic_fetch_add(&inside, 1);
	assert_int_equal(*alive, 1);
	usleep(50);
	assert_int_equal(*alive, 1); /* still, when we leave */
	atomic_fetch_sub(&inside, 1);
}

static void *signaller(void *arg)
{
	while (!stop)
		send_msix(0);
	return NULL;
}

static void test_free_waits(void **state)
{
	pthread_t threads[2];

	assert_int_equal(pci_alloc_irq_vectors(&hw->pdev, true, 1), 0);
	stop = false;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, signaller, NULL), 0);
	for (int round = 0; round < 60; round++) {
		atomic_int *alive = malloc(sizeof(*alive));

		atomic_init(alive, 1);
		assert_int_equal(pci_request_irq(&hw->pdev, 0, slow_handler, alive), 0);
		usleep(100);
		pci_free_irq(&hw->pdev, 0);
		assert_int_equal(inside, 0);
		*alive = 0;
		free(alive);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* ---- the pin ------------------------------------------------------------------------------- */

static void test_intx(void **state)
{
	struct pci_dev *pdev = &hw->pdev;
	atomic_int got = 0;

	pci_intx_receive(pdev); /* nobody listens */
	assert_int_equal(pci_request_intx(pdev, count, &got), 0);
	assert_int_equal(pci_request_intx(pdev, count, &got), -EBUSY);
	assert_int_equal(got, 0);
	pci_intx_receive(pdev);
	assert_int_equal(got, 1);
	pci_free_intx(pdev);
	pci_intx_receive(pdev);
	assert_int_equal(got, 1);
	/* a level that is high already */
	hw->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	assert_int_equal(pci_request_intx(pdev, count, &got), 0);
	assert_int_equal(got, 2);
	pci_free_intx(pdev);
	pci_intx(pdev, false); /* but not while it is disabled */
	assert_int_equal(pci_request_intx(pdev, count, &got), 0);
	assert_int_equal(got, 2);
	pci_free_intx(pdev);
	pdev->pin = 0;
	assert_int_equal(pci_request_intx(pdev, count, &got), -EINVAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_request_errnos), T(test_bad_table),  T(test_msi),	T(test_msix),
		T(test_stray),		T(test_exhaustion), T(test_free_waits), T(test_intx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
