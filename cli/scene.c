/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scene.c - reading a machine's directory and what its programs tell, into a struct scene.
 *
 * Both may be anything: the directory may be half of a machine, an answer may come from a hostile program.  Names
 * are cut to what a struct has room for, counts have limits, and what is not understood is left out.
 */
#include "cli/scene.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "kernel/lib/explain.h"
#include "machine/machine.h"

#define MAX_DEVICES 512u
#define MAX_SPACES 256u
#define MAX_MAPS 1000000u
#define MAX_OBJECTS 4096u
#define MAX_PROCESSES 256u

/* One more element of an array, zeroed; NULL if there are @max or memory is short. */
static void *one_more(void *array_, unsigned *nr, size_t size, unsigned max)
{
	void **array = array_;
	bool grow = !(*nr & (*nr - 1));
	char *at;

	if (*nr >= max)
		return NULL;
	if (grow) {
		void *bigger = realloc(*array, size * (*nr ? 2 * (size_t)*nr : 1));

		if (!bigger)
			return NULL;
		*array = bigger;
	}
	at = (char *)*array + size * (*nr)++;
	memset(at, 0, size);
	return at;
}

static void set(char *to, size_t size, const char *from, size_t len)
{
	snprintf(to, size, "%.*s", (int)(len < size ? len : size - 1), from);
}
#define SET(to, from) set((to), sizeof(to), (from), strlen(from))

/* ---- the directory ---------------------------------------------------------------------------- */

