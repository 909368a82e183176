/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate.c - a device's state as a stream of bytes.
 *
 *	head	"softvfio", the stream's format, the model's name and state_version, the identity text
 *	state	its length, what is pending of interrupts (irq.c), what the model saves
 *
 * The head is known before the device stops, so a user sends it ahead, and a device that the state does
 * not fit refuses the stream at once.  The length tells a stream that was cut from one that is whole.
 *
 * Config space and the MSI-X table are not in it: who drives the device set them up (for a program that
 * is VFIO_DEVICE_SET_IRQS and writes to config space), and sets them up again.
 *
 * Loading: everything that the core can check is checked before the model is touched.  Then the model
 * is reset, so that it loads into a known state, and once more if it refuses.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define STREAM_FORMAT 1u
#define MODEL_NAME_BYTES 64u
#define IDENTITY_BYTES 512u
#define STATE_BYTES_MAX (64ull << 20)

static const char magic[8] = "softvfio";

/* Where things stand in the head. */
enum {
	HEAD_MAGIC = 0,
	HEAD_FORMAT = 8,
	HEAD_VERSION = 16,
	HEAD_IDENTITY_LEN = 24,
	HEAD_MODEL = 32,
	HEAD_BYTES = HEAD_MODEL + MODEL_NAME_BYTES, /* the identity follows */
};

bool hw_can_migrate(void *opaque)
{
	const struct hw_device *hw = opaque;

	return hw->model->save != NULL;
}

void hw_quiesce(void *opaque, bool stop)
{
	struct hw_device *hw = opaque;

	if (stop)
		hw->model->quiesce(hw);
	hw_irq_quiesce(hw, stop);
	if (!stop)
		hw->model->resume(hw);
}

/* ---- saving ---- */

static void identity(struct hw_device *hw, char text[IDENTITY_BYTES])
{
	memset(text, 0, IDENTITY_BYTES);
	if (hw->model->identity)
		hw->model->identity(hw, text, IDENTITY_BYTES);
	text[IDENTITY_BYTES - 1] = 0;
}

static void save_head(struct hw_device *hw, struct hw_stream *out)
{
	char text[IDENTITY_BYTES], name[MODEL_NAME_BYTES] = "";

	identity(hw, text);
	snprintf(name, sizeof(name), "%s", hw->model->name);
	hw_save(out, magic, sizeof(magic));
	hw_save_u64(out, STREAM_FORMAT);
	hw_save_u64(out, hw->model->state_version);
	hw_save_u64(out, strlen(text));
	hw_save(out, name, sizeof(name));
	hw_save(out, text, strlen(text));
}

static int finish(struct hw_stream *out, int err, void **ret_buf, size_t *ret_len)
{
	if (!err)
		err = out->err;
	if (err) {
		free(out->buf);
		return err;
	}
	*ret_buf = out->buf;
	*ret_len = out->len;
	return 0;
}

int hw_save_head(void *opaque, void **ret_buf, size_t *ret_len)
{
	struct hw_device *hw = opaque;
	struct hw_stream out = { 0 };

	save_head(hw, &out);
	return finish(&out, 0, ret_buf, ret_len);
}

int hw_save_state(void *opaque, void **ret_buf, size_t *ret_len)
{
	struct hw_device *hw = opaque;
	struct hw_stream out = { 0 };
	u64 len;
	int err;

	hw_save_u64(&out, 0); /* the length, when it is known */
	hw_irq_save(hw, &out);
	atomic_store(&hw->saving, true);
	err = hw->model->save(hw, &out);
	atomic_store(&hw->saving, false);
	len = out.len - 8;
	for (unsigned i = 0; i < 8 && !err && !out.err; i++)
		out.buf[i] = (u8)(len >> 8 * i);
	return finish(&out, err, ret_buf, ret_len);
}

u64 hw_save_size(void *opaque)
{
	struct hw_device *hw = opaque;
	char text[IDENTITY_BYTES];

	identity(hw, text);
	return HEAD_BYTES + strlen(text) + 8 + 3 * 8 + hw->msix_vectors / 8 + hw->model->state_bytes;
}

/* ---- loading ---- */

static u64 get_u64(const u8 *p)
{
	return hw_cfg_get32(p) | (u64)hw_cfg_get32(p + 4) << 32;
}

