/* SPDX-License-Identifier: BSD-3-Clause */
/* fault_files_test.c - what can be written to the files of faults and what they say, all as a Linux 7.3.4 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/fs/fault_files.h"
#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

#define DEBUG "sys/kernel/debug/"
#define SLAB DEBUG "failslab/"

static char dir[64];

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s/faults_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(kernfs_open(dir, true), 0);
	return fault_files_init();
}

static int teardown(void **state)
{
	char cmd[128];

	fault_files_exit();
	kernfs_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* ---- helpers ---- */

static struct file *open_any(const char *path, unsigned flags)
{
	struct file *file = path[0] == '/' ? fault_proc_open(path, flags) : kernfs_open_attr(path, flags);

	assert_non_null(file);
	assert_false(IS_ERR(file));
	return file;
}

static ssize_t put(const char *path, const char *text)
{
	struct file *file = open_any(path, O_WRONLY);
	u64 pos = 0;
	ssize_t ret = file->f_op->write(file, text, strlen(text), &pos);

	fput(file);
	return ret;
}

static void must_say(const char *path, const char *want)
{
	struct file *file = open_any(path, O_RDONLY);
	char got[64];
	u64 pos = 0;
	ssize_t len = file->f_op->read(file, got, sizeof(got) - 1, &pos);

	fput(file);
	assert_in_range(len, 2, sizeof(got) - 1);
	assert_int_equal(got[len - 1], '\n');
	got[len - 1] = '\0';
	assert_string_equal(got, want);
}

/* Written whole, or to @len if that is given: and then it says @says. */
struct word {
	const char *text, *says;
	ssize_t len;
};

static void takes(const char *path, const struct word *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(put(path, words[i].text), words[i].len ? words[i].len : (ssize_t)strlen(words[i].text));
		must_say(path, words[i].says);
	}
}
#define TAKES(path_, ...) ({ const struct word words_[] = { __VA_ARGS__ }; takes(path_, words_, ARRAY_SIZE(words_)); })

/* Refused, and it says what it did. */
static void refuses(const char *path, int err, const char *const *words, size_t count, const char *says)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(put(path, words[i]), err);
		must_say(path, says);
	}
}
#define REFUSES(path_, err_, says_, ...) ({ const char *const words_[] = { __VA_ARGS__ }; \
	refuses(path_, err_, words_, ARRAY_SIZE(words_), says_); })

/* ---- debugfs ---- */

static void first_values(void **state)
{
	static const char *const values[][2] = {
		{ "failslab/probability", "0" }, { "failslab/interval", "1" }, { "failslab/times", "1" },
		{ "failslab/space", "0" }, { "failslab/verbose", "2" }, { "failslab/verbose_ratelimit_interval_ms", "0" },
		{ "failslab/verbose_ratelimit_burst", "10" }, { "failslab/task-filter", "N" },
		{ "failslab/ignore-gfp-wait", "Y" }, { "failslab/cache-filter", "N" },
		{ "fail_page_alloc/ignore-gfp-wait", "Y" }, { "fail_page_alloc/ignore-gfp-highmem", "Y" },
		{ "fail_page_alloc/min-order", "1" },
	};
	struct stat st;
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(path, sizeof(path), DEBUG "%s", values[i][0]);
		must_say(path, values[i][1]);
		snprintf(path, sizeof(path), "%s/" DEBUG "%s", dir, values[i][0]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
	}
	assert_false(kernfs_exists(SLAB "min-order"));
	assert_false(kernfs_exists(DEBUG "fail_page_alloc/cache-filter"));
	assert_false(kernfs_exists(DEBUG "fail_iommufd"));
	assert_int_equal(fault_create_debugfs_attr(FAULT_IOMMUFD), 0);
	must_say(DEBUG "fail_iommufd/times", "1");
	assert_false(kernfs_exists(DEBUG "fail_iommufd/ignore-gfp-wait"));
}

static void numbers(void **state)
{
	TAKES(SLAB "probability", { "101", "101" }, { "0x10", "16" }, { "010", "8" }, { "10\n", "10" }, { "+1", "1" },
	      { "18446744073709551615", "18446744073709551615" }, { "000000000000000000000000000000005", "0" }, { "00000000000000000000005", "5" });
	REFUSES(SLAB "probability", -EINVAL, "5", "-1", "-0", "x", "", " 7", "7 ", "7x", "\n", "1\n\n", "Y", "+", "0x", "08", "1 1");
	REFUSES(SLAB "probability", -ERANGE, "5", "18446744073709551616");
	/* As wide as any number, then cut. */
	TAKES(SLAB "verbose_ratelimit_burst", { "4294967296", "0" }, { "1000000000000", "3567587328" },
	      { "18446744073709551615", "4294967295" });
	REFUSES(DEBUG "fail_page_alloc/min-order", -EINVAL, "1", "-1");
	TAKES(SLAB "times", { "-1", "-1" }, { "-5", "-5" }, { "4294967295", "-1" }, { "1000000000000", "-727379968" },
	      { "-9223372036854775808", "0" }, { "9223372036854775807", "-1" }, { "-0", "0" });
	REFUSES(SLAB "times", -ERANGE, "0", "9223372036854775808", "-9223372036854775809", "18446744073709551615");
	REFUSES(SLAB "space", -EINVAL, "0", "-", "--1", "-+1", "- 1", "");
}

