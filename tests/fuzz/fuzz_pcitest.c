/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_pcitest.c - a device that has one of everything: every region, config space, interrupts, errors,
 * power states, resets and DMA from fuzz bytes.
 *
 * At P2P lies a BAR of the device itself (dma_rig.h).  A page that the device may not write does not change, and after
 * everything was closed and opened again the device is as new: it copies what a driver asks for.
 */
#include "tests/fuzz/dma_rig.h"

#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/pcitest/regs.h"

enum { BAR0_PAGE = 0, BAR2_PAGE = 4 }; /* of the bars */

#define REGION(i) ((u64)(i) << 40)
#define CONFIG REGION(VFIO_PCI_CONFIG_REGION_INDEX)

static int g, d;

static u64 pick_iova(struct rig_input *in)
{
	static const u64 bases[8] = { RW, RW + 8 * PAGE_SIZE, RW + RW_PAGES * PAGE_SIZE, RO, RO + RO_PAGES * PAGE_SIZE, WO, P2P,
				      0xfee00000 };

	return dma_pick(in, bases);
}

static void put(u64 off, u64 val, unsigned len)
{
	rig_pwrite(d, &val, len, off);
}

static void copy(u64 src, u64 dst, u32 len)
{
	put(PCITEST_DMA_SRC, src, 8);
	put(PCITEST_DMA_DST, dst, 8);
	put(PCITEST_DMA_LEN, len, 4);
}

/* ---- steps ---- */

static void region_access(struct rig_input *in)
{
	static const u8 regions[] = { 0, 0, 1, 2, 4, 5, 6, 8 };
	u8 how = in_u8(in);
	u64 off = REGION(regions[how & 7]) + (how & 8 ? in_u16(in) : in_u8(in));
	unsigned len = 1 + in_u8(in) % (how & 0x10 ? 64u : 8u);
	u64 val = in_u32(in);

	if ((off & 0xffff) == PCITEST_GONE && !(off >> 40))
		return; /* it would be gone for all inputs */
	if (how & 0x20)
		rig_pread(d, rig_ubuf, len, off);
	else
		rig_pwrite(d, &val, min(len, 8u), off);
}

static void mapped_access(struct rig_input *in)
{
	u8 how = in_u8(in);
	u32 off = in_u16(in) % 0x4000u;
	unsigned len = how & 0x10 ? 1 + in_u8(in) % 64u : 1u << (how & 3);
	u64 val = in_u32(in);

	if (off <= PCITEST_GONE && off + len > PCITEST_GONE)
		return;
	rig_mmio(how & 4 ? BAR2_PAGE : BAR0_PAGE, min(off, 0x4000u - len), len, how & 8, val);
}

static void config_access(struct rig_input *in)
{
	u8 how = in_u8(in);
	u64 off = CONFIG + (how & 8 ? in_u16(in) % 4096 : in_u8(in));
	u32 val = in_u32(in);
	unsigned len = 1u << (how & 3) % 3;

	if (how & 4)
		rig_pread(d, &val, len, off);
	else
		rig_pwrite(d, &val, len, off);
}

static void interrupts(struct rig_input *in)
{
	struct { struct vfio_irq_set set; int fd[4]; } irq = { .fd = { dma_eventfd, -1, dma_eventfd, dma_eventfd } };
	u8 how = in_u8(in);

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .flags = in_u8(in), .index = how & 7, .count = how >> 3 & 3,
					 .start = how & 0x40 ? in_u8(in) : 0 };
	rig_ioctl(d, VFIO_DEVICE_SET_IRQS, (unsigned long)&irq);
}

static void raise_something(struct rig_input *in)
{
	static const u8 regs[] = { PCITEST_IRQ, PCITEST_IRQ_STATUS, PCITEST_AER_UNCOR, PCITEST_AER_COR };

	put(regs[in_u8(in) & 3], in_u32(in), 4);
}

