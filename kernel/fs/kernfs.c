/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernfs.c - the machine's directory on disk: its lock, its generation, its files.
 *
 *	<dir>/sys, <dir>/dev	what programs see as /sys and /dev
 *	<dir>/state.d		what the kernel must remember and programs must not see
 *	<dir>/lock		held with flock() while the tree changes
 *	<dir>/state		one shared page: the generation, a counter that moves with each change, and a bell
 *	<dir>/faults		another: what is to fail (fault_files.c)
 *
 * The idea: a real file system already knows how to hold names, links and content, and how to show
 * them to any program in any process.  So the tree *is* the state, and nothing is kept twice.
 *
 * What always holds: files appear with their whole content or are replaced by rename, except in the
 * moment of their creation; nodes are made and removed with the tree lock held, though this file
 * checks that only where it matters.
 *
 * Dangerous: a descriptor with a flock() on it is shared with a forked child, and a lock taken through
 * a shared descriptor excludes nobody.  So the process that locks is compared with the one that opened.
 */
#include "kernel/fs/kernfs_internal.h"

#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "kernel/fs/file.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

struct kernfs_state {
	_Atomic u64 generation;
	_Atomic u32 bell;	/* a futex between processes */
	_Atomic u32 waiting;	/* the lock's owner waits for a device to be closed; a new owner clears it */
};

static struct {
	struct mutex mutex;
	char *dir;			/* canonical; set by kernfs_open() before other threads look */
	int dir_fd;			/* -1: no tree; likewise */
	int lock_fd;			/* under mutex */
	pid_t lock_pid;			/* who opened lock_fd; under mutex */
	struct kernfs_state *state;	/* as dir */
	bool creating;			/* as dir */
} tree = {.mutex = MUTEX_INITIALIZER(LOCK_TREE), .dir_fd = -1, .lock_fd = -1};

/* This thread, which holds the lock, follows: see kernfs_follow(). */
static __thread __attribute__((tls_model("initial-exec"))) unsigned following;

/* What generation is read from when there is no tree: it never changes. */
static struct kernfs_state no_state;

/* ---- opening ------------------------------------------------------------------------------- */

/* Move a descriptor of ours out of the program's way; a table without room leaves it where it is. */
static int hide_fd(int fd)
{
	int hidden = fd < 0 ? fd : fd_private(fd);

	return hidden < 0 ? fd : hidden;
}

static void close_hidden(int fd)
{
	if (fd < 0)
		return;
	if (fd_is_private(fd))
		fd_private_close(fd);
	else
		sys_close(fd);
}

