/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvm.c - the device of KVM that is told which VFIO files a virtual machine uses (KVM_DEV_TYPE_VFIO): how it is made,
 * what its attributes take, and who keeps what alive as long as a file is added.
 *
 * usage: kvm EDU MSIX [child VM DEVICE|hold]    the first two as legacy.c, which tells the rest; "child": ask by
 * descriptors that another process made; "hold": add a group, close it, and wait to be killed
 *
 * Asked is this device alone: what a host's KVM says besides depends on the host.  Exits with 77 where there is no KVM.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/conformance/every_file.h"

#define SKIPPED 77
#define FILE_GROUP KVM_DEV_VFIO_FILE
#define ADD KVM_DEV_VFIO_FILE_ADD
#define DEL KVM_DEV_VFIO_FILE_DEL

static int kvm; /* /dev/kvm */
static char what[160];

#define ASK(x, ...) ({ snprintf(what, sizeof(what), __VA_ARGS__); T(what, x); })

/* ---------------------------------------------------------------- calls */
static int make_vm(void)
{
	return ioctl(kvm, KVM_CREATE_VM, 0);
}

static uint32_t created; /* what the fd field says after the call */
static int create(int vm, uint32_t flags)
{
	struct kvm_create_device c = { .type = KVM_DEV_TYPE_VFIO, .fd = 12345, .flags = flags };
	int r = ioctl(vm, KVM_CREATE_DEVICE, &c);
	created = c.fd;
	return r;
}

/* A new device: its descriptor. */
static int device_of(int vm)
{
	return create(vm, 0) ? -1 : (int)created;
}

static void note_created(void)
{
	note(created == 12345 ? "fd as it was" : fcntl((int)created, F_GETFD) < 0 ? "fd of nothing" : "fd of a descriptor");
}

static int attr(int d, unsigned long call, uint32_t flags, uint32_t group, uint64_t number, const void *addr)
{
	struct kvm_device_attr a = { .flags = flags, .group = group, .attr = number, .addr = (uintptr_t)addr };
	return ioctl(d, call, &a);
}

static int add(int d, int fd)
{
	return attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, ADD, &fd);
}

static int del(int d, int fd)
{
	return attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, DEL, &fd);
}

/* The last bytes before memory that cannot be reached. */
static void *edge(size_t bytes)
{
	static char *page;
	if (!page) {
		page = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(page + PG, PG, PROT_NONE);
	}
	return page + PG - bytes;
}

/* Memory that can be read and not written. */
static void *constant(const void *from, size_t bytes)
{
	void *page = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(page, from, bytes);
	mprotect(page, PG, PROT_READ);
	return page;
}

static uint32_t bar_flags(int d)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	return ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &bar) ? 0 : bar.flags;
}

/* The first one: without it there is nothing to ask. */
static int some_vm(void)
{
	int vm = make_vm();
	if (vm < 0) {
		fprintf(stderr, "SKIP: no KVM here: %m\n");
		exit(SKIPPED);
	}
	return vm;
}

/* ---------------------------------------------------------------- before there is a virtual machine */
static void regions(void)
{
	begin("a region");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("its flags before there is a virtual machine", bar_flags(x.d));
	int vm = some_vm();
	T("its flags then", bar_flags(x.d));
	close(vm);
	T("its flags when that is closed", bar_flags(x.d));
	teardown(x);
}

