/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace_mock.c - what the test ioctl of iommufd looks like: the second word says what the rest means.
 *
 * Its layout is in no uAPI header: a row for each field here, by offset (kernel/iommufd/iommufd_test.h has it as
 * a struct, which this layer does not see).
 */
#include <string.h>

#include "kernel/syscall/trace_table.h"

#define U32(name_, off_, format_, dir_) { name_, off_, 4, TRACE_##format_, TRACE_##dir_, NULL }
#define U64(name_, off_, format_, dir_) { name_, off_, 8, TRACE_##format_, TRACE_##dir_, NULL }
#define FLAGS(name_, off_, names_) { name_, off_, 4, TRACE_FLAGS, TRACE_IN, names_ }

static const struct trace_name dev_flags[] = { { 1, "NO_DIRTY" }, { 4, "PASID" }, END };
static const struct trace_name create_flags[] = { { 1, "NEEDS_PIN_PAGES" }, END };
static const struct trace_name access_flags[] = { { 1, "WRITE" }, { 4, "SLOW_PATH" }, END };
static const struct trace_name perms[] = { { 1, "READ" }, { 2, "WRITE" }, { 4, "EXEC" }, { 8, "PRIV" }, END };

static const struct trace_field add_reserved[] = { U64("start", 16, HEX, IN), U64("length", 24, HEX, IN), END };
static const struct trace_field mock_domain[] = {
	U32("out_stdev_id", 16, DEC, OUT), U32("out_hwpt_id", 20, DEC, OUT), U32("out_idev_id", 24, DEC, OUT), END,
};
static const struct trace_field mock_domain_flags[] = {
	FLAGS("dev_flags", 28, dev_flags), U32("out_stdev_id", 16, DEC, OUT), U32("out_hwpt_id", 20, DEC, OUT),
	U32("out_idev_id", 24, DEC, OUT), END,
};
static const struct trace_field pt_id[] = { U32("pt_id", 16, DEC, INOUT), END };
static const struct trace_field check_map[] = {
	U64("iova", 16, HEX, IN), U64("length", 24, HEX, IN), U64("uptr", 32, HEX, IN), END,
};
static const struct trace_field check_refs[] = {
	U64("uptr", 24, HEX, IN), U64("length", 16, HEX, IN), U32("refs", 32, DEC, IN), END,
};
static const struct trace_field create_access[] = {
	FLAGS("flags", 20, create_flags), U32("out_access_fd", 16, SIGNED, OUT), END,
};
static const struct trace_field destroy_pages[] = { U32("access_pages_id", 16, DEC, IN), END };
static const struct trace_field access_pages[] = {
	FLAGS("flags", 16, access_flags), U64("iova", 24, HEX, IN), U64("length", 32, HEX, IN),
	U64("uptr", 40, HEX, IN), U32("out_access_pages_id", 20, DEC, OUT), END,
};
static const struct trace_field access_rw[] = {
	FLAGS("flags", 40, access_flags), U64("iova", 16, HEX, IN), U64("length", 24, HEX, IN),
	U64("uptr", 32, HEX, IN), END,
};
static const struct trace_field memory_limit[] = { U32("limit", 16, DEC, IN), END };
static const struct trace_field ioas_id[] = { U32("ioas_id", 16, DEC, IN), END };
static const struct trace_field dirty[] = {
	U32("flags", 16, HEX, IN), U64("iova", 24, HEX, IN), U64("length", 32, HEX, IN), U64("page_size", 40, HEX, IN),
	U64("uptr", 48, HEX, IN), U64("out_nr_dirty", 56, DEC, OUT), END,
};
static const struct trace_field check_word[] = { U32("index", 16, DEC, IN), U32("value", 20, HEX, IN), END };
static const struct trace_field iopf[] = {
	U32("dev_id", 16, DEC, IN), U32("pasid", 20, DEC, IN), U32("grpid", 24, DEC, IN), FLAGS("perm", 28, perms),
	U64("addr", 32, HEX, IN), END,
};
static const struct trace_field vevent[] = { U32("dev_id", 16, DEC, IN), END };
static const struct trace_field pasid_pt[] = { U32("pasid", 16, DEC, IN), U32("pt_id", 20, DEC, INOUT), END };
static const struct trace_field pasid[] = { U32("pasid", 16, DEC, IN), END };
static const struct trace_field pasid_check[] = { U32("pasid", 16, DEC, IN), U32("hwpt_id", 20, DEC, IN), END };
static const struct trace_field dmabuf_get[] = { U32("length", 16, HEX, IN), U32("open_flags", 20, HEX, IN), END };
static const struct trace_field dmabuf_revoke[] = {
	U32("dmabuf_fd", 16, SIGNED, IN), U32("revoked", 20, DEC, IN), END,
};

