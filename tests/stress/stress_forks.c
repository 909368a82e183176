/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stress_forks.c - a process with devices, and children that all use them at once: what a child does is carried out in its
 * parent (kernel/syscall/serve.c), so that is where things could go wrong.
 *
 * usage: stress_forks [-s SECONDS] [-c CHILDREN] [-t THREADS] [-S SEED]
 *
 * The machine has edu in group 0, taken by a container, and edu in group 2, taken by its node and an iommufd.  The parent and
 * each child have threads that map and unmap memory of their own at addresses of their own, have the devices move bytes of
 * it, which must be right, also when the memory has left its address meanwhile; that read and write config space and
 * registers, set up interrupts and wait for them, open and close files, and ask for what must fail.  A timer's signals
 * interrupt them.  A child closes all and ends, or ends with files open and memory mapped, or has a child, or executes this
 * program again, which goes on with what it inherited; or it is killed in the middle.
 *
 * At the end of all: as many descriptors and threads in the parent as at its beginning, and both devices can be opened.
 */
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "stress_sys.h"
#include "tests/clients/census.h"

#define PAGE 4096u
#define IOVA 0x1000000ull /* edu has 28 address bits */
#define BUFFER 0x40000ull /* the device's own, one page */
#define CONFIG (7ull << 40)
#define MAX_THREADS 8u
#define MAX_CHILDREN 12u
#define THREAD_BYTES (8ull * PAGE) /* of I/O addresses */
#define WINDOW_BYTES (MAX_THREADS * THREAD_BYTES)
#define WINDOWS 900u
#define PIDS (1u << 22) /* all there can be */

static unsigned seconds = 4, children = 4, threads = 3, seed = 1;
static const char *self;

#define check(cond) do { if (!(cond)) broken(__LINE__, #cond); } while (0)

static _Noreturn void broken(int line, const char *what)
{
	fprintf(stderr, "stress_forks: process %d, line %d: %s (errno %d); seed %u\n", getpid(), line, what, errno, seed);
	_exit(1);
}

/* Of all processes. */
struct shared_lock {
	pthread_mutex_t mutex; /* robust */
	pid_t owner; /* mutex; who may be in a call, also when he is killed; 0 */
};

/* A device, as all processes have it inherited, and who uses it just now. */
struct shared_device {
	bool cdev;
	int c, g, d; /* c: the container or the iommufd; g: -1 without */
	uint32_t ioas;
	struct shared_lock *lock;
};

static struct shared_device devices[2];
static struct shared_lock *group_lock; /* group 1 is open by its holder */
static atomic_uchar *waited_for; /* by process: shared by all */

struct worker {
	unsigned rnd;
	uint64_t iova;
	unsigned char *src, *dst; /* a page each */
	void *bars[2];
	int efd;
};

static atomic_bool stop;
static double until; /* threads work, unless they are told to stop */
static unsigned window; /* of this process */

/* ---- calls that must work ---- */

static int map(const struct shared_device *dev, void *mem, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map dma = { .argsz = sizeof(dma), .flags = 3, .vaddr = (uintptr_t)mem, .iova = iova, .size = PAGE };
	struct iommu_ioas_map ioas = { .size = sizeof(ioas), .flags = 7, .ioas_id = dev->ioas, .user_va = (uintptr_t)mem, .length = PAGE,
				       .iova = iova };

	return (int)(dev->cdev ? s_ioctl(dev->c, IOMMU_IOAS_MAP, &ioas) : s_ioctl(dev->c, VFIO_IOMMU_MAP_DMA, &dma));
}

/* Return: how many bytes were mapped there. */
static uint64_t unmap(const struct shared_device *dev, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap dma = { .argsz = sizeof(dma), .iova = iova, .size = size };
	struct iommu_ioas_unmap ioas = { .size = sizeof(ioas), .ioas_id = dev->ioas, .iova = iova, .length = size };

	if (!dev->cdev) {
		check(!s_ioctl(dev->c, VFIO_IOMMU_UNMAP_DMA, &dma));
		return dma.size;
	}
	if (!s_ioctl(dev->c, IOMMU_IOAS_UNMAP, &ioas))
		return ioas.length;
	check(errno == ENOENT);
	return 0;
}

