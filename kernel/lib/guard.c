/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.c - touching memory that may not be there, at the price of a plain memcpy.
 *
 * A guarded access puts a frame (where to go on if it fails) on its own stack and points the thread's
 * guard_top at it; guard_fault(), called by the owner of SIGSEGV, jumps there.  The compiler's
 * __builtin_setjmp keeps three words and no signal mask, so entering costs a few stores.
 *
 * Frames link to the one outside, though we never nest them: a signal handler of the program may run
 * in the middle of an access, make a call of ours, and its frame must not unset the interrupted one.
 *
 * Dangerous: between "guard_top = &frame" and its reset nothing may run that must not be left half
 * done: no lock, no allocation, only the access.  The accesses are not seen by sanitizers: to them a
 * user pointer is a bug, to us it is a question.  memcpy() and memset() are intercepted there, so
 * sanitized builds use string instructions or plain loops instead.
 */
#include "kernel/lib/guard.h"

#include <signal.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define GUARD_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define GUARD_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define GUARD_TSAN 1
#endif

#define RAW __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

struct guard_frame {
	void *jump[5]; /* as __builtin_setjmp wants it */
	struct guard_frame *outer;
};

static __thread __attribute__((tls_model("initial-exec"))) struct guard_frame *volatile guard_top;

/*
 * Calls @access and sets @ret to 0, or to -EFAULT if it was left by guard_fault().  Nothing that
 * changes inside may be a local of the caller: registers are lost on the way out.
 *
 * @access must be a call through a volatile pointer.  Only from a call that it cannot look into does
 * a compiler expect a jump to the receiver; behind an asm or a builtin memcpy gcc drops it as dead.
 */
#define GUARDED(ret, access) do {				\
	struct guard_frame frame_;				\
								\
	frame_.outer = guard_top;				\
	if (__builtin_setjmp(frame_.jump)) {			\
		(ret) = -EFAULT;				\
		break;						\
	}							\
	guard_top = &frame_;					\
	__asm__ volatile("" ::: "memory");			\
	access;							\
	__asm__ volatile("" ::: "memory");			\
	guard_top = frame_.outer;				\
	(ret) = 0;						\
} while (0)

#if !defined(GUARD_ASAN) && !defined(GUARD_TSAN)
#define raw_copy memcpy
#define raw_set memset
#else
static RAW void *raw_copy(void *dst, const void *src, size_t len)
{
#if defined(__x86_64__)
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
#else
	for (size_t i = 0; i < len; i++)
		((volatile u8 *)dst)[i] = ((const volatile u8 *)src)[i];
#endif
	return dst;
}

static RAW void *raw_set(void *dst, int byte, size_t len)
{
#if defined(__x86_64__)
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(len) : "a"(byte) : "memory");
#else
	for (size_t i = 0; i < len; i++)
		((volatile u8 *)dst)[i] = (u8)byte;
#endif
	return dst;
}
#endif

static void *(*volatile copy_fn)(void *, const void *, size_t) = raw_copy;
static void *(*volatile set_fn)(void *, int, size_t) = raw_set;

/* noinline: a caller with a receiver in it would lose its own registers. */
__attribute__((noinline)) RAW int guard_copy(void *dst, const void *src, size_t len_bytes)
{
	int ret;

	GUARDED(ret, copy_fn(dst, src, len_bytes));
	return ret;
}

__attribute__((noinline)) RAW int guard_set(void *dst, int byte, size_t len_bytes)
{
	int ret;

	GUARDED(ret, set_fn(dst, byte, len_bytes));
	return ret;
}

