/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scene.h - a machine and the programs on it, as `softvfio tree` and `softvfio graph` show them.
 *
 * What the machine is made of is read from its directory: machine.ini and the sysfs tree, which are true whoever
 * runs.  What programs have open they tell themselves (call.c).
 */
#ifndef CLI_SCENE_H
#define CLI_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#define SCENE_NAME 48

struct scene_device {
	char name[SCENE_NAME];	  /* "0000:01:00.0" */
	const char *bus;	  /* "pci", "platform", "amba" */
	char parent[SCENE_NAME];  /* the port it sits behind; "" on the root bus, or none */
	char model[SCENE_NAME];	  /* as machine.ini has it, a plugin without its folder; "" removed since */
	char ids[SCENE_NAME];	  /* "1234:11e8"; "" of a platform device */
	char driver[SCENE_NAME];  /* "" none */
	char inject[128];	  /* faults that may still strike, of one program */
	bool down;		  /* does not answer, for one program */
	bool is_port;
	int group;		  /* -1 none */
};

struct scene_map {
	unsigned long long iova, bytes, vaddr;
	char prot[4];
};

/* An I/O address space: a container, or an IOAS of an iommufd. */
struct scene_space {
	int fd;
	int ioas;		/* its number; -1: a container */
	char backend[16];
	int *groups;		/* of a container */
	unsigned nr_groups;
	struct scene_map *maps;
	unsigned nr_maps;
	unsigned long long bytes;
};

/* What an iommufd has besides IOASes: devices, page tables, queues, virtual IOMMUs. */
struct scene_object {
	int fd;
	unsigned id, parent;	/* parent: the object that it hangs from, perhaps an IOAS; 0 none */
	char text[128];		/* "HWPT, paging, automatic" */
	char device[SCENE_NAME]; /* which one it is; "" it is none */
	bool seen;		/* tree.c's */
};

/* A device of an iommufd is attached to a page table. */
struct scene_attach {
	int fd;
	unsigned object, pasid, hwpt; /* pasid 0: the device itself */
};

struct scene_open {
	int fd;
	char device[SCENE_NAME];
};

struct scene_process {
	int pid;
	char name[SCENE_NAME];
	struct scene_space *spaces;
	unsigned nr_spaces;
	struct scene_open *devices;
	unsigned nr_devices;
	struct scene_object *objects;
	unsigned nr_objects;
	struct scene_attach *attached;
	unsigned nr_attached;
	bool cut;		/* there was more than it could tell */
};

struct scene {
	char iommu[128];	/* "ivhd0 (amd)", all of them; "" none */
	struct scene_device *devices; /* ports before what is behind them */
	unsigned nr_devices;
	struct scene_process *processes;
	unsigned nr_processes;
};

/**
 * scene_read - look at the machine in @dir
 * Return: the scene, for scene_free(); NULL with a line on stderr.
 */
struct scene *scene_read(const char *dir);
void scene_free(struct scene *scene);
struct scene_device *scene_find(struct scene *scene, const char *name);
/** scene_is_attached - is @device, by an iommufd of @p, attached to something? */
bool scene_is_attached(const struct scene_process *p, const char *device);

/**
 * scene_of_options - what a subcommand shows: --machine DIR, or a machine made from -d, -m and --iommu
 * @ret_output: of -o; NULL if not given, or if it is not an option of the subcommand (@takes_output)
 * Return: the scene; NULL and *@ret_status, a line was printed.
 */
struct scene *scene_of_options(int argc, char **argv, bool takes_output, const char **ret_output, int *ret_status);

/* ---- call.c ---- */

/**
 * call_programs - send @call to each program that runs on the machine in @dir, and hand its answer to @fn
 * @answer: text, ended by a NUL, valid during the call; NULL: it did not answer in time
 * Return: how many programs there are; -1 with a line on stderr.
 */
int call_programs(const char *dir, const char *call, void (*fn)(int pid, const char *answer, void *arg), void *arg);

#endif