static void read_text(const char *dir, const char *name, char *ret, size_t size)
{
	char path[PATH_MAX];
	FILE *f;

	ret[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return;
	f = fopen(path, "re");
	if (f && fgets(ret, (int)size, f))
		ret[strcspn(ret, "\n")] = '\0';
	if (f)
		fclose(f);
}

/* The last part of where a link leads. */
static void read_link_name(const char *dir, const char *name, char *ret, size_t size)
{
	char path[PATH_MAX], link[PATH_MAX], *slash;
	ssize_t n;

	ret[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return;
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return;
	link[n] = '\0';
	slash = strrchr(link, '/');
	set(ret, size, slash ? slash + 1 : link, strlen(slash ? slash + 1 : link));
}

static void read_device(struct scene *scene, const char *bus, const char *bus_dir, const char *name)
{
	struct scene_device *dev = one_more(&scene->devices, &scene->nr_devices, sizeof(*dev), MAX_DEVICES);
	char dir[PATH_MAX], real[PATH_MAX], text[64], device[64], *slash;

	if (!dev)
		return;
	SET(dev->name, name);
	dev->bus = bus;
	dev->group = -1;
	if ((size_t)snprintf(dir, sizeof(dir), "%s/%s", bus_dir, name) >= sizeof(dir))
		return;
	read_link_name(dir, "driver", dev->driver, sizeof(dev->driver));
	read_link_name(dir, "iommu_group", text, sizeof(text));
	if (*text)
		dev->group = atoi(text);
	read_text(dir, "vendor", text, sizeof(text));
	read_text(dir, "device", device, sizeof(device));
	if (!strncmp(text, "0x", 2) && !strncmp(device, "0x", 2))
		snprintf(dev->ids, sizeof(dev->ids), "%.4s:%.4s", text + 2, device + 2);
	read_text(dir, "class", text, sizeof(text));
	dev->is_port = !strncmp(text, "0x0604", 6);
	/* ".../pci0000:00/0000:00:01.0/0000:01:00.0": the port comes before it. */
	if (!realpath(dir, real) || !(slash = strrchr(real, '/')))
		return;
	*slash = '\0';
	slash = strrchr(real, '/');
	if (slash && strlen(slash + 1) == 12 && slash[5] == ':')
		SET(dev->parent, slash + 1);
}

static void read_bus(struct scene *scene, const char *machine, const char *bus)
{
	char dir[PATH_MAX];
	struct dirent **names;
	int n;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/sys/bus/%s/devices", machine, bus) >= sizeof(dir))
		return;
	n = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			read_device(scene, bus, dir, names[i]->d_name);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* "ivhd0 (amd), dmar1 (intel)" */
static void add_iommu(struct scene *scene, const char *name)
{
	size_t len = strlen(scene->iommu);
	const char *kind = !strncmp(name, "ivhd", 4) ? " (amd)" : !strncmp(name, "dmar", 4) ? " (intel)" :
			   !strncmp(name, "viommu", 6) ? " (virtio)" : "";

	snprintf(scene->iommu + len, sizeof(scene->iommu) - len, "%s%.20s%s", len ? ", " : "", name, kind);
}

static void read_iommu(struct scene *scene, const char *machine)
{
	char dir[PATH_MAX];
	struct dirent *e;
	DIR *d;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/sys/class/iommu", machine) >= sizeof(dir))
		return;
	d = opendir(dir);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			add_iommu(scene, e->d_name);
	if (d)
		closedir(d);
}

/* "key = value" of machine.ini.  False: the line is none. */
static bool split_line(char *line, char **ret_key, char **ret_value)
{
	char *eq = strstr(line, " = ");

	if (!eq)
		return false;
	*eq = '\0';
	*ret_key = line;
	*ret_value = eq + 3;
	(*ret_value)[strcspn(*ret_value, "\n")] = '\0';
	return true;
}

static int read_ini(struct scene *scene, const char *machine)
{
	char path[PATH_MAX], line[1024], *key, *value, *slash;
	struct scene_device *dev = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/machine.ini", machine);
	f = fopen(path, "re");
	if (!f)
		return cli_error("%s is no machine: %s: %s", machine, path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '[') {
			line[strcspn(line, "]")] = '\0';
			dev = !strncmp(line, "[device ", 8) ? scene_find(scene, line + 8) : NULL;
		} else if (dev && split_line(line, &key, &value) && !strcmp(key, "model")) {
			slash = strrchr(value, '/');
			SET(dev->model, slash ? slash + 1 : value);
		}
	}
	fclose(f);
	return 0;
}

/* ---- what programs tell ------------------------------------------------------------------------ */

/* The state of the parser: where the next line belongs. */
struct told {
	struct scene *scene;
	struct scene_process *process;
	struct scene_space *space;
	int fd;
};

static void told_map(struct scene_space *space, const char *line)
{
	struct scene_map m = { 0 }, *to;

	if (!space || sscanf(line, "map %llx %llx %3s %llx", &m.iova, &m.bytes, m.prot, &m.vaddr) < 3)
		return;
	to = one_more(&space->maps, &space->nr_maps, sizeof(*to), MAX_MAPS);
	if (!to)
		return;
	*to = m;
	space->bytes += m.bytes;
}

static struct scene_space *told_space(struct told *t, int ioas)
{
	struct scene_space *space = one_more(&t->process->spaces, &t->process->nr_spaces, sizeof(*space), MAX_SPACES);

	if (space) {
		space->fd = t->fd;
		space->ioas = ioas;
	}
	return space;
}

static struct scene_object *find_object(struct scene_process *p, int fd, unsigned id)
{
	for (unsigned i = p->nr_objects; i-- > 0;) /* the newest is most asked for */
		if (p->objects[i].fd == fd && p->objects[i].id == id)
			return &p->objects[i];
	return NULL;
}

/* "object 3 2 HWPT, paging", "bound 1 0000:01:00.0", "attach 1 7 3" */
static bool told_object(struct told *t, const char *line)
{
	struct scene_process *p = t->process;
	struct scene_object object = { .fd = t->fd }, *to;
	struct scene_attach attach = { .fd = t->fd }, *at;

	if (sscanf(line, "object %u %u %127[^\n]", &object.id, &object.parent, object.text) == 3) {
		to = one_more(&p->objects, &p->nr_objects, sizeof(*to), MAX_OBJECTS);
		if (to)
			*to = object;
		t->space = NULL;
	} else if (sscanf(line, "bound %u %47s", &object.id, object.device) == 2) {
		to = find_object(p, t->fd, object.id);
		if (to)
			SET(to->device, object.device);
	} else if (sscanf(line, "attach %u %u %u", &attach.object, &attach.pasid, &attach.hwpt) == 3) {
		at = one_more(&p->attached, &p->nr_attached, sizeof(*at), MAX_OBJECTS);
		if (at)
			*at = attach;
	} else {
		return false;
	}
	return true;
}

static void told_line(struct told *t, const char *line)
{
	struct scene_device *dev;
	char word[SCENE_NAME] = "", rest[128] = "";
	struct scene_open *open;
	int number, *group;

	if (sscanf(line, "file %d", &number) == 1) {
		t->fd = number;
		t->space = NULL;
	} else if (!strncmp(line, "container ", 10)) {
		t->space = told_space(t, -1);
	} else if (sscanf(line, "backend %15s", word) == 1 && t->space) {
		SET(t->space->backend, word);
	} else if (told_object(t, line)) {
		return;
	} else if (sscanf(line, "ioas %d", &number) == 1) {
		t->space = told_space(t, number);
	} else if ((sscanf(line, "group %d", &number) == 1 || sscanf(line, "group noiommu-%d", &number) == 1) && t->space) {
		group = one_more(&t->space->groups, &t->space->nr_groups, sizeof(*group), MAX_DEVICES);
		if (group)
			*group = number;
	} else if (!strncmp(line, "map ", 4)) {
		told_map(t->space, line);
	} else if (sscanf(line, "device %47s", word) == 1) {
		open = one_more(&t->process->devices, &t->process->nr_devices, sizeof(*open), MAX_DEVICES);
		if (open) {
			open->fd = t->fd;
			SET(open->device, word);
		}
	} else if (sscanf(line, "inject %47s %127s", word, rest) == 2) {
		dev = scene_find(t->scene, word);
		if (dev)
			SET(dev->inject, rest);
	} else if (sscanf(line, "down %47s", word) == 1) {
		dev = scene_find(t->scene, word);
		if (dev)
			dev->down = true;
	} else if (!strcmp(line, "cut")) {
		t->process->cut = true;
	}
}

static void take_state(int pid, const char *answer, void *arg)
{
	struct scene *scene = arg;
	struct told t = { .scene = scene };
	char line[512], name[SCENE_NAME] = "";
	size_t len;

	t.process = one_more(&scene->processes, &scene->nr_processes, sizeof(*t.process), MAX_PROCESSES);
	if (!t.process)
		return;
	t.process->pid = pid;
	SET(t.process->name, answer ? "?" : "does not answer");
	for (; answer && *answer; answer += len + (answer[len] == '\n')) {
		len = strcspn(answer, "\n");
		set(line, sizeof(line), answer, len);
		if (sscanf(line, "process %*d %47[^\n]", name) == 1)
			SET(t.process->name, name);
		else
			told_line(&t, line);
	}
}

/* ---- the whole --------------------------------------------------------------------------------- */

struct scene_device *scene_find(struct scene *scene, const char *name)
{
	for (unsigned i = 0; i < scene->nr_devices; i++)
		if (!strcmp(scene->devices[i].name, name))
			return &scene->devices[i];
	return NULL;
}

bool scene_is_attached(const struct scene_process *p, const char *device)
{
	for (unsigned i = 0; i < p->nr_attached; i++) {
		const struct scene_attach *at = &p->attached[i];

		for (unsigned j = 0; j < p->nr_objects; j++)
			if (p->objects[j].fd == at->fd && p->objects[j].id == at->object &&
			    !strcmp(p->objects[j].device, device))
				return true;
	}
	return false;
}

void scene_free(struct scene *scene)
{
	if (!scene)
		return;
	for (unsigned i = 0; i < scene->nr_processes; i++) {
		struct scene_process *p = &scene->processes[i];

		for (unsigned j = 0; j < p->nr_spaces; j++) {
			free(p->spaces[j].groups);
			free(p->spaces[j].maps);
		}
		free(p->spaces);
		free(p->devices);
		free(p->objects);
		free(p->attached);
	}
	free(scene->processes);
	free(scene->devices);
	free(scene);
}

struct scene *scene_read(const char *dir)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene) {
		cli_error("%s", strerror(ENOMEM));
		return NULL;
	}
	read_bus(scene, dir, "pci");
	read_bus(scene, dir, "platform");
	read_bus(scene, dir, "amba");
	read_iommu(scene, dir);
	if (read_ini(scene, dir) || call_programs(dir, "state", take_state, scene) < 0) {
		scene_free(scene);
		return NULL;
	}
	return scene;
}

