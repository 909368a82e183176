/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.c - a thread for each connection, a client for each process: see serve.h.
 *
 * While a call runs, current_task is the connection, so that copy_to_user(), fget() and their kin ask the caller.
 * A file that a call makes belongs to the caller's descriptor alone: what is shared lives for as long as that does
 * (file_hand_over()), the others are in the client's list until it says that it closed them, or ends.
 */
#include "kernel/syscall/serve.h"

#include <bsd/sys/queue.h>
#include <limits.h>
#include <poll.h>
#include <sys/mman.h>

#include "kernel/fs/chrdev.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fork.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/lib/task.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/wire.h"

struct kept_file {
	TAILQ_ENTRY(kept_file) next;
	struct file *file;
};

/* One process. */
struct client {
	atomic_int refs;
	pid_t pid;
	struct mm *mm; /* set before its second connection, with pid */
	LIST_ENTRY(client) next; /* clients_lock, from then on */
	struct mutex lock;
	TAILQ_HEAD(, kept_file) files; /* lock */
	atomic_int calls; /* that have begun */
};

/* One connection, on its thread's stack. */
struct connection {
	struct task task;
	struct client *client;
	int sock;
};

int (*serve_before_open)(void);

static struct mutex clients_lock = MUTEX_INITIALIZER(LOCK_SERVE);
static LIST_HEAD(, client) clients = LIST_HEAD_INITIALIZER(clients); /* clients_lock; those that have a mm */

static const int no_fds[2] = { -1, -1 };

/* ---- clients ---- */

static struct client *client_new(void)
{
	struct client *client = kzalloc(sizeof(*client));

	if (!client)
		return NULL;
	atomic_init(&client->refs, 1);
	mutex_init(&client->lock, LOCK_SERVE);
	TAILQ_INIT(&client->files);
	return client;
}

static void client_put(struct client *client)
{
	struct kept_file *kept;

	if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1)
		return;
	while ((kept = TAILQ_FIRST(&client->files))) {
		TAILQ_REMOVE(&client->files, kept, next);
		fput(kept->file);
		kfree(kept);
	}
	if (client->mm) {
		mutex_lock(&clients_lock);
		LIST_REMOVE(client, next);
		mutex_unlock(&clients_lock);
	}
	mmdrop(client->mm);
	mutex_destroy(&client->lock);
	kfree(client);
}

/* Takes over the reference. */
static int keep_file(struct client *client, struct file *file)
{
	struct kept_file *kept = kmalloc(sizeof(*kept));

	if (!kept)
		return fail(-ENOMEM, "no memory to note a file of another process");
	kept->file = file;
	mutex_lock(&client->lock);
	TAILQ_INSERT_HEAD(&client->files, kept, next);
	mutex_unlock(&client->lock);
	return 0;
}

static void drop_file(struct client *client, u64 id)
{
	struct kept_file *kept;

	mutex_lock(&client->lock);
	TAILQ_FOREACH(kept, &client->files, next)
		if (kept->file->id == id)
			break;
	if (kept)
		TAILQ_REMOVE(&client->files, kept, next);
	mutex_unlock(&client->lock);
	if (kept)
		fput(kept->file);
	kfree(kept);
}

/* ---- what a call needs of who made it ---- */

/* @packet becomes the answer, whose data go to @ret.  Return: 0, and the answer's ret is to be looked at; -errno. */
static int ask(struct connection *con, struct wire_packet *packet, const void *data, size_t len, int fd, void *ret,
	       size_t size, int *ret_fd)
{
	int fds[2] = { fd, -1 };
	int err = wire_send(con->sock, packet, data, len, fds);

	if (!err)
		err = wire_receive(con->sock, packet, ret, size, fds);
	if (err)
		return fail(err, "the process that made the call has ended");
	if (ret_fd)
		*ret_fd = fds[0];
	else if (fds[0] >= 0)
		sys_close(fds[0]);
	if (fds[1] >= 0)
		sys_close(fds[1]);
	return packet->op == WIRE_ANSWER ? 0 : -EPROTO;
}

static struct connection *connection_of(struct task *task)
{
	return container_of(task, struct connection, task);
}

