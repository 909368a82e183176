/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault-inject.c - does this point fail?  fault-inject.h tells the idea.
 *
 * The order of the questions is Linux's: what fail-nth says of a task is final, and while it counts the
 * attributes are not asked; then the task filter, probability 0, times, space, interval, and the dice.
 *
 * A task is a thread's number and the moment at which it was born, so that what was set for one does not
 * meet the next one of that number.  Only tasks for which something was set are in the table.
 *
 * What always holds: nothing here allocates or takes a lock, so that a fault point may be anywhere, and a process
 * that is killed leaves nothing half done.  A slot's key is claimed by one exchange; the slot of a dead task is
 * anybody's.
 */
#include "kernel/lib/fault-inject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define NR_TASKS 128
#define CLEANING 1ull /* a key that is no task's: between two owners */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

struct fault_task {
	_Atomic u64 key;	   /* who: number << 32 | birth; 0 free */
	_Atomic u32 fail_nth;	   /* counts down; fails as it comes to 0 */
	atomic_bool make_it_fail;
};

struct fault_state {
	_Atomic u32 ready;	   /* its size, once it is filled in: that of another version is not ours */
	atomic_bool armed;
	_Atomic u64 dice;
	_Atomic u32 claims;	   /* slots that were given out, ever */
	struct fault_attr attr[NR_FAULTS];
	struct fault_task task[NR_TASKS];
};

/* What a kernel starts with. */
#define FAULT_ATTR_INITIALIZER { .interval = 1, .times = 1, .verbose = 2, .verbose_ratelimit_burst = 10, \
	.min_order = 1, .ignore_gfp_wait = true, .ignore_gfp_highmem = true }

static struct fault_state own = {
	.ready = sizeof(struct fault_state),
	.attr = { FAULT_ATTR_INITIALIZER, FAULT_ATTR_INITIALIZER, FAULT_ATTR_INITIALIZER },
};
static struct fault_state *_Atomic state = &own;
const atomic_bool *_Atomic fault_armed_flag = &own.armed; /* that of state */

THREAD_LOCAL unsigned paused;
THREAD_LOCAL bool is_kthread;
/* This thread's own slot, as it was when @claims was what it is now. */
THREAD_LOCAL struct {
	struct fault_state *of;
	struct fault_task *slot, *leader;
	u64 key;
	pid_t tid;
	u32 claims;
} self;

static struct fault_state *now(void)
{
	return atomic_load_explicit(&state, memory_order_acquire);
}

const char *fault_name(enum fault_kind kind)
{
	static const char *const names[] = { "failslab", "fail_page_alloc", "fail_iommufd" };

	return names[kind];
}

struct fault_attr *fault_attr(enum fault_kind kind)
{
	return &now()->attr[kind];
}

void fault_arm(void)
{
	atomic_store(&now()->armed, true);
}

void fault_inject_pause(void)
{
	paused++;
}

void fault_inject_resume(void)
{
	paused--;
}

void fault_inject_kthread(void)
{
	is_kthread = true;
}

size_t fault_inject_state_bytes(void)
{
	return sizeof(struct fault_state);
}

void fault_inject_share(void *shared)
{
	static const struct fault_attr fresh = FAULT_ATTR_INITIALIZER;
	struct fault_state *s = shared;

	if (s && atomic_load(&s->ready) != sizeof(*s)) {
		memset(s, 0, sizeof(*s));
		for (unsigned i = 0; i < NR_FAULTS; i++)
			memcpy(&s->attr[i], &fresh, sizeof(fresh));
		atomic_store(&s->ready, sizeof(*s));
	}
	s = s ? s : &own;
	atomic_store(&state, s);
	atomic_store(&fault_armed_flag, &s->armed);
}

/* ---- tasks --------------------------------------------------------------------------------- */

#define PROC_TEXT 1024u

