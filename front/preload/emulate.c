/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * emulate.c - carry out an instruction whose memory is a device.
 *
 * The interrupted program's registers are in the signal frame, the vector registers too, in the
 * format of XSAVE.  A thunk (decode.h) runs with them loaded, as if the program ran on, except that the
 * register which holds the memory's address points to our copy; then all is saved back.
 *
 * Dangerous: between loading and saving, the thread has the program's registers; emulate_run() calls
 * nothing but the thunk.  Flags that are not arithmetic (trap, alignment check) stay out of it.
 *
 * A read-modify-write on a device is a read and a write, not one locked access: as with a real
 * device that other masters do not share.
 */
#include "front/preload/emulate.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"

/* Carry, parity, adjust, zero, sign, overflow; and the bit that is always one. */
#define FLAGS_STATUS 0x8d5ull
#define FLAGS_FIXED 0x202ull
#define FLAG_DIRECTION 0x400ull

/* A rep of endless length must let signals in now and then: the instruction then goes on by itself. */
#define ROUNDS_MAX 4096

static const u8 greg_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* emulate_run() knows these offsets. */
struct cpu {
	u64 reg[16];
	u64 flags;	/* at 128 */
	void *fp;	/* at 136: the frame's vector state; NULL not needed */
	u64 fp_mask;	/* at 144: parts of it, as xsave counts them; 0: fxsave's format */
};
_Static_assert(offsetof(struct cpu, flags) == 128 && offsetof(struct cpu, fp) == 136 &&
	       offsetof(struct cpu, fp_mask) == 144, "emulate_run() has these numbers");

void emulate_run(struct cpu *cpu, const void *thunk);

__asm__(
	".pushsection .text\n"
	".p2align 4\n"
	".type emulate_run, @function\n"
	".hidden emulate_run\n"
	".globl emulate_run\n"
	"emulate_run:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
	"	pushq %rsi\n"			/* the thunk: at 8(%rsp) */
	"	pushq %rdi\n"			/* the cpu: at (%rsp) */
	"	movq 136(%rdi), %rcx\n"
	"	testq %rcx, %rcx\n	jz 2f\n"
	"	movl 144(%rdi), %eax\n	movl 148(%rdi), %edx\n"
	"	testl %eax, %eax\n	jz 1f\n"
	"	xrstor64 (%rcx)\n	jmp 2f\n"
	"1:	fxrstor64 (%rcx)\n"
	"2:	pushq 128(%rdi)\n	popfq\n"
	"	movq 0(%rdi), %rax\n	movq 8(%rdi), %rcx\n	movq 16(%rdi), %rdx\n	movq 24(%rdi), %rbx\n"
	"	movq 40(%rdi), %rbp\n	movq 48(%rdi), %rsi\n"
	"	movq 64(%rdi), %r8\n	movq 72(%rdi), %r9\n	movq 80(%rdi), %r10\n	movq 88(%rdi), %r11\n"
	"	movq 96(%rdi), %r12\n	movq 104(%rdi), %r13\n	movq 112(%rdi), %r14\n	movq 120(%rdi), %r15\n"
	"	movq 56(%rdi), %rdi\n"
	"	call *8(%rsp)\n"
	"	pushfq\n	pushq %rdi\n	movq 16(%rsp), %rdi\n"
	"	movq %rax, 0(%rdi)\n	movq %rcx, 8(%rdi)\n	movq %rdx, 16(%rdi)\n	movq %rbx, 24(%rdi)\n"
	"	movq %rbp, 40(%rdi)\n	movq %rsi, 48(%rdi)\n"
	"	movq %r8, 64(%rdi)\n	movq %r9, 72(%rdi)\n	movq %r10, 80(%rdi)\n	movq %r11, 88(%rdi)\n"
	"	movq %r12, 96(%rdi)\n	movq %r13, 104(%rdi)\n	movq %r14, 112(%rdi)\n	movq %r15, 120(%rdi)\n"
	"	popq 56(%rdi)\n	popq 128(%rdi)\n"
	"	cld\n"
	"	movq 136(%rdi), %rcx\n"
	"	testq %rcx, %rcx\n	jz 4f\n"
	"	movl 144(%rdi), %eax\n	movl 148(%rdi), %edx\n"
	"	testl %eax, %eax\n	jz 3f\n"
	"	xsave64 (%rcx)\n	jmp 5f\n"
	"3:	fxsave64 (%rcx)\n"
	"5:	fninit\n"			/* what follows is C: it wants its own rounding and an empty x87 stack */
	"	pushq $0x1f80\n	ldmxcsr (%rsp)\n	addq $8, %rsp\n"
	"4:	popq %rdi\n	popq %rsi\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbx\n	popq %rbp\n"
	"	ret\n"
	".size emulate_run, .-emulate_run\n"
	".popsection\n");

