/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eventq.c - fault queues and vEVENTQs; see eventq.h.
 *
 * The program polls a real descriptor, of a pipe: for both directions behind a fault queue (which can always be
 * written), the reading end behind a vEVENTQ (which never can).  It is readable exactly while the queue holds
 * something.  What read() gives comes from us.
 *
 * A page request group is in one of two lists, until it is answered by the program or its attachment is
 * gone.  A cookie names one in "response".
 */
#include "kernel/iommufd/eventq.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel/fs/file.h"
#include "kernel/iommufd/hw_pagetable.h"
#include "kernel/iommufd/viommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

/* ---- poll ---- */

static void set_readable_locked(struct iommufd_eventq *q, bool readable)
{
	u64 one = 1;

	lockdep_assert_held(&q->lock);
	if (q->readable == readable || q->wake_fd < 0)
		return;
	q->readable = readable;
	if (readable)
		(void)sys_write(q->wake_fd, &one, sizeof(one));
	else
		(void)sys_read(q->poll_fd, &one, sizeof(one));
}

/* ---- the descriptor ---- */

static void eventq_init(struct iommufd_eventq *q, struct iommufd_ctx *ictx)
{
	q->ictx = ictx;
	q->wake_fd = -1;
	q->poll_fd = -1;
	mutex_init(&q->lock, LOCK_IOMMUFD_EVENTQ);
}

static struct iommufd_eventq *eventq_of(struct file *file)
{
	return file->private_data;
}

static void close_pipe(struct iommufd_eventq *q)
{
	mutex_lock(&q->lock);
	fd_private_close(q->wake_fd);
	fd_private_close(q->poll_fd);
	q->wake_fd = -1;
	q->poll_fd = -1;
	mutex_unlock(&q->lock);
}

/* The descriptor's last reference: from now on nobody is woken, and the object may be destroyed. */
static void eventq_release(struct file *file)
{
	struct iommufd_eventq *q = eventq_of(file);
	struct iommufd_ctx *ictx = q->ictx;

	close_pipe(q);
	iommufd_object_drop(&q->obj);
	iommufd_ctx_put(ictx);
}

/*
 * What poll() sees is a pipe.  The program's descriptors are an open file of their own, which others may have as well
 * (kernel/fs/share.c): of one that is written too both directions, so that poll() says that it can be.
 */
