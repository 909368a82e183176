/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup-res.c - bus addresses for BARs, as firmware hands them out at boot.
 *
 * The idea: each bus owns chunks of address space, so that a bridge's windows can hold all that lies
 * behind it and nothing else.
 *
 *	I/O		4 KiB a bus: 0xd000, 0xe000, 0xf000, then 0xc000 downwards
 *	memory		16 MiB a bus: 0xfe000000, then downwards to 0xc0000000
 *	large memory	1 TiB a bus from 0x380000000000, for 64-bit BARs above 8 MiB
 *
 * What always holds: two BARs never share a page (a program maps each by itself) unless the machine wants a
 * device's packed, no BAR lies in the
 * interrupt window 0xfee00000, and a chunk belongs to one bus.  All under the tree lock.
 *
 * A process that attaches does not hand out anything: it takes the addresses from the tree, so that
 * all processes agree whatever order they build devices in.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/pci/pci_internal.h"

#define IO_CHUNK 0x1000ull
#define IO_FIRST 0xd000ull
#define IO_UPPER_CHUNKS 3
#define MEM_CHUNK 0x1000000ull
#define MEM_FIRST 0xfe000000ull
#define MEM_END 0xfec00000ull /* I/O APIC and above */
#define MEM_FLOOR 0xc0000000ull
#define HIGH_CHUNK (1ull << 40)
#define HIGH_FIRST 0x380000000000ull
#define HIGH_END (1ull << 47) /* what PHYS_SLOT_MMIO can address */
#define HIGH_ABOVE_BYTES (8ull << 20)
#define BRIDGE_GRAIN 0x100000ull
#define IO_GRAIN 0x1000ull

struct pci_range {
	u64 next, end;
};

/* Free addresses of one bus, by enum of windows. */
struct pci_space {
	struct pci_range range[PCI_BRIDGE_WINDOWS];
};

static struct pci_space root_space;
static u64 next_io_chunk, next_mem, next_high;

void pci_space_init(void)
{
	memset(&root_space, 0, sizeof(root_space));
	next_io_chunk = 0;
	next_mem = MEM_FIRST + MEM_CHUNK;
	next_high = HIGH_FIRST;
}

/* ---- chunks -------------------------------------------------------------------------------- */

static bool io_chunk(u64 size, struct pci_range *ret)
{
	u64 n = next_io_chunk;

	if (size > IO_CHUNK || n >= IO_UPPER_CHUNKS + IO_FIRST / IO_CHUNK - 1)
		return false;
	next_io_chunk++;
	ret->next = n < IO_UPPER_CHUNKS ? IO_FIRST + n * IO_CHUNK
					: IO_FIRST - (n - IO_UPPER_CHUNKS + 1) * IO_CHUNK;
	ret->end = ret->next + IO_CHUNK;
	return true;
}

static bool mem_chunk(u64 size, struct pci_range *ret)
{
	u64 need = ALIGN_UP(size, MEM_CHUNK), start;

	if (need > next_mem - MEM_FLOOR)
		return false;
	start = ALIGN_DOWN(next_mem - need, max(size, MEM_CHUNK));
	if (start < MEM_FLOOR)
		return false;
	if (start + size > MEM_END) { /* the topmost chunk is cut short */
		next_mem = MEM_FIRST;
		return mem_chunk(size, ret);
	}
	ret->next = start;
	ret->end = min(start + need, MEM_END);
	next_mem = start;
	return true;
}

static bool high_chunk(u64 size, struct pci_range *ret)
{
	u64 need = max(size, HIGH_CHUNK), start = ALIGN_UP(next_high, need);

	if (start >= HIGH_END || need > HIGH_END - start)
		return false;
	ret->next = start;
	ret->end = next_high = start + need;
	return true;
}

static bool new_chunk(unsigned window, u64 size, struct pci_range *ret)
{
	switch (window) {
	case PCI_WINDOW_IO:
		return io_chunk(size, ret);
	case PCI_WINDOW_MEM:
		return mem_chunk(size, ret);
	default:
		return high_chunk(size, ret);
	}
}

