/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - between the process that has the kernel (serve.c) and others that have its files (proxy.c).
 *
 * A connection is a socket pair; packets keep their bounds.  One call is one packet each way; in between the server may
 * ask for what the call needs of the process that made it: memory and descriptors.  Both ends are this library, in a process
 * and its forked copy or in two programs: numbers and structures are the same, and pointers mean the caller's memory.
 */
#ifndef KERNEL_SYSCALL_WIRE_H
#define KERNEL_SYSCALL_WIRE_H

#include "kernel/fs/file.h"
#include "kernel/lib/types.h"

#define WIRE_DATA 4096u /* bytes behind a packet's head, at most */

enum wire_op {
	/* On the first connection only.  fds: /proc/self/mem and maps; or one more connection */
	WIRE_HELLO,	/* arg: pid */
	WIRE_CONNECT,	/* id: 1: of another process, a child of the caller's */
	/* Calls.  id: the file; data of the answer: why it failed, or what was noted */
	WIRE_OPEN,	/* data: path; arg: flags.  Answer: struct wire_file, fd; if it is open, one more: the fd is the caller's alone */
	WIRE_IDENTIFY,	/* fd: of which file?  Answer: struct wire_file; ret: -ENOENT */
	WIRE_NODE,	/* data: path below /dev.  Answer: arg: mode, rdev */
	WIRE_CLOSE,	/* a file that is not shared */
	WIRE_IOCTL,	/* arg: cmd, arg */
	WIRE_READ,	/* arg: buf, len, pos.  Answer: arg: pos */
	WIRE_WRITE,
	WIRE_LSEEK,	/* arg: off, whence */
	WIRE_MMAP,	/* arg: pgoff_bytes, len_bytes, prot, map_flags */
	WIRE_ACCESS,	/* arg: off, len, prot, write; data: what is written.  Answer: data: what was read */
	WIRE_FDINFO,	/* Answer: data: text */
	WIRE_LINK,
	WIRE_FLUSH,
	WIRE_FLAGS,	/* arg: set?, the flags of F_SETFL.  Answer: ret: f_flags */
	WIRE_ACCOUNTS,	/* arg: pid.  Answer: arg: locked_vm_pages, pinned_vm_pages */
	WIRE_LISTEN,
	WIRE_WAIT,	/* arg: pid, which has ended: until its calls have */
	WIRE_LEAVE,	/* arg: first, last: addresses that pages are about to leave */
	/* Asked during a call */
	WIRE_COPY_FROM,	/* arg: uva, len.  Answer: data */
	WIRE_COPY_TO,	/* arg: uva; data */
	WIRE_STRNCPY,	/* arg: uva, size.  Answer: ret: length; data */
	WIRE_FGET,	/* arg: number.  Answer: id: 0: a file of others; ret: -EBADF */
	WIRE_DUP,	/* arg: number.  Answer: fd */
	WIRE_FIND_AREA,	/* arg: uva, last.  Answer: ret: is there one?; id: its file; arg: start, last, pgoff_bytes, prot */
	WIRE_PUBLISH,	/* data: struct wire_file; arg: cloexec; fd.  Answer: ret: number */
	WIRE_UNPUBLISH,	/* arg: number */
	WIRE_ANSWER,
};

struct wire_packet {
	u32 op;
	u32 len; /* of data */
	u64 id;
	s64 ret;
	u64 arg[4];
	u64 pins_first, pins_last, pins_changes; /* of an answer to a call: as mm_pinned_range() */
};

/* What another process must know of a file to stand in for it. */
struct wire_file {
	u64 id;
	u64 rdev, size;
	u32 kind, ops; /* WIRE_HAS_ */
	u32 f_flags, mode;
	u32 numbered;
	char path[256];
};

#define WIRE_HAS_IOCTL BIT(0)
#define WIRE_HAS_READ BIT(1)
#define WIRE_HAS_WRITE BIT(2)
#define WIRE_HAS_LSEEK BIT(3)
#define WIRE_HAS_MMAP BIT(4)
#define WIRE_HAS_FDINFO BIT(5)
#define WIRE_HAS_LINK BIT(6)
#define WIRE_HAS_FLUSH BIT(7)
#define WIRE_IS_STREAM BIT(8)
#define WIRE_IS_SHARED BIT(9)

/** wire_describe - of a file in the process that has it, or a copy of its memory. */
void wire_describe(const struct file *file, struct wire_file *ret);
/** wire_machine - of whose machine the processes are that find each other: a directory.  Before threads. */
void wire_machine(const char *dir);
/** wire_listener - a socket, private, that wire_next_listener() finds.  -errno. */
int wire_listener(void);
/** wire_is_connection - is it a socket as those of wire_pair()?  Anything else might never become readable. */
bool wire_is_connection(int fd);
/** wire_trusts - is the process at the other end the same user's, or root's?  It gets at this one's memory. */
bool wire_trusts(int sock);
/**
 * wire_next_listener - connect to a process of this machine that listens, the one behind *@pid (0: the first)
 * Return: a connection, private, and *@pid; -ENOENT: there are no more.
 */
int wire_next_listener(int *pid);
/** wire_pair - both ends of a connection, private, and in no child.  0; -errno. */
int wire_pair(int ret_fds[2]);
/**
 * wire_send - @packet, whose len is set here, with @len bytes at @data and descriptors @fds (-1: none)
 * wire_receive - the next; *@data has room for @size; a longer packet is an error
 * Return: 0; -EPIPE: nobody is at the other end; -EFAULT: @data is not there; -errno.
 */
int wire_send(int sock, struct wire_packet *packet, const void *data, size_t len, const int fds[2]);
int wire_receive(int sock, struct wire_packet *packet, void *data, size_t size, int ret_fds[2]);

#endif
