/* SPDX-License-Identifier: BSD-3-Clause */
/* iova_bitmap.c - walking a program's bitmap window by window; see iova_bitmap.h. */
#include "kernel/iommufd/iova_bitmap.h"

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

int iova_bitmap_init(struct iova_bitmap *bitmap, u64 iova, u64 length, u64 page_size, u64 uaddr)
{
	u64 last;

	if (!page_size)
		return fail(-EINVAL, "page_size is 0");
	if (!length)
		return fail(-EINVAL, "length is 0");
	if (range_overflows(iova, length, &last))
		return fail(-EOVERFLOW, "iova 0x%llx plus length 0x%llx wraps around", (ull)iova, (ull)length);
	*bitmap = (struct iova_bitmap){
		.iova = iova,
		.last = last,
		.page_lg2 = (unsigned)__builtin_ctzll(page_size),
		.uaddr = uaddr,
	};
	return 0;
}

static u64 bit_of(const struct iova_bitmap *bitmap, u64 iova)
{
	return (iova - bitmap->iova) >> bitmap->page_lg2;
}

/* The I/O addresses that the window's bits stand for: their end may be beyond the bitmap's, or the world's. */
static u64 window_iova(const struct iova_bitmap *bitmap)
{
	return bitmap->iova + (bitmap->first_byte * 8 << bitmap->page_lg2);
}

static u64 window_last(const struct iova_bitmap *bitmap)
{
	u64 last_bit = (bitmap->first_byte + bitmap->bytes) * 8 - 1;

	if (last_bit >= bit_of(bitmap, bitmap->last))
		return bitmap->last;
	return bitmap->iova + ((last_bit + 1) << bitmap->page_lg2) - 1;
}

static void __user *user_byte(const struct iova_bitmap *bitmap, unsigned off)
{
	return (void __user *)(uintptr_t)(bitmap->uaddr + bitmap->first_byte + off);
}

static bool load(struct iova_bitmap *bitmap)
{
	u64 start = bitmap->uaddr + bitmap->first_byte, last;

	return start >= bitmap->uaddr && !range_overflows(start, bitmap->bytes, &last) &&
	       !copy_from_user(bitmap->window, user_byte(bitmap, 0), bitmap->bytes);
}

u64 iova_bitmap_seek(struct iova_bitmap *bitmap, u64 iova)
{
	u64 left, room, carry = bitmap->carry_last;

	bitmap->first_byte = bit_of(bitmap, iova) / 8;
	left = bit_of(bitmap, bitmap->last) / 8 + 1 - bitmap->first_byte;
	room = IOVA_BITMAP_WINDOW_BYTES - (bitmap->uaddr + bitmap->first_byte) % IOVA_BITMAP_WINDOW_BYTES;
	bitmap->bytes = (unsigned)min(left, room);
	bitmap->changed_from = bitmap->changed_end = 0;
	bitmap->there = load(bitmap);
	bitmap->carry_last = 0;
	if (carry >= window_iova(bitmap) && carry)
		iova_bitmap_set(bitmap, window_iova(bitmap), carry);
	return window_last(bitmap);
}

void iova_bitmap_set(struct iova_bitmap *bitmap, u64 iova, u64 last)
{
	unsigned from, end;
	u64 first_bit, last_bit;

	if (last > window_last(bitmap))
		bitmap->carry_last = max(bitmap->carry_last, last);
	iova = max(iova, window_iova(bitmap));
	last = min(last, window_last(bitmap));
	if (iova > last)
		return;
	first_bit = bit_of(bitmap, iova) - bitmap->first_byte * 8;
	last_bit = bit_of(bitmap, last) - bitmap->first_byte * 8;
	for (u64 bit = first_bit; bit <= last_bit; bit++)
		bitmap->window[bit / 8] |= (u8)BIT(bit % 8);
	from = (unsigned)(first_bit / 8);
	end = (unsigned)(last_bit / 8 + 1);
	bitmap->changed_from = bitmap->changed_end ? min(bitmap->changed_from, from) : from;
	bitmap->changed_end = max(bitmap->changed_end, end);
}

void iova_bitmap_flush(struct iova_bitmap *bitmap)
{
	unsigned from = bitmap->changed_from, bytes = bitmap->changed_end - from;

	if (!bytes)
		return;
	bitmap->changed_from = bitmap->changed_end = 0;
	if (!bitmap->there || copy_to_user(user_byte(bitmap, from), bitmap->window + from, bytes))
		explain_note("dirty bits are lost: the bitmap's bytes [0x%llx-0x%llx] are no memory that can be written",
			     (ull)(bitmap->uaddr + bitmap->first_byte + from),
			     (ull)(bitmap->uaddr + bitmap->first_byte + from + bytes - 1));
}
