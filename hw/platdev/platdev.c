/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platdev.c - a small platform device to practise on (regs.h).
 *
 * A copy runs inside the write that starts it.  The lock guards all registers and is not held while bytes
 * move, for the address may be our own region; `moving` says that a copy is under way: a second one
 * is refused as busy, and a reset waits.
 */
#include <errno.h>
#include <softvfio/hw.h>
#include <stdlib.h>
#include <string.h>

#include "hw/platdev/regs.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

extern const struct hw_model platdev_model;

struct platdev {
	struct hw_device *hw; /* immutable */
	struct hw_dma *dma;   /* immutable */

	struct mutex lock; /* LOCK_HW_MODEL: what follows */
	u32 scratch, irq_status, len, dma_status;
	u64 src, dst;
	u32 resets, copies;
	u64 copied_bytes;
	bool moving;
	u8 small[PLATDEV_SMALL_BYTES];
	u8 bounce[PLATDEV_DMA_MAX]; /* while moving it is the copy's, without lock */
};

static unsigned long long ull(u64 val)
{
	return val;
}

/* ---- the copy -------------------------------------------------------------------------------- */

/* Return: may it begin? */
static bool copy_begin(struct platdev *dev, u64 *ret_src, u64 *ret_dst, u32 *ret_len)
{
	bool ok = false;

	mutex_lock(&dev->lock);
	*ret_src = dev->src;
	*ret_dst = dev->dst;
	*ret_len = dev->len;
	if (dev->moving)
		hw_explain(dev->hw, "platdev: a copy is under way: the second one is refused");
	else if (!dev->len || dev->len > PLATDEV_DMA_MAX)
		dev->dma_status = PLATDEV_DMA_BAD_LEN;
	else
		dev->moving = ok = true;
	if (ok)
		dev->dma_status = PLATDEV_DMA_BUSY;
	else if (dev->dma_status == PLATDEV_DMA_BAD_LEN)
		hw_explain(dev->hw, "platdev: nothing copied: length 0x%x is not in [1, 0x%x]", dev->len,
			   PLATDEV_DMA_MAX);
	mutex_unlock(&dev->lock);
	return ok;
}

static void copy_end(struct platdev *dev, u32 len, u32 status, u32 cmd)
{
	mutex_lock(&dev->lock);
	dev->moving = false;
	dev->dma_status = status;
	if (status == PLATDEV_DMA_DONE) {
		dev->copies++;
		dev->copied_bytes += len;
	}
	if (cmd & PLATDEV_CMD_LEVEL) {
		dev->irq_status |= PLATDEV_IRQ_COPIED;
		hw_wire(dev->hw, PLATDEV_LEVEL_WIRE, true);
	}
	mutex_unlock(&dev->lock);
	if (cmd & PLATDEV_CMD_EDGE)
		hw_wire_pulse(dev->hw, PLATDEV_EDGE_WIRE);
}

static void copy(struct platdev *dev, u32 cmd)
{
	u32 len, status = PLATDEV_DMA_DONE;
	u64 src, dst;

	if (!(cmd & PLATDEV_CMD_COPY) || !copy_begin(dev, &src, &dst, &len))
		return;
	if (hw_dma_read(dev->dma, src, dev->bounce, len))
		status = PLATDEV_DMA_READ_FAULT;
	else if (hw_dma_write(dev->dma, dst, dev->bounce, len))
		status = PLATDEV_DMA_WRITE_FAULT;
	if (status != PLATDEV_DMA_DONE)
		hw_explain(dev->hw, "platdev: copy of 0x%x bytes from 0x%llx to 0x%llx ended with a fault", len,
			   ull(src), ull(dst));
	copy_end(dev, len, status, cmd);
}

/* ---- registers ------------------------------------------------------------------------------- */