static int open_program_end(int pipe_fd, bool writable)
{
	char path[32];
	int fd, hidden;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe_fd);
	fd = sys_open(path, (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return fail(fd, "the host does not open a queue's pipe once more");
	hidden = fd_private_exclusive(fd);
	if (hidden < 0)
		sys_close(fd);
	return hidden;
}

static int open_pipe(struct iommufd_eventq *q)
{
	int fds[2], err = sys_pipe2(fds, O_NONBLOCK | O_CLOEXEC);

	if (err)
		return fail(err, "the host gives no pipe for a queue's poll()");
	q->poll_fd = fd_private(fds[0]);
	if (q->poll_fd < 0)
		sys_close(fds[0]);
	q->wake_fd = q->poll_fd < 0 ? q->poll_fd : fd_private(fds[1]);
	if (q->wake_fd < 0)
		sys_close(fds[1]);
	return min(q->wake_fd, 0);
}

/* The file behind the descriptor; it holds object and context.  ERR_PTR. */
static struct file *eventq_file(struct iommufd_eventq *q, const char *name, const struct file_operations *fops)
{
	struct file *file = file_alloc(fops, q, name, O_RDWR);
	int err;

	if (!file)
		return ERR_PTR(fail(-ENOMEM, "no memory for the file of %s", name));
	iommufd_object_hold(&q->obj);
	iommufd_ctx_get(q->ictx);
	err = open_pipe(q);
	if (!err)
		file->backing_fd = err = open_program_end(q->poll_fd, fops->write);
	if (err >= 0)
		return file;
	file->backing_fd = -1;
	fput(file);
	return ERR_PTR(err);
}

/*
 * Publish the file's descriptor, which @ret_fd in the ioctl's struct tells the program.  The file's reference
 * goes in any case.
 */
static int eventq_publish(struct iommufd_ucmd *ucmd, struct file *file, u32 *ret_fd, size_t cmd_len)
{
	int fd = fd_publish(file, true), err;

	if (fd < 0) {
		fput(file);
		return fd;
	}
	*ret_fd = (u32)fd;
	err = iommufd_ucmd_respond(ucmd, cmd_len);
	if (err)
		fd_unpublish(fd);
	return err;
}

/* ---- page requests ---- */

static struct iommufd_fault *fault_of(struct file *file)
{
	return container_of(eventq_of(file), struct iommufd_fault, q);
}

int iommufd_fault_handler(struct iopf_group *group)
{
	struct iommufd_hw_pagetable *hwpt = group->handle->domain->owner_data;
	struct iommufd_fault *fault = hwpt->fault;

	mutex_lock(&fault->q.lock);
	TAILQ_INSERT_TAIL(&fault->deliver, group, node);
	set_readable_locked(&fault->q, true);
	mutex_unlock(&fault->q.lock);
	return 0;
}

/* Take what belongs to @handle (NULL: all) from one list to another. */
static void take_groups(struct iommufd_iopf_list *from, const struct iommu_attach_handle *handle,
			struct iommufd_iopf_list *to)
{
	struct iopf_group *group, *next;

	for (group = TAILQ_FIRST(from); group; group = next) {
		next = TAILQ_NEXT(group, node);
		if (handle && group->handle != handle)
			continue;
		TAILQ_REMOVE(from, group, node);
		TAILQ_INSERT_TAIL(to, group, node);
	}
}

void iommufd_fault_forget(struct iommufd_fault *fault, const struct iommu_attach_handle *handle)
{
	struct iommufd_iopf_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct iopf_group *group;

	mutex_lock(&fault->q.lock);
	take_groups(&fault->deliver, handle, &gone);
	take_groups(&fault->response, handle, &gone);
	set_readable_locked(&fault->q, !TAILQ_EMPTY(&fault->deliver));
	mutex_unlock(&fault->q.lock);
	while ((group = TAILQ_FIRST(&gone))) {
		TAILQ_REMOVE(&gone, group, node);
		iopf_group_free(group);
	}
}

static struct iopf_group *find_cookie_locked(struct iommufd_fault *fault, u32 cookie)
{
	struct iopf_group *group;

	TAILQ_FOREACH(group, &fault->response, node)
		if (group->cookie == cookie)
			return group;
	return NULL;
}

/* The lowest number that no group waits under; 0 is none. */
static u32 new_cookie_locked(struct iommufd_fault *fault)
{
	struct iopf_group *group;
	u32 cookie = 1;

	/* "response" is in the order of cookies, so that the first gap is the lowest free number. */
	TAILQ_FOREACH(group, &fault->response, node) {
		if (group->cookie != cookie)
			break;
		cookie++;
	}
	return cookie;
}

static void add_response_locked(struct iommufd_fault *fault, struct iopf_group *group)
{
	struct iopf_group *next;

	TAILQ_FOREACH(next, &fault->response, node)
		if (next->cookie > group->cookie)
			break;
	if (next)
		TAILQ_INSERT_BEFORE(next, group, node);
	else
		TAILQ_INSERT_TAIL(&fault->response, group, node);
}

static void fill_pgfault(struct iommu_hwpt_pgfault *rec, const struct iopf_group *group,
			 const struct iommu_page_request *request)
{
	const struct iommufd_attach_handle *handle =
		container_of(group->handle, struct iommufd_attach_handle, handle);

	*rec = (struct iommu_hwpt_pgfault){
		.flags = request->flags,
		.dev_id = atomic_load_explicit(&handle->dev_id, memory_order_relaxed),
		.pasid = request->pasid,
		.grpid = request->grpid,
		.perm = request->perm,
		.addr = request->addr,
		.cookie = group->cookie,
	};
}

/*
 * The first group, if it fits in @room, as records, under a cookie.  NULL: there is none, or *@ret_err.  A
 * program's buffer may be a device's BAR, so that nothing is copied to it under our lock.
 */
static struct iommu_hwpt_pgfault *take_group(struct iommufd_fault *fault, size_t room, size_t *ret_nr, int *ret_err)
{
	struct iommu_hwpt_pgfault *recs = NULL;
	const struct iopf_fault *request;
	struct iopf_group *group;
	size_t n = 0;

	mutex_lock(&fault->q.lock);
	group = TAILQ_FIRST(&fault->deliver);
	if (group && room / sizeof(*recs) < group->nr_faults) {
		*ret_err = fail(-EINVAL, "%zu bytes are too few for a group of %zu page requests", room,
				group->nr_faults);
	} else if (group) {
		recs = kcalloc(group->nr_faults, sizeof(*recs));
		if (!recs)
			*ret_err = fail(-ENOMEM, "no memory to copy %zu page requests", group->nr_faults);
	}
	if (recs) {
		group->cookie = new_cookie_locked(fault);
		TAILQ_FOREACH(request, &group->faults, node)
			fill_pgfault(&recs[n++], group, &request->request);
		TAILQ_REMOVE(&fault->deliver, group, node);
		add_response_locked(fault, group);
	}
	set_readable_locked(&fault->q, !TAILQ_EMPTY(&fault->deliver));
	mutex_unlock(&fault->q.lock);
	*ret_nr = n;
	return recs;
}

/* It could not be delivered: the next read gets it, if it is still there. */
static void untake_group(struct iommufd_fault *fault, u32 cookie)
{
	struct iopf_group *group;

	mutex_lock(&fault->q.lock);
	group = find_cookie_locked(fault, cookie);
	if (group) {
		TAILQ_REMOVE(&fault->response, group, node);
		TAILQ_INSERT_HEAD(&fault->deliver, group, node);
		set_readable_locked(&fault->q, true);
	}
	mutex_unlock(&fault->q.lock);
}

static ssize_t fault_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	struct iommufd_fault *fault = fault_of(file);
	struct iommu_hwpt_pgfault *recs;
	size_t done = 0, nr;
	int err = 0;

	(void)pos; /* a queue has no positions */
	if (len % sizeof(*recs))
		return fail(-ESPIPE, "%zu bytes are no multiple of the %zu bytes of a page request", len,
			    sizeof(*recs));
	while (!err && (recs = take_group(fault, len - done, &nr, &err))) {
		if (copy_to_user(user_at(buf, done), recs, nr * sizeof(*recs))) {
			err = fail(-EFAULT, "page requests cannot be written to %p", (void *)user_at(buf, done));
			untake_group(fault, recs->cookie);
		} else {
			done += nr * sizeof(*recs);
		}
		kfree(recs);
	}
	return done ? (ssize_t)done : err;
}

