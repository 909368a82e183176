/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.c - calls that are carried out in another process: see proxy.h.
 *
 * The first connection only makes others: each thread that is in a call has one for itself.  A call sends its packet and
 * then does what the other side asks for, until the answer comes.  Nothing of a call outlives it here but the proxies.
 */
#include "kernel/syscall/proxy.h"

#include <stdio.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/pins.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/wire.h"

#define MAX_IDLE 8
#define REASON 1024 /* a reason and the notes with it are shorter */

struct proxy {
	struct wire_file what;
	struct file_operations ops;
};

static struct {
	bool active, connected;
	pid_t server;
	struct mutex lock;	/* LOCK_SERVE */
	int first;		/* connection; -1: nobody is there; under lock */
	bool greeted;		/* lock */
	int idle[MAX_IDLE];	/* lock */
	unsigned nr_idle;	/* lock */
	u64 pins_changes;	/* lock; of the newest answer */
} far = { .lock = MUTEX_INITIALIZER(LOCK_SERVE), .first = -1 };

void proxy_begin(int sock, int server)
{
	mutex_init(&far.lock, LOCK_SERVE);
	far.active = true;
	far.connected = sock >= 0;
	far.server = server;
	far.first = sock;
	far.greeted = false;
	far.nr_idle = 0;
	far.pins_changes = 0;
}

/* It is no use: as if it had not begun. */
static void forget(void)
{
	far.active = false;
	if (far.first >= 0)
		fd_private_close(far.first);
	while (far.nr_idle)
		fd_private_close(far.idle[--far.nr_idle]);
	pins_elsewhere_set(~0ull, 0, NULL);
}

bool proxy_active(void)
{
	return far.active;
}

/* ---- connections ---- */

static void close_fds(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			sys_close(fds[i]);
}

static int first_call(struct wire_packet *packet, const int fds[2])
{
	int none[2], err;

	lockdep_assert_held(&far.lock);
	if (far.first < 0)
		return -EPIPE;
	err = wire_send(far.first, packet, NULL, 0, fds);
	if (!err)
		err = wire_receive(far.first, packet, NULL, 0, none);
	if (!err)
		return (int)packet->ret;
	fd_private_close(far.first);
	far.first = -1;
	return err;
}

/* Our memory, for devices.  Where it cannot be opened, none can be mapped for them. */
static int greet(void)
{
	struct wire_packet packet = { .op = WIRE_HELLO, .arg = { (u64)sys_getpid() } };
	int fds[2] = { sys_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0), -1 }, err;

	if (fds[0] >= 0)
		fds[1] = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	err = first_call(&packet, fds);
	close_fds(fds);
	far.greeted = !err;
	return err;
}

static int connect_one(bool of_child)
{
	struct wire_packet packet = { .op = WIRE_CONNECT, .id = of_child };
	int pair[2], err = far.greeted ? 0 : greet();

	if (!err)
		err = wire_pair(pair);
	if (err)
		return err;
	err = first_call(&packet, (const int[]){ pair[1], -1 });
	fd_private_close(pair[1]);
	if (!err)
		return pair[0];
	fd_private_close(pair[0]);
	return err;
}

static int connection_get(void)
{
	int sock;

	mutex_lock(&far.lock);
	sock = far.nr_idle ? far.idle[--far.nr_idle] : connect_one(false);
	mutex_unlock(&far.lock);
	return sock;
}

static void connection_put(int sock)
{
	mutex_lock(&far.lock);
	if (far.nr_idle < MAX_IDLE) {
		far.idle[far.nr_idle++] = sock;
		sock = -1;
	}
	mutex_unlock(&far.lock);
	if (sock >= 0)
		fd_private_close(sock);
}

int proxy_connect_child(void)
{
	int sock;

	mutex_lock(&far.lock);
	sock = connect_one(true);
	mutex_unlock(&far.lock);
	return sock;
}

/* ---- what the other side asks for during a call ---- */

static struct proxy *proxy_behind(const struct file *file);
static struct file *proxy_described(const char *data, size_t len, int backing);

