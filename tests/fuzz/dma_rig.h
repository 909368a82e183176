/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma_rig.h - for harnesses of device models: a container with memory of each kind, and devices that move it.
 *
 * I/O virtual addresses: RW may be read and written, RO only read, WO only written; at P2P and PEER a harness may map
 * registers of its devices (peer to peer); nothing else is mapped.
 */
#ifndef TESTS_FUZZ_DMA_RIG_H
#define TESTS_FUZZ_DMA_RIG_H

#include "tests/fuzz/rig.h"

enum { RW = 0x100000, RO = 0x200000, WO = 0x300000, P2P = 0x400000, PEER = 0x500000 };
enum { RW_PAGE = 4, RW_PAGES = 24, RO_PAGE = 30, RO_PAGES = 6, WO_PAGE = 40, WO_PAGES = 6 }; /* of the arena */

extern int dma_container, dma_eventfd;

/** dma_up - the machine and the container; once. */
void dma_up(void);
/** dma_join - open the group at @path and give it to the container; returns its descriptor. */
int dma_join(const char *path);
/** dma_begin - before each use: known content, everything mapped. */
void dma_begin(void);
/** dma_steps - carry out @step while there is input, @most times at most; no byte may change that no device may write. */
void dma_steps(struct rig_input *in, unsigned most, void (*step)(struct rig_input *in));
/** dma_end - after each use, with the devices closed. */
void dma_end(void);
/** dma_map_rw - map RW, or unmap it; nothing if that was done already. */
void dma_map_rw(bool on);
/** dma_pick - an address: near one of @bases, or anything. */
u64 dma_pick(struct rig_input *in, const u64 bases[8]);

#endif
