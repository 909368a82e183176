/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h - registers of pcitest, and where everything is.
 *
 *	BAR0	32-bit memory, 16 KiB	registers; the MSI-X table and pending bits behind them in the
 *					same BAR, neither page aligned; a direct page at 0x3000
 *	BAR1	I/O, 64 bytes		the first registers once more
 *	BAR2	64-bit, prefetchable	64 KiB of memory: direct, but for a read-direct and a trapped page
 *	BAR4	32-bit memory, 256 B	smaller than a page: eight bytes of scratch in a row
 *	BAR5	32-bit memory, 256 B	another: with the machine's key packed=1 both are in one page
 *	ROM	as long as rom=FILE	that file
 *
 * A virtual function has BAR0 and BAR2, both 64 bits wide as BAR0 and BAR2.
 */
#ifndef HW_PCITEST_REGS_H
#define HW_PCITEST_REGS_H

#define PCITEST_VENDOR 0x1234
#define PCITEST_DEVICE 0x7e57
#define PCITEST_VF_DEVICE 0x7e58
#define PCITEST_MAGIC 0x7e570001u

#define PCITEST_BAR0_BYTES 0x4000u
#define PCITEST_MSIX_TABLE 0x1080u
#define PCITEST_MSIX_PBA 0x2008u
#define PCITEST_DIRECT 0x3000u
#define PCITEST_IO_BYTES 64u
#define PCITEST_BAR2_BYTES 0x10000u
#define PCITEST_BAR2_READ_DIRECT 0xe000u
#define PCITEST_BAR2_TRAPPED 0xf000u
#define PCITEST_SMALL_BYTES 256u
#define PCITEST_MSIX_MAX 128u

/* BAR0; 32 bits wide unless told. */
enum pcitest_reg {
	PCITEST_ID = 0x00,	   /* reads PCITEST_MAGIC */
	PCITEST_LIVENESS = 0x04,   /* reads the complement of what was written */
	PCITEST_RESETS = 0x08,	   /* resets since the machine was attached; survives them */
	PCITEST_FUNCTION = 0x0c,   /* 0 physical; else 1 + the number of the virtual function */
	PCITEST_IRQ = 0x10,	   /* write: send message N; without MSI and MSI-X raise the pin */
	PCITEST_IRQ_STATUS = 0x14, /* bit 0: the pin is high; write 1: take it back */
	PCITEST_AER_UNCOR = 0x18,  /* write: report this uncorrectable error */
	PCITEST_AER_COR = 0x1c,	   /* write: report this correctable error */
	PCITEST_DMA_SRC = 0x20,	   /* 64 bits: IOVA */
	PCITEST_DMA_DST = 0x28,	   /* 64 bits: IOVA */
	PCITEST_DMA_LEN = 0x30,	   /* at most PCITEST_DMA_MAX; the write copies */
	PCITEST_DMA_STATUS = 0x34, /* 0 done; else an errno, EINPROGRESS while a thread of the device is at it */
	PCITEST_GONE = 0x38,	   /* write PCITEST_GONE_KEY: leave the slot for good */
	PCITEST_LAST_OFF = 0x40,   /* of the last write elsewhere in BAR0 or in another BAR: offset */
	PCITEST_LAST_LEN = 0x44,   /* BAR << 8 | bytes */
	PCITEST_LAST_VAL = 0x48,   /* 64 bits */
	PCITEST_DMA_PASID = 0x50,  /* of copies and page requests that begin from now on; 0: none */
	PCITEST_DMA_MODE = 0x54,   /* likewise: enum pcitest_dma_mode */
	PCITEST_PAGE_BYTES = 0x58, /* how far a page request goes */
	PCITEST_PAGE_REQUEST = 0x5c, /* write: ask for the pages from PCITEST_DMA_DST on, for reading (1), writing (2),
				    * execution (4, with a PASID); a thread waits for the answer: PCITEST_DMA_STATUS */
	PCITEST_REGS_END = 0x60,
};

/*
 * How a copy is done.  As it stands (0) it is done when the write of PCITEST_DMA_LEN returns.  A device with PRI
 * that copies on demand asks for each page that is not there, and goes on when that is granted: as a device that
 * shares its program's address space does.
 */
enum pcitest_dma_mode {
	PCITEST_DMA_THREAD = 1,	    /* on a thread of the device */
	PCITEST_DMA_DEMAND = 2,	    /* on demand, which means on a thread too */
	PCITEST_DMA_PRIVILEGED = 4, /* requests are privileged; with a PASID */
	PCITEST_DMA_IRQ = 8,	    /* a thread that is done sends message bits 31:16, as PCITEST_IRQ */
};
#define PCITEST_DMA_MODES 0xfu
#define PCITEST_DMA_VECTOR_SHIFT 16
#define PCITEST_DMA_MAX 65536u
#define PCITEST_GONE_KEY 0x676f6e65u

_Static_assert(PCITEST_MSIX_TABLE % 4096 && PCITEST_MSIX_TABLE + 16 * PCITEST_MSIX_MAX <= PCITEST_MSIX_PBA,
	       "table and pending bits do not overlap");

#endif
