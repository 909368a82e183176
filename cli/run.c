/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.c - `softvfio run`: make a machine, start a program on it, clean up behind it.
 *
 * The machine is a directory (machine/machine.h).  A private one stands in memory (or in TMPDIR)
 * and is removed when the program has ended; --machine DIR keeps one.  The program
 * finds it through its environment, where the front end library looks:
 *
 *	LD_PRELOAD		the front end, behind whatever the user preloads
 *	SOFTVFIO_MACHINE	the machine's directory
 *	SOFTVFIO_EXPLAIN	1: print reasons
 *	SOFTVFIO_IOMMUFD_TEST	1: /dev/iommu has the test ioctl
 *	SOFTVFIO_TRACE		a file to append traces to, or the number of a descriptor
 *	SOFTVFIO_STATS		a file to which each process appends its totals when it ends
 *	SOFTVFIO_CONTAINER	who answers for /dev/vfio/vfio: vfio or iommufd
 *	SOFTVFIO_MEMLOCK	how many bytes may be pinned, or "host"
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "kernel/lib/explain.h"
#include "machine/machine.h"

#define MAX_IOMMUS 16 /* more than there can be */

struct run_options {
	struct machine_config *config;
	bool has_devices, has_params;
	const char *iommus[MAX_IOMMUS]; /* none: as the machine file says, else amd */
	unsigned nr_iommus;
	const char *keep_dir;
	const char *trace;	/* file, or "2"; NULL off */
	const char *container;	/* "vfio" or "iommufd"; NULL: vfio */
	char memlock[24];	/* bytes, or "host"; empty: no limit */
	bool explain, stats, iommufd_test;
	char **program;
};

static const struct option long_options[] = {
	{ "device", required_argument, NULL, 'd' },
	{ "machine-file", required_argument, NULL, 'm' },
	{ "machine", required_argument, NULL, 'M' },
	{ "iommu", required_argument, NULL, 'i' },
	{ "param", required_argument, NULL, 'p' },
	{ "explain", no_argument, NULL, 'e' },
	{ "trace", optional_argument, NULL, 't' },
	{ "stats", no_argument, NULL, 's' },
	{ "iommufd-test", no_argument, NULL, 'T' },
	{ "container", required_argument, NULL, 'c' },
	{ "memlock", required_argument, NULL, 'l' },
	{ NULL, 0, NULL, 0 },
};

static const char *reason_or(int err)
{
	const char *reason = explain_take();

	return reason ? reason : strerror(-err);
}

static char *absolute(const char *path)
{
	char *abs = NULL;

	if (path[0] == '/')
		return strdup(path);
	char *cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&abs, "%s/%s", cwd, path) < 0)
		abs = NULL;
	free(cwd);
	return abs;
}

/* "host", "unlimited", or "64M": a number of bytes, perhaps with K, M or G behind it. */
static int take_memlock(struct run_options *o, const char *text)
{
	static const char units[] = "KMG";
	unsigned long long bytes;
	const char *unit;
	char *end;

	if (!strcmp(text, "host") || !strcmp(text, "unlimited")) {
		strcpy(o->memlock, *text == 'h' ? text : "");
		return 0;
	}
	errno = 0;
	bytes = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end) : NULL;
	if (*text < '0' || *text > '9' || errno || (*end && (!unit || end[1])))
		return cli_error("--memlock %s: host, unlimited, or a number of bytes, perhaps with K, M or G behind it", text);
	if (unit && __builtin_mul_overflow(bytes, 1ull << (10 * (unit - units + 1)), &bytes))
		return cli_error("--memlock %s: more than 64 bits", text);
	snprintf(o->memlock, sizeof(o->memlock), "%llu", bytes);
	return 0;
}

/* One option.  Return: 0 or an exit status. */
static int take_option(struct run_options *o, int c, char **argv)
{
	int err;

	switch (c) {
	case 'd':
	case 'm':
		explain_begin();
		cli_guard_begin(optarg, NULL);
		err = c == 'd' ? machine_config_add(o->config, optarg) : machine_config_load(o->config, optarg);
		cli_guard_end();
		if (err)
			return cli_error("-%c %s: %s", c, optarg, reason_or(err));
		o->has_devices = true;
		return 0;
	case 'M':
		o->keep_dir = optarg;
		return 0;
	case 'i':
		if (o->nr_iommus == MAX_IOMMUS)
			return cli_error("run: --iommu is given more than %d times", MAX_IOMMUS);
		o->iommus[o->nr_iommus++] = optarg;
		return 0;
	case 'p':
		explain_begin();
		err = machine_config_add_param(o->config, optarg);
		if (err)
			return cli_error("--param %s: %s", optarg, reason_or(err));
		o->has_params = true;
		return 0;
	case 'e':
		o->explain = true;
		return 0;
	case 't':
		o->trace = optarg ? optarg : "2";
		return 0;
	case 'c':
		if (strcmp(optarg, "vfio") && strcmp(optarg, "iommufd"))
			return cli_error("--container %s: there are vfio and iommufd", optarg);
		o->container = optarg;
		return 0;
	case 'l':
		return take_memlock(o, optarg);
	case 's':
		o->stats = true;
		return 0;
	case 'T':
		o->iommufd_test = true;
		machine_iommufd_test_enable(); /* the machine that is made has its files */
		return 0;
	case ':':
		return cli_error("run: %s needs a value", argv[optind - 1]);
	default:
		return cli_error("run: no option '%s'; try softvfio --help", argv[optind - 1]);
	}
}