/* ---------------------------------------------------------------- making it */
static void creating(void)
{
	static const uint32_t flags[] = { 2, 3, 0x80000000, 0xfffffffe };
	struct kvm_create_device c = { .type = KVM_DEV_TYPE_VFIO };
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int vm = make_vm(), cpu = ioctl(vm, KVM_CREATE_VCPU, 0), null = open("/dev/null", O_RDWR), e = eventfd(0, 0), d, two;

	begin("making it");
	T("KVM_CAP_DEVICE_CTRL", ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_DEVICE_CTRL));
	T("KVM_CREATE_DEVICE_TEST", create(vm, KVM_CREATE_DEVICE_TEST));
	note_created();
	T("KVM_CREATE_DEVICE_TEST again", create(vm, KVM_CREATE_DEVICE_TEST));
	for (size_t k = 0; k < sizeof(flags) / sizeof(*flags); k++) {
		ASK(create(vm, flags[k]), "flags 0x%x", flags[k]);
		note_created();
		if (created != 12345)
			close((int)created);
	}
	T("make one", create(vm, 0));
	note_created();
	d = (int)created;
	T("another", create(vm, 0));
	note_created();
	T("KVM_CREATE_DEVICE_TEST, there is one", create(vm, KVM_CREATE_DEVICE_TEST));
	two = dup(d);
	close(d);
	T("another, a duplicate of the first open", create(vm, 0));
	close(two);
	T("another, the first closed", d = create(vm, 0));
	d = (int)created;
	two = make_vm();
	T("one of another machine", create(two, 0));
	close((int)created);
	close(two);
	two = dup(vm);
	T("another, by the machine's duplicate", create(two, 0));
	close(two);
	close(d);

	begin("making it, on what is no machine");
	struct { const char *name; int fd; } wrong[] = {
		{ "-1", -1 }, { "a closed one", 999 }, { "/dev/null", null }, { "an eventfd", e }, { "/dev/kvm", kvm },
		{ "a processor", cpu }, { "a container", x.c }, { "a group", x.g }, { "a device", x.d },
		{ "this device", d = device_of(vm) },
	};
	for (size_t k = 0; k < sizeof(wrong) / sizeof(*wrong); k++) {
		ASK(create(wrong[k].fd, 0), "%s", wrong[k].name);
		ASK(create(wrong[k].fd, KVM_CREATE_DEVICE_TEST), "%s, KVM_CREATE_DEVICE_TEST", wrong[k].name);
	}
	close(d);

	begin("making it, bad memory");
	T("none", ioctl(vm, KVM_CREATE_DEVICE, NULL));
	T("a bad pointer", ioctl(vm, KVM_CREATE_DEVICE, BAD));
	memcpy(edge(sizeof(c)), &c, sizeof(c));
	T("just before what cannot be reached", ioctl(vm, KVM_CREATE_DEVICE, edge(sizeof(c))));
	memcpy(&c, edge(sizeof(c)), sizeof(c));
	close((int)c.fd);
	c.fd = 0;
	memcpy(edge(4), &c.type, 4);
	T("only the type can be reached", ioctl(vm, KVM_CREATE_DEVICE, edge(4)));
	int free_fd = dup(0);
	close(free_fd);
	T("read-only", ioctl(vm, KVM_CREATE_DEVICE, constant(&c, sizeof(c))));
	T("is a descriptor there", fcntl(free_fd, F_GETFD));
	T("make one then", d = create(vm, 0));
	if (!d)
		close((int)created);
	close(free_fd);
	T("make one, that closed", d = create(vm, 0));
	if (!d)
		close((int)created);
	c.flags = KVM_CREATE_DEVICE_TEST;
	T("read-only, KVM_CREATE_DEVICE_TEST", ioctl(vm, KVM_CREATE_DEVICE, constant(&c, sizeof(c))));

	begin("making it, no descriptor left");
	struct rlimit old, none;
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	free_fd = dup(0);
	close(free_fd);
	none.rlim_cur = (rlim_t)free_fd;
	setrlimit(RLIMIT_NOFILE, &none);
	int r = create(vm, 0), err = errno;
	setrlimit(RLIMIT_NOFILE, &old);
	errno = err;
	row("make one", r, err);
	note_created();
	T("again, some left", create(vm, 0));
	close((int)created);
	close(vm);
	close(cpu);
	close(null);
	close(e);
	teardown(x);
}

