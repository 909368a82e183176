/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * emulate.h - carry out an instruction whose memory is a device.
 */
#ifndef FRONT_PRELOAD_EMULATE_H
#define FRONT_PRELOAD_EMULATE_H

#include <ucontext.h>

#include "front/preload/decode.h"

/** emulate_fn - one load or store at @addr.  Return: 0; -EFAULT: bus error; -ENOENT: no device there. */
typedef int (*emulate_fn)(u64 addr, void *buf, unsigned len_bytes, bool write);

enum emulate_result {
	EMULATE_DONE,	  /* registers, flags and rip are as after the instruction (or some rounds of a rep) */
	EMULATE_NOT_OURS, /* no device at its address: nothing was done */
	EMULATE_BUS,	  /* the device does not answer at @ret_addr: SIGBUS */
	EMULATE_SEGV,	  /* its other operand, ordinary memory at @ret_addr, is bad: SIGSEGV */
	EMULATE_CANNOT,	  /* an instruction that is not known here */
};

/**
 * emulate - @insn as decoded at the rip of @uctx
 * Async-signal-safe if @access is.  On anything but DONE the context is as it was, except that a string
 * instruction has counted the rounds that were done.
 */
enum emulate_result emulate(const struct insn *insn, ucontext_t *uctx, emulate_fn access, u64 *ret_addr);

#endif
