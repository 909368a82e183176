/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * orphans.c - a child whose parent has ended, one way or another, or is stopped: it has all that it inherited.
 *
 * usage: orphans EDU MSIX    as legacy.c, which tells the rest; turns.h tells whose calls they are
 *
 * The grandparent has no device itself; it waits for both, and looks whether groups are free.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/prctl.h>

#include "tests/conformance/children.h"

#define A(...) BY(ABOVE, __VA_ARGS__)

/* A family: all of them have the variables, parent and child the files. */
struct family { struct ctx x; int i, cdev; uint32_t as; unsigned char *p; volatile uint32_t *regs; };

static struct family family(const char *topic)
{
	struct family f = { { -1, -1, -1 }, -1, -1, 0, page(MAP_PRIVATE), NULL };
	me = ABOVE;
	begin(topic);
	forks(ABOVE, PARENT);
	memset(f.p, 11, PG);
	if (me == PARENT) {
		uint32_t dev;
		f.x = ready_for_dma();
		f.regs = map_bar(f.x.d);
		if (!access("/dev/iommu", F_OK)) {
			f.i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
			f.cdev = open_cdev(msix);
			bind_to(f.cdev, f.i, &dev);
			f.as = ioas(f.i);
		}
	}
	P("MAP", dma_map(f.x.c, 3, f.p, THERE, PG));
	f.i = (int)LET(PARENT, f.i);
	if (f.i >= 0)
		P("MAP in the iommufd", imap(f.i, f.as, FIXED | RD | WR, f.p, PG, THERE));
	forks(PARENT, CHILD);
	pids[CHILD] = (pid_t)LET(PARENT, pids[CHILD]);
	DO(CHILD, memset(f.p, 22, PG));
	C("asks five things", asks(f.x, f.regs, 0x800000));
	A("the group is free", group_free(edu));
	return f;
}

static void ends_too(struct family f)
{
	ends(ABOVE, CHILD);
	A("the group is free, both gone", group_free(edu));
	A("the other group is free, both gone", group_free(msix));
	me = PARENT;
	munmap(f.p, PG);
}

