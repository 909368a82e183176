/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stress.c - many threads in several processes on one machine, for a while.
 *
 * usage: stress [-s SECONDS] [-p PROCESSES] [-t THREADS] [-S SEED]
 *
 * The machine has edu in group 0, nvme in group 1 and edu in group 2, all bound to vfio-pci.  Each
 * thread takes a group if nobody has it, and lives a session on it: a container, a device, mappings,
 * a mapped BAR, interrupts, DMA that must bring the right bytes, resets; meanwhile a helper uses dups
 * of its descriptors to map, unmap, write config space and set up interrupts; then everything is closed in
 * a random order.  Every other session takes the device by its own node and an iommufd instead: it binds, maps
 * in an address space, attaches, moves the device to another one or to none, where its DMA must be refused, and
 * at the end detaches, unmaps, destroys and closes in a random order.  The first process kills one of the others
 * now and then and starts it anew.  One more process (a thread, where the machine is in the program) is a
 * restless administrator: it unbinds devices, which waits for those that have them open, removes them, rescans the
 * bus, and binds them again.
 *
 * At the end of each process that was not killed: as many descriptors as at its beginning, and not much
 * more memory.  At the end of all: every group can be opened, and its device works.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "stress_sys.h"

#define GROUPS 3
#define PAGE 4096u
#define MEM_BYTES (64 * PAGE)
#define IOVA 0x1000000ull /* edu has 28 address bits */
#define HELPER_IOVA 0x40000000ull
#define CONFIG (7ull << 40)
#define MAX_THREADS 64
#define MAX_PROCESSES 16
#define GROWTH_KIB (32 * 1024)

#define ROOT "/sys/devices/pci0000:00/"

static const char *const names[GROUPS] = { "0000:01:00.0", "0000:02:00.0", "0000:00:10.0" };
static const char *const dirs[GROUPS] = { ROOT "0000:00:01.0/0000:01:00.0", ROOT "0000:00:02.0/0000:02:00.0",
					  ROOT "0000:00:10.0" };
static unsigned seconds = 20, processes = 3, threads = 4, seed = 1;
static atomic_bool stop;
static atomic_uint sessions, cdev_sessions, busy;
static pthread_mutex_t administering = PTHREAD_MUTEX_INITIALIZER; /* while descriptors are counted, nobody does */

#define check(cond) do { if (!(cond)) broken(__LINE__, #cond); } while (0)

static _Noreturn void broken(int line, const char *what)
{
	fprintf(stderr, "stress: process %d, line %d: %s (errno %d); seed %u\n", getpid(), line, what, errno, seed);
	_exit(1);
}

/* ---- a session ---- */

struct session {
	unsigned id, rnd; /* group; state of this thread's numbers */
	bool cdev; /* by the device's node and an iommufd: c is that, there is no g */
	int c, g, d;
	uint32_t ioas, attached; /* the first address space; what the device is attached to, or 0 */
	unsigned char *mem;
	void *bar;
	size_t bar_bytes;
};

struct helper {
	pthread_t thread;
	unsigned rnd;
	int c, d, id;
	uint32_t ioas; /* or 0: c is a container */
	unsigned char *mem; /* the session's: the upper half is the helper's to map */
	atomic_bool stop;
};

static int map_dma(int c, void *mem, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)mem, .iova = iova,
						.size = size };

	return (int)s_ioctl(c, VFIO_IOMMU_MAP_DMA, &map);
}

static uint64_t unmap_dma(int c, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };

	check(!s_ioctl(c, VFIO_IOMMU_UNMAP_DMA, &unmap));
	return unmap.size;
}

static int ioas_map(int c, uint32_t ioas, void *mem, uint64_t iova, uint64_t size)
{
	struct iommu_ioas_map map = { .size = sizeof(map), .ioas_id = ioas, .user_va = (uintptr_t)mem, .iova = iova, .length = size,
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE };

	return (int)s_ioctl(c, IOMMU_IOAS_MAP, &map);
}

