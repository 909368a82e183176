/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * busy.c - is it open in another process?
 *
 * Each process of a machine has its own kernel, so "a group opens once" and "unbind waits until the
 * device is closed" need something that all of them see and that goes away with a process that dies:
 * a lock (flock) on a file of the machine's tree.  The lock belongs to the open file description, so
 * dups and forked children share it as they would share the open group.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/base/device.h"
#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/vfio/vfio_priv.h"

int vfio_busy_open(const char *path, int flags)
{
	char full[PATH_MAX];

	if (!kernfs_root())
		return -ENODEV;
	if (snprintf(full, sizeof(full), "%s/%s", kernfs_root(), path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	return sys_open(full, flags | O_CLOEXEC, 0);
}

int vfio_busy_lock(const char *path, int flags, bool exclusive)
{
	int fd = vfio_busy_open(path, flags), ret;

	if (fd < 0)
		return fd;
	ret = sys_flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
	if (!ret)
		return fd;
	sys_close(fd);
	return ret;
}

int vfio_busy_open_node(const char *node, unsigned int f_flags)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "dev/%s", node);
	fd = vfio_busy_open(path, (int)f_flags & (O_ACCMODE | O_NONBLOCK));
	if (fd < 0)
		return fail(fd, "the node %s in the machine's directory cannot be opened", path);
	ret = fd_private_exclusive(fd);
	if (ret >= 0)
		return ret;
	sys_close(fd);
	return fail(ret, "no descriptor left for /dev/%s", node);
}

static int is_locked(void *dev, const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/vfio-dev/%s/dev", ((struct device *)dev)->path, name);
	fd = vfio_busy_lock(path, O_RDONLY, true);
	if (fd >= 0)
		sys_close(fd);
	return fd == -EWOULDBLOCK;
}

bool vfio_device_used(struct device *dev)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/vfio-dev", dev->path);
	return kernfs_for_each(path, is_locked, dev) == 1;
}

/* A line of /proc/locks: "3: FLOCK  ADVISORY  WRITE 4711 00:31:9876 0 EOF" */
static int holder_in_line(const char *line, const struct stat *st)
{
	unsigned maj, min;
	unsigned long ino;
	int pid;

	if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &maj, &min, &ino) != 4)
		return 0;
	return maj == major(st->st_dev) && min == minor(st->st_dev) && ino == st->st_ino && pid > 0 ? pid : 0;
}

static int find_holder(const struct stat *st)
{
	char buf[16384], *line, *next;
	int fd = sys_open("/proc/locks", O_RDONLY | O_CLOEXEC, 0), pid = 0;
	ssize_t len;

	if (fd < 0)
		return 0;
	len = sys_read(fd, buf, sizeof(buf) - 1);
	sys_close(fd);
	if (len <= 0)
		return 0;
	buf[len] = 0;
	for (line = buf; line && *line && !pid; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		pid = holder_in_line(line, st);
	}
	return pid;
}

static void process_name(int pid, char *buf, size_t size)
{
	char path[32];
	ssize_t len;
	int fd;

	buf[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	len = sys_read(fd, buf, size - 1);
	sys_close(fd);
	buf[len > 0 ? len : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

const char *vfio_busy_holder(const char *path, char *buf, size_t size)
{
	int fd = vfio_busy_open(path, O_RDONLY), pid = 0;
	struct stat st;
	char comm[32];

	if (fd >= 0) {
		if (!sys_fstat(fd, &st))
			pid = find_holder(&st);
		sys_close(fd);
	}
	if (!pid) {
		snprintf(buf, size, "another process");
		return buf;
	}
	if (pid == sys_getpid()) { /* who took the lock closed the file; whom he forked has it still */
		snprintf(buf, size, "a child of process %d, or whom it sent the descriptor", pid);
		return buf;
	}
	process_name(pid, comm, sizeof(comm));
	snprintf(buf, size, "process %d (%s)", pid, comm);
	return buf;
}
