/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio.c - a fault that is an access to a device.
 *
 * The whole way of a trapped access: the processor faults on a page without permissions, signal.c hands
 * the fault here, the instruction is decoded (from the cache, nearly always), carried out with
 * mmio_access() for its memory, and the program goes on behind it.  No system call is made on that way,
 * and no instruction is looked at unless the address lies between the lowest and the highest that
 * were ever mapped.
 *
 * What the device refuses is SIGBUS, as on Linux; what we cannot carry out is said in words, with the
 * instruction and its place, and then is the SIGSEGV that it would have been.
 */
#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#include "front/preload/decode.h"
#include "front/preload/emulate.h"
#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/syscall.h"

#define FAULT_IS_WRITE 2 /* in the processor's error code */
#define REGION_SHIFT 40	 /* of a VFIO device's file offsets, as all its drivers have it */

void front_mmio_init(void)
{
	decode_init();
}

/* ---- words --------------------------------------------------------------------------------- */

/* "0000:01:00.0 region 0 +0x10" of the area that holds @addr. */
static void place_of_device(u64 addr, char *buf, size_t size)
{
	struct vm_area *vma = vma_find(mm_self(), addr);
	char info[512] = "";
	const char *name;
	size_t len;
	u64 off;

	snprintf(buf, size, "address %#llx", (unsigned long long)addr);
	if (!vma)
		return;
	off = vma->pgoff_bytes + (addr - vma->start);
	if (vma->file->f_op->fdinfo)
		vma->file->f_op->fdinfo(vma->file, info, sizeof(info) - 1);
	len = strcspn(info, "\n");
	info[len] = '\0';
	name = strrchr(info, '/');
	snprintf(buf, size, "%s BAR%u+%#llx", name ? name + 1 : vma->file->path, (unsigned)(off >> REGION_SHIFT),
		 (unsigned long long)(off & ((1ull << REGION_SHIFT) - 1)));
	vma_put(vma);
}

static void place_of_code(u64 rip, char *buf, size_t size)
{
	Dl_info info;

	if (dladdr((void *)rip, &info) && info.dli_fname)
		snprintf(buf, size, "%#llx (%s+%#llx)", (unsigned long long)rip, info.dli_fname,
			 (unsigned long long)(rip - (u64)(uintptr_t)info.dli_fbase));
	else
		snprintf(buf, size, "%#llx", (unsigned long long)rip);
}

/* Said whether or not anybody asked for reasons: the program is about to die of it. */
static void say_cannot(u64 rip, u64 addr)
{
	char text[128], code[512], device[256], line[1024];

	decode_text(rip, text, sizeof(text));
	place_of_code(rip, code, sizeof(code));
	place_of_device(addr, device, sizeof(device));
	snprintf(line, sizeof(line), "softvfio: cannot emulate `%s` at %s touching %s", text, code, device);
	explain_print(line);
}

/* ---- the fault ------------------------------------------------------------------------------- */

/* A signal that the processor did not raise: there is nothing that would raise it again. */
static void send(int sig, int code, u64 addr, void *uctx)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = (void *)addr;
	front_signal_raise(sig, &info, uctx);
}

/* Did the program allow itself this access?  PROT_NONE and read-only mappings give SIGSEGV. */
static bool allowed(u64 addr, bool write)
{
	struct vm_area *vma = vma_find(mm_self(), addr);
	bool ok;

	if (!vma)
		return false;
	ok = vma->prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE);
	vma_put(vma);
	return ok;
}

static bool is_ours(u64 addr)
{
	struct vm_area *vma = vma_find(mm_self(), addr);

	vma_put(vma);
	return vma;
}

/* movdir64b on a processor that does not have it, to a device. */
static bool invalid_opcode(u64 rip, ucontext_t *uc)
{
	enum emulate_result result;
	struct insn insn;
	u64 at;

	if (!front_map_any())
		return false;
	decode_cached(rip, &insn);
	if (insn.kind != INSN_MOVDIR64B)
		return false;
	result = emulate(&insn, uc, mmio_access, &at);
	if (result == EMULATE_BUS)
		send(SIGBUS, BUS_ADRERR, at, uc);
	else if (result == EMULATE_SEGV)
		send(SIGSEGV, SEGV_MAPERR, at, uc);
	return result != EMULATE_NOT_OURS && result != EMULATE_CANNOT;
}

static bool page_fault(siginfo_t *info, ucontext_t *uc)
{
	u64 addr = (u64)(uintptr_t)info->si_addr, rip = (u64)uc->uc_mcontext.gregs[REG_RIP], at;
	struct insn insn;

	if (!front_map_near(addr))
		return false;
	if (unlikely(front_map_restricted()) && !allowed(addr, uc->uc_mcontext.gregs[REG_ERR] & FAULT_IS_WRITE))
		return false;
	decode_cached(rip, &insn);
	if (insn.kind == INSN_CACHE && !is_ours(addr))
		return false;
	switch (emulate(&insn, uc, mmio_access, &at)) {
	case EMULATE_DONE:
		return true;
	case EMULATE_BUS:
		send(SIGBUS, BUS_ADRERR, at, uc);
		return true;
	case EMULATE_SEGV:
		send(SIGSEGV, SEGV_MAPERR, at, uc);
		return true;
	case EMULATE_CANNOT:
		if (is_ours(addr))
			say_cannot(rip, addr);
		return false;
	default:
		return false;
	}
}

bool front_mmio_fault(int sig, siginfo_t *info, void *uctx)
{
	ucontext_t *uc = uctx;

	if (sig == SIGSEGV)
		return info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR ? page_fault(info, uc) : false;
	if (sig == SIGILL)
		return invalid_opcode((u64)uc->uc_mcontext.gregs[REG_RIP], uc);
	return false;
}