/* ---------------------------------------------------------------- attributes */
static void attributes(void)
{
	static const struct { const char *name; unsigned long call; } calls[] = {
		{ "KVM_HAS_DEVICE_ATTR", KVM_HAS_DEVICE_ATTR }, { "KVM_SET_DEVICE_ATTR", KVM_SET_DEVICE_ATTR },
		{ "KVM_GET_DEVICE_ATTR", KVM_GET_DEVICE_ATTR },
	};
	static const uint64_t numbers[] = { 0, ADD, DEL, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, 4, 1ull << 32 | ADD, ~0ull };
	static const uint32_t groups[] = { 0, FILE_GROUP, 2, 3, ~0u }, flags[] = { 1, 0x80000000, ~0u };
	int vm = make_vm(), d = device_of(vm), g = open(group_path(edu), O_RDWR | O_CLOEXEC), none = -1;

	for (size_t c = 0; c < sizeof(calls) / sizeof(*calls); c++) {
		begin(calls[c].name);
		for (size_t k = 0; k < sizeof(groups) / sizeof(*groups); k++)
			for (size_t n = 0; n < sizeof(numbers) / sizeof(*numbers); n++)
				ASK(attr(d, calls[c].call, 0, groups[k], numbers[n], &none), "group %d, attribute 0x%llx, of -1",
				    (int)groups[k], (unsigned long long)numbers[n]);
		for (size_t k = 0; k < sizeof(flags) / sizeof(*flags); k++) {
			ASK(attr(d, calls[c].call, flags[k], FILE_GROUP, ADD, &g), "ADD, flags 0x%x", flags[k]);
			ASK(attr(d, calls[c].call, flags[k], FILE_GROUP, DEL, &g), "DEL, flags 0x%x", flags[k]);
			ASK(attr(d, calls[c].call, flags[k], FILE_GROUP, 9, &g), "an unknown attribute, flags 0x%x", flags[k]);
		}
		T("no attribute", ioctl(d, calls[c].call, NULL));
		T("a bad pointer", ioctl(d, calls[c].call, BAD));
		struct kvm_device_attr a = { .group = FILE_GROUP, .attr = ADD, .addr = (uintptr_t)&none };
		T("an attribute that cannot be written", ioctl(d, calls[c].call, constant(&a, sizeof(a))));
		memcpy(edge(sizeof(a)), &a, sizeof(a));
		T("an attribute just before what cannot be reached", ioctl(d, calls[c].call, edge(sizeof(a))));
		memcpy(edge(sizeof(a) - 8), &a, sizeof(a) - 8);
		T("an attribute half in what cannot be reached", ioctl(d, calls[c].call, edge(sizeof(a) - 8)));
		T("ADD of NULL", attr(d, calls[c].call, 0, FILE_GROUP, ADD, NULL));
		T("ADD of a bad pointer", attr(d, calls[c].call, 0, FILE_GROUP, ADD, BAD));
		T("DEL of a bad pointer", attr(d, calls[c].call, 0, FILE_GROUP, DEL, BAD));
		T("SPAPR_TCE of a bad pointer", attr(d, calls[c].call, 0, FILE_GROUP, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, BAD));
		T("an unknown attribute of a bad pointer", attr(d, calls[c].call, 0, FILE_GROUP, 9, BAD));
		T("an unknown group of a bad pointer", attr(d, calls[c].call, 0, 9, ADD, BAD));
	}

	begin("where the descriptor stands");
	T("ADD, read-only", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, ADD, constant(&g, 4)));
	memcpy(edge(4), &g, 4);
	T("DEL, just before what cannot be reached", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, DEL, edge(4)));
	memcpy(edge(3), &g, 3);
	T("ADD, half in what cannot be reached", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, ADD, edge(3)));
	memcpy(edge(7), &g, 4);
	T("ADD, not aligned", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, ADD, edge(7)));
	uint64_t wide = 0xdeadbeef00000000ull | (uint32_t)g;
	T("DEL, more than 32 bits", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, DEL, &wide));

	struct kvm_vfio_spapr_tce tce = { .groupfd = g, .tablefd = -1 };
	T("SPAPR_TCE of a group", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, &tce));
	T("ADD", add(d, g));
	T("SPAPR_TCE of an added group", attr(d, KVM_SET_DEVICE_ATTR, 0, FILE_GROUP, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, &tce));

	begin("other requests");
	int one = 1;
	T("KVM_GET_API_VERSION", ioctl(d, KVM_GET_API_VERSION, 0));
	T("KVM_CHECK_EXTENSION", ioctl(d, KVM_CHECK_EXTENSION, KVM_CAP_DEVICE_CTRL));
	T("KVM_CREATE_VM", ioctl(d, KVM_CREATE_VM, 0));
	T("KVM_CREATE_VCPU", ioctl(d, KVM_CREATE_VCPU, 0));
	T("KVM_RUN", ioctl(d, KVM_RUN, 0));
	T("VFIO_GROUP_GET_STATUS", group_flags(d));
	T("VFIO_GROUP_SET_CONTAINER", ioctl(d, VFIO_GROUP_SET_CONTAINER, &one));
	T("VFIO_GET_API_VERSION", ioctl(d, VFIO_GET_API_VERSION));
	T("VFIO_DEVICE_GET_INFO", device_there(d));
	T("0", ioctl(d, 0, 0));
	T("as SET, another size", ioctl(d, _IOW(KVMIO, 0xe1, char[16]), BAD));
	T("as SET, another direction", ioctl(d, _IOR(KVMIO, 0xe1, struct kvm_device_attr), BAD));
	T("DEL, after all that", del(d, g));
	T("ADD by its older name", attr(d, KVM_SET_DEVICE_ATTR, 0, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, &g));
	T("DEL by its older name", attr(d, KVM_SET_DEVICE_ATTR, 0, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_DEL, &g));
	close(d);
	close(g);
	close(vm);
}

