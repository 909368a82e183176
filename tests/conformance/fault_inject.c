/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault_inject.c - failures on order: the files by which they are ordered, and calls of which each point fails in turn.
 *
 * How many points a call has, and in which order, is each kernel's own.  So a sweep's row says which errnos came
 * while they failed, one by one, and what the call gave when none was left to fail: that shows that the
 * failures before did no harm.
 *
 * usage: fault_inject EDU MSIX    as legacy.c, which tells the rest; with the test ioctl of /dev/iommu, and as root
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/conformance/calls.h"
#include "tests/conformance/faults.h"

/* ---- files ---- */

/* @text in a row's name: a line's end would end the row. */
static const char *shown(const char *text)
{
	static char out[80];
	char *o = out;

	for (; *text; text++) {
		if (*text == '\n')
			*o++ = '\\';
		*o++ = *text == '\n' ? 'n' : *text;
	}
	*o = 0;
	return out;
}

static void put_each(const char *path, const char *const *words, size_t count, const char *before)
{
	char what[100];

	for (size_t i = 0; i < count; i++) {
		put(path, before);
		snprintf(what, sizeof(what), "write \"%s\"", shown(words[i]));
		T(what, put(path, words[i]));
		note("%s", text_of(path));
	}
	put(path, before);
}
#define PUT_EACH(path_, words_, before_) put_each(path_, words_, sizeof(words_) / sizeof((words_)[0]), before_)

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void directory(const char *name)
{
	struct dirent **entries;
	char path[300];
	struct stat st;
	int n;

	snprintf(path, sizeof(path), DEBUG "%s", name);
	begin(name);
	n = scandir(path, &entries, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), DEBUG "%s/%s", name, entries[i]->d_name);
			T(entries[i]->d_name, stat(path, &st));
			note("mode %o, %s", st.st_mode, text_of(path));
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static void debugfs(void)
{
	static const char *const numbers[] = {
		"0", "1", "-1", "101", "0x10", "010", "08", "0x", "+1", "-0", "+", "10\n", "1\n\n", "\n", "", " 7", "7 ", "7x", "1 1", "x", "Y",
		"-5", "4294967295", "4294967296", "1000000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "18446744073709551615", "18446744073709551616", "000000000000000000000000000000000005",
	};
	static const char *const truths[] = {
		"Y", "y\n", "N", "n", "0", "1", "2", "-1", "true", "T", "false", "F", "on", "oN", "off", "OF", "o", "e", "D", "yes", "no", "x", "", "\n",
		" 1",
	};
	char buf[16];
	int fd;

	directory("failslab");
	directory("fail_page_alloc");
	directory("fail_iommufd");
	begin("probability");
	PUT_EACH(SLAB "probability", numbers, "0");
	begin("times");
	PUT_EACH(SLAB "times", numbers, "1");
	begin("space");
	PUT_EACH(SLAB "space", numbers, "0");
	begin("verbose_ratelimit_burst");
	PUT_EACH(SLAB "verbose_ratelimit_burst", numbers, "10");
	begin("min-order");
	PUT_EACH(PAGES "min-order", numbers, "1");
	begin("cache-filter, first N");
	PUT_EACH(SLAB "cache-filter", truths, "N");
	begin("cache-filter, first Y");
	PUT_EACH(SLAB "cache-filter", truths, "Y");
	put(SLAB "cache-filter", "N");
	begin("positions of a number");
	fd = open(SLAB "times", O_RDWR);
	T("pread", pread(fd, buf, 1, 0));
	T("pwrite", pwrite(fd, "1", 1, 0));
	T("lseek", lseek(fd, 0, SEEK_SET));
	T("read 1 byte", read(fd, buf, 1));
	T("read the rest", read(fd, buf, 15));
	T("read on", read(fd, buf, 15));
	T("write", write(fd, "1", 1));
	close(fd);
	begin("positions of a truth value");
	fd = open(SLAB "cache-filter", O_RDWR);
	T("pread", pread(fd, buf, 15, 0));
	T("pread at 1", pread(fd, buf, 15, 1));
	T("pwrite at 5", pwrite(fd, "N", 1, 5));
	T("read", read(fd, buf, 1));
	T("lseek", lseek(fd, 0, SEEK_SET));
	T("read again", read(fd, buf, 15));
	close(fd);
	begin("opening");
	TFD("O_TRUNC and O_CREAT", fd = open(SLAB "times", O_WRONLY | O_CREAT | O_TRUNC, 0600));
	note(", %s", text_of(SLAB "times"));
	close(fd);
	TFD("O_EXCL", open(SLAB "times", O_WRONLY | O_CREAT | O_EXCL, 0600));
	T("access", access(SLAB "times", R_OK | W_OK));
}

