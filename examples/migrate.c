/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate.c - an NVMe device moves while its driver goes on, as a VMM moves one under a guest.
 *
 * usage: migrate FROM TO		both devices are opened here, one after the other
 *	  migrate -o IMAGE FROM		stop in the middle, write memory and device state to a file
 *	  migrate -i IMAGE TO		go on from such a file, also in another process
 *
 * The "guest" is a driver that keeps SLOTS commands under way: each slot writes a block, reads it back,
 * compares, and takes the next block.  All that it knows lies in its memory, so a copy of the memory is a
 * copy of the guest.  What is copied when is found out as a VMM does it: pages that the device wrote to
 * come from its log of DMA writes; pages that the guest itself writes to are known here and copied last.
 * In the end the copy must equal the original, byte for byte.
 *
 * Both devices must be bound to a driver that can migrate, be equal, and have the same disk behind them.
 * It writes to the disk: use one that nobody needs.
 *
 * Source: linux/vfio.h (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE and its kin), NVM Express 1.4.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio_user.h"

enum { CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { ADMIN_CREATE_SQ = 0x01, ADMIN_CREATE_CQ = 0x05, IO_WRITE = 0x01, IO_READ = 0x02 };
#define ENTRIES 64u
#define SLOTS 16u
#define BLOCK 512u
#define BLOCKS 2000u /* to be written and read in all */
#define BEFORE 700u  /* of them before the device begins to move */
#define PAGE 4096u
#define IOVA 0x10000000ull
#define STREAM_MAX (1u << 20)

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

struct queue { unsigned tail, head, phase; };

/* What the guest has in its memory.  The guest writes to the first part, the device to the second. */
struct memory {
	struct {
		struct queue queue[2]; /* admin, I/O */
		unsigned next_block, done;
		struct { unsigned block, reading; } slot[SLOTS];
	} state __attribute__((aligned(PAGE)));
	struct sqe sq[2][ENTRIES] __attribute__((aligned(PAGE)));
	uint8_t out[SLOTS][PAGE];
	uint8_t the_devices[0] __attribute__((aligned(PAGE)));
	volatile struct cqe cq[2][PAGE / sizeof(struct cqe)] __attribute__((aligned(PAGE)));
	uint8_t in[SLOTS][PAGE];
};
#define PAGES (sizeof(struct memory) / PAGE)
_Static_assert(PAGES <= 64, "the log of all pages fits into one word");

/* A guest on its way: its memory, and the state of its device. */
struct image {
	struct memory *memory;
	uint8_t *stream;
	size_t stream_bytes;
};

static struct vfio_dev dev;
static volatile uint8_t *regs;
static struct memory *mem;
static int irq;

static uint64_t iova(const volatile void *p) { return IOVA + (uint64_t)((const volatile uint8_t *)p - (uint8_t *)mem); }
static uint32_t rd32(unsigned off) { return *(volatile uint32_t *)(regs + off); }
static void wr32(unsigned off, uint32_t v) { *(volatile uint32_t *)(regs + off) = v; }

static void fail(const char *what)
{
	errno = 0;
	die(what);
}

static void *memory_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("memory");
	return p;
}

/* ---- the guest ---- */

static void submit(unsigned q, struct sqe sqe)
{
	struct queue *queue = &mem->state.queue[q];

	mem->sq[q][queue->tail] = sqe;
	queue->tail = (queue->tail + 1) % ENTRIES;
}

static void ring(unsigned q)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	wr32(DOORBELLS + 8 * q, mem->state.queue[q].tail);
}

/* Take one completion if there is one.  Return: its command's id; -1. */
static int reap(unsigned q)
{
	struct queue *queue = &mem->state.queue[q];
	volatile struct cqe *cqe = &mem->cq[q][queue->head];
	int cid;

	if ((cqe->status & 1) != queue->phase)
		return -1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (cqe->status >> 1) {
		fprintf(stderr, "command %u: status 0x%x\n", cqe->cid, cqe->status >> 1);
		exit(1);
	}
	cid = cqe->cid;
	if (++queue->head == ENTRIES) {
		queue->head = 0;
		queue->phase ^= 1;
	}
	return cid;
}

static void wait_irq(void)
{
	struct pollfd p = { .fd = irq, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, 20000) != 1 || read(irq, &count, sizeof(count)) != sizeof(count))
		fail("no interrupt for 20 seconds");
}

static void admin(struct sqe sqe)
{
	submit(0, sqe);
	ring(0);
	while (reap(0) < 0)
		wait_irq();
	wr32(DOORBELLS + 4, mem->state.queue[0].head);
}

/* What stands in a block. */
static void pattern(uint8_t *buf, unsigned block)
{
	for (unsigned i = 0; i < BLOCK; i++)
		buf[i] = (uint8_t)(block * 31 + i * 7 + (i >> 8));
}

