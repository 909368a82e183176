/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * families.c - devices in a family of processes: grandchildren, several children, threads that fork, programs that are executed,
 * files that are passed on, and parents that let go of what their children keep.
 *
 * usage: families EDU MSIX    as legacy.c, which tells the rest; turns.h tells whose calls they are
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/conformance/children.h"

/* ---------------------------------------------------------------- descriptors */
static void descriptors(void)
{
	int a, b, ep;
	struct stat st, st2;
	begin("descriptors");
	struct ctx x = ready();
	forks(PARENT, CHILD);
	a = CFD("dup the device", dup(x.d));
	C("GET_INFO by it", device_there(a));
	b = CFD("F_DUPFD_CLOEXEC the container", fcntl(x.c, F_DUPFD_CLOEXEC, 200));
	C("the type by it", type_there(b));
	C("its F_GETFD", fcntl(b, F_GETFD));
	C("close the container", close(x.c));
	C("the type by the duplicate", type_there(b));
	C("MAP by the duplicate", dma_map(b, 3, mem, 0x100000, PG));
	C("dup2 the duplicate back", dup2(b, x.c) == x.c ? 0 : -1);
	C("the type by the old number", type_there(x.c));
	C("dup3 the device over its duplicate", dup3(x.d, a, O_CLOEXEC) == a ? 0 : -1);
	C("GET_INFO by that", device_there(a));
	C("close the duplicate", close(a));
	C("GET_INFO, closed", device_there(a));
	C("GET_INFO by the first", device_there(x.d));
	C("F_GETFL of the device", (fcntl(x.d, F_GETFL) & O_ACCMODE) == O_RDWR ? 0 : -1);
	C("F_SETFL O_NONBLOCK", fcntl(x.d, F_SETFL, fcntl(x.d, F_GETFL) | O_NONBLOCK));
	P("F_GETFL", fcntl(x.d, F_GETFL) & O_NONBLOCK ? 1 : 0);
	C("F_SETFD 0", fcntl(x.d, F_SETFD, 0));
	P("F_GETFD", fcntl(x.d, F_GETFD));
	C("poll the device", poll(&(struct pollfd){ .fd = x.d, .events = POLLIN }, 1, 0));
	C("poll the container", poll(&(struct pollfd){ .fd = x.c, .events = POLLIN }, 1, 0));
	ep = (int)LET(CHILD, epoll_create1(EPOLL_CLOEXEC));
	C("epoll of the device", epoll_ctl(ep, EPOLL_CTL_ADD, x.d, &(struct epoll_event){ .events = EPOLLIN }));
	C("fstat the group", fstat(x.g, &st), "a character device %d", S_ISCHR(st.st_mode));
	C("the same as its node", stat(group_path(edu), &st2), "%d", st.st_rdev == st2.st_rdev && st.st_ino == st2.st_ino);
	C("close_range over all", close_range(3, 400, 0));
	C("GET_INFO, all closed", device_there(x.d));
	P("GET_INFO", device_there(x.d));
	P("the type", type_there(x.c));
	ends(PARENT, CHILD);
	teardown(x);
}

static int taken(pid_t pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), ret = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0), err = errno;
	close(pidfd);
	errno = err;
	return ret;
}

