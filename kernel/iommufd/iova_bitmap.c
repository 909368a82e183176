/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iova_bitmap.c - walking a program's bitmap window by window; see iova_bitmap.h.
 *
 * A window is copied in when it is entered, and the bytes in which a bit was set are written back.  A bitmap
 * that is read-only is refused even if there is nothing to set: the first byte is written as a probe.
 */
#include "kernel/iommufd/iova_bitmap.h"

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

int iova_bitmap_init(struct iova_bitmap *bitmap, u64 iova, u64 length, u64 page_size, u64 uaddr)
{
	u64 last;

	if (!page_size || page_size & (page_size - 1))
		return fail(-EINVAL, "page_size 0x%llx is no power of two", (ull)page_size);
	if (length < page_size)
		return fail(-EINVAL, "length 0x%llx is less than one page of 0x%llx", (ull)length, (ull)page_size);
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

static void __user *user_byte(const struct iova_bitmap *bitmap, unsigned off)
{
	return (void __user *)(uintptr_t)(bitmap->uaddr + bitmap->first_byte + off);
}

static int window_fault(const struct iova_bitmap *bitmap)
{
	return fail(-EFAULT, "the bitmap's bytes [0x%llx-0x%llx] are not memory that can be read and written",
		    (ull)(bitmap->uaddr + bitmap->first_byte),
		    (ull)(bitmap->uaddr + bitmap->first_byte + bitmap->bytes - 1));
}

static int window_enter(struct iova_bitmap *bitmap, u64 first_byte)
{
	u64 left = bit_of(bitmap, bitmap->last) / 8 + 1 - first_byte;
	u64 start = bitmap->uaddr + first_byte, last;

	bitmap->first_byte = first_byte;
	bitmap->bytes = (unsigned)min(left, (u64)IOVA_BITMAP_WINDOW_BYTES);
	bitmap->changed_from = 0;
	bitmap->changed_end = first_byte == 0;
	if (start < bitmap->uaddr || range_overflows(start, bitmap->bytes, &last))
		return fail(-EFAULT, "a bitmap at 0x%llx would go beyond the last address", (ull)bitmap->uaddr);
	if (copy_from_user(bitmap->window, user_byte(bitmap, 0), bitmap->bytes))
		return window_fault(bitmap);
	return 0;
}

static int window_leave(struct iova_bitmap *bitmap)
{
	unsigned from = bitmap->changed_from, bytes = bitmap->changed_end - from;

	if (bytes && copy_to_user(user_byte(bitmap, from), bitmap->window + from, bytes))
		return window_fault(bitmap);
	return 0;
}

/* The I/O addresses that the window's bits stand for: its end may be beyond the bitmap's, or the world's. */
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

int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *arg,
			 int (*fn)(struct iova_bitmap *bitmap, u64 iova, u64 last, void *arg))
{
	u64 bytes = bit_of(bitmap, bitmap->last) / 8 + 1;
	int err;

	for (u64 at = 0; at < bytes; at += IOVA_BITMAP_WINDOW_BYTES) {
		int wrote;

		err = window_enter(bitmap, at);
		if (err)
			return err;
		err = fn(bitmap, window_iova(bitmap), window_last(bitmap), arg);
		wrote = window_leave(bitmap);
		if (err || wrote)
			return err ? err : wrote;
	}
	return 0;
}

void iova_bitmap_set(struct iova_bitmap *bitmap, u64 iova, u64 last)
{
	u64 first_bit, last_bit;

	iova = max(iova, window_iova(bitmap));
	last = min(last, window_last(bitmap));
	if (iova > last)
		return;
	first_bit = bit_of(bitmap, iova) - bitmap->first_byte * 8;
	last_bit = bit_of(bitmap, last) - bitmap->first_byte * 8;
	for (u64 bit = first_bit; bit <= last_bit; bit++)
		bitmap->window[bit / 8] |= (u8)BIT(bit % 8);
	bitmap->changed_from = bitmap->changed_end ? min(bitmap->changed_from, (unsigned)(first_bit / 8)) :
						     (unsigned)(first_bit / 8);
	bitmap->changed_end = max(bitmap->changed_end, (unsigned)(last_bit / 8 + 1));
}

bool iova_bitmap_test(const struct iova_bitmap *bitmap, u64 iova)
{
	u64 bit = bit_of(bitmap, iova) - bitmap->first_byte * 8;

	return bitmap->window[bit / 8] & BIT(bit % 8);
}
