/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernfs_test.c - the tree on disk, its lock between processes, and attributes as programs use them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/attr_test.h"
#include "kernel/lib/guard.h"

/* ThreadSanitizer takes a signal handler that is left for good as one that still runs. */
#if defined(__SANITIZE_THREAD__)
#define BAD_POINTERS 0
#else
#define BAD_POINTERS 1
#endif

static char dir[64];

/* ---- helpers ------------------------------------------------------------------------------- */

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/kernfs_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(kernfs_open(dir, true), 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void attach(void)
{
	kernfs_created();
	kernfs_close();
	assert_int_equal(kernfs_open(dir, false), 0);
}

static const char *on_disk(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	return full;
}

static u32 mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(on_disk(path), &st), 0);
	return st.st_mode & 07777;
}

/* An attribute that remembers what it was told, and refuses "no". */
struct attr {
	char said[8192 + 1];
	size_t said_len;
	int stores;
	unsigned char bytes[64];
};

static ssize_t attr_show(void *priv, char *buf)
{
	struct attr *attr = priv;

	memcpy(buf, attr->said, attr->said_len);
	return (ssize_t)attr->said_len;
}

static ssize_t attr_store(void *priv, const char *buf, size_t len)
{
	struct attr *attr = priv;

	if (!strncmp(buf, "no", 2))
		return fail(-EXDEV, "it said no");
	assert_int_equal(buf[len], '\0');
	memcpy(attr->said, buf, len);
	attr->said_len = len;
	attr->stores++;
	return (ssize_t)len;
}

static ssize_t attr_bin_read(void *priv, void *buf, size_t len, u64 off)
{
	memcpy(buf, ((struct attr *)priv)->bytes + off, len);
	return (ssize_t)len;
}

static ssize_t attr_bin_write(void *priv, const void *buf, size_t len, u64 off)
{
	struct attr *attr = priv;

	memcpy(attr->bytes + off, buf, len);
	attr->stores++;
	return (ssize_t)len;
}

static const struct kernfs_ops rw_ops = {.show = attr_show, .store = attr_store};
static const struct kernfs_ops store_ops = {.store = attr_store};
static const struct kernfs_ops show_ops = {.show = attr_show};
static const struct kernfs_ops bin_ops = {.bin_read = attr_bin_read, .bin_write = attr_bin_write};

static struct file *must_open(const char *path, unsigned int flags)
{
	struct file *file = kernfs_open_attr(path, flags);

	assert_non_null(file);
	assert_false(IS_ERR(file));
	assert_int_equal(file->f_op->kind, FILE_SYSFS);
	return file;
}

static void must_not_open(const char *path, unsigned int flags, int err)
{
	struct file *file = kernfs_open_attr(path, flags);

	assert_true(IS_ERR(file));
	assert_int_equal(PTR_ERR(file), err);
}

static ssize_t write_to(struct file *file, const char *text, u64 at)
{
	return file->f_op->write(file, text, strlen(text), &at);
}

/* ---- the tree ------------------------------------------------------------------------------ */

static void test_open(void **state)
{
	char missing[96], path[512];

	assert_int_equal(kernfs_open(dir, false), -EBUSY);
	assert_true(kernfs_creating());
	kernfs_created();
	assert_false(kernfs_creating());
	assert_string_equal(kernfs_root(), realpath(dir, path));
	kernfs_close();
	assert_null(kernfs_root());
	snprintf(missing, sizeof(missing), "%s/none", dir);
	assert_int_equal(kernfs_open(missing, false), -ENOENT);
	assert_int_equal(kernfs_open("/tmp", false), -ENOENT); /* no sys in it */
	assert_int_equal(kernfs_open("/dev/null", false), -ENOTDIR);
	assert_int_equal(kernfs_open(dir, false), 0);
	assert_false(kernfs_creating());
}

