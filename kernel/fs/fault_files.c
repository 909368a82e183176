/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault_files.c - the files by which programs order failures.
 *
 *	/sys/kernel/debug/{failslab,fail_page_alloc,fail_iommufd}/	the attributes of a kind of fault
 *	/proc/PID/, /proc/PID/task/TID/, /proc/thread-self/		a task's fail-nth and make-it-fail
 *
 * How numbers and truth values are written is Linux's way in each file, found by asking: signed ones are 64 bits wide
 * and then cut, of 23 characters; a word that is no truth value is taken and changes nothing; make-it-fail looks at twelve characters.
 *
 * Stacktrace filters (require-start and so on) are not there, as in kernels without FAULT_INJECTION_STACKTRACE_FILTER:
 * an address of the kernel's code means nothing to a program here.
 *
 * Sources: Linux Documentation/fault-injection/fault-injection.rst, Documentation/filesystems/debugfs.rst.
 */
#include "kernel/fs/fault_files.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define MAKE_IT_FAIL_CHARS 12u

static void *shared; /* tree lock */

/* ---- numbers ------------------------------------------------------------------------------- */

/* What is looked at of a number in debugfs. */
#define NUMBER_CHARS 23u

/* A magnitude in C's notation, alone on its line; sign taken off already. */
static int parse_magnitude(const char *text, u64 *ret)
{
	int base = text[0] != '0' ? 10 : (text[1] | 0x20) == 'x' && isxdigit((unsigned char)text[2]) ? 16 : 8;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, base);
	if (end[0] == '\n')
		end++;
	if (*end)
		return -EINVAL;
	return errno ? -ERANGE : 0;
}

static int parse_u64(const char *text, u64 *ret)
{
	int saved = errno, err = parse_magnitude(text[0] == '+' ? text + 1 : text, ret);

	errno = saved;
	return err;
}

static int parse_s64(const char *text, s64 *ret)
{
	bool minus = text[0] == '-';
	u64 val;
	int err = parse_u64(minus ? text + 1 : text, &val);

	if (err || (minus && text[1] == '+'))
		return err ? err : -EINVAL;
	if (val > (u64)INT64_MAX + minus)
		return -ERANGE;
	*ret = (s64)(minus ? -val : val);
	return 0;
}

static int no_number(int err, const char *text)
{
	return fail(err, "\"%.*s\" is %s", (int)strcspn(text, "\n"), text,
		    err == -ERANGE ? "too large a number" : "not a number");
}

/* ---- attributes ---------------------------------------------------------------------------- */

enum form { AS_U64, AS_U32, AS_S32, AS_BOOL };

#define SLAB BIT(FAULT_SLAB)
#define PAGES BIT(FAULT_PAGE_ALLOC)
#define ALL (SLAB | PAGES | BIT(FAULT_IOMMUFD))
#define FIELD(field_) offsetof(struct fault_attr, field_)

static const struct attr_row {
	const char *name;
	size_t at;
	enum form form;
	u32 kinds;
} rows[] = {
	{ "probability", FIELD(probability), AS_U64, ALL },
	{ "interval", FIELD(interval), AS_U64, ALL },
	{ "times", FIELD(times), AS_S32, ALL },
	{ "space", FIELD(space), AS_S32, ALL },
	{ "verbose", FIELD(verbose), AS_U64, ALL },
	{ "verbose_ratelimit_interval_ms", FIELD(verbose_ratelimit_interval_ms), AS_U32, ALL },
	{ "verbose_ratelimit_burst", FIELD(verbose_ratelimit_burst), AS_U32, ALL },
	{ "task-filter", FIELD(task_filter), AS_BOOL, ALL },
	{ "ignore-gfp-wait", FIELD(ignore_gfp_wait), AS_BOOL, SLAB | PAGES },
	{ "ignore-gfp-highmem", FIELD(ignore_gfp_highmem), AS_BOOL, PAGES },
	{ "min-order", FIELD(min_order), AS_U32, PAGES },
	{ "cache-filter", FIELD(cache_filter), AS_BOOL, SLAB },
};

/* What a file's operations are given: which attribute of which kind. */
static struct attr_file_of {
	const struct attr_row *row;
	enum fault_kind kind;
} files[NR_FAULTS][ARRAY_SIZE(rows)];

