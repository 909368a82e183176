/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_reset.c - resetting one function, or a whole bus.
 *
 * Function reset (VFIO_DEVICE_RESET) touches one device.  A hot reset takes the bus behind a bridge and
 * every device on it, so the caller must show that all of them are its own: each must have this driver
 * and be in one of the groups whose descriptors it hands in, or, if the device is used through its own node,
 * be bound to the same iommufd or be in a group whose DMA is that iommufd's.  On the root bus there is no
 * bridge that could do it.
 *
 * Config space comes through a reset unchanged, because it is saved before and restored after; so do
 * MSI and MSI-X messages.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

/* ---- one function ---------------------------------------------------------------------------- */

int vfio_pci_reset_function(struct vfio_pci_core_device *vdev)
{
	int ret;

	lockdep_assert_held(&vdev->memory_lock);
	vfio_pci_set_power_state(vdev, 0);
	vfio_pci_gate_close(vdev);
	ret = pci_reset_function(vdev->pdev);
	vfio_pci_gate_update(vdev);
	return ret;
}

long vfio_pci_reset(struct vfio_pci_core_device *vdev)
{
	int ret;

	if (!vdev->reset_works)
		return fail(-EINVAL, "%s can be reset neither by FLR nor by power state, nor alone by its bus",
			    vfio_pci_name(vdev));
	vfio_pci_memory_lock(vdev);
	ret = vfio_pci_reset_function(vdev);
	vfio_pci_memory_unlock(vdev);
	return ret ? fail(ret, "the reset of %s failed", vfio_pci_name(vdev)) : 0;
}

/* ---- the devices of a bus -------------------------------------------------------------------- */

/* Devices behind one bridge, directly or further down. */
struct bus_devices {
	struct pci_dev *bridge;
	unsigned count, room;
	struct pci_dev **devs;
};

static bool is_behind(struct pci_dev *pdev, const struct pci_dev *bridge)
{
	for (pdev = pdev->bridge; pdev; pdev = pdev->bridge) {
		if (pdev == bridge)
			return true;
	}
	return false;
}

static int collect(struct pci_dev *pdev, void *arg)
{
	struct bus_devices *bus = arg;

	if (!is_behind(pdev, bus->bridge))
		return 0;
	if (bus->count < bus->room)
		bus->devs[bus->count] = pdev;
	bus->count++;
	return 0;
}

static u32 address(const struct pci_dev *pdev)
{
	return (u32)pdev->domain << 16 | (u32)pdev->bus << 8 | pdev->devfn;
}

static int by_address(const void *a, const void *b)
{
	const u32 x = address(*(struct pci_dev *const *)a), y = address(*(struct pci_dev *const *)b);

	return (x > y) - (x < y);
}

/* Devices that are open stay, and so do, in one process, all others unless a program removes one. */
static int bus_devices_get(struct vfio_pci_core_device *vdev, struct bus_devices *bus)
{
	*bus = (struct bus_devices){ .bridge = vdev->pdev->bridge };
	pci_for_each_dev(collect, bus);
	bus->room = bus->count;
	bus->devs = kcalloc(bus->room ? bus->room : 1, sizeof(*bus->devs));
	if (!bus->devs)
		return fail(-ENOMEM, "no memory for a list of %u devices", bus->room);
	bus->count = 0;
	pci_for_each_dev(collect, bus);
	bus->count = min(bus->count, bus->room);
	qsort(bus->devs, bus->count, sizeof(*bus->devs), by_address);
	return 0;
}

struct find_arg {
	struct pci_dev *pdev;
	struct vfio_pci_core_device *ret;
};

static int is_wanted(struct vfio_device *vdev, void *arg)
{
	struct find_arg *find = arg;

	if (vdev->ops != &vfio_pci_ops || to_core(vdev)->pdev != find->pdev)
		return 0;
	find->ret = to_core(vdev);
	return 1;
}

/* The device of the set for @pdev; NULL if another driver or none has it.  Set's lock held. */
static struct vfio_pci_core_device *set_find(struct vfio_pci_core_device *vdev, struct pci_dev *pdev)
{
	struct find_arg find = { .pdev = pdev };