/* ---- tasks ---- */

static void *look(void *arg)
{
	int own = open(NTH, O_RDONLY | O_CLOEXEC);
	char left[16] = "";

	pread(own, left, sizeof(left) - 1, 0);
	close(own);
	snprintf(arg, 64, "make-it-fail %s, %s", text_of(MARK), atoi(left) ? "fail-nth counts" : "no fail-nth");
	return NULL;
}

/* As a child, a program that was started, or a thread finds it. */
static void inherited(void)
{
	char seen[64], path[80];
	int fds[2], fd, status, self = getpid();
	pthread_t thread;
	pid_t pid;

	begin("inherited");
	put(MARK, "1");
	set_nth(1000000);
	pipe(fds);
	pid = fork();
	if (!pid) {
		look(seen);
		write(fds[1], seen, sizeof(seen));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	read(fds[0], seen, sizeof(seen));
	T("a child", 0);
	note("%s", seen);
	pid = fork();
	if (!pid) { /* which looks at its parent, and changes it */
		snprintf(path, sizeof(path), "/proc/%d/make-it-fail", self);
		snprintf(seen, 40, "%s", text_of(path));
		snprintf(seen + strlen(seen), 20, ", written %ld", put(path, "0"));
		write(fds[1], seen, sizeof(seen));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	read(fds[0], seen, sizeof(seen));
	set_nth(0);
	T("the parent's mark, from a child", 0);
	note("%s, now %s", seen, text_of(MARK));
	pid = fork();
	if (!pid) {
		nth = open(NTH, O_RDWR | O_CLOEXEC); /* what was open is the parent's */
		put(MARK, "1");
		set_nth(1000000);
		dup2(fds[1], 1);
		execl("/proc/self/exe", "fault_inject", "look", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	memset(seen, 0, sizeof(seen));
	read(fds[0], seen, sizeof(seen) - 1);
	T("a program", status);
	note("%s", seen);

	begin("a task that ended");
	pid = fork();
	if (!pid)
		pause();
	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	fd = open(path, O_RDWR);
	T("fail-nth of a child", pwrite(fd, "7", 1, 0));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	T("read", pread(fd, seen, sizeof(seen), 0));
	T("write", pwrite(fd, "1", 1, 0));
	close(fd);
	TFD("open", open(path, O_RDONLY));
	TFD("a thread that is none", open("/proc/self/task/1/fail-nth", O_RDONLY));
	close(fds[0]);
	close(fds[1]);
	put(MARK, "1");
	set_nth(1000000);
	pthread_create(&thread, NULL, look, seen);
	pthread_join(thread, NULL);
	set_nth(0);
	put(MARK, "0");
	begin("inherited by a thread");
	T("of one that is marked", 0);
	note("%s", seen);
}

static void proc(void)
{
	static const char *const numbers[] = {
		"0", "1", "2", "100", "-1", "0x10", "0x1", "010", "01", "08", "+1", "-0", "+", "10\n", "1\n", "1\n\n", "\n1", "", "\n", " 1", "1 ", "1x",
		"1 1", "x", "Y", "-5", "2147483648", "4294967295", "4294967296", "18446744073709551616", "00000000000000001",
		"-2147483648", "-2147483649",
	};
	char buf[16], name[64], path[64];
	struct stat st;
	ssize_t n;
	int fd;

	begin("fail-nth");
	T("stat", stat(NTH, &st));
	note("mode %o size %ld", st.st_mode, (long)st.st_size);
	T("access", access("/proc/self/fail-nth", R_OK | W_OK));
	PUT_EACH(NTH, numbers, "0");
	T("write 5", pwrite(nth, "5", 1, 0));
	T("pread 2 at 1", pread(nth, buf, 2, 1));
	T("read 1 byte", read(nth, buf, 1));
	T("write where that ended", write(nth, "6", 1));
	T("read", read(nth, buf, 15));
	T("lseek", lseek(nth, 0, SEEK_SET));
	T("lseek to the end", lseek(nth, 0, SEEK_END));
	set_nth(0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", nth);
	n = readlink(path, name, sizeof(name));
	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", getpid(), gettid());
	T("name", n == (ssize_t)strlen(path) && !memcmp(name, path, (size_t)n));
	TFD("O_EXCL", open(NTH, O_WRONLY | O_CREAT | O_EXCL, 0600));
	begin("make-it-fail");
	T("stat", stat(MARK, &st));
	note("mode %o size %ld", st.st_mode, (long)st.st_size);
	PUT_EACH(MARK, numbers, "0");
	fd = open("/proc/self/make-it-fail", O_RDWR | O_TRUNC | O_CREAT, 0600);
	T("pwrite at 7", pwrite(fd, "1", 1, 7));
	T("read 1 byte", read(fd, buf, 1));
	T("lseek", lseek(fd, 0, SEEK_CUR));
	T("read on", read(fd, buf, 15));
	T("pwrite", pwrite(fd, "0", 1, 0));
	close(fd);
	inherited();
}

/* ---- what fails: a call with one point ---- */

static int iommufd;
static uint32_t as;

static long one_point(void)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges c = { .size = sizeof(c), .ioas_id = as, .num_iovas = 8, .allowed_iovas = (uintptr_t)ranges };

	return ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &c);
}

struct order { const char *probability, *interval, *times, *space, *filter; };

static void give(struct order o)
{
	put(POINTS "interval", o.interval);
	put(POINTS "times", o.times);
	put(POINTS "space", o.space);
	put(POINTS "task-filter", o.filter);
	put(POINTS "probability", o.probability);
}

/* Which of eight calls fail. */
static void eight(const char *what)
{
	char got[9] = "";

	for (int i = 0; i < 8; i++)
		got[i] = one_point() ? 'x' : '.';
	put(POINTS "probability", "0");
	T(what, 0);
	note("%s times %s space %s", got, text_of(POINTS "times"), text_of(POINTS "space"));
}
#define EIGHT(...) ({ give((struct order){ __VA_ARGS__ }); eight(#__VA_ARGS__); })

static void attributes(void)
{
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	as = ioas(iommufd);
	begin("probability, interval, times, space, filter");
	T("what fails", ({ give((struct order){ "100", "1", "1", "0", "N" }); one_point(); }));
	put(POINTS "probability", "0");
	EIGHT("0", "1", "1", "0", "N");
	EIGHT("100", "1", "3", "0", "N");
	EIGHT("1000", "1", "-1", "0", "N");
	EIGHT("100", "1", "0", "5", "N");
	EIGHT("100", "1", "-5", "0", "N");
	EIGHT("100", "1", "-2147483648", "0", "N");
	EIGHT("100", "1", "-1", "1", "N");
	EIGHT("100", "1", "-1", "4", "N");
	EIGHT("100", "1", "-1", "-1", "N");
	EIGHT("0", "1", "-1", "4", "N");
	EIGHT("100", "0", "-1", "0", "N");
	EIGHT("100", "2", "-1", "0", "N");
	EIGHT("100", "4", "-1", "0", "N");
	EIGHT("100", "4", "-1", "3", "N");
	EIGHT("100", "4", "0", "0", "N");
	EIGHT("100", "4", "2", "0", "N");
	EIGHT("100", "1", "-1", "4", "Y");
	begin("the same, by a marked task");
	put(MARK, "1");
	EIGHT("100", "1", "2", "4", "Y");
	EIGHT("100", "1", "2", "0", "N");
	put(MARK, "0");
	begin("the same, with fail-nth 3");
	set_nth(3);
	EIGHT("0", "1", "0", "1000", "Y");
	set_nth(3);
	EIGHT("100", "1000", "1", "1000", "Y");
	set_nth(3);
	EIGHT("100", "1", "3", "0", "N");
	set_nth(100);
	EIGHT("100", "1", "-1", "0", "N");
	T("what is left", end_nth());
	give((struct order){ "0", "1", "1", "0", "N" });
	close(iommufd);
}

/* ---- sweeps: each point of a call fails in turn ---- */

/* The last of them goes through and stays.  @quiet: Linux answers this way or that, from one time to the next. */
static long sweep_(const char *what, long (*call)(void), void (*undo)(void), bool quiet)
{
	struct errnos seen = { .count = 0 };
	unsigned failed = 0, rounds = 2;
	long ret = -1;
	int err = 0;

	/* Twice, as what a call keeps for the next shifts the points of that. */
	for (unsigned n = 1; rounds; n++) {
		set_nth(n);
		errno = 0;
		ret = call();
		err = errno;
		if (end_nth() || n > 1000) {
			rounds--;
			n = 0;
		} else {
			failed++;
			if (ret < 0)
				errno_seen(&seen, err);
		}
		if (rounds && ret >= 0 && undo)
			undo();
	}
	row(what, ret < 0 ? -1 : 0, err);
	if (quiet)
		return ret;
	note(failed ? "before that:" : "nothing failed");
	note_errnos(&seen);
	return ret;
}
#define sweep(what_, call_, undo_) sweep_(what_, call_, undo_, false)

static int container = -1, group = -1, device = -1, event = -1, file_fd = -1;
static uint32_t as2, stdev, mock, hwpt, hwpt2, nested, queue, viommu, vdev, veventq, devid;
static int queue_fd = -1, veventq_fd = -1, access_fd = -1;
static uint32_t pages;
#define A 0x1000000ull

static void close_at(int *fd)
{
	close(*fd);
	*fd = -1;
}

static long open_iommufd(void) { return iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC); }
static void close_iommufd(void) { close_at(&iommufd); }
static long new_ioas(void)
{
	struct iommu_ioas_alloc c = { .size = sizeof(c) };
	long ret = ioctl(iommufd, IOMMU_IOAS_ALLOC, &c);

	as = c.out_ioas_id;
	return ret;
}
static void drop_ioas(void) { destroy(iommufd, as); }
static long map_some(void) { return imap(iommufd, as, FIXED | RD | WR, mem, 1 * MB, A); }
static void unmap_some(void) { iunmap(iommufd, as, A, 1 * MB); }
static long map_more(void) { return imap(iommufd, as, FIXED | RD | WR, mem, 1 * MB, A + 4 * MB); }
static void unmap_more(void) { iunmap(iommufd, as, A + 4 * MB, 1 * MB); }
static long map_file(void)
{
	struct iommu_ioas_map_file c = { .size = sizeof(c), .flags = FIXED | RD | WR, .ioas_id = as, .fd = file_fd,
					 .length = 1 * MB, .iova = A + 8 * MB };

	return ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &c);
}
static void unmap_file(void) { iunmap(iommufd, as, A + 8 * MB, 1 * MB); }
static long copy_some(void)
{
	struct iommu_ioas_copy c = { .size = sizeof(c), .flags = FIXED | RD | WR, .dst_ioas_id = as2, .src_ioas_id = as,
				     .length = 1 * MB, .dst_iova = A, .src_iova = A };

	return ioctl(iommufd, IOMMU_IOAS_COPY, &c);
}
static void uncopy(void) { iunmap(iommufd, as2, A, 1 * MB); }
static long unmap_once(void) { return iunmap(iommufd, as, A, 1 * MB); }
static void map_again(void) { map_some(); }

union test_cmd { uint32_t w[18]; uint64_t q[9]; };

/* The test ioctl, whose layout is in no uAPI header. */
static long test(uint32_t op, uint32_t id, union test_cmd *c)
{
	c->w[0] = sizeof(*c);
	c->w[1] = op;
	c->w[2] = id;
	return ioctl(iommufd, _IO(IOMMUFD_TYPE, 0xa0), c);
}
static long new_mock(void)
{
	union test_cmd c = { .w = { 0 } };
	long ret = test(2, as, &c);

	stdev = c.w[4];
	mock = c.w[6];
	return ret;
}
static void drop_mock(void) { destroy(iommufd, stdev); }
static long new_hwpt(uint32_t flags, uint32_t pt, uint32_t type, uint32_t *ret_id)
{
	uint32_t data = 0;
	struct iommu_hwpt_alloc c = { .size = sizeof(c), .flags = flags, .dev_id = mock, .pt_id = pt, .data_type = type,
				      .data_len = type ? 4 : 0, .data_uptr = type ? (uintptr_t)&data : 0 };
	long ret = ioctl(iommufd, IOMMU_HWPT_ALLOC, &c);

	*ret_id = c.out_hwpt_id;
	return ret;
}
static long new_parent(void) { return new_hwpt(IOMMU_HWPT_ALLOC_NEST_PARENT, as, 0, &hwpt); }
static void drop_parent(void) { destroy(iommufd, hwpt); }
static long new_dirty(void) { return new_hwpt(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, as, 0, &hwpt2); }
static void drop_dirty(void) { destroy(iommufd, hwpt2); }
static long new_nested(void) { return new_hwpt(0, hwpt, 0xdead, &nested); }
static long new_vnested(void) { return new_hwpt(0, viommu, 0xdead, &nested); }
static void drop_nested(void) { destroy(iommufd, nested); }
static long replace(uint32_t pt)
{
	union test_cmd c = { .w = { [4] = pt } };

	return test(10, stdev, &c);
}
static long replace_hwpt(void) { return replace(hwpt); }
static void back_to_ioas(void) { replace(as); }
static long dirty_on(void)
{
	struct iommu_hwpt_set_dirty_tracking c = { .size = sizeof(c), .flags = 1, .hwpt_id = hwpt2 };

	return ioctl(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &c);
}
static long dirty_get(void)
{
	struct iommu_hwpt_get_dirty_bitmap c = { .size = sizeof(c), .hwpt_id = hwpt2, .iova = A, .length = 1 * MB, .page_size = PG,
						 .data = (uintptr_t)mem + 2 * MB };

	return ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &c);
}
static long new_queue(void)
{
	struct iommu_fault_alloc c = { .size = sizeof(c) };
	long ret = ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &c);

	queue = c.out_fault_id;
	queue_fd = (int)c.out_fault_fd;
	return ret;
}
static void drop_queue(void)
{
	close_at(&queue_fd);
	destroy(iommufd, queue);
}
static long new_viommu(void)
{
	struct iommu_viommu_alloc c = { .size = sizeof(c), .type = 0xdeadbeef, .dev_id = mock, .hwpt_id = hwpt };
	long ret = ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &c);

	viommu = c.out_viommu_id;
	return ret;
}
static void drop_viommu(void) { destroy(iommufd, viommu); }
static long new_vdevice(void)
{
	struct iommu_vdevice_alloc c = { .size = sizeof(c), .viommu_id = viommu, .dev_id = mock, .virt_id = 0x99 };
	long ret = ioctl(iommufd, IOMMU_VDEVICE_ALLOC, &c);

	vdev = c.out_vdevice_id;
	return ret;
}
static void drop_vdevice(void) { destroy(iommufd, vdev); }
static long new_veventq(void)
{
	struct iommu_veventq_alloc c = { .size = sizeof(c), .viommu_id = viommu, .type = 0xbeefbeef, .veventq_depth = 4 };
	long ret = ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &c);

	veventq = c.out_veventq_id;
	veventq_fd = (int)c.out_veventq_fd;
	return ret;
}
static void drop_veventq(void)
{
	close_at(&veventq_fd);
	destroy(iommufd, veventq);
}
static long new_access(void)
{
	union test_cmd c = { .w = { [5] = 1 } };
	long ret = test(5, as, &c);

	access_fd = (int)c.w[4];
	return ret;
}
static void drop_access(void) { close_at(&access_fd); }
static long pin_pages(void)
{
	union test_cmd c = { .q = { [3] = A, [4] = 1 * MB, [5] = (uintptr_t)mem } };
	long ret = test(7, (uint32_t)access_fd, &c);

	pages = c.w[5];
	return ret;
}
static void unpin_pages(void)
{
	union test_cmd c = { .w = { [4] = pages } };

	test(6, (uint32_t)access_fd, &c);
}
static long access_rw(void)
{
	union test_cmd c = { .q = { [2] = A, [3] = 2 * PG, [4] = (uintptr_t)mem + 2 * MB } };

	return test(8, (uint32_t)access_fd, &c);
}
static long allow(void)
{
	struct iommu_iova_range range = { A, A + 16 * MB - 1 };
	struct iommu_ioas_allow_iovas c = { .size = sizeof(c), .ioas_id = as2, .num_iovas = 1, .allowed_iovas = (uintptr_t)&range };

	return ioctl(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &c);
}
static long hw_info(void)
{
	char data[64];
	struct iommu_hw_info c = { .size = sizeof(c), .dev_id = mock, .data_len = sizeof(data), .data_uptr = (uintptr_t)data };

	return ioctl(iommufd, IOMMU_GET_HW_INFO, &c);
}

