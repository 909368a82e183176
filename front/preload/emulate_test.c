/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * emulate_test.c - every form of instruction, done by the processor and done by us, must end alike.
 *
 * Each snippet below is one instruction and a ret.  It runs twice from the same random registers, flags
 * and vector state: on ordinary memory, and on a page without permissions behind which a fake device
 * has the same bytes.  Registers, flags, vector state and memory must be equal afterwards.
 * Addresses are told apart by their page and compared as offsets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "front/preload/decode.h"
#include "front/preload/emulate.h"
#include "kernel/lib/guard.h"

#define ROUNDS 40
#define AREA 8192

/* The runner of emulate.c, used here for both runs: the layout is its own. */
struct cpu {
	u64 reg[16];
	u64 flags;
	void *fp;
	u64 fp_mask;
};
void emulate_run(struct cpu *cpu, const void *code);

enum need { ALWAYS, AVX, AVX2, AVX512, MOVBE_, BMI, SSE41 };

struct snippet {
	const void *code;
	const char *text;
	u64 need;
};
extern const struct snippet snippets[], snippets_end[];

/* rdi and r15 point into the middle of the memory, rcx is 0..7, rbx is 0..3. */
#define S(need, text)							\
	".pushsection .text.snippets, \"ax\"\n701:\n" text "\nret\n.popsection\n"	\
	".pushsection .rodata.snippets, \"a\"\n702: .asciz \"" text "\"\n.popsection\n"	\
	".pushsection .data.rel.ro.snippets, \"aw\"\n.quad 701b, 702b, " need "\n.popsection\n"
#define A "0"

