/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * graph.c - `softvfio graph`: the same as `softvfio tree`, drawn.
 *
 * From the bottom up, as VFIO is usually drawn: the bus with its IOMMU, root ports, devices in their groups,
 * containers, programs.  The picture is written in Graphviz' language, and its program dot makes an SVG of it;
 * an output file that ends in .dot gets the text itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/scene.h"

#define FONT "fontname=\"Helvetica,Arial,sans-serif\""

/* A string in a label: what has a meaning there is escaped. */
static void text(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || *s == '<' || *s == '>' || *s == '{' || *s == '}' || *s == '|')
			fputc('\\', out);
		fputc(*s, out);
	}
}

/* Who has it open. */
static void draw_users(FILE *out, const struct scene *scene, const struct scene_device *dev)
{
	for (unsigned i = 0; i < scene->nr_processes; i++) {
		const struct scene_process *p = &scene->processes[i];

		for (unsigned j = 0; j < p->nr_devices; j++)
			if (!strcmp(p->devices[j].device, dev->name))
				fprintf(out, "\\nopen in process %d as fd %d", p->pid, p->devices[j].fd);
	}
}

static void draw_device(FILE *out, const struct scene *scene, const struct scene_device *dev)
{
	const char *fill = dev->down				    ? "#f4b6b0"
			   : !*dev->driver			    ? "#eeeeee"
			   : strncmp(dev->driver, "vfio", 4)	    ? "#e8dcc8"
								    : "#ffffff";

	fprintf(out, "    \"%s\" [fillcolor=\"%s\", label=\"", dev->name, fill);
	text(out, dev->name);
	fputs("\\n", out);
	text(out, dev->model);
	if (*dev->ids)
		fprintf(out, " [%s]", dev->ids);
	fputs("\\n", out);
	fputs(*dev->driver ? "bound to " : "no driver", out);
	text(out, dev->driver);
	draw_users(out, scene, dev);
	if (dev->down)
		fputs("\\nDOWN", out);
	if (*dev->inject) {
		fputs("\\nfaults: ", out);
		text(out, dev->inject);
	}
	fputs("\"];\n", out);
}

/* Each group is a frame around its devices; ports and what has no group stand for themselves. */
static void draw_groups(FILE *out, const struct scene *scene)
{
	for (unsigned i = 0; i < scene->nr_devices; i++) {
		const struct scene_device *first = &scene->devices[i];
		bool drawn = false;

		for (unsigned j = 0; j < i; j++)
			drawn |= scene->devices[j].group == first->group && !scene->devices[j].is_port;
		if (first->is_port || first->group < 0 || drawn)
			continue;
		fprintf(out, "  subgraph cluster_group%d {\n    label=\"group %d\"; style=\"rounded,filled\"; color=\"#5a9a5a\"; "
			     "fillcolor=\"#e2f2e0\"; " FONT "; fontsize=11; labelloc=b; labeljust=l;\n", first->group, first->group);
		for (unsigned j = i; j < scene->nr_devices; j++)
			if (scene->devices[j].group == first->group && !scene->devices[j].is_port)
				draw_device(out, scene, &scene->devices[j]);
		fputs("  }\n", out);
	}
	for (unsigned i = 0; i < scene->nr_devices; i++)
		if (!scene->devices[i].is_port && scene->devices[i].group < 0)
			draw_device(out, scene, &scene->devices[i]);
}

/* Where a device's DMA and register accesses go. */
static void draw_bus(FILE *out, const struct scene *scene, const char *bus, const char *label)
{
	bool any = false;

	for (unsigned i = 0; i < scene->nr_devices; i++)
		any |= !strcmp(scene->devices[i].bus, bus);
	if (!any)
		return;
	fprintf(out, "  bus_%s [shape=box, fillcolor=\"#d8d8e8\", width=4, label=\"%s\"];\n", bus, label);
	if (*scene->iommu)
		fprintf(out, "  iommu -> bus_%s [dir=none, color=\"#666688\"];\n", bus);
	for (unsigned i = 0; i < scene->nr_devices; i++) {
		const struct scene_device *dev = &scene->devices[i];

		if (strcmp(dev->bus, bus))
			continue;
		if (dev->is_port)
			fprintf(out, "  \"%s\" [shape=box, style=\"filled\", fillcolor=\"#e6e6f2\", fontsize=9, label=\"%s\\nroot port\"];\n",
				dev->name, dev->name);
		if (*dev->parent)
			fprintf(out, "  \"%s\" -> \"%s\" [dir=none, color=\"#666688\"];\n", dev->parent, dev->name);
		else
			fprintf(out, "  bus_%s -> \"%s\" [dir=none, color=\"#666688\"];\n", bus, dev->name);
	}
}

