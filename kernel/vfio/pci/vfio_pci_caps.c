/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci_caps.c - whose each bit of config space is: the program's, the hardware's or ours.
 *
 * For each bit two answers are written down when the device is opened.  Virtual: does a read come from
 * vconfig (1) or from hardware (0)?  Writable: does a write change it?  What no capability covers
 * belongs to the program as it is: read and written through.  A capability that Linux does not know is
 * taken out of the list, and its bytes count as covered by none.
 *
 * The lists are the device's and may be wrong in any way: pointers outside, loops, capabilities one
 * over the other.  A list is cut at the first pointer that leads nowhere new, and a byte belongs to the
 * first capability that claims it.
 *
 * Sources: PCI Local Bus 3.0, chapter 6; PCI Power Management 1.2; PCI Express Base 5.0, chapter 7;
 * and what Linux 7.2 lets a program write on emulated devices.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "kernel/lib/explain.h"
#include "kernel/vfio/pci/vfio_pci_priv.h"

#define EXT_START PCI_CFG_SPACE_SIZE
#define EXP_V2_BYTES 60
#define DOE_BYTES 0x18
#define AER_BYTES 0x38 /* up to the TLP prefix log, which not all have */

/* What the walk needs to remember. */
struct walk {
	struct vfio_pci_core_device *vdev;
	struct vfio_pci_config *cfg;
	unsigned size;
	bool claimed[PCI_CFG_SPACE_EXP_SIZE];
};

static u8 raw8(struct walk *w, unsigned pos)
{
	u8 val = 0xff;

	pci_read_config_byte(w->vdev->pdev, pos, &val);
	return val;
}

static u16 raw16(struct walk *w, unsigned pos)
{
	return (u16)(raw8(w, pos) | raw8(w, pos + 1) << 8);
}

static u32 raw32(struct walk *w, unsigned pos)
{
	return raw16(w, pos) | (u32)raw16(w, pos + 2) << 16;
}

/* ---- writing the tables ---------------------------------------------------------------------- */

/* @virt, @writable: little-endian masks of @len bytes at @pos.  Virtual bits start as hardware has them. */
static void perm(struct walk *w, unsigned pos, unsigned len, u32 virt, u32 writable)
{
	for (unsigned i = 0; i < len && pos + i < w->size; i++) {
		w->cfg->virt[pos + i] = (u8)(virt >> 8 * i);
		w->cfg->writable[pos + i] = (u8)(writable >> 8 * i);
		w->cfg->vconfig[pos + i] = raw8(w, pos + i);
	}
}

static void vset(struct walk *w, unsigned pos, unsigned len, u32 val)
{
	for (unsigned i = 0; i < len && pos + i < w->size; i++)
		w->cfg->vconfig[pos + i] = (u8)(val >> 8 * i);
}

static void kind(struct walk *w, unsigned pos, unsigned len, enum config_kind kind)
{
	memset(w->cfg->kind + pos, kind, len);
}

/* Make [pos, pos+len) read-only and real, to begin with.  false: some of it is somebody else's already. */
static bool claim(struct walk *w, unsigned pos, unsigned len)
{
	if (pos + len > w->size)
		return false;
	for (unsigned i = pos; i < pos + len; i++) {
		if (w->claimed[i])
			return false;
	}
	memset(w->claimed + pos, true, len);
	memset(w->cfg->writable + pos, 0, len);
	return true;
}

/* ---- the header ------------------------------------------------------------------------------ */

static void bar_perms(struct walk *w, unsigned pos, const struct resource *res, u32 enable)
{
	const u64 mask = res->size_bytes ? ~(res->size_bytes - 1) : 0;
	const bool wide = res->flags & IORESOURCE_MEM_64;

	perm(w, pos, 4, ~0u, (u32)mask | (res->size_bytes ? enable : 0));
	if (!res->size_bytes)
		vset(w, pos, 4, 0);
	if (wide && res->size_bytes)
		perm(w, pos + 4, 4, ~0u, (u32)(mask >> 32));
}