static int ioas_unmap(int c, uint32_t ioas, uint64_t iova, uint64_t size)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = ioas, .iova = iova, .length = size };

	return (int)s_ioctl(c, IOMMU_IOAS_UNMAP, &unmap);
}

static uint32_t ioas_alloc(int c)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	check(!s_ioctl(c, IOMMU_IOAS_ALLOC, &alloc));
	return alloc.out_ioas_id;
}

static int destroy(int c, uint32_t id)
{
	return (int)s_ioctl(c, IOMMU_DESTROY, &(struct iommu_destroy){ .size = sizeof(struct iommu_destroy), .id = id });
}

static void attach(struct session *s, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = id };

	check(!s_ioctl(s->d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	s->attached = id;
}

static void detach(struct session *s)
{
	struct vfio_device_detach_iommufd_pt pt = { .argsz = sizeof(pt) };

	check(!s_ioctl(s->d, VFIO_DEVICE_DETACH_IOMMUFD_PT, &pt));
	s->attached = 0;
}

static int set_irq(int d, unsigned index, unsigned count, int fd)
{
	struct { struct vfio_irq_set set; int fds[4]; } irq = { .fds = { fd, fd, fd, fd } };

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .index = index, .count = count };
	irq.set.flags = VFIO_IRQ_SET_ACTION_TRIGGER | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	return (int)s_ioctl(d, VFIO_DEVICE_SET_IRQS, &irq);
}

static void set_command(int d, uint16_t command)
{
	check(s_pwrite(d, &command, 2, CONFIG + 4) == 2);
}

static void help_once(struct helper *h, int efd)
{
	uint64_t iova = HELPER_IOVA + rnd(&h->rnd, 16) * PAGE, size = (1 + rnd(&h->rnd, 4)) * PAGE;
	uint8_t bytes[256];

	switch (rnd(&h->rnd, 6)) {
	case 0: { /* may be taken: fine */
		unsigned char *mem = h->mem + MEM_BYTES / 2 + rnd(&h->rnd, 16) * PAGE;

		if (h->ioas)
			ioas_map(h->c, h->ioas, mem, iova, size);
		else
			map_dma(h->c, mem, iova, size);
		break;
	}
	case 1: /* of an address space: nothing may be there, nor the space itself any more */
		if (h->ioas)
			check(!ioas_unmap(h->c, h->ioas, HELPER_IOVA, 32 * PAGE) || errno == ENOENT);
		else
			unmap_dma(h->c, HELPER_IOVA, 32 * PAGE);
		break;
	case 2: { /* interrupt line, cache line size */
		uint8_t val = (uint8_t)rnd(&h->rnd, 256);

		check(s_pwrite(h->d, &val, 1, CONFIG + (val & 1 ? 0x3c : 0x0c)) == 1);
		break;
	}
	case 3:
		check(s_pread(h->d, bytes, sizeof(bytes), CONFIG) == sizeof(bytes));
		break;
	case 4: /* the other thread may do the same: either order is fine */
		set_irq(h->d, h->id == 1 ? VFIO_PCI_MSIX_IRQ_INDEX : rnd(&h->rnd, 2), 1, efd);
		break;
	case 5:
		set_irq(h->d, h->id == 1 ? VFIO_PCI_MSIX_IRQ_INDEX : rnd(&h->rnd, 2), 0, -1);
		break;
	}
}

static void *help(void *arg)
{
	struct helper *h = arg;
	int efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	check(efd >= 0);
	while (!atomic_load(&h->stop)) {
		help_once(h, efd);
		if (!rnd(&h->rnd, 8))
			nap(20);
	}
	s_close(h->d);
	s_close(h->c);
	close(efd);
	return NULL;
}

static void edu_transfer(struct session *s, uint64_t src, uint64_t dst, uint32_t count, uint32_t cmd)
{
	s_store(s->bar, 0x80, (uint32_t)src);
	s_store(s->bar, 0x88, (uint32_t)dst);
	s_store(s->bar, 0x90, count);
	s_store(s->bar, 0x98, cmd);
	for (double until = now() + 20; s_load(s->bar, 0x98) & 1;)
		check(now() < until);
}

