/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migration.c - the features by which a device moves to another machine while its user goes on.
 *
 * Two things that a user combines, and that know nothing of each other: the device's own state, which
 * leaves and enters it as a stream of bytes (struct vfio_migration_ops), and a log of the pages that it
 * wrote to by DMA (struct vfio_log_ops).  This file takes the requests apart, checks them and, for the
 * state, says by which states a way leads; the driver below acts.  A driver without these ops does not
 * know the features (ENOTTY).
 *
 * The states are arcs and ways.  An arc is a step that a driver carries out; every other pair of states
 * is a way over several arcs, the shortest one that does not pass through a saving state (PRE_COPY,
 * PRE_COPY_P2P, STOP_COPY: they share one stream, which leaving them ends) unless it starts or ends
 * among them.  ERROR is entered by a failed arc and left by a reset alone.
 *
 *	RESUMING <--> STOP <--> RUNNING_P2P <--> RUNNING
 *	               ^ |          ^ |            ^ |
 *	               | v          | v            | v
 *	         STOP_COPY <-- PRE_COPY_P2P <--> PRE_COPY
 *
 * Source: linux/vfio.h, the comments at enum vfio_device_mig_state and the structs of these features;
 * errors in the order that Linux 7.2 gives them.
 */
#include <linux/vfio.h>
#include <string.h>

#include "kernel/base/device.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio_priv.h"

/* ---- states ---- */

#define STATE(name) VFIO_DEVICE_STATE_##name
#define NR_STATES VFIO_DEVICE_STATE_NR

static const char *const state_names[NR_STATES] = {
	[STATE(ERROR)] = "ERROR",	    [STATE(STOP)] = "STOP",
	[STATE(RUNNING)] = "RUNNING",	    [STATE(STOP_COPY)] = "STOP_COPY",
	[STATE(RESUMING)] = "RESUMING",	    [STATE(RUNNING_P2P)] = "RUNNING_P2P",
	[STATE(PRE_COPY)] = "PRE_COPY",	    [STATE(PRE_COPY_P2P)] = "PRE_COPY_P2P",
};

const char *vfio_mig_state_name(u32 state)
{
	return state < NR_STATES ? state_names[state] : "no state";
}

/* What a device must be able to do to have a state. */
static const u64 state_needs[NR_STATES] = {
	[STATE(STOP)] = VFIO_MIGRATION_STOP_COPY,
	[STATE(RUNNING)] = VFIO_MIGRATION_STOP_COPY,
	[STATE(STOP_COPY)] = VFIO_MIGRATION_STOP_COPY,
	[STATE(RESUMING)] = VFIO_MIGRATION_STOP_COPY,
	[STATE(RUNNING_P2P)] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
	[STATE(PRE_COPY)] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
	[STATE(PRE_COPY_P2P)] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
};

