/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - bytes that a model saves and loads.
 *
 * Errors stick: after the first one a stream that is written takes nothing more, and one that is read
 * gives zeros, so that a model may look once at the end.  Numbers are 8 bytes, lowest first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/stream.h"
#include "kernel/lib/explain.h"

static bool grow(struct hw_stream *out, size_t len)
{
	size_t room = out->room ? out->room : 1024;
	u8 *buf;

	while (room - out->len < len)
		room *= 2;
	if (room == out->room)
		return true;
	buf = realloc(out->buf, room);
	if (!buf)
		return false;
	out->buf = buf;
	out->room = room;
	return true;
}

void hw_save(struct hw_stream *out, const void *buf, size_t len_bytes)
{
	if (out->err || !len_bytes)
		return;
	if (!grow(out, len_bytes)) {
		out->err = fail(-ENOMEM, "no memory for %zu bytes of the device's state", out->len + len_bytes);
		return;
	}
	memcpy(out->buf + out->len, buf, len_bytes);
	out->len += len_bytes;
}

void hw_save_u64(struct hw_stream *out, uint64_t val)
{
	u8 bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (u8)(val >> 8 * i);
	hw_save(out, bytes, sizeof(bytes));
}

int hw_load(struct hw_stream *in, void *buf, size_t len_bytes)
{
	if (!in->err && len_bytes > in->len - in->at)
		in->err = fail(-EINVAL, "the stream ends at byte %zu, where %zu more are needed", in->len, len_bytes);
	if (!len_bytes)
		return in->err;
	if (in->err) {
		memset(buf, 0, len_bytes);
		return in->err;
	}
	memcpy(buf, in->buf + in->at, len_bytes);
	in->at += len_bytes;
	return 0;
}

int hw_load_u64(struct hw_stream *in, const char *what, uint64_t min, uint64_t max, uint64_t *ret_val)
{
	u8 bytes[8];
	u64 val = 0;

	hw_load(in, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 8; i++)
		val |= (u64)bytes[i] << 8 * i;
	if (!in->err && (val < min || val > max))
		in->err = fail(-EINVAL, "%s in the stream is 0x%llx, not in [0x%llx, 0x%llx]", what,
			       (unsigned long long)val, (unsigned long long)min, (unsigned long long)max);
	*ret_val = in->err ? min : val;
	return in->err;
}
