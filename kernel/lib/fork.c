/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/lib/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SECONDS 2
#define SERVED 1u
#define CHANGES 2u

/* Who forks comes before calls that have not begun, or there could always be one. */
static pthread_rwlock_t served = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
/* But not before changes: one may have to be made before another ends, whose thread waits for a lock of the kernel. */
static pthread_rwlock_t changes = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic pthread_t forker; /* who holds it to fork; 0 */

bool fork_change_begin(void)
{
	if (atomic_load_explicit(&forker, memory_order_relaxed) == pthread_self())
		return false;
	return !pthread_rwlock_rdlock(&changes);
}

void fork_change_end(bool begun)
{
	if (begun)
		pthread_rwlock_unlock(&changes);
}

void fork_serve_begin(void)
{
	pthread_rwlock_rdlock(&served);
}

void fork_serve_end(void)
{
	pthread_rwlock_unlock(&served);
}

static bool lock(pthread_rwlock_t *which)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SECONDS;
	return !pthread_rwlock_timedwrlock(which, &until);
}

unsigned fork_begin(void)
{
	unsigned held = lock(&served) ? SERVED : 0;

	if (!lock(&changes))
		return held;
	atomic_store_explicit(&forker, pthread_self(), memory_order_relaxed);
	return held | CHANGES;
}

void fork_end(unsigned held, bool in_child)
{
	if (held & CHANGES || in_child)
		atomic_store_explicit(&forker, 0, memory_order_relaxed);
	if (in_child) { /* whoever else held one is not here */
#ifdef __SANITIZE_THREAD__ /* to which a lock that is made anew is the old one */
		if (held & CHANGES)
			pthread_rwlock_unlock(&changes);
		if (held & SERVED)
			pthread_rwlock_unlock(&served);
#endif
		served = (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
		changes = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
		return;
	}
	if (held & CHANGES)
		pthread_rwlock_unlock(&changes);
	if (held & SERVED)
		pthread_rwlock_unlock(&served);
}
