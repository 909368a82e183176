/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme.c - a small NVMe driver in user space, and a benchmark on it.
 *
 * usage: nvme [-i] [-b READS] [-q DEPTH] [PCI address]
 *
 * One admin queue and one I/O queue pair, polled.  First it tells what the controller says of itself,
 * writes a block, reads it back and compares; with -b it then reads 4 KiB blocks, DEPTH at a time.
 * With -i it goes by iommufd and the device's own node, else by the device's group.
 * It writes to the disk: use one that nobody needs.
 *
 * Source: NVM Express Base Specification 1.4.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vfio_user.h"

enum { CAP = 0x00, VS = 0x08, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { ADMIN_CREATE_SQ = 0x01, ADMIN_CREATE_CQ = 0x05, ADMIN_IDENTIFY = 0x06, IO_WRITE = 0x01, IO_READ = 0x02 };
#define QUEUE_ENTRIES 256u
#define PAGE 4096u
#define IOVA_BASE 0x10000000u

struct sqe {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved, metadata, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
struct cqe {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, cid, status; /* status bit 0 is the phase */
};
_Static_assert(sizeof(struct sqe) == 64 && sizeof(struct cqe) == 16, "layout");

struct queue {
	struct sqe *sq;
	volatile struct cqe *cq;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	unsigned tail, head, phase;
};

/* Memory that the device can reach; offsets are the same on both sides. */
static uint8_t *memory;
static volatile uint8_t *regs;
static uint64_t memory_iova;
static size_t used;

static void *take(size_t bytes, uint64_t *iova)
{
	void *p = memory + used;

	*iova = memory_iova + used;
	used += (bytes + PAGE - 1) / PAGE * PAGE;
	return p;
}

static uint32_t rd32(unsigned off) { return *(volatile uint32_t *)(regs + off); }
static uint64_t rd64(unsigned off) { return *(volatile uint64_t *)(regs + off); }
static void wr32(unsigned off, uint32_t v) { *(volatile uint32_t *)(regs + off) = v; }
static void wr64(unsigned off, uint64_t v) { *(volatile uint64_t *)(regs + off) = v; }

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void queue_init(struct queue *q, unsigned id, uint64_t *sq_iova, uint64_t *cq_iova)
{
	q->sq = take(QUEUE_ENTRIES * sizeof(struct sqe), sq_iova);
	q->cq = take(QUEUE_ENTRIES * sizeof(struct cqe), cq_iova);
	q->sq_doorbell = (volatile uint32_t *)(regs + DOORBELLS + 8 * id);
	q->cq_doorbell = (volatile uint32_t *)(regs + DOORBELLS + 8 * id + 4);
	q->tail = q->head = 0;
	q->phase = 1;
}

static void push(struct queue *q, const struct sqe *sqe)
{
	q->sq[q->tail] = *sqe;
	q->tail = (q->tail + 1) % QUEUE_ENTRIES;
}

static void ring(struct queue *q)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*q->sq_doorbell = q->tail;
}

/* Take the completions that are there: their number.  The first error ends the program. */
static unsigned reap(struct queue *q)
{
	unsigned n = 0;

	while ((q->cq[q->head].status & 1) == q->phase) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (q->cq[q->head].status >> 1) {
			fprintf(stderr, "command %u: status 0x%x\n", q->cq[q->head].cid, q->cq[q->head].status >> 1);
			exit(1);
		}
		if (++q->head == QUEUE_ENTRIES) {
			q->head = 0;
			q->phase ^= 1;
		}
		n++;
	}
	if (n)
		*q->cq_doorbell = q->head;
	return n;
}

static void run(struct queue *q, const struct sqe *sqe)
{
	const double until = now() + 10;

	push(q, sqe);
	ring(q);
	while (!reap(q))
		if (now() > until) {
			errno = ETIMEDOUT;
			die("a command does not complete");
		}
}

static void wait_ready(unsigned ready)
{
	const double until = now() + 10;

	while ((rd32(CSTS) & 1) != ready)
		if (now() > until) {
			errno = ETIMEDOUT;
			die("the controller does not change CSTS.RDY");
		}
}