/* Each opens something after the fork and gives it to the other. */
static void passed_on(void)
{
	int s[2], d = -1, c, got = -1;
	begin("passed on by a socket");
	struct ctx x = setup(edu, TYPE, 0);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s);
	forks(PARENT, CHILD);
	d = CFD("GET_DEVICE_FD", high(ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu), 340));
	C("sends it", send_fd(s[0], d));
	got = PFD("receives it", receive_fd(s[1]));
	P("GET_INFO", device_there(got));
	P("memory decoding on", decoding(got, true));
	C("memory decoding", config16(d, 4));
	REG(PARENT, "a register", got, 0);
	P("mmap", try_mmap(got, PG, PROT_READ, MAP_SHARED, 0));
	C("close", close(d));
	P("GET_INFO, closed in the child", device_there(got));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	P("close", close(got));
	P("UNSET_CONTAINER, closed", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	c = CFD("open /dev/vfio/vfio", high(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), 340));
	C("sends that", send_fd(s[0], c));
	got = PFD("receives that", receive_fd(s[1]));
	P("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &got));
	C("SET_IOMMU", ioctl(c, VFIO_SET_IOMMU, TYPE));
	P("MAP", dma_map(got, 3, mem, 0x100000, SIZE));
	C("MAP the same", dma_map(c, 3, mem, 0x100000, SIZE));
	d = PFD("GET_DEVICE_FD", high(ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu), 350));
	C("has no such descriptor", fcntl(d, F_GETFD));
	P("sends it", send_fd(s[1], d));
	DO(PARENT, close(d));
	d = CFD("receives it", receive_fd(s[0]));
	C("GET_INFO", device_there(d));
	C("config space", config16(d, 0));
	P("UNSET_CONTAINER, the child has the device", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	DO(PARENT, close(got));

	begin("taken by the parent");
	got = PFD("pidfd_getfd of the child's device", taken(pids[CHILD], d));
	P("GET_INFO", device_there(got));
	C("close", close(d));
	P("GET_INFO, closed in the child", device_there(got));
	PFD("pidfd_getfd of that number", taken(pids[CHILD], d));
	P("close", close(got));
	d = CFD("open the other group", high(open(group_path(msix), O_RDWR | O_CLOEXEC), 340));
	got = PFD("pidfd_getfd of the other group", taken(pids[CHILD], d));
	P("GET_STATUS", group_flags(got));
	ends(PARENT, CHILD);
	P("GET_STATUS, the child gone", group_flags(got));
	P("the other group is free", group_free(msix));
	P("close it", close(got));
	P("the other group is free then", group_free(msix));
	P("UNSET_CONTAINER, the child gone", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(s[0]);
	close(s[1]);
	teardown(x);
}

/* ---------------------------------------------------------------- more than one child */
static void grandchild(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), d;
	unsigned char *p = page(MAP_PRIVATE), *before = page(MAP_PRIVATE);
	begin("a grandchild");
	names[OTHER] = "grandchild";
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	struct ctx x = ready_for_dma();
	volatile uint32_t *regs = map_bar(x.d);
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("MAP before it forks", dma_map(x.c, 3, before, THERE + 3 * PG, PG));
	forks(CHILD, OTHER);
	pids[OTHER] = (pid_t)LET(CHILD, pids[OTHER]);
	DO(OTHER, memset(p, 33, PG));
	O("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	O("GET_STATUS", group_flags(x.g));
	O("GET_INFO", device_there(x.d));
	O("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	O("GET_INFO by what the child opened", device_there(d));
	O("MAP", dma_map(x.c, 3, p, THERE, PG));
	C("MAP the same", dma_map(x.c, 3, p, THERE, PG));
	C("MAP its own", dma_map(x.c, 3, p, THERE + PG, PG));
	P("MAP its own", dma_map(x.c, 3, p, THERE + 2 * PG, PG));
	O("the device reads all", device_reads(x.d, THERE), "%d %d", device_reads(x.d, THERE + PG), device_reads(x.d, THERE + 2 * PG));
	DO(OTHER, before[0] = 34);
	DO(CHILD, before[0] = 23);
	O("the device reads what the child mapped before", device_reads(x.d, THERE + 3 * PG));
	O("the device writes 45 there", device_writes(x.d, THERE + 3 * PG, 45));
	C("its byte", before[0]);
	O("its byte", before[0]);
	P("its byte", before[0]);
	O("SET_IRQS", set_irq(x.d, MSI, e));
	C("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	LOAD(OTHER, "loads", regs);
	O("stores", store(regs + 1, 0x12345678));
	LOAD(PARENT, "loads that", regs + 1);
	ends(PARENT, CHILD);
	O("GET_INFO, the child gone", device_there(x.d));
	O("GET_INFO by what the child opened, the child gone", device_there(d));
	O("the device reads all, the child gone", device_reads(x.d, THERE), "%d %d", device_reads(x.d, THERE + PG), device_reads(x.d, THERE + 2 * PG));
	UNMAP(OTHER, "UNMAP what the child mapped", x.c, 0, THERE + PG, PG);
	P("close the device", close(x.d));
	P("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(PARENT, OTHER);
	munmap((void *)regs, PG);
	P("UNSET_CONTAINER, the grandchild gone", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	munmap(p, PG);
	munmap(before, PG);
	close(e);
	teardown((struct ctx){ x.c, x.g, -1 });
}

static void two_children(void)
{
	int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), d, own, same;
	unsigned char *p = page(MAP_PRIVATE);
	begin("two children");
	names[OTHER] = "second child";
	struct ctx x = ready_for_dma();
	volatile uint32_t *regs = map_bar(x.d);
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	forks(PARENT, OTHER);
	DO(CHILD, memset(p, 22, PG));
	DO(OTHER, memset(p, 33, PG));
	C("MAP", dma_map(x.c, 3, p, THERE, PG));
	O("MAP the same", dma_map(x.c, 3, p, THERE, PG));
	O("MAP beside it", dma_map(x.c, 3, p, THERE + PG, PG));
	P("the device reads both", device_reads(x.d, THERE), "and %d", device_reads(x.d, THERE + PG));
	C("the device writes 44 to the second's", device_writes(x.d, THERE + PG, 44));
	O("its byte", p[0]);
	C("its byte", p[0]);
	P("its byte", p[0]);
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	O("has no such descriptor", device_there(d));
	same = FD(OTHER, "GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	O("the number is the same", d == same);
	C("close it", close(d));
	O("GET_INFO by its own", device_there(same));
	C("GET_INFO, closed", device_there(d));
	own = (int)LET(OTHER, high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 360));
	O("SET_IRQS, its own", set_irq(x.d, MSI, own));
	C("trigger", trigger(x.d, MSI));
	O("signalled, its own", arrives(own));
	C("SET_IRQS, inherited", set_irq(x.d, MSI, e));
	O("trigger", trigger(x.d, MSI));
	P("signalled", arrives(e));
	C("stores", store(regs + 1, 0x12345678));
	LOAD(OTHER, "loads that", regs + 1);
	O("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", regs);
	C("memory decoding on", decoding(x.d, true));
	LOAD(OTHER, "loads, decoding on", regs);
	UNMAP(OTHER, "UNMAP the first's", x.c, 0, THERE, PG);
	ends(PARENT, CHILD);
	O("GET_INFO, the first gone", device_there(x.d));
	P("the device reads the second's", device_reads(x.d, THERE + PG));
	ends(PARENT, OTHER);
	P("GET_INFO, both gone", device_there(x.d));
	munmap((void *)regs, PG);
	munmap(p, PG);
	close(e);
	teardown(x);
}

/* ---------------------------------------------------------------- the parent lets go */
static void keeps_what_parent_closed(void)
{
	int d, i = -1;
	uint32_t as = 0;
	unsigned char *p = page(MAP_PRIVATE);
	begin("the parent has closed all");
	struct ctx x = ready_for_dma();
	memset(p, 11, PG);
	P("MAP", dma_map(x.c, 3, p, THERE, PG));
	if (!access("/dev/iommu", F_OK)) {
		i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		as = ioas(i);
	}
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	DO(PARENT, teardown(x); close(i); munmap(p, PG));
	P("the group is free", group_free(edu));
	LOCKED(PARENT, "closed");
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("GET_STATUS", group_flags(x.g));
	C("GET_INFO", device_there(x.d));
	P("GET_INFO", device_there(x.d));
	REG(CHILD, "a register", x.d, 0);
	C("the device reads what the parent mapped", device_reads(x.d, THERE));
	C("MAP", dma_map(x.c, 3, p, THERE + PG, PG));
	C("the device reads its own", device_reads(x.d, THERE + PG));
	UNMAP(CHILD, "UNMAP what the parent mapped", x.c, 0, THERE, PG);
	LOCKED(PARENT, "unmapped by the child");
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("close the first", close(x.d));
	C("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("close the second", close(d));
	C("UNSET_CONTAINER, no device open", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("the type", type_there(x.c));
	P("the group is free, the child has it", group_free(edu));
	C("close the group", close(x.g));
	P("the group is free, closed by the child", group_free(edu));
	if (i >= 0) {
		C("MAP in the iommufd", imap(i, as, FIXED | RD | WR, mem, PG, 0x100000));
		C("DESTROY its IOAS", destroy(i, as));
	}
	ends(PARENT, CHILD);
	x = setup(edu, TYPE, 1);
	P("GET_INFO, opened anew", device_there(x.d));
	teardown(x);
}

/* ---------------------------------------------------------------- what the parent does meanwhile */
enum meanwhile { WAITS, READS, SLEEPS, BLOCKS_SIGNALS, SPINS, TURNS_OVER };

static void meanwhile(const char *what, enum meanwhile how, struct ctx x, volatile uint32_t *regs)
{
	int done[2], n = -1;
	sigset_t all, ended, before;
	flush_row();
	fflush(stdout);
	pipe2(done, O_CLOEXEC);
	window[0] = 0;
	sigfillset(&all);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(how == BLOCKS_SIGNALS ? SIG_BLOCK : SIG_UNBLOCK, &all, &before);
	pid_t pid = fork();
	if (!pid) {
		alarm(20);
		n = asks(x, regs, 0x800000);
		write(done[1], &n, sizeof(n));
		window[0] = 1;
		_exit(n);
	}
	switch (how) {
	case READS: read(done[0], &n, sizeof(n)); break;
	case SLEEPS: usleep(300000); break;
	case BLOCKS_SIGNALS: sigwaitinfo(&ended, NULL); break;
	case SPINS: for (time_t end = time(NULL) + 20; !*(volatile unsigned char *)window && time(NULL) < end;) continue; break;
	case TURNS_OVER: for (int i = 0; i < 300; i++) asks(x, regs, 0x900000); break;
	default: break;
	}
	T(what, reap(pid));
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(done[0]);
	close(done[1]);
}

static void busy_parent(void)
{
	begin("of five things that a child asks, how many work");
	struct ctx x = ready();
	volatile uint32_t *regs = map_bar(x.d);
	meanwhile("parent: waits for its end", WAITS, x, regs);
	meanwhile("parent: reads from a pipe", READS, x, regs);
	meanwhile("parent: sleeps", SLEEPS, x, regs);
	meanwhile("parent: has all signals blocked", BLOCKS_SIGNALS, x, regs);
	meanwhile("parent: spins", SPINS, x, regs);
	meanwhile("parent: asks, too", TURNS_OVER, x, regs);
	munmap((void *)regs, PG);
	teardown(x);
}

/* ---------------------------------------------------------------- threads */
static struct ctx shared;
static volatile uint32_t *shared_regs;
static volatile bool stop;

static void *asks_once(void *unused)
{
	(void)unused;
	return (void *)(long)asks(shared, shared_regs, 0x800000);
}

static void *asks_on(void *unused)
{
	while (!stop)
		asks(shared, shared_regs, 0x900000);
	return unused;
}

static long by_thread(void)
{
	pthread_t t;
	void *ret = NULL;
	pthread_create(&t, NULL, asks_once, NULL);
	pthread_join(t, &ret);
	return (long)ret;
}

/* Threads of a child, and children that are made while a thread of the parent has calls under way. */
static void more_threads(void)
{
	pthread_t t;
	long n = 0;
	begin("threads of a child");
	struct ctx x = shared = ready();
	shared_regs = map_bar(x.d);
	forks(PARENT, CHILD);
	C("asks five things", asks(x, shared_regs, 0x800000));
	C("its thread asks five things", by_thread());
	P("its thread asks five things", by_thread());
	C("another thread of it asks five things", by_thread());
	ends(PARENT, CHILD);
	begin("children that are made while a thread asks");
	pthread_create(&t, NULL, asks_on, NULL);
	flush_row();
	fflush(stdout);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (!pid) {
			alarm(20);
			_exit(asks(x, shared_regs, 0x800000));
		}
		n += reap(pid);
	}
	stop = true;
	pthread_join(t, NULL);
	T("parent: of 100 things", n);
	T("parent: MAP where all did", dma_map(x.c, 3, mem, 0x800000, 2 * MB));
	munmap((void *)shared_regs, PG);
	teardown(x);
}

/* ---------------------------------------------------------------- vfork and exec */
static void executes(void)
{
	char *spawned[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char[]){ "exit 8" }, NULL };
	pid_t pid;
	begin("vfork and exec");
	struct ctx x = ready();
	T("parent: MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	flush_row();
	fflush(stdout);
	pid = vfork();
	if (!pid) {
		close(x.d);
		close(x.g);
		close(x.c);
		execl("/bin/sh", "sh", "-c", "exit 5", NULL);
		_exit(127);
	}
	T("parent: the child ends, it closed all", reap(pid));
	T("parent: GET_INFO", device_there(x.d));
	T("parent: MAP the same", dma_map(x.c, 3, mem, 0x100000, SIZE));
	T("parent: UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	pid = vfork();
	if (!pid)
		_exit(device_there(x.d) ? 1 : 6);
	T("parent: the child ends, it asked the device", reap(pid));
	pid = vfork();
	if (!pid) {
		execl("/bin/does-not-exist", "x", NULL);
		_exit(7);
	}
	T("parent: the child ends, it has no program", reap(pid));
	T("parent: posix_spawn", posix_spawn(&pid, "/bin/sh", NULL, NULL, spawned, environ));
	T("parent: that ends", reap(pid));
	T("parent: system", WEXITSTATUS(system("exit 9")));
	T("parent: GET_INFO then", device_there(x.d));
	T("parent: close the device", close(x.d));
	T("parent: UNSET_CONTAINER then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	teardown((struct ctx){ x.c, x.g, -1 });
}

/* This program once more, executed by a child with what it inherited open: asks and says it. */
static int executed(const char *c, const char *g, const char *d)
{
	struct ctx x = { atoi(c), atoi(g), atoi(d) };
	begin("a program that a child executes");
	T("program: GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	T("program: GET_STATUS", group_flags(x.g));
	T("program: GET_INFO", device_there(x.d));
	T("program: GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	T("program: the identity", get_reg(x.d, 0));
	note("0x%x", value);
	T("program: MAP", dma_map(x.c, 3, mem, 0x100000, SIZE));
	T("program: KiB locked", status_kb("VmLck"));
	volatile uint32_t *regs = map_bar(x.d);
	T("program: mmap", regs ? 0 : -1);
	if (regs)
		T("program: stores", store(regs + 1, 0x12345678));
	T("program: UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("program: open the group", group_free(edu));
	flush_row();
	return 0;
}

static void executes_with_them(void)
{
	char c[16], g[16], d[16];
	begin("a program that a child executes");
	struct ctx x = ready();
	snprintf(c, sizeof(c), "%d", x.c);
	snprintf(g, sizeof(g), "%d", x.g);
	snprintf(d, sizeof(d), "%d", x.d);
	forks(PARENT, CHILD);
	if (me == CHILD) {
		for (int i = 0; i < 3; i++)
			fcntl(i == 0 ? x.c : i == 1 ? x.g : x.d, F_SETFD, 0);
		execl("/proc/self/exe", "executed", edu, msix, "executed", c, g, d, NULL);
		_exit(127);
	}
	T("parent: it ends", reap(pids[CHILD]));
	T("parent: the register that it stored", get_reg(x.d, LIVENESS));
	note("0x%x", value);
	T("parent: MAP what it mapped", dma_map(x.c, 3, mem, 0x100000, SIZE));
	teardown(x);
}

/* ---------------------------------------------------------------- a thread forks */
static void *thread(void *unused)
{
	unsigned char *p = page(MAP_PRIVATE);
	begin("a child of a thread");
	struct ctx x = ready_for_dma();
	volatile uint32_t *regs = map_bar(x.d);
	memset(p, 11, PG);
	forks(PARENT, CHILD);
	DO(CHILD, memset(p, 22, PG));
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("GET_STATUS", group_flags(x.g));
	C("GET_INFO", device_there(x.d));
	C("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	C("MAP", dma_map(x.c, 3, p, THERE, PG));
	P("the device reads", device_reads(x.d, THERE));
	LOCKED(CHILD, "mapped");
	LOAD(CHILD, "loads", regs);
	C("stores", store(regs + 1, 0x12345678));
	LOAD(PARENT, "loads that", regs + 1);
	int d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("GET_INFO by that", device_there(d));
	C("write driver_override", write_attr(edu, "driver_override", "child"));
	P("driver_override", 0, "%s", first_line(pci_attr(edu, "driver_override")));
	DO(PARENT, write_attr(edu, "driver_override", "vfio-pci"));
	ends(PARENT, CHILD);
	munmap((void *)regs, PG);
	munmap(p, PG);
	teardown(x);
	return unused;
}

static void threads(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	start_children(argc, argv);
	if (argc > 6)
		return executed(argv[4], argv[5], argv[6]);
	descriptors();
	passed_on();
	grandchild();
	two_children();
	keeps_what_parent_closed();
	busy_parent();
	executes();
	executes_with_them();
	threads();
	more_threads();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
