/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_platform.c - registers, interrupts and programs of platdev and pl330 from fuzz bytes, with memory
 * to move.
 *
 * Both share a container, and each can reach the other's registers (peer to peer); so a program of the
 * pl330 may start a copy of platdev, or itself anew.  Programs stand in memory that devices may write.
 *
 * Their registers lie at P2P and PEER (dma_rig.h).
 */
#include "tests/fuzz/dma_rig.h"

#include <sched.h>
#include <sys/mman.h>

#include "hw/pl330/regs.h"
#include "hw/platdev/regs.h"
#include "kernel/platform/platform.h"

enum { PLATDEV, DMAC };

static const char *const names[2] = { "platdev.0", "2d000000.dma" };
static int g[2], d[2];

static u32 pick_iova(struct rig_input *in)
{
	static const u64 bases[8] = { RW, RW + 8 * PAGE_SIZE, RW + RW_PAGES * PAGE_SIZE, RO, WO, P2P, PEER, PEER + PL330_DBGINST0 };

	return (u32)dma_pick(in, bases);
}

static void put(unsigned i, u64 off, u64 val, unsigned len)
{
	rig_pwrite(d[i], &val, len, off);
}

static u32 get(unsigned i, u64 off)
{
	u32 val = 0;

	rig_must(rig_pread(d[i], &val, 4, off) == 4);
	return val;
}

/* ---- steps ---- */

static void copy(struct rig_input *in)
{
	u64 src = pick_iova(in), dst = pick_iova(in);

	put(PLATDEV, PLATDEV_DMA_SRC, src, 8);
	put(PLATDEV, PLATDEV_DMA_DST, dst, 8);
	put(PLATDEV, PLATDEV_DMA_LEN, in_u16(in), 4);
	put(PLATDEV, PLATDEV_DMA_CMD, in_u8(in), 4);
}

static void registers(struct rig_input *in)
{
	u8 how = in_u8(in);
	const unsigned i = how >> 7;
	u64 off = in_u16(in) % 0x2010 | (u64)(how & 0x40 ? in_u8(in) % 5 : 0) << 40;
	unsigned len = how & 0x20 ? 1 + in_u8(in) % 64 : 1u << (how >> 1 & 3);
	u64 val = how & 1 ? in_u32(in) : pick_iova(in);

	if (how & 0x10)
		rig_mmio(i ? 2 : 0, min(off & 0xffff, 0x1000ul - len), len, how & 8, val);
	else if (how & 8)
		rig_pwrite(d[i], &val, min(len, 8u), off);
	else
		rig_pread(d[i], rig_ubuf, len, off);
}

/* An instruction that makes sense by itself. */
static unsigned instruction(struct rig_input *in, u8 *p)
{
	static const u8 ones[] = { PL330_DMAEND, PL330_DMALD, PL330_DMALD | 3, PL330_DMAST, PL330_DMAST | 1, PL330_DMASTZ,
				   PL330_DMARMB, PL330_DMAWMB, PL330_DMANOP, PL330_DMAKILL };
	static const u8 twos[] = { PL330_DMALP, PL330_DMALP | 2, PL330_DMALPEND, PL330_DMALPEND | 4, PL330_DMALPFE, PL330_DMASEV,
				   PL330_DMAWFE, PL330_DMAWFP, PL330_DMALDP };
	u8 how = in_u8(in);
	u32 val;

	switch (how & 3) {
	case 0:
		p[0] = ones[(how >> 2) % ARRAY_SIZE(ones)];
		return 1;
	case 1:
		p[0] = twos[(how >> 2) % ARRAY_SIZE(twos)];
		p[1] = in_u8(in) & 63;
		return 2;
	case 2:
		p[0] = PL330_DMAADDH | (how & 10);
		in_bytes(in, p + 1, 2);
		return 3;
	default:
		p[0] = PL330_DMAMOV;
		p[1] = how >> 2 & 3;
		val = p[1] == PL330_MOV_CCR ? (in_u32(in) & 0x3ffdfff7) | PL330_CCR_SRC_NS | PL330_CCR_DST_NS : pick_iova(in);
		memcpy(p + 2, &val, 4);
		return 6;
	}
}

static void go(unsigned channel, u32 iova, u8 ns)
{
	put(DMAC, PL330_DBGINST0, channel << 24 | (PL330_DMAGO | (ns & 2)) << 16, 4);
	put(DMAC, PL330_DBGINST1, iova, 4);
	put(DMAC, PL330_DBGCMD, 0, 4);
}

static void program(struct rig_input *in)
{
	u8 code[256], how = in_u8(in);
	const u32 at = (in_u8(in) % 32) * 64;
	unsigned len = 0;

	for (unsigned n = 0; n < (how & 31) && len < sizeof(code) - PL330_INSN_MAX; n++)
		len += instruction(in, code + len);
	code[len++] = PL330_DMAEND;
	rig_fill(RW_PAGE * PAGE_SIZE + at, code, len);
	go(how >> 5, RW + at, how);
}

static bool all_stopped(void)
{
	for (unsigned i = 0; i < PL330_MAX_CHANNELS; i++)
		if (get(DMAC, PL330_CSR(i)) & 15)
			return false;
	return true;
}

