/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.c - how `softvfio inject` and `softvfio tree` reach the programs that run on a machine.
 *
 * A machine that is kept has a directory run/ in its own.  A process that attaches to such a machine makes a
 * socket there, named by its process id, and a thread that sleeps in accept(): it costs nothing until somebody
 * calls.  Private machines have no run/, and their programs neither socket nor thread.
 *
 * One call, one answer: a packet of text comes, text goes back, in packets, until the end of the connection.
 *
 *	inject DEVICE ORDERS	"ok", or "error REASON"
 *	state			what is open and mapped (struct file_operations.show), and the faults on order
 *
 * Safe: only the same user and root are heard; a packet is copied once, cut at its length and parsed as text;
 * who connects and says nothing, or does not listen, is dropped after a second.  The directory is closed to
 * others (0700), and names in it are only ever connected to or removed.
 *
 * A socket outlives a process that was killed; who finds nobody behind it removes it.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/show.h"
#include "kernel/lib/sys.h"
#include "machine/machine_priv.h"

#define CALL_BYTES 1024u
#define STATE_BYTES (1u << 20)
#define PACKET_BYTES 32768u
#define MAX_FDS 65536

/* Of this process; under the machine's lock. */
static struct {
	bool up;
	pid_t pid;     /* a forked child has neither thread nor name */
	int listener; /* private */
	pthread_t thread;
	char name[64]; /* below the machine's directory */
	int dir_fd;    /* the machine's directory; private */
} control;

static atomic_bool stop;

/* ---- what is asked ---------------------------------------------------------------------------- */

static void show_process(struct show *out)
{
	char name[64] = "?";
	int fd = sys_open("/proc/self/comm", O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? 0 : sys_read(fd, name, sizeof(name) - 1);

	if (fd >= 0)
		sys_close(fd);
	name[n > 0 ? n : 1] = '\0';
	name[strcspn(name, "\n")] = '\0';
	show(out, "process %d %s\n", sys_getpid(), name);
}

/* A file with several descriptors is shown once, under the first. */
static void show_files(struct show *out)
{
	struct file **seen = calloc(MAX_FDS, sizeof(*seen));
	unsigned nr = 0;

	for (int fd = 0; seen && fd < MAX_FDS && !out->cut; fd++) {
		struct file *file = fd_is_ours(fd) ? fget(fd) : NULL;
		bool known = false;

		if (!file)
			continue;
		for (unsigned i = 0; i < nr; i++)
			known |= seen[i] == file;
		if (!known && file->f_op->kind != FILE_SYSFS) {
			seen[nr++] = file;
			show(out, "file %d %s\n", fd, file->path);
			if (file->f_op->show)
				file->f_op->show(file, out);
		}
		fput(file);
	}
	free(seen);
}

static size_t answer_state(char *buf, size_t size)
{
	struct show out;

	show_begin(&out, buf, size);
	show_process(&out);
	machine_show_faults(&out);
	show_files(&out);
	return show_end(&out);
}

static size_t answer_inject(char *call, char *buf, size_t size)
{
	char *device = call, *orders = strchr(call, ' ');
	const char *reason;
	int err;

	explain_begin();
	if (orders)
		*orders++ = '\0';
	err = orders ? machine_inject(device, orders) : fail(-EINVAL, "inject takes a device and orders");
	reason = explain_take();
	return (size_t)(err ? snprintf(buf, size, "error %s\n", reason ? reason : strerror(-err)) : snprintf(buf, size, "ok\n"));
}

static size_t answer(char *call, char *buf, size_t size)
{
	if (!strcmp(call, "state"))
		return answer_state(buf, size);
	if (!strncmp(call, "inject ", 7))
		return answer_inject(call + 7, buf, size);
	return (size_t)snprintf(buf, size, "error there are the calls inject and state\n");
}

/* ---- one connection --------------------------------------------------------------------------- */

static bool is_friend(int fd)
{
	struct ucred who;
	unsigned len = sizeof(who);

	return !sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) && (who.uid == geteuid() || who.uid == 0);
}

