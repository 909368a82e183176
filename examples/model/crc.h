/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc.h - the registers of the checksum engine: what its model implements and its driver uses.
 *
 * The device computes the CRC-32 of client memory, or fills it with random numbers from a seed.  One job
 * at a time: write ADDR, BYTES and SEED, then START; the job is over when STATUS says DONE or FAILED, and
 * then MSI-X vector 0 or 1 fires.  Registers are 32 bits wide, in BAR 0; the MSI-X table is in BAR 2.
 */
#ifndef CRC_H
#define CRC_H

enum crc_register {
	CRC_ID = 0x00,	   /* read only: CRC_ID_VALUE */
	CRC_STATUS = 0x04, /* read only: enum crc_status */
	CRC_START = 0x08,  /* write only: enum crc_job; ignored while BUSY */
	CRC_ADDR_LO = 0x10,
	CRC_ADDR_HI = 0x14,
	CRC_BYTES = 0x18,  /* at most CRC_BYTES_MAX */
	CRC_SEED = 0x1c,   /* of JOB_CRC: the CRC so far, 0 at first */
	CRC_RESULT = 0x20, /* read only: of JOB_CRC the CRC; of JOB_RANDOM the seed to go on with */
	CRC_DONE = 0x24,   /* read only: bytes that were moved; after FAILED: up to where */
};

enum crc_status { CRC_BUSY = 1, CRC_FINISHED = 2, CRC_FAILED = 4 };
enum crc_job { JOB_CRC = 1, JOB_RANDOM = 2 };
enum crc_vector { VECTOR_FINISHED, VECTOR_FAILED, NR_VECTORS };

#define CRC_ID_VALUE 0x43524331u /* "CRC1" */
#define CRC_BYTES_MAX (16u << 20)

#endif