/* ---------------------------------------------------------------- which files */
static void one_file(int d, const char *name, int fd)
{
	ASK(del(d, fd), "%s: DEL, never added", name);
	ASK(add(d, fd), "%s: ADD", name);
	ASK(add(d, fd), "%s: ADD again", name);
	ASK(del(d, fd), "%s: DEL", name);
	ASK(del(d, fd), "%s: DEL again", name);
}

static void files(void)
{
	int vm = make_vm(), d = device_of(vm), vm2 = make_vm(), pipes[2], sockets[2];
	char path[128];

	begin("files that are no VFIO's");
	pipe(pipes);
	socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
	struct { const char *name; int fd; } foreign[] = {
		{ "-1", -1 }, { "a closed one", 999 }, { "the least", INT_MIN }, { "the largest", INT_MAX },
		{ "/dev/null", open("/dev/null", O_RDWR) }, { "a directory", open("/", O_RDONLY | O_DIRECTORY) }, { "a pipe", pipes[0] },
		{ "a socket", sockets[0] }, { "an eventfd", eventfd(0, 0) }, { "an epoll", epoll_create1(0) },
		{ "memory", memfd_create("x", 0) }, { "/dev/kvm", kvm }, { "the machine", vm }, { "another machine", vm2 },
		{ "a processor", ioctl(vm, KVM_CREATE_VCPU, 0) }, { "this device", d }, { "another such device", device_of(vm2) },
		{ "an attribute of sysfs", open(pci_attr(edu, "vendor"), O_RDONLY) },
		{ "a group's node as a path", open(group_path(edu), O_PATH) },
		{ "a container", open("/dev/vfio/vfio", O_RDWR) }, { "an iommufd", open("/dev/iommu", O_RDWR) },
	};
	for (size_t k = 0; k < sizeof(foreign) / sizeof(*foreign); k++) {
		one_file(d, foreign[k].name, foreign[k].fd);
		if (foreign[k].fd != vm && foreign[k].fd != vm2 && foreign[k].fd != d && foreign[k].fd != kvm && foreign[k].fd >= 0)
			close(foreign[k].fd);
	}
	close(pipes[1]);
	close(sockets[1]);

	begin("files of a group");
	int c = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), g = open(group_path(edu), O_RDWR | O_CLOEXEC);
	one_file(d, "a group alone", g);
	ioctl(g, VFIO_GROUP_SET_CONTAINER, &c);
	one_file(d, "a container with a group", c);
	one_file(d, "a group in a container", g);
	ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	one_file(d, "a group of a type", g);
	int first = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu), second = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu), two = dup(g);
	one_file(d, "a group with a device", g);
	one_file(d, "a device", first);
	T("ADD of the device", add(d, first));
	T("ADD of the device, opened again", add(d, second));
	T("ADD of its group", add(d, g));
	T("ADD of the group's duplicate", add(d, two));
	T("DEL of the group's duplicate", del(d, two));
	T("DEL of the group", del(d, g));
	T("DEL of the device, opened again", del(d, second));
	T("DEL of that again", del(d, second));
	T("DEL of the device", del(d, first));
	close(second);
	close(two);
	T("ADD of the group", add(d, g));
	two = device_of(vm2);
	T("ADD of the group to another machine's", add(two, g));
	T("DEL from the first", del(d, g));
	T("DEL from the first again", del(d, g));
	T("DEL from the other", del(two, g));
	close(two);
	int other = open(group_path(msix), O_RDWR | O_CLOEXEC);
	T("ADD of two groups", add(d, g));
	T("ADD of two groups, the other", add(d, other));
	T("DEL of the first", del(d, g));
	T("DEL of the other", del(d, other));
	T("a descriptor used again: ADD", add(d, other));
	dup2(g, other);
	T("a descriptor used again: DEL", del(d, other));
	T("is the one that it was kept", group_free(msix));
	close(other);
	close(first);
	close(g);
	close(c);
	close(d);
	T("is it kept, the device of KVM closed", group_free(msix));
	d = device_of(vm);

	begin("files of a device's own node");
	uint32_t id, pt;
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), n = open_cdev(edu), m;
	pt = ioas(i);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", n);
	m = open(path, O_PATH);
	one_file(d, "the node as a path", m);
	close(m);
	one_file(d, "not bound", n);
	T("ADD, not bound", add(d, n));
	T("BIND", bind_to(n, i, &id));
	T("DEL, bound", del(d, n));
	one_file(d, "bound", n);
	T("attach", attach(n, 0, &pt));
	one_file(d, "attached", n);
	m = open_cdev(edu);
	one_file(d, "another descriptor, not bound", m);
	T("ADD", add(d, n));
	T("ADD of the other descriptor", add(d, m));
	T("DEL of the other descriptor", del(d, m));
	T("detach, added", detach(n, 0));
	T("DEL, detached", del(d, n));
	close(m);
	close(n);
	close(i);

	begin("files of a group in an iommufd");
	i = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	g = open(group_path(edu), O_RDWR | O_CLOEXEC);
	T("VFIO_GROUP_SET_CONTAINER", ioctl(g, VFIO_GROUP_SET_CONTAINER, &i));
	one_file(d, "the group", g);
	first = TFD("open the device", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	if (first >= 0) {
		one_file(d, "the device", first);
		close(first);
	}
	close(g);
	close(i);
	close(d);
	close(vm);
	close(vm2);
}