static void *field_of(const struct attr_file_of *file)
{
	return (char *)fault_attr(file->kind) + file->row->at;
}

static ssize_t show_number(void *priv, char *buf)
{
	const struct attr_file_of *file = priv;
	void *field = field_of(file);

	if (file->row->form == AS_S32)
		return sprintf(buf, "%d\n", atomic_load((_Atomic int *)field));
	if (file->row->form == AS_U32)
		return sprintf(buf, "%u\n", atomic_load((_Atomic u32 *)field));
	return sprintf(buf, "%llu\n", (unsigned long long)atomic_load((_Atomic u64 *)field));
}

static ssize_t store_number(void *priv, const char *text, size_t len)
{
	const struct attr_file_of *file = priv;
	void *field = field_of(file);
	char head[NUMBER_CHARS + 1];
	s64 val = 0;
	int err;

	snprintf(head, sizeof(head), "%s", text);
	err = file->row->form == AS_S32 ? parse_s64(head, &val) : parse_u64(head, (u64 *)&val);

	if (err)
		return no_number(err, text);
	if (file->row->form == AS_S32)
		atomic_store((_Atomic int *)field, (int)val);
	else if (file->row->form == AS_U32)
		atomic_store((_Atomic u32 *)field, (u32)val);
	else
		atomic_store((_Atomic u64 *)field, (u64)val);
	if (file->row->at == FIELD(probability) && val)
		fault_arm();
	return (ssize_t)len;
}

static ssize_t show_bool(void *priv, char *buf)
{
	return sprintf(buf, "%c\n", atomic_load((atomic_bool *)field_of(priv)) ? 'Y' : 'N');
}

/* The first letter decides, of "on" and "off" the second.  Anything else changes nothing and is no error. */
static ssize_t store_bool(void *priv, const char *text, size_t len)
{
	atomic_bool *field = field_of(priv);
	char first = (char)tolower((unsigned char)text[0]), second = (char)(first ? tolower((unsigned char)text[1]) : 0);

	if (first && (strchr("yte1", first) || (first == 'o' && second == 'n')))
		atomic_store(field, true);
	else if (first && (strchr("nfd0", first) || (first == 'o' && second == 'f')))
		atomic_store(field, false);
	else
		explain_note("\"%.*s\" is neither Y nor N: nothing is changed", (int)strcspn(text, "\n"), text);
	return (ssize_t)len;
}

static const struct kernfs_ops number_ops = { .show = show_number, .store = store_number, .no_memory = true, .stream = true };
static const struct kernfs_ops bool_ops = { .show = show_bool, .store = store_bool, .no_memory = true };

int fault_create_debugfs_attr(enum fault_kind kind)
{
	char path[128];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && !err; i++) {
		if (!(rows[i].kinds & BIT(kind)))
			continue;
		files[kind][i] = (struct attr_file_of){ .row = &rows[i], .kind = kind };
		snprintf(path, sizeof(path), "sys/kernel/debug/%s/%s", fault_name(kind), rows[i].name);
		err = kernfs_create_file(path, 0600, NULL, 0, rows[i].form == AS_BOOL ? &bool_ops : &number_ops,
					 &files[kind][i]);
	}
	return err;
}

int fault_files_init(void)
{
	int err;

	shared = kernfs_map_shared("faults", fault_inject_state_bytes());
	if (IS_ERR(shared)) {
		err = (int)PTR_ERR(shared);
		shared = NULL;
		return fail(err, "what is to fail cannot be shared: %s", strerror(-err));
	}
	fault_inject_share(shared);
	err = fault_create_debugfs_attr(FAULT_SLAB);
	return err ? err : fault_create_debugfs_attr(FAULT_PAGE_ALLOC);
}

void fault_files_exit(void)
{
	fault_inject_share(NULL);
	if (shared)
		sys_munmap(shared, fault_inject_state_bytes());
	shared = NULL;
}

/* ---- tasks --------------------------------------------------------------------------------- */

/* @priv is the task. */
static ssize_t show_nth(void *priv, char *buf)
{
	u32 nth;
	int err = fault_task_get_nth((uintptr_t)priv, &nth);

	return err ? err : sprintf(buf, "%u\n", nth);
}