__asm__(
	".pushsection .data.rel.ro.snippets, \"aw\"\n.p2align 3\n.globl snippets\nsnippets:\n.popsection\n"
	S(A, "movb (%rdi), %al") S(A, "movb (%rdi), %ah") S(A, "movb (%rdi), %dh") S(A, "movb (%rdi), %sil")
	S(A, "movb (%rdi), %r9b") S(A, "movw (%rdi), %ax") S(A, "movw (%rdi), %r10w") S(A, "movl (%rdi), %eax")
	S(A, "movl (%rdi), %r11d") S(A, "movq (%rdi), %rdx") S(A, "movq 8(%r15,%rcx,8), %r12")
	S(A, "movl -16(%rdi,%rcx,4), %ebp") S(A, "movl (%rdi), %edi") S(A, "movb %al, (%rdi)")
	S(A, "movb %bh, (%rdi)") S(A, "movb %r8b, 3(%rdi)") S(A, "movw %dx, (%rdi)") S(A, "movl %esi, (%rdi)")
	S(A, "movq %r14, (%rdi)") S(A, "movq %rdi, 1(%rdi)") S(A, "movb $0x7f, (%rdi)")
	S(A, "movw $0x1234, 2(%rdi)")
	S(A, "movl $0x89abcdef, (%rdi)") S(A, "movq $-2, (%rdi)") S(A, "movq $0x7fffffff, (%rdi)")
	S(A, "movzbw (%rdi), %ax") S(A, "movzbl (%rdi), %eax") S(A, "movzbq (%rdi), %rax")
	S(A, "movzwl (%rdi), %ecx")
	S(A, "movzwq (%rdi), %r9") S(A, "movsbw (%rdi), %dx") S(A, "movsbl (%rdi), %eax")
	S(A, "movsbq (%rdi), %rax")
	S(A, "movswl (%rdi), %eax") S(A, "movswq (%rdi), %r8") S(A, "movslq (%rdi), %rax")
	S(A, "movnti %eax, (%rdi)")
	S(A, "movnti %r9, 8(%rdi)") S("4", "movbe (%rdi), %eax") S("4", "movbe %r9, (%rdi)")
	S("4", "movbe %dx, (%rdi)")
	/* arithmetic, each way */
	S(A, "addb %al, (%rdi)") S(A, "addw %dx, (%rdi)") S(A, "addl %esi, (%rdi)") S(A, "addq %r9, (%rdi)")
	S(A, "addl $5, (%rdi)") S(A, "addq $-100, (%r15)") S(A, "adcl %eax, (%rdi)") S(A, "adcq $7, (%rdi)")
	S(A, "subl %ebx, (%rdi)") S(A, "subb $3, (%rdi)") S(A, "sbbw %ax, (%rdi)")
	S(A, "andl $0xff00ff00, (%rdi)")
	S(A, "andb %ch, (%rdi)") S(A, "orl %edx, (%rdi)") S(A, "orq $0x10, (%rdi)") S(A, "xorw $0xffff, (%rdi)")
	S(A, "xorl %r13d, (%rdi)") S(A, "cmpb $0x80, (%rdi)") S(A, "cmpl %eax, (%rdi)") S(A, "cmpq (%rdi), %rbp")
	S(A, "testl $0x8000, (%rdi)") S(A, "testb %dl, (%rdi)") S(A, "testq %rax, (%rdi)")
	S(A, "addb (%rdi), %ah") S(A, "addl (%rdi), %eax") S(A, "adcq (%rdi), %r8") S(A, "subw (%rdi), %dx")
	S(A, "sbbl (%rdi), %r9d") S(A, "andq (%rdi), %rdx") S(A, "orb (%rdi), %sil") S(A, "xorl (%rdi), %r13d")
	S(A, "incb (%rdi)") S(A, "incl (%rdi)") S(A, "decq (%rdi)") S(A, "decw (%rdi)") S(A, "notl (%rdi)")
	S(A, "negq (%rdi)") S(A, "negb (%rdi)") S(A, "lock addl %eax, (%rdi)") S(A, "lock incq (%rdi)")
	S(A, "lock orl $1, (%rdi)") S(A, "lock notb (%rdi)") S(A, "shll (%rdi)") S(A, "shrq $5, (%rdi)")
	S(A, "sarl %cl, (%rdi)") S(A, "rolb $3, (%rdi)") S(A, "rcrw %cl, (%rdi)") S(A, "shldl $4, %edx, (%rdi)")
	S(A, "imull (%rdi), %eax") S(A, "imulq $17, (%rdi), %r9") S(A, "mull (%rdi)") S(A, "imulw (%rdi)")
	S(A, "xchgl %eax, (%rdi)") S(A, "xchgb %dh, (%rdi)") S(A, "xchgq %r12, (%rdi)") S(A, "xchgw %si, (%rdi)")
	S(A, "xaddl %eax, (%rdi)") S(A, "lock xaddq %r9, (%rdi)") S(A, "xaddb %bl, (%rdi)")
	S(A, "cmpxchgl %edx, (%rdi)") S(A, "lock cmpxchgq %rsi, (%rdi)") S(A, "cmpxchgb %cl, (%rdi)")
	S(A, "movl (%r15), %eax; cmpxchgl %edx, (%rdi)") S(A, "cmpxchg8b (%rdi)") S(A, "lock cmpxchg16b (%rdi)")
	S(A, "btl $7, (%rdi)") S(A, "btsl $31, (%rdi)") S(A, "btrq $40, (%rdi)") S(A, "btcw $3, (%rdi)")
	S(A, "btl %ecx, (%rdi)") S(A, "lock btsl %ecx, (%rdi)") S(A, "movl $-77, %ebp; btcl %ebp, (%rdi)")
	S(A, "movl $1000, %ebp; btrq %rbp, (%rdi)") S(A, "movw $-5, %bp; btsw %bp, (%rdi)")
	S(A, "cmovzl (%rdi), %eax") S(A, "cmovcq (%rdi), %r9") S(A, "setg (%rdi)") S(A, "setc (%rdi)")
	S(A, "bsfl (%rdi), %eax") S(A, "bsrq (%rdi), %rax") S("5", "popcntl (%rdi), %eax")
	S("5", "andn (%rdi), %rax, %rdx")
	S("5", "shlxl %eax, (%rdi), %edx") S("5", "blsrq (%rdi), %r9") S(A, "crc32l (%rdi), %eax")
	S(A, "ds movl (%rdi), %eax") S(A, "ds addl %eax, (%rdi)")
	/* SSE */
	S(A, "movd (%rdi), %xmm1") S(A, "movd %xmm9, (%rdi)") S(A, "movq (%rdi), %xmm2")
	S(A, "movq %xmm3, (%rdi)")
	S(A, "movss (%rdi), %xmm4") S(A, "movss %xmm5, (%rdi)") S(A, "movsd (%rdi), %xmm6")
	S(A, "movsd %xmm7, (%rdi)")
	S(A, "movaps (%rdi), %xmm8") S(A, "movaps %xmm0, (%rdi)") S(A, "movups 3(%rdi), %xmm15")
	S(A, "movups %xmm1, 5(%rdi)") S(A, "movdqa (%rdi), %xmm3") S(A, "movdqa %xmm13, (%rdi)")
	S(A, "movdqu 1(%rdi,%rcx,8), %xmm2") S(A, "movdqu %xmm12, 9(%r15)") S(A, "movntdq %xmm1, (%rdi)")
	S(A, "movntps %xmm2, (%rdi)") S(A, "movntdqa (%rdi), %xmm4") S(A, "lddqu 1(%rdi), %xmm4")
	S(A, "movhps (%rdi), %xmm1") S(A, "movlpd %xmm1, (%rdi)") S(A, "paddd (%rdi), %xmm5")
	S(A, "pxor (%rdi), %xmm9")
	S(A, "pinsrw $3, (%rdi), %xmm1") S("6", "pinsrd $2, (%rdi), %xmm1") S("6", "pextrd $1, %xmm2, (%rdi)")
	S(A, "cvtsi2sdl (%rdi), %xmm1") S(A, "ucomiss (%rdi), %xmm2") S("6", "pmovzxbw (%rdi), %xmm3")
	S("6", "pcmpistri $8, (%rdi), %xmm1") S(A, "stmxcsr (%rdi)")
	/* AVX */
	S("1", "vmovd (%rdi), %xmm1") S("1", "vmovq %xmm11, (%rdi)") S("1", "vmovss (%rdi), %xmm3")
	S("1", "vmovups (%rdi), %ymm1") S("1", "vmovups %ymm9, 7(%r15)") S("1", "vmovdqu 1(%rdi), %xmm14")
	S("1", "vmovdqa %ymm2, (%rdi)") S("1", "vmovntdq %ymm3, (%rdi)") S("1", "vmovaps (%r15), %ymm15")
	S("1", "vlddqu (%rdi), %ymm4") S("1", "vaddps (%rdi), %ymm1, %ymm2") S("1", "vbroadcastss (%rdi), %ymm5")
	S("2", "vpaddd (%rdi), %ymm1, %ymm2") S("2", "vpbroadcastb (%rdi), %ymm6")
	S("2", "vpxor (%r15,%rcx,8), %ymm1, %ymm9")
	S("2", "vinserti128 $1, (%rdi), %ymm1, %ymm2") S("2", "vextracti128 $1, %ymm1, (%rdi)")
	S("1", "vmaskmovps %ymm1, %ymm2, (%rdi)") S("1", "vmaskmovpd (%rdi), %ymm1, %ymm2")
	S("2", "vpmaskmovd %ymm3, %ymm4, 4(%rdi)") S("2", "vpmaskmovq %xmm3, %xmm4, (%r15)")
	S("2", "vpmaskmovd (%rdi), %xmm4, %xmm5")
	/* AVX-512, with masks */
	S("3", "vmovdqu8 %zmm16, 1(%rdi){%k1}") S("3", "vmovdqu8 (%rdi), %zmm1{%k2}{z}")
	S("3", "vmovdqu16 %ymm3, 6(%rdi){%k3}") S("3", "vmovdqu32 (%rdi), %zmm4{%k4}")
	S("3", "vmovdqa64 %zmm5, 64(%rdi){%k5}") S("3", "vmovups 4(%rdi), %xmm6{%k6}{z}")
	S("3", "vmovapd %zmm31, (%r15){%k7}") S("3", "vpcmpub $4, (%rdi), %ymm18, %k1{%k2}")
	S("3", "vpcmpeqd (%rdi), %zmm1, %k3{%k4}") S("3", "vpaddd (%rdi), %zmm1, %zmm2{%k1}")
	S("3", "vpaddd (%rdi){1to16}, %zmm1, %zmm2{%k1}") S("3", "vbroadcastss (%rdi), %zmm5{%k2}{z}")
	S("3", "vpcmpud $1, (%rdi){1to8}, %ymm1, %k1{%k2}") S("3", "kxorq %k1, %k1, %k1; vmovdqu8 %zmm1, 1(%rdi){%k1}")
	/* AVX-512, without masks */
	S("3", "vmovdqu64 (%rdi), %zmm1") S("3", "vmovdqu8 %zmm17, 1(%rdi)") S("3", "vmovdqa32 64(%rdi), %zmm31")
	S("3", "vmovntdq %zmm30, 64(%rdi)") S("3", "vmovdqu32 32(%rdi), %ymm20")
	S("3", "vmovups %xmm29, 16(%rdi)")
	S("3", "vpaddd (%rdi){1to16}, %zmm1, %zmm2") S("3", "vpternlogd $0x96, 64(%r15), %zmm1, %zmm2")
	S("3", "vpcmpub $0, (%rdi), %zmm1, %k3") S("3", "kmovq (%rdi), %k1") S("3", "kmovd %k2, (%rdi)")
	/* MMX, x87 */
	S(A, "movq (%rdi), %mm1; movq2dq %mm1, %xmm1; emms") S(A, "fildl (%rdi); fistpll 8(%rdi)")
	S(A, "fld1; fstpt (%rdi)")
	/* string instructions: rsi in ordinary memory or the device, rdi likewise, are set by the test */
	".pushsection .data.rel.ro.snippets, \"aw\"\n.globl snippets_end\nsnippets_end:\n.popsection\n");

