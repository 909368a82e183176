/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_test.c - wire, proxy and serve together: a child has stand-ins, and this process does what they are told.
 *
 * Children live here, each with a real proxy, and the real serve answers.  Where the test itself is one end of the wire:
 * serve_by_hand_test.c.
 */
#include "kernel/syscall/serve_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "kernel/lib/nomem_test.h"
#include "kernel/syscall/serve.h"

static pid_t served(void (*life)(void))
{
	int pair[2];
	pid_t pid = fork_with(life, pair);

	assert_int_equal(serve_process(pair[0], NR_FDS), 0);
	return pid;
}

static void lives(void (*life)(void))
{
	went_well(served(life));
	all_quiet();
}

static struct file *opened(const char *path)
{
	struct file *file;

	EXPECT_OK(do_open(path, O_RDWR, &file));
	return file;
}

/* ---- open ---- */

static void opens(void)
{
	struct file *file, *again;
	struct stat st;
	u32 mode = 0;
	u64 rdev = 0;
	int fd, own;

	EXPECT(proxy_active());
	file = opened("/dev/far/dev");
	EXPECT(!strcmp(file->path, "/dev/far/dev") && file->mode == (S_IFCHR | 0640) && file->rdev == makedev(10, 3));
	EXPECT((file->f_flags & O_ACCMODE) == O_RDWR && file->f_op->kind == FILE_OTHER && !file->f_op->stream);
	EXPECT(do_fstat(file, &st) == 0);
	fd = (int)EXPECT_OK(fd_publish(file, true));
	EXPECT(ioctl_at(fd, T_ID, 0) > ioctl_at(inherited, T_ID, 0));
	EXPECT(ioctl_at(fd, T_IS_OWN, 0) == 0);

	again = opened("/dev/far/dev");
	EXPECT(do_ioctl(-1, again, T_ID, 0) > ioctl_at(fd, T_ID, 0));
	do_close(-1, again);
	EXPECT(call(T_RELEASED, 0) == 1);
	own = dup(fd);
	close_number(fd);
	EXPECT(call(T_RELEASED, 0) == 1); /* not the last */
	close(own);
	EXPECT(call(T_RELEASED, 0) == 2);

	file = opened("/dev/far/bare");
	EXPECT(file->f_op->stream && !file->f_op->ioctl && !file->f_op->mmap);
	do_close(-1, file);
	file = opened("/dev/far/plain");
	EXPECT(call(T_RELEASED, 0) == 2);
	do_close(-1, file);
	EXPECT(call(T_RELEASED, 0) == 3);

	EXPECT(do_open("/dev/far/dev", O_RDWR | O_EXCL, &file) == -EBUSY && says("somebody else has it"));
	EXPECT(do_open("/dev/far/none", O_RDWR, &file) == -ENOSYS);
	EXPECT(proxy_node("far/dev", &mode, &rdev) == 0 && mode == 0640 && rdev == makedev(10, 3));
	EXPECT(proxy_node("far/none", &mode, &rdev) == -ENOENT);
	opened("/dev/far/plain"); /* which the end closes */
	opened("/dev/far/dev");
}

static void a_child_opens(void **state)
{
	lives(opens);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 5);
}

static atomic_int looks_left = -1;

static int look_first(void)
{
	if (atomic_load(&looks_left) < 0 || atomic_fetch_sub(&looks_left, 1))
		return 0;
	return fail(-EBUSY, "the machine went away");
}

static void opens_once(void)
{
	struct file *file;
	u32 mode;
	u64 rdev;

	do_close(-1, opened("/dev/far/dev"));
	EXPECT(do_open("/dev/far/dev", O_RDWR, &file) == -EBUSY && says("the machine went away"));
	EXPECT(proxy_node("far/dev", &mode, &rdev) == 0); /* it is back */
}

static void the_node_is_looked_for(void)
{
	u32 mode;
	u64 rdev;

	EXPECT(proxy_node("far/dev", &mode, &rdev) == -ENOENT);
	EXPECT(proxy_node("far/dev", &mode, &rdev) == 0);
}

static void the_server_looks_first(void **state)
{
	atomic_store(&looks_left, 1);
	lives(opens_once);
	assert_int_equal(atomic_load(&looks_left), -1);
	atomic_store(&looks_left, 0);
	lives(the_node_is_looked_for);
	assert_int_equal(atomic_load(&looks_left), -1);
}