/* ---- options ------------------------------------------------------------------------------------ */

struct scene_options {
	struct machine_config *config;
	const char *dir, *output;
	bool has_devices;
};

static int take_option(struct scene_options *o, int c, bool takes_output, char **argv)
{
	const char *reason;
	int err = 0;

	explain_begin();
	switch (c) {
	case 'd':
	case 'm':
	case 'i':
		cli_guard_begin(optarg, NULL);
		err = c == 'd'	 ? machine_config_add(o->config, optarg)
		      : c == 'm' ? machine_config_load(o->config, optarg)
				 : machine_config_set_iommu(o->config, optarg);
		cli_guard_end();
		o->has_devices = true;
		reason = err ? explain_take() : NULL;
		return err ? cli_error("%s: %s", optarg, reason ? reason : strerror(-err)) : 0;
	case 'M':
		o->dir = optarg;
		return 0;
	case 'o':
		o->output = optarg;
		if (takes_output)
			return 0;
		/* fall through */
	case '?':
		return cli_error("%s: no option '%s'; try softvfio --help", argv[0], argv[optind - 1]);
	default:
		return cli_error("%s: %s needs a value", argv[0], argv[optind - 1]);
	}
}

static struct scene *scene_of_new_machine(struct machine_config *config, int *ret_status)
{
	struct scene *scene = NULL;
	char dir[PATH_MAX];
	const char *reason;
	int lock, err;

