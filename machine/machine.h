/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - which devices there are, and how silicon and kernel are joined.
 *
 * A machine is a directory (kernel/fs/kernfs.h) with a file machine.ini in it that says what it is
 * made of, the trees sys/ and dev/, and stores/ (media of devices).  It is created once, by
 * `softvfio run`; each program run on it attaches: it builds its own instances of the devices when
 * it first touches a VFIO node or a binding attribute.
 *
 * machine.ini (inih syntax):
 *
 *	[machine]
 *	iommu = amd		; or intel, or none
 *	aw-bits = 48		; of intel: the width of its addresses, 39, 48 or 57
 *	features = full		; of amd and intel: dirty bits, PASIDs, nesting; or basic, the default
 *	vfio_platform.reset_required = N	; a module's parameter
 *	[iommu 1]		; one more unit; those of [machine] are unit 0's
 *	kind = intel		; and aw-bits, features
 *	[device 0000:01:00.0]	; addresses are given at creation if the user gave none
 *	model = nvme
 *	driver = vfio-pci	; or none, or a host driver's name
 *	group = 0
 *	iommu = 1		; the unit that it is behind; 0 if not said
 *	inject = lose-irq@3	; orders of faults (hw/core/inject.c)
 *	size = 64M		; every other key is the model's
 *	[device 0000:00:01.0]
 *	model = root-port
 *	bus = 1			; the bus behind it
 *	[device platdev.0]	; a platform device: its name
 *	model = platdev
 *	stream = 0x0200		; its id to the IOMMU
 *
 * A model with a slash in its name is a plugin: the path of a shared object (softvfio/hw.h).
 * A key whose value is a PATH (struct hw_key) is made absolute when it is added.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "kernel/lib/types.h"

struct machine_config;

struct machine_config *machine_config_new(void);
void machine_config_free(struct machine_config *cfg);
/** machine_config_load - add what a file says.  0; -errno, reason "FILE:LINE: ..." for explain_take(). */
int machine_config_load(struct machine_config *cfg, const char *file);
/** machine_config_add - "-d" text: MODEL[,key=value...].  0; -EINVAL with reason. */
int machine_config_add(struct machine_config *cfg, const char *text);
/**
 * machine_config_set_iommu - "amd", "intel", "virtio" or "none", and ",key=value" of it
 * The first call is for unit 0, the next for unit 1, and so on, whatever files said.  0; -EINVAL with reason.
 */
int machine_config_set_iommu(struct machine_config *cfg, const char *text);
/** machine_config_add_param - "vfio_platform.reset_required=N", as on the kernel's command line.  0; -EINVAL. */
int machine_config_add_param(struct machine_config *cfg, const char *text);
/** machine_config_save - write machine.ini into @dir. */
int machine_config_save(const struct machine_config *cfg, const char *dir);

/**
 * machine_create - make the directory's trees from @cfg: all devices built once, initial drivers bound,
 * then destroyed again.  @dir exists and is empty.  0; -errno with reason.
 */
int machine_create(const char *dir, struct machine_config *cfg);
/**
 * machine_attach_lazy - this process is a program on the machine in @dir: only remember that.
 * machine_attach - build it now, or follow what other processes bound since (any thread; called
 *	before each open of a node).  0; -errno with reason.
 */
int machine_attach_lazy(const char *dir);
/** machine_container_by_iommufd - before attaching: this process's /dev/vfio/vfio is an iommufd. */
void machine_container_by_iommufd(void);
/** machine_iommufd_test_enable - before attaching: this process's /dev/iommu has the private test ioctl. */
void machine_iommufd_test_enable(void);
int machine_attach(void);
/** machine_detach - undo attaching, for programs that embed a machine; no file of it is open any more. */
void machine_detach(void);
/**
 * machine_private_dir - an empty directory for a private machine, and no other than this process's
 * @ret_dir: its name, @size bytes of room; @ret_lock: the descriptor that says so as long as it is open
 *
 * Machines whose owner was killed are removed on the way.
 * Return: 0; -errno, and @ret_dir is what could not be made.
 */
int machine_private_dir(char *ret_dir, size_t size, int *ret_lock);
/**
 * machine_control_allow - let the programs that run on the machine in @dir be reached by `softvfio inject` and
 * `softvfio tree`; for those that attach from now on.  0; -errno with reason.
 */
int machine_control_allow(const char *dir);
/**
 * machine_tidy - see to what programs left on the machine in @dir that were killed: devices that they had open, or were
 * taking from a driver or out of the tree.  Does not wait for those that still run; this process is on no machine.
 */
void machine_tidy(const char *dir);
/** machine_destroy - remove the directory (private machines). */
void machine_destroy(const char *dir);
/** machine_has_iommu - attached, and devices' addresses are translated. */
bool machine_has_iommu(void);
/** machine_dir - NULL if this process is on no machine. */
const char *machine_dir(void);

struct machine_stats { u64 dma_read_bytes, dma_written_bytes, dma_faults, interrupts, bar_accesses, injected; };
/** machine_stats_get - sums over devices; zeros before attach. */
void machine_stats_get(struct machine_stats *ret);

/**
 * machine_inject - order faults of the device with that name; it is attached already
 * @text: see hw/core/inject.c; what needs no event strikes before this returns
 * Any thread, no lock held.  Return: 0; -ENODEV no such device; -EINVAL, -ENOSPC, -ENOMEM; reason given.
 */
int machine_inject(const char *device, const char *text);

/* A DMA fault as the IOMMU recorded it. */
struct machine_fault {
	char device[16]; /* "0000:01:00.0", cut if need be */
	u64 iova;
	bool write;
	char text[256];
};
/** machine_faults_get - the latest @max that are kept, oldest first, of one unit after the other.  Return: how many. */
size_t machine_faults_get(struct machine_fault *ret, size_t max);

#endif
