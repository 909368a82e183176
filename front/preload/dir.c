/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dir.c - where a program stands and what it sees around it: chdir, getcwd, readlink, realpath,
 * opendir, scandir, glob.
 *
 * Directories of the machine are real; a program that enters one stands there really.  So names that
 * come back from the system have the machine's directory in front, which is taken off here.
 */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/lib/sys.h"

void __chk_fail(void) __attribute__((noreturn));

/* ---- the working directory ----------------------------------------------------------------- */

EXPORT int chdir(const char *path)
{
	struct path p;
	int ret;

	front_resolve(AT_FDCWD, path, &p);
	ret = REAL(chdir)(p.name);
	if (!ret)
		path_entered();
	return ret;
}

EXPORT int fchdir(int fd)
{
	int ret = REAL(fchdir)(fd);

	if (!ret)
		path_entered();
	return ret;
}

EXPORT char *getcwd(char *buf, size_t size)
{
	char dir[PATH_MAX];
	size_t len;

	if (!*path_machine())
		return REAL(getcwd)(buf, size);
	if (!REAL(getcwd)(dir, sizeof(dir)))
		return NULL;
	len = path_strip(dir, strlen(dir));
	dir[len] = '\0';
	if (!buf && !size)
		return strdup(dir);
	if (!size || len >= size) {
		errno = size ? ERANGE : EINVAL;
		return NULL;
	}
	if (!buf)
		buf = malloc(size);
	return buf ? strcpy(buf, dir) : NULL;
}

char *__getcwd_chk(char *buf, size_t size, size_t have);

EXPORT char *__getcwd_chk(char *buf, size_t size, size_t have)
{
	if (size > have)
		__chk_fail();
	return getcwd(buf, size);
}

EXPORT char *get_current_dir_name(void)
{
	const char *pwd = getenv("PWD");
	struct stat a, b;

	/* As documented: $PWD if it is right, since it keeps the links by which one came. */
	if (pwd && pwd[0] == '/' && !stat(pwd, &a) && !stat(".", &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return strdup(pwd);
	return getcwd(NULL, 0);
}

/* ---- links --------------------------------------------------------------------------------- */

/* The text of a link that leads to one of our descriptors. */
static ssize_t link_of_fd(int fd, char *buf, size_t size)
{
	struct file *file = front_fget(fd);
	char text[128];
	size_t len;

	if (!file)
		return -ENOENT;
	if (file->f_op->link)
		len = (size_t)file->f_op->link(file, text, sizeof(text));
	else
		len = strlen(file->path);
	len = min(len, size);
	memcpy(buf, file->f_op->link ? text : file->path, len);
	fput(file);
	return (ssize_t)len;
}

static ssize_t read_link(int dir_fd, const char *path, char *buf, size_t size)
{
	char whole[PATH_MAX];
	struct path p;
	ssize_t len;
	int fd;

	if (front_resolve(dir_fd, path, &p) || !*path_machine() || (uintptr_t)path < PAGE_SIZE)
		return REAL(readlinkat)(p.dir_fd, p.name, buf, size);
	fd = front_fd_count() ? path_self_fd(path, "fd") : -1;
	len = fd_is_ours(fd) ? link_of_fd(fd, buf, size) : -ENOENT;
	if (len >= 0)
		return len;
	/* Whole, because what is cut off might be what tells that it is ours. */
	len = REAL(readlinkat)(p.dir_fd, p.name, whole, sizeof(whole));
	if (len < 0)
		return len;
	if ((ssize_t)size <= 0)
		return front_return(-EINVAL, 0);
	len = (ssize_t)path_strip(whole, (size_t)len);
	len = min(len, (ssize_t)size);
	memcpy(buf, whole, (size_t)len);
	return len;
}

EXPORT ssize_t readlink(const char *path, char *buf, size_t size)
{
	return read_link(AT_FDCWD, path, buf, size);
}

EXPORT ssize_t readlinkat(int dir_fd, const char *path, char *buf, size_t size)
{
	return read_link(dir_fd, path, buf, size);
}

ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t have);
ssize_t __readlinkat_chk(int dir_fd, const char *path, char *buf, size_t size, size_t have);

EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t have)
{
	if (size > have)
		__chk_fail();
	return read_link(AT_FDCWD, path, buf, size);
}

EXPORT ssize_t __readlinkat_chk(int dir_fd, const char *path, char *buf, size_t size, size_t have)
{
	if (size > have)
		__chk_fail();
	return read_link(dir_fd, path, buf, size);
}