static void send_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	for (size_t done = 0; done < len; done += (size_t)n) {
		n = sys_send(fd, buf + done, min(len - done, (size_t)PACKET_BYTES));
		if (n <= 0)
			return;
	}
}

static void serve(int fd)
{
	const struct timeval second = {.tv_sec = 1};
	char call[CALL_BYTES], *buf;
	ssize_t n;

	if (!is_friend(fd))
		return;
	sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	n = sys_read(fd, call, sizeof(call) - 1);
	buf = n > 0 ? malloc(STATE_BYTES) : NULL;
	if (!buf)
		return;
	call[n] = '\0';
	send_all(fd, buf, answer(call, buf, STATE_BYTES));
	free(buf);
}

static void *control_thread(void *unused)
{
	int fd;

	(void)unused;
	while (!atomic_load(&stop)) {
		fd = sys_accept4(control.listener, SOCK_CLOEXEC);
		if (fd == -EINVAL || fd == -EBADF) /* shut down */
			break;
		if (fd < 0) {
			const struct timespec pause = {.tv_nsec = 100000000};

			sys_ppoll(NULL, 0, &pause); /* out of descriptors, perhaps */
			continue;
		}
		if (!atomic_load(&stop))
			serve(fd);
		sys_close(fd);
	}
	return NULL;
}

/* ---- up and down ------------------------------------------------------------------------------ */

static int make_private(int fd)
{
	int hidden = fd < 0 ? fd : fd_private(fd);

	if (fd >= 0 && hidden < 0)
		sys_close(fd);
	return hidden;
}

/* A socket's name has room for 108 bytes, a machine's directory may have a longer one: go by a descriptor. */
static int make_socket(int dir_fd, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC), err;

	if (fd < 0)
		return fd;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	sys_unlinkat(dir_fd, name, 0); /* of an earlier process with our number */
	err = sys_bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
	if (!err)
		err = sys_listen(fd, 8);
	if (!err)
		return make_private(fd);
	sys_close(fd);
	return err;
}

static int start(const char *dir)
{
	int err;

	control.dir_fd = make_private(sys_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
	if (control.dir_fd < 0)
		return control.dir_fd;
	snprintf(control.name, sizeof(control.name), "run/%d", sys_getpid());
	control.listener = make_socket(control.dir_fd, control.name);
	err = control.listener < 0 ? control.listener : 0;
	atomic_store(&stop, false);
	if (!err) {
		err = kthread_run(&control.thread, "softvfio-ctl", control_thread, NULL);
		if (err) {
			sys_unlinkat(control.dir_fd, control.name, 0);
			fd_private_close(control.listener);
		}
	}
	if (err)
		fd_private_close(control.dir_fd);
	control.up = !err;
	control.pid = sys_getpid();
	return err;
}

void machine_control_start(const char *dir)
{
	char run[4096];
	int err;

	if (control.up || (size_t)snprintf(run, sizeof(run), "%s/run", dir) >= sizeof(run) || sys_access(run, W_OK | X_OK))
		return;
	err = start(dir);
	if (err)
		explain_event("softvfio inject and tree do not reach this process: %s: %s", run, strerror(-err));
}

/* The thread may be serving, and needs no lock that our caller holds. */
void machine_control_stop(void)
{
	if (!control.up || control.pid != sys_getpid())
		return;
	control.up = false;
	atomic_store(&stop, true);
	sys_shutdown(control.listener, SHUT_RDWR);
	pthread_join(control.thread, NULL);
	sys_unlinkat(control.dir_fd, control.name, 0);
	fd_private_close(control.listener);
	fd_private_close(control.dir_fd);
}

int machine_control_allow(const char *dir)
{
	char run[4096];
	int err;

	if ((size_t)snprintf(run, sizeof(run), "%s/run", dir) >= sizeof(run))
		return fail(-ENAMETOOLONG, "the name of the machine's directory is too long");
	err = sys_mkdir(run, 0700);
	return err && err != -EEXIST ? fail(err, "%s: %s", run, strerror(-err)) : 0;
}
