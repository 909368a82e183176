/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate.c - the states of a device that migrates, and what each arc between them does.
 *
 * The hardware knows one thing, to be stopped or not.  It is stopped on the way from RUNNING to
 * RUNNING_P2P: peers are memory like any other to our devices, so a device that may not reach its peers
 * moves nothing at all, as the uAPI allows.  From there to STOP nothing is left to do.
 *
 * RESUMING -> STOP takes the stream in.  A stream that is not whole, or not for this device, changes
 * nothing, and the device stays in RESUMING; one that the model refuses half way leaves it reset, in
 * ERROR.
 */

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/vfio/pci/soft/soft.h"

static void *hw_of(struct soft_device *soft)
{
	return soft->core.pdev->hw;
}

static void quiesce(struct soft_device *soft, bool stop)
{
	if (soft->quiesced == stop)
		return;
	soft->quiesced = stop;
	soft_hw_ops(soft)->quiesce(hw_of(soft), stop);
}

static void end_session(struct soft_device *soft)
{
	if (soft->stream)
		soft_stream_end(soft->stream);
	soft->stream = NULL;
}

/* ---- what arcs do; NULL, a file that a session began with, or ERR_PTR ---- */

static struct file *arc_stop(struct soft_device *soft)
{
	quiesce(soft, true);
	return NULL;
}

static struct file *arc_run(struct soft_device *soft)
{
	quiesce(soft, false);
	return NULL;
}

static struct file *arc_nothing(struct soft_device *soft)
{
	(void)soft;
	return NULL;
}

static struct file *arc_end(struct soft_device *soft)
{
	end_session(soft);
	return NULL;
}

static struct file *arc_resume_begin(struct soft_device *soft)
{
	return soft_stream_new(soft, false, &soft->stream);
}

static struct file *arc_precopy_begin(struct soft_device *soft)
{
	struct file *file;
	void *head;
	size_t len;
	int ret = soft_hw_ops(soft)->save_head(hw_of(soft), &head, &len);

	if (ret)
		return ERR_PTR(ret);
	file = soft_stream_new(soft, true, &soft->stream);
	if (IS_ERR(file))
		kfree(head);
	else
		soft_stream_add(soft->stream, head, len, false);
	return file;
}

static struct file *arc_precopy_finish(struct soft_device *soft)
{
	void *state;
	size_t len;
	int ret = soft_hw_ops(soft)->save_state(hw_of(soft), &state, &len);

	if (ret)
		return ERR_PTR(ret);
	soft_stream_add(soft->stream, state, len, true);
	return NULL;
}

static struct file *arc_save_all(struct soft_device *soft)
{
	struct file *file = arc_precopy_begin(soft), *end;

	if (IS_ERR(file))
		return file;
	end = arc_precopy_finish(soft);
	if (!IS_ERR(end))
		return file;
	end_session(soft);
	fput(file);
	return end;
}

static struct file *arc_load(struct soft_device *soft)
{
	int ret = soft_stream_load(soft->stream);

	if (ret && ret != -EBADMSG)
		return ERR_PTR(ret);
	end_session(soft);
	if (!ret)
		return NULL;
	soft->state = VFIO_DEVICE_STATE_ERROR;
	return ERR_PTR(-EINVAL);
}

#define STATE(name) VFIO_DEVICE_STATE_##name

static struct file *(*const arcs[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR])(struct soft_device *soft) = {
	[STATE(RUNNING)] = {
		[STATE(RUNNING_P2P)] = arc_stop,
		[STATE(PRE_COPY)] = arc_precopy_begin,
	},
	[STATE(RUNNING_P2P)] = {
		[STATE(RUNNING)] = arc_run,
		[STATE(STOP)] = arc_nothing,
		[STATE(PRE_COPY_P2P)] = arc_precopy_begin,
	},
	[STATE(STOP)] = {
		[STATE(RUNNING_P2P)] = arc_nothing,
		[STATE(STOP_COPY)] = arc_save_all,
		[STATE(RESUMING)] = arc_resume_begin,
	},
	[STATE(PRE_COPY)] = {
		[STATE(RUNNING)] = arc_end,
		[STATE(PRE_COPY_P2P)] = arc_stop,
	},
	[STATE(PRE_COPY_P2P)] = {
		[STATE(PRE_COPY)] = arc_run,
		[STATE(RUNNING_P2P)] = arc_end,
		[STATE(STOP_COPY)] = arc_precopy_finish,
	},
	[STATE(STOP_COPY)] = {
		[STATE(STOP)] = arc_end,
	},
	[STATE(RESUMING)] = {
		[STATE(STOP)] = arc_load,
	},
};

/* ---- ops ---- */

static struct file *set_state_locked(struct soft_device *soft, u32 new)
{
	const u64 flags = soft->core.vdev.migration_flags;
	struct file *file = NULL;
	u32 next;
	int ret;

	do {
		ret = vfio_mig_get_next_state(flags, soft->state, new, &next);
		if (ret)
			return ERR_PTR(ret);
		if (next == soft->state)
			return NULL;
		file = arcs[soft->state][next](soft);
		if (IS_ERR(file))
			return file;
		soft->state = next;
	} while (next != new);
	return file; /* only the last arc of a way begins a session */
}

static struct file *soft_set_state(struct vfio_device *vdev, u32 new)
{
	struct soft_device *soft = to_soft(vdev);
	struct file *file;

	mutex_lock(&soft->state_lock);
	file = set_state_locked(soft, new);
	mutex_unlock(&soft->state_lock);
	return file;
}

static u32 soft_get_state(struct vfio_device *vdev)
{
	struct soft_device *soft = to_soft(vdev);
	u32 state;

	mutex_lock(&soft->state_lock);
	state = soft->state;
	mutex_unlock(&soft->state_lock);
	return state;
}

static u64 soft_get_data_size(struct vfio_device *vdev)
{
	return soft_hw_ops(to_soft(vdev))->save_size(hw_of(to_soft(vdev)));
}

const struct vfio_migration_ops soft_migration_ops = {
	.set_state = soft_set_state,
	.get_state = soft_get_state,
	.get_data_size = soft_get_data_size,
};

/* ---- resets ---- */

static void back_to_running_locked(struct soft_device *soft)
{
	end_session(soft);
	quiesce(soft, false);
	soft->state = VFIO_DEVICE_STATE_RUNNING;
}

void soft_reset_done(struct soft_device *soft)
{
	mutex_lock(&soft->state_lock);
	back_to_running_locked(soft);
	mutex_unlock(&soft->state_lock);
}

/*
 * A device with a reset was reset by now.  One without must not go on with what a stopped device had
 * yet to do: another device has the state.
 */
void soft_closed(struct soft_device *soft)
{
	mutex_lock(&soft->state_lock);
	if (soft->quiesced)
		soft_hw_ops(soft)->forget(hw_of(soft));
	back_to_running_locked(soft);
	mutex_unlock(&soft->state_lock);
}
