/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_nvme.c - registers, queue entries, PRPs, SGLs and config space of the nvme model from fuzz bytes.
 *
 * The input is a list of steps; the first byte of each says what.  Whatever they are: no crash, no
 * hang, and no byte changes in memory that was not mapped for the device to write.
 * At P2P lies the device's own BAR (dma_rig.h).
 */
#include "tests/fuzz/dma_rig.h"

#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <time.h>

#include "hw/nvme/regs.h"

enum { NVME = 1, QUEUE_ENTRIES = 16, QUEUES = 4, BAR_BYTES = 0x4000 };
#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)

static int g, d;
static unsigned tail[QUEUES], head[QUEUES], phase[QUEUES];

/* Queue n: its submission entries are the page 2n of RW, completions the page behind. */
static u64 queue_off(unsigned q) { return (RW_PAGE + 2 * q) * PAGE_SIZE; }
static u64 queue_iova(unsigned q) { return RW + 2 * q * PAGE_SIZE; }

static void wr32(u64 off, u32 val) { rig_pwrite(d, &val, 4, off); }
static void wr64(u64 off, u64 val) { rig_pwrite(d, &val, 8, off); }

static u64 pick_iova(struct rig_input *in)
{
	static const u64 bases[] = { RW, RW + 8 * PAGE_SIZE, RW + RW_PAGES * PAGE_SIZE, RO, WO, P2P, 0, 0xfee00000 };
	u8 how = in_u8(in);
	u64 at;

	if (how >= 0xf8)
		return in_u64(in);
	at = bases[how & 7] + (how >> 3 & 7) * PAGE_SIZE;
	if (how & 0x40)
		at += in_u16(in);
	return how & 0x80 ? at - PAGE_SIZE / 2 : at;
}

