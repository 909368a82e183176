/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lifetimes.c - who keeps what alive: files closed in every order, mappings that outlive them, drivers that leave
 * while a program has the device, programs that are killed, descriptors that were duplicated or inherited.
 *
 * usage: lifetimes EDU MSIX [group|iommufd]    the first two as legacy.c, which tells the rest; with a third it takes
 * the device that way and waits to be killed
 *
 * Whether something is still there is asked by what can be done with it: a BAR is read through its mapping, a group can
 * be opened anew, memory is no longer locked.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "tests/conformance/calls.h"

#define EDU_IDENTITY 0x10000edu
#define SIZE (16 * PG)

static bool iommufd_there;

/* ---------------------------------------------------------------- a BAR */
static sigjmp_buf jump;
static void on_bus(int s) { siglongjmp(jump, s); }

static volatile uint32_t *bar_map(int d)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command;
	if (ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &config))
		return NULL;
	pread(d, &command, 2, config.offset + 4);
	command |= 2;
	pwrite(d, &command, 2, config.offset + 4);
	void *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, bar.offset);
	return p == MAP_FAILED ? NULL : p;
}

/* 1: edu answers; 0: something else does; above 100: a signal. */
static int bar_answers(volatile uint32_t *regs)
{
	int s = sigsetjmp(jump, 1);
	if (s)
		return 100 + s;
	return *regs == EDU_IDENTITY;
}

/* ---------------------------------------------------------------- closing, in every order */
enum { CONTAINER = 'c', GROUP = 'g', DEVICE = 'd' };

static const char *name_of(char what)
{
	return what == CONTAINER ? "container" : what == GROUP ? "group" : "device";
}

static void close_in_order(const char *order)
{
	char topic[64], what[96];
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	snprintf(topic, sizeof(topic), "close %s, %s, %s", name_of(order[0]), name_of(order[1]), name_of(order[2]));
	begin(topic);
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	for (const char *o = order; *o; o++) {
		int *fd = *o == CONTAINER ? &x.c : *o == GROUP ? &x.g : &x.d;
		snprintf(what, sizeof(what), "close the %s", name_of(*o));
		T(what, close(*fd));
		*fd = -1;
		if (x.c >= 0) {
			T("the container's type", type_there(x.c));
			TU("unmap a page that is not mapped", x.c, 0, 64 * MB, PG);
		}
		if (x.g >= 0)
			T("the group's status", group_flags(x.g));
		if (x.d >= 0)
			T("the device's info", device_there(x.d));
		T("the group is free", group_free(edu));
		T("memory locked, in KiB", status_kb("VmLck"));
	}
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("again: the device's info", device_there(x.d));
	T("again: map", dma_map(x.c, 3, mem, 0, SIZE));
	teardown(x);
}

static void closing(void)
{
	static const char *const orders[] = { "cgd", "cdg", "gcd", "gdc", "dcg", "dgc" };
	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++)
		close_in_order(orders[i]);
}

