/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_wire.c - a process whose calls are served, and that is hostile: packets from fuzz bytes.
 *
 * It has connections of both kinds and sends what it likes on them: calls as proxy.c makes them, with structs from fuzz
 * bytes; any packet, of any length, with any descriptors; and what it is asked for during a call it answers truly, or with
 * anything, or not at all, and closes in the middle.  What it claims to be its memory and mappings may be other files.
 *
 * Whatever it does: each call is answered or its connection closed, nothing crashes, memory beside what it has stays as it
 * is, and when it has closed all, no descriptor and no thread is left.
 */
#include "tests/fuzz/rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/syscall/serve.h"
#include "kernel/syscall/wire.h"

#define CONS 6
#define FILES 5
#define SLOWEST_MS 10000

/* Our ends. */
static struct { int sock; bool first; unsigned unanswered; } cons[CONS];
static int files[FILES], group; /* of the process that serves */
static int pipe_end, zero, event;

/* ---- numbers ---- */

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	rig_must(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static u64 pick(struct rig_input *in)
{
	u8 how = in_u8(in);

	switch (how % 8) {
	case 0: return how >> 3;
	case 1: return in_u16(in);
	case 2: return (uintptr_t)rig_ubuf + in_u16(in) % RIG_UBUF_BYTES;
	case 3: return (uintptr_t)rig_arena + (RIG_GUARD_PAGES + in_u8(in) % 32) * PAGE_SIZE;
	case 4: return PAGE_SIZE << (how >> 3 & 7);
	case 5: return 0 - (u64)in_u8(in);
	case 6: return (u64)in_u8(in) << 40 | in_u16(in);
	default: return (u64)in_u8(in) << 56 | in_u32(in);
	}
}

static u64 pick_id(struct rig_input *in)
{
	u8 how = in_u8(in);
	struct file *file = how & 0x80 ? NULL : fget(files[how % FILES]);
	u64 id = file ? file->id : how & 0x40 ? in_u64(in) : how & 63;

	fput(file);
	return id;
}

/* A new descriptor; -1 for none. */
static int pick_fd(struct rig_input *in)
{
	u8 how = in_u8(in);

	switch (how % 8) {
	case 0: return dup(event);
	case 1: return dup(pipe_end);
	case 2: return dup(zero);
	case 3: return dup(files[in_u8(in) % FILES]);
	case 4: return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	case 5: return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	default: return -1;
	}
}

/* ---- connections ---- */

static void drop(unsigned i)
{
	if (cons[i].sock >= 0)
		close(cons[i].sock);
	cons[i].sock = -1;
}

static void send_on(unsigned i, struct wire_packet *packet, const void *data, size_t len, const int fds[2])
{
	if (cons[i].sock < 0 || wire_send(cons[i].sock, packet, data, len, fds))
		drop(i);
	else
		cons[i].unanswered++;
	for (int n = 0; n < 2; n++)
		if (fds[n] >= 0)
			close(fds[n]);
}

static bool is_own(u64 uva, u64 len)
{
	return (uva >= (uintptr_t)rig_ubuf && uva - (uintptr_t)rig_ubuf + len <= RIG_UBUF_BYTES && len <= RIG_UBUF_BYTES);
}

/* As proxy.c would; memory of ours is the buffer only. */
static size_t answer_truly(struct wire_packet *p, char *data, int fds[2])
{
	size_t len = 0;

	switch (p->op) {
	case WIRE_COPY_FROM:
		len = is_own(p->arg[0], p->arg[1]) ? min(p->arg[1], (u64)WIRE_DATA) : 0;
		p->ret = len ? 0 : -EFAULT;
		if (len)
			memcpy(data, (const void *)p->arg[0], len);
		break;
	case WIRE_COPY_TO:
		p->ret = is_own(p->arg[0], p->len) ? 0 : -EFAULT;
		if (!p->ret)
			memcpy((void *)p->arg[0], data, p->len);
		break;
	case WIRE_STRNCPY:
		strcpy(data, rig_names[0]);
		len = strlen(data) + 1;
		p->ret = (s64)len - 1;
		break;
	case WIRE_FGET: {
		struct file *file = fget(files[p->arg[0] % FILES]);

		p->id = file->id;
		p->ret = 0;
		fput(file);
		break;
	}
	case WIRE_DUP:
		fds[0] = dup(event);
		p->ret = 0;
		break;
	case WIRE_PUBLISH:
		p->ret = 40;
		break;
	default:
		p->ret = 0;
	}
	p->op = WIRE_ANSWER;
	return len;
}

static size_t answer_badly(struct rig_input *in, struct wire_packet *p, char *data, int fds[2])
{
	size_t len = in_u8(in) & 1 ? in_u16(in) % (WIRE_DATA + 1) : in_u8(in);

	p->op = in_u8(in) & 7 ? WIRE_ANSWER : in_u8(in);
	p->ret = (s64)pick(in);
	p->id = pick_id(in);
	for (int i = 0; i < 4; i++)
		p->arg[i] = pick(in);
	memset(data, in_u8(in), len);
	in_bytes(in, data, min(len, (size_t)32));
	fds[0] = pick_fd(in);
	fds[1] = pick_fd(in);
	return len;
}

/* What comes, until the answer of a call; what is asked for is answered in one way or another. */
static void pump(struct rig_input *in, unsigned i)
{
	static char data[WIRE_DATA + 1];
	struct wire_packet packet;
	int fds[2];

	for (unsigned n = 0; n < 100 && cons[i].sock >= 0 && cons[i].unanswered; n++) {
		struct pollfd p = { .fd = cons[i].sock, .events = POLLIN };
		u8 how = in_u8(in);
		size_t len;
		bool more;

		if (!poll(&p, 1, cons[i].unanswered > 1 ? 10 : SLOWEST_MS)) {
			if (cons[i].unanswered == 1)
				rig_bug("a call has no answer");
			return;
		}
		if (wire_receive(cons[i].sock, &packet, data, WIRE_DATA, fds)) {
			drop(i);
			return;
		}
		more = !packet.ret && packet.len == sizeof(struct wire_file) && fds[0] >= 0;
		for (int f = 0; f < 2; f++)
			if (fds[f] >= 0)
				close(fds[f]);
		if (packet.op == WIRE_ANSWER) { /* with a descriptor, one more comes */
			cons[i].unanswered -= !more;
			continue;
		}
		fds[0] = fds[1] = -1;
		if (how == 0xff) {
			drop(i);
			return;
		}
		len = how % 8 == 7 ? answer_badly(in, &packet, data, fds) : answer_truly(&packet, data, fds);
		send_on(i, &packet, data, len, fds);
		cons[i].unanswered--;
	}
}

static unsigned some(struct rig_input *in, bool first)
{
	unsigned at = in_u8(in) % CONS;

	for (unsigned n = 0; n < CONS; n++, at = (at + 1) % CONS)
		if (cons[at].sock >= 0 && cons[at].first == first)
			break;
	return at;
}

/* ---- steps ---- */

static void hello(struct rig_input *in)
{
	struct wire_packet packet = { .op = WIRE_HELLO, .arg = { (u64)getpid() } };
	unsigned i = some(in, true);
	int fds[2] = { -1, -1 };

	if (in_u8(in) & 3) {
		fds[0] = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
		fds[1] = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	} else {
		fds[0] = pick_fd(in);
		fds[1] = pick_fd(in);
	}
	send_on(i, &packet, NULL, 0, fds);
	pump(in, i);
}

static void connect_one(struct rig_input *in)
{
	struct wire_packet packet = { .op = WIRE_CONNECT, .id = !(in_u8(in) & 3) };
	unsigned i = some(in, true), at = 0;
	int pair[2];

	while (at < CONS && cons[at].sock >= 0)
		at++;
	if (at == CONS)
		return;
	rig_must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	send_on(i, &packet, NULL, 0, (const int[]){ pair[1], pick_fd(in) });
	cons[at].sock = pair[0];
	cons[at].first = packet.id;
	cons[at].unanswered = 0;
	pump(in, i);
}

static void ioctl_of(struct rig_input *in)
{
	static const u32 cmds[] = {
		VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU, VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER,
		VFIO_GROUP_UNSET_CONTAINER, VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_RESET, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_PCI_HOT_RESET, VFIO_DEVICE_IOEVENTFD, VFIO_DEVICE_FEATURE, VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA,
		VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_DIRTY_PAGES, IOMMU_IOAS_ALLOC, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP, IOMMU_DESTROY,
		IOMMU_IOAS_IOVA_RANGES, IOMMU_IOAS_COPY, IOMMU_IOAS_MAP_FILE, IOMMU_VFIO_IOAS, IOMMU_OPTION, IOMMU_FAULT_QUEUE_ALLOC,
	};
	struct wire_packet packet = { .op = WIRE_IOCTL, .id = pick_id(in) };
	unsigned i = some(in, false), at = in_u8(in), len = in_u8(in) % 96;

	packet.arg[0] = cmds[in_u8(in) % ARRAY_SIZE(cmds)];
	packet.arg[1] = in_u8(in) & 7 ? (uintptr_t)rig_ubuf + at * 8 : pick(in);
	in_bytes(in, rig_ubuf + at * 8, len);
	for (unsigned n = in_u8(in) & 3; n--;) /* addresses and lengths that mean something */
		*(u64 *)(rig_ubuf + at * 8 + in_u8(in) % 8 * 8) = pick(in);
	send_on(i, &packet, rig_ubuf + at * 8, in_u8(in) & 1 ? len : 0, (const int[]){ -1, -1 });
	pump(in, i);
}

static void open_path(struct rig_input *in)
{
	static const char *const paths[] = { "/dev/vfio/vfio", "/dev/iommu", "/dev/vfio/0", "/dev/vfio/2", "/dev/vfio/devices/vfio2",
					     "/dev/vfio/77", "/dev", "", "/sys/bus/pci/devices/0000:01:00.0/vendor" };
	const char *path = paths[in_u8(in) % ARRAY_SIZE(paths)];
	struct wire_packet packet = { .op = in_u8(in) & 3 ? WIRE_OPEN : WIRE_NODE, .arg = { in_u8(in) & 1 ? O_RDWR : in_u16(in) } };
	unsigned i = some(in, false);

	send_on(i, &packet, path, strlen(path) + (in_u8(in) & 1), (const int[]){ -1, -1 });
	pump(in, i);
}

static void anything(struct rig_input *in)
{
	static u8 data[WIRE_DATA + 64];
	struct wire_packet packet = { .op = in_u8(in) % (WIRE_ANSWER + 2), .id = pick_id(in), .ret = (s64)pick(in) };
	u8 how = in_u8(in);
	size_t len = how & 1 ? 0 : how & 2 ? in_u8(in) : in_u16(in) % sizeof(data);
	unsigned i = how & 4 ? some(in, false) : in_u8(in) % CONS;

	for (int n = 0; n < 4; n++)
		packet.arg[n] = pick(in);
	in_bytes(in, data, min(len, (size_t)64));
	send_on(i, &packet, data, len, (const int[]){ pick_fd(in), pick_fd(in) });
	if (how & 8)
		pump(in, i);
}

/* No packet at all, or half of one. */
static void raw(struct rig_input *in)
{
	char control[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8)));
	struct wire_packet packet = { .op = in_u8(in), .len = in_u8(in) };
	struct iovec iov = { &packet, in_u8(in) % (sizeof(packet) + 1) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	const int three[] = { event, zero, pipe_end };
	unsigned i = in_u8(in) % CONS;

	*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(three)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), three, sizeof(three));
	if (in_u8(in) & 1)
		msg.msg_controllen = 0;
	if (cons[i].sock >= 0)
		sendmsg(cons[i].sock, &msg, MSG_NOSIGNAL);
	drop(i);
}

