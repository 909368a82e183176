/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path.c - whose name is it?  path.h tells the idea.
 *
 * The order of questions is the order of cost: can it be ours by its first letters; what is it in
 * full; does one of the owned places hold it; is it something in /sys that the machine has though no
 * owned place holds it (one system call).
 *
 * ".." goes to the physical parent when the name so far is in the machine, as the kernel does it,
 * and to the textual one elsewhere.  A host's symlink that leads into one of our places is not
 * noticed, except that of /proc/self/fd.
 */
#include "front/preload/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/lib/sys.h"

#define MEMFD_MARK "/memfd:"
#define MEMFD_TAIL " (deleted)"

static struct {
	char machine[PATH_MACHINE_MAX];	/* immutable from path_init() to path_forget(); canonical, no slash at its end */
	size_t machine_len;
	dev_t machine_dev; /* where it lies */
	bool cwd_near;			/* atomic: relative names may be ours */
	bool dir_fd_near;		/* atomic: names relative to a descriptor may be ours */
} self;

struct owned {
	const char *name;
	bool open_end; /* "/sys/devices/pci" holds "/sys/devices/pci0000:00" */
};

static const struct owned owned[] = {
	{ "/sys/bus/pci", true },
	{ "/sys/devices/pci", true },
	{ "/sys/bus/platform", false },
	{ "/sys/bus/amba", false },
	{ "/sys/class/pci_bus", false },
	{ "/sys/kernel/iommu_groups", false },
	{ "/sys/kernel/debug", false },
	{ "/sys/class/vfio", true },
	{ "/sys/class/iommu", false },
	{ "/sys/devices/virtual/vfio", true },
	{ "/sys/devices/virtual/iommu", false },
	{ "/sys/module/vfio", true },
	{ "/sys/dev/char/510:", true }, /* the majors of vfio.h: so that directories on the way are the host's */
	{ "/sys/dev/char/511:", true },
	{ "/dev/vfio", false },
	{ "/dev/iommu", false },
	{ "/proc/bus/pci", false },
};

enum owner { OWNER_HOST, OWNER_MACHINE, OWNER_ASK };

/* @len: so that a prefix of a name can be asked about. */
static enum owner owner_of(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
		size_t own = strlen(owned[i].name);

		if (len >= own && !memcmp(name, owned[i].name, own) &&
		    (owned[i].open_end || len == own || name[own] == '/'))
			return OWNER_MACHINE;
		/* A directory on the way to an owned place has other things in it, which are the host's. */
		if (len < own && !memcmp(name, owned[i].name, len) && owned[i].name[len] == '/')
			return OWNER_HOST;
	}
	return len > 5 && !memcmp(name, "/sys/", 5) ? OWNER_ASK : OWNER_HOST;
}

static bool below(const char *name, size_t len, const char *dir)
{
	size_t n = strlen(dir);

	return len >= n && !memcmp(name, dir, n) && (len == n || name[n] == '/');
}

const char *path_machine(void)
{
	return self.machine;
}

dev_t path_machine_dev(void)
{
	return self.machine_dev;
}

/* ---- from real to seen --------------------------------------------------------------------- */

/* Memory files stand for our files and are named as those; nobody else names one so. */
static bool is_our_memory(const char *name)
{
	return !strncmp(name, "/sys/", 5) || !strncmp(name, "/dev/", 5) || !strncmp(name, "/proc/", 6) || !strncmp(name, "anon_inode:", 11);
}

size_t path_strip(char *name, size_t len)
{
	size_t mark = strlen(MEMFD_MARK), tail = strlen(MEMFD_TAIL);

	if (self.machine_len && below(name, len, self.machine)) {
		len -= self.machine_len;
		if (!len)
			name[len++] = '/';
		else
			memmove(name, name + self.machine_len, len);
	} else if (len > mark + tail && !memcmp(name, MEMFD_MARK, mark) && is_our_memory(name + mark)) {
		len -= mark + tail;
		memmove(name, name + mark, len);
	}
	return len;
}

