/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share.c - files that other processes have open as well.
 *
 * On Linux a file is released when its last descriptor is closed, in whichever process.  Ours live in one process, but
 * their descriptors may get into others: a forked child, a program that it executes, who receives a message.  The host
 * knows of them all: descriptors are real, and a lock of one byte (an OFD lock) belongs to the open file that they
 * share.  So before a descriptor may leave, file_share() locks a byte with it that nobody else uses.  When this process
 * has let go of the file, the lock is there for exactly as long as another process has one of its descriptors.  That
 * is asked by way of a second open file of the same inode, the probe.
 *
 * A file that lives on so keeps one reference.  A thread waits for the lock and drops it; and each call does so too
 * before it begins (file_reap()), because on Linux the files of a child are closed before its parent can have waited
 * for it.
 */
#include <bsd/sys/queue.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>

#include "kernel/fs/file_internal.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"

struct file_share {
	int probe;			/* private; another open file of the inode; immutable */
	off_t at;			/* which byte is locked; immutable */
	struct file *file;		/* list_lock: that lives on, the reference ours; NULL once somebody took it */
	struct file *of;		/* not counted: of a reference count of 0 while this is being freed; immutable */
	LIST_ENTRY(file_share) all;	/* list_lock */
	bool handed_over;		/* it is open elsewhere alone, as it should be; immutable when in the list */
	bool waited_for;		/* a thread frees this; immutable when in the list */
	TAILQ_ENTRY(file_share) next;	/* list_lock */
};

/* Who drops a reference that we kept holds the first, so that whoever had it after him finds all done. */
static struct mutex reap_lock = MUTEX_INITIALIZER(LOCK_FILE_REAP);
static struct mutex list_lock = MUTEX_INITIALIZER(LOCK_FILE_SHARE);
static TAILQ_HEAD(, file_share) elsewhere = TAILQ_HEAD_INITIALIZER(elsewhere); /* list_lock */
static LIST_HEAD(, file_share) shares = LIST_HEAD_INITIALIZER(shares);	       /* list_lock */
atomic_int files_elsewhere;

