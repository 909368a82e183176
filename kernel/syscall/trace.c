/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace.c - one line for each call, as strace would print it if it knew VFIO to the last field.
 *
 * A line is made in two halves, because a struct goes in and comes out: before the call what the
 * program wrote, after it what the call changed, behind "=>".  What a code looks like is said in
 * trace_vfio.c and trace_iommufd.c; here is only how flags, numbers and lists are written.
 *
 * What always holds: the program's memory is read with guarded copies and never written; a line is
 * one write(2), so lines of several threads do not mix; what does not fit is cut and ends in "...".
 */
#include "kernel/syscall/trace.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/trace_table.h"

/* Kept free for what trace_end() adds. */
#define LINE_END_ROOM 160

bool trace_enabled;
static int trace_fd = -1;

/* ---- text ---- */

void line_add(struct trace_line *line, const char *fmt, ...)
{
	static const char cut[] = "...";
	size_t room = sizeof(line->text) - LINE_END_ROOM;
	va_list ap;
	int wanted;

	if (line->len + sizeof(cut) >= room)
		return;
	room -= line->len;
	va_start(ap, fmt);
	wanted = vsnprintf(line->text + line->len, room, fmt, ap);
	va_end(ap);
	if (wanted < 0)
		return;
	if ((size_t)wanted < room) {
		line->len += (size_t)wanted;
		return;
	}
	line->len += room - 1;
	memcpy(line->text + line->len - strlen(cut), cut, sizeof(cut));
}

void line_sep(struct trace_line *line)
{
	char last = line->len ? line->text[line->len - 1] : '{';

	if (last != '{' && last != '[' && last != '(')
		line_add(line, ", ");
}

static void line_print(struct trace_line *line, s64 ret)
{
	char *end = line->text + line->len;
	size_t room = sizeof(line->text) - line->len;
	const char *name, *text;

	if (ret >= 0) {
		snprintf(end, room, ") = %lld\n", (long long)ret);
	} else {
		name = strerrorname_np((int)-ret);
		text = strerrordesc_np((int)-ret);
		snprintf(end, room, ") = -1 %s (%s)\n", name ? name : "?", text ? text : "unknown");
	}
	(void)sys_write(trace_fd, line->text, strlen(line->text));
}

void trace_begin(struct trace_line *line, const char *name, int fd, const struct file *file)
{
	line->len = 0;
	line->numbered = file->numbered;
	line_add(line, "%s(%d<%s>", name, fd, file->path);
}

void trace_end(struct trace_line *line, s64 ret)
{
	line_print(line, ret);
}

/*
 * An open() has its file before the front end has a number for it.  The line waits on this thread for
 * fd_install(); if that never comes there was no number to give, and the line is forgotten.
 */
static __thread __attribute__((tls_model("initial-exec"))) struct {
	const struct file *file;
	char text[256];
} opening;

void trace_opened(struct trace_line *line, struct file *file)
{
	snprintf(opening.text, sizeof(opening.text), "%.*s", (int)line->len, line->text);
	opening.file = file;
}

static void print_opened(int fd, struct file *file)
{
	struct trace_line line = { .len = 0 };

	if (!file || opening.file != file)
		return;
	opening.file = NULL;
	line_add(&line, "%s", opening.text);
	line_print(&line, fd);
}

void trace_open(int fd)
{
	trace_fd = fd;
	trace_enabled = true;
	fd_installed = print_opened;
}

/* ---- values ---- */

const char *trace_name_of(u64 value, const struct trace_name *names)
{
	for (; names && names->name; names++)
		if (names->value == value)
			return names->name;
	return NULL;
}

void trace_flags(struct trace_line *line, u64 value, const struct trace_name *names)
{
	const char *glue = "";

	if (!value)
		line_add(line, "0");
	for (; names && names->name; names++) {
		if (!(value & names->value))
			continue;
		line_add(line, "%s%s", glue, names->name);
		value &= ~names->value;
		glue = "|";
	}
	if (value)
		line_add(line, "%s0x%llx", glue, (ull)value);
}

static u64 field_value(const struct trace_field *field, const u8 *data)
{
	u64 value = 0;

	memcpy(&value, data + field->off, field->size); /* little endian, as all hosts of ours */
	return value;
}

static void field_add(struct trace_line *line, const struct trace_field *field, const u8 *data)
{
	u64 value = field_value(field, data);
	unsigned unused_bits = 64 - 8 * field->size;
	const char *name;

	line_sep(line);
	line_add(line, "%s=", field->name);
	switch ((enum trace_format)field->format) {
	case TRACE_DEC:
		line_add(line, "%llu", (ull)value);
		return;
	case TRACE_SIGNED:
		line_add(line, "%lld", (long long)((s64)(value << unused_bits) >> unused_bits));
		return;
	case TRACE_HEX:
		line_add(line, "0x%llx", (ull)value);
		return;
	case TRACE_FLAGS:
		trace_flags(line, value, field->names);
		return;
	case TRACE_ENUM:
	case TRACE_INDEX:
		name = field->format == TRACE_INDEX && line->numbered ? NULL : trace_name_of(value, field->names);
		if (name)
			line_add(line, "%s", name);
		else
			line_add(line, value > 0xffff ? "0x%llx" : "%llu", (ull)value);
		return;
	}
}