static int copy_piece(struct connection *con, u64 uva, void *buf, size_t len, bool to_user)
{
	struct wire_packet packet = { .op = to_user ? WIRE_COPY_TO : WIRE_COPY_FROM, .arg = { uva, len } };
	int err = ask(con, &packet, buf, to_user ? len : 0, -1, buf, to_user ? 0 : len, NULL);

	return err || packet.ret || (!to_user && packet.len != len) ? -EFAULT : 0;
}

static int task_copy(struct task *task, u64 uva, void *buf, size_t len, bool to_user)
{
	int err = 0;

	while (len && !err) {
		size_t piece = min(len, (size_t)WIRE_DATA);

		err = copy_piece(connection_of(task), uva, buf, piece, to_user);
		uva += piece;
		buf = (char *)buf + piece;
		len -= piece;
	}
	return err;
}

static long task_strncpy(struct task *task, char *dst, u64 uva, size_t size)
{
	struct wire_packet packet = { .op = WIRE_STRNCPY, .arg = { uva, min(size, (size_t)WIRE_DATA) } };
	int err = ask(connection_of(task), &packet, NULL, 0, -1, dst, size, NULL);

	if (!err && packet.ret == -ENAMETOOLONG)
		return -ENAMETOOLONG;
	if (err || !packet.len || packet.ret != packet.len - 1 || packet.ret != strnlen(dst, packet.len))
		return -EFAULT;
	return packet.ret;
}

static int look_up(struct task *task, int fd, u64 *ret_id)
{
	struct wire_packet packet = { .op = WIRE_FGET, .arg = { (u64)fd } };
	int err = ask(connection_of(task), &packet, NULL, 0, -1, NULL, 0, NULL);

	*ret_id = packet.id;
	return err || packet.ret ? -EBADF : 0;
}

static struct file *task_fget(struct task *task, int fd)
{
	u64 id;

	return look_up(task, fd, &id) || !id ? NULL : fget_id(id);
}

static int task_check_open(struct task *task, int fd)
{
	u64 id;

	return look_up(task, fd, &id);
}

static int task_dup(struct task *task, int fd)
{
	struct wire_packet packet = { .op = WIRE_DUP, .arg = { (u64)fd } };
	int own = -1;

	if (ask(connection_of(task), &packet, NULL, 0, -1, NULL, 0, &own) || packet.ret || own < 0)
		return fail(-EBADF, "descriptor %d is not open", fd);
	return own;
}

static struct vm_area *area_of(struct file *file, u64 start, u64 len, u64 pgoff_bytes, int prot, int map_flags);

static struct vm_area *task_find_area(struct task *task, u64 uva, u64 last)
{
	struct wire_packet packet = { .op = WIRE_FIND_AREA, .arg = { uva, last } };
	struct vm_area *vma = NULL;
	struct file *file;

	if (ask(connection_of(task), &packet, NULL, 0, -1, NULL, 0, NULL) || packet.ret <= 0 || packet.arg[0] > last ||
	    packet.arg[1] < uva)
		return NULL;
	file = fget_id(packet.id);
	if (file)
		vma = area_of(file, packet.arg[0], packet.arg[1] - packet.arg[0] + 1, packet.arg[2], (int)packet.arg[3], MAP_SHARED);
	fput(file);
	return IS_ERR(vma) ? NULL : vma;
}

/* The caller has a descriptor of @file, a copy of our @fd.  Takes over both. */
static void give_away(struct connection *con, struct file *file, int fd)
{
	if (file->f_op->shared) {
		file_hand_over(fd, file);
		return;
	}
	sys_close(fd);
	if (keep_file(con->client, file))
		fput(file);
}

static int task_publish(struct task *task, struct file *file, int fd, bool cloexec)
{
	struct connection *con = connection_of(task);
	struct wire_packet packet = { .op = WIRE_PUBLISH, .arg = { cloexec } };
	struct wire_file what;
	int err;

	wire_describe(file, &what);
	if (file->f_op->shared)
		file_share(fd, file);
	err = ask(con, &packet, &what, sizeof(what), fd, NULL, 0, NULL);
	if (!err && packet.ret >= 0) {
		give_away(con, file, fd);
		return (int)packet.ret;
	}
	sys_close(fd);
	return err ? err : fail((int)packet.ret, "the calling process has no number for %s", file->path);
}