static void test_nodes(void **state)
{
	char name[32], target[128] = "";
	mode_t old = umask(077);

	assert_int_equal(kernfs_create_file("sys/a/b/c/file", 0644, "hello\n", 6, NULL, NULL), 0);
	assert_int_equal(kernfs_create_file("dev/vfio/7", 0666, NULL, 0, NULL, NULL), 0);
	assert_int_equal(kernfs_create_file("sys/a/ro", 0444, "1\n", 2, NULL, NULL), 0);
	umask(old);
	must_contain("sys/a/b/c/file", "hello\n");
	assert_int_equal(mode_of("sys/a/b/c/file"), 0644);
	assert_int_equal(mode_of("dev/vfio/7"), 0666);
	assert_int_equal(mode_of("sys/a/ro"), 0444);
	assert_int_equal(kernfs_create_dir("sys/x/y"), 0);
	assert_true(kernfs_exists("sys/x/y"));
	assert_int_equal(kernfs_create_dir("sys/a/ro/sub"), -ENOTDIR);
	assert_int_equal(kernfs_create_file("sys/a/ro/sub", 0644, "", 0, NULL, NULL), -ENOTDIR);

	assert_int_equal(kernfs_link_to("sys/bus/pci/devices/d", "sys/devices/pci0000:00/d"), 0);
	assert_true(readlink(on_disk("sys/bus/pci/devices/d"), target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "../../../devices/pci0000:00/d");
	assert_int_equal(kernfs_readlink_name("sys/bus/pci/devices/d", name, sizeof(name)), 1);
	assert_string_equal(name, "d");
	assert_int_equal(kernfs_readlink_name("sys/a/none", name, sizeof(name)), -ENOENT);
	assert_int_equal(kernfs_readlink_name("sys/a/ro", name, sizeof(name)), -EINVAL);
	assert_int_equal(kernfs_readlink_name("sys/bus/pci/devices/d", name, 1), -ENAMETOOLONG);

	kernfs_remove("sys/a");
	assert_false(kernfs_exists("sys/a/b/c/file"));
	assert_false(kernfs_exists("sys/a"));
	kernfs_remove("sys/a");
	assert_true(kernfs_exists("sys/x"));
}

static void test_sparse_and_replace(void **state)
{
	struct stat st;
	char big[5000];

	assert_int_equal(kernfs_create_file("sys/r0", 0600, NULL, 1 << 20, NULL, NULL), 0);
	assert_int_equal(stat(on_disk("sys/r0"), &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_int_equal(kernfs_create_file("sys/ro", 0444, "old\n", 4, NULL, NULL), 0);
	assert_int_equal(kernfs_write("sys/ro", "newer\n", 6), 0);
	must_contain("sys/ro", "newer\n");
	assert_int_equal(mode_of("sys/ro"), 0444);
	assert_int_equal(kernfs_write("sys/none", "x", 1), -ENOENT);
	assert_int_equal(kernfs_write("sys", "x", 1), -EINVAL);
	assert_int_equal(kernfs_write_state("state.d/deep/er/ids", "1\n", 2), 0);
	must_contain("state.d/deep/er/ids", "1\n");
	assert_int_equal(kernfs_read("sys/none", big, sizeof(big)), -ENOENT);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(kernfs_create_file(big, 0644, "", 0, NULL, NULL), -ENAMETOOLONG);
}

static int count_name(void *arg, const char *name)
{
	int *count = arg;

	(*count)++;
	return !strcmp(name, "stop") ? 42 : 0;
}

static void test_for_each(void **state)
{
	int count = 0;

	kernfs_create_dir("sys/l/one");
	kernfs_create_dir("sys/l/two");
	assert_int_equal(kernfs_for_each("sys/l", count_name, &count), 0);
	assert_int_equal(count, 2);
	kernfs_create_dir("sys/l/stop");
	assert_int_equal(kernfs_for_each("sys/l", count_name, &count), 42);
	assert_int_equal(kernfs_for_each("sys/none", count_name, &count), -ENOENT);
}

static void test_attach_leaves_alone(void **state)
{
	static struct attr attr = {.said = "mine\n", .said_len = 5};
	struct file *file;

	assert_int_equal(kernfs_create_file("sys/f", 0644, "first\n", 6, NULL, NULL), 0);
	attach();
	assert_int_equal(kernfs_create_file("sys/f", 0644, "second\n", 7, &rw_ops, &attr), 0);
	assert_int_equal(kernfs_create_dir("sys"), 0);
	assert_int_equal(kernfs_create_link("sys/f", "x"), 0);
	must_contain("sys/f", "first\n");
	file = must_open("sys/f", O_WRONLY);
	assert_int_equal(write_to(file, "told\n", 0), 5);
	assert_string_equal(attr.said, "told\n");
	kernfs_close();
	assert_int_equal(write_to(file, "late\n", 0), -ENODEV);
	fput(file);
}

static void test_close_leaves_alone(void **state)
{
	assert_int_equal(kernfs_create_file("sys/f", 0644, "stay\n", 5, NULL, NULL), 0);
	kernfs_close();
	kernfs_remove("sys/f");
	assert_int_equal(kernfs_create_file("sys/g", 0644, "no\n", 3, NULL, NULL), 0);
	assert_int_equal(kernfs_write("sys/f", "no\n", 3), 0);
	kernfs_lock();
	kernfs_unlock();
	assert_int_equal(kernfs_open(dir, false), 0);
	must_contain("sys/f", "stay\n");
	assert_false(kernfs_exists("sys/g"));
}

static void test_follow(void **state)
{
	static struct attr attr;

	assert_int_equal(kernfs_create_file("sys/f", 0200, NULL, 0, &store_ops, &attr), 0);
	kernfs_lock();
	kernfs_follow(true);
	kernfs_remove("sys/f");
	kernfs_follow(false);
	kernfs_unlock();
	assert_true(kernfs_exists("sys/f"));
	assert_null(kernfs_open_attr("sys/f", O_WRONLY)); /* nobody answers any more */
}

/* The owner waits for a device to be closed, and is killed over it. */
static void test_lock_of_one_who_waits(void **state)
{
	int fds[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		kernfs_lock();
		kernfs_waiting(true);
		if (write(fds[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_false(kernfs_lock_unless_waiting());
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(kernfs_lock_unless_waiting()); /* what it left behind is no wait */
	kernfs_unlock();
	close(fds[0]);
	close(fds[1]);
}

static void test_lock_between_processes(void **state)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fds[2], go[2], status;
	u64 before;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pipe(go), 0);
	before = kernfs_generation();
	pid = fork(); /* the child inherits the lock's descriptor: through it, nothing would be excluded */
	if (pid == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		kernfs_lock();
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		usleep(30000);
		*shared = 1;
		kernfs_generation_bump();
		kernfs_unlock();
		_exit(0);
	}
	kernfs_lock();
	assert_int_equal(write(go[1], "x", 1), 1);
	usleep(20000);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(fds[0], &byte, 1), -1); /* it waits for us */
	assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
	kernfs_unlock();
	assert_int_equal(read(fds[0], &byte, 1), 1);
	kernfs_lock();
	assert_int_equal(*shared, 1); /* we waited for it */
	kernfs_unlock();
	assert_int_equal(kernfs_generation(), before + 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	munmap(shared, 4096);
	close(fds[0]);
	close(fds[1]);
	close(go[0]);
	close(go[1]);
}

/* ---- attributes ---------------------------------------------------------------------------- */

static void test_text_read(void **state)
{
	static struct attr attr = {.said = "0123456789", .said_len = 10};
	struct file *file;
	char buf[32] = "";
	u64 pos = 0;

	guard_install(); /* in each test: cmocka puts its own handler in before */
	assert_int_equal(kernfs_create_file("sys/t", 0444, NULL, 0, &show_ops, &attr), 0);
	must_contain("sys/t", "0123456789");
	file = must_open("sys/t", O_RDONLY);
	assert_string_equal(file->path, "/sys/t");
	assert_int_equal(file->mode, S_IFREG | 0444);
	assert_int_equal(file->f_op->read(file, buf, 4, &pos), 4);
	memcpy(attr.said, "XXXXXXXXXX", 10);
	assert_int_equal(file->f_op->read(file, buf + 4, 20, &pos), 6); /* of the text that was shown first */
	assert_string_equal(buf, "0123456789");
	assert_int_equal(file->f_op->read(file, buf, 20, &pos), 0);
	assert_int_equal(pos, 10);
	pos = 0;
	assert_int_equal(file->f_op->read(file, buf, 20, &pos), 10);
	assert_memory_equal(buf, "XXXXXXXXXX", 10);
	pos = 0;
	if (BAD_POINTERS)
		assert_int_equal(file->f_op->read(file, (char *)8, 20, &pos), -EFAULT);
	assert_int_equal(write_to(file, "x", 0), -EBADF);
	/* libc's own read finds it too */
	assert_int_equal(pread(file->backing_fd, buf, sizeof(buf), 0), 10);
	assert_memory_equal(buf, "0123456789", 10);
	fput(file);
}

static void test_text_write(void **state)
{
	static struct attr attr;
	struct file *file;
	char buf[8];
	u64 pos = 0;

	guard_install();
	assert_int_equal(kernfs_create_file("sys/w", 0200, NULL, 0, &store_ops, &attr), 0);
	file = must_open("sys/w", O_WRONLY | O_TRUNC);
	assert_int_equal(write_to(file, "yes\n", 0), 4);
	assert_string_equal(attr.said, "yes\n");
	assert_int_equal(write_to(file, "no\n", 0), -EXDEV);
	assert_int_equal(write_to(file, "", 0), 0);
	assert_int_equal(attr.stores, 1);
	if (BAD_POINTERS)
		assert_int_equal(file->f_op->write(file, (char *)8, 3, &pos), -EFAULT);
	assert_int_equal(file->f_op->read(file, buf, 4, &pos), -EBADF);
	fput(file);
	assert_int_equal(attr.stores, 1);
}

/* As Linux 7.2 answers: the mode binds root too. */
static void test_open_errnos(void **state)
{
	static struct attr attr;

	assert_int_equal(kernfs_create_file("sys/w", 0200, NULL, 0, &store_ops, &attr), 0);
	assert_int_equal(kernfs_create_file("sys/r", 0444, NULL, 0, &show_ops, &attr), 0);
	assert_int_equal(kernfs_create_file("sys/plain", 0444, "1\n", 2, NULL, NULL), 0);
	assert_int_equal(kernfs_create_file("sys/res", 0600, NULL, 4096, NULL, NULL), 0);
	must_not_open("sys/w", O_RDONLY, -EACCES);
	must_not_open("sys/w", O_RDWR, -EACCES);
	must_not_open("sys/r", O_WRONLY, -EACCES);
	must_not_open("sys/plain", O_WRONLY, -EACCES);
	must_not_open("sys/r", O_RDONLY | O_DIRECTORY, -ENOTDIR);
	must_not_open("sys/r", O_RDONLY | O_CREAT | O_EXCL, -EEXIST);
	must_not_open("sys/new", O_WRONLY | O_CREAT, -EACCES);
	assert_null(kernfs_open_attr("sys/nodir/new", O_WRONLY | O_CREAT));
	assert_null(kernfs_open_attr("sys/none", O_RDONLY));
	assert_null(kernfs_open_attr("sys/plain", O_RDONLY));
	assert_null(kernfs_open_attr("sys/res", O_RDWR));
	assert_null(kernfs_open_attr("sys/w", O_PATH));
	assert_null(kernfs_open_attr("dev/new", O_WRONLY | O_CREAT));
}

static void test_through_links(void **state)
{
	static struct attr attr;
	struct file *file;

	assert_int_equal(kernfs_create_file("sys/devices/d/w", 0200, NULL, 0, &store_ops, &attr), 0);
	assert_int_equal(kernfs_link_to("sys/bus/devices/d", "sys/devices/d"), 0);
	file = must_open("sys/bus/devices/d/w", O_WRONLY);
	assert_string_equal(file->path, "/sys/devices/d/w");
	assert_int_equal(write_to(file, "x", 0), 1);
	fput(file);
	/* a link that leads out of the machine is not followed to operations */
	assert_int_equal(kernfs_create_link("sys/out", "/proc/self"), 0);
	assert_null(kernfs_open_attr("sys/out/comm", O_RDONLY));
}

static FILE *stdio_on(struct file *file, const char *mode)
{
	FILE *f = fdopen(dup(file->backing_fd), mode);

	assert_non_null(f);
	return f;
}

static void test_stdio_write(void **state)
{
	static struct attr attr;
	struct file *file;
	FILE *f;

	assert_int_equal(kernfs_create_file("sys/w", 0200, NULL, 0, &store_ops, &attr), 0);
	file = must_open("sys/w", O_WRONLY);
	f = stdio_on(file, "w");
	assert_int_equal(file_flush(file), 0);
	assert_int_equal(attr.stores, 0); /* nothing was written */
	fputs("first\n", f);
	fflush(f);
	assert_int_equal(file_flush(file), 0);
	assert_string_equal(attr.said, "first\n");
	assert_int_equal(file_flush(file), 0);
	assert_int_equal(attr.stores, 1); /* once */
	fputs("no\n", f);
	fflush(f);
	assert_int_equal(file_flush(file), -EXDEV);
	fputs("2nd\n", f);
	fclose(f);
	fput(file); /* the last close carries the rest */
	attr.said[attr.said_len] = '\0';
	assert_string_equal(attr.said, "2nd\n");
	assert_int_equal(attr.stores, 2);
}

static void test_stdio_read_write(void **state)
{
	static struct attr attr = {.said = "(null)\n", .said_len = 7};
	struct file *file;
	char line[32];
	FILE *f;

	assert_int_equal(kernfs_create_file("sys/rw", 0644, "(null)\n", 7, &rw_ops, &attr), 0);
	file = must_open("sys/rw", O_RDWR);
	f = stdio_on(file, "r+");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "(null)\n");
	assert_int_equal(file_flush(file), 0);
	assert_int_equal(attr.stores, 0);
	rewind(f);
	fputs("abc", f);
	fflush(f);
	assert_int_equal(file_flush(file), 0);
	assert_int_equal(attr.said_len, 3);
	assert_memory_equal(attr.said, "abc", 3);
	fclose(f);
	fput(file);
	assert_int_equal(attr.stores, 1);
}

static void test_binary(void **state)
{
	static struct attr attr = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct file *file;
	char buf[100];
	u64 pos = 60;
	FILE *f;

	assert_int_equal(
		kernfs_create_file("sys/config", 0644, attr.bytes, sizeof(attr.bytes), &bin_ops, &attr), 0);
	file = must_open("sys/config", O_RDWR);
	assert_int_equal(file->f_op->read(file, buf, 100, &pos), 4);
	assert_int_equal(file->f_op->read(file, buf, 4, &pos), 0);
	pos = 300;
	assert_int_equal(file->f_op->read(file, buf, 4, &pos), 0);
	assert_int_equal(write_to(file, "abcd", 300), -EFBIG);
	assert_int_equal(write_to(file, "abcdefgh", 60), 4);
	assert_memory_equal(attr.bytes + 60, "abcd", 4);
	assert_int_equal(write_to(file, "Z", 1), 1);
	assert_int_equal(attr.bytes[1], 'Z');
	pos = 0;
	assert_int_equal(file->f_op->read(file, buf, 4, &pos), 4);
	assert_memory_equal(buf, "\1Z\3\4", 4);
	/* behind our back: only the bytes that changed are written */
	attr.stores = 0;
	f = stdio_on(file, "r+");
	fseek(f, 4, SEEK_SET);
	fputs("PQ", f);
	fclose(f);
	assert_int_equal(file_flush(file), 0);
	assert_int_equal(attr.stores, 1);
	assert_memory_equal(attr.bytes, "\1Z\3\4PQ\7\10", 8);
	fput(file);
	assert_int_equal(attr.stores, 1);
}

static void test_removed_while_open(void **state)
{
	static struct attr attr;
	struct file *file, *bin;
	char buf[4];
	u64 pos = 0;

	assert_int_equal(kernfs_create_file("sys/d/rw", 0644, "x", 1, &rw_ops, &attr), 0);
	assert_int_equal(kernfs_create_file("sys/d/bin", 0644, "x", 1, &bin_ops, &attr), 0);
	assert_int_equal(kernfs_create_file("sys/d-2/rw", 0644, "x", 1, &rw_ops, &attr), 0);
	assert_int_equal(kernfs_create_file("sys/d", 0644, "x", 1, NULL, NULL), 0); /* exists: left alone */
	file = must_open("sys/d/rw", O_RDWR);
	bin = must_open("sys/d/bin", O_RDWR);
	kernfs_remove("sys/d");
	assert_int_equal(write_to(file, "x", 0), -ENODEV);
	assert_int_equal(file->f_op->read(file, buf, 4, &pos), -ENODEV);
	assert_int_equal(write_to(bin, "x", 0), -ENODEV);
	assert_int_equal(bin->f_op->read(bin, buf, 1, &pos), -ENODEV);
	assert_int_equal(attr.stores, 0);
	fput(file);
	fput(bin);
	/* the neighbour whose name only begins alike is still there */
	file = must_open("sys/d-2/rw", O_WRONLY);
	assert_int_equal(write_to(file, "x", 0), 1);
	fput(file);
}

/* A store that waits for the tree lock while its attribute is removed finds out before it looks at priv. */
static ssize_t late_store(void *priv, const char *buf, size_t len)
{
	ssize_t ret;

	atomic_store((atomic_int *)priv, 1); /* we are in */
	kernfs_lock();
	ret = kernfs_active() ? (ssize_t)len : -ENODEV;
	kernfs_unlock();
	return ret;
}

static void *late_writer(void *arg)
{
	return (void *)write_to(arg, "x", 0);
}

static void test_store_races_removal(void **state)
{
	static const struct kernfs_ops late_ops = {.store = late_store};
	static atomic_int entered;
	struct file *file;
	pthread_t thread;
	void *ret;

	assert_int_equal(kernfs_create_file("sys/late", 0200, NULL, 0, &late_ops, &entered), 0);
	file = must_open("sys/late", O_WRONLY);
	kernfs_lock();
	assert_int_equal(pthread_create(&thread, NULL, late_writer, file), 0);
	while (!entered)
		usleep(100);
	kernfs_remove("sys/late");
	kernfs_unlock();
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_int_equal((ssize_t)ret, -ENODEV);
	fput(file);
	assert_true(kernfs_active()); /* outside of any store */
}

/* What a common attribute is asked; its priv is the path. */
static char common_path[128];
static ssize_t common_store(void *priv, const char *buf, size_t len)
{
	snprintf(common_path, sizeof(common_path), "%s", (const char *)priv);
	return kernfs_active() ? (ssize_t)len : -ENODEV;
}

static void test_common(void **state)
{
	static const struct kernfs_ops ops = {.store = common_store};
	struct file *file;
	u64 pos = 0;

	kernfs_common("power/control", &ops);
	kernfs_common("power/control", &ops); /* by another bus */
	assert_int_equal(kernfs_create_file("sys/a/power/control", 0644, "on\n", 3, NULL, NULL), 0);
	assert_int_equal(kernfs_create_file("sys/a/xpower/control", 0444, "on\n", 3, NULL, NULL), 0);
	assert_int_equal(kernfs_create_link("sys/b", "a"), 0);
	file = kernfs_open_attr("sys/b/power/control", O_WRONLY);
	assert_non_null(file);
	assert_false(IS_ERR(file));
	assert_int_equal(file->f_op->write(file, "auto", 4, &pos), 4);
	assert_string_equal(common_path, "sys/a/power/control");
	kernfs_remove("sys/a/power");
	assert_int_equal(file->f_op->write(file, "auto", 4, &pos), -ENODEV);
	fput(file);
	assert_int_equal(PTR_ERR(kernfs_open_attr("sys/a/xpower/control", O_WRONLY)), -EACCES); /* not that name */
	assert_null(kernfs_open_attr("sys/a/power/control", O_RDONLY)); /* the file system says that it is gone */
}

static void test_same(void **state)
{
	struct stat a, b, c;

	assert_int_equal(kernfs_create_same("sys/a/status", 0444, "active\n", NULL, NULL), 0);
	assert_int_equal(kernfs_create_same("sys/b/status", 0444, "active\n", NULL, NULL), 0);
	assert_int_equal(kernfs_create_same("sys/b/state", 0644, "active\n", NULL, NULL), 0);
	assert_int_equal(kernfs_create_same("sys/b/bind", 0200, "", NULL, NULL), 0);
	assert_int_equal(lstat(on_disk("sys/a/status"), &a) | lstat(on_disk("sys/b/status"), &b) | lstat(on_disk("sys/b/state"), &c), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_not_equal(a.st_ino, c.st_ino);
	assert_int_equal(mode_of("sys/b/state"), 0644);
	assert_int_equal(mode_of("sys/b/bind"), 0200);
	kernfs_show("sys/a/status", "suspended\n");
	kernfs_show("sys/a/nothing", "suspended\n");
	must_contain("sys/a/status", "suspended\n");
	must_contain("sys/b/status", "active\n");
	assert_int_equal(mode_of("sys/a/status"), 0444);
	assert_false(kernfs_exists("sys/a/nothing"));
	assert_int_equal(kernfs_create_same("sys/a/status", 0444, "active\n", NULL, NULL), 0); /* there already: left alone */
	must_contain("sys/a/status", "suspended\n");
	kernfs_remove_empty("sys/a");
	assert_true(kernfs_exists("sys/a"));
	kernfs_remove("sys/a/status");
	kernfs_remove_empty("sys/a");
	assert_false(kernfs_exists("sys/a"));
}

static void test_sizes(void **state)
{
	assert_int_equal(kernfs_attr_size("/sys/devices/a/vendor", 7), 4096);
	assert_int_equal(kernfs_attr_size("/sys/devices/a/resource", 741), 4096);
	assert_int_equal(kernfs_attr_size("/sys/devices/a/config", 256), 256);
	assert_int_equal(kernfs_attr_size("/sys/devices/a/resource0_wc", 64), 64);
	assert_int_equal(kernfs_attr_size("/sys/kernel/debug/vfio/state", 8), 0);
	assert_int_equal(kernfs_attr_size("/proc/1/fail-nth", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sparse_and_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_for_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach_leaves_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_leaves_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock_between_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock_of_one_who_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_errnos, setup, teardown),
		cmocka_unit_test_setup_teardown(test_through_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_read_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_binary, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_while_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_races_removal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_common, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
