/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork.c - a child shares its parent's open files, but its copy of their kernel is of no use.
 *
 * The kernel behind open files lives in the parent's memory, and what a child has of it nobody keeps in step.  So:
 *
 *	- files that were open at the fork, and mappings of them, are proxies in the child: what it does with them is done by
 *	  the parent, over a connection that is made here (kernel/syscall/proxy.h, serve.h), and what it opens anew too;
 *	- if there were no files, mappings or other threads (a shell that wrote an attribute and then forks a subshell; a
 *	  program that looked at a device and closed it) the copy is whole, and goes on.
 *
 * A file lives until its last descriptor is closed, in child or parent (kernel/fs/share.c).  A device of KVM is the host's,
 * and so are its answers: the virtual machine is another process's.
 *
 * A program that the child starts with exec() builds its own instance of the machine, unless it inherits descriptors (pass.c).
 *
 * vfork() is fork(): a vfork child runs in its parent's memory, where its close() would change the
 * parent's table.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "front/preload/decode.h"
#include "front/preload/front.h"
#include "kernel/lib/fault-inject.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/mm/pins.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"
#include "kernel/syscall/wire.h"

#define FD_MAX 65536

bool front_in_child;

static pid_t server; /* where the kernel is that this memory has a copy of */
static bool was_single_threaded;

/* What a child must know of a mapping: the list itself another thread may be changing when it is copied. */
struct mapping {
	struct file *file;
	u64 start, last, pgoff_bytes;
	int prot;
};

/* Between the handlers of a fork.  In memory of its own: a library that dlopen() loads has few thread-local bytes. */
struct fork {
	int server_end, child_end; /* of the connection; private; -1 */
	bool idle; /* the child goes on with its copy */
	unsigned held; /* for fork_end() */
	unsigned nr_mappings;
	struct mapping mappings[64];
};
static __thread __attribute__((tls_model("initial-exec"))) struct fork *forking; /* of the thread that forks */

/* Only a child has any of these set, and only its own calls change them: bits, atomically. */
static u64 stale[FD_MAX / 64];

bool front_is_stale(int fd)
{
	return fd >= 0 && fd < FD_MAX && (__atomic_load_n(&stale[fd / 64], __ATOMIC_RELAXED) >> (fd % 64) & 1);
}

static void set_stale(int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		__atomic_fetch_or(&stale[fd / 64], 1ull << (fd % 64), __ATOMIC_RELAXED);
}

void front_fork_own(int fd)
{
	if (front_in_child && fd >= 0 && fd < FD_MAX)
		__atomic_fetch_and(&stale[fd / 64], ~(1ull << (fd % 64)), __ATOMIC_RELAXED);
}

bool front_kernel_elsewhere(void)
{
	return proxy_active();
}

/* ---- before ---- */

static void note_mappings(void)
{
	struct vm_area *vma;

	for (u64 at = 0; forking->nr_mappings < ARRAY_SIZE(forking->mappings); at = vma->last + 1, vma_put(vma)) {
		vma = vma_find_first(mm_self(), at, ~0ull);
		if (!vma)
			return;
		forking->mappings[forking->nr_mappings++] = (struct mapping){
			.file = vma->file, .start = vma->start, .last = vma->last, .pgoff_bytes = vma->pgoff_bytes, .prot = vma->prot,
		};
	}
}

/* Nothing of the kernel's is in use but attributes, which are whole in a copy. */
static bool is_idle(void)
{
	if (proxy_active() || !was_single_threaded || forking->nr_mappings)
		return false;
	for (int fd = 0; fd < front_fd_count(); fd++) {
		struct file *file = fd_is_ours(fd) ? fget(fd) : NULL;
		bool busy = file && file->f_op->kind != FILE_SYSFS;

		fput(file);
		if (busy)
			return false;
	}
	return true;
}

/* To the kernel of this process. */
static void note_connection(void)
{
	int pair[2];

	if (wire_pair(pair))
		return;
	forking->server_end = pair[0];
	forking->child_end = pair[1];
}

static void before_fork(void)
{
	fault_inject_before_fork();
	was_single_threaded = __libc_single_threaded;
	if (!proxy_active())
		server = sys_getpid();
	if (!front_attached())
		return;
	forking = kzalloc(sizeof(*forking));
	if (!forking)
		return;
	forking->server_end = forking->child_end = -1;
	/* What waits for another process comes before others wait for us. */
	front_share_all();
	if (proxy_active())
		forking->child_end = proxy_connect_child();
	forking->held = fork_begin();
	front_share_files(); /* if one was opened meanwhile */
	note_mappings();
	forking->idle = is_idle();
	if (!forking->idle && !proxy_active())
		note_connection();
}

