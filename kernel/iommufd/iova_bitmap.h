/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iova_bitmap.h - a program's bitmap in which a bit stands for a page of I/O addresses.
 *
 * The bitmap lies in the program's memory, at any alignment, and may be larger than we want to copy at
 * once: it is walked in windows.  Bits are only ever set: what the program had set stays.  Bit n is
 * byte n / 8, bit n % 8: little-endian words, as Linux's __u64 array is on every machine we run on.
 *
 * Used by iommufd (dirty IOPTEs), by its mock (which pages to dirty) and fit for VFIO's DMA logging.
 */
#ifndef KERNEL_IOMMUFD_IOVA_BITMAP_H
#define KERNEL_IOMMUFD_IOVA_BITMAP_H

#include "kernel/lib/types.h"

#define IOVA_BITMAP_WINDOW_BYTES 4096u

struct iova_bitmap {
	u64 iova, last;		/* what the whole bitmap stands for */
	unsigned page_lg2;
	u64 uaddr;		/* of the byte with bit 0, in the program */
	/* The window: bytes [first_byte, first_byte + bytes) of the bitmap. */
	u64 first_byte;
	unsigned bytes;
	unsigned changed_from, changed_end; /* of the window's bytes; equal: none */
	u8 window[IOVA_BITMAP_WINDOW_BYTES];
};

/**
 * iova_bitmap_init - a bitmap of @length / @page_size bits at @uaddr for [iova, iova+length)
 * @page_size: a power of two
 * Return: 0; -EINVAL bad page size, or less than one page; -EOVERFLOW iova + length wraps.
 */
int iova_bitmap_init(struct iova_bitmap *bitmap, u64 iova, u64 length, u64 page_size, u64 uaddr);
/**
 * iova_bitmap_for_each - call @fn for the part [iova, last] of each window in turn
 * @fn sets bits by iova_bitmap_set() in that part alone.  Return: 0; -EFAULT the bitmap is not there or
 * not writable; what @fn says, with the bits of windows before it kept.
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *arg,
			 int (*fn)(struct iova_bitmap *bitmap, u64 iova, u64 last, void *arg));
/** iova_bitmap_set - mark [iova, last], clipped to the window.  Inside @fn only. */
void iova_bitmap_set(struct iova_bitmap *bitmap, u64 iova, u64 last);
/** iova_bitmap_test - is the bit set that @iova falls in?  Inside @fn, iova inside its part. */
bool iova_bitmap_test(const struct iova_bitmap *bitmap, u64 iova);

#endif