static void step(struct rig_input *in)
{
	switch (in_u8(in) % 12) {
	case 0: hello(in); break;
	case 1: case 2: connect_one(in); break;
	case 3: case 4: case 5: case 6: ioctl_of(in); break;
	case 7: open_path(in); break;
	case 8: case 9: anything(in); break;
	case 10: raw(in); break;
	default: drop(in_u8(in) % CONS);
	}
}

/* ---- all ---- */

static void begin(void)
{
	int pair[2];

	files[0] = rig_open("/dev/vfio/vfio", O_RDWR);
	files[1] = group = rig_open("/dev/vfio/0", O_RDWR);
	rig_must(files[0] >= 0 && group >= 0 && !rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, (unsigned long)&files[0]));
	rig_must(!rig_ioctl(files[0], VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	files[2] = (int)rig_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (unsigned long)rig_names[0]);
	files[3] = rig_open("/dev/iommu", O_RDWR);
	files[4] = rig_open("/dev/vfio/vfio", O_RDWR);
	rig_must(files[2] >= 0 && files[3] >= 0 && files[4] >= 0);
	for (unsigned i = 0; i < CONS; i++)
		cons[i].sock = -1;
	rig_must(!wire_pair(pair) && !serve_process(pair[0], 0));
	cons[0].sock = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
	cons[0].first = true;
	cons[0].unanswered = 0;
	fd_private_close(pair[1]);
}

static void end(unsigned fds, unsigned threads)
{
	for (unsigned i = 0; i < CONS; i++)
		drop(i);
	for (int i = FILES; i--;)
		rig_close(files[i]);
	for (unsigned n = 0; entries("/proc/self/task") > threads || entries("/proc/self/fd") > fds; n++) {
		if (n > SLOWEST_MS)
			rig_bug("%u threads and %u descriptors, of %u and %u at the beginning", entries("/proc/self/task"),
				entries("/proc/self/fd"), threads, fds);
		usleep(n < 20 ? 50 : 1000);
		file_reap();
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int ends[2];

	rig_up();
	rig_must(!pipe2(ends, O_CLOEXEC));
	pipe_end = ends[0];
	zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	serve_listen(); /* once for all: a packet may ask for it */
	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };
	unsigned fds, threads;

	rig_begin();
	fds = entries("/proc/self/fd");
	threads = entries("/proc/self/task");
	begin();
	for (unsigned n = 0; n < 100 && in_more(&in); n++)
		step(&in);
	end(fds, threads);
	return 0;
}
