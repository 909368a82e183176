/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virqfd.c - eventfds that a program signals and we act upon (unmask an interrupt, write a register).
 *
 * One thread waits for all of them with epoll; it starts with the first.  A handler runs on that
 * thread with no lock held, after the eventfd was read, so a signal that comes while it runs makes it
 * run again.  An eventfd that is signalled already when it is enabled fires at once.  Edges are waited
 * for, not the level: each write to the eventfd calls once, also if it counts as a semaphore.
 *
 * Several may share one eventfd, each by a duplicate of its own.  Whoever of them epoll names first takes
 * the count, so that the others are named no more; hence it runs all their handlers, the newest first.
 *
 * The thread knows an eventfd by a number, never by pointer: between the moment epoll names it and the
 * moment we hold the lock it may have been disabled.
 *
 * After fork() the child has the list but neither the thread nor an epoll instance of its own (the
 * parent's is shared, and must be left alone); it makes both when it next enables one.
 */
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/vfio/vfio.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

struct virqfd {
	u64 id;
	u64 event; /* the same of all that share an eventfd */
	struct eventfd_ctx *ctx;
	void (*handler)(void *opaque, void *data);
	void *opaque, *data;
	bool orphan;		  /* disabled by its own handler: the thread frees it; the thread's */
	TAILQ_ENTRY(virqfd) next; /* lock */
};

static struct {
	struct mutex lock; /* LOCK_VIRQFD: all below, and every *pvirqfd */
	TAILQ_HEAD(virqfd_list, virqfd) list; /* ids ascend */
	u64 next_id;
	_Atomic u64 running;  /* id whose handler runs; 0 none.  Set under the lock, cleared without */
	_Atomic u32 finished; /* futex: counts handlers that came back while somebody waited */
	_Atomic unsigned waiters; /* threads that wait for one to come back */
	int epoll_fd;	      /* -1: none */
	pid_t pid;	      /* whose epoll_fd and thread these are */
	pthread_t thread;
} virq = {
	.lock = MUTEX_INITIALIZER(LOCK_VIRQFD),
	.list = TAILQ_HEAD_INITIALIZER(virq.list),
	.epoll_fd = -1,
};

/* ---- the thread ---- */

/* Take the count out of the eventfd.  false: somebody else did so first. */
static bool consume(int fd)
{
	u64 count;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t ret = sys_call6(SYS_preadv2, fd, (long)&iov, 1, -1, -1, RWF_NOWAIT);

	if (ret == -EOPNOTSUPP) /* an old kernel's eventfd cannot promise not to block */
		ret = sys_read(fd, &count, sizeof(count));
	return ret == (ssize_t)sizeof(count);
}

static struct virqfd *find_locked(u64 id)
{
	struct virqfd *virqfd;

	TAILQ_FOREACH(virqfd, &virq.list, next) {
		if (virqfd->id == id)
			return virqfd;
	}
	return NULL;
}

static void virqfd_free(struct virqfd *virqfd)
{
	eventfd_ctx_put(virqfd->ctx);
	kfree(virqfd);
}

/*
 * Call the handler; the lock is given up, and @virqfd may be gone on return.  Who disables it meanwhile first counts
 * itself among the waiters, then looks at what runs; here it is the other way round, so that one sees the other.
 */
static void run_and_unlock(struct virqfd *virqfd)
{
	bool orphan;

	atomic_store_explicit(&virq.running, virqfd->id, memory_order_relaxed);
	mutex_unlock(&virq.lock);
	virqfd->handler(virqfd->opaque, virqfd->data);
	orphan = virqfd->orphan;
	atomic_store(&virq.running, 0);
	if (unlikely(atomic_load(&virq.waiters))) {
		atomic_fetch_add(&virq.finished, 1);
		sys_futex((u32 *)&virq.finished, FUTEX_WAKE_PRIVATE, ~0u >> 1, NULL);
	}
	if (unlikely(orphan))
		virqfd_free(virqfd);
}

/* The newest that shares @event and is older than @id. */
static struct virqfd *older_locked(u64 event, u64 id)
{
	struct virqfd *virqfd;

	TAILQ_FOREACH_REVERSE(virqfd, &virq.list, virqfd_list, next) {
		if (virqfd->id < id && virqfd->event == event)
			return virqfd;
	}
	return NULL;
}

static void fire(u64 id)
{
	struct virqfd *virqfd;
	bool more;
	u64 event;

	mutex_lock(&virq.lock);
	virqfd = find_locked(id);
	more = virqfd && consume(eventfd_ctx_fd(virqfd->ctx));
	event = more ? virqfd->event : 0;
	id = virq.next_id + 1;
	while (more && (virqfd = older_locked(event, id))) {
		id = virqfd->id;
		more = older_locked(event, id);
		run_and_unlock(virqfd);
		if (likely(!more))
			return;
		mutex_lock(&virq.lock);
	}
	mutex_unlock(&virq.lock);
}

static void *virqfd_thread(void *arg)
{
	const int epoll_fd = (int)(intptr_t)arg;
	struct epoll_event event;
	long count;

	for (;;) {
		count = sys_call6(SYS_epoll_pwait, epoll_fd, (long)&event, 1, -1, 0, 0);
		if (count == 1)
			fire(event.data.u64);
		else if (count < 0 && count != -EINTR)
			return NULL; /* the program closed it behind our back; nothing to wait for any more */
	}
}

/* ---- enable and disable ---- */

static long epoll_add(int epoll_fd, const struct virqfd *virqfd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = virqfd->id };

	return sys_call(SYS_epoll_ctl, epoll_fd, EPOLL_CTL_ADD, eventfd_ctx_fd(virqfd->ctx), &event);
}