#define STRINGS(X) X(movsb) X(movsw) X(movsl) X(movsq) X(rep_movsb) X(rep_movsl) X(rep_movsq) \
	X(stosb) X(stosl) X(rep_stosb) X(rep_stosw) X(rep_stosq) X(lodsb) X(lodsw) X(lodsl) X(lodsq) X(rep_lodsl) \
	X(std_movsl) X(std_rep_movsw) X(std_rep_stosb)
__asm__(
	".pushsection .text\n"
	"movsb_: movsb\nret\nmovsw_: movsw\nret\nmovsl_: movsl\nret\nmovsq_: movsq\nret\n"
	"rep_movsb_: rep movsb\nret\nrep_movsl_: rep movsl\nret\nrep_movsq_: rep movsq\nret\n"
	"stosb_: stosb\nret\nstosl_: stosl\nret\nrep_stosb_: rep stosb\nret\nrep_stosw_: rep stosw\nret\n"
	"rep_stosq_: rep stosq\nret\nlodsb_: lodsb\nret\nlodsw_: lodsw\nret\n"
	"lodsl_: lodsl\nret\nlodsq_: lodsq\nret\n"
	"rep_lodsl_: rep lodsl\nret\nstd_movsl_: std\nmovsl\ncld\nret\nstd_rep_movsw_: std\nrep movsw\ncld\nret\n"
	"std_rep_stosb_: std\nrep stosb\ncld\nret\n"
	"masked_store_: vmovdqu8 %xmm1, (%rdi){%k1}\nret\nmasked_load_: vmovdqu8 (%rdi), %xmm1{%k1}{z}\nret\n"
	"bad_push_: pushq (%rdi)\nret\nbad_call_: jmp *(%rdi)\n"
	"bad_masked_: vpcompressd %zmm1, (%rdi){%k1}\nret\nbad_gather_: vpgatherdd %xmm1, (%rdi,%xmm2,4), %xmm3\nret\n"
	"bad_fxsave_: fxsave (%rdi)\nret\nbad_rsp_: addq (%rdi), %rsp\nret\nbad_seg_: movw (%rdi), %fs\nret\n"
	"movdir64b_: movdir64b (%rsi), %rdi\nret\nmovdiri_: movdiri %rax, (%rdi)\nret\n"
	"clflush_: clflush (%rdi)\nret\n"
	"addr32_: addr32 movl 4(%edi), %eax\nret\n"
	"riprel_: movl trap+40(%rip), %eax\nret\nriprel_imm_: movl $0x55aa55aa, trap+44(%rip)\nret\n"
	"fsrel_: movl %fs:(%rdi), %eax\nret\nfsrel_or_: orl $1, %fs:(%rdi)\nret\n"
	"movabs_: movabsl 0x1122334455667788, %eax\nret\n"
	".popsection\n");