static int ofd_lock(int fd, int cmd, off_t at, short *type)
{
	struct flock lock = { .l_type = *type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	int ret = (int)sys_fcntl(fd, cmd, (long)&lock);

	*type = lock.l_type;
	return ret;
}

static bool is_held(const struct file_share *share)
{
	short type = F_WRLCK;

	return !ofd_lock(share->probe, F_OFD_GETLK, share->at, &type) && type != F_UNLCK;
}

/* Another open file of the inode behind @fd. */
static int open_probe(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return sys_open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
}

static void share_free(struct file_share *share)
{
	if (!share)
		return;
	if (share->of) {
		mutex_lock(&list_lock);
		LIST_REMOVE(share, all);
		mutex_unlock(&list_lock);
	}
	if (share->probe >= 0)
		fd_private_close(share->probe);
	kfree(share);
}

/* What is waited for, the other process waits for; probes stay open, as all that is private does. */
void share_forget_all(void)
{
	mutex_init(&reap_lock, LOCK_FILE_REAP);
	mutex_init(&list_lock, LOCK_FILE_SHARE);
	TAILQ_INIT(&elsewhere);
	LIST_INIT(&shares);
	atomic_store(&files_elsewhere, 0);
}

/* A byte that nobody locks by chance: the inode may be a node's, which other programs of the machine open, too. */
static bool choose_byte(struct file_share *share)
{
	if (getrandom(&share->at, sizeof(share->at), 0) != sizeof(share->at))
		return false;
	share->at &= INT64_MAX >> 1;
	return true;
}

static bool share_lock(struct file_share *share, int fd)
{
	short type = (sys_fcntl(fd, F_GETFL, 0) & O_ACCMODE) == O_RDONLY ? F_RDLCK : F_WRLCK;
	int probe = open_probe(fd);

	if (probe < 0)
		return false;
	share->probe = fd_private_exclusive(probe);
	if (share->probe < 0) {
		sys_close(probe);
		return false;
	}
	return choose_byte(share) && !ofd_lock(fd, F_OFD_SETLK, share->at, &type) && is_held(share);
}

void file_share(int fd, struct file *file)
{
	struct file_share *share, *none = NULL;

	if (atomic_load(&file->share))
		return;
	share = kzalloc(sizeof(*share));
	if (!share)
		return;
	share->probe = -1;
	if (!share_lock(share, fd) || !atomic_compare_exchange_strong(&file->share, &none, share)) {
		share_free(share);
		return;
	}
	share->of = file;
	mutex_lock(&list_lock);
	LIST_INSERT_HEAD(&shares, share, all);
	mutex_unlock(&list_lock);
}

/*
 * Is @fd of the open file that has the lock?  Then nothing would keep it from locking the byte again.  Asked in this order:
 * nobody locks it anew, so what is locked afterwards was so before.
 */
static bool is_of(const struct file_share *share, int fd)
{
	struct stat theirs, ours;
	short type = F_WRLCK;

	return !sys_fstat(fd, &theirs) && !sys_fstat(share->probe, &ours) && theirs.st_ino == ours.st_ino &&
	       theirs.st_dev == ours.st_dev && !ofd_lock(fd, F_OFD_GETLK, share->at, &type) && type == F_UNLCK &&
	       is_held(share);
}

struct file *file_find_shared(int fd)
{
	struct file_share *share;
	struct file *file = NULL;

	mutex_lock(&list_lock);
	LIST_FOREACH(share, &shares, all)
		if (is_of(share, fd) && file_get_unless_free(share->of)) {
			file = share->of;
			break;
		}
	mutex_unlock(&list_lock);
	return file;
}

void file_hand_over(int fd, struct file *file)
{
	struct file_share *share;

	file_share(fd, file);
	share = atomic_load(&file->share);
	if (share)
		share->handed_over = true;
	sys_close(fd);
	fput(file);
}

static struct file *take_locked(struct file_share *share)
{
	struct file *file = share->file;

	lockdep_assert_held(&list_lock);
	if (file) {
		share->file = NULL;
		TAILQ_REMOVE(&elsewhere, share, next);
	}
	return file;
}

/* Counted until all is done: who does not count it need not wait. */
static void put_taken(struct file *file)
{
	lockdep_assert_held(&reap_lock);
	fput(file);
	atomic_fetch_sub_explicit(&files_elsewhere, 1, memory_order_release);
}

static void *wait_for_others(void *arg)
{
	struct file_share *share = arg;
	struct file *file;
	short type;

	do
		type = F_WRLCK;
	while (ofd_lock(share->probe, F_OFD_SETLKW, share->at, &type) == -EINTR);
	mutex_lock(&reap_lock);
	mutex_lock(&list_lock);
	file = take_locked(share);
	mutex_unlock(&list_lock);
	if (file)
		put_taken(file);
	mutex_unlock(&reap_lock);
	share_free(share);
	return NULL;
}

bool file_lives_on(struct file *file)
{
	struct file_share *share = atomic_exchange(&file->share, NULL);
	pthread_t thread;
	bool waited_for;

	file_close_backing(file);
	if (!is_held(share)) {
		share_free(share);
		return false;
	}
	if (!share->handed_over)
		explain_event("%s stays open: a child of process %d, or whom it sent the descriptor, has it open too",
		      file->path, (int)sys_getpid());
	file->others_fd = share->probe;
	atomic_store_explicit(&file->refs, 1, memory_order_release);
	mutex_lock(&list_lock);
	share->file = file;
	TAILQ_INSERT_TAIL(&elsewhere, share, next);
	atomic_fetch_add(&files_elsewhere, 1);
	share->waited_for = waited_for = !kthread_run(&thread, "file-elsewhere", wait_for_others, share);
	mutex_unlock(&list_lock); /* from now on @share may be gone */
	if (waited_for)
		pthread_detach(thread);
	return true;
}

/* One that nobody has any more, taken out of the list; NULL. */
static struct file *take_abandoned(struct file_share **ret_share)
{
	struct file_share *share;
	struct file *file = NULL;

	mutex_lock(&list_lock);
	TAILQ_FOREACH(share, &elsewhere, next)
		if (!is_held(share))
			break;
	if (share)
		file = take_locked(share);
	*ret_share = share && !share->waited_for ? share : NULL;
	mutex_unlock(&list_lock);
	return file;
}

void file_reap_slow(void)
{
	struct file_share *share;
	struct file *file;

	mutex_lock(&reap_lock);
	while ((file = take_abandoned(&share))) {
		put_taken(file);
		share_free(share);
	}
	mutex_unlock(&reap_lock);
}
