/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vpd.c - vital product data: a small memory behind two registers.
 *
 * A driver writes an address with the flag clear, and finds the flag set once four bytes are in the
 * data register; or it writes data, then the address with the flag set, and finds it clear once the
 * bytes are stored.  Here both are done when the write returns.  Addresses behind the end leave the
 * flag as it was written, so a driver that polls for it gives up, as with real chips.
 *
 * Source: PCI Local Bus 3.0, 6.4 and appendix I.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define VPD_MAX_BYTES 32768u
#define TAG_NAME 0x82
#define TAG_READ_ONLY 0x90
#define TAG_READ_WRITE 0x91
#define TAG_END 0x78

int hw_cap_add_vpd(struct hw_device *hw, const void *data, unsigned len_bytes, unsigned rw_off)
{
	static const u8 body[6], writable[6] = { 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff };
	int off;

	if (!len_bytes || len_bytes > VPD_MAX_BYTES || len_bytes % 4)
		return fail(-EINVAL, "VPD of %u bytes: it has a multiple of 4, at most %u", len_bytes,
			    VPD_MAX_BYTES);
	if (hw->vpd)
		return fail(-EBUSY, "VPD was added before");
	hw->vpd = malloc(len_bytes);
	if (!hw->vpd)
		return -ENOMEM;
	memcpy(hw->vpd, data, len_bytes);
	hw->vpd_bytes = len_bytes;
	hw->vpd_rw_off = rw_off;
	off = hw_cap_add(hw, PCI_CAP_ID_VPD, body, writable, sizeof(body));
	if (off > 0)
		hw->vpd_cap = (u8)off;
	return off;
}

void hw_vpd_written_locked(struct hw_device *hw)
{
	u8 *reg = hw->cfg + hw->vpd_cap;
	const u16 word = hw_cfg_get16(reg + PCI_VPD_ADDR);
	const unsigned addr = word & PCI_VPD_ADDR_MASK;
	const bool write = word & PCI_VPD_ADDR_F;

	lockdep_assert_held(&hw->cfg_lock);
	if (addr + 4 > hw->vpd_bytes)
		return;
	if (write && addr >= hw->vpd_rw_off)
		memcpy(hw->vpd + addr, reg + PCI_VPD_DATA, 4);
	if (!write)
		memcpy(reg + PCI_VPD_DATA, hw->vpd + addr, 4);
	hw_cfg_put16(reg + PCI_VPD_ADDR, word ^ PCI_VPD_ADDR_F);
}

/* ---- an image -------------------------------------------------------------------------------- */

struct image {
	u8 *buf;
	unsigned len, room;
	bool bad;
};

static void add(struct image *img, const void *bytes, unsigned len)
{
	if (img->bad || len > img->room - img->len) {
		img->bad = true;
		return;
	}
	memcpy(img->buf + img->len, bytes, len);
	img->len += len;
}

static void add_tag(struct image *img, u8 tag, unsigned len)
{
	const u8 head[3] = { tag, (u8)len, (u8)(len >> 8) };

	add(img, head, sizeof(head));
}

static void add_keyword(struct image *img, const char *key, const char *text)
{
	const size_t len = strlen(text);
	const u8 n = (u8)len;

	img->bad |= len > 255;
	add(img, key, 2);
	add(img, &n, 1);
	add(img, text, n);
}

/* RV holds one byte that makes the sum of all before it zero. */
static void add_checksum(struct image *img)
{
	u8 sum = 0;

	add(img, "RV\1", 3);
	for (unsigned i = 0; i < img->len; i++)
		sum = (u8)(sum + img->buf[i]);
	sum = (u8)-sum;
	add(img, &sum, 1);
}

static void add_free(struct image *img, unsigned bytes)
{
	const u8 head[3] = { 'R', 'W', (u8)bytes };
	const u8 zero = 0;

	img->bad |= bytes > 255;
	add_tag(img, TAG_READ_WRITE, bytes + sizeof(head));
	add(img, head, sizeof(head));
	for (unsigned i = 0; i < bytes; i++)
		add(img, &zero, 1);
}

int hw_vpd_text(void *buf, unsigned room, const char *name, const char *part, const char *serial,
		unsigned rw_bytes, unsigned *ret_rw_off)
{
	struct image img = { .buf = buf, .room = room };
	const u8 end = TAG_END, zero = 0;

	add_tag(&img, TAG_NAME, (unsigned)strlen(name));
	add(&img, name, (unsigned)strlen(name));
	add_tag(&img, TAG_READ_ONLY, (unsigned)(strlen(part) + strlen(serial)) + 10);
	add_keyword(&img, "PN", part);
	add_keyword(&img, "SN", serial);
	add_checksum(&img);
	*ret_rw_off = img.len & ~3u; /* registers move four bytes at a time */
	if (rw_bytes)
		add_free(&img, rw_bytes);
	add(&img, &end, 1);
	while (img.len % 4 && !img.bad)
		add(&img, &zero, 1);
	if (img.bad)
		return fail(-EINVAL, "the texts of the VPD are longer than 255 bytes, or all of it than %u",
			    room);
	return (int)img.len;
}
