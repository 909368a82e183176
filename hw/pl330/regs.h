/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h - what a PL330 looks like on the bus, and what its microcode says.
 *
 * Source: ARM CoreLink DMA-330 DMA Controller, Technical Reference Manual (DDI 0424), chapters 3 and 4.
 * One region of 4 KiB; registers take 4 bytes.  Wires, all level: irq[0] to irq[events - 1], then
 * irq_abort, which is high while a thread has a fault.
 */
#ifndef HW_PL330_REGS_H
#define HW_PL330_REGS_H

#include <stdint.h>

#define PL330_REGS_BYTES 0x1000u
#define PL330_MAX_CHANNELS 8u
#define PL330_MAX_EVENTS 15u /* and irq_abort: HW_WIRES */

/* ---- registers ---- */

#define PL330_DSR 0x000		/* RO: of the manager, as PL330_CSR */
#define PL330_DPC 0x004		/* RO */
#define PL330_INTEN 0x020	/* RW: a bit for each event: 1 it is an interrupt */
#define PL330_INT_EVENT_RIS 0x024 /* RO: signalled, and nobody took it */
#define PL330_INTMIS 0x028	/* RO: interrupts that are high */
#define PL330_INTCLR 0x02c	/* WO */
#define PL330_FSRD 0x030	/* RO: bit 0: the manager has a fault */
#define PL330_FSRC 0x034	/* RO: a bit for each channel with a fault */
#define PL330_FTRD 0x038	/* RO: which */
#define PL330_FTR(ch) (0x040u + 4u * (ch))
#define PL330_CSR(ch) (0x100u + 8u * (ch))
#define PL330_CPC(ch) (0x104u + 8u * (ch))
#define PL330_SAR(ch) (0x400u + 0x20u * (ch))
#define PL330_DAR(ch) (0x404u + 0x20u * (ch))
#define PL330_CCR(ch) (0x408u + 0x20u * (ch))
#define PL330_LC0(ch) (0x40cu + 0x20u * (ch))
#define PL330_LC1(ch) (0x410u + 0x20u * (ch))
#define PL330_DBGSTATUS 0xd00	/* RO: bit 0: busy */
#define PL330_DBGCMD 0xd04	/* WO: 0 carries out what DBGINST has */
#define PL330_DBGINST0 0xd08	/* WO: bytes 1 and 0, channel, bit 0: 1 by the channel, 0 by the manager */
#define PL330_DBGINST1 0xd0c	/* WO: bytes 5 to 2 */
#define PL330_CR0 0xe00		/* RO, all of these: how it was configured */
#define PL330_CR1 0xe04
#define PL330_CR2 0xe08
#define PL330_CR3 0xe0c
#define PL330_CR4 0xe10
#define PL330_CRD 0xe14
#define PL330_WD 0xe80		/* RW: bit 0: the watchdog only raises an interrupt */
#define PL330_PERIPH_ID(n) (0xfe0u + 4u * (n))
#define PL330_PCELL_ID(n) (0xff0u + 4u * (n))

#define PL330_ID 0x00341330u	/* part 330, designer 41 (ARM), revision r1p2 */
#define PL330_PCELL 0xb105f00du /* what every PrimeCell has */

enum pl330_state { /* bits 3:0 of CSR and DSR */
	PL330_STOPPED = 0,
	PL330_EXECUTING = 1,
	PL330_WAITING_EVENT = 4,
	PL330_KILLING = 8,
	PL330_FAULTING = 15,
};
#define PL330_CSR_WAKEUP_SHIFT 4 /* the event that is waited for */
#define PL330_CSR_NS (1u << 21)

