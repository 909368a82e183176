/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * locked_vm.h - how much memory is pinned, and how much may be.
 *
 * Who maps memory for a device says whose account it is on:
 *
 *	VFIO	the process: VmLck of /proc/PID/status (VFIO's containers)
 *	PROCESS	the same, and VmPin (an iommufd that asks for it)
 *	USER	the user who runs it, all processes together, and VmPin (an iommufd)
 *	PINNED	VmPin alone (an iommufd whose program may lock as much as it likes)
 *	NONE	nobody's
 *
 * Each account is limited as by RLIMIT_MEMLOCK, if a limit was set; a test machine has none unless it is asked to.
 * VmPin is not.
 */
#ifndef KERNEL_MM_LOCKED_VM_H
#define KERNEL_MM_LOCKED_VM_H

#include "kernel/lib/types.h"

struct mm;

enum locked_vm_mode { LOCKED_VM_NONE, LOCKED_VM_VFIO, LOCKED_VM_USER, LOCKED_VM_PROCESS, LOCKED_VM_PINNED };

#define LOCKED_VM_UNLIMITED (~0ull)	/* the default */
#define LOCKED_VM_HOST (~0ull - 1)	/* as on Linux: RLIMIT_MEMLOCK, which does not bind who has CAP_IPC_LOCK */

/** locked_vm_set_limit - of each account from now on, in bytes or one of the above.  Any thread. */
void locked_vm_set_limit(u64 bytes);
/**
 * locked_vm_charge - @pages more are to be pinned
 * Any lock.  Return: 0; -ENOMEM beyond the limit, with the numbers as reason.
 */
int locked_vm_charge(struct mm *mm, enum locked_vm_mode mode, u64 pages);
/** locked_vm_charge_back - likewise, of what was on the account a moment ago: whatever the limit is now. */
void locked_vm_charge_back(struct mm *mm, enum locked_vm_mode mode, u64 pages);
/** locked_vm_uncharge - the counterpart. */
void locked_vm_uncharge(struct mm *mm, enum locked_vm_mode mode, u64 pages);
/**
 * locked_vm_iommufd - on which account an iommufd puts what the calling program maps now
 * @by_process: the iommufd was asked to (IOMMU_OPTION_RLIMIT_MODE)
 */
enum locked_vm_mode locked_vm_iommufd(bool by_process);
/** locked_vm_forget - in a child after fork: nothing is on the accounts of this process. */
void locked_vm_forget(struct mm *mm);
/** locked_vm_pages, pinned_vm_pages - VmLck and VmPin of a process, as far as VFIO and iommufd are concerned. */
u64 locked_vm_pages(struct mm *mm);
u64 pinned_vm_pages(struct mm *mm);

#endif
