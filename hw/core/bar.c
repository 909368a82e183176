/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bar.c - BARs: their size, the kind of each page, and who answers an access.
 *
 * An access goes, in this order, to the MSI-X table and pending bits (irq.c), to the memory behind
 * direct and read-direct pages, to a ROM image, or to the model.  Absent BARs and places behind the end read as all
 * ones and swallow writes, as a bus without an answer does.
 *
 * The memory of all BARs of a device is one memfd, so that one descriptor serves every mmap.  It is
 * sealed once create() is done: a program that has it mapped cannot shrink it under the model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define BAR_MAX_BYTES (1ull << 44)
#define VGA_BYTES 0xc0000u /* up to the end of its memory; I/O addresses are below it */
#define ROM_MIN_BYTES 2048u /* the address register has no lower bits */
#define ROM_MAX_BYTES (16u << 20)

static bool bar_is_memory(const struct hw_bar *b)
{
	return b->size_bytes && !(b->flags & HW_BAR_IO);
}

static int bar_check(struct hw_device *hw, unsigned bar, u64 size, unsigned flags)
{
	unsigned last = hw->bridge ? 1 : HW_BARS - 1;
	bool wide = flags & HW_BAR_MEM64;

	if (!hw->creating)
		return fail(-EINVAL, "a BAR can be added in create() only");
	if (hw->model->platform)
		return fail(-EINVAL, "%s is a platform device: it has regions, not BARs", hw->model->name);
	if (bar != HW_ROM_BAR && bar > last)
		return fail(-EINVAL, "BAR %u: this header has BARs 0 to %u", bar, last);
	if (size & (size - 1) || size < (flags & HW_BAR_IO ? 4 : 16) || size > BAR_MAX_BYTES)
		return fail(-EINVAL, "BAR %u: size 0x%llx is no power of two in the allowed range", bar,
			    (unsigned long long)size);
	if (bar == HW_ROM_BAR && flags)
		return fail(-EINVAL, "the ROM BAR takes no flags");
	if (flags & HW_BAR_IO && flags & ~HW_BAR_IO)
		return fail(-EINVAL, "BAR %u: I/O space can be neither 64 bits wide nor prefetchable", bar);
	if (wide && bar >= last)
		return fail(-EINVAL, "BAR %u: no BAR behind it for its upper half", bar);
	if (!wide && size > 1ull << 31)
		return fail(-EINVAL, "BAR %u: more than 2 GiB needs HW_BAR_MEM64", bar);
	if (hw->bars[bar].size_bytes || hw->bars[bar].upper || (wide && hw->bars[bar + 1].size_bytes))
		return fail(-EBUSY, "BAR %u is taken", bar);
	return 0;
}

int hw_bar_add(struct hw_device *hw, unsigned bar, uint64_t size_bytes, unsigned flags)
{
	int err = bar_check(hw, bar, size_bytes, flags);

	if (err)
		return err;
	hw->bars[bar].size_bytes = size_bytes;
	hw->bars[bar].flags = flags;
	if (flags & HW_BAR_MEM64)
		hw->bars[bar + 1].upper = true;
	hw_config_bar_layout(hw, bar);
	return 0;
}

int hw_vga_add(struct hw_device *hw)
{
	if (!hw->creating)
		return fail(-EINVAL, "legacy VGA can be added in create() only");
	hw->bars[HW_VGA_BAR].size_bytes = VGA_BYTES;
	return 0;
}

/* Memory as long as the BAR; pages that stay trapped cost nothing. */
static int bar_add_memory(struct hw_device *hw, struct hw_bar *b)
{
	u64 len = ALIGN_UP(b->size_bytes, (u64)HW_PAGE_BYTES);
	void *mem;
	int err;

	if (hw->mem_fd < 0) {
		int fd = sys_memfd_create("softvfio-bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		if (fd < 0)
			return fail(fd, "no file for BAR pages: %s", strerrorname_np(-fd));
		hw->mem_fd = hw->host_ops->hide_fd ? hw->host_ops->hide_fd(hw->host, fd) : fd;
	}
	err = sys_ftruncate(hw->mem_fd, (off_t)(hw->mem_bytes + len));
	if (err)
		return fail(err, "no memory for 0x%llx bytes of BAR pages", (unsigned long long)len);
	mem = sys_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, hw->mem_fd,
		       (off_t)hw->mem_bytes);
	if (IS_ERR(mem))
		return fail((int)PTR_ERR(mem), "0x%llx bytes of BAR pages cannot be mapped",
			    (unsigned long long)len);
	b->mem = mem;
	b->mem_off = hw->mem_bytes;
	hw->mem_bytes += len;
	return 0;
}