static void start_controller(struct queue *admin)
{
	uint64_t sq, cq;

	wr32(CC, 0);
	wait_ready(0);
	queue_init(admin, 0, &sq, &cq);
	wr32(AQA, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
	wr64(ASQ, sq);
	wr64(ACQ, cq);
	wr32(CC, 1 | 6 << 16 | 4 << 20); /* enable; 64-byte submissions, 16-byte completions */
	wait_ready(1);
}

static void make_io_queue(struct queue *admin, struct queue *io)
{
	uint64_t sq, cq;

	queue_init(io, 1, &sq, &cq);
	run(admin, &(struct sqe){ .opcode = ADMIN_CREATE_CQ, .prp1 = cq, .cdw10 = (QUEUE_ENTRIES - 1) << 16 | 1, .cdw11 = 1 });
	run(admin, &(struct sqe){ .opcode = ADMIN_CREATE_SQ, .prp1 = sq, .cdw10 = (QUEUE_ENTRIES - 1) << 16 | 1,
				  .cdw11 = 1 << 16 | 1 });
}

static struct sqe block_io(unsigned opcode, uint64_t iova, uint64_t lba, unsigned blocks, unsigned cid)
{
	return (struct sqe){ .opcode = (uint8_t)opcode, .cid = (uint16_t)cid, .nsid = 1, .prp1 = iova,
			     .cdw10 = (uint32_t)lba, .cdw11 = (uint32_t)(lba >> 32), .cdw12 = blocks - 1 };
}

static void bench(struct queue *io, unsigned reads, unsigned depth, uint64_t buf, uint64_t total_blocks, unsigned per_page)
{
	unsigned sent = 0, done = 0, batch;
	const uint64_t pages = total_blocks / per_page;
	const double start = now();

	while (done < reads) {
		for (batch = 0; sent - done < depth && sent < reads; batch++, sent++) {
			struct sqe sqe = block_io(IO_READ, buf + sent % depth * PAGE, sent * 7919ull % pages * per_page,
						  per_page, sent % depth);
			push(io, &sqe);
		}
		if (batch)
			ring(io);
		done += reap(io);
	}
	const double seconds = now() - start;
	printf("bench: %u reads of 4 KiB at depth %u: %.0f per second, %.0f ns each\n", reads, depth, reads / seconds,
	       seconds / reads * 1e9);
}

int main(int argc, char **argv)
{
	struct vfio_dev dev;
	struct queue admin, io;
	unsigned reads = 0, depth = 1;
	bool by_iommufd = false;
	int c;

	while ((c = getopt(argc, argv, "b:iq:")) != -1) {
		if (c == 'i')
			by_iommufd = true;
		else if (c == 'b')
			reads = (unsigned)strtoul(optarg, NULL, 0);
		else if (c == 'q')
			depth = (unsigned)strtoul(optarg, NULL, 0);
		else {
			fprintf(stderr, "usage: nvme [-i] [-b READS] [-q DEPTH] [PCI address]\n");
			return 2;
		}
	}
	if (depth < 1 || depth >= QUEUE_ENTRIES) {
		fprintf(stderr, "nvme: -q takes 1 to %u\n", QUEUE_ENTRIES - 1);
		return 2;
	}
	const char *bdf = optind < argc ? argv[optind] : "0000:01:00.0";
	const size_t bytes = (64 + (size_t)depth) * PAGE;

	if (by_iommufd)
		vfio_open_iommufd(&dev, bdf);
	else
		vfio_open(&dev, bdf);
	vfio_enable_master(&dev);
	regs = vfio_bar(&dev, VFIO_PCI_BAR0_REGION_INDEX);
	memory = vfio_dma_alloc(&dev, bytes, IOVA_BASE, UINT64_MAX, &memory_iova);
	start_controller(&admin);

	uint64_t iova;
	uint8_t *id = take(PAGE, &iova);
	run(&admin, &(struct sqe){ .opcode = ADMIN_IDENTIFY, .prp1 = iova, .cdw10 = 1 });
	printf("%s: %.40s serial %.20s, NVMe %u.%u\n", bdf, id + 24, id + 4, rd32(VS) >> 16, rd32(VS) >> 8 & 0xff);
	run(&admin, &(struct sqe){ .opcode = ADMIN_IDENTIFY, .nsid = 1, .prp1 = iova, .cdw10 = 0 });
	uint64_t blocks;
	memcpy(&blocks, id, sizeof(blocks));
	const unsigned block_bytes = 1u << id[128 + 4 * (id[26] & 0xf) + 2];
	printf("namespace 1: %llu blocks of %u bytes; queues of up to %llu\n", (unsigned long long)blocks, block_bytes,
	       (unsigned long long)(rd64(CAP) & 0xffff) + 1);

	make_io_queue(&admin, &io);
	const unsigned per_page = PAGE / block_bytes;
	uint64_t out_iova, in_iova;
	uint8_t *out = take(PAGE, &out_iova), *in = take(PAGE, &in_iova);
	for (unsigned i = 0; i < PAGE; i++)
		out[i] = (uint8_t)(i * 13 + 5);
	run(&io, &(struct sqe[]){ block_io(IO_WRITE, out_iova, per_page, per_page, 1) }[0]);
	run(&io, &(struct sqe[]){ block_io(IO_READ, in_iova, per_page, per_page, 2) }[0]);
	errno = 0;
	if (memcmp(in, out, PAGE))
		die("what was read differs from what was written");
	printf("4 KiB written and read back, equal\n");

	if (reads) {
		take((size_t)depth * PAGE, &iova);
		bench(&io, reads, depth, iova, blocks, per_page);
	}
	wr32(CC, 0);
	wait_ready(0);
	vfio_dma_free(&dev, memory, bytes, memory_iova);
	munmap((void *)regs, dev.regions[0].size);
	vfio_close(&dev);
	return 0;
}