static u32 reg_read_locked(struct platdev *dev, u64 off)
{
	switch (off) {
	case PLATDEV_ID: return PLATDEV_ID_VALUE;
	case PLATDEV_VERSION: return 1;
	case PLATDEV_SCRATCH: return dev->scratch;
	case PLATDEV_RESETS: return dev->resets;
	case PLATDEV_IRQ_STATUS: return dev->irq_status;
	case PLATDEV_DMA_SRC: return (u32)dev->src;
	case PLATDEV_DMA_SRC + 4: return (u32)(dev->src >> 32);
	case PLATDEV_DMA_DST: return (u32)dev->dst;
	case PLATDEV_DMA_DST + 4: return (u32)(dev->dst >> 32);
	case PLATDEV_DMA_LEN: return dev->len;
	case PLATDEV_DMA_STATUS: return dev->dma_status;
	default: return 0;
	}
}

static u32 counter_read_locked(struct platdev *dev, u64 off)
{
	switch (off) {
	case PLATDEV_ID: return PLATDEV_ID_VALUE;
	case PLATDEV_COPIES: return dev->copies;
	case PLATDEV_COPIED_BYTES: return (u32)dev->copied_bytes;
	case PLATDEV_COPIED_BYTES + 4: return (u32)(dev->copied_bytes >> 32);
	default: return 0;
	}
}

static void put_half(u64 *reg, bool high, u32 val)
{
	*reg = high ? (*reg & 0xffffffffu) | (u64)val << 32 : (*reg & ~0xffffffffull) | val;
}

static void raise_locked(struct platdev *dev, u32 val)
{
	if (!(val & PLATDEV_RAISE_LEVEL))
		return;
	dev->irq_status |= PLATDEV_IRQ_RAISED;
	hw_wire(dev->hw, PLATDEV_LEVEL_WIRE, true);
}

static void ack_locked(struct platdev *dev, u32 val)
{
	dev->irq_status &= ~val;
	if (!dev->irq_status)
		hw_wire(dev->hw, PLATDEV_LEVEL_WIRE, false);
}

static void reg_write_locked(struct platdev *dev, u64 off, u32 val)
{
	switch (off) {
	case PLATDEV_SCRATCH: dev->scratch = val; break;
	case PLATDEV_IRQ_RAISE: raise_locked(dev, val); break;
	case PLATDEV_IRQ_ACK: ack_locked(dev, val); break;
	case PLATDEV_DMA_SRC:
	case PLATDEV_DMA_SRC + 4: put_half(&dev->src, off & 4, val); break;
	case PLATDEV_DMA_DST:
	case PLATDEV_DMA_DST + 4: put_half(&dev->dst, off & 4, val); break;
	case PLATDEV_DMA_LEN: dev->len = val; break;
	case PLATDEV_DMA_CMD: break; /* acts without the lock */
	default:
		hw_explain(dev->hw, "platdev: write of 0x%x to 0x%llx ignored: no such register", val, ull(off));
	}
}

/* ---- accesses -------------------------------------------------------------------------------- */

static bool width_ok(struct platdev *dev, unsigned region, u64 off, unsigned len)
{
	const bool wide = region == PLATDEV_COUNTERS_REGION ? off == PLATDEV_COPIED_BYTES
							    : off == PLATDEV_DMA_SRC || off == PLATDEV_DMA_DST;

	if (len == 4 || (len == 8 && wide))
		return true;
	hw_explain(dev->hw, "platdev: access of %u bytes at 0x%llx of region %u ignored: registers take 4%s", len,
		   ull(off), region, wide ? " or 8" : "");
	return false;
}

static uint64_t platdev_read(struct hw_device *hw, unsigned region, uint64_t off, unsigned len)
{
	u32 (*read)(struct platdev *, u64) = region == PLATDEV_REGS_REGION ? reg_read_locked : counter_read_locked;
	struct platdev *dev = hw_private(hw);
	u64 val = 0;

	if (region != PLATDEV_SMALL_REGION && !width_ok(dev, region, off, len))
		return ~0ull;
	mutex_lock(&dev->lock);
	if (region == PLATDEV_SMALL_REGION)
		memcpy(&val, dev->small + off, len);
	else
		val = len == 8 ? read(dev, off) | (u64)read(dev, off + 4) << 32 : read(dev, off);
	mutex_unlock(&dev->lock);
	return val;
}