void trace_fields(struct trace_line *line, const struct trace_field *fields, const u8 *data, size_t have)
{
	for (; fields && fields->name; fields++)
		if ((size_t)fields->off + fields->size <= have)
			field_add(line, fields, data);
}

/* ---- ioctl ---- */

/* The first word of every struct says how long it is; more than that is not the program's to show. */
static size_t read_struct(unsigned long arg, size_t size, u8 *buf)
{
	u32 first;
	size_t len;

	if (guard_copy(&first, (const void *)arg, sizeof(first)))
		return 0;
	len = first < sizeof(first) ? sizeof(first) : min(size, (size_t)first);
	if (guard_copy(buf, (const void *)arg, len))
		return 0;
	return len;
}

static void struct_before(struct trace_line *line, struct trace_ioctl *state)
{
	const struct trace_call *call = state->call;

	memset(state->in, 0, sizeof(state->in));
	state->have = read_struct(state->arg, min((size_t)call->size, sizeof(state->in)), state->in);
	if (!state->have) {
		line_add(line, state->arg ? ", 0x%lx" : ", NULL", state->arg);
		return;
	}
	line_add(line, ", {");
	for (const struct trace_field *field = call->fields; field && field->name; field++)
		if ((field->dir & TRACE_IN) && (size_t)field->off + field->size <= state->have)
			field_add(line, field, state->in);
	if (call->tail)
		call->tail(line, state, state->in, false);
	line_add(line, "}");
}

static void string_before(struct trace_line *line, unsigned long arg)
{
	char text[64];
	long len = guard_strncpy(text, (const char *)arg, sizeof(text));

	if (len == -EFAULT)
		line_add(line, ", 0x%lx", arg);
	else
		line_add(line, ", \"%.*s\"%s", (int)sizeof(text), text, len < 0 ? "..." : "");
}

const struct trace_call *trace_call_find(enum file_kind kind, unsigned int cmd)
{
	for (size_t i = 0; i < trace_vfio_count; i++)
		if (trace_vfio_calls[i].cmd == cmd && (trace_vfio_calls[i].kinds & BIT(kind)))
			return &trace_vfio_calls[i];
	for (size_t i = 0; i < trace_iommufd_count; i++)
		if (trace_iommufd_calls[i].cmd == cmd && (trace_iommufd_calls[i].kinds & BIT(kind)))
			return &trace_iommufd_calls[i];
	return NULL;
}

void trace_ioctl_before(struct trace_line *line, struct trace_ioctl *state, const struct file *file,
			unsigned int cmd, unsigned long arg)
{
	const struct trace_call *call = trace_call_find(file->f_op->kind, cmd);
	const char *name;
	int value;

	state->call = call;
	state->cmd = cmd;
	state->arg = arg;
	state->have = 0;
	if (!call) {
		line_add(line, ", 0x%x, 0x%lx", cmd, arg);
		return;
	}
	line_add(line, ", %s", call->name);
	switch (call->arg) {
	case TRACE_NO_ARG: /* what stands there is left over from another call */
		return;
	case TRACE_VALUE:
		name = trace_name_of(arg, call->names);
		if (name)
			line_add(line, ", %s", name);
		else
			line_add(line, ", %ld", (long)arg);
		return;
	case TRACE_INT_PTR:
		if (guard_copy(&value, (const void *)arg, sizeof(value)))
			line_add(line, ", 0x%lx", arg);
		else
			line_add(line, ", [%d]", value);
		return;
	case TRACE_STRING:
		string_before(line, arg);
		return;
	case TRACE_STRUCT:
		struct_before(line, state);
		return;
	}
}

/* A result is shown if the call succeeded; what went in too, and all of a failure, only if it changed. */
static bool field_came_out(const struct trace_field *field, const struct trace_ioctl *state, const u8 *now,
			   bool ok)
{
	if (!(field->dir & TRACE_OUT) || (size_t)field->off + field->size > state->have)
		return false;
	if (ok && !(field->dir & TRACE_IN))
		return true;
	return memcmp(state->in + field->off, now + field->off, field->size) != 0;
}