static int set_irq(int d, int fd)
{
	struct { struct vfio_irq_set set; int fd; } irq = {
		.set = { .argsz = sizeof(irq), .flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD,
			 .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1 },
		.fd = fd,
	};

	return (int)s_ioctl(d, VFIO_DEVICE_SET_IRQS, &irq);
}

static void *page(void)
{
	void *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(mem != MAP_FAILED);
	return mem;
}

/* ---- a device for oneself ---- */

/* The calls of an owner who was killed are at their end when somebody has waited for him. */
static void lock(struct shared_lock *lock)
{
	int err = pthread_mutex_lock(&lock->mutex);
	double limit = now() + 60;

	check(!err || err == EOWNERDEAD);
	while (err && lock->owner && !atomic_load(&waited_for[lock->owner])) {
		check(now() < limit);
		nap(100);
	}
	check(!err || !pthread_mutex_consistent(&lock->mutex));
	lock->owner = getpid();
}

static void unlock(struct shared_lock *lock)
{
	lock->owner = 0;
	check(!pthread_mutex_unlock(&lock->mutex));
}

static void take(struct shared_device *dev, void *bar)
{
	lock(dev->lock);
	for (double limit = now() + 20; s_load(bar, 0x98) & 1;)
		check(now() < limit);
}

static void give(struct shared_device *dev)
{
	unlock(dev->lock);
}

static void transfer(void *bar, uint64_t src, uint64_t dst, uint32_t count, uint32_t cmd)
{
	s_store(bar, 0x80, (uint32_t)src);
	s_store(bar, 0x88, (uint32_t)dst);
	s_store(bar, 0x90, count);
	s_store(bar, 0x98, cmd);
	for (double limit = now() + 20; s_load(bar, 0x98) & 1;)
		check(now() < limit);
}

/* ---- what threads do ---- */

/* Through the device and back; the source may leave its address before, and the device has it still. */
static void moves(struct worker *w, unsigned which)
{
	struct shared_device *dev = &devices[which];
	unsigned count = 1 + rnd(&w->rnd, PAGE), leaves = !rnd(&w->rnd, 3);
	unsigned char want[PAGE];

	for (unsigned i = 0; i < count; i++)
		want[i] = (unsigned char)rnd(&w->rnd, 256);
	memcpy(w->src, want, count);
	memset(w->dst, 0, PAGE);
	check(!map(dev, w->src, w->iova) && !map(dev, w->dst, w->iova + 2 * PAGE));
	check(map(dev, w->src, w->iova) && errno == EEXIST);
	if (leaves) {
		check(!s_munmap(w->src, PAGE));
		w->src = page();
	}
	take(dev, w->bars[which]);
	transfer(w->bars[which], w->iova, BUFFER, count, 1);
	transfer(w->bars[which], BUFFER, w->iova + 2 * PAGE, count, 3);
	give(dev);
	check(!memcmp(w->dst, want, count));
	check(unmap(dev, w->iova, 4 * PAGE) == 2 * PAGE);
	check(unmap(dev, w->iova, 4 * PAGE) == 0);
}

static void config_space(struct worker *w, const struct shared_device *dev)
{
	uint8_t bytes[64], line = (uint8_t)rnd(&w->rnd, 256);

	check(s_pread(dev->d, bytes, sizeof(bytes), CONFIG) == sizeof(bytes) && bytes[0] == 0x34 && bytes[1] == 0x12);
	check(s_pwrite(dev->d, &line, 1, CONFIG + 0x3c) == 1);
	check(s_pread(dev->d, w->dst, PAGE, CONFIG) == -1 && errno == EFAULT); /* more than there is */
	check(s_pread(dev->d, w->dst, PAGE, 0) == PAGE);
}

