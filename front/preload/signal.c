/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signal.c - SIGSEGV, SIGBUS and SIGILL are ours; the program must not notice.
 *
 * A trapped access to a device arrives as SIGSEGV (movdir64b on older processors as SIGILL), and memory
 * that went away under the kernel's part as either of the first two.  So once the machine is built,
 * these three have our handler.  What the program installs is only remembered, read back to it, and
 * called for faults that are its own, with the mask, stack and flags that it asked for.
 *
 * What always holds, on a machine, from the start:
 *
 *	- the three are never blocked by what the program asks for, else a trap would kill it; it reads
 *	  back what it asked for (per thread; a new thread starts with none);
 *	- our handler blocks everything else, by its own mask, so that no handler of the program runs in
 *	  the middle of an access that holds a device's locks;
 *	- the handler is installed by the bare system call: a sanitizer that keeps SIGSEGV to itself
 *	  would not let us.
 *
 * An alternate stack of the program may be as small as a few kilobytes, enough for its own handler but not
 * for a device's work.  So a small one is replaced by one of ours; the program reads back its own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"

#define BIG_STACK (128 * 1024)
#define ENOUGH_STACK (64 * 1024)
/* How far below its handler's frame a thread may be and still count as inside the handler. */
#define HANDLER_DEPTH (1024 * 1024)

#define PER_THREAD static __thread __attribute__((tls_model("initial-exec")))

static const int taken[] = { SIGSEGV, SIGBUS, SIGILL };
#define TAKEN ARRAY_SIZE(taken)

static int index_of(int sig)
{
	return sig == SIGSEGV ? 0 : sig == SIGBUS ? 1 : sig == SIGILL ? 2 : -1;
}

static atomic_bool installed; /* the three are ours; they stay so when a machine inside a program is gone */

static bool on_machine(void)
{
	return *path_machine() || atomic_load_explicit(&installed, memory_order_relaxed);
}

/* ---- the system's own view ----------------------------------------------------------------- */

#define KERNEL_SA_RESTORER 0x04000000

struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void (*restorer)(void);
	u64 mask;
};

/* Where the kernel returns to from a handler; debuggers know it by exactly these bytes. */
void front_sigreturn(void);
__asm__(
	".pushsection .text\n"
	".p2align 4\n"
	"nop\n" /* unwinders look one byte before the return address */
	".type front_sigreturn, @function\n"
	".hidden front_sigreturn\n"
	".globl front_sigreturn\n"
	"front_sigreturn:\n"
	"	movq $15, %rax\n"
	"	syscall\n"
	".size front_sigreturn, .-front_sigreturn\n"
	".popsection\n");

static int kernel_sigaction(int sig, const struct kernel_sigaction *act, struct kernel_sigaction *old)
{
	return (int)sys_call(SYS_rt_sigaction, sig, act, old, sizeof(u64));
}

static u64 bit_of(int sig)
{
	return 1ull << (sig - 1);
}

static const u64 taken_bits = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGILL - 1);

/* A sigset_t begins with the kernel's 64 bits. */
static u64 get_bits(const sigset_t *set)
{
	u64 bits;

	memcpy(&bits, set, sizeof(bits));
	return bits;
}

static void set_bits(sigset_t *set, u64 bits)
{
	memcpy(set, &bits, sizeof(bits));
}

/* ---- what the program asked for -------------------------------------------------------------- */

/* Guarded by a sequence number: handlers read it, and must not wait for a thread they interrupted. */
static struct {
	_Atomic u32 seq; /* odd: being written */
	struct sigaction action;
} program[TAKEN];

static atomic_flag writing = ATOMIC_FLAG_INIT;
/* Of the other signals: which of the three the program wants blocked in the handler. */
static _Atomic u64 asked_mask[_NSIG];

static struct sigaction recorded(int i)
{
	struct sigaction ret;
	u32 seq;

