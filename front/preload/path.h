/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path.h - which names are the machine's, and where they really are.
 *
 * A machine is a directory with sys/ and dev/ in it.  A name that the program uses is turned into an
 * absolute one as the program sees it ("/sys/bus/pci/devices"), and if the machine owns it, into
 * the real one below the machine's directory.  Names that come back to the program (readlink, getcwd)
 * go the other way.
 *
 * The host's own PCI devices, IOMMU groups and VFIO nodes are in no program's sight: their places
 * belong to the machine even where it has nothing there.  All else in /sys and /dev is the host's.
 */
#ifndef FRONT_PRELOAD_PATH_H
#define FRONT_PRELOAD_PATH_H

#include <limits.h>
#include <sys/types.h>

#include "kernel/lib/types.h"

#define PATH_MACHINE_MAX 512

struct path {
	const char *name;	/* what to give to the system: the caller's own string, or below */
	int dir_fd;		/* what it is relative to */
	const char *inside;	/* the program's absolute name if it is the machine's; NULL: the host's */
	char buf[PATH_MACHINE_MAX + PATH_MAX];
};

/** path_init - the machine's directory.  Return: 0; -errno: it does not exist or has too long a name. */
int path_init(const char *machine_dir);
/** path_forget - no name is a machine's any more.  No other thread is in a call. */
void path_forget(void);
const char *path_machine(void);
/** path_machine_dev - the file system on which that is: files elsewhere are none of the machine's. */
dev_t path_machine_dev(void);

/**
 * path_resolve - find out whose name it is
 * Any thread, async-signal-safe.  errno is left alone.  For names that cannot be ours it costs a few
 * comparisons; @p->name is then @path.
 * Return: true if it is the machine's: @p->name is the real one, absolute.  False else; for a task's fail-nth
 * @p->name then is that of a file like it.
 */
bool path_resolve(int dir_fd, const char *path, struct path *p);

/** path_entered - the working directory changed: look whether relative names need a look from now on. */
void path_entered(void);
/** path_dir_opened - a descriptor of directory @p is in the program's hands: so do names relative to it. */
void path_dir_opened(const struct path *p, const char *path);

/** path_may_be_near - could names relative to this directory be ours? */
bool path_may_be_near(int dir_fd);
/** path_dirs_seen - was path_dir_opened() of any use so far? */
bool path_dirs_seen(void);

/**
 * path_strip - turn a real name below the machine's directory into the program's, in place
 * Names of our memory files ("/memfd:/dev/vfio/vfio (deleted)") become what they stand for.
 * Return: the new length.
 */
size_t path_strip(char *name, size_t len);
/** path_of_fd - the program's name of the directory or file behind a descriptor.  Return: length; -errno. */
ssize_t path_of_fd(int fd, char *buf, size_t size);
/** path_of_memory - the same, if it is a memory file that stands for a file of ours.  Return: length; 0. */
ssize_t path_of_memory(int fd, char *buf, size_t size);
/** path_self_fd - is it "/proc/self/<what>/N", "/proc/PID/<what>/N" of ours, "/dev/fd/N"?  Return: N; -1. */
int path_self_fd(const char *path, const char *what);
/** path_is_pagemap - is it "/proc/self/pagemap", also by PID or "thread-self"? */
bool path_is_pagemap(const char *path);
/** path_status_of - whose "/proc/PID/status" is it?  This process's for "self" and "thread-self"; 0: it is none. */
pid_t path_status_of(const char *path);
/**
 * path_is_fault_file - a task's fail-nth or make-it-fail, which the host's kernel need not have?
 * @ret: the absolute name with numbers for "self" and "thread-self": "/proc/5/task/7/fail-nth"
 */
bool path_is_fault_file(int dir_fd, const char *path, char *ret, size_t size);

#endif
