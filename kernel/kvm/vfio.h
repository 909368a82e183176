/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio.h - the device of KVM that is told which VFIO files a virtual machine uses (KVM_DEV_TYPE_VFIO). */
#ifndef KERNEL_KVM_VFIO_H
#define KERNEL_KVM_VFIO_H

#include "kernel/fs/file.h"

/**
 * kvm_vfio_create - a new one, to which nothing was added
 * @vm: a descriptor of the virtual machine, which stays the caller's, if nobody else sees to it that it has one such
 * device; -1
 * Any thread.  Return: its file, one reference; ERR_PTR: -EBUSY the virtual machine has one; -ENOMEM, -EMFILE, -EBADF.
 */
struct file *kvm_vfio_create(int vm);

#endif