static void answer_fget(struct wire_packet *p)
{
	const int fd = (int)p->arg[0];
	struct file *file = fget(fd);
	const struct proxy *proxy = file ? proxy_behind(file) : NULL;

	p->id = proxy ? proxy->what.id : 0;
	p->ret = file ? 0 : fd_check_open(fd);
	fput(file);
}

static bool find_area(struct wire_packet *p)
{
	struct vm_area *vma = vma_find_first(mm_self(), p->arg[0], p->arg[1]);

	if (!vma || !proxy_behind(vma->file)) {
		vma_put(vma);
		return false;
	}
	p->id = proxy_behind(vma->file)->what.id;
	p->arg[0] = vma->start;
	p->arg[1] = vma->last;
	p->arg[2] = vma->pgoff_bytes;
	p->arg[3] = (u64)vma->prot;
	vma_put(vma);
	return true;
}

/* A descriptor for a file that a call made. */
static s64 install(const char *data, size_t len, bool cloexec, int *fd)
{
	struct file *file = proxy_described(data, len, *fd);
	int number;

	*fd = -1;
	if (!file)
		return -ENOMEM;
	number = fd_publish(file, cloexec);
	if (number < 0)
		fput(file);
	return number;
}

/* @packet becomes the answer.  @fds: what came with it, which is the answer's after that. */
static size_t do_asked(struct wire_packet *p, char *data, size_t size, int fds[2])
{
	size_t len = 0;

	switch (p->op) {
	case WIRE_COPY_FROM:
		len = min((size_t)p->arg[1], size);
		p->ret = copy_from_user(data, (const void __user *)p->arg[0], len);
		len = p->ret ? 0 : len;
		break;
	case WIRE_COPY_TO:
		p->ret = copy_to_user((void __user *)p->arg[0], data, p->len);
		break;
	case WIRE_STRNCPY:
		p->ret = strncpy_from_user(data, (const char __user *)p->arg[0], min((size_t)p->arg[1], size));
		len = p->ret < 0 ? 0 : min((size_t)p->ret + 1, size);
		break;
	case WIRE_FGET:
		answer_fget(p);
		break;
	case WIRE_DUP:
		p->ret = fd_check_open((int)p->arg[0]);
		fds[0] = p->ret ? -1 : sys_dup((int)p->arg[0]);
		break;
	case WIRE_FIND_AREA:
		p->ret = find_area(p);
		break;
	case WIRE_PUBLISH:
		p->ret = install(data, p->len, p->arg[0], &fds[0]);
		break;
	case WIRE_UNPUBLISH:
		fd_unpublish((int)p->arg[0]);
		p->ret = 0;
		break;
	default:
		p->ret = -EPROTO;
	}
	p->op = WIRE_ANSWER;
	return len;
}

/* ---- calls ---- */

/* Room for what is asked and answered. */
struct room {
	char *buf;
	size_t size; /* a NUL included */
};

/* The other side has closed its copy of the descriptor that it sent, which may not have found a number here. */
static int wait_until_alone(int sock, int fds[2])
{
	struct wire_packet packet;
	int none[2], err = wire_receive(sock, &packet, NULL, 0, none);

	if (err)
		close_fds(fds);
	else
		close_fds(none);
	return err;
}

/*
 * @len bytes at @data, and the descriptor at @fd (NULL: none), go with the packet, which becomes the answer; then at @fd is
 * the one that came with that.  0; -errno: there is no answer.
 */
static int converse(int sock, struct wire_packet *packet, const void *data, size_t len, struct room room, int *fd)
{
	int fds[2] = { fd ? *fd : -1, -1 }, err = wire_send(sock, packet, data, len, fds);
	const u32 op = packet->op;

	for (;;) {
		if (!err)
			err = wire_receive(sock, packet, room.buf, room.size - 1, fds);
		if (err)
			return err;
		if (packet->op == WIRE_ANSWER)
			break;
		len = do_asked(packet, room.buf, room.size - 1, fds);
		err = wire_send(sock, packet, room.buf, len, fds);
		close_fds(fds);
	}
	room.buf[packet->len] = '\0';
	if (op == WIRE_OPEN && !packet->ret)
		err = wait_until_alone(sock, fds);
	if (err)
		return err;
	if (fd) {
		*fd = fds[0];
		fds[0] = -1;
	}
	close_fds(fds);
	return 0;
}