static void truth_values(void **state)
{
	TAKES(SLAB "task-filter", { "Y", "Y" }, { "n", "N" }, { "1", "Y" }, { "0", "N" }, { "true", "Y" }, { "False", "N" },
	      { "on", "Y" }, { "OFF", "N" }, { "e", "Y" }, { "d", "N" }, { "y\n", "Y" });
	/* no truth values: taken, and of no effect */
	TAKES(SLAB "task-filter", { "x", "Y" }, { "-1", "Y" }, { "2", "Y" }, { "o", "Y" }, { " 0", "Y" }, { "\n", "Y" }, { "", "Y" });
}

/* What a program sets is there for all processes of the machine, and while nothing has memory. */
static void no_memory_and_others(void **state)
{
	struct file *file = open_any(SLAB "probability", O_RDWR);
	u64 pos = 0;
	char got[8];

	assert_int_equal(put(SLAB "ignore-gfp-wait", "N"), 1);
	assert_int_equal(put(SLAB "times", "-1"), 2);
	assert_false(fault_armed());
	assert_int_equal(put(SLAB "probability", "100"), 3);
	assert_true(fault_armed());
	assert_null(kmalloc(1));
	assert_int_equal(PTR_ERR(kernfs_open_attr(SLAB "times", O_RDONLY)), -ENOMEM);
	assert_int_equal(file->f_op->read(file, got, sizeof(got), &pos), 4);
	assert_int_equal(file->f_op->write(file, "50", 2, &pos), 2);
	assert_int_equal(file->f_op->write(file, "0", 1, &pos), 1);
	assert_true(file->f_op->stream);
	fput(file);
	/* Another process comes. */
	kernfs_created();
	fault_files_exit();
	must_say(SLAB "times", "1");
	kernfs_close();
	assert_int_equal(kernfs_open(dir, false), 0);
	assert_int_equal(fault_files_init(), 0);
	must_say(SLAB "times", "-1");
	must_say(SLAB "ignore-gfp-wait", "N");
}

/* ---- tasks ---- */

static char nth[64], mark[64];

static void names_of(pid_t pid)
{
	snprintf(nth, sizeof(nth), "/proc/%d/fail-nth", pid);
	snprintf(mark, sizeof(mark), "/proc/%d/task/%d/make-it-fail", pid, pid);
}

static void tasks(void **state)
{
	names_of(getpid());
	must_say(nth, "0");
	must_say(mark, "0");
	TAKES(nth, { "1", "1" }, { "4294967295", "4294967295" }, { "0x10", "16" }, { "010\n", "8" }, { "+1", "1" });
	REFUSES(nth, -EINVAL, "1", "-1", "-0", "x", "", " 7", "7x", "\n");
	REFUSES(nth, -ERANGE, "1", "4294967296", "18446744073709551616");
	TAKES(nth, { "0", "0" });
	TAKES(mark, { "1", "1" }, { "-0", "0" }, { " 1", "1" }, { "0", "0" }, { "\n1\n\n", "1" }, { "0\n", "0" }, { "0x1", "1" },
	      { "00000000000000001", "0", 12 }); /* twelve characters of it */
	REFUSES(mark, -EINVAL, "0", "2", "-1", "100", "10\n", "", "x", "1x", "1 1");
	REFUSES(mark, -ERANGE, "0", "4294967295", "18446744073709551616");
}

static void other_tasks(void **state)
{
	struct file *file;
	pid_t pid = fork();
	char got[8];
	u64 pos = 0;

	if (!pid)
		pause();
	names_of(pid);
	assert_int_equal(put(nth, "9"), 1);
	must_say(nth, "9");
	file = open_any(nth, O_RDWR);
	assert_false(file->f_op->stream); /* pread works */
	assert_int_equal(file->f_op->lseek(file, 0, SEEK_SET), -ESPIPE);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(file->f_op->read(file, got, sizeof(got), &pos), -ESRCH);
	assert_int_equal(file->f_op->write(file, "1", 1, &pos), -ESRCH);
	fput(file);
	assert_int_equal(PTR_ERR(fault_proc_open(nth, O_RDWR)), -ENOENT);
	snprintf(nth, sizeof(nth), "/proc/%d/task/1/fail-nth", getpid()); /* a thread of another process */
	assert_int_equal(PTR_ERR(fault_proc_open(nth, O_RDONLY)), -ENOENT);
	assert_null(fault_proc_open("/proc/1/fail-nths", O_RDONLY));
	assert_null(fault_proc_open("/proc/1/task/x/fail-nth", O_RDONLY));
	assert_null(fault_proc_open("/proc/0/fail-nth", O_RDONLY));
	assert_null(fault_proc_open("/proc/99999999999999999999/fail-nth", O_RDONLY));
	assert_null(fault_proc_open("/sys/fail-nth", O_RDONLY));
}

#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_values), TEST(numbers), TEST(truth_values), TEST(no_memory_and_others), TEST(tasks), TEST(other_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
