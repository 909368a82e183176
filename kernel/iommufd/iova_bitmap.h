/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iova_bitmap.h - a program's bitmap in which a bit stands for a page of I/O addresses.
 *
 * The bitmap lies in the program's memory, at any alignment, and may be far larger than what is mapped: it is
 * written window by window, and who uses it chooses the windows:
 *
 *	while there is something mapped at or behind @at:
 *		last = iova_bitmap_seek(&bitmap, at);
 *		iova_bitmap_set(&bitmap, ...) for what is dirty in [at, last]
 *		iova_bitmap_flush(&bitmap);
 *
 * so that the program's memory is touched in seek and flush, where no lock is held: a program may well give
 * us a device's BAR.  Bits are only ever set: what the program had set stays.  Bit n is byte n / 8, bit n % 8:
 * little-endian words, as Linux's __u64 array is on every machine we run on.
 *
 * As on Linux (7.3 was asked) bits that cannot be set, for there is no writable memory, are lost without an
 * error; those in other pages of the bitmap are set.
 */
#ifndef KERNEL_IOMMUFD_IOVA_BITMAP_H
#define KERNEL_IOMMUFD_IOVA_BITMAP_H

#include "kernel/lib/types.h"

#define IOVA_BITMAP_WINDOW_BYTES 4096u /* a page of the program's memory, or what is left of it */

struct iova_bitmap {
	u64 iova, last;		/* what the whole bitmap stands for */
	unsigned page_lg2;
	u64 uaddr;		/* of the byte with bit 0, in the program */
	/* The window: bytes [first_byte, first_byte + bytes) of the bitmap. */
	u64 first_byte;
	unsigned bytes;
	bool there;		/* the program's memory could be read */
	unsigned changed_from, changed_end; /* of the window's bytes; equal: none */
	u64 carry_last;		/* of what was set beyond the window; 0: nothing */
	u8 window[IOVA_BITMAP_WINDOW_BYTES];
};

/**
 * iova_bitmap_init - a bitmap of @length / @page_size bits at @uaddr for [iova, iova+length)
 * @page_size: its lowest bit counts
 * Return: 0; -EINVAL page size or length 0; -EOVERFLOW iova + length wraps.
 */
int iova_bitmap_init(struct iova_bitmap *bitmap, u64 iova, u64 length, u64 page_size, u64 uaddr);
/**
 * iova_bitmap_seek - take up the window that begins with the bit of @iova; the last one has been flushed
 * Windows follow one another upwards.  Return: the last I/O address that it stands for.
 */
u64 iova_bitmap_seek(struct iova_bitmap *bitmap, u64 iova);
/**
 * iova_bitmap_set - mark [iova, last]
 * What is before the window is left out; what is beyond it is marked when the next one is taken up.  Any
 * lock, memory is not touched.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, u64 iova, u64 last);
/** iova_bitmap_flush - give the window's bits to the program. */
void iova_bitmap_flush(struct iova_bitmap *bitmap);

#endif