/* ---- addresses ----------------------------------------------------------------------------- */

static u64 get_reg(const greg_t *gregs, u8 reg)
{
	return (u64)gregs[greg_of[reg]];
}

static u64 segment_base(u8 segment)
{
	u64 base = 0;

	sys_call(SYS_arch_prctl, segment == 1 ? ARCH_GET_FS : ARCH_GET_GS, &base, 0, 0);
	return base;
}

static u64 effective_address(const struct insn *insn, const greg_t *gregs)
{
	u64 addr = (u64)insn->disp;

	if (insn->base == INSN_REG_RIP)
		addr += (u64)gregs[REG_RIP] + insn->len;
	else if (insn->base < INSN_REG_NONE)
		addr += get_reg(gregs, insn->base);
	if (insn->index < INSN_REG_NONE)
		addr += get_reg(gregs, insn->index) * insn->scale;
	if (insn->addr32)
		addr = (u32)addr;
	return insn->segment ? addr + segment_base(insn->segment) : addr;
}

static enum emulate_result result_of(int err, u64 addr, u64 *ret_addr)
{
	if (!err)
		return EMULATE_DONE;
	*ret_addr = addr;
	return err == -ENOENT ? EMULATE_NOT_OURS : EMULATE_BUS;
}

/* ---- moves --------------------------------------------------------------------------------- */

static u64 sign_extend(u64 value, unsigned bytes)
{
	unsigned shift = 64 - bytes * 8;

	return (u64)((s64)(value << shift) >> shift);
}

/* As the processor does it: 32 bits clear the upper half, 8 and 16 leave the rest alone. */
static void set_reg(greg_t *gregs, const struct insn *insn, u64 value)
{
	greg_t *reg = &gregs[greg_of[insn->reg]];
	u64 mask;

	if (insn->reg_size == 8) {
		*reg = (greg_t)value;
	} else if (insn->reg_size == 4) {
		*reg = (greg_t)(u32)value;
	} else {
		mask = ((1ull << insn->reg_size * 8) - 1) << insn->reg_shift;
		*reg = (greg_t)(((u64)*reg & ~mask) | ((value << insn->reg_shift) & mask));
	}
}

static enum emulate_result load(const struct insn *insn, greg_t *gregs, emulate_fn access,
				u64 *ret_addr)
{
	u64 addr = effective_address(insn, gregs), value = 0;
	int err = access(addr, &value, insn->size, false);

	if (unlikely(err))
		return result_of(err, addr, ret_addr);
	if (insn->sign)
		value = sign_extend(value, insn->size);
	set_reg(gregs, insn, value);
	return EMULATE_DONE;
}

static enum emulate_result store(const struct insn *insn, greg_t *gregs, emulate_fn access,
				 u64 *ret_addr)
{
	u64 addr = effective_address(insn, gregs), value;

	value = insn->kind == INSN_STORE_IMM ? (u64)insn->imm : get_reg(gregs, insn->reg) >> insn->reg_shift;
	return result_of(access(addr, &value, insn->size, true), addr, ret_addr);
}

/* ---- string instructions ------------------------------------------------------------------- */

/* One element at @addr, of a device or of ordinary memory. */
static enum emulate_result element(u64 addr, void *buf, unsigned size, bool write, emulate_fn access,
				   bool *trapped, u64 *ret_addr)
{
	int err = access(addr, buf, size, write);

	if (err != -ENOENT) {
		*trapped = true;
		return result_of(err, addr, ret_addr);
	}
	err = write ? guard_copy((void *)addr, buf, size) : guard_copy(buf, (const void *)addr, size);
	if (!err)
		return EMULATE_DONE;
	*ret_addr = addr;
	return EMULATE_SEGV;
}

static enum emulate_result string_round(const struct insn *insn, greg_t *gregs, emulate_fn access,
					bool *trapped, u64 *ret_addr)
{
	s64 step = gregs[REG_EFL] & FLAG_DIRECTION ? -(s64)insn->size : insn->size;
	bool from_memory = insn->string != STRING_STOS, to_memory = insn->string != STRING_LODS;
	u64 value = (u64)gregs[REG_RAX];
	struct insn to_rax = { .reg = 0, .reg_size = insn->size };
	enum emulate_result ret = EMULATE_DONE;

	if (from_memory)
		ret = element((u64)gregs[REG_RSI], &value, insn->size, false, access, trapped, ret_addr);
	if (ret == EMULATE_DONE && to_memory)
		ret = element((u64)gregs[REG_RDI], &value, insn->size, true, access, trapped, ret_addr);
	if (ret != EMULATE_DONE)
		return ret;
	if (insn->string == STRING_LODS)
		set_reg(gregs, &to_rax, value);
	if (from_memory)
		gregs[REG_RSI] += step;
	if (to_memory)
		gregs[REG_RDI] += step;
	return EMULATE_DONE;
}

