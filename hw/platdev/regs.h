/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h - what platdev looks like on the bus.
 *
 * It is softvfio's own: the smallest platform device that has one of everything a driver meets there.
 *
 *	region 0	8 KiB: a page of registers, and a page of plain memory that needs no trap
 *	region 1	4 KiB, read-only: counters
 *	region 2	256 bytes of memory, less than a page: it can be read and written, not mapped
 *	wire 0		edge: PLATDEV_RAISE_EDGE, or a copy that is done
 *	wire 1		level: high while a bit is set in PLATDEV_IRQ_STATUS
 *
 * Registers take 4 bytes, the two addresses 4 or 8.
 */
#ifndef HW_PLATDEV_REGS_H
#define HW_PLATDEV_REGS_H

#define PLATDEV_REGS_BYTES 0x2000u
#define PLATDEV_MEMORY 0x1000u /* of region 0: plain memory from here on */
#define PLATDEV_COUNTERS_BYTES 0x1000u
#define PLATDEV_SMALL_BYTES 0x100u

enum { PLATDEV_REGS_REGION, PLATDEV_COUNTERS_REGION, PLATDEV_SMALL_REGION };
enum { PLATDEV_EDGE_WIRE, PLATDEV_LEVEL_WIRE };

/* Region 0. */
#define PLATDEV_ID 0x00		/* RO */
#define PLATDEV_ID_VALUE 0x54444c50u /* "PLDT" */
#define PLATDEV_VERSION 0x04	/* RO: 1 */
#define PLATDEV_SCRATCH 0x08	/* RW */
#define PLATDEV_RESETS 0x0c	/* RO: how often it was reset since power on */
#define PLATDEV_IRQ_STATUS 0x10 /* RO */
#define PLATDEV_IRQ_RAISE 0x14	/* WO */
#define PLATDEV_RAISE_EDGE 0x1u	/* a pulse on wire 0 */
#define PLATDEV_RAISE_LEVEL 0x2u /* sets the bit in the status */
#define PLATDEV_IRQ_ACK 0x18	/* WO: bits of the status to clear */
#define PLATDEV_IRQ_RAISED 0x2u /* bits of the status */
#define PLATDEV_IRQ_COPIED 0x4u
#define PLATDEV_DMA_SRC 0x20	/* RW: iova; 64 bits */
#define PLATDEV_DMA_DST 0x28	/* RW */
#define PLATDEV_DMA_LEN 0x30	/* RW: 1 to PLATDEV_DMA_MAX bytes */
#define PLATDEV_DMA_MAX 0x10000u
#define PLATDEV_DMA_CMD 0x34	/* WO: starts; the copy is over when the write is */
#define PLATDEV_CMD_COPY 0x1u
#define PLATDEV_CMD_EDGE 0x2u	/* and a pulse on wire 0 when done */
#define PLATDEV_CMD_LEVEL 0x4u	/* and PLATDEV_IRQ_COPIED */
#define PLATDEV_DMA_STATUS 0x38	/* RO */
#define PLATDEV_DMA_IDLE 0u	/* nothing was copied since the reset */
#define PLATDEV_DMA_DONE 1u
#define PLATDEV_DMA_READ_FAULT 2u
#define PLATDEV_DMA_WRITE_FAULT 3u
#define PLATDEV_DMA_BAD_LEN 4u
#define PLATDEV_DMA_BUSY 5u

/* Region 1. */
#define PLATDEV_COPIES 0x04	/* RO, 32 bits: copies that were done since power on; at 0x00 the id again */
#define PLATDEV_COPIED_BYTES 0x08 /* RO, 64 bits */

_Static_assert(PLATDEV_MEMORY % 4096 == 0 && PLATDEV_REGS_BYTES - PLATDEV_MEMORY == 4096, "one page of memory");
_Static_assert(PLATDEV_SMALL_BYTES < 4096, "less than a page");

#endif
