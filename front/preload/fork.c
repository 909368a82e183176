/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork.c - a child gets its parent's numbers, not its parent's kernel.
 *
 * On Linux a forked child shares open files with its parent.  Here the kernel behind them lives in
 * the parent's memory; what the child has is a copy that nobody keeps in step, though eventfds,
 * device memory and files behind it are shared.  So in the child:
 *
 *	- descriptors of VFIO files that were open at the fork are foreign: they can be closed, duplicated
 *	  and passed to exec(), but calls on them say EBADF, and closing runs no release
 *	  (for a device of KVM the host's own answers: the virtual machine is another process's);
 *	- if such files, mappings or other threads existed at the fork, the copy of the kernel is not used
 *	  at all: opening a VFIO node or writing an attribute says EBUSY;
 *	- else (a shell that wrote an attribute and then forks a subshell; a program that looked at a device
 *	  and closed it) the copy is whole, and goes on.
 *
 * But a file lives until its last descriptor is closed, in child or parent (kernel/fs/share.c).
 *
 * A program that the child starts with exec() builds its own instance of the machine.
 *
 * vfork() is fork(): a vfork child runs in its parent's memory, where its close() would change the
 * parent's table.
 */
#include <pthread.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fault-inject.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/pins.h"
#include "kernel/mm/vma.h"

#define FD_MAX 65536

bool front_in_child;

/* Devices that have BARs mapped.  In memory of its own: a library that dlopen() loads has few thread-local bytes. */
struct mapped {
	unsigned nr;
	int fd[64];
};

static bool elsewhere;	/* the kernel that this memory is a copy of belongs to @parent */
static pid_t parent;
/* Between the two fork handlers: */
static bool was_single_threaded;
static __thread __attribute__((tls_model("initial-exec"))) struct mapped *mapped; /* of the thread that forks */

/* Only a child has any of these set, and only its own calls change them: bits, atomically. */
static u64 foreign[FD_MAX / 64], stale[FD_MAX / 64];

static bool bit_get(const u64 *map, int fd)
{
	return fd >= 0 && fd < FD_MAX && (__atomic_load_n(&map[fd / 64], __ATOMIC_RELAXED) >> (fd % 64) & 1);
}

static void bit_set(u64 *map, int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		__atomic_fetch_or(&map[fd / 64], 1ull << (fd % 64), __ATOMIC_RELAXED);
}

static void bit_clear(u64 *map, int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		__atomic_fetch_and(&map[fd / 64], ~(1ull << (fd % 64)), __ATOMIC_RELAXED);
}

bool front_is_foreign(int fd)
{
	return bit_get(foreign, fd);
}

bool front_is_stale(int fd)
{
	return bit_get(stale, fd);
}

void front_foreign_dup(int fd)
{
	bit_set(foreign, fd);
}

void front_foreign_close(int fd)
{
	bit_clear(foreign, fd);
}

void front_fork_own(int fd)
{
	if (!front_in_child)
		return;
	bit_clear(stale, fd);
	bit_clear(foreign, fd);
}

int front_kernel_elsewhere(const char *what)
{
	if (!elsewhere)
		return 0;
	explain_event("%s in process %d: it was forked from process %d, which has the machine in use; "
		      "a child can use it after exec()", what, (int)sys_getpid(), (int)parent);
	return -EBUSY;
}

static int descriptor_of(const struct file *wanted)
{
	struct file *file;

	for (int fd = 0; fd < front_fd_count(); fd++) {
		file = fd_is_ours(fd) ? fget(fd) : NULL;
		fput(file);
		if (file && file == wanted)
			return fd;
	}
	return -1;
}

static void note_mapped(void)
{
	struct vm_area *vma;

	for (u64 at = 0; (vma = vma_find_first(mm_self(), at, ~0ull)); at = vma->last + 1, vma_put(vma)) {
		if (!mapped)
			mapped = kzalloc(sizeof(*mapped));
		if (!mapped || mapped->nr == ARRAY_SIZE(mapped->fd))
			break;
		mapped->fd[mapped->nr] = descriptor_of(vma->file);
		mapped->nr += mapped->fd[mapped->nr] >= 0;
	}
	vma_put(vma);
}

static void before_fork(void)
{
	fault_inject_before_fork();
	if (front_attached() && !elsewhere) {
		front_share_all();
		note_mapped();
	}
	was_single_threaded = __libc_single_threaded;
	if (!elsewhere)
		parent = sys_getpid();
}

/*
 * An attribute is whole in the child's copy; anything else has its other half in the parent.  Of that we
 * keep the reference for ever: whatever replaces it in the table must not release it.
 */
static void disown(int fd)
{
	struct file *file = front_is_stale(fd) ? NULL : fget(fd);

	if (!file)
		return;
	if (file->f_op->kind == FILE_SYSFS && was_single_threaded) {
		fput(file);
		return;
	}
	bit_set(stale, fd);
	if (!file->on_host)
		bit_set(foreign, fd);
	elsewhere = true;
}

static bool maps_something(void)
{
	struct vm_area *vma = vma_find_first(mm_self(), 0, ~0ull);

	vma_put(vma);
	return vma;
}

/* A mapped BAR keeps its device open: in the child a descriptor does so for as long as the child lives. */
static void keep_mapped(void)
{
	for (unsigned i = 0; mapped && i < mapped->nr; i++)
		fd_private_dup(mapped->fd[i]);
}

static void forget_mapped(void)
{
	kfree(mapped);
	mapped = NULL;
}

static void in_child(void)
{
	fault_inject_in_child();
	if (!front_attached())
		return;
	for (int fd = 0; fd < front_fd_count(); fd++)
		if (fd_is_ours(fd))
			disown(fd);
	if (!was_single_threaded || maps_something()) /* in this order: another thread may have held the lock */
		elsewhere = true;
	if (elsewhere) {
		pins_forget();
		keep_mapped();
		fd_private_forget_exclusive();
	}
	forget_mapped();
	__atomic_store_n(&front_in_child, true, __ATOMIC_RELEASE);
}

void front_fork_init(void)
{
	pthread_atfork(before_fork, forget_mapped, in_child);
}

/* The variant that runs no handlers. */
EXPORT pid_t _Fork(void)
{
	pid_t pid;

	before_fork();
	pid = REAL(_Fork)();
	if (pid == 0)
		in_child();
	else
		forget_mapped();
	return pid;
}

EXPORT pid_t vfork(void)
{
	return REAL(fork)();
}
ALIAS(__vfork, vfork);