static void pause_us(unsigned us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

static void wait_ready(bool ready)
{
	for (unsigned i = 0; i < 200; i++) {
		u32 csts = 0;

		if (rig_pread(d, &csts, 4, NVME_REG_CSTS) != 4 || (csts & NVME_CSTS_CFS) ||
		    (csts & NVME_CSTS_RDY) == ready)
			return;
		pause_us(20);
	}
}

/* An empty queue: what was completed before has the phase that comes last. */
static void queue_reset(unsigned q)
{
	static const u8 zeros[PAGE_SIZE];

	rig_fill(queue_off(q) + PAGE_SIZE, zeros, sizeof(zeros));
	tail[q] = head[q] = 0;
	phase[q] = 1;
}

static void enable(u32 extra)
{
	wr32(NVME_REG_CC, 0);
	wait_ready(false);
	for (unsigned q = 0; q < QUEUES; q++)
		queue_reset(q);
	wr32(NVME_REG_AQA, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
	wr64(NVME_REG_ASQ, queue_iova(0));
	wr64(NVME_REG_ACQ, queue_iova(0) + PAGE_SIZE);
	wr32(NVME_REG_CC, (1 | 6 << 16 | 4 << 20) ^ extra);
	wait_ready(true);
}

/* Take what was completed; wait a moment if nothing was. */
static void reap(unsigned q)
{
	const struct nvme_cqe *cq = (const void *)(rig_arena + queue_off(q) + PAGE_SIZE);
	unsigned n = 0;

	for (unsigned i = 0; i < 20 && (*(const volatile u16 *)&cq[head[q]].status & 1) != phase[q]; i++)
		pause_us(5);
	while (n++ < QUEUE_ENTRIES && (*(const volatile u16 *)&cq[head[q]].status & 1) == phase[q]) {
		head[q] = (head[q] + 1) % QUEUE_ENTRIES;
		phase[q] ^= !head[q];
	}
	if (n > 1)
		wr32(NVME_REG_DOORBELLS + 8 * q + 4, head[q]);
}

static void submit(unsigned q, const struct nvme_cmd *cmd)
{
	rig_fill(queue_off(q) + tail[q] * sizeof(*cmd), cmd, sizeof(*cmd));
	tail[q] = (tail[q] + 1) % QUEUE_ENTRIES;
	wr32(NVME_REG_DOORBELLS + 8 * q, tail[q]);
	reap(q);
}

static void create_queues(unsigned q)
{
	const u32 size_id = (QUEUE_ENTRIES - 1) << 16 | q;

	queue_reset(q);
	submit(0, &(struct nvme_cmd){ .opcode = 5, .prp1 = queue_iova(q) + PAGE_SIZE, .cdw10 = size_id,
				      .cdw11 = 3 });
	submit(0, &(struct nvme_cmd){ .opcode = 1, .prp1 = queue_iova(q), .cdw10 = size_id, .cdw11 = 1 | q << 16 });
}

/* Mostly well formed: what is nonsense throughout goes no further than the first check. */
static void command(struct rig_input *in)
{
	static const u8 admin[] = { 0, 1, 2, 4, 5, 6, 8, 9, 0xa, 0xc, 0xd, 0x10, 0x11, 0x14, 0x15, 0x80 };
	static const u8 io[] = { 0, 1, 2, 4, 5, 8, 9, 0xd, 0xe };
	u8 how = in_u8(in);
	unsigned q = how & 3;
	struct nvme_cmd cmd = { .cid = in_u8(in), .nsid = how & 4 ? 1 : in_u8(in) };
	u8 op = in_u8(in);

	cmd.opcode = how & 8 ? op : q ? io[op % ARRAY_SIZE(io)] : admin[op % ARRAY_SIZE(admin)];
	if (how & 0x10) {
		cmd.flags = in_u8(in);
		cmd.mptr = pick_iova(in);
	}
	cmd.prp1 = pick_iova(in);
	cmd.prp2 = how & 0x20 ? in_u64(in) : pick_iova(in);
	cmd.cdw10 = how & 0x40 ? in_u32(in) : in_u8(in);
	cmd.cdw11 = how & 0x80 ? in_u32(in) : in_u8(in);
	cmd.cdw12 = in_u16(in);
	if (how & 0x80) {
		cmd.cdw13 = in_u32(in);
		cmd.cdw14 = in_u32(in);
		cmd.cdw15 = in_u32(in);
	}
	submit(q, &cmd);
}

static void descriptors(struct rig_input *in)
{
	u64 off = (RW_PAGE + 8) * PAGE_SIZE + (in_u8(in) & 0x7f) * 64u;
	unsigned n = in_u8(in) % 16;
	bool sgl = in_u8(in) & 1;

	for (unsigned i = 0; i < n; i++) {
		struct nvme_sgl_desc desc = { .addr = pick_iova(in) };

		if (sgl) {
			desc.length = in_u16(in);
			desc.id = in_u8(in);
		}
		rig_fill(off, &desc, sgl ? 16 : 8);
		off += sgl ? 16 : 8;
	}
}

static void registers(struct rig_input *in)
{
	static const u16 regs[] = { 0, 8, 0xc, 0x10, 0x14, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x38, 0xe00,
				    0x1000, 0x1004, 0x1008, 0x2000, 0x2008, 0x3000, 0x3ffc };
	u8 how = in_u8(in);
	u64 off = how & 1 ? in_u16(in) % (BAR_BYTES + 16) : regs[in_u8(in) % ARRAY_SIZE(regs)];
	unsigned len = how & 0x20 ? 1 + in_u8(in) % 64 : 1u << (how >> 1 & 3);
	u64 val = how & 0x40 ? in_u64(in) : in_u8(in);

	if (how & 0x10)
		rig_mmio(0, min(off, (u64)BAR_BYTES - len) & ~(u64)(how & 0x20 ? 0 : len - 1), len, how & 8, val);
	else if (how & 8)
		rig_pwrite(d, &val, min(len, 8u), off);
	else
		rig_pread(d, rig_ubuf, len, off);
}

static void config(struct rig_input *in)
{
	u8 how = in_u8(in);
	u64 at = CONFIG + (how & 0x80 ? in_u16(in) % 4100 : in_u8(in)), val = in_u32(in);

	rig_pwrite(d, &val, 1u << (how & 3), at);
}

static void interrupts(struct rig_input *in)
{
	struct { struct vfio_irq_set set; int fds[4]; } irq = { .fds = { dma_eventfd, dma_eventfd, -1, dma_eventfd } };
	u8 how = in_u8(in);

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq.set), .index = how & 3, .count = how >> 2 & 3,
		.start = how >> 4 & 1 };
	irq.set.flags = VFIO_IRQ_SET_ACTION_TRIGGER | (irq.set.count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	if (irq.set.count)
		irq.set.argsz += 4 * irq.set.count;
	rig_ioctl(d, VFIO_DEVICE_SET_IRQS, (unsigned long)&irq);
}

static void step(struct rig_input *in)
{
	u8 buf[256], what = in_u8(in);

	switch (what % 14) {
	case 0: registers(in); break;
	case 1: enable(0); break;
	case 2: enable(in_u32(in)); break;
	case 3:
	case 4:
	case 5: command(in); break;
	case 6: create_queues(1 + in_u8(in) % (QUEUES - 1)); break;
	case 7: descriptors(in); break;
	case 8:
		what = in_u8(in);
		in_bytes(in, buf, what);
		rig_fill(RW_PAGE * PAGE_SIZE + in_u16(in) * 2u, buf, what);
		break;
	case 9: pause_us(in_u8(in)); break;
	case 10: config(in); break;
	case 11: dma_map_rw(in_u8(in) & 1); break;
	case 12: interrupts(in); break;
	case 13: rig_ioctl(d, VFIO_DEVICE_RESET, 0); break;
	}
}

static void device_up(void)
{
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	d = (int)rig_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, (unsigned long)rig_names[NVME]);
	rig_must(d >= 0);
	rig_must(rig_pwrite(d, &command, 2, CONFIG + PCI_COMMAND) == 2);
	rig_must(!rig_mmap(d, 0, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	rig_must(!rig_map_dma(dma_container, 3, rig_bars, P2P, BAR_BYTES));
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	dma_up();
	g = dma_join("/dev/vfio/1");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };

	dma_begin();
	device_up();
	dma_steps(&in, 100, step);
	rig_must(!rig_ioctl(d, VFIO_DEVICE_RESET, 0));
	rig_must(rig_unmap_dma(dma_container, P2P, BAR_BYTES) == BAR_BYTES);
	rig_munmap(0, BAR_BYTES);
	rig_close(d);
	dma_end();
	return 0;
}
