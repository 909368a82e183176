/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - packets: see wire.h. */
#include "kernel/syscall/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

static const int no_fds[2] = { -1, -1 };

void wire_describe(const struct file *file, struct wire_file *ret)
{
	const struct file_operations *ops = file->f_op;

	*ret = (struct wire_file){
		.id = file->id,
		.rdev = file->rdev,
		.size = file->size,
		.kind = ops->kind,
		.ops = (ops->ioctl ? WIRE_HAS_IOCTL : 0) | (ops->read ? WIRE_HAS_READ : 0) |
		       (ops->write ? WIRE_HAS_WRITE : 0) | (ops->lseek ? WIRE_HAS_LSEEK : 0) |
		       (ops->mmap ? WIRE_HAS_MMAP : 0) | (ops->fdinfo ? WIRE_HAS_FDINFO : 0) |
		       (ops->link ? WIRE_HAS_LINK : 0) | (ops->flush ? WIRE_HAS_FLUSH : 0) |
		       (ops->stream ? WIRE_IS_STREAM : 0) | (ops->shared ? WIRE_IS_SHARED : 0),
		.f_flags = file->f_flags,
		.mode = file->mode,
		.numbered = file->numbered,
	};
	snprintf(ret->path, sizeof(ret->path), "%s", file->path);
}

int wire_pair(int ret_fds[2])
{
	FORK_CHANGE;
	int fds[2], err = sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, fds);

	if (err)
		return fail(err, "the host gives no socket for the calls of another process");
	ret_fds[0] = fd_private_exclusive(fds[0]);
	ret_fds[1] = fd_private_exclusive(fds[1]);
	for (int i = 0; i < 2; i++)
		if (ret_fds[i] < 0)
			sys_close(fds[i]);
	if (ret_fds[0] >= 0 && ret_fds[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (ret_fds[i] >= 0)
			fd_private_close(ret_fds[i]);
	return -EMFILE;
}

int wire_send(int sock, struct wire_packet *packet, const void *data, size_t len, const int fds[2])
{
	struct iovec iov[2] = { { packet, sizeof(*packet) }, { (void *)(uintptr_t)data, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct cmsghdr *cmsg = (struct cmsghdr *)control;
	size_t nr = (fds[0] >= 0) + (fds[1] >= 0);
	ssize_t n;

	packet->len = (u32)len;
	if (nr) {
		*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(nr * sizeof(int)), .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
	}
	do
		n = sys_sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n == -EINTR);
	return n < 0 ? (int)n : 0;
}

static void take_fds(struct msghdr *msg, int ret_fds[2])
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fds, CMSG_DATA(cmsg), min(cmsg->cmsg_len - CMSG_LEN(0), 2 * sizeof(int)));
}

int wire_receive(int sock, struct wire_packet *packet, void *data, size_t size, int ret_fds[2])
{
	struct iovec iov[2] = { { packet, sizeof(*packet) }, { data, size } };
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;

	memcpy(ret_fds, no_fds, sizeof(no_fds));
	do
		n = sys_recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n == -EINTR);
	if (n < 0)
		return (int)n;
	take_fds(&msg, ret_fds);
	if (!n && ret_fds[0] < 0)
		return -EPIPE;
	if ((size_t)n >= sizeof(*packet) && (size_t)n == sizeof(*packet) + packet->len && !(msg.msg_flags & MSG_TRUNC))
		return 0;
	for (int i = 0; i < 2; i++) {
		if (ret_fds[i] >= 0)
			sys_close(ret_fds[i]);
		ret_fds[i] = -1;
	}
	return -EPROTO;
}

/* ---- who has a kernel ---- */

/* Names of sockets that have no file: gone with the process. */
static char prefix[64] = "softvfio/";

void wire_machine(const char *dir)
{
	struct stat st;

	if (!sys_stat(dir, &st))
		snprintf(prefix, sizeof(prefix), "softvfio/%llx.%llx/", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
}

static unsigned name_of(int pid, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (unsigned)offsetof(struct sockaddr_un, sun_path) + 1 +
	       (unsigned)snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "%s%d", prefix, pid);
}

int wire_listener(void)
{
	struct sockaddr_un name;
	unsigned len = name_of(sys_getpid(), &name);
	int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC), hidden, err = fd;

	if (fd >= 0)
		err = sys_bind(fd, (struct sockaddr *)&name, len);
	if (!err)
		err = sys_listen(fd, 16);
	hidden = err ? err : fd_private_exclusive(fd);
	if (fd >= 0 && hidden < 0)
		sys_close(fd);
	return hidden;
}

static int socket_option(int fd, int name)
{
	int value;
	unsigned len = sizeof(value);

	return sys_getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

bool wire_is_connection(int fd)
{
	struct ucred peer;
	unsigned len = sizeof(peer);

	return socket_option(fd, SO_DOMAIN) == AF_UNIX && socket_option(fd, SO_TYPE) == SOCK_SEQPACKET &&
	       !sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.uid != (uid_t)-1; /* it has a peer */
}

bool wire_trusts(int sock)
{
	struct ucred peer;
	unsigned len = sizeof(peer);

	return !sys_getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) && (!peer.uid || peer.uid == sys_geteuid());
}

static int connect_to(int pid)
{
	struct sockaddr_un name;
	unsigned len = name_of(pid, &name);
	int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC), hidden = fd;

	if (fd >= 0)
		hidden = sys_connect(fd, (struct sockaddr *)&name, len);
	if (!hidden)
		hidden = wire_trusts(fd) ? fd_private_exclusive(fd) : -EACCES;
	if (fd >= 0 && hidden < 0)
		sys_close(fd);
	return hidden;
}

/* The lowest number behind @pid in the host's list of sockets; 0: there is none. */
static int next_pid(const char *list, int pid)
{
	const char *at = list;
	int next = 0;

	while ((at = strstr(at, prefix))) {
		int found = (int)strtol(at + strlen(prefix), NULL, 10);

		if (at > list && at[-1] == '@' && found > pid && (!next || found < next))
			next = found;
		at += strlen(prefix);
	}
	return next;
}

/* NUL behind it; NULL. */
static char *read_list(void)
{
	int fd = sys_open("/proc/self/net/unix", O_RDONLY | O_CLOEXEC, 0);
	size_t len = 0, room = 64 << 10;
	char *text = fd < 0 ? NULL : kmalloc(room), *more;
	ssize_t n;

	while (text && (n = sys_read(fd, text + len, room - len - 1)) > 0) {
		len += (size_t)n;
		if (room - len > PAGE_SIZE)
			continue;
		more = krealloc(text, room *= 2);
		if (!more)
			kfree(text);
		text = more;
	}
	if (text)
		text[len] = '\0';
	if (fd >= 0)
		sys_close(fd);
	return text;
}

int wire_next_listener(int *pid)
{
	char *list = read_list();
	int sock = -ENOENT;

	while (list && sock < 0 && (*pid = next_pid(list, *pid)))
		sock = connect_to(*pid);
	kfree(list);
	return sock < 0 ? -ENOENT : sock;
}