/* ---- calls ---- */

static void calls_ioctls(void)
{
	char *map = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *read_only = map + 3 * PAGE_SIZE;
	struct twice t = { .in = 21 };
	struct file *bare = opened("/dev/far/bare");
	u8 big[BIG];

	munmap(map + 2 * PAGE_SIZE, PAGE_SIZE);
	memset(map, 'x', 2 * PAGE_SIZE);
	mprotect(read_only, PAGE_SIZE, PROT_READ);
	EXPECT(call(T_DOUBLE, (unsigned long)&t) == 0 && t.out == 42);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (u8)(i * 7);
	EXPECT(call(T_INVERT, (unsigned long)big) == 0);
	for (size_t i = 0; i < BIG; i++)
		EXPECT(big[i] == (u8)~(u8)(i * 7));
	EXPECT(call(T_CLEAR, (unsigned long)big) == 0 && !big[0] && !big[WIRE_DATA] && !big[BIG - 1]);

	/* Across two pages, at any address; at the end of what is mapped; what the call itself wrote is seen. */
	memcpy(map + PAGE_SIZE - 4, &t, sizeof(t));
	EXPECT(call(T_DOUBLE, (unsigned long)(map + PAGE_SIZE - 4)) == 0 && !memcmp(map + PAGE_SIZE, &(u32){ 42 }, 4));
	memcpy(map + 2 * PAGE_SIZE - 8, &t, sizeof(t));
	EXPECT(call(T_DOUBLE, (unsigned long)(map + 2 * PAGE_SIZE - 8)) == 0);
	for (int i = 1; i < 9; i++) {
		memcpy(map + PAGE_SIZE - 8 - i, &t, sizeof(t));
		EXPECT(call(T_DOUBLE, (unsigned long)(map + PAGE_SIZE - 8 - i)) == 0);
		EXPECT(!memcmp(map + PAGE_SIZE - 4 - i, &(u32){ 42 }, 4));
	}
	EXPECT(call(T_COUNT, (unsigned long)&t) == 22 && t.in == 22);
	memset(map, 'x', 2 * PAGE_SIZE);

	EXPECT(call(T_DOUBLE, 0) == -EFAULT);
	EXPECT(call(T_DOUBLE, 8) == -EFAULT && says("[0x8-0xf]"));
	EXPECT(!strstr(strstr(explain_last(), "[0x8-0xf]") + 1, "[0x8-0xf]")); /* once */
	EXPECT(call(T_DOUBLE, 1ul << 47) == -EFAULT);
	EXPECT(call(T_DOUBLE, (unsigned long)(map + 2 * PAGE_SIZE - 4)) == -EFAULT);
	EXPECT(call(T_DOUBLE, (unsigned long)read_only) == -EFAULT);
	EXPECT(call(T_INVERT, (unsigned long)(map + 1)) == -EFAULT); /* in its second piece */
	EXPECT(map[1] == 'x');
	EXPECT(call(T_CLEAR, (unsigned long)read_only) == -EFAULT);

	EXPECT(call(T_STRLEN, (unsigned long)"twelve bytes") == 12);
	EXPECT(call(T_STRLEN, (unsigned long)"") == 0);
	strcpy(map + 2 * PAGE_SIZE - 4, "end"); /* at the end of what is mapped */
	EXPECT(call(T_STRLEN, (unsigned long)(map + 2 * PAGE_SIZE - 4)) == 3);
	map[2 * PAGE_SIZE - 1] = 'x';
	EXPECT(call(T_STRLEN, (unsigned long)(map + 2 * PAGE_SIZE - 4)) == -EFAULT);
	EXPECT(call(T_STRLEN, 0) == -EFAULT);
	EXPECT(call(T_STRLEN, (unsigned long)map) == -ENAMETOOLONG);

	EXPECT(call(T_FAIL, 17) == -EXDEV && says("the fake cannot do 17"));
	EXPECT(call(T_NOTE, 0) == 7 && says("this looks strange"));
	EXPECT(call(T_RELEASED, 0) == 0 && !explain_last());
	EXPECT(call(9999, 0) == -ENOTTY);
	EXPECT(do_ioctl(-1, bare, T_DOUBLE, 0) == -ENOTTY);
}

static void a_child_calls_ioctls(void **state)
{
	lives(calls_ioctls);
}

