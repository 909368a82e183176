/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.c - `softvfio tree`: a machine, its devices, and what the programs on it have open and mapped, as text. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/scene.h"

#define MAPS_SHOWN 12u

void cli_print_bytes(char *buf, size_t size, unsigned long long bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double val = (double)bytes;
	unsigned unit = 0;

	for (; val >= 1024 && unit < 6; unit++)
		val /= 1024;
	snprintf(buf, size, unit && val != (double)(unsigned long long)val ? "%.1f %s" : "%.0f %s", val, units[unit]);
}

static void print_device(const struct scene_device *dev, int depth)
{
	printf("%*s%-12s  %s%s%s%s", 2 * depth, "", dev->name, dev->model, *dev->ids ? " [" : "", dev->ids, *dev->ids ? "]" : "");
	if (dev->group >= 0)
		printf(", group %d", dev->group);
	printf(", %s", *dev->driver ? dev->driver : "no driver");
	if (dev->down)
		printf(", DOWN");
	if (*dev->inject)
		printf(", faults ordered: %s", dev->inject);
	putchar('\n');
}

static void print_behind(const struct scene *scene, const char *parent, int depth)
{
	for (unsigned i = 0; i < scene->nr_devices; i++) {
		const struct scene_device *dev = &scene->devices[i];

		if (strcmp(dev->parent, parent))
			continue;
		print_device(dev, depth);
		if (dev->is_port && depth < 16)
			print_behind(scene, dev->name, depth + 1);
	}
}

static void print_maps(const struct scene_space *space, int depth)
{
	char size[32], total[32];

	cli_print_bytes(total, sizeof(total), space->bytes);
	printf("%*s%u mapping%s%s%s\n", 2 * depth, "", space->nr_maps, space->nr_maps == 1 ? "" : "s", space->nr_maps ? ", " : "",
	       space->nr_maps ? total : "");
	for (unsigned i = 0; i < space->nr_maps && i < MAPS_SHOWN; i++) {
		const struct scene_map *m = &space->maps[i];

		cli_print_bytes(size, sizeof(size), m->bytes);
		printf("%*siova 0x%012llx-0x%012llx  %-2s  %s", 2 * depth + 2, "", m->iova, m->iova + m->bytes - 1, m->prot, size);
		if (m->vaddr)
			printf(", at 0x%llx", m->vaddr);
		putchar('\n');
	}
	if (space->nr_maps > MAPS_SHOWN)
		printf("%*sand %u more\n", 2 * depth + 2, "", space->nr_maps - MAPS_SHOWN);
}

static const char *fd_of(const struct scene_process *p, const char *device, char *buf, size_t size)
{
	for (unsigned i = 0; i < p->nr_devices; i++)
		if (!strcmp(p->devices[i].device, device)) {
			snprintf(buf, size, "open as fd %d", p->devices[i].fd);
			return buf;
		}
	return "not open";
}

static void print_group(const struct scene *scene, const struct scene_process *p, int group)
{
	char buf[32];

	printf("      group %d\n", group);
	for (unsigned i = 0; i < scene->nr_devices; i++)
		if (scene->devices[i].group == group && !scene->devices[i].is_port)
			printf("        %s  %s, %s\n", scene->devices[i].name, scene->devices[i].model,
			       fd_of(p, scene->devices[i].name, buf, sizeof(buf)));
}

static void print_container(const struct scene *scene, const struct scene_process *p, const struct scene_space *space)
{
	printf("    container fd %d, %s\n", space->fd, *space->backend ? space->backend : "no IOMMU backend yet");
	for (unsigned g = 0; g < space->nr_groups; g++)
		print_group(scene, p, space->groups[g]);
	print_maps(space, 3);
}

/* ---- an iommufd -------------------------------------------------------------------------------- */