static void registers(struct worker *w, unsigned which)
{
	struct shared_device *dev = &devices[which];
	uint32_t id, value = rnd(&w->rnd, 1u << 20);

	check(s_pread(dev->d, &id, 4, 0) == 4 && id == 0x010000ed && s_load(w->bars[which], 0) == id);
	take(dev, w->bars[which]);
	if (rnd(&w->rnd, 2))
		s_store(w->bars[which], 4, value);
	else
		check(s_pwrite(dev->d, &value, 4, 4) == 4);
	check(s_load(w->bars[which], 4) == ~value);
	check(s_pread(dev->d, &id, 4, 4) == 4 && id == ~value);
	give(dev);
}

static void interrupts(struct worker *w, unsigned which)
{
	struct shared_device *dev = &devices[which];
	struct pollfd p = { .fd = w->efd, .events = POLLIN };
	uint64_t count;
	int ready;

	take(dev, w->bars[which]);
	check(set_irq(dev->d, 9999) == -1 && errno == EBADF);
	check(!set_irq(dev->d, w->efd));
	check(read(w->efd, &count, 8) == -1 && errno == EAGAIN);
	s_store(w->bars[which], 0x60, 1);
	do
		ready = poll(&p, 1, 20000);
	while (ready < 0 && errno == EINTR);
	check(ready == 1 && read(w->efd, &count, 8) == 8 && count == 1);
	s_store(w->bars[which], 0x64, 0xffffffff);
	if (rnd(&w->rnd, 2))
		check(!set_irq(dev->d, -1));
	give(dev);
	if (!rnd(&w->rnd, 8)) {
		close(w->efd);
		w->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		check(w->efd >= 0);
	}
}

static void files(struct worker *w)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = 1 };
	int fd = s_open("/dev/iommu"), c, d;
	uint16_t id;

	check(fd >= 0 && !s_ioctl(fd, IOMMU_IOAS_ALLOC, &alloc) && alloc.out_ioas_id == 1);
	c = s_open("/dev/vfio/vfio");
	check(c >= 0 && s_ioctl(c, VFIO_GET_API_VERSION, NULL) == 0);
	d = (int)s_ioctl(devices[0].g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	check(d >= 0 && s_pread(d, &id, 2, CONFIG) == 2 && id == 0x1234);
	if (rnd(&w->rnd, 2))
		check(!s_ioctl(fd, IOMMU_DESTROY, &destroy));
	s_close(d);
	d = s_open_cdev("0000:00:10.0");
	check(d >= 0);
	check(s_pread(d, &id, 2, CONFIG) == -1 && errno == EINVAL);
	s_close(fd);
	s_close(d);
	s_close(c);
}

/* A group opens once: whoever else is forked meanwhile must not get it. */
static void alone(void)
{
	int g;

	lock(group_lock);
	g = s_open("/dev/vfio/1");
	check(g >= 0);
	check(s_open("/dev/vfio/1") == -1 && errno == EBUSY);
	s_close(g);
	unlock(group_lock);
}

static void failures(const struct shared_device *dev)
{
	struct vfio_device_info info = { .argsz = 4 };

	check(s_ioctl(dev->d, VFIO_DEVICE_GET_INFO, &info) == -1 && errno == EINVAL);
#ifndef __SANITIZE_THREAD__ /* which takes part in handling the signal */
	check(s_ioctl(dev->d, VFIO_DEVICE_GET_INFO, (void *)8) == -1 && errno == EFAULT);
	check(map(dev, (void *)(uintptr_t)PAGE, IOVA - PAGE) == -1 && errno == EFAULT);
#endif
	check(s_ioctl(dev->c, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL) == -1 && errno == ENOTTY);
	check(s_open("/dev/vfio/0") == -1 && errno == EBUSY);
	info.argsz = sizeof(info);
	check(!s_ioctl(dev->d, VFIO_DEVICE_GET_INFO, &info) && info.num_regions == VFIO_PCI_NUM_REGIONS);
}

static void step(struct worker *w)
{
	const unsigned which = rnd(&w->rnd, 2);

	switch (rnd(&w->rnd, 10)) {
	case 0: config_space(w, &devices[which]); break;
	case 1: registers(w, which); break;
	case 2: interrupts(w, which); break;
	case 3: files(w); break;
	case 4: failures(&devices[which]); break;
	case 5:
		if (window) /* the parent forks, and then its child does have it */
			alone();
		break;
	default: moves(w, which); break;
	}
}