static int parse(struct run_options *o, int argc, char **argv)
{
	int c, status, err;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:d:m:", long_options, NULL)) != -1) {
		status = take_option(o, c, argv);
		if (status)
			return status;
	}
	/* After all files, which may name one too: the command line decides. */
	explain_begin();
	for (unsigned i = 0; i < o->nr_iommus; i++) {
		err = machine_config_set_iommu(o->config, o->iommus[i]);
		if (err)
			return cli_error("--iommu %s: %s", o->iommus[i], reason_or(err));
	}
	if (optind == argc)
		return cli_error("run: which program?");
	o->program = argv + optind;
	return 0;
}

/* The front end library: beside this program in a build tree, else where it is installed. */
static int find_front_end(char *path, size_t size)
{
	static const char *const places[] = { "%s/front/preload/%s", "%s/../%s/%s", NULL };
	char exe[PATH_MAX];
	const char *lib = "libsoftvfio.so.0";
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	if ((size_t)snprintf(path, size, places[0], exe, lib) < size && !access(path, R_OK))
		return 0;
	if ((size_t)snprintf(path, size, places[1], exe, SOFTVFIO_LIBDIR, lib) < size && !access(path, R_OK))
		return 0;
	return -ENOENT;
}

/* A program that no preload library can reach should not fail in silence. */
static void warn_if_static(const char *program)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	bool is_static = true;
	int fd = open(program, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, &eh, sizeof(eh)) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG))
		is_static = false;
	for (int i = 0; is_static && i < eh.e_phnum; i++)
		if (pread(fd, &ph, sizeof(ph), eh.e_phoff + (off_t)i * eh.e_phentsize) != sizeof(ph) ||
		    ph.p_type == PT_INTERP)
			is_static = false;
	close(fd);
	if (is_static)
		fprintf(stderr, "softvfio: %s is statically linked: it cannot see this machine\n", program);
}

static void look_for_static(const char *name)
{
	char path[PATH_MAX];
	const char *dir = getenv("PATH");

	if (strchr(name, '/')) {
		warn_if_static(name);
		return;
	}
	while (dir && *dir) {
		size_t len = strcspn(dir, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, name);
		if (!access(path, X_OK)) {
			warn_if_static(path);
			return;
		}
		dir += len + (dir[len] == ':');
	}
}

/* Put @value behind what the variable holds already. */
static void append_env(const char *name, const char *value, char sep)
{
	const char *old = getenv(name);
	char *joined;

	if (!old || !*old)
		setenv(name, value, 1);
	else if (asprintf(&joined, "%s%c%s", old, sep, value) >= 0) {
		setenv(name, joined, 1);
		free(joined);
	}
}

static int set_environment(const struct run_options *o, const char *dir, const char *stats)
{
	char lib[PATH_MAX];

	if (find_front_end(lib, sizeof(lib)))
		return cli_error("libsoftvfio.so.0 is not there: is the installation complete?");
	append_env("LD_PRELOAD", lib, ':');
	append_env("ASAN_OPTIONS", "verify_asan_link_order=0", ':');
	setenv("SOFTVFIO_MACHINE", dir, 1);
	if (o->explain)
		setenv("SOFTVFIO_EXPLAIN", "1", 1);
	if (o->iommufd_test)
		setenv("SOFTVFIO_IOMMUFD_TEST", "1", 1);
	if (o->container)
		setenv("SOFTVFIO_CONTAINER", o->container, 1);
	if (o->memlock[0])
		setenv("SOFTVFIO_MEMLOCK", o->memlock, 1);
	if (o->trace) {
		char *file = strcmp(o->trace, "2") ? absolute(o->trace) : strdup("2");

		if (!file)
			return cli_error("%s", strerror(ENOMEM));
		int fd = strcmp(file, "2") ? open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : 2;
		if (fd < 0)
			return cli_error("--trace=%s: %s", o->trace, strerror(errno));
		if (fd > 2)
			close(fd);
		setenv("SOFTVFIO_TRACE", file, 1);
		free(file);
	}
	if (stats)
		setenv("SOFTVFIO_STATS", stats, 1);
	return 0;
}

/* Signals meant for the program reach it: it is in our process group; others are passed on. */
static pid_t child;

