/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.c - instruction bytes to struct insn, by Zydis; thunks; the cache.  decode.h tells the idea.
 *
 * What always holds: a thunk is never changed once it is published, since another thread may be in it;
 * equal thunks are made once, so their number is bounded by what programs contain, not by how long
 * they run.  Thunks live in a memory file that is mapped twice, to write and to execute.
 *
 * The cache is one table for all threads.  An entry has a sequence number that is odd while it is
 * written; a reader copies and looks again.  Nobody waits: who finds an entry busy decodes anew.
 *
 * All this runs in signal handlers: no allocation, no lock that a handler could wait for, except the
 * one of making thunks, which no handler of the program interrupts (signal.c blocks them).
 */
#include "front/preload/decode.h"

#include <Zydis/Zydis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"

_Static_assert(ZYDIS_VERSION_MAJOR(ZYDIS_VERSION) >= 4, "Zydis 4: before, operands were not separate");

#define OPERANDS_MAX ZYDIS_MAX_OPERAND_COUNT

static ZydisDecoder decoder; /* immutable after decode_init() */

/* One instruction under the knife. */
struct parsed {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[OPERANDS_MAX];
	const u8 *bytes;
};

/* ---- thunks --------------------------------------------------------------------------------- */

#define THUNK_BYTES 32
#define THUNK_COUNT 4096

static struct {
	u8 *write;		/* NULL: not made, or the system allows no such mapping */
	const u8 *exec;
	bool tried;
	atomic_flag busy;
} thunks = { .busy = ATOMIC_FLAG_INIT };

static void thunk_arena(void)
{
	size_t size = THUNK_BYTES * THUNK_COUNT;
	int fd = sys_memfd_create("softvfio-thunks", MFD_CLOEXEC);
	void *write, *exec;

	thunks.tried = true;
	if (fd < 0)
		return;
	if (!sys_ftruncate(fd, (off_t)size)) {
		write = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		exec = sys_mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
		if (!IS_ERR(write) && !IS_ERR(exec)) {
			thunks.write = write;
			thunks.exec = exec;
		}
	}
	sys_close(fd);
}