static void worker_begin(struct worker *w, unsigned number)
{
	*w = (struct worker){
		.rnd = seed * 7919 + window * MAX_THREADS + number,
		.iova = IOVA + window % WINDOWS * WINDOW_BYTES + number * THREAD_BYTES,
		.src = page(),
		.dst = page(),
		.efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	for (unsigned i = 0; i < 2; i++) {
		w->bars[i] = s_map_bar(devices[i].d, PAGE);
		check(w->bars[i]);
	}
}

static void worker_end(struct worker *w)
{
	for (unsigned i = 0; i < 2; i++)
		s_unmap_bar(w->bars[i], PAGE);
	close(w->efd);
	munmap(w->src, PAGE);
	munmap(w->dst, PAGE);
}

static void *work(void *arg)
{
	struct worker w;

	worker_begin(&w, (unsigned)(uintptr_t)arg);
	while (!atomic_load(&stop) && now() < until)
		step(&w);
	worker_end(&w);
	return NULL;
}

static void each_step_once(void)
{
	struct worker w;

	worker_begin(&w, 0);
	for (unsigned i = 0; i < 2; i++) {
		config_space(&w, &devices[i]);
		registers(&w, i);
		interrupts(&w, i);
		failures(&devices[i]);
		moves(&w, i);
	}
	files(&w);
	worker_end(&w);
}

static void start_threads(pthread_t at[MAX_THREADS], double how_long)
{
	atomic_store(&stop, false);
	until = now() + how_long;
	for (unsigned i = 0; i < threads; i++)
		check(!pthread_create(&at[i], NULL, work, (void *)(uintptr_t)i));
}

static void join_threads(const pthread_t at[MAX_THREADS])
{
	for (unsigned i = 0; i < threads; i++)
		check(!pthread_join(at[i], NULL));
}

static void stop_threads(const pthread_t at[MAX_THREADS])
{
	atomic_store(&stop, true);
	join_threads(at);
}

/* ---- children ---- */

enum ending { CLOSES, LEAVES, HAS_A_CHILD, EXECUTES, IS_KILLED, ENDINGS };

static void on_alarm(int sig)
{
	(void)sig;
}

/* In the middle of whatever a thread does. */
static void be_interrupted(void)
{
	struct itimerval often = { .it_interval.tv_usec = 3000, .it_value.tv_usec = 3000 };
	struct sigaction action = { .sa_handler = on_alarm };

	check(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &often, NULL));
}

/* ThreadSanitizer knows no threads of a child that was forked from one of several. */
static void child_works_for(unsigned us)
{
#ifdef __SANITIZE_THREAD__
	atomic_store(&stop, false);
	until = now() + us * 1e-6;
	work(NULL);
#else
	pthread_t at[MAX_THREADS];

	start_threads(at, us * 1e-6);
	join_threads(at);
#endif
}

static void close_all(void)
{
	for (unsigned i = 0; i < 2; i++) {
		s_close(devices[i].d);
		if (devices[i].g >= 0)
			s_close(devices[i].g);
		s_close(devices[i].c);
	}
}

/* Memory stays mapped for the devices; that of the last thread's, which maps there no more. */
static void leave_mapped(void)
{
	const uint64_t iova = IOVA + window % WINDOWS * WINDOW_BYTES;

	for (unsigned i = 0; i < 2; i++)
		check(!map(&devices[i], page(), iova + PAGE) && !map(&devices[i], page(), iova + 5 * PAGE));
}

static void clear_window(unsigned which)
{
	for (unsigned i = 0; i < 2; i++)
		unmap(&devices[i], IOVA + which % WINDOWS * WINDOW_BYTES, WINDOW_BYTES);
}

static int waited(pid_t pid)
{
	int status;

	while (s_waitpid(pid, &status) != pid)
		check(errno == EINTR);
	atomic_store(&waited_for[pid], 1);
	return status;
}