/* Many files: each is closed once it was added. */
static void many(void)
{
	int vm = make_vm(), d = device_of(vm), done = 0;
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 0);

	begin("many files");
	for (int k = 0; k < 1500; k++) {
		int fd = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu);
		done += fd >= 0 && !add(d, fd);
		close(fd);
	}
	T("ADD of devices", done);
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("close the device of KVM", close(d));
	T("leave, that closed", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	teardown(x);
	close(vm);
}

/* ---------------------------------------------------------------- when it is added */
static void in_time(void)
{
	int vm = make_vm(), d = device_of(vm);

	begin("added before all");
	struct ctx x = { open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), open(group_path(edu), O_RDWR | O_CLOEXEC), -1 };
	T("ADD", add(d, x.g));
	T("the group's status", group_flags(x.g));
	T("join", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	T("the type", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("map", dma_map(x.c, 3, mem, 0, PG));
	x.d = TFD("open the device", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("the group's status then", group_flags(x.g));
	T("leave, device open", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("DEL, device open", del(d, x.g));
	T("the device's info", device_there(x.d));
	T("ADD, device open", add(d, x.g));
	T("reset", ioctl(x.d, VFIO_DEVICE_RESET));
	close(x.d);
	T("leave", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("leave again", ioctl(x.g, VFIO_GROUP_UNSET_CONTAINER));
	T("DEL, outside", del(d, x.g));
	T("ADD, outside", add(d, x.g));
	T("join again", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &x.c));
	T("the type again", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	x.d = TFD("open the device again", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("close the machine", close(vm));
	T("the device's info, machine closed", device_there(x.d));
	T("DEL, machine closed", del(d, x.g));
	T("ADD, machine closed", add(d, x.g));
	T("HAS, machine closed", attr(d, KVM_HAS_DEVICE_ATTR, 0, FILE_GROUP, ADD, NULL));
	close(x.g);
	T("the group is free, closed", group_free(edu));
	close(x.d);
	T("the group is free, device closed", group_free(edu));
	T("the container's groups: set the type", ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	T("map more", dma_map(x.c, 3, mem, 1 * MB, PG));
	close(x.c);
	T("the group is free, container closed", group_free(edu));
	T("close the device of KVM", close(d));
	T("the group is free, that closed", group_free(edu));

	begin("added by its node before all");
	uint32_t id, as, pt;
	vm = make_vm();
	d = device_of(vm);
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), n = open_cdev(edu), m;
	as = pt = ioas(i);
	T("ADD", add(d, n));
	T("BIND", bind_to(n, i, &id));
	T("attach", attach(n, 0, &pt));
	T("map", imap(i, as, FIXED | WR | RD, mem, PG, 0));
	T("DEL, attached", del(d, n));
	T("the device's info", device_there(n));
	T("ADD, attached", add(d, n));
	T("close its node", close(n));
	T("destroy the IOAS", destroy(i, as));
	T("destroy the device", destroy(i, id));
	T("the group is free", group_free(edu));
	m = open_cdev(edu);
	T("ADD of another descriptor", add(d, m));
	T("BIND of another descriptor", bind_to(m, i, &id));
	T("close the iommufd", close(i));
	T("BIND of another descriptor, iommufd closed", bind_to(m, i = open("/dev/iommu", O_RDWR | O_CLOEXEC), &id));
	T("close the device of KVM", close(d));
	T("BIND of another descriptor, that closed", bind_to(m, i, &id));
	T("the device's info then", device_there(m));
	close(m);
	close(i);
	close(vm);
	T("the group is free, all closed", group_free(edu));
}

/* ---------------------------------------------------------------- closing, in every order */
static const char *outcome(int r)
{
	return r < 0 ? strerrorname_np(errno) : "yes";
}

struct held { int c, g, d, k, v; };

/* What is there still: asked of each that is open. */
static void note_groups(const struct held *h, int other)
{
	note("group free %s", outcome(group_free(edu)));
	if (h->g >= 0)
		note(", its status %d", group_flags(h->g));
	if (h->d >= 0)
		note(", device %s", outcome(device_there(h->d)));
	if (h->k >= 0)
		note(", HAS %s", outcome(attr(h->k, KVM_HAS_DEVICE_ATTR, 0, FILE_GROUP, ADD, NULL)));
	if (h->k >= 0)
		note(", DEL of another %s", outcome(del(h->k, other)));
	if (h->v >= 0)
		note(", machine %s", outcome(create(h->v, KVM_CREATE_DEVICE_TEST)));
}

static void note_nodes(const struct held *h, int other)
{
	uint32_t id;
	int i = open("/dev/iommu", O_RDWR | O_CLOEXEC), n = open_cdev(edu);
	note("open its node %s, bind it %s, ", outcome(n), outcome(bind_to(n, i, &id)));
	close(n);
	close(i);
	note_groups(h, other);
}

/* @order: g group, or the iommufd if @node; d device, k device of KVM, v machine.  @added: one of them,
 * @early: before BIND.
 */
static void close_in_order(const char *order, bool node, char added, bool early)
{
	static const char *const names[] = {
		['g'] = "group", ['i'] = "iommufd", ['d'] = "device", ['k'] = "device of KVM", ['v'] = "machine",
	};
	struct held h = { -1, -1, -1, -1, make_vm() };
	int other = open("/dev/null", O_RDONLY), iommufd = -1;
	uint32_t id;

	h.k = device_of(h.v);
	if (node) {
		iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		h.d = open_cdev(edu);
		if (early)
			add(h.k, h.d);
		bind_to(h.d, iommufd, &id);
		if (!early)
			add(h.k, h.d);
	} else {
		struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
		h.c = x.c, h.g = x.g, h.d = x.d;
		add(h.k, added == 'g' ? h.g : h.d);
	}
	for (const char *o = order; *o; o++) {
		int *fd = *o == 'g' ? &h.g : *o == 'i' ? &iommufd : *o == 'd' ? &h.d : *o == 'k' ? &h.k : &h.v;
		ASK(close(*fd), "%s: the %s", order, names[(int)*o]);
		*fd = -1;
		if (node)
			note_nodes(&h, other);
		else
			note_groups(&h, other);
	}
	if (!node)
		close(h.c);
	close(other);
}

static void each_order(const char *letters, bool node, char added, bool early)
{
	char order[5] = { 0 };
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < 4; b++)
			for (int c = 0; c < 4; c++) {
				if (a == b || b == c || a == c)
					continue;
				order[0] = letters[a], order[1] = letters[b], order[2] = letters[c];
				order[3] = letters[6 - a - b - c];
				close_in_order(order, node, added, early);
			}
}

static void closing(void)
{
	begin("closing, a group added");
	each_order("gdkv", false, 'g', false);
	begin("closing, a device added");
	each_order("gdkv", false, 'd', false);
	begin("closing, a node added");
	each_order("idkv", true, 'd', false);
	begin("closing, a node added before BIND");
	each_order("idkv", true, 'd', true);
}

/* ---------------------------------------------------------------- the driver leaves */
/* A shell takes the device away: has it ended within some seconds? */
static int ended_soon(pid_t pid)
{
	for (int k = 0; k < 50; k++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return 1;
		usleep(100000);
	}
	return 0;
}

static void unbinding(void)
{
	int vm = make_vm(), d = device_of(vm), e = eventfd(0, EFD_NONBLOCK);

	begin("the driver leaves, a group added");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 0);
	T("ADD", add(d, x.g));
	T("unbind", write_file("/sys/bus/pci/drivers/vfio-pci/unbind", edu));
	T("the group's status", group_flags(x.g));
	T("DEL", del(d, x.g));
	T("ADD again", add(d, x.g));
	T("close the group", close(x.g));
	T("bind", write_file("/sys/bus/pci/drivers/vfio-pci/bind", edu));
	T("the group is free", group_free(edu));
	T("close the device of KVM", close(d));
	T("the group is free then", group_free(edu));
	close(x.c);

	begin("the driver leaves, a device added");
	d = device_of(vm);
	x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("ADD", add(d, x.d));
	T("request", set_irq(x.d, VFIO_PCI_REQ_IRQ_INDEX, e));
	T("close the device", close(x.d));
	flush_row();
	fflush(stdout);
	pid_t pid = unbind_by_shell();
	T("asked back", asked_back(e));
	T("unbind has ended", waitpid(pid, NULL, WNOHANG));
	T("the group's status", group_flags(x.g));
	T("close the device of KVM", close(d));
	T("unbind ends", waitpid(pid, NULL, 0) == pid ? 0 : -1);
	T("the group's status then", group_flags(x.g));
	T("bind", write_file("/sys/bus/pci/drivers/vfio-pci/bind", edu));
	close(x.g);
	close(x.c);

	begin("the driver leaves, a node added");
	d = device_of(vm);
	int n = open_cdev(edu);
	T("ADD", add(d, n));
	T("close its node", close(n));
	flush_row();
	fflush(stdout);
	pid = unbind_by_shell();
	int ended = ended_soon(pid);
	T("unbind has ended", ended);
	T("close the device of KVM", close(d));
	T("unbind ends", ended || waitpid(pid, NULL, 0) == pid ? 0 : -1);
	T("bind", write_file("/sys/bus/pci/drivers/vfio-pci/bind", edu));
	T("the group is free", group_free(edu));
	close(e);
	close(vm);
}

/* ---------------------------------------------------------------- other processes */
/* In a forked child: @call's errno, 0. */
static int in_child(int (*call)(int vm, int d), int vm, int d)
{
	int status;
	flush_row();
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		alarm(20);
		_exit(call(vm, d) ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

static int child_creates(int vm, int d) { return create(vm, 0); }
static int child_tests(int vm, int d) { return create(vm, KVM_CREATE_DEVICE_TEST); }
static int child_has(int vm, int d) { return attr(d, KVM_HAS_DEVICE_ATTR, 0, FILE_GROUP, ADD, NULL); }
static int child_has_not(int vm, int d) { return attr(d, KVM_HAS_DEVICE_ATTR, 0, 9, ADD, NULL); }
static int child_adds(int vm, int d) { return add(d, 0); }
static int child_gets(int vm, int d) { return attr(d, KVM_GET_DEVICE_ATTR, 0, FILE_GROUP, ADD, NULL); }
static int child_asks_badly(int vm, int d) { return ioctl(d, KVM_HAS_DEVICE_ATTR, NULL); }
static int child_runs(int vm, int d) { return ioctl(d, KVM_RUN, 0); }
static int child_reads(int vm, int d) { return (int)read(d, scratch, 4); }
static int child_closes(int vm, int d) { return close(d) || close(vm); }
static int child_is_idle(int vm, int d) { return 0; }

static void child(int vm, int d)
{
	begin("a machine of another process, after exec");
	T("KVM_CREATE_DEVICE_TEST", create(vm, KVM_CREATE_DEVICE_TEST));
	T("make one", create(vm, 0));
	T("HAS", attr(d, KVM_HAS_DEVICE_ATTR, 0, FILE_GROUP, ADD, NULL));
	T("ADD of 0", add(d, 0));
	int g = open(group_path(msix), O_RDWR | O_CLOEXEC);
	T("ADD of a group", add(d, g));
	T("DEL of a group", del(d, g));
	T("a bad request", ioctl(d, KVM_RUN, 0));
	T("name", 0);
	note_link(d);
	flush_row();
}

static void processes(void)
{
	int vm = make_vm(), d = device_of(vm), status;
	char numbers[2][16];

	begin("a forked child");
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	T("ADD", add(d, x.g));
	T("it asks: make one", in_child(child_creates, vm, d));
	T("it asks: KVM_CREATE_DEVICE_TEST", in_child(child_tests, vm, d));
	T("it asks: HAS", in_child(child_has, vm, d));
	T("it asks: HAS of an unknown group", in_child(child_has_not, vm, d));
	T("it asks: ADD of 0", in_child(child_adds, vm, d));
	T("it asks: GET", in_child(child_gets, vm, d));
	T("it asks: HAS of a bad pointer", in_child(child_asks_badly, vm, d));
	T("it asks: KVM_RUN", in_child(child_runs, vm, d));
	T("it reads", in_child(child_reads, vm, d));
	T("it closes both", in_child(child_closes, vm, d));
	T("it does nothing", in_child(child_is_idle, vm, d));
	T("ADD again", add(d, x.g));
	T("DEL", del(d, x.g));
	T("ADD of the device", add(d, x.d));
	teardown(x);
	T("the group is free", group_free(edu));

	flush_row();
	fflush(stdout);
	snprintf(numbers[0], sizeof(numbers[0]), "%d", vm);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", d);
	pid_t pid = fork();
	if (!pid) {
		fcntl(vm, F_SETFD, 0);
		fcntl(d, F_SETFD, 0);
		execl("/proc/self/exe", "kvm", edu, msix, "child", numbers[0], numbers[1], NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	begin("after other processes");
	T("the group is free", group_free(edu));
	T("close the device of KVM", close(d));
	T("the group is free then", group_free(edu));
	close(vm);
}

static void hold(void)
{
	int vm = make_vm(), d = device_of(vm);
	struct ctx x = setup(edu, VFIO_TYPE1v2_IOMMU, 1);
	int r = add(d, x.g);
	teardown(x);
	close(vm);
	write(1, r ? "no" : "yes", 3);
	pause();
}

static void killed(void)
{
	int ready, status;
	char said[4] = { 0 };

	begin("a process that is killed");
	pid_t pid = once_more("hold", &ready);
	T("it has added its group and closed it", read(ready, said, 3));
	note("%s", said);
	close(ready);
	T("the group is free", group_free(edu));
	T("kill", kill(pid, SIGKILL));
	T("wait", waitpid(pid, &status, 0) == pid ? 0 : -1);
	T("the group is free then", group_free(edu));
}

int main(int argc, char **argv)
{
	start(argc, argv);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (argc > 5) {
		child(atoi(argv[4]), atoi(argv[5]));
		return 0;
	}
	if (argc > 3)
		hold();
	setvbuf(stdout, NULL, _IOLBF, 0);
	regions();
	creating();
	attributes();
	files();
	many();
	in_time();
	closing();
	int vm = make_vm();
	all("the device of KVM", device_of(vm));
	unbinding();
	processes();
	killed();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