static void print_bound(const struct scene *scene, const struct scene_process *p, const struct scene_object *object)
{
	const struct scene_device *dev = scene_find((struct scene *)scene, object->device);
	char buf[32];

	printf("      device %u: %s  %s, %s\n", object->id, object->device, dev ? dev->model : "?",
	       fd_of(p, object->device, buf, sizeof(buf)));
	for (unsigned i = 0; i < p->nr_attached; i++) {
		const struct scene_attach *at = &p->attached[i];

		if (at->fd != object->fd || at->object != object->id)
			continue;
		if (at->pasid)
			printf("        PASID %u attached to HWPT %u\n", at->pasid, at->hwpt);
		else
			printf("        attached to HWPT %u\n", at->hwpt);
	}
}

/* "HWPT, paging" of object 4: "HWPT 4, paging" */
static void print_object(const struct scene_object *object, int depth)
{
	size_t word = strcspn(object->text, ",");

	printf("%*s%.*s %u%s\n", 2 * depth, "", (int)word, object->text, object->id, object->text + word);
}

/* What hangs from object @parent, each once whatever they say of one another. */
static void print_below(struct scene_process *p, int fd, unsigned parent, int depth)
{
	for (unsigned i = 0; i < p->nr_objects; i++) {
		struct scene_object *object = &p->objects[i];

		if (object->seen || object->fd != fd || object->parent != parent || *object->device)
			continue;
		object->seen = true;
		print_object(object, depth);
		if (depth < 16)
			print_below(p, fd, object->id, depth + 1);
	}
}

/* Devices first, then what they can be attached to, then what hangs from nothing. */
static void print_iommufd(const struct scene *scene, struct scene_process *p, int fd)
{
	printf("    iommufd fd %d\n", fd);
	for (unsigned i = 0; i < p->nr_objects; i++)
		if (p->objects[i].fd == fd && *p->objects[i].device)
			print_bound(scene, p, &p->objects[i]);
	for (unsigned i = 0; i < p->nr_spaces; i++) {
		if (p->spaces[i].fd != fd || p->spaces[i].ioas < 0)
			continue;
		printf("      IOAS %d\n", p->spaces[i].ioas);
		print_maps(&p->spaces[i], 4);
		print_below(p, fd, (unsigned)p->spaces[i].ioas, 4);
	}
	print_below(p, fd, 0, 3);
}

/* Was the iommufd at @fd shown already, by a space before @space or an object before @object? */
static bool is_known(const struct scene_process *p, int fd, unsigned space, unsigned object)
{
	for (unsigned i = 0; i < space; i++)
		if (p->spaces[i].fd == fd && p->spaces[i].ioas >= 0)
			return true;
	for (unsigned i = 0; i < object; i++)
		if (p->objects[i].fd == fd)
			return true;
	return false;
}

static void print_process(const struct scene *scene, struct scene_process *p)
{
	printf("process %d (%s)\n", p->pid, p->name);
	for (unsigned i = 0; i < p->nr_spaces; i++) {
		if (p->spaces[i].ioas < 0)
			print_container(scene, p, &p->spaces[i]);
		else if (!is_known(p, p->spaces[i].fd, i, 0))
			print_iommufd(scene, p, p->spaces[i].fd);
	}
	for (unsigned i = 0; i < p->nr_objects; i++)
		if (!is_known(p, p->objects[i].fd, p->nr_spaces, i))
			print_iommufd(scene, p, p->objects[i].fd);
	for (unsigned i = 0; i < p->nr_devices && !p->nr_spaces && !p->nr_objects; i++)
		printf("    device fd %d, %s\n", p->devices[i].fd, p->devices[i].device);
	if (p->cut)
		printf("    and more than it could tell\n");
}

int cmd_tree(int argc, char **argv)
{
	int status;
	struct scene *scene = scene_of_options(argc, argv, false, NULL, &status);

	if (!scene)
		return status;
	if (*scene->iommu)
		printf("IOMMU %s\n", scene->iommu);
	else
		puts("no IOMMU");
	print_behind(scene, "", 1);
	for (unsigned i = 0; i < scene->nr_processes; i++)
		print_process(scene, &scene->processes[i]);
	scene_free(scene);
	return 0;
}