/* ---------------------------------------------------------------- a container and its groups */
static void containers(void)
{
	begin("container of two groups");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1), y = { x.c, open(group_path(msix), O_RDWR | O_CLOEXEC), -1 };
	T("the second joins", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	y.d = TFD("device of the second", ioctl(y.g, VFIO_GROUP_GET_DEVICE_FD, msix));
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	T("the first leaves, its device open", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("close the first's device", close(x.d));
	T("the first leaves", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the first leaves again", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the first's status", group_flags(x.g));
	TFD("device of the first then", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("map the same again", dma_map(x.c, 3, mem, 0, SIZE));
	T("the first comes back", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	T("map the same again, both there", dma_map(x.c, 3, mem, 0, SIZE));
	T("memory locked, in KiB", status_kb("VmLck"));
	T("close the second's device", close(y.d));
	T("the second leaves", ioctl(y.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the container's type", type_there(x.c));
	T("the first leaves, the last", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the container's type then", type_there(x.c));
	T("memory locked then, in KiB", status_kb("VmLck"));
	T("the first's status then", group_flags(x.g));
	T("another type without a group", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	T("the second joins alone", ioctl(y.g, VFIO_GROUP_SET_CONTAINER, &y.c));
	T("map before the type", dma_map(x.c, 3, mem, 0, SIZE));
	T("another type", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	T("the mappings are gone: map the same", dma_map(x.c, 3, mem, 0, SIZE));
	T("the first joins, of the other type", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	T("close the second", close(y.g));
	TU("mapped still", x.c, 0, 0, SIZE);
	T("close the first, the last", close(x.g));
	T("the container's type at the end", type_there(x.c));
	close(x.c);
}

static void unset_busy(void)
{
	begin("leave while busy");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int again = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu);
	volatile uint32_t *regs = bar_map(x.d);
	T("two descriptors of the device", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(x.d);
	T("one descriptor", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(again);
	T("a mapping of its BAR", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("the BAR answers", bar_answers(regs));
	T("memory in the container", dma_map(x.c, 3, mem, 0, SIZE));
	munmap((void *)regs, PG);
	T("nothing of the device, memory in the container", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	TFD("device without a container", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("to another container", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &(int){ open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC) }));
	T("its type is not the old one's", type_there(x.c));
	teardown((struct ctx){ x.c, x.g, -1 });
}

/* ---------------------------------------------------------------- a BAR's mapping */
static void bar_outlives(void)
{
	begin("a BAR's mapping");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	volatile uint32_t *regs = bar_map(x.d);
	T("answers", bar_answers(regs));
	T("close the device", close(x.d));
	T("answers, device closed", bar_answers(regs));
	T("the group is free", group_free(edu));
	int d = TFD("the device anew", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("answers, device open anew", bar_answers(regs));
	close(d);
	T("close the group", close(x.g));
	T("close the container", close(x.c));
	T("answers, all closed", bar_answers(regs));
	T("the group is free, all closed", group_free(edu));
	T("munmap", munmap((void *)regs, PG));
	T("the group is free, unmapped", group_free(edu));
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	regs = bar_map(x.d);
	T("the next one answers", bar_answers(regs));
	T("a mapping over it", mmap((void *)regs, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
	T("that answers", bar_answers(regs));
	teardown(x);
	T("the group is free, mapped over", group_free(edu));
	munmap((void *)regs, PG);
}

/* ---------------------------------------------------------------- eventfds */
static int loopback(int d, uint32_t index, uint32_t action)
{
	struct vfio_irq_set s = { .argsz = sizeof(s), .flags = VFIO_IRQ_SET_DATA_NONE | action, .index = index, .count = 1 };
	return ioctl(d, VFIO_DEVICE_SET_IRQS, &s);
}

static void eventfds(void)
{
	begin("eventfds closed while armed");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	uint64_t times = 0;
	int e = eventfd(0, EFD_NONBLOCK), kept = dup(e);
	T("MSI", set_irq(x.d, VFIO_PCI_MSI_IRQ_INDEX, e));
	close(e);
	T("trigger, a duplicate is open", loopback(x.d, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	T("read the duplicate", read(kept, &times, 8));
	close(kept);
	T("trigger, nothing is open", loopback(x.d, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	e = eventfd(0, EFD_NONBLOCK);
	T("trigger, its number is another's", loopback(x.d, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	T("read that other", read(e, &times, 8));
	T("replace it by that", set_irq(x.d, VFIO_PCI_MSI_IRQ_INDEX, e));
	T("trigger", loopback(x.d, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	T("read it", read(e, &times, 8));
	T("close the device while armed", close(x.d));
	x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu);
	T("trigger after opening anew", loopback(x.d, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	T("read nothing", read(e, &times, 8));
	T("INTx", set_irq(x.d, VFIO_PCI_INTX_IRQ_INDEX, e));
	close(e);
	T("trigger INTx, nothing is open", loopback(x.d, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	T("mask INTx", loopback(x.d, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_MASK));
	close(x.d);
	x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu);
	T("unmask INTx after opening anew", loopback(x.d, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK));
	e = eventfd(0, EFD_NONBLOCK);
	T("request", set_irq(x.d, VFIO_PCI_REQ_IRQ_INDEX, e));
	close(e);
	T("trigger request, nothing is open", loopback(x.d, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = 8, .data = 1 };
	e = io.fd = eventfd(0, EFD_NONBLOCK);
	T("ioeventfd", ioctl(x.d, VFIO_DEVICE_IOEVENTFD, &io));
	T("ioeventfd again", ioctl(x.d, VFIO_DEVICE_IOEVENTFD, &io));
	close(e);
	io.fd = eventfd(0, EFD_NONBLOCK);
	T("ioeventfd, the first closed", ioctl(x.d, VFIO_DEVICE_IOEVENTFD, &io));
	close(x.d);
	x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu);
	T("ioeventfd after opening anew", ioctl(x.d, VFIO_DEVICE_IOEVENTFD, &io));
	close(io.fd);
	teardown(x);
}

/* ---------------------------------------------------------------- duplicates and children */
/* What a child made of it: its status; it has 20 seconds. */
static int in_child(void (*run)(struct ctx *), struct ctx *x)
{
	int status;
	pid_t pid;
	flush_row();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(20);
		run(x);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void child_exits(struct ctx *x) { }
static void child_closes(struct ctx *x)
{
	close(x->d);
	close(x->g);
	close(x->c);
}
static void child_execs(struct ctx *x)
{
	execl("/bin/sh", "sh", "-c", "exit 0", NULL);
	_exit(127);
}
static void child_looks(struct ctx *x) /* are they open after exec()? */
{
	char cmd[96];
	snprintf(cmd, sizeof(cmd), "test -e /proc/self/fd/%d && exit 3; exit 4", x->d);
	execl("/bin/sh", "sh", "-c", cmd, NULL);
	_exit(127);
}

static void duplicates(void)
{
	begin("duplicates");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int d2 = dup(x.d), g2 = dup(x.g), c2 = fcntl(x.c, F_DUPFD_CLOEXEC, 100);
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	close(x.c);
	T("the container by its duplicate", type_there(c2));
	T("map the same by it", dma_map(c2, 3, mem, 0, SIZE));
	close(x.g);
	T("the group by its duplicate", group_flags(g2));
	T("the group is free", group_free(edu));
	close(x.d);
	T("the device by its duplicate", device_there(d2));
	T("leave, by the duplicates", ioctl(g2, VFIO_GROUP_UNSET_CONTAINER));
	T("dup2 over the device's", dup2(g2, d2) == d2 ? 0 : -1);
	T("leave then", ioctl(g2, VFIO_GROUP_UNSET_CONTAINER));
	close(g2);
	T("the group by the other duplicate", group_flags(d2));
	close(d2);
	T("the group is free, all closed", group_free(edu));
	close(c2);
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("close_range over all", close_range(3, ~0u, 0));
	T("the device's info", device_there(x.d));
	T("the group is free then", group_free(edu));
}

static void children(void)
{
	begin("children");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	T("a child exits", in_child(child_exits, &x));
	T("a child closes all", in_child(child_closes, &x));
	T("a child execs", in_child(child_execs, &x));
	T("is the device open after exec", in_child(child_looks, &x));
	T("the device's info", device_there(x.d));
	T("the mapping is there", dma_map(x.c, 3, mem, 0, SIZE));
	T("leave, device open", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("memory locked, in KiB", status_kb("VmLck"));
	fcntl(x.d, F_SETFD, 0);
	T("is it open after exec, without close-on-exec", in_child(child_looks, &x));
	T("close the device", close(x.d));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	close(x.g);
	close(x.c);
	T("the group is free", group_free(edu));
}

/* ---------------------------------------------------------------- killed */
/* The program again, as another process: it takes all, says so on standard output, and waits. */
static void take_all(void)
{
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	set_irq(x.d, VFIO_PCI_MSI_IRQ_INDEX, eventfd(0, 0));
	write(1, bar_map(x.d) && !dma_map(x.c, 3, mem, 0, SIZE) ? "yes" : "no", 3);
	pause();
}

static void take_iommufd(void)
{
	uint32_t id, as, pt;
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), d = open_cdev(edu);
	pt = as = ioas(i);
	write(1, bind_to(d, i, &id) || attach(d, 0, &pt) || imap(i, as, FIXED | WR | RD, mem, SIZE, 0) ? "no" : "yes", 3);
	pause();
}

static void killed(const char *topic, const char *with)
{
	int ready, status;
	char said[4] = { 0 };
	begin(topic);
	pid_t pid = once_more(with, &ready);
	T("it has all", read(ready, said, 3));
	note("%s", said);
	close(ready);
	T("the group is free", group_free(edu));
	T("kill", kill(pid, SIGKILL));
	T("wait", waitpid(pid, &status, 0) == pid ? 0 : -1);
	note("signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	T("the group is free then", group_free(edu));
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("the device's info", device_there(x.d));
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	T("trigger what it armed", loopback(x.d, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	teardown(x);
}

/* ---------------------------------------------------------------- the driver leaves */
static void unbinding(void)
{
	begin("the driver leaves while the device is open");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int e = eventfd(0, EFD_NONBLOCK);
	volatile uint32_t *regs = bar_map(x.d);
	T("map", dma_map(x.c, 3, mem, 0, SIZE));
	T("request", set_irq(x.d, VFIO_PCI_REQ_IRQ_INDEX, e));
	flush_row();
	fflush(stdout);
	pid_t pid = unbind_by_shell();
	T("asked back", asked_back(e));
	T("unbind has ended", waitpid(pid, NULL, WNOHANG));
	T("the device's info", device_there(x.d));
	T("its BAR answers", bar_answers(regs));
	T("map more", dma_map(x.c, 3, mem, 1 * MB, PG));
	T("the group's status", group_flags(x.g));
	int more = TFD("open it once more", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	if (more >= 0)
		close(more);
	munmap((void *)regs, PG);
	T("close the device", close(x.d));
	T("unbind ends", waitpid(pid, NULL, 0) == pid ? 0 : -1);
	T("the group's status then", group_flags(x.g));
	TFD("open it then", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("the mapping is there", dma_map(x.c, 3, mem, 0, SIZE));
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("bind", write_file("/sys/bus/pci/drivers/vfio-pci/bind", edu));
	T("the group's status, bound", group_flags(x.g));
	close(x.g);
	close(x.c);
	close(e);
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("the device's info, bound", device_there(x.d));
	teardown(x);
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 0);
	T("unbind, device closed, group open", write_file("/sys/bus/pci/drivers/vfio-pci/unbind", edu));
	TFD("open the device", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("the group's status, nobody bound", group_flags(x.g));
	T("map, nobody bound", dma_map(x.c, 3, mem, 0, PG));
	T("bind again", write_file("/sys/bus/pci/drivers/vfio-pci/bind", edu));
	x.d = TFD("open the device, bound again", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	teardown(x);
}

/* ---------------------------------------------------------------- one of its own threads takes it away */
static void *write_it(void *path)
{
	return (void *)(long)(strstr(path, "unbind") ? write_file(path, edu) : write_file(path, "1"));
}

/* The device is open, by group or by its own node; a thread writes to @path; it hangs until the device is closed. */
static void taken(const char *topic, char *path, bool cdev)
{
	struct ctx x = { -1, -1, -1 };
	int e = eventfd(0, EFD_NONBLOCK), i = -1;
	uint32_t id = 0, as = 0;
	pthread_t thread;
	void *ret;

	begin(topic);
	if (cdev) {
		i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		x.d = open_cdev(edu);
		T("BIND", bind_to(x.d, i, &id));
		as = ioas(i);
		T("attach", attach(x.d, 0, &(uint32_t){ as }));
		T("map", imap(i, as, FIXED | WR | RD, mem, SIZE, 0));
	} else {
		x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
		T("map", dma_map(x.c, 3, mem, 0, SIZE));
	}
	T("request", set_irq(x.d, VFIO_PCI_REQ_IRQ_INDEX, e));
	pthread_create(&thread, NULL, write_it, path);
	T("asked back", asked_back(e));
	T("the writer has ended", pthread_tryjoin_np(thread, &ret) ? 0 : 1);
	T("the device's info", device_there(x.d));
	T("trigger request", loopback(x.d, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER));
	T("the group is free", group_free(edu));
	if (cdev) {
		T("map more", imap(i, as, FIXED | WR | RD, mem, PG, 1 * MB));
		T("detach", detach(x.d, 0));
		T("attach again", attach(x.d, 0, &(uint32_t){ as }));
		int d2 = open_cdev(edu);
		T("open its node", d2 < 0 ? -1 : 0);
		if (d2 >= 0)
			close(d2);
	} else {
		T("map more", dma_map(x.c, 3, mem, 1 * MB, PG));
		int more = TFD("open it once more", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
		if (more >= 0)
			close(more);
	}
	T("close the device", close(x.d));
	pthread_join(thread, &ret);
	T("what the writer got", (long)ret);
	if (cdev) {
		T("destroy the device", destroy(i, id));
		TI("unmap", i, as, 0, SIZE);
		T("destroy the IOAS", destroy(i, as));
		close(i);
	} else {
		T("the group's status", group_flags(x.g));
		T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
		close(x.g);
		close(x.c);
	}
	close(e);
}

static void back_again(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", edu);
	if (access(path, F_OK))
		T("rescan", write_file("/sys/bus/pci/rescan", "1"));
	T("there again", access(path, F_OK));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", edu);
	T("driver_override", write_file(path, "vfio-pci"));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", edu);
	if (!access(path, F_OK))
		write_file(path, edu);
	T("probe", write_file("/sys/bus/pci/drivers_probe", edu));
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("the device's info", device_there(x.d));
	teardown(x);
}

static void taken_away(void)
{
	char unbind[] = "/sys/bus/pci/drivers/vfio-pci/unbind", gone[128];

	snprintf(gone, sizeof(gone), "/sys/bus/pci/devices/%s/remove", edu);
	taken("a thread unbinds it", unbind, false);
	back_again();
	taken("a thread removes it", gone, false);
	back_again();
	if (!iommufd_there)
		return;
	taken("a thread unbinds it, bound to an iommufd", unbind, true);
	back_again();
	taken("a thread removes it, bound to an iommufd", gone, true);
	back_again();
}

/* ---------------------------------------------------------------- iommufd */
struct io { int i, d; uint32_t as, dev; };

static struct io io_setup(void)
{
	struct io o = { open("/dev/iommu", O_RDWR | O_CLOEXEC), open_cdev(edu), 0, 0 };
	o.as = ioas(o.i);
	if (bind_to(o.d, o.i, &o.dev))
		fprintf(stderr, "BIND: %m\n");
	return o;
}

static int io_attach(struct io *o, uint32_t pt)
{
	return attach(o->d, 0, &(uint32_t){ pt });
}

static int hwpt_alloc(struct io *o, uint32_t parent, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .dev_id = o->dev, .pt_id = parent };
	int r = ioctl(o->i, IOMMU_HWPT_ALLOC, &a);
	*hwpt = a.out_hwpt_id;
	return r;
}

static void iommufd_order(void)
{
	begin("close the iommufd first");
	struct io o = io_setup();
	volatile uint32_t *regs = bar_map(o.d);
	T("attach", io_attach(&o, o.as));
	T("map", imap(o.i, o.as, FIXED | WR | RD, mem, SIZE, 0));
	T("close the iommufd", close(o.i));
	T("the device's info", device_there(o.d));
	T("its BAR answers", bar_answers(regs));
	T("attach again", io_attach(&o, o.as));
	T("detach", detach(o.d, 0));
	T("detach again", detach(o.d, 0));
	T("the group is free", group_free(edu));
	int other = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	T("bind to another", bind_to(o.d, other, &o.dev));
	int d2 = open_cdev(edu);
	T("bind another descriptor", bind_to(d2, other, &o.dev));
	T("close the device", close(o.d));
	T("its BAR answers then", bar_answers(regs));
	T("the group is free, BAR mapped", group_free(edu));
	T("bind another descriptor, BAR mapped", bind_to(d2, other, &o.dev));
	munmap((void *)regs, PG);
	T("the group is free, BAR unmapped", group_free(edu));
	T("bind another descriptor, BAR unmapped", bind_to(d2, other, &o.dev));
	close(d2);
	close(other);

	begin("close the device first");
	o = io_setup();
	T("attach", io_attach(&o, o.as));
	T("map", imap(o.i, o.as, FIXED | WR | RD, mem, SIZE, 0));
	T("destroy the IOAS, device attached", destroy(o.i, o.as));
	T("destroy the device", destroy(o.i, o.dev));
	T("close the device", close(o.d));
	T("destroy the device, closed", destroy(o.i, o.dev));
	T("map more", imap(o.i, o.as, FIXED | WR | RD, mem, PG, 1 * MB));
	TI("unmap", o.i, o.as, 0, SIZE);
	T("the group is free", group_free(edu));
	T("destroy the IOAS", destroy(o.i, o.as));
	T("destroy the IOAS again", destroy(o.i, o.as));
	T("close the iommufd", close(o.i));
}

static void page_tables(void)
{
	uint32_t hwpt, second;
	begin("page tables");
	struct io o = io_setup();
	T("make one", hwpt_alloc(&o, o.as, &hwpt));
	T("destroy the IOAS below it", destroy(o.i, o.as));
	T("attach", io_attach(&o, hwpt));
	T("destroy it, attached", destroy(o.i, hwpt));
	T("make another", hwpt_alloc(&o, o.as, &second));
	T("attach the other instead", io_attach(&o, second));
	T("destroy the first", destroy(o.i, hwpt));
	T("destroy the other, attached", destroy(o.i, second));
	T("attach the IOAS instead", io_attach(&o, o.as));
	T("destroy the other", destroy(o.i, second));
	T("detach", detach(o.d, 0));
	T("destroy the IOAS", destroy(o.i, o.as));
	o.as = ioas(o.i);
	T("another IOAS: attach", io_attach(&o, o.as));
	T("close the device, attached", close(o.d));
	T("destroy that IOAS", destroy(o.i, o.as));
	o.d = open_cdev(edu);
	o.as = ioas(o.i);
	T("bind again", bind_to(o.d, o.i, &o.dev));
	T("make one again", hwpt_alloc(&o, o.as, &hwpt));
	T("attach it", io_attach(&o, hwpt));
	T("close the device, attached to it", close(o.d));
	T("destroy the IOAS below it, nobody attached", destroy(o.i, o.as));
	T("destroy it", destroy(o.i, hwpt));
	T("destroy the IOAS then", destroy(o.i, o.as));
	close(o.i);
}

static void two_devices(void)
{
	begin("two devices of one IOAS");
	struct io o = io_setup();
	int n = open_cdev(msix);
	uint32_t dev;
	T("attach the first", io_attach(&o, o.as));
	T("bind the second", bind_to(n, o.i, &dev));
	T("attach the second", attach(n, 0, &(uint32_t){ o.as }));
	T("map", imap(o.i, o.as, FIXED | WR | RD, mem, SIZE, 0));
	T("close the first", close(o.d));
	T("destroy the IOAS", destroy(o.i, o.as));
	T("the first's group is free", group_free(edu));
	T("the second's group is free", group_free(msix));
	T("detach the second", detach(n, 0));
	T("destroy the IOAS, nobody attached", destroy(o.i, o.as));
	T("close the iommufd", close(o.i));
	T("the second's info", device_there(n));
	close(n);
	T("the second's group is free, closed", group_free(msix));
}

static void iommufd_duplicates(void)
{
	begin("duplicates of an iommufd");
	struct io o = io_setup();
	int i2 = dup(o.i), d2 = dup(o.d);
	T("attach", io_attach(&o, o.as));
	close(o.i);
	T("map by the duplicate", imap(i2, o.as, FIXED | WR | RD, mem, SIZE, 0));
	close(o.d);
	T("the device by its duplicate", device_there(d2));
	T("destroy the IOAS", destroy(i2, o.as));
	close(d2);
	T("destroy the IOAS, device closed", destroy(i2, o.as));
	close(i2);
	T("the group is free", group_free(edu));
}

int main(int argc, char **argv)
{
	start(argc, argv);
	if (argc > 3 && !strcmp(argv[3], "group"))
		take_all();
	if (argc > 3)
		take_iommufd();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGBUS, on_bus);
	signal(SIGSEGV, on_bus);
	iommufd_there = !access("/dev/iommu", F_OK);
	closing();
	containers();
	unset_busy();
	bar_outlives();
	eventfds();
	children();
	killed("killed with container and group", "group");
	unbinding();
	taken_away();
	if (iommufd_there) {
		iommufd_order();
		page_tables();
		two_devices();
		iommufd_duplicates();
		killed("killed with an iommufd", "iommufd");
	}
	duplicates(); /* closes what is open */
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
