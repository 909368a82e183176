/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - /proc/PID/status: VmLck and VmPin count what is pinned for devices.
 *
 * The host's kernel knows nothing of our pins, so the two lines are written anew, with what the host counts
 * plus what we do.  The program gets a copy of the text as it is when it opens the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "front/preload/front.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/mm/mm.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"

/* Add @pages to the number behind @label, a whole line of *@text; it may grow by the digits of a number. */
static void add_to_line(char *text, size_t size, const char *label, u64 pages)
{
	char *line = strstr(text, label), *end, rest[8192];
	unsigned long long kb;

	if (!line || !pages)
		return;
	line += strlen(label);
	kb = strtoull(line, &end, 10) + ((unsigned long long)pages << (PAGE_SHIFT - 10));
	snprintf(rest, sizeof(rest), "%s", end);
	snprintf(line, size - (size_t)(line - text), "\t%8llu%s", kb, rest);
}

/* Of this process, of one that it serves, or of those that a forked child's kernel knows. */
static void accounts_of(pid_t pid, u64 *ret_locked, u64 *ret_pinned)
{
	*ret_locked = *ret_pinned = 0;
	if (front_kernel_elsewhere()) {
		proxy_accounts(pid, ret_locked, ret_pinned);
	} else if (pid != sys_getpid()) {
		serve_accounts(pid, ret_locked, ret_pinned);
	} else {
		*ret_locked = locked_vm_pages(mm_self());
		*ret_pinned = pinned_vm_pages(mm_self());
	}
}

int front_open_status(const char *path, pid_t pid, int flags)
{
	u64 locked, pinned;
	char text[8192];
	ssize_t len;
	int fd;

	file_reap();
	accounts_of(pid, &locked, &pinned);
	if ((!pinned && !locked) || (flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH))
		return -ENOENT;
	fd = sys_open(path, flags, 0);
	if (fd < 0)
		return fd;
	len = sys_read(fd, text, sizeof(text) - 64);
	sys_close(fd);
	text[len < 0 ? 0 : len] = '\0';
	add_to_line(text, sizeof(text), "\nVmLck:", locked);
	add_to_line(text, sizeof(text), "\nVmPin:", pinned);
	fd = sys_memfd_create("status", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	sys_write(fd, text, strlen(text));
	sys_lseek(fd, 0, SEEK_SET);
	return fd;
}