/* One without a version answers for both of glibc's: the old one differs only in refusing a NULL result. */
EXPORT char *realpath(const char *path, char *resolved)
{
	struct path p;
	char *ret;
	size_t len;

	if ((uintptr_t)path < PAGE_SIZE || !*path_machine())
		return REAL(realpath)(path, resolved);
	front_resolve(AT_FDCWD, path, &p);
	ret = REAL(realpath)(p.name, resolved);
	if (!ret)
		return NULL;
	len = path_strip(ret, strlen(ret));
	ret[len] = '\0';
	return ret;
}

EXPORT char *canonicalize_file_name(const char *path)
{
	return realpath(path, NULL);
}

char *__realpath_chk(const char *path, char *resolved, size_t have);

EXPORT char *__realpath_chk(const char *path, char *resolved, size_t have)
{
	if (have < PATH_MAX)
		__chk_fail();
	return realpath(path, resolved);
}

/* ---- listings ------------------------------------------------------------------------------ */

/*
 * Device nodes are files in the machine's directory; a listing of one of its dev/ directories says so in
 * d_type, and some programs believe that without another look.  Streams on such directories are
 * remembered here; when the places run out, d_type stays what it is.
 */
#define NODE_DIRS 16
static DIR *node_dirs[NODE_DIRS]; /* atomic each */