/* Faults: bits of FTRD and FTRn. */
#define PL330_FAULT_UNDEF (1u << 0)
#define PL330_FAULT_OPERAND (1u << 1)
#define PL330_FAULT_DMAGO (1u << 4)	  /* of the manager */
#define PL330_FAULT_RDWR (1u << 7)	  /* a non-secure channel asks for a secure access */
#define PL330_FAULT_MFIFO (1u << 12)	  /* a load that the FIFO cannot hold */
#define PL330_FAULT_ST_DATA (1u << 13)	  /* a store without data */
#define PL330_FAULT_FETCH (1u << 16)
#define PL330_FAULT_WRITE (1u << 17)
#define PL330_FAULT_READ (1u << 18)
#define PL330_FAULT_DBG (1u << 30)	  /* the instruction came from DBGINST */

/* ---- channel control ---- */

#define PL330_CCR_RESET 0x00800200u
#define PL330_CCR_SRC_INC (1u << 0)
#define PL330_CCR_SRC_SIZE(lg2) ((uint32_t)(lg2) << 1) /* bytes of a beat: 1 << lg2 */
#define PL330_CCR_SRC_LEN(beats) ((uint32_t)((beats)-1) << 4)
#define PL330_CCR_SRC_NS (1u << 9)
#define PL330_CCR_DST_INC (1u << 14)
#define PL330_CCR_DST_SIZE(lg2) ((uint32_t)(lg2) << 15)
#define PL330_CCR_DST_LEN(beats) ((uint32_t)((beats)-1) << 18)
#define PL330_CCR_DST_NS (1u << 23)
#define PL330_CCR_SWAP 0x70000000u
#define PL330_BUS_LG2 3u	    /* the data bus has 64 bits: a beat is at most 8 bytes */
#define PL330_MFIFO_BYTES 512u

/* ---- microcode: the first byte of an instruction; numbers of events stand in bits 7:3 of the next ---- */

#define PL330_DMAEND 0x00	/* 1 byte */
#define PL330_DMAKILL 0x01
#define PL330_DMALD 0x04	/* | bs << 1 | x */
#define PL330_DMAST 0x08
#define PL330_DMASTZ 0x0c
#define PL330_DMARMB 0x12
#define PL330_DMAWMB 0x13
#define PL330_DMANOP 0x18
#define PL330_DMALP 0x20	/* | lc << 1; 2 bytes: how often, less one */
#define PL330_DMALPEND 0x38	/* | lc << 2 | bs << 1 | x; 2 bytes: how far back */
#define PL330_DMALPFE 0x28	/* the same for ever */
#define PL330_DMASEV 0x34	/* 2 bytes */
#define PL330_DMAWFE 0x36
#define PL330_DMAADDH 0x54	/* | ra << 1; 3 bytes */
#define PL330_DMAADNH 0x5c
#define PL330_DMAGO 0xa0	/* | ns << 1; 6 bytes: channel, address */
#define PL330_DMAMOV 0xbc	/* 6 bytes: register, value */
#define PL330_DMALDP 0x25	/* | bs << 1; 2 bytes; as the next three for a peripheral, of which there is none */
#define PL330_DMASTP 0x29
#define PL330_DMAWFP 0x30
#define PL330_DMAFLUSHP 0x35
enum { PL330_MOV_SAR, PL330_MOV_CCR, PL330_MOV_DAR };
#define PL330_INSN_MAX 6u
#define PL330_LINE_BYTES 32u	/* of the instruction cache */

_Static_assert(PL330_LC1(PL330_MAX_CHANNELS - 1) < PL330_DBGSTATUS, "channel registers end before the debug registers");
_Static_assert(PL330_CPC(PL330_MAX_CHANNELS - 1) == 0x13c && PL330_FTR(PL330_MAX_CHANNELS - 1) == 0x05c, "as the manual lays them out");
_Static_assert(PL330_PCELL_ID(3) == PL330_REGS_BYTES - 4, "the ids end the block");
_Static_assert((PL330_CCR_RESET & (PL330_CCR_SRC_NS | PL330_CCR_DST_NS)) == PL330_CCR_RESET, "reset: non-secure single bytes");
_Static_assert(PL330_MFIFO_BYTES >= 16u << PL330_BUS_LG2, "the longest burst fits");

#endif
