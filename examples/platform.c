/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform.c - two devices without PCI: platdev of softvfio on the platform bus, and ARM's PL330 DMA
 * controller on the AMBA bus.  usage: platform [-i] NAME... ("platdev.0", "2c000000.dma"); -i: by iommufd
 *
 * What differs from PCI: registers are regions, not BARs; there is neither config space nor bus
 * mastering; each interrupt is an index of its own, and one that is a level masks itself until the
 * program unmasks it.
 *
 * Registers: softvfio, hw/platdev/regs.h; ARM CoreLink DMA-330 Technical Reference Manual (DDI 0424).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vfio_user.h"

#define IOVA 0x100000u
#define BYTES 4096u

static struct vfio_dev dev;
static volatile uint8_t *regs;
static uint8_t *mem; /* at IOVA: source, destination, program */

static uint32_t rd(unsigned off)
{
	return *(volatile uint32_t *)(regs + off);
}

static void wr(unsigned off, uint32_t value)
{
	*(volatile uint32_t *)(regs + off) = value;
}

static void wrong(const char *what)
{
	errno = 0;
	die(what);
}

static void wait_interrupt(int efd, const char *which)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, 5000) != 1 || read(efd, &count, sizeof(count)) != sizeof(count))
		wrong(which);
}

static void must_be_quiet(int efd, const char *which)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };

	if (poll(&p, 1, 50))
		wrong(which);
}

static void check_copy(const char *who)
{
	if (memcmp(mem, mem + BYTES, BYTES))
		wrong("DMA: the copy differs");
	printf("%s: %u bytes copied, equal\n", who, BYTES);
}

/* ---- platdev ------------------------------------------------------------------------------- */

enum {
	PLATDEV_ID = 0x00,
	PLATDEV_SCRATCH = 0x08,
	PLATDEV_RESETS = 0x0c,
	PLATDEV_IRQ_STATUS = 0x10,
	PLATDEV_IRQ_RAISE = 0x14, /* 1 edge, 2 level */
	PLATDEV_IRQ_ACK = 0x18,
	PLATDEV_DMA_SRC = 0x20,
	PLATDEV_DMA_DST = 0x28,
	PLATDEV_DMA_LEN = 0x30,
	PLATDEV_DMA_CMD = 0x34,
	PLATDEV_DMA_STATUS = 0x38,
	PLATDEV_MEMORY = 0x1000,
	PLATDEV_COPIES = 0x04, /* of region 1 */
};
enum { PLATDEV_EDGE, PLATDEV_LEVEL }; /* interrupts */

static void small_region(const char *name)
{
	const struct vfio_region_info *r = &dev.regions[2];
	uint8_t out[7] = { 1, 2, 3, 4, 5, 6, 7 }, in[7];

	if (r->flags & VFIO_REGION_INFO_FLAG_MMAP)
		wrong("a region smaller than a page is said to be mappable");
	if (mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, dev.device, (off_t)r->offset) != MAP_FAILED)
		wrong("a region smaller than a page can be mapped");
	if (pwrite(dev.device, out, 7, (off_t)r->offset + 1) != 7 || pread(dev.device, in, 7, (off_t)r->offset + 1) != 7)
		die("pread and pwrite of region 2");
	if (memcmp(in, out, 7))
		wrong("region 2 did not keep what was written");
	printf("%s: %llu bytes of region 2 by read and write only\n", name, (unsigned long long)r->size);
}

static void read_only_region(const char *name)
{
	const struct vfio_region_info *r = &dev.regions[1];
	volatile uint32_t *counters = vfio_bar(&dev, 1);
	uint32_t copies = 7;

	if (pwrite(dev.device, &copies, 4, (off_t)r->offset + PLATDEV_COPIES) != -1 || errno != EINVAL)
		wrong("a read-only region can be written");
	if (mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, dev.device, (off_t)r->offset) != MAP_FAILED)
		wrong("a read-only region can be mapped for writing");
	printf("%s: read-only region says %u copies\n", name, counters[PLATDEV_COPIES / 4]);
	munmap((void *)(uintptr_t)counters, r->size);
}

