/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - a whole machine inside a fuzzer: devices, memory that they may reach and memory that they
 * may not, system calls through the door, and the bytes that decide what happens.
 *
 * The machine has edu (group 0), nvme (group 1) and a second edu (group 2), all bound to vfio-pci; and
 * platdev (group 3) and pl330 (group 4), bound to vfio-platform and vfio-amba.
 *
 * Memory:
 *
 *	arena	RIG_PAGES pages, to be mapped for devices.  The shadow holds what must be in each page
 *		that no device may write; rig_check_arena() compares.  The first and last pages are never
 *		mapped: a transfer that runs over is seen there
 *	ubuf	the buffers of system calls, with unmapped pages on both sides
 *	bars	addresses where BARs are mapped (kernel/mm/vma.h knows, the host does not)
 *
 * What a harness finds wrong it says with rig_bug(), which aborts: the fuzzer then keeps the input.
 * A failed call that gives no reason is a bug too.
 */
#ifndef TESTS_FUZZ_RIG_H
#define TESTS_FUZZ_RIG_H

#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "hw/iommu/hw_iommu.h"
#include "kernel/fs/file.h"
#include "kernel/pci/pci.h"
#include "kernel/syscall/syscall.h"
#include "machine/machine.h"

#define RIG_PAGES 64u
#define RIG_GUARD_PAGES 4u /* at either end of the arena */
#define RIG_UBUF_BYTES (4 * PAGE_SIZE)
#define RIG_BARS_PAGES 64u
#define RIG_GROUPS 3
#define RIG_PCITEST "0000:03:00.0"
#define RIG_PCITEST_GROUP "/dev/vfio/9"

#define rig_bug(...) rig_bug_at(__FILE__, __LINE__, __VA_ARGS__)
void rig_bug_at(const char *file, int line, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));
#define rig_must(cond) do { if (!(cond)) rig_bug("%s", #cond); } while (0)

/* ---- the input: bytes, then zeros ---- */

struct rig_input { const u8 *at, *end; };
static inline bool in_more(const struct rig_input *in) { return in->at < in->end; }
static inline u8 in_u8(struct rig_input *in) { return in->at < in->end ? *in->at++ : 0; }
void in_bytes(struct rig_input *in, void *buf, size_t len);
u16 in_u16(struct rig_input *in);
u32 in_u32(struct rig_input *in);
u64 in_u64(struct rig_input *in);

/* ---- the machine ---- */

extern const char *const rig_names[RIG_GROUPS];
extern const char *rig_iommu; /* as --iommu has it, before rig_up(); NULL: as without */
extern u8 *rig_arena, *rig_shadow, *rig_ubuf, *rig_bars;

/** rig_up - make the machine and attach; once.  rig_renew - a fresh machine, nothing may be open. */
void rig_up(void);
/** rig_begin - before each use: libFuzzer's own handlers, which would block SIGSEGV, are in place by then. */
void rig_begin(void);
void rig_renew(void);
struct pci_dev *rig_pdev(unsigned group);
struct hw_device *rig_hw(unsigned group);

/* ---- calls: values and -errno as a program gets them ---- */

int rig_open(const char *path, unsigned flags);
void rig_close(int fd);
long rig_ioctl(int fd, unsigned cmd, unsigned long arg);
ssize_t rig_pread(int fd, void *buf, size_t len, u64 pos);
ssize_t rig_pwrite(int fd, const void *buf, size_t len, u64 pos);
/** rig_mmap - at @page of the bars, over what is there; mapped for good if 0 is returned. */
int rig_mmap(int fd, unsigned page, u64 len, int prot, int flags, u64 off);
void rig_munmap(unsigned page, u64 len);
int rig_map_dma(int c, u32 flags, const void *vaddr, u64 iova, u64 size);
long rig_unmap_dma(int c, u64 iova, u64 size);
/** rig_mmio - a trapped access to the bars; errors are ignored. */
u64 rig_mmio(unsigned page, u64 off, unsigned len, bool write, u64 val);

/* ---- what was not to change ---- */

/** rig_fill - the program writes to its own memory: arena and shadow. */
void rig_fill(u64 off, const void *buf, size_t len);
/** rig_pattern - everything back to a known content. */
void rig_pattern(void);
/** rig_writable - from now on a device may write these pages; or no more, which takes the shadow anew. */
void rig_writable(unsigned first_page, unsigned pages, bool on);
void rig_check_arena(void);

#endif
