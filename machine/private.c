/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * private.c - where private machines stand, and what becomes of those whose owner was killed.
 *
 * A private machine is some hundred small files and lives for one program: in memory they cost a
 * twentieth of what they cost on a disk.  Its disks (size=) lie there too, so a small or full memory
 * file system (containers) is passed over.  The user's TMPDIR decides if it is set.
 *
 * Each owner holds a lock on its directory for as long as it lives (or until it closes the descriptor).  One that can be locked by
 * somebody else, and holds a machine, has lost its owner.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "machine/machine.h"

#define PREFIX "softvfio-"
#define ROOM_BYTES 5e8

static int lock_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void remove_if_lost(const char *place, const char *name)
{
	char dir[PATH_MAX], file[PATH_MAX];
	struct stat st;
	int fd;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/%s", place, name) >= sizeof(dir) ||
	    (size_t)snprintf(file, sizeof(file), "%s/machine.ini", dir) >= sizeof(file))
		return;
	if (lstat(dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || access(file, F_OK))
		return;
	fd = lock_dir(dir);
	if (fd < 0)
		return;
	machine_destroy(dir);
	close(fd);
}

static void sweep(const char *place)
{
	DIR *d = opendir(place);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, PREFIX, strlen(PREFIX)))
			remove_if_lost(place, e->d_name);
	if (d)
		closedir(d);
}

static int has_room(const char *place)
{
	struct statvfs fs;

	return !statvfs(place, &fs) && (double)fs.f_bavail * (double)fs.f_frsize >= ROOM_BYTES;
}

int machine_private_dir(char *ret_dir, size_t size, int *ret_lock)
{
	const char *places[] = { getenv("TMPDIR"), getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp" };
	const size_t first = 0, last = sizeof(places) / sizeof(places[0]) - 1;

	for (size_t i = first; i <= last; i++) {
		if (!places[i] || places[i][0] != '/')
			continue;
		if (i > first && i < last && !has_room(places[i]))
			continue;
		snprintf(ret_dir, size, "%s/" PREFIX "XXXXXX", places[i]);
		if (mkdtemp(ret_dir)) {
			*ret_lock = lock_dir(ret_dir);
			sweep(places[i]);
			return 0;
		}
		if (i == first)
			break;
	}
	return errno ? -errno : -ENOENT;
}