	vfio_device_set_for_each(&vdev->vdev, &find, is_wanted);
	return find.ret;
}

static int no_bridge(struct vfio_pci_core_device *vdev)
{
	return fail(-ENODEV, "%s is on the root bus, which cannot be reset", vfio_pci_name(vdev));
}

/* ---- VFIO_DEVICE_GET_PCI_HOT_RESET_INFO ------------------------------------------------------ */

static unsigned group_number(const struct pci_dev *pdev)
{
	return pdev->dev.iommu_group ? iommu_group_id(pdev->dev.iommu_group) : ~0u;
}

/* What an iommufd calls a device; VFIO_PCI_DEVID_NOT_OWNED also for one without this driver.  Set's lock held. */
static int dev_id(struct vfio_pci_core_device *vdev, struct pci_dev *pdev)
{
	struct vfio_pci_core_device *other = set_find(vdev, pdev);

	return other ? vfio_iommufd_get_dev_id(&other->vdev, vfio_iommufd_device_ictx(&vdev->vdev))
		     : VFIO_PCI_DEVID_NOT_OWNED;
}

/* @flags: OWNED goes if the device is somebody else's. */
static struct vfio_pci_dependent_device describe(struct vfio_pci_core_device *vdev, struct pci_dev *pdev, u32 *flags)
{
	const bool by_id = *flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	const u32 number = by_id ? (u32)dev_id(vdev, pdev) : group_number(pdev);

	if (by_id && number == (u32)VFIO_PCI_DEVID_NOT_OWNED)
		*flags &= ~(u32)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	return (struct vfio_pci_dependent_device){
		.group_id = number,
		.segment = pdev->domain,
		.bus = pdev->bus,
		.devfn = pdev->devfn,
	};
}

static long copy_info(struct vfio_pci_core_device *vdev, struct bus_devices *bus,
		      struct vfio_pci_hot_reset_info *info, char __user *arg)
{
	const size_t header = offsetof(struct vfio_pci_hot_reset_info, devices);
	const size_t room = (info->argsz - header) / sizeof(struct vfio_pci_dependent_device);
	struct vfio_pci_dependent_device dep;

	info->flags = 0;
	info->count = bus->count;
	if (vdev->vdev.cdev_opened && bus->count <= room)
		info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for (unsigned i = 0; i < bus->count && bus->count <= room; i++) {
		dep = describe(vdev, bus->devs[i], &info->flags);
		if (copy_to_user(arg + header + i * sizeof(dep), &dep, sizeof(dep)))
			return fail(-EFAULT, "the list at %p cannot be written", arg);
	}
	if (copy_to_user(arg, info, header))
		return fail(-EFAULT, "struct vfio_pci_hot_reset_info at %p cannot be written", arg);
	if (bus->count > room)
		return fail(-ENOSPC, "argsz %u has room for %zu of %u devices", info->argsz, room,
			    bus->count);
	return 0;
}

long vfio_pci_hot_reset_info(struct vfio_pci_core_device *vdev, void __user *arg)
{
	const size_t header = offsetof(struct vfio_pci_hot_reset_info, devices);
	struct vfio_pci_hot_reset_info info;
	struct bus_devices bus;
	long ret;

	if (copy_from_user(&info, arg, header))
		return fail(-EFAULT, "struct vfio_pci_hot_reset_info at %p cannot be read", arg);
	if (info.argsz < header)
		return fail(-EINVAL, "argsz is %u, struct vfio_pci_hot_reset_info has %zu bytes", info.argsz,
			    header);
	if (!vdev->pdev->bridge)
		return no_bridge(vdev);
	ret = bus_devices_get(vdev, &bus);
	if (ret)
		return ret;
	mutex_lock(vfio_device_set_lock(&vdev->vdev));
	ret = copy_info(vdev, &bus, &info, arg);
	mutex_unlock(vfio_device_set_lock(&vdev->vdev));
	kfree(bus.devs);
	return ret;
}