int hw_bar_set_pages(struct hw_device *hw, unsigned bar, uint64_t off, uint64_t len, enum hw_page_kind kind)
{
	struct hw_bar *b = bar < HW_BARS ? &hw->bars[bar] : NULL;
	int err;

	if (!hw->creating)
		return fail(-EINVAL, "the kind of a page can be set in create() only");
	if (!b || !bar_is_memory(b))
		return fail(-EINVAL, "BAR %u is no memory BAR of this device", bar);
	if (!len || !IS_ALIGNED(off | len, HW_PAGE_BYTES) || off > b->size_bytes || len > b->size_bytes - off)
		return fail(-EINVAL, "BAR %u: [0x%llx, +0x%llx) is not pages of it", bar,
			    (unsigned long long)off, (unsigned long long)len);
	if (kind != HW_PAGE_TRAPPED && hw_msix_covers(hw, bar, off, len))
		return fail(-EINVAL, "BAR %u: the pages of the MSI-X table must stay trapped", bar);
	if (!b->kinds)
		b->kinds = calloc(b->size_bytes / HW_PAGE_BYTES, 1);
	if (!b->kinds)
		return -ENOMEM;
	if (kind != HW_PAGE_TRAPPED && !b->mem) {
		err = bar_add_memory(hw, b);
		if (err)
			return err;
	}
	memset(b->kinds + off / HW_PAGE_BYTES, kind, len / HW_PAGE_BYTES);
	return 0;
}

void *hw_bar_memory(struct hw_device *hw, unsigned bar)
{
	return bar < HW_BARS ? hw->bars[bar].mem : NULL;
}

static u64 rom_size(u64 bytes)
{
	u64 size = ROM_MIN_BYTES;

	while (size < bytes)
		size <<= 1;
	return size;
}

static int rom_read(int fd, u8 *to, u64 len)
{
	ssize_t n;

	for (u64 done = 0; done < len; done += (u64)n) {
		n = sys_pread(fd, to + done, len - done, (off_t)done);
		if (n <= 0)
			return n ? (int)n : -EIO;
	}
	return 0;
}

static int rom_load_fd(struct hw_device *hw, int fd, const char *path)
{
	struct stat st;
	int err = sys_fstat(fd, &st);

	if (err)
		return fail(err, "%s: %s", path, strerror(-err));
	if (st.st_size <= 0 || st.st_size > ROM_MAX_BYTES)
		return fail(-EINVAL, "%s has %lld bytes: a ROM has 1 to %u", path, (long long)st.st_size,
			    ROM_MAX_BYTES);
	err = hw_bar_add(hw, HW_ROM_BAR, rom_size((u64)st.st_size), 0);
	if (err)
		return err;
	hw->rom = malloc(hw->bars[HW_ROM_BAR].size_bytes);
	if (!hw->rom)
		return -ENOMEM;
	memset(hw->rom, 0xff, hw->bars[HW_ROM_BAR].size_bytes); /* as an erased chip behind the image */
	err = rom_read(fd, hw->rom, (u64)st.st_size);
	return err ? fail(err, "%s cannot be read: %s", path, strerror(-err)) : 0;
}

int hw_rom_load(struct hw_device *hw, const char *path)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0), err;

	if (fd < 0)
		return fail(fd, "%s: %s", path, strerror(-fd));
	err = rom_load_fd(hw, fd, path);
	sys_close(fd);
	return err;
}

void hw_bar_free(struct hw_device *hw)
{
	free(hw->rom);
	for (unsigned i = 0; i < ARRAY_SIZE(hw->bars); i++) {
		struct hw_bar *b = &hw->bars[i];

		if (b->mem)
			sys_munmap(b->mem, ALIGN_UP(b->size_bytes, (u64)HW_PAGE_BYTES));
		free(b->kinds);
	}
	if (hw->mem_fd >= 0 && hw->host_ops->close_fd)
		hw->host_ops->close_fd(hw->host, hw->mem_fd);
	else if (hw->mem_fd >= 0)
		sys_close(hw->mem_fd);
}

/* ---- accesses ------------------------------------------------------------------------------ */

static enum hw_page_kind page_kind(const struct hw_bar *b, u64 off)
{
	return b->kinds ? b->kinds[off / HW_PAGE_BYTES] : HW_PAGE_TRAPPED;
}

