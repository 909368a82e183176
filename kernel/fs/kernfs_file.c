/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernfs_file.c - an attribute that a program has open.
 *
 * The program's reads and writes come to attr_read() and attr_write() and so to show() and store().
 * But the stdio of libc calls its own read and write, which no front end sees.  So behind each open
 * attribute there is a memfd: it holds what the attribute said when it was opened, so that fgets()
 * finds it, and what fputs() leaves there is carried to store() when the file is flushed.
 *
 * What always holds: a write that came through attr_write() never touches the memfd, so what differs
 * there from what we put in was written behind our back, once, and is taken out as it is stored.
 *
 * Errnos are those of Linux 7.2: the mode binds root too (EACCES at open), writing past the end of a
 * binary attribute is EFBIG, a removed one ENODEV.
 */
#include "kernel/fs/kernfs_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/fs/file.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/fault-inject.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

/* More than store() may take, so that it can refuse what is too long instead of seeing its head. */
#define WRITE_MAX (2 * PAGE_SIZE)

struct attr_file {
	struct kernfs_node *node; /* a reference */
	char *shown;		  /* what reads find, text only; under kernfs_node_lock */
	size_t shown_len;
	atomic_flag flushing;	  /* a thread is in attr_flush() */
	char *given;		  /* what we put into the memfd; private to who has flushing */
	size_t given_len;
};

static bool is_bin(const struct kernfs_node *node)
{
	return node->ops->bin_read || node->ops->bin_write;
}

static bool can_read(const struct kernfs_node *node)
{
	return node->mode & 0444;
}

static bool can_write(const struct kernfs_node *node)
{
	return (node->mode & 0222) && (node->ops->store || node->ops->bin_write);
}

/* What a text attribute says now. */
static ssize_t attr_text(struct kernfs_node *node, char *page)
{
	if (node->ops->show)
		return kernfs_node_show(node, page);
	return kernfs_read(node->path, page, PAGE_SIZE);
}

/* ---- read and write ------------------------------------------------------------------------ */

static int remember_shown(struct attr_file *attr, const char *page, size_t len)
{
	char *copy = kmalloc(len + 1), *old;

	if (!copy)
		return fail(-ENOMEM, "no memory for the content of /%s", attr->node->path);
	memcpy(copy, page, len);
	mutex_lock(&kernfs_node_lock);
	old = attr->shown;
	attr->shown = copy;
	attr->shown_len = len;
	mutex_unlock(&kernfs_node_lock);
	kfree(old);
	return 0;
}

static ssize_t recall_shown(struct attr_file *attr, char *page)
{
	ssize_t len = -ENOENT;

	mutex_lock(&kernfs_node_lock);
	if (attr->shown) {
		len = (ssize_t)min(attr->shown_len, PAGE_SIZE);
		memcpy(page, attr->shown, (size_t)len);
	}
	mutex_unlock(&kernfs_node_lock);
	return len;
}

/* As in sysfs: a read from the start asks anew, later ones continue in what was said then. */
static ssize_t attr_read_text(struct attr_file *attr, char __user *buf, size_t len, u64 *pos)
{
	char page[PAGE_SIZE];
	ssize_t total = *pos ? recall_shown(attr, page) : -ENOENT;
	int err;

	if (total < 0) {
		total = attr_text(attr->node, page);
		if (total < 0)
			return total;
		err = remember_shown(attr, page, (size_t)total);
		if (err)
			return err;
	}
	if (*pos >= (u64)total)
		return 0;
	len = min(len, (size_t)total - (size_t)*pos);
	err = copy_to_user(buf, page + *pos, len);
	if (err)
		return fail(err, "the buffer of the read is not writable memory");
	*pos += len;
	return (ssize_t)len;
}

static ssize_t attr_read_bin(struct attr_file *attr, char __user *buf, size_t len, u64 *pos)
{
	struct kernfs_node *node = attr->node;
	char page[PAGE_SIZE];
	ssize_t n;
	int err;

	if (*pos >= node->bin_size)
		return 0;
	len = min(len, node->bin_size - (size_t)*pos);
	len = min(len, sizeof(page));
	n = kernfs_node_bin_read(node, page, len, *pos);
	if (n <= 0)
		return n;
	err = copy_to_user(buf, page, (size_t)n);
	if (err)
		return fail(err, "the buffer of the read is not writable memory");
	*pos += (u64)n;
	return n;
}

/* What Linux reads and writes without memory must not fail for want of it, nor count as if it needed some. */
static void memory_begin(const struct attr_file *attr)
{
	if (attr->node->ops->no_memory)
		fault_inject_pause();
}

static void memory_end(const struct attr_file *attr)
{
	if (attr->node->ops->no_memory)
		fault_inject_resume();
}