void trace_ioctl_after(struct trace_line *line, const struct trace_ioctl *state, long ret)
{
	const struct trace_call *call = state->call;
	u8 now[sizeof(state->in)] = { 0 };
	size_t start = line->len;
	size_t opened;

	if (!state->have || guard_copy(now, (const void *)state->arg, state->have))
		return;
	line_add(line, " => {");
	opened = line->len;
	for (const struct trace_field *field = call->fields; field && field->name; field++)
		if (field_came_out(field, state, now, ret >= 0))
			field_add(line, field, now);
	if (call->tail && ret >= 0)
		call->tail(line, state, now, true);
	if (line->len == opened)
		line->len = start;
	else
		line_add(line, "}");
}

const char *trace_ioctl_name(enum file_kind kind, unsigned int cmd, char *buf, size_t size)
{
	const struct trace_call *call = trace_call_find(kind, cmd);

	if (call)
		return call->name;
	snprintf(buf, size, "0x%x", cmd);
	return buf;
}

/* ---- the other calls ---- */

void trace_data(struct trace_line *line, const void __user *buf, size_t len)
{
	u8 bytes[32];
	size_t shown = min(len, sizeof(bytes));
	bool text = true;

	if (guard_copy(bytes, buf, shown)) {
		line_add(line, ", 0x%lx", (unsigned long)buf);
		return;
	}
	for (size_t i = 0; i < shown; i++)
		text = text && ((bytes[i] >= ' ' && bytes[i] < 0x7f) || bytes[i] == '\n');
	line_add(line, ", \"");
	for (size_t i = 0; i < shown; i++) {
		if (!text)
			line_add(line, "\\x%02x", bytes[i]);
		else if (bytes[i] == '\n')
			line_add(line, "\\n");
		else
			line_add(line, bytes[i] == '"' || bytes[i] == '\\' ? "\\%c" : "%c", bytes[i]);
	}
	line_add(line, shown < len ? "\"..." : "\"");
}

void trace_prot(struct trace_line *line, int prot)
{
	static const struct trace_name names[] = {
		{ PROT_READ, "PROT_READ" }, { PROT_WRITE, "PROT_WRITE" }, { PROT_EXEC, "PROT_EXEC" }, { 0 },
	};

	if (prot)
		trace_flags(line, (unsigned)prot, names);
	else
		line_add(line, "PROT_NONE");
}

void trace_map_flags(struct trace_line *line, int flags)
{
	static const struct trace_name types[] = {
		{ MAP_SHARED, "MAP_SHARED" }, { MAP_PRIVATE, "MAP_PRIVATE" },
		{ MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE" }, { 0 },
	};
	static const struct trace_name names[] = {
		{ MAP_FIXED, "MAP_FIXED" }, { MAP_ANONYMOUS, "MAP_ANONYMOUS" }, { MAP_LOCKED, "MAP_LOCKED" },
		{ MAP_NORESERVE, "MAP_NORESERVE" }, { MAP_POPULATE, "MAP_POPULATE" },
		{ MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE" }, { MAP_SYNC, "MAP_SYNC" }, { 0 },
	};
	const char *type = trace_name_of((unsigned)flags & MAP_TYPE, types);

	if (type)
		line_add(line, "%s", type);
	else
		line_add(line, "0x%x", (unsigned)flags & MAP_TYPE);
	if ((unsigned)flags & ~(unsigned)MAP_TYPE) {
		line_add(line, "|");
		trace_flags(line, (unsigned)flags & ~(unsigned)MAP_TYPE, names);
	}
}

void trace_open_flags(struct trace_line *line, unsigned flags)
{
	static const struct trace_name modes[] = {
		{ O_RDONLY, "O_RDONLY" }, { O_WRONLY, "O_WRONLY" }, { O_RDWR, "O_RDWR" },
		{ O_ACCMODE, "O_ACCMODE" }, { 0 },
	};
	static const struct trace_name names[] = {
		{ O_CREAT, "O_CREAT" }, { O_EXCL, "O_EXCL" }, { O_NOCTTY, "O_NOCTTY" }, { O_TRUNC, "O_TRUNC" },
		{ O_APPEND, "O_APPEND" }, { O_NONBLOCK, "O_NONBLOCK" }, { O_SYNC, "O_SYNC" },
		{ O_DSYNC, "O_DSYNC" },
		{ O_DIRECT, "O_DIRECT" }, { 0100000, "O_LARGEFILE" }, { O_DIRECTORY, "O_DIRECTORY" },
		{ O_NOFOLLOW, "O_NOFOLLOW" }, { O_NOATIME, "O_NOATIME" }, { O_CLOEXEC, "O_CLOEXEC" },
		{ O_PATH, "O_PATH" }, { 0 },
	};

	line_add(line, "%s", trace_name_of(flags & O_ACCMODE, modes));
	if (flags & ~(unsigned)O_ACCMODE) {
		line_add(line, "|");
		trace_flags(line, flags & ~(unsigned)O_ACCMODE, names);
	}
}
