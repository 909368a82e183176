/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload.c - the library's beginning and end.
 *
 * Loading reads the environment and nothing more, since most programs on a machine (sh, ls, cat)
 * never touch a device.  The machine is built when a program first opens a device node or writes an
 * attribute.  Children find the same environment and do the same for themselves.
 *
 *	SOFTVFIO_MACHINE	the machine's directory; without it nothing here has any effect
 *	SOFTVFIO_EXPLAIN	1: print why calls fail
 *	SOFTVFIO_IOMMUFD_TEST	1: /dev/iommu has its private test ioctl
 *	SOFTVFIO_TRACE		a file to append a line per call to, or the number of an open descriptor
 *	SOFTVFIO_CONTAINER	iommufd: that answers for /dev/vfio/vfio
 *	SOFTVFIO_MEMLOCK	how many bytes may be pinned; "host": as Linux would
 *	SOFTVFIO_STATS		a file to which a process that built the machine adds its totals when it ends
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/syscall/proxy.h"
#include "kernel/syscall/serve.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/wire.h"
#include "machine/machine.h"

bool front_started;

static bool attached; /* atomic */
static const char *stats_file;

static void complain(const char *what, const char *why)
{
	char line[1024];

	snprintf(line, sizeof(line), "softvfio: %s: %s", what, why);
	explain_print(line);
}

/* The descriptor of a number stays open beside our copy: children will look for it too. */
static void start_trace(const char *where)
{
	char *end;
	long number = strtol(where, &end, 10);
	int fd, hidden;

	if (*where && !*end)
		fd = (int)sys_fcntl((int)number, F_DUPFD_CLOEXEC, 3);
	else
		fd = sys_open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0) {
		complain(where, strerror(-fd));
		return;
	}
	hidden = fd_private(fd);
	trace_open(hidden < 0 ? fd : hidden);
}

/* What is set up once, for whatever machine comes. */
static void init_once(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	front_fd_init();
	front_map_init();
	front_mmio_init();
	front_fork_init();
	serve_before_open = front_attach;
}

int front_enter(const char *machine)
{
	int err = path_init(machine);

	if (err)
		return err;
	init_once();
	wire_machine(path_machine());
	return machine_attach_lazy(path_machine());
}

void front_leave(void)
{
	__atomic_store_n(&attached, false, __ATOMIC_RELEASE);
	machine_detach();
	path_forget();
}

void front_start(void)
{
	const char *machine = getenv("SOFTVFIO_MACHINE"), *value;
	int err;

	if (front_started)
		return;
	front_started = true;
	if (!machine || !*machine)
		return;
	value = getenv("SOFTVFIO_EXPLAIN");
	if (value && !strcmp(value, "1"))
		explain_enable();
	value = getenv("SOFTVFIO_TRACE");
	if (value)
		start_trace(value);
	stats_file = getenv("SOFTVFIO_STATS");
	value = getenv("SOFTVFIO_IOMMUFD_TEST");
	if (value && !strcmp(value, "1"))
		machine_iommufd_test_enable();
	value = getenv("SOFTVFIO_CONTAINER");
	if (value && !strcmp(value, "iommufd"))
		machine_container_by_iommufd();
	value = getenv("SOFTVFIO_MEMLOCK");
	if (value)
		locked_vm_set_limit(!strcmp(value, "host") ? LOCKED_VM_HOST : strtoull(value, NULL, 10));
	err = front_enter(machine);
	if (err)
		complain(machine, strerror(-err));
	else
		front_take_inherited();
}

static __attribute__((constructor)) void load(void)
{
	int saved = errno;

	front_start();
	if (*path_machine())
		front_fd_adopt();
	errno = saved;
}

void front_elsewhere(void)
{
	front_signal_install();
	front_in_child = true;
	__atomic_store_n(&attached, true, __ATOMIC_RELEASE);
}

bool front_attached(void)
{
	return __atomic_load_n(&attached, __ATOMIC_ACQUIRE);
}

int front_attach(void)
{
	const char *reason;
	int err;

	if (front_kernel_elsewhere())
		return 0;
	if (front_attached())
		return machine_attach(); /* follows what other processes bound meanwhile */
	front_signal_install();
	explain_begin();
	err = machine_attach();
	if (err) {
		reason = explain_take();
		complain("this process cannot use the machine", reason ? reason : strerror(-err));
		return err;
	}
	__atomic_store_n(&attached, true, __ATOMIC_RELEASE);
	return 0;
}

static void append_stats(void)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;
	struct syscall_stats calls;
	struct machine_stats machine;
	char line[512];
	int fd, len;

	if (!stats_file || !front_attached() || front_in_child || atomic_flag_test_and_set(&done))
		return;
	syscall_stats_get(&calls);
	machine_stats_get(&machine);
	len = snprintf(line, sizeof(line),
		       "pid=%d calls=%llu failed=%llu mmio=%llu dma_read=%llu dma_written=%llu dma_faults=%llu irqs=%llu\n",
		       sys_getpid(), (unsigned long long)calls.calls, (unsigned long long)calls.failed,
		       (unsigned long long)(calls.mmio_reads + calls.mmio_writes),
		       (unsigned long long)machine.dma_read_bytes, (unsigned long long)machine.dma_written_bytes,
		       (unsigned long long)machine.dma_faults, (unsigned long long)machine.interrupts);
	fd = sys_open(stats_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	sys_write(fd, line, (size_t)len);
	sys_close(fd);
}

/* stdio writes what is left only after this: so that an attribute gets it, ask for it now. */
static __attribute__((destructor)) void unload(void)
{
	if (front_kernel_elsewhere())
		proxy_end();
	if (!front_attached() || front_in_child)
		return;
	REAL(fflush)(NULL);
	front_flush_attributes();
	append_stats();
}

/* Shells end this way, without a destructor. */
EXPORT void _exit(int status)
{
	append_stats();
	if (front_kernel_elsewhere())
		proxy_end();
	REAL(_exit)(status);
	__builtin_unreachable();
}
ALIAS(_Exit, _exit);