#define X(n) extern const char n##_[];
STRINGS(X)
X(masked_store) X(masked_load) X(bad_push) X(bad_call) X(bad_masked) X(bad_gather) X(bad_fxsave) X(bad_rsp) X(bad_seg)
X(movdir64b) X(movdiri) X(clflush) X(riprel) X(riprel_imm) X(fsrel) X(fsrel_or) X(movabs) X(addr32)
#undef X

/* ---- the fake device ----------------------------------------------------------------------- */

static u8 plain[AREA] __attribute__((aligned(4096)));
u8 trap[AREA] __attribute__((aligned(4096))); /* not static: assembler code names it */
static u8 *trapped = trap; /* where the device is */
static u8 device[AREA];
static unsigned traps, reads, writes, last_len;
static int device_error; /* -EFAULT: memory decoding is off */
static enum emulate_result last_result;
static u64 last_addr;
static sigjmp_buf failed;

static int fake_access(u64 addr, void *buf, unsigned len, bool write)
{
	u64 off = addr - (u64)(uintptr_t)trapped;

	if (addr < (u64)(uintptr_t)trapped || off + len > AREA)
		return -ENOENT;
	if (device_error)
		return device_error;
	last_len = len;
	if (write) {
		memcpy(device + off, buf, len);
		writes++;
	} else {
		memcpy(buf, device + off, len);
		reads++;
	}
	return 0;
}

static void on_fault(int sig, siginfo_t *info, void *uctx)
{
	ucontext_t *uc = uctx;
	struct insn insn;

	if (guard_fault())
		return;
	traps++;
	decode_cached((u64)uc->uc_mcontext.gregs[REG_RIP], &insn);
	last_result = emulate(&insn, uc, fake_access, &last_addr);
	if (last_result != EMULATE_DONE)
		siglongjmp(failed, 1);
}

/* cmocka installs its own handlers before each test. */
static void take_faults(void)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	traps = reads = writes = 0;
	device_error = 0;
}

/* ---- state --------------------------------------------------------------------------------- */

static u64 seed;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void rnd_bytes(void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((u8 *)buf)[i] = (u8)rnd();
}

struct fp_area { u8 b[16384]; } __attribute__((aligned(64)));

static u64 fp_mask(void)
{
	u32 a, b, c, d;

	__cpuid(1, a, b, c, d);
	if (!(c & bit_OSXSAVE))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a & 0xe7;
}

static void part_random(struct fp_area *fp, unsigned part)
{
	u32 size, offset, c, d;

	__cpuid_count(0xd, part, size, offset, c, d);
	rnd_bytes(fp->b + offset, size);
}