static void feature(struct rig_input *in)
{
	struct { struct vfio_device_feature f; u8 data[32]; } arg = { .f.argsz = 8 + in_u8(in) % 33u };

	arg.f.flags = in_u8(in) % 16u | (u32)(in_u8(in) & 7) << 16;
	in_bytes(in, arg.data, in_u8(in) % sizeof(arg.data));
	if ((arg.f.flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)
		memcpy(arg.data, &dma_eventfd, sizeof(dma_eventfd));
	rig_ioctl(d, VFIO_DEVICE_FEATURE, (unsigned long)&arg);
}

static void ioeventfd(struct rig_input *in)
{
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io), .flags = 1u << in_u8(in) % 4u, .data = in_u32(in), .fd = dma_eventfd };
	const u64 one = 1;
	u8 how = in_u8(in);

	io.offset = how & 1 ? in_u16(in) : 4;
	if (how & 2)
		io.fd = -1;
	rig_ioctl(d, VFIO_DEVICE_IOEVENTFD, (unsigned long)&io);
	if (how & 4)
		(void)!write(dma_eventfd, &one, sizeof(one));
}

static void hot_reset(struct rig_input *in)
{
	struct { struct vfio_pci_hot_reset hot; int fd[2]; } arg = { .fd = { g, dma_container } };

	arg.hot = (struct vfio_pci_hot_reset){ .argsz = sizeof(arg), .count = in_u8(in) % 3u };
	rig_ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, (unsigned long)&arg);
}

/* By a thread of the device, with a PASID, on demand; or a page request, which nobody takes. */
static void transfer(struct rig_input *in)
{
	u8 how = in_u8(in);

	put(PCITEST_DMA_PASID, how & 0x40 ? in_u32(in) : how & 3, 4);
	put(PCITEST_DMA_MODE, (how >> 2 & 0xf) | (u32)in_u8(in) << PCITEST_DMA_VECTOR_SHIFT, 4);
	if (how & 0x80) {
		put(PCITEST_PAGE_BYTES, in_u16(in), 4);
		put(PCITEST_DMA_DST, pick_iova(in), 8);
		put(PCITEST_PAGE_REQUEST, in_u8(in) % 16u, 4);
	} else {
		u64 src = pick_iova(in), dst = pick_iova(in);

		copy(src, dst, in_u16(in));
	}
}

static void step(struct rig_input *in)
{
	switch (in_u8(in) % 15) {
	case 0:
	case 1: region_access(in); break;
	case 2:
	case 3: mapped_access(in); break;
	case 4:
	case 5: config_access(in); break;
	case 6:
	case 7: { u64 src = pick_iova(in), dst = pick_iova(in); copy(src, dst, in_u16(in)); break; }
	case 8: interrupts(in); break;
	case 9: raise_something(in); break;
	case 10: feature(in); break;
	case 11: ioeventfd(in); break;
	case 12: rig_ioctl(d, VFIO_DEVICE_RESET, 0); break;
	case 13: hot_reset(in); break;
	case 14: transfer(in); break;
	}
}

/* ---- around the steps ---- */

static void device_up(void)
{
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	d = (int)rig_ioctl(g, VFIO_GROUP_GET_DEVICE_FD, (unsigned long)RIG_PCITEST);
	rig_must(d >= 0);
	rig_must(rig_pwrite(d, &command, 2, CONFIG + PCI_COMMAND) == 2);
	rig_must(!rig_mmap(d, BAR0_PAGE, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	rig_must(!rig_mmap(d, BAR2_PAGE, PCITEST_BAR2_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, REGION(2)));
	rig_must(!rig_map_dma(dma_container, 3, rig_bars + BAR0_PAGE * PAGE_SIZE, P2P, PAGE_SIZE));
}

static void device_down(void)
{
	rig_must(rig_unmap_dma(dma_container, P2P, PAGE_SIZE) == PAGE_SIZE);
	rig_munmap(0, RIG_BARS_PAGES * PAGE_SIZE);
	rig_close(d);
}

/* Opened anew it knows nothing of what was done to it. */
static void works(void)
{
	u8 text[] = "as a driver finds it";
	u32 status = 1;

	rig_fill(RW_PAGE * PAGE_SIZE, text, sizeof(text));
	copy(RW, RW + 0x9000, sizeof(text));
	rig_must(rig_pread(d, &status, 4, PCITEST_DMA_STATUS) == 4 && status == 0);
	rig_must(!memcmp(rig_arena + RW_PAGE * PAGE_SIZE + 0x9000, text, sizeof(text)));
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	dma_up();
	g = dma_join(RIG_PCITEST_GROUP);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };

	dma_begin();
	device_up();
	dma_steps(&in, 100, step);
	device_down();
	device_up();
	works();
	device_down();
	dma_end();
	return 0;
}