static void slot_submit(unsigned slot)
{
	const bool reading = mem->state.slot[slot].reading;

	submit(1, (struct sqe){
		.opcode = reading ? IO_READ : IO_WRITE, .cid = (uint16_t)slot, .nsid = 1,
		.prp1 = iova(reading ? mem->in[slot] : mem->out[slot]), .cdw10 = mem->state.slot[slot].block,
	});
}

static void slot_begin(unsigned slot)
{
	mem->state.slot[slot].block = mem->state.next_block++;
	mem->state.slot[slot].reading = 0;
	pattern(mem->out[slot], mem->state.slot[slot].block);
	slot_submit(slot);
}

static void slot_advance(unsigned slot)
{
	if (!mem->state.slot[slot].reading) {
		mem->state.slot[slot].reading = 1;
		slot_submit(slot);
		return;
	}
	if (memcmp(mem->in[slot], mem->out[slot], BLOCK))
		fail("a block is not what was written to it");
	mem->state.done++;
	if (mem->state.next_block < BLOCKS)
		slot_begin(slot);
}

/* Whatever has completed goes a step further. */
static void guest_step(void)
{
	bool any = false;

	for (int slot; (slot = reap(1)) >= 0; any = true)
		slot_advance((unsigned)slot);
	if (!any)
		return;
	wr32(DOORBELLS + 12, mem->state.queue[1].head);
	ring(1);
}

static void guest_run(unsigned until)
{
	guest_step(); /* its interrupt may have come to the other device */
	while (mem->state.done < until) {
		wait_irq();
		guest_step();
	}
}

static void guest_start(void)
{
	for (unsigned q = 0; q < 2; q++)
		mem->state.queue[q].phase = 1;
	wr32(CC, 0);
	wr32(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	*(volatile uint64_t *)(regs + ASQ) = iova(mem->sq[0]);
	*(volatile uint64_t *)(regs + ACQ) = iova(mem->cq[0]);
	wr32(CC, 1 | 6 << 16 | 4 << 20);
	for (unsigned tries = 0; !(rd32(CSTS) & 1); tries++, usleep(1000))
		if (tries == 10000)
			fail("the controller does not become ready");
	admin((struct sqe){ .opcode = ADMIN_CREATE_CQ, .prp1 = iova(mem->cq[1]), .cdw10 = (ENTRIES - 1) << 16 | 1, .cdw11 = 3 });
	admin((struct sqe){ .opcode = ADMIN_CREATE_SQ, .prp1 = iova(mem->sq[1]), .cdw10 = (ENTRIES - 1) << 16 | 1,
			    .cdw11 = 1 << 16 | 1 });
	for (unsigned slot = 0; slot < SLOTS; slot++)
		slot_begin(slot);
	ring(1);
}

/* ---- the features ---- */

static int feature(uint32_t flags, void *data, size_t size)
{
	char buf[sizeof(struct vfio_device_feature) + 64] __attribute__((aligned(8))) = { 0 };
	struct vfio_device_feature *f = (void *)buf;
	int ret;

	f->argsz = (uint32_t)(sizeof(*f) + size);
	f->flags = flags;
	memcpy(f->data, data, size);
	ret = ioctl(dev.device, VFIO_DEVICE_FEATURE, f);
	memcpy(data, f->data, size);
	return ret;
}

/* Return: the stream's descriptor, if the new state has one. */
static int set_state(unsigned state, const char *name)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state };

	if (feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig, sizeof(mig)))
		die(name);
	return mig.data_fd;
}

static void check_features(void)
{
	struct vfio_device_feature_migration mig = { 0 };

	if (feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, &mig, sizeof(mig)))
		die("the device cannot migrate (is its driver one that can?)");
	if (!(mig.flags & VFIO_MIGRATION_PRE_COPY))
		fail("the device cannot pre-copy");
}

static void log_start(void)
{
	struct vfio_device_feature_dma_logging_range range = { IOVA, sizeof(struct memory) };
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE, .num_ranges = 1, .ranges = (uintptr_t)&range,
	};

	if (feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control, sizeof(control)))
		die("DMA_LOGGING_START");
	if (control.page_size != PAGE)
		fail("the device logs other pages than asked for");
}

/* Bring what the device wrote since the last call into the image.  Return: how many pages. */
static unsigned copy_dirty(struct image *image)
{
	uint64_t bitmap = 0;
	struct vfio_device_feature_dma_logging_report report = {
		.iova = IOVA, .length = sizeof(struct memory), .page_size = PAGE, .bitmap = (uintptr_t)&bitmap,
	};

	if (feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report, sizeof(report)))
		die("DMA_LOGGING_REPORT");
	for (unsigned page = 0; page < PAGES; page++)
		if (bitmap >> page & 1)
			memcpy((uint8_t *)image->memory + page * PAGE, (uint8_t *)mem + page * PAGE, PAGE);
	return (unsigned)__builtin_popcountll(bitmap);
}

/* ---- out ---- */