/* Through the device and back. */
static void edu_work(struct session *s)
{
	unsigned from = rnd(&s->rnd, 8 * PAGE), to = 16 * PAGE + rnd(&s->rnd, 8 * PAGE), count = 1 + rnd(&s->rnd, 4096);

	for (unsigned i = 0; i < count; i++)
		s->mem[from + i] = (unsigned char)rnd(&s->rnd, 256);
	memset(s->mem + to, 0, count);
	edu_transfer(s, IOVA + from, 0x40000, count, 1);
	edu_transfer(s, 0x40000, IOVA + to, count, 3 | 4 * rnd(&s->rnd, 2));
	check(!memcmp(s->mem + from, s->mem + to, count));
	s_store(s->bar, 0x64, 0xffffffff);
}

/* The device has no address space: its DMA changes nothing. */
static void edu_refused(struct session *s)
{
	unsigned at = 16 * PAGE + rnd(&s->rnd, 8 * PAGE);

	memset(s->mem + at, 0xa5, 64);
	edu_transfer(s, 0x40000, IOVA + at, 64, 3);
	for (unsigned i = 0; i < 64; i++)
		check(s->mem[at + i] == 0xa5);
}

/* Start the controller, so that threads and queues are there when it is reset or closed. */
static void nvme_work(struct session *s)
{
	double until = now() + 20;

	s_store(s->bar, 0x14, 0);
	while (s_load(s->bar, 0x1c) & 1)
		check(now() < until);
	s_store(s->bar, 0x24, 15 << 16 | 15);
	s_store(s->bar, 0x28, (uint32_t)IOVA);
	s_store(s->bar, 0x2c, 0);
	s_store(s->bar, 0x30, (uint32_t)IOVA + PAGE);
	s_store(s->bar, 0x34, 0);
	s_store(s->bar, 0x14, 1 | 6 << 16 | 4 << 20);
	while (!(s_load(s->bar, 0x1c) & 1))
		check(now() < until);
	memset(s->mem, 0, 2 * PAGE);
	s->mem[0] = 0x06; /* identify */
	memcpy(s->mem + 24, &(uint64_t){ IOVA + 2 * PAGE }, 8);
	s->mem[40] = 1;
	s_store(s->bar, 0x1000, 1);
	if (rnd(&s->rnd, 2))
		while (!__atomic_load_n((uint16_t *)(s->mem + PAGE + 14), __ATOMIC_ACQUIRE))
			check(now() < until);
	if (rnd(&s->rnd, 2))
		check(!s_ioctl(s->d, VFIO_DEVICE_RESET, NULL));
	set_command(s->d, 6);
}

static void bar_open(struct session *s)
{
	set_command(s->d, 6);
	s->bar_bytes = s->id == 1 ? 0x4000 : 0x1000;
	s->bar = s_map_bar(s->d, s->bar_bytes);
	check(s->bar);
}

/* In either order. */
static void map_and_attach(struct session *s)
{
	unsigned first = rnd(&s->rnd, 2);

	s->ioas = ioas_alloc(s->c);
	if (first)
		attach(s, s->ioas);
	check(!ioas_map(s->c, s->ioas, s->mem, IOVA, MEM_BYTES / 2));
	if (!first)
		attach(s, s->ioas);
}

static bool cdev_open(struct session *s)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	uint16_t vendor;

	s->g = -1;
	s->d = s_open_cdev(names[s->id]);
	if (s->d < 0) {
		check(errno == ENOENT || errno == ENODEV || errno == ENXIO);
		return false;
	}
	s->c = s_open("/dev/iommu");
	check(s->c >= 0);
	bind.iommufd = s->c;
	if (s_ioctl(s->d, VFIO_DEVICE_BIND_IOMMUFD, &bind)) { /* a group has it, another descriptor, or no driver any more */
		check(errno == EBUSY || errno == EINVAL || errno == ENODEV);
		atomic_fetch_add(&busy, 1);
		s_close(s->c);
		s_close(s->d);
		return false;
	}
	check(s_pread(s->d, &vendor, 2, CONFIG) == 2); /* since we looked its node may have become another device's */
	s->id = vendor != 0x1234 ? 1 : s->id == 1 ? 0 : s->id;
	map_and_attach(s);
	bar_open(s);
	return true;
}