/* Go on as long as a device is involved: the rest is the processor's own. */
static enum emulate_result string(const struct insn *insn, greg_t *gregs, emulate_fn access,
				  u64 *ret_addr)
{
	enum emulate_result ret;
	bool trapped = true;

	if (!insn->rep) {
		trapped = false;
		ret = string_round(insn, gregs, access, &trapped, ret_addr);
		if (ret == EMULATE_DONE)
			gregs[REG_RIP] += insn->len;
		return ret == EMULATE_SEGV && !trapped ? EMULATE_NOT_OURS : ret;
	}
	for (unsigned n = 0; trapped && gregs[REG_RCX] && n < ROUNDS_MAX; n++) {
		trapped = false;
		ret = string_round(insn, gregs, access, &trapped, ret_addr);
		if (ret != EMULATE_DONE)
			return ret == EMULATE_SEGV && !trapped && !n ? EMULATE_NOT_OURS : ret;
		gregs[REG_RCX]--;
	}
	if (!gregs[REG_RCX])
		gregs[REG_RIP] += insn->len;
	return EMULATE_DONE;
}

/* ---- 64 bytes at once ---------------------------------------------------------------------- */

static enum emulate_result movdir64b(const struct insn *insn, greg_t *gregs, emulate_fn access,
				     u64 *ret_addr)
{
	u64 from = effective_address(insn, gregs), to = get_reg(gregs, insn->reg);
	u8 buf[64] __attribute__((aligned(64)));
	bool trapped;
	enum emulate_result ret;

	if (to % sizeof(buf))
		return EMULATE_NOT_OURS; /* a general protection fault on a processor that has it */
	ret = element(from, buf, sizeof(buf), false, access, &trapped, ret_addr);
	return ret == EMULATE_DONE ? result_of(access(to, buf, sizeof(buf), true), to, ret_addr) : ret;
}

/* ---- everything else ----------------------------------------------------------------------- */

/* x87, SSE, AVX, and the three parts of AVX-512. */
#define XFEATURES 0xe7ull

/* Which parts of the vector state the signal frame holds; @fp is the 512 bytes of fxsave and what follows. */
static u64 xfeatures_of(const void *fp)
{
	const char *sw = (const char *)fp + 464; /* bytes that the processor leaves to software: the kernel's note */
	u32 magic;
	u64 features;

	memcpy(&magic, sw, sizeof(magic));
	memcpy(&features, sw + 8, sizeof(features));
	return magic == FP_XSTATE_MAGIC1 ? features & XFEATURES : 0;
}

/* bt with its bit number in a register reaches beyond the operand: move the address, keep the rest. */
static u64 bit_address(const struct insn *insn, struct cpu *cpu, u64 addr)
{
	u64 bits = insn->size * 8u, bit = cpu->reg[insn->bit_reg];

	if (insn->reg_size < 8)
		bit = sign_extend(bit, insn->reg_size);
	cpu->reg[insn->bit_reg] = bit & (bits - 1);
	return addr + (u64)((s64)(bit & ~(bits - 1)) / 8);
}

#define OPMASKS 5 /* the part of the vector state with k0 to k7 */

/* Where it lies is up to the processor, which takes long to say so. */
static const u8 *opmasks(const u8 *fp)
{
	static _Atomic u32 known;
	u32 at = atomic_load_explicit(&known, memory_order_relaxed), a, c, d;
	u64 in_use;

	memcpy(&in_use, fp + 512, sizeof(in_use)); /* a part in its initial state is not written: all zero */
	if (!(xfeatures_of(fp) & in_use & 1ull << OPMASKS))
		return NULL;
	if (!at) {
		__cpuid_count(0xd, OPMASKS, a, at, c, d);
		atomic_store_explicit(&known, at, memory_order_relaxed);
	}
	return fp + at;
}

static u64 low_bits(unsigned n)
{
	return n >= 64 ? ~0ull : (1ull << n) - 1;
}

/* A bit for each byte of memory that the instruction accesses. */
static u64 bytes_wanted(const struct insn *insn, const void *fp)
{
	const u8 *masks = insn->mask_reg ? opmasks(fp) : NULL;
	u64 mask = 0, bytes = 0;

	if (!insn->mask_reg)
		return low_bits(insn->size);
	if (masks)
		memcpy(&mask, masks + insn->mask_reg * sizeof(mask), sizeof(mask));
	for (unsigned i = 0; i < insn->size / insn->element; i++)
		if (mask >> i & 1)
			bytes |= low_bits(insn->element) << i * insn->element;
	return bytes;
}