/* Return: bytes; 0 at the end; -1 at a passing end. */
static ssize_t read_stream(int fd, struct image *image)
{
	ssize_t n = read(fd, image->stream + image->stream_bytes, STREAM_MAX - image->stream_bytes);

	if (n < 0 && errno == ENOMSG)
		return -1;
	if (n < 0)
		die("reading the stream");
	image->stream_bytes += (size_t)n;
	return n;
}

static void move_out(struct image *image)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	unsigned pages = 0;
	int fd;

	image->memory = memory_new(sizeof(*image->memory));
	image->stream = memory_new(STREAM_MAX);
	image->stream_bytes = 0;
	log_start();
	memcpy(image->memory, mem, sizeof(*mem));
	fd = set_state(VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY");
	if (ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info))
		die("MIG_GET_PRECOPY_INFO");
	while (read_stream(fd, image) > 0)
		;
	if (image->stream_bytes != info.initial_bytes)
		fail("initial_bytes is not what came");
	for (unsigned round = 0; round < 5; round++) {
		guest_run(mem->state.done + 20);
		pages += copy_dirty(image);
	}
	guest_step();
	set_state(VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY"); /* SLOTS commands are under way */
	while (read_stream(fd, image))
		;
	pages += copy_dirty(image);
	memcpy(image->memory, mem, offsetof(struct memory, the_devices));
	if (memcmp(image->memory, mem, sizeof(*mem)))
		fail("the copy of the memory differs from the memory");
	printf("out: %u blocks done, %zu bytes of state (%llu ahead), %u pages copied again, all equal\n", mem->state.done,
	       image->stream_bytes, (unsigned long long)info.initial_bytes, pages);
	close(fd);
}

/* ---- in ---- */

static void move_in(const struct image *image)
{
	const int fd = set_state(VFIO_DEVICE_STATE_RESUMING, "RESUMING");
	size_t n;

	for (size_t at = 0; at < image->stream_bytes; at += n) { /* cut otherwise than it came */
		n = at % 1000 + 1 < image->stream_bytes - at ? at % 1000 + 1 : image->stream_bytes - at;
		if (write(fd, image->stream + at, n) != (ssize_t)n)
			die("writing the stream");
	}
	vfio_enable_master(&dev); /* config space is not in the stream: the user sets it up again */
	set_state(VFIO_DEVICE_STATE_RUNNING, "RUNNING");
	close(fd);
}

static void save_image(const struct image *image, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(image->memory, sizeof(*mem), 1, f) != 1 ||
	    fwrite(image->stream, image->stream_bytes, 1, f) != 1 || fclose(f))
		die(path);
}

static void load_image(struct image *image, const char *path)
{
	FILE *f = fopen(path, "r");

	image->memory = memory_new(sizeof(*image->memory));
	image->stream = memory_new(STREAM_MAX);
	if (!f || fread(image->memory, sizeof(*mem), 1, f) != 1)
		die(path);
	image->stream_bytes = fread(image->stream, 1, STREAM_MAX, f);
	fclose(f);
}

/* ---- both ---- */

static void device_open(const char *bdf, struct memory *memory)
{
	vfio_open(&dev, bdf);
	check_features();
	mem = memory;
	vfio_map(&dev, mem, IOVA, sizeof(*mem));
	vfio_enable_master(&dev);
	regs = vfio_bar(&dev, VFIO_PCI_BAR0_REGION_INDEX);
	irq = eventfd(0, EFD_CLOEXEC);
	if (irq < 0)
		die("eventfd");
	vfio_irq_eventfd(&dev, VFIO_PCI_MSIX_IRQ_INDEX, irq);
}

static void device_close(void)
{
	munmap((void *)regs, dev.regions[0].size);
	vfio_unmap(&dev, IOVA, sizeof(*mem));
	vfio_close(&dev);
	close(irq);
}

static void from(const char *bdf, struct image *image)
{
	device_open(bdf, memory_new(sizeof(struct memory)));
	guest_start();
	guest_run(BEFORE);
	move_out(image);
	device_close();
	memset(mem, 0xee, sizeof(*mem)); /* nobody shall need it any more */
}

static void to(const char *bdf, const struct image *image)
{
	const unsigned before = image->memory->state.done;

	device_open(bdf, image->memory);
	move_in(image);
	guest_run(BLOCKS);
	printf("in: went on after %u of %u blocks, all as written\n", before, BLOCKS);
	wr32(CC, 0);
	device_close();
}

int main(int argc, char **argv)
{
	struct image image = { 0 };

	if (argc == 4 && !strcmp(argv[1], "-o")) {
		from(argv[3], &image);
		save_image(&image, argv[2]);
	} else if (argc == 4 && !strcmp(argv[1], "-i")) {
		load_image(&image, argv[2]);
		to(argv[3], &image);
	} else if (argc == 3) {
		from(argv[1], &image);
		to(argv[2], &image);
	} else {
		fprintf(stderr, "usage: migrate FROM TO | -o IMAGE FROM | -i IMAGE TO\n");
		return 2;
	}
	return 0;
}