static void remember_dir(DIR *dir, const char *inside)
{
	DIR *none;

	if (!dir || !inside || strncmp(inside, "/dev", 4))
		return;
	for (size_t i = 0; i < NODE_DIRS; i++) {
		none = NULL;
		if (__atomic_compare_exchange_n(&node_dirs[i], &none, dir, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return;
	}
}

static size_t node_dir(DIR *dir)
{
	size_t i = 0;

	while (i < NODE_DIRS && __atomic_load_n(&node_dirs[i], __ATOMIC_ACQUIRE) != dir)
		i++;
	return i;
}

/*
 * /sys/class and its like are the host's, and some names in them are the machine's: a listing has the host's
 * first, without those that the machine has or hides, then the machine's.  Without a place left it is the host's.
 */
#define MIXED_DIRS 16
static struct mixed_dir {
	DIR *dir;	/* atomic; NULL free, &claimed being filled */
	DIR *ours;	/* the directory of that name in the machine */
	bool host_done;
	char path[64];
} mixed_dirs[MIXED_DIRS];
static char claimed;
static int mixed_count; /* atomic: so that nobody looks as long as there are none */

static struct mixed_dir *mixed_dir(DIR *dir)
{
	if (likely(!__atomic_load_n(&mixed_count, __ATOMIC_ACQUIRE)))
		return NULL;
	for (size_t i = 0; i < MIXED_DIRS; i++)
		if (__atomic_load_n(&mixed_dirs[i].dir, __ATOMIC_ACQUIRE) == dir)
			return &mixed_dirs[i];
	return NULL;
}

static struct mixed_dir *claim_mixed(void)
{
	for (size_t i = 0; i < MIXED_DIRS; i++) {
		DIR *none = NULL;

		if (__atomic_compare_exchange_n(&mixed_dirs[i].dir, &none, (DIR *)&claimed, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return &mixed_dirs[i];
	}
	return NULL;
}

/* @dir is one of the host's: does the machine have names in it? */
static void remember_mixed(DIR *dir)
{
	char name[PATH_MACHINE_MAX + sizeof(mixed_dirs[0].path)], seen[PATH_MAX];
	int saved = errno;
	struct mixed_dir *mixed;
	DIR *ours;

	if (path_of_fd(dirfd(dir), seen, sizeof(seen)) <= 0 || strlen(seen) >= sizeof(mixed->path) ||
	    (strncmp(seen, "/sys", 4) && strcmp(seen, "/dev")))
		return;
	snprintf(name, sizeof(name), "%s%s", path_machine(), seen);
	ours = REAL(opendir)(name);
	errno = saved;
	mixed = ours ? claim_mixed() : NULL;
	if (!mixed) {
		if (ours)
			REAL(closedir)(ours);
		return;
	}
	mixed->ours = ours;
	mixed->host_done = false;
	strcpy(mixed->path, seen);
	__atomic_add_fetch(&mixed_count, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&mixed->dir, dir, __ATOMIC_RELEASE);
}

static bool is_machines(const struct mixed_dir *mixed, const char *name)
{
	char path[sizeof(mixed->path) + 256];
	struct path p;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	snprintf(path, sizeof(path), "%s/%s", mixed->path, name);
	return front_resolve(AT_FDCWD, path, &p);
}

static struct dirent *read_mixed(struct mixed_dir *mixed, DIR *dir)
{
	struct dirent *ent = NULL;
	int saved = errno;

	while (!mixed->host_done) {
		ent = REAL(readdir)(dir);
		if (ent && !is_machines(mixed, ent->d_name))
			return ent;
		mixed->host_done = !ent;
	}
	do
		ent = REAL(readdir)(mixed->ours);
	while (ent && !is_machines(mixed, ent->d_name));
	errno = saved;
	return ent;
}

EXPORT DIR *opendir(const char *path)
{
	struct path p;
	DIR *dir;

	front_resolve(AT_FDCWD, path, &p);
	dir = REAL(opendir)(p.name);
	if (dir && (uintptr_t)path >= PAGE_SIZE)
		path_dir_opened(&p, path);
	remember_dir(dir, p.inside);
	if (dir && !p.inside && *path_machine() && (!strncmp(path, "/sys", 4) || !strncmp(path, "/dev", 4)))
		remember_mixed(dir);
	return dir;
}

EXPORT DIR *fdopendir(int fd)
{
	DIR *dir = REAL(fdopendir)(fd);
	char name[PATH_MAX];

	if (dir && path_dirs_seen() && path_of_fd(fd, name, sizeof(name)) > 0 && !strncmp(name, "/dev/vfio", 9))
		remember_dir(dir, name);
	else if (dir && path_dirs_seen())
		remember_mixed(dir);
	return dir;
}

EXPORT struct dirent *readdir(DIR *dir)
{
	struct mixed_dir *mixed = mixed_dir(dir);
	struct dirent *ent = mixed ? read_mixed(mixed, dir) : REAL(readdir)(dir);

	if (ent && ent->d_type == DT_REG && unlikely(node_dir(dir) < NODE_DIRS))
		ent->d_type = DT_CHR;
	return ent;
}
ALIAS(readdir64, readdir);

EXPORT void rewinddir(DIR *dir)
{
	struct mixed_dir *mixed = mixed_dir(dir);

	if (mixed) {
		mixed->host_done = false;
		REAL(rewinddir)(mixed->ours);
	}
	REAL(rewinddir)(dir);
}

EXPORT int closedir(DIR *dir)
{
	struct mixed_dir *mixed = mixed_dir(dir);
	size_t i = node_dir(dir);

	if (mixed) {
		REAL(closedir)(mixed->ours);
		__atomic_store_n(&mixed->dir, NULL, __ATOMIC_RELEASE);
		__atomic_sub_fetch(&mixed_count, 1, __ATOMIC_RELEASE);
	}
	if (i < NODE_DIRS)
		__atomic_store_n(&node_dirs[i], NULL, __ATOMIC_RELEASE);
	return REAL(closedir)(dir);
}

EXPORT int scandir(const char *path, struct dirent ***list, int (*want)(const struct dirent *),
		   int (*order)(const struct dirent **, const struct dirent **))
{
	struct path p;

	front_resolve(AT_FDCWD, path, &p);
	return REAL(scandir)(p.name, list, want, order);
}
ALIAS(scandir64, scandir);

EXPORT int scandirat(int dir_fd, const char *path, struct dirent ***list, int (*want)(const struct dirent *),
		     int (*order)(const struct dirent **, const struct dirent **))
{
	struct path p;

	front_resolve(dir_fd, path, &p);
	return REAL(scandirat)(p.dir_fd, p.name, list, want, order);
}
ALIAS(scandirat64, scandirat);

/* glob() looks around by functions of the caller's choice: ours. */
static void *glob_opendir(const char *path) { return opendir(path); }
static struct dirent *glob_readdir(void *dir) { return readdir(dir); }
static void glob_closedir(void *dir) { closedir(dir); }

EXPORT int glob(const char *pattern, int flags, int (*on_error)(const char *, int), glob_t *found)
{
	int ret;

	if (!*path_machine() || (flags & GLOB_ALTDIRFUNC) || pattern[0] != '/' ||
	    (pattern[1] != 's' && pattern[1] != 'd'))
		return REAL(glob)(pattern, flags, on_error, found);
	found->gl_opendir = glob_opendir;
	found->gl_readdir = glob_readdir;
	found->gl_closedir = glob_closedir;
	found->gl_stat = stat;
	found->gl_lstat = lstat;
	ret = REAL(glob)(pattern, flags | GLOB_ALTDIRFUNC, on_error, found);
	found->gl_flags &= ~GLOB_ALTDIRFUNC;
	return ret;
}
ALIAS(glob64, glob);
