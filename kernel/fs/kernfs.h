/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernfs.h - the machine's directory: /sys and /dev as real files.
 *
 * A machine is a directory; below it sys/ and dev/ hold real directories, files and symlinks that
 * programs read after the front end has put the directory's name before theirs.  What is bound to
 * what *is* that tree: a driver link that exists says that the device is bound, for every process of
 * the machine.  It is changed only with the tree lock held (a file lock, so it excludes other
 * processes too).
 *
 * Each process keeps in memory only what a file cannot hold: who answers a write to an attribute.
 *
 * Modes.  A tree is *created* once (`softvfio run` makes the files) and *attached* by every process
 * that finds it there: then kernfs_create_*() register operations and leave what exists alone.
 *
 * Paths are below the machine's directory, without a leading slash: "sys/bus/pci/drivers".
 */
#ifndef KERNEL_FS_KERNFS_H
#define KERNEL_FS_KERNFS_H

#include "kernel/lib/types.h"

struct file;

/*
 * Lifetime of @priv.  kernfs_remove() waits until no show, bin_read or bin_write of what it removes is
 * running, so these must not take the tree lock.  A store may take it, so removal does not wait for it:
 * a store locks the tree first, then asks kernfs_active(), and only then looks at @priv.
 */
struct kernfs_ops {
	/**
	 * show - fill @buf (PAGE_SIZE bytes).  Return: length; -errno.  NULL: the file's own content is the
	 * answer.
	 */
	ssize_t (*show)(void *priv, char *buf);
	/**
	 * store - a program wrote @len bytes (NUL follows).  No lock held.  Return: bytes taken; -errno,
	 * reason given.
	 */
	ssize_t (*store)(void *priv, const char *buf, size_t len);
	/**
	 * bin_read, bin_write - for binary attributes (config): at @off, inside the size given at creation.
	 * Return: bytes; -errno.
	 */
	ssize_t (*bin_read)(void *priv, void *buf, size_t len, u64 off);
	ssize_t (*bin_write)(void *priv, const void *buf, size_t len, u64 off);
	/*
	 * Of debugfs and /proc: no_memory - once open, reading and writing need none, an empty write is one (store), and
	 * a write leaves the position; no_lseek - lseek() is refused; stream - pread() and pwrite() too.
	 */
	bool no_memory, no_lseek, stream;
};

/**
 * kernfs_open - use @dir (absolute); @create: make it and sys/, dev/ in it.  Return: 0; -errno, reason
 * given.
 */
int kernfs_open(const char *dir, bool create);
/**
 * kernfs_close - from now on the tree is left alone: whatever is torn down afterwards is only forgotten.
 * No attribute answers any more.
 */
void kernfs_close(void);
/** kernfs_root - the absolute directory; NULL before kernfs_open(). */
const char *kernfs_root(void);
/** kernfs_creating - true while the tree is being made rather than attached. */
bool kernfs_creating(void);
void kernfs_created(void);

/** kernfs_lock, kernfs_unlock - exclude threads and processes (rank LOCK_TREE); not recursive. */
void kernfs_lock(void);
void kernfs_unlock(void);
/** kernfs_assert_locked - with -Dlockdep: abort unless this thread holds the tree lock. */
void kernfs_assert_locked(void);
/** kernfs_active - in a store(), tree lock held: is the attribute that was written to still there? */
bool kernfs_active(void);
/**
 * kernfs_lock_unless_waiting - the same, but not behind an owner that waits until devices are closed
 * Whoever has one open, and needs the tree before closing it, would wait for itself.  Return: is it locked?
 */
bool kernfs_lock_unless_waiting(void);
/** kernfs_waiting - the owner of the lock begins such a wait, or ends it. */
void kernfs_waiting(bool on);
/**
 * kernfs_follow - while on, memory is being made to follow what another process did to the tree:
 * kernfs_remove() forgets operations but leaves files alone, kernfs_write() does nothing.  Tree lock held.
 * On and off come in pairs, which nest.
 */
void kernfs_follow(bool on);
/** kernfs_generation - changes whenever any process changed bindings; one load from shared memory. */
u64 kernfs_generation(void);
void kernfs_generation_bump(void);
/**
 * kernfs_bell, kernfs_bell_ring, kernfs_bell_wait - tell all processes of the machine that there is news
 * kernfs_bell: how often it rang; wait: until it rings, unless it has since @heard.  Any lock, no tree is well too.
 */
