/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_feature.c - VFIO_DEVICE_FEATURE, and the name by which a device is asked for.
 *
 * Low power is in vfio_pci_power.c, dma-bufs are in vfio_pci_dmabuf.c.  The VF token is a UUID that the
 * user of a physical function with SR-IOV shares with users of its virtual functions; it can be set, and
 * given when the device is opened.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define TOKEN_KEY "vf_token="

/* ---- VF token -------------------------------------------------------------------------------- */

static bool has_sriov(struct vfio_pci_core_device *vdev)
{
	return pci_find_ext_capability(vdev->pdev, PCI_EXT_CAP_ID_SRIOV) != 0;
}

static void set_token(struct vfio_pci_core_device *vdev, const u8 *uuid)
{
	mutex_lock(&vdev->igate);
	memcpy(vdev->vf_token, uuid, sizeof(vdev->vf_token));
	mutex_unlock(&vdev->igate);
}

static int feature_token(struct vfio_pci_core_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	u8 uuid[16];
	int ret;

	if (!has_sriov(vdev))
		return fail(-ENOTTY, "%s has no SR-IOV capability, so no VF token", vfio_pci_name(vdev));
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, sizeof(uuid));
	if (ret != 1)
		return ret;
	if (copy_from_user(uuid, arg, sizeof(uuid)))
		return fail(-EFAULT, "the UUID at %p cannot be read", arg);
	set_token(vdev, uuid);
	return 0;
}

int vfio_pci_device_feature(struct vfio_device *core_vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);

	vfio_pci_pm_resume(vdev);
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
		return feature_token(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		return vfio_pci_feature_low_power(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		return vfio_pci_feature_dma_buf(vdev, flags, arg, argsz);
	default:
		return fail(-ENOTTY, "vfio-pci has no feature %u", flags & VFIO_DEVICE_FEATURE_MASK);
	}
}

/* ---- GROUP_GET_DEVICE_FD's string ------------------------------------------------------------ */

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = memchr(digits, c | 0x20, 16);

	return at ? (int)(at - digits) : -1;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool parse_uuid(const char *text, size_t len, u8 *ret)
{
	if (len != 36)
		return false;
	for (unsigned i = 0, n = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (hex(text[i]) < 0)
			return false;
		ret[n / 2] = (u8)(ret[n / 2] << 4 | hex(text[i]));
		n++;
	}
	return true;
}

void vfio_pci_token_init(struct vfio_pci_core_device *vdev)
{
	if (sys_call(SYS_getrandom, vdev->vf_token, sizeof(vdev->vf_token), 0, 0) != sizeof(vdev->vf_token))
		memset(vdev->vf_token, 0x5a, sizeof(vdev->vf_token)); /* then somebody could */
}

void vfio_pci_token_user(struct vfio_pci_core_device *vdev, int change)
{
	struct vfio_pci_core_device *pf = vdev->pdev->physfn ? vfio_pci_core_of(vdev->pdev->physfn) : NULL;

	if (!pf)
		return;
	mutex_lock(&pf->igate);
	pf->vf_users += (unsigned)change;
	mutex_unlock(&pf->igate);
}

/* Has the user shown @pf's token?  1; -EACCES. */
static int shown_locked(struct vfio_pci_core_device *vdev, struct vfio_pci_core_device *pf, const u8 *uuid)
{
	if (!uuid)
		return fail(-EACCES,
			    "%s needs \" vf_token=UUID\" behind its name: the UUID that the user of %s has set",
			    vfio_pci_name(vdev), vfio_pci_name(pf));
	if (memcmp(uuid, pf->vf_token, sizeof(pf->vf_token)))
		return fail(-EACCES, "the vf_token is not the one that the user of %s has set", vfio_pci_name(pf));
	return 1;
}

/*
 * Users of virtual functions must know the token of the physical function's user, and a new user of the
 * physical function must while some virtual ones are in use: each could do the other harm.  @uuid NULL:
 * none was given.
 */
static int check_token(struct vfio_pci_core_device *vdev, const u8 *uuid)
{
	struct vfio_pci_core_device *pf = vdev;
	int ret = 1;

	if (vdev->pdev->physfn)
		pf = vfio_pci_core_of(vdev->pdev->physfn);
	else if (!has_sriov(vdev))
		pf = NULL;
	if (!pf)
		return uuid ? fail(-EINVAL,
				   "%s is neither a virtual function nor one with SR-IOV: leave vf_token out",
				   vfio_pci_name(vdev))
			    : 1;
	mutex_lock(&pf->igate);
	if (vdev != pf || pf->vf_users)
		ret = shown_locked(vdev, pf, uuid);
	else if (uuid)
		memcpy(pf->vf_token, uuid, sizeof(pf->vf_token));
	mutex_unlock(&pf->igate);
	return ret;
}

/* The name alone, or followed by blanks and "vf_token=UUID". */
int vfio_pci_match(struct vfio_device *core_vdev, const char *buf)
{
	struct vfio_pci_core_device *vdev = to_core(core_vdev);
	const size_t name_len = strlen(vfio_pci_name(vdev)), key_len = strlen(TOKEN_KEY);
	u8 uuid[16] = { 0 };
	size_t len;

	if (strncmp(buf, vfio_pci_name(vdev), name_len))
		return 0;
	buf += name_len;
	if (*buf && *buf != ' ')
		return 0;
	buf += strspn(buf, " ");
	if (!*buf)
		return check_token(vdev, NULL);
	len = strcspn(buf, " ");
	if (strncmp(buf, TOKEN_KEY, key_len))
		return fail(-EINVAL, "\"%.*s\" behind the name is no option: only vf_token=UUID is",
			    (int)min(len, (size_t)40), buf);
	if (buf[len + strspn(buf + len, " ")])
		return fail(-EINVAL, "\"%.40s\" behind the token is no option", buf + len);
	if (!parse_uuid(buf + key_len, len - key_len, uuid))
		return fail(-EINVAL, "\"%.*s\" is no UUID", (int)min(len - key_len, (size_t)40),
			    buf + key_len);
	return check_token(vdev, uuid);
}

int vfio_pci_match_token(struct vfio_device *core_vdev, const u8 *uuid)
{
	int ret = check_token(to_core(core_vdev), uuid);

	return min(ret, 0);
}
