/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * debugfs.c - /sys/kernel/debug/vfio/<device>/migration, of devices that can migrate.
 *
 *	state		the name of the migration state
 *	features	what the device can, a word a line
 *
 * They tell of the process that reads them, as each process has its own device; a shell beside a running
 * program reads RUNNING.
 *
 * Source: Documentation/ABI/testing/debugfs-vfio.
 */
#include <stdio.h>

#include "kernel/base/device.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/explain.h"
#include "kernel/vfio/vfio_priv.h"

#define DEBUGFS_DIR "sys/kernel/debug/vfio"
#define PATH_SIZE 512

static ssize_t show_state(void *priv, char *buf)
{
	struct vfio_device *vdev = priv;

	return sprintf(buf, "%s\n", vfio_mig_state_name(vdev->mig_ops->get_state(vdev)));
}

static ssize_t show_features(void *priv, char *buf)
{
	const struct vfio_device *vdev = priv;
	const struct { bool has; const char *word; } features[] = {
		{ vdev->migration_flags & VFIO_MIGRATION_STOP_COPY, "stop-copy" },
		{ vdev->migration_flags & VFIO_MIGRATION_P2P, "p2p" },
		{ vdev->migration_flags & VFIO_MIGRATION_PRE_COPY, "pre-copy" },
		{ vdev->log_ops, "dirty-tracking" },
	};
	int len = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		if (features[i].has)
			len += sprintf(buf + len, "%s\n", features[i].word);
	}
	return len;
}

static const struct kernfs_ops state_ops = { .show = show_state };
static const struct kernfs_ops features_ops = { .show = show_features };

static int add_file(struct vfio_device *vdev, const char *name, const struct kernfs_ops *ops)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), DEBUGFS_DIR "/%s/migration/%s", vdev->dev->name, name);
	return kernfs_create_file(path, 0444, NULL, 0, ops, vdev);
}

int vfio_debugfs_add_device(struct vfio_device *vdev)
{
	int ret;

	if (!vdev->mig_ops)
		return 0;
	ret = add_file(vdev, "state", &state_ops);
	if (!ret)
		ret = add_file(vdev, "features", &features_ops);
	if (!ret)
		return 0;
	vfio_debugfs_del_device(vdev);
	return fail(ret, "the files of %s in debugfs could not be made", vdev->dev->name);
}

void vfio_debugfs_del_device(struct vfio_device *vdev)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), DEBUGFS_DIR "/%s", vdev->dev->name);
	if (vdev->mig_ops)
		kernfs_remove(path);
}