#ifdef STRESS_INPROC
static void executes(void)
{
}
#else
/* This program, with what it inherits: a child's arguments are "-x WINDOW" and the descriptors. */
static void executes(void)
{
	char text[9][16];
	char *argv[] = { (char *)self, text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7], text[8], NULL };
	const int numbers[] = { (int)seed, (int)threads, (int)window, devices[0].c, devices[0].g, devices[0].d, devices[1].c, devices[1].d,
				(int)devices[1].ioas };

	for (unsigned i = 0; i < 9; i++)
		snprintf(text[i], sizeof(text[i]), "%d", numbers[i]);
	for (unsigned i = 3; i < 8; i++)
		check(!fcntl(numbers[i], F_SETFD, 0));
	check(!setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL)); /* exec() leaves it, and takes the handler */
	execv(self, argv);
	_exit(127);
}

static int executed(char **argv)
{
	int n[9];

	for (unsigned i = 0; i < 9; i++)
		n[i] = atoi(argv[1 + i]);
	seed = (unsigned)n[0];
	threads = (unsigned)n[1];
	window = (unsigned)n[2];
	devices[0] = (struct shared_device){ .c = n[3], .g = n[4], .d = n[5] };
	devices[1] = (struct shared_device){ .c = n[6], .g = -1, .d = n[7], .cdev = true, .ioas = (uint32_t)n[8] };
	be_interrupted();
	for (unsigned i = 0; i < 2; i++) /* what was left mapped before exec() */
		check(unmap(&devices[i], IOVA + window % WINDOWS * WINDOW_BYTES, WINDOW_BYTES) == 2 * PAGE);
	/* The locks are not inherited: what needs a device for itself is left to the others. */
	for (unsigned i = 0; i < 40; i++) {
		uint64_t iova = IOVA + window % WINDOWS * WINDOW_BYTES + i % 8 * PAGE;
		struct worker w = { .rnd = seed + i, .dst = page() };

		config_space(&w, &devices[i & 1]);
		failures(&devices[i & 1]);
		files(&w);
		check(!map(&devices[i & 1], w.dst, iova) && unmap(&devices[i & 1], iova, PAGE) == PAGE);
	}
	leave_mapped();
	return 0;
}
#endif

