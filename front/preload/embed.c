/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * embed.c - a machine that a program makes for itself: the functions of <softvfio/machine.h>.
 *
 * The rest of the front end does not know the difference: instead of the environment, softvfio_start() says
 * where the machine is.  The machine's directory is made by the same code as the command's, in this process.
 */
#include <softvfio/machine.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/syscall.h"
#include "machine/machine.h"

struct softvfio {
	struct machine_config *config;
	unsigned nr_added;	/* texts and files that said something of it */
	char dir[PATH_MAX];	/* "" while it does not run */
	int lock;		/* of a private directory; -1 */
	bool is_private;
};

static struct softvfio *running; /* atomic: the one of this process */
static void (*line_fn)(const char *line); /* atomic */

/* Each function ends through here, so that softvfio_reason() speaks of it. */
static int done(int ret)
{
	explain_done(ret < 0);
	return ret;
}

static bool is_running(const struct softvfio *m)
{
	return m && __atomic_load_n(&running, __ATOMIC_ACQUIRE) == m;
}

/* ---- what is said ----------------------------------------------------------------------------- */

static void sink(const char *line)
{
	void (*fn)(const char *) = __atomic_load_n(&line_fn, __ATOMIC_ACQUIRE);

	if (fn)
		fn(line);
}

static bool wants_stderr(void)
{
	const char *value = getenv("SOFTVFIO_EXPLAIN");

	return value && !strcmp(value, "1");
}

EXPORT void softvfio_on_line(void (*fn)(const char *line))
{
	__atomic_store_n(&line_fn, fn, __ATOMIC_RELEASE);
	explain_set_sink(fn || !wants_stderr() ? sink : NULL);
}

EXPORT const char *softvfio_reason(void)
{
	return explain_last();
}

/* ---- a machine to be -------------------------------------------------------------------------- */

EXPORT struct softvfio *softvfio_new(void)
{
	struct softvfio *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->lock = -1;
	m->config = machine_config_new();
	if (!m->config) {
		free(m);
		return NULL;
	}
	if (!explain_enabled) {
		explain_set_sink(wants_stderr() ? NULL : sink);
		explain_enable();
	}
	return m;
}

static int not_while_running(const struct softvfio *m)
{
	explain_begin();
	return is_running(m) ? fail(-EBUSY, "the machine runs: what it is made of is said before") : 0;
}

EXPORT int softvfio_add(struct softvfio *m, const char *device)
{
	int err = not_while_running(m);

	if (!err)
		err = machine_config_add(m->config, device);
	m->nr_added += !err;
	return done(err);
}

EXPORT int softvfio_load(struct softvfio *m, const char *file)
{
	int err = not_while_running(m);

	if (!err)
		err = machine_config_load(m->config, file);
	m->nr_added += !err;
	return done(err);
}

EXPORT int softvfio_set_iommu(struct softvfio *m, const char *iommu)
{
	int err = not_while_running(m);

	if (!err)
		err = machine_config_set_iommu(m->config, iommu);
	m->nr_added += !err;
	return done(err);
}

/* ---- running ---------------------------------------------------------------------------------- */

static void let_go_private(struct softvfio *m)
{
	if (m->is_private && m->dir[0])
		machine_destroy(m->dir);
	if (m->lock >= 0)
		fd_private_close(m->lock);
	m->lock = -1;
	m->is_private = false;
	m->dir[0] = '\0';
}

static int make_private(struct softvfio *m)
{
	int err = machine_private_dir(m->dir, sizeof(m->dir), &m->lock), hidden;

	if (err)
		return fail(err, "%s: %s", m->dir, strerror(-err));
	m->is_private = true;
	hidden = fd_private(m->lock);
	if (hidden < 0) {
		sys_close(m->lock);
		m->lock = -1;
	} else {
		m->lock = hidden;
	}
	err = machine_create(m->dir, m->config);
	if (err)
		let_go_private(m);
	return err;
}

static int name_dir(struct softvfio *m, const char *dir)
{
	char cwd[PATH_MAX] = "";

	if (dir[0] != '/' && sys_getcwd(cwd, sizeof(cwd)) < 0)
		return fail(-ENOENT, "the working directory is gone");
	if ((size_t)snprintf(m->dir, sizeof(m->dir), "%s%s%s", cwd, cwd[0] ? "/" : "", dir) >= sizeof(m->dir))
		return fail(-ENAMETOOLONG, "the name of the machine's directory is too long");
	return 0;
}

/* An existing machine is used as it is; an empty or absent directory gets ours. */
static int make_kept(struct softvfio *m, const char *dir)
{
	char file[PATH_MAX + 16];
	int err = name_dir(m, dir);

	if (err)
		return err;
	snprintf(file, sizeof(file), "%s/machine.ini", m->dir);
	if (!sys_access(file, R_OK))
		return m->nr_added ? fail(-EEXIST, "%s holds a machine already: nothing can be added to it", dir)
				   : machine_control_allow(m->dir);
	err = sys_mkdir(m->dir, 0755);
	if (err == -EEXIST) {
		err = sys_rmdir(m->dir);
		if (!err)
			err = sys_mkdir(m->dir, 0755);
	}
	if (err)
		return fail(err, "%s is no machine, and not an empty directory: %s", dir, strerror(-err));
	err = machine_create(m->dir, m->config);
	return err ? err : machine_control_allow(m->dir);
}