u32 kernfs_bell(void);
void kernfs_bell_ring(void);
void kernfs_bell_wait(u32 heard);
/**
 * kernfs_map_shared - a file in the machine's directory, not seen by programs, mapped by all its processes
 * @name: "state"; @bytes: zero at first
 * Return: memory, the caller's to munmap(); NULL without a tree; ERR_PTR.
 */
void *kernfs_map_shared(const char *name, size_t bytes);

/* Make nodes; parents are made as needed; in attach mode existing ones are left alone.  0 or -errno. */
int kernfs_create_dir(const char *path);
/**
 * kernfs_create_file - @content: initial bytes; NULL with ops.show: asked from show(); NULL with @len: a
 * sparse file of that size.  @ops: copied pointer, may be NULL; those of an earlier node are replaced.
 */
int kernfs_create_file(const char *path, u32 mode, const void *content, size_t len,
		       const struct kernfs_ops *ops, void *priv);
/**
 * kernfs_create_same - kernfs_create_file() of the same one line and mode as many others, which costs less
 * @text: short, no slash.  Nobody writes into it: it has operations (@ops, kernfs_common()), or is read-only.
 */
int kernfs_create_same(const char *path, u32 mode, const char *text, const struct kernfs_ops *ops, void *priv);
/**
 * kernfs_common - for all files of a name that nobody else answers for
 * @name: "uevent", "power/control"; @ops: text only; their priv is the file's path.  To be said once or again.
 */
void kernfs_common(const char *name, const struct kernfs_ops *ops);
/** @target: as readlink() will show it, relative as in sysfs; kernfs_link_to() works it out. */
int kernfs_create_link(const char *path, const char *target);
int kernfs_link_to(const char *path, const char *to_path);
/**
 * kernfs_remove - a file, a link, or a directory with all in it; forgets the ops below it.  No error if
 * absent.
 */
void kernfs_remove(const char *path);

/** kernfs_remove_empty - a directory, unless something is in it. */
void kernfs_remove_empty(const char *path);

/* Look at and change the tree itself (not through ops). */
bool kernfs_exists(const char *path);
/** kernfs_read - the first @size bytes of a file; no NUL is added.  Return: bytes; -errno. */
ssize_t kernfs_read(const char *path, void *buf, size_t size);
/**
 * kernfs_write - put new content in the place of the old, whole or not at all; the mode stays.  0; -ENOENT;
 * -errno.
 */
int kernfs_write(const char *path, const void *buf, size_t len);
/** kernfs_show - the same for who tells of his own state: without a reason if the file is not there. */
void kernfs_show(const char *path, const char *text);
/** kernfs_write_state - the same for a file of our own, made if new: "state.d/pci/ids". */
int kernfs_write_state(const char *path, const void *buf, size_t len);
/**
 * kernfs_for_each - the names in a directory, "." and ".." left out, until @fn is not 0, which is returned.
 * -errno.
 */
int kernfs_for_each(const char *path, int (*fn)(void *arg, const char *name), void *arg);
/** kernfs_readlink_name - last component of a link's target ("vfio-pci").  Return: length; -ENOENT. */
ssize_t kernfs_readlink_name(const char *path, char *buf, size_t size);

/**
 * kernfs_open_attr - a program opens something below the machine's directory
 * As in sysfs the mode binds root too: -EACCES for writing what is read-only, reading what is
 * write-only, or creating a file below sys/.  The file's descriptor is a memfd named as the path.
 * Return: a file (FILE_SYSFS); NULL if the real file can answer: open that instead; ERR_PTR.
 */
struct file *kernfs_open_attr(const char *path, unsigned int f_flags);
/**
 * kernfs_open_loose - open an attribute that has no place in the tree: a file of /proc
 * @path: as kernfs_open_attr(), for the name; @priv: must outlive the file
 */
struct file *kernfs_open_loose(const char *path, u32 mode, const struct kernfs_ops *ops, void *priv, unsigned int f_flags);
/**
 * kernfs_attr_size - what stat() says of a regular file below /sys: a page of each attribute, what is there of a binary one
 * @path: "/sys/..."; all others, and debugfs, say 0; @bytes: of the real file
 */
s64 kernfs_attr_size(const char *path, s64 bytes);

#endif