static bool session_open(struct session *s)
{
	char path[32];

	if (s->cdev)
		return cdev_open(s);
	s->ioas = s->attached = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%u", s->id);
	s->g = s_open(path);
	if (s->g < 0) {
		check(errno == EBUSY || errno == ENOENT || errno == ENODEV || errno == ENXIO);
		atomic_fetch_add(&busy, 1);
		return false;
	}
	s->c = s_open("/dev/vfio/vfio");
	check(s->c >= 0);
	if (s_ioctl(s->g, VFIO_GROUP_SET_CONTAINER, &s->c))
		goto unbound;
	if (s_ioctl(s->c, VFIO_SET_IOMMU, (void *)(uintptr_t)(rnd(&s->rnd, 2) ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU)))
		goto unbound;
	s->d = (int)s_ioctl(s->g, VFIO_GROUP_GET_DEVICE_FD, names[s->id]);
	if (s->d < 0)
		goto unbound;
	bar_open(s);
	check(!map_dma(s->c, s->mem, IOVA, MEM_BYTES / 2));
	return true;
unbound: /* since we opened the group */
	check(errno == ENODEV || errno == EINVAL);
	s_close(s->g);
	s_close(s->c);
	return false;
}

/* To none and back, or to another address space with the same memory, directly, and back. */
static void move_device(struct session *s)
{
	uint32_t other;

	if (rnd(&s->rnd, 2)) {
		detach(s);
		if (s->id != 1)
			edu_refused(s);
		attach(s, s->ioas);
		return;
	}
	other = ioas_alloc(s->c);
	check(!ioas_map(s->c, other, s->mem, IOVA, MEM_BYTES / 2));
	attach(s, other);
	check(destroy(s->c, other) && errno == EBUSY);
	if (s->id != 1)
		edu_work(s);
	attach(s, s->ioas);
	check(!destroy(s->c, other));
}

/*
 * Detach, unmap, destroy, close, unmap the BAR, in any order.  @alone: the helper is gone, so that what is
 * detached is in nobody's use.
 */
static void cdev_close(struct session *s, bool alone)
{
	bool c = true, d = true;
	unsigned left = 63;

	while (left) {
		unsigned which = 1u << rnd(&s->rnd, 6);

		if (!(left & which))
			continue;
		left &= ~which;
		if (which == 1) {
			s_close(s->c);
			c = false;
		} else if (which == 2) {
			s_close(s->d);
			d = false;
			if (alone && !s->bar)
				s->attached = 0;
		} else if (which == 4) {
			s_unmap_bar(s->bar, s->bar_bytes);
			s->bar = NULL;
			if (alone && !d)
				s->attached = 0;
		} else if (which == 8 && d && s->attached) {
			detach(s);
		} else if (which == 16 && c && s->ioas) {
			check(!ioas_unmap(s->c, s->ioas, IOVA, MEM_BYTES / 2));
		} else if (which == 32 && c) {
			check(!!destroy(s->c, s->ioas) == !!s->attached || !alone);
			if (!s->attached)
				s->ioas = 0;
		}
	}
}

/* All four, in any order; what is open yet keeps the rest alive. */
static void session_close(struct session *s, bool alone)
{
	unsigned left = 15;

	if (s->cdev) {
		cdev_close(s, alone);
		return;
	}
	while (left) {
		unsigned which = 1u << rnd(&s->rnd, 4);

		if (!(left & which))
			continue;
		left &= ~which;
		if (which == 1)
			s_close(s->c);
		else if (which == 2)
			s_close(s->g);
		else if (which == 4)
			s_close(s->d);
		else
			s_unmap_bar(s->bar, s->bar_bytes);
	}
}