/* The next state on the way; ERROR: there is none.  For a device that has all states. */
static const u8 next_state[NR_STATES][NR_STATES] = {
	[STATE(STOP)] = {
		[STATE(STOP)] = STATE(STOP),
		[STATE(RUNNING)] = STATE(RUNNING_P2P),
		[STATE(STOP_COPY)] = STATE(STOP_COPY),
		[STATE(RESUMING)] = STATE(RESUMING),
		[STATE(RUNNING_P2P)] = STATE(RUNNING_P2P),
		[STATE(PRE_COPY)] = STATE(RUNNING_P2P),
		[STATE(PRE_COPY_P2P)] = STATE(RUNNING_P2P),
	},
	[STATE(RUNNING)] = {
		[STATE(STOP)] = STATE(RUNNING_P2P),
		[STATE(RUNNING)] = STATE(RUNNING),
		[STATE(STOP_COPY)] = STATE(RUNNING_P2P),
		[STATE(RESUMING)] = STATE(RUNNING_P2P),
		[STATE(RUNNING_P2P)] = STATE(RUNNING_P2P),
		[STATE(PRE_COPY)] = STATE(PRE_COPY),
		[STATE(PRE_COPY_P2P)] = STATE(RUNNING_P2P),
	},
	[STATE(STOP_COPY)] = {
		[STATE(STOP)] = STATE(STOP),
		[STATE(RUNNING)] = STATE(STOP),
		[STATE(STOP_COPY)] = STATE(STOP_COPY),
		[STATE(RESUMING)] = STATE(STOP),
		[STATE(RUNNING_P2P)] = STATE(STOP),
		/* back to copying ahead: refused, says the uAPI */
	},
	[STATE(RESUMING)] = {
		[STATE(STOP)] = STATE(STOP),
		[STATE(RUNNING)] = STATE(STOP),
		[STATE(STOP_COPY)] = STATE(STOP),
		[STATE(RESUMING)] = STATE(RESUMING),
		[STATE(RUNNING_P2P)] = STATE(STOP),
		[STATE(PRE_COPY)] = STATE(STOP),
		[STATE(PRE_COPY_P2P)] = STATE(STOP),
	},
	[STATE(RUNNING_P2P)] = {
		[STATE(STOP)] = STATE(STOP),
		[STATE(RUNNING)] = STATE(RUNNING),
		[STATE(STOP_COPY)] = STATE(STOP),
		[STATE(RESUMING)] = STATE(STOP),
		[STATE(RUNNING_P2P)] = STATE(RUNNING_P2P),
		[STATE(PRE_COPY)] = STATE(RUNNING),
		[STATE(PRE_COPY_P2P)] = STATE(PRE_COPY_P2P),
	},
	[STATE(PRE_COPY)] = {
		[STATE(STOP)] = STATE(RUNNING),
		[STATE(RUNNING)] = STATE(RUNNING),
		[STATE(STOP_COPY)] = STATE(PRE_COPY_P2P),
		[STATE(RESUMING)] = STATE(RUNNING),
		[STATE(RUNNING_P2P)] = STATE(RUNNING),
		[STATE(PRE_COPY)] = STATE(PRE_COPY),
		[STATE(PRE_COPY_P2P)] = STATE(PRE_COPY_P2P),
	},
	[STATE(PRE_COPY_P2P)] = {
		[STATE(STOP)] = STATE(RUNNING_P2P),
		[STATE(RUNNING)] = STATE(RUNNING_P2P),
		[STATE(STOP_COPY)] = STATE(STOP_COPY),
		[STATE(RESUMING)] = STATE(RUNNING_P2P),
		[STATE(RUNNING_P2P)] = STATE(RUNNING_P2P),
		[STATE(PRE_COPY)] = STATE(PRE_COPY),
		[STATE(PRE_COPY_P2P)] = STATE(PRE_COPY_P2P),
	},
};

static bool has_state(u64 flags, u32 state)
{
	return state < NR_STATES && state_needs[state] && !(state_needs[state] & ~flags);
}

int vfio_mig_get_next_state(u64 flags, u32 cur, u32 new, u32 *ret_next)
{
	u32 next;

	if (cur == STATE(ERROR))
		return fail(-EINVAL, "the device is in state ERROR: only VFIO_DEVICE_RESET leads out");
	if (!has_state(flags, new))
		return fail(-EINVAL, "%s (%u) cannot be asked for: %s", vfio_mig_state_name(new), new,
			    new > STATE(ERROR) && new < NR_STATES ? "the device does not have that state"
								   : "it is no state to go to");
	/* A state that the device does not have is passed over: its two arcs are one then. */
	next = next_state[cur][new];
	while (next != STATE(ERROR) && !has_state(flags, next))
		next = next_state[next][new];
	if (next == STATE(ERROR))
		return fail(-EINVAL, "from %s no way leads to %s", vfio_mig_state_name(cur),
			    vfio_mig_state_name(new));
	*ret_next = next;
	return 0;
}