static void task_unpublish(struct task *task, int fd)
{
	struct wire_packet packet = { .op = WIRE_UNPUBLISH, .arg = { (u64)fd } };

	(void)ask(connection_of(task), &packet, NULL, 0, -1, NULL, 0, NULL);
	file_reap();
}

static const struct task_ops task_ops = {
	.copy = task_copy,
	.strncpy = task_strncpy,
	.fget = task_fget,
	.check_open = task_check_open,
	.dup = task_dup,
	.find_area = task_find_area,
	.publish = task_publish,
	.unpublish = task_unpublish,
};

/* ---- calls ---- */

/* What goes back besides the packet's own fields. */
struct answer {
	char data[WIRE_DATA];
	size_t len;
	int fd; /* is given away with @file; -1 */
	struct file *file;
};

static void describe(const struct file *file, struct answer *out)
{
	struct wire_file what;

	wire_describe(file, &what);
	memcpy(out->data, &what, out->len = sizeof(what));
}

static s64 serve_open(const char *path, unsigned flags, struct answer *out)
{
	struct file *file;
	int err = serve_before_open ? serve_before_open() : 0;

	if (!err)
		err = vfs_open(path, flags, &file);
	if (err)
		return err;
	out->fd = fd_host_alloc(file, true);
	if (out->fd < 0) {
		fput(file);
		return fail(out->fd, "the host gives no descriptor for %s", path);
	}
	out->file = file;
	if (file->f_op->shared)
		file_share(out->fd, file);
	describe(file, out);
	return 0;
}

static s64 serve_identify(int fd, struct answer *out)
{
	struct file *file = fd < 0 ? NULL : file_find_shared(fd);

	if (!file)
		return -ENOENT;
	describe(file, out);
	fput(file);
	return 0;
}

static s64 serve_node(const char *path, struct wire_packet *p)
{
	struct cdev *cdev = serve_before_open && serve_before_open() ? NULL : cdev_lookup(path);

	if (!cdev)
		return -ENOENT;
	p->arg[0] = cdev->mode;
	p->arg[1] = cdev->rdev;
	return 0;
}

/* The caller has checked its arguments as do_read() does; who has not is refused. */
static s64 serve_rw(struct file *file, struct wire_packet *p)
{
	const bool write = p->op == WIRE_WRITE;
	u64 at = p->arg[2];
	s64 ret = do_rw_check(file, NULL, write);

	if (ret || (s64)at < 0 || p->arg[1] > INT_MAX)
		return ret ? ret : -EINVAL;
	ret = write ? file->f_op->write(file, (const char __user *)p->arg[0], p->arg[1], &at) :
		      file->f_op->read(file, (char __user *)p->arg[0], p->arg[1], &at);
	p->arg[2] = at;
	return ret;
}

/* What mmap() would make of it.  ERR_PTR. */
static struct vm_area *area_of(struct file *file, u64 start, u64 len, u64 pgoff_bytes, int prot, int map_flags)
{
	struct vm_area *vma;
	int err;

	if (!file->f_op->mmap)
		return ERR_PTR(-ENODEV);
	if (!len || (start | len | pgoff_bytes) & ~PAGE_MASK || start + len - 1 < start || pgoff_bytes + len - 1 < pgoff_bytes)
		return ERR_PTR(-EINVAL);
	vma = vma_alloc(file, start, len, pgoff_bytes, prot);
	if (!vma)
		return ERR_PTR(fail(-ENOMEM, "no memory for a mapping"));
	err = file->f_op->mmap(file, vma, map_flags);
	if (!err)
		return vma;
	vma_put(vma);
	return ERR_PTR(err);
}

static s64 serve_mmap(struct file *file, const struct wire_packet *p)
{
	struct vm_area *vma = area_of(file, 0, p->arg[1], p->arg[0], (int)p->arg[2], (int)p->arg[3]);

	if (IS_ERR(vma))
		return PTR_ERR(vma);
	vma_put(vma);
	return 0;
}