/* What a store writes is the same whatever was there before; what it leaves alone is not. */
static u64 bytes_written(const struct insn *insn, struct cpu *cpu, u8 *buf)
{
	u8 over_ones[64];
	u64 bytes = 0;

	memset(buf, 0xff, sizeof(over_ones));
	emulate_run(cpu, insn->thunk);
	memcpy(over_ones, buf, sizeof(over_ones));
	memset(buf, 0, sizeof(over_ones));
	emulate_run(cpu, insn->thunk);
	for (unsigned i = 0; i < insn->size; i++)
		if (buf[i] == over_ones[i])
			bytes |= 1ull << i;
	return bytes;
}

/* Each run of neighbours is one access. */
static int access_bytes(emulate_fn access, u64 *addr, u8 *buf, u64 bytes, bool write)
{
	u64 first = *addr;
	unsigned from, len;
	int err;

	while (bytes) {
		from = (unsigned)__builtin_ctzll(bytes);
		len = ~(bytes >> from) ? (unsigned)__builtin_ctzll(~(bytes >> from)) : 64;
		*addr = first + from;
		err = access(*addr, buf + from, len, write);
		if (err)
			return err;
		bytes &= ~(low_bits(len) << from);
	}
	*addr = first;
	return 0;
}

static void commit(const struct insn *insn, const struct cpu *cpu, greg_t *gregs)
{
	for (u8 i = 0; i < 16; i++)
		if (i != insn->thunk_base && i != insn->bit_reg && i != 4)
			gregs[greg_of[i]] = (greg_t)cpu->reg[i];
	gregs[REG_EFL] = (greg_t)(((u64)gregs[REG_EFL] & ~FLAGS_STATUS) | (cpu->flags & FLAGS_STATUS));
}

static enum emulate_result run_thunk(const struct insn *insn, ucontext_t *uctx, emulate_fn access,
				    u64 *ret_addr)
{
	greg_t *gregs = uctx->uc_mcontext.gregs;
	u64 addr = effective_address(insn, gregs);
	u8 buf[64] __attribute__((aligned(64))) = { 0 };
	struct cpu cpu = { .flags = ((u64)gregs[REG_EFL] & FLAGS_STATUS) | FLAGS_FIXED };
	u64 bytes;
	int err;

	for (u8 i = 0; i < 16; i++)
		cpu.reg[i] = get_reg(gregs, i);
	if (insn->bit_reg < INSN_REG_NONE)
		addr = bit_address(insn, &cpu, addr);
	cpu.reg[insn->thunk_base] = (u64)(uintptr_t)buf;
	if (insn->vector) {
		cpu.fp = uctx->uc_mcontext.fpregs;
		if (!cpu.fp)
			return EMULATE_CANNOT;
		cpu.fp_mask = xfeatures_of(cpu.fp);
	}
	bytes = bytes_wanted(insn, cpu.fp);
	err = insn->reads ? access_bytes(access, &addr, buf, bytes, false) : 0;
	if (err)
		return result_of(err, addr, ret_addr);
	if (insn->partial)
		bytes = bytes_written(insn, &cpu, buf);
	else
		emulate_run(&cpu, insn->thunk);
	err = insn->writes ? access_bytes(access, &addr, buf, bytes, true) : 0;
	if (err)
		return result_of(err, addr, ret_addr);
	commit(insn, &cpu, gregs);
	return EMULATE_DONE;
}

enum emulate_result emulate(const struct insn *insn, ucontext_t *uctx, emulate_fn access, u64 *ret_addr)
{
	greg_t *gregs = uctx->uc_mcontext.gregs;
	enum emulate_result ret;

	*ret_addr = 0;
	switch (insn->kind) {
	case INSN_LOAD:
		ret = load(insn, gregs, access, ret_addr);
		break;
	case INSN_STORE:
	case INSN_STORE_IMM:
		ret = store(insn, gregs, access, ret_addr);
		break;
	case INSN_STRING:
		return string(insn, gregs, access, ret_addr);
	case INSN_MOVDIR64B:
		ret = movdir64b(insn, gregs, access, ret_addr);
		break;
	case INSN_CACHE:
		ret = EMULATE_DONE;
		break;
	case INSN_THUNK:
		ret = run_thunk(insn, uctx, access, ret_addr);
		break;
	default:
		return EMULATE_CANNOT;
	}
	if (likely(ret == EMULATE_DONE))
		gregs[REG_RIP] += insn->len;
	return ret;
}