	err = machine_private_dir(dir, sizeof(dir), &lock);
	if (err) {
		*ret_status = cli_error("%s: %s", dir, strerror(-err));
		return NULL;
	}
	explain_begin();
	cli_guard_begin("making the machine", dir);
	err = machine_create(dir, config);
	cli_guard_end();
	reason = err ? explain_take() : NULL;
	if (err)
		cli_error("%s", reason ? reason : strerror(-err));
	else
		scene = scene_read(dir);
	machine_destroy(dir);
	*ret_status = scene ? 0 : CLI_USAGE_ERROR;
	return scene;
}

static int parse(struct scene_options *o, int argc, char **argv, bool takes_output)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' }, { "machine-file", required_argument, NULL, 'm' },
		{ "machine", required_argument, NULL, 'M' }, { "iommu", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 },
	};
	int c, status = 0;

	opterr = 0;
	while (!status && (c = getopt_long(argc, argv, "+:d:m:o:", options, NULL)) != -1)
		status = take_option(o, c, takes_output, argv);
	if (!status && optind < argc)
		status = cli_error("%s: no argument is taken, but there is '%s'", argv[0], argv[optind]);
	if (!status && !o->dir && !o->has_devices)
		status = cli_error("%s: which machine? --machine DIR, or -d, -m and --iommu", argv[0]);
	if (!status && o->dir && o->has_devices)
		status = cli_error("%s: --machine %s is already built: -d, -m and --iommu are for a new one", argv[0], o->dir);
	return status;
}

struct scene *scene_of_options(int argc, char **argv, bool takes_output, const char **ret_output, int *ret_status)
{
	struct scene_options o = { .config = machine_config_new() };
	struct scene *scene = NULL;

	explain_enable();
	if (!o.config) {
		*ret_status = cli_error("%s", strerror(ENOMEM));
		return NULL;
	}
	*ret_status = parse(&o, argc, argv, takes_output);
	if (!*ret_status && o.dir) {
		scene = scene_read(o.dir);
		*ret_status = scene ? 0 : CLI_USAGE_ERROR;
	} else if (!*ret_status) {
		scene = scene_of_new_machine(o.config, ret_status);
	}
	if (ret_output)
		*ret_output = o.output;
	machine_config_free(o.config);
	return scene;
}