static void reads_and_writes(void)
{
	struct file *file = fget(inherited), *bare = opened("/dev/far/bare"), *reader;
	char buf[300];
	u64 pos = 250;

	EXPECT(do_write(-1, file, "0123456789", 10, NULL) == 10 && do_write(-1, file, "ab", 2, NULL) == 2);
	EXPECT(do_read(-1, file, buf, 4, &(u64){ 8 }) == 4 && !memcmp(buf, "89ab", 4));
	EXPECT(do_read(-1, file, buf, 300, NULL) == 256 - 12); /* the position did not move */
	EXPECT(do_read(-1, file, buf, 1, NULL) == 0);
	EXPECT(do_write(-1, file, "end of it", 9, &pos) == 6 && pos == 250);
	EXPECT(do_read(-1, file, buf, 300, &pos) == 6 && !memcmp(buf, "end of", 6));
	EXPECT(do_read(-1, file, buf, 1, &(u64){ 257 }) == -EINVAL);
	EXPECT(do_read(-1, file, NULL, 4, &pos) == -EFAULT && do_write(-1, file, NULL, 4, &pos) == -EFAULT);
	EXPECT(do_read(-1, file, NULL, 4, NULL) == 0); /* the position is at the end */

	EXPECT(do_read(-1, bare, buf, 4, NULL) == -EINVAL && do_write(-1, bare, buf, 4, NULL) == -EINVAL);
	EXPECT(do_read(-1, bare, buf, 4, &pos) == -ESPIPE);
	EXPECT_OK(do_open("/dev/far/dev", O_RDONLY, &reader));
	EXPECT(do_write(-1, reader, buf, 4, NULL) == -EBADF && do_read(-1, reader, buf, 4, NULL) == 4);
}

static void a_child_reads_and_writes(void **state)
{
	memset(dev.bytes, 0, sizeof(dev.bytes));
	lives(reads_and_writes);
	assert_memory_equal(dev.bytes, "0123456789ab", 12);
	assert_memory_equal(dev.bytes + 250, "end of", 6);
}

static void other_operations(void)
{
	struct file *file = fget(inherited), *bare = opened("/dev/far/bare");
	char buf[64];

	EXPECT(do_lseek(-1, file, 5, SEEK_SET) == 5 && do_lseek(-1, file, 5, SEEK_CUR) == 1005);
	EXPECT(do_lseek(-1, file, 0, SEEK_END) == -EINVAL && says("no end"));
	EXPECT(do_lseek(-1, bare, 0, SEEK_SET) == -ESPIPE);
	EXPECT(file_flush(bare) == 0 && call(T_FLUSHED, 0) == 0);
	EXPECT(file_flush(file) == 0 && call(T_FLUSHED, 0) == 1 && file_flush(file) == -EIO);

	EXPECT(file->f_op->link(file, buf, sizeof(buf)) == 19 && !strcmp(buf, "/dev/far/dev (gone)"));
	EXPECT(file->f_op->link(file, buf, 5) == 19 && !strcmp(buf, "/dev"));
	EXPECT(!bare->f_op->link && !bare->f_op->fdinfo);
	EXPECT(file->f_op->fdinfo(file, buf, sizeof(buf)) > 0 && !strcmp(buf, "far:\t1\nflags:\t2\n"));

	EXPECT(file_flags(file) == O_RDWR);
	file_set_flags(file, O_NONBLOCK | O_WRONLY);
	EXPECT(file_flags(file) == (O_RDWR | O_NONBLOCK) && file->f_flags == (O_RDWR | O_NONBLOCK));
	EXPECT(file->f_op->fdinfo(file, buf, sizeof(buf)) > 0 && !strcmp(buf, "far:\t1\nflags:\t4002\n"));
}

static void a_child_does_the_rest(void **state)
{
	struct file *file = fget(inherited);

	lives(other_operations);
	assert_int_equal(file->f_flags, O_RDWR | O_NONBLOCK); /* it is one open file */
	fput(file);
}