int vfio_check_precopy_ioctl(bool v2, unsigned int cmd, unsigned long arg, struct vfio_precopy_info *ret_info)
{
	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return fail(-ENOTTY, "request %#x is not for a migration stream", cmd);
	if (copy_from_user(ret_info, (void __user *)arg, sizeof(*ret_info)))
		return fail(-EFAULT, "struct vfio_precopy_info at %p cannot be read", (void *)arg);
	if (ret_info->argsz < sizeof(*ret_info))
		return fail(-EINVAL, "argsz is %u, struct vfio_precopy_info has %zu bytes", ret_info->argsz,
			    sizeof(*ret_info));
	if (v2)
		ret_info->flags = 0; /* else they go back as they came: programs relied on that */
	return 0;
}

/* ---- features of the state ---- */

static int feature_migration(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_migration mig = { .flags = vdev->migration_flags };
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(mig));

	if (ret != 1)
		return ret;
	if (copy_to_user(arg, &mig, sizeof(mig)))
		return fail(-EFAULT, "struct vfio_device_feature_migration at %p cannot be written", arg);
	return 0;
}

static int put_state(void __user *arg, const struct vfio_device_feature_mig_state *mig)
{
	if (copy_to_user(arg, mig, sizeof(*mig)))
		return fail(-EFAULT, "struct vfio_device_feature_mig_state at %p cannot be written", arg);
	return 0;
}

/* The stream of a new session becomes a descriptor; takes over @file, also on failure. */
static int publish(struct file *file, void __user *arg, struct vfio_device_feature_mig_state *mig)
{
	int ret;

	mig->data_fd = fd_publish(file, true);
	if (mig->data_fd < 0) {
		fput(file);
		return fail(mig->data_fd, "no descriptor for the migration stream");
	}
	ret = put_state(arg, mig);
	if (ret)
		fd_unpublish(mig->data_fd);
	return ret;
}

static int set_state(struct vfio_device *vdev, void __user *arg, struct vfio_device_feature_mig_state *mig)
{
	struct file *file = vdev->mig_ops->set_state(vdev, mig->device_state);
	int ret;

	if (file && !IS_ERR(file))
		return publish(file, arg, mig);
	mig->data_fd = -1;
	ret = IS_ERR(file) ? (int)PTR_ERR(file) : 0;
	return put_state(arg, mig) ? -EFAULT : ret;
}

static int feature_device_state(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_mig_state mig;
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
				     sizeof(mig));

	if (ret != 1)
		return ret;
	if (copy_from_user(&mig, arg, sizeof(mig)))
		return fail(-EFAULT, "struct vfio_device_feature_mig_state at %p cannot be read", arg);
	if (flags & VFIO_DEVICE_FEATURE_SET)
		return set_state(vdev, arg, &mig);
	mig.device_state = vdev->mig_ops->get_state(vdev);
	mig.data_fd = -1;
	return put_state(arg, &mig);
}

static int feature_data_size(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_mig_data_size size;
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(size));

	if (ret != 1)
		return ret;
	size.stop_copy_length = vdev->mig_ops->get_data_size(vdev);
	if (copy_to_user(arg, &size, sizeof(size)))
		return fail(-EFAULT, "struct vfio_device_feature_mig_data_size at %p cannot be written", arg);
	return 0;
}

static int feature_precopy_info_v2(struct vfio_device *vdev, u32 flags, size_t argsz)
{
	int ret;

	if (!(vdev->migration_flags & VFIO_MIGRATION_PRE_COPY))
		return fail(-EINVAL, "feature %u is for devices that migrate with pre-copy",
			    VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2);
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);
	if (ret != 1)
		return ret;
	atomic_store(&vdev->precopy_info_v2, true);
	return 0;
}

/* ---- the log: what to watch ---- */

#define LOG_MAX_RANGES (PAGE_SIZE / sizeof(struct vfio_device_feature_dma_logging_range))

typedef struct vfio_device_feature_dma_logging_range log_range;

static bool ranges_overlap(const log_range *a, const log_range *b)
{
	const u64 a_last = a->iova + a->length - 1, b_last = b->iova + b->length - 1;

	return a->iova <= b_last && b->iova <= a_last;
}