	do {
		seq = atomic_load_explicit(&program[i].seq, memory_order_acquire);
		ret = program[i].action;
		atomic_thread_fence(memory_order_acquire);
	} while ((seq & 1) || seq != atomic_load_explicit(&program[i].seq, memory_order_relaxed));
	return ret;
}

void front_signal_in_child(void)
{
	atomic_flag_clear(&writing);
	for (int i = 0; i < TAKEN; i++)
		if (atomic_load(&program[i].seq) & 1)
			atomic_fetch_add(&program[i].seq, 1);
}

/* Signals must be blocked: see record(). */
static void record_blocked(int i, const struct sigaction *action)
{
	while (atomic_flag_test_and_set_explicit(&writing, memory_order_acquire))
		;
	atomic_fetch_add(&program[i].seq, 1);
	program[i].action = *action;
	atomic_fetch_add(&program[i].seq, 1);
	atomic_flag_clear_explicit(&writing, memory_order_release);
}

static void record(int i, const struct sigaction *action)
{
	u64 all = ~0ull, old;

	sys_sigprocmask(SIG_SETMASK, &all, &old);
	record_blocked(i, action);
	sys_sigprocmask(SIG_SETMASK, &old, NULL);
}

/* ---- our handler ----------------------------------------------------------------------------- */

/* Where the program's handler for each of the three runs now, if it does. */
PER_THREAD uintptr_t running_at[TAKEN];

static void set_default(int sig)
{
	struct kernel_sigaction act = { .handler = SIG_DFL };

	kernel_sigaction(sig, &act, NULL);
}

/* A fault repeats itself when we go back, now with the default action; what was sent is sent again. */
static void die(int sig, bool repeats)
{
	set_default(sig);
	if (!repeats)
		sys_call(SYS_tgkill, sys_getpid(), sys_gettid(), sig, 0);
}

/* Is the thread inside the program's handler for this signal, where the signal would be blocked? */
static bool in_own_handler(int i, const struct sigaction *action, const ucontext_t *uctx)
{
	uintptr_t sp = (uintptr_t)uctx->uc_mcontext.gregs[REG_RSP];

	return running_at[i] && !(action->sa_flags & SA_NODEFER) && sp < running_at[i] &&
	       running_at[i] - sp < HANDLER_DEPTH;
}

static void call_handler(int i, const struct sigaction *action, siginfo_t *info, ucontext_t *uctx)
{
	u64 mask = get_bits(&uctx->uc_sigmask) | get_bits(&action->sa_mask), old;
	uintptr_t outer = running_at[i];

	mask &= ~taken_bits;
	sys_sigprocmask(SIG_SETMASK, &mask, &old);
	running_at[i] = (uintptr_t)__builtin_frame_address(0);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(taken[i], info, uctx);
	else
		action->sa_handler(taken[i]);
	running_at[i] = outer;
	/* A mask that the handler left in the context must not block ours. */
	set_bits(&uctx->uc_sigmask, get_bits(&uctx->uc_sigmask) & ~taken_bits);
	sys_sigprocmask(SIG_SETMASK, &old, NULL);
}

/* @repeats: going back to the program raises the signal again. */
static void deliver(int sig, siginfo_t *info, ucontext_t *uctx, bool repeats)
{
	static const struct sigaction by_default = { .sa_handler = SIG_DFL };
	int i = index_of(sig);
	struct sigaction action = recorded(i);

	/* What another process sent can be ignored; a fault cannot. */
	if (action.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN || in_own_handler(i, &action, uctx)) {
		die(sig, repeats);
		return;
	}
	if (action.sa_flags & SA_RESETHAND)
		record_blocked(i, &by_default);
	call_handler(i, &action, info, uctx);
}

void front_signal_raise(int sig, siginfo_t *info, void *uctx)
{
	deliver(sig, info, uctx, false);
}

