/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.h - files whose kernel is in another process: in a forked child, or in a program that got descriptors.
 *
 * A proxy is a struct file like any other: its operations are carried out by serve.c, over there.  When that process
 * has ended, each call on a proxy is EBADF, with the reason.
 */
#ifndef KERNEL_SYSCALL_PROXY_H
#define KERNEL_SYSCALL_PROXY_H

#include "kernel/fs/file.h"

/**
 * proxy_begin - in a child after fork, one thread: the kernel is in process @server, at the other end of @sock (-1: it is
 * not to be reached)
 * @sock: private; taken over.
 */
void proxy_begin(int sock, int server);
/** proxy_active - it has begun. */
bool proxy_active(void);
/**
 * proxy_begin_with - likewise, in a process that uses no kernel: with that of the listening process (serve_listen()) that knows
 * the file which @fd is of
 * Return: a proxy of that, as proxy_of(); NULL: nobody knows it, and nothing has begun.
 */
struct file *proxy_begin_with(int fd);
/** proxy_listen - serve_listen(), over there. */
void proxy_listen(void);
/** proxy_wait_for - serve_wait_for(), over there. */
void proxy_wait_for(pid_t pid);
/**
 * proxy_of - stand in for @file, a copy of the other process's memory or a proxy itself
 * @fd: a descriptor of it, which the proxy keeps open while it lives; -1: none
 * Return: a file with one reference; NULL: no memory.
 */
struct file *proxy_of(const struct file *file, int fd);
/** proxy_find - @fd came from another process: stand in for the file that it is of.  As proxy_of(); NULL also for others'. */
struct file *proxy_find(int fd);
/* What a mapping of a proxy does; for areas that were there before the fork. */
extern const struct vm_operations proxy_vm_ops;

/** proxy_open - as vfs_open(), over there.  -EBUSY: that process has ended. */
int proxy_open(const char *path, unsigned int flags, struct file **ret_file);
/** proxy_node - as cdev_lookup(): mode and number of the node @path below /dev.  0; -ENOENT; -errno. */
int proxy_node(const char *path, u32 *ret_mode, u64 *ret_rdev);
/** proxy_accounts - as serve_accounts(), over there; 0 without. */
void proxy_accounts(pid_t pid, u64 *ret_locked, u64 *ret_pinned);
/** proxy_end - this process ends: what devices have of its memory is to outlive it, as pinned pages do. */
void proxy_end(void);
/**
 * proxy_connect_child - before a fork of a process with proxies: a first connection for the child
 * Return: a private descriptor that only the child is to keep; -errno.
 */
int proxy_connect_child(void);

#endif