static int check_log_range(const log_range *ranges, u32 i, u64 page_size)
{
	const log_range *r = &ranges[i];

	if ((r->iova | r->length) & (page_size - 1))
		return fail(-EINVAL, "range %u: iova 0x%llx, length 0x%llx are no multiples of page_size 0x%llx", i,
			    (unsigned long long)r->iova, (unsigned long long)r->length,
			    (unsigned long long)page_size);
	if (r->iova + r->length < r->iova)
		return fail(-EOVERFLOW, "range %u: 0x%llx bytes from iova 0x%llx on pass the end of 64 bits", i,
			    (unsigned long long)r->length, (unsigned long long)r->iova);
	for (u32 j = 0; j < i; j++) {
		if (ranges_overlap(r, &ranges[j]))
			return fail(-EINVAL, "ranges %u and %u have bytes in common", j, i);
	}
	return 0;
}

static int get_log_ranges(const struct vfio_device_feature_dma_logging_control *control, log_range *ret)
{
	const char __user *from = (const char __user *)(uintptr_t)control->ranges;
	int err = 0;

	for (u32 i = 0; i < control->num_ranges && !err; i++) {
		if (copy_from_user(&ret[i], from + i * sizeof(*ret), sizeof(*ret)))
			return fail(-EFAULT, "range %u of %u at %p cannot be read", i, control->num_ranges,
				    (const void *)from);
		err = check_log_range(ret, i, control->page_size);
	}
	return err;
}

static int log_start(struct vfio_device *vdev, void __user *arg,
		     struct vfio_device_feature_dma_logging_control *control)
{
	log_range *ranges = kvcalloc(control->num_ranges, sizeof(*ranges));
	u64 page_size = control->page_size;
	int ret;

	if (!ranges)
		return fail(-ENOMEM, "no memory for %u ranges", control->num_ranges);
	ret = get_log_ranges(control, ranges);
	if (!ret)
		ret = vdev->log_ops->log_start(vdev, ranges, control->num_ranges, &page_size);
	kvfree(ranges);
	if (ret)
		return ret;
	control->page_size = page_size;
	if (!copy_to_user(arg, control, sizeof(*control)))
		return 0;
	vdev->log_ops->log_stop(vdev);
	return fail(-EFAULT, "struct vfio_device_feature_dma_logging_control at %p cannot be written", arg);
}

static int feature_log_start(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_logging_control control;
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, sizeof(control));

	if (ret != 1)
		return ret;
	if (copy_from_user(&control, arg, sizeof(control)))
		return fail(-EFAULT, "struct vfio_device_feature_dma_logging_control at %p cannot be read", arg);
	if (!control.num_ranges)
		return fail(-EINVAL, "num_ranges is 0: there is nothing to log");
	if (control.num_ranges > LOG_MAX_RANGES)
		return fail(-E2BIG, "num_ranges is %u: %zu fit into a page, more are not taken",
			    control.num_ranges, LOG_MAX_RANGES);
	return log_start(vdev, arg, &control);
}

static int feature_log_stop(struct vfio_device *vdev, u32 flags, size_t argsz)
{
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);

	return ret != 1 ? ret : vdev->log_ops->log_stop(vdev);
}

/* ---- the log: what was written to ---- */

#define WINDOW_BYTES 4096u

/*
 * The program's bitmap, seen through a window that moves up.  Bits are gathered here, and brought to
 * the program with one copy for each window that has any.
 */
struct log_bitmap {
	u64 iova, last;
	unsigned shift; /* of the page size */
	u8 __user *user;
	u64 window; /* its number */
	u32 first, end; /* bytes of it that have bits; first == end: none */
	int err;
	u8 bits[WINDOW_BYTES], theirs[WINDOW_BYTES];
};