static ssize_t attr_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	struct attr_file *attr = file->private_data;
	ssize_t n;

	if ((file->f_flags & O_ACCMODE) == O_WRONLY)
		return fail(-EBADF, "/%s was opened for writing only", attr->node->path);
	if (!len)
		return 0;
	if (!is_bin(attr->node)) {
		memory_begin(attr);
		n = attr_read_text(attr, buf, len, pos);
		memory_end(attr);
		return n;
	}
	if (!attr->node->ops->bin_read)
		return fail(-EIO, "/%s cannot be read", attr->node->path);
	return attr_read_bin(attr, buf, len, pos);
}

static ssize_t attr_write_bin(struct attr_file *attr, const char __user *buf, size_t len, u64 *pos)
{
	struct kernfs_node *node = attr->node;
	char page[PAGE_SIZE];
	ssize_t n;
	int err;

	if (*pos >= node->bin_size)
		return fail(-EFBIG, "offset %llu is past the end of /%s (%zu bytes)",
			    (unsigned long long)*pos, node->path, node->bin_size);
	len = min(len, node->bin_size - (size_t)*pos);
	len = min(len, sizeof(page));
	err = copy_from_user(page, buf, len);
	if (err)
		return fail(err, "the buffer of the write is not readable memory");
	n = kernfs_node_bin_write(node, page, len, *pos);
	if (n > 0)
		*pos += (u64)n;
	return n;
}

static ssize_t attr_write_text(struct attr_file *attr, const char __user *buf, size_t len, u64 *pos)
{
	char *text;
	ssize_t n;
	int err;

	len = min(len, WRITE_MAX);
	text = kmalloc(len + 1);
	if (!text)
		return fail(-ENOMEM, "no memory for %zu bytes written to /%s", len, attr->node->path);
	err = copy_from_user(text, buf, len);
	if (err) {
		kfree(text);
		return fail(err, "the buffer of the write is not readable memory");
	}
	text[len] = '\0';
	n = kernfs_node_store(attr->node, text, len);
	kfree(text);
	if (n > 0 && !attr->node->ops->no_memory)
		*pos += (u64)n;
	return n;
}

static ssize_t attr_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	struct attr_file *attr = file->private_data;
	ssize_t n;

	if ((file->f_flags & O_ACCMODE) == O_RDONLY)
		return fail(-EBADF, "/%s was opened for reading only", attr->node->path);
	if (!len && !attr->node->ops->no_memory)
		return 0;
	if (attr->node->ops->bin_write)
		return attr_write_bin(attr, buf, len, pos);
	memory_begin(attr);
	n = attr_write_text(attr, buf, len, pos);
	memory_end(attr);
	return n;
}

/* ---- what stdio wrote ---------------------------------------------------------------------- */

static void attr_free(struct attr_file *attr)
{
	kernfs_node_put(attr->node);
	kfree(attr->shown);
	kfree(attr->given);
	kfree(attr);
}

/* All of a memfd.  NULL if it is empty or memory is short. */
static char *slurp(int fd, size_t *ret_len)
{
	struct stat st;
	char *buf;
	ssize_t n;

	if (sys_fstat(fd, &st) || st.st_size <= 0)
		return NULL;
	*ret_len = min((size_t)st.st_size, (size_t)(16 * PAGE_SIZE));
	buf = kmalloc(*ret_len + 1);
	n = buf ? sys_pread(fd, buf, *ret_len, 0) : -1;
	if (n <= 0) {
		kfree(buf);
		return NULL;
	}
	*ret_len = (size_t)n;
	buf[n] = '\0';
	return buf;
}

/* The file position says how far stdio came; a pwrite() leaves it at 0, and then all counts. */
static size_t written_len(int fd, size_t size)
{
	off_t at = sys_lseek(fd, 0, SEEK_CUR);

	return at > 0 && (size_t)at < size ? (size_t)at : size;
}

static int flush_text(struct attr_file *attr, int fd, char *now, size_t len)
{
	size_t count = min(written_len(fd, len), WRITE_MAX);
	ssize_t n;

	/* Back to what it was, so that the next message starts clean. */
	sys_ftruncate(fd, 0);
	sys_lseek(fd, 0, SEEK_SET);
	now[count] = '\0';
	kfree(attr->given);
	attr->given = NULL;
	attr->given_len = 0;
	n = kernfs_node_store(attr->node, now, count);
	return n < 0 ? (int)n : 0;
}

