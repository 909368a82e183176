/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * caps.c - capabilities that are registers and little more: what a driver finds, and which bits it can
 * set.  What the bits mean is for the model or the IOMMU.
 *
 * A capability's body is written down as it lies in config space, behind id and next pointer (2 bytes)
 * or the extended header (4 bytes); so offsets of <linux/pci_regs.h> are reduced by that much here.
 *
 * Sources: PCI Express Base 5.0, 7.8 and 7.9; PCI Conventional ECN "Advanced Capabilities"; PCI-SIG
 * ATS 1.1.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define EXT_HEADER 4
#define VENDOR_BODY_MAX (255 - PCI_CAP_FLAGS - 1)
#define VSEC_BODY_MAX (0xfff - PCI_VNDR_HEADER - 4)

int hw_cap_add_af(struct hw_device *hw)
{
	static const u8 body[4] = { PCI_CAP_AF_SIZEOF, PCI_AF_CAP_TP | PCI_AF_CAP_FLR, 0, 0 };
	int off = hw_cap_add(hw, PCI_CAP_ID_AF, body, NULL, sizeof(body));

	if (off > 0)
		hw->af_cap = (u8)off;
	return off;
}

int hw_cap_add_vendor(struct hw_device *hw, const void *body, const void *writable, unsigned body_len)
{
	u8 all[256] = { 0 }, mask[256] = { 0 };

	if (body_len > VENDOR_BODY_MAX)
		return fail(-EINVAL, "a vendor specific capability has at most %u bytes, not %u",
			    (unsigned)VENDOR_BODY_MAX, body_len);
	all[0] = (u8)(body_len + 3); /* counts id, next pointer and itself */
	memcpy(all + 1, body, body_len);
	if (writable)
		memcpy(mask + 1, writable, body_len);
	return hw_cap_add(hw, PCI_CAP_ID_VNDR, all, mask, body_len + 1);
}

int hw_ext_cap_add_dsn(struct hw_device *hw, uint64_t serial)
{
	u8 body[8];

	hw_cfg_put32(body, (u32)serial);
	hw_cfg_put32(body + 4, (u32)(serial >> 32));
	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_DSN, 1, body, NULL, sizeof(body));
}

int hw_ext_cap_add_ats(struct hw_device *hw, unsigned queue_depth)
{
	u8 body[4] = { 0 }, writable[4] = { 0 };

	if (!queue_depth || queue_depth > PCI_ATS_MAX_QDEP)
		return fail(-EINVAL, "ATS has room for 1 to %u invalidations, not %u", PCI_ATS_MAX_QDEP,
			    queue_depth);
	/* 32 is written as 0 */
	hw_cfg_put16(body, (u16)((queue_depth & 0x1f) | PCI_ATS_CAP_PAGE_ALIGNED));
	hw_cfg_put16(writable + (PCI_ATS_CTRL - EXT_HEADER), PCI_ATS_CTRL_ENABLE | 0x1f);
	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_ATS, 1, body, writable, sizeof(body));
}

int hw_ext_cap_add_pasid(struct hw_device *hw, unsigned bits, bool exec, bool priv)
{
	const u16 can = (u16)((exec ? PCI_PASID_CAP_EXEC : 0) | (priv ? PCI_PASID_CAP_PRIV : 0));
	u8 body[4] = { 0 }, writable[4] = { 0 };

	if (bits > 20)
		return fail(-EINVAL, "a PASID has at most 20 bits, not %u", bits);
	hw_cfg_put16(body, (u16)(can | bits << 8));
	hw_cfg_put16(writable + (PCI_PASID_CTRL - EXT_HEADER), PCI_PASID_CTRL_ENABLE | can);
	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_PASID, 1, body, writable, sizeof(body));
}

int hw_ext_cap_add_pri(struct hw_device *hw, uint32_t max_requests)
{
	u8 body[12] = { 0 }, writable[12] = { 0 };
	int off;

	hw_cfg_put16(body + (PCI_PRI_STATUS - EXT_HEADER), PCI_PRI_STATUS_STOPPED);
	hw_cfg_put32(body + (PCI_PRI_MAX_REQ - EXT_HEADER), max_requests);
	hw_cfg_put16(writable, PCI_PRI_CTRL_ENABLE);
	hw_cfg_put32(writable + (PCI_PRI_ALLOC_REQ - EXT_HEADER), ~0u);
	off = hw_ext_cap_add(hw, PCI_EXT_CAP_ID_PRI, 1, body, writable, sizeof(body));
	if (off > 0)
		hw_cfg_put16(hw->w1c + off + PCI_PRI_STATUS, PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
	return off;
}

int hw_ext_cap_add_vendor(struct hw_device *hw, uint16_t vsec_id, uint8_t rev, const void *body,
			  const void *writable, unsigned body_len)
{
	u8 all[VSEC_BODY_MAX + 4] = { 0 }, mask[VSEC_BODY_MAX + 4] = { 0 };

	if (body_len > VSEC_BODY_MAX)
		return fail(-EINVAL, "a vendor specific extended capability has at most %u bytes, not %u",
			    (unsigned)VSEC_BODY_MAX, body_len);
	hw_cfg_put32(all, vsec_id | (rev & 0xfu) << 16 | (body_len + 8) << 20);
	memcpy(all + 4, body, body_len);
	if (writable)
		memcpy(mask + 4, writable, body_len);
	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_VNDR, 1, all, mask, body_len + 4);
}

int hw_ext_cap_add_ari(struct hw_device *hw, uint8_t next)
{
	const u8 body[4] = { 0, next, 0, 0 };

	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_ARI, 1, body, NULL, sizeof(body));
}

int hw_ext_cap_add_acs(struct hw_device *hw)
{
	const u16 can = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;
	u8 body[4] = { 0 }, writable[4] = { 0 };

	hw_cfg_put16(body, can);
	hw_cfg_put16(writable + 2, can);
	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_ACS, 1, body, writable, sizeof(body));
}

int hw_ext_cap_add_ltr(struct hw_device *hw)
{
	static const u8 body[4], writable[4] = { 0xff, 0x1f, 0xff, 0x1f };

	return hw_ext_cap_add(hw, PCI_EXT_CAP_ID_LTR, 1, body, writable, sizeof(body));
}