/* The caller has mapped it; here an area is made for the one access. */
static s64 serve_access(struct file *file, const struct wire_packet *p, const char *data, struct answer *out)
{
	const u64 off = p->arg[0], len = p->arg[1], page = off & PAGE_MASK;
	const bool write = p->arg[3];
	struct vm_area *vma;
	s64 ret;

	if (!len || len > 64 || (off & ~PAGE_MASK) + len > PAGE_SIZE || (write && p->len != len))
		return -EINVAL;
	vma = area_of(file, 0, PAGE_SIZE, page, (int)p->arg[2], MAP_SHARED);
	if (IS_ERR(vma))
		return -EFAULT;
	memcpy(out->data, data, write ? len : 0);
	ret = vma->ops->access(vma, off, out->data, (unsigned)len, write);
	vma_put(vma);
	if (!ret && !write)
		out->len = len;
	return ret;
}

static s64 serve_text(int (*text)(struct file *file, char *buf, size_t size), struct file *file, struct answer *out)
{
	int n = text ? text(file, out->data, sizeof(out->data)) : 0;

	out->len = n > 0 ? min((size_t)n, sizeof(out->data) - 1) : 0;
	return n;
}

void serve_accounts(pid_t pid, u64 *ret_locked, u64 *ret_pinned)
{
	struct mm *mm = pid == sys_getpid() ? mm_self() : NULL;
	struct client *client;

	mutex_lock(&clients_lock);
	LIST_FOREACH(client, &clients, next)
		if (client->pid == pid)
			mm = client->mm;
	*ret_locked = mm ? locked_vm_pages(mm) : 0;
	*ret_pinned = mm ? pinned_vm_pages(mm) : 0;
	mutex_unlock(&clients_lock);
}

static bool is_calling(pid_t pid)
{
	struct client *client;
	int calls = 0;

	mutex_lock(&clients_lock);
	LIST_FOREACH(client, &clients, next)
		if (client->pid == pid)
			calls += atomic_load(&client->calls);
	mutex_unlock(&clients_lock);
	return calls > 0;
}

void serve_wait_for(pid_t pid)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned n = 0; n < 2000 && is_calling(pid); n++)
		sys_ppoll(NULL, 0, &pause);
}

/* Those who wait for each other are not waited for. */
static void wait_for(struct client *client, pid_t pid)
{
	atomic_fetch_sub(&client->calls, 1);
	serve_wait_for(pid);
	atomic_fetch_add(&client->calls, 1);
}

static s64 serve_file(struct file *file, struct wire_packet *p, const char *data, struct answer *out)
{
	const struct file_operations *ops = file->f_op;

	switch (p->op) {
	case WIRE_IOCTL:
		return ops->ioctl ? ops->ioctl(file, (unsigned)p->arg[0], p->arg[1]) : -ENOTTY;
	case WIRE_READ:
	case WIRE_WRITE:
		return serve_rw(file, p);
	case WIRE_LSEEK:
		return ops->lseek ? ops->lseek(file, (s64)p->arg[0], (int)p->arg[1]) : -ESPIPE;
	case WIRE_MMAP:
		return serve_mmap(file, p);
	case WIRE_ACCESS:
		return serve_access(file, p, data, out);
	case WIRE_FDINFO:
		return serve_text(ops->fdinfo, file, out);
	case WIRE_LINK:
		return serve_text(ops->link, file, out);
	case WIRE_FLUSH:
		return file_flush(file);
	case WIRE_FLAGS:
		if (p->arg[0])
			file_set_flags(file, (unsigned)p->arg[1]);
		return file->f_flags;
	default:
		return -EPROTO;
	}
}