static char *fd_path(int fd)
{
	char link[64], buf[KERNFS_PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = sys_readlink(link, buf, sizeof(buf));
	if (len <= 0 || len >= (ssize_t)sizeof(buf))
		return NULL;
	return kstrndup(buf, (size_t)len);
}

static int open_dir(const char *dir, bool create)
{
	static const char *const parts[] = {"sys", "dev", "state.d"};
	struct stat st;
	int fd, err;

	if (create) {
		err = sys_mkdir(dir, 0755);
		if (err && err != -EEXIST)
			return fail(err, "cannot make the machine's directory %s: %s", dir, strerror(-err));
	}
	fd = sys_open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fail(fd, "cannot open the machine's directory %s: %s", dir, strerror(-fd));
	for (size_t i = 0; create && i < ARRAY_SIZE(parts); i++) {
		err = sys_mkdirat(fd, parts[i], 0755);
		if (!err || err == -EEXIST)
			continue;
		sys_close(fd);
		return fail(err, "cannot make %s/%s: %s", dir, parts[i], strerror(-err));
	}
	if (sys_fstatat(fd, "sys", &st, 0) || !S_ISDIR(st.st_mode)) {
		sys_close(fd);
		return fail(-ENOENT, "%s is not a machine: it has no sys/ in it", dir);
	}
	return fd;
}

static int open_lock(int dir_fd)
{
	return hide_fd(sys_openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
}

static void *map_shared(int dir_fd, const char *name, size_t bytes)
{
	int fd = sys_openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644), err;
	void *mem;

	if (fd < 0)
		return ERR_PTR(fd);
	err = sys_ftruncate(fd, (off_t)ALIGN_UP(bytes, PAGE_SIZE));
	mem = err ? ERR_PTR(err) : sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sys_close(fd);
	return mem;
}

void *kernfs_map_shared(const char *name, size_t bytes)
{
	return tree.dir_fd < 0 ? NULL : map_shared(tree.dir_fd, name, bytes);
}

int kernfs_open(const char *dir, bool create)
{
	struct kernfs_state *state;
	int dir_fd, lock_fd, err;
	char *path;

	if (tree.dir_fd >= 0)
		return fail(-EBUSY, "this process is already on the machine in %s", tree.dir);
	dir_fd = open_dir(dir, create);
	if (dir_fd < 0)
		return dir_fd;
	state = map_shared(dir_fd, "state", PAGE_SIZE);
	if (IS_ERR(state)) {
		err = fail((int)PTR_ERR(state), "cannot map %s/state: %s", dir,
			   strerror(-(int)PTR_ERR(state)));
		goto err_close_dir;
	}
	lock_fd = open_lock(dir_fd);
	if (lock_fd < 0) {
		err = fail(lock_fd, "cannot open %s/lock: %s", dir, strerror(-lock_fd));
		goto err_unmap;
	}
	path = fd_path(dir_fd);
	if (!path && dir[0] == '/')
		path = kstrdup(dir); /* no /proc here: trust the name */
	if (!path) {
		err = fail(-ENOMEM, "no memory for the name of %s", dir);
		goto err_close_lock;
	}
	mutex_lock(&tree.mutex); /* a thread of a machine before this one may just look */
	tree.dir = path;
	tree.dir_fd = hide_fd(dir_fd);
	tree.lock_fd = lock_fd;
	tree.lock_pid = sys_getpid();
	tree.state = state;
	tree.creating = create;
	mutex_unlock(&tree.mutex);
	return 0;

err_close_lock:
	close_hidden(lock_fd);
err_unmap:
	sys_munmap(state, PAGE_SIZE);
err_close_dir:
	sys_close(dir_fd);
	return err;
}

void kernfs_close(void)
{
	if (tree.dir_fd < 0)
		return;
	kernfs_node_del("sys");
	kernfs_node_del("dev");
	close_hidden(tree.dir_fd);
	close_hidden(tree.lock_fd);
	sys_munmap(tree.state, PAGE_SIZE);
	kfree(tree.dir);
	tree.dir = NULL;
	tree.dir_fd = -1;
	tree.lock_fd = -1;
	tree.state = NULL;
	tree.creating = false;
}

const char *kernfs_root(void)
{
	return tree.dir;
}

bool kernfs_creating(void)
{
	return tree.creating;
}

void kernfs_created(void)
{
	tree.creating = false;
}

/* ---- lock and generation ------------------------------------------------------------------- */

static struct kernfs_state *state(void)
{
	return tree.state ? tree.state : &no_state;
}

/* A child has an open file, and so a lock, of its own. */
static void own_lock_file(void)
{
	int fd;

	if (tree.lock_pid != sys_getpid()) {
		fd = open_lock(tree.dir_fd);
		if (fd >= 0) {
			close_hidden(tree.lock_fd);
			tree.lock_fd = fd;
			tree.lock_pid = sys_getpid();
		}
	}
}

void kernfs_lock(void)
{
	mutex_lock(&tree.mutex);
	if (tree.dir_fd < 0)
		return;
	own_lock_file();
	while (sys_flock(tree.lock_fd, LOCK_EX) == -EINTR)
		;
	kernfs_waiting(false);
}

static bool try_lock(void)
{
	if (!mutex_trylock(&tree.mutex))
		return false;
	if (tree.dir_fd < 0)
		return true;
	own_lock_file();
	if (!sys_flock(tree.lock_fd, LOCK_EX | LOCK_NB)) {
		kernfs_waiting(false);
		return true;
	}
	mutex_unlock(&tree.mutex);
	return false;
}

bool kernfs_lock_unless_waiting(void)
{
	const struct timespec tick = { .tv_nsec = 1000 * 1000 };
	u32 word = 0;

	while (!try_lock()) {
		if (atomic_load_explicit(&state()->waiting, memory_order_acquire))
			return false;
		sys_futex(&word, FUTEX_WAIT_PRIVATE, 0, &tick);
	}
	return true;
}

void kernfs_waiting(bool on)
{
	if (tree.state)
		atomic_store_explicit(&tree.state->waiting, on, memory_order_release);
}

void kernfs_unlock(void)
{
	if (tree.lock_fd >= 0)
		sys_flock(tree.lock_fd, LOCK_UN);
	mutex_unlock(&tree.mutex);
}

void kernfs_assert_locked(void)
{
	lockdep_assert_held(&tree.mutex);
}

void kernfs_follow(bool on)
{
	lockdep_assert_held(&tree.mutex);
	following += on ? 1 : -1u;
}

u64 kernfs_generation(void)
{
	return atomic_load_explicit(&state()->generation, memory_order_acquire);
}

void kernfs_generation_bump(void)
{
	if (tree.state)
		atomic_fetch_add_explicit(&tree.state->generation, 1, memory_order_acq_rel);
}

u32 kernfs_bell(void)
{
	return atomic_load_explicit(&state()->bell, memory_order_acquire);
}

void kernfs_bell_ring(void)
{
	_Atomic u32 *bell = &state()->bell;

	atomic_fetch_add_explicit(bell, 1, memory_order_acq_rel);
	sys_futex((u32 *)bell, FUTEX_WAKE, ~0u >> 1, NULL);
}

void kernfs_bell_wait(u32 heard)
{
	sys_futex((u32 *)&state()->bell, FUTEX_WAIT, heard, NULL);
}

/* ---- making nodes -------------------------------------------------------------------------- */

static int tree_error(int err, const char *verb, const char *path)
{
	return fail(err, "cannot %s %s/%s: %s", verb, tree.dir, path, strerror(-err));
}

static int make_parents(const char *path)
{
	char dir[KERNFS_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int err;

	if (!len)
		return -ENOENT;
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, len);
	dir[len] = '\0';
	err = sys_mkdirat(tree.dir_fd, dir, 0755);
	if (err == -ENOENT) {
		err = make_parents(dir);
		if (!err)
			err = sys_mkdirat(tree.dir_fd, dir, 0755);
	}
	return err == -EEXIST ? 0 : err;
}

int kernfs_create_dir(const char *path)
{
	int err;

	if (tree.dir_fd < 0)
		return 0;
	err = sys_mkdirat(tree.dir_fd, path, 0755);
	if (err == -ENOENT) {
		err = make_parents(path);
		if (!err)
			err = sys_mkdirat(tree.dir_fd, path, 0755);
	}
	if (err && err != -EEXIST)
		return tree_error(err, "make", path);
	return 0;
}

static int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = sys_write(fd, p, len);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int open_new(const char *path, u32 mode)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = sys_openat(tree.dir_fd, path, flags, mode | 0200), err;

	if (fd != -ENOENT)
		return fd;
	err = make_parents(path);
	return err ? err : sys_openat(tree.dir_fd, path, flags, mode | 0200);
}

