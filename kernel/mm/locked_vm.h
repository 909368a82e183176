/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * locked_vm.h - how much memory is pinned, and how much may be.
 *
 * Who maps memory for a device says whose account it is on:
 *
 *	PROCESS	the process: VmLck of /proc/PID/status (VFIO's containers, and an iommufd that asks for it)
 *	USER	the user who runs it, all processes together (iommufd)
 *	NONE	nobody's
 *
 * What is on somebody's account is also counted as VmPin of the process.  Each account is limited as by
 * RLIMIT_MEMLOCK, if a limit was set; a test machine has none unless it is asked to.
 */
#ifndef KERNEL_MM_LOCKED_VM_H
#define KERNEL_MM_LOCKED_VM_H

#include "kernel/lib/types.h"

struct mm;

enum locked_vm_mode { LOCKED_VM_NONE, LOCKED_VM_USER, LOCKED_VM_PROCESS };

#define LOCKED_VM_UNLIMITED (~0ull)	/* the default */
#define LOCKED_VM_HOST (~0ull - 1)	/* as on Linux: RLIMIT_MEMLOCK, which does not bind who has CAP_IPC_LOCK */

/** locked_vm_set_limit - of each account from now on, in bytes or one of the above.  Any thread. */
void locked_vm_set_limit(u64 bytes);
/**
 * locked_vm_charge - @pages more are to be pinned
 * Any lock.  Return: 0; -ENOMEM beyond the limit, with the numbers as reason.
 */
int locked_vm_charge(struct mm *mm, enum locked_vm_mode mode, u64 pages);
/** locked_vm_uncharge - the counterpart. */
void locked_vm_uncharge(struct mm *mm, enum locked_vm_mode mode, u64 pages);
/** locked_vm_pages, pinned_vm_pages - VmLck and VmPin of a process, as far as VFIO and iommufd are concerned. */
u64 locked_vm_pages(struct mm *mm);
u64 pinned_vm_pages(struct mm *mm);

#endif