static void maps(void)
{
	struct file *file = fget(inherited), *bare = opened("/dev/far/bare");
	struct pinned pinned = { .len = PAGE_SIZE };
	struct twice *far;
	u8 *at, *read_only;
	u64 value = 0x1122334455667788;
	u32 low = 0;
	int err;

	at = map_device(file, 0x40000, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, &err);
	EXPECT(at && !err);
	EXPECT(mmio_access((uintptr_t)at + 0x20, &value, 8, true) == 0);
	EXPECT(mmio_access((uintptr_t)at + 0x20, &low, 4, false) == 0 && low == 0x55667788);
	value = 0;
	EXPECT(copy_from_user(&value, at + 0x20, 8) == 0 && value == 0x1122334455667788);
	EXPECT(mmio_access((uintptr_t)at + PAGE_SIZE, &value, 8, false) == -EFAULT); /* nothing is behind it */
	EXPECT(mmio_access((uintptr_t)at + PAGE_SIZE, &value, 8, true) == -EFAULT);
	EXPECT(mmio_access((uintptr_t)at - 8, &value, 8, true) == -ENOENT);

	/* What a call names may be in a mapping of the device: it is answered in the middle of that. */
	far = (struct twice *)(at + 0x40);
	EXPECT(copy_to_user(&far->in, &(u32){ 8 }, 4) == 0);
	EXPECT(call(T_DOUBLE, (unsigned long)far) == 0);
	EXPECT(copy_from_user(&low, &far->out, 4) == 0 && low == 16);
	EXPECT(call(T_DOUBLE, (unsigned long)at + PAGE_SIZE) == -EFAULT);

	/* Devices reach it where the bus has it. */
	pinned.uva = (uintptr_t)at;
	EXPECT(call(T_PHYS_IS_BAR, (unsigned long)&pinned) == 1);
	pinned.uva = (uintptr_t)at - PAGE_SIZE;
	pinned.len = 2 * PAGE_SIZE;
	EXPECT(call(T_PHYS_IS_BAR, (unsigned long)&pinned) == -EFAULT);

	read_only = map_device(file, 0x40000, PAGE_SIZE, PROT_READ, &err);
	EXPECT(read_only && copy_to_user(read_only, &value, 8) == -EFAULT);
	EXPECT(copy_from_user(&value, read_only + 0x20, 8) == 0);
	EXPECT(!map_device(file, 0x80000, PAGE_SIZE, PROT_READ, &err) && err == -EINVAL);
	EXPECT(says("no region at 0x80000"));
	EXPECT(!map_device(file, 0x41000, 2 * PAGE_SIZE, PROT_READ, &err) && err == -EINVAL);
	EXPECT(!map_device(bare, 0x40000, PAGE_SIZE, PROT_READ, &err) && err == -ENODEV);

	/* The mapping holds its file. */
	do_close(-1, bare);
	bare = opened("/dev/far/dev");
	at = map_device(bare, 0x40000, PAGE_SIZE, PROT_READ | PROT_WRITE, &err);
	do_close(-1, bare);
	EXPECT(at && call(T_RELEASED, 0) == 0);
	EXPECT(mmio_access((uintptr_t)at + 0x20, &value, 8, false) == 0 && value == 0x1122334455667788);
	EXPECT(vma_remove(mm_self(), (uintptr_t)at, PAGE_SIZE) == 0);
	EXPECT(call(T_RELEASED, 0) == 1);
}

static void a_child_maps(void **state)
{
	lives(maps);
	assert_int_equal(dev.bar[0x20], 0x88);
}

/* ---- descriptors ---- */

static void names_descriptors(void)
{
	int plain = memfd_create("plain", MFD_CLOEXEC), path = open("/", O_PATH | O_CLOEXEC), fd;
	char buf[4] = "";

	fd = (int)EXPECT_OK(fd_publish(opened("/dev/far/dev"), true));
	EXPECT(call(T_FGET, (unsigned)fd) == ioctl_at(fd, T_ID, 0));
	EXPECT(call(T_FGET, (unsigned)inherited) == call(T_ID, 0));
	EXPECT(call(T_FGET, (unsigned)plain) == -EINVAL);
	EXPECT(call(T_FGET, (unsigned)path) == -EBADF);
	EXPECT(call(T_FGET, 1000) == -EBADF && call(T_FGET, (unsigned)-1) == -EBADF);
	EXPECT(call(T_DUP, (unsigned)plain) == 3 && pread(plain, buf, 4, 0) == 3 && !strcmp(buf, "dup"));
	EXPECT(call(T_DUP, 1000) == -EBADF && says("descriptor 1000 is not open"));
	EXPECT(call(T_DUP, (unsigned)path) == -EBADF);
	close_number(fd);
	EXPECT(call(T_FGET, (unsigned)fd) == -EBADF);
}