static void platdev_write(struct hw_device *hw, unsigned region, uint64_t off, unsigned len, uint64_t val)
{
	struct platdev *dev = hw_private(hw);

	if (region != PLATDEV_SMALL_REGION && !width_ok(dev, region, off, len))
		return;
	mutex_lock(&dev->lock);
	if (region == PLATDEV_SMALL_REGION) {
		memcpy(dev->small + off, &val, len);
	} else {
		reg_write_locked(dev, off, (u32)val);
		if (len == 8)
			reg_write_locked(dev, off + 4, (u32)(val >> 32));
	}
	mutex_unlock(&dev->lock);
	if (region == PLATDEV_REGS_REGION && off == PLATDEV_IRQ_RAISE && val & PLATDEV_RAISE_EDGE)
		hw_wire_pulse(hw, PLATDEV_EDGE_WIRE);
	if (region == PLATDEV_REGS_REGION && off == PLATDEV_DMA_CMD)
		copy(dev, (u32)val);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int add_parts(struct hw_device *hw)
{
	int err = hw_region_add(hw, PLATDEV_REGS_BYTES, 0);

	if (err >= 0)
		err = hw_region_add(hw, PLATDEV_COUNTERS_BYTES, HW_REGION_READONLY);
	if (err >= 0)
		err = hw_region_add(hw, PLATDEV_SMALL_BYTES, 0);
	if (err >= 0)
		err = hw_wire_add(hw, false);
	if (err >= 0)
		err = hw_wire_add(hw, true);
	if (err < 0)
		return err;
	return hw_bar_set_pages(hw, PLATDEV_REGS_REGION, PLATDEV_MEMORY, PLATDEV_REGS_BYTES - PLATDEV_MEMORY,
				HW_PAGE_DIRECT);
}

static int take_options(struct hw_device *hw)
{
	const char *reset = hw_option(hw, "reset");

	if (!reset || !strcmp(reset, "on")) {
		hw_resettable(hw);
	} else if (strcmp(reset, "off")) {
		hw_explain(hw, "platdev: reset=%s is neither on nor off", reset);
		return -EINVAL;
	}
	return 0;
}

static int platdev_create(struct hw_device *hw)
{
	struct platdev *dev;
	int err = add_parts(hw);

	if (!err)
		err = take_options(hw);
	if (err)
		return err;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->hw = hw;
	dev->dma = hw_dma_open(hw);
	if (!dev->dma) {
		free(dev);
		return -ENOMEM;
	}
	mutex_init(&dev->lock, LOCK_HW_MODEL);
	hw_set_private(hw, dev);
	return 0;
}

static void platdev_destroy(struct hw_device *hw)
{
	struct platdev *dev = hw_private(hw);

	hw_dma_close(dev->dma);
	mutex_destroy(&dev->lock);
	free(dev);
}

static void platdev_reset(struct hw_device *hw)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct platdev *dev = hw_private(hw);

	mutex_lock(&dev->lock);
	while (dev->moving) {
		mutex_unlock(&dev->lock);
		sys_ppoll(NULL, 0, &pause);
		mutex_lock(&dev->lock);
	}
	dev->scratch = dev->irq_status = dev->len = dev->dma_status = 0;
	dev->src = dev->dst = 0;
	dev->resets++;
	memset(dev->small, 0, sizeof(dev->small));
	memset((u8 *)hw_bar_memory(hw, PLATDEV_REGS_REGION) + PLATDEV_MEMORY, 0,
	       PLATDEV_REGS_BYTES - PLATDEV_MEMORY);
	hw_wire(hw, PLATDEV_LEVEL_WIRE, false);
	mutex_unlock(&dev->lock);
}

static const struct hw_key platdev_keys[] = {
	{ "reset", "on|off", "the host knows how to reset it (on)" },
	{ 0 },
};
static const struct hw_platform on_platform = { .bus_name = "platdev" };

const struct hw_model platdev_model = {
	.name = "platdev",
	.summary = "small platform device: registers, an edge and a level interrupt, a copy engine",
	.keys = platdev_keys,
	.create = platdev_create,
	.destroy = platdev_destroy,
	.reset = platdev_reset,
	.bar_read = platdev_read,
	.bar_write = platdev_write,
	.platform = &on_platform,
};