/* /proc/@tid/@name, or the beginning of it, as a string.  False: there is no such task. */
static bool read_proc(pid_t tid, const char *name, char text[PROC_TEXT])
{
	char path[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	len = sys_read(fd, text, PROC_TEXT - 1);
	sys_close(fd);
	text[len > 0 ? len : 0] = '\0';
	return true;
}

/* When the task was born, in ticks since the host's boot: the 22nd word of its stat.  0: there is no such task. */
static u32 birth_of(pid_t tid)
{
	char text[PROC_TEXT], *p;

	if (!read_proc(tid, "stat", text))
		return 0;
	p = strrchr(text, ')'); /* the end of the second, which may hold blanks */
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return 0;
	for (unsigned word = 2; p && word < 22; word++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p ? (u32)strtoull(p, NULL, 10) | 1u << 31 : 0; /* never 0 */
}

static u64 key_of(pid_t tid)
{
	u32 birth = birth_of(tid);

	return birth ? (u64)tid << 32 | birth : 0;
}

static bool task_lives(u64 task)
{
	return key_of((pid_t)(task >> 32)) == task;
}

u64 fault_task_find(pid_t tid)
{
	return tid > 0 ? key_of(tid) : 0;
}

static struct fault_task *slot_find(struct fault_state *s, u64 task)
{
	for (unsigned i = 0; i < NR_TASKS; i++)
		if (atomic_load(&s->task[i].key) == task)
			return &s->task[i];
	return NULL;
}

/* A slot whose task is @old becomes that of @task.  False: somebody else was faster. */
static bool slot_claim(struct fault_state *s, struct fault_task *slot, u64 old, u64 task)
{
	if (!atomic_compare_exchange_strong(&slot->key, &old, CLEANING))
		return false;
	atomic_store(&slot->fail_nth, 0);
	atomic_store(&slot->make_it_fail, false);
	atomic_store(&slot->key, task);
	atomic_fetch_add(&s->claims, 1);
	return true;
}

static struct fault_task *slot_new(struct fault_state *s, u64 task)
{
	for (unsigned i = 0; i < NR_TASKS; i++)
		if (!atomic_load(&s->task[i].key) && slot_claim(s, &s->task[i], 0, task))
			return &s->task[i];
	for (unsigned i = 0; i < NR_TASKS; i++) {
		u64 old = atomic_load(&s->task[i].key);

		if (old != CLEANING && !task_lives(old) && slot_claim(s, &s->task[i], old, task))
			return &s->task[i];
	}
	return NULL;
}

/* Look again only if the thread is another (a fork), or slots were given out since. */
static void self_refresh(struct fault_state *s)
{
	pid_t tid = sys_gettid(), pid;
	u32 claims = atomic_load(&s->claims);

	if (self.of == s && self.tid == tid && self.claims == claims)
		return;
	if (self.tid != tid) {
		self.tid = tid;
		self.key = key_of(tid);
	}
	self.of = s;
	self.claims = claims;
	self.slot = slot_find(s, self.key);
	pid = sys_getpid();
	self.leader = pid == tid ? self.slot : slot_find(s, key_of(pid));
}

/* A thread for which nothing was set is marked as its process is: those that it started after that are, too. */
static bool is_marked(const struct fault_task *slot, const struct fault_task *leader)
{
	return slot ? atomic_load(&slot->make_it_fail) : leader && atomic_load(&leader->make_it_fail);
}

int fault_task_get_nth(u64 task, u32 *ret_nth)
{
	struct fault_task *slot;

	if (!task_lives(task))
		return fail(-ESRCH, "the task %llu has ended", (unsigned long long)task >> 32);
	slot = slot_find(now(), task);
	*ret_nth = slot ? atomic_load(&slot->fail_nth) : 0;
	return 0;
}

/* The process that a thread belongs to: a line of its status.  0: it has ended. */
static pid_t process_of(pid_t tid)
{
	char text[PROC_TEXT], *line;

	if (!read_proc(tid, "status", text))
		return 0;
	line = strstr(text, "\nTgid:");
	return line ? atoi(line + 6) : 0;
}

int fault_task_get_make_it_fail(u64 task, bool *ret_on)
{
	struct fault_state *s = now();
	struct fault_task *slot = slot_find(s, task), *leader = NULL;

	if (!task_lives(task))
		return fail(-ESRCH, "the task %llu has ended", (unsigned long long)task >> 32);
	if (!slot)
		leader = slot_find(s, key_of(process_of((pid_t)(task >> 32))));
	*ret_on = is_marked(slot, leader);
	return 0;
}

/* The task's slot, made if need be. */
static int slot_get(u64 task, struct fault_task **ret_slot)
{
	struct fault_state *s = now();
	bool marked;
	int err = fault_task_get_make_it_fail(task, &marked);

	if (err)
		return err;
	*ret_slot = slot_find(s, task);
	if (*ret_slot)
		return 0;
	*ret_slot = slot_new(s, task);
	if (!*ret_slot)
		return fail(-ENOMEM, "something is set for %u tasks of this machine already", NR_TASKS);
	atomic_store(&(*ret_slot)->make_it_fail, marked);
	return 0;
}

int fault_task_set_nth(u64 task, u32 nth)
{
	struct fault_task *slot;
	int err = slot_get(task, &slot);

	if (err)
		return err;
	atomic_store(&slot->fail_nth, nth);
	if (nth)
		fault_arm();
	return 0;
}

int fault_task_set_make_it_fail(u64 task, bool on)
{
	struct fault_task *slot;
	int err = slot_get(task, &slot);

	if (!err)
		atomic_store(&slot->make_it_fail, on);
	return err;
}

void fault_inject_before_fork(void)
{
	if (fault_armed() || atomic_load(&now()->claims))
		self_refresh(now());
}

void fault_inject_in_child(void)
{
	bool marked = self.of == now() && is_marked(self.slot, self.leader);

	if (marked)
		(void)fault_task_set_make_it_fail(key_of(sys_gettid()), true);
}

/* ---- does it fail? ------------------------------------------------------------------------- */

/* One point of the task.  Return: true: fail-nth is counting, and *@ret_fail says what it came to. */
static bool count_nth(struct fault_task *slot, bool *ret_fail)
{
	u32 nth = atomic_load(&slot->fail_nth);

	do {
		if (!nth)
			return false;
	} while (!atomic_compare_exchange_weak(&slot->fail_nth, &nth, nth - 1));
	*ret_fail = nth == 1;
	return true;
}

/* @space may be taken from by many at once, and must not fall below what is refused. */
static bool has_space(struct fault_attr *attr, size_t size)
{
	int space = atomic_load(&attr->space);

	do {
		if (space <= 0 || size >= (size_t)space)
			return false;
	} while (!atomic_compare_exchange_weak(&attr->space, &space, space - (int)size));
	return true;
}

static u64 throw_dice(struct fault_state *s)
{
	u64 x = atomic_fetch_add(&s->dice, 0x9e3779b97f4a7c15ull); /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % 100;
}

static bool attr_says(struct fault_state *s, struct fault_attr *attr, size_t size, bool marked)
{
	u64 interval = atomic_load(&attr->interval), probability = atomic_load(&attr->probability);

	if (atomic_load(&attr->task_filter) && !marked)
		return false;
	if (!probability || !atomic_load(&attr->times) || has_space(attr, size))
		return false;
	if (interval > 1 && (atomic_fetch_add(&attr->count, 1) + 1) % interval)
		return false;
	return probability >= 100 || throw_dice(s) < probability;
}

/* Is it to be said, and not too often? */
static bool is_verbose(struct fault_attr *attr)
{
	u32 interval = atomic_load(&attr->verbose_ratelimit_interval_ms);
	struct timespec ts;
	u64 ms;

	if (!explain_enabled || !atomic_load(&attr->verbose))
		return false;
	if (!interval)
		return true;
	sys_clock_gettime(CLOCK_MONOTONIC, &ts);
	ms = (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
	if (ms - atomic_load(&attr->said_from_ms) >= interval) {
		atomic_store(&attr->said_from_ms, ms);
		atomic_store(&attr->said, 0);
	}
	return atomic_fetch_add(&attr->said, 1) < atomic_load(&attr->verbose_ratelimit_burst);
}

static __attribute__((cold)) void say_it(enum fault_kind kind, struct fault_attr *attr, size_t size, bool nth)
{
	static const char *const what[] = { "bytes of slab memory are", "pages are", "points of iommufd are" };

	if (is_verbose(attr))
		explain_event("FAULT_INJECTION: forcing a failure: name %s, interval %llu, probability %llu, space %d, times %d",
			      fault_name(kind), (unsigned long long)attr->interval, (unsigned long long)attr->probability,
			      attr->space, attr->times);
	if (kind == FAULT_IOMMUFD)
		(void)fail(0, "fails on order (%s)", nth ? "fail-nth" : fault_name(kind));
	else
		(void)fail(0, "%zu %s refused on order (%s)", size, what[kind], nth ? "fail-nth" : fault_name(kind));
}

static void spend_time(struct fault_attr *attr)
{
	int times = atomic_load(&attr->times);

	do {
		if (!times || times == -1)
			return;
	} while (!atomic_compare_exchange_weak(&attr->times, &times, (int)((u32)times - 1)));
}

static __attribute__((noinline, cold)) bool fails(struct fault_state *s, enum fault_kind kind, size_t size)
{
	struct fault_attr *attr = &s->attr[kind];
	bool nth = false, ret = false, marked = false;

	if (!is_kthread) {
		self_refresh(s);
		nth = self.slot && count_nth(self.slot, &ret);
		marked = is_marked(self.slot, self.leader);
	}
	if (!nth)
		ret = attr_says(s, attr, size, marked);
	if (!ret)
		return false;
	say_it(kind, attr, size, nth);
	spend_time(attr);
	return true;
}

bool should_fail(enum fault_kind kind, size_t size)
{
	return fault_armed() && !paused && fails(now(), kind, size);
}

bool should_failslab(size_t bytes, bool can_wait)
{
	struct fault_attr *attr = fault_attr(FAULT_SLAB);

	if ((can_wait && atomic_load(&attr->ignore_gfp_wait)) || atomic_load(&attr->cache_filter))
		return false;
	return should_fail(FAULT_SLAB, bytes);
}

bool should_fail_alloc_page(unsigned order, bool scattered)
{
	struct fault_attr *attr = fault_attr(FAULT_PAGE_ALLOC);

	if (order < atomic_load(&attr->min_order) || atomic_load(&attr->ignore_gfp_wait) ||
	    (scattered && atomic_load(&attr->ignore_gfp_highmem)))
		return false;
	return should_fail(FAULT_PAGE_ALLOC, (size_t)1 << order);
}