static int answer(struct iommufd_fault *fault, const struct iommu_hwpt_page_response *response)
{
	struct iopf_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS && response->code != IOMMUFD_PAGE_RESP_INVALID)
		return fail(-EINVAL, "code %u is neither success (0) nor invalid (1)", response->code);
	mutex_lock(&fault->q.lock);
	group = find_cookie_locked(fault, response->cookie);
	if (group)
		TAILQ_REMOVE(&fault->response, group, node);
	mutex_unlock(&fault->q.lock);
	if (!group)
		return fail(-EINVAL, "no page request that was read waits under cookie %u", response->cookie);
	(void)iopf_group_response(group, (enum iommu_page_response_code)response->code);
	iopf_group_free(group);
	return 0;
}

static ssize_t fault_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	struct iommu_hwpt_page_response response;
	ssize_t done = 0;
	int err = 0;

	(void)pos; /* a queue has no positions */
	if (len % sizeof(response))
		return fail(-ESPIPE, "%zu bytes are no multiple of the %zu bytes of a response", len,
			    sizeof(response));
	while (!err && (size_t)done < len) {
		if (copy_from_user(&response, user_at(buf, done), sizeof(response)))
			err = fail(-EFAULT, "the response at %p cannot be read", (const void *)user_at(buf, done));
		else
			err = answer(fault_of(file), &response);
		if (!err)
			done += sizeof(response);
	}
	return done ? done : err;
}