static void on_signal(int sig, siginfo_t *info, void *uctx)
{
	const ucontext_t *uc = uctx;
	int saved = errno;
	u64 mask;

	if (sig != SIGILL && info->si_code > 0 && unlikely(guard_active())) {
		mask = get_bits(&uc->uc_sigmask); /* leaving this way, nobody else restores it */
		sys_sigprocmask(SIG_SETMASK, &mask, NULL);
		guard_fault();
	}
	if (likely(info->si_code > 0 && front_mmio_fault(sig, info, uctx))) {
		errno = saved;
		return;
	}
	errno = saved;
	deliver(sig, info, uctx, info->si_code > 0);
}

/* @flags: the program's, of which the stack to use matters. */
static void install(int sig, int flags)
{
	struct kernel_sigaction act = {
		.handler = (void *)on_signal,
		.flags = SA_SIGINFO | SA_NODEFER | KERNEL_SA_RESTORER | (unsigned long)(flags & SA_ONSTACK),
		.restorer = front_sigreturn,
		/* All but these, and but two that glibc uses between threads. */
		.mask = ~(taken_bits | bit_of(32) | bit_of(33)),
	};

	kernel_sigaction(sig, &act, NULL);
}

void front_signal_install(void)
{
	struct kernel_sigaction old;
	struct sigaction action;

	if (atomic_exchange(&installed, true))
		return;
	for (size_t i = 0; i < TAKEN; i++) {
		memset(&action, 0, sizeof(action));
		if (!kernel_sigaction(taken[i], NULL, &old)) {
			action.sa_handler = (__sighandler_t)old.handler;
			action.sa_flags = (int)(old.flags & ~(unsigned long)KERNEL_SA_RESTORER);
			set_bits(&action.sa_mask, old.mask);
		}
		record((int)i, &action);
		install(taken[i], action.sa_flags);
	}
}

/* ---- calls are not interrupted ---------------------------------------------------------------- */

static atomic_bool has_handlers; /* of signals other than the three; never false again */

u64 front_hold_signals(void)
{
	u64 held = ~(taken_bits | bit_of(32) | bit_of(33)), old;

	if (likely(!atomic_load_explicit(&has_handlers, memory_order_relaxed)))
		return FRONT_NO_MASK;
	return sys_sigprocmask(SIG_SETMASK, &held, &old) ? FRONT_NO_MASK : old;
}

void front_let_signals(const u64 *mask)
{
	if (unlikely(*mask != FRONT_NO_MASK))
		sys_sigprocmask(SIG_SETMASK, mask, NULL);
}

/* ---- sigaction and the older names ------------------------------------------------------------- */

/* Any signal but the three: the program's handler is installed, with a mask that leaves ours open. */
static int other_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction open_mask;
	u64 asked = 0, before = 0;
	int ret;

	if (sig > 0 && sig < _NSIG)
		before = atomic_load_explicit(&asked_mask[sig], memory_order_relaxed);
	if (act) {
		open_mask = *act;
		asked = get_bits(&act->sa_mask) & taken_bits;
		set_bits(&open_mask.sa_mask, get_bits(&act->sa_mask) & ~taken_bits);
		if (act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN)
			atomic_store_explicit(&has_handlers, true, memory_order_relaxed);
	}
	ret = REAL(sigaction)(sig, act ? &open_mask : NULL, old);
	if (ret)
		return ret;
	if (old)
		set_bits(&old->sa_mask, get_bits(&old->sa_mask) | before);
	if (act && sig > 0 && sig < _NSIG)
		atomic_store_explicit(&asked_mask[sig], asked, memory_order_relaxed);
	return 0;
}

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	int i = index_of(sig);
	struct sigaction before, now;

	if (!on_machine())
		return REAL(sigaction)(sig, act, old);
	if (i < 0 || !atomic_load_explicit(&installed, memory_order_acquire))
		return other_sigaction(sig, act, old);
	before = recorded(i);
	if (act) {
		now = *act; /* the two may be the same memory */
		record(i, &now);
		if ((now.sa_flags ^ before.sa_flags) & SA_ONSTACK)
			install(sig, now.sa_flags);
	}
	if (old)
		*old = before;
	return 0;
}
ALIAS(__sigaction, sigaction);