static bool range_take(struct pci_range *range, u64 size, u64 align, u64 *ret)
{
	u64 start = ALIGN_UP(range->next, align);

	if (!range->end || start >= range->end || size > range->end - start)
		return false;
	range->next = start + size;
	*ret = start;
	return true;
}

/* ---- windows of bridges -------------------------------------------------------------------- */

static void window_grow(struct pci_dev *bridge, unsigned window, u64 start, u64 size)
{
	static const u32 flags[PCI_BRIDGE_WINDOWS] = {
		IORESOURCE_IO, IORESOURCE_MEM,
		IORESOURCE_MEM | IORESOURCE_PREFETCH | IORESOURCE_MEM_64 | PCI_PREF_RANGE_TYPE_64,
	};
	u64 grain = window == PCI_WINDOW_IO ? IO_GRAIN : BRIDGE_GRAIN;
	struct resource *w = &bridge->window[window];
	u64 end = ALIGN_UP(start + size, grain);

	start = ALIGN_DOWN(start, grain);
	if (w->size_bytes) {
		end = max(end, w->start + w->size_bytes);
		start = min(start, w->start);
	}
	w->start = start;
	w->size_bytes = end - start;
	w->flags = flags[window];
	if (bridge->bridge)
		window_grow(bridge->bridge, window, start, end - start);
	pci_program_windows(bridge);
}

/* Base and limit registers keep the upper bits of the first and the last address in the window. */
static u32 window_reg(const struct resource *w, u64 mask, unsigned base_shift)
{
	u64 last = w->start + w->size_bytes - 1;

	return (u32)((w->start & mask) >> base_shift | (last & mask));
}

/* A window that is closed has its base above its limit. */
void pci_program_windows(struct pci_dev *bridge)
{
	const struct resource *io = &bridge->window[PCI_WINDOW_IO];
	const struct resource *mem = &bridge->window[PCI_WINDOW_MEM];
	const struct resource *pref = &bridge->window[PCI_WINDOW_PREF];
	u32 io_reg = io->size_bytes ? window_reg(io, 0xf000, 8) : 0x00f0;
	u32 mem_reg = mem->size_bytes ? window_reg(mem, 0xfff00000, 16) : 0xfff0;
	u32 pref_reg = pref->size_bytes ? window_reg(pref, 0xfff00000, 16) : 0xfff0;
	u64 last = pref->size_bytes ? pref->start + pref->size_bytes - 1 : 0;

	pci_write_config_word(bridge, PCI_IO_BASE, (u16)io_reg);
	pci_write_config_dword(bridge, PCI_MEMORY_BASE, mem_reg);
	pci_write_config_dword(bridge, PCI_PREF_MEMORY_BASE, pref_reg);
	pci_write_config_dword(bridge, PCI_PREF_BASE_UPPER32, (u32)(pref->start >> 32));
	pci_write_config_dword(bridge, PCI_PREF_LIMIT_UPPER32, (u32)(last >> 32));
}

static struct pci_space *space_of(struct pci_dev *bridge)
{
	if (!bridge)
		return &root_space;
	if (!bridge->space)
		bridge->space = kzalloc(sizeof(*bridge->space));
	return bridge->space;
}

/* ---- one BAR ------------------------------------------------------------------------------- */

static unsigned window_for(const struct resource *res)
{
	if (res->flags & IORESOURCE_IO)
		return PCI_WINDOW_IO;
	return (res->flags & IORESOURCE_MEM_64) && res->size_bytes > HIGH_ABOVE_BYTES ? PCI_WINDOW_PREF
										      : PCI_WINDOW_MEM;
}

/* @bytes: of all that lies there; @what: for the reason. */
static int assign(struct pci_dev *pdev, struct resource *res, u64 bytes, const char *what)
{
	unsigned window = window_for(res);
	u64 align = res->size_bytes;
	struct pci_space *space = space_of(pdev->bridge);
	struct pci_range chunk;

	if (!space)
		return fail(-ENOMEM, "no memory for the addresses behind %s", pdev->bridge->dev.name);
	if (window != PCI_WINDOW_IO && !pdev->packed)
		align = max(align, (u64)PAGE_SIZE);
	if (!range_take(&space->range[window], bytes, align, &res->start)) {
		if (!new_chunk(window, max(bytes, align), &chunk) || !range_take(&chunk, bytes, align, &res->start))
			return fail(-ENOSPC, "%s: no bus addresses left for %s of %llu bytes", pdev->dev.name,
				    what, (unsigned long long)bytes);
		space->range[window] = chunk;
	}
	if (pdev->bridge)
		window_grow(pdev->bridge, window, res->start, bytes);
	return 0;
}