static s64 serve_call(struct connection *con, struct wire_packet *p, const char *data, int fd, struct answer *out)
{
	struct file *file;
	s64 ret;

	switch (p->op) {
	case WIRE_OPEN:
		return serve_open(data, (unsigned)p->arg[0], out);
	case WIRE_IDENTIFY:
		return serve_identify(fd, out);
	case WIRE_NODE:
		return serve_node(data, p);
	case WIRE_CLOSE:
		drop_file(con->client, p->id);
		return 0;
	case WIRE_ACCOUNTS:
		serve_accounts((pid_t)p->arg[0], &p->arg[0], &p->arg[1]);
		return 0;
	case WIRE_LISTEN:
		serve_listen();
		return 0;
	case WIRE_WAIT:
		wait_for(con->client, (pid_t)p->arg[0]);
		return 0;
	case WIRE_LEAVE:
		return mm_keep_pinned(con->client->mm, p->arg[0], p->arg[1]);
	default:
		file = fget_id(p->id);
		if (!file)
			return fail(-EBADF, "the process that has the kernel does not have the file any more");
		ret = serve_file(file, p, data, out);
		fput(file);
		return ret;
	}
}

/* Why it failed, or what was noted, unless the answer has data of its own. */
static void add_reason(s64 ret, struct answer *out)
{
	const char *why = ret < 0 ? explain_take() : explain_take_notes();

	explain_done(ret < 0);
	if (!why || out->len)
		return;
	out->len = min(strlen(why), sizeof(out->data) - 1);
	memcpy(out->data, why, out->len);
}

static int carry_out(struct connection *con, struct wire_packet *packet, char *data, int fd)
{
	struct answer out = { .fd = -1 };
	int fds[2] = { -1, -1 }, err;

	data[packet->len] = '\0';
	con->task.mm = con->client->mm;
	current_task = &con->task;
	explain_begin();
	file_reap();
	packet->ret = serve_call(con, packet, data, fd, &out);
	current_task = NULL;
	add_reason(packet->ret, &out);
	packet->op = WIRE_ANSWER;
	packet->pins_changes = mm_pinned_range(con->client->mm, &packet->pins_first, &packet->pins_last);
	if (out.file) {
		fds[0] = sys_dup(out.fd);
		give_away(con, out.file, out.fd);
	}
	err = wire_send(con->sock, packet, out.data, out.len, fds);
	if (fds[0] >= 0)
		sys_close(fds[0]);
	/* The caller waits for this one: when it closes its descriptor, that is the last. */
	if (!err && out.file)
		err = wire_send(con->sock, packet, NULL, 0, no_fds);
	return err;
}

/* ---- connections ---- */

struct start {
	struct client *client;
	int sock;
	bool first;
};

static int start_thread(struct client *client, int sock, bool first);

/* What came with a packet is not closed with that any more. */
static int private_of(int *fd)
{
	int hidden = *fd < 0 ? -EBADF : fd_private_exclusive(*fd);

	if (hidden >= 0)
		*fd = -1;
	return hidden;
}

static int hello(struct client *client, pid_t pid, int fds[2])
{
	int mem, maps;

	if (client->mm)
		return -EPROTO;
	mem = private_of(&fds[0]);
	maps = private_of(&fds[1]);
	client->pid = pid;
	client->mm = mm_of_process(mem, maps);
	if (!client->mm) {
		fd_private_close(mem);
		fd_private_close(maps);
		return -ENOMEM;
	}
	mutex_lock(&clients_lock);
	LIST_INSERT_HEAD(&clients, client, next);
	mutex_unlock(&clients_lock);
	return 0;
}

/* One more connection, of the same process or of a child of its. */
static int connect_one(struct client *client, bool of_child, int *fd)
{
	int sock = *fd < 0 || wire_is_connection(*fd) ? private_of(fd) : -EPROTO;

	if (sock < 0)
		return sock;
	if (of_child)
		client = client_new();
	else
		atomic_fetch_add(&client->refs, 1);
	if (client)
		return start_thread(client, sock, of_child);
	fd_private_close(sock);
	return -ENOMEM;
}

static int serve_first(struct client *client, int sock, struct wire_packet *packet, int fds[2])
{
	if (packet->op == WIRE_HELLO)
		packet->ret = hello(client, (pid_t)packet->arg[0], fds);
	else if (packet->op == WIRE_CONNECT)
		packet->ret = client->mm ? connect_one(client, packet->id, &fds[0]) : -EPROTO;
	else
		return -EPROTO;
	packet->op = WIRE_ANSWER;
	return wire_send(sock, packet, NULL, 0, no_fds);
}