/* siginterrupt(): signals whose handlers signal() installs without SA_RESTART. */
static atomic_ullong interrupts;

static __sighandler_t set_handler(int sig, __sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	if (sig < 1 || sig >= _NSIG || handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (!(flags & SA_NODEFER))
		set_bits(&act.sa_mask, bit_of(sig));
	return sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

EXPORT __sighandler_t signal(int sig, __sighandler_t handler)
{
	bool restart = sig < 1 || sig >= _NSIG || !(atomic_load(&interrupts) & bit_of(sig));

	return set_handler(sig, handler, restart ? SA_RESTART : 0);
}
ALIAS(bsd_signal, signal);
ALIAS(ssignal, signal);

__sighandler_t __sysv_signal(int sig, __sighandler_t handler);

EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, SA_RESETHAND | SA_NODEFER);
}
ALIAS(sysv_signal, __sysv_signal);

EXPORT int siginterrupt(int sig, int interrupt)
{
	struct sigaction act;

	if (sigaction(sig, NULL, &act))
		return -1;
	if (interrupt) {
		atomic_fetch_or(&interrupts, bit_of(sig));
		act.sa_flags &= ~SA_RESTART;
	} else {
		atomic_fetch_and(&interrupts, ~bit_of(sig));
		act.sa_flags |= SA_RESTART;
	}
	return sigaction(sig, &act, NULL);
}

EXPORT int sigignore(int sig)
{
	struct sigaction act = { .sa_handler = SIG_IGN };

	return sigaction(sig, &act, NULL);
}

/* ---- masks ---------------------------------------------------------------------------------- */

PER_THREAD u64 asked_blocked; /* which of the three this thread asked to block */

/* Return: an errno, positive, as pthread_sigmask() does. */
static int change_mask(int how, const sigset_t *set, sigset_t *old)
{
	u64 before = asked_blocked, asked = 0;
	sigset_t open_set;
	int err;

	if (!on_machine())
		return REAL(pthread_sigmask)(how, set, old);
	if (set) {
		open_set = *set;
		asked = get_bits(set) & taken_bits;
		if (how != SIG_UNBLOCK)
			set_bits(&open_set, get_bits(set) & ~taken_bits);
	}
	err = REAL(pthread_sigmask)(how, set ? &open_set : NULL, old);
	if (err)
		return err;
	if (old)
		set_bits(old, get_bits(old) | before);
	if (set)
		asked_blocked = how == SIG_BLOCK ? before | asked : how == SIG_UNBLOCK ? before & ~asked : asked;
	return 0;
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(how, set, old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	int err = change_mask(how, set, old);

	if (!err)
		return 0;
	errno = err;
	return -1;
}

/* What a thread that starts so thinks of its mask is not kept: it reads these three as open. */
EXPORT int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	sigset_t open_set;

	if (!set || !on_machine())
		return REAL(pthread_attr_setsigmask_np)(attr, set);
	open_set = *set;
	set_bits(&open_set, get_bits(set) & ~taken_bits);
	return REAL(pthread_attr_setsigmask_np)(attr, &open_set);
}

/* The oldest kind: 32 signals in an int. */
static int change_old_mask(int how, const int *mask)
{
	sigset_t set, old;

	sigemptyset(&set);
	if (mask)
		set_bits(&set, (u32)*mask);
	if (how == SIG_SETMASK && mask) { /* signals beyond 32 stay as they are */
		sigprocmask(SIG_BLOCK, NULL, &old);
		set_bits(&set, get_bits(&set) | (get_bits(&old) & ~0xffffffffull));
	}
	if (sigprocmask(how, mask ? &set : NULL, &old))
		return -1;
	return (int)(u32)get_bits(&old);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
EXPORT int sigblock(int mask) { return change_old_mask(SIG_BLOCK, &mask); }
EXPORT int sigsetmask(int mask) { return change_old_mask(SIG_SETMASK, &mask); }
EXPORT int siggetmask(void) { return change_old_mask(SIG_BLOCK, NULL); }

static int change_one(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, sig) ? -1 : sigprocmask(how, &set, NULL);
}

