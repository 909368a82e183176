/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_signals.c - a program's own SIGSEGV and SIGBUS are as they would be without us, while it
 * uses a device whose registers trap.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

#include "preload_test.h"

static struct edu e;
static volatile int handled, handled_sig;
static sigset_t mask_inside;
static void *volatile stack_inside;
static sigjmp_buf out;
static char *bad; /* a page without permissions */

static void plain_handler(int sig)
{
	handled++;
	handled_sig = sig;
	stack_inside = __builtin_frame_address(0);
	sigprocmask(SIG_BLOCK, NULL, &mask_inside);
	ok(e.bar[0] == EDU_ID); /* the device works in handlers too */
	siglongjmp(out, 1);
}

/* Repair what faulted, and go on. */
static void repair(int sig, siginfo_t *info, void *context)
{
	handled++;
	ok(sig == SIGSEGV && info->si_addr == bad && info->si_code == SEGV_ACCERR);
	ok(!mprotect(bad, 4096, PROT_READ | PROT_WRITE));
}

static void skip_it(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	handled++;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
}

static bool has(const sigset_t *set, int sig)
{
	return sigismember(set, sig) == 1;
}

static void install(void (*handler)(int), void (*action)(int, siginfo_t *, void *), int flags, int also)
{
	struct sigaction act = { .sa_flags = flags };

	if (action)
		act.sa_sigaction = action;
	else
		act.sa_handler = handler;
	sigemptyset(&act.sa_mask);
	if (also)
		sigaddset(&act.sa_mask, also);
	ok(!sigaction(SIGSEGV, &act, NULL));
}

static void reads_back(void)
{
	struct sigaction act = { .sa_handler = plain_handler, .sa_flags = SA_RESTART }, old;

	ok(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == SIG_DFL && !(old.sa_flags & SA_SIGINFO));
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGBUS);
	sigaddset(&act.sa_mask, SIGHUP);
	ok(!sigaction(SIGSEGV, &act, &old) && old.sa_handler == SIG_DFL);
	ok(!sigaction(SIGSEGV, NULL, &old));
	ok(old.sa_handler == plain_handler && (old.sa_flags & SA_RESTART));
	ok(has(&old.sa_mask, SIGBUS) && has(&old.sa_mask, SIGHUP));
	/* Other signals keep the mask they were given. */
	sigaddset(&act.sa_mask, SIGSEGV);
	ok(!sigaction(SIGUSR1, &act, NULL) && !sigaction(SIGUSR1, NULL, &old) && has(&old.sa_mask, SIGSEGV));
	sigdelset(&act.sa_mask, SIGSEGV);
	ok(!sigaction(SIGUSR1, &act, &old) && has(&old.sa_mask, SIGSEGV));
	ok(!sigaction(SIGUSR1, NULL, &old) && !has(&old.sa_mask, SIGSEGV));
	gives(sigaction(99, &act, NULL), EINVAL);
	ok(signal(SIGSEGV, SIG_IGN) == plain_handler && signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	ok(signal(99, SIG_IGN) == SIG_ERR && errno == EINVAL);
	ok(e.bar[0] == EDU_ID);
}

static void masks(void)
{
	sigset_t all, old, now;

	sigfillset(&all);
	ok(!sigprocmask(SIG_SETMASK, &all, &old) && !has(&old, SIGSEGV));
	ok(e.bar[0] == EDU_ID); /* though blocked, as the program thinks */
	ok(!pthread_sigmask(SIG_BLOCK, NULL, &now) && has(&now, SIGSEGV) && has(&now, SIGBUS) && has(&now, SIGHUP));
	sigemptyset(&all);
	sigaddset(&all, SIGBUS);
	ok(!sigprocmask(SIG_UNBLOCK, &all, &now) && has(&now, SIGBUS));
	ok(!sigprocmask(SIG_SETMASK, &old, &now) && !has(&now, SIGBUS) && has(&now, SIGSEGV));
	ok(!sigprocmask(SIG_BLOCK, NULL, &now) && !has(&now, SIGSEGV));
	gives(sigprocmask(17, &all, NULL), EINVAL);
	ok(!sighold(SIGSEGV) && e.bar[0] == EDU_ID && !sigprocmask(SIG_BLOCK, NULL, &now) && has(&now, SIGSEGV));
	ok(!sigrelse(SIGSEGV) && !sigprocmask(SIG_BLOCK, NULL, &now) && !has(&now, SIGSEGV));
}