static void iommufd_on_mocks(void)
{
	file_fd = memfd_create("file", MFD_CLOEXEC);
	ftruncate(file_fd, 1 * MB);
	sweep("open", open_iommufd, close_iommufd);
	sweep("IOAS_ALLOC", new_ioas, drop_ioas);
	as2 = ioas(iommufd);
	sweep("IOAS_MAP", map_some, unmap_some);
	sweep("IOAS_COPY", copy_some, uncopy);
	sweep("IOAS_IOVA_RANGES", one_point, NULL);
	sweep_("mock device, attached", new_mock, drop_mock, true);
	sweep("IOAS_MAP where a device is", map_more, unmap_more);
	sweep("IOAS_MAP_FILE", map_file, unmap_file);
	sweep("IOAS_UNMAP", unmap_once, map_again);
	map_some();
	sweep("GET_HW_INFO", hw_info, NULL);
	sweep("HWPT_ALLOC, parent", new_parent, drop_parent);
	sweep("replace by it", replace_hwpt, back_to_ioas);
	sweep("HWPT_ALLOC, nested", new_nested, drop_nested);
	drop_nested();
	sweep("HWPT_ALLOC, dirty tracking", new_dirty, drop_dirty);
	sweep("SET_DIRTY_TRACKING", dirty_on, NULL);
	sweep("GET_DIRTY_BITMAP", dirty_get, NULL);
	drop_dirty();
	sweep("FAULT_QUEUE_ALLOC", new_queue, drop_queue);
	drop_queue();
	sweep("VIOMMU_ALLOC", new_viommu, drop_viommu);
	sweep("VDEVICE_ALLOC", new_vdevice, drop_vdevice);
	sweep("VEVENTQ_ALLOC", new_veventq, drop_veventq);
	sweep("HWPT_ALLOC, nested in a vIOMMU", new_vnested, drop_nested);
	drop_nested();
	drop_veventq();
	drop_vdevice();
	drop_viommu();
	sweep("access", new_access, drop_access);
	sweep("pages pinned", pin_pages, unpin_pages);
	unpin_pages();
	sweep("memory read", access_rw, NULL);
	drop_access();
	sweep("IOAS_ALLOW_IOVAS", allow, NULL);
	T("destroy the device", destroy(iommufd, stdev));
	T("destroy the parent", destroy(iommufd, hwpt));
	T("destroy the IOAS", ({ unmap_some(); unmap_more(); unmap_file(); destroy(iommufd, as); }));
	T("destroy the other", ({ uncopy(); destroy(iommufd, as2); }));
	close_iommufd();
	close_at(&file_fd);
}