static void fp_random(struct fp_area *fp)
{
	u64 mask = fp_mask(), *header = (u64 *)(fp->b + 512);

	memset(fp, 0, sizeof(*fp));
	if (mask)
		__asm__ volatile("xsave64 %0" : "+m"(*fp) : "a"((u32)mask), "d"(0));
	else
		__asm__ volatile("fxsave64 %0" : "+m"(*fp));
	rnd_bytes(fp->b + 160, 256);
	*(u32 *)(fp->b + 24) = 0x1f80;
	if (mask)
		*header = mask & ~1ull;
	for (unsigned part = 2; part < 8; part++)
		if (mask >> part & 1 && rnd() % 4)
			part_random(fp, part);
		else
			*header &= ~(1ull << part); /* the part is in its initial state */
}

static bool has_movbe(void)
{
	u32 a, b, c, d;

	__cpuid(1, a, b, c, d);
	return c & bit_MOVBE;
}

static bool cpu_has(u64 need)
{
	switch (need) {
	case ALWAYS: return true;
	case AVX: return __builtin_cpu_supports("avx");
	case AVX2: return __builtin_cpu_supports("avx2");
	case AVX512: return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
	case MOVBE_: return has_movbe();
	case BMI: return __builtin_cpu_supports("bmi2");
	case SSE41: return __builtin_cpu_supports("sse4.2");
	default: return false;
	}
}

static u64 as_offset(u64 value, const u8 *area)
{
	u64 off = value - (u64)(uintptr_t)area;

	return off < AREA ? off | 0xa0000000ull : value;
}

/* The low half only may have been loaded or swapped: compare such registers as offsets where both are. */
static void same_regs(const struct cpu *a, const struct cpu *b, const char *text)
{
	for (int i = 0; i < 16; i++) {
		if (i == 4 || as_offset(a->reg[i], plain) == as_offset(b->reg[i], trap))
			continue;
		fail_msg("%s: register %d is %#llx, should be %#llx (seed %llu)", text, i,
			 (unsigned long long)b->reg[i], (unsigned long long)a->reg[i], (unsigned long long)seed);
	}
	if ((a->flags ^ b->flags) & 0x8d5)
		fail_msg("%s: flags are %#llx, should be %#llx", text, (unsigned long long)b->flags,
			 (unsigned long long)a->flags);
}

static void same_fp(const struct fp_area *a, const struct fp_area *b, const char *text)
{
	u32 size, offset, c, d;
	u64 mask = fp_mask();

	/* Registers, not the last x87 instruction's address. */
	if (memcmp(a->b + 32, b->b + 32, 416 - 32) || memcmp(a->b + 24, b->b + 24, 4))
		fail_msg("%s: the xmm, x87 or mxcsr state differs", text);
	for (unsigned part = 2; part < 8; part++) {
		if (!(mask >> part & 1))
			continue;
		__cpuid_count(0xd, part, size, offset, c, d);
		if (memcmp(a->b + offset, b->b + offset, size))
			fail_msg("%s: part %u of the vector state differs", text, part);
	}
}

/* ---- one snippet, both ways ----------------------------------------------------------------- */

static struct fp_area fp_start, fp_plain, fp_trap;

/* With a mask of zeros an instruction touches nothing. */
static bool is_masked(const char *text)
{
	return strstr(text, "{%k") || strstr(text, "maskmov");
}

static void run_both(const void *code, const char *text, void (*set)(struct cpu *, u8 *))
{
	struct cpu start = { .fp = NULL }, a, b;

	for (int i = 0; i < 16; i++)
		start.reg[i] = rnd();
	start.reg[1] &= 7;
	start.reg[3] &= 3;
	start.flags = (rnd() & 0x8d5) | 0x202;
	start.fp_mask = fp_mask();
	fp_random(&fp_start);
	rnd_bytes(plain, AREA);
	memcpy(device, plain, AREA);
	a = b = start;
	fp_plain = fp_trap = fp_start;
	a.fp = &fp_plain;
	b.fp = &fp_trap;
	set(&a, plain);
	set(&b, trap);
	emulate_run(&a, code);
	traps = 0;
	if (sigsetjmp(failed, 1))
		fail_msg("%s: result %d", text, last_result);
	emulate_run(&b, code);
	assert_true(traps || is_masked(text));
	same_regs(&a, &b, text);
	same_fp(&fp_plain, &fp_trap, text);
	/* Where the instruction stored an address, the areas differ by it. */
	if (memcmp(plain, device, AREA) && strcmp(text, "movq %rdi, 1(%rdi)"))
		fail_msg("%s: memory differs", text);
}

static void set_pointers(struct cpu *cpu, u8 *area)
{
	cpu->reg[7] = cpu->reg[15] = (u64)(uintptr_t)area + 2048;
}

