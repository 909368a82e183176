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

int locked_vm_charge(struct mm *mm, enum locked_vm_mode mode, u64 pages)
{
	int ret = 0;

	if (mode == LOCKED_VM_USER)
		ret = charge(&user_pages, pages, "user");
	else if (mode == LOCKED_VM_PROCESS)
		ret = charge(&mm->locked_vm, pages, "process");
	if (!ret && mode != LOCKED_VM_NONE)
		atomic_fetch_add_explicit(&mm->pinned_vm, pages, memory_order_relaxed);
	return ret;
}

void locked_vm_uncharge(struct mm *mm, enum locked_vm_mode mode, u64 pages)
{
	if (mode == LOCKED_VM_NONE)
		return;
	atomic_fetch_sub_explicit(mode == LOCKED_VM_USER ? &user_pages : &mm->locked_vm, pages,
				  memory_order_relaxed);
	atomic_fetch_sub_explicit(&mm->pinned_vm, pages, memory_order_relaxed);
}

u64 locked_vm_pages(struct mm *mm)
{
	return atomic_load(&mm->locked_vm);
}

u64 pinned_vm_pages(struct mm *mm)
{
	return atomic_load(&mm->pinned_vm);
}