static void session(struct session *s)
{
	struct helper h = { .rnd = s->rnd + 99, .mem = s->mem };
	unsigned works = 1 + rnd(&s->rnd, 20);

	if (!session_open(s))
		return;
	h.ioas = s->ioas;
	h.id = (int)s->id;
	h.c = s_dup(s->c);
	h.d = s_dup(s->d);
	check(h.c >= 0 && h.d >= 0);
	check(!pthread_create(&h.thread, NULL, help, &h));
	while (works-- && !atomic_load(&stop)) {
		if (s->cdev && !rnd(&s->rnd, 4))
			move_device(s);
		if (s->id == 1)
			nvme_work(s);
		else
			edu_work(s);
	}
	if (rnd(&s->rnd, 2)) { /* the helper keeps it open a little longer */
		session_close(s, false);
		atomic_store(&h.stop, true);
		check(!pthread_join(h.thread, NULL));
	} else {
		atomic_store(&h.stop, true);
		check(!pthread_join(h.thread, NULL));
		session_close(s, true);
	}
	atomic_fetch_add(&sessions, 1);
	atomic_fetch_add(&cdev_sessions, s->cdev);
}

static void *worker(void *arg)
{
	struct session s = { .rnd = seed * 7919 + (unsigned)(uintptr_t)arg * 104729 + (unsigned)getpid() };

	s.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(s.mem != MAP_FAILED);
	while (!atomic_load(&stop)) {
		s.id = rnd(&s.rnd, GROUPS);
		s.cdev = rnd(&s.rnd, 2);
		session(&s);
		nap(rnd(&s.rnd, 200));
	}
	munmap(s.mem, MEM_BYTES);
	return NULL;
}

/* ---- a process ---- */

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *dir;

	pthread_mutex_lock(&administering);
	dir = opendir("/proc/self/fd");
	check(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	pthread_mutex_unlock(&administering);
	return n;
}

static long memory_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size, resident;

	check(f && fscanf(f, "%ld %ld", &size, &resident) == 2);
	fclose(f);
	return resident * 4;
}

static void run_threads(void)
{
	pthread_t t[MAX_THREADS];

	for (unsigned i = 0; i < threads; i++)
		check(!pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)i));
	for (unsigned i = 0; i < threads; i++)
		check(!pthread_join(t[i], NULL));
}