static const struct file_operations fault_fops = {
	.kind = FILE_OTHER,
	.stream = true,
	.shared = true,
	.release = eventq_release,
	.read = fault_read,
	.write = fault_write,
};

void iommufd_fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault *fault = to_fault(obj);

	iommufd_fault_forget(fault, NULL);
	mutex_destroy(&fault->q.lock);
}

int iommufd_fault_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;
	struct file *file;

	if (cmd->flags)
		return fail(-EOPNOTSUPP, "flags 0x%x: none are known", cmd->flags);
	fault = iommufd_object_alloc_size(ucmd->ictx, sizeof(*fault), IOMMUFD_OBJ_FAULT);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	ucmd->new_obj = &fault->q.obj;
	eventq_init(&fault->q, ucmd->ictx);
	TAILQ_INIT(&fault->deliver);
	TAILQ_INIT(&fault->response);
	file = eventq_file(&fault->q, "anon_inode:[iommufd-pgfault]", &fault_fops);
	if (IS_ERR(file))
		return PTR_ERR(file);
	cmd->out_fault_id = fault->q.obj.id;
	return eventq_publish(ucmd, file, &cmd->out_fault_fd, sizeof(*cmd));
}

/* ---- events of a vIOMMU ---- */

static struct iommufd_veventq *veventq_of(struct file *file)
{
	return container_of(eventq_of(file), struct iommufd_veventq, q);
}

static u32 next_sequence_locked(struct iommufd_veventq *veventq)
{
	u32 sequence = veventq->next_sequence;

	veventq->next_sequence = sequence == INT_MAX ? 0 : sequence + 1;
	return sequence;
}

static void queue_locked(struct iommufd_veventq *veventq, struct iommufd_vevent *event)
{
	event->header.sequence = next_sequence_locked(veventq);
	/* The note of what was lost stands at the end only: here the gap in the sequence tells. */
	if (veventq->lost_queued)
		TAILQ_REMOVE(&veventq->deliver, &veventq->lost, node);
	veventq->lost_queued = event == &veventq->lost;
	veventq->nr_events += event != &veventq->lost;
	TAILQ_INSERT_TAIL(&veventq->deliver, event, node);
	set_readable_locked(&veventq->q, true);
}

void iommufd_veventq_push(struct iommufd_veventq *veventq, const void *data, u32 data_len)
{
	struct iommufd_vevent *event = kzalloc_atomic(sizeof(*event));

	assert(data_len <= VEVENT_DATA_MAX);
	if (event) {
		event->data_len = data_len;
		memcpy(event->data, data, data_len);
	}
	mutex_lock(&veventq->q.lock);
	if (!event || veventq->nr_events == veventq->depth) {
		explain_event("vEVENTQ %u: event %u is lost: %s", veventq->q.obj.id, veventq->next_sequence,
			      event ? "as many as veventq_depth are waiting to be read" : "no memory");
		queue_locked(veventq, &veventq->lost);
	} else {
		queue_locked(veventq, event);
		event = NULL;
	}
	mutex_unlock(&veventq->q.lock);
	kfree(event);
}

/* The first one, out of the queue.  NULL: there is none. */
static struct iommufd_vevent *take_event_locked(struct iommufd_veventq *veventq)
{
	struct iommufd_vevent *event = TAILQ_FIRST(&veventq->deliver);

	if (!event)
		return NULL;
	TAILQ_REMOVE(&veventq->deliver, event, node);
	if (event == &veventq->lost)
		veventq->lost_queued = false;
	else
		veventq->nr_events--;
	return event;
}

static void free_event(struct iommufd_veventq *veventq, struct iommufd_vevent *event)
{
	if (event != &veventq->lost)
		kfree(event);
}

/* What a program reads, copied here first: its buffer may be a device's BAR, and our lock must not be held. */
struct vevent_bytes {
	struct iommufd_vevent_header header;
	u8 data[VEVENT_DATA_MAX];
};