static void edge_interrupt(const char *name)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	vfio_irq_eventfd(&dev, PLATDEV_EDGE, efd);
	wr(PLATDEV_IRQ_RAISE, 1);
	wait_interrupt(efd, "no edge interrupt came");
	wr(PLATDEV_IRQ_RAISE, 1);
	wait_interrupt(efd, "no second edge came");
	printf("%s: edge interrupt\n", name);
	vfio_irq_eventfd(&dev, PLATDEV_EDGE, -1);
	close(efd);
}

static void level_interrupt(const char *name)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	vfio_irq_eventfd(&dev, PLATDEV_LEVEL, efd);
	wr(PLATDEV_IRQ_RAISE, 2);
	wait_interrupt(efd, "no level interrupt came");
	must_be_quiet(efd, "the level interrupt was not masked by itself");
	vfio_irq_unmask(&dev, PLATDEV_LEVEL); /* not served yet: it comes again */
	wait_interrupt(efd, "the level is high, but unmasking it did not signal");
	wr(PLATDEV_IRQ_ACK, ~0u);
	vfio_irq_unmask(&dev, PLATDEV_LEVEL);
	must_be_quiet(efd, "the level is low, but unmasking it signalled");
	printf("%s: level interrupt, masked by itself until unmasked\n", name);
	vfio_irq_eventfd(&dev, PLATDEV_LEVEL, -1);
	close(efd);
}

static void drive_platdev(const char *name)
{
	if (rd(PLATDEV_ID) != 0x54444c50)
		wrong("that is no platdev");
	wr(PLATDEV_SCRATCH, 0x12345678);
	wr(PLATDEV_MEMORY, 0x9abcdef0); /* plain memory of the device */
	if (rd(PLATDEV_SCRATCH) != 0x12345678 || rd(PLATDEV_MEMORY) != 0x9abcdef0)
		wrong("registers do not keep what was written");
	small_region(name);
	edge_interrupt(name);
	level_interrupt(name);
	*(volatile uint64_t *)(regs + PLATDEV_DMA_SRC) = IOVA;
	*(volatile uint64_t *)(regs + PLATDEV_DMA_DST) = IOVA + BYTES;
	wr(PLATDEV_DMA_LEN, BYTES);
	wr(PLATDEV_DMA_CMD, 1);
	if (rd(PLATDEV_DMA_STATUS) != 1)
		wrong("DMA: platdev has a fault");
	check_copy(name);
	read_only_region(name);
	if (!(dev.flags & VFIO_DEVICE_FLAGS_RESET))
		return;
	if (ioctl(dev.device, VFIO_DEVICE_RESET))
		die("DEVICE_RESET");
	if (rd(PLATDEV_SCRATCH) || rd(PLATDEV_MEMORY))
		wrong("the reset left something behind");
	printf("%s: reset\n", name);
}

/* ---- PL330 --------------------------------------------------------------------------------- */

enum {
	PL330_INTEN = 0x020,
	PL330_INTMIS = 0x028,
	PL330_INTCLR = 0x02c,
	PL330_FSRC = 0x034,
	PL330_FTR0 = 0x040,
	PL330_CSR0 = 0x100,
	PL330_DBGSTATUS = 0xd00,
	PL330_DBGCMD = 0xd04,
	PL330_DBGINST0 = 0xd08,
	PL330_DBGINST1 = 0xd0c,
	PL330_PERIPH_ID0 = 0xfe0,
	PROGRAM = 2 * BYTES, /* in mem */
};

static uint8_t *put_mov(uint8_t *p, uint8_t reg, uint32_t value)
{
	*p++ = 0xbc; /* DMAMOV */
	*p++ = reg;
	memcpy(p, &value, 4);
	return p + 4;
}

