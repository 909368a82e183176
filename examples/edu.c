/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * edu.c - the classic user-space driver, on QEMU's educational device: registers, DMA both ways, and
 * an MSI that arrives through epoll.
 *
 * usage: edu [-i] [PCI address]	-i: by iommufd and the device's own node, not by its group
 *
 * Registers: QEMU, "EDU device" (docs/specs/edu).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vfio_user.h"

enum {
	EDU_ID = 0x00,
	EDU_LIVENESS = 0x04,
	EDU_FACTORIAL = 0x08,
	EDU_STATUS = 0x20,
	EDU_IRQ_STATUS = 0x24,
	EDU_IRQ_RAISE = 0x60,
	EDU_IRQ_ACK = 0x64,
	EDU_DMA_SRC = 0x80,
	EDU_DMA_DST = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_CMD = 0x98,
};
#define EDU_ID_LOW 0x00edu /* above it the version */
#define EDU_STATUS_COMPUTING 0x01u
#define EDU_DMA_START 0x1u
#define EDU_DMA_FROM_DEVICE 0x2u
#define EDU_DMA_IRQ 0x4u
#define EDU_BUFFER 0x40000u
#define IOVA 0x100000u
#define ADDR_MAX 0xfffffffu /* the device has 28 bits */
#define BYTES 4096u

static volatile uint8_t *regs;

static uint32_t rd(unsigned off)
{
	return *(volatile uint32_t *)(regs + off);
}

static void wr(unsigned off, uint32_t value)
{
	*(volatile uint32_t *)(regs + off) = value;
}

static void wr64(unsigned off, uint64_t value)
{
	*(volatile uint64_t *)(regs + off) = value;
}

/* Wait until the bits of a register are clear, ten seconds at most. */
static void wait_clear(unsigned off, uint32_t bits)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	for (int i = 0; i < 100000; i++) {
		if (!(rd(off) & bits))
			return;
		nanosleep(&pause, NULL);
	}
	errno = ETIMEDOUT;
	die("the device does not finish");
}

static void dma(uint64_t src, uint64_t dst, unsigned flags)
{
	wr64(EDU_DMA_SRC, src);
	wr64(EDU_DMA_DST, dst);
	wr64(EDU_DMA_COUNT, BYTES);
	wr64(EDU_DMA_CMD, EDU_DMA_START | flags);
}

static void wait_interrupt(int epoll, int efd)
{
	struct epoll_event ev;
	uint64_t count;

	if (epoll_wait(epoll, &ev, 1, 10000) != 1 || read(efd, &count, sizeof(count)) != sizeof(count))
		die("the interrupt does not come");
}

int main(int argc, char **argv)
{
	struct vfio_dev dev;
	struct epoll_event ev = { .events = EPOLLIN };
	bool by_iommufd = false;
	uint64_t iova;

	for (int c; (c = getopt(argc, argv, "i")) != -1;) {
		if (c != 'i') {
			fprintf(stderr, "usage: edu [-i] [PCI address]\n");
			return 2;
		}
		by_iommufd = true;
	}
	const char *bdf = optind < argc ? argv[optind] : "0000:01:00.0";

	if (by_iommufd)
		vfio_open_iommufd(&dev, bdf);
	else
		vfio_open(&dev, bdf);
	vfio_enable_master(&dev);
	regs = vfio_bar(&dev, VFIO_PCI_BAR0_REGION_INDEX);
	if ((rd(EDU_ID) & 0xffff) != EDU_ID_LOW) {
		fprintf(stderr, "%s is no edu: its first register is 0x%08x\n", bdf, rd(EDU_ID));
		return 1;
	}
	printf("%s: id 0x%08x\n", bdf, rd(EDU_ID));
	wr(EDU_LIVENESS, 0x12345678);
	printf("liveness: ~0x12345678 = 0x%08x\n", rd(EDU_LIVENESS));
	wr(EDU_FACTORIAL, 10);
	wait_clear(EDU_STATUS, EDU_STATUS_COMPUTING);
	printf("factorial: 10! = %u\n", rd(EDU_FACTORIAL));

	uint8_t *mem = vfio_dma_alloc(&dev, 2 * BYTES, IOVA, ADDR_MAX, &iova);
	for (unsigned i = 0; i < BYTES; i++)
		mem[i] = (uint8_t)(i * 7 + 3);

	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
	if (efd < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, efd, &ev))
		die("eventfd");
	vfio_irq_eventfd(&dev, VFIO_PCI_MSI_IRQ_INDEX, efd);

	dma(iova, EDU_BUFFER, 0);
	wait_clear(EDU_DMA_CMD, EDU_DMA_START);
	dma(EDU_BUFFER, iova + BYTES, EDU_DMA_FROM_DEVICE | EDU_DMA_IRQ);
	wait_interrupt(epoll, efd);
	printf("interrupt: status 0x%x, by MSI through epoll\n", rd(EDU_IRQ_STATUS));
	wr(EDU_IRQ_ACK, rd(EDU_IRQ_STATUS));
	if (memcmp(mem, mem + BYTES, BYTES)) {
		errno = 0;
		die("DMA: what came back differs from what was sent");
	}
	printf("DMA: %u bytes to the device and back, equal\n", BYTES);

	vfio_irq_eventfd(&dev, VFIO_PCI_MSI_IRQ_INDEX, -1);
	vfio_dma_free(&dev, mem, 2 * BYTES, iova);
	munmap((void *)regs, dev.regions[0].size);
	vfio_close(&dev);
	return 0;
}
