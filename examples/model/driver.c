/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver.c - a user-space driver for the checksum engine, and a test of it.  usage: driver [PCI address]
 *
 * Linux's headers only: it would drive the real device.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../vfio_user.h"
#include "crc.h"

#define IOVA 0x200000u
#define BYTES (64u << 10)

static volatile uint32_t *regs;
static int finished, failed; /* eventfds of the two vectors */

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "driver: %s: status 0x%x, %u bytes done\n", what, regs[CRC_STATUS / 4], regs[CRC_DONE / 4]);
	exit(1);
}

static void set_vectors(struct vfio_dev *dev)
{
	char buf[sizeof(struct vfio_irq_set) + 2 * sizeof(int)];
	struct vfio_irq_set *set = (void *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_PCI_MSIX_IRQ_INDEX;
	set->start = 0;
	set->count = NR_VECTORS;
	memcpy(set->data, (int[]){ finished, failed }, 2 * sizeof(int));
	if (ioctl(dev->device, VFIO_DEVICE_SET_IRQS, set))
		die("VFIO_DEVICE_SET_IRQS");
}

/* Start a job and wait for the interrupt that @efd stands for. */
static uint32_t run(enum crc_job job, uint64_t iova, uint32_t bytes, uint32_t seed, int efd)
{
	struct pollfd pfd = { .fd = efd, .events = POLLIN };
	uint64_t count;

	regs[CRC_ADDR_LO / 4] = (uint32_t)iova;
	regs[CRC_ADDR_HI / 4] = (uint32_t)(iova >> 32);
	regs[CRC_BYTES / 4] = bytes;
	regs[CRC_SEED / 4] = seed;
	regs[CRC_START / 4] = job;
	check(poll(&pfd, 1, 20000) == 1 && read(efd, &count, sizeof(count)) == sizeof(count), "no interrupt");
	return regs[CRC_RESULT / 4];
}

int main(int argc, char **argv)
{
	const char *bdf = argc > 1 ? argv[1] : "0000:01:00.0";
	struct vfio_dev dev;
	uint32_t whole, half, seed;
	uint8_t *mem;

	vfio_open(&dev, bdf);
	vfio_enable_master(&dev);
	regs = vfio_bar(&dev, VFIO_PCI_BAR0_REGION_INDEX);
	check(regs[CRC_ID / 4] == CRC_ID_VALUE, "this is no checksum engine");
	mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	finished = eventfd(0, EFD_CLOEXEC);
	failed = eventfd(0, EFD_CLOEXEC);
	if (mem == MAP_FAILED || finished < 0 || failed < 0)
		die("memory and eventfds");
	vfio_map(&dev, mem, IOVA, BYTES);
	set_vectors(&dev);

	memcpy(mem, "123456789", 9);
	whole = run(JOB_CRC, IOVA, 9, 0, finished);
	printf("CRC-32 of \"123456789\": 0x%08x\n", whole);
	check(whole == 0xcbf43926, "the check value of CRC-32 is 0xcbf43926");

	seed = run(JOB_RANDOM, IOVA, BYTES, 42, finished);
	check(memcmp(mem, mem + BYTES / 2, BYTES / 2) != 0, "random numbers repeat");
	whole = run(JOB_CRC, IOVA, BYTES, 0, finished);
	half = run(JOB_CRC, IOVA, BYTES / 2, 0, finished);
	check(run(JOB_CRC, IOVA + BYTES / 2, BYTES / 2, half, finished) == whole, "two halves make another CRC");
	printf("random: %u bytes, seed 0x%08x to go on with, CRC-32 0x%08x, the same in halves\n", BYTES, seed, whole);

	run(JOB_CRC, IOVA, BYTES + 1, 0, failed); /* one byte more than is mapped */
	check(regs[CRC_STATUS / 4] == CRC_FAILED && regs[CRC_DONE / 4] == BYTES, "a job beyond mapped memory");
	printf("a job that leaves mapped memory fails after %u bytes, by vector 1\n", regs[CRC_DONE / 4]);

	if (ioctl(dev.device, VFIO_DEVICE_RESET))
		die("VFIO_DEVICE_RESET");
	vfio_enable_master(&dev);
	check(regs[CRC_STATUS / 4] == 0 && regs[CRC_BYTES / 4] == 0, "reset leaves something behind");
	vfio_unmap(&dev, IOVA, BYTES);
	vfio_close(&dev);
	return 0;
}
