/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pointers.c - a device that is given pointers: it works in the program's own addresses, and asks for a page when it
 * meets one that it may not use yet.
 *
 * usage: pointers [PCI address]	of a pcitest, behind an IOMMU that knows PASIDs and page requests
 *
 * By iommufd.  What the device sends with PASID 1 goes through a page table of its own, empty at first.  A page that
 * is not there becomes a page request (PCI Express PRI), which the kernel hands on in a fault queue: the program
 * maps the page, at the address that it has itself, and answers; the device goes on.  So nothing is mapped, and
 * pinned, but what is used.
 *
 * Registers of the device: hw/pcitest/regs.h.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio_user.h"

enum { ID = 0x00, DMA_SRC = 0x20, DMA_DST = 0x28, DMA_LEN = 0x30, DMA_STATUS = 0x34, DMA_PASID = 0x50, DMA_MODE = 0x54 };
enum { ON_DEMAND = 2, WITH_INTERRUPT = 8 }; /* DMA_MODE; the interrupt's vector is 0 */
#define IS_PCITEST 0x7e570001u
#define PASID 1u
#define PAGE 4096ull
#define BYTES 20000u
#define REQUESTS 32 /* pages in a group at most: as many as BYTES have, and more */

static struct vfio_dev dev;
static volatile uint8_t *regs;
static uint32_t space;		/* the IOAS of the PASID */
static int faults, done;	/* descriptors: page requests come in, the interrupt */
static char *from, *to;		/* what the device may use: BYTES of ordinary memory each */
static unsigned pages;		/* that it has been given */

static void wr(unsigned off, uint32_t value) { *(volatile uint32_t *)(regs + off) = value; }
static void wr64(unsigned off, uint64_t value) { *(volatile uint64_t *)(regs + off) = value; }
static uint32_t rd(unsigned off) { return *(volatile uint32_t *)(regs + off); }

static void call(unsigned long request, void *arg, const char *what)
{
	if (ioctl(dev.iommufd, request, arg))
		die(what);
}

/* ---- page tables ---- */

static uint32_t page_table(uint32_t ioas, uint32_t fault_id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_PASID | (fault_id ? IOMMU_HWPT_FAULT_ID_VALID : 0),
		.dev_id = dev.devid, .pt_id = ioas, .fault_id = fault_id,
	};

	call(IOMMU_HWPT_ALLOC, &alloc, "HWPT_ALLOC: does the IOMMU know PASIDs? (softvfio run --iommu intel,features=full)");
	return alloc.out_hwpt_id;
}

static void attach(uint32_t table, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt at = {
		.argsz = sizeof(at), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = table, .pasid = pasid,
	};

	if (ioctl(dev.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at))
		die("DEVICE_ATTACH_IOMMUFD_PT");
}

/* The device itself too needs a table that leaves room for PASIDs. */
static void make_tables(void)
{
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

	call(IOMMU_FAULT_QUEUE_ALLOC, &queue, "FAULT_QUEUE_ALLOC");
	faults = (int)queue.out_fault_fd;
	call(IOMMU_IOAS_ALLOC, &ioas, "IOAS_ALLOC");
	space = ioas.out_ioas_id;
	attach(page_table(dev.ioas, 0), 0);
	attach(page_table(space, queue.out_fault_id), PASID);
}

/* ---- page requests ---- */

static bool lies_in(uint64_t page, const char *buf)
{
	return page + PAGE > (uintptr_t)buf && page < (uintptr_t)buf + BYTES;
}

/* The page that the device asks for: ours to give? */
static bool give(uint64_t page)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map), .ioas_id = space, .user_va = page, .iova = page, .length = PAGE,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
	};

	if (!lies_in(page, from) && !lies_in(page, to))
		return false;
	if (ioctl(dev.iommufd, IOMMU_IOAS_MAP, &map) && errno != EEXIST)
		die("IOAS_MAP");
	pages++;
	return true;
}

/* Requests come in groups, the last one says so; the group has one answer. */
static void serve(void)
{
	struct iommu_hwpt_pgfault fault[REQUESTS];
	ssize_t n = read(faults, fault, sizeof(fault));
	static bool all = true;

	if (n < 0)
		die("read of page requests");
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(fault[0]); i++) {
		all &= give(fault[i].addr);
		if (fault[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) {
			struct iommu_hwpt_page_response answer = {
				.cookie = fault[i].cookie, .code = all ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID,
			};

			if (write(faults, &answer, sizeof(answer)) != sizeof(answer))
				die("write of an answer");
			all = true;
		}
	}
}

/* ---- the device at work ---- */

/* Its interrupt says that it is done; until then it may ask. */
static uint32_t copy(const void *src, void *dst)
{
	struct pollfd waiting[] = { { .fd = faults, .events = POLLIN }, { .fd = done, .events = POLLIN } };
	uint64_t count;

	wr(DMA_PASID, PASID);
	wr(DMA_MODE, ON_DEMAND | WITH_INTERRUPT);
	wr64(DMA_SRC, (uintptr_t)src);
	wr64(DMA_DST, (uintptr_t)dst);
	wr(DMA_LEN, BYTES);
	do {
		if (poll(waiting, 2, 10000) <= 0)
			die("the device neither asks nor ends");
		if (waiting[0].revents)
			serve();
	} while (!waiting[1].revents);
	if (read(done, &count, sizeof(count)) != sizeof(count))
		die("read of the interrupt");
	return rd(DMA_STATUS);
}

int main(int argc, char **argv)
{
	uint32_t status;

	vfio_open_iommufd(&dev, argc > 1 ? argv[1] : "0000:01:00.0");
	regs = vfio_bar(&dev, 0);
	vfio_enable_master(&dev);
	errno = 0;
	if (rd(ID) != IS_PCITEST)
		die("this is no pcitest");
	done = eventfd(0, EFD_CLOEXEC);
	from = malloc(BYTES);
	to = calloc(1, BYTES);
	if (done < 0 || !from || !to)
		die("memory");
	vfio_irq_eventfd(&dev, VFIO_PCI_MSIX_IRQ_INDEX, done);
	make_tables();

	memset(from, 'x', BYTES);
	status = copy(from, to);
	printf("a copy between two pointers: %s, %u pages asked for and given\n",
	       status ? strerror((int)status) : memcmp(from, to, BYTES) ? "wrong" : "equal", pages);
	pages = 0;
	status = copy(to, from);
	printf("back: %s, %u pages asked for\n", status ? strerror((int)status) : "done", pages);
	status = copy((void *)PAGE, to);
	printf("from a pointer that leads nowhere: %s\n", strerror((int)status));

	vfio_irq_eventfd(&dev, VFIO_PCI_MSIX_IRQ_INDEX, -1);
	close(faults);
	close(done);
	vfio_close(&dev);
	free(from);
	free(to);
	return 0;
}