static void test_snippets(void **state)
{
	unsigned done = 0, all = 0;

	take_faults();
	for (const struct snippet *s = snippets; s < snippets_end; s++, all++) {
		if (!cpu_has(s->need))
			continue;
		for (int round = 0; round < ROUNDS; round++)
			run_both(s->code, s->text, set_pointers);
		done++;
	}
	print_message("%u of %u forms, %d rounds each\n", done, all, ROUNDS);
	assert_true(done > 120);
}

/* Both sides on the device, then one. */
static void set_both(struct cpu *cpu, u8 *area)
{
	cpu->reg[6] = (u64)(uintptr_t)area + 1024;
	cpu->reg[7] = (u64)(uintptr_t)area + 2048;
	cpu->reg[1] += 1;
}

static u8 ordinary[2][4096];

static void set_to_device(struct cpu *cpu, u8 *area)
{
	set_both(cpu, area);
	cpu->reg[6] = (u64)(uintptr_t)ordinary[0] + 1024;
}

/* The ordinary side is compared too: it must hold the same after both runs. */
static void set_from_device(struct cpu *cpu, u8 *area)
{
	set_both(cpu, area);
	cpu->reg[7] = (u64)(uintptr_t)ordinary[area == trap] + 1024;
}

static void test_strings(void **state)
{
	static const struct { const char *code, *name; } all[] = {
#define X(n) { n##_, #n },
		STRINGS(X)
#undef X
	};

	take_faults();
	rnd_bytes(ordinary, sizeof(ordinary));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (int round = 0; round < ROUNDS; round++) {
			run_both(all[i].code, all[i].name, set_both);
			if (!strstr(all[i].name, "lods"))
				run_both(all[i].code, all[i].name, set_to_device);
		}
}

static void test_string_to_memory(void **state)
{
	struct cpu cpu = { .flags = 0x202 };

	take_faults();
	rnd_bytes(device, AREA);
	memset(ordinary, 0, sizeof(ordinary));
	set_from_device(&cpu, trap);
	cpu.reg[1] = 100;
	emulate_run(&cpu, rep_movsb_);
	assert_memory_equal(ordinary[1] + 1024, device + 1024, 100);
	assert_int_equal(ordinary[1][1124], 0);
	assert_int_equal(cpu.reg[1], 0);
	assert_int_equal(traps, 1);
	assert_int_equal(reads, 100);
	assert_int_equal(cpu.reg[6], (u64)(uintptr_t)trap + 1124);
}