/* Return: bytes of the first event, in @bytes and still queued; 0 there is none; -EINVAL it does not fit. */
static ssize_t peek_event(struct iommufd_veventq *veventq, size_t room, struct vevent_bytes *bytes)
{
	const struct iommufd_vevent *event;
	ssize_t size = 0;

	mutex_lock(&veventq->q.lock);
	event = TAILQ_FIRST(&veventq->deliver);
	if (event) {
		size = (ssize_t)(sizeof(event->header) + event->data_len);
		bytes->header = event->header;
		memcpy(bytes->data, event->data, event->data_len);
	}
	mutex_unlock(&veventq->q.lock);
	if (size > (ssize_t)room)
		return fail(-EINVAL, "%zu bytes are too few for an event of %zd", room, size);
	return size;
}

/* The program has it.  Another reader may have been quicker: then it is gone already. */
static void consume_event(struct iommufd_veventq *veventq, u32 sequence)
{
	struct iommufd_vevent *event = NULL;

	mutex_lock(&veventq->q.lock);
	if (!TAILQ_EMPTY(&veventq->deliver) && TAILQ_FIRST(&veventq->deliver)->header.sequence == sequence)
		event = take_event_locked(veventq);
	set_readable_locked(&veventq->q, !TAILQ_EMPTY(&veventq->deliver));
	mutex_unlock(&veventq->q.lock);
	free_event(veventq, event);
}

static ssize_t veventq_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	struct iommufd_veventq *veventq = veventq_of(file);
	struct vevent_bytes bytes;
	ssize_t done = 0, n;

	(void)pos; /* a queue has no positions */
	if (len < sizeof(bytes.header))
		return fail(-EINVAL, "%zu bytes are too few for the %zu bytes of an event's header", len,
			    sizeof(bytes.header));
	while ((n = peek_event(veventq, len - done, &bytes)) > 0) {
		if (copy_to_user(user_at(buf, done), &bytes, (size_t)n)) {
			n = fail(-EFAULT, "an event cannot be written to %p", (void *)user_at(buf, done));
			break;
		}
		consume_event(veventq, bytes.header.sequence);
		done += n;
	}
	return done ? done : n;
}

static const struct file_operations veventq_fops = {
	.kind = FILE_OTHER,
	.stream = true,
	.shared = true,
	.release = eventq_release,
	.read = veventq_read,
};

void iommufd_veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq = to_veventq(obj);
	struct iommufd_vevent *event;

	iommufd_viommu_drop_veventq(veventq);
	mutex_lock(&veventq->q.lock);
	while ((event = take_event_locked(veventq)))
		free_event(veventq, event);
	mutex_unlock(&veventq->q.lock);
	mutex_destroy(&veventq->q.lock);
}

static int veventq_make(struct iommufd_ucmd *ucmd, struct iommufd_viommu *viommu)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *veventq;
	struct file *file;
	int err;

	veventq = iommufd_object_alloc_size(ucmd->ictx, sizeof(*veventq), IOMMUFD_OBJ_VEVENTQ);
	if (IS_ERR(veventq))
		return PTR_ERR(veventq);
	ucmd->new_obj = &veventq->q.obj;
	eventq_init(&veventq->q, ucmd->ictx);
	TAILQ_INIT(&veventq->deliver);
	veventq->lost.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	veventq->type = cmd->type;
	veventq->depth = cmd->veventq_depth;
	err = iommufd_viommu_add_veventq(viommu, veventq);
	if (err)
		return err;
	file = eventq_file(&veventq->q, "anon_inode:[iommufd-viommu-event]", &veventq_fops);
	if (IS_ERR(file))
		return PTR_ERR(file);
	cmd->out_veventq_id = veventq->q.obj.id;
	return eventq_publish(ucmd, file, &cmd->out_veventq_fd, sizeof(*cmd));
}

#define VEVENTQ_DEPTH_MAX (1u << 19)

int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd)
{
	const struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	int err;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return fail(-EOPNOTSUPP, "flags 0x%x, __reserved 0x%x, type %u: the first two must be 0, the type not",
			    cmd->flags, cmd->__reserved, cmd->type);
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_DEPTH_MAX)
		return fail(-EINVAL, "veventq_depth %u is not 1 to %u", cmd->veventq_depth, VEVENTQ_DEPTH_MAX);
	viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	err = veventq_make(ucmd, viommu);
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return err;
}
