/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stress_sys.h - the calls that stress.c and stress_pasids.c make: a client's own, or straight through the door.
 *
 * As a client (under softvfio run) they are libc's.  With STRESS_INPROC the machine is in the program
 * itself, so that ThreadSanitizer sees everything; there is then one process and BARs are reached
 * through mmio_access() instead of a trap.
 */
#ifndef TESTS_STRESS_STRESS_SYS_H
#define TESTS_STRESS_STRESS_SYS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef STRESS_INPROC
#include "kernel/fs/kernfs.h"
#include "kernel/lib/fork.h"
#include "kernel/mm/pins.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"
#include "kernel/syscall/wire.h"
#include "tests/fuzz/rig.h"

static inline long s_ret(long ret)
{
	if (ret >= 0)
		return ret;
	errno = (int)-ret;
	return -1;
}

/* A path that the machine does not know: a client would look for a real file, and there is none. */
static inline int s_open(const char *path)
{
	int fd = rig_open(path, O_RDWR);

	return (int)s_ret(fd == -ENOSYS ? -ENOENT : fd);
}

static inline void s_close(int fd) { rig_close(fd); }
static inline long s_ioctl(int fd, unsigned cmd, const void *arg) { return s_ret(rig_ioctl(fd, cmd, (unsigned long)arg)); }
static inline long s_pread(int fd, void *buf, size_t len, uint64_t at) { return s_ret(rig_pread(fd, buf, len, at)); }
static inline long s_pwrite(int fd, const void *buf, size_t len, uint64_t at) { return s_ret(rig_pwrite(fd, buf, len, at)); }

/* Without a position. */
static inline long s_read(int fd, void *buf, size_t len)
{
	struct file *file = fget(fd);
	ssize_t ret = do_read(fd, file, buf, len, NULL);

	fput(file);
	return s_ret(ret);
}

static inline long s_write(int fd, const void *buf, size_t len)
{
	struct file *file = fget(fd);
	ssize_t ret = do_write(fd, file, buf, len, NULL);

	fput(file);
	return s_ret(ret);
}

static inline int s_dup(int fd)
{
	FORK_CHANGE;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	rig_must(copy >= 0 && !fd_install(copy, fget(fd)));
	return copy;
}

static inline const char *s_root(void) { return kernfs_root(); }

/* s_attr_write - 0, or the errno of writing @text into an attribute. */
static inline int s_attr_write(const char *path, const char *text)
{
	int fd = rig_open(path, O_WRONLY), err;

	if (fd < 0)
		return -fd;
	err = (int)rig_pwrite(fd, text, strlen(text), 0);
	rig_close(fd);
	return err < 0 ? -err : 0;
}

static inline void *s_map_bar(int fd, size_t len)
{
	void *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct file *file = fget(fd);
	struct vm_area *vma;
	int ret;

	rig_must(at != MAP_FAILED);
	ret = do_mmap(fd, file, (uintptr_t)at, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &vma);
	fput(file);
	if (ret) {
		munmap(at, len);
		return NULL;
	}
	vma_insert(mm_self(), vma);
	return at;
}

static inline void s_unmap_bar(void *at, size_t len)
{
	rig_must(!vma_remove(mm_self(), (uintptr_t)at, len));
	munmap(at, len);
}

static inline uint32_t s_load(const void *bar, unsigned off)
{
	uint32_t val = 0;

	mmio_access((uintptr_t)bar + off, &val, 4, false);
	return val;
}

static inline void s_store(void *bar, unsigned off, uint32_t val)
{
	mmio_access((uintptr_t)bar + off, &val, 4, true);
}