/* ---- sweeps of VFIO ---- */

static long open_container(void) { return container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC); }
static void close_container(void) { close_at(&container); }
static char group_node[PATH_MAX];
static long open_group(void) { return group = open(group_node, O_RDWR | O_CLOEXEC); }
static void close_group(void) { close_at(&group); }
static long set_container(void) { return ioctl(group, VFIO_GROUP_SET_CONTAINER, &container); }
static void unset_container(void) { ioctl(group, VFIO_GROUP_UNSET_CONTAINER); }
static long set_iommu(void) { return ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU); }
/* There is no way back but to take the group out. */
static void unset_iommu(void)
{
	unset_container();
	set_container();
}
static long get_device(void) { return device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, msix); }
static void close_device(void) { close_at(&device); }
static long map_dma(void) { return dma_map(container, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, mem, A, 1 * MB); }
static void unmap_dma(void) { dma_unmap(container, 0, A, 1 * MB); }
static long iommu_info(void)
{
	static char buf[4096];
	struct vfio_iommu_type1_info *info = (void *)buf;

	info->argsz = sizeof(buf);
	return ioctl(container, VFIO_IOMMU_GET_INFO, info);
}
static long dirty_start(void)
{
	struct vfio_iommu_type1_dirty_bitmap c = { .argsz = sizeof(c), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START };

	return ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &c);
}
static void dirty_stop(void)
{
	struct vfio_iommu_type1_dirty_bitmap c = { .argsz = sizeof(c), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP };

	ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &c);
}
static long irqs(uint32_t index, uint32_t flags, uint32_t count)
{
	struct { struct vfio_irq_set set; int32_t fds[4]; } c = {
		.set = { .argsz = sizeof(c.set) + count * 4, .flags = flags | VFIO_IRQ_SET_ACTION_TRIGGER, .index = index, .count = count },
		.fds = { event, event, event, event },
	};

	if (!count)
		c.set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	return ioctl(device, VFIO_DEVICE_SET_IRQS, &c);
}
static long intx_on(void) { return irqs(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, 1); }
static void intx_off(void) { irqs(VFIO_PCI_INTX_IRQ_INDEX, 0, 0); }
static long msix_on(void) { return irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, 4); }
static void msix_off(void) { irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, 0); }
static long err_on(void) { return irqs(VFIO_PCI_ERR_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, 1); }
static void err_off(void) { irqs(VFIO_PCI_ERR_IRQ_INDEX, 0, 0); }
static long region_info(void)
{
	static char buf[256];
	struct vfio_region_info *info = (void *)buf;

	*info = (struct vfio_region_info){ .argsz = sizeof(buf), .index = VFIO_PCI_BAR0_REGION_INDEX };
	return ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
}
static long hot_reset_info(void)
{
	static char buf[512];
	struct vfio_pci_hot_reset_info *info = (void *)buf;

	*info = (struct vfio_pci_hot_reset_info){ .argsz = sizeof(buf) };
	return ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}