static int check_fixed(struct hw_device *hw, const u8 *p)
{
	const struct hw_model *model = hw->model;

	if (get_u64(p + HEAD_FORMAT) != STREAM_FORMAT)
		return fail(-EINVAL, "%s: the stream has format %llu, this softvfio knows %u", hw->name,
			    (unsigned long long)get_u64(p + HEAD_FORMAT), STREAM_FORMAT);
	if (p[HEAD_BYTES - 1] || strcmp((const char *)p + HEAD_MODEL, model->name))
		return fail(-EINVAL, "%s: the stream is of a device of model %.*s, this is %s", hw->name,
			    (int)MODEL_NAME_BYTES, (const char *)p + HEAD_MODEL, model->name);
	if (get_u64(p + HEAD_VERSION) != model->state_version)
		return fail(-EINVAL, "%s: the stream has version %llu of %s's state, this softvfio knows %u", hw->name,
			    (unsigned long long)get_u64(p + HEAD_VERSION), model->name, model->state_version);
	if (get_u64(p + HEAD_IDENTITY_LEN) >= IDENTITY_BYTES)
		return fail(-EINVAL, "%s: the stream's identity has %llu bytes, at most %u are possible", hw->name,
			    (unsigned long long)get_u64(p + HEAD_IDENTITY_LEN), IDENTITY_BYTES - 1);
	return 0;
}

static int check_identity(struct hw_device *hw, const u8 *p, size_t len)
{
	char text[IDENTITY_BYTES];

	identity(hw, text);
	if (len == strlen(text) && !memcmp(p, text, len))
		return 0;
	return fail(-EINVAL, "%s: the stream is of a device with \"%.*s\", this one has \"%s\"", hw->name, (int)len,
		    (const char *)p, text);
}

static int check_length(struct hw_device *hw, u64 state, size_t have)
{
	if (state > STATE_BYTES_MAX)
		return fail(-EINVAL, "%s: the stream's state has 0x%llx bytes, at most 0x%llx are possible", hw->name,
			    (unsigned long long)state, STATE_BYTES_MAX);
	if (have > state)
		return fail(-EINVAL, "%s: the stream goes on after the %llu bytes of its state", hw->name,
			    (unsigned long long)state);
	return 0;
}

/* *@ret_state: where the state begins, once that is known; 0 before. */
static int check(struct hw_device *hw, const u8 *p, size_t len, size_t *ret_state)
{
	size_t id_len, state;
	int err;

	*ret_state = 0;
	if (memcmp(p, magic, min(len, sizeof(magic))))
		return fail(-EINVAL, "%s: the stream does not begin as one of softvfio", hw->name);
	if (len < HEAD_BYTES)
		return 0;
	err = check_fixed(hw, p);
	if (err)
		return err;
	id_len = get_u64(p + HEAD_IDENTITY_LEN);
	if (len < HEAD_BYTES + id_len)
		return 0;
	err = check_identity(hw, p + HEAD_BYTES, id_len);
	if (err)
		return err;
	state = HEAD_BYTES + id_len + 8;
	if (len < state)
		return 0;
	*ret_state = state;
	return check_length(hw, get_u64(p + state - 8), len - state);
}

int hw_load_check(void *opaque, const void *buf, size_t len)
{
	size_t state;

	return check(opaque, buf, len, &state);
}

static int load_model(struct hw_device *hw, struct hw_stream *in)
{
	int err = hw_irq_load(hw, in);

	atomic_store(&hw->saving, true);
	if (!err)
		err = hw->model->load(hw, in);
	if (!err)
		err = in->err;
	if (!err && in->at != in->len)
		err = fail(-EINVAL, "%s: %zu bytes of the stream are left over", hw->name, in->len - in->at);
	atomic_store(&hw->saving, false);
	return err;
}

void hw_forget(void *opaque)
{
	struct hw_device *hw = opaque;

	if (hw->model->reset)
		hw->model->reset(hw);
	hw_intx(hw, false);
}

int hw_load_state(void *opaque, const void *buf, size_t len)
{
	struct hw_device *hw = opaque;
	struct hw_stream in = { .buf = (u8 *)(uintptr_t)buf, .len = len };
	int err = check(hw, buf, len, &in.at);

	if (err)
		return err;
	if (!in.at || get_u64(in.buf + in.at - 8) != len - in.at)
		return fail(-EINVAL, "%s: the stream ends after %zu bytes: it is not whole", hw->name, len);
	hw_forget(hw);
	if (!load_model(hw, &in))
		return 0;
	hw_forget(hw);
	return -EBADMSG; /* the model or the stream said why */
}
