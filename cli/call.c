/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.c - asking the programs that run on a machine (machine/control.c is the other end).
 *
 * Each has a socket in the machine's run/.  A name there that is no process id is left alone; one behind which
 * nobody listens is what a killed program left, and is removed.  A program that does not answer within some
 * seconds is not waited for.  Whatever comes back is text from somebody else: its control characters are dropped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/scene.h"

#define ANSWER_MAX (4u << 20)
#define PACKET_MAX 65536

/* -ECONNREFUSED: nobody is there any more. */
static int connect_to(int dir_fd, int pid)
{
	const struct timeval patience = { .tv_sec = 3 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%d", dir_fd, pid);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Return: the answer, to be freed; NULL: none came. */
static char *ask(int fd, const char *call)
{
	char *answer = malloc(ANSWER_MAX + 1);
	size_t len = 0;
	ssize_t n = -1;

	if (answer && send(fd, call, strlen(call), MSG_NOSIGNAL) > 0)
		while (len + PACKET_MAX <= ANSWER_MAX && (n = recv(fd, answer + len, PACKET_MAX, 0)) > 0)
			len += (size_t)n;
	if (n || !len) {
		free(answer);
		return NULL;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)answer[i] < ' ' && answer[i] != '\n')
			answer[i] = '?';
	answer[len] = '\0';
	return answer;
}

static int pid_of(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return *name >= '1' && *name <= '9' && !*end && pid < INT_MAX ? (int)pid : 0;
}

/* What is no socket refuses connections too, and is none of ours. */
static bool is_socket(int dir_fd, const char *name)
{
	struct stat st;

	return !fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode);
}

int call_programs(const char *dir, const char *call, void (*fn)(int pid, const char *answer, void *arg), void *arg)
{
	char run[PATH_MAX];
	struct dirent *e;
	int count = 0;
	DIR *d;

	if ((size_t)snprintf(run, sizeof(run), "%s/run", dir) >= sizeof(run)) {
		cli_error("%s: %s", dir, strerror(ENAMETOOLONG));
		return -1;
	}
	d = opendir(run);
	if (!d && errno == ENOENT)
		return 0;
	if (!d) {
		cli_error("%s: %s", run, strerror(errno));
		return -1;
	}
	while ((e = readdir(d))) {
		int pid = pid_of(e->d_name), fd = pid ? connect_to(dirfd(d), pid) : -ENOENT;
		char *answer;

		if (fd == -ECONNREFUSED && is_socket(dirfd(d), e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
		if (fd < 0)
			continue;
		answer = ask(fd, call);
		close(fd);
		fn(pid, answer, arg);
		free(answer);
		count++;
	}
	closedir(d);
	return count;
}