static RAW void raw_load64(const u64 *p, u64 *ret)
{
	*ret = __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static RAW void raw_cmpxchg64(u64 *p, u64 *expected, u64 desired, int *ret_other)
{
	*ret_other = !__atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void (*volatile load64_fn)(const u64 *, u64 *) = raw_load64;
static void (*volatile cmpxchg64_fn)(u64 *, u64 *, u64, int *) = raw_cmpxchg64;

__attribute__((noinline)) RAW int guard_load64(const u64 *p, u64 *ret_val)
{
	int ret;

	GUARDED(ret, load64_fn(p, ret_val));
	return ret;
}

__attribute__((noinline)) RAW static int guarded_cmpxchg64(u64 *p, u64 *expected, u64 desired, int *ret_other)
{
	int ret;

	GUARDED(ret, cmpxchg64_fn(p, expected, desired, ret_other));
	return ret;
}

RAW int guard_cmpxchg64(u64 *p, u64 *expected, u64 desired)
{
	int other = 0, ret = guarded_cmpxchg64(p, expected, desired, &other);

	return ret ? ret : other;
}

static inline RAW void touch_byte(u8 *p, bool write)
{
	/* Adding 0 in C may be turned into a load and a fence: then copy-on-write stays unbroken. */
#if defined(__x86_64__)
	if (write)
		__asm__ volatile("lock addb $0, %0" : "+m"(*p) : : "cc");
#else
	if (write)
		__atomic_fetch_add((volatile u8 *)p, 0, __ATOMIC_RELAXED);
#endif
	else
		(void)*(volatile u8 *)p;
}

static RAW void touch_pages(u8 *p, u8 *last, bool write)
{
	for (;;) {
		touch_byte(p, write);
		if (((uintptr_t)p | ~PAGE_MASK) >= (uintptr_t)last)
			return;
		p = (u8 *)(((uintptr_t)p | ~PAGE_MASK) + 1);
	}
}

static void (*volatile touch_fn)(u8 *, u8 *, bool) = touch_pages;

__attribute__((noinline)) RAW int guard_touch(void *addr, size_t len_bytes, bool write)
{
	u64 last;
	int ret;

	if (!len_bytes)
		return 0;
	if (range_overflows((uintptr_t)addr, len_bytes, &last))
		return -EFAULT;
	GUARDED(ret, touch_fn(addr, (u8 *)(uintptr_t)last, write));
	return ret;
}

static RAW void copy_string(char *dst, const volatile char *src, size_t size, long *ret_len)
{
	for (size_t i = 0; i < size; i++) {
		dst[i] = src[i];
		if (!dst[i]) {
			*ret_len = (long)i;
			return;
		}
	}
	*ret_len = -ENAMETOOLONG;
}

static void (*volatile string_fn)(char *, const volatile char *, size_t, long *) = copy_string;

__attribute__((noinline)) RAW long guard_strncpy(char *dst, const char *src, size_t size)
{
	long len;
	int ret;

	GUARDED(ret, string_fn(dst, src, size, &len));
	return ret ? ret : len;
}

#if defined(GUARD_ASAN)
void __asan_unpoison_memory_region(const volatile void *addr, size_t size);

/*
 * The frames that the jump skips have redzones, which their functions now never take away.  They lie
 * on the stack the handler runs on: its own, or the thread's down from @frame.  (The sanitizer's
 * own __asan_handle_no_return() reads /proc with locks held: nothing for a signal handler.)
 */
static RAW void forget_skipped_frames(struct guard_frame *frame)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t end = (uintptr_t)frame;
	stack_t alt;

	if (!sys_call(SYS_sigaltstack, NULL, &alt, 0, 0) && (alt.ss_flags & SS_ONSTACK))
		end = (uintptr_t)alt.ss_sp + alt.ss_size;
	if (here < end)
		__asan_unpoison_memory_region((void *)here, end - here);
}
#else
static inline void forget_skipped_frames(struct guard_frame *frame) { (void)frame; }
#endif

bool guard_active(void)
{
	return guard_top;
}

RAW bool guard_fault(void)
{
	struct guard_frame *frame = guard_top;

	if (!frame)
		return false;
	guard_top = frame->outer;
	forget_skipped_frames(frame);
	__builtin_longjmp(frame->jump, 1);
}

static RAW void on_fault(int sig)
{
	/* Not ours: a real crash.  Going back with the default action repeats it, with a core dump. */
	if (!guard_fault())
		signal(sig, SIG_DFL);
}

#if defined(GUARD_TSAN) && defined(__x86_64__)
/*
 * TSan would call the handler itself and note that the thread is in it, until it returns: it never
 * does, so from the first fault on every malloc() would be reported.  Ask the host's kernel directly.
 */
struct host_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

void guard_restorer(void);
__asm__(".text\n.type guard_restorer, @function\nguard_restorer:\n\tmov $15, %eax\n\tsyscall\n");

void guard_install(void)
{
	const unsigned long restorer_given = 0x04000000; /* SA_RESTORER, which libc does not tell */
	const unsigned long flags = SA_NODEFER | SA_ONSTACK | restorer_given;
	struct host_sigaction action = { on_fault, flags, guard_restorer, 0 };

	sys_call(SYS_rt_sigaction, SIGSEGV, &action, NULL, sizeof(action.mask));
	sys_call(SYS_rt_sigaction, SIGBUS, &action, NULL, sizeof(action.mask));
}
#else
void guard_install(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER | SA_ONSTACK };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}
#endif