static void a_child_names_descriptors(void **state)
{
	lives(names_descriptors);
}

static void gets_descriptors(void)
{
	struct rlimit limit, small;
	struct file *file;
	int fd = -1, plain = -1, next, *bad = (int *)8;

	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == 0 && fd_is_ours(fd) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(call(T_PUBLISH_PLAIN, (unsigned long)&plain) == 0 && fd_is_ours(plain) && plain != fd);
	EXPECT(ioctl_at(fd, T_ID, 0) == call(T_FGET, (unsigned)fd));
	EXPECT(ioctl_at(plain, T_ID, 0) == call(T_FGET, (unsigned)plain));
	file = fget(fd);
	EXPECT(file && !strcmp(file->path, "anon_inode:[test]") && file->mode == 0600);
	fput(file);
	EXPECT(call(T_RELEASED, 0) == 0);
	close_number(fd);
	EXPECT(call(T_RELEASED, 0) == 1);
	close_number(plain);
	EXPECT(call(T_RELEASED, 0) == 2);

	/* Who is not told of it does not have it. */
	next = dup(0);
	close(next);
	EXPECT(call(T_PUBLISH, (unsigned long)bad) == -EFAULT);
	EXPECT(!fd_is_ours(next) && fcntl(next, F_GETFD) == -1);
	EXPECT(call(T_RELEASED, 0) == 3);
	EXPECT(call(T_PUBLISH_PLAIN, (unsigned long)bad) == -EFAULT && call(T_RELEASED, 0) == 4);

	getrlimit(RLIMIT_NOFILE, &limit);
	small = limit;
	small.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &small);
	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == -EMFILE);
	EXPECT(call(T_PUBLISH_PLAIN, (unsigned long)&fd) == -EMFILE);
	setrlimit(RLIMIT_NOFILE, &limit);
	EXPECT(call(T_RELEASED, 0) == 6);

	/* With the process it is closed. */
	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == 0 && call(T_PUBLISH_PLAIN, (unsigned long)&plain) == 0);
}

static void a_child_gets_descriptors(void **state)
{
	lives(gets_descriptors);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 8);
}

/* ---- memory ---- */

static u8 *childs_page(u8 byte)
{
	u8 *at = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(at, byte, 2 * PAGE_SIZE);
	return at;
}

static int unmap(u8 *at)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	struct pins_change c;
	int err;

	pins_change_begin(&c, "munmap");
	err = pins_change_leave(&c, (uintptr_t)at, 2 * PAGE_SIZE);
	if (!err)
		EXPECT(mmap(at, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) == at);
	pins_change_end(&c, !err);
	return err;
}

static void pins_memory(void)
{
	u8 *at = childs_page(0x31);
	struct pinned pinned = { .uva = (uintptr_t)at, .len = 2 * PAGE_SIZE };
	u64 locked = 99, vm_pinned = 99;

	EXPECT(!mm_pins_near((uintptr_t)at, PAGE_SIZE));
	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0);
	EXPECT(call(T_BYTE, PAGE_SIZE) == 0x31);
	at[PAGE_SIZE] = 0x32;
	EXPECT(call(T_BYTE, PAGE_SIZE) == 0x32);
	EXPECT(mm_pins_near((uintptr_t)at, PAGE_SIZE) && !mm_pins_near((uintptr_t)at + 2 * PAGE_SIZE, PAGE_SIZE));
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 2 && vm_pinned == 2);
	proxy_accounts(getppid(), &locked, &vm_pinned);
	EXPECT(locked == 0 && vm_pinned == 0);
	EXPECT(locked_vm_pages(mm_self()) == 0);

	/* The device keeps what it had. */
	EXPECT(unmap(at) == 0);
	memset(at, 0x33, 2 * PAGE_SIZE);
	EXPECT(call(T_BYTE, 0) == 0x31 && call(T_BYTE, PAGE_SIZE) == 0x32);
	EXPECT(call(T_UNPIN, 0) == 0);
	EXPECT(!mm_pins_near((uintptr_t)at, PAGE_SIZE));
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 0 && vm_pinned == 0);
	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0 && call(T_BYTE, 0) == 0x33 && call(T_UNPIN, 0) == 0);

	pinned.uva = PAGE_SIZE;
	EXPECT(call(T_PIN, (unsigned long)&pinned) == -EFAULT);
	proxy_accounts(1 << 30, &locked, &vm_pinned); /* nobody's */
	EXPECT(locked == 0 && vm_pinned == 0);
}

