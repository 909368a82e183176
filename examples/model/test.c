/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test.c - a unit test of the checksum engine's driver: the machine is inside the test (softvfio/machine.h).
 *
 * usage: test PLUGIN.  It checks what a driver's test cannot check on real hardware: what happens when an
 * interrupt is lost, when DMA fails halfway, when the device is gone, and why a call was refused.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <softvfio/machine.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../vfio_user.h"
#include "crc.h"

#define BDF "0000:01:00.0"
#define IOVA 0x100000u
#define BYTES 65536u

static struct vfio_dev dev;
static volatile uint32_t *regs;
static int events[NR_VECTORS];

static void open_driver(uint8_t *mem)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(events)];
	struct vfio_irq_set *set = (void *)buf;

	vfio_open(&dev, BDF);
	vfio_enable_master(&dev);
	regs = vfio_bar(&dev, VFIO_PCI_BAR0_REGION_INDEX);
	vfio_map(&dev, mem, IOVA, BYTES);
	for (int i = 0; i < NR_VECTORS; i++)
		events[i] = eventfd(0, EFD_CLOEXEC);
	*set = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = NR_VECTORS };
	memcpy(set->data, events, sizeof(events));
	assert(!ioctl(dev.device, VFIO_DEVICE_SET_IRQS, set));
}

static void close_driver(void)
{
	munmap((void *)regs, dev.regions[0].size);
	vfio_close(&dev);
	for (int i = 0; i < NR_VECTORS; i++)
		close(events[i]);
}

/* Start a job.  Return: the vector that came; -ETIMEDOUT none. */
static int run(enum crc_job job, uint32_t bytes)
{
	struct pollfd pfd[NR_VECTORS] = { { .fd = events[0], .events = POLLIN }, { .fd = events[1], .events = POLLIN } };
	uint64_t count;

	regs[CRC_ADDR_LO / 4] = IOVA;
	regs[CRC_BYTES / 4] = bytes;
	regs[CRC_SEED / 4] = 0;
	regs[CRC_START / 4] = job;
	if (poll(pfd, NR_VECTORS, 300) < 1)
		return -ETIMEDOUT;
	for (int i = 0; i < NR_VECTORS; i++)
		if (pfd[i].revents && read(pfd[i].fd, &count, sizeof(count)) == sizeof(count))
			return i;
	return -EIO;
}

int main(int argc, char **argv)
{
	uint8_t *mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct softvfio *m = softvfio_new();
	struct softvfio_fault fault;
	struct softvfio_stats stats;

	if (argc != 2 || !m || softvfio_add(m, argv[1]) || softvfio_start(m, NULL)) {
		fprintf(stderr, "test: %s\n", m && softvfio_reason() ? softvfio_reason() : "usage: test PLUGIN");
		return 1;
	}
	open_driver(mem);
	memcpy(mem, "123456789", 9);
	assert(run(JOB_CRC, 9) == VECTOR_FINISHED);
	assert(regs[CRC_RESULT / 4] == 0xcbf43926);

	/* An interrupt is lost: the driver must find out by itself. */
	assert(!softvfio_inject(m, BDF, "lose-irq"));
	assert(run(JOB_CRC, 9) == -ETIMEDOUT);
	assert(regs[CRC_STATUS / 4] == CRC_FINISHED);

	/* DMA fails in the third page. */
	assert(!softvfio_inject(m, BDF, "dma-fault@3"));
	assert(run(JOB_CRC, BYTES) == VECTOR_FAILED);
	assert(regs[CRC_DONE / 4] == 2 * 4096);

	/* A job that leaves mapped memory: the IOMMU says where. */
	assert(run(JOB_RANDOM, BYTES + 1) == VECTOR_FAILED);
	assert(softvfio_faults_get(m, &fault, 1, sizeof(fault)) == 1);
	assert(fault.iova == IOVA + BYTES && fault.write && !strcmp(fault.device, BDF));

	/* A call is refused: why? */
	assert(ioctl(dev.container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) == -1);
	assert(softvfio_reason());
	printf("a second VFIO_SET_IOMMU: %s\n", softvfio_reason());

	/* The device is gone, and comes back. */
	assert(!softvfio_inject(m, BDF, "link-down"));
	assert(regs[CRC_ID / 4] == ~0u);
	assert(run(JOB_CRC, 9) == -ETIMEDOUT);
	assert(!softvfio_inject(m, BDF, "link-up"));
	assert(regs[CRC_ID / 4] == CRC_ID_VALUE);

	softvfio_stats_get(m, &stats, sizeof(stats));
	printf("%llu faults struck, %llu DMA faults, %llu interrupts\n", (unsigned long long)stats.injected,
	       (unsigned long long)stats.dma_faults, (unsigned long long)stats.interrupts);
	close_driver();
	assert(!softvfio_free(m));
	puts("all is well");
	return 0;
}