/* What the front does about a fork: front/preload/fork.c.  Mappings of BARs the child makes anew. */
static inline pid_t s_fork(void)
{
	static struct file *proxies[1024];
	static pid_t kernel; /* which process has it */
	int pair[2] = { -1, -1 };
	unsigned held;
	pid_t pid;

	if (proxy_active()) {
		pair[1] = proxy_connect_child();
	} else {
		kernel = getpid();
		rig_must(!wire_pair(pair));
	}
	held = fork_begin();
	for (int fd = 0; fd < 1024; fd++) {
		struct file *file = fd_is_ours(fd) ? fget(fd) : NULL;

		if (file)
			file_share(fd, file);
		fput(file);
	}
	pid = fork();
	fork_end(held, !pid);
	if (pid) {
		fd_private_close(pair[1]);
		if (pair[0] >= 0)
			serve_process(pair[0], 1024);
		return pid;
	}
	vma_forget_all(mm_self());
	file_forget_all();
	pins_forget();
	fd_private_forget_exclusive(pair[1]);
	proxy_begin(pair[1], kernel);
	for (int fd = 0; fd < 1024; fd++)
		proxies[fd] = fd_is_ours(fd) ? proxy_of(fget(fd), fd) : NULL;
	for (int fd = 0; fd < 1024; fd++)
		rig_must(!proxies[fd] || !fd_install(fd, proxies[fd]));
	return 0;
}

static inline int s_munmap(void *at, size_t len)
{
	struct pins_change c;
	int ret;

	if (!mm_pins_near((uintptr_t)at, len))
		return munmap(at, len);
	pins_change_begin(&c, "munmap");
	rig_must(!pins_change_leave(&c, (uintptr_t)at, len));
	ret = munmap(at, len);
	pins_change_end(&c, !ret);
	return ret;
}

/* What the front does about a wait: front/preload/wait.c. */
static inline pid_t s_waitpid(pid_t pid, int *status)
{
	pid = waitpid(pid, status, 0);
	if (pid > 0 && proxy_active())
		proxy_wait_for(pid);
	else if (pid > 0)
		serve_wait_for(pid);
	return pid;
}

/* Of a child. */
static inline _Noreturn void s_end(int status)
{
	if (proxy_active())
		proxy_end();
	_exit(status);
}
#else
static inline pid_t s_fork(void) { return fork(); }
static inline pid_t s_waitpid(pid_t pid, int *status) { return waitpid(pid, status, 0); }
static inline int s_munmap(void *at, size_t len) { return munmap(at, len); }
static inline _Noreturn void s_end(int status) { exit(status); }
static inline int s_open(const char *path) { return open(path, O_RDWR | O_CLOEXEC); }
static inline void s_close(int fd) { close(fd); }
static inline long s_ioctl(int fd, unsigned cmd, const void *arg) { return ioctl(fd, cmd, arg); }
static inline long s_pread(int fd, void *buf, size_t len, uint64_t at) { return pread(fd, buf, len, (off_t)at); }
static inline long s_pwrite(int fd, const void *buf, size_t len, uint64_t at) { return pwrite(fd, buf, len, (off_t)at); }
static inline long s_read(int fd, void *buf, size_t len) { return read(fd, buf, len); }
static inline long s_write(int fd, const void *buf, size_t len) { return write(fd, buf, len); }
static inline int s_dup(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

static inline int s_attr_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static inline const char *s_root(void) { return ""; }

static inline void *s_map_bar(int fd, size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static inline void s_unmap_bar(void *at, size_t len) { munmap(at, len); }
static inline uint32_t s_load(const void *bar, unsigned off) { return *(const volatile uint32_t *)((const char *)bar + off); }
static inline void s_store(void *bar, unsigned off, uint32_t val) { *(volatile uint32_t *)((char *)bar + off) = val; }
#endif

/* ---- for both ways ---- */

static inline int s_open_cdev(const char *name)
{
	char path[320];
	struct dirent *entry;
	int fd = -1, err = ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/vfio-dev", s_root(), name);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.200s", entry->d_name);
		fd = s_open(path);
		err = errno;
	}
	closedir(dir);
	errno = err;
	return fd;
}

/* ---- chance and time ---- */

static inline unsigned rnd(unsigned *state, unsigned below)
{
	*state = *state * 1103515245u + 12345;
	return (*state >> 8) % below;
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void nap(unsigned us)
{
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

#endif