static void draw_buses(FILE *out, const struct scene *scene)
{
	if (*scene->iommu) {
		fputs("  iommu [shape=box, fillcolor=\"#c8c8e0\", width=4, label=\"IOMMU ", out);
		text(out, scene->iommu);
		fputs("\"];\n", out);
	}
	draw_bus(out, scene, "pci", "PCI bus 0000:00");
	draw_bus(out, scene, "platform", "platform bus");
	draw_bus(out, scene, "amba", "AMBA bus");
}

static const struct scene_device *first_of_group(const struct scene *scene, int group)
{
	for (unsigned i = 0; i < scene->nr_devices; i++)
		if (scene->devices[i].group == group && !scene->devices[i].is_port)
			return &scene->devices[i];
	return NULL;
}

static void draw_space(FILE *out, const struct scene_space *space, const char *node)
{
	char size[32];

	cli_print_bytes(size, sizeof(size), space->bytes);
	if (space->ioas >= 0)
		fprintf(out, "    %s [fillcolor=\"#d6e6f8\", label=\"iommufd fd %d\\nIOAS %d\\n", node, space->fd, space->ioas);
	else
		fprintf(out, "    %s [fillcolor=\"#d6e6f8\", label=\"container fd %d\\n%s\\n", node, space->fd,
			*space->backend ? space->backend : "no IOMMU backend yet");
	if (space->nr_maps)
		fprintf(out, "%u mapping%s, %s\"];\n", space->nr_maps, space->nr_maps == 1 ? "" : "s", size);
	else
		fputs("nothing mapped\"];\n", out);
}

/* The box of an iommufd's object with that number: an IOAS is a space. */
static void object_node(const struct scene_process *p, unsigned n, int fd, unsigned id, char *ret, size_t size)
{
	for (unsigned i = 0; i < p->nr_spaces; i++)
		if (p->spaces[i].fd == fd && p->spaces[i].ioas >= 0 && (unsigned)p->spaces[i].ioas == id) {
			snprintf(ret, size, "space%u_%u", n, i);
			return;
		}
	snprintf(ret, size, "object%u_%u_%u", n, (unsigned)fd, id);
}

static bool has_object(const struct scene_process *p, int fd, unsigned id)
{
	for (unsigned i = 0; i < p->nr_spaces; i++)
		if (p->spaces[i].fd == fd && p->spaces[i].ioas >= 0 && (unsigned)p->spaces[i].ioas == id)
			return true;
	for (unsigned i = 0; i < p->nr_objects; i++)
		if (p->objects[i].fd == fd && p->objects[i].id == id)
			return true;
	return false;
}

/* "HWPT 4\npaging\nautomatic"; devices stand on their bus. */
static void draw_object(FILE *out, const struct scene_process *p, unsigned n, const struct scene_object *object)
{
	char node[48], parent[48], line[sizeof(object->text)];
	const char *rest = object->text + strcspn(object->text, ",");

	object_node(p, n, object->fd, object->id, node, sizeof(node));
	snprintf(line, sizeof(line), "%.*s", (int)(rest - object->text), object->text);
	fprintf(out, "    %s [fillcolor=\"#fdf3d8\", fontsize=9, label=\"", node);
	text(out, line);
	fprintf(out, " %u", object->id);
	while (*rest == ',') {
		rest += 1 + (rest[1] == ' ');
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(rest, ","), rest);
		fputs("\\n", out);
		text(out, line);
		rest += strcspn(rest, ",");
	}
	fputs("\"];\n", out);
	if (!object->parent || !has_object(p, object->fd, object->parent))
		return;
	object_node(p, n, object->fd, object->parent, parent, sizeof(parent));
	fprintf(out, "    %s -> %s [dir=none, color=\"#4a78b0\"];\n", node, parent);
}

/* A device to the page table that it is attached to. */
static void draw_attached(FILE *out, const struct scene *scene, const struct scene_process *p, unsigned n)
{
	char node[48];

	for (unsigned i = 0; i < p->nr_attached; i++) {
		const struct scene_attach *at = &p->attached[i];

		for (unsigned j = 0; j < p->nr_objects; j++) {
			const struct scene_object *object = &p->objects[j];

			if (object->fd != at->fd || object->id != at->object || !scene_find((struct scene *)scene, object->device) ||
			    !has_object(p, at->fd, at->hwpt))
				continue;
			object_node(p, n, at->fd, at->hwpt, node, sizeof(node));
			fprintf(out, "  \"%s\" -> %s [penwidth=2, color=\"#4a78b0\", dir=back", object->device, node);
			if (at->pasid)
				fprintf(out, ", label=\"PASID %u\", fontsize=9, " FONT, at->pasid);
			fputs("];\n", out);
		}
	}
}

static bool in_container(const struct scene_process *p, const struct scene_device *dev)
{
	for (unsigned i = 0; i < p->nr_spaces; i++)
		for (unsigned g = 0; g < p->spaces[i].nr_groups; g++)
			if (p->spaces[i].groups[g] == dev->group)
				return true;
	return false;
}