/* Each run of bytes that differ was written; the rest is what we gave. */
static int flush_bin(struct attr_file *attr, const char *now, size_t len)
{
	int err = 0;

	len = min(len, attr->given_len);
	len = min(len, attr->node->bin_size);
	for (size_t at = 0; at < len && !err;) {
		size_t end = at;
		ssize_t n;

		while (end < len && now[end] != attr->given[end])
			end++;
		if (end == at) {
			at++;
			continue;
		}
		n = kernfs_node_bin_write(attr->node, now + at, end - at, at);
		err = n < 0 ? (int)n : 0;
		memcpy(attr->given + at, now + at, end - at);
		at = end;
	}
	return err;
}

static int flush_changes(struct attr_file *attr, int fd)
{
	size_t len = 0;
	char *now = slurp(fd, &len);
	int err = 0;

	if (!now)
		return 0;
	if (attr->given && len == attr->given_len && !memcmp(now, attr->given, len))
		goto out;
	if (!attr->node->ops->bin_write)
		err = flush_text(attr, fd, now, len);
	else if (attr->given)
		err = flush_bin(attr, now, len);
out:
	kfree(now);
	return err;
}

/* No lock, since a store may take any; whoever comes second finds that the text is taken care of. */
static int attr_flush(struct attr_file *attr, int fd)
{
	int err;

	if (atomic_flag_test_and_set(&attr->flushing))
		return 0;
	memory_begin(attr);
	err = flush_changes(attr, fd);
	memory_end(attr);
	atomic_flag_clear(&attr->flushing);
	return err;
}

static void attr_release(struct file *file)
{
	struct attr_file *attr = file->private_data;

	if ((file->f_flags & O_ACCMODE) != O_RDONLY && file->backing_fd >= 0)
		attr_flush(attr, file->backing_fd);
	attr_free(attr);
}

static s64 no_lseek(struct file *file, s64 off, int whence)
{
	return fail(-ESPIPE, "%s has no position that could be moved", file->path);
}

/* No call of the door is under way here, so the reason is printed here. */
static void explain_flush(const struct attr_file *attr, int err)
{
	char line[KERNFS_PATH_MAX + 1024];
	const char *why = explain_take();

	snprintf(line, sizeof(line), "softvfio: write to /%s = -1 %s%s%s", attr->node->path,
		 strerrorname_np(-err), why ? ": " : "", why ? why : "");
	explain_print(line);
}

static int attr_file_flush(struct file *file)
{
	int err;

	if ((file->f_flags & O_ACCMODE) == O_RDONLY || file->backing_fd < 0)
		return 0;
	explain_begin();
	err = attr_flush(file->private_data, file->backing_fd);
	if (err && explain_enabled)
		explain_flush(file->private_data, err);
	return err;
}

#define ATTR_FOPS .kind = FILE_SYSFS, .release = attr_release, .read = attr_read, .write = attr_write, \
	.flush = attr_file_flush
static const struct file_operations attr_fops = { ATTR_FOPS };
static const struct file_operations attr_no_lseek_fops = { ATTR_FOPS, .lseek = no_lseek };
static const struct file_operations attr_stream_fops = { ATTR_FOPS, .lseek = no_lseek, .stream = true };

static const struct file_operations *fops_of(const struct kernfs_ops *ops)
{
	return ops->stream ? &attr_stream_fops : ops->no_lseek ? &attr_no_lseek_fops : &attr_fops;
}

/* ---- open ---------------------------------------------------------------------------------- */

/* Fill @attr->given with what a reader must find.  An attribute that cannot say has nothing. */
static int attr_fill(struct attr_file *attr)
{
	struct kernfs_node *node = attr->node;
	size_t size = is_bin(node) ? node->bin_size : PAGE_SIZE;
	ssize_t n;

	attr->given = kmalloc(size + 1);
	if (!attr->given)
		return fail(-ENOMEM, "no memory for the content of /%s", node->path);
	if (!is_bin(node))
		n = attr_text(node, attr->given);
	else
		n = node->ops->bin_read ? kernfs_node_bin_read(node, attr->given, size, 0) : 0;
	attr->given_len = n > 0 ? (size_t)n : 0;
	return 0;
}

static int attr_memfd(struct attr_file *attr)
{
	char name[KERNFS_PATH_MAX];
	int fd;

	snprintf(name, 240, "/%s", attr->node->path);
	fd = sys_memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return fail(fd, "cannot make the file behind /%s: %s", attr->node->path, strerror(-fd));
	if (attr->given_len && sys_pwrite(fd, attr->given, attr->given_len, 0) != (ssize_t)attr->given_len) {
		sys_close(fd);
		return fail(-ENOMEM, "no memory for the content of /%s", attr->node->path);
	}
	return fd;
}

/* Takes over the reference on @node. */
static struct file *attr_open(struct kernfs_node *node, unsigned int f_flags)
{
	struct attr_file *attr = kzalloc(sizeof(*attr));
	char path[KERNFS_PATH_MAX + 1];
	struct file *file;
	int fd, err = 0;