static ssize_t store_nth(void *priv, const char *text, size_t len)
{
	u64 nth;
	int err = parse_u64(text, &nth);

	if (!err && nth > UINT_MAX)
		err = -ERANGE;
	if (err)
		return no_number(err, text);
	err = fault_task_set_nth((uintptr_t)priv, (u32)nth);
	return err ? err : (ssize_t)len;
}

static ssize_t show_make_it_fail(void *priv, char *buf)
{
	bool on;
	int err = fault_task_get_make_it_fail((uintptr_t)priv, &on);

	return err ? err : sprintf(buf, "%d\n", on);
}

/* What is left of @text without the blanks around it, and of twelve characters. */
static void strip(char ret[MAKE_IT_FAIL_CHARS + 1], const char *text)
{
	size_t len = strnlen(text, MAKE_IT_FAIL_CHARS), first = 0;

	while (first < len && isspace((unsigned char)text[first]))
		first++;
	while (len > first && isspace((unsigned char)text[len - 1]))
		len--;
	memcpy(ret, text + first, len - first);
	ret[len - first] = '\0';
}

static ssize_t store_make_it_fail(void *priv, const char *text, size_t len)
{
	char word[MAKE_IT_FAIL_CHARS + 1];
	s64 val;
	int err;

	strip(word, text);
	err = parse_s64(word, &val);
	if (!err && (val > INT_MAX || val < INT_MIN))
		err = -ERANGE;
	if (err)
		return no_number(err, word);
	if (val != 0 && val != 1)
		return fail(-EINVAL, "%lld is neither 0 nor 1", (long long)val);
	err = fault_task_set_make_it_fail((uintptr_t)priv, val);
	return err ? err : (ssize_t)min(len, (size_t)MAKE_IT_FAIL_CHARS);
}

static const struct kernfs_ops nth_ops = { .show = show_nth, .store = store_nth, .no_memory = true, .no_lseek = true };
static const struct kernfs_ops make_it_fail_ops = { .show = show_make_it_fail, .store = store_make_it_fail, .no_memory = true };

/* "7/fail-nth", "5/task/7/fail-nth".  Return: the thread's number; 0 the name is another. */
static pid_t parse_proc(const char *path, const char **ret_name)
{
	char *end;
	long id = strtol(path, &end, 10);

	if (!isdigit((unsigned char)path[0]) || *end != '/' || id <= 0 || id > INT_MAX)
		return 0;
	if (!strncmp(end, "/task/", 6) && isdigit((unsigned char)end[6]))
		id = strtol(end + 6, &end, 10);
	*ret_name = end;
	return *end == '/' && id > 0 && id <= INT_MAX ? (pid_t)id : 0;
}

/* comm beside it, which the host's kernel has, belongs to whom this file would belong to, with the same mode. */
static int check_comm(const char *path, const char *name, unsigned int f_flags)
{
	int acc = (int)(f_flags & O_ACCMODE), mode = acc == O_RDONLY ? R_OK : acc == O_WRONLY ? W_OK : R_OK | W_OK;
	char comm[64];
	int err;

	if ((size_t)snprintf(comm, sizeof(comm), "%.*s/comm", (int)(name - path), path) >= sizeof(comm))
		return -ENOENT;
	err = sys_access(comm, mode);
	return !err ? 0 : fail(err, err == -EACCES ? "%s is another user's" : "%s: there is no such task", path);
}

struct file *fault_proc_open(const char *path, unsigned int f_flags)
{
	const struct kernfs_ops *ops;
	const char *name;
	pid_t tid;
	u64 task;
	int err;

	if (strncmp(path, "/proc/", 6))
		return NULL;
	tid = parse_proc(path + 6, &name);
	ops = !tid ? NULL : !strcmp(name, "/fail-nth") ? &nth_ops : !strcmp(name, "/make-it-fail") ? &make_it_fail_ops : NULL;
	if (!ops)
		return NULL;
	err = check_comm(path, name, f_flags);
	task = err ? 0 : fault_task_find(tid);
	if (!task)
		return ERR_PTR(err ? err : fail(-ENOENT, "%s: there is no such task", path));
	return kernfs_open_loose(path + 1, 0644, ops, (void *)(uintptr_t)task, f_flags);
}