static ssize_t read_fd_link(int fd, char *buf, size_t size)
{
	char link[32] = "/proc/self/fd/";
	size_t at = strlen(link);
	char digits[12];
	int n = 0;

	if (fd < 0)
		return -EBADF;
	do
		digits[n++] = (char)('0' + fd % 10);
	while (fd /= 10);
	while (n)
		link[at++] = digits[--n];
	link[at] = '\0';
	return sys_readlink(link, buf, size);
}

ssize_t path_of_fd(int fd, char *buf, size_t size)
{
	ssize_t len = read_fd_link(fd, buf, size - 1);

	if (len < 0)
		return len;
	len = (ssize_t)path_strip(buf, (size_t)len);
	buf[len] = '\0';
	return len;
}

ssize_t path_of_memory(int fd, char *buf, size_t size)
{
	ssize_t len = read_fd_link(fd, buf, size - 1);
	size_t mark = strlen(MEMFD_MARK);

	if (len <= (ssize_t)mark || memcmp(buf, MEMFD_MARK, mark))
		return 0;
	buf[len] = '\0';
	if (!is_our_memory(buf + mark))
		return 0;
	len = (ssize_t)path_strip(buf, (size_t)len);
	buf[len] = '\0';
	return len;
}

static ssize_t path_of_cwd(char *buf, size_t size)
{
	long len = sys_getcwd(buf, size);

	if (len <= 1)
		return len < 0 ? len : -ENOENT;
	len = (long)path_strip(buf, (size_t)len - 1);
	buf[len] = '\0';
	return len;
}

/* What is behind "/proc/PID/", and whose that is; "self" and "thread-self" are this process.  NULL if it is not that. */
static const char *below_proc_pid(const char *path, long *ret_pid)
{
	const char *p = path + 6;

	*ret_pid = sys_getpid();
	if (strncmp(path, "/proc/", 6))
		return NULL;
	if (!strncmp(p, "self/", 5))
		return p + 5;
	if (!strncmp(p, "thread-self/", 12))
		return p + 12;
	for (*ret_pid = 0; *p >= '0' && *p <= '9' && *ret_pid < INT_MAX / 10; p++)
		*ret_pid = *ret_pid * 10 + (*p - '0');
	return *p == '/' && *ret_pid ? p + 1 : NULL;
}

static const char *below_proc_self(const char *path)
{
	long pid;
	const char *p = below_proc_pid(path, &pid);

	return pid == sys_getpid() ? p : NULL;
}

bool path_is_pagemap(const char *path)
{
	const char *p = below_proc_self(path);

	return p && !strcmp(p, "pagemap");
}

pid_t path_status_of(const char *path)
{
	long pid;
	const char *p = below_proc_pid(path, &pid);

	return p && !strcmp(p, "status") ? (pid_t)pid : 0;
}

/* "/proc/" and a number, in whose place "self" and "thread-self" may stand; what comes behind stays. */
static int name_with_numbers(const char *path, char *ret, size_t size)
{
	const char *p = path + 6;

	if (!strncmp(p, "self/", 5))
		return snprintf(ret, size, "/proc/%d/%s", sys_getpid(), p + 5);
	if (!strncmp(p, "thread-self/", 12))
		return snprintf(ret, size, "/proc/%d/task/%d/%s", sys_getpid(), sys_gettid(), p + 12);
	return snprintf(ret, size, "%s", path);
}

