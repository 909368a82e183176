/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * held.c - files that another process has open as well: a forked child, a program that inherited them, or nobody, while they
 * are on their way through a socket.  The program closes them, and they stay open until the last one lets go.
 *
 * usage: held EDU MSIX    as legacy.c, which tells the rest
 *
 * Other processes only hold and close; what they could do with the files is not asked.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "tests/conformance/calls.h"

#define SIZE (16 * PG)

/* ---------------------------------------------------------------- who holds them */
struct holder {
	pid_t pid;
	int order, done; /* a byte each way: close your next file */
};

/* A child that has @keep alone, and closes them one by one when it is told to. */
static struct holder child_with(const int *keep, int n)
{
	int order[2], done[2];
	struct holder h;
	flush_row();
	fflush(stdout);
	if (pipe2(order, O_CLOEXEC) || pipe2(done, O_CLOEXEC))
		exit(1);
	h = (struct holder){ .pid = fork(), .order = order[1], .done = done[0] };
	if (h.pid) {
		close(order[0]);
		close(done[1]);
		char c;
		read(h.done, &c, 1);
		return h;
	}
	alarm(60);
	for (int fd = 3; fd < 100; fd++) {
		bool kept = fd == order[0] || fd == done[1];
		for (int i = 0; i < n; i++)
			kept |= fd == keep[i];
		if (!kept)
			close(fd);
	}
	char c = 0;
	write(done[1], &c, 1);
	for (int i = 0; read(order[0], &c, 1) == 1; i++) {
		if (i < n)
			close(keep[i]);
		write(done[1], &c, 1);
	}
	_exit(0);
}

/* It closes its next file. */
static int closes_one(struct holder *h)
{
	char c = 0;
	return write(h->order, &c, 1) == 1 && read(h->done, &c, 1) == 1 ? 0 : -1;
}

static int ends(struct holder *h)
{
	int status;
	kill(h->pid, SIGKILL);
	close(h->order);
	close(h->done);
	return waitpid(h->pid, &status, 0) == h->pid ? 0 : -1;
}

/* A program that is executed with these open, and waits. */
static struct holder program_with(const int *keep, int n, bool inherit)
{
	struct holder h = { .order = -1, .done = -1 };
	int ready[2];
	char c;
	flush_row();
	fflush(stdout);
	pipe(ready);
	h.pid = fork();
	if (h.pid) {
		close(ready[1]);
		read(ready[0], &c, 1);
		close(ready[0]);
		return h;
	}
	alarm(60);
	for (int i = 0; i < n; i++)
		fcntl(keep[i], F_SETFD, inherit ? 0 : FD_CLOEXEC);
	dup2(ready[1], 1);
	execl("/bin/sh", "sh", "-c", "echo; exec sleep 60", NULL);
	_exit(127);
}