/* No bytes: no access, no fault of ours to see; very many: in more than one go. */
static void test_rep_counts(void **state)
{
	struct cpu cpu = { .flags = 0x202 };

	take_faults();
	cpu.reg[7] = (u64)(uintptr_t)trap;
	cpu.reg[0] = 0x5a;
	emulate_run(&cpu, rep_stosb_);
	assert_int_equal(traps, 0);
	cpu.reg[1] = 5000;
	emulate_run(&cpu, rep_stosb_);
	assert_int_equal(traps, 2);
	assert_int_equal(writes, 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(device[i], 0x5a);
}

static void expect_result(const char *code, struct cpu *cpu, enum emulate_result want)
{
	struct cpu before = *cpu;

	if (!sigsetjmp(failed, 1)) {
		emulate_run(cpu, code);
		fail_msg("it should have been result %d", want);
	}
	assert_int_equal(last_result, want);
	assert_memory_equal(before.reg, cpu->reg, sizeof(before.reg));
}

/* The other operand is bad memory: that many rounds are done, and the program is told where. */
static void test_string_bad_memory(void **state)
{
	u8 *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cpu cpu = { .flags = 0x202 };

	assert_true(page != MAP_FAILED);
	assert_int_equal(munmap(page + 4096, 4096), 0);
	take_faults();
	cpu.reg[6] = (u64)(uintptr_t)trap;
	cpu.reg[7] = (u64)(uintptr_t)page + 4096 - 16;
	cpu.reg[1] = 32;
	expect_result(rep_movsb_, &cpu, EMULATE_SEGV);
	assert_int_equal(last_addr, (u64)(uintptr_t)page + 4096);
	assert_memory_equal(page + 4096 - 16, device, 16);
	munmap(page, 4096);
}

static void test_bus_error(void **state)
{
	struct cpu cpu = { .flags = 0x202 };

	take_faults();
	cpu.reg[7] = (u64)(uintptr_t)trap + 64;
	cpu.reg[6] = cpu.reg[7];
	cpu.reg[1] = 4;
	device_error = -EFAULT;
	for (const struct snippet *s = snippets; s < snippets_end; s++) {
		struct cpu c = cpu;

		c.reg[15] = c.reg[7];
		if (!cpu_has(s->need) || strchr(s->text, ';') || is_masked(s->text))
			continue;
		c.fp = &fp_trap;
		c.fp_mask = fp_mask();
		fp_random(&fp_trap);
		expect_result(s->code, &c, EMULATE_BUS);
	}
	expect_result(movsb_, &cpu, EMULATE_BUS);
	expect_result(rep_stosq_, &cpu, EMULATE_BUS);
	assert_int_equal(last_addr, (u64)(uintptr_t)trap + 64);
}

/* What a mask leaves out is not accessed: it may lie behind the device, or be a register that acts when written. */
static void test_masked_access(void **state)
{
	struct cpu cpu = { .flags = 0x202, .fp = &fp_trap, .fp_mask = fp_mask() };
	u32 size, offset, c, d;

	if (!cpu_has(AVX512))
		skip();
	take_faults();
	fp_random(&fp_trap);
	__cpuid_count(0xd, 5, size, offset, c, d);
	*(u64 *)(fp_trap.b + 512) |= 1 << 5;
	*(u64 *)(fp_trap.b + offset + 8) = 0x37;
	memset(device, 0x5a, AREA);
	cpu.reg[7] = (u64)(uintptr_t)trap + AREA - 6;
	emulate_run(&cpu, masked_store_);
	assert_int_equal(writes, 2); /* three bytes and two, one between them left alone */
	assert_int_equal(reads, 0);
	assert_int_equal(device[AREA - 3], 0x5a);
	emulate_run(&cpu, masked_load_);
	assert_int_equal(reads, 2);
}

static void test_not_ours(void **state)
{
	u8 *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cpu cpu = { .flags = 0x202 };

	assert_true(page != MAP_FAILED);
	take_faults();
	cpu.reg[7] = cpu.reg[6] = cpu.reg[15] = (u64)(uintptr_t)page;
	cpu.reg[1] = 1;
	expect_result(snippets[0].code, &cpu, EMULATE_NOT_OURS);
	expect_result(movsb_, &cpu, EMULATE_NOT_OURS);
	expect_result(rep_movsb_, &cpu, EMULATE_NOT_OURS);
	munmap(page, 4096);
}

static void test_cannot(void **state)
{
	static const char *const bad[] = { bad_push_, bad_call_, bad_fxsave_, bad_rsp_, bad_seg_ };
	struct cpu cpu = { .flags = 0x202 };

	take_faults();
	cpu.reg[7] = (u64)(uintptr_t)trap;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_result(bad[i], &cpu, EMULATE_CANNOT);
	if (cpu_has(AVX512)) {
		cpu.fp = &fp_trap;
		cpu.fp_mask = fp_mask();
		fp_random(&fp_trap);
		/* A mask that selects nothing touches nothing. */
		memset(fp_trap.b + 512, 0, 8);
		*(u64 *)(fp_trap.b + 512) = cpu.fp_mask & ~1ull;
		part_random(&fp_trap, 5);
		fp_trap.b[0] |= 0;
		expect_result(bad_masked_, &cpu, EMULATE_CANNOT);
	}
	assert_int_equal(reads + writes, 0);
}

static void decode_at(const char *code, struct insn *ret)
{
	decode((const u8 *)code, INSN_MAX, (u64)(uintptr_t)code, ret);
}

static void test_gather_is_bad(void **state)
{
	struct insn insn;

	decode_at(bad_gather_, &insn);
	assert_int_equal(insn.kind, INSN_BAD);
	assert_int_not_equal(insn.len, 0);
}

static void test_rip_relative(void **state)
{
	struct cpu cpu = { .flags = 0x202 };
	u32 value = 0xcafe1234;

	take_faults();
	memcpy(device + 40, &value, 4);
	cpu.reg[0] = ~0ull;
	emulate_run(&cpu, riprel_);
	assert_int_equal(cpu.reg[0], value);
	emulate_run(&cpu, riprel_imm_);
	memcpy(&value, device + 44, 4);
	assert_int_equal(value, 0x55aa55aa);
}

static void test_segment(void **state)
{
	struct cpu cpu = { .flags = 0x202 };
	u64 fs;
	u32 value = 0x8000, now;

	take_faults();
	__asm__("movq %%fs:0, %0" : "=r"(fs)); /* the thread's own pointer to itself */
	memcpy(device + 128, &value, 4);
	cpu.reg[7] = (u64)(uintptr_t)trap + 128 - fs;
	emulate_run(&cpu, fsrel_);
	assert_int_equal(cpu.reg[0], value);
	emulate_run(&cpu, fsrel_or_);
	memcpy(&now, device + 128, 4);
	assert_int_equal(now, value | 1);
}

static void test_absolute(void **state)
{
	struct insn insn;

	decode_at(movabs_, &insn);
	assert_int_equal(insn.kind, INSN_LOAD);
	assert_true(insn.disp == 0x1122334455667788);
	assert_int_equal(insn.base, INSN_REG_NONE);
}

/* 32-bit addresses: the rest of the register does not count. */
static void test_short_address(void **state)
{
	u8 *low = mmap(NULL, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct cpu cpu = { .flags = 0x202 };

	assert_true(low != MAP_FAILED);
	take_faults();
	trapped = low;
	cpu.reg[7] = (u64)(uintptr_t)low | 0xffull << 40;
	emulate_run(&cpu, addr32_);
	trapped = trap;
	assert_memory_equal(&cpu.reg[0], device + 4, 4);
	assert_int_equal(reads, 1);
	munmap(low, AREA);
}

/* A processor without it raises SIGILL, so it is not run here but decoded and carried out. */
static void test_movdir64b(void **state)
{
	u8 source[128] __attribute__((aligned(64)));
	ucontext_t uc = { 0 };
	greg_t *gregs = uc.uc_mcontext.gregs;
	struct insn insn;

	take_faults();
	rnd_bytes(source, sizeof(source));
	decode_at(movdir64b_, &insn);
	assert_int_equal(insn.kind, INSN_MOVDIR64B);
	gregs[REG_RSI] = (greg_t)(uintptr_t)source + 1;
	gregs[REG_RDI] = (greg_t)(uintptr_t)trap + 64;
	gregs[REG_RIP] = (greg_t)(uintptr_t)movdir64b_;
	assert_int_equal(emulate(&insn, &uc, fake_access, &last_addr), EMULATE_DONE);
	assert_memory_equal(device + 64, source + 1, 64);
	assert_int_equal(writes, 1);
	assert_int_equal(last_len, 64);
	assert_int_equal(gregs[REG_RIP], (greg_t)(uintptr_t)movdir64b_ + insn.len);
	gregs[REG_RDI] += 8;
	assert_int_equal(emulate(&insn, &uc, fake_access, &last_addr), EMULATE_NOT_OURS);
	decode_at(movdiri_, &insn);
	assert_int_equal(insn.kind, INSN_STORE);
	assert_int_equal(insn.size, 8);
}

static void test_one_access(void **state)
{
	struct cpu cpu = { .flags = 0x202 };

	take_faults();
	cpu.reg[7] = (u64)(uintptr_t)trap + 4094; /* spans two pages */
	emulate_run(&cpu, snippets[9].code);	  /* movq (%rdi), %rdx */
	assert_int_equal(reads, 1);
	assert_int_equal(last_len, 8);
	assert_memory_equal(&cpu.reg[2], device + 4094, 8);
	writes = 0;
	emulate_run(&cpu, clflush_);
	assert_int_equal(writes, 0);
}

/* The cache believes the bytes, not the address. */
static void test_code_changes(void **state)
{
	u8 *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct insn insn;

	assert_true(code != MAP_FAILED);
	take_faults();
	memcpy(code, "\x8b\x07\xc3", 3); /* mov (%rdi), %eax */
	for (int i = 0; i < 2; i++) {
		decode_cached((u64)(uintptr_t)code, &insn);
		assert_int_equal(insn.kind, INSN_LOAD);
		assert_int_equal(insn.reg, 0);
	}
	memcpy(code, "\x8b\x1f\xc3", 3); /* mov (%rdi), %ebx */
	decode_cached((u64)(uintptr_t)code, &insn);
	assert_int_equal(insn.reg, 3);
	/* At the end of what is mapped. */
	memcpy(code + 4094, "\x8b\x07", 2);
	assert_int_equal(mprotect(code, 4096, PROT_READ), 0);
	decode_cached((u64)(uintptr_t)code + 4094, &insn);
	assert_int_equal(insn.kind, INSN_LOAD);
	munmap(code, 4096);
	/* Random bytes: whatever they are, decoding ends. */
	for (int i = 0; i < 200000; i++) {
		u8 bytes[INSN_MAX];

		rnd_bytes(bytes, sizeof(bytes));
		decode(bytes, 1 + rnd() % INSN_MAX, 0x1000, &insn);
		assert_true(insn.len <= INSN_MAX);
	}
}

static void test_text(void **state)
{
	char text[96];

	take_faults();
	assert_string_equal(decode_text((u64)(uintptr_t)rep_movsb_, text, sizeof(text)), "rep movsb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snippets),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_string_to_memory),
		cmocka_unit_test(test_rep_counts),
		cmocka_unit_test(test_string_bad_memory),
		cmocka_unit_test(test_bus_error),
		cmocka_unit_test(test_masked_access),
	cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_cannot),
		cmocka_unit_test(test_gather_is_bad),
		cmocka_unit_test(test_rip_relative),
		cmocka_unit_test(test_segment),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_short_address),
		cmocka_unit_test(test_movdir64b),
		cmocka_unit_test(test_one_access),
		cmocka_unit_test(test_code_changes),
		cmocka_unit_test(test_text),
	};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : 0x9e3779b97f4a7c15ull;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	decode_init();
	if (mprotect(trap, AREA, PROT_NONE))
		return 1;
	int failed_tests = cmocka_run_group_tests(tests, NULL, NULL);
	/* Leak checkers read all of a program's memory at its end. */
	return mprotect(trap, AREA, PROT_READ | PROT_WRITE) || failed_tests;
}