bool path_is_fault_file(int dir_fd, const char *path, char *ret, size_t size)
{
	static const char *const names[] = { "fail-nth", "make-it-fail" };
	const char *name = strrchr(path, '/');
	char whole[64];
	ssize_t len;

	name = name ? name + 1 : path;
	if (!self.machine_len || (strcmp(name, names[0]) && strcmp(name, names[1])))
		return false;
	if (path[0] != '/') {
		len = dir_fd == AT_FDCWD ? path_of_cwd(whole, sizeof(whole)) : path_of_fd(dir_fd, whole, sizeof(whole));
		if (len <= 0 || (size_t)snprintf(whole + len, sizeof(whole) - (size_t)len, "/%s", path) >= sizeof(whole) - (size_t)len)
			return false;
		path = whole;
	}
	if (strncmp(path, "/proc/", 6))
		return false;
	len = name_with_numbers(path, ret, size);
	return len > 0 && (size_t)len < size;
}

int path_self_fd(const char *path, const char *what)
{
	size_t len = strlen(what);
	const char *p;
	long fd = 0;

	if (!strncmp(path, "/dev/fd/", 8) && !strcmp(what, "fd")) {
		p = path + 8;
	} else {
		p = below_proc_self(path);
		if (!p)
			return -1;
		if (strncmp(p, what, len) || p[len] != '/')
			return -1;
		p += len + 1;
	}
	if (!*p)
		return -1;
	for (; *p >= '0' && *p <= '9' && fd < INT_MAX / 10; p++)
		fd = fd * 10 + (*p - '0');
	return *p ? -1 : (int)fd;
}

/* ---- from seen to real --------------------------------------------------------------------- */

/* Could names relative to this directory be ours? */
static bool dir_is_near(const char *dir, size_t len)
{
	return len == 1 || below(dir, len, "/sys") || below(dir, len, "/dev") || below(dir, len, "/proc") ||
	       (self.machine_len && below(dir, len, self.machine));
}

void path_entered(void)
{
	char dir[PATH_MAX];
	long len = sys_getcwd(dir, sizeof(dir));
	bool near = len > 1 && dir_is_near(dir, (size_t)len - 1);

	__atomic_store_n(&self.cwd_near, near, __ATOMIC_RELEASE);
}

void path_dir_opened(const struct path *p, const char *path)
{
	if (p->inside || path[0] != '/' || dir_is_near(path, strlen(path)))
		__atomic_store_n(&self.dir_fd_near, true, __ATOMIC_RELEASE);
}

