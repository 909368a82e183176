/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h - what the edu device looks like on the bus.
 *
 * Source: "EDU device", QEMU documentation, docs/specs/edu.  BAR 0 is 1 MiB of memory; below 0x80
 * registers are reached by 4 bytes, from there on by 4 or 8.
 */
#ifndef HW_EDU_REGS_H
#define HW_EDU_REGS_H

#define EDU_BAR_BYTES (1u << 20)

#define EDU_ID 0x00		/* RO: 0xRRrr00ed, major and minor version */
#define EDU_ID_VALUE 0x010000edu
#define EDU_LIVENESS 0x04	/* reads the complement of what was written */
#define EDU_FACTORIAL 0x08	/* write n, wait, read n! (low 32 bits) */
#define EDU_STATUS 0x20
#define EDU_STATUS_BUSY 0x01u	/* RO: a factorial is being computed */
#define EDU_STATUS_IRQ 0x80u	/* RW: raise EDU_IRQ_FACTORIAL when it is done */
#define EDU_IRQ_STATUS 0x24	/* RO */
#define EDU_IRQ_RAISE 0x60	/* WO: bits to set in the interrupt status */
#define EDU_IRQ_ACK 0x64	/* WO: bits to clear */
#define EDU_DMA_SRC 0x80	/* these four do not change while a transfer runs */
#define EDU_DMA_DST 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_CMD 0x98
#define EDU_CMD_RUN 0x01u	/* starts; reads as one until it is done */
#define EDU_CMD_TO_RAM 0x02u	/* direction: 0 RAM to edu, 1 edu to RAM */
#define EDU_CMD_IRQ 0x04u	/* raise EDU_IRQ_DMA when done */
#define EDU_WIDE_REGS 0x80	/* from here on 8 bytes are allowed */

#define EDU_IRQ_FACTORIAL 0x001u
#define EDU_IRQ_DMA 0x100u

/* Where the device's own buffer stands in its view of the bus.  Reached by DMA only, not through the BAR. */
#define EDU_BUF 0x40000ull
#define EDU_BUF_BYTES 4096u

#endif