/* A file that is not there yet; one that is belongs to whoever made it. */
static int make_file(const char *path, u32 mode, const void *content, size_t len)
{
	int fd = open_new(path, mode), err;

	if (fd == -EEXIST)
		return 0;
	if (fd < 0)
		return tree_error(fd, "make", path);
	if (content)
		err = write_all(fd, content, len);
	else
		err = len ? sys_ftruncate(fd, (off_t)len) : 0;
	if (!err)
		err = sys_fchmod(fd, mode); /* whatever the umask is */
	sys_close(fd);
	if (err)
		return tree_error(err, "fill", path);
	return 0;
}

int kernfs_create_file(const char *path, u32 mode, const void *content, size_t len,
		       const struct kernfs_ops *ops, void *priv)
{
	char page[PAGE_SIZE];
	size_t bin_size = len;
	ssize_t shown;
	int err;

	if (tree.dir_fd < 0)
		return 0;
	if (strlen(path) >= KERNFS_PATH_MAX)
		return fail(-ENAMETOOLONG, "the path %s has more than %d characters", path,
			    KERNFS_PATH_MAX - 1);
	if (!content && ops && ops->show) {
		shown = tree.creating || !kernfs_exists(path) ? ops->show(priv, page) : 0;
		content = shown >= 0 ? page : NULL; /* what cannot be shown now has no content to find */
		len = shown > 0 ? (size_t)shown : 0;
	}
	err = make_file(path, mode, content, len);
	if (err || !ops)
		return err;
	return kernfs_node_add(path, mode, bin_size, ops, priv);
}

