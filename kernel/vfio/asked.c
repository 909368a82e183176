/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * asked.c - a process that unbinds a device asks for it in the process that uses it.
 *
 * The bus driver's request() op tells a program that the device is wanted back (vfio-pci: by the request
 * interrupt, upon which a VMM unplugs it from its guest).  Within a process that is a call.  Between two, the
 * one that unbinds marks the file that all processes lock while they use the device (busy.c) with a read lock
 * of another sort (an OFD lock), which goes away with it, and rings the machine's bell; a thread in the other
 * hears it and looks at its devices' files.  The thread is there only if a program has asked to be told, and
 * ends when its last device is closed.
 */
#include <fcntl.h>
#include <stdatomic.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/sys.h"
#include "kernel/vfio/vfio_priv.h"

static struct {
	struct mutex lock;			/* LOCK_VFIO_ASKED */
	TAILQ_HEAD(, vfio_device) devices;	/* lock: those in use */
	atomic_bool running;
	atomic_uint end;			/* moves: the thread that knows another number ends */
	pthread_t thread;			/* of who set running, a device in use; then of the last device */
} asked = { .lock = MUTEX_INITIALIZER(LOCK_VFIO_ASKED), .devices = TAILQ_HEAD_INITIALIZER(asked.devices) };

/* ---- the process that uses devices ---- */

void vfio_asked_add(struct vfio_device *vdev)
{
	mutex_lock(&asked.lock);
	vdev->asked = 0;
	atomic_store(&vdev->listens, false);
	TAILQ_INSERT_TAIL(&asked.devices, vdev, asked_next);
	mutex_unlock(&asked.lock);
}

/* Would a lock for writing meet somebody's lock for reading? */
bool vfio_asked_is_wanted(const struct vfio_device *vdev)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !sys_fcntl(vdev->busy_fd, F_OFD_GETLK, (long)&lock) && lock.l_type == F_RDLCK;
}

static void ask_all(void)
{
	struct vfio_device *vdev;

	mutex_lock(&asked.lock);
	TAILQ_FOREACH(vdev, &asked.devices, asked_next) {
		if (!vfio_asked_is_wanted(vdev)) /* the lock is held, so that busy_fd stays open */
			vdev->asked = 0;
		else if (vdev->ops->request)
			vdev->ops->request(vdev, vdev->asked++);
	}
	mutex_unlock(&asked.lock);
}

static void *listener(void *arg)
{
	const unsigned mine = (unsigned)(uintptr_t)arg;
	u32 heard;

	while (atomic_load(&asked.end) == mine) {
		heard = kernfs_bell();
		ask_all();
		if (atomic_load(&asked.end) == mine)
			kernfs_bell_wait(heard);
	}
	return NULL;
}

static void start_thread(void)
{
	bool no = false;

	if (!atomic_compare_exchange_strong(&asked.running, &no, true))
		return;
	if (kthread_run(&asked.thread, "vfio-asked", listener, (void *)(uintptr_t)atomic_load(&asked.end)))
		atomic_store(&asked.running, false); /* devices are then asked back within this process only */
}

/* @vdev is in use meanwhile, so that the thread is not ended. */
void vfio_asked_listen(struct vfio_device *vdev)
{
	atomic_store(&vdev->listens, true);
	start_thread();
}

static bool anybody_listens(void)
{
	struct vfio_device *vdev;
	bool ret = false;

	mutex_lock(&asked.lock);
	TAILQ_FOREACH(vdev, &asked.devices, asked_next)
		ret |= atomic_load(&vdev->listens);
	mutex_unlock(&asked.lock);
	return ret;
}

/* The thread takes no lock that a closing device's set nests in. */
static void end_thread(void)
{
	atomic_fetch_add(&asked.end, 1);
	kernfs_bell_ring();
	pthread_join(asked.thread, NULL);
	atomic_store(&asked.running, false);
	if (anybody_listens()) /* a device came into use, and found the thread still there */
		start_thread();
}

void vfio_asked_del(struct vfio_device *vdev)
{
	bool last;

	mutex_lock(&asked.lock);
	TAILQ_REMOVE(&asked.devices, vdev, asked_next);
	last = TAILQ_EMPTY(&asked.devices);
	mutex_unlock(&asked.lock);
	if (last && atomic_load(&asked.running))
		end_thread();
}

/* ---- the process that unbinds ---- */

void vfio_ask_others(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	sys_fcntl(fd, F_OFD_SETLK, (long)&lock);
	kernfs_bell_ring();
}
