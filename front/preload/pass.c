/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pass.c - descriptors that go to other processes: by fork(), in messages, to programs that are started without it.
 * Nothing changes for the call; but from then on a file lives until the others have closed it too (kernel/fs/share.c).
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "front/preload/front.h"
#include "kernel/mm/mm.h"

static void share(int fd)
{
	struct file *file = !fd_is_ours(fd) || front_is_foreign(fd) || front_is_stale(fd) ? NULL : fget(fd);

	if (file && file->f_op->shared)
		file_share(fd, file);
	fput(file);
}

void front_share_all(void)
{
	for (int fd = 0; fd < front_fd_count(); fd++)
		share(fd);
}

/* What is not there, the call itself will find. */
static void share_message(const struct msghdr *user)
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
				share(fd);
	}
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (unlikely(front_fd_count()))
		share_message(msg);
	return REAL(sendmsg)(fd, msg, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	for (unsigned i = 0; unlikely(front_fd_count()) && i < count; i++)
		share_message(&msgs[i].msg_hdr);
	return REAL(sendmmsg)(fd, msgs, count, flags);
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