/* A device used inside a handler of another signal that blocks all. */
static void touch_device(int sig)
{
	handled += e.bar[0] == EDU_ID;
}

static void other_handlers(void)
{
	struct sigaction act = { .sa_handler = touch_device };

	sigfillset(&act.sa_mask);
	handled = 0;
	ok(!sigaction(SIGUSR1, &act, NULL) && !raise(SIGUSR1) && handled == 1);
}

/*
 * A kernel returns before it lets a handler run.  A handler that uses the device must therefore never find
 * it locked by the call that it interrupted, nor make that call's own accesses to memory fail.
 */
static volatile int ticks;

static void use_device(int sig)
{
	int saved = errno;
	uint32_t id = 0;

	ticks++;
	ok(e.bar[0] == EDU_ID && pread(e.device, &id, 4, 0) == 4 && id == EDU_ID);
	errno = saved;
}

static void handlers_wait_for_calls(void)
{
	struct sigaction act = { .sa_handler = use_device, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ,
						.vaddr = (uintptr_t)mem, .iova = 0x100000, .size = 4096 };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = 0x100000, .size = 4096 };
	uint32_t value = 1;
	void *bar;

	ok(!sigaction(SIGALRM, &act, NULL) && !setitimer(ITIMER_REAL, &often, NULL));
	for (int i = 0; i < 4000 || ticks < 100; i++) {
		ok(pwrite(e.device, &value, 4, 4) == 4 && pread(e.device, &value, 4, 0) == 4);
		ok(!ioctl(e.container, VFIO_IOMMU_MAP_DMA, &map) && !ioctl(e.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
		bar = mmap(NULL, 4096, PROT_READ, MAP_SHARED, e.device, 0);
		ok(bar != MAP_FAILED && !munmap(bar, 4096));
	}
	ok(!setitimer(ITIMER_REAL, &never, NULL) && signal(SIGALRM, SIG_DFL) == use_device);
	ok(!munmap(mem, 4096));
}

static void own_faults(void)
{
	sigset_t now;

	handled = 0;
	install(plain_handler, NULL, 0, SIGHUP);
	if (!sigsetjmp(out, 1))
		*(volatile char *)bad = 1;
	ok(handled == 1 && handled_sig == SIGSEGV && has(&mask_inside, SIGHUP) && !has(&mask_inside, SIGTERM));
	ok(!sigprocmask(SIG_BLOCK, NULL, &now) && !has(&now, SIGHUP)); /* siglongjmp() brought it back */
	ok(e.bar[0] == EDU_ID);
	/* Again: leaving by siglongjmp() is no lasting state. */
	if (!sigsetjmp(out, 1))
		*(volatile char *)bad = 1;
	ok(handled == 2);

	install(NULL, repair, SA_SIGINFO, 0);
	handled = 0;
	*(volatile char *)bad = 7;
	ok(handled == 1 && *bad == 7 && !mprotect(bad, 4096, PROT_NONE));

	install(NULL, skip_it, SA_SIGINFO | SA_NODEFER, 0);
	handled = 0;
	__asm__ volatile("movb (%0), %%al" : : "r"(bad) : "rax", "memory");
	ok(handled == 1);

	install(plain_handler, NULL, SA_RESETHAND, 0);
	handled = 0;
	if (!sigsetjmp(out, 1))
		*(volatile char *)bad = 1;
	struct sigaction now_act;
	ok(handled == 1 && !sigaction(SIGSEGV, NULL, &now_act) && now_act.sa_handler == SIG_DFL);

	/* Sent, not raised by a fault. */
	ok(signal(SIGSEGV, SIG_IGN) == SIG_DFL && !raise(SIGSEGV) && !kill(getpid(), SIGSEGV));
	signal(SIGSEGV, plain_handler);
	handled = 0;
	if (!sigsetjmp(out, 1))
		raise(SIGSEGV);
	ok(handled == 1 && e.bar[0] == EDU_ID);
	signal(SIGSEGV, SIG_DFL);
}

static void alternate_stack(void)
{
	static char small[16384] __attribute__((aligned(16)));
	stack_t stack = { .ss_sp = small, .ss_size = sizeof(small) }, old, off = { .ss_flags = SS_DISABLE };

	ok(!sigaltstack(NULL, &old));
	ok(!sigaltstack(&off, NULL)); /* a sanitizer may have one */
	ok(!sigaltstack(&stack, &old) && (old.ss_flags & SS_DISABLE));
	ok(!sigaltstack(NULL, &old) && old.ss_sp == small && old.ss_size == sizeof(small) && !old.ss_flags);
	install(plain_handler, NULL, SA_ONSTACK, 0);
	handled = 0;
	char here;
	if (!sigsetjmp(out, 1))
		*(volatile char *)bad = 1;
	ok(handled == 1);
	ok((char *)stack_inside < &here - 65536 || (char *)stack_inside > &here + 65536); /* not this stack */
	for (int i = 0; i < 1000; i++)
		ok(e.bar[0] == EDU_ID);
	stack.ss_size = 100;
	gives(sigaltstack(&stack, NULL), ENOMEM);
	ok(!sigaltstack(&off, &old) && old.ss_sp == small);
	ok(!sigaltstack(NULL, &old) && (old.ss_flags & SS_DISABLE));
	signal(SIGSEGV, SIG_DFL);
}

static void *thread(void *arg)
{
	char small[16384];
	stack_t stack = { .ss_sp = small, .ss_size = sizeof(small) };

	ok(!sigaltstack(&stack, NULL)); /* and leaves without giving it back */
	for (int i = 0; i < 2000; i++) {
		e.bar[1] = (uint32_t)i;
		ok(e.bar[0] == EDU_ID);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ok(!pthread_create(&t[i], NULL, thread, NULL));
	for (int i = 0; i < 4; i++)
		ok(!pthread_join(t[i], NULL));
}

/* How it ends. */
static void exits(int sig) { _exit(34); }
static void handler_from_before(void *arg)
{
	install(exits, NULL, 0, 0);
	edu_open(&e);
	edu_map(&e);
	*(volatile char *)arg = 1;
}
static void null_pointer(void *arg) { *(volatile int *)arg = 1; }
static void raises(void *arg) { raise(SIGBUS); }
static void ignores(void *arg)
{
	signal(SIGSEGV, SIG_IGN);
	*(volatile int *)arg = 1; /* a fault cannot be ignored */
}
static void again(int sig) { *(volatile char *)bad = 1; }
static void faults_in_handler(void *arg)
{
	install(again, NULL, 0, 0);
	*(volatile char *)bad = 1;
}
static int deep(int n)
{
	volatile char room[1000];

	room[0] = (char)n;
	return deep(n + 1) + room[0];
}
static void says_overflow(int sig) { _exit(33); }
static void overflows(void *arg)
{
	stack_t stack = { .ss_sp = malloc(16384), .ss_size = 16384 };

	ok(!sigaltstack(&stack, NULL));
	install(says_overflow, NULL, SA_ONSTACK, 0);
	deep(0);
}
static void bad_instruction(void *arg) { __builtin_trap(); }

int main(void)
{
	ok(in_child(null_pointer, NULL) == 128 + SIGSEGV);
	ok(in_child(handler_from_before, NULL) == 34);
	edu_open(&e);
	edu_map(&e);
	bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(bad != MAP_FAILED);
	reads_back();
	masks();
	other_handlers();
	handlers_wait_for_calls();
	own_faults();
	alternate_stack();
	threads();
	ok(in_child(null_pointer, NULL) == 128 + SIGSEGV);
	ok(in_child(raises, NULL) == 128 + SIGBUS);
	ok(in_child(ignores, NULL) == 128 + SIGSEGV);
	ok(in_child(faults_in_handler, NULL) == 128 + SIGSEGV);
	ok(in_child(overflows, NULL) == 33);
	ok(in_child(bad_instruction, NULL) == 128 + SIGILL);
	edu_close(&e);
	return 0;
}