static int make_epoll(void)
{
	int fd = (int)sys_call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0), ret;

	if (fd < 0)
		return fail(fd, "no descriptor for waiting on eventfds");
	ret = fd_private(fd);
	if (ret >= 0)
		return ret;
	sys_close(fd);
	return fail(ret, "no descriptor for waiting on eventfds");
}

static int start_locked(void)
{
	struct virqfd *virqfd;
	int fd, ret;

	if (virq.epoll_fd >= 0 && virq.pid == sys_getpid())
		return 0;
	fd = make_epoll();
	if (fd < 0)
		return fd;
	TAILQ_FOREACH(virqfd, &virq.list, next)
		epoll_add(fd, virqfd); /* inherited from the parent of a fork */
	ret = kthread_run(&virq.thread, "vfio-virqfd", virqfd_thread, (void *)(intptr_t)fd);
	if (ret) {
		fd_private_close(fd);
		return fail(ret, "the thread that waits on eventfds cannot be started");
	}
	if (virq.epoll_fd >= 0)
		fd_private_close(virq.epoll_fd);
	virq.epoll_fd = fd;
	virq.pid = sys_getpid();
	atomic_store(&virq.running, 0);
	atomic_store(&virq.waiters, 0);
	return 0;
}

static int enable_locked(struct virqfd *virqfd, struct virqfd **pvirqfd)
{
	long ret;

	if (*pvirqfd)
		return fail(-EBUSY, "an eventfd is set for that already: remove it first");
	ret = start_locked();
	if (ret)
		return (int)ret;
	virqfd->id = ++virq.next_id;
	virqfd->event = eventfd_ctx_id(virqfd->ctx);
	ret = epoll_add(virq.epoll_fd, virqfd);
	if (ret)
		return fail((int)ret, "the eventfd cannot be waited on");
	TAILQ_INSERT_TAIL(&virq.list, virqfd, next);
	*pvirqfd = virqfd;
	return 0;
}

int vfio_virqfd_enable(void *opaque, void (*handler)(void *opaque, void *data), void *data,
		       struct virqfd **pvirqfd, int fd)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(fd);
	struct virqfd *virqfd;
	int ret;

	if (IS_ERR(ctx))
		return fail((int)PTR_ERR(ctx), "descriptor %d is not an open eventfd", fd);
	virqfd = kzalloc(sizeof(*virqfd));
	if (!virqfd) {
		eventfd_ctx_put(ctx);
		return fail(-ENOMEM, "no memory for an eventfd");
	}
	*virqfd = (struct virqfd){ .ctx = ctx, .handler = handler, .opaque = opaque, .data = data };
	mutex_lock(&virq.lock);
	ret = enable_locked(virqfd, pvirqfd);
	mutex_unlock(&virq.lock);
	if (ret)
		virqfd_free(virqfd);
	return ret;
}

static void wait_for_handler_locked(u64 id)
{
	u32 seen;

	atomic_fetch_add(&virq.waiters, 1);
	for (;;) {
		seen = atomic_load(&virq.finished);
		if (atomic_load(&virq.running) != id)
			break;
		mutex_unlock(&virq.lock);
		sys_futex((u32 *)&virq.finished, FUTEX_WAIT_PRIVATE, seen, NULL);
		mutex_lock(&virq.lock);
	}
	atomic_fetch_sub(&virq.waiters, 1);
}

void vfio_virqfd_disable(struct virqfd **pvirqfd)
{
	struct virqfd *virqfd;
	bool own_handler, forked;

	mutex_lock(&virq.lock);
	virqfd = *pvirqfd;
	if (!virqfd) {
		mutex_unlock(&virq.lock);
		return;
	}
	*pvirqfd = NULL;
	TAILQ_REMOVE(&virq.list, virqfd, next);
	forked = virq.pid != sys_getpid();
	if (!forked)
		sys_call(SYS_epoll_ctl, virq.epoll_fd, EPOLL_CTL_DEL, eventfd_ctx_fd(virqfd->ctx), NULL);
	own_handler = !forked && atomic_load(&virq.running) == virqfd->id && pthread_equal(pthread_self(), virq.thread);
	if (own_handler)
		virqfd->orphan = true;
	else if (!forked)
		wait_for_handler_locked(virqfd->id);
	mutex_unlock(&virq.lock);
	if (!own_handler)
		virqfd_free(virqfd);
}