static int leave(u64 start, u64 len_bytes);

/* Answers to two threads may come in any order. */
static void note_pins(const struct wire_packet *answer)
{
	mutex_lock(&far.lock);
	if (answer->pins_changes >= far.pins_changes) {
		far.pins_changes = answer->pins_changes;
		pins_elsewhere_set(answer->pins_first, answer->pins_last, leave);
	}
	mutex_unlock(&far.lock);
}

/* As above, on whatever connection is free.  Return: the answer's ret; @lost, with reason. */
static s64 call(struct wire_packet *packet, const void *data, size_t len, struct room room, int *fd, int lost)
{
	int sock = connection_get(), err = sock < 0 ? sock : converse(sock, packet, data, len, room, fd);

	if (!err) {
		connection_put(sock);
		note_pins(packet);
		return packet->ret;
	}
	if (sock >= 0)
		fd_private_close(sock);
	packet->len = 0;
	return fail(lost, "the kernel behind it was in process %d, %s", far.server,
		    far.connected ? "which has ended or executed another program" :
				    "and there was no connection to it: no descriptor or memory for one at the fork");
}

/* Calls whose answer has no data but a reason. */
static s64 call_file(const struct file *file, struct wire_packet *packet, const void *data, size_t len, struct room room)
{
	s64 ret;

	packet->id = proxy_behind(file)->what.id;
	ret = call(packet, data, len, room, NULL, -EBADF);
	if (!packet->len)
		return ret;
	explain_begin(); /* what was said here, of a copy that failed, is said there too */
	if (ret < 0)
		return fail(ret, "%s", room.buf);
	explain_note("%s", room.buf);
	return ret;
}

static long proxy_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct wire_packet packet = { .op = WIRE_IOCTL, .arg = { cmd, arg } };
	char buf[WIRE_DATA + 1];

	return call_file(file, &packet, NULL, 0, (struct room){ buf, sizeof(buf) });
}

static ssize_t transfer(struct file *file, enum wire_op op, u64 uva, size_t len, u64 *pos)
{
	struct wire_packet packet = { .op = op, .arg = { uva, len, *pos } };
	char buf[WIRE_DATA + 1];
	s64 ret = call_file(file, &packet, NULL, 0, (struct room){ buf, sizeof(buf) });

	*pos = packet.arg[2];
	return ret;
}

static ssize_t proxy_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	return transfer(file, WIRE_READ, (uintptr_t)buf, len, pos);
}

static ssize_t proxy_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	return transfer(file, WIRE_WRITE, (uintptr_t)buf, len, pos);
}

static s64 proxy_lseek(struct file *file, s64 off, int whence)
{
	struct wire_packet packet = { .op = WIRE_LSEEK, .arg = { (u64)off, (u64)whence } };
	char buf[REASON];

	return call_file(file, &packet, NULL, 0, (struct room){ buf, sizeof(buf) });
}

static int proxy_flush(struct file *file)
{
	struct wire_packet packet = { .op = WIRE_FLUSH };
	char buf[REASON];

	return (int)call_file(file, &packet, NULL, 0, (struct room){ buf, sizeof(buf) });
}

/* O_APPEND, O_NONBLOCK: all descriptors of an open file have the same. */
static unsigned proxy_flags(struct file *file, bool set, unsigned flags)
{
	struct wire_packet packet = { .op = WIRE_FLAGS, .arg = { set, flags } };
	char buf[REASON];
	s64 ret = call_file(file, &packet, NULL, 0, (struct room){ buf, sizeof(buf) });

	return ret < 0 ? file->f_flags : (unsigned)ret;
}

static int text(const struct file *file, enum wire_op op, char *buf, size_t size)
{
	struct wire_packet packet = { .op = op, .id = proxy_behind(file)->what.id };
	char room[WIRE_DATA + 1];
	s64 ret = call(&packet, NULL, 0, (struct room){ room, sizeof(room) }, NULL, -EBADF);

	return ret < 0 ? (int)ret : snprintf(buf, size, "%s", room);
}

static int proxy_fdinfo(struct file *file, char *buf, size_t size)
{
	return text(file, WIRE_FDINFO, buf, size);
}

static int proxy_link(struct file *file, char *buf, size_t size)
{
	return text(file, WIRE_LINK, buf, size);
}

