/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * locked_vm.c - accounts of pinned memory.
 *
 * A charge is one compare and exchange, so that two threads cannot pass the limit together.
 */
#include "kernel/mm/locked_vm.h"

#include <linux/capability.h>
#include <stdatomic.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm_internal.h"

typedef unsigned long long ull;

static _Atomic u64 limit_bytes = LOCKED_VM_UNLIMITED;
static _Atomic u64 user_pages; /* of the one user whose processes we see: this one's */

void locked_vm_set_limit(u64 bytes)
{
	atomic_store(&limit_bytes, bytes);
}

static bool may_lock_any(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return !sys_call(SYS_capget, &header, data, 0, 0) &&
	       (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK));
}

static u64 limit_pages(void)
{
	u64 bytes = atomic_load_explicit(&limit_bytes, memory_order_relaxed);
	struct rlimit limit;

	if (likely(bytes == LOCKED_VM_UNLIMITED))
		return bytes;
	if (bytes == LOCKED_VM_HOST) {
		if (may_lock_any() || sys_getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
			return LOCKED_VM_UNLIMITED;
		bytes = limit.rlim_cur;
	}
	return bytes >> PAGE_SHIFT;
}

static int charge(_Atomic u64 *account, u64 pages, const char *whose)
{
	u64 have = atomic_load_explicit(account, memory_order_relaxed), limit = limit_pages();

	do {
		if (unlikely(pages > limit || have > limit - pages))
			return fail(-ENOMEM, "locking %llu KiB more than the %llu KiB there are on the account of the %s "
				    "would pass the limit of %llu KiB (RLIMIT_MEMLOCK)", (ull)pages << 2,
				    (ull)have << 2, whose, (ull)limit << 2);
	} while (!atomic_compare_exchange_weak_explicit(account, &have, have + pages, memory_order_relaxed,
							memory_order_relaxed));
	return 0;
}

enum locked_vm_mode locked_vm_iommufd(bool by_process)
{
	const u64 bytes = atomic_load_explicit(&limit_bytes, memory_order_relaxed);

	if (likely(bytes == LOCKED_VM_UNLIMITED && !by_process)) /* it cannot be seen who is asked */
		return LOCKED_VM_USER;
	if ((bytes == LOCKED_VM_UNLIMITED || bytes == LOCKED_VM_HOST) && may_lock_any())
		return LOCKED_VM_PINNED;
	return by_process ? LOCKED_VM_PROCESS : LOCKED_VM_USER;
}

/* The account that has a limit; NULL none. */
static _Atomic u64 *limited(struct mm *mm, enum locked_vm_mode mode)
{
	if (mode == LOCKED_VM_USER)
		return &user_pages;
	return mode == LOCKED_VM_PROCESS || mode == LOCKED_VM_VFIO ? &mm->locked_vm : NULL;
}

static bool counts_as_pinned(enum locked_vm_mode mode)
{
	return mode != LOCKED_VM_NONE && mode != LOCKED_VM_VFIO;
}

int locked_vm_charge(struct mm *mm, enum locked_vm_mode mode, u64 pages)
{
	_Atomic u64 *account = limited(mm, mode);
	int ret = account ? charge(account, pages, mode == LOCKED_VM_USER ? "user" : "process") : 0;

	if (!ret && counts_as_pinned(mode))
		atomic_fetch_add_explicit(&mm->pinned_vm, pages, memory_order_relaxed);
	return ret;
}

void locked_vm_charge_back(struct mm *mm, enum locked_vm_mode mode, u64 pages)
{
	_Atomic u64 *account = limited(mm, mode);

	if (account)
		atomic_fetch_add_explicit(account, pages, memory_order_relaxed);
	if (counts_as_pinned(mode))
		atomic_fetch_add_explicit(&mm->pinned_vm, pages, memory_order_relaxed);
}

void locked_vm_uncharge(struct mm *mm, enum locked_vm_mode mode, u64 pages)
{
	_Atomic u64 *account = limited(mm, mode);

	if (account)
		atomic_fetch_sub_explicit(account, pages, memory_order_relaxed);
	if (counts_as_pinned(mode))
		atomic_fetch_sub_explicit(&mm->pinned_vm, pages, memory_order_relaxed);
}

void locked_vm_forget(struct mm *mm)
{
	atomic_store(&mm->locked_vm, 0);
	atomic_store(&mm->pinned_vm, 0);
}

u64 locked_vm_pages(struct mm *mm)
{
	return atomic_load(&mm->locked_vm);
}

u64 pinned_vm_pages(struct mm *mm)
{
	return atomic_load(&mm->pinned_vm);
}