static void kill_all(void)
{
	for (unsigned i = 0; i < PL330_MAX_CHANNELS; i++) {
		put(DMAC, PL330_DBGINST0, PL330_DMAKILL << 16 | i << 8 | 1, 4);
		put(DMAC, PL330_DBGCMD, 0, 4);
	}
	put(DMAC, PL330_DBGINST0, PL330_DMAKILL << 16, 4);
	put(DMAC, PL330_DBGCMD, 0, 4);
	for (unsigned i = 0; i < PL330_MAX_CHANNELS; i++)
		for (unsigned n = 0; (get(DMAC, PL330_CSR(i)) & 15) == PL330_KILLING; n++) {
			rig_must(n < 1000000);
			sched_yield();
		}
}

static void interrupts(struct rig_input *in)
{
	struct { struct vfio_irq_set set; int fd[3]; } irq = { .fd = { dma_eventfd, dma_eventfd, -1 } };
	u8 how = in_u8(in);

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .flags = in_u8(in), .index = how & 15, .count = how >> 4 & 3,
					 .start = how & 0x40 ? in_u8(in) : 0 };
	if (how & 0x40 && irq.set.start > 200)
		irq.fd[0] = -1;
	rig_ioctl(d[how >> 7], VFIO_DEVICE_SET_IRQS, (unsigned long)&irq);
}

/* A device that was stopped does what a well-behaved driver asks for. */
static void round_trip(struct rig_input *in)
{
	const u32 from = 0x8000 + in_u16(in) % 4096, to = 0xa000 + in_u16(in) % 4096;
	u8 want[16], code[] = { PL330_DMAMOV, PL330_MOV_CCR, 0x0f << 4 | 1, 0x42 | 0x02, 0xbc | 0x80, 0,
				PL330_DMAMOV, PL330_MOV_SAR, 0, 0, 0, 0, PL330_DMAMOV, PL330_MOV_DAR, 0, 0, 0, 0,
				PL330_DMALD, PL330_DMAST, PL330_DMAEND };
	const u32 ccr = PL330_CCR_SRC_INC | PL330_CCR_DST_INC | PL330_CCR_SRC_LEN(16) | PL330_CCR_DST_LEN(16) |
			PL330_CCR_SRC_NS | PL330_CCR_DST_NS;

	dma_map_rw(true);
	kill_all(); /* what was on its way may have started another */
	kill_all();
	if (!all_stopped())
		return;
	memcpy(code + 2, &ccr, 4);
	memcpy(code + 8, (u32[]){ RW + from }, 4);
	memcpy(code + 14, (u32[]){ RW + to }, 4);
	rig_fill(RW_PAGE * PAGE_SIZE + 0xc000, code, sizeof(code));
	memcpy(want, rig_arena + RW_PAGE * PAGE_SIZE + from, sizeof(want));
	go(7, RW + 0xc000, 2);
	for (unsigned n = 0; (get(DMAC, PL330_CSR(7)) & 15) == PL330_EXECUTING; n++) {
		rig_must(n < 1000000);
		sched_yield();
	}
	rig_must(!memcmp(want, rig_arena + RW_PAGE * PAGE_SIZE + to, sizeof(want)));
}

static void step(struct rig_input *in)
{
	u8 buf[256], what = in_u8(in);

	switch (what % 10) {
	case 0: registers(in); break;
	case 1: copy(in); break;
	case 2:
	case 3: program(in); break;
	case 4: dma_map_rw(in_u8(in) & 1); break;
	case 5: interrupts(in); break;
	case 6: round_trip(in); break;
	case 7: rig_ioctl(d[in_u8(in) & 1], VFIO_DEVICE_RESET, 0); break;
	case 8: kill_all(); break;
	case 9:
		what = in_u8(in);
		in_bytes(in, buf, what);
		rig_fill(RW_PAGE * PAGE_SIZE + in_u16(in), buf, what);
		break;
	}
}

/* ---- around the steps ---- */

static void device_up(unsigned i)
{
	d[i] = (int)rig_ioctl(g[i], VFIO_GROUP_GET_DEVICE_FD, (unsigned long)names[i]);
	rig_must(d[i] >= 0);
	rig_must(!rig_mmap(d[i], i ? 2 : 0, i ? PAGE_SIZE : 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	rig_must(!rig_map_dma(dma_container, 3, rig_bars + (i ? 2 : 0) * PAGE_SIZE, i ? PEER : P2P, PAGE_SIZE));
}

static void device_down(unsigned i)
{
	struct bus_type *bus = i ? &amba_bustype : &platform_bus_type;

	rig_must(rig_unmap_dma(dma_container, i ? PEER : P2P, PAGE_SIZE) == PAGE_SIZE);
	rig_munmap(i ? 2 : 0, 2 * PAGE_SIZE);
	rig_close(d[i]);
	hw_platform_reset(to_platform_device(bus_find_device(bus, names[i]))->hw); /* VFIO has no way to, of pl330 */
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	dma_up();
	g[PLATDEV] = dma_join("/dev/vfio/3");
	g[DMAC] = dma_join("/dev/vfio/4");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };

	dma_begin();
	device_up(PLATDEV);
	device_up(DMAC);
	dma_steps(&in, 100, step);
	device_down(DMAC);
	device_down(PLATDEV);
	dma_end();
	return 0;
}