static void a_child_pins_memory(void **state)
{
	lives(pins_memory);
}

static bool says_that_it_ends;

static void ends_with_pinned_memory(void)
{
	u8 *at = childs_page(0x41);
	struct pinned pinned = { .uva = (uintptr_t)at, .len = 2 * PAGE_SIZE };

	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0 && call(T_BYTE, 0) == 0x41);
	if (says_that_it_ends)
		proxy_end();
}

static void memory_outlives_a_child(void **state)
{
	u64 locked, vm_pinned;
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		says_that_it_ends = i;
		pid = served(ends_with_pinned_memory);
		went_well(pid);
		all_quiet();
		assert_int_equal(dev_byte(PAGE_SIZE), i ? 0x41 : -EFAULT);
		assert_int_equal(locked_vm_pages(dev.pinned.mm), 2);
		serve_accounts(pid, &locked, &vm_pinned); /* who has that number now? */
		assert_int_equal(locked, 0);
		dev_unpin();
	}
	serve_accounts(getpid(), &locked, &vm_pinned);
	assert_int_equal(locked, locked_vm_pages(mm_self()));
	assert_int_equal(vm_pinned, 0);
}

/* ---- more processes ---- */

static void takes_its_turn(void)
{
	EXPECT(call(T_TURN, 0) == 0 && call(T_TURN, 2) == 0);
}

static void takes_its_turn_too(void)
{
	EXPECT(call(T_TURN, 1) == 0 && call(T_TURN, 3) == 0);
}

static void children_call_at_once(void **state)
{
	pid_t a = served(takes_its_turn_too), b = served(takes_its_turn);

	went_well(a);
	went_well(b);
	all_quiet();
	assert_int_equal(atomic_load(&dev.turn), 4);
}

/* ---- who is killed in a call ---- */

static pid_t killed;

static void calls_until_it_is_killed(void)
{
	call(T_TURN, 5);
	EXPECT(false);
}

static void *comes_to_turn_5(void *arg)
{
	usleep(50000);
	atomic_store(&dev.turn, 5);
	return arg;
}

static void kill_one_in_a_call(void)
{
	int status;

	killed = served(calls_until_it_is_killed);
	while (!atomic_load(&dev.waiting))
		usleep(100);
	assert_int_equal(kill(killed, SIGKILL), 0);
	assert_int_equal(waitpid(killed, &status, 0), killed);
	assert_int_equal(status, SIGKILL);
}

static void waits_for_the_killed(void)
{
	proxy_wait_for(killed);
	EXPECT(call(T_TURN, 6) == 0);
}

static void a_call_ends_after_its_caller(void **state)
{
	pthread_t thread;

	kill_one_in_a_call();
	assert_int_equal(pthread_create(&thread, NULL, comes_to_turn_5, NULL), 0);
	serve_wait_for(killed);
	assert_int_equal(atomic_load(&dev.turn), 6);
	pthread_join(thread, NULL);
	all_quiet();
}

static void a_child_waits_for_its_sibling(void **state)
{
	pthread_t thread;

	kill_one_in_a_call();
	assert_int_equal(pthread_create(&thread, NULL, comes_to_turn_5, NULL), 0);
	went_well(served(waits_for_the_killed));
	assert_int_equal(atomic_load(&dev.turn), 7);
	pthread_join(thread, NULL);
	all_quiet();
}

/* Nobody waits for ever; nor for who calls nothing, or is none of ours. */
static void a_call_never_ends(void **state)
{
	struct timespec since, now;

	clock_gettime(CLOCK_MONOTONIC, &since);
	serve_wait_for(getpid());
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec - since.tv_sec <= 1);
	kill_one_in_a_call();
	clock_gettime(CLOCK_MONOTONIC, &since);
	serve_wait_for(killed);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec - since.tv_sec >= 1);
	assert_int_equal(atomic_load(&dev.waiting), 1);
	atomic_store(&dev.turn, 5);
	all_quiet();
}