	if (!attr) {
		err = fail(-ENOMEM, "no memory to open /%s", node->path);
		kernfs_node_put(node);
		return ERR_PTR(err);
	}
	attr->node = node;
	atomic_flag_clear(&attr->flushing);
	if ((f_flags & O_ACCMODE) != O_WRONLY)
		err = attr_fill(attr);
	fd = err ? err : attr_memfd(attr);
	if (fd < 0) {
		attr_free(attr);
		return ERR_PTR(fd);
	}
	snprintf(path, sizeof(path), "/%s", node->path);
	file = file_alloc(fops_of(node->ops), attr, path, f_flags);
	if (!file) {
		sys_close(fd);
		attr_free(attr);
		return ERR_PTR(fail(-ENOMEM, "no memory to open %s", path));
	}
	file->mode = S_IFREG | node->mode;
	file->backing_fd = fd;
	return file;
}

static int check_open(const struct kernfs_node *node, unsigned int f_flags)
{
	unsigned int acc = f_flags & O_ACCMODE;

	if (f_flags & O_DIRECTORY)
		return fail(-ENOTDIR, "/%s is an attribute, not a directory", node->path);
	if ((f_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return fail(-EEXIST, "/%s is there already", node->path);
	if (acc != O_RDONLY && !can_write(node))
		return fail(-EACCES, "/%s is read-only (mode %03o)", node->path, node->mode);
	if (acc != O_WRONLY && !can_read(node))
		return fail(-EACCES, "/%s is write-only (mode %03o)", node->path, node->mode);
	return 0;
}

/* Something without operations: what sysfs would refuse, though the real file might let root do it. */
static int check_plain(const char *path, const char *real, unsigned int f_flags)
{
	char dir[KERNFS_PATH_MAX];
	struct stat st;
	char *slash;

	if (strncmp(path, "sys/", 4) || !(f_flags & (O_ACCMODE | O_CREAT)))
		return 0;
	if (real) {
		if (!kernfs_lstat(real, &st) && S_ISREG(st.st_mode) && (f_flags & O_ACCMODE) &&
		    !(st.st_mode & 0222))
			return fail(-EACCES, "/%s is read-only (mode %03o)", path, st.st_mode & 0777);
		return 0;
	}
	if (!(f_flags & O_CREAT) || (size_t)snprintf(dir, sizeof(dir), "%s", path) >= sizeof(dir))
		return 0;
	slash = strrchr(dir, '/');
	*slash = '\0';
	if (kernfs_exists(dir))
		return fail(-EACCES, "/%s does not exist, and programs cannot make files in /sys", path);
	return 0;
}

struct file *kernfs_open_attr(const char *path, unsigned int f_flags)
{
	char real[KERNFS_PATH_MAX];
	struct kernfs_node *node;
	bool found = true;
	int err;

	if (f_flags & O_PATH)
		return NULL;
	node = kernfs_node_get(path);
	if (!node) {
		found = kernfs_canonical(path, real, sizeof(real)) == 0;
		node = found ? kernfs_node_get(real) : NULL;
		if (found && !node)
			node = kernfs_node_common(real);
	}
	if (!node) {
		err = check_plain(path, found ? real : NULL, f_flags);
		return err ? ERR_PTR(err) : NULL;
	}
	err = check_open(node, f_flags);
	if (err) {
		kernfs_node_put(node);
		return ERR_PTR(err);
	}
	if ((f_flags & O_ACCMODE) == O_RDONLY && !node->ops->show && !node->ops->bin_read) {
		kernfs_node_put(node);
		return NULL; /* the real file says it all */
	}
	return attr_open(node, f_flags);
}

/* By their names: who asks may be on no machine yet, and know nothing of operations. */
static bool is_bin_name(const char *name)
{
	static const char *const names[] = { "config", "rom", "vpd" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, "resource", 8) && name[8] >= '0' && name[8] <= '9';
}

s64 kernfs_attr_size(const char *path, s64 bytes)
{
	const char *name = strrchr(path, '/');

	if (strncmp(path, "/sys/", 5) || !strncmp(path, "/sys/kernel/debug/", 18))
		return 0;
	return name && is_bin_name(name + 1) ? bytes : (s64)PAGE_SIZE;
}

struct file *kernfs_open_loose(const char *path, u32 mode, const struct kernfs_ops *ops, void *priv, unsigned int f_flags)
{
	struct kernfs_node *node = kernfs_node_loose(path, mode, 0, ops, priv);
	int err;

	if (!node)
		return ERR_PTR(fail(-ENOMEM, "no memory to open /%s", path));
	err = check_open(node, f_flags);
	if (!err)
		return attr_open(node, f_flags);
	kernfs_node_put(node);
	return ERR_PTR(err);
}