EXPORT int softvfio_start(struct softvfio *m, const char *dir)
{
	struct softvfio *none = NULL;
	int err;

	explain_begin();
	if (!front_started)
		front_start();
	if (machine_dir())
		return done(fail(-EBUSY, "this process is on the machine in %s already", machine_dir()));
	if (!__atomic_compare_exchange_n(&running, &none, m, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return done(fail(-EBUSY, "this process has a machine already"));
	err = dir ? make_kept(m, dir) : make_private(m);
	if (!err) {
		err = front_enter(m->dir);
		if (err)
			(void)fail(err, "%s: %s", m->dir, strerror(-err));
	}
	if (err) {
		let_go_private(m);
		m->dir[0] = '\0';
		__atomic_store_n(&running, NULL, __ATOMIC_RELEASE);
	}
	return done(err);
}

EXPORT const char *softvfio_dir(const struct softvfio *m)
{
	return is_running(m) && m->dir[0] ? m->dir : NULL;
}

static int check_closed(void)
{
	struct vm_area *vma;

	for (int fd = 0; fd < front_fd_count(); fd++) {
		struct file *file = fget(fd);
		char name[128];

		if (!file)
			continue;
		snprintf(name, sizeof(name), "%s", file->path);
		fput(file);
		return fail(-EBUSY, "descriptor %d (%s) is still open", fd, name);
	}
	file_reap();
	if (atomic_load(&files_elsewhere))
		return fail(-EBUSY, "a child of this process, or whom it sent a descriptor, has %d files still open",
			    atomic_load(&files_elsewhere));
	vma = vma_find_first(mm_self(), 0, ~0ull);
	if (!vma)
		return 0;
	(void)fail(-EBUSY, "a region of a device is still mapped at 0x%llx", (unsigned long long)vma->start);
	vma_put(vma);
	return -EBUSY;
}

EXPORT int softvfio_stop(struct softvfio *m)
{
	int err;

	explain_begin();
	if (!is_running(m))
		return done(0);
	err = check_closed();
	if (err)
		return done(err);
	front_leave();
	let_go_private(m);
	m->dir[0] = '\0';
	__atomic_store_n(&running, NULL, __ATOMIC_RELEASE);
	return done(0);
}

EXPORT int softvfio_free(struct softvfio *m)
{
	int err = m ? softvfio_stop(m) : 0;

	if (err || !m)
		return err;
	machine_config_free(m->config);
	free(m);
	return 0;
}

/* ---- while it runs ---------------------------------------------------------------------------- */

EXPORT int softvfio_inject(struct softvfio *m, const char *device, const char *orders)
{
	int err = 0;

	explain_begin();
	if (!is_running(m))
		err = fail(-ENODEV, "the machine does not run");
	if (!err)
		err = front_attach();
	if (!err) {
		explain_begin(); /* attaching said its own */
		err = machine_inject(device, orders);
	}
	return done(err);
}

EXPORT void softvfio_stats_get(struct softvfio *m, struct softvfio_stats *ret, size_t bytes)
{
	struct softvfio_stats s = { 0 };
	struct machine_stats machine;
	struct syscall_stats calls;

	syscall_stats_get(&calls);
	s.calls = calls.calls;
	s.failed_calls = calls.failed;
	if (is_running(m)) {
		machine_stats_get(&machine);
		s.bar_accesses = machine.bar_accesses;
		s.dma_read_bytes = machine.dma_read_bytes;
		s.dma_written_bytes = machine.dma_written_bytes;
		s.dma_faults = machine.dma_faults;
		s.interrupts = machine.interrupts;
		s.injected = machine.injected;
	}
	memset(ret, 0, bytes);
	memcpy(ret, &s, min(bytes, sizeof(s)));
}

EXPORT size_t softvfio_faults_get(struct softvfio *m, struct softvfio_fault *ret, size_t max, size_t bytes)
{
	struct machine_fault *faults;
	size_t n;

	max = min(max, (size_t)256);
	faults = is_running(m) ? calloc(max + 1, sizeof(*faults)) : NULL;
	n = faults ? machine_faults_get(faults, max) : 0;
	for (size_t i = 0; i < n; i++) {
		struct softvfio_fault f = { .iova = faults[i].iova, .write = faults[i].write };
		char *to = (char *)ret + i * bytes;

		memcpy(f.device, faults[i].device, sizeof(f.device));
		memcpy(f.text, faults[i].text, sizeof(f.text));
		memset(to, 0, bytes);
		memcpy(to, &f, min(bytes, sizeof(f)));
	}
	free(faults);
	return n;
}