/* ---- mappings: each access is a call ---- */

static int proxy_mmap(struct file *file, struct vm_area *vma, int map_flags)
{
	struct wire_packet packet = { .op = WIRE_MMAP, .arg = { vma->pgoff_bytes, vma->last - vma->start + 1, (u64)vma->prot,
								 (u64)map_flags } };
	char buf[REASON];
	s64 ret = call_file(file, &packet, NULL, 0, (struct room){ buf, sizeof(buf) });

	vma->ops = &proxy_vm_ops;
	return (int)ret;
}

/* In a handler of signals: the stack may be small. */
static int proxy_access(struct vm_area *vma, u64 off, void *buf, unsigned len_bytes, bool write)
{
	struct wire_packet packet = { .op = WIRE_ACCESS, .arg = { off, len_bytes, (u64)vma->prot, write } };
	char room[REASON];
	s64 ret;

	packet.id = proxy_behind(vma->file)->what.id;
	ret = call(&packet, buf, write ? len_bytes : 0, (struct room){ room, sizeof(room) }, NULL, -EFAULT);
	if (ret)
		return (int)ret;
	if (!write && packet.len == len_bytes)
		memcpy(buf, room, len_bytes);
	return 0;
}

const struct vm_operations proxy_vm_ops = { .access = proxy_access };

/* ---- proxies ---- */

static void proxy_release(struct file *file)
{
	struct proxy *proxy = file->private_data;
	struct wire_packet packet = { .op = WIRE_CLOSE, .id = proxy->what.id };
	char buf[REASON];

	if (!(proxy->what.ops & WIRE_IS_SHARED))
		(void)call(&packet, NULL, 0, (struct room){ buf, sizeof(buf) }, NULL, 0);
	kfree(proxy);
}

static struct proxy *proxy_behind(const struct file *file)
{
	return file->f_op->release == proxy_release ? file->private_data : NULL;
}

static struct file_operations operations_of(const struct wire_file *what)
{
	return (struct file_operations){
		.kind = what->kind,
		.stream = what->ops & WIRE_IS_STREAM,
		.release = proxy_release,
		.ioctl = what->ops & WIRE_HAS_IOCTL ? proxy_ioctl : NULL,
		.read = what->ops & WIRE_HAS_READ ? proxy_read : NULL,
		.write = what->ops & WIRE_HAS_WRITE ? proxy_write : NULL,
		.lseek = what->ops & WIRE_HAS_LSEEK ? proxy_lseek : NULL,
		.mmap = what->ops & WIRE_HAS_MMAP ? proxy_mmap : NULL,
		.flags = proxy_flags,
		.flush = what->ops & WIRE_HAS_FLUSH ? proxy_flush : NULL,
		.link = what->ops & WIRE_HAS_LINK ? proxy_link : NULL,
		.fdinfo = what->ops & WIRE_HAS_FDINFO ? proxy_fdinfo : NULL,
	};
}

/* Private, or as it came; -1. */
static void drop_fd(int fd)
{
	if (fd_is_private(fd))
		fd_private_close(fd);
	else if (fd >= 0)
		sys_close(fd);
}

/* @backing: a descriptor that the proxy keeps open while it lives; -1: none.  Taken over, always. */
static struct file *proxy_new(const struct wire_file *what, int backing)
{
	int hidden = backing < 0 || fd_is_private(backing) ? backing : fd_private(backing);
	struct proxy *proxy = hidden < 0 && backing >= 0 ? NULL : kzalloc(sizeof(*proxy));
	struct file *file = NULL;

	if (proxy) {
		proxy->what = *what;
		proxy->what.path[sizeof(what->path) - 1] = '\0';
		proxy->ops = operations_of(what);
		file = file_alloc(&proxy->ops, proxy, proxy->what.path, what->f_flags);
	}
	if (!file) {
		kfree(proxy);
		drop_fd(hidden >= 0 ? hidden : backing);
		return NULL;
	}
	file->mode = what->mode;
	file->rdev = what->rdev;
	file->size = what->size;
	file->numbered = what->numbered;
	file->backing_fd = hidden;
	return file;
}