/* ---- VFIO_DEVICE_PCI_HOT_RESET --------------------------------------------------------------- */

/* The groups that the caller holds, as open files. */
struct group_files {
	unsigned count;
	struct file **files;
};

static void group_files_put(struct group_files *groups)
{
	for (unsigned i = 0; i < groups->count; i++)
		fput(groups->files[i]);
	kfree(groups->files);
}

static int add_group(struct group_files *groups, int fd)
{
	struct file *file = fd < 0 ? NULL : fget(fd);

	if (!file && fd_check_open(fd))
		return -EBADF;
	if (!file || !vfio_file_is_group(file)) {
		fput(file);
		return fail(-EINVAL, "descriptor %d is not an open VFIO group", fd);
	}
	groups->files[groups->count++] = file;
	return 0;
}

static int group_files_get(struct group_files *groups, const char __user *fds, unsigned count)
{
	int fd, ret = 0;

	*groups = (struct group_files){ .files = kcalloc(count, sizeof(struct file *)) };
	if (!groups->files)
		return fail(-ENOMEM, "no memory for %u groups", count);
	for (unsigned i = 0; i < count && !ret; i++) {
		if (copy_from_user(&fd, fds + i * sizeof(fd), sizeof(fd)))
			ret = fail(-EFAULT, "group descriptor %u at %p cannot be read", i, fds);
		else
			ret = add_group(groups, fd);
	}
	if (ret)
		group_files_put(groups);
	return ret;
}

static bool in_groups(const struct group_files *groups, struct vfio_pci_core_device *vdev)
{
	for (unsigned i = 0; i < groups->count; i++) {
		if (vfio_file_has_dev(groups->files[i], &vdev->vdev))
			return true;
	}
	return false;
}

/* @groups NULL: the device is bound to an iommufd. */
static int check_owned(struct vfio_pci_core_device *vdev, const struct bus_devices *bus,
		       const struct group_files *groups)
{
	struct vfio_pci_core_device *other;

	for (unsigned i = 0; i < bus->count; i++) {
		other = set_find(vdev, bus->devs[i]);
		if (!other)
			return fail(-EINVAL, "%s is on that bus and has no vfio-pci driver",
				    bus->devs[i]->dev.name);
		if (!groups && dev_id(vdev, bus->devs[i]) == VFIO_PCI_DEVID_NOT_OWNED)
			return fail(-EINVAL, "%s is on that bus, and neither it nor its group is bound to the iommufd",
				    vfio_pci_name(other));
		if (groups && !in_groups(groups, other))
			return fail(-EINVAL, "%s is on that bus, and its group %u is not among the %u given",
				    vfio_pci_name(other), group_number(other->pdev), groups->count);
	}
	return 0;
}

static void mark(struct vfio_pci_core_device *vdev, bool on)
{
	if (on)
		vfio_pci_memory_lock(vdev);
	else
		mutex_lock(&vdev->memory_lock);
	vdev->hot_reset = on;
	if (on)
		vfio_pci_set_power_state(vdev, 0);
	if (on)
		vfio_pci_gate_close(vdev);
	else
		vfio_pci_gate_update(vdev);
	mutex_unlock(&vdev->memory_lock);
}

static int bus_reset_and_wait(const struct bus_devices *bus)
{
	int ret = 0, err;

	pci_bridge_secondary_bus_reset(bus->bridge);
	for (unsigned i = 0; i < bus->count; i++) {
		err = pci_wait_ready(bus->devs[i], "the reset of its bus");
		ret = ret ? ret : err;
	}
	return ret;
}

