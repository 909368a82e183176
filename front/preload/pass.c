/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pass.c - descriptors that go to other processes, and that come: in messages, by pidfd_getfd(), to programs that are
 * started with them.
 *
 * Whoever gives one away changes nothing for the call; but from then on the file lives until the others have closed it
 * too (kernel/fs/share.c), and this process listens (kernel/syscall/serve.h).  Who gets one asks the processes of the machine
 * that listen whose it is, and has its kernel there from then on, as a forked child has (fork.c).  A process that uses
 * a kernel of its own gets but those back that it gave away; others stay plain files.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "front/preload/front.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"

/* Its kernel can be found from now on. */
static void listen_for_others(void)
{
	if (front_kernel_elsewhere())
		proxy_listen();
	else
		serve_listen();
}

/* Return: it is one of ours, and may now be in another process. */
static bool share_one(int fd)
{
	struct file *file = !fd_is_ours(fd) || front_is_stale(fd) ? NULL : fget(fd);

	if (file && file->f_op->shared)
		file_share(fd, file);
	fput(file);
	return file && !file->on_host;
}

static void share(int fd)
{
	if (share_one(fd))
		listen_for_others();
}

bool front_share_files(void)
{
	bool inherited = false;

	for (int fd = 0; fd < front_fd_count(); fd++)
		inherited |= share_one(fd) && sys_fcntl(fd, F_GETFD, 0) == 0;
	return inherited;
}

/* A forked child needs nobody to find its kernel (fork.c); a program does that inherits descriptors. */
void front_share_all(void)
{
	if (front_share_files())
		listen_for_others();
}

/* Each descriptor in a message.  What is not there, the call itself will find, or has found. */
static void for_each_fd(const struct msghdr *user, void (*fn)(int fd))
{
	struct msghdr msg;
	struct cmsghdr cmsg;
	int fd;

	if (copy_from_user(&msg, user, sizeof(msg)) || !msg.msg_control)
		return;
	for (size_t at = 0; at + sizeof(cmsg) <= msg.msg_controllen; at += CMSG_ALIGN(cmsg.cmsg_len)) {
		const char *data = (const char *)msg.msg_control + at;

		if (copy_from_user(&cmsg, data, sizeof(cmsg)) || cmsg.cmsg_len < sizeof(cmsg) ||
		    cmsg.cmsg_len > msg.msg_controllen - at)
			return;
		if (cmsg.cmsg_level != SOL_SOCKET || cmsg.cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = CMSG_LEN(0); i + sizeof(fd) <= cmsg.cmsg_len; i += sizeof(fd))
			if (!copy_from_user(&fd, data + i, sizeof(fd)))
				fn(fd);
	}
}

/* Is @fd what a descriptor of ours is on the host: a memory file, or a node in the machine's directory? */
static bool may_be_ours(int fd)
{
	char link[32], name[PATH_MAX];
	const char *machine = path_machine();
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = sys_readlink(link, name, sizeof(name) - 1);
	if (len <= 0)
		return false;
	name[len] = '\0';
	return !strncmp(name, "/memfd:", 7) || !strncmp(name, machine, strlen(machine));
}

/* Nothing of a kernel of our own is in use, which another process's could not stand in for. */
static bool has_no_kernel(void)
{
	struct vm_area *vma = vma_find_first(mm_self(), 0, ~0ull);

	vma_put(vma);
	for (int fd = 0; fd < front_fd_count() && !vma; fd++)
		if (fd_is_ours(fd))
			return false;
	return !vma;
}

static pthread_mutex_t finding = PTHREAD_MUTEX_INITIALIZER; /* whose kernel this process is to have */

void front_pass_in_child(void)
{
	finding = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* The file of another process that @fd is of, with a reference; NULL.  The first decides whose kernel this process has. */
static struct file *find(int fd)
{
	struct file *file = NULL;

	if (!front_kernel_elsewhere() && front_attached())
		file = file_find_shared(fd);
	if (file)
		return file;
	pthread_mutex_lock(&finding);
	if (front_kernel_elsewhere()) {
		file = proxy_find(fd);
	} else if (has_no_kernel()) {
		file = proxy_begin_with(fd);
		if (file)
			front_elsewhere();
	}
	pthread_mutex_unlock(&finding);
	return file;
}

/* A descriptor came to this process. */
static void take(int fd)
{
	struct file *file = fd_is_ours(fd) || fd_is_private(fd) || !may_be_ours(fd) ? NULL : find(fd);

	if (file)
		front_fd_install(fd, file);
}

void front_take_inherited(void)
{
	char buf[4096];
	int dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	ssize_t len;

	while (dir >= 0 && (len = sys_getdents64(dir, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < len; at += ((struct dirent64 *)(buf + at))->d_reclen) {
			const char *name = ((struct dirent64 *)(buf + at))->d_name;
			int fd = (int)strtol(name, NULL, 10);

			if (*name != '.' && fd > 2 && fd != dir)
				take(fd);
		}
	if (dir >= 0)
		sys_close(dir);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (unlikely(front_fd_count()))
		for_each_fd(msg, share);
	return REAL(sendmsg)(fd, msg, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	for (unsigned i = 0; unlikely(front_fd_count()) && i < count; i++)
		for_each_fd(&msgs[i].msg_hdr, share);
	return REAL(sendmmsg)(fd, msgs, count, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = REAL(recvmsg)(fd, msg, flags);
	int saved = errno;

	if (unlikely(*path_machine()) && n >= 0)
		for_each_fd(msg, take);
	errno = saved;
	return n;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout)
{
	int n = REAL(recvmmsg)(fd, msgs, count, flags, timeout), saved = errno;

	for (int i = 0; unlikely(*path_machine()) && i < n; i++)
		for_each_fd(&msgs[i].msg_hdr, take);
	errno = saved;
	return n;
}

int pidfd_getfd(int pidfd, int fd, unsigned flags);

EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	int saved = errno, got = (int)sys_call(SYS_pidfd_getfd, pidfd, fd, flags, 0);

	if (unlikely(*path_machine()) && got >= 0)
		take(got);
	return (int)front_return(got, saved);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	front_share_all();
	return REAL(posix_spawn)(pid, path, actions, attr, argv, envp);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	front_share_all();
	return REAL(posix_spawnp)(pid, file, actions, attr, argv, envp);
}

/* Of newer libcs. */
int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		char *const argv[], char *const envp[]);
int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		 char *const argv[], char *const envp[]);

EXPORT int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	front_share_all();
	return REAL(pidfd_spawn)(pidfd, path, actions, attr, argv, envp);
}

EXPORT int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	front_share_all();
	return REAL(pidfd_spawnp)(pidfd, file, actions, attr, argv, envp);
}

EXPORT int system(const char *command)
{
	front_share_all();
	return REAL(system)(command);
}

EXPORT FILE *popen(const char *command, const char *mode)
{
	front_share_all();
	return REAL(popen)(command, mode);
}