static int assign_all(struct pci_dev *pdev)
{
	struct pci_sriov *iov = pdev->sriov;
	char what[32];
	int err = 0;

	for (unsigned i = 0; i < PCI_NUM_RESOURCES && !err; i++) {
		snprintf(what, sizeof(what), "BAR %u", i);
		if (pdev->resource[i].size_bytes)
			err = assign(pdev, &pdev->resource[i], pdev->resource[i].size_bytes, what);
	}
	for (unsigned i = 0; iov && i < PCI_SRIOV_NUM_BARS && !err; i++) {
		snprintf(what, sizeof(what), "BAR %u of virtual functions", i);
		if (iov->res[i].size_bytes)
			err = assign(pdev, &iov->res[i], iov->res[i].size_bytes * iov->total_vfs, what);
	}
	return err;
}

/* ---- from the tree ------------------------------------------------------------------------- */

/* Lines of "start end flags": BARs and ROM are 0..6, a bridge's windows 13..15. */
static void parse_line(struct pci_dev *pdev, unsigned line, const char *text)
{
	unsigned long long start, last, flags;

	if (sscanf(text, "%llx %llx %llx", &start, &last, &flags) != 3 || !flags || last < start)
		return;
	if (line < PCI_NUM_RESOURCES && pdev->resource[line].size_bytes == last - start + 1)
		pdev->resource[line].start = start;
	if (pdev->sriov && line >= PCI_NUM_RESOURCES && line < PCI_NUM_RESOURCES + PCI_SRIOV_NUM_BARS)
		pdev->sriov->res[line - PCI_NUM_RESOURCES].start = start;
	if (pci_is_bridge(pdev) && line >= 13 && line < 13 + PCI_BRIDGE_WINDOWS)
		pdev->window[line - 13] = (struct resource){start, last - start + 1, (u32)flags};
}

static bool take_from_tree(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX], buf[PAGE_SIZE], *at = buf, *line;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/resource", pdev->dev.path);
	len = kernfs_read(path, buf, sizeof(buf) - 1);
	if (len <= 0)
		return false;
	buf[len] = '\0';
	for (unsigned i = 0; (line = strsep(&at, "\n")); i++)
		parse_line(pdev, i, line);
	for (unsigned i = 0; i < PCI_NUM_RESOURCES; i++)
		if (pdev->resource[i].size_bytes && !pdev->resource[i].start)
			return false;
	return true;
}

/* ---- all of a device ----------------------------------------------------------------------- */

void pci_program_resources(struct pci_dev *pdev)
{
	unsigned rom = pci_is_bridge(pdev) ? PCI_ROM_ADDRESS1 : PCI_ROM_ADDRESS;

	for (unsigned i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct resource *res = &pdev->resource[i];

		if (!res->size_bytes)
			continue;
		pci_write_config_dword(pdev, PCI_BASE_ADDRESS_0 + 4 * i, (u32)res->start);
		if (res->flags & IORESOURCE_MEM_64)
			pci_write_config_dword(pdev, PCI_BASE_ADDRESS_0 + 4 * i + 4, (u32)(res->start >> 32));
	}
	if (pdev->resource[PCI_ROM_RESOURCE].size_bytes)
		pci_write_config_dword(pdev, rom, (u32)pdev->resource[PCI_ROM_RESOURCE].start);
	if (pci_is_bridge(pdev))
		pci_program_windows(pdev);
	pci_iov_program(pdev);
}

int pci_assign_resources(struct pci_dev *pdev)
{
	int err = 0;

	if (!take_from_tree(pdev))
		err = assign_all(pdev);
	if (!err)
		pci_program_resources(pdev);
	return err;
}