/* Groups are joined to containers, devices to what they are attached to; one that is only open, to its program. */
static void draw_process(FILE *out, const struct scene *scene, const struct scene_process *p, unsigned n)
{
	char node[48];

	fprintf(out, "  subgraph cluster_process%u {\n    label=\"", n);
	text(out, p->name);
	fprintf(out, " (process %d)\"; style=\"rounded,filled\"; color=\"#4a78b0\"; fillcolor=\"#f0f6fd\"; " FONT
		     "; fontsize=12; labelloc=b;\n", p->pid);
	for (unsigned i = 0; i < p->nr_spaces; i++) {
		snprintf(node, sizeof(node), "space%u_%u", n, i);
		draw_space(out, &p->spaces[i], node);
	}
	if (!p->nr_spaces)
		fprintf(out, "    space%u_0 [fillcolor=\"#ffffff\", label=\"%s\"];\n", n, p->nr_objects ? "no IOAS" : "no container");
	for (unsigned i = 0; i < p->nr_objects; i++)
		if (!*p->objects[i].device)
			draw_object(out, p, n, &p->objects[i]);
	fputs("  }\n", out);
	for (unsigned i = 0; i < p->nr_spaces; i++)
		for (unsigned g = 0; g < p->spaces[i].nr_groups; g++) {
			const struct scene_device *dev = first_of_group(scene, p->spaces[i].groups[g]);

			if (dev)
				fprintf(out, "  \"%s\" -> space%u_%u [ltail=cluster_group%d, penwidth=2, color=\"#4a78b0\", dir=back];\n",
					dev->name, n, i, p->spaces[i].groups[g]);
		}
	draw_attached(out, scene, p, n);
	for (unsigned i = 0; i < p->nr_devices; i++) {
		const struct scene_device *dev = scene_find((struct scene *)scene, p->devices[i].device);

		if (dev && !in_container(p, dev) && !scene_is_attached(p, dev->name))
			fprintf(out, "  \"%s\" -> space%u_0 [style=dashed, color=\"#4a78b0\", dir=back, label=\"fd %d\", fontsize=9, " FONT "];\n",
				dev->name, n, p->devices[i].fd);
	}
}

static void draw(FILE *out, const struct scene *scene)
{
	fputs("digraph machine {\n  rankdir=BT; compound=true; nodesep=0.35; ranksep=0.75; bgcolor=white;\n"
	      "  node [shape=box, style=\"rounded,filled\", fillcolor=white, " FONT ", fontsize=10];\n", out);
	draw_buses(out, scene);
	draw_groups(out, scene);
	for (unsigned i = 0; i < scene->nr_processes; i++)
		draw_process(out, scene, &scene->processes[i], i);
	fputs("}\n", out);
}

/* ---- output ------------------------------------------------------------------------------------- */

static const char *format_of(const char *output)
{
	static const char *const known[] = { "svg", "png", "pdf", "dot" };
	const char *dot = output ? strrchr(output, '.') : ".svg";

	for (size_t i = 0; dot && i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(dot + 1, known[i]))
			return known[i];
	return NULL;
}

/* dot reads from us, and writes to @output or our own standard output. */
static int through_dot(const struct scene *scene, const char *format, const char *output)
{
	char type[16];
	int pipe_fds[2], status;
	FILE *out;
	pid_t pid;

	snprintf(type, sizeof(type), "-T%s", format);
	if (pipe2(pipe_fds, O_CLOEXEC) || (pid = fork()) < 0)
		return cli_error("graph: %s", strerror(errno));
	if (!pid) {
		dup2(pipe_fds[0], 0);
		if (output)
			execlp("dot", "dot", type, "-o", output, (char *)NULL);
		else
			execlp("dot", "dot", type, (char *)NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(pipe_fds[0]);
	out = fdopen(pipe_fds[1], "w");
	if (out) {
		draw(out, scene);
		fclose(out);
	} else {
		close(pipe_fds[1]);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return cli_error("graph: Graphviz' program dot is not there (Debian: graphviz); -o FILE.dot does without");
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : cli_error("graph: dot failed");
}

int cmd_graph(int argc, char **argv)
{
	const char *output, *format;
	int status;
	struct scene *scene = scene_of_options(argc, argv, true, &output, &status);

	if (!scene)
		return status;
	signal(SIGPIPE, SIG_IGN); /* dot may be missing */
	format = format_of(output);
	if (!format) {
		status = cli_error("graph: -o %s: the name ends in .svg, .png, .pdf or .dot", output);
	} else if (strcmp(format, "dot")) {
		status = through_dot(scene, format, output);
	} else {
		FILE *out = fopen(output, "we");

		if (!out) {
			status = cli_error("graph: %s: %s", output, strerror(errno));
		} else {
			draw(out, scene);
			if (fclose(out))
				status = cli_error("graph: %s: %s", output, strerror(errno));
		}
	}
	scene_free(scene);
	return status;
}