/* ---------------------------------------------------------------- container, group, device */
static void one_file(const char *what, int which, bool by_exec)
{
	char topic[96];
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int *fd = which == 0 ? &x.c : which == 1 ? &x.g : &x.d;
	struct holder h;
	snprintf(topic, sizeof(topic), "%s has the %s open", by_exec ? "a program" : "a child", what);
	begin(topic);
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	h = by_exec ? program_with(fd, 1, true) : child_with(fd, 1);
	T("close it", close(*fd));
	*fd = -1;
	if (x.c >= 0)
		T("the container's type", type_there(x.c));
	if (x.g >= 0) {
		T("the group's status", group_flags(x.g));
		T("the group leaves", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	}
	if (x.d >= 0)
		T("the device's info", device_there(x.d));
	T("the group is free", group_free(edu));
	T("memory locked, in KiB", status_kb("VmLck"));
	if (x.d >= 0)
		T("close the device, the last of it", close(x.d));
	if (x.g >= 0) {
		T("leave now", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
		T("close the group", close(x.g));
	}
	T("the group is free, all closed", group_free(edu));
	T("memory locked then, in KiB", status_kb("VmLck"));
	if (x.c >= 0)
		T("close the container", close(x.c));
	T("memory locked, container closed, in KiB", status_kb("VmLck"));
	if (!by_exec) {
		T("the other closes it", closes_one(&h));
		T("the group is free, nobody has it", group_free(edu));
		T("memory locked, nobody has it, in KiB", status_kb("VmLck"));
	}
	T("the other ends", ends(&h));
	T("the group is free at the end", group_free(edu));
	T("memory locked at the end, in KiB", status_kb("VmLck"));
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("again: the device's info", device_there(x.d));
	T("again: map", dma_map(x.c, 3, mem, 0, SIZE));
	teardown(x);
}

static void killed(const char *topic, bool group_too)
{
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	begin(topic);
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	struct holder h = child_with((int[]){ x.d, x.g }, group_too ? 2 : 1);
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	if (group_too) {
		T("close the group", close(x.g));
		T("the group is free", group_free(edu));
	}
	T("the child ends", ends(&h));
	if (group_too) {
		T("the group is free then", group_free(edu));
		T("map more", dma_map(x.c, 3, mem, MB, PG));
	} else {
		T("leave then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
		close(x.g);
	}
	close(x.c);
}

static void child_closed_first(void)
{
	begin("a child has closed what it had");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	struct holder h = child_with((int[]){ x.d, x.g, x.c }, 3);
	T("it closes the device", closes_one(&h));
	T("the device's info", device_there(x.d));
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("join", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	T("it closes the group", closes_one(&h));
	T("close the group", close(x.g));
	T("the group is free", group_free(edu));
	T("it closes the container", closes_one(&h));
	T("close the container", close(x.c));
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("the device's info, anew", device_there(x.d));
	T("map, anew", dma_map(x.c, 3, mem, 0, SIZE));
	teardown(x);
	T("the group is free, the child there", group_free(edu));
	T("the child ends", ends(&h));
}

static void close_on_exec(void)
{
	begin("a program that inherits nothing");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	struct holder h = program_with((int[]){ x.c, x.g, x.d }, 3, false);
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("close the group", close(x.g));
	T("the group is free", group_free(edu));
	close(x.c);
	T("it ends", ends(&h));
}

static void two_children(void)
{
	begin("two children have the device open");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	struct holder a = child_with(&x.d, 1), b = child_with(&x.d, 1);
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("one closes it", closes_one(&a));
	T("leave, one closed", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the other ends", ends(&b));
	T("leave, both gone", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	ends(&a);
	close(x.g);
	close(x.c);
}

static void duplicates(void)
{
	begin("a child has a duplicate");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int d2 = dup(x.d);
	struct holder h = child_with(&d2, 1);
	T("close the duplicate", close(d2));
	T("the device's info", device_there(x.d));
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	int d = TFD("open the device again", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("close it", close(d));
	T("the child ends", ends(&h));
	T("leave then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(x.g);
	close(x.c);
}

/* A BAR that a child inherits keeps the device, as its descriptor does. */
static void mapping(void)
{
	begin("a child has a BAR mapped");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &bar);
	void *regs = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, x.d, bar.offset);
	struct holder h = child_with(NULL, 0);
	T("unmap it", munmap(regs, PG));
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the child ends", ends(&h));
	T("leave then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(x.g);
	close(x.c);
}

/* ---------------------------------------------------------------- on its way through a socket */
static void in_flight(void)
{
	int s[2];
	begin("the device is on its way through a socket");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T("send it", send_fd(s[0], x.d));
	T("close it", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("close the socket's other end", close(s[1]));
	T("close the socket", close(s[0]));
	T("leave then", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(x.g);
	close(x.c);
}

/* ---------------------------------------------------------------- iommufd */
static void iommufd_file(bool cdev)
{
	uint32_t id, as, pt;
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), d = open_cdev(edu);
	begin(cdev ? "a child has a device of an iommufd open" : "a child has the iommufd open");
	T("bind", bind_to(d, i, &id));
	pt = as = ioas(i);
	T("attach", attach(d, 0, &pt));
	T("map", imap(i, as, FIXED | WR | RD, mem, SIZE, 0));
	struct holder h = child_with(cdev ? &d : &i, 1);
	T("close it", close(cdev ? d : i));
	if (cdev) {
		T("destroy the IOAS", destroy(i, as));
		T("the group is free", group_free(edu));
		int more = TFD("open the device's node", open_cdev(edu));
		T("bind that", bind_to(more, i, &id));
		close(more);
		T("close the iommufd", close(i));
	} else {
		T("the device's info", device_there(d));
		T("attach again", attach(d, 0, &(uint32_t){ as }));
		T("close the device", close(d));
	}
	T("memory pinned, in KiB", status_kb("VmPin"));
	T("the group is free, all closed", group_free(edu));
	T("the other closes it", closes_one(&h));
	T("memory pinned then, in KiB", status_kb("VmPin"));
	T("the group is free then", group_free(edu));
	T("the child ends", ends(&h));
}

static void iommufd_queue(void)
{
	begin("a child has a fault queue open");
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	struct iommu_fault_alloc q = { .size = sizeof(q) };
	T("allocate", ioctl(i, IOMMU_FAULT_QUEUE_ALLOC, &q));
	struct holder h = child_with((int[]){ (int)q.out_fault_fd }, 1);
	T("close its descriptor", close((int)q.out_fault_fd));
	T("destroy it", destroy(i, q.out_fault_id));
	T("the child closes it", closes_one(&h));
	T("destroy it then", destroy(i, q.out_fault_id));
	T("the child ends", ends(&h));
	close(i);
}

int main(int argc, char **argv)
{
	static const char *const files[] = { "container", "group", "device" };
	start(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	for (int by_exec = 0; by_exec < 2; by_exec++)
		for (int i = 0; i < 3; i++)
			one_file(files[i], i, by_exec);
	killed("a child with the device is killed", false);
	killed("a child with group and device is killed", true);
	child_closed_first();
	close_on_exec();
	two_children();
	duplicates();
	mapping();
	in_flight();
	if (!access("/dev/iommu", F_OK)) {
		iommufd_file(false);
		iommufd_file(true);
		iommufd_queue();
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