int hw_bar_page(void *opaque, unsigned bar, u64 off, int *ret_fd, u64 *ret_fd_off, u64 *ret_len)
{
	struct hw_device *hw = opaque;
	const struct hw_bar *b = bar < HW_BARS ? &hw->bars[bar] : NULL;
	enum hw_page_kind kind;
	u64 end;

	*ret_fd = -1;
	*ret_fd_off = 0;
	*ret_len = 0;
	if (!b || off >= b->size_bytes)
		return HW_PAGE_TRAPPED;
	off = ALIGN_DOWN(off, (u64)HW_PAGE_BYTES);
	kind = page_kind(b, off);
	if (hw_down(hw))
		kind = HW_PAGE_TRAPPED; /* of all: nothing is there to be read directly */
	end = b->kinds && !hw_down(hw) ? off + HW_PAGE_BYTES : b->size_bytes;
	while (b->kinds && end < b->size_bytes && page_kind(b, end) == kind)
		end += HW_PAGE_BYTES;
	*ret_len = end - off;
	if (kind != HW_PAGE_TRAPPED) {
		*ret_fd = hw->mem_fd;
		*ret_fd_off = b->mem_off + off;
	}
	return kind;
}

/* One load or store of plain memory, not torn: another thread of the program may be at the same place. */
static u64 mem_load(const void *p, unsigned len)
{
	switch (len) {
	case 1: return *(const volatile u8 *)p;
	case 2: return *(const volatile u16 *)p;
	case 4: return *(const volatile u32 *)p;
	default: return *(const volatile u64 *)p;
	}
}

static void mem_store(void *p, unsigned len, u64 val)
{
	switch (len) {
	case 1: *(volatile u8 *)p = (u8)val; break;
	case 2: *(volatile u16 *)p = (u16)val; break;
	case 4: *(volatile u32 *)p = (u32)val; break;
	default: *(volatile u64 *)p = val; break;
	}
}

static u64 all_ones(unsigned len)
{
	return len >= 8 ? ~0ull : (1ull << 8 * len) - 1;
}

/* 0 < @len <= 8, aligned, inside the BAR. */
static u64 read_piece(struct hw_device *hw, unsigned bar, u64 off, unsigned len)
{
	const struct hw_bar *b = &hw->bars[bar];

	if (hw_msix_covers(hw, bar, off, len))
		return hw_msix_read(hw, off, len);
	if (bar == HW_ROM_BAR && hw->rom)
		return mem_load(hw->rom + off, len);
	if (page_kind(b, off) != HW_PAGE_TRAPPED)
		return mem_load(b->mem + off, len);
	return hw->model->bar_read ? hw->model->bar_read(hw, bar, off, len) & all_ones(len) : all_ones(len);
}

static void write_piece(struct hw_device *hw, unsigned bar, u64 off, unsigned len, u64 val)
{
	const struct hw_bar *b = &hw->bars[bar];

	if (hw_msix_covers(hw, bar, off, len))
		hw_msix_write(hw, off, len, val);
	else if (page_kind(b, off) == HW_PAGE_DIRECT)
		mem_store(b->mem + off, len, val);
	else if (hw->model->bar_write)
		hw->model->bar_write(hw, bar, off, len, val & all_ones(len));
}

static bool access_ok(const struct hw_device *hw, unsigned bar, u64 off, unsigned len)
{
	return bar <= HW_VGA_BAR && len >= 1 && len <= 8 && off < hw->bars[bar].size_bytes &&
	       hw->bars[bar].size_bytes - off >= len;
}

/* The largest naturally aligned piece at the head of [off, off+len): the whole of it for a proper access. */
static unsigned piece_len(u64 off, unsigned len)
{
	unsigned piece = 8;

	while (piece > len || !IS_ALIGNED(off, (u64)piece))
		piece /= 2;
	return piece;
}

u64 hw_bar_read(void *opaque, unsigned bar, u64 off, unsigned len)
{
	struct hw_device *hw = opaque;
	u64 val = 0;

	if (!access_ok(hw, bar, off, len))
		return ~0ull;
	atomic_fetch_add_explicit(&hw->bar_reads, 1, memory_order_relaxed);
	if (unlikely(hw_orders(hw)))
		hw_inject_access(hw, hw_orders(hw));
	if (!hw_answers(hw))
		return all_ones(len);
	for (unsigned done = 0, n; done < len; done += n) {
		n = piece_len(off + done, len - done);
		val |= read_piece(hw, bar, off + done, n) << 8 * done;
	}
	return val;
}

void hw_bar_write(void *opaque, unsigned bar, u64 off, unsigned len, u64 val)
{
	struct hw_device *hw = opaque;

	if (!access_ok(hw, bar, off, len) || bar == HW_ROM_BAR || hw->bars[bar].flags & HW_REGION_READONLY)
		return;
	atomic_fetch_add_explicit(&hw->bar_writes, 1, memory_order_relaxed);
	if (unlikely(hw_orders(hw)))
		hw_inject_access(hw, hw_orders(hw));
	if (!hw_answers(hw))
		return;
	for (unsigned done = 0, n; done < len; done += n) {
		n = piece_len(off + done, len - done);
		write_piece(hw, bar, off + done, n, val >> 8 * done);
	}
}