static int link_same(const char *same, const char *path)
{
	int err = (int)sys_call6(SYS_linkat, tree.dir_fd, (long)same, tree.dir_fd, (long)path, 0, 0);

	return err == -EEXIST ? 0 : err;
}

/* One inode under many names: a name that is to say something else gets another inode (replace_file()). */
static int make_same(const char *path, u32 mode, const char *text)
{
	char same[64];
	int err;

	snprintf(same, sizeof(same), "state.d/same/%03o-%.*s", mode, (int)strcspn(text, "\n"), text);
	err = link_same(same, path);
	if (err == -ENOENT) {
		err = make_file(same, mode, text, strlen(text));
		if (!err)
			err = make_parents(path);
		if (!err)
			err = link_same(same, path);
	}
	return err ? make_file(path, mode, text, strlen(text)) : 0; /* a file system without hard links */
}

int kernfs_create_same(const char *path, u32 mode, const char *text, const struct kernfs_ops *ops, void *priv)
{
	int err = tree.dir_fd < 0 ? 0 : make_same(path, mode, text);

	if (err || !ops || tree.dir_fd < 0)
		return err;
	return kernfs_node_add(path, mode, 0, ops, priv);
}

int kernfs_create_link(const char *path, const char *target)
{
	int err;

	if (tree.dir_fd < 0)
		return 0;
	err = sys_symlinkat(target, tree.dir_fd, path);
	if (err == -ENOENT) {
		err = make_parents(path);
		if (!err)
			err = sys_symlinkat(target, tree.dir_fd, path);
	}
	if (err && err != -EEXIST)
		return tree_error(err, "link", path);
	return 0;
}

int kernfs_link_to(const char *path, const char *to_path)
{
	char target[KERNFS_PATH_MAX];
	size_t common = 0, used = 0;
	int n;

	for (size_t i = 0; path[i] && path[i] == to_path[i]; i++)
		if (path[i] == '/')
			common = i + 1;
	for (const char *p = path + common; (p = strchr(p, '/')); p++) {
		if (used + 3 >= sizeof(target))
			return fail(-ENAMETOOLONG, "the link %s is nested too deep", path);
		memcpy(target + used, "../", 3);
		used += 3;
	}
	n = snprintf(target + used, sizeof(target) - used, "%s", to_path + common);
	if (n < 0 || (size_t)n >= sizeof(target) - used)
		return fail(-ENAMETOOLONG, "the link %s points to a name that is too long", path);
	return kernfs_create_link(path, target);
}

/* ---- removing ------------------------------------------------------------------------------ */

struct linux_dirent64 {
	u64 d_ino;
	s64 d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* Until @fn is not 0.  Each round lists anew after a removal, so @fn may remove what it is given. */
static int list_dir(int dir_fd, int (*fn)(void *arg, const char *name), void *arg)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t len;
	int ret = 0;

	while (!ret && (len = sys_getdents64(dir_fd, buf, sizeof(buf))) != 0) {
		if (len < 0)
			return (int)len;
		for (ssize_t at = 0; !ret && at < len;) {
			struct linux_dirent64 *ent = (void *)(buf + at);

			at += ent->d_reclen;
			if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, ".."))
				ret = fn(arg, ent->d_name);
		}
	}
	return ret;
}

static void remove_at(int dir_fd, const char *name);

static int remove_entry(void *arg, const char *name)
{
	remove_at(*(int *)arg, name);
	return 0;
}

static void remove_at(int dir_fd, const char *name)
{
	int fd;

	if (sys_unlinkat(dir_fd, name, 0) != -EISDIR)
		return;
	fd = sys_openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd >= 0) {
		list_dir(fd, remove_entry, &fd);
		sys_close(fd);
	}
	sys_unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void kernfs_remove(const char *path)
{
	kernfs_node_del(path);
	if (tree.dir_fd >= 0 && !following)
		remove_at(tree.dir_fd, path);
}

void kernfs_remove_empty(const char *path)
{
	if (tree.dir_fd >= 0 && !following)
		sys_unlinkat(tree.dir_fd, path, AT_REMOVEDIR);
}

/* ---- looking and changing ------------------------------------------------------------------ */

int kernfs_lstat(const char *path, struct stat *ret)
{
	return tree.dir_fd < 0 ? -ENOENT : sys_fstatat(tree.dir_fd, path, ret, AT_SYMLINK_NOFOLLOW);
}