/* By number, from 0; @id: what the third word is, NULL nothing. */
static const struct {
	const char *name, *id;
	const struct trace_field *fields;
} ops[] = {
	{ 0 },
	{ "ADD_RESERVED", "ioas", add_reserved },
	{ "MOCK_DOMAIN", "pt_id", mock_domain },
	{ "MD_CHECK_MAP", "hwpt", check_map },
	{ "MD_CHECK_REFS", NULL, check_refs },
	{ "CREATE_ACCESS", "ioas", create_access },
	{ "DESTROY_ACCESS_PAGES", "access_fd", destroy_pages },
	{ "ACCESS_PAGES", "access_fd", access_pages },
	{ "ACCESS_RW", "access_fd", access_rw },
	{ "SET_TEMP_MEMORY_LIMIT", NULL, memory_limit },
	{ "MOCK_DOMAIN_REPLACE", "stdev", pt_id },
	{ "ACCESS_REPLACE_IOAS", "access_fd", ioas_id },
	{ "MOCK_DOMAIN_FLAGS", "pt_id", mock_domain_flags },
	{ "DIRTY", "hwpt", dirty },
	{ "MD_CHECK_IOTLB", "hwpt", check_word },
	{ "TRIGGER_IOPF", NULL, iopf },
	{ "DEV_CHECK_CACHE", "dev_id", check_word },
	{ "TRIGGER_VEVENT", NULL, vevent },
	{ "PASID_ATTACH", "stdev", pasid_pt },
	{ "PASID_REPLACE", "stdev", pasid_pt },
	{ "PASID_DETACH", "stdev", pasid },
	{ "PASID_CHECK_HWPT", "stdev", pasid_check },
	{ "DMABUF_GET", NULL, dmabuf_get },
	{ "DMABUF_REVOKE", NULL, dmabuf_revoke },
};

static u32 word(const u8 *data, unsigned off)
{
	u32 value;

	memcpy(&value, data + off, sizeof(value));
	return value;
}

static void show(struct trace_line *line, const struct trace_field *fields, const struct trace_ioctl *state,
		 const u8 *now, bool out)
{
	for (; fields->name; fields++) {
		const struct trace_field one[] = { *fields, END };
		bool same = !memcmp(state->in + fields->off, now + fields->off, fields->size);

		if (out ? !(fields->dir & TRACE_OUT) || (fields->dir & TRACE_IN && same) : !(fields->dir & TRACE_IN))
			continue;
		trace_fields(line, one, now, state->have);
	}
}

void trace_mock_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out)
{
	u32 op = word(state->in, 4), id = word(state->in, 8);

	if (state->have < 12)
		return;
	if (op >= ARRAY_SIZE(ops) || !ops[op].name) {
		if (!out)
			line_add(line, ", op=%u, id=%u", op, id);
		return;
	}
	if (!out) {
		line_add(line, ", op=%s", ops[op].name);
		if (ops[op].id)
			line_add(line, ", %s=%u", ops[op].id, id);
	}
	show(line, ops[op].fields, state, now, out);
}