static int serve_packet(struct connection *con, bool first, struct wire_packet *packet, char *data, int fds[2])
{
	int err = first ? serve_first(con->client, con->sock, packet, fds) : carry_out(con, packet, data, fds[0]);

	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			sys_close(fds[i]);
	return err;
}

/* Descriptors that come are the caller's, too: no child of this process may have them. */
static void begin_when_readable(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN | POLLRDHUP };

	while (sys_ppoll(&wait, 1, NULL) == -EINTR)
		;
	fork_serve_begin();
}

/* Of who was killed nothing is carried out that had not begun: whoever waits for that comes after what is counted. */
static bool begin_call(struct connection *con)
{
	static const struct timespec now;
	struct pollfd wait = { .fd = con->sock, .events = POLLRDHUP };

	atomic_fetch_add(&con->client->calls, 1);
	return sys_ppoll(&wait, 1, &now) >= 0 && !(wait.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

static void end_call(struct connection *con)
{
	atomic_fetch_sub(&con->client->calls, 1);
	fork_serve_end();
}

static void *serve_thread(void *arg)
{
	const struct start start = *(struct start *)arg;
	struct connection con = { .task.ops = &task_ops, .client = start.client, .sock = start.sock };
	struct wire_packet packet;
	char data[WIRE_DATA + 1];
	int fds[2], err;

	kfree(arg);
	do {
		begin_when_readable(con.sock);
		err = begin_call(&con) ? wire_receive(con.sock, &packet, data, WIRE_DATA, fds) : -EPIPE;
		if (!err)
			err = serve_packet(&con, start.first, &packet, data, fds);
		end_call(&con);
	} while (!err);
	fd_private_close(con.sock);
	client_put(con.client);
	return NULL;
}

/* Takes over the reference and the socket. */
static int start_thread(struct client *client, int sock, bool first)
{
	struct start *start = kmalloc(sizeof(*start));
	pthread_t thread;
	int err = -ENOMEM;

	if (start) {
		*start = (struct start){ .client = client, .sock = sock, .first = first };
		err = kthread_run(&thread, "softvfio-serve", serve_thread, start);
	}
	if (!err) {
		pthread_detach(thread);
		return 0;
	}
	kfree(start);
	fd_private_close(sock);
	client_put(client);
	return err;
}

/* What it shares with us by way of a descriptor's number alone: nothing tells when it closes that. */
static void keep_unshared(struct client *client, int fd)
{
	struct file *file = fd_is_ours(fd) ? fget(fd) : NULL;

	if (file && (file->f_op->shared || file->on_host || keep_file(client, file)))
		fput(file);
}

int serve_process(int sock, int nr_fds)
{
	struct client *client = client_new();

	if (!client) {
		fd_private_close(sock);
		return -ENOMEM;
	}
	for (int fd = 0; fd < nr_fds; fd++)
		keep_unshared(client, fd);
	return start_thread(client, sock, true);
}

/* ---- processes that were not forked from this one ---- */

static void *listen_thread(void *arg)
{
	int listener = (int)(intptr_t)arg, sock, hidden;

	do {
		begin_when_readable(listener);
		sock = sys_accept4(listener, SOCK_CLOEXEC);
		hidden = sock >= 0 && wire_trusts(sock) ? private_of(&sock) : -EACCES;
		if (sock >= 0)
			sys_close(sock);
		if (hidden >= 0)
			serve_process(hidden, 0);
		fork_serve_end();
	} while (sock >= 0 || hidden >= 0 || sock == -EINTR || sock == -ECONNABORTED);
	fd_private_close(listener);
	return NULL;
}

void serve_listen(void)
{
	static atomic_int listening; /* the process that does: a copy by fork does not */
	int was = atomic_load(&listening), self = sys_getpid(), listener;
	pthread_t thread;

	if (was == self || !atomic_compare_exchange_strong(&listening, &was, self))
		return;
	listener = wire_listener();
	if (listener < 0)
		return;
	if (kthread_run(&thread, "softvfio-listen", listen_thread, (void *)(intptr_t)listener))
		fd_private_close(listener);
	else
		pthread_detach(thread);
}