EXPORT int sighold(int sig) { return change_one(SIG_BLOCK, sig); }
EXPORT int sigrelse(int sig) { return change_one(SIG_UNBLOCK, sig); }

EXPORT __sighandler_t sigset(int sig, __sighandler_t disposition)
{
	struct sigaction act = { .sa_handler = disposition }, old;
	sigset_t before;

	if (sigprocmask(SIG_BLOCK, NULL, &before))
		return SIG_ERR;
	if (disposition == SIG_HOLD) {
		if (change_one(SIG_BLOCK, sig) || sigaction(sig, NULL, &old))
			return SIG_ERR;
	} else if (sigaction(sig, &act, &old) || change_one(SIG_UNBLOCK, sig)) {
		return SIG_ERR;
	}
	return sigismember(&before, sig) == 1 ? SIG_HOLD : old.sa_handler;
}

/* ---- alternate stacks ------------------------------------------------------------------------ */

PER_THREAD stack_t asked_stack;	/* the program's, while ours stands in for it */
PER_THREAD void *big_stack;	/* ours; NULL none */
static pthread_key_t stack_key;
static pthread_once_t stack_key_once = PTHREAD_ONCE_INIT;

/* A thread ends without giving its stack back. */
static void drop_stack(void *stack)
{
	stack_t off = { .ss_flags = SS_DISABLE };

	sys_call(SYS_sigaltstack, &off, NULL, 0, 0);
	sys_munmap(stack, BIG_STACK);
	big_stack = NULL;
}

static void make_stack_key(void)
{
	pthread_key_create(&stack_key, drop_stack);
}

static bool make_big_stack(void)
{
	void *stack;

	if (big_stack)
		return true;
	stack = sys_mmap(NULL, BIG_STACK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (IS_ERR(stack))
		return false;
	sys_mprotect(stack, PAGE_SIZE, PROT_NONE); /* an overflow is a crash, not a corruption */
	big_stack = stack;
	pthread_once(&stack_key_once, make_stack_key);
	pthread_setspecific(stack_key, stack);
	return true;
}

static int change_stack(const stack_t *asked)
{
	stack_t stack = *asked;
	bool stand_in = !(asked->ss_flags & SS_DISABLE) && asked->ss_size < ENOUGH_STACK &&
			asked->ss_size >= (size_t)sysconf(_SC_MINSIGSTKSZ) && make_big_stack();
	int ret;

	if (stand_in) {
		stack.ss_sp = (char *)big_stack + PAGE_SIZE;
		stack.ss_size = BIG_STACK - PAGE_SIZE;
	}
	ret = REAL(sigaltstack)(&stack, NULL);
	if (ret)
		return ret;
	if (stand_in) {
		asked_stack = *asked;
	} else if (big_stack) {
		pthread_setspecific(stack_key, NULL);
		sys_munmap(big_stack, BIG_STACK);
		big_stack = NULL;
	}
	return 0;
}

EXPORT int sigaltstack(const stack_t *asked, stack_t *old)
{
	stack_t before, now;
	int ret;

	if (!on_machine())
		return REAL(sigaltstack)(asked, old);
	ret = REAL(sigaltstack)(NULL, &before);
	if (ret)
		return ret;
	if (big_stack && !(before.ss_flags & SS_DISABLE)) {
		before.ss_sp = asked_stack.ss_sp;
		before.ss_size = asked_stack.ss_size;
	}
	if (asked) {
		now = *asked; /* the two may be the same memory */
		ret = change_stack(&now);
	}
	if (!ret && old)
		*old = before;
	return ret;
}