/* BYTES in bursts of 128; then event 0. */
static void write_program(uint8_t *p)
{
	const uint32_t burst = 1u | 3u << 1 | 15u << 4 | 2u << 8; /* incrementing, 8 bytes, 16 times, non-secure */
	uint8_t *loop;

	p = put_mov(p, 1, burst | burst << 14);
	p = put_mov(p, 0, IOVA);
	p = put_mov(p, 2, IOVA + BYTES);
	*p++ = 0x20; /* DMALP */
	*p++ = BYTES / 128 - 1;
	loop = p;
	*p++ = 0x04; /* DMALD */
	*p++ = 0x08; /* DMAST */
	*p = 0x38; /* DMALPEND */
	p[1] = (uint8_t)(p - loop);
	p += 2;
	*p++ = 0x13; /* DMAWMB */
	*p++ = 0x34; /* DMASEV */
	*p++ = 0 << 3;
	*p = 0x00; /* DMAEND */
}

static void start_channel(unsigned channel, uint32_t iova)
{
	while (rd(PL330_DBGSTATUS) & 1)
		;
	wr(PL330_DBGINST0, channel << 24 | 0xa2u << 16); /* DMAGO, non-secure, by the manager */
	wr(PL330_DBGINST1, iova);
	wr(PL330_DBGCMD, 0);
}

static void drive_pl330(const char *name)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t id = 0;

	for (unsigned i = 0; i < 4; i++)
		id |= (rd(PL330_PERIPH_ID0 + 4 * i) & 0xff) << 8 * i;
	if ((id & 0xfffff) != 0x41330)
		wrong("that is no PL330");
	printf("%s: peripheral id 0x%08x\n", name, id);
	write_program(mem + PROGRAM);
	vfio_irq_eventfd(&dev, 0, efd);
	wr(PL330_INTEN, 1);
	start_channel(0, IOVA + PROGRAM);
	wait_interrupt(efd, "no interrupt came from the PL330");
	if (rd(PL330_INTMIS) != 1 || rd(PL330_FSRC))
		wrong("PL330: a fault, or another interrupt");
	wr(PL330_INTCLR, 1);
	vfio_irq_unmask(&dev, 0);
	must_be_quiet(efd, "the interrupt was cleared, but came again");
	check_copy(name);
	/* What is not mapped cannot be fetched: the channel faults, and says so. */
	start_channel(1, 0x40000000);
	for (unsigned i = 0; i < 5000 && !rd(PL330_FSRC); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	printf("%s: channel 1 has fault type 0x%x\n", name, rd(PL330_FTR0 + 4));
	if (ioctl(dev.device, VFIO_DEVICE_RESET) != -1 || errno != EINVAL)
		wrong("a PL330 can be reset?");
	vfio_irq_eventfd(&dev, 0, -1);
	close(efd);
}

/* ---- both ---------------------------------------------------------------------------------- */

static void drive(const char *name, int by_iommufd)
{
	mem = mmap(NULL, 3 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	for (unsigned i = 0; i < BYTES; i++)
		mem[i] = (uint8_t)(i * 7 + 1);
	if (by_iommufd)
		vfio_open_iommufd(&dev, name);
	else
		vfio_open(&dev, name);
	vfio_map(&dev, mem, IOVA, 3 * BYTES);
	regs = vfio_bar(&dev, 0);
	if (dev.flags & VFIO_DEVICE_FLAGS_AMBA)
		drive_pl330(name);
	else if (dev.flags & VFIO_DEVICE_FLAGS_PLATFORM)
		drive_platdev(name);
	else
		wrong("that is no platform device");
	munmap((void *)(uintptr_t)regs, dev.regions[0].size);
	vfio_unmap(&dev, IOVA, 3 * BYTES);
	vfio_close(&dev);
	munmap(mem, 3 * BYTES);
}

int main(int argc, char **argv)
{
	const int by_iommufd = argc > 1 && !strcmp(argv[1], "-i");

	if (argc < 2 + by_iommufd) {
		fprintf(stderr, "usage: platform [-i] NAME...\n");
		return 2;
	}
	for (int i = 1 + by_iommufd; i < argc; i++)
		drive(argv[i], by_iommufd);
	return 0;
}