static void on_term(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

static void *stop_after(void *arg)
{
	for (double until = now() + *(double *)arg; now() < until && !atomic_load(&stop);)
		nap(20000);
	atomic_store(&stop, true);
	return NULL;
}

/* A short time to get warm, then the measured one. */
static void process(double how_long)
{
	double part = how_long / 5;
	unsigned fds_before;
	long kib_before, kib;
	pthread_t t;

	check(!pthread_create(&t, NULL, stop_after, &part));
	run_threads();
	pthread_join(t, NULL);
	fds_before = open_descriptors();
	kib_before = memory_kib();
	atomic_store(&stop, false);
	part = how_long - part;
	check(!pthread_create(&t, NULL, stop_after, &part));
	run_threads();
	pthread_join(t, NULL);
	if (open_descriptors() != fds_before)
		fprintf(stderr, "stress: %u descriptors before, %u after\n", fds_before, open_descriptors());
	check(open_descriptors() == fds_before);
	kib = memory_kib();
	printf("process %d: %u sessions, %u of them by iommufd, %u times busy, %ld KiB more\n", getpid(), atomic_load(&sessions),
	       atomic_load(&cdev_sessions), atomic_load(&busy), kib - kib_before);
	fflush(stdout);
#ifndef STRESS_INPROC /* sanitizers keep what was freed */
	check(kib - kib_before < GROWTH_KIB);
#endif
}

/* ---- all ---- */

static void each_group_works(void)
{
	struct session s = { .rnd = 1 };

	s.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(s.mem != MAP_FAILED);
	for (unsigned i = 0; i < 2 * GROUPS; i++) {
		s.id = i / 2;
		s.cdev = i % 2;
		check(session_open(&s) && s.id == i / 2);
		if (s.id == 1)
			nvme_work(&s);
		else
			edu_work(&s);
		session_close(&s, true);
	}
	munmap(s.mem, MEM_BYTES);
}

#define PCI "/sys/bus/pci/"

static void unbind(unsigned which, unsigned *state)
{
	check(!s_attr_write(PCI "drivers/vfio-pci/unbind", names[which]));
	nap(rnd(state, 3000));
	check(!s_attr_write(PCI "drivers/vfio-pci/bind", names[which]));
}

static void remove_and_rescan(unsigned which, unsigned *state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/remove", dirs[which]);
	check(!s_attr_write(path, "1"));
	nap(rnd(state, 3000));
	check(!s_attr_write(PCI "rescan", "1"));
	snprintf(path, sizeof(path), PCI "drivers/%s/unbind", which == 1 ? "nvme" : "edu");
	s_attr_write(path, names[which]); /* the host's driver, where there is one, took it */
	snprintf(path, sizeof(path), "%s/driver_override", dirs[which]);
	check(!s_attr_write(path, "vfio-pci"));
	check(!s_attr_write(PCI "drivers_probe", names[which]));
}

static void administer(double how_long)
{
	const double end = now() + how_long;
	unsigned state = seed + 12345, unbound = 0, removed = 0;

	while (now() < end) {
		nap(rnd(&state, 30000));
		pthread_mutex_lock(&administering);
		if (rnd(&state, 3)) {
			unbind(rnd(&state, GROUPS), &state);
			unbound++;
		} else {
			remove_and_rescan(rnd(&state, GROUPS), &state);
			removed++;
		}
		pthread_mutex_unlock(&administering);
	}
	printf("%u times unbound, %u times removed\n", unbound, removed);
}

#ifdef STRESS_INPROC
static void *administrator(void *arg)
{
	(void)arg;
	administer(seconds > 2 ? seconds - 2 : 0);
	return NULL;
}
#else
static pid_t start_process(double how_long)
{
	pid_t pid = fork();

	check(pid >= 0);
	if (pid)
		return pid;
	process(how_long);
	exit(0);
}

static void all_processes(void)
{
	const double end = now() + seconds;
	unsigned state = seed, killed = 0;
	pid_t pids[MAX_PROCESSES];
	pid_t admin;
	int status;

	admin = fork();
	check(admin >= 0);
	if (!admin) {
		administer(seconds > 2 ? seconds - 2 : 0);
		exit(0);
	}
	for (unsigned i = 0; i < processes; i++)
		pids[i] = start_process(end - now());
	while (now() < end - 3) { /* the first is never killed */
		unsigned i = 1 + rnd(&state, processes - 1);

		nap(50000 + rnd(&state, 400000));
		if (processes < 2)
			continue;
		kill(pids[i], SIGKILL);
		check(waitpid(pids[i], &status, 0) == pids[i]);
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		killed++;
		pids[i] = start_process(end - now());
	}
	for (unsigned i = 0; i < processes; i++) {
		check(waitpid(pids[i], &status, 0) == pids[i]);
		check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	check(waitpid(admin, &status, 0) == admin && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	printf("%u processes were killed\n", killed);
}
#endif

int main(int argc, char **argv)
{
#ifdef STRESS_INPROC
	pthread_t admin;
#endif
	int c;

	while ((c = getopt(argc, argv, "s:p:t:S:")) != -1) {
		if (c == 's')
			seconds = (unsigned)atoi(optarg);
		else if (c == 'p')
			processes = (unsigned)atoi(optarg);
		else if (c == 't')
			threads = (unsigned)atoi(optarg);
		else if (c == 'S')
			seed = (unsigned)atoi(optarg);
		else
			return 2;
	}
	if (!seconds || !processes || processes > MAX_PROCESSES || !threads || threads > MAX_THREADS) {
		fprintf(stderr, "stress: up to %u processes and %u threads\n", MAX_PROCESSES, MAX_THREADS);
		return 2;
	}
	signal(SIGTERM, on_term);
#ifdef STRESS_INPROC
	rig_up();
	rig_begin();
	check(!pthread_create(&admin, NULL, administrator, NULL));
	process(seconds);
	check(!pthread_join(admin, NULL));
#else
	all_processes();
#endif
	atomic_store(&stop, false);
	each_group_works();
	printf("all groups open and work\n");
	return 0;
}