/* The program's bits stay: it may have gathered several logs in one bitmap. */
static void bitmap_flush(struct log_bitmap *map)
{
	u8 __user *at = map->user + map->window * WINDOW_BYTES + map->first;
	const u32 len = map->end - map->first;

	if (!len)
		return;
	if (!map->err && copy_from_user(map->theirs, at, len))
		map->err = -EFAULT;
	for (u32 i = 0; i < len; i++)
		map->theirs[i] |= map->bits[map->first + i];
	if (!map->err && copy_to_user(at, map->theirs, len))
		map->err = -EFAULT;
	if (map->err)
		fail(map->err, "%u bytes of the bitmap at %p cannot be written", len, (void *)at);
	memset(map->bits + map->first, 0, len);
	map->first = map->end = 0;
}

static void bitmap_set_bit(struct log_bitmap *map, u64 bit)
{
	const u64 window = bit / (8 * WINDOW_BYTES);
	const u32 byte = (u32)(bit / 8 % WINDOW_BYTES);

	if (window != map->window) {
		bitmap_flush(map);
		map->window = window;
	}
	if (map->first == map->end) {
		map->first = byte;
		map->end = byte + 1;
	}
	map->first = min(map->first, byte);
	map->end = max(map->end, byte + 1);
	map->bits[byte] |= (u8)(1u << bit % 8);
}

static void bitmap_set(void *arg, u64 iova, u64 last)
{
	struct log_bitmap *map = arg;

	iova = max(iova, map->iova);
	last = min(last, map->last);
	for (u64 bit = (iova - map->iova) >> map->shift; bit <= (last - map->iova) >> map->shift && !map->err;
	     bit++)
		bitmap_set_bit(map, bit);
}

static int log_report(struct vfio_device *vdev, const struct vfio_device_feature_dma_logging_report *report)
{
	struct log_bitmap *map = kzalloc(sizeof(*map));
	int ret;

	if (!map)
		return fail(-ENOMEM, "no memory for a window of the bitmap");
	map->iova = report->iova;
	map->last = report->iova + report->length - 1;
	map->shift = (unsigned)__builtin_ctzll(report->page_size);
	map->user = (u8 __user *)(uintptr_t)report->bitmap;
	ret = vdev->log_ops->log_read_and_clear(vdev, map->iova, map->last, bitmap_set, map);
	if (!ret) {
		bitmap_flush(map);
		ret = map->err;
	}
	kfree(map);
	return ret;
}

static int feature_log_report(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_logging_report report;
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(report));

	if (ret != 1)
		return ret;
	if (copy_from_user(&report, arg, sizeof(report)))
		return fail(-EFAULT, "struct vfio_device_feature_dma_logging_report at %p cannot be read", arg);
	if (report.page_size < 4096 || report.page_size & (report.page_size - 1))
		return fail(-EINVAL, "page_size 0x%llx is not a power of two of at least 4096",
			    (unsigned long long)report.page_size);
	if (report.iova + report.length < report.iova)
		return fail(-EOVERFLOW, "0x%llx bytes from iova 0x%llx on pass the end of 64 bits",
			    (unsigned long long)report.length, (unsigned long long)report.iova);
	return report.length ? log_report(vdev, &report) : 0;
}

/* ---- VFIO_DEVICE_FEATURE ---- */

static bool is_log_feature(unsigned number)
{
	return number == VFIO_DEVICE_FEATURE_DMA_LOGGING_START || number == VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP ||
	       number == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
}

int vfio_migration_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	const unsigned number = flags & VFIO_DEVICE_FEATURE_MASK;

	if (number == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2)
		return feature_precopy_info_v2(vdev, flags, argsz);
	if (is_log_feature(number) ? !vdev->log_ops : !vdev->mig_ops)
		return fail(-ENOTTY, "%s has no feature %u for %s: it takes a driver that %s", vdev->ops->name, number,
			    vdev->dev->name, is_log_feature(number) ? "logs DMA" : "can migrate");
	switch (number) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
		return feature_migration(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		return feature_device_state(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		return feature_data_size(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return feature_log_start(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		return feature_log_stop(vdev, flags, argsz);
	default:
		return feature_log_report(vdev, flags, arg, argsz);
	}
}