bool kernfs_exists(const char *path)
{
	struct stat st;

	return kernfs_lstat(path, &st) == 0;
}

int kernfs_for_each(const char *path, int (*fn)(void *arg, const char *name), void *arg)
{
	int fd, ret;

	if (tree.dir_fd < 0)
		return -ENOENT;
	fd = sys_openat(tree.dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	ret = list_dir(fd, fn, arg);
	sys_close(fd);
	return ret;
}

ssize_t kernfs_read(const char *path, void *buf, size_t size)
{
	size_t done = 0;
	ssize_t n = 0;
	int fd;

	if (tree.dir_fd < 0)
		return -ENOENT;
	fd = sys_openat(tree.dir_fd, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	while (done < size && (n = sys_read(fd, (char *)buf + done, size - done)) > 0)
		done += (size_t)n;
	sys_close(fd);
	return n < 0 ? n : (ssize_t)done;
}

/*
 * Exchange rather than rename over: ext4 takes the latter for a careful program's save and begins to
 * write to the disk at once, which costs milliseconds for content that nobody needs after a crash.
 */
static int put_in_place(const char *tmp, const char *path)
{
	int err = (int)sys_call6(SYS_renameat2, tree.dir_fd, (long)tmp, tree.dir_fd, (long)path,
				 RENAME_EXCHANGE, 0);

	if (err) /* new, or a file system that cannot */
		return sys_renameat(tree.dir_fd, tmp, tree.dir_fd, path);
	sys_unlinkat(tree.dir_fd, tmp, 0);
	return 0;
}

/* A reader sees the old or the new, and a file without w in its mode can be replaced. */
static int replace_file(const char *path, u32 mode, const void *buf, size_t len)
{
	char tmp[64];
	int fd, err;

	snprintf(tmp, sizeof(tmp), "state.d/tmp.%d", sys_gettid());
	fd = sys_openat(tree.dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return tree_error(fd, "make", tmp);
	err = write_all(fd, buf, len);
	if (!err)
		err = sys_fchmod(fd, mode & 07777);
	sys_close(fd);
	if (!err)
		err = put_in_place(tmp, path);
	if (!err)
		return 0;
	sys_unlinkat(tree.dir_fd, tmp, 0);
	return tree_error(err, "replace", path);
}

int kernfs_write(const char *path, const void *buf, size_t len)
{
	struct stat st;
	int err;

	if (tree.dir_fd < 0 || following)
		return 0;
	err = kernfs_lstat(path, &st);
	if (err)
		return tree_error(err, "write", path);
	if (!S_ISREG(st.st_mode))
		return fail(-EINVAL, "%s/%s is not a file that could be written", tree.dir, path);
	return replace_file(path, st.st_mode, buf, len);
}

void kernfs_show(const char *path, const char *text)
{
	struct stat st;

	if (tree.dir_fd >= 0 && !following && !kernfs_lstat(path, &st))
		replace_file(path, st.st_mode, text, strlen(text));
}

int kernfs_write_state(const char *path, const void *buf, size_t len)
{
	int err;

	if (tree.dir_fd < 0)
		return 0;
	err = make_parents(path);
	if (err)
		return tree_error(err, "make the directory of", path);
	return replace_file(path, 0644, buf, len);
}

ssize_t kernfs_readlink_name(const char *path, char *buf, size_t size)
{
	char target[KERNFS_PATH_MAX];
	ssize_t len =
		tree.dir_fd < 0 ? -ENOENT : sys_readlinkat(tree.dir_fd, path, target, sizeof(target) - 1);
	const char *name;

	if (len < 0)
		return len;
	target[len] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return (ssize_t)strlen(name);
}

int kernfs_canonical(const char *path, char *ret, size_t size)
{
	size_t dir_len;
	char *full;
	int fd, err = -EXDEV;

	if (tree.dir_fd < 0)
		return -ENOENT;
	fd = sys_openat(tree.dir_fd, path, O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	full = fd_path(fd);
	sys_close(fd);
	if (!full)
		return -ENOMEM;
	dir_len = strlen(tree.dir);
	if (!strncmp(full, tree.dir, dir_len) && full[dir_len] == '/' && strlen(full + dir_len + 1) < size) {
		strcpy(ret, full + dir_len + 1);
		err = 0;
	}
	kfree(full);
	return err;
}