/* ---- after: the parent ---- */

static void in_parent(void)
{
	if (!forking)
		return;
	fork_end(forking->held, false);
	if (forking->child_end >= 0)
		fd_private_close(forking->child_end);
	if (forking->server_end >= 0)
		serve_process(forking->server_end, front_fd_count());
	kfree(forking);
	forking = NULL;
}

/* ---- after: the child ---- */

/* The proxies of the files that were open: one for all descriptors and mappings of a file. */
struct standins {
	unsigned nr;
	struct {
		const struct file *file;
		struct file *proxy;
	} at[256];
};

/* The proxy, with a reference; NULL: no memory. */
static struct file *standin(struct standins *all, const struct file *file, int fd)
{
	unsigned i = 0;

	while (i < all->nr && all->at[i].file != file)
		i++;
	if (i < all->nr)
		return fget_file(all->at[i].proxy);
	if (i == ARRAY_SIZE(all->at))
		return proxy_of(file, fd);
	all->at[i].file = file;
	all->at[i].proxy = proxy_of(file, fd);
	all->nr += all->at[i].proxy != NULL;
	return all->at[i].proxy ? fget_file(all->at[i].proxy) : NULL;
}

/*
 * The reference is kept for ever: whatever replaces the file in the table must not release it.  A number that came with a message
 * during the fork may be known and not be here (fork.h).
 */
static void take_descriptor(struct standins *all, int fd)
{
	struct file *file = front_is_stale(fd) ? NULL : fget(fd), *proxy;

	if (!file)
		return;
	proxy = file->on_host || sys_fcntl(fd, F_GETFD, 0) < 0 ? NULL : standin(all, file, fd);
	if (proxy)
		fd_install(fd, proxy);
	else
		set_stale(fd);
}

/* Each access to it is a call from now on: what may be reached without, the other process decides anew each time. */
static void take_mapping(struct standins *all, const struct mapping *m)
{
	const u64 len = m->last - m->start + 1;
	struct file *proxy;
	struct vm_area *vma;

	if (sys_mprotect((void *)m->start, len, PROT_NONE))
		return; /* MADV_DONTFORK */
	proxy = standin(all, m->file, -1);
	vma = proxy ? vma_alloc(proxy, m->start, len, m->pgoff_bytes, m->prot) : NULL;
	fput(proxy);
	if (!vma)
		return;
	vma->ops = &proxy_vm_ops;
	vma_insert(mm_self(), vma);
}

static void take_over(void)
{
	struct standins *all;

	vma_forget_all(mm_self());
	file_forget_all();
	pins_forget();
	locked_vm_forget(mm_self());
	fd_private_forget_exclusive(forking->child_end);
	proxy_begin(forking->child_end, server);
	all = kzalloc(sizeof(*all));
	for (int fd = 0; fd < front_fd_count(); fd++)
		if (all && fd_is_ours(fd))
			take_descriptor(all, fd);
		else if (fd_is_ours(fd))
			set_stale(fd);
	for (unsigned i = 0; all && i < forking->nr_mappings; i++)
		take_mapping(all, &forking->mappings[i]);
	for (unsigned i = 0; all && i < all->nr; i++)
		fput(all->at[i].proxy);
	kfree(all);
}

/* Without memory for all that: descriptors can be closed, and no more. */
static void take_nothing(void)
{
	for (int fd = 0; fd < front_fd_count(); fd++)
		set_stale(fd);
	vma_forget_all(mm_self());
	proxy_begin(-1, server);
}

static void in_child(void)
{
	fault_inject_in_child();
	if (!front_attached())
		return;
	__atomic_store_n(&front_in_child, true, __ATOMIC_RELEASE);
	front_signal_in_child();
	front_pass_in_child();
	decode_in_child();
	fork_end(forking ? forking->held : 0, true);
	if (!forking)
		take_nothing();
	else if (!forking->idle)
		take_over();
	kfree(forking);
	forking = NULL;
}

void front_fork_init(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
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
		in_parent();
	return pid;
}

EXPORT pid_t vfork(void)
{
	return REAL(fork)();
}
ALIAS(__vfork, vfork);
