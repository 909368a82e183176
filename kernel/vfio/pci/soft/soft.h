/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soft.h - soft_vfio_pci, the variant driver for devices whose state can leave them.
 *
 *	main.c		the driver, and the log of DMA
 *	migrate.c	the states
 *	stream.c	a session's bytes, as a file
 *
 * Locks nest: memory_lock of vfio-pci (a reset ends what we do), state_lock, a stream's lock, hardware.
 */
#ifndef KERNEL_VFIO_PCI_SOFT_SOFT_H
#define KERNEL_VFIO_PCI_SOFT_SOFT_H

#include "kernel/vfio/pci/vfio_pci_priv.h"

struct soft_stream;

struct soft_device {
	struct vfio_pci_core_device core; /* first */
	struct mutex state_lock;	  /* LOCK_VFIO_MIG: all below */
	u32 state;			  /* enum vfio_device_mig_state */
	bool quiesced;			  /* the hardware was told to stop */
	struct soft_stream *stream;	  /* of the session under way, as is one reference on its file; NULL */
};

static inline struct soft_device *to_soft(struct vfio_device *vdev)
{
	return (struct soft_device *)vdev; /* the core's is the first member of the first */
}

static inline const struct pci_hw_migration_ops *soft_hw_ops(const struct soft_device *soft)
{
	return soft->core.pdev->hw_ops->migration;
}

/* ---- migrate.c ---- */

extern const struct vfio_migration_ops soft_migration_ops;
/**
 * soft_reset_done - the device was reset: RUNNING, and a session is over
 * soft_closed - the last descriptor is gone: the same, and what a stopped device had yet to do is forgotten
 */
void soft_reset_done(struct soft_device *soft);
void soft_closed(struct soft_device *soft);

/* ---- stream.c ---- */

/**
 * soft_stream_new - a stream that the program reads (@saving) or writes
 * state_lock held.  Return: its file, one reference the caller's, and *@ret; ERR_PTR, reason given.
 */
struct file *soft_stream_new(struct soft_device *soft, bool saving, struct soft_stream **ret);
/**
 * soft_stream_add - more bytes to be read; takes over @buf
 * @last: they are the last: at their end the stream ends.  Without it, more may come (PRE_COPY).
 */
void soft_stream_add(struct soft_stream *stream, void *buf, size_t len, bool last);
/** soft_stream_load - hand what was written to the hardware.  Return: as load_state. */
int soft_stream_load(struct soft_stream *stream);
/** soft_stream_end - whoever reads or writes from now on gets ENODEV; puts the device's reference. */
void soft_stream_end(struct soft_stream *stream);

#endif
