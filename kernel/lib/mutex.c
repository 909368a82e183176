/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutex.c - the checking half of mutex.h, for builds with -Dlockdep=true.
 *
 * The idea: if every thread takes locks in the order of one list, no two threads can wait for each
 * other.  Each thread keeps the ranks that it holds; a lock whose rank is not above all of them is a
 * mistake of ours, even if this run would have got away with it, so we say both names and abort.
 *
 * Dangerous: the message is made while the process is in an unknown state; it uses no lock, no heap.
 */
#include "kernel/lib/mutex.h"

#ifdef LOCKDEP

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/lib/sys.h"
#include "kernel/lib/types.h"

#define HELD_MAX 32

static __thread __attribute__((tls_model("initial-exec"))) struct {
	unsigned count;
	struct mutex *locks[HELD_MAX];
} held;

static const char *rank_name(enum lock_rank rank)
{
#define NAME(r) [r] = #r
	static const char *const names[] = {
		NAME(LOCK_MACHINE), NAME(LOCK_TREE), NAME(LOCK_DEVICE), NAME(LOCK_VFIO_GROUP),
		NAME(LOCK_VFIO_CONTAINER), NAME(LOCK_VFIO_DEVICE_SET),
		NAME(LOCK_VFIO_PCI_IGATE), NAME(LOCK_VFIO_PCI_MEMORY), NAME(LOCK_VFIO_PCI_CONFIG),
		NAME(LOCK_VIRQFD), NAME(LOCK_VFIO_PCI_INTX), NAME(LOCK_IOMMU_GROUP), NAME(LOCK_IOMMU_DOMAIN),
		NAME(LOCK_IOPF), NAME(LOCK_HW_MODEL), NAME(LOCK_HW_MODEL_QUEUE), NAME(LOCK_HW_CONFIG), NAME(LOCK_HW_IRQ),
		NAME(LOCK_HW_IOMMU), NAME(LOCK_HW_IOTLB), NAME(LOCK_PCI_MSI), NAME(LOCK_VFIO_PCI_TRIGGER),
		NAME(LOCK_VMA), NAME(LOCK_KERNFS), NAME(LOCK_FDTABLE), NAME(LOCK_LOG),
	};
#undef NAME
	const char *name = (unsigned)rank < ARRAY_SIZE(names) ? names[rank] : NULL;

	return name ? name : "a lock that mutex_init() never saw";
}

static void __attribute__((noreturn, cold))
lockdep_abort(const char *what, enum lock_rank rank, enum lock_rank other)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "softvfio: lockdep: %s: %s (rank %d), other %s (rank %d)\n",
			   what, rank_name(rank), rank, other ? rank_name(other) : "none", other);

	if (len > 0)
		(void)sys_write(STDERR_FILENO, line, min((size_t)len, sizeof(line) - 1));
	abort();
}

static void held_check(const struct mutex *lock, bool nested)
{
	for (unsigned i = 0; i < held.count; i++)
		if (lock->rank < held.locks[i]->rank + !nested)
			lockdep_abort("taken out of order", lock->rank, held.locks[i]->rank);
}

static void held_push(struct mutex *lock)
{
	if (held.count == HELD_MAX)
		lockdep_abort("too many locks held", lock->rank, held.locks[0]->rank);
	held.locks[held.count++] = lock;
	__atomic_store_n(&lock->owner, (unsigned long)pthread_self(), __ATOMIC_RELAXED);
}

static void held_pop(struct mutex *lock)
{
	unsigned i = held.count;

	while (i > 0 && held.locks[i - 1] != lock)
		i--;
	if (i == 0)
		lockdep_abort("released, but this thread does not hold it", lock->rank, 0);
	for (; i < held.count; i++)
		held.locks[i - 1] = held.locks[i];
	held.count--;
	__atomic_store_n(&lock->owner, 0, __ATOMIC_RELAXED);
}

void mutex_init(struct mutex *lock, enum lock_rank rank)
{
	pthread_mutex_init(&lock->m, NULL);
	lock->rank = rank;
	lock->owner = 0;
}

void mutex_destroy(struct mutex *lock)
{
	if (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED))
		lockdep_abort("destroyed while held", lock->rank, 0);
	pthread_mutex_destroy(&lock->m);
}

void mutex_lock(struct mutex *lock)
{
	held_check(lock, false);
	pthread_mutex_lock(&lock->m);
	held_push(lock);
}

void mutex_lock_nested(struct mutex *lock)
{
	held_check(lock, true);
	pthread_mutex_lock(&lock->m);
	held_push(lock);
}

/* A try cannot deadlock, so its order is not checked; what is taken under it is. */
bool mutex_trylock(struct mutex *lock)
{
	if (pthread_mutex_trylock(&lock->m))
		return false;
	held_push(lock);
	return true;
}

void mutex_unlock(struct mutex *lock)
{
	held_pop(lock);
	pthread_mutex_unlock(&lock->m);
}

void lockdep_assert_held(struct mutex *lock)
{
	if (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED) != (unsigned long)pthread_self())
		lockdep_abort("must be held here", lock->rank, 0);
}

#endif