static void grandchild(void)
{
	struct pinned pinned = { .uva = (uintptr_t)childs_page(0x51), .len = PAGE_SIZE };
	struct twice t = { .in = 4 };
	u64 locked = 0, vm_pinned = 0;
	int fd;

	EXPECT(call(T_DOUBLE, (unsigned long)&t) == 0 && t.out == 8);
	EXPECT(call(T_PIN, (unsigned long)&pinned) == 0 && call(T_BYTE, 0) == 0x51);
	proxy_accounts(getpid(), &locked, &vm_pinned);
	EXPECT(locked == 1);
	proxy_accounts(getppid(), &locked, &vm_pinned);
	EXPECT(locked == 0);
	EXPECT(call(T_UNPIN, 0) == 0);
	EXPECT(call(T_PUBLISH, (unsigned long)&fd) == 0 && call(T_FGET, (unsigned)fd) == ioctl_at(fd, T_ID, 0));
	EXPECT(call(T_TURN, 1) == 0); /* the child, its parent, has ended */
}

static void has_a_child(void)
{
	int fd = (int)EXPECT_OK(fd_publish(opened("/dev/far/dev"), true)), sock;
	long id = ioctl_at(fd, T_ID, 0);
	pid_t server = getppid(), pid;

	sock = (int)EXPECT_OK(proxy_connect_child());
	EXPECT(fd_is_private(sock));
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		as_child(sock, server);
		EXPECT(ioctl_at(fd, T_ID, 0) == id);
		grandchild();
		end_life(0);
	}
	fd_private_close(sock);
	EXPECT(ioctl_at(fd, T_ID, 0) == id);
	close_number(fd);
	EXPECT(call(T_RELEASED, 0) == 0); /* the grandchild has it, or was ended by a signal */
	EXPECT(call(T_TURN, 0) == 0);
}

static void a_child_has_a_child(void **state)
{
	lives(has_a_child);
	file_reap();
	assert_int_equal(atomic_load(&dev.turn), 2);
	assert_int_equal(atomic_load(&dev.released), 2);
}

/* ---- files that the parent closes ---- */

static int plain_fd;

static void goes_on_alone(void)
{
	struct twice t = { .in = 3 };

	EXPECT(call(T_TURN, 0) == 0); /* both are closed there */
	EXPECT(ioctl_at(plain_fd, T_DOUBLE, (unsigned long)&t) == 0 && t.out == 6);
	t.in = 5;
	EXPECT(call(T_DOUBLE, (unsigned long)&t) == 0 && t.out == 10);
	close_number(plain_fd);
	EXPECT(call(T_RELEASED, 0) == 1);
	EXPECT(call(T_TURN, 2) == 0);
}

static void the_parent_closes(void **state)
{
	pid_t pid;

	plain_fd = open_here("/dev/far/plain", false);
	atomic_store(&dev.turn, -1);
	pid = served(goes_on_alone);
	close_here(plain_fd);
	close_here(inherited);
	assert_int_equal(atomic_load(&dev.released), 0);
	dev_turn(-1);
	dev_turn(1);
	went_well(pid);
	file_reap();
	assert_int_equal(atomic_load(&dev.released), 2);
	all_quiet();
	inherited = open_here("/dev/far/dev", true);
}

static int unnoted_fd;

static void finds_no_file(void)
{
	struct file *file = fget(unnoted_fd);
	char buf[8];
	int err;

	EXPECT(call(T_TURN, 0) == 0);
	EXPECT(do_ioctl(unnoted_fd, file, T_ID, 0) == -EBADF && says("does not have the file any more"));
	EXPECT(do_read(unnoted_fd, file, buf, 8, NULL) == -EBADF && do_write(unnoted_fd, file, buf, 8, NULL) == -EBADF);
	EXPECT(do_lseek(unnoted_fd, file, 0, SEEK_SET) == -EBADF && file_flush(file) == -EBADF);
	EXPECT(file->f_op->fdinfo(file, buf, 8) == -EBADF && file->f_op->link(file, buf, 8) == -EBADF);
	EXPECT(!map_device(file, 0x40000, PAGE_SIZE, PROT_READ, &err) && err == -EBADF);
	EXPECT(file_flags(file) == O_RDWR); /* as it was */
	EXPECT(call(T_FGET, (unsigned)unnoted_fd) == -EINVAL);
}

/* Nothing told the server that the child has it, too. */
static void the_parent_closed_all(void **state)
{
	pid_t pid;

	unnoted_fd = open_here("/dev/far/dev", false);
	atomic_store(&dev.turn, -1);
	pid = served(finds_no_file);
	close_here(unnoted_fd);
	assert_int_equal(atomic_load(&dev.released), 1);
	dev_turn(-1);
	went_well(pid);
	all_quiet();
}

