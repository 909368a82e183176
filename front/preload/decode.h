/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.h - what an instruction that touched a device does to memory.
 *
 * Three kinds are carried out by hand, because they are frequent or need more than one access: moves
 * between memory and a general register, string instructions, and movdir64b.  All others that have
 * one memory operand are carried out by the processor itself on a copy of that memory: the
 * instruction is written anew with its operand in a register that it does not use ("thunk"), so
 * results, flags and vector state are right by construction.
 */
#ifndef FRONT_PRELOAD_DECODE_H
#define FRONT_PRELOAD_DECODE_H

#include "kernel/lib/types.h"

#define INSN_MAX 15

enum insn_kind {
	INSN_BAD,	 /* cannot be carried out */
	INSN_LOAD,	 /* mov, movzx, movsx, movsxd: memory to a general register */
	INSN_STORE,	 /* mov, movnti, movdiri: general register to memory */
	INSN_STORE_IMM,	 /* mov: a constant to memory */
	INSN_STRING,	 /* movs, stos, lods with or without rep */
	INSN_MOVDIR64B,
	INSN_CACHE,	 /* clflush and prefetches: nothing to do */
	INSN_THUNK,
};

enum insn_string { STRING_MOVS, STRING_STOS, STRING_LODS };

#define INSN_REG_NONE 16
#define INSN_REG_RIP 17

struct insn {
	u8 kind, len;
	u8 size;		/* bytes of memory */
	/* Registers by the processor's number: rax 0, rcx 1, ... r15 15. */
	u8 base, index, scale;	/* of the address; INSN_REG_* */
	u8 segment;		/* 0, or 1 fs, 2 gs */
	bool addr32;
	u8 reg, reg_size, reg_shift; /* LOAD, STORE; the shift is 8 for ah, ch, dh, bh; MOVDIR64B: destination */
	bool sign;		/* LOAD extends with the sign */
	bool rep;		/* STRING */
	u8 string;		/* enum insn_string */
	bool reads, writes;	/* THUNK: its memory */
	bool vector;		/* THUNK: uses vector or x87 state */
	u8 thunk_base;		/* THUNK: the register that holds the copy's address */
	u8 mask_reg, element;	/* THUNK: bits of this opmask say which elements of so many bytes count; 0 all */
	bool partial;		/* THUNK: writes those bytes only that a vector register says */
	u8 bit_reg;		/* THUNK: bt and kin: the bit number's register, which also moves the address */
	s64 disp, imm;
	const void *thunk;
};

void decode_init(void);
/**
 * decode - look at the instruction at @rip, whose @len_bytes bytes are at @bytes
 * Any thread, async-signal-safe.  @ret->kind is INSN_BAD if it is none we can carry out.
 */
void decode(const u8 *bytes, size_t len_bytes, u64 rip, struct insn *ret);
/** decode_cached - the same for code in memory, remembered as long as the bytes there stay the same. */
void decode_cached(u64 rip, struct insn *ret);
/** decode_in_child - after fork: the code that was made is in memory that parent and child would both write. */
void decode_in_child(void);
/** decode_text - "mov eax, [rdi]" for messages.  Return: @buf. */
const char *decode_text(u64 rip, char *buf, size_t size);

#endif