static void pass_on(int sig)
{
	if (child > 0)
		kill(child, sig);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cli_error("waiting for the program: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_program(const struct run_options *o, const char *dir, const char *stats)
{
	int status = set_environment(o, dir, stats);

	if (status)
		return status;
	look_for_static(o->program[0]);
	child = fork();
	if (child < 0)
		return cli_error("fork: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* its machine would be taken from under it */
		execvp(o->program[0], o->program);
		status = errno;
		cli_error("%s: %s", o->program[0], strerror(status));
		_exit(status == ENOENT ? 127 : 126);
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTERM, pass_on);
	signal(SIGHUP, pass_on);
	return wait_for(child);
}

/* Each process left a line "calls=N failed=N ..." ; say the sums in one sentence. */
static void print_stats(const char *file)
{
	static const char *const names[] = {
		"calls", "failed", "mmio", "dma_read", "dma_written", "dma_faults", "irqs"
	};
	unsigned long long sum[sizeof(names) / sizeof(names[0])] = { 0 };
	char line[512];
	FILE *f = fopen(file, "re");

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			char key[32];

			snprintf(key, sizeof(key), " %s=", names[i]);
			const char *at = strstr(line, key);
			if (at)
				sum[i] += strtoull(at + strlen(key), NULL, 10);
		}
	if (f)
		fclose(f);
	fprintf(stderr,
		"softvfio: %llu calls (%llu failed), %llu trapped register accesses, "
		"DMA %llu bytes read, %llu written, %llu faults, %llu interrupts\n",
		sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6]);
}

static int run_on_private_machine(const struct run_options *o)
{
	char dir[PATH_MAX], stats[PATH_MAX + 8];
	int err, status, lock; /* which goes with this process */

	err = machine_private_dir(dir, sizeof(dir), &lock);
	if (err)
		return cli_error("%s: %s", dir, strerror(-err));
	explain_begin();
	cli_guard_begin("making the machine", dir);
	err = machine_create(dir, o->config);
	cli_guard_end();
	if (err) {
		status = cli_error("%s", reason_or(err));
	} else {
		snprintf(stats, sizeof(stats), "%s/stats", dir);
		status = run_program(o, dir, o->stats ? stats : NULL);
		if (o->stats)
			print_stats(stats);
	}
	machine_destroy(dir);
	return status;
}

static bool is_machine(const char *dir)
{
	char file[PATH_MAX];

	return (size_t)snprintf(file, sizeof(file), "%s/machine.ini", dir) < sizeof(file) && !access(file, R_OK);
}

/* Someone may have edited it: better one line now than a program that finds nothing. */
static int check_kept(const char *dir)
{
	struct machine_config *config = machine_config_new();
	char file[PATH_MAX];
	int err;

	if (!config)
		return cli_error("%s", strerror(ENOMEM));
	snprintf(file, sizeof(file), "%s/machine.ini", dir);
	explain_begin();
	cli_guard_begin(dir, NULL);
	err = machine_config_load(config, file);
	cli_guard_end();
	machine_config_free(config);
	return err ? cli_error("--machine %s: %s", dir, reason_or(err)) : 0;
}

static int run_on_kept_machine(const struct run_options *o)
{
	char *dir = absolute(o->keep_dir), stats[PATH_MAX + 8];
	int err = 0, status;

	if (!dir)
		return cli_error("%s", strerror(ENOMEM));
	if (is_machine(dir)) {
		if (o->has_devices || o->has_params || o->nr_iommus)
			return cli_error("--machine %s is already built: -d, -m, --iommu and --param are for a new one", dir);
		status = check_kept(dir);
		if (status)
			return status;
	} else {
		if (mkdir(dir, 0755) && errno != EEXIST)
			return cli_error("--machine %s: %s", dir, strerror(errno));
		if (rmdir(dir) || mkdir(dir, 0755))
			return cli_error("--machine %s: is no machine, and not an empty directory", dir);
		explain_begin();
		cli_guard_begin("making the machine", NULL);
		err = machine_create(dir, o->config);
		cli_guard_end();
	}
	if (err) {
		status = cli_error("%s", reason_or(err));
	} else {
		explain_begin();
		if (machine_control_allow(dir)) /* a machine that we may read only */
			explain_begin();
		snprintf(stats, sizeof(stats), "%s/stats", dir);
		unlink(stats);
		status = run_program(o, dir, o->stats ? stats : NULL);
		if (o->stats)
			print_stats(stats);
		explain_begin();
		cli_guard_begin("tidying the machine", NULL);
		machine_tidy(dir);
		cli_guard_end();
	}
	free(dir);
	return status;
}

int cmd_run(int argc, char **argv)
{
	struct run_options o = { 0 };
	int status;

	explain_enable(); /* our own mistakes have reasons too */
	o.config = machine_config_new();
	if (!o.config)
		return cli_error("%s", strerror(ENOMEM));
	status = parse(&o, argc, argv);
	if (!status)
		status = o.keep_dir ? run_on_kept_machine(&o) : run_on_private_machine(&o);
	machine_config_free(o.config);
	return status;
}
