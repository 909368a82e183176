/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_edu.c - registers and config space of the edu model from fuzz bytes, with memory to move.
 *
 * Two of them share a container: one works at once, the other is the peer that the first one's DMA may
 * hit (peer to peer), also with commands that make it start a transfer of its own.
 *
 * Their BARs lie at P2P and PEER (dma_rig.h).
 */
#include "tests/fuzz/dma_rig.h"

#include <linux/pci_regs.h>
#include <sys/mman.h>

#include "hw/edu/regs.h"

#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)

static const unsigned groups[2] = { 0, 2 };
static int g[2], d[2];

static u64 pick_iova(struct rig_input *in)
{
	static const u64 bases[8] = { RW, RW + 8 * PAGE_SIZE, RW + RW_PAGES * PAGE_SIZE, RO, WO, P2P, PEER, EDU_BUF };

	return dma_pick(in, bases);
}

static void transfer(struct rig_input *in)
{
	u64 src = pick_iova(in), dst = pick_iova(in), count = in_u16(in) % 4200, cmd = in_u8(in);
	int fd = d[cmd >> 7];

	rig_pwrite(fd, &src, 8, EDU_DMA_SRC);
	rig_pwrite(fd, &dst, 8, EDU_DMA_DST);
	rig_pwrite(fd, &count, 8, EDU_DMA_COUNT);
	rig_pwrite(fd, &cmd, 8, EDU_DMA_CMD);
}

static void registers(struct rig_input *in)
{
	static const u8 regs[] = { 0, 4, 8, 0x20, 0x24, 0x60, 0x64, 0x80, 0x84, 0x88, 0x90, 0x98 };
	u8 how = in_u8(in);
	u64 off = how & 1 ? in_u32(in) % (EDU_BAR_BYTES + 16) : regs[in_u8(in) % ARRAY_SIZE(regs)];
	unsigned len = how & 0x20 ? 1 + in_u8(in) % 64 : 1u << (how >> 1 & 3);
	u64 val = how & 0x40 ? in_u64(in) : pick_iova(in);

	if (how & 0x10)
		rig_mmio(0, min(off, 2 * PAGE_SIZE - len), len, how & 8, val);
	else if (how & 8)
		rig_pwrite(d[how >> 7], &val, min(len, 8u), off);
	else
		rig_pread(d[how >> 7], rig_ubuf, len, off);
}

static void config(struct rig_input *in)
{
	u8 how = in_u8(in);
	u64 at = CONFIG + in_u16(in) % 260, val = in_u32(in);

	rig_pwrite(d[how >> 7], &val, 1u << (how & 3), at);
}

static void interrupts(struct rig_input *in)
{
	struct { struct vfio_irq_set set; int fd; } irq = { .fd = dma_eventfd };
	u8 how = in_u8(in);

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .index = how & 1, .count = how >> 2 & 1 };
	irq.set.flags = how & 0x10 ? 1u << (how >> 5 & 7) : VFIO_IRQ_SET_ACTION_TRIGGER;
	irq.set.flags |= irq.set.count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE;
	rig_ioctl(d[how >> 7], VFIO_DEVICE_SET_IRQS, (unsigned long)&irq);
}

/* What left the device is what was there before: through the buffer and back, as long as all is mapped. */
static void round_trip(struct rig_input *in)
{
	u64 from = in_u16(in) % (RW_PAGES * PAGE_SIZE - 4096), to = in_u16(in) % (RW_PAGES * PAGE_SIZE - 4096);
	u64 count = 1 + in_u16(in) % 4096, cmd = 1, buf = EDU_BUF, addr;
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	u8 want[4096];

	dma_map_rw(true);
	rig_pwrite(d[0], &command, 2, CONFIG + PCI_COMMAND);
	memcpy(want, rig_arena + RW_PAGE * PAGE_SIZE + from, count);
	rig_pwrite(d[0], &count, 8, EDU_DMA_COUNT);
	addr = RW + from;
	rig_pwrite(d[0], &addr, 8, EDU_DMA_SRC);
	rig_pwrite(d[0], &buf, 8, EDU_DMA_DST);
	rig_pwrite(d[0], &cmd, 8, EDU_DMA_CMD);
	addr = RW + to;
	cmd = 3;
	rig_pwrite(d[0], &buf, 8, EDU_DMA_SRC);
	rig_pwrite(d[0], &addr, 8, EDU_DMA_DST);
	rig_pwrite(d[0], &cmd, 8, EDU_DMA_CMD);
	rig_must(!memcmp(want, rig_arena + RW_PAGE * PAGE_SIZE + to, count));
}

static void step(struct rig_input *in)
{
	u8 buf[256], what = in_u8(in);

	switch (what % 8) {
	case 0: registers(in); break;
	case 1:
	case 2: transfer(in); break;
	case 3: config(in); break;
	case 4: dma_map_rw(in_u8(in) & 1); break;
	case 5: interrupts(in); break;
	case 6: round_trip(in); break;
	case 7:
		what = in_u8(in);
		in_bytes(in, buf, what);
		rig_fill(RW_PAGE * PAGE_SIZE + in_u16(in), buf, what);
		break;
	}
}

static void device_up(unsigned i)
{
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	d[i] = (int)rig_ioctl(g[i], VFIO_GROUP_GET_DEVICE_FD, (unsigned long)rig_names[groups[i]]);
	rig_must(d[i] >= 0);
	rig_must(rig_pwrite(d[i], &command, 2, CONFIG + PCI_COMMAND) == 2);
	rig_must(!rig_mmap(d[i], i, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	rig_must(!rig_map_dma(dma_container, 3, rig_bars + i * PAGE_SIZE, i ? PEER : P2P, PAGE_SIZE));
}

static void device_down(unsigned i)
{
	rig_must(rig_unmap_dma(dma_container, i ? PEER : P2P, PAGE_SIZE) == PAGE_SIZE);
	rig_munmap(i, PAGE_SIZE);
	rig_close(d[i]);
	hw_reset(rig_hw(groups[i]), false); /* its registers: VFIO has no way to */
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	dma_up();
	g[0] = dma_join("/dev/vfio/0");
	g[1] = dma_join("/dev/vfio/2");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };

	dma_begin();
	device_up(0);
	device_up(1);
	dma_steps(&in, 200, step);
	device_down(0);
	device_down(1);
	dma_end();
	return 0;
}