/* BARs are the program's to size and move; where hardware decodes is decided at boot and stays. */
static void header_bars(struct walk *w)
{
	const struct resource *res = w->vdev->pdev->resource;

	for (unsigned bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		bar_perms(w, PCI_BASE_ADDRESS_0 + 4 * bar, &res[bar], 0);
		if (w->vdev->pdev->physfn) /* hardware has no such registers: kind, and no address yet */
			vset(w, PCI_BASE_ADDRESS_0 + 4 * bar, 4, res[bar].flags & 0xf);
		if (res[bar].size_bytes && res[bar].flags & IORESOURCE_MEM_64)
			bar++;
	}
	bar_perms(w, PCI_ROM_ADDRESS, &res[PCI_ROM_RESOURCE], PCI_ROM_ADDRESS_ENABLE);
}

/* A virtual function has neither ids nor a switch for memory decoding: the program gets both from us. */
static void header_virtfn(struct walk *w)
{
	const struct pci_dev *pdev = w->vdev->pdev;

	perm(w, PCI_VENDOR_ID, 4, ~0u, 0);
	vset(w, PCI_VENDOR_ID, 4, pdev->vendor | (u32)pdev->device << 16);
	perm(w, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY, 0xffff);
	w->cfg->vconfig[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
}

static void header(struct walk *w)
{
	claim(w, 0, PCI_STD_HEADER_SIZEOF);
	perm(w, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, 0xffff);
	if (w->vdev->pdev->physfn)
		header_virtfn(w);
	kind(w, PCI_COMMAND, 2, CONFIG_COMMAND);
	perm(w, PCI_CACHE_LINE_SIZE, 2, 0, 0xffff); /* and latency timer */
	header_bars(w);
	perm(w, PCI_CAPABILITY_LIST, 1, 0xff, 0);
	perm(w, PCI_INTERRUPT_LINE, 1, 0xff, 0xff);
	perm(w, PCI_INTERRUPT_PIN, 1, 0xff, 0);
	if (!vfio_pci_get_irq_count(w->vdev, VFIO_PCI_INTX_IRQ_INDEX))
		vset(w, PCI_INTERRUPT_PIN, 1, 0);
}

/* ---- capabilities below 256 ------------------------------------------------------------------ */

static unsigned exp_len(struct walk *w, unsigned pos)
{
	const u16 flags = raw16(w, pos + PCI_EXP_FLAGS);
	const unsigned type = (flags & PCI_EXP_FLAGS_TYPE) >> 4;

	if ((flags & PCI_EXP_FLAGS_VERS) >= 2)
		return EXP_V2_BYTES;
	return type == PCI_EXP_TYPE_RC_END ? PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V1
					   : PCI_CAP_EXP_ENDPOINT_SIZEOF_V1;
}

static unsigned msi_len(struct walk *w, unsigned pos)
{
	const u16 flags = raw16(w, pos + PCI_MSI_FLAGS);

	return 10 + (flags & PCI_MSI_FLAGS_64BIT ? 4 : 0) + (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
}

/* Bytes of a capability; 0: hidden from the program. */
static unsigned cap_len(struct walk *w, unsigned pos, u8 id)
{
	switch (id) {
	case PCI_CAP_ID_PM:
		return PCI_PM_SIZEOF;
	case PCI_CAP_ID_AGP:
		return PCI_AGP_SIZEOF;
	case PCI_CAP_ID_VPD:
		return PCI_CAP_VPD_SIZEOF;
	case PCI_CAP_ID_MSI:
		return msi_len(w, pos);
	case PCI_CAP_ID_PCIX:
		return PCI_X_CMD_VERSION(raw16(w, pos + PCI_X_CMD)) ? PCI_CAP_PCIX_SIZEOF_V1
								    : PCI_CAP_PCIX_SIZEOF_V0;
	case PCI_CAP_ID_HT:
		return raw8(w, pos + 3) & HT_3BIT_CAP_MASK ? HT_CAP_SIZEOF_SHORT : HT_CAP_SIZEOF_LONG;
	case PCI_CAP_ID_VNDR:
		return max(raw8(w, pos + 2), (u8)3);
	case PCI_CAP_ID_EXP:
		return exp_len(w, pos);
	case PCI_CAP_ID_MSIX:
		return PCI_CAP_MSIX_SIZEOF;
	case PCI_CAP_ID_SATA:
		return (raw8(w, pos + PCI_SATA_REGS) & PCI_SATA_REGS_MASK) == PCI_SATA_REGS_INLINE
			       ? PCI_SATA_SIZEOF_LONG
			       : PCI_SATA_SIZEOF_SHORT;
	case PCI_CAP_ID_AF:
		return PCI_CAP_AF_SIZEOF;
	default:
		return 0;
	}
}

/* Wake-up events are for the machine, not for a guest: the PME bits read 0. */
static void pm_perms(struct walk *w, unsigned pos)
{
	const u16 pme = PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS;

	w->cfg->pm_pos = pos;
	perm(w, pos + PCI_PM_PMC, 2, PCI_PM_CAP_PME_MASK, 0);
	vset(w, pos + PCI_PM_PMC, 2, 0);
	perm(w, pos + PCI_PM_CTRL, 2, pme, PCI_PM_CTRL_DATA_SEL_MASK); /* the state is an effect */
	vset(w, pos + PCI_PM_CTRL, 2, 0);
	kind(w, pos + PCI_PM_CTRL, 1, CONFIG_PM_CTRL);
}

/* Address, data and the low byte of control are the program's; only SET_IRQS programs the device. */
static void msi_perms(struct walk *w, unsigned pos, unsigned len)
{
	const u16 flags = raw16(w, pos + PCI_MSI_FLAGS);
	const unsigned data = flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;

	w->cfg->msi_pos = pos;
	perm(w, pos + PCI_MSI_FLAGS, 2, 0xffff, 0x00ff);
	kind(w, pos + PCI_MSI_FLAGS, 1, CONFIG_MSI_FLAGS);
	for (unsigned at = PCI_MSI_ADDRESS_LO; at < data + 2; at++) {
		perm(w, pos + at, 1, 0xff, 0xff);
		vset(w, pos + at, 1, 0);
	}
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		perm(w, pos + len - 8, 4, 0, ~0u);
}

/* The registers are ours alone: sysfs uses the device's own. */
static void vpd_perms(struct walk *w, unsigned pos)
{
	w->cfg->vpd_pos = pos;
	perm(w, pos + PCI_VPD_ADDR, 2, 0xffff, 0xffff);
	perm(w, pos + PCI_VPD_DATA, 4, ~0u, ~0u);
	kind(w, pos + PCI_VPD_ADDR + 1, 1, CONFIG_VPD_ADDR);
}

static void exp_perms(struct walk *w, unsigned pos, unsigned len)
{
	const u16 virt = PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ;

	w->cfg->exp_pos = pos;
	perm(w, pos + PCI_EXP_DEVCTL, 2, virt, (u16)~PCI_EXP_DEVCTL_BCR_FLR);
	kind(w, pos + PCI_EXP_DEVCTL + 1, 1, CONFIG_EXP_DEVCTL);
	if (len > PCI_EXP_DEVCTL2 + 1)
		perm(w, pos + PCI_EXP_DEVCTL2, 2, 0, (u16)~PCI_EXP_DEVCTL2_ARI);
}

static void cap_perms(struct walk *w, unsigned pos, u8 id, unsigned len)
{
	switch (id) {
	case PCI_CAP_ID_PM:
		pm_perms(w, pos);
		break;
	case PCI_CAP_ID_VPD:
		vpd_perms(w, pos);
		break;
	case PCI_CAP_ID_MSI:
		msi_perms(w, pos, len);
		break;
	case PCI_CAP_ID_PCIX:
		perm(w, pos + PCI_X_CMD, 2, 0, 0xffff);
		break;
	case PCI_CAP_ID_VNDR: /* all of it, but for the link */
		for (unsigned i = 0; i < len; i++)
			perm(w, pos + i, 1, 0, 0xff);
		perm(w, pos + PCI_CAP_LIST_NEXT, 1, 0xff, 0);
		return;
	case PCI_CAP_ID_EXP:
		exp_perms(w, pos, len);
		break;
	case PCI_CAP_ID_AF:
		w->cfg->af_pos = pos;
		kind(w, pos + PCI_AF_CTRL, 1, CONFIG_AF_CTRL);
		break;
	}
	perm(w, pos, 2, 0xffff, 0); /* id and next: the list as the program sees it */
}

/* A link of the list that cannot be followed ends it. */
static bool next_ok(struct walk *w, unsigned pos, const bool *visited)
{
	if (pos >= PCI_STD_HEADER_SIZEOF && pos + PCI_CAP_SIZEOF <= PCI_CFG_SPACE_SIZE && !visited[pos])
		return true;
	if (pos)
		explain_event("%s: the capability list leads to 0x%x %s: it is cut there",
			      vfio_pci_name(w->vdev), pos,
			      visited[pos] ? "a second time" : "where no capability can be");
	return false;
}

static void cap_list(struct walk *w)
{
	bool visited[PCI_CFG_SPACE_SIZE] = { false };
	unsigned link = PCI_CAPABILITY_LIST, pos, len;
	u8 id;

	if (!(raw16(w, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return; /* and whatever the pointer holds is shown */
	pos = raw8(w, link) & ~3u;
	while (next_ok(w, pos, visited)) {
		visited[pos] = true;
		id = raw8(w, pos);
		len = cap_len(w, pos, id);
		if (len && pos + len <= PCI_CFG_SPACE_SIZE && claim(w, pos, len)) {
			cap_perms(w, pos, id, len);
			vset(w, link, 1, pos);
			link = pos + PCI_CAP_LIST_NEXT;
		}
		pos = raw8(w, pos + PCI_CAP_LIST_NEXT) & ~3u;
	}
	vset(w, link, 1, 0);
}

/* ---- extended capabilities ------------------------------------------------------------------- */

static unsigned acs_len(struct walk *w, unsigned pos)
{
	const u16 cap = raw16(w, pos + PCI_ACS_CAP);
	const unsigned bits = (cap >> 8) ? cap >> 8 : 256;

	return cap & PCI_ACS_EC ? 8 + (bits + 31) / 32 * 4 : 8;
}

static unsigned rebar_len(struct walk *w, unsigned pos)
{
	const unsigned bars = raw8(w, pos + PCI_REBAR_CTRL) & PCI_REBAR_CTRL_NBAR_MASK;

	return 4 + (bars >> PCI_REBAR_CTRL_NBAR_SHIFT) * 8;
}

static unsigned tph_len(struct walk *w, unsigned pos)
{
	const u32 cap = raw32(w, pos + PCI_TPH_CAP);

	if ((cap & PCI_TPH_CAP_LOC_MASK) != PCI_TPH_LOC_CAP)
		return PCI_TPH_BASE_SIZEOF;
	return PCI_TPH_BASE_SIZEOF +
	       ALIGN_UP(2 * (((cap & PCI_TPH_CAP_ST_MASK) >> PCI_TPH_CAP_ST_SHIFT) + 1), 4);
}

static unsigned ext_cap_len(struct walk *w, unsigned pos, u16 id)
{
	switch (id) {
	case PCI_EXT_CAP_ID_ERR:
		return AER_BYTES;
	case PCI_EXT_CAP_ID_VC:
	case PCI_EXT_CAP_ID_VC9:
	case PCI_EXT_CAP_ID_MFVC:
		return PCI_CAP_VC_BASE_SIZEOF + ((raw32(w, pos + PCI_VC_PORT_CAP1) & PCI_VC_CAP1_EVCC) + 1) * PCI_CAP_VC_PER_VC_SIZEOF;
	case PCI_EXT_CAP_ID_DSN:
		return PCI_EXT_CAP_DSN_SIZEOF;
	case PCI_EXT_CAP_ID_PWR:
		return PCI_EXT_CAP_PWR_SIZEOF;
	case PCI_EXT_CAP_ID_VNDR:
		return PCI_VNDR_HEADER_LEN(raw32(w, pos + PCI_VNDR_HEADER));
	case PCI_EXT_CAP_ID_ACS:
		return acs_len(w, pos);
	case PCI_EXT_CAP_ID_ARI:
		return PCI_EXT_CAP_ARI_SIZEOF;
	case PCI_EXT_CAP_ID_ATS:
		return PCI_EXT_CAP_ATS_SIZEOF;
	case PCI_EXT_CAP_ID_SRIOV:
		return PCI_EXT_CAP_SRIOV_SIZEOF;
	case PCI_EXT_CAP_ID_MCAST:
		return PCI_EXT_CAP_MCAST_ENDPOINT_SIZEOF;
	case PCI_EXT_CAP_ID_PRI:
		return PCI_EXT_CAP_PRI_SIZEOF;
	case PCI_EXT_CAP_ID_REBAR:
		return rebar_len(w, pos);
	case PCI_EXT_CAP_ID_DPA:
		return PCI_DPA_BASE_SIZEOF + (raw8(w, pos + PCI_DPA_CAP) & PCI_DPA_CAP_SUBSTATE_MASK) + 1;
	case PCI_EXT_CAP_ID_TPH:
		return tph_len(w, pos);
	case PCI_EXT_CAP_ID_LTR:
		return PCI_EXT_CAP_LTR_SIZEOF;
	case PCI_EXT_CAP_ID_DOE:
		return DOE_BYTES;
	case PCI_EXT_CAP_ID_DVSEC:
		return PCI_DVSEC_HEADER1_LEN(raw32(w, pos + PCI_DVSEC_HEADER1));
	default:
		return 0;
	}
}

static void ext_cap_perms(struct walk *w, unsigned pos, u16 id, unsigned len)
{
	static const u8 err_regs[] = { PCI_ERR_UNCOR_STATUS, PCI_ERR_UNCOR_MASK, PCI_ERR_UNCOR_SEVER,
				       PCI_ERR_COR_STATUS,   PCI_ERR_COR_MASK,	 PCI_ERR_CAP };

	switch (id) {
	case PCI_EXT_CAP_ID_ERR:
		for (unsigned i = 0; i < ARRAY_SIZE(err_regs); i++)
			perm(w, pos + err_regs[i], 4, 0, ~0u);
		break;
	case PCI_EXT_CAP_ID_PWR: /* and not the register beside it that selects the data */
		perm(w, pos + PCI_PWR_DATA, 1, 0, 0xff);
		break;
	case PCI_EXT_CAP_ID_VNDR:
	case PCI_EXT_CAP_ID_DVSEC:
	case PCI_EXT_CAP_ID_DOE:
		for (unsigned i = 4; i < len; i++)
			perm(w, pos + i, 1, 0, 0xff);
		break;
	}
}

/* The header at 0x100 is ours in any case. */
static bool ext_claim(struct walk *w, unsigned pos, unsigned len)
{
	const unsigned skip = pos == EXT_START ? 4 : 0;

	return len >= 4 && len <= w->size - pos && claim(w, pos + skip, len - skip);
}

static u32 ext_header(u32 id_and_version, unsigned next)
{
	return (id_and_version & 0xfffff) | (u32)next << 20;
}

/*
 * The list begins at 0x100 whatever stands there; if that capability is hidden its header stays, with
 * id 0, to hold the link.
 */
static void ext_cap_list(struct walk *w)
{
	bool visited[PCI_CFG_SPACE_EXP_SIZE / 4] = { false };
	unsigned pos = EXT_START, link = EXT_START, len;
	u32 link_header = 0, raw;

	claim(w, pos, 4);
	perm(w, pos, 4, ~0u, 0);
	while (pos >= EXT_START && pos + 4 <= w->size && !visited[pos / 4]) {
		visited[pos / 4] = true;
		raw = raw32(w, pos);
		len = raw == ~0u ? 0 : ext_cap_len(w, pos, PCI_EXT_CAP_ID(raw));
		if (ext_claim(w, pos, len)) {
			ext_cap_perms(w, pos, PCI_EXT_CAP_ID(raw), len);
			perm(w, pos, 4, ~0u, 0);
			if (pos != link)
				vset(w, link, 4, ext_header(link_header, pos));
			link = pos;
			link_header = raw;
		}
		pos = PCI_EXT_CAP_NEXT(raw);
	}
	vset(w, link, 4, ext_header(link_header, 0));
}

void vfio_pci_caps_init(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_config *cfg = &vdev->config;
	struct walk w = { .vdev = vdev, .cfg = cfg, .size = vdev->pdev->cfg_size };

	memset(cfg->virt, 0, w.size);
	memset(cfg->writable, 0xff, w.size);
	memset(cfg->kind, CONFIG_PLAIN, w.size);
	cfg->msi_pos = cfg->pm_pos = cfg->exp_pos = cfg->af_pos = cfg->vpd_pos = 0;
	header(&w);
	cap_list(&w);
	if (w.size > EXT_START)
		ext_cap_list(&w);
}