/* The same bytes at the same addresses, in memory of this process alone. */
static bool thunk_arena_copy(void)
{
	size_t size = THUNK_BYTES * THUNK_COUNT;
	int fd = sys_memfd_create("softvfio-thunks", MFD_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = sys_write(fd, thunks.write, size) == (ssize_t)size &&
	       !IS_ERR(sys_mmap((void *)thunks.exec, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0)) &&
	       !IS_ERR(sys_mmap(thunks.write, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	sys_close(fd);
	return done;
}

void decode_in_child(void)
{
	atomic_flag_clear(&thunks.busy);
	if (thunks.write && !thunk_arena_copy())
		thunks.write = NULL; /* those that there are can be used */
}

static unsigned hash_bytes(const u8 *bytes, size_t len)
{
	unsigned h = 2166136261u;

	while (len--)
		h = (h ^ *bytes++) * 16777619u;
	return h;
}

/* Find or make the thunk that has this code in it.  NULL if there is no room. */
static const void *thunk_get(const u8 *code, size_t len)
{
	u8 slot[THUNK_BYTES] = { 0 }, *at;
	const void *found = NULL;
	unsigned first = hash_bytes(code, len);

	memcpy(slot, code, len);
	slot[len] = 0xc3; /* ret */
	while (atomic_flag_test_and_set_explicit(&thunks.busy, memory_order_acquire))
		;
	if (!thunks.tried)
		thunk_arena();
	for (unsigned i = 0; thunks.write && !found && i < THUNK_COUNT; i++) {
		unsigned n = (first + i) % THUNK_COUNT;

		at = thunks.write + (size_t)n * THUNK_BYTES;
		if (!at[0] && !at[1]) /* no instruction of interest starts with two zero bytes */
			memcpy(at, slot, sizeof(slot));
		if (!memcmp(at, slot, sizeof(slot)))
			found = thunks.exec + (size_t)n * THUNK_BYTES;
	}
	atomic_flag_clear_explicit(&thunks.busy, memory_order_release);
	return found;
}

/* ---- registers ----------------------------------------------------------------------------- */

static u8 number_of(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (reg == ZYDIS_REGISTER_RIP)
		return INSN_REG_RIP;
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return INSN_REG_NONE;
	return (u8)(whole - ZYDIS_REGISTER_RAX);
}

static bool is_high_byte(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

static bool is_general(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER && number_of(op->reg.value) < INSN_REG_NONE;
}

static bool is_memory(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static void set_address(struct insn *ret, const struct parsed *p, const ZydisDecodedOperand *op)
{
	ret->base = number_of(op->mem.base);
	ret->index = number_of(op->mem.index);
	ret->scale = op->mem.scale;
	ret->disp = op->mem.disp.value;
	ret->addr32 = p->insn.address_width == 32;
	ret->segment = op->mem.segment == ZYDIS_REGISTER_FS ? 1 : op->mem.segment == ZYDIS_REGISTER_GS ? 2 : 0;
	ret->size = (u8)(op->size / 8);
}

static void set_register(struct insn *ret, const ZydisDecodedOperand *op)
{
	ret->reg = number_of(op->reg.value);
	ret->reg_size = (u8)(op->size / 8);
	ret->reg_shift = is_high_byte(op->reg.value) ? 8 : 0;
}

/* ---- any instruction with one memory operand ------------------------------------------------- */

static bool is_bit_string(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_BT || mnemonic == ZYDIS_MNEMONIC_BTS || mnemonic == ZYDIS_MNEMONIC_BTR ||
	       mnemonic == ZYDIS_MNEMONIC_BTC;
}

/* The one memory operand, if that is all the memory that the instruction touches. */
static const ZydisDecodedOperand *only_memory(const struct parsed *p)
{
	const ZydisDecodedOperand *memory = NULL;

	for (int i = 0; i < p->insn.operand_count; i++) {
		if (!is_memory(&p->op[i]))
			continue;
		if (memory || p->op[i].mem.type != ZYDIS_MEMOP_TYPE_MEM ||
		    p->op[i].visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			return NULL;
		memory = &p->op[i];
	}
	return memory;
}

static bool is_plain(const struct parsed *p)
{
	const ZydisDecodedInstruction *in = &p->insn;

	return in->meta.branch_type == ZYDIS_BRANCH_TYPE_NONE && in->meta.category != ZYDIS_CATEGORY_SYSTEM &&
	       in->meta.category != ZYDIS_CATEGORY_XSAVE && in->meta.category != ZYDIS_CATEGORY_XSAVEOPT &&
	       !(in->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) && (in->attributes & ZYDIS_ATTRIB_HAS_MODRM) &&
	       in->raw.modrm.mod != 3;
}

/* Does bit n of its opmask belong to element n of its memory?  So do the string functions of libc. */
static bool masks_elements(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_VMOVDQU8:
	case ZYDIS_MNEMONIC_VMOVDQU16:
	case ZYDIS_MNEMONIC_VMOVDQU32:
	case ZYDIS_MNEMONIC_VMOVDQU64:
	case ZYDIS_MNEMONIC_VMOVDQA32:
	case ZYDIS_MNEMONIC_VMOVDQA64:
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VPCMPB:
	case ZYDIS_MNEMONIC_VPCMPUB:
	case ZYDIS_MNEMONIC_VPCMPW:
	case ZYDIS_MNEMONIC_VPCMPUW:
	case ZYDIS_MNEMONIC_VPCMPD:
	case ZYDIS_MNEMONIC_VPCMPUD:
	case ZYDIS_MNEMONIC_VPCMPQ:
	case ZYDIS_MNEMONIC_VPCMPUQ:
	case ZYDIS_MNEMONIC_VPCMPEQB:
	case ZYDIS_MNEMONIC_VPCMPEQW:
	case ZYDIS_MNEMONIC_VPCMPEQD:
	case ZYDIS_MNEMONIC_VPCMPEQQ:
		return true;
	default:
		return false;
	}
}

static bool is_masked_store(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_VMASKMOVPS || mnemonic == ZYDIS_MNEMONIC_VMASKMOVPD ||
	       mnemonic == ZYDIS_MNEMONIC_VPMASKMOVD || mnemonic == ZYDIS_MNEMONIC_VPMASKMOVQ;
}

/*
 * Which bytes does it access?  Reading more than it asks for is right as to the result, so masks of other
 * shapes (of a broadcast, say) are passed over there; writing more is not.
 */
static bool decode_mask(const struct parsed *p, const ZydisDecodedOperand *memory, struct insn *ret)
{
	ZydisRegister mask = p->insn.avx.mask.reg;

	ret->partial = ret->writes && is_masked_store(p->insn.mnemonic);
	if (mask == ZYDIS_REGISTER_NONE || mask == ZYDIS_REGISTER_K0)
		return true;
	if (!masks_elements(p->insn.mnemonic) || memory->element_size < 8 ||
	    p->insn.avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID)
		return !ret->writes;
	ret->mask_reg = (u8)(mask - ZYDIS_REGISTER_K0);
	ret->element = (u8)(memory->element_size / 8);
	return true;
}

/*
 * What else does it use?  Return: a bit for each general register; ~0u if it uses what a thunk cannot
 * give it (the stack pointer, a segment).
 */
static u32 registers_used(const struct parsed *p, bool *ret_vector)
{
	u32 used = 0;

	*ret_vector = p->insn.meta.category == ZYDIS_CATEGORY_X87_ALU;
	for (int i = 0; i < p->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &p->op[i];
		u8 n;

		if (op->type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		n = number_of(op->reg.value);
		switch (ZydisRegisterGetClass(op->reg.value)) {
		case ZYDIS_REGCLASS_GPR8:
		case ZYDIS_REGCLASS_GPR16:
		case ZYDIS_REGCLASS_GPR32:
		case ZYDIS_REGCLASS_GPR64:
			if (n == 4)
				return ~0u;
			used |= BIT(n);
			break;
		case ZYDIS_REGCLASS_FLAGS:
			break;
		case ZYDIS_REGCLASS_SEGMENT:
		case ZYDIS_REGCLASS_IP:
		case ZYDIS_REGCLASS_CONTROL:
		case ZYDIS_REGCLASS_DEBUG:
			return ~0u;
		default:
			*ret_vector = true;
		}
	}
	return used;
}

/* Registers that the ModRM byte can name alone: without a SIB byte, a displacement or a prefix. */
static u8 free_register(u32 used)
{
	static const u8 choice[] = { 6, 7, 3, 2, 1, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(choice); i++)
		if (!(used & BIT(choice[i])))
			return choice[i];
	return INSN_REG_NONE;
}

/* Prefixes that change the address only; the copy is at a plain one. */
static bool is_address_prefix(u8 byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: /* segments */
	case 0x67: /* address size */
		return true;
	default:
		return false;
	}
}

/* Let the two bits that extend base and index say "no extension". */
static void clear_extensions(const struct parsed *p, u8 *code, size_t removed)
{
	const ZydisDecodedInstruction *in = &p->insn;

	switch (in->encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
	case ZYDIS_INSTRUCTION_ENCODING_3DNOW:
		if (in->attributes & ZYDIS_ATTRIB_HAS_REX)
			code[in->raw.rex.offset - removed] &= (u8)~0x03;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		if (in->raw.vex.size == 3)
			code[in->raw.vex.offset + 1 - removed] |= 0x60; /* kept inverted */
		break;
	case ZYDIS_INSTRUCTION_ENCODING_XOP:
		code[in->raw.xop.offset + 1 - removed] |= 0x60;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		code[in->raw.evex.offset + 1 - removed] |= 0x60;
		break;
	default:
		break;
	}
}

/* The same instruction with [@base] for its memory operand.  Return: its length. */
static size_t rewrite(const struct parsed *p, u8 base, u8 *code)
{
	const ZydisDecodedInstruction *in = &p->insn;
	size_t out = 0, tail, removed;

	for (u8 i = 0; i < in->raw.prefix_count; i++)
		if (!is_address_prefix(p->bytes[i]))
			code[out++] = p->bytes[i];
	removed = in->raw.prefix_count - out;
	for (u8 i = in->raw.prefix_count; i < in->raw.modrm.offset; i++)
		code[out++] = p->bytes[i];
	clear_extensions(p, code, removed);
	code[out++] = (u8)(in->raw.modrm.reg << 3 | base);
	/* Behind ModRM, SIB and displacement: immediates, or the opcode of 3DNow. */
	tail = in->raw.modrm.offset + 1u + (in->raw.sib.offset ? 1u : 0u) + in->raw.disp.size / 8u;
	for (size_t i = tail; i < in->length; i++)
		code[out++] = p->bytes[i];
	return out;
}

static void decode_thunk(const struct parsed *p, struct insn *ret)
{
	const ZydisDecodedOperand *memory = only_memory(p);
	u8 code[INSN_MAX + 1];
	u32 used;

	if (!memory || !is_plain(p) || !memory->size || memory->size > 512 || memory->size % 8)
		return;
	used = registers_used(p, &ret->vector);
	ret->thunk_base = used == ~0u ? INSN_REG_NONE : free_register(used);
	if (ret->thunk_base == INSN_REG_NONE)
		return;
	set_address(ret, p, memory);
	ret->reads = memory->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
	ret->writes = memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	if (!decode_mask(p, memory, ret))
		return;
	ret->bit_reg = INSN_REG_NONE;
	if (is_bit_string(p->insn.mnemonic) && is_general(&p->op[1])) {
		ret->bit_reg = number_of(p->op[1].reg.value);
		ret->reg_size = (u8)(p->op[1].size / 8);
	}
	ret->thunk = thunk_get(code, rewrite(p, ret->thunk_base, code));
	if (ret->thunk)
		ret->kind = INSN_THUNK;
}

/* ---- those carried out by hand -------------------------------------------------------------- */

static bool decode_move(const struct parsed *p, struct insn *ret)
{
	const ZydisDecodedOperand *to = &p->op[0], *from = &p->op[1];

	if (is_memory(to) && is_general(from)) {
		ret->kind = INSN_STORE;
		set_address(ret, p, to);
		set_register(ret, from);
	} else if (is_memory(to) && from->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		ret->kind = INSN_STORE_IMM;
		set_address(ret, p, to);
		ret->imm = from->imm.value.s;
	} else if (is_general(to) && is_memory(from)) {
		ret->kind = INSN_LOAD;
		set_address(ret, p, from);
		set_register(ret, to);
	} else {
		return false;
	}
	return ret->size <= 8;
}

static void decode_string(const struct parsed *p, struct insn *ret, enum insn_string what)
{
	/* A short address size or a segment that is not flat are not worth the trouble. */
	if (p->insn.address_width != 64 ||
	    (p->insn.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS)))
		return;
	ret->kind = INSN_STRING;
	ret->string = (u8)what;
	ret->size = (u8)(p->insn.operand_width / 8);
	ret->rep = p->insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
	for (int i = 0; i < p->insn.operand_count; i++)
		if (is_memory(&p->op[i]))
			ret->size = (u8)(p->op[i].size / 8);
}

static void decode_movdir64b(const struct parsed *p, struct insn *ret)
{
	if (p->insn.address_width != 64 || !is_general(&p->op[0]) || !is_memory(&p->op[1]))
		return;
	ret->kind = INSN_MOVDIR64B;
	set_address(ret, p, &p->op[1]); /* the source; the destination is what the register points to */
	ret->size = 64;
	ret->reg = number_of(p->op[0].reg.value);
}

static bool decode_string_kind(const struct parsed *p, struct insn *ret)
{
	switch (p->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVSQ:
		decode_string(p, ret, STRING_MOVS);
		return true;
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ:
		decode_string(p, ret, STRING_STOS);
		return true;
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ:
		decode_string(p, ret, STRING_LODS);
		return true;
	default:
		return false;
	}
}

static void classify(const struct parsed *p, struct insn *ret)
{
	if (p->insn.meta.category == ZYDIS_CATEGORY_STRINGOP && decode_string_kind(p, ret))
		return;
	switch (p->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		ret->sign = true;
		__attribute__((fallthrough));
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVDIRI:
		if (decode_move(p, ret))
			return;
		ret->kind = INSN_BAD;
		break;
	case ZYDIS_MNEMONIC_MOVDIR64B:
		decode_movdir64b(p, ret);
		return;
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_CLDEMOTE:
		ret->kind = INSN_CACHE;
		set_address(ret, p, &p->op[0]);
		return;
	default:
		decode_thunk(p, ret);
	}
}

void decode(const u8 *bytes, size_t len_bytes, u64 rip, struct insn *ret)
{
	struct parsed p = { .bytes = bytes };

	memset(ret, 0, sizeof(*ret));
	ret->base = ret->index = INSN_REG_NONE;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, len_bytes, &p.insn, p.op)))
		return;
	ret->len = p.insn.length;
	classify(&p, ret);
}

void decode_init(void)
{
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

/* ---- code in memory ------------------------------------------------------------------------ */

/* The bytes at @rip; fewer if they end at the end of what is mapped.  Code that only executes gives none. */
static size_t fetch(u64 rip, u8 bytes[INSN_MAX])
{
	size_t head = min((size_t)INSN_MAX, PAGE_SIZE - (rip & ~PAGE_MASK));

	if (guard_copy(bytes, (const void *)rip, head))
		return 0;
	if (head == INSN_MAX || guard_copy(bytes + head, (const void *)(rip + head), INSN_MAX - head))
		return head;
	return INSN_MAX;
}

#define CACHE_SIZE 1024

static struct cached {
	_Atomic u32 seq;
	u64 rip;
	u8 bytes[INSN_MAX + 1];
	struct insn insn;
} cache[CACHE_SIZE];

static struct cached *cache_slot(u64 rip)
{
	return &cache[(rip ^ rip >> 10) % CACHE_SIZE];
}

/*
 * Not memcmp() and memcpy(): in a program built with ThreadSanitizer these are its own, and it cannot know that a
 * sequence number makes up for what it sees as a race.
 */
static bool same_bytes(const u8 *a, const u8 *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static bool cache_find(const struct cached *slot, u64 rip, struct insn *ret)
{
	u32 seq = atomic_load_explicit(&slot->seq, memory_order_acquire);

	if ((seq & 1) || slot->rip != rip)
		return false;
	*ret = slot->insn;
	/* The instruction itself is there to read: it has just run as far as its memory access. */
	if (!ret->len || ret->len > INSN_MAX || !same_bytes(slot->bytes, (const u8 *)rip, ret->len))
		return false;
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&slot->seq, memory_order_relaxed) == seq;
}

static void cache_store(struct cached *slot, u64 rip, const u8 *bytes, const struct insn *insn)
{
	u32 seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);

	if ((seq & 1) || !atomic_compare_exchange_strong(&slot->seq, &seq, seq + 1))
		return;
	atomic_thread_fence(memory_order_release);
	slot->rip = rip;
	for (size_t i = 0; i < INSN_MAX; i++)
		((volatile u8 *)slot->bytes)[i] = bytes[i];
	slot->insn = *insn;
	atomic_store_explicit(&slot->seq, seq + 2, memory_order_release);
}

void decode_cached(u64 rip, struct insn *ret)
{
	struct cached *slot = cache_slot(rip);
	u8 bytes[INSN_MAX] = { 0 };
	size_t len;

	if (likely(cache_find(slot, rip, ret)))
		return;
	len = fetch(rip, bytes);
	decode(bytes, len, rip, ret);
	if (ret->kind != INSN_BAD)
		cache_store(slot, rip, bytes, ret);
}

const char *decode_text(u64 rip, char *buf, size_t size)
{
	u8 bytes[INSN_MAX] = { 0 };
	size_t len = fetch(rip, bytes);
	struct parsed p;
	ZydisFormatter formatter;

	snprintf(buf, size, "(bad)");
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, len, &p.insn, p.op)))
		return buf;
	if (!ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &p.insn, p.op, p.insn.operand_count_visible,
							  buf, size, rip, NULL)))
		snprintf(buf, size, "(bad)");
	return buf;
}