static long hot_reset(void)
{
	struct { struct vfio_pci_hot_reset head; int32_t fd; } c = { .head = { .argsz = sizeof(c), .count = 1 }, .fd = group };

	return ioctl(device, VFIO_DEVICE_PCI_HOT_RESET, &c);
}
static uint64_t bar0(void)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX };

	return ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) ? 0 : info.offset;
}
static long ioeventfd(void)
{
	struct vfio_device_ioeventfd c = { .argsz = sizeof(c), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = bar0() + 0x1000, .fd = event };

	return ioctl(device, VFIO_DEVICE_IOEVENTFD, &c);
}
static void no_ioeventfd(void)
{
	struct vfio_device_ioeventfd c = { .argsz = sizeof(c), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = bar0() + 0x1000, .fd = -1 };

	ioctl(device, VFIO_DEVICE_IOEVENTFD, &c);
}

static void vfio_by_group(void)
{
	event = eventfd(0, EFD_CLOEXEC);
	snprintf(group_node, sizeof(group_node), "%s", group_path(msix));
	sweep("open the container", open_container, close_container);
	sweep("open the group", open_group, close_group);
	sweep("SET_CONTAINER", set_container, unset_container);
	sweep("SET_IOMMU", set_iommu, unset_iommu);
	sweep("IOMMU_GET_INFO", iommu_info, NULL);
	sweep("MAP_DMA", map_dma, unmap_dma);
	sweep("DIRTY_PAGES, start", dirty_start, dirty_stop);
	dirty_stop();
	sweep("GET_DEVICE_FD", get_device, close_device);
	sweep("GET_REGION_INFO", region_info, NULL);
	sweep("SET_IRQS, INTx", intx_on, intx_off);
	intx_off();
	sweep_("SET_IRQS, MSI-X", msix_on, msix_off, true);
	msix_off();
	sweep("SET_IRQS, errors", err_on, err_off);
	sweep("IOEVENTFD", ioeventfd, no_ioeventfd);
	sweep("GET_PCI_HOT_RESET_INFO", hot_reset_info, NULL);
	sweep("PCI_HOT_RESET", hot_reset, NULL);
	T("UNMAP_DMA", dma_unmap(container, 0, A, 1 * MB));
	note("0x%llx", (unsigned long long)unmapped);
	T("close the device", ({ close_device(); 0; }));
	T("UNSET_CONTAINER", ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
	close_group();
	close_container();
}

static char device_node[PATH_MAX];
static long open_device(void) { return device = open(device_node, O_RDWR | O_CLOEXEC); }
static long bind_device(void) { return bind_to(device, iommufd, &devid); }
/* Bound once and for all: only a new file can be bound anew. */
static void rebind(void)
{
	close_device();
	open_device();
}
static long attach_device(void)
{
	uint32_t id = as;

	return attach(device, 0, &id);
}
static void detach_device(void) { detach(device, 0); }

static void vfio_by_cdev(void)
{
	char link[32];
	int fd = open_cdev(msix);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	readlink(link, device_node, sizeof(device_node) - 1);
	close(fd);
	open_iommufd();
	new_ioas();
	map_some();
	sweep("open the device", open_device, close_device);
	sweep("BIND_IOMMUFD", bind_device, rebind);
	sweep("ATTACH_IOMMUFD_PT", attach_device, detach_device);
	sweep("IOAS_MAP", map_more, unmap_more);
	T("DETACH_IOMMUFD_PT", detach(device, 0));
	close_device();
	T("destroy the IOAS", ({ unmap_some(); unmap_more(); destroy(iommufd, as); }));
	close_iommufd();
	close_at(&event);
}

/*
 * On while the device is opened and closed: Linux asks ACPI for the interrupt's line when it enables one, and a refused
 * allocation in there brings that kernel down sooner or later.  Nobody may switch it while it has a driver.
 */
static void keep_enabled(const char *on)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", msix);
	T("unbind", put("/sys/bus/pci/drivers/vfio-pci/unbind", msix) > 0);
	T("enable", put(path, on));
	T("bind", put("/sys/bus/pci/drivers/vfio-pci/bind", msix) > 0);
}

static void sweeps(void)
{
	faults_of_all();
	begin("each point fails: iommufd");
	iommufd_on_mocks();
	begin("each point fails: group and container");
	keep_enabled("1");
	vfio_by_group();
	begin("each point fails: device and iommufd");
	vfio_by_cdev();
	keep_enabled("0");
}

int main(int argc, char **argv)
{
	char text[64];

	if (argc > 1 && !strcmp(argv[1], "look")) {
		look(text);
		return write(1, text, strlen(text)) < 0;
	}
	start(argc, argv);
	faults_start();
	debugfs();
	proc();
	faults_quiet();
	attributes();
	sweeps();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