/* All devices of the bus are in the set.  Set's lock held. */
static int reset_bus(struct vfio_pci_core_device *vdev, const struct bus_devices *bus)
{
	struct pci_saved_state *states = kcalloc(bus->count, sizeof(*states));
	unsigned saved = 0;
	int ret = 0;

	if (!states)
		return fail(-ENOMEM, "no memory for the state of %u devices", bus->count);
	for (unsigned i = 0; i < bus->count; i++)
		mark(set_find(vdev, bus->devs[i]), true);
	for (; saved < bus->count && !ret; saved += !ret)
		ret = pci_save_state(bus->devs[saved], &states[saved]);
	if (!ret)
		ret = bus_reset_and_wait(bus);
	for (unsigned i = 0; i < saved; i++)
		pci_restore_state(bus->devs[i], &states[i]);
	for (unsigned i = 0; i < bus->count && !ret; i++)
		pci_reset_notify_done(bus->devs[i]);
	for (unsigned i = 0; i < bus->count; i++)
		mark(set_find(vdev, bus->devs[i]), false);
	kfree(states);
	return ret;
}

static int hot_reset_owned(struct vfio_pci_core_device *vdev, const struct bus_devices *bus,
			    const struct group_files *groups)
{
	struct mutex *lock = vfio_device_set_lock(&vdev->vdev);
	int ret;

	mutex_lock(lock);
	ret = check_owned(vdev, bus, groups);
	if (!ret)
		ret = reset_bus(vdev, bus);
	mutex_unlock(lock);
	return ret;
}

static int hot_reset(struct vfio_pci_core_device *vdev, const struct bus_devices *bus, const char __user *fds,
		     unsigned count)
{
	struct group_files groups;
	int ret;

	if (!count)
		return hot_reset_owned(vdev, bus, NULL);
	if (count > bus->count)
		return fail(-EINVAL, "%u groups for %u devices on the bus: a group is needed once", count,
			    bus->count);
	ret = group_files_get(&groups, fds, count);
	if (ret)
		return ret;
	ret = hot_reset_owned(vdev, bus, &groups);
	group_files_put(&groups);
	return ret;
}

long vfio_pci_hot_reset(struct vfio_pci_core_device *vdev, void __user *arg)
{
	const size_t header = offsetof(struct vfio_pci_hot_reset, group_fds);
	struct vfio_pci_hot_reset req;
	struct bus_devices bus;
	long ret;

	if (copy_from_user(&req, arg, header))
		return fail(-EFAULT, "struct vfio_pci_hot_reset at %p cannot be read", arg);
	if (req.argsz < header)
		return fail(-EINVAL, "argsz is %u, struct vfio_pci_hot_reset has %zu bytes", req.argsz,
			    header);
	if (req.flags)
		return fail(-EINVAL, "flags are %#x: none is defined", req.flags);
	if (!req.count && !vdev->vdev.cdev_opened)
		return fail(-EINVAL, "count is 0, which is for devices used through their own node: hand in groups");
	if (req.count && vdev->vdev.cdev_opened)
		return fail(-EINVAL, "count is %u: a device bound to an iommufd is reset with count 0, without groups",
			    req.count);
	if (!vdev->pdev->bridge)
		return no_bridge(vdev);
	ret = bus_devices_get(vdev, &bus);
	if (ret)
		return ret;
	ret = hot_reset(vdev, &bus, (char *)arg + header, req.count);
	kfree(bus.devs);
	return ret;
}

/* ---- after the last close -------------------------------------------------------------------- */

static bool all_closed(struct vfio_pci_core_device *vdev, const struct bus_devices *bus, bool *ret_needed)
{
	struct vfio_pci_core_device *other;

	*ret_needed = false;
	for (unsigned i = 0; i < bus->count; i++) {
		other = set_find(vdev, bus->devs[i]);
		if (!other || (other != vdev && other->vdev.open_count))
			return false;
		*ret_needed |= other->needs_reset;
	}
	return true;
}

void vfio_pci_dev_set_try_reset(struct vfio_pci_core_device *vdev)
{
	struct bus_devices bus;
	bool needed;

	lockdep_assert_held(vfio_device_set_lock(&vdev->vdev));
	if (!vdev->pdev->bridge || bus_devices_get(vdev, &bus))
		return;
	if (all_closed(vdev, &bus, &needed) && needed && !reset_bus(vdev, &bus)) {
		for (unsigned i = 0; i < bus.count; i++)
			set_find(vdev, bus.devs[i])->needs_reset = false;
	}
	kfree(bus.devs);
}
