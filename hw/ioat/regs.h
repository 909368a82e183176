/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h - what an Intel QuickData engine (I/OAT, CBDMA) looks like on the bus.
 *
 * Source: "Intel Xeon Processor E7 v2 Product Family Datasheet, Volume Two", 14.5, Intel QuickData
 * Technology: version 3 of the interface, one channel a function, one vector of MSI-X.
 */
#ifndef HW_IOAT_REGS_H
#define HW_IOAT_REGS_H

#include "kernel/lib/types.h"

#define IOAT_BAR_BYTES (16u << 10)
#define IOAT_MSIX_TABLE 0x2000
#define IOAT_MSIX_PBA 0x3000
#define IOAT_REGS_BYTES 0x100u

/* Of the function. */
#define IOAT_CHANCNT 0x00	/* u8 */
#define IOAT_XFERCAP 0x01	/* u8: a descriptor moves at most 1 << this */
#define IOAT_INTRCTRL 0x03	/* u8 */
#define IOAT_INTR_MASTER 0x01u	/* the pin may be asserted; cleared by reading */
#define IOAT_INTR_STATUS 0x02u	/* RO: a channel wants attention, and MASTER is set */
#define IOAT_INTR_MSIX 0x08u	/* MSI-X has a vector a channel */
#define IOAT_ATTNSTATUS 0x04	/* u32: a bit a channel; cleared by reading */
#define IOAT_CBVER 0x08		/* u8: major in the upper half */
#define IOAT_INTRDELAY 0x0c	/* u16 */
#define IOAT_DMACAP 0x10	/* u32 */
#define IOAT_CAP_FILL 0x40u	/* block fill */

/* Of the channel. */
#define IOAT_CHANCTRL 0x80	/* u16 */
#define IOAT_CTRL_INT_DISABLE 0x01u	/* set by each interrupt; writing one clears it */
#define IOAT_CTRL_ERR_COMPLETION 0x04u	/* an error is written to CHANCMP */
#define IOAT_CTRL_ERR_ABORT 0x08u	/* any error aborts */
#define IOAT_CTRL_ERR_INT 0x10u		/* and interrupts */
#define IOAT_CTRL_IN_USE 0x100u		/* the first to read it as zero has the channel */
#define IOAT_CHANCMD 0x84	/* u8 */
#define IOAT_CMD_SUSPEND 0x04u
#define IOAT_CMD_RESET 0x20u	/* reads as one until it is done */
#define IOAT_DMACOUNT 0x86	/* u16: how many descriptors there are since CHAINADDR was written, modulo 65536 */
#define IOAT_CHANSTS 0x88	/* u64: address of the last descriptor done, and a state */
#define IOAT_STS_STATE 0x07ull
#define IOAT_CHAINADDR 0x90	/* u64: the first descriptor */
#define IOAT_CHANCMP 0x98	/* u64: where completions write what CHANSTS says */
#define IOAT_CHANERR 0xa8	/* u32: write ones to clear */
#define IOAT_CHANERRMSK 0xac	/* u32: errors that do not interrupt */

enum ioat_state {
	IOAT_ACTIVE = 0,
	IOAT_IDLE = 1,	    /* all that was counted is done */
	IOAT_SUSPENDED = 2,
	IOAT_HALTED = 3,    /* after a reset or an error */
	IOAT_ARMED = 4,	    /* knows its chain, waits for a count */
};

#define IOAT_ERR_SOURCE BIT(0)		/* addresses: of the source, */
#define IOAT_ERR_DESTINATION BIT(1)	/* of the destination, */
#define IOAT_ERR_NEXT BIT(2)		/* of the next descriptor, */
#define IOAT_ERR_CHAIN BIT(4)		/* in CHAINADDR, */
#define IOAT_ERR_COMPLETION BIT(12)	/* in CHANCMP */
#define IOAT_ERR_CONTROL BIT(10)	/* an operation that is none */
#define IOAT_ERR_LENGTH BIT(11)		/* no bytes, or too many */

#define IOAT_DESC_BYTES 64u
#define IOAT_DESC_INT BIT(0)		/* interrupt when done */
#define IOAT_DESC_COMPLETION BIT(3)	/* write CHANCMP when done */
#define IOAT_DESC_NULL BIT(5)		/* move nothing */
#define IOAT_DESC_OP_SHIFT 24
#define IOAT_OP_COPY 0x00
#define IOAT_OP_FILL 0x01		/* src is eight bytes of pattern */

struct ioat_desc {
	u32 size_bytes, control;
	u64 src, dst, next;
	u64 unused[4];
};
_Static_assert(sizeof(struct ioat_desc) == IOAT_DESC_BYTES, "as the engine fetches it");

#endif