static void parent_exits(void)
{
	struct family f = family("the parent has ended");
	struct ctx x = f.x;
	int d, e;
	uint32_t pt;
	volatile uint32_t *mine = NULL;
	ends(ABOVE, PARENT);
	A("the group is free, the parent gone", group_free(edu));
	C("GET_API_VERSION", ioctl(x.c, VFIO_GET_API_VERSION));
	C("the type", type_there(x.c));
	C("GET_STATUS", group_flags(x.g));
	C("GET_INFO", device_there(x.d));
	C("GET_INFO bad pointer", ioctl(x.d, VFIO_DEVICE_GET_INFO, BAD));
	C("the command register", config16(x.d, 4));
	REG(CHILD, "a register", x.d, 0);
	LOAD(CHILD, "loads, mapped by the parent", f.regs);
	C("the device reads what the parent mapped", device_reads(x.d, THERE));
	C("the device writes 33 there", device_writes(x.d, THERE, 33));
	C("its byte", f.p[0]);
	C("the device reads that", device_reads(x.d, THERE));
	C("MAP the same", dma_map(x.c, 3, f.p, THERE, PG));
	C("MAP its own", dma_map(x.c, 3, f.p, THERE + PG, PG));
	C("MAP memory that it has not", dma_map(x.c, 3, (void *)PG, THERE + 2 * PG, PG));
	C("the device reads its own", device_reads(x.d, THERE + PG));
	LOCKED(CHILD, "mapped");
	UNMAP(CHILD, "UNMAP both", x.c, 0, THERE, 2 * PG);
	LOCKED(CHILD, "unmapped");
	e = (int)LET(CHILD, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	C("SET_IRQS", set_irq(x.d, MSI, e));
	C("trigger", trigger(x.d, MSI));
	C("signalled", arrives(e));
	C("edu sends", set_reg(x.d, 0x60, 1));
	C("signalled by edu", arrives(e));
	C("mmap the BAR", (mine = map_bar(x.d)) ? 0 : -1);
	LOAD(CHILD, "loads", mine);
	C("memory decoding off", decoding(x.d, false));
	LOAD(CHILD, "loads, decoding off", mine);
	C("memory decoding on", decoding(x.d, true));
	d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	C("UNSET_CONTAINER", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	DO(CHILD, if (mine) munmap((void *)mine, PG); if (f.regs) munmap((void *)f.regs, PG); close(d); close(x.d));
	C("UNSET_CONTAINER, the device closed", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	C("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("SET_IOMMU", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	CFD("GET_DEVICE_FD anew", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	CFD("open the group", open(group_path(edu), O_RDWR | O_CLOEXEC));
	if (f.i >= 0) {
		begin("the parent has ended, iommufd");
		C("GET_INFO", device_there(f.cdev));
		C("IOAS_ALLOC", ioas(f.i) ? 0 : -1);
		pt = f.as;
		C("ATTACH, memory of the parent's is mapped", attach(f.cdev, 0, &pt));
		IUNMAP(CHILD, "UNMAP it", f.i, f.as, THERE, PG);
		pt = f.as;
		C("ATTACH then", attach(f.cdev, 0, &pt));
		C("MAP its own", imap(f.i, f.as, FIXED | RD | WR, f.p, PG, THERE));
		C("CHANGE_PROCESS", change_process(f.i));
		C("DESTROY, attached", destroy(f.i, f.as));
		C("DETACH", detach(f.cdev, 0));
		C("DESTROY", destroy(f.i, f.as));
	}
	begin("the parent and then the child have ended");
	ends_too(f);
}

static void parent_killed(void)
{
	struct family f = family("the parent was killed");
	if (me == PARENT)
		pause();
	DO(ABOVE, kill(pids[PARENT], SIGKILL));
	A("the parent is gone", reap(pids[PARENT]));
	C("asks five things then", asks(f.x, f.regs, 0x800000));
	C("the device reads what the parent mapped", device_reads(f.x.d, THERE));
	A("the group is free, the parent gone", group_free(edu));
	ends_too(f);
}

static void parent_executes(void)
{
	struct family f = family("the parent has executed another program");
	if (me == PARENT) {
		execl("/bin/sh", "sh", "-c", "exec sleep 60", NULL);
		_exit(127);
	}
	/* Its memory is gone when its name has changed. */
	DO(ABOVE, for (int i = 0; i < 500 && strcmp(first_line(({ static char path[64]; snprintf(path, sizeof(path), "/proc/%d/comm", pids[PARENT]);
		path; })), "sleep"); i++) usleep(10000));
	C("asks five things then", asks(f.x, f.regs, 0x800000));
	C("the device reads what the parent mapped", device_reads(f.x.d, THERE));
	A("the group is free, the parent another", group_free(edu));
	DO(CHILD, munmap((void *)f.regs, PG); close(f.x.d));
	C("UNSET_CONTAINER", ioctl(f.x.g, VFIO_GROUP_UNSET_CONTAINER));
	DO(ABOVE, kill(pids[PARENT], SIGKILL));
	A("the parent is gone", reap(pids[PARENT]));
	ends_too(f);
}

static void parent_stopped(void)
{
	struct family f = family("the parent is stopped");
	int status = 0;
	if (me == PARENT)
		pause();
	DO(ABOVE, kill(pids[PARENT], SIGSTOP));
	A("the parent has stopped", waitpid(pids[PARENT], &status, WUNTRACED) == pids[PARENT] ? WSTOPSIG(status) : -1);
	A("the group is free, stopped", group_free(edu));
	DO(ABOVE, kill(pids[PARENT], SIGCONT));
	C("asks five things, the parent goes on", asks(f.x, f.regs, 0x800000));
	DO(ABOVE, kill(pids[PARENT], SIGKILL));
	A("the parent is gone", reap(pids[PARENT]));
	ends_too(f);
}

/* As a daemon begins: nothing is open before the fork, and the parent ends at once. */
static void daemon_begins(void)
{
	struct ctx x = { -1, -1, -1 };
	volatile uint32_t *regs = NULL;
	me = ABOVE;
	begin("a daemon");
	forks(ABOVE, PARENT);
	forks(PARENT, CHILD);
	pids[CHILD] = (pid_t)LET(PARENT, pids[CHILD]);
	ends(ABOVE, PARENT);
	DO(CHILD, setsid());
	x.c = CFD("open /dev/vfio/vfio", open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	x.g = CFD("open the group", open(group_path(edu), O_RDWR | O_CLOEXEC));
	C("SET_CONTAINER", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	C("SET_IOMMU", ioctl(x.c, VFIO_SET_IOMMU, TYPE));
	x.d = CFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	DO(CHILD, decoding(x.d, true); regs = map_bar(x.d));
	C("asks five things", asks(x, regs, 0x800000));
	A("the group is free", group_free(edu));
	ends(ABOVE, CHILD);
	A("the group is free, the daemon gone", group_free(edu));
	me = PARENT;
}

int main(int argc, char **argv)
{
	start_children(argc, argv);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	daemon_begins();
	parent_exits();
	parent_killed();
	parent_executes();
	parent_stopped();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