static void child(enum ending ending, unsigned us, unsigned own)
{
	unsigned state = own * 31 + seed;
	pid_t pid;

	window = own;
	atomic_store(&waited_for[getpid()], 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the parent end early */
	be_interrupted();
	if (ending == IS_KILLED)
		us = 1000000000;
	child_works_for(us);
	if (ending == HAS_A_CHILD) {
		pid = s_fork();
		check(pid >= 0);
		if (!pid) {
			atomic_store(&waited_for[getpid()], 0);
			be_interrupted();
			child_works_for(us);
			s_end(0);
		}
		nap(rnd(&state, us));
		if (rnd(&state, 2))
			kill(pid, SIGKILL);
		check(!(waited(pid) & ~SIGKILL));
	}
	clear_window(window);
	if (ending == CLOSES)
		close_all();
	else
		leave_mapped();
	if (ending == EXECUTES)
		executes();
	s_end(0);
}

struct running { pid_t pid; unsigned window; enum ending ending; double until; };

static void start_child(struct running *r, unsigned *state, unsigned *next_window)
{
	const unsigned us = 1000 + rnd(state, 150000);

	r->window = (*next_window)++;
	r->ending = rnd(state, ENDINGS);
	r->until = now() + us * 1e-6;
	r->pid = s_fork();
	check(r->pid >= 0);
	if (!r->pid)
		child(r->ending, us, r->window);
}

static void end_child(struct running *r)
{
	int status;

	if (r->ending == IS_KILLED)
		kill(r->pid, SIGKILL);
	status = waited(r->pid);
	if (r->ending == IS_KILLED ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status != 0) {
		fprintf(stderr, "stress_forks: a child ended with %#x; seed %u\n", status, seed);
		exit(1);
	}
	clear_window(r->window);
	r->pid = 0;
}

/* Return: how many there were. */
static unsigned all_children(double end)
{
	struct running running[MAX_CHILDREN] = { 0 };
	unsigned state = seed, next_window = 1;

	while (now() < end) {
		struct running *r = &running[rnd(&state, children)];

		if (!r->pid)
			start_child(r, &state, &next_window);
		else if (now() > r->until)
			end_child(r);
		else
			nap(rnd(&state, 5000));
	}
	for (unsigned i = 0; i < children; i++)
		if (running[i].pid)
			end_child(&running[i]);
	return next_window - 1;
}

/* ---- the parent ---- */

static void *shared(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	check(mem != MAP_FAILED);
	return mem;
}

static struct shared_lock *shared_lock(void)
{
	struct shared_lock *lock = shared(PAGE);
	pthread_mutexattr_t attr;

	check(!pthread_mutexattr_init(&attr));
	check(!pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
	check(!pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	check(!pthread_mutex_init(&lock->mutex, &attr));
	return lock;
}

static void open_by_group(struct shared_device *dev)
{
	const uint16_t command = 6;

	dev->c = s_open("/dev/vfio/vfio");
	dev->g = s_open("/dev/vfio/0");
	check(dev->c >= 0 && dev->g >= 0 && !s_ioctl(dev->g, VFIO_GROUP_SET_CONTAINER, &dev->c));
	check(!s_ioctl(dev->c, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	dev->d = (int)s_ioctl(dev->g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	check(dev->d >= 0 && s_pwrite(dev->d, &command, 2, CONFIG + 4) == 2);
}

static void open_by_node(struct shared_device *dev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	const uint16_t command = 6;

	dev->cdev = true;
	dev->g = -1;
	dev->c = s_open("/dev/iommu");
	dev->d = s_open_cdev("0000:00:10.0");
	check(dev->c >= 0 && dev->d >= 0);
	bind.iommufd = dev->c;
	check(!s_ioctl(dev->d, VFIO_DEVICE_BIND_IOMMUFD, &bind) && !s_ioctl(dev->c, IOMMU_IOAS_ALLOC, &alloc));
	attach.pt_id = dev->ioas = alloc.out_ioas_id;
	check(!s_ioctl(dev->d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) && s_pwrite(dev->d, &command, 2, CONFIG + 4) == 2);
}

static void open_all(void)
{
	open_by_group(&devices[0]);
	open_by_node(&devices[1]);
}

/* All kinds of things once, so that what is made once is there; the child as well. */
static struct census begin(void)
{
	pid_t pid;

	open_all();
	each_step_once();
	pid = s_fork();
	check(pid >= 0);
	if (!pid) {
		leave_mapped();
		executes();
		s_end(0);
	}
	check(waited(pid) == 0);
	clear_window(window);
	close_all();
	return census_at_rest();
}

int main(int argc, char **argv)
{
	struct census before;
	pthread_t at[MAX_THREADS];
	unsigned count;
	int c;

	self = argv[0];
#ifndef STRESS_INPROC
	if (argc == 10)
		return executed(argv);
#endif
	while ((c = getopt(argc, argv, "s:c:t:S:")) != -1) {
		unsigned *which = c == 's' ? &seconds : c == 'c' ? &children : c == 't' ? &threads : c == 'S' ? &seed : NULL;

		if (!which)
			return 2;
		*which = (unsigned)atoi(optarg);
	}
	if (!seconds || !children || children > MAX_CHILDREN || !threads || threads > MAX_THREADS) {
		fprintf(stderr, "stress_forks: up to %u children and %u threads\n", MAX_CHILDREN, MAX_THREADS);
		return 2;
	}
#ifdef STRESS_INPROC
	rig_up();
	rig_begin();
#endif
	for (unsigned i = 0; i < 2; i++)
		devices[i].lock = shared_lock();
	group_lock = shared_lock();
	waited_for = shared(PIDS);
	before = begin();
	open_all();
	be_interrupted();
	start_threads(at, 1e9);
	count = all_children(now() + seconds);
	stop_threads(at);
	close_all();
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	check(settles(before));
	open_all();
	each_step_once();
	close_all();
	printf("%u children\n", count);
	return 0;
}