int path_init(const char *machine_dir)
{
	int fd = sys_open(machine_dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	struct stat st;
	ssize_t len;

	if (fd < 0)
		return fd;
	len = read_fd_link(fd, self.machine, sizeof(self.machine));
	if (!sys_fstat(fd, &st))
		self.machine_dev = st.st_dev;
	sys_close(fd);
	if (len < 0)
		return (int)len;
	if (len >= (ssize_t)sizeof(self.machine))
		return -ENAMETOOLONG;
	self.machine[len] = '\0';
	self.machine_len = (size_t)len;
	path_entered();
	return 0;
}

void path_forget(void)
{
	self.machine_len = 0;
	self.machine[0] = '\0';
}

bool path_dirs_seen(void)
{
	return __atomic_load_n(&self.dir_fd_near, __ATOMIC_ACQUIRE);
}

/* A name being built: the program's absolute name, with room for the machine's directory before it. */
struct builder {
	char *name;
	size_t len, size;
	bool climbed; /* ".." was taken inside the machine */
};

static bool add_component(struct builder *b, const char *part, size_t len)
{
	if (b->len + 1 + len + 2 > b->size)
		return false;
	b->name[b->len++] = '/';
	memcpy(b->name + b->len, part, len);
	b->len += len;
	return true;
}

/* Where ".." leads from a name in the machine: the links in it count, so ask the system. */
static bool physical_parent(struct builder *b)
{
	int fd;
	ssize_t len;

	b->name[b->len] = '\0';
	fd = sys_open(b->name - self.machine_len, O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return false; /* so does the name with "..": keep it, and the system says what is wrong */
	len = path_of_fd(fd, b->name, b->size);
	sys_close(fd);
	if (len <= 0)
		return false;
	b->len = (size_t)len;
	return true;
}

static bool go_up(struct builder *b)
{
	if (owner_of(b->name, b->len) == OWNER_MACHINE) {
		b->climbed = true;
		if (!physical_parent(b))
			return add_component(b, "..", 2);
	}
	while (b->len && b->name[b->len - 1] != '/')
		b->len--;
	if (b->len)
		b->len--;
	return true;
}

/* Append the components of @path, without "." and with ".." walked. */
static bool walk(struct builder *b, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		bool ok = true;

		if (len == 2 && path[0] == '.' && path[1] == '.')
			ok = go_up(b);
		else if (len && !(len == 1 && path[0] == '.'))
			ok = add_component(b, path, len);
		if (!ok)
			return false;
		path += len;
		while (*path == '/')
			path++;
	}
	return true;
}

bool path_may_be_near(int dir_fd)
{
	return dir_fd == AT_FDCWD ? __atomic_load_n(&self.cwd_near, __ATOMIC_ACQUIRE) : path_dirs_seen();
}

/* The first letters decide for nearly every name. */
static bool may_be_ours(int dir_fd, const char *path)
{
	if (path[0] == '/')
		return path[1] == 's' ? path[2] == 'y' && path[3] == 's' :
		       path[1] == 'd' ? path[2] == 'e' && path[3] == 'v' && path[4] == '/' &&
					(path[5] == 'v' || path[5] == 'i' || path[5] == '.' || path[5] == '/') :
		       path[1] == 'p' ? path[2] == 'r' && path[3] == 'o' && path[4] == 'c' &&
					path[5] == '/' && path[6] == 'b' :
		       path[1] == '/' || path[1] == '.';
	return path[0] && path_may_be_near(dir_fd);
}

static bool in_machine(const struct builder *b)
{
	enum owner owner = owner_of(b->name, b->len);

	if (owner != OWNER_ASK)
		return owner == OWNER_MACHINE;
	b->name[b->len] = '\0';
	return sys_faccessat(AT_FDCWD, b->name - self.machine_len, F_OK) == 0;
}

bool path_resolve(int dir_fd, const char *path, struct path *p)
{
	struct builder b = { .name = p->buf + self.machine_len, .size = PATH_MAX };
	bool was_inside = false;
	ssize_t len;

	p->name = path;
	p->dir_fd = dir_fd;
	p->inside = NULL;
	/* A pointer into the first page is a mistake that the system answers with EFAULT. */
	if (!self.machine_len || (uintptr_t)path < PAGE_SIZE)
		return false;
	if ((path[0] == '/' ? path[1] == 'p' : may_be_ours(dir_fd, path)) &&
	    path_is_fault_file(dir_fd, path, p->buf, sizeof(p->buf))) {
		strcpy(strrchr(p->buf, '/'), "/comm"); /* the host's file with the same owner and mode */
		p->name = p->buf;
		p->dir_fd = AT_FDCWD;
		return false;
	}
	if (!may_be_ours(dir_fd, path))
		return false;
	memcpy(p->buf, self.machine, self.machine_len);
	if (path[0] != '/') {
		len = dir_fd == AT_FDCWD ? path_of_cwd(b.name, b.size) : path_of_fd(dir_fd, b.name, b.size);
		if (len <= 0 || b.name[0] != '/')
			return false;
		b.len = len == 1 ? 0 : (size_t)len;
		was_inside = owner_of(b.name, b.len) != OWNER_HOST;
	}
	if (!walk(&b, path))
		return false;
	if (in_machine(&b)) {
		p->name = p->buf;
		p->inside = b.name;
	} else if (was_inside || b.climbed) { /* out of the machine, to where the host has its own */
		p->name = b.name;
	} else {
		return false;
	}
	if (!b.len || path[strlen(path) - 1] == '/')
		b.name[b.len++] = '/'; /* a slash at the end follows links */
	b.name[b.len] = '\0';
	p->dir_fd = AT_FDCWD;
	return p->inside;
}