/* ---- memory runs out ---- */

static void has_no_memory(void)
{
	struct file *file;
	u32 n = 0, failed = 0;
	int err, fd = -1;

	do {
		nomem_begin(++n);
		err = do_open("/dev/far/dev", O_RDWR, &file);
		EXPECT(!err || err == -ENOMEM);
		failed += err != 0;
		if (!err)
			do_close(-1, file);
	} while (nomem_end());
	EXPECT(!err && failed >= 2);
	EXPECT(call(T_RELEASED, 0) == n);

	n = failed = 0;
	do {
		nomem_begin(++n);
		err = (int)call(T_PUBLISH, (unsigned long)&fd);
		EXPECT(!err || err == -ENOMEM);
		failed += err != 0;
	} while (nomem_end());
	EXPECT(!err && failed >= 2 && fd_is_ours(fd));
}

static void a_child_has_no_memory(void **state)
{
	lives(has_no_memory);
}

/* ---- processes that were not forked with a connection ---- */

static void finds_the_kernel(void)
{
	int strange = memfd_create("strange", MFD_CLOEXEC), again;
	struct file *file;

	/* A program that got descriptors: no kernel, and no connection. */
	fd_uninstall(inherited);
	EXPECT(!proxy_begin_with(strange) && !proxy_active());
	file = proxy_begin_with(inherited);
	EXPECT(file && proxy_active() && !strcmp(file->path, "/dev/far/dev"));
	EXPECT(!fd_install(inherited, file));
	EXPECT(call(T_ID, 0) > 0 && call(T_IS_OWN, 0) == 0);
	again = dup(inherited);
	file = proxy_find(again);
	EXPECT(file && do_ioctl(again, file, T_ID, 0) == call(T_ID, 0));
	do_close(again, file);
	EXPECT(!proxy_find(strange) && !proxy_find(-1));
}

static void asks_it_to_listen(void)
{
	proxy_listen();
	proxy_listen();
}

static pid_t unconnected(void (*life)(void))
{
	pid_t pid = fork();

	if (!pid) {
		ONE_THREAD();
		vma_forget_all(mm_self());
		file_forget_all();
		pins_forget();
		fd_private_forget_exclusive(-1);
		life();
		end_life(0);
	}
	return pid;
}

static void finds_nobody(void)
{
	int pid = 0;

	EXPECT(wire_next_listener(&pid) == -ENOENT);
	EXPECT(!proxy_begin_with(inherited) && !proxy_active());
}

static void found_by_a_descriptor(void **state)
{
	int pid = 0, sock;

	went_well(unconnected(finds_nobody));
	own_threads++; /* the one that listens, once */
	lives(asks_it_to_listen);
	sock = wire_next_listener(&pid);
	assert_true(sock >= 0 && pid == getpid() && fd_is_private(sock) && wire_trusts(sock));
	assert_int_equal(wire_next_listener(&pid), -ENOENT);
	hello(sock);
	fd_private_close(sock);
	all_quiet();
	went_well(unconnected(finds_the_kernel));
	all_quiet();
	serve_listen();
	all_quiet();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(a_child_opens),
		GUARDED_TEST(the_server_looks_first),
		GUARDED_TEST(a_child_calls_ioctls),
		GUARDED_TEST(a_child_reads_and_writes),
		GUARDED_TEST(a_child_maps),
		GUARDED_TEST(a_child_names_descriptors),
		GUARDED_TEST(a_child_gets_descriptors),
		GUARDED_TEST(a_child_pins_memory),
		GUARDED_TEST(memory_outlives_a_child),
		GUARDED_TEST(children_call_at_once),
		GUARDED_TEST(a_call_ends_after_its_caller),
		GUARDED_TEST(a_child_waits_for_its_sibling),
		GUARDED_TEST(a_call_never_ends),
		GUARDED_TEST(a_child_has_a_child),
		GUARDED_TEST(the_parent_closes),
		GUARDED_TEST(the_parent_closed_all),
		GUARDED_TEST(a_child_has_no_memory),
		GUARDED_TEST(a_child_does_the_rest),
		GUARDED_TEST(found_by_a_descriptor),
	};

	serve_before_open = look_first;
	return cmocka_run_group_tests(tests, setup, teardown);
}