/* From the other side: @len bytes at @data are a struct wire_file. */
static struct file *proxy_described(const char *data, size_t len, int backing)
{
	struct wire_file what;

	if (len != sizeof(what)) {
		drop_fd(backing);
		return NULL;
	}
	memcpy(&what, data, sizeof(what));
	return proxy_new(&what, backing);
}

struct file *proxy_of(const struct file *file, int fd)
{
	const struct proxy *proxy = proxy_behind(file);
	struct wire_file what;

	wire_describe(file, &what);
	if (proxy) {
		what.id = proxy->what.id;
		what.ops = proxy->what.ops;
	}
	return proxy_new(&what, fd < 0 ? -1 : fd_private_dup(fd));
}

/* What @packet asks for is described in the answer.  @fd: as in converse(); @own: a descriptor of it. */
static struct file *ask_file(struct wire_packet *packet, int *fd, int own)
{
	char buf[REASON];
	s64 ret = call(packet, NULL, 0, (struct room){ buf, sizeof(buf) }, fd, -EBADF);

	return ret ? NULL : proxy_described(buf, packet->len, fd_private_dup(own));
}

struct file *proxy_find(int fd)
{
	struct wire_packet packet = { .op = WIRE_IDENTIFY };

	return ask_file(&packet, &(int){ fd }, fd);
}

struct file *proxy_begin_with(int fd)
{
	struct file *file = NULL;
	pid_t pid = 0;
	int sock;

	while (!file && (sock = wire_next_listener(&pid)) >= 0) {
		proxy_begin(sock, pid);
		file = proxy_find(fd);
		if (!file)
			forget();
	}
	return file;
}

/* ---- names ---- */

int proxy_open(const char *path, unsigned int flags, struct file **ret_file)
{
	struct wire_packet packet = { .op = WIRE_OPEN, .arg = { flags } };
	char buf[WIRE_DATA + 1];
	int fd = -1;
	s64 ret = call(&packet, path, strlen(path) + 1, (struct room){ buf, sizeof(buf) }, &fd, -EBUSY);

	if (ret < 0)
		return packet.len ? fail((int)ret, "%s", buf) : (int)ret;
	*ret_file = proxy_described(buf, packet.len, fd);
	return *ret_file ? 0 : fail(-ENOMEM, "no memory to open %s", path);
}

int proxy_node(const char *path, u32 *ret_mode, u64 *ret_rdev)
{
	struct wire_packet packet = { .op = WIRE_NODE };
	char buf[REASON];
	s64 ret = call(&packet, path, strlen(path) + 1, (struct room){ buf, sizeof(buf) }, NULL, -EBUSY);

	if (ret)
		return (int)ret;
	*ret_mode = (u32)packet.arg[0];
	*ret_rdev = packet.arg[1];
	return 0;
}

void proxy_accounts(pid_t pid, u64 *ret_locked, u64 *ret_pinned)
{
	struct wire_packet packet = { .op = WIRE_ACCOUNTS, .arg = { (u64)pid } };
	char buf[REASON];

	if (call(&packet, NULL, 0, (struct room){ buf, sizeof(buf) }, NULL, -EBUSY))
		return;
	*ret_locked = packet.arg[0];
	*ret_pinned = packet.arg[1];
}

static int leave(u64 start, u64 len_bytes)
{
	struct wire_packet packet = { .op = WIRE_LEAVE, .arg = { start, start + len_bytes - 1 } };
	char buf[REASON];

	return (int)call(&packet, NULL, 0, (struct room){ buf, sizeof(buf) }, NULL, 0);
}

void proxy_listen(void)
{
	struct wire_packet packet = { .op = WIRE_LISTEN };
	char buf[REASON];

	(void)call(&packet, NULL, 0, (struct room){ buf, sizeof(buf) }, NULL, 0);
}

void proxy_wait_for(pid_t pid)
{
	struct wire_packet packet = { .op = WIRE_WAIT, .arg = { (u64)pid } };
	char buf[REASON];

	(void)call(&packet, NULL, 0, (struct room){ buf, sizeof(buf) }, NULL, 0);
}

void proxy_end(void)
{
	if (far.greeted && mm_pins_near(0, PHYS_OFFSET_MASK))
		(void)leave(0, ~0ull);
}
